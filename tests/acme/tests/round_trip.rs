//! A model made of another crate's types is saved and loaded, predicts the same and trains on the same.
#![allow(clippy::unwrap_used)]

use acme::{Glu, Halving, L4, Largest, Positive, Quartic, Ramp, SignDescent, Swish2, registry};
use gradus::io::Load;
use gradus::optim::Optimizer;
use gradus::prelude::*;
use gradus::random::{Purpose, Stream};

fn model() -> Model {
    let x = Input::new([4]).named("x");
    let glu = Glu::new(4)
        .kernel_initializer(Ramp::new(0.05))
        .kernel_regularizer(L4::new(0.01))
        .named("gated")
        .shared();
    let h = glu.on(&glu.on(&x).unwrap()).unwrap();
    let h =
        Glu::new(3).kernel_constraint(Positive::new()).activation(Swish2::new().slope(0.5)).on(&h).unwrap();
    let y = Dense::new(1).activation(Swish2::new()).on(&h).unwrap();
    Functional::new(&x, &y)
        .unwrap()
        .seed(8)
        .compile(SignDescent::new(Halving::new(0.01, 3)).clipnorm(1.0), Quartic::new(), [Largest::new()])
        .unwrap()
}

fn data() -> (Tensor, Tensor) {
    let normal = |n, shape: [usize; 2]| Tensor::randn(shape, Stream::new(n, Purpose::User(0), 0)).unwrap();
    (normal(1, [20, 4]), normal(2, [20, 1]))
}

#[test]
fn everything_of_another_crate_comes_back() {
    let (mut model, (x, y)) = (model(), data());
    model.fit(&x, &y, Fit::new().epochs(3).verbose(0)).unwrap();
    let bytes = model.to_bytes().unwrap();
    let mut again = Model::from_bytes(&bytes, Load::new().registry(registry().unwrap())).unwrap();
    assert_eq!(again.to_bytes().unwrap(), bytes);
    assert!(again.predict(&x).unwrap().same_bits(&model.predict(&x).unwrap()));
    let on = |m: &mut Model| m.fit(&x, &y, Fit::new().epochs(2).verbose(0)).unwrap()["largest"].to_vec();
    assert_eq!(on(&mut model), on(&mut again));
    assert_eq!(model.weight_bytes().unwrap(), again.weight_bytes().unwrap());
    assert_eq!(model.learning_rate(), again.learning_rate());
}

#[test]
fn a_reader_without_the_registry_says_what_is_missing() {
    let bytes = model().to_bytes().unwrap();
    let e = Model::from_bytes(&bytes, Load::new()).unwrap_err().to_string();
    assert!(e.contains("'acme>Glu'") && e.contains("none is registered"), "{e}");
    let few = gradus::config::Registry::new().layer::<Glu>().unwrap();
    let e = Model::from_bytes(&bytes, Load::new().registry(few)).unwrap_err().to_string();
    assert!(e.contains("'acme>"), "{e}");
    assert!(registry().unwrap().layer::<Glu>().is_err());
}
