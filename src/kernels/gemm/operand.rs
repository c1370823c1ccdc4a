//! `Operand`: what a product can take on either side, a matrix that can copy itself into the panels that tiles
//! read. Strided memory, image patches, 16-bit floats and quantized weights are operands of one product, which is
//! therefore written once.
//!
//! A new kind is one file: sizes and [`Operand::read`] are enough, and [`Operand::pack`] can be overridden if that
//! is faster. The result of a product depends only on the elements: it has the bits of the product of matrices that
//! hold them one by one.

use super::{Gemm, Mat, Packed};

/// One side of a product: a matrix of `rows` by `cols` elements, which need not be in memory.
///
/// A wrong implementation can make numbers wrong or panic, but nothing worse.
pub trait Operand<T: Gemm>: Sync {
    /// Returns the number of rows.
    fn rows(&self) -> usize;

    /// Returns the number of columns.
    fn cols(&self) -> usize;

    /// Writes the elements (`row`, `col`), (`row`, `col + 1`), … to `out`, as many as it holds; the row has them.
    fn read(&self, row: usize, col: usize, out: &mut [T]);

    /// Returns the elements in memory, if they are there: products then read them in place, or copy them in vector
    /// instructions.
    fn in_place(&self) -> Option<Mat<'_, T>> {
        None
    }

    /// Returns the panels, if they have been made beforehand.
    fn prepacked(&self) -> Option<&Packed<'_, T>> {
        None
    }

    /// Copies a block, transposed if it says so, into panels of `width` columns: with `k` rows in what is copied,
    /// its element (p, j) goes to `j / width * k * width + p * width + j % width`. The contents of the last panel
    /// beyond the last column do not matter.
    fn pack(&self, block: Block, width: usize, out: &mut [T]) {
        if block.transposed {
            pack_columns(&|row, col, run: &mut [T]| self.read(row, col, run), block, width, out);
        } else {
            pack_rows(&|row, col, run: &mut [T]| self.read(row, col, run), block, width, out);
        }
    }
}

/// A part of an operand's rows and columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// The first row, in the operand's numbering.
    pub row: usize,
    /// The first column, in the operand's numbering.
    pub col: usize,
    /// Rows of the operand.
    pub rows: usize,
    /// Columns of the operand.
    pub cols: usize,
    /// Whether the transpose is meant: the operand's rows are then the block's columns.
    pub transposed: bool,
}

/// [`Operand::read`] in a form for code that is compiled once.
type Read<'a, T> = dyn Fn(usize, usize, &mut [T]) + 'a;

/// Copies into panels whose rows are runs of the operand's rows.
fn pack_rows<T: Gemm>(read: &Read<T>, block: Block, width: usize, out: &mut [T]) {
    for j in (0..block.cols).step_by(width) {
        let run = width.min(block.cols - j);
        for p in 0..block.rows {
            let at = j * block.rows + p * width;
            read(block.row + p, block.col + j, &mut out[at..at + run]);
        }
    }
}

/// Copies into panels whose columns are runs of the operand's rows.
fn pack_columns<T: Gemm>(read: &Read<T>, block: Block, width: usize, out: &mut [T]) {
    const RUN: usize = 64;
    let (k, mut run) = (block.cols, [T::c(0.0); RUN]);
    for j in 0..block.rows {
        let start = j / width * k * width + j % width;
        for p in (0..k).step_by(RUN) {
            let run = &mut run[..RUN.min(k - p)];
            read(block.row + j, block.col + p, run);
            for (t, &x) in run.iter().enumerate() {
                out[start + (p + t) * width] = x;
            }
        }
    }
}

/// An operand, a block of it, or the transpose of either.
#[derive(Clone, Copy)]
pub struct View<'a, T> {
    operand: &'a dyn Operand<T>,
    block: Block,
}

impl<'a, T: Gemm> View<'a, T> {
    /// Views all of an operand.
    pub fn of(operand: &'a dyn Operand<T>) -> Self {
        let (rows, cols) = (operand.rows(), operand.cols());
        View { operand, block: Block { row: 0, col: 0, rows, cols, transposed: false } }
    }

    /// Returns the number of rows.
    pub fn rows(&self) -> usize {
        if self.block.transposed { self.block.cols } else { self.block.rows }
    }

    /// Returns the number of columns.
    pub fn cols(&self) -> usize {
        if self.block.transposed { self.block.rows } else { self.block.cols }
    }

    /// Exchanges rows and columns.
    #[must_use]
    pub fn t(self) -> Self {
        View { block: Block { transposed: !self.block.transposed, ..self.block }, ..self }
    }

    /// Returns `rows` by `cols` elements from (i, j) on.
    ///
    /// # Panics
    /// If they reach outside.
    #[must_use]
    pub fn block(self, i: usize, j: usize, rows: usize, cols: usize) -> Self {
        assert!(i <= self.rows() && rows <= self.rows() - i && j <= self.cols() && cols <= self.cols() - j);
        let b = self.block;
        let block = if b.transposed {
            Block { row: b.row + j, col: b.col + i, rows: cols, cols: rows, ..b }
        } else {
            Block { row: b.row + i, col: b.col + j, rows, cols, ..b }
        };
        View { block, ..self }
    }

    /// [`Operand::pack`] for this view.
    pub(super) fn pack(&self, width: usize, out: &mut [T]) {
        self.operand.pack(self.block, width, out);
    }

    /// Copies column `j` from the top.
    pub(super) fn copy_column(&self, j: usize, out: &mut [T]) {
        let b = self.block;
        assert!(j < self.cols() && out.len() == self.rows());
        if b.transposed {
            return self.operand.read(b.row + j, b.col, out);
        }
        for (p, x) in out.iter_mut().enumerate() {
            self.operand.read(b.row + p, b.col + j, std::slice::from_mut(x));
        }
    }

    /// Returns the elements in memory, if they are there.
    pub(super) fn in_place(&self) -> Option<Mat<'a, T>> {
        let (mat, b) = (self.operand.in_place()?, self.block);
        assert!(b.row + b.rows <= mat.rows && b.col + b.cols <= mat.cols, "the operand lies where it says");
        let block = if b.rows == 0 || b.cols == 0 {
            Mat { rows: b.rows, cols: b.cols, ..mat }
        } else {
            // With one row, the step to the next may be anything.
            let down = if b.row == 0 { 0 } else { mat.rs * b.row as isize };
            let along = if b.col == 0 { 0 } else { mat.cs * b.col as isize };
            Mat { offset: mat.offset.wrapping_add_signed(down + along), rows: b.rows, cols: b.cols, ..mat }
        };
        Some(if b.transposed { block.t() } else { block })
    }

    /// Returns the panels of all of it, if they have been made beforehand, and whether they are wanted transposed.
    pub(super) fn prepacked(&self) -> Option<(&'a Packed<'a, T>, bool)> {
        let (packed, b) = (self.operand.prepacked()?, self.block);
        let whole = b.row == 0 && b.col == 0 && b.rows == packed.rows() && b.cols == packed.cols();
        whole.then_some((packed, b.transposed))
    }
}

impl<T> std::fmt::Debug for View<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("View").field(&self.block).finish()
    }
}

impl<T: Gemm> Operand<T> for Mat<'_, T> {
    fn rows(&self) -> usize {
        self.rows
    }
    fn cols(&self) -> usize {
        self.cols
    }
    fn read(&self, row: usize, col: usize, out: &mut [T]) {
        for (j, x) in out.iter_mut().enumerate() {
            *x = self.at(row, col + j);
        }
    }
    fn in_place(&self) -> Option<Mat<'_, T>> {
        Some(*self)
    }
}
