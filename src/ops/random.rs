//! Why it exists: operations that draw random numbers. What they draw is a function of a [`Stream`], which the caller
//! gives; so the gradient can draw the same again, and nothing depends on threads.

use super::elementwise::float;
use crate::autograd::{Grads, Op, Saves, Specs, Step, apply1};
use crate::dtype::dispatch_float;
use crate::kernels::par;
use crate::random::Stream;
use crate::tensor::{Array, Tensor};
use crate::{Error, Float, Result, Spec};
use smallvec::smallvec;

#[derive(Debug, Clone, Copy)]
struct Dropout {
    rate: f64,
    stream: Stream,
}

impl Op for Dropout {
    fn name(&self) -> &'static str {
        "dropout"
    }
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        float("dropout", inputs[0].dtype)?;
        Ok(smallvec![inputs[0]])
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        let threshold = (self.rate * 4_294_967_296.0) as u64;
        dispatch_float!("dropout", inputs[0].dtype(), T => {
            let x = inputs[0].contiguous()?;
            let x = x.slice::<T>()?;
            let scale = T::of(1.0 / (1.0 - self.rate));
            // Four elements share a draw of the generator; runs begin at multiples of four.
            par::chunks(outputs[0].slice_mut::<T>()?, 4, par::GRAIN / 8, &|first, run: &mut [T]| {
                for (i, out) in run.chunks_mut(4).enumerate() {
                    let draw = self.stream.block((first + i) as u64);
                    for (j, o) in out.iter_mut().enumerate() {
                        let keep = u64::from(draw[j]) >= threshold;
                        *o = if keep { x[(first + i) * 4 + j] * scale } else { 0.0 };
                    }
                }
            });
        });
        Ok(())
    }
    fn saves(&self, _: &[bool]) -> Saves {
        Saves::NONE
    }
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        Ok(smallvec![Some(apply1(*self, &[&step.grad(0)?])?)])
    }
}

impl Tensor {
    /// Each element zeroed with probability `rate`, the others scaled by `1 / (1 - rate)` (inverted dropout, Srivastava
    /// et al. 2014). Which ones depends on the stream and the element's position alone.
    ///
    /// # Errors
    /// `rate` is not in `[0, 1)`, or the dtype is not float32 or float64.
    pub fn dropout(&self, rate: f64, stream: Stream) -> Result<Tensor> {
        if !(0.0..1.0).contains(&rate) {
            return Err(Error::argument("dropout rate", "0 <= rate < 1", rate));
        }
        if rate == 0.0 { Ok(self.clone()) } else { apply1(Dropout { rate, stream }, &[self]) }
    }
}
