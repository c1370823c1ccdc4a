//! Tensors filled with one value. In a trace they are recorded with the tensor they were made for, whose sizes
//! explain theirs.

use super::parts::Parts;
use crate::autograd::{Op, Specs, apply1, nothing_flows, one};
use crate::dtype::dispatch_stored;
use crate::tensor::{Array, Tensor};
use crate::{IntoShape, Result, Shape, Spec};

super::table::ops! {
    [Fill];
    new_full: Any, None, "ConstantOfShape";
}

crate::op! {
    /// One value everywhere, with sizes that follow from the input's, and its dtype. The input's values are not
    /// read.
    struct Fill("fill", 1) { to: Parts, value: f64 }
}

impl Op for Fill {
    fn flops(&self, _: &[Spec], _: &[Spec]) -> u64 {
        0
    }
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        Ok(one(self.to.shape("fill", &inputs[0].shape)?, inputs[0].dtype))
    }
    fn eval(&self, _: &[&Array], outputs: &mut [Array]) -> Result<()> {
        let value = Tensor::filled(Spec::new(Shape::SCALAR, outputs[0].dtype()), self.value)?;
        dispatch_stored!(outputs[0].dtype(), T => {
            outputs[0].slice_mut::<T>()?.fill(value.array().slice::<T>()?[0]);
        });
        Ok(())
    }
    fn reads_values(&self) -> bool {
        false
    }
    nothing_flows!();
}

impl Tensor {
    /// Creates a tensor of another shape, all `value`, with this one's dtype; while a network is traced, without
    /// values.
    ///
    /// # Errors
    /// There is not enough memory.
    pub fn new_full(&self, shape: impl IntoShape, value: f64) -> Result<Tensor> {
        let shape = shape.into_shape()?;
        // A single number is a constant wherever it is used.
        if self.is_traced() && shape.rank() > 0 {
            return apply1(Fill { to: Parts::following(self.shape(), &shape), value }, &[&self.anchor()]);
        }
        Tensor::filled(Spec::new(shape, self.dtype()), value)
    }
}
