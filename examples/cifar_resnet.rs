//! A residual network for small images: on CIFAR-10 in its binary form, or, where there is none, on pictures made here that stand in for it.
//!
//! `cargo run --release --example cifar_resnet -- --data DIR`; without `--data` it looks for CIFAR-10 in the cache folder. Options:
//! `--data DIR --epochs N --blocks N --rows N --threads N --seed N`; `--rows` trains on so many images.

use gradus::nn::Symbol;
use gradus::nn::layers::Activation;
use gradus::optim::schedule::CosineDecay;
use gradus::prelude::*;
use gradus::random::{Purpose, Stream};

/// What can be given.
const OPTIONS: &str = "--data DIR --epochs N --blocks N --rows N --threads N --seed N";

struct Args {
    data: Option<String>,
    epochs: usize,
    blocks: usize,
    rows: usize,
    threads: Option<usize>,
    seed: u64,
}

fn args() -> Result<Args, String> {
    let mut args = Args { data: None, epochs: 3, blocks: 1, rows: usize::MAX, threads: None, seed: 0 };
    let mut given = std::env::args().skip(1);
    while let Some(name) = given.next() {
        if name == "--help" {
            println!("Options: {OPTIONS}");
            std::process::exit(0);
        }
        let value = given.next().ok_or(format!("{name} needs a value"))?;
        let number = |least: usize| match value.parse::<usize>() {
            Ok(n) if n >= least => Ok(n),
            _ => Err(format!("{name} needs a whole number of at least {least}, got '{value}'")),
        };
        match name.as_str() {
            "--data" => args.data = Some(value),
            "--epochs" => args.epochs = number(1)?,
            "--blocks" => args.blocks = number(1)?,
            "--rows" => args.rows = number(1)?,
            "--threads" => args.threads = Some(number(1)?),
            "--seed" => args.seed = number(0)? as u64,
            _ => return Err(format!("unknown option {name}: {OPTIONS}")),
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

/// Pictures `[count, 32, 32, 3]` of ten kinds: stripes of five directions in two colours, at places and with brightness of chance.
fn stand_in(count: usize, seed: u64) -> gradus::Result<(Tensor, Tensor)> {
    let (mut images, mut labels) = (Vec::with_capacity(count * 3072), Vec::new());
    for image in 0..count as u64 {
        let drawn = Stream::new(seed, Purpose::User(0), image);
        let kind = image as i64 % 10;
        let (sin, cos) = [(0.0, 1.0), (1.0, 0.0), (0.6, 0.8), (0.8, -0.6), (0.3, 0.95)][kind as usize % 5];
        let (shift, light) = (8.0 * drawn.uniform(0), 60.0 + 60.0 * drawn.uniform(1));
        for at in 0..32 * 32u64 {
            let along = sin * (at / 32) as f64 + cos * (at % 32) as f64 + shift;
            let stripe = if along.rem_euclid(8.0) < 4.0 { light } else { 20.0 };
            for channel in 0..3 {
                let tint = if (channel == 0) == (kind < 5) { 1.0 } else { 0.6 };
                images.push((stripe * tint + 90.0 * drawn.uniform(2 + at * 3 + channel)) as u8);
            }
        }
        labels.push(kind);
    }
    Ok((Tensor::from_slice(&images, [count, 32, 32, 3])?, Tensor::from_slice(&labels, [count])?))
}

/// `relu(shortcut + norm(conv(relu(norm(conv(x))))))`.
fn block(x: &Symbol, filters: usize, stride: usize) -> gradus::Result<Symbol> {
    let conv = |size: usize, stride: usize| {
        Conv2D::new(filters, size)
            .strides(stride)
            .padding("same")
            .use_bias(false)
            .kernel_initializer("he_normal")
    };
    let h = Activation::new("relu").on(&BatchNormalization::new().on(&conv(3, stride).on(x)?)?)?;
    let h = BatchNormalization::new().on(&conv(3, 1).on(&h)?)?;
    let shortcut =
        if stride > 1 { BatchNormalization::new().on(&conv(1, stride).on(x)?)? } else { x.clone() };
    Activation::new("relu").on(&Add::new().on([&shortcut, &h])?)
}

fn run(args: &Args) -> gradus::Result<()> {
    let loaded = match &args.data {
        Some(dir) => Some(datasets::cifar10::load_from(dir)?),
        None => datasets::cifar10::load().ok(),
    };
    let ((x, y), (x_test, y_test)) = match loaded {
        Some((train, test)) => ((train.images, train.labels), (test.images, test.labels)),
        None => {
            println!("CIFAR-10 is not here: pictures made for the occasion stand in for it");
            (stand_in(2000, args.seed)?, stand_in(500, args.seed.wrapping_add(1))?)
        }
    };
    let rows = args.rows.min(x.dims()[0]) as isize;
    let scaled = |x: &Tensor| x.cast(DType::F32)?.affine(1.0 / 127.5, -1.0);
    let (x, y) = (scaled(&x.slice(0, 0, rows)?)?, y.slice(0, 0, rows)?);

    let image = Input::new([32, 32, 3]);
    let conv = Conv2D::new(16, 3).padding("same").use_bias(false).kernel_initializer("he_normal");
    let mut h = Activation::new("relu").on(&BatchNormalization::new().on(&conv.on(&image)?)?)?;
    for stage in 0..3 {
        for i in 0..args.blocks {
            h = block(&h, 16 << stage, if stage > 0 && i == 0 { 2 } else { 1 })?;
        }
    }
    let h = GlobalAveragePooling2D::new().on(&h)?;
    let network = Functional::new(&image, &Dense::new(10).activation(Softmax).on(&h)?)?.seed(args.seed);
    let steps = args.epochs.saturating_mul((rows as usize).div_ceil(64)) as u64;
    let optimizer = SGD::new(CosineDecay::new(0.1, steps)).momentum(0.9).nesterov(true).weight_decay(5e-4);
    let mut model = network.compile(optimizer, "sparse_categorical_crossentropy", ["accuracy"])?;
    println!("{} parameters, {rows} images", model.count_params());
    model.fit(&x, &y, Fit::new().epochs(args.epochs).batch_size(64).verbose(2))?;
    println!("test accuracy {:.4}", model.evaluate(&scaled(&x_test)?, &y_test)?["accuracy"]);
    Ok(())
}
