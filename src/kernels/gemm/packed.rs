//! `Packed`: a matrix copied into panels once, such as the weights of a trained network, which are multiplied with
//! again and again.

use super::operand::{Operand, View};
use super::side::{Panels, Side};
use super::tile::{Kernels, Shape};
use super::{Gemm, Mat};
use crate::kernels::simd::{Isa, isa};

/// The side of a product that a matrix was packed for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum For {
    Left,
    Right,
}

/// A matrix in the panels that this processor's tile reads, on one side of a product. On the other side, or
/// transposed, it is an operand like any other: just as correct, but slower.
#[derive(Clone, Debug)]
pub struct Packed<T> {
    data: Vec<T>,
    /// Where the panels begin: on a cache line.
    start: usize,
    /// The rows of what the panels hold: the matrix, or for the left side its transpose.
    k: usize,
    across: usize,
    shape: Shape,
    width: usize,
    side: For,
    isa: Isa,
    /// If none of our tiles multiplies, all columns are one panel: the matrix in rows, read in place.
    dense: bool,
}

impl<T: Gemm> Packed<T> {
    /// Copies `b`, for the right side.
    ///
    /// # Panics
    /// If `b` does not fit its slice.
    pub fn new(b: Mat<T>) -> Packed<T> {
        Packed::new_on(isa(), b)
    }

    /// Copies `a`, for the left side.
    ///
    /// # Panics
    /// If `a` does not fit its slice.
    pub fn left(a: Mat<T>) -> Packed<T> {
        Packed::left_on(isa(), a)
    }

    pub(crate) fn new_on(isa: Isa, b: Mat<T>) -> Packed<T> {
        Packed::pack(isa, b, T::kernels(isa).shape(b.cols), For::Right)
    }

    pub(crate) fn left_on(isa: Isa, a: Mat<T>) -> Packed<T> {
        Packed::pack(isa, a.t(), T::kernels(isa).shape(usize::MAX), For::Left)
    }

    fn pack(isa: Isa, m: Mat<T>, shape: Shape, side: For) -> Packed<T> {
        let kernels: &Kernels<T> = T::kernels(isa);
        let (k, across, m) = (m.rows, m.cols, m.source());
        let dense = kernels.apart();
        let width = match side {
            _ if dense => across.max(1),
            For::Left => shape.mr,
            For::Right => shape.nr,
        };
        let all = across.next_multiple_of(width);
        let line = 64 / size_of::<T>();
        let mut data = vec![T::c(0.0); all * k + kernels.packed_len(0, across, width) + line];
        let start = data.as_ptr().align_offset(64).min(line);
        for p in (0..k).step_by(T::KC) {
            let kc = T::KC.min(k - p);
            kernels.pack(m.block(p, 0, kc, across), width, &mut data[start + all * p..]);
        }
        Packed { data, start, k, across, shape, width, side, isa, dense }
    }

    fn panels(&self) -> Panels<'_, T> {
        let Packed { k, across, shape, width, .. } = *self;
        Panels {
            data: &self.data[self.start..],
            k,
            shape,
            width,
            all: across.div_ceil(width),
            first: 0,
            across,
        }
    }
}

impl<T: Gemm> Operand<T> for Packed<T> {
    fn rows(&self) -> usize {
        if self.side == For::Left { self.across } else { self.k }
    }
    fn cols(&self) -> usize {
        if self.side == For::Left { self.k } else { self.across }
    }
    fn read(&self, row: usize, col: usize, out: &mut [T]) {
        let panels = self.panels();
        for (j, x) in out.iter_mut().enumerate() {
            *x = if self.side == For::Left { panels.at(col + j, row) } else { panels.at(row, col + j) };
        }
    }
    fn in_place(&self) -> Option<Mat<'_, T>> {
        let mat = Mat::row_major(&self.data[self.start..], self.k, self.across);
        self.dense.then(|| if self.side == For::Left { mat.t() } else { mat })
    }
    fn prepacked(&self) -> Option<&Packed<T>> {
        (!self.dense).then_some(self)
    }
}

/// Returns the two sides of a product of operands, each in its fastest form.
pub(super) fn sides<'a, T: Gemm>(isa: Isa, a: View<'a, T>, b: View<'a, T>) -> (Side<'a, T>, Side<'a, T>) {
    let panels = |view: &View<'a, T>, side: For| {
        let (packed, transposed) = view.prepacked()?;
        (packed.side == side && packed.isa == isa && !transposed).then(|| packed.panels())
    };
    let (left, right) = (panels(&a, For::Left), panels(&b, For::Right));
    // One tile reads both.
    let left = left.filter(|l| right.is_none_or(|r| r.shape.mr == l.shape.mr));
    let side = |view: View<'a, T>, panels: Option<Panels<'a, T>>| match (panels, view.in_place()) {
        (Some(panels), _) => Side::Panels(panels),
        (None, Some(mat)) => Side::Plain(mat.source()),
        (None, None) => Side::Other(view),
    };
    (side(a.t(), left), side(b, right))
}
