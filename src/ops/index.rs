//! Gathers runs of a tensor by index; and the adjoint, which adds runs into place.

use super::promote::indices as index_of;
use crate::autograd::{Attr, Attribute, Grads, Op, Saves, Specs, Step, apply1, elements, nothing_flows, one};
use crate::dtype::{dispatch_float, dispatch_moved};
use crate::kernels::index::{Runs, gather, scatter_add};
use crate::tensor::{Array, Few, Tensor, few};
use crate::{DType, Error, MAX_RANK, Result, Shape, Spec};
use std::borrow::Cow;

super::table::ops! {
    [Gather, ScatterAdd, OneHot];
    gather: Any, Every, "Gather";
    scatter_add: Floats, Every, "ScatterND";
    one_hot: Ints, None, "OneHot";
    multi_hot: Ints, None, "OneHot";
}

fn runs(shape: &Shape, axis: usize) -> Runs {
    let d = shape.dims();
    Runs { outer: d[..axis].iter().product(), axis: d[axis], inner: d[axis + 1..].iter().product() }
}

/// Returns the shape with `index`'s shape in place of one axis.
fn replaced(op: &'static str, shape: &Shape, axis: usize, index: &Shape) -> Result<Shape> {
    let (before, after) = (&shape.dims()[..axis], &shape.dims()[axis + 1..]);
    let sizes: Few<usize, MAX_RANK> = [before, index.dims(), after].into_iter().flatten().copied().collect();
    Shape::new(&sizes).map_err(|_| Error::shape(op, "few enough dimensions for the result", *shape))
}

/// Fails unless each index, or what it means for the operation, is below `size`.
pub(crate) fn check_index(op: &'static str, what: &'static str, index: &[i64], size: usize) -> Result<()> {
    let size = i64::try_from(size).unwrap_or(i64::MAX);
    match index.iter().position(|&i| i < 0 || i >= size) {
        None => Ok(()),
        Some(position) => Err(Error::Index { op, what, value: index[position], position, last: size - 1 }),
    }
}

/// Returns the positions that indices name: from `-size` on they count from the end, as in NumPy and Keras.
pub(super) fn positions<'a>(op: &'static str, index: &'a [i64], size: usize) -> Result<Cow<'a, [i64]>> {
    let n = i64::try_from(size).unwrap_or(i64::MAX);
    if !index.iter().any(|i| *i < 0) {
        check_index(op, "index", index, size)?;
        return Ok(Cow::Borrowed(index));
    }
    if let Some(position) = index.iter().position(|&i| i < -n || i >= n) {
        return Err(Error::Index { op, what: "index", value: index[position], position, last: n - 1 });
    }
    Ok(Cow::Owned(index.iter().map(|&i| if i < 0 { i + n } else { i }).collect()))
}

pub(super) fn expect_index(op: &'static str, got: DType) -> Result<()> {
    if got == DType::I64 { Ok(()) } else { Err(Error::DType { op, expected: "int64 indices", got }) }
}

/// Whether negative indices count from the end; else they are out of range. Files from before it do not say; there
/// they do.
#[derive(Clone, Copy, Debug)]
struct FromEnd(bool);

impl Attribute for FromEnd {
    const EXPECTED: &'static str = bool::EXPECTED;
    fn write(&self) -> Attr {
        self.0.write()
    }
    fn read(value: &Attr) -> Option<FromEnd> {
        bool::read(value).map(FromEnd)
    }
    fn absent() -> Option<FromEnd> {
        Some(FromEnd(true))
    }
}

crate::op! {
    struct Gather("gather", 2) { axis: usize, from_end: FromEnd }
}

impl Op for Gather {
    fn flops(&self, _: &[Spec], _: &[Spec]) -> u64 {
        0
    }
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        inputs[0].shape.axis("gather", self.axis as isize)?;
        expect_index("gather", inputs[1].dtype)?;
        Ok(one(replaced("gather", &inputs[0].shape, self.axis, &inputs[1].shape)?, inputs[0].dtype))
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        let (x, index) = (inputs[0].contiguous()?, inputs[1].contiguous()?);
        let runs = runs(x.shape(), self.axis);
        let index = index.slice()?;
        if !self.from_end.0 {
            check_index("gather", "index", index, runs.axis)?;
        }
        let index = positions("gather", index, runs.axis)?;
        dispatch_moved!(x.dtype(), T => gather::<T>(x.word_slice()?, &index, runs, outputs[0].words_mut()?));
        Ok(())
    }
    fn saves(&self, _: &[bool]) -> Saves {
        Saves::NONE.input(1)
    }
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        let op = ScatterAdd { axis: self.axis, shape: step.spec(0).shape };
        let (grad, dtype) = (step.grad(0)?, step.spec(0).dtype);
        // Sums are computed in float32 for storage-only types.
        if matches!(dtype, DType::BF16 | DType::F16) {
            let sums = apply1(op, &[&grad.cast(DType::F32)?, &step.input(1)])?;
            return Ok(few![Some(sums.cast(dtype)?), None]);
        }
        Ok(few![Some(apply1(op, &[&grad, &step.input(1)])?), None])
    }
}

crate::op! {
    struct ScatterAdd("scatter_add", 2) { axis: usize, shape: Shape }
}

impl Op for ScatterAdd {
    fn flops(&self, inputs: &[Spec], _: &[Spec]) -> u64 {
        elements(&inputs[..1])
    }
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        self.shape.axis("scatter_add", self.axis as isize)?;
        super::elementwise::float("scatter_add", inputs[0].dtype)?;
        expect_index("scatter_add", inputs[1].dtype)?;
        let expected = replaced("scatter_add", &self.shape, self.axis, &inputs[1].shape)?;
        if inputs[0].shape != expected {
            let why = format!("expected values of shape {expected}");
            return Err(Error::shapes("scatter_add", inputs[0].shape, inputs[1].shape, why));
        }
        Ok(one(self.shape, inputs[0].dtype))
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        let (g, index) = (inputs[0].contiguous()?, inputs[1].contiguous()?);
        let runs = runs(&self.shape, self.axis);
        let index = positions("scatter_add", index.slice()?, runs.axis)?;
        dispatch_float!("scatter_add", g.dtype(), T => {
            scatter_add::<T>(g.slice()?, &index, runs, outputs[0].slice_mut()?);
        });
        Ok(())
    }
    fn saves(&self, _: &[bool]) -> Saves {
        Saves::NONE.input(1)
    }
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        Ok(few![Some(step.grad(0)?.gather(&step.input(1), self.axis as isize)?), None])
    }
}

impl Tensor {
    /// Gathers the slices along `axis` that `indices` (integers, any shape) name; the index's shape replaces the
    /// axis. (NumPy and Keras: `take`.) Negative indices count from the end.
    ///
    /// # Errors
    /// The axis or an index is out of range, or the indices are not integers.
    pub fn gather(&self, indices: &Tensor, axis: isize) -> Result<Tensor> {
        let axis = self.shape().axis("gather", axis)?;
        apply1(Gather { axis, from_end: FromEnd(true) }, &[self, &*index_of("gather", indices)?])
    }

    /// [`Tensor::gather`] of the rows of a table, which are numbered from 0: a negative number is a mistake, not a
    /// place counted from the end.
    pub(crate) fn rows(&self, indices: &Tensor) -> Result<Tensor> {
        let axis = self.shape().axis("gather", 0)?;
        apply1(Gather { axis, from_end: FromEnd(false) }, &[self, &*index_of("gather", indices)?])
    }

    /// Returns zeros of `shape`, to which each slice of this tensor is added at the position along `axis` that its
    /// index names (negative ones count from the end): the adjoint of [`Tensor::gather`]. Slices with the same index
    /// add up in ascending order.
    ///
    /// # Errors
    /// Shapes do not fit, an index is out of range, or dtypes are not float and integer.
    pub fn scatter_add(&self, indices: &Tensor, axis: isize, shape: impl crate::IntoShape) -> Result<Tensor> {
        let shape = shape.into_shape()?;
        let axis = shape.axis("scatter_add", axis)?;
        apply1(ScatterAdd { axis, shape }, &[self, &*index_of("scatter_add", indices)?])
    }

    /// Returns 1 at each index and 0 elsewhere, along a new last axis of `classes`.
    ///
    /// # Errors
    /// An index is out of range, these are not integers, or there are too many classes for memory.
    pub fn one_hot(&self, classes: usize, dtype: DType) -> Result<Tensor> {
        apply1(OneHot { classes, dtype }, &[&*index_of("one_hot", self)?])
    }

    /// Returns, for each list of indices along the last axis, 1 at each and 0 elsewhere: `[..., classes]`.
    ///
    /// # Errors
    /// Those of [`Tensor::one_hot`], or there is no axis.
    pub fn multi_hot(&self, classes: usize, dtype: DType) -> Result<Tensor> {
        if self.rank() == 0 {
            return Err(Error::shape("multi_hot", "at least one axis", *self.shape()));
        }
        let marks = self.one_hot(classes, DType::Bool)?;
        if self.dims().last() == Some(&0) {
            marks.sum(&[-2], false)?.cast(dtype)
        } else {
            marks.any(&[-2], false)?.cast(dtype)
        }
    }
}

crate::op! {
    struct OneHot("one_hot", 1) { classes: usize, dtype: DType }
}

impl Op for OneHot {
    fn flops(&self, _: &[Spec], _: &[Spec]) -> u64 {
        0
    }
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        expect_index("one_hot", inputs[0].dtype)?;
        let sizes = inputs[0].shape.dims().iter().copied().chain([self.classes]);
        let sizes: Few<usize, MAX_RANK> = sizes.collect();
        Ok(one(Shape::new(&sizes)?, self.dtype))
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        let index = inputs[0].contiguous()?;
        let index = index.slice::<i64>()?;
        check_index("one_hot", "index", index, self.classes)?;
        let one = Tensor::filled(Spec::new(Shape::SCALAR, self.dtype), 1.0)?;
        dispatch_moved!(self.dtype, T => {
            let (one, out) = (one.array().word_slice::<T>()?[0], outputs[0].words_mut::<T>()?);
            out.fill(T::default());
            for (row, &i) in out.chunks_mut(self.classes.max(1)).zip(index) {
                row[i as usize] = one;
            }
        });
        Ok(())
    }
    nothing_flows!();
}
