//! Metrics that are a mean over all samples: how it is accumulated, and those that are means of errors.

use super::{Metric, Reads};
use crate::config::Dyn;
use crate::loss::{self, Loss, fitted, present};
use crate::nn::snake_case;
use crate::tensor::Tensor;
use crate::{DType, Result, settings};
use std::sync::OnceLock;

/// `Σ wᵢ·xᵢ / Σ wᵢ` over batches. Elements of weight 0 are absent, whatever their value.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mean {
    sum: f64,
    total: f64,
    /// `Σ |wᵢ|`: compared with it, a sum of weights of both signs may be nothing but rounding error.
    size: f64,
}

impl Mean {
    /// Adds float64 values with their weights, which have as many axes or fewer.
    pub(super) fn add(&mut self, values: &Tensor, weights: Option<&Tensor>) -> Result<()> {
        let Some(w) = weights else {
            self.sum += values.sum(&[], false)?.item()?;
            self.total += values.elements() as f64;
            self.size += values.elements() as f64;
            return Ok(());
        };
        let w =
            fitted("sample_weight", &w.cast(DType::F64)?, values.shape())?.broadcast_to(*values.shape())?;
        let zero = w.new_full([], 0.0)?;
        let present = w.not_equal(&zero)?.choose(values, &zero)?;
        self.sum += present.mul(&w)?.sum(&[], false)?.item()?;
        self.total += w.sum(&[], false)?.item()?;
        self.size += w.abs()?.sum(&[], false)?.item()?;
        Ok(())
    }

    /// Adds the losses of predictions, computed in float64.
    fn add_losses(
        &mut self,
        loss: &dyn Loss,
        y: &Tensor,
        p: &Tensor,
        weights: Option<&Tensor>,
    ) -> Result<()> {
        let (y, p) = present(y, &p.cast(DType::F64)?, loss.axis(), weights, None)?;
        self.add(&loss.call(&y, &p)?, weights)
    }

    pub(super) fn get(&self) -> f64 {
        if self.total.abs() <= 1e-12 * self.size { 0.0 } else { self.sum / self.total }
    }
}

/// Declares metrics that are the mean of a loss, followed by a function of that mean.
macro_rules! mean_errors {
    ($($(#[$doc:meta])* $type:ident, $name:literal, $loss:ident, larger $larger:literal, $mean:ident => $result:expr;)*) => {$(
        settings! {
            $(#[$doc])*
            pub struct $type {
                /// Creates the metric.
                new();

                mean: state Mean = Mean::default(),
            }
        }
        impl Metric for $type {
            fn name(&self) -> &str {
                $name
            }
            fn update(&mut self, y_true: &Tensor, y_pred: &Tensor, sample_weight: Option<&Tensor>) -> Result<()> {
                self.mean.add_losses(&loss::$loss::new(), y_true, y_pred, sample_weight)
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
    /// The mean of any loss, under the loss's name in snake case: `MeanLoss::new(Huber::new())` is `huber`.
    pub struct MeanLoss {
        /// Creates the metric of this loss.
        new(loss: into Dyn<dyn Loss>);

        name: state OnceLock<String> = OnceLock::new(),
        mean: state Mean = Mean::default(),
    }
}

impl Metric for MeanLoss {
    fn name(&self) -> &str {
        self.name.get_or_init(|| snake_case(self.loss.name()))
    }
    fn check(&self) -> Result<()> {
        self.loss.check()
    }
    fn reads(&self, _: usize) -> Reads {
        self.loss.reads()
    }
    fn targets(&self, _: usize) -> (f64, f64) {
        self.loss.targets()
    }
    fn update(&mut self, y_true: &Tensor, y_pred: &Tensor, sample_weight: Option<&Tensor>) -> Result<()> {
        self.mean.add_losses(&*self.loss, y_true, y_pred, sample_weight)
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
