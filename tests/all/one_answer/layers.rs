//! Why it exists: a layer may do more than its operations: what every layer of the crate gives in training, the gradient of its input, and
//! its parameters after an update. A layer without a row here fails the test.

use super::answers::{Answers, Rng, fresh};
use gradus::nn::layers::{Activation, Checkpoint, Dense, Dropout, Flatten, Input};
use gradus::nn::{Build, Cx, Init, Path};
use gradus::optim::Driver;
use gradus::prelude::{Gelu, Relu, SGD, Sequential, Silu, Softmax, Tanh};
use gradus::{DType, Tensor};

/// Every layer, as its name in files says, and what computes it.
pub(crate) const LAYERS: &[(&str, fn(&mut Answers))] = &[
    ("Input", |a| layer(a, "Input", &Input::new([3]), &[2, 3])),
    ("Dense", |a| {
        layer(a, "Dense", &Dense::new(4), &[2, 3]);
        layer(a, "Dense, no bias", &Dense::new(4).use_bias(false), &[3, 5]);
        layer(a, "Dense, three axes", &Dense::new(5).activation(Tanh), &[2, 3, 7]);
        layer(a, "Dense, softmax", &Dense::new(10).activation(Softmax), &[5, 9]);
        // Cut between threads.
        layer(a, "Dense, wide", &Dense::new(260).activation(Relu), &[97, 300]);
    }),
    ("Flatten", |a| layer(a, "Flatten", &Flatten::new(), &[2, 3, 4])),
    ("Dropout", |a| layer(a, "Dropout", &Dropout::new(0.4), &[13, 21])),
    ("Activation", |a| layer(a, "Activation", &Activation::new(Silu), &[5, 19])),
    ("Sequential", |a| {
        let stack = Sequential::new().add(Dense::new(6).activation(Gelu)).add(Dense::new(2));
        layer(a, "Sequential", &stack, &[3, 4]);
    }),
    ("Checkpoint", |a| {
        let stack =
            Sequential::new().add(Dense::new(6).activation(Tanh)).add(Dropout::new(0.3)).add(Dense::new(2));
        layer(a, "Checkpoint", &Checkpoint::new(stack), &[3, 4]);
    }),
];

pub(crate) fn all(a: &mut Answers) {
    LAYERS.iter().for_each(|(_, f)| f(a));
}

fn layer(a: &mut Answers, name: &str, description: &dyn Build, dims: &[usize]) {
    let x = fresh(&mut Rng::of(name), dims, DType::F32, Rng::plain);
    let mut built = description.build(x.spec(), &mut Init::new(7, DType::F32)).unwrap();
    let name = format!("layer {name}");
    a.add(&format!("{name}, inference"), built.forward(&x, &mut Cx::infer()));
    let leaf = x.tracked();
    let y = built.forward(&leaf, &mut Cx::train(11, 3)).unwrap();
    a.add(&name, Ok(y.detach()));
    let weights = fresh(&mut Rng::of("weights"), y.dims(), DType::F32, Rng::plain);
    let gradients = y.mul(&weights).unwrap().sum(&[], false).unwrap().backward().unwrap();
    a.add(&format!("{name}, gradient"), Ok(gradients.get(&leaf).unwrap().clone()));
    // A step of plain descent at rate 1 shows the gradients of the parameters.
    Driver::new(SGD::new(1.0)).step(&mut built, gradients, false).unwrap();
    let mut after: Vec<Tensor> = Vec::new();
    built.visit(&mut Path::default(), &mut |_, p| after.push(p.value().clone()));
    after.into_iter().for_each(|p| a.add(&format!("{name}, parameters"), Ok(p)));
}
