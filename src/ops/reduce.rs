//! Why it exists: sums, means and extremes over any axes.

use super::elementwise::float;
use crate::autograd::{Grads, Op, Saves, Specs, Step, apply1, one};
use crate::dtype::dispatch_float;
use crate::kernels::reduce::{self, Max};
use crate::tensor::{Array, Tensor};
use crate::{DType, Float, MAX_RANK, Result, Spec};
use smallvec::smallvec;

super::table::ops! {
    sum: Floats, Every, "ReduceSum";
    mean: Floats, Every, "ReduceMean";
    max: Floats, Every, "ReduceMax";
    argmax: Floats, None, "ArgMax";
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Sum,
    Mean,
    Max,
}

#[derive(Debug, Clone, Copy)]
struct Reduce {
    kind: Kind,
    axes: [bool; MAX_RANK],
    keepdims: bool,
}

impl Reduce {
    /// How many elements become one.
    fn count(&self, input: &Spec) -> usize {
        input.shape.reduced(&self.axes.map(|r| !r), false).elements()
    }
}

impl Op for Reduce {
    fn name(&self) -> &'static str {
        match self.kind {
            Kind::Sum => "sum",
            Kind::Mean => "mean",
            Kind::Max => "max",
        }
    }
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        float(self.name(), inputs[0].dtype)?;
        if self.kind != Kind::Sum && self.count(&inputs[0]) == 0 {
            return Err(crate::Error::shape(self.name(), "at least one element to reduce", inputs[0].shape));
        }
        Ok(one(inputs[0].shape.reduced(&self.axes, self.keepdims), inputs[0].dtype))
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        dispatch_float!(self.name(), inputs[0].dtype(), T => {
            let (x, out) = (inputs[0].view::<T>()?, outputs[0].slice_mut::<T>()?);
            match self.kind {
                Kind::Max => reduce::fold::<Max, T>(x, &self.axes, out),
                Kind::Sum | Kind::Mean => reduce::fold::<reduce::Sum, T>(x, &self.axes, out),
            }
            if self.kind == Kind::Mean {
                let n = <T as Float>::of(self.count(&inputs[0].spec()) as f64);
                out.iter_mut().for_each(|o| *o /= n);
            }
        });
        Ok(())
    }
    fn saves(&self, _: &[bool]) -> Saves {
        if self.kind == Kind::Max { Saves::INPUTS.output(0) } else { Saves::NONE }
    }
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        let input = step.spec(0);
        let kept = input.shape.reduced(&self.axes, true);
        let g = step.grad(0)?.reshape_to(kept)?;
        let g = match self.kind {
            Kind::Sum => g,
            Kind::Mean => g.affine(1.0 / self.count(&input) as f64, 0.0)?,
            Kind::Max => {
                // Where the maximum was reached: constant almost everywhere, so it carries no history itself.
                let top = step.output(0).detach().reshape_to(kept)?;
                let mask = step.input(0).detach().equal(&top)?.cast(input.dtype)?;
                let ties = apply1(Reduce { kind: Kind::Sum, axes: self.axes, keepdims: true }, &[&mask])?;
                return Ok(smallvec![Some(g.mul(&mask.div(&ties)?)?)]);
            }
        };
        Ok(smallvec![Some(g.broadcast_to(input.shape)?)])
    }
}

impl Tensor {
    fn reduce(&self, kind: Kind, axes: &[isize], keepdims: bool) -> Result<Tensor> {
        let op = Reduce { kind, axes: [false; MAX_RANK], keepdims };
        apply1(Reduce { axes: self.shape().axes(op.name(), axes)?, ..op }, &[self])
    }

    /// The sum over `axes`, over all if none are given. The order of additions depends on the number of elements alone.
    ///
    /// # Errors
    /// An axis is out of range or given twice, or the dtype is not float32 or float64.
    pub fn sum(&self, axes: &[isize], keepdims: bool) -> Result<Tensor> {
        self.reduce(Kind::Sum, axes, keepdims)
    }

    /// The mean over `axes`, over all if none are given.
    ///
    /// # Errors
    /// As [`Tensor::sum`], or there are no elements.
    pub fn mean(&self, axes: &[isize], keepdims: bool) -> Result<Tensor> {
        self.reduce(Kind::Mean, axes, keepdims)
    }

    /// The largest element over `axes`, over all if none are given; NaN if there is one. Ties share the gradient.
    ///
    /// # Errors
    /// As [`Tensor::sum`], or there are no elements.
    pub fn max(&self, axes: &[isize], keepdims: bool) -> Result<Tensor> {
        self.reduce(Kind::Max, axes, keepdims)
    }

    /// The index (int64) of the first largest element along an axis; of a NaN if there is one.
    ///
    /// # Errors
    /// The axis is out of range or empty, or the dtype is not float32 or float64.
    pub fn argmax(&self, axis: isize) -> Result<Tensor> {
        apply1(ArgMax, &[&self.detach().to_last(self.shape().axis("argmax", axis)?)?])
    }

    /// With one axis moved to the end.
    pub(crate) fn to_last(&self, axis: usize) -> Result<Tensor> {
        if axis + 1 == self.rank() {
            return Ok(self.clone());
        }
        let mut order: Vec<isize> = (0..self.rank() as isize).collect();
        let moved = order.remove(axis);
        order.push(moved);
        self.permute(&order)
    }

    /// With the last axis moved to `axis`.
    pub(crate) fn last_to(&self, axis: usize) -> Result<Tensor> {
        if axis + 1 == self.rank() {
            return Ok(self.clone());
        }
        let mut order: Vec<isize> = (0..self.rank() as isize - 1).collect();
        order.insert(axis, self.rank() as isize - 1);
        self.permute(&order)
    }
}

/// Along the last axis. Integers have no gradient: nothing flows back.
#[derive(Debug)]
struct ArgMax;

impl Op for ArgMax {
    fn name(&self) -> &'static str {
        "argmax"
    }
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        float("argmax", inputs[0].dtype)?;
        let mut last = [false; MAX_RANK];
        last[inputs[0].shape.rank() - 1] = true;
        if inputs[0].shape.dims().last() == Some(&0) {
            return Err(crate::Error::shape(
                "argmax",
                "at least one element along the axis",
                inputs[0].shape,
            ));
        }
        Ok(one(inputs[0].shape.reduced(&last, false), DType::I64))
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        let n = inputs[0].shape().dims().last().copied().unwrap_or(1);
        dispatch_float!("argmax", inputs[0].dtype(), T => {
            reduce::argmax_rows(inputs[0].contiguous()?.slice::<T>()?, n, outputs[0].slice_mut::<i64>()?);
        });
        Ok(())
    }
    fn saves(&self, _: &[bool]) -> Saves {
        Saves::NONE
    }
    fn vjp(&self, _: &Step<'_>) -> Result<Grads> {
        Ok(smallvec![None])
    }
}
