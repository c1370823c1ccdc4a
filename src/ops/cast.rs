//! Why it exists: from one element type to another.

use crate::autograd::{Grads, Op, Saves, Specs, Step, apply1, one};
use crate::dtype::dispatch_stored;
use crate::dtype::{bf16, f16};
use crate::kernels::par;
use crate::tensor::{Array, Tensor};
use crate::{DType, Result, Spec, Stored};
use num_traits::AsPrimitive;
use smallvec::smallvec;

super::table::ops! {
    cast: Any, Every, "Cast";
    scale: Any, Every, "Mul";
}
super::table::recorded!(Cast);

crate::op! {
    struct Cast("cast", 1) { dtype: DType }
}

/// Converts as Rust's `as` does: to floats by rounding to nearest, to integers by truncation and saturation.
fn convert<A: Stored + AsPrimitive<B>, B: Stored>(x: &[A], out: &mut [B]) {
    each(x, out, |x| x.as_());
}

fn each<A: Stored, B: Stored>(x: &[A], out: &mut [B], f: impl Fn(A) -> B + Sync) {
    par::chunks(out, 1, par::GRAIN, &|first, out: &mut [B]| {
        for (o, &x) in out.iter_mut().zip(&x[first..]) {
            *o = f(x);
        }
    });
}

impl Op for Cast {
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        Ok(one(inputs[0].shape, self.dtype))
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        let x = inputs[0].contiguous()?;
        dispatch_stored!(x.dtype(), A => {
            let (x, out) = (x.slice::<A>()?, &mut outputs[0]);
            match self.dtype {
                DType::F32 => convert::<A, f32>(x, out.slice_mut()?),
                DType::F64 => convert::<A, f64>(x, out.slice_mut()?),
                DType::BF16 => convert::<A, bf16>(x, out.slice_mut()?),
                DType::F16 => convert::<A, f16>(x, out.slice_mut()?),
                DType::I64 => convert::<A, i64>(x, out.slice_mut()?),
                DType::U8 => convert::<A, u8>(x, out.slice_mut()?),
                DType::Bool => each(x, out.slice_mut()?, |x: A| u8::from(x != A::default())),
            }
        });
        Ok(())
    }
    fn saves(&self, _: &[bool]) -> Saves {
        Saves::NONE
    }
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        let from = step.spec(0).dtype;
        let float = matches!(from, DType::F32 | DType::F64 | DType::BF16 | DType::F16);
        Ok(smallvec![if float { Some(step.grad(0)?.cast(from)?) } else { None }])
    }
}

impl Tensor {
    /// With another element type: to floats rounded to nearest, to integers truncated and saturated, to bool whether
    /// not zero.
    ///
    /// # Errors
    /// Memory cannot be had.
    pub fn cast(&self, dtype: DType) -> Result<Tensor> {
        if dtype == self.dtype() { Ok(self.clone()) } else { apply1(Cast { dtype }, &[self]) }
    }

    /// Multiplied by a constant; integers and bytes become float32 first. (Keras: `Rescaling`.)
    ///
    /// # Errors
    /// Memory cannot be had.
    pub fn scale(&self, factor: f64) -> Result<Tensor> {
        let float = if self.dtype().is_float() { self.clone() } else { self.cast(DType::F32)? };
        float.affine(factor, 0.0)
    }
}
