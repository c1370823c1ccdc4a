//! Householder's reflections, a block of them at a time: `H₁·H₂⋯ = I - VᵀTV` for the rows of V, one for each reflection,
//! and an upper triangle T (Schreiber and Van Loan 1989), so that they are applied by products.

use super::lines::{divide, dot, largest_value, subtract};
use crate::Float;
use crate::kernels::gemm::{Epilogue, Gemm, Mat, MatMut, Store, gemm};
use crate::kernels::par;

/// Reflections in a block. With 64, [`apply_to_rows`] takes 1.05 to 1.3 times as long for 1000 to 128 rows.
pub(crate) const BLOCK: usize = 32;

/// Returns how many numbers of room blocks of reflections need that are applied to matrices of `cols` columns.
pub(crate) fn room(cols: usize) -> usize {
    2 * BLOCK * (BLOCK + cols)
}

/// Makes `x` the vector v, which begins with 1, of the reflection `I - tau·v·vᵀ` that turns x to the first axis. Returns
/// what becomes of its first number, and tau. Signs are LAPACK's; tau is 0 if x lies on the axis. Numbers whose squares would
/// vanish or overflow are scaled by powers of two.
pub(crate) fn reflection<T: Float>(x: &mut [T]) -> (T, T) {
    let (mut most, mut back, up) = (largest_value(x), T::one(), T::one() / T::TINY);
    while most > T::zero() && most < T::TINY || most > up && most < T::infinity() {
        let by = if most > up { T::TINY } else { up };
        x.iter_mut().for_each(|x| *x *= by);
        (most, back) = (most * by, back / by);
    }
    let (head, tail) = (x[0], &mut x[1..]);
    let square = dot(tail, tail);
    x[0] = T::one();
    if square == T::zero() {
        return (head * back, T::zero());
    }
    let norm = (head * head + square).sqrt();
    let beta = if head > T::zero() { -norm } else { norm };
    divide(&mut x[1..], head - beta);
    (beta * back, (beta - head) / beta)
}

/// A block of reflections: rows of V as many as `tau` has numbers, `ld` apart, of `len` numbers each.
#[derive(Clone, Copy)]
pub(crate) struct Reflections<'a, T> {
    pub(crate) v: &'a [T],
    pub(crate) len: usize,
    pub(crate) ld: usize,
    pub(crate) tau: &'a [T],
}

impl<'a, T: Float + Gemm> Reflections<'a, T> {
    fn rows(self) -> Mat<'a, T> {
        Mat { data: self.v, offset: 0, rows: self.tau.len(), cols: self.len, rs: self.ld as isize, cs: 1 }
    }

    /// Multiplies C, `len` rows of `cols` numbers that lie `ld` apart, by the reflections from the left, in their order or,
    /// transposed, from the last to the first.
    pub(crate) fn apply(self, transposed: bool, c: &mut [T], (cols, ld): (usize, usize), room: &mut [T]) {
        let (b, len) = (self.tau.len(), self.len);
        if b == 0 || cols == 0 {
            return;
        }
        let (t, rest) = room.split_at_mut(b * b);
        let (products, rest) = rest.split_at_mut(b * b);
        let (first, rest) = rest.split_at_mut(b * cols);
        let second = &mut rest[..b * cols];
        let v = self.rows();
        self.combined(t, products);
        let wide = Mat { data: &*c, offset: 0, rows: len, cols, rs: ld as isize, cs: 1 };
        gemm(v, wide, MatMut::row_major(first, b, cols), Store::Write, Epilogue::NONE);
        let t = Mat::row_major(t, b, b);
        let first = Mat::row_major(first, b, cols);
        let t = if transposed { t.t() } else { t };
        gemm(t, first, MatMut::row_major(second, b, cols), Store::Write, Epilogue::NONE);
        let c = MatMut { data: c, rows: len, cols, ld };
        gemm(v.t(), Mat::row_major(second, b, cols), c, Store::Add, Epilogue::NONE);
    }

    /// Computes -T, of as many rows as there are reflections.
    fn combined(self, t: &mut [T], products: &mut [T]) {
        let b = self.tau.len();
        let v = self.rows();
        gemm(v, v.t(), MatMut::row_major(products, b, b), Store::Write, Epilogue::NONE);
        self.triangle(t, products);
    }

    /// Computes -T from the products of the rows of V with each other.
    fn triangle(self, t: &mut [T], products: &[T]) {
        let b = self.tau.len();
        t.fill(T::zero());
        for (j, &tau) in self.tau.iter().enumerate() {
            if tau == T::zero() {
                continue;
            }
            for i in 0..j {
                let sum = (i..j).fold(T::zero(), |sum, k| sum + t[i * b + k] * products[k * b + j]);
                t[i * b + j] = -tau * sum;
            }
            t[j * b + j] = -tau;
        }
    }
}

/// Makes `q`, `m` rows of `k`, the first columns of the product of all reflections: row j of `v`, `m` numbers, begins with
/// `j + shift` zeros and then 1.
pub(crate) fn product<T: Float + Gemm>(
    v: &[T],
    tau: &[T],
    shift: usize,
    q: &mut [T],
    (m, k): (usize, usize),
    room: &mut [T],
) {
    q.fill(T::zero());
    (0..k).for_each(|i| q[i * k + i] = T::one());
    for j in (0..tau.len()).step_by(BLOCK).rev() {
        let count = BLOCK.min(tau.len() - j);
        let top = j + shift;
        let all = Reflections { v: &v[j * m + top..], len: m - top, ld: m, tau: &tau[j..j + count] };
        all.apply(false, &mut q[top * k + top..], (k - top, k), room);
    }
}

/// Rows that all reflections are applied to before the next: they stay in the cache.
const STRIP: usize = 128;

/// Returns how many numbers of room [`apply_to_rows`] needs for so many reflections and rows.
pub(crate) fn room_for_rows(reflections: usize, rows: usize) -> usize {
    BLOCK * (reflections + BLOCK + 2 * rows)
}

/// Multiplies the vectors that are rows of `rows`, of `m` numbers each, by the product of all reflections of [`product`].
pub(crate) fn apply_to_rows<T: Float + Gemm>(
    v: &[T],
    tau: &[T],
    shift: usize,
    rows: &mut [T],
    m: usize,
    room: &mut [T],
) {
    let (triangles, room) = room.split_at_mut(BLOCK * tau.len());
    let (products, room) = room.split_at_mut(BLOCK * BLOCK);
    let (first, room) = room.split_at_mut(BLOCK * (rows.len() / m));
    let second = &mut room[..first.len()];
    let block = |j: usize| {
        let (count, top) = (BLOCK.min(tau.len() - j), j + shift);
        (top, Reflections { v: &v[j * m + top..], len: m - top, ld: m, tau: &tau[j..j + count] })
    };
    for j in (0..tau.len()).step_by(BLOCK) {
        let (_, all) = block(j);
        let b = all.tau.len();
        all.combined(&mut triangles[BLOCK * j..][..b * b], &mut products[..b * b]);
    }
    let triangles = &*triangles;
    let strip = |rows: &mut [T], first: &mut [T], second: &mut [T]| {
        let count = rows.len() / m;
        for j in (0..tau.len()).step_by(BLOCK).rev() {
            let (top, all) = block(j);
            let (b, v) = (all.tau.len(), all.rows());
            let t = Mat::row_major(&triangles[BLOCK * j..][..b * b], b, b);
            let (first, second) = (&mut first[..count * b], &mut second[..count * b]);
            let part = Mat { data: &*rows, offset: top, rows: count, cols: m - top, rs: m as isize, cs: 1 };
            gemm(part, v.t(), MatMut::row_major(first, count, b), Store::Write, Epilogue::NONE);
            let first = Mat::row_major(first, count, b);
            gemm(first, t.t(), MatMut::row_major(second, count, b), Store::Write, Epilogue::NONE);
            let to = MatMut { data: &mut rows[top..], rows: count, cols: m - top, ld: m };
            gemm(Mat::row_major(second, count, b), v, to, Store::Add, Epilogue::NONE);
        }
    };
    // The strips of a thread.
    par::rows(rows, m, [first, second], STRIP / 2 * m, &|_, rows, [first, second]| {
        let rooms = first.chunks_mut(STRIP * BLOCK).zip(second.chunks_mut(STRIP * BLOCK));
        for (rows, (first, second)) in rows.chunks_mut(STRIP * m).zip(rooms) {
            par::alone(|| strip(rows, first, second));
        }
    });
}

/// Computes A = QR of `a`, `m` rows of `n`, which is overwritten with R in and above the diagonal. Row j of `v`, `m`
/// numbers, becomes the vector of reflection j.
pub(crate) fn factorise<T: Float + Gemm>(
    a: &mut [T],
    (m, n): (usize, usize),
    v: &mut [T],
    tau: &mut [T],
    room: &mut [T],
) {
    let k = m.min(n);
    for j in (0..k).step_by(BLOCK) {
        let count = BLOCK.min(k - j);
        // The columns of the block, from row j on, each contiguous.
        let columns = &mut v[j * m..(j + count) * m];
        for (i, row) in a[j * n..].chunks_exact(n).enumerate() {
            for (c, &x) in row[j..j + count].iter().enumerate() {
                columns[c * m + j + i] = x;
            }
        }
        for c in 0..count {
            let (known, others) = columns.split_at_mut((c + 1) * m);
            let top = j + c;
            let x = &mut known[c * m + top..];
            let (beta, by) = reflection(x);
            tau[top] = by;
            a[top * n + top] = beta;
            if by == T::zero() {
                continue;
            }
            for other in others.chunks_exact_mut(m) {
                let along = by * dot(x, &other[top..]);
                subtract(&mut other[top..], along, x);
            }
        }
        for c in 0..count {
            let column = &mut columns[c * m..][..m];
            (j..j + c).for_each(|i| a[i * n + j + c] = column[i]);
            column[..j + c].fill(T::zero());
        }
        let cols = n - j - count;
        let all = Reflections { v: &v[j * m + j..], len: m - j, ld: m, tau: &tau[j..j + count] };
        all.apply(true, a.get_mut(j * n + j + count..).unwrap_or_default(), (cols, n), room);
    }
}
