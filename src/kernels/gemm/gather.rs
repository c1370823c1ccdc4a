//! `Gather` and `Scatter`: matrices given by lists of places in a slice, checked once. What a window sees of an image
//! is one of these: a row is a place of the window, a step of K a tap and a channel, and the element lies at the sum
//! of two distances. So tiles read patches where they are, without a copy for each tap.

#![allow(unsafe_code)]

use super::matrix::Target;
use std::marker::PhantomData;

/// A matrix to read: element (i, p) is `data[rows[i] + steps[p]]`.
#[derive(Clone, Copy)]
pub(super) struct Gather<'a, T> {
    data: &'a [T],
    rows: &'a [usize],
    steps: &'a [usize],
}

impl<'a, T> Gather<'a, T> {
    /// Makes the matrix; `None` if an element lies outside of `data`.
    pub(super) fn new(data: &'a [T], rows: &'a [usize], steps: &'a [usize]) -> Option<Self> {
        if let (Some(row), Some(step)) = (rows.iter().max(), steps.iter().max())
            && row.checked_add(*step)? >= data.len()
        {
            return None;
        }
        // Rows without steps read nothing, but tiles compute where they begin.
        let fits = rows.iter().max().is_none_or(|&row| row <= data.len());
        fits.then_some(Gather { data, rows, steps })
    }

    /// Returns the steps from `p` on, `count` of them.
    pub(super) fn block(self, p: usize, count: usize) -> Self {
        Gather { steps: &self.steps[p..p + count], ..self }
    }

    pub(super) fn data(&self) -> &'a [T] {
        self.data
    }
    pub(super) fn rows(&self) -> &'a [usize] {
        self.rows
    }
    pub(super) fn steps(&self) -> &'a [usize] {
        self.steps
    }
}

/// A matrix to write: row i has `cols` elements from `to[i]` on. A row may be listed more than once.
pub(super) struct Scatter<'a, T> {
    start: *mut T,
    to: &'a [usize],
    /// Rows of the target, columns in use, distance between rows.
    size: (usize, usize, usize),
    /// Whether each row listed is a row of the target from its first column on.
    whole: bool,
    life: PhantomData<&'a mut [T]>,
}

impl<'a, T: Copy> Scatter<'a, T> {
    /// Makes the matrix of `cols` columns from where the lists says in `c`; `None` if a row leaves the rows of `c`.
    pub(super) fn new(c: &'a mut Target<T>, to: &'a [usize], cols: usize) -> Option<Self> {
        let mut whole = true;
        let fits = |&at: &usize| {
            // The one row may be longer than the distance to the next, which does not exist.
            let (row, col) = if c.rows == 1 { (0, at) } else { (at / c.ld, at % c.ld) };
            whole &= col == 0;
            row < c.rows && c.cols.checked_sub(cols).is_some_and(|last| col <= last)
        };
        let size = (c.rows, cols, c.ld);
        let fits = to.iter().all(fits);
        fits.then_some(Scatter { start: c.start, to, size, whole, life: PhantomData })
    }

    /// Returns the columns from `j` on, `cols` of them, for as long as `self` is not used.
    pub(super) fn columns(&mut self, j: usize, cols: usize) -> Scatter<'_, T> {
        let (rows, all, ld) = self.size;
        assert!(j <= all && cols <= all - j);
        Scatter {
            start: self.start.wrapping_add(j),
            to: self.to,
            size: (rows, cols, ld),
            whole: self.whole,
            life: PhantomData,
        }
    }

    pub(super) fn start(&self) -> *mut T {
        self.start
    }
    pub(super) fn to(&self) -> &'a [usize] {
        self.to
    }
    pub(super) fn cols(&self) -> usize {
        self.size.1
    }
    pub(super) fn size(&self) -> (usize, usize, usize) {
        self.size
    }
    pub(super) fn whole_rows(&self) -> bool {
        self.whole
    }

    /// Returns row `i`.
    pub(super) fn row(&mut self, i: usize) -> &mut [T] {
        // SAFETY: `new` checked every row, and `&mut self` makes it the only way there.
        unsafe { std::slice::from_raw_parts_mut(self.start.wrapping_add(self.to[i]), self.size.1) }
    }
}
