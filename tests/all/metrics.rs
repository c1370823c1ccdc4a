//! Compares metrics with Keras 3.15, after each of two updates, with and without weights.

use crate::golden::{golden, tensor};
use crate::scores::{compare, metric_of};
use gradus::prelude::*;

#[test]
fn metrics_follow_keras() {
    let g = golden("metrics");
    let cases = g["cases"].as_array().unwrap();
    for case in cases {
        let (name, input) =
            (case["metric"].as_str().unwrap(), &g["inputs"][case["inputs"].as_str().unwrap()]);
        let mut case = case.clone();
        case["name"] = name.into();
        let c = &case["config"];
        if name == "AUC" && c["thresholds"].is_null() && c["num_thresholds"].is_null() {
            case["config"]["num_thresholds"] = 200.into(); // as Keras; ours is exact
        }
        let y_pred = tensor(&input["y_pred"]);
        let y_true = match input["y_true"].is_null() {
            true => y_pred.clone(), // of values alone
            false if input["y_true"]["dtype"] == "i64" => tensor(&input["y_true"]).cast(DType::I64).unwrap(),
            false => tensor(&input["y_true"]),
        };
        let weights = case["sample_weight"].get("shape").map(|_| tensor(&case["sample_weight"]));
        let (cut, n) = (case["cut"].as_u64().unwrap() as isize, y_pred.dims()[0] as isize);
        let mut metric = metric_of(&case);
        for (update, (from, to)) in [(0, cut), (cut, n)].into_iter().enumerate() {
            let rows = |t: &Tensor| t.slice(0, from, to).unwrap();
            let what = format!("{name} {} on {} after {update}", case["config"], case["inputs"]);
            metric
                .update(&rows(&y_true), &rows(&y_pred), weights.as_ref().map(rows).as_ref())
                .unwrap_or_else(|e| panic!("{what}: {e}"));
            compare(&what, &case, &*metric, &case["results"][update]);
        }
        metric.reset();
        assert!(metric.result() == 0.0 || metric.result().is_nan(), "{name}");
    }
    assert!(cases.len() >= 200, "{}", cases.len());
}
