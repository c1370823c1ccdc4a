//! Why it exists: most metrics are a mean of something over all samples; here it is gathered, and here are those that are
//! means of errors.

use super::Metric;
use crate::config::Dyn;
use crate::loss::{self, Loss, fitted};
use crate::nn::snake_case;
use crate::tensor::Tensor;
use crate::{DType, Result, settings};
use std::sync::OnceLock;

/// `Σ wᵢ·xᵢ / Σ wᵢ` over batches.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mean {
    sum: f64,
    total: f64,
}

impl Mean {
    /// Adds float64 values with their weights, of as many axes or fewer.
    pub(super) fn add(&mut self, values: &Tensor, weights: Option<&Tensor>) -> Result<()> {
        let (sum, total) = match weights {
            None => (values.sum(&[], false)?.item()?, values.elements() as f64),
            Some(w) => {
                let w = fitted("sample_weight", &w.cast(DType::F64)?, values)?;
                let total = w.broadcast_to(*values.shape())?.sum(&[], false)?.item()?;
                (values.mul(&w)?.sum(&[], false)?.item()?, total)
            }
        };
        self.sum += sum;
        self.total += total;
        Ok(())
    }

    pub(super) fn get(&self) -> f64 {
        if self.total == 0.0 { 0.0 } else { self.sum / self.total }
    }
}

/// Metrics that are the mean of a loss, up to a last function of the mean.
macro_rules! mean_errors {
    ($($(#[$doc:meta])* $type:ident, $name:literal, $loss:ident, larger $larger:literal, $mean:ident => $result:expr;)*) => {$(
        settings! {
            $(#[$doc])*
            pub struct $type {
                /// The metric.
                new();

                mean: state Mean = Mean::default(),
            }
        }
        impl Metric for $type {
            fn name(&self) -> &str {
                $name
            }
            fn update(&mut self, y_true: &Tensor, y_pred: &Tensor, sample_weight: Option<&Tensor>) -> Result<()> {
                self.mean.add(&loss::$loss::new().call(y_true, &y_pred.cast(DType::F64)?)?, sample_weight)
            }
            fn result(&self) -> f64 {
                let $mean = self.mean.get();
                $result
            }
            fn reset(&mut self) {
                *self = $type::default();
            }
            fn larger_is_better(&self) -> bool {
                $larger
            }
        }
    )*};
}

mean_errors! {
    /// The mean of `|t - p|`, named `mean_absolute_error`.
    MeanAbsoluteError, "mean_absolute_error", MeanAbsoluteError, larger false, mean => mean;
    /// The mean of `(t - p)²`, named `mean_squared_error`.
    MeanSquaredError, "mean_squared_error", MeanSquaredError, larger false, mean => mean;
    /// The root of the mean of `(t - p)²`, named `root_mean_squared_error`.
    RootMeanSquaredError, "root_mean_squared_error", MeanSquaredError, larger false, mean => libm::sqrt(mean);
    /// The mean cosine of the angle between targets and predictions along the last axis, named `cosine_similarity`.
    CosineSimilarity, "cosine_similarity", CosineSimilarity, larger true, mean => if mean == 0.0 { 0.0 } else { -mean };
}

settings! {
    /// The mean of any loss, under the loss's name in small letters: `MeanLoss::new(Huber::new())` is `huber`.
    pub struct MeanLoss {
        /// Of this loss.
        new(loss: into Dyn<dyn Loss>);

        name: state OnceLock<String> = OnceLock::new(),
        mean: state Mean = Mean::default(),
    }
}

impl Metric for MeanLoss {
    fn name(&self) -> &str {
        self.name.get_or_init(|| snake_case(self.loss.class_name()))
    }
    fn update(&mut self, y_true: &Tensor, y_pred: &Tensor, sample_weight: Option<&Tensor>) -> Result<()> {
        self.mean.add(&self.loss.call(y_true, &y_pred.cast(DType::F64)?)?, sample_weight)
    }
    fn result(&self) -> f64 {
        self.mean.get()
    }
    fn reset(&mut self) {
        self.mean = Mean::default();
    }
    fn larger_is_better(&self) -> bool {
        false
    }
}
