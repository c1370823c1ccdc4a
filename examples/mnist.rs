//! Trains a small network to read handwritten digits, and prints how well it does on digits it has not seen.
//!
//! `cargo run --release --example mnist` needs no network and no files: without `--data` it looks for MNIST in the
//! cache folder and otherwise makes its own digits. Options: `--data DIR --epochs N --batch-size N --threads N --seed N`.

use gradus::prelude::*;
use sha2::{Digest, Sha256};

struct Args {
    data: Option<String>,
    epochs: usize,
    batch_size: usize,
    threads: Option<usize>,
    seed: u64,
}

fn args() -> Result<Args, String> {
    let mut args = Args { data: None, epochs: 10, batch_size: 32, threads: None, seed: 42 };
    let mut given = std::env::args().skip(1);
    while let Some(name) = given.next() {
        let value = given.next().ok_or(format!("{name} needs a value"))?;
        let number = |least: usize| match value.parse::<usize>() {
            Ok(n) if n >= least => Ok(n),
            _ => Err(format!("{name} needs a whole number of at least {least}, got '{value}'")),
        };
        match name.as_str() {
            "--data" => args.data = Some(value),
            "--epochs" => args.epochs = number(1)?,
            "--batch-size" => args.batch_size = number(1)?,
            "--threads" => args.threads = Some(number(1)?),
            "--seed" => args.seed = number(0)? as u64,
            _ => return Err(format!("unknown option {name}: --data --epochs --batch-size --threads --seed")),
        }
    }
    Ok(args)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args = args()?;
    match args.threads {
        Some(n) => with_threads(n, || run(&args))??,
        None => run(&args)?,
    }
    Ok(())
}

fn run(args: &Args) -> gradus::Result<()> {
    let (train, test) = match &args.data {
        Some(dir) => datasets::mnist::load_from(dir)?,
        None => datasets::mnist::load()?,
    };
    println!("data: {}", train.source);
    let (x_train, y_train) = (train.images.scale(1.0 / 255.0)?.reshape([-1, 784])?, train.labels);
    let (x_test, y_test) = (test.images.scale(1.0 / 255.0)?.reshape([-1, 784])?, test.labels);

    let mut model = Sequential::new()
        .add(Input::new([784]))
        .add(Dense::new(64).activation(Relu))
        .add(Dense::new(64).activation(Relu))
        .add(Dense::new(10).activation(Softmax))
        .seed(args.seed)
        .compile(Adam::new(0.001), SparseCategoricalCrossentropy::new(), [Accuracy::new()])?;
    model.summary();

    let settings =
        Fit::new().epochs(args.epochs).batch_size(args.batch_size).validation_data(&x_test, &y_test);
    model.fit(&x_train, &y_train, settings)?;
    let scores = model.evaluate(&x_test, &y_test)?;
    println!("test accuracy {:.4}", scores["accuracy"]);
    let hash = Sha256::digest(model.weight_bytes()?);
    println!("weights sha256 {}", hash.iter().map(|b| format!("{b:02x}")).collect::<String>());
    Ok(())
}
