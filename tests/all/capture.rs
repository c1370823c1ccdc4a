//! Tests that a captured graph gives the bits of what it was captured from: forward and backward, of every
//! operation (called from the gradient checks) and of every layer, in inference and in training, also after its
//! passes and with every operation created anew from its name and attributes.

use crate::one_answer::answers::{Answers, Visitor};
use crate::one_answer::{kernels, layers};
use gradus::graph::{Feed, Graph, Output, Source};
use gradus::nn::{Cx, Module, Network, Session};
use gradus::prelude::*;
use gradus::random::{Purpose, Stream};
use gradus::{Error, Result, Spec};
use std::collections::BTreeMap;

fn specs(tensors: &[Tensor]) -> Vec<Spec> {
    tensors.iter().map(Tensor::spec).collect()
}

/// Weights that let no element's error hide.
fn weighted(t: &Tensor) -> Result<Tensor> {
    let n = t.elements();
    let weights: Vec<f64> = (0..n).map(|i| 0.5 + ((i + 1) as f64 * 0.618_034).fract()).collect();
    t.mul(&Tensor::from_slice(&weights, *t.shape())?.cast(t.dtype())?)?.sum(&[], false)
}

/// The result of `f` and the gradients of its weighted sum, one for each input that has one.
fn forward_and_backward(inputs: &[Tensor], f: &dyn Fn(&[Tensor]) -> Result<Tensor>) -> Result<Vec<Tensor>> {
    let leaves: Vec<Tensor> = inputs.iter().map(Tensor::tracked).collect();
    let y = f(&leaves)?;
    let sum = weighted(&y)?;
    let mut all = vec![y.detach()];
    if sum.is_tracked() {
        let gradients = sum.backward()?;
        all.extend(leaves.iter().filter_map(|leaf| gradients.get(leaf)).cloned());
    }
    Ok(all)
}

fn assert_same(name: &str, what: &str, got: &[Tensor], want: &[Tensor]) {
    assert_eq!(got.len(), want.len(), "{name}, {what}: another number of results");
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        assert!(got.same_bits(want), "{name}, {what}: result {i} is {got}, not {want}");
    }
}

/// Compositions that read values, and so have no graph.
const READ_VALUES: &[&str] = &["boolean_mask", "index by a mask", "argwhere", "unique"];

/// Runs `f` and its gradients eagerly and as a graph.
pub(crate) fn holds(name: &str, inputs: &[Tensor], f: &dyn Fn(&[Tensor]) -> Result<Tensor>) {
    let eager = forward_and_backward(inputs, f).unwrap_or_else(|e| panic!("{name}: {e}"));
    let graph = match Graph::capture(&specs(inputs), |x| forward_and_backward(x, f)) {
        Ok(graph) => graph,
        Err(Error::Abstract { .. }) if READ_VALUES.iter().any(|r| name.contains(r)) => return,
        Err(e) => panic!("{name}: {e}"),
    };
    let feed = Feed::new(inputs);
    let run = |what: &str, graph: &Graph| {
        let got = graph.run(&feed).unwrap_or_else(|e| panic!("{name}, {what}: {e}\n{graph}"));
        assert_same(name, what, &got, &eager);
    };
    run("as captured", &graph);
    run("without dead code", &graph.without_dead_code());
    run("without duplicates", &graph.without_duplicates());
    if !name.contains("own") && !name.contains("checkpoint") && !name.contains("custom") {
        run("read back", &graph.read_back().unwrap_or_else(|e| panic!("{name}: {e}\n{graph}")));
    }
    let both = graph.without_duplicates().without_dead_code();
    run("without duplicates and dead code", &both);
    assert!(both.steps().len() <= graph.steps().len());
}

/// Captures whatever is seen.
#[derive(Default)]
struct Capture {
    seen: usize,
}

impl Visitor for Capture {
    fn function(&mut self, name: &str, inputs: &[Tensor], f: &dyn Fn(&[Tensor]) -> Result<Tensor>) {
        // What is refused is refused; what is large only takes longer.
        if inputs.iter().all(|t| t.elements() <= 20_000) && forward_and_backward(inputs, f).is_ok() {
            holds(name, inputs, f);
            self.seen += 1;
        }
    }
    fn network(&mut self, name: &str, network: Network, inputs: &[Tensor]) {
        if inputs.iter().all(|t| t.elements() <= 20_000) {
            layer_holds(name, &network, inputs);
            step_holds(name, network, inputs);
            self.seen += 1;
        }
    }
}

/// Every operation, forwards and backwards, over the shapes, strides and dtypes of the test of one answer.
#[test]
fn every_kernel_is_captured() {
    let mut all = Answers::default();
    all.visitor = Some(Box::new(Capture::default()));
    kernels::all(&mut all);
}

/// Every layer in a network: inference, training at two steps, and a whole training step.
#[test]
fn every_layer_is_captured() {
    let mut all = Answers::default();
    all.visitor = Some(Box::new(Capture::default()));
    layers::all(&mut all);
}

/// A forward pass in inference and in training.
pub(crate) fn layer_holds(name: &str, net: &Network, x: &[Tensor]) {
    let graph = Graph::of_network(net, &specs(x)).unwrap_or_else(|e| panic!("{name}: {e}"));
    let want = net.forward_all(x, &mut Cx::infer()).unwrap();
    let predicted: Vec<Tensor> = net.predict_all(x).unwrap().to_vec();
    let feed = Feed::new(x).parameters(net);
    for (what, graph) in [
        ("inference", graph.clone()),
        ("inference, passes", graph.without_duplicates().without_dead_code()),
        ("inference, read back", graph.read_back().unwrap_or(graph)),
    ] {
        let got = graph.run(&feed).unwrap_or_else(|e| panic!("{name}, {what}: {e}\n{graph}"));
        assert_same(name, what, &got[..want.len()], &want);
        assert_same(name, what, &got[..want.len()], &predicted);
    }

    // Operations record what they mean: for another batch they are the same ones, to the last attribute.
    let doubled: Vec<Tensor> = x.iter().map(|t| Tensor::concat(&[t, t], 0).unwrap()).collect();
    for of in [Graph::of_network, Graph::of_training] {
        let say = |x: &[Tensor]| {
            let graph = of(net, &specs(x)).unwrap();
            let steps = graph.steps().iter().map(|s| format!("{}{}{:?}", s.name(), s.attrs(), s.inputs()));
            let constants = graph.sources().iter().map(|(value, source)| match source {
                Source::Constant(tensor) => format!("{value} {tensor:?}"),
                other => format!("{value} {other:?}"),
            });
            steps.chain(constants).collect::<Vec<_>>()
        };
        assert_eq!(say(x), say(&doubled), "{name}: sizes are recorded");
    }

    let graph = Graph::of_training(net, &specs(x)).unwrap_or_else(|e| panic!("{name}: {e}"));
    let mut masks = Vec::new();
    for step in [0, 7] {
        let mut cx = Cx::train(5, step);
        let want: Vec<Tensor> = net.forward_all(x, &mut cx).unwrap().iter().map(Tensor::detach).collect();
        let got = graph.run(&feed.clone().at(5, step)).unwrap();
        assert_same(name, "training", &got[..want.len()], &want);
        masks.push(got[0].clone());
    }
    assert_eq!(graph.is_random(), !masks[0].same_bits(&masks[1]), "{name}: steps draw other numbers");
    if graph.is_random() {
        let e = graph.run(&feed).unwrap_err().to_string();
        assert!(e.contains("Feed::at"), "{name}: {e}");
    }
}

/// A whole training step: loss, gradients, what moves.
pub(crate) fn step_holds(name: &str, net: Network, x: &[Tensor]) {
    let mut learns = false;
    net.visit(&mut |_, p| learns |= p.trainable());
    if !learns {
        return;
    }
    let y = net.forward_all(x, &mut Cx::infer()).unwrap();
    let y: Vec<Tensor> = y.iter().map(|t| t.affine(0.5, 0.1).unwrap()).collect();
    // A step of plain descent at rate 1 takes the gradients off the parameters.
    let mut model =
        net.compile(SGD::new(1.0), MeanSquaredError::new(), ()).unwrap_or_else(|e| panic!("{name}: {e}"));
    let graph = Graph::of_step(&model, &specs(x), &specs(&y), None).unwrap_or_else(|e| panic!("{name}: {e}"));
    let all: Vec<Tensor> = x.iter().chain(&y).cloned().collect();
    for _ in 0..2 {
        let feed = Feed::new(&all[..]).next_step_of(&model);
        let got = graph.run(&feed).unwrap_or_else(|e| panic!("{name}: {e}"));
        let mut before = BTreeMap::new();
        model.visit(&mut |path, p| {
            before.insert(path.to_string(), p.value().clone());
        });
        let logs = model.train_on_batch(x, &y[..]).unwrap();
        let loss = graph.position(&Output::Loss).unwrap();
        assert_eq!(got[loss].item().unwrap(), logs["loss"], "{name}: loss");
        let mut compared = 0;
        model.visit(&mut |path, p| {
            let gradient = graph.position(&Output::Gradient(path.to_string()));
            let update = graph.position(&Output::Update(path.to_string()));
            let want = match (gradient, update) {
                (Some(at), _) => before[path.as_str()].sub(&got[at]).unwrap(),
                (None, Some(at)) => got[at].clone(),
                (None, None) => before[path.as_str()].clone(),
            };
            assert!(p.value().same_bits(&want), "{name}: {path} after the step");
            compared += usize::from(gradient.is_some());
        });
        assert!(compared > 0, "{name}: nothing was compared");
    }
    let passed = graph.without_duplicates().without_dead_code();
    let feed = Feed::new(&all[..]).next_step_of(&model);
    assert_same(name, "passes", &passed.run(&feed).unwrap(), &graph.run(&feed).unwrap());
}

/// Every loss, with weights, a mask and each reduction: its value and the gradient of the predictions.
#[test]
fn every_loss_is_captured() {
    use gradus::config::Dyn;
    use gradus::loss::*;
    let probabilities =
        Tensor::randn([6, 4], Stream::new(1, Purpose::User(0), 0)).unwrap().softmax(-1).unwrap();
    let one_hot = Tensor::from_slice(&[0i64, 3, 1, 1, 2, 0], [6]).unwrap().one_hot(4, DType::F32).unwrap();
    let labels = one_hot.argmax(-1).unwrap();
    let floats = probabilities.flip(&[0]).unwrap();
    let all: Vec<(Dyn<dyn Loss>, &Tensor)> = vec![
        (SparseCategoricalCrossentropy::new().into(), &labels),
        (SparseCategoricalCrossentropy::new().from_logits(true).into(), &labels),
        (CategoricalCrossentropy::new().label_smoothing(0.1).into(), &one_hot),
        (BinaryCrossentropy::new().into(), &one_hot),
        (BinaryCrossentropy::new().from_logits(true).label_smoothing(0.1).into(), &one_hot),
        (CategoricalFocalCrossentropy::new().into(), &one_hot),
        (BinaryFocalCrossentropy::new().into(), &one_hot),
        (KLDivergence::new().into(), &floats),
        (MeanSquaredError::new().into(), &floats),
        (MeanAbsoluteError::new().into(), &floats),
        (MeanAbsolutePercentageError::new().into(), &floats),
        (MeanSquaredLogarithmicError::new().into(), &floats),
        (Huber::new().into(), &floats),
        (LogCosh::new().into(), &floats),
        (Poisson::new().into(), &floats),
        (CosineSimilarity::new().into(), &floats),
        (Hinge::new().into(), &one_hot),
        (SquaredHinge::new().into(), &floats),
        (CategoricalHinge::new().into(), &one_hot),
        (Dice::new().into(), &one_hot),
        (Tversky::new().axis([-1]).into(), &one_hot),
        (Circle::new().gamma(4.0).into(), &labels),
        (CategoricalGeneralizedCrossEntropy::new().into(), &labels),
    ];
    // CTC reads sequences of labels.
    let frames = Tensor::randn([2, 5, 4], Stream::new(2, Purpose::User(0), 0)).unwrap();
    let sequences = Tensor::from_slice(&[1i64, 2, 3, 3, 0, 0], [2, 3]).unwrap();
    holds("CTC", &[frames, sequences], &|t: &[Tensor]| CTC::new().value(&t[1], &t[0], None));
    for name in NAMES.iter().filter(|name| !["Tuned", "CTC"].contains(name)) {
        assert!(all.iter().any(|(loss, _)| loss.class_name() == *name), "{name} has no row here");
    }
    let weights = Tensor::from_slice(&[1.0f32, 0.5, 0.0, 2.0, 1.0, 3.0], [6]).unwrap();
    for (loss, y) in &all {
        let name = loss.class_name();
        let value = |t: &[Tensor]| loss.value(&t[1], &t[0], Some(&t[2]));
        holds(name, &[probabilities.clone(), (*y).clone(), weights.clone()], &value);
        for reduction in [Reduction::SumOverBatchSize, Reduction::Sum, Reduction::MeanWithSampleWeight] {
            let reduced = |t: &[Tensor]| {
                let losses = loss.call(&t[1], &t[0])?;
                let mask = t[2].greater(&t[2].new_full([], 0.6)?)?;
                reduction.apply(&losses, Some(&t[2]), Some(&mask))
            };
            holds(name, &[probabilities.clone(), (*y).clone(), weights.clone()], &reduced);
        }
    }
}

/// What a rule of the user's own is in a graph: a step that holds a closure, behind what `forward` computed.
#[test]
fn rules_of_the_users_own_run_again() {
    let x = Tensor::from_slice(&[0.4, -1.3, 2.2], [3]).unwrap();
    let f = |x: &[Tensor]| {
        let rounded = gradus::autograd::custom_gradient(
            &[&x[0]],
            |x| x[0].round(),
            |step| Ok([Some(step.grad(0)?.affine(3.0, 0.0)?)].into_iter().collect()),
        )?;
        let kept = gradus::autograd::checkpoint(&[&x[0]], |x| x[0].sin()?.square())?;
        rounded.square()?.add(&kept)
    };
    holds("custom_gradient and checkpoint", &[x], &f);
}

/// Run on tracked tensors a graph is differentiated like what it was captured from, rules of the user's own included.
#[test]
fn a_graph_on_tracked_tensors_is_differentiated() {
    let x = Tensor::from_slice(&[0.4, -1.3, 2.2], [3]).unwrap();
    let custom = |x: &Tensor| {
        let rule = |step: &gradus::autograd::Step<'_>| {
            Ok([Some(step.grad(0)?.affine(3.0, 0.0)?)].into_iter().collect())
        };
        gradus::autograd::custom_gradient(&[x], |x| x[0].round(), rule)
    };
    let check = |x: &Tensor| gradus::autograd::checkpoint(&[x], |x| x[0].sin()?.square());
    let plain = |x: &Tensor| x.square()?.exp()?.softmax(-1)?.square();
    let gradient =
        |y: Tensor, leaf: &Tensor| weighted(&y).unwrap().backward().unwrap().get(leaf).unwrap().clone();
    for f in [&custom as &dyn Fn(&Tensor) -> Result<Tensor>, &check, &plain] {
        let leaf = x.tracked();
        let want = gradient(f(&leaf).unwrap(), &leaf);
        // Nothing was tracked when it was captured.
        let graph = Graph::capture(&[x.spec()], |x| Ok(vec![f(&x[0])?])).unwrap();
        let got = gradient(graph.run(&Feed::new(&leaf)).unwrap().swap_remove(0), &leaf);
        assert!(got.same_bits(&want), "{got} {want}\n{graph}");
    }
    // What is computed again must not lean on a trace that has ended.
    let graph = Graph::capture(&[x.spec(), x.spec()], |x| {
        let outside = x[1].clone();
        Ok(vec![gradus::autograd::checkpoint(&[&x[0]], move |a| a[0].mul(&outside)?.sin())?])
    });
    let y = graph.unwrap().run(&Feed::new(&[x.tracked(), x.clone()][..])).unwrap().swap_remove(0);
    let e = weighted(&y).unwrap().backward().unwrap_err().to_string();
    assert!(e.contains("make it an input"), "{e}");
}

/// A checkpoint around what draws, in a graph that is differentiated at another step: the mask of that step.
#[test]
fn a_checkpoint_in_a_graph_draws_again_what_it_drew() {
    let stack =
        Sequential::new().add(Dense::new(3).named("a")).add(Dropout::new(0.5)).add(Dense::new(3).named("b"));
    let net = Sequential::new()
        .add(Input::new([3]))
        .add(gradus::nn::layers::Checkpoint::new(stack))
        .seed(1)
        .build()
        .unwrap();
    let x = Tensor::randn([4, 3], Stream::new(1, Purpose::User(0), 0)).unwrap();
    let graph = Graph::of_training(&net, &[x.spec()]).unwrap();
    let (mut feed, mut leaves) = (Feed::new(&x), BTreeMap::new());
    net.visit(&mut |path, p| {
        leaves.insert(path.to_string(), p.value().tracked());
    });
    for (path, leaf) in &leaves {
        feed = feed.parameter(path, leaf.clone());
    }
    let y = graph.run(&feed.at(5, 7)).unwrap().swap_remove(0);
    let got = weighted(&y).unwrap().backward().unwrap();
    let want = weighted(&net.forward(&x, &mut Cx::train(5, 7)).unwrap()).unwrap().backward().unwrap();
    net.visit(&mut |path, p| {
        let want = p.gradient(&want).unwrap().dense().unwrap();
        assert!(got.get(&leaves[path.as_str()]).unwrap().same_bits(&want), "{path}");
    });
}

/// Tracked tensors that have values are constants of a graph, and gradients reach them.
#[test]
fn tracked_constants_have_gradients_in_a_graph() {
    let (x, w) =
        (Tensor::from_slice(&[0.4, -1.3], [2]).unwrap(), Tensor::from_slice(&[2.0, 0.5], [2]).unwrap());
    let loss = |x: &Tensor, leaf: &Tensor| x.mul(&leaf.square()?)?.sin()?.sum(&[], false);
    for by_grad in [false, true] {
        let f = |x: &[Tensor]| {
            let leaf = w.tracked();
            let y = loss(&x[0], &leaf)?;
            match by_grad {
                true => gradus::autograd::grad(&y, &[&leaf]),
                false => Ok(vec![y.backward()?.get(&leaf).unwrap().clone()]),
            }
        };
        let want = f(std::slice::from_ref(&x)).unwrap().swap_remove(0);
        let got = Graph::capture(&[x.spec()], f).unwrap().run(&Feed::new(&x)).unwrap().swap_remove(0);
        assert!(got.same_bits(&want.detach()), "{got} {want}");
    }
}

gradus::op! {
    struct Named("constant", 2) {}
}
gradus::op! {
    struct Same("softmax", 2) {}
}
macro_rules! first_plus_ten {
    ($($type:ident),*) => {$(
        impl gradus::autograd::Op for $type {
            fn infer(&self, inputs: &[Spec]) -> Result<gradus::autograd::Specs> {
                Ok(gradus::autograd::one(inputs[0].shape, inputs[0].dtype))
            }
            fn eval(&self, inputs: &[&gradus::tensor::Array], outputs: &mut [gradus::tensor::Array]) -> Result<()> {
                let (a, b) = (inputs[0].contiguous()?, inputs[1].contiguous()?);
                let both = a.slice::<f64>()?.iter().zip(b.slice::<f64>()?);
                outputs[0].slice_mut::<f64>()?.iter_mut().zip(both).for_each(|(o, (a, b))| *o = a + 10.0 * b);
                Ok(())
            }
            fn vjp(&self, step: &gradus::autograd::Step<'_>) -> Result<gradus::autograd::Grads> {
                Ok([Some(step.grad(0)?), Some(step.grad(0)?.affine(10.0, 0.0)?)].into_iter().collect())
            }
        }
    )*};
}
first_plus_ten!(Named, Same);

/// An operation is known by its type, whatever its name.
#[test]
fn operations_of_the_users_own_may_have_any_name() {
    let w = Tensor::from_slice(&[2.0, 0.5], [2]).unwrap();
    let x = Tensor::from_slice(&[0.4, -1.3], [2]).unwrap();
    let by_name = |x: &[Tensor]| gradus::autograd::apply1(Named {}, &[&w, &x[0]]);
    holds("a user's own operation", std::slice::from_ref(&x), &by_name);
    let like_ours = |x: &[Tensor]| gradus::autograd::apply1(Same {}, &[&w, &x[0]]);
    holds("a user's own operation", std::slice::from_ref(&x), &like_ours);
    let graph = Graph::capture(&[x.spec()], |x| Ok(vec![like_ours(x)?])).unwrap();
    let e = graph.read_back().unwrap_err().to_string();
    assert!(e.contains("another one of its name, 'softmax'"), "{e}");
    // An operation that is held somewhere runs as it is.
    let op = graph.steps()[0].op().clone();
    assert!(
        gradus::autograd::apply1(op, &[&w, &x])
            .unwrap()
            .same_bits(&like_ours(std::slice::from_ref(&x)).unwrap())
    );
    let e = gradus::autograd::apply1(Same {}, &[&w]).unwrap_err().to_string();
    assert!(e.contains("softmax: expected 2 inputs, got 1"), "{e}");
}

gradus::op! {
    /// Uniform noise from a stream of the user's layer.
    struct Noise("my_noise", 1) { stream: Stream }
}
impl gradus::autograd::Op for Noise {
    fn infer(&self, inputs: &[Spec]) -> Result<gradus::autograd::Specs> {
        Ok(gradus::autograd::one(inputs[0].shape, inputs[0].dtype))
    }
    fn eval(&self, _: &[&gradus::tensor::Array], outputs: &mut [gradus::tensor::Array]) -> Result<()> {
        let out = outputs[0].slice_mut::<f32>()?.iter_mut().enumerate();
        out.for_each(|(i, o)| *o = self.stream.uniform(i as u64) as f32);
        Ok(())
    }
    fn vjp(&self, _: &gradus::autograd::Step<'_>) -> Result<gradus::autograd::Grads> {
        Ok([None].into_iter().collect())
    }
}

gradus::settings! {
    /// Draws in a way of its own.
    pub layer Draws as "test>Draws" {
        new(how: usize);
    }
}
impl gradus::nn::Build for Draws {
    fn build(
        &self,
        _: &gradus::nn::InputSpecs<'_>,
        init: &mut gradus::nn::Init,
    ) -> Result<Box<dyn gradus::nn::Node>> {
        let ones = gradus::nn::initializer::Ones.into();
        Ok(Box::new(DrawsNode { key: init.key(), w: init.param([6], &ones)?, how: self.how }))
    }
}
#[derive(Clone, Debug)]
struct DrawsNode {
    key: gradus::nn::Key,
    w: gradus::nn::Param,
    how: usize,
}
gradus::parts!(DrawsNode { key, w });
impl gradus::nn::Layer for DrawsNode {
    fn forward(&self, x: &Tensor, cx: &mut Cx) -> Result<Tensor> {
        let w = cx.param(&self.w)?;
        let stream = cx.stream(&self.key);
        match self.how {
            0 => x.mul(&w)?.add(&gradus::autograd::apply1(Noise { stream }, &[x])?),
            1 => x.gather(&Tensor::permutation(6, stream)?, 1),
            2 => x.add(&Tensor::sample(
                [6],
                gradus::random::Distribution::Exponential { rate: 1.0 },
                DType::F32,
                stream,
            )?),
            3 => w.dropout(0.5, stream)?.mul(x),
            // What cannot be known when the network is captured.
            4 => x.affine(stream.uniform(0), 0.0),
            5 => x.gather(&Tensor::from_slice(&stream.permutation(6)?, [6])?, 1),
            _ => x.mul(self.w.value()),
        }
    }
}

#[test]
fn draws_of_a_users_own_are_those_of_the_step_or_refused() {
    let x = Tensor::randn([2, 6], Stream::new(1, Purpose::User(0), 0)).unwrap();
    for how in 0..7 {
        let net = Sequential::new().add(Input::new([6])).add(Draws::new(how)).build().unwrap();
        let graph = Graph::of_training(&net, &[x.spec()]);
        if how < 4 {
            let graph = graph.unwrap();
            for (seed, step) in [(0, 0), (5, 7)] {
                let want = net.forward(&x, &mut Cx::train(seed, step)).unwrap().detach();
                let got = graph.run(&Feed::new(&x).parameters(&net).at(seed, step)).unwrap();
                assert!(got[0].same_bits(&want), "{how} at {step}");
            }
            assert!(graph.is_random());
        } else {
            let e = graph.unwrap_err().to_string();
            let part =
                if how < 6 { "numbers of a stream, read in forward" } else { "the bare value of 'draws/w'" };
            assert!(e.starts_with("layer 'draws': graph: ") && e.contains(part), "{e}");
        }
    }
    // Two steps in one capture stay two.
    let net = Sequential::new().add(Input::new([6])).add(Dropout::new(0.5)).build().unwrap();
    let f = |x: &[Tensor]| {
        let (a, b) = (net.forward(&x[0], &mut Cx::train(1, 0))?, net.forward(&x[0], &mut Cx::train(1, 1))?);
        a.affine(10.0, 0.0)?.add(&b)
    };
    holds("two steps of dropout", &[x], &f);
}

/// A training step of one's own: of two networks, with gradients as results.
#[test]
fn a_step_of_ones_own_is_captured() {
    let net =
        |units| Sequential::new().add(Input::new([3])).add(Dense::new(units).named("d")).build().unwrap();
    let (a, b) = (net(3), net(2));
    let x = Tensor::randn([4, 3], Stream::new(1, Purpose::User(0), 0)).unwrap();
    let step = |x: &Tensor, cx: &mut Cx| -> Result<Vec<Tensor>> {
        let loss = b.forward(&a.forward(x, cx)?.tanh()?, cx)?.square()?.mean(&[], false)?;
        let gradients = loss.clone().backward()?;
        let mut results = vec![loss.detach()];
        for net in [&a, &b] {
            net.visit(&mut |_, p| results.push(p.gradient(&gradients).unwrap().dense().unwrap()));
        }
        Ok(results)
    };
    let graph =
        Graph::capture_pass(&[("a", &a), ("b", &b)], true, &[x.spec()], |x, cx| step(&x[0], cx)).unwrap();
    let got = graph.run(&Feed::new(&x).parameters_of("a", &a).parameters_of("b", &b)).unwrap();
    assert_same("own step", "capture", &got, &step(&x, &mut Cx::train(0, 0)).unwrap());
    assert!(graph.to_string().contains("parameter b/d/kernel"), "{graph}");
}

#[test]
fn detach_stops_gradients_of_a_graph_that_is_run_on_tracked_tensors() {
    let x = Tensor::from_slice(&[0.4, -1.3, 2.2], [3]).unwrap();
    let f = |x: &Tensor| x.detach().mul(x)?.sum(&[], false);
    let graph = Graph::capture(&[x.spec()], |x| Ok(vec![f(&x[0])?])).unwrap();
    let leaf = x.tracked();
    let y = graph.run(&Feed::new(&leaf)).unwrap().swap_remove(0);
    let gradients = y.backward().unwrap();
    assert!(gradients.get(&leaf).unwrap().same_bits(&x), "only one of the two factors is differentiated");
}

#[test]
fn a_streams_key_is_recorded_not_what_it_draws() {
    let stream = Stream::new(3, Purpose::User(1), 4);
    let spec = Tensor::zeros([8]).unwrap().spec();
    // A stream that somebody chose stays as it is.
    let graph = Graph::capture(&[spec], |x| Ok(vec![x[0].dropout(0.5, stream)?])).unwrap();
    assert!(!graph.is_random());
    let x = Tensor::ones([8]).unwrap();
    let want = x.dropout(0.5, stream).unwrap();
    assert!(graph.run(&Feed::new(&x)).unwrap()[0].same_bits(&want));
    assert!(graph.read_back().unwrap().run(&Feed::new(&x)).unwrap()[0].same_bits(&want));
}

/// Rate and stream of attention's dropout are one attribute: there is none without the other.
#[test]
fn the_dropout_of_attention_is_one_attribute() {
    use gradus::autograd::{Attr, Attrs};
    let x = Input::new([5, 6]).named("x");
    let look = MultiHeadAttention::new(2, 3).dropout(0.25).named("look");
    let net = Functional::new(&x, &look.on([&x, &x]).unwrap()).unwrap().seed(7).build().unwrap();
    let value = Tensor::randn([2, 5, 6], 3).unwrap();
    let graph = Graph::of_training(&net, &[value.spec()]).unwrap();
    let text = graph.to_string();
    assert!(text.contains(", dropout: 0.25 of [12884901889]}("), "{text}");
    assert!(graph.is_random());
    let run = |graph: &Graph, step: u64| {
        let feed = Feed::new(&value).parameters(&net).at(7, step);
        graph.run(&feed).unwrap().swap_remove(0)
    };
    let again = graph.read_back().unwrap();
    assert_eq!(again.to_string(), text);
    assert!(run(&again, 0).same_bits(&run(&graph, 0)));
    assert!(!run(&graph, 1).same_bits(&run(&graph, 0)));

    let mut attrs = Attrs::new();
    attrs.set("scale", Attr::Float(0.5));
    attrs.set("causal", Attr::Bool(false));
    attrs.set("window", Attr::None);
    // As files have it that were written before weights could be dropped.
    assert!(gradus::ops::read("attention", &attrs).is_ok());
    let with = |name: &'static str, value: Attr| {
        let mut attrs = attrs.clone();
        attrs.set(name, value);
        gradus::ops::read("attention", &attrs).map(|op| op.attrs().get("dropout").map(Attr::to_string))
    };
    let text = |text: &'static str| with("dropout", Attr::Text(text.into()));
    assert_eq!(text("0.1 of [3, 4, 5]").unwrap().unwrap(), "0.1 of [3, 4, 5]");
    assert_eq!(with("dropout", Attr::None).unwrap().unwrap(), "none");
    let wrong = [
        "",
        "0.1",
        "[1]",
        "0.1 of ",
        "0.1 of []",
        "0.1 of [1, 2]",
        "1.0 of [1]",
        "NaN of [1]",
        "-0.1 of [1]",
        "0.1 of [-1, 2, 3]",
    ];
    for wrong in wrong {
        let e = text(wrong).unwrap_err().to_string();
        let want = format!(
            "'dropout' of attention, a rate and a stream such as '0.1 of [12884901889]', got {wrong}"
        );
        assert!(e.contains(&want), "{e}");
    }
    assert!(with("dropout", Attr::Float(0.1)).is_err(), "a rate without a stream");
    let e = with("stream", Attr::Ints(vec![1])).unwrap_err().to_string();
    assert!(e.contains("those of attention (scale, causal, window, dropout), got 'stream'"), "{e}");
}

#[test]
fn the_printed_form() {
    let net = Sequential::new()
        .add(Input::new([4]).named("x"))
        .add(Dense::new(3).activation(Relu).named("hidden"))
        .add(Dropout::new(0.5).named("drop"))
        .add(Dense::new(2).named("out"))
        .build()
        .unwrap();
    let spec = Tensor::zeros([2, 4]).unwrap().spec();
    let text = "\
%0 = input x  float32 [2, 4]
%1 = parameter hidden/kernel  float32 [4, 3]
%2 = parameter hidden/bias  float32 [3]
%5 = parameter out/kernel  float32 [3, 2]
%6 = parameter out/bias  float32 [2]
%3 = linear{activation: relu}(%0, %1, %2)  float32 [2, 3]  # hidden
%4 = dropout{rate: 0.5, stream: [12884901889]}(%3)  float32 [2, 3]  # drop
%7 = linear{activation: none}(%4, %5, %6)  float32 [2, 2]  # out
output out = %7
";
    assert_eq!(Graph::of_training(&net, &[spec]).unwrap().to_string(), text);
    let inference = Graph::of_network(&net, &[spec]).unwrap();
    assert!(!inference.to_string().contains("dropout"), "{inference}");
}

#[test]
fn passes_find_what_is_dead_and_what_is_there_twice() {
    let spec = Tensor::zeros([2, 4]).unwrap().spec();
    let graph = Graph::capture(&[spec, spec], |x| {
        let unused = x[1].exp()?;
        let _ = unused.ln()?;
        let a = x[0].affine(2.0, 1.0)?.exp()?;
        let b = x[0].affine(2.0, 1.0)?.exp()?;
        let c = x[0].affine(2.0, -1.0)?.exp()?;
        Ok(vec![a.add(&b)?.add(&c)?])
    })
    .unwrap();
    // What nothing needs was never reached.
    assert_eq!(graph.steps().len(), 8);
    assert_eq!(graph.without_duplicates().steps().len(), 6);
    let graph = Graph::capture(&[spec], |x| Ok(vec![x[0].exp()?, x[0].ln()?])).unwrap();
    assert_eq!(graph.sources().len(), 1);
    assert_eq!(graph.without_dead_code().steps().len(), 2);
    // Integer constants of the same bits are one.
    let graph = Graph::capture(&[spec], |x| {
        let one = |i: i64| Tensor::from_slice(&[i, 0], [2]);
        x[0].gather(&one(1)?, 0)?
            .add(&x[0].gather(&one(1)?, 0)?)?
            .add(&x[0].gather(&one(0)?, 0)?)
            .map(|t| vec![t])
    })
    .unwrap();
    let plain = graph.without_duplicates();
    assert_eq!((graph.sources().len(), plain.sources().len()), (4, 3));
    assert_eq!((graph.steps().len(), plain.steps().len()), (5, 4));
}

#[test]
fn what_cannot_be_captured_is_refused_by_name() {
    let x = Tensor::zeros([2, 3]).unwrap();
    let read = |x: &[Tensor]| Ok(vec![x[0].affine(x[0].sum(&[], false)?.item()?, 0.0)?]);
    assert!(matches!(Graph::capture(&[x.spec()], read), Err(Error::Abstract { .. })));
    let opaque = |x: &[Tensor]| Ok(vec![Tensor::opaque(x[0].spec()).exp()?]);
    let e = Graph::capture(&[x.spec()], opaque).unwrap_err().to_string();
    assert!(e.contains("Tensor::opaque"), "{e}");
    let outside = x.tracked();
    let e = Graph::capture(&[x.spec()], |t| Ok(vec![t[0].add(&outside)?]));
    // What is known from outside is a constant.
    assert_eq!(e.unwrap().sources().len(), 2);

    // Feeds that do not fit.
    let graph = Graph::capture(&[x.spec()], |x| Ok(vec![x[0].exp()?])).unwrap();
    for (feed, part) in [
        (Feed::default(), "1 inputs"),
        (Feed::new(&Tensor::zeros([2, 4]).unwrap()), "captured for"),
        (Feed::new(&x.cast(DType::F64).unwrap()), "float64"),
    ] {
        let e = graph.run(&feed).unwrap_err().to_string();
        assert!(e.contains(part), "{e}");
    }
    let net = Sequential::new().add(Input::new([3])).add(Dense::new(1).named("d")).build().unwrap();
    let graph = Graph::of_network(&net, &[x.spec()]).unwrap();
    let e = graph.run(&Feed::new(&x)).unwrap_err().to_string();
    assert!(e.contains("parameter 'd/kernel'"), "{e}");
    assert!(Graph::of_network(&net, &[Tensor::zeros([2, 5]).unwrap().spec()]).is_err());
}

/// What is as large as a tensor is recorded so.
#[test]
fn sizes_that_follow_from_a_tensor_are_recorded_as_such() {
    let steps = |batch: usize| {
        let spec = Tensor::zeros([batch, 3, 5]).unwrap().spec();
        let graph = Graph::capture(&[spec], |x| {
            let x = &x[0];
            let mask = x.new_full([x.dims()[0], 1, 5], 0.5)?.add(&x.new_full(*x.shape(), 1.0)?)?;
            let flat = x.mul(&mask)?.reshape_to([x.dims()[0], 15])?.reshape([-1, 3, 5])?;
            let last = flat.slice(0, 1, x.dims()[0] as isize)?.sum(&[0], true)?.broadcast_like(x)?;
            let square = x.new_full([x.dims()[0], x.dims()[0]], 2.0)?.sum(&[], false)?;
            Ok(vec![
                last.add(&flat.permute(&[1, 0, 2])?.merge_axes(0, 1)?.split_axis(0, &[-1, 3])?)?
                    .mul(&square)?,
            ])
        })
        .unwrap();
        graph.steps().iter().map(|s| format!("{}{}", s.name(), s.attrs())).collect::<Vec<_>>()
    };
    assert_eq!(steps(7), steps(11));
}

/// Operations read back from hostile attributes are errors or right, never a panic.
#[test]
fn operations_are_read_from_their_attributes() {
    use gradus::autograd::{Attr, Attrs};
    assert!(gradus::ops::read("no_such_op", &Attrs::new()).is_err());
    let mut attrs = Attrs::new();
    assert!(gradus::ops::read("concat", &attrs).unwrap_err().to_string().contains("'axis' of concat"));
    attrs.set("axis", Attr::Float(1.0));
    assert!(gradus::ops::read("concat", &attrs).is_err());
    let mut more = Attrs::new();
    more.set("axis", Attr::Int(1));
    more.set("bogus", Attr::Int(1));
    let e = gradus::ops::read("concat", &more).unwrap_err().to_string();
    assert!(e.contains("those of concat (axis), got 'bogus'"), "{e}");
    for axis in [0, 1, 5, 7, 8, 9, i64::MAX, -1, i64::MIN] {
        attrs.set("axis", Attr::Int(axis));
        for name in ["concat", "gather", "slice", "scatter_add", "unslice"] {
            let mut attrs = attrs.clone();
            if name.contains("slice") {
                attrs.set("run", Attr::Text("1::2".into()));
            }
            if ["scatter_add", "unslice"].contains(&name) {
                attrs.set("shape", Attr::Ints(vec![3, 2]));
            }
            let Ok(op) = gradus::ops::read(name, &attrs) else { continue };
            let specs = [Tensor::zeros([2, 2]).unwrap().spec(), Tensor::arange(2).unwrap().spec()];
            let _ = op.infer(&specs[..op.inputs().0.min(2)]);
        }
    }
}

gradus::settings! {
    /// The sum of all that it has seen.
    pub layer RunningSum as "test>RunningSum" {
        new();
    }
}

impl gradus::nn::Build for RunningSum {
    fn build(
        &self,
        _: &gradus::nn::InputSpecs<'_>,
        init: &mut gradus::nn::Init,
    ) -> Result<Box<dyn gradus::nn::Node>> {
        Ok(Box::new(RunningSumNode { key: init.key() }))
    }
}

#[derive(Clone, Debug)]
struct RunningSumNode {
    key: gradus::nn::Key,
}
gradus::parts!(RunningSumNode { key });

impl gradus::nn::Layer for RunningSumNode {
    fn forward(&self, x: &Tensor, cx: &mut Cx) -> Result<Tensor> {
        let sum = match cx.carry(&self.key) {
            Some(before) => before.add(x)?,
            None => x.clone(),
        };
        cx.set_carry(&self.key, sum.clone());
        Ok(sum)
    }
}

/// State that a network carries from call to call comes in and goes out.
#[test]
fn carried_state_is_an_input_and_an_output() {
    let net = Sequential::new().add(Input::new([1])).add(RunningSum::new()).build().unwrap();
    let x = |v: f32| Tensor::from_slice(&[v, 2.0 * v], [2, 1]).unwrap();
    let mut session = Session::new();
    let first = net.predict_in(&mut session, &x(1.0)).unwrap();
    let graph = Graph::of_network_in(&net, &[x(1.0).spec()], &session).unwrap();
    let got = graph.run(&Feed::new(&x(5.0)).parameters(&net).session(session.clone())).unwrap();
    let want = net.predict_in(&mut session, &x(5.0)).unwrap();
    assert!(got[0].same_bits(&want) && !want.same_bits(&first));
    assert!(matches!(graph.outputs()[1].0, Output::State(..)), "{graph}");
    assert!(graph.run(&Feed::new(&x(5.0)).parameters(&net)).is_err(), "the state is missing");
}
