//! Activations that are not functions of one element alone, or that have two constants. They are compositions, so
//! their gradients are those of the parts.

use crate::tensor::Tensor;
use crate::{Error, Result};

super::table::ops! {
    threshold: Floats, Every, "";
    glu: Floats, Every, "Sigmoid";
    sparsemax: Floats, Every, "";
}

impl Tensor {
    /// Returns `x` where it is above `threshold`, else `default`, where the gradient is 0.
    ///
    /// # Errors
    /// The dtype is not float32 or float64, or there is not enough memory.
    pub fn threshold(&self, threshold: f64, default: f64) -> Result<Tensor> {
        super::elementwise::float("threshold", self.dtype())?;
        self.greater(&self.new_full([], threshold)?)?.choose(self, &self.new_full([], default)?)
    }

    /// Computes the gated linear unit (Dauphin et al. 2017): the first half of an axis times the sigmoid of the
    /// second.
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

    /// Returns the nearest point whose values along an axis are at least 0 and add up to 1 (Martins and Astudillo
    /// 2016): `max(x - τ, 0)`.
    ///
    /// # Errors
    /// The axis is out of range, the dtype is not float32 or float64, or there is not enough memory.
    pub fn sparsemax(&self, axis: isize) -> Result<Tensor> {
        super::elementwise::float("sparsemax", self.dtype())?;
        let sorted = self.sort(axis, true)?;
        let ranks = self.new_full(*self.shape(), 1.0)?.cumsum(axis)?;
        // The largest values are above 0, as long as they are above the τ computed from them and those before them.
        let zero = self.new_full([], 0.0)?;
        let excess = sorted.detach().cumsum(axis)?.affine(1.0, -1.0)?;
        let support = sorted.detach().mul(&ranks)?.greater(&excess)?;
        let count = support.cast(self.dtype())?.sum(&[axis], true)?;
        let tau = support.choose(&sorted, &zero)?.sum(&[axis], true)?.affine(1.0, -1.0)?.div(&count)?;
        self.sub(&tau)?.relu()
    }
}
