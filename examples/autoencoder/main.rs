//! An autoencoder that compresses digits into 16 numbers; its encoder then carries a classifier. `in_keras.py`
//! beside it is the same in Keras.
//!
//! ```text
//! cargo run --release --example autoencoder
//! ```

use gradus::prelude::*;

fn main() -> gradus::Result<()> {
    let prototypes = Tensor::rand([10, 784], 0)?;
    let y = Tensor::randint([4000], 0, 10, 1)?;
    let x = (prototypes.gather(&y, 0)? + 0.1 * Tensor::randn([4000, 784], 2)?).clip(0.0, 1.0)?;

    let image = Input::new(784).named("image");
    let h = Dense::new(128).activation(Relu).on(&image)?;
    let code = Dense::new(16).named("code").on(&h)?;
    let h = Dense::new(128).activation(Relu).on(&code)?;
    let drawn = Dense::new(784).activation(Sigmoid).named("drawn").on(&h)?;
    let model = Functional::new(&image, &drawn)?.named("autoencoder").seed(42);
    let mut model = model.compile("adam", "mse", ())?;
    model.summary();
    model.fit(&x, &x, Fit::new().epochs(5).batch_size(64).verbose(2))?;
    println!("error {:.4}", model.evaluate(&x, &x)?["loss"]);

    let encoder = model.cut_at(["code"])?.named("encoder");
    println!("codes {:?}", encoder.predict(&x)?.dims());

    let image = Input::new(784);
    let head = Dense::new(10).activation(Softmax).on(&encoder.on(&image)?)?;
    let classifier = Functional::new(&image, &head)?;
    let mut classifier = classifier.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])?;
    classifier.set_trainable("encoder", false)?;
    let history = classifier.fit(&x, &y, Fit::new().epochs(5).validation_split(0.2).verbose(2))?;
    println!("accuracy {:.3}", history["val_accuracy"][4]);
    Ok(())
}
