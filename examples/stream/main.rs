//! Training on a stream that is never in memory as a whole: samples are made as they are asked for. `in_keras.py`
//! beside it is the same in Keras.
//!
//! ```text
//! cargo run --release --example stream
//! ```

#![allow(clippy::disallowed_methods)] // of the library, whose bits may not depend on the system's `sin`

use gradus::data::Sample;
use gradus::prelude::*;
use gradus::random::Stream;
use std::f64::consts::TAU;

/// Sines and sawtooths with noise, without end.
fn waves(seed: u64) -> Dataset {
    Dataset::from_stream(move |_| {
        let random = Stream::from(seed);
        Ok((0..).map(move |i: u64| {
            let draw = |k| random.uniform(100 * i + k);
            let (kind, phase, cycles) = (draw(64) < 0.5, draw(65), 2.0 + (4.0 * draw(66)).floor());
            let wave = (0..64).map(|t| {
                let phase = phase + cycles * t as f64 / 64.0;
                let clean = if kind { (TAU * phase).sin() } else { 2.0 * phase.fract() - 1.0 };
                (clean + 0.3 * random.normal(100 * i + t)) as f32
            });
            let x = Tensor::from_slice(&wave.collect::<Vec<_>>(), [64, 1])?;
            Ok(Sample::new(&x, &Tensor::scalar(f32::from(u8::from(kind)))?))
        }))
    })
}

fn main() -> gradus::Result<()> {
    let mut model = Sequential::new()
        .add(Input::new([64, 1]))
        .add(Conv1D::new(16, 7).activation(Relu))
        .add(GlobalAveragePooling1D::new())
        .add(Dense::new(1).activation(Sigmoid))
        .seed(42)
        .compile(Adam::new(0.01), "binary_crossentropy", ["accuracy"])?;
    let settings = Fit::new()
        .epochs(5)
        .steps_per_epoch(100)
        .validation_dataset(&waves(2).batch(32))
        .validation_steps(20)
        .verbose(2);
    model.fit_dataset(&waves(1).batch(32), settings)?;
    let scores = model.evaluate_dataset(&waves(3).batch(32), Some(50))?;
    println!("accuracy {:.3}", scores["accuracy"]);
    Ok(())
}
