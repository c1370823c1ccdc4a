//! Writes networks as ONNX, with inputs and what gradus predicts for them, for `tests/interop/run` to compare with ONNX Runtime:
//! every configuration of every layer in the parity suite, its whole models, the applications, networks like the examples', and
//! sequences of several lengths. Does nothing unless `GRADUS_ONNX` names a folder.

use crate::layer_cases::{build, every_case};
use crate::parity_models::MODELS;
use gradus::applications::*;
use gradus::io::npz;
use gradus::nn::layers::*;
use gradus::nn::{Network, Symbol};
use gradus::onnx::Export;
use gradus::ops::Padding::{Causal, Same};
use gradus::prelude::*;
use gradus::{Result, Spec, UNKNOWN};
use std::path::PathBuf;

fn folder() -> Option<PathBuf> {
    Some(PathBuf::from(std::env::var_os("GRADUS_ONNX")?))
}

fn opset() -> i64 {
    std::env::var("GRADUS_ONNX_OPSET").ok().and_then(|v| v.parse().ok()).unwrap_or(17)
}

/// Numbers between -1 and 1 that do not repeat, or small whole numbers, or truth values.
fn data(spec: Spec, phase: f64) -> Tensor {
    let n = spec.shape.elements();
    let wave = |i: usize| libm::cos(i as f64 * 0.7 + phase);
    let values: Vec<f64> = match spec.dtype {
        dtype if dtype.is_float() => (0..n).map(wave).collect(),
        DType::Bool => (0..n).map(|i| f64::from(i % 5 != 3)).collect(),
        _ => (0..n).map(|i| ((i * 5 + phase as usize) % 6) as f64).collect(),
    };
    Tensor::from_slice(&values, spec.shape).unwrap().cast(spec.dtype).unwrap()
}

/// Inputs for a network whose batch and other unknown sizes are these.
fn inputs(network: &Network, batch: usize, other: &[usize]) -> Vec<Tensor> {
    let mut all = Vec::new();
    for (number, mut spec) in network.input_specs().into_iter().enumerate() {
        let mut other = other.iter();
        let size = |(axis, n): (usize, &usize)| match (*n, axis) {
            (UNKNOWN, 0) => batch,
            (UNKNOWN, _) => *other.next().unwrap(),
            (n, _) => n,
        };
        let sizes: Vec<usize> = spec.shape.dims().iter().enumerate().map(size).collect();
        spec.shape = gradus::Shape::new(&sizes).unwrap();
        let x = data(spec, number as f64);
        let few = network.input_names().nth(number).is_some_and(|name| name.contains("segment"));
        all.push(if few { x.remainder(&x.new_full([], 2.0).unwrap()).unwrap() } else { x });
    }
    all
}

/// Gives running statistics and biases values that show.
fn stir(network: &mut Network) {
    let values: Vec<(String, Tensor)> = network
        .params()
        .into_iter()
        .enumerate()
        .map(|(i, (path, p))| {
            let by = data(Spec::new(*p.shape(), p.dtype()), i as f64);
            let by = if p.rank() < 2 { by.scale(0.2).unwrap() } else { by.scale(0.01).unwrap() };
            (path, p.add(&by).unwrap())
        })
        .collect();
    network.set_params(&values).unwrap();
}

/// Writes a network with its predictions for several inputs.
fn save(
    name: &str,
    network: &Network,
    all: &[Vec<Tensor>],
    export: impl Fn(Export<'_>) -> Export<'_>,
) -> Result<()> {
    let Some(folder) = folder() else { return Ok(()) };
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
    let folder = folder.join(name.chars().map(plain).take(120).collect::<String>());
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("name.txt"), name).unwrap();
    export(Export::new(network).opset(opset())).write(folder.join("model.onnx"))?;
    for (run, x) in all.iter().enumerate() {
        let y = network.predict_all(x)?;
        let given = network.input_names().map(|name| format!("x.{name}")).zip(x);
        let results = network.output_names().map(|name| format!("y.{name}")).zip(&y);
        let arrays: Vec<(String, &Tensor)> = given.chain(results).collect();
        let arrays: Vec<(&str, &Tensor)> = arrays.iter().map(|(name, t)| (name.as_str(), *t)).collect();
        npz::write(folder.join(format!("{run}.npz")), &arrays)?;
    }
    Ok(())
}

#[test]
fn every_layer_is_written() {
    if folder().is_none() {
        return;
    }
    let mut number = 0;
    every_case(|pack, what, case| {
        number += 1;
        let built = build(pack, case, DType::F32)?;
        let again = |n: usize| -> Result<Vec<Tensor>> {
            built
                .data
                .iter()
                .map(|t| match n {
                    0 => t.slice(0, 0, 1)?.contiguous(),
                    1 => Ok(t.clone()),
                    _ => Tensor::concat(&[t, t], 0),
                })
                .collect()
        };
        let runs = [again(0)?, again(1)?, again(2)?];
        save(&format!("{number:04} {what}"), &built.network, &runs, |e| e)
    });
}

#[test]
fn whole_models_are_written() {
    for (name, make, _) in MODELS {
        let mut network = make(DType::F32).unwrap();
        stir(&mut network);
        let runs = [1, 3, 8].map(|batch| inputs(&network, batch, &[]));
        save(&format!("model {name}"), &network, &runs, |e| e).unwrap_or_else(|e| panic!("{name}: {e}"));
    }
}

fn check(name: &str, network: Result<Network>, sizes: &[&[usize]]) {
    let mut network = network.unwrap();
    stir(&mut network);
    let runs: Vec<Vec<Tensor>> = [1, 2, 5]
        .iter()
        .flat_map(|&batch| {
            let network = &network;
            sizes.iter().map(move |other| inputs(network, batch, other))
        })
        .collect();
    save(name, &network, &runs, |e| e).unwrap_or_else(|e| panic!("{name}: {e}"));
}

#[test]
fn applications_are_written() {
    let whole = std::env::var_os("GRADUS_ONNX_WHOLE").is_some();
    if folder().is_none() {
        return;
    }
    let small = [40, 36, 3];
    check("application ResNet18", ResNet18::new().input_shape(small).classes(7).build(), &[&[]]);
    check("application ResNet50", ResNet50::new().input_shape(small).classes(7).build(), &[&[]]);
    check("application ResNet50V2", ResNet50V2::new().input_shape(small).classes(7).build(), &[&[]]);
    check("application MobileNetV2", MobileNetV2::new().input_shape(small).classes(7).build(), &[&[]]);
    check("application VGG16", VGG16::new().input_shape([33, 34, 3]).classes(7).build(), &[&[]]);
    let vision =
        VisionTransformer::new().patch_size(8).num_layers(2).num_heads(2).hidden_dim(16).intermediate_dim(32);
    check("application VisionTransformer", vision.input_shape([40, 32, 3]).classes(7).build(), &[&[]]);
    let any: &[&[usize]] = &[&[40, 36], &[64, 33], &[35, 97]];
    check("application ResNet18 of any size", ResNet18::new().include_top(false).pooling("avg").build(), any);
    check("application MobileNetV2 of any size", MobileNetV2::new().include_top(false).build(), any);
    check("application UNet", UNet::new([16, 24, 3], 2).filters(4).depth(2).build(), &[&[]]);
    let bert = || {
        Bert::new()
            .vocabulary_size(40)
            .num_layers(2)
            .num_heads(2)
            .hidden_dim(16)
            .intermediate_dim(32)
            .max_sequence_length(512)
    };
    check("application Bert", bert().build(), &[&[6], &[1], &[17]]);
    check("application Bert with a mask", bert().padding_mask(true).build(), &[&[6], &[3], &[17]]);
    let gpt = || {
        GPT2::new()
            .vocabulary_size(40)
            .num_layers(2)
            .num_heads(2)
            .hidden_dim(16)
            .intermediate_dim(32)
            .max_sequence_length(512)
    };
    check("application GPT2", gpt().build(), &[&[6], &[1], &[17]]);
    check("application GPT2, last token", gpt().last_token(true).build(), &[&[6], &[1], &[17]]);
    if whole {
        check("whole ResNet50", ResNet50::new().build(), &[&[]]);
        check("whole MobileNetV2", MobileNetV2::new().build(), &[&[]]);
        check("whole VGG16", VGG16::new().build(), &[&[]]);
        check("whole Bert", Bert::new().build(), &[&[9]]);
        check("whole GPT2", GPT2::new().build(), &[&[9]]);
    }
}

/// A stack over sequences of unknown length.
fn sequences(width: usize) -> Sequential {
    Sequential::new().add(Input::with_unknown([None, Some(width)]).named("x"))
}

fn tokens() -> Sequential {
    Sequential::new().add(Input::with_unknown([None]).dtype(DType::I64).named("ids"))
}

#[test]
fn sequences_of_any_length_are_written() {
    let lengths: &[&[usize]] = &[&[5], &[8], &[23]];
    let mut number = 0;
    let mut add = |net: Sequential| {
        number += 1;
        check(&format!("length {number}"), net.build(), lengths);
    };
    add(sequences(3).add(LSTM::new(4)));
    add(sequences(3).add(LSTM::new(4).return_sequences(true)).add(Dense::new(2)));
    add(sequences(3).add(LSTM::new(4).return_sequences(true).go_backwards(true)));
    add(sequences(3).add(GRU::new(4).return_sequences(true)).add(GRU::new(3)));
    add(sequences(3).add(GRU::new(4).reset_after(false)));
    add(sequences(3).add(SimpleRNN::new(4).return_sequences(true)).add(SimpleRNN::new(3).go_backwards(true)));
    add(sequences(3).add(Bidirectional::new(LSTM::new(4).return_sequences(true))));
    add(sequences(3).add(Bidirectional::new(GRU::new(4))));
    add(sequences(3).add(Masking::new()).add(LSTM::new(4).return_sequences(true)).add(LSTM::new(3)));
    add(tokens()
        .add(Embedding::new(6, 4).mask_zero(true))
        .add(LSTM::new(4).return_sequences(true))
        .add(LSTM::new(3)));
    add(tokens().add(Embedding::new(6, 4).mask_zero(true)).add(GRU::new(4).go_backwards(true)));
    add(tokens()
        .add(Embedding::new(6, 4).mask_zero(true))
        .add(Bidirectional::new(GRU::new(3).reset_after(false).return_sequences(true))));
    add(tokens().add(Embedding::new(6, 4).mask_zero(true)).add(Bidirectional::new(SimpleRNN::new(3))));
    add(tokens().add(Embedding::new(6, 4)).add(GlobalAveragePooling1D::new()));
    add(tokens().add(Embedding::new(6, 4).mask_zero(true)).add(GlobalAveragePooling1D::new()));
    add(sequences(3).add(Conv1D::new(4, 3).activation(Relu)).add(GlobalMaxPooling1D::new()));
    add(sequences(3)
        .add(Conv1D::new(4, 3).padding(Same))
        .add(BatchNormalization::new())
        .add(Conv1D::new(2, 2).padding(Causal).dilation_rate(2)));
    add(sequences(3).add(Conv1D::new(4, 3).padding(Same).strides(2)).add(MaxPooling1D::new()));
    add(sequences(3).add(Conv1D::new(4, 2)).add(AveragePooling1D::new(2).padding(Same)).add(LSTM::new(2)));
    add(sequences(3).add(Conv1DTranspose::new(4, 3).strides(2).padding(Same)).add(UpSampling1D::new()));
    add(sequences(4)
        .add(SeparableConv1D::new(4, 3))
        .add(LayerNormalization::new())
        .add(ZeroPadding1D::new().padding(2)));
    add(sequences(4).add(Dense::new(6).activation(Gelu)).add(Dense::new(2).activation(Softmax)));
    add(sequences(4).add(Cropping1D::new().cropping((1, 2))).add(GroupNormalization::new().groups(2)));
    add(sequences(4).add(Permute::new([2, 1])).add(Permute::new([2, 1])).add(RMSNormalization::new()));
    let attend = |causal: bool, mask: bool| -> Result<Network> {
        let ids = Input::with_unknown([None]).dtype(DType::I64).named("ids");
        let h = Embedding::new(6, 8).mask_zero(mask).on(&ids)?;
        let a = MultiHeadAttention::new(2, 4).use_causal_mask(causal).on([&h, &h])?;
        let h = LayerNormalization::new().on(&Add::new().on([&h, &a])?)?;
        Functional::new(&ids, &Dense::new(3).on(&h)?)?.build()
    };
    for (causal, mask) in [(false, false), (true, false), (false, true), (true, true)] {
        check(&format!("attention causal {causal} mask {mask}"), attend(causal, mask), lengths);
    }
    let grouped = || -> Result<Network> {
        let x = Input::with_unknown([None, Some(8)]).named("x");
        let a = GroupQueryAttention::new(4, 4, 2).use_causal_mask(true).on([&x, &x])?;
        Functional::new(&x, &a)?.build()
    };
    check("attention grouped", grouped(), lengths);
    let images: &[&[usize]] = &[&[8, 9], &[11, 16], &[17, 10]];
    let pictures = || Sequential::new().add(Input::with_unknown([None, None, Some(3)]));
    check(
        "images 1",
        pictures()
            .add(Conv2D::new(4, 3).strides(2).padding(Same))
            .add(MaxPooling2D::new().padding(Same))
            .build(),
        images,
    );
    check(
        "images 2",
        pictures().add(Conv2D::new(4, 3)).add(UpSampling2D::new().interpolation("bilinear")).build(),
        images,
    );
    check(
        "images 3",
        pictures().add(DepthwiseConv2D::new(3)).add(Conv2DTranspose::new(2, 3).strides(2)).build(),
        images,
    );
    check(
        "images 4",
        pictures().add(Conv2D::new(4, 2)).add(GlobalAveragePooling2D::new()).add(Dense::new(2)).build(),
        images,
    );
}

#[test]
fn networks_like_the_examples_are_written() {
    let residual = |x: &Symbol, filters: usize, stride: usize| -> Result<Symbol> {
        let conv = |filters, stride| Conv2D::new(filters, 3).strides(stride).padding(Same).use_bias(false);
        let h = Activation::new(Relu).on(&BatchNormalization::new().on(&conv(filters, stride).on(x)?)?)?;
        let h = BatchNormalization::new().on(&conv(filters, 1).on(&h)?)?;
        let short = match stride {
            1 => x.clone(),
            _ => BatchNormalization::new()
                .on(&Conv2D::new(filters, 1).strides(stride).use_bias(false).on(x)?)?,
        };
        Activation::new(Relu).on(&Add::new().on([&h, &short])?)
    };
    let cifar = || -> Result<Network> {
        let x = Input::new([32, 32, 3]).named("image");
        let h = Activation::new(Relu).on(&Conv2D::new(8, 3).padding(Same).on(&x)?)?;
        let h = residual(&residual(&h, 8, 1)?, 16, 2)?;
        let h = GlobalAveragePooling2D::new().on(&h)?;
        Functional::new(&x, &Dense::new(10).activation(Softmax).on(&h)?)?.build()
    };
    check("example cifar_resnet", cifar(), &[&[]]);
    let mnist = Sequential::new()
        .add(Input::new([784]))
        .add(Dense::new(64).activation(Relu))
        .add(Dense::new(64).activation(Relu));
    check("example mnist", mnist.add(Dense::new(10).activation(Softmax)).build(), &[&[]]);
    let cnn = Sequential::new()
        .add(Input::new([28, 28, 1]))
        .add(Conv2D::new(8, 3).activation(Relu))
        .add(MaxPooling2D::new())
        .add(Conv2D::new(16, 3).activation(Relu))
        .add(MaxPooling2D::new())
        .add(Flatten::new())
        .add(Dropout::new(0.5))
        .add(Dense::new(10).activation(Softmax));
    check("example mnist_cnn", cnn.build(), &[&[]]);
    check("example user's struct", Subclass::new([Input::new([6]).named("x")], Gate::new()).build(), &[&[]]);
    let text = tokens().add(Embedding::new(6, 8)).add(LSTM::new(16)).add(Dense::new(6).activation(Softmax));
    check("example sequence_lstm", text.build(), &[&[5], &[9], &[2]]);
}

/// A struct of the program's own: two layers, one of which opens the other.
#[derive(Clone, Debug)]
struct Gate {
    inner: Part,
    gate: Part,
}
gradus::parts!(Gate { inner, gate });
impl Gate {
    fn new() -> Gate {
        Gate {
            inner: Part::new(Dense::new(5).activation(Tanh)),
            gate: Part::new(Dense::new(5).activation(Sigmoid)),
        }
    }
}
impl Layer for Gate {
    fn forward(&self, x: &Tensor, cx: &mut Cx) -> Result<Tensor> {
        let inner = self.inner.forward(x, cx)?;
        let open = self.gate.forward(x, cx)?;
        let positions = x.new_full([x.dims()[0], 5], 0.5)?;
        inner.mul(&open)?.add(&positions)
    }
}
