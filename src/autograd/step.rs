//! `Step`: what a gradient rule sees of the step that it belongs to.

use super::Outputs;
use super::node::{Edge, Node};
use crate::tensor::{Few, Tensor};
use crate::{Error, Result, Shape, Spec};
use std::cell::RefCell;

/// Gradients of a step's inputs, `None` where there is none (as for an integer input) or none is wanted.
pub type Grads = Few<Option<Tensor>, 3>;

/// The arguments of a gradient rule: the step's inputs and outputs and the gradients of its outputs.
pub struct Step<'a> {
    pub(super) edge: &'a Edge,
    pub(super) grads: &'a RefCell<Few<Option<Tensor>, 3>>,
    pub(super) attached: bool,
    /// The number of inputs at the end that the rule does not see.
    pub(super) hidden: usize,
}

impl Step<'_> {
    fn node(&self) -> &Node {
        &self.edge.node
    }

    /// Returns whether the gradient of input `i` is wanted; rules skip the others.
    pub fn wants(&self, i: usize) -> bool {
        self.node().parents[i].as_ref().is_some_and(|parent| parent.wants)
    }

    /// Returns how many inputs the step has.
    pub fn inputs(&self) -> usize {
        self.node().parents.len() - self.hidden
    }

    /// Returns shape and dtype of input `i`.
    pub fn spec(&self, i: usize) -> Spec {
        self.node().saved[i].spec()
    }

    /// Returns input `i`, which [`Op::saves`](super::Op::saves) must have named.
    pub fn input(&self, i: usize) -> Tensor {
        let node = self.node();
        Tensor::with_edge(node.saved[i].clone(), node.parents[i].as_ref().and_then(|edge| self.kept(edge)))
    }

    /// Returns output `i`, which [`Op::saves`](super::Op::saves) must have named.
    pub fn output(&self, i: usize) -> Tensor {
        let edge = Edge { node: self.edge.node.clone(), output: i as u32, wants: true };
        Tensor::with_edge(self.node().saved[self.node().parents.len() + i].clone(), self.kept(&edge))
    }

    /// Returns the history of a saved value. The sweep decides whether it has one: it does if the rule will itself
    /// be differentiated, and in a trace, where what is computed from it must be found again.
    fn kept(&self, edge: &Edge) -> Option<Edge> {
        match (self.attached, self.node().traced) {
            (true, _) => Some(edge.clone()),
            (false, true) => Some(edge.unwanted()),
            (false, false) => None,
        }
    }

    /// Returns the gradients of the inputs by the composed form: the gradients of `f`, which writes what the step
    /// computes in tensor operations. Use it as the rule of a fused kernel.
    ///
    /// # Errors
    /// Those of `f` and of its gradients.
    pub fn composed(&self, f: impl FnOnce(&[Tensor]) -> Result<Outputs>) -> Result<Grads> {
        // Inside, the inputs are leaves of a separate tape, unless that tape will itself be differentiated.
        let input = |i: usize| {
            let t = self.input(i);
            if self.attached || !self.wants(i) { t } else { t.tracked() }
        };
        let inputs: Few<Tensor, 8> = (0..self.inputs()).map(input).collect();
        let outputs = f(&inputs)?;
        if !self.node().traced && outputs.iter().any(|t| t.is_traced()) {
            let why =
                "what is computed again depends on a tensor of a trace that has ended: make it an input";
            return Err(Error::Backward(why.into()));
        }
        super::backward::pull(outputs, &self.grads.borrow(), &inputs, self.attached)
    }

    /// Returns the gradient of output `i`; zeros if none flowed into it.
    ///
    /// # Errors
    /// There is not enough memory for the zeros.
    pub fn grad(&self, i: usize) -> Result<Tensor> {
        let grads = self.grads.borrow();
        match &grads[i] {
            Some(g) => Ok(g.clone()),
            None => {
                let spec = self.spec_of_output(i);
                match grads.iter().flatten().next() {
                    Some(like) if like.is_traced() => like.new_full(spec.shape, 0.0)?.cast(spec.dtype),
                    _ => Tensor::filled(spec, 0.0),
                }
            }
        }
    }

    /// [`Step::grad`], for kernels that read any strides: the zeros are a single one, seen everywhere.
    pub(crate) fn grad_or_one_zero(&self, i: usize) -> Result<Tensor> {
        let grads = self.grads.borrow();
        if grads[i].is_some() || grads.iter().flatten().any(Tensor::is_traced) {
            return self.grad(i);
        }
        let spec = self.spec_of_output(i);
        Tensor::filled(Spec::new(Shape::SCALAR, spec.dtype), 0.0)?.broadcast_to(spec.shape)
    }

    fn spec_of_output(&self, i: usize) -> Spec {
        self.node().saved[self.node().parents.len() + i].spec()
    }

    /// Changes the gradient of output `i` to what `f` makes of it, and returns it. The step holds no other reference
    /// meanwhile, so `f` may work in place.
    pub(crate) fn change_grad(&self, i: usize, f: impl FnOnce(&mut Tensor) -> Result<()>) -> Result<Tensor> {
        let held = self.grads.borrow_mut()[i].take();
        let mut g = held.map_or_else(|| self.grad(i), Ok)?;
        f(&mut g)?;
        self.grads.borrow_mut()[i] = Some(g.clone());
        Ok(g)
    }

    pub(super) fn vjp(&self) -> Result<Grads> {
        self.node().op.vjp(self).map_err(|e| {
            super::watch::failed(self.node().id);
            match e {
                e @ Error::At { .. } => e,
                e => e.at(format!("gradient of {}", self.node().op.name())),
            }
        })
    }

    pub(super) fn outputs(node: &Node) -> usize {
        node.saved.len() - node.parents.len()
    }
}
