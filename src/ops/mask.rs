//! Why it exists: choosing and changing elements by truth values.

use crate::tensor::Tensor;
use crate::{DType, Error, Result, Shape};

super::table::ops! {
    boolean_mask: Any, Every, "Compress";
    masked_fill: Any, Every, "Where";
    argwhere: Bools, None, "NonZero";
}

impl Tensor {
    /// `value`, rounded to the dtype, where the mask (bool, broadcast to this shape) is true.
    ///
    /// # Errors
    /// The mask is not bool, or shapes do not broadcast.
    pub fn masked_fill(&self, mask: &Tensor, value: f64) -> Result<Tensor> {
        mask.choose(&self.new_full([], value)?, self)
    }

    /// Where elements are not zero: one row of indices (int64) each, `[count, rank]`, in row-major order (NumPy's `argwhere`).
    ///
    /// # Errors
    /// The tensor has no values yet, or memory cannot be had.
    pub fn argwhere(&self) -> Result<Tensor> {
        let flat = self.places()?;
        let mut out = Vec::with_capacity(flat.len().saturating_mul(self.rank()));
        for &at in &flat {
            let mut left = at as usize;
            let first = out.len();
            for &d in self.dims().iter().rev() {
                out.push((left % d) as i64);
                left /= d;
            }
            out[first..].reverse();
        }
        Tensor::from_slice(&out, [flat.len(), self.rank()])
    }

    /// The positions, in row-major order, of elements that are not zero.
    pub(super) fn places(&self) -> Result<Vec<i64>> {
        if self.is_traced() {
            return Err(Error::Abstract { op: "choosing by a mask" });
        }
        let mask = self.cast(DType::Bool)?.array().contiguous()?;
        Ok(mask.slice::<u8>()?.iter().enumerate().filter(|(_, v)| **v != 0).map(|(i, _)| i as i64).collect())
    }

    /// What the mask (bool) chooses of the first axes, which it replaces by one: elements, or runs of them if the mask has fewer
    /// axes (NumPy's `x[mask]`).
    ///
    /// # Errors
    /// The mask is not bool, its sizes are not those of the first axes, or it has no values yet.
    pub fn boolean_mask(&self, mask: &Tensor) -> Result<Tensor> {
        self.boolean_mask_at(mask, 0)
    }

    /// [`Tensor::boolean_mask`] for the axes from `axis` on.
    pub(super) fn boolean_mask_at(&self, mask: &Tensor, axis: usize) -> Result<Tensor> {
        const OP: &str = "boolean_mask";
        if mask.dtype() != DType::Bool {
            return Err(Error::DType { op: OP, expected: "a bool mask", got: mask.dtype() });
        }
        let end = axis + mask.rank();
        if end > self.rank() || self.dims()[axis..end] != *mask.dims() {
            let why = format!("the mask's sizes must be those of the axes from {axis} on");
            return Err(Error::shapes(OP, *self.shape(), *mask.shape(), why));
        }
        let places = mask.places()?;
        let mut sizes = self.dims()[..axis].to_vec();
        sizes.push(mask.elements());
        sizes.extend_from_slice(&self.dims()[end..]);
        let index = Tensor::from_slice(&places, Shape::new(&[places.len()])?)?;
        self.reshape_to(sizes)?.gather(&index, axis as isize)
    }
}
