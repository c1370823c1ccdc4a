//! Running products, extremes and sums of exponentials along the last axis: loops over it (`Scan`), whose step is what the kernel does
//! with one element.

use super::super::emit::{Body, Call, Emit, Field, Port, plain_order};
use super::Form::As;
use super::Row;
use super::elementwise::log_add;
use crate::{DType, Result};

pub(super) const FORMS: &[Row] = &[
    ("cumprod", As("Scan", |e, call| simple(e, call, 1.0, |e, product, x| Ok(e.mul(product, x))))),
    ("logcumsumexp", As("Scan", |e, call| simple(e, call, f64::NEG_INFINITY, log_add))),
    ("recurrence", As("Scan", recurrence)),
    ("cummax", As("Scan", |e, call| extreme(e, call, "GreaterOrEqual", i64::MIN))),
    ("cummin", As("Scan", |e, call| extreme(e, call, "LessOrEqual", i64::MAX))),
];

/// Writes a loop along the last axis of elements with `rank` axes more than one. `step` is passed the names of states and
/// elements; it returns the new states and what is collected. Returns the names of the collected tensors.
fn along_last(
    e: &mut Emit<'_>,
    states: &[Port],
    (elements, rank): (&[(String, DType)], usize),
    collected: &[DType],
    step: impl FnOnce(&mut Emit<'_>, &[String], &[String]) -> Result<Vec<String>>,
) -> Result<Vec<String>> {
    let states_now: Vec<String> = states.iter().map(|_| e.free("state")).collect();
    let elements_now: Vec<String> = elements.iter().map(|_| e.free("element")).collect();
    let (nodes, names) = e.body(|e| {
        let names = step(e, &states_now, &elements_now)?;
        // Each output has a name of its own.
        Ok(names.iter().map(|name| e.separate(name)).collect::<Vec<_>>())
    })?;
    let of_states = states.iter().map(|(_, dtype, rank)| (*dtype, *rank));
    let inputs = of_states.clone().chain(elements.iter().map(|(_, dtype)| (*dtype, Some(rank))));
    let outputs = of_states.chain(collected.iter().map(|dtype| (*dtype, Some(rank))));
    let inputs = states_now.into_iter().chain(elements_now).zip(inputs);
    let port = |(name, (dtype, rank))| (name, dtype, rank);
    let body = Body {
        nodes,
        inputs: inputs.map(port).collect(),
        outputs: names.into_iter().zip(outputs).map(port).collect(),
    };
    let fields = vec![
        ("body", Field::Body(Box::new(body))),
        ("num_scan_inputs", Field::Int(elements.len() as i64)),
        ("scan_input_axes", Field::Ints(vec![-1; elements.len()])),
        ("scan_output_axes", Field::Ints(vec![-1; collected.len()])),
    ];
    let states_given = states.iter().map(|(name, ..)| name);
    let given = states_given.chain(elements.iter().map(|(name, _)| name));
    let given: Vec<&str> = given.map(String::as_str).collect();
    let mut names = e.nodes_with("Scan", &given, fields, states.len() + collected.len());
    Ok(names.split_off(states.len()))
}

/// What a loop begins with: one number for each row.
fn start(e: &mut Emit<'_>, call: &Call, dtype: DType, value: f64) -> Result<String> {
    let mut sizes = e.sizes_of(call.outputs[0], &call.inputs)?;
    sizes.pop();
    let (shape, value) = (e.shape(&sizes)?, e.scalar(dtype, value)?);
    Ok(e.node("Expand", &[&value, &shape]))
}

/// One state, which is what is collected.
fn simple(
    e: &mut Emit<'_>,
    call: &Call,
    first: f64,
    step: impl FnOnce(&mut Emit<'_>, &str, &str) -> Result<String>,
) -> Result<()> {
    let dtype = e.spec(call.inputs[0]).dtype;
    e.dtype = dtype;
    let (x, state) = (e.plain(call.inputs[0])?, start(e, call, dtype, first)?);
    let rank = e.rank(call.inputs[0]) - 1;
    let states = [(state, dtype, Some(rank))];
    let y = along_last(e, &states, (&[(x, dtype)], rank), &[dtype], |e, states, x| {
        let new = step(e, &states[0], &x[0])?;
        Ok(vec![new.clone(), new])
    })?;
    e.put_plain(call.outputs[0], y[0].clone());
    Ok(())
}

/// The first factor has nothing to multiply: it is taken as 0, whatever it is.
fn recurrence(e: &mut Emit<'_>, call: &Call) -> Result<()> {
    let dtype = e.spec(call.inputs[0]).dtype;
    e.dtype = dtype;
    let (a, b) = (e.plain(call.inputs[0])?, e.plain(call.inputs[1])?);
    let (state, axis) = (start(e, call, dtype, 0.0)?, e.rank(call.inputs[0]) as i64 - 1);
    let (one, end) = (e.ints(&[1])?, e.ints(&[i64::MAX])?);
    let rest = e.slice(&a, axis, [&one, &end, &one])?;
    let zero = e.unsqueeze(&state, &[axis])?;
    let a = e.node_with("Concat", &[&zero, &rest], vec![("axis", Field::Int(axis))]);
    let rank = e.rank(call.inputs[0]) - 1;
    let states = [(state, dtype, Some(rank))];
    let y = along_last(e, &states, (&[(a, dtype), (b, dtype)], rank), &[dtype], |e, states, x| {
        let kept = e.mul(&x[0], &states[0]);
        let new = e.add2(&kept, &x[1]);
        Ok(vec![new.clone(), new])
    })?;
    e.put_plain(call.outputs[0], y[0].clone());
    Ok(())
}

/// The place of the extreme so far: of equal ones the latest, and NaN stays. What ONNX does not compare is compared as float32 or int64.
fn extreme(e: &mut Emit<'_>, call: &Call, no_worse: &'static str, least: i64) -> Result<()> {
    let own = e.spec(call.inputs[0]).dtype;
    let x = e.plain(call.inputs[0])?;
    let (x, dtype) = match own {
        DType::F32 | DType::F64 | DType::I64 => (x, own),
        _ if own.is_float() => (e.cast(&x, DType::F32), DType::F32),
        _ => (e.cast(&x, DType::I64), DType::I64),
    };
    let worst = match dtype.is_float() {
        true if least < 0 => f64::NEG_INFINITY,
        true => f64::INFINITY,
        false => least as f64,
    };
    let rank = e.rank(call.inputs[0]) - 1;
    let states = [
        (start(e, call, dtype, worst)?, dtype, Some(rank)),
        (start(e, call, DType::I64, 0.0)?, DType::I64, Some(rank)),
        (e.scalar(DType::I64, 0.0)?, DType::I64, Some(0)),
    ];
    let y = along_last(e, &states, (&[(x, dtype)], rank), &[DType::I64], |e, states, x| {
        let mut taken = e.node(no_worse, &[&x[0], &states[0]]);
        if dtype.is_float() {
            let odd = e.node("IsNaN", &[&x[0]]);
            taken = e.node("Or", &[&taken, &odd]);
        }
        let best = e.node("Where", &[&taken, &x[0], &states[0]]);
        let at = e.node("Where", &[&taken, &states[2], &states[1]]);
        let one = e.scalar(DType::I64, 1.0)?;
        let next = e.add2(&states[2], &one);
        Ok(vec![best, at.clone(), next, at])
    })?;
    e.put(call.outputs[0], y[0].clone(), plain_order(e.rank(call.outputs[0])));
    Ok(())
}
