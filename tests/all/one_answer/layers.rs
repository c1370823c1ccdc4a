//! What every layer of the crate gives in training, the gradient of its inputs, and its parameters after an update:
//! a layer may do more than its operations. A layer without a row here fails the test.

use super::answers::{Answers, Rng, fresh};
use gradus::nn::layers::{
    self, Activation, ActivityRegularization, Add, AdditiveAttention, AlphaDropout, Attention, Average,
    BatchNormalization, Bidirectional, Checkpoint, Concatenate, Conv1D, Conv1DTranspose, Conv2D,
    Conv2DTranspose, Conv3D, Conv3DTranspose, ConvLSTM1D, ConvLSTM2D, ConvLSTM3D, Dense, DepthwiseConv1D,
    DepthwiseConv2D, Dot, Dropout, ELU, EinsumDense, Embedding, Flatten, GRU, GRUCell, GaussianDropout,
    GaussianNoise, GroupNormalization, GroupQueryAttention, Identity, Input, LSTM, LSTMCell, Lambda,
    LayerNormalization, LeakyReLU, Masking, Maximum, Minimum, MultiHeadAttention, Multiply, PReLU, Permute,
    PositionEmbedding, RMSNormalization, RNN, ReLU, RepeatVector, Reshape, ReversibleEmbedding,
    RotaryEmbedding, SeparableConv1D, SeparableConv2D, SimpleRNN, SimpleRNNCell, SinePositionEncoding,
    SpatialDropout1D, SpatialDropout2D, SpatialDropout3D, SpectralNormalization, StackedRNNCells, Subtract,
    TimeDistributed, TransformerDecoder, TransformerEncoder, UnitNormalization,
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
    ("SpatialDropout1D", |a| layer(a, "SpatialDropout1D", SpatialDropout1D::new(0.4), &[&[3, 5, 7]])),
    ("SpatialDropout2D", |a| layer(a, "SpatialDropout2D", SpatialDropout2D::new(0.4), &[&[3, 5, 4, 7]])),
    ("SpatialDropout3D", |a| layer(a, "SpatialDropout3D", SpatialDropout3D::new(0.4), &[&[3, 2, 3, 2, 7]])),
    ("GaussianNoise", |a| layer(a, "GaussianNoise", GaussianNoise::new(0.4), &[&[37, 70]])),
    ("GaussianDropout", |a| layer(a, "GaussianDropout", GaussianDropout::new(0.4), &[&[37, 70]])),
    ("AlphaDropout", |a| {
        layer(a, "AlphaDropout", AlphaDropout::new(0.4), &[&[13, 21]]);
        let noise = vec![None, Some(1), None];
        layer(a, "AlphaDropout, noise_shape", AlphaDropout::new(0.4).noise_shape(noise), &[&[5, 4, 9]]);
    }),
    ("ActivityRegularization", |a| {
        layer(a, "ActivityRegularization", ActivityRegularization::new().l1(0.1).l2(0.2), &[&[3, 7]]);
    }),
    ("BatchNormalization", |a| {
        layer(a, "BatchNormalization", BatchNormalization::new(), &[&[5, 7]]);
        layer(a, "BatchNormalization, axis 1", BatchNormalization::new().axis(1), &[&[5, 7, 9]]);
        let renorm = BatchNormalization::new().renorm(true).scale(false);
        layer(a, "BatchNormalization, renorm", renorm, &[&[9, 5, 3, 7]]);
        // Cut between threads.
        layer(a, "BatchNormalization, large", BatchNormalization::new(), &[&[97, 31, 70]]);
    }),
    ("LayerNormalization", |a| {
        layer(a, "LayerNormalization", LayerNormalization::new(), &[&[5, 37]]);
        layer(a, "LayerNormalization, two axes", LayerNormalization::new().axis([1, 2]), &[&[5, 7, 9]]);
        layer(a, "LayerNormalization, axis 1", LayerNormalization::new().axis(1), &[&[5, 7, 9]]);
    }),
    ("GroupNormalization", |a| {
        layer(a, "GroupNormalization", GroupNormalization::new().groups(3), &[&[5, 7, 9]]);
    }),
    ("RMSNormalization", |a| layer(a, "RMSNormalization", RMSNormalization::new(), &[&[5, 37]])),
    ("UnitNormalization", |a| layer(a, "UnitNormalization", UnitNormalization::new(), &[&[5, 37]])),
    ("SpectralNormalization", |a| {
        layer(a, "SpectralNormalization", SpectralNormalization::new(Dense::new(9)), &[&[5, 37]]);
    }),
    ("Activation", |a| layer(a, "Activation", Activation::new(Silu), &[&[5, 19]])),
    ("Masking", |a| layer(a, "Masking", Masking::new(), &[&[3, 4, 5]])),
    ("Add", |a| layer(a, "Add", Add::new(), &[&[3, 4, 5], &[3, 1, 5], &[3, 5]])),
    ("Subtract", |a| layer(a, "Subtract", Subtract::new(), &[&[3, 4, 5], &[3, 5]])),
    ("Multiply", |a| layer(a, "Multiply", Multiply::new(), &[&[3, 4, 5], &[3, 1, 5], &[3, 5]])),
    ("Average", |a| layer(a, "Average", Average::new(), &[&[3, 4, 5], &[3, 1, 5], &[3, 5]])),
    ("Maximum", |a| layer(a, "Maximum", Maximum::new(), &[&[3, 4, 5], &[3, 1, 5], &[3, 5]])),
    ("Minimum", |a| layer(a, "Minimum", Minimum::new(), &[&[3, 4, 5], &[3, 1, 5], &[3, 5]])),
    ("Dot", |a| {
        layer(a, "Dot", Dot::new(-1), &[&[3, 19], &[3, 19]]);
        layer(a, "Dot, cosine", Dot::new([2, 1]).normalize(true), &[&[3, 4, 5], &[3, 5, 7]]);
    }),
    ("ReLU", |a| {
        layer(a, "ReLU", ReLU::new().max_value(0.9).negative_slope(0.1).threshold(0.2), &[&[5, 19]]);
    }),
    ("LeakyReLU", |a| layer(a, "LeakyReLU", LeakyReLU::new(), &[&[5, 19]])),
    ("PReLU", |a| layer(a, "PReLU", PReLU::new().shared_axes(1), &[&[3, 4, 5]])),
    ("ELU", |a| layer(a, "ELU", ELU::new().alpha(0.7), &[&[5, 19]])),
    ("Softmax", |a| {
        layer(a, "Softmax", layers::Softmax::new(), &[&[5, 19]]);
        layer(
            a,
            "Softmax, two axes and a mask",
            layers::Softmax::new().axis([1, 2]),
            &[&[3, 4, 5], &[3, 1, 5]],
        );
    }),
    ("Identity", |a| layer(a, "Identity", Identity::new(), &[&[5, 19]])),
    ("Permute", |a| layer(a, "Permute", Permute::new([2, 1]), &[&[3, 4, 5]])),
    ("RepeatVector", |a| layer(a, "RepeatVector", RepeatVector::new(3), &[&[5, 19]])),
    ("Lambda", |a| layer(a, "Lambda", Lambda::new(|x| x.sin()), &[&[5, 19]])),
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
    ("MaxPooling1D", spatial),
    ("MaxPooling2D", spatial),
    ("MaxPooling3D", spatial),
    ("AveragePooling1D", spatial),
    ("AveragePooling2D", spatial),
    ("AveragePooling3D", spatial),
    ("GlobalAveragePooling1D", spatial),
    ("GlobalAveragePooling2D", spatial),
    ("GlobalAveragePooling3D", spatial),
    ("GlobalMaxPooling1D", spatial),
    ("GlobalMaxPooling2D", spatial),
    ("GlobalMaxPooling3D", spatial),
    ("AdaptiveAveragePooling1D", spatial),
    ("AdaptiveAveragePooling2D", spatial),
    ("AdaptiveAveragePooling3D", spatial),
    ("AdaptiveMaxPooling1D", spatial),
    ("AdaptiveMaxPooling2D", spatial),
    ("AdaptiveMaxPooling3D", spatial),
    ("ZeroPadding1D", spatial),
    ("ZeroPadding2D", spatial),
    ("ZeroPadding3D", spatial),
    ("Cropping1D", spatial),
    ("Cropping2D", spatial),
    ("Cropping3D", spatial),
    ("UpSampling1D", spatial),
    ("UpSampling2D", spatial),
    ("UpSampling3D", spatial),
    ("Resizing", spatial),
    ("CenterCrop", spatial),
    ("Rescaling", spatial),
    ("Normalization", spatial),
    ("Attention", |a| layer(a, "Attention", Attention::new().dropout(0.2), &[&[3, 4, 5], &[3, 7, 5]])),
    ("AdditiveAttention", |a| {
        layer(a, "AdditiveAttention", AdditiveAttention::new(), &[&[3, 4, 5], &[3, 7, 5]]);
    }),
    ("MultiHeadAttention", |a| {
        let heads = || MultiHeadAttention::new(3, 5).use_causal_mask(true);
        layer(a, "MultiHeadAttention", heads(), &[&[3, 7, 5], &[3, 7, 6]]);
        layer(a, "MultiHeadAttention, dropout", heads().dropout(0.3), &[&[3, 7, 5], &[3, 7, 6]]);
        // Cut between threads.
        layer(a, "MultiHeadAttention, long", heads(), &[&[3, 97, 24], &[3, 97, 24]]);
    }),
    ("GroupQueryAttention", |a| {
        let group = GroupQueryAttention::new(5, 6, 2).sliding_window(3).use_gate(true);
        layer(a, "GroupQueryAttention", group, &[&[2, 6, 5], &[2, 6, 5]]);
    }),
    ("EinsumDense", |a| {
        layer(a, "EinsumDense", EinsumDense::new("abc,bcd->abd", [4, 7]).bias_axes("bd"), &[&[3, 4, 5]]);
    }),
    ("ReversibleEmbedding", |a| {
        layer(a, "ReversibleEmbedding", ReversibleEmbedding::new(9, 5).mask_zero(true), &[&[4, 7]]);
    }),
    ("SinePositionEncoding", |a| {
        layer(a, "SinePositionEncoding", SinePositionEncoding::new(), &[&[2, 9, 6]])
    }),
    ("PositionEmbedding", |a| {
        layer(a, "PositionEmbedding", PositionEmbedding::new(9), &[&[2, 9, 6]]);
        layer(a, "PositionEmbedding, beyond", PositionEmbedding::new(4), &[&[2, 9, 6]]);
    }),
    ("RotaryEmbedding", |a| layer(a, "RotaryEmbedding", RotaryEmbedding::new(), &[&[2, 9, 6]])),
    ("TransformerEncoder", |a| {
        layer(a, "TransformerEncoder", TransformerEncoder::new(7, 2).dropout(0.2), &[&[2, 9, 6]]);
    }),
    ("TransformerDecoder", |a| {
        layer(a, "TransformerDecoder", TransformerDecoder::new(7, 2), &[&[2, 9, 6], &[2, 4, 6]]);
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
    ("ConvLSTM3D", |a| layer(a, "ConvLSTM3D", ConvLSTM3D::new(2, 2), &[&[2, 2, 3, 2, 3, 2]])),
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
    // A cell has several outputs: it is seen through the layer that calls it.
    ("SimpleRNNCell", |a| layer(a, "SimpleRNNCell", RNN::new(SimpleRNNCell::new(5)), &[&[3, 4, 6]])),
    ("LSTMCell", |a| layer(a, "LSTMCell", RNN::new(LSTMCell::new(5).dropout(0.2)), &[&[3, 4, 6]])),
    ("GRUCell", |a| layer(a, "GRUCell", RNN::new(GRUCell::new(5).recurrent_dropout(0.2)), &[&[3, 4, 6]])),
    ("StackedRNNCells", |a| {
        let cells = StackedRNNCells::new([LSTMCell::new(5), LSTMCell::new(3)]);
        layer(a, "StackedRNNCells", RNN::new(cells).return_sequences(true), &[&[2, 4, 6]]);
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

/// Those of images, volumes and sequences.
fn spatial(a: &mut Answers) {
    for (i, (description, shape)) in crate::layers_spatial::examples().into_iter().enumerate() {
        let name = format!("{} {i}", description.class_name());
        layer(a, &name, description, &[&shape]);
    }
}

pub(crate) fn all(a: &mut Answers) {
    for (i, (_, f)) in LAYERS.iter().enumerate() {
        if LAYERS[..i].iter().all(|(_, g)| !std::ptr::fn_addr_eq(*g, *f)) {
            f(a);
        }
    }
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
    let x: Vec<Tensor> =
        if ["Embedding", "ReversibleEmbedding"].contains(&name) { x.iter().map(small).collect() } else { x };

    let name = format!("layer {name}");
    if let Some(visitor) = &mut a.visitor {
        return visitor.network(&name, network, &x);
    }
    a.add(&format!("{name}, inference"), network.forward(&x, &mut Cx::infer()));
    let leaves: Vec<Tensor> = x.iter().map(Tensor::tracked).collect();
    let y = network.forward(&leaves, &mut Cx::train(11, 3)).unwrap();
    a.add(&name, Ok(y.detach()));
    if !y.is_tracked() {
        return;
    }
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
