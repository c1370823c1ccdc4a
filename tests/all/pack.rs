//! Reads the packs of `tests/parity/pack`: cases and tensors that Keras computed (`tests/parity/kit.py` writes them).

use gradus::{DType, Tensor};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// One file of the pack.
pub(crate) struct Pack {
    pub(crate) cases: Vec<Value>,
    header: Value,
    data: Vec<u8>,
}

/// The files of the pack, in order of their names.
pub(crate) fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity/pack");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|f| f.unwrap().path()).collect();
    files.sort();
    files
}

impl Pack {
    pub(crate) fn read(path: &Path) -> Pack {
        let bytes = std::fs::read(path).unwrap();
        let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let header: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
        let cases = serde_json::from_str(header["__metadata__"]["cases"].as_str().unwrap()).unwrap();
        Pack { cases, header, data: bytes[8 + length..].to_vec() }
    }

    /// The tensor of this number.
    pub(crate) fn tensor(&self, number: &Value) -> Tensor {
        let entry = &self.header[number.to_string()];
        let at = |i: usize| entry["data_offsets"][i].as_u64().unwrap() as usize;
        let bytes = &self.data[at(0)..at(1)];
        let shape: Vec<usize> =
            entry["shape"].as_array().unwrap().iter().map(|d| d.as_u64().unwrap() as usize).collect();
        let words = || bytes.chunks_exact(8).map(|b| b.try_into().unwrap());
        match entry["dtype"].as_str().unwrap() {
            "F64" => Tensor::from_slice(&words().map(f64::from_le_bytes).collect::<Vec<_>>(), shape),
            "I64" => Tensor::from_slice(&words().map(i64::from_le_bytes).collect::<Vec<_>>(), shape),
            "BOOL" => Tensor::from_slice(bytes, shape).and_then(|t| t.cast(DType::Bool)),
            other => panic!("{other}"),
        }
        .unwrap()
    }

    pub(crate) fn tensors(&self, numbers: &Value) -> Vec<Tensor> {
        numbers.as_array().unwrap().iter().map(|n| self.tensor(n)).collect()
    }

    /// Tensors by path.
    pub(crate) fn by_path(&self, numbers: &Value) -> Vec<(String, Tensor)> {
        numbers.as_object().unwrap().iter().map(|(path, n)| (path.clone(), self.tensor(n))).collect()
    }
}

/// How far numbers are from what Keras has, in units of what is allowed, and where it was worst.
#[derive(Default)]
pub(crate) struct Worst {
    pub(crate) ratio: f64,
    pub(crate) at: String,
    pub(crate) tensors: usize,
}

impl Worst {
    /// Holds `max |a - b|` to `tolerance` times the larger of `scale` and the largest `|b|`.
    #[track_caller]
    pub(crate) fn compare(&mut self, what: &str, got: &Tensor, want: &Tensor, tolerance: f64, scale: f64) {
        assert_eq!(got.dims(), want.dims(), "{what}: shapes");
        let floats = |t: &Tensor| t.cast(DType::F64).unwrap().to_vec::<f64>().unwrap();
        let (a, b) = (floats(got), floats(want));
        let largest = b.iter().filter(|b| b.is_finite()).fold(scale, |m, b| m.max(b.abs()));
        let mut error = 0.0f64;
        for (i, (a, b)) in a.iter().zip(&b).enumerate() {
            let same = a == b || (a.is_nan() && b.is_nan());
            let off = if same { 0.0 } else { (a - b).abs() };
            assert!(off <= tolerance * largest, "{what}[{i}]: got {a}, Keras has {b} (largest {largest})");
            error = error.max(off);
        }
        let ratio = error / (tolerance * largest);
        self.tensors += 1;
        if ratio > self.ratio || self.at.is_empty() {
            (self.ratio, self.at) = (ratio, what.to_string());
        }
    }
}
