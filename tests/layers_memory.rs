//! Tests that no layer asks the system for memory while it trains or predicts in its steady state. Every
//! configuration of every layer in the pack is trained alone; then come sequences, batches and lists that are
//! longer than what is stored in place, networks that continue from their state, and two threads.

#![allow(clippy::unwrap_used)]

mod counting;
#[allow(dead_code)]
#[path = "all/layer_cases.rs"]
mod layer_cases;
#[allow(dead_code)]
#[path = "all/pack.rs"]
mod pack;

use counting::{asked, traced};
use gradus::Result;
use gradus::nn::layers::*;
use gradus::nn::{Build, Cx, Functional, IntoLayer, Module, Network, Sequential, Session, Symbol};
use gradus::prelude::{DType, MeanSquaredError, Relu, SGD, Tensor, Threads};
use gradus::random::{Purpose, Stream};
use layer_cases::{build, build_between, every_case};

/// Steps counted of small tensors, and before counting.
const STEPS: usize = 50;
const WARM: usize = 20;
/// The same of larger ones.
const FEW: usize = 10;

/// How the steady state is looked at: with each of these numbers of threads, over so many steps.
#[derive(Clone, Copy)]
struct Watch<'a> {
    pools: &'a [Threads],
    steps: usize,
}

/// Freezes the parameters that no gradient reaches, which a step would refuse.
fn freeze_what_cannot_learn(network: &mut Network, data: &[Tensor]) -> Result<()> {
    let y = network.forward(data, &mut Cx::train(5, 0))?;
    let gradients = y.sum(&[], false)?.backward()?;
    network.visit_mut(&mut |_, p| {
        if p.gradient(&gradients).is_none() {
            p.set_frozen(true);
        }
    });
    Ok(())
}

/// What this work asks for in its steady state, with each number of threads.
fn steady(watch: Watch<'_>, what: &str, mut work: impl FnMut() -> Result<()> + Send) -> Result<()> {
    for (i, pool) in watch.pools.iter().enumerate() {
        let mut wrong = Ok(());
        // Inside of a pool: entering one from outside costs a block of rayon's own now and then.
        let counted = pool.run(|| {
            let mut steps = |n: usize| {
                for _ in 0..n {
                    if wrong.is_ok() {
                        wrong = work();
                    }
                }
            };
            steps(watch.steps.min(WARM));
            let mut counted = asked(|| steps(watch.steps));
            if counted != (0, 0) {
                // The harness may have printed meanwhile that the test takes long.
                counted = asked(|| steps(watch.steps));
            }
            if counted.0 > 0 && std::env::var_os("GRADUS_TRACE").is_some() {
                traced(|| steps(1)).iter().for_each(|site| println!("---- {site}"));
            }
            counted
        });
        wrong?;
        assert_eq!(counted, (0, 0), "{what} on {} threads: calls and bytes", i + 1);
    }
    Ok(())
}

/// Training and prediction of a network in their steady state.
fn trains(watch: Watch<'_>, what: &str, mut network: Network, data: &[Tensor]) -> Result<()> {
    freeze_what_cannot_learn(&mut network, data)?;
    let y = Tensor::zeros(network.forward(data, &mut Cx::infer())?.dims())?;
    let mut model = network.compile(SGD::new(1e-3), MeanSquaredError::new(), ())?;
    steady(watch, &format!("training of {what}"), || model.train_on_batch(data, &y).map(drop))?;
    let mut out = vec![0f32; y.elements()];
    steady(watch, &format!("prediction of {what}"), || model.predict_into(data, &mut out))
}

/// The one test of this file, so that nothing else allocates meanwhile.
#[test]
fn the_steady_state_of_every_layer_asks_nothing_of_the_system() {
    // Tensors of the pack are too small for several threads.
    let one = Watch { pools: &[1].map(|n| Threads::new(n).unwrap()), steps: STEPS };
    every_case(|pack, what, case| {
        if let Some((network, data)) = build_between(pack, case, DType::F32)? {
            trains(one, what, network, &data)?;
        }
        // With all of its outputs, those of whole numbers too.
        let case = build(pack, case, DType::F32)?;
        steady(one, what, || case.network.forward_all(&case.data, &mut Cx::infer()).map(drop))
    });
    let both = Watch { pools: &[1, 2].map(|n| Threads::new(n).unwrap()), steps: FEW };
    [20, 100].iter().for_each(|time| sequences(both, *time).unwrap());
    many_heads(both).unwrap();
    many_values(both).unwrap();
    sessions(both).unwrap();
    large(both).unwrap();
}

fn numbers(shape: &[usize]) -> Tensor {
    Tensor::randn(shape, Stream::new(5, Purpose::User(0), 0)).unwrap()
}

/// A layer between two dense ones, in a stack.
fn between(watch: Watch<'_>, what: &str, layer: impl IntoLayer, x: &Tensor) -> Result<()> {
    let stack = Sequential::new().add(layer_cases::input(x, DType::F32)).add(Masking::new());
    let stack = stack.add(Dense::new(6)).add(layer).add(Dense::new(2));
    trains(watch, &format!("{what} on {}", x.shape()), stack.build()?, std::slice::from_ref(x))
}

/// Recurrent layers with a mask, as one op and step by step.
fn sequences(watch: Watch<'_>, time: usize) -> Result<()> {
    let counts = numbers(&[5, time, 1]).greater(&Tensor::scalar(-0.5f32)?)?.cast(DType::F32)?;
    let x = numbers(&[5, time, 3]).mul(&counts)?;
    let stacked = StackedRNNCells::new([LSTMCell::new(5), LSTMCell::new(4), LSTMCell::new(3)]);
    between(watch, "SimpleRNN", SimpleRNN::new(5), &x)?;
    between(watch, "SimpleRNN, step by step", SimpleRNN::new(5).activation(Relu), &x)?;
    between(watch, "LSTM", LSTM::new(5).return_sequences(true), &x)?;
    between(watch, "LSTM with dropout", LSTM::new(5).dropout(0.2).recurrent_dropout(0.2), &x)?;
    between(watch, "GRU", GRU::new(5).go_backwards(true), &x)?;
    between(watch, "GRU, step by step", GRU::new(5).activation(Relu).return_sequences(true), &x)?;
    between(watch, "GRU with dropout", GRU::new(5).reset_after(false).recurrent_dropout(0.1), &x)?;
    between(watch, "Bidirectional", Bidirectional::new(LSTM::new(5).return_sequences(true)), &x)?;
    between(watch, "StackedRNNCells", RNN::new(stacked).return_sequences(true), &x)?;
    between(watch, "TimeDistributed", TimeDistributed::new(Dense::new(3)), &x)?;
    let layer = ConvLSTM1D::new(3, 3).return_sequences(true).recurrent_dropout(0.1);
    within(watch, "ConvLSTM1D", layer, 1, &numbers(&[5, time, 6, 2]))
}

/// A layer that is called on one tensor in several places.
fn within(watch: Watch<'_>, what: &str, layer: impl IntoLayer, calls: usize, x: &Tensor) -> Result<()> {
    let input = layer_cases::input(x, DType::F32);
    let h = Dense::new(6).on(&input)?;
    let y = layer.into_layer().on(&vec![h; calls])?;
    let network = Functional::new(&input, &Dense::new(2).on(&y)?)?.build()?;
    trains(watch, &format!("{what} on {}", x.shape()), network, std::slice::from_ref(x))
}

/// More matrices than lists hold in place.
fn many_heads(watch: Watch<'_>) -> Result<()> {
    let (x, wide) = (numbers(&[33, 20, 6]), numbers(&[9, 3, 4, 5, 6]));
    let heads = || MultiHeadAttention::new(12, 3);
    within(watch, "MultiHeadAttention", heads().use_causal_mask(true), 2, &x)?;
    within(watch, "MultiHeadAttention with dropout", heads().dropout(0.1).use_gate(true), 3, &x)?;
    within(watch, "MultiHeadAttention over two axes", heads().attention_axes([1, 3]), 2, &wide)?;
    within(watch, "GroupQueryAttention", GroupQueryAttention::new(3, 12, 4).sliding_window(5), 2, &x)?;
    within(watch, "Attention", Attention::new().use_scale(true), 2, &x)?;
    within(watch, "Attention with dropout", Attention::new().dropout(0.1), 3, &wide)?;
    within(watch, "AdditiveAttention", AdditiveAttention::new().use_causal_mask(true), 2, &x)?;
    within(watch, "Dot", Dot::new([1, 1]), 2, &x)?;
    within(watch, "Dot of wide data", Dot::new([2, 2]).normalize(true), 2, &numbers(&[33, 3, 2, 6]))?;
    within(watch, "EinsumDense", EinsumDense::new("...ab,bc->...ca", [3, 20]), 1, &x)?;
    within(watch, "TransformerEncoder", TransformerEncoder::new(8, 6).dropout(0.1), 1, &x)?;
    within(watch, "TransformerDecoder", TransformerDecoder::new(8, 6).dropout(0.1), 2, &x)?;
    within(watch, "Softmax", Softmax::new().axis([1, 2, 4]), 1, &wide)?;
    within(watch, "Softmax of the first axis", Softmax::new().axis(1), 1, &wide)
}

/// More inputs, layers within layers and letters than lists hold in place.
fn many_values(watch: Watch<'_>) -> Result<()> {
    let x = numbers(&[33, 6]);
    within(watch, "Concatenate", Concatenate::new(), 40, &x)?;
    within(watch, "Add", Add::new(), 40, &x)?;
    within(watch, "Maximum", Maximum::new(), 40, &x)?;
    let sum = |x: &[Tensor]| x[1..].iter().try_fold(x[0].clone(), |sum, x| sum.add(x));
    within(watch, "Lambda", Lambda::of_list(sum), 40, &x)?;
    let stack = || Sequential::new().add(Dense::new(6).activation(Relu)).add(BatchNormalization::new());
    within(watch, "Checkpoint", Checkpoint::new(stack().add(Dropout::new(0.1))), 1, &x)?;
    // A path longer than a text in place.
    let mut deep = stack().named("a_name_of_some_length");
    for _ in 0..5 {
        deep = Sequential::new().add(deep).named("a_name_of_some_length");
    }
    within(watch, "a deep network", deep, 1, &x)?;
    let inputs: Vec<Symbol> = (0..40).map(|_| layer_cases::input(&x, DType::F32).symbol()).collect();
    let network = Functional::new(&inputs, &Dense::new(1).on(&Average::new().on(&inputs)?)?)?.build()?;
    trains(watch, "a network of 40 inputs", network, &vec![x; 40])?;
    // More rows than are predicted at once.
    within(watch, "Dense", Dense::new(3), 1, &numbers(&[3000, 6]))
}

/// Networks that go on from their state, a step at a time.
fn sessions(watch: Watch<'_>) -> Result<()> {
    const CACHE: usize = 3 * FEW + 1;
    goes_on(watch, "MultiHeadAttention", |x| {
        MultiHeadAttention::new(12, 3).use_causal_mask(true).cache(CACHE).on([x, x])
    })?;
    goes_on(watch, "GroupQueryAttention", |x| {
        GroupQueryAttention::new(3, 12, 4).use_causal_mask(true).cache(CACHE).on([x, x])
    })?;
    goes_on(watch, "TransformerDecoder", |x| {
        let x = PositionEmbedding::new(CACHE).cache(true).on(&RotaryEmbedding::new().cache(true).on(x)?)?;
        TransformerDecoder::new(8, 6).cache(CACHE).on(&x)
    })?;
    goes_on(watch, "LSTM", |x| LSTM::new(5).stateful(true).on(x))?;
    goes_on(watch, "Bidirectional", |x| Bidirectional::new(GRU::new(5).stateful(true)).on(x))
}

fn goes_on(watch: Watch<'_>, what: &str, layer: impl Fn(&Input) -> Result<Symbol>) -> Result<()> {
    let input = Input::new([1, 6]);
    let network = Functional::new(&input, &layer(&input)?)?.build()?;
    let x = numbers(&[33, 1, 6]);
    for pool in watch.pools {
        let mut session = Session::new();
        let step = || network.predict_in(&mut session, &x).map(drop);
        steady(Watch { pools: std::slice::from_ref(pool), ..watch }, &format!("{what} in a session"), step)?;
    }
    Ok(())
}

/// Tensors that are cut between threads.
fn large(watch: Watch<'_>) -> Result<()> {
    let x = numbers(&[64, 10, 3]);
    between(watch, "LSTM", LSTM::new(64).return_sequences(true), &x)?;
    between(watch, "GRU, step by step", GRU::new(64).activation(Relu).recurrent_dropout(0.1), &x)?;
    let heads = MultiHeadAttention::new(12, 16);
    within(watch, "MultiHeadAttention", heads.use_causal_mask(true), 2, &numbers(&[17, 40, 6]))?;
    within(watch, "ConvLSTM2D", ConvLSTM2D::new(16, 3), 1, &numbers(&[3, 3, 16, 16, 3]))
}
