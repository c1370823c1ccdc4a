//! Why it exists: normalization as one op: as a chain of means and quotients it would travel through memory eight times.

use super::elementwise::float;
use crate::autograd::{Grads, Op, Saves, Specs, Step, apply};
use crate::dtype::dispatch_float;
use crate::kernels::{norm as kernel, par};
use crate::tensor::{Array, Tensor};
use crate::{Error, Float, MAX_RANK, Result, Shape, Spec};
use smallvec::smallvec;

super::table::ops! {
    layer_norm: Floats, Every, "LayerNormalization";
}

/// Cost of an element against an addition.
const COST: usize = 4;

/// Over the last axis, with factor and shift. Two more outputs keep each row's mean and factor for the gradient.
#[derive(Debug)]
struct LayerNorm {
    epsilon: f64,
}

const NAME: &str = "layer_norm";

impl Op for LayerNorm {
    fn name(&self) -> &'static str {
        NAME
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
        Ok(smallvec![x, row, row])
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
        let mut grads: Grads = smallvec![None, None, None];
        if step.wants(2) {
            grads[2] = Some(g.sum_to(&step.spec(2).shape)?);
        }
        if !step.wants(0) && !step.wants(1) {
            return Ok(grads);
        }
        if step.attached() {
            let x = step.input(0);
            let center = x.sub(&x.mean(&[-1], true)?)?;
            let scale = center.square()?.mean(&[-1], true)?.affine(1.0, self.epsilon)?.rsqrt()?;
            let z = center.mul(&scale)?;
            if step.wants(1) {
                grads[1] = Some(g.mul(&z)?.sum_to(&step.spec(1).shape)?);
            }
            if step.wants(0) {
                let h = g.mul(&step.input(1))?;
                let slope = h.mul(&z)?.mean(&[-1], true)?;
                grads[0] = Some(h.sub(&h.mean(&[-1], true)?)?.sub(&z.mul(&slope)?)?.mul(&scale)?);
            }
            return Ok(grads);
        }
        let (spec, x, mean, scale) = (step.spec(0), step.input(0), step.output(1), step.output(2));
        let mut of_x = if step.wants(0) { Some(Array::new(spec)?) } else { None };
        let mut of_gamma = if step.wants(1) { Some(Array::new(step.spec(1))?) } else { None };
        dispatch_float!(NAME, spec.dtype, T => {
            let (x, g) = (x.array().contiguous()?, g.array().contiguous()?);
            let (x, g) = (x.slice::<T>()?, g.slice::<T>()?);
            let rows = kernel::Rows { mean: mean.array().slice::<T>()?, scale: scale.array().slice::<T>()? };
            if let Some(out) = &mut of_x {
                let gamma = step.input(1).array().contiguous()?;
                let gamma = gamma.slice::<T>()?;
                let n = gamma.len();
                par::chunks(out.slice_mut::<T>()?, n, par::GRAIN / COST, &|first, run: &mut [T]| {
                    let (part, at) = (first * n..first * n + run.len(), first..first + run.len() / n);
                    let rows = kernel::Rows { mean: &rows.mean[at.clone()], scale: &rows.scale[at] };
                    kernel::layer_norm_grad(&x[part.clone()], &g[part], gamma, rows, run);
                });
            }
            if let Some(out) = &mut of_gamma {
                kernel::layer_norm_gamma(x, g, rows, out.slice_mut::<T>()?);
            }
        });
        (grads[0], grads[1]) = (of_x.map(Tensor::from), of_gamma.map(Tensor::from));
        Ok(grads)
    }
}

impl Tensor {
    /// `(x - mean) / √(var + ε) · γ + β` over the last axis, with the biased variance (Ba et al. 2016; Keras's
    /// `LayerNormalization`). `gamma` and `beta` have one number for each feature; 1 and 0 where not given.
    ///
    /// # Errors
    /// Shapes or dtypes do not fit, the last axis is empty, or `epsilon` is not a number of 0 or more.
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
        Ok(apply(LayerNorm { epsilon }, &[self, &or(gamma, 1.0)?, &or(beta, 0.0)?])?.swap_remove(0))
    }
}
