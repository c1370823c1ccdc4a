//! Pooling, channels first.

use super::super::emit::{Call, Emit, Field};
use super::super::traces::Size;
use super::Form::As;
use super::Row;
use super::conv::{channels_first, padding};
use crate::autograd::{Attr, Attribute};
use crate::ops::Padding;
use crate::{Error, Result};

pub(super) const FORMS: &[Row] = &[
    ("max_pool", As("MaxPool", |e, call| pool(e, call, ["MaxPool", "ReduceMax"]))),
    ("average_pool", As("AveragePool", |e, call| pool(e, call, ["AveragePool", "ReduceMean"]))),
];

fn sizes(text: &str) -> Option<Vec<usize>> {
    text.split('x').map(|n| n.parse().ok()).collect()
}

/// Reads `3x3 by 2x2, same`.
fn sliding(text: &str) -> Option<(Vec<usize>, Vec<usize>, Padding)> {
    let (size, rest) = text.split_once(" by ")?;
    let (strides, rule) = rest.split_once(", ")?;
    Some((sizes(size)?, sizes(strides)?, Padding::read(&Attr::Text(rule.to_string().into()))?))
}

fn pool(e: &mut Emit<'_>, call: &Call, [op, whole]: [&'static str; 2]) -> Result<()> {
    let x = call.inputs[0];
    let order = channels_first(e.rank(x));
    let pools: String = call.attr("pools")?;
    let name = e.stored(x, &order)?;
    let wrong = || Error::argument("onnx", "windows such as 3x3 by 2x2, same", &pools);
    let y = if let Some(text) = pools.strip_prefix("to ") {
        let places = sizes(text).ok_or_else(wrong)?;
        shares(e, call, name, &places, whole)?
    } else {
        let (size, strides, rule) = sliding(&pools).ok_or_else(wrong)?;
        let ones = vec![1; size.len()];
        let list = |list: &[usize]| Field::Ints(list.iter().map(|n| *n as i64).collect());
        let mut fields = vec![("kernel_shape", list(&size)), ("strides", list(&strides))];
        let least = if op == "MaxPool" { f64::NEG_INFINITY } else { 0.0 };
        let (images, pads) = padding(e, (x, name.clone()), [&size, &strides, &ones], (&rule, least))?;
        fields.extend(pads);
        let y = e.node_with(op, &[&images], fields.clone());
        if op == "AveragePool" && images != name {
            // What was added has been counted, too: the share of each window that has not.
            let shape: Vec<Size> = (0..size.len()).map(|i| e.size(x, i + 1)).collect();
            let shape = e.shape(&[&[Size::Known(1), Size::Known(1)], &shape[..]].concat())?;
            let one = e.scalar(e.spec(x).dtype, 1.0)?;
            let all = e.node("Expand", &[&one, &shape]);
            let (all, _) = padding(e, (x, all), [&size, &strides, &ones], (&rule, 0.0))?;
            let share = e.node_with(op, &[&all], fields);
            e.div(&y, &share)
        } else {
            y
        }
    };
    e.put(call.outputs[0], y, order);
    Ok(())
}

/// An even share of each axis: axis by axis, the places joined.
fn shares(
    e: &mut Emit<'_>,
    call: &Call,
    mut x: String,
    places: &[usize],
    whole: &'static str,
) -> Result<String> {
    for (i, &count) in places.iter().enumerate() {
        let axis = i as i64 + 2;
        if count == 1 {
            x = e.reduce(whole, &x, &[axis], true)?;
            continue;
        }
        let Some(n) = e.number(call.inputs[0], i + 1) else {
            let expected = "images of fixed sizes for adaptive pooling to several places (Export::inputs)";
            return Err(Error::argument("onnx", expected, format!("an unknown size of spatial axis {i}")));
        };
        let one = e.ints(&[1])?;
        let mut parts = Vec::new();
        for place in 0..count {
            let (start, end) = (
                e.ints(&[(place * n / count) as i64])?,
                e.ints(&[((place + 1) * n).div_ceil(count) as i64])?,
            );
            let part = e.slice(&x, axis, [&start, &end, &one])?;
            parts.push(e.reduce(whole, &part, &[axis], true)?);
        }
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        x = e.node_with("Concat", &parts, vec![("axis", Field::Int(axis))]);
    }
    Ok(x)
}
