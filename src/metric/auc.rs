//! `AUC`: the area under a curve over all thresholds, which measures how well scores separate two classes. The
//! thresholds are the scores themselves, which is exact whatever their scale; or a fixed grid as in Keras, whose
//! memory does not grow.

use super::confusion::{Counts, check_threshold, entries, share};
use super::{Metric, Reads};
use crate::loss::EPSILON;
use crate::tensor::Tensor;
use crate::{DType, Error, Result, settings, string_enum};
use std::collections::BTreeMap;

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
        curve: Curve = Curve::ROC,
        /// The height between two thresholds; interpolated by default.
        summation_method: Summation = Summation::Interpolation,
        /// Whether predictions are logits; no by default.
        from_logits: bool = false,
        /// If exact: the weights of false and true elements for each score, by a key that is ordered as the scores
        /// are.
        scores: state BTreeMap<u64, [f64; 2]> = BTreeMap::new(),
        /// If thresholds are fixed: the weights of false and true elements between each threshold and the next. The
        /// first is below 0.
        between: state Vec<[f64; 2]> = Vec::new(),
    }
}

/// Returns bits that are ordered as the numbers are. Both zeros have the same key.
fn key(score: f64) -> u64 {
    let bits = (score + 0.0).to_bits();
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
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

    /// Returns the counts at each threshold, lowest first: at the first all predictions are positive, at the last
    /// none.
    fn counts(&self) -> Vec<Counts> {
        let steps: Vec<[f64; 2]> = match self.scores.is_empty() {
            true => self.between.clone(),
            false => self.scores.values().copied().chain([[0.0; 2]]).collect(),
        };
        let totals = steps.iter().fold([0.0; 2], |s, b| [s[0] + b[0], s[1] + b[1]]);
        let mut above = [0.0; 2];
        let mut counts: Vec<Counts> = steps
            .iter()
            .rev()
            .map(|b| {
                above = [above[0] + b[0], above[1] + b[1]];
                Counts {
                    false_positives: above[0],
                    true_positives: above[1],
                    true_negatives: totals[0] - above[0],
                    false_negatives: totals[1] - above[1],
                }
            })
            .collect();
        counts.reverse();
        counts
    }

    /// Precision-recall area by Davis and Goadrich: true positives vary linearly with all positives between two
    /// thresholds.
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

impl Metric for AUC {
    fn name(&self) -> &str {
        "auc"
    }

    fn check(&self) -> Result<()> {
        self.fixed().map(drop)
    }

    fn reads(&self, _: usize) -> Reads {
        if self.from_logits { Reads::Logits } else { Reads::Probabilities }
    }

    fn update(&mut self, y_true: &Tensor, y_pred: &Tensor, sample_weight: Option<&Tensor>) -> Result<()> {
        let fixed = self.fixed()?;
        let y_pred = y_pred.cast(DType::F64)?;
        // Scores are ordered by the logits themselves: a sigmoid would round some together.
        let y_pred = if self.from_logits && fixed.is_some() { y_pred.sigmoid()? } else { y_pred };
        let (entries, _) = entries("auc", y_true, &y_pred, sample_weight)?;
        let logits = self.from_logits && fixed.is_none();
        for e in &entries {
            let fits = (-EPSILON..=1.0 + EPSILON).contains(&e.prediction);
            if e.weight != 0.0 && !(fits || logits && !e.prediction.is_nan()) {
                let expected = if logits { "numbers" } else { "0 to 1 (or from_logits)" };
                return Err(Error::argument("auc predictions", expected, e.prediction));
            }
        }
        // Elements of weight 0 are absent.
        for e in entries.iter().filter(|e| e.weight != 0.0) {
            let step = match &fixed {
                None => self.scores.entry(key(e.prediction)).or_default(),
                Some(inner) => {
                    self.between.resize(inner.len() + 2, [0.0; 2]);
                    &mut self.between[inner.partition_point(|t| *t < e.prediction)]
                }
            };
            step[usize::from(e.truth)] += e.weight;
        }
        Ok(())
    }

    fn result(&self) -> f64 {
        let counts = self.counts();
        let Some(all) = counts.first() else { return 0.0 };
        let (truths, falsehoods) = (all.true_positives, all.false_positives);
        if truths == 0.0 || self.curve == Curve::ROC && falsehoods == 0.0 {
            return f64::NAN;
        }
        if self.curve == Curve::PR && self.summation_method == Summation::Interpolation {
            return AUC::interpolated_pr(&counts);
        }
        let point = |c: &Counts| {
            let recall = share(c.true_positives, c.true_positives + c.false_negatives);
            match self.curve {
                Curve::ROC => (share(c.false_positives, c.false_positives + c.true_negatives), recall),
                Curve::PR => (recall, share(c.true_positives, c.true_positives + c.false_positives)),
            }
        };
        let mut area = 0.0;
        for pair in counts.windows(2) {
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
        self.scores.clear();
        self.between.clear();
    }

    fn larger_is_better(&self) -> bool {
        true
    }
}
