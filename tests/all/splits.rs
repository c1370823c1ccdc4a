//! Tests that a row that is validated on is never trained on, whatever the order of a dataset's steps and the
//! number of the pass.

use gradus::Result;
use gradus::data::{Sample, Size};
use gradus::prelude::*;
use std::collections::BTreeSet;

/// The numbers `0..n`.
fn rows(n: usize) -> Dataset {
    let x = Tensor::arange(n).unwrap().cast(DType::F32).unwrap().reshape([-1, 1]).unwrap();
    Dataset::from_tensors(&x, &x).unwrap()
}

/// The rows of a pass.
fn of(data: &Dataset, pass: u64) -> Vec<i64> {
    data.pass(pass)
        .flat_map(|s| {
            s.unwrap().x[0].to_vec::<f32>().unwrap().into_iter().map(|v| v.round() as i64).collect::<Vec<_>>()
        })
        .collect()
}

fn why<T>(result: Result<T>) -> String {
    result.map(drop).unwrap_err().to_string()
}

type Step = fn(&Dataset) -> Dataset;

#[test]
fn a_shuffle_followed_by_a_split_is_refused_whatever_stands_between() {
    let orders: [Step; 4] =
        [|d| d.shuffle(1), |d| d.shuffle_buffer(4, 1), |d| d.repeat(2), |d| d.repeat_forever().take(20)];
    let between: [Step; 8] = [
        |d| d.clone(),
        |d| d.map(Ok),
        |d| d.map_random(3, |s, _| Ok(s)),
        |d| d.batch(2),
        |d| d.prefetch(1),
        |d| d.take(8),
        |d| d.skip(1),
        |d| d.zip(&rows(10)),
    ];
    for order in orders {
        for between in between {
            for data in [between(&order(&rows(10))), order(&between(&rows(10)))] {
                let message = why(data.split(0.5, Size::Rest));
                assert!(message.contains("split before you"), "{message}");
            }
        }
    }
    let message = why(rows(10).shuffle(1).split(0.8, Size::Rest));
    assert!(message.contains("shuffle_once") && message.contains("change sides"), "{message}");
}

#[test]
fn the_sides_of_a_split_are_the_same_rows_in_every_pass() {
    let plain: [Step; 6] = [
        |d| d.clone(),
        |d| d.shuffle_once(7),
        |d| d.shuffle_once(7).batch(3),
        |d| d.skip(2).take(17).shuffle_once(8).map(Ok),
        |d| {
            d.map_random(1, |mut s: Sample, random| {
                s.x[0] = s.x[0].affine(1.0, 0.2 * random.uniform(0))?;
                Ok(s)
            })
        },
        |d| d.zip(d).prefetch(2),
    ];
    for (i, step) in plain.into_iter().enumerate() {
        let (left, right) = step(&rows(20)).split(0.75, Size::Rest).unwrap();
        // What comes after the split may be in any order, and several times.
        let (left, right) = (left.shuffle(3), right.shuffle(4).repeat(2));
        let sides: Vec<(BTreeSet<i64>, BTreeSet<i64>)> = (0..5)
            .map(|pass| (BTreeSet::from_iter(of(&left, pass)), BTreeSet::from_iter(of(&right, pass))))
            .collect();
        assert!(sides.iter().all(|s| *s == sides[0]), "{i}");
        assert!(sides[0].0.is_disjoint(&sides[0].1), "{i}");
    }
}

#[test]
fn a_shuffle_once_has_one_order_in_all_passes() {
    let data = rows(30).shuffle_once(5);
    assert_eq!(of(&data, 0), of(&data, 9));
    assert_eq!(of(&data, 0), of(&rows(30).shuffle(5), 0));
    assert_ne!(of(&data, 0), of(&rows(30), 0));
}

fn model() -> Model {
    let stack = Sequential::new().add(Input::new([1])).add(Dense::new(1));
    stack.compile(SGD::new(1e-4), MeanSquaredError::new(), ()).unwrap()
}

fn fit(train: &Dataset, validation: &Dataset) -> Result<()> {
    let settings = Fit::new().verbose(0).steps_per_epoch(1).validation_dataset(validation);
    model().fit_dataset(train, settings)?;
    Ok(())
}

#[test]
fn training_and_validating_on_parts_of_one_shuffled_dataset_is_refused() {
    let all = rows(20);
    let shuffled = all.shuffle(1);
    let endless = all.repeat_forever();
    for (train, validation) in [
        (shuffled.take(15), shuffled.skip(15)),
        (shuffled.take(15).batch(5), shuffled.skip(15).map(Ok).batch(5)),
        (shuffled.batch(5).take(3), shuffled.batch(5).skip(3)),
        (all.shuffle(1).take(15), all.shuffle(1).skip(15)),
        (all.shuffle(1).take(15), all.skip(15)),
        (all.take(15), all.shuffle_buffer(20, 2).skip(15)),
        (endless.take(15), endless.skip(15).take(5)),
    ] {
        let batched =
            |d: Dataset| if d.iter().next().unwrap().unwrap().x[0].rank() == 1 { d.batch(5) } else { d };
        let message = why(fit(&batched(train), &batched(validation)));
        assert!(
            message.starts_with("validation_dataset: expected rows that are not trained on"),
            "{message}"
        );
    }
}

#[test]
fn training_and_validating_on_rows_that_stay_apart_is_not_refused() {
    let all = rows(20);
    let (left, right) = all.split(0.75, Size::Rest).unwrap();
    let once = all.shuffle_once(1);
    for (train, validation) in [
        (left.shuffle(1), right.shuffle(2)),
        (left.shuffle(1).take(10), right.clone()),
        (left.repeat(3).take(40), right.repeat(2)),
        (all.take(15).shuffle(1), all.skip(15)),
        (once.take(15).shuffle(3), once.skip(15)),
        (all.batch(5).take(3).shuffle(1), all.batch(5).skip(3)),
        // All rows to train on, and some of them to look at: asked for by name.
        (all.shuffle(1), all.take(5)),
        (all.shuffle(1), all.shuffle(2).take(5)),
        (all.shuffle(1), all.clone()),
    ] {
        let batched =
            |d: Dataset| if d.iter().next().unwrap().unwrap().x[0].rank() == 1 { d.batch(5) } else { d };
        fit(&batched(train), &batched(validation)).unwrap();
    }
}

#[test]
fn validation_split_takes_the_same_last_rows_in_every_epoch_and_never_trains_on_them() {
    // The last 10 of 40 rows have targets that training would at once make the loss infinite with.
    let x = Tensor::ones([40, 1]).unwrap();
    let y: Vec<f32> = (0..40).map(|i| if i < 30 { 0.0 } else { 3e38 }).collect();
    let y = Tensor::from_slice(&y, [40, 1]).unwrap();
    let history = model().fit(&x, &y, Fit::new().epochs(5).validation_split(0.25).verbose(0)).unwrap();
    assert!(history["loss"].iter().all(|loss| loss.is_finite()), "{:?}", &history["loss"]);
    assert!(history["val_loss"].iter().all(|loss| loss.is_infinite()), "{:?}", &history["val_loss"]);
}
