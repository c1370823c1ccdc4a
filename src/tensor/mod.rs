//! Why it exists: the one type that users compute with: an array with a history. It has no type parameters, is
//! cheap to clone, and can go to other threads. What can be done with it stands in `ops`, a file per family.

mod array;
mod display;
#[cfg(feature = "ndarray")]
mod ndarray;
mod nested;
mod operators;
pub(crate) mod storage;
mod tensors;

pub use array::Array;
pub use nested::Nested;
pub use storage::{pooled_bytes, trim};
pub use tensors::{AsTensors, Tensors};
pub(crate) use tensors::{join_rows, rows, slice_rows};

use crate::autograd::Edge;
use crate::dtype::dispatch_stored;
use crate::kernels::strided::Layout;
use crate::{DType, Element, Error, IntoShape, Result, Shape, Spec};

/// An array of numbers of any shape, which remembers how it was computed if that was asked for.
///
/// Methods return `Result`; the operators `+ - * /` on references do the same and panic where the method would fail.
#[derive(Clone)]
pub struct Tensor {
    array: Array,
    edge: Option<Edge>,
}

impl Tensor {
    // ---- constructors

    /// A tensor of these values in row-major order.
    ///
    /// # Errors
    /// The number of values is not the product of the sizes, or memory cannot be had.
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

    /// A single number, of rank 0.
    ///
    /// # Errors
    /// Memory cannot be had.
    pub fn scalar<T: Element>(value: T) -> Result<Tensor> {
        Tensor::full(Shape::SCALAR, value)
    }

    /// All elements the same.
    ///
    /// # Errors
    /// Memory cannot be had.
    pub fn full<T: Element>(shape: impl IntoShape, value: T) -> Result<Tensor> {
        let mut array = Array::new(Spec::new(shape.into_shape()?, T::DTYPE))?;
        array.slice_mut()?.fill(value.store());
        Ok(array.into())
    }

    /// All zeros, float32.
    ///
    /// # Errors
    /// Memory cannot be had.
    pub fn zeros(shape: impl IntoShape) -> Result<Tensor> {
        Tensor::full(shape, 0f32)
    }

    /// All ones, float32.
    ///
    /// # Errors
    /// Memory cannot be had.
    pub fn ones(shape: impl IntoShape) -> Result<Tensor> {
        Tensor::full(shape, 1f32)
    }

    /// 0, 1, 2, … `n - 1`, int64.
    ///
    /// # Errors
    /// Memory cannot be had.
    pub fn arange(n: usize) -> Result<Tensor> {
        let mut array = Array::new(Spec::new(Shape::new(&[n])?, DType::I64))?;
        for (i, o) in array.slice_mut()?.iter_mut().enumerate() {
            *o = i as i64;
        }
        Ok(array.into())
    }

    /// All elements the same, of any dtype: `value` is rounded to it (nonzero is true for bool).
    ///
    /// # Errors
    /// Memory cannot be had.
    pub fn filled(spec: Spec, value: f64) -> Result<Tensor> {
        let s = spec.shape;
        match spec.dtype {
            DType::F32 => Tensor::full(s, value as f32),
            DType::F64 => Tensor::full(s, value),
            DType::BF16 => Tensor::full(s, crate::dtype::bf16::from_f64(value)),
            DType::F16 => Tensor::full(s, crate::dtype::f16::from_f64(value)),
            DType::I64 => Tensor::full(s, value as i64),
            DType::U8 => Tensor::full(s, value as u8),
            DType::Bool => Tensor::full(s, value != 0.0),
        }
    }

    // ---- facts

    /// The sizes.
    pub fn shape(&self) -> &Shape {
        self.array.shape()
    }

    /// The sizes as a slice.
    pub fn dims(&self) -> &[usize] {
        self.array.shape().dims()
    }

    /// The number of dimensions.
    pub fn rank(&self) -> usize {
        self.shape().rank()
    }

    /// The number of elements.
    pub fn elements(&self) -> usize {
        self.shape().elements()
    }

    /// The element type.
    pub fn dtype(&self) -> DType {
        self.array.dtype()
    }

    /// Shape and element type.
    pub fn spec(&self) -> Spec {
        self.array.spec()
    }

    /// Whether gradients flow back through this tensor.
    pub fn is_tracked(&self) -> bool {
        self.edge.as_ref().is_some_and(|edge| edge.wants)
    }

    /// Whether it has a shape but no values, as while `compile` checks a network.
    pub(crate) fn is_traced(&self) -> bool {
        self.array.is_traced()
    }

    /// The values without the history.
    pub fn array(&self) -> &Array {
        &self.array
    }

    /// The values, to change, without the history. Clones of this tensor keep the old ones.
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
        Tensor { array, edge }
    }

    // ---- reading

    /// The values in row-major order.
    ///
    /// # Errors
    /// `T` is not this tensor's element type, or there are no values.
    pub fn to_vec<T: Element>(&self) -> Result<Vec<T>> {
        if T::DTYPE != self.dtype() {
            return Err(Error::DType { op: "to_vec", expected: T::DTYPE.name(), got: self.dtype() });
        }
        let array = self.array.contiguous()?;
        Ok(array.slice::<T::Stored>()?.iter().map(|&v| T::load(v)).collect())
    }

    /// The one value of a tensor with one element, widened to f64.
    ///
    /// # Errors
    /// There is not exactly one element, or it has no value.
    pub fn item(&self) -> Result<f64> {
        if self.elements() != 1 {
            return Err(Error::shape("item", "exactly one element", *self.shape()));
        }
        let array = self.array.contiguous()?;
        Ok(match self.dtype() {
            DType::F32 => f64::from(array.slice::<f32>()?[0]),
            DType::F64 => array.slice::<f64>()?[0],
            DType::BF16 => array.slice::<crate::dtype::bf16>()?[0].to_f64(),
            DType::F16 => array.slice::<crate::dtype::f16>()?[0].to_f64(),
            DType::I64 => array.slice::<i64>()?[0] as f64,
            DType::U8 | DType::Bool => f64::from(array.slice::<u8>()?[0]),
        })
    }

    /// In row-major order without gaps: itself if it already is, else a copy.
    ///
    /// # Errors
    /// Memory for the copy cannot be had.
    pub fn contiguous(&self) -> Result<Tensor> {
        Ok(Tensor::with_edge(self.array.contiguous()?, self.edge.clone()))
    }

    /// Whether both have the same shape, dtype and values, bit by bit; any NaN equals any NaN.
    pub fn same_bits(&self, other: &Tensor) -> bool {
        let equal = || -> Result<bool> {
            let (a, b) = (self.array.contiguous()?, other.array.contiguous()?);
            Ok(match self.dtype() {
                DType::F32 => std::iter::zip(a.slice::<f32>()?, b.slice::<f32>()?)
                    .all(|(x, y)| x.to_bits() == y.to_bits() || (x.is_nan() && y.is_nan())),
                DType::F64 => std::iter::zip(a.slice::<f64>()?, b.slice::<f64>()?)
                    .all(|(x, y)| x.to_bits() == y.to_bits() || (x.is_nan() && y.is_nan())),
                dtype => dispatch_stored!(dtype, T => a.slice::<T>()? == b.slice::<T>()?),
            })
        };
        self.spec() == other.spec() && equal().unwrap_or(false)
    }
}

impl From<Array> for Tensor {
    fn from(array: Array) -> Tensor {
        Tensor { array, edge: None }
    }
}
