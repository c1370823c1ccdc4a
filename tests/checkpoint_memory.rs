//! Counts the peak memory of training with checkpoints, which exist to save it.
#![allow(clippy::unwrap_used)]

use gradus::nn::layers::Checkpoint;
use gradus::prelude::*;

const BATCH: usize = 256;
const WIDTH: usize = 64;
const BLOCKS: usize = 6;

/// What the pool holds after one step from nothing is what the step needed at its peak: blocks return to it and stay.
fn peak(wrap: bool) -> usize {
    let mut stack = Sequential::new().add(Input::new([WIDTH]));
    for _ in 0..BLOCKS {
        let dense = || Dense::new(WIDTH).activation(Gelu);
        let block = Sequential::new().add(dense()).add(Dropout::new(0.1)).add(dense()).add(dense());
        stack = if wrap { stack.add(Checkpoint::new(block)) } else { stack.add(block) };
    }
    let mut model = stack.compile(SGD::new(0.01), MeanSquaredError::new(), ()).unwrap();
    let x = Tensor::full([BATCH, WIDTH], 0.5f32).unwrap();
    Threads::new(1).unwrap().run(|| {
        gradus::tensor::trim();
        model.train_on_batch(&x, &x).unwrap();
    });
    gradus::tensor::pooled_bytes()
}

/// The one test of this file, so that nothing else uses the pool meanwhile.
#[test]
fn checkpoints_lower_the_peak() {
    let (plain, wrapped) = (peak(false), peak(true));
    println!("bytes of the pool after one step: {plain} plain, {wrapped} with checkpoints");
    // A block holds seven activations inside; without checkpoints all blocks hold theirs, with them one does.
    let activation = BATCH * WIDTH * 4;
    assert!(plain > BLOCKS * 6 * activation, "{plain}");
    assert!(2 * wrapped < plain, "{wrapped} with checkpoints, {plain} without");
}
