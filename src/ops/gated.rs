//! Why it exists: activations that are not functions of one element alone, or have two constants: compositions, so that their gradients are
//! those of the parts.

use crate::tensor::Tensor;
use crate::{Error, Result};

super::table::ops! {
    threshold: Floats, Every, "";
    glu: Floats, Every, "";
}

impl Tensor {
    /// `x` where above `threshold`, else `default`. The gradient is 0 there.
    ///
    /// # Errors
    /// The dtype is not float32 or float64, or memory cannot be had.
    pub fn threshold(&self, threshold: f64, default: f64) -> Result<Tensor> {
        super::elementwise::float("threshold", self.dtype())?;
        self.greater(&self.new_full([], threshold)?)?.choose(self, &self.new_full([], default)?)
    }

    /// Gated linear unit (Dauphin et al. 2017): the first half of an axis times the sigmoid of the second.
    ///
    /// # Errors
    /// The axis is out of range or of odd size, or the dtype is not float32 or float64.
    pub fn glu(&self, axis: isize) -> Result<Tensor> {
        let n = self.dims()[self.shape().axis("glu", axis)?];
        if !n.is_multiple_of(2) {
            return Err(Error::shape("glu", format!("an even size at axis {axis}"), *self.shape()));
        }
        let half = n as isize / 2;
        self.slice(axis, 0, half)?.mul(&self.slice(axis, half, 2 * half)?.sigmoid()?)
    }
}
