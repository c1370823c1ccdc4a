//! `CategoricalCrossentropy`: the loss of classification where the target is one probability per class.

use super::probability::{check_smoothing, rescaled, smoothed};
use super::{Loss, Reads, aligned};
use crate::config::Dyn;
use crate::nn::activation::{Activation, Softmax};
use crate::tensor::Tensor;
use crate::{Error, Result, settings};

settings! {
    /// `-Σ t·ln p` over the last axis. Predictions and targets `[…, classes]`.
    #[derive(Copy, PartialEq)]
    pub struct CategoricalCrossentropy {
        /// Takes probabilities, clipped to `[1e-7, 1 - 1e-7]`; after a softmax, `compile` uses the exact form on
        /// logits if there is one.
        new();

        /// Whether predictions are logits; no by default.
        from_logits: bool = false,
        /// Mixes targets with the uniform distribution: `t·(1-s) + s/classes` (two classes in the binary case); 0
        /// by default.
        label_smoothing: f64 = 0.0,
    }
}

/// Returns one probability for each class, smoothed.
pub(super) fn targets(op: &'static str, y_true: &Tensor, y_pred: &Tensor, smoothing: f64) -> Result<Tensor> {
    if y_true.rank() < y_pred.rank() {
        let why = "expected one probability for each class (integer labels: SparseCategoricalCrossentropy)";
        return Err(Error::shapes(op, *y_true.shape(), *y_pred.shape(), why));
    }
    let (targets, p) = aligned(op, y_true, y_pred)?;
    smoothed(targets, smoothing, p.dims().last().copied().unwrap_or(1))
}

impl Loss for CategoricalCrossentropy {
    fn check(&self) -> Result<()> {
        check_smoothing(self.label_smoothing)
    }

    fn reads(&self) -> Reads {
        if self.from_logits { Reads::ClassLogits } else { Reads::Shares }
    }

    fn targets(&self) -> (f64, f64) {
        (0.0, 1.0)
    }

    fn call(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<Tensor> {
        let targets = targets("CategoricalCrossentropy", y_true, y_pred, self.label_smoothing)?;
        if self.from_logits {
            return y_pred.cross_entropy(&targets);
        }
        rescaled(y_pred)?.ln()?.mul(&targets)?.sum(&[-1], false)?.neg()
    }

    fn on_logits(&self, activation: &dyn Activation) -> Option<Dyn<dyn Loss>> {
        let fits = !self.from_logits && (activation as &dyn std::any::Any).downcast_ref() == Some(&Softmax);
        fits.then(|| self.from_logits(true).into())
    }
}
