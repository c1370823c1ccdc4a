//! Products of matrices, reductions, and what is made of the two: softmax, normalization.

use super::super::emit::{Call, Emit, Field};
use super::Form::{As, Not};
use super::{Row, TRAINING};
use crate::{DType, Result};

pub(super) const FORMS: &[Row] = &[
    (
        "matmul",
        As("MatMul", |e, call| {
            let x = e.all_plain(call)?;
            let y = e.node("MatMul", &[&x[0], &x[1]]);
            e.put_plain(call.outputs[0], y);
            Ok(())
        }),
    ),
    ("linear", As("Gemm, of more axes MatMul, Add; an activation", linear)),
    (
        "det",
        As("Det", |e, call| {
            let x = e.plain(call.inputs[0])?;
            let y = e.node("Det", &[&x]);
            e.put_plain(call.outputs[0], y);
            Ok(())
        }),
    ),
    ("sum", As("ReduceSum", |e, call| reduce(e, call, "ReduceSum"))),
    ("prod", As("ReduceProd", |e, call| reduce(e, call, "ReduceProd"))),
    ("mean", As("ReduceMean", |e, call| reduce(e, call, "ReduceMean"))),
    ("max", As("ReduceMax", |e, call| reduce(e, call, "ReduceMax"))),
    ("min", As("ReduceMin", |e, call| reduce(e, call, "ReduceMin"))),
    ("any", As("ReduceMax", |e, call| reduce(e, call, "ReduceMax"))),
    ("all", As("ReduceMin", |e, call| reduce(e, call, "ReduceMin"))),
    ("softmax", As("Softmax", |e, call| softmax(e, call, "Softmax"))),
    ("log_softmax", As("LogSoftmax", |e, call| softmax(e, call, "LogSoftmax"))),
    ("layer_norm", As("LayerNormalization from 17, else its formula", layer_norm)),
    ("batch_norm", As("ReduceMean, Sub, Mul, Sqrt, Div, Add", batch_norm)),
    ("batch_norm_grad", Not(TRAINING)),
];

/// Writes the activation at the end of an operation.
pub(super) fn activated(e: &mut Emit<'_>, call: &Call, y: String) -> Result<String> {
    let activation: Option<String> = call.attr("activation")?;
    Ok(match activation.as_deref() {
        None => y,
        Some("relu") => e.node("Relu", &[&y]),
        Some("sigmoid") => e.node("Sigmoid", &[&y]),
        Some(_) => e.node("Tanh", &[&y]),
    })
}

fn linear(e: &mut Emit<'_>, call: &Call) -> Result<()> {
    let x = e.all_plain(call)?;
    let x: Vec<&str> = x.iter().map(String::as_str).collect();
    let y = if e.rank(call.inputs[0]) == 2 && x.len() == 3 {
        e.node("Gemm", &x)
    } else {
        let y = e.node("MatMul", &x[..2]);
        if let Some(bias) = x.get(2) { e.add2(&y, bias) } else { y }
    };
    let y = activated(e, call, y)?;
    e.put_plain(call.outputs[0], y);
    Ok(())
}

fn reduce(e: &mut Emit<'_>, call: &Call, op: &'static str) -> Result<()> {
    let (axes, keep): (_, bool) = (call.list("axes")?, call.attr("keepdims")?);
    let (from, out) = (call.inputs[0], call.outputs[0]);
    let order = e.order(from);
    let mut x = e.stored(from, &order)?;
    let (dtype, to) = (e.spec(from).dtype, e.spec(out).dtype);
    let within = match dtype {
        DType::Bool if to == DType::Bool => DType::I32,
        _ => to,
    };
    if within != dtype {
        x = e.cast(&x, within);
    }
    let mut at: Vec<i64> = axes.iter().map(|&axis| order[axis] as i64).collect();
    at.sort_unstable();
    let mut y = if at.is_empty() { x } else { e.reduce(op, &x, &at, keep)? };
    if within != to {
        y = e.cast(&y, to);
    }
    let order = match keep {
        true => order,
        false => {
            // The axes that are left, closed up.
            let left: Vec<usize> =
                (0..order.len()).filter(|axis| !axes.contains(axis)).map(|axis| order[axis]).collect();
            left.iter().map(|&at| left.iter().filter(|other| **other < at).count()).collect()
        }
    };
    e.put(out, y, order);
    Ok(())
}

fn softmax(e: &mut Emit<'_>, call: &Call, op: &'static str) -> Result<()> {
    let order = e.order(call.inputs[0]);
    let x = e.stored(call.inputs[0], &order)?;
    let axis = order.last().copied().unwrap_or(0) as i64;
    let y = e.node_with(op, &[&x], vec![("axis", Field::Int(axis))]);
    e.put(call.outputs[0], y, order);
    Ok(())
}

/// `(x - mean) / √(variance + ε)` over these axes.
fn normalized(e: &mut Emit<'_>, x: &str, axes: &[i64], epsilon: f64) -> Result<String> {
    let mean = e.reduce("ReduceMean", x, axes, true)?;
    let rest = e.sub(x, &mean);
    let square = e.mul(&rest, &rest);
    let variance = e.reduce("ReduceMean", &square, axes, true)?;
    let variance = e.plus(&variance, epsilon)?;
    let deviation = e.node("Sqrt", &[&variance]);
    Ok(e.div(&rest, &deviation))
}

fn layer_norm(e: &mut Emit<'_>, call: &Call) -> Result<()> {
    let epsilon: f64 = call.attr("epsilon")?;
    let x = e.all_plain(call)?;
    e.dtype = e.spec(call.inputs[0]).dtype;
    let y = if e.opset >= 17 {
        let fields = vec![("axis", Field::Int(-1)), ("epsilon", Field::Float(epsilon as f32))];
        e.node_with("LayerNormalization", &[&x[0], &x[1], &x[2]], fields)
    } else {
        let y = normalized(e, &x[0], &[-1], epsilon)?;
        let y = e.mul(&y, &x[1]);
        e.add2(&y, &x[2])
    };
    e.put_plain(call.outputs[0], y);
    Ok(())
}

/// With the statistics of the batch itself, over all axes but the last.
fn batch_norm(e: &mut Emit<'_>, call: &Call) -> Result<()> {
    let epsilon: f64 = call.attr("epsilon")?;
    let from = call.inputs[0];
    let (order, rank) = (e.order(from), e.rank(from));
    let x = e.stored(from, &order)?;
    e.dtype = e.spec(from).dtype;
    let mut axes: Vec<i64> = order[..rank - 1].iter().map(|&axis| axis as i64).collect();
    axes.sort_unstable();
    let y = normalized(e, &x, &axes, epsilon)?;
    let plain = order.iter().enumerate().all(|(i, &axis)| i == axis);
    let known = call.inputs[1..].iter().all(|value| e.known(*value).is_some());
    let (y, order) = match plain || known {
        true => (y, order),
        false => {
            let back: Vec<i64> = order.iter().map(|&axis| axis as i64).collect();
            (e.transpose(&y, &back), (0..rank).collect())
        }
    };
    let (gamma, beta) = (e.aligned(call.inputs[1], &order)?, e.aligned(call.inputs[2], &order)?);
    let y = e.mul(&y, &gamma);
    let y = e.add2(&y, &beta);
    e.put(call.outputs[0], y, order);
    // The statistics themselves.
    for (op, output) in [(0, call.outputs[1]), (1, call.outputs[2])] {
        let mut statistic = e.reduce("ReduceMean", &x, &axes, op == 1)?;
        if op == 1 {
            let rest = e.sub(&x, &statistic);
            let square = e.mul(&rest, &rest);
            statistic = e.reduce("ReduceMean", &square, &axes, false)?;
        }
        e.put_plain(output, statistic);
    }
    Ok(())
}
