//! Compares metrics with Keras 3.15, after each of two updates, with and without weights.

use crate::golden::{close, floats, golden, tensor};
use gradus::loss;
use gradus::metric::{self, *};
use gradus::prelude::*;
use serde_json::Value;

/// Reads a metric: usually its one figure, sometimes one for each class.
type Read = fn(&Value, &dyn Metric) -> Vec<f64>;

/// One metric for each number that Keras gives.
fn metrics(name: &str, c: &Value) -> Option<Vec<Box<dyn Metric>>> {
    let has = |key: &str| !c[key].is_null();
    let flag = c["from_logits"].as_bool().unwrap_or(false);
    let smoothing = c["label_smoothing"].as_f64().unwrap_or(0.0);
    let k = c["k"].as_u64().unwrap_or(5) as usize;
    let average = match c["average"].as_str() {
        Some("micro") => Average::Micro,
        Some("weighted") => Average::Weighted,
        Some("macro") => Average::Macro,
        _ if matches!(name, "F1Score" | "FBetaScore") => return None,
        _ => Average::Macro,
    };
    macro_rules! at_thresholds {
        ($type:ident $(, $parts:ident)?) => {{
            let thresholds = if has("thresholds") { floats(&c["thresholds"]).into_iter().map(Some).collect() } else { vec![None] };
            thresholds
                .into_iter()
                .map(|t| {
                    #[allow(unused_mut)]
                    let mut m = $type::new();
                    $(
                        let _ = stringify!($parts);
                        if let Some(k) = c["top_k"].as_u64() {
                            m = m.top_k(k as usize);
                        }
                        if let Some(id) = c["class_id"].as_u64() {
                            m = m.class_id(id as usize);
                        }
                    )?
                    Box::new(match t { Some(t) => m.threshold(t), None => m }) as Box<dyn Metric>
                })
                .collect()
        }};
    }
    let one: Box<dyn Metric> = match name {
        "BinaryAccuracy" => Box::new(BinaryAccuracy::new().threshold(c["threshold"].as_f64().unwrap_or(0.5))),
        "CategoricalAccuracy" => Box::new(CategoricalAccuracy::new()),
        "SparseCategoricalAccuracy" => Box::new(SparseCategoricalAccuracy::new()),
        "TopKCategoricalAccuracy" => Box::new(TopKCategoricalAccuracy::new(k)),
        "SparseTopKCategoricalAccuracy" => Box::new(SparseTopKCategoricalAccuracy::new(k)),
        "TruePositives" => return Some(at_thresholds!(TruePositives)),
        "TrueNegatives" => return Some(at_thresholds!(TrueNegatives)),
        "FalsePositives" => return Some(at_thresholds!(FalsePositives)),
        "FalseNegatives" => return Some(at_thresholds!(FalseNegatives)),
        "Precision" => return Some(at_thresholds!(Precision, parts)),
        "Recall" => return Some(at_thresholds!(Recall, parts)),
        "AUC" if !has("multi_label") && !has("thresholds") => {
            let curve = if c["curve"] == "PR" { Curve::PR } else { Curve::ROC };
            let method = match c["summation_method"].as_str() {
                Some("minoring") => Summation::Minoring,
                Some("majoring") => Summation::Majoring,
                _ => Summation::Interpolation,
            };
            let n = c["num_thresholds"].as_u64().unwrap_or(200) as usize;
            Box::new(AUC::new().curve(curve).summation_method(method).num_thresholds(n).from_logits(flag))
        }
        "F1Score" => {
            let f = F1Score::new().average(average);
            Box::new(match c["threshold"].as_f64() {
                Some(t) => f.threshold(t),
                None => f,
            })
        }
        "FBetaScore" => Box::new(FBetaScore::new(c["beta"].as_f64().unwrap()).average(average)),
        "MeanSquaredError" => Box::new(metric::MeanSquaredError::new()),
        "RootMeanSquaredError" => Box::new(RootMeanSquaredError::new()),
        "MeanAbsoluteError" => Box::new(metric::MeanAbsoluteError::new()),
        "CosineSimilarity" => Box::new(metric::CosineSimilarity::new()),
        "R2Score" if c.as_object().unwrap().is_empty() => Box::new(R2Score::new()),
        "MeanIoU" => {
            let m = MeanIoU::new(c["num_classes"].as_u64().unwrap() as usize);
            Box::new(match c["ignore_class"].as_i64() {
                Some(i) => m.ignore_class(i),
                None => m,
            })
        }
        "LogCoshError" => Box::new(MeanLoss::new(loss::LogCosh::new()).named("logcosh")),
        "MeanAbsolutePercentageError" => Box::new(MeanLoss::new(loss::MeanAbsolutePercentageError::new())),
        "MeanSquaredLogarithmicError" => Box::new(MeanLoss::new(loss::MeanSquaredLogarithmicError::new())),
        "BinaryCrossentropy" => {
            let l = BinaryCrossentropy::new().from_logits(flag).label_smoothing(smoothing);
            Box::new(MeanLoss::new(l))
        }
        "CategoricalCrossentropy" => {
            let l = CategoricalCrossentropy::new().from_logits(flag).label_smoothing(smoothing);
            Box::new(MeanLoss::new(l))
        }
        "SparseCategoricalCrossentropy" => {
            Box::new(MeanLoss::new(SparseCategoricalCrossentropy::new().from_logits(flag)))
        }
        "Hinge" => Box::new(MeanLoss::new(loss::Hinge::new())),
        "SquaredHinge" => Box::new(MeanLoss::new(loss::SquaredHinge::new())),
        "CategoricalHinge" => Box::new(MeanLoss::new(loss::CategoricalHinge::new())),
        "KLDivergence" => Box::new(MeanLoss::new(loss::KLDivergence::new())),
        "Poisson" => Box::new(MeanLoss::new(loss::Poisson::new())),
        _ => return None,
    };
    Some(vec![one])
}

fn check(case: &Value, g: &Value, mut list: Vec<Box<dyn Metric>>, read: Read) {
    let (name, c) = (case["metric"].as_str().unwrap(), &case["config"]);
    let input = &g["inputs"][case["inputs"].as_str().unwrap()];
    let integers = input["y_true"]["dtype"] == "i64";
    let y_true = tensor(&input["y_true"]).cast(if integers { DType::I64 } else { DType::F64 }).unwrap();
    let y_pred = tensor(&input["y_pred"]);
    let weights = case["sample_weight"].get("shape").map(|_| tensor(&case["sample_weight"]));
    let (cut, n) = (case["cut"].as_u64().unwrap() as isize, y_pred.dims()[0] as isize);
    // The intersections over union are single precision in Keras.
    let tolerance = if name == "MeanIoU" { 1e-6 } else { 1e-9 };
    for (update, (from, to)) in [(0, cut), (cut, n)].into_iter().enumerate() {
        let rows = |t: &Tensor| t.slice(0, from, to).unwrap();
        let what = format!("{name} {c} on {} after {update}", case["inputs"]);
        let mut got = vec![];
        for m in &mut list {
            m.update(&rows(&y_true), &rows(&y_pred), weights.as_ref().map(rows).as_ref())
                .unwrap_or_else(|e| panic!("{what}: {e}"));
            got.extend(read(c, &**m));
        }
        close(&what, &got, &floats(&case["results"][update]["data"]), tolerance);
    }
    for m in &mut list {
        let known = case["name"].as_str().unwrap().trim_end_matches(|c: char| c.is_ascii_digit());
        assert_eq!(m.name(), known.trim_end_matches('_'), "{name}");
        m.reset();
        assert_eq!(m.result(), 0.0, "{name}");
    }
}

#[test]
fn metrics_follow_keras() {
    let g = golden("metrics");
    let mut checked = 0;
    for case in g["cases"].as_array().unwrap() {
        // Keras casts the weights of an intersection over union to integers.
        if case["metric"] == "MeanIoU" && !case["sample_weight"].is_null() {
            continue;
        }
        if let Some(list) = metrics(case["metric"].as_str().unwrap(), &case["config"]) {
            check(case, &g, list, |_, m| vec![m.result()]);
            checked += 1;
        }
    }
    assert!(checked >= 170, "{checked} metrics were checked");
}

#[test]
fn figures_of_each_class() {
    let g = golden("metrics");
    for case in g["cases"].as_array().unwrap() {
        let c = &case["config"];
        if case["metric"] != "F1Score" || !c["average"].is_null() || !case["sample_weight"].is_null() {
            continue;
        }
        let input = &g["inputs"][case["inputs"].as_str().unwrap()];
        let mut f = F1Score::new();
        if let Some(t) = c["threshold"].as_f64() {
            f = f.threshold(t);
        }
        f.update(&tensor(&input["y_true"]), &tensor(&input["y_pred"]), None).unwrap();
        close("F1Score by class", &f.by_class(), &floats(&case["results"][1]["data"]), 1e-9);
    }
}
