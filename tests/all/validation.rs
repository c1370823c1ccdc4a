//! Splits, cross-validation and what prepares data: scikit-learn's and Keras's own values (`tests/parity/validation.py`), and what must hold
//! of anything random.

use gradus::data::{PadSequences, Side, Timeseries, normalize, pad_sequences, to_categorical};
use gradus::prelude::*;
use gradus::train::balanced_class_weight;
use gradus::validation::{
    Fold, GroupKFold, KFold, LearningRateFinder, ShuffleSplit, StratifiedKFold, StratifiedShuffleSplit,
    TimeSeriesSplit, TrainTestSplit, cross_validate, train_test_split,
};
use serde_json::Value as Json;

fn golden(name: &str) -> Json {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity/goldens").join(name);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn numbers(value: &Json) -> Vec<i64> {
    value.as_array().unwrap().iter().map(|v| v.as_i64().unwrap()).collect()
}

fn ints(values: &[i64]) -> Tensor {
    Tensor::from_slice(values, [values.len()]).unwrap()
}

/// A whole number of rows, or a share.
fn size(value: &Json) -> data::Size {
    value.as_u64().map_or_else(|| value.as_f64().unwrap().into(), |n| (n as usize).into())
}

#[test]
fn folds_in_order_are_those_of_scikit_learn() {
    let golden = golden("folds.json");
    for case in golden["cases"].as_array().unwrap() {
        let n = case["n"].as_u64().unwrap() as usize;
        let x = Tensor::zeros([n, 1]).unwrap();
        let set = &case["settings"];
        let k = set["n_splits"].as_u64().unwrap_or(0) as usize;
        let y = || ints(&numbers(&case["y"]));
        let found = match case["kind"].as_str().unwrap() {
            "KFold" => KFold::new(k).split(&x),
            "StratifiedKFold" => StratifiedKFold::new(k).split(&y()),
            "GroupKFold" => GroupKFold::new(k).split(&ints(&numbers(&case["groups"]))),
            "TimeSeriesSplit" => {
                let mut split = TimeSeriesSplit::new(k);
                for (name, value) in set.as_object().unwrap() {
                    let value = value.as_u64().unwrap() as usize;
                    split = match name.as_str() {
                        "gap" => split.gap(value),
                        "test_size" => split.test_size(value),
                        "max_train_size" => split.max_train_size(value),
                        _ => split,
                    };
                }
                split.split(&x)
            }
            "train_test_split" => {
                let mut split = TrainTestSplit::new().shuffle(false);
                for (name, value) in set.as_object().unwrap() {
                    split = match name.as_str() {
                        "test_size" => split.test_size(size(value)),
                        _ => split.train_size(size(value)),
                    };
                }
                split.rows(n).map(|fold| vec![fold])
            }
            other => panic!("{other}"),
        };
        let found = found.unwrap();
        let rows = |rows: &[usize]| rows.iter().map(|&r| r as i64).collect::<Vec<_>>();
        let expected = case["folds"].as_array().unwrap();
        assert_eq!(found.len(), expected.len(), "{case}");
        for (fold, expected) in found.iter().zip(expected) {
            let both = (rows(&fold.train), rows(&fold.test));
            assert_eq!(both, (numbers(&expected[0]), numbers(&expected[1])), "{case}");
        }
    }
    for case in golden["sizes"].as_array().unwrap() {
        let mut split = ShuffleSplit::new(1);
        for (name, value) in case[1].as_object().unwrap() {
            split = if name == "test_size" {
                split.test_size(size(value))
            } else {
                split.train_size(size(value))
            };
        }
        let fold = &split.split(&Tensor::zeros([case[0].as_u64().unwrap() as usize]).unwrap()).unwrap()[0];
        assert_eq!(vec![fold.train.len() as i64, fold.test.len() as i64], numbers(&case[2]), "{case}");
    }
    for case in golden["weights"].as_array().unwrap() {
        let found = balanced_class_weight(&ints(&numbers(&case[0]))).unwrap();
        assert_eq!(found.iter().map(|(c, _)| *c).collect::<Vec<_>>(), numbers(&case[1]));
        let weights: Vec<f64> = case[2].as_array().unwrap().iter().map(|w| w.as_f64().unwrap()).collect();
        assert_eq!(found.iter().map(|(_, w)| *w).collect::<Vec<_>>(), weights);
    }
}

/// Each row is held back once, and no row is on both sides.
fn is_a_partition(folds: &[Fold], n: usize) {
    let mut held = vec![0; n];
    for fold in folds {
        assert_eq!(fold.train.len() + fold.test.len(), n);
        fold.test.iter().for_each(|&row| held[row] += 1);
        let mut all: Vec<usize> = fold.train.iter().chain(&fold.test).copied().collect();
        all.sort_unstable();
        assert_eq!(all, (0..n).collect::<Vec<_>>());
    }
    assert!(held.iter().all(|h| *h == 1), "{held:?}");
}

#[test]
fn shuffled_folds_are_fair_and_repeat() {
    let y: Vec<i64> = (0..57).map(|i| i64::from(i % 7 < 2) + i64::from(i % 7 == 6)).collect();
    let groups: Vec<i64> = (0..57).map(|i| i / 4).collect();
    let (x, y, g) = (Tensor::zeros([57, 2]).unwrap(), ints(&y), ints(&groups));
    type Splits<'a> = &'a (dyn Fn(u64) -> Vec<Fold> + Sync);
    let kfold: Splits<'_> = &|seed| KFold::new(4).shuffle(seed).split(&x).unwrap();
    let stratified: Splits<'_> = &|seed| StratifiedKFold::new(4).shuffle(seed).split(&y).unwrap();
    let grouped: Splits<'_> = &|seed| GroupKFold::new(4).shuffle(seed).split(&g).unwrap();
    for split in [kfold, stratified, grouped] {
        let one = split(1);
        is_a_partition(&one, 57);
        assert_eq!(one, split(1));
        assert_ne!(one, split(2));
        gradus::with_threads(1, || assert_eq!(one, split(1))).unwrap();
    }
    let labels = y.to_vec::<i64>().unwrap();
    for fold in stratified(3) {
        for class in 0..3 {
            let count = |rows: &[usize]| rows.iter().filter(|&&r| labels[r] == class).count() as f64;
            let share = labels.iter().filter(|l| **l == class).count() as f64 / 4.0;
            assert!((count(&fold.test) - share).abs() <= 1.0);
        }
    }
    for fold in grouped(3) {
        assert!(fold.test.iter().all(|&r| fold.train.iter().all(|&t| groups[t] != groups[r])));
    }
    for fold in StratifiedShuffleSplit::new(5).test_size(0.3).train_size(20).seed(9).split(&y).unwrap() {
        assert_eq!((fold.train.len(), fold.test.len()), (20, 18));
        assert!(fold.test.iter().all(|row| !fold.train.contains(row)));
        for class in 0..3 {
            let count = |rows: &[usize]| rows.iter().filter(|&&r| labels[r] == class).count() as f64;
            let of = labels.iter().filter(|l| **l == class).count() as f64 / 57.0;
            assert!(
                (count(&fold.train) - 20.0 * of).abs() < 1.0 && (count(&fold.test) - 18.0 * of).abs() < 1.5
            );
        }
    }
    let splits = ShuffleSplit::new(2).seed(4).split(&x).unwrap();
    assert_ne!(splits[0], splits[1]);
    // One-hot rows and a column of labels say the same.
    let hot = to_categorical(&y, None).unwrap();
    let folds = StratifiedKFold::new(3).split(&y).unwrap();
    assert_eq!(folds, StratifiedKFold::new(3).split(&hot).unwrap());
    assert_eq!(folds, StratifiedKFold::new(3).split(&y.reshape([57, 1]).unwrap()).unwrap());
}

#[test]
fn what_cannot_be_split_says_what_to_write() {
    let x = Tensor::zeros([4, 2]).unwrap();
    let y = ints(&[0, 0, 0, 1]);
    let says = |result: gradus::Result<Vec<Fold>>, words: &[&str]| {
        let e = result.unwrap_err().to_string();
        assert!(words.iter().all(|w| e.contains(w)), "{e}");
    };
    says(KFold::new(1).split(&x), &["n_splits", "2 folds or more", "train_test_split"]);
    says(KFold::new(5).split(&x), &["n_splits", "at most 4", "got 5"]);
    says(StratifiedKFold::new(2).split(&y), &["n_splits", "at most 1", "class 1"]);
    says(StratifiedKFold::new(2).split(&Tensor::rand([4], 1).unwrap()), &["y", "whole numbers"]);
    says(GroupKFold::new(3).split(&y), &["n_splits", "at most 2", "groups"]);
    says(TimeSeriesSplit::new(4).split(&x), &["n_splits", "fewer than the 4 rows"]);
    says(TimeSeriesSplit::new(2).gap(2).split(&x), &["gap", "2 folds"]);
    says(TimeSeriesSplit::new(2).test_size(2).split(&x), &["test_size"]);
    says(ShuffleSplit::new(1).test_size(1.5).split(&x), &["test_size", "between 0 and 1"]);
    says(ShuffleSplit::new(1).test_size(4).split(&x), &["test_size", "1 to 3"]);
    says(
        ShuffleSplit::new(1).test_size(0.9).train_size(0.2).split(&x),
        &["train_size", "at most 1 together"],
    );
    says(ShuffleSplit::new(1).test_size(0.9).split(&x), &["train_size", "at least one of 4"]);
    says(ShuffleSplit::new(0).split(&x), &["n_splits"]);
    says(StratifiedShuffleSplit::new(1).split(&y), &["stratify", "at least 2 rows of each class"]);
    says(
        StratifiedShuffleSplit::new(1).test_size(1).split(&ints(&[0, 0, 1, 1])),
        &["test_size", "one for each class"],
    );
    let e = train_test_split(&x, &ints(&[0]), &TrainTestSplit::new()).unwrap_err().to_string();
    assert!(e.contains("4 rows"), "{e}");
    let e = TrainTestSplit::new().shuffle(false).stratify(&y).rows(4).unwrap_err().to_string();
    assert!(e.contains("stratify") && e.contains("shuffle(false)"), "{e}");
}

fn new_model(fold: usize) -> gradus::Result<Model> {
    let stack =
        Sequential::new().add(Input::new(3)).add(Dense::new(4).activation(Tanh)).add(Dropout::new(0.2));
    stack.add(Dense::new(1)).seed(fold as u64).compile(Adam::new(0.02), "mse", ["mae"])
}

#[test]
fn folds_are_those_of_a_loop_by_hand_for_any_number_of_threads() {
    let x = Tensor::randn([50, 3], 0).unwrap();
    let y = x.sum(&[1], true).unwrap();
    let folds = KFold::new(4).shuffle(3);
    let run = || {
        let fit = || Fit::new().epochs(3).batch_size(8).verbose(0);
        cross_validate(new_model, &x, &y, &folds, fit).unwrap()
    };
    let scores = run();
    for threads in [1, 3] {
        let again = gradus::with_threads(threads, run).unwrap();
        for name in ["loss", "mae"] {
            let bits = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&scores[name]), bits(&again[name]));
        }
    }
    let mut by_hand = Vec::new();
    for (i, fold) in folds.split(&x).unwrap().iter().enumerate() {
        let mut model = new_model(i).unwrap();
        let (x_train, y_train) = (fold.train_rows(&x).unwrap(), fold.train_rows(&y).unwrap());
        model.fit(&x_train, &y_train, Fit::new().epochs(3).batch_size(8).verbose(0)).unwrap();
        let logs = model
            .evaluate_with(
                &fold.test_rows(&x).unwrap(),
                &fold.test_rows(&y).unwrap(),
                &Evaluate::new().batch_size(8),
            )
            .unwrap();
        by_hand.push(logs["mae"]);
    }
    assert_eq!(scores["mae"], by_hand[..]);
    assert_eq!((scores.folds(), scores.keys().collect::<Vec<_>>()), (4, vec!["loss", "mae"]));
    let mean = by_hand.iter().sum::<f64>() / 4.0;
    let std = (by_hand.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / 4.0).sqrt();
    assert!(
        (scores.mean("mae").unwrap() - mean).abs() < 1e-15
            && (scores.std("mae").unwrap() - std).abs() < 1e-15
    );
    assert!(scores.mean("auc").unwrap_err().to_string().contains("one of loss, mae"));
    assert!(scores.to_string().lines().nth(1).unwrap().starts_with("mae: "), "{scores}");
    assert_eq!(scores.histories()[3]["loss"].len(), 3);
}

#[test]
fn errors_of_cross_validation_name_the_fold() {
    let (x, y) = (Tensor::ones([6, 3]).unwrap(), Tensor::ones([6, 1]).unwrap());
    let fit = || Fit::new().verbose(0);
    let wrong =
        |fold: usize| if fold == 1 { Sequential::new().compile("adam", "mse", ()) } else { new_model(fold) };
    let e = cross_validate(wrong, &x, &y, &KFold::new(2), fit).unwrap_err().to_string();
    assert!(e.starts_with("fold 1: "), "{e}");
    let e = cross_validate(new_model, &x, &Tensor::ones([5, 1]).unwrap(), &KFold::new(2), fit)
        .unwrap_err()
        .to_string();
    assert!(e.starts_with("y: expected 6 rows"), "{e}");
    let own = [Fold { train: vec![0, 6], test: vec![1] }];
    let e = cross_validate(new_model, &x, &y, &own, fit).unwrap_err().to_string();
    assert!(e.contains("rows below 6") && e.contains("fold 0"), "{e}");
    let groups = GroupKFold::new(3).split(&ints(&[1, 1, 2, 2, 3, 3])).unwrap();
    assert_eq!(cross_validate(new_model, &x, &y, &groups, fit).unwrap().folds(), 3);
}

#[test]
fn balanced_weights_are_those_given_by_hand() {
    let x = Tensor::randn([40, 3], 1).unwrap();
    let labels: Vec<i64> = (0..40).map(|i| i64::from(i % 5 == 0)).collect();
    let y = ints(&labels);
    let model = || {
        let stack = Sequential::new().add(Input::new(3)).add(Dense::new(2).activation(Softmax)).seed(3);
        stack.compile("sgd", SparseCategoricalCrossentropy::new(), ()).unwrap()
    };
    let bits = |fit: Fit<'_>| {
        let mut model = model();
        model.fit(&x, &y, fit.verbose(0).epochs(2)).unwrap();
        model.weight_bytes().unwrap()
    };
    let by_hand = bits(Fit::new().class_weight([(0, 40.0 / 64.0), (1, 40.0 / 16.0)]));
    assert_eq!(bits(Fit::new().class_weight_balanced()), by_hand);
    assert_eq!(bits(Fit::new().class_weight(balanced_class_weight(&y).unwrap())), by_hand);
    // With rows held back, of those that are trained on.
    let rest: Vec<i64> = labels[..28].to_vec();
    let weights = balanced_class_weight(&ints(&rest)).unwrap();
    let split = bits(Fit::new().validation_split(0.3).class_weight_balanced());
    assert_eq!(split, bits(Fit::new().validation_split(0.3).class_weight(weights)));
    let both = Fit::new().class_weight([(0, 1.0)]).class_weight_balanced();
    assert!(model().fit(&x, &y, both).unwrap_err().to_string().contains("class_weight_balanced"));
    let regression = Fit::new().class_weight_balanced().verbose(0);
    let e = new_model(0)
        .unwrap()
        .fit(&x, &Tensor::rand([40, 1], 0).unwrap(), regression)
        .unwrap_err()
        .to_string();
    assert!(e.contains("class_weight"), "{e}");
}

#[test]
fn the_search_for_a_rate_leaves_the_model_and_finds_one_that_learns() {
    let x = Tensor::randn([128, 4], 0).unwrap();
    let y = x.sum(&[1], true).unwrap();
    let stack = Sequential::new().add(Input::new(4)).add(Dense::new(1)).seed(1);
    let mut model = stack.compile("sgd", "mse", ()).unwrap();
    let before = (model.weight_bytes().unwrap(), model.learning_rate());
    let finder = LearningRateFinder::new().range(1e-5, 10.0).steps(60).smoothing(0.9);
    let found = finder.find(&model, &x, &y).unwrap();
    assert_eq!((model.weight_bytes().unwrap(), model.learning_rate()), before);
    // Rates grow by one factor, and smoothed losses are the mean that they should be.
    let factor = found.rates[1] / found.rates[0];
    assert!(found.rates.windows(2).all(|r| (r[1] / r[0] / factor - 1.0).abs() < 1e-12));
    let mut mean = 0.0;
    for (i, loss) in found.losses.iter().enumerate() {
        mean = 0.9 * mean + 0.1 * loss;
        let smooth = mean / (1.0 - libm::pow(0.9, (i + 1) as f64));
        assert!((smooth - found.smoothed[i]).abs() <= 1e-12 * smooth);
    }
    assert!(found.rates.len() < 60, "it stops where the loss is too large");
    let rate = found.suggestion().unwrap();
    assert!((1e-3..1.0).contains(&rate), "{rate}");
    assert_eq!(finder.find(&model, &x, &y).unwrap().smoothed, found.smoothed);
    let first = model.evaluate(&x, &y).unwrap()["loss"];
    model.set_learning_rate(rate).unwrap();
    model.fit(&x, &y, Fit::new().epochs(5).verbose(0)).unwrap();
    assert!(model.evaluate(&x, &y).unwrap()["loss"] < 0.2 * first);
    for bad in [finder.clone().range(1.0, 0.1), finder.clone().steps(2), finder.clone().smoothing(1.0)] {
        assert!(bad.find(&model, &x, &y).is_err());
    }
}

#[test]
fn what_prepares_data_gives_the_numbers_of_keras() {
    let golden = golden("utils.json");
    let nested = |value: &Json| value.as_array().unwrap().iter().map(numbers).collect::<Vec<_>>();
    for case in golden["pad"].as_array().unwrap() {
        let side = |v: &Json| if v == "pre" { Side::Pre } else { Side::Post };
        let mut settings = PadSequences::new().padding(side(&case[2])).truncating(side(&case[3]));
        settings = settings.value(case[4].as_i64().unwrap());
        if let Some(n) = case[1].as_u64() {
            settings = settings.maxlen(n as usize);
        }
        let found = pad_sequences(&nested(&case[0]), &settings).unwrap();
        let expected = nested(&case[5]);
        assert_eq!(found.dims(), [expected.len(), expected[0].len()], "{case}");
        assert_eq!(found.to_vec::<i64>().unwrap(), expected.concat(), "{case}");
    }
    fn flat(value: &Json, out: &mut Vec<f64>, shape: &mut Vec<usize>, depth: usize) {
        match value.as_array() {
            Some(list) => {
                if shape.len() == depth {
                    shape.push(list.len());
                }
                list.iter().for_each(|v| flat(v, out, shape, depth + 1));
            }
            None => out.push(value.as_f64().unwrap()),
        }
    }
    let tensor = |value: &Json| {
        let (mut values, mut shape) = (Vec::new(), Vec::new());
        flat(value, &mut values, &mut shape, 0);
        Tensor::from_slice(&values, shape).unwrap()
    };
    for case in golden["categorical"].as_array().unwrap() {
        let found = to_categorical(&tensor(&case[0]), case[1].as_u64().map(|n| n as usize)).unwrap();
        let expected = tensor(&case[2]);
        assert_eq!(
            (found.dims(), found.cast(DType::F64).unwrap().to_vec::<f64>().unwrap()),
            (expected.dims(), expected.to_vec().unwrap())
        );
    }
    for case in golden["normalize"].as_array().unwrap() {
        let order = case[2].as_str().unwrap().parse().unwrap();
        let found = normalize(&tensor(&case[0]), case[1].as_i64().unwrap() as isize, order).unwrap();
        for (a, b) in found.to_vec::<f64>().unwrap().iter().zip(tensor(&case[3]).to_vec::<f64>().unwrap()) {
            assert!((a - b).abs() <= 1e-12, "{case}");
        }
    }
    assert!(to_categorical(&ints(&[0, -1]), None).is_err() && to_categorical(&ints(&[3]), 3).is_err());
    assert!(pad_sequences(&[[1i64]], &PadSequences::new().maxlen(0)).is_err());
    assert!(pad_sequences::<i64>(&[] as &[Vec<i64>], &PadSequences::new()).is_err());
    // Along the first axis too, where Keras divides by the wrong norms.
    let x = Tensor::from_slice(&[3.0f64, 0.0, 4.0, 2.0], [2, 2]).unwrap();
    assert_eq!(normalize(&x, 0, 2.0).unwrap().to_vec::<f64>().unwrap(), [0.6, 0.0, 0.8, 1.0]);
}

/// `keras.utils.timeseries_dataset_from_array`, in the words of its documentation.
#[test]
fn windows_are_where_keras_cuts_them() {
    let series = Tensor::arange(99).unwrap();
    let windows = |t: Timeseries| -> Vec<Vec<i64>> {
        let data = t.dataset(&series, None).unwrap();
        data.iter().map(|s| s.unwrap().x[0].to_vec::<i64>().unwrap()).collect()
    };
    let found = windows(Timeseries::new(10).sampling_rate(2).sequence_stride(3));
    assert_eq!(found[1], [3, 5, 7, 9, 11, 13, 15, 17, 19, 21]);
    assert_eq!(found.last().unwrap(), &[78, 80, 82, 84, 86, 88, 90, 92, 94, 96]);
    assert_eq!(windows(Timeseries::new(3).start_index(10).end_index(14)), [[10, 11, 12], [11, 12, 13]]);
    // One by one, in batches and with targets they are the same.
    let x = Tensor::rand([30, 2], 0).unwrap();
    let y = Tensor::arange(20).unwrap();
    let t = Timeseries::new(4).sampling_rate(2).sequence_stride(2).start_index(1);
    let data = t.dataset(&x, Some(&y)).unwrap();
    let single: Vec<_> = data.iter().map(|s| s.unwrap()).collect();
    assert_eq!(single.len(), 10); // targets 1, 3, … 19
    for (i, sample) in data
        .batch(4)
        .iter()
        .flat_map(|b| {
            let b = b.unwrap();
            (0..b.x[0].dims()[0])
                .map(move |i| (b.x[0].select(0, i as isize).unwrap(), b.y[0].select(0, i as isize).unwrap()))
        })
        .enumerate()
    {
        assert!(sample.0.same_bits(&single[i].x[0]) && sample.1.same_bits(&single[i].y[0]));
        assert_eq!(sample.1.item().unwrap() as usize, 1 + 2 * i);
        assert!(sample.0.select(0, 3).unwrap().same_bits(&x.select(0, 1 + 2 * i as isize + 6).unwrap()));
    }
    for (bad, name) in [
        (Timeseries::new(0), "sequence_length"),
        (Timeseries::new(100), "sequence_length: expected at most 99"),
        (Timeseries::new(2).sampling_rate(0), "sampling_rate"),
        (Timeseries::new(2).start_index(99), "start_index"),
        (Timeseries::new(2).end_index(100), "end_index"),
    ] {
        let e = bad.dataset(&series, None).err().unwrap().to_string();
        assert!(e.starts_with(name), "{e}");
    }
}
