//! Tests of threads. The same seed must give the same bytes on any number of threads, and a row the same prediction
//! in any batch; and all of it must work from many threads at once.

use gradus::autograd::Gradients;
use gradus::nn::layers::{Average, Dot};
use gradus::nn::{Build, Functional, Network, Node, Session, Subclass, Symbol};
use gradus::prelude::*;
use gradus::random::{Purpose, Stream};
use gradus::{Error, Result};

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
    both::<Error>();
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

/// Two inputs, their branches merged in each way: with work for several threads at 400 rows.
fn branches() -> Network {
    let (a, b) = (Input::new([128]), Input::new([128]));
    let x = Dense::new(256).activation(Relu).on(&a).unwrap();
    let y = Dense::new(256).activation(Tanh).on(&b).unwrap();
    // One number a row, which is broadcast to the others.
    let gate = Dense::new(1).activation(Sigmoid).on(&b).unwrap();
    let merged = [
        Add::new().on([&x, &y]).unwrap(),
        Subtract::new().on([&x, &y]).unwrap(),
        Multiply::new().on([&x, &gate]).unwrap(),
        Average::new().on([&x, &y]).unwrap(),
        Maximum::new().on([&x, &y]).unwrap(),
        Minimum::new().on([&x, &gate]).unwrap(),
        Dot::new(-1).normalize(true).on([&x, &y]).unwrap(),
    ];
    let merged = Concatenate::new().on(&merged).unwrap();
    let out = Dense::new(10).activation(Softmax).on(&merged).unwrap();
    Functional::new([&a, &b], [&out, &gate]).unwrap().seed(3).build().unwrap()
}

fn normal(seed: u64, shape: [usize; 2]) -> Tensor {
    Tensor::randn(shape, Stream::new(seed, Purpose::User(0), 0)).unwrap()
}

#[test]
fn branches_predict_in_parts_what_they_predict_whole() {
    let network = branches();
    assert!(network.is_row_wise());
    let x = [normal(1, [400, 128]), normal(2, [400, 128])];
    let predict =
        |threads: usize| Threads::new(threads).unwrap().run(|| network.clone().predict_all(&x)).unwrap();
    let whole = predict(1);
    for threads in [2, 3] {
        for (part, whole) in predict(threads).iter().zip(&whole) {
            assert!(part.same_bits(whole), "{threads} threads");
        }
    }
    for row in [0, 66, 67, 399] {
        let alone = x.each_ref().map(|x| x.slice(0, row, row + 1).unwrap());
        for (alone, whole) in network.predict_all(&alone).unwrap().iter().zip(&whole) {
            assert!(alone.same_bits(&whole.slice(0, row, row + 1).unwrap()), "row {row}");
        }
    }
}

#[test]
fn an_input_of_one_row_is_not_divided_beside_one_of_many() {
    let network = branches();
    let (many, one) = (normal(1, [400, 128]), normal(2, [1, 128]));
    let refused = network.predict_all(&[&many, &one]).unwrap_err().to_string();
    assert!(refused.contains("the same number of rows"), "{refused}");
}

/// The mean of all rows, in one row.
#[derive(Clone, Debug)]
struct Middle;
gradus::parts!(Middle {});
impl gradus::config::Configured for Middle {}
impl Layer for Middle {
    fn forward(&self, x: &Tensor, _: &mut Cx) -> Result<Tensor> {
        x.mean(&[0], true)
    }
}

#[test]
fn a_row_that_is_broadcast_inside_a_network_keeps_it_whole() {
    let x = Input::new([128]);
    let wide = Dense::new(512).on(&x).unwrap();
    let middle = Middle.on(&wide).unwrap();
    let out = Add::new().on([&wide, &middle]).unwrap();
    let network = Functional::new([&x], [&out]).unwrap().seed(3).build().unwrap();
    assert!(!network.is_row_wise());
    let x = normal(1, [400, 128]);
    let predict =
        |threads: usize| Threads::new(threads).unwrap().run(|| network.clone().predict(&x)).unwrap();
    assert!(predict(3).same_bits(&predict(1)));
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
