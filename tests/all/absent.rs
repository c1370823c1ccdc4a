//! Tests that what has the weight 0, or is masked, is absent: in the value, in every gradient, in every metric,
//! whatever stands there. They cover every loss and metric of the library, by the lists that files are read by.

use gradus::config::{Dyn, Registry, Setting};
use gradus::loss::{self, CosineSimilarity, Loss, Reduction};
use gradus::metric::{self, Metric};
use gradus::nn::layers::{
    self, BatchNormalization, Bidirectional, GRU, GlobalAveragePooling1D, LSTM, Lambda, Masking, SimpleRNN,
    TimeDistributed,
};
use gradus::nn::{Cx, Network, Symbol, Value};
use gradus::prelude::*;
use gradus::train::Logs;
use serde_json::json;

const NOTHING: [f64; 4] = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300];

fn losses() -> Vec<Dyn<dyn Loss>> {
    // CTC reads sequences of labels: below.
    let names = loss::NAMES.iter().filter(|name| !["Tuned", "CTC"].contains(name));
    let read = |name: &&str| Dyn::<dyn Loss>::read(json!(name), &Registry::new()).unwrap();
    let mut all: Vec<_> = names.map(read).collect();
    for logits in [
        "SparseCategoricalCrossentropy",
        "CategoricalCrossentropy",
        "BinaryCrossentropy",
        "BinaryFocalCrossentropy",
        "CategoricalFocalCrossentropy",
    ] {
        let described = json!({ "class_name": logits, "config": { "from_logits": true } });
        all.push(Dyn::<dyn Loss>::read(described, &Registry::new()).unwrap());
    }
    assert!(all.len() > 18, "{}", all.len());
    all
}

/// Three classes each, one-hot.
const TARGETS: [f64; 12] = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0];
const PREDICTIONS: [f64; 12] = [0.5, 0.3, 0.2, 0.2, 0.7, 0.1, 0.25, 0.25, 0.5, 0.6, 0.3, 0.1];

/// Targets and predictions of a loss, with something in row 2.
fn data(sparse: bool, target: f64, prediction: f64) -> (Tensor, Tensor) {
    let (mut t, mut p) = (TARGETS, PREDICTIONS);
    t[6..9].fill(target);
    p[6..9].fill(prediction);
    let y = match sparse {
        // A label out of range is what is absent there.
        true => {
            Tensor::from_slice(&[0i64, 1, if target.is_finite() && target < 3.0 { 2 } else { 255 }, 1], [4])
        }
        false => Tensor::from_slice(&t, [4, 3]),
    };
    (y.unwrap(), Tensor::from_slice(&p, [4, 3]).unwrap())
}

fn is_sparse(name: &str) -> bool {
    let of_labels = ["CategoricalGeneralizedCrossEntropy", "Circle", "perplexity"];
    name.starts_with("Sparse") || name.starts_with("sparse") || of_labels.contains(&name)
}

/// The loss and its gradient.
fn both(loss: &dyn Loss, y: &Tensor, p: &Tensor, reduction: Reduction, weights: &Tensor) -> (f64, Vec<f64>) {
    let p = p.tracked();
    let mut found = None;
    if loss.options().reduction == Reduction::SumOverBatchSize && reduction == Reduction::SumOverBatchSize {
        found = Some(loss.value(y, &p, Some(weights)).unwrap());
    }
    let value =
        found.unwrap_or_else(|| reduction.apply(&loss.call(y, &p).unwrap(), Some(weights), None).unwrap());
    let number = value.item().unwrap();
    (number, value.backward().unwrap().get(&p).unwrap().to_vec().unwrap())
}

#[test]
fn a_row_of_weight_0_is_absent_in_every_loss() {
    let weights = Tensor::from_slice(&[1.0, 0.5, 0.0, 2.0], [4]).unwrap();
    for loss in losses() {
        let sparse = is_sparse(loss.name());
        let (y, p) = data(sparse, 1.0, 0.25);
        let (value, gradient) = both(&*loss, &y, &p, Reduction::SumOverBatchSize, &weights);
        assert!(value.is_finite() && gradient[6..9] == [0.0; 3], "{loss:?}: {value} {gradient:?}");
        for nothing in NOTHING {
            for prediction in [0.25, nothing] {
                let (y, p) = data(sparse, nothing, prediction);
                let got = both(&*loss, &y, &p, Reduction::SumOverBatchSize, &weights);
                assert_eq!(got, (value, gradient.clone()), "{loss:?} of {nothing} and {prediction}");
            }
        }
    }
}

#[test]
fn labels_of_weight_0_are_absent_in_ctc() {
    let weights = Tensor::from_slice(&[1.0, 0.0], [2]).unwrap();
    let of = |label: i64, logit: f64| {
        let y = Tensor::from_slice(&[1, 2, label, 2], [2, 2]).unwrap();
        let mut z =
            [0.5, -0.2, 0.1, 0.3, 0.9, -1.0, 0.2, 0.4, 0.1, 0.5, -0.2, 0.1, 0.3, 0.9, -1.0, 0.2, 0.4, 0.1];
        z[9..].fill(logit);
        let z = Tensor::from_slice(&z, [2, 3, 3]).unwrap();
        both(&loss::CTC::new(), &y, &z, Reduction::SumOverBatchSize, &weights)
    };
    let want = of(1, 0.5);
    assert!(want.0.is_finite() && want.1[..9].iter().all(|g| g.is_finite() && *g != 0.0), "{want:?}");
    assert_eq!(want.1[9..], [0.0; 9]);
    // A label out of range, more labels than frames say, numbers that are none.
    assert_eq!(of(77, f64::NAN), want);
    assert_eq!(of(2, f64::INFINITY), want);
}

#[test]
fn rows_of_weight_0_are_no_others_pairs_or_regions() {
    let p = Tensor::from_slice(&[0.6, 0.8, 0.8, 0.6, 1.0, 0.0, 0.0, 1.0], [4, 2]).unwrap();
    let y = Tensor::from_slice(&[0i64, 0, 1, 1], [4]).unwrap();
    let weights = Tensor::from_slice(&[1.0, 1.0, 1.0, 0.0], [4]).unwrap();
    let three = |t: &Tensor| t.slice(0, 0, 3).unwrap();
    let circle = loss::Circle::new().gamma(4.0);
    let left = circle.value(&y, &p, Some(&weights)).unwrap().item().unwrap();
    let gone = circle.value(&three(&y), &three(&p), None).unwrap().item().unwrap();
    // Row 2 has no pair left in its class.
    assert!((left - gone).abs() < 1e-12 && left > 0.0, "{left} {gone}");
    let t = p.greater(&Tensor::scalar(0.7).unwrap()).unwrap().cast(DType::F64).unwrap();
    let dice = loss::Dice::new();
    let left = dice.value(&t, &p, Some(&weights)).unwrap().item().unwrap();
    let gone = dice.value(&three(&t), &three(&p), None).unwrap().item().unwrap();
    assert!((left - 0.75 * gone).abs() < 1e-12, "{left} {gone}");
}

#[test]
fn reductions_leave_out_what_does_not_count() {
    let losses = Tensor::from_slice(&[1.0, f64::NAN, 3.0, f64::INFINITY], [4]).unwrap();
    let weights = Tensor::from_slice(&[2.0, 0.0, 1.0, 0.0], [4]).unwrap();
    let mask = Tensor::from_slice(&[true, false, true, false], [4]).unwrap();
    for (reduction, weighted, masked) in [
        (Reduction::Sum, 5.0, 4.0),
        (Reduction::SumOverBatchSize, 1.25, 2.0),
        (Reduction::MeanWithSampleWeight, 5.0 / 3.0, 2.0),
    ] {
        assert_eq!(reduction.apply(&losses, Some(&weights), None).unwrap().item().unwrap(), weighted);
        assert_eq!(reduction.apply(&losses, None, Some(&mask)).unwrap().item().unwrap(), masked);
    }
    let each = Reduction::None.apply(&losses, Some(&weights), Some(&mask)).unwrap();
    assert_eq!(each.to_vec::<f64>().unwrap(), [2.0, 0.0, 3.0, 0.0]);
}

#[test]
fn a_position_of_weight_0_is_absent_whatever_axis_a_loss_goes_along() {
    // [batch, time, 2] with a weight for each position, and along the middle axis one for each feature.
    let clean: Vec<f64> = (0..12).map(|i| (i as f64 * 0.618).fract()).collect();
    let p = Tensor::from_slice(&clean, [2, 3, 2]).unwrap().affine(0.5, 0.1).unwrap();
    for (axis, weights, absent) in [
        (-1, Tensor::from_slice(&[1.0, 0.0, 1.0, 1.0, 1.0, 0.0], [2, 3]).unwrap(), [2, 3, 10, 11].as_slice()),
        (1, Tensor::from_slice(&[1.0, 0.0, 1.0, 1.0], [2, 2]).unwrap(), &[1, 3, 5]),
    ] {
        let loss = CosineSimilarity::new().axis(axis);
        let of = |nothing: f64| {
            let mut y = clean.clone();
            absent.iter().for_each(|&i| y[i] = nothing);
            both(
                &loss,
                &Tensor::from_slice(&y, [2, 3, 2]).unwrap(),
                &p,
                Reduction::SumOverBatchSize,
                &weights,
            )
        };
        let want = of(0.3);
        assert!(want.0.is_finite() && want.1.iter().all(|g| g.is_finite()));
        assert_eq!(of(f64::NAN), want, "{axis}");
    }
}

#[test]
fn an_ignored_class_is_absent_where_the_prediction_is_no_number() {
    let loss = SparseCategoricalCrossentropy::new().from_logits(true).ignore_class(-1);
    let y = Tensor::from_slice(&[0i64, -1, 2], [3]).unwrap();
    let nan = f64::NAN;
    let p = Tensor::from_slice(&[1.0, 0.0, 2.0, nan, nan, nan, 0.0, 1.0, 0.0], [3, 3]).unwrap().tracked();
    let value = loss.value(&y, &p, None).unwrap();
    assert!(value.item().unwrap().is_finite());
    let g = value.backward().unwrap().get(&p).unwrap().to_vec::<f64>().unwrap();
    assert!(g.iter().all(|g| g.is_finite()) && g[3..6] == [0.0; 3], "{g:?}");
}

#[test]
fn a_row_of_weight_0_is_absent_in_every_metric() {
    let weights = Tensor::from_slice(&[1.0, 0.5, 0.0, 2.0], [4]).unwrap();
    for name in metric::NAMES.iter().filter(|name| **name != "Tuned") {
        let config = match *name {
            "TopKCategoricalAccuracy" | "SparseTopKCategoricalAccuracy" => json!({ "k": 2 }),
            "FBetaScore" | "F1Score" => json!({ "beta": 2.0 }),
            "MeanIoU" | "OneHotMeanIoU" => json!({ "num_classes": 3 }),
            "IoU" | "OneHotIoU" => json!({ "num_classes": 3, "target_class_ids": [0, 1] }),
            "PrecisionAtRecall" => json!({ "recall": 0.5 }),
            "RecallAtPrecision" => json!({ "precision": 0.5 }),
            "SensitivityAtSpecificity" => json!({ "specificity": 0.5 }),
            "SpecificityAtSensitivity" => json!({ "sensitivity": 0.5 }),
            "MeanLoss" => json!({ "loss": "Hinge" }),
            _ => json!({}),
        };
        let described = json!({ "class_name": name, "config": config });
        let of = |target: f64, prediction: f64| {
            let mut metric =
                Dyn::<dyn Metric>::read(described.clone(), &Registry::new()).unwrap().clone_metric();
            let (y, p) = data(is_sparse(metric.name()), target, prediction);
            let (y, p, weights) = match *name {
                "MeanIoU" => {
                    let p = Tensor::from_slice(&[0.0, 1.0, prediction, 1.0], [4]).unwrap();
                    (Tensor::from_slice(&[0.0, 1.0, target, 2.0], [4]).unwrap(), p, weights.clone())
                }
                _ => (y, p, weights.clone()),
            };
            metric.update(&y, &p, Some(&weights)).unwrap();
            metric.result()
        };
        let want = of(1.0, 0.25);
        assert!(want.is_finite(), "{name}");
        for nothing in NOTHING {
            for prediction in [0.25, nothing] {
                assert_eq!(of(nothing, prediction), want, "{name} of {nothing} and {prediction}");
            }
        }
    }
}

/// Three steps of training, which leave no weight that is no number.
fn trains(mut model: Model, x: &Tensor, y: &[Tensor], weights: Option<&Tensor>) -> Logs {
    let mut fit = Fit::new().epochs(3).shuffle(false).verbose(0);
    if let Some(weights) = weights {
        fit = fit.sample_weight(weights);
    }
    let history = model.fit(x, y, fit).unwrap();
    let mut logs = Logs::new();
    for name in history.keys() {
        logs.set(name, history[name][2]);
    }
    for (path, value) in model.params() {
        assert!(value.to_vec::<f32>().unwrap().iter().all(|w| w.is_finite()), "{path}");
    }
    logs
}
/// Any loss beside any output.
fn with_opt_out(loss: &Dyn<dyn Loss>) -> Dyn<dyn Loss> {
    let config = json!({ "loss": loss.write().unwrap(), "reduction": "sum_over_batch_size", "weight": 1.0, "allow_mismatch": true });
    Dyn::read(json!({ "class_name": "Tuned", "config": config }), &Registry::new()).unwrap()
}

#[test]
fn training_survives_targets_that_do_not_count() {
    let x = Tensor::from_slice(&PREDICTIONS.map(|v| v as f32), [4, 3]).unwrap();
    let weights = Tensor::from_slice(&[1.0f32, 0.5, 0.0, 2.0], [4]).unwrap();
    for loss in losses() {
        let (y, _) = data(is_sparse(loss.name()), f64::NAN, 0.25);
        let y = if y.dtype().is_float() { y.cast(DType::F32).unwrap() } else { y };
        let metrics = vec![Box::new(metric::MeanLoss::new(loss.clone()).weighted()) as Box<dyn Metric>];
        let stack = Sequential::new().add(Input::new([3])).add(Dense::new(3).activation(Softmax)).seed(2);
        let model = stack.compile(Adam::new(0.01), with_opt_out(&loss), metrics);
        let logs = trains(model.unwrap(), &x, &[y], Some(&weights));
        assert!(logs.iter().all(|(_, v)| v.is_finite()), "{loss:?}: {logs:?}");
    }
}

#[test]
fn an_output_of_weight_0_is_shown_and_trains_nothing() {
    let input = Input::new([3]);
    let h = Dense::new(4).activation(Tanh).on(&input).unwrap();
    let (a, b) = (Dense::new(1).named("a").on(&h).unwrap(), Dense::new(1).named("b").on(&h).unwrap());
    let losses = (MeanSquaredError::new().tuned(), MeanSquaredError::new().weight(0.0));
    let model =
        Functional::new(&input, [&a, &b]).unwrap().seed(1).compile(SGD::new(0.1), losses, ()).unwrap();
    let kernel = |model: &Model| model.params().iter().find(|(p, _)| p == "b/kernel").unwrap().1.clone();
    let before = kernel(&model);
    let x = Tensor::from_slice(&PREDICTIONS.map(|v| v as f32), [4, 3]).unwrap();
    let (y, nan) = (Tensor::ones([4, 1]).unwrap(), Tensor::full([4, 1], f32::NAN).unwrap());
    let logs = trains(model.clone(), &x, &[y.clone(), nan.clone()], None);
    assert!(
        logs["loss"].is_finite() && logs["loss"] == logs["a_loss"] && logs["b_loss"].is_nan(),
        "{logs:?}"
    );
    let mut model = model;
    model.fit(&x, &[y, nan], Fit::new().verbose(0)).unwrap();
    assert!(kernel(&model).same_bits(&before));
}

// ---- Layers that go by a mask

/// A sequence whose last two steps are masked, with `nothing` in them.
fn masked(nothing: f32) -> (Input, Symbol) {
    let input = Input::new([4, 3]).named("x");
    let h = Masking::new().on(&input).unwrap();
    let spoil =
        move |x: &Tensor| x.equal(&x.new_full([], 0.0)?)?.choose(&x.new_full([], f64::from(nothing))?, x);
    let h = Lambda::new(spoil).mask(|x: &[Value]| Ok(x[0].mask.clone())).on(&h).unwrap();
    (input, h)
}

fn sequences() -> Tensor {
    let value = |i: usize| if i % 12 < 6 { (i as f32 * 0.618).fract() + 0.1 } else { 0.0 };
    Tensor::from_slice(&(0..24).map(value).collect::<Vec<f32>>(), [2, 4, 3]).unwrap()
}

/// What counts of the output, and its gradient by the masked sequence.
fn seen(network: &Network, x: &Tensor) -> Vec<Vec<f32>> {
    let y = network.forward(x, &mut Cx::train(1, 0)).unwrap();
    let y = if y.rank() == 3 { y.slice(1, 0, 2).unwrap() } else { y };
    let mut out = vec![y.to_vec::<f32>().unwrap()];
    if x.is_tracked() {
        let gradients = y.square().unwrap().sum(&[], false).unwrap().backward().unwrap();
        out.push(gradients.get(x).unwrap().to_vec().unwrap());
    }
    out
}

#[test]
fn layers_with_masks_do_not_look_at_what_does_not_count() {
    type Make = fn(&Symbol) -> gradus::Result<Symbol>;
    let layers: &[(&str, Make)] = &[
        ("Softmax", |h| layers::Softmax::new().on(h)),
        ("GlobalAveragePooling1D", |h| GlobalAveragePooling1D::new().on(h)),
        ("BatchNormalization", |h| BatchNormalization::new().on(h)),
        ("SimpleRNN", |h| SimpleRNN::new(3).on(h)),
        ("LSTM", |h| LSTM::new(3).return_sequences(true).on(h)),
        ("GRU", |h| GRU::new(3).on(h)),
        ("Bidirectional", |h| Bidirectional::new(LSTM::new(2)).on(h)),
        ("TimeDistributed", |h| {
            GlobalAveragePooling1D::new().on(&TimeDistributed::new(Dense::new(2)).on(h)?)
        }),
        ("Dense", |h| GlobalAveragePooling1D::new().on(&Dense::new(2).on(h)?)),
    ];
    let mut wrong = Vec::new();
    for (name, make) in layers {
        let of = |nothing: f32| {
            let (input, h) = masked(nothing);
            let network = Functional::new(&input, &make(&h).unwrap()).unwrap().seed(3).build().unwrap();
            let x = sequences();
            let differentiated = matches!(*name, "Softmax" | "GlobalAveragePooling1D");
            seen(&network, &if differentiated { x.tracked() } else { x })
        };
        let want = of(0.7);
        let same = |(a, b): (&Vec<f32>, &Vec<f32>)| {
            a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-6 * a.abs().max(1.0))
        };
        for nothing in [f32::NAN, f32::INFINITY] {
            let got = of(nothing);
            if got.len() != want.len() || !got.iter().zip(&want).all(same) {
                wrong.push(format!("{name} of {nothing}: {got:?}, not {want:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn what_stands_at_masked_steps_trains_no_recurrent_layer() {
    type Make = fn(&Symbol) -> gradus::Result<Symbol>;
    let makers: &[(&str, Make)] = &[
        ("SimpleRNN", |h| SimpleRNN::new(3).on(h)),
        ("LSTM", |h| LSTM::new(3).on(h)),
        ("LSTM by steps", |h| LSTM::new(3).activation("relu").recurrent_dropout(0.2).on(h)),
        ("GRU", |h| GRU::new(3).reset_after(false).on(h)),
        ("RNN", |h| {
            RNN::new(layers::StackedRNNCells::new([layers::GRUCell::new(2), layers::GRUCell::new(3)])).on(h)
        }),
        ("Bidirectional", |h| Bidirectional::new(GRU::new(2)).on(h)),
    ];
    for (name, make) in makers {
        let of = |nothing: f32| {
            let (input, h) = masked(nothing);
            let y = Dense::new(1).on(&make(&h).unwrap()).unwrap();
            let network = Functional::new(&input, &y).unwrap().seed(3);
            let mut model = network.compile(SGD::new(0.1), "mse", ()).unwrap();
            model.fit(&sequences(), &Tensor::ones([2, 1]).unwrap(), Fit::new().verbose(0).epochs(3)).unwrap();
            model.weight_bytes().unwrap()
        };
        let want = of(0.7);
        for nothing in [f32::NAN, f32::INFINITY] {
            assert!(of(nothing) == want, "{name} of {nothing}");
        }
    }
}

#[test]
fn the_mean_of_no_steps_is_0() {
    let input = Input::new([4, 3]);
    let y = GlobalAveragePooling1D::new().on(&Masking::new().on(&input).unwrap()).unwrap();
    let network = Functional::new(&input, &y).unwrap().build().unwrap();
    assert_eq!(
        network.predict(&Tensor::zeros([1, 4, 3]).unwrap()).unwrap().to_vec::<f32>().unwrap(),
        [0.0; 3]
    );
}
