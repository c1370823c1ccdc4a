//! Compares whole models with Keras 3.15 (JAX, float64): outputs, the loss, the gradients of inputs and weights,
//! twenty steps of training, the summary. The same models in Keras's spelling are in `tests/parity/models.py`, in
//! the same order.

use crate::layer_cases::wide;
use crate::pack::{Pack, Worst};
use gradus::Result;
use gradus::config::{Dyn, Registry, Setting};
use gradus::graph::{Feed, Graph, Output};
use gradus::loss::Loss;
use gradus::nn::activation::{Elu, Selu, Softmax};
use gradus::nn::constraint::MaxNorm;
use gradus::nn::layers::*;
use gradus::nn::{Build, Cx, Functional};
use gradus::ops::Padding::{Causal, Same};
use gradus::prelude::*;
use serde_json::{Value as Json, json};
use std::path::Path;

fn sequence(dtype: DType) -> Sequential {
    Sequential::new().dtype(dtype)
}

fn mlp(dtype: DType) -> Result<Network> {
    sequence(dtype)
        .add(Input::new([6]))
        .add(Dense::new(16).activation(Relu))
        .add(Dense::new(8).activation(Tanh))
        .add(Dropout::new(0.0))
        .add(Dense::new(3).activation(Softmax))
        .build()
}

fn regularized(dtype: DType) -> Result<Network> {
    sequence(dtype)
        .add(Input::new([5]))
        .add(Rescaling::new(2.0).offset(-0.5))
        .add(Dense::new(7).kernel_regularizer(L2::new(0.01)).activity_regularizer(L1::new(0.02)))
        .add(PReLU::new())
        .add(Dense::new(6).kernel_constraint(MaxNorm::new(0.8)))
        .add(LeakyReLU::new())
        .add(ActivityRegularization::new().l2(0.01))
        .add(Dense::new(1))
        .build()
}

fn cnn(dtype: DType) -> Result<Network> {
    sequence(dtype)
        .add(Input::new([9, 8, 2]))
        .add(Conv2D::new(4, 3).use_bias(false))
        .add(BatchNormalization::new())
        .add(Activation::new(Relu))
        .add(MaxPooling2D::new().pool_size(2))
        .add(Conv2D::new(5, 3).padding(Same).activation(Relu))
        .add(Flatten::new())
        .add(Dense::new(3).activation(Softmax))
        .build()
}

fn separable_cnn(dtype: DType) -> Result<Network> {
    sequence(dtype)
        .add(Input::new([8, 8, 3]))
        .add(ZeroPadding2D::new().padding(1))
        .add(SeparableConv2D::new(4, 3).strides(2).activation(Relu))
        .add(DepthwiseConv2D::new(3).padding(Same).depth_multiplier(2).use_bias(false))
        .add(BatchNormalization::new())
        .add(ReLU::new().max_value(6.0))
        .add(AveragePooling2D::new(2).padding(Same))
        .add(GlobalAveragePooling2D::new())
        .add(Dense::new(2))
        .build()
}

fn residual_cnn(dtype: DType) -> Result<Network> {
    let x = Input::new([6, 6, 3]).named("image");
    let h = Conv2D::new(4, 3).padding(Same).use_bias(false).named("stem").on(&x)?;
    let h = BatchNormalization::new().named("stem_bn").on(&h)?;
    let skip = ReLU::new().named("stem_relu").on(&h)?;
    let h = Conv2D::new(4, 3).padding(Same).use_bias(false).on(&skip)?;
    let h = BatchNormalization::new().on(&h)?;
    let h = Add::new().on([&h, &skip])?;
    let h = ReLU::new().on(&h)?;
    let h = GlobalAveragePooling2D::new().on(&h)?;
    Functional::new(&x, &Dense::new(2).activation(Softmax).named("head").on(&h)?)?.dtype(dtype).build()
}

fn u_net(dtype: DType) -> Result<Network> {
    let x = Input::new([8, 8, 1]).named("image");
    let conv = |filters| Conv2D::new(filters, 3).padding(Same).activation(Relu);
    let a = conv(3).named("down_1").on(&x)?;
    let h = MaxPooling2D::new().named("pool_1").on(&a)?;
    let b = conv(4).named("down_2").on(&h)?;
    let h = MaxPooling2D::new().named("pool_2").on(&b)?;
    let h = conv(5).named("bottom").on(&h)?;
    let h = Conv2DTranspose::new(4, 3).strides(2).padding(Same).activation(Relu).named("up_2").on(&h)?;
    let h = Concatenate::new().named("join_2").on([&h, &b])?;
    let h = UpSampling2D::new().interpolation(gradus::ops::Interpolation::Bilinear).named("up_1").on(&h)?;
    let h = Concatenate::new().named("join_1").on([&h, &a])?;
    let y = Conv2D::new(1, 1).activation(Sigmoid).named("mask").on(&h)?;
    Functional::new(&x, &y)?.named("u_net").dtype(dtype).build()
}

fn temporal_cnn(dtype: DType) -> Result<Network> {
    let x = Input::new([9, 2]).named("series");
    let h = Conv1D::new(4, 3).padding(Causal).dilation_rate(2).activation(Relu).on(&x)?;
    let h = LayerNormalization::new().on(&h)?;
    let r = Conv1D::new(4, 1).on(&x)?;
    let h = Add::new().on([&h, &r])?;
    let h = SpatialDropout1D::new(0.0).on(&h)?;
    let h = Cropping1D::new().cropping((3, 0)).on(&h)?;
    let h = GlobalAveragePooling1D::new().on(&h)?;
    Functional::new(&x, &Dense::new(1).on(&h)?)?.dtype(dtype).build()
}

fn volume(dtype: DType) -> Result<Network> {
    sequence(dtype)
        .add(Input::new([5, 6, 5, 1]))
        .add(Conv3D::new(3, 2).activation(Relu))
        .add(MaxPooling3D::new().pool_size([2, 1, 2]))
        .add(Conv3DTranspose::new(2, 2))
        .add(GroupNormalization::new().groups(2))
        .add(GlobalAveragePooling3D::new())
        .add(Dense::new(2))
        .build()
}

fn lstm(dtype: DType) -> Result<Network> {
    sequence(dtype)
        .add(Input::new([7, 3]))
        .add(LSTM::new(5).return_sequences(true))
        .add(LSTM::new(4))
        .add(Dense::new(1))
        .build()
}

fn bidirectional_gru(dtype: DType) -> Result<Network> {
    sequence(dtype)
        .add(Input::new([6]).dtype(DType::I64))
        .add(Embedding::new(11, 4).mask_zero(true))
        .add(Bidirectional::new(GRU::new(3).return_sequences(true)))
        .add(Bidirectional::new(GRU::new(4)).merge_mode(MergeMode::Sum))
        .add(Dense::new(1).activation(Sigmoid))
        .build()
}

fn tagger(dtype: DType) -> Result<Network> {
    sequence(dtype)
        .add(Input::new([5]).dtype(DType::I64))
        .add(Embedding::new(9, 3).mask_zero(true))
        .add(SimpleRNN::new(4).return_sequences(true))
        .add(TimeDistributed::new(Dense::new(3).activation(Softmax)))
        .build()
}

fn stacked_cells(dtype: DType) -> Result<Network> {
    let cells: [Dyn<dyn Build>; 3] =
        [LSTMCell::new(3).into(), GRUCell::new(4).into(), SimpleRNNCell::new(2).into()];
    let cells = StackedRNNCells::new(cells);
    sequence(dtype)
        .add(Input::new([5, 3]))
        .add(Masking::new())
        .add(RNN::new(cells))
        .add(Dense::new(2))
        .build()
}

fn conv_lstm(dtype: DType) -> Result<Network> {
    sequence(dtype)
        .add(Input::new([4, 5, 5, 1]))
        .add(ConvLSTM2D::new(2, 3).padding(Same).return_sequences(true))
        .add(TimeDistributed::new(Conv2D::new(2, 2)))
        .add(ConvLSTM2D::new(2, 2))
        .add(Flatten::new())
        .add(Dense::new(1))
        .build()
}

fn attention_encoder(dtype: DType) -> Result<Network> {
    let ids = Input::new([6]).dtype(DType::I64).named("tokens");
    let h = Embedding::new(13, 8).mask_zero(true).named("embed").on(&ids)?;
    let a = MultiHeadAttention::new(2, 4).named("attend").on([&h, &h])?;
    let h = LayerNormalization::new()
        .epsilon(1e-6)
        .named("norm_1")
        .on(&Add::new().named("add_1").on([&h, &a])?)?;
    let f = Dense::new(16).activation(Gelu).named("expand").on(&h)?;
    let f = Dense::new(8).named("project").on(&f)?;
    let h = LayerNormalization::new()
        .epsilon(1e-6)
        .named("norm_2")
        .on(&Add::new().named("add_2").on([&h, &f])?)?;
    let h = GlobalAveragePooling1D::new().named("pool").on(&h)?;
    let y = Dense::new(3).activation(Softmax).named("class").on(&h)?;
    Functional::new(&ids, &y)?.named("encoder").dtype(dtype).build()
}

fn decoder(dtype: DType) -> Result<Network> {
    let ids = Input::new([7]).dtype(DType::I64).named("tokens");
    let h = Embedding::new(11, 6).named("embed").on(&ids)?;
    let n = RMSNormalization::new().named("norm").on(&h)?;
    let a =
        MultiHeadAttention::new(3, 2).use_bias(false).use_causal_mask(true).named("attend").on([&n, &n])?;
    let h = Add::new().named("add").on([&h, &a])?;
    let next = EinsumDense::new("btd,dv->btv", [None, Some(11)]).bias_axes("v").activation(Softmax);
    Functional::new(&ids, &next.named("next").on(&h)?)?.named("decoder").dtype(dtype).build()
}

fn translator(dtype: DType) -> Result<Network> {
    let (source, target) = (Input::new([5, 3]).named("source"), Input::new([4, 2]).named("target"));
    let encoded = LSTM::new(4).return_sequences(true).return_state(true).named("encoder").on_all(&source)?;
    let states = [("initial_state", &encoded[1]), ("initial_state", &encoded[2])];
    let d = LSTM::new(4).return_sequences(true).named("decoder").on((&target, states))?;
    let context = Attention::new().use_scale(true).named("attention").on([&d, &encoded[0]])?;
    let both = Concatenate::new().named("both").on([&d, &context])?;
    let y = TimeDistributed::new(Dense::new(2)).named("out").on(&both)?;
    Functional::new([&source, &target], &y)?.dtype(dtype).build()
}

fn two_in_two_out(dtype: DType) -> Result<Network> {
    let (a, b) = (Input::new([4]).named("a"), Input::new([4]).named("b"));
    let shared = Dense::new(5).activation(Tanh).named("shared").shared();
    let (p, q) = (shared.on(&a)?, shared.on(&b)?);
    let h = Concatenate::new().named("both").on([&p, &q])?;
    let gate = Multiply::new().named("gate").on([&p, &q])?;
    let y = Dense::new(3).activation(Softmax).named("kind").on(&h)?;
    let apart = Subtract::new().named("apart").on([&p, &q])?;
    let z = Dense::new(1).named("size").on(&Average::new().named("middle").on([&gate, &apart])?)?;
    Functional::new([&a, &b], [&y, &z])?.named("two").dtype(dtype).build()
}

fn siamese(dtype: DType) -> Result<Network> {
    let (a, b) = (Input::new([8, 1]).named("left"), Input::new([8, 1]).named("right"));
    let tower = Sequential::new()
        .named("tower")
        .add(Input::new([8, 1]))
        .add(Conv1D::new(4, 3).activation(Elu))
        .add(MaxPooling1D::new().pool_size(2))
        .add(Flatten::new())
        .add(Dense::new(3));
    let y = Dot::new(-1).normalize(true).named("cosine").on([&tower.on(&a)?, &tower.on(&b)?])?;
    Functional::new([&a, &b], &y)?.dtype(dtype).build()
}

fn wide_and_deep(dtype: DType) -> Result<Network> {
    let (ids, x) = (Input::new([2]).dtype(DType::I64).named("ids"), Input::new([5]).named("x"));
    let e = Flatten::new().named("flat").on(&Embedding::new(6, 3).named("table").on(&ids)?)?;
    let all = Concatenate::new().named("all").on((&e, &x))?;
    let deep = Dense::new(6).activation(Silu).named("deep").on(&all)?;
    let deep = UnitNormalization::new().named("unit").on(&deep)?;
    let wide = Dense::new(6).named("wide").on(&x)?;
    let h = Maximum::new().named("larger").on([&deep, &wide])?;
    let h = Reshape::new([3, 2]).named("pairs").on(&h)?;
    let h = Permute::new([2, 1]).named("turned").on(&h)?;
    let h = Flatten::new().named("again").on(&h)?;
    let y = Dense::new(1).activation(Sigmoid).named("click").on(&h)?;
    Functional::new([&ids, &x], &y)?.dtype(dtype).build()
}

fn autoencoder(dtype: DType) -> Result<Network> {
    sequence(dtype)
        .add(Input::new([10]))
        .add(Dense::new(6).activation(Selu))
        .add(BatchNormalization::new().momentum(0.8).center(false))
        .add(Dense::new(2).named("code"))
        .add(RepeatVector::new(3))
        .add(GRU::new(4).reset_after(false))
        .add(Dense::new(10).activation(Sigmoid))
        .build()
}

fn additive(dtype: DType) -> Result<Network> {
    let q = Input::new([3]).dtype(DType::I64).named("question");
    let v = Input::new([5]).dtype(DType::I64).named("text");
    let table = Embedding::new(9, 4).mask_zero(true).named("table").shared();
    let (a, b) = (table.on(&q)?, table.on(&v)?);
    let h = AdditiveAttention::new().named("look").on([&a, &b])?;
    let h = GlobalAveragePooling1D::new().named("pool").on(&h)?;
    let y = Dense::new(1).activation(Sigmoid).named("answer").on(&h)?;
    Functional::new([&q, &v], &y)?.dtype(dtype).build()
}

pub(crate) type Make = fn(DType) -> Result<Network>;
pub(crate) type Compile = fn(Network, Losses) -> Result<Model>;
/// One or two.
pub(crate) type Losses = Vec<Dyn<dyn Loss>>;

fn compile<O: gradus::optim::Optimizer + 'static>(
    network: Network,
    optimizer: O,
    mut losses: Losses,
) -> Result<Model> {
    match (losses.pop(), losses.pop()) {
        (Some(last), Some(first)) => network.compile(optimizer, [first, last], ()),
        (Some(only), None) => network.compile(optimizer, only, ()),
        _ => panic!("no loss"),
    }
}

fn adam(network: Network, losses: Losses) -> Result<Model> {
    compile(network, Adam::new(0.01), losses)
}
fn sgd(network: Network, losses: Losses) -> Result<Model> {
    compile(network, SGD::new(0.05), losses)
}
fn momentum(network: Network, losses: Losses) -> Result<Model> {
    compile(network, SGD::new(0.02).momentum(0.9), losses)
}

/// Each model, and the optimizer that trains it in `models.py`.
pub(crate) const MODELS: &[(&str, Make, Compile)] = &[
    ("mlp", mlp, adam),
    ("regularized", regularized, momentum),
    ("cnn", cnn, adam),
    ("separable_cnn", separable_cnn, adam),
    ("residual_cnn", residual_cnn, adam),
    ("u_net", u_net, adam),
    ("temporal_cnn", temporal_cnn, adam),
    ("volume", volume, sgd),
    ("lstm", lstm, adam),
    ("bidirectional_gru", bidirectional_gru, adam),
    ("tagger", tagger, adam),
    ("stacked_cells", stacked_cells, adam),
    ("conv_lstm", conv_lstm, adam),
    ("attention_encoder", attention_encoder, sgd),
    ("decoder", decoder, sgd),
    ("translator", translator, adam),
    ("two_in_two_out", two_in_two_out, adam),
    ("siamese", siamese, momentum),
    ("wide_and_deep", wide_and_deep, adam),
    ("autoencoder", autoencoder, adam),
    ("additive", additive, adam),
];

fn losses(case: &Json) -> Losses {
    let loss = |name: &Json| {
        let capital = |word: &str| word[..1].to_uppercase() + &word[1..];
        let name: String = name.as_str().unwrap().split('_').map(capital).collect();
        Setting::read(json!({ "class_name": name, "config": {} }), &Registry::new()).unwrap()
    };
    case["losses"].as_array().unwrap().iter().map(loss).collect()
}

/// A model with the weights of the case, and its data.
fn model(
    pack: &Pack,
    case: &Json,
    float: DType,
    make: Make,
    compile: Compile,
) -> Result<(Model, [Vec<Tensor>; 2])> {
    let mut model = compile(make(float)?, losses(case))?;
    let weights: Vec<(String, Tensor)> =
        pack.by_path(&case["weights"]).into_iter().map(|(path, w)| (path, wide(&w, float))).collect();
    let mut ours: Vec<String> = model.params().into_iter().map(|(path, _)| path).collect();
    let mut theirs: Vec<String> = weights.iter().map(|(path, _)| path.clone()).collect();
    ours.sort();
    theirs.sort();
    assert_eq!(ours, theirs, "names of parameters");
    model.set_params(&weights)?;
    let data = |key: &str| pack.tensors(&case[key]).iter().map(|x| wide(x, float)).collect();
    Ok((model, [data("inputs"), data("targets")]))
}

fn compare(
    pack: &Pack,
    case: &Json,
    float: DType,
    make: Make,
    compile: Compile,
    worst: &mut Worst,
) -> Result<()> {
    let what = case["name"].as_str().unwrap();
    let (output_bound, gradient_bound, loss_bound) = match float {
        DType::F32 => (1e-5, 1e-5, 1e-4),
        _ if case["precision"] == "float32" => (1e-6, 1e-6, 1e-6),
        _ => (1e-9, 1e-9, 1e-9),
    };
    let (mut model, [x, y]) = model(pack, case, float, make, compile)?;
    let outputs = model.predict_all(&x)?;
    for (i, want) in pack.tensors(&case["outputs"]).iter().enumerate() {
        worst.compare(&format!("{what}: output {i}"), &outputs[i], want, output_bound, 1.0);
    }
    let relative = |worst: &mut Worst, at: String, got: f64, want: f64| {
        let scalar = |v: f64| Tensor::scalar(v).unwrap();
        worst.compare(&format!("{what}: {at}"), &scalar(got), &scalar(want), loss_bound, f64::MIN_POSITIVE);
    };

    // The step as it is trained: the loss and the gradient of each weight.
    let specs = |tensors: &[Tensor]| tensors.iter().map(Tensor::spec).collect::<Vec<_>>();
    let graph = Graph::of_step(&model, &specs(&x), &specs(&y), None)?;
    let all: Vec<Tensor> = x.iter().chain(&y).cloned().collect();
    let results = graph.run(&Feed::new(&all[..]).next_step_of(&model))?;
    let result = |output: &Output| graph.position(output).map(|at| results[at].clone());
    relative(worst, "loss".into(), result(&Output::Loss).unwrap().item()?, case["loss"].as_f64().unwrap());
    let weights = pack.by_path(&case["weight_gradients"]);
    let of_inputs = pack.by_path(&case["input_gradients"]);
    let all = weights.iter().chain(&of_inputs).flat_map(|(_, g)| g.to_vec::<f64>().unwrap());
    let largest = all.fold(0.0f64, |m, g| m.max(g.abs()));
    let scale = if float == DType::F32 { largest } else { 1.0 };
    for (path, want) in &weights {
        let got = result(&Output::Gradient(path.clone()))
            .unwrap_or_else(|| panic!("{what}: no gradient of {path}"));
        worst.compare(&format!("{what}: gradient of {path}"), &got, want, gradient_bound, scale);
    }
    // The gradients of inputs, by hand.
    if !of_inputs.is_empty() {
        let leaves: Vec<Tensor> =
            x.iter().map(|x| if x.dtype().is_float() { x.tracked() } else { x.clone() }).collect();
        let mut cx = Cx::train(0, 0);
        let given = model.forward_all(&leaves, &mut cx)?;
        let mut loss = Tensor::zeros([])?.cast(float)?;
        for ((loss_of, y), given) in losses(case).iter().zip(&y).zip(&given) {
            loss = loss.add(&loss_of.value(y, given, None)?)?;
        }
        for term in &cx.finish().losses {
            loss = loss.add(term)?;
        }
        let gradients = loss.backward()?;
        for (i, want) in &of_inputs {
            let got = gradients.get(&leaves[i.parse::<usize>().unwrap()]).unwrap();
            worst.compare(&format!("{what}: gradient of input {i}"), got, want, gradient_bound, scale);
        }
    }

    for (step, want) in case["history"].as_array().unwrap().iter().enumerate() {
        let logs = model.train_on_batch(&x, &y)?;
        relative(worst, format!("loss of step {step}"), logs["loss"], want.as_f64().unwrap());
    }
    // In float32, twenty steps of Adam amplify what rounds differently; losses are held above.
    if float == DType::F64 {
        for (path, want) in pack.by_path(&case["after"]) {
            worst.compare(
                &format!("{what}: {path} after"),
                &model.param(&path).unwrap(),
                &want,
                output_bound,
                1.0,
            );
        }
    }
    Ok(())
}

fn pack() -> Pack {
    Pack::read(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/parity/pack/models.safetensors")))
}

fn every_model(float: DType) {
    let (pack, mut worst) = (pack(), Worst::default());
    let names: Vec<&str> = pack.cases.iter().map(|case| case["name"].as_str().unwrap()).collect();
    assert_eq!(names, MODELS.iter().map(|(name, ..)| *name).collect::<Vec<_>>());
    for (case, (name, make, compile)) in pack.cases.iter().zip(MODELS) {
        compare(&pack, case, float, *make, *compile, &mut worst).unwrap_or_else(|e| panic!("{name}: {e}"));
    }
    println!(
        "{} models, {} tensors, worst at {:.1e} of what is allowed: {}",
        MODELS.len(),
        worst.tensors,
        worst.ratio,
        worst.at
    );
}

#[test]
fn models_train_as_in_keras_in_float64() {
    every_model(DType::F64);
}

#[test]
fn models_train_as_in_keras_in_float32() {
    every_model(DType::F32);
}

#[test]
fn summaries_are_those_of_keras() {
    // Keras lists the computing of masks as layers of their own, there the scores of attention were asked for, and
    // it counts the graph inside of a Sequential when it gives names.
    let otherwise = ["attention_encoder", "decoder", "additive", "siamese"];
    let pack = pack();
    for (case, (name, make, _)) in pack.cases.iter().zip(MODELS) {
        if otherwise.contains(name) {
            continue;
        }
        let table = make(DType::F32).unwrap().summary_table().to_string();
        assert_eq!(table.trim_end(), case["summary"].as_str().unwrap().trim_end(), "{name}");
    }
}
