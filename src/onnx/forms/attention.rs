//! Attention, as products and a softmax. Its masks are made of sizes when the graph runs, so that one graph serves
//! sequences of any length.

use super::super::emit::{Call, Emit, Field};
use super::super::traces::Size;
use super::Form::As;
use super::Row;
use crate::graph::ValueId;
use crate::ops::attention::Drops;
use crate::{DType, Error, Result, Tensor};

pub(super) const FORMS: &[Row] = &[("attention", As("MatMul, Mul, Add, Where, Softmax, MatMul", attention))];

fn attention(e: &mut Emit<'_>, call: &Call) -> Result<()> {
    let (scale, causal, window): (f64, bool, Option<usize>) =
        (call.attr("scale")?, call.attr("causal")?, call.attr("window")?);
    let dropout: Option<Drops> = call.attr("dropout")?;
    if dropout.is_some() {
        return Err(Error::argument("attention", "no dropout: export a network for inference", "dropout"));
    }
    let [q, k, v] = [call.inputs[0], call.inputs[1], call.inputs[2]];
    let given =
        |fits: fn(DType) -> bool| call.inputs[3..].iter().copied().find(|&value| fits(e.spec(value).dtype));
    let (mask, bias, position) =
        (given(|d| d == DType::Bool), given(DType::is_float), given(|d| d == DType::I64));
    e.dtype = e.spec(q).dtype;
    let (heads, groups) = (e.spec(q).shape.dims()[2], e.spec(k).shape.dims()[2]);

    // [batch, heads, time, dim], and keys with the last two exchanged.
    let query = e.stored(q, &[0, 2, 1, 3])?;
    let (mut key, mut value) = (e.stored(k, &[0, 3, 1, 2])?, e.stored(v, &[0, 2, 1, 3])?);
    if groups != heads {
        let of: Vec<i64> = (0..heads).map(|head| (head * groups / heads) as i64).collect();
        let of = e.ints(&of)?;
        let field = || vec![("axis", Field::Int(1))];
        key = e.node_with("Gather", &[&key, &of], field());
        value = e.node_with("Gather", &[&value, &of], field());
    }
    let query = e.times(&query, scale)?;
    let mut scores = e.node("MatMul", &[&query, &key]);
    if let Some(bias) = bias {
        let bias = e.plain(bias)?;
        scores = e.add2(&scores, &bias);
    }
    let mut seen = mask.map(|mask| e.plain(mask)).transpose()?;
    if causal || window.is_some() {
        let more = places(e, [q, k], position, causal, window)?;
        seen = Some(match seen {
            Some(seen) => e.node("And", &[&seen, &more]),
            None => more,
        });
    }
    let last = || vec![("axis", Field::Int(-1))];
    let mut weights = match &seen {
        Some(seen) => {
            let lowest = e.c(f64::from(f32::MIN))?;
            let scores = e.node("Where", &[seen, &scores, &lowest]);
            e.node_with("Softmax", &[&scores], last())
        }
        None => e.node_with("Softmax", &[&scores], last()),
    };
    // A query that sees no key has weights of 0. With causality alone, each sees the first one.
    if let Some(seen) = seen.filter(|_| mask.is_some() || window.is_some()) {
        let zero = e.c(0.0)?;
        weights = e.node("Where", &[&seen, &weights, &zero]);
    }
    let y = e.node("MatMul", &[&weights, &value]);
    e.put(call.outputs[0], y, vec![0, 2, 1, 3]);
    Ok(())
}

/// Which keys a query sees by its position and theirs, `[queries, keys]` or with a batch before it.
fn places(
    e: &mut Emit<'_>,
    [q, k]: [ValueId; 2],
    position: Option<ValueId>,
    causal: bool,
    window: Option<usize>,
) -> Result<String> {
    let (rows, columns) = (range(e, e.size(q, 1))?, range(e, e.size(k, 1))?);
    let mut rows = e.unsqueeze(&rows, &[1])?;
    if let Some(position) = position {
        let mut start = e.plain(position)?;
        if e.rank(position) == 1 {
            start = e.unsqueeze(&start, &[1, 2, 3])?;
        }
        rows = e.add2(&rows, &start);
    }
    let mut seen = causal.then(|| e.node("LessOrEqual", &[&columns, &rows]));
    if let Some(window) = window {
        let window = e.scalar(DType::I64, window as f64)?;
        for (a, b) in [(&rows, &columns), (&columns, &rows)] {
            let far = e.sub(a, b);
            let near = e.node("Less", &[&far, &window]);
            seen = Some(match seen {
                Some(seen) => e.node("And", &[&seen, &near]),
                None => near,
            });
        }
    }
    Ok(seen.unwrap_or_default())
}

/// 0, 1, 2, … up to a size.
fn range(e: &mut Emit<'_>, size: Size) -> Result<String> {
    if let Size::Known(n) = size {
        return Ok(e.add("places", Tensor::arange(n as usize)?));
    }
    let n = e.length(&size)?;
    let n = e.squeeze(&n, &[0])?;
    let (zero, one) = (e.scalar(DType::I64, 0.0)?, e.scalar(DType::I64, 1.0)?);
    Ok(e.node("Range", &[&zero, &n, &one]))
}
