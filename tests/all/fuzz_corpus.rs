//! Replays the fuzzer's corpora, so that what it found once stays fixed without needing the fuzzer. Every file of
//! each corpus goes through the check of its target in `fuzz/fuzz_targets`.

use gradus::datasets::{cifar10, cifar100, idx};
use gradus::io::{Csv, Encoder, Limits, Missing, Unknown, npy, npz};
use gradus::train::Model;
use std::path::Path;

/// Hands every file of a corpus to a check, and fails if there is none.
fn replay(target: &str, check: impl Fn(&str, &[u8])) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut paths: Vec<_> = std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "no files in {}", dir.display());
    for path in paths {
        // The name alone says whether a file is valid, not that of the folder that the crate lies in.
        let name = format!("{target}/{}", path.file_name().unwrap().display());
        check(&name, &std::fs::read(&path).unwrap());
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
        let result = Model::from_bytes(bytes, limits.clone());
        assert_eq!(result.is_ok(), name.contains("valid"), "{name}: {:?}", result.err());
        if let Ok(model) = result {
            let again = model.to_bytes().unwrap();
            let twice = Model::from_bytes(&again, limits.clone()).unwrap();
            assert_eq!(model.weight_bytes().unwrap(), twice.weight_bytes().unwrap(), "{name}");
        }
    });
}

#[test]
fn npy_corpus() {
    let limits = Limits::default().max_elements(1 << 20).max_total_bytes(1 << 20);
    replay("npy", |name, bytes| {
        let result = npy::decode(bytes, name, &limits);
        assert_eq!(result.is_ok(), name.contains("valid"), "{name}: {:?}", result.err());
        if let Ok(found) = result {
            let again = npy::encode(&found).unwrap();
            assert!(npy::decode(&again, name, &limits).unwrap().same_bits(&found), "{name}");
        }
    });
}

#[test]
fn npz_corpus() {
    let limits = Limits::default().max_header_bytes(1 << 16).max_elements(1 << 20).max_total_bytes(1 << 20);
    replay("npz", |name, bytes| {
        let result = npz::decode(bytes, name, &limits);
        let valid = name.contains("valid") && (!name.contains("deflated") || cfg!(feature = "datasets"));
        assert_eq!(result.is_ok(), valid, "{name}: {:?}", result.err());
        if let Ok(found) = result {
            let size: usize = found.iter().map(|(_, t)| t.elements() * t.dtype().size()).sum();
            assert!(size <= 1 << 20, "{name}");
            // Each by itself is the same.
            for (array, tensor) in found {
                let alone = npz::decode_only(bytes, name, &[&array], &limits).unwrap();
                assert!(alone[0].1.same_bits(&tensor), "{name}: {array}");
            }
        }
    });
}

#[test]
fn csv_corpus() {
    let limits = Limits::default().max_elements(1 << 20).max_total_bytes(1 << 20);
    replay("csv", |name, bytes| {
        let all = [
            Csv::new(),
            Csv::new().label(0).missing(Missing::DropRow),
            Csv::new().header(false).target(1),
            Csv::new().category(0).category(2).missing(Missing::Keep),
        ];
        let results = all.map(|csv| csv.parse(bytes, name, &limits));
        assert_eq!(results.iter().any(Result::is_ok), name.contains("valid"), "{name}: {results:?}");
        for table in results.into_iter().flatten() {
            assert!(table.x.elements() <= 1 << 20, "{name}");
            assert!(table.y.as_ref().is_none_or(|y| y.dims()[0] == table.rows()), "{name}");
            let finite = table.x.to_vec::<f32>().unwrap().into_iter().all(|v| v.is_finite() || v.is_nan());
            assert!(finite, "{name}");
            let Ok((train, test)) = table.split(0.5, 1) else { continue };
            assert_eq!(train.rows() + test.rows(), table.rows(), "{name}");
            if let Ok(encoder) = Encoder::adapt(&train) {
                let rows = encoder.unknown(Unknown::Zeros).encode(&test).unwrap();
                assert_eq!(rows.dims()[0], test.rows(), "{name}");
            }
        }
    });
}

#[test]
fn cifar_corpus() {
    let limits = Limits::default().max_elements(1 << 20).max_total_bytes(1 << 20);
    replay("cifar", |name, bytes| {
        let results = [cifar10::decode(bytes, name, &limits), cifar100::decode(bytes, name, &limits)];
        assert_eq!(results.iter().any(Result::is_ok), name.contains("valid"), "{name}: {results:?}");
        for found in results.into_iter().flatten() {
            assert_eq!(found.images.len(), found.n * 3072, "{name}");
        }
        #[cfg(feature = "datasets")]
        assert!(cifar10::decode_archive(bytes, name, &limits).is_err(), "{name}");
    });
}

#[cfg(feature = "text")]
#[test]
fn tokenizer_corpus() {
    use gradus::text::Tokenizer;
    let limits = Limits::default().max_elements(1 << 12).max_total_bytes(1 << 20);
    replay("tokenizer", |name, bytes| {
        let read = [
            Tokenizer::parse(bytes, name, &limits),
            Tokenizer::parse_vocab_txt(bytes, name, true, &limits),
            Tokenizer::parse_gpt2(bytes, b"#version: 0.2\na b\n", name, &limits),
        ];
        // Any text of lines that differ is a vocabulary, so a file that is not valid has a line twice.
        assert_eq!(read.iter().any(Result::is_ok), name.contains("valid"), "{name}: {read:?}");
        for tokenizer in read.into_iter().flatten() {
            for text in ["", "ab cab <s> a", "Ünïcode 你好\n👩‍👧 \u{0}"] {
                let Ok(encoding) = tokenizer.encode(text) else { continue };
                assert_eq!(encoding.ids.len(), encoding.mask.len(), "{name}");
                assert!(encoding.ids.iter().all(|&id| id >= 0), "{name}");
                let _ = tokenizer.decode(&encoding.ids);
            }
            let _ = tokenizer.encode_pair("a", "b");
            let again = Tokenizer::parse(tokenizer.to_json().as_bytes(), "again", &Limits::default());
            assert_eq!(again.map(|t| t.to_json()).ok(), Some(tokenizer.to_json()), "{name}");
        }
    });
}
