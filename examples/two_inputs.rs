//! Two inputs, two outputs: a graph of layers that meet in a concatenation. It learns the sum and the larger half of two
//! groups of numbers. Runs in seconds.
//!
//! ```text
//! cargo run --release --example two_inputs
//! ```

use gradus::metric::PerOutput;
use gradus::prelude::*;
use gradus::random::{Purpose, Stream};

fn main() -> gradus::Result<()> {
    let left = Input::new([8]).named("left");
    let right = Input::new([3]).named("right");
    let a = Dense::new(32).activation(Relu).on(&left)?;
    let b = Dense::new(16).activation(Relu).on(&right)?;
    let joint = Dense::new(32).activation(Relu).on(&Concatenate::new().on([&a, &b])?)?;
    let sum = Dense::new(1).named("sum").on(&joint)?;
    let larger = Dense::new(2).activation(Softmax).named("larger").on(&joint)?;

    let metrics = PerOutput::new().output("larger", [Accuracy::new()]);
    let mut model = Functional::new([&left, &right], [&sum, &larger])?.seed(1).compile(
        Adam::new(0.003),
        (MeanSquaredError::new(), SparseCategoricalCrossentropy::new()),
        metrics,
    )?;
    model.summary();

    let rows = 2000;
    let x = Tensor::randn([rows, 8], Stream::new(1, Purpose::User(0), 0))?;
    let y = Tensor::randn([rows, 3], Stream::new(1, Purpose::User(1), 0))?;
    let (sum_x, sum_y) = (x.sum(&[1], true)?, y.sum(&[1], true)?);
    let total = sum_x.add(&sum_y)?;
    let label = sum_y.greater(&sum_x)?.squeeze(-1)?.cast(DType::I64)?;

    let data = ([x, y], [total, label]);
    let settings = Fit::new().epochs(10).validation_split(0.2).verbose(2);
    let history = model.fit(&data.0, &data.1, settings)?;
    println!("validation accuracy {:.3}", history["val_larger_accuracy"][9]);
    Ok(())
}
