//! Counts what training asks of the system's allocator in the steady state: training that runs for weeks must not
//! grow, and a step that asks the system for memory waits for it.

#![allow(clippy::unwrap_used)]

mod counting;

use counting::{asked, peak, traced};
use gradus::nn::DataFormat;
use gradus::nn::layers::{Conv2D, Conv2DTranspose, DepthwiseConv2D, SeparableConv2D};
use gradus::ops::Padding;
use gradus::ops::attention::AttentionOptions;
use gradus::optim::{Group, LearningRate, MultiOptimizer, Optimizer, Rule, Slot, Slots, Step, Tuned, Update};
use gradus::prelude::*;
use gradus::{Result, Spec};

/// Steps counted.
const STEPS: usize = 1000;

/// The one test of this file, so that nothing else allocates meanwhile.
#[test]
fn the_steady_state_asks_nothing_of_the_system() {
    let (train, _) = datasets::mnist::built_in(32, 1, 0).unwrap();
    let x = train.images.scale(1.0 / 255.0).unwrap().reshape([-1, 784]).unwrap();
    let y = train.labels;
    let mut model = Sequential::new()
        .add(Input::new([784]))
        .add(Dense::new(64).activation(Relu))
        .add(Dropout::new(0.1))
        .add(Dense::new(64).activation(Relu))
        .add(Dense::new(10).activation(Softmax))
        .compile(Adam::new(0.001), SparseCategoricalCrossentropy::new(), [Accuracy::new()])
        .unwrap();
    let mut out = vec![0f32; 320];
    // Inside of a pool: entering one from outside costs a block of rayon's own now and then.
    for threads in [1, 2] {
        let pool = Threads::new(threads).unwrap();
        let counted = pool.run(|| {
            let mut steps = |n: usize| (0..n).for_each(|_| drop(model.train_on_batch(&x, &y).unwrap()));
            steps(50);
            let training = asked(|| steps(STEPS));
            let mut calls = |n: usize| (0..n).for_each(|_| model.predict_into(&x, &mut out).unwrap());
            calls(50);
            (training, asked(|| calls(STEPS)))
        });
        println!(
            "{threads} threads, {STEPS} steps: (calls, bytes) of training and of prediction {counted:?}"
        );
        assert_eq!(counted, ((0, 0), (0, 0)), "{threads} threads");
    }
    let threads = Threads::new(1).unwrap();
    let mut steps = |n: usize| {
        for _ in 0..n {
            threads.run(|| model.train_on_batch(&x, &y)).unwrap();
        }
    };
    steps(50);
    let pooled = gradus::tensor::pooled_bytes();
    steps(STEPS);
    println!("idle bytes in the pool: {pooled} before, {} after", gradus::tensor::pooled_bytes());
    if std::env::var_os("GRADUS_TRACE").is_some() {
        traced(|| steps(1)).iter().for_each(|site| println!("---- {site}"));
    }
    assert_eq!(gradus::tensor::pooled_bytes(), pooled, "the pool grows in the steady state");
    // Parameters, moments, gradients and activations of this network are some 2 MB.
    assert!(pooled < 8 << 20, "{pooled} idle bytes");
    gradus::tensor::trim();
    assert_eq!(gradus::tensor::pooled_bytes(), 0);
    steps(1);
    whole_parameters(&x, &y);
    callbacks_around_steps();
    a_large_table();
    convolutions();
    pools_and_other_sizes();
    layers_with_statistics_and_noise();
    a_large_drop();
    attention_never_holds_all_scores();
}

/// Attention of 1024 steps and 4 heads, forwards and backwards: all scores would be 16 MiB, whether weights are dropped or not.
fn attention_never_holds_all_scores() {
    let operand = || Tensor::full([1, 1024, 4, 8], 0.5f32).unwrap().tracked();
    let pool = Threads::new(1).unwrap();
    for dropout in [None, Some((0.1, 7.into()))] {
        let options = AttentionOptions { is_causal: true, dropout, ..AttentionOptions::default() };
        let run = || {
            let [q, k, v] = [operand(), operand(), operand()];
            let y = q.dot_product_attention(&k, &v, options).unwrap().sum(&[], false).unwrap();
            drop(y.backward().unwrap());
        };
        let most = pool.run(|| {
            run(); // what threads keep for themselves
            gradus::tensor::trim();
            peak(run).1
        });
        assert!(most < 8 << 20, "{most} bytes with dropout {dropout:?}");
    }
}

/// What was made once and is dropped goes back to the system by itself; what a step needs again and again stays.
fn a_large_drop() {
    const LARGE: usize = 48 << 20;
    gradus::tensor::trim();
    let large = || Tensor::zeros([LARGE / 4]).unwrap();
    let all: Vec<Tensor> = (0..10).map(|_| large()).collect();
    drop(all);
    let pooled = gradus::tensor::pooled_bytes();
    println!("idle after {} MB were dropped: {} MB", (10 * LARGE) >> 20, pooled >> 20);
    assert!(pooled <= 128 << 20, "{pooled} idle bytes");
    // Four at a time, over and over: nothing of the system after a few rounds.
    let round = || drop(std::array::from_fn::<Tensor, 4, _>(|_| large()));
    (0..4).for_each(|_| round());
    assert_eq!(asked(|| (0..5).for_each(|_| round())), (0, 0));
    // And when other work goes on without them, they are given back.
    let small = || drop(Tensor::zeros([1 << 20]).unwrap());
    (0..6000).for_each(|_| small());
    assert!(gradus::tensor::pooled_bytes() <= 128 << 20, "{} idle bytes", gradus::tensor::pooled_bytes());
    gradus::tensor::trim();
}

/// Steps of `fit` with callbacks around them, one of which looks at the figures: twice as many ask for no more.
fn callbacks_around_steps() {
    let mut model = Sequential::new()
        .add(Input::new([4]))
        .add(Dense::new(3).activation(Softmax))
        .compile(Adam::new(0.001), SparseCategoricalCrossentropy::new(), [Accuracy::new()])
        .unwrap();
    let threads = Threads::new(1).unwrap();
    let mut run = |rows: usize| {
        let (x, y) = (Tensor::ones([rows, 4]).unwrap(), Tensor::full([rows], 1i64).unwrap());
        let mut sum = 0.0;
        let looks =
            LambdaCallback::new().on_train_batch_begin(|_, _| Ok(())).on_train_batch_end(|model, _, loss| {
                sum += loss + model.logs()["accuracy"];
                Ok(())
            });
        let fit = Fit::new().batch_size(1).shuffle(false).verbose(0).threads(&threads);
        let fit = fit.callback(looks).callback(TerminateOnNaN::new()).callback(LambdaCallback::new());
        let (calls, _) = asked(|| drop(model.fit(&x, &y, fit).unwrap()));
        assert!(sum > 0.0);
        calls
    };
    for steps in [STEPS, 2 * STEPS, STEPS, 2 * STEPS] {
        run(steps); // the pool fills
    }
    assert_eq!(run(STEPS), run(2 * STEPS));
}

/// Layers that hand back statistics, draw noise or put a value in the place of a parameter.
fn layers_with_statistics_and_noise() {
    use gradus::nn::layers::*;
    let mut model = Sequential::new()
        .add(Input::new([6, 8]))
        .add(BatchNormalization::new().axis(1).renorm(true))
        .add(GroupNormalization::new().groups(2))
        .add(SpatialDropout1D::new(0.1))
        .add(LayerNormalization::new().axis([1, 2]))
        .add(Flatten::new())
        .add(SpectralNormalization::new(Dense::new(16).activation(Relu)))
        .add(BatchNormalization::new())
        .add(GaussianNoise::new(0.1))
        .add(GaussianDropout::new(0.1))
        .add(AlphaDropout::new(0.1))
        .add(RMSNormalization::new())
        .add(UnitNormalization::new())
        .add(Dense::new(1))
        .compile(SGD::new(0.01), MeanSquaredError::new(), ())
        .unwrap();
    let (x, y) = (Tensor::ones([16, 6, 8]).unwrap(), Tensor::zeros([16, 1]).unwrap());
    let threads = Threads::new(1).unwrap();
    let counted = threads.run(|| {
        let mut steps = |n: usize| (0..n).for_each(|_| drop(model.train_on_batch(&x, &y).unwrap()));
        steps(20);
        asked(|| steps(50))
    });
    println!("layers with statistics and noise, 50 steps: {counted:?}");
    assert_eq!(counted, (0, 0));
}

/// Layers on images, whose tables of weights come from the pool as well.
fn pools_and_other_sizes() {
    use gradus::nn::layers::{
        AveragePooling2D, GlobalAveragePooling2D, MaxPooling2D, Resizing, UpSampling2D,
    };
    use gradus::ops::Interpolation;
    let stream = gradus::random::Stream::new(5, gradus::random::Purpose::User(0), 0);
    let (x, y) = (Tensor::randn([4, 9, 8, 3], stream).unwrap(), Tensor::zeros([4, 2]).unwrap());
    let mut model = Sequential::new()
        .add(Input::new([9, 8, 3]))
        .add(Dense::new(4))
        .add(MaxPooling2D::new())
        .add(UpSampling2D::new().interpolation(Interpolation::Bilinear))
        .add(Resizing::new(5, 7).interpolation(Interpolation::Lanczos3).antialias(true))
        .add(AveragePooling2D::new(2))
        .add(GlobalAveragePooling2D::new())
        .add(Dense::new(2))
        .compile(Adam::new(0.001), gradus::prelude::MeanSquaredError::new(), ())
        .unwrap();
    let threads = Threads::new(1).unwrap();
    let counted = threads.run(|| {
        let mut steps = |n: usize| (0..n).for_each(|_| drop(model.train_on_batch(&x, &y).unwrap()));
        steps(50);
        asked(|| steps(50))
    });
    assert_eq!(counted, (0, 0), "layers on images");
}

/// An optimizer that replaces what it updates, and may fail: nothing of the system either.
#[derive(Clone, Debug)]
struct Momentum;
impl gradus::config::Configured for Momentum {}
impl Optimizer for Momentum {
    fn slots(&self, _: &str, _: Spec) -> Vec<Slot> {
        vec![Slot::new("m")]
    }
    fn learning_rate(&self) -> LearningRate {
        LearningRate::from(0.01)
    }
    fn update(&self, step: &Step, mut u: Update<'_>) -> Result<()> {
        u.slots[0] = u.slots[0].affine(0.9, 0.0)?.add(u.gradient()?)?;
        let slices = u.slices::<f32>()?;
        for (w, m) in slices.w.iter_mut().zip(&*slices.slots[0]) {
            *w -= step.learning_rate as f32 * m;
        }
        Ok(())
    }
}

/// A rule with more slots than any of the library's, that takes rows.
#[derive(Clone, Debug)]
struct Six;
impl gradus::config::Configured for Six {}
impl Rule for Six {
    fn slots(&self) -> &'static [&'static str] {
        &["a", "b", "c", "d", "e", "f"]
    }
    fn learning_rate(&self) -> LearningRate {
        LearningRate::from(0.01)
    }
    fn takes_rows(&self) -> bool {
        true
    }
    fn update<T: gradus::Float>(&self, step: Step, w: &mut [T], g: &[T], slots: Slots<'_, T>) {
        for slot in slots {
            slot.iter_mut().zip(g).for_each(|(slot, &g)| *slot += g);
        }
        w.iter_mut().zip(g).for_each(|(w, &g)| *w -= T::of(step.learning_rate) * g);
    }
}

fn whole_parameters(x: &Tensor, y: &Tensor) {
    let stack =
        Sequential::new().add(Input::new([784])).add(Dense::new(64).activation(Relu)).add(Dense::new(10));
    let network = stack.build().unwrap();
    let options = |tuned: Tuned| {
        tuned
            .weight_decay(0.01)
            .exclude_from_weight_decay(["bias"])
            .use_ema(0.9)
            .gradient_accumulation_steps(2)
            .group("dense", Group::new().learning_rate_factor(0.5))
    };
    let mut all = vec![("whole parameters", options(Momentum.tuned())), ("six slots", options(Six.tuned()))];
    all.extend([
        ("AdamW with the largest v", AdamW::new(0.001).amsgrad(true).tuned()),
        ("Adamax", Adamax::new(0.001).tuned()),
        ("Nadam", Nadam::new(0.001).tuned()),
        ("RMSprop", RMSprop::new(0.001).momentum(0.9).centered(true).tuned()),
        ("Adagrad", Adagrad::new(0.001).tuned()),
        ("Adadelta", Adadelta::new(0.001).tuned()),
        ("Ftrl", Ftrl::new(0.001).tuned()),
        ("Lion", Lion::new(0.001).tuned()),
        ("Lamb", options(Lamb::new(0.001).tuned())),
        ("Adafactor", options(Adafactor::new(0.001).tuned())),
        ("Muon", options(Muon::new(0.001).exclude_layers(["dense_1"]).tuned())),
        ("ScheduleFreeAdamW", options(ScheduleFreeAdamW::new(0.001).tuned())),
        (
            "several",
            MultiOptimizer::new(Lamb::new(0.001)).optimizer("dense", Adam::new(0.001).clipnorm(1.0)).tuned(),
        ),
    ]);
    for (what, optimizer) in all {
        let loss = SparseCategoricalCrossentropy::new().from_logits(true);
        let mut model = network.clone().compile(optimizer, loss, ()).unwrap();
        let mut steps = |n: usize| (0..n).for_each(|_| drop(model.train_on_batch(x, y).unwrap()));
        Threads::new(1).unwrap().run(|| {
            steps(50);
            assert_eq!(asked(|| steps(STEPS / 4)), (0, 0), "an optimizer of {what}");
        });
    }
}

/// A network of convolutions, in training: nothing of the system in 50 steps.
fn convolutions() {
    let (same, first) = (Padding::Same, DataFormat::ChannelsFirst);
    let images = Sequential::new()
        .add(Input::new([8, 9, 2]))
        .add(Conv2D::new(4, 3).strides(2).activation(Relu))
        .add(DepthwiseConv2D::new(2).depth_multiplier(2).padding(same.clone()))
        .add(Conv2DTranspose::new(4, 3).strides(2).padding(same.clone()).activation(Tanh))
        .add(SeparableConv2D::new(3, 2))
        .add(Conv2D::new(10, 2).groups(5).data_format(first));
    let stack = images.add(Flatten::new()).add(Dense::new(1));
    let mut model = stack.compile(Adam::new(0.01), MeanSquaredError::new(), ()).unwrap();
    let (x, y) = (Tensor::ones([4, 8, 9, 2]).unwrap(), Tensor::ones([4, 1]).unwrap());
    let mut steps = |n: usize| (0..n).for_each(|_| drop(model.train_on_batch(&x, &y).unwrap()));
    Threads::new(1).unwrap().run(|| {
        steps(50);
        assert_eq!(asked(|| steps(50)), (0, 0), "convolutions");
    });
}

/// A step on a large table asks for what the batch reads: the table's gradient would be 25 MB.
fn a_large_table() {
    for optimizer in [SGD::new(0.1).clipnorm(1.0), Six.clipnorm(1.0)] {
        steps_on_a_large_table(optimizer);
    }
}

fn steps_on_a_large_table(optimizer: Tuned) {
    // The slots of a rule are of the table's size, in blocks that may be a quarter larger.
    let slots = optimizer.slots("", Spec::new(gradus::Shape::SCALAR, DType::F32)).len();
    let begins = slots * 100_000 * 64 * 4 * 5 / 4;
    let stack = Sequential::new().add(Input::new([1]).dtype(DType::I64)).add(Embedding::new(100_000, 64));
    let mut model =
        stack.add(Flatten::new()).add(Dense::new(1)).compile(optimizer, MeanSquaredError::new(), ()).unwrap();
    gradus::tensor::trim();
    let ids: Vec<i64> = (0..32).map(|i| i * 3001 % 100_000 / 7 * 5).collect();
    let (x, y) = (Tensor::from_slice(&ids, [32, 1]).unwrap(), Tensor::ones([32, 1]).unwrap());
    let mut steps = |n: usize| (0..n).for_each(|_| drop(model.train_on_batch(&x, &y).unwrap()));
    Threads::new(1).unwrap().run(|| {
        let (_, first) = asked(|| steps(1));
        assert!(first < begins as isize + (1 << 20), "the first step of a large table took {first} bytes");
        steps(50);
        assert_eq!(asked(|| steps(STEPS)), (0, 0), "steps on a large table");
    });
    assert!(gradus::tensor::pooled_bytes() < 1 << 20);
}
