//! Softmax and what is built on it, in one pass over each row while it is in the first-level cache, and over 32
//! rows at once if rows are short. Formulas: `softmax_i = exp(x_i - max) / Σ exp(x_j - max)`; the cross-entropy of
//! a row is `logsumexp(x) - x[label]`.

use super::math::Lane;
use super::reduce::{Fold, LANES, Pivot, Sum, fold_pairs, fold_slice, fold_two};
use super::simd::stamped;
use crate::Float;

/// Returns a largest element, or 0 where it is -infinity (so that `x - max` stays defined).
#[inline(always)]
fn defined<T: Float>(max: T) -> T {
    if max == T::neg_infinity() { T::zero() } else { max }
}

/// Returns what is subtracted from a row's elements before the exponential.
#[inline(always)]
fn pivot<T: Float>(row: &[T]) -> T {
    defined(fold_slice::<Pivot, T>(row))
}

/// Computes `exp(x - max)`.
#[inline(always)]
fn exponentials<T: Float, R: Lane<T>>(x: &[T], out: &mut [T]) {
    let max = pivot(x);
    for (o, &x) in out.iter_mut().zip(x) {
        *o = R::of(x - max).exp_below().value();
    }
}

#[inline(always)]
fn scale<T: Float>(out: &mut [T], share: T) {
    for o in out.iter_mut() {
        *o *= share;
    }
}

/// How many short rows are computed side by side.
const ROWS: usize = 32;

/// How many rows of `n` a kernel takes through one loop before the next: the sums of a row are chains of dependent steps, which
/// those of others hide, while all of them stay in the first-level cache.
#[inline(always)]
fn together(n: usize) -> usize {
    (NEAR / n.max(1)).clamp(1, ROWS)
}

/// Short rows, transposed: a row of 10 logits fills no vector, but 32 such rows fill vectors with each of their
/// columns.
struct Short<T> {
    e: [[T; ROWS]; LANES],
    max: [T; ROWS],
}

impl<T: Float> Short<T> {
    /// Returns whether rows of `n` are short and more than two.
    #[inline(always)]
    fn suits(x: &[T], n: usize) -> bool {
        n < LANES && x.len() > 2 * n
    }

    #[inline(always)]
    fn new() -> Short<T> {
        Short { e: [[T::c(0.0); ROWS]; LANES], max: [T::c(0.0); ROWS] }
    }

    /// Takes at most [`ROWS`] rows of `n`, leaves `exp(x - max)` and returns the sums, added in the order of every
    /// other sum: the elements are the lanes, and lanes without an element hold the zero that changes no sum of
    /// exponentials. Columns beyond the last row hold anything.
    #[inline(always)]
    fn exponentials<R: Lane<T>>(&mut self, x: &[T], n: usize) -> [T; ROWS] {
        let Short { e, max } = self;
        for (r, row) in x.chunks_exact(n).enumerate() {
            for (e, &x) in e.iter_mut().zip(row) {
                e[r] = x;
            }
        }
        *max = [Pivot::start(); ROWS];
        for e in &e[..n] {
            for r in 0..ROWS {
                max[r] = Pivot::fold(max[r], e[r]);
            }
        }
        for max in max.iter_mut() {
            *max = defined(*max);
        }
        for e in &mut e[..n] {
            for r in 0..ROWS {
                e[r] = R::of(e[r] - max[r]).exp_below().value();
            }
        }
        let mut sums = *e;
        let (mut width, mut lanes) = (LANES / 2, n);
        while width > 0 {
            for i in width..lanes {
                let (low, high) = sums.split_at_mut(i);
                for r in 0..ROWS {
                    low[i - width][r] += high[0][r];
                }
            }
            lanes = lanes.min(width);
            width /= 2;
        }
        sums[0]
    }
}

stamped! {
    /// Computes the softmax of each row of `n`.
    pub fn softmax<T: Float>[R: T](x: &[T], out: &mut [T], n: usize) {
        if Short::suits(x, n) {
            let mut short = Short::new();
            for (x, out) in x.chunks(ROWS * n).zip(out.chunks_mut(ROWS * n)) {
                let mut share = short.exponentials::<R>(x, n);
                for share in &mut share {
                    *share = T::one() / *share;
                }
                for (r, out) in out.chunks_exact_mut(n).enumerate() {
                    for (o, e) in out.iter_mut().zip(&short.e) {
                        *o = e[r] * share[r];
                    }
                }
            }
            return;
        }
        for (x, out) in x.chunks(2 * n).zip(out.chunks_mut(2 * n)) {
            for (x, out) in x.chunks_exact(n).zip(out.chunks_exact_mut(n)) {
                exponentials::<T, R>(x, out);
            }
            // The last of an odd number of rows is paired with itself.
            let both = [&out[..n], &out[out.len() - n..]];
            let sums = fold_two::<Sum, T>(both, both, |_, x, _| x);
            for (out, sum) in out.chunks_exact_mut(n).zip(sums) {
                scale(out, T::one() / sum);
            }
        }
    }
}

stamped! {
    /// Computes `g_in = y · (g - Σ g·y)` for each row of `n`, from softmax's output `y`; values of `y` below
    /// [`Float::TINY`] count as 0.
    pub fn softmax_grad<T: Float>(y: &[T], g: &[T], out: &mut [T], n: usize) {
        for ((y, g), out) in y.chunks_exact(n).zip(g.chunks_exact(n)).zip(out.chunks_exact_mut(n)) {
            let dot = fold_pairs::<Sum, T>(y, g, |y, g| y.flush(T::TINY) * g);
            for ((o, &y), &g) in out.iter_mut().zip(y).zip(g) {
                *o = y.flush(T::TINY) * (g - dot);
            }
        }
    }
}

stamped! {
    /// Computes the largest element `max` of each row of `n`, and `log = ln Σ exp(x - max)`. They are kept
    /// separate, because their sum would round away what differences of large logits need.
    pub fn logsumexp<T: Float>[R: T](x: &[T], max: &mut [T], log: &mut [T], n: usize) {
        if Short::suits(x, n) {
            let mut short = Short::new();
            let rows = x.chunks(ROWS * n).zip(max.chunks_mut(ROWS).zip(log.chunks_mut(ROWS)));
            for (x, (max, log)) in rows {
                let sums = short.exponentials::<R>(x, n);
                max.copy_from_slice(&short.max[..max.len()]);
                for (log, sum) in log.iter_mut().zip(sums) {
                    *log = R::of(sum).ln().value();
                }
            }
            return;
        }
        for ((row, max), log) in x.chunks_exact(n).zip(max).zip(log) {
            let pivot = pivot(row);
            let sum = fold_pairs::<Sum, T>(row, row, |x, _| R::of(x - pivot).exp_below().value());
            *log = R::of(sum).ln().value();
            *max = pivot;
        }
    }
}

stamped! {
    /// Computes the softmax of each row of `n` in place, and the row's largest element and sum of `exp(x - max)`. A
    /// row of only -infinity becomes zeros, and its sum 0.
    pub fn weights<T: Float>[R: T](x: &mut [T], max: &mut [T], sum: &mut [T], n: usize) {
        let rows = together(n);
        for ((x, max), sum) in x.chunks_mut(rows * n).zip(max.chunks_mut(rows)).zip(sum.chunks_mut(rows)) {
            for (row, max) in x.chunks_exact(n).zip(&mut *max) {
                *max = pivot(row);
            }
            for (row, &max) in x.chunks_exact_mut(n).zip(&*max) {
                for x in row.iter_mut() {
                    *x = R::of(*x - max).exp_below().value();
                }
            }
            for (row, sum) in x.chunks_exact(n).zip(&mut *sum) {
                *sum = fold_slice::<Sum, T>(row);
            }
            for (row, &sum) in x.chunks_exact_mut(n).zip(&*sum) {
                scale(row, share(sum));
            }
        }
    }
}

stamped! {
    /// Computes what [`weights`] makes of each row of `n`, given its largest element and sum.
    pub fn weights_of<T: Float>[R: T](x: &mut [T], max: &[T], sum: &[T], n: usize) {
        for ((row, &max), &sum) in x.chunks_exact_mut(n).zip(max).zip(sum) {
            for x in row.iter_mut() {
                *x = R::of(*x - max).exp_below().value();
            }
            scale(row, share(sum));
        }
    }
}

/// Returns the factor of a row's exponentials; 0 if their sum is 0.
#[inline(always)]
fn share<T: Float>(sum: T) -> T {
    if sum == T::zero() { sum } else { T::one() / sum }
}

/// How many numbers stay in the first-level cache.
const NEAR: usize = 4096;

/// Computes `x - logsumexp(x)` of each row of `n`.
pub fn log_softmax<T: Float>(x: &[T], out: &mut [T], n: usize) {
    let (mut max, mut log) = ([T::c(0.0); ROWS], [T::c(0.0); ROWS]);
    // As many rows as are computed side by side, or fewer, so that they are still in the first-level cache when
    // they are read again.
    let rows = together(n);
    for (x, out) in x.chunks(rows * n).zip(out.chunks_mut(rows * n)) {
        let (max, log) = (&mut max[..x.len() / n], &mut log[..x.len() / n]);
        logsumexp(x, max, log, n);
        shifted(x, max, log, out, n);
    }
}

stamped! {
    /// Computes `(x - max) - log` of each row of `n`.
    fn shifted<T: Float>(x: &[T], max: &[T], log: &[T], out: &mut [T], n: usize) {
        let rows = x.chunks_exact(n).zip(out.chunks_exact_mut(n));
        for ((x, out), (&max, &log)) in rows.zip(max.iter().zip(log)) {
            for (o, &x) in out.iter_mut().zip(x) {
                *o = (x - max) - log;
            }
        }
    }
}

/// What the gradient of sparse cross-entropy reads of each row.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a, T> {
    /// Largest logit.
    pub max: &'a [T],
    /// `ln Σ exp(x - max)`.
    pub log: &'a [T],
    /// The right class.
    pub labels: &'a [i64],
    /// The gradient of the row's loss.
    pub g: &'a [T],
}

/// Returns a probability from its logarithm, and 0 below [`Float::TINY`]: for classes that a confident network
/// rules out, probabilities, and so gradients, would be subnormal numbers, on which the products of the backward
/// pass are many times slower. `low` is a logarithm below that of `TINY`.
#[inline(always)]
fn probability<T: Float, R: Lane<T>>(log: T, low: T) -> T {
    R::of(if log < low { low } else { log }).exp_below().value().flush(T::TINY)
}

stamped! {
    /// Computes `(softmax(x) - onehot(label)) · g` for each row of `n`: the gradient of sparse cross-entropy.
    /// Probabilities below [`Float::TINY`] count as 0.
    pub fn sparse_cross_entropy_grad<T: Float>[R: T](x: &[T], rows: Rows<'_, T>, out: &mut [T], n: usize) {
        let low = T::of(libm::log(T::TINY.wide()) - 1.0);
        for (r, (x, out)) in x.chunks_exact(n).zip(out.chunks_exact_mut(n)).enumerate() {
            let (max, log, g) = (rows.max[r], rows.log[r], rows.g[r]);
            for (o, &x) in out.iter_mut().zip(x) {
                *o = probability::<T, R>((x - max) - log, low) * g;
            }
            let at = rows.labels[r] as usize;
            out[at] = (probability::<T, R>((x[at] - max) - log, low) - T::one()) * g;
        }
    }
}
