//! What only integers have: bits, shifts, common divisors. Computed in int64, of which the last bits remain, as the kernels do.

use super::super::emit::{Body, Emit, Field};
use super::Form::As;
use super::Row;
use super::elementwise::pointwise;
use crate::{DType, Result};

pub(super) const FORMS: &[Row] = &[
    ("bitwise_and", As("BitwiseAnd from 18", |e, call| pointwise(e, call, |e, x| bits(e, "BitwiseAnd", x)))),
    ("bitwise_or", As("BitwiseOr from 18", |e, call| pointwise(e, call, |e, x| bits(e, "BitwiseOr", x)))),
    ("bitwise_xor", As("BitwiseXor from 18", |e, call| pointwise(e, call, |e, x| bits(e, "BitwiseXor", x)))),
    ("left_shift", As("Gather, Mul, Where", |e, call| pointwise(e, call, left_shift))),
    ("right_shift", As("Gather, Div, Where", |e, call| pointwise(e, call, right_shift))),
    (
        "gcd",
        As("Loop of Mod", |e, call| {
            pointwise(e, call, |e, x| {
                let dtype = e.dtype;
                let (a, b) = (wide(e, x[0]), wide(e, x[1]));
                let y = gcd(e, &a, &b)?;
                Ok(narrow(e, y, dtype))
            })
        }),
    ),
    ("lcm", As("Loop of Mod, Div, Mul", |e, call| pointwise(e, call, lcm))),
];

fn bits(e: &mut Emit<'_>, op: &'static str, x: &[&str]) -> Result<String> {
    if e.dtype == DType::Bool {
        let of_truths = match op {
            "BitwiseAnd" => "And",
            "BitwiseOr" => "Or",
            _ => "Xor",
        };
        return Ok(e.node(of_truths, x));
    }
    e.needs(op, 18)?;
    Ok(e.node(op, x))
}

fn wide(e: &mut Emit<'_>, x: &str) -> String {
    if e.dtype == DType::I64 { x.to_string() } else { e.cast(x, DType::I64) }
}

fn narrow(e: &mut Emit<'_>, x: String, to: DType) -> String {
    if to == DType::I64 { x } else { e.cast(&x, to) }
}

fn whole(e: &mut Emit<'_>, v: i64) -> Result<String> {
    e.scalar(DType::I64, v as f64)
}

/// The powers of two from 2^0 to 2^62, and the smallest number, which has the last bit alone.
fn powers(e: &mut Emit<'_>) -> Result<String> {
    let powers: Vec<i64> = (0..64).map(|i| 1i64 << i).collect();
    e.ints(&powers)
}

/// Where a number of places is one that the dtype has.
fn has_place(e: &mut Emit<'_>, places: &str, bits: usize) -> Result<String> {
    let (zero, end) = (whole(e, 0)?, whole(e, bits as i64)?);
    let (negative, below) = (e.node("Less", &[places, &zero]), e.node("Less", &[places, &end]));
    let not_negative = e.node("Not", &[&negative]);
    Ok(e.node("And", &[&not_negative, &below]))
}

/// All bits leave if there are too many places.
fn left_shift(e: &mut Emit<'_>, x: &[&str]) -> Result<String> {
    let dtype = e.dtype;
    let (a, places) = (wide(e, x[0]), wide(e, x[1]));
    let (zero, has) = (whole(e, 0)?, has_place(e, &places, 8 * dtype.size())?);
    let places = e.node("Where", &[&has, &places, &zero]);
    let powers = powers(e)?;
    let by = e.node_with("Gather", &[&powers, &places], vec![("axis", Field::Int(0))]);
    let y = e.mul(&a, &by);
    let y = e.node("Where", &[&has, &y, &zero]);
    Ok(narrow(e, y, dtype))
}

/// What comes in has the sign: a negative number is shifted as `-1 - a`, which is not negative.
fn right_shift(e: &mut Emit<'_>, x: &[&str]) -> Result<String> {
    let dtype = e.dtype;
    let (a, places) = (wide(e, x[0]), wide(e, x[1]));
    let (zero, minus_one, most) = (whole(e, 0)?, whole(e, -1)?, whole(e, 62)?);
    let has = has_place(e, &places, (8 * dtype.size()).min(63))?;
    let places = e.node("Where", &[&has, &places, &most]);
    let powers = powers(e)?;
    let by = e.node_with("Gather", &[&powers, &places], vec![("axis", Field::Int(0))]);
    let (negative, turned) = (e.node("Less", &[&a, &zero]), e.sub(&minus_one, &a));
    let size = e.node("Where", &[&negative, &turned, &a]);
    let shifted = e.div(&size, &by);
    let shifted = e.node("Where", &[&has, &shifted, &zero]);
    let turned = e.sub(&minus_one, &shifted);
    let y = e.node("Where", &[&negative, &turned, &shifted]);
    Ok(narrow(e, y, dtype))
}

/// Euclid's algorithm, until all remainders are 0: of 64 bits after 92 steps.
fn gcd(e: &mut Emit<'_>, a: &str, b: &str) -> Result<String> {
    let zero = whole(e, 0)?;
    let (a, b) = (e.node("Abs", &[a]), e.node("Abs", &[b]));
    // Both in the shape of the result.
    let (none_of_a, none_of_b) = (e.mul(&a, &zero), e.mul(&b, &zero));
    let (a, b) = (e.add2(&a, &none_of_b), e.add2(&b, &none_of_a));
    let [step, going, a_now, b_now] = ["step", "going", "a", "b"].map(|name| e.free(name));
    let (nodes, outputs) = e.body(|e| {
        let (one, done) = (whole(e, 1)?, e.node("Equal", &[&b_now, &zero]));
        let by = e.node("Where", &[&done, &one, &b_now]);
        let rest = e.node("Mod", &[&a_now, &by]);
        let a = e.node("Where", &[&done, &a_now, &b_now]);
        let b = e.node("Where", &[&done, &zero, &rest]);
        let left = e.node_with("ReduceSum", &[&b], vec![("keepdims", Field::Int(0))]);
        let more = e.node("Greater", &[&left, &zero]);
        Ok([more, a, b].map(|name| e.separate(&name)))
    })?;
    let [more, a_next, b_next] = outputs;
    let body = Body {
        nodes,
        inputs: vec![
            (step, DType::I64, Some(0)),
            (going, DType::Bool, Some(0)),
            (a_now, DType::I64, None),
            (b_now, DType::I64, None),
        ],
        outputs: vec![(more, DType::Bool, None), (a_next, DType::I64, None), (b_next, DType::I64, None)],
    };
    let (most, yes) = (whole(e, 92)?, e.scalar(DType::Bool, 1.0)?);
    let fields = vec![("body", Field::Body(Box::new(body)))];
    Ok(e.nodes_with("Loop", &[&most, &yes, &a, &b], fields, 2).swap_remove(0))
}

fn lcm(e: &mut Emit<'_>, x: &[&str]) -> Result<String> {
    let dtype = e.dtype;
    let (a, b) = (wide(e, x[0]), wide(e, x[1]));
    let d = gcd(e, &a, &b)?;
    let (zero, one) = (whole(e, 0)?, whole(e, 1)?);
    let none = e.node("Equal", &[&d, &zero]);
    let d = e.node("Where", &[&none, &one, &d]);
    let part = e.div(&a, &d);
    let y = e.mul(&part, &b);
    let y = e.node("Abs", &[&y]);
    Ok(narrow(e, y, dtype))
}
