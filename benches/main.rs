//! Why it exists: a package needs a library or a program; the benches beside this file are neither.

fn main() {
    eprintln!("cargo bench --bench NAME: see docs/benchmarks.md");
}
