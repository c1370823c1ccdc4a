//! Files for TensorBoard, read without the code that writes them: records with checksums of a bit at a time, and fields walked one by
//! one. `tests/interop/read_tensorboard.py` has TensorBoard itself read the files of the test that is ignored here.

use crate::proto::{Message, Value};
use gradus::nn::layers::{Conv1D, GlobalAveragePooling1D, LSTM};
use gradus::prelude::*;
use gradus::tensorboard::EventFile;
use std::path::{Path, PathBuf};

/// CRC-32C, a bit at a time.
fn checksum(bytes: &[u8]) -> u32 {
    let mut sum = u32::MAX;
    for byte in bytes {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            sum = (sum >> 1) ^ if sum % 2 == 1 { 0x82f6_3b78 } else { 0 };
        }
    }
    let sum = !sum;
    sum.rotate_right(15).wrapping_add(0xa282_ead8)
}

/// The records of a file, whose checksums are right.
fn records(bytes: &[u8]) -> Vec<&[u8]> {
    let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    let (mut out, mut at) = (vec![], 0);
    while at < bytes.len() {
        let length = u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize;
        assert_eq!(number(at + 8), checksum(&bytes[at..at + 8]), "the checksum of a length");
        let data = &bytes[at + 12..at + 12 + length];
        assert_eq!(number(at + 12 + length), checksum(data), "the checksum of a record");
        out.push(data);
        at += 16 + length;
    }
    out
}

/// What a file holds.
#[derive(Default)]
struct Events {
    version: String,
    scalars: Vec<(String, i64, f32)>,
    histograms: Vec<(String, i64, Vec<[f64; 3]>)>,
    graphs: Vec<Message>,
}

fn sizes(shape: &Message) -> Vec<i64> {
    shape.messages(2).iter().map(|d| d.int(1).unwrap()).collect()
}

fn read(path: &Path) -> Events {
    let bytes = std::fs::read(path).unwrap();
    let mut out = Events::default();
    for record in records(&bytes) {
        let event = Message::read(record);
        assert!(matches!(event.all(1)[0], Value::Double(t) if *t > 1.7e9), "a time");
        let step = event.int(2).unwrap_or(0);
        out.version.extend(event.texts(3));
        out.graphs.extend(event.messages(4));
        for value in event.messages(5).iter().flat_map(|summary| summary.messages(1)) {
            let (tag, tensor) = (value.text(1), value.message(8));
            match value.message(9).message(1).text(1).as_str() {
                "scalars" => {
                    assert_eq!((tensor.int(1), sizes(&tensor.message(2))), (Some(1), vec![]));
                    let Value::Float(v) = tensor.all(5)[0] else { panic!("{tensor:?}") };
                    out.scalars.push((tag, step, *v));
                }
                "histograms" => {
                    assert_eq!((tensor.int(1), sizes(&tensor.message(2))), (Some(2), vec![30, 3]));
                    let Value::Bytes(content) = tensor.all(4)[0] else { panic!("{tensor:?}") };
                    let numbers = content.chunks(8).map(|b| f64::from_le_bytes(b.try_into().unwrap()));
                    let numbers: Vec<f64> = numbers.collect();
                    out.histograms.push((
                        tag,
                        step,
                        numbers.chunks(3).map(|r| r.try_into().unwrap()).collect(),
                    ));
                }
                other => panic!("plugin {other}"),
            }
        }
    }
    out
}

/// The one file of a run.
fn run(folder: &Path) -> Events {
    let mut files = std::fs::read_dir(folder).unwrap();
    let path = files.next().unwrap().unwrap().path();
    assert!(files.next().is_none() && path.file_name().unwrap().to_str().unwrap().contains("tfevents"));
    read(&path)
}

fn folder(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("gradus-tensorboard-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    path
}

fn model() -> Model {
    let stack =
        Sequential::new().add(Input::with_unknown([None, Some(3)])).add(Conv1D::new(4, 3).activation(Relu));
    let stack = stack.add(LSTM::new(5).return_sequences(true)).add(GlobalAveragePooling1D::new());
    let stack = stack.add(Dense::new(2).activation(Softmax)).seed(1);
    stack.compile(Adam::new(0.01), SparseCategoricalCrossentropy::new(), [Accuracy::new()]).unwrap()
}

fn fit(log_dir: &Path, board: impl FnOnce(TensorBoard) -> TensorBoard) -> (Model, History) {
    let (mut model, x) = (model(), Tensor::randn([12, 7, 3], 2).unwrap());
    let y = Tensor::randint([12], 0, 2, 3).unwrap();
    let settings = Fit::new().epochs(3).batch_size(2).validation_split(0.34).verbose(0);
    let history = model.fit(&x, &y, settings.callback(board(TensorBoard::new(log_dir)))).unwrap();
    (model, history)
}

#[test]
fn figures_stand_under_keras_tags() {
    let log_dir = folder("figures");
    let (_, history) = fit(&log_dir, |board| board.write_graph(false));
    let (train, validation) = (run(&log_dir.join("train")), run(&log_dir.join("validation")));
    assert_eq!((train.version.as_str(), train.graphs.len()), ("brain.Event:2", 0));
    let of = |events: &Events, tag: &str| -> Vec<(i64, f32)> {
        events.scalars.iter().filter(|(t, ..)| t == tag).map(|(_, step, v)| (*step, *v)).collect()
    };
    let epochs = |name: &str| -> Vec<(i64, f32)> {
        history[name].iter().enumerate().map(|(i, v)| (i as i64, *v as f32)).collect()
    };
    assert_eq!(of(&train, "epoch_loss"), epochs("loss"));
    assert_eq!(of(&train, "epoch_accuracy"), epochs("accuracy"));
    assert_eq!(of(&train, "epoch_learning_rate"), [(0, 0.01), (1, 0.01), (2, 0.01)]);
    assert_eq!(train.scalars.len(), 9);
    assert_eq!(of(&validation, "epoch_loss"), epochs("val_loss"));
    // 7 rows are trained on: 4 steps an epoch.
    let by_step: Vec<(i64, f32)> = epochs("val_loss").iter().map(|(i, v)| ((i + 1) * 4, *v)).collect();
    assert_eq!(of(&validation, "evaluation_loss_vs_iterations"), by_step);
    assert_eq!(validation.scalars.len(), 12);
    std::fs::remove_dir_all(log_dir).unwrap();
}

#[test]
fn figures_of_batches_and_speed_come_as_often_as_asked() {
    let log_dir = folder("batches");
    fit(&log_dir, |board| board.update_freq(5).write_steps_per_second(true).write_graph(false));
    let train = run(&log_dir.join("train"));
    let steps = |tag: &str| -> Vec<i64> {
        train.scalars.iter().filter(|(t, ..)| t == tag).map(|(_, step, _)| *step).collect()
    };
    assert_eq!(steps("batch_loss"), [5, 10]);
    assert_eq!(steps("batch_accuracy"), [5, 10]);
    assert_eq!(steps("batch_steps_per_second"), [5, 10]);
    assert_eq!(steps("epoch_steps_per_second"), [0, 1, 2]);
    assert!(train.scalars.iter().filter(|(t, ..)| t.ends_with("per_second")).all(|(.., v)| *v > 0.0));
    std::fs::remove_dir_all(&log_dir).unwrap();
    let failed = model().fit(
        &Tensor::ones([2, 7, 3]).unwrap(),
        &Tensor::full([2], 0i64).unwrap(),
        Fit::new().verbose(0).callback(TensorBoard::new(&log_dir).update_freq("year")),
    );
    let e = failed.unwrap_err().to_string();
    assert_eq!(
        e,
        "TensorBoard: update_freq: expected \"epoch\" or a number of batches of at least 1, got 'year'"
    );
    assert!(!log_dir.exists());
}

#[test]
fn histograms_count_every_weight() {
    let log_dir = folder("histograms");
    let (model, _) = fit(&log_dir, |board| board.histogram_freq(2));
    let train = run(&log_dir.join("train"));
    let params = model.params();
    assert_eq!(train.histograms.len(), 2 * params.len());
    for (path, value) in &params {
        let tag = format!("{path}/histogram");
        let found: Vec<_> = train.histograms.iter().filter(|(t, ..)| *t == tag).collect();
        assert_eq!(found.iter().map(|(_, step, _)| *step).collect::<Vec<_>>(), [0, 2], "{tag}");
        // After the last epoch the weights are those of the model.
        let (.., rows) = found[1];
        let values = value.to_vec::<f32>().unwrap();
        for (i, [left, right, count]) in rows.iter().enumerate() {
            let inside = |v: &&f32| {
                let v = f64::from(**v);
                v >= *left && (v < *right || (i == 29 && v <= *right))
            };
            assert_eq!(values.iter().filter(inside).count() as f64, *count, "bucket {i} of {tag}");
        }
        assert_eq!(rows.iter().map(|r| r[2]).sum::<f64>(), values.len() as f64);
    }
    std::fs::remove_dir_all(log_dir).unwrap();
}

#[test]
fn the_graph_has_every_operation_with_shapes_and_inputs_that_are_there() {
    let log_dir = folder("graph");
    let (model, _) = fit(&log_dir, |board| board);
    let graphs = run(&log_dir.join("train")).graphs;
    assert_eq!(graphs.len(), 1);
    let nodes = graphs[0].messages(1);
    let name = |node: &Message| node.text(1);
    let mut names: Vec<String> = nodes.iter().map(name).collect();
    let find = |wanted: &str| {
        let found = nodes.iter().find(|n| name(n) == wanted);
        found.unwrap_or_else(|| {
            panic!("no node '{wanted}' among {:?}", nodes.iter().map(name).collect::<Vec<_>>())
        })
    };
    let shapes = |node: &Message| -> Vec<Vec<i64>> {
        let attr = node.messages(5).into_iter().find(|a| a.text(1) == "_output_shapes").unwrap();
        attr.message(2).message(1).messages(7).iter().map(sizes).collect()
    };
    assert_eq!(shapes(find("conv1d/kernel")), [[3, 3, 4]]);
    assert_eq!(find("dense/kernel").text(2), "Parameter");
    let input = find(model.input_names().next().unwrap());
    assert_eq!((input.text(2), shapes(input)), ("Placeholder".into(), vec![vec![-1, -1, 3]]));
    let output = nodes.iter().find(|n| name(n).starts_with("output/")).unwrap();
    assert_eq!((output.text(2), shapes(output)), ("Identity".into(), vec![vec![-1, 2]]));
    let conv = nodes.iter().find(|n| name(n).starts_with("conv1d/") && n.texts(3).len() > 1).unwrap();
    assert_eq!(shapes(conv)[0].len(), 3, "{conv:?}");
    assert!(nodes.iter().any(|n| name(n).starts_with("lstm/")));
    // Names are different, and an input is a node before, or one of its outputs.
    for (i, node) in nodes.iter().enumerate() {
        for input in node.texts(3) {
            let (from, output) = input.split_once(':').unwrap_or((&input, "0"));
            let at = nodes[..i].iter().position(|n| name(n) == from);
            let at = at.unwrap_or_else(|| panic!("{} has the input {input}", name(node)));
            assert!(shapes(&nodes[at]).len() > output.parse::<usize>().unwrap());
        }
    }
    names.sort();
    let all = names.len();
    names.dedup();
    assert_eq!(names.len(), all);
    std::fs::remove_dir_all(log_dir).unwrap();
}

#[test]
fn a_network_that_cannot_be_captured_trains_without_a_graph() {
    let log_dir = folder("opaque");
    // It gives shapes without values, and is no function of tensors.
    let reads = gradus::nn::layers::Lambda::new(|x| match x.to_vec::<f32>() {
        Ok(values) => x.scale(values[0].into()),
        Err(_) => Ok(Tensor::opaque(x.spec())),
    });
    let stack = Sequential::new().add(Input::new([1])).add(Dense::new(1));
    let mut model = stack.add(reads).compile("sgd", "mse", ()).unwrap();
    let x = Tensor::ones([2, 1]).unwrap();
    model.fit(&x, &x, Fit::new().verbose(0).callback(TensorBoard::new(&log_dir))).unwrap();
    assert!(run(&log_dir.join("train")).graphs.is_empty());
    std::fs::remove_dir_all(log_dir).unwrap();
}

#[test]
fn a_loop_of_ones_own_writes_events() {
    let log_dir = folder("own");
    let mut file = EventFile::create(&log_dir).unwrap();
    file.scalar("reward", 0.5, -3).unwrap();
    file.scalar("reward", f64::NAN, 1 << 40).unwrap();
    file.histogram("h", &Tensor::full([3], 2i64).unwrap(), 1).unwrap();
    file.flush().unwrap();
    let events = read(file.path());
    assert_eq!(events.scalars[0], ("reward".into(), -3, 0.5));
    assert!(events.scalars[1].1 == 1 << 40 && events.scalars[1].2.is_nan());
    assert_eq!(events.histograms[0].2[29], [2.0, 2.0, 3.0]);
    // Another file beside it, not the same one.
    let other = EventFile::create(&log_dir).unwrap();
    assert_ne!(file.path(), other.path());
    std::fs::remove_dir_all(log_dir).unwrap();
}

/// Writes what `tests/interop/read_tensorboard.py` reads: the files, and beside them what should be in them.
#[test]
#[ignore = "for tests/interop/read_tensorboard.py"]
fn files_for_tensorboard() {
    let log_dir = PathBuf::from(std::env::var_os("GRADUS_LOGS").unwrap());
    let (model, history) = fit(&log_dir, |board| board.histogram_freq(1).update_freq(2));
    let figures: serde_json::Map<String, serde_json::Value> =
        history.keys().map(|name| (name.to_string(), history[name].clone().into())).collect();
    let params: serde_json::Map<String, serde_json::Value> =
        model.params().iter().map(|(path, v)| (path.clone(), v.to_vec::<f32>().unwrap().into())).collect();
    let expected = serde_json::json!({ "history": figures, "params": params });
    std::fs::write(log_dir.join("expected.json"), expected.to_string()).unwrap();
}
