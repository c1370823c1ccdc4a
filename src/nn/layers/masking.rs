//! `Masking`: marks time steps that are only padding.

use crate::nn::{Build, Cx, Init, InputSpecs, Inputs, Node, Range, Value, Values, single};
use crate::{Error, Result};

crate::settings! {
    /// Gives `[batch, time, features]` a mask that is false where every feature of a time step is `mask_value`; the
    /// output is 0 there.
    pub layer Masking {
        /// Creates the layer.
        new();

        /// The value that padding is made of. Default: `0`.
        mask_value: f64 = 0.0,
    }
}
crate::parts!(Masking {});

impl Build for Masking {
    fn build(&self, inputs: &InputSpecs<'_>, _: &mut Init) -> Result<Box<dyn Node>> {
        let spec = single(inputs)?;
        match spec.shape.rank() {
            0 | 1 => Err(Error::shape("Masking", "inputs [batch, …, features]", spec.shape)),
            _ if self.mask_value.is_nan() => {
                let expected = "a number, to which no padding of NaN is equal: give padding another value";
                Err(Error::argument("mask_value", expected, self.mask_value))
            }
            _ => Ok(Box::new(self.clone())),
        }
    }
}

impl Node for Masking {
    fn call(&self, x: Inputs<'_>, _: &mut Cx) -> Result<Values> {
        let x = &x.single()?.tensor;
        let padding = x.equal(&x.new_full([], self.mask_value)?)?;
        let kept = padding.all(&[-1], true)?.logical_not()?;
        // Selected rather than multiplied: padding may be NaN.
        let y = kept.choose(x, &x.new_full([], 0.0)?)?;
        Ok(Value::masked(y, Some(kept.squeeze(-1)?)).into())
    }
    fn output_range(&self, output: usize, inputs: &[Option<Range>]) -> Option<Range> {
        inputs.get(output).copied().flatten()
    }
    fn is_row_wise(&self) -> bool {
        true
    }
}
