//! ONNX files, read by the reader of `proto.rs`: what a small network becomes, names, sizes, bytes; what is refused and in which
//! words; and the table of operations in `docs/onnx.md`, which is made of the exporter's own. What ONNX Runtime computes with such
//! files is compared by `tests/interop/run`.

use crate::parity_models::MODELS;
use crate::proto::{Message, Value};
use gradus::applications::ResNet18;
use gradus::autograd::{Grads, Op, Specs, Step, apply1, one};
use gradus::config::Configured;
use gradus::nn::layers::{LSTMCell, RNN, TimeDistributed};
use gradus::nn::{Layer, Masking as Mask};
use gradus::onnx::{Export, Nodes, operators};
use gradus::prelude::*;
use gradus::tensor::Array;
use gradus::{Result, Spec, UNKNOWN};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// What stands in a file.
struct File {
    model: Message,
    graph: Message,
}

impl File {
    fn read(bytes: &[u8]) -> File {
        let model = Message::read(bytes);
        let graph = model.messages(7).pop().unwrap();
        File { model, graph }
    }

    fn operators(&self) -> Vec<String> {
        self.graph.messages(1).iter().map(|node| node.text(4)).collect()
    }

    /// Each tensor's dtype, sizes and bytes.
    fn tensors(&self) -> BTreeMap<String, (i64, Vec<i64>, Vec<u8>)> {
        let tensor = |t: &Message| {
            (t.text(8), (t.int(2).unwrap_or(0), t.ints(1), t.bytes(9).pop().unwrap_or_default()))
        };
        self.graph.messages(5).iter().map(tensor).collect()
    }

    /// Inputs, tensors, nodes and outputs, a line each.
    fn text(&self) -> String {
        let mut text = format!("opset {}\n", self.model.messages(8)[0].int(2).unwrap_or(0));
        let port = |what: &str, port: &Message| {
            let tensor = port.messages(2)[0].messages(1)[0].clone();
            let size = |size: &Message| {
                if size.ints(1).is_empty() { size.text(2) } else { size.int(1).unwrap_or(0).to_string() }
            };
            let sizes: Vec<String> = tensor.messages(2)[0].messages(1).iter().map(size).collect();
            format!("{what} {}: type {} [{}]\n", port.text(1), tensor.int(1).unwrap_or(0), sizes.join(", "))
        };
        self.graph.messages(11).iter().for_each(|p| text += &port("input", p));
        for (name, (dtype, sizes, _)) in self.tensors() {
            writeln!(text, "tensor {name}: type {dtype} {sizes:?}").unwrap();
        }
        for node in self.graph.messages(1) {
            write!(text, "{} = {}({})", node.texts(2).join(", "), node.text(4), node.texts(1).join(", "))
                .unwrap();
            for field in node.messages(5) {
                let value = match field.int(20).unwrap_or(0) {
                    1 => match field.all(2)[..] {
                        [Value::Float(v)] => v.to_string(),
                        ref other => panic!("{other:?}"),
                    },
                    2 => field.int(3).unwrap_or(0).to_string(),
                    3 => field.text(4),
                    7 => format!("{:?}", field.ints(8)),
                    _ => "…".into(),
                };
                write!(text, " {}={value}", field.text(1)).unwrap();
            }
            text.push('\n');
        }
        self.graph.messages(12).iter().for_each(|p| text += &port("output", p));
        text
    }
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
}

// ---- what is written

fn small() -> Network {
    let x = Input::with_unknown([None, Some(3)]).named("x");
    let h =
        Conv1D::new(4, 3).padding(gradus::ops::Padding::Same).activation(Relu).named("conv").on(&x).unwrap();
    let h = BatchNormalization::new().named("norm").on(&h).unwrap();
    let r = Dense::new(4).named("side").on(&x).unwrap();
    let h = Add::new().named("add").on([&h, &r]).unwrap();
    let h = LSTM::new(2).named("lstm").on(&h).unwrap();
    let y = Dense::new(2).activation(Softmax).named("class").on(&h).unwrap();
    Functional::new(&x, &y).unwrap().named("small").build().unwrap()
}

#[test]
fn a_network_is_these_nodes_and_its_mistakes_these_words() {
    let mut text = String::new();
    let mlp = Sequential::new()
        .add(Input::new([4]).named("x"))
        .add(Dense::new(3).activation(Relu).named("hidden"))
        .add(Dense::new(2).activation(Softmax).named("class"))
        .build()
        .unwrap();
    for (what, bytes) in [
        ("a multilayer perceptron", Export::new(&mlp).to_bytes()),
        ("convolution, normalization, recurrence", Export::new(&small()).to_bytes()),
        ("the same for operator set 13", Export::new(&small()).opset(13).axis("x", 1, "steps").to_bytes()),
    ] {
        writeln!(text, "## {what}\n{}", File::read(&bytes.unwrap()).text()).unwrap();
    }
    text += "## refused\n";
    for (what, error) in refused() {
        writeln!(text, "{what}: {error}").unwrap();
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/all/snapshots/onnx.txt");
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    let stands = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        stands == text,
        "tests/all/snapshots/onnx.txt is stale; UPDATE_SNAPSHOTS=1 writes it anew:\n{text}"
    );
}

#[test]
fn weights_have_the_names_and_values_of_parameters() {
    let network = small();
    let tensors = File::read(&Export::new(&network).to_bytes().unwrap()).tensors();
    let (dtype, sizes, bytes) = &tensors["side/kernel"];
    assert_eq!((*dtype, &sizes[..]), (1, &[3, 4][..]));
    let kernel = network.param("side/kernel").unwrap();
    assert_eq!(floats(bytes), kernel.to_vec::<f32>().unwrap());
    // A convolution's: filters, channels, taps.
    let (_, sizes, bytes) = &tensors["conv/kernel"];
    assert_eq!(sizes[..], [4, 3, 3]);
    let kernel = network.param("conv/kernel").unwrap().permute(&[2, 1, 0]).unwrap();
    assert_eq!(floats(bytes), kernel.to_vec::<f32>().unwrap());
}

#[test]
fn images_are_transposed_once() {
    let network = ResNet18::new().input_shape([64, 64, 3]).classes(5).build().unwrap();
    let operators = File::read(&Export::new(&network).to_bytes().unwrap()).operators();
    let count = |op: &str| operators.iter().filter(|o| *o == op).count();
    assert_eq!(
        [count("Transpose"), count("Conv"), count("MaxPool"), count("Gemm")],
        [1, 20, 1, 1],
        "{operators:?}"
    );
    assert_eq!(operators[0], "Transpose");
}

#[test]
fn every_version_writes_every_model_with_the_same_bytes_on_any_number_of_threads() {
    for (name, make, _) in MODELS {
        let network = make(DType::F32).unwrap();
        for opset in 13..=24 {
            let export = Export::new(&network).opset(opset);
            let bytes = export.to_bytes().unwrap_or_else(|e| panic!("{name}, opset {opset}: {e}"));
            assert_eq!(File::read(&bytes).model.messages(8)[0].int(2).unwrap_or(0), opset);
            if opset == 17 {
                for threads in [1, 3] {
                    let again = gradus::with_threads(threads, || export.to_bytes()).unwrap().unwrap();
                    assert!(again == bytes, "{name}: other bytes with {threads} threads");
                }
            }
        }
    }
}

#[test]
fn large_weights_lie_in_a_file_beside_the_model() {
    let folder = std::env::temp_dir().join(format!("gradus-onnx-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let network = Sequential::new()
        .add(Input::new([64]))
        .add(Dense::new(40).named("a"))
        .add(Dense::new(30).named("b"))
        .build()
        .unwrap();
    let path = folder.join("model.onnx");
    Export::new(&network).external_data("weights.bin").write(&path).unwrap();
    let (file, weights) =
        (File::read(&std::fs::read(&path).unwrap()), std::fs::read(folder.join("weights.bin")).unwrap());
    let mut outside = 0;
    for tensor in file.graph.messages(5) {
        let name = tensor.text(8);
        let entries: BTreeMap<String, String> =
            tensor.messages(13).iter().map(|e| (e.text(1), e.text(2))).collect();
        let bytes = if entries.is_empty() {
            tensor.bytes(9).pop().unwrap()
        } else {
            assert_eq!((tensor.int(14).unwrap_or(0), entries["location"].as_str()), (1, "weights.bin"));
            let (at, n): (usize, usize) =
                (entries["offset"].parse().unwrap(), entries["length"].parse().unwrap());
            assert_eq!(at % 4096, 0);
            outside += 1;
            weights[at..at + n].to_vec()
        };
        let want = network.param(&name).unwrap().to_vec::<f32>().unwrap();
        assert_eq!(floats(&bytes), want, "{name}");
    }
    assert_eq!(outside, 2);
    std::fs::remove_dir_all(folder).unwrap();
}

// ---- what is refused

macro_rules! function_layer {
    ($name:ident, |$x:ident| $body:expr) => {
        #[derive(Clone, Debug)]
        struct $name;
        gradus::parts!($name {});
        impl Configured for $name {}
        impl Layer for $name {
            fn forward(&self, $x: &Tensor, _: &mut Cx) -> Result<Tensor> {
                $body
            }
            fn masking(&self) -> Mask {
                Mask::Keep
            }
        }
    };
}

function_layer!(Reads, |x| gradus::autograd::opaque(&[x], x.spec(), || x
    .affine(x.max(&[], false)?.item()?, 0.0)));
function_layer!(Unrolled, |x| {
    let mut sum = x.select(1, 0)?;
    for t in 1..x.dims()[1] {
        sum = sum.add(&x.select(1, t as isize)?)?;
    }
    Ok(sum)
});
function_layer!(Zeros, |x| x.add(&Tensor::zeros([x.dims()[0], 1, 1])?));
function_layer!(Cubes, |x| {
    let n = x.dims()[1];
    x.new_full([n * n * n], 1.0)?.sum(&[], false)?.mul(x)
});
function_layer!(Special, |x| x.abs()?.lgamma());
function_layer!(Bits, |x| x.cast(DType::I64)?.bitwise_and(&Tensor::scalar(3i64)?)?.cast(x.dtype()));
function_layer!(OwnOp, |x| apply1(Twice {}, &[x]));

gradus::op! {
    /// An operation of the program's own.
    struct Twice("acme_twice", 1) {}
}
impl Op for Twice {
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        Ok(one(inputs[0].shape, inputs[0].dtype))
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        let (x, y) = (inputs[0].contiguous()?, outputs[0].slice_mut::<f32>()?);
        x.slice::<f32>()?.iter().zip(y).for_each(|(x, y)| *y = 2.0 * x);
        Ok(())
    }
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        Ok([Some(step.grad(0)?.scale(2.0)?)].into_iter().collect())
    }
}

fn layer(layer: impl Build + 'static) -> Network {
    let stack = Sequential::new().add(Input::with_unknown([None, Some(3)]).named("x"));
    stack.add(layer).build().unwrap()
}

fn own(layer: impl Node + 'static) -> Network {
    Subclass::new([Input::with_unknown([None, Some(3)]).named("x")], layer).build().unwrap()
}

/// What cannot be exported, and the words for it.
fn refused() -> Vec<(&'static str, String)> {
    let of = |network: Network| Export::new(&network).to_bytes().unwrap_err().to_string();
    let dense = || layer(Dense::new(2).named("d"));
    type Form = fn(&mut Nodes<'_, '_>) -> Result<Vec<String>>;
    let formed =
        |op: &str, form: Form| Export::new(&own(OwnOp)).form(op, form).to_bytes().unwrap_err().to_string();
    let path = std::env::temp_dir().join("model.onnx");
    vec![
        ("operator set 12", Export::new(&dense()).opset(12).to_bytes().unwrap_err().to_string()),
        ("operator set 25", Export::new(&dense()).opset(25).to_bytes().unwrap_err().to_string()),
        ("values read", of(own(Reads))),
        ("a loop over time", of(own(Unrolled))),
        ("a recurrent layer's loop", of(layer(RNN::new(LSTMCell::new(2)).named("cells")))),
        ("a constant of a size", of(own(Zeros))),
        ("a size that does not follow", of(own(Cubes))),
        ("no operator", of(own(Special))),
        ("a newer operator", of(own(Bits))),
        ("an operation of one's own", of(own(OwnOp))),
        ("a form of one that has one", formed("relu", |_| Ok(vec![]))),
        ("a form without results", formed("acme_twice", |_| Ok(vec![]))),
        ("a form with a name of nothing", formed("acme_twice", |_| Ok(vec!["y".into()]))),
        ("a form that reads a third input", formed("acme_twice", |n| Ok(vec![n.input(2)?]))),
        ("an axis of no input", Export::new(&dense()).axis("y", 0, "n").to_bytes().unwrap_err().to_string()),
        (
            "two shapes for one input",
            Export::new(&dense())
                .inputs([Spec::new(Shape::new(&[UNKNOWN, 2, 3]).unwrap(), DType::F32); 2])
                .to_bytes()
                .unwrap_err()
                .to_string(),
        ),
        (
            "shapes that do not fit",
            Export::new(&dense())
                .inputs([Spec::new(Shape::new(&[UNKNOWN, 2, 5]).unwrap(), DType::F32)])
                .to_bytes()
                .unwrap_err()
                .to_string(),
        ),
        (
            "two files as one",
            Export::new(&dense()).external_data("w.bin").to_bytes().unwrap_err().to_string(),
        ),
        (
            "weights elsewhere",
            Export::new(&dense()).external_data("../w.bin").write(path).unwrap_err().to_string(),
        ),
    ]
}

#[test]
fn a_fixed_length_lets_a_loop_be_written() {
    let spec = Spec::new(Shape::new(&[UNKNOWN, 4, 3]).unwrap(), DType::F32);
    let file = File::read(&Export::new(&own(Unrolled)).inputs([spec]).to_bytes().unwrap());
    assert_eq!(file.operators().iter().filter(|op| *op == "Add").count(), 3);
    assert!(file.text().contains("input x: type 1 [batch, 4, 3]"), "{}", file.text());
}

#[test]
fn steps_in_time_are_rows_of_one_product() {
    let file = File::read(&Export::new(&layer(TimeDistributed::new(Dense::new(2)))).to_bytes().unwrap());
    assert_eq!(file.operators(), ["Reshape", "Gemm", "Shape", "Concat", "Reshape"], "{}", file.text());
    assert!(file.text().contains("[batch, time, 2]"), "{}", file.text());
}

// ---- the table of operations

/// The names of recorded operations, from the source: those of `op!`, of `names!` and of the elementwise tables.
fn recorded() -> BTreeSet<String> {
    let mut names: BTreeSet<String> = ["detach"].map(String::from).into();
    names.extend(gradus::ops::UNARY.iter().map(|row| row.name.to_string()));
    names.extend(gradus::ops::BINARY.iter().map(|row| row.name.to_string()));
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/src/ops");
    for entry in std::fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        let (mut op, mut kinds) = (false, false);
        for line in text.lines() {
            match line {
                "crate::op! {" => op = true,
                "names! {" => kinds = true,
                "}" => (op, kinds) = (false, false),
                _ => {}
            }
            let quoted = || line.split('"').nth(1).map(String::from);
            if op && line.contains("struct ") && line.contains("(\"") {
                names.extend(quoted());
            }
            if kinds && line.contains(" = \"") {
                names.extend(quoted());
            }
        }
    }
    names
}

#[test]
fn every_operation_has_a_form_or_a_reason() {
    let rows: BTreeMap<&str, _> = operators().collect();
    assert_eq!(rows.len(), operators().count(), "an operation has two rows");
    let names = recorded();
    assert!(names.len() > 150, "the scan found only {} operations", names.len());
    let known = |name: &str| {
        rows.contains_key(name)
            || rows.keys().any(|row| row.strip_prefix('*').is_some_and(|end| name.ends_with(end)))
    };
    let missing: Vec<&String> = names.iter().filter(|name| !known(name)).collect();
    assert!(missing.is_empty(), "without a row in src/onnx/forms: {missing:?}");
    let closures = ["checkpoint", "custom_gradient"];
    let more =
        rows.keys().filter(|row| !row.starts_with('*') && !closures.contains(row) && !names.contains(**row));
    let more: Vec<_> = more.collect();
    assert!(more.is_empty(), "rows of no operation: {more:?}");
}

#[test]
fn the_guide_has_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/onnx.md");
    let stands = std::fs::read_to_string(path).unwrap();
    let (text, _) = stands.split_once("\n| operation |").unwrap_or((&stands, ""));
    let mut page = format!("{}\n\n| operation | in ONNX |\n| --- | --- |\n", text.trim_end());
    for (name, form) in operators().collect::<BTreeMap<_, _>>() {
        let form = form.map_or_else(|why| format!("not: {why}"), |onnx| format!("`{onnx}`"));
        writeln!(page, "| `{name}` | {form} |").unwrap();
    }
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(path, &page).unwrap();
    }
    let stands = std::fs::read_to_string(path).unwrap();
    assert!(
        stands == page,
        "docs/onnx.md is stale: UPDATE_SNAPSHOTS=1 cargo test --all-features --test all onnx:: writes it"
    );
}

/// A constant beside a tensor of open sizes stays as it is: as large as that, it would be refused, since it differs from trace to trace.
#[test]
fn constants_are_not_made_as_large_as_what_they_are_beside() {
    fn weights() -> Result<Tensor> {
        Tensor::from_slice(&[0.5f32, 1.0, 2.0, 0.0, 1.5, 3.0], [6])
    }
    fn segments() -> Result<Tensor> {
        Tensor::from_slice(&[0i64, 2, 2, 1, 0, 3], [6])
    }
    type Case = (&'static str, fn(&Tensor) -> Result<Tensor>);
    let cases: [Case; 8] = [
        ("average", |x| x.average(&weights()?, &[-1], false)),
        ("average over time", |x| x.average(&weights()?, &[1, 2], true)),
        ("rms_normalization", |x| x.rms_normalization(Some(&weights()?), &[-1], 1e-3)),
        ("segment_max", |x| x.moveaxis(-1, 0)?.segment_max(&segments()?, 4)?.moveaxis(0, -1)),
        ("segment_mean", |x| x.moveaxis(-1, 0)?.segment_mean(&segments()?, 4)?.moveaxis(0, -1)),
        ("take_along_axis", |x| x.take_along_axis(&Tensor::from_slice(&[4i64, 0, -1], [1, 1, 3])?, -1)),
        ("matrix_power", |x| x.t()?.matmul(x)?.matrix_power(0)?.matmul(&x.t()?)),
        ("put_along_axis", |x| {
            x.scatter_along_axis(
                &x.argsort(-1, false)?,
                &Tensor::from_slice(&[2.0f32], [1, 1, 1])?,
                -1,
                gradus::ops::scatter::Scatter::Add,
            )
        }),
    ];
    for (name, f) in cases {
        let net = Sequential::new()
            .add(Input::with_unknown([None, Some(6)]).named("x"))
            .add(gradus::nn::layers::Lambda::new(f))
            .build()
            .unwrap_or_else(|e| panic!("{name}: {e}"));
        let bytes = Export::new(&net).opset(18).to_bytes().unwrap_or_else(|e| panic!("{name}: {e}"));
        for (tensor, (_, sizes, _)) in File::read(&bytes).tensors() {
            let elements: i64 = sizes.iter().product();
            assert!(elements <= 36, "{name}: {tensor} has sizes {sizes:?}");
        }
    }
}
