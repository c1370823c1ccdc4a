//! Why it exists: yes or no, one probability each.

use super::probability::{crossentropy, smoothed};
use super::{EPSILON, Loss, aligned, last_mean};
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
crossentropy!(BinaryCrossentropy, "sigmoid", label_smoothing);

/// `-(t·ln p + (1-t)·ln(1-p))`, element by element, with `p` clipped.
pub(super) fn on_probabilities(t: &Tensor, p: &Tensor) -> Result<Tensor> {
    let p = p.clip(EPSILON, 1.0 - EPSILON)?;
    let yes = p.ln()?.mul(t)?;
    let no = p.affine(-1.0, 1.0)?.ln()?.mul(&t.affine(-1.0, 1.0)?)?;
    yes.add(&no)?.neg()
}

impl Loss for BinaryCrossentropy {
    fn call(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<Tensor> {
        let (t, y_pred) = aligned("BinaryCrossentropy", y_true, y_pred)?;
        let t = smoothed(t, self.label_smoothing, 2)?;
        if self.from_logits {
            return last_mean(&y_pred.binary_cross_entropy(&t)?);
        }
        last_mean(&on_probabilities(&t, &y_pred)?)
    }

    fn on_logits(&self, activation: &dyn Activation) -> Option<Dyn<dyn Loss>> {
        let fits = !self.from_logits && (activation as &dyn std::any::Any).is::<Sigmoid>();
        fits.then(|| self.from_logits(true).into())
    }
}
