//! Layer normalization as one op. As a chain of means and quotients it would move through memory eight times.

use super::elementwise::float;
use super::promote::alike;
use crate::autograd::{Attributes, Grads, Op, Saves, Specs, Step, apply, apply1, elements, one};
use crate::dtype::dispatch_float;
use crate::kernels::{norm as kernel, par};
use crate::tensor::{Array, Tensor, few};
use crate::{Error, Float, MAX_RANK, Result, Shape, Spec};

super::table::ops! {
    [LayerNorm, LayerNormGrad, LayerNormGammaGrad];
    layer_norm: Floats, Every, "LayerNormalization";
    rms_normalization: Floats, Every, "RMSNormalization";
}

/// Cost of an element relative to an addition.
const COST: usize = 4;

crate::op! {
    /// Normalizes over the last axis, with factor and shift. Two more outputs keep each row's mean and factor for
    /// the gradient.
    struct LayerNorm("layer_norm", 3) { epsilon: f64 }
}

const NAME: &str = "layer_norm";

impl Op for LayerNorm {
    fn flops(&self, inputs: &[Spec], _: &[Spec]) -> u64 {
        8 * elements(&inputs[..1])
    }
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        let x = inputs[0];
        float(NAME, x.dtype)?;
        let Some(&n) = x.shape.dims().last() else {
            return Err(Error::shape(NAME, "at least one dimension", x.shape));
        };
        if n == 0 {
            return Err(Error::shape(NAME, "at least one element to normalize", x.shape));
        }
        for (what, given) in ["gamma", "beta"].iter().zip(&inputs[1..]) {
            if given.shape.dims() != [n] || given.dtype != x.dtype {
                let why = format!("{what} should be {} [{}], got {given}", x.dtype, crate::shape::Size(n));
                return Err(Error::shapes(NAME, x.shape, given.shape, why));
            }
        }
        let mut last = [false; MAX_RANK];
        last[x.shape.rank() - 1] = true;
        let row = Spec::new(x.shape.reduced(&last, false), x.dtype);
        Ok(few![x, row, row])
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        let [out, mean, scale] = outputs else { return Ok(()) };
        dispatch_float!(NAME, inputs[0].dtype(), T => {
            let [x, gamma, beta] = [inputs[0].contiguous()?, inputs[1].contiguous()?, inputs[2].contiguous()?];
            let (x, gamma, beta) = (x.slice::<T>()?, gamma.slice::<T>()?, beta.slice::<T>()?);
            let (n, epsilon) = (gamma.len(), <T as Float>::of(self.epsilon));
            let out = out.slice_mut::<T>()?;
            let (mean, scale) = (mean.slice_mut::<T>()?, scale.slice_mut::<T>()?);
            par::rows(out, n, [mean, scale], par::GRAIN / COST, &|first, run, [mean, scale]: [&mut [T]; 2]| {
                let x = &x[first * n..first * n + run.len()];
                kernel::layer_norm(x, gamma, beta, epsilon, run, mean, scale);
            });
        });
        Ok(())
    }
    fn saves(&self, wants: &[bool]) -> Saves {
        let saves = if wants[0] || wants[1] { Saves::NONE.input(0).output(1).output(2) } else { Saves::NONE };
        if wants[0] { saves.input(1) } else { saves }
    }
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        let g = step.grad(0)?;
        let mut grads: Grads = few![None, None, None];
        if step.wants(2) {
            grads[2] = Some(g.sum_to(&step.spec(2).shape)?);
        }
        let parts = || [step.output(1).detach(), step.output(2).detach()];
        if step.wants(0) {
            let [mean, scale] = parts();
            let inputs = [&g, &step.input(0), &step.input(1), &mean, &scale];
            grads[0] = Some(apply1(LayerNormGrad { epsilon: self.epsilon }, &inputs)?);
        }
        if step.wants(1) {
            let [mean, scale] = parts();
            let inputs = [&g, &step.input(0), &mean, &scale];
            grads[1] = Some(apply1(LayerNormGammaGrad { epsilon: self.epsilon }, &inputs)?);
        }
        Ok(grads)
    }
}

/// Returns the normalized input and its factor, in tensor operations: the rows' mean and factor as functions of the
/// input.
fn normalized(x: &Tensor, epsilon: f64) -> Result<(Tensor, Tensor)> {
    let center = x.sub(&x.mean(&[-1], true)?)?;
    let scale = center.square()?.mean(&[-1], true)?.affine(1.0, epsilon)?.rsqrt()?;
    Ok((center.mul(&scale)?, scale))
}

/// Fails unless the gradient has the input's shape and the parts have one number per row.
fn check_parts(op: &'static str, g: Spec, x: Spec, parts: &[Spec]) -> Result<usize> {
    float(op, x.dtype)?;
    let Some(&n) = x.shape.dims().last() else {
        return Err(Error::shape(op, "at least one dimension", x.shape));
    };
    let mut last = [false; MAX_RANK];
    last[x.shape.rank() - 1] = true;
    let row = Spec::new(x.shape.reduced(&last, false), x.dtype);
    if g != x || parts.iter().any(|part| *part != row) {
        let why = "the gradient should have the input's shape, mean and factor one number a row";
        return Err(Error::shapes(op, x.shape, g.shape, why));
    }
    Ok(n)
}

crate::op! {
    /// The gradient of the input, from that of the output, the input, gamma, and the rows' mean and factor.
    struct LayerNormGrad("layer_norm_grad", 5) { epsilon: f64 }
}

impl Op for LayerNormGrad {
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        let n = check_parts(self.name(), inputs[0], inputs[1], &inputs[3..])?;
        if inputs[2] != Spec::new(Shape::new(&[n])?, inputs[1].dtype) {
            let why = "gamma should have one number a feature";
            return Err(Error::shapes(self.name(), inputs[1].shape, inputs[2].shape, why));
        }
        Ok(few![inputs[1]])
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        let [g, x, gamma] = [inputs[0].contiguous()?, inputs[1].contiguous()?, inputs[2].contiguous()?];
        let (mean, scale) = (inputs[3].contiguous()?, inputs[4].contiguous()?);
        dispatch_float!(self.name(), x.dtype(), T => {
            let (x, g, gamma) = (x.slice::<T>()?, g.slice::<T>()?, gamma.slice::<T>()?);
            let (mean, scale, n) = (mean.slice::<T>()?, scale.slice::<T>()?, gamma.len());
            par::chunks(outputs[0].slice_mut::<T>()?, n, par::GRAIN / COST, &|first, run: &mut [T]| {
                let (part, at) = (first * n..first * n + run.len(), first..first + run.len() / n);
                let rows = kernel::Rows { mean: &mean[at.clone()], scale: &scale[at] };
                kernel::layer_norm_grad(&x[part.clone()], &g[part], gamma, rows, run);
            });
        });
        Ok(())
    }
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        step.composed(|inputs| {
            let [g, x, gamma] = [&inputs[0], &inputs[1], &inputs[2]];
            let (z, scale) = normalized(x, self.epsilon)?;
            let h = g.mul(gamma)?;
            let slope = h.mul(&z)?.mean(&[-1], true)?;
            Ok(few![h.sub(&h.mean(&[-1], true)?)?.sub(&z.mul(&slope)?)?.mul(&scale)?])
        })
    }
}

crate::op! {
    /// The gradient of gamma, from that of the output, the input, and the rows' mean and factor.
    struct LayerNormGammaGrad("layer_norm_gamma_grad", 4) { epsilon: f64 }
}

impl Op for LayerNormGammaGrad {
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        let n = check_parts(self.name(), inputs[0], inputs[1], &inputs[2..])?;
        Ok(one(Shape::new(&[n])?, inputs[1].dtype))
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        let (g, x) = (inputs[0].contiguous()?, inputs[1].contiguous()?);
        let (mean, scale) = (inputs[2].contiguous()?, inputs[3].contiguous()?);
        dispatch_float!(self.name(), x.dtype(), T => {
            let rows = kernel::Rows { mean: mean.slice::<T>()?, scale: scale.slice::<T>()? };
            kernel::layer_norm_gamma(x.slice::<T>()?, g.slice::<T>()?, rows, outputs[0].slice_mut::<T>()?);
        });
        Ok(())
    }
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        step.composed(|inputs| {
            let (z, _) = normalized(&inputs[1], self.epsilon)?;
            let features = Shape::new(&inputs[1].dims()[inputs[1].rank() - 1..])?;
            Ok(few![inputs[0].mul(&z)?.sum_to(&features)?])
        })
    }
}

impl Tensor {
    /// Computes `(x - mean) / √(var + ε) · γ + β` over the last axis, with the biased variance (Ba et al. 2016;
    /// Keras's `LayerNormalization`). `gamma` and `beta` have one number for each feature; by default they are 1
    /// and 0. Dtypes are promoted by [`DType::promote`](crate::DType::promote).
    ///
    /// # Errors
    /// Shapes do not fit, no dtype is float32 or float64, the last axis is empty, or `epsilon` is not a number of 0
    /// or more.
    pub fn layer_norm(&self, gamma: Option<&Tensor>, beta: Option<&Tensor>, epsilon: f64) -> Result<Tensor> {
        if !(epsilon >= 0.0 && epsilon.is_finite()) {
            return Err(Error::argument("epsilon", "a finite number of 0 or more", epsilon));
        }
        let n = self
            .dims()
            .last()
            .copied()
            .ok_or_else(|| Error::shape(NAME, "at least one dimension", *self.shape()))?;
        let or = |given: Option<&Tensor>, value| match given {
            Some(t) => Ok(t.clone()),
            None => self.new_full(Shape::new(&[n])?, value),
        };
        let (gamma, beta) = (or(gamma, 1.0)?, or(beta, 0.0)?);
        let [x, gamma, beta] = alike([self, &gamma, &beta])?;
        Ok(apply(LayerNorm { epsilon }, &[&x, &gamma, &beta])?.swap_remove(0))
    }

    /// Computes `x / √(mean(x²) + ε) · scale`, with the mean over `axes`, or over all axes if none are given (Zhang and
    /// Sennrich 2019; Keras's `rms_normalization`). `scale` broadcasts to this shape; by default it is 1.
    ///
    /// # Errors
    /// Shapes do not fit, the dtype is not float32 or float64, there are no elements to take the mean of, an axis is out of
    /// range or repeated, or `epsilon` is not a number of 0 or more.
    pub fn rms_normalization(&self, scale: Option<&Tensor>, axes: &[isize], epsilon: f64) -> Result<Tensor> {
        float("rms_normalization", self.dtype())?;
        if !(epsilon >= 0.0 && epsilon.is_finite()) {
            return Err(Error::argument("epsilon", "a finite number of 0 or more", epsilon));
        }
        let y = self.mul(&self.square()?.mean(axes, true)?.affine(1.0, epsilon)?.rsqrt()?)?;
        match scale {
            // The scale must not widen the result. It is multiplied as it is: as large as the result, it would be a constant of the graph
            // that depends on the sizes of inputs.
            Some(scale) => scale.broadcast_to(*self.shape()).and_then(|_| y.mul(scale)),
            None => Ok(y),
        }
    }
}
