//! An empty library: a package needs a library or a program, and the benches beside this file are neither.

fn main() {
    eprintln!("cargo bench --bench NAME: see docs/benchmarks.md");
}
