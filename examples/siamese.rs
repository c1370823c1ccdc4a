//! A siamese network: one encoder, called on two pictures, tells whether they show the same digit (Bromley et al. 1993). Both
//! calls share one set of parameters. Runs in seconds on built-in digits.
//!
//! ```text
//! cargo run --release --example siamese
//! ```

use gradus::nn::{Cx, Layer};
use gradus::prelude::*;
use gradus::random::{Purpose, Stream};

/// The distance between the two halves of a row, element by element.
#[derive(Clone, Debug)]
struct Distance;
gradus::parts!(Distance {});
impl gradus::config::Configured for Distance {}
impl Layer for Distance {
    fn forward(&self, x: &Tensor, _: &mut Cx) -> gradus::Result<Tensor> {
        let halves = x.chunk(2, -1)?;
        halves[0].sub(&halves[1])?.abs()
    }
}

/// Pairs of rows: every other pair shows the same digit twice.
fn pairs(x: &Tensor, labels: &Tensor, count: usize, seed: u64) -> gradus::Result<([Tensor; 2], Tensor)> {
    let labels = labels.to_vec::<i64>()?;
    let (stream, rows) = (Stream::new(seed, Purpose::User(0), 0), labels.len() as u64);
    let (mut left, mut right, mut same) = (Vec::new(), Vec::new(), Vec::new());
    for pair in 0..count as u64 {
        let first = stream.below(2 * pair, rows);
        let mut second = stream.below(2 * pair + 1, rows);
        let wanted = pair % 2 == 0;
        while (labels[first as usize] == labels[second as usize]) != wanted {
            second = (second + 1) % rows;
        }
        left.push(first as i64);
        right.push(second as i64);
        same.push(f32::from(u8::from(wanted)));
    }
    let rows = |index: &[i64]| x.gather(&Tensor::from_slice(index, [count])?, 0);
    Ok(([rows(&left)?, rows(&right)?], Tensor::from_slice(&same, [count, 1])?))
}

fn main() -> gradus::Result<()> {
    let (train, test) = datasets::mnist::built_in(2000, 500, 0)?;
    let pixels = |images: &Tensor| images.scale(1.0 / 255.0)?.reshape([-1, 784]);
    let (x_train, y_train) = pairs(&pixels(&train.images)?, &train.labels, 6000, 1)?;
    let (x_test, y_test) = pairs(&pixels(&test.images)?, &test.labels, 1000, 2)?;

    let encoder = Sequential::new()
        .named("encoder")
        .add(Input::new([784]))
        .add(Dense::new(128).activation(Relu))
        .add(Dense::new(32));
    let (left, right) = (Input::new([784]).named("left"), Input::new([784]).named("right"));
    // Two calls of one network.
    let both = Concatenate::new().on([&encoder.on(&left)?, &encoder.on(&right)?])?;
    let same = Dense::new(1).activation(Sigmoid).on(&Distance.on(&both)?)?;
    let mut model = Functional::new([&left, &right], &same)?.seed(3).compile(
        Adam::new(0.001),
        BinaryCrossentropy::new(),
        [gradus::metric::BinaryAccuracy::new()],
    )?;
    model.summary();
    model.fit(&x_train, &y_train, Fit::new().epochs(8).batch_size(64).verbose(2))?;
    println!("test accuracy {:.3}", model.evaluate(&x_test, &y_test)?["binary_accuracy"]);
    Ok(())
}
