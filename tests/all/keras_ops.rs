//! Compares operations with Keras 3.15 (JAX, float64): values and gradients of `keras.ops`, including ties, NaN and
//! infinities. `tests/parity/README.md` says how the golden values were made.

use crate::calls::{plain, reduced};
use gradus::ops::{self, PadMode};
use gradus::{DType, Result, Tensor};
use serde_json::Value;

fn floats(v: &Value) -> Vec<f64> {
    let number = |v: &Value| v.as_f64().unwrap_or_else(|| v.as_str().unwrap().parse().unwrap());
    v["data"].as_array().unwrap().iter().map(number).collect()
}

fn tensor(v: &Value) -> Tensor {
    let shape: Vec<usize> = sizes(&v["shape"]);
    let t = Tensor::from_slice(&floats(v), shape).unwrap();
    match v["dtype"].as_str() {
        Some("i64") => t.cast(DType::I64).unwrap(),
        Some("bool") => t.cast(DType::Bool).unwrap(),
        _ => t,
    }
}

fn sizes(v: &Value) -> Vec<usize> {
    v.as_array().unwrap().iter().map(|d| d.as_u64().unwrap() as usize).collect()
}

fn integer(v: &Value) -> isize {
    v.as_i64().unwrap() as isize
}

/// Keras's `axis`: missing or null for all, a number, or a list.
fn axes(v: &Value) -> Vec<isize> {
    match v {
        Value::Null => vec![],
        Value::Array(list) => list.iter().map(integer).collect(),
        one => vec![integer(one)],
    }
}

/// Our names for Keras's rows of the elementwise tables, where they differ.
const NAMES: &[(&str, &str)] = &[
    ("expm1", "exp_m1"),
    ("log", "ln"),
    ("log1p", "ln_1p"),
    ("negative", "neg"),
    ("arcsin", "asin"),
    ("arccos", "acos"),
    ("arctan", "atan"),
    ("arcsinh", "asinh"),
    ("arccosh", "acosh"),
    ("arctanh", "atanh"),
    ("arctan2", "atan2"),
    ("subtract", "sub"),
    ("multiply", "mul"),
    ("divide", "div"),
    ("power", "pow"),
    ("floor_divide", "floor_div"),
    ("mod", "remainder"),
    ("isnan", "is_nan"),
    ("isinf", "is_inf"),
    ("isfinite", "is_finite"),
    ("where", "choose"),
];

fn one(t: Result<Tensor>) -> Option<Result<Vec<Tensor>>> {
    Some(t.map(|t| vec![t]))
}

/// What the library has for an operation of Keras, if anything.
fn run(case: &Value, x: &[Tensor]) -> Option<Result<Vec<Tensor>>> {
    let (op, args) = (case["op"].as_str().unwrap(), &case["args"]);
    let number = |key: &str| args[key].as_f64();
    let keep = args["keepdims"].as_bool().unwrap_or(false);
    let axis = || axes(&args["axis"]);
    let at = || integer(&args["axis"]);
    let name = NAMES.iter().find(|(theirs, _)| *theirs == op).map_or(op, |(_, ours)| ours);
    if let (Some(row), true) = (ops::UNARY.iter().find(|r| r.name == name), args["decimals"].is_null()) {
        return one((row.apply)(&x[0]));
    }
    // Keras takes numbers for truth values.
    if op == "logical_not" {
        return one(x[0].cast(DType::Bool).and_then(|x| x.logical_not()));
    }
    if let Some(y) = plain(name, x).or_else(|| reduced(name, x.first()?, &axis(), keep)) {
        return one(y);
    }
    one(match op {
        "clip" => x[0].clip(number("x_min")?, number("x_max")?),
        "var" => x[0].var(&axis(), keep, 0),
        "std" => x[0].std(&axis(), keep, 0),
        "norm" if args["ord"] == "inf" => x[0].norm(f64::INFINITY, &axis(), keep),
        "norm" => x[0].norm(number("ord").unwrap_or(2.0), &axis(), keep),
        "argmin" if args["axis"].is_null() => x[0].flatten().and_then(|x| x.argmin(0)),
        "argmax" if args["axis"].is_null() => x[0].flatten().and_then(|x| x.argmax(0)),
        "argmin" => x[0].argmin(at()),
        "argmax" => x[0].argmax(at()),
        "cumsum" => x[0].cumsum(at()),
        "cumprod" => x[0].cumprod(at()),
        "sort" => x[0].sort(at(), false),
        "argsort" => x[0].argsort(at(), false),
        "softmax" => x[0].softmax(at()),
        "flip" => x[0].flip(&axis()),
        "roll" if args["axis"].is_null() => {
            let rolled = x[0].flatten().and_then(|f| f.roll(integer(&args["shift"]), 0));
            rolled.and_then(|f| f.reshape_to(*x[0].shape()))
        }
        "roll" => x[0].roll(integer(&args["shift"]), at()),
        "tile" => x[0].tile(&sizes(&args["repeats"])),
        "repeat" if args["axis"].is_null() => {
            x[0].flatten().and_then(|f| f.repeat(integer(&args["repeats"]) as usize, 0))
        }
        "repeat" => x[0].repeat(integer(&args["repeats"]) as usize, at()),
        "transpose" if args["axes"].is_null() => {
            x[0].permute(&(0..x[0].rank() as isize).rev().collect::<Vec<_>>())
        }
        "transpose" => x[0].permute(&axes(&args["axes"])),
        "moveaxis" => x[0].moveaxis(integer(&args["source"]), integer(&args["destination"])),
        "swapaxes" => x[0].transpose(integer(&args["axis1"]), integer(&args["axis2"])),
        "reshape" => x[0].reshape(axes(&args["newshape"])),
        "broadcast_to" => x[0].broadcast_to(sizes(&args["shape"])),
        "concatenate" => Tensor::concat(&x.iter().collect::<Vec<_>>(), at()),
        "stack" => Tensor::stack(&x.iter().collect::<Vec<_>>(), at()),
        "take" => x[0].gather(&x[1], at()),
        "take_along_axis" => x[0].take_along_axis(&x[1], at()),
        "segment_sum" => x[0].scatter_add(&x[1], 0, [integer(&args["num_segments"]) as usize, 4]),
        "tril" => x[0].tril(integer(&args["k"])),
        "triu" => x[0].triu(integer(&args["k"])),
        "diagonal" => x[0].diagonal(integer(&args["offset"]), -2, -1),
        "diag" => x[0].diag(integer(&args["k"])),
        "trace" => x[0].trace(0, -2, -1),
        "eye" => Tensor::eye(3, 4, integer(&args["k"]), DType::F64),
        "linspace" => {
            Tensor::linspace(number("start")?, number("stop")?, integer(&args["num"]) as usize, DType::F64)
        }
        "arange" => Tensor::arange_step(number("start")?, number("stop")?, number("step")?, DType::F64),
        "pad" => {
            let widths: Vec<(usize, usize)> =
                args["pad_width"].as_array().unwrap().iter().map(|w| (sizes(w)[0], sizes(w)[1])).collect();
            let padding = match args["mode"].as_str().unwrap() {
                "constant" => PadMode::Constant(number("constant_values").unwrap_or(0.0)),
                "edge" => PadMode::Edge,
                "reflect" => PadMode::Reflect,
                "symmetric" => PadMode::Symmetric,
                _ => PadMode::Wrap,
            };
            x[0].pad(&widths, padding)
        }
        "top_k" => {
            return Some(x[0].top_k(integer(&args["k"]) as usize, -1).map(|(values, at)| vec![values, at]));
        }
        "split" => {
            let cuts = &args["indices_or_sections"];
            return Some(if cuts.is_array() { x[0].split(&[1, 2, 1], at()) } else { x[0].chunk(2, at()) });
        }
        "meshgrid" => {
            let grids = Tensor::meshgrid(&x.iter().collect::<Vec<_>>());
            let xy = args["indexing"] == "xy";
            return Some(
                grids.and_then(|g| g.iter().map(|t| if xy { t.t() } else { Ok(t.clone()) }).collect()),
            );
        }
        _ => return None,
    })
}

#[track_caller]
fn close(what: &str, got: &Tensor, want: &Value) {
    assert_eq!(got.dims(), sizes(&want["shape"]), "{what}");
    let got = got.cast(DType::F64).unwrap().to_vec::<f64>().unwrap();
    for (i, (g, w)) in got.iter().zip(floats(want)).enumerate() {
        let fits = (g - w).abs() <= 1e-12 * (1.0 + w.abs()) || (g.is_nan() && w.is_nan()) || *g == w;
        assert!(fits, "{what}[{i}]: got {g}, Keras has {w}");
    }
}

#[test]
fn operations_and_their_gradients() {
    let path = format!("{}/tests/parity/goldens/ops.json", env!("CARGO_MANIFEST_DIR"));
    let g: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let (mut checked, mut gradients) = (0, 0);
    for case in g["cases"].as_array().unwrap() {
        let inputs: Vec<Tensor> = case["inputs"].as_array().unwrap().iter().map(tensor).collect();
        let leaves: Vec<Tensor> = inputs.iter().map(Tensor::tracked).collect();
        let what = format!("{} {} ({})", case["op"].as_str().unwrap(), case["args"], case["group"]);
        let Some(outputs) = run(case, &leaves) else { continue };
        let outputs = outputs.unwrap_or_else(|e| panic!("{what}: {e}"));
        let wanted = case["outputs"].as_array().unwrap();
        assert_eq!(outputs.len(), wanted.len(), "{what}");
        outputs.iter().zip(wanted).for_each(|(got, want)| close(&what, got, want));
        checked += 1;
        let Some(grads) = case["grads"].as_array() else { continue };
        let mut loss = Tensor::scalar(0.0f64).unwrap();
        for (y, cotangent) in outputs.iter().zip(case["cotangents"].as_array().unwrap()) {
            if !cotangent.is_null() {
                let term = y.mul(&tensor(cotangent)).and_then(|t| t.sum(&[], false));
                loss = loss.add(&term.unwrap()).unwrap();
            }
        }
        let found = loss.backward().unwrap_or_else(|e| panic!("{what}: {e}"));
        if case["op"] == "sinc" {
            continue; // Keras's gradient cancels near 0, and has one sign on both sides: see foreign.rs
        }
        for (leaf, want) in leaves.iter().zip(grads).filter(|(_, want)| !want.is_null()) {
            close(&format!("gradient of {what}"), found.get(leaf).unwrap(), want);
            gradients += 1;
        }
    }
    println!("{checked} cases, {gradients} gradients");
    assert!(checked >= 250 && gradients >= 150, "{checked} cases, {gradients} gradients");
}
