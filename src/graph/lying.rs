//! `Lying`: which values of a graph lie in one memory, because one is a view of another or is written over it, and until
//! when each memory is needed.

use super::{Graph, Source, Step, ValueId};
use crate::kernels::strided::Layout;

/// The last use of what leaves the run.
pub(super) const LEAVES: usize = usize::MAX;

impl Graph {
    /// Returns the last step that reads or writes each value: [`LEAVES`] if it leaves the run.
    pub(super) fn last_uses(&self) -> Vec<usize> {
        let mut last = vec![0; self.specs.len()];
        for (number, step) in self.steps.iter().enumerate() {
            step.inputs.iter().chain(&step.outputs).for_each(|value| last[value.at()] = number);
        }
        self.outputs.iter().for_each(|(_, value)| last[value.at()] = LEAVES);
        last
    }
}

impl Step {
    /// Returns the layout that the output has in the first input's memory, which lies so; `None` if the step is no view.
    pub(super) fn view_of(&self, first: &Layout, graph: &Graph) -> Option<Layout> {
        let alone = self.inputs.len() < 3;
        self.op.view(first, graph.specs[self.outputs[0].at()]).filter(|_| alone)
    }
}

/// A memory, by the number of the first value in it.
#[derive(Clone, Copy)]
struct Memory {
    /// Whether it is the run's own: a caller's inputs, parameters and constants are not.
    own: bool,
    /// The last step that reads or writes it.
    until: usize,
}

/// Where values lie, as far as the steps have been looked at.
pub(super) struct Lying<'a> {
    graph: &'a Graph,
    layouts: Vec<Layout>,
    memory: Vec<usize>,
    memories: Vec<Memory>,
    last: Vec<usize>,
}

impl Lying<'_> {
    /// Returns where the sources lie.
    pub(super) fn sources(graph: &Graph) -> Lying<'_> {
        let n = graph.specs.len();
        let layouts = graph.specs.iter().map(|spec| Layout::contiguous(spec.shape)).collect();
        let last = graph.last_uses();
        let mut memories: Vec<Memory> = last.iter().map(|&until| Memory { own: true, until }).collect();
        for (value, source) in &graph.sources {
            memories[value.at()].own = matches!(source, Source::State(..));
        }
        Lying { graph, layouts, memory: (0..n).collect(), memories, last }
    }

    /// Looks at the next step and returns whether it may write over its first input: that has the output's shape, and
    /// nothing else reads its memory, now or later.
    pub(super) fn next(&mut self, number: usize, step: &Step) -> bool {
        let (Some(first), out) = (step.inputs.first().copied(), step.outputs[0]) else { return false };
        if let Some(layout) = step.view_of(&self.layouts[first.at()], self.graph) {
            self.layouts[out.at()] = layout;
            self.share(out, first);
            return false;
        }
        let over = self.may_be_written_over(first, number, step);
        if over {
            self.share(out, first);
        }
        over
    }

    fn share(&mut self, value: ValueId, with: ValueId) {
        let memory = self.memory[with.at()];
        self.memory[value.at()] = memory;
        let until = &mut self.memories[memory].until;
        *until = (*until).max(self.last[value.at()]);
    }

    fn may_be_written_over(&self, first: ValueId, number: usize, step: &Step) -> bool {
        let memory = self.memory[first.at()];
        let Memory { own, until } = self.memories[memory];
        let specs = self.graph.specs_of(&step.inputs);
        own && until <= number
            && step.outputs.len() == 1
            && self.graph.specs[step.outputs[0].at()] == specs[0]
            && self.layouts[first.at()].is_contiguous()
            && step.inputs[1..].iter().all(|value| self.memory[value.at()] != memory)
            && step.op.works_in_place(&specs)
    }
}
