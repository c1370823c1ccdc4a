//! `Packed`: a matrix copied into panels once, such as the weights of a trained network, which are multiplied with
//! again and again.

use super::operand::{Operand, View};
use super::side::{Panels, Side};
use super::tile::Shape;
use super::{Gemm, Mat};
use crate::kernels::simd::{Isa, isa, large_pages};
use std::borrow::Cow;

/// Bytes of panels in a caller's memory that stay in L2, from one step of a sequence to the next.
const NEAR: usize = 1 << 20;

/// The side of a product that a matrix was packed for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum For {
    Left,
    Right,
}

/// A matrix in the panels that this processor's tile reads, on one side of a product. On the other side, or
/// transposed, it is an operand like any other: just as correct, but slower.
#[derive(Clone, Debug)]
pub struct Packed<'a, T: Clone> {
    data: Cow<'a, [T]>,
    /// Where the panels begin: on a cache line.
    start: usize,
    plan: Plan,
}

impl<T: Gemm> Packed<'static, T> {
    /// Copies `b`, for the right side.
    ///
    /// # Panics
    /// If `b` does not fit its slice.
    pub fn new(b: Mat<T>) -> Self {
        Packed::new_on(isa(), b)
    }

    /// Copies `a`, for the left side.
    ///
    /// # Panics
    /// If `a` does not fit its slice.
    pub fn left(a: Mat<T>) -> Self {
        Packed::left_on(isa(), a)
    }

    pub(crate) fn new_on(isa: Isa, b: Mat<T>) -> Self {
        Plan::right::<T>(isa, b.rows, b.cols).owned(b)
    }

    pub(crate) fn left_on(isa: Isa, a: Mat<T>) -> Self {
        Plan::new::<T>(isa, (a.cols, a.rows), T::kernels(isa).shape(usize::MAX), For::Left).owned(a.t())
    }
}

impl<'a, T: Gemm> Packed<'a, T> {
    /// Copies `b`, for the right side, into `room`, which has [`Packed::room`] elements or more.
    ///
    /// # Panics
    /// If `b` does not fit its slice, or the room is too small.
    pub fn within(b: Mat<T>, room: &'a mut [T]) -> Self {
        let plan = Plan::right::<T>(isa(), b.rows, b.cols);
        let start = plan.fill(b, room);
        Packed { data: Cow::Borrowed(room), start, plan }
    }

    /// Returns whether panels are read faster than the rows of a matrix of so many columns, once they are made: not where
    /// one panel would hold it all.
    pub fn pays(cols: usize) -> bool {
        let kernels = T::kernels(isa());
        !kernels.apart() && cols > kernels.shape(cols).nr
    }

    /// Returns how many elements it keeps.
    pub fn elements(&self) -> usize {
        self.data.len()
    }

    /// Returns how many elements [`Packed::within`] needs room for, for a matrix of `rows` by `cols`.
    pub fn room(rows: usize, cols: usize) -> usize {
        Plan::right::<T>(isa(), rows, cols).len::<T>()
    }

    fn panels(&self) -> Panels<'_, T> {
        let Plan { k, across, shape, width, .. } = self.plan;
        Panels {
            data: &self.data[self.start..],
            k,
            shape,
            width,
            all: across.div_ceil(width),
            first: 0,
            across,
            near: matches!(self.data, Cow::Borrowed(_)) && size_of_val(&*self.data) <= NEAR,
        }
    }
}

/// How a matrix is laid out in panels.
#[derive(Clone, Copy, Debug)]
struct Plan {
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

/// Returns the elements of a cache line, on which panels begin.
const fn line<T>() -> usize {
    64 / size_of::<T>()
}

impl Plan {
    fn right<T: Gemm>(isa: Isa, k: usize, across: usize) -> Plan {
        Plan::new::<T>(isa, (k, across), T::kernels(isa).shape(across), For::Right)
    }

    fn new<T: Gemm>(isa: Isa, (k, across): (usize, usize), shape: Shape, side: For) -> Plan {
        let dense = T::kernels(isa).apart();
        let width = match side {
            _ if dense => across.max(1),
            For::Left => shape.mr,
            For::Right => shape.nr,
        };
        Plan { k, across, shape, width, side, isa, dense }
    }

    fn all(&self) -> usize {
        self.across.next_multiple_of(self.width)
    }

    fn len<T: Gemm>(&self) -> usize {
        self.all() * self.k + T::kernels(self.isa).packed_len(0, self.across, self.width) + line::<T>()
    }

    /// Copies `m`, and returns where the panels begin.
    fn fill<T: Gemm>(&self, m: Mat<T>, data: &mut [T]) -> usize {
        let (m, start) = (m.source(), data.as_ptr().align_offset(64).min(line::<T>()));
        for p in (0..self.k).step_by(T::KC) {
            let kc = T::KC.min(self.k - p);
            let block = m.block(p, 0, kc, self.across);
            T::kernels(self.isa).pack(block, self.width, &mut data[start + self.all() * p..]);
        }
        start
    }

    fn owned<T: Gemm>(self, m: Mat<T>) -> Packed<'static, T> {
        let mut data = vec![T::c(0.0); self.len::<T>()];
        large_pages(&data);
        let start = self.fill(m, &mut data);
        Packed { data: Cow::Owned(data), start, plan: self }
    }
}

impl<T: Gemm> Operand<T> for Packed<'_, T> {
    fn rows(&self) -> usize {
        if self.plan.side == For::Left { self.plan.across } else { self.plan.k }
    }
    fn cols(&self) -> usize {
        if self.plan.side == For::Left { self.plan.k } else { self.plan.across }
    }
    fn read(&self, row: usize, col: usize, out: &mut [T]) {
        let panels = self.panels();
        for (j, x) in out.iter_mut().enumerate() {
            *x = if self.plan.side == For::Left { panels.at(col + j, row) } else { panels.at(row, col + j) };
        }
    }
    fn in_place(&self) -> Option<Mat<'_, T>> {
        let mat = Mat::row_major(&self.data[self.start..], self.plan.k, self.plan.across);
        self.plan.dense.then(|| if self.plan.side == For::Left { mat.t() } else { mat })
    }
    fn prepacked(&self) -> Option<&Packed<'_, T>> {
        (!self.plan.dense).then_some(self)
    }
}

/// Returns the right side of a product in its fastest form.
pub(super) fn right<'a, T: Gemm>(isa: Isa, b: View<'a, T>) -> Side<'a, T> {
    sides(isa, b.t(), b).1
}

/// Returns the two sides of a product of operands, each in its fastest form.
pub(super) fn sides<'a, T: Gemm>(isa: Isa, a: View<'a, T>, b: View<'a, T>) -> (Side<'a, T>, Side<'a, T>) {
    let panels = |view: &View<'a, T>, side: For| {
        let (packed, transposed) = view.prepacked()?;
        (packed.plan.side == side && packed.plan.isa == isa && !transposed).then(|| packed.panels())
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
