//! Views of matrices: each is checked once against the slice that it lies in, and its blocks against the view. Code
//! that reads or writes through one need not check memory again.

#![allow(unsafe_code)]

use std::marker::PhantomData;

/// A matrix to read, with any strides.
pub(super) struct Source<'a, T> {
    pub(super) start: *const T,
    pub(super) rows: usize,
    pub(super) cols: usize,
    pub(super) rs: isize,
    pub(super) cs: isize,
    life: PhantomData<&'a [T]>,
}

impl<T> Clone for Source<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Source<'_, T> {}
// SAFETY: a `Source` is a shared slice in another spelling.
unsafe impl<T: Sync> Send for Source<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for Source<'_, T> {}

impl<'a, T: Copy> Source<'a, T> {
    /// Makes the matrix whose element (i, j) is `data[offset + i * rs + j * cs]`; `None` if an element lies
    /// outside.
    pub(super) fn new(
        data: &'a [T],
        offset: usize,
        rows: usize,
        cols: usize,
        rs: isize,
        cs: isize,
    ) -> Option<Self> {
        // An axis of size 1 may have any stride, since no step is taken along it; from here on it is harmless.
        let (rs, cs) = (if rows > 1 { rs } else { 1 }, if cols > 1 { cs } else { 1 });
        let mut start = data.as_ptr();
        if rows > 0 && cols > 0 {
            let down = isize::try_from(rows - 1).ok()?.checked_mul(rs)?;
            let along = isize::try_from(cols - 1).ok()?.checked_mul(cs)?;
            let first = isize::try_from(offset).ok()?.checked_add(down.min(0))?.checked_add(along.min(0))?;
            let last = isize::try_from(offset).ok()?.checked_add(down.max(0))?.checked_add(along.max(0))?;
            if first < 0 || last as usize >= data.len() {
                return None;
            }
            start = start.wrapping_add(offset);
        }
        Some(Source { start, rows, cols, rs, cs, life: PhantomData })
    }

    /// Exchanges rows and columns.
    #[inline]
    pub(super) fn transposed(self) -> Self {
        Source { rows: self.cols, cols: self.rows, rs: self.cs, cs: self.rs, ..self }
    }

    /// Returns `rows` by `cols` elements from (i, j) on.
    #[inline]
    pub(super) fn block(self, i: usize, j: usize, rows: usize, cols: usize) -> Self {
        assert!(i <= self.rows && rows <= self.rows - i && j <= self.cols && cols <= self.cols - j);
        let start = self.start.wrapping_offset(i as isize * self.rs + j as isize * self.cs);
        Source { start, rows, cols, ..self }
    }

    /// Returns the first row, if its elements are contiguous.
    pub(super) fn contiguous_row(self) -> Option<&'a [T]> {
        let whole = self.rows > 0 && (self.cs == 1 || self.cols <= 1);
        // SAFETY: `new` checked every element of the matrix.
        whole.then(|| unsafe { std::slice::from_raw_parts(self.start, self.cols) })
    }

    /// Returns the element (i, j).
    #[inline]
    pub(super) fn at(self, i: usize, j: usize) -> T {
        assert!(i < self.rows && j < self.cols);
        // SAFETY: `new` checked every element of the matrix.
        unsafe { *self.start.wrapping_offset(i as isize * self.rs + j as isize * self.cs) }
    }
}

/// A matrix to write: rows `ld` apart, each contiguous.
pub(crate) struct Target<'a, T> {
    pub(super) start: *mut T,
    pub(super) rows: usize,
    pub(crate) cols: usize,
    pub(super) ld: usize,
    life: PhantomData<&'a mut [T]>,
}

// SAFETY: a `Target` is the only way to its elements, as `&mut` is.
unsafe impl<T: Send> Send for Target<'_, T> {}

impl<'a, T: Copy> Target<'a, T> {
    /// Makes the matrix whose element (i, j) is `data[i * ld + j]`; `None` if rows overlap or an element lies
    /// outside.
    pub(crate) fn new(data: &'a mut [T], rows: usize, cols: usize, ld: usize) -> Option<Self> {
        if rows > 0 && cols > 0 && (ld < cols || (rows - 1).checked_mul(ld)?.checked_add(cols)? > data.len())
        {
            return None;
        }
        Some(Target { start: data.as_mut_ptr(), rows, cols, ld, life: PhantomData })
    }

    /// Returns `rows` by `cols` elements from (i, j) on, for as long as `self` is not used.
    #[inline]
    pub(super) fn block(&mut self, i: usize, j: usize, rows: usize, cols: usize) -> Target<'_, T> {
        assert!(i <= self.rows && rows <= self.rows - i && j <= self.cols && cols <= self.cols - j);
        Target { start: self.start.wrapping_add(i * self.ld + j), rows, cols, ld: self.ld, life: PhantomData }
    }

    /// Returns the rows above `at` and those from `at` on.
    pub(crate) fn split_rows(self, at: usize) -> (Self, Self) {
        assert!(at <= self.rows);
        let start = self.start.wrapping_add(at * self.ld);
        (Target { rows: at, ..self }, Target { start, rows: self.rows - at, ..self })
    }

    /// Returns the columns left of `at` and those from `at` on.
    pub(crate) fn split_cols(self, at: usize) -> (Self, Self) {
        assert!(at <= self.cols);
        (
            Target { cols: at, ..self },
            Target { start: self.start.wrapping_add(at), cols: self.cols - at, ..self },
        )
    }

    /// Returns row `i`.
    #[inline]
    pub(crate) fn row(&mut self, i: usize) -> &mut [T] {
        assert!(i < self.rows);
        // SAFETY: `new` checked that the row lies in the slice, and `&mut self` makes it the only way there.
        unsafe { std::slice::from_raw_parts_mut(self.start.wrapping_add(i * self.ld), self.cols) }
    }

    /// Returns the only column, if its elements are contiguous.
    pub(super) fn contiguous_column(&mut self) -> Option<&mut [T]> {
        let whole = self.cols == 1 && (self.ld == 1 || self.rows <= 1);
        // SAFETY: `new` checked every element of the matrix, and `&mut self` makes it the only way there.
        whole.then(|| unsafe { std::slice::from_raw_parts_mut(self.start, self.rows) })
    }

    /// Returns the same memory for reading.
    #[inline]
    pub(super) fn source(&self) -> Source<'_, T> {
        let Target { start, rows, cols, ld, .. } = *self;
        Source { start, rows, cols, rs: ld as isize, cs: 1, life: PhantomData }
    }
}
