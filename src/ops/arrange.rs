//! Rearranges elements: repeats, flips, rolls and cuts tensors, and moves their axes, as NumPy users do between
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

/// Returns the index tensor `f(0), f(1), … f(n - 1)`, for [`Tensor::gather`].
pub(super) fn positions(n: usize, f: impl Fn(usize) -> usize) -> Result<Tensor> {
    let mut array = Array::new(Spec::new(Shape::new(&[n])?, DType::I64))?;
    array.slice_mut::<i64>()?.iter_mut().enumerate().for_each(|(i, o)| *o = f(i) as i64);
    Ok(array.into())
}

impl Tensor {
    /// Merges all axes into one.
    ///
    /// # Errors
    /// There is not enough memory for a copy.
    pub fn flatten(&self) -> Result<Tensor> {
        self.reshape_to([self.elements()])
    }

    /// Moves one axis to another position; the others keep their order. (NumPy's `swapaxes` is
    /// [`Tensor::transpose`].)
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

    /// Reverses the elements along `axes`, or along all axes if none are given. No data moves.
    ///
    /// # Errors
    /// An axis is out of range or given twice.
    pub fn flip(&self, axes: &[isize]) -> Result<Tensor> {
        let set = self.shape().axes("flip", axes)?;
        let chosen = (0..self.rank()).filter(|&i| set[i]);
        chosen.into_iter().try_fold(self.clone(), |t, i| t.slice_step(i as isize, None, None, -1))
    }

    /// Moves the elements along an axis by `shift` positions; those that leave at the end come in at the start.
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

    /// Repeats each element `times` times along an axis: `a a b b c c`.
    ///
    /// # Errors
    /// The axis is out of range, or the size overflows.
    pub fn repeat(&self, times: usize, axis: isize) -> Result<Tensor> {
        let at = self.shape().axis("repeat", axis)?;
        self.copies("repeat", times, at, |i| i / times.max(1))
    }

    /// Repeats the whole tensor, `times[i]` times along axis i: `a b c a b c`. With fewer numbers than axes they
    /// apply to the last axes; with more, the tensor gets leading axes of size 1 (NumPy's `tile`).
    ///
    /// # Errors
    /// There would be too many axes, or a size overflows.
    pub fn tile(&self, times: &[usize]) -> Result<Tensor> {
        let mut sizes: Few<usize, MAX_RANK> = few![1; times.len().saturating_sub(self.rank())];
        sizes.extend(self.dims().iter().copied());
        let lead = sizes.len() - times.len();
        // Axes that become empty go first, those that become largest last, so that nothing is copied in vain.
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

    /// Splits an axis into parts of these sizes. They share this tensor's memory.
    ///
    /// # Errors
    /// The axis is out of range, or the sizes do not add up to its size.
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

    /// Splits an axis into `n` parts of equal size. They share this tensor's memory.
    ///
    /// # Errors
    /// The axis is out of range, its size is not a multiple of `n`, or there is not enough memory for that many
    /// parts.
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

    /// Returns the slices along an axis, without that axis: the inverse of [`Tensor::stack`]. They share this
    /// tensor's memory.
    ///
    /// # Errors
    /// The axis is out of range, or there is not enough memory for that many tensors.
    pub fn unbind(&self, axis: isize) -> Result<Vec<Tensor>> {
        let n = self.dims()[self.shape().axis("unbind", axis)?];
        let mut parts = room(n, self.spec())?;
        for i in 0..n as isize {
            parts.push(self.select(axis, i)?);
        }
        Ok(parts)
    }
}
