//! The convolutional network of Keras's MNIST example: two convolutions, two poolings, dropout, a softmax. A few epochs on the real
//! data read about 99 of 100 digits that the network has not seen.
//!
//! `cargo run --release --example mnist_cnn -- --data DIR`; without `--data` it looks for MNIST in the cache folder and otherwise
//! makes its own digits. Options: `--data DIR --epochs N --batch-size N --threads N --seed N`.

use gradus::optim::schedule::CosineDecay;
use gradus::prelude::*;

struct Args {
    data: Option<String>,
    epochs: usize,
    batch_size: usize,
    threads: Option<usize>,
    seed: u64,
}

fn args() -> Result<Args, String> {
    let mut args = Args { data: None, epochs: 6, batch_size: 64, threads: None, seed: 42 };
    let mut given = std::env::args().skip(1);
    while let Some(name) = given.next() {
        let value = given.next().ok_or(format!("{name} needs a value"))?;
        let number = || value.parse::<usize>().map_err(|_| format!("{name} needs a number, got '{value}'"));
        match name.as_str() {
            "--data" => args.data = Some(value),
            "--epochs" => args.epochs = number()?,
            "--batch-size" => args.batch_size = number()?,
            "--threads" => args.threads = Some(number()?),
            "--seed" => args.seed = number()? as u64,
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
    let images = |of: &Tensor| of.scale(1.0 / 255.0)?.reshape([-1, 28, 28, 1]);
    let (x_train, x_test) = (images(&train.images)?, images(&test.images)?);

    // From Keras's rate for this network, doubled, down to 0: half of the epochs then do as well as with a constant
    // rate.
    let steps = args.epochs * x_train.dims()[0].div_ceil(args.batch_size);
    let rate = CosineDecay::new(0.002, steps as u64);
    let mut model = Sequential::new()
        .add(Input::new([28, 28, 1]))
        .add(Conv2D::new(32, 3).activation(Relu))
        .add(MaxPooling2D::new().pool_size(2))
        .add(Conv2D::new(64, 3).activation(Relu))
        .add(MaxPooling2D::new().pool_size(2))
        .add(Flatten::new())
        .add(Dropout::new(0.5))
        .add(Dense::new(10).activation(Softmax))
        .seed(args.seed)
        .compile(Adam::new(rate), SparseCategoricalCrossentropy::new(), [Accuracy::new()])?;
    model.summary();

    let settings =
        Fit::new().epochs(args.epochs).batch_size(args.batch_size).validation_data(&x_test, &test.labels);
    model.fit(&x_train, &train.labels, settings)?;
    let scores = model.evaluate(&x_test, &test.labels)?;
    println!("test accuracy {:.4}", scores["accuracy"]);
    Ok(())
}
