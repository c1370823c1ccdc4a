//! Losses and metrics against Keras over many shapes, weights, masks and edge cases (`scores.json`), and against scikit-learn, sacrebleu and
//! NLTK where Keras has none (`beyond.json`); each by the name and settings that a file would have, directly, merged from shards, and
//! through compile and evaluate.

use crate::golden::{close, floats, golden, tensor};
use gradus::config::{Dyn, Registry, Setting};
use gradus::loss::{self, Loss, Reduction};
use gradus::metric::{Bleu, EditDistance, Metric};
use gradus::prelude::*;
use serde_json::{Value, json};

/// Targets or predictions as they are in the file, whole numbers as int64.
fn array(v: &Value) -> Tensor {
    let t = tensor(v);
    if v["dtype"] == "i64" { t.cast(DType::I64).unwrap() } else { t }
}

/// What the file says, under our names.
fn settings(case: &Value) -> Value {
    let mut config = case["config"].clone();
    let map = config.as_object_mut().unwrap();
    map.remove("dtype");
    // A vector of figures is what `results` is for.
    map.retain(|key, value| !(value.is_null() && ["average", "class_aggregation"].contains(&key.as_str())));
    if let Some(one) = map.get("thresholds").filter(|t| t.is_number()).cloned() {
        map.remove("thresholds");
        map.insert("threshold".into(), one);
    }
    if case["name"] == "Accuracy" {
        map.insert("exact".into(), json!(true));
    }
    json!({ "class_name": case["name"], "config": config })
}

pub(crate) fn metric_of(case: &Value) -> Box<dyn Metric> {
    Dyn::<dyn Metric>::read(settings(case), &Registry::new()).unwrap().clone_metric()
}

/// A case for each run of a list of the file.
fn cases(g: &Value, list: &str) -> Vec<Value> {
    let numbered = |v: &Value| v.as_u64().map_or(Value::Null, |i| g["arrays"][i as usize].clone());
    let data = |v: &Value| if v.is_null() { Value::Null } else { json!({ "data": v }) };
    let mut all = Vec::new();
    for group in g[list].as_array().unwrap() {
        for run in group["runs"].as_array().unwrap() {
            let mut case = group.clone();
            case["runs"] = Value::Null;
            case["set"] = run[0].clone();
            case["weights"] = numbered(&run[1]);
            if list == "losses" {
                case["mask"] = numbered(&run[2]);
                case["reduction"] = run[3].clone();
                case["value"] = data(&run[4]);
                case["grad"] = data(&run[5]);
            } else {
                let rows = g["sets"][run[0].as_str().unwrap()]["p"]["shape"][0].as_u64().unwrap();
                case["cut"] = rows.div_ceil(2).into();
                case["results"] = json!([data(&run[2]), data(&run[3])]);
            }
            all.push(case);
        }
    }
    all
}

fn of(case: &Value, key: &str) -> Option<Tensor> {
    case[key].get("shape").map(|_| tensor(&case[key]))
}

#[test]
fn losses_of_many_shapes_follow_keras() {
    let g = golden("scores");
    let cases = cases(&g, "losses");
    for case in &cases {
        let what = format!("{} {} on {} {}", case["name"], case["config"], case["set"], case["reduction"]);
        let loss = Dyn::<dyn Loss>::read(settings(case), &Registry::new()).unwrap();
        let set = &g["sets"][case["set"].as_str().unwrap()];
        let (y, p) = (array(&set["y"]), tensor(&set["p"]).tracked());
        let weights = of(case, "weights");
        let mask = of(case, "mask").map(|m| m.cast(DType::Bool).unwrap());
        let reduction = match case["reduction"].as_str().unwrap() {
            "none" => Reduction::None,
            "mean_with_sample_weight" => Reduction::MeanWithSampleWeight,
            _ => Reduction::SumOverBatchSize,
        };
        let own = loss.mask(&y, &p).unwrap();
        let both = match (&mask, own) {
            (Some(a), Some(b)) => Some(a.logical_and(&b).unwrap()),
            (a, b) => b.or(a.clone()),
        };
        let reduced =
            loss.call(&y, &p).and_then(|each| reduction.apply(&each, weights.as_ref(), both.as_ref()));
        let value = reduced.unwrap_or_else(|e| panic!("{what}: {e}"));
        close(&what, &value.to_vec().unwrap(), &floats(&case["value"]["data"]), 1e-9);
        if case["grad"].is_null() {
            continue;
        }
        let grad = value.backward().unwrap().get(&p).unwrap().to_vec::<f64>().unwrap();
        close(&format!("gradient of {what}"), &grad, &floats(&case["grad"]["data"]), 1e-9);
        if mask.is_none() {
            // And in one call, as compile makes it.
            let value = loss.value(&y, &p, weights.as_ref()).unwrap();
            close(&what, &value.to_vec().unwrap(), &floats(&case["value"]["data"]), 1e-9);
        }
    }
    assert!(cases.len() > 700, "{}", cases.len());
}

/// Whether Keras's figure is another on purpose: areas of one class.
fn differs(case: &Value, got: &[f64]) -> bool {
    case["name"] == "AUC" && got.iter().any(|v| v.is_nan())
}

fn tolerance(case: &Value) -> f64 {
    if case["precision"] == "float32" { 1e-6 } else { 1e-9 }
}

/// Compares a metric with what Keras has for one update.
pub(crate) fn compare(what: &str, case: &Value, m: &dyn Metric, want: &Value) {
    let want = floats(&want["data"]);
    let got = if want.len() > 1 { m.results() } else { vec![m.result()] };
    if !differs(case, &m.results()) {
        close(what, &got, &want, tolerance(case));
    }
}

#[test]
fn metrics_of_many_shapes_follow_keras() {
    let g = golden("scores");
    let cases = cases(&g, "metrics");
    for case in &cases {
        let mut metric = metric_of(case);
        let set = &g["sets"][case["set"].as_str().unwrap()];
        let (y, p) = (array(&set["y"]), array(&set["p"]));
        let weights = of(case, "weights");
        let (cut, n) = (case["cut"].as_u64().unwrap() as isize, p.dims()[0] as isize);
        let what = format!("{} {} on {}", case["name"], case["config"], case["set"]);
        let mut shards = Vec::new();
        for (i, (from, to)) in [(0, cut), (cut, n)].into_iter().enumerate() {
            let rows = |t: &Tensor| t.slice(0, from, to).unwrap();
            let mut shard = metric_of(case);
            for m in [&mut metric, &mut shard] {
                if from < to {
                    m.update(&rows(&y), &rows(&p), weights.as_ref().map(rows).as_ref())
                        .unwrap_or_else(|e| panic!("{what}: {e}"));
                }
            }
            compare(&format!("{what} after {i}"), case, &*metric, &case["results"][i]);
            shards.push(shard);
        }
        // Gathered apart and brought together, in the other order.
        let [first, last] = &mut shards[..] else { unreachable!() };
        last.merge(&**first).unwrap();
        compare(&format!("{what} merged"), case, &**last, &case["results"][1]);
        // A name that is taken has a number in Keras.
        let key = case["key"].as_str().unwrap().trim_end_matches(|c: char| c.is_ascii_digit());
        assert_eq!(metric.name(), key.trim_end_matches('_'));
        metric.reset();
        assert!(
            metric.results().iter().all(|v| *v == 0.0 || v.is_nan())
                && (metric.result() <= 0.0 || metric.result().is_nan()),
            "{what}"
        );
    }
    assert!(cases.len() > 1500, "{}", cases.len());
}

/// Any number of a prediction, so that no loss stands in the way of a metric.
fn nothing(_: &Tensor, y_pred: &Tensor) -> gradus::Result<Tensor> {
    y_pred.affine(0.0, 0.0)
}

#[test]
fn metrics_go_through_compile_and_evaluate() {
    let g = golden("scores");
    let mut seen = std::collections::BTreeSet::new();
    for case in &cases(&g, "metrics") {
        let set = &g["sets"][case["set"].as_str().unwrap()];
        let (y, p) = (array(&set["y"]), tensor(&set["p"]));
        // An output has a batch and an axis more; vectors and whole numbers are no outputs of networks.
        if p.rank() < 2 || set["p"]["dtype"] == "i64" {
            continue;
        }
        let want = floats(&case["results"][1]["data"]);
        let weights = of(case, "weights");
        let tuned = json!({ "metric": settings(case), "name": "figure", "weighted": true });
        let tuned = json!({ "class_name": "Tuned", "config": tuned });
        let metric = Dyn::<dyn Metric>::read(tuned, &Registry::new()).unwrap().clone_metric();
        let shape: Vec<usize> = p.dims()[1..].to_vec();
        let stack = Sequential::new().add(Input::new(shape)).add(Activation::new(Linear)).dtype(DType::F64);
        let model = stack.compile("sgd", loss::from_fn(nothing).allow_mismatch(), vec![metric]).unwrap();
        let mut evaluate = Evaluate::new().batch_size(case["cut"].as_u64().unwrap() as usize);
        if let Some(weights) = &weights {
            evaluate = evaluate.sample_weight(weights);
        }
        let what = format!("{} {} on {} evaluated", case["name"], case["config"], case["set"]);
        let logs = model.evaluate_with(&p, &y, &evaluate).unwrap_or_else(|e| panic!("{what}: {e}"));
        if want.len() == 1 && !differs(case, &[logs["figure"]]) {
            close(&what, &[logs["figure"]], &want, tolerance(case));
            seen.insert(case["name"].as_str().unwrap().to_string());
        }
    }
    assert!(seen.len() >= 40, "{} {seen:?}", seen.len());
}

#[test]
fn what_keras_lacks_follows_scikit_learn() {
    let g = golden("beyond");
    let cases = g["cases"].as_array().unwrap();
    for case in cases {
        let at = |key: &str| case[key].as_u64().map(|i| array(&g["arrays"][i as usize]));
        let (y, p, weights) = (at("y").unwrap(), at("p").unwrap(), at("weights"));
        let (mut whole, mut merged) = (metric_of(case), metric_of(case));
        whole.update(&y, &p, weights.as_ref()).unwrap();
        let n = p.dims()[0] as isize;
        for (from, to) in [(0, 3), (3, n)] {
            let rows = |t: &Tensor| t.slice(0, from, to).unwrap();
            let mut shard = metric_of(case);
            shard.update(&rows(&y), &rows(&p), weights.as_ref().map(rows).as_ref()).unwrap();
            merged.merge(&*shard).unwrap();
        }
        let want = [case["value"].as_f64().unwrap()];
        for (how, m) in [("whole", whole), ("merged", merged)] {
            close(&format!("{} {} {how}", case["name"], case["config"]), &[m.result()], &want, 1e-9);
        }
    }
    assert!(cases.len() > 150);
}

#[test]
fn texts_follow_sacrebleu_and_nltk() {
    let g = golden("beyond");
    for text in g["texts"].as_array().unwrap() {
        let strings = |v: &Value| -> Vec<String> {
            v.as_array().unwrap().iter().map(|s| s.as_str().unwrap().to_string()).collect()
        };
        let hypotheses = strings(&text["hypotheses"]);
        let references: Vec<Vec<String>> =
            text["references"].as_array().unwrap().iter().map(strings).collect();
        for order in 1..=4 {
            let Some(want) = text["bleu"][order - 1].as_f64() else { continue };
            let mut bleu = Bleu::new().max_order(order);
            for (r, h) in references.iter().zip(&hypotheses) {
                bleu.add_words(&r.iter().map(String::as_str).collect::<Vec<_>>(), h, 1.0);
            }
            close("bleu", &[bleu.result()], &[want], 1e-9);
            if let Some(nltk) = text["nltk"][order - 1].as_f64() {
                close("bleu by NLTK", &[bleu.result()], &[nltk], 1e-9);
            }
        }
        let (mut words, mut letters) = (EditDistance::new(), EditDistance::new());
        for (r, h) in references.iter().zip(&hypotheses) {
            words.add_words(&r[0], h, 1.0);
            letters.add_characters(&r[0], h, 1.0);
        }
        if let (Some(w), Some(l)) = (text["words"].as_f64(), text["letters"].as_f64()) {
            close("words", &[words.result()], &[w], 1e-12);
            close("letters", &[letters.result()], &[l], 1e-12);
        }
    }
    // As the metric of a model: numbers of tokens, 0 being padding.
    let y = Tensor::new([[1i64, 2, 3, 0], [4, 4, 0, 0]]).unwrap();
    let p = Tensor::new([[1i64, 3, 3, 0], [4, 0, 0, 0]]).unwrap();
    let mut errors = EditDistance::new().mask_token_id(0);
    errors.update(&y, &p, None).unwrap();
    assert_eq!(errors.result(), 2.0 / 5.0);
    let mut each = EditDistance::new().mask_token_id(0).normalize(false);
    each.update(&y, &p.one_hot(5, DType::F32).unwrap(), Some(&Tensor::new([1.0, 3.0]).unwrap())).unwrap();
    assert_eq!(each.result(), 1.0);
    // A mask of positions leaves them out as padding is.
    let mut masked = EditDistance::new();
    let mask = Tensor::new([[1.0, 1.0, 1.0, 0.0], [1.0, 1.0, 0.0, 0.0]]).unwrap();
    masked.update(&y, &p, Some(&mask)).unwrap();
    assert_eq!(masked.result(), 2.0 / 5.0);
    let mut bleu = Bleu::new().max_order(1).mask_token_id(0);
    bleu.update(&y, &p, None).unwrap();
    assert!((bleu.result() - 0.75 * libm::exp(-0.25)).abs() < 1e-12, "{}", bleu.result());
}

#[test]
fn ctc_and_its_decoders_follow_keras() {
    let g = golden("scores");
    for case in g["ctc"].as_array().unwrap() {
        let (y, logits) = (array(&case["y"]), tensor(&case["p"]).tracked());
        let ints = |key: &str| {
            let values: Vec<i64> =
                case[key].as_array().unwrap().iter().map(|v| v.as_i64().unwrap()).collect();
            Tensor::from_slice(&values, [values.len()]).unwrap()
        };
        let (counts, lengths) = (ints("counts"), ints("lengths"));
        let blank = case["blank"].as_u64().unwrap() as usize;
        let loss = logits.ctc_loss(&y, &counts, &lengths, blank).unwrap();
        close("ctc", &loss.to_vec().unwrap(), &floats(&case["value"]["data"]), 1e-9);
        let scale: Vec<f64> = (1..=y.dims()[0]).map(|i| i as f64).collect();
        let sum =
            loss.mul(&Tensor::from_slice(&scale, [scale.len()]).unwrap()).unwrap().sum(&[], false).unwrap();
        let grad = sum.backward().unwrap().get(&logits).unwrap().to_vec::<f64>().unwrap();
        close("gradient of ctc", &grad, &floats(&case["grad"]["data"]), 1e-9);
        let single =
            logits.detach().cast(DType::F32).unwrap().ctc_loss(&y, &counts, &lengths, blank).unwrap();
        close(
            "ctc in float32",
            &single.cast(DType::F64).unwrap().to_vec().unwrap(),
            &loss.to_vec().unwrap(),
            1e-6,
        );
        for how in case["decoded"].as_array().unwrap() {
            let what = format!("decoded by {} {}", how["strategy"], how["beam_width"]);
            let found = match how["strategy"].as_str().unwrap() {
                "greedy" => {
                    let merge = how["merge_repeated"].as_bool().unwrap_or(true);
                    logits.ctc_greedy_decode(&lengths, merge, blank)
                }
                _ => {
                    let number = |key: &str| how[key].as_u64().unwrap() as usize;
                    logits.ctc_beam_search_decode(&lengths, number("beam_width"), number("top_paths"), blank)
                }
            };
            let (paths, scores) = found.unwrap();
            close(&what, &scores.to_vec().unwrap(), &floats(&how["scores"]["data"]), 1e-9);
            close(
                &what,
                &paths.cast(DType::F64).unwrap().to_vec().unwrap(),
                &floats(&how["paths"]["data"]),
                0.0,
            );
        }
    }
}

/// The loss by its definition: every reading of the frames, one after the other.
fn by_every_reading(p: &[f64], classes: usize, labels: &[i64]) -> f64 {
    let frames = p.len() / classes;
    let mut sum = 0.0;
    for reading in 0..classes.pow(frames as u32) {
        let at = |frame: usize| reading / classes.pow(frame as u32) % classes;
        let mut read = Vec::new();
        for frame in 0..frames {
            if at(frame) != 0 && (frame == 0 || at(frame) != at(frame - 1)) {
                read.push(at(frame) as i64);
            }
        }
        if read == labels {
            sum += (0..frames).map(|frame| p[frame * classes + at(frame)]).product::<f64>();
        }
    }
    -libm::log(sum)
}

#[test]
fn ctc_is_the_sum_over_all_readings() {
    for labels in [&[][..], &[1], &[1, 2], &[2, 2], &[1, 2, 1]] {
        let (frames, classes) = (5, 3);
        let values: Vec<f64> = (0..frames * classes).map(|i| (i as f64 * 0.618).fract() * 3.0).collect();
        let logits = Tensor::from_slice(&values, [1, frames, classes]).unwrap();
        let p = logits.softmax(-1).unwrap().to_vec::<f64>().unwrap();
        let mut padded = labels.to_vec();
        padded.resize(4, 0);
        let loss =
            loss::CTC::new().value(&Tensor::from_slice(&padded, [1, 4]).unwrap(), &logits, None).unwrap();
        close("ctc", &[loss.item().unwrap()], &[by_every_reading(&p, classes, labels)], 1e-12);
    }
    let error = |labels: &[i64], frames: usize| {
        let y = Tensor::from_slice(labels, [1, labels.len()]).unwrap();
        loss::CTC::new().value(&y, &Tensor::zeros([1, frames, 3]).unwrap(), None).unwrap_err().to_string()
    };
    assert_eq!(error(&[1, 1], 2), "ctc_loss: expected 3 frames or more for the 2 labels of row 0, got 2");
    assert_eq!(
        error(&[1, 0, 2], 9),
        "ctc_loss: expected labels other than 0, which stands for the blank and behind the labels, got one among the labels of row 0"
    );
    assert!(error(&[7], 9).contains("label"), "{}", error(&[7], 9));
}

#[test]
fn metrics_merge_with_their_like_alone() {
    use gradus::metric::{AUC, MeanIoU, Precision, R2Score, Sum};
    let error = |a: &mut dyn Metric, b: &dyn Metric| a.merge(b).unwrap_err().to_string();
    assert_eq!(
        error(&mut Precision::new(), &Sum::new()),
        "merge: expected a metric of the type Precision, got Sum"
    );
    assert_eq!(
        error(&mut MeanIoU::new(2), &MeanIoU::new(3)),
        "merge: expected a metric 'mean_io_u' of the same settings, got one of others"
    );
    let column = |n: usize| {
        let mut r2 = R2Score::new();
        r2.update(&Tensor::ones([3, n]).unwrap(), &Tensor::ones([3, n]).unwrap(), None).unwrap();
        r2
    };
    assert_eq!(error(&mut column(1), &column(2)), "merge: expected 1 columns as here, got 2");
    // Nothing changes what was gathered; and a name does not matter.
    let mut auc = AUC::new().named("area");
    auc.update(&Tensor::new([0.0, 1.0]).unwrap(), &Tensor::new([0.2, 0.6]).unwrap(), None).unwrap();
    auc.merge(&AUC::new().named("area")).unwrap();
    assert_eq!(auc.result(), 1.0);
}

#[test]
fn spreads_far_from_0_merge_without_cancelling() {
    use gradus::metric::{PearsonCorrelation, R2Score};
    let values = |from: usize| -> Tensor {
        let at = |i: usize| 1.7e9 + ((i + from) as f64 * 0.618).fract() * 10.0;
        Tensor::from_slice(&(0..40).map(at).collect::<Vec<_>>(), [40, 1]).unwrap()
    };
    let (y, p) = (values(0), values(0).add(&values(7)).unwrap().affine(0.5, 0.0).unwrap());
    let spread = |metric: Box<dyn Metric>| {
        let mut whole = metric.clone();
        whole.update(&y, &p, None).unwrap();
        let mut merged = metric.clone();
        for (from, to) in [(0, 1), (1, 9), (9, 40)] {
            let mut shard = metric.clone();
            shard.update(&y.slice(0, from, to).unwrap(), &p.slice(0, from, to).unwrap(), None).unwrap();
            merged.merge(&*shard).unwrap();
        }
        (whole.result(), merged.result())
    };
    let (near, far) = (y.affine(1.0, -1.7e9).unwrap(), p.affine(1.0, -1.7e9).unwrap());
    for metric in [Box::new(R2Score::new()) as Box<dyn Metric>, Box::new(PearsonCorrelation::new().axis(0))] {
        let (whole, merged) = spread(metric.clone());
        let mut want = metric;
        want.update(&near, &far, None).unwrap();
        assert!(
            (whole - want.result()).abs() < 1e-6 && (merged - want.result()).abs() < 1e-6,
            "{whole} {merged}"
        );
    }
}

/// The share of targets below the prediction.
fn below(y_true: &Tensor, y_pred: &Tensor) -> gradus::Result<Tensor> {
    y_true.less(y_pred)
}
fn fourth_power(y_true: &Tensor, y_pred: &Tensor) -> gradus::Result<Tensor> {
    y_pred.sub(y_true)?.square()?.square()
}

#[test]
fn functions_are_losses_and_metrics_and_the_registry_may_name_them() {
    use gradus::io::Load;
    use gradus::metric::from_fn;
    let (x, y) = (Tensor::ones([8, 2]).unwrap(), Tensor::ones([8, 1]).unwrap());
    let stack = || Sequential::new().add(Input::new(2)).add(Dense::new(1)).seed(1);
    let metrics = || from_fn(below).larger_is_better(true);
    let mut model = stack().compile("sgd", loss::from_fn(fourth_power), metrics()).unwrap();
    let weights = Tensor::new([1.0f32, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]).unwrap();
    let history = model.fit(&x, &y, Fit::new().epochs(2).sample_weight(&weights).verbose(0)).unwrap();
    assert!(history["loss"][1] < history["loss"][0] && history["below"].len() == 2);
    let bytes = model.to_bytes().unwrap();
    let error = Model::from_bytes(&bytes, Load::new()).unwrap_err().to_string();
    assert!(error.contains("unknown name 'fourth_power'"), "{error}");
    let registry = || Registry::new().loss_fn(fourth_power).unwrap().metric_fn(below).unwrap();
    let again = Model::from_bytes(&bytes, Load::new().registry(registry())).unwrap();
    assert_eq!(again.evaluate(&x, &y).unwrap()["below"], model.evaluate(&x, &y).unwrap()["below"]);
    assert!(registry().metric_fn(below).unwrap_err().to_string().contains("a second metric 'below'"));
    // A closure is one as well, but for files.
    let closure = from_fn(|_, p: &Tensor| p.abs()).named("size");
    let model = stack().compile("sgd", "mse", closure).unwrap();
    assert!(model.evaluate(&x, &y).unwrap()["size"] >= 0.0);
    let error = model.to_bytes().unwrap_err().to_string();
    assert!(error.contains("a closure has no name"), "{error}");
}

#[test]
fn labels_of_one_class_are_left_out_of_the_mean() {
    use gradus::metric::AUC;
    let y = Tensor::new([[0.0, 0.0], [1.0, 0.0]]).unwrap();
    let p = Tensor::new([[0.2, 0.3], [0.6, 0.4]]).unwrap();
    let mut auc = AUC::new().multi_label(true);
    auc.update(&y, &p, None).unwrap();
    assert!(auc.result() == 1.0 && auc.results()[1].is_nan());
}

#[test]
fn weights_of_regions_are_no_whole_numbers() {
    use gradus::metric::MeanIoU;
    let (y, p) = (Tensor::new([0i64, 0, 1]).unwrap(), Tensor::new([0i64, 1, 1]).unwrap());
    let mut iou = MeanIoU::new(2);
    iou.update(&y, &p, Some(&Tensor::new([0.5, 0.25, 0.25]).unwrap())).unwrap();
    close("MeanIoU", &[iou.result()], &[(0.5 / 0.75 + 0.25 / 0.5) / 2.0], 1e-12);
}

#[test]
fn labels_in_a_column_are_labels() {
    let loss = loss::CategoricalGeneralizedCrossEntropy::new();
    let p = Tensor::new([[0.2, 0.8], [0.6, 0.4]]).unwrap();
    let (row, column) = (Tensor::new([1i64, 1]).unwrap(), Tensor::new([[1i64], [1]]).unwrap());
    let value = |y: &Tensor| loss.value(y, &p, None).unwrap().item().unwrap();
    assert_eq!(value(&row), value(&column));
    close("q = 0.5", &[value(&row)], &[2.0 - 0.8f64.sqrt() - 0.4f64.sqrt()], 1e-12);
    // Behind a softmax it is computed from logits, where a probability may be too small to be a number.
    let exact = loss.on_logits(&Softmax).unwrap();
    let z = Tensor::new([[0.0, -2000.0]]).unwrap().tracked();
    let value = exact.value(&Tensor::new([1i64]).unwrap(), &z, None).unwrap();
    assert!(value.item().unwrap() == 2.0);
    assert!(
        value.backward().unwrap().get(&z).unwrap().to_vec::<f64>().unwrap().iter().all(|g| g.is_finite())
    );
}

#[test]
fn the_guide_shows_what_it_runs() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/keras.md")).unwrap();
    let mut snippets = 0;
    for title in ["## Losses\n", "## Metrics\n"] {
        let section = page.split(title).nth(1).unwrap().split("\n## ").next().unwrap();
        let code = section.split("```rust").nth(1).unwrap().split("```").next().unwrap();
        for row in section.lines().filter(|line| line.starts_with("| ") && line.contains('`')) {
            let ours = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
            for snippet in ours.split("`, `").map(|s| s.trim_matches('`')) {
                assert!(code.contains(snippet), "{title}{snippet}");
                snippets += 1;
            }
        }
    }
    assert!(snippets > 60, "{snippets}");
}
