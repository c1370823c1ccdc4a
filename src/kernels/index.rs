//! Moves whole runs by index; and the adjoint, which adds them back. Additions into one place happen in the order
//! of the index list, whatever the number of threads.

use super::par;
use super::simd::fetch;
use crate::{Float, Stored};

/// The shape of a gather: `outer` blocks, each holding `axis` runs of `inner` elements.
#[derive(Clone, Copy, Debug)]
pub struct Runs {
    /// Product of the sizes before the axis.
    pub outer: usize,
    /// Size of the indexed axis.
    pub axis: usize,
    /// Product of the sizes after the axis.
    pub inner: usize,
}

/// How many runs ahead are prefetched while one is copied: no hardware can guess where an index leads.
const AHEAD: usize = 3;
/// The bytes of a run that are prefetched. Hardware goes on from there, and faster.
const START: usize = 1024;

/// Computes `out[o, k, :] = x[o, index[k], :]`. The caller has checked that every index is below `runs.axis`.
pub fn gather<T: Stored>(x: &[T], index: &[i64], runs: Runs, out: &mut [T]) {
    if runs.inner == 0 {
        return;
    }
    par::chunks(out, runs.inner, par::GRAIN, &|first, part: &mut [T]| {
        let source = |i: usize| {
            let (o, k) = (i / index.len(), i % index.len());
            let at = (o * runs.axis + index[k] as usize) * runs.inner;
            &x[at..at + runs.inner]
        };
        let last = first + part.len() / runs.inner;
        let fetch_start = |i: usize| {
            if i < last {
                fetch(&source(i)[..runs.inner.min(START / size_of::<T>())]);
            }
        };
        (first..first + AHEAD).for_each(fetch_start);
        for (run, i) in part.chunks_exact_mut(runs.inner).zip(first..) {
            fetch_start(i + AHEAD);
            run.copy_from_slice(source(i));
        }
    });
}

/// Computes `out[o, index[k], :] = Σ g[o, k, :]` from 0, in ascending k. Each row of `out` belongs to one thread,
/// which looks through the whole index for it, so every sum has one order.
pub fn scatter_add<T: Float>(g: &[T], index: &[i64], runs: Runs, out: &mut [T]) {
    let Runs { axis, inner, .. } = runs;
    if axis * inner == 0 {
        return;
    }
    // No more pieces than threads: each reads the index.
    let grain = (out.len() / par::threads()).max(par::GRAIN);
    par::chunks(out, inner, grain, &|first, part: &mut [T]| {
        part.fill(T::zero());
        let end = first + part.len() / inner;
        for block in first / axis..end.div_ceil(axis) {
            let g = &g[block * index.len() * inner..];
            for (&at, g) in index.iter().zip(g.chunks_exact(inner)) {
                let row = block * axis + at as usize;
                if (first..end).contains(&row) {
                    let out = &mut part[(row - first) * inner..][..inner];
                    out.iter_mut().zip(g).for_each(|(o, &g)| *o += g);
                }
            }
        }
    });
}

/// Computes `out[r, j] = x[r, index[r, j]]` for rows of `n` in `x` and of `k` in the others. The caller has checked
/// that every index is below `n`.
pub fn take_rows<T: Stored>(x: &[T], n: usize, index: &[i64], k: usize, out: &mut [T]) {
    par::chunks(out, k, par::GRAIN, &|first, part: &mut [T]| {
        for (r, out) in part.chunks_exact_mut(k).enumerate() {
            let (x, index) = (&x[(first + r) * n..][..n], &index[(first + r) * k..][..k]);
            for (o, &i) in out.iter_mut().zip(index) {
                *o = x[i as usize];
            }
        }
    });
}

/// Computes `out[r, index[r, j]] += g[r, j]`, in ascending j: the adjoint of [`take_rows`].
pub fn add_rows<T: Float>(g: &[T], k: usize, index: &[i64], n: usize, out: &mut [T]) {
    par::chunks(out, n, par::GRAIN, &|first, part: &mut [T]| {
        for (r, out) in part.chunks_exact_mut(n).enumerate() {
            let (g, index) = (&g[(first + r) * k..][..k], &index[(first + r) * k..][..k]);
            for (&g, &i) in g.iter().zip(index) {
                out[i as usize] += g;
            }
        }
    });
}

/// Computes `out[r, index[r, j]] = f(out[r, index[r, j]], x[r, j])` in ascending j, starting from `first`.
pub fn reduce_rows<T: Stored>(
    x: &[T],
    k: usize,
    index: &[i64],
    out: &mut [T],
    n: usize,
    first: T,
    f: fn(T, T) -> T,
) {
    par::chunks(out, n, par::GRAIN, &|row, part: &mut [T]| {
        part.fill(first);
        for (r, out) in part.chunks_exact_mut(n).enumerate() {
            let (x, index) = (&x[(row + r) * k..][..k], &index[(row + r) * k..][..k]);
            for (&x, &i) in x.iter().zip(index) {
                out[i as usize] = f(out[i as usize], x);
            }
        }
    });
}

/// Computes `out[r, index[r, j]] = x[r, j]` in ascending j.
pub fn put_rows<T: Stored>(x: &[T], k: usize, index: &[i64], out: &mut [T], n: usize) {
    par::chunks(out, n, par::GRAIN, &|row, part: &mut [T]| {
        for (r, out) in part.chunks_exact_mut(n).enumerate() {
            let (x, index) = (&x[(row + r) * k..][..k], &index[(row + r) * k..][..k]);
            for (&x, &i) in x.iter().zip(index) {
                out[i as usize] = x;
            }
        }
    });
}
