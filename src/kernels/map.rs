//! Elementwise work over any strides and broadcasts. Operands are cut into contiguous runs (copied into a small
//! tile where they are not), so every formula is only ever a loop over slices.

use super::par;
use super::strided::{Axes, Strided, gather};
use crate::Stored;

/// Rows up to this length are gathered, several to a tile, even if their elements are contiguous.
const SHORT: usize = 16;

/// Elements gathered at a time; a tile of each operand stays in the first-level cache.
const TILE: usize = 256;

/// Computes `out[i] = f(x[i])` in row-major order, by a kernel on slices.
pub fn unary<A: Stored, B: Stored>(
    x: Strided<A>,
    out: &mut [B],
    cost: usize,
    f: &(dyn Fn(&[A], &mut [B]) + Sync),
) {
    let grain = par::GRAIN / cost.max(1);
    if let Some(x) = x.as_slice() {
        return par::chunks(out, 1, grain, &|first, run| f(&x[first..first + run.len()], run));
    }
    let axes = Axes::collapse([x.layout()]);
    let (row, [step]) = (axes.row(), axes.steps());
    if row <= SHORT {
        // A call for every few elements would cost more than they do, so this takes as many rows as fill a tile.
        let lines = TILE / row;
        return par::chunks(out, row, grain, &|first, run: &mut [B]| {
            let mut tile = [A::default(); TILE];
            for (i, part) in run.chunks_mut(lines * row).enumerate() {
                let tile = &mut tile[..part.len()];
                rows(x, &axes, 0, first + i * lines, row, tile);
                f(tile, part);
            }
        });
    }
    par::chunks(out, row, grain, &|first, run: &mut [B]| {
        let mut tile = [A::default(); TILE];
        for (i, line) in run.chunks_mut(row).enumerate() {
            let [mut at] = axes.start(first + i);
            if step == 1 {
                f(&x.data()[at as usize..at as usize + row], line);
                continue;
            }
            for part in line.chunks_mut(TILE) {
                let tile = &mut tile[..part.len()];
                gather(x.data(), at, step, tile);
                f(tile, part);
                at += step * part.len() as isize;
            }
        }
    });
}

/// A kernel on slices of one length.
type Pairwise<'a, A, B, C> = dyn Fn(&[A], &[B], &mut [C]) + Sync + 'a;

/// Computes `out[i] = f(a[i], b[i])` in row-major order; both operands already have the output's shape (strides of
/// 0 repeat).
pub fn binary<A: Stored, B: Stored, C: Stored>(
    a: Strided<A>,
    b: Strided<B>,
    out: &mut [C],
    cost: usize,
    f: &Pairwise<A, B, C>,
) {
    let grain = par::GRAIN / cost.max(1);
    if let (Some(a), Some(b)) = (a.as_slice(), b.as_slice()) {
        return par::chunks(out, 1, grain, &|first, run| {
            let end = first + run.len();
            f(&a[first..end], &b[first..end], run);
        });
    }
    let axes = Axes::collapse([a.layout(), b.layout()]);
    let (row, [step_a, step_b]) = (axes.row(), axes.steps());
    if row <= SHORT {
        let lines = TILE / row;
        return par::chunks(out, row, grain, &|first, run: &mut [C]| {
            let (mut tile_a, mut tile_b) = ([A::default(); TILE], [B::default(); TILE]);
            for (i, part) in run.chunks_mut(lines * row).enumerate() {
                let (tile_a, tile_b) = (&mut tile_a[..part.len()], &mut tile_b[..part.len()]);
                rows(a, &axes, 0, first + i * lines, row, tile_a);
                rows(b, &axes, 1, first + i * lines, row, tile_b);
                f(tile_a, tile_b, part);
            }
        });
    }
    par::chunks(out, row, grain, &|first, run: &mut [C]| {
        let (mut tile_a, mut tile_b) = ([A::default(); TILE], [B::default(); TILE]);
        for (i, line) in run.chunks_mut(row).enumerate() {
            let [mut at_a, mut at_b] = axes.start(first + i);
            let width = if step_a == 1 && step_b == 1 { row } else { TILE };
            for part in line.chunks_mut(width) {
                let n = part.len();
                let x = contiguous(a.data(), at_a, step_a, &mut tile_a, n);
                let y = contiguous(b.data(), at_b, step_b, &mut tile_b, n);
                f(x, y, part);
                at_a += step_a * n as isize;
                at_b += step_b * n as isize;
            }
        }
    });
}

/// Computes `a[i] = f(a[i], b[i])` by the kernel of [`binary`], which gets a copy of each tile of `a`: it stays in the
/// first-level cache, so memory is read twice and written once instead of also read before it is written.
pub fn binary_in_place<T: Stored>(a: &mut [T], b: &[T], cost: usize, f: &Pairwise<T, T, T>) {
    par::chunks(a, 1, par::GRAIN / cost.max(1), &|first, run: &mut [T]| {
        let mut tile = [T::default(); 4 * TILE];
        for (part, b) in run.chunks_mut(4 * TILE).zip(b[first..].chunks(4 * TILE)) {
            let tile = &mut tile[..part.len()];
            tile.copy_from_slice(part);
            f(tile, &b[..part.len()], part);
        }
    });
}

/// Fills the tile with short rows, from row number `first` of array number `which` on.
fn rows<T: Stored, const N: usize>(
    x: Strided<T>,
    axes: &Axes<N>,
    which: usize,
    first: usize,
    row: usize,
    tile: &mut [T],
) {
    let step = axes.steps()[which];
    for (i, line) in tile.chunks_exact_mut(row).enumerate() {
        gather(x.data(), axes.start(first + i)[which], step, line);
    }
}

/// Returns `n` elements as a slice: in place if they are contiguous, else in the tile.
#[inline(always)]
fn contiguous<'a, T: Stored>(
    data: &'a [T],
    at: isize,
    step: isize,
    tile: &'a mut [T; TILE],
    n: usize,
) -> &'a [T] {
    if step == 1 {
        return &data[at as usize..at as usize + n];
    }
    gather(data, at, step, &mut tile[..n]);
    &tile[..n]
}

/// Copies to row-major order. Where the memory's own rows run along the second to last axis (a transpose), square
/// tiles are transposed in the first-level cache, so that neither side is read or written across its rows.
pub fn copy<T: Stored>(x: Strided<T>, out: &mut [T]) {
    if let Some(x) = x.as_slice() {
        return par::chunks(out, 1, par::GRAIN, &|first, run| run.copy_from_slice(&x[first..][..run.len()]));
    }
    let axes = Axes::collapse([x.layout()]);
    let (row, [step]) = (axes.row(), axes.steps());
    if axes.rank < 2 || step == 1 || axes.strides[0][axes.rank - 2] != 1 || row < SQUARE {
        return par::chunks(out, row, par::GRAIN, &|first, run| rows(x, &axes, 0, first, row, run));
    }
    let lines = axes.dims[axes.rank - 2];
    par::chunks(out, row, par::GRAIN, &|first, run: &mut [T]| {
        let (mut line, mut rest) = (first, run);
        while !rest.is_empty() {
            // As many rows as stay in this square and on this side of the next outer axis.
            let count = SQUARE.min(lines - line % lines).min(rest.len() / row);
            let (now, later) = rest.split_at_mut(count * row);
            let [start] = axes.start(line);
            turn(x.data(), start, step, now, row);
            (line, rest) = (line + count, later);
        }
    });
}

/// Rows and columns of the squares that a transpose is made of: two cache lines of f32.
const SQUARE: usize = 32;

/// Fills rows `r` of `out`, each `row` long, from the columns `start + r`, whose elements are `step` apart.
fn turn<T: Stored>(data: &[T], start: isize, step: isize, out: &mut [T], row: usize) {
    let count = out.len() / row;
    let mut tile = [[T::default(); SQUARE]; SQUARE];
    for from in (0..row).step_by(SQUARE) {
        let width = SQUARE.min(row - from);
        for (c, column) in tile[..width].iter_mut().enumerate() {
            let at = (start + (from + c) as isize * step) as usize;
            column[..count].copy_from_slice(&data[at..at + count]);
        }
        for (r, line) in out.chunks_exact_mut(row).enumerate() {
            for (o, column) in line[from..from + width].iter_mut().zip(&tile) {
                *o = column[r];
            }
        }
    }
}

/// Writes `x`, in row-major order, to the positions in `out` that `target` names.
pub fn scatter<T: Stored>(x: &[T], target: &super::strided::Layout, out: &mut [T]) {
    let axes = Axes::collapse([target]);
    let (row, [step]) = (axes.row(), axes.steps());
    for (i, line) in x.chunks(row.max(1)).enumerate() {
        let [mut at] = axes.start(i);
        if step == 1 {
            out[at as usize..at as usize + row].copy_from_slice(line);
            continue;
        }
        for &v in line {
            out[at as usize] = v;
            at += step;
        }
    }
}
