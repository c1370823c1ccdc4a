//! Recurrent layers: ONNX's own operators. With a mask, whose gaps those do not know, a loop over time (`Scan`) with
//! the same step.

use super::super::emit::{Body, Call, Emit, Field, Port};
use super::Form::As;
use super::Row;
use crate::graph::ValueId;
use crate::{DType, Result, Tensor};

pub(super) const FORMS: &[Row] = &[
    ("lstm", As("LSTM; with a mask Scan", |e, call| recurrence(e, call, &LSTM))),
    ("gru", As("GRU; with a mask Scan", |e, call| recurrence(e, call, &GRU))),
    ("simple_rnn", As("RNN; with a mask Scan", |e, call| recurrence(e, call, &RNN))),
];

/// How a kind of recurrence differs from the others.
struct Kind {
    op: &'static str,
    states: usize,
    /// For each of ONNX's gates, which one it is of gradus's.
    gates: &'static [isize],
    /// The new states from the projected input, the states, and the recurrent weights.
    step: fn(&mut Emit<'_>, &Step<'_>) -> Result<Vec<String>>,
}

const LSTM: Kind = Kind { op: "LSTM", states: 2, gates: &[0, 3, 1, 2], step: lstm_step };
const GRU: Kind = Kind { op: "GRU", states: 1, gates: &[0, 1, 2], step: gru_step };
const RNN: Kind = Kind { op: "RNN", states: 1, gates: &[0], step: rnn_step };

/// What a step computes from.
struct Step<'a> {
    /// `x·W + b`, `[batch, gates·units]`.
    z: &'a str,
    states: &'a [String],
    recurrent: ValueId,
    /// That of the state, of a GRU with `reset_after`.
    bias: Option<ValueId>,
    units: isize,
}

/// `[batch, time, …]` with time first.
const TIME_FIRST: [usize; 3] = [1, 0, 2];

/// The columns of all gates in ONNX's order.
fn ordered(t: &Tensor, gates: &[isize], units: isize) -> Result<Tensor> {
    let parts =
        gates.iter().map(|gate| t.slice(-1, gate * units, (gate + 1) * units)).collect::<Result<Vec<_>>>()?;
    Tensor::concat(&parts.iter().collect::<Vec<_>>(), -1)
}

fn recurrence(e: &mut Emit<'_>, call: &Call, kind: &Kind) -> Result<()> {
    if call.inputs.len() > kind.states + 4 {
        return masked(e, call, kind);
    }
    let backwards: bool = call.attr("go_backwards")?;
    let states = &call.inputs[1..=kind.states];
    let [kernel, recurrent, bias] = [1, 2, 3].map(|i| call.inputs[kind.states + i]);
    let units = e.spec(recurrent).shape.dims()[0] as isize;
    let two_biases = e.rank(bias) == 2;
    let weights = |t: &Tensor| ordered(t, kind.gates, units)?.t()?.expand_dims(0);
    let w = e.derived(kernel, "of gates", weights)?;
    let r = e.derived(recurrent, "of gates", weights)?;
    let b = e.derived(bias, "of gates", |t| {
        let t = if two_biases { t.clone() } else { Tensor::stack(&[t, &t.new_full(*t.shape(), 0.0)?], 0)? };
        ordered(&t, kind.gates, units)?.reshape([1, -1])
    })?;
    let x = e.stored(call.inputs[0], &TIME_FIRST)?;
    let mut inputs = vec![x, w, r, b, String::new()];
    if !states.iter().all(|state| e.is_zero(*state)) {
        for &state in states {
            let state = e.plain(state)?;
            inputs.push(e.unsqueeze(&state, &[0])?);
        }
    }
    while inputs.last().is_some_and(String::is_empty) {
        inputs.pop();
    }
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    let mut fields = vec![("hidden_size", Field::Int(units as i64))];
    if backwards {
        fields.push(("direction", Field::Text("reverse")));
    }
    if kind.op == "GRU" {
        fields.push(("linear_before_reset", Field::Int(i64::from(two_biases))));
    }
    let names = e.nodes_with(kind.op, &inputs, fields, 1 + kind.states);
    let mut sequence = e.squeeze(&names[0], &[1])?;
    if backwards {
        // ONNX leaves results at the times of the inputs, gradus in the order in which they were computed.
        let (start, end, step) = (e.ints(&[-1])?, e.ints(&[i64::MIN])?, e.ints(&[-1])?);
        sequence = e.slice(&sequence, 0, [&start, &end, &step])?;
    }
    e.put(call.outputs[0], sequence, TIME_FIRST.to_vec());
    for (name, &output) in names[1..].iter().zip(&call.outputs[1..]) {
        let state = e.squeeze(name, &[0])?;
        e.put_plain(output, state);
    }
    Ok(())
}

/// A step where the mask is false leaves the states as they are, and its output is the state.
fn masked(e: &mut Emit<'_>, call: &Call, kind: &Kind) -> Result<()> {
    let backwards: bool = call.attr("go_backwards")?;
    let [kernel, recurrent, bias, mask] = [1, 2, 3, 4].map(|i| call.inputs[kind.states + i]);
    let units = e.spec(recurrent).shape.dims()[0] as isize;
    let dtype = e.spec(call.inputs[0]).dtype;
    e.dtype = dtype;
    let two_biases = e.rank(bias) == 2;
    let x = e.stored(call.inputs[0], &TIME_FIRST)?;
    let w = e.plain(kernel)?;
    let b = if two_biases { e.derived(bias, "of inputs", |t| t.select(0, 0))? } else { e.plain(bias)? };
    let z = e.node("MatMul", &[&x, &w]);
    let z = e.add2(&z, &b);
    let counts = e.stored(mask, &[1, 0])?;
    let counts = e.unsqueeze(&counts, &[2])?;
    let first =
        call.inputs[1..=kind.states].iter().map(|&state| e.plain(state)).collect::<Result<Vec<_>>>()?;

    let states: Vec<String> = (0..kind.states).map(|_| e.free("state")).collect();
    let (z_now, counts_now) = (e.free("z"), e.free("counts"));
    let (nodes, outputs) = e.body(|e| {
        let bias = two_biases.then_some(bias);
        let new = (kind.step)(e, &Step { z: &z_now, states: &states, recurrent, bias, units })?;
        let mut outputs = Vec::new();
        for (new, old) in new.iter().zip(&states) {
            outputs.push(e.node("Where", &[&counts_now, new, old]));
        }
        let output = e.node("Identity", &[&outputs[0]]);
        outputs.push(output);
        Ok(outputs)
    })?;
    let port = |name| (name, dtype, Some(2));
    let mut inputs: Vec<Port> = states.into_iter().map(port).collect();
    inputs.extend([port(z_now), (counts_now, DType::Bool, Some(2))]);
    let outputs = outputs.into_iter().map(port).collect();
    let mut fields = vec![
        ("body", Field::Body(Box::new(Body { nodes, inputs, outputs }))),
        ("num_scan_inputs", Field::Int(2)),
    ];
    if backwards {
        fields.push(("scan_input_directions", Field::Ints(vec![1, 1])));
    }
    let inputs: Vec<&str> = first.iter().chain([&z, &counts]).map(String::as_str).collect();
    let names = e.nodes_with("Scan", &inputs, fields, kind.states + 1);
    for (name, &output) in names[..kind.states].iter().zip(&call.outputs[1..]) {
        e.put_plain(output, name.clone());
    }
    e.put(call.outputs[0], names[kind.states].clone(), TIME_FIRST.to_vec());
    Ok(())
}

/// The columns of one or more gates.
fn columns(e: &mut Emit<'_>, x: &str, from: isize, to: isize) -> Result<String> {
    let (from, to, one) = (e.ints(&[from as i64])?, e.ints(&[to as i64])?, e.ints(&[1])?);
    e.slice(x, 1, [&from, &to, &one])
}

fn rnn_step(e: &mut Emit<'_>, s: &Step<'_>) -> Result<Vec<String>> {
    let r = e.plain(s.recurrent)?;
    let y = e.node("MatMul", &[&s.states[0], &r]);
    let y = e.add2(s.z, &y);
    Ok(vec![e.node("Tanh", &[&y])])
}

fn lstm_step(e: &mut Emit<'_>, s: &Step<'_>) -> Result<Vec<String>> {
    let (r, u) = (e.plain(s.recurrent)?, s.units);
    let inner = e.node("MatMul", &[&s.states[0], &r]);
    let z = e.add2(s.z, &inner);
    let mut gates = Vec::new();
    for (i, op) in ["Sigmoid", "Sigmoid", "Tanh", "Sigmoid"].into_iter().enumerate() {
        let gate = columns(e, &z, i as isize * u, (i as isize + 1) * u)?;
        gates.push(e.node(op, &[&gate]));
    }
    let (kept, added) = (e.mul(&gates[1], &s.states[1]), e.mul(&gates[0], &gates[2]));
    let carry = e.add2(&kept, &added);
    let shown = e.node("Tanh", &[&carry]);
    Ok(vec![e.mul(&shown, &gates[3]), carry])
}

fn gru_step(e: &mut Emit<'_>, s: &Step<'_>) -> Result<Vec<String>> {
    let (u, h) = (s.units, &s.states[0]);
    let (of_gates, of_candidate) = match s.bias {
        Some(bias) => {
            let (r, b) = (e.plain(s.recurrent)?, e.derived(bias, "of the state", |t| t.select(0, 1))?);
            let inner = e.node("MatMul", &[h, &r]);
            let inner = e.add2(&inner, &b);
            (columns(e, &inner, 0, 2 * u)?, Some(columns(e, &inner, 2 * u, 3 * u)?))
        }
        None => {
            let r = e.derived(s.recurrent, "of gates", |t| t.slice(1, 0, 2 * u))?;
            (e.node("MatMul", &[h, &r]), None)
        }
    };
    let gates = columns(e, s.z, 0, 2 * u)?;
    let gates = e.add2(&gates, &of_gates);
    let gates = e.node("Sigmoid", &[&gates]);
    let (z, r) = (columns(e, &gates, 0, u)?, columns(e, &gates, u, 2 * u)?);
    let inner = match of_candidate {
        Some(inner) => e.mul(&r, &inner),
        None => {
            let weights = e.derived(s.recurrent, "of the candidate", |t| t.slice(1, 2 * u, 3 * u))?;
            let left = e.mul(&r, h);
            e.node("MatMul", &[&left, &weights])
        }
    };
    let candidate = columns(e, s.z, 2 * u, 3 * u)?;
    let candidate = e.add2(&candidate, &inner);
    let candidate = e.node("Tanh", &[&candidate]);
    let one = e.c(1.0)?;
    let (old, rest) = (e.mul(&z, h), e.sub(&one, &z));
    let new = e.mul(&rest, &candidate);
    Ok(vec![e.add2(&old, &new)])
}
