//! Elementwise operations, reductions and softmax through the public API, on 4096 x 1024 float32 (33.5 MB read and
//! written) and on a 32 x 64 activation, beside a copy of the same size, which is the bound for anything that
//! reads and writes memory once.
//!
//! `cargo bench --bench elementwise`
#![allow(missing_docs)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use gradus::nn::initializer::{Initializer, RandomNormal};
use gradus::random::{Purpose, Stream};
use gradus::{DType, Shape, Spec, Tensor, Threads, ops};
use std::hint::black_box;
use std::time::{Duration, Instant};

type Operation = Box<dyn Fn(&Tensor) -> gradus::Result<Tensor> + Send + Sync>;

fn operations() -> Vec<(&'static str, Operation)> {
    let mut all: Vec<(&'static str, Operation)> = Vec::new();
    for row in ops::UNARY
        .iter()
        .filter(|r| ["exp", "tanh", "sigmoid", "erf", "relu", "gelu", "ln"].contains(&r.name))
    {
        all.push((row.name, Box::new(row.apply)));
    }
    all.push(("add", Box::new(|x| x.add(x))));
    all.push(("sum_rows", Box::new(|x| x.sum(&[-1], false))));
    all.push(("sum_columns", Box::new(|x| x.sum(&[0], false))));
    all.push(("softmax", Box::new(|x| x.softmax(-1))));
    all.push((
        "copy",
        Box::new(|x| {
            let mut out = x.array().clone();
            out.slice_mut::<f32>()?;
            Ok(out.into())
        }),
    ));
    all.push(("transpose", Box::new(|x| x.t()?.contiguous())));
    all
}

fn bench(c: &mut Criterion) {
    for sizes in [[32, 64], [4096, 1024]] {
        let Ok(shape) = Shape::new(&sizes) else { return };
        let stream = Stream::new(0, Purpose::User(0), 0);
        let Ok(x) = RandomNormal::new(0.0, 1.0).tensor(Spec::new(shape, DType::F32), stream) else { return };
        for threads in [1, 2] {
            let mut group = c.benchmark_group(format!("{}x{}/t{threads}", sizes[0], sizes[1]));
            group.throughput(Throughput::Bytes(8 * x.elements() as u64));
            group
                .measurement_time(Duration::from_secs(1))
                .warm_up_time(Duration::from_millis(300))
                .sample_size(10);
            let Ok(pool) = Threads::new(threads) else { return };
            for (name, f) in operations() {
                // Timed inside of the pool: entering it is not part of the operation.
                let timed = |n: u64| {
                    pool.run(|| {
                        let began = Instant::now();
                        for _ in 0..n {
                            let _ = black_box(f(black_box(&x)));
                        }
                        began.elapsed()
                    })
                };
                group.bench_function(name, |b| b.iter_custom(timed));
            }
            group.finish();
        }
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
