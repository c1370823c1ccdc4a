//! Why it exists: softmax and what is built on it, one pass over each row while it is in the first-level cache.
//! Formulas: `softmax_i = exp(x_i - max) / Σ exp(x_j - max)`; the cross-entropy of a row is `logsumexp(x) - x[label]`.

use super::math::Real;
use super::reduce::{Max, Sum, fold_slice};
use super::simd::stamped;
use crate::Float;

/// The largest element of a row, or 0 where it is infinite (so that `x - max` stays defined).
#[inline(always)]
fn pivot<T: Float>(row: &[T]) -> T {
    let max = fold_slice::<Max, T>(row);
    if max == T::neg_infinity() { T::zero() } else { max }
}

stamped! {
    /// Softmax of each row of `n`.
    pub fn softmax<T: Float>(x: &[T], out: &mut [T], n: usize) {
        for (x, out) in x.chunks_exact(n).zip(out.chunks_exact_mut(n)) {
            let max = pivot(x);
            for (o, &x) in out.iter_mut().zip(x) {
                *o = Real::exp(x - max);
            }
            let sum = fold_slice::<Sum, T>(out);
            for o in out.iter_mut() {
                *o = *o / sum;
            }
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
    /// `ln Σ exp(x)` of each row of `n`; `scratch` is as long as a row.
    pub fn logsumexp<T: Float>(x: &[T], out: &mut [T], scratch: &mut [T], n: usize) {
        for (x, out) in x.chunks_exact(n).zip(out) {
            let max = pivot(x);
            for (o, &x) in scratch.iter_mut().zip(x) {
                *o = Real::exp(x - max);
            }
            *out = max + Real::ln(fold_slice::<Sum, T>(&scratch[..n]));
        }
    }
}

stamped! {
    /// `x - logsumexp(x)` of each row of `n`.
    pub fn log_softmax<T: Float>(x: &[T], out: &mut [T], n: usize) {
        for (x, out) in x.chunks_exact(n).zip(out.chunks_exact_mut(n)) {
            let max = pivot(x);
            for (o, &x) in out.iter_mut().zip(x) {
                *o = Real::exp(x - max);
            }
            let log = Real::ln(fold_slice::<Sum, T>(out));
            for (o, &x) in out.iter_mut().zip(x) {
                *o = (x - max) - log;
            }
        }
    }
}

stamped! {
    /// `(exp(x - lse) - onehot(label)) · g` for each row of `n`: the gradient of sparse cross-entropy.
    pub fn sparse_cross_entropy_grad<T: Float>(x: &[T], lse: &[T], labels: &[i64], g: &[T], out: &mut [T], n: usize) {
        for (r, (x, out)) in x.chunks_exact(n).zip(out.chunks_exact_mut(n)).enumerate() {
            let (lse, g) = (lse[r], g[r]);
            for (o, &x) in out.iter_mut().zip(x) {
                *o = Real::exp(x - lse) * g;
            }
            let at = labels[r] as usize;
            out[at] = (Real::exp(x[at] - lse) - T::one()) * g;
        }
    }
}
