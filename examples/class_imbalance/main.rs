//! Rare classes: one row in fifty is positive. Class weights, and metrics that are meaningful. `in_keras.py` beside
//! it is the same in Keras.
//!
//! ```text
//! cargo run --release --example class_imbalance
//! ```

#![allow(clippy::disallowed_methods)] // of the library, whose bits may not depend on the system's `ln`

use gradus::metric::{AUC, Precision, Recall};
use gradus::nn::initializer::Constant;
use gradus::prelude::*;

fn main() -> gradus::Result<()> {
    let y = Tensor::rand([10000, 1], 0)?.less(&Tensor::scalar(0.02f32)?)?.cast(DType::F32)?;
    let x = Tensor::randn([10000, 6], 1)? + &y;

    let positive = y.mean(&[], false)?.item()?;
    let begin = Constant::new((positive / (1.0 - positive)).ln());
    let mut model = Sequential::new()
        .add(Input::new(6))
        .add(Dense::new(16).activation(Relu))
        .add(Dense::new(1).activation(Sigmoid).bias_initializer(begin))
        .seed(42)
        .compile("adam", "binary_crossentropy", (Precision::new(), Recall::new(), AUC::new()))?;
    let settings = Fit::new()
        .epochs(20)
        .batch_size(256)
        .validation_split(0.3)
        .class_weight([(0, 0.5 / (1.0 - positive)), (1, 0.5 / positive)])
        .callback(EarlyStopping::new("val_auc").patience(3).restore_best_weights(true))
        .verbose(2);
    model.fit(&x, &y, settings)?;
    println!("{}", model.evaluate(&x.slice(0, 7000, 10000)?, &y.slice(0, 7000, 10000)?)?);
    Ok(())
}
