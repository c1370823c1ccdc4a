//! Why it exists: the weights of a trained network are multiplied with again and again. Copied into panels once, they
//! need not be copied for each product.

use super::block::{Panels, Right};
use super::matrix::Source;
use super::tile::Kernels;
use super::{Epilogue, Finish, Gemm, Mat, MatMut, Store, grid};
use crate::kernels::simd::{Isa, isa};

/// A right-hand side in the panels that this processor's tile reads.
#[derive(Clone, Debug)]
pub struct Packed<T> {
    data: Vec<T>,
    /// Where the panels begin: on a cache line.
    start: usize,
    rows: usize,
    cols: usize,
    isa: Isa,
}

impl<T: Gemm> Packed<T> {
    /// Copies `b`.
    ///
    /// # Panics
    /// `b` does not fit its slice.
    pub fn new(b: Mat<T>) -> Packed<T> {
        Packed::new_on(isa(), b)
    }

    pub(crate) fn new_on(isa: Isa, b: Mat<T>) -> Packed<T> {
        let kernels: &Kernels<T> = T::kernels(isa);
        let (rows, cols, b) = (b.rows, b.cols, b.source());
        let nr = kernels.shape(cols).nr;
        let width = cols.next_multiple_of(nr);
        let line = 64 / size_of::<T>();
        let mut data = vec![T::c(0.0); width * rows + kernels.packed_len(0, cols, nr) + line];
        let start = data.as_ptr().align_offset(64).min(line);
        for p in (0..rows).step_by(T::KC) {
            let kc = T::KC.min(rows - p);
            kernels.pack(b.block(p, 0, kc, cols), nr, &mut data[start + width * p..]);
        }
        Packed { data, start, rows, cols, isa }
    }

    /// Rows of the matrix.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Columns of the matrix.
    pub fn cols(&self) -> usize {
        self.cols
    }
}

/// [`super::gemm`] with B packed beforehand.
///
/// # Panics
/// A matrix does not fit its slice, or sizes do not match.
pub fn gemm_packed<T: Gemm>(a: Mat<T>, b: &Packed<T>, c: MatMut<T>, store: Store, epilogue: Epilogue<T>) {
    assert!(a.rows == c.rows && a.cols == b.rows && b.cols == c.cols, "sizes of A, B and C match");
    let (finish, bias) = (Finish::new(store, &epilogue), epilogue.bias);
    assert!(bias.is_none_or(|bias| bias.len() == c.cols), "one bias per column");
    let kernels: &Kernels<T> = T::kernels(b.isa);
    let shape = kernels.shape(b.cols);
    let panels = Panels {
        data: &b.data[b.start..],
        k: b.rows,
        shape,
        all: b.cols.div_ceil(shape.nr),
        first: 0,
        cols: b.cols,
    };
    let a: Source<T> = a.source();
    grid::product(kernels, a, Right::Panels(panels), c.target(), bias, finish);
}
