//! Factorisations of small matrices: plain loops over rows in one order, where each product is rounded before it is added.

use super::{Pivot, swap_rows};
use crate::Float;

/// Computes `row -= factor · other`.
fn subtract<T: Float>(row: &mut [T], factor: T, other: &[T]) {
    for (x, &y) in row.iter_mut().zip(other) {
        *x -= factor * y;
    }
}

/// Returns two different rows of a matrix of `n` columns, the second for reading.
fn two_rows<T>(a: &mut [T], n: usize, to: usize, from: usize) -> (&mut [T], &[T]) {
    if to < from {
        let (low, high) = a.split_at_mut(from * n);
        (&mut low[to * n..to * n + n], &high[..n])
    } else {
        let (low, high) = a.split_at_mut(to * n);
        (&mut high[..n], &low[from * n..from * n + n])
    }
}

/// Computes PA = LU with partial pivoting, in place: U in and above the diagonal, L (whose diagonal is 1) below it.
/// `order[k]` is the row that was moved to row k. Returns the sign of the permutation and the first pivot that is
/// zero or NaN.
pub(super) fn lu<T: Float>(a: &mut [T], n: usize, order: &mut [usize]) -> (T, Option<Pivot>) {
    let (mut sign, mut bad) = (T::of(1.0), None);
    for k in 0..n {
        let mut best = k;
        for i in k + 1..n {
            let (x, y) = (a[i * n + k].wide().abs(), a[best * n + k].wide().abs());
            if x > y || x.is_nan() && !y.is_nan() {
                best = i;
            }
        }
        order[k] = best;
        if best != k {
            swap_rows(a, n, k, best);
            sign = -sign;
        }
        let pivot = a[k * n + k];
        if pivot.wide().is_nan() || pivot.wide() == 0.0 {
            bad = bad.or(Some((k, pivot.wide())));
            if pivot.wide() == 0.0 {
                continue;
            }
        }
        for i in k + 1..n {
            let factor = a[i * n + k] / pivot;
            let (row, top) = two_rows(a, n, i, k);
            row[k] = factor;
            subtract(&mut row[k + 1..], factor, &top[k + 1..]);
        }
    }
    (sign, bad)
}

/// Replaces B, `n` rows of `m`, by X of AX = B, reading only the lower or the upper triangle of A, and not its diagonal if
/// that is 1.
pub(super) fn triangular_solve<T: Float>(a: &[T], n: usize, lower: bool, unit: bool, b: &mut [T], m: usize) {
    for step in 0..n {
        let i = if lower { step } else { n - 1 - step };
        let known = if lower { 0..i } else { i + 1..n };
        for k in known {
            let (row, other) = two_rows(b, m, i, k);
            subtract(row, a[i * n + k], other);
        }
        if !unit {
            let pivot = a[i * n + i];
            b[i * m..i * m + m].iter_mut().for_each(|x| *x /= pivot);
        }
    }
}

/// Computes A = QR by Householder's reflections: `a` (`m` rows of `n`) is overwritten; `q` is `m` rows of `k`, `r`
/// is `k` rows of `n`, where `k` is the smaller of both. The last three are room: for a reflection of `m` numbers,
/// `n` and `k`. Signs are LAPACK's.
pub(super) fn qr<T: Float>(
    a: &mut [T],
    m: usize,
    n: usize,
    q: &mut [T],
    r: &mut [T],
    [v, row, tau]: [&mut [T]; 3],
) {
    let k = m.min(n);
    tau.fill(T::default());
    for j in 0..k {
        let v = &mut v[j * m..(j + 1) * m];
        let head = a[j * n + j];
        let mut tail = T::default();
        for i in j + 1..m {
            v[i] = a[i * n + j];
            tail += v[i] * v[i];
        }
        if tail.wide() == 0.0 {
            continue; // already zero below the diagonal: the reflection is the identity, and tau is 0
        }
        let norm = (head * head + tail).sqrt();
        let beta = if head.wide() > 0.0 { -norm } else { norm };
        let scale = head - beta;
        v[j] = T::of(1.0);
        v[j + 1..m].iter_mut().for_each(|x| *x /= scale);
        tau[j] = (beta - head) / beta;
        reflect(a, n, j, j, v, tau[j], row);
        a[j * n + j] = beta;
    }
    for i in 0..k {
        for c in 0..n {
            r[i * n + c] = if c < i { T::default() } else { a[i * n + c] };
        }
    }
    q.fill(T::default());
    (0..k).for_each(|i| q[i * k + i] = T::of(1.0));
    for j in (0..k).rev() {
        reflect(q, k, j, j, &v[j * m..(j + 1) * m], tau[j], row);
    }
}

/// Computes `(I - tau·v·vᵀ)·a` on the rows and columns from the given ones on; `v` is as long as `a` has rows.
fn reflect<T: Float>(a: &mut [T], n: usize, top: usize, left: usize, v: &[T], tau: T, row: &mut [T]) {
    if tau.wide() == 0.0 {
        return;
    }
    let row = &mut row[..n - left];
    row.fill(T::default());
    for (i, &v) in v.iter().enumerate().skip(top) {
        subtract(row, -v, &a[i * n + left..(i + 1) * n]);
    }
    for (i, &v) in v.iter().enumerate().skip(top) {
        subtract(&mut a[i * n + left..(i + 1) * n], tau * v, row);
    }
}
