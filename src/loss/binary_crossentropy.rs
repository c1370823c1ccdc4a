//! `BinaryCrossentropy`: the loss for yes-or-no targets, with one probability each.

use super::probability::{check_smoothing, smoothed};
use super::{EPSILON, Loss, Reads, aligned, last_mean};
use crate::config::Dyn;
use crate::nn::activation::{Activation, Sigmoid};
use crate::tensor::Tensor;
use crate::{Result, settings};

settings! {
    /// `-(t·ln p + (1-t)·ln(1-p))`, the mean over the last axis.
    #[derive(Copy, PartialEq)]
    pub struct BinaryCrossentropy {
        /// Takes probabilities, clipped to `[1e-7, 1 - 1e-7]`; after a sigmoid, `compile` uses the exact form on
        /// logits if there is one.
        new();

        /// Whether predictions are logits; no by default.
        from_logits: bool = false,
        /// Mixes targets with the uniform distribution: `t·(1-s) + s/classes` (two classes in the binary case); 0
        /// by default.
        label_smoothing: f64 = 0.0,
    }
}

/// `-(t·ln p + (1-t)·ln(1-p))`, element by element, of clipped `p`.
pub(super) fn on_probabilities(t: &Tensor, p: &Tensor) -> Result<Tensor> {
    let yes = p.ln()?.mul(t)?;
    let no = p.affine(-1.0, 1.0)?.ln()?.mul(&t.affine(-1.0, 1.0)?)?;
    yes.add(&no)?.neg()
}

impl Loss for BinaryCrossentropy {
    fn check(&self) -> Result<()> {
        check_smoothing(self.label_smoothing)
    }

    fn reads(&self) -> Reads {
        if self.from_logits { Reads::Logits } else { Reads::Probabilities }
    }

    fn targets(&self) -> (f64, f64) {
        (0.0, 1.0)
    }

    fn call(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<Tensor> {
        let (t, y_pred) = aligned("BinaryCrossentropy", y_true, y_pred)?;
        let t = smoothed(t, self.label_smoothing, 2)?;
        if self.from_logits {
            return last_mean(&y_pred.binary_cross_entropy(&t)?);
        }
        last_mean(&on_probabilities(&t, &y_pred.clip(EPSILON, 1.0 - EPSILON)?)?)
    }

    fn on_logits(&self, activation: &dyn Activation) -> Option<Dyn<dyn Loss>> {
        let fits = !self.from_logits && (activation as &dyn std::any::Any).is::<Sigmoid>();
        fits.then(|| self.from_logits(true).into())
    }
}
