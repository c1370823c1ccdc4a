//! Why it exists: the product of two matrices on one thread. Five loops around the tile, which keep what is used again in the
//! cache that is fast enough for it:
//!
//! - columns of C in blocks of `NC`: the block of B lies in L3,
//! - K in blocks of `KC`: the panels of A and B are this long,
//! - rows of C in blocks of `MC`: the block of A lies in L2,
//! - columns in panels of the tile's width: the panel of B lies in L1,
//! - rows in panels of the tile's height.
//!
//! Operands are copied into panels only where that is paid back; otherwise the tile reads them in place.

use super::tile::{Cut, End, Kernels, Prior, Source, Target};
use super::{Finish, Gemm};
use crate::kernels::scratch;

/// Columns of B in L3.
const NC: usize = 4096;
/// Rows of A in L2.
const MC: usize = 144;
/// Rows and columns of C for which a sum apart from C is kept.
const APART: usize = 512;
/// Bytes of a page of memory.
const PAGE: usize = 4096;
/// Bytes of B that stay in L1 beside a panel of A.
const L1: usize = 20 << 10;

/// The right-hand side of a product.
pub(super) enum Right<'a, T> {
    /// As it lies in memory.
    Plain(Source<'a, T>),
    /// Copied into panels beforehand.
    Panels(Panels<'a, T>),
}

impl<T> Clone for Right<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Right<'_, T> {}

impl<T: Gemm> Right<'_, T> {
    pub(super) fn rows(&self) -> usize {
        match self {
            Right::Plain(b) => b.rows,
            Right::Panels(b) => b.k,
        }
    }

    pub(super) fn cols(&self) -> usize {
        match self {
            Right::Plain(b) => b.cols,
            Right::Panels(b) => b.cols,
        }
    }

    /// `cols` columns from `j` on; `j` is a multiple of the tile's width.
    pub(super) fn columns(self, j: usize, cols: usize) -> Self {
        match self {
            Right::Plain(b) => Right::Plain(b.block(0, j, b.rows, cols)),
            Right::Panels(b) => {
                assert!(j.is_multiple_of(b.width) && j + cols <= b.cols);
                Right::Panels(Panels { first: b.first + j / b.width, cols, ..b })
            }
        }
    }
}

/// A matrix in panels: for each block of K, for each panel of columns, rows `width` apart.
#[derive(Debug)]
pub(super) struct Panels<'a, T> {
    pub(super) data: &'a [T],
    pub(super) k: usize,
    pub(super) width: usize,
    /// Panels there are.
    pub(super) all: usize,
    /// The first that belongs to this matrix.
    pub(super) first: usize,
    /// Columns of this matrix.
    pub(super) cols: usize,
}

impl<T> Clone for Panels<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Panels<'_, T> {}

impl<'a, T: Gemm> Panels<'a, T> {
    /// The panels of the rows from `p` on, for the columns from `j` on.
    pub(super) fn block(self, p: usize, kc: usize, j: usize) -> &'a [T] {
        &self.data[self.width * (self.all * p + kc * (self.first + j / self.width))..]
    }
}

/// An operand of one block of K, as the tile gets to see it.
#[derive(Clone, Copy)]
enum Operand<'a, T> {
    InPlace(Source<'a, T>),
    Panels(&'a [T]),
}

/// C = A · B on this thread.
pub(super) fn product<T: Gemm>(
    kernels: &Kernels<T>,
    a: Source<T>,
    b: Right<T>,
    mut c: Target<T>,
    bias: Option<&[T]>,
    finish: Finish,
) {
    let (m, n, k) = (c.rows, c.cols, a.cols);
    if m == 0 || n == 0 {
        return;
    }
    if !finish.add || k <= T::KC {
        return blocks(kernels, a, b, &mut c, None, bias, finish);
    }
    // The sum is wanted apart from what C holds until it is complete.
    let step = APART / kernels.nr * kernels.nr;
    scratch::with(step.min(n) * step.min(m), |sums| {
        for j in (0..n).step_by(step) {
            let cols = step.min(n - j);
            let bias = bias.map(|bias| &bias[j..j + cols]);
            for i in (0..m).step_by(step) {
                let rows = step.min(m - i);
                let sums = Target::new(sums, rows, cols, cols).expect("made for it");
                let (a, mut c) = (a.block(i, 0, rows, k), c.block(i, j, rows, cols));
                blocks(kernels, a, b.columns(j, cols), &mut c, Some(sums), bias, finish);
            }
        }
    });
}

/// The three outer loops. Sums that are not complete are kept in `sums`, or else in C.
fn blocks<T: Gemm>(
    kernels: &Kernels<T>,
    a: Source<T>,
    b: Right<T>,
    c: &mut Target<T>,
    mut sums: Option<Target<T>>,
    bias: Option<&[T]>,
    finish: Finish,
) {
    let (m, n, k) = (c.rows, c.cols, a.cols);
    let end = finish.end(bias);
    let kc_most = k.min(T::KC);
    let pack_b = packs_right(kernels, m, &b);
    let pack_a = packs_left(kernels, n, a);
    let (nc_most, mc_most) = (n.min(NC), m.min(MC));
    let b_len = if pack_b { kernels.packed_len(kc_most, Cut::full(nc_most, kernels.nr)) } else { 0 };
    let a_len = if pack_a { kernels.packed_len(kc_most, Cut::full(mc_most, kernels.mr)) } else { 0 };
    scratch_pair(a_len, b_len, |a_room, b_room| {
        for jc in (0..n).step_by(NC) {
            let nc = NC.min(n - jc);
            let (mut pc, mut first) = (0, true);
            while first || pc < k {
                let kc = T::KC.min(k - pc);
                let last = pc + kc == k;
                let columns = Cut::full(nc, kernels.nr);
                let right = match &b {
                    Right::Panels(panels) => Operand::Panels(panels.block(pc, kc, jc)),
                    Right::Plain(b) if pack_b => {
                        kernels.pack(b.block(pc, jc, kc, nc), columns, b_room);
                        Operand::Panels(&*b_room)
                    }
                    Right::Plain(b) => Operand::InPlace(b.block(pc, jc, kc, nc)),
                };
                for ic in (0..m).step_by(MC) {
                    let mc = MC.min(m - ic);
                    let rows = Cut::even(mc, kernels.mr);
                    let block = a.block(ic, pc, mc, kc);
                    let left = if pack_a {
                        kernels.pack(block.transposed(), rows, a_room);
                        Operand::Panels(&*a_room)
                    } else {
                        Operand::InPlace(block)
                    };
                    let job = Block { kernels, left, right, rows, columns, kc };
                    let mut out = c.block(ic, jc, mc, nc);
                    let end = end.columns(jc, nc);
                    match &mut sums {
                        Some(sums) if !last => {
                            let prior = if first { Before::None } else { Before::Here };
                            job.run(&mut sums.block(ic, jc, mc, nc), prior, None);
                        }
                        Some(sums) => {
                            let prior = Before::There(sums.source().block(ic, jc, mc, nc));
                            job.run(&mut out, prior, Some(&end));
                        }
                        None => {
                            let prior = if first { Before::None } else { Before::Here };
                            job.run(&mut out, prior, last.then_some(&end));
                        }
                    }
                    if let (true, Some(act)) = (last, finish.after()) {
                        (0..mc).for_each(|i| act.apply_all(out.row(i)));
                    }
                }
                pc += kc;
                first = false;
            }
        }
    });
}

/// Whether B is copied into panels: always if its rows are not contiguous; else if there are enough rows of A to use the
/// copy, and reading in place would cost cache misses again and again.
fn packs_right<T: Gemm>(kernels: &Kernels<T>, m: usize, b: &Right<T>) -> bool {
    match b {
        Right::Panels(_) => false,
        Right::Plain(b) => {
            // Rows that lie a page or more apart cost an address translation each time they are read.
            let far = b.rs.unsigned_abs() * size_of::<T>() >= PAGE;
            let enough = if far { 4 } else { 16 } * kernels.mr;
            b.cs != 1 && b.cols > 1 || m > enough && b.cols > kernels.nr
        }
    }
}

/// Whether A is copied into panels.
fn packs_left<T: Gemm>(kernels: &Kernels<T>, n: usize, a: Source<T>) -> bool {
    a.rows > kernels.mr && n > 16 * kernels.nr
}

fn scratch_pair<T: Gemm>(a: usize, b: usize, f: impl FnOnce(&mut [T], &mut [T])) {
    match (a, b) {
        (0, 0) => f(&mut [], &mut []),
        _ => {
            let a = a.next_multiple_of(64);
            scratch::with(a + b, |room: &mut [T]| {
                let (a, b) = room.split_at_mut(a);
                f(a, b)
            })
        }
    }
}

/// [`Prior`] of a whole block.
#[derive(Clone, Copy)]
enum Before<'a, T> {
    None,
    Here,
    There(Source<'a, T>),
}

/// One block of rows, columns and K.
struct Block<'a, T: Gemm> {
    kernels: &'a Kernels<T>,
    left: Operand<'a, T>,
    right: Operand<'a, T>,
    rows: Cut,
    columns: Cut,
    kc: usize,
}

impl<T: Gemm> Block<'_, T> {
    /// The two inner loops. The operand that fits in L1 is the inner one.
    fn run(&self, c: &mut Target<T>, before: Before<T>, end: Option<&End<T>>) {
        if c.cols * self.kc * size_of::<T>() <= L1 {
            for p in 0..self.rows.panels {
                for q in 0..self.columns.panels {
                    self.tile(p, q, c, before, end);
                }
            }
        } else {
            for q in 0..self.columns.panels {
                for p in 0..self.rows.panels {
                    self.tile(p, q, c, before, end);
                }
            }
        }
    }

    #[inline(always)]
    fn tile(&self, p: usize, q: usize, c: &mut Target<T>, before: Before<T>, end: Option<&End<T>>) {
        let (kernels, kc) = (self.kernels, self.kc);
        let ((i, rows), (j, cols)) = (self.rows.panel(p), self.columns.panel(q));
        let a = match self.left {
            Operand::InPlace(a) => a.block(i, 0, rows, kc),
            Operand::Panels(data) => {
                let w = kernels.mr;
                Source::new(data, p * kc * w, rows, kc, 1, w as isize).expect("packed for it")
            }
        };
        let b = match self.right {
            Operand::InPlace(b) => b.block(0, j, kc, cols),
            Operand::Panels(data) => {
                let w = kernels.nr;
                Source::new(data, q * kc * w, kc, cols, w as isize, 1).expect("packed for it")
            }
        };
        let prior = match before {
            Before::None => Prior::None,
            Before::Here => Prior::Here,
            Before::There(sums) => Prior::There(sums.block(i, j, rows, cols)),
        };
        let mut out = c.block(i, j, rows, cols);
        match end {
            Some(end) => kernels.tile(a, b, prior, &mut out, Some(&end.columns(j, cols))),
            None => kernels.tile(a, b, prior, &mut out, None),
        }
    }
}
