//! The backward sweep. Gradients wait in a heap ordered by the age of the step they belong to. Taking the newest
//! first visits every step once, after everything that was computed from it, without recursion or marks.

use super::gradients::Gradients;
use super::node::{Edge, Node};
use super::{Grads, Step};
use crate::tensor::{Few, PoolVec, Tensor, few};
use crate::{DType, Error, Result};
use std::cell::RefCell;

/// A gradient on its way to the step that made the tensor.
struct Waiting {
    edge: Edge,
    grad: Tensor,
    /// Order of arrival, so that sums always add in the same order.
    arrival: u64,
}

impl Waiting {
    fn key(&self) -> (u64, std::cmp::Reverse<u64>) {
        (self.edge.node.id, std::cmp::Reverse(self.arrival))
    }
}

/// A binary max-heap in a pool block.
struct Queue {
    heap: PoolVec<Waiting>,
    arrivals: u64,
}

impl Queue {
    fn push(&mut self, edge: Edge, grad: Tensor) {
        self.arrivals += 1;
        self.heap.push(Waiting { edge, grad, arrival: self.arrivals });
        let mut at = self.heap.len() - 1;
        while at > 0 && self.heap[at].key() > self.heap[(at - 1) / 2].key() {
            self.heap.swap(at, (at - 1) / 2);
            at = (at - 1) / 2;
        }
    }

    fn pop(&mut self) -> Option<Waiting> {
        let last = self.heap.len().checked_sub(1)?;
        self.heap.swap(0, last);
        let top = self.heap.pop();
        let (mut at, len) = (0, self.heap.len());
        while 2 * at + 1 < len {
            let (left, right) = (2 * at + 1, 2 * at + 2);
            let child =
                if right < len && self.heap[right].key() > self.heap[left].key() { right } else { left };
            if self.heap[at].key() >= self.heap[child].key() {
                break;
            }
            self.heap.swap(at, child);
            at = child;
        }
        top
    }

    fn next_is(&self, id: u64) -> bool {
        self.heap.first().is_some_and(|w| w.edge.node.id == id)
    }
}

/// Adds `more` to `sum`, in place if nothing else holds the memory. Storage-only types add in float32 and are
/// rounded again.
pub(super) fn accumulate(sum: &mut Tensor, more: Tensor) -> Result<()> {
    let dtype = sum.dtype();
    if sum.shape() != more.shape() {
        let why = "two paths gave different shapes";
        return Err(Error::shapes("gradient", *sum.shape(), *more.shape(), why));
    }
    if matches!(dtype, DType::BF16 | DType::F16) {
        *sum = sum.cast(DType::F32)?.add(&more.cast(DType::F32)?)?.cast(dtype)?;
        return Ok(());
    }
    sum.add_in_place(&more)
}

impl Tensor {
    /// Returns the gradients of this number with respect to every leaf it was computed from. Consumes the tape:
    /// each step is freed as the sweep passes it, unless something else holds it.
    ///
    /// # Errors
    /// This is not a single number, it has no history, or a step has no gradient.
    pub fn backward(self) -> Result<Gradients> {
        let seed = seed(&self)?;
        let Some(edge) = self.edge().filter(|e| e.wants).cloned() else { return Err(no_history(&self)) };
        drop(self);
        let mut found = Gradients::default();
        sweep([(edge, seed)], false, |node, _, grad| {
            found.arrived(node, grad)?;
            Ok(true)
        })?;
        Ok(found)
    }
}

fn no_history(output: &Tensor) -> Error {
    Error::Backward(match output.cut() {
        Some(cut) => cut.to_string(),
        None => "this tensor was not computed from a tracked one, so nothing depends on anything: begin with tracked(), or \
                 read parameters by Cx::train(seed, step)"
            .into(),
    })
}

fn seed(output: &Tensor) -> Result<Tensor> {
    if output.elements() != 1 {
        let shape = output.shape();
        return Err(Error::Backward(format!(
            "expected one number, got shape {shape}: take sum() or mean() first"
        )));
    }
    output.new_full(*output.shape(), 1.0)
}

/// Returns the derivatives of a number with respect to each of `wrt`, which may be leaves or anything computed on
/// the way. The results are tracked: differentiating them gives the next order.
///
/// # Errors
/// `output` is not a single number or has no history, a step has no gradient, or `output` does not depend on one of
/// `wrt`.
pub fn grad(output: &Tensor, wrt: &[&Tensor]) -> Result<Vec<Tensor>> {
    sweep_of(output, seed(output)?, wrt)
}

/// Returns the derivatives of `Σ seed·output`.
pub(super) fn sweep_of(output: &Tensor, seed: Tensor, wrt: &[&Tensor]) -> Result<Vec<Tensor>> {
    let missing = |i: usize| Error::Backward(format!("the output does not depend on wrt[{i}]"));
    let found = sweep_some(output, seed, wrt)?.into_iter().enumerate();
    found.map(|(i, g)| g.ok_or_else(|| missing(i))).collect()
}

/// [`sweep_of`] where `output` may not depend on all of `wrt`.
pub(super) fn sweep_some(output: &Tensor, seed: Tensor, wrt: &[&Tensor]) -> Result<Vec<Option<Tensor>>> {
    let Some(edge) = output.edge().filter(|e| e.wants).cloned() else { return Err(no_history(output)) };
    let mut found: Vec<Option<Tensor>> = vec![None; wrt.len()];
    sweep([(edge, seed)], true, |node, index, grad| {
        for (slot, t) in found.iter_mut().zip(wrt) {
            if t.edge().is_some_and(|e| e.node.id == node.id && e.output == index) {
                *slot = Some(grad.clone());
            }
        }
        Ok(true)
    })?;
    Ok(found)
}

/// Returns the gradients of `inputs` from those of `outputs`, which were computed from them; nothing behind the
/// inputs is visited.
pub(super) fn pull(
    outputs: super::Outputs,
    grads: &[Option<Tensor>],
    inputs: &[Tensor],
    attached: bool,
) -> Result<Grads> {
    if outputs.len() != grads.len() {
        let (again, before) = (outputs.len(), grads.len());
        return Err(Error::Backward(format!("computed again, {before} outputs became {again}")));
    }
    let starts = outputs
        .iter()
        .zip(grads)
        .filter_map(|(t, g)| Some((t.edge().filter(|e| e.wants)?.clone(), g.clone()?)));
    let starts: Few<(Edge, Tensor), 3> = starts.collect();
    drop(outputs);
    let mut found: Grads = few![None; inputs.len()];
    sweep(starts, attached, |node, index, grad| {
        let mut inside = true;
        for (slot, t) in found.iter_mut().zip(inputs) {
            if t.edge().is_some_and(|e| e.node.id == node.id && e.output == index) && inside {
                (*slot, inside) = (Some(grad.clone()), false);
            }
        }
        Ok(inside)
    })?;
    Ok(found)
}

/// Returns the gradients of `inputs` from those of `outputs`, tracked: the rule of an operation that is itself a
/// gradient. Inputs may be results computed on the way.
pub(crate) fn gradients_of(
    outputs: super::Outputs,
    grads: &[Option<Tensor>],
    inputs: &[Tensor],
) -> Result<Grads> {
    pull(outputs, grads, inputs, true)
}

/// Visits every step behind `starts`, newest first, and passes `arrive` the finished gradient of each tracked
/// tensor; if it returns false, nothing behind that tensor is visited.
fn sweep(
    starts: impl IntoIterator<Item = (Edge, Tensor)>,
    attached: bool,
    mut arrive: impl FnMut(&Node, u32, Tensor) -> Result<bool>,
) -> Result<()> {
    let mut queue = Queue { heap: PoolVec::new(), arrivals: 0 };
    for (edge, seed) in starts {
        queue.push(edge, seed);
    }
    while let Some(Waiting { edge, grad, .. }) = queue.pop() {
        let id = edge.node.id;
        if edge.node.leaf.is_some() {
            let mut sum = grad;
            while queue.next_is(id) {
                if let Some(w) = queue.pop() {
                    accumulate(&mut sum, w.grad)?;
                }
            }
            arrive(&edge.node, 0, sum)?;
            continue;
        }
        let mut sums: Few<Option<Tensor>, 3> = few![None; Step::outputs(&edge.node)];
        let first = edge.output as usize;
        sums[first] = Some(grad);
        while queue.next_is(id) {
            if let Some(w) = queue.pop() {
                match &mut sums[w.edge.output as usize] {
                    Some(sum) => accumulate(sum, w.grad)?,
                    empty => *empty = Some(w.grad),
                }
            }
        }
        let mut go_on = true;
        for (i, g) in sums.iter().enumerate() {
            if let Some(g) = g {
                go_on &= arrive(&edge.node, i as u32, g.clone())?;
            }
        }
        if !go_on {
            continue;
        }
        let sums = RefCell::new(sums);
        let grads: Grads = Step { edge: &edge, grads: &sums, attached, hidden: 0 }.vjp()?;
        drop(sums);
        if grads.len() != edge.node.parents.len() {
            let (got, want) = (grads.len(), edge.node.parents.len());
            let name = edge.node.op().name();
            return Err(Error::Backward(format!(
                "the gradient rule of {name} gave {got} gradients for {want} inputs"
            )));
        }
        for (parent, grad) in edge.node.parents.iter().zip(grads) {
            if let (Some(parent), Some(grad)) = (parent, grad)
                && parent.wants
            {
                queue.push(parent.clone(), grad);
            }
        }
    }
    Ok(())
}
