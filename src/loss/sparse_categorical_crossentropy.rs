//! Why it exists: classification with integer labels.

use super::{EPSILON, Loss};
use crate::config::Dyn;
use crate::nn::activation::Activation;
use crate::tensor::Tensor;
use crate::{DType, Error, Result};
use serde::{Deserialize, Serialize};

/// `-ln p[label]`. Predictions `[…, classes]`; labels `[…]` or `[…, 1]`, of any integer dtype.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SparseCategoricalCrossentropy {
    #[serde(default)]
    from_logits: bool,
}

impl SparseCategoricalCrossentropy {
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
}

const OP: &str = "SparseCategoricalCrossentropy";

/// Labels as int64 with the predictions' leading shape.
pub(crate) fn labels(y_true: &Tensor, y_pred: &Tensor) -> Result<Tensor> {
    let lead = y_pred.dims().split_last().map_or(&[][..], |(_, lead)| lead);
    let labels = match y_true.dims().split_last() {
        Some((1, rest)) if rest == lead && y_true.rank() == y_pred.rank() => y_true.squeeze(-1)?,
        _ => y_true.clone(),
    };
    if labels.dims() != lead {
        let why = "expected one label for each row of predictions (one-hot targets: CategoricalCrossentropy)";
        return Err(Error::shapes(OP, *y_true.shape(), *y_pred.shape(), why));
    }
    match labels.dtype() {
        DType::I64 => Ok(labels),
        DType::U8 => labels.cast(DType::I64),
        got => Err(Error::DType { op: OP, expected: "integer labels (int64 or uint8)", got }),
    }
}

impl Loss for SparseCategoricalCrossentropy {
    fn call(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<Tensor> {
        let labels = labels(y_true, y_pred)?;
        if self.from_logits {
            return y_pred.sparse_cross_entropy(&labels);
        }
        // Keras's rule on probabilities: rescale to sum to one, clip, then -ln p[label].
        let p = y_pred.div(&y_pred.sum(&[-1], true)?)?.clip(EPSILON, 1.0 - EPSILON)?;
        let classes = y_pred.dims().last().copied().unwrap_or(1);
        let hot = labels.one_hot(classes, p.dtype()).map_err(|e| match e {
            Error::Index { value, position, last, .. } => {
                Error::Index { op: OP, what: "label", value, position, last }
            }
            e => e,
        })?;
        p.ln()?.mul(&hot)?.sum(&[-1], false)?.neg()
    }

    fn on_logits(&self, activation: &dyn Activation) -> Option<Dyn<dyn Loss>> {
        let fits = !self.from_logits && activation.class_name() == "Softmax";
        fits.then(|| self.from_logits(true).into())
    }
}
