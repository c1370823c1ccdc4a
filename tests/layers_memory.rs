//! Why it exists: no layer may ask the system for memory while it trains or predicts in its steady state. Every configuration of every
//! layer in the pack is trained by itself.

#![allow(clippy::unwrap_used)]

mod counting;
#[allow(dead_code)]
#[path = "all/layer_cases.rs"]
mod layer_cases;
#[allow(dead_code)]
#[path = "all/pack.rs"]
mod pack;

use counting::{asked, traced};
use gradus::Result;
use gradus::nn::{Cx, Module, Network};
use gradus::prelude::{DType, MeanSquaredError, SGD, Tensor, Threads};
use layer_cases::{build, build_between, every_case};
use pack::Pack;
use serde_json::Value as Json;

/// Steps before counting, and those counted.
const WARM: usize = 20;
const STEPS: usize = 50;

/// Layers that still ask, and where they do: nothing else may, and each is to be taken from this list.
const ASKS: &[(&str, &str)] = &[
    ("Attention", "an error's text for an input that is optional, and the list of its op's gradients"),
    ("AdditiveAttention", "an error's text for an input that is optional"),
    ("MultiHeadAttention", "the same, and lists of sizes in heads.rs"),
    ("GroupQueryAttention", "the same"),
    ("EinsumDense", "the equation is read at each call"),
    ("Dot", "the equation of its einsum is read at each call"),
    ("Softmax", "a list of axes, where there are several"),
    ("SimpleRNN", "the list of its op's gradients; without an op, lists of steps"),
    ("LSTM", "the lists of its op's outputs and gradients; without an op, lists of steps"),
    ("GRU", "the lists of its op's outputs and gradients; without an op, lists of steps"),
    ("SimpleRNNCell", "lists of outputs"),
    ("LSTMCell", "lists of outputs"),
    ("GRUCell", "lists of outputs"),
    ("RNN", "lists of steps, states and outputs"),
    ("Bidirectional", "what its layers ask for, and lists of outputs"),
    ("TimeDistributed", "lists of steps"),
    ("ConvLSTM1D", "lists of steps"),
    ("ConvLSTM2D", "lists of steps"),
    ("ConvLSTM3D", "lists of steps"),
];

/// Freezes the parameters that no gradient reaches, which a step would refuse.
fn freeze_what_cannot_learn(network: &mut Network, data: &[Tensor]) -> Result<()> {
    let y = network.forward(data, &mut Cx::train(5, 0))?;
    let gradients = y.sum(&[], false)?.backward()?;
    network.visit_mut(&mut |_, p| {
        if p.gradient(&gradients).is_none() {
            p.set_frozen(true);
        }
    });
    Ok(())
}

/// What this work asks for in its steady state, with each number of threads.
fn steady(
    pools: &[Threads],
    layer: &str,
    what: &str,
    mut work: impl FnMut() -> Result<()> + Send,
) -> Result<()> {
    for (i, pool) in pools.iter().enumerate() {
        let mut wrong = Ok(());
        // Inside of a pool: entering one from outside costs a block of rayon's own now and then.
        let counted = pool.run(|| {
            let mut steps = |n: usize| {
                for _ in 0..n {
                    if wrong.is_ok() {
                        wrong = work();
                    }
                }
            };
            steps(WARM);
            let mut counted = asked(|| steps(STEPS));
            if counted.0 > 0 {
                // The harness may have printed meanwhile that the test takes long.
                counted = asked(|| steps(STEPS));
            }
            if counted.0 > 0 && std::env::var_os("GRADUS_TRACE").is_some() {
                traced(|| steps(1)).iter().for_each(|site| println!("---- {site}"));
            }
            counted
        });
        wrong?;
        match ASKS.iter().find(|(name, _)| *name == layer) {
            Some((_, why)) if counted.0 > 0 => println!("{layer}: {counted:?}, {why}"),
            _ => assert_eq!(counted, (0, 0), "{what} on {} threads: calls and bytes", i + 1),
        }
    }
    Ok(())
}

fn trains(pools: &[Threads], pack: &Pack, case: &Json) -> Result<()> {
    let layer = case["layer"].as_str().unwrap();
    let Some((mut network, data)) = build_between(pack, case, DType::F32)? else { return Ok(()) };
    freeze_what_cannot_learn(&mut network, &data)?;
    let y = Tensor::zeros(network.forward(&data, &mut Cx::infer())?.dims())?;
    let mut model = network.compile(SGD::new(1e-3), MeanSquaredError::new(), ())?;
    steady(pools, layer, "training", || model.train_on_batch(&data, &y).map(drop))?;
    let mut out = vec![0f32; y.elements()];
    steady(pools, layer, "prediction", || model.predict_into(&data, &mut out))
}

/// The one test of this file, so that nothing else allocates meanwhile.
#[test]
fn the_steady_state_of_every_layer_asks_nothing_of_the_system() {
    // Tensors are too small here for several threads; `memory.rs` has those.
    let pools = &[1].map(|n| Threads::new(n).unwrap());
    every_case(|pack, _, case| {
        trains(pools, pack, case)?;
        let layer = case["layer"].as_str().unwrap();
        // With all of its outputs, those of whole numbers too.
        let case = build(pack, case, DType::F32)?;
        steady(pools, layer, "inference", || case.network.forward_all(&case.data, &mut Cx::infer()).map(drop))
    });
}
