//! The three products of a convolution without the matrix of patches: tiles read images where they are, or a band of
//! them that has been copied once to be surrounded by zeros. The order of arithmetic, and so the bits, are those of
//! the products of [`Patches`] and [`Spread`], which do what this file leaves.
//!
//! The loops: rows in chunks whose images and results fit into L2; K in blocks; columns in panels of a tile's width;
//! rows, a tile's height at a time. For the gradient of a kernel, rows are taps and channels, and K runs over places.
//!
//! A window of stride s over images leaves rows of s kinds for the gradient of the images, along each axis; a kind
//! sees only some taps. What the others would add, products with zero, is left out; the blocks of K stay where they
//! are.

use super::block::{MC, run};
use super::finish::Finish;
use super::gather::{Gather, Scatter};
use super::grid::GRAIN;
use super::matrix::{Source, Target};
use super::patches::Stack;
use super::side::{Side, panel};
use super::tile::{Kernels, Next, Run, Shape};
use super::walk::Walk;
use super::{Epilogue, Gemm, Mat, MatMut, Patches, Spread, Store, View, gemm_on, packed, product_on};
use crate::kernels::simd::Isa;
use crate::kernels::{par, scratch};
use std::ops::Range;

/// Elements of images that a chunk reads, about: they stay in L2.
const BAND: usize = 1 << 18;
/// Rows of a chunk, as far as there are so many.
const ROWS: std::ops::RangeInclusive<usize> = 288..=2048;
/// Elements of B that are kept in panels from chunk to chunk.
const KEPT: usize = 3 << 18;
/// Elements of a kernel's gradient that stay in L2 while K runs.
const GRADIENT: usize = 1 << 18;
/// Elements of a kernel's gradient up to which threads divide blocks of K, as the sums of some must wait.
const APART: usize = GRADIENT / 4;
/// The number of rows from which copying a panel of B pays.
const ENOUGH: usize = 192;

/// Computes C = patches · B, then the epilogue: a convolution.
pub(crate) fn patches_product<T: Gemm>(
    isa: Isa,
    patches: &Patches<T>,
    b: View<T>,
    c: MatMut<T>,
    epilogue: Epilogue<T>,
) {
    if let Some(a) = patches.0.plain() {
        return product_on(isa, View::of(&a), b, c, Store::Write, epilogue);
    }
    let b_side = packed::right(isa, b);
    let job = Job { kernels: T::kernels(isa), stack: &patches.0, back: false };
    if c.rows < 2 || matches!(b_side, Side::Other(_)) || !job.fits(&c) {
        return product_on(isa, View::of(patches), b, c, Store::Write, epilogue);
    }
    assert!(job.stack.rows == c.rows && job.stack.cols == b.rows() && b.cols() == c.cols, "sizes match");
    let end = Finish::new(isa, Store::Write, &epilogue, (c.rows, c.cols, c.ld));
    job.start(b_side, c, end);
}

/// Computes C = spread · B: the gradient of a convolution's input.
pub(crate) fn spread_product<T: Gemm>(isa: Isa, spread: &Spread<T>, b: Mat<T>, c: MatMut<T>) {
    if let Some(a) = spread.0.plain() {
        return gemm_on(isa, a, b, c, Store::Write, Epilogue::NONE);
    }
    let job = Job { kernels: T::kernels(isa), stack: &spread.0, back: true };
    if c.rows < 2 || !job.fits(&c) {
        return product_on(isa, View::of(spread), View::of(&b), c, Store::Write, Epilogue::NONE);
    }
    assert!(job.stack.rows == c.rows && job.stack.cols == b.rows && b.cols == c.cols, "sizes match");
    job.start(Side::right(b), c, Finish::none(Store::Write));
}

/// Returns how many elements [`patches_turned_product`] with so many columns works in.
pub(crate) fn patches_turned_room<T: Gemm>(patches: &Patches<T>, cols: usize) -> usize {
    let (stack, plain) = (&patches.0, patches.0.plain().is_some());
    Rounds::of::<T>(stack.cols, cols, stack.rows).filter(|_| !plain).map_or(0, |rounds| rounds.room)
}

/// Computes C = patchesᵀ · B: the gradient of a convolution's kernel. Threads work in `room`.
pub(crate) fn patches_turned_product<T: Gemm>(
    isa: Isa,
    patches: &Patches<T>,
    b: Mat<T>,
    c: MatMut<T>,
    room: &mut [T],
) {
    if let Some(a) = patches.0.plain() {
        return gemm_on(isa, a.t(), b, c, Store::Write, Epilogue::NONE);
    }
    let (kernels, stack) = (T::kernels(isa), &patches.0);
    let walk = stack.walk(false, 0);
    if kernels.apart() || stack.rows == 0 || c.cols == 0 || !walk.worthwhile() {
        return product_on(isa, View::of(patches).t(), View::of(&b), c, Store::Write, Epilogue::NONE);
    }
    assert!(stack.cols == c.rows && stack.rows == b.rows && b.cols == c.cols, "sizes match");
    let work = c.rows.saturating_mul(c.cols).saturating_mul(b.rows);
    let pieces = (work / GRAIN).clamp(1, par::threads());
    let (kernel, b) = (Turned { kernels, walk, used: stack.used, ld: c.ld }, b.source());
    let rounds = Rounds::of::<T>(c.rows, c.cols, b.rows).filter(|rounds| rounds.room <= room.len());
    if let Some(rounds) = rounds {
        kernel.by_blocks(b, c.target(), &rounds, room);
    } else if pieces > 1 && (stack.used >= 8 * pieces || c.cols < 32) {
        // Channels of a tap are beside each other: with a row for each tap, they are columns.
        let (taps, wide) = (walk.taps(), (stack.used - 1) * c.ld + c.cols);
        let by_tap =
            Target::new(c.data, taps, wide, stack.used * c.ld).expect("rows of the kernel do not overlap");
        kernel.by_channels(b, by_tap, (0, stack.used), pieces);
    } else {
        kernel.by_columns(b, c.target(), pieces);
    }
}

/// A product of patches or their counterpart with B.
struct Job<'a, T: Gemm> {
    kernels: &'a Kernels<T>,
    stack: &'a Stack<'a, T>,
    /// Whether rows are elements of images, not places.
    back: bool,
}

impl<'a, T: Gemm> Job<'a, T> {
    /// Whether this way suits the sizes and the processor.
    fn fits(&self, c: &MatMut<T>) -> bool {
        let plain = !self.kernels.apart() && self.stack.rows > 0 && self.stack.used > 0 && c.cols > 0;
        plain && self.stack.worthwhile(self.back)
    }

    fn start(&self, b: Side<T>, c: MatMut<T>, end: Finish<T>) {
        let work =
            c.rows.saturating_mul(c.cols).saturating_mul(self.stack.cols) / self.stack.kinds(self.back);
        let pieces = if par::threads() > 1 { (work / GRAIN).clamp(1, 2 * par::threads()) } else { 1 };
        self.split(b, c.target(), end, 0, self.stack.unit(self.back), pieces);
    }

    /// Halves the longer side of C, whose first row has the number `row`, until there are `pieces`.
    fn split(&self, b: Side<T>, c: Target<T>, end: Finish<T>, row: usize, unit: usize, pieces: usize) {
        let (m, n) = (c.rows, c.cols);
        let Shape { mr, nr } = self.kernels.gathering(b.shape(self.kernels));
        let (half, least) = (pieces / 2, if unit > 1 { unit } else { mr });
        let along = n >= 2 * nr && (n >= m || m < 2 * least);
        if pieces < 2 || !along && m < 2 * least {
            return self.leaf(b, c, end, row, unit);
        }
        if along {
            let at = (n * half / pieces).next_multiple_of(nr);
            let (left, right) = c.split_cols(at);
            par::join(
                || self.split(b.part(0, at), left, end.columns(0, at), row, unit, half),
                || self.split(b.part(at, n - at), right, end.columns(at, n - at), row, unit, pieces - half),
            );
        } else {
            let at = (m * half / pieces).next_multiple_of(least).min((m - 1) / least * least);
            let (upper, lower) = c.split_rows(at);
            par::join(
                || self.split(b, upper, end.rows(0, at), row, unit, half),
                || self.split(b, lower, end.rows(at, m - at), row + at, unit, pieces - half),
            );
        }
    }

    fn leaf(&self, b: Side<T>, mut c: Target<T>, end: Finish<T>, row: usize, unit: usize) {
        for kind in 0..self.stack.kinds(self.back) {
            let walk = self.stack.walk(self.back, kind);
            let (from, count) = match unit {
                1 => (row, c.rows),
                _ => (row / unit * walk.rows(), c.rows / unit * walk.rows()),
            };
            if count > 0 {
                self.rows(&walk, b, &mut c, &end, row, (from, count));
            }
        }
    }

    /// Computes `count` rows of a kind from `from` on; the first row of C has the number `base`.
    fn rows(
        &self,
        walk: &Walk<T>,
        b: Side<T>,
        c: &mut Target<T>,
        end: &Finish<T>,
        base: usize,
        (from, count): (usize, usize),
    ) {
        let (n, k, ld, kernels) = (c.cols, walk.taps() * walk.used, c.ld, self.kernels);
        let shape = kernels.gathering(b.shape(kernels));
        let Shape { mr, nr } = shape;
        let most = (BAND / walk.weight()).clamp(*ROWS.start(), *ROWS.end());
        let chunk = count.div_ceil(count.div_ceil(most)).next_multiple_of(mr);
        let whole = k == b.k();
        let packs = match &b {
            Side::Plain(b) => !whole || n > 1 && b.cs != 1 || n > nr && count > ENOUGH,
            _ => false,
        };
        let kept = packs && chunk < count && k * n <= KEPT;
        let room = match (packs, kept) {
            (false, _) => 0,
            (_, true) => kernels.packed_len(k, n, nr),
            (_, false) => kernels.packed_len(k.min(T::KC), nr, nr),
        };
        let pitch = n.next_multiple_of(nr);
        scratch::with(k + 2 * chunk, |tables: &mut [usize]| {
            let (steps, tables) = tables.split_at_mut(k);
            let (rows, to) = tables.split_at_mut(chunk);
            walk.steps(steps);
            scratch::with(room + sums_len(shape, chunk), |room: &mut [T]| {
                let (sums, panels) = room.split_at_mut(sums_len(shape, chunk));
                for start in (from..from + count).step_by(chunk) {
                    let m = chunk.min(from + count - start);
                    let tiled = m.next_multiple_of(mr);
                    scratch::with(walk.room(start, m), |band: &mut [T]| {
                        let data = walk.lay(start, band, &mut rows[..m]);
                        walk.targets(start, base, ld, &mut to[..m]);
                        rows.repeat_last(m, tiled);
                        to.repeat_last(m, tiled);
                        let a = Gather::new(data, &rows[..tiled], steps)
                            .expect("rows and taps lie in the images");
                        let mut out = Scatter::new(c, &to[..tiled], n).expect("rows lie in C");
                        let mut p = 0;
                        loop {
                            let kc = self.block(walk, p, k);
                            let last = p + kc == k;
                            for j in (0..n).step_by(nr) {
                                let cols = nr.min(n - j);
                                let right = match &b {
                                    Side::Plain(b) if !packs => b.block(p, j, kc, cols),
                                    Side::Panels(b) => panel(b.block(p, kc, j), kc, cols, nr),
                                    _ => {
                                        let at = if kept { p * pitch + j * kc } else { 0 };
                                        if start == from || !kept {
                                            let b = b.part(j, cols);
                                            self.pack(walk, b, (p, kc), nr, &mut panels[at..]);
                                        }
                                        panel(&panels[at..], kc, cols, nr)
                                    }
                                };
                                let end = last.then(|| end.columns(j, cols));
                                let mut out = out.columns(j, cols);
                                // What comes from memory is asked for before its use: the next columns, or the
                                // next block of K.
                                let next = match &b {
                                    _ if chunk < count => Following::None,
                                    Side::Panels(_) => Following::Behind,
                                    Side::Plain(b) if !packs && j + nr < n => Following::At(*b, p, j + nr),
                                    Side::Plain(b) if !packs => Following::At(*b, p + kc, 0),
                                    _ => Following::None,
                                };
                                let (a, b) = (a.block(p, kc), (right, next));
                                in_parts(kernels, shape, a, b, sums, p > 0, &mut out, end.as_ref());
                            }
                            p += kc;
                            if last {
                                break;
                            }
                        }
                        if end.more() {
                            (0..m).for_each(|i| end.after(out.row(i)));
                        }
                    });
                }
            });
        });
    }

    /// Returns how many of the `k` steps of a kind from `p` on are in one block of all steps.
    fn block(&self, walk: &Walk<T>, p: usize, k: usize) -> usize {
        let used = walk.used;
        let number = |p: usize| walk.tap(p / used) * used + p % used;
        let (mut q, mut limit) = (p, None);
        while q < k {
            let limit = *limit.get_or_insert((number(q) / T::KC + 1) * T::KC);
            let number = number(q);
            if number >= limit {
                break;
            }
            q += (used - q % used).min(limit - number);
        }
        q - p
    }

    /// Copies the rows of `b` (one panel of columns) for the steps from `p` on into a panel.
    fn pack(&self, walk: &Walk<T>, b: Side<T>, (p, kc): (usize, usize), width: usize, out: &mut [T]) {
        let (used, cols) = (walk.used, b.across());
        if walk.taps() * used == b.k() {
            return b.pack(self.kernels, (p, kc), (0, cols), width, out);
        }
        let mut q = p;
        while q < p + kc {
            let run = (used - q % used).min(p + kc - q);
            let row = walk.tap(q / used) * used + q % used;
            b.pack(self.kernels, (row, run), (0, cols), width, &mut out[(q - p) * width..]);
            q += run;
        }
    }
}

/// What is read after a panel of B.
#[derive(Clone, Copy)]
enum Following<'a, T> {
    /// Nothing that is known.
    None,
    /// What lies behind it.
    Behind,
    /// The rows from this one on, at this column.
    At(Source<'a, T>, usize, usize),
}

/// Returns how many sums of `rows` rows wait in L2 between parts of a block of K: those of [`MC`] rows at most.
fn sums_len(shape: Shape, rows: usize) -> usize {
    MC.next_multiple_of(shape.mr).min(rows) * shape.nr
}

/// Multiplies `a` with a panel of B, a part of K at a time, so that the part of the panel stays in L1.
#[allow(clippy::too_many_arguments)] // one call of `gathered` in several
fn in_parts<T: Gemm>(
    kernels: &Kernels<T>,
    shape: Shape,
    a: Gather<T>,
    (b, next): (Source<T>, Following<T>),
    sums: &mut [T],
    prior: bool,
    c: &mut Scatter<T>,
    end: Option<&Finish<T>>,
) {
    let (k, rows) = (b.rows, a.rows().len());
    let each = run::<T>(shape, rows, k).max(1);
    let together = if each < k { sums.len() / shape.nr } else { rows };
    for i in (0..rows).step_by(together) {
        let count = together.min(rows - i);
        for from in (0..k.max(1)).step_by(each) {
            let steps = each.min(k - from);
            let part = b.block(from, 0, steps, b.cols);
            let next = match next {
                Following::Behind => Next::after(&part),
                Following::At(b, p, j) => Next::at(&b, p + from, j),
                Following::None => Next::NONE,
            };
            let (first, last) = (from == 0, from + steps == k);
            let run = if each < k { Run::Part { sums: &mut *sums, first, last } } else { Run::Whole };
            let (a, end) = (a.part(i, count).block(from, steps), end.filter(|_| last));
            kernels.gathered(shape, a, (part, next), (run, prior), &mut c.part(i, count), end);
        }
    }
}

/// Lists that are made longer for whole tiles.
trait Repeat {
    /// Repeats element `m - 1` up to `end`.
    fn repeat_last(&mut self, m: usize, end: usize);
}
impl Repeat for [usize] {
    fn repeat_last(&mut self, m: usize, end: usize) {
        let last = self[m - 1];
        self[m..end].fill(last);
    }
}

/// How threads divide the blocks of K for the gradient of a kernel: some blocks after the others, each time in pieces.
struct Rounds {
    pieces: usize,
    blocks: usize,
    /// Blocks of a round.
    together: usize,
    /// Elements of the sums that wait.
    room: usize,
}

impl Rounds {
    /// `None` if it pays more to divide channels or columns.
    fn of<T: Gemm>(rows: usize, cols: usize, places: usize) -> Option<Rounds> {
        let (size, blocks) = (rows.saturating_mul(cols), places.div_ceil(T::KC));
        let pieces = (size.saturating_mul(places) / GRAIN).min(par::threads());
        if pieces < 2 || blocks < 4 * pieces || !(1..=APART).contains(&size) {
            return None;
        }
        let together = blocks.div_ceil(blocks.div_ceil(pieces * (GRADIENT / size)));
        Some(Rounds { pieces, blocks, together, room: (together - together / pieces) * size })
    }
}

/// The gradient of a kernel: its rows are taps and channels, with `used` channels for each tap in C.
struct Turned<'a, T: Gemm> {
    kernels: &'a Kernels<T>,
    walk: Walk<'a, T>,
    used: usize,
    /// The distance from a channel to the next in C.
    ld: usize,
}

impl<T: Gemm> Turned<'_, T> {
    /// Divides the blocks of K. The first piece of a round adds its blocks up in C; the sums of each later one wait in
    /// `room` until all before them are added.
    fn by_blocks(&self, b: Source<T>, mut c: Target<T>, rounds: &Rounds, room: &mut [T]) {
        let (rows, n, &Rounds { pieces, blocks, together, .. }) = (c.rows, c.cols, rounds);
        let later = Turned { ld: n, walk: self.walk, ..*self };
        for start in (0..blocks).step_by(together) {
            let count = together.min(blocks - start);
            let (middle, end) = (start + count / pieces, start + count);
            let apart = &mut room[..(end - middle) * rows * n];
            let waiting = Target::new(apart, (end - middle) * rows, n, n).expect("rows do not overlap");
            par::join(
                || self.blocks(b, &mut c, self.walk, 0, (start..middle, None)),
                || later.apart(b, waiting, middle..end, pieces - 1),
            );
            Self::add(c.block(0, 0, rows, n), apart, 0, rows, pieces);
        }
    }

    /// Computes the sums of each of these blocks, which C has below each other.
    fn apart(&self, b: Source<T>, mut c: Target<T>, blocks: Range<usize>, pieces: usize) {
        let (count, half) = (blocks.len(), pieces / 2);
        let rows = c.rows / count.max(1);
        if pieces < 2 || count < 2 {
            return self.blocks(b, &mut c, self.walk, 0, (blocks, Some(rows)));
        }
        let at = (count * half / pieces).max(1);
        let (upper, lower) = c.split_rows(at * rows);
        let middle = blocks.start + at;
        par::join(
            || self.apart(b, upper, blocks.start..middle, half),
            || self.apart(b, lower, middle..blocks.end, pieces - half),
        );
    }

    /// Adds the sums that waited apart, those of `rows` rows a block, to C, whose first row has the number `from`.
    fn add(mut c: Target<T>, apart: &[T], from: usize, rows: usize, pieces: usize) {
        if pieces > 1 && c.rows > 1 {
            let at = c.rows / 2;
            let (upper, lower) = c.split_rows(at);
            par::join(
                || Self::add(upper, apart, from, rows, pieces / 2),
                || Self::add(lower, apart, from + at, rows, pieces - pieces / 2),
            );
            return;
        }
        let n = c.cols;
        for i in 0..c.rows {
            let sums = c.row(i);
            for block in apart.chunks_exact(rows * n) {
                let more = &block[(from + i) * n..][..n];
                sums.iter_mut().zip(more).for_each(|(sum, more)| *sum = *sum + *more);
            }
        }
    }

    /// Divides `count` channels from `first` on into pieces. C has a row for each tap.
    fn by_channels(&self, b: Source<T>, c: Target<T>, (first, count): (usize, usize), pieces: usize) {
        if pieces < 2 || count < 2 {
            return self.piece(b, c, (first, count));
        }
        let half = pieces / 2;
        let at = (count * half / pieces).max(1);
        let (left, right) = c.split_cols(at * self.ld);
        par::join(
            || self.by_channels(b, left, (first, at), half),
            || self.by_channels(b, right, (first + at, count - at), pieces - half),
        );
    }

    /// Divides columns into pieces. C has a row for each tap and channel.
    fn by_columns(&self, b: Source<T>, c: Target<T>, pieces: usize) {
        const LEAST: usize = 16;
        let (n, half) = (c.cols, pieces / 2);
        if pieces < 2 || n < 2 * LEAST {
            return self.piece(b, c, (0, self.used));
        }
        let at = (n * half / pieces).next_multiple_of(LEAST).min((n - 1) / LEAST * LEAST);
        let (left, right) = c.split_cols(at);
        par::join(
            || self.by_columns(b.block(0, 0, b.rows, at), left, half),
            || self.by_columns(b.block(0, at, b.rows, n - at), right, pieces - half),
        );
    }

    /// Computes `count` channels from `first` on, with which C begins.
    fn piece(&self, b: Source<T>, mut c: Target<T>, (first, count): (usize, usize)) {
        let (taps, n) = (self.walk.taps(), b.cols);
        let most = (GRADIENT / (taps * n)).clamp(8, count.max(8));
        let each = count.div_ceil(count.div_ceil(most));
        for at in (0..count).step_by(each) {
            let channels = each.min(count - at);
            let blocks = 0..b.rows.div_ceil(T::KC);
            self.blocks(b, &mut c, self.walk.part(first + at, channels), at, (blocks, None));
        }
    }

    /// Computes these blocks of K for the channels in use of a walk, which begin with number `at` of those in C. The sums
    /// of each block are so many rows below those of the block before, if they are not added.
    fn blocks(
        &self,
        b: Source<T>,
        c: &mut Target<T>,
        walk: Walk<T>,
        at: usize,
        (blocks, below): (Range<usize>, Option<usize>),
    ) {
        let (n, m) = (b.cols, walk.taps() * walk.used);
        let (first, end) = (blocks.start * T::KC, b.rows.min(blocks.end * T::KC));
        let k = end - first;
        let shape = self.kernels.gathering(self.kernels.shape(n));
        let Shape { mr, nr } = shape;
        let tiled = m.next_multiple_of(mr);
        let band = (BAND / walk.weight()).clamp(T::KC, k.max(T::KC)) / T::KC * T::KC;
        let band = band.min(4 * T::KC);
        let packs = n > 1 && b.cs != 1 || n > nr && m > ENOUGH;
        let room = if packs { self.kernels.packed_len(k.min(T::KC), nr, nr) } else { 0 };
        scratch::with(2 * tiled + band.min(k), |tables: &mut [usize]| {
            let (rows, tables) = tables.split_at_mut(tiled);
            let (to, steps) = tables.split_at_mut(tiled);
            walk.steps(&mut rows[..m]);
            for (i, to) in to[..m].iter_mut().enumerate() {
                *to = (i / walk.used * self.used + at + i % walk.used) * self.ld;
            }
            rows.repeat_last(m, tiled);
            to.repeat_last(m, tiled);
            scratch::with(room + sums_len(shape, tiled), |room: &mut [T]| {
                let (sums, packed) = room.split_at_mut(sums_len(shape, tiled));
                for start in (first..end).step_by(band) {
                    let places = band.min(end - start);
                    scratch::with(walk.room(start, places), |room: &mut [T]| {
                        let data = walk.lay(start, room, &mut steps[..places]);
                        let a = Gather::new(data, rows, &steps[..places])
                            .expect("places and taps lie in the images");
                        for p in (0..places).step_by(T::KC) {
                            let kc = T::KC.min(places - p);
                            let prior = start + p > 0 && below.is_none();
                            if let Some(below) = below.filter(|_| start + p > first) {
                                to.iter_mut().for_each(|to| *to += below * self.ld);
                            }
                            let mut out =
                                Scatter::new(c, to, n).expect("taps and channels lie in the kernel");
                            for j in (0..n).step_by(nr) {
                                let cols = nr.min(n - j);
                                let mut right = b.block(start + p, j, kc, cols);
                                if packs {
                                    self.kernels.pack(right, nr, packed);
                                    right = panel(packed, kc, cols, nr);
                                }
                                let mut out = out.columns(j, cols);
                                let (a, b) = (a.block(p, kc), (right, Following::None));
                                in_parts(self.kernels, shape, a, b, sums, prior, &mut out, None);
                            }
                        }
                    });
                }
            });
        });
    }
}
