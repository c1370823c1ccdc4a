//! Tests that what a dataset gives depends only on its seed and the pass, not on workers or on who is slow; and
//! that its threads end when nobody needs them any more.

use gradus::data::{Cardinality, Sample, Size, Source};
use gradus::prelude::*;
use gradus::{Error, Result};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The numbers `0..n`, as inputs and, times ten, as targets.
fn numbers(n: usize) -> Dataset {
    let x: Vec<f32> = (0..n).map(|i| i as f32).collect();
    let y: Vec<f32> = x.iter().map(|v| v * 10.0).collect();
    let tensor = |v: &[f32]| Tensor::from_slice(v, [n, 1]).unwrap();
    Dataset::from_tensors(&tensor(&x), &tensor(&y)).unwrap()
}

fn one(v: usize) -> Sample {
    Sample::new(&Tensor::scalar(v as f32).unwrap(), &[] as &[Tensor])
}

/// The same numbers one after the other, until `n`.
fn stream(n: usize) -> Dataset {
    Dataset::from_stream(move |_| Ok((0..n).map(|i| Ok(one(i)))))
}

/// The numbers of each item.
fn values(data: &Dataset, pass: u64) -> Vec<Vec<f32>> {
    data.pass(pass).map(|s| s.unwrap().x[0].to_vec::<f32>().unwrap()).collect()
}

fn flat(data: &Dataset, pass: u64) -> Vec<f32> {
    values(data, pass).concat()
}

fn counted(n: usize) -> Vec<f32> {
    (0..n).map(|i| i as f32).collect()
}

const WORKERS: [usize; 4] = [0, 1, 2, 7];

#[test]
fn batches_stack_rows_and_keep_or_drop_the_rest() {
    let data = numbers(7);
    assert_eq!(data.cardinality(), Cardinality::Known(7));
    assert_eq!(values(&data.batch(3), 0), [vec![0., 1., 2.], vec![3., 4., 5.], vec![6.]]);
    assert_eq!(data.batch(3).cardinality(), Cardinality::Known(3));
    assert_eq!(values(&data.batch_exact(3), 0), [[0., 1., 2.], [3., 4., 5.]]);
    assert_eq!(data.batch_exact(3).cardinality(), Cardinality::Known(2));
    let batch = data.batch(4).iter().next().unwrap().unwrap();
    assert_eq!((batch.x[0].dims(), batch.y[0].dims()), (&[4, 1][..], &[4, 1][..]));
    assert_eq!(batch.y[0].to_vec::<f32>().unwrap(), [0., 10., 20., 30.]);
    // A stream, and a map between: stacked one by one, the same batches.
    assert_eq!(values(&stream(7).batch(3), 0), values(&data.batch(3), 0));
    let mapped = data.map(Ok).shuffle(3).batch(2);
    assert_eq!(values(&mapped, 5), values(&data.shuffle(3).batch(2), 5));
    assert_eq!(stream(7).batch(3).cardinality(), Cardinality::Unknown);
}

#[test]
fn weights_go_with_their_rows() {
    let (x, w) = (Tensor::arange(4).unwrap(), Tensor::from_slice(&[1f32, 2., 3., 4.], [4]).unwrap());
    let data = Dataset::from_weighted_tensors(&x, &x, &w).unwrap();
    for data in [data.shuffle(1).batch(3), data.shuffle(1).map(Ok).batch(3)] {
        for batch in &data {
            let batch = batch.unwrap();
            let rows: Vec<f32> =
                batch.x[0].to_vec::<i64>().unwrap().iter().map(|&v| v as f32 + 1.0).collect();
            assert_eq!(batch.weight.unwrap().to_vec::<f32>().unwrap(), rows);
        }
    }
}

#[test]
fn every_pass_is_another_order_and_the_same_when_gone_through_again() {
    for (data, whole) in [(numbers(50), true), (stream(50), false)] {
        for shuffled in [data.shuffle(7), data.shuffle_buffer(8, 7)] {
            let (a, b) = (flat(&shuffled, 0), flat(&shuffled, 1));
            assert_eq!(a, flat(&shuffled, 0));
            assert_ne!(a, b);
            for mut order in [a, b] {
                assert_ne!(order, counted(50));
                order.sort_by(f32::total_cmp);
                assert_eq!(order, counted(50));
            }
        }
        assert_ne!(flat(&data.shuffle(7), 0), flat(&data.shuffle(8), 0));
        // A buffer of 8 cannot bring an item more than 8 places forward; only a full shuffle can.
        let far = |data: Dataset| flat(&data, 0).iter().enumerate().any(|(at, &v)| v as usize > at + 8);
        assert!(!far(data.shuffle_buffer(8, 7)) && (far(data.shuffle(7)) || !whole));
        assert_eq!(flat(&data.shuffle_buffer(1, 7), 0), counted(50));
    }
}

#[test]
fn a_full_shuffle_is_the_order_of_the_stream_of_its_seed_and_pass() {
    use gradus::random::{Purpose, Stream};
    for pass in [0, 3] {
        let order = Stream::new(11, Purpose::Shuffle, pass).permutation(20).unwrap();
        let order: Vec<f32> = order.iter().map(|&i| i as f32).collect();
        assert_eq!(flat(&numbers(20).shuffle(11), pass), order);
        assert_eq!(flat(&numbers(25).take(20).shuffle(11), pass), order);
    }
}

#[test]
fn parts_repetitions_and_pairs() {
    for data in [numbers(6), stream(6)] {
        assert_eq!(flat(&data.take(2), 0), [0., 1.]);
        assert_eq!(flat(&data.skip(4), 0), [4., 5.]);
        assert_eq!(flat(&data.skip(1).take(3).skip(1), 0), [2., 3.]);
        assert_eq!(flat(&data.take(9), 0), counted(6));
        assert_eq!(flat(&data.skip(9), 0), [0f32; 0]);
        assert_eq!(flat(&data.repeat(2).take(8), 0), [0., 1., 2., 3., 4., 5., 0., 1.]);
        assert_eq!(flat(&data.repeat(0), 0), [0f32; 0]);
        let endless = data.repeat_forever();
        assert_eq!(endless.cardinality(), Cardinality::Infinite);
        assert_eq!(flat(&endless.skip(4).take(4), 0), [4., 5., 0., 1.]);
        let pairs = data.zip(&data.skip(1));
        let pair = pairs.iter().nth(2).unwrap().unwrap();
        assert_eq!((pair.x[0].item().unwrap(), pair.x[1].item().unwrap()), (2.0, 3.0));
        assert_eq!(pairs.iter().count(), 5);
    }
    assert_eq!(numbers(6).zip(&numbers(4)).cardinality(), Cardinality::Known(4));
    assert_eq!(numbers(6).repeat_forever().take(4).cardinality(), Cardinality::Known(4));
    // Repeated passes are shuffled anew: those of pass 0 and 1, then of 2 and 3.
    let shuffled = numbers(6).shuffle(5);
    let passes = |a, b| [flat(&shuffled, a), flat(&shuffled, b)].concat();
    assert_eq!(flat(&shuffled.repeat(2), 0), passes(0, 1));
    assert_eq!(flat(&shuffled.repeat(2), 1), passes(2, 3));
    assert_eq!(flat(&shuffled.repeat_forever().take(12), 0), passes(0, 1));
    // Nothing, endlessly, is nothing.
    assert_eq!(stream(0).repeat_forever().iter().count(), 0);
}

#[test]
fn a_split_follows_keras() {
    // keras.utils.split_dataset(range(10), left_size, right_size), Keras 3.
    let data = numbers(10);
    let sides = |left: Size, right: Size| data.split(left, right).map(|(l, r)| (flat(&l, 0), flat(&r, 0)));
    let (left, right) = sides(Size::Share(0.75), Size::Rest).unwrap();
    assert_eq!((left, right), (counted(8), vec![8., 9.])); // 7.5 rounds to 8, half to even
    assert_eq!(sides(Size::Share(0.25), Size::Rest).unwrap().0, [0., 1.]); // 2.5 to 2
    assert_eq!(sides(Size::Count(3), Size::Count(2)).unwrap(), (counted(3), vec![8., 9.]));
    assert_eq!(sides(Size::Rest, Size::Share(0.2)).unwrap(), (counted(8), vec![8., 9.]));
    for (left, right) in [
        (Size::Rest, Size::Rest),
        (Size::Count(10), Size::Rest),
        (Size::Count(11), Size::Rest),
        (Size::Count(6), Size::Count(5)),
        (Size::Share(1.5), Size::Rest),
        (Size::Share(f64::NAN), Size::Rest),
        (Size::Count(usize::MAX), Size::Count(2)),
    ] {
        assert!(sides(left, right).is_err(), "{left:?} {right:?}");
    }
    assert!(stream(10).split(0.5, Size::Rest).is_err());
}

/// An augmented dataset whose samples take different times, the early ones longest.
fn augmented(data: &Dataset, workers: usize, slow: bool) -> Dataset {
    let map = move |mut sample: Sample, random: gradus::random::Stream| {
        let value = sample.x[0].sum(&[], false)?.item()?;
        if slow && (value as usize).is_multiple_of(5) {
            std::thread::sleep(Duration::from_millis(3));
        }
        sample.x[0] = sample.x[0].affine(1.0, random.normal(0) + random.uniform(9))?;
        Ok(sample)
    };
    data.shuffle(3).map_random(9, map).map_random(9, map).batch(4).prefetch(workers)
}

#[test]
fn order_and_bytes_do_not_depend_on_workers_or_time() {
    for data in [numbers(41), stream(41)] {
        for pass in [0, 1] {
            let plain = values(&augmented(&data, 0, false), pass);
            assert_eq!(plain.len(), 11);
            for workers in WORKERS {
                for slow in [false, true] {
                    assert_eq!(values(&augmented(&data, workers, slow), pass), plain, "{workers} {slow}");
                }
            }
        }
        assert_ne!(values(&augmented(&data, 2, false), 0), values(&augmented(&data, 2, false), 1));
    }
}

#[test]
fn augmentation_belongs_to_the_sample_and_the_pass() {
    let noise = |data: &Dataset, pass| {
        let noisy =
            data.map_random(4, |s, random| Ok(Sample { y: vec![Tensor::scalar(random.uniform(0))?], ..s }));
        let mut pairs: Vec<(f32, f64)> = noisy
            .pass(pass)
            .map(|s| s.unwrap())
            .map(|s| (s.x[0].to_vec::<f32>().unwrap()[0], s.y[0].item().unwrap()))
            .collect();
        pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
        pairs
    };
    let plain = noise(&numbers(20), 0);
    assert_eq!(noise(&numbers(20).shuffle(1), 0), plain);
    assert_ne!(noise(&numbers(20), 1), plain);
    let mut drawn: Vec<u64> = plain.iter().map(|p| p.1.to_bits()).collect();
    drawn.sort_unstable();
    drawn.dedup();
    assert_eq!(drawn.len(), 20, "no two samples draw the same");
    // Two maps of one seed draw differently.
    let twice = numbers(1).map_random(4, |s, r| Ok(Sample { y: vec![Tensor::scalar(r.uniform(0))?], ..s }));
    let twice = twice.map_random(4, |s, r| {
        assert_ne!(s.y[0].item()?, r.uniform(0));
        Ok(s)
    });
    twice.iter().next().unwrap().unwrap();
}

#[test]
fn errors_and_panics_name_the_sample_and_the_pass_goes_on() {
    let faulty = |panics: bool| {
        move |s: Sample| match s.x[0].sum(&[], false)?.item()? as usize {
            5 if panics => panic!("not five"),
            5 => Err(Error::Custom("not five".into())),
            _ => Ok(s),
        }
    };
    for workers in WORKERS {
        for data in [numbers(8), stream(8)] {
            for panics in [false, true] {
                let mapped = data.map(faulty(panics));
                let got: Vec<Result<Sample>> = mapped.prefetch(workers).iter().collect();
                assert_eq!(got.len(), 8, "{workers}");
                for (i, item) in got.iter().enumerate() {
                    assert_eq!(item.is_err(), i == 5);
                }
                let expected = if panics { "sample 5: panicked: not five" } else { "sample 5: not five" };
                assert_eq!(got[5].as_ref().unwrap_err().to_string(), expected);
                let batches: Vec<Result<Sample>> = mapped.batch(4).prefetch(workers).iter().collect();
                assert_eq!(batches.len(), 2);
                assert_eq!(batches[1].as_ref().unwrap_err().to_string(), format!("batch 1: {expected}"));
                // Prefetched before another step: the name is said once.
                let late: Vec<Result<Sample>> = mapped.prefetch(workers).map(Ok).batch(8).iter().collect();
                assert_eq!(late[0].as_ref().unwrap_err().to_string(), format!("batch 0: {expected}"));
            }
        }
    }
}

#[test]
fn a_stream_ends_with_its_first_error_or_panic() {
    let failing = |panics: bool| {
        Dataset::from_stream(move |_| {
            Ok((0..9).map(move |i| match i {
                3 if panics => panic!("the cable is out"),
                3 => Err(Error::Custom("the cable is out".into())),
                _ => Ok(one(i)),
            }))
        })
    };
    for workers in WORKERS {
        for panics in [false, true] {
            let got: Vec<Result<Sample>> = failing(panics).prefetch(workers).iter().collect();
            assert_eq!(got.len(), 4);
            let text = got[3].as_ref().unwrap_err().to_string();
            assert!(text.starts_with("sample 3: ") && text.ends_with("the cable is out"), "{text}");
        }
        let closed = Dataset::from_stream(|pass| -> Result<std::iter::Empty<Result<Sample>>> {
            Err(Error::Custom(format!("no file for pass {pass}")))
        });
        let got: Vec<Result<Sample>> = closed.prefetch(workers).pass(2).collect();
        assert_eq!(got[0].as_ref().unwrap_err().to_string(), "sample 0: no file for pass 2");
        assert_eq!(got.len(), 1);
    }
}

/// Counts what is made, and how many threads make it at this moment.
#[derive(Clone, Default)]
struct Counter {
    made: Arc<AtomicUsize>,
    threads: Arc<Mutex<Vec<std::thread::ThreadId>>>,
}

impl Source for Counter {
    fn rows(&self) -> usize {
        1_000_000
    }
    fn get(&self, row: usize) -> Result<Sample> {
        self.made.fetch_add(1, SeqCst);
        let me = std::thread::current().id();
        let mut threads = self.threads.lock().unwrap();
        if !threads.contains(&me) {
            threads.push(me);
        }
        Ok(one(row))
    }
}

#[test]
fn no_more_is_made_than_twice_the_workers_ahead() {
    for workers in [1, 2, 7] {
        let counter = Counter::default();
        let mut pass = Dataset::from_source(counter.clone()).prefetch(workers).iter();
        for taken in 1..=20 {
            pass.next().unwrap().unwrap();
            std::thread::sleep(Duration::from_millis(2));
            let made = counter.made.load(SeqCst);
            assert!((taken..=taken + 2 * workers).contains(&made), "{taken} taken, {made} made");
        }
        assert!(!counter.threads.lock().unwrap().contains(&std::thread::current().id()));
    }
}

#[test]
fn dropping_a_pass_ends_its_threads() {
    for workers in [1, 2, 7] {
        for taken in [0, 1, 5] {
            let counter = Counter::default();
            let held = Arc::downgrade(&counter.made);
            let data = Dataset::from_source(counter).map(Ok).batch(3).prefetch(workers);
            let mut pass = data.iter();
            (0..taken).for_each(|_| drop(pass.next()));
            drop(data);
            assert!(held.upgrade().is_some(), "the pass holds its source");
            drop(pass);
            // Each thread held the source; dropping has waited for all of them.
            assert!(held.upgrade().is_none(), "{workers} {taken}");
        }
    }
}

#[test]
fn one_thread_pools_and_prefetch_inside_prefetch_do_not_block() {
    // Large enough that a kernel would hand work to the pool, whose only thread is waiting for it.
    let big = numbers(4)
        .map(|s| Ok(Sample { x: vec![Tensor::ones([400, 400])?.matmul(&Tensor::ones([400, 400])?)?], ..s }));
    let data = big.prefetch(2).batch(2).prefetch(2);
    for threads in [1, 2] {
        let n = with_threads(threads, || data.iter().filter(|b| b.is_ok()).count()).unwrap();
        assert_eq!(n, 2);
    }
    let two = Threads::new(2).unwrap();
    assert_eq!(two.run(|| data.iter().count()), 2);
}

// ---- training

fn regression(seed: u64) -> Model {
    let stack = Sequential::new().add(Input::new([3])).add(Dense::new(8).activation(Tanh)).add(Dense::new(1));
    stack.seed(seed).compile(Adam::new(0.01), MeanSquaredError::new(), ()).unwrap()
}

fn rows(n: usize) -> (Tensor, Tensor) {
    let x: Vec<f32> = (0..n * 3).map(|i| (i as f32 * 0.37).fract()).collect();
    let y: Vec<f32> = x.chunks(3).map(|r| r[0] - r[1] * r[2]).collect();
    (Tensor::from_slice(&x, [n, 3]).unwrap(), Tensor::from_slice(&y, [n, 1]).unwrap())
}

#[test]
fn a_dataset_of_tensors_trains_as_the_tensors_do() {
    let (x, y) = rows(70);
    let mut by_tensors = regression(5);
    let expected = by_tensors.fit(&x, &y, Fit::new().epochs(3).verbose(0).validation_data(&x, &y)).unwrap();
    let data = Dataset::from_tensors(&x, &y).unwrap();
    let validation = data.batch(32);
    for workers in WORKERS {
        // Through `gather` and one by one, in one call and in three.
        for data in [data.shuffle(5), data.shuffle(5).map(Ok)] {
            let batches = data.batch(32).prefetch(workers);
            let mut model = regression(5);
            let fit = Fit::new().epochs(3).verbose(0).validation_dataset(&validation);
            let history = model.fit_dataset(&batches, fit).unwrap();
            assert_eq!(model.weight_bytes().unwrap(), by_tensors.weight_bytes().unwrap());
            assert_eq!(history, expected);
            let mut again = regression(5);
            for _ in 0..3 {
                again.fit_dataset(&batches, Fit::new().verbose(0)).unwrap();
            }
            assert_eq!(again.weight_bytes().unwrap(), by_tensors.weight_bytes().unwrap());
        }
    }
    assert_eq!(by_tensors.evaluate_dataset(&validation, None).unwrap(), by_tensors.evaluate(&x, &y).unwrap());
    let predicted = by_tensors.predict_dataset(&Dataset::from_inputs(&x).unwrap().batch(9)).unwrap();
    assert!(predicted[0].same_bits(&by_tensors.predict(&x).unwrap()));
}

#[test]
fn sample_weights_of_a_dataset_are_those_of_fit() {
    let (x, y) = rows(40);
    let w = Tensor::from_slice(&(0..40).map(|i| i as f32 / 20.0).collect::<Vec<_>>(), [40]).unwrap();
    let mut by_tensors = regression(2);
    by_tensors.fit(&x, &y, Fit::new().epochs(2).verbose(0).sample_weight(&w)).unwrap();
    let data = Dataset::from_weighted_tensors(&x, &y, &w).unwrap().shuffle(2).batch(32);
    let mut model = regression(2);
    model.fit_dataset(&data, Fit::new().epochs(2).verbose(0)).unwrap();
    assert_eq!(model.weight_bytes().unwrap(), by_tensors.weight_bytes().unwrap());
}

#[test]
fn endless_data_is_cut_into_epochs_by_steps() {
    struct Steps(Vec<usize>, Option<usize>);
    impl Callback for Steps {
        fn on_train_begin(&mut self, _: &mut Model, plan: &gradus::train::Plan) -> Result<()> {
            self.1 = plan.steps;
            Ok(())
        }
        fn on_train_batch_end(&mut self, _: &mut Model, batch: usize, _: f64) -> Result<()> {
            self.0.push(batch);
            Ok(())
        }
    }
    let (x, y) = rows(10);
    let finite = Dataset::from_tensors(&x, &y).unwrap().batch(4);
    // Three batches in a pass, and five in an epoch: passes follow each other, with an end or without.
    let mut bytes = Vec::new();
    for data in [finite.repeat_forever(), finite.clone()] {
        let mut steps = Steps(vec![], None);
        let mut model = regression(1);
        let fit = Fit::new().epochs(2).steps_per_epoch(5).verbose(0).callback(&mut steps);
        model.fit_dataset(&data, fit).unwrap();
        assert_eq!((steps.0, steps.1), (vec![0, 1, 2, 3, 4, 0, 1, 2, 3, 4], Some(5)));
        bytes.push(model.weight_bytes().unwrap());
    }
    assert_eq!(bytes[0], bytes[1]);
    let mut by_hand = regression(1);
    for batch in finite.repeat(4).take(10).iter() {
        let batch = batch.unwrap();
        by_hand.train_on_batch(&batch.x, &batch.y).unwrap();
    }
    assert_eq!(by_hand.weight_bytes().unwrap(), bytes[0]);
    let endless = finite.repeat_forever();
    assert!(regression(1).fit_dataset(&endless, Fit::new().verbose(0)).is_err());
    assert!(regression(1).evaluate_dataset(&endless, None).is_err());
    let six = by_hand.evaluate_dataset(&endless, Some(6)).unwrap();
    let three = by_hand.evaluate_dataset(&endless, Some(3)).unwrap();
    assert!((six["loss"] - three["loss"]).abs() < 1e-6);
}

#[test]
fn a_failing_sample_ends_fit_and_keeps_the_complete_steps() {
    let (x, y) = rows(12);
    for workers in WORKERS {
        let data = Dataset::from_tensors(&x, &y).unwrap();
        let ninth = x.select(0, 9).unwrap();
        let faulty = data.map(move |s| match s.x[0].same_bits(&ninth) {
            true => Err(Error::Custom("unreadable".into())),
            false => Ok(s),
        });
        let mut model = regression(1);
        let e = model.fit_dataset(&faulty.batch(4).prefetch(workers), Fit::new().verbose(0)).unwrap_err();
        assert_eq!(e.to_string(), "batch 2: sample 9: unreadable", "{workers}");
        let mut twin = regression(1);
        twin.fit_dataset(&data.take(8).batch(4), Fit::new().verbose(0)).unwrap();
        assert_eq!(model.weight_bytes().unwrap(), twin.weight_bytes().unwrap());
    }
}
