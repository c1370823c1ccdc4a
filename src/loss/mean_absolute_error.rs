//! Why it exists: regression that forgives outliers.

use super::{Loss, same_shape};
use crate::Result;
use crate::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// The mean of `|t - p|` over the last axis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeanAbsoluteError {}

impl MeanAbsoluteError {
    /// The loss.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Loss for MeanAbsoluteError {
    fn call(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<Tensor> {
        same_shape("MeanAbsoluteError", y_true, y_pred)?;
        super::last_mean(&y_pred.sub(&y_true.cast(y_pred.dtype())?)?.abs()?)
    }
}
