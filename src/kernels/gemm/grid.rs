//! Divides products between threads, which happens only here: into a flat grid of blocks of C, each computed as a
//! whole. K is never divided, so the number of blocks does not affect the result.

use super::finish::Finish;
use super::matrix::Target;
use super::side::{Side, shape};
use super::tile::{Kernels, Shape};
use super::{Gemm, apart, block, vector};
use crate::kernels::par;

/// The number of multiply-adds from which a block is worth handing to another thread: about 20 µs of a core.
pub(super) const GRAIN: usize = 1 << 20;
/// The same for a single row or column, whose every multiply-add reads a number from memory.
const STREAMED: usize = 1 << 17;

/// The bytes of an operand up to which each piece may read it again: it stays in a core's own cache.
const SHARED: usize = 128 << 10;

/// The number of multiply-adds from which a product is cut at all: two pieces of three quarters of a grain still take
/// a third less time than one, if both threads have the operands in their caches. What a training step multiplies was
/// written by one of them just before: there, two pieces of this size take longer than one (the network of the MNIST
/// example: 0.34 s an epoch instead of 0.23).
fn least() -> usize {
    if par::chained() { 2 * GRAIN } else { 3 * GRAIN / 2 }
}

/// Computes C = A · B on as many threads as there are and as the work is worth.
pub(super) fn product<T: Gemm>(
    kernels: &Kernels<T>,
    a: &Side<T>,
    b: &Side<T>,
    c: Target<T>,
    finish: &Finish<T>,
) {
    assert!(a.across() == c.rows && a.k() == b.k() && b.across() == c.cols);
    let work = c.rows.saturating_mul(c.cols).saturating_mul(a.k());
    let one = c.rows == 1 || c.cols == 1;
    // Halves of the longer side of C read the other side's operand each for itself. Where it is small, more pieces than threads give
    // a thread that wakes up late less to do. Where it is large, few are better: two for two threads, who share equally; more threads
    // seldom find panels that can be shared equally. Long rows are read faster.
    let shared = c.rows.min(c.cols).saturating_mul(a.k()).saturating_mul(size_of::<T>());
    let most = match par::threads() {
        _ if one => 1,
        _ if shared <= SHARED => 4,
        2 => 1,
        _ => 2,
    };
    let (grain, least) = if one { (STREAMED, 2 * STREAMED) } else { (GRAIN, least()) };
    if work < least || par::threads() == 1 {
        leaf(kernels, a, b, c, finish);
    } else {
        split(kernels, a, b, c, finish, (work / grain).clamp(2, most * par::threads()));
    }
}

/// The same on this thread.
#[inline(always)] // a single row takes 150 ns
pub(super) fn leaf<T: Gemm>(
    kernels: &Kernels<T>,
    a: &Side<T>,
    b: &Side<T>,
    c: Target<T>,
    finish: &Finish<T>,
) {
    if kernels.apart() {
        return apart::product(kernels, a, b, c, finish);
    }
    match vector::takes(kernels, a, b) {
        Some(one) => vector::product(kernels, one, a, b, c, finish),
        None => block::product(kernels, a, b, c, finish),
    }
}

/// Halves the longer side of C until there are `pieces`.
fn split<T: Gemm>(
    kernels: &Kernels<T>,
    a: &Side<T>,
    b: &Side<T>,
    c: Target<T>,
    finish: &Finish<T>,
    pieces: usize,
) {
    let (m, n) = (c.rows, c.cols);
    let (half, other) = (pieces / 2, pieces - pieces / 2);
    let Shape { mr, nr } = shape(kernels, a, b);
    if pieces < 2 || m <= mr && n <= nr {
        return leaf(kernels, a, b, c, finish);
    }
    if n >= m && n > nr {
        let at = (n * half / pieces).next_multiple_of(nr).min(n - 1) / nr * nr;
        let (left, right) = c.split_cols(at);
        par::join(
            || split(kernels, a, &b.part(0, at), left, &finish.columns(0, at), half),
            || split(kernels, a, &b.part(at, n - at), right, &finish.columns(at, n - at), other),
        );
    } else {
        let at = (m * half / pieces).next_multiple_of(mr).min(m - 1) / mr * mr;
        let (upper, lower) = c.split_rows(at);
        par::join(
            || split(kernels, &a.part(0, at), b, upper, &finish.rows(0, at), half),
            || split(kernels, &a.part(at, m - at), b, lower, &finish.rows(at, m - at), other),
        );
    }
}

/// Calls `one` for each of `count` results of `(rows, cols, ld)` that lie `step` apart, one after another.
pub(super) fn stacked<T: Gemm>(
    count: usize,
    work: usize,
    data: &mut [T],
    step: usize,
    shape: (usize, usize, usize),
    one: &(dyn Fn(usize, Target<T>) + Sync),
) {
    fn go<T: Gemm>(
        (first, count): (usize, usize),
        each: usize,
        data: &mut [T],
        step: usize,
        shape: (usize, usize, usize),
        one: &(dyn Fn(usize, Target<T>) + Sync),
    ) {
        if count > each {
            let half = count / 2;
            let (left, right) = data.split_at_mut(half * step);
            par::join(
                || go((first, half), each, left, step, shape, one),
                || go((first + half, count - half), each, right, step, shape, one),
            );
            return;
        }
        let (rows, cols, ld) = shape;
        for i in 0..count {
            let out = Target::new(&mut data[i * step..], rows, cols, ld);
            one(first + i, out.expect("every result of the batch lies in its slice"));
        }
    }
    go((0, count), each(count, work), data, step, shape, one);
}

/// The same for results `step` columns apart in the same rows.
pub(super) fn side_by_side<T: Gemm>(
    count: usize,
    work: usize,
    all: Target<T>,
    step: usize,
    cols: usize,
    one: &(dyn Fn(usize, Target<T>) + Sync),
) {
    fn go<T: Gemm>(
        (first, count): (usize, usize),
        each: usize,
        mut all: Target<T>,
        step: usize,
        cols: usize,
        one: &(dyn Fn(usize, Target<T>) + Sync),
    ) {
        if count > each {
            let half = count / 2;
            let (left, right) = all.split_cols(half * step);
            par::join(
                || go((first, half), each, left, step, cols, one),
                || go((first + half, count - half), each, right, step, cols, one),
            );
            return;
        }
        let rows = all.rows;
        for i in 0..count {
            one(first + i, all.block(0, i * step, rows, cols));
        }
    }
    go((0, count), each(count, work), all, step, cols, one);
}

/// Returns how many products of a batch one task takes.
fn each(count: usize, work: usize) -> usize {
    if par::threads() == 1 { count } else { (GRAIN / work.max(1)).clamp(1, count) }
}
