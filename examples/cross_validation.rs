//! What a model is worth on rows that it has not seen: digits in five folds, each with its share of every class, after a search for the
//! learning rate. Runs in seconds.
//!
//! ```text
//! cargo run --release --example cross_validation
//! ```

use gradus::prelude::*;
use gradus::validation::{
    LearningRateFinder, StratifiedKFold, TrainTestSplit, cross_validate, train_test_split,
};

fn new_model(fold: usize) -> gradus::Result<Model> {
    Sequential::new()
        .add(Input::new(784))
        .add(Dense::new(64).activation(Relu))
        .add(Dropout::new(0.2))
        .add(Dense::new(10).activation(Softmax))
        .seed(fold as u64)
        .compile(Adam::new(0.001), SparseCategoricalCrossentropy::new(), [Accuracy::new()])
}

fn main() -> gradus::Result<()> {
    let (digits, _) = datasets::mnist::built_in(2500, 1, 0)?;
    let x = digits.images.scale(1.0 / 255.0)?.reshape([-1, 784])?;
    // A fifth is kept for the very end: what is chosen by folds is too good on them.
    let split = TrainTestSplit::new().test_size(0.2).stratify(&digits.labels).seed(1);
    let ((x, y), (x_test, y_test)) = train_test_split(&x, &digits.labels, &split)?;

    let found = LearningRateFinder::new().find(&new_model(0)?, &x, &y)?;
    println!("the loss falls fastest at a rate of {:.1e}", found.suggestion()?);

    let folds = StratifiedKFold::new(5).shuffle(7);
    for rate in [0.0003, 0.003, 0.03] {
        let build = |fold| {
            let mut model = new_model(fold)?;
            model.set_learning_rate(rate)?;
            Ok(model)
        };
        let fit = || Fit::new().epochs(5).class_weight_balanced().verbose(0);
        let scores = cross_validate(build, &x, &y, &folds, fit)?;
        println!("rate {rate}\n{scores}");
    }

    let mut model = new_model(0)?;
    model.set_learning_rate(0.003)?;
    model.fit(&x, &y, Fit::new().epochs(10).verbose(0))?;
    println!("at the end: {}", model.evaluate(&x_test, &y_test)?);
    Ok(())
}
