//! Tests that a model made of another crate's types is saved and loaded, and then predicts and trains the same.
#![allow(clippy::unwrap_used)]

use acme::{
    Adagrad, Glu, Halving, L4, Lamb, Largest, Lookahead, Positive, Quartic, Ramp, SignDescent, Swish2,
    registry,
};
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

/// One layer `y = x·w + b` under half the mean squared error's gradient, worked out with plain loops.
fn slow(steps: u64, x: &[f64], y: &[f64], lamb: bool) -> (Vec<f64>, f64) {
    let (mut w, mut b) = (vec![0.25; 4], vec![0.0]);
    let mut state = [vec![if lamb { 0.0 } else { 0.1 }; 5], vec![0.0; 5]];
    for t in 1..=steps {
        let mut g = vec![0.0; 5];
        for (x, y) in x.chunks_exact(4).zip(y) {
            let error = x.iter().zip(&w).map(|(x, w)| x * w).sum::<f64>() + b[0] - y;
            x.iter().chain(&[1.0]).zip(&mut g).for_each(|(x, g)| *g += 2.0 * error * x / 20.0);
        }
        for (w, at) in [(&mut w, 0..4), (&mut b, 4..5)] {
            let g = &g[at.clone()];
            if lamb {
                let (mut r, power) = (Vec::new(), |beta: f64| (0..t).fold(1.0, |p, _| p * beta));
                for (i, g) in at.clone().zip(g) {
                    state[0][i] = 0.9 * state[0][i] + 0.1 * g;
                    state[1][i] = 0.999 * state[1][i] + 0.001 * g * g;
                    let v = state[1][i] / (1.0 - power(0.999));
                    r.push(state[0][i] / (1.0 - power(0.9)) / (v.sqrt() + 1e-6));
                }
                let norm = |v: &[f64]| v.iter().map(|v| v * v).sum::<f64>().sqrt();
                let trust = if norm(w) > 0.0 && norm(&r) > 0.0 { norm(w) / norm(&r) } else { 1.0 };
                w.iter_mut().zip(r).for_each(|(w, r)| *w -= 0.02 * trust * r);
            } else {
                for ((w, g), i) in w.iter_mut().zip(g).zip(at) {
                    state[0][i] += g * g;
                    *w -= 0.02 * g / (state[0][i].sqrt() + 1e-7);
                }
            }
        }
    }
    (w, b[0])
}

#[test]
fn optimizers_of_another_crate_train_by_their_formulas_and_come_back() {
    let (x, y) = data();
    let (x, y) = (x.cast(DType::F64).unwrap(), y.cast(DType::F64).unwrap());
    let (plain_x, plain_y) = (x.to_vec::<f64>().unwrap(), y.to_vec::<f64>().unwrap());
    let layer = || Dense::new(1).kernel_initializer(gradus::nn::initializer::Constant::new(0.25)).named("d");
    let stack = || Sequential::new().add(Input::new([4])).add(layer()).dtype(DType::F64);
    let mse = MeanSquaredError::new;
    let models = [
        (true, stack().compile(Lamb::new(0.02), mse(), ()).unwrap()),
        (false, stack().compile(Adagrad::new(0.02).tuned(), mse(), ()).unwrap()),
    ];
    for (lamb, mut model) in models {
        for _ in 0..5 {
            model.train_on_batch(&x, &y).unwrap();
        }
        let bytes = model.to_bytes().unwrap();
        let mut model = Model::from_bytes(&bytes, Load::new().registry(registry().unwrap())).unwrap();
        assert_eq!(model.to_bytes().unwrap(), bytes);
        for _ in 0..3 {
            model.train_on_batch(&x, &y).unwrap();
        }
        let (w, b) = slow(8, &plain_x, &plain_y, lamb);
        let found = model.param("d/kernel").unwrap().to_vec::<f64>().unwrap();
        let found_b = model.param("d/bias").unwrap().to_vec::<f64>().unwrap();
        for (found, expected) in found.iter().chain(&found_b).zip(w.iter().chain(&[b])) {
            assert!((found - expected).abs() < 1e-12, "{found}, by the formula {expected}");
        }
    }
}

/// An optimizer around another stands in files with it, and sees paths.
#[test]
fn an_optimizer_around_another_comes_back() {
    let (x, y) = data();
    let (x, y) = (x.cast(DType::F64).unwrap(), y.cast(DType::F64).unwrap());
    let stack =
        || Sequential::new().add(Input::new([4])).add(Dense::new(1).named("d")).dtype(DType::F64).seed(1);
    let compiled = |optimizer: Lookahead| stack().compile(optimizer, MeanSquaredError::new(), ()).unwrap();
    let mut model = compiled(Lookahead::new(SGD::new(0.05).momentum(0.5).clipnorm(0.5)).every(2).share(0.25));
    // The kernel by the inner optimizer alone, set back after every second step.
    let inner = SGD::new(0.05).momentum(0.5).clipnorm(0.5);
    let mut plain = stack().compile(inner, MeanSquaredError::new(), ()).unwrap();
    let mut slow = plain.param("d/kernel").unwrap();
    for step in 1..=7 {
        if step == 4 {
            let bytes = model.to_bytes().unwrap();
            model = Model::from_bytes(&bytes, Load::new().registry(registry().unwrap())).unwrap();
            assert_eq!(model.to_bytes().unwrap(), bytes);
        }
        model.train_on_batch(&x, &y).unwrap();
        plain.train_on_batch(&x, &y).unwrap();
        if step % 2 == 0 {
            let w = plain.param("d/kernel").unwrap();
            slow = slow.add(&w.sub(&slow).unwrap().affine(0.25, 0.0).unwrap()).unwrap();
            plain
                .set_params(&[
                    ("d/kernel".into(), slow.clone()),
                    ("d/bias".into(), plain.param("d/bias").unwrap()),
                ])
                .unwrap();
        }
        assert_eq!(model.weight_bytes().unwrap(), plain.weight_bytes().unwrap(), "step {step}");
    }
}
