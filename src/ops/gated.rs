//! Why it exists: activations that are not functions of one element alone, or have two constants: compositions, so that their gradients are
//! those of the parts.

use crate::tensor::Tensor;
use crate::{DType, Error, Result};

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

    /// The nearest point, along an axis, of all that are not negative and add up to 1 (Martins and Astudillo 2016): a softmax
    /// that gives exact zeros.
    ///
    /// # Errors
    /// The axis is out of range, or the dtype is not float32 or float64.
    pub fn sparsemax(&self, axis: isize) -> Result<Tensor> {
        let axis = self.shape().axis("sparsemax", axis)?;
        let x = self.to_last(axis)?;
        if x.elements() == 0 {
            return Ok(self.clone());
        }
        // Sorted downwards, the first k stay above zero: the last k with 1 + k·xₖ > x₁ + … + xₖ.
        let sorted = x.sort(-1, true)?;
        let sums = sorted.cumsum(-1)?.affine(1.0, -1.0)?;
        let rank =
            super::arrange::positions(&x, sorted.dims()[sorted.rank() - 1], |i| i + 1)?.cast(x.dtype())?;
        let k = sorted.detach().mul(&rank)?.greater(&sums.detach())?.sum(&[-1], true)?;
        let threshold =
            sums.take_along_axis(&k.sub(&k.new_full([], 1.0)?)?.maximum(&k.new_full([], 0.0)?)?, -1)?;
        let count = k.cast(DType::F64)?.cast(x.dtype())?;
        x.sub(&threshold.div(&count)?)?.relu()?.last_to(axis)
    }
}
