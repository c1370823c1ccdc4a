//! Why it exists: one recorded step of the tape, what it keeps for its gradient, and how a long tape is taken
//! apart without recursion.

use super::{Op, Outputs, Specs};
use crate::tensor::storage::{PoolVec, Shared};
use crate::tensor::{Array, Tensor};
use crate::{Error, Result, Spec};
use smallvec::SmallVec;
use std::sync::atomic::{AtomicU64, Ordering};

/// Gradients of a step's inputs, `None` where there is none (an integer input) or none is wanted.
pub type Grads = SmallVec<[Option<Tensor>; 3]>;

/// Creation order of steps and parameters: larger is newer, so descending order is a reverse topological order.
static NEXT_ID: AtomicU64 = AtomicU64::new(1);
pub(crate) fn fresh_id() -> u64 {
    NEXT_ID.fetch_add(1, Ordering::Relaxed)
}

/// Which values of a step its gradient rule reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Saves {
    inputs: u32,
    outputs: u32,
}

/// The flag of value `i`; beyond the flags, all of them.
const fn bit(i: usize) -> u32 {
    if i < 32 { 1 << i } else { u32::MAX }
}

impl Saves {
    /// No values, only shapes.
    pub const NONE: Saves = Saves { inputs: 0, outputs: 0 };
    /// All inputs.
    pub const INPUTS: Saves = Saves { inputs: u32::MAX, outputs: 0 };
    /// All outputs.
    pub const OUTPUTS: Saves = Saves { inputs: 0, outputs: u32::MAX };
    /// Also input `i`.
    #[must_use]
    pub const fn input(self, i: usize) -> Saves {
        Saves { inputs: self.inputs | bit(i), outputs: self.outputs }
    }
    /// Also output `i`.
    #[must_use]
    pub const fn output(self, i: usize) -> Saves {
        Saves { inputs: self.inputs, outputs: self.outputs | bit(i) }
    }
    fn has(mask: u32, i: usize) -> bool {
        mask == u32::MAX || (i < 32 && mask >> i & 1 == 1)
    }
}

/// Where a tracked tensor comes from: a step and which of its outputs.
#[derive(Clone)]
pub(crate) struct Edge {
    pub(crate) node: Shared<Node>,
    pub(crate) output: u32,
}

/// A recorded step. The operation lies at its end, so that a step is one block of the pool.
pub(crate) struct Node<O: ?Sized = dyn Op> {
    pub(crate) id: u64,
    /// For a leaf, the key under which its gradient is delivered.
    pub(crate) leaf: Option<u64>,
    pub(crate) parents: PoolVec<Option<Edge>>,
    /// Inputs, then outputs; without values where the rule does not read them.
    saved: PoolVec<Array>,
    op: O,
}

impl Node {
    /// The operation's name.
    pub(crate) fn name(&self) -> &'static str {
        self.op.name()
    }

    /// For a leaf that is some rows of a table: their numbers, and the table.
    pub(super) fn rows(&self) -> Option<(&Array, Spec)> {
        match &self.saved[..] {
            [index, table] if self.leaf.is_some() => Some((index, table.spec())),
            _ => None,
        }
    }
}

impl<O: ?Sized> Drop for Node<O> {
    fn drop(&mut self) {
        take_apart(&mut self.parents);
    }
}

/// Takes the chain behind a step apart in a loop: a million steps must not be a million stack frames.
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

/// The operation behind a leaf: nothing to compute or differentiate.
#[derive(Debug)]
struct Leaf;
impl Op for Leaf {
    fn name(&self) -> &'static str {
        "leaf"
    }
    fn infer(&self, _: &[Spec]) -> Result<Specs> {
        Err(Error::Backward("a leaf is not computed".into()))
    }
    fn eval(&self, _: &[&Array], _: &mut [Array]) -> Result<()> {
        Ok(())
    }
    fn vjp(&self, _: &Step<'_>) -> Result<Grads> {
        Ok(Grads::new())
    }
}

/// A step before its operation is put into it.
pub(super) struct Made {
    parents: PoolVec<Option<Edge>>,
    /// As in [`Node`].
    saved: PoolVec<Array>,
    outputs: SmallVec<[Array; 3]>,
}

/// An operation has been run.
pub(super) enum Ran {
    /// Nothing is tracked.
    Plain(SmallVec<[Array; 3]>),
    /// To be recorded.
    Tracked(Made),
}

/// What there is to record of an operation that was run: compiled once, for all operations.
pub(super) fn ran(op: &dyn Op, inputs: &[&Tensor], outputs: SmallVec<[Array; 3]>) -> Ran {
    if !inputs.iter().any(|t| t.is_tracked()) {
        return Ran::Plain(outputs);
    }
    let (parents, saved) = kept(op, inputs, &outputs);
    Ran::Tracked(Made { parents, saved, outputs })
}

impl Ran {
    /// The outputs, attached to a step that holds the operation if one is recorded.
    pub(super) fn outputs<O: Op>(self, op: O) -> Outputs {
        match self {
            Ran::Plain(outputs) => outputs.into_iter().map(Tensor::from).collect(),
            Ran::Tracked(made) => made.recorded(op),
        }
    }

    /// The first output.
    pub(super) fn output<O: Op>(self, op: O) -> Tensor {
        match self {
            Ran::Plain(mut outputs) => outputs.swap_remove(0).into(),
            Ran::Tracked(made) => made.recorded(op).swap_remove(0),
        }
    }
}

impl Made {
    fn recorded<O: Op>(self, op: O) -> Outputs {
        let Made { parents, saved, outputs } = self;
        let node = Shared::new(Node { id: fresh_id(), leaf: None, parents, saved, op });
        attached(node.erase(|n| n as &mut Node), outputs)
    }
}

/// What a step remembers.
fn kept(op: &dyn Op, inputs: &[&Tensor], outputs: &[Array]) -> (PoolVec<Option<Edge>>, PoolVec<Array>) {
    let wants: SmallVec<[bool; 4]> = inputs.iter().map(|t| t.is_tracked()).collect();
    let saves = op.saves(&wants);
    let keep = |mask, (i, a): (usize, &Array)| if Saves::has(mask, i) { a.clone() } else { a.forget() };
    let parents = inputs.iter().map(|t| t.edge().cloned()).collect();
    let saved_inputs = inputs.iter().map(|t| t.array()).enumerate().map(|x| keep(saves.inputs, x));
    let saved = saved_inputs.chain(outputs.iter().enumerate().map(|x| keep(saves.outputs, x))).collect();
    (parents, saved)
}

fn attached(node: Shared<Node>, outputs: SmallVec<[Array; 3]>) -> Outputs {
    let attach = |(i, array)| Tensor::with_edge(array, Some(Edge { node: node.clone(), output: i as u32 }));
    outputs.into_iter().enumerate().map(attach).collect()
}

impl Tensor {
    /// The same values as a leaf whose gradient can be asked for: everything computed from it is recorded.
    pub fn tracked(&self) -> Tensor {
        let id = fresh_id();
        Tensor::leaf(self.array().clone(), id)
    }

    /// A leaf whose gradient is delivered under `key`.
    pub(crate) fn leaf(array: Array, key: u64) -> Tensor {
        let (parents, saved) = (PoolVec::new(), PoolVec::new());
        let node = Shared::new(Node { id: fresh_id(), leaf: Some(key), parents, saved, op: Leaf });
        Tensor::with_edge(array, Some(Edge { node: node.erase(|n| n as &mut Node), output: 0 }))
    }

    /// A leaf that is the rows `index` of a table; their gradient is delivered under the table's `key`.
    pub(crate) fn leaf_of_rows(rows: Array, key: u64, index: Array, table: &Array) -> Tensor {
        let saved = [index, table.forget()].into_iter().collect();
        let node = Node { id: fresh_id(), leaf: Some(key), parents: PoolVec::new(), saved, op: Leaf };
        let node = Shared::new(node).erase(|n| n as &mut Node);
        Tensor::with_edge(rows, Some(Edge { node, output: 0 }))
    }

    /// The same values without history: nothing flows back through it. (Keras: `stop_gradient`.)
    pub fn detach(&self) -> Tensor {
        Tensor::from(self.array().clone())
    }
}

/// What a gradient rule is given: the step's inputs and outputs and the gradients of its outputs.
pub struct Step<'a> {
    pub(super) edge: &'a Edge,
    pub(super) grads: &'a [Option<Tensor>],
    pub(super) attached: bool,
}

impl Step<'_> {
    fn node(&self) -> &Node {
        &self.edge.node
    }

    /// Whether the rule will itself be differentiated: then it must be made of recorded operations.
    pub fn attached(&self) -> bool {
        self.attached
    }

    /// Whether the gradient of input `i` is wanted; rules skip the others.
    pub fn wants(&self, i: usize) -> bool {
        self.node().parents[i].is_some()
    }

    /// How many inputs the step has.
    pub fn inputs(&self) -> usize {
        self.node().parents.len()
    }

    /// Shape and dtype of input `i`.
    pub fn spec(&self, i: usize) -> Spec {
        self.node().saved[i].spec()
    }

    /// Input `i`, which [`Op::saves`] must have named.
    pub fn input(&self, i: usize) -> Tensor {
        let node = self.node();
        let edge = if self.attached { node.parents[i].clone() } else { None };
        Tensor::with_edge(node.saved[i].clone(), edge)
    }

    /// Output `i`, which [`Op::saves`] must have named.
    pub fn output(&self, i: usize) -> Tensor {
        let node = self.node();
        let edge = self.attached.then(|| Edge { node: self.edge.node.clone(), output: i as u32 });
        Tensor::with_edge(node.saved[node.parents.len() + i].clone(), edge)
    }

    /// The gradient of output `i`; zeros if nothing flowed into it.
    ///
    /// # Errors
    /// Memory for the zeros cannot be had.
    pub fn grad(&self, i: usize) -> Result<Tensor> {
        match &self.grads[i] {
            Some(g) => Ok(g.clone()),
            None => Tensor::filled(self.node().saved[self.node().parents.len() + i].spec(), 0.0),
        }
    }

    pub(super) fn vjp(&self) -> Result<Grads> {
        self.node().op.vjp(self).map_err(|e| match e {
            e @ Error::At { .. } => e,
            e => e.at(format!("gradient of {}", self.node().op.name())),
        })
    }

    pub(super) fn outputs(node: &Node) -> usize {
        node.saved.len() - node.parents.len()
    }
}
