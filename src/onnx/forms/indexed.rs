//! Collections by index, and places among sorted elements.

use super::super::emit::{Call, Emit, Field};
use super::super::traces::Size;
use super::Form::As;
use super::Row;
use crate::{DType, Result};

pub(super) const FORMS: &[Row] = &[
    ("add_along_axis", As("ScatterElements from 16", |e, call| collected(e, call, "add", 0.0, 0.0))),
    ("prod_along_axis", As("ScatterElements from 16", |e, call| collected(e, call, "mul", 1.0, 1.0))),
    (
        "max_along_axis",
        As("ScatterElements from 18", |e, call| {
            collected(e, call, "max", f64::NEG_INFINITY, smallest(e.spec(call.inputs[0]).dtype))
        }),
    ),
    (
        "min_along_axis",
        As("ScatterElements from 18", |e, call| {
            collected(e, call, "min", f64::INFINITY, largest(e.spec(call.inputs[0]).dtype))
        }),
    ),
    ("scatter_add", As("Reshape, Expand, ScatterElements from 16", scatter_add)),
    ("searchsorted", As("Unsqueeze, Less, ReduceSum", searchsorted)),
    ("mode", As("Equal, ReduceSum, ArgMax, GatherElements", mode)),
];

fn smallest(dtype: DType) -> f64 {
    match dtype {
        DType::U8 => 0.0,
        DType::I8 => f64::from(i8::MIN),
        DType::I32 => f64::from(i32::MIN),
        _ => i64::MIN as f64,
    }
}

fn largest(dtype: DType) -> f64 {
    match dtype {
        DType::U8 => f64::from(u8::MAX),
        DType::I8 => f64::from(i8::MAX),
        DType::I32 => f64::from(i32::MAX),
        // 2^63, of which a conversion makes the largest.
        _ => i64::MAX as f64,
    }
}

/// Along the last axis, into as many places as the result has; `first` is what stands there before, of floats and of integers.
fn collected(
    e: &mut Emit<'_>,
    call: &Call,
    by: &'static str,
    of_floats: f64,
    of_integers: f64,
) -> Result<()> {
    e.needs(&format!("ScatterElements with '{by}'"), if matches!(by, "max" | "min") { 18 } else { 16 })?;
    let dtype = e.spec(call.inputs[0]).dtype;
    let x = e.all_plain(call)?;
    let sizes = e.sizes_of(call.outputs[0], &call.inputs)?;
    let shape = e.shape(&sizes)?;
    let first = e.scalar(dtype, if dtype.is_float() { of_floats } else { of_integers })?;
    let first = e.node("Expand", &[&first, &shape]);
    let fields = vec![("axis", Field::Int(-1)), ("reduction", Field::Text(by))];
    let y = e.node_with("ScatterElements", &[&first, &x[1], &x[0]], fields);
    e.put_plain(call.outputs[0], y);
    Ok(())
}

/// The axes of the index, which stand in the place of one axis, become one.
fn scatter_add(e: &mut Emit<'_>, call: &Call) -> Result<()> {
    e.needs("ScatterElements with 'add'", 16)?;
    let (axis, out): (usize, _) = (call.attr("axis")?, call.outputs[0]);
    let (dtype, rank) = (e.spec(call.inputs[0]).dtype, e.rank(out));
    let x = e.all_plain(call)?;
    let mut sizes = e.sizes_of(out, &call.inputs)?;
    let (shape, zero) = (e.shape(&sizes)?, e.scalar(dtype, 0.0)?);
    let zeros = e.node("Expand", &[&zero, &shape]);
    sizes[axis] = Size::Known(-1);
    let values = e.shape(&sizes)?;
    let values = e.node("Reshape", &[&x[0], &values]);
    let mut along = vec![1; rank];
    along[axis] = -1;
    let along = e.ints(&along)?;
    let (index, whole) = (e.node("Reshape", &[&x[1], &along]), e.node("Shape", &[&values]));
    let index = e.node("Expand", &[&index, &whole]);
    let fields = vec![("axis", Field::Int(axis as i64)), ("reduction", Field::Text("add"))];
    let y = e.node_with("ScatterElements", &[&zeros, &index, &values], fields);
    e.put_plain(out, y);
    Ok(())
}

/// Two tensors as numbers that ONNX compares; says whether they are floats.
fn comparable(e: &mut Emit<'_>, x: &str, dtype: DType) -> String {
    match dtype {
        DType::F32 | DType::F64 | DType::I64 => x.to_string(),
        _ if dtype.is_float() => e.cast(x, DType::F32),
        _ => e.cast(x, DType::I64),
    }
}

/// How many elements stand before each value: they are counted. NaN is greater than all.
fn searchsorted(e: &mut Emit<'_>, call: &Call) -> Result<()> {
    let right: bool = call.attr("right")?;
    let dtype = e.spec(call.inputs[0]).dtype;
    let x = e.all_plain(call)?;
    let (sorted, values) = (comparable(e, &x[0], dtype), comparable(e, &x[1], dtype));
    let values = e.unsqueeze(&values, &[-1])?;
    let (smaller, greater) = if right { (&values, &sorted) } else { (&sorted, &values) };
    let mut less = e.node("Less", &[smaller, greater]);
    if dtype.is_float() {
        let (number, odd) = (e.node("IsNaN", &[smaller]), e.node("IsNaN", &[greater]));
        let number = e.node("Not", &[&number]);
        let by_nan = e.node("And", &[&number, &odd]);
        less = e.node("Or", &[&less, &by_nan]);
    }
    let before = if right { e.node("Not", &[&less]) } else { less };
    let before = e.cast(&before, DType::I64);
    let y = e.reduce("ReduceSum", &before, &[-1], false)?;
    e.put_plain(call.outputs[0], y);
    Ok(())
}

/// Each element is compared with all others.
fn mode(e: &mut Emit<'_>, call: &Call) -> Result<()> {
    let dtype = e.spec(call.inputs[0]).dtype;
    let x = e.all_plain(call)?;
    let last = || vec![("axis", Field::Int(-1))];
    let sorted = comparable(e, &x[0], dtype);
    let sorted = e.node_with("GatherElements", &[&sorted, &x[1]], last());
    let (a, b) = (e.unsqueeze(&sorted, &[-1])?, e.unsqueeze(&sorted, &[-2])?);
    let mut same = e.node("Equal", &[&a, &b]);
    if dtype.is_float() {
        let (a, b) = (e.node("IsNaN", &[&a]), e.node("IsNaN", &[&b]));
        let both = e.node("And", &[&a, &b]);
        same = e.node("Or", &[&same, &both]);
    }
    let same = e.cast(&same, DType::I32);
    let counts = e.reduce("ReduceSum", &same, &[-1], false)?;
    let first =
        e.node_with("ArgMax", &[&counts], vec![("axis", Field::Int(-1)), ("keepdims", Field::Int(1))]);
    let at = e.node_with("GatherElements", &[&x[1], &first], last());
    let most = e.reduce("ReduceMax", &counts, &[-1], true)?;
    let most = e.cast(&most, DType::I64);
    e.put_plain(call.outputs[0], at);
    e.put_plain(call.outputs[1], most);
    Ok(())
}
