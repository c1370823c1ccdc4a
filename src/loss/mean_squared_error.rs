//! Why it exists: regression.

use super::{Loss, same_shape};
use crate::Result;
use crate::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// The mean of `(t - p)²` over the last axis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeanSquaredError {}

impl MeanSquaredError {
    /// The loss.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Loss for MeanSquaredError {
    fn call(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<Tensor> {
        same_shape("MeanSquaredError", y_true, y_pred)?;
        super::last_mean(&y_pred.sub(&y_true.cast(y_pred.dtype())?)?.square()?)
    }
}
