//! `AUC`: the area under a curve over all thresholds, which measures how well scores separate two classes. The
//! thresholds are the scores themselves, which is exact whatever their scale; or a fixed grid as in Keras, whose
//! memory does not grow.

use super::confusion::{Counts, check_threshold, entries, share};
use super::curve::Scores;
use super::gathered::gathers;
use super::{Metric, Reads};
use crate::config::well_named;
use crate::loss::EPSILON;
use crate::tensor::Tensor;
use crate::{DType, Error, Result, settings, string_enum};

string_enum! {
    /// Which curve.
    #[derive(Default)]
    pub enum Curve {
        /// True positives over false positives (receiver operating characteristic).
        #[default]
        ROC = "ROC",
        /// Precision over recall.
        PR = "PR",
        /// Precision gain over recall gain (Flach and Kull 2015).
        PRGain = "PRGAIN",
    }
}

string_enum! {
    /// The height of the curve between two thresholds.
    #[derive(Default)]
    pub enum Summation {
        /// The middle of the two (ROC); for precision and recall by the formula of Davis and Goadrich 2006.
        #[default]
        Interpolation = "interpolation",
        /// The smaller of the two.
        Minoring = "minoring",
        /// The larger of the two.
        Majoring = "majoring",
    }
}

settings! {
    /// The area under the ROC curve or the precision-recall curve, named `auc`. NaN if all targets are of one
    /// class, because then there is no curve.
    pub struct AUC {
        /// Creates the metric of the exact area under the ROC curve: every distinct score is a threshold, and takes
        /// about 40 bytes.
        new();

        /// A fixed number of thresholds, evenly from 0 to 1 (Keras's default is 200), in memory that does not grow.
        /// Scores between the same two thresholds count as equal, which is too coarse if all scores are small. None
        /// by default: exact.
        num_thresholds: some usize,
        /// Fixed thresholds from 0 to 1. None by default.
        thresholds: some into Vec<f64>,
        /// Which curve; ROC by default.
        curve: named Curve = Curve::ROC,
        /// The height between two thresholds; interpolated by default.
        summation_method: named Summation = Summation::Interpolation,
        /// Whether predictions are logits; no by default.
        from_logits: bool = false,
        /// Whether each column is a label with a curve of its own; the figure is their mean, and `results()` has each. Labels whose targets
        /// have one class only have no curve, and are left out of the mean. By default all entries make one curve.
        multi_label: bool = false,
        /// How many labels there must be. Any by default.
        num_labels: some usize,
        /// A weight for each column: of its curve in the mean, or of its entries in the one curve. All equal by default.
        label_weights: some into Vec<f64>,
        /// What is wrong with a setting given by name.
        misnamed: state Option<String> = None,
        /// For each curve.
        scores: state Vec<Scores> = Vec::new(),
    }
}

/// Predictions with their targets, for one curve or for one of each column.
struct Batch<'a> {
    op: &'static str,
    y_true: &'a Tensor,
    y_pred: &'a Tensor,
    sample_weight: Option<&'a Tensor>,
    from_logits: bool,
    multi_label: bool,
    label_weights: Option<&'a Vec<f64>>,
}

impl Batch<'_> {
    /// Gathers it, exactly or between thresholds.
    fn gather(&self, scores: &mut Vec<Scores>, fixed: Option<&[f64]>) -> Result<()> {
        let y_pred = self.y_pred.detach().cast(DType::F64)?;
        // The order is that of the logits themselves, which a sigmoid would round together.
        let y_pred = if self.from_logits && fixed.is_some() { y_pred.sigmoid()? } else { y_pred };
        let (entries, width) = entries(self.op, self.y_true, &y_pred, self.sample_weight)?;
        if let Some(weights) = self.label_weights.filter(|weights| weights.len() != width) {
            let expected = format!("a number for each of {width} labels");
            return Err(Error::argument("label_weights", expected, weights.len()));
        }
        let curves = if self.multi_label { width } else { 1 };
        if !scores.is_empty() && scores.len() != curves {
            let expected = format!("{} labels as before", scores.len());
            return Err(Error::argument(self.op, expected, curves));
        }
        let logits = self.from_logits && fixed.is_none();
        for e in &entries {
            let fits = (-EPSILON..=1.0 + EPSILON).contains(&e.prediction);
            if e.weight != 0.0 && !(fits || logits && !e.prediction.is_nan()) {
                let expected = if logits { "numbers" } else { "0 to 1 (or from_logits)" };
                return Err(Error::argument("auc predictions", expected, e.prediction));
            }
        }
        scores.resize(curves, Scores::default());
        // What has the weight 0 is absent.
        for (i, e) in entries.iter().enumerate().filter(|(_, e)| e.weight != 0.0) {
            let label = i % width.max(1);
            let of_label = self.label_weights.filter(|_| !self.multi_label).map_or(1.0, |w| w[label]);
            let curve = if self.multi_label { label } else { 0 };
            scores[curve].add(fixed, e.prediction, e.truth, e.weight * of_label);
        }
        Ok(())
    }
}

/// The mean of the labels that have a figure, by their weights; NaN if none has, 0 of nothing.
fn over_labels(figures: &[f64], weights: Option<&Vec<f64>>) -> f64 {
    if let [one] = figures {
        return *one;
    }
    let (mut sum, mut total) = (0.0, 0.0);
    for (label, figure) in figures.iter().enumerate().filter(|(_, figure)| !figure.is_nan()) {
        let weight = weights.and_then(|w| w.get(label)).copied().unwrap_or(1.0);
        sum += weight * figure;
        total += weight;
    }
    if total == 0.0 && !figures.is_empty() { f64::NAN } else { share(sum, total) }
}

/// Fails unless weights of labels are such.
fn check_labels(num_labels: Option<usize>, weights: Option<&Vec<f64>>) -> Result<()> {
    let weights = weights.map(Vec::as_slice).unwrap_or_default();
    if let Some(wrong) = weights.iter().find(|w| !(**w >= 0.0 && w.is_finite())) {
        return Err(Error::argument("label_weights", "finite numbers of 0 or more", wrong));
    }
    match num_labels {
        Some(0) => Err(Error::argument("num_labels", "1 or more", 0)),
        Some(n) if !weights.is_empty() && weights.len() != n => {
            Err(Error::argument("label_weights", format!("{n} numbers"), weights.len()))
        }
        _ => Ok(()),
    }
}

impl AUC {
    /// Returns the inner thresholds, ascending, if they are fixed.
    fn fixed(&self) -> Result<Option<Vec<f64>>> {
        match (self.num_thresholds, &self.thresholds) {
            (Some(_), Some(_)) => {
                let expected = "either num_thresholds or thresholds";
                Err(Error::argument("thresholds", expected, "both"))
            }
            (Some(n), None) if !(2..=1_000_000).contains(&n) => {
                Err(Error::argument("num_thresholds", "2 to 1000000", n))
            }
            (Some(n), None) => Ok(Some((1..n - 1).map(|i| i as f64 / (n - 1) as f64).collect())),
            (None, Some(own)) => {
                own.iter().try_for_each(|t| check_threshold("thresholds", *t))?;
                let mut own = own.clone();
                own.sort_by(f64::total_cmp);
                Ok(Some(own))
            }
            (None, None) => Ok(None),
        }
    }

    /// Davis and Goadrich: true positives vary linearly with all positives between two thresholds.
    fn interpolated_pr(counts: &[Counts]) -> f64 {
        let mut area = 0.0;
        for pair in counts.windows(2) {
            let [a, b] = pair else { continue };
            let (pa, pb) = (a.true_positives + a.false_positives, b.true_positives + b.false_positives);
            let dtp = a.true_positives - b.true_positives;
            let slope = share(dtp, (pa - pb).max(0.0));
            let intercept = b.true_positives - slope * pb;
            let ratio = if pa > 0.0 && pb > 0.0 { pa / pb } else { 1.0 };
            area += share(slope * (dtp + intercept * libm::log(ratio)), b.true_positives + b.false_negatives);
        }
        area
    }
}

/// The area under one curve.
fn area(counts: &[Counts], curve: Curve, summation: Summation) -> f64 {
    let Some(all) = counts.first() else { return 0.0 };
    let (truths, falsehoods) = (all.true_positives, all.false_positives);
    if truths == 0.0 || curve != Curve::PR && falsehoods == 0.0 {
        return f64::NAN;
    }
    if curve == Curve::PR && summation == Summation::Interpolation {
        return AUC::interpolated_pr(counts);
    }
    // How much is gained on what a prediction of nothing but positives has.
    let gain = |wrong: f64, c: &Counts| 1.0 - truths / falsehoods * (wrong / c.true_positives);
    let point = |c: &Counts| match curve {
        Curve::ROC => (1.0 - c.specificity(), c.recall()),
        Curve::PR => (c.recall(), c.precision()),
        Curve::PRGain if c.true_positives == 0.0 => (0.0, 1.0),
        Curve::PRGain => (gain(c.false_negatives, c).max(0.0), gain(c.false_positives, c)),
    };
    let mut area = 0.0;
    for pair in counts.windows(2) {
        let [a, b] = pair else { continue };
        let ((xa, ya), (xb, yb)) = (point(a), point(b));
        let height = match summation {
            Summation::Interpolation => (ya + yb) / 2.0,
            Summation::Minoring => ya.min(yb),
            Summation::Majoring => ya.max(yb),
        };
        area += (xa - xb) * height;
    }
    area
}

impl Metric for AUC {
    fn name(&self) -> &str {
        "auc"
    }

    fn check(&self) -> Result<()> {
        well_named(&self.misnamed)?;
        if self.num_labels.is_some() && !self.multi_label {
            return Err(Error::argument("num_labels", "multi_label(true) beside it", "none"));
        }
        check_labels(self.num_labels, self.label_weights.as_ref())?;
        self.fixed().map(drop)
    }

    fn reads(&self, _: usize) -> Reads {
        if self.from_logits { Reads::Logits } else { Reads::Probabilities }
    }

    fn update(&mut self, y_true: &Tensor, y_pred: &Tensor, sample_weight: Option<&Tensor>) -> Result<()> {
        self.check()?;
        if let Some(n) = self.num_labels.filter(|n| y_pred.dims().last() != Some(n)) {
            return Err(Error::shape("auc", format!("predictions [batch, {n}]"), *y_pred.shape()));
        }
        let (op, from_logits, multi_label) = ("auc", self.from_logits, self.multi_label);
        let label_weights = self.label_weights.as_ref();
        let batch = Batch { op, y_true, y_pred, sample_weight, from_logits, multi_label, label_weights };
        // Below all thresholds everything is positive, and above them nothing.
        let fixed = self.fixed()?.map(|inner| [inner, vec![2.0]].concat());
        batch.gather(&mut self.scores, fixed.as_deref())
    }

    fn result(&self) -> f64 {
        over_labels(&self.results(), self.label_weights.as_ref().filter(|_| self.multi_label))
    }

    fn results(&self) -> Vec<f64> {
        let figures = self.scores.iter().map(|s| area(&s.counts(), self.curve, self.summation_method));
        figures.collect()
    }

    fn larger_is_better(&self) -> bool {
        true
    }

    gathers!(scores);
}

settings! {
    /// The mean of precision over recall, `Σ (Rₙ - Rₙ₋₁)·Pₙ` over all scores as thresholds, named `average_precision` (scikit-learn's
    /// `average_precision_score`). Exact; 40 bytes or so are kept for each different score. NaN where no target is true.
    pub struct AveragePrecision {
        /// Of all entries.
        new();

        /// Whether predictions are logits; no by default.
        from_logits: bool = false,
        /// Whether each column is a label of its own; the figure is their mean, and `results()` has each. No by default.
        multi_label: bool = false,
        /// For each label.
        scores: state Vec<Scores> = Vec::new(),
    }
}

impl Metric for AveragePrecision {
    fn name(&self) -> &str {
        "average_precision"
    }

    fn reads(&self, _: usize) -> Reads {
        if self.from_logits { Reads::Logits } else { Reads::Probabilities }
    }

    fn update(&mut self, y_true: &Tensor, y_pred: &Tensor, sample_weight: Option<&Tensor>) -> Result<()> {
        let (op, from_logits, multi_label) = ("average_precision", self.from_logits, self.multi_label);
        let batch =
            Batch { op, y_true, y_pred, sample_weight, from_logits, multi_label, label_weights: None };
        batch.gather(&mut self.scores, None)
    }

    fn result(&self) -> f64 {
        over_labels(&self.results(), None)
    }

    fn results(&self) -> Vec<f64> {
        let of = |scores: &Scores| {
            let counts = scores.counts();
            let found = |c: &Counts| c.true_positives + c.false_negatives > 0.0;
            match counts.first() {
                Some(all) if !found(all) => f64::NAN,
                _ => counts.windows(2).map(|w| (w[0].recall() - w[1].recall()) * w[0].precision()).sum(),
            }
        };
        self.scores.iter().map(of).collect()
    }

    fn larger_is_better(&self) -> bool {
        true
    }

    gathers!(scores);
}
