//! The long short-term memory.

use super::{Over, row, row_mut, state, state_mut};
use crate::Float;
use crate::kernels::gemm::{Gemm, Mat};
use crate::kernels::par;
use crate::kernels::simd::stamped;

/// What [`lstm`] writes: outputs, the cell states of all steps, the last states, which initially hold the first,
/// and working memory, as long as [`Over::room`] says.
#[derive(Debug)]
pub struct Lstm<'a, T> {
    /// `[batch, time, units]`.
    pub h: &'a mut [T],
    /// `[batch, time, units]`.
    pub cells: &'a mut [T],
    /// `[batch, units]`.
    pub last: [&'a mut [T]; 2],
    /// Working memory.
    pub room: &'a mut [T],
}

stamped! {
    /// One row of one step: the gates in place of the sums, then the states, which are also written to where they are kept.
    fn cell<T: Gemm>[R: T](gates: &mut [T], h: &mut [T], c: &mut [T], outputs: &mut [T], cells: &mut [T]) {
        let u = h.len();
        let (i, rest) = gates.split_at_mut(u);
        let (f, rest) = rest.split_at_mut(u);
        let (g, o) = rest.split_at_mut(u);
        let gates = i.iter_mut().zip(f).zip(g).zip(o);
        let states = h.iter_mut().zip(c).zip(outputs.iter_mut().zip(cells));
        for ((((i, f), g), o), ((h, c), (output, cell))) in gates.zip(states) {
            *i = R::of(*i).sigmoid().value();
            *f = R::of(*f).sigmoid().value();
            *g = R::of(*g).tanh().value();
            *o = R::of(*o).sigmoid().value();
            *c = *f * *c + *i * *g;
            *h = R::of(*c).tanh().value() * *o;
            (*output, *cell) = (*h, *c);
        }
    }
}

/// Computes `i, f, o = σ(…)`, `g = tanh(…)` of `z + h·R` in the order i, f, g, o; `c = f·c + i·g`, `h = o·tanh(c)`.
/// The gates replace the projected inputs (0 where a step does not count).
pub fn lstm<T: Float + Gemm>(over: &Over<'_>, recurrent: &[T], gates: &mut [T], out: Lstm<'_, T>) {
    let (u, w) = (over.units, 4 * over.units);
    let Lstm { h, cells, last: [last, carry], room } = out;
    let (weights, _) = over.weights(Mat::row_major(recurrent, u, w), room);
    let (grain, more) = (over.grain(h.len(), u, 4), [gates, cells, last, carry]);
    par::rows(h, over.time * u, more, grain, &|first, h, [gates, cells, last, carry]: [&mut [T]; 4]| {
        for step in 0..over.time {
            let time = over.at(step);
            weights.add(state(last, u), over.matrix_mut(gates, time, w, 0, w));
            for (r, (last, carry)) in last.chunks_exact_mut(u).zip(carry.chunks_exact_mut(u)).enumerate() {
                let (at, gates) = (r * over.time + step, row_mut(gates, r * over.time + time, w));
                let (h, cells) = (row_mut(h, at, u), row_mut(cells, at, u));
                if over.counts(first + r, time) {
                    cell(gates, last, carry, h, cells);
                } else {
                    gates.fill(T::zero());
                    h.copy_from_slice(last);
                    cells.copy_from_slice(carry);
                }
            }
        }
    });
}

/// What [`lstm_grad`] reads besides the weights.
#[derive(Clone, Copy, Debug)]
pub struct LstmSaved<'a, T> {
    /// The gradients of the outputs; or `units` of them, which stand for every row and step.
    pub g: &'a [T],
    /// The gates that [`lstm`] left.
    pub gates: &'a [T],
    /// The cell states of all steps.
    pub cells: &'a [T],
    /// The cell states before the first step.
    pub first: &'a [T],
}

stamped! {
    /// The gradient of one row's sums, from that of its output, `g`, and what later steps say, `dh` and `dc`. `c` is
    /// its cell state, `before` that of the step before.
    fn cell_grad<T: Gemm>[R: T](dz: &mut [T], g: &[T], gates: &[T], c: &[T], before: &[T], dh: &mut [T], dc: &mut [T]) {
        let (u, one) = (dh.len(), T::c(1.0));
        let (di, rest) = dz.split_at_mut(u);
        let (df, rest) = rest.split_at_mut(u);
        let (dg, do_) = rest.split_at_mut(u);
        let (i, rest) = gates.split_at(u);
        let (f, rest) = rest.split_at(u);
        let (candidate, o) = rest.split_at(u);
        let written = di.iter_mut().zip(df).zip(dg).zip(do_);
        let gates = i.iter().zip(f).zip(candidate).zip(o);
        let later = dh.iter_mut().zip(dc);
        for (((written, gates), (dh, dc)), ((&grad, &c), &before)) in
            written.zip(gates).zip(later).zip(g.iter().zip(c).zip(before))
        {
            let (((di, df), dg), do_) = written;
            let (((&i, &f), &g), &o) = gates;
            let (of_h, cell) = (*dh + grad, R::of(c).tanh().value());
            let d = *dc + of_h * o * (one - cell * cell);
            *di = d * g * i * (one - i);
            *df = d * before * f * (one - f);
            *dg = d * i * (one - g * g);
            *do_ = of_h * cell * o * (one - o);
            *dh = T::c(0.0);
            *dc = d * f;
        }
    }
}

/// Computes the gradient of [`lstm`]'s projections. `dh` and `dc` hold the gradients of the last states, and
/// afterwards those of the first; then comes working memory.
pub fn lstm_grad<T: Float + Gemm>(
    over: &Over<'_>,
    recurrent: &[T],
    saved: LstmSaved<'_, T>,
    dz: &mut [T],
    [dh, dc, room]: [&mut [T]; 3],
) {
    let (u, w) = (over.units, 4 * over.units);
    let (back, _) = over.weights(Mat::row_major(recurrent, u, w).t(), room);
    let grain = over.grain(dz.len(), w, 4);
    par::rows(dz, over.time * w, [dh, dc], grain, &|first, dz, [dh, dc]: [&mut [T]; 2]| {
        for step in (0..over.time).rev() {
            let time = over.at(step);
            for (r, (dh, dc)) in dh.chunks_exact_mut(u).zip(dc.chunks_exact_mut(u)).enumerate() {
                let (at, all) = ((first + r) * over.time + step, first + r);
                let g = if saved.g.len() == u { saved.g } else { row(saved.g, at, u) };
                let dz = row_mut(dz, r * over.time + time, w);
                if over.counts(all, time) {
                    let gates = row(saved.gates, all * over.time + time, w);
                    let before =
                        if step == 0 { row(saved.first, all, u) } else { row(saved.cells, at - 1, u) };
                    cell_grad(dz, g, gates, row(saved.cells, at, u), before, dh, dc);
                } else {
                    dh.iter_mut().zip(g).for_each(|(dh, &g)| *dh += g);
                    dz.fill(T::zero());
                }
            }
            back.add(over.matrix(dz, time, w, 0, w), state_mut(dh, u));
        }
    });
}
