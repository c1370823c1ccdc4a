//! Tests of files of version 2: graphs, networks without a loss, layers of the user's program, and what such a file
//! may not contain. Old files of versions 1 and 2 are in `fuzz/corpus/model`; what they predict is pinned.

use super::files::{folder, limits, with_config, with_metadata};
use gradus::config::Registry;
use gradus::io::{Limits, Load};
use gradus::kernels::simd::isa;
use gradus::metric::PerOutput;
use gradus::nn::layers::Checkpoint;
use gradus::nn::{Cx, Init, InputSpecs, Layer, Node, Param, features, single};
use gradus::prelude::*;
use gradus::{Result, settings};
use serde_json::{Value as Json, json};

/// A graph with what graphs have: inputs of two kinds, a mask, a layer called twice, a network inside that is
/// called twice, a block computed again, two outputs.
fn graph() -> Functional {
    let tokens = Input::with_unknown([None]).dtype(DType::I64).named("tokens");
    let extra = Input::new([4]).named("extra");
    let words = Embedding::new(7, 4).mask_zero(true).on(&tokens).unwrap();
    let words = Dense::new(4).activation(Tanh).on(&words).unwrap();

    let inner = Input::new([4]);
    let hidden = Dense::new(3).activation(Relu).on(&inner).unwrap();
    let joined = Concatenate::new().on((&hidden, &inner)).unwrap();
    let encoder = Functional::new(&inner, &joined).unwrap().named("encoder");

    let twice = Dense::new(4).named("twice").shared();
    let (once, again) = (twice.on(&extra).unwrap(), twice.on(&twice.on(&extra).unwrap()).unwrap());
    let sum = Add::new().on([&encoder.on(&once).unwrap(), &encoder.on(&again).unwrap()]).unwrap();
    let block = Sequential::new().add(Dense::new(7).activation(Gelu)).add(Dropout::new(0.2));
    let sum = Checkpoint::new(block).on(&sum).unwrap();
    let class = Dense::new(3).activation(Softmax).named("class").on(&sum).unwrap();
    let size = Dense::new(1).named("size").on(&words).unwrap();
    Functional::new([&tokens, &extra], [&class, &size]).unwrap().seed(4)
}

fn compiled() -> Model {
    let losses = (SparseCategoricalCrossentropy::new(), MeanSquaredError::new().weight(0.5));
    let metrics = PerOutput::new().output("class", [Accuracy::new()]);
    graph().compile(Adam::new(0.01), losses, metrics).unwrap()
}

fn rows() -> ([Tensor; 2], [Tensor; 2]) {
    let numbers = |shape: &[usize], salt: f32| {
        let n = shape.iter().product::<usize>();
        let values: Vec<f32> = (0..n).map(|i| (i as f32 * 0.37 + salt).fract() - 0.4).collect();
        Tensor::from_slice(&values, shape).unwrap()
    };
    let tokens: Vec<i64> = (0..60).map(|i| if i % 6 > 3 { 0 } else { (i * 5 % 7).max(1) }).collect();
    let labels: Vec<i64> = (0..10).map(|i| i * 7 % 3).collect();
    let x = [Tensor::from_slice(&tokens, [10, 6]).unwrap(), numbers(&[10, 4], 0.1)];
    (x, [Tensor::from_slice(&labels, [10]).unwrap(), numbers(&[10, 6, 1], 0.3)])
}

fn trained() -> Model {
    let (mut model, (x, y)) = (compiled(), rows());
    model.fit(&x, &y, Fit::new().epochs(2).batch_size(4).verbose(0)).unwrap();
    model
}

fn same(a: &Network, b: &Network) {
    let (x, _) = rows();
    assert_eq!(a.weight_bytes().unwrap(), b.weight_bytes().unwrap());
    assert_eq!(a.summary_table().to_string(), b.summary_table().to_string());
    for (a, b) in a.predict_all(&x).unwrap().iter().zip(&b.predict_all(&x).unwrap()) {
        assert!(a.same_bits(b), "{a} {b}");
    }
}

#[test]
fn a_graph_comes_back_and_trains_on() {
    let (mut model, (x, y)) = (trained(), rows());
    let bytes = model.to_bytes().unwrap();
    let mut again = Model::from_bytes(&bytes, limits()).unwrap();
    assert_eq!(again.to_bytes().unwrap(), bytes);
    same(&model, &again);
    let fit = || Fit::new().epochs(2).batch_size(3).verbose(0);
    let (a, b) = (model.fit(&x, &y, fit()).unwrap(), again.fit(&x, &y, fit()).unwrap());
    assert_eq!(a, b);
    assert!(a.get("class_accuracy").is_some() && a.get("size_loss").is_some());
    assert_eq!(model.to_bytes().unwrap(), again.to_bytes().unwrap());
}

#[test]
fn a_network_without_a_loss_has_files_too() {
    let path = folder("network").join("n.gradus");
    let model = trained();
    model.network().save(&path).unwrap();
    same(&model, &Network::load(&path).unwrap());
    let error = Model::load(&path).unwrap_err().to_string();
    assert!(error.contains("Network::load"), "{error}");
    // A model's file is one of its network as well.
    model.save(&path).unwrap();
    let network = Network::load_with(&path, Limits::default()).unwrap();
    same(&model, &network);
    // And a network may be cut: its parts keep the numbers by which random layers draw.
    let cut = network.cut_at(["checkpoint"]).unwrap();
    let back = Network::from_bytes(&cut.to_bytes().unwrap(), limits()).unwrap();
    assert_eq!(cut.to_bytes().unwrap(), back.to_bytes().unwrap());
    let x = rows().0[1].clone();
    let drawn = |n: &Network| n.forward(&x, &mut Cx::train(3, 5)).unwrap();
    assert!(drawn(&cut).same_bits(&drawn(&back)));
}

#[test]
fn what_a_file_says_of_frozen_layers_holds() {
    let mut network = trained().into_network();
    network.set_trainable("encoder", false).unwrap();
    let back = Network::from_bytes(&network.to_bytes().unwrap(), limits()).unwrap();
    let frozen = |n: &Network| {
        let mut paths = Vec::new();
        gradus::nn::Module::visit(n, &mut |path, p| paths.extend(p.is_frozen().then(|| path.to_string())));
        paths
    };
    assert_eq!(frozen(&back), ["encoder/dense/kernel", "encoder/dense/bias"]);
}

// ---- files written once

/// The bits of some predictions, as text.
fn bits(tensors: &[Tensor]) -> String {
    let words = |t: &Tensor| t.cast(DType::F64).unwrap().to_vec::<f64>().unwrap();
    let hash = |h: u64, v: f64| (h ^ v.to_bits()).wrapping_mul(0x100_0000_01b3).rotate_left(17);
    format!("{:016x}", tensors.iter().flat_map(words).fold(0xcbf2_9ce4_8422_2325, hash))
}

fn corpus(name: &str) -> String {
    format!("{}/fuzz/corpus/model/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// What the files predict for rows of ones and a slope, and again after a step of training.
const PINNED: [(&str, [&str; 2]); 3] = [
    ("valid-tiny", ["4d5a7bf00a8f5d9c", "c8c1d78da21035ec"]),
    ("valid-untrained", ["443e0f1f4b98c247", "95d8ef65f9cd0773"]),
    ("valid-all-layers-f64", ["a22c85237268b95c", "410476089f5808bd"]),
];

#[test]
fn files_of_version_1_predict_and_train_as_they_did() {
    if !isa().is_fused() {
        return; // the bits were pinned where there is a fused multiply-add
    }
    let mut wrong = String::new();
    for (name, pinned) in PINNED {
        let bytes = std::fs::read(corpus(name)).unwrap();
        assert!(String::from_utf8_lossy(&bytes).contains(r#""format_version":"1""#), "{name}");
        let mut model = Model::from_bytes(&bytes, limits()).unwrap();
        let config = String::from_utf8_lossy(&bytes).replace('\\', "");
        let shape = config.split_once(r#""shape":["#).unwrap().1.split_once(']').unwrap().0;
        let sizes: Vec<usize> = shape.split(',').map(|d| d.parse().unwrap_or(3)).collect();
        let sizes = [&[5], &sizes[..]].concat();
        let n = sizes.iter().product::<usize>();
        let values: Vec<f64> = (0..n).map(|i| 1.0 + i as f64 / n as f64).collect();
        let x = Tensor::from_slice(&values, sizes).unwrap().cast(model.dtype()).unwrap();
        let before = model.predict(&x).unwrap();
        let zeros = match config.contains("Sparse") {
            true => Tensor::full([5], 0i64).unwrap(),
            false => before.affine(0.0, 0.0).unwrap(),
        };
        model.train_on_batch(&x, &zeros).unwrap();
        let got = [bits(&[before]), bits(&[model.predict(&x).unwrap()])];
        if got != pinned {
            wrong.push_str(&format!("{name}: {got:?}\n"));
        }
    }
    assert!(wrong.is_empty(), "other bits than those of the version that wrote the file:\n{wrong}");
}

#[test]
fn a_file_of_version_2_is_what_its_program_makes() {
    if !isa().is_fused() {
        return; // the bits were pinned where there is a fused multiply-add
    }
    let (path, model) = (corpus("valid-2-graph"), trained());
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        model.save(&path).unwrap();
    }
    let written = std::fs::read(&path).unwrap();
    assert!(String::from_utf8_lossy(&written).contains(r#""format_version":"2""#));
    let loaded = Model::from_bytes(&written, limits()).unwrap();
    same(&model, &loaded);
    assert_eq!(model.to_bytes().unwrap(), loaded.to_bytes().unwrap());
}

// ---- types of the program's own

settings! {
    /// Scales each feature.
    pub layer Scale as "acme>Scale" {
        /// Beginning with this factor.
        new(start: f64);
    }
}
impl gradus::nn::Build for Scale {
    fn build(&self, inputs: &InputSpecs<'_>, init: &mut Init) -> Result<Box<dyn Node>> {
        let n = features("Scale", single(inputs)?)?;
        let start = gradus::nn::initializer::Constant::new(self.start).into();
        Ok(Box::new(ScaleNode { factor: init.param([n], &start)? }))
    }
}
#[derive(Clone, Debug)]
struct ScaleNode {
    factor: Param,
}
gradus::parts!(ScaleNode { factor });
impl Layer for ScaleNode {
    fn forward(&self, x: &Tensor, cx: &mut Cx) -> Result<Tensor> {
        x.mul(&cx.param(&self.factor)?)
    }
}

#[test]
fn layers_of_ones_own_come_back_with_a_registry() {
    let input = Input::new([3]);
    let h = Scale::new(2.0).named("first").on(&input).unwrap();
    let graph = Functional::new(&input, &Scale::new(0.5).frozen().on(&h).unwrap()).unwrap();
    let mut model = graph.compile(SGD::new(0.1), MeanSquaredError::new(), ()).unwrap();
    let x = Tensor::ones([2, 3]).unwrap();
    model.train_on_batch(&x, &x.affine(3.0, 0.0).unwrap()).unwrap();
    let bytes = model.to_bytes().unwrap();
    let load = Load::new().registry(Registry::new().layer::<Scale>().unwrap());
    let back = Model::from_bytes(&bytes, &load).unwrap();
    assert_eq!(back.to_bytes().unwrap(), bytes);
    assert!(back.predict(&x).unwrap().same_bits(&model.predict(&x).unwrap()));
    assert_eq!(back.params()[0].0, "first/factor");
    let error = Model::from_bytes(&bytes, Load::new()).unwrap_err().to_string();
    assert!(error.contains("unknown name 'acme>Scale'") && error.contains("none is registered"), "{error}");
    let other = Load::new().registry(Registry::new().layer::<super::settings::Every>().unwrap());
    let error = Model::from_bytes(&bytes, other).unwrap_err().to_string();
    assert!(error.contains("or, registered, acme>Every"), "{error}");
}

// ---- files that cannot be meant

#[test]
fn what_a_graph_cannot_mean_is_an_error() {
    let bytes = trained().to_bytes().unwrap();
    let said = |change: &dyn Fn(&mut Json)| {
        let changed = with_config(&bytes, |config| change(config));
        Model::from_bytes(&changed, limits()).unwrap_err().to_string()
    };
    let graph = |change: &dyn Fn(&mut Json)| said(&|config| change(&mut config["network"]["config"]));
    let cases: [(&str, &str, Json); 16] = [
        ("a cycle", "/calls/0/inputs/0", json!({ "call": 3, "output": 0 })),
        ("input 'input_layer' of 'encoder'", "/calls/3/layer", json!(6)),
        ("a cycle", "/calls/1/inputs/0", json!({ "call": 1, "output": 0 })),
        ("there are", "/calls/1/layer", json!(99)),
        ("'dense' is never called", "/calls/9/layer", json!(7)),
        ("input 2, but there are 2", "/calls/0/inputs/0", json!({ "input": 2 })),
        ("expected {", "/calls/0/inputs/0", json!({ "input": 0, "call": 0 })),
        ("output", "/outputs/0/from/output", json!(1)),
        ("leads to no output", "/outputs/1/from", json!({ "call": 0, "output": 0 })),
        ("unique", "/outputs/1/name", json!("class")),
        ("unique", "/layers/1/name", json!("twice")),
        ("unique", "/layers/1/name", json!("tokens")),
        ("without '/'", "/layers/1/name", json!("a/b")),
        ("unknown name 'Conv9D'", "/layers/1/class_name", json!("Conv9D")),
        ("unknown setting 'why'", "/why", json!(1)),
        ("or named mask, got one named 'a'", "/calls/1/names", json!(["a", "b", "c", "d"])),
    ];
    for (part, pointer, value) in cases {
        let error = graph(&|config| {
            let (parent, key) = pointer.rsplit_once('/').unwrap();
            let parent = config.pointer_mut(parent).unwrap_or_else(|| panic!("no {parent}"));
            match (parent, key.parse::<usize>()) {
                (Json::Array(list), Ok(i)) => list[i] = value.clone(),
                (other, _) => other[key] = value.clone(),
            }
        });
        assert!(error.contains(part), "{pointer} {value}: {error}");
        assert!(!error.contains("24") && !error.contains("40") && !error.contains("192"), "{error}");
    }
    let error = graph(&|config| config["outputs"] = json!([]));
    assert!(error.contains("no outputs"), "{error}");
    let error = said(&|config| config["adapters"] = json!([{ "class_name": "TextVectorization" }]));
    assert!(error.contains("adapters"), "{error}");
    let error = said(&|config| config["numbers"] = json!({ "params": [0], "keys": [] }));
    assert!(error.contains("numbers of parameters"), "{error}");
    let error = said(&|config| config["network"]["class_name"] = json!("Siamese"));
    assert!(error.contains("unknown name 'Siamese', expected one of Sequential, Functional"), "{error}");
    let old = with_metadata(&bytes, "format_version", "0");
    assert!(Model::from_bytes(&old, limits()).is_err());
}
