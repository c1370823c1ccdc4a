//! Why it exists: what training makes smaller. A loss gives one number a sample; how they become one is the reduction.

mod binary_crossentropy;
mod categorical_crossentropy;
mod mean_absolute_error;
mod mean_squared_error;
mod sparse_categorical_crossentropy;

pub use binary_crossentropy::BinaryCrossentropy;
pub use categorical_crossentropy::CategoricalCrossentropy;
pub use mean_absolute_error::MeanAbsoluteError;
pub use mean_squared_error::MeanSquaredError;
pub use sparse_categorical_crossentropy::SparseCategoricalCrossentropy;

use crate::config::{Configured, Dyn, kind};
use crate::nn::activation::Activation;
use crate::tensor::Tensor;
use crate::{Error, Result};

#[rustfmt::skip]
kind!("loss", Loss:
    SparseCategoricalCrossentropy, CategoricalCrossentropy, BinaryCrossentropy, MeanSquaredError, MeanAbsoluteError,
);

/// Predictions are kept this far from 0 and 1 (Keras's epsilon).
pub(crate) const EPSILON: f64 = 1e-7;

/// Compares predictions with the truth.
pub trait Loss: Configured + std::fmt::Debug + Send + Sync {
    /// One number for each sample (and each further position, such as time), differentiable in `y_pred`.
    ///
    /// # Errors
    /// Shapes do not fit: nothing broadcasts here; or labels are out of range.
    fn call(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<Tensor>;

    /// The same loss as a function of what goes into `activation`, if there is a form that is exact where the other clips.
    fn on_logits(&self, _activation: &dyn Activation) -> Option<Dyn<dyn Loss>> {
        None
    }
}

impl<L: Loss + 'static> From<L> for Dyn<dyn Loss> {
    fn from(loss: L) -> Self {
        Dyn(std::sync::Arc::new(loss))
    }
}

/// `Σ wᵢ·lᵢ / N`: Keras's `sum_over_batch_size`. `weights` has the shape of the per-sample losses, or fewer axes.
///
/// # Errors
/// The weights' shape does not fit.
pub fn reduce(losses: &Tensor, weights: Option<&Tensor>) -> Result<Tensor> {
    let Some(w) = weights else { return losses.mean(&[], false) };
    let mut w = w.cast(losses.dtype())?;
    while w.rank() > losses.rank() && w.dims().last() == Some(&1) {
        w = w.squeeze(-1)?;
    }
    while w.rank() < losses.rank() {
        w = w.expand_dims(-1)?;
    }
    if w.rank() != losses.rank() || w.dims().iter().zip(losses.dims()).any(|(a, b)| a != b && *a != 1) {
        return Err(Error::shapes(
            "sample_weight",
            *w.shape(),
            *losses.shape(),
            "one weight for each sample is needed",
        ));
    }
    losses.mul(&w)?.mean(&[], false)
}

/// The mean over the last axis, if there is one: what one sample's loss is for most losses.
pub(crate) fn last_mean(losses: &Tensor) -> Result<Tensor> {
    if losses.rank() == 0 { Ok(losses.clone()) } else { losses.mean(&[-1], false) }
}

/// Demands equal shapes: a loss that broadcast would train the wrong thing in silence.
pub(crate) fn same_shape(op: &'static str, y_true: &Tensor, y_pred: &Tensor) -> Result<()> {
    if y_true.shape() == y_pred.shape() {
        return Ok(());
    }
    let why = "targets and predictions must have the same shape (losses do not broadcast)";
    Err(Error::shapes(op, *y_true.shape(), *y_pred.shape(), why))
}
