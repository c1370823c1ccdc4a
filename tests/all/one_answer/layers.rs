//! A layer may do more than its operations: what every layer of the crate gives in training, the gradient of its inputs, and its
//! parameters after an update. A layer without a row here fails the test.

use super::answers::{Answers, Rng, fresh};
use gradus::nn::layers::{
    Activation, Add, Checkpoint, Concatenate, Conv1D, Conv1DTranspose, Conv2D, Conv2DTranspose, Conv3D,
    Conv3DTranspose, ConvLSTM1D, ConvLSTM2D, ConvLSTM3D, Dense, DepthwiseConv1D, DepthwiseConv2D, Dropout,
    Embedding, Flatten, Input, Masking, Reshape, SeparableConv1D, SeparableConv2D,
};
use gradus::nn::{Build as _, Cx, Functional, IntoLayer, Module, Symbol};
use gradus::ops::Padding;
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
    ("Conv1D", |a| {
        layer(a, "Conv1D", Conv1D::new(6, 3).groups(2).padding(Padding::Causal), &[&[3, 9, 4]]);
        layer(a, "Conv1D, softmax", Conv1D::new(6, 3).dilation_rate(2).activation(Softmax), &[&[3, 9, 4]]);
    }),
    ("Conv2D", |a| {
        layer(a, "Conv2D", Conv2D::new(5, [3, 2]).strides(2).activation(Tanh), &[&[3, 8, 9, 2]]);
        // Cut between threads.
        let wide = Conv2D::new(40, 3).padding(Padding::Same).activation(Relu);
        layer(a, "Conv2D, wide", wide, &[&[5, 27, 28, 16]]);
    }),
    ("Conv3D", |a| layer(a, "Conv3D", Conv3D::new(3, 2).activation(Gelu), &[&[2, 3, 4, 3, 2]])),
    ("Conv1DTranspose", |a| {
        layer(a, "Conv1DTranspose", Conv1DTranspose::new(5, 3).strides(2), &[&[3, 7, 4]])
    }),
    ("Conv2DTranspose", |a| {
        let same = Conv2DTranspose::new(5, 3).strides(2).padding(Padding::Same).activation(Tanh);
        layer(a, "Conv2DTranspose", same, &[&[3, 5, 4, 6]]);
    }),
    ("Conv3DTranspose", |a| layer(a, "Conv3DTranspose", Conv3DTranspose::new(2, 2), &[&[2, 2, 3, 2, 3]])),
    ("ConvLSTM1D", |a| {
        let all = ConvLSTM1D::new(3, 2).return_sequences(true).dropout(0.2).recurrent_dropout(0.3);
        layer(a, "ConvLSTM1D", all, &[&[2, 3, 7, 4]]);
    }),
    ("ConvLSTM2D", |a| {
        layer(a, "ConvLSTM2D", ConvLSTM2D::new(3, 3).padding(Padding::Same), &[&[2, 3, 7, 6, 4]]);
    }),
    ("ConvLSTM3D", |a| layer(a, "ConvLSTM3D", ConvLSTM3D::new(2, 2), &[&[1, 2, 3, 2, 3, 2]])),
    ("DepthwiseConv1D", |a| layer(a, "DepthwiseConv1D", DepthwiseConv1D::new(3), &[&[3, 9, 4]])),
    ("DepthwiseConv2D", |a| {
        layer(
            a,
            "DepthwiseConv2D",
            DepthwiseConv2D::new(3).depth_multiplier(2).activation(Silu),
            &[&[3, 8, 7, 5]],
        );
    }),
    ("SeparableConv1D", |a| layer(a, "SeparableConv1D", SeparableConv1D::new(6, 3), &[&[3, 9, 4]])),
    ("SeparableConv2D", |a| {
        layer(a, "SeparableConv2D", SeparableConv2D::new(6, 3).activation(Relu), &[&[3, 8, 7, 5]]);
    }),
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
            [_, a, b, c] => Input::new([*a, *b, *c]),
            [_, a, b, c, d] => Input::new([*a, *b, *c, *d]),
            [_, a, b, c, d, e] => Input::new([*a, *b, *c, *d, *e]),
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
