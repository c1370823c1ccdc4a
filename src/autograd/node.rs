//! Why it exists: one recorded step of the tape, what it keeps for its gradient, and how a long tape is taken
//! apart without recursion.

use super::{Attributes, Attrs, Op, Outputs, Specs};
use crate::kernels::strided::Layout;
use crate::tensor::storage::{PoolVec, Shared};
use crate::tensor::{Array, Tensor};
use crate::{Error, Result, Spec};
use smallvec::SmallVec;
use std::any::TypeId;
use std::sync::Arc;
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
    /// Inputs from this one on are never kept.
    first: u32,
}

/// The flag of value `i`; beyond the flags, all of them.
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
    /// Also input `i`.
    #[must_use]
    pub const fn input(self, i: usize) -> Saves {
        Saves { inputs: self.inputs | bit(i), ..self }
    }
    /// Also output `i`.
    #[must_use]
    pub const fn output(self, i: usize) -> Saves {
        Saves { outputs: self.outputs | bit(i), ..self }
    }
    /// Of the inputs at most the first `n`.
    pub(super) const fn first(self, n: u32) -> Saves {
        Saves { first: n, ..self }
    }
    fn has(mask: u32, i: usize) -> bool {
        mask == u32::MAX || (i < 32 && mask >> i & 1 == 1)
    }
}

/// Where a recorded tensor comes from: a step and which of its outputs.
#[derive(Clone)]
pub(crate) struct Edge {
    pub(crate) node: Shared<Node>,
    pub(crate) output: u32,
    /// Whether gradients are wanted behind it. Not of what is recorded only because a network is traced.
    pub(crate) wants: bool,
}

impl Edge {
    fn new(node: Shared<Node>, output: u32, wants: bool) -> Edge {
        Edge { node, output, wants }
    }

    /// The same place, from which nothing flows back.
    fn unwanted(&self) -> Edge {
        Edge { wants: false, ..self.clone() }
    }
}

/// A recorded step. The operation lies at its end, so that a step is one block of the pool.
pub(crate) struct Node<O: ?Sized = dyn Op> {
    pub(crate) id: u64,
    /// For a leaf, the key under which its gradient is delivered.
    pub(crate) leaf: Option<u64>,
    /// Whether it was recorded while a network was traced: then every input has an edge.
    traced: bool,
    pub(crate) parents: PoolVec<Option<Edge>>,
    /// Inputs, then outputs; without values where the rule does not read them.
    saved: PoolVec<Array>,
    op: O,
}

impl Node {
    /// The operation.
    pub(crate) fn op(&self) -> &dyn Op {
        &self.op
    }

    /// Shape and dtype of each output.
    pub(crate) fn outputs(&self) -> impl ExactSizeIterator<Item = Spec> {
        self.saved[self.parents.len()..].iter().map(Array::spec)
    }

    /// Whether it stands for what has no way of coming about.
    pub(crate) fn is_opaque(&self) -> bool {
        self.op.kind() == TypeId::of::<Opaque>()
    }

    /// For a leaf that is some rows of a table: their numbers, and the table.
    pub(super) fn rows(&self) -> Option<(&Array, Spec)> {
        match &self.saved[..] {
            [index, table] if self.leaf.is_some() && self.parents.is_empty() => Some((index, table.spec())),
            _ => None,
        }
    }

    /// Whether it is a leaf that was known before the trace.
    pub(crate) fn is_constant(&self) -> bool {
        self.op.kind() == TypeId::of::<Constant>()
    }

    /// The values of a leaf that is a constant in a trace.
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

/// Declares what stands behind a leaf: nothing to compute or differentiate.
macro_rules! leaves {
    ($($(#[$doc:meta])* $type:ident = $name:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        struct $type;
        impl Attributes for $type {
            fn name(&self) -> &'static str {
                $name
            }
            fn inputs(&self) -> (usize, usize) {
                (0, 0)
            }
            fn attrs(&self) -> Attrs {
                Attrs::new()
            }
        }
        impl Op for $type {
            fn infer(&self, _: &[Spec]) -> Result<Specs> {
                Err(Error::Backward("a leaf is not computed".into()))
            }
            fn eval(&self, _: &[&Array], _: &mut [Array]) -> Result<()> {
                Ok(())
            }
            /// Of a constant that was computed from tracked tensors before the trace, what flows on to them.
            fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
                (0..step.inputs()).map(|_| step.grad(0).map(Some)).collect()
            }
        }
    )*};
}
leaves! {
    /// A tensor that gradients are asked for, a parameter, an input of a trace.
    Leaf = "leaf";
    /// What was known before a trace met it.
    Constant = "constant";
    /// What a layer that can only give shapes gives.
    Opaque = "opaque";
}

crate::op! {
    /// The input without its history.
    pub(crate) struct Detach("detach", 1) {}
}
impl Op for Detach {
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        Ok(smallvec::smallvec![inputs[0]])
    }
    fn view(&self, input: &Layout, _: Spec) -> Option<Layout> {
        Some(*input)
    }
    fn eval(&self, _: &[&Array], _: &mut [Array]) -> Result<()> {
        Ok(())
    }
    fn saves(&self, _: &[bool]) -> Saves {
        Saves::NONE
    }
    fn vjp(&self, _: &Step<'_>) -> Result<Grads> {
        Ok(smallvec::smallvec![None])
    }
    fn stops(&self) -> bool {
        true
    }
}

/// An operation that is held somewhere else too, as the steps of a graph are: everything is passed on.
impl Attributes for Arc<dyn Op> {
    fn name(&self) -> &'static str {
        (**self).name()
    }
    fn inputs(&self) -> (usize, usize) {
        (**self).inputs()
    }
    fn attrs(&self) -> Attrs {
        (**self).attrs()
    }
    fn is_described(&self) -> bool {
        (**self).is_described()
    }
    fn reseeded(&self, seed: u64, step: u64) -> Option<Arc<dyn Op>> {
        (**self).reseeded(seed, step)
    }
    fn is_random(&self) -> bool {
        (**self).is_random()
    }
}
impl Op for Arc<dyn Op> {
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        (**self).infer(inputs)
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        (**self).eval(inputs, outputs)
    }
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        (**self).vjp(step)
    }
    fn saves(&self, wants: &[bool]) -> Saves {
        (**self).saves(wants)
    }
    fn view(&self, input: &Layout, output: Spec) -> Option<Layout> {
        (**self).view(input, output)
    }
    fn eval_in_place(&self, first: &mut Array, rest: &[&Array]) -> Result<bool> {
        (**self).eval_in_place(first, rest)
    }
    fn stops(&self) -> bool {
        (**self).stops()
    }
    fn kind(&self) -> TypeId {
        (**self).kind()
    }
    fn shared(&self) -> Option<Arc<dyn Op>> {
        Some(self.clone())
    }
}

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
        let Made { traced, wants, parents, saved, outputs } = self;
        let (id, leaf) = (fresh_id(), None);
        let node = match traced {
            false => Shared::new(Node { id, leaf, traced, parents, saved, op }).erase(|n| n as &mut Node),
            // A graph takes the operation and leaves the tape.
            true => {
                let op: Arc<dyn Op> = op.shared().unwrap_or_else(|| Arc::new(op));
                Shared::new(Node { id, leaf, traced, parents, saved, op }).erase(|n| n as &mut Node)
            }
        };
        attached(node, wants, outputs)
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
    let keep = |mask, (i, a): (usize, &Array)| if Saves::has(mask, i) { a.clone() } else { a.forget() };
    let parents = inputs.iter().map(|t| if traced { Some(t.edge_in_trace()) } else { t.edge().cloned() });
    let parents = parents.collect();
    let mask = |i: usize| if i < saves.first as usize { saves.inputs } else { 0 };
    let saved_inputs = inputs.iter().map(|t| t.array()).enumerate().map(|x| keep(mask(x.0), x));
    let saved = saved_inputs.chain(outputs.iter().enumerate().map(|x| keep(saves.outputs, x))).collect();
    (parents, saved)
}

fn attached(node: Shared<Node>, wants: bool, outputs: SmallVec<[Array; 3]>) -> Outputs {
    let attach = |(i, array)| Tensor::with_edge(array, Some(Edge::new(node.clone(), i as u32, wants)));
    outputs.into_iter().enumerate().map(attach).collect()
}

/// A node that nothing was computed for.
fn leaf<O: Op>(op: O, leaf: Option<u64>, parents: PoolVec<Option<Edge>>, saved: Array) -> Shared<Node> {
    let traced = saved.is_traced();
    let saved = std::iter::repeat_n(saved, parents.len() + 1).collect();
    Shared::new(Node { id: fresh_id(), leaf, traced, parents, saved, op }).erase(|n| n as &mut Node)
}

impl Tensor {
    /// The same values as a leaf whose gradient can be asked for: everything computed from it is recorded.
    pub fn tracked(&self) -> Tensor {
        // In a trace the leaf remembers what it stands for.
        let parents = self.is_traced().then(|| Some(self.edge_in_trace().unwanted())).into_iter().collect();
        let node = leaf(Leaf, Some(fresh_id()), parents, self.array().forget());
        Tensor::with_edge(self.array().clone(), Some(Edge::new(node, 0, true)))
    }

    /// A leaf whose gradient, if it is wanted, is delivered under `key`.
    pub(crate) fn leaf(array: Array, key: u64, wants: bool) -> Tensor {
        let node = leaf(Leaf, Some(key), PoolVec::new(), array.forget());
        Tensor::with_edge(array, Some(Edge::new(node, 0, wants)))
    }

    /// Only a shape and a dtype: what a layer returns while its network is traced if it cannot say how its outputs come about,
    /// because it reads values. Such a network trains and predicts; it cannot become a graph.
    pub fn opaque(spec: Spec) -> Tensor {
        let array = Array::traced(spec);
        let node = leaf(Opaque, None, PoolVec::new(), array.forget());
        Tensor::with_edge(array, Some(Edge::new(node, 0, false)))
    }

    /// A leaf that is the rows `index` of a table; their gradient is delivered under the table's `key`.
    pub(crate) fn leaf_of_rows(rows: Array, key: u64, index: Array, table: &Array) -> Tensor {
        let saved = [index, table.forget()].into_iter().collect();
        let (leaf, traced, parents) = (Some(key), false, PoolVec::new());
        let node = Shared::new(Node { id: fresh_id(), leaf, traced, parents, saved, op: Leaf });
        Tensor::with_edge(rows, Some(Edge::new(node.erase(|n| n as &mut Node), 0, true)))
    }

    /// The same values without history: nothing flows back through it. (Keras: `stop_gradient`.)
    pub fn detach(&self) -> Tensor {
        if self.is_traced()
            && let Ok(detached) = super::apply1(Detach {}, &[self])
        {
            return detached;
        }
        Tensor::from(self.array().clone())
    }

    /// Where it comes from, in a trace: what has values is a constant there.
    pub(crate) fn edge_in_trace(&self) -> Edge {
        if let Some(edge) = self.edge().filter(|_| self.is_traced()) {
            return edge.clone();
        }
        // If it was computed from tracked tensors, gradients go on to them.
        let before = self.edge().filter(|edge| edge.wants);
        let parents = before.map(|edge| Some(edge.clone())).into_iter().collect();
        Edge::new(leaf(Constant, None, parents, self.array().clone()), 0, before.is_some())
    }

    /// The same tensor of a trace, from which nothing flows back.
    pub(crate) fn anchor(&self) -> Tensor {
        let edge = if self.is_traced() { self.edge().map(Edge::unwanted) } else { None };
        Tensor::with_edge(self.array().clone(), edge)
    }
}

/// What a gradient rule is given: the step's inputs and outputs and the gradients of its outputs.
pub struct Step<'a> {
    pub(super) edge: &'a Edge,
    pub(super) grads: &'a [Option<Tensor>],
    pub(super) attached: bool,
    /// Inputs at the end that the rule is not told of.
    pub(super) hidden: usize,
}

impl Step<'_> {
    fn node(&self) -> &Node {
        &self.edge.node
    }

    /// Whether the gradient of input `i` is wanted; rules skip the others.
    pub fn wants(&self, i: usize) -> bool {
        self.node().parents[i].as_ref().is_some_and(|parent| parent.wants)
    }

    /// How many inputs the step has.
    pub fn inputs(&self) -> usize {
        self.node().parents.len() - self.hidden
    }

    /// Shape and dtype of input `i`.
    pub fn spec(&self, i: usize) -> Spec {
        self.node().saved[i].spec()
    }

    /// Input `i`, which [`Op::saves`] must have named.
    pub fn input(&self, i: usize) -> Tensor {
        let node = self.node();
        Tensor::with_edge(node.saved[i].clone(), node.parents[i].as_ref().and_then(|edge| self.kept(edge)))
    }

    /// Output `i`, which [`Op::saves`] must have named.
    pub fn output(&self, i: usize) -> Tensor {
        let edge = Edge { node: self.edge.node.clone(), output: i as u32, wants: true };
        Tensor::with_edge(self.node().saved[self.node().parents.len() + i].clone(), self.kept(&edge))
    }

    /// Whether saved values carry history is the sweep's business: they do if the rule will itself be differentiated, and in
    /// a trace, where what is computed from them must be found again.
    fn kept(&self, edge: &Edge) -> Option<Edge> {
        match (self.attached, self.node().traced) {
            (true, _) => Some(edge.clone()),
            (false, true) => Some(edge.unwanted()),
            (false, false) => None,
        }
    }

    /// The gradients of the inputs by the composed form: those of `f`, which says in tensor operations what the step computes
    /// from its inputs. The rule of a fused kernel.
    ///
    /// # Errors
    /// Those of `f` and of its gradients.
    pub fn composed(&self, f: impl FnOnce(&[Tensor]) -> Result<Outputs>) -> Result<Grads> {
        // Inside, the inputs are leaves of a tape of its own, unless that tape will be differentiated itself.
        let input = |i: usize| {
            let t = self.input(i);
            if self.attached || !self.wants(i) { t } else { t.tracked() }
        };
        let inputs: SmallVec<[Tensor; 8]> = (0..self.inputs()).map(input).collect();
        let outputs = f(&inputs)?;
        if !self.node().traced && outputs.iter().any(|t| t.is_traced()) {
            let why =
                "what is computed again depends on a tensor of a trace that has ended: make it an input";
            return Err(Error::Backward(why.into()));
        }
        super::backward::pull(outputs, self.grads, &inputs, self.attached)
    }

    /// The gradient of output `i`; zeros if nothing flowed into it.
    ///
    /// # Errors
    /// Memory for the zeros cannot be had.
    pub fn grad(&self, i: usize) -> Result<Tensor> {
        match &self.grads[i] {
            Some(g) => Ok(g.clone()),
            None => {
                let spec = self.node().saved[self.node().parents.len() + i].spec();
                match self.grads.iter().flatten().next() {
                    Some(like) if like.is_traced() => like.new_full(spec.shape, 0.0)?.cast(spec.dtype),
                    _ => Tensor::filled(spec, 0.0),
                }
            }
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
