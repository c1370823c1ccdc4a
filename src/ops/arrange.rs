//! Why it exists: the same elements repeated, turned round, cut apart or under other axes: what NumPy users reach for between
//! computations. All are compositions of views, `concat` and `gather`.

use crate::tensor::room::room;
use crate::tensor::{Array, Few, Tensor, few};
use crate::{DType, Error, MAX_RANK, Result, Shape, Spec};

super::table::ops! {
    flatten: Any, Every, "Flatten";
    flip: Any, Every, "Slice";
    moveaxis: Any, Every, "Transpose";
    repeat: Any, Every, "";
    roll: Any, Every, "Concat";
    tile: Any, Every, "Tile";
    split: Any, Every, "Split";
    chunk: Any, Every, "Split";
    unbind: Any, Every, "Split";
}

/// The index tensor `f(0), f(1), … f(n - 1)`, for [`Tensor::gather`].
pub(super) fn positions(n: usize, f: impl Fn(usize) -> usize) -> Result<Tensor> {
    let mut array = Array::new(Spec::new(Shape::new(&[n])?, DType::I64))?;
    array.slice_mut::<i64>()?.iter_mut().enumerate().for_each(|(i, o)| *o = f(i) as i64);
    Ok(array.into())
}

impl Tensor {
    /// With all axes joined into one.
    ///
    /// # Errors
    /// Memory for a copy cannot be had.
    pub fn flatten(&self) -> Result<Tensor> {
        self.reshape_to([self.elements()])
    }

    /// One axis moved to another place; the others keep their order. (NumPy's `swapaxes` is [`Tensor::transpose`].)
    ///
    /// # Errors
    /// An axis is out of range.
    pub fn moveaxis(&self, source: isize, destination: isize) -> Result<Tensor> {
        let (from, to) =
            (self.shape().axis("moveaxis", source)?, self.shape().axis("moveaxis", destination)?);
        if from == to {
            return Ok(self.clone());
        }
        let mut order: Few<isize, MAX_RANK> = (0..self.rank() as isize).collect();
        let moved = order.remove(from);
        order.insert(to, moved);
        self.permute(&order)
    }

    /// Backwards along `axes`, along all if none are given. No data moves.
    ///
    /// # Errors
    /// An axis is out of range or given twice.
    pub fn flip(&self, axes: &[isize]) -> Result<Tensor> {
        let set = self.shape().axes("flip", axes)?;
        let chosen = (0..self.rank()).filter(|&i| set[i]);
        chosen.into_iter().try_fold(self.clone(), |t, i| t.slice_step(i as isize, None, None, -1))
    }

    /// Moved on by `shift` places along an axis; what leaves at the end comes in at the start.
    ///
    /// # Errors
    /// The axis is out of range.
    pub fn roll(&self, shift: isize, axis: isize) -> Result<Tensor> {
        let n = self.dims()[self.shape().axis("roll", axis)?] as isize;
        let shift = if n == 0 { 0 } else { shift.rem_euclid(n) };
        if shift == 0 {
            return Ok(self.clone());
        }
        Tensor::concat(&[&self.slice(axis, n - shift, n)?, &self.slice(axis, 0, n - shift)?], axis)
    }

    /// Each element `times` times along an axis: `a a b b c c`.
    ///
    /// # Errors
    /// The axis is out of range, or the size cannot be counted.
    pub fn repeat(&self, times: usize, axis: isize) -> Result<Tensor> {
        let at = self.shape().axis("repeat", axis)?;
        self.copies("repeat", times, at, |i| i / times.max(1))
    }

    /// The whole tensor again and again, `times[i]` times along axis i: `a b c a b c`. With fewer numbers than axes they count for
    /// the last axes, with more the tensor gets leading axes of size 1 (NumPy's `tile`).
    ///
    /// # Errors
    /// There would be too many axes, or a size cannot be counted.
    pub fn tile(&self, times: &[usize]) -> Result<Tensor> {
        let mut sizes: Few<usize, MAX_RANK> = few![1; times.len().saturating_sub(self.rank())];
        sizes.extend(self.dims().iter().copied());
        let lead = sizes.len() - times.len();
        // What becomes empty goes first, what becomes largest last: nothing is copied in vain.
        let mut order: Few<usize, MAX_RANK> = (0..times.len()).collect();
        order.sort_by_key(|&i| times[i]);
        order.into_iter().try_fold(self.reshape_to(&sizes[..])?, |t, i| {
            let (at, n) = (lead + i, t.dims()[lead + i]);
            t.copies("tile", times[i], at, |i| i % n)
        })
    }

    fn copies(
        &self,
        op: &'static str,
        times: usize,
        at: usize,
        f: impl Fn(usize) -> usize,
    ) -> Result<Tensor> {
        if times == 1 {
            return Ok(self.clone());
        }
        let n = self.dims()[at].checked_mul(times);
        let n = n.ok_or_else(|| Error::argument(op, "a size that can be counted", times))?;
        self.gather(&positions(n, f)?, at as isize)
    }

    /// Parts of these sizes, one after the other along an axis. They share this tensor's memory.
    ///
    /// # Errors
    /// The axis is out of range, or the sizes do not add up to it.
    pub fn split(&self, sizes: &[usize], axis: isize) -> Result<Vec<Tensor>> {
        let n = self.dims()[self.shape().axis("split", axis)?];
        if sizes.iter().try_fold(0usize, |sum, &s| sum.checked_add(s)) != Some(n) {
            let expected = format!("sizes that add up to {n}, that of axis {axis}");
            return Err(Error::argument("split sizes", expected, format!("{sizes:?}")));
        }
        let (mut start, mut parts) = (0, room(sizes.len(), self.spec())?);
        for &size in sizes {
            parts.push(self.slice(axis, start, start + size as isize)?);
            start += size as isize;
        }
        Ok(parts)
    }

    /// `n` parts of equal size along an axis. They share this tensor's memory.
    ///
    /// # Errors
    /// The axis is out of range, its size is not a multiple of `n`, or memory for so many parts cannot be had.
    pub fn chunk(&self, n: usize, axis: isize) -> Result<Vec<Tensor>> {
        let size = self.dims()[self.shape().axis("chunk", axis)?];
        if n == 0 || !size.is_multiple_of(n) {
            return Err(Error::shape("chunk", format!("a multiple of {n} along axis {axis}"), *self.shape()));
        }
        let (width, mut parts) = ((size / n) as isize, room(n, self.spec())?);
        for i in 0..n as isize {
            parts.push(self.slice(axis, i * width, (i + 1) * width)?);
        }
        Ok(parts)
    }

    /// The slices along an axis, which disappears: the inverse of [`Tensor::stack`]. They share this tensor's memory.
    ///
    /// # Errors
    /// The axis is out of range, or memory for so many tensors cannot be had.
    pub fn unbind(&self, axis: isize) -> Result<Vec<Tensor>> {
        let n = self.dims()[self.shape().axis("unbind", axis)?];
        let mut parts = room(n, self.spec())?;
        for i in 0..n as isize {
            parts.push(self.select(axis, i)?);
        }
        Ok(parts)
    }
}
