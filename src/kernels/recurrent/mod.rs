//! Recurrences over a batch of sequences, forward and backward: what remains to be done time step by time step
//! after the product of all inputs with the kernel. Each row of the batch goes through its sequence separately, so
//! rows can be divided between threads and a row's numbers do not depend on the others.
//!
//! A step is one product with the recurrent kernel, which is packed into panels before the first step, and one pass
//! over each row, the cell: it applies all gates in vector instructions. Where a time does not count, the cell of a
//! row is a copy.
//!
//! Arrays are `[batch, time, …]`. What belongs to an input (projections, gates and their gradients) is at the
//! input's time; outputs are in the order of the steps, which `go_backwards` reverses.

mod gru;
mod lstm;
mod simple_rnn;

pub use gru::{Gru, GruSaved, gru, gru_grad};
pub use lstm::{Lstm, LstmSaved, lstm, lstm_grad};
pub use simple_rnn::{simple_rnn, simple_rnn_grad};

#[cfg(test)]
mod tests;

use super::gemm::{Epilogue, Gemm, Mat, MatMut, Operand, Packed, Store, View, gemm, product};
use super::par;
use crate::Float;

/// Multiply-adds from which a thread's share of a recurrence is worth handing over: about 20 µs of a core.
const SHARE: usize = 1 << 20;
/// What a gate of a unit costs besides its products, in multiply-adds.
const GATE: usize = 16;
/// Rows that stay together: with one row alone a product only reads the weights.
const TOGETHER: usize = 2;
/// Steps from which it pays to pack the recurrent kernel: packing takes about as long as a step of a few rows.
const PACKS: usize = 4;

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

    /// Returns how many elements of `len`, which are so many `gates` for each unit, time and row, a thread takes:
    /// those of equally many rows for each thread, since what the rows of a thread share is the reading of weights.
    fn grain(&self, len: usize, width: usize, gates: usize) -> usize {
        let (row, u) = (self.time * width, self.units);
        let work = self.time.saturating_mul(gates * u).saturating_mul(u + GATE);
        let least = SHARE.div_ceil(work.max(1)).max(TOGETHER);
        (len / row.max(1) / par::threads()).max(least).saturating_mul(row)
    }

    /// Returns how many elements of working memory the kernels need besides what they write, for `gates` times
    /// `units` columns of the recurrent kernel.
    pub fn room<T: Gemm>(&self, gates: usize) -> usize {
        let (u, room) = (self.units, Packed::<T>::room);
        match self.time {
            0..PACKS => 0,
            _ if gates == 3 => (room(u, 2 * u).max(room(2 * u, u)) + room(u, u)).max(room(u, 3 * u)),
            _ => room(u, gates * u).max(room(gates * u, u)),
        }
    }

    /// Returns a matrix as each step multiplies with it: in panels, if there are enough steps. What is left of the
    /// room comes back.
    fn weights<'a, T: Gemm>(&self, b: Mat<'a, T>, room: &'a mut [T]) -> (Weights<'a, T>, &'a mut [T]) {
        if self.time < PACKS {
            return (Weights::InPlace(b), room);
        }
        let (room, rest) = room.split_at_mut(Packed::<T>::room(b.rows, b.cols));
        (Weights::Panels(Packed::within(b, room)), rest)
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

/// The matrix that each step multiplies with.
enum Weights<'a, T: Clone> {
    Panels(Packed<'a, T>),
    InPlace(Mat<'a, T>),
}

impl<T: Gemm> Weights<'_, T> {
    /// Computes `c = a · weights`, or adds that to `c`.
    fn product(&self, a: Mat<T>, c: MatMut<T>, store: Store, bias: Option<&[T]>) {
        let operand: &dyn Operand<T> = match self {
            Weights::Panels(packed) => packed,
            Weights::InPlace(mat) => mat,
        };
        product(View::of(&a), View::of(operand), c, store, Epilogue::new(bias, None));
    }

    /// Computes `c += a · weights`.
    fn add(&self, a: Mat<T>, c: MatMut<T>) {
        self.product(a, c, Store::Add, None);
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

/// The same for writing.
fn state_mut<T: Copy>(state: &mut [T], units: usize) -> MatMut<'_, T> {
    let rows = state.len() / units;
    MatMut::row_major(state, rows, units)
}

/// Returns the state before the step at each time: `[batch, time, units]` in the order of the inputs.
pub fn before<T: Copy + Send + Sync>(over: &Over<'_>, first: &[T], states: &[T], out: &mut [T]) {
    let (u, length) = (over.units, over.time * over.units);
    par::chunks(out, length, par::GRAIN, &|begin, out: &mut [T]| {
        for (r, out) in out.chunks_exact_mut(length).enumerate() {
            let (first, states) = (row(first, begin + r, u), row(states, begin + r, length));
            if !over.go_backwards {
                let (begin, rest) = out.split_at_mut(u);
                begin.copy_from_slice(first);
                rest.copy_from_slice(&states[..length - u]);
                continue;
            }
            for (step, state) in
                std::iter::once(first).chain(states.chunks_exact(u)).take(over.time).enumerate()
            {
                row_mut(out, over.at(step), u).copy_from_slice(state);
            }
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
