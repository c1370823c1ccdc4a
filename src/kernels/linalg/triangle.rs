//! LU, Cholesky and triangular systems of large matrices, by halving: the first half of the columns is factorised, the
//! rest is brought up to date by a triangular solution and one product, then comes the rest. Nearly all work is in the
//! products, which are those of [`gemm`](super::super::gemm) and use its threads. What is left is done in the order of
//! the plain loops. Where columns are cut depends on the size alone.

use super::lines::{LEAF, divide, largest, solve_leaf, subtract};
use super::{Pivot, swap_rows};
use crate::Float;
use crate::kernels::gemm::{Epilogue, Gemm, Mat, MatMut, Store, gemm};

/// Returns where `n` columns are cut, a multiple of [`LEAF`].
fn half(n: usize) -> usize {
    (n / 2).next_multiple_of(LEAF)
}

/// Returns how many numbers of room the smallest blocks of a matrix of `n` rows need.
pub(super) fn room_of_leaf(n: usize) -> usize {
    n * LEAF
}

/// Copies numbers with the opposite sign, since products can only be added.
fn negate<T: Float>(to: &mut [T], from: &[T]) {
    to.iter_mut().zip(from).for_each(|(to, &x)| *to = -x);
}

/// Returns a part of a matrix.
fn part<T>(a: Mat<'_, T>, row: usize, col: usize, rows: usize, cols: usize) -> Mat<'_, T> {
    let offset = a.offset.wrapping_add_signed(row as isize * a.rs + col as isize * a.cs);
    Mat { offset, rows, cols, ..a }
}

/// The triangle of a square matrix that is read, and whether its diagonal is 1 and not read.
#[derive(Clone, Copy)]
pub(super) struct Kind {
    pub(super) lower: bool,
    pub(super) unit: bool,
}

/// Replaces B, rows of `m` numbers that lie `ld` apart, by X of AX = B. `room` is for half as many numbers as X has, and
/// `LEAF · m`.
pub(super) fn solve<T: Float + Gemm>(
    a: Mat<'_, T>,
    kind: Kind,
    b: &mut [T],
    (m, ld): (usize, usize),
    room: &mut [T],
) {
    let n = a.rows;
    if n == 0 || m == 0 {
        return;
    }
    if n <= LEAF {
        let mut leaf = [T::zero(); LEAF * LEAF];
        for i in 0..n {
            let (from, to) = if kind.lower { (0, i + 1) } else { (i, n) };
            (from..to).for_each(|j| leaf[i * LEAF + j] = a.at(i, j));
        }
        return solve_leaf(&leaf, n, kind.lower, kind.unit, b, m, ld);
    }
    let at = half(n);
    let (first, second) = (part(a, 0, 0, at, at), part(a, at, at, n - at, n - at));
    let (upper, lower) = b.split_at_mut(at * ld);
    // The rows that are known first are taken out of the others.
    let (known, others, between, count) = if kind.lower {
        solve(first, kind, upper, (m, ld), room);
        (upper, lower, part(a, at, 0, n - at, at), at)
    } else {
        solve(second, kind, lower, (m, ld), room);
        (lower, upper, part(a, 0, at, at, n - at), n - at)
    };
    let x = &mut room[..count * m];
    x.chunks_exact_mut(m).zip(known.chunks(ld)).for_each(|(x, row)| negate(x, row));
    let c = MatMut { rows: n - count, cols: m, ld, data: &mut *others };
    gemm(between, Mat::row_major(x, count, m), c, Store::Add, Epilogue::NONE);
    solve(if kind.lower { second } else { first }, kind, others, (m, ld), room);
}

/// What LU has found so far.
pub(super) struct Found<'a> {
    pub(super) order: &'a mut [usize],
    /// Whether an odd number of rows has been exchanged.
    pub(super) odd: bool,
    pub(super) bad: Option<Pivot>,
}

/// Factorises the columns from `first` on, `count` of them, from row `first` on, of `a`, which has `n` columns; all
/// columns before have been. `room` is for `(n - first) · count` numbers, and `n · LEAF` at least.
pub(super) fn lu<T: Float + Gemm>(
    a: &mut [T],
    n: usize,
    (first, count): (usize, usize),
    found: &mut Found<'_>,
    room: &mut [T],
) {
    if count <= LEAF {
        return lu_leaf(a, n, (first, count), found, room);
    }
    let (at, rows) = (half(count), n - first);
    lu(a, n, (first, at), found, room);
    // L is copied out of the rows that are changed, with the opposite sign below the triangle.
    let (triangle, rest) = room.split_at_mut(at * at);
    let (below, rest) = rest.split_at_mut((rows - at) * at);
    let row = |i: usize| (first + i) * n + first;
    triangle.chunks_exact_mut(at).enumerate().for_each(|(i, to)| to.copy_from_slice(&a[row(i)..][..at]));
    below.chunks_exact_mut(at).enumerate().for_each(|(i, to)| negate(to, &a[row(at + i)..][..at]));
    let cols = count - at;
    let (upper, lower) = a.split_at_mut((first + at) * n);
    let upper = &mut upper[row(0) + at..];
    let kind = Kind { lower: true, unit: true };
    solve(Mat::row_major(triangle, at, at), kind, upper, (cols, n), rest);
    if rows > at {
        let known = Mat { data: &*upper, offset: 0, rows: at, cols, rs: n as isize, cs: 1 };
        let c = MatMut { data: &mut lower[first + at..], rows: rows - at, cols, ld: n };
        gemm(Mat::row_major(below, rows - at, at), known, c, Store::Add, Epilogue::NONE);
    }
    lu(a, n, (first + at, cols), found, room);
}

/// [`lu`] of a few columns, copied so that each is contiguous.
fn lu_leaf<T: Float>(
    a: &mut [T],
    n: usize,
    (first, count): (usize, usize),
    found: &mut Found<'_>,
    room: &mut [T],
) {
    let rows = n - first;
    let columns = &mut room[..count * rows];
    for (i, row) in a[first * n..].chunks_exact(n).enumerate() {
        for (j, &x) in row[first..first + count].iter().enumerate() {
            columns[j * rows + i] = x;
        }
    }
    for k in 0..count {
        let best = k + largest(&columns[k * rows + k..(k + 1) * rows]);
        found.order[first + k] = first + best;
        if best != k {
            columns.chunks_exact_mut(rows).for_each(|column| column.swap(k, best));
            swap_rows(a, n, first + k, first + best);
            found.odd = !found.odd;
        }
        let pivot = columns[k * rows + k];
        if pivot.is_nan() || pivot == T::zero() {
            found.bad = found.bad.or(Some((first + k, pivot.wide())));
            if pivot == T::zero() {
                continue;
            }
        }
        let (known, others) = columns.split_at_mut((k + 1) * rows);
        let factors = &mut known[k * rows + k + 1..];
        divide(factors, pivot);
        for column in others.chunks_exact_mut(rows) {
            let (top, below) = column[k..].split_at_mut(1);
            subtract(below, top[0], factors);
        }
    }
    for (i, row) in a[first * n..].chunks_exact_mut(n).enumerate() {
        for (j, x) in row[first..first + count].iter_mut().enumerate() {
            *x = columns[j * rows + i];
        }
    }
}

/// Replaces the upper triangle of A, from row and column `first` on, `count` of them, by U of A = UᵀU. `diagonal` holds
/// A's. `room` is for `count² / 2 + LEAF · count` numbers.
pub(super) fn cholesky<T: Float + Gemm>(
    a: &mut [T],
    n: usize,
    (first, count): (usize, usize),
    (diagonal, ulp): (&[T], f64),
    room: &mut [T],
) -> Option<Pivot> {
    if count <= LEAF {
        return cholesky_by_rows(a, n, (first, count), (diagonal, ulp));
    }
    let at = half(count);
    if let Some(bad) = cholesky(a, n, (first, at), (diagonal, ulp), room) {
        return Some(bad);
    }
    let cols = count - at;
    let (upper, lower) = a.split_at_mut((first + at) * n);
    {
        let (triangle, rest) = room.split_at_mut(at * at);
        for (i, to) in triangle.chunks_exact_mut(at).enumerate() {
            to.copy_from_slice(&upper[(first + i) * n + first..][..at]);
        }
        let kind = Kind { lower: true, unit: false };
        let b = &mut upper[first * n + first + at..];
        solve(Mat::row_major(triangle, at, at).t(), kind, b, (cols, n), rest);
    }
    let known = &upper[first * n + first + at..];
    let left = &mut room[..at * cols];
    left.chunks_exact_mut(cols).zip(known.chunks(n)).for_each(|(to, row)| negate(to, row));
    let known = Mat { data: known, offset: 0, rows: at, cols, rs: n as isize, cs: 1 };
    add_upper(Mat::row_major(left, at, cols).t(), known, &mut lower[first + at..], n);
    cholesky(a, n, (first + at, cols), (diagonal, ulp), room)
}

/// The largest square of which the lower triangle is computed for nothing.
const SQUARE: usize = 96;

/// Adds the upper triangle of A · B to that of C. What is below is lost.
fn add_upper<T: Float + Gemm>(a: Mat<'_, T>, b: Mat<'_, T>, c: &mut [T], ld: usize) {
    let (n, k) = (a.rows, a.cols);
    let at = if n <= SQUARE { n } else { half(n) };
    let c_upper = MatMut { data: &mut *c, rows: at, cols: n, ld };
    if at == n {
        return gemm(a, b, c_upper, Store::Add, Epilogue::NONE);
    }
    add_upper(part(a, 0, 0, at, k), part(b, 0, 0, k, at), c, ld);
    let right = MatMut { data: &mut c[at..], rows: at, cols: n - at, ld };
    gemm(part(a, 0, 0, at, k), part(b, 0, at, k, n - at), right, Store::Add, Epilogue::NONE);
    add_upper(part(a, at, 0, n - at, k), part(b, 0, at, k, n - at), &mut c[at * ld + at..], ld);
}

/// [`cholesky`] row by row. The products that a number loses come in the order of plain loops over rows and columns, but numbers that
/// lie side by side lose them together.
pub(super) fn cholesky_by_rows<T: Float>(
    a: &mut [T],
    n: usize,
    (first, count): (usize, usize),
    (diagonal, ulp): (&[T], f64),
) -> Option<Pivot> {
    for i in first..first + count {
        let (above, row) = a.split_at_mut(i * n);
        let row = &mut row[i..first + count];
        for above in above.chunks_exact(n).skip(first) {
            let factor = above[i];
            row.iter_mut().zip(&above[i..]).for_each(|(x, &y)| *x -= factor * y);
        }
        let pivot = row[0];
        let noise = if i == 0 { 0.0 } else { ulp * diagonal[i].wide().abs() };
        if pivot.is_nan() || pivot.wide() <= noise {
            return Some((i, pivot.wide()));
        }
        row[0] = pivot.sqrt();
        let root = row[0];
        row[1..].iter_mut().for_each(|x| *x /= root);
    }
    None
}

/// Rows and columns that are transposed together: both sides stay in the cache.
const TILE: usize = 16;

/// Calls `f` with the positions of each number below the diagonal and of its mirror image above, tile by tile.
fn mirrored(n: usize, mut f: impl FnMut(usize, usize)) {
    for i in (0..n).step_by(TILE) {
        for j in (0..=i).step_by(TILE) {
            for row in i..n.min(i + TILE) {
                for col in j..row.min(j + TILE) {
                    f(row * n + col, col * n + row);
                }
            }
        }
    }
}

/// Copies the lower triangle of a square matrix onto the upper.
pub(crate) fn lower_to_upper<T: Copy>(a: &mut [T], n: usize) {
    mirrored(n, |low, high| a[high] = a[low]);
}

/// Moves the upper triangle of a square matrix to the lower, and leaves zeros.
pub(super) fn upper_to_lower<T: Float>(a: &mut [T], n: usize) {
    mirrored(n, |low, high| {
        a[low] = a[high];
        a[high] = T::zero();
    });
}
