//! Why it exists: how well scores separate two classes over all thresholds: the area under a curve, by Keras's
//! approximation on a fixed set of thresholds.

use super::Metric;
use super::confusion::{Counts, entries, share};
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
    }
}

string_enum! {
    /// The height of the curve between two thresholds.
    #[derive(Default)]
    pub enum Summation {
        /// The middle of the two (ROC); by the formula of Davis and Goadrich 2006 for precision and recall.
        #[default]
        Interpolation = "interpolation",
        /// The smaller of the two.
        Minoring = "minoring",
        /// The larger of the two.
        Majoring = "majoring",
    }
}

settings! {
    /// The area under the ROC curve or the precision-recall curve, named `auc`.
    pub struct AUC {
        /// Under the ROC curve, on 200 thresholds.
        new();

        /// How many thresholds, evenly from 0 to 1; 200 by default.
        num_thresholds: usize = 200,
        /// Which curve; ROC by default.
        curve: Curve = Curve::ROC,
        /// The height between two thresholds; interpolated by default.
        summation_method: Summation = Summation::Interpolation,
        /// Whether predictions are logits; no by default.
        from_logits: bool = false,
        /// For each threshold.
        counts: state Vec<Counts> = Vec::new(),
    }
}

impl AUC {
    /// Davis and Goadrich: true positives vary linearly with all positives between two thresholds.
    fn interpolated_pr(&self) -> f64 {
        let mut area = 0.0;
        for pair in self.counts.windows(2) {
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

impl Metric for AUC {
    fn name(&self) -> &str {
        "auc"
    }

    fn update(&mut self, y_true: &Tensor, y_pred: &Tensor, sample_weight: Option<&Tensor>) -> Result<()> {
        let n = self.num_thresholds;
        if !(2..=1_000_000).contains(&n) {
            return Err(Error::argument("num_thresholds", "2 to 1000000", n));
        }
        let y_pred = y_pred.cast(DType::F64)?;
        let y_pred = if self.from_logits { y_pred.sigmoid()? } else { y_pred };
        let (entries, _) = entries("auc", y_true, &y_pred, sample_weight)?;
        // How many entries lie between a threshold and the next; the first threshold is below 0.
        let mut between = vec![[0.0; 2]; n];
        for e in &entries {
            if !(-EPSILON..=1.0 + EPSILON).contains(&e.prediction) {
                return Err(Error::argument("auc predictions", "0 to 1 (or from_logits)", e.prediction));
            }
            let at = (e.prediction.clamp(0.0, 1.0) * (n - 1) as f64).ceil() as usize;
            between[at.saturating_sub(1)][usize::from(e.truth)] += e.weight;
        }
        self.counts.resize(n, Counts::default());
        let mut above = [0.0; 2];
        let totals = between.iter().fold([0.0; 2], |s, b| [s[0] + b[0], s[1] + b[1]]);
        for (counts, b) in self.counts.iter_mut().zip(&between).rev() {
            above = [above[0] + b[0], above[1] + b[1]];
            counts.false_positives += above[0];
            counts.true_positives += above[1];
            counts.true_negatives += totals[0] - above[0];
            counts.false_negatives += totals[1] - above[1];
        }
        Ok(())
    }

    fn result(&self) -> f64 {
        if self.curve == Curve::PR && self.summation_method == Summation::Interpolation {
            return self.interpolated_pr();
        }
        let point = |c: &Counts| {
            let recall = share(c.true_positives, c.true_positives + c.false_negatives);
            match self.curve {
                Curve::ROC => (share(c.false_positives, c.false_positives + c.true_negatives), recall),
                Curve::PR => (recall, share(c.true_positives, c.true_positives + c.false_positives)),
            }
        };
        let mut area = 0.0;
        for pair in self.counts.windows(2) {
            let ((xa, ya), (xb, yb)) = (point(&pair[0]), point(&pair[1]));
            let height = match self.summation_method {
                Summation::Interpolation => (ya + yb) / 2.0,
                Summation::Minoring => ya.min(yb),
                Summation::Majoring => ya.max(yb),
            };
            area += (xa - xb) * height;
        }
        area
    }

    fn reset(&mut self) {
        self.counts.clear();
    }

    fn larger_is_better(&self) -> bool {
        true
    }
}
