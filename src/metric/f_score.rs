//! `FBetaScore` and [`F1Score`]: precision and recall combined in one value, for each class and over classes.

use super::confusion::{Counts, check_threshold, compared_with, entries};
use super::gathered::{alike, gathers};
use super::{Metric, Reads};
use crate::config::{Configured, Described, OrName, Registry, well_named};
use crate::loss::EPSILON;
use crate::tensor::Tensor;
use crate::{Error, Result, settings, string_enum};
use serde_json::Value;

string_enum! {
    /// How the values of classes become one.
    #[derive(Default)]
    pub enum Average {
        /// Computed from counts over all classes together.
        Micro = "micro",
        /// The mean over classes.
        #[default]
        Macro = "macro",
        /// The mean over classes, weighted by how often each is true.
        Weighted = "weighted",
    }
}

settings! {
    /// `(1 + β²)·P·R / (β²·P + R)` of precision and recall, named `fbeta_score`. Targets are one-hot or any number
    /// of 0s and 1s. The positives of a row are its largest predictions, or those above a threshold. A single
    /// column needs a threshold, since it has no largest.
    pub struct FBetaScore {
        /// The mean over classes (Keras's `macro`), with this weight of recall against precision.
        new(beta: f64 = 1.0);

        /// How the values of classes become one; their mean by default.
        average: named Average = Average::Macro,
        /// Predictions above it are positive, instead of the largest of each row.
        threshold: some f64,
        /// What is wrong with a setting given by name.
        misnamed: state Option<String> = None,
        /// The counts of each class.
        counts: state Vec<Counts> = Vec::new(),
    }
}

impl FBetaScore {
    /// Returns the value of each class (Keras's `average=None`).
    pub fn by_class(&self) -> Vec<f64> {
        self.counts.iter().map(|c| self.score(c)).collect()
    }

    fn score(&self, c: &Counts) -> f64 {
        let precision = c.true_positives / (c.true_positives + c.false_positives + EPSILON);
        let recall = c.true_positives / (c.true_positives + c.false_negatives + EPSILON);
        // From here on it is the recall alone.
        let square = (self.beta * self.beta).min(1e200);
        precision * recall / (square * precision + recall + EPSILON) * (1.0 + square)
    }
}

impl Metric for FBetaScore {
    fn name(&self) -> &str {
        "fbeta_score"
    }

    fn check(&self) -> Result<()> {
        well_named(&self.misnamed)?;
        let fine = self.beta > 0.0 && self.beta.is_finite();
        Error::unless(fine, "beta", "a finite number above 0", self.beta)?;
        self.threshold.map_or(Ok(()), |t| check_threshold("threshold", t))
    }

    fn reads(&self, _: usize) -> Reads {
        self.threshold.map_or(Reads::Largest, compared_with)
    }

    fn update(&mut self, y_true: &Tensor, y_pred: &Tensor, sample_weight: Option<&Tensor>) -> Result<()> {
        let &[_, classes] = y_pred.dims() else {
            return Err(Error::shape("fbeta_score", "predictions [batch, classes]", *y_pred.shape()));
        };
        self.check()?;
        if classes == 1 && self.threshold.is_none() {
            let expected = "a number, because the largest prediction of one column is each: .threshold(0.5)";
            return Err(Error::argument("threshold", expected, "nothing"));
        }
        let (entries, _) = entries("fbeta_score", y_true, y_pred, sample_weight)?;
        if !self.counts.is_empty() && self.counts.len() != classes {
            return Err(Error::argument(
                "fbeta_score",
                format!("{} classes as before", self.counts.len()),
                classes,
            ));
        }
        self.counts.resize(classes, Counts::default());
        for row in entries.chunks(classes.max(1)) {
            let largest = row.iter().fold(f64::NEG_INFINITY, |m, e| m.max(e.prediction));
            for (counts, e) in self.counts.iter_mut().zip(row) {
                let positive = match self.threshold {
                    Some(t) => e.prediction > t,
                    // A row of zeros has no positives.
                    None => e.prediction >= largest && e.prediction.abs() > 1e-9,
                };
                counts.add(e.truth, positive, e.weight);
            }
        }
        Ok(())
    }

    fn result(&self) -> f64 {
        let n = self.counts.len();
        if n == 0 {
            return 0.0;
        }
        let truth = |c: &Counts| c.true_positives + c.false_negatives;
        match self.average {
            Average::Macro => self.by_class().iter().sum::<f64>() / n as f64,
            Average::Weighted => {
                let total = self.counts.iter().map(truth).sum::<f64>() + EPSILON;
                self.counts.iter().map(|c| self.score(c) * (truth(c) / total)).sum()
            }
            Average::Micro => {
                let mut all = Counts::default();
                for c in &self.counts {
                    all.true_positives += c.true_positives;
                    all.false_positives += c.false_positives;
                    all.false_negatives += c.false_negatives;
                }
                self.score(&all)
            }
        }
    }

    fn results(&self) -> Vec<f64> {
        self.by_class()
    }

    fn larger_is_better(&self) -> bool {
        true
    }

    gathers!(counts);
}

/// The harmonic mean of precision and recall, named `f1_score`: [`FBetaScore`] with β 1.
#[derive(Clone, Debug)]
pub struct F1Score(FBetaScore);

/// Stored in files as the settings of [`FBetaScore`].
impl Configured for F1Score {
    fn config(&self) -> Result<Value> {
        self.0.config()
    }
}
impl Described for F1Score {
    const NAME: &'static str = "F1Score";
    fn from_config(mut config: Value, registry: &Registry) -> Result<Self> {
        if let Some(settings) = config.as_object_mut() {
            settings.entry("beta").or_insert_with(|| 1.0.into());
        }
        FBetaScore::from_config(config, registry).map(F1Score)
    }
}

impl Default for F1Score {
    fn default() -> Self {
        F1Score::new()
    }
}

impl F1Score {
    /// Creates the metric with the mean over classes (Keras's `macro`).
    pub fn new() -> F1Score {
        F1Score(FBetaScore::new(1.0))
    }

    /// See [`FBetaScore::average`].
    #[must_use]
    pub fn average(self, average: impl OrName<Average>) -> F1Score {
        F1Score(self.0.average(average))
    }

    /// See [`FBetaScore::threshold`].
    #[must_use]
    pub fn threshold(self, threshold: f64) -> F1Score {
        F1Score(self.0.threshold(threshold))
    }

    /// See [`FBetaScore::by_class`].
    pub fn by_class(&self) -> Vec<f64> {
        self.0.by_class()
    }
}

impl Metric for F1Score {
    fn name(&self) -> &str {
        "f1_score"
    }
    fn check(&self) -> Result<()> {
        self.0.check()
    }
    fn reads(&self, width: usize) -> Reads {
        self.0.reads(width)
    }
    fn update(&mut self, y_true: &Tensor, y_pred: &Tensor, sample_weight: Option<&Tensor>) -> Result<()> {
        self.0.update(y_true, y_pred, sample_weight)
    }
    fn result(&self) -> f64 {
        self.0.result()
    }
    fn results(&self) -> Vec<f64> {
        self.0.by_class()
    }
    fn merge(&mut self, other: &dyn Metric) -> Result<()> {
        let other = alike(self, other)?;
        self.0.merge(&other.0)
    }
    fn reset(&mut self) {
        self.0.reset();
    }
    fn larger_is_better(&self) -> bool {
        true
    }
}
