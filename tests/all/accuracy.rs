//! The errors of elementwise functions and of their first derivatives in units in the last place of each dtype, against mpmath
//! (`tests/foreign/accuracy.py`), and the tables of them in `docs/numerics.md`, which are made here (`UPDATE_SNAPSHOTS=1`) and checked.
//! Then what the page says of results that few other tests see.

use crate::foreign_suites::Pack;
use gradus::loss::{CosineSimilarity, Loss};
use gradus::{DType, Tensor, ops};
use std::collections::BTreeSet;
use std::fmt::Write;

/// Digits of the significand, and the exponent of the smallest normal number.
const DTYPES: [(DType, i32, i32); 4] =
    [(DType::F32, 24, -126), (DType::F64, 53, -1022), (DType::BF16, 8, -126), (DType::F16, 11, -14)];

/// The unit in the last place of a number.
fn unit(y: f64, digits: i32, least: i32) -> f64 {
    let exponent = libm::frexp(y).1 - 1;
    libm::scalbn(1.0, exponent.max(least) - digits + 1)
}

/// A dtype with the digits of its significand and the exponent of its smallest normal number.
type Kind = (DType, i32, i32);

/// The largest error of a function on a dtype over those of the points that the dtype has, and where it is.
fn worst(name: &str, operands: &[Vec<f64>], exact: &Exact, kind: Kind) -> Option<Worst> {
    let dtype = kind.0;
    let rounded = |t: &Tensor| t.cast(dtype).unwrap().cast(DType::F64).unwrap().to_vec::<f64>().unwrap();
    let all: Vec<Tensor> = operands.iter().map(|x| Tensor::from_slice(x, [x.len()]).unwrap()).collect();
    // 16-bit floats are stored; what computes with them casts to float32 and back.
    let wide = if matches!(dtype, DType::F32 | DType::F64) { dtype } else { DType::F32 };
    let wides: Vec<Tensor> = all.iter().map(|t| t.cast(wide).unwrap()).collect();
    largest_error(operands, &rounded(&computed(name, &wides)), exact, kind, false)
}

/// What the row gives.
fn computed(name: &str, operands: &[Tensor]) -> Tensor {
    match operands {
        [x] => (ops::UNARY.iter().find(|r| r.name == name).unwrap().apply)(x).unwrap(),
        [a, b] => (ops::BINARY.iter().find(|r| r.name == name).unwrap().apply)(a, b).unwrap(),
        other => panic!("{} operands", other.len()),
    }
}

/// Exact numbers: the nearest float64, and what is missing in its last place.
struct Exact {
    near: Vec<f64>,
    missing: Vec<f64>,
}

/// An error in units in the last place, and the operands where it is.
type Worst = (f64, Vec<f64>);

/// The largest error of some results at those of the points that a dtype has, in units in the last place of the exact result, or of 1
/// where that is larger, if `of_one`.
fn largest_error(
    operands: &[Vec<f64>],
    got: &[f64],
    exact: &Exact,
    (dtype, digits, least): Kind,
    of_one: bool,
) -> Option<Worst> {
    let has = |x: &f64| Tensor::scalar(*x).unwrap().cast(dtype).unwrap().item().unwrap() == *x;
    let largest = libm::scalbn(1.0, if dtype == DType::F16 { 15 } else { 127 });
    let mut worst: Option<Worst> = None;
    for i in (0..got.len()).filter(|&i| operands.iter().all(|x| has(&x[i]))) {
        let (near, got) = (exact.near[i], got[i]);
        let error = if near.is_infinite() || near == 0.0 {
            if got == near { 0.0 } else { f64::INFINITY }
        } else if dtype != DType::F64 && near.abs() >= largest {
            continue;
        } else {
            let missing = exact.missing[i] * unit(near, 53, -1022);
            ((got - near) - missing).abs()
                / unit(near.abs().max(if of_one { 1.0 } else { 0.0 }), digits, least)
        };
        let error = if error.is_nan() { f64::INFINITY } else { error };
        if worst.as_ref().is_none_or(|(w, _)| error > *w) {
            worst = Some((error, operands.iter().map(|x| x[i]).collect()));
        }
    }
    worst
}

/// Elementwise operations that the table does not have: what follows a number depends on the dtype, and is exact
/// (`foreign::operations_give_what_numpy_gives`).
const NOT_THERE: &[&str] = &["nextafter"];

/// Checks the table that a page has between two comments, or writes it there.
fn keep_table(start: &str, end: &str, table: &str) {
    let path = format!("{}/docs/numerics.md", env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(&path).unwrap();
    let from = page.find(start).unwrap() + start.len();
    let to = from + page[from..].find(end).unwrap();
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&path, format!("{}\n{table}\n{}", &page[..from], &page[to..])).unwrap();
        return;
    }
    assert!(page[from..to].trim() == table.trim(), "docs/numerics.md is stale:\n{table}");
}

/// A case of the pack: its operands, and exact values followed by derivatives along each.
struct Points {
    name: String,
    operands: Vec<Vec<f64>>,
    exact: Vec<Exact>,
    of: String,
}

fn all_points() -> Vec<Points> {
    let pack = Pack::read("accuracy");
    let numbers =
        |t: &serde_json::Value| pack.tensor(t)[0].cast(DType::F64).unwrap().to_vec::<f64>().unwrap();
    let read = |case: &serde_json::Value| {
        let outputs = case["out"].as_array().unwrap();
        let exact =
            |pair: &[serde_json::Value]| Exact { near: numbers(&pair[0]), missing: numbers(&pair[1]) };
        let mut of = format!("{} to {}", case["args"]["low"], case["args"]["high"]);
        if let Some(second) = case["args"]["second"].as_array() {
            write!(of, "; {} to {}", second[0], second[1]).unwrap();
        }
        Points {
            name: case["op"].as_str().unwrap().to_string(),
            operands: case["in"].as_array().unwrap().iter().map(numbers).collect(),
            exact: outputs.chunks_exact(2).map(exact).collect(),
            of,
        }
    };
    pack.cases.iter().map(read).collect()
}

#[test]
fn the_table_of_errors_is_that_of_the_functions() {
    let (mut seen, mut table) = (
        BTreeSet::new(),
        String::from(
            "| function | of | float32 | float64 | bfloat16 | float16 |\n| --- | --- | ---: | ---: | ---: | ---: |\n",
        ),
    );
    for Points { name, operands, exact, of } in all_points() {
        let errors = DTYPES.map(|d| worst(&name, &operands, &exact[0], d).unwrap());
        let cells = errors.each_ref().map(|(e, _)| format!("{e:.2}")).join(" | ");
        writeln!(table, "| `{name}` | {of} | {cells} |").unwrap();
        println!("{name:12} {cells}   worst at {:?}", errors.each_ref().map(|e| &e.1));
        for (error, (dtype, ..)) in errors.iter().zip(DTYPES) {
            assert!(error.0 < 1000.0, "{name} of {dtype}: {error:?}");
        }
        seen.insert(name);
    }
    let rows = ops::UNARY.iter().map(|r| r.name).chain(ops::BINARY.iter().map(|r| r.name));
    let without: Vec<&str> = rows.filter(|n| !seen.contains(*n) && !NOT_THERE.contains(n)).collect();
    assert!(without.is_empty(), "tests/foreign/accuracy.py has no points of {without:?}");
    keep_table(
        "<!-- errors: made by `UPDATE_SNAPSHOTS=1 cargo test --test all accuracy` -->\n",
        "<!-- end of errors -->",
        &table,
    );
}

/// Functions whose derivatives have errors of more than 16 units, in float32 and float64, and why; `docs/numerics.md` says the same.
const STEEP: &[(&str, f64, f64, &str)] = &[
    ("erfc", 64.0, 64.0, "the exponent is a square, rounded"),
    ("gelu", 32.0, 16.0, "near the zero at -0.75"),
    ("gelu_tanh", 16.0, 64.0, "an exponent of many bits is rounded"),
    ("lgamma", 16.0, 32.0, "near the zero at 1.46"),
    ("bessel_ie", 16.0, 24.0, "a sum in which terms cancel"),
    ("sinc_derivative", 16.0, 64.0, "near the zero at 0.66"),
];

/// Functions that are differentiated from a result that nears 1 or -1, where its digits end: their error is told in units in the last
/// place of 1 where the derivative is smaller, and is one at most.
const FROM_THE_RESULT: [&str; 3] = ["tanh", "sigmoid", "exp_m1"];

#[test]
fn the_table_of_errors_of_derivatives_is_that_of_the_rules() {
    let mut table =
        String::from("| function | of | along | float32 | float64 |\n| --- | --- | --- | ---: | ---: |\n");
    let mut wrong = Vec::new();
    let kinds = [DTYPES[0], DTYPES[1]];
    for Points { name, operands, exact, of } in all_points() {
        // The first 50 of each 80 points have derivatives.
        let operands: Vec<Vec<f64>> = operands
            .iter()
            .map(|x| x.chunks(80).flat_map(|some| some[..50].to_vec()).collect::<Vec<f64>>())
            .collect();
        let slopes = kinds.map(|(dtype, ..)| {
            let leaf =
                |x: &Vec<f64>| Tensor::from_slice(x, [x.len()]).unwrap().cast(dtype).unwrap().tracked();
            let leaves: Vec<Tensor> = operands.iter().map(leaf).collect();
            let gradients = computed(&name, &leaves).sum(&[], false).unwrap().backward().unwrap();
            let numbers = |leaf: &Tensor| match gradients.get(leaf) {
                Some(g) => g.cast(DType::F64).unwrap().to_vec::<f64>().unwrap(),
                None => vec![0.0; leaf.elements()],
            };
            leaves.iter().map(numbers).collect::<Vec<_>>()
        });
        for (at, exact) in exact[1..].iter().enumerate() {
            let along = if operands.len() == 1 { "" } else { ["first", "second"][at] };
            let of_one = FROM_THE_RESULT.contains(&name.as_str());
            let errors =
                [0, 1].map(|k| largest_error(&operands, &slopes[k][at], exact, kinds[k], of_one).unwrap());
            let cells = errors.each_ref().map(|(e, _)| format!("{e:.2}")).join(" | ");
            let unit = if of_one { " (units of 1)" } else { "" };
            writeln!(table, "| `{name}`{unit} | {of} | {along} | {cells} |").unwrap();
            println!("slope of {name:12} {along:6} {cells}   worst at {:?}", errors.each_ref().map(|e| &e.1));
            let bound = if of_one { 1.0 } else { 16.0 };
            let bounds = STEEP.iter().find(|s| s.0 == name).map_or([bound; 2], |s| [s.1, s.2]);
            for ((error, bound), (dtype, ..)) in errors.iter().zip(bounds).zip(kinds) {
                if error.0 > bound {
                    wrong.push(format!("{name} {along} of {dtype}: {error:?}"));
                }
            }
        }
        assert_eq!(exact.len(), 1 + operands.len(), "{name}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    keep_table(
        "<!-- errors of derivatives: made by `UPDATE_SNAPSHOTS=1 cargo test --test all accuracy` -->\n",
        "<!-- end of errors of derivatives -->",
        &table,
    );
}

/// Φ and GELU in float32 below -2 lose digits, by no more than the page says.
#[test]
fn the_tail_of_ndtr_has_the_digits_that_the_page_says() {
    for (from, to, bound) in [(-3.0, -2.0, -20), (-5.0, -3.0, -18), (-6.0, -5.0, -15), (-7.0, -6.0, -7)] {
        let x: Vec<f64> =
            (0..1000).map(|i| f64::from((from + (to - from) * f64::from(i) / 1000.0) as f32)).collect();
        let wide = Tensor::from_slice(&x, [x.len()]).unwrap();
        let exact = wide.ndtr().unwrap().to_vec::<f64>().unwrap();
        let narrow =
            wide.cast(DType::F32).unwrap().ndtr().unwrap().cast(DType::F64).unwrap().to_vec::<f64>().unwrap();
        for ((x, exact), got) in x.iter().zip(exact).zip(narrow) {
            assert!(
                (got / exact - 1.0).abs() < libm::scalbn(1.0, bound),
                "ndtr({x}): {got:e}, not {exact:e}"
            );
        }
    }
}

#[test]
fn silu_keeps_its_digits_down_to_the_subnormal_numbers() {
    let single: Vec<f32> = (0..3000).map(|i| -80.0 - i as f32 * 0.01).collect();
    let x = Tensor::from_slice(&single, [single.len()]).unwrap();
    let got = x.silu().unwrap().cast(DType::F64).unwrap().to_vec::<f64>().unwrap();
    let exact = x.cast(DType::F64).unwrap().silu().unwrap().to_vec::<f64>().unwrap();
    for ((x, got), exact) in single.iter().zip(got).zip(exact) {
        assert!((got - exact).abs() <= 2.5 * unit(exact, 24, -126), "silu({x}): {got:e}, not {exact:e}");
    }
    // In float64 against exp, which the sigmoid is there, and one factor after the other.
    for x in [-700.5, -705.0, -709.25, -740.0, -745.0] {
        let got = Tensor::scalar(x).unwrap().silu().unwrap().item().unwrap();
        let exact = libm::exp(x + libm::log(-x) + 60.0);
        let scaled = -exact * libm::exp(-60.0);
        assert!((got - scaled).abs() <= 1e-12 * scaled.abs() + 5e-324, "silu({x}): {got:e}, not {scaled:e}");
    }
    for x in [f64::NEG_INFINITY, -1e300, -900.0] {
        assert!(
            Tensor::scalar(x).unwrap().silu().unwrap().same_bits(&Tensor::scalar(-0.0).unwrap()),
            "silu({x})"
        );
        let single = Tensor::scalar(x as f32).unwrap().silu().unwrap();
        assert!(single.same_bits(&Tensor::scalar(-0.0f32).unwrap()), "silu({x}) in float32");
    }
}

#[test]
fn the_cosine_of_large_vectors_is_finite() {
    for size in [1.0f32, 1e19, 1e30] {
        let t = Tensor::from_slice(&[3.0 * size, 4.0 * size], [1, 2]).unwrap();
        let p = Tensor::from_slice(&[4.0 * size, 3.0 * size], [1, 2]).unwrap().tracked();
        let loss = CosineSimilarity::new().call(&t, &p).unwrap().sum(&[], false).unwrap();
        assert!((loss.item().unwrap() + 0.96).abs() < 1e-6, "{size}: {loss}");
        let gradient = loss.backward().unwrap();
        // (cos · p/|p| - t/|t|) / |p|
        for (got, want) in gradient.get(&p).unwrap().to_vec::<f32>().unwrap().iter().zip([0.0336f32, -0.0448])
        {
            let want = want / size;
            assert!((got - want).abs() <= 1e-5 * want.abs(), "{size}: {got:e}, not {want:e}");
        }
    }
}

/// `squareplus` of float32 at the ends of its range, beside float64, where none of the numbers is near an end; and float64 beside the
/// same numbers times a power of two.
#[test]
fn squareplus_is_right_for_numbers_of_any_size() {
    let small = [1e-45f32, 3e-45, 1e-38, 1e-30, 1e-24, 1e-19, 1e-12, 1e-6, 0.1, 1.0, 1.5, 4.0, 1e3, 1e9];
    let sizes: Vec<f32> =
        small.into_iter().chain([1e12, 1e18, 1.3e18, 1e19, 1e24, 1e30, 1.8e38, f32::MAX]).collect();
    let points: Vec<f32> = [0.0, -0.0].into_iter().chain(sizes.iter().flat_map(|&x| [x, -x])).collect();
    let slopes = |x: &Tensor, b: f64| {
        let leaf = x.tracked();
        let y = leaf.squareplus(b).unwrap();
        let gradients = y.sum(&[], false).unwrap().backward().unwrap();
        [y, gradients.get(&leaf).unwrap().clone()]
            .map(|t| t.cast(DType::F64).unwrap().to_vec::<f64>().unwrap())
    };
    let x = Tensor::from_slice(&points, [points.len()]).unwrap();
    let wide = x.cast(DType::F64).unwrap();
    for b in std::iter::once(0.0).chain(sizes.iter().copied()) {
        let ([y, slope], [exact, exact_slope]) = (slopes(&x, b.into()), slopes(&wide, b.into()));
        for (i, x) in points.iter().enumerate() {
            let error = (y[i] - exact[i]).abs() / unit(exact[i], 24, -126);
            assert!(error <= 2.0, "squareplus({x:e}, {b:e}) is {:e}, not {:e}", y[i], exact[i]);
            // Beyond half of the largest number a slope below 0 is 0, instead of a subnormal number.
            if x.abs() > 1.5e38 {
                continue;
            }
            let error = (slope[i] - exact_slope[i]).abs() / unit(exact_slope[i], 24, -126);
            assert!(error <= 4.0, "its slope at {x:e}, {b:e} is {:e}, not {:e}", slope[i], exact_slope[i]);
        }
        if (1e-12..=1e9).contains(&b) {
            for by in [-400, -100, 100, 400] {
                let scale = libm::scalbn(1.0, by);
                let [far, far_slope] =
                    slopes(&wide.affine(scale, 0.0).unwrap(), f64::from(b) * scale * scale);
                for (i, x) in points.iter().enumerate().filter(|(_, x)| (1e-12..=1e12).contains(&x.abs())) {
                    assert_eq!(far[i], exact[i] * scale, "squareplus({x:e}, {b:e}), times 2^{by}");
                    assert_eq!(far_slope[i], exact_slope[i], "the slope at {x:e}, {b:e}, times 2^{by}");
                }
            }
        }
    }
    for x in [f64::NEG_INFINITY, f64::INFINITY, f64::NAN] {
        let [y, slope] = slopes(&Tensor::scalar(x as f32).unwrap(), 4.0);
        let wanted = if x.is_nan() { [x, x] } else { [x.max(0.0), f64::from(u8::from(x > 0.0))] };
        assert!(
            [y[0], slope[0]]
                .iter()
                .zip(wanted)
                .all(|(got, want)| *got == want || got.is_nan() && want.is_nan())
        );
    }
}
