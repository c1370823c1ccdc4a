//! Writes networks as ONNX, with inputs and what gradus predicts for them, for `tests/interop/run` to compare with ONNX Runtime:
//! every configuration of every layer in the parity suite, its whole models, the applications, networks like the examples', and
//! sequences of several lengths, and operations whose form is more than an operator of ONNX. Does nothing unless `GRADUS_ONNX` names a folder.

use crate::layer_cases::{build, every_case};
use crate::parity_models::MODELS;
use gradus::applications::*;
use gradus::autograd::{Grads, Op, Specs, Step, apply};
use gradus::io::npz;
use gradus::nn::layers::*;
use gradus::nn::{Network, Symbol};
use gradus::onnx::{Export, Field};
use gradus::ops::Padding::{Causal, Same};
use gradus::ops::conv::Convolution;
use gradus::ops::matmul::Fused;
use gradus::prelude::*;
use gradus::tensor::Array;
use gradus::{Result, Shape, Spec, UNKNOWN};
use std::path::PathBuf;

fn folder() -> Option<PathBuf> {
    Some(PathBuf::from(std::env::var_os("GRADUS_ONNX")?))
}

/// Whether fewer sizes are asked for: those of `.ci/run interop`.
fn light() -> bool {
    std::env::var_os("GRADUS_ONNX_LIGHT").is_some()
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
        let runs = if light() { vec![again(1)?] } else { vec![again(0)?, again(1)?, again(2)?] };
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
    check_with(name, network, sizes, |e| e);
}

fn check_with(
    name: &str,
    network: Result<Network>,
    sizes: &[&[usize]],
    how: impl for<'e> Fn(Export<'e>) -> Export<'e>,
) {
    let mut network = network.unwrap_or_else(|e| panic!("{name}: {e}"));
    stir(&mut network);
    let (batches, sizes) =
        if light() { (&[3][..], &sizes[..sizes.len().min(2)]) } else { (&[1, 2, 5][..], sizes) };
    let runs: Vec<Vec<Tensor>> = batches
        .iter()
        .flat_map(|&batch| {
            let network = &network;
            sizes.iter().map(move |other| inputs(network, batch, other))
        })
        .collect();
    save(name, &network, &runs, how).unwrap_or_else(|e| panic!("{name}: {e}"));
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

/// Adds layers to a stack.
type Stack = fn(Sequential) -> Sequential;

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
    add(sequences(3).add(TimeDistributed::new(Dense::new(4).activation(Tanh))).add(LSTM::new(2)));
    add(sequences(3)
        .add(Masking::new())
        .add(TimeDistributed::new(BatchNormalization::new()))
        .add(GRU::new(2)));
    let step = || {
        Sequential::new()
            .add(Input::new([4]))
            .add(Dense::new(5).activation(Relu))
            .add(LayerNormalization::new())
    };
    add(sequences(4).add(TimeDistributed::new(step().build().unwrap())).add(GlobalAveragePooling1D::new()));
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
    // Whose sizes before the last layer are even or odd, whatever the images are.
    let halves: &[&[usize]] = &[&[30, 34], &[11, 22], &[32, 17], &[13, 48]];
    let stacks: [(&str, Stack); 8] = [
        ("pooled, conv", |s| s.add(MaxPooling2D::new()).add(Conv2D::new(4, 3).strides(2).padding(Same))),
        ("conv, pooled", |s| {
            s.add(Conv2D::new(4, 2).strides(2)).add(MaxPooling2D::new().pool_size(3).strides(2).padding(Same))
        }),
        ("larger, pooled", |s| {
            s.add(UpSampling2D::new().size(3)).add(AveragePooling2D::new(3).strides(4).padding(Same))
        }),
        ("dilated", |s| s.add(DepthwiseConv2D::new(2).strides(2).dilation_rate(2).padding(Same))),
        ("steps beyond a window, conv", |s| s.add(Conv2D::new(4, 2).strides(5).padding(Same))),
        ("steps beyond a window, depthwise", |s| s.add(DepthwiseConv2D::new(2).strides(3).padding(Same))),
        ("steps beyond a window, max", |s| s.add(MaxPooling2D::new().pool_size(2).strides(3).padding(Same))),
        ("steps beyond a window, mean", |s| s.add(AveragePooling2D::new(3).strides(5).padding(Same))),
    ];
    for (name, add) in stacks {
        check(&format!("same padding, {name}"), add(pictures()).build(), halves);
    }
    // A loop whose shapes ONNX Runtime does not find out with the operators of set 13.
    let masked = tokens()
        .add(Embedding::new(6, 4).mask_zero(true))
        .add(TimeDistributed::new(Dense::new(4)))
        .add(BatchNormalization::new())
        .add(LSTM::new(3).return_sequences(true));
    check_with("masked lstm, set 13", masked.build(), lengths, |e| e.opset(13));
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
    let films =
        || Sequential::new().add(Input::with_unknown([None, Some(9), Some(8), Some(2)]).named("film"));
    let film = films()
        .add(TimeDistributed::new(Conv2D::new(3, 3).activation(Relu)))
        .add(TimeDistributed::new(MaxPooling2D::new()))
        .add(TimeDistributed::new(Flatten::new()))
        .add(LSTM::new(4));
    check("example frames", film.build(), &[&[3], &[1], &[7]]);
    let two = || -> Result<Network> {
        let (left, right) = (Input::new([8]).named("left"), Input::new([3]).named("right"));
        let (a, b) =
            (Dense::new(32).activation(Relu).on(&left)?, Dense::new(16).activation(Relu).on(&right)?);
        let joint = Dense::new(32).activation(Relu).on(&Concatenate::new().on([&a, &b])?)?;
        let larger = Dense::new(2).activation(Softmax).named("larger").on(&joint)?;
        Functional::new([&left, &right], [&Dense::new(1).named("total").on(&joint)?, &larger])?.build()
    };
    check("example two_inputs", two(), &[&[]]);
    let siamese = || -> Result<Network> {
        let encoder = Sequential::new().named("encoder").add(Input::new([784]));
        let encoder = encoder.add(Dense::new(128).activation(Relu)).add(Dense::new(32));
        let (left, right) = (Input::new([784]).named("left"), Input::new([784]).named("right"));
        let both = Concatenate::new().on([&encoder.on(&left)?, &encoder.on(&right)?])?;
        let apart = Apply(|x| x.chunk(2, -1)?[0].sub(&x.chunk(2, -1)?[1])?.abs()).on(&both)?;
        Functional::new([&left, &right], &Dense::new(1).activation(Sigmoid).on(&apart)?)?.build()
    };
    check("example siamese", siamese(), &[&[]]);
    let drawn = Sequential::new()
        .add(Input::new([784]))
        .add(Dense::new(128).activation(Relu))
        .add(Dense::new(16).named("code"))
        .add(Dense::new(128).activation(Relu))
        .add(Dense::new(784).activation(Sigmoid));
    check("example autoencoder", drawn.build(), &[&[]]);
    let blocks =
        Residual { blocks: vec![Block::new(32); 12], exit: Part::new(Dense::new(10).activation(Softmax)) };
    check("example blocks", Subclass::new([Input::new([32]).named("x")], blocks).build(), &[&[]]);
    let gated = Sequential::new().add(Input::new([20])).add(Dense::new(16)).add(Apply(|x| {
        let halves = x.chunk(2, -1)?;
        halves[0].mul(&halves[1].sigmoid()?)
    }));
    check("example custom_layer", gated.add(Dense::new(10).activation(Softmax)).build(), &[&[]]);
    let adder = Adder {
        gate: Part::new(Dense::new(8).activation(Sigmoid)),
        new: Part::new(Dense::new(8).activation(Tanh)),
    };
    check("example recurrent", Subclass::new([Input::new([12, 1]).named("x")], adder).build(), &[&[]]);
    let stream = Sequential::new()
        .add(Input::new([64, 1]))
        .add(Conv1D::new(16, 7).activation(Relu))
        .add(GlobalAveragePooling1D::new())
        .add(Dense::new(1).activation(Sigmoid));
    check("example stream", stream.build(), &[&[]]);
    let generation = || -> Result<Network> {
        let input = Input::with_unknown([None]).dtype(DType::I64).named("ids");
        let h = Embedding::new(40, 64).on(&input)?;
        let h = Add::new().on([&h, &PositionEmbedding::new(32).on(&h)?])?;
        let h = TransformerDecoder::new(128, 4).on(&h)?;
        Functional::new(&input, &Dense::new(40).on(&h)?)?.build()
    };
    check("example text_generation", generation(), &[&[12], &[1], &[32]]);
    check("example unet_segmentation", UNet::new([32, 32, 1], 3).filters(12).depth(3).build(), &[&[]]);
    let chars = GPT2::new()
        .vocabulary_size(40)
        .num_layers(3)
        .num_heads(4)
        .hidden_dim(64)
        .intermediate_dim(256)
        .max_sequence_length(64);
    check("example char_gpt", chars.build(), &[&[9], &[1], &[64]]);
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

/// A block of two layers around which the input passes.
#[derive(Clone, Debug)]
struct Block {
    wide: Part,
    narrow: Part,
}
gradus::parts!(Block { wide, narrow });
impl Block {
    fn new(width: usize) -> Block {
        Block {
            wide: Part::new(Dense::new(2 * width).activation(Gelu)),
            narrow: Part::new(Dense::new(width)),
        }
    }
}

impl Layer for Block {
    fn forward(&self, x: &Tensor, cx: &mut Cx) -> Result<Tensor> {
        x.add(&self.narrow.forward(&self.wide.forward(x, cx)?, cx)?)
    }
}

/// Blocks one after the other.
#[derive(Clone, Debug)]
struct Residual {
    blocks: Vec<Block>,
    exit: Part,
}
gradus::parts!(Residual { blocks, exit });
impl Layer for Residual {
    fn forward(&self, x: &Tensor, cx: &mut Cx) -> Result<Tensor> {
        let mut h = x.clone();
        for block in &self.blocks {
            h = block.forward(&h, cx)?;
        }
        self.exit.forward(&h, cx)
    }
}

/// A loop over time in plain Rust.
#[derive(Clone, Debug)]
struct Adder {
    gate: Part,
    new: Part,
}
gradus::parts!(Adder { gate, new });
impl Layer for Adder {
    fn forward(&self, x: &Tensor, cx: &mut Cx) -> Result<Tensor> {
        let mut h = x.new_full([x.dims()[0], 8], 0.0)?;
        for t in 0..x.dims()[1] as isize {
            let both = Tensor::concat(&[&x.select(1, t)?, &h], -1)?;
            let z = self.gate.forward(&both, cx)?;
            h = z.mul(&h)?.add(&z.affine(-1.0, 1.0)?.mul(&self.new.forward(&both, cx)?)?)?;
        }
        Ok(h)
    }
}

/// Above 2 GiB, where `GRADUS_ONNX_LARGE` asks for it: 4 x 12288 x 12288 numbers in a file beside the model. The export keeps no copy.
#[test]
fn a_large_model_is_written() {
    if std::env::var_os("GRADUS_ONNX_LARGE").is_none() {
        return;
    }
    let most = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line =
            status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0 kB").trim().to_string();
        line.trim_end_matches(" kB").trim().parse::<f64>().unwrap() / 1e6
    };
    let n = 12_288;
    let dense = || {
        Dense::new(n)
            .activation(Relu)
            .kernel_initializer(gradus::nn::initializer::RandomUniform::new(-0.01, 0.01))
    };
    let stack = Sequential::new().add(Input::new([n]).named("x")).add(dense()).add(dense()).add(dense());
    let network = stack.add(dense().named("out")).build().unwrap();
    let x = [vec![data(Spec::new(gradus::Shape::new(&[2, n]).unwrap(), DType::F32), 0.0)]];
    let before = most();
    save("large", &network, &x, |e| e).unwrap();
    let path = folder().map(|folder| folder.join("large"));
    let size =
        |name: &str| path.as_ref().and_then(|p| std::fs::metadata(p.join(name)).ok()).map_or(0, |m| m.len());
    println!(
        "{} and {} bytes; at most {before:.2} GB of memory before, {:.2} GB after",
        size("model.onnx"),
        size("model.onnx.data"),
        most()
    );
}

// ---- operations

/// A function of a tensor as a layer.
#[derive(Clone, Debug)]
struct Apply(fn(&Tensor) -> Result<Tensor>);
gradus::parts!(Apply {});
impl gradus::config::Configured for Apply {}
impl Layer for Apply {
    fn forward(&self, x: &Tensor, _: &mut Cx) -> Result<Tensor> {
        (self.0)(x)
    }
}

/// Whole numbers, some negative.
fn whole(x: &Tensor, dtype: DType) -> Result<Tensor> {
    x.scale(40.0)?.round()?.cast(dtype)
}

/// NaN, -infinity and 0.
fn odd(x: &Tensor) -> Result<Tensor> {
    x.round()?.ln()
}

/// Both as one tensor.
fn pair((a, b): (Tensor, Tensor)) -> Result<Tensor> {
    Tensor::concat(&[&a.cast(DType::F32)?, &b.cast(DType::F32)?], -1)
}

/// Weights, one of them 0.
fn six() -> Result<Tensor> {
    Tensor::from_slice(&[0.5f32, 1.0, 2.0, 0.0, 1.5, 3.0], [6])
}

/// The segments of six rows; there is none in one of them.
fn places() -> Result<Tensor> {
    Tensor::from_slice(&[0i64, 2, 2, 1, 0, 3], [6])
}

/// A name, the first operator set that has it, and what is computed.
type Operation = (&'static str, i64, fn(&Tensor) -> Result<Tensor>);

/// Operations whose form is more than an operator of ONNX, of tensors `[batch, time, 6]`; and the first operator set that has them.
const OPERATIONS: &[Operation] = &[
    ("cumprod", 13, |x| x.cumprod(-1)),
    ("cumprod over time", 13, |x| x.cumprod(1)),
    ("cumprod of integers", 13, |x| whole(x, DType::I64)?.cumprod(-1)),
    ("logcumsumexp", 13, |x| x.scale(5.0)?.logcumsumexp(1)),
    ("logcumsumexp of infinities", 13, |x| odd(x)?.abs()?.neg()?.logcumsumexp(-1)),
    ("logaddexp of infinities", 13, |x| odd(x)?.logaddexp(&odd(&x.neg()?)?)),
    ("logaddexp2", 13, |x| x.scale(9.0)?.logaddexp2(&x.flip(&[-1])?)),
    ("cummax", 13, |x| pair(x.cummax(1)?)),
    ("cummin", 13, |x| pair(x.cummin(-1)?)),
    ("cummax of NaN", 13, |x| pair(odd(x)?.cummax(-1)?)),
    ("cummin of equals", 13, |x| pair(x.round()?.cummin(1)?)),
    ("cummax of bytes", 13, |x| pair(whole(x, DType::I8)?.cummax(-1)?)),
    ("cummin of truth values", 13, |x| pair(x.round()?.cast(DType::Bool)?.cummin(-1)?)),
    ("fft", 17, |x| pair(x.fft(&x.flip(&[-1])?)?)),
    ("ifft", 17, |x| pair(x.ifft(&x.flip(&[-1])?)?)),
    ("rfft", 17, |x| pair(x.rfft(None)?)),
    ("irfft", 17, |x| x.irfft(&x.flip(&[-1])?, Some(9))),
    ("fft over time", 17, |x| pair(x.transpose(1, 2)?.fft(&x.transpose(1, 2)?.neg()?)?)),
    ("searchsorted", 13, |x| {
        Tensor::from_slice(&[-0.5f32, 0.0, 0.0, 0.3], [4])?.searchsorted(&x.round()?, false)
    }),
    ("searchsorted, right", 13, |x| {
        Tensor::from_slice(&[-0.5f32, 0.0, 0.0, 0.3], [4])?.searchsorted(&x.round()?, true)
    }),
    ("searchsorted of NaN", 13, |x| {
        Tensor::from_slice(&[-0.5f32, 0.0, f32::NAN], [3])?.searchsorted(&odd(x)?, true)
    }),
    ("mode", 13, |x| pair(x.scale(1.6)?.round()?.mode(-1, false)?)),
    ("mode of NaN", 13, |x| pair(odd(x)?.mode(1, true)?)),
    ("frexp", 13, |x| pair(x.mul(&x.new_full([6], 1.0)?.cumsum(-1)?.scale(9.0)?.exp2()?)?.frexp()?)),
    ("frexp of powers", 13, |x| pair(x.sign()?.scale(1.875)?.add(&x.new_full([1], 2.125)?)?.frexp()?)),
    ("frexp of others", 13, |x| pair(odd(x)?.frexp()?)),
    ("gcd", 13, |x| whole(x, DType::I64)?.gcd(&whole(&x.flip(&[-1])?, DType::I64)?)),
    ("gcd of bytes", 13, |x| whole(x, DType::I8)?.gcd(&Tensor::from_slice(&[12i64], [1])?.cast(DType::I8)?)),
    ("lcm", 13, |x| whole(x, DType::I32)?.lcm(&whole(&x.flip(&[-1])?, DType::I32)?)),
    ("left_shift", 13, |x| {
        whole(x, DType::I64)?.left_shift(&whole(&x.flip(&[-1])?.scale(2.0)?, DType::I64)?)
    }),
    ("left_shift of bytes", 13, |x| {
        whole(x, DType::I8)?.left_shift(&whole(&x.scale(0.2)?.abs()?, DType::I8)?)
    }),
    ("right_shift", 13, |x| whole(x, DType::I32)?.right_shift(&whole(&x.scale(0.2)?, DType::I32)?)),
    ("right_shift far", 13, |x| {
        whole(x, DType::I64)?.right_shift(&whole(&x.scale(2.0)?.abs()?, DType::I64)?)
    }),
    ("atan2", 13, |x| x.atan2(&x.flip(&[-1])?)),
    ("atan2 on axes", 13, |x| x.round()?.atan2(&x.flip(&[-1])?.round()?)),
    ("fmax", 13, |x| odd(x)?.fmax(&odd(&x.flip(&[-1])?)?)),
    ("fmin", 13, |x| odd(x)?.fmin(x)),
    ("erfinv", 13, |x| x.scale(0.9999)?.erfinv()),
    ("erfinv at ends", 13, |x| x.round()?.erfinv()),
    ("max_along_axis", 18, |x| x.max_along_axis(&whole(&x.scale(0.07)?, DType::I64)?, -1, 5)),
    ("min_along_axis of integers", 18, |x| {
        whole(x, DType::I32)?.min_along_axis(&whole(&x.scale(0.07)?, DType::I64)?, -1, 5)
    }),
    ("prod_along_axis", 16, |x| x.prod_along_axis(&whole(&x.scale(0.07)?, DType::I64)?, -1, 5)),
    ("add_along_axis", 16, |x| x.add_along_axis(&whole(&x.scale(0.07)?, DType::I64)?, -1, 5)),
    ("scatter_add", 16, |x| {
        let places = Tensor::from_slice(&[0i64, 2, 2, 1, 0, 3], [2, 3])?;
        let dims = [x.dims()[0], x.dims()[1], 4];
        x.split_axis(-1, &[2, 3])?.scatter_add(&places, 2, dims)
    }),
    ("rms_normalization", 13, |x| x.rms_normalization(None, &[-1], 1e-6)),
    ("rms_normalization over time, with a scale", 13, |x| {
        let scale = Tensor::from_slice(&[0.5f32, -1.0, 2.0, 0.0, 1.5, 3.0], [6])?;
        x.rms_normalization(Some(&scale), &[1, 2], 0.1)
    }),
    ("average", 13, |x| x.average(&six()?, &[-1], false)),
    ("average over time", 13, |x| x.average(&six()?, &[1, 2], true)),
    ("average by weights of its own", 13, |x| x.average(&x.square()?, &[], false)),
    ("segment_max", 18, |x| x.moveaxis(-1, 0)?.segment_max(&places()?, 4)),
    ("segment_min", 18, |x| x.moveaxis(-1, 0)?.segment_min(&places()?, 5)),
    ("take_along_axis with one index for all", 13, |x| {
        x.take_along_axis(&Tensor::from_slice(&[4i64, 0, -1], [1, 1, 3])?, -1)
    }),
    ("matrix_power of 0", 13, |x| x.t()?.matmul(x)?.matrix_power(0)?.scale(2.0)),
    ("separable_conv", 13, |x| {
        let depthwise = data(Spec::new(Shape::new(&[3, 6, 2])?, DType::F32), 0.3);
        let pointwise = data(Spec::new(Shape::new(&[1, 12, 4])?, DType::F32), 0.9);
        x.separable_conv(&depthwise, &pointwise, None, None, &Convolution::new().padding(Causal))
    }),
    ("separable_conv of images with dilation, bias and activation", 13, |x| {
        let depthwise = data(Spec::new(Shape::new(&[2, 3, 3, 1])?, DType::F32), 0.3);
        let pointwise = data(Spec::new(Shape::new(&[1, 1, 3, 5])?, DType::F32), 0.9);
        let bias = data(Spec::new(Shape::new(&[5])?, DType::F32), 0.5);
        let how = Convolution::new().padding(Same).dilation_rate([2, 1]);
        x.split_axis(-1, &[2, 3])?.separable_conv(
            &depthwise,
            &pointwise,
            Some(&bias),
            Some(Fused::Relu),
            &how,
        )
    }),
    ("separable_conv with strides", 13, |x| {
        let depthwise = data(Spec::new(Shape::new(&[2, 6, 1])?, DType::F32), 0.3);
        let pointwise = data(Spec::new(Shape::new(&[1, 6, 3])?, DType::F32), 0.9);
        x.separable_conv(&depthwise, &pointwise, None, None, &Convolution::new().padding(Same).strides([2]))
    }),
    ("argpartition", 13, |x| x.argpartition(-2, -1)),
    ("argpartition over time", 13, |x| x.argpartition(0, 1)),
    ("argpartition of equals", 13, |x| x.round()?.argpartition(3, -1)),
    ("argpartition of integers", 13, |x| whole(x, DType::I64)?.argpartition(1, -1)),
];

#[test]
fn operations_are_written() {
    let lengths: &[&[usize]] = &[&[7], &[1], &[4]];
    for (name, since, f) in OPERATIONS {
        let set = opset().max(*since);
        let stack = sequences(6).add(Apply(*f)).build();
        check_with(&format!("operation {name}"), stack, lengths, |e| e.opset(set));
    }
    for set in [20, 24] {
        let stack = sequences(6).add(Apply(|x| pair(x.fft(x)?))).build();
        check_with(&format!("operation fft, set {set}"), stack, lengths, |e| e.opset(set));
    }
}

gradus::op! {
    /// An operation of the program's own: `x·a + b` where that is above 0, and what is left of it.
    struct Ramp("acme_ramp", 2) { a: f64 }
}
impl Op for Ramp {
    fn infer(&self, x: &[Spec]) -> Result<Specs> {
        Ok([x[0], x[0]].into_iter().collect())
    }
    fn eval(&self, x: &[&Array], y: &mut [Array]) -> Result<()> {
        let (a, b) = (x[0].contiguous()?, x[1].contiguous()?);
        let [up, down] = y else { return Ok(()) };
        let (up, down) = (up.slice_mut::<f32>()?, down.slice_mut::<f32>()?);
        let sums = a.slice::<f32>()?.iter().zip(b.slice::<f32>()?).map(|(x, b)| x * self.a as f32 + b);
        for ((sum, up), down) in sums.zip(up).zip(down) {
            (*up, *down) = (sum.max(0.0), sum.min(0.0));
        }
        Ok(())
    }
    fn vjp(&self, _: &Step<'_>) -> Result<Grads> {
        Err(gradus::Error::Custom("not in this test".into()))
    }
}

/// Forms of the program's own: of its operation, and of one of the library that ONNX has no operator for.
#[test]
fn operations_of_ones_own_are_written() {
    let ramp = sequences(6).add(Apply(|x| {
        let y = apply(Ramp { a: 1.5 }, &[x, &x.flip(&[-1])?])?;
        Tensor::concat(&[&y[0], &y[1]], 1)
    }));
    check_with("own operation", ramp.build(), &[&[3], &[5]], |e| {
        e.form("acme_ramp", |n| {
            assert_eq!((n.inputs(), n.spec(0)?.shape.dims()), (2, &[UNKNOWN, UNKNOWN, 6][..]));
            let (x, b, a) = (n.input(0)?, n.input(1)?, n.attr::<f64>("a")?);
            let a = n.constant(&Tensor::scalar(a as f32)?);
            let sum = n.node("Mul", &[&x, &a], &[]);
            let sum = n.node("Add", &[&sum, &b], &[]);
            let up = n.node("LeakyRelu", &[&sum], &[("alpha", Field::Float(0.0))]);
            let down = n.node("Sub", &[&sum, &up], &[]);
            Ok(vec![up, down])
        })
    });
    let i0 = sequences(6).add(Apply(|x| x.scale(0.1)?.i0()));
    check_with("own form of i0", i0.build(), &[&[3], &[5]], |e| {
        e.form("i0", |n| {
            // 1 + x²/4 + x⁴/64: of small numbers that is enough.
            let x = n.input(0)?;
            let [quarter, one, more] = [0.25f32, 1.0, 0.015_625].map(Tensor::scalar);
            let (quarter, one, more) = (n.constant(&quarter?), n.constant(&one?), n.constant(&more?));
            let square = n.node("Mul", &[&x, &x], &[]);
            let inner = n.node("Mul", &[&square, &more], &[]);
            let inner = n.node("Add", &[&inner, &quarter], &[]);
            let inner = n.node("Mul", &[&inner, &square], &[]);
            Ok(vec![n.node("Add", &[&inner, &one], &[])])
        })
    });
}
