//! Tests of convolutional layers: what they refuse, and what they do with no rows, one row, unknown sizes, and
//! files.

use crate::files::folder;
use crate::layer_cases::Masked;
use gradus::graph::{Feed, Graph};
use gradus::nn::layers::{
    Conv1D, Conv1DTranspose, Conv2D, Conv2DTranspose, Conv3D, Conv3DTranspose, ConvLSTM1D, ConvLSTM2D,
    ConvLSTM3D, DepthwiseConv1D, DepthwiseConv2D, SeparableConv1D, SeparableConv2D,
};
use gradus::nn::{DataFormat, IntoLayer};
use gradus::ops::Padding;
use gradus::ops::conv::Convolution;
use gradus::prelude::*;

fn points(shape: &[usize]) -> Tensor {
    let n = shape.iter().product::<usize>();
    let values: Vec<f64> = (0..n).map(|i| ((i + 7) as f64 * 0.618_034).fract() * 2.0 - 1.0).collect();
    Tensor::from_slice(&values, shape).unwrap().cast(DType::F32).unwrap()
}

/// Each layer with odd settings, and the shape of its samples.
fn all() -> Vec<(Sequential, Vec<usize>)> {
    let stack = |layer: gradus::nn::Shared, sample: &[usize]| {
        let input = match *sample {
            [a, b] => Input::new([a, b]),
            [a, b, c] => Input::new([a, b, c]),
            [a, b, c, d] => Input::new([a, b, c, d]),
            [a, b, c, d, e] => Input::new([a, b, c, d, e]),
            _ => panic!("{sample:?}"),
        };
        (Sequential::new().add(input).add(layer).seed(5), sample.to_vec())
    };
    let (same, first) = (Padding::Same, DataFormat::ChannelsFirst);
    vec![
        stack(Conv1D::new(4, 3).groups(2).padding(Padding::Causal).activation(Relu).into_layer(), &[7, 4]),
        stack(Conv2D::new(3, [3, 2]).strides([2, 1]).padding(same.clone()).into_layer(), &[5, 6, 2]),
        stack(Conv2D::new(3, 2).data_format(first).activation(Softmax).into_layer(), &[2, 4, 5]),
        stack(Conv3D::new(2, 2).dilation_rate([1, 2, 1]).into_layer(), &[3, 4, 3, 2]),
        stack(Conv1DTranspose::new(3, 3).strides(2).output_padding(1).into_layer(), &[4, 2]),
        stack(
            Conv2DTranspose::new(3, 3).strides(2).padding(same.clone()).activation(Tanh).into_layer(),
            &[3, 4, 2],
        ),
        stack(Conv3DTranspose::new(2, 2).strides([1, 2, 1]).into_layer(), &[2, 2, 3, 2]),
        stack(ConvLSTM1D::new(2, 3).padding(same.clone()).return_sequences(true).into_layer(), &[3, 4, 2]),
        stack(
            ConvLSTM2D::new(2, 2).data_format(first).dropout(0.2).recurrent_dropout(0.1).into_layer(),
            &[3, 1, 3, 4],
        ),
        stack(ConvLSTM3D::new(1, [1, 2, 2]).go_backwards(true).into_layer(), &[2, 2, 3, 2, 1]),
        stack(DepthwiseConv1D::new(2).depth_multiplier(2).data_format(first).into_layer(), &[3, 5]),
        stack(DepthwiseConv2D::new(3).padding(same.clone()).activation(Silu).into_layer(), &[4, 5, 3]),
        stack(SeparableConv1D::new(3, 2).depth_multiplier(2).into_layer(), &[5, 2]),
        stack(SeparableConv2D::new(3, 3).strides(2).padding(same).activation(Relu).into_layer(), &[5, 4, 2]),
    ]
}

#[test]
fn rows_are_predicted_alone_together_and_not_at_all() {
    for (stack, sample) in all() {
        let network = stack.build().unwrap();
        let x = points(&[&[5], &sample[..]].concat());
        let y = network.predict(&x).unwrap();
        assert_eq!(y.dims()[1..], network.output_specs()[0].shape.dims()[1..], "{network:?}");
        for i in 0..5 {
            let row = |t: &Tensor| t.slice(0, i, i + 1).unwrap();
            assert!(network.predict(&row(&x)).unwrap().same_bits(&row(&y)), "row {i} of {network:?}");
        }
        let none = network.predict(&x.slice(0, 0, 0).unwrap()).unwrap();
        assert_eq!((none.dims()[0], &none.dims()[1..]), (0, &y.dims()[1..]));
    }
}

#[test]
fn trained_saved_read_and_captured() {
    let dir = folder("layers-conv");
    for (i, (stack, sample)) in all().into_iter().enumerate() {
        let network = stack.add(Flatten::new()).add(Dense::new(2)).seed(5);
        let mut model = network.compile(Adam::new(0.01), MeanSquaredError::new(), ()).unwrap();
        let (x, y) = (points(&[&[6], &sample[..]].concat()), points(&[6, 2]));
        let history = model.fit(&x, &y, Fit::new().epochs(8).verbose(0)).unwrap();
        assert!(history["loss"][7] < history["loss"][0], "{model:?}");
        let want = model.predict(&x).unwrap();
        let path = dir.join(format!("{i}.gradus"));
        model.save(&path).unwrap();
        let again = Model::load(&path).unwrap();
        assert!(again.predict(&x).unwrap().same_bits(&want), "{model:?}");
        let graph = Graph::of_network(&again, &[x.spec()]).unwrap();
        let feed = Feed::new(&x).parameters(&again);
        assert!(graph.run(&feed).unwrap()[0].same_bits(&want), "{model:?}");
    }
}

/// One network for images of every size, and its gradient.
#[test]
fn sizes_may_be_unknown() {
    let (same, valid) = (Padding::Same, Padding::Valid);
    let network = Sequential::new()
        .add(Input::with_unknown([None, None, Some(2)]))
        .add(Conv2D::new(4, 3).strides(2).padding(same.clone()).activation(Relu))
        .add(DepthwiseConv2D::new(2).padding(same.clone()))
        .add(SeparableConv2D::new(3, 3).padding(same.clone()))
        .add(Conv2DTranspose::new(1, 3).strides(2).padding(same))
        .add(Conv2D::new(2, 2).padding(valid))
        .build()
        .unwrap();
    assert_eq!(network.output_specs()[0].shape.to_string(), "[None, None, None, 2]");
    assert_eq!(network.predict(&points(&[1, 9, 12, 2])).unwrap().dims(), [1, 9, 11, 2]);
    assert_eq!(network.predict(&points(&[2, 6, 5, 2])).unwrap().dims(), [2, 5, 5, 2]);
}

#[track_caller]
fn refused(layer: impl IntoLayer, sample: [usize; 3], message: &str) {
    let e = layer.into_layer().on(&Input::new(sample)).unwrap_err().to_string();
    let (_, e) = e.split_once(": ").unwrap();
    assert_eq!(e, message);
}

#[test]
fn settings_that_mean_nothing_are_refused_by_their_names() {
    let x = [6, 6, 4];
    refused(Conv2D::new(0, 3), x, "filters: expected at least 1, got 0");
    refused(Conv2D::new(2, [3, 0]), x, "kernel_size: expected numbers of at least 1, got [3, 0]");
    refused(Conv2D::new(2, 3).strides([0, 1]), x, "strides: expected numbers of at least 1, got [0, 1]");
    refused(
        Conv2D::new(2, 3).dilation_rate(0),
        x,
        "dilation_rate: expected numbers of at least 1, got [0, 0]",
    );
    refused(
        Conv2D::new(2, 3).strides([1, 2]).dilation_rate([2, 1]),
        x,
        "dilation_rate: expected 1 along every axis with strides [1, 2], got [2, 1]",
    );
    refused(Conv2D::new(2, 3).groups(0), x, "groups: expected at least 1, got 0");
    refused(Conv2D::new(3, 3).groups(2), x, "groups: expected a number that divides the 3 filters, got 2");
    refused(
        Conv2D::new(3, 3).groups(3),
        x,
        "groups: expected a number that divides the 4 channels of the input, got 3",
    );
    refused(
        Conv2D::new(3, 3).padding(Padding::Causal),
        x,
        "padding: expected valid or same where there are several spatial axes, got causal",
    );
    refused(
        Conv2D::new(3, 7),
        x,
        "conv: expected a window that fits into spatial axis 0 of 6 elements (padding valid), got one that reaches over 7",
    );
    refused(Conv1D::new(3, 2), x, "Conv1D: expected [batch, steps, channels], got shape [None, 6, 6, 4]");
    refused(
        Conv3D::new(3, 2).data_format(DataFormat::ChannelsFirst),
        x,
        "Conv3D: expected [batch, channels, depth, height, width], got shape [None, 6, 6, 4]",
    );
    refused(Conv2DTranspose::new(0, 3), x, "filters: expected at least 1, got 0");
    refused(
        Conv2DTranspose::new(1, 3).padding(Padding::Causal),
        x,
        "padding: expected valid or same, got causal",
    );
    refused(
        Conv2DTranspose::new(1, 3).strides([2, 1]).output_padding([1, 1]),
        x,
        "output_padding: expected numbers below the strides, [2, 1], got [1, 1]",
    );
    refused(
        Conv2DTranspose::new(1, 3).strides(2).dilation_rate(2),
        x,
        "dilation_rate: expected 1 along every axis with strides [2, 2], got [2, 2]",
    );
    refused(DepthwiseConv2D::new(3).depth_multiplier(0), x, "depth_multiplier: expected at least 1, got 0");
    refused(
        SeparableConv2D::new(3, 3).padding(Padding::Causal),
        x,
        "padding: expected valid or same, got causal",
    );
    refused(SeparableConv2D::new(0, 3), x, "filters: expected at least 1, got 0");
    refused(
        SeparableConv2D::new(2, 3).depth_multiplier(0),
        x,
        "depth_multiplier: expected at least 1, got 0",
    );
}

#[test]
fn a_mask_is_not_lost_in_silence() {
    let x = Input::new([5, 3]);
    let masked = Masking::new().on(&x).unwrap();
    let e = Conv1D::new(2, 2).on(&masked).unwrap_err().to_string();
    assert!(e.contains("layer 'conv1d' (Conv1D)") && e.contains("mask"), "{e}");
}

// ---- ConvLSTM

/// Step by step, with the operations of the formula.
#[test]
fn a_conv_lstm_is_its_formula() {
    let layer = ConvLSTM1D::new(2, 3).strides(2).return_sequences(true).return_state(true);
    let input = Input::new([3, 7, 2]);
    let outputs = layer.on_all(&input).unwrap();
    let network = Functional::new(&input, &outputs).unwrap().seed(2).build().unwrap();
    let x = points(&[2, 3, 7, 2]);
    let w = |name: &str| network.param(&format!("conv_lstm1d/cell/{name}")).unwrap();
    let (kernel, recurrent, bias) = (w("kernel"), w("recurrent_kernel"), w("bias"));
    assert_eq!((kernel.dims(), recurrent.dims()), (&[3, 2, 8][..], &[3, 2, 8][..]));
    assert_eq!(bias.to_vec::<f32>().unwrap(), [0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
    let (valid, same) = (Convolution::new().strides([2]), Convolution::new().padding(Padding::Same));
    let mut h = Tensor::zeros([2, 3, 2]).unwrap();
    let (mut c, mut all) = (h.clone(), Vec::new());
    for t in 0..3 {
        let z = x.select(1, t).unwrap().conv(&kernel, None, None, &valid).unwrap().add(&bias).unwrap();
        let z = z.add(&h.conv(&recurrent, None, None, &same).unwrap()).unwrap();
        let part = |i: isize| z.slice(-1, 2 * i, 2 * i + 2).unwrap();
        let (i, f, o) = (part(0).sigmoid().unwrap(), part(1).sigmoid().unwrap(), part(3).sigmoid().unwrap());
        c = f.mul(&c).unwrap().add(&i.mul(&part(2).tanh().unwrap()).unwrap()).unwrap();
        h = o.mul(&c.tanh().unwrap()).unwrap();
        all.push(h.clone());
    }
    let got = network.predict_all(&x).unwrap();
    let all = Tensor::stack(&all.iter().collect::<Vec<_>>(), 1).unwrap();
    for (got, want) in got.iter().zip([all, h, c]) {
        assert!(got.same_bits(&want), "{got} instead of {want}");
    }
}

/// Where the mask is false states stay, and the output is the one before.
#[test]
fn steps_that_do_not_count_are_left_out() {
    let layer = ConvLSTM1D::new(2, 2).padding(Padding::Same).return_sequences(true);
    let input = Input::new([4, 3, 1]);
    let plain = Functional::new(&input, &layer.on(&input).unwrap()).unwrap().seed(2).build().unwrap();
    let layer = ConvLSTM1D::new(2, 2).padding(Padding::Same).return_sequences(true);
    let (input, mask) = (Input::new([4, 3, 1]), Input::new([4]).dtype(DType::Bool));
    let masked = layer.on(&Masked::new().on([&input, &mask]).unwrap()).unwrap();
    let masked = Functional::new([&input, &mask], &masked).unwrap().seed(2).build().unwrap();
    let x = points(&[1, 4, 3, 1]);
    let keep = Tensor::from_slice(&[true, false, true, false], [1, 4]).unwrap();
    let got = masked.predict(&[x.clone(), keep]).unwrap();
    // The steps that count, alone.
    let step = |t: &Tensor, i: isize| t.slice(1, i, i + 1).unwrap();
    let none = step(&x, 0).affine(0.0, 0.0).unwrap();
    let short = Tensor::concat(&[&step(&x, 0), &step(&x, 2), &none, &none], 1).unwrap();
    let want = plain.predict(&short).unwrap();
    for (i, from) in [(0, 0), (1, 0), (2, 1), (3, 1)] {
        assert!(step(&got, i).same_bits(&step(&want, from)), "step {i}");
    }
}

#[test]
fn a_stateful_conv_lstm_goes_on() {
    let stack = |time: usize, stateful: bool| {
        let layer = ConvLSTM2D::new(2, 2).padding(Padding::Same).stateful(stateful);
        Sequential::new().add(Input::new([time, 3, 3, 1])).add(layer).seed(4).build().unwrap()
    };
    let (whole, part) = (stack(4, false), stack(2, true));
    let x = points(&[2, 4, 3, 3, 1]);
    let mut session = gradus::nn::Session::new();
    part.predict_in(&mut session, &x.slice(1, 0, 2).unwrap()).unwrap();
    let got = part.predict_in(&mut session, &x.slice(1, 2, 4).unwrap()).unwrap();
    assert!(got.same_bits(&whole.predict(&x).unwrap()));
}

#[test]
fn settings_of_a_conv_lstm_are_refused_by_their_names() {
    let x = Input::new([3, 6, 6, 4]);
    let message = |layer: ConvLSTM2D| {
        let e = layer.on(&x).unwrap_err().to_string();
        e.split_once(": ").unwrap().1.to_string()
    };
    assert_eq!(message(ConvLSTM2D::new(0, 3)), "filters: expected at least 1, got 0");
    assert_eq!(
        message(ConvLSTM2D::new(1, 3).padding(Padding::Causal)),
        "padding: expected valid or same, got causal"
    );
    assert_eq!(
        message(ConvLSTM2D::new(1, 3).strides(2).dilation_rate(2)),
        "dilation_rate: expected 1 along every axis with strides [2, 2], got [2, 2]"
    );
    assert_eq!(message(ConvLSTM2D::new(1, 3).dropout(1.0)), "dropout: expected 0 <= dropout < 1, got 1");
    assert_eq!(
        message(ConvLSTM2D::new(1, 3).recurrent_dropout(-0.5)),
        "recurrent_dropout: expected 0 <= recurrent_dropout < 1, got -0.5"
    );
    let e = ConvLSTM3D::new(1, 2).on(&x).unwrap_err().to_string();
    assert!(e.contains("ConvLSTM3D: expected sequences of images, with 6 axes in all"), "{e}");
}

/// In the file of a layer, where files from before it do not have it.
#[test]
fn winograd_is_a_setting() {
    use gradus::config::{Configured, Described, Registry};
    let layer = Conv2D::new(32, 3).padding(Padding::Same);
    let mut config = layer.config().unwrap();
    assert_eq!(config.as_object_mut().unwrap().remove("winograd"), Some(true.into()));
    let old = Conv2D::from_config(config, &Registry::new()).unwrap();
    let off = layer.clone().winograd(false);
    assert_eq!(off.config().unwrap()["winograd"], false);
    let x = points(&[2, 8, 8, 32]);
    let [with, old, without] = [layer, old, off].map(|layer| {
        Sequential::new().add(Input::new([8, 8, 32])).add(layer).seed(4).build().unwrap().predict(&x).unwrap()
    });
    assert!(with.same_bits(&old) && !with.same_bits(&without));
    let (a, b) = (with.to_vec::<f32>().unwrap(), without.to_vec::<f32>().unwrap());
    assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-5));
}
