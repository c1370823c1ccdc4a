//! Tests that a predictor asks the system for no memory in its steady state, for every configuration of every layer
//! in the pack, for sessions, and from several threads; what it holds, and what making it takes. So does `predict` of a network.

#![allow(clippy::unwrap_used)]

mod counting;
#[allow(dead_code)]
#[path = "all/layer_cases.rs"]
mod layer_cases;
#[allow(dead_code)]
#[path = "all/pack.rs"]
mod pack;

use counting::{asked, live, peak, traced};
use gradus::applications::{GPT2, ResNet18};
use gradus::nn::{Network, Session};
use gradus::prelude::*;
use layer_cases::{build, every_case};

/// Calls counted, and before counting.
const CALLS: usize = 30;
const WARM: usize = 10;

/// Fails if this asks for anything once it is warm.
fn steady(what: &str, pools: &[Threads], mut call: impl FnMut() + Send) {
    for (i, pool) in pools.iter().enumerate() {
        // Inside of a pool: entering one from outside costs a block of rayon's own now and then.
        let counted = pool.run(|| {
            let mut calls = |n: usize| (0..n).for_each(|_| call());
            calls(WARM);
            let mut counted = asked(|| calls(CALLS));
            if counted != (0, 0) {
                // The harness may have printed meanwhile that the test takes long.
                counted = asked(|| calls(CALLS));
            }
            if counted.0 > 0 && std::env::var_os("GRADUS_TRACE").is_some() {
                traced(|| calls(1)).iter().for_each(|site| println!("---- {site}"));
            }
            counted
        });
        assert_eq!(counted, (0, 0), "{what} in pool {i}: calls and bytes");
    }
}

/// Fails if a predictor that took its network keeps much more than the weights as it reads them and the block for
/// intermediate values, if building, making and running it took much more at any time, or if these weights take much more than
/// the parameters. (While a weight is packed there are its values besides, but there is no block yet.) Returns what it found,
/// as a line.
fn holds_little(what: &str, build: &(dyn Fn() -> Network + Sync), data: &[Tensor], pool: &Threads) -> String {
    let run = |predictor: &gradus::graph::Predictor| drop(predictor.predict_all(data).unwrap());
    pool.run(|| run(&build().into_predictor().unwrap())); // what threads keep for themselves
    gradus::tensor::trim();
    pool.run(|| {
        gradus::tensor::trim();
        let before = live();
        let ((predictor, parameters, largest), peak) = peak(|| {
            let network = build();
            let parameters = 4 * network.count_params();
            let largest = network.params().iter().map(|(_, value)| 4 * value.elements()).max().unwrap();
            let predictor = network.into_predictor().unwrap();
            run(&predictor);
            (predictor, parameters, largest as f64)
        });
        gradus::tensor::trim();
        let held = (live() - before) as f64;
        let profile = predictor.profile(data).unwrap();
        let (weights, block) = (profile.weight_bytes as f64, profile.arena_bytes as f64);
        let mib = |bytes: f64| format!("{:.2}", bytes / f64::from(1 << 20));
        let line = format!(
            "{what}: parameters {}, weights as read {}, intermediate values {}, held {}, at most {} MiB",
            mib(parameters as f64),
            mib(weights),
            mib(block),
            mib(held),
            mib(peak as f64)
        );
        assert!(weights <= 1.3 * parameters as f64, "{line}");
        assert!(held <= 1.15 * (weights + block), "{line}");
        assert!(peak as f64 <= 1.15 * (weights + block.max(largest)), "{line}");
        line
    })
}

fn networks_hold_little(pool: &Threads) {
    let images = Tensor::ones([2, 64, 64, 3]).unwrap();
    let cnn = || ResNet18::new().input_shape([64, 64, 3]).classes(10).build().unwrap();
    let rows = Tensor::ones([64, 784]).unwrap();
    let mlp = || {
        let stack = Sequential::new().add(Input::new([784])).add(Dense::new(1000).activation(Relu));
        stack.add(Dense::new(1024).activation(Gelu)).add(Dense::new(10)).build().unwrap()
    };
    let tokens = Tensor::full([2, 20], 3i64).unwrap();
    let small = || GPT2::new().vocabulary_size(2000).num_layers(2).num_heads(4).hidden_dim(256);
    let transformer = || small().intermediate_dim(1024).max_sequence_length(64).build().unwrap();
    let lstm = || {
        let words = Sequential::new().add(Input::new([20]).dtype(DType::I64)).add(Embedding::new(3000, 128));
        words.add(LSTM::new(256)).add(Dense::new(300).activation(Softmax)).build().unwrap()
    };
    let networks: [(&str, &(dyn Fn() -> Network + Sync), &Tensor); 4] = [
        ("ResNet18", &cnn, &images),
        ("MLP", &mlp, &rows),
        ("GPT2", &transformer, &tokens),
        ("LSTM", &lstm, &tokens),
    ];
    for (what, build, data) in networks {
        println!("{}", holds_little(what, build, std::slice::from_ref(data), pool));
    }
}

/// `predict` of a network by a plan asks for nothing, and takes no more at a time than layer by layer.
fn predict_stays_flat(pools: &[Threads]) {
    let network = ResNet18::new().input_shape([64, 64, 3]).classes(10).build().unwrap();
    let images = Tensor::ones([3, 64, 64, 3]).unwrap();
    let predict = || drop(network.predict(&images).unwrap());
    let most = |call: &(dyn Fn() + Sync)| {
        pools[0].run(|| {
            gradus::tensor::trim();
            peak(call).1
        })
    };
    pools[0].run(|| drop(network.clone().predict(&images).unwrap())); // what threads keep for themselves
    let by_layers = most(&predict);
    predict(); // makes the plan
    assert!(format!("{network:?}").contains("Plans(1)"));
    let by_plan = most(&predict);
    println!("predict: at most {by_layers} bytes by layers, {by_plan} by a plan");
    assert!(by_plan <= by_layers, "{by_plan} bytes by a plan, {by_layers} by layers");
    steady("predict", pools, predict);
    let small = Tensor::ones([1, 64, 64, 3]).unwrap();
    let call = || drop(network.predict(&small).unwrap());
    let counted = pools[0].run(|| {
        (0..WARM).for_each(|_| call());
        asked(|| (0..1000).for_each(|_| call()))
    });
    assert_eq!(counted, (0, 0), "a thousand predictions");
}

/// The one test of this file, so that nothing else allocates meanwhile.
#[test]
fn the_steady_state_asks_nothing_of_the_system() {
    let pools = [1, 2].map(|n| Threads::new(n).unwrap());
    every_case(|pack, what, case| {
        let case = build(pack, case, DType::F32)?;
        let predictor = case.network.predictor()?;
        steady(what, &pools[..1], || drop(predictor.predict_all(&case.data).unwrap()));
        Ok(())
    });

    networks_hold_little(&pools[0]);

    // Several shapes by turns, on one thread and two.
    let network = ResNet18::new().input_shape([32, 32, 3]).classes(4).build().unwrap();
    let predictor = network.predictor().unwrap();
    let images = [1, 3, 2].map(|n| Tensor::ones([n, 32, 32, 3]).unwrap());
    let mut out = [0f32; 12];
    steady("ResNet18", &pools, || {
        images.iter().for_each(|x| predictor.predict_into(x, &mut out[..4 * x.dims()[0]]).unwrap());
    });

    predict_stays_flat(&pools);

    // A session: prompt and tokens, the cache in place.
    let gpt2 = GPT2::new().vocabulary_size(29).num_layers(2).num_heads(2).hidden_dim(16).intermediate_dim(24);
    let network = gpt2.max_sequence_length(32).cache(true).last_token(true).build().unwrap();
    let predictor = network.predictor().unwrap();
    let (prompt, token) = (Tensor::full([1, 5], 3i64).unwrap(), Tensor::full([1, 1], 7i64).unwrap());
    steady("GPT2", &pools, || {
        let mut session = Session::new();
        drop(predictor.predict_in(&mut session, &prompt).unwrap());
        (0..8).for_each(|_| drop(predictor.predict_in(&mut session, &token).unwrap()));
    });
}
