//! Why it exists: yes or no, one probability each.

use super::{EPSILON, Loss, last_mean, same_shape};
use crate::Result;
use crate::config::Dyn;
use crate::nn::activation::{Activation, Sigmoid};
use crate::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// `-(t·ln p + (1-t)·ln(1-p))`, the mean over the last axis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BinaryCrossentropy {
    #[serde(default)]
    from_logits: bool,
    #[serde(default)]
    label_smoothing: f64,
}

impl BinaryCrossentropy {
    /// On probabilities, clipped to `[1e-7, 1 - 1e-7]`; behind a sigmoid, `compile` uses the exact form on logits.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether predictions are logits; no by default.
    #[must_use]
    pub fn from_logits(mut self, from_logits: bool) -> Self {
        self.from_logits = from_logits;
        self
    }

    /// Mixes targets with a half: `t·(1-s) + s/2`; 0 by default.
    #[must_use]
    pub fn label_smoothing(mut self, label_smoothing: f64) -> Self {
        self.label_smoothing = label_smoothing;
        self
    }
}

impl Loss for BinaryCrossentropy {
    fn call(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<Tensor> {
        same_shape("BinaryCrossentropy", y_true, y_pred)?;
        let mut t = y_true.cast(y_pred.dtype())?;
        if self.label_smoothing != 0.0 {
            t = t.affine(1.0 - self.label_smoothing, 0.5 * self.label_smoothing)?;
        }
        if self.from_logits {
            return last_mean(&y_pred.binary_cross_entropy(&t)?);
        }
        let p = y_pred.clip(EPSILON, 1.0 - EPSILON)?;
        let yes = p.ln()?.mul(&t)?;
        let no = p.affine(-1.0, 1.0)?.ln()?.mul(&t.affine(-1.0, 1.0)?)?;
        last_mean(&yes.add(&no)?.neg()?)
    }

    fn on_logits(&self, activation: &dyn Activation) -> Option<Dyn<dyn Loss>> {
        let fits = !self.from_logits && (activation as &dyn std::any::Any).is::<Sigmoid>();
        fits.then(|| self.from_logits(true).into())
    }
}
