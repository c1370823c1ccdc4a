//! Running sums, products and extremes. Each row is one ascending chain, so its result is the same however rows are divided
//! between threads.

use super::par;
use crate::{Float, Stored};

/// Computes `out[i] = f(out[i - 1], x[i])` along each row of `n`, starting with `x[0]`.
pub fn running<T: Stored>(x: &[T], out: &mut [T], n: usize, f: &(impl Fn(T, T) -> T + Sync)) {
    par::chunks(out, n, par::GRAIN, &|first, run: &mut [T]| {
        let x = &x[first * n..first * n + run.len()];
        for (x, out) in x.chunks_exact(n).zip(run.chunks_exact_mut(n)) {
            let mut acc = x[0];
            out[0] = acc;
            for (o, &x) in out[1..].iter_mut().zip(&x[1..]) {
                acc = f(acc, x);
                *o = acc;
            }
        }
    });
}

/// Running sums along each row of `n`. What each addition loses is taken from the next element (Kahan 1965), so that a
/// long row loses no digits.
pub fn running_sum<T: Float>(x: &[T], out: &mut [T], n: usize) {
    par::chunks(out, n, par::GRAIN, &|first, run: &mut [T]| {
        let x = &x[first * n..first * n + run.len()];
        for (x, out) in x.chunks_exact(n).zip(run.chunks_exact_mut(n)) {
            let (mut sum, mut excess) = (x[0], T::default());
            out[0] = sum;
            for (o, &x) in out[1..].iter_mut().zip(&x[1..]) {
                let more = x - excess;
                let next = sum + more;
                excess = (next - sum) - more;
                // Beyond the last number there is nothing to correct.
                if !excess.wide().is_finite() {
                    excess = T::default();
                }
                sum = next;
                *o = sum;
            }
        }
    });
}

/// Computes `y[i] = a[i]·y[i - 1] + b[i]` along each row of `n`, starting with `b[0]`; `a[0]` is not read.
pub fn recurrence<T: Float>(a: &[T], b: &[T], y: &mut [T], n: usize) {
    par::chunks(y, n, par::GRAIN, &|first, run: &mut [T]| {
        let part = first * n..first * n + run.len();
        let rows = a[part.clone()].chunks_exact(n).zip(b[part].chunks_exact(n));
        for ((a, b), y) in rows.zip(run.chunks_exact_mut(n)) {
            y[0] = b[0];
            for i in 1..n {
                y[i] = a[i] * y[i - 1] + b[i];
            }
        }
    });
}

/// Returns the index of the largest or smallest element so far in each row of `n`: of equal ones the latest, and of NaN the
/// latest too.
#[allow(clippy::eq_op)] // NaN alone differs from itself
pub fn running_extreme<T: Stored + PartialOrd>(x: &[T], out: &mut [i64], n: usize, largest: bool) {
    par::chunks(out, n, par::GRAIN, &|first, run: &mut [i64]| {
        let x = &x[first * n..first * n + run.len()];
        for (x, out) in x.chunks_exact(n).zip(run.chunks_exact_mut(n)) {
            let mut best = 0;
            for (i, (o, new)) in out.iter_mut().zip(x).enumerate() {
                let old = &x[best];
                if new != new || (if largest { new >= old } else { new <= old }) {
                    best = i;
                }
                *o = best as i64;
            }
        }
    });
}
