//! The tests of the public interface, as one program, because linking thirty programs takes longer than running
//! them. Each file is a module: `cargo test --test all gradients::` runs one file's tests. Tests that need their
//! own allocator, or memory that no other test uses meanwhile, are separate programs in `tests/`; those that run under
//! the address sanitizer and on an emulated machine as well are in `src/tests`.
#![allow(missing_docs, clippy::unwrap_used)]

mod absent;
mod accuracy;
mod applications;
mod apps;
mod arrays;
mod calls;
mod capture;
mod chains;
mod contracts;
mod csv;
mod data;
mod derivatives;
mod download;
mod dtypes;
mod errors;
mod faults;
mod file_errors;
mod file_system;
mod files;
mod first_hour;
mod foreign;
mod foreign_keras;
mod foreign_suites;
mod fuzz_corpus;
mod generation;
mod golden;
mod gradients;
mod graph_files;
mod graph_passes;
mod graphs;
mod imports;
mod keras_configs;
mod keras_coverage;
mod keras_differences;
mod keras_ops;
mod layer_cases;
mod layers_attention;
mod layers_conv;
mod layers_core;
mod layers_every;
mod layers_norm;
mod layers_random;
mod layers_recurrent;
mod layers_spatial;
mod linalg;
mod living_plans;
mod metrics;
mod mnist_files;
mod numbers;
mod numpy_files;
mod one_answer;
#[cfg(feature = "onnx")]
mod onnx;
#[cfg(feature = "onnx")]
mod onnx_files;
mod ops_table;
mod optimizers;
mod optimizers_every;
mod pack;
mod pairing;
mod parity;
mod parity_layers;
mod parity_models;
mod parity_optimizers;
mod predictor;
mod products;
mod properties;
mod proto;
mod randomness;
mod recompute;
mod scores;
mod settings;
mod settings_in_range;
mod splits;
mod structure;
mod tables;
mod tensorboard;
mod threads;
#[cfg(feature = "text")]
mod tokenizers;
mod trainer_rules;
mod training;
mod traits;
mod validation;

/// How a property is tested: over as many cases as `PROPTEST_CASES` says, else over `usual`.
fn cases(usual: u32) -> proptest::prelude::ProptestConfig {
    use proptest::prelude::ProptestConfig;
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    if std::env::var_os("PROPTEST_CASES").is_some() {
        config
    } else {
        ProptestConfig { cases: usual, ..config }
    }
}

/// Where a file of this length is cut short: everywhere below 2 kB, else at 200 lengths out of a seed and beside
/// both ends.
fn cuts(length: usize) -> Vec<usize> {
    if length <= 2048 {
        return (0..length).collect();
    }
    let stream = gradus::random::Stream::new(3, gradus::random::Purpose::User(0), 0);
    let seeded = (0..200).map(|i| (stream.bits(i) % length as u64) as usize);
    seeded.chain(0..16).chain(length - 16..length).collect()
}
