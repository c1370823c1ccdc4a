//! Takes floating-point numbers apart into fractions and powers of two.

use super::elementwise::float;
use crate::autograd::{Op, Specs, apply1, nothing_flows, one};
use crate::dtype::dispatch_float;
use crate::tensor::{Array, Tensor};
use crate::{DType, Float, Result, Spec};

super::table::ops! {
    [Exponent];
    frexp: Floats, Every, "";
}

crate::op! {
    /// The exponent e of x = m·2^e with ½ ≤ |m| < 1.
    struct Exponent("exponent", 1) {}
}

impl Op for Exponent {
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        float("frexp", inputs[0].dtype)?;
        Ok(one(inputs[0].shape, DType::I32))
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        let x = inputs[0].contiguous()?;
        let out = outputs[0].slice_mut::<i32>()?;
        dispatch_float!("frexp", x.dtype(), T => {
            for (o, x) in out.iter_mut().zip(x.slice::<T>()?) {
                let x = x.wide();
                *o = if x == 0.0 || !x.is_finite() { 0 } else { libm::frexp(x).1 };
            }
        });
        Ok(())
    }
    nothing_flows!();
}

impl Tensor {
    /// Returns m and e (int32) of `x = m·2^e` with ½ ≤ |m| < 1, exactly; zeros, infinities and NaN are m themselves, with
    /// e = 0. The gradient of m is 2^-e, that of e is nowhere. The inverse is [`Tensor::ldexp`].
    ///
    /// # Errors
    /// The dtype is not float32 or float64.
    pub fn frexp(&self) -> Result<(Tensor, Tensor)> {
        let exponent = apply1(Exponent {}, &[self])?;
        Ok((self.ldexp(&exponent.cast(self.dtype())?.neg()?)?, exponent))
    }
}
