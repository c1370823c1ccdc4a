//! Recurrences over a batch of sequences, forward and backward: what remains to be done time step by time step
//! after the product of all inputs with the kernel. Each row of the batch goes through its sequence separately, so
//! rows can be divided between threads and a row's numbers do not depend on the others.
//!
//! Arrays are `[batch, time, …]`. What belongs to an input (projections, gates and their gradients) is at the
//! input's time; outputs are in the order of the steps, which `go_backwards` reverses.

use super::gemm::{Act, Epilogue, Gemm, Mat, MatMut, Store, gemm};
use super::par;
use crate::Float;

/// The sizes and direction of a recurrence.
#[derive(Clone, Copy, Debug)]
pub struct Over<'a> {
    /// The number of time steps.
    pub time: usize,
    /// The size of a state.
    pub units: usize,
    /// Whether the first step is the last time.
    pub go_backwards: bool,
    /// Whether each time of each row counts, `[batch, time]`; all if absent. Where one does not, states do not
    /// change.
    pub mask: Option<&'a [u8]>,
}

impl Over<'_> {
    /// Returns the time of a step.
    fn at(&self, step: usize) -> usize {
        if self.go_backwards { self.time - 1 - step } else { step }
    }

    fn counts(&self, row: usize, time: usize) -> bool {
        self.mask.is_none_or(|mask| mask[row * self.time + time] != 0)
    }

    /// Returns how many elements of outputs are worth a thread, if each costs products with `gates · units`
    /// numbers.
    fn grain(&self, gates: usize) -> usize {
        (par::GRAIN / (gates * self.units).max(1)).max(1)
    }

    /// Returns the matrix of all rows at one time of `[rows, time, width]`, from column `column` on.
    fn matrix<'a, T: Copy>(
        &self,
        all: &'a [T],
        time: usize,
        width: usize,
        column: usize,
        cols: usize,
    ) -> Mat<'a, T> {
        let rows = all.len() / (self.time * width);
        Mat { data: all, offset: time * width + column, rows, cols, rs: (self.time * width) as isize, cs: 1 }
    }

    /// The same for writing.
    fn matrix_mut<'a, T: Copy>(
        &self,
        all: &'a mut [T],
        time: usize,
        width: usize,
        column: usize,
        cols: usize,
    ) -> MatMut<'a, T> {
        let (rows, ld) = (all.len() / (self.time * width), self.time * width);
        MatMut { data: &mut all[time * width + column..], rows, cols, ld }
    }
}

/// Returns row `i` of rows of `n`.
fn row<T>(all: &[T], i: usize, n: usize) -> &[T] {
    &all[i * n..][..n]
}

fn row_mut<T>(all: &mut [T], i: usize, n: usize) -> &mut [T] {
    &mut all[i * n..][..n]
}

/// Returns `columns` of a matrix with `of` columns.
fn columns<T: Copy>(matrix: &[T], of: usize, columns: std::ops::Range<usize>) -> Mat<'_, T> {
    let rows = matrix.len() / of;
    Mat { data: matrix, offset: columns.start, rows, cols: columns.len(), rs: of as isize, cs: 1 }
}

/// Returns the rows of a state as a matrix.
fn state<T: Copy>(state: &[T], units: usize) -> Mat<'_, T> {
    Mat::row_major(state, state.len() / units, units)
}

/// Computes `c += a · b`.
fn add<T: Gemm>(a: Mat<T>, b: Mat<T>, c: MatMut<T>) {
    gemm(a, b, c, Store::Add, Epilogue::NONE);
}

/// Returns the state before the step at each time: `[batch, time, units]` in the order of the inputs.
pub fn before<T: Copy>(over: &Over<'_>, first: &[T], states: &[T], out: &mut [T]) {
    let (u, length) = (over.units, over.time * over.units);
    for ((out, states), first) in
        out.chunks_exact_mut(length).zip(states.chunks_exact(length)).zip(first.chunks_exact(u))
    {
        for (step, state) in std::iter::once(first).chain(states.chunks_exact(u)).take(over.time).enumerate()
        {
            row_mut(out, over.at(step), u).copy_from_slice(state);
        }
    }
}

/// Computes `h = tanh(z + h·R)` at each step. `z` holds the projected inputs, and afterwards the sums.
pub fn simple_rnn<T: Float + Gemm>(
    over: &Over<'_>,
    recurrent: &[T],
    z: &mut [T],
    h: &mut [T],
    last: &mut [T],
) {
    let u = over.units;
    par::rows(h, over.time * u, [z, last], over.grain(1), &|first, h, [z, last]: [&mut [T]; 2]| {
        for step in 0..over.time {
            let time = over.at(step);
            add(state(last, u), Mat::row_major(recurrent, u, u), over.matrix_mut(z, time, u, 0, u));
            for (r, last) in last.chunks_exact_mut(u).enumerate() {
                let out = row_mut(h, r * over.time + step, u);
                if over.counts(first + r, time) {
                    out.copy_from_slice(row(z, r * over.time + time, u));
                    Act::Tanh.apply_all(out);
                    last.copy_from_slice(out);
                } else {
                    out.copy_from_slice(last);
                }
            }
        }
    });
}

/// Computes the gradient of [`simple_rnn`]'s projections, from that of its outputs, `g`. `dh` holds the gradient of
/// the last state, and afterwards that of the first.
pub fn simple_rnn_grad<T: Float + Gemm>(
    over: &Over<'_>,
    recurrent: &[T],
    (g, h): (&[T], &[T]),
    dz: &mut [T],
    dh: &mut [T],
) {
    let (u, one) = (over.units, T::one());
    par::rows(dz, over.time * u, [dh], over.grain(1), &|first, dz, [dh]: [&mut [T]; 1]| {
        for step in (0..over.time).rev() {
            let time = over.at(step);
            for (r, dh) in dh.chunks_exact_mut(u).enumerate() {
                let at = (first + r) * over.time + step;
                let (g, h, dz) = (row(g, at, u), row(h, at, u), row_mut(dz, r * over.time + time, u));
                let counts = over.counts(first + r, time);
                for j in 0..u {
                    let d = dh[j] + g[j];
                    (dz[j], dh[j]) =
                        if counts { (d * (one - h[j] * h[j]), T::zero()) } else { (T::zero(), d) };
                }
            }
            let back = Mat::row_major(recurrent, u, u).t();
            add(over.matrix(dz, time, u, 0, u), back, MatMut::row_major(dh, dh_rows(dz, over, u), u));
        }
    });
}

fn dh_rows<T>(all: &[T], over: &Over<'_>, width: usize) -> usize {
    all.len() / (over.time * width)
}

/// What [`lstm`] writes: outputs, the cell states of all steps, and the last states, which initially hold the
/// first.
#[derive(Debug)]
pub struct Lstm<'a, T> {
    /// `[batch, time, units]`.
    pub h: &'a mut [T],
    /// `[batch, time, units]`.
    pub cells: &'a mut [T],
    /// `[batch, units]`.
    pub last: [&'a mut [T]; 2],
}

/// Computes `i, f, o = σ(…)`, `g = tanh(…)` of `z + h·R` in the order i, f, g, o; `c = f·c + i·g`, `h = o·tanh(c)`.
/// The gates replace the projected inputs (0 where a step does not count).
pub fn lstm<T: Float + Gemm>(over: &Over<'_>, recurrent: &[T], gates: &mut [T], out: Lstm<'_, T>) {
    let (u, w) = (over.units, 4 * over.units);
    let Lstm { h, cells, last: [last, carry] } = out;
    let more = [gates, cells, last, carry];
    par::rows(
        h,
        over.time * u,
        more,
        over.grain(4),
        &|first, h, [gates, cells, last, carry]: [&mut [T]; 4]| {
            for step in 0..over.time {
                let time = over.at(step);
                add(state(last, u), Mat::row_major(recurrent, u, w), over.matrix_mut(gates, time, w, 0, w));
                for (r, (last, carry)) in last.chunks_exact_mut(u).zip(carry.chunks_exact_mut(u)).enumerate()
                {
                    let gates = row_mut(gates, r * over.time + time, w);
                    if over.counts(first + r, time) {
                        Act::Sigmoid.apply_all(&mut gates[..2 * u]);
                        Act::Tanh.apply_all(&mut gates[2 * u..3 * u]);
                        Act::Sigmoid.apply_all(&mut gates[3 * u..]);
                        for j in 0..u {
                            carry[j] = gates[u + j] * carry[j] + gates[j] * gates[2 * u + j];
                        }
                        last.copy_from_slice(carry);
                        Act::Tanh.apply_all(last);
                        for j in 0..u {
                            last[j] *= gates[3 * u + j];
                        }
                    } else {
                        gates.fill(T::zero());
                    }
                    let at = r * over.time + step;
                    row_mut(h, at, u).copy_from_slice(last);
                    row_mut(cells, at, u).copy_from_slice(carry);
                }
            }
        },
    );
}

/// What [`lstm_grad`] reads besides the weights.
#[derive(Clone, Copy, Debug)]
pub struct LstmSaved<'a, T> {
    /// The gradients of the outputs.
    pub g: &'a [T],
    /// The gates that [`lstm`] left.
    pub gates: &'a [T],
    /// The cell states of all steps.
    pub cells: &'a [T],
    /// The cell states before the first step.
    pub first: &'a [T],
}

/// Computes the gradient of [`lstm`]'s projections. `dh` and `dc` hold the gradients of the last states, and
/// afterwards those of the first.
pub fn lstm_grad<T: Float + Gemm>(
    over: &Over<'_>,
    recurrent: &[T],
    saved: LstmSaved<'_, T>,
    dz: &mut [T],
    [dh, dc]: [&mut [T]; 2],
) {
    let (u, w, one) = (over.units, 4 * over.units, T::one());
    par::rows(dz, over.time * w, [dh, dc], 4 * over.grain(4), &|first, dz, [dh, dc]: [&mut [T]; 2]| {
        for step in (0..over.time).rev() {
            let time = over.at(step);
            for (r, (dh, dc)) in dh.chunks_exact_mut(u).zip(dc.chunks_exact_mut(u)).enumerate() {
                let (at, all) = ((first + r) * over.time + step, first + r);
                let (g, dz) = (row(saved.g, at, u), row_mut(dz, r * over.time + time, w));
                dh.iter_mut().zip(g).for_each(|(dh, &g)| *dh += g);
                if !over.counts(all, time) {
                    dz.fill(T::zero());
                    continue;
                }
                let gates = row(saved.gates, all * over.time + time, w);
                let before = if step == 0 { row(saved.first, all, u) } else { row(saved.cells, at - 1, u) };
                dz[3 * u..].copy_from_slice(row(saved.cells, at, u));
                Act::Tanh.apply_all(&mut dz[3 * u..]);
                for j in 0..u {
                    let [i, f, g, o] = [gates[j], gates[u + j], gates[2 * u + j], gates[3 * u + j]];
                    let cell = dz[3 * u + j];
                    let d = dc[j] + dh[j] * o * (one - cell * cell);
                    dz[j] = d * g * i * (one - i);
                    dz[u + j] = d * before[j] * f * (one - f);
                    dz[2 * u + j] = d * i * (one - g * g);
                    dz[3 * u + j] = dh[j] * cell * o * (one - o);
                    (dh[j], dc[j]) = (T::zero(), d * f);
                }
            }
            let back = Mat::row_major(recurrent, u, w).t();
            let rows = dh_rows(dz, over, w);
            add(over.matrix(dz, time, w, 0, w), back, MatMut::row_major(dh, rows, u));
        }
    });
}

/// What [`gru`] writes: outputs; what the last third of the recurrent kernel gave (`h·R + b`), or without
/// `reset_after` what it was given (`r·h`); room for `[batch, 3 units]`; and the last state, which initially holds
/// the first.
#[derive(Debug)]
pub struct Gru<'a, T> {
    /// `[batch, time, units]`.
    pub h: &'a mut [T],
    /// `[batch, time, units]`, at the times of the inputs.
    pub inner: &'a mut [T],
    /// Working memory.
    pub room: &'a mut [T],
    /// `[batch, units]`.
    pub last: &'a mut [T],
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
    let (u, w, one) = (over.units, 3 * over.units, T::one());
    let Gru { h, inner, room, last } = out;
    let more = [gates, inner, room, last];
    par::rows(
        h,
        over.time * u,
        more,
        over.grain(3),
        &|first, h, [gates, inner, room, last]: [&mut [T]; 4]| {
            for step in 0..over.time {
                let time = over.at(step);
                match bias {
                    Some(bias) => {
                        let end = Epilogue { bias: Some(bias), activation: None };
                        let (all, rows) = (Mat::row_major(recurrent, u, w), last.len() / u);
                        gemm(state(last, u), all, MatMut::row_major(room, rows, w), Store::Write, end);
                    }
                    None => {
                        let two = columns(recurrent, w, 0..2 * u);
                        add(state(last, u), two, over.matrix_mut(gates, time, w, 0, 2 * u));
                    }
                }
                for (r, last) in last.chunks_exact(u).enumerate() {
                    let at = r * over.time + time;
                    let (gates, inner) = (row_mut(gates, at, w), row_mut(inner, at, u));
                    if bias.is_some() {
                        let room = row(room, r, w);
                        gates[..2 * u].iter_mut().zip(room).for_each(|(gate, &more)| *gate += more);
                        inner.copy_from_slice(&room[2 * u..]);
                    }
                    Act::Sigmoid.apply_all(&mut gates[..2 * u]);
                    for j in 0..u {
                        match bias {
                            Some(_) => gates[2 * u + j] += gates[u + j] * inner[j],
                            None => inner[j] = gates[u + j] * last[j],
                        }
                    }
                }
                if bias.is_none() {
                    let third = columns(recurrent, w, 2 * u..w);
                    add(over.matrix(inner, time, u, 0, u), third, over.matrix_mut(gates, time, w, 2 * u, u));
                }
                for (r, last) in last.chunks_exact_mut(u).enumerate() {
                    let gates = row_mut(gates, r * over.time + time, w);
                    if over.counts(first + r, time) {
                        Act::Tanh.apply_all(&mut gates[2 * u..]);
                        for j in 0..u {
                            last[j] = gates[j] * last[j] + (one - gates[j]) * gates[2 * u + j];
                        }
                    } else {
                        gates.fill(T::zero());
                        row_mut(inner, r * over.time + time, u).fill(T::zero());
                    }
                    row_mut(h, r * over.time + step, u).copy_from_slice(last);
                }
            }
        },
    );
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

/// Computes the gradient of [`gru`]'s projections, and in `dinner` that of the last third of the recurrent kernel's
/// result. `dh` holds the gradient of the last state, and afterwards that of the first. `room` is `[batch, units]`
/// of working memory.
pub fn gru_grad<T: Float + Gemm>(
    over: &Over<'_>,
    recurrent: &[T],
    saved: GruSaved<'_, T>,
    dz: &mut [T],
    [dinner, room, dh]: [&mut [T]; 3],
) {
    let (u, w, one) = (over.units, 3 * over.units, T::one());
    let more = [dinner, room, dh];
    par::rows(dz, over.time * w, more, 3 * over.grain(3), &|first, dz, [dinner, room, dh]: [&mut [T]; 3]| {
        let rows = dh_rows(dz, over, w);
        for step in (0..over.time).rev() {
            let time = over.at(step);
            for (r, dh) in dh.chunks_exact_mut(u).enumerate() {
                let (all, at) = ((first + r) * over.time, r * over.time + time);
                let (g, gates) = (row(saved.g, all + step, u), row(saved.gates, all + time, w));
                let (before, inner) = (row(saved.before, all + time, u), row(saved.inner, all + time, u));
                let (dz, dinner) = (row_mut(dz, at, w), row_mut(dinner, at, u));
                dh.iter_mut().zip(g).for_each(|(dh, &g)| *dh += g);
                if !over.counts(first + r, time) {
                    dz.fill(T::zero());
                    dinner.fill(T::zero());
                    continue;
                }
                for j in 0..u {
                    let [z, reset, candidate] = [gates[j], gates[u + j], gates[2 * u + j]];
                    let d = dh[j] * (one - z) * (one - candidate * candidate);
                    dz[j] = dh[j] * (before[j] - candidate) * z * (one - z);
                    dz[2 * u + j] = d;
                    if saved.reset_after {
                        dz[u + j] = d * inner[j] * reset * (one - reset);
                        dinner[j] = d * reset;
                    } else {
                        dinner[j] = d;
                    }
                    dh[j] *= z;
                }
            }
            let back = columns(recurrent, w, 2 * u..w).t();
            if saved.reset_after {
                add(over.matrix(dinner, time, u, 0, u), back, MatMut::row_major(dh, rows, u));
            } else {
                let reset = MatMut::row_major(room, rows, u);
                gemm(over.matrix(dinner, time, u, 0, u), back, reset, Store::Write, Epilogue::NONE);
                for (r, (dh, d)) in dh.chunks_exact_mut(u).zip(room.chunks_exact(u)).enumerate() {
                    let (all, dz) = ((first + r) * over.time + time, row_mut(dz, r * over.time + time, w));
                    let (gates, before) = (row(saved.gates, all, w), row(saved.before, all, u));
                    for j in 0..u {
                        let reset = gates[u + j];
                        dz[u + j] = d[j] * before[j] * reset * (one - reset);
                        dh[j] += d[j] * reset;
                    }
                }
            }
            let back = columns(recurrent, w, 0..2 * u).t();
            add(over.matrix(dz, time, w, 0, 2 * u), back, MatMut::row_major(dh, rows, u));
        }
    });
}

/// Computes the gradient of a recurrent kernel: the sum over rows and times of `before ⊗ dz`, into columns from
/// `from` on of `[units, width]`. `dz` has rows of `of`, of which it takes `cols`.
pub fn kernel_grad<T: Float + Gemm>(
    units: usize,
    before: &[T],
    (dz, of, columns_of_dz): (&[T], usize, std::ops::Range<usize>),
    out: &mut [T],
    (width, from): (usize, usize),
) {
    let dz = columns(dz, of, columns_of_dz);
    let out = MatMut { data: &mut out[from..], rows: units, cols: dz.cols, ld: width };
    gemm(state(before, units).t(), dz, out, Store::Write, Epilogue::NONE);
}

/// Sums columns: those of `cols` in rows of `of`.
pub fn column_sums<T: Float + Gemm>(
    ones: &[T],
    dz: &[T],
    of: usize,
    cols: std::ops::Range<usize>,
    out: &mut [T],
) {
    let n = cols.len();
    let ones = Mat::row_major(ones, 1, ones.len());
    gemm(ones, columns(dz, of, cols), MatMut::row_major(out, 1, n), Store::Write, Epilogue::NONE);
}
