//! Why it exists: the settings of an evaluation.

use super::weights::Weights;
use crate::tensor::Tensor;

/// The settings of `evaluate_with`, with Keras's defaults.
#[derive(Clone, Debug)]
#[must_use]
pub struct Evaluate {
    pub(crate) batch_size: usize,
    pub(crate) weights: Option<Weights>,
    pub(crate) steps: Option<usize>,
}

impl Default for Evaluate {
    fn default() -> Self {
        Evaluate::new()
    }
}

impl Evaluate {
    /// All rows, in batches of 32.
    pub fn new() -> Evaluate {
        Evaluate { batch_size: 32, weights: None, steps: None }
    }

    /// Rows in a batch; 32 by default.
    pub fn batch_size(mut self, batch_size: usize) -> Evaluate {
        self.batch_size = batch_size;
        self
    }

    /// How much each row counts in the loss and in weighted metrics.
    pub fn sample_weight(mut self, weights: &Tensor) -> Evaluate {
        self.weights = Some(Weights::sample(weights));
        self
    }

    /// How many batches are evaluated; all by default.
    pub fn steps(mut self, steps: usize) -> Evaluate {
        self.steps = Some(steps);
        self
    }
}
