//! The gated recurrent unit.

use super::{Over, columns, row, row_mut, state, state_mut};
use crate::Float;
use crate::kernels::gemm::{Gemm, Store};
use crate::kernels::par;
use crate::kernels::simd::stamped;

/// What [`gru`] writes: outputs; what the last third of the recurrent kernel gave (`h·R + b`), or without
/// `reset_after` what it was given (`r·h`); the last state, which initially holds the first; and working memory.
#[derive(Debug)]
pub struct Gru<'a, T> {
    /// `[batch, time, units]`.
    pub h: &'a mut [T],
    /// `[batch, time, units]`, at the times of the inputs.
    pub inner: &'a mut [T],
    /// `[batch, units]`.
    pub last: &'a mut [T],
    /// Working memory, `[batch, 3 units]`.
    pub sums: &'a mut [T],
    /// Working memory, as long as [`Over::room`] says.
    pub room: &'a mut [T],
}

stamped! {
    /// One row of one step with the reset gate after the product, whose result is `sums`.
    fn cell_after<T: Gemm>[R: T](gates: &mut [T], sums: &[T], inner: &mut [T], h: &mut [T]) {
        let u = h.len();
        let (z, rest) = gates.split_at_mut(u);
        let (r, candidate) = rest.split_at_mut(u);
        let (more_z, rest) = sums.split_at(u);
        let (more_r, third) = rest.split_at(u);
        let gates = z.iter_mut().zip(r).zip(candidate);
        let sums = more_z.iter().zip(more_r).zip(third);
        for ((((z, r), candidate), ((&more_z, &more_r), &third)), (inner, h)) in
            gates.zip(sums).zip(inner.iter_mut().zip(h))
        {
            *z = R::of(*z + more_z).sigmoid().value();
            *r = R::of(*r + more_r).sigmoid().value();
            *candidate = R::of(*candidate + *r * third).tanh().value();
            *inner = third;
            *h = *z * *h + (T::c(1.0) - *z) * *candidate;
        }
    }
}
stamped! {
    /// What comes before the product with the last third: both gates, and what that is multiplied with.
    fn reset<T: Gemm>[R: T](gates: &mut [T], inner: &mut [T], h: &[T]) {
        let (z, rest) = gates.split_at_mut(h.len());
        for (((z, r), inner), &h) in z.iter_mut().zip(rest).zip(inner).zip(h) {
            *z = R::of(*z).sigmoid().value();
            *r = R::of(*r).sigmoid().value();
            *inner = *r * h;
        }
    }
}
stamped! {
    /// What comes after it.
    fn cell_before<T: Gemm>[R: T](gates: &mut [T], h: &mut [T]) {
        let (z, rest) = gates.split_at_mut(h.len());
        let candidate = &mut rest[h.len()..];
        for ((&mut z, candidate), h) in z.iter_mut().zip(candidate).zip(h) {
            *candidate = R::of(*candidate).tanh().value();
            *h = z * *h + (T::c(1.0) - z) * *candidate;
        }
    }
}

/// Computes `z, r = σ(…)`, the candidate `tanh(…)`, and `h = z·h + (1 - z)·candidate`. With `bias`, which is that
/// of `h·R`, the reset gate `r` is applied to `h·R + bias`, otherwise to `h`. z, r and the candidate replace the
/// projected inputs (0 where a step does not count).
pub fn gru<T: Float + Gemm>(
    over: &Over<'_>,
    recurrent: &[T],
    bias: Option<&[T]>,
    gates: &mut [T],
    out: Gru<'_, T>,
) {
    let (u, w) = (over.units, 3 * over.units);
    let Gru { h, inner, last, sums, room } = out;
    // All of it, or the first two thirds and the last.
    let first = if bias.is_some() { w } else { 2 * u };
    let (weights, room) = over.weights(columns(recurrent, w, 0..first), room);
    let third = bias.is_none().then(|| over.weights(columns(recurrent, w, first..w), room).0);
    let (grain, more) = (over.grain(h.len(), u, 3), [gates, inner, sums, last]);
    par::rows(h, over.time * u, more, grain, &|first, h, [gates, inner, sums, last]: [&mut [T]; 4]| {
        for step in 0..over.time {
            let time = over.at(step);
            if let Some(third) = &third {
                weights.add(state(last, u), over.matrix_mut(gates, time, w, 0, 2 * u));
                for (r, last) in last.chunks_exact(u).enumerate() {
                    let at = r * over.time + time;
                    reset(&mut row_mut(gates, at, w)[..2 * u], row_mut(inner, at, u), last);
                }
                third.add(over.matrix(inner, time, u, 0, u), over.matrix_mut(gates, time, w, 2 * u, u));
            } else {
                weights.product(state(last, u), state_mut(sums, w), Store::Write, bias);
            }
            for (r, last) in last.chunks_exact_mut(u).enumerate() {
                let at = r * over.time + time;
                let (gates, inner) = (row_mut(gates, at, w), row_mut(inner, at, u));
                match (over.counts(first + r, time), &third) {
                    (true, None) => cell_after(gates, row(sums, r, w), inner, last),
                    (true, Some(_)) => cell_before(gates, last),
                    (false, _) => {
                        gates.fill(T::zero());
                        inner.fill(T::zero());
                    }
                }
                row_mut(h, r * over.time + step, u).copy_from_slice(last);
            }
        }
    });
}

/// What [`gru_grad`] reads besides the weights.
#[derive(Clone, Copy, Debug)]
pub struct GruSaved<'a, T> {
    /// The gradients of the outputs.
    pub g: &'a [T],
    /// The gates that [`gru`] left.
    pub gates: &'a [T],
    /// See [`Gru`].
    pub inner: &'a [T],
    /// The states before the step at each time.
    pub before: &'a [T],
    /// Whether the reset gate is applied after the product.
    pub reset_after: bool,
}

stamped! {
    /// The gradient of one row's sums, and of what the product with the last third gave, from that of its output,
    /// `g`, and what later steps say, `dh`. Without `inner`, which is what that product gave if it came before the
    /// reset gate, [`reset_grad`] does the reset gate.
    fn cell_grad<T: Gemm>(dz: &mut [T], dinner: &mut [T], g: &[T], gates: &[T], before: &[T], inner: Option<&[T]>, dh: &mut [T]) {
        let (u, one) = (dh.len(), T::c(1.0));
        let (d0, rest) = dz.split_at_mut(u);
        let (d1, d2) = rest.split_at_mut(u);
        let (z, rest) = gates.split_at(u);
        let (reset, candidate) = rest.split_at(u);
        let gates = z.iter().zip(candidate).zip(before);
        let written = d0.iter_mut().zip(d2.iter_mut()).zip(dinner.iter_mut());
        for ((((&z, &candidate), &before), ((d0, d2), dinner)), (dh, &g)) in
            gates.zip(written).zip(dh.iter_mut().zip(g))
        {
            let of_h = *dh + g;
            let d = of_h * (one - z) * (one - candidate * candidate);
            *d0 = of_h * (before - candidate) * z * (one - z);
            (*d2, *dinner) = (d, d);
            *dh = of_h * z;
        }
        if let Some(inner) = inner {
            for (((d1, dinner), &reset), &inner) in d1.iter_mut().zip(dinner).zip(reset).zip(inner) {
                let d = *dinner;
                *d1 = d * inner * reset * (one - reset);
                *dinner = d * reset;
            }
        }
    }
}
stamped! {
    /// The gradient of the reset gate's sum, `dr`, from that of what the gate gave, `d`.
    fn reset_grad<T: Gemm>(dr: &mut [T], d: &[T], reset: &[T], before: &[T], dh: &mut [T]) {
        for ((((dr, &d), &reset), &before), dh) in dr.iter_mut().zip(d).zip(reset).zip(before).zip(dh) {
            *dr = d * before * reset * (T::c(1.0) - reset);
            *dh = *dh + d * reset;
        }
    }
}

/// Computes the gradient of [`gru`]'s projections, and in `dinner` that of the last third of the recurrent kernel's
/// result. `dh` holds the gradient of the last state, and afterwards that of the first. Then comes working memory:
/// `[batch, units]`, and as much as [`Over::room`] says.
pub fn gru_grad<T: Float + Gemm>(
    over: &Over<'_>,
    recurrent: &[T],
    saved: GruSaved<'_, T>,
    dz: &mut [T],
    [dinner, dh, sums, room]: [&mut [T]; 4],
) {
    let (u, w) = (over.units, 3 * over.units);
    let (back, room) = over.weights(columns(recurrent, w, 0..2 * u).t(), room);
    let (third, _) = over.weights(columns(recurrent, w, 2 * u..w).t(), room);
    let (grain, more) = (over.grain(dz.len(), w, 3), [dinner, sums, dh]);
    par::rows(dz, over.time * w, more, grain, &|first, dz, [dinner, sums, dh]: [&mut [T]; 3]| {
        for step in (0..over.time).rev() {
            let time = over.at(step);
            for (r, dh) in dh.chunks_exact_mut(u).enumerate() {
                let (all, at) = ((first + r) * over.time, r * over.time + time);
                let (g, gates) = (row(saved.g, all + step, u), row(saved.gates, all + time, w));
                let (before, inner) = (row(saved.before, all + time, u), row(saved.inner, all + time, u));
                let (dz, dinner) = (row_mut(dz, at, w), row_mut(dinner, at, u));
                if over.counts(first + r, time) {
                    let inner = saved.reset_after.then_some(inner);
                    cell_grad(dz, dinner, g, gates, before, inner, dh);
                } else {
                    dh.iter_mut().zip(g).for_each(|(dh, &g)| *dh += g);
                    dz.fill(T::zero());
                    dinner.fill(T::zero());
                }
            }
            let of_inner = over.matrix(dinner, time, u, 0, u);
            if saved.reset_after {
                third.add(of_inner, state_mut(dh, u));
            } else {
                third.product(of_inner, state_mut(sums, u), Store::Write, None);
                for (r, (dh, d)) in dh.chunks_exact_mut(u).zip(sums.chunks_exact(u)).enumerate() {
                    let (all, dz) = ((first + r) * over.time + time, row_mut(dz, r * over.time + time, w));
                    let reset = &row(saved.gates, all, w)[u..2 * u];
                    reset_grad(&mut dz[u..2 * u], d, reset, row(saved.before, all, u), dh);
                }
            }
            back.add(over.matrix(dz, time, w, 0, 2 * u), state_mut(dh, u));
        }
    });
}
