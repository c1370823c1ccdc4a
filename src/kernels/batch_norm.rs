//! Batch normalization, forward and backward, over columns: channels lie side by side, and each is normalized by
//! the mean and the variance of all its rows (Ioffe and Szegedy 2015). Sums have the order of every other sum over
//! rows (`reduce.rs`), so they do not depend on threads. Also `x · s + t`, which is all that is left of it in
//! inference.

use super::reduce::{self, Fold, Sum, all_columns};
use super::simd::{self, stamped};
use super::strided::{Layout, Strided};
use crate::{Float, MAX_RANK, Shape};

/// Rows of `n` columns, one after another.
#[derive(Clone, Copy, Debug)]
pub struct Table<'a, T> {
    /// All elements.
    pub data: &'a [T],
    /// Columns, at least one.
    pub n: usize,
}

/// The statistics of each column.
#[derive(Clone, Copy, Debug)]
pub struct Columns<'a, T> {
    /// Means.
    pub mean: &'a [T],
    /// `1 / √(var + ε)`.
    pub factor: &'a [T],
}

/// Computes `Σ x` of each column.
fn sums<T: Float>(x: Table<'_, T>, out: &mut [T]) {
    let mut shape = Shape::SCALAR;
    shape.push(x.data.len() / x.n);
    shape.push(x.n);
    let mut first = [false; MAX_RANK];
    first[0] = true;
    reduce::fold::<Sum, T>(Strided::new(x.data, Layout::contiguous(shape)), &first, out);
}

/// `(x - mean)²`.
#[derive(Clone, Copy)]
struct Squares<'a, T> {
    x: Table<'a, T>,
    mean: &'a [T],
}

impl<T: Float> reduce::Rows<T> for Squares<'_, T> {
    #[inline(always)]
    fn fold<F: Fold>(&self, row: usize, column: usize, lane: &mut [T]) {
        let at = row * self.x.n + column;
        let (x, mean) = (&self.x.data[at..at + lane.len()], &self.mean[column..column + lane.len()]);
        for ((acc, &x), &mean) in lane.iter_mut().zip(x).zip(mean) {
            *acc = F::fold(*acc, (x - mean) * (x - mean));
        }
    }
}

/// Computes the mean and the biased variance of each column. There is at least one row.
pub fn moments<T: Float>(x: Table<'_, T>, mean: &mut [T], variance: &mut [T]) {
    let rows = x.data.len() / x.n;
    let count = T::of(rows as f64);
    sums(x, mean);
    mean.iter_mut().for_each(|m| *m /= count);
    all_columns::<Sum, T, _>(Squares { x, mean }, rows, variance);
    variance.iter_mut().for_each(|v| *v /= count);
}

/// Computes `1 / √(var + ε)` of each column.
pub fn factors<T: Float>(variance: &[T], epsilon: T, out: &mut [T]) {
    for (o, &v) in out.iter_mut().zip(variance) {
        *o = T::one() / (v + epsilon).sqrt();
    }
}

stamped! {
    /// Computes `(x - mean) · factor · γ + β` for each row.
    pub fn normalize<T: Float>(x: &[T], columns: Columns<'_, T>, gamma: &[T], beta: &[T], out: &mut [T]) {
        let n = gamma.len();
        let (mean, factor, beta) = (&columns.mean[..n], &columns.factor[..n], &beta[..n]);
        for (x, out) in x.chunks_exact(n).zip(out.chunks_exact_mut(n)) {
            for i in 0..n {
                out[i] = (x[i] - mean[i]) * factor[i] * gamma[i] + beta[i];
            }
        }
    }
}

/// `g · z`, where `z` are the normalized elements.
#[derive(Clone, Copy)]
struct Slopes<'a, T> {
    x: Table<'a, T>,
    g: &'a [T],
    columns: Columns<'a, T>,
}

impl<T: Float> reduce::Rows<T> for Slopes<'_, T> {
    #[inline(always)]
    fn fold<F: Fold>(&self, row: usize, column: usize, lane: &mut [T]) {
        let (at, of) = (row * self.x.n + column, column..column + lane.len());
        let (x, g) = (&self.x.data[at..at + lane.len()], &self.g[at..at + lane.len()]);
        let (mean, factor) = (&self.columns.mean[of.clone()], &self.columns.factor[of]);
        for ((((acc, &x), &g), &mean), &factor) in lane.iter_mut().zip(x).zip(g).zip(mean).zip(factor) {
            *acc = F::fold(*acc, g * ((x - mean) * factor));
        }
    }
}

/// Computes the gradients of γ, `Σ g · z`, and of β, `Σ g`.
pub fn of_weights<T: Float>(
    x: Table<'_, T>,
    g: &[T],
    columns: Columns<'_, T>,
    gamma: &mut [T],
    beta: &mut [T],
) {
    all_columns::<Sum, T, _>(Slopes { x, g, columns }, x.data.len() / x.n, gamma);
    sums(Table { data: g, n: x.n }, beta);
}

stamped! {
    /// Computes the gradient of `x`: `(g - of_beta / rows - z · of_gamma / rows) · factor · γ`, from those of γ and
    /// β over all `rows`.
    pub fn of_input<T: Float>(
        x: &[T], g: &[T], columns: Columns<'_, T>, gamma: &[T], of_gamma: &[T], of_beta: &[T], rows: T, out: &mut [T],
    ) {
        let n = gamma.len();
        let (mean, factor) = (&columns.mean[..n], &columns.factor[..n]);
        let (of_gamma, of_beta) = (&of_gamma[..n], &of_beta[..n]);
        for ((x, g), out) in x.chunks_exact(n).zip(g.chunks_exact(n)).zip(out.chunks_exact_mut(n)) {
            for i in 0..n {
                let z = (x[i] - mean[i]) * factor[i];
                out[i] = (g[i] - of_beta[i] / rows - z * (of_gamma[i] / rows)) * factor[i] * gamma[i];
            }
        }
    }
}

stamped! {
    /// [`mul_add`] on processors with fused multiply-adds.
    fn mul_add_fused<T: Float>(x: &[T], s: &[T], t: &[T], out: &mut [T]) {
        let n = s.len();
        for (x, out) in x.chunks_exact(n).zip(out.chunks_exact_mut(n)) {
            for (((o, &x), &s), &t) in out.iter_mut().zip(x).zip(s).zip(t) {
                *o = x.fma(s, t);
            }
        }
    }
}

/// Computes `x · s + t`, rounded once, for each row of as many elements as `s` and `t` have, at least one. On
/// processors without a fused multiply-add, these are two operations.
pub fn mul_add<T: Float>(x: &[T], s: &[T], t: &[T], out: &mut [T]) {
    if simd::isa().is_fused() {
        return mul_add_fused(x, s, t, out);
    }
    for (x, out) in x.chunks_exact(s.len()).zip(out.chunks_exact_mut(s.len())) {
        for (((o, &x), &s), &t) in out.iter_mut().zip(x).zip(s).zip(t) {
            *o = x * s + t;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The slow reference: the definition, channel by channel in float64.
    struct Naive {
        y: Vec<f64>,
        mean: Vec<f64>,
        variance: Vec<f64>,
        of_x: Vec<f64>,
        of_gamma: Vec<f64>,
        of_beta: Vec<f64>,
    }

    fn naive(x: &[f64], g: &[f64], gamma: &[f64], beta: &[f64], epsilon: f64) -> Naive {
        let (n, rows) = (gamma.len(), x.len() / gamma.len());
        let mut out = Naive {
            y: vec![0.0; x.len()],
            mean: vec![0.0; n],
            variance: vec![0.0; n],
            of_x: vec![0.0; x.len()],
            of_gamma: vec![0.0; n],
            of_beta: vec![0.0; n],
        };
        for c in 0..n {
            let column = |v: &[f64]| (0..rows).map(|r| v[r * n + c]).collect::<Vec<_>>();
            let (x, g) = (column(x), column(g));
            let mean = x.iter().sum::<f64>() / rows as f64;
            let variance = x.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / rows as f64;
            let factor = 1.0 / (variance + epsilon).sqrt();
            let z: Vec<f64> = x.iter().map(|x| (x - mean) * factor).collect();
            (out.mean[c], out.variance[c]) = (mean, variance);
            out.of_beta[c] = g.iter().sum();
            out.of_gamma[c] = g.iter().zip(&z).map(|(g, z)| g * z).sum();
            for r in 0..rows {
                out.y[r * n + c] = z[r] * gamma[c] + beta[c];
                // The definition of a derivative through mean and variance, term by term.
                let mut sum = 0.0;
                for k in 0..rows {
                    let own = if k == r { 1.0 } else { 0.0 };
                    sum += g[k] * gamma[c] * factor * (own - (1.0 + z[k] * z[r]) / rows as f64);
                }
                out.of_x[r * n + c] = sum;
            }
        }
        out
    }

    fn near(got: f64, want: f64, scale: f64, what: &str) {
        assert!((got - want).abs() <= scale * want.abs().max(1.0), "{what}: {got} {want}");
    }

    fn agrees<T: Float>(rows: usize, n: usize, bound: f64) {
        let numbers = |salt: usize, len: usize| -> Vec<T> {
            (0..len).map(|i| T::of(((i + 31 * salt) as f64 * 0.618_034).fract() * 2.0 - 0.7)).collect()
        };
        let (x, g) = (numbers(0, rows * n), numbers(1, rows * n));
        let (gamma, beta) = (numbers(2, n), numbers(3, n));
        let wide = |v: &[T]| v.iter().map(|v| v.wide()).collect::<Vec<f64>>();
        let want = naive(&wide(&x), &wide(&g), &wide(&gamma), &wide(&beta), 1e-3);

        let fresh = |len: usize| vec![T::of(f64::NAN); len];
        let (mut mean, mut variance, mut factor) = (fresh(n), fresh(n), fresh(n));
        let table = Table { data: &x, n };
        moments(table, &mut mean, &mut variance);
        factors(&variance, T::of(1e-3), &mut factor);
        let found = Columns { mean: &mean, factor: &factor };
        let (mut y, mut of_x, mut of_gamma, mut of_beta) =
            (fresh(rows * n), fresh(rows * n), fresh(n), fresh(n));
        normalize(&x, found, &gamma, &beta, &mut y);
        of_weights(table, &g, found, &mut of_gamma, &mut of_beta);
        of_input(&x, &g, found, &gamma, &of_gamma, &of_beta, T::of(rows as f64), &mut of_x);
        for (what, got, want) in [
            ("y", &y, &want.y),
            ("mean", &mean, &want.mean),
            ("variance", &variance, &want.variance),
            ("gradient of x", &of_x, &want.of_x),
            ("gradient of gamma", &of_gamma, &want.of_gamma),
            ("gradient of beta", &of_beta, &want.of_beta),
        ] {
            for (&got, &want) in got.iter().zip(want) {
                near(got.wide(), want, bound, &format!("{what} {rows}x{n}"));
            }
        }
    }

    #[test]
    fn batch_norm_is_its_definition() {
        for (rows, n) in [(1, 1), (2, 3), (5, 1), (7, 64), (33, 65), (130, 5), (2049, 2)] {
            agrees::<f32>(rows, n, 2e-4);
            agrees::<f64>(rows, n, 1e-11);
        }
    }

    #[test]
    fn mul_add_rounds_once() {
        // The product alone rounds to 1, and the sum to 0.
        let (x, s) = (1.0 + f32::EPSILON, 1.0 - f32::EPSILON);
        let mut out = [f32::NAN; 2];
        mul_add(&[x, x], &[s, s], &[-1.0, 0.0], &mut out);
        let once = if simd::isa().is_fused() { -(f32::EPSILON * f32::EPSILON) } else { 0.0 };
        assert_eq!(out, [once, 1.0]);
    }
}
