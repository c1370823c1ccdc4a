//! Tests of the plans that `predict` of a network runs: which networks have them, that they see what changes in between, and
//! that everything else is as layer by layer. (That they give the same bits is tested beside predictors.)

use gradus::nn::activation;
use gradus::nn::layers::{Checkpoint, Lambda};
use gradus::nn::regularizer::{L2, Regularizer};
use gradus::nn::{Item, ItemMut, Module, Network, Path};
use gradus::prelude::*;
use gradus::random::{Purpose, Stream};
use gradus::{Result, config::Configured};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

fn normal(seed: u64, shape: &[usize]) -> Tensor {
    Tensor::randn(shape, Stream::new(seed, Purpose::User(0), 0)).unwrap()
}

/// A small convolutional network with steps that a plan joins.
fn stack() -> Sequential {
    Sequential::new()
        .add(Input::new([32, 32, 3]))
        .add(Conv2D::new(16, 3).padding("same").use_bias(false).named("conv"))
        .add(BatchNormalization::new().named("norm"))
        .add(Activation::new("relu6"))
        .add(Conv2D::new(16, 3).padding("same").named("second"))
        .add(BatchNormalization::new())
        .add(Activation::new(Relu))
        .add(GlobalAveragePooling2D::new())
        .add(Dense::new(5).named("out"))
        .seed(3)
}

fn images() -> Tensor {
    normal(1, &[8, 32, 32, 3])
}

/// How many plans a network has.
fn plans(network: &Network) -> usize {
    let text = format!("{network:?}");
    text.rsplit_once("Plans(").map_or(0, |(_, rest)| rest.split(')').next().unwrap().parse().unwrap())
}

/// A clone has no plans.
fn by_layers(network: &Network, x: &Tensor) -> Tensor {
    network.clone().predict(x).unwrap()
}

fn holds(what: &str, network: &Network, x: &Tensor) {
    assert!(network.predict(x).unwrap().same_bits(&by_layers(network, x)), "{what}");
}

/// Predicts until there is a plan.
fn planned(network: &Network, x: &Tensor) {
    for _ in 0..3 {
        holds("before anything changed", network, x);
    }
    assert_eq!(plans(network), 1);
}

#[test]
fn the_second_call_with_the_same_shapes_makes_a_plan() {
    let (network, x) = (stack().build().unwrap(), images());
    let others = [x.slice(0, 0, 3).unwrap(), x.slice(0, 0, 5).unwrap()];
    for x in [&others[0], &x, &others[1], &others[0]] {
        network.predict(x).unwrap();
        assert_eq!(plans(&network), 0, "each came once in a row");
    }
    planned(&network, &x);
    assert_eq!(plans(&network.clone()), 0);
    // Batches of one call count.
    let network = stack().build().unwrap();
    let settings = gradus::nn::Predict::new().batch_size(3);
    let got = network.predict_with(&x, &settings).unwrap();
    assert_eq!(plans(&network), 1);
    assert!(got[0].same_bits(&by_layers(&network, &x)));
}

#[test]
fn plans_see_parameters_that_change() {
    let mut model = stack().compile(SGD::new(0.05), MeanSquaredError::new(), ()).unwrap();
    let (x, y) = (images(), normal(2, &[8, 5]));
    planned(&model, &x);
    let mut last = model.predict(&x).unwrap();
    let mut changed = |what: &str, model: &Model| {
        holds(what, model, &x);
        let now = model.predict(&x).unwrap();
        assert!(!now.same_bits(&last), "{what} changed nothing");
        last = now;
    };
    model.train_on_batch(&x, &y).unwrap();
    assert_eq!(plans(&model), 1);
    changed("training", &model);
    let variance = normal(4, &[16]).abs().unwrap().affine(1.0, 0.1).unwrap();
    model.set_params(&[("norm/moving_variance".into(), variance)]).unwrap();
    assert_eq!(plans(&model), 1);
    changed("set_params", &model);
    model.visit_mut(&mut |path, p| {
        if path.as_str() == "out/kernel" {
            p.set(normal(5, &[16, 5])).unwrap();
        }
    });
    assert_eq!(plans(&model), 1);
    changed("visit_mut", &model);
    // A value that lies otherwise in memory.
    model.set_params(&[("out/kernel".into(), normal(6, &[5, 16]).transpose(0, 1).unwrap())]).unwrap();
    changed("a transposed value", &model);
}

#[test]
fn what_changes_the_network_makes_it_forget_its_plans() {
    let (mut network, x) = (stack().build().unwrap(), images());
    planned(&network, &x);
    network.set_trainable("conv", false).unwrap();
    assert_eq!(plans(&network), 0);
    planned(&network, &x);
    network.set_all_trainable(true);
    assert_eq!(plans(&network), 0);
    planned(&network, &x);
    let network = network.named("other");
    assert_eq!(plans(&network), 0);

    // A layer in the place of another one.
    let mut network = network;
    planned(&network, &x);
    let before = network.predict(&x).unwrap();
    let other = stack().build().unwrap();
    let mut tanh = None;
    let softsign =
        Sequential::new().add(Input::new([32, 32, 16])).add(Activation::new("softsign")).build().unwrap();
    softsign.walk(&mut Path::default(), &mut |_, item| {
        if let Item::Layer(layer) = item {
            tanh = Some(layer.clone_node());
        }
    });
    network.walk_mut(&mut Path::default(), &mut |path, item| {
        if let (ItemMut::Slot(slot), "activation") = (item, path.as_str()) {
            *slot = tanh.take().unwrap();
        }
    });
    assert!(tanh.is_none(), "nothing was replaced");
    assert_eq!(plans(&network), 0);
    holds("a replaced layer", &network, &x);
    assert!(!network.predict(&x).unwrap().same_bits(&before));

    // Parameters in the place of others, with the same shapes.
    let mut network = other;
    planned(&network, &x);
    let mut taken = Vec::new();
    stack().seed(9).build().unwrap().visit(&mut |_, p| taken.push(p.clone()));
    let mut taken = taken.into_iter();
    network.visit_mut(&mut |_, p| *p = taken.next().unwrap());
    for _ in 0..3 {
        holds("other parameters", &network, &x);
    }
    assert_eq!(plans(&network), 1, "it was made anew");
}

static CALLS: AtomicUsize = AtomicUsize::new(0);

/// A function that counts its calls.
#[derive(Debug)]
struct Counting;
impl Configured for Counting {}
impl activation::Activation for Counting {
    fn apply(&self, x: &Tensor) -> Result<Tensor> {
        CALLS.fetch_add(1, Relaxed);
        x.relu()
    }
}
impl Regularizer for Counting {
    fn penalty(&self, x: &Tensor) -> Result<Tensor> {
        CALLS.fetch_add(1, Relaxed);
        x.square()?.sum(&[], false)
    }
}

#[derive(Clone, Debug)]
struct Own {
    inner: Part,
}
gradus::parts!(Own { inner });
impl Configured for Own {}
impl Layer for Own {
    fn forward(&self, x: &Tensor, cx: &mut gradus::nn::Cx) -> Result<Tensor> {
        CALLS.fetch_add(1, Relaxed);
        self.inner.forward(x, cx)
    }
}

#[test]
fn what_is_the_users_own_runs_in_every_call() {
    let x = images();
    let lambda = || {
        Lambda::new(|x: &Tensor| {
            CALLS.fetch_add(1, Relaxed);
            x.relu()
        })
    };
    let nested = Sequential::new().add(Input::new([32, 32, 3])).add(lambda());
    let own = || Own { inner: Conv2D::new(16, 3).into() };
    let whole = || Subclass::new([Input::new([32, 32, 3])], own());
    let conv = || Conv2D::new(16, 3);
    let begin = || Sequential::new().add(Input::new([32, 32, 3]));
    let end = |s: Sequential| s.add(BatchNormalization::new()).add(Activation::new(Relu)).build().unwrap();
    let networks = [
        ("a function", end(begin().add(lambda()).add(conv()))),
        ("in a nested network", end(begin().add(nested).add(conv()))),
        ("in a checkpoint", end(begin().add(Checkpoint::new(lambda())).add(conv()))),
        ("an activation", end(begin().add(conv().activation(Counting)))),
        ("a penalty", end(begin().add(conv().activity_regularizer(Counting)))),
        ("a layer", end(begin().add(own()))),
        ("a struct", whole().build().unwrap()),
        ("a struct inside", end(begin().add(whole().build().unwrap()))),
    ];
    for (what, network) in networks {
        let counted: Vec<usize> = (0..4)
            .map(|_| {
                CALLS.store(0, Relaxed);
                network.predict(&x).unwrap();
                CALLS.load(Relaxed)
            })
            .collect();
        assert!(
            counted[0] > 0 && counted[3] == counted[0] && counted[2] == counted[0],
            "{what}: {counted:?}"
        );
        assert_eq!(plans(&network), 0, "{what}");
    }
    // The library's own everywhere.
    let network = end(begin().add(conv().kernel_regularizer(L2::new(0.1))));
    planned(&network, &x);
}

#[test]
fn errors_gradients_and_shapes_are_those_of_layers() {
    let network = stack().build().unwrap();
    let x = images();
    planned(&network, &x);
    for wrong in [normal(1, &[8, 31, 32, 3]), normal(1, &[8, 32, 32]), x.cast(DType::I64).unwrap()] {
        let (got, want) =
            (network.predict(&wrong).unwrap_err(), network.clone().predict(&wrong).unwrap_err());
        assert_eq!(got.to_string(), want.to_string());
    }
    let tracked = x.tracked();
    let gradients = network.predict(&tracked).unwrap().sum(&[], false).unwrap().backward().unwrap();
    assert!(gradients.get(&tracked).is_some());

    // Values that do not fit.
    let words = Sequential::new()
        .add(Input::new([64]).dtype(DType::I64))
        .add(Embedding::new(7, 16))
        .add(Conv1D::new(32, 3))
        .add(BatchNormalization::new())
        .add(Activation::new(Relu))
        .build()
        .unwrap();
    let fine = Tensor::full([16, 64], 3i64).unwrap();
    planned(&words, &fine);
    let beyond = Tensor::full([16, 64], 9i64).unwrap();
    let (got, want) = (words.predict(&beyond).unwrap_err(), words.clone().predict(&beyond).unwrap_err());
    assert_eq!(got.to_string(), want.to_string());
    holds("after an error", &words, &fine);
    assert_eq!(plans(&words), 1);
}

#[test]
fn threads_predict_at_once() {
    let (network, x) = (stack().build().unwrap(), images());
    let inputs: Vec<Tensor> = (1..5).map(|n| x.slice(0, 0, 2 * n).unwrap()).collect();
    let want: Vec<Tensor> = inputs.iter().map(|x| by_layers(&network, x)).collect();
    std::thread::scope(|scope| {
        for thread in 0..16 {
            let (network, inputs, want) = (&network, &inputs, &want);
            scope.spawn(move || {
                for i in 0..12 {
                    let at = (thread + i / 3) % inputs.len();
                    assert!(network.predict(&inputs[at]).unwrap().same_bits(&want[at]));
                }
            });
        }
    });
    assert!(plans(&network) > 0);
}
