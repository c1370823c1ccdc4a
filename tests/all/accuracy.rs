//! The errors of elementwise functions in units in the last place of each dtype, against mpmath (`tests/foreign/accuracy.py`), and
//! the table of them in `docs/numerics.md`, which is made here (`UPDATE_SNAPSHOTS=1`) and checked. Then what the page says of
//! results that few other tests see.

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

/// The largest error of a function on a dtype over those of the points that the dtype has, and where it is.
fn worst(
    name: &str,
    operands: &[Vec<f64>],
    [high, low]: [&[f64]; 2],
    (dtype, digits, least): (DType, i32, i32),
) -> Option<(f64, Vec<f64>)> {
    let rounded = |t: &Tensor| t.cast(dtype).unwrap().cast(DType::F64).unwrap().to_vec::<f64>().unwrap();
    let all: Vec<Tensor> = operands.iter().map(|x| Tensor::from_slice(x, [x.len()]).unwrap()).collect();
    let near: Vec<Vec<f64>> = all.iter().map(rounded).collect();
    // 16-bit floats are stored; what computes with them casts to float32 and back.
    let wide = if matches!(dtype, DType::F32 | DType::F64) { dtype } else { DType::F32 };
    let wides: Vec<Tensor> = all.iter().map(|t| t.cast(wide).unwrap()).collect();
    let got = rounded(&match wides.as_slice() {
        [x] => (ops::UNARY.iter().find(|r| r.name == name).unwrap().apply)(x).unwrap(),
        [a, b] => (ops::BINARY.iter().find(|r| r.name == name).unwrap().apply)(a, b).unwrap(),
        other => panic!("{} operands", other.len()),
    });
    let largest = libm::scalbn(1.0, if dtype == DType::F16 { 15 } else { 127 });
    let mut worst: Option<(f64, Vec<f64>)> = None;
    for i in (0..high.len()).filter(|&i| near.iter().zip(operands).all(|(near, x)| near[i] == x[i])) {
        if dtype != DType::F64 && high[i].abs() >= largest {
            continue;
        }
        let error = ((got[i] - high[i]) - low[i]).abs() / unit(high[i], digits, least);
        if worst.as_ref().is_none_or(|(w, _)| error > *w) {
            worst = Some((error, operands.iter().map(|x| x[i]).collect()));
        }
    }
    worst
}

/// Elementwise operations that the table does not have: what follows a number depends on the dtype, and is exact
/// (`foreign::operations_give_what_numpy_gives`).
const NOT_THERE: &[&str] = &["nextafter"];

const START: &str = "<!-- errors: made by `UPDATE_SNAPSHOTS=1 cargo test --test all accuracy` -->\n";
const END: &str = "<!-- end of errors -->";

#[test]
fn the_table_of_errors_is_that_of_the_functions() {
    let pack = Pack::read("accuracy");
    let (mut seen, mut table) = (
        BTreeSet::new(),
        String::from(
            "| function | of | float32 | float64 | bfloat16 | float16 |\n| --- | --- | ---: | ---: | ---: | ---: |\n",
        ),
    );
    for case in &pack.cases {
        let name = case["op"].as_str().unwrap();
        let numbers = |t: &serde_json::Value| pack.tensor(t)[0].to_vec::<f64>().unwrap();
        let operands: Vec<Vec<f64>> = case["in"].as_array().unwrap().iter().map(numbers).collect();
        let (high, low) = (numbers(&case["out"][0]), numbers(&case["out"][1]));
        let errors = DTYPES.map(|d| worst(name, &operands, [&high, &low], d).unwrap());
        let cells = errors.each_ref().map(|(e, _)| format!("{e:.2}")).join(" | ");
        let mut of = format!("{} to {}", case["args"]["low"], case["args"]["high"]);
        if let Some(second) = case["args"]["second"].as_array() {
            write!(of, "; {} to {}", second[0], second[1]).unwrap();
        }
        writeln!(table, "| `{name}` | {of} | {cells} |").unwrap();
        println!("{name:12} {cells}   worst at {:?}", errors.each_ref().map(|e| &e.1));
        for (error, (dtype, ..)) in errors.iter().zip(DTYPES) {
            assert!(error.0 < 1000.0, "{name} of {dtype}: {error:?}");
        }
        seen.insert(name);
    }
    let rows = ops::UNARY.iter().map(|r| r.name).chain(ops::BINARY.iter().map(|r| r.name));
    let without: Vec<&str> = rows.filter(|n| !seen.contains(n) && !NOT_THERE.contains(n)).collect();
    assert!(without.is_empty(), "tests/foreign/accuracy.py has no points of {without:?}");
    let path = format!("{}/docs/numerics.md", env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(&path).unwrap();
    let (from, to) = (page.find(START).unwrap() + START.len(), page.find(END).unwrap());
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&path, format!("{}\n{table}\n{}", &page[..from], &page[to..])).unwrap();
        return;
    }
    assert!(page[from..to].trim() == table.trim(), "docs/numerics.md is stale:\n{table}");
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
