//! Tests that a saved model comes back bit by bit and continues to train as if nothing had happened, and that no
//! file, whatever its contents, makes the reader panic or take too much memory.

use gradus::config::Configured;
use gradus::io::{Limits, Load, Registry};
use gradus::loss::Loss;
use gradus::nn::initializer::Constant;
use gradus::nn::{Cx, Init, Layer, Module, Param, Subclass};
use gradus::prelude::*;
use gradus::{Error, Result};
use std::path::PathBuf;

pub(crate) fn limits() -> Limits {
    Limits::default()
}

fn load() -> Load {
    Load::new()
}

/// A folder of its own for each test.
pub(crate) fn folder(test: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("gradus-files-{test}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

/// 50 rows of 6 numbers in 3 classes.
fn data(dtype: DType) -> (Tensor, Tensor) {
    let x: Vec<f32> = (0..300).map(|i| ((i * 7919 % 1009) as f32 / 1009.0 - 0.5) * 2.0).collect();
    let y: Vec<i64> = (0..50).map(|i| i * 31 % 3).collect();
    (Tensor::from_slice(&x, [50, 6]).unwrap().cast(dtype).unwrap(), Tensor::from_slice(&y, [50]).unwrap())
}

fn network(dtype: DType) -> Sequential {
    Sequential::new()
        .add(Input::new([6]))
        .add(Dense::new(8).activation(Relu).kernel_regularizer(L2::new(1e-3)))
        .add(Dropout::new(0.3))
        .add(Dense::new(5).activation(Tanh).named("frozen").frozen())
        .add(
            Sequential::new()
                .add(Dense::new(4).activation(Gelu))
                .add(Dense::new(4).use_bias(false))
                .named("inner"),
        )
        .add(Dense::new(3).activation(Softmax))
        .dtype(dtype)
        .seed(9)
}

fn adam(dtype: DType) -> Model {
    let loss = SparseCategoricalCrossentropy::new();
    network(dtype).compile(Adam::new(0.01), loss, [Accuracy::new()]).unwrap()
}

fn tiny() -> Model {
    let net = Sequential::new().add(Input::new([2])).add(Dense::new(3).activation(Relu)).add(Dense::new(1));
    let mut model = net.compile(Adam::new(0.1), MeanSquaredError::new(), ()).unwrap();
    let (x, y) = (Tensor::ones([4, 2]).unwrap(), Tensor::zeros([4, 1]).unwrap());
    model.fit(&x, &y, Fit::new().verbose(0)).unwrap();
    model
}

fn error(bytes: &[u8]) -> String {
    Model::from_bytes(bytes, load()).unwrap_err().to_string()
}

/// Name, type and outputs of every layer.
fn layers(model: &Model) -> Vec<String> {
    let all = model.layers();
    all.map(|l| format!("{} {} {:?}", l.name(), l.class_name(), l.outputs().collect::<Vec<_>>())).collect()
}

// ---- the format, read by hand

/// A safetensors file taken apart without the crate: metadata, then name, dtype, shape and bytes of each tensor.
type Parsed = (serde_json::Map<String, serde_json::Value>, Vec<(String, String, Vec<usize>, Vec<u8>)>);

fn parse(bytes: &[u8]) -> Parsed {
    let n = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    assert_eq!(n % 8, 0);
    let header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + n]).unwrap();
    let data = &bytes[8 + n..];
    let mut metadata = None;
    let mut tensors = Vec::new();
    for (name, entry) in header.as_object().unwrap() {
        if name == "__metadata__" {
            metadata = entry.as_object().cloned();
            continue;
        }
        let shape: Vec<usize> =
            entry["shape"].as_array().unwrap().iter().map(|d| d.as_u64().unwrap() as usize).collect();
        let at = |i: usize| entry["data_offsets"][i].as_u64().unwrap() as usize;
        let dtype = entry["dtype"].as_str().unwrap().to_string();
        tensors.push((name.clone(), dtype, shape, data[at(0)..at(1)].to_vec()));
    }
    let covered: usize = tensors.iter().map(|t| t.3.len()).sum();
    assert_eq!(covered, data.len());
    (metadata.unwrap(), tensors)
}

/// The same file with another header; `change` sees its JSON.
fn with_header(bytes: &[u8], change: impl FnOnce(&mut serde_json::Value)) -> Vec<u8> {
    let n = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let mut header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + n]).unwrap();
    change(&mut header);
    assemble(serde_json::to_string(&header).unwrap().as_bytes(), &bytes[8 + n..])
}

fn assemble(header: &[u8], data: &[u8]) -> Vec<u8> {
    let mut out = (header.len() as u64).to_le_bytes().to_vec();
    out.extend(header);
    out.extend(data);
    out
}

/// The same file with another configuration.
pub(crate) fn with_config(bytes: &[u8], change: impl FnOnce(&mut serde_json::Value)) -> Vec<u8> {
    with_header(bytes, |header| {
        let text = header["__metadata__"]["config"].as_str().unwrap();
        let mut config: serde_json::Value = serde_json::from_str(text).unwrap();
        change(&mut config);
        header["__metadata__"]["config"] = serde_json::to_string(&config).unwrap().into();
    })
}

pub(crate) fn with_metadata(bytes: &[u8], key: &str, value: &str) -> Vec<u8> {
    with_header(bytes, |h| h["__metadata__"][key] = value.into())
}

// ---- round trips

#[test]
fn a_model_comes_back_bit_by_bit() {
    for dtype in [DType::F32, DType::F64] {
        let (x, y) = data(dtype);
        let mut model = adam(dtype);
        model.fit(&x, &y, Fit::new().epochs(2).verbose(0)).unwrap();
        model.optimizer_mut().set_learning_rate(0.1 / 3.0).unwrap();
        let path = folder("round").join("m.gradus");
        model.save(&path).unwrap();
        let loaded = Model::load(&path).unwrap();
        assert!(model.predict(&x).unwrap().same_bits(&loaded.predict(&x).unwrap()));
        assert_eq!(model.weight_bytes().unwrap(), loaded.weight_bytes().unwrap());
        assert_eq!(model.to_bytes().unwrap(), loaded.to_bytes().unwrap());
        assert_eq!(model.summary_table().to_string(), loaded.summary_table().to_string());
        assert_eq!(layers(&model), layers(&loaded));
        assert_eq!(loaded.optimizer().learning_rate().to_bits(), (0.1f64 / 3.0).to_bits());
        assert_eq!(loaded.optimizer().iterations(), 4);
        let (a, b) = (model.evaluate(&x, &y).unwrap(), loaded.evaluate(&x, &y).unwrap());
        assert!(a.iter().eq(b.iter()) && a.get("accuracy").is_some());
    }
}

#[test]
fn training_goes_on_as_if_it_had_not_stopped() {
    let (x, y) = data(DType::F32);
    let loss = SparseCategoricalCrossentropy::new;
    let momentum = |nesterov| {
        let sgd = SGD::new(0.05).momentum(0.9).nesterov(nesterov);
        network(DType::F32).compile(sgd, loss(), [Accuracy::new()]).unwrap()
    };
    let plain = network(DType::F32).compile(SGD::new(0.1), loss(), ()).unwrap();
    let fresh = adam(DType::F32).clone_fresh(77).unwrap();
    for start in [adam(DType::F32), momentum(false), momentum(true), plain, fresh] {
        let fit = |epochs| Fit::new().epochs(epochs).batch_size(8).verbose(0);
        let mut whole = start.clone();
        let expected = whole.fit(&x, &y, fit(4)).unwrap();
        let mut half = start;
        half.fit(&x, &y, fit(2)).unwrap();
        let mut again = Model::from_bytes(&half.to_bytes().unwrap(), load()).unwrap();
        drop(half);
        let history = again.fit(&x, &y, fit(2)).unwrap();
        assert_eq!(&expected["loss"][2..], &history["loss"]);
        assert_eq!(whole.weight_bytes().unwrap(), again.weight_bytes().unwrap());
        assert_eq!(whole.to_bytes().unwrap(), again.to_bytes().unwrap());
    }
}

#[test]
fn a_model_that_never_trained_comes_back() {
    let model = adam(DType::F32);
    let bytes = model.to_bytes().unwrap();
    assert!(parse(&bytes).1.iter().all(|t| !t.0.starts_with("optimizer/")));
    let loaded = Model::from_bytes(&bytes, load()).unwrap();
    assert_eq!(model.weight_bytes().unwrap(), loaded.weight_bytes().unwrap());
}

#[test]
fn parameters_frozen_and_unfrozen_by_hand_stay_so() {
    let (x, y) = data(DType::F32);
    let mut model = adam(DType::F32);
    model.fit(&x, &y, Fit::new().verbose(0)).unwrap();
    model.visit_mut(&mut |path, p| {
        if path.as_str() == "dense/bias" || path.as_str() == "frozen/kernel" {
            p.set_frozen(!p.is_frozen());
        }
    });
    let mut loaded = Model::from_bytes(&model.to_bytes().unwrap(), load()).unwrap();
    let mut trainable = Vec::new();
    loaded.visit(&mut |path, p| trainable.push((path.to_string(), p.trainable())));
    let of = |name: &str| trainable.iter().find(|(p, _)| p == name).unwrap().1;
    assert!(!of("dense/bias") && of("frozen/kernel") && !of("frozen/bias") && of("dense/kernel"));
    model.fit(&x, &y, Fit::new().verbose(0)).unwrap();
    loaded.fit(&x, &y, Fit::new().verbose(0)).unwrap();
    assert_eq!(model.weight_bytes().unwrap(), loaded.weight_bytes().unwrap());
}

#[test]
fn another_reader_finds_names_shapes_and_values() {
    let model = tiny();
    let (metadata, tensors) = parse(&model.to_bytes().unwrap());
    assert_eq!((&metadata["format"], &metadata["format_version"]), (&"gradus".into(), &"2".into()));
    assert_eq!(metadata["gradus_version"], env!("CARGO_PKG_VERSION"));
    let names: Vec<&str> = tensors.iter().map(|t| t.0.as_str()).collect();
    let mut expected = Vec::new();
    for path in ["dense/bias", "dense/kernel", "dense_1/bias", "dense_1/kernel"] {
        expected.extend([path.into(), format!("optimizer/{path}/m"), format!("optimizer/{path}/v")]);
    }
    expected.sort();
    assert_eq!(names, expected);
    for (name, value) in model.params() {
        let (_, dtype, shape, bytes) = tensors.iter().find(|t| t.0 == name).unwrap();
        assert_eq!((dtype.as_str(), &shape[..]), ("F32", value.dims()));
        let values: Vec<u8> = value.to_vec::<f32>().unwrap().iter().flat_map(|v| v.to_le_bytes()).collect();
        assert_eq!(*bytes, values);
    }
    let config: serde_json::Value = serde_json::from_str(metadata["config"].as_str().unwrap()).unwrap();
    assert_eq!(config["network"]["class_name"], "Sequential");
    assert_eq!(config["network"]["config"]["layers"][1]["config"]["units"], 3);
    assert_eq!(config["compile"]["optimizer"]["class_name"], "Adam");
    assert_eq!(config["progress"]["iterations"], 1);
}

// ---- what is the user's own

#[derive(Clone, Debug)]
struct Twice {
    factor: Param,
}
gradus::parts!(Twice { factor });
impl Layer for Twice {
    fn forward(&self, x: &Tensor, cx: &mut Cx) -> Result<Tensor> {
        x.mul(&cx.param(&self.factor)?)
    }
}

#[derive(Clone, Debug)]
struct Mine;
gradus::parts!(Mine {});
impl Configured for Mine {}
impl Layer for Mine {
    fn forward(&self, x: &Tensor, _: &mut Cx) -> Result<Tensor> {
        Ok(x.clone())
    }
}
impl Loss for Mine {
    fn call(&self, _: &Tensor, y_pred: &Tensor) -> Result<Tensor> {
        y_pred.square()
    }
}

fn custom(value: f64) -> Model {
    let factor = Init::new(0, DType::F32).param([2], &Constant::new(value).into()).unwrap();
    Subclass::new([Input::new([2])], Twice { factor })
        .compile(SGD::new(0.1), MeanSquaredError::new(), ())
        .unwrap()
}

#[test]
fn ones_own_networks_layers_and_losses_say_what_to_do_instead() {
    let dense = || Sequential::new().add(Input::new([2])).add(Dense::new(1));
    let layer = dense().add(Mine).compile(SGD::new(0.1), MeanSquaredError::new(), ()).unwrap();
    let inner = dense().add(Sequential::new().add(Mine));
    let inner = inner.compile(SGD::new(0.1), MeanSquaredError::new(), ()).unwrap();
    let loss = dense().compile(SGD::new(0.1), Mine, ()).unwrap();
    let path = folder("own").join("m.gradus");
    for (model, names) in [(layer, "Mine"), (inner, "Mine"), (loss, "Mine"), (custom(1.0), "your own")] {
        let e = model.save(&path).unwrap_err().to_string();
        assert!(e.contains("save_weights") && e.contains(names), "{e}");
        assert!(!path.exists());
    }
}

gradus::settings! {
    /// Passes `x·factor` on: a layer of another crate.
    layer Scale as "acme>Scale" {
        /// By this factor.
        new(factor: f64);
    }
}
gradus::parts!(Scale {});
impl Layer for Scale {
    fn forward(&self, x: &Tensor, _: &mut Cx) -> Result<Tensor> {
        x.affine(self.factor, 0.0)
    }
}

gradus::settings! {
    /// `|t - p|^power`.
    #[derive(Copy)]
    struct Power as "acme>Power" {
        /// With the power 2.
        new();

        /// The power; 2 by default.
        power: f64 = 2.0,
    }
}
impl Loss for Power {
    fn call(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<Tensor> {
        let d = y_pred.sub(&y_true.cast(y_pred.dtype())?)?.abs()?;
        d.pow(&d.new_full([], self.power)?)?.mean(&[-1], false)
    }
}

#[test]
fn registered_types_of_ones_own_come_back() {
    let inner = Sequential::new().add(Scale::new(0.5).named("half")).add(Dense::new(2));
    let net = Sequential::new().add(Input::new([2])).add(Scale::new(3.0)).add(inner).add(Dense::new(1));
    let loss = Power::new().power(3.0).weight(2.0);
    let mut model = net.compile(Adam::new(0.1), loss, [gradus::metric::MeanLoss::new(Power::new())]).unwrap();
    let (x, y) = (Tensor::ones([4, 2]).unwrap(), Tensor::zeros([4, 1]).unwrap());
    model.fit(&x, &y, Fit::new().verbose(0)).unwrap();
    assert_eq!(
        model.layers().next().unwrap().name(),
        "scale",
        "names come from the type, not from its name in files"
    );
    let bytes = model.to_bytes().unwrap();
    let e = error(&bytes);
    assert!(e.contains("layer: unknown name 'acme>Scale'") && e.contains("none is registered"), "{e}");
    let registry = Registry::new().layer::<Scale>().unwrap();
    let e = Model::from_bytes(&bytes, registry.clone()).unwrap_err().to_string();
    assert!(e.contains("loss: unknown name 'acme>Power'"), "{e}");
    let load = Load::new().registry(registry.loss::<Power>().unwrap());
    let mut loaded = Model::from_bytes(&bytes, &load).unwrap();
    assert_eq!(loaded.to_bytes().unwrap(), bytes);
    let fit = |model: &mut Model| model.fit(&x, &y, Fit::new().verbose(0)).unwrap()["loss"].to_vec();
    assert_eq!(fit(&mut model), fit(&mut loaded));
    assert_eq!(model.weight_bytes().unwrap(), loaded.weight_bytes().unwrap());
}

#[test]
fn settings_that_json_cannot_hold_are_refused_when_saving() {
    let endless = Dense::new(1).kernel_initializer(Constant::new(f64::INFINITY));
    let model = Sequential::new().add(Input::new([2])).add(endless);
    let model = model.compile(SGD::new(0.1), MeanSquaredError::new(), ()).unwrap();
    assert!(model.to_bytes().unwrap_err().to_string().contains("Dense"), "{}", model.to_bytes().unwrap_err());
    tiny().optimizer_mut().set_learning_rate(f64::NAN).unwrap_err();
}

#[test]
fn weights_of_any_network_come_back() {
    let path = folder("weights").join("w.safetensors");
    custom(2.5).save_weights(&path).unwrap();
    let mut other = custom(1.0);
    other.load_weights(&path).unwrap();
    assert_eq!(other.param("factor").unwrap().to_vec::<f32>().unwrap(), [2.5, 2.5]);
    let e = Model::load(&path).unwrap_err().to_string();
    assert!(e.contains("load_weights"), "{e}");

    // From the file of a whole model, whose optimizer stays behind, and from a file without metadata.
    let model = tiny();
    model.save(&path).unwrap();
    let mut fresh = tiny().clone_fresh(5).unwrap();
    assert_ne!(fresh.weight_bytes().unwrap(), model.weight_bytes().unwrap());
    fresh.load_weights(&path).unwrap();
    assert_eq!(fresh.weight_bytes().unwrap(), model.weight_bytes().unwrap());
    assert_eq!(fresh.optimizer().iterations(), 0);
    model.save_weights(&path).unwrap();
    let bytes = with_header(&std::fs::read(&path).unwrap(), |h| {
        h.as_object_mut().unwrap().remove("__metadata__");
    });
    std::fs::write(&path, bytes).unwrap();
    let mut fresh = tiny().clone_fresh(6).unwrap();
    fresh.load_weights(&path).unwrap();
    assert_eq!(fresh.weight_bytes().unwrap(), model.weight_bytes().unwrap());
}

#[test]
fn tensors_that_do_not_fit_are_named_all_at_once() {
    let path = folder("strict").join("w.gradus");
    let net = Sequential::new().add(Input::new([2])).add(Dense::new(3)).add(Dense::new(2).named("extra"));
    net.compile(SGD::new(0.1), MeanSquaredError::new(), ()).unwrap().save_weights(&path).unwrap();
    let net = Sequential::new().add(Input::new([4])).add(Dense::new(3)).add(Dense::new(2).named("other"));
    let mut model = net.compile(SGD::new(0.1), MeanSquaredError::new(), ()).unwrap();
    let before = model.weight_bytes().unwrap();
    let e = model.load_weights(&path).unwrap_err().to_string();
    for part in [
        "missing: 'other/bias', 'other/kernel'",
        "unexpected: 'extra/bias', 'extra/kernel'",
        "'dense/kernel' (expected float32 [4, 3], the file has float32 [2, 3])",
    ] {
        assert!(e.contains(part), "{e}");
    }
    assert_eq!(before, model.weight_bytes().unwrap());

    let bytes = tiny().to_bytes().unwrap();
    let renamed = with_header(&bytes, |h| {
        let entry = h.as_object_mut().unwrap().remove("optimizer/dense/kernel/v").unwrap();
        h["stray"] = entry;
    });
    let e = error(&renamed);
    assert!(e.contains("missing: 'optimizer/dense/kernel/v'") && e.contains("unexpected: 'stray'"), "{e}");
    let e = error(&with_config(&bytes, |c| c["network"]["config"]["dtype"] = "float64".into()));
    assert!(e.contains("'dense/bias' (expected float64 [3], the file has float32 [3])"), "{e}");
}

// ---- hostile files

/// A loaded model must work.
fn use_it(model: Model) {
    let x = Tensor::ones([3, 2]).unwrap();
    let _ = model.predict(&x);
    let _ = model.to_bytes();
    let mut model = model;
    let _ = model.train_on_batch(&x, &Tensor::zeros([3, 1]).unwrap());
}

#[test]
fn truncated_files_are_errors() {
    let bytes = tiny().to_bytes().unwrap();
    for end in crate::cuts(bytes.len()) {
        assert!(matches!(Model::from_bytes(&bytes[..end], load()), Err(Error::Format { .. })), "{end}");
    }
    let longer = [&bytes[..], &[0]].concat();
    assert!(Model::from_bytes(&longer, load()).is_err());
}

#[test]
fn no_single_byte_of_the_header_can_break_the_reader() {
    let bytes = tiny().to_bytes().unwrap();
    let n = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let (mut good, mut bad) = (0, 0);
    for at in 0..n {
        for value in [0, b'9', b'"', b'}', bytes[at] ^ 1, bytes[at] ^ 0x80] {
            let mut changed = bytes.clone();
            changed[at] = value;
            match Model::from_bytes(&changed, load()) {
                Ok(model) => {
                    use_it(model);
                    good += 1;
                }
                Err(e) => {
                    assert!(e.to_string().len() < 4096, "{e}");
                    bad += 1;
                }
            }
        }
    }
    assert!(bad > 5 * good && good > 0, "{good} {bad}");
}

#[test]
fn foreign_files_are_errors() {
    for bytes in [
        &b""[..],
        b"PK\x03\x04 keras?",
        b"\x89HDF\r\n\x1a\n--------",
        &[0; 64],
        &[0xFF; 64],
        b"\x02\0\0\0\0\0\0\0[]",
    ] {
        assert!(matches!(Model::from_bytes(bytes, load()), Err(Error::Format { .. } | Error::Limit { .. })));
    }
    let e = error(&assemble(b"{}", b""));
    assert!(e.contains("not one of gradus's"), "{e}");
    let e = error(&with_metadata(&tiny().to_bytes().unwrap(), "format", "pt"));
    assert!(e.contains("load_weights"), "{e}");
    assert!(matches!(Model::load("/nonexistent/x.gradus"), Err(Error::Io { .. })));
}

#[test]
fn newer_versions_say_what_they_need() {
    let bytes = tiny().to_bytes().unwrap();
    let newer = with_metadata(&with_metadata(&bytes, "format_version", "3"), "gradus_version", "7.1.0");
    let e = error(&newer);
    assert!(e.contains("format version 3") && e.contains("use gradus 7.1.0 or newer"), "{e}");
    let path = folder("newer").join("m.gradus");
    std::fs::write(&path, newer).unwrap();
    assert!(tiny().load_weights(&path).unwrap_err().to_string().contains("7.1.0"));
    for version in ["0", "-1", "", "one", "99999999999999999999"] {
        assert!(error(&with_metadata(&bytes, "format_version", version)).contains("format_version"));
    }
}

#[test]
fn unknown_members_are_named() {
    let bytes = tiny().to_bytes().unwrap();
    let of_class = |class: &str| {
        error(&with_config(&bytes, |c| c["network"]["config"]["layers"][1]["class_name"] = class.into()))
    };
    let e = of_class("Magic");
    assert!(e.contains("unknown name 'Magic'") && e.contains("Dense"), "{e}");
    let e = of_class("Lambda");
    assert!(e.contains("Lambda: it is a function of a program, which no file can hold"), "{e}");
    let e = error(&with_config(&bytes, |c| c["compile"]["optimizer"]["class_name"] = "Evil".into()));
    assert!(e.contains("optimizer") && e.contains("Adam"), "{e}");
    let e = error(&with_config(&bytes, |c| c["compile"]["losses"][0]["config"]["surprise"] = 1.into()));
    assert!(e.contains("surprise"), "{e}");
    let e = error(&with_config(&bytes, |c| c["network"]["config"]["surprise"] = 1.into()));
    assert!(e.contains("surprise"), "{e}");
    let e = error(&with_config(&bytes, |c| c["surprise"] = 1.into()));
    assert!(e.contains("surprise"), "{e}");
    let e = error(&with_config(&bytes, |c| c["frozen"] = ["nowhere"].into_iter().collect()));
    assert!(e.contains("nowhere"), "{e}");
}

#[test]
fn every_field_is_checked() {
    use serde_json::json;
    let bytes = tiny().to_bytes().unwrap();
    let layers = "/network/config/layers";
    let cases = [
        ("/progress/steps".to_string(), json!(u64::MAX)),
        ("/progress/iterations".into(), json!(u64::MAX)),
        ("/progress/epochs".into(), json!(-1)),
        ("/progress/seed".into(), json!(1.5)),
        ("/compile/learning_rate".into(), json!(-1.0)),
        ("/compile/learning_rate".into(), json!(null)),
        ("/compile/optimizer/config/learning_rate".into(), json!(-1.0)),
        ("/compile/losses".into(), json!([])),
        ("/compile/metrics".into(), json!([])),
        ("/compile/metrics".into(), json!([[], []])),
        ("/network/config/dtype".into(), json!("int64")),
        ("/network/config/dtype".into(), json!("complex")),
        ("/network/config/layers".into(), json!([])),
        (format!("{layers}/0/config/dtype"), json!("int63")),
        (format!("{layers}/0/config/shape"), json!([1, 1, 1, 1, 1, 1, 1, 1, 1])),
        (format!("{layers}/0/config/shape"), json!([null])),
        (format!("{layers}/1/config/units"), json!(0)),
        (format!("{layers}/1/config/units"), json!(-3)),
        (format!("{layers}/1/config/name"), json!("a/b")),
        (format!("{layers}/1/config/name"), json!("dense_1")),
    ];
    for (pointer, value) in cases {
        let mut found = false;
        let changed = with_config(&bytes, |c| {
            let (parent, key) = pointer.rsplit_once('/').unwrap();
            let parent = c.pointer_mut(parent).unwrap();
            match parent.as_object_mut() {
                Some(map) => map.insert(key.into(), value.clone()),
                None => None,
            };
            found = true;
        });
        assert!(found && Model::from_bytes(&changed, load()).is_err(), "{pointer} {value}");
    }
}

#[test]
fn sizes_that_only_the_header_has_take_no_memory() {
    use serde_json::json;
    let bytes = tiny().to_bytes().unwrap();
    for units in [1 << 20, 1_000_000_000_000u64, 1 << 40, 1 << 62, u64::MAX] {
        let e = error(&with_config(&bytes, |c| {
            c["network"]["config"]["layers"][1]["config"]["units"] = units.into()
        }));
        assert!(e.contains("number of elements") || e.contains("expected"), "{e}");
    }
    // Nor do initializers run, however slow.
    let slow = with_config(&bytes, |c| {
        let dense = &mut c["network"]["config"]["layers"][1]["config"];
        dense["units"] = 100_000_000.into();
        dense["kernel_initializer"] = json!({ "class_name": "Orthogonal", "config": { "gain": 1.0 } });
    });
    assert!(Model::from_bytes(&slow, load()).is_err());
    let flatten = json!({ "class_name": "Flatten", "config": {} });
    for shape in [
        json!([1u64 << 62, 1u64 << 62, 4]),
        json!([u64::MAX]),
        json!([null, null, 1u64 << 30, 1u64 << 9]),
        json!([null, null, null]),
        json!([0, u64::MAX]),
    ] {
        let changed = with_config(&bytes, |c| {
            c["network"]["config"]["layers"][0]["config"]["shape"] = shape.clone();
            c["network"]["config"]["layers"].as_array_mut().unwrap().insert(1, flatten.clone());
        });
        assert!(Model::from_bytes(&changed, load()).is_err(), "{shape}");
    }
    // Declared sizes of tensors, of the header and of the file.
    for shape in [json!([1u64 << 62, 8]), json!([u64::MAX, u64::MAX]), json!([2, 3, 1u64 << 40])] {
        assert!(
            Model::from_bytes(&with_header(&bytes, |h| h["dense/kernel"]["shape"] = shape.clone()), load())
                .is_err()
        );
    }
    for length in [u64::MAX, u64::MAX - 8, 1 << 40, bytes.len() as u64] {
        let mut changed = bytes.clone();
        changed[..8].copy_from_slice(&length.to_le_bytes());
        assert!(Model::from_bytes(&changed, load()).is_err());
    }
}

#[test]
fn each_limit_holds() {
    let bytes = tiny().to_bytes().unwrap();
    let n = bytes.len() as u64;
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap());
    assert!(
        Model::from_bytes(&bytes, limits().max_file_bytes(n).max_header_bytes(header).max_tensors(12))
            .is_ok()
    );
    for tight in [
        limits().max_file_bytes(n - 1),
        limits().max_header_bytes(header - 1),
        limits().max_tensors(11),
        limits().max_name(8),
        limits().max_rank(1),
        limits().max_elements(5),
        limits().max_total_bytes(100),
        limits().max_depth(2),
        limits().max_depth(5),
    ] {
        let e = Model::from_bytes(&bytes, tight).unwrap_err();
        let e = match e {
            Error::At { source, .. } => *source,
            e => e,
        };
        assert!(matches!(e, Error::Limit { .. }), "{e}");
    }
    let path = folder("limits").join("m.gradus");
    std::fs::write(&path, &bytes).unwrap();
    assert!(matches!(Model::load_with(&path, limits().max_file_bytes(n - 1)), Err(Error::Limit { .. })));
}

#[test]
fn a_hundred_thousand_tensors_or_layers_are_refused_or_quick() {
    let entries: Vec<String> = (0..100_000)
        .map(|i| format!("\"t{i}\":{{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,0]}}"))
        .collect();
    let file = assemble(format!("{{{}}}", entries.join(",")).as_bytes(), &[]);
    assert!(matches!(
        Model::from_bytes(&file, load()),
        Err(Error::Limit { quantity: "the number of tensors", .. })
    ));
    let list = format!("{{\"__metadata__\":[{}0]}}", "0,".repeat(1 << 21));
    assert!(matches!(Model::from_bytes(&assemble(list.as_bytes(), &[]), load()), Err(Error::Limit { .. })));

    let layers = serde_json::Value::from_iter(std::iter::repeat_n(
        serde_json::json!({ "class_name": "Flatten", "config": {} }),
        3_000,
    ));
    let bytes = with_config(&tiny().to_bytes().unwrap(), |c| {
        let mut all = c["network"]["config"]["layers"].take();
        all.as_array_mut().unwrap().extend(layers.as_array().unwrap().iter().cloned());
        c["network"]["config"]["layers"] = all;
    });
    let start = std::time::Instant::now();
    assert_eq!(Model::from_bytes(&bytes, load()).unwrap().layers().count(), 3_002);
    assert!(start.elapsed().as_secs() < 20);
}

#[test]
fn deep_json_is_an_error() {
    let bytes = tiny().to_bytes().unwrap();
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        for depth in [70, 200, 1_000_000] {
            let deep = format!("{}0{}", open.repeat(depth), close.repeat(depth));
            let header = assemble(deep.as_bytes(), &[]);
            assert!(Model::from_bytes(&header, load()).is_err());
            assert!(Model::from_bytes(&header, limits().max_depth(u64::MAX)).is_err());
            let config = with_metadata(&bytes, "config", &deep);
            assert!(Model::from_bytes(&config, load()).is_err());
            assert!(Model::from_bytes(&config, limits().max_depth(u64::MAX)).is_err());
        }
    }
    // Stacks in stacks, as deep as JSON may be.
    let nested = with_config(&bytes, |c| {
        let mut inner = serde_json::json!([{ "class_name": "Flatten", "config": {} }]);
        for _ in 0..15 {
            let config = serde_json::json!({ "name": null, "seed": 0, "dtype": "float32", "layers": inner });
            inner = serde_json::json!([{ "class_name": "Sequential", "config": config }]);
        }
        let layer = inner[0].take();
        c["network"]["config"]["layers"].as_array_mut().unwrap().push(layer);
    });
    use_it(Model::from_bytes(&nested, load()).unwrap());
}

// ---- writing

#[test]
fn writing_replaces_and_leaves_nothing_behind() {
    let dir = folder("atomic");
    let path = dir.join("m.gradus");
    std::fs::write(&path, b"old").unwrap();
    let (model, bytes) = (tiny(), tiny().to_bytes().unwrap());
    model.save(&path).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 1);

    let taken = dir.join("folder");
    std::fs::create_dir(&taken).unwrap();
    std::fs::write(taken.join("inside"), b"").unwrap();
    for bad in [&taken, &dir.join("missing/m.gradus"), &dir.join("..")] {
        assert!(matches!(model.save(bad), Err(Error::Io { .. } | Error::Format { .. })), "{}", bad.display());
    }
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 2);
}

#[cfg(unix)]
#[test]
fn planted_temporary_files_are_neither_written_nor_followed() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let dir = folder("planted");
    let victim = dir.join("victim");
    std::fs::write(&victim, b"precious").unwrap();
    let temporary = |i: u32| dir.join(format!(".m.gradus.{i:016x}.gradus-tmp"));
    symlink(&victim, temporary(0)).unwrap();
    std::fs::hard_link(&victim, temporary(1)).unwrap();
    let path = dir.join("m.gradus");
    std::fs::write(&path, b"private").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    tiny().save(&path).unwrap();
    assert_eq!(std::fs::read(&victim).unwrap(), b"precious");
    // A link is left alone; another name of a file is removed, as a leftover would be, and the file stays.
    assert!(std::fs::symlink_metadata(temporary(0)).unwrap().is_symlink() && !temporary(1).exists());
    assert!(Model::load(&path).is_ok());
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 3);
}
