//! Two inputs, two outputs: the sum of two groups of numbers, and which group is larger. `in_keras.py` beside it is the same in Keras.
//!
//! ```text
//! cargo run --release --example two_inputs
//! ```

use gradus::metric::PerOutput;
use gradus::prelude::*;

fn main() -> gradus::Result<()> {
    let x = Tensor::randn([2000, 8], 1)?;
    let y = Tensor::randn([2000, 3], 2)?;
    let (sum_x, sum_y) = (x.sum(&[1], true)?, y.sum(&[1], true)?);
    let total = &sum_x + &sum_y;
    let larger = sum_y.greater(&sum_x)?.squeeze(-1)?.cast(DType::I64)?;

    let left = Input::new(8).named("left");
    let right = Input::new(3).named("right");
    let a = Dense::new(32).activation(Relu).on(&left)?;
    let b = Dense::new(16).activation(Relu).on(&right)?;
    let joint = Dense::new(32).activation(Relu).on(&Concatenate::new().on([&a, &b])?)?;
    let total_output = Dense::new(1).named("total").on(&joint)?;
    let larger_output = Dense::new(2).activation(Softmax).named("larger").on(&joint)?;

    let mut model = Functional::new([&left, &right], [&total_output, &larger_output])?.seed(1).compile(
        Adam::new(0.003),
        ("mse", "sparse_categorical_crossentropy"),
        PerOutput::new().output("larger", ["accuracy"]),
    )?;
    model.summary();
    let settings = Fit::new().epochs(10).validation_split(0.2).verbose(2);
    let history = model.fit(&[x, y], &[total, larger], settings)?;
    println!("validation accuracy {:.3}", history["val_larger_accuracy"][9]);
    Ok(())
}
