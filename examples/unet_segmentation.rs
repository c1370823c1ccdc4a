//! A U-Net that finds the pixels of discs and squares among noise, on images made here. Runs in a minute.
//!
//! `cargo run --release --example unet_segmentation`; options: `--epochs N --threads N --seed N`.

use gradus::applications::UNet;
use gradus::metric::MeanIoU;
use gradus::prelude::*;
use gradus::random::{Purpose, Stream};

const SIZE: usize = 32;

/// What can be given.
const OPTIONS: &str = "--epochs N --threads N --seed N";

struct Args {
    epochs: usize,
    threads: Option<usize>,
    seed: u64,
}

fn args() -> Result<Args, String> {
    let mut args = Args { epochs: 6, threads: None, seed: 0 };
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
            "--epochs" => args.epochs = number(1)?,
            "--threads" => args.threads = Some(number(1)?),
            "--seed" => args.seed = number(0)? as u64,
            _ => return Err(format!("unknown option {name}: {OPTIONS}")),
        }
    }
    Ok(args)
}

/// Images of a disc and a square among noise, and the class of each pixel: 0 for neither, 1 for the disc, 2 for the square.
fn shapes(count: usize, seed: u64) -> gradus::Result<(Tensor, Tensor)> {
    let (mut images, mut classes) = (Vec::new(), Vec::new());
    for image in 0..count as u64 {
        let drawn = Stream::new(seed, Purpose::User(0), image);
        let place = |i: u64| 6.0 + drawn.uniform(i) * (SIZE as f64 - 12.0);
        let (disc, square) = (
            [place(0), place(1), 3.0 + 3.0 * drawn.uniform(2)],
            [place(3), place(4), 3.0 + 2.0 * drawn.uniform(5)],
        );
        for at in 0..SIZE * SIZE {
            let (y, x) = ((at / SIZE) as f64, (at % SIZE) as f64);
            let within_disc =
                (y - disc[0]) * (y - disc[0]) + (x - disc[1]) * (x - disc[1]) < disc[2] * disc[2];
            let within_square = (y - square[0]).abs() < square[2] && (x - square[1]).abs() < square[2];
            // The square lies above the disc.
            let class = if within_square { 2 } else { i64::from(within_disc) };
            images.push(0.6 * f64::from(u8::from(class > 0)) + 0.4 * drawn.uniform(8 + at as u64));
            classes.push(class);
        }
    }
    let images = Tensor::from_slice(&images, [count, SIZE, SIZE, 1])?.cast(DType::F32)?;
    Ok((images, Tensor::from_slice(&classes, [count, SIZE, SIZE, 1])?))
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
    let (x, y) = shapes(800, args.seed)?;
    let (x_test, y_test) = shapes(100, args.seed.wrapping_add(1))?;
    let network = UNet::new([SIZE, SIZE, 1], 3).filters(12).depth(3).seed(args.seed).build()?;
    println!("{} parameters", network.count_params());
    let mut model = network.compile(Adam::new(0.003), "sparse_categorical_crossentropy", ["accuracy"])?;
    model.fit(&x, &y, Fit::new().epochs(args.epochs).batch_size(16).validation_split(0.1).verbose(2))?;

    let found = model.predict(&x_test)?.argmax(-1)?.expand_dims(-1)?;
    let mut overlap = MeanIoU::new(3);
    overlap.update(&y_test, &found, None)?;
    println!("mean intersection over union of {} new images: {:.3}", x_test.dims()[0], overlap.result());

    let show = |t: &Tensor| -> gradus::Result<Vec<i64>> { t.slice(0, 0, 1)?.to_vec::<i64>() };
    let (truth, found) = (show(&y_test)?, show(&found)?);
    println!("{:<SIZE$}   found", "truth");
    for row in 4..SIZE - 4 {
        let line = |classes: &[i64]| {
            classes[row * SIZE..][..SIZE].iter().map(|&c| [".", "o", "#"][c as usize]).collect::<String>()
        };
        println!("{}   {}", line(&truth), line(&found));
    }
    Ok(())
}
