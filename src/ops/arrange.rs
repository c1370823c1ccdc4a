//! Rearranges elements: repeats, flips, rolls and cuts tensors, and moves their axes, as NumPy users do between
//! computations. All are compositions of views, `concat` and `gather`.

use crate::tensor::room::room;
use crate::tensor::{Array, Few, Tensor, few};
use crate::{DType, Error, MAX_RANK, Result, Shape, Spec};

super::table::ops! {
    flatten: Any, Every, "Reshape";
    flip: Any, Every, "Slice";
    rot90: Any, Every, "";
    unravel_index: Ints, None, "";
    space_to_depth: Any, Every, "";
    depth_to_space: Any, Every, "";
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

    /// Turns by `times` right angles in the plane of two axes, from the first to the second.
    ///
    /// # Errors
    /// An axis is out of range, or both are the same.
    pub fn rot90(&self, times: isize, first: isize, second: isize) -> Result<Tensor> {
        let (a, b) = (self.shape().axis("rot90", first)?, self.shape().axis("rot90", second)?);
        if a == b {
            return Err(Error::argument("rot90 axes", "two different axes", format!("{first} and {second}")));
        }
        let (a, b) = (a as isize, b as isize);
        match times.rem_euclid(4) {
            0 => Ok(self.clone()),
            1 => self.flip(&[b])?.transpose(a, b),
            2 => self.flip(&[a, b]),
            _ => self.transpose(a, b)?.flip(&[b]),
        }
    }

    /// Returns the coordinates (int64, one tensor for each axis) of flat positions in a tensor of this shape. Negative
    /// positions count from the end.
    ///
    /// # Errors
    /// The dtype is not of integers, a position is out of range, or positions have no values yet.
    pub fn unravel_index(&self, shape: impl crate::IntoShape) -> Result<Vec<Tensor>> {
        let shape = shape.into_shape()?;
        let flat = super::promote::indices("unravel_index", self)?;
        if flat.is_traced() {
            return Err(Error::Abstract { op: "unravel_index" });
        }
        let values = flat.contiguous()?;
        let places =
            super::index::positions("unravel_index", values.array().slice::<i64>()?, shape.elements())?;
        let mut left = Tensor::from_slice(&places, *flat.shape())?;
        let mut all = Vec::new();
        for &d in shape.dims().iter().rev() {
            let size = Tensor::scalar(d as i64)?;
            all.push(left.remainder(&size)?);
            left = left.floor_div(&size)?;
        }
        all.reverse();
        Ok(all)
    }

    /// Moves blocks of `block` by `block` places of `[batch, height, width, channels]` into the channels.
    ///
    /// # Errors
    /// There are not four axes, or `block` does not divide height and width.
    pub fn space_to_depth(&self, block: usize) -> Result<Tensor> {
        let &[n, h, w, c] = self.dims() else {
            return Err(Error::shape("space_to_depth", "[batch, height, width, channels]", *self.shape()));
        };
        if block == 0 || !h.is_multiple_of(block) || !w.is_multiple_of(block) {
            let expected = format!("a height and width that {block} divides");
            return Err(Error::shape("space_to_depth", expected, *self.shape()));
        }
        let cut = self.reshape_to([n, h / block, block, w / block, block, c])?;
        cut.permute(&[0, 1, 3, 2, 4, 5])?.reshape_to([n, h / block, w / block, block * block * c])
    }

    /// Moves channels of `[batch, height, width, channels]` into blocks of `block` by `block` places: the inverse of
    /// [`Tensor::space_to_depth`].
    ///
    /// # Errors
    /// There are not four axes, or the square of `block` does not divide the channels.
    pub fn depth_to_space(&self, block: usize) -> Result<Tensor> {
        let &[n, h, w, c] = self.dims() else {
            return Err(Error::shape("depth_to_space", "[batch, height, width, channels]", *self.shape()));
        };
        let square = block.checked_mul(block).filter(|s| *s > 0 && c.is_multiple_of(*s));
        let Some(square) = square else {
            let expected = format!("channels that the square of {block} divides");
            return Err(Error::shape("depth_to_space", expected, *self.shape()));
        };
        let cut = self.reshape_to([n, h, w, block, block, c / square])?;
        cut.permute(&[0, 1, 3, 2, 4, 5])?.reshape_to([n, h * block, w * block, c / square])
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
