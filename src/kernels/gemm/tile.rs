//! Why it exists: the inner loops of matrix products, the only part that touches memory through pointers. A
//! [`Source`] or [`Target`] is checked once against its slice; blocks of it are checked against it; every loop here
//! is checked against its blocks. So the rest of `gemm` is safe code that cannot leave its operands.
//!
//! The loops are written once over [`Simd`]; `stamp!` compiles them for each instruction set.

#![allow(unsafe_code)]
#![allow(clippy::needless_range_loop)] // lanes and rows are numbered across several arrays

#[cfg(target_arch = "aarch64")]
use crate::kernels::simd::aarch64::Neon;
#[cfg(target_arch = "x86_64")]
use crate::kernels::simd::x86::{Avx2, Avx512};
use crate::kernels::simd::{Isa, Simd, portable::Portable};
use std::marker::PhantomData;

/// A matrix to read: any strides.
pub(super) struct Source<'a, T> {
    start: *const T,
    pub(super) rows: usize,
    pub(super) cols: usize,
    pub(super) rs: isize,
    pub(super) cs: isize,
    life: PhantomData<&'a [T]>,
}

impl<T> Clone for Source<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Source<'_, T> {}
// SAFETY: a `Source` is a shared slice in another spelling.
unsafe impl<T: Sync> Send for Source<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for Source<'_, T> {}

impl<'a, T: Copy> Source<'a, T> {
    /// The matrix whose element (i, j) is `data[offset + i * rs + j * cs]`; `None` if one of them lies outside.
    pub(super) fn new(
        data: &'a [T],
        offset: usize,
        rows: usize,
        cols: usize,
        rs: isize,
        cs: isize,
    ) -> Option<Self> {
        // No step is taken along an axis of one, so its stride may be anything: from here on it is harmless.
        let (rs, cs) = (if rows > 1 { rs } else { 1 }, if cols > 1 { cs } else { 1 });
        let mut start = data.as_ptr();
        if rows > 0 && cols > 0 {
            let down = isize::try_from(rows - 1).ok()?.checked_mul(rs)?;
            let along = isize::try_from(cols - 1).ok()?.checked_mul(cs)?;
            let first = isize::try_from(offset).ok()?.checked_add(down.min(0))?.checked_add(along.min(0))?;
            let last = isize::try_from(offset).ok()?.checked_add(down.max(0))?.checked_add(along.max(0))?;
            if first < 0 || last as usize >= data.len() {
                return None;
            }
            start = start.wrapping_add(offset);
        }
        Some(Source { start, rows, cols, rs, cs, life: PhantomData })
    }

    /// Rows and columns exchanged.
    #[inline]
    pub(super) fn transposed(self) -> Self {
        Source { rows: self.cols, cols: self.rows, rs: self.cs, cs: self.rs, ..self }
    }

    /// `rows` by `cols` elements from (i, j) on.
    #[inline]
    pub(super) fn block(self, i: usize, j: usize, rows: usize, cols: usize) -> Self {
        assert!(i <= self.rows && rows <= self.rows - i && j <= self.cols && cols <= self.cols - j);
        let start = self.start.wrapping_offset(i as isize * self.rs + j as isize * self.cs);
        Source { start, rows, cols, ..self }
    }

    /// The first row, if its elements lie side by side.
    pub(super) fn contiguous_row(self) -> Option<&'a [T]> {
        let whole = self.rows > 0 && (self.cs == 1 || self.cols <= 1);
        // SAFETY: `new` checked every element of the matrix.
        whole.then(|| unsafe { std::slice::from_raw_parts(self.start, self.cols) })
    }

    /// The element (i, j).
    #[inline]
    pub(super) fn at(self, i: usize, j: usize) -> T {
        assert!(i < self.rows && j < self.cols);
        // SAFETY: `new` checked every element of the matrix.
        unsafe { *self.start.wrapping_offset(i as isize * self.rs + j as isize * self.cs) }
    }
}

/// A matrix to write: rows `ld` apart, each contiguous.
pub(super) struct Target<'a, T> {
    start: *mut T,
    pub(super) rows: usize,
    pub(super) cols: usize,
    pub(super) ld: usize,
    life: PhantomData<&'a mut [T]>,
}

// SAFETY: a `Target` is the only way to its elements, as `&mut` is.
unsafe impl<T: Send> Send for Target<'_, T> {}

impl<'a, T: Copy> Target<'a, T> {
    /// The matrix whose element (i, j) is `data[i * ld + j]`; `None` if rows overlap or an element lies outside.
    pub(super) fn new(data: &'a mut [T], rows: usize, cols: usize, ld: usize) -> Option<Self> {
        if rows > 0 && cols > 0 && (ld < cols || (rows - 1).checked_mul(ld)?.checked_add(cols)? > data.len())
        {
            return None;
        }
        Some(Target { start: data.as_mut_ptr(), rows, cols, ld, life: PhantomData })
    }

    /// `rows` by `cols` elements from (i, j) on, for as long as `self` is not used.
    #[inline]
    pub(super) fn block(&mut self, i: usize, j: usize, rows: usize, cols: usize) -> Target<'_, T> {
        assert!(i <= self.rows && rows <= self.rows - i && j <= self.cols && cols <= self.cols - j);
        Target { start: self.start.wrapping_add(i * self.ld + j), rows, cols, ld: self.ld, life: PhantomData }
    }

    /// The rows above `at` and those from `at` on.
    pub(super) fn split_rows(self, at: usize) -> (Self, Self) {
        assert!(at <= self.rows);
        let start = self.start.wrapping_add(at * self.ld);
        (Target { rows: at, ..self }, Target { start, rows: self.rows - at, ..self })
    }

    /// The columns left of `at` and those from `at` on.
    pub(super) fn split_cols(self, at: usize) -> (Self, Self) {
        assert!(at <= self.cols);
        (
            Target { cols: at, ..self },
            Target { start: self.start.wrapping_add(at), cols: self.cols - at, ..self },
        )
    }

    /// Row `i`.
    #[inline]
    pub(super) fn row(&mut self, i: usize) -> &mut [T] {
        assert!(i < self.rows);
        // SAFETY: `new` checked that the row lies in the slice, and `&mut self` makes it the only way there.
        unsafe { std::slice::from_raw_parts_mut(self.start.wrapping_add(i * self.ld), self.cols) }
    }

    /// The only column, if its elements lie side by side.
    pub(super) fn contiguous_column(&mut self) -> Option<&mut [T]> {
        let whole = self.cols == 1 && (self.ld == 1 || self.rows <= 1);
        // SAFETY: `new` checked every element of the matrix, and `&mut self` makes it the only way there.
        whole.then(|| unsafe { std::slice::from_raw_parts_mut(self.start, self.rows) })
    }

    /// The same memory, to read.
    #[inline]
    pub(super) fn source(&self) -> Source<'_, T> {
        let Target { start, rows, cols, ld, .. } = *self;
        Source { start, rows, cols, rs: ld as isize, cs: 1, life: PhantomData }
    }
}

/// The sum of the blocks of K before the one at hand.
pub(super) enum Prior<'a, T> {
    /// There was none.
    None,
    /// It is in the target.
    Here,
    /// It is elsewhere.
    There(Source<'a, T>),
}

/// What happens to a sum that is complete.
#[derive(Clone, Copy)]
pub(super) struct End<'a, T> {
    /// Add it to the target instead of replacing the target.
    pub(super) add: bool,
    /// Then add one number per column.
    pub(super) bias: Option<&'a [T]>,
    /// Then `max(·, 0)`.
    pub(super) relu: bool,
}

impl<'a, T> End<'a, T> {
    /// The same for `cols` columns from `j` on.
    #[inline]
    pub(super) fn columns(self, j: usize, cols: usize) -> Self {
        End { bias: self.bias.map(|b| &b[j..j + cols]), ..self }
    }
}

/// Rows and columns of a register tile.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) mr: usize,
    pub(super) nr: usize,
}

/// The rows of one block of K on the left, as tiles get to see them.
#[derive(Clone, Copy)]
pub(super) enum Left<'a, T> {
    InPlace(Source<'a, T>),
    /// The same, and no other columns will be multiplied with them.
    Once(Source<'a, T>),
    /// What [`Kernels::pack`] made of so many rows, in panels as wide as a tile is high.
    Panels(&'a [T], usize),
}

/// Elements of A between two requests for what comes next: a cache line of f32.
const LINE: usize = 16;

/// Register tiles one below the other, C = A · B, as pointers.
struct Tiles<T> {
    count: usize,
    k: usize,
    a: *const T,
    a_rs: isize,
    a_cs: isize,
    /// From the first row of a tile to the first of the next.
    a_next: isize,
    /// Rows of A are contiguous and read by this call alone: the next tile's are asked for in time.
    once: bool,
    b: *const T,
    b_rs: isize,
    /// Columns of the last vector in use.
    lanes: usize,
    prior: *const T,
    prior_ld: usize,
    c: *mut T,
    c_ld: usize,
    /// Blocks of K follow.
    more: bool,
    add: bool,
    relu: bool,
    bias: *const T,
}

/// # Safety
/// The pointers reach `count` times `MR` rows by `k`, `k` by `(NV - 1) * LANES + lanes` and `count * MR` by the same number
/// of elements; the processor has the instructions of `S`.
#[inline(always)]
unsafe fn tiles<T: Copy, S: Simd<T>, const MR: usize, const NV: usize, const PART: bool>(t: &Tiles<T>) {
    let lanes = t.lanes;
    let (mut first, mut c, mut prior) = (t.a, t.c, t.prior);
    for _ in 0..t.count {
        // SAFETY: all of it by the contract above.
        unsafe {
            let mut acc = [[S::zero(); NV]; MR];
            if t.k >= 8 {
                // C is not needed until the sums are done, and then at once.
                for i in 0..MR {
                    for v in 0..NV {
                        S::prefetch(c.wrapping_add(i * t.c_ld + v * S::LANES));
                    }
                    S::prefetch(c.wrapping_add(i * t.c_ld + NV * S::LANES - 1));
                }
            }
            // Every second row of A has a pointer, and two offsets reach all: few registers, and no address that
            // waits for another.
            let mut rows = [first; MR];
            for i in 0..MR {
                rows[i] = first.wrapping_offset((i & !1) as isize * t.a_rs);
            }
            let (mut even, mut odd, mut b) = (0, t.a_rs, t.b);
            let ahead = first.wrapping_offset(t.a_next);
            let mut p = 0;
            while p < t.k {
                let end = t.k.min(p + LINE);
                if t.once {
                    for i in 0..MR {
                        S::prefetch(ahead.wrapping_offset(i as isize * t.a_rs).wrapping_add(p));
                    }
                }
                for _ in p..end {
                    let mut row = [S::zero(); NV];
                    for v in 0..NV {
                        let p = b.add(v * S::LANES);
                        row[v] = if PART && v == NV - 1 { S::load_part(p, lanes) } else { S::load(p) };
                    }
                    for i in 0..MR {
                        let x = S::splat(*rows[i].offset(if i % 2 == 0 { even } else { odd }));
                        for v in 0..NV {
                            acc[i][v] = S::fma(x, row[v], acc[i][v]);
                        }
                    }
                    (even, odd) = (even + t.a_cs, odd + t.a_cs);
                    b = b.wrapping_offset(t.b_rs);
                }
                p = end;
            }
            if !prior.is_null() {
                for i in 0..MR {
                    for v in 0..NV {
                        let p = prior.add(i * t.prior_ld + v * S::LANES);
                        let sum = if PART && v == NV - 1 { S::load_part(p, lanes) } else { S::load(p) };
                        acc[i][v] = S::add(sum, acc[i][v]);
                    }
                }
                prior = prior.wrapping_add(MR * t.prior_ld);
            }
            if !t.more {
                if t.add {
                    for i in 0..MR {
                        for v in 0..NV {
                            let p = c.add(i * t.c_ld + v * S::LANES);
                            let old = if PART && v == NV - 1 { S::load_part(p, lanes) } else { S::load(p) };
                            acc[i][v] = S::add(old, acc[i][v]);
                        }
                    }
                }
                if !t.bias.is_null() {
                    for v in 0..NV {
                        let p = t.bias.add(v * S::LANES);
                        let bias = if PART && v == NV - 1 { S::load_part(p, lanes) } else { S::load(p) };
                        for i in 0..MR {
                            acc[i][v] = S::add(acc[i][v], bias);
                        }
                    }
                }
                if t.relu {
                    for i in 0..MR {
                        for v in 0..NV {
                            acc[i][v] = S::relu(acc[i][v]);
                        }
                    }
                }
            }
            for i in 0..MR {
                for v in 0..NV {
                    let p = c.add(i * t.c_ld + v * S::LANES);
                    if PART && v == NV - 1 {
                        S::store_part(p, acc[i][v], lanes)
                    } else {
                        S::store(p, acc[i][v])
                    }
                }
            }
        }
        first = first.wrapping_offset(t.a_next);
        c = c.wrapping_add(MR * t.c_ld);
    }
}

/// Panels of a `k` by `n` matrix, one after the other, as pointers: element (p, j) of a panel goes to `p * width + j`.
struct Pack<T> {
    k: usize,
    n: usize,
    width: usize,
    src: *const T,
    rs: isize,
    cs: isize,
    dst: *mut T,
}

/// # Safety
/// `src` reaches `k` by `n` elements, `dst` `n.div_ceil(width) * k * width + LANES`; the processor has the instructions
/// of `S`.
#[inline(always)]
unsafe fn pack<T: Copy, S: Simd<T>>(t: &Pack<T>) {
    let Pack { k, n: all, width: w, src, rs, cs, dst } = *t;
    let (panels, lanes) = (all.div_ceil(w), S::LANES);
    let columns = |panel: usize| (panel * w, w.min(all - panel * w));
    // SAFETY: all of it by the contract above. A store of a whole vector may run past its panel's row; what it
    // spoils is the next row or panel, written afterwards, or the `LANES` elements at the end.
    unsafe {
        if cs == 1 && w % lanes == 0 {
            // A few rows at a time through all panels: long reads, and writes that stay in the cache.
            let mut p0 = 0;
            while p0 < k {
                let p1 = k.min(p0 + 8);
                for panel in 0..panels {
                    let (j, n) = columns(panel);
                    let out = dst.add(panel * k * w);
                    for p in p0..p1 {
                        let (from, to) = (src.offset(p as isize * rs).add(j), out.add(p * w));
                        let mut v = 0;
                        while v + lanes <= n {
                            S::store(to.add(v), S::load(from.add(v)));
                            v += lanes;
                        }
                        if v < n {
                            S::store(to.add(v), S::load_part(from.add(v), n - v));
                        }
                    }
                }
                p0 = p1;
            }
        } else if cs == 1 {
            for panel in 0..panels {
                let (j, n) = columns(panel);
                let out = dst.add(panel * k * w);
                for p in 0..k {
                    let (from, to) = (src.offset(p as isize * rs).add(j), out.add(p * w));
                    let mut v = 0;
                    while v < n {
                        S::store(to.add(v), S::load_part(from.add(v), lanes.min(n - v)));
                        v += lanes;
                    }
                }
            }
        } else if rs == 1 {
            for panel in 0..panels {
                let (j, n) = columns(panel);
                let (from, out) = (src.offset(j as isize * cs), dst.add(panel * k * w));
                let mut p = 0;
                while p + lanes <= k {
                    // The last group first: what its stores spoil belongs to the first group's next rows.
                    for g in (0..n.div_ceil(lanes)).rev() {
                        let block = S::load_transposed(
                            from.offset((g * lanes) as isize * cs).add(p),
                            cs,
                            lanes.min(n - g * lanes),
                        );
                        for t in 0..lanes {
                            S::store(out.add((p + t) * w + g * lanes), block.as_ref()[t]);
                        }
                    }
                    p += lanes;
                }
                while p < k {
                    for v in 0..n {
                        *out.add(p * w + v) = *from.offset(v as isize * cs).add(p);
                    }
                    p += 1;
                }
            }
        } else {
            for panel in 0..panels {
                let (j, n) = columns(panel);
                let (from, out) = (src.offset(j as isize * cs), dst.add(panel * k * w));
                for p in 0..k {
                    for v in 0..n {
                        *out.add(p * w + v) = *from.offset(v as isize * cs + p as isize * rs);
                    }
                }
            }
        }
    }
}

/// A row times a matrix, as pointers.
struct Dots<T> {
    k: usize,
    n: usize,
    x: *const T,
    b: *const T,
    /// Between the rows of B, or between its columns.
    stride: isize,
    /// Vectors of a row of B that lie together, and from these to the next.
    together: usize,
    hop: usize,
    y: *mut T,
}

/// Elements that are asked for ahead of those in use, in each of eight rows that come from memory: 1 KiB of f32.
const AHEAD: usize = 256;

/// `y = x · B` for B with contiguous and long rows: eight rows of B in one pass over `y`.
///
/// # Safety
/// `x`, `b` and `y` reach `k`, `k` by `n` and `n` elements; the processor has the instructions of `S`.
#[inline(always)]
unsafe fn dots_long<T: Copy, S: Simd<T>>(t: &Dots<T>) {
    #[inline(always)]
    unsafe fn pass<T: Copy, S: Simd<T>, const R: usize>(t: &Dots<T>, p: usize) {
        // SAFETY: the contract of `dots_long`, with `p + R <= k`.
        unsafe {
            let mut x = [S::zero(); R];
            let mut rows = [t.b; R];
            for r in 0..R {
                x[r] = S::splat(*t.x.add(p + r));
                rows[r] = t.b.offset((p + r) as isize * t.stride);
            }
            let mut j = 0;
            while j + 2 * S::LANES <= t.n {
                let (mut y0, mut y1) = (S::zero(), S::zero());
                if p > 0 {
                    (y0, y1) = (S::load(t.y.add(j)), S::load(t.y.add(j + S::LANES)));
                }
                for r in 0..R {
                    S::prefetch(rows[r].wrapping_add(j + AHEAD));
                    S::prefetch(rows[r].wrapping_add(j + AHEAD + S::LANES));
                    y0 = S::fma(x[r], S::load(rows[r].add(j)), y0);
                    y1 = S::fma(x[r], S::load(rows[r].add(j + S::LANES)), y1);
                }
                S::store(t.y.add(j), y0);
                S::store(t.y.add(j + S::LANES), y1);
                j += 2 * S::LANES;
            }
            while j < t.n {
                let n = S::LANES.min(t.n - j);
                let mut y = if p > 0 { S::load_part(t.y.add(j), n) } else { S::zero() };
                for r in 0..R {
                    y = S::fma(x[r], S::load_part(rows[r].add(j), n), y);
                }
                S::store_part(t.y.add(j), y, n);
                j += n;
            }
        }
    }
    let mut p = 0;
    // SAFETY: `p` plus the rows of the pass never exceeds `k`.
    unsafe {
        while p + 8 <= t.k {
            pass::<T, S, 8>(t, p);
            p += 8;
        }
        while p < t.k {
            pass::<T, S, 1>(t, p);
            p += 1;
        }
    }
}

/// `y = x · B` for B with contiguous rows that are short, or lie in panels `hop` apart: eight vectors of `y` stay in
/// registers.
///
/// # Safety
/// As for [`dots_long`]; every `together` vectors of B lie `hop` behind those before.
#[inline(always)]
unsafe fn dots_short<T: Copy, S: Simd<T>>(t: &Dots<T>) {
    /// `G` vectors from number `v` on; of the last one `last` lanes are in use.
    #[inline(always)]
    unsafe fn group<T: Copy, S: Simd<T>, const G: usize, const PART: bool>(
        t: &Dots<T>,
        v: usize,
        last: usize,
    ) {
        // SAFETY: the contract of `dots_short`, with `(v + G - 1) * LANES + last <= n`.
        unsafe {
            let mut y = [S::zero(); G];
            let mut starts = [t.b; G];
            for g in 0..G {
                starts[g] = t.b.add((v + g) / t.together * t.hop + (v + g) % t.together * S::LANES);
            }
            let mut down = 0;
            for p in 0..t.k {
                let x = S::splat(*t.x.add(p));
                for g in 0..G {
                    let from = starts[g].offset(down);
                    let b = if PART && g == G - 1 { S::load_part(from, last) } else { S::load(from) };
                    y[g] = S::fma(x, b, y[g]);
                }
                down += t.stride;
            }
            for g in 0..G {
                let to = t.y.add((v + g) * S::LANES);
                if PART && g == G - 1 { S::store_part(to, y[g], last) } else { S::store(to, y[g]) }
            }
        }
    }
    let whole = t.n / S::LANES;
    let mut v = 0;
    // SAFETY: the vectors in use end before `n`, and `v` is even.
    unsafe {
        while v + 8 <= whole {
            group::<T, S, 8, false>(t, v, S::LANES);
            v += 8;
        }
        // Four chains keep the units busy that two leave waiting for their own last step.
        if v + 4 <= whole {
            group::<T, S, 4, false>(t, v, S::LANES);
            v += 4;
        }
        while v + 2 <= whole {
            group::<T, S, 2, false>(t, v, S::LANES);
            v += 2;
        }
        let rest = t.n - v * S::LANES;
        if rest > S::LANES {
            group::<T, S, 2, true>(t, v, rest - S::LANES);
        } else if rest > 0 {
            group::<T, S, 1, true>(t, v, rest);
        }
    }
}

/// `y = x · B` for B with contiguous columns, which are transposed in registers.
///
/// # Safety
/// `x`, `b` and `y` reach `k`, `k` by `n` and `n` elements; the processor has the instructions of `S`.
#[inline(always)]
unsafe fn dots_columns<T: Copy, S: Simd<T>>(t: &Dots<T>) {
    /// `LANES` steps of K for a vector of columns.
    #[inline(always)]
    unsafe fn step<T: Copy, S: Simd<T>>(
        x: *const T,
        b: *const T,
        stride: isize,
        runs: usize,
        y: S::Reg,
    ) -> S::Reg {
        // SAFETY: the contract of `dots_columns`.
        unsafe {
            let block = S::load_transposed(b, stride, runs);
            let mut y = y;
            for q in 0..S::LANES {
                y = S::fma(S::splat(*x.add(q)), block.as_ref()[q], y);
            }
            y
        }
    }
    /// One step of K for a vector of columns.
    #[inline(always)]
    unsafe fn single<T: Copy, S: Simd<T>>(
        x: *const T,
        b: *const T,
        stride: isize,
        runs: usize,
        y: S::Reg,
    ) -> S::Reg {
        // SAFETY: the contract of `dots_columns`; no vector has more than 16 lanes.
        unsafe {
            let mut column = [*x; 16];
            for r in 0..runs {
                column[r] = *b.offset(r as isize * stride);
            }
            S::fma(S::splat(*x), S::load(column.as_ptr()), y)
        }
    }
    let (k, n, stride, lanes) = (t.k, t.n, t.stride, S::LANES);
    let mut j = 0;
    // SAFETY: `j` plus the columns in use never exceeds `n`, `p` plus the steps never `k`.
    unsafe {
        // Two vectors at once, so that one's chain of additions runs while the other is transposed.
        while j + 2 * lanes <= n {
            let b0 = t.b.offset(j as isize * stride);
            let b1 = b0.offset(lanes as isize * stride);
            let (mut y0, mut y1) = (S::zero(), S::zero());
            let mut p = 0;
            while p + lanes <= k {
                y0 = step::<T, S>(t.x.add(p), b0.add(p), stride, lanes, y0);
                y1 = step::<T, S>(t.x.add(p), b1.add(p), stride, lanes, y1);
                p += lanes;
            }
            while p < k {
                y0 = single::<T, S>(t.x.add(p), b0.add(p), stride, lanes, y0);
                y1 = single::<T, S>(t.x.add(p), b1.add(p), stride, lanes, y1);
                p += 1;
            }
            S::store(t.y.add(j), y0);
            S::store(t.y.add(j + lanes), y1);
            j += 2 * lanes;
        }
        while j < n {
            let runs = lanes.min(n - j);
            let b = t.b.offset(j as isize * stride);
            let (mut y, mut p) = (S::zero(), 0);
            while p + lanes <= k {
                y = step::<T, S>(t.x.add(p), b.add(p), stride, runs, y);
                p += lanes;
            }
            while p < k {
                y = single::<T, S>(t.x.add(p), b.add(p), stride, runs, y);
                p += 1;
            }
            S::store_part(t.y.add(j), y, runs);
            j += runs;
        }
    }
}

/// Vectors in a row of B up to which it counts as short.
const SHORT: usize = 32;

type TilesFn<T> = unsafe fn(&Tiles<T>);

/// The loops above, compiled for one instruction set.
pub(super) struct Kernels<T: 'static> {
    /// The tile for wide results, and the higher one for those that are no wider than it.
    wide: Shape,
    tall: Shape,
    lanes: usize,
    /// By rows less one; then by vectors less one; then whether the last vector is partly used.
    tiles: &'static [&'static [[TilesFn<T>; 2]]],
    pack: unsafe fn(&Pack<T>),
    dots_long: unsafe fn(&Dots<T>),
    dots_short: unsafe fn(&Dots<T>),
    dots_columns: unsafe fn(&Dots<T>),
}

impl<T: Copy> Kernels<T> {
    /// The tile for results of so many columns.
    #[inline]
    pub(super) fn shape(&self, cols: usize) -> Shape {
        if cols <= self.tall.nr { self.tall } else { self.wide }
    }

    /// The product of `a` and `b` (at most `shape.nr` columns, its rows contiguous), added to `prior`. With `end` the sum is
    /// complete and gets what `end` says; without, it is stored for the next block of K.
    #[inline]
    pub(super) fn tiles(
        &self,
        shape: Shape,
        a: Left<T>,
        b: Source<T>,
        prior: Prior<T>,
        c: &mut Target<T>,
        end: Option<&End<T>>,
    ) {
        let (k, mr) = (b.rows, shape.mr);
        let once = matches!(a, Left::Once(a) if a.cs == 1);
        let (a, rows, a_rs, a_cs, a_next) = match a {
            Left::InPlace(a) | Left::Once(a) => {
                assert!(a.cols == k);
                (a.start, a.rows, a.rs, a.cs, mr as isize * a.rs)
            }
            Left::Panels(data, rows) => {
                assert!(data.len() >= rows.div_ceil(mr) * mr * k);
                (data.as_ptr(), rows, 1, mr as isize, (mr * k) as isize)
            }
        };
        assert!(rows == c.rows && b.cols == c.cols && (b.cs == 1 || b.cols == 1));
        assert!(0 < mr && 0 < b.cols && b.cols <= shape.nr);
        let (prior, prior_ld) = match prior {
            Prior::None => (std::ptr::null(), 0),
            Prior::Here => (c.start.cast_const(), c.ld),
            Prior::There(p) => {
                assert!(p.rows == c.rows && p.cols == c.cols && p.cs == 1 && p.rs >= 0);
                (p.start, p.rs as usize)
            }
        };
        let (mut add, mut relu, mut bias) = (false, false, std::ptr::null());
        if let Some(end) = end {
            (add, relu) = (end.add, end.relu);
            if let Some(b) = end.bias {
                assert!(b.len() == c.cols);
                bias = b.as_ptr();
            }
        }
        let whole = (b.cols - 1) / self.lanes;
        let lanes = b.cols - whole * self.lanes;
        let part = (lanes != self.lanes) as usize;
        let (count, rest) = (rows / mr, rows % mr);
        let mut job = Tiles {
            count,
            k,
            a,
            a_rs,
            a_cs,
            a_next,
            once,
            b: b.start,
            b_rs: b.rs,
            lanes,
            prior,
            prior_ld,
            c: c.start,
            c_ld: c.ld,
            more: end.is_none(),
            add,
            relu,
            bias,
        };
        // SAFETY: the assertions above are the contract of `tiles`; a table exists for an instruction set that the
        // processor has, or is not handed out (`Stamped::kernels`).
        unsafe {
            if count > 0 {
                self.tiles[mr - 1][whole][part](&job);
            }
            if rest > 0 {
                job.count = 1;
                job.a = a.wrapping_offset(count as isize * a_next);
                job.c = c.start.wrapping_add(count * mr * c.ld);
                if !prior.is_null() {
                    job.prior = prior.wrapping_add(count * mr * prior_ld);
                }
                self.tiles[rest - 1][whole][part](&job);
            }
        }
    }

    /// How many elements `pack` needs room for.
    pub(super) fn packed_len(&self, k: usize, n: usize, width: usize) -> usize {
        n.div_ceil(width) * k * width + self.lanes
    }

    /// Copies `src` into panels of `width` columns: panel `p` starts at `p * rows * width` and has its rows `width` apart.
    pub(super) fn pack(&self, src: Source<T>, width: usize, dst: &mut [T]) {
        assert!(width > 0 && dst.len() >= self.packed_len(src.rows, src.cols, width));
        if src.rows == 0 || src.cols == 0 {
            return;
        }
        let Source { rows: k, cols: n, rs, cs, start: src, .. } = src;
        // SAFETY: the assertion above is the contract of `pack`.
        unsafe { (self.pack)(&Pack { k, n, width, src, rs, cs, dst: dst.as_mut_ptr() }) }
    }

    /// `y = x · b`; `b` has contiguous rows or contiguous columns.
    pub(super) fn dots(&self, x: &[T], b: Source<T>, y: &mut [T]) {
        assert!(x.len() == b.rows && y.len() == b.cols && b.rows > 0 && (b.cs == 1 || b.rs == 1));
        let (dots, stride) = match b.cs == 1 {
            true if b.cols <= SHORT * self.lanes => (self.dots_short, b.rs),
            true => (self.dots_long, b.rs),
            false => (self.dots_columns, b.cs),
        };
        let (k, n, x, b, y) = (b.rows, b.cols, x.as_ptr(), b.start, y.as_mut_ptr());
        // SAFETY: the assertion above is the contract of the three loops.
        unsafe { dots(&Dots { k, n, x, b, stride, together: 1, hop: self.lanes, y }) }
    }

    /// The same for the panels, `width` wide, that `pack` makes of a matrix.
    pub(super) fn dots_panels(&self, x: &[T], panels: &[T], width: usize, y: &mut [T]) {
        let (k, n, together) = (x.len(), y.len(), width / self.lanes);
        assert!(together * self.lanes == width && panels.len() >= n.div_ceil(width) * k * width);
        let (x, b, y) = (x.as_ptr(), panels.as_ptr(), y.as_mut_ptr());
        // SAFETY: the assertion above is the contract of `dots_short`.
        unsafe {
            (self.dots_short)(&Dots { k, n, x, b, stride: width as isize, together, hop: k * width, y })
        }
    }
}

/// Whether a tile of so many rows does only what others leave over.
const fn left_over(rows: usize, whole: usize) -> bool {
    !rows.is_multiple_of(whole)
}

/// Tiles whose height is a multiple of `whole` exist in two kinds: with a last vector that is whole, and with one that may be partly
/// used. The others, which do what is left over, treat every last vector as partly used where that costs nothing.
macro_rules! stamp {
    ($isa:ident, $simd:ty, wide $wide_mr:literal x $wide_nv:literal, tall $tall_mr:literal x $tall_nv:literal, whole $whole:literal, $([$rows:literal: $($nv:literal)+])+ $(, $feature:literal)?) => {
        #[allow(non_snake_case)]
        mod $isa {
            use super::*;

            $(#[target_feature(enable = $feature)])?
            unsafe fn tiles<T: Copy, const MR: usize, const NV: usize, const PART: bool>(t: &Tiles<T>)
            where
                $simd: Simd<T>,
            {
                // SAFETY: the caller's contract.
                unsafe { super::tiles::<T, $simd, MR, NV, PART>(t) }
            }
            $(#[target_feature(enable = $feature)])?
            unsafe fn pack<T: Copy>(t: &Pack<T>)
            where
                $simd: Simd<T>,
            {
                // SAFETY: the caller's contract.
                unsafe { super::pack::<T, $simd>(t) }
            }
            $(#[target_feature(enable = $feature)])?
            unsafe fn dots_long<T: Copy>(t: &Dots<T>)
            where
                $simd: Simd<T>,
            {
                // SAFETY: the caller's contract.
                unsafe { super::dots_long::<T, $simd>(t) }
            }
            $(#[target_feature(enable = $feature)])?
            unsafe fn dots_short<T: Copy>(t: &Dots<T>)
            where
                $simd: Simd<T>,
            {
                // SAFETY: the caller's contract.
                unsafe { super::dots_short::<T, $simd>(t) }
            }
            $(#[target_feature(enable = $feature)])?
            unsafe fn dots_columns<T: Copy>(t: &Dots<T>)
            where
                $simd: Simd<T>,
            {
                // SAFETY: the caller's contract.
                unsafe { super::dots_columns::<T, $simd>(t) }
            }

            pub(super) struct Table<T>(PhantomData<T>);
            impl<T: Copy + 'static> Table<T>
            where
                $simd: Simd<T>,
            {
                const LANES: usize = <$simd as Simd<T>>::LANES;
                const TILES: &'static [&'static [[TilesFn<T>; 2]]] =
                    &[$(&[$([tiles::<T, $rows, $nv, { left_over($rows, $whole) }>, tiles::<T, $rows, $nv, true>]),+]),+];
                pub(super) const KERNELS: Kernels<T> = Kernels {
                    wide: Shape { mr: $wide_mr, nr: $wide_nv * Self::LANES },
                    tall: Shape { mr: $tall_mr, nr: $tall_nv * Self::LANES },
                    lanes: Self::LANES,
                    tiles: Self::TILES,
                    pack: pack::<T>,
                    dots_long: dots_long::<T>,
                    dots_short: dots_short::<T>,
                    dots_columns: dots_columns::<T>,
                };
            }
        }
    };
}
stamp!(portable, Portable, wide 4 x 2, tall 4 x 2, whole 8, [1: 1 2] [2: 1 2] [3: 1 2] [4: 1 2]);
#[cfg(target_arch = "x86_64")]
stamp!(avx2, Avx2, wide 6 x 2, tall 12 x 1, whole 1, [1: 1 2] [2: 1 2] [3: 1 2] [4: 1 2] [5: 1 2] [6: 1 2] [7: 1] [8: 1] [9: 1] [10: 1] [11: 1] [12: 1], "avx2,fma");
#[cfg(target_arch = "x86_64")]
stamp!(avx512, Avx512, wide 6 x 4, tall 12 x 2, whole 6, [1: 1 2 3 4] [2: 1 2 3 4] [3: 1 2 3 4] [4: 1 2 3 4] [5: 1 2 3 4] [6: 1 2 3 4] [7: 1 2] [8: 1 2] [9: 1 2] [10: 1 2] [11: 1 2] [12: 1 2], "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma");
#[cfg(target_arch = "aarch64")]
stamp!(neon, Neon, wide 6 x 4, tall 12 x 2, whole 6, [1: 1 2 3 4] [2: 1 2 3 4] [3: 1 2 3 4] [4: 1 2 3 4] [5: 1 2 3 4] [6: 1 2 3 4] [7: 1 2] [8: 1 2] [9: 1 2] [10: 1 2] [11: 1 2] [12: 1 2], "neon");

/// Element types with kernels.
pub trait Stamped: Copy + Sized + 'static {
    #[doc(hidden)]
    #[allow(private_interfaces)]
    fn kernels(isa: Isa) -> &'static Kernels<Self>;
}

macro_rules! stamped_for {
    ($($t:ty)+) => {$(
        impl Stamped for $t {
            #[allow(private_interfaces)]
            fn kernels(isa: Isa) -> &'static Kernels<$t> {
                static PORTABLE: Kernels<$t> = portable::Table::<$t>::KERNELS;
                #[cfg(target_arch = "x86_64")]
                static AVX2: Kernels<$t> = avx2::Table::<$t>::KERNELS;
                #[cfg(target_arch = "x86_64")]
                static AVX512: Kernels<$t> = avx512::Table::<$t>::KERNELS;
                #[cfg(target_arch = "aarch64")]
                static NEON: Kernels<$t> = neon::Table::<$t>::KERNELS;
                // What the processor lacks must not be handed out: its kernels are called without further checks.
                let has = Isa::available().contains(&isa);
                match isa {
                    _ if !has => &PORTABLE,
                    #[cfg(target_arch = "x86_64")]
                    Isa::Avx2 => &AVX2,
                    #[cfg(target_arch = "x86_64")]
                    Isa::Avx512 => &AVX512,
                    #[cfg(target_arch = "aarch64")]
                    Isa::Neon => &NEON,
                    _ => &PORTABLE,
                }
            }
        }
    )+};
}
stamped_for!(f32 f64);
