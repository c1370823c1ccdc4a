//! The simple recurrence.

use super::{Over, row, row_mut, state, state_mut};
use crate::Float;
use crate::kernels::gemm::{Act, Gemm, Mat};
use crate::kernels::par;
use crate::kernels::simd::stamped;

/// Computes `h = tanh(z + h·R)` at each step. `z` holds the projected inputs, and afterwards the sums. `room` is as
/// long as [`Over::room`] says.
pub fn simple_rnn<T: Float + Gemm>(
    over: &Over<'_>,
    recurrent: &[T],
    z: &mut [T],
    [h, last, room]: [&mut [T]; 3],
) {
    let u = over.units;
    let (weights, _) = over.weights(Mat::row_major(recurrent, u, u), room);
    let grain = over.grain(h.len(), u, 1);
    par::rows(h, over.time * u, [z, last], grain, &|first, h, [z, last]: [&mut [T]; 2]| {
        for step in 0..over.time {
            let time = over.at(step);
            weights.add(state(last, u), over.matrix_mut(z, time, u, 0, u));
            for (r, last) in last.chunks_exact_mut(u).enumerate() {
                if over.counts(first + r, time) {
                    last.copy_from_slice(row(z, r * over.time + time, u));
                    Act::Tanh.apply_all(last);
                }
                row_mut(h, r * over.time + step, u).copy_from_slice(last);
            }
        }
    });
}

stamped! {
    /// The gradient of one row's sums, from that of its output, `g` and what later steps say, `dh`.
    fn cell_grad<T: Gemm>(dz: &mut [T], g: &[T], h: &[T], dh: &mut [T]) {
        for (((dz, &g), &h), dh) in dz.iter_mut().zip(g).zip(h).zip(dh) {
            *dz = (*dh + g) * (T::c(1.0) - h * h);
            *dh = T::c(0.0);
        }
    }
}

/// Computes the gradient of [`simple_rnn`]'s projections, from that of its outputs, `g`. `dh` holds the gradient of
/// the last state, and afterwards that of the first.
pub fn simple_rnn_grad<T: Float + Gemm>(
    over: &Over<'_>,
    recurrent: &[T],
    (g, h): (&[T], &[T]),
    dz: &mut [T],
    [dh, room]: [&mut [T]; 2],
) {
    let u = over.units;
    let (back, _) = over.weights(Mat::row_major(recurrent, u, u).t(), room);
    let grain = over.grain(dz.len(), u, 1);
    par::rows(dz, over.time * u, [dh], grain, &|first, dz, [dh]: [&mut [T]; 1]| {
        for step in (0..over.time).rev() {
            let time = over.at(step);
            for (r, dh) in dh.chunks_exact_mut(u).enumerate() {
                let at = (first + r) * over.time + step;
                let (g, dz) = (row(g, at, u), row_mut(dz, r * over.time + time, u));
                if over.counts(first + r, time) {
                    cell_grad(dz, g, row(h, at, u), dh);
                } else {
                    dh.iter_mut().zip(g).for_each(|(dh, &g)| *dh += g);
                    dz.fill(T::zero());
                }
            }
            back.add(over.matrix(dz, time, u, 0, u), state_mut(dh, u));
        }
    });
}
