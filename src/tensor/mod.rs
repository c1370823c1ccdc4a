//! `Tensor`: the type that users compute with, an array with a history. It has no type parameters, is cheap to
//! clone, and can be sent to other threads. Begin with [`Tensor::new`]; the operations are in [`ops`](crate::ops),
//! one file per family.

pub(crate) mod arena;
mod array;
mod display;
pub(crate) mod few;
#[cfg(feature = "ndarray")]
mod ndarray;
mod nested;
mod operators;
pub(crate) mod room;
pub(crate) mod storage;
mod tensors;
mod text;

pub use array::Array;
pub use few::Few;
pub(crate) use few::{PoolVec, few};
pub use nested::Nested;
pub use storage::{pooled_bytes, trim};
pub use tensors::{AsTensors, Tensors};
pub(crate) use tensors::{join_rows, rows, slice_rows};
pub(crate) use text::Text;

use crate::autograd::{Cut, Edge};
use crate::dtype::{Convert, dispatch_stored};
use crate::kernels::strided::Layout;
use crate::{DType, Element, Error, IntoShape, Result, Shape, Spec, Stored};

/// An array of numbers of any shape, which remembers how it was computed if asked to.
///
/// Methods return `Result`; the operators `+ - * /` on references do the same and panic where the method would
/// fail.
///
/// ```
/// use gradus::Tensor;
///
/// let x = Tensor::from_slice(&[1.0f32, 2.0, 3.0, 4.0], [2, 2])?;
/// let y = (2.0 * &x + 1).matmul(&x.t()?)?; // operators where shapes fit for certain, methods where they might not
/// assert_eq!(y.to_vec::<f32>()?, [13.0, 29.0, 25.0, 57.0]);
///
/// let w = x.tracked(); // what is computed from it can be differentiated
/// let gradients = w.square()?.sum(&[], false)?.backward()?;
/// assert_eq!(gradients.get(&w).unwrap().to_vec::<f32>()?, [2.0, 4.0, 6.0, 8.0]);
/// # Ok::<(), gradus::Error>(())
/// ```
#[derive(Clone)]
pub struct Tensor {
    array: Array,
    edge: Option<Edge>,
    /// If no gradient flows back through it although it was computed from something that can learn, the reason.
    /// Only for messages.
    cut: Option<Cut>,
}

impl Tensor {
    // ---- constructors

    /// Creates a tensor of these values in row-major order.
    ///
    /// # Errors
    /// The number of values is not the product of the sizes, or there is not enough memory.
    pub fn from_slice<T: Element>(values: &[T], shape: impl IntoShape) -> Result<Tensor> {
        let shape = shape.into_shape()?;
        if shape.checked_elements() != Some(values.len()) {
            let expected = format!("as many values as shape {shape} has elements");
            return Err(Error::argument("from_slice", expected, values.len()));
        }
        let mut array = Array::new(Spec::new(shape, T::DTYPE))?;
        for (o, &v) in array.slice_mut()?.iter_mut().zip(values) {
            *o = v.store();
        }
        Ok(array.into())
    }

    /// Creates a single number, of rank 0.
    ///
    /// # Errors
    /// There is not enough memory.
    pub fn scalar<T: Element>(value: T) -> Result<Tensor> {
        Tensor::full(Shape::SCALAR, value)
    }

    /// Creates a tensor whose elements are all `value`.
    ///
    /// # Errors
    /// There is not enough memory.
    pub fn full<T: Element>(shape: impl IntoShape, value: T) -> Result<Tensor> {
        let mut array = Array::new(Spec::new(shape.into_shape()?, T::DTYPE))?;
        array.slice_mut()?.fill(value.store());
        Ok(array.into())
    }

    /// Creates a tensor of zeros, float32.
    ///
    /// # Errors
    /// There is not enough memory.
    pub fn zeros(shape: impl IntoShape) -> Result<Tensor> {
        Tensor::full(shape, 0f32)
    }

    /// Creates a tensor of ones, float32.
    ///
    /// # Errors
    /// There is not enough memory.
    pub fn ones(shape: impl IntoShape) -> Result<Tensor> {
        Tensor::full(shape, 1f32)
    }

    /// Creates the vector 0, 1, 2, … `n - 1`, int64.
    ///
    /// # Errors
    /// There is not enough memory.
    pub fn arange(n: usize) -> Result<Tensor> {
        let mut array = Array::new(Spec::new(Shape::new(&[n])?, DType::I64))?;
        for (i, o) in array.slice_mut()?.iter_mut().enumerate() {
            *o = i as i64;
        }
        Ok(array.into())
    }

    /// Creates a tensor of any dtype whose elements are all `value`, converted as [`Tensor::cast`] does.
    ///
    /// # Errors
    /// There is not enough memory.
    pub fn filled(spec: Spec, value: f64) -> Result<Tensor> {
        let value = if spec.dtype == DType::Bool { f64::from(value != 0.0) } else { value };
        let mut array = Array::new(spec)?;
        dispatch_stored!(spec.dtype, T => array.slice_mut::<T>()?.fill(value.convert()));
        Ok(array.into())
    }

    // ---- facts

    /// Returns the shape.
    pub fn shape(&self) -> &Shape {
        self.array.shape()
    }

    /// Returns the sizes as a slice.
    pub fn dims(&self) -> &[usize] {
        self.array.shape().dims()
    }

    /// Returns the number of axes.
    pub fn rank(&self) -> usize {
        self.shape().rank()
    }

    /// Returns the number of elements.
    pub fn elements(&self) -> usize {
        self.shape().elements()
    }

    /// Returns the element type.
    pub fn dtype(&self) -> DType {
        self.array.dtype()
    }

    /// Returns shape and element type.
    pub fn spec(&self) -> Spec {
        self.array.spec()
    }

    /// Returns whether gradients flow back through this tensor.
    pub fn is_tracked(&self) -> bool {
        self.edge.as_ref().is_some_and(|edge| edge.wants)
    }

    /// Returns whether it has a shape but no values, as while `compile` checks a network.
    pub(crate) fn is_traced(&self) -> bool {
        self.array.is_traced()
    }

    /// Returns the values without the history.
    pub fn array(&self) -> &Array {
        &self.array
    }

    /// Returns the values without the history, for changing them. Clones of this tensor keep the old ones.
    pub fn into_array(self) -> Array {
        self.array
    }

    pub(crate) fn array_mut(&mut self) -> &mut Array {
        &mut self.array
    }

    pub(crate) fn layout(&self) -> &Layout {
        self.array.layout()
    }

    pub(crate) fn edge(&self) -> Option<&Edge> {
        self.edge.as_ref()
    }

    pub(crate) fn with_edge(array: Array, edge: Option<Edge>) -> Tensor {
        Tensor { array, edge, cut: None }
    }

    pub(crate) fn cut(&self) -> Option<Cut> {
        self.cut
    }

    pub(crate) fn with_cut(self, cut: Option<Cut>) -> Tensor {
        Tensor { cut, ..self }
    }

    // ---- reading

    /// Returns the values in row-major order.
    ///
    /// # Errors
    /// `T` is not this tensor's element type, there are no values, or there is not enough memory.
    pub fn to_vec<T: Element>(&self) -> Result<Vec<T>> {
        if T::DTYPE != self.dtype() {
            return Err(Error::DType { op: "to_vec", expected: T::DTYPE.name(), got: self.dtype() });
        }
        let array = self.array.contiguous()?;
        let mut out = room::room(self.elements(), self.spec())?;
        out.extend(array.slice::<T::Stored>()?.iter().map(|&v| T::load(v)));
        Ok(out)
    }

    /// Writes a prediction into the caller's memory, in row-major order.
    pub(crate) fn copy_into<T: Element>(&self, out: &mut [T]) -> Result<()> {
        if T::DTYPE != self.dtype() {
            return Err(Error::DType { op: "predict_into", expected: T::DTYPE.name(), got: self.dtype() });
        }
        if out.len() != self.elements() {
            let expected = format!("{} elements, for an output of shape {}", self.elements(), self.shape());
            return Err(Error::argument("out", expected, out.len()));
        }
        let array = self.array.contiguous()?;
        out.iter_mut().zip(array.slice::<T::Stored>()?).for_each(|(o, &v)| *o = T::load(v));
        Ok(())
    }

    /// Returns the only value of a tensor with one element, widened to f64.
    ///
    /// # Errors
    /// There is not exactly one element, or it has no value.
    pub fn item(&self) -> Result<f64> {
        if self.elements() != 1 {
            return Err(Error::shape("item", "exactly one element", *self.shape()));
        }
        let array = self.array.contiguous()?;
        Ok(dispatch_stored!(self.dtype(), T => array.slice::<T>()?[0].convert()))
    }

    /// Returns the values contiguous in row-major order: itself if it already is, else a copy.
    ///
    /// # Errors
    /// There is not enough memory for the copy.
    pub fn contiguous(&self) -> Result<Tensor> {
        Ok(Tensor::with_edge(self.array.contiguous()?, self.edge.clone()).with_cut(self.cut))
    }

    /// Returns whether both have the same shape, dtype and values, bit by bit; any NaN equals any NaN. (A view that
    /// repeats so much that a copy would not fit in memory equals nothing.)
    pub fn same_bits(&self, other: &Tensor) -> bool {
        let equal = || -> Result<bool> {
            let (a, b) = (self.array.contiguous()?, other.array.contiguous()?);
            Ok(dispatch_stored!(self.dtype(), T => {
                std::iter::zip(a.slice::<T>()?, b.slice::<T>()?).all(|(x, y)| x.same_bits(*y))
            }))
        };
        self.spec() == other.spec() && equal().unwrap_or(false)
    }
}

impl From<Array> for Tensor {
    fn from(array: Array) -> Tensor {
        Tensor::with_edge(array, None)
    }
}
