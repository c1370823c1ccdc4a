//! Matrix products of integers. Wrapping sums do not round, so their order is free: a row of the result is made of
//! the rows of the right matrix, each read in order.

use super::math::Whole;
use super::par;
use super::simd::stamped;
use super::strided::{Axes, Layout};

stamped! {
    /// Computes `out = row · b`, where `b` has as many rows as `row` has numbers.
    fn row_product<T: Whole>(row: &[T], b: &[T], out: &mut [T]) {
        out.fill(T::ZERO);
        for (&factor, b) in row.iter().zip(b.chunks_exact(out.len())) {
            for (o, &b) in out.iter_mut().zip(b) {
                *o = o.plus(factor.times(b));
            }
        }
    }
}

/// Computes for each row of the result, `n` long, the product of a row of `a`, `k` long, and a matrix of `b`. The
/// two layouts, whose shape is that of the result's rows, say where these begin.
pub fn product<T: Whole>(a: &[T], b: &[T], begins: [&Layout; 2], k: usize, n: usize, out: &mut [T]) {
    if n == 0 || k == 0 {
        return out.fill(T::ZERO);
    }
    let axes = Axes::collapse(begins);
    let (width, steps) = (axes.row(), axes.steps());
    par::chunks(out, n, (par::GRAIN / k.max(1)).max(1), &|first, run: &mut [T]| {
        for (i, out) in run.chunks_exact_mut(n).enumerate() {
            let (start, place) = (axes.start((first + i) / width), ((first + i) % width) as isize);
            let [a_at, b_at] = [0, 1].map(|of| (start[of] + place * steps[of]) as usize);
            row_product(&a[a_at..a_at + k], &b[b_at..b_at + k * n], out);
        }
    });
}
