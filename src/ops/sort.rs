//! Sorting. There is one order (`kernels/sort.rs`): NaN comes last, ascending or descending, and equal elements
//! keep their order.

use crate::autograd::{Grads, Op, Saves, Specs, Step, apply, apply1, nothing_flows, one};
use crate::dtype::dispatch_stored;
use crate::kernels::sort;
use crate::tensor::{Array, Tensor, few};
use crate::{DType, Error, Result, Shape, Spec};

super::table::ops! {
    [ArgSort, Mode];
    sort: Any, Every, "TopK";
    argsort: Any, None, "TopK";
    argpartition: Any, None, "TopK";
    top_k: Any, Every, "TopK";
    unique: Any, None, "Unique";
    mode: Any, Every, "";
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

crate::op! {
    /// Where the last axis has the value that occurs most often, and how often, from the axis and the indices that sort it.
    struct Mode("mode", 2) {}
}

impl Op for Mode {
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        let shape = inputs[0].shape;
        match shape.dims().last() {
            None | Some(0) => Err(Error::shape("mode", "at least one element along the axis", shape)),
            Some(_) => {
                let spec = Spec::new(shape.with(shape.rank() - 1, 1), DType::I64);
                Ok(few![spec, spec])
            }
        }
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        let (x, order) = (inputs[0].contiguous()?, inputs[1].contiguous()?);
        let n = x.shape().dims().last().copied().unwrap_or(1);
        let [at, counts] = outputs else { return Ok(()) };
        let (at, counts) = (at.slice_mut::<i64>()?, counts.slice_mut::<i64>()?);
        let rows = order.slice::<i64>()?.chunks_exact(n).zip(at).zip(counts);
        dispatch_stored!(x.dtype(), T => {
            for (x, ((order, at), most)) in x.slice::<T>()?.chunks_exact(n).zip(rows) {
                let (mut first, mut run) = (order[0], 0);
                *most = 0;
                for &i in order {
                    if !sort::order(&x[first as usize], &x[i as usize], false).is_eq() {
                        (first, run) = (i, 0);
                    }
                    run += 1;
                    if run > *most {
                        (*most, *at) = (run, first);
                    }
                }
            }
        });
        Ok(())
    }
    nothing_flows!();
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

    /// Returns indices (int64) that put the element at place `kth` of an axis, counted from the end if negative, where it
    /// would be if the axis were sorted, with none larger before it and none smaller behind it. These are the indices of
    /// [`Tensor::argsort`], which is one of the orders that NumPy allows.
    ///
    /// # Errors
    /// The axis or the place is out of range.
    pub fn argpartition(&self, kth: isize, axis: isize) -> Result<Tensor> {
        let size = self.dims()[self.shape().axis("argpartition", axis)?] as isize;
        if kth >= size || kth < -size {
            return Err(Error::argument("kth", format!("a place from {} to {}", -size, size - 1), kth));
        }
        self.argsort(axis, false)
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

    /// Returns the value that occurs most often along an axis, the smallest of several, and how often it does (int64): SciPy's
    /// `stats.mode`. NaN counts as one value, larger than all others. The gradient flows to the first of the equal elements.
    ///
    /// # Errors
    /// The axis is out of range, or has no elements.
    pub fn mode(&self, axis: isize, keepdims: bool) -> Result<(Tensor, Tensor)> {
        let at = self.shape().axis("mode", axis)?;
        let rows = self.to_last(at)?;
        let plain = rows.detach();
        let mut found = apply(Mode {}, &[&plain, &plain.argsort(-1, false)?])?;
        let (counts, first) = (found.swap_remove(1), found.swap_remove(0));
        let values = rows.take_along_axis(&first, -1)?;
        let shaped = |t: Tensor| if keepdims { t.last_to(at) } else { t.squeeze(-1) };
        Ok((shaped(values)?, shaped(counts)?))
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
