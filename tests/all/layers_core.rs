//! Tests of merging, core, reshaping and activation layers: masks, empty batches, one row, bad arguments, whole
//! paths, and slow references that do not use the library.

use crate::layer_cases::MaskOf;
use gradus::graph::{Feed, Graph};
use gradus::io::Load;
use gradus::nn::activation::{self, Activation as _, Relu};
use gradus::nn::layers::{
    self, Average, ELU, Identity, LeakyReLU, Minimum, PReLU, Permute, ReLU, RepeatVector,
};
use gradus::nn::{Build as _, DataFormat, IntoLayer, Network, Shared};
use gradus::prelude::{
    Activation, Add, Concatenate, Dense, Dot, Embedding, Fit, Flatten, Functional, Input, Lambda, Masking,
    Maximum, MeanSquaredError, Model, Multiply, Reshape, SGD, Sequential, Softmax,
    SparseCategoricalCrossentropy, Subtract,
};
use gradus::{DType, Result, Tensor};

fn floats(values: &[f64], shape: &[usize]) -> Tensor {
    Tensor::from_slice(values, shape).unwrap()
}

/// Values that repeat nowhere.
fn some(shape: &[usize], salt: usize) -> Tensor {
    let n: usize = shape.iter().product();
    floats(&(0..n).map(|i| ((i + 17 * salt) as f64 * 0.618).fract() - 0.5).collect::<Vec<_>>(), shape)
}

/// A layer as a network in float64, called on inputs of these shapes without the batch.
fn network(layer: impl IntoLayer, shapes: &[&[usize]]) -> Result<Network> {
    let inputs: Vec<Input> = shapes
        .iter()
        .map(|dims| match **dims {
            [] => Input::new([]),
            [a] => Input::new([a]),
            [a, b] => Input::new([a, b]),
            [a, b, c] => Input::new([a, b, c]),
            _ => panic!("{dims:?}"),
        })
        .collect();
    let symbols: Vec<_> = inputs.iter().map(Input::symbol).collect();
    let y = layer.into_layer().on(&symbols)?;
    Functional::new(&symbols, &y)?.dtype(DType::F64).build()
}

fn run(layer: impl IntoLayer, x: &[Tensor]) -> Tensor {
    let shapes: Vec<&[usize]> = x.iter().map(|x| &x.dims()[1..]).collect();
    network(layer, &shapes).unwrap().predict(x).unwrap()
}

fn message(layer: impl IntoLayer, shapes: &[&[usize]]) -> String {
    network(layer, shapes).expect_err("an error").to_string()
}

/// Two sequences `[batch, 3, 1]`, masked where they are 0, merged; and the mask of what comes out.
fn merged(layer: impl IntoLayer, a: &[f64], b: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let (x, y) = (Input::new([3, 1]), Input::new([3, 1]));
    let masked = Masking::new().shared();
    let z = layer.into_layer().on([&masked.on(&x).unwrap(), &masked.on(&y).unwrap()]).unwrap();
    let mask = MaskOf::new().on(&z).unwrap();
    let net = Functional::new([&x, &y], [&z, &mask]).unwrap().dtype(DType::F64).build().unwrap();
    let out = net.predict_all(&[floats(a, &[1, 3, 1]), floats(b, &[1, 3, 1])]).unwrap();
    (out[0].to_vec().unwrap(), out[1].cast(DType::F64).unwrap().to_vec().unwrap())
}

#[test]
fn merging_looks_at_masks_as_keras_does() {
    // Position 0: both count. 1: the first alone. 2: none.
    let (a, b) = ([2.0, -3.0, 0.0], [4.0, 0.0, 0.0]);
    assert_eq!(merged(Maximum::new(), &a, &b).0, [4.0, -3.0, 0.0]);
    assert_eq!(merged(Minimum::new(), &a, &b).0, [2.0, -3.0, 0.0]);
    assert_eq!(merged(Multiply::new(), &a, &b).0, [8.0, -3.0, 0.0]);
    assert_eq!(merged(Add::new(), &a, &b).0, [6.0, -3.0, 0.0]);
    assert_eq!(merged(Average::new(), &a, &b).0, [3.0, -1.5, 0.0]);
    assert_eq!(merged(Subtract::new(), &a, &b).0, [-2.0, -3.0, 0.0]);
    // The mask of the result counts where either does.
    for layer in
        [Maximum::new().shared(), Add::new().shared(), Multiply::new().shared(), Subtract::new().shared()]
    {
        assert_eq!(merged(layer, &a, &b).1, [1.0, 1.0, 0.0]);
    }
}

#[test]
fn products_of_axes_agree_with_loops() {
    // Every pair of axes of ranks 2 and 3, against index by index.
    for (left, right) in [(2, 2), (2, 3), (3, 2), (3, 3)] {
        for i in 1..left {
            for j in 1..right {
                let sizes = |rank: usize, at: usize, other: usize| -> Vec<usize> {
                    (0..rank)
                        .map(|k| {
                            if k == 0 {
                                3
                            } else if k == at {
                                4
                            } else {
                                other
                            }
                        })
                        .collect()
                };
                let (a, b) = (some(&sizes(left, i, 2), 1), some(&sizes(right, j, 5), 2));
                let got = run(Dot::new([i as isize, j as isize]), &[a.clone(), b.clone()]);
                let (p, q): (Vec<f64>, Vec<f64>) = (a.to_vec().unwrap(), b.to_vec().unwrap());
                let (m, n) = (if left == 3 { 2 } else { 1 }, if right == 3 { 5 } else { 1 });
                let index =
                    |rank: usize, at: usize, row: usize, k: usize, other: usize, n: usize| match (rank, at) {
                        (2, _) => row * 4 + k,
                        (_, 1) => (row * 4 + k) * n + other,
                        _ => (row * n + other) * 4 + k,
                    };
                let mut want = Vec::new();
                for row in 0..3 {
                    for u in 0..m {
                        for v in 0..n {
                            let term = |k| p[index(left, i, row, k, u, 2)] * q[index(right, j, row, k, v, 5)];
                            want.push((0..4).map(term).sum::<f64>());
                        }
                    }
                }
                let shape: Vec<usize> = match (left, right) {
                    (2, 2) => vec![3, 1],
                    (2, _) => vec![3, 5],
                    (_, 2) => vec![3, 2],
                    _ => vec![3, 2, 5],
                };
                assert_eq!(got.dims(), shape);
                let got: Vec<f64> = got.to_vec().unwrap();
                assert!(got.iter().zip(&want).all(|(a, b)| (a - b).abs() < 1e-12), "{left} {right} {i} {j}");
            }
        }
    }
    // A vector of zeros has no direction.
    let zeros = run(Dot::new(1).normalize(true), &[some(&[2, 3], 1), floats(&[0.0; 6], &[2, 3])]);
    assert_eq!(zeros.to_vec::<f64>().unwrap(), [0.0, 0.0]);
}

/// Keras's formulas, number by number.
#[test]
fn rectifiers_agree_with_their_formulas() {
    let x = some(&[4, 9], 3).affine(6.0, 0.0).unwrap();
    let each =
        |f: &dyn Fn(f64) -> f64| -> Vec<f64> { x.to_vec::<f64>().unwrap().into_iter().map(f).collect() };
    let close = |layer: Shared, f: &dyn Fn(f64) -> f64| {
        let got: Vec<f64> = run(&layer, std::slice::from_ref(&x)).to_vec().unwrap();
        assert!(got.iter().zip(each(f)).all(|(a, b)| (a - b).abs() < 1e-12), "{layer:?}");
    };
    for (slope, threshold) in [(0.0, 0.0), (0.2, 0.0), (0.0, 0.8), (0.3, 0.8)] {
        for most in [None, Some(1.5), Some(6.0)] {
            let layer = ReLU::new().negative_slope(slope).threshold(threshold);
            let layer = if let Some(most) = most { layer.max_value(most) } else { layer };
            close(layer.shared(), &|x| {
                let below = slope * (x - threshold);
                if x > threshold { x.min(most.unwrap_or(x)) } else { below }
            });
        }
    }
    close(LeakyReLU::new().shared(), &|x| if x > 0.0 { x } else { 0.3 * x });
    close(ELU::new().alpha(0.4).shared(), &|x| if x > 0.0 { x } else { 0.4 * libm::expm1(x) });
    close(Activation::new(activation::LeakyRelu).shared(), &|x| if x > 0.0 { x } else { 0.2 * x });
    close(Activation::new(activation::Threshold::new(0.5, -1.0)).shared(), &|x| {
        if x > 0.5 { x } else { -1.0 }
    });
    assert!(Relu.max_value(-1.0).apply(&x).is_err());
}

#[test]
fn softmax_leaves_out_what_does_not_count() {
    let x = some(&[2, 3], 4);
    let mask = Tensor::from_slice(&[1i64, 0, 1, 0, 0, 0], [2, 3]).unwrap().cast(DType::Bool).unwrap();
    let (logits, given) = (Input::new([3]), Input::new([3]).dtype(DType::Bool));
    let by_place = layers::Softmax::new().on([&logits, &given]).unwrap();
    let by_name = layers::Softmax::new().on((&logits, [("mask", &given)])).unwrap();
    let net =
        Functional::new([&logits, &given], [&by_place, &by_name]).unwrap().dtype(DType::F64).build().unwrap();
    let out = net.predict_all(&[x.clone(), mask]).unwrap();
    assert!(out[0].same_bits(&out[1]));
    let (x, y): (Vec<f64>, Vec<f64>) = (x.to_vec().unwrap(), out[0].to_vec().unwrap());
    let share = 1.0 / (1.0 + libm::exp(x[2] - x[0]));
    assert!((y[0] - share).abs() < 1e-12 && (y[2] - 1.0 + share).abs() < 1e-12 && y[1] == 0.0);
    assert_eq!(y[3..], [0.0; 3], "nothing counts");

    // The mask of a sequence is of its time steps: over time they have no share, over features they are 0.
    let sequence = floats(&[1.0, 2.0, 0.0, 0.0, 3.0, -1.0], &[1, 3, 2]);
    let masked = |axis| Sequential::new().add(Masking::new()).add(layers::Softmax::new().axis(axis));
    let over_time: Vec<f64> = run(masked(1), std::slice::from_ref(&sequence)).to_vec().unwrap();
    assert!((over_time[0] + over_time[4] - 1.0).abs() < 1e-12 && over_time[2..4] == [0.0, 0.0]);
    let over_features: Vec<f64> = run(masked(-1), &[sequence]).to_vec().unwrap();
    assert!((over_features[0] + over_features[1] - 1.0).abs() < 1e-12 && over_features[2..4] == [0.0, 0.0]);

    // Several axes add up to 1 together.
    let both: Vec<f64> = run(layers::Softmax::new().axis([1, 2]), &[some(&[1, 2, 3], 5)]).to_vec().unwrap();
    assert!((both.iter().sum::<f64>() - 1.0).abs() < 1e-12);
}

/// A softmax that is a layer meets its loss as an activation does.
#[test]
fn a_last_softmax_layer_is_joined_with_the_loss() {
    let train = |layered: bool| {
        let dense = Dense::new(3).named("d");
        let stack = Sequential::new().add(Input::new([4]));
        let stack = match layered {
            true => stack.add(dense).add(layers::Softmax::new()),
            false => stack.add(dense.activation(Softmax)),
        };
        let mut model = stack.compile(SGD::new(0.5), SparseCategoricalCrossentropy::new(), ()).unwrap();
        let y = Tensor::from_slice(&[0i64, 1, 2], [3]).unwrap();
        model.train_on_batch(&some(&[3, 4], 1).cast(DType::F32).unwrap(), &y).unwrap();
        model.param("d/kernel").unwrap()
    };
    assert!(train(true).same_bits(&train(false)));
}

#[test]
fn sparsemax_is_the_nearest_point() {
    // 0.75 and 0.25 add up to 1 with τ = 0.25; a single large number takes all.
    let x = floats(&[1.0, 0.5, -2.0, 5.0, 1.0, 0.0], &[2, 3]);
    let y: Vec<f64> = x.sparsemax(-1).unwrap().to_vec().unwrap();
    assert_eq!(y, [0.75, 0.25, 0.0, 1.0, 0.0, 0.0]);
    let y = x.t().unwrap().sparsemax(0).unwrap().t().unwrap();
    assert_eq!(y.to_vec::<f64>().unwrap(), [0.75, 0.25, 0.0, 1.0, 0.0, 0.0]);
    assert_eq!(Tensor::zeros([2, 0]).unwrap().sparsemax(1).unwrap().dims(), [2, 0]);
}

#[test]
fn axes_move_as_they_say() {
    let x = floats(&(0..24).map(f64::from).collect::<Vec<_>>(), &[2, 2, 3, 2]);
    let one = |layer: Shared| run(layer, std::slice::from_ref(&x));
    let y = one(Permute::new([2, 3, 1]).shared());
    assert_eq!(y.dims(), [2, 3, 2, 2]);
    assert!(y.same_bits(&x.permute(&[0, 2, 3, 1]).unwrap().contiguous().unwrap()));
    let first: Vec<f64> =
        one(Flatten::new().data_format(DataFormat::ChannelsFirst).shared()).to_vec().unwrap();
    assert_eq!(first[..4], [0.0, 6.0, 1.0, 7.0], "channels change first");
    let rows: Vec<f64> =
        run(RepeatVector::new(2), &[floats(&[1.0, 2.0, 3.0, 4.0], &[2, 2])]).to_vec().unwrap();
    assert_eq!(rows, [1.0, 2.0, 1.0, 2.0, 3.0, 4.0, 3.0, 4.0]);
    assert_eq!(run(Reshape::new([]), &[floats(&[1.0, 2.0], &[2, 1])]).dims(), [2]);
    assert!(one(Identity::new().shared()).same_bits(&x));
}

#[test]
fn empty_batches_and_one_row() {
    let cases: Vec<(Shared, Vec<&[usize]>)> = vec![
        (Add::new().shared(), vec![&[3, 2], &[2]]),
        (Subtract::new().shared(), vec![&[3], &[3]]),
        (Multiply::new().shared(), vec![&[3], &[3]]),
        (Average::new().shared(), vec![&[3], &[3]]),
        (Maximum::new().shared(), vec![&[3], &[3]]),
        (Minimum::new().shared(), vec![&[3], &[3]]),
        (Concatenate::new().shared(), vec![&[3], &[2]]),
        (Dot::new(-1).shared(), vec![&[3], &[3]]),
        (Dot::new([1, 2]).normalize(true).shared(), vec![&[3, 2], &[4, 3]]),
        (ReLU::new().max_value(1.0).threshold(0.1).shared(), vec![&[3]]),
        (PReLU::new().shared_axes(1).shared(), vec![&[3, 2]]),
        (layers::Softmax::new().axis([1, 2]).shared(), vec![&[3, 2]]),
        (Permute::new([2, 1]).shared(), vec![&[3, 2]]),
        (RepeatVector::new(3).shared(), vec![&[2]]),
        (Reshape::new([-1, 2]).shared(), vec![&[4]]),
        (Flatten::new().shared(), vec![&[2, 2]]),
        (Activation::new(activation::Sparsemax).shared(), vec![&[3]]),
        (Activation::new(activation::Glu).shared(), vec![&[4]]),
    ];
    for (layer, shapes) in cases {
        let net = network(&layer, &shapes).unwrap();
        let data = |rows: usize| -> Vec<Tensor> {
            let shape = |dims: &&[usize]| [&[rows], *dims].concat();
            shapes.iter().enumerate().map(|(i, dims)| some(&shape(dims), i)).collect()
        };
        let three = data(3);
        let all = net.predict(&three).unwrap();
        let first: Vec<Tensor> = three.iter().map(|x| x.slice(0, 0, 1).unwrap()).collect();
        let row = net.predict(&first).unwrap();
        assert!(row.same_bits(&all.slice(0, 0, 1).unwrap()), "{layer:?}: a row depends on its batch");
        let none = net.predict(&data(0)).unwrap();
        assert_eq!(none.dims()[0], 0);
        assert_eq!(none.dims()[1..], all.dims()[1..]);
    }
}

#[test]
fn bad_arguments_say_what_is_allowed() {
    let cases = [
        (
            message(Subtract::new(), &[&[3]]),
            "layer 'subtract' (Subtract): inputs: expected exactly two inputs, got 1",
        ),
        (message(Dot::new(1), &[&[3]]), "layer 'dot' (Dot): inputs: expected exactly two inputs, got 1"),
        (
            message(Dot::new(0), &[&[3], &[3]]),
            "layer 'dot' (Dot): axes: expected axes other than the batch, got 0",
        ),
        (
            message(Dot::new([1, 1, 1]), &[&[3], &[3]]),
            "layer 'dot' (Dot): axes: expected one axis, or one for each input, got 3",
        ),
        (
            message(ReLU::new().max_value(-1.0), &[&[3]]),
            "layer 're_lu' (ReLU): max_value: expected a number of at least 0, got -1",
        ),
        (
            message(ReLU::new().threshold(f64::NAN), &[&[3]]),
            "layer 're_lu' (ReLU): threshold: expected a number of at least 0, got NaN",
        ),
        (
            message(LeakyReLU::new().negative_slope(-0.5), &[&[3]]),
            "layer 'leaky_re_lu' (LeakyReLU): negative_slope: expected a number of at least 0, got -0.5",
        ),
        (
            message(PReLU::new().shared_axes(3), &[&[3, 2]]),
            "layer 'p_re_lu' (PReLU): shared_axes: expected axes from 1 to 2, got 3",
        ),
        (
            message(RepeatVector::new(0), &[&[3]]),
            "layer 'repeat_vector' (RepeatVector): n: expected at least 1, got 0",
        ),
        (
            message(Permute::new([1, 1]), &[&[3, 2]]),
            "layer 'permute' (Permute): dims: expected each of the numbers from 1 to 2 once, got [1, 1]",
        ),
        (
            message(layers::Softmax::new().axis([1, 1]), &[&[3]]),
            "layer 'softmax' (Softmax): axis: expected each axis once, got [1, 1]",
        ),
    ];
    for (got, want) in cases {
        assert_eq!(got, want);
    }
    // Layers that would lose a mask in silence refuse it.
    for layer in [Permute::new([2, 1]).shared(), Lambda::new(|x| x.square()).shared()] {
        let stack = Sequential::new().add(Input::new([3, 2])).add(Masking::new()).add(layer).build();
        assert!(stack.unwrap_err().to_string().contains("an input without a mask"));
    }
    let table = Tensor::zeros([3, 2]).unwrap();
    let wrong = Embedding::new(4, 2).weights(&table).unwrap();
    assert_eq!(
        message(wrong, &[&[3]]),
        "layer 'embedding' (Embedding): weights: expected a table [4, 2], got [3, 2]"
    );
}

#[test]
fn a_table_can_be_given() {
    let table = some(&[4, 2], 6).cast(DType::F32).unwrap();
    let embedding = Embedding::new(4, 2).weights(&table).unwrap().frozen();
    let net = Sequential::new().add(Input::new([3])).add(embedding).seed(9).build().unwrap();
    assert!(net.param("embedding/embeddings").unwrap().same_bits(&table));
    let again = Network::from_bytes(&net.to_bytes().unwrap(), Load::new()).unwrap();
    assert!(again.param("embedding/embeddings").unwrap().same_bits(&table));
}

#[test]
fn a_lambda_trains_but_is_not_saved() {
    let stack = Sequential::new()
        .add(Input::new([3]))
        .add(Dense::new(2))
        .add(Lambda::new(|x| x.square()).named("squares"));
    let mut model = stack.compile(SGD::new(0.1), MeanSquaredError::new(), ()).unwrap();
    let (x, y) = (Tensor::ones([4, 3]).unwrap(), Tensor::ones([4, 2]).unwrap());
    model.fit(&x, &y, Fit::new().epochs(2).verbose(0)).unwrap();
    let error = model.to_bytes().unwrap_err().to_string();
    assert!(
        error.contains("layer 'squares' (Lambda) is a function of the program, which no file can hold"),
        "{error}"
    );
    assert!(Graph::of_network(&model, &[x.spec()]).is_ok());
}

/// A model of all of them trains, is saved, loaded and captured: the same bits.
#[test]
fn a_model_of_all_goes_the_whole_path() {
    let x = Input::new([4]);
    let a = PReLU::new().on(&Dense::new(6).on(&x).unwrap()).unwrap();
    let b = LeakyReLU::new().on(&Dense::new(6).on(&x).unwrap()).unwrap();
    let parts = [
        Add::new().on([&a, &b]).unwrap(),
        Subtract::new().on([&a, &b]).unwrap(),
        Multiply::new().on([&a, &b]).unwrap(),
        Average::new().on([&a, &b]).unwrap(),
        Maximum::new().on([&a, &b]).unwrap(),
        Minimum::new().on([&a, &b]).unwrap(),
    ];
    let all = Concatenate::new().on(&parts[..]).unwrap();
    let sequence = RepeatVector::new(2).on(&ELU::new().on(&all).unwrap()).unwrap();
    let turned = Permute::new([2, 1]).on(&sequence).unwrap();
    let scores =
        layers::Softmax::new().axis(1).on(&Dot::new([2, 1]).on([&sequence, &turned]).unwrap()).unwrap();
    let rest = ReLU::new().negative_slope(0.1).on(&Flatten::new().on(&scores).unwrap()).unwrap();
    let y = Dense::new(1)
        .on(&Concatenate::new().on([&rest, &Identity::new().on(&all).unwrap()]).unwrap())
        .unwrap();
    let network = Functional::new(&x, &y).unwrap().seed(5);
    let mut model = network.compile(SGD::new(0.01), MeanSquaredError::new(), ()).unwrap();
    let data = some(&[8, 4], 1).cast(DType::F32).unwrap();
    model.fit(&data, &Tensor::ones([8, 1]).unwrap(), Fit::new().epochs(3).verbose(0)).unwrap();
    let want = model.predict(&data).unwrap();
    let again = Model::from_bytes(&model.to_bytes().unwrap(), Load::new()).unwrap();
    assert!(again.predict(&data).unwrap().same_bits(&want));
    let graph = Graph::of_network(&model, &[data.spec()]).unwrap();
    assert!(graph.run(&Feed::new(&data).parameters(&*model)).unwrap()[0].same_bits(&want));
}

/// Sizes so large that no memory holds the weights are errors of the layer's own settings; no reader's limits are meant.
#[test]
fn sizes_that_no_memory_holds_are_refused_by_their_names() {
    use gradus::nn::layers::*;
    use gradus::prelude::{Conv2D, LSTM};
    let stack = |input: Input, layer: Shared| Sequential::new().add(input).add(layer).build().err();
    let image = |layer: Shared| stack(Input::new([6, 6, 4]), layer);
    let steps = |layer: Shared| stack(Input::new([6, 4]), layer);
    let ids = |layer: Shared| stack(Input::new([3]), layer);
    let looking = |layer: Shared| {
        let x = Input::new([6, 4]);
        layer.on([&x, &x]).err()
    };
    for n in [usize::MAX, usize::MAX - 1, usize::MAX / 2, 1 << 60] {
        let refused = [
            ("filters, kernel_size", image(Conv2D::new(n, 3).shared())),
            ("filters, kernel_size", image(Conv2D::new(n, 3).use_bias(false).shared())),
            ("filters, kernel_size", image(Conv2D::new(3, n).padding("same").shared())),
            ("filters, kernel_size", steps(Conv1D::new(3, n).shared())),
            ("filters, kernel_size", image(Conv2DTranspose::new(n, 3).shared())),
            ("filters, kernel_size", image(Conv2DTranspose::new(3, n).shared())),
            ("depth_multiplier", image(DepthwiseConv2D::new(3).depth_multiplier(n).shared())),
            ("kernel_size", image(DepthwiseConv2D::new(n).shared())),
            ("filters", image(SeparableConv2D::new(n, 3).shared())),
            ("kernel_size", image(SeparableConv2D::new(3, n).shared())),
            ("filters", image(ConvLSTM1D::new(n, 3).shared())),
            ("kernel_size", image(ConvLSTM1D::new(3, n).padding("same").shared())),
            ("units", steps(Dense::new(n).shared())),
            ("units", steps(Dense::new(n).use_bias(false).shared())),
            ("output_shape", steps(EinsumDense::new("abc,cd->abd", [6, n]).shared())),
            ("input_dim, output_dim", ids(Embedding::new(n, 4).shared())),
            ("input_dim, output_dim", ids(Embedding::new(4, n).shared())),
            ("sequence_length", steps(PositionEmbedding::new(n).shared())),
            ("units", steps(LSTM::new(n).shared())),
            ("units", steps(GRU::new(n).shared())),
            ("units", steps(SimpleRNN::new(n).shared())),
            ("intermediate_dim", steps(TransformerEncoder::new(n, 2).shared())),
            ("num_heads, key_dim", looking(MultiHeadAttention::new(n, 3).shared())),
            ("num_heads, key_dim", looking(MultiHeadAttention::new(2, n).shared())),
            ("num_heads, value_dim", looking(MultiHeadAttention::new(2, 3).value_dim(n).shared())),
            ("output_shape", looking(MultiHeadAttention::new(2, 3).output_shape(n).shared())),
            ("num_query_heads, head_dim", looking(GroupQueryAttention::new(n, 2, 1).shared())),
            ("pool", image(MaxPooling2D::new().pool_size(n).shared())),
        ];
        for (setting, e) in refused {
            let e = e.unwrap_or_else(|| panic!("{setting} of {n} is accepted")).to_string();
            let named = setting.split(", ").any(|setting| e.contains(setting));
            assert!(named && !e.contains("Limits") && !e.contains("parameter"), "{setting} of {n}: {e}");
        }
    }
    let e = image(Conv2D::new(3, usize::MAX).shared()).unwrap().to_string();
    let want = format!(
        "filters, kernel_size: expected sizes whose weights some memory can hold, got a weight [{0}, {0}, 4, 3]",
        usize::MAX
    );
    assert!(e.ends_with(&want), "{e}");
}
