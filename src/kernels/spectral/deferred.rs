//! Reductions of matrices to three and two diagonals by Householder's reflections. Each needs the product of the matrix
//! with a vector before the next can be found. The changes to the matrix wait, as rows whose products are to be added, until
//! there are enough of them for one matrix product (Dongarra, Hammarling and Sorensen 1989).

use crate::kernels::gemm::{Epilogue, Mat, MatMut, Store, gemm};
use crate::kernels::linalg::lines::{dot, subtract};
use crate::kernels::linalg::reflect::reflection;
use crate::kernels::par;
use crate::kernels::simd::stamped;

/// Reflections between which threads stay awake: each divides its work several times.
const AWAKE: usize = 32;

/// Pairs of rows that wait. With 64, the reductions of 256 to 1000 rows take 1.04 to 1.12 times as long.
const MOST: usize = 32;

/// A matrix of `m` rows of `n` that stands for `a` plus the products of each row of `left`, as a column, with that of
/// `right`.
struct Deferred<'a> {
    a: &'a mut [f64],
    m: usize,
    n: usize,
    left: &'a mut [f64],
    right: &'a mut [f64],
    count: usize,
}

/// Returns how many numbers of room the reductions need.
pub(super) fn room(m: usize, n: usize) -> usize {
    (MOST + 1) * (m + n) + MOST + PARTS * n
}

/// Adds the product of a matrix and a column to `out`, or stores it there.
fn times(a: Mat<'_, f64>, x: &[f64], out: &mut [f64], store: Store) {
    let (rows, cols) = (a.rows, a.cols);
    let c = MatMut { data: out, rows, cols: 1, ld: 1 };
    gemm(a, Mat { data: x, offset: 0, rows: cols, cols: 1, rs: 1, cs: 1 }, c, store, Epilogue::NONE);
}

/// Adds the product of a row and a matrix to `out`, or stores it there.
fn row_times(x: Mat<'_, f64>, a: Mat<'_, f64>, out: &mut [f64], store: Store) {
    let c = MatMut { data: out, rows: 1, cols: a.cols, ld: a.cols.max(1) };
    gemm(x, a, c, store, Epilogue::NONE);
}

impl<'a> Deferred<'a> {
    /// Also returns room for a row, for a column and for a number of each row that waits.
    fn new(
        a: &'a mut [f64],
        m: usize,
        n: usize,
        room: &'a mut [f64],
    ) -> (Self, &'a mut [f64], &'a mut [f64], &'a mut [f64]) {
        let (left, room) = room.split_at_mut(MOST * m);
        let (right, room) = room.split_at_mut(MOST * n);
        let (row, room) = room.split_at_mut(n);
        let (column, room) = room.split_at_mut(m);
        (Deferred { a, m, n, left, right, count: 0 }, row, column, &mut room[..MOST])
    }

    /// The matrix as it was when nothing waited, from row `i` and column `j` on.
    fn old(&self, i: usize, j: usize) -> Mat<'_, f64> {
        let (rows, cols) = (self.m - i, self.n - j);
        Mat { data: self.a, offset: i * self.n + j, rows, cols, rs: self.n as isize, cs: 1 }
    }

    /// The left rows that wait, from number `i` on.
    fn left(&self, i: usize) -> Mat<'_, f64> {
        Mat { data: self.left, offset: i, rows: self.count, cols: self.m - i, rs: self.m as isize, cs: 1 }
    }

    /// The right rows that wait, from number `j` on.
    fn right(&self, j: usize) -> Mat<'_, f64> {
        Mat { data: self.right, offset: j, rows: self.count, cols: self.n - j, rs: self.n as isize, cs: 1 }
    }

    /// Copies row `i`, from column `j` on.
    fn row(&self, i: usize, j: usize, out: &mut [f64]) {
        out.copy_from_slice(&self.a[i * self.n + j..(i + 1) * self.n]);
        if self.count > 0 {
            row_times(Mat { cols: 1, ..self.left(i) }.t(), self.right(j), out, Store::Add);
        }
    }

    /// Copies column `j`, from row `i` on.
    fn column(&self, i: usize, j: usize, out: &mut [f64]) {
        out.iter_mut().zip(self.a[i * self.n + j..].iter().step_by(self.n)).for_each(|(to, &x)| *to = x);
        if self.count > 0 {
            row_times(Mat { cols: 1, ..self.right(j) }.t(), self.left(i), out, Store::Add);
        }
    }

    /// Computes `v` times the matrix, from row `i` and column `j` on.
    fn row_product(&self, i: usize, j: usize, v: &[f64], out: &mut [f64], along: &mut [f64]) {
        row_times(Mat::row_major(v, 1, v.len()), self.old(i, j), out, Store::Write);
        self.add_waiting(i, j, v, out, along);
    }

    /// Adds `v` times what waits.
    fn add_waiting(&self, i: usize, j: usize, v: &[f64], out: &mut [f64], along: &mut [f64]) {
        if self.count > 0 {
            let along = &mut along[..self.count];
            times(self.left(i), v, along, Store::Write);
            row_times(Mat::row_major(along, 1, self.count), self.right(j), out, Store::Add);
        }
    }

    /// Computes the matrix, from row `i` and column `j` on, times `u`.
    fn column_product(&self, i: usize, j: usize, u: &[f64], out: &mut [f64], along: &mut [f64]) {
        times(self.old(i, j), u, out, Store::Write);
        if self.count > 0 {
            let along = &mut along[..self.count];
            times(self.right(j), u, along, Store::Write);
            row_times(Mat::row_major(along, 1, self.count), self.left(i), out, Store::Add);
        }
    }

    /// Lets `-by · left` as a column times `right` wait; the one begins at row `i`, the other at column `j`.
    fn push(&mut self, (i, left): (usize, &[f64]), by: f64, (j, right): (usize, &[f64])) {
        let to = &mut self.left[self.count * self.m + i..(self.count + 1) * self.m];
        to.iter_mut().zip(left).for_each(|(to, &x)| *to = -by * x);
        self.right[self.count * self.n + j..(self.count + 1) * self.n].copy_from_slice(right);
        self.count += 1;
    }

    /// If there is no room for two more, adds all that waits, from row `i` and column `j` on.
    fn settle(&mut self, i: usize, j: usize) {
        if self.count + 2 <= MOST {
            return;
        }
        self.add_all((i, self.m - i), j);
        self.count = 0;
    }

    /// Adds all that waits to some rows of the matrix, from number `i` and column `j` on.
    fn add_all(&mut self, (i, rows): (usize, usize), j: usize) {
        let (m, n, count) = (self.m, self.n, self.count);
        let left = Mat { data: &*self.left, offset: i, rows: count, cols: rows, rs: m as isize, cs: 1 };
        let right = Mat { data: &*self.right, offset: j, rows: count, cols: n - j, rs: n as isize, cs: 1 };
        if rows > 0 && j < n {
            let c = MatMut { data: &mut self.a[i * n + j..], rows, cols: n - j, ld: n };
            gemm(left.t(), right, c, Store::Add, Epilogue::NONE);
        }
    }
}

stamped! {
    /// Adds to `y` the product of a symmetric matrix and `x`, as far as it comes of rows `from` to `to` of the upper triangle;
    /// rows are `ld` apart.
    fn add_rows_of_symmetric(a: &[f64], ld: usize, from: usize, to: usize, x: &[f64], y: &mut [f64]) {
        let n = x.len();
        let mut i = from;
        while i < to {
            // Four rows at a time: first the triangle at their beginning.
            let count = if to - i < ROWS { to - i } else { ROWS };
            let mut sums = [[0.0; LANES]; ROWS];
            let mut factors = [0.0; ROWS];
            let end = i + count;
            for r in 0..count {
                let row = &a[(i + r) * ld..][..n];
                factors[r] = x[i + r];
                y[i + r] += row[i + r] * x[i + r];
                for c in i + r + 1..end {
                    y[i + r] += row[c] * x[c];
                    y[c] += row[c] * x[i + r];
                }
            }
            let row = |r: usize| &a[(i + if r < count { r } else { 0 }) * ld + end..][..n - end];
            let rows = [row(0), row(1), row(2), row(3)];
            let (x_after, y_after) = (&x[end..], &mut y[end..]);
            let mut c = 0;
            while c + LANES <= n - end {
                let y: &mut [f64; LANES] = (&mut y_after[c..c + LANES]).try_into().expect("of that length");
                let x: &[f64; LANES] = x_after[c..c + LANES].try_into().expect("of that length");
                let mut more = [0.0; LANES];
                for r in 0..ROWS {
                    let row: &[f64; LANES] = rows[r][c..c + LANES].try_into().expect("of that length");
                    for l in 0..LANES {
                        sums[r][l] += row[l] * x[l];
                        more[l] += row[l] * factors[r];
                    }
                }
                for l in 0..LANES {
                    y[l] += more[l];
                }
                c += LANES;
            }
            while c < n - end {
                for r in 0..ROWS {
                    sums[r][0] += rows[r][c] * x_after[c];
                    y_after[c] += rows[r][c] * factors[r];
                }
                c += 1;
            }
            for r in 0..count {
                let s = &sums[r];
                y[i + r] += ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
            }
            i = end;
        }
    }
}

/// Rows that are multiplied together, and sums that are added side by side.
const ROWS: usize = 4;
const LANES: usize = 8;
/// The most parts that a symmetric matrix is multiplied in.
const PARTS: usize = 8;

/// Computes the product of a symmetric matrix, of which the upper triangle is read, and `x`. Parts of about equally many
/// numbers have sums of their own in `sums`, [`PARTS`] times as many numbers as `x` has.
fn symmetric_product(a: &[f64], ld: usize, x: &[f64], out: &mut [f64], sums: &mut [f64]) {
    let n = x.len();
    let parts = 1 << (n * n / par::GRAIN).clamp(1, PARTS).ilog2();
    // The first row of a part: so many numbers are in the rows before it.
    let first = |part: usize| match part {
        0 => 0,
        _ if part == parts => n,
        _ => n - (n as f64 * (1.0 - part as f64 / parts as f64).sqrt()) as usize,
    };
    let sums = &mut sums[..parts * n];
    par::each(parts, [sums], 1, &|part, [sums]| {
        sums[first(part)..].fill(0.0);
        add_rows_of_symmetric(a, ld, first(part), first(part + 1), x, sums);
    });
    let (whole, others) = sums.split_at(n);
    out.copy_from_slice(whole);
    for (part, other) in others.chunks_exact(n).enumerate() {
        let from = first(part + 1);
        out[from..].iter_mut().zip(&other[from..]).for_each(|(to, x)| *to += x);
    }
}

/// Rows of a block of a symmetric matrix that is brought up to date.
const HEIGHT: usize = 128;

impl Deferred<'_> {
    /// [`row_product`](Self::row_product) of a symmetric matrix, from row and column `i` on.
    fn symmetric_product(&self, i: usize, v: &[f64], out: &mut [f64], along: &mut [f64], sums: &mut [f64]) {
        symmetric_product(&self.a[i * self.n + i..], self.n, v, out, sums);
        self.add_waiting(i, i, v, out, along);
    }

    /// [`settle`](Self::settle) for the upper triangle of a symmetric matrix.
    fn settle_symmetric(&mut self, i: usize) {
        if self.count + 2 <= MOST {
            return;
        }
        for top in (i..self.n).step_by(HEIGHT) {
            let rows = HEIGHT.min(self.n - top);
            self.add_all((top, rows), top);
        }
        self.count = 0;
    }
}

/// Reduces a symmetric matrix to `d` on the diagonal and `e` beside it; its upper triangle is read and overwritten. Row j of `v`,
/// `n` numbers, becomes the vector of reflection j, with `j + 1` zeros before it; there are `n - 1` of them.
pub(super) fn to_three_diagonals(
    a: &mut [f64],
    n: usize,
    (d, e): (&mut [f64], &mut [f64]),
    (v, tau): (&mut [f64], &mut [f64]),
    room: &mut [f64],
) {
    let (sums, room) = room.split_at_mut(PARTS * n);
    let (mut a, x, y, along) = Deferred::new(a, n, n, room);
    let mut one = |j: usize| {
        let x = &mut x[j..];
        a.row(j, j, x);
        d[j] = x[0];
        if j + 1 == n {
            return;
        }
        let u = &mut x[1..];
        (e[j], tau[j]) = reflection(u);
        v[j * n..j * n + j + 1].fill(0.0);
        v[j * n + j + 1..(j + 1) * n].copy_from_slice(u);
        if tau[j] == 0.0 {
            return;
        }
        // With y = A·u: A - u·wᵀ - w·uᵀ, where w = tau·(y - ½·tau·(y·u)·u).
        let w = &mut y[j + 1..];
        a.symmetric_product(j + 1, u, w, along, sums);
        let half = 0.5 * tau[j] * dot(w, u);
        subtract(w, half, u);
        w.iter_mut().for_each(|w| *w *= tau[j]);
        a.push((j + 1, u), 1.0, (j + 1, w));
        a.push((j + 1, w), 1.0, (j + 1, u));
        a.settle_symmetric(j + 1);
    };
    for first in (0..n).step_by(AWAKE) {
        par::awake(|| (first..n.min(first + AWAKE)).for_each(&mut one));
    }
}

/// Where the reflections go that reduce to two diagonals.
pub(super) struct Sides<'a> {
    /// Row j, `m` numbers, is the vector of reflection j of columns, with `j` zeros before it.
    pub(super) of_columns: (&'a mut [f64], &'a mut [f64]),
    /// Row j, `n` numbers, is the vector of reflection j of rows, with `j + 1` zeros before it; there are `n - 1`.
    pub(super) of_rows: (&'a mut [f64], &'a mut [f64]),
}

/// Reduces a matrix of `m` rows of `n`, `m >= n`, to `d` on the diagonal and `e` above it.
pub(super) fn to_two_diagonals(
    a: &mut [f64],
    (m, n): (usize, usize),
    (d, e): (&mut [f64], &mut [f64]),
    sides: &mut Sides<'_>,
    room: &mut [f64],
) {
    let (mut a, row, column, along) = Deferred::new(a, m, n, room);
    let (vs, v_tau) = &mut sides.of_columns;
    let (us, u_tau) = &mut sides.of_rows;
    let mut one = |j: usize| {
        let v = &mut vs[j * m..(j + 1) * m];
        v[..j].fill(0.0);
        let v = &mut v[j..];
        a.column(j, j, v);
        (d[j], v_tau[j]) = reflection(v);
        if j + 1 == n {
            return;
        }
        let row = &mut row[j + 1..];
        if v_tau[j] != 0.0 {
            a.row_product(j, j + 1, v, row, along);
            a.push((j, v), v_tau[j], (j + 1, row));
        }
        let u = &mut us[j * n..(j + 1) * n];
        u[..j + 1].fill(0.0);
        let u = &mut u[j + 1..];
        a.row(j, j + 1, u);
        (e[j], u_tau[j]) = reflection(u);
        if u_tau[j] != 0.0 {
            let column = &mut column[j + 1..];
            a.column_product(j + 1, j + 1, u, column, along);
            a.push((j + 1, column), u_tau[j], (j + 1, u));
        }
        a.settle(j + 1, j + 1);
    };
    for first in (0..n).step_by(AWAKE) {
        par::awake(|| (first..n.min(first + AWAKE)).for_each(&mut one));
    }
}
