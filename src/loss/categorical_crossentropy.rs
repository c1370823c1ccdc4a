//! Why it exists: classification with one probability a class as the target.

use super::{EPSILON, Loss, same_shape};
use crate::config::Dyn;
use crate::nn::activation::Activation;
use crate::tensor::Tensor;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// `-Σ t·ln p` over the last axis. Predictions and targets `[…, classes]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CategoricalCrossentropy {
    #[serde(default)]
    from_logits: bool,
    #[serde(default)]
    label_smoothing: f64,
}

impl CategoricalCrossentropy {
    /// On probabilities, clipped to `[1e-7, 1 - 1e-7]`; behind a softmax, `compile` uses the exact form on logits.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether predictions are logits; no by default.
    #[must_use]
    pub fn from_logits(mut self, from_logits: bool) -> Self {
        self.from_logits = from_logits;
        self
    }

    /// Mixes targets with the uniform distribution: `t·(1-s) + s/classes`; 0 by default.
    #[must_use]
    pub fn label_smoothing(mut self, label_smoothing: f64) -> Self {
        self.label_smoothing = label_smoothing;
        self
    }
}

impl Loss for CategoricalCrossentropy {
    fn call(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<Tensor> {
        if y_true.rank() < y_pred.rank() {
            let why =
                "expected one probability for each class (integer labels: SparseCategoricalCrossentropy)";
            return Err(Error::shapes("CategoricalCrossentropy", *y_true.shape(), *y_pred.shape(), why));
        }
        same_shape("CategoricalCrossentropy", y_true, y_pred)?;
        let mut targets = y_true.cast(y_pred.dtype())?;
        if self.label_smoothing != 0.0 {
            let classes = y_pred.dims().last().copied().unwrap_or(1) as f64;
            targets = targets.affine(1.0 - self.label_smoothing, self.label_smoothing / classes)?;
        }
        if self.from_logits {
            return y_pred.cross_entropy(&targets);
        }
        // Keras's rule on probabilities: rescale to sum to one, clip, then -Σ t·ln p.
        let p = y_pred.div(&y_pred.sum(&[-1], true)?)?.clip(EPSILON, 1.0 - EPSILON)?;
        p.ln()?.mul(&targets)?.sum(&[-1], false)?.neg()
    }

    fn on_logits(&self, activation: &dyn Activation) -> Option<Dyn<dyn Loss>> {
        let fits = !self.from_logits && activation.class_name() == "Softmax";
        fits.then(|| self.from_logits(true).into())
    }
}
