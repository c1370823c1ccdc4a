//! Tests of networks as graphs: what is refused and in which words, sizes that are unknown before data arrives,
//! names, shared layers, cutting and joining; and random graphs, which train, summarize, save and load, or say what
//! is wrong.

use gradus::Result;
use gradus::config::{Configured, Registry};
use gradus::io::{Limits, Load};
use gradus::nn::{Cx, InputSpecs, Inputs, Layer, Masking as Mask, Module, Node, Part, Symbol, Value, Values};
use gradus::prelude::*;
use gradus::random::{Purpose, Stream};
use proptest::prelude::*;
use serde_json::json;
use std::fmt::Write as _;

fn random(seed: u64, shape: &[usize]) -> Tensor {
    Tensor::randn(shape, Stream::new(seed, Purpose::User(0), 0)).unwrap()
}

// ---- layers made of operations

/// A layer that is one function.
macro_rules! function_layer {
    ($name:ident, $masking:expr, |$x:ident, $cx:ident| $body:expr) => {
        #[derive(Clone, Debug)]
        struct $name;
        gradus::parts!($name {});
        impl Configured for $name {}
        impl Layer for $name {
            fn forward(&self, $x: &Tensor, $cx: &mut Cx) -> Result<Tensor> {
                $body
            }
            fn masking(&self) -> Mask {
                $masking
            }
        }
    };
}

function_layer!(SumOverTime, Mask::Drop, |x, _cx| {
    let mut sum = x.select(1, 0)?;
    for t in 1..x.dims()[1] {
        sum = sum.add(&x.select(1, t as isize)?)?;
    }
    Ok(sum)
});
// Differences of neighbours: a valid window of two over the second axis.
function_layer!(Window, Mask::Drop, |x, _cx| {
    let n = x.dims()[1] as isize;
    x.slice(1, 1, n)?.sub(&x.slice(1, 0, n - 1)?)
});
function_layer!(Halve, Mask::Refuse, |x, _cx| x.slice_step(1, None, None, 2)?.slice_step(2, None, None, 2));
function_layer!(Double, Mask::Refuse, |x, _cx| x.repeat(2, 1)?.repeat(2, 2));
function_layer!(PlusZeros, Mask::Keep, |x, _cx| {
    let zeros = Tensor::zeros([x.dims()[0], 5])?.cast(x.dtype())?;
    x.add(&zeros)
});
function_layer!(ReadsValues, Mask::Keep, |x, _cx| x.affine(x.sum(&[], false)?.item()?, 0.0));

// ---- what is refused

fn failure<T>(result: Result<T>) -> Result<()> {
    result.map(|_| ())
}

fn compiled(network: Functional) -> Result<Model> {
    network.compile(Adam::new(0.01), MeanSquaredError::new(), ())
}

/// The bytes of a small graph with another configuration.
fn edited(edit: impl Fn(&mut serde_json::Value)) -> Result<()> {
    let (a, b) = (Input::new([3]).named("a"), Input::new([3]).named("b"));
    let dense = Dense::new(2).named("shared").shared();
    let sum = Add::new().on([&dense.on(&a)?, &dense.on(&b)?])?;
    let bytes = Functional::new([&a, &b], &sum)?.build()?.to_bytes()?;
    let n = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let mut header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + n]).unwrap();
    let mut config: serde_json::Value =
        serde_json::from_str(header["__metadata__"]["config"].as_str().unwrap()).unwrap();
    edit(&mut config);
    header["__metadata__"]["config"] = config.to_string().into();
    let mut text = header.to_string();
    while !text.len().is_multiple_of(8) {
        text.push(' ');
    }
    let mut out = (text.len() as u64).to_le_bytes().to_vec();
    out.extend(text.as_bytes());
    out.extend(&bytes[8 + n..]);
    failure(Network::from_bytes(&out, Load::new()))
}

fn graph(config: &mut serde_json::Value) -> &mut serde_json::Value {
    &mut config["network"]["config"]
}

type Mistake = (&'static str, fn() -> Result<()>);

#[rustfmt::skip]
const MISTAKES: &[Mistake] = &[
    // Graphs.
    ("input_unused", || {
        let (x, y) = (Input::new([3]).named("x"), Input::new([3]).named("y"));
        failure(Functional::new([&x, &y], &Dense::new(1).on(&x)?))
    }),
    ("input_not_listed", || {
        let (x, y) = (Input::new([3]).named("x"), Input::new([3]).named("y"));
        failure(Functional::new(&x, &Add::new().on([&x, &y])?))
    }),
    ("input_of_another_graph", || {
        let (x, y) = (Input::new([3]), Input::new([3]));
        failure(Functional::new(&x, &Dense::new(1).on(&y)?))
    }),
    ("input_twice", || {
        let x = Input::new([3]);
        failure(Functional::new([&x, &x], &Dense::new(1).on(&x)?))
    }),
    ("input_is_an_output", || {
        let h = Dense::new(2).on(&Input::new([3]))?;
        failure(Functional::new(&h, &Dense::new(1).on(&h)?))
    }),
    ("no_outputs", || {
        let none: Vec<Symbol> = Vec::new();
        failure(Functional::new(&Input::new([3]), &none))
    }),
    ("one_name_for_two_layers", || {
        let x = Input::new([3]);
        let h = Dense::new(3).named("same").on(&x)?;
        failure(Functional::new(&x, &Dense::new(3).named("same").on(&h)?))
    }),
    ("a_name_with_a_slash", || {
        let x = Input::new([3]);
        failure(Functional::new(&x, &Dense::new(3).named("a/b").on(&x)?))
    }),
    // Shapes, where the layer is called.
    ("add_shapes", || {
        let (x, y) = (Input::new([3]), Input::new([4]));
        failure(Add::new().named("sum").on([&x, &y]))
    }),
    ("add_none", || {
        let none: Vec<Symbol> = Vec::new();
        failure(Add::new().on(&none))
    }),
    ("concatenate_shapes", || {
        let (x, y) = (Input::with_unknown([None, Some(3)]), Input::new([4, 4]));
        failure(Concatenate::new().axis(1).on([&x, &y]))
    }),
    ("concatenate_the_batch", || failure(Concatenate::new().axis(0).on([&Input::new([3]), &Input::new([3])]))),
    ("dense_on_two", || failure(Dense::new(3).on([&Input::new([3]), &Input::new([3])]))),
    ("dense_features_unknown", || failure(Dense::new(3).on(&Input::with_unknown([None])))),
    ("reshape_sizes", || failure(Reshape::new(vec![5, 5]).named("to_square").on(&Input::new([24])))),
    ("reshape_two_holes", || failure(Reshape::new(vec![-1, -1]).on(&Input::new([24])))),
    ("embedding_of_nothing", || failure(Embedding::new(0, 3).on(&Input::new([4])))),
    ("masking_a_row", || failure(Masking::new().on(&Input::new([])))),
    ("shared_on_another_width", || {
        let dense = Dense::new(3).named("both").shared();
        dense.on(&Input::new([4]))?;
        failure(dense.on(&Input::new([5])))
    }),
    ("nested_on_another_width", || {
        let x = Input::new([4]);
        let inner = Functional::new(&x, &Dense::new(2).on(&x)?)?.named("inner");
        failure(inner.on(&Input::new([5])))
    }),
    ("nested_on_two", || {
        let x = Input::new([4]);
        let inner = Functional::new(&x, &Dense::new(2).on(&x)?)?.named("inner");
        failure(inner.on([&Input::new([4]), &Input::new([4])]))
    }),
    ("unknown_sizes_never_print", || failure(Add::new().on([&Dense::new(3).on(&Input::with_unknown([None, Some(2)]))?,
        &Window.on(&Input::with_unknown([None, Some(4)]))?]))),
    ("an_input_by_an_unknown_name", || {
        let x = Input::new([3]);
        failure(Dense::new(3).on((&x, [("attention_mask", &x)])))
    }),
    ("two_outputs_as_one", || failure(Twins.on(&Input::new([3])))),
    // Masks.
    ("a_mask_that_is_refused", || {
        let h = Embedding::new(5, 3).mask_zero(true).on(&Input::with_unknown([None]).dtype(DType::I64))?;
        failure(Window2.on(&h))
    }),
    ("a_mask_of_the_wrong_shape", || {
        let h = WrongMask.on(&Input::with_unknown([None, Some(3)]))?;
        failure(Add::new().on([&h, &Embedding::new(5, 3).mask_zero(true).on(&Input::with_unknown([None]))?]))
    }),
    // Parameters found twice.
    ("a_built_block_cloned", || {
        let mut init = gradus::nn::Init::new(0, DType::F32);
        let spec = gradus::Spec::new(gradus::Shape::new(&[gradus::UNKNOWN, 3])?, DType::F32);
        let node = gradus::nn::Build::build(&Dense::new(3), &(&[spec]).into(), &mut init)?;
        failure(Subclass::new([Input::new([3])], Stacked(vec![node.clone(), node])).build())
    }),
    ("a_part_that_nobody_built", || {
        failure(Part::new(Dense::new(3)).forward(&Tensor::zeros([1, 3])?, &mut Cx::infer()))
    }),
    ("values_read_in_forward", || failure(ReadsValues.on(&Input::new([3])))),
    ("everything_frozen", || {
        let x = Input::new([3]);
        let mut model = compiled(Functional::new(&x, &Dense::new(2).on(&x)?)?)?;
        model.set_all_trainable(false);
        failure(model.train_on_batch(&Tensor::zeros([2, 3])?, &Tensor::zeros([2, 2])?))
    }),
    // Names and cutting.
    ("no_such_layer", || {
        let x = Input::new([3]);
        failure(Functional::new(&x, &Dense::new(2).named("end").on(&x)?)?.build()?.get_layer("middle"))
    }),
    ("cut_at_no_layer", || {
        let x = Input::new([3]);
        failure(Functional::new(&x, &Dense::new(2).on(&x)?)?.build()?.cut_at(["middle"]))
    }),
    ("cut_from_with_a_way_around", || {
        let x = Input::new([3]).named("x");
        let h = Dense::new(3).named("h").on(&x)?;
        failure(Functional::new(&x, &Add::new().on([&h, &x.symbol()])?)?.build()?.cut_from(["h"]))
    }),
    ("freeze_no_layer", || {
        let x = Input::new([3]);
        failure(Functional::new(&x, &Dense::new(2).on(&x)?)?.build()?.set_trainable("encoder", false))
    }),
    // Data.
    ("data_for_two_inputs", || {
        let (x, y) = (Input::new([3]).named("left"), Input::new([2]).named("right"));
        let net = Functional::new([&x, &y], &Concatenate::new().on([&x, &y])?)?.build()?;
        failure(net.predict(&Tensor::zeros([2, 3])?))
    }),
    ("data_of_the_wrong_width", || {
        let (x, y) = (Input::new([3]).named("left"), Input::new([2]).named("right"));
        let net = Functional::new([&x, &y], &Concatenate::new().on([&x, &y])?)?.build()?;
        failure(net.predict(&[Tensor::zeros([2, 3])?, Tensor::zeros([2, 3])?]))
    }),
    ("one_output_asked_of_two", || {
        let x = Input::new([3]);
        let net = Functional::new(&x, [&Dense::new(2).on(&x)?, &Dense::new(2).on(&x)?])?.build()?;
        failure(net.predict(&Tensor::zeros([2, 3])?))
    }),
    ("losses_of_two_outputs", || {
        let x = Input::new([3]);
        failure(compiled(Functional::new(&x, [&Dense::new(2).on(&x)?, &Dense::new(2).on(&x)?])?))
    }),
    // Files.
    ("file_with_an_unknown_class", || edited(|c| graph(c)["layers"][0]["class_name"] = json!("Magic"))),
    ("file_with_an_unknown_network", || edited(|c| c["network"]["class_name"] = json!("Magic"))),
    ("file_with_a_cycle", || edited(|c| graph(c)["calls"][0]["inputs"][0] = json!({ "call": 2, "output": 0 }))),
    ("file_with_a_call_of_itself", || edited(|c| graph(c)["calls"][1]["inputs"][0] = json!({ "call": 1 }))),
    ("file_with_a_missing_layer", || edited(|c| graph(c)["calls"][0]["layer"] = json!(7))),
    ("file_with_a_layer_never_called", || edited(|c| graph(c)["calls"][2]["layer"] = json!(0))),
    ("file_with_a_missing_input", || edited(|c| graph(c)["calls"][0]["inputs"][0] = json!({ "input": 7 }))),
    ("file_with_a_missing_output", || edited(|c| graph(c)["outputs"][0]["from"] = json!({ "call": 0, "output": 3 }))),
    ("file_with_no_outputs", || edited(|c| graph(c)["outputs"] = json!([]))),
    ("file_with_one_name_twice", || edited(|c| graph(c)["layers"][1]["name"] = json!("shared"))),
    ("file_with_an_adapter", || edited(|c| c["adapters"] = json!([{ "class_name": "Tokenizer" }]))),
    ("file_with_wrong_numbers", || edited(|c| c["numbers"] = json!({ "params": [0], "keys": [] }))),
    ("file_of_a_network_as_a_model", || {
        let x = Input::new([3]);
        let bytes = Functional::new(&x, &Dense::new(2).on(&x)?)?.build()?.to_bytes()?;
        failure(Model::from_bytes(&bytes, Load::new()))
    }),
    ("file_of_a_struct", || {
        let block = Pair { left: Part::new(Dense::new(3)), right: Part::new(Dense::new(3)) };
        failure(Subclass::new([Input::new([3])], block).build()?.to_bytes())
    }),
    ("registry_with_one_name_twice", || failure(Registry::new().layer::<Named>()?.layer::<Named>())),
    ("registry_with_a_name_of_the_library", || failure(Registry::new().layer::<Dense>())),
];

gradus::settings! {
    /// A layer of one's own.
    layer Named as "test>Named" {
        /// The layer.
        new();
    }
}
gradus::parts!(Named {});
impl Layer for Named {
    fn forward(&self, x: &Tensor, _: &mut Cx) -> Result<Tensor> {
        Ok(x.clone())
    }
}

/// Two outputs.
#[derive(Clone, Debug)]
struct Twins;
gradus::parts!(Twins {});
impl Configured for Twins {}
impl gradus::nn::Build for Twins {
    fn build(&self, _: &InputSpecs<'_>, _: &mut gradus::nn::Init) -> Result<Box<dyn Node>> {
        Ok(Box::new(self.clone()))
    }
}
impl Node for Twins {
    fn call(&self, x: Inputs<'_>, _: &mut Cx) -> Result<Values> {
        let x = x.single()?;
        Ok([x.clone(), x.clone()].into())
    }
}

/// A layer that says nothing of masks.
#[derive(Clone, Debug)]
struct Window2;
gradus::parts!(Window2 {});
impl Configured for Window2 {}
impl Layer for Window2 {
    fn forward(&self, x: &Tensor, _: &mut Cx) -> Result<Tensor> {
        Ok(x.clone())
    }
}

/// Gives a mask that is not one of its data.
#[derive(Clone, Debug)]
struct WrongMask;
gradus::parts!(WrongMask {});
impl Configured for WrongMask {}
impl gradus::nn::Build for WrongMask {
    fn build(&self, _: &InputSpecs<'_>, _: &mut gradus::nn::Init) -> Result<Box<dyn Node>> {
        Ok(Box::new(self.clone()))
    }
}
impl Node for WrongMask {
    fn call(&self, x: Inputs<'_>, _: &mut Cx) -> Result<Values> {
        let x = x.single()?;
        let mask = x.tensor.select(1, 0)?.cast(DType::Bool)?; // [batch, features], not [batch, time]
        Ok(Value::masked(x.tensor.clone(), Some(mask)).into())
    }
}

#[derive(Clone, Debug)]
struct Pair {
    left: Part,
    right: Part,
}
gradus::parts!(Pair { left, right });
impl Layer for Pair {
    fn forward(&self, x: &Tensor, cx: &mut Cx) -> Result<Tensor> {
        self.right.forward(&self.left.forward(x, cx)?, cx)
    }
}

#[derive(Clone, Debug)]
struct Stacked(Vec<Box<dyn Node>>);
impl Module for Stacked {
    fn walk(&self, at: &mut gradus::nn::Path, f: &mut dyn FnMut(&gradus::nn::Path, gradus::nn::Item<'_>)) {
        at.inside("stack", |at| self.0.walk(at, f));
    }
    fn walk_mut(
        &mut self,
        at: &mut gradus::nn::Path,
        f: &mut dyn FnMut(&gradus::nn::Path, gradus::nn::ItemMut<'_>),
    ) {
        at.inside("stack", |at| self.0.walk_mut(at, f));
    }
    fn as_node(&self) -> Option<&dyn Node> {
        Some(self)
    }
}
impl Layer for Stacked {
    fn forward(&self, x: &Tensor, cx: &mut Cx) -> Result<Tensor> {
        let mut x = Value::from(x);
        for node in &self.0 {
            x = node.call(Inputs::new(&[x]), cx)?.single()?;
        }
        Ok(x.tensor)
    }
}

#[test]
fn what_is_refused_is_said_clearly() {
    let (mut text, mut wrong) = (String::new(), Vec::new());
    for (name, mistake) in MISTAKES {
        match std::panic::catch_unwind(mistake) {
            Ok(Err(e)) => writeln!(text, "{name}: {e}").unwrap(),
            Ok(Ok(())) => wrong.push(format!("{name}: no error")),
            Err(_) => wrong.push(format!("{name}: panicked")),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    for trial in ["24", "40", "192", "320", "448", "576"] {
        let shown: Vec<&str> = text.lines().filter(|line| line.contains(trial)).collect();
        // The 24 elements of a reshape are those of its input.
        assert!(shown.iter().all(|line| line.starts_with("reshape_sizes")), "a trial size in {shown:?}");
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/all/snapshots/graphs.txt");
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    assert_eq!(
        text,
        std::fs::read_to_string(path).unwrap(),
        "set UPDATE_SNAPSHOTS=1 if the new message is better"
    );
}

// ---- sizes that nobody knows

#[test]
fn unknown_sizes_compile_and_print_as_none() {
    let start = std::time::Instant::now();
    let shapes = |network: Functional| -> Vec<String> {
        let model = compiled(network).unwrap();
        model.layers().flat_map(|l| l.outputs().map(|o| o[0].shape.to_string()).collect::<Vec<_>>()).collect()
    };
    // A loop over time.
    let x = Input::with_unknown([None, Some(4)]);
    let network = Functional::new(&x, &Dense::new(2).on(&SumOverTime.on(&x).unwrap()).unwrap()).unwrap();
    assert_eq!(shapes(network), ["[None, 4]", "[None, 2]"]);

    // A valid window.
    let x = Input::with_unknown([None, Some(4)]);
    let network = Functional::new(&x, &Dense::new(3).on(&Window.on(&x).unwrap()).unwrap()).unwrap();
    assert_eq!(shapes(network), ["[None, None, 4]", "[None, None, 3]"]);

    // A U-Net's halving, doubling and joining.
    let x = Input::with_unknown([None, None, Some(3)]);
    let down = Dense::new(8).on(&Halve.on(&x).unwrap()).unwrap();
    let deep = Dense::new(16).on(&Halve.on(&down).unwrap()).unwrap();
    let up = Concatenate::new().on([&Double.on(&deep).unwrap(), &down]).unwrap();
    let up = Concatenate::new().on([&Double.on(&up).unwrap(), &x.symbol()]).unwrap();
    let network = Functional::new(&x, &Dense::new(1).on(&up).unwrap()).unwrap();
    let all = shapes(network.clone());
    assert_eq!(all.last().unwrap(), "[None, None, None, 1]");
    let model = compiled(network).unwrap();
    let table = model.summary_table().to_string();
    // The column is 17 wide.
    assert!(table.contains("(None, None,") && table.contains("None, 27)"), "{table}");
    assert_eq!(model.predict(&random(1, &[2, 12, 20, 3])).unwrap().dims(), [2, 12, 20, 1]);

    // A tensor made for the batch.
    let network = Sequential::new().add(Input::new([5])).add(PlusZeros).add(Dense::new(2));
    let model = network.compile(Adam::new(0.01), MeanSquaredError::new(), ()).unwrap();
    assert_eq!(model.output_specs()[0].to_string(), "float32 [None, 2]");
    assert_eq!(model.predict(&random(2, &[7, 5])).unwrap().dims(), [7, 2]);
    // Each takes milliseconds; a network that is traced with vast sizes would not end.
    assert!(start.elapsed().as_secs() < 20);
}

#[test]
fn a_known_size_that_is_tried_elsewhere_stays_known() {
    // 24, 40, 192 and 320 are sizes of the traces.
    for width in [24, 40, 192, 320] {
        let x = Input::with_unknown([None, Some(width)]);
        let network = Functional::new(&x, &Dense::new(width).on(&x).unwrap()).unwrap();
        let model = compiled(network).unwrap();
        assert_eq!(model.output_specs()[0].to_string(), format!("float32 [None, None, {width}]"));
        let block = Pair { left: Part::new(Dense::new(width)), right: Part::new(Dense::new(width)) };
        let network = Subclass::new([Input::with_unknown([None, Some(width)])], block).build().unwrap();
        assert_eq!(network.output_specs()[0].to_string(), format!("float32 [None, None, {width}]"));
    }
}

// ---- names, sharing, cutting, joining

#[test]
fn names_follow_keras_and_outputs_have_those_of_their_layers() {
    let (x, y) = (Input::new([3]), Input::new([3]));
    let dense = Dense::new(3).shared();
    let (a, b) = (dense.on(&x).unwrap(), dense.on(&y).unwrap());
    let sum = Add::new().on([&a, &b]).unwrap();
    let end = Dense::new(2).named("end").on(&sum).unwrap();
    let network = Functional::new([&x, &y], [&end, &a, &sum]).unwrap().build().unwrap();
    assert_eq!(network.name(), "functional");
    assert_eq!(network.input_names().collect::<Vec<_>>(), ["input_layer", "input_layer_1"]);
    assert_eq!(network.output_names().collect::<Vec<_>>(), ["end", "dense", "add"]);
    let names: Vec<&str> = network.layers().map(|l| l.name()).collect();
    assert_eq!(names, ["dense", "add", "end"]);
    let paths: Vec<String> = network.params().into_iter().map(|(path, _)| path).collect();
    assert_eq!(paths, ["dense/kernel", "dense/bias", "end/kernel", "end/bias"]);
}

#[test]
fn parts_of_a_network_give_what_the_whole_gives() {
    let x = Input::new([6]);
    let a = Dense::new(5).activation(Tanh).named("a").on(&x).unwrap();
    let b = Dense::new(5).activation(Relu).named("b").on(&a).unwrap();
    let c = Add::new().named("c").on([&a, &b]).unwrap();
    let d = Dense::new(2).named("d").on(&c).unwrap();
    let mut model = compiled(Functional::new(&x, &d).unwrap().seed(5)).unwrap();
    let data = random(3, &[9, 6]);
    model.fit(&data, &random(4, &[9, 2]), Fit::new().epochs(3).verbose(0)).unwrap();
    let whole = model.predict(&data).unwrap();
    let middle = model.cut_at(["a", "c"]).unwrap();
    let values = middle.predict_all(&data).unwrap();
    assert_eq!(middle.output_names().collect::<Vec<_>>(), ["a", "c"]);
    assert!(middle.layers().all(|l| l.name() != "d"));
    let end = model.cut_from(["c"]).unwrap();
    assert!(end.predict(&values[1]).unwrap().same_bits(&whole));
    assert_eq!(end.params()[0].0, "d/kernel");
    // From a and b: c needs both.
    let rest = model.cut_from(["a", "b"]).unwrap();
    let b = model.cut_at(["b"]).unwrap().predict(&data).unwrap();
    assert!(rest.predict(&[values[0].clone(), b]).unwrap().same_bits(&whole));
    // A part is saved and loaded like any network.
    let again = Network::from_bytes(&middle.to_bytes().unwrap(), Limits::default()).unwrap();
    assert!(again.predict_all(&data).unwrap()[1].same_bits(&values[1]));
    assert_eq!(again.to_bytes().unwrap(), middle.to_bytes().unwrap());
}

#[test]
fn joined_networks_keep_their_values_and_their_random_numbers() {
    let stack = |seed: u64| {
        let layers = Sequential::new().add(Input::new([4])).add(Dense::new(4)).add(Dropout::new(0.5));
        layers.seed(seed).build().unwrap()
    };
    let (first, second) = (stack(1).named("first"), stack(2).named("second"));
    let x = Input::new([4]);
    let joined = Functional::new(&x, &second.on(&first.on(&x).unwrap()).unwrap()).unwrap().build().unwrap();
    let data = random(1, &[3, 4]);
    let want = second.predict(&first.predict(&data).unwrap()).unwrap();
    assert!(joined.predict(&data).unwrap().same_bits(&want));
    assert!(joined.param("first/dense/kernel").unwrap().same_bits(&first.param("dense/kernel").unwrap()));
    // Two keys, two streams: what the first drops says nothing of what the second drops.
    let part = |name: &str| joined.cut_at([name]).unwrap();
    let (after_first, after_second) = (part("first"), part("second"));
    let zeros = |network: &Network, step: u64| -> Vec<bool> {
        let mut cx = Cx::train(7, step);
        let y = network.forward(&data, &mut cx).unwrap();
        y.to_vec::<f32>().unwrap().iter().map(|v| *v == 0.0).collect()
    };
    assert!((0..8).any(|step| zeros(&after_first, step) != zeros(&after_second, step)));
    // After saving and loading the numbers are the same.
    let again = Network::from_bytes(&joined.to_bytes().unwrap(), Load::new()).unwrap();
    let (mut a, mut b) = (Cx::train(3, 5), Cx::train(3, 5));
    assert!(joined.forward(&data, &mut a).unwrap().same_bits(&again.forward(&data, &mut b).unwrap()));
}

#[test]
fn a_layer_called_twice_draws_anew() {
    let x = Input::new([64]);
    let dropout = Dropout::new(0.5).shared();
    let both = Concatenate::new().on([&dropout.on(&x).unwrap(), &dropout.on(&x).unwrap()]).unwrap();
    let network = Functional::new(&x, &both).unwrap().build().unwrap();
    let y = network.forward(&Tensor::ones([1, 64]).unwrap(), &mut Cx::train(1, 0)).unwrap();
    let halves = y.chunk(2, 1).unwrap();
    assert!(!halves[0].same_bits(&halves[1]));
    // The first call draws what a stack's only random layer draws.
    let stack = Sequential::new().add(Input::new([64])).add(Dropout::new(0.5)).build().unwrap();
    let alone = stack.forward(&Tensor::ones([1, 64]).unwrap(), &mut Cx::train(1, 0)).unwrap();
    assert!(alone.same_bits(&halves[0].contiguous().unwrap()));
}

#[test]
fn a_deep_graph_is_built_run_and_dropped_without_deep_recursion() {
    let x = Input::new([2]);
    let mut h = Named::new().on(&x).unwrap();
    for _ in 0..20_000 {
        h = Named::new().on(&h).unwrap();
    }
    let network = Functional::new(&x, &h).unwrap().build().unwrap();
    let data = random(1, &[3, 2]);
    assert!(network.predict(&data).unwrap().same_bits(&data));
    drop(h);
    drop(network);
}

#[test]
fn masks_belong_to_their_tensors_and_losses_take_their_own() {
    // One branch is masked, the other is not: each output's loss sees its own.
    let (tokens, plain) = (Input::new([4]).dtype(DType::I64), Input::new([4, 3]));
    let masked = Embedding::new(9, 3).mask_zero(true).on(&tokens).unwrap();
    let a = Dense::new(1).named("a").on(&masked).unwrap();
    let b = Dense::new(1).named("b").on(&plain).unwrap();
    let model = Functional::new([&tokens, &plain], [&a, &b])
        .unwrap()
        .compile(SGD::new(0.1), [MeanSquaredError::new(), MeanSquaredError::new()], ())
        .unwrap();
    let x = Tensor::from_slice(&[3i64, 0, 0, 0, 1, 2, 0, 0], [2, 4]).unwrap();
    let z = random(1, &[2, 4, 3]);
    let y = [random(2, &[2, 4, 1]), random(3, &[2, 4, 1])];
    let logs = model.test_on_batch(&[x.clone(), z.clone()], &y).unwrap();
    let outputs = model.predict_all(&[x, z]).unwrap();
    let squares = |i: usize| outputs[i].sub(&y[i]).unwrap().square().unwrap().to_vec::<f32>().unwrap();
    let (a, b) = (squares(0), squares(1));
    let want_a = (a[0] + a[4] + a[5]) / 3.0;
    let want_b = b.iter().sum::<f32>() / 8.0;
    assert!((logs["a_loss"] - f64::from(want_a)).abs() < 1e-5, "{logs:?} {want_a}");
    assert!((logs["b_loss"] - f64::from(want_b)).abs() < 1e-5, "{logs:?} {want_b}");
}

#[test]
fn heads_are_joined_with_their_losses_for_each_output() {
    // Exact where the clipped probability would saturate: logits of ±200.
    let x = Input::new([1]);
    let a = Dense::new(1).activation(Sigmoid).named("a").on(&x).unwrap();
    let b = Dense::new(2).activation(Softmax).named("b").on(&x).unwrap();
    let mut model = Functional::new(&x, [&a, &b])
        .unwrap()
        .compile(SGD::new(0.0), (BinaryCrossentropy::new(), SparseCategoricalCrossentropy::new()), ())
        .unwrap();
    let kernel = |values: &[f32], n: usize| Tensor::from_slice(values, [1, n]).unwrap();
    model
        .set_params(&[
            ("a/kernel".into(), kernel(&[200.0], 1)),
            ("b/kernel".into(), kernel(&[200.0, 0.0], 2)),
        ])
        .unwrap();
    let data = Tensor::ones([1, 1]).unwrap();
    let y = [Tensor::zeros([1, 1]).unwrap(), Tensor::full([1], 1i64).unwrap()];
    let logs = model.test_on_batch(&data, &y).unwrap();
    assert!((logs["a_loss"] - 200.0).abs() < 1e-3 && (logs["b_loss"] - 200.0).abs() < 1e-3, "{logs:?}");
    // An output that another layer needs as well is left as it is.
    let h = Dense::new(1).activation(Sigmoid).named("h").on(&x).unwrap();
    let after = Dense::new(1).on(&h).unwrap();
    let model = Functional::new(&x, [&h, &after])
        .unwrap()
        .compile(SGD::new(0.0), (BinaryCrossentropy::new(), MeanSquaredError::new()), ())
        .unwrap();
    let y = [Tensor::zeros([1, 1]).unwrap(), Tensor::zeros([1, 1]).unwrap()];
    let p = f64::from(model.predict_all(&data).unwrap()[0].to_vec::<f32>().unwrap()[0]);
    let logs = model.test_on_batch(&data, &y).unwrap();
    let want = Tensor::scalar(1.0 - p).unwrap().ln().unwrap().item().unwrap();
    assert!((logs["h_loss"] + want).abs() < 1e-5, "{logs:?}");
}

#[test]
fn a_network_that_changed_is_called_as_it_is() {
    let mut encoder = Sequential::new().add(Input::new([3])).add(Dense::new(2)).build().unwrap();
    let x = Input::new([3]);
    encoder.on(&x).unwrap(); // a look at the shape
    let kernel = Tensor::ones([3, 2]).unwrap();
    encoder.set_params(&[("dense/kernel".into(), kernel.clone())]).unwrap();
    encoder.set_all_trainable(false);
    let joined = Functional::new(&x, &encoder.on(&x).unwrap()).unwrap().build().unwrap();
    assert!(joined.params()[0].1.same_bits(&kernel));
    let mut trainable = 0;
    joined.visit(&mut |_, p| trainable += usize::from(p.trainable()));
    assert_eq!(trainable, 0);
}

#[test]
fn a_trained_model_is_a_layer_of_another_network() {
    let x = Input::new([3]);
    let base = Functional::new(&x, &Dense::new(4).on(&x).unwrap()).unwrap().named("base");
    let mut base = compiled(base).unwrap();
    base.fit(&random(1, &[6, 3]), &random(2, &[6, 4]), Fit::new().verbose(0)).unwrap();
    let head = Sequential::new().add(Input::new([3])).add(&base).add(Dense::new(2)).seed(1);
    let mut model = head.compile(SGD::new(0.1), MeanSquaredError::new(), ()).unwrap();
    let kernel = base.param("dense/kernel").unwrap();
    assert!(model.param("base/dense/kernel").unwrap().same_bits(&kernel));
    // The description has let go of the values: training the copy leaves nothing of the first ones behind in the file.
    model.fit(&random(1, &[6, 3]), &random(3, &[6, 2]), Fit::new().verbose(0)).unwrap();
    let again = Model::from_bytes(&model.to_bytes().unwrap(), Load::new()).unwrap();
    assert_eq!(again.weight_bytes().unwrap(), model.weight_bytes().unwrap());
    assert!(base.param("dense/kernel").unwrap().same_bits(&kernel));
}

#[test]
fn a_stack_that_calls_a_layer_twice_comes_back_from_a_file() {
    let dense = Dense::new(4).activation(Tanh).shared();
    let dropout = Dropout::new(0.3).shared();
    let stack = Sequential::new().add(Input::new([4])).add(&dense).add(&dropout).add(&dense).add(&dropout);
    let mut model = stack.compile(Adam::new(0.01), MeanSquaredError::new(), ()).unwrap();
    assert_eq!(model.params().len(), 2);
    let mut again = Model::from_bytes(&model.to_bytes().unwrap(), Load::new()).unwrap();
    let (x, y) = (random(1, &[8, 4]), random(2, &[8, 4]));
    for m in [&mut model, &mut again] {
        m.fit(&x, &y, Fit::new().epochs(2).verbose(0)).unwrap();
    }
    assert_eq!(model.weight_bytes().unwrap(), again.weight_bytes().unwrap());
}

#[test]
fn a_fresh_start_of_joined_networks_draws_each_part_anew() {
    let tower = |seed: u64, name: &str| {
        Sequential::new().add(Input::new([4])).add(Dense::new(3)).seed(seed).build().unwrap().named(name)
    };
    let x = Input::new([4]);
    let (a, b) = (tower(1, "a"), tower(2, "b"));
    let sum = Add::new().on([&a.on(&x).unwrap(), &b.on(&x).unwrap()]).unwrap();
    let fresh = Functional::new(&x, &sum).unwrap().build().unwrap().clone_fresh(7).unwrap();
    assert!(!fresh.param("a/dense/kernel").unwrap().same_bits(&fresh.param("b/dense/kernel").unwrap()));
}

gradus::settings! {
    /// A layer made of a part, which is its own description.
    layer Wrapped as "test>Wrapped" {
        /// Around a dense layer.
        new();
        inner: state Part = Part::new(Dense::new(3)),
    }
}
gradus::parts!(Wrapped { inner });
impl Layer for Wrapped {
    fn forward(&self, x: &Tensor, cx: &mut Cx) -> Result<Tensor> {
        self.inner.forward(x, cx)
    }
}

#[test]
fn a_layer_described_as_frozen_freezes_its_parts() {
    let network =
        Sequential::new().add(Input::new([2])).add(Wrapped::new().frozen()).add(Dense::new(1)).build();
    let mut trainable = Vec::new();
    network.unwrap().visit(&mut |path, p| trainable.push((path.to_string(), p.trainable())));
    assert!(trainable.iter().all(|(path, learns)| *learns != path.starts_with("wrapped")), "{trainable:?}");
    assert_eq!(trainable.len(), 4);
}

#[test]
fn metrics_count_what_the_mask_lets_count() {
    let tokens = Input::with_unknown([None]).dtype(DType::I64);
    let h = Embedding::new(5, 3).mask_zero(true).on(&tokens).unwrap();
    let y = Dense::new(2).activation(Softmax).on(&h).unwrap();
    let model = Functional::new(&tokens, &y)
        .unwrap()
        .compile(Adam::new(0.01), SparseCategoricalCrossentropy::new(), [Accuracy::new()])
        .unwrap();
    let x = Tensor::from_slice(&[1i64, 2, 0, 0, 0, 0], [2, 3]).unwrap();
    let best = model.predict(&x).unwrap().argmax(-1).unwrap();
    // Right where it counts, wrong in the padding.
    let right = best.slice(1, 0, 2).unwrap();
    let wrong = best.slice(1, 2, 3).unwrap().other_class();
    let y = Tensor::concat(&[&right, &wrong], 1).unwrap();
    let logs = model.test_on_batch(&x.slice(0, 0, 1).unwrap(), &y.slice(0, 0, 1).unwrap()).unwrap();
    assert_eq!(logs["accuracy"], 1.0);
}

/// The other one of two classes.
trait Other {
    fn other_class(&self) -> Tensor;
}
impl Other for Tensor {
    fn other_class(&self) -> Tensor {
        Tensor::scalar(1i64).unwrap().sub(self).unwrap()
    }
}

#[test]
fn a_small_file_cannot_ask_for_endless_calls() {
    // Nine networks, each of which calls the one in it eight times: a hundred million calls in a few kilobytes.
    let mut class = json!({ "class_name": "Activation", "config": { "activation": { "class_name": "Relu", "config": {} } } });
    for _ in 0..9 {
        let mut layer = class.clone();
        layer["name"] = json!("inner");
        let from = |i: usize| if i == 0 { json!({ "input": 0 }) } else { json!({ "call": i - 1 }) };
        let calls: Vec<_> = (0..8).map(|i| json!({ "layer": 0, "inputs": [from(i)] })).collect();
        class = json!({ "class_name": "Functional", "config": {
            "name": null, "seed": 0, "dtype": "float32", "inputs": [{ "shape": [3], "name": "x" }],
            "layers": [layer], "calls": calls, "outputs": [{ "name": "y", "from": { "call": 7 } }],
        } });
    }
    let start = std::time::Instant::now();
    let e = edited(|c| c["network"] = class.clone()).unwrap_err().to_string();
    assert!(e.contains("number of calls"), "{e}");
    assert!(start.elapsed().as_secs() < 60);
}

// ---- random graphs

/// A graph by numbers: what each layer is and which of the values before it it takes.
fn random_graph(steps: &[(u8, u8, u8)], width: usize) -> Result<(Functional, usize)> {
    let inputs = [Input::new([width]).named("a"), Input::new([width]).named("b")];
    let mut values: Vec<Symbol> = inputs.iter().map(Input::symbol).collect();
    let shared = Dense::new(width).activation(Tanh).named("shared").shared();
    let nested = Sequential::new()
        .named("nested")
        .add(Input::new([width]))
        .add(Dense::new(width))
        .add(Dropout::new(0.1));
    for &(kind, i, j) in steps {
        let (x, y) = (values[i as usize % values.len()].clone(), values[j as usize % values.len()].clone());
        let value = match kind % 9 {
            0 => Dense::new(width).activation(Relu).on(&x)?,
            1 => Add::new().on([&x, &y])?,
            2 => Concatenate::new().on([&x, &y])?,
            3 => shared.on(&x)?,
            4 => nested.on(&x)?,
            5 => Dropout::new(0.2).on(&x)?,
            6 => Activation::new(Gelu).on(&x)?,
            7 => Reshape::new(vec![-1]).on(&x)?,
            _ => Flatten::new().on(&x)?,
        };
        values.push(value);
    }
    let last = values.len() - 1;
    let outputs =
        [Dense::new(1).on(&values[last])?, Dense::new(2).activation(Softmax).on(&values[last / 2])?];
    Ok((Functional::new([&inputs[0], &inputs[1]], [&outputs[0], &outputs[1]])?.seed(3), width))
}

fn live(network: Functional, width: usize) -> Result<()> {
    let mut model = network.compile(
        Adam::new(0.01),
        (MeanSquaredError::new(), SparseCategoricalCrossentropy::new()),
        (),
    )?;
    let x = [random(1, &[6, width]), random(2, &[6, width])];
    let y = [random(3, &[6, 1]), Tensor::from_slice(&[0i64, 1, 1, 0, 1, 0], [6])?];
    let allow = Fit::new().epochs(2).batch_size(4).verbose(0).allow_missing_gradients();
    let history = model.fit(&x, &y, allow)?;
    assert!(history["loss"].iter().all(|l| l.is_finite()));
    let bytes = model.to_bytes()?;
    let mut again = Model::from_bytes(&bytes, Load::new())?;
    assert_eq!(again.to_bytes()?, bytes);
    assert_eq!(again.summary_table().to_string(), model.summary_table().to_string());
    let (a, b) = (model.predict_all(&x)?, again.predict_all(&x)?);
    assert!(a.iter().zip(&b).all(|(a, b)| a.same_bits(b)));
    // It trains on as the saved one does, dropout included.
    let on = |m: &mut Model| m.fit(&x, &y, Fit::new().verbose(0).allow_missing_gradients());
    on(&mut model)?;
    on(&mut again)?;
    assert_eq!(model.weight_bytes()?, again.weight_bytes()?);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.min(64), ..ProptestConfig::default() })]

    #[test]
    fn random_graphs_live_or_say_why(steps in prop::collection::vec(any::<(u8, u8, u8)>(), 0..12), width in 1usize..6) {
        let result = random_graph(&steps, width).and_then(|(network, width)| live(network, width));
        if let Err(e) = result {
            let text = e.to_string();
            prop_assert!(text.contains("layer") || text.contains("input"), "{text}");
        }
    }
}
