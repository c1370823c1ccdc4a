//! How many true and false entries have which score, for metrics over all thresholds. Entries are kept by score, which is exact whatever the
//! scale, or between fixed thresholds, in memory that does not grow.

use super::confusion::Counts;
use super::gathered::Gathered;
use crate::Result;
use std::collections::BTreeMap;

/// The weights of false and of true entries by their scores.
#[derive(Clone, Debug, Default)]
pub(super) struct Scores {
    /// By a key that ascends as the scores do; if exact.
    exact: BTreeMap<u64, [f64; 2]>,
    /// Between each threshold and the next, if those are fixed; before the first and behind the last too.
    between: Vec<[f64; 2]>,
}

impl Gathered for Scores {
    fn absorb(&mut self, other: &Self) -> Result<()> {
        self.exact.absorb(&other.exact)?;
        self.between.absorb(&other.between)
    }
}

/// Bits that ascend as the numbers do. The two zeros are one.
fn key(score: f64) -> u64 {
    let bits = (score + 0.0).to_bits();
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

impl Scores {
    /// Adds an entry, at its own score or between these ascending thresholds.
    pub(super) fn add(&mut self, fixed: Option<&[f64]>, score: f64, truth: bool, weight: f64) {
        let step = match fixed {
            None => self.exact.entry(key(score)).or_default(),
            Some(thresholds) => {
                self.between.resize(thresholds.len() + 1, [0.0; 2]);
                &mut self.between[thresholds.partition_point(|t| *t < score)]
            }
        };
        step[usize::from(truth)] += weight;
    }

    /// What is counted at each threshold, below all of them first, where all is positive; above the last nothing is. Thresholds are the
    /// scores, which then are positive themselves, or the fixed ones, which scores must exceed.
    pub(super) fn counts(&self) -> Vec<Counts> {
        let steps: Vec<[f64; 2]> = match self.exact.is_empty() {
            true => self.between.clone(),
            false => self.exact.values().copied().chain([[0.0; 2]]).collect(),
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
}
