//! Tests of what someone who knows Keras types in the first hour: it works, or one sentence says what to write
//! instead. The sentences are in `snapshots/first_hour.txt`, those of the compiler in `snapshots/compiler.txt`;
//! `UPDATE_SNAPSHOTS=1` rewrites both.

use gradus::config::{Configured, Dyn};
use gradus::metric::{AUC, Metric, PerOutput};
use gradus::nn::activation::Activation as Function;
use gradus::nn::{Build, Cx, IntoLayer, Layer, Masking, Predict};
use gradus::optim::Optimizer;
use gradus::prelude::*;
use gradus::random::{Purpose, Stream};
use gradus::train::{LambdaCallback, TerminateOnNaN, Weights};
use gradus::{CancellationToken, Error, Float, Result};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::time::Duration;

fn floats(shape: &[usize]) -> Tensor {
    Tensor::rand(shape, 7).unwrap()
}

fn stack() -> Sequential {
    Sequential::new().add(Input::new(4)).add(Dense::new(3).activation("relu")).add(Dense::new(1)).seed(1)
}

fn regression() -> Model {
    stack().compile("adam", "mse", ["mae"]).unwrap()
}

fn quiet<'a>() -> Fit<'a> {
    Fit::new().verbose(0)
}

fn done<T, E: Into<Error>>(result: Result<T, E>) -> Result<()> {
    result.map(drop).map_err(Into::into)
}

fn dense(layer: Dense) -> Result<()> {
    done(Sequential::new().add(Input::new(4)).add(layer).build())
}

fn small_gpt() -> gradus::applications::GPT2 {
    let gpt = gradus::applications::GPT2::new().vocabulary_size(11).num_layers(1).num_heads(2).hidden_dim(4);
    gpt.intermediate_dim(8).max_sequence_length(8)
}

fn cancelled() -> CancellationToken {
    let token = CancellationToken::new();
    token.cancel();
    token
}

fn batches() -> Dataset {
    Dataset::from_tensors(&floats(&[8, 4]), &floats(&[8, 1])).unwrap().batch(4)
}

/// A network whose one layer computes this, trained for a step in which that goes wrong.
fn going_wrong(f: impl Fn(&Tensor) -> Result<Tensor> + Send + Sync + 'static) -> Result<()> {
    let stack = Sequential::new()
        .add(Input::new(2))
        .add(Dense::new(2).kernel_initializer("zeros"))
        .add(Lambda::new(f).named("mine"));
    let mut model = stack.compile("sgd", "mse", ())?;
    let before = model.weight_bytes()?;
    let (x, y) = (Tensor::ones([8, 2])?, Tensor::zeros([8, 2])?);
    let result = model.fit(&x, &y, quiet().batch_size(4).check_finite());
    assert_eq!(model.weight_bytes()?, before, "the step changed nothing");
    done(result)
}

fn csv(text: &str) -> Result<()> {
    done(gradus::io::Csv::new().parse(text.as_bytes(), "table.csv", &gradus::io::Limits::default()))
}

type Mistake = (&'static str, fn() -> Result<()>);

const MISTAKES: &[Mistake] = &[
    // Names.
    ("activation_misspelt", || dense(Dense::new(2).activation("rleu"))),
    ("activation_in_capitals", || dense(Dense::new(2).activation("RELU"))),
    ("activation_unknown", || dense(Dense::new(2).activation("magic"))),
    ("activation_needs_settings", || dense(Dense::new(2).activation("threshold"))),
    ("activation_called_on", || {
        done(Dense::new(2).activation("softmaxx").named("probabilities").on(&Input::new(4)))
    }),
    ("activation_parsed", || done("hard_sigmod".parse::<Dyn<dyn Function>>())),
    ("activation_saved", || done(Dense::new(2).activation("rleu").config())),
    ("initializer_misspelt", || dense(Dense::new(2).kernel_initializer("he_norml"))),
    ("regularizer_unknown", || dense(Dense::new(2).kernel_regularizer("l3"))),
    ("activity_regularizer_unknown", || dense(Dense::new(2).activity_regularizer("dropout"))),
    ("constraint_misspelt", || dense(Dense::new(2).kernel_constraint("nonneg"))),
    ("bias_constraint_unknown", || dense(Dense::new(2).bias_constraint("positive"))),
    ("padding_misspelt", || {
        done(Conv2D::new(2, 3).padding("smae").named("edges").on(&Input::new([8, 8, 1])))
    }),
    ("padding_in_a_stack", || {
        done(Sequential::new().add(Input::new([8, 8, 1])).add(MaxPooling2D::new().padding("full")).build())
    }),
    ("kernel_beyond_the_image", || {
        let edges = Conv2D::new(2, 5).named("edges");
        done(Sequential::new().add(Input::new([3, 8, 1])).add(edges).build())
    }),
    ("pool_beyond_the_image", || {
        done(Sequential::new().add(Input::new([1, 1, 4])).add(MaxPooling2D::new()).build())
    }),
    ("groups_that_do_not_divide", || {
        done(Conv2D::new(6, 3).groups(3).named("edges").on(&Input::new([8, 8, 4])))
    }),
    ("kernel_of_no_size", || done(Conv2D::new(2, 0).named("edges").on(&Input::new([8, 8, 1])))),
    ("channels_of_other_images", || {
        let edges = Sequential::new().add(Input::new([8, 8, 3])).add(Conv2D::new(2, 3)).build()?;
        done(edges.predict(&floats(&[2, 8, 8, 1])))
    }),
    ("a_sequence_of_no_steps", || {
        let network =
            Sequential::new().add(Input::with_unknown([None, Some(4)])).add(LSTM::new(3)).build()?;
        done(network.predict(&floats(&[2, 0, 4])))
    }),
    ("a_mask_of_another_length", || {
        let (x, mask) = (Input::new([6, 4]), Input::new([5]).dtype(DType::Bool));
        done(LSTM::new(3).named("memory").on((&x, [("mask", &mask)])))
    }),
    ("an_attention_mask_of_another_size", || {
        let (x, mask) = (Input::new([6, 4]), Input::new([6, 7]).dtype(DType::Bool));
        done(MultiHeadAttention::new(2, 2).named("look").on(([&x, &x], [("attention_mask", &mask)])))
    }),
    ("more_tokens_than_the_cache_holds", || {
        let gpt = small_gpt().cache(true).build()?;
        let mut session = gradus::nn::Session::new();
        gpt.predict_in(&mut session, &Tensor::zeros([1, 5])?.cast(DType::I64)?)?;
        done(gpt.predict_in(&mut session, &Tensor::zeros([1, 4])?.cast(DType::I64)?))
    }),
    ("a_token_beyond_the_vocabulary", || {
        done(small_gpt().build()?.predict(&Tensor::full([1, 3], 11.0)?.cast(DType::I64)?))
    }),
    ("padding_saved", || done(Conv1D::new(2, 3).padding("smae").config())),
    ("padding_of_a_part", || {
        gradus::parts! {
            struct Edges { inner: Part }
        }
        impl Layer for Edges {
            fn forward(&self, x: &Tensor, cx: &mut Cx) -> Result<Tensor> {
                self.inner.forward(x, cx)
            }
        }
        let edges = Edges { inner: Conv1D::new(2, 3).padding("smae").into() };
        done(Subclass::new([Input::new([8, 1])], edges).build())
    }),
    ("data_format_misspelt", || {
        let layer = GlobalAveragePooling2D::new().data_format("channel_first");
        done(layer.on(&Input::new([8, 8, 1])))
    }),
    ("interpolation_unknown", || done(UpSampling2D::new().interpolation("cubic").on(&Input::new([8, 8, 1])))),
    ("merge_mode_unknown", || {
        done(Bidirectional::new(LSTM::new(2)).merge_mode("add").on(&Input::new([5, 2])))
    }),
    ("average_unknown", || {
        done(stack().compile("adam", "mse", [gradus::metric::F1Score::new().average("mean")]))
    }),
    ("curve_unknown", || done(stack().compile("adam", "mse", [AUC::new().curve("roc")]))),
    ("reduction_unknown", || done(stack().compile("adam", MeanSquaredError::new().reduction("avg"), ()))),
    ("optimizer_misspelt", || done(stack().compile("adamm", "mse", ()))),
    ("optimizer_unknown", || done(stack().compile("shampoo", "mse", ()))),
    ("loss_misspelt", || done(stack().compile("adam", "mean_square_error", ()))),
    ("loss_of_keras_functions", || done(stack().compile("adam", "SparseCategoricalCrossEntropy", ()))),
    ("loss_unknown", || done(stack().compile("adam", "nll", ()))),
    ("loss_among_others", || done(stack().compile("adam", (MeanSquaredError::new(), "rsme"), ()))),
    ("metric_misspelt", || done(stack().compile("adam", "mse", ["acuracy"]))),
    ("metric_unknown", || done(stack().compile("adam", "mse", ["rouge"]))),
    ("metric_in_a_tuple", || done(stack().compile("adam", "mse", (Accuracy::new(), "f1")))),
    ("metric_of_an_output", || {
        done(stack().compile("adam", "mse", PerOutput::new().output("dense_1", ["recal"])))
    }),
    // Settings.
    ("input_of_nine_sizes", || done(Sequential::new().add(Input::new([2; 9])).add(Dense::new(1)).build())),
    ("rate_in_single_precision", || done(stack().compile(SGD::new(f32::NAN), "mse", ()))),
    ("class_weight_from_a_map", || {
        done(regression().fit(
            &floats(&[8, 4]),
            &floats(&[8, 1]),
            quiet().class_weight(HashMap::from([(0, -1.0)])),
        ))
    }),
    ("no_batches_to_predict", || {
        done(regression().predict_with(&floats(&[8, 4]), &Predict::new().batch_size(0)))
    }),
    ("weights_beside_a_dataset", || {
        done(regression().evaluate_dataset_with(&batches(), &Evaluate::new().sample_weight(&floats(&[8]))))
    }),
    ("callback_of_a_list_fails", || {
        let fails =
            || LambdaCallback::new().on_epoch_end(|_, _, _| Err(Error::Custom("no connection".into())));
        done(regression().fit(&floats(&[8, 4]), &floats(&[8, 1]), quiet().callbacks([fails(), fails()])))
    }),
    ("targets_of_no_class", || {
        let stack = Sequential::new().add(Input::new(4)).add(Dense::new(3).activation("softmax"));
        let mut model = stack.compile("adam", "categorical_crossentropy", ())?;
        done(model.fit(&floats(&[8, 4]), &Tensor::zeros([8, 3])?, quiet()))
    }),
    ("targets_of_several_classes", || {
        let stack = Sequential::new().add(Input::new(4)).add(Dense::new(3).activation("softmax"));
        let mut model = stack.compile("adam", "categorical_crossentropy", ())?;
        done(model.fit(&floats(&[8, 4]), &Tensor::ones([8, 3])?, quiet()))
    }),
    ("labels_from_one", || {
        let stack = Sequential::new().add(Input::new(4)).add(Dense::new(3).activation("softmax"));
        let mut model = stack.compile("adam", "sparse_categorical_crossentropy", ())?;
        done(model.fit(&floats(&[3, 4]), &Tensor::new([1i64, 2, 3])?, quiet().shuffle(false)))
    }),
    ("labels_of_minus_one", || {
        let stack = Sequential::new().add(Input::new(4)).add(Dense::new(1).activation("sigmoid"));
        let mut model = stack.compile("adam", "binary_crossentropy", ())?;
        done(model.fit(&floats(&[3, 4]), &Tensor::new([[-1.0f32], [1.0], [1.0]])?, quiet().shuffle(false)))
    }),
    ("epochs_before_the_first", || {
        done(regression().fit(&floats(&[8, 4]), &floats(&[8, 1]), quiet().initial_epoch(5).epochs(2)))
    }),
    ("no_epochs", || done(regression().fit(&floats(&[8, 4]), &floats(&[8, 1]), quiet().epochs(0)))),
    ("validation_freq_alone", || {
        done(regression().fit(&floats(&[8, 4]), &floats(&[8, 1]), quiet().validation_freq(2)))
    }),
    ("class_weight_of_no_unit", || {
        let stack = Sequential::new().add(Input::new(4)).add(Dense::new(3).activation("softmax"));
        let mut model = stack.compile("adam", "sparse_categorical_crossentropy", ())?;
        let labels = Tensor::new([0i64, 1, 2])?;
        done(model.fit(&floats(&[3, 4]), &labels, quiet().class_weight([(0, 1.0), (7, 3.0)])))
    }),
    ("sample_weight_below_zero", || {
        let w = Tensor::full([8], -1.0f32)?;
        done(regression().fit(&floats(&[8, 4]), &floats(&[8, 1]), quiet().sample_weight(&w)))
    }),
    ("sample_weights_all_zero", || {
        let w = Tensor::zeros([8])?;
        done(regression().fit(&floats(&[8, 4]), &floats(&[8, 1]), quiet().sample_weight(&w)))
    }),
    ("parameter_twice", || {
        let value = regression().params()[0].clone();
        regression().set_params(&[value.clone(), value])
    }),
    ("parameter_of_keras_s_path", || {
        regression().set_params(&[("sequential/dense/kernel:0".into(), floats(&[4, 3]))])
    }),
    ("parameter_in_double_precision", || {
        regression().set_params(&[("dense/kernel".into(), floats(&[4, 3]).cast(DType::F64)?)])
    }),
    ("layer_misspelt", || regression().set_trainable("dens_1", false)),
    ("saved_as_keras", || regression().save("model.keras")),
    ("weights_of_h5", || {
        done(Model::from_bytes(b"\x89HDF\r\n\x1a\n and more of it", gradus::io::Load::new()))
    }),
    ("weights_of_keras", || {
        done(Model::from_bytes(b"PK\x03\x04\x14\x00\x00\x00 and more", gradus::io::Load::new()))
    }),
    ("weights_of_a_pickle", || {
        done(Model::from_bytes(b"\x80\x04\x95\x10\x20\x30\x40\x50 and more", gradus::io::Load::new()))
    }),
    ("one_row_alone", || done(regression().predict(&floats(&[4])))),
    ("numbers_for_rows_of_one", || {
        let stack = Sequential::new().add(Input::new(1)).add(Dense::new(1));
        done(stack.build()?.predict(&floats(&[8])))
    }),
    ("batch_in_the_shape", || {
        let stack = Sequential::new().add(Input::new([20, 4])).add(Dense::new(1));
        done(stack.build()?.predict(&floats(&[20, 4])))
    }),
    ("samples_without_batches", || {
        let samples = Dataset::from_tensors(&floats(&[8, 4]), &floats(&[8, 1]))?;
        done(regression().fit_dataset(&samples, quiet()))
    }),
    ("batches_of_batches", || done(regression().fit_dataset(&batches().batch(2), quiet()))),
    ("csv_thousands", || csv("a,b\n\"1,234\",2\n")),
    ("csv_thousands_of_thousands", || csv("a,b\n\"1,234,567\",2\n")),
    ("csv_percent", || csv("a,b\n10%,2\n")),
    ("csv_date", || csv("a,b\n2020-01-31,2\n")),
    ("csv_time", || csv("a,b\n12:30,2\n")),
    ("csv_target_made_up", || {
        let csv = gradus::io::Csv::new().missing(gradus::io::Missing::Fill(0.0)).target("b");
        done(csv.parse(b"a,b\n1,\n", "prices.csv", &gradus::io::Limits::default()))
    }),
    // Data of other types.
    ("inputs_of_whole_numbers", || {
        done(regression().fit(&Tensor::arange(8)?.reshape([2, 4])?, &floats(&[2, 1]), quiet()))
    }),
    ("inputs_of_bytes", || {
        done(regression().fit(
            &Tensor::arange(8)?.reshape([2, 4])?.cast(DType::U8)?,
            &floats(&[2, 1]),
            quiet(),
        ))
    }),
    ("inputs_of_truth_values", || {
        done(regression().fit(
            &Tensor::arange(8)?.reshape([2, 4])?.cast(DType::Bool)?,
            &floats(&[2, 1]),
            quiet(),
        ))
    }),
    ("indices_of_floats", || {
        let stack = Sequential::new().add(Input::new(4).dtype(DType::I64)).add(Embedding::new(9, 2));
        done(stack.build()?.predict(&floats(&[2, 4])))
    }),
    // Ended early.
    ("fit_cancelled", || {
        let token = CancellationToken::new();
        let copy = token.clone();
        let stop = LambdaCallback::new().on_train_batch_end(move |model, batch, _| {
            if model.history().epochs().len() == 2 && batch == 1 {
                copy.cancel();
            }
            Ok(())
        });
        let settings = quiet().epochs(9).batch_size(2).callback(stop).cancellation(&token);
        done(regression().fit(&floats(&[8, 4]), &floats(&[8, 1]), settings))
    }),
    ("fit_deadline", || {
        let token = CancellationToken::new().deadline(Duration::ZERO);
        done(regression().fit(&floats(&[8, 4]), &floats(&[8, 1]), quiet().cancellation(&token)))
    }),
    ("fit_dataset_cancelled", || {
        done(regression().fit_dataset(&batches(), quiet().cancellation(&cancelled())))
    }),
    ("validation_cancelled", || {
        let token = CancellationToken::new();
        let copy = token.clone();
        let stop = LambdaCallback::new().on_train_batch_end(move |_, _, _| {
            copy.cancel();
            Ok(())
        });
        let (x, y) = (floats(&[8, 4]), floats(&[8, 1]));
        let settings = quiet().validation_data(&x, &y).callback(stop).cancellation(&token);
        done(regression().fit(&x, &y, settings))
    }),
    ("evaluate_cancelled", || {
        let settings = Evaluate::new().cancellation(&cancelled());
        done(regression().evaluate_with(&floats(&[8, 4]), &floats(&[8, 1]), &settings))
    }),
    ("evaluate_dataset_cancelled", || {
        done(regression().evaluate_dataset_with(&batches(), &Evaluate::new().cancellation(&cancelled())))
    }),
    ("predict_cancelled", || {
        done(regression().predict_with(&floats(&[8, 4]), &Predict::new().cancellation(&cancelled())))
    }),
    ("predict_dataset_cancelled", || {
        done(regression().predict_dataset_with(&batches(), &Predict::new().cancellation(&cancelled())))
    }),
    // Numbers that are none.
    ("nan_in_the_inputs", || {
        let x = floats(&[40, 4]).index_put((37, 2), &Tensor::scalar(f32::NAN)?)?;
        done(regression().fit(&x, &floats(&[40, 1]), quiet().check_finite()))
    }),
    ("infinity_in_the_targets", || {
        let y = floats(&[8, 1]).index_put((3, 0), &Tensor::scalar(f32::INFINITY)?)?;
        done(regression().fit(&floats(&[8, 4]), &y, quiet().check_finite()))
    }),
    ("nan_in_a_parameter", || {
        let mut model = regression();
        model.set_params(&[("dense_1/bias".into(), Tensor::full([1], f32::NAN)?)])?;
        done(model.fit(&floats(&[8, 4]), &floats(&[8, 1]), quiet().check_finite()))
    }),
    ("infinity_forwards", || going_wrong(|x| x.ln())),
    ("nan_forwards", || going_wrong(|x| x.affine(1.0, -1.0)?.sqrt())),
    ("infinity_backwards", || going_wrong(|x| x.sqrt())),
    ("overflow_forwards", || going_wrong(|x| x.affine(1.0, 100.0)?.exp()?.affine(1e-3, 0.0))),
    ("constant_that_is_none", || going_wrong(|x| x.mul(&Tensor::full([2], f32::NAN)?))),
];

/// Compares a text with a snapshot, or writes it.
fn is_snapshot(name: &str, text: &str) {
    let path = format!("{}/tests/all/snapshots/{name}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    for (is, was) in text.lines().zip(expected.lines()) {
        assert_eq!(is, was, "set UPDATE_SNAPSHOTS=1 if the new message is better");
    }
    assert_eq!(text.lines().count(), expected.lines().count(), "set UPDATE_SNAPSHOTS=1 for new rows");
}

#[test]
fn messages_are_those_of_the_snapshot() {
    let mut text = String::new();
    for (name, mistake) in MISTAKES {
        let error = mistake().expect_err(name);
        writeln!(text, "{name}: {error}").unwrap();
    }
    is_snapshot("first_hour.txt", &text);
}

/// What cannot compile: its name, and the line.
const REFUSED: &[(&str, &str)] = &[
    ("optimizer_number", "stack.compile(0.001, \"mse\", ())"),
    ("loss_number", "stack.compile(\"adam\", 5.0, ())"),
    ("loss_metric", "stack.compile(\"adam\", Accuracy::new(), ())"),
    ("losses_with_a_metric", "stack.compile(\"adam\", (MeanSquaredError::new(), Accuracy::new()), ())"),
    ("metrics_number", "stack.compile(\"adam\", \"mse\", 5)"),
    ("metrics_with_an_optimizer", "stack.compile(\"adam\", \"mse\", [Adam::new(0.1)])"),
    ("metrics_with_a_number", "stack.compile(\"adam\", \"mse\", (Accuracy::new(), 7))"),
    ("network_compiled", "Network::compile(stack.build().unwrap(), 7, \"mse\", ())"),
    ("fit_before_compile", "stack.fit(&x, &x, Fit::new())"),
    ("evaluate_before_compile", "stack.build().unwrap().evaluate(&x, &x)"),
    ("input_tuple", "Input::new((28, 28))"),
    ("input_signed", "Input::new([28i32, 28])"),
    ("input_unknown", "Input::new([None, Some(2)])"),
    ("shape_tuple", "Tensor::zeros((2, 3))"),
    ("shape_number", "Tensor::zeros(3)"),
    ("shape_signed", "x.broadcast_to([2i64, 3])"),
    ("add_activation", "stack.add(Relu)"),
    ("add_name", "stack.add(\"dense\")"),
    ("add_closure", "stack.add(|x: &Tensor| x.relu())"),
    ("call_on_a_tensor", "Dense::new(4).on(&x)"),
    ("callback_closure", "Fit::new().callback(|_: usize| ())"),
    ("fit_vector", "model.fit(&vec![1.0f32], &x, Fit::new())"),
    ("predict_array", "model.predict(&[[1.0f32, 2.0]])"),
    ("tensor_of_text", "Tensor::new(\"abc\")"),
];

/// The compiler's own words are not compared: only the sentences that the library gives it.
#[test]
fn the_compiler_says_what_to_write() {
    let folder = std::env::current_exe().unwrap().parent().unwrap().to_path_buf();
    let built = |entry: std::io::Result<std::fs::DirEntry>| {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let fits = name.starts_with("libgradus-") && name.ends_with(".rlib");
        fits.then(|| (entry.metadata().unwrap().modified().unwrap(), entry.path()))
    };
    let (_, library) = std::fs::read_dir(&folder).unwrap().filter_map(built).max().unwrap();
    // A function a line.
    let mut source = String::from("#![allow(unused)] use gradus::prelude::*;");
    for (i, (_, line)) in REFUSED.iter().enumerate() {
        write!(source, "\nfn f{i}(stack: Sequential, mut model: Model, x: Tensor) {{ let _ = {line}; }}")
            .unwrap();
    }
    let own = std::env::temp_dir().join(format!("gradus-refused-{}", std::process::id()));
    std::fs::create_dir_all(&own).unwrap();
    let file = own.join("refused.rs");
    std::fs::write(&file, source).unwrap();
    let output = std::process::Command::new(std::env::var_os("RUSTC").unwrap_or("rustc".into()))
        .args(["--edition=2024", "--crate-type=lib", "--emit=metadata", "--error-format=json", "--out-dir"])
        .arg(&own)
        .arg("--extern")
        .arg(format!("gradus={}", library.display()))
        .arg("-L")
        .arg(format!("dependency={}", folder.display()))
        .arg(&file)
        .output()
        .unwrap();
    std::fs::remove_dir_all(&own).unwrap();
    let mut said: BTreeMap<u64, String> = BTreeMap::new();
    for line in String::from_utf8(output.stderr).unwrap().lines() {
        let message: serde_json::Value = serde_json::from_str(line).unwrap();
        let primary = |s: &&serde_json::Value| s["is_primary"] == true;
        let Some(span) = message["spans"].as_array().unwrap().iter().find(primary) else { continue };
        let mut text =
            format!("{}; {}", message["message"].as_str().unwrap(), span["label"].as_str().unwrap());
        let notes = message["children"].as_array().unwrap().iter();
        for note in notes.filter(|n| n["level"] == "note" && n["spans"].as_array().unwrap().is_empty()) {
            let note = note["message"].as_str().unwrap();
            if !note.starts_with("required ") && !note.contains("full name") && !note.contains("--verbose") {
                text += &format!("; {note}");
            }
        }
        // Where a closure stands is no matter of ours.
        if let (Some(start), Some(end)) = (text.find("{closure@"), text.find('}')) {
            text.replace_range(start..=end, "{closure}");
        }
        said.entry(span["line_start"].as_u64().unwrap()).or_insert(text);
    }
    let mut text = String::new();
    for (i, (name, line)) in REFUSED.iter().enumerate() {
        let message =
            said.get(&(i as u64 + 2)).unwrap_or_else(|| panic!("{name} compiles, or nothing does: {said:?}"));
        writeln!(text, "{name}: {line}: {message}").unwrap();
    }
    is_snapshot("compiler.txt", &text);
}

#[test]
fn names_stand_for_things_with_default_settings() {
    let (x, y) = (floats(&[64, 4]), floats(&[64, 1]));
    let mut named = stack().compile("adam", "mse", ["mae", "mean_squared_error"]).unwrap();
    let values =
        (gradus::metric::MeanAbsoluteError::new().named("mae"), gradus::metric::MeanSquaredError::new());
    let relu =
        Sequential::new().add(Input::new([4])).add(Dense::new(3).activation(Relu)).add(Dense::new(1)).seed(1);
    let mut twin = relu.compile(Adam::new(0.001), MeanSquaredError::new(), values).unwrap();
    let (a, b) =
        (named.fit(&x, &y, quiet().epochs(2)).unwrap(), twin.fit(&x, &y, quiet().epochs(2)).unwrap());
    assert_eq!(a, b);
    assert_eq!(a.keys().collect::<Vec<_>>(), ["loss", "mae", "mean_squared_error"], "as typed, as in Keras");
    assert_eq!(named.weight_bytes().unwrap(), twin.weight_bytes().unwrap());
    // The other kinds, one beside a list, names beside values, and what Keras users write for classes.
    let layer = Dense::new(3)
        .activation("softmax")
        .kernel_initializer("he_normal")
        .kernel_regularizer("l2")
        .kernel_constraint("max_norm")
        .bias_constraint("non_neg");
    let config = layer.config().unwrap();
    assert_eq!(config["kernel_constraint"]["class_name"], "MaxNorm");
    let stack = Sequential::new().add(Input::new(4)).add(layer);
    let mut model = stack.compile("SGD", "sparse_categorical_crossentropy", "accuracy").unwrap();
    assert_eq!(model.learning_rate(), 0.01);
    let labels = Tensor::randint([64], 0, 3, 5).unwrap();
    let history = model.fit(&x, &labels, quiet()).unwrap();
    assert_eq!(history.keys().collect::<Vec<_>>(), ["loss", "accuracy"]);
    // Words of layers' settings, where Keras has words.
    let convolution = |layer: Conv2D| {
        let stack = Sequential::new().add(Input::new([2, 6, 6])).add(layer.data_format("channels_first"));
        stack.seed(3).build().unwrap().predict(&floats(&[1, 2, 6, 6])).unwrap()
    };
    let (word, value) = (Conv2D::new(2, 3).padding("same"), Conv2D::new(2, 3).padding(Padding::Same));
    assert!(convolution(word).same_bits(&convolution(value)));
    let config = Bidirectional::new(GRU::new(2)).merge_mode("ave").config().unwrap();
    assert_eq!(config["merge_mode"], "ave");
    assert!(Bidirectional::new(GRU::new(2)).merge_mode(None).config().unwrap()["merge_mode"].is_null());
    let sum = MeanSquaredError::new().reduction("sum").value(&y, &floats(&[64, 1]), None).unwrap();
    assert_eq!(sum.item().unwrap(), 0.0);
    assert_eq!(gradus::metric::FBetaScore::new(2.0).average("micro").config().unwrap()["average"], "micro");
    assert_eq!(AUC::new().curve("PR").summation_method("minoring").config().unwrap()["curve"], "PR");
    // What a file says of names are the things.
    let again = Model::from_bytes(&model.to_bytes().unwrap(), gradus::io::Load::new()).unwrap();
    assert!(again.predict(&x).unwrap().same_bits(&model.predict(&x).unwrap()));
}

#[test]
fn metrics_come_in_every_list() {
    let keys = |model: Result<Model>| {
        let (x, y) = (floats(&[8, 4]), Tensor::randint([8, 1], 0, 2, 3).unwrap());
        let logs = model.unwrap().evaluate(&x, &y).unwrap();
        logs.iter().skip(1).map(|(name, _)| name.to_string()).collect::<Vec<_>>()
    };
    let stack = || Sequential::new().add(Input::new(4)).add(Dense::new(1).activation(Sigmoid::new())).clone();
    let boxed: Vec<Box<dyn Metric>> = vec![Box::new(Accuracy::new()), Box::new(AUC::new())];
    let bce = "binary_crossentropy";
    assert_eq!(keys(stack().compile("adam", bce, (Accuracy::new(), AUC::new()))), ["accuracy", "auc"]);
    assert_eq!(keys(stack().compile("adam", bce, boxed)), ["accuracy", "auc"]);
    assert_eq!(keys(stack().compile("adam", bce, ["accuracy", "AUC"])), ["accuracy", "AUC"]);
    assert_eq!(keys(stack().compile("adam", bce, vec![Accuracy::new()])), ["accuracy"]);
    assert_eq!(keys(stack().compile("adam", bce, Accuracy::new())), ["accuracy"]);
    assert_eq!(keys(stack().compile("adam", bce, ("acc", AUC::new()))), ["acc", "auc"]);
    assert_eq!(keys(stack().compile("adam", bce, ())), [""; 0]);
}

#[test]
fn optimizers_and_losses_come_boxed() {
    let optimizer: Box<dyn Optimizer> = Box::new(SGD::new(0.5));
    let loss: Box<dyn gradus::loss::Loss> = Box::new(MeanSquaredError::new());
    let model = stack().compile(optimizer, loss, ()).unwrap();
    assert_eq!((model.learning_rate(), model.optimizer().optimizer().name()), (0.5, "SGD"));
    let parsed: Dyn<dyn Optimizer> = "adam".parse().unwrap();
    assert_eq!(stack().compile(parsed, vec!["mse"], ()).unwrap().learning_rate(), 0.001);
}

#[test]
fn shapes_of_samples_come_as_anything_with_sizes() {
    let (array, sizes): (&[usize; 2], _) = (&[28, 28], vec![28, 28]);
    let all = [
        Input::new(array),
        Input::new([28, 28]),
        Input::new(&sizes[..]),
        Input::new(&sizes),
        Input::new(sizes.clone()),
    ];
    assert!(all.iter().all(|input| *input == all[0]));
    assert_eq!(Input::new(784), Input::new([784]));
    assert_eq!(Input::new([]).to_string(), "[batch]");
}

#[test]
fn a_rate_in_single_precision_is_the_same_number() {
    let rate = 0.001f32;
    assert_eq!(stack().compile(Adam::new(rate), "mse", ()).unwrap().learning_rate(), f64::from(rate));
}

#[test]
fn layers_from_a_list_of_a_configuration() {
    let layers: Vec<Box<dyn Build>> = vec![
        Box::new(Input::new(4)),
        Box::new(Dense::new(3).activation("relu")),
        Box::new(Dropout::new(0.5)),
        Box::new(Dense::new(1)),
    ];
    let stack = layers.into_iter().fold(Sequential::new(), Sequential::add);
    assert_eq!(stack.build().unwrap().predict(&floats(&[2, 4])).unwrap().dims(), [2, 1]);
    // A handle, and a setting read by name.
    let boxed: Box<dyn Build> = Box::new(Dense::new(2));
    assert_eq!(boxed.into_layer().on(&Input::new(4)).unwrap().spec().unwrap().shape.rank(), 2);
}

#[test]
fn callbacks_come_in_lists() {
    let (x, y) = (floats(&[8, 4]), floats(&[8, 1]));
    let mut stops = [EarlyStopping::new("loss").min_delta(9.0), EarlyStopping::new("mae").min_delta(9.0)];
    let history = regression().fit(&x, &y, quiet().epochs(9).callbacks(&mut stops)).unwrap();
    assert_eq!((history.epochs().len(), stops[1].stopped_epoch()), (2, Some(1)));
    let different: Vec<Box<dyn Callback>> =
        vec![Box::new(TerminateOnNaN::new()), Box::new(EarlyStopping::new("loss").min_delta(9.0))];
    assert_eq!(regression().fit(&x, &y, quiet().epochs(9).callbacks(different)).unwrap().epochs().len(), 2);
}

#[test]
fn class_weights_come_from_arrays_and_maps() {
    let (x, y) = (floats(&[64, 4]), Tensor::randint([64], 0, 3, 5).unwrap());
    let trained = |fit: Fit<'_>| {
        let stack = Sequential::new().add(Input::new(4)).add(Dense::new(3).activation("softmax"));
        let mut model = stack.compile("adam", "sparse_categorical_crossentropy", ()).unwrap();
        model.fit(&x, &y, fit).unwrap();
        model.weight_bytes().unwrap()
    };
    let array = trained(quiet().class_weight([(0, 2.0), (2, 0.5)]));
    assert_eq!(array, trained(quiet().class_weight(vec![(2, 0.5), (0, 2.0)])));
    assert_eq!(array, trained(quiet().class_weight(HashMap::from([(0, 2.0), (2, 0.5)]))));
    assert_eq!(array, trained(quiet().class_weight(BTreeMap::from([(0, 2.0), (2, 0.5)]))));
    assert_ne!(array, trained(quiet()));
    assert!(matches!(Weights::class(BTreeMap::from([(1, 2.0)])), Weights::Class(w) if w == [(1, 2.0)]));
}

#[test]
fn figures_print_as_a_person_expects() {
    let (x, y) = (floats(&[8, 4]), floats(&[8, 1]));
    let mut model = regression();
    let history = model.fit(&x, &y, quiet().epochs(2)).unwrap();
    let [first, second] = history["loss"][..] else { panic!("two epochs") };
    assert_eq!(format!("{:?}", history["loss"]), format!("[{first:?}, {second:?}]"));
    assert!(format!("{history:?}").starts_with(&format!("{{\"loss\": [{first:?}, {second:?}], \"mae\": [")));
    assert!(history.to_string().starts_with(&format!("Epoch 1 - loss: {first:.4} - mae: ")), "{history}");
    let scores = model.evaluate(&x, &y).unwrap();
    assert_eq!(format!("{scores}"), format!("loss: {:.4} - mae: {:.4}", scores["loss"], scores["mae"]));
    assert!(format!("{scores:?}").starts_with("{\"loss\": "));
}

#[test]
fn numbers_stand_on_either_side_of_tensors() {
    let x = Tensor::new([1.0f32, -2.0, 4.0]).unwrap();
    let vec = |t: Tensor| t.to_vec::<f32>().unwrap();
    assert_eq!(vec(2.0 * &x), [2.0, -4.0, 8.0]);
    assert_eq!(vec(&x + 1), [2.0, -1.0, 5.0]);
    assert_eq!(vec(1 - &x), [0.0, 3.0, -3.0]);
    assert_eq!(vec(-&x), [-1.0, 2.0, -4.0]);
    assert_eq!(vec(&x / 2), [0.5, -1.0, 2.0]);
    assert_eq!(vec((2.0 * &x).abs().unwrap()), [2.0, 4.0, 8.0], "what a literal gives has a type at once");
    let mut y = x.clone();
    y += &x;
    y += 1;
    y -= 0.5;
    y *= 2;
    y /= 4.0;
    y *= x.clone();
    assert_eq!(vec(y), [1.25, 3.5, 17.0]);
    assert_eq!(vec(x), [1.0, -2.0, 4.0], "clones keep their values");
    // Through `+=` gradients flow as through `+`.
    let x = Tensor::scalar(3.0f64).unwrap().tracked();
    let mut y = &x * &x;
    y += 2.0 * &x;
    assert_eq!(y.backward().unwrap().get(&x).unwrap().item().unwrap(), 8.0);
}

#[test]
fn random_tensors_take_a_seed() {
    let normal = Tensor::randn([1000], 42).unwrap();
    assert!(normal.same_bits(&Tensor::randn([1000], Stream::new(42, Purpose::User(0), 0)).unwrap()));
    assert!(!normal.same_bits(&Tensor::randn([1000], 43).unwrap()));
    assert!(normal.mean(&[], false).unwrap().item().unwrap().abs() < 0.2);
    let uniform = Tensor::rand([1000], 42).unwrap();
    let (least, most) = (uniform.min(&[], false).unwrap(), uniform.max(&[], false).unwrap());
    assert!(least.item().unwrap() >= 0.0 && most.item().unwrap() < 1.0);
    assert_eq!(Tensor::permutation(5, 1).unwrap().dims(), [5]);
}

gradus::settings! {
    /// `v += |g|`, `w -= lr · (exp(g) - 1) / (√v + ln 2)`: nonsense, with every function that formulas of
    /// optimizers use.
    pub struct Nonsense {
        /// At this rate.
        new(rate: f64);
    }
}
impl gradus::optim::Rule for Nonsense {
    fn slots(&self) -> &'static [&'static str] {
        &["v"]
    }
    fn learning_rate(&self) -> gradus::optim::LearningRate {
        self.rate.into()
    }
    fn update<T: Float>(
        &self,
        step: gradus::optim::Step,
        w: &mut [T],
        g: &[T],
        mut slots: gradus::optim::Slots<'_, T>,
    ) {
        let [v] = &mut slots[..] else { return };
        let (rate, two) = (T::of(step.learning_rate), T::of(2.0));
        for ((w, &g), v) in w.iter_mut().zip(g).zip(v.iter_mut()) {
            *v += g.abs();
            *w -= rate * (g.exp() - T::one()) / (v.sqrt() + two.ln());
        }
    }
}

#[test]
fn an_optimizer_is_written_as_on_paper() {
    use gradus::kernels::math::Real as _; // and with the trait in scope nothing is ambiguous
    let _ = 2.0f64.sigmoid();
    let (x, y) = (Tensor::ones([4, 1]).unwrap(), Tensor::zeros([4, 1]).unwrap());
    let layer = Dense::new(1).use_bias(false).kernel_initializer("ones");
    let mut model =
        Sequential::new().add(Input::new(1)).add(layer).compile(Nonsense::new(0.5), "mse", ()).unwrap();
    model.train_on_batch(&x, &y).unwrap();
    let w = model.params()[0].1.item().unwrap();
    let want = 1.0 - 0.5 * (libm::exp(2.0) - 1.0) / (libm::sqrt(2.0) + libm::log(2.0));
    assert!((w - want).abs() < 1e-6, "{w} {want}");
}

#[test]
fn an_error_of_fit_leaves_the_history_so_far() {
    let (x, y) = (floats(&[8, 4]), floats(&[8, 1]));
    let fails = LambdaCallback::new().on_epoch_end(|_, epoch, _| match epoch {
        3 => Err(Error::Custom("the disk is full".into())),
        _ => Ok(()),
    });
    let mut model = regression();
    assert_eq!(model.history().epochs(), [0usize; 0]);
    model.fit(&x, &y, quiet().epochs(9).callback(fails)).unwrap_err();
    let so_far = model.history().clone();
    assert_eq!((so_far.epochs(), so_far["mae"].len()), (&[0, 1, 2][..], 3));
    let mut twin = regression();
    assert_eq!(twin.fit(&x, &y, quiet().epochs(3)).unwrap(), so_far);
    assert_eq!(*twin.history(), so_far);
    // A panic leaves it too, and the next run begins anew.
    let panics = LambdaCallback::new().on_train_batch_end(|model, _, _| {
        assert!(model.history().epochs().len() < 2, "the user's callback panics");
        Ok(())
    });
    let run = std::panic::AssertUnwindSafe(|| model.fit(&x, &y, quiet().epochs(9).callback(panics)));
    std::panic::catch_unwind(run).unwrap_err();
    assert_eq!(model.history().epochs(), [0, 1]);
    model.fit(&x, &y, quiet()).unwrap();
    assert_eq!(model.history().epochs(), [0]);
}

#[test]
fn a_cancelled_fit_goes_on_as_if_it_had_not_been() {
    let (x, y) = (floats(&[64, 4]), floats(&[64, 1]));
    let token = CancellationToken::new();
    let copy = token.clone();
    let stop = LambdaCallback::new().on_epoch_end(move |_, epoch, _| {
        if epoch == 1 {
            copy.cancel();
        }
        Ok(())
    });
    let mut model = regression();
    let error = model.fit(&x, &y, quiet().epochs(4).callback(stop).cancellation(&token)).unwrap_err();
    assert!(matches!(error.error, Error::Cancelled { what: "fit", .. }), "{error}");
    assert!(token.is_cancelled() && model.history().epochs() == [0, 1]);
    model.fit(&x, &y, quiet().initial_epoch(2).epochs(4)).unwrap();
    let mut twin = regression();
    twin.fit(&x, &y, quiet().epochs(4)).unwrap();
    assert_eq!(model.weight_bytes().unwrap(), twin.weight_bytes().unwrap());
}

#[test]
fn a_token_that_is_not_cancelled_changes_nothing() {
    let model = regression();
    let (x, token) = (floats(&[10, 4]), CancellationToken::new().deadline(Duration::from_secs(3600)));
    let settings = Predict::new().batch_size(3).cancellation(&token);
    assert!(model.predict_with(&x, &settings).unwrap()[0].same_bits(&model.predict(&x).unwrap()));
    assert!(!token.is_cancelled());
    let another = std::thread::spawn({
        let token = token.clone();
        move || token.cancel()
    });
    another.join().unwrap();
    let error = model.predict_with(&x, &settings).unwrap_err().to_string();
    assert_eq!(error, "predict was cancelled after 0 of 10 rows");
}

/// Takes the square root of what it is given, whose slope is infinite at 0.
#[derive(Clone, Debug)]
struct Roots;
gradus::parts!(Roots {});
impl Configured for Roots {}
impl Layer for Roots {
    fn forward(&self, x: &Tensor, _: &mut Cx) -> Result<Tensor> {
        x.sqrt()
    }
    fn masking(&self) -> Masking {
        Masking::Keep
    }
}

#[test]
fn check_finite_names_the_layer_inside_of_a_network_backwards_too() {
    let inner = Sequential::new().named("inner").add(Dense::new(2).kernel_initializer("zeros")).add(Roots);
    let stack = Sequential::new().add(Input::new(2)).add(inner).add(Dense::new(1));
    let mut model = stack.compile("sgd", "mse", ()).unwrap();
    let (x, y) = (Tensor::ones([4, 2]).unwrap(), Tensor::ones([4, 1]).unwrap());
    let error = model.fit(&x, &y, quiet().check_finite()).unwrap_err().to_string();
    assert!(error.contains("backward pass: layer 'inner/roots': gradient of sqrt: "), "{error}");
    // Without the check training goes on, and steps that are fine are as without it.
    model.fit(&x, &y, quiet()).unwrap();
    let (x, y) = (floats(&[64, 4]), floats(&[64, 1]));
    let (mut checked, mut plain) = (regression(), regression());
    checked.fit(&x, &y, quiet().epochs(2).check_finite()).unwrap();
    plain.fit(&x, &y, quiet().epochs(2)).unwrap();
    assert_eq!(checked.weight_bytes().unwrap(), plain.weight_bytes().unwrap());
}

/// The records of the thread that asks: other tests run at the same time.
#[cfg(feature = "log")]
mod records {
    use std::cell::RefCell;
    thread_local!(static RECORDS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) });
    struct Logger;
    impl log::Log for Logger {
        fn enabled(&self, _: &log::Metadata<'_>) -> bool {
            true
        }
        fn log(&self, record: &log::Record<'_>) {
            let text = format!("{} {}: {}", record.level(), record.target(), record.args());
            RECORDS.with_borrow_mut(|records| records.push(text));
        }
        fn flush(&self) {}
    }

    /// What is said while `f` runs, on this thread.
    pub(super) fn of(f: impl FnOnce()) -> Vec<String> {
        if log::set_logger(&Logger).is_ok() {
            log::set_max_level(log::LevelFilter::Trace);
        }
        RECORDS.with_borrow_mut(Vec::clear);
        f();
        RECORDS.take()
    }
}

#[cfg(feature = "log")]
#[test]
fn the_feature_log_tells_of_epochs_warnings_and_files() {
    let (x, y) = (floats(&[8, 4]), floats(&[8, 1]));
    let one = Threads::new(1).unwrap();
    let mut model = regression();
    let said = records::of(|| drop(model.fit(&x, &y, quiet().epochs(2).threads(&one)).unwrap()));
    let loss = &model.history()["loss"];
    assert_eq!(said[0], "INFO gradus::train::training: fit: epochs 1 to 2, steps in each: 1");
    let epoch = format!("INFO gradus::train::training: epoch 2/2: loss: {:.4} - mae: ", loss[1]);
    assert!(said[2].starts_with(&epoch) && said.len() == 3, "{said:?}");
    // A loss that is no number is told once, however long it stays so.
    let mut model = stack().compile(SGD::new(1e30), "mse", ()).unwrap();
    let said =
        records::of(|| drop(model.fit(&x, &y, quiet().epochs(4).batch_size(2).threads(&one)).unwrap()));
    let warnings: Vec<_> = said.iter().filter(|s| s.starts_with("WARN")).collect();
    assert!(warnings.len() == 1 && warnings[0].contains("the loss is "), "{said:?}");
    let path = std::env::temp_dir().join(format!("gradus-log-{}.gradus", std::process::id()));
    let said = records::of(|| {
        model.save(&path).unwrap();
        drop(Model::load(&path).unwrap());
    });
    std::fs::remove_file(&path).unwrap();
    let path = path.display();
    assert!(said[0] == format!("INFO gradus::io::write: wrote {path}"), "{said:?}");
    assert!(said[1].starts_with(&format!("INFO gradus::io::read: read {path}, ")), "{said:?}");
}
