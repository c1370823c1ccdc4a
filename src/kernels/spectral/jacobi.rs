//! Eigenvalues of symmetric matrices and singular values, by Jacobi's rotations: slow for large matrices, but each value
//! is right to nearly the last digit, however small beside the largest.

use super::Unsettled;

/// More sweeps than any matrix has been seen to need.
const SWEEPS: usize = 60;

/// The tangent's rotation `(cos, sin)` that makes the off-diagonal element of `[[p, off], [off, q]]` zero (Golub and Van
/// Loan, algorithm 8.4.1).
fn rotation(p: f64, q: f64, off: f64) -> (f64, f64) {
    let tau = (q - p) / (2.0 * off);
    let root = (1.0 + tau * tau).sqrt();
    let t = if tau >= 0.0 { 1.0 / (tau + root) } else { 1.0 / (tau - root) };
    let c = 1.0 / (1.0 + t * t).sqrt();
    (c, t * c)
}

/// Turns columns `i` and `j` of a matrix of `n` columns.
fn turn_columns(a: &mut [f64], n: usize, i: usize, j: usize, (c, s): (f64, f64)) {
    for row in a.chunks_exact_mut(n) {
        let (x, y) = (row[i], row[j]);
        row[i] = c * x - s * y;
        row[j] = s * x + c * y;
    }
}

/// Exchanges columns so that `values` are in order, ascending or descending.
fn sort_columns(values: &mut [f64], matrices: &mut [&mut [f64]], descending: bool) {
    let n = values.len();
    for i in 0..n {
        let after = |a: f64, b: f64| if descending { a > b } else { a < b };
        let best = (i + 1..n).fold(i, |best, k| if after(values[k], values[best]) { k } else { best });
        values.swap(i, best);
        for row in matrices.iter_mut().flat_map(|m| m.chunks_exact_mut(n)) {
            row.swap(i, best);
        }
    }
}

/// Computes `A = V·diag(w)·Vᵀ` of a symmetric matrix, both triangles of which are read and which is
/// overwritten. Eigenvalues ascend; the largest component of each vector, a column of `v`, is positive.
pub(super) fn eigh(a: &mut [f64], n: usize, w: &mut [f64], v: &mut [f64]) -> Result<(), Unsettled> {
    v.fill(0.0);
    (0..n).for_each(|i| v[i * n + i] = 1.0);
    for sweep in 0.. {
        let mut turned = false;
        for i in 0..n {
            for j in i + 1..n {
                let (p, q, off) = (a[i * n + i], a[j * n + j], a[i * n + j]);
                if off == 0.0 || off.is_nan() || off.abs() <= f64::EPSILON * 0.5 * (p.abs() * q.abs()).sqrt()
                {
                    continue;
                }
                turned = true;
                let by = rotation(p, q, off);
                turn_columns(a, n, i, j, by);
                for k in 0..n {
                    let (x, y) = (a[i * n + k], a[j * n + k]);
                    a[i * n + k] = by.0 * x - by.1 * y;
                    a[j * n + k] = by.1 * x + by.0 * y;
                }
                (a[i * n + j], a[j * n + i]) = (0.0, 0.0);
                turn_columns(v, n, i, j, by);
            }
        }
        if !turned {
            break;
        }
        if sweep == SWEEPS {
            // Rounding may go on turning what is as near to 0 as it can be.
            let top = a.iter().fold(0.0f64, |m, x| m.max(x.abs()));
            let noise = f64::EPSILON * n as f64 * top;
            if (0..n * n).any(|i| i / n != i % n && a[i].abs() > noise) {
                return Err(Unsettled);
            }
            break;
        }
    }
    (0..n).for_each(|i| w[i] = a[i * n + i]);
    sort_columns(w, &mut [v], false);
    for j in 0..n {
        if largest(v, n, j) < 0.0 {
            v.iter_mut().skip(j).step_by(n).for_each(|x| *x = -*x);
        }
    }
    Ok(())
}

/// The component of a column with the largest absolute value; the first of equals.
fn largest(v: &[f64], n: usize, column: usize) -> f64 {
    v.iter().skip(column).step_by(n).fold(0.0, |m: f64, x| if x.abs() > m.abs() { *x } else { m })
}

fn product(a: &[f64], n: usize, i: usize, j: usize) -> f64 {
    a.chunks_exact(n).map(|row| row[i] * row[j]).sum()
}

/// Computes `A = U·diag(s)·Vᵀ` of `a`, `m` rows of `n` with `m >= n`, which becomes U; `v` is `n` by `n`. Singular values
/// descend; the largest component of each column of V is positive (Hestenes 1958).
pub(super) fn svd(a: &mut [f64], n: usize, s: &mut [f64], v: &mut [f64]) -> Result<(), Unsettled> {
    v.fill(0.0);
    (0..n).for_each(|i| v[i * n + i] = 1.0);
    for sweep in 0.. {
        let mut turned = false;
        for i in 0..n {
            for j in i + 1..n {
                let (p, q, off) = (product(a, n, i, i), product(a, n, j, j), product(a, n, i, j));
                if off == 0.0 || off.is_nan() || off.abs() <= f64::EPSILON * (p * q).sqrt() {
                    continue;
                }
                turned = true;
                let by = rotation(p, q, off);
                turn_columns(a, n, i, j, by);
                turn_columns(v, n, i, j, by);
            }
        }
        if !turned {
            break;
        }
        if sweep == SWEEPS {
            // Rounding may go on turning what is as near to a right angle as it can be, or next to nothing.
            let sizes = (0..n).map(|j| product(a, n, j, j).sqrt());
            let noise = f64::EPSILON * (a.len() / n) as f64;
            let top = sizes.fold(0.0, f64::max);
            for (i, j) in (0..n).flat_map(|i| (i + 1..n).map(move |j| (i, j))) {
                if product(a, n, i, j).abs()
                    > noise * top * product(a, n, i, i).max(product(a, n, j, j)).sqrt()
                {
                    return Err(Unsettled);
                }
            }
            break;
        }
    }
    (0..n).for_each(|j| s[j] = product(a, n, j, j).sqrt());
    sort_columns(s, &mut [a, v], true);
    let noise = s.first().copied().unwrap_or(0.0) * f64::EPSILON * 1e-3;
    for (j, s) in s.iter_mut().enumerate() {
        if *s > noise || s.is_nan() {
            a.iter_mut().skip(j).step_by(n).for_each(|x| *x /= *s);
        } else {
            complete(a, n, j);
        }
        if largest(v, n, j) < 0.0 {
            a.iter_mut().skip(j).step_by(n).for_each(|x| *x = -*x);
            v.iter_mut().skip(j).step_by(n).for_each(|x| *x = -*x);
        }
    }
    Ok(())
}

/// Sets column `j`, of no length, to a unit vector at right angles to those before it: of the axes, the one of which most
/// is left, projected twice.
fn complete(u: &mut [f64], n: usize, j: usize) {
    let m = u.len() / n;
    let covered = |u: &[f64], i: usize| u[i * n..i * n + j].iter().map(|x| x * x).sum::<f64>();
    let best = (0..m).fold(0, |best, i| if covered(u, i) < covered(u, best) { i } else { best });
    (0..m).for_each(|i| u[i * n + j] = if i == best { 1.0 } else { 0.0 });
    for _ in 0..2 {
        for k in 0..j {
            let along = product(u, n, k, j);
            (0..m).for_each(|i| u[i * n + j] -= along * u[i * n + k]);
        }
    }
    let size = product(u, n, j, j).sqrt();
    u.iter_mut().skip(j).step_by(n).for_each(|x| *x /= size);
}
