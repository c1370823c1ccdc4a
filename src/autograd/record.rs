//! Records operations: turns an operation that was run into a step of the tape, if any of its inputs is tracked or
//! traced.

use super::cut::Cut;
use super::node::{Edge, Node, fresh_id};
use super::{Op, Outputs};
use crate::DType;
use crate::tensor::storage::Shared;
use crate::tensor::{Array, Few, PoolVec, Tensor};
use std::ptr::NonNull;
use std::sync::Arc;

/// An operation that was run. It is filled in place, so that the only code compiled for each type of operation is
/// what moves it into its step.
pub(super) struct Ran {
    record: Record,
    /// Whether gradients of the outputs are wanted.
    wants: bool,
    /// Why not, if they might be.
    cut: Option<Cut>,
    parents: PoolVec<Option<Edge>>,
    /// As in [`Node`].
    saved: PoolVec<Array>,
    outputs: Few<Array, 3>,
    step: Option<Shared<Node>>,
}

/// Whether an operation becomes a step.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Record {
    /// No: nothing is tracked or traced.
    No,
    OnTape,
    /// Yes, in a trace: a graph takes the operation and leaves the tape.
    InTrace,
}

impl Ran {
    /// Makes one that has not been run yet.
    pub(super) fn new() -> Ran {
        let (parents, saved, outputs) = (PoolVec::new(), PoolVec::new(), Few::new());
        Ran { record: Record::No, wants: false, cut: None, parents, saved, outputs, step: None }
    }

    /// Sets the outputs.
    pub(super) fn run(&mut self, op: &dyn Op, inputs: &[&Tensor], outputs: Few<Array, 3>, traced: bool) {
        let tracked = inputs.iter().any(|t| t.is_tracked());
        // Types other than floats have no derivative.
        let whole = outputs.iter().all(|o| o.dtype().is_integer() || o.dtype() == DType::Bool);
        self.wants = tracked && !whole && !op.stops();
        self.cut = match inputs.iter().find_map(|t| t.cut()) {
            _ if self.wants => None,
            _ if tracked => Some(Cut::Op(op.name())),
            Some(Cut::Detached) if whole => Some(Cut::Op(op.name())),
            cut => cut,
        };
        if traced || self.wants {
            self.record = if traced { Record::InTrace } else { Record::OnTape };
            (self.parents, self.saved) = kept(op, inputs, &outputs, traced);
        }
        self.outputs = outputs;
    }

    /// Puts the operation into a step, if it is recorded.
    pub(super) fn hold<O: Op>(&mut self, op: O) {
        match self.record {
            Record::No => {}
            Record::OnTape => self.put(op),
            Record::InTrace => self.put(op.shared().unwrap_or_else(|| Arc::new(op))),
        }
    }

    fn put<O: Op>(&mut self, op: O) {
        let traced = self.record == Record::InTrace;
        let (parents, saved) = (self.parents.take(), self.saved.take());
        let node = Shared::new(Node { id: fresh_id(), leaf: None, traced, parents, saved, op });
        self.step = Some(node.erase(|n| n as NonNull<Node>));
    }

    /// Returns the outputs, attached to the step if there is one.
    pub(super) fn outputs(&mut self) -> Outputs {
        let outputs = std::mem::take(&mut self.outputs);
        outputs.into_iter().enumerate().map(|(i, array)| self.attached(i, array)).collect()
    }

    /// Returns the first output.
    pub(super) fn output(&mut self) -> Tensor {
        let first = self.outputs.swap_remove(0);
        self.attached(0, first)
    }

    fn attached(&self, i: usize, array: Array) -> Tensor {
        match &self.step {
            Some(step) => Tensor::with_edge(array, Some(Edge::new(step.clone(), i as u32, self.wants))),
            None => Tensor::from(array).with_cut(self.cut),
        }
    }
}

/// Returns the values that a step keeps.
fn kept(
    op: &dyn Op,
    inputs: &[&Tensor],
    outputs: &[Array],
    traced: bool,
) -> (PoolVec<Option<Edge>>, PoolVec<Array>) {
    let wants: Few<bool, 8> = inputs.iter().map(|t| t.is_tracked()).collect();
    let saves = op.saves(&wants);
    let keep = |kept: bool, a: &Array| if kept { a.clone() } else { a.forget() };
    let parents = inputs.iter().map(|t| if traced { Some(t.edge_in_trace()) } else { t.edge().cloned() });
    let parents = parents.collect();
    let of_inputs = inputs.iter().enumerate().map(|(i, t)| keep(saves.keeps_input(i), t.array()));
    let of_outputs = outputs.iter().enumerate().map(|(i, a)| keep(saves.keeps_output(i), a));
    let saved = of_inputs.chain(of_outputs).collect();
    (parents, saved)
}
