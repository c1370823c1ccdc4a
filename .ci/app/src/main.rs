//! 784-64-10 with Adam on the built-in digits.

use gradus::prelude::*;

fn main() -> gradus::Result<()> {
    let (train, _) = datasets::mnist::built_in(2048, 1, 0)?;
    let x = train.images.scale(1.0 / 255.0)?.reshape([-1, 784])?;
    let mut model = Sequential::new()
        .add(Input::new([784]))
        .add(Dense::new(64).activation(Relu))
        .add(Dense::new(10).activation(Softmax))
        .seed(42)
        .compile(Adam::new(0.001), SparseCategoricalCrossentropy::new(), [Accuracy::new()])?;
    let began = std::time::Instant::now();
    let history = model.fit(&x, &train.labels, Fit::new().epochs(2).batch_size(32).verbose(0))?;
    println!(
        "loss {:.4}, {:.3} s an epoch of 2,048 digits",
        history["loss"][1],
        began.elapsed().as_secs_f64() / 2.0
    );
    Ok(())
}
