//! Graph passes: functions from a graph to a graph that gives the same bits.

use super::{Graph, Source, ValueId};
use crate::autograd::Attrs;
use crate::tensor::Few;
use crate::{Spec, Tensor};
use std::any::TypeId;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// Everything that identifies a computation.
type Computation = (TypeId, &'static str, Attrs, Few<ValueId, 3>);
/// Constants that may be the same.
type Alike<'a> = Vec<(ValueId, &'a Tensor)>;

impl Graph {
    /// Returns the graph without steps and sources that no output needs. Inputs stay, because the caller gives
    /// them.
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
        let kept =
            |(value, source): &&(ValueId, Source)| needed[value.at()] || matches!(source, Source::Input(_));
        let sources = self.sources.iter().filter(kept).cloned().collect();
        Graph { sources, steps, ..self.clone() }
    }

    /// Returns the graph with each computation done once: a step with the operation, attributes and inputs of an
    /// earlier one is left out, as are constants with the same bits. Steps whose operation holds a closure stay.
    #[must_use]
    pub fn without_duplicates(&self) -> Graph {
        let mut same: Vec<ValueId> = (0..self.specs.len() as u32).map(ValueId).collect();
        let mut sources: Vec<(ValueId, Source)> = Vec::new();
        let mut constants: HashMap<(Spec, Vec<u64>), Alike> = HashMap::new();
        for (value, source) in &self.sources {
            if let Source::Constant(tensor) = source {
                let alike = constants.entry((tensor.spec(), sample(tensor))).or_default();
                if let Some((twin, _)) = alike.iter().find(|(_, other)| tensor.same_bits(other)) {
                    same[value.at()] = *twin;
                    continue;
                }
                alike.push((*value, tensor));
            }
            sources.push((*value, source.clone()));
        }
        let mut known: HashMap<Computation, usize> = HashMap::new();
        let mut steps: Vec<super::Step> = Vec::new();
        for step in &self.steps {
            let mut step = step.clone();
            step.inputs.iter_mut().for_each(|value| *value = same[value.at()]);
            if step.op.is_described() {
                let identity = (step.op.kind(), step.name(), step.attrs(), step.inputs.clone());
                match known.entry(identity) {
                    Entry::Occupied(twin) => {
                        let twins = step.outputs.iter().zip(&steps[*twin.get()].outputs);
                        twins.for_each(|(value, twin)| same[value.at()] = *twin);
                        continue;
                    }
                    Entry::Vacant(place) => place.insert(steps.len()),
                };
            }
            steps.push(step);
        }
        let outputs = self.outputs.iter().map(|(output, value)| (output.clone(), same[value.at()])).collect();
        Graph { specs: self.specs.clone(), sources, steps, outputs }
    }
}

/// Returns a few of a constant's elements: enough to distinguish most constants.
fn sample(t: &Tensor) -> Vec<u64> {
    let n = t.elements();
    let place = |i: usize| if n <= 8 { i } else { i * (n - 1) / 7 };
    let at = |i: usize| t.reshape([-1])?.select(0, place(i) as isize)?.item();
    (0..n.min(8)).map(|i| at(i).map_or(0, f64::to_bits)).collect()
}
