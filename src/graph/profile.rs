//! `Profile`: how long the layers and operations of a prediction take.

use super::cost::{Counts, called, short, table};
use std::fmt;
use std::time::Duration;

/// The times of one prediction, by layer and by operation. It prints as two tables.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Profile {
    /// Each step in order: its operation, the path of its layer, and what it took and did.
    pub steps: Vec<Timed>,
    /// The whole prediction, with what comes between the steps.
    pub total: Duration,
    /// Bytes of the block in which the intermediate values lie.
    pub arena_bytes: usize,
    /// Bytes of parameters and of constants computed from them, without the packed copies of kernels.
    pub weight_bytes: usize,
}

/// A step of a [`Profile`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Timed {
    /// The operation's name.
    pub op: &'static str,
    /// The path of the layer.
    pub layer: String,
    /// How long it took.
    pub time: Duration,
    /// What it computed and moved.
    pub counts: Counts,
}

impl Profile {
    /// Returns the times by the path of layers, in order.
    pub fn layers(&self) -> Vec<(String, Duration)> {
        self.sums(|step| called(&step.layer)).into_iter().map(|(name, time, _)| (name, time)).collect()
    }

    /// Returns the times by the names of operations, the longest first.
    pub fn ops(&self) -> Vec<(String, Duration)> {
        let mut sums: Vec<_> = self.sums(|step| step.op.into()).into_iter().map(|(n, t, _)| (n, t)).collect();
        sums.sort_by_key(|(_, time)| std::cmp::Reverse(*time));
        sums
    }

    fn sums(&self, name: impl Fn(&Timed) -> String) -> Vec<(String, Duration, Counts)> {
        let mut sums: Vec<(String, Duration, Counts)> = Vec::new();
        for step in &self.steps {
            let name = name(step);
            match sums.iter_mut().find(|(other, ..)| *other == name) {
                Some((_, time, counts)) => {
                    *time += step.time;
                    counts.add(step.counts);
                }
                None => sums.push((name, step.time, step.counts)),
            }
        }
        sums
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Duration = self.steps.iter().map(|step| step.time).sum();
        let row = |name: &str, time: Duration, counts: Counts| {
            let seconds = time.as_secs_f64();
            let share = 100.0 * seconds / all.as_secs_f64().max(1e-12);
            let rate = counts.flops as f64 / seconds.max(1e-12);
            let (us, share) = (format!("{:.1}", seconds * 1e6), format!("{share:.1}"));
            vec![
                name.to_string(),
                counts.steps.to_string(),
                us,
                share,
                short(counts.flops),
                short(rate as u64),
            ]
        };
        let mut ops = self.sums(|step| step.op.into());
        ops.sort_by_key(|(_, time, _)| std::cmp::Reverse(*time));
        for (what, sums) in [("layer", self.sums(|step| called(&step.layer))), ("operation", ops)] {
            let mut rows = vec![[what, "steps", "µs", "%", "FLOPs", "FLOP/s"].map(String::from).to_vec()];
            rows.extend(sums.iter().map(|(name, time, counts)| row(name, *time, *counts)));
            let mut counts = Counts::default();
            sums.iter().for_each(|(_, _, more)| counts.add(*more));
            rows.push(row("all steps", all, counts));
            table(f, &rows)?;
            writeln!(f)?;
        }
        let (arena, weights) = (short(self.arena_bytes as u64), short(self.weight_bytes as u64));
        let whole = self.total.as_secs_f64() * 1e6;
        writeln!(f, "whole call {whole:.1} µs, intermediate values {arena}B, weights {weights}B")
    }
}
