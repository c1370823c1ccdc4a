//! Sums and other reductions over any axes. The order of additions depends only on the number of elements: elements
//! are cut into blocks of 2048; in a block, element r goes to virtual lane r mod 32, each lane adds in ascending
//! order, and the lanes join in a fixed tree; block sums join pairwise, as the bits of their count say. Layout,
//! threads and vector width do not matter.

use super::math::Whole;
use super::par;
use super::simd::stamped;
use super::strided::{Axes, Layout, Strided};
use crate::shape::MAX_RANK;
use crate::{Float, Shape, Stored};

/// Virtual lanes: a multiple of every vector width, wide enough to hide the latency of an addition.
pub const LANES: usize = 32;

/// Functions of two operands that a reduction folds with.
pub trait Fold: Copy + Send + Sync + 'static {
    /// Returns the neutral element.
    fn start<T: Float>() -> T;
    /// Folds one more element in.
    fn fold<T: Float>(acc: T, x: T) -> T;
}

/// Sums.
#[derive(Clone, Copy, Debug)]
pub struct Sum;
impl Fold for Sum {
    #[inline(always)]
    fn start<T: Float>() -> T {
        T::zero()
    }
    #[inline(always)]
    fn fold<T: Float>(acc: T, x: T) -> T {
        acc + x
    }
}

/// Largest element; NaN if there is one.
#[derive(Clone, Copy, Debug)]
pub struct Max;
impl Fold for Max {
    #[inline(always)]
    fn start<T: Float>() -> T {
        T::neg_infinity()
    }
    #[inline(always)]
    fn fold<T: Float>(acc: T, x: T) -> T {
        acc.maximum(x)
    }
}

/// An element that none exceeds, with no rule for NaN or the sign of zero: one instruction where [`Max`] takes six.
/// For shifting exponents, which a NaN spoils anyway.
#[derive(Clone, Copy, Debug)]
pub struct Pivot;
impl Fold for Pivot {
    #[inline(always)]
    fn start<T: Float>() -> T {
        T::neg_infinity()
    }
    #[inline(always)]
    fn fold<T: Float>(acc: T, x: T) -> T {
        if x > acc { x } else { acc }
    }
}

/// Smallest element; NaN if there is one.
#[derive(Clone, Copy, Debug)]
pub struct Min;
impl Fold for Min {
    #[inline(always)]
    fn start<T: Float>() -> T {
        T::infinity()
    }
    #[inline(always)]
    fn fold<T: Float>(acc: T, x: T) -> T {
        acc.minimum(x)
    }
}

/// Joins the lanes, one half onto the other. Each half is an array of its own: of one array that shrinks in place the compiler
/// makes vectors of two, for the loop before as well, which then takes six times as long.
#[inline(always)]
fn join<F: Fold, T: Float>(lanes: [T; LANES]) -> T {
    let sixteen = halves::<F, T, LANES, 16>(lanes);
    let eight = halves::<F, T, 16, 8>(sixteen);
    let four = halves::<F, T, 8, 4>(eight);
    let two = halves::<F, T, 4, 2>(four);
    F::fold(two[0], two[1])
}

/// Folds the second half onto the first.
#[inline(always)]
fn halves<F: Fold, T: Float, const N: usize, const HALF: usize>(lanes: [T; N]) -> [T; HALF] {
    let mut joined = [T::c(0.0); HALF];
    for i in 0..HALF {
        joined[i] = F::fold(lanes[i], lanes[i + HALF]);
    }
    joined
}

/// Adds `map(a, b)` of a run of pairs to the lanes, starting with lane 0.
#[inline(always)]
fn feed<F: Fold, T: Float>(lanes: &mut [T; LANES], a: &[T], b: &[T], map: impl Fn(T, T) -> T) {
    let (mut a, mut b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    for (a, b) in (&mut a).zip(&mut b) {
        for i in 0..LANES {
            lanes[i] = F::fold(lanes[i], map(a[i], b[i]));
        }
    }
    for ((lane, &a), &b) in lanes.iter_mut().zip(a.remainder()).zip(b.remainder()) {
        *lane = F::fold(*lane, map(a, b));
    }
}

/// Elements of a block: long enough that joining costs little, short enough that sums stay accurate.
const BLOCK: usize = 64 * LANES;

/// Block sums waiting to be joined: one for each bit of the number of blocks so far, so that equal numbers of
/// blocks meet.
#[derive(Clone, Copy)]
struct Pending<T> {
    sums: [T; 48],
    blocks: u64,
}

impl<T: Float> Pending<T> {
    #[inline(always)]
    fn new() -> Self {
        Pending { sums: [T::c(0.0); 48], blocks: 0 }
    }

    #[inline(never)] // once a block: no work for vectors
    fn push<F: Fold>(&mut self, mut sum: T) {
        let mut level = 0;
        while self.blocks >> level & 1 == 1 {
            sum = F::fold(self.sums[level], sum);
            level += 1;
        }
        self.sums[level] = sum;
        self.blocks += 1;
    }

    #[inline(never)]
    fn finish<F: Fold>(&self) -> T {
        let mut levels = (0..48).filter(|level| self.blocks >> level & 1 == 1);
        let Some(first) = levels.next() else { return F::start() };
        levels.fold(self.sums[first], |sum, level| F::fold(self.sums[level], sum))
    }
}

/// Folds at most a block.
#[inline(always)]
fn fold_block<F: Fold, T: Float>(a: &[T], b: &[T], map: impl Fn(T, T) -> T) -> T {
    let mut lanes = [F::start(); LANES];
    feed::<F, T>(&mut lanes, a, b, map);
    join::<F, T>(lanes)
}

/// Folds a slice in the fixed order; for use inside stamped kernels.
#[inline(always)]
pub fn fold_slice<F: Fold, T: Float>(run: &[T]) -> T {
    fold_pairs::<F, T>(run, run, |x, _| x)
}

/// Folds `map(a, b)` of two slices of one length, in the same order; for use inside stamped kernels.
#[inline(always)]
pub fn fold_pairs<F: Fold, T: Float>(a: &[T], b: &[T], map: impl Fn(T, T) -> T + Copy) -> T {
    if a.len() <= BLOCK {
        return fold_block::<F, T>(a, b, map);
    }
    let mut pending = Pending::new();
    for (a, b) in a.chunks(BLOCK).zip(b.chunks(BLOCK)) {
        pending.push::<F>(fold_block::<F, T>(a, b, map));
    }
    pending.finish::<F>()
}

/// [`fold_pairs`] of two rows of one length at once: their chains of additions run side by side, each in its own
/// order, and hide each other's latency. `map` is passed the row of its numbers.
#[inline(always)]
pub fn fold_two<F: Fold, T: Float>(
    a: [&[T]; 2],
    b: [&[T]; 2],
    map: impl Fn(usize, T, T) -> T + Copy,
) -> [T; 2] {
    let (n, mut from, mut pending) = (a[0].len(), 0, None);
    loop {
        let to = n.min(from + BLOCK);
        let sums = fold_two_blocks::<F, T>(a.map(|a| &a[from..to]), b.map(|b| &b[from..to]), map);
        if n <= BLOCK {
            return sums;
        }
        let [first, second] = pending.get_or_insert_with(|| [Pending::new(), Pending::new()]);
        first.push::<F>(sums[0]);
        second.push::<F>(sums[1]);
        if to == n {
            return [first.finish::<F>(), second.finish::<F>()];
        }
        from = to;
    }
}

/// [`fold_two`] of at most a block.
#[inline(always)]
fn fold_two_blocks<F: Fold, T: Float>(
    a: [&[T]; 2],
    b: [&[T]; 2],
    map: impl Fn(usize, T, T) -> T + Copy,
) -> [T; 2] {
    let n = a[0].len();
    // Two named arrays, which the compiler keeps in registers, unlike an array of two.
    let (mut first, mut second) = ([F::start(); LANES], [F::start(); LANES]);
    let [a0, a1] = a.map(|a| a[..n].chunks_exact(LANES));
    let [b0, b1] = b.map(|b| b[..n].chunks_exact(LANES));
    let tails = [a0.remainder(), b0.remainder(), a1.remainder(), b1.remainder()];
    for ((a0, b0), (a1, b1)) in a0.zip(b0).zip(a1.zip(b1)) {
        for i in 0..LANES {
            first[i] = F::fold(first[i], map(0, a0[i], b0[i]));
        }
        for i in 0..LANES {
            second[i] = F::fold(second[i], map(1, a1[i], b1[i]));
        }
    }
    for ((lane, &a), &b) in first.iter_mut().zip(tails[0]).zip(tails[1]) {
        *lane = F::fold(*lane, map(0, a, b));
    }
    for ((lane, &a), &b) in second.iter_mut().zip(tails[2]).zip(tails[3]) {
        *lane = F::fold(*lane, map(1, a, b));
    }
    [join::<F, T>(first), join::<F, T>(second)]
}

stamped! {
    /// Folds each row of `n` elements to one.
    fn rows<F: Fold, T: Float>(x: &[T], n: usize, out: &mut [T]) {
        for (o, row) in out.iter_mut().zip(x.chunks_exact(n)) {
            *o = fold_slice::<F, T>(row);
        }
    }
}

/// Columns reduced together: 32 lanes of them stay in the first-level cache, and rows far apart are visited rarely.
const COLUMNS: usize = 64;

/// Returns how many of `n` columns a thread takes at least: a few cache lines of each row, or one or two of them
/// where all columns would be too few to divide.
fn columns_of_a_thread(n: usize) -> usize {
    COLUMNS.min(n.div_ceil(2).next_multiple_of(16)).min(n)
}

/// Rows whose columns are folded: in memory, or computed on the way.
pub(super) trait Rows<T>: Copy {
    /// Folds row `row`, from column `column` on, into `lane`.
    fn fold<F: Fold>(&self, row: usize, column: usize, lane: &mut [T]);
}

/// Rows in memory, `step` apart from `start` on.
#[derive(Clone, Copy)]
struct InMemory<'a, T> {
    data: &'a [T],
    start: isize,
    step: isize,
}

impl<T: Float> Rows<T> for InMemory<'_, T> {
    #[inline(always)]
    fn fold<F: Fold>(&self, row: usize, column: usize, lane: &mut [T]) {
        let at = (self.start + row as isize * self.step) as usize + column;
        let row = &self.data[at..at + lane.len()];
        for (acc, &x) in lane.iter_mut().zip(row) {
            *acc = F::fold(*acc, x);
        }
    }
}

stamped! {
    /// Folds at most a block of rows, from `first` on, to one row of at most [`COLUMNS`] columns from `column` on.
    fn column_block<F: Fold, T: Float, R: Rows<T>>(rows: R, first: usize, count: usize, column: usize, out: &mut [T]) {
        // As many lanes as get a row, rounded up to a power of two.
        let used = count.min(LANES).next_power_of_two();
        let mut lanes = [[T::c(0.0); COLUMNS]; LANES];
        lanes[..used].as_flattened_mut().fill(F::start());
        let width = out.len();
        for r in 0..count {
            rows.fold::<F>(first + r, column, &mut lanes[r % LANES][..width]);
        }
        // One half onto the other, whole rows at a time: columns beyond the width hold the neutral element.
        let mut half = used / 2;
        while half > 0 {
            let (low, high) = lanes.as_flattened_mut().split_at_mut(half * COLUMNS);
            for (a, &b) in low.iter_mut().zip(&*high) {
                *a = F::fold(*a, b);
            }
            half /= 2;
        }
        out.copy_from_slice(&lanes[0][..width]);
    }
}

/// Folds `count` rows to one, of which `out` is the part from `column` on.
fn columns<F: Fold, T: Float, R: Rows<T>>(rows: R, count: usize, column: usize, out: &mut [T]) {
    for (tile, out) in out.chunks_mut(COLUMNS).enumerate() {
        let column = column + tile * COLUMNS;
        if count <= BLOCK {
            column_block::<F, T, R>(rows, 0, count, column, out);
            continue;
        }
        let mut pending = [Pending::new(); COLUMNS];
        for first in (0..count).step_by(BLOCK) {
            column_block::<F, T, R>(rows, first, BLOCK.min(count - first), column, out);
            pending.iter_mut().zip(&*out).for_each(|(p, &sum)| p.push::<F>(sum));
        }
        pending.iter().zip(out).for_each(|(p, o)| *o = p.finish::<F>());
    }
}

/// [`columns`] of all columns, on the threads of the pool. These take blocks of rows where rows are narrow and many: each
/// thread would else read cache lines beside those of another.
pub(super) fn all_columns<F: Fold, T: Float, R: Rows<T> + Sync>(rows: R, count: usize, out: &mut [T]) {
    const MANY: usize = 8;
    let (n, blocks) = (out.len(), count.div_ceil(BLOCK));
    if par::threads() == 1 || blocks < MANY || !(1..=COLUMNS).contains(&n) {
        let unit = columns_of_a_thread(n).max(1);
        return par::chunks(out, unit, (par::GRAIN / count.max(1)).max(1), &|first, run: &mut [T]| {
            columns::<F, T, R>(rows, count, first * unit, run);
        });
    }
    let (mut sums, mut pending) = ([T::c(0.0); 64 * COLUMNS], [Pending::new(); COLUMNS]);
    let together = sums.len() / n;
    for start in (0..blocks).step_by(together) {
        let sums = &mut sums[..together.min(blocks - start) * n];
        par::chunks(sums, n, par::GRAIN / BLOCK, &|first, run: &mut [T]| {
            for (block, sums) in (start + first..).zip(run.chunks_mut(n)) {
                let from = block * BLOCK;
                column_block::<F, T, R>(rows, from, BLOCK.min(count - from), 0, sums);
            }
        });
        for sums in sums.chunks(n) {
            pending.iter_mut().zip(sums).for_each(|(pending, &sum)| pending.push::<F>(sum));
        }
    }
    pending.iter().zip(out).for_each(|(pending, o)| *o = pending.finish::<F>());
}

/// Splits a layout into its kept and its reduced axes.
fn split(layout: &Layout, reduce: &[bool; MAX_RANK]) -> (Layout, Layout) {
    let mut parts = [Layout { shape: Shape::SCALAR, strides: [0; MAX_RANK], offset: layout.offset }; 2];
    parts[1].offset = 0;
    for (i, &d) in layout.shape.dims().iter().enumerate() {
        let part = &mut parts[usize::from(reduce[i])];
        part.strides[part.shape.rank()] = layout.strides[i];
        part.shape.push(d);
    }
    (parts[0], parts[1])
}

/// A fold as data, so that the code around the kernels is compiled once.
struct By<T> {
    start: T,
    rows: fn(&[T], usize, &mut [T]),
    columns: for<'a> fn(InMemory<'a, T>, usize, usize, &mut [T]),
    all_columns: for<'a> fn(InMemory<'a, T>, usize, &mut [T]),
    scattered: fn(&[T], isize, &Axes<1>, isize, &mut [T; BLOCK]) -> T,
}

/// Folds over the axes set in `reduce`; `out` is in row-major order of the other axes.
pub fn fold<F: Fold, T: Float>(x: Strided<T>, reduce: &[bool; MAX_RANK], out: &mut [T]) {
    let by = By {
        start: F::start(),
        rows: rows::<F, T>,
        columns: |rows, count, column, out| columns::<F, T, _>(rows, count, column, out),
        all_columns: |rows, count, out| all_columns::<F, T, _>(rows, count, out),
        scattered: scattered::<F, T>,
    };
    fold_by(&by, x, reduce, out);
}

fn fold_by<T: Float>(by: &By<T>, x: Strided<T>, reduce: &[bool; MAX_RANK], out: &mut [T]) {
    if out.is_empty() {
        return;
    }
    let (kept, folded) = split(x.layout(), reduce);
    let count = folded.shape.elements();
    if count == 0 {
        return out.fill(by.start);
    }
    let (kept, folded) = (Axes::collapse([&kept]), Axes::collapse([&folded]));
    let grain = (par::GRAIN / count).max(1);
    let data = x.data();
    if let (1, Some(x)) = (folded.steps()[0], x.as_slice())
        && folded.rank <= 1
        && kept.rank <= 1
        && (kept.rank == 0 || kept.steps()[0] == count as isize)
    {
        return par::chunks(out, 1, grain, &|first, run: &mut [T]| {
            (by.rows)(&x[first * count..(first + run.len()) * count], count, run);
        });
    }
    if folded.rank <= 1 && kept.rank > 0 && kept.steps()[0] == 1 {
        let row = kept.row();
        if kept.rank == 1 {
            let rows = InMemory { data, start: kept.start(0)[0], step: folded.steps()[0] };
            return (by.all_columns)(rows, count, out);
        }
        return par::chunks(out, row, grain, &|first, run: &mut [T]| {
            for (i, line) in run.chunks_mut(row).enumerate() {
                let rows = InMemory { data, start: kept.start(first + i)[0], step: folded.steps()[0] };
                (by.columns)(rows, count, 0, line);
            }
        });
    }
    let (row, [step], [inner]) = (kept.row(), kept.steps(), folded.steps());
    par::chunks(out, 1, grain, &|first, run: &mut [T]| {
        let mut tile = [T::c(0.0); BLOCK];
        for (i, o) in run.iter_mut().enumerate() {
            let index = first + i;
            let start = kept.start(index / row)[0] + (index % row) as isize * step;
            *o = (by.scattered)(data, start, &folded, inner, &mut tile);
        }
    });
}

/// Folds elements at any positions, gathered a block at a time.
fn scattered<F: Fold, T: Float>(
    data: &[T],
    start: isize,
    folded: &Axes<1>,
    inner: isize,
    tile: &mut [T; BLOCK],
) -> T {
    let mut pending = Pending::new();
    let mut push = |block: &[T]| {
        let mut sum = [F::start()];
        rows::<F, T>(block, block.len(), &mut sum);
        pending.push::<F>(sum[0]);
    };
    let (row, mut filled) = (folded.row(), 0);
    let count = folded.dims[..folded.rank.saturating_sub(1)].iter().product::<usize>();
    for r in 0..count {
        let mut at = start + folded.start(r)[0];
        for _ in 0..row {
            tile[filled] = data[at as usize];
            at += inner;
            filled += 1;
            if filled == BLOCK {
                push(&*tile);
                filled = 0;
            }
        }
    }
    if filled > 0 {
        push(&tile[..filled]);
    }
    pending.finish::<F>()
}

/// Multiplies over the axes set in `reduce`, from left to right: where numbers are large and small in turn, any other
/// order may overflow on the way.
pub fn product<T: Float>(x: Strided<T>, reduce: &[bool; MAX_RANK], out: &mut [T]) {
    let (kept, folded) = split(x.layout(), reduce);
    let count = folded.shape.elements();
    let (kept, folded) = (Axes::collapse([&kept]), Axes::collapse([&folded]));
    let (width, [step], [inner]) = (kept.row(), kept.steps(), folded.steps());
    let (data, row) = (x.data(), folded.row());
    par::chunks(out, 1, (par::GRAIN / count.max(1)).max(1), &|first, run: &mut [T]| {
        for (i, o) in run.iter_mut().enumerate() {
            let index = first + i;
            let base = kept.start(index / width)[0] + (index % width) as isize * step;
            *o = T::one();
            for r in 0..count / row.max(1) {
                let start = base + folded.start(r)[0];
                for k in 0..row as isize {
                    *o *= data[(start + k * inner) as usize];
                }
            }
        }
    });
}

/// Returns what has been folded so far together with a run of more numbers.
pub type FoldRun = fn(i64, &[i64]) -> i64;

/// Folds integers over the axes set in `reduce`, from `start` on, in 64 bits. Integers do not round, so any order
/// is right.
pub fn fold_whole<A: Whole>(
    x: Strided<A>,
    reduce: &[bool; MAX_RANK],
    start: i64,
    f: FoldRun,
    out: &mut [i64],
) {
    let (kept, folded) = split(x.layout(), reduce);
    let count = folded.shape.elements();
    let (kept, folded) = (Axes::collapse([&kept]), Axes::collapse([&folded]));
    let (width, [step], [inner]) = (kept.row(), kept.steps(), folded.steps());
    let (data, row) = (x.data(), folded.row());
    par::chunks(out, 1, (par::GRAIN / count.max(1)).max(1), &|first, run: &mut [i64]| {
        let mut tile = [0; WIDE];
        for (i, o) in run.iter_mut().enumerate() {
            let index = first + i;
            let base = kept.start(index / width)[0] + (index % width) as isize * step;
            let mut acc = start;
            for r in 0..count / row.max(1) {
                let mut at = base + folded.start(r)[0];
                for from in (0..row).step_by(WIDE) {
                    let tile = &mut tile[..WIDE.min(row - from)];
                    for wide in &mut *tile {
                        *wide = data[at as usize].convert();
                        at += inner;
                    }
                    acc = f(acc, tile);
                }
            }
            *o = acc;
        }
    });
}

/// How many integers are widened at a time.
const WIDE: usize = 256;

/// Returns the index of the first largest (or smallest) element of each row of `n`; of the first NaN if there is
/// one.
#[allow(clippy::eq_op)] // NaN alone differs from itself
pub fn arg_rows<T: Stored + PartialOrd>(x: &[T], n: usize, largest: bool, out: &mut [i64]) {
    for (o, row) in out.iter_mut().zip(x.chunks_exact(n)) {
        let mut best = 0;
        for (i, v) in row.iter().enumerate().skip(1) {
            let better = if largest { *v > row[best] } else { *v < row[best] };
            if (better || v != v) && row[best] == row[best] {
                best = i;
            }
        }
        *o = best as i64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::strided::{Layout, Strided};

    /// Every layout gives the same bytes, and long sums stay accurate.
    #[test]
    fn sums_depend_on_the_numbers_alone_and_are_accurate() {
        for count in [0usize, 1, 31, 33, 2047, 2048, 2049, 6000, 70_001] {
            let x: Vec<f32> = (0..count).map(|i| ((i * 7919) % 1000) as f32 / 1000.0).collect();
            let sum = |layout: Layout, data: &[f32], axes: [bool; MAX_RANK]| {
                let mut out = vec![f32::NAN; if layout.shape.rank() == 1 { 1 } else { 3 }];
                fold::<Sum, f32>(Strided::new(data, layout), &axes, &mut out);
                out[0]
            };
            let mut first = [false; MAX_RANK];
            first[0] = true;
            let row = sum(Layout::contiguous(Shape::new(&[count]).unwrap()), &x, first);
            let wide: Vec<f32> = x.iter().flat_map(|&v| [v, v, v]).collect();
            let column = sum(Layout::contiguous(Shape::new(&[count, 3]).unwrap()), &wide, first);
            let mut gaps = Layout::contiguous(Shape::new(&[count]).unwrap());
            gaps.strides[0] = 3;
            assert_eq!(row.to_bits(), column.to_bits(), "{count}");
            assert_eq!(row.to_bits(), sum(gaps, &wide, first).to_bits(), "{count}");
            let exact: f64 = x.iter().map(|&v| f64::from(v)).sum();
            assert!((f64::from(row) - exact).abs() <= 1e-6 * exact.max(1.0), "{count}: {row} {exact}");
        }
    }

    #[test]
    fn the_mean_of_many_equal_numbers_is_that_number() {
        let n = 1 << 22;
        assert!((fold_slice::<Sum, f32>(&vec![0.1f32; n]) / n as f32 - 0.1).abs() < 1e-7);
    }
}
