//! Passes: functions from a graph to a graph that gives the same bits.

use super::{Graph, Source, ValueId};
use std::any::TypeId;

impl Graph {
    /// Without steps and sources that no output needs. Inputs stay: they are what the caller gives.
    #[must_use]
    pub fn without_dead_code(&self) -> Graph {
        let mut needed = vec![false; self.specs.len()];
        self.outputs.iter().for_each(|(_, value)| needed[value.at()] = true);
        let mut steps: Vec<_> = Vec::new();
        for step in self.steps.iter().rev() {
            if step.outputs.iter().any(|value| needed[value.at()]) {
                step.inputs.iter().for_each(|value| needed[value.at()] = true);
                steps.push(step.clone());
            }
        }
        steps.reverse();
        let kept = |(value, source): &&(ValueId, Source)| {
            needed[value.at()] || matches!(source, Source::Input(_))
        };
        let sources = self.sources.iter().filter(kept).cloned().collect();
        Graph { sources, steps, ..self.clone() }
    }

    /// With each computation done once: a step whose operation, attributes and inputs are those of an earlier one is left out,
    /// as are constants of the same bits. Steps whose operation holds a closure stay.
    #[must_use]
    pub fn without_duplicates(&self) -> Graph {
        let mut same: Vec<ValueId> = (0..self.specs.len() as u32).map(ValueId).collect();
        let mut sources: Vec<(ValueId, Source)> = Vec::new();
        for (value, source) in &self.sources {
            let twin = sources.iter().find(|(_, other)| match (source, other) {
                (Source::Constant(a), Source::Constant(b)) => a.same_bits(b),
                (Source::Parameter(a), Source::Parameter(b)) => a == b,
                _ => false,
            });
            match twin {
                Some((twin, _)) => same[value.at()] = *twin,
                None => sources.push((*value, source.clone())),
            }
        }
        // By all that identifies a computation: few steps share a name and first input, so a list under both is short.
        let mut known: std::collections::HashMap<(TypeId, &'static str, Vec<ValueId>), Vec<usize>> =
            Default::default();
        let mut steps: Vec<super::Step> = Vec::new();
        for step in &self.steps {
            let mut step = step.clone();
            step.inputs.iter_mut().for_each(|value| *value = same[value.at()]);
            let op = step.op.get();
            if op.is_described() {
                let place = known.entry((op.kind(), op.name(), step.inputs.to_vec())).or_default();
                let attrs = op.attrs();
                if let Some(&twin) = place.iter().find(|&&at| steps[at].attrs() == attrs) {
                    let twins = step.outputs.iter().zip(&steps[twin].outputs);
                    twins.for_each(|(value, twin)| same[value.at()] = *twin);
                    continue;
                }
                place.push(steps.len());
            }
            steps.push(step);
        }
        let outputs = self.outputs.iter().map(|(output, value)| (output.clone(), same[value.at()])).collect();
        Graph { specs: self.specs.clone(), sources, steps, outputs }
    }
}
