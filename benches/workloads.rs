//! The workloads that rival libraries are measured on, through the public API with its default settings. Prints one
//! JSON object per line: `peer, workload, threads, metric, median, min, max, runs, peak_rss_mib`, and a check
//! value.
//!
//! `cargo bench --bench workloads -- WORKLOAD --threads N --data DIR`, with the four MNIST files in DIR (which `gemm` and
//! `elementwise` do not need). Workloads: `mlp`, `mlp_large`, `mlp_acc`, `mlp_infer` (or `mlp_infer/b1`, `mlp_infer/b1024`),
//! `cnn`, `gpt`, `lstm`, `resnet18_train`, `resnet18_infer`, `mobilenet_v2_infer`, `bert_infer`, `gpt2_decode`, `memory/resnet18` and the like (`networks.rs`), `gemm` (or `gemm/512x512x512`), `elementwise` (or `elementwise/gelu`), `conv` (or `conv/resnet_56`, `conv/56x56x64x64`); and `grid`, which compares one thread with two over
//! widths and batches of small networks.

mod conv;
mod networks;

use gradus::Spec;
use gradus::kernels::gemm::{Epilogue, Mat, MatMut, Packed, Store, View, gemm, product as multiply};
use gradus::nn::initializer::{Initializer, RandomNormal};
use gradus::prelude::*;
use gradus::random::{Purpose, Stream};
use std::time::Instant;

const WORKLOADS: &str = "mlp, mlp_epochs, mlp_large, mlp_acc, mlp_infer, cnn, gpt, lstm, resnet18_train, resnet18_infer, mobilenet_v2_infer, \
                         bert_infer, gpt2_decode, memory/resnet18, gemm, elementwise, conv, grid";

type Res<T> = Result<T, Box<dyn std::error::Error>>;

struct Args {
    workload: String,
    threads: usize,
    data: String,
    seed: u64,
}

fn args() -> Res<Args> {
    let mut args = Args { workload: String::new(), threads: 1, data: "data/mnist".into(), seed: 1234 };
    let mut given = std::env::args().skip(1).filter(|a| a != "--bench");
    while let Some(a) = given.next() {
        let mut value = || given.next().ok_or(format!("{a} needs a value"));
        match a.as_str() {
            "--threads" => args.threads = value()?.parse()?,
            "--data" => args.data = value()?,
            "--seed" => args.seed = value()?.parse()?,
            _ if !a.starts_with('-') => args.workload = a,
            _ => return Err(format!("unknown option {a}").into()),
        }
    }
    if args.workload.is_empty() {
        return Err(format!("name a workload: {WORKLOADS}").into());
    }
    Ok(args)
}

struct Data {
    x: Tensor,
    y: Tensor,
    x_test: Tensor,
    y_test: Tensor,
}

fn mnist(args: &Args) -> Res<Data> {
    let (train, test) = datasets::mnist::load_from(&args.data)?;
    let flat = |t: &Tensor| t.scale(1.0 / 255.0)?.reshape([-1, 784]);
    Ok(Data { x: flat(&train.images)?, y: train.labels, x_test: flat(&test.images)?, y_test: test.labels })
}

/// 784-64-64-10 without metrics, since the rivals' training steps compute none either.
fn mlp(seed: u64) -> gradus::Result<Model> {
    Sequential::new()
        .add(Input::new([784]))
        .add(Dense::new(64).activation(Relu))
        .add(Dense::new(64).activation(Relu))
        .add(Dense::new(10).activation(Softmax))
        .seed(seed)
        .compile(Adam::new(0.001), SparseCategoricalCrossentropy::new(), ())
}

fn mlp_large(seed: u64) -> gradus::Result<Model> {
    Sequential::new()
        .add(Input::new([784]))
        .add(Dense::new(512).activation(Relu))
        .add(Dropout::new(0.2))
        .add(Dense::new(512).activation(Relu))
        .add(Dropout::new(0.2))
        .add(Dense::new(10).activation(Softmax))
        .seed(seed)
        .compile(Adam::new(0.001), SparseCategoricalCrossentropy::new(), ())
}

fn peak_rss_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmHWM")).unwrap_or("");
    line.split_whitespace().nth(1).and_then(|kb| kb.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let n = values.len();
    if n % 2 == 1 { values[n / 2] } else { (values[n / 2 - 1] + values[n / 2]) / 2.0 }
}

fn emit(args: &Args, workload: &str, metric: &str, mut values: Vec<f64>, check: (&str, f64)) {
    let median = median(&mut values);
    let n = values.len();
    println!(
        r#"{{"peer": "gradus {}", "workload": "{workload}", "threads": {}, "metric": "{metric}", "median": {median:.6}, "min": {:.6}, "max": {:.6}, "runs": {n}, "peak_rss_mib": {:.1}, "{}": {:.6}}}"#,
        env!("CARGO_PKG_VERSION"),
        args.threads,
        values[0],
        values[n - 1],
        peak_rss_mib(),
        check.0,
        check.1
    );
}

/// Seconds of each epoch except the first, and the last epoch's loss.
fn epochs(model: &mut Model, d: &Data, batch: usize, epochs: usize) -> gradus::Result<(Vec<f64>, f64)> {
    let (mut seconds, mut loss) = (Vec::new(), 0.0);
    for epoch in 0..epochs {
        let began = Instant::now();
        let history = model.fit(&d.x, &d.y, Fit::new().batch_size(batch).verbose(0))?;
        if epoch > 0 {
            seconds.push(began.elapsed().as_secs_f64());
        }
        loss = history["loss"][0];
    }
    Ok((seconds, loss))
}

/// Seconds per call: groups of about a millisecond, for a second.
fn sample(mut call: impl FnMut() -> gradus::Result<f64>) -> gradus::Result<(Vec<f64>, f64)> {
    for _ in 0..3 {
        call()?;
    }
    let began = Instant::now();
    let check = call()?;
    let inner = ((1e-3 / began.elapsed().as_secs_f64().max(1e-9)).round() as usize).max(1);
    let (mut out, began) = (Vec::new(), Instant::now());
    while began.elapsed().as_secs_f64() < 1.0 || out.len() < 5 {
        let t = Instant::now();
        for _ in 0..inner {
            call()?;
        }
        out.push(t.elapsed().as_secs_f64() / inner as f64);
    }
    Ok((out, check))
}

fn infer(args: &Args, batch: usize) -> Res<()> {
    let d = mnist(args)?;
    let mut model = mlp(args.seed)?;
    model.fit(&d.x, &d.y, Fit::new().verbose(0))?;
    let x = d.x_test.slice(0, 0, batch as isize)?.contiguous()?;
    let predictor = model.predictor()?;
    let name = format!("mlp_infer/b{batch}");
    let first = |y: Tensor| Ok(f64::from(y.to_vec::<f32>()?[0]));
    let eager = sample(|| first(model.predict(&x)?))?;
    let planned = sample(|| first(predictor.predict(&x)?))?;
    for (name, (seconds, check)) in [(name.clone(), eager), (format!("{name}/predictor"), planned)] {
        let check = ("first_output", check);
        if batch == 1 {
            emit(args, &name, "us", seconds.iter().map(|s| s * 1e6).collect(), check);
        } else {
            emit(args, &name, "images/s", seconds.iter().map(|s| batch as f64 / s).collect(), check);
        }
    }
    Ok(())
}

/// m x k x n; `at` if A is stored as its transpose.
const GEMM: [&str; 13] = [
    "64x64x64",
    "128x128x128",
    "256x256x256",
    "512x512x512",
    "1024x1024x1024",
    "2048x2048x2048",
    "4096x4096x4096",
    "32x784x64",
    "32x64x64",
    "784x32x64at",
    "128x784x512",
    "128x768x3072",
    "1x768x50257",
];

/// Numbers that begin on a cache line, as a tensor's do (and those of the rivals that own their arrays).
struct Aligned {
    data: Vec<f32>,
    start: usize,
    len: usize,
}

impl Aligned {
    fn new(numbers: &[f32]) -> Aligned {
        let mut data = vec![0.0; numbers.len() + 16];
        let start = data.as_ptr().align_offset(64).min(16);
        data[start..start + numbers.len()].copy_from_slice(numbers);
        Aligned { data, start, len: numbers.len() }
    }

    fn slice(&self) -> &[f32] {
        &self.data[self.start..self.start + self.len]
    }

    fn slice_mut(&mut self) -> &mut [f32] {
        &mut self.data[self.start..self.start + self.len]
    }
}

/// C = A B into a given C, all row-major; `p` after the sizes if B is in panels.
fn product(args: &Args, name: &str) -> Res<()> {
    let (sizes, in_panels) = name.strip_suffix('p').map_or((name, false), |sizes| (sizes, true));
    let (sizes, at) = sizes.strip_suffix("at").map_or((sizes, false), |sizes| (sizes, true));
    let sizes: Vec<usize> = sizes.split('x').map(str::parse).collect::<Result<_, _>>()?;
    let &[m, k, n] = &sizes[..] else { return Err(format!("gemm/{name}: expected MxKxN").into()) };
    let a = Aligned::new(&normal(args.seed, &[m, k])?.to_vec::<f32>()?);
    let b = Aligned::new(&normal(args.seed + 1, &[k, n])?.to_vec::<f32>()?);
    let mut c = Aligned::new(&vec![0.0; m * n]);
    let left = if at { Mat::row_major(a.slice(), k, m).t() } else { Mat::row_major(a.slice(), m, k) };
    let right = Mat::row_major(b.slice(), k, n);
    let panels = in_panels.then(|| Packed::new(right));
    let (seconds, check) = sample(|| {
        let c_mut = MatMut::row_major(c.slice_mut(), m, n);
        match &panels {
            Some(panels) => multiply(View::of(&left), View::of(panels), c_mut, Store::Write, Epilogue::NONE),
            None => gemm(left, right, c_mut, Store::Write, Epilogue::NONE),
        }
        Ok(f64::from(c.slice()[0]))
    })?;
    let flops = 2e-9 * (m * k * n) as f64;
    let rates = seconds.iter().map(|s| flops / s).collect();
    emit(args, &format!("gemm/{name}"), "GFLOP/s", rates, ("first_output", check));
    Ok(())
}

/// Height, width, channels and filters of an image, under kernels of 3 x 3.
const ELEMENTWISE: [&str; 5] = ["gelu", "gelu_tanh", "softmax", "layer_norm", "gelu_linear"];

/// On 4096 x 1024 float32, with the result in a new tensor: 4 bytes read and 4 written for each element.
/// `gelu_linear` passes a gelu's result to a product of 1024 x 64, which reads it at once; its unit is seconds, not
/// GB/s.
fn elementwise(args: &Args, name: &str) -> Res<()> {
    let x = normal(args.seed, &[4096, 1024])?;
    let (gamma, beta) = (normal(args.seed + 1, &[1024])?, normal(args.seed + 2, &[1024])?);
    let weight = normal(args.seed + 3, &[1024, 64])?;
    let call = |x: &Tensor| match name {
        "gelu" => x.gelu(),
        "gelu_tanh" => x.gelu_tanh(),
        "softmax" => x.softmax(-1),
        "layer_norm" => x.layer_norm(Some(&gamma), Some(&beta), 1e-5),
        "gelu_linear" => x.gelu()?.linear(&weight, None, None),
        _ => Err(gradus::Error::Custom(format!("unknown operation '{name}': {}", ELEMENTWISE.join(", ")))),
    };
    let check = f64::from(call(&x)?.to_vec::<f32>()?[0]);
    let (seconds, _) = sample(|| call(&x).map(|y| y.elements() as f64))?;
    let bytes = 8e-9 * x.elements() as f64;
    let rates = seconds.iter().map(|s| bytes / s).collect();
    emit(args, &format!("elementwise/{name}"), "GB/s", rates, ("first_output", check));
    Ok(())
}

fn normal(seed: u64, shape: &[usize]) -> gradus::Result<Tensor> {
    let stream = Stream::new(seed, Purpose::User(0), 0);
    RandomNormal::new(0.0, 1.0).tensor(Spec::new(Shape::new(shape)?, DType::F32), stream)
}

/// Milliseconds of a training step on one thread and on two, and their ratio, over widths and batches: two threads
/// should never be slower. Each point is the best of interleaved rounds.
fn grid(args: &Args) -> Res<()> {
    let (one, two) = (Threads::new(1)?, Threads::new(2)?);
    for width in [8, 16, 32, 64, 128, 256, 512, 1024] {
        for batch in [1, 4, 16, 32, 64, 128, 256] {
            let x = normal(args.seed, &[batch, width])?;
            let y = Tensor::from_slice(&(0..batch as i64).map(|i| i % 10).collect::<Vec<_>>(), [batch])?;
            let make = || {
                Sequential::new()
                    .add(Input::new([width]))
                    .add(Dense::new(width).activation(Relu))
                    .add(Dense::new(width).activation(Relu))
                    .add(Dense::new(10).activation(Softmax))
                    .compile(Adam::new(0.001), SparseCategoricalCrossentropy::new(), ())
            };
            let mut models = [make()?, make()?];
            let mut best = [f64::INFINITY; 2];
            for round in 0..7 {
                for ((model, pool), best) in models.iter_mut().zip([&one, &two]).zip(&mut best) {
                    let steps = if round == 0 {
                        3
                    } else {
                        (2_000_000 / (width * width * batch.max(8))).clamp(3, 200)
                    };
                    let seconds = pool.run(|| -> gradus::Result<f64> {
                        let began = Instant::now();
                        for _ in 0..steps {
                            model.train_on_batch(&x, &y)?;
                        }
                        Ok(began.elapsed().as_secs_f64() / steps as f64)
                    })?;
                    if round > 0 {
                        *best = best.min(seconds);
                    }
                }
            }
            println!(
                r#"{{"peer": "gradus {}", "workload": "grid/{width}x{batch}", "metric": "ms/step", "one": {:.5}, "two": {:.5}, "ratio": {:.3}}}"#,
                env!("CARGO_PKG_VERSION"),
                best[0] * 1e3,
                best[1] * 1e3,
                best[1] / best[0]
            );
        }
    }
    Ok(())
}

fn run(args: &Args) -> Res<()> {
    match args.workload.as_str() {
        "mlp" => {
            let (seconds, loss) = epochs(&mut mlp(args.seed)?, &mnist(args)?, 32, 4)?;
            emit(args, "mlp", "s/epoch", seconds, ("final_loss", loss));
        }
        "mlp_epochs" => {
            let (mut seconds, _) = epochs(&mut mlp(args.seed)?, &mnist(args)?, 32, 51)?;
            let ratio = median(&mut seconds[45..]) / median(&mut seconds[..5]);
            emit(args, "mlp_epochs", "s/epoch", seconds, ("epochs_47_to_51_over_2_to_6", ratio));
        }
        "mlp_large" => {
            let (seconds, loss) = epochs(&mut mlp_large(args.seed)?, &mnist(args)?, 128, 3)?;
            emit(args, "mlp_large", "s/epoch", seconds, ("final_loss", loss));
        }
        "mlp_acc" => {
            let d = mnist(args)?;
            let mut model = mlp(args.seed)?;
            let began = Instant::now();
            model.fit(&d.x, &d.y, Fit::new().epochs(10).verbose(0))?;
            let seconds = began.elapsed().as_secs_f64();
            let p = model.predict(&d.x_test)?.argmax(-1)?.to_vec::<i64>()?;
            let right = p.iter().zip(d.y_test.to_vec::<i64>()?).filter(|(p, t)| *p == t).count();
            emit(args, "mlp_acc", "accuracy", vec![right as f64 / p.len() as f64], ("train_s", seconds));
        }
        "mlp_infer" => {
            infer(args, 1)?;
            infer(args, 1024)?;
        }
        "mlp_infer/b1" => infer(args, 1)?,
        "mlp_infer/b1024" => infer(args, 1024)?,
        "cnn" => networks::cnn(args)?,
        "gpt" => networks::gpt(args)?,
        "lstm" => networks::lstm(args)?,
        "resnet18_train" => networks::resnet18_train(args)?,
        "resnet18_infer" => networks::resnet18_infer(args)?,
        "mobilenet_v2_infer" => networks::mobilenet_v2_infer(args)?,
        "bert_infer" => networks::bert_infer(args)?,
        "gpt2_decode" => networks::gpt2_decode(args)?,
        "gemm" => {
            for shape in GEMM {
                product(args, shape)?;
            }
        }
        "elementwise" => {
            for name in ELEMENTWISE {
                elementwise(args, name)?;
            }
        }
        "grid" => grid(args)?,
        "conv" => conv::conv(args, "")?,
        other => match other.split_once('/') {
            Some(("gemm", shape)) => product(args, shape)?,
            Some(("memory", name)) => networks::memory(args, name)?,
            Some(("conv", name)) => conv::conv(args, name)?,
            Some(("elementwise", name)) => elementwise(args, name)?,
            _ => return Err(format!("unknown workload '{other}': {WORKLOADS}").into()),
        },
    }
    Ok(())
}

fn main() -> Res<()> {
    let args = args()?;
    with_threads(args.threads, || run(&args).map_err(|e| e.to_string()))??;
    Ok(())
}
