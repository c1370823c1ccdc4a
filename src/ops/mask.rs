//! Selects and changes elements by truth values.

use crate::tensor::{Array, Few, Tensor};
use crate::{DType, Error, MAX_RANK, Result, Shape, Spec};

super::table::ops! {
    boolean_mask: Any, Every, "Compress";
    masked_fill: Any, Every, "Where";
    argwhere: Bools, None, "NonZero";
}

impl Tensor {
    /// Sets elements to `value`, rounded to the dtype, where the mask (bool, broadcast to this shape) is true.
    ///
    /// # Errors
    /// The mask is not bool, or shapes do not broadcast.
    pub fn masked_fill(&self, mask: &Tensor, value: f64) -> Result<Tensor> {
        mask.choose(&self.new_full([], value)?, self)
    }

    /// Returns the indices (int64) of elements that are not zero, one row each, `[count, rank]`, in row-major order
    /// (NumPy's `argwhere`).
    ///
    /// # Errors
    /// The tensor has no values yet, or there is not enough memory.
    pub fn argwhere(&self) -> Result<Tensor> {
        let flat = self.places()?;
        let flat = flat.array().slice::<i64>()?;
        let mut out = Array::new(Spec::new(Shape::new(&[flat.len(), self.rank()])?, DType::I64))?;
        for (&at, row) in flat.iter().zip(out.slice_mut::<i64>()?.chunks_exact_mut(self.rank().max(1))) {
            let mut left = at as usize;
            for (o, &d) in row.iter_mut().zip(self.dims()).rev() {
                *o = (left % d) as i64;
                left /= d;
            }
        }
        Ok(out.into())
    }

    /// Returns the flat positions (int64), in row-major order, of elements that are not zero.
    pub(super) fn places(&self) -> Result<Tensor> {
        if self.is_traced() {
            return Err(Error::Abstract { op: "choosing by a mask" });
        }
        let mask = self.cast(DType::Bool)?.array().contiguous()?;
        let mask = mask.slice::<u8>()?;
        let count = mask.iter().filter(|v| **v != 0).count();
        let mut places = Array::new(Spec::new(Shape::new(&[count])?, DType::I64))?;
        let found = mask.iter().enumerate().filter(|(_, v)| **v != 0);
        places.slice_mut::<i64>()?.iter_mut().zip(found).for_each(|(o, (i, _))| *o = i as i64);
        Ok(places.into())
    }

    /// Returns what the mask (bool) selects of the first axes, along one axis that replaces them: elements, or
    /// slices if the mask has fewer axes (NumPy's `x[mask]`).
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
        let merged = [mask.elements()];
        let sizes = [&self.dims()[..axis], &merged, &self.dims()[end..]].into_iter().flatten().copied();
        self.reshape_to(&sizes.collect::<Few<_, MAX_RANK>>()[..])?.gather(&places, axis as isize)
    }
}
