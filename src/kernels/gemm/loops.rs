//! The inner loops of matrix products in vector instructions, written once over [`Simd`]: register tiles, copying
//! operands into panels, a row times a matrix. They take pointers and check nothing; `tile.rs`, their only caller,
//! does.

#![allow(unsafe_code)]
#![allow(clippy::needless_range_loop)] // lanes and rows are numbered across several arrays

use crate::kernels::simd::Simd;

/// The number of elements of A between two prefetches: a cache line of f32.
const LINE: usize = 16;

/// Register tiles one below another, C = A · B, as pointers.
pub(super) struct Tiles<T> {
    pub(super) count: usize,
    pub(super) k: usize,
    pub(super) a: *const T,
    pub(super) a_rs: isize,
    pub(super) a_cs: isize,
    /// The distance from the first row of a tile to the first of the next.
    pub(super) a_next: isize,
    /// Whether rows of A are contiguous and read only by this call: the next tile's rows are then prefetched.
    pub(super) once: bool,
    pub(super) b: *const T,
    pub(super) b_rs: isize,
    /// Where the panel of B begins that is needed next, and the distance between its rows, which are prefetched; its
    /// distance is 0 if there is none. Whether into L2 only.
    pub(super) next: *const T,
    pub(super) next_rs: isize,
    pub(super) next_far: bool,
    /// Columns of the last vector that are used.
    pub(super) lanes: usize,
    /// Where the chains of multiply-adds go on from, if not from zero.
    pub(super) start: *const T,
    pub(super) start_ld: usize,
    pub(super) prior: *const T,
    pub(super) prior_ld: usize,
    pub(super) c: *mut T,
    pub(super) c_ld: usize,
    /// Whether more steps of K follow.
    pub(super) more: bool,
    pub(super) add: bool,
    pub(super) relu: bool,
    pub(super) bias: *const T,
    /// What else is done to complete sums, or null; and the number of the first row there.
    pub(super) last: *const Last<T>,
    pub(super) row: usize,
}

/// # Safety
/// The pointers reach `count` times `MR` rows by `k`, `k` by `(NV - 1) * LANES + lanes` and `count * MR` by the
/// same number of elements; the processor has the instructions of `S`.
#[inline(always)]
pub(super) unsafe fn tiles<T: Copy, S: Simd<T>, const MR: usize, const NV: usize, const PART: bool>(
    t: &Tiles<T>,
) {
    let lanes = t.lanes;
    let (mut first, mut start, mut c, mut prior) = (t.a, t.start, t.c, t.prior);
    let (mut next, mut rest) = (t.next, if t.next_rs == 0 { 0 } else { t.k });
    // So that the last tile has asked for all of it.
    let pace = if rest > 0 { t.count.min(LINE) } else { LINE };
    for n in 0..t.count {
        // SAFETY: all of it by the contract above.
        unsafe {
            let mut acc = [[S::zero(); NV]; MR];
            if !start.is_null() {
                for i in 0..MR {
                    load_row::<T, S, NV, PART>(&mut acc[i], start.add(i * t.start_ld), lanes);
                }
                start = start.wrapping_add(MR * t.start_ld);
            }
            if t.k >= 8 {
                // C is not needed until the sums are done, and then all at once.
                for i in 0..MR {
                    for v in 0..NV {
                        S::prefetch(c.wrapping_add(i * t.c_ld + v * S::LANES));
                    }
                    S::prefetch(c.wrapping_add(i * t.c_ld + NV * S::LANES - 1));
                }
            }
            // Every second row of A has a pointer, and two offsets reach all: this takes few registers, and no
            // address waits for another.
            let mut rows = [first; MR];
            for i in 0..MR {
                rows[i] = first.wrapping_offset((i & !1) as isize * t.a_rs);
            }
            let (mut even, mut odd, mut b) = (0, t.a_rs, t.b);
            let ahead = first.wrapping_offset(t.a_next);
            let mut p = 0;
            while p < t.k {
                let end = t.k.min(p + pace);
                if t.once {
                    for i in 0..MR {
                        S::prefetch(ahead.wrapping_offset(i as isize * t.a_rs).wrapping_add(p));
                    }
                }
                if rest > 0 {
                    prefetch_row::<T, S, NV>(next, t.next_far);
                    (next, rest) = (next.wrapping_offset(t.next_rs), rest - 1);
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
                    add_row::<T, S, NV, PART>(&mut acc[i], prior.add(i * t.prior_ld), lanes);
                }
                prior = prior.wrapping_add(MR * t.prior_ld);
            }
            if !t.more {
                if t.add {
                    for i in 0..MR {
                        add_row::<T, S, NV, PART>(&mut acc[i], c.add(i * t.c_ld), lanes);
                    }
                }
                add_bias_and_relu::<T, S, MR, NV, PART>(&mut acc, t.bias, t.relu, lanes);
            }
            for i in 0..MR {
                store_row::<T, S, NV, PART>(&acc[i], c.add(i * t.c_ld), lanes);
            }
            if !t.last.is_null() {
                ((*t.last).run)(&*t.last, t.row + n * MR, MR);
            }
        }
        first = first.wrapping_offset(t.a_next);
        c = c.wrapping_add(MR * t.c_ld);
    }
}

/// Prefetches a row of a panel of B, into L2 only if it is `far` from its use.
///
/// # Safety
/// The processor has the instructions of `S`.
#[inline(always)]
unsafe fn prefetch_row<T: Copy, S: Simd<T>, const NV: usize>(row: *const T, far: bool) {
    for v in 0..NV {
        let line = row.wrapping_add(v * S::LANES);
        // SAFETY: by the contract above.
        unsafe { if far { S::prefetch_far(line) } else { S::prefetch(line) } }
    }
}

/// Loads a row of sums from `p`.
///
/// # Safety
/// As for [`add_row`].
#[inline(always)]
unsafe fn load_row<T: Copy, S: Simd<T>, const NV: usize, const PART: bool>(
    acc: &mut [S::Reg; NV],
    p: *const T,
    lanes: usize,
) {
    for v in 0..NV {
        // SAFETY: by the contract of `add_row`.
        unsafe {
            let p = p.add(v * S::LANES);
            acc[v] = if PART && v == NV - 1 { S::load_part(p, lanes) } else { S::load(p) };
        }
    }
}

/// Adds what stands at `p` to a row of sums.
///
/// # Safety
/// `p` reaches `(NV - 1) * LANES + lanes` elements; the processor has the instructions of `S`.
#[inline(always)]
unsafe fn add_row<T: Copy, S: Simd<T>, const NV: usize, const PART: bool>(
    acc: &mut [S::Reg; NV],
    p: *const T,
    lanes: usize,
) {
    for v in 0..NV {
        // SAFETY: by the contract above.
        unsafe {
            let p = p.add(v * S::LANES);
            let sum = if PART && v == NV - 1 { S::load_part(p, lanes) } else { S::load(p) };
            acc[v] = S::add(sum, acc[v]);
        }
    }
}

/// Stores a row of sums at `p`.
///
/// # Safety
/// As for [`add_row`].
#[inline(always)]
unsafe fn store_row<T: Copy, S: Simd<T>, const NV: usize, const PART: bool>(
    acc: &[S::Reg; NV],
    p: *mut T,
    lanes: usize,
) {
    for v in 0..NV {
        // SAFETY: by the contract above.
        unsafe {
            let p = p.add(v * S::LANES);
            if PART && v == NV - 1 { S::store_part(p, acc[v], lanes) } else { S::store(p, acc[v]) }
        }
    }
}

/// Adds a bias for each column to finished sums, if there is one, and applies a relu if that is asked for.
///
/// # Safety
/// `bias` is null or reaches `(NV - 1) * LANES + lanes` elements; the processor has the instructions of `S`.
#[inline(always)]
unsafe fn add_bias_and_relu<T: Copy, S: Simd<T>, const MR: usize, const NV: usize, const PART: bool>(
    acc: &mut [[S::Reg; NV]; MR],
    bias: *const T,
    relu: bool,
    lanes: usize,
) {
    // SAFETY: all of it by the contract above.
    unsafe {
        if !bias.is_null() {
            for v in 0..NV {
                let p = bias.add(v * S::LANES);
                let bias = if PART && v == NV - 1 { S::load_part(p, lanes) } else { S::load(p) };
                for i in 0..MR {
                    acc[i][v] = S::add(acc[i][v], bias);
                }
            }
        }
        if relu {
            for i in 0..MR {
                for v in 0..NV {
                    acc[i][v] = S::relu(acc[i][v]);
                }
            }
        }
    }
}

/// What is done to complete sums after tiles have stored them, as pointers: scale and shift, residual, relu.
pub(super) struct Last<T> {
    /// [`last`] for the instruction set; with the first row and their number.
    pub(super) run: unsafe fn(&Last<T>, usize, usize),
    pub(super) c: *mut T,
    pub(super) c_ld: usize,
    /// Null, or where each row begins in C and in the residual.
    pub(super) to: *const usize,
    pub(super) cols: usize,
    /// One number per column each, or null.
    pub(super) scale: *const T,
    pub(super) shift: *const T,
    /// As large as C, or null.
    pub(super) residual: *const T,
    pub(super) residual_ld: usize,
    pub(super) relu: bool,
}

/// Does it to `rows` rows from number `first` on; one that is listed again just after itself is done once.
///
/// # Safety
/// The pointers reach these rows by `cols` elements; the processor has the instructions of `S`.
#[inline(always)]
pub(super) unsafe fn last<T: Copy, S: Simd<T>>(t: &Last<T>, first: usize, rows: usize) {
    let lanes = S::LANES;
    for i in first..first + rows {
        // SAFETY: all of it by the contract above.
        unsafe {
            let (mut c, mut residual) = (t.c, t.residual);
            if t.to.is_null() {
                c = c.add(i * t.c_ld);
                residual = residual.wrapping_add(i * t.residual_ld);
            } else {
                let to = *t.to.add(i);
                if i > first && to == *t.to.add(i - 1) {
                    continue;
                }
                (c, residual) = (c.add(to), residual.wrapping_add(to));
            }
            let mut j = 0;
            while j < t.cols {
                let n = lanes.min(t.cols - j);
                let at = |p: *const T| if n == lanes { S::load(p.add(j)) } else { S::load_part(p.add(j), n) };
                let mut x = at(c);
                if !t.scale.is_null() {
                    x = S::fma(x, at(t.scale), at(t.shift));
                }
                if !t.residual.is_null() {
                    x = S::add(x, at(residual));
                }
                if t.relu {
                    x = S::relu(x);
                }
                if n == lanes {
                    S::store(c.add(j), x)
                } else {
                    S::store_part(c.add(j), x, n)
                }
                j += n;
            }
        }
    }
}

/// Register tiles one below another, C = A · B, where A is a place in `a` for each row and a distance from it for
/// each step of K, as pointers.
pub(super) struct Gathered<T> {
    pub(super) count: usize,
    pub(super) k: usize,
    pub(super) a: *const T,
    /// Where each row begins in `a`, and in `c`: `count` times `MR`.
    pub(super) rows: *const usize,
    pub(super) to: *const usize,
    /// The distance of each step from the row's beginning.
    pub(super) steps: *const usize,
    pub(super) b: *const T,
    pub(super) b_rs: isize,
    /// As in [`Tiles`], but into all caches.
    pub(super) next: *const T,
    pub(super) next_rs: isize,
    /// Columns of the last vector that are used.
    pub(super) lanes: usize,
    pub(super) c: *mut T,
    /// Where sums wait that are not complete for this block of K, rows `part_ld` apart: `count * MR` of them; whether the
    /// chains of multiply-adds go on from there, and whether they stop there again.
    pub(super) part: *mut T,
    pub(super) part_ld: usize,
    pub(super) goes_on: bool,
    pub(super) stops: bool,
    /// Whether C holds the sum of earlier blocks of K.
    pub(super) prior: bool,
    pub(super) relu: bool,
    pub(super) bias: *const T,
    /// What else is done to complete sums, or null.
    pub(super) last: *const Last<T>,
}

/// # Safety
/// The pointers reach `count * MR` by `k`, `k` by `(NV - 1) * LANES + lanes` and `count * MR` by the same number of
/// elements; the processor has the instructions of `S`. A row may occur more than once in a tile.
#[inline(always)]
pub(super) unsafe fn gathered<T: Copy, S: Simd<T>, const MR: usize, const NV: usize, const PART: bool>(
    t: &Gathered<T>,
) {
    let lanes = t.lanes;
    let (mut from, mut to) = (t.rows, t.to);
    let (mut next, mut rest) = (t.next, if t.next_rs == 0 { 0 } else { t.k });
    let pace = if rest > 0 { t.count.min(LINE) } else { LINE };
    for n in 0..t.count {
        // SAFETY: all of it by the contract above.
        unsafe {
            let mut acc = [[S::zero(); NV]; MR];
            let mut rows = [t.a; MR];
            for i in 0..MR {
                rows[i] = t.a.add(*from.add(i));
            }
            let part = t.part.wrapping_add(n * MR * t.part_ld);
            if t.goes_on {
                for i in 0..MR {
                    load_row::<T, S, NV, PART>(&mut acc[i], part.add(i * t.part_ld), lanes);
                }
            }
            if t.k >= 8 && !t.stops {
                for i in 0..MR {
                    let c = t.c.wrapping_add(*to.add(i));
                    for v in 0..NV {
                        S::prefetch(c.wrapping_add(v * S::LANES));
                    }
                    S::prefetch(c.wrapping_add(NV * S::LANES - 1));
                }
            }
            let (mut b, mut first) = (t.b, 0);
            while first < t.k {
                let end = t.k.min(first + pace);
                if rest > 0 {
                    prefetch_row::<T, S, NV>(next, false);
                    (next, rest) = (next.wrapping_offset(t.next_rs), rest - 1);
                }
                for p in first..end {
                    let step = *t.steps.add(p);
                    let mut row = [S::zero(); NV];
                    for v in 0..NV {
                        let p = b.add(v * S::LANES);
                        row[v] = if PART && v == NV - 1 { S::load_part(p, lanes) } else { S::load(p) };
                    }
                    for i in 0..MR {
                        let x = S::splat(*rows[i].add(step));
                        for v in 0..NV {
                            acc[i][v] = S::fma(x, row[v], acc[i][v]);
                        }
                    }
                    b = b.wrapping_offset(t.b_rs);
                }
                first = end;
            }
            if t.stops {
                for i in 0..MR {
                    store_row::<T, S, NV, PART>(&acc[i], part.add(i * t.part_ld), lanes);
                }
            } else {
                // All of C is read before any of it is written, since a row may be there twice.
                if t.prior {
                    for i in 0..MR {
                        add_row::<T, S, NV, PART>(&mut acc[i], t.c.add(*to.add(i)), lanes);
                    }
                }
                add_bias_and_relu::<T, S, MR, NV, PART>(&mut acc, t.bias, t.relu, lanes);
                for i in 0..MR {
                    store_row::<T, S, NV, PART>(&acc[i], t.c.add(*to.add(i)), lanes);
                }
                if !t.last.is_null() {
                    ((*t.last).run)(&*t.last, n * MR, MR);
                }
            }
            (from, to) = (from.add(MR), to.add(MR));
        }
    }
}

/// Rows of a convolution with one filter for each channel, as pointers: `out[to] = Σ data[row + at] * k[tap]` for each of
/// `n` channels, over taps ascending.
pub(super) struct Depthwise<T> {
    pub(super) count: usize,
    pub(super) n: usize,
    pub(super) taps: usize,
    pub(super) data: *const T,
    /// Where each row begins in `data`, and in `out`.
    pub(super) rows: *const usize,
    pub(super) to: *const usize,
    /// The distance of each tap from the row's beginning, and where it begins in `k`.
    pub(super) at: *const usize,
    pub(super) tap: *const usize,
    pub(super) k: *const T,
    pub(super) out: *mut T,
    /// One number per channel each, or null.
    pub(super) bias: *const T,
    pub(super) scale: *const T,
    pub(super) shift: *const T,
    /// Begins where `out` does, or null.
    pub(super) residual: *const T,
    pub(super) relu: bool,
}

/// # Safety
/// The pointers reach what the lists say, by `n` channels; the processor has the instructions of `S`.
#[inline(always)]
pub(super) unsafe fn depthwise<T: Copy, S: Simd<T>>(t: &Depthwise<T>) {
    /// `R` rows from number `i` on, `NV` vectors of channels from number `j` on; `lanes` of the last one are used.
    #[inline(always)]
    unsafe fn tile<T: Copy, S: Simd<T>, const R: usize, const NV: usize, const PART: bool>(
        t: &Depthwise<T>,
        i: usize,
        j: usize,
        lanes: usize,
    ) {
        // SAFETY: the contract of `depthwise`.
        unsafe {
            let load = |p: *const T, v: usize| {
                let p = p.add(j + v * S::LANES);
                if PART && v == NV - 1 { S::load_part(p, lanes) } else { S::load(p) }
            };
            let mut acc = [[S::zero(); NV]; R];
            let mut rows = [t.data; R];
            for r in 0..R {
                rows[r] = t.data.add(*t.rows.add(i + r));
            }
            for tap in 0..t.taps {
                let (at, k) = (*t.at.add(tap), t.k.add(*t.tap.add(tap)));
                for v in 0..NV {
                    let k = load(k, v);
                    for r in 0..R {
                        acc[r][v] = S::fma(load(rows[r].add(at), v), k, acc[r][v]);
                    }
                }
            }
            for r in 0..R {
                let to = *t.to.add(i + r);
                for v in 0..NV {
                    let mut x = acc[r][v];
                    if !t.bias.is_null() {
                        x = S::add(x, load(t.bias, v));
                    }
                    if !t.scale.is_null() {
                        x = S::fma(x, load(t.scale, v), load(t.shift, v));
                    }
                    if !t.residual.is_null() {
                        x = S::add(x, load(t.residual.add(to), v));
                    }
                    if t.relu {
                        x = S::relu(x);
                    }
                    let to = t.out.add(to + j + v * S::LANES);
                    if PART && v == NV - 1 { S::store_part(to, x, lanes) } else { S::store(to, x) }
                }
            }
        }
    }
    /// `R` rows from number `i` on.
    #[inline(always)]
    unsafe fn row<T: Copy, S: Simd<T>, const R: usize>(t: &Depthwise<T>, i: usize) {
        let mut j = 0;
        // SAFETY: the channels in use end before `n`.
        unsafe {
            while j + 2 * S::LANES <= t.n {
                tile::<T, S, R, 2, false>(t, i, j, S::LANES);
                j += 2 * S::LANES;
            }
            while j < t.n {
                let lanes = S::LANES.min(t.n - j);
                tile::<T, S, R, 1, true>(t, i, j, lanes);
                j += lanes;
            }
        }
    }
    let mut i = 0;
    // SAFETY: rows end before `count`.
    unsafe {
        while i + 4 <= t.count {
            row::<T, S, 4>(t, i);
            i += 4;
        }
        while i < t.count {
            row::<T, S, 1>(t, i);
            i += 1;
        }
    }
}

/// Panels of a `k` by `n` matrix, one after another, as pointers: element (p, j) of a panel goes to
/// `p * width + j`.
pub(super) struct Pack<T> {
    pub(super) k: usize,
    pub(super) n: usize,
    pub(super) width: usize,
    pub(super) src: *const T,
    pub(super) rs: isize,
    pub(super) cs: isize,
    pub(super) dst: *mut T,
}

/// # Safety
/// `src` reaches `k` by `n` elements, `dst` `n.div_ceil(width) * k * width + LANES`; the processor has the instructions
/// of `S`.
#[inline(always)]
pub(super) unsafe fn pack<T: Copy, S: Simd<T>>(t: &Pack<T>) {
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
        } else if rs == 1 && w <= S::Half::LANES {
            // A panel of six rows of A would leave ten of sixteen lanes unused.
            pack_turned::<T, S::Half>(t);
        } else if rs == 1 {
            pack_turned::<T, S>(t);
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

/// [`pack`] of a matrix whose columns are contiguous: they are turned into rows.
///
/// # Safety
/// As there.
#[inline(always)]
unsafe fn pack_turned<T: Copy, S: Simd<T>>(t: &Pack<T>) {
    let Pack { k, n: all, width: w, src, rs: _, cs, dst } = *t;
    let lanes = S::LANES;
    // SAFETY: as in `pack`.
    unsafe {
        for panel in 0..all.div_ceil(w) {
            let (j, n) = (panel * w, w.min(all - panel * w));
            let (from, out) = (src.offset(j as isize * cs), dst.add(panel * k * w));
            let mut p = 0;
            while p + lanes <= k {
                // The last group first: what its stores overwrite belongs to the first group's next rows.
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
    }
}

/// A row times a matrix, as pointers.
pub(super) struct Dots<T> {
    pub(super) k: usize,
    pub(super) n: usize,
    pub(super) x: *const T,
    pub(super) b: *const T,
    /// The distance between the rows of B, or between its columns.
    pub(super) stride: isize,
    /// The number of vectors of a row of B that are contiguous, and the distance from these to the next.
    pub(super) together: usize,
    pub(super) hop: usize,
    /// How many elements further on B is prefetched, if it comes from memory; else 0.
    pub(super) ahead: usize,
    pub(super) y: *mut T,
}

/// How many elements are prefetched ahead in each of eight rows that come from memory: 2 KiB of f32.
const AHEAD: usize = 512;

/// Computes `y = x · B` for B with contiguous and long rows: eight rows of B in one pass over `y`. Near the end of
/// its rows a pass prefetches the beginning of the next one's.
///
/// # Safety
/// `x`, `b` and `y` reach `k`, `k` by `n` and `n` elements; the processor has the instructions of `S`.
#[inline(always)]
pub(super) unsafe fn dots_long<T: Copy, S: Simd<T>>(t: &Dots<T>) {
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
            let ahead = AHEAD.min(t.n);
            while j + 2 * S::LANES <= t.n {
                let (mut y0, mut y1) = (S::zero(), S::zero());
                if p > 0 {
                    (y0, y1) = (S::load(t.y.add(j)), S::load(t.y.add(j + S::LANES)));
                }
                let mut next = (j + ahead) as isize;
                if j + ahead >= t.n {
                    next += R as isize * t.stride - t.n as isize;
                }
                for r in 0..R {
                    S::prefetch(rows[r].wrapping_offset(next));
                    S::prefetch(rows[r].wrapping_offset(next + S::LANES as isize));
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

/// Computes `y = x · B` for B with contiguous rows that are short, or in panels `hop` apart: eight vectors of `y`
/// stay in registers.
///
/// # Safety
/// As for [`dots_long`]; every `together` vectors of B are `hop` after those before.
#[inline(always)]
pub(super) unsafe fn dots_short<T: Copy, S: Simd<T>>(t: &Dots<T>) {
    /// Computes `G` vectors from number `v` on; `last` lanes of the last one are used.
    #[inline(always)]
    unsafe fn group<T: Copy, S: Simd<T>, const G: usize, const PART: bool, const FAR: bool>(
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
                    if FAR {
                        S::prefetch(from.wrapping_add(t.ahead));
                    }
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
        // Four panels are four streams from memory.
        while t.ahead > 0 && t.together == 4 && v + 16 <= whole {
            group::<T, S, 16, false, true>(t, v, S::LANES);
            v += 16;
        }
        while t.ahead > 0 && v + 8 <= whole {
            group::<T, S, 8, false, true>(t, v, S::LANES);
            v += 8;
        }
        while v + 8 <= whole {
            group::<T, S, 8, false, false>(t, v, S::LANES);
            v += 8;
        }
        // Four chains keep the units busy, where two would leave them waiting.
        if v + 4 <= whole {
            group::<T, S, 4, false, false>(t, v, S::LANES);
            v += 4;
        }
        while v + 2 <= whole {
            group::<T, S, 2, false, false>(t, v, S::LANES);
            v += 2;
        }
        let rest = t.n - v * S::LANES;
        if rest > S::LANES {
            group::<T, S, 2, true, false>(t, v, rest - S::LANES);
        } else if rest > 0 {
            group::<T, S, 1, true, false>(t, v, rest);
        }
    }
}

/// Computes `y = x · B` for B with contiguous columns, which are transposed in registers. While it reads some, it
/// prefetches those that come after them.
///
/// # Safety
/// `x`, `b` and `y` reach `k`, `k` by `n` and `n` elements; the processor has the instructions of `S`.
#[inline(always)]
pub(super) unsafe fn dots_columns<T: Copy, S: Simd<T>>(t: &Dots<T>) {
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
                for r in 2 * lanes..4 * lanes {
                    S::prefetch(b0.wrapping_offset(r as isize * stride).wrapping_add(p));
                }
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
