//! Why it exists: the tests of the public interface are one program, because linking thirty programs takes longer than running them. Each
//! file is a module: `cargo test --test all gradients::` runs one file's tests. What needs an allocator of its own, or memory that no other
//! test uses meanwhile, stands apart in `tests/`.
#![allow(missing_docs, clippy::unwrap_used)]

mod arrays;
mod bad_input;
mod chains;
mod contracts;
mod csv;
mod data;
mod download;
mod errors;
mod files;
mod fuzz_corpus;
mod golden;
mod golden_weights;
mod gradients;
mod graph_files;
mod imports;
mod keras_ops;
mod linalg;
mod metrics;
mod mnist_files;
mod numpy_files;
mod one_answer;
mod ops_table;
mod parity;
mod products;
mod properties;
mod randomness;
mod recompute;
mod settings;
mod structure;
mod threads;
mod training;
mod traits;
