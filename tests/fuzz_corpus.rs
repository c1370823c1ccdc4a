//! Why it exists: what the fuzzer found once must stay fixed, without needing the fuzzer. Every file of each
//! corpus goes through the check of its target in `fuzz/fuzz_targets`.
#![allow(clippy::unwrap_used)]

use gradus::datasets::idx;
use gradus::io::Limits;
use gradus::train::Model;
use std::path::Path;

/// Hands every file of a corpus to a check, and fails if there is none.
fn replay(target: &str, check: impl Fn(&str, &[u8])) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut paths: Vec<_> = std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "no files in {}", dir.display());
    for path in paths {
        check(&path.display().to_string(), &std::fs::read(&path).unwrap());
    }
}

#[test]
fn idx_corpus() {
    let limits = Limits::default().max_elements(1 << 20).max_total_bytes(1 << 20);
    replay("idx", |name, bytes| {
        let result = idx::decode(bytes, name, &limits);
        let gzip = bytes.starts_with(&[0x1f, 0x8b]);
        let valid = name.contains("valid") && (!gzip || cfg!(feature = "datasets"));
        assert!(result.is_ok() || !valid, "{:?}", result.err());
        if let Ok(found) = result {
            assert_eq!(found.data.len(), found.shape.elements(), "{name}");
        }
    });
}

#[test]
fn model_corpus() {
    let limits = Limits::default()
        .max_file_bytes(1 << 20)
        .max_header_bytes(1 << 18)
        .max_elements(1 << 16)
        .max_total_bytes(1 << 18)
        .max_tensors(256);
    replay("model", |name, bytes| {
        let result = Model::from_bytes(bytes, &limits);
        assert_eq!(result.is_ok(), name.contains("valid"), "{name}: {:?}", result.err());
        if let Ok(model) = result {
            let again = model.to_bytes().unwrap();
            let twice = Model::from_bytes(&again, &limits).unwrap();
            assert_eq!(model.weight_bytes().unwrap(), twice.weight_bytes().unwrap(), "{name}");
        }
    });
}
