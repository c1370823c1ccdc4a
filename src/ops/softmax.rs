//! Why it exists: softmax and the cross-entropies, fused: they are where naive formulas overflow and where most
//! passes over memory can be saved.

use super::elementwise::float;
use super::promote::indices;
use crate::autograd::{Grads, Op, Saves, Specs, Step, apply, apply1};
use crate::dtype::dispatch_float;
use crate::kernels::{par, softmax as kernel};
use crate::tensor::{Array, Tensor};
use crate::{DType, Error, MAX_RANK, Result, Shape, Spec};
use smallvec::smallvec;

super::table::ops! {
    softmax: Floats, Every, "Softmax";
    log_softmax: Floats, Every, "LogSoftmax";
    sparse_cross_entropy: Floats, Every, "SoftmaxCrossEntropyLoss";
    cross_entropy: Floats, Every, "";
}

/// The length of the last axis, which must exist.
fn classes(op: &'static str, shape: &Shape) -> Result<usize> {
    shape.dims().last().copied().ok_or_else(|| Error::shape(op, "at least one dimension", *shape))
}

/// Cost of a softmax element against an addition.
const COST: usize = 8;

/// Along the last axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Softmax {
    Plain,
    Log,
}

impl Op for Softmax {
    fn name(&self) -> &'static str {
        if *self == Softmax::Plain { "softmax" } else { "log_softmax" }
    }
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        float(self.name(), inputs[0].dtype)?;
        classes(self.name(), &inputs[0].shape)?;
        Ok(smallvec![inputs[0]])
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        let n = classes(self.name(), inputs[0].shape())?;
        dispatch_float!(self.name(), inputs[0].dtype(), T => {
            let x = inputs[0].contiguous()?;
            let x = x.slice::<T>()?;
            par::chunks(outputs[0].slice_mut::<T>()?, n.max(1), par::GRAIN / COST, &|first, run: &mut [T]| {
                let x = &x[first * n..first * n + run.len()];
                if *self == Softmax::Plain { kernel::softmax(x, run, n) } else { kernel::log_softmax(x, run, n) }
            });
        });
        Ok(())
    }
    fn saves(&self, _: &[bool]) -> Saves {
        Saves::OUTPUTS
    }
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        let (g, y) = (step.grad(0)?, step.output(0));
        if *self == Softmax::Log {
            return Ok(smallvec![Some(g.sub(&y.exp()?.mul(&g.sum(&[-1], true)?)?)?)]);
        }
        if step.attached() {
            let dot = g.mul(&y)?.sum(&[-1], true)?;
            return Ok(smallvec![Some(g.sub(&dot)?.mul(&y)?)]);
        }
        let n = classes("softmax", y.shape())?;
        let mut out = Array::new(y.spec())?;
        dispatch_float!("softmax", y.dtype(), T => {
            let (g, y) = (g.array().contiguous()?, y.array());
            let (g, y) = (g.slice::<T>()?, y.slice::<T>()?);
            par::chunks(out.slice_mut::<T>()?, n.max(1), par::GRAIN / 2, &|first, run: &mut [T]| {
                let part = first * n..first * n + run.len();
                kernel::softmax_grad(&y[part.clone()], &g[part], run, n);
            });
        });
        Ok(smallvec![Some(out.into())])
    }
}

/// `logsumexp(x) - x[label]` along the last axis. Two more outputs keep the parts of the logsumexp for the gradient.
#[derive(Debug)]
struct SparseCrossEntropy;

impl Op for SparseCrossEntropy {
    fn name(&self) -> &'static str {
        "sparse_cross_entropy"
    }
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        let [x, labels] = [inputs[0], inputs[1]];
        float(self.name(), x.dtype)?;
        if labels.dtype != DType::I64 {
            return Err(Error::DType { op: self.name(), expected: "int64 labels", got: labels.dtype });
        }
        classes(self.name(), &x.shape)?;
        let mut last = [false; MAX_RANK];
        last[x.shape.rank() - 1] = true;
        let rows = x.shape.reduced(&last, false);
        if labels.shape != rows {
            let why = format!("labels should have shape {rows}: one for each row of logits");
            return Err(Error::shapes(self.name(), x.shape, labels.shape, why));
        }
        let row = Spec::new(rows, x.dtype);
        Ok(smallvec![row, row, row])
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        let n = classes(self.name(), inputs[0].shape())?;
        let labels = inputs[1].contiguous()?;
        let labels = labels.slice::<i64>()?;
        if let Some(at) = labels.iter().position(|&l| l < 0 || l >= n as i64) {
            let (value, last) = (labels[at], n as i64 - 1);
            return Err(Error::Index { op: self.name(), what: "label", value, position: at, last });
        }
        let [loss, max, log] = outputs else { return Ok(()) };
        dispatch_float!(self.name(), inputs[0].dtype(), T => {
            let x = inputs[0].contiguous()?;
            let x = x.slice::<T>()?;
            let (max, log) = (max.slice_mut::<T>()?, log.slice_mut::<T>()?);
            if log.is_empty() {
                return Ok(());
            }
            let grain = (par::GRAIN / COST / n).max(1);
            par::rows(loss.slice_mut::<T>()?, 1, [max, log], grain, &|first, loss, [max, log]: [&mut [T]; 2]| {
                let x = &x[first * n..(first + loss.len()) * n];
                kernel::logsumexp(x, max, log, n);
                for (r, o) in loss.iter_mut().enumerate() {
                    *o = log[r] - (x[r * n + labels[first + r] as usize] - max[r]);
                }
            });
        });
        Ok(())
    }
    fn saves(&self, _: &[bool]) -> Saves {
        Saves::INPUTS.output(1).output(2)
    }
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        let (x, labels, g) = (step.input(0), step.input(1), step.grad(0)?);
        let n = classes(self.name(), x.shape())?;
        if step.attached() {
            let hot = labels.one_hot(n, x.dtype())?;
            let grad = x.softmax(-1)?.sub(&hot)?.mul(&g.expand_dims(-1)?)?;
            return Ok(smallvec![Some(grad), None]);
        }
        let (max, log, mut out) = (step.output(1), step.output(2), Array::new(x.spec())?);
        dispatch_float!(self.name(), x.dtype(), T => {
            let (x, g, labels) = (x.array().contiguous()?, g.array().contiguous()?, labels.array().contiguous()?);
            let (x, g, labels) = (x.slice::<T>()?, g.slice::<T>()?, labels.slice::<i64>()?);
            let (max, log) = (max.array().slice::<T>()?, log.array().slice::<T>()?);
            par::chunks(out.slice_mut::<T>()?, n.max(1), par::GRAIN / COST, &|first, run: &mut [T]| {
                let at = first..first + run.len() / n;
                let (max, log, labels, g) = (&max[at.clone()], &log[at.clone()], &labels[at.clone()], &g[at]);
                let x = &x[first * n..first * n + run.len()];
                kernel::sparse_cross_entropy_grad(x, kernel::Rows { max, log, labels, g }, run, n);
            });
        });
        Ok(smallvec![Some(out.into()), None])
    }
}

impl Tensor {
    /// `exp(x) / Σ exp(x)` along an axis, without overflow.
    ///
    /// # Errors
    /// The axis is out of range, or the dtype is not float32 or float64.
    pub fn softmax(&self, axis: isize) -> Result<Tensor> {
        let axis = self.shape().axis("softmax", axis)?;
        apply1(Softmax::Plain, &[&self.to_last(axis)?])?.last_to(axis)
    }

    /// `x - ln Σ exp(x)` along an axis, without overflow.
    ///
    /// # Errors
    /// The axis is out of range, or the dtype is not float32 or float64.
    pub fn log_softmax(&self, axis: isize) -> Result<Tensor> {
        let axis = self.shape().axis("log_softmax", axis)?;
        apply1(Softmax::Log, &[&self.to_last(axis)?])?.last_to(axis)
    }

    /// Cross-entropy of logits `[…, classes]` with labels (integers) `[…]`: `-ln softmax(x)[label]` for each row.
    ///
    /// # Errors
    /// Shapes or dtypes do not fit, or a label is not in `0..classes`.
    pub fn sparse_cross_entropy(&self, labels: &Tensor) -> Result<Tensor> {
        let labels = indices("sparse_cross_entropy", labels)?;
        Ok(apply(SparseCrossEntropy, &[self, &*labels])?.swap_remove(0))
    }

    /// Cross-entropy of logits with target probabilities of the same shape: `-Σ t·ln softmax(x)` over the last axis.
    ///
    /// # Errors
    /// Shapes or dtypes differ.
    pub fn cross_entropy(&self, targets: &Tensor) -> Result<Tensor> {
        if self.shape() != targets.shape() {
            let why = "targets should have the same shape as the logits";
            return Err(Error::shapes("cross_entropy", *self.shape(), *targets.shape(), why));
        }
        self.log_softmax(-1)?.mul(targets)?.sum(&[-1], false)?.neg()
    }
}
