//! Operations on axes: shapes, slices, joins, indices, sorting, running sums.

use super::super::emit::{Call, Emit, Field, plain_order};
use super::super::traces::Size;
use super::Form::As;
use super::Row;
use crate::autograd::Attr;
use crate::{DType, Error, Result};

pub(super) const FORMS: &[Row] = &[
    ("reshape", As("Reshape", reshape)),
    ("permute", As("Transpose, where no other operation takes the order", permute)),
    ("broadcast", As("Expand", broadcast)),
    ("broadcast_like", As("Expand", broadcast)),
    ("fill", As("Expand", fill)),
    ("slice", As("Slice", slice)),
    ("slice_update", As("Slice, Concat", slice_update)),
    ("concat", As("Concat", concat)),
    ("pad", As("Pad", pad)),
    (
        "gather",
        As("Gather", |e, call| {
            let axis: usize = call.attr("axis")?;
            let x = e.all_plain(call)?;
            let y = e.node_with("Gather", &[&x[0], &x[1]], vec![("axis", Field::Int(axis as i64))]);
            e.put_plain(call.outputs[0], y);
            Ok(())
        }),
    ),
    (
        "take_along_axis",
        As("GatherElements", |e, call| {
            let x = e.all_plain(call)?;
            let y = e.node_with("GatherElements", &[&x[0], &x[1]], vec![("axis", Field::Int(-1))]);
            e.put_plain(call.outputs[0], y);
            Ok(())
        }),
    ),
    (
        "put_along_axis",
        As("ScatterElements", |e, call| {
            let x = e.all_plain(call)?;
            let inputs: [&str; 3] = [&x[0], &x[1], &x[2]];
            let y = e.node_with("ScatterElements", &inputs, vec![("axis", Field::Int(-1))]);
            e.put_plain(call.outputs[0], y);
            Ok(())
        }),
    ),
    ("one_hot", As("OneHot", one_hot)),
    ("argsort", As("TopK", argsort)),
    ("argmax", As("ArgMax", |e, call| arg(e, call, "ArgMax"))),
    ("argmin", As("ArgMin", |e, call| arg(e, call, "ArgMin"))),
    (
        "cumsum",
        As("CumSum", |e, call| {
            let x = e.plain(call.inputs[0])?;
            let last = e.scalar(DType::I64, e.rank(call.inputs[0]) as f64 - 1.0)?;
            let y = e.node("CumSum", &[&x, &last]);
            e.put_plain(call.outputs[0], y);
            Ok(())
        }),
    ),
];

/// Kept axes are 0 and one that is left is -1, so that most reshapes need no sizes.
fn reshape(e: &mut Emit<'_>, call: &Call) -> Result<()> {
    let (from, to) = (call.inputs[0], call.outputs[0]);
    let x = e.plain(from)?;
    let mut hole = false;
    let mut sizes = Vec::new();
    for (i, size) in e.sizes_of(to, &[from])?.into_iter().enumerate() {
        let same = e.traces.sizes(from, i) == e.traces.sizes(to, i);
        sizes.push(match size {
            Size::Known(n) => Size::Known(n),
            _ if same => Size::Known(0),
            _ if !hole => {
                hole = true;
                Size::Known(-1)
            }
            size => size,
        });
    }
    // Without a kept axis of unknown size beside it, an empty batch would make -1 ambiguous; 0 is exact.
    let shape = e.shape(&sizes)?;
    let y = e.node("Reshape", &[&x, &shape]);
    e.put_plain(to, y);
    Ok(())
}

/// Nothing moves until an operation needs the axes as they are.
fn permute(e: &mut Emit<'_>, call: &Call) -> Result<()> {
    let (order, at) = (call.list("order")?, e.order(call.inputs[0]));
    let name = e.stored(call.inputs[0], &at)?;
    e.put(call.outputs[0], name, order.iter().map(|&axis| at[axis]).collect());
    Ok(())
}

fn broadcast(e: &mut Emit<'_>, call: &Call) -> Result<()> {
    let x = e.plain(call.inputs[0])?;
    let sizes = e.sizes_of(call.outputs[0], &call.inputs)?;
    let shape = e.shape(&sizes)?;
    let y = e.node("Expand", &[&x, &shape]);
    e.put_plain(call.outputs[0], y);
    Ok(())
}

fn fill(e: &mut Emit<'_>, call: &Call) -> Result<()> {
    let (out, value) = (call.outputs[0], call.attr("value")?);
    if value == 0.0 {
        e.is_all_zero(out);
    }
    let sizes = e.sizes_of(out, &call.inputs)?;
    let (x, shape) = (e.scalar(e.spec(out).dtype, value)?, e.shape(&sizes)?);
    let y = e.node("Expand", &[&x, &shape]);
    e.put_plain(out, y);
    Ok(())
}

/// Reads `start:end:step` in each trace.
fn runs(call: &Call) -> Option<Vec<[Option<i64>; 3]>> {
    let run = |attr: &Attr| {
        let Attr::Text(text) = attr else { return None };
        let mut words = text
            .split(':')
            .map(|word| if word.is_empty() { Some(None) } else { word.parse().ok().map(Some) });
        Some([words.next()??, words.next()??, words.next()??])
    };
    call.attrs.iter().map(|attrs| attrs.get("run").and_then(run)).collect()
}

fn slice(e: &mut Emit<'_>, call: &Call) -> Result<()> {
    let (axis, from): (usize, _) = (call.attr("axis")?, call.inputs[0]);
    let wrong = || {
        Error::argument(
            "onnx",
            "a slice that begins and ends alike for all sizes",
            format!("{:?}", call.attrs),
        )
    };
    let runs = runs(call).ok_or_else(wrong)?;
    let backwards = runs[0][2].is_some_and(|step| step < 0);
    let mut ends = Vec::new();
    for part in 0..3 {
        let far = match (part, backwards) {
            (0, false) => 0,
            (0, true) | (1, false) => i64::MAX,
            _ => i64::MIN,
        };
        let n: Vec<i64> = runs.iter().map(|run| run[part].unwrap_or(far)).collect();
        // An end that is missing in some traces is that of the axis.
        let n = match n.iter().any(|other| *other != n[0]) && n.contains(&i64::MAX) {
            true => n
                .iter()
                .zip(e.traces.sizes(from, axis))
                .map(|(n, size)| if *n == i64::MAX { size as i64 } else { *n })
                .collect(),
            false => n,
        };
        let size = e.explained(&n, &call.inputs)?;
        ends.push(e.length(&size)?);
    }
    let order = e.order(from);
    let x = e.stored(from, &order)?;
    let y = e.slice(&x, order[axis] as i64, [&ends[0], &ends[1], &ends[2]])?;
    e.put(call.outputs[0], y, order);
    Ok(())
}

fn slice_update(e: &mut Emit<'_>, call: &Call) -> Result<()> {
    let axis: usize = call.attr("axis")?;
    let [x, update, start] = [call.inputs[0], call.inputs[1], call.inputs[2]];
    let size = e.explained(
        &e.traces.sizes(update, axis).iter().map(|n| *n as i64).collect::<Vec<_>>(),
        &call.inputs,
    )?;
    let length = e.length(&size)?;
    let names = [e.plain(x)?, e.plain(update)?, e.plain(start)?];
    let start = e.unsqueeze(&names[2], &[0])?;
    let (zero, one, far) = (e.ints(&[0])?, e.ints(&[1])?, e.ints(&[i64::MAX])?);
    let rest = e.add2(&start, &length);
    let before = e.slice(&names[0], axis as i64, [&zero, &start, &one])?;
    let after = e.slice(&names[0], axis as i64, [&rest, &far, &one])?;
    let y = e.node_with("Concat", &[&before, &names[1], &after], vec![("axis", Field::Int(axis as i64))]);
    e.put_plain(call.outputs[0], y);
    Ok(())
}

fn concat(e: &mut Emit<'_>, call: &Call) -> Result<()> {
    let axis: usize = call.attr("axis")?;
    let order = e.common_order(&call.inputs, e.rank(call.outputs[0]));
    let x = call.inputs.iter().map(|&value| e.stored(value, &order)).collect::<Result<Vec<_>>>()?;
    let x: Vec<&str> = x.iter().map(String::as_str).collect();
    let y = e.node_with("Concat", &x, vec![("axis", Field::Int(order[axis] as i64))]);
    e.put(call.outputs[0], y, order);
    Ok(())
}

fn pad(e: &mut Emit<'_>, call: &Call) -> Result<()> {
    let (before, after, value): (_, _, f64) =
        (call.list("before")?, call.list("after")?, call.attr("value")?);
    let order = e.order(call.inputs[0]);
    let mut pads = vec![0; 2 * order.len()];
    for (i, &axis) in order.iter().enumerate() {
        pads[axis] = before[i] as i64;
        pads[order.len() + axis] = after[i] as i64;
    }
    let dtype = e.spec(call.inputs[0]).dtype;
    let (x, pads) = (e.stored(call.inputs[0], &order)?, e.ints(&pads)?);
    let y = match dtype {
        // ONNX Runtime pads no truth values.
        DType::Bool => {
            let (x, value) = (e.cast(&x, DType::I32), e.scalar(DType::I32, value)?);
            let y = e.node("Pad", &[&x, &pads, &value]);
            e.cast(&y, DType::Bool)
        }
        _ => {
            let value = e.scalar(dtype, value)?;
            e.node("Pad", &[&x, &pads, &value])
        }
    };
    e.put(call.outputs[0], y, order);
    Ok(())
}

fn one_hot(e: &mut Emit<'_>, call: &Call) -> Result<()> {
    let (classes, dtype): (usize, DType) = (call.attr("classes")?, call.attr("dtype")?);
    let x = e.plain(call.inputs[0])?;
    let classes = e.ints(&[classes as i64])?;
    let (off, on) = (e.scalar(DType::F32, 0.0)?, e.scalar(DType::F32, 1.0)?);
    let (off, on) = (e.unsqueeze(&off, &[0])?, e.unsqueeze(&on, &[0])?);
    let values = e.node_with("Concat", &[&off, &on], vec![("axis", Field::Int(0))]);
    let mut y = e.node_with("OneHot", &[&x, &classes, &values], vec![("axis", Field::Int(-1))]);
    if dtype != DType::F32 {
        y = e.cast(&y, dtype);
    }
    e.put_plain(call.outputs[0], y);
    Ok(())
}

fn argsort(e: &mut Emit<'_>, call: &Call) -> Result<()> {
    let (descending, from): (bool, _) = (call.attr("descending")?, call.inputs[0]);
    let rank = e.rank(from);
    let x = e.plain(from)?;
    let size = e.size(from, rank.saturating_sub(1));
    let length = e.length(&size)?;
    let fields = vec![
        ("axis", Field::Int(-1)),
        ("largest", Field::Int(i64::from(descending))),
        ("sorted", Field::Int(1)),
    ];
    let y = e.nodes_with("TopK", &[&x, &length], fields, 2).swap_remove(1);
    e.put_plain(call.outputs[0], y);
    Ok(())
}

/// Along the last axis, which does not stay.
fn arg(e: &mut Emit<'_>, call: &Call, op: &'static str) -> Result<()> {
    let x = e.plain(call.inputs[0])?;
    let fields = vec![("axis", Field::Int(-1)), ("keepdims", Field::Int(0))];
    let x = if e.spec(call.inputs[0]).dtype == DType::Bool { e.cast(&x, DType::I32) } else { x };
    let y = e.node_with(op, &[&x], fields);
    let order = plain_order(e.rank(call.outputs[0]));
    e.put(call.outputs[0], y, order);
    Ok(())
}
