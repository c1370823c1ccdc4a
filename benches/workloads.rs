//! The workloads that rival libraries are measured on, through the public API with its default settings. Prints one
//! JSON object a line: `peer, workload, threads, metric, median, min, max, runs, peak_rss_mib`, and a check value.
//!
//! `cargo bench --bench workloads -- WORKLOAD --threads N --data DIR`, with the four MNIST files in DIR. Workloads:
//! `mlp`, `mlp_large`, `mlp_acc`, `mlp_infer` (or `mlp_infer/b1`, `mlp_infer/b1024`).

use gradus::prelude::*;
use std::time::Instant;

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
        return Err("name a workload: mlp, mlp_large, mlp_acc, mlp_infer".into());
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

/// 784-64-64-10, no metric: the rivals' training steps compute none either.
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

fn emit(args: &Args, workload: &str, metric: &str, mut values: Vec<f64>, check: (&str, f64)) {
    values.sort_by(f64::total_cmp);
    let n = values.len();
    let median = if n % 2 == 1 { values[n / 2] } else { (values[n / 2 - 1] + values[n / 2]) / 2.0 };
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

/// Seconds of each epoch but the first, and the last epoch's loss.
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
    let (seconds, check) = sample(|| Ok(f64::from(model.predict(&x)?.to_vec::<f32>()?[0])))?;
    let name = format!("mlp_infer/b{batch}");
    if batch == 1 {
        emit(args, &name, "us", seconds.iter().map(|s| s * 1e6).collect(), ("first_output", check));
    } else {
        emit(
            args,
            &name,
            "images/s",
            seconds.iter().map(|s| batch as f64 / s).collect(),
            ("first_output", check),
        );
    }
    Ok(())
}

fn run(args: &Args) -> Res<()> {
    match args.workload.as_str() {
        "mlp" => {
            let (seconds, loss) = epochs(&mut mlp(args.seed)?, &mnist(args)?, 32, 4)?;
            emit(args, "mlp", "s/epoch", seconds, ("final_loss", loss));
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
        other => return Err(format!("unknown workload '{other}': mlp, mlp_large, mlp_acc, mlp_infer").into()),
    }
    Ok(())
}

fn main() -> Res<()> {
    let args = args()?;
    with_threads(args.threads, || run(&args).map_err(|e| e.to_string()))??;
    Ok(())
}
