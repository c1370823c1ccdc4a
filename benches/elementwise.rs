//! Benchmarks of every kernel except matrix products, through the public API, on 4096 x 1024 float32 (16.8 MB read
//! and as much written), on 32 x 64 activations, and on 4096 rows of ten logits. They are compared with a copy of
//! the same size, which is the bound for anything that reads and writes memory once, and with `ndarray` (names
//! ending in `/ndarray`, one thread) where it has the operation.
//!
//! `cargo bench --bench elementwise`
#![allow(missing_docs)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use gradus::nn::initializer::{Initializer, RandomNormal};
use gradus::optim::{Rule, Step};
use gradus::prelude::{Adam, SGD};
use gradus::random::{Purpose, Stream};
use gradus::{DType, Error, Result, Shape, Spec, Tensor, Threads, ops};
use ndarray::{Array2, Axis};
use std::hint::black_box;
use std::time::{Duration, Instant};

type Operation = Box<dyn Fn(&Tensor) -> Result<Tensor> + Send + Sync>;

fn stream() -> Stream {
    Stream::new(0, Purpose::User(0), 0)
}

/// The gradient of the sum of `f(x)`, including the forward pass.
fn backward(f: impl Fn(&Tensor) -> Result<Tensor> + Send + Sync + 'static) -> Operation {
    Box::new(move |x| {
        let x = x.tracked();
        let grads = f(&x)?.sum(&[], false)?.backward()?;
        grads.get(&x).cloned().ok_or_else(|| Error::Custom("no gradient".into()))
    })
}

/// What is timed for tensors of `rows` by `columns`.
fn operations(rows: usize, columns: usize) -> Result<Vec<(&'static str, Operation)>> {
    let mut all: Vec<(&'static str, Operation)> = Vec::new();
    let formulas = ["exp", "tanh", "sigmoid", "erf", "relu", "gelu", "gelu_tanh", "silu", "ln", "sin"];
    for row in ops::UNARY.iter().filter(|r| formulas.contains(&r.name)) {
        all.push((row.name, Box::new(row.apply)));
    }
    let row = RandomNormal::new(0.0, 1.0).tensor(Spec::new(Shape::new(&[columns])?, DType::F32), stream())?;
    let (gamma, beta, bias) = (row.clone(), row.clone(), row);
    let picks: Vec<i64> = (0..rows as i64).map(|i| (i * 7919) % rows as i64).collect();
    let picks = Tensor::from_slice(&picks, [rows])?;
    let labels: Vec<i64> = (0..rows as i64).map(|i| i % columns as i64).collect();
    let labels = Tensor::from_slice(&labels, [rows])?;
    let (to, labels_too) = (picks.clone(), labels.clone());
    let more: [(&'static str, Operation); 19] = [
        (
            "copy",
            Box::new(|x| {
                let mut out = x.array().clone();
                out.slice_mut::<f32>()?;
                Ok(out.into())
            }),
        ),
        ("add", Box::new(|x| x.add(x))),
        ("add_row", Box::new(move |x| x.add(&bias))),
        ("transpose", Box::new(|x| x.t()?.contiguous())),
        ("sum_rows", Box::new(|x| x.sum(&[-1], false))),
        ("sum_columns", Box::new(|x| x.sum(&[0], false))),
        ("max_rows", Box::new(|x| x.max(&[-1], false))),
        ("cumsum", Box::new(|x| x.cumsum(-1))),
        ("softmax", Box::new(|x| x.softmax(-1))),
        ("softmax_backward", backward(|x| x.softmax(-1)?.square())),
        ("log_softmax", Box::new(|x| x.log_softmax(-1))),
        ("cross_entropy", Box::new(move |x| x.sparse_cross_entropy(&labels))),
        ("cross_entropy_backward", backward(move |x| x.sparse_cross_entropy(&labels_too))),
        ("layer_norm", Box::new(move |x| x.layer_norm(Some(&gamma), Some(&beta), 1e-5))),
        ("layer_norm_backward", backward(|x| x.layer_norm(None, None, 1e-5)?.square())),
        ("gather_rows", Box::new(move |x| x.gather(&picks, 0))),
        ("scatter_add_rows", Box::new(move |x| x.scatter_add(&to, 0, *x.shape()))),
        ("dropout", Box::new(|x| x.dropout(0.5, stream()))),
        ("random_normal", Box::new(|x| RandomNormal::new(0.0, 1.0).tensor(x.spec(), stream()))),
    ];
    all.extend(more);
    Ok(all)
}

type Rival<'a> = (&'static str, Box<dyn Fn() -> f32 + 'a>);

/// The same in `ndarray`, with a new result each time, like ours.
#[allow(clippy::disallowed_methods)] // std's functions are what a user of `ndarray` calls
fn rivals(x: &Array2<f32>) -> Vec<Rival<'_>> {
    let first = |y: Array2<f32>| y[[0, 0]];
    vec![
        ("copy/ndarray", Box::new(move || first(x.clone()))),
        ("exp/ndarray", Box::new(move || first(x.mapv(f32::exp)))),
        ("tanh/ndarray", Box::new(move || first(x.mapv(f32::tanh)))),
        ("relu/ndarray", Box::new(move || first(x.mapv(|v| v.max(0.0))))),
        ("add/ndarray", Box::new(move || first(x + x))),
        ("transpose/ndarray", Box::new(move || first(x.t().as_standard_layout().into_owned()))),
        ("sum_rows/ndarray", Box::new(move || x.sum_axis(Axis(1))[0])),
        ("sum_columns/ndarray", Box::new(move || x.sum_axis(Axis(0))[0])),
    ]
}

fn all(c: &mut Criterion) -> Result<()> {
    for [rows, columns] in [[32, 64], [4096, 10], [4096, 1024]] {
        let spec = Spec::new(Shape::new(&[rows, columns])?, DType::F32);
        let x = RandomNormal::new(0.0, 1.0).tensor(spec, stream())?;
        for threads in [1, 2] {
            let mut group = c.benchmark_group(format!("{rows}x{columns}/t{threads}"));
            group.throughput(Throughput::Bytes(8 * x.elements() as u64));
            group
                .measurement_time(Duration::from_secs(1))
                .warm_up_time(Duration::from_millis(300))
                .sample_size(10);
            let pool = Threads::new(threads)?;
            for (name, f) in operations(rows, columns)? {
                // Timed inside of the pool, because entering it is not part of the operation.
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
            if threads == 1 {
                let values = x.to_vec::<f32>()?;
                if let Ok(array) = Array2::from_shape_vec((rows, columns), values) {
                    for (name, f) in rivals(&array) {
                        group.bench_function(name, |b| b.iter(&f));
                    }
                }
            }
            group.finish();
        }
    }
    updates(c)
}

/// One optimizer update of 55,050 parameters, those of a 784-64-64-10 network: the parameter, its gradient and its
/// state are read, and all but the gradient are written.
fn updates(c: &mut Criterion) -> Result<()> {
    const N: usize = 55_050;
    let step = Step::new(1, 0.001);
    let mut group = c.benchmark_group("update");
    let (mut w, g) = (vec![0.1f32; N], vec![0.01f32; N]);
    let (mut m, mut v) = (vec![0f32; N], vec![0f32; N]);
    group.throughput(Throughput::Bytes(28 * N as u64));
    let adam = Adam::new(0.001);
    group.bench_function("adam", |b| {
        b.iter(|| adam.update(step, &mut w, &g, [&mut m[..], &mut v[..]].into_iter().collect()))
    });
    group.throughput(Throughput::Bytes(12 * N as u64));
    let sgd = SGD::new(0.001);
    group.bench_function("sgd", |b| b.iter(|| sgd.update(step, &mut w, &g, Default::default())));
    group.finish();
    Ok(())
}

fn bench(c: &mut Criterion) {
    if let Err(e) = all(c) {
        eprintln!("{e}");
        std::process::exit(1);
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
