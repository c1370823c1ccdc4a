//! The one order of all sorting: NaN last, and equal elements in their original order.

use super::par;
use crate::Stored;
use std::cmp::Ordering;

/// The cost of sorting an element, relative to an addition.
const COST: usize = 32;

/// Compares, ascending or descending; NaN comes last in both, and zeros of both signs are equal.
#[inline(always)]
#[allow(clippy::eq_op)] // NaN alone differs from itself
pub fn order<T: PartialOrd>(a: &T, b: &T, descending: bool) -> Ordering {
    match a.partial_cmp(b) {
        Some(order) if descending => order.reverse(),
        Some(order) => order,
        None => (a != a).cmp(&(b != b)),
    }
}

/// Returns the indices that sort each row of `n`.
pub fn argsort<T: Stored + PartialOrd>(x: &[T], n: usize, descending: bool, out: &mut [i64]) {
    par::chunks(out, n, par::GRAIN / COST, &|first, run: &mut [i64]| {
        for (r, out) in run.chunks_exact_mut(n).enumerate() {
            let row = &x[(first + r) * n..][..n];
            for (i, o) in out.iter_mut().enumerate() {
                *o = i as i64;
            }
            sort_indices(out, &|i, j| order(&row[i as usize], &row[j as usize], descending));
        }
    });
}

/// Sorts indices by what they stand for. Not generic, so it is compiled once for all element types. The index
/// decides between equal elements, which is as good as a stable sort, and in place.
fn sort_indices(indices: &mut [i64], order: &dyn Fn(i64, i64) -> Ordering) {
    indices.sort_unstable_by(|&i, &j| order(i, j).then(i.cmp(&j)));
}
