//! Times of linear algebra through the public API: `cargo bench --bench linalg -- [threads] [filter]` prints the best of
//! some runs of each factorisation, in microseconds, for matrices of 16, 64, 256 and 1000 rows, in float64 and float32.
//! `docs/benchmarks.md` sets them beside NumPy's and SciPy's.

use gradus::{DType, Result, Tensor, with_threads};
use std::hint::black_box;
use std::time::Instant;

/// A factorisation of a matrix, or of a symmetric positive definite one.
type Run = fn(&Tensor, &Tensor) -> Result<()>;

const RUNS: [(&str, Run); 6] = [
    ("solve", |a, _| a.solve(&a.slice(-1, 0, 1)?).map(|x| drop(black_box(x)))),
    ("inverse", |a, _| a.inverse().map(|x| drop(black_box(x)))),
    ("cholesky", |_, s| s.cholesky().map(|x| drop(black_box(x)))),
    ("qr", |a, _| a.qr().map(|x| drop(black_box(x)))),
    ("eigh", |_, s| s.eigh().map(|x| drop(black_box(x)))),
    ("svd", |a, _| a.svd().map(|x| drop(black_box(x)))),
];

/// Numbers from -1 to 1 from a seed, and the matrix times its transpose, larger on the diagonal.
fn matrices(n: usize, dtype: DType) -> Result<(Tensor, Tensor)> {
    let mut seed = 1u64;
    let mut next = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as f64 / (1u64 << 30) as f64 - 1.0
    };
    let a = Tensor::from_slice(&(0..n * n).map(|_| next()).collect::<Vec<f64>>(), [n, n])?;
    let s = a.matmul(&a.t()?)?.add(&Tensor::eye(n, n, 0, DType::F64)?)?;
    Ok((a.cast(dtype)?, s.cast(dtype)?))
}

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).filter(|w| !w.starts_with("--")).collect();
    let threads = words.first().and_then(|w| w.parse().ok()).unwrap_or(1);
    let filter = words.iter().find(|w| w.parse::<usize>().is_err()).cloned().unwrap_or_default();
    with_threads(threads, || {
        for dtype in [DType::F64, DType::F32] {
            for n in [16, 64, 256, 1000] {
                let (a, s) = matrices(n, dtype)?;
                for (name, run) in RUNS {
                    let name = format!("{name} {dtype} {n}");
                    if !name.contains(&filter) {
                        continue;
                    }
                    let (mut best, start) = (f64::INFINITY, Instant::now());
                    let mut count = 0;
                    while count < 3 || (start.elapsed().as_millis() < 150 && count < 10_000) {
                        let begun = Instant::now();
                        run(&a, &s)?;
                        best = best.min(begun.elapsed().as_secs_f64());
                        count += 1;
                    }
                    println!("{name} {:.1}", best * 1e6);
                }
            }
        }
        Ok(())
    })?
}
