//! Why it exists: the matrix product, which is most of the arithmetic of deep learning. Every output is a function
//! of logical values alone: the inner size is cut into blocks of `KC`, each block is one ascending chain of fused
//! multiply-adds from zero, block sums are added in ascending order, then bias and activation.

mod naive;
pub use naive::naive;

use super::par;
use crate::Float;

/// Length of a block of the inner size.
pub const KC: usize = 256;

/// A matrix over a slice, with any strides: element (i, j) is `data[offset + i·rs + j·cs]`.
#[derive(Clone, Copy, Debug)]
pub struct Mat<'a, T> {
    /// The memory.
    pub data: &'a [T],
    /// Where element (0, 0) lies.
    pub offset: usize,
    /// Rows.
    pub rows: usize,
    /// Columns.
    pub cols: usize,
    /// Distance between rows.
    pub rs: isize,
    /// Distance between columns.
    pub cs: isize,
}

/// The element types that have tiles.
pub trait Gemm: Float {
    /// `c (+)= a·b` for one block of at most `KC` inner elements.
    ///
    /// # Safety
    /// The pointers and strides must stay inside of live memory, and `c` must not overlap the others.
    #[allow(unsafe_code)]
    #[allow(clippy::too_many_arguments)]
    unsafe fn block(
        m: usize,
        k: usize,
        n: usize,
        a: *const Self,
        sa: [isize; 2],
        b: *const Self,
        sb: [isize; 2],
        beta: Self,
        c: *mut Self,
        ld: isize,
    );
}
macro_rules! tile {
    ($t:ty, $f:path) => {
        impl Gemm for $t {
            #[allow(unsafe_code)]
            #[rustfmt::skip]
            unsafe fn block(
                m: usize, k: usize, n: usize,
                a: *const $t, sa: [isize; 2], b: *const $t, sb: [isize; 2], beta: $t, c: *mut $t, ld: isize,
            ) {
                // SAFETY: passed on to the caller.
                unsafe { $f(m, k, n, 1.0, a, sa[0], sa[1], b, sb[0], sb[1], beta, c, ld, 1) }
            }
        }
    };
}
tile!(f32, matrixmultiply::sgemm);
tile!(f64, matrixmultiply::dgemm);

/// Multiply-adds below which a product is not split between threads.
const SPLIT: usize = 1 << 19;

/// `c = a·b` (or `c += a·b`), then `finish` on each finished row block. `c` is row-major without gaps.
///
/// # Panics
/// If sizes disagree or a matrix reaches outside of its memory.
pub fn gemm<T: Gemm>(a: Mat<T>, b: Mat<T>, c: &mut [T], finish: &(impl Fn(&mut [T]) + Sync)) {
    assert!(a.cols == b.rows && c.len() == a.rows * b.cols, "gemm: sizes disagree");
    for m in [&a, &b] {
        let reach = |n: usize, s: isize| (n.max(1) as isize - 1) * s;
        let ends = [0, reach(m.rows, m.rs), reach(m.cols, m.cs), reach(m.rows, m.rs) + reach(m.cols, m.cs)];
        let inside = |e: isize| usize::try_from(m.offset as isize + e).is_ok_and(|e| e < m.data.len());
        assert!(m.rows * m.cols == 0 || ends.into_iter().all(inside), "gemm: matrix reaches outside of its memory");
    }
    if c.is_empty() {
        return;
    }
    let grain = (SPLIT / a.cols.max(1)).max(1);
    par::chunks(c, b.cols, grain, &|first, c: &mut [T]| {
        rows(Mat { offset: (a.offset as isize + first as isize * a.rs) as usize, rows: c.len() / b.cols, ..a }, b, c);
        finish(c);
    });
}

#[allow(unsafe_code)]
fn rows<T: Gemm>(a: Mat<T>, b: Mat<T>, c: &mut [T]) {
    if a.cols == 0 {
        return c.fill(T::zero());
    }
    for k in (0..a.cols).step_by(KC) {
        let beta = if k == 0 { T::zero() } else { T::one() };
        let at = |m: &Mat<T>, step: isize| (m.offset as isize + k as isize * step) as usize;
        // SAFETY: `gemm` has checked that both matrices lie inside of their slices; `c` is exclusive.
        unsafe {
            T::block(
                a.rows,
                KC.min(a.cols - k),
                b.cols,
                a.data.as_ptr().add(at(&a, a.cs)),
                [a.rs, a.cs],
                b.data.as_ptr().add(at(&b, b.rs)),
                [b.rs, b.cs],
                beta,
                c.as_mut_ptr(),
                b.cols as isize,
            );
        }
    }
}
