//! Why it exists: softmax and what is built on it, one pass over each row while it is in the first-level cache.
//! Formulas: `softmax_i = exp(x_i - max) / Σ exp(x_j - max)`; the cross-entropy of a row is `logsumexp(x) - x[label]`.

use super::math::Real;
use super::reduce::{LANES, Pivot, Sum, fold_pairs, fold_slice, fold_two};
use super::simd::stamped;
use crate::Float;

/// The largest element of a row, or 0 where it is infinite (so that `x - max` stays defined).
#[inline(always)]
fn pivot<T: Float>(row: &[T]) -> T {
    let max = fold_slice::<Pivot, T>(row);
    if max == T::neg_infinity() { T::zero() } else { max }
}

/// `exp(x - max)`.
#[inline(always)]
fn exponentials<T: Float>(x: &[T], out: &mut [T]) {
    let max = pivot(x);
    for (o, &x) in out.iter_mut().zip(x) {
        *o = Real::exp(x - max);
    }
}

#[inline(always)]
fn scale<T: Float>(out: &mut [T], share: T) {
    for o in out.iter_mut() {
        *o = *o * share;
    }
}

stamped! {
    /// Softmax of each row of `n`.
    pub fn softmax<T: Float>(x: &[T], out: &mut [T], n: usize) {
        if n < LANES {
            // A short row is filled up with -∞, whose exponential is the zero that unused lanes hold: the same sum, in whole vectors.
            let (mut short, mut e) = ([T::neg_infinity(); LANES], [T::c(0.0); LANES]);
            for (x, out) in x.chunks_exact(n).zip(out.chunks_exact_mut(n)) {
                short[..n].copy_from_slice(x);
                exponentials(&short, &mut e);
                let share = T::one() / fold_slice::<Sum, T>(&e);
                scale(&mut e, share);
                out.copy_from_slice(&e[..n]);
            }
            return;
        }
        let (mut xs, mut outs) = (x.chunks_exact(2 * n), out.chunks_exact_mut(2 * n));
        for (x, out) in (&mut xs).zip(&mut outs) {
            let (a, b) = out.split_at_mut(n);
            let b = &mut b[..n];
            exponentials(&x[..n], a);
            exponentials(&x[n..2 * n], b);
            let sums = fold_two::<Sum, T>([a, b], [a, b], |_, x, _| x);
            scale(a, T::one() / sums[0]);
            scale(b, T::one() / sums[1]);
        }
        // The last of an odd number of rows.
        for (x, out) in xs.remainder().chunks_exact(n).zip(outs.into_remainder().chunks_exact_mut(n)) {
            exponentials(x, out);
            let sum = fold_slice::<Sum, T>(out);
            scale(out, T::one() / sum);
        }
    }
}

stamped! {
    /// `g_in = y · (g - Σ g·y)` for each row of `n`, from softmax's output `y`.
    pub fn softmax_grad<T: Float>(y: &[T], g: &[T], out: &mut [T], n: usize) {
        for ((y, g), out) in y.chunks_exact(n).zip(g.chunks_exact(n)).zip(out.chunks_exact_mut(n)) {
            for ((o, &y), &g) in out.iter_mut().zip(y).zip(g) {
                *o = y * g;
            }
            let dot = fold_slice::<Sum, T>(out);
            for ((o, &y), &g) in out.iter_mut().zip(y).zip(g) {
                *o = y * (g - dot);
            }
        }
    }
}

stamped! {
    /// The largest element `max` of each row of `n`, and `log = ln Σ exp(x - max)`: kept apart, because their sum would
    /// round away what differences of large logits need.
    pub fn logsumexp<T: Float>(x: &[T], max: &mut [T], log: &mut [T], n: usize) {
        // A short row is filled up with -∞, whose exponential is the zero that unused lanes hold: the same sum, in whole vectors.
        let mut short = [T::neg_infinity(); LANES];
        for ((x, max), log) in x.chunks_exact(n).zip(max).zip(log) {
            let row = if n < LANES {
                short[..n].copy_from_slice(x);
                &short[..]
            } else {
                x
            };
            let pivot = pivot(row);
            *log = Real::ln(fold_pairs::<Sum, T>(row, row, |x, _| Real::exp(x - pivot)));
            *max = pivot;
        }
    }
}

stamped! {
    /// `x - logsumexp(x)` of each row of `n`.
    pub fn log_softmax<T: Float>(x: &[T], out: &mut [T], n: usize) {
        for (x, out) in x.chunks_exact(n).zip(out.chunks_exact_mut(n)) {
            let max = pivot(x);
            let log = Real::ln(fold_pairs::<Sum, T>(x, x, |x, _| Real::exp(x - max)));
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

stamped! {
    /// `(softmax(x) - onehot(label)) · g` for each row of `n`: the gradient of sparse cross-entropy.
    pub fn sparse_cross_entropy_grad<T: Float>(x: &[T], rows: Rows<'_, T>, out: &mut [T], n: usize) {
        for (r, (x, out)) in x.chunks_exact(n).zip(out.chunks_exact_mut(n)).enumerate() {
            let (max, log, g) = (rows.max[r], rows.log[r], rows.g[r]);
            for (o, &x) in out.iter_mut().zip(x) {
                *o = Real::exp((x - max) - log) * g;
            }
            let at = rows.labels[r] as usize;
            out[at] = (Real::exp((x[at] - max) - log) - T::one()) * g;
        }
    }
}
