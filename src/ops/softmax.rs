//! Softmax and the cross-entropies, fused, because this is where naive formulas overflow and where fusing saves the
//! most passes over memory.

use super::elementwise::float;
use super::index::check_index;
use super::promote::indices;
use crate::autograd::{Attributes, Grads, Op, Saves, Specs, Step, apply, apply1, elements, names};
use crate::dtype::dispatch_float;
use crate::kernels::{par, softmax as kernel};
use crate::tensor::{Array, Tensor, few};
use crate::{DType, Error, MAX_RANK, Result, Shape, Spec};

super::table::ops! {
    [Softmax, SoftmaxGrad, SparseCrossEntropy, SparseCrossEntropyGrad];
    softmax: Floats, Every, "Softmax";
    log_softmax: Floats, Every, "LogSoftmax";
    sparse_cross_entropy: Floats, Every, "SoftmaxCrossEntropyLoss";
    cross_entropy: Floats, Every, "";
}

/// Returns the length of the last axis, which must exist.
fn classes(op: &'static str, shape: &Shape) -> Result<usize> {
    shape.dims().last().copied().ok_or_else(|| Error::shape(op, "at least one dimension", *shape))
}

/// Cost of a softmax element relative to an addition.
const COST: usize = 8;

names! {
    enum Form {
        Plain = "softmax",
        Log = "log_softmax",
    }
}

crate::op! {
    /// Along the last axis.
    struct Softmax(form: Form, 1) {}
}

impl Op for Softmax {
    fn flops(&self, _: &[Spec], outputs: &[Spec]) -> u64 {
        5 * elements(outputs)
    }
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        float(self.name(), inputs[0].dtype)?;
        classes(self.name(), &inputs[0].shape)?;
        Ok(few![inputs[0]])
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        let n = classes(self.name(), inputs[0].shape())?;
        dispatch_float!(self.name(), inputs[0].dtype(), T => {
            let x = inputs[0].contiguous()?;
            let x = x.slice::<T>()?;
            par::chunks(outputs[0].slice_mut::<T>()?, n.max(1), par::GRAIN / COST, &|first, run: &mut [T]| {
                let x = &x[first * n..first * n + run.len()];
                if self.form == Form::Plain { kernel::softmax(x, run, n) } else { kernel::log_softmax(x, run, n) }
            });
        });
        Ok(())
    }
    fn saves(&self, _: &[bool]) -> Saves {
        Saves::OUTPUTS
    }
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        let (g, y) = (step.grad(0)?, step.output(0));
        let grad = match self.form {
            Form::Log => g.sub(&y.exp()?.mul(&g.sum(&[-1], true)?)?)?,
            Form::Plain => apply1(SoftmaxGrad {}, &[&g, &y])?,
        };
        Ok(few![Some(grad)])
    }
}

crate::op! {
    /// `(g - Σ g·y) · y` along the last axis, from the softmax y.
    struct SoftmaxGrad("softmax_grad", 2) {}
}

impl Op for SoftmaxGrad {
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        let [g, y] = [inputs[0], inputs[1]];
        float(self.name(), y.dtype)?;
        classes(self.name(), &y.shape)?;
        if g != y {
            return Err(Error::shapes(self.name(), g.shape, y.shape, "both must have one shape and dtype"));
        }
        Ok(few![y])
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        let n = classes(self.name(), inputs[1].shape())?;
        dispatch_float!(self.name(), inputs[1].dtype(), T => {
            let (g, y) = (inputs[0].contiguous()?, inputs[1].contiguous()?);
            let (g, y) = (g.slice::<T>()?, y.slice::<T>()?);
            par::chunks(outputs[0].slice_mut::<T>()?, n.max(1), par::GRAIN / 2, &|first, run: &mut [T]| {
                let part = first * n..first * n + run.len();
                kernel::softmax_grad(&y[part.clone()], &g[part], run, n);
            });
        });
        Ok(())
    }
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        step.composed(|x| {
            let [g, y] = [&x[0], &x[1]];
            let dot = g.mul(y)?.sum(&[-1], true)?;
            Ok(few![g.sub(&dot)?.mul(y)?])
        })
    }
}

crate::op! {
    /// `logsumexp(x) - x[label]` along the last axis. Two more outputs keep the parts of the logsumexp for the
    /// gradient.
    struct SparseCrossEntropy("sparse_cross_entropy", 2) {}
}

impl Op for SparseCrossEntropy {
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
        Ok(few![row, row, row])
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        let n = classes(self.name(), inputs[0].shape())?;
        let labels = inputs[1].contiguous()?;
        let labels = labels.slice::<i64>()?;
        check_index(self.name(), "label", labels, n)?;
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
        let (max, log) = (step.output(1).detach(), step.output(2).detach());
        let grad = apply1(SparseCrossEntropyGrad {}, &[&g, &x, &labels, &max, &log])?;
        Ok(few![Some(grad), None])
    }
}

crate::op! {
    /// `g · (softmax(x) - onehot(label))`, from the parts of the logsumexp, which are functions of x.
    struct SparseCrossEntropyGrad("sparse_cross_entropy_grad", 5) {}
}

impl Op for SparseCrossEntropyGrad {
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        let [g, x, labels] = [inputs[0], inputs[1], inputs[2]];
        let rows = SparseCrossEntropy {}.infer(&[x, labels])?;
        match [g, inputs[3], inputs[4]].into_iter().find(|part| *part != rows[0]) {
            None => Ok(few![x]),
            Some(other) => {
                Err(Error::shapes(self.name(), rows[0].shape, other.shape, "one for each row is needed"))
            }
        }
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        let n = classes(self.name(), inputs[1].shape())?;
        let [g, x, labels] = [inputs[0].contiguous()?, inputs[1].contiguous()?, inputs[2].contiguous()?];
        let (max, log) = (inputs[3].contiguous()?, inputs[4].contiguous()?);
        let labels = labels.slice::<i64>()?;
        check_index(self.name(), "label", labels, n)?;
        dispatch_float!(self.name(), x.dtype(), T => {
            let (x, g) = (x.slice::<T>()?, g.slice::<T>()?);
            let (max, log) = (max.slice::<T>()?, log.slice::<T>()?);
            par::chunks(outputs[0].slice_mut::<T>()?, n.max(1), par::GRAIN / COST, &|first, run: &mut [T]| {
                let at = first..first + run.len() / n;
                let (max, log, labels, g) = (&max[at.clone()], &log[at.clone()], &labels[at.clone()], &g[at]);
                let x = &x[first * n..first * n + run.len()];
                kernel::sparse_cross_entropy_grad(x, kernel::Rows { max, log, labels, g }, run, n);
            });
        });
        Ok(())
    }
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        step.composed(|inputs| {
            let [g, x, labels] = [&inputs[0], &inputs[1], &inputs[2]];
            let n = classes(self.name(), x.shape())?;
            let hot = labels.one_hot(n, x.dtype())?;
            Ok(few![x.softmax(-1)?.sub(&hot)?.mul(&g.expand_dims(-1)?)?])
        })
    }
}

impl Tensor {
    /// Computes `exp(x) / Σ exp(x)` along an axis, without overflow.
    ///
    /// # Errors
    /// The axis is out of range, or the dtype is not float32 or float64.
    pub fn softmax(&self, axis: isize) -> Result<Tensor> {
        let axis = self.shape().axis("softmax", axis)?;
        apply1(Softmax { form: Form::Plain }, &[&self.to_last(axis)?])?.last_to(axis)
    }

    /// Computes `x - ln Σ exp(x)` along an axis, without overflow.
    ///
    /// # Errors
    /// The axis is out of range, or the dtype is not float32 or float64.
    pub fn log_softmax(&self, axis: isize) -> Result<Tensor> {
        let axis = self.shape().axis("log_softmax", axis)?;
        apply1(Softmax { form: Form::Log }, &[&self.to_last(axis)?])?.last_to(axis)
    }

    /// Computes the cross-entropy of logits `[…, classes]` with labels (integers) `[…]`: `-ln softmax(x)[label]`
    /// for each row.
    ///
    /// # Errors
    /// Shapes or dtypes do not fit, or a label is not in `0..classes`.
    pub fn sparse_cross_entropy(&self, labels: &Tensor) -> Result<Tensor> {
        let labels = indices("sparse_cross_entropy", labels)?;
        Ok(apply(SparseCrossEntropy {}, &[self, &*labels])?.swap_remove(0))
    }

    /// Computes the cross-entropy of logits with target probabilities of the same shape: `-Σ t·ln softmax(x)` over
    /// the last axis.
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
