//! The rules of Keras's trainer that users rely on, one test each; numbers are Keras's (`tests/parity/trainer.py`, or the project's
//! reference of Keras). Their numbers are those of the reference, section 1.2.

use crate::golden::{close, floats, golden, tensor};
use gradus::loss::MeanSquaredError;
use gradus::metric;
use gradus::nn::layers::{Dropout, Masking, TimeDistributed};
use gradus::nn::{Build, Cx, Init, InputSpecs, Layer, Node};
use gradus::prelude::*;
use gradus::train::{CALLBACKS, CallbackList, Plan, ProgbarLogger};
use gradus::{Error, Result};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// `0, 1, …` as a column in float64.
fn column(n: usize) -> Tensor {
    Tensor::from_slice(&(0..n).map(|i| i as f64).collect::<Vec<_>>(), [n, 1]).unwrap()
}

fn quiet<'a>() -> Fit<'a> {
    Fit::new().verbose(0)
}

/// `y = w·x`, with plain gradient descent at this rate.
fn line(w: f64, optimizer: impl gradus::optim::Optimizer + 'static) -> Model {
    let stack = Sequential::new().dtype(DType::F64).add(Input::new([1])).add(Dense::new(1).use_bias(false));
    with_weight(stack.compile(optimizer, MeanSquaredError::new(), ()).unwrap(), w)
}

fn with_weight(mut model: Model, w: f64) -> Model {
    model.set_params(&[("dense/kernel".into(), Tensor::from_slice(&[w], [1, 1]).unwrap())]).unwrap();
    model
}

fn weight(model: &Model) -> f64 {
    model.param("dense/kernel").unwrap().item().unwrap()
}

fn count(v: &Value) -> usize {
    v.as_u64().unwrap() as usize
}

/// The settings that a golden case gives to Keras's fit.
fn settings<'a>(given: &Value, batch_size: usize) -> Fit<'a> {
    let given = given.as_object().unwrap();
    let mut fit = quiet().shuffle(false);
    if !given.contains_key("batch_size") {
        fit = fit.batch_size(batch_size);
    }
    for (key, v) in given {
        fit = match key.as_str() {
            "epochs" => fit.epochs(count(v)),
            "initial_epoch" => fit.initial_epoch(count(v)),
            "batch_size" => fit.batch_size(count(v)),
            "steps_per_epoch" => fit.steps_per_epoch(count(v)),
            "validation_split" => fit.validation_split(v.as_f64().unwrap()),
            "validation_freq" => fit.validation_freq(count(v)),
            "rates" => {
                let rates = floats(v);
                fit.callback(LearningRateScheduler::new(move |epoch, _| rates[epoch]))
            }
            _ => panic!("{key}"),
        };
    }
    fit
}

struct Folder(PathBuf);
impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("gradus-rules-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }
    fn names(&self) -> Vec<String> {
        names(&self.0)
    }
}
impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

// ---- The fifteen rules

#[test]
fn rule_1_batches_have_32_rows_or_what_the_steps_make_of_all_and_nothing_is_dropped() {
    let g = golden("trainer");
    for case in g["rules"]["batches"].as_array().unwrap() {
        let (x, given) = (column(count(&case["rows"])), &case["fit"]);
        let mut fit = quiet();
        fit = given["batch_size"].as_u64().map_or(fit, |n| Fit::new().verbose(0).batch_size(n as usize));
        if let Some(steps) = given["steps_per_epoch"].as_u64() {
            fit = fit.steps_per_epoch(steps as usize);
        }
        let (mut planned, mut done) = (None, 0);
        let watch = CallbackList::new()
            .add(LambdaCallback::new().on_train_begin(|_, plan| {
                planned = plan.steps;
                Ok(())
            }))
            .add(LambdaCallback::new().on_train_batch_end(|_, batch, _| {
                done = batch + 1;
                Ok(())
            }));
        line(1.0, SGD::new(0.0)).fit(&x, &x, fit.callback(watch)).unwrap();
        assert_eq!((planned, done), (Some(count(&case["steps"])), count(&case["done"])), "{case}");
    }
    // Seven steps of evaluation over 70 rows see them all.
    let model = line(1.0, SGD::new(0.0));
    let all = model.evaluate(&column(70), &column(70).scale(2.0).unwrap()).unwrap()["loss"];
    let steps = Evaluate::new().steps(7);
    let by_steps = model.evaluate_with(&column(70), &column(70).scale(2.0).unwrap(), &steps).unwrap()["loss"];
    close("loss", &[by_steps], &[all], 1e-12);
}

#[test]
fn rule_2_validation_takes_the_last_rows_before_shuffling() {
    let x = column(10);
    // The loss of validation alone says which rows it was: those with 7, 8 and 9.
    let history = line(0.0, SGD::new(0.0)).fit(&x, &x, quiet().validation_split(0.25)).unwrap();
    close("val_loss", &history["val_loss"], &[(49.0 + 64.0 + 81.0) / 3.0], 1e-12);
    for empty in [1e-20, 0.99999] {
        let e = line(0.0, SGD::new(0.0)).fit(&column(2), &column(2), quiet().validation_split(empty));
        assert!(e.unwrap_err().to_string().starts_with("validation_split: expected"), "{empty}");
    }
}

#[test]
fn rule_3_training_rows_are_shuffled_anew_each_epoch_and_validation_never() {
    let x = column(8);
    let mut orders: Vec<Vec<f64>> = vec![vec![]; 2];
    let mut validated = vec![];
    // With a weight of 0 that stays so, the mean loss tells the rows one by one.
    let (mut steps, mut seen) = (0, 0.0);
    let watch = LambdaCallback::new()
        .on_train_batch_end(|_, batch, loss| {
            seen = if batch == 0 { 0.0 } else { seen };
            orders[steps / 8].push((loss * (batch + 1) as f64 - seen).round());
            (steps, seen) = (steps + 1, loss * (batch + 1) as f64);
            Ok(())
        })
        .on_test_batch_end(|_, _, loss| {
            validated.push(loss);
            Ok(())
        });
    let fit = quiet().epochs(2).batch_size(1).validation_data(&x, &x).callback(watch);
    line(0.0, SGD::new(0.0)).fit(&x, &x, fit).unwrap();
    let squares: Vec<f64> = (0..8).map(|i| f64::from(i * i)).collect();
    for order in &orders {
        let mut sorted = order.clone();
        sorted.sort_by(f64::total_cmp);
        assert_eq!(sorted, squares);
        assert_ne!(*order, squares);
    }
    assert_ne!(orders[0], orders[1]);
    let means: Vec<f64> = (1..=8).map(|n| squares[..n].iter().sum::<f64>() / n as f64).collect();
    close("validation", &validated, &[means.clone(), means].concat(), 1e-12);
}

#[test]
fn rule_4_the_loss_of_an_epoch_is_the_mean_over_rows_not_over_batches() {
    let x = column(10);
    let history = line(0.0, SGD::new(0.0)).fit(&x, &x, quiet().batch_size(4)).unwrap();
    close("loss", &history["loss"], &[28.5], 1e-12);
}

#[test]
fn rule_5_weights_of_rows_are_divided_by_their_number_and_weighted_metrics_by_their_sum() {
    let g = golden("trainer");
    let stack = Sequential::new().dtype(DType::F64).add(Input::new([1])).add(Dense::new(1).use_bias(false));
    let metrics = (
        metric::MeanAbsoluteError::new().named("mae"),
        metric::MeanSquaredError::new().named("mse").weighted(),
    );
    let model = stack.compile(SGD::new(0.0), MeanSquaredError::new(), metrics).unwrap();
    let weights: Vec<f64> = (0..10).map(|i| if i > 4 { 2.0 } else { 1.0 }).collect();
    let fit = quiet().batch_size(4).sample_weight(&Tensor::from_slice(&weights, [10]).unwrap());
    let history = with_weight(model, 1.0).fit(&column(10), &Tensor::zeros([10, 1]).unwrap(), fit).unwrap();
    for (name, want) in g["rules"]["sample_weight"].as_object().unwrap() {
        close(name, &history[name.as_str()], &[want.as_f64().unwrap()], 1e-9);
    }
}

#[test]
fn rule_6_classes_have_weights_whether_targets_are_labels_a_column_or_one_hot() {
    let g = golden("trainer");
    let case = &g["rules"]["class_weight"];
    let labels = Tensor::from_slice(&floats(&case["labels"]), [6]).unwrap().cast(DType::I64).unwrap();
    let weights = case["weights"].as_object().unwrap();
    let weights: Vec<(i64, f64)> =
        weights.iter().map(|(c, w)| (c.parse().unwrap(), w.as_f64().unwrap())).collect();
    for (name, want) in case["loss"].as_object().unwrap() {
        let y = match name.as_str() {
            "labels" => labels.clone(),
            "column" => labels.reshape([6, 1]).unwrap(),
            _ => labels.one_hot(3, DType::F64).unwrap(),
        };
        let stack = Sequential::new().dtype(DType::F64).add(Input::new([2]));
        let stack = stack.add(Dense::new(3).use_bias(false).activation(Softmax));
        let mut model = match name.as_str() {
            "one_hot" => stack.compile(SGD::new(0.0), CategoricalCrossentropy::new(), ()),
            _ => stack.compile(SGD::new(0.0), SparseCategoricalCrossentropy::new(), ()),
        }
        .unwrap();
        model.set_params(&[("dense/kernel".into(), tensor(&case["kernel"]))]).unwrap();
        let fit = quiet().class_weight(weights.clone());
        let history = model.fit(&tensor(&case["x"]), &y, fit).unwrap();
        close(name, &history["loss"], &[want.as_f64().unwrap()], 1e-9);
    }
}

#[test]
fn rule_7_accuracy_is_meant_by_shapes_and_keeps_the_name_that_was_typed() {
    // All shapes are in `metrics::accuracy_is_resolved_as_in_keras`; here are the three kinds, under both names.
    for (units, targets, loss) in [
        (1, Tensor::zeros([4, 1]).unwrap(), "binary_crossentropy"),
        (3, Tensor::full([4], 1i64).unwrap(), "sparse_categorical_crossentropy"),
        (3, Tensor::full([4], 1i64).unwrap().one_hot(3, DType::F32).unwrap(), "categorical_crossentropy"),
    ] {
        for name in ["accuracy", "acc"] {
            let last = Dense::new(units).activation(if units == 1 { "sigmoid" } else { "softmax" });
            let stack = Sequential::new().add(Input::new([2])).add(last);
            let mut model = stack.compile("sgd", loss, [name]).unwrap();
            let history = model.fit(&Tensor::ones([4, 2]).unwrap(), &targets, quiet()).unwrap();
            assert_eq!(history.keys().collect::<Vec<_>>(), ["loss", name]);
        }
    }
}

#[test]
fn rule_8_history_has_loss_metrics_the_same_of_validation_and_the_rate() {
    let stack = Sequential::new().add(Input::new([1])).add(Dense::new(1));
    let mut model = stack.compile(SGD::new(0.1), "mse", ["mae"]).unwrap();
    let x = column(4).cast(DType::F32).unwrap();
    let fit = quiet().validation_split(0.5).callback(LearningRateScheduler::new(|_, rate| rate));
    let history = model.fit(&x, &x, fit).unwrap();
    assert_eq!(history.keys().collect::<Vec<_>>(), ["loss", "mae", "val_loss", "val_mae", "learning_rate"]);
    // With several outputs their names come first.
    let input = Input::new([1]);
    let (a, b) = (Dense::new(1).named("a").on(&input).unwrap(), Dense::new(1).named("b").on(&input).unwrap());
    let network = Functional::new([&input], [&a, &b]).unwrap();
    let metrics = metric::PerOutput::new().output("a", ["mae"]).output("b", ["mae"]);
    let mut model = network.compile("sgd", ("mse", "mse"), metrics).unwrap();
    let history = model.fit(&x, &[x.clone(), x.clone()], quiet()).unwrap();
    let mut keys: Vec<&str> = history.keys().collect();
    keys.sort_unstable();
    assert_eq!(keys, ["a_loss", "a_mae", "b_loss", "b_mae", "loss"]);
}

#[test]
fn rule_9_epochs_is_where_numbering_ends_and_initial_epoch_where_it_begins() {
    let (mut epochs, mut scheduled) = (vec![], vec![]);
    let watch = LambdaCallback::new().on_epoch_begin(|_, epoch| {
        epochs.push(epoch);
        Ok(())
    });
    let schedule = LearningRateScheduler::new(|epoch, rate| {
        scheduled.push(epoch);
        rate
    });
    let fit = quiet().initial_epoch(3).epochs(5).callback(watch).callback(schedule);
    let history = line(1.0, SGD::new(0.1)).fit(&column(4), &column(4), fit).unwrap();
    assert_eq!((history.epochs(), epochs, scheduled), (&[3, 4][..], vec![3, 4], vec![3, 4]));
    let none =
        line(1.0, SGD::new(0.1)).fit(&column(4), &column(4), quiet().initial_epoch(5).epochs(5)).unwrap();
    assert!(none.epochs().is_empty());
}

#[test]
fn rule_10_with_steps_per_epoch_the_next_epoch_goes_on_where_the_last_one_stopped() {
    let g = golden("trainer");
    let fit = quiet().shuffle(false).batch_size(2).epochs(4).steps_per_epoch(3);
    let history = line(0.0, SGD::new(0.0)).fit(&column(10), &column(10), fit).unwrap();
    close("loss", &history["loss"], &floats(&g["rules"]["steps_per_epoch"]), 1e-12);
}

gradus::settings! {
    /// Adds a quarter of the mean of what goes through.
    pub layer Adds as "rules>Adds" {
        /// The layer.
        new();
    }
}
#[derive(Clone, Debug)]
struct AddsNode;
gradus::parts!(AddsNode {});
impl Build for Adds {
    fn build(&self, _: &InputSpecs<'_>, _: &mut Init) -> Result<Box<dyn Node>> {
        Ok(Box::new(AddsNode))
    }
}
impl Layer for AddsNode {
    fn forward(&self, x: &Tensor, cx: &mut Cx) -> Result<Tensor> {
        cx.add_loss(x.mean(&[], false)?.scale(0.25)?);
        Ok(x.clone())
    }
}

#[test]
fn rule_11_penalties_and_added_losses_are_in_the_loss_that_is_shown_beyond_its_weight() {
    let g = golden("trainer");
    let dense = Dense::new(1).use_bias(false).kernel_regularizer(L2::new(0.5));
    let stack = Sequential::new().dtype(DType::F64).add(Input::new([1])).add(Adds::new()).add(dense);
    let model = stack.compile(SGD::new(0.0), MeanSquaredError::new().weight(3.0), ()).unwrap();
    let y = column(6).scale(2.0).unwrap();
    let history = with_weight(model, 0.5).fit(&column(6), &y, quiet()).unwrap();
    close("loss", &history["loss"], &[g["rules"]["added"].as_f64().unwrap()], 1e-12);
}

#[test]
fn rule_12_frozen_layers_stay_and_a_frozen_batch_normalization_runs_as_in_inference() {
    let g = golden("trainer");
    let case = &g["rules"]["frozen_batch_normalization"];
    let stack =
        Sequential::new().dtype(DType::F64).add(Input::new([1])).add(BatchNormalization::new().frozen());
    let stack = stack.add(Dense::new(1).use_bias(false));
    let model = stack.compile(SGD::new(0.0), MeanSquaredError::new(), ()).unwrap();
    let mut model = with_weight(model, 0.5);
    let history = model.fit(&column(6), &column(6).scale(2.0).unwrap(), quiet()).unwrap();
    close("loss", &history["loss"], &[case["loss"].as_f64().unwrap()], 1e-12);
    let mean = model.param("batch_normalization/moving_mean").unwrap().to_vec::<f64>().unwrap();
    close("moving_mean", &mean, &[case["moving_mean"].as_f64().unwrap()], 0.0);

    let mut model = line(0.5, SGD::new(0.1));
    model.set_trainable("dense", false).unwrap();
    assert!(model.fit(&column(4), &column(4), quiet()).is_err(), "nothing learns");
    assert_eq!(weight(&model), 0.5);
}

#[test]
fn rule_13_a_masked_loss_is_the_mean_over_what_counts() {
    let g = golden("trainer");
    let each = TimeDistributed::new(Dense::new(1).use_bias(false));
    let stack = Sequential::new().dtype(DType::F64).add(Input::new([4, 1])).add(Masking::new()).add(each);
    let mae = metric::MeanAbsoluteError::new().named("mae");
    let mut model = stack.compile(SGD::new(0.0), MeanSquaredError::new(), mae).unwrap();
    let path = model.params()[0].0.clone();
    model.set_params(&[(path, Tensor::from_slice(&[1.0], [1, 1]).unwrap())]).unwrap();
    let x = Tensor::from_slice(&[2.0, 0.0, 0.0, 0.0], [1, 4, 1]).unwrap();
    let history =
        model.fit(&x, &Tensor::ones([1, 4, 1]).unwrap().cast(DType::F64).unwrap(), quiet()).unwrap();
    for (name, want) in g["rules"]["mask"].as_object().unwrap() {
        close(name, &history[name.as_str()], &[want.as_f64().unwrap()], 1e-12);
    }
}

/// What a training prints on standard output, in a process of its own.
fn printed(what: &str) -> String {
    let run = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "trainer_rules::prints", "--ignored", "--nocapture"])
        .env("GRADUS_PRINTS", what)
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    String::from_utf8(run.stdout).unwrap()
}

#[test]
#[ignore = "the child process of two rules"]
fn prints() {
    let stack = Sequential::new().dtype(DType::F64).add(Input::new([1])).add(Dense::new(1).use_bias(false));
    let mae = metric::MeanAbsoluteError::new().named("mae");
    let mut model = with_weight(stack.compile(SGD::new(0.0), MeanSquaredError::new(), mae).unwrap(), 1.0);
    let (x, y) = (column(10), Tensor::zeros([10, 1]).unwrap().cast(DType::F64).unwrap());
    let fit = Fit::new().batch_size(4).epochs(2);
    match std::env::var("GRADUS_PRINTS").unwrap_or_default().as_str() {
        "silent" => drop(model.fit(&x, &y, fit.verbose(0)).unwrap()),
        "one" => drop(model.fit(&x, &y, fit.verbose(1)).unwrap()),
        "two" => drop(model.fit(&x, &y, fit.verbose(2)).unwrap()),
        "single" => drop(model.fit(&x, &y, fit.epochs(1).verbose(2)).unwrap()),
        "validated" => drop(model.fit(&x, &y, fit.validation_split(0.25).verbose(2)).unwrap()),
        "own" => drop(model.fit(&x, &y, fit.verbose(1).callback(ProgbarLogger::new().verbose(2))).unwrap()),
        "callbacks" => {
            let stop = EarlyStopping::new("loss").patience(2).restore_best_weights(true).verbose(1);
            let reduce = ReduceLROnPlateau::new("loss").patience(1).factor(0.5).verbose(1);
            let schedule = LearningRateScheduler::new(|_, _| 0.5).verbose(1);
            let path = std::env::temp_dir().join(format!("gradus-rules-said-{}.gradus", std::process::id()));
            let keep = ModelCheckpoint::new(&path).save_best_only(true).monitor("loss").verbose(1);
            let fit = fit.epochs(9).verbose(0).callback(schedule).callback(reduce).callback(keep);
            // What is right already stays so: no epoch is better than the first.
            model.fit(&x, &x, fit.callback(stop)).unwrap();
            std::fs::remove_file(path).unwrap();
        }
        "evaluate" => {
            let mut called = model.with_callbacks([ProgbarLogger::new()]);
            called.evaluate_with(&x, &y, &Evaluate::new().batch_size(4)).unwrap();
            called.predict(&x).unwrap();
        }
        _ => {}
    }
}

/// The lines that training printed, with the times masked.
fn lines(what: &str) -> Vec<String> {
    let mask = |line: &str| {
        let parts = line.split(" - ").map(|part| match part {
            p if p.ends_with("/step") => "<t>/step",
            p if p.ends_with('s') && p[..p.len() - 1].parse::<u64>().is_ok() => "<t>s",
            p => p,
        });
        parts.collect::<Vec<_>>().join(" - ")
    };
    let text = printed(what);
    text.lines().filter(|l| l.starts_with("Epoch ") || l.contains("/step")).map(mask).collect()
}

#[test]
fn rule_14_verbose_is_silent_at_0_shows_progress_at_1_and_a_line_an_epoch_at_2() {
    assert!(lines("silent").is_empty());
    // No terminal is attached here, where 1 is 2.
    assert_eq!(lines("one"), lines("two"));
    assert_eq!(lines("own"), lines("two"), "a progress bar of one's own takes the place of fit's");
    let e = line(1.0, SGD::new(0.1)).fit(&column(4), &column(4), Fit::new().verbose(3)).unwrap_err();
    assert_eq!(e.to_string(), "verbose: expected 0, 1 or 2, got 3");
}

#[test]
fn rule_15_the_line_of_an_epoch_is_keras_own() {
    let g = golden("summary");
    let want = |title: &str| -> Vec<String> {
        let case = g["verbose_2"].as_array().unwrap().iter().find(|c| c["title"] == title).unwrap();
        case["masked"].as_str().unwrap().lines().map(str::to_string).collect()
    };
    assert_eq!(lines("two"), want("mse and mae"));
    assert_eq!(lines("validated"), want("with validation"));
    // A single epoch has no heading, and an evaluation has a line of the same kind.
    assert_eq!(lines("single"), ["3/3 - <t>s - <t>/step - loss: 28.5000 - mae: 4.5000"]);
    assert_eq!(
        lines("evaluate"),
        ["3/3 - <t>s - <t>/step - loss: 28.5000 - mae: 4.5000", "1/1 - <t>s - <t>/step"]
    );
}

#[test]
fn callbacks_say_in_keras_words_what_they_do() {
    let text = printed("callbacks");
    let said: Vec<&str> =
        text.lines().filter(|l| l.starts_with("Epoch ") || l.starts_with("Restoring")).collect();
    let path = said[1].split("to ").nth(2).unwrap();
    assert_eq!(
        said,
        [
            "Epoch 1: LearningRateScheduler setting learning rate to 0.5.",
            &format!("Epoch 1: loss improved from None to 0.00000, saving model to {path}"),
            &format!("Epoch 1: finished saving model to {path}"),
            "Epoch 2: LearningRateScheduler setting learning rate to 0.5.",
            "Epoch 2: ReduceLROnPlateau reducing learning rate to 0.25.",
            "Epoch 2: loss did not improve from 0.00000",
            "Epoch 3: LearningRateScheduler setting learning rate to 0.5.",
            "Epoch 3: ReduceLROnPlateau reducing learning rate to 0.25.",
            "Epoch 3: loss did not improve from 0.00000",
            "Epoch 3: early stopping",
            "Restoring model weights from the end of the best epoch: 1.",
        ]
    );
}

// ---- Callbacks, traced in Keras

#[test]
fn methods_are_called_in_keras_order() {
    let g = golden("trainer");
    let (x, y) = (column(6), column(6).scale(2.0).unwrap());
    for case in g["hooks"].as_array().unwrap() {
        let calls = std::cell::RefCell::new(Vec::<String>::new());
        struct Trace<'a>(&'a std::sync::Mutex<Vec<String>>);
        let log = std::sync::Mutex::new(vec![]);
        impl Trace<'_> {
            fn say(&self, what: &str) -> Result<()> {
                self.0.lock().unwrap().push(what.to_string());
                Ok(())
            }
        }
        impl Callback for Trace<'_> {
            fn on_train_begin(&mut self, _: &mut Model, _: &Plan) -> Result<()> {
                self.say("on_train_begin")
            }
            fn on_train_end(&mut self, _: &mut Model) -> Result<()> {
                self.say("on_train_end")
            }
            fn on_epoch_begin(&mut self, _: &mut Model, epoch: usize) -> Result<()> {
                self.say(&format!("on_epoch_begin {epoch}"))
            }
            fn on_epoch_end(&mut self, _: &mut Model, epoch: usize, _: &mut Logs) -> Result<()> {
                self.say(&format!("on_epoch_end {epoch}"))
            }
            fn on_train_batch_begin(&mut self, _: &mut Model, batch: usize) -> Result<()> {
                self.say(&format!("on_train_batch_begin {batch}"))
            }
            fn on_train_batch_end(&mut self, _: &mut Model, batch: usize, _: f64) -> Result<()> {
                self.say(&format!("on_train_batch_end {batch}"))
            }
            fn on_test_begin(&mut self, _: &mut Model, plan: &Plan) -> Result<()> {
                assert_eq!(plan.steps, Some(2));
                self.say("on_test_begin")
            }
            fn on_test_end(&mut self, _: &mut Model, logs: &Logs) -> Result<()> {
                assert!(logs["loss"] > 0.0);
                self.say("on_test_end")
            }
            fn on_test_batch_begin(&mut self, _: &mut Model, batch: usize) -> Result<()> {
                self.say(&format!("on_test_batch_begin {batch}"))
            }
            fn on_test_batch_end(&mut self, _: &mut Model, batch: usize, _: f64) -> Result<()> {
                self.say(&format!("on_test_batch_end {batch}"))
            }
            fn on_predict_begin(&mut self, _: &mut Model, _: &Plan) -> Result<()> {
                self.say("on_predict_begin")
            }
            fn on_predict_end(&mut self, _: &mut Model) -> Result<()> {
                self.say("on_predict_end")
            }
            fn on_predict_batch_begin(&mut self, _: &mut Model, batch: usize) -> Result<()> {
                self.say(&format!("on_predict_batch_begin {batch}"))
            }
            fn on_predict_batch_end(&mut self, _: &mut Model, batch: usize, y: &[Tensor]) -> Result<()> {
                assert_eq!(y[0].dims(), [if batch == 0 { 4 } else { 2 }, 1]);
                self.say(&format!("on_predict_batch_end {batch}"))
            }
        }
        let mut model = line(0.5, SGD::new(0.01));
        match case["title"].as_str().unwrap() {
            "fit" => {
                let fit = quiet().epochs(2).batch_size(3).validation_data(&x, &y).callback(Trace(&log));
                model.fit(&x, &y, fit).unwrap();
            }
            "evaluate" => {
                let alone = model.evaluate(&x, &y).unwrap();
                let mut called = model.with_callbacks([Trace(&log)]);
                let logs = called.evaluate_with(&x, &y, &Evaluate::new().batch_size(4)).unwrap();
                close("loss", &[logs["loss"]], &[alone["loss"]], 1e-12);
            }
            _ => {
                let settings = gradus::nn::Predict::new().batch_size(4);
                let y = model.with_callbacks([Trace(&log)]).predict_with(&x, &settings).unwrap();
                assert!(y[0].same_bits(&model.predict(&x).unwrap()));
            }
        }
        *calls.borrow_mut() = log.into_inner().unwrap();
        let want: Vec<&str> = case["calls"].as_array().unwrap().iter().map(|c| c.as_str().unwrap()).collect();
        assert_eq!(*calls.borrow(), want);
    }
}

#[test]
fn callbacks_around_datasets_see_their_batches() {
    let (x, y) = (column(6), column(6));
    let data = Dataset::from_tensors(&x, &y).unwrap().batch(4);
    let model = line(0.5, SGD::new(0.01));
    let (mut tested, mut predicted) = (0, 0);
    let watch = LambdaCallback::new()
        .on_test_batch_begin(|_, _| {
            tested += 1;
            Ok(())
        })
        .on_predict_batch_begin(|_, _| {
            predicted += 1;
            Ok(())
        });
    let mut called = model.with_callbacks([watch]);
    let logs = called.evaluate_dataset_with(&data, &Evaluate::new()).unwrap();
    assert_eq!(logs, model.evaluate_dataset(&data, None).unwrap());
    let y = called.predict_dataset_with(&data, &gradus::nn::Predict::new()).unwrap();
    assert!(y[0].same_bits(&model.predict(&x).unwrap()));
    drop(called);
    assert_eq!((tested, predicted), (2, 2));
}

#[test]
fn checkpoints_have_the_names_and_the_weights_of_keras() {
    let g = golden("trainer");
    let (x, y) = (column(6), column(6).scale(2.0).unwrap());
    for (number, case) in g["checkpoints"].as_array().unwrap().iter().enumerate() {
        let folder = Folder::new(&format!("checkpoint-{number}"));
        let mut keep = ModelCheckpoint::new(folder.0.join("made").join(case["filepath"].as_str().unwrap()));
        for (key, v) in case["config"].as_object().unwrap() {
            keep = match key.as_str() {
                "monitor" => keep.monitor(v.as_str().unwrap()),
                "mode" => keep.mode(v.as_str().unwrap()),
                "save_best_only" => keep.save_best_only(v.as_bool().unwrap()),
                "save_weights_only" => keep.save_weights_only(v.as_bool().unwrap()),
                "save_freq" => keep.save_freq(count(v)),
                "initial_value_threshold" => keep.initial_value_threshold(v.as_f64().unwrap()),
                _ => panic!("{key}"),
            };
        }
        line(0.5, SGD::new(0.01)).fit(&x, &y, settings(&case["fit"], 3).callback(keep)).unwrap();
        let files = case["files"].as_object().unwrap();
        assert_eq!(names(&folder.0.join("made")), files.keys().cloned().collect::<Vec<_>>(), "{case}");
        for (name, want) in files {
            let path = folder.0.join("made").join(name);
            let model = if case["config"]["save_weights_only"] == true {
                let mut model = line(0.0, SGD::new(0.01));
                model.load_weights(&path).unwrap();
                model
            } else {
                Model::load(&path).unwrap()
            };
            close(&format!("{name} of {case}"), &[weight(&model)], &[want.as_f64().unwrap()], 1e-12);
        }
    }
}

#[test]
fn checkpoints_that_cannot_be_are_errors_before_training() {
    let (x, folder) = (column(4), Folder::new("checkpoint-errors"));
    let run = |keep: ModelCheckpoint| {
        line(0.5, SGD::new(0.01)).fit(&x, &x, quiet().callback(keep)).unwrap_err().to_string()
    };
    let at = |name: &str| ModelCheckpoint::new(folder.0.join(name));
    assert!(
        run(at("a.keras")).starts_with("ModelCheckpoint: filepath: expected a path that ends in .gradus")
    );
    let e = run(at("{acc:.2f}.gradus"));
    assert!(e.contains("expected fields among epoch, loss, got 'acc'"), "{e}");
    assert!(run(at("{loss:d}.gradus")).contains("{loss:d}"));
    assert!(run(at("a.gradus").save_freq("year")).contains("save_freq: expected \"epoch\" or a number"));
    assert!(run(at("a.gradus").save_freq(0)).contains("save_freq"));
    let e = run(at("a.gradus").save_best_only(true));
    assert!(e.contains("monitor: expected one of loss, got 'val_loss'"), "{e}");
    let e = run(at("a.gradus").save_best_only(true).monitor("loss").mode("least"));
    assert!(e.contains("mode: expected one of \"auto\", \"min\" and \"max\", got 'least'"), "{e}");
    // After a batch there are no figures of validation.
    let keep = at("a.gradus").save_best_only(true).save_freq(1);
    let fit = quiet().validation_split(0.5).callback(keep);
    let e = line(0.5, SGD::new(0.01)).fit(&x, &x, fit).unwrap_err().to_string();
    assert!(e.contains("monitor: expected one of loss"), "{e}");
    assert!(folder.names().is_empty());
}

#[test]
fn an_epoch_without_the_figure_saves_no_best_model() {
    let (x, folder) = (column(4), Folder::new("checkpoint-absent"));
    let keep = ModelCheckpoint::new(folder.0.join("{epoch}.gradus")).save_best_only(true);
    let fit = quiet().epochs(4).validation_split(0.5).validation_freq(2).callback(keep);
    line(0.5, SGD::new(0.01)).fit(&x, &x, fit).unwrap();
    assert_eq!(folder.names(), ["2.gradus", "4.gradus"]);
}

/// Cells of a CSV text that are numbers, and the others.
fn cells(text: &str, separator: char) -> (Vec<f64>, Vec<String>) {
    let (mut numbers, mut words) = (vec![], vec![]);
    for line in text.split("\r\n") {
        for cell in line.split(separator) {
            match cell.parse() {
                Ok(number) => numbers.push(number),
                Err(_) => words.push(cell.to_string()),
            }
        }
        words.push("end of line".into());
    }
    (numbers, words)
}

#[test]
fn csv_files_are_keras_own() {
    let g = golden("trainer");
    let (x, y) = (column(6), column(6).scale(2.0).unwrap());
    for (number, case) in g["csv"].as_array().unwrap().iter().enumerate() {
        let (title, folder) = (case["title"].as_str().unwrap(), Folder::new(&format!("csv-{number}")));
        let path = folder.0.join("log.csv");
        let separator = case["config"]["separator"].as_str().map_or(',', |s| s.chars().next().unwrap());
        let mut model = line(0.5, SGD::new(0.01));
        for run in case["fits"].as_array().unwrap() {
            let log = CSVLogger::new(&path).separator(separator).append(case["config"]["append"] == true);
            model.fit(&x, &y, settings(run, 3).callback(log)).unwrap();
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let (got, want) = (cells(&text, separator), cells(case["text"].as_str().unwrap(), separator));
        assert_eq!(got.1, want.1, "{title}: {text}");
        close(title, &got.0, &want.0, 1e-12);
    }
}

#[test]
fn rows_are_not_added_under_columns_of_another_run() {
    let (x, folder) = (column(4), Folder::new("csv-columns"));
    let path = folder.0.join("log.csv");
    std::fs::write(&path, "epoch,accuracy\r\n0,0.5\r\n").unwrap();
    let log = CSVLogger::new(&path).append(true);
    let e = line(0.5, SGD::new(0.01)).fit(&x, &x, quiet().callback(log)).unwrap_err().to_string();
    assert_eq!(
        e,
        "CSVLogger: append: expected a file with the columns epoch,loss,val_loss, got epoch,accuracy"
    );
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "epoch,accuracy\r\n0,0.5\r\n");
    let log = CSVLogger::new(folder.0.join("nowhere").join("log.csv"));
    let e = line(0.5, SGD::new(0.01)).fit(&x, &x, quiet().callback(log)).unwrap_err();
    assert!(e.to_string().contains("nowhere"), "{e}");
}

#[test]
fn averages_are_swapped_as_in_keras() {
    let g = golden("trainer");
    let (x, y) = (column(6), column(6).scale(2.0).unwrap());
    let optimizer = || SGD::new(0.01).use_ema(0.8);
    for case in g["averages"].as_array().unwrap() {
        let swap = SwapEMAWeights::new().swap_on_epoch(case["config"]["swap_on_epoch"] == true);
        let mut model = line(0.5, optimizer());
        if case["evaluate"].is_number() {
            for (start, end) in [(0, 3), (3, 6)] {
                let part = |t: &Tensor| t.slice(0, start, end).unwrap();
                model.train_on_batch(&part(&x), &part(&y)).unwrap();
            }
            let logs = model.with_callbacks([swap]).evaluate(&x, &y).unwrap();
            close("evaluate", &[logs["loss"]], &[case["evaluate"].as_f64().unwrap()], 1e-12);
            close("weight", &[weight(&model)], &[case["weight"].as_f64().unwrap()], 1e-12);
            continue;
        }
        let mut seen = vec![];
        let record = LambdaCallback::new().on_epoch_end(|model, _, _| {
            seen.push(weight(model));
            Ok(())
        });
        let fit = quiet().shuffle(false).epochs(3).batch_size(3).validation_split(0.34);
        let history = model.fit(&x, &y, fit.callback(swap).callback(record)).unwrap();
        close("weights after epochs", &seen, &floats(&case["weights_after_epochs"]), 1e-12);
        close("loss", &history["loss"], &floats(&case["loss"]), 1e-12);
        close("val_loss", &history["val_loss"], &floats(&case["val_loss"]), 1e-12);
        close("weight", &[weight(&model)], &[case["weight"].as_f64().unwrap()], 1e-12);
    }
}

#[test]
fn averages_stay_the_models_when_training_is_stopped_or_fails() {
    let (x, y) = (column(6), column(6).scale(2.0).unwrap());
    let run = |stop: LambdaCallback<'static>| {
        let mut model = line(0.5, SGD::new(0.01).use_ema(0.8));
        let swap = SwapEMAWeights::new().swap_on_epoch(true);
        let fit = quiet().shuffle(false).epochs(9).batch_size(3).callback(swap).callback(stop);
        let result = model.fit(&x, &y, fit);
        (model, result)
    };
    let (stopped, _) = run(LambdaCallback::new().on_epoch_end(|model, epoch, _| {
        if epoch == 1 {
            model.stop_training();
        }
        Ok(())
    }));
    let mut whole = line(0.5, SGD::new(0.01).use_ema(0.8));
    whole.fit(&x, &y, quiet().shuffle(false).epochs(2).batch_size(3)).unwrap();
    assert_eq!(weight(&stopped), weight(&whole));
    // After an error the parameters are those of the last step, as without the callback.
    let (failed, result) = run(LambdaCallback::new().on_epoch_end(|_, epoch, _| match epoch {
        1 => Err(Error::Custom("no".into())),
        _ => Ok(()),
    }));
    let mut plain = line(0.5, SGD::new(0.01));
    plain.fit(&x, &y, quiet().shuffle(false).epochs(2).batch_size(3)).unwrap();
    assert!(result.is_err());
    assert_eq!(weight(&failed), weight(&plain));
    let swap = SwapEMAWeights::new();
    let e = line(0.5, SGD::new(0.01)).fit(&x, &y, quiet().callback(swap)).unwrap_err().to_string();
    assert_eq!(
        e,
        "SwapEMAWeights: optimizer: expected an optimizer that keeps averages: .use_ema(0.99), got one without"
    );
}

// ---- An error has the history

#[test]
fn an_error_of_fit_has_the_history_so_far() {
    fn train(epochs: usize) -> Result<History> {
        let fails = LambdaCallback::new().on_epoch_end(|_, epoch, _| match epoch {
            3 => Err(Error::Custom("the disk is full".into())),
            _ => Ok(()),
        });
        let x = column(4);
        Ok(line(0.5, SGD::new(0.01)).fit(&x, &x, quiet().epochs(epochs).callback(fails))?) // `?` goes on as it did
    }
    assert_eq!(train(3).unwrap()["loss"].len(), 3);
    assert_eq!(train(9).unwrap_err().to_string(), "the disk is full");

    let x = column(4);
    let mut model = line(0.5, SGD::new(0.01));
    let token = CancellationToken::new();
    let cancel = LambdaCallback::new().on_epoch_end(|_, epoch, _| {
        if epoch == 1 {
            token.cancel();
        }
        Ok(())
    });
    let failed = model.fit(&x, &x, quiet().epochs(9).callback(cancel).cancellation(&token)).unwrap_err();
    assert!(matches!(failed.error, Error::Cancelled { .. }));
    assert_eq!(failed.history["loss"].len(), 2);
    assert_eq!(*failed.history, *model.history());
    // A run that never began has none, not that of the run before.
    let failed = model.fit(&x, &column(5), quiet()).unwrap_err();
    assert!(failed.history.epochs().is_empty() && model.history().epochs().is_empty());
    let data = Dataset::from_tensors(&x, &x).unwrap().batch(2);
    assert!(model.fit_dataset(&data, quiet().batch_size(3)).unwrap_err().history.epochs().is_empty());
    let boxed: Box<dyn std::error::Error + Send + Sync> =
        model.fit(&x, &column(5), quiet()).unwrap_err().into();
    assert!(boxed.to_string().contains("rows"), "{boxed}");
}

#[test]
fn figures_of_a_batch_are_there_for_who_asks() {
    let stack = Sequential::new().dtype(DType::F64).add(Input::new([1])).add(Dense::new(1).use_bias(false));
    let model = stack.compile(SGD::new(0.0), MeanSquaredError::new(), ["mae"]).unwrap();
    let (x, mut seen, mut tested) = (column(4), vec![], vec![]);
    let watch = LambdaCallback::new()
        .on_train_batch_end(|model, _, loss| {
            seen.push((loss, model.logs()["loss"], model.logs()["mae"]));
            Ok(())
        })
        .on_test_batch_end(|model, _, loss| {
            tested.push((loss, model.logs()["mae"]));
            Ok(())
        });
    let fit =
        quiet().shuffle(false).batch_size(2).validation_data(&x.scale(2.0).unwrap(), &x).callback(watch);
    let history = with_weight(model, 0.0).fit(&x, &x, fit).unwrap();
    assert_eq!(seen, [(0.5, 0.5, 0.5), (3.5, 3.5, 1.5)]);
    assert_eq!(tested, [(0.5, 0.5), (3.5, 1.5)]);
    assert_eq!((history["loss"][0], history["val_mae"][0]), (3.5, 1.5));
}

#[test]
fn a_history_is_a_callback_too() {
    let (x, mut own) = (column(4), History::default());
    let history = line(0.5, SGD::new(0.01)).fit(&x, &x, quiet().epochs(3).callback(&mut own)).unwrap();
    assert_eq!(own, history);
}

#[test]
fn a_random_layer_draws_alike_with_callbacks_and_without() {
    let model = || {
        let stack = Sequential::new().add(Input::new([1])).add(Dropout::new(0.5)).add(Dense::new(1)).seed(3);
        stack.compile(SGD::new(0.01), "mse", ()).unwrap()
    };
    let x = column(8).cast(DType::F32).unwrap();
    let (mut plain, mut called) = (model(), model());
    plain.fit(&x, &x, quiet().epochs(2).validation_split(0.25)).unwrap();
    let list = CallbackList::new().add(LambdaCallback::new()).add(Idle);
    called.fit(&x, &x, quiet().epochs(2).validation_split(0.25).callback(list)).unwrap();
    assert_eq!(plain.weight_bytes().unwrap(), called.weight_bytes().unwrap());
    assert!(CALLBACKS.contains(&"ModelCheckpoint"));
}

/// Does nothing.
struct Idle;
impl Callback for Idle {}
