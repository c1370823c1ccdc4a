//! Batch normalization in training as one op; and `x · s + t`, which is all that is left of it in inference, where
//! a multiply-add can be merged into the product before it, bit for bit.

use super::elementwise::float;
use super::promote::alike;
use crate::autograd::{Attributes, End, Grads, Op, Saves, Specs, Step, apply, apply1, elements};
use crate::dtype::dispatch_float;
use crate::kernels::batch_norm::{self as kernel, Columns, Table};
use crate::kernels::par;
use crate::tensor::{Array, Few, Tensor, few};
use crate::{Error, Float, MAX_RANK, Result, Shape, Spec};

super::table::ops! {
    [BatchNorm, BatchNormGrad, MulAdd];
    batch_norm: Floats, Every, "BatchNormalization";
    mul_add: Floats, Every, "";
}

/// Cost of an element relative to an addition.
const COST: usize = 4;

/// Returns the spec of one number for each channel of `x`, which must have channels last and elements to take
/// statistics of.
fn channels(op: &'static str, x: Spec) -> Result<Spec> {
    float(op, x.dtype)?;
    match x.shape.dims() {
        [.., n] if x.shape.elements() > 0 => Ok(Spec::new(Shape::new(&[*n])?, x.dtype)),
        _ => Err(Error::shape(op, "[…, channels] with at least one element to take statistics of", x.shape)),
    }
}

/// Fails unless each of these has one number for each channel.
fn check_channels(op: &'static str, x: Spec, given: &[(&str, Spec)]) -> Result<()> {
    let channel = channels(op, x)?;
    match given.iter().find(|(_, spec)| *spec != channel) {
        None => Ok(()),
        Some((what, spec)) => {
            let why = format!("{what} should be {channel}, got {spec}");
            Err(Error::shapes(op, x.shape, spec.shape, why))
        }
    }
}

crate::op! {
    /// Normalizes over all axes but the last, with factor and shift. Two more outputs are each channel's mean and
    /// biased variance, which count as constants.
    struct BatchNorm("batch_norm", 3) { epsilon: f64 }
}

impl Op for BatchNorm {
    fn flops(&self, inputs: &[Spec], _: &[Spec]) -> u64 {
        8 * elements(&inputs[..1])
    }
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        check_channels(self.name(), inputs[0], &[("gamma", inputs[1]), ("beta", inputs[2])])?;
        Ok(few![inputs[0], inputs[1], inputs[1]])
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        let [out, mean, variance] = outputs else { return Ok(()) };
        let mut factor = Array::new(variance.spec())?;
        dispatch_float!(self.name(), inputs[0].dtype(), T => {
            let [x, gamma, beta] = [inputs[0].contiguous()?, inputs[1].contiguous()?, inputs[2].contiguous()?];
            let (x, gamma, beta) = (x.slice::<T>()?, gamma.slice::<T>()?, beta.slice::<T>()?);
            let (mean, variance, n) = (mean.slice_mut::<T>()?, variance.slice_mut::<T>()?, gamma.len());
            kernel::moments(Table { data: x, n }, mean, variance);
            let factor = factor.slice_mut::<T>()?;
            kernel::factors(variance, T::of(self.epsilon), factor);
            let columns = Columns { mean, factor };
            par::chunks(out.slice_mut::<T>()?, n, par::GRAIN / COST, &|first, run: &mut [T]| {
                kernel::normalize(&x[first * n..first * n + run.len()], columns, gamma, beta, run);
            });
        });
        Ok(())
    }
    fn saves(&self, wants: &[bool]) -> Saves {
        match wants[0] || wants[1] {
            true => Saves::NONE.input(0).input(1).output(1).output(2),
            false => Saves::NONE,
        }
    }
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        let g = step.grad(0)?;
        if !step.wants(0) && !step.wants(1) {
            return Ok(few![None, None, Some(g.sum_to(&step.spec(2).shape)?)]);
        }
        let (mean, variance) = (step.output(1).detach(), step.output(2).detach());
        let inputs = [&g, &step.input(0), &step.input(1), &mean, &variance];
        Ok(apply(BatchNormGrad { epsilon: self.epsilon }, &inputs)?.into_iter().map(Some).collect())
    }
}

crate::op! {
    /// The gradients of input, gamma and beta, from the gradient of the output, the input, gamma, and the channels'
    /// mean and variance.
    struct BatchNormGrad("batch_norm_grad", 5) { epsilon: f64 }
}

impl Op for BatchNormGrad {
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        let [g, x, gamma] = [inputs[0], inputs[1], inputs[2]];
        if g != x {
            let why = "the gradient should have the input's shape and dtype";
            return Err(Error::shapes(self.name(), x.shape, g.shape, why));
        }
        let given = [("gamma", gamma), ("the mean", inputs[3]), ("the variance", inputs[4])];
        check_channels(self.name(), x, &given)?;
        Ok(few![x, gamma, gamma])
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        let [out, of_gamma, of_beta] = outputs else { return Ok(()) };
        let [g, x, gamma] = [inputs[0].contiguous()?, inputs[1].contiguous()?, inputs[2].contiguous()?];
        let (mean, variance) = (inputs[3].contiguous()?, inputs[4].contiguous()?);
        let mut factor = Array::new(variance.spec())?;
        dispatch_float!(self.name(), x.dtype(), T => {
            let (g, x, gamma) = (g.slice::<T>()?, x.slice::<T>()?, gamma.slice::<T>()?);
            let (mean, variance, n) = (mean.slice::<T>()?, variance.slice::<T>()?, gamma.len());
            let (of_gamma, of_beta) = (of_gamma.slice_mut::<T>()?, of_beta.slice_mut::<T>()?);
            let (out, rows) = (out.slice_mut::<T>()?, <T as Float>::of((x.len() / n) as f64));
            let factor = factor.slice_mut::<T>()?;
            kernel::factors(variance, T::of(self.epsilon), factor);
            let columns = Columns { mean, factor };
            kernel::of_weights(Table { data: x, n }, g, columns, of_gamma, of_beta);
            let (of_gamma, of_beta) = (&*of_gamma, &*of_beta);
            par::chunks(out, n, par::GRAIN / COST, &|first, run: &mut [T]| {
                let part = first * n..first * n + run.len();
                let (x, g) = (&x[part.clone()], &g[part]);
                kernel::of_input(x, g, columns, gamma, of_gamma, of_beta, rows, run);
            });
        });
        Ok(())
    }
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        step.composed(|inputs| {
            let [g, x, gamma] = [&inputs[0], &inputs[1], &inputs[2]];
            let rows: Few<isize, MAX_RANK> = (0..x.rank() as isize - 1).collect();
            // Mean and variance are functions of x.
            let mean = |t: &Tensor| if rows.is_empty() { Ok(t.clone()) } else { t.mean(&rows, false) };
            let center = x.sub(&mean(x)?)?;
            let factor = mean(&center.square()?)?.affine(1.0, self.epsilon)?.rsqrt()?;
            let z = center.mul(&factor)?;
            let (of_beta, of_gamma) = (g.sum_to(gamma.shape())?, g.mul(&z)?.sum_to(gamma.shape())?);
            let slope = g.sub(&mean(g)?)?.sub(&z.mul(&mean(&g.mul(&z)?)?)?)?;
            Ok(few![slope.mul(&factor)?.mul(gamma)?, of_gamma, of_beta])
        })
    }
}

crate::op! {
    /// `x · s + t`, rounded once. `s` and `t` broadcast to x.
    struct MulAdd("mul_add", 3) {}
}

impl Op for MulAdd {
    fn as_end(&self, inputs: &[Spec]) -> Option<End> {
        let channels = inputs[0].shape.dims().last()?;
        inputs[1..].iter().all(|spec| spec.shape.dims() == [*channels]).then_some(End::Scale)
    }
    fn flops(&self, _: &[Spec], outputs: &[Spec]) -> u64 {
        2 * elements(outputs)
    }
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        let x = inputs[0];
        float(self.name(), x.dtype)?;
        for (what, given) in ["s", "t"].iter().zip(&inputs[1..]) {
            let fits = Shape::broadcast(self.name(), x.shape, given.shape).is_ok_and(|both| both == x.shape);
            if !fits || given.dtype != x.dtype {
                let why = format!("{what} should be {} and broadcast to x, got {given}", x.dtype);
                return Err(Error::shapes(self.name(), x.shape, given.shape, why));
            }
        }
        Ok(few![x])
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        let x = inputs[0].contiguous()?;
        let last = x.shape().dims().last().copied().unwrap_or(1);
        let by_row = inputs[1..].iter().all(|t| t.shape().dims() == [last]);
        let whole = |t: &Array| match by_row {
            true => t.contiguous(),
            false => t.with_layout(t.layout().broadcast(*x.shape())).contiguous(),
        };
        let (s, t) = (whole(inputs[1])?, whole(inputs[2])?);
        dispatch_float!(self.name(), x.dtype(), T => {
            let (x, s, t) = (x.slice::<T>()?, s.slice::<T>()?, t.slice::<T>()?);
            let unit = if by_row { last } else { 1 };
            par::chunks(outputs[0].slice_mut::<T>()?, unit, par::GRAIN, &|first, run: &mut [T]| {
                let part = first * unit..first * unit + run.len();
                let own = if by_row { 0..last } else { part.clone() };
                kernel::mul_add(&x[part], &s[own.clone()], &t[own], run);
            });
        });
        Ok(())
    }
    fn saves(&self, wants: &[bool]) -> Saves {
        let saves = if wants[0] { Saves::NONE.input(1) } else { Saves::NONE };
        if wants[1] { saves.input(0) } else { saves }
    }
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        let g = step.grad(0)?;
        let mut grads: Grads = few![None, None, None];
        if step.wants(0) {
            grads[0] = Some(g.mul(&step.input(1))?);
        }
        if step.wants(1) {
            grads[1] = Some(g.mul(&step.input(0))?.sum_to(&step.spec(1).shape)?);
        }
        if step.wants(2) {
            grads[2] = Some(g.sum_to(&step.spec(2).shape)?);
        }
        Ok(grads)
    }
}

impl Tensor {
    /// Computes batch normalization in training (Ioffe and Szegedy 2015): `(x - mean) / √(var + ε) · γ + β`, with
    /// the mean and the biased variance of each channel (the last axis) over all other axes. `gamma` and `beta`
    /// have one number for each channel; by default they are 1 and 0. Dtypes are promoted by
    /// [`DType::promote`](crate::DType::promote). Returns the result, the means and the variances; no gradient
    /// flows back through the last two.
    ///
    /// # Errors
    /// Shapes do not fit, no dtype is float32 or float64, there is no element to take statistics of, or `epsilon`
    /// is not a number of 0 or more.
    pub fn batch_norm(
        &self,
        gamma: Option<&Tensor>,
        beta: Option<&Tensor>,
        epsilon: f64,
    ) -> Result<(Tensor, Tensor, Tensor)> {
        if !(epsilon >= 0.0 && epsilon.is_finite()) {
            return Err(Error::argument("epsilon", "a finite number of 0 or more", epsilon));
        }
        let channel = channels("batch_norm", self.spec())?.shape;
        let or = |given: Option<&Tensor>, value| match given {
            Some(t) => Ok(t.clone()),
            None => self.new_full(channel, value),
        };
        let (gamma, beta) = (or(gamma, 1.0)?, or(beta, 0.0)?);
        let [x, gamma, beta] = alike([self, &gamma, &beta])?;
        let mut out = apply(BatchNorm { epsilon }, &[&x, &gamma, &beta])?.into_iter();
        match (out.next(), out.next(), out.next()) {
            (Some(y), Some(mean), Some(variance)) => Ok((y, mean.detach(), variance.detach())),
            _ => Err(Error::argument("batch_norm", "three outputs", "fewer")),
        }
    }

    /// Computes `x · s + t`, rounded once, with `s` and `t` broadcast to x, such as a factor and a shift for each
    /// element of the last axis. (On processors without a fused multiply-add, this takes two operations.) Dtypes
    /// are promoted by [`DType::promote`](crate::DType::promote).
    ///
    /// # Errors
    /// Shapes do not broadcast, or no dtype is float32 or float64.
    pub fn mul_add(&self, s: &Tensor, t: &Tensor) -> Result<Tensor> {
        let [x, s, t] = alike([self, s, t])?;
        apply1(MulAdd {}, &[&x, &s, &t])
    }
}
