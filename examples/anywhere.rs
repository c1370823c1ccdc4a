//! Trains 784-64-32-10 on the built-in digits and prints what came of it: losses, accuracy, and a hash of the weights' bytes. They are the
//! same on every processor with fused multiply-adds, and on all without, such as WebAssembly's: `.ci/wasm` runs it there.
//!
//! ```text
//! cargo run --release --example anywhere
//! GRADUS_ISA=nofma cargo run --release --example anywhere
//! ```

use gradus::kernels::simd::isa;
use gradus::prelude::*;

/// FNV-1a.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |h, &b| (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3))
}

fn main() -> gradus::Result<()> {
    let (train, test) = datasets::mnist::built_in(1024, 256, 0)?;
    let pixels = |images: &Tensor| images.scale(1.0 / 255.0)?.reshape([-1, 784]);
    let mut model = Sequential::new()
        .add(Input::new([784]))
        .add(Dense::new(64).activation(Gelu))
        .add(Dropout::new(0.1))
        .add(Dense::new(32).activation(Tanh))
        .add(Dense::new(10).activation(Softmax))
        .seed(42)
        .compile(Adam::new(0.002), SparseCategoricalCrossentropy::new(), [Accuracy::new()])?;
    let fit = Fit::new().epochs(3).batch_size(33).verbose(0);
    let history = model.fit(&pixels(&train.images)?, &train.labels, fit)?;
    let x = pixels(&test.images)?;
    let together = model.predict(&x)?;
    let alone = model.predict(&x.slice(0, 7, 8)?)?;
    assert_eq!(alone.to_vec::<f32>()?, together.slice(0, 7, 8)?.to_vec::<f32>()?, "a row alone");
    let right = together
        .argmax(-1)?
        .to_vec::<i64>()?
        .iter()
        .zip(test.labels.to_vec::<i64>()?)
        .filter(|(a, b)| *a == b)
        .count();
    eprintln!("instruction set {}", isa().name());
    println!("losses {:?}", &history["loss"]);
    println!("{right} of 256 digits, weights {:016x}", hash(&model.weight_bytes()?));
    Ok(())
}
