//! How an operation that was run becomes a step of the tape, if anything of it is tracked or traced.

use super::node::{Edge, Node, fresh_id};
use super::{Op, Outputs};
use crate::tensor::storage::{PoolVec, Shared};
use crate::tensor::{Array, Tensor};
use smallvec::SmallVec;
use std::sync::Arc;

/// A step before its operation is put into it.
pub(super) struct Made {
    traced: bool,
    /// Whether gradients are wanted of what comes out.
    wants: bool,
    parents: PoolVec<Option<Edge>>,
    /// As in [`Node`].
    saved: PoolVec<Array>,
    outputs: SmallVec<[Array; 3]>,
}

/// An operation has been run.
pub(super) enum Ran {
    /// Nothing is tracked or traced.
    Plain(SmallVec<[Array; 3]>),
    /// To be recorded.
    Recorded(Made),
}

/// What there is to record of an operation that was run: compiled once, for all operations.
pub(super) fn ran(op: &dyn Op, inputs: &[&Tensor], outputs: SmallVec<[Array; 3]>, traced: bool) -> Ran {
    let wants = inputs.iter().any(|t| t.is_tracked()) && !op.stops();
    if !wants && !traced {
        return Ran::Plain(outputs);
    }
    let (parents, saved) = kept(op, inputs, &outputs, traced);
    Ran::Recorded(Made { traced, wants, parents, saved, outputs })
}

impl Ran {
    /// The outputs, attached to a step that holds the operation if one is recorded.
    pub(super) fn outputs<O: Op>(self, op: O) -> Outputs {
        match self {
            Ran::Plain(outputs) => outputs.into_iter().map(Tensor::from).collect(),
            Ran::Recorded(made) => made.recorded(op),
        }
    }

    /// The first output.
    pub(super) fn output<O: Op>(self, op: O) -> Tensor {
        match self {
            Ran::Plain(mut outputs) => outputs.swap_remove(0).into(),
            Ran::Recorded(made) => made.recorded(op).swap_remove(0),
        }
    }
}

impl Made {
    fn recorded<O: Op>(self, op: O) -> Outputs {
        // In a trace a graph takes the operation and leaves the tape.
        if self.traced { self.put(op.shared().unwrap_or_else(|| Arc::new(op))) } else { self.put(op) }
    }

    fn put<O: Op>(self, op: O) -> Outputs {
        let Made { traced, wants, parents, saved, outputs } = self;
        let node = Shared::new(Node { id: fresh_id(), leaf: None, traced, parents, saved, op });
        attached(node.erase(|n| n as &mut Node), wants, outputs)
    }
}

/// What a step remembers.
fn kept(
    op: &dyn Op,
    inputs: &[&Tensor],
    outputs: &[Array],
    traced: bool,
) -> (PoolVec<Option<Edge>>, PoolVec<Array>) {
    let wants: SmallVec<[bool; 8]> = inputs.iter().map(|t| t.is_tracked()).collect();
    let saves = op.saves(&wants);
    let keep = |kept: bool, a: &Array| if kept { a.clone() } else { a.forget() };
    let parents = inputs.iter().map(|t| if traced { Some(t.edge_in_trace()) } else { t.edge().cloned() });
    let parents = parents.collect();
    let of_inputs = inputs.iter().enumerate().map(|(i, t)| keep(saves.keeps_input(i), t.array()));
    let of_outputs = outputs.iter().enumerate().map(|(i, a)| keep(saves.keeps_output(i), a));
    let saved = of_inputs.chain(of_outputs).collect();
    (parents, saved)
}

fn attached(node: Shared<Node>, wants: bool, outputs: SmallVec<[Array; 3]>) -> Outputs {
    let attach = |(i, array)| Tensor::with_edge(array, Some(Edge::new(node.clone(), i as u32, wants)));
    outputs.into_iter().enumerate().map(attach).collect()
}
