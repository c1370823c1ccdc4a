//! Sorting. There is one order (`kernels/sort.rs`): NaN comes last, ascending or descending, and equal elements
//! keep their order.

use crate::autograd::{Grads, Op, Saves, Specs, Step, apply1, one};
use crate::dtype::dispatch_stored;
use crate::kernels::sort;
use crate::tensor::{Array, Tensor, few};
use crate::{DType, Error, Result, Shape, Spec};

super::table::ops! {
    [ArgSort];
    sort: Any, Every, "TopK";
    argsort: Any, None, "TopK";
    top_k: Any, Every, "TopK";
    unique: Any, None, "Unique";
}

crate::op! {
    /// The indices that sort the last axis. Integers have no gradient, so none flows back.
    struct ArgSort("argsort", 1) { descending: bool }
}

impl Op for ArgSort {
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        Ok(one(inputs[0].shape, DType::I64))
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        let x = inputs[0].contiguous()?;
        let n = x.shape().dims().last().copied().unwrap_or(1);
        dispatch_stored!(x.dtype(), T => sort::argsort::<T>(x.slice()?, n, self.descending, outputs[0].slice_mut()?));
        Ok(())
    }
    fn saves(&self, _: &[bool]) -> Saves {
        Saves::NONE
    }
    fn vjp(&self, _: &Step<'_>) -> Result<Grads> {
        Ok(few![None])
    }
}

/// The result of [`Tensor::unique`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Unique {
    /// The distinct values, ascending, `[u]`.
    pub values: Tensor,
    /// For each element, the index of its value (int64), in the tensor's shape.
    pub inverse: Tensor,
    /// How often each value occurs (int64), `[u]`.
    pub counts: Tensor,
}

impl Tensor {
    /// Returns the indices (int64) that sort an axis, NaN last; equal elements keep their order.
    ///
    /// # Errors
    /// The axis is out of range.
    pub fn argsort(&self, axis: isize, descending: bool) -> Result<Tensor> {
        let axis = self.shape().axis("argsort", axis)?;
        apply1(ArgSort { descending }, &[&self.detach().to_last(axis)?])?.last_to(axis)
    }

    /// Sorts along an axis, NaN last.
    ///
    /// # Errors
    /// The axis is out of range.
    pub fn sort(&self, axis: isize, descending: bool) -> Result<Tensor> {
        self.take_along_axis(&self.argsort(axis, descending)?, axis)
    }

    /// Returns the `k` largest elements along an axis, largest first, and their indices (int64). Equal elements
    /// keep their order; NaN counts as less than all others.
    ///
    /// # Errors
    /// The axis is out of range, or it has fewer than `k` elements.
    pub fn top_k(&self, k: usize, axis: isize) -> Result<(Tensor, Tensor)> {
        let at = self.shape().axis("top_k", axis)?;
        if k > self.dims()[at] {
            return Err(Error::shape(
                "top_k",
                format!("at least {k} elements along axis {axis}"),
                *self.shape(),
            ));
        }
        let indices = self.argsort(axis, true)?.slice(axis, 0, k as isize)?;
        Ok((self.take_along_axis(&indices, axis)?, indices))
    }

    /// Returns the distinct values, as NumPy's `unique` does: ascending, NaN once and last. They have no gradient.
    ///
    /// # Errors
    /// The tensor has no values yet, or there is not enough memory.
    pub fn unique(&self) -> Result<Unique> {
        if self.is_traced() {
            return Err(Error::Abstract { op: "unique" });
        }
        let flat = self.detach().flatten()?;
        let order = flat.argsort(0, false)?;
        let (order, flat) = (order.array().slice::<i64>()?, flat.array().contiguous()?);
        let mut inverse = Array::new(Spec::new(*self.shape(), DType::I64))?;
        // The index of each element's value, in sorted order.
        let number = inverse.slice_mut::<i64>()?;
        let mut u = 0;
        dispatch_stored!(self.dtype(), T => {
            let x = flat.slice::<T>()?;
            for (i, &at) in order.iter().enumerate() {
                let same = |before: i64| sort::order(&x[before as usize], &x[at as usize], false).is_eq();
                if i == 0 || !same(order[i - 1]) {
                    u += 1;
                }
                number[at as usize] = u - 1;
            }
        });
        let spec = Spec::new(Shape::new(&[u as usize])?, DType::I64);
        let mut counts = Tensor::filled(spec, 0.0)?.into_array();
        let (mut first, seen) = (Array::new(spec)?, counts.slice_mut::<i64>()?);
        let firsts = first.slice_mut::<i64>()?;
        for &at in order {
            let of = number[at as usize] as usize;
            if seen[of] == 0 {
                firsts[of] = at;
            }
            seen[of] += 1;
        }
        Ok(Unique {
            values: Tensor::from(flat).gather(&first.into(), 0)?,
            inverse: inverse.into(),
            counts: counts.into(),
        })
    }
}
