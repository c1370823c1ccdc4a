//! An autoencoder: digits are squeezed into 16 numbers and drawn again from them. After training the encoder and the decoder
//! are cut out and used alone. Runs in seconds on built-in digits.
//!
//! ```text
//! cargo run --release --example autoencoder
//! ```

use gradus::prelude::*;

fn main() -> gradus::Result<()> {
    let (train, test) = datasets::mnist::built_in(4000, 500, 0)?;
    let pixels = |images: &Tensor| images.scale(1.0 / 255.0)?.reshape([-1, 784]);
    let (x_train, x_test) = (pixels(&train.images)?, pixels(&test.images)?);

    let image = Input::new([784]).named("image");
    let h = Dense::new(128).activation(Relu).on(&image)?;
    let code = Dense::new(16).named("code").on(&h)?;
    let h = Dense::new(128).activation(Relu).on(&code)?;
    let drawn = Dense::new(784).activation(Sigmoid).named("drawn").on(&h)?;
    let mut model = Functional::new(&image, &drawn)?.named("autoencoder").seed(42).compile(
        Adam::new(0.001),
        BinaryCrossentropy::new(),
        (),
    )?;
    model.summary();
    model.fit(&x_train, &x_train, Fit::new().epochs(8).batch_size(64).verbose(2))?;

    // The halves, with the trained parameters.
    let encoder = model.cut_at(["code"])?.named("encoder");
    let decoder = model.cut_from(["code"])?;
    let codes = encoder.predict(&x_test)?;
    let again = decoder.predict(&codes)?;
    assert!(again.same_bits(&model.predict(&x_test)?));
    println!("784 pixels in {} numbers", codes.dims()[1]);
    println!("mean squared error {:.4}", again.sub(&x_test)?.square()?.mean(&[], false)?.item()?);

    // A new head on the trained encoder, which keeps its parameters.
    let image = Input::new([784]);
    let mut classifier = Functional::new(
        &image,
        &Dense::new(10).activation(Softmax).on(&encoder.on(&image)?)?,
    )?
    .compile(Adam::new(0.01), SparseCategoricalCrossentropy::new(), [Accuracy::new()])?;
    classifier.set_trainable("encoder", false)?;
    classifier.fit(&x_train, &train.labels, Fit::new().epochs(5).verbose(2))?;
    println!(
        "digits told apart by their codes: {:.3}",
        classifier.evaluate(&x_test, &test.labels)?["accuracy"]
    );
    Ok(())
}
