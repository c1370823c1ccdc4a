//! Matrix factorisations for systems of equations. Small matrices are factorised by plain loops (`plain`), large ones by
//! matrix products around small blocks (`triangle`, `reflect`): which way, and where blocks end, depends on the size alone.
//! Products have the order of sums of [`gemm`](super::gemm), and in the loops each product is rounded before it is added, so
//! results are the same for any number of threads and every instruction set with fused multiply-adds.

pub(crate) mod lines;
mod plain;
pub(crate) mod reflect;
pub(crate) mod triangle;

use crate::Float;
use crate::kernels::gemm::{Gemm, Mat};
use triangle::{Found, Kind};

/// A pivot that ends a factorisation: its number and its value.
pub type Pivot = (usize, f64);

/// The largest matrices that plain loops factorise.
const SMALL: usize = 32;
/// The same for Cholesky's factor.
const SMALL_CHOLESKY: usize = 40;
/// The same for Householder's reflections: by the product of both sizes.
const SMALL_QR: usize = 48 * 48;

/// Exchanges two rows.
fn swap_rows<T>(a: &mut [T], n: usize, i: usize, j: usize) {
    if i == j {
        return;
    }
    let (low, high) = a.split_at_mut(i.max(j) * n);
    low[i.min(j) * n..][..n].swap_with_slice(&mut high[..n]);
}

/// Returns how many numbers of room [`lu`], [`lu_solve`], [`triangular_solve`] and [`cholesky`] need, for matrices of `n`
/// rows and right sides of `m` columns.
pub fn room(n: usize, m: usize) -> usize {
    let leaf = triangle::room_of_leaf(n);
    if n <= SMALL { 0 } else { (n * n).max(n * m) + leaf }
}

/// Computes PA = LU with partial pivoting, in place: U in and above the diagonal, L (whose diagonal is 1) below it.
/// `order[k]` is the row that was moved to row k. Returns the sign of the permutation and the first pivot that is
/// zero or NaN. `room` is what [`room`] says.
pub fn lu<T: Float + Gemm>(a: &mut [T], n: usize, order: &mut [usize], room: &mut [T]) -> (T, Option<Pivot>) {
    if n <= SMALL {
        return plain::lu(a, n, order);
    }
    let mut found = Found { order, odd: false, bad: None };
    triangle::lu(a, n, (0, n), &mut found, room);
    (T::of(if found.odd { -1.0 } else { 1.0 }), found.bad)
}

/// Returns the determinant of a matrix, which it overwrites; `order` is room for `n` numbers, `room` what [`room`] says.
pub fn det<T: Float + Gemm>(a: &mut [T], n: usize, order: &mut [usize], room: &mut [T]) -> T {
    let (sign, _) = lu(a, n, order, room);
    (0..n).fold(sign, |d, k| d * a[k * n + k])
}

/// Returns the first pivot of what [`lu`] made of `a` that is nothing but rounding error: no larger than what the
/// last bit, `ulp`, of the largest number of its row of `a` and of its column would leave. Scaling rows or columns
/// changes nothing. `rows` is room for `n` numbers, `most` for twice as many.
pub fn lost_pivot<T: Float>(
    lu: &[T],
    a: &[T],
    n: usize,
    order: &[usize],
    rows: &mut [usize],
    most: &mut [T],
    ulp: f64,
) -> Option<Pivot> {
    rows.iter_mut().enumerate().for_each(|(i, row)| *row = i);
    order.iter().enumerate().for_each(|(k, &from)| rows.swap(k, from));
    let (of_row, of_column) = most[..2 * n].split_at_mut(n);
    of_column.fill(T::zero());
    of_row.iter_mut().zip(a.chunks_exact(n)).for_each(|(most, row)| *most = lines::raise(of_column, row));
    (0..n).map(|k| (k, lu[k * n + k].wide())).find(|(k, pivot)| {
        let (row, column) = (of_row[rows[*k]].wide(), of_column[*k].wide());
        pivot.abs() <= ulp * libm::sqrt(n as f64) * row.min(column)
    })
}

/// Replaces B (`n` rows of `m`) by X of AX = B, from what [`lu`] made of A. `room` is what [`room`] says.
pub fn lu_solve<T: Float + Gemm>(lu: &[T], n: usize, order: &[usize], b: &mut [T], m: usize, room: &mut [T]) {
    for (k, &from) in order.iter().enumerate() {
        if from != k {
            swap_rows(b, m, k, from);
        }
    }
    triangle_of(lu, n, Kind { lower: true, unit: true }, b, m, room);
    triangle_of(lu, n, Kind { lower: false, unit: false }, b, m, room);
}

/// Replaces B by X of AX = B, reading only the lower or the upper triangle of A, whose diagonal holds no zero. `room` is what
/// [`room`] says.
pub fn triangular_solve<T: Float + Gemm>(
    a: &[T],
    n: usize,
    lower: bool,
    b: &mut [T],
    m: usize,
    room: &mut [T],
) {
    triangle_of(a, n, Kind { lower, unit: false }, b, m, room);
}

fn triangle_of<T: Float + Gemm>(a: &[T], n: usize, kind: Kind, b: &mut [T], m: usize, room: &mut [T]) {
    if n <= SMALL {
        plain::triangular_solve(a, n, kind.lower, kind.unit, b, m);
    } else {
        triangle::solve(Mat::row_major(a, n, n), kind, b, (m, m), room);
    }
}

/// Replaces A by L of A = LLᵀ, reading only the lower triangle, with zeros above. Or returns the first pivot that
/// is not positive by more than the last bit, `ulp`, of what it is left over from. `room` is what [`room`] says.
pub fn cholesky<T: Float + Gemm>(a: &mut [T], n: usize, ulp: f64, room: &mut [T]) -> Option<Pivot> {
    triangle::lower_to_upper(a, n);
    let mut few = [T::zero(); SMALL_CHOLESKY];
    let (diagonal, room) = if n <= SMALL_CHOLESKY { (&mut few[..n], room) } else { room.split_at_mut(n) };
    diagonal.iter_mut().zip(a.iter().step_by(n + 1)).for_each(|(d, &x)| *d = x);
    let bad = if n <= SMALL_CHOLESKY {
        triangle::cholesky_by_rows(a, n, (0, n), (diagonal, ulp))
    } else {
        triangle::cholesky(a, n, (0, n), (diagonal, ulp), room)
    };
    if bad.is_none() {
        triangle::upper_to_lower(a, n);
    }
    bad
}

/// Returns how many numbers of room [`qr`] needs for `m` rows of `n`.
pub fn qr_room(m: usize, n: usize) -> usize {
    m * m.min(n) + m.min(n) + n + reflect::room(n)
}

/// Computes A = QR by Householder's reflections: `a` (`m` rows of `n`) is overwritten; `q` is `m` rows of `k`, `r`
/// is `k` rows of `n`, where `k` is the smaller of both. `room` is what [`qr_room`] says. Signs are LAPACK's.
pub fn qr<T: Float + Gemm>(a: &mut [T], m: usize, n: usize, q: &mut [T], r: &mut [T], room: &mut [T]) {
    let k = m.min(n);
    let (v, rest) = room.split_at_mut(m * k);
    let (tau, rest) = rest.split_at_mut(k);
    if m * n <= SMALL_QR {
        return plain::qr(a, m, n, q, r, [v, &mut rest[..n], tau]);
    }
    reflect::factorise(a, (m, n), v, tau, rest);
    for (i, (row, a)) in r.chunks_exact_mut(n).zip(a.chunks_exact(n)).enumerate() {
        row[..i].fill(T::zero());
        row[i..].copy_from_slice(&a[i..]);
    }
    reflect::product(v, tau, 0, q, (m, k), rest);
}

#[cfg(test)]
mod tests;
