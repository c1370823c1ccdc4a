//! Reads the golden values and compares with them.

use gradus::Tensor;
use serde_json::Value;

pub(crate) fn golden(name: &str) -> Value {
    let path = format!("{}/tests/parity/goldens/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

pub(crate) fn floats(v: &Value) -> Vec<f64> {
    let number =
        |v: &Value| v.as_f64().unwrap_or_else(|| v.as_str().unwrap_or("nan").parse().unwrap_or(f64::NAN));
    v.as_array().unwrap().iter().map(number).collect()
}

pub(crate) fn tensor(v: &Value) -> Tensor {
    let shape: Vec<usize> =
        v["shape"].as_array().unwrap().iter().map(|d| d.as_u64().unwrap() as usize).collect();
    Tensor::from_slice(&floats(&v["data"]), shape).unwrap()
}

#[track_caller]
pub(crate) fn close(what: &str, got: &[f64], want: &[f64], tolerance: f64) {
    assert_eq!(got.len(), want.len(), "{what}");
    for (i, (g, w)) in got.iter().zip(want).enumerate() {
        let fits = (g - w).abs() <= tolerance * (1.0 + w.abs()) || (g.is_nan() && w.is_nan()) || g == w;
        assert!(fits, "{what}[{i}]: got {g}, Keras has {w}");
    }
}
