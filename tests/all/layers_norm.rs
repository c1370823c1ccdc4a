//! Tests of layers that normalize and layers that draw noise, for what parity with Keras does not show: slow
//! references, the mean of what is drawn and by which axes, masks, empty batches, bad arguments, files and graphs.

use gradus::graph::Graph;
use gradus::io::Load;
use gradus::nn::layers::{
    ActivityRegularization, AlphaDropout, BatchNormalization, GaussianDropout, GaussianNoise,
    GroupNormalization, LayerNormalization, RMSNormalization, RenormClipping, SpatialDropout1D,
    SpatialDropout2D, SpatialDropout3D, SpectralNormalization, UnitNormalization,
};
use gradus::nn::{Build, Cx, DataFormat, IntoLayer, Network};
use gradus::prelude::*;
use gradus::random::{Purpose, Stream};
use gradus::with_threads;

fn random(seed: u64, shape: &[usize]) -> Tensor {
    Tensor::randn(shape, Stream::new(seed, Purpose::User(0), 0)).unwrap()
}

fn input(sizes: &[usize]) -> Input {
    match *sizes {
        [a] => Input::new([a]),
        [a, b] => Input::new([a, b]),
        [a, b, c] => Input::new([a, b, c]),
        [a, b, c, d] => Input::new([a, b, c, d]),
        _ => panic!("{sizes:?}"),
    }
}

/// A network of one layer for samples of these sizes.
fn alone(layer: impl IntoLayer, sizes: &[usize]) -> gradus::Result<Network> {
    let x = input(sizes);
    Functional::new(&x, &layer.into_layer().on(&x)?)?.seed(4).build()
}

fn train(network: &Network, x: &Tensor, step: u64) -> Vec<f32> {
    network.forward(x, &mut Cx::train(9, step)).unwrap().to_vec().unwrap()
}

fn close(got: &[f32], want: &[f64], what: &str) {
    assert_eq!(got.len(), want.len(), "{what}");
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        assert!((f64::from(*got) - want).abs() < 2e-5, "{what} at {i}: {got} {want}");
    }
}

// ---- naive twins over odd shapes

/// `(x - mean) / √(var + ε)` where elements of one class are normalized together.
fn twin(x: &Tensor, epsilon: f64, class: impl Fn(usize) -> usize) -> Vec<f64> {
    let x: Vec<f64> = x.to_vec::<f32>().unwrap().iter().map(|v| f64::from(*v)).collect();
    let of = |c: usize, f: &dyn Fn(f64) -> f64| {
        let members: Vec<f64> =
            x.iter().enumerate().filter(|(i, _)| class(*i) == c).map(|(_, v)| f(*v)).collect();
        members.iter().sum::<f64>() / members.len() as f64
    };
    let value = |(i, v): (usize, &f64)| {
        let mean = of(class(i), &|v| v);
        (v - mean) / (of(class(i), &|v| (v - mean) * (v - mean)) + epsilon).sqrt()
    };
    x.iter().enumerate().map(value).collect()
}

#[test]
fn groups_are_what_keras_says_they_are() {
    for (rows, time, channels) in [(1, 1, 6), (2, 3, 6), (3, 5, 6)] {
        let x = random(1, &[rows, time, channels]);
        let row = |i: usize| i / (time * channels);
        for groups in [1, 2, 3, 6] {
            let network =
                alone(GroupNormalization::new().groups(groups as isize), &[time, channels]).unwrap();
            let class = |i: usize| row(i) * groups + i % channels / (channels / groups);
            let got = network.predict(&x).unwrap().to_vec::<f32>().unwrap();
            close(&got, &twin(&x, 1e-3, class), &format!("{groups} groups of {rows}x{time}"));
        }
        let network = alone(BatchNormalization::new(), &[time, channels]).unwrap();
        close(&train(&network, &x, 0), &twin(&x, 1e-3, |i| i % channels), "batch");
        let network = alone(BatchNormalization::new().axis(1), &[time, channels]).unwrap();
        close(&train(&network, &x, 0), &twin(&x, 1e-3, |i| i / channels % time), "batch, axis 1");
        let network = alone(LayerNormalization::new().axis([1, 2]), &[time, channels]).unwrap();
        close(&train(&network, &x, 0), &twin(&x, 1e-3, row), "layer");
        let network = alone(LayerNormalization::new().axis(1), &[time, channels]).unwrap();
        let got = network.predict(&x).unwrap().to_vec::<f32>().unwrap();
        close(&got, &twin(&x, 1e-3, |i| row(i) * channels + i % channels), "layer, axis 1");
    }
}

#[test]
fn inference_is_one_multiply_add() {
    let mut network = alone(BatchNormalization::new().axis(1), &[3, 2]).unwrap();
    let values = |v: [f32; 3]| Tensor::from_slice(&v, [3]).unwrap();
    let parts = [
        ("gamma", values([0.3, -1.7, 2.9])),
        ("beta", values([0.1, 0.2, -0.7])),
        ("moving_mean", values([-0.4, 5.1, 0.33])),
        ("moving_variance", values([0.77, 3.1, 1e-3])),
    ];
    let named: Vec<(String, Tensor)> =
        parts.iter().map(|(name, t)| (format!("batch_normalization/{name}"), t.clone())).collect();
    network.set_params(&named).unwrap();
    let [gamma, beta, mean, variance] = parts.map(|(_, t)| t);
    let s = gamma.div(&variance.affine(1.0, 1e-3).unwrap().sqrt().unwrap()).unwrap();
    let t = beta.sub(&mean.mul(&s).unwrap()).unwrap();
    let x = random(2, &[5, 3, 2]);
    let want = x.moveaxis(1, -1).unwrap().mul_add(&s, &t).unwrap().moveaxis(-1, 1).unwrap();
    assert!(network.predict(&x).unwrap().same_bits(&want));
    // A row does not see the others.
    let row = x.slice(0, 3, 4).unwrap();
    assert!(network.predict(&row).unwrap().same_bits(&want.slice(0, 3, 4).unwrap()));
}

#[test]
fn the_largest_singular_value_becomes_one() {
    let layer = SpectralNormalization::new(Dense::new(4).use_bias(false)).power_iterations(100);
    let mut network = alone(layer, &[5]).unwrap();
    let stored = network.param("spectral_normalization/layer/kernel").unwrap();
    let before = network.param("spectral_normalization/vector_u").unwrap();
    let eye = Tensor::arange(5).unwrap().one_hot(5, DType::F32).unwrap();
    let mut cx = Cx::train(0, 0);
    let kernel = network.forward(&eye, &mut cx).unwrap();
    cx.finish().apply(&mut network).unwrap();
    // The largest eigenvalue of KᵀK, by powers of it.
    let square = kernel.t().unwrap().matmul(&kernel).unwrap();
    let mut v = Tensor::ones([4, 1]).unwrap();
    for _ in 0..200 {
        v = square.matmul(&v).unwrap();
        v = v.div(&v.norm(2.0, &[], false).unwrap()).unwrap();
    }
    let largest = square.matmul(&v).unwrap().norm(2.0, &[], false).unwrap().item().unwrap();
    assert!((largest - 1.0).abs() < 1e-4, "{largest}");
    // The stored kernel stays, the vector moves, and inference computes with the same kernel without moving it.
    assert!(network.param("spectral_normalization/layer/kernel").unwrap().same_bits(&stored));
    let moved = network.param("spectral_normalization/vector_u").unwrap();
    assert!(!moved.same_bits(&before));
    let off = network.predict(&eye).unwrap().sub(&kernel).unwrap().abs().unwrap().max(&[], false).unwrap();
    assert!(off.item().unwrap() < 1e-5);
    assert!(network.param("spectral_normalization/vector_u").unwrap().same_bits(&moved));
}

#[test]
fn spectral_normalization_works_under_a_checkpoint() {
    use gradus::nn::layers::Checkpoint;
    let model = |checkpoint: bool| {
        let block = || {
            Sequential::new().named("block").add(SpectralNormalization::new(Dense::new(4))).add(Dense::new(1))
        };
        let stack = Sequential::new().add(Input::new([3]));
        let stack = if checkpoint { stack.add(Checkpoint::new(block())) } else { stack.add(block()) };
        let mut model = stack.seed(5).compile(SGD::new(0.1), MeanSquaredError::new(), ()).unwrap();
        for step in 0..3 {
            model.train_on_batch(&random(step, &[6, 3]), &random(step + 9, &[6, 1])).unwrap();
        }
        model.params().into_iter().map(|(_, t)| t).collect::<Vec<_>>()
    };
    let (plain, again) = (model(false), model(true));
    assert!(plain.iter().zip(&again).all(|(a, b)| a.same_bits(b)) && plain.len() == 5);
}

// ---- what is drawn

/// Mean and variance.
fn moments(v: &[f32]) -> (f64, f64) {
    let n = v.len() as f64;
    let mean = v.iter().map(|v| f64::from(*v)).sum::<f64>() / n;
    let off = |v: &f32| f64::from(*v) - mean;
    (mean, v.iter().map(|v| off(v) * off(v)).sum::<f64>() / n)
}

#[test]
fn noise_has_the_moments_that_it_should() {
    let ones = Tensor::ones([100, 400]).unwrap();
    let normal = random(3, &[100, 400]);
    let drawn = |layer: gradus::nn::Shared, x: &Tensor| train(&alone(layer, &[400]).unwrap(), x, 0);
    let noise = drawn(GaussianNoise::new(0.3).shared(), &Tensor::zeros([100, 400]).unwrap());
    let (mean, variance) = moments(&noise);
    assert!(mean.abs() < 0.01 && (variance - 0.09).abs() < 0.003, "{mean} {variance}");

    let (mean, variance) = moments(&drawn(GaussianDropout::new(0.2).shared(), &ones));
    assert!((mean - 1.0).abs() < 0.01 && (variance - 0.25).abs() < 0.01, "{mean} {variance}");

    let dropped = drawn(Dropout::new(0.3).shared(), &ones);
    let zeros = dropped.iter().filter(|v| **v == 0.0).count() as f64 / 40_000.0;
    assert!((zeros - 0.3).abs() < 0.01, "{zeros}");
    assert!(dropped.iter().all(|v| *v == 0.0 || (f64::from(*v) - 1.0 / 0.7).abs() < 1e-6));

    // Standard normal numbers keep mean and variance; what was dropped has one value.
    let kept = drawn(AlphaDropout::new(0.3).shared(), &normal);
    let (mean, variance) = moments(&kept);
    assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.03, "{mean} {variance}");
    let lowest: f64 = -1.673_263_242_354_377_2 * 1.050_700_987_355_480_5;
    let a = 1.0 / (0.7 * (1.0 + 0.3 * lowest * lowest)).sqrt();
    let value = a * lowest - a * lowest * 0.3;
    let share = kept.iter().filter(|v| (f64::from(**v) - value).abs() < 1e-6).count() as f64 / 40_000.0;
    assert!((share - 0.3).abs() < 0.01, "{share}");
}

/// Whether all elements that `class` throws together were dropped together or kept together, and some of both.
fn together(out: &[f32], class: impl Fn(usize) -> usize) {
    let mut seen = std::collections::BTreeMap::new();
    for (i, v) in out.iter().enumerate() {
        assert_eq!(*seen.entry(class(i)).or_insert(*v == 0.0), *v == 0.0, "element {i}");
    }
    let dropped = seen.values().filter(|d| **d).count();
    assert!(dropped > 0 && dropped < seen.len(), "{dropped} of {}", seen.len());
}

#[test]
fn one_draw_serves_the_axes_that_share_it() {
    let draw = |layer: gradus::nn::Shared, sizes: &[usize]| {
        let x = Tensor::ones(&[&[4], sizes].concat()[..]).unwrap();
        train(&alone(layer, sizes).unwrap(), &x, 0)
    };
    let channel = |n: usize, c: usize| move |i: usize| i / n * c + i % c;
    together(&draw(SpatialDropout1D::new(0.5).shared(), &[5, 6]), channel(30, 6));
    together(&draw(SpatialDropout2D::new(0.5).shared(), &[3, 2, 6]), channel(36, 6));
    together(&draw(SpatialDropout3D::new(0.5).shared(), &[2, 3, 2, 6]), channel(72, 6));
    let first = SpatialDropout2D::new(0.5).data_format(DataFormat::ChannelsFirst);
    together(&draw(first.shared(), &[6, 3, 2]), |i| i / 6);
    let first = SpatialDropout3D::new(0.5).data_format(DataFormat::ChannelsFirst);
    together(&draw(first.shared(), &[6, 3, 2, 2]), |i| i / 12);
    let noise = Dropout::new(0.5).noise_shape(vec![Some(1), None, Some(6)]);
    together(&draw(noise.shared(), &[5, 6]), |i| i % 30);
    // Sizes of the last axes are for all that stand before them, and the batch may be said.
    together(&draw(Dropout::new(0.5).noise_shape(vec![Some(6)]).shared(), &[5, 6]), |i| i % 6);
    let said = Dropout::new(0.5).noise_shape(vec![Some(4), Some(1), Some(6)]).shared();
    together(&draw(said.clone(), &[5, 6]), channel(30, 6));
    let other = alone(said, &[5, 6]).unwrap();
    let why = other.forward(&Tensor::ones([3, 5, 6]).unwrap(), &mut Cx::train(0, 0)).unwrap_err().to_string();
    assert!(why.contains("noise_shape: expected 3 or None at axis 0 for this input, got 4"), "{why}");
    // All of a sample, whatever its numbers: infinity is dropped too.
    let network = alone(Dropout::new(0.5).noise_shape(vec![None, Some(1)]), &[3]).unwrap();
    let x = Tensor::full([40, 3], f32::INFINITY).unwrap();
    together(&train(&network, &x, 0), |i| i / 3);
}

#[test]
fn draws_do_not_depend_on_threads_and_change_with_steps() {
    let layers: [(&str, gradus::nn::Shared); 5] = [
        ("GaussianNoise", GaussianNoise::new(0.3).shared()),
        ("GaussianDropout", GaussianDropout::new(0.3).shared()),
        ("AlphaDropout", AlphaDropout::new(0.3).shared()),
        ("SpatialDropout1D", SpatialDropout1D::new(0.3).shared()),
        ("BatchNormalization", BatchNormalization::new().shared()),
    ];
    let x = random(5, &[33, 70, 90]);
    for (name, layer) in layers {
        let network = alone(layer, &[70, 90]).unwrap();
        let one = with_threads(1, || train(&network, &x, 0)).unwrap();
        for threads in [2, 5] {
            assert!(
                with_threads(threads, || train(&network, &x, 0)).unwrap() == one,
                "{name}, {threads} threads"
            );
        }
        assert_eq!(train(&network, &x, 1) != one, name != "BatchNormalization", "{name}");
    }
}

// ---- masks, empty batches, one row

#[test]
fn masks_go_through_but_where_keras_loses_them() {
    let message = |layer: gradus::nn::Shared| {
        let tokens = Input::new([4]).dtype(DType::I64);
        let h = Embedding::new(9, 6).mask_zero(true).on(&tokens).unwrap();
        let masked = layer.on(&h).map(|_| ());
        masked.map_err(|e| e.to_string())
    };
    for layer in [
        BatchNormalization::new().shared(),
        LayerNormalization::new().shared(),
        GroupNormalization::new().groups(2).shared(),
        RMSNormalization::new().shared(),
        UnitNormalization::new().shared(),
        Dropout::new(0.5).noise_shape(vec![None, Some(1), None]).shared(),
        SpatialDropout1D::new(0.5).shared(),
        GaussianNoise::new(0.5).shared(),
        GaussianDropout::new(0.5).shared(),
        AlphaDropout::new(0.5).shared(),
        ActivityRegularization::new().shared(),
    ] {
        assert_eq!(message(layer), Ok(()));
    }
    let text = message(SpectralNormalization::new(Dense::new(2)).shared()).unwrap_err();
    assert!(text.contains("mask: expected an input without a mask"), "{text}");
}

#[test]
fn padding_does_not_enter_the_statistics() {
    let tokens = Input::new([4]).dtype(DType::I64);
    let h = Embedding::new(9, 3).mask_zero(true).on(&tokens).unwrap();
    let y = BatchNormalization::new().momentum(0.5).on(&h).unwrap();
    let mut network = Functional::new(&tokens, &y).unwrap().seed(2).build().unwrap();
    let moved = |network: &mut Network, tokens: &[i64], shape: [usize; 2]| {
        let mut cx = Cx::train(0, 0);
        network.forward(&Tensor::from_slice(tokens, shape).unwrap(), &mut cx).unwrap();
        let mut after = network.clone();
        cx.finish().apply(&mut after).unwrap();
        ["moving_mean", "moving_variance"]
            .map(|name| after.param(&format!("batch_normalization/{name}")).unwrap().to_vec::<f32>().unwrap())
    };
    let padded = moved(&mut network, &[1, 2, 0, 0, 3, 0, 0, 0, 4, 5, 6, 7], [3, 4]);
    let packed = moved(
        &mut network,
        &[1, 2, 3, 4, 5, 6, 7, 1, 2, 3, 4, 5, 6, 7, 1, 2, 3, 4, 5, 6, 7, 1, 2, 3, 4, 5, 6, 7],
        [7, 4],
    );
    for (a, b) in padded.iter().flatten().zip(packed.iter().flatten()) {
        assert!((a - b).abs() < 1e-6, "{padded:?} {packed:?}");
    }
}

#[test]
fn empty_batches_and_single_rows() {
    let every: [(&str, gradus::nn::Shared); 13] = [
        ("BatchNormalization", BatchNormalization::new().shared()),
        ("LayerNormalization", LayerNormalization::new().axis([1, 2]).shared()),
        ("GroupNormalization", GroupNormalization::new().groups(2).shared()),
        ("RMSNormalization", RMSNormalization::new().shared()),
        ("UnitNormalization", UnitNormalization::new().shared()),
        ("SpectralNormalization", SpectralNormalization::new(Dense::new(3)).shared()),
        ("Dropout", Dropout::new(0.4).noise_shape(vec![None, Some(1), None]).shared()),
        ("Dropout, all", Dropout::new(1.0).shared()),
        ("SpatialDropout1D", SpatialDropout1D::new(0.4).shared()),
        ("GaussianNoise", GaussianNoise::new(0.4).shared()),
        ("GaussianDropout", GaussianDropout::new(0.4).shared()),
        ("AlphaDropout", AlphaDropout::new(0.4).shared()),
        ("ActivityRegularization", ActivityRegularization::new().l1(0.5).shared()),
    ];
    for (name, layer) in every {
        let network = alone(layer, &[3, 4]).unwrap();
        let empty = Tensor::zeros([0, 3, 4]).unwrap();
        assert_eq!(network.predict(&empty).unwrap().dims()[..2], [0, 3], "{name}");
        let y = network.forward(&empty, &mut Cx::train(0, 0));
        match name {
            "BatchNormalization" => {
                let text = y.unwrap_err().to_string();
                assert!(text.contains("at least one element to take statistics of"), "{text}");
            }
            _ => assert_eq!(y.unwrap().dims()[..2], [0, 3], "{name}"),
        }
        // A row is what it is among others, in inference.
        let x = random(7, &[5, 3, 4]);
        let all = network.predict(&x).unwrap();
        let row = network.predict(&x.slice(0, 2, 3).unwrap()).unwrap();
        assert!(row.same_bits(&all.slice(0, 2, 3).unwrap()), "{name}");
        assert!(train(&network, &x.slice(0, 2, 3).unwrap(), 0).iter().all(|v| v.is_finite()), "{name}");
    }
}

#[test]
fn zeros_have_no_length_and_a_finite_gradient() {
    let x = Tensor::zeros([1, 3]).unwrap().tracked();
    let network = alone(UnitNormalization::new(), &[3]).unwrap();
    let y = network.forward(&x, &mut Cx::infer()).unwrap();
    assert_eq!(y.to_vec::<f32>().unwrap(), [0.0; 3]);
    let g = y.sum(&[], false).unwrap().backward().unwrap();
    assert!(g.get(&x).unwrap().to_vec::<f32>().unwrap().iter().all(|g| g.is_finite()));
}

// ---- frozen

#[test]
fn a_frozen_layer_normalizes_as_in_inference() {
    let network = alone(BatchNormalization::new().frozen(), &[3]).unwrap();
    let x = random(8, &[6, 3]);
    let mut cx = Cx::train(0, 0);
    let y = network.forward(&x, &mut cx).unwrap();
    assert!(y.same_bits(&network.predict(&x).unwrap()));
    let mut after = network.clone();
    cx.finish().apply(&mut after).unwrap();
    assert!(network.params().iter().zip(after.params()).all(|((_, a), (_, b))| a.same_bits(&b)));
}

// ---- bad arguments

#[test]
fn bad_arguments_are_named() {
    let message =
        |layer: gradus::nn::Shared, sizes: &[usize]| alone(layer, sizes).map(|_| ()).unwrap_err().to_string();
    let mut out = String::new();
    let mut add = |text: String| out += &(text + "\n");
    add(message(BatchNormalization::new().axis(3).shared(), &[2, 3]));
    add(message(BatchNormalization::new().axis(0).shared(), &[2, 3]));
    add(message(BatchNormalization::new().epsilon(-1.0).shared(), &[3]));
    let renorm = |clipping| BatchNormalization::new().renorm(true).renorm_clipping(clipping).shared();
    add(message(renorm(RenormClipping::new().rmin(2.0).rmax(1.0)), &[3]));
    add(message(renorm(RenormClipping::new().dmax(-1.0)), &[3]));
    add(message(LayerNormalization::new().axis([]).shared(), &[3]));
    add(message(LayerNormalization::new().axis([1, -1]).shared(), &[3]));
    add(message(LayerNormalization::new().axis(-3).shared(), &[3]));
    add(message(GroupNormalization::new().shared(), &[4, 6]));
    add(message(GroupNormalization::new().groups(0).shared(), &[4, 6]));
    add(message(GroupNormalization::new().groups(2).axis(0).shared(), &[4, 6]));
    add(message(RMSNormalization::new().epsilon(f64::NAN).shared(), &[3]));
    add(message(UnitNormalization::new().axis(5).shared(), &[3]));
    add(message(SpectralNormalization::new(Dense::new(2)).power_iterations(0).shared(), &[3]));
    add(message(SpectralNormalization::new(Flatten::new()).shared(), &[3]));
    add(message(Dropout::new(1.5).shared(), &[3]));
    add(message(Dropout::new(0.5).noise_shape(vec![None; 3]).shared(), &[3]));
    add(message(Dropout::new(0.5).noise_shape(vec![None, Some(2)]).shared(), &[3]));
    add(message(Dropout::new(0.5).noise_shape(vec![Some(0), None]).shared(), &[3]));
    add(message(SpatialDropout1D::new(0.5).shared(), &[3]));
    add(message(SpatialDropout2D::new(-0.5).shared(), &[3, 2, 2]));
    add(message(SpatialDropout2D::new(0.5).data_format(DataFormat::ChannelsFirst).shared(), &[3]));
    add(message(GaussianNoise::new(1.5).shared(), &[3]));
    add(message(GaussianDropout::new(1.0).shared(), &[3]));
    add(message(AlphaDropout::new(1.0).shared(), &[3]));
    add(message(ActivityRegularization::new().l1(-1.0).shared(), &[3]));
    let want = "\
layer 'batch_normalization' (BatchNormalization): BatchNormalization: axis 3 is out of range for shape [None, 2, 3]
layer 'batch_normalization' (BatchNormalization): BatchNormalization: expected inputs whose size at axis 0 is known and not 0, got shape [None, 2, 3]
layer 'batch_normalization' (BatchNormalization): epsilon: expected a finite number of 0 or more, got -1
layer 'batch_normalization' (BatchNormalization): renorm_clipping: expected rmax of at least rmin, which is 2, got 1
layer 'batch_normalization' (BatchNormalization): renorm_clipping: expected dmax of at least 0, got -1
layer 'layer_normalization' (LayerNormalization): axis: expected at least one axis, got none
layer 'layer_normalization' (LayerNormalization): LayerNormalization: expected each axis once, got [1, -1]
layer 'layer_normalization' (LayerNormalization): LayerNormalization: axis -3 is out of range for shape [None, 3]
layer 'group_normalization' (GroupNormalization): groups: expected a number that divides the 6 channels, or -1, got 32
layer 'group_normalization' (GroupNormalization): groups: expected a number that divides the 6 channels, or -1, got 0
layer 'group_normalization' (GroupNormalization): axis: expected an axis other than the batch, got 0
layer 'rms_normalization' (RMSNormalization): epsilon: expected a finite number of 0 or more, got NaN
layer 'unit_normalization' (UnitNormalization): UnitNormalization: axis 5 is out of range for shape [None, 3]
layer 'spectral_normalization' (SpectralNormalization): power_iterations: expected at least 1, got 0
layer 'spectral_normalization' (SpectralNormalization): layer: expected one with a parameter named kernel or embeddings, got Flatten
layer 'dropout' (Dropout): rate: expected 0 <= rate <= 1, got 1.5
layer 'dropout' (Dropout): noise_shape: expected a size for each of the 2 axes of inputs [None, 3], got [None, None, None]
layer 'dropout' (Dropout): noise_shape: expected 1, 3 or None at axis 1, got [None, 2]
layer 'dropout' (Dropout): noise_shape: expected 1, None or a size at axis 0, got [0, None]
layer 'spatial_dropout1d' (SpatialDropout1D): SpatialDropout1D: expected [batch, steps, channels], got shape [None, 3]
layer 'spatial_dropout2d' (SpatialDropout2D): rate: expected 0 <= rate <= 1, got -0.5
layer 'spatial_dropout2d' (SpatialDropout2D): SpatialDropout2D: expected [batch, channels, height, width], got shape [None, 3]
layer 'gaussian_noise' (GaussianNoise): stddev: expected 0 <= stddev <= 1, got 1.5
layer 'gaussian_dropout' (GaussianDropout): rate: expected 0 <= rate < 1, got 1
layer 'alpha_dropout' (AlphaDropout): rate: expected 0 <= rate < 1, got 1
layer 'activity_regularization' (ActivityRegularization): l1: expected a finite number of 0 or more, got -1
";
    assert_eq!(out, want, "\n{out}");
    // A mask of all axes but the last is one of the input; another is none.
    let x = Input::new([2, 3, 4]);
    let y = gradus::nn::layers::Masking::new().on(&x).unwrap();
    assert!(BatchNormalization::new().on(&y).is_ok());
    let flat = gradus::nn::layers::Concatenate::new().on([&y, &y]).unwrap();
    assert!(BatchNormalization::new().on(&flat).is_ok());
}

// ---- the whole way

#[test]
fn trained_models_are_saved_loaded_and_captured() {
    let mut model = Sequential::new()
        .add(Input::new([6, 4]))
        .add(SpatialDropout1D::new(0.2))
        .add(
            BatchNormalization::new().renorm(true).renorm_clipping(RenormClipping::new().rmax(3.0).dmax(5.0)),
        )
        .add(GroupNormalization::new().groups(2))
        .add(GaussianNoise::new(0.1))
        .add(LayerNormalization::new().axis([1, 2]))
        .add(AlphaDropout::new(0.1).noise_shape(vec![None, Some(1), None]))
        .add(Flatten::new())
        .add(BatchNormalization::new())
        .add(SpectralNormalization::new(Dense::new(5).activation(Tanh)))
        .add(GaussianDropout::new(0.1))
        .add(RMSNormalization::new())
        .add(ActivityRegularization::new().l2(1e-3))
        .add(UnitNormalization::new())
        .add(Dropout::new(0.1))
        .add(Dense::new(1))
        .seed(3)
        .compile(Adam::new(0.01), MeanSquaredError::new(), ())
        .unwrap();
    let (x, y) = (random(1, &[32, 6, 4]), random(2, &[32, 1]));
    let first = model.evaluate(&x, &y).unwrap()["loss"];
    model.fit(&x, &y, Fit::new().epochs(30).batch_size(16).verbose(0)).unwrap();
    assert!(model.evaluate(&x, &y).unwrap()["loss"] < first);

    let mut again = Model::from_bytes(&model.to_bytes().unwrap(), Load::new()).unwrap();
    assert!(again.predict(&x).unwrap().same_bits(&model.predict(&x).unwrap()));
    assert_eq!(again.summary_table().to_string(), model.summary_table().to_string());
    let graph = Graph::of_network(&model, &[x.spec()]).unwrap();
    let feed = gradus::graph::Feed::new(&x).parameters(&*model);
    assert!(graph.run(&feed).unwrap()[0].same_bits(&model.predict(&x).unwrap()));
    // The step that comes next, as a graph and by both models.
    let graph = Graph::of_step(&model, &[x.spec()], &[y.spec()], None).unwrap();
    let results = graph.run(&gradus::graph::Feed::new(&[x.clone(), y.clone()]).next_step_of(&model)).unwrap();
    let loss = results[graph.position(&gradus::graph::Output::Loss).unwrap()].item().unwrap();
    let a = model.train_on_batch(&x, &y).unwrap()["loss"];
    let b = again.train_on_batch(&x, &y).unwrap()["loss"];
    assert!(a == b && (a - loss).abs() < 1e-6, "{a} {b} {loss}");
    assert_eq!(model.weight_bytes().unwrap(), again.weight_bytes().unwrap());
}
