//! Eigenvalues of symmetric matrices and singular values, in float64. Small matrices are turned by Jacobi's rotations
//! (`jacobi`). Large ones are reduced to three or two diagonals by Householder's reflections (`deferred`), whose eigenvalues
//! or singular values are found by implicit QR steps (`tridiagonal`, `bidiagonal`) while the vectors are turned along
//! (`turns`). Which way depends on the size alone, and sums have an order that depends on the size alone.

mod bidiagonal;
mod deferred;
mod jacobi;
mod tridiagonal;
mod turns;

use super::gemm::{Epilogue, Mat, MatMut, Store, gemm};
use super::linalg::{self, reflect, triangle::lower_to_upper};
use deferred::Sides;
use turns::Turns;

/// More steps were made than any matrix has been seen to need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsettled;

/// The largest symmetric matrices that Jacobi's rotations diagonalise.
const SMALL: usize = 16;
/// The same for columns of matrices whose singular values are wanted.
const SMALL_SVD: usize = 16;

/// Divides by a power of two, so that squares neither overflow nor vanish, and returns it; `None` if a number is not
/// finite.
fn scaled(a: &mut [f64]) -> Option<f64> {
    let mut top = 0.0f64;
    for x in a.iter() {
        if !x.is_finite() {
            return None;
        }
        top = top.max(x.abs());
    }
    if top == 0.0 {
        return Some(1.0);
    }
    let scale = libm::exp2(libm::log2(top).floor());
    a.iter_mut().for_each(|x| *x /= scale);
    Some(scale)
}

/// Returns how many numbers of room [`eigh`] needs.
pub fn eigh_room(n: usize) -> usize {
    if n <= SMALL {
        return 0;
    }
    let (blocks, waiting) = turns::room(n, n);
    2 * n + waiting + blocks.max(n * n + deferred::room(n, n).max(reflect::room(n)))
}

/// Computes `A = V·diag(w)·Vᵀ` of a symmetric matrix, of which only the lower triangle is read and which is
/// overwritten. Eigenvalues ascend; the largest component of each vector, a column of `v`, is positive. If a number is not
/// finite, all results are NaN. `room` is what [`eigh_room`] says, `order` room for `n` numbers.
///
/// # Errors
/// [`Unsettled`].
pub fn eigh(
    a: &mut [f64],
    n: usize,
    w: &mut [f64],
    v: &mut [f64],
    order: &mut [usize],
    room: &mut [f64],
) -> Result<(), Unsettled> {
    lower_to_upper(a, n);
    let Some(scale) = scaled(a) else {
        w.fill(f64::NAN);
        v.fill(f64::NAN);
        return Ok(());
    };
    if n <= SMALL {
        jacobi::eigh(a, n, w, v)?;
    } else {
        eigh_of_large(a, n, w, v, order, room)?;
    }
    w.iter_mut().for_each(|w| *w *= scale);
    Ok(())
}

fn eigh_of_large(
    a: &mut [f64],
    n: usize,
    w: &mut [f64],
    v: &mut [f64],
    order: &mut [usize],
    room: &mut [f64],
) -> Result<(), Unsettled> {
    let ((blocks, waiting), room) = (turns::room(n, n), room);
    let (e, room) = room.split_at_mut(n);
    let (tau, room) = room.split_at_mut(n);
    let (waiting, room) = room.split_at_mut(waiting);
    {
        let (reflections, room) = room.split_at_mut(n * n);
        deferred::to_three_diagonals(a, n, (w, e), (reflections, tau), room);
        reflect::product(reflections, &tau[..n - 1], 1, v, (n, n), room);
    }
    let mut vectors = Turns::new(v, n, &mut room[..blocks], waiting);
    tridiagonal::diagonalise(w, e, &mut vectors)?;
    order.iter_mut().enumerate().for_each(|(i, at)| *at = i);
    order.sort_unstable_by(|&i, &j| w[i].total_cmp(&w[j]).then(i.cmp(&j)));
    e.iter_mut().zip(&*order).for_each(|(to, &i)| *to = w[i]);
    w.copy_from_slice(e);
    vectors.store(order, v);
    make_positive(v, n, tau, &mut []);
    Ok(())
}

/// Turns each column of `v` around whose component of the largest absolute value, the first of equals, is negative, and the
/// same column of `other`. `most` is room for `n` numbers.
fn make_positive(v: &mut [f64], n: usize, most: &mut [f64], other: &mut [f64]) {
    most.fill(0.0);
    for row in v.chunks_exact(n) {
        most.iter_mut().zip(row).for_each(|(most, &x)| *most = if x.abs() > most.abs() { x } else { *most });
    }
    for row in v.chunks_exact_mut(n).chain(other.chunks_exact_mut(n)) {
        row.iter_mut().zip(&*most).for_each(|(x, &most)| *x = if most < 0.0 { -*x } else { *x });
    }
}

/// Returns how many numbers of room [`svd`] needs.
pub fn svd_room(m: usize, n: usize) -> usize {
    if n <= SMALL_SVD {
        return 0;
    }
    if tall(m, n) {
        return m * n + n * n + linalg::qr_room(m, n).max(svd_room(n, n));
    }
    let ((u, waiting), (v, _)) = (turns::room(n, m), turns::room(n, n));
    let reflections = m * n + n * n + deferred::room(m, n).max(reflect::room(n));
    3 * n + 2 * waiting + reflections.max(u + v)
}

/// Whether a matrix has so many rows that it is made square by a QR factorisation first.
fn tall(m: usize, n: usize) -> bool {
    m >= 2 * n
}

/// Computes `A = U·diag(s)·Vᵀ` of `a`, `m` rows of `n` with `m >= n`, which becomes U; `v` is `n` by `n`. Singular values
/// descend; the largest component of each column of V is positive. If a number is not finite, all results are NaN. `room` is
/// what [`svd_room`] says, `order` room for `n` numbers.
///
/// # Errors
/// [`Unsettled`].
pub fn svd(
    a: &mut [f64],
    n: usize,
    s: &mut [f64],
    v: &mut [f64],
    order: &mut [usize],
    room: &mut [f64],
) -> Result<(), Unsettled> {
    let Some(scale) = scaled(a) else {
        a.fill(f64::NAN);
        s.fill(f64::NAN);
        v.fill(f64::NAN);
        return Ok(());
    };
    let m = a.len() / n.max(1);
    if n <= SMALL_SVD {
        jacobi::svd(a, n, s, v)?;
    } else if tall(m, n) {
        let (q, room) = room.split_at_mut(m * n);
        let (r, room) = room.split_at_mut(n * n);
        linalg::qr(a, m, n, q, r, room);
        svd_of_large(r, (n, n), s, v, order, room)?;
        let (q, r) = (Mat::row_major(q, m, n), Mat::row_major(r, n, n));
        gemm(q, r, MatMut::row_major(a, m, n), Store::Write, Epilogue::NONE);
    } else {
        svd_of_large(a, (m, n), s, v, order, room)?;
    }
    s.iter_mut().for_each(|s| *s *= scale);
    Ok(())
}

fn svd_of_large(
    a: &mut [f64],
    (m, n): (usize, usize),
    s: &mut [f64],
    v: &mut [f64],
    order: &mut [usize],
    room: &mut [f64],
) -> Result<(), Unsettled> {
    let ((of_u, waiting), (of_v, _)) = (turns::room(n, m), turns::room(n, n));
    let (e, room) = room.split_at_mut(n);
    let (left_tau, room) = room.split_at_mut(n);
    let (right_tau, room) = room.split_at_mut(n);
    let (left_waiting, room) = room.split_at_mut(waiting);
    let (right_waiting, room) = room.split_at_mut(waiting);
    {
        let (left, room) = room.split_at_mut(m * n);
        let (right, room) = room.split_at_mut(n * n);
        let mut sides = Sides { of_columns: (left, left_tau), of_rows: (right, right_tau) };
        deferred::to_two_diagonals(a, (m, n), (s, e), &mut sides, room);
        reflect::product(left, left_tau, 0, a, (m, n), room);
        reflect::product(right, &right_tau[..n - 1], 1, v, (n, n), room);
    }
    let (left, room) = room.split_at_mut(of_u);
    let mut left = Turns::new(a, n, left, left_waiting);
    let mut right = Turns::new(v, n, &mut room[..of_v], right_waiting);
    bidiagonal::diagonalise(s, e, &mut left, &mut right)?;
    order.iter_mut().enumerate().for_each(|(i, at)| *at = i);
    order.sort_unstable_by(|&i, &j| s[j].abs().total_cmp(&s[i].abs()).then(i.cmp(&j)));
    e.iter_mut().zip(&*order).for_each(|(to, &i)| *to = s[i]);
    left.store(order, a);
    right.store(order, v);
    // Values are not negative: the columns of U are turned around.
    for row in a.chunks_exact_mut(n) {
        row.iter_mut().zip(&*e).for_each(|(x, &s)| *x = if s < 0.0 { -*x } else { *x });
    }
    s.iter_mut().zip(&*e).for_each(|(to, &s)| *to = s.abs());
    make_positive(v, n, left_tau, a);
    Ok(())
}

#[cfg(test)]
mod tests;
