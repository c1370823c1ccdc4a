//! Running sums and products; and the linear recurrence in which the gradient of the product is written, so that it
//! is right where elements are zero. Running extremes are found as indices, along which the gradient flows back.

use super::reduce::is_whole;
use crate::autograd::{Attributes, Grads, Naming, Op, Saves, Specs, Step, apply1, names, nothing_flows, one};
use crate::dtype::{dispatch_float, dispatch_stored};
use crate::kernels::scan;
use crate::tensor::{Array, Tensor, few};
use crate::{DType, Float, Result, Spec};

super::table::ops! {
    [Scan, Recurrence, ArgScan];
    cumsum: Wide, Every, "CumSum";
    cumprod: Wide, Every, "CumProd";
    logcumsumexp: Floats, Every, "";
    cummax: Any, Every, "";
    cummin: Any, Every, "";
}

names! {
    enum Kind {
        Sum = "cumsum",
        Product = "cumprod",
        LogSumExp = "logcumsumexp",
    }
}

crate::op! {
    /// Along the last axis, for float32, float64 or int64.
    struct Scan(kind: Kind, 1) {}
}

fn last(spec: &Spec) -> usize {
    spec.shape.dims().last().copied().unwrap_or(1)
}

impl Op for Scan {
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        if inputs[0].dtype != DType::I64 || self.kind == Kind::LogSumExp {
            super::elementwise::float(self.name(), inputs[0].dtype)?;
        }
        Ok(one(inputs[0].shape, inputs[0].dtype))
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        let (x, n) = (inputs[0].contiguous()?, last(&inputs[0].spec()));
        if x.dtype() == DType::I64 {
            let f = if self.kind == Kind::Sum { i64::wrapping_add } else { i64::wrapping_mul };
            scan::running::<i64>(x.slice()?, outputs[0].slice_mut()?, n, &f);
            return Ok(());
        }
        dispatch_float!(self.name(), x.dtype(), T => match self.kind {
            Kind::Sum => scan::running_sum::<T>(x.slice()?, outputs[0].slice_mut()?, n),
            Kind::Product => scan::running::<T>(x.slice()?, outputs[0].slice_mut()?, n, &|a, b| a * b),
            Kind::LogSumExp => scan::running::<T>(x.slice()?, outputs[0].slice_mut()?, n, &log_add),
        });
        Ok(())
    }
    fn saves(&self, _: &[bool]) -> Saves {
        match self.kind {
            Kind::Sum => Saves::NONE,
            Kind::Product => Saves::INPUTS,
            Kind::LogSumExp => Saves::INPUTS.output(0),
        }
    }
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        if !step.spec(0).dtype.is_float() {
            return Ok(few![None]);
        }
        let g = step.grad(0)?;
        if self.kind == Kind::Sum {
            return Ok(few![Some(apply1(self.clone(), &[&g.flip(&[-1])?])?.flip(&[-1])?)]);
        }
        if self.kind == Kind::LogSumExp {
            // In the sum i, xⱼ has the weight exp(xⱼ - yⱼ)·exp(yⱼ - yⱼ₊₁)·… up to i: none above 1.
            let (x, y) = (step.input(0), step.output(0));
            let fading = shifted(&y, 0.0)?.sub(&y)?.exp()?;
            return Ok(few![Some(collected(&g, &fading)?.mul(&x.sub(&y)?.exp()?)?)]);
        }
        // xᵢ is in every product from i on: gᵢ plus xᵢ₊₁ times what the next one collects, times everything before
        // it.
        let x = step.input(0);
        Ok(few![Some(collected(&g, &x)?.mul(&x.products_before()?)?)])
    }
}

/// `ln(exp(a) + exp(b))` without overflow.
fn log_add<T: Float>(a: T, b: T) -> T {
    let (top, low) = (a.maximum(b), a.minimum(b));
    if top.wide().is_infinite() || low.wide() == f64::NEG_INFINITY {
        top
    } else {
        top + (low - top).exp().ln_1p()
    }
}

/// `s[i] = g[i] + a[i + 1]·s[i + 1]` along the last axis.
fn collected(g: &Tensor, a: &Tensor) -> Result<Tensor> {
    let a = a.roll(-1, -1)?.flip(&[-1])?;
    apply1(Recurrence {}, &[&a, &g.flip(&[-1])?])?.flip(&[-1])
}

crate::op! {
    /// `y[i] = a[i]·y[i - 1] + b[i]` along the last axis of two tensors of one shape, starting with `b[0]`.
    struct Recurrence("recurrence", 2) {}
}

impl Op for Recurrence {
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        super::elementwise::float("recurrence", inputs[0].dtype)?;
        if inputs[0] != inputs[1] {
            let why = "factors and terms must have one shape and dtype";
            return Err(crate::Error::shapes("recurrence", inputs[0].shape, inputs[1].shape, why));
        }
        Ok(one(inputs[0].shape, inputs[0].dtype))
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        let (a, b, n) = (inputs[0].contiguous()?, inputs[1].contiguous()?, last(&inputs[0].spec()));
        dispatch_float!("recurrence", a.dtype(), T => {
            scan::recurrence::<T>(a.slice()?, b.slice()?, outputs[0].slice_mut()?, n);
        });
        Ok(())
    }
    fn saves(&self, _: &[bool]) -> Saves {
        Saves::NONE.input(0).output(0)
    }
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        let of_b = collected(&step.grad(0)?, &step.input(0))?;
        let mut grads: Grads = few![None, None];
        if step.wants(0) {
            grads[0] = Some(of_b.mul(&shifted(&step.output(0), 0.0)?)?);
        }
        if step.wants(1) {
            grads[1] = Some(of_b);
        }
        Ok(grads)
    }
}

/// [`Recurrence`] for other operations: `y[i] = a[i]·y[i - 1] + b[i]` along the last axis.
pub(super) fn recurrence(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    apply1(Recurrence {}, &[a, b])
}

names! {
    enum Extreme {
        Largest = "cummax",
        Smallest = "cummin",
    }
}

crate::op! {
    /// The indices of the largest or smallest elements so far, along the last axis.
    struct ArgScan(extreme: Extreme, 1) {}
}

impl Op for ArgScan {
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        Ok(one(inputs[0].shape, DType::I64))
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        let (x, n) = (inputs[0].contiguous()?, last(&inputs[0].spec()));
        let largest = self.extreme == Extreme::Largest;
        dispatch_stored!(x.dtype(), T => scan::running_extreme::<T>(x.slice()?, outputs[0].slice_mut()?, n, largest));
        Ok(())
    }
    nothing_flows!();
}

/// Shifts by one position along the last axis, with `first` at the front.
fn shifted(x: &Tensor, first: f64) -> Result<Tensor> {
    let n = last(&x.spec());
    if n == 0 {
        return Ok(x.clone());
    }
    let front = x.new_full(x.shape().with(x.rank() - 1, 1), first)?;
    Tensor::concat(&[&front, &x.slice(-1, 0, n as isize - 1)?], -1)
}

impl Tensor {
    fn scan(&self, kind: Kind, axis: isize) -> Result<Tensor> {
        let axis = self.shape().axis(kind.name(), axis)?;
        let wide = if self.dtype() != DType::I64 && is_whole(self.dtype()) {
            self.cast(DType::I64)?
        } else {
            self.clone()
        };
        apply1(Scan { kind }, &[&wide.to_last(axis)?])?.last_to(axis)
    }

    /// Returns running sums along an axis, each within about one rounding of the exact sum. For integers and truth
    /// values they are int64 (and wrap).
    ///
    /// # Errors
    /// The axis is out of range, or the dtype is bfloat16 or float16.
    pub fn cumsum(&self, axis: isize) -> Result<Tensor> {
        self.scan(Kind::Sum, axis)
    }

    /// Returns running products along an axis. For integers and truth values they are int64 (and wrap). The
    /// gradient is right where elements are zero.
    ///
    /// # Errors
    /// The axis is out of range, or the dtype is bfloat16 or float16.
    pub fn cumprod(&self, axis: isize) -> Result<Tensor> {
        self.scan(Kind::Product, axis)
    }

    /// Returns running values of `ln Σ exp(x)` along an axis, without overflow.
    ///
    /// # Errors
    /// The axis is out of range, or the dtype is not float32 or float64.
    pub fn logcumsumexp(&self, axis: isize) -> Result<Tensor> {
        super::elementwise::float("logcumsumexp", self.dtype())?;
        self.scan(Kind::LogSumExp, axis)
    }

    fn running_extreme(&self, extreme: Extreme, axis: isize) -> Result<(Tensor, Tensor)> {
        let at = self.shape().axis(extreme.name(), axis)?;
        let indices = apply1(ArgScan { extreme }, &[&self.detach().to_last(at)?])?.last_to(at)?;
        Ok((self.take_along_axis(&indices, axis)?, indices))
    }

    /// Returns the largest elements so far along an axis, and their indices (int64): of equal ones the latest. From the
    /// first NaN on all are NaN. The gradient flows to the element that was taken.
    ///
    /// # Errors
    /// The axis is out of range.
    pub fn cummax(&self, axis: isize) -> Result<(Tensor, Tensor)> {
        self.running_extreme(Extreme::Largest, axis)
    }

    /// Returns the smallest elements so far along an axis, and their indices, as [`Tensor::cummax`] does.
    ///
    /// # Errors
    /// The axis is out of range.
    pub fn cummin(&self, axis: isize) -> Result<(Tensor, Tensor)> {
        self.running_extreme(Extreme::Smallest, axis)
    }

    /// Returns for each element the product of those before it along the last axis.
    pub(crate) fn products_before(&self) -> Result<Tensor> {
        shifted(&self.cumprod(-1)?, 1.0)
    }
}
