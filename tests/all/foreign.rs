//! Replays cases that other programs made (`tests/foreign`): elementwise functions and their derivatives of orders 1 to
//! 3 in 60 digits, and operations of NumPy and SciPy. Then the kinds of faults that such cases have found.

use crate::calls::{plain, reduced};
use gradus::autograd::grad;
use gradus::prelude::*;
use gradus::{Result, ops};
use serde_json::Value;

fn pack(name: &str) -> Value {
    let path = format!("{}/tests/foreign/pack/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn number(v: &Value) -> f64 {
    v.as_f64().unwrap_or_else(|| v.as_str().unwrap().parse().unwrap())
}

fn row(name: &str) -> &'static ops::UnaryRow {
    ops::UNARY.iter().find(|r| r.name == name).unwrap_or_else(|| panic!("no row {name}"))
}

/// The value and the derivatives up to an order, at one point.
fn derivatives(name: &str, x: f64, order: usize) -> Result<Vec<f64>> {
    let leaf = Tensor::scalar(x)?.tracked();
    let mut y = (row(name).apply)(&leaf)?;
    let mut all = vec![y.item()?];
    for _ in 0..order {
        if !y.is_tracked() {
            all.push(0.0);
            continue;
        }
        y = match grad(&y, &[&leaf]) {
            Ok(mut gradients) => gradients.swap_remove(0),
            // A constant.
            Err(e) if e.to_string().contains("does not depend") => Tensor::scalar(0.0)?,
            Err(e) => return Err(e),
        };
        all.push(y.item()?);
    }
    Ok(all)
}

/// Equal, both NaN, or near in proportion to the larger of the number and `scale`. Zeros need no common sign.
fn near(got: f64, want: f64, tolerance: f64, scale: f64) -> bool {
    got == want || got.is_nan() && want.is_nan() || (got - want).abs() <= tolerance * want.abs().max(scale)
}

/// Relative errors of values that stay above the bounds in float32, and the reason; `docs/numerics.md` lists them.
const SINGLE: &[(&str, f64, &str)] = &[
    ("ndtr", 1.0, "fewer digits in the tail: the price of a formula without branches"),
    ("gelu", 1.0, "as ndtr"),
    ("tan", 3e-6, "a quotient of sine and cosine"),
    ("log_sigmoid", 1e-5, "beyond 87 from zero exp(-x) is subnormal"),
    ("tanh_shrink", 5e-6, "two bits cancel just above 1"),
    ("gelu_tanh", 2e-5, "an exponent of many bits is rounded"),
];

/// The same for float64.
const DOUBLE: &[(&str, f64, &str)] =
    &[("gelu_tanh", 1e-12, "an exponent of many bits is rounded, and 1 - sigmoid cancels in derivatives")];

#[test]
fn values_and_gradients_of_orders_1_to_3_are_those_of_sixty_digits() {
    let all = pack("elementwise");
    let (mut points, mut explained, mut wrong) = (0, 0, Vec::new());
    for (name, rows) in all.as_object().unwrap() {
        let mut worst = [0.0f64; 4];
        for point in rows.as_array().unwrap() {
            let x = number(&point[0]);
            let got = derivatives(name, x, 3).unwrap();
            for (order, got) in got.iter().enumerate() {
                let want = &point[order + 1];
                if want.is_null() {
                    continue;
                }
                let want = number(want);
                points += 1;
                // A derivative is a sum of terms that may cancel: it is held to the size of the function around it.
                let exact = DOUBLE.iter().find(|s| s.0 == name).map_or(2e-14, |s| s.1);
                let (tolerance, scale) = if order == 0 {
                    (exact, 1e-305)
                } else {
                    (if exact > 2e-14 { 2e-11 } else { 1e-12 }, 1e-2)
                };
                if want.is_finite() && got.is_finite() {
                    worst[order] = worst[order].max((got - want).abs() / want.abs().max(scale));
                }
                let usual = if order == 0 { 2e-14 } else { 1e-12 };
                explained +=
                    usize::from(!near(*got, want, usual, scale) && near(*got, want, tolerance, scale));
                if !near(*got, want, tolerance, scale) {
                    wrong.push(format!("order {order} of {name}({x:e}): {got:e}, not {want:e}"));
                }
            }
            let x32 = x as f32;
            if f64::from(x32) == x && !point[1].is_null() {
                let want = number(&point[1]);
                let got = (row(name).apply)(&Tensor::scalar(x32).unwrap()).unwrap().item().unwrap();
                let tolerance = SINGLE.iter().find(|s| s.0 == name).map_or(1e-6, |s| s.1);
                let want = if want.abs() > f64::from(f32::MAX) { want * f64::INFINITY } else { want };
                points += 1;
                explained += usize::from(!near(got, want, 1e-6, 1e-37) && near(got, want, tolerance, 1e-37));
                if !near(got, want, tolerance, 1e-37) {
                    wrong.push(format!("{name}({x:e}) in float32: {got:e}, not {want:e}"));
                }
            }
        }
        println!("{name:16} {:8.1e} {:8.1e} {:8.1e} {:8.1e}", worst[0], worst[1], worst[2], worst[3]);
    }
    println!(
        "mpmath: {points} values and derivatives of {} functions, {explained} explained, {} unexplained",
        all.as_object().unwrap().len(),
        wrong.len()
    );
    assert!(
        points > 2000 && wrong.is_empty(),
        "{points} points, {} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

fn tensor(v: &Value) -> Tensor {
    let data: Vec<f64> = v["data"].as_array().unwrap().iter().map(number).collect();
    let t = Tensor::from_slice(&data, sizes(&v["shape"])).unwrap();
    match v["dtype"].as_str().unwrap() {
        "i64" => t.cast(DType::I64).unwrap(),
        "i8" => t.cast(DType::I8).unwrap(),
        "u8" => t.cast(DType::U8).unwrap(),
        "bool" => t.cast(DType::Bool).unwrap(),
        _ => t,
    }
}

fn sizes(v: &Value) -> Vec<usize> {
    v.as_array().unwrap().iter().map(|d| d.as_u64().unwrap() as usize).collect()
}

fn run(case: &Value, x: &[Tensor]) -> Result<Vec<Tensor>> {
    let args = &case["args"];
    let f = |key: &str| args[key].as_f64().unwrap();
    let n = |key: &str| args[key].as_u64().unwrap() as usize;
    let i = |key: &str| args[key].as_i64().unwrap() as isize;
    let axes: Vec<isize> = args["axis"].as_i64().into_iter().map(|a| a as isize).collect();
    let name = case["op"].as_str().unwrap();
    if let (Some(row), true) =
        (ops::UNARY.iter().find(|r| r.name == name), args.as_object().is_none_or(|a| a.is_empty()))
    {
        return Ok(vec![(row.apply)(&x[0])?]);
    }
    if let Some(y) = plain(name, x).or_else(|| reduced(name, x.first()?, &axes, false)) {
        return Ok(vec![y?]);
    }
    Ok(vec![match name {
        "quantile" => x[0].quantile(f("q"), &axes, false),
        "nanquantile" => x[0].nanquantile(f("q"), &axes, false),
        "median" => x[0].median(&axes, false),
        "nanmedian" => x[0].nanmedian(&axes, false),
        "nanprod" => x[0].nanprod(&axes, false),
        "nanmax" => x[0].nanmax(&axes, false),
        "nanmin" => x[0].nanmin(&axes, false),
        "nanvar" => x[0].nanvar(&axes, false, 0),
        "nanstd" => x[0].nanstd(&axes, false, 0),
        "ptp" => x[0].ptp(&axes, false),
        "nanargmax" => x[0].nanargmax(axes[0]),
        "nanargmin" => x[0].nanargmin(axes[0]),
        "nancumsum" => x[0].nancumsum(axes[0]),
        "nancumprod" => x[0].nancumprod(axes[0]),
        "logcumsumexp" => x[0].logcumsumexp(axes[0]),
        "cumsum" => x[0].cumsum(axes[0]),
        "diff" => x[0].diff(n("n"), axes[0]),
        "trapezoid" => x[0].trapezoid(f("dx"), axes[0]),
        "nan_to_num" => x[0].nan_to_num(0.0, None, None),
        "searchsorted" => x[0].searchsorted(&x[1], args["right"].as_bool().unwrap()),
        "digitize" => x[0].digitize(&x[1]),
        "bincount" => x[0].bincount(n("least")),
        "histogram" => {
            let range = args["range"].as_array().map(|r| (number(&r[0]), number(&r[1])));
            return x[0].histogram(n("bins"), range).map(|(counts, edges)| vec![counts, edges]);
        }
        "isclose" => x[0].isclose(&x[1], 1e-5, 1e-8, false),
        "rot90" => x[0].rot90(i("k"), 0, 2),
        "unravel_index" => return x[0].unravel_index(sizes(&args["shape"])),
        "cross" => x[0].cross(&x[1], -1),
        "vander" => x[0].vander(n("n"), false),
        "cov" => x[0].cov(1),
        "take_along_axis" => x[0].take_along_axis(&x[1], axes[0]),
        "take" => x[0].gather(&x[1], axes[0]),
        "logspace" => Tensor::logspace(f("start"), f("stop"), n("n"), 10.0, DType::F64),
        "geomspace" => Tensor::geomspace(f("start"), f("stop"), n("n"), DType::F64),
        "bartlett" => Tensor::bartlett(n("n"), DType::F64),
        "blackman" => Tensor::blackman(n("n"), DType::F64),
        "hamming" => Tensor::hamming(n("n"), DType::F64),
        "hanning" => Tensor::hanning(n("n"), DType::F64),
        "kaiser" => Tensor::kaiser(n("n"), f("beta"), DType::F64),
        "svd" => x[0].svd().map(|s| s.1),
        "eigh" => x[0].eigh().map(|e| e.0),
        "pinv" => x[0].pinv(None),
        "matrix_rank" => x[0].matrix_rank(None),
        "matrix_power" => x[0].matrix_power(i("n") as i64),
        "matrix_norm" => x[0].matrix_norm(number(&args["p"])),
        other => panic!("no operation for {other}"),
    }?])
}

const LINEAR: &[&str] = &["det", "svd", "eigh", "pinv", "matrix_power", "matrix_norm", "cov", "corrcoef"];

/// Operations whose zeros may have another sign than NumPy's, and why; `docs/numerics.md` lists them.
const OTHER_ZEROS: &[&str] = &["maximum", "minimum", "heaviside", "xlogy", "fmax", "fmin"];

#[test]
fn operations_give_what_numpy_gives() {
    let all = pack("numpy");
    let (mut count, mut explained, mut wrong) = (0, 0, Vec::new());
    for case in all["cases"].as_array().unwrap() {
        let inputs: Vec<Tensor> = case["inputs"].as_array().unwrap().iter().map(tensor).collect();
        let what = format!("{} {}", case["op"].as_str().unwrap(), case["args"]);
        let got = run(case, &inputs).unwrap_or_else(|e| panic!("{what}: {e}"));
        let wanted = case["outputs"].as_array().unwrap();
        assert_eq!(got.len(), wanted.len(), "{what}");
        for (got, want) in got.iter().zip(wanted) {
            let want = tensor(want);
            assert_eq!(got.dims(), want.dims(), "{what}");
            let [g, w] = [got, &want].map(|t| t.cast(DType::F64).unwrap().to_vec::<f64>().unwrap());
            let mut other = false;
            for (at, (g, w)) in g.iter().zip(&w).enumerate() {
                let name = case["op"].as_str().unwrap();
                let elementwise = ops::UNARY.iter().any(|r| r.name == name) || inputs.len() == 2;
                let strict = elementwise && !OTHER_ZEROS.contains(&name);
                let zero = *w == 0.0 && *g == 0.0 && g.is_sign_negative() != w.is_sign_negative();
                other |= zero && elementwise && !strict;
                // Factorizations are right in proportion to the matrix.
                let (tolerance, scale) = if LINEAR.contains(&name) { (1e-12, 1.0) } else { (4e-15, 1e-3) };
                if !near(*g, *w, tolerance, scale) || strict && zero {
                    let from: Vec<f64> = inputs
                        .iter()
                        .filter(|t| t.dims() == got.dims())
                        .map(|t| t.cast(DType::F64).unwrap().to_vec::<f64>().unwrap()[at])
                        .collect();
                    wrong.push(format!("{what}[{at}] of {from:?}: {g:e}, not {w:e}"));
                }
            }
            count += 1;
            explained += usize::from(other);
        }
    }
    println!("NumPy and SciPy: {count} results, {explained} explained, {} unexplained", wrong.len());
    assert!(count > 150 && wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn functions_outside_their_domain_are_nan() {
    for (name, points) in [
        ("acosh", &[-1e16, -1e4, -1.0, 0.0, 0.999][..]),
        ("asin", &[-1e9, -1.001, 1.001, 1e9]),
        ("acos", &[-1e9, -1.001, 1.001, 1e9]),
        ("atanh", &[-1e9, -1.001, 1.001, 1e9]),
        ("ln", &[-1e-30, -1e30]),
        ("log2", &[-1e-30, -1e30]),
        ("log10", &[-1e-30, -1e30]),
        ("ln_1p", &[-1.001, -1e30]),
        ("sqrt", &[-1e-30, -1e30]),
        ("rsqrt", &[-1e-30]),
        ("logit", &[-0.1, 1.1]),
        ("erfinv", &[-1.1, 1.1]),
        ("digamma", &[-1.0, -7.0]),
    ] {
        for &x in points {
            assert!(
                (row(name).apply)(&Tensor::scalar(x).unwrap()).unwrap().item().unwrap().is_nan(),
                "{name}({x})"
            );
            let single = (row(name).apply)(&Tensor::scalar(x as f32).unwrap()).unwrap();
            assert!(single.item().unwrap().is_nan(), "{name}({x}) in float32");
        }
    }
}

#[test]
fn logarithms_are_exact_at_powers() {
    let log = |name: &str, x: f64| (row(name).apply)(&Tensor::scalar(x).unwrap()).unwrap().item().unwrap();
    let single = |name: &str, x: f32| (row(name).apply)(&Tensor::scalar(x).unwrap()).unwrap().item().unwrap();
    for k in -1074..1024i32 {
        assert_eq!(log("log2", libm::scalbn(1.0, k)), f64::from(k));
    }
    for k in -149..128i32 {
        assert_eq!(single("log2", libm::scalbnf(1.0, k)), f64::from(k));
    }
    for k in 0..23 {
        assert_eq!(log("log10", format!("1e{k}").parse().unwrap()), f64::from(k));
    }
    for k in 0..11 {
        assert_eq!(single("log10", format!("1e{k}").parse().unwrap()), f64::from(k), "1e{k}");
    }
}

#[test]
fn zeros_keep_their_sign() {
    let odd = [
        "neg",
        "sin",
        "tan",
        "tanh",
        "sinh",
        "asinh",
        "asin",
        "atan",
        "atanh",
        "erf",
        "exp_m1",
        "ln_1p",
        "sqrt",
        "cbrt",
        "elu",
        "selu",
        "celu",
        "leaky_relu",
        "soft_shrink",
        "hard_shrink",
        "gelu",
        "gelu_tanh",
        "silu",
        "mish",
        "hard_silu",
        "softsign",
        "tanh_shrink",
        "floor",
        "ceil",
        "round",
        "trunc",
        "deg2rad",
        "rad2deg",
        "erfinv",
        "i1",
        "i1e",
    ];
    for name in odd {
        for x in [0.0, -0.0] {
            let want = if name == "neg" { -x } else { x };
            let got = (row(name).apply)(&Tensor::scalar(x).unwrap()).unwrap();
            assert!(got.same_bits(&Tensor::scalar(want).unwrap()), "{name}({x:?}): {got}");
            let got = (row(name).apply)(&Tensor::scalar(x as f32).unwrap()).unwrap();
            assert!(got.same_bits(&Tensor::scalar(want as f32).unwrap()), "{name}({x:?}) in float32: {got}");
        }
    }
    let got = Tensor::scalar(-0.5).unwrap().trunc().unwrap();
    assert!(got.same_bits(&Tensor::scalar(-0.0).unwrap()));
}

#[test]
fn gradients_at_infinities_are_limits() {
    let (up, down) = (f64::INFINITY, f64::NEG_INFINITY);
    let mut wrong = Vec::new();
    for (name, at_top, at_bottom) in [
        ("gelu", 1.0, 0.0),
        ("gelu_tanh", 1.0, 0.0),
        ("silu", 1.0, 0.0),
        ("mish", 1.0, 0.0),
        ("hard_silu", 1.0, 0.0),
        ("softplus", 1.0, 0.0),
        ("log_sigmoid", 0.0, 1.0),
        ("elu", 1.0, 0.0),
        ("celu", 1.0, 0.0),
        ("leaky_relu", 1.0, 0.2),
        ("sigmoid", 0.0, 0.0),
        ("tanh", 0.0, 0.0),
        ("softsign", 0.0, 0.0),
        ("log_cosh", 1.0, -1.0),
        ("tanh_shrink", 1.0, 1.0),
        ("squareplus", 1.0, 0.0),
        ("erf", 0.0, 0.0),
        ("erfc", 0.0, 0.0),
        ("ndtr", 0.0, 0.0),
    ] {
        // Each nears a line, so that the derivatives of its slope end at 0.
        for (x, slope) in [(up, at_top), (down, at_bottom)] {
            let got = derivatives(name, x, 3).unwrap();
            if got[1..] != [slope, 0.0, 0.0] {
                wrong.push(format!("{name} at {x}: {got:?}"));
            }
        }
        let got = derivatives(name, f64::NAN, 0).unwrap();
        assert!(got[0].is_nan(), "{name} at NaN: {got:?}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // Where both operands are one infinity the gradient is shared, as at any tie.
    for name in ["maximum", "minimum", "fmax", "fmin"] {
        let row = ops::BINARY.iter().find(|r| r.name == name).unwrap();
        for x in [up, down, 2.0] {
            let (a, b) = (Tensor::scalar(x).unwrap().tracked(), Tensor::scalar(x).unwrap().tracked());
            let g = (row.apply)(&a, &b).unwrap().backward().unwrap();
            assert_eq!(
                (g.get(&a).unwrap().item().unwrap(), g.get(&b).unwrap().item().unwrap()),
                (0.5, 0.5),
                "{name}"
            );
        }
    }
}

/// Gradients of both operands, in float64 or float32.
fn pair(name: &str, a: f64, b: f64, dtype: DType) -> Result<[f64; 2]> {
    let row = ops::BINARY.iter().find(|r| r.name == name).unwrap();
    let of = |v: f64| -> Result<Tensor> { Ok(Tensor::scalar(v)?.cast(dtype)?.tracked()) };
    let (a, b) = (of(a)?, of(b)?);
    let g = (row.apply)(&a, &b)?.backward()?;
    Ok([g.get(&a).unwrap().item()?, g.get(&b).unwrap().item()?])
}

#[test]
fn no_bound_of_one_type_limits_the_other() -> Result<()> {
    let inf = f64::INFINITY;
    for (dtype, large) in [(DType::F32, 3e38), (DType::F64, 1e200), (DType::F64, 1.7e308)] {
        for name in ["logaddexp", "logaddexp2"] {
            for (a, b, want) in [
                (large, inf, [0.0, 1.0]),
                (-large, -inf, [1.0, 0.0]),
                (large, 0.5 * large, [1.0, 0.0]),
                (-large, -0.5 * large, [0.0, 1.0]),
                (-large, large, [0.0, 1.0]),
                (large, large, [0.5, 0.5]),
                (inf, inf, [0.5, 0.5]),
                (-inf, -inf, [0.5, 0.5]),
                (-inf, inf, [0.0, 1.0]),
            ] {
                assert_eq!(pair(name, a, b, dtype)?, want, "{name}({a:e}, {b:e}) {dtype}");
            }
            assert!(pair(name, f64::NAN, 1.0, dtype)?.iter().all(|g| g.is_nan()));
        }
    }
    // The second derivative at a tie is that of numbers.
    let (a, b) = (Tensor::scalar(2.0)?.tracked(), Tensor::scalar(2.0)?);
    let first = grad(&a.logaddexp(&b)?, &[&a])?.swap_remove(0);
    assert_eq!(grad(&first, &[&a])?[0].item()?, 0.25);
    // ½b / |x| far below 0, whose slope is ½b / (2x²).
    for (x, dtype) in [(-1e20, DType::F32), (-1e15, DType::F32), (-1e150, DType::F64), (-1e200, DType::F64)] {
        let leaf = Tensor::scalar(x)?.cast(dtype)?.tracked();
        let (y, x) = (leaf.squareplus(4.0)?, leaf.item()?);
        let (tolerance, floor) = if dtype == DType::F32 { (1e-6, 1e-38) } else { (1e-14, 1e-305) };
        assert!(near(y.item()?, 1.0 / -x, tolerance, 0.0), "{:e}", y.item()?);
        let (slope, want) = (y.backward()?.get(&leaf).unwrap().item()?, 1.0 / (x * x));
        assert!(near(slope, want, tolerance, floor), "{slope:e}, not {want:e}");
    }
    let zero = Tensor::scalar(0.0)?.tracked();
    assert_eq!(zero.squareplus(0.0)?.item()?, 0.0);
    assert!(near(zero.squareplus(1e-70)?.item()?, 0.5e-35, 1e-14, 0.0));
    assert!(zero.squareplus(-1.0).is_err());
    Ok(())
}

#[test]
fn slopes_of_what_is_constant_are_0() -> Result<()> {
    let nan = f64::NAN;
    for dtype in [DType::F32, DType::F64] {
        // x⁰ is 1 for every x; a logarithm of 0 or less that is switched off is absent.
        for a in [nan, 0.0, -0.0, 1e-320, -1e-45, 1e-40, f64::INFINITY, -3.0] {
            assert_eq!(pair("pow", a, 0.0, dtype)?[0], 0.0, "pow({a:e}, 0) {dtype}");
        }
        assert!(pair("pow", nan, 0.0, dtype)?[1].is_nan());
        for b in [0.0, -0.0, -2.0, -f64::INFINITY] {
            assert_eq!(pair("xlogy", 0.0, b, dtype)?, [0.0, 0.0], "xlogy(0, {b:e}) {dtype}");
        }
        assert!(pair("xlogy", 0.0, nan, dtype)?.iter().all(|g| g.is_nan()));
        assert!(near(pair("xlogy", 0.0, 3.0, dtype)?[0], libm::log(3.0), 1e-7, 0.0));
        // Of two NaN the first is the result.
        for name in ["fmax", "fmin"] {
            assert_eq!(pair(name, nan, nan, dtype)?, [1.0, 0.0], "{name}");
            assert_eq!(pair(name, 2.0, nan, dtype)?, [1.0, 0.0], "{name}");
            assert_eq!(pair(name, nan, 2.0, dtype)?, [0.0, 1.0], "{name}");
        }
    }
    // A quotient of 0, and one of subnormal numbers.
    assert_eq!(pair("div", 0.0, 5e-324, DType::F64)?[1], 0.0);
    assert!(near(pair("div", 1e-320, 1e-310, DType::F64)?[1], -1e300, 1e-3, 0.0));
    let outside = Tensor::new([-0.5, 1.5, f64::INFINITY])?.tracked();
    let slopes = outside.logit()?.sum(&[], false)?.backward()?;
    assert!(slopes.get(&outside).unwrap().to_vec::<f64>()?.iter().all(|g| g.is_nan()));
    // Where a slope is b·xᵇ⁻¹ its own slope along b is x⁻¹ at 0.
    let (a, b) = (Tensor::scalar(4.0)?.tracked(), Tensor::scalar(0.0)?.tracked());
    let first = grad(&a.pow(&b)?, &[&a])?.swap_remove(0);
    assert_eq!(grad(&first, &[&b])?[0].item()?, 0.25);
    Ok(())
}

#[test]
fn faults_that_were_found_from_outside_stay_mended() -> Result<()> {
    // A slope smaller than the last bit of 1.
    let x = Tensor::scalar(-3.0f32)?.tracked();
    assert_eq!(x.leaky_relu(1e-8)?.backward()?.get(&x).unwrap().item()?, f64::from(1e-8f32));
    // The angle of the origin, a threshold below 0.
    let (a, b) = (Tensor::scalar(0.0)?.tracked(), Tensor::scalar(0.0)?.tracked());
    let g = a.atan2(&b)?.backward()?;
    assert_eq!((g.get(&a).unwrap().item()?, g.get(&b).unwrap().item()?), (0.0, 0.0));
    assert!(a.soft_shrink(-0.5).is_err());
    // Determinants of singular matrices.
    let m = Tensor::from_slice(&[2.0, 6.0, 1.0, 3.0, 0.0, 0.0, 0.0, 0.0], [2, 2, 2])?.tracked();
    let g = m.det()?.sum(&[], false)?.backward()?;
    assert_eq!(g.get(&m).unwrap().to_vec::<f64>()?, [3.0, -1.0, -6.0, 2.0, 0.0, 0.0, 0.0, 0.0]);
    // Norms near the ends of the range.
    for size in [1e20f32, 1e-30] {
        let x = Tensor::from_slice(&[3.0 * size, 4.0 * size], [2])?;
        assert!((x.norm(2.0, &[], false)?.item()? / f64::from(5.0 * size) - 1.0).abs() < 1e-6, "{size}");
        assert!(
            (x.norm(3.0, &[], false)?.item()? / f64::from(4.497_941 * size) - 1.0).abs() < 1e-6,
            "{size}"
        );
        assert!((x.std(&[], false, 0)?.item()? / f64::from(0.5 * size) - 1.0).abs() < 1e-6, "{size}");
    }
    // The fourth derivative of the 4-norm where an element is 0.
    let x = Tensor::from_slice(&[0.0, 1.0], [2])?.tracked();
    let mut y = x.norm(4.0, &[], false)?;
    for _ in 0..4 {
        y = grad(&y, &[&x])?.swap_remove(0).select(0, 0)?;
    }
    assert_eq!(y.item()?, 6.0);
    // Long running sums.
    let x = Tensor::full([1_000_000], 10_000.1f32)?;
    let (exact, running) = (1e6 * f64::from(10_000.1f32), x.cumsum(0)?.select(0, -1)?.item()?);
    assert!((running / exact - 1.0).abs() < 3e-7, "{running} {exact}");
    // A product that overflows in another order.
    let x = Tensor::from_slice(&[3e38f32, 0.115, -1.185], [3])?;
    assert_eq!(x.prod(&[], false)?.item()?, f64::from(3e38f32 * 0.115 * -1.185));
    // Digits that cancelled.
    let x = Tensor::scalar(40.0)?.tracked();
    let g = x.binary_cross_entropy(&Tensor::scalar(1.0)?)?.backward()?;
    assert_eq!(g.get(&x).unwrap().item()?, -libm::exp(-40.0) / (1.0 + libm::exp(-40.0)));
    Ok(())
}

/// Nothing that a caller can pass makes an operation panic: shapes without elements, scalars, NaN, extreme counts.
#[test]
fn bad_input_is_an_error_or_has_an_answer() {
    let shapes: [&[usize]; 8] = [&[], &[0], &[1], &[3], &[0, 3], &[3, 0], &[2, 3], &[2, 2, 2]];
    let mut answers = 0;
    for shape in shapes {
        let n = shape.iter().product::<usize>();
        for fill in [0.5, -1e300, f64::NAN, f64::INFINITY] {
            let wide = Tensor::full([n], fill).unwrap().reshape_to(shape).unwrap();
            for dtype in DType::ALL {
                let x = wide.cast(dtype).unwrap();
                let mut count = |r: Result<Tensor>| answers += usize::from(r.is_ok());
                for axis in [-9, -1, 0, 1, 5] {
                    count(x.nanargmax(axis));
                    count(x.nanargmin(axis));
                    count(x.nancumsum(axis));
                    count(x.nancumprod(axis));
                    count(x.logcumsumexp(axis));
                    count(x.diff(3, axis));
                    count(x.trapezoid(0.5, axis));
                    count(x.cross(&x, axis));
                    count(x.rot90(isize::MIN, axis, 0));
                    for f in
                        [Tensor::median, Tensor::nanmedian, Tensor::nansum, Tensor::nanprod, Tensor::nanmean]
                    {
                        count(f(&x, &[axis], true));
                        count(f(&x, &[], false));
                    }
                    for f in [Tensor::nanmax, Tensor::nanmin, Tensor::ptp] {
                        count(f(&x, &[axis], false));
                    }
                    count(x.quantile(f64::NAN, &[axis], false));
                    count(x.quantile(0.3, &[axis], false));
                    count(x.nanquantile(2.0, &[axis], false));
                    count(x.nanstd(&[axis], false, usize::MAX));
                    count(x.normalize(2.0, &[axis]));
                    count(x.norm(0.5, &[axis], false));
                    count(x.std(&[axis], false, 1));
                }
                count(x.nan_to_num(0.0, None, Some(f64::NAN)));
                count(x.searchsorted(&x, true));
                count(x.digitize(&x));
                count(x.isin(&x));
                if fill == 0.5 {
                    count(x.bincount(4)); // others are more numbers than memory holds
                }
                count(x.histogram(3, None).map(|h| h.0));
                count(x.histogram(0, Some((1.0, 0.0))).map(|h| h.0));
                count(x.signbit());
                count(x.allclose(&x, 0.1, -1.0, true));
                count(x.bitwise_not());
                count(x.left_shift(&x));
                count(x.gcd(&x));
                count(x.lcm(&x));
                count(x.vander(3, true));
                count(x.cov(1));
                count(x.corrcoef());
                count(x.cdist(&x, 3.0));
                count(x.psnr(&x, 255.0));
                count(x.average(&x, &[], false));
                count(x.space_to_depth(0));
                count(x.depth_to_space(usize::MAX));
                count(x.det());
                count(x.eigh().map(|e| e.0));
                count(x.svd().map(|s| s.0));
                count(x.pinv(Some(f64::NAN)));
                count(x.matrix_rank(None));
                count(x.matrix_power(i64::MIN + 1));
                count(x.matrix_norm(-2.0));
                count(x.unravel_index([2, 0]).map(|mut c| c.remove(0)));
                count(x.gather(&x, 0));
                for row in ops::BINARY {
                    count((row.apply)(&x, &x));
                }
                for f in [Tensor::polygamma, Tensor::bessel_i, Tensor::bessel_ie, Tensor::sinc_derivative] {
                    for order in [-1.0, 0.5, 3.0, 40.0, f64::NAN] {
                        count(f(&x, order));
                    }
                }
            }
        }
    }
    for n in [0, 1, 2] {
        assert!(Tensor::kaiser(n, f64::NAN, DType::F32).is_ok() && Tensor::bartlett(n, DType::I64).is_ok());
        assert!(
            Tensor::geomspace(0.0, 1.0, n, DType::F32).is_err()
                && Tensor::tri(n, 2, isize::MIN, DType::F32).is_ok()
        );
    }
    println!("{answers} answers");
    assert!(answers > 1000);
}
