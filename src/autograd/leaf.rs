//! Where a tape begins and ends: tensors whose gradients are wanted, and in a trace inputs, parameters, constants
//! and tensors that are cut off from their history.

use super::cut::Cut;
use super::node::{Edge, Node, fresh_id};
use super::{Attributes, Attrs, Grads, Op, Specs, Step, nothing_flows};
use crate::kernels::strided::Layout;
use crate::tensor::storage::Shared;
use crate::tensor::{Array, PoolVec, Tensor, few};
use crate::{Error, Result, Spec};
use std::ptr::NonNull;

/// Declares operations that stand for leaves: there is nothing to compute or differentiate.
macro_rules! leaves {
    ($($(#[$doc:meta])* $type:ident = $name:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub(super) struct $type;
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
            /// For a constant computed from tracked tensors before the trace, returns the gradient that flows on to
            /// them.
            fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
                (0..step.inputs()).map(|_| step.grad(0).map(Some)).collect()
            }
        }
    )*};
}
leaves! {
    /// A tensor whose gradient is wanted, a parameter, or an input of a trace.
    Leaf = "leaf";
    /// A tensor that existed before a trace met it.
    Constant = "constant";
    /// The output of a layer that can only give shapes.
    Opaque = "opaque";
}

crate::op! {
    /// The input without its history.
    pub(crate) struct Detach("detach", 1) {}
}
impl Op for Detach {
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        Ok(few![inputs[0]])
    }
    fn view(&self, input: &Layout, _: Spec) -> Option<Layout> {
        Some(*input)
    }
    fn eval(&self, _: &[&Array], _: &mut [Array]) -> Result<()> {
        Ok(())
    }
    nothing_flows!();
}

/// Makes a node for which nothing was computed.
fn leaf<O: Op>(op: O, leaf: Option<u64>, parents: PoolVec<Option<Edge>>, saved: Array) -> Shared<Node> {
    let traced = saved.is_traced();
    let saved = std::iter::repeat_n(saved, parents.len() + 1).collect();
    Shared::new(Node { id: fresh_id(), leaf, traced, parents, saved, op }).erase(|n| n as NonNull<Node>)
}

impl Tensor {
    /// Returns the same values as a leaf whose gradient can be asked for: everything computed from it is recorded.
    pub fn tracked(&self) -> Tensor {
        // In a trace, the leaf remembers what it stands for.
        let parents = self.is_traced().then(|| Some(self.edge_in_trace().unwanted())).into_iter().collect();
        let node = leaf(Leaf, Some(fresh_id()), parents, self.array().forget());
        Tensor::with_edge(self.array().clone(), Some(Edge::new(node, 0, true)))
    }

    /// Makes a leaf whose gradient, if wanted, is delivered under `key`.
    pub(crate) fn leaf(array: Array, key: u64, wants: bool) -> Tensor {
        let node = leaf(Leaf, Some(key), PoolVec::new(), array.forget());
        Tensor::with_edge(array, Some(Edge::new(node, 0, wants)))
    }

    /// Returns a tensor with only a shape and a dtype: what a layer returns while its network is traced if it reads
    /// values, and so cannot say how its outputs are computed. Such a network trains and predicts, but it cannot
    /// become a graph.
    pub fn opaque(spec: Spec) -> Tensor {
        let array = Array::traced(spec);
        let node = leaf(Opaque, None, PoolVec::new(), array.forget());
        Tensor::with_edge(array, Some(Edge::new(node, 0, false)))
    }

    /// Makes a leaf of the rows `index` of a table; their gradient is delivered under the table's `key`.
    pub(crate) fn leaf_of_rows(rows: Array, key: u64, index: Array, table: &Array) -> Tensor {
        let saved = [index, table.forget()].into_iter().collect();
        let (leaf, traced, parents) = (Some(key), false, PoolVec::new());
        let node = Shared::new(Node { id: fresh_id(), leaf, traced, parents, saved, op: Leaf });
        Tensor::with_edge(rows, Some(Edge::new(node.erase(|n| n as NonNull<Node>), 0, true)))
    }

    /// Returns the same values without history: no gradient flows back through it. (Keras: `stop_gradient`.)
    pub fn detach(&self) -> Tensor {
        if self.is_traced()
            && let Ok(detached) = super::apply1(Detach {}, &[self])
        {
            return detached;
        }
        let cut = if self.is_tracked() { Some(Cut::Detached) } else { self.cut() };
        Tensor::from(self.array().clone()).with_cut(cut)
    }

    /// Returns where it comes from, in a trace; a tensor with values is a constant there.
    pub(crate) fn edge_in_trace(&self) -> Edge {
        if let Some(edge) = self.edge().filter(|_| self.is_traced()) {
            return edge.clone();
        }
        // If it was computed from tracked tensors, gradients flow on to them.
        let before = self.edge().filter(|edge| edge.wants);
        let parents = before.map(|edge| Some(edge.clone())).into_iter().collect();
        Edge::new(leaf(Constant, None, parents, self.array().clone()), 0, before.is_some())
    }

    /// Returns the same tensor of a trace, from which no gradient flows back.
    pub(crate) fn anchor(&self) -> Tensor {
        let edge = if self.is_traced() { self.edge().map(Edge::unwanted) } else { None };
        Tensor::with_edge(self.array().clone(), edge)
    }
}
