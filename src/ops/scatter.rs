//! Collects elements by index: the largest, the smallest, the product or the sum of those that share an index, along an
//! axis or for segments of rows, alone or into a given tensor.

use super::along::{last, same_rows};
use super::index::{expect_index, positions};
use super::promote::indices as index_of;
use super::scan::recurrence;
use crate::autograd::{Attributes, Grads, Naming, Op, Saves, Specs, Step, apply1, names, one};
use crate::dtype::{dispatch_float, dispatch_moved, dispatch_whole};
use crate::kernels::index::{put_rows, reduce_rows};
use crate::kernels::math::Real;
use crate::tensor::{Array, Tensor, few};
use crate::{Error, Float, Result, Spec, string_enum};

super::table::ops! {
    [ReduceAlong, PutAlong];
    max_along_axis: Numbers, Every, "ScatterElements";
    min_along_axis: Numbers, Every, "ScatterElements";
    prod_along_axis: Floats, Every, "ScatterElements";
    put_along_axis: Any, Every, "ScatterElements";
    scatter_along_axis: Floats, Every, "ScatterElements";
    segment_sum: Floats, Every, "ScatterND";
    segment_mean: Floats, Every, "ScatterND";
    segment_max: Numbers, Every, "ScatterND";
    segment_min: Numbers, Every, "ScatterND";
    segment_prod: Floats, Every, "ScatterND";
}

names! {
    enum Kind {
        Max = "max_along_axis",
        Min = "min_along_axis",
        Product = "prod_along_axis",
    }
}

crate::op! {
    /// Of the elements along the last axis that share an index, the largest, the smallest or the product.
    struct ReduceAlong(kind: Kind, 2) { size: usize }
}

impl Op for ReduceAlong {
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        let dtype = inputs[0].dtype;
        if !(dtype.is_integer() && self.kind != Kind::Product) {
            super::elementwise::float(self.name(), dtype)?;
        }
        expect_index(self.name(), inputs[1].dtype)?;
        if inputs[0].shape != inputs[1].shape || inputs[0].shape.rank() == 0 {
            let why = "each value needs one index";
            return Err(Error::shapes(self.name(), inputs[0].shape, inputs[1].shape, why));
        }
        Ok(one(inputs[0].shape.with(inputs[0].shape.rank() - 1, self.size), dtype))
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        let (x, index) = (inputs[0].contiguous()?, inputs[1].contiguous()?);
        let (k, n) = (last(x.shape()), self.size);
        let index = positions(self.name(), index.slice()?, n)?;
        if x.dtype().is_integer() {
            dispatch_whole!(self.name(), x.dtype(), T => {
                let (first, f): (T, fn(T, T) -> T) = match self.kind {
                    Kind::Max => (T::MIN, Ord::max),
                    _ => (T::MAX, Ord::min),
                };
                reduce_rows::<T>(x.slice()?, k, &index, outputs[0].slice_mut()?, n, first, f);
            });
            return Ok(());
        }
        dispatch_float!(self.name(), x.dtype(), T => {
            let (first, f): (T, fn(T, T) -> T) = match self.kind {
                Kind::Max => (T::neg_infinity(), Real::maximum),
                Kind::Min => (Float::infinity(), Real::minimum),
                Kind::Product => (Float::one(), |a, b| a * b),
            };
            reduce_rows::<T>(x.slice()?, k, &index, outputs[0].slice_mut()?, n, first, f);
        });
        Ok(())
    }
    fn saves(&self, _: &[bool]) -> Saves {
        match self.kind {
            Kind::Product => Saves::INPUTS,
            _ => Saves::INPUTS.output(0),
        }
    }
    /// Equal extremes share the gradient. That of a product is the one of running products, right where elements are zero.
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        if !step.spec(0).dtype.is_float() {
            return Ok(few![None, None]);
        }
        if self.kind == Kind::Product {
            return step.composed(|x| Ok(few![products(&x[0], &x[1], self.size)?]));
        }
        let (x, index, y) = (step.input(0), step.input(1), step.output(0));
        let hit = x.detach().equal(&y.detach().take_along_axis(&index, -1)?)?.cast(x.dtype())?;
        let hits = hit.add_along_axis(&index, -1, self.size)?.take_along_axis(&index, -1)?;
        Ok(few![Some(step.grad(0)?.take_along_axis(&index, -1)?.mul(&hit.div(&hits)?)?), None])
    }
}

/// The products of equal indices along the last axis, as running products of sorted elements that begin anew where the
/// index changes.
fn products(x: &Tensor, index: &Tensor, size: usize) -> Result<Tensor> {
    let k = last(index.shape()) as isize;
    let negative = index.less(&index.new_full([], 0.0)?)?;
    let index =
        negative.choose(&index.add(&Tensor::scalar(i64::try_from(size).unwrap_or(i64::MAX))?)?, index)?;
    let order = index.argsort(-1, false)?;
    let (x, index) = (x.take_along_axis(&order, -1)?, index.take_along_axis(&order, -1)?);
    if x.elements() == 0 {
        return x.new_full(x.shape().with(x.rank() - 1, size), 1.0);
    }
    let changes = index.slice(-1, 1, k)?.not_equal(&index.slice(-1, 0, k - 1)?)?;
    let edge = index.slice(-1, 0, 1)?.equal(&index.slice(-1, 0, 1)?)?;
    let (first, end) = (Tensor::concat(&[&edge, &changes], -1)?, Tensor::concat(&[&changes, &edge], -1)?);
    let zero = x.new_full([], 0.0)?;
    let running = recurrence(&first.choose(&zero, &x)?, &first.choose(&x, &zero)?)?;
    let end = end.cast(x.dtype())?;
    let empty = end.add_along_axis(&index, -1, size)?.affine(-1.0, 1.0)?;
    running.mul(&end)?.add_along_axis(&index, -1, size)?.add(&empty)
}

crate::op! {
    /// The first input with the third's elements in the places along the last axis that the second says; the last of
    /// several for one place stays.
    struct PutAlong("put_along_axis", 3) {}
}

impl Op for PutAlong {
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        expect_index(self.name(), inputs[1].dtype)?;
        same_rows(self.name(), inputs[0].shape, inputs[1].shape)?;
        if inputs[1].shape != inputs[2].shape || inputs[0].dtype != inputs[2].dtype {
            let why = "each value needs one index, and the dtype of the tensor";
            return Err(Error::shapes(self.name(), inputs[2].shape, inputs[1].shape, why));
        }
        Ok(one(inputs[0].shape, inputs[0].dtype))
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        let (x, index, values) = (inputs[0].contiguous()?, inputs[1].contiguous()?, inputs[2].contiguous()?);
        let (n, k) = (last(x.shape()), last(index.shape()));
        let index = positions(self.name(), index.slice()?, n)?;
        dispatch_moved!(x.dtype(), T => {
            let out = outputs[0].words_mut::<T>()?;
            out.copy_from_slice(x.word_slice()?);
            put_rows::<T>(values.word_slice()?, k, &index, out, n);
        });
        Ok(())
    }
    fn saves(&self, _: &[bool]) -> Saves {
        Saves::NONE.input(1)
    }
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        let (g, index) = (step.grad(0)?, step.input(1));
        let mut grads: Grads = few![None, None, None];
        if step.wants(0) {
            grads[0] = Some(apply1(PutAlong {}, &[&g, &index, &g.new_full(*index.shape(), 0.0)?])?);
        }
        if step.wants(2) {
            // Which value stayed: that whose number is found again.
            let ones = index.new_full(*index.shape(), 1.0)?;
            let numbers = ones.cumsum(-1)?;
            let places = index.new_full(step.spec(0).shape, 0.0)?;
            let stayed = apply1(PutAlong {}, &[&places, &index, &numbers])?.take_along_axis(&index, -1)?;
            let stayed = stayed.equal(&numbers)?.cast(g.dtype())?;
            grads[2] = Some(g.take_along_axis(&index, -1)?.mul(&stayed)?);
        }
        Ok(grads)
    }
}

string_enum! {
    /// What [`Tensor::scatter_along_axis`] makes of an element and the values for its place.
    pub enum Scatter {
        /// Their sum.
        Add = "add",
        /// Their product.
        Mul = "mul",
        /// The largest.
        Max = "max",
        /// The smallest.
        Min = "min",
    }
}

impl Tensor {
    fn reduced_along(&self, kind: Kind, indices: &Tensor, axis: isize, size: usize) -> Result<Tensor> {
        let at = self.shape().axis(kind.name(), axis)?;
        if indices.shape() != self.shape() {
            let why = "each value needs one index";
            return Err(Error::shapes(kind.name(), *self.shape(), *indices.shape(), why));
        }
        let indices = index_of(kind.name(), indices)?;
        apply1(ReduceAlong { kind, size }, &[&self.to_last(at)?, &indices.to_last(at)?])?.last_to(at)
    }

    /// Returns `size` elements along an axis: the largest of this tensor's elements with each index (an integer for each
    /// element; negative ones count from the end), and -infinity, or the smallest integer, where there are none.
    ///
    /// # Errors
    /// Shapes differ, the axis or an index is out of range, or dtypes do not fit.
    pub fn max_along_axis(&self, indices: &Tensor, axis: isize, size: usize) -> Result<Tensor> {
        self.reduced_along(Kind::Max, indices, axis, size)
    }

    /// [`Tensor::max_along_axis`] of the smallest elements; infinity, or the largest integer, where there are none.
    ///
    /// # Errors
    /// Those of [`Tensor::max_along_axis`].
    pub fn min_along_axis(&self, indices: &Tensor, axis: isize, size: usize) -> Result<Tensor> {
        self.reduced_along(Kind::Min, indices, axis, size)
    }

    /// [`Tensor::max_along_axis`] of products, in ascending order; 1 where there are no elements.
    ///
    /// # Errors
    /// Those of [`Tensor::max_along_axis`].
    pub fn prod_along_axis(&self, indices: &Tensor, axis: isize, size: usize) -> Result<Tensor> {
        self.reduced_along(Kind::Product, indices, axis, size)
    }

    /// Returns this tensor with `values` in the places along an axis that `indices` name, one (an integer; negative ones
    /// count from the end) for each value; the last of several for one place stays, and alone has a gradient. The values
    /// broadcast to the indices, which have the other axes of this tensor.
    ///
    /// # Errors
    /// Shapes or dtypes do not fit, or the axis or an index is out of range.
    pub fn put_along_axis(&self, indices: &Tensor, values: &Tensor, axis: isize) -> Result<Tensor> {
        let at = self.shape().axis("put_along_axis", axis)?;
        let (indices, values) = self.placed("put_along_axis", indices, values)?;
        apply1(PutAlong {}, &[&self.to_last(at)?, &indices.to_last(at)?, &values.to_last(at)?])?.last_to(at)
    }

    /// Returns this tensor with its elements joined with the `values` for their places along an axis, as
    /// [`Tensor::put_along_axis`] names them (ONNX's `ScatterElements` with a reduction).
    ///
    /// # Errors
    /// Those of [`Tensor::put_along_axis`], or the dtype is not float32 or float64.
    pub fn scatter_along_axis(
        &self,
        indices: &Tensor,
        values: &Tensor,
        axis: isize,
        how: Scatter,
    ) -> Result<Tensor> {
        const OP: &str = "scatter_along_axis";
        let at = self.shape().axis(OP, axis)?;
        super::elementwise::float(OP, self.dtype())?;
        let (indices, values) = self.placed(OP, indices, values)?;
        let n = self.dims()[at];
        // Each element comes before the values for its place.
        let own = super::arrange::positions(n, |i| i)?.broadcast_like(&self.to_last(at)?)?.last_to(at)?;
        let index = Tensor::concat(&[&own, &indices], axis)?;
        let all = Tensor::concat(&[self, &values], axis)?;
        match how {
            Scatter::Add => all.add_along_axis(&index, axis, n),
            Scatter::Mul => all.prod_along_axis(&index, axis, n),
            Scatter::Max => all.max_along_axis(&index, axis, n),
            Scatter::Min => all.min_along_axis(&index, axis, n),
        }
    }

    /// Indices as int64, and values of this dtype, one for each.
    fn placed(&self, op: &'static str, indices: &Tensor, values: &Tensor) -> Result<(Tensor, Tensor)> {
        if indices.rank() != self.rank() {
            let why = "the tensor and the indices need the same number of axes";
            return Err(Error::shapes(op, *self.shape(), *indices.shape(), why));
        }
        let indices = index_of(op, indices)?.into_owned();
        Ok((indices.clone(), values.cast(self.dtype())?.broadcast_like(&indices)?))
    }

    /// The rows as elements along the last axis, and the segment of each.
    fn by_segment(&self, op: &'static str, ids: &Tensor) -> Result<(Tensor, Tensor)> {
        let rows = self.dims().first().copied().unwrap_or(0);
        if ids.dims() != [rows] || self.rank() == 0 {
            let why = "the number of a segment for each row is a vector";
            return Err(Error::shapes(op, *self.shape(), *ids.shape(), why));
        }
        let x = self.to_last(0)?;
        let ids = index_of(op, ids)?.broadcast_like(&x)?;
        Ok((x, ids))
    }

    /// Returns the sums of the rows of each segment, `[segments, ...]`; `ids` (integers, `[rows]`, in any order; negative
    /// ones count from the end) says which segment a row belongs to. An empty segment has the sum 0.
    ///
    /// # Errors
    /// Shapes do not fit, an id is out of range, or dtypes are not float and integer.
    pub fn segment_sum(&self, ids: &Tensor, segments: usize) -> Result<Tensor> {
        self.by_segment("segment_sum", ids)?;
        self.scatter_add(ids, 0, self.shape().with(0, segments))
    }

    /// Returns the means of the rows of each segment, as [`Tensor::segment_sum`] the sums; 0 for an empty one.
    ///
    /// # Errors
    /// Those of [`Tensor::segment_sum`].
    pub fn segment_mean(&self, ids: &Tensor, segments: usize) -> Result<Tensor> {
        let sums = self.segment_sum(ids, segments)?;
        let ones = self.new_full(*ids.shape(), 1.0)?;
        let counts = ones.scatter_add(ids, 0, [segments])?;
        let counts = counts.maximum(&counts.new_full([], 1.0)?)?;
        let mut shape = vec![1; self.rank()];
        shape[0] = segments;
        sums.div(&counts.reshape_to(shape)?)
    }

    /// Returns the largest element of each segment of rows, as [`Tensor::segment_sum`] the sums; -infinity, or the smallest
    /// integer, for an empty one.
    ///
    /// # Errors
    /// Those of [`Tensor::segment_sum`].
    pub fn segment_max(&self, ids: &Tensor, segments: usize) -> Result<Tensor> {
        let (x, ids) = self.by_segment("segment_max", ids)?;
        x.max_along_axis(&ids, -1, segments)?.last_to(0)
    }

    /// Returns the smallest element of each segment of rows, as [`Tensor::segment_sum`] the sums; infinity, or the largest
    /// integer, for an empty one.
    ///
    /// # Errors
    /// Those of [`Tensor::segment_sum`].
    pub fn segment_min(&self, ids: &Tensor, segments: usize) -> Result<Tensor> {
        let (x, ids) = self.by_segment("segment_min", ids)?;
        x.min_along_axis(&ids, -1, segments)?.last_to(0)
    }

    /// Returns the product of the elements of each segment of rows, as [`Tensor::segment_sum`] the sums; 1 for an empty one.
    /// The gradient is right where elements are zero.
    ///
    /// # Errors
    /// Those of [`Tensor::segment_sum`].
    pub fn segment_prod(&self, ids: &Tensor, segments: usize) -> Result<Tensor> {
        let (x, ids) = self.by_segment("segment_prod", ids)?;
        x.prod_along_axis(&ids, -1, segments)?.last_to(0)
    }
}
