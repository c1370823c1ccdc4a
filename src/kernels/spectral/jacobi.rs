//! Eigenvalues of symmetric matrices and singular values, by Jacobi's rotations: slow for large matrices, but each value
//! is right to nearly the last digit, however small beside the largest. Vectors are rows, so that a rotation is of two
//! runs of numbers.

use super::Unsettled;
use crate::kernels::simd::stamped;

/// More sweeps than any matrix has been seen to need.
const SWEEPS: usize = 60;

/// The tangent's rotation `(cos, sin)` that makes the off-diagonal element of `[[p, off], [off, q]]` zero, and the tangent
/// (Golub and Van Loan, algorithm 8.4.1).
#[inline(always)]
fn rotation(p: f64, q: f64, off: f64) -> ((f64, f64), f64) {
    let tau = (q - p) / (2.0 * off);
    let root = (1.0 + tau * tau).sqrt();
    let t = if tau >= 0.0 { 1.0 / (tau + root) } else { 1.0 / (tau - root) };
    let c = 1.0 / (1.0 + t * t).sqrt();
    ((c, t * c), t)
}

/// Rows `i` and `j`, where `i < j`, of `len` numbers.
#[inline(always)]
fn two(rows: &mut [f64], len: usize, i: usize, j: usize) -> (&mut [f64], &mut [f64]) {
    let (low, high) = rows.split_at_mut(j * len);
    (&mut low[i * len..][..len], &mut high[..len])
}

/// Turns two rows to `cos·x - sin·y` and `sin·x + cos·y`.
#[inline(always)]
fn turn(x: &mut [f64], y: &mut [f64], cos: f64, sin: f64) {
    for (x, y) in x.iter_mut().zip(y) {
        (*x, *y) = (cos * *x - sin * *y, sin * *x + cos * *y);
    }
}

/// Sums that are added side by side.
const LANES: usize = 8;

/// The products of two rows with themselves and with each other.
#[inline(always)]
fn products(x: &[f64], y: &[f64]) -> [f64; 3] {
    let mut sums = [[0.0; LANES]; 3];
    let ((x, x_rest), (y, y_rest)) = (x.as_chunks::<LANES>(), y.as_chunks::<LANES>());
    for (x, y) in x.iter().zip(y) {
        for i in 0..LANES {
            sums[0][i] += x[i] * x[i];
            sums[1][i] += y[i] * y[i];
            sums[2][i] += x[i] * y[i];
        }
    }
    for (i, (x, y)) in x_rest.iter().zip(y_rest).enumerate() {
        sums[0][i] += x * x;
        sums[1][i] += y * y;
        sums[2][i] += x * y;
    }
    let mut out = [0.0; 3];
    for (out, s) in out.iter_mut().zip(&sums) {
        *out = ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
    }
    out
}

stamped! {
    /// One sweep of [`eigh`]: turns all pairs of rows that are not yet at right angles, and says whether there was one. A sweep is one call:
    /// rotations of a few numbers each take no longer than calls.
    fn sweep_of_symmetric(a: &mut [f64], n: usize, rows: &mut [f64]) -> bool {
        let mut turned = false;
        for i in 0..n {
            for j in i + 1..n {
                let (p, q, off) = (a[i * n + i], a[j * n + j], a[i * n + j]);
                if off == 0.0 || off.is_nan() || off.abs() <= f64::EPSILON * 0.5 * (p.abs() * q.abs()).sqrt() {
                    continue;
                }
                let ((cos, sin), tangent) = rotation(p, q, off);
                let (x, y) = two(a, n, i, j);
                turn(x, y, cos, sin);
                // The columns are what the rows are, but where they meet.
                (x[i], x[j], y[i], y[j]) = (p - tangent * off, 0.0, 0.0, q + tangent * off);
                for k in 0..n {
                    (a[k * n + i], a[k * n + j]) = (a[i * n + k], a[j * n + k]);
                }
                let (x, y) = two(rows, n, i, j);
                turn(x, y, cos, sin);
                turned = true;
            }
        }
        turned
    }
}

stamped! {
    /// The same of [`svd`].
    fn sweep_of_columns(left: &mut [f64], m: usize, right: &mut [f64], n: usize) -> bool {
        let mut turned = false;
        for i in 0..n {
            for j in i + 1..n {
                let (x, y) = two(left, m, i, j);
                let [p, q, off] = products(x, y);
                if off == 0.0 || off.is_nan() || off.abs() <= f64::EPSILON * (p * q).sqrt() {
                    continue;
                }
                let ((cos, sin), _) = rotation(p, q, off);
                turn(x, y, cos, sin);
                let (x, y) = two(right, n, i, j);
                turn(x, y, cos, sin);
                turned = true;
            }
        }
        turned
    }
}

/// Calls `sweep` until it has turned nothing. Returns whether that has come to pass.
fn settled(mut sweep: impl FnMut() -> bool) -> bool {
    (0..=SWEEPS).any(|_| !sweep())
}

/// The axes.
fn axes(rows: &mut [f64], n: usize) {
    rows.fill(0.0);
    rows.iter_mut().step_by(n + 1).for_each(|x| *x = 1.0);
}

/// Computes the eigenvalues of a symmetric matrix, both triangles of which are read and which is overwritten; row i of `rows`
/// becomes the vector of value i.
pub(super) fn eigh(a: &mut [f64], n: usize, w: &mut [f64], rows: &mut [f64]) -> Result<(), Unsettled> {
    axes(rows, n);
    let still = settled(|| sweep_of_symmetric(a, n, rows));
    if !still {
        let top = a.iter().fold(0.0f64, |m, x| m.max(x.abs()));
        let noise = f64::EPSILON * n as f64 * top;
        if (0..n * n).any(|i| i / n != i % n && a[i].abs() > noise) {
            return Err(Unsettled);
        }
    }
    w.iter_mut().zip(a.iter().step_by(n + 1)).for_each(|(w, &a)| *w = a);
    Ok(())
}

/// Computes the singular values of a matrix of `n` columns, which are the rows of `left`, `m` numbers each. These become the
/// left vectors, and those of `right` the right ones (Hestenes 1958).
pub(super) fn svd(left: &mut [f64], m: usize, s: &mut [f64], right: &mut [f64]) -> Result<(), Unsettled> {
    let n = s.len();
    axes(right, n);
    let still = settled(|| sweep_of_columns(left, m, right, n));
    let size = |left: &[f64], i: usize| products(&left[i * m..][..m], &left[i * m..][..m])[0].sqrt();
    (0..n).for_each(|i| s[i] = size(left, i));
    let top = s.iter().fold(0.0, |top: f64, s| top.max(*s));
    if !still {
        let noise = f64::EPSILON * m as f64;
        for (i, j) in (0..n).flat_map(|i| (i + 1..n).map(move |j| (i, j))) {
            let (x, y) = two(left, m, i, j);
            if products(x, y)[2].abs() > noise * top * s[i].max(s[j]) {
                return Err(Unsettled);
            }
        }
    }
    let noise = top * f64::EPSILON * 1e-3;
    let lost = |s: f64| s <= noise;
    for (row, s) in left.chunks_exact_mut(m).zip(&*s) {
        row.iter_mut().for_each(|x| *x = if lost(*s) { 0.0 } else { *x / s });
    }
    (0..n).filter(|&i| lost(s[i])).for_each(|i| complete(left, m, i));
    Ok(())
}

/// Sets row `i`, which is 0, to a unit vector at right angles to the others, some of which may be 0: of the axes, the one of
/// which most is left, projected twice.
fn complete(rows: &mut [f64], m: usize, i: usize) {
    let covered = |at: usize| rows.iter().skip(at).step_by(m).map(|x| x * x).sum::<f64>();
    let mut best = (0, f64::INFINITY);
    for at in 0..m {
        let covered = covered(at);
        best = if covered < best.1 { (at, covered) } else { best };
    }
    rows[i * m + best.0] = 1.0;
    for _ in 0..2 {
        for other in (0..rows.len() / m).filter(|&other| other != i) {
            let (low, high) = two(rows, m, i.min(other), i.max(other));
            let (row, other) = if i < other { (low, high) } else { (high, low) };
            let [_, _, along] = products(row, other);
            row.iter_mut().zip(other).for_each(|(x, y)| *x -= along * *y);
        }
    }
    let row = &mut rows[i * m..][..m];
    let size = products(row, row)[0].sqrt();
    row.iter_mut().for_each(|x| *x /= size);
}
