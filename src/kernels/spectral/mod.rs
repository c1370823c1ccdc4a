//! Eigenvalues of symmetric matrices and singular values, in float64. Small matrices are turned by Jacobi's rotations
//! (`jacobi`). Large ones are reduced to three or two diagonals by Householder's reflections (`deferred`), whose eigenvalues
//! or singular values are found by divide and conquer (`divide`, `secular`), and those of small parts by implicit QR steps
//! (`tridiagonal`, `bidiagonal`) while the vectors are turned along (`turns`). The reflections are then applied to the vectors.
//! Where matrices are cut depends on the size alone, and sums have an order that depends on the size alone.

mod bidiagonal;
mod deferred;
mod divide;
mod jacobi;
mod secular;
mod tridiagonal;
mod turns;

use super::gemm::{Epilogue, Mat, MatMut, Store, gemm};
use super::linalg::{self, lines, reflect, triangle::lower_to_upper};
use super::par;
use deferred::Sides;
use divide::{NUMBERS, PLACES, Room, Rows};
use std::cmp::Ordering;

/// More steps were made than any matrix has been seen to need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsettled;

/// The largest symmetric matrices that Jacobi's rotations diagonalise. Microseconds beside those of the other way, on one
/// core with AVX-512: 8 rows 5 and 7, 10 rows 10 and 10, 12 rows 13 and 13, 14 rows 20 and 17, 16 rows 32 and 21.
const SMALL: usize = 12;
/// The same for columns of matrices whose singular values are wanted: 8 columns 7 and 11, 12 columns 18 and 21, 14 columns 29
/// and 29, 16 columns 43 and 37. Up to there small values keep their digits.
const SMALL_SVD: usize = 16;

/// The smallest singular value beside the largest, 2^-40, below which two diagonals are left to QR steps. Divide and conquer
/// finds values to some 2^-50 of the largest.
const STEEP: f64 = f64::from_bits((1023 - 40) << 52);

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
    if n <= SMALL { 2 * n + n * n } else { room_of_large_eigh(n) }
}

fn room_of_large_eigh(n: usize) -> usize {
    let back = reflect::room_for_rows(n, n);
    2 * n + 2 * n * n + deferred::room(n, n).max(NUMBERS * n).max(back)
}

/// Returns how many positions of room [`eigh`] and [`svd`] need for `n` values.
pub fn places(n: usize) -> usize {
    PLACES * n
}

/// Computes `A = V·diag(w)·Vᵀ` of a symmetric matrix, of which only the lower triangle is read and which is
/// overwritten. Eigenvalues ascend; the largest component of each vector, a column of `v`, is positive. If a number is not
/// finite, all results are NaN. `room` is what [`eigh_room`] says, `order` what [`places`] says.
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
    eigh_of_scaled(a, n, w, v, order, room, n <= SMALL)?;
    w.iter_mut().for_each(|w| *w *= scale);
    Ok(())
}

fn eigh_of_scaled(
    a: &mut [f64],
    n: usize,
    w: &mut [f64],
    v: &mut [f64],
    order: &mut [usize],
    room: &mut [f64],
    small: bool,
) -> Result<(), Unsettled> {
    let (numbers, room) = room.split_at_mut(n);
    let (turned, room) = room.split_at_mut(n);
    let (rows, room) = room.split_at_mut(n * n);
    if small {
        jacobi::eigh(a, n, w, rows)?;
    } else {
        eigh_of_large(a, n, w, (rows, v), (numbers, turned), order, room)?;
    }
    let order = &mut order[..n];
    sort(w, order, numbers, |x, y| x.total_cmp(y));
    signs(rows, n, turned);
    store((rows, n), order, turned, v);
    Ok(())
}

/// Makes row i of `rows` the vector of eigenvalue i, in any order; `v` is room for as many numbers.
fn eigh_of_large(
    a: &mut [f64],
    n: usize,
    w: &mut [f64],
    (rows, v): (&mut [f64], &mut [f64]),
    (e, tau): (&mut [f64], &mut [f64]),
    order: &mut [usize],
    room: &mut [f64],
) -> Result<(), Unsettled> {
    let (reflections, room) = room.split_at_mut(n * n);
    deferred::to_three_diagonals(a, n, (w, e), (reflections, tau), room);
    rows.fill(0.0);
    let all = Rows { data: rows, ld: n, at: 0 };
    divide::eigenvalues(
        w,
        &mut e[..n - 1],
        all,
        Room { vectors: v, coordinates: a, numbers: room, places: order },
    )?;
    reflect::apply_to_rows(reflections, &tau[..n - 1], 1, rows, n, room);
    Ok(())
}

/// Puts values in order; `order` becomes the places where they were. `room` is for as many numbers.
fn sort(values: &mut [f64], order: &mut [usize], room: &mut [f64], by: impl Fn(&f64, &f64) -> Ordering) {
    let (order, room) = (&mut order[..values.len()], &mut room[..values.len()]);
    order.iter_mut().enumerate().for_each(|(i, at)| *at = i);
    order.sort_unstable_by(|&i, &j| by(&values[i], &values[j]).then(i.cmp(&j)));
    room.iter_mut().zip(&*order).for_each(|(to, &i)| *to = values[i]);
    values.copy_from_slice(room);
}

/// Sets `signs` to -1 where the component of a row with the largest absolute value, the first of equals, is negative, else 1.
fn signs(rows: &[f64], n: usize, signs: &mut [f64]) {
    for (row, sign) in rows.chunks_exact(n).zip(signs) {
        *sign = if row[lines::largest(row)] < 0.0 { -1.0 } else { 1.0 };
    }
}

/// Rows that become columns together.
const TILE: usize = 32;

/// Makes column j of `to` the row `order[j]`, `len` numbers, times its sign.
fn store((rows, len): (&[f64], usize), order: &[usize], signs: &[f64], to: &mut [f64]) {
    let n = order.len();
    par::chunks(to, TILE * n, par::GRAIN, &|first, to| {
        for (tile, to) in to.chunks_mut(TILE * n).enumerate() {
            let (top, count) = ((first + tile) * TILE, to.len() / n);
            for (j, &row) in order.iter().enumerate() {
                let from = &rows[row * len + top..][..count];
                to[j..].iter_mut().step_by(n).zip(from).for_each(|(to, x)| *to = signs[row] * x);
            }
        }
    });
}

/// Returns how many numbers of room [`svd`] needs.
pub fn svd_room(m: usize, n: usize) -> usize {
    if n <= SMALL_SVD {
        return 3 * n + m * n + n * n;
    }
    if tall(m, n) {
        return m * n + n * n + linalg::qr_room(m, n).max(room_of_large_svd(n, n));
    }
    room_of_large_svd(m, n)
}

fn room_of_large_svd(m: usize, n: usize) -> usize {
    let back = reflect::room_for_rows(n, n);
    let leaf = divide::leaf_room(n, n);
    3 * n + 2 * (m * n + n * n) + deferred::room(m, n).max(NUMBERS * n).max(back).max(leaf)
}

/// Whether a matrix has so many rows that it is made square by a QR factorisation first.
fn tall(m: usize, n: usize) -> bool {
    m >= 2 * n
}

/// Computes `A = U·diag(s)·Vᵀ` of `a`, `m` rows of `n` with `m >= n`, which becomes U; `v` is `n` by `n`. Singular values
/// descend; the largest component of each column of V is positive. If a number is not finite, all results are NaN. `room` is
/// what [`svd_room`] says, `order` what [`places`] says.
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
    if n > SMALL_SVD && tall(m, n) {
        let (q, room) = room.split_at_mut(m * n);
        let (r, room) = room.split_at_mut(n * n);
        linalg::qr(a, m, n, q, r, room);
        svd_of_scaled(r, (n, n), s, v, order, room, false)?;
        let (q, r) = (Mat::row_major(q, m, n), Mat::row_major(r, n, n));
        gemm(q, r, MatMut::row_major(a, m, n), Store::Write, Epilogue::NONE);
    } else {
        svd_of_scaled(a, (m, n), s, v, order, room, n <= SMALL_SVD)?;
    }
    s.iter_mut().for_each(|s| *s *= scale);
    Ok(())
}

fn svd_of_scaled(
    a: &mut [f64],
    (m, n): (usize, usize),
    s: &mut [f64],
    v: &mut [f64],
    order: &mut [usize],
    room: &mut [f64],
    small: bool,
) -> Result<(), Unsettled> {
    let (numbers, room) = room.split_at_mut(3 * n);
    let (left, room) = room.split_at_mut(m * n);
    let (right, room) = room.split_at_mut(n * n);
    if small {
        a.chunks_exact(n).enumerate().for_each(|(i, row)| {
            left[i..].iter_mut().step_by(m).zip(row).for_each(|(to, &x)| *to = x);
        });
        jacobi::svd(left, m, s, right)?;
    } else {
        svd_of_large(a, (m, n), s, (left, right, v), (numbers, order), room)?;
    }
    let (numbers, turned) = numbers.split_at_mut(n);
    let order = &mut order[..n];
    sort(s, order, numbers, |x, y| y.total_cmp(x));
    signs(right, n, turned);
    store((right, n), order, turned, v);
    store((left, m), order, turned, a);
    Ok(())
}

/// Makes row i of `left` and of `right` the vectors of singular value i, in any order; `v` is room for `n²` numbers.
fn svd_of_large(
    a: &mut [f64],
    (m, n): (usize, usize),
    s: &mut [f64],
    (left_rows, right_rows, v): (&mut [f64], &mut [f64], &mut [f64]),
    (numbers, order): (&mut [f64], &mut [usize]),
    room: &mut [f64],
) -> Result<(), Unsettled> {
    let (e, taus) = numbers.split_at_mut(n);
    let (left_tau, right_tau) = taus.split_at_mut(n);
    let (left, room) = room.split_at_mut(m * n);
    let (right, room) = room.split_at_mut(n * n);
    let mut sides = Sides { of_columns: (left, left_tau), of_rows: (right, right_tau) };
    deferred::to_two_diagonals(a, (m, n), (s, e), &mut sides, room);
    let right_tau = &mut right_tau[..n - 1];
    left_rows.fill(0.0);
    right_rows.fill(0.0);
    let mut u = Rows { data: left_rows, ld: m, at: 0 };
    let mut vt = Rows { data: right_rows, ld: n, at: 0 };
    // Steps alone keep the digits of small values: of what has two diagonals already, and where these are smaller than
    // halves are put together to.
    let e = &mut e[..n - 1];
    let largest = s.iter().chain(&*e).fold(0.0f64, |most, x| most.max(x.abs()));
    let steep = bidiagonal::smallest(s, e) < STEEP * largest;
    if steep || left_tau.iter().chain(&*right_tau).all(|tau| *tau == 0.0) {
        divide::leaf(s, e, &mut u, &mut vt, room)?;
    } else {
        let room = Room { vectors: v, coordinates: a, numbers: room, places: order };
        divide::singular_values(s, e, u, vt, room)?;
    }
    reflect::apply_to_rows(left, left_tau, 0, left_rows, m, room);
    reflect::apply_to_rows(right, right_tau, 1, right_rows, n, room);
    Ok(())
}

#[cfg(test)]
mod tests;
