//! Metrics made of true and false positives and negatives. A prediction is positive if it is above the threshold.

use super::gathered::{Gathered, gathers};
use super::{Metric, Reads};
use crate::loss::{aligned, fitted};
use crate::tensor::Tensor;
use crate::{DType, Error, Result, settings};

/// Weighted counts.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) true_positives: f64,
    pub(super) true_negatives: f64,
    pub(super) false_positives: f64,
    pub(super) false_negatives: f64,
}

impl Gathered for Counts {
    fn absorb(&mut self, other: &Self) -> Result<()> {
        self.true_positives += other.true_positives;
        self.true_negatives += other.true_negatives;
        self.false_positives += other.false_positives;
        self.false_negatives += other.false_negatives;
        Ok(())
    }
}

impl Counts {
    /// The share of positives that are right.
    pub(super) fn precision(&self) -> f64 {
        share(self.true_positives, self.true_positives + self.false_positives)
    }

    /// The share of the true that is positive.
    pub(super) fn recall(&self) -> f64 {
        share(self.true_positives, self.true_positives + self.false_negatives)
    }

    /// The share of the false that is negative.
    pub(super) fn specificity(&self) -> f64 {
        share(self.true_negatives, self.true_negatives + self.false_positives)
    }

    pub(super) fn add(&mut self, truth: bool, positive: bool, weight: f64) {
        *match (truth, positive) {
            (true, true) => &mut self.true_positives,
            (false, false) => &mut self.true_negatives,
            (false, true) => &mut self.false_positives,
            (true, false) => &mut self.false_negatives,
        } += weight;
    }
}

/// Fails unless a threshold lies between 0 and 1.
pub(super) fn check_threshold(name: &'static str, threshold: f64) -> Result<()> {
    Error::unless((0.0..=1.0).contains(&threshold), name, "0 to 1", threshold)
}

/// What predictions are when compared with this threshold: probabilities, unless it is 0, where logits change
/// sides.
pub(super) fn compared_with(threshold: f64) -> Reads {
    if threshold == 0.0 { Reads::Numbers } else { Reads::Probabilities }
}

/// One prediction with its truth and weight.
pub(super) struct Entry {
    pub(super) truth: bool,
    pub(super) prediction: f64,
    pub(super) weight: f64,
}

/// Iterates over all elements in row-major order, with those of weight 0. Targets other than 0 are true.
pub(super) fn entries(
    op: &'static str,
    y_true: &Tensor,
    y_pred: &Tensor,
    weights: Option<&Tensor>,
) -> Result<(Vec<Entry>, usize)> {
    let (t, p) = aligned(op, y_true, &y_pred.cast(DType::F64)?)?;
    let width = p.dims().last().copied().unwrap_or(1);
    let weights = match weights {
        Some(w) => {
            let w = fitted("sample_weight", &w.cast(DType::F64)?, p.shape())?;
            w.broadcast_to(*p.shape())?.to_vec::<f64>()?
        }
        None => vec![1.0; p.elements()],
    };
    let (t, p) = (t.to_vec::<f64>()?, p.to_vec::<f64>()?);
    let entry = |((t, prediction), weight)| Entry { truth: t != 0.0, prediction, weight };
    Ok((t.into_iter().zip(p).zip(weights).map(entry).collect(), width))
}

/// What is counted: thresholds, and which part of each row.
#[derive(Clone, Copy, Debug)]
struct Rule<'a> {
    threshold: Option<f64>,
    thresholds: Option<&'a Vec<f64>>,
    top_k: Option<usize>,
    class_id: Option<usize>,
}

impl Rule<'_> {
    fn check(&self) -> Result<()> {
        let thresholds = self.thresholds.map(Vec::as_slice);
        if thresholds == Some(&[]) || thresholds.is_some() && self.threshold.is_some() {
            let got = if self.threshold.is_some() { "both" } else { "none" };
            return Err(Error::argument("thresholds", "one or more, or a threshold", got));
        }
        thresholds.unwrap_or_default().iter().try_for_each(|t| check_threshold("thresholds", *t))?;
        if let Some(threshold) = self.threshold {
            check_threshold("threshold", threshold)?;
        }
        match self.top_k {
            Some(0) => Err(Error::argument("top_k", "at least 1", 0)),
            _ => Ok(()),
        }
    }

    /// Above what predictions are positive, for each figure; nothing is asked of the largest of a row.
    fn least(&self) -> Vec<Option<f64>> {
        match (self.thresholds, self.threshold) {
            (Some(thresholds), _) => thresholds.iter().copied().map(Some).collect(),
            (None, None) if self.top_k.is_some() => vec![None],
            (None, threshold) => vec![Some(threshold.unwrap_or(0.5))],
        }
    }

    fn reads(&self) -> Reads {
        self.least().first().copied().flatten().map_or(Reads::Largest, compared_with)
    }

    fn count(
        &self,
        op: &'static str,
        y_true: &Tensor,
        y_pred: &Tensor,
        weights: Option<&Tensor>,
        counts: &mut Vec<Counts>,
    ) -> Result<()> {
        self.check()?;
        let (entries, width) = entries(op, y_true, y_pred, weights)?;
        check_class(self.class_id, width)?;
        let least = self.least();
        counts.resize(least.len(), Counts::default());
        for row in entries.chunks(width.max(1)) {
            for (class, e) in row.iter().enumerate() {
                if self.class_id.is_none_or(|id| id == class) {
                    // Of equal predictions, the first ones are among the largest.
                    let before = |(other, o): (usize, &Entry)| {
                        o.prediction > e.prediction || o.prediction == e.prediction && other < class
                    };
                    let chosen =
                        self.top_k.is_none_or(|k| row.iter().enumerate().filter(|x| before(*x)).count() < k);
                    for (counts, least) in counts.iter_mut().zip(&least) {
                        counts.add(e.truth, chosen && least.is_none_or(|t| e.prediction > t), e.weight);
                    }
                }
            }
        }
        Ok(())
    }
}

/// Fails unless a class is one of so many.
pub(super) fn check_class(class_id: Option<usize>, width: usize) -> Result<()> {
    match class_id {
        Some(id) if id >= width => {
            Err(Error::argument("class_id", format!("0 to {}", width.saturating_sub(1)), id))
        }
        _ => Ok(()),
    }
}

/// The settings of a figure: of all entries (`whole`), or of a part of each row (`parts`).
macro_rules! rule {
    (whole, $(#[$doc:meta])* $type:ident) => {
        settings! {
            $(#[$doc])*
            pub struct $type {
                /// Creates the metric with the threshold 0.5.
                new();

                /// Predictions above it are positive; 0.5 by default.
                threshold: some f64,
                /// Several, each with a figure of its own: `results()` has all of them, `result()` their mean.
                thresholds: some into Vec<f64>,
                top_k: stored Option<usize> = None,
                class_id: stored Option<usize> = None,
                counts: state Vec<Counts> = Vec::new(),
            }
        }
    };
    (parts, $(#[$doc:meta])* $type:ident) => {
        settings! {
            $(#[$doc])*
            pub struct $type {
                /// Creates the metric with the threshold 0.5.
                new();

                /// Predictions above it are positive; 0.5 by default.
                threshold: some f64,
                /// Several, each with a figure of its own: `results()` has all of them, `result()` their mean.
                thresholds: some into Vec<f64>,
                /// Only the `k` largest predictions of a row can be positive, whatever they are unless a threshold is set
                /// too.
                top_k: some usize,
                /// Counts only this class: a position along the last axis.
                class_id: some usize,
                counts: state Vec<Counts> = Vec::new(),
            }
        }
    };
}

macro_rules! counted {
    ($($(#[$doc:meta])* $type:ident, $name:literal, $of:ident, larger $larger:literal, $c:ident => $result:expr;)*) => {$(
        rule!($of, $(#[$doc])* $type);
        impl $type {
            fn rule(&self) -> Rule<'_> {
                let thresholds = self.thresholds.as_ref();
                Rule { threshold: self.threshold, thresholds, top_k: self.top_k, class_id: self.class_id }
            }
        }
        impl Metric for $type {
            fn check(&self) -> Result<()> {
                self.rule().check()
            }
            fn reads(&self, _: usize) -> Reads {
                self.rule().reads()
            }
            fn name(&self) -> &str {
                $name
            }
            fn update(&mut self, y_true: &Tensor, y_pred: &Tensor, sample_weight: Option<&Tensor>) -> Result<()> {
                let mut counts = std::mem::take(&mut self.counts);
                let counted = self.rule().count($name, y_true, y_pred, sample_weight, &mut counts);
                self.counts = counts;
                counted
            }
            fn result(&self) -> f64 {
                mean_of(&self.results())
            }
            fn results(&self) -> Vec<f64> {
                let figure = |$c: &Counts| $result;
                match self.counts.is_empty() {
                    true => self.rule().least().iter().map(|_| 0.0).collect(),
                    false => self.counts.iter().map(figure).collect(),
                }
            }
            fn larger_is_better(&self) -> bool {
                $larger
            }
            gathers!(counts);
        }
    )*};
}

/// Returns a share, or 0 if nothing was counted.
pub(super) fn share(part: f64, of: f64) -> f64 {
    if of == 0.0 { 0.0 } else { part / of }
}

/// 0 of nothing.
pub(super) fn mean_of(figures: &[f64]) -> f64 {
    share(figures.iter().sum(), figures.len() as f64)
}

counted! {
    /// The number of predicted positives that are right, named `true_positives`.
    TruePositives, "true_positives", whole, larger true, c => c.true_positives;
    /// The number of predicted negatives that are right, named `true_negatives`.
    TrueNegatives, "true_negatives", whole, larger true, c => c.true_negatives;
    /// The number of predicted positives that are wrong, named `false_positives`.
    FalsePositives, "false_positives", whole, larger false, c => c.false_positives;
    /// The number of predicted negatives that are wrong, named `false_negatives`.
    FalseNegatives, "false_negatives", whole, larger false, c => c.false_negatives;
    /// The share of positives that are right, named `precision`.
    Precision, "precision", parts, larger true, c => c.precision();
    /// The share of the true that is found, named `recall`.
    Recall, "recall", parts, larger true, c => c.recall();
}
