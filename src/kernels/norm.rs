//! Layer normalization, forward and backward, in as few passes over memory as a row in the first-level cache
//! allows: `y = (x - mean) / √(var + ε) · γ + β` over each row, with the biased variance (Ba et al. 2016; Keras's
//! rule).

use super::reduce::{self, Fold, Sum, all_columns, fold_pairs, fold_slice, fold_two};
use super::simd::stamped;
use crate::Float;

/// Computes `(x - center) · factor · γ + β`.
#[inline(always)]
fn normalized<T: Float>(x: &[T], center: T, factor: T, gamma: &[T], beta: &[T], out: &mut [T]) {
    for (((o, &x), &gamma), &beta) in out.iter_mut().zip(x).zip(gamma).zip(beta) {
        *o = (x - center) * factor * gamma + beta;
    }
}

stamped! {
    /// Normalizes each row of `gamma.len()` and keeps the row's mean and `1 / √(var + ε)`.
    pub fn layer_norm<T: Float>(
        x: &[T], gamma: &[T], beta: &[T], epsilon: T, out: &mut [T], mean: &mut [T], scale: &mut [T],
    ) {
        let n = gamma.len();
        let count = T::of(n as f64);
        let factor = |squares: T| T::one() / (squares / count + epsilon).sqrt();
        for (i, (x, out)) in x.chunks(2 * n).zip(out.chunks_mut(2 * n)).enumerate() {
            // The last of an odd number of rows is paired with itself.
            let rows = [&x[..n], &x[x.len() - n..]];
            let center = fold_two::<Sum, T>(rows, rows, |_, x, _| x).map(|sum| sum / count);
            let square = |r: usize, x: T, _: T| (x - center[r]) * (x - center[r]);
            let factor = fold_two::<Sum, T>(rows, rows, square).map(factor);
            for (r, out) in out.chunks_exact_mut(n).enumerate() {
                normalized(rows[r], center[r], factor[r], gamma, beta, out);
            }
            let count = x.len() / n;
            mean[2 * i..2 * i + count].copy_from_slice(&center[..count]);
            scale[2 * i..2 * i + count].copy_from_slice(&factor[..count]);
        }
    }
}

/// What the gradient reads of each row.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a, T> {
    /// Means.
    pub mean: &'a [T],
    /// `1 / √(var + ε)`.
    pub scale: &'a [T],
}

stamped! {
    /// Computes the gradient of `x`: with `h = g · γ` and `z` the normalized row,
    /// `(h - mean(h) - z · mean(h · z)) · scale`.
    pub fn layer_norm_grad<T: Float>(x: &[T], g: &[T], gamma: &[T], rows: Rows<'_, T>, out: &mut [T]) {
        let n = gamma.len();
        let count = T::of(n as f64);
        for (r, ((x, g), out)) in x.chunks_exact(n).zip(g.chunks_exact(n)).zip(out.chunks_exact_mut(n)).enumerate() {
            let (center, factor) = (rows.mean[r], rows.scale[r]);
            for ((h, &g), &gamma) in out.iter_mut().zip(g).zip(gamma) {
                *h = g * gamma;
            }
            let mean = fold_slice::<Sum, T>(out) / count;
            let slope = fold_pairs::<Sum, T>(out, x, |h, x| h * ((x - center) * factor)) / count;
            for (h, &x) in out.iter_mut().zip(x) {
                *h = (*h - mean - (x - center) * factor * slope) * factor;
            }
        }
    }
}

/// The products `g · z`, whose sums over the rows are the gradient of γ.
#[derive(Clone, Copy)]
struct Slopes<'a, T> {
    x: &'a [T],
    g: &'a [T],
    rows: Rows<'a, T>,
    n: usize,
}

impl<T: Float> reduce::Rows<T> for Slopes<'_, T> {
    #[inline(always)]
    fn fold<F: Fold>(&self, row: usize, column: usize, lane: &mut [T]) {
        let (center, factor) = (self.rows.mean[row], self.rows.scale[row]);
        let at = row * self.n + column;
        let (x, g) = (&self.x[at..at + lane.len()], &self.g[at..at + lane.len()]);
        for ((acc, &x), &g) in lane.iter_mut().zip(x).zip(g) {
            *acc = F::fold(*acc, g * ((x - center) * factor));
        }
    }
}

/// Computes the gradient of γ: `Σ g · z` over the rows, in the order of every other sum over rows.
pub fn layer_norm_gamma<T: Float>(x: &[T], g: &[T], rows: Rows<'_, T>, out: &mut [T]) {
    let (n, count) = (out.len(), rows.mean.len());
    let slopes = Slopes { x, g, rows, n };
    all_columns::<Sum, T, _>(slopes, count, out);
}
