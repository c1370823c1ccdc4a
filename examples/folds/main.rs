//! Cross-validation with five folds, by hand: each row is validated once, by a model that never saw it.
//! `in_keras.py` beside it is the same in Keras.
//!
//! ```text
//! cargo run --release --example folds
//! ```

use gradus::prelude::*;

fn new_model(seed: u64) -> gradus::Result<Model> {
    Sequential::new()
        .add(Input::new(5))
        .add(Dense::new(16).activation(Tanh))
        .add(Dense::new(1))
        .seed(seed)
        .compile(Adam::new(0.01), "mse", ["mae"])
}

fn main() -> gradus::Result<()> {
    let x = Tensor::randn([500, 5], 0)?;
    let y = x.slice(1, 0, 1)?.sin()? + x.slice(1, 1, 2)? * x.slice(1, 2, 3)?;

    let order = Tensor::permutation(500, 1)?;
    let folds = order.chunk(5, 0)?;
    let mut scores = Vec::new();
    for (i, validation) in folds.iter().enumerate() {
        let others: Vec<&Tensor> =
            folds.iter().enumerate().filter(|(j, _)| *j != i).map(|(_, fold)| fold).collect();
        let training = Tensor::concat(&others, 0)?;
        let rows = |of: &Tensor, fold: &Tensor| of.gather(fold, 0);
        let mut model = new_model(i as u64)?;
        model.fit(&rows(&x, &training)?, &rows(&y, &training)?, Fit::new().epochs(30).verbose(0))?;
        let mae = model.evaluate(&rows(&x, validation)?, &rows(&y, validation)?)?["mae"];
        println!("fold {i}: mean absolute error {mae:.3}");
        scores.push(mae);
    }
    let scores = Tensor::from_slice(&scores, [5])?;
    println!("{:.3} +- {:.3}", scores.mean(&[], false)?.item()?, scores.std(&[], false, 0)?.item()?);
    Ok(())
}
