//! `Array`: memory with a layout and no history. Operations compute on arrays, and the tape saves them. Clones
//! share memory; writing copies it first unless nothing else holds it.

use super::storage::{Buffer, Shared};
use crate::dtype::{dispatch_moved, dispatch_stored};
use crate::kernels::map;
use crate::kernels::strided::{Layout, Strided};
use crate::{DType, Error, Result, Shape, Spec, Stored};

/// Values with a shape, or, while a network is traced, only a shape.
#[derive(Clone)]
pub struct Array {
    buffer: Option<Buffer>,
    /// Behind a pointer, because arrays are moved far more often than layouts are read.
    layout: Shared<Layout>,
    dtype: DType,
}

impl Array {
    /// Creates an array in row-major order, whose values are yet to be written.
    ///
    /// # Errors
    /// There is not enough memory.
    pub fn new(spec: Spec) -> Result<Array> {
        let buffer = Buffer::new(&spec.shape, spec.dtype)?;
        let layout = Shared::new(Layout::contiguous(spec.shape));
        Ok(Array { buffer: Some(buffer), layout, dtype: spec.dtype })
    }

    /// Makes a shape without values.
    pub(crate) fn traced(spec: Spec) -> Array {
        Array { buffer: None, layout: Shared::new(Layout::contiguous(spec.shape)), dtype: spec.dtype }
    }

    /// Returns whether there are no values.
    pub(crate) fn is_traced(&self) -> bool {
        self.buffer.is_none()
    }

    /// Returns shape and element type.
    pub fn spec(&self) -> Spec {
        Spec::new(self.layout.shape, self.dtype)
    }

    /// Returns the shape.
    pub fn shape(&self) -> &Shape {
        &self.layout.shape
    }

    /// Returns the element type.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Returns how the elements lie in memory.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Returns the same shape and type, without the values.
    pub(crate) fn forget(&self) -> Array {
        Array { buffer: None, layout: self.layout.clone(), dtype: self.dtype }
    }

    /// Returns the same memory under another layout, derived from this one's.
    pub(crate) fn with_layout(&self, layout: Layout) -> Array {
        Array { buffer: self.buffer.clone(), layout: Shared::new(layout), dtype: self.dtype }
    }

    /// Makes an array of memory that has enough elements for the layout.
    pub(crate) fn in_buffer(buffer: Buffer, layout: Shared<Layout>, dtype: DType) -> Array {
        Array { buffer: Some(buffer), layout, dtype }
    }

    /// [`Array::with_layout`] of a layout that is held already.
    pub(crate) fn viewed(&self, layout: Shared<Layout>) -> Array {
        Array { buffer: self.buffer.clone(), layout, dtype: self.dtype }
    }

    /// Returns the values for reading. `T` is the stored form of this dtype (`u8` for bool).
    ///
    /// # Errors
    /// There are no values, or `T` is another type's stored form.
    pub fn view<T: Stored>(&self) -> Result<Strided<'_, T>> {
        self.expect::<T>()?;
        self.words()
    }

    /// Returns the values as bits that are only moved: `T` needs only the right size.
    pub(crate) fn words<T: Stored>(&self) -> Result<Strided<'_, T>> {
        let buffer = self.buffer.as_ref().ok_or(Error::Abstract { op: "reading" })?;
        self.expect_size::<T>()?;
        Ok(Strided::new(buffer.slice(), *self.layout))
    }

    /// [`Array::words`] of contiguous memory.
    pub(crate) fn word_slice<T: Stored>(&self) -> Result<&[T]> {
        self.words()?.as_slice().ok_or_else(gaps)
    }

    /// Returns the values as one row-major slice, if they are contiguous.
    ///
    /// # Errors
    /// Those of [`Array::view`], or the layout is not contiguous; use [`Array::contiguous`] first.
    pub fn slice<T: Stored>(&self) -> Result<&[T]> {
        self.view()?.as_slice().ok_or_else(gaps)
    }

    /// Returns the values for writing, as one row-major slice. Copies first if the memory is shared or not
    /// contiguous.
    ///
    /// # Errors
    /// There are no values, `T` is another type's stored form, or there is not enough memory for the copy.
    pub fn slice_mut<T: Stored>(&mut self) -> Result<&mut [T]> {
        self.expect::<T>()?;
        self.words_mut()
    }

    /// [`Array::words`], for writing.
    pub(crate) fn words_mut<T: Stored>(&mut self) -> Result<&mut [T]> {
        self.expect_size::<T>()?;
        let exclusive = self.buffer.as_ref().ok_or(Error::Abstract { op: "writing" })?.is_unique();
        if !exclusive || !self.layout.is_contiguous() {
            *self = self.copied()?;
        }
        let (start, n) = (self.layout.offset, self.layout.shape.elements());
        let all = self.buffer.as_mut().and_then(Buffer::unique).ok_or(Error::Abstract { op: "writing" })?;
        Ok(&mut all[start..start + n])
    }

    /// Returns what identifies its memory while it is held.
    pub(crate) fn memory(&self) -> Option<usize> {
        self.buffer.as_ref().map(Buffer::place)
    }

    /// Returns whether it can be written without a copy: nothing else holds its memory, and it is contiguous.
    pub(crate) fn is_exclusive(&self) -> bool {
        self.buffer.as_ref().is_some_and(Buffer::is_unique) && self.layout.is_contiguous()
    }

    fn expect<T: Stored>(&self) -> Result<()> {
        let ok =
            dispatch_stored!(self.dtype, S => std::any::TypeId::of::<S>() == std::any::TypeId::of::<T>());
        let expected = std::any::type_name::<T>();
        if ok { Ok(()) } else { Err(Error::DType { op: "reading an array", expected, got: self.dtype }) }
    }

    fn expect_size<T: Stored>(&self) -> Result<()> {
        let (op, expected) = ("moving an array", std::any::type_name::<T>());
        if self.dtype.size() == size_of::<T>() {
            Ok(())
        } else {
            Err(Error::DType { op, expected, got: self.dtype })
        }
    }

    fn copied(&self) -> Result<Array> {
        let mut out = Array::new(self.spec())?;
        dispatch_moved!(self.dtype, T => map::copy(self.words::<T>()?, out.words_mut::<T>()?));
        Ok(out)
    }

    /// Returns the values contiguous in row-major order: itself if it already is, else a copy.
    ///
    /// # Errors
    /// There is not enough memory for the copy.
    pub fn contiguous(&self) -> Result<Array> {
        if self.is_traced() || self.layout.is_contiguous() { Ok(self.clone()) } else { self.copied() }
    }

    /// Returns it under another shape with as many elements; copies only if strides cannot express it.
    pub(crate) fn reshaped(&self, shape: Shape) -> Result<Array> {
        match self.layout.reshaped(shape) {
            Some(layout) => Ok(self.with_layout(layout)),
            None => self.copied()?.reshaped(shape),
        }
    }
}

#[cold]
fn gaps() -> Error {
    Error::argument("array", "contiguous memory", "a strided view")
}

impl std::fmt::Debug for Array {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Array({}{})", self.spec(), if self.is_traced() { ", traced" } else { "" })
    }
}
