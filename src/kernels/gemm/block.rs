//! The product of two matrices on one thread: six loops around the tile, which keep data that is used again in a
//! cache that is fast enough for it:
//!
//! - columns of C in blocks of `NC`: the block of B is in L3,
//! - K in blocks of `KC`: the panels of A and B are this long,
//! - rows of C in blocks of `MC`: the block of A is in L2,
//! - columns in panels of the tile's width: the panel of B is in L2,
//! - steps of K as many as leave that part of the panel in L1: sums go on where they stopped, which changes nothing
//!   in them,
//! - rows, a tile's height at a time, inside `tile`.
//!
//! For few rows of A, B is what is read: then the steps are fewer, and a window of columns takes them one panel after
//! another, so that rows of B are read in long runs (`streams`).
//!
//! Operands are copied into panels only where that pays off; otherwise the tile reads them in place. A panel of B
//! is copied just before its first use, which then finds it in the cache.

use super::Gemm;
use super::finish::Finish;
use super::matrix::Target;
use super::side::{Side, panel, shape};
use super::tile::{Kernels, Left, Next, Prior, Shape, Then};
use crate::kernels::scratch;

/// Columns of B in L3.
const NC: usize = 4096;
/// Rows of A in L2.
pub(super) const MC: usize = 288;
/// The same if there are more of them, and sums wait for the next part of a block of K: they then stay in L1. That panels
/// of B are read more often costs little, since they are prefetched.
const FEW_MC: usize = 96;
/// The rows and columns of C for which a sum is kept separate from C.
const APART: usize = 512;
/// Bytes from one row to the next from which rows count as far apart.
const FAR: usize = 2048;
/// Rows of A up to which B is not copied, though its rows are far apart.
const COPIED: usize = 48;
/// Bytes of a panel of B that stay in L1 beside what a tile reads of A and writes to C.
const NEAR: usize = 32 << 10;
/// Columns of B that take a few steps of K together, and how many steps, where few rows of A stream B.
const WINDOW: usize = 2048;
const STEPS: usize = 32;
/// Bytes of B up to which it stays in L2, however it is read.
const CLOSE: usize = 1 << 20;
/// Rows of A from which a part of the panel of B is used often enough to be kept in L1.
const MANY: usize = 36;

/// Computes C = A · B on this thread.
pub(super) fn product<T: Gemm>(
    kernels: &Kernels<T>,
    a: &Side<T>,
    b: &Side<T>,
    mut c: Target<T>,
    finish: &Finish<T>,
) {
    let (m, n, k) = (c.rows, c.cols, a.k());
    if m == 0 || n == 0 {
        return;
    }
    if !finish.add || k <= T::KC {
        return blocks(kernels, a, b, &mut c, None, finish);
    }
    // The sum must be kept separate from the contents of C until it is complete.
    let Shape { mr, nr } = shape(kernels, a, b);
    let (down, along) = (APART / mr * mr, APART / nr * nr);
    scratch::with(along.min(n) * down.min(m), |sums| {
        for j in (0..n).step_by(along) {
            let cols = along.min(n - j);
            let finish = finish.columns(j, cols);
            for i in (0..m).step_by(down) {
                let rows = down.min(m - i);
                let sums = Target::new(sums, rows, cols, cols).expect("made for it");
                let mut c = c.block(i, j, rows, cols);
                let finish = &finish.rows(i, rows);
                blocks(kernels, &a.part(i, rows), &b.part(j, cols), &mut c, Some(sums), finish);
            }
        }
    });
}

/// The three outer loops. Sums that are not complete are kept in `sums`, or else in C.
fn blocks<T: Gemm>(
    kernels: &Kernels<T>,
    a: &Side<T>,
    b: &Side<T>,
    c: &mut Target<T>,
    mut sums: Option<Target<T>>,
    finish: &Finish<T>,
) {
    let (m, n, k) = (c.rows, c.cols, a.k());
    let shape = shape(kernels, a, b);
    let nr = shape.nr;
    let kc_most = k.min(T::KC);
    let in_parts = run::<T>(shape, m, kc_most) < kc_most;
    let high = if m > MC && in_parts { FEW_MC } else { MC };
    let one_block = m <= high;
    let pack_b = packs_right(shape, m, b);
    let pack_a = packs_left(shape, n, a);
    let (nc_most, mc_most) = (n.min(NC), m.min(high));
    // Panels of B are needed again only if other rows of A follow.
    let b_kept = if one_block { nc_most.min(nr) } else { nc_most };
    let b_len = if pack_b { kernels.packed_len(kc_most, b_kept, nr) } else { 0 };
    let a_len = if pack_a { kernels.packed_len(kc_most, mc_most, shape.mr) } else { 0 };
    let stream = !pack_b && streams(shape, m, b);
    // Columns that take steps of K together.
    let width = if stream { (WINDOW / nr * nr).min(nc_most) } else { nr };
    let part_len = if in_parts || stream { mc_most * width } else { 0 };
    scratch_parts([a_len, b_len, part_len], |[a_room, b_room, part_room]| {
        for jc in (0..n).step_by(NC) {
            let nc = NC.min(n - jc);
            let (mut pc, mut first) = (0, true);
            while first || pc < k {
                let kc = T::KC.min(k - pc);
                let last = pc + kc == k;
                let run = if stream { STEPS } else { run::<T>(shape, m, kc).max(1) };
                for ic in (0..m).step_by(high) {
                    let mc = high.min(m - ic);
                    let left = match a {
                        Side::Panels(panels) => Left::panels(panels.block(pc, kc, ic), mc, kc),
                        Side::Plain(a) if !pack_a => {
                            let block = a.block(pc, ic, kc, mc).transposed();
                            if n <= nr { Left::Once(block) } else { Left::InPlace(block) }
                        }
                        a => {
                            a.pack(kernels, (pc, kc), (ic, mc), shape.mr, a_room);
                            Left::panels(&*a_room, mc, kc)
                        }
                    };
                    for window in (0..nc).step_by(width) {
                        let window = window..nc.min(window + width);
                        for from in (0..kc.max(1)).step_by(run) {
                            for j in window.clone().step_by(nr) {
                                let (col, cols) = (jc + j, nr.min(nc - j));
                                let end = finish.columns(col, cols).rows(ic, mc);
                                let mut out = c.block(ic, col, mc, cols);
                                let (p, steps) = (pc + from, run.min(kc - from));
                                let right = match b {
                                    Side::Panels(panels) => panel(panels.block(pc, kc, col), kc, cols, nr)
                                        .block(from, 0, steps, cols),
                                    Side::Plain(b) if !pack_b => b.block(p, col, steps, cols),
                                    b => {
                                        let at = if one_block { 0 } else { j * kc + from * nr };
                                        if ic == 0 {
                                            b.pack(kernels, (p, steps), (col, cols), nr, &mut b_room[at..]);
                                        }
                                        panel(&b_room[at..], steps, cols, nr)
                                    }
                                };
                                // What follows is prefetched from memory meanwhile: the same steps of the next columns, or
                                // of the next block of K. Beyond the last column lies what this thread will probably be
                                // given next. With more rows, panels that were copied come from L3.
                                let next = match b {
                                    // One after another, as those of Winograd's algorithm are.
                                    Side::Plain(b) if b.cs == 1 && b.rs == n as isize && n <= nr && last => {
                                        Next::after(&right)
                                    }
                                    Side::Plain(b) if stream && j + nr >= window.end => match from + run < kc
                                    {
                                        true => Next::at(b, p + run, jc + window.start),
                                        false if window.end < nc || last => Next::at(b, pc, jc + window.end),
                                        false => Next::at(b, pc + kc, jc),
                                    },
                                    Side::Panels(panels) if panels.near => Next::NONE,
                                    Side::Panels(_) if one_block => Next::after(&right),
                                    Side::Plain(b) if b.cs == 1 && (one_block || pack_b && ic == 0) => {
                                        let next = match j + nr < nc || last {
                                            true => Next::at(b, if j + nr < nc { p } else { from }, col + nr),
                                            false => Next::at(b, p + kc, jc),
                                        };
                                        if one_block { next } else { next.far() }
                                    }
                                    _ if pack_b && ic > 0 => Next::after(&right).far(),
                                    _ => Next::NONE,
                                };
                                let (left, right) = (left.steps(from, steps), (right, next));
                                let complete = from + steps == kc;
                                let room = part_room.get_mut(j - window.start..).unwrap_or_default();
                                let start = if from == 0 { Prior::None } else { Prior::Here };
                                if !complete {
                                    let mut part = Target::new(room, mc, cols, width).expect("made for it");
                                    kernels.tiles(shape, left, right, start, &mut part, Then::GoOn);
                                    continue;
                                }
                                let start = match start {
                                    Prior::Here => Prior::There(panel(room, mc, cols, width)),
                                    none => none,
                                };
                                let prior = if first { Prior::None } else { Prior::Here };
                                let then =
                                    |prior| if last { Then::End(prior, &end) } else { Then::Block(prior) };
                                let Some(sums) = &mut sums else {
                                    kernels.tiles(shape, left, right, start, &mut out, then(prior));
                                    continue;
                                };
                                let mut sums = sums.block(ic, col, mc, cols);
                                if last {
                                    let prior = Prior::There(sums.source());
                                    kernels.tiles(shape, left, right, start, &mut out, then(prior));
                                } else {
                                    kernels.tiles(shape, left, right, start, &mut sums, then(prior));
                                }
                            }
                        }
                    }
                    if last && finish.more() {
                        let mut out = c.block(ic, jc, mc, nc);
                        (0..mc).for_each(|i| finish.after(out.row(i)));
                    }
                }
                pc += kc;
                first = false;
            }
        }
    });
}

/// Returns whether B, read in place, is read in long runs of its rows: if its rows are far apart, it does not stay in L2,
/// and the rows of A are so few that this takes more time than to load sums again.
fn streams<T: Gemm>(shape: Shape, m: usize, b: &Side<T>) -> bool {
    match b {
        Side::Plain(b) => {
            // Farther than where copying begins: with rows of 2 KiB, 16 × 784 × 512 has 89 GFLOP/s instead of 100.
            let far = b.rs.unsigned_abs() * size_of::<T>() > FAR;
            let close = b.rows.saturating_mul(b.cols).saturating_mul(size_of::<T>()) <= CLOSE;
            b.cs == 1 && b.cols > shape.nr && far && !close && m <= COPIED
        }
        Side::Panels(_) | Side::Other(_) => false,
    }
}

/// Returns whether to copy B into panels: always if its rows are not contiguous, or not in memory; else if there
/// are enough rows of A to use the copy, and reading in place would cost repeated cache misses.
fn packs_right<T: Gemm>(shape: Shape, m: usize, b: &Side<T>) -> bool {
    match b {
        Side::Panels(_) => false,
        Side::Plain(b) => {
            // Each time they are read, rows that are far apart cost an address translation, or half of one.
            let far = b.rs.unsigned_abs() * size_of::<T>() >= FAR;
            let enough = if far { COPIED } else { 192 };
            b.cs != 1 && b.cols > 1 || m > enough && b.cols > shape.nr
        }
        Side::Other(_) => true,
    }
}

/// Returns whether to copy A into panels: if it is not in memory, or its rows are not contiguous and there are
/// enough columns of B to use the copy.
fn packs_left<T: Gemm>(shape: Shape, n: usize, a: &Side<T>) -> bool {
    match a {
        Side::Panels(_) => false,
        Side::Plain(a) => {
            let far = a.cs.unsigned_abs() * size_of::<T>() >= 2 * FAR && a.rows > T::KC;
            (a.rs != 1 || far) && a.cols > shape.mr && n > 512
        }
        Side::Other(_) => true,
    }
}

fn scratch_parts<T: Gemm>(lens: [usize; 3], f: impl FnOnce([&mut [T]; 3])) {
    let [a, b, _] = lens.map(|len| len.next_multiple_of(64));
    if lens == [0; 3] {
        return f([&mut [], &mut [], &mut []]);
    }
    scratch::with(a + b + lens[2], |room: &mut [T]| {
        let (a, rest) = room.split_at_mut(a);
        let (b, part) = rest.split_at_mut(b);
        f([a, b, part])
    })
}

/// Returns how many steps of K to take at a time: all `k` if their panel of B is small or used by few rows.
pub(super) fn run<T>(shape: Shape, m: usize, k: usize) -> usize {
    let near = NEAR / (shape.nr * size_of::<T>());
    if m < MANY || 2 * k < 3 * near {
        return k;
    }
    k.div_ceil((k + near / 2) / near).next_multiple_of(8)
}
