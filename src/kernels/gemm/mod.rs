//! The matrix product, in which networks spend most of their time. Begin with [`gemm`].
//!
//! # The order of arithmetic
//! K, the length of the sums, is cut into blocks of [`Gemm::KC`]. Within a block each element of the result is one
//! chain of fused multiply-adds, ascending, from zero; the sums of the blocks are added, ascending. [`Store::Add`]
//! then adds the finished sum to what C holds; then comes the [`Epilogue`], field by field. Every path keeps this
//! order, so a result depends only on the numbers and on K: not on strides, packing, instruction set, threads, or
//! the rows and columns around it.
//!
//! If a processor has no fused multiply-add ([`Isa::NoFma`]), the blocks are of 256, multiplications and additions
//! round separately, and everything else is the same: other bits, but the same promise.
//!
//! # The operands
//! [`gemm`] takes matrices in memory, [`product`] any [`Operand`]: patches of images, weights in 16 or 8 bits,
//! panels made beforehand.
//!
//! # The paths
//! The files: `vector` for a single row or column; `block` for everything else, which copies operands into panels
//! only where that pays off; `apart` without fused multiply-add. `grid` divides C between threads. [`naive`] is the
//! same product written plainly. `tile` holds the table of loops in vector instructions.

mod apart;
mod block;
pub(crate) mod depthwise;
mod direct;
mod finish;
mod gather;
mod grid;
mod loops;
mod matrix;
pub mod naive;
mod narrow;
mod operand;
mod packed;
mod patches;
mod side;
mod spread;
mod tile;
mod vector;
mod walk;

pub(crate) use direct::{patches_product, patches_turned_product, patches_turned_room, spread_product};
pub use narrow::Quantized;
pub use operand::{Block, Operand, View};
pub use packed::Packed;
pub use patches::{Patches, Window};
pub use spread::Spread;

use crate::kernels::math::{Lanes, Real};
use crate::kernels::scratch::Scratch;
use crate::kernels::simd::{Isa, isa, stamped};
use finish::Finish;
use matrix::Source;
pub(crate) use matrix::Target;
use side::Side;
use tile::Stamped;

/// The element types in which matrices can be multiplied.
pub trait Gemm: Lanes + PartialEq + Scratch + Stamped + Send + Sync {
    /// The length of the blocks that sums are cut into. It is part of what the result is, so it never changes.
    /// (Without a fused multiply-add, it is 256 for both types.)
    const KC: usize;
}
impl Gemm for f32 {
    const KC: usize = 512;
}
impl Gemm for f64 {
    const KC: usize = 256;
}

/// A matrix to read: element (i, j) is `data[offset + i * rs + j * cs]`. Strides may be zero or negative.
#[derive(Clone, Copy, Debug)]
pub struct Mat<'a, T> {
    /// The slice that holds the elements.
    pub data: &'a [T],
    /// The position of element (0, 0).
    pub offset: usize,
    /// Number of rows.
    pub rows: usize,
    /// Number of columns.
    pub cols: usize,
    /// The distance from a row to the next.
    pub rs: isize,
    /// The distance from a column to the next.
    pub cs: isize,
}

impl<'a, T: Copy> Mat<'a, T> {
    /// Creates a matrix of rows one after another.
    pub fn row_major(data: &'a [T], rows: usize, cols: usize) -> Self {
        Mat { data, offset: 0, rows, cols, rs: cols as isize, cs: 1 }
    }

    /// Exchanges rows and columns.
    #[must_use]
    pub fn t(self) -> Self {
        Mat { rows: self.cols, cols: self.rows, rs: self.cs, cs: self.rs, ..self }
    }

    /// Returns the element (i, j).
    ///
    /// # Panics
    /// If it lies outside of `data`.
    pub fn at(&self, i: usize, j: usize) -> T {
        self.data[(self.offset as isize + i as isize * self.rs + j as isize * self.cs) as usize]
    }

    fn source(self) -> Source<'a, T> {
        let source = Source::new(self.data, self.offset, self.rows, self.cols, self.rs, self.cs);
        source.expect("every element of the matrix lies in its slice")
    }
}

/// A matrix to write: element (i, j) is `data[i * ld + j]`.
#[derive(Debug)]
pub struct MatMut<'a, T> {
    /// The slice that holds the elements.
    pub data: &'a mut [T],
    /// Number of rows.
    pub rows: usize,
    /// Number of columns.
    pub cols: usize,
    /// The distance from a row to the next; at least `cols`.
    pub ld: usize,
}

impl<'a, T: Copy> MatMut<'a, T> {
    /// Creates a matrix of rows one after another.
    pub fn row_major(data: &'a mut [T], rows: usize, cols: usize) -> Self {
        MatMut { data, rows, cols, ld: cols }
    }

    fn target(self) -> Target<'a, T> {
        let target = Target::new(self.data, self.rows, self.cols, self.ld);
        target.expect("every element of the result lies in its slice, and its rows do not overlap")
    }
}

/// What to do with a finished sum.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Store {
    /// C = A · B. The contents of C are not read.
    Write,
    /// C = C + A · B.
    Add,
}

/// A function applied to each element of the result, in the same pass.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Act {
    /// `max(x, 0)`.
    Relu,
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
}

impl Act {
    /// Returns the function at `x`.
    #[inline(always)]
    pub fn apply<T: Real>(self, x: T) -> T {
        match self {
            Act::Relu => x.maximum(T::c(0.0)),
            Act::Sigmoid => x.sigmoid(),
            Act::Tanh => x.tanh(),
        }
    }

    /// Applies the function to each element, in place.
    pub fn apply_all<T: Gemm>(self, row: &mut [T]) {
        match self {
            Act::Relu => relu_all(row),
            Act::Sigmoid => sigmoid_all(row),
            Act::Tanh => tanh_all(row),
        }
    }
}
stamped! {
    fn relu_all<T: Gemm>(row: &mut [T]) { row.iter_mut().for_each(|x| *x = Act::Relu.apply(*x)) }
}
stamped! {
    fn sigmoid_all<T: Gemm>[R: T](row: &mut [T]) { row.iter_mut().for_each(|x| *x = Act::Sigmoid.apply(R::of(*x)).value()) }
}
stamped! {
    fn tanh_all<T: Gemm>[R: T](row: &mut [T]) { row.iter_mut().for_each(|x| *x = Act::Tanh.apply(R::of(*x)).value()) }
}

/// A function that is applied to runs of a row of the result, in place.
pub type Map<'a, T> = &'a (dyn Fn(&mut [T]) + Sync);

/// What is done to the result before it is stored: after all of K, and after [`Store::Add`], in the order of the fields.
/// The bits are those of separate passes over the result.
#[derive(Clone, Copy)]
pub struct Epilogue<'a, T> {
    /// One number per column, added first.
    pub bias: Option<&'a [T]>,
    /// A scale s and a shift t per column: x becomes `x · s + t`, rounded once
    /// ([`mul_add`](crate::kernels::batch_norm::mul_add)). It is what batch normalization is in inference.
    pub scale: Option<(&'a [T], &'a [T])>,
    /// Numbers to add, laid out as the result is, with the same distance between rows.
    pub residual: Option<&'a [T]>,
    /// Applied then.
    pub activation: Option<Act>,
    /// Applied last: any function of each element alone, since runs may be cut anywhere.
    pub map: Option<Map<'a, T>>,
}

impl<T> Epilogue<'_, T> {
    /// Nothing.
    pub const NONE: Self = Epilogue { bias: None, scale: None, residual: None, activation: None, map: None };
}

impl<'a, T> Epilogue<'a, T> {
    /// A bias and an activation.
    pub fn new(bias: Option<&'a [T]>, activation: Option<Act>) -> Self {
        Epilogue { bias, activation, ..Epilogue::NONE }
    }

    /// Returns the same for `count` columns from `first` on of rows that stay as far apart.
    pub(crate) fn columns(self, first: usize, count: usize) -> Self {
        let part = |all: &'a [T]| &all[first..first + count];
        Epilogue {
            bias: self.bias.map(part),
            scale: self.scale.map(|(s, t)| (part(s), part(t))),
            residual: self.residual.map(|r| r.get(first..).unwrap_or_default()),
            ..self
        }
    }
}

impl<T: std::fmt::Debug> std::fmt::Debug for Epilogue<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Epilogue { bias, scale, residual, activation, map } = self;
        let fields: [(&str, &dyn std::fmt::Debug); 5] = [
            ("bias", bias),
            ("scale", scale),
            ("residual", residual),
            ("activation", activation),
            ("map", &map.is_some()),
        ];
        let mut out = f.debug_struct("Epilogue");
        fields.iter().for_each(|(name, value)| _ = out.field(name, value));
        out.finish()
    }
}

impl<T> Default for Epilogue<'_, T> {
    fn default() -> Self {
        Self::NONE
    }
}

/// Computes C = A · B, or C + A · B, then the epilogue.
///
/// # Panics
/// A matrix does not fit its slice, or sizes do not match.
pub fn gemm<T: Gemm>(a: Mat<T>, b: Mat<T>, c: MatMut<T>, store: Store, epilogue: Epilogue<T>) {
    gemm_on(isa(), a, b, c, store, epilogue);
}

/// [`gemm`] with the instructions of `isa`, if the processor has them.
pub(crate) fn gemm_on<T: Gemm>(
    isa: Isa,
    a: Mat<T>,
    b: Mat<T>,
    c: MatMut<T>,
    store: Store,
    epilogue: Epilogue<T>,
) {
    assert!(a.rows == c.rows && a.cols == b.rows && b.cols == c.cols, "sizes of A, B and C match");
    let finish = Finish::new(isa, store, &epilogue, (c.rows, c.cols, c.ld));
    grid::product(T::kernels(isa), &Side::left(a), &Side::right(b), c.target(), &finish);
}

/// [`gemm`] on this thread, for kernels that divide their work themselves.
pub(crate) fn here<T: Gemm>(a: Mat<T>, b: Mat<T>, c: MatMut<T>) {
    assert!(a.rows == c.rows && a.cols == b.rows && b.cols == c.cols, "sizes of A, B and C match");
    grid::leaf(T::kernels(isa()), &Side::left(a), &Side::right(b), c.target(), &Finish::none(Store::Write));
}

/// [`gemm`] for operands of any kind, which are copied or converted on the way into registers. The bits are those
/// of the product of the matrices that the operands stand for.
///
/// # Panics
/// A matrix does not fit its slice, or sizes do not match.
pub fn product<T: Gemm>(a: View<T>, b: View<T>, c: MatMut<T>, store: Store, epilogue: Epilogue<T>) {
    product_on(isa(), a, b, c, store, epilogue);
}

/// [`product`] with the instructions of `isa`, if the processor has them.
pub(crate) fn product_on<T: Gemm>(
    isa: Isa,
    a: View<T>,
    b: View<T>,
    c: MatMut<T>,
    store: Store,
    epilogue: Epilogue<T>,
) {
    assert!(a.rows() == c.rows && a.cols() == b.rows() && b.cols() == c.cols, "sizes of A, B and C match");
    let finish = Finish::new(isa, store, &epilogue, (c.rows, c.cols, c.ld));
    let (a, b) = packed::sides(isa, a, b);
    grid::product(T::kernels(isa), &a, &b, c.target(), &finish);
}

/// Where the matrices of a batch begin, from the first one's offset on.
#[derive(Clone, Copy, Debug)]
pub enum Steps<'a> {
    /// Number `i` begins `i` times this further; zero shares one matrix.
    Every(isize),
    /// Number `i` begins at the offset plus element `i`, which is not negative.
    Listed(&'a [i64]),
}

impl Steps<'_> {
    fn offset(self, first: usize, i: usize) -> usize {
        match self {
            Steps::Every(step) => first.wrapping_add_signed(step * i as isize),
            Steps::Listed(list) => first + list[i] as usize,
        }
    }
}

/// Computes `count` products of the same shape in one parallel grid. `a`, `b` and `c` describe the first one;
/// number `i` of C begins `i * c_step` further: either each after the one before, or all side by side in the same
/// rows.
///
/// # Panics
/// A matrix does not fit its slice, sizes do not match, two results overlap, or there is a residual for several
/// results that are not one product.
#[allow(clippy::too_many_arguments)] // three matrices with where they repeat
pub fn batched<T: Gemm>(
    count: usize,
    a: (Mat<T>, Steps),
    b: (Mat<T>, Steps),
    c: MatMut<T>,
    c_step: usize,
    store: Store,
    epilogue: Epilogue<T>,
) {
    let ((a, a_steps), (b, b_steps)) = (a, b);
    let (m, k, n) = (a.rows, a.cols, b.cols);
    assert!(m == c.rows && k == b.rows && n == c.cols, "sizes of A, B and C match");
    if count == 0 || m == 0 || n == 0 {
        return;
    }
    // With one B for all, and As and Cs that continue each other, this is one product with all the rows.
    let one_a = matches!(a_steps, Steps::Every(s) if s == a.rs * m as isize);
    if one_a && matches!(b_steps, Steps::Every(0)) && c_step == c.ld * m {
        let (a, c) = (Mat { rows: m * count, ..a }, MatMut { rows: m * count, ..c });
        return gemm(a, b, c, store, epilogue);
    }
    assert!(count == 1 || epilogue.residual.is_none(), "a residual for one product");
    let finish = Finish::new(isa(), store, &epilogue, (m, n, c.ld));
    let kernels = T::kernels(isa());
    let one = move |i: usize, c: Target<T>| {
        let a = Mat { offset: a_steps.offset(a.offset, i), ..a };
        let b = Mat { offset: b_steps.offset(b.offset, i), ..b };
        grid::product(kernels, &Side::left(a), &Side::right(b), c, &finish);
    };
    let work = m.saturating_mul(n).saturating_mul(k.max(1));
    let MatMut { data, ld, .. } = c;
    if count == 1 || c_step >= (m - 1) * ld + n {
        grid::stacked(count, work, data, c_step, (m, n, ld), &one);
    } else {
        assert!(c_step >= n && (count - 1) * c_step + n <= ld, "results do not overlap");
        let all = MatMut { data, rows: m, cols: (count - 1) * c_step + n, ld };
        grid::side_by_side(count, work, all.target(), c_step, n, &one);
    }
}

#[cfg(test)]
mod operand_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod view_tests;
