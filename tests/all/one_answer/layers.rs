//! A layer may do more than its operations: what every layer of the crate gives in training, the gradient of its inputs, and its
//! parameters after an update. A layer without a row here fails the test.

use super::answers::{Answers, Rng, fresh};
use gradus::nn::layers::{
    Activation, Add, Bidirectional, Checkpoint, Concatenate, Dense, Dropout, Embedding, Flatten, GRU,
    GRUCell, Input, LSTM, LSTMCell, Masking, RNN, Reshape, SimpleRNN, SimpleRNNCell, StackedRNNCells,
    TimeDistributed,
};
use gradus::nn::{Build as _, Cx, Functional, IntoLayer, Module, Symbol};
use gradus::optim::Driver;
use gradus::prelude::{Gelu, Relu, SGD, Sequential, Silu, Softmax, Tanh};
use gradus::{DType, Tensor};

/// A layer's name in files, and what computes it.
type Row = (&'static str, fn(&mut Answers));

/// Every layer.
pub(crate) const LAYERS: &[Row] = &[
    ("Input", |a| layer(a, "Input", Reshape::new(vec![3]), &[&[2, 3]])),
    ("Dense", |a| {
        layer(a, "Dense", Dense::new(4), &[&[2, 3]]);
        layer(a, "Dense, no bias", Dense::new(4).use_bias(false), &[&[3, 5]]);
        layer(a, "Dense, three axes", Dense::new(5).activation(Tanh), &[&[2, 3, 7]]);
        layer(a, "Dense, softmax", Dense::new(10).activation(Softmax), &[&[5, 9]]);
        // Cut between threads.
        layer(a, "Dense, wide", Dense::new(260).activation(Relu), &[&[97, 300]]);
    }),
    // Whole numbers have no gradient: the table's is what counts.
    ("Embedding", |a| layer(a, "Embedding", Embedding::new(9, 5).mask_zero(true), &[&[4, 7]])),
    ("Flatten", |a| layer(a, "Flatten", Flatten::new(), &[&[2, 3, 4]])),
    ("Reshape", |a| layer(a, "Reshape", Reshape::new(vec![2, -1]), &[&[2, 3, 4]])),
    ("Dropout", |a| layer(a, "Dropout", Dropout::new(0.4), &[&[13, 21]])),
    ("Activation", |a| layer(a, "Activation", Activation::new(Silu), &[&[5, 19]])),
    ("Masking", |a| layer(a, "Masking", Masking::new(), &[&[3, 4, 5]])),
    ("Add", |a| layer(a, "Add", Add::new(), &[&[3, 4, 5], &[3, 1, 5], &[3, 5]])),
    ("Concatenate", |a| layer(a, "Concatenate", Concatenate::new().axis(1), &[&[3, 4, 5], &[3, 2, 5]])),
    ("Sequential", |a| {
        let stack = Sequential::new().add(Dense::new(6).activation(Gelu)).add(Dense::new(2));
        layer(a, "Sequential", stack, &[&[3, 4]]);
    }),
    ("Functional", |a| {
        let x = Input::new([4]);
        let h = Dense::new(4).activation(Gelu).on(&x).unwrap();
        let y = Add::new().on([&h, &x.symbol()]).unwrap();
        layer(a, "Functional", Functional::new(&x, &y).unwrap(), &[&[3, 4]]);
    }),
    ("Checkpoint", |a| {
        let stack =
            Sequential::new().add(Dense::new(6).activation(Tanh)).add(Dropout::new(0.3)).add(Dense::new(2));
        layer(a, "Checkpoint", Checkpoint::new(stack), &[&[3, 4]]);
    }),
    // A cell has several outputs: it is seen through the layer that calls it.
    ("SimpleRNNCell", |a| layer(a, "SimpleRNNCell", RNN::new(SimpleRNNCell::new(5)), &[&[3, 4, 6]])),
    ("LSTMCell", |a| layer(a, "LSTMCell", RNN::new(LSTMCell::new(5).dropout(0.2)), &[&[3, 4, 6]])),
    ("GRUCell", |a| layer(a, "GRUCell", RNN::new(GRUCell::new(5).recurrent_dropout(0.2)), &[&[3, 4, 6]])),
    ("StackedRNNCells", |a| {
        let cells = StackedRNNCells::new([LSTMCell::new(5), LSTMCell::new(3)]);
        layer(a, "StackedRNNCells", RNN::new(cells).return_sequences(true), &[&[3, 4, 6]]);
    }),
    ("RNN", |a| layer(a, "RNN", RNN::new(LSTMCell::new(5)).go_backwards(true), &[&[3, 4, 6]])),
    ("SimpleRNN", |a| layer(a, "SimpleRNN", SimpleRNN::new(5).return_sequences(true), &[&[3, 4, 6]])),
    ("LSTM", |a| {
        layer(a, "LSTM", LSTM::new(5).return_sequences(true), &[&[3, 4, 6]]);
        // Cut between threads.
        layer(a, "LSTM, wide", LSTM::new(40), &[&[19, 21, 33]]);
        layer(a, "LSTM, a loop", LSTM::new(5).recurrent_activation(Tanh), &[&[3, 4, 6]]);
    }),
    ("GRU", |a| {
        layer(a, "GRU", GRU::new(5).return_sequences(true), &[&[3, 4, 6]]);
        layer(a, "GRU, wide", GRU::new(40), &[&[19, 21, 33]]);
        layer(a, "GRU, reset before", GRU::new(33).reset_after(false).go_backwards(true), &[&[9, 4, 6]]);
    }),
    ("Bidirectional", |a| {
        layer(a, "Bidirectional", Bidirectional::new(GRU::new(5).return_sequences(true)), &[&[3, 4, 6]]);
    }),
    ("TimeDistributed", |a| layer(a, "TimeDistributed", TimeDistributed::new(Dense::new(3)), &[&[3, 4, 6]])),
];

pub(crate) fn all(a: &mut Answers) {
    LAYERS.iter().for_each(|(_, f)| f(a));
}

/// One layer as a network of its own, through the public path.
fn layer(a: &mut Answers, name: &str, description: impl IntoLayer, shapes: &[&[usize]]) {
    let description = description.into_layer();
    let inputs: Vec<Input> = shapes
        .iter()
        .map(|dims| match dims {
            [_, a] => Input::new([*a]),
            [_, a, b] => Input::new([*a, *b]),
            _ => panic!("{dims:?}"),
        })
        .collect();
    let symbols: Vec<Symbol> = inputs.iter().map(Input::symbol).collect();
    let output = description.on(&symbols).unwrap();
    let mut network = Functional::new(&symbols, &output).unwrap().seed(7).build().unwrap();
    let rng = &mut Rng::of(name);
    let x: Vec<Tensor> = shapes.iter().map(|dims| fresh(rng, dims, DType::F32, Rng::plain)).collect();
    // Numbers below the table's size, of which one in nine is padding.
    let tokens = |t: &Tensor| t.abs().unwrap().affine(7.0, 0.0).unwrap().cast(DType::I64).unwrap();
    let small =
        |t: &Tensor| tokens(t).remainder(&Tensor::scalar(9i64).unwrap()).unwrap().cast(DType::F32).unwrap();
    let x: Vec<Tensor> = if name == "Embedding" { x.iter().map(small).collect() } else { x };

    let name = format!("layer {name}");
    if let Some(visitor) = &mut a.visitor {
        return visitor.network(&name, network, &x);
    }
    a.add(&format!("{name}, inference"), network.forward(&x, &mut Cx::infer()));
    let leaves: Vec<Tensor> = x.iter().map(Tensor::tracked).collect();
    let y = network.forward(&leaves, &mut Cx::train(11, 3)).unwrap();
    a.add(&name, Ok(y.detach()));
    let weights = fresh(&mut Rng::of("weights"), y.dims(), DType::F32, Rng::plain);
    let gradients = y.mul(&weights).unwrap().sum(&[], false).unwrap().backward().unwrap();
    for leaf in &leaves {
        if let Some(gradient) = gradients.get(leaf) {
            a.add(&format!("{name}, gradient"), Ok(gradient.clone()));
        }
    }
    // A step of plain descent at rate 1 shows the gradients of the parameters.
    Driver::new(SGD::new(1.0)).step(&mut network, gradients, false).unwrap();
    let mut after: Vec<Tensor> = Vec::new();
    network.visit(&mut |_, p| after.push(p.value().clone()));
    after.into_iter().for_each(|p| a.add(&format!("{name}, parameters"), Ok(p)));
}
