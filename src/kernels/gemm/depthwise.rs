//! The three products of a depthwise convolution, where each channel has one filter of its own: nothing is shared
//! between channels, so vectors run across them, and places or taps side by side are the chains that keep the
//! processor busy. The order of arithmetic is that of a product for each channel.

use super::finish::Finish;
use super::gather::Gather;
use super::matrix::Target;
use super::patches::Stack;
use super::walk::Walk;
use super::{Epilogue, Gemm, Patches, Spread, Store};
use crate::kernels::par;
use crate::kernels::scratch;
use crate::kernels::simd::{isa, stamped};

/// Channels and taps of a gradient that are computed together.
const LONG: usize = 32;
const SHORT: usize = LONG / 2;
const TAPS: usize = 3;
/// Elements of images that a chunk of rows reads, about.
const BAND: usize = 1 << 16;

/// Whether sums over taps are one chain, and images can be laid out.
pub(crate) fn suits<T: Gemm>(patches: &Patches<T>) -> bool {
    fits(&patches.0, false)
}

/// The same for the gradient of images.
pub(crate) fn suits_back<T: Gemm>(spread: &Spread<T>) -> bool {
    fits(&spread.0, true)
}

fn fits<T: Gemm>(stack: &Stack<T>, back: bool) -> bool {
    let some = stack.rows > 0 && stack.used > 0 && stack.cols / stack.used <= T::KC;
    some && isa().is_fused() && stack.worthwhile(back)
}

/// Computes y from images and a kernel `[taps, channels]`, then the epilogue.
pub(crate) fn depthwise<T: Gemm>(patches: &Patches<T>, k: &[T], y: &mut [T], end: Epilogue<T>) {
    let rows = patches.0.rows;
    let finish = Finish::new(isa(), Store::Write, &end, (rows, patches.0.used, patches.0.used));
    product(&patches.0, false, k, y, (&finish, end.residual));
}

/// Computes the gradient of images from that of y, `k` being `[taps, channels]`.
pub(crate) fn depthwise_input<T: Gemm>(spread: &Spread<T>, k: &[T], x: &mut [T]) {
    product(&spread.0, true, k, x, (&Finish::none(Store::Write), None));
}

/// What follows the sums, and the residual from where the results begin.
type End<'a, T> = (&'a Finish<'a, T>, Option<&'a [T]>);

fn product<T: Gemm>(stack: &Stack<T>, back: bool, k: &[T], out: &mut [T], (end, residual): End<T>) {
    let (kinds, unit, c) = (stack.kinds(back), stack.unit(back), stack.used);
    let taps = stack.cols / c;
    let grain = (par::GRAIN / taps.div_ceil(4)).max(1);
    par::chunks(out, unit * c, grain, &|first, out| {
        let count = out.len() / (unit * c);
        let end = (end, residual.map(|r| &r[first * unit * c..]));
        for kind in 0..kinds {
            let walk = stack.walk(back, kind);
            let each = if kinds > 1 { walk.rows() } else { 1 };
            rows(&walk, k, out, end, (first * unit, first * each, count * each));
        }
    });
}

/// Computes `count` rows from `from` on; `out` begins with the row number `base`.
fn rows<T: Gemm>(
    walk: &Walk<T>,
    k: &[T],
    out: &mut [T],
    (end, residual): End<T>,
    (base, from, count): (usize, usize, usize),
) {
    let (c, taps, kernels) = (walk.used, walk.taps(), T::kernels(isa()));
    let chunk = (BAND / walk.weight()).clamp(32, 1024).min(count);
    scratch::with(2 * taps + 2 * chunk, |tables: &mut [usize]| {
        let (at, tables) = tables.split_at_mut(taps);
        let (tap, tables) = tables.split_at_mut(taps);
        let (rows, to) = tables.split_at_mut(chunk);
        for (j, (at, tap)) in at.iter_mut().zip(tap.iter_mut()).enumerate() {
            (*at, *tap) = (walk.offset(j), walk.tap(j) * c);
        }
        for start in (from..from + count).step_by(chunk) {
            let m = chunk.min(from + count - start);
            scratch::with(walk.room(start, m), |room: &mut [T]| {
                let data = walk.lay(start, room, &mut rows[..m]);
                walk.targets(start, base, c, &mut to[..m]);
                let a = Gather::new(data, &rows[..m], at).expect("rows and taps lie in the images");
                kernels.depthwise(a, (k, tap), (&mut *out, &to[..m]), c, (end, residual));
                if end.more() {
                    to[..m].iter().for_each(|&to| end.after(&mut out[to..][..c]));
                }
            });
        }
    });
}

/// Computes the gradient of a kernel `[taps, channels]` from images and the gradient of y.
pub(crate) fn depthwise_kernel<T: Gemm>(patches: &Patches<T>, y: &[T], k: &mut [T]) {
    let (stack, c) = (&patches.0, patches.0.used);
    let (walk, taps) = (stack.walk(false, 0), stack.cols / c);
    let work = stack.rows.saturating_mul(taps).saturating_mul(c);
    let pieces = (work / par::GRAIN / 4).clamp(1, par::threads());
    let all = Target::new(k, taps, c, c).expect("a row of channels for each tap");
    divide(&walk, y, all, 0, pieces);
}

/// Halves the channels, of which those in `k` begin with number `first`, into pieces.
fn divide<T: Gemm>(walk: &Walk<T>, y: &[T], k: Target<T>, first: usize, pieces: usize) {
    let (c, half) = (k.cols, pieces / 2);
    if pieces < 2 || c < 2 * LONG {
        return gradient(walk.part(first, c), (y, walk.used, first), k);
    }
    let at = (c * half / pieces).next_multiple_of(LONG).min((c - 1) / LONG * LONG);
    let (left, right) = k.split_cols(at);
    par::join(|| divide(walk, y, left, first, half), || divide(walk, y, right, first + at, pieces - half));
}

/// Computes the channels in use of a walk; each place of `y` has `all` channels, of which these begin with number
/// `first`.
fn gradient<T: Gemm>(walk: Walk<T>, (y, all, first): (&[T], usize, usize), mut k: Target<T>) {
    let (c, taps, places) = (walk.used, walk.taps(), y.len() / all);
    let band = (BAND / walk.weight() / T::KC).clamp(1, 4) * T::KC;
    scratch::with(taps + band.min(places), |tables: &mut [usize]| {
        let (at, rows) = tables.split_at_mut(taps);
        at.iter_mut().enumerate().for_each(|(j, at)| *at = walk.offset(j));
        scratch::with(taps * c, |sums: &mut [T]| {
            sums.fill(T::c(0.0));
            for start in (0..places).step_by(band) {
                let m = band.min(places - start);
                scratch::with(walk.room(start, m), |room: &mut [T]| {
                    let data = walk.lay(start, room, &mut rows[..m]);
                    for p in (0..m).step_by(T::KC) {
                        let rows = &rows[p..m.min(p + T::KC)];
                        let y = &y[(start + p) * all + first..];
                        sums_of(data, rows, at, y, all, c, start + p > 0, sums);
                    }
                });
            }
            (0..taps).for_each(|i| k.row(i).copy_from_slice(&sums[i * c..][..c]));
        });
    });
}

stamped! {
    /// Adds a block of places: `sums[tap] += Σ data[row + at] * y[place]` for each of `c` channels, places ascending.
    fn sums_of<T: Gemm>(data: &[T], rows: &[usize], at: &[usize], y: &[T], all: usize, c: usize, more: bool, sums: &mut [T]) {
        let mut j = 0;
        while j + LONG <= c {
            channels_of::<T, LONG>(data, rows, at, y, all, j, more, sums, c);
            j += LONG;
        }
        if j + SHORT <= c {
            channels_of::<T, SHORT>(data, rows, at, y, all, j, more, sums, c);
            j += SHORT;
        }
        let n = c - j;
        if n > 0 {
            for (i, &at) in at.iter().enumerate() {
                let mut acc = [T::c(0.0); SHORT];
                for (p, &row) in rows.iter().enumerate() {
                    let (x, y) = (&data[row + at + j..][..n], &y[p * all + j..][..n]);
                    acc.iter_mut().zip(x).zip(y).for_each(|((a, &x), &y)| *a = x.fma(y, *a));
                }
                let sums = &mut sums[i * c + j..][..n];
                sums.iter_mut().zip(acc).for_each(|(s, a)| *s = if more { *s + a } else { a });
            }
        }
    }
}

/// The same for `W` channels from number `j` on.
#[allow(clippy::too_many_arguments)] // those of `sums_of`
#[inline(always)]
fn channels_of<T: Gemm, const W: usize>(
    data: &[T],
    rows: &[usize],
    at: &[usize],
    y: &[T],
    all: usize,
    j: usize,
    more: bool,
    sums: &mut [T],
    c: usize,
) {
    let mut i = 0;
    while i + TAPS <= at.len() {
        taps_of::<T, TAPS, W>(data, rows, &at[i..], y, all, j, more, &mut sums[i * c..], c);
        i += TAPS;
    }
    while i < at.len() {
        taps_of::<T, 1, W>(data, rows, &at[i..], y, all, j, more, &mut sums[i * c..], c);
        i += 1;
    }
}

/// The same for `N` taps and `W` channels from number `j` on.
#[allow(clippy::too_many_arguments)] // those of `sums_of`
#[inline(always)]
fn taps_of<T: Gemm, const N: usize, const W: usize>(
    data: &[T],
    rows: &[usize],
    at: &[usize],
    y: &[T],
    all: usize,
    j: usize,
    more: bool,
    sums: &mut [T],
    c: usize,
) {
    let at: [usize; N] = std::array::from_fn(|i| at[i] + j);
    let mut acc = [[T::c(0.0); W]; N];
    for (p, &row) in rows.iter().enumerate() {
        let y = &y[p * all + j..][..W];
        for i in 0..N {
            let x = &data[row + at[i]..][..W];
            for l in 0..W {
                acc[i][l] = x[l].fma(y[l], acc[i][l]);
            }
        }
    }
    for i in 0..N {
        let sums = &mut sums[i * c + j..][..W];
        sums.iter_mut().zip(acc[i]).for_each(|(s, a)| *s = if more { *s + a } else { a });
    }
}
