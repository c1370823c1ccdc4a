//! The two sides of a product as its loops take them: matrices whose rows are the steps of K. The right side has
//! this form; the left side is passed transposed. So both are cut, packed and streamed by the same code.

use super::matrix::Source;
use super::operand::View;
use super::tile::{Kernels, Shape};
use super::{Gemm, Mat};

/// One side: K runs down, and the columns of C (on the right) or its rows (on the left) run across.
#[derive(Clone, Copy)]
pub(super) enum Side<'a, T: Gemm> {
    /// In memory.
    Plain(Source<'a, T>),
    /// Copied into panels beforehand.
    Panels(Panels<'a, T>),
    /// Anything else: copied into panels when needed.
    Other(View<'a, T>),
}

impl<'a, T: Gemm> Side<'a, T> {
    /// Makes the left side of a product with a matrix in memory.
    #[inline]
    pub(super) fn left(a: Mat<'a, T>) -> Self {
        Side::Plain(a.source().transposed())
    }

    /// Makes the right side of a product with a matrix in memory.
    #[inline]
    pub(super) fn right(b: Mat<'a, T>) -> Self {
        Side::Plain(b.source())
    }

    /// Returns the number of steps of K.
    #[inline]
    pub(super) fn k(&self) -> usize {
        match self {
            Side::Plain(s) => s.rows,
            Side::Panels(s) => s.k,
            Side::Other(s) => s.rows(),
        }
    }

    /// Returns the number of columns of C, or on the left of rows of C.
    #[inline]
    pub(super) fn across(&self) -> usize {
        match self {
            Side::Plain(s) => s.cols,
            Side::Panels(s) => s.across,
            Side::Other(s) => s.cols(),
        }
    }

    /// Returns `across` of them from `j` on, a multiple of the panels' width if there are panels.
    #[inline]
    pub(super) fn part(&self, j: usize, across: usize) -> Self {
        match *self {
            Side::Plain(s) => Side::Plain(s.block(0, j, s.rows, across)),
            Side::Panels(s) => {
                assert!(j.is_multiple_of(s.width) && across <= s.across && j <= s.across - across);
                Side::Panels(Panels { first: s.first + j / s.width, across, ..s })
            }
            Side::Other(s) => Side::Other(s.block(0, j, s.rows(), across)),
        }
    }

    /// Returns the tile to multiply this right side with a left one in memory.
    #[inline]
    pub(super) fn shape(&self, kernels: &Kernels<T>) -> Shape {
        match self {
            Side::Panels(b) => b.shape,
            _ => kernels.shape(self.across()),
        }
    }

    /// Copies `kc` steps of K from `p` on, for `across` columns from `j` on, into panels of `width` columns.
    #[inline]
    pub(super) fn pack(
        &self,
        kernels: &Kernels<T>,
        (p, kc): (usize, usize),
        (j, across): (usize, usize),
        width: usize,
        out: &mut [T],
    ) {
        match self {
            Side::Plain(s) => kernels.pack(s.block(p, j, kc, across), width, out),
            Side::Other(s) => s.block(p, j, kc, across).pack(width, out),
            Side::Panels(_) => unreachable!("panels are not packed again"),
        }
    }

    /// Returns the steps of K and columns that [`Side::pack`] would take, in memory or else copied to `room`, row
    /// after row. The steps do not reach into another block of K.
    pub(super) fn dense<'b>(
        &self,
        (p, kc): (usize, usize),
        (j, across): (usize, usize),
        room: &'b mut [T],
    ) -> Source<'b, T>
    where
        'a: 'b,
    {
        match self {
            Side::Plain(s) => return s.block(p, j, kc, across),
            Side::Other(s) => s.block(p, j, kc, across).pack(across, room),
            Side::Panels(s) => s.copy((p, kc), (j, across), room),
        }
        Source::new(room, 0, kc, across, across as isize, 1).expect("there is room for the copy")
    }

    /// Copies the only column.
    pub(super) fn copy_column(&self, out: &mut [T]) {
        match self {
            Side::Plain(s) => out.iter_mut().enumerate().for_each(|(p, x)| *x = s.at(p, 0)),
            Side::Panels(s) => out.iter_mut().enumerate().for_each(|(p, x)| *x = s.at(p, 0)),
            Side::Other(s) => s.copy_column(0, out),
        }
    }
}

/// Returns the tile to multiply two sides with: the one that a side was packed for, else what suits the number of
/// columns.
#[inline]
pub(super) fn shape<T: Gemm>(kernels: &Kernels<T>, a: &Side<T>, b: &Side<T>) -> Shape {
    match (a, b) {
        (Side::Panels(a), Side::Plain(_) | Side::Other(_)) => a.shape,
        _ => b.shape(kernels),
    }
}

/// Returns one panel of `cols` columns as a matrix, rows `nr` apart.
#[inline]
pub(super) fn panel<T: Gemm>(data: &[T], kc: usize, cols: usize, nr: usize) -> Source<'_, T> {
    Source::new(data, 0, kc, cols, nr as isize, 1).expect("packed for it")
}

/// A matrix in panels: for each block of K, for each panel of columns, rows as far apart as the panel is wide.
#[derive(Clone, Copy)]
pub(super) struct Panels<'a, T> {
    pub(super) data: &'a [T],
    pub(super) k: usize,
    /// The tile that reads them, and which of its sides is their width.
    pub(super) shape: Shape,
    pub(super) width: usize,
    /// The number of panels.
    pub(super) all: usize,
    /// The first that belongs to this matrix.
    pub(super) first: usize,
    /// Columns of this matrix.
    pub(super) across: usize,
    /// Whether they are in a cache of this core: each panel is multiplied with again soon.
    pub(super) near: bool,
}

impl<'a, T: Gemm> Panels<'a, T> {
    /// Returns the panels of `kc` rows from `p` on, where a block of K begins, for the columns from `j` on.
    pub(super) fn block(self, p: usize, kc: usize, j: usize) -> &'a [T] {
        &self.data[self.width * (self.all * p + kc * (self.first + j / self.width))..]
    }

    /// Copies `kc` rows from `p` on, which are in one block of K, for `across` columns from `j` on, row after row.
    fn copy(&self, (p, kc): (usize, usize), (j, across): (usize, usize), out: &mut [T]) {
        let start = p / T::KC * T::KC;
        let block = T::KC.min(self.k - start);
        for t in (0..across).step_by(self.width) {
            let run = self.width.min(across - t);
            let panel = &self.block(start, block, j + t)[(p - start) * self.width..];
            for q in 0..kc {
                out[q * across + t..][..run].copy_from_slice(&panel[q * self.width..][..run]);
            }
        }
    }

    /// Returns the element (p, j).
    pub(super) fn at(&self, p: usize, j: usize) -> T {
        let start = p / T::KC * T::KC;
        let kc = T::KC.min(self.k - start);
        self.block(start, kc, j)[(p - start) * self.width + j % self.width]
    }
}
