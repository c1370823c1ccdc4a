//! Converts tensors from one element type to another.

use crate::autograd::{Grads, Op, Saves, Specs, Step, apply1, one};
use crate::dtype::{Convert, bf16, dispatch_stored, f16};
use crate::kernels::par;
use crate::tensor::{Array, Tensor, few};
use crate::{DType, Result, Spec, Stored};

super::table::ops! {
    [Cast];
    cast: Any, Every, "Cast";
    scale: Any, Every, "Mul";
}

crate::op! {
    struct Cast("cast", 1) { dtype: DType }
}

fn convert<A: Stored + Convert<B>, B: Stored>(x: &[A], out: &mut [B]) {
    each(x, out, A::convert);
}

fn each<A: Stored, B: Stored>(x: &[A], out: &mut [B], f: impl Fn(A) -> B + Sync) {
    par::chunks(out, 1, par::GRAIN, &|first, out: &mut [B]| {
        for (o, &x) in out.iter_mut().zip(&x[first..]) {
            *o = f(x);
        }
    });
}

impl Op for Cast {
    fn flops(&self, _: &[Spec], _: &[Spec]) -> u64 {
        0
    }
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
                DType::I32 => convert::<A, i32>(x, out.slice_mut()?),
                DType::I8 => convert::<A, i8>(x, out.slice_mut()?),
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
        Ok(few![if float { Some(step.grad(0)?.cast(from)?) } else { None }])
    }
}

impl Tensor {
    /// Converts to another element type, each element to the nearest value. To floats, it is rounded once, half to
    /// even. To integers, the fraction is cut off, values out of range become the nearer end of the range (NumPy
    /// wraps there), and NaN becomes 0. To bool, it is whether the element is not zero.
    ///
    /// # Errors
    /// There is not enough memory.
    pub fn cast(&self, dtype: DType) -> Result<Tensor> {
        if dtype == self.dtype() { Ok(self.clone()) } else { apply1(Cast { dtype }, &[self]) }
    }

    /// Multiplies by a constant; dtypes other than float32 and float64 become float32 first. (Keras: `Rescaling`.)
    ///
    /// # Errors
    /// There is not enough memory.
    pub fn scale(&self, factor: f64) -> Result<Tensor> {
        let float = if self.dtype().is_float() { self.clone() } else { self.cast(DType::F32)? };
        float.affine(factor, 0.0)
    }
}
