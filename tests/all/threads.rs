//! Tests of threads. The same seed must give the same bytes on any number of threads, and a row the same prediction
//! in any batch; and all of it must work from many threads at once.

use gradus::autograd::Gradients;
use gradus::nn::{Build, Functional, Network, Node, Session, Subclass, Symbol};
use gradus::prelude::*;

#[test]
fn types_go_to_other_threads() {
    fn both<T: Send + Sync>() {}
    fn send<T: Send>() {}
    both::<Tensor>();
    both::<Model>();
    both::<Sequential>();
    both::<Gradients>();
    both::<Box<dyn Build>>();
    both::<Box<dyn Node>>();
    both::<Functional>();
    both::<Network>();
    both::<Session>();
    both::<Subclass>();
    both::<Symbol>();
    both::<Threads>();
    both::<History>();
    both::<gradus::Error>();
    send::<Box<dyn Callback>>();
}

struct Digits {
    x: Tensor,
    y: Tensor,
}

fn digits(n: usize) -> Digits {
    let (train, _) = datasets::mnist::built_in(n, 1, 0).unwrap();
    Digits { x: train.images.scale(1.0 / 255.0).unwrap().reshape([-1, 784]).unwrap(), y: train.labels }
}

fn model(hidden: usize) -> Model {
    Sequential::new()
        .add(Input::new([784]))
        .add(Dense::new(hidden).activation(Relu))
        .add(Dropout::new(0.25))
        .add(Dense::new(hidden).activation(Tanh))
        .add(Dense::new(10).activation(Softmax))
        .seed(42)
        .compile(Adam::new(0.002), SparseCategoricalCrossentropy::new(), [Accuracy::new()])
        .unwrap()
}

#[test]
fn training_gives_the_same_bytes_on_any_number_of_threads() {
    let data = digits(160);
    let train = |threads: usize| {
        let pool = Threads::new(threads).unwrap();
        // Wide enough that products, updates and elementwise kernels are all cut between threads.
        let mut model = model(128);
        let fit = Fit::new().epochs(2).batch_size(64).validation_split(0.2).verbose(0).threads(&pool);
        let history = model.fit(&data.x, &data.y, fit).unwrap();
        (model.weight_bytes().unwrap(), history)
    };
    let (bytes, history) = train(1);
    for threads in [2, 3, 8] {
        let (b, h) = train(threads);
        assert!(b == bytes, "weights differ on {threads} threads");
        assert_eq!(h, history, "figures differ on {threads} threads");
    }
    assert!(history["loss"][1] < history["loss"][0]);
}

#[test]
fn two_calls_of_one_epoch_are_one_call_of_two() {
    let data = digits(96);
    let fit = || Fit::new().verbose(0);
    let (mut a, mut b) = (model(16), model(16));
    a.fit(&data.x, &data.y, fit().epochs(2)).unwrap();
    b.fit(&data.x, &data.y, fit()).unwrap();
    b.fit(&data.x, &data.y, fit()).unwrap();
    assert_eq!(a.weight_bytes().unwrap(), b.weight_bytes().unwrap());
}

#[test]
fn eight_threads_may_predict_with_one_model() {
    let data = digits(64);
    let model = model(32);
    let expected = model.predict(&data.x).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..4 {
                    assert!(model.predict(&data.x).unwrap().same_bits(&expected));
                }
            });
        }
    });
}

#[test]
fn threads_may_train_clones_beside_each_other() {
    let data = digits(64);
    let start = model(16);
    let run = || {
        let mut model = start.clone();
        model.fit(&data.x, &data.y, Fit::new().verbose(0)).unwrap();
        model.weight_bytes().unwrap()
    };
    let expected = run();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..4).map(|_| scope.spawn(run)).collect();
        workers.into_iter().for_each(|w| assert!(w.join().unwrap() == expected));
    });
    assert_eq!(
        start.weight_bytes().unwrap(),
        model(16).weight_bytes().unwrap(),
        "a snapshot shares no changes"
    );
}

#[test]
fn a_prediction_does_not_depend_on_its_batch() {
    let data = digits(1003);
    // Sizes beside the multiples of tiles, and one longer than a block of the product's sums.
    for hidden in [1, 33, 64] {
        let model = model(hidden);
        let all = model.predict(&data.x).unwrap();
        for batch in [1, 2, 3, 32, 1000] {
            let step = if batch < 32 { 97 } else { batch.max(200) };
            for start in (0..1003).step_by(step) {
                let end = (start + batch).min(1003) as isize;
                let part = model.predict(&data.x.slice(0, start as isize, end).unwrap()).unwrap();
                let same = all.slice(0, start as isize, end).unwrap();
                assert!(part.same_bits(&same), "rows {start}..{end} of a network {hidden} wide");
            }
        }
    }
}

#[test]
fn a_prediction_does_not_depend_on_threads_or_layout() {
    let data = digits(300);
    let model = model(64);
    let all = model.predict(&data.x).unwrap();
    for threads in [1, 2, 3, 8] {
        let again = with_threads(threads, || model.predict(&data.x).unwrap()).unwrap();
        assert!(again.same_bits(&all), "{threads} threads");
    }
    let columns = data.x.t().unwrap().contiguous().unwrap().t().unwrap();
    assert!(model.predict(&columns).unwrap().same_bits(&all), "rows that lie by columns");
}

/// With many rows, threads take parts of the batch: the rows of all parts come back in order, and what fails in one fails.
#[test]
fn a_prediction_of_many_rows_does_not_depend_on_how_threads_share_them() {
    let data = digits(1003);
    let dense =
        Sequential::new().add(Input::new([784])).add(Dense::new(64).activation(Relu)).add(Dense::new(10));
    let images = Sequential::new()
        .add(Input::new([784]))
        .add(Reshape::new([28, 28, 1]))
        .add(Conv2D::new(6, 3).activation(Relu))
        .add(MaxPooling2D::new())
        .add(Flatten::new())
        .add(Dropout::new(0.5))
        .add(Dense::new(64))
        .add(BatchNormalization::new())
        .add(Dense::new(10).activation(Softmax));
    for network in [dense.seed(1).build().unwrap(), images.seed(2).build().unwrap()] {
        let predictor = network.predictor().unwrap();
        for rows in [1003, 512, 384, 257, 130] {
            let x = data.x.slice(0, 0, rows).unwrap();
            let one = with_threads(1, || network.predict(&x).unwrap()).unwrap();
            assert_eq!(one.dims(), [rows as usize, 10]);
            // A part of something begins later in its memory than a whole does, also after a reshape.
            let (end, rest) = (x.slice(0, rows - 9, rows).unwrap(), one.slice(0, rows - 9, rows).unwrap());
            assert!(
                predictor.predict(&end).unwrap().same_bits(&rest),
                "the last of {rows} rows, as they lie"
            );
            for threads in [2, 3, 8] {
                with_threads(threads, || {
                    for _ in 0..3 {
                        assert!(
                            network.predict(&x).unwrap().same_bits(&one),
                            "{rows} rows, {threads} threads"
                        );
                        assert!(
                            predictor.predict(&x).unwrap().same_bits(&one),
                            "{rows} rows, {threads} threads"
                        );
                    }
                    let few = network.predict_with(&x, &gradus::nn::Predict::new().batch_size(300)).unwrap();
                    assert!(few[0].same_bits(&one), "300 of {rows} rows at a time, {threads} threads");
                })
                .unwrap();
            }
        }
    }
}
