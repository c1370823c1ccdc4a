//! `Node`: a recorded step of the tape and what it keeps for its gradient. Also takes long tapes apart without
//! recursion.

use super::Op;
use super::leaf::{Constant, Opaque};
use crate::Spec;
use crate::tensor::storage::Shared;
use crate::tensor::{Array, PoolVec};
use std::any::TypeId;
use std::sync::atomic::{AtomicU64, Ordering};

/// The order in which steps and parameters were created: larger is newer, so descending order is a reverse
/// topological order.
static NEXT_ID: AtomicU64 = AtomicU64::new(1);
pub(crate) fn fresh_id() -> u64 {
    NEXT_ID.fetch_add(1, Ordering::Relaxed)
}

/// Which values of a step its gradient rule reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Saves {
    inputs: u32,
    outputs: u32,
    /// Inputs from this one on are never kept.
    first: u32,
}

/// Returns the flag of value `i`; values beyond the flags share all of them.
const fn bit(i: usize) -> u32 {
    if i < 32 { 1 << i } else { u32::MAX }
}

impl Saves {
    /// No values, only shapes.
    pub const NONE: Saves = Saves { inputs: 0, outputs: 0, first: u32::MAX };
    /// All inputs.
    pub const INPUTS: Saves = Saves { inputs: u32::MAX, outputs: 0, first: u32::MAX };
    /// All outputs.
    pub const OUTPUTS: Saves = Saves { inputs: 0, outputs: u32::MAX, first: u32::MAX };
    /// Adds input `i`.
    #[must_use]
    pub const fn input(self, i: usize) -> Saves {
        Saves { inputs: self.inputs | bit(i), ..self }
    }
    /// Adds output `i`.
    #[must_use]
    pub const fn output(self, i: usize) -> Saves {
        Saves { outputs: self.outputs | bit(i), ..self }
    }
    /// Limits the inputs to the first `n`.
    pub(super) const fn first(self, n: u32) -> Saves {
        Saves { first: n, ..self }
    }
    fn has(mask: u32, i: usize) -> bool {
        mask == u32::MAX || (i < 32 && mask >> i & 1 == 1)
    }
    /// Returns whether input `i` is kept.
    pub(super) fn keeps_input(self, i: usize) -> bool {
        i < self.first as usize && Saves::has(self.inputs, i)
    }
    /// Returns whether output `i` is kept.
    pub(super) fn keeps_output(self, i: usize) -> bool {
        Saves::has(self.outputs, i)
    }
}

/// Where a recorded tensor comes from: a step, and which of its outputs it is.
#[derive(Clone)]
pub(crate) struct Edge {
    pub(crate) node: Shared<Node>,
    pub(crate) output: u32,
    /// Whether gradients are wanted behind it, which is not so for steps recorded only because a network is traced.
    pub(crate) wants: bool,
}

impl Edge {
    pub(super) fn new(node: Shared<Node>, output: u32, wants: bool) -> Edge {
        Edge { node, output, wants }
    }

    /// Returns the same place, from which no gradient flows back.
    pub(super) fn unwanted(&self) -> Edge {
        Edge { wants: false, ..self.clone() }
    }
}

/// A recorded step. The operation is its last field, so that a step is one block of the pool.
pub(crate) struct Node<O: ?Sized = dyn Op> {
    pub(crate) id: u64,
    /// For a leaf, the key under which its gradient is delivered.
    pub(crate) leaf: Option<u64>,
    /// Whether it was recorded while a network was traced: then every input has an edge.
    pub(super) traced: bool,
    pub(crate) parents: PoolVec<Option<Edge>>,
    /// Inputs, then outputs; without values where the rule does not read them.
    pub(super) saved: PoolVec<Array>,
    pub(super) op: O,
}

impl Node {
    /// Returns the operation.
    pub(crate) fn op(&self) -> &dyn Op {
        &self.op
    }

    /// Iterates over shape and dtype of each output.
    pub(crate) fn outputs(&self) -> impl ExactSizeIterator<Item = Spec> {
        self.saved[self.parents.len()..].iter().map(Array::spec)
    }

    /// Returns whether it stands for a tensor whose computation is unknown.
    pub(crate) fn is_opaque(&self) -> bool {
        self.op.kind() == TypeId::of::<Opaque>()
    }

    /// For a leaf of some rows of a table, returns their indices, and the table.
    pub(super) fn rows(&self) -> Option<(&Array, Spec)> {
        match &self.saved[..] {
            [index, table] if self.leaf.is_some() && self.parents.is_empty() => Some((index, table.spec())),
            _ => None,
        }
    }

    /// Returns whether it is a leaf that was known before the trace.
    pub(crate) fn is_constant(&self) -> bool {
        self.op.kind() == TypeId::of::<Constant>()
    }

    /// Returns the values of a leaf that is a constant in a trace.
    pub(crate) fn constant(&self) -> Option<&Array> {
        self.saved.first().filter(|a| self.is_constant() && !a.is_traced())
    }
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.op.fmt(f)
    }
}

impl<O: ?Sized> Drop for Node<O> {
    fn drop(&mut self) {
        take_apart(&mut self.parents);
    }
}

/// Takes the chain behind a step apart in a loop, because a million steps must not need a million stack frames.
fn take_apart(parents: &mut PoolVec<Option<Edge>>) {
    let mut pending = std::mem::take(parents);
    while let Some(edge) = pending.pop() {
        if let Some(mut edge) = edge
            && let Some(node) = edge.node.unique()
        {
            let parents = std::mem::take(&mut node.parents);
            drop_into(parents, &mut pending);
        }
    }
}

fn drop_into(mut parents: PoolVec<Option<Edge>>, pending: &mut PoolVec<Option<Edge>>) {
    while let Some(edge) = parents.pop() {
        if edge.is_some() {
            pending.push(edge);
        }
    }
}
