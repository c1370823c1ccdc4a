//! Metrics that fix one side and ask how good the other can be: the best precision at a recall of 0.9, and the like.

use super::confusion::{Counts, check_class, check_threshold, entries};
use super::curve::Scores;
use super::gathered::gathers;
use super::{Metric, Reads};
use crate::tensor::Tensor;
use crate::{DType, Error, Result, settings};

/// The thresholds: evenly from 0 to 1, or one in the middle; every score if exact.
fn thresholds(num_thresholds: usize, exact: bool) -> Option<Vec<f64>> {
    match num_thresholds {
        _ if exact => None,
        1 => Some(vec![0.5]),
        n => Some((0..n).map(|i| i as f64 / (n - 1) as f64).collect()),
    }
}

/// The largest figure among the thresholds at which another is large enough; 0 if there is none.
fn best(
    scores: &Scores,
    exact: bool,
    enough: impl Fn(&Counts) -> bool,
    figure: impl Fn(&Counts) -> f64,
) -> f64 {
    let counts = scores.counts();
    // Below fixed thresholds, where all is positive, is none of them.
    let at = counts.get(usize::from(!exact)..).unwrap_or_default();
    at.iter().filter(|c| enough(c)).map(figure).fold(0.0, f64::max)
}

macro_rules! at {
    ($($(#[$doc:meta])* $type:ident($(#[$of:meta])* $given:ident), $name:literal, $figure:ident where $other:ident;)*) => {$(
        settings! {
            $(#[$doc])*
            pub struct $type {
                $(#[$of])*
                new($given: f64);

                /// How many thresholds are tried, evenly from 0 to 1; 200 by default.
                num_thresholds: usize = 200,
                /// Whether every different score is a threshold instead, and is kept. No by default.
                exact: bool = false,
                /// Looks at this class alone: a position along the last axis.
                class_id: some usize,
                scores: state Scores = Scores::default(),
            }
        }
        impl Metric for $type {
            fn name(&self) -> &str {
                $name
            }
            fn check(&self) -> Result<()> {
                check_threshold(stringify!($given), self.$given)?;
                match self.num_thresholds {
                    1..=1_000_000 => Ok(()),
                    n => Err(Error::argument("num_thresholds", "1 to 1000000", n)),
                }
            }
            fn reads(&self, _: usize) -> Reads {
                Reads::Probabilities
            }
            fn update(&mut self, y_true: &Tensor, y_pred: &Tensor, sample_weight: Option<&Tensor>) -> Result<()> {
                self.check()?;
                let fixed = thresholds(self.num_thresholds, self.exact);
                let y_pred = y_pred.detach().cast(DType::F64)?;
                let (entries, width) = entries($name, y_true, &y_pred, sample_weight)?;
                check_class(self.class_id, width)?;
                for (i, e) in entries.iter().enumerate() {
                    if e.weight != 0.0 && self.class_id.is_none_or(|id| id == i % width) {
                        self.scores.add(fixed.as_deref(), e.prediction, e.truth, e.weight);
                    }
                }
                Ok(())
            }
            fn result(&self) -> f64 {
                best(&self.scores, self.exact, |c| c.$other() >= self.$given, Counts::$figure)
            }
            fn larger_is_better(&self) -> bool {
                true
            }
            gathers!(scores);
        }
    )*};
}

at! {
    /// The best precision at a threshold where the recall is large enough, named `precision_at_recall`; 0 if there is none.
    PrecisionAtRecall(
        /// Where the recall is at least this.
        recall), "precision_at_recall", precision where recall;
    /// The best recall at a threshold where the precision is large enough, named `recall_at_precision`; 0 if there is none.
    RecallAtPrecision(
        /// Where the precision is at least this.
        precision), "recall_at_precision", recall where precision;
    /// The best sensitivity (recall) at a threshold where the specificity is large enough, named `sensitivity_at_specificity`; 0 if
    /// there is none.
    SensitivityAtSpecificity(
        /// Where the share of the false that is negative is at least this.
        specificity), "sensitivity_at_specificity", recall where specificity;
    /// The best specificity (the share of the false that is negative) at a threshold where the sensitivity (recall) is large enough, named
    /// `specificity_at_sensitivity`; 0 if there is none.
    SpecificityAtSensitivity(
        /// Where the recall is at least this.
        sensitivity), "specificity_at_sensitivity", specificity where recall;
}
