//! Whole calls, whose weights are in panels and whose rows are cut between threads, beside the same recurrence one
//! row and one step at a time: that one multiplies in place, and is itself compared with tensor operations and
//! finite differences where the operations are tested.

use super::*;
use crate::kernels::testing::{Rng, same};

const CELLS: [(&str, usize); 4] = [("simple_rnn", 1), ("lstm", 4), ("gru", 3), ("gru, reset before", 3)];

/// All that a cell reads and writes, forward and backward, in the order of the arguments.
#[derive(Clone)]
struct Case<T> {
    recurrent: Vec<T>,
    bias: Vec<T>,
    /// `[batch, time, gates · units]`: the projections, afterwards the gates.
    z: Vec<T>,
    /// `[batch, units]`: the states, and their gradients.
    states: [Vec<T>; 2],
    grads: [Vec<T>; 2],
    /// `[batch, time, units]`: gradients of outputs; outputs; cell states or what the third gave.
    g: Vec<T>,
    h: Vec<T>,
    more: Vec<T>,
    /// `[batch, time, gates · units]` and `[batch, time, units]`.
    dz: Vec<T>,
    dinner: Vec<T>,
}

fn forward<T: Float + Gemm>(name: &str, over: &Over<'_>, c: &mut Case<T>) {
    let gates = c.recurrent.len() / (over.units * over.units);
    let [first, second] = &mut c.states;
    let mut room = vec![T::of(7.0); over.room::<T>(gates)];
    let room = &mut room[..];
    let mut sums = vec![T::of(7.0); first.len() * gates];
    match name {
        "simple_rnn" => simple_rnn(over, &c.recurrent, &mut c.z, [&mut c.h, first, room]),
        "lstm" => {
            let out = Lstm { h: &mut c.h, cells: &mut c.more, last: [first, second], room };
            lstm(over, &c.recurrent, &mut c.z, out);
        }
        _ => {
            let bias = (name == "gru").then_some(&c.bias[..]);
            let out = Gru { h: &mut c.h, inner: &mut c.more, last: first, sums: &mut sums, room };
            gru(over, &c.recurrent, bias, &mut c.z, out);
        }
    }
}

/// `first` are the states before the first step.
fn backward<T: Float + Gemm>(name: &str, over: &Over<'_>, c: &mut Case<T>, first: &[Vec<T>; 2]) {
    let gates = c.recurrent.len() / (over.units * over.units);
    let [dh, dc] = &mut c.grads;
    let mut room = vec![T::of(7.0); over.room::<T>(gates)];
    let room = &mut room[..];
    let mut sums = vec![T::of(7.0); dh.len()];
    match name {
        "simple_rnn" => simple_rnn_grad(over, &c.recurrent, (&c.g, &c.h), &mut c.dz, [dh, room]),
        "lstm" => {
            let saved = LstmSaved { g: &c.g, gates: &c.z, cells: &c.more, first: &first[1] };
            lstm_grad(over, &c.recurrent, saved, &mut c.dz, [dh, dc, room]);
        }
        _ => {
            let mut states = vec![T::of(7.0); c.h.len()];
            before(over, &first[0], &c.h, &mut states);
            let reset_after = name == "gru";
            let saved = GruSaved { g: &c.g, gates: &c.z, inner: &c.more, before: &states, reset_after };
            gru_grad(over, &c.recurrent, saved, &mut c.dz, [&mut c.dinner, dh, &mut sums, room]);
        }
    }
}

fn compare<T: Float + Gemm>(r: &mut Rng, (batch, time, u): (usize, usize, usize)) {
    let mask: Vec<u8> = (0..batch * time).map(|_| (r.below(3) > 0) as u8).collect();
    for ((name, gates), masked) in CELLS.iter().flat_map(|&cell| [(cell, false), (cell, true)]) {
        let (w, n) = (gates * u, batch * time);
        let case = Case::<T> {
            recurrent: r.vec(u * w),
            bias: r.vec(w),
            z: r.vec(n * w),
            states: [r.vec(batch * u), r.vec(batch * u)],
            grads: [r.vec(batch * u), r.vec(batch * u)],
            g: r.vec(n * u),
            h: vec![T::of(9.0); n * u],
            more: vec![T::of(9.0); n * u],
            dz: vec![T::of(9.0); n * w],
            dinner: vec![T::of(9.0); n * u],
        };
        let over = |mask| Over { time, units: u, go_backwards: masked, mask };
        let over = over(masked.then_some(&mask[..]));
        // One row and step at a time.
        let mut want = case.clone();
        for row in 0..batch {
            let step = |all: &Case<T>, step: usize| {
                let at = row * time + over.at(step);
                let (of_step, of_time) = (row * time + step, at);
                let cut = |v: &[T], at: usize, n: usize| v[at * n..][..n].to_vec();
                let one = Case {
                    recurrent: all.recurrent.clone(),
                    bias: all.bias.clone(),
                    z: cut(&all.z, of_time, w),
                    states: [0, 1].map(|i| cut(&all.states[i], row, u)),
                    grads: [0, 1].map(|i| cut(&all.grads[i], row, u)),
                    g: cut(&all.g, of_step, u),
                    h: cut(&all.h, of_step, u),
                    more: cut(&all.more, if name == "lstm" { of_step } else { of_time }, u),
                    dz: cut(&all.dz, of_time, w),
                    dinner: cut(&all.dinner, of_time, u),
                };
                (one, Over { time: 1, mask: over.mask.map(|m| &m[at..at + 1]), ..over })
            };
            let put = |all: &mut Case<T>, one: &Case<T>, step: usize| {
                let (of_step, of_time) = (row * time + step, row * time + over.at(step));
                let set = |to: &mut [T], at: usize, from: &[T]| {
                    to[at * from.len()..][..from.len()].copy_from_slice(from)
                };
                set(&mut all.z, of_time, &one.z);
                (0..2).for_each(|i| set(&mut all.states[i], row, &one.states[i]));
                (0..2).for_each(|i| set(&mut all.grads[i], row, &one.grads[i]));
                set(&mut all.h, of_step, &one.h);
                set(&mut all.more, if name == "lstm" { of_step } else { of_time }, &one.more);
                set(&mut all.dz, of_time, &one.dz);
                set(&mut all.dinner, of_time, &one.dinner);
            };
            let mut firsts = Vec::new();
            for i in 0..time {
                let (mut one, over) = step(&want, i);
                firsts.push(one.states.clone());
                forward(name, &over, &mut one);
                put(&mut want, &one, i);
            }
            for i in (0..time).rev() {
                let (mut one, over) = step(&want, i);
                backward(name, &over, &mut one, &firsts[i]);
                put(&mut want, &one, i);
            }
        }
        for threads in [1, 2, 3, 8] {
            let mut got = case.clone();
            par::with_threads(threads, || {
                forward(name, &over, &mut got);
                backward(name, &over, &mut got, &case.states);
            })
            .unwrap();
            let what = |part: &str| format!("{part} of {name}, {batch} x {time} x {u}, {threads} threads");
            same(&got.h, &want.h, &|| what("outputs"));
            same(&got.z, &want.z, &|| what("gates"));
            same(&got.more, &want.more, &|| what("further outputs"));
            same(&got.dz, &want.dz, &|| what("gradients of projections"));
            same(&got.dinner, &want.dinner, &|| what("gradients of what the third gave"));
            for i in 0..2 {
                same(&got.states[i], &want.states[i], &|| what("last states"));
                same(&got.grads[i], &want.grads[i], &|| what("gradients of first states"));
            }
        }
    }
}

#[test]
fn whole_sequences_have_the_bits_of_single_steps_and_rows() {
    let r = &mut Rng(11);
    for shape in [(1, 1, 1), (2, 3, 5), (3, 4, 17), (7, 5, 33), (1, 9, 64), (13, 4, 70), (40, 30, 24)] {
        compare::<f32>(r, shape);
        compare::<f64>(r, shape);
    }
    // Longer sums than a block of f64 backward.
    compare::<f64>(r, (5, 4, 90));
}
