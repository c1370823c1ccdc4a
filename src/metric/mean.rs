//! Metrics that are a mean over all samples, among them the means of losses.

use super::gathered::{Gathered, gathers};
use super::{Metric, Reads};
use crate::config::Dyn;
use crate::loss::{self, Loss, each, fitted};
use crate::nn::snake_case;
use crate::tensor::Tensor;
use crate::{DType, Result, settings};
use std::sync::OnceLock;

/// `Σ wᵢ·xᵢ / Σ wᵢ` over batches. Elements of weight 0 are absent, whatever their value.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Running {
    pub(super) sum: f64,
    total: f64,
    /// `Σ |wᵢ|`: compared with it, a sum of weights of both signs may be nothing but rounding error.
    size: f64,
}

impl Gathered for Running {
    fn absorb(&mut self, other: &Self) -> Result<()> {
        self.sum += other.sum;
        self.total += other.total;
        self.size += other.size;
        Ok(())
    }
}

impl Running {
    /// Adds float64 values with their weights, of as many axes or fewer. One value of the whole batch counts as often as all weights say.
    pub(super) fn add(&mut self, values: &Tensor, weights: Option<&Tensor>) -> Result<()> {
        let Some(w) = weights else {
            self.sum += values.sum(&[], false)?.item()?;
            self.total += values.elements() as f64;
            self.size += values.elements() as f64;
            return Ok(());
        };
        let values = &if values.rank() == 0 { values.broadcast_to(*w.shape())? } else { values.clone() };
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
    pub(super) fn add_losses(
        &mut self,
        loss: &dyn Loss,
        y: &Tensor,
        p: &Tensor,
        weights: Option<&Tensor>,
    ) -> Result<()> {
        let (losses, mask) = each(loss, y, &p.detach().cast(DType::F64)?, weights, None)?;
        let Some(mask) = mask else { return self.add(&losses, weights) };
        let counts = mask.cast(DType::F64)?;
        let weights = match weights {
            Some(w) => fitted("sample_weight", &w.cast(DType::F64)?, losses.shape())?.mul(&counts)?,
            None => counts,
        };
        self.add(&losses, Some(&weights))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.total.abs() <= 1e-12 * self.size
    }

    /// 0 if nothing counts.
    pub(super) fn get(&self) -> f64 {
        if self.is_empty() { 0.0 } else { self.sum / self.total }
    }
}

/// Metrics that are the mean of a loss, up to a last function of the mean.
macro_rules! means_of_losses {
    ($($(#[$doc:meta])* $type:ident { $($rows:tt)* }, $name:literal, $self:ident => $loss:expr,
        larger $larger:literal, $mean:ident => $result:expr;)*) => {$(
        settings! {
            $(#[$doc])*
            pub struct $type {
                /// Creates the metric.
                new();

                $($rows)*
                mean: state Running = Running::default(),
            }
        }
        impl Metric for $type {
            fn name(&self) -> &str {
                $name
            }
            fn check(&$self) -> Result<()> {
                $loss.check()
            }
            fn reads(&$self, _: usize) -> Reads {
                $loss.reads()
            }
            fn targets(&$self, _: usize) -> (f64, f64) {
                $loss.targets()
            }
            fn update(&mut $self, y_true: &Tensor, y_pred: &Tensor, sample_weight: Option<&Tensor>) -> Result<()> {
                $self.mean.add_losses(&$loss, y_true, y_pred, sample_weight)
            }
            fn result(&self) -> f64 {
                let $mean = self.mean.get();
                $result
            }
            fn larger_is_better(&self) -> bool {
                $larger
            }
            gathers!(mean);
        }
    )*};
}

means_of_losses! {
    /// The mean of `|t - p|`, named `mean_absolute_error`.
    MeanAbsoluteError {}, "mean_absolute_error", self => loss::MeanAbsoluteError::new(), larger false, mean => mean;
    /// The mean of `(t - p)²`, named `mean_squared_error`.
    MeanSquaredError {}, "mean_squared_error", self => loss::MeanSquaredError::new(), larger false, mean => mean;
    /// The root of the mean of `(t - p)²`, named `root_mean_squared_error`.
    RootMeanSquaredError {}, "root_mean_squared_error", self => loss::MeanSquaredError::new(), larger false, mean => libm::sqrt(mean);
    /// `100 ·` the mean of `|t - p| / max(|t|, 1e-7)`, named `mean_absolute_percentage_error`.
    MeanAbsolutePercentageError {}, "mean_absolute_percentage_error", self => loss::MeanAbsolutePercentageError::new(), larger false, mean => mean;
    /// The mean of `(ln(1 + t) - ln(1 + p))²`, both kept above 1e-7, named `mean_squared_logarithmic_error`.
    MeanSquaredLogarithmicError {}, "mean_squared_logarithmic_error", self => loss::MeanSquaredLogarithmicError::new(), larger false, mean => mean;
    /// The mean of `ln cosh(p - t)`, named `logcosh`.
    LogCoshError {}, "logcosh", self => loss::LogCosh::new(), larger false, mean => mean;
    /// The mean cosine of the angle between targets and predictions along an axis, named `cosine_similarity`.
    CosineSimilarity {
        /// The axis along which vectors lie; the last by default.
        axis: isize = -1,
    }, "cosine_similarity", self => loss::CosineSimilarity::new().axis(self.axis), larger true, mean => if mean == 0.0 { 0.0 } else { -mean };
    /// The mean of `max(1 - t·p, 0)`, named `hinge`: see [`loss::Hinge`].
    Hinge {}, "hinge", self => loss::Hinge::new(), larger false, mean => mean;
    /// The mean of `max(1 - t·p, 0)²`, named `squared_hinge`.
    SquaredHinge {}, "squared_hinge", self => loss::SquaredHinge::new(), larger false, mean => mean;
    /// The mean of `max(1 + max((1 - t)·p) - Σ t·p, 0)`, named `categorical_hinge`.
    CategoricalHinge {}, "categorical_hinge", self => loss::CategoricalHinge::new(), larger false, mean => mean;
    /// The mean of `Σ t·ln(t / p)`, named `kl_divergence`.
    KLDivergence {}, "kl_divergence", self => loss::KLDivergence::new(), larger false, mean => mean;
    /// The mean of `p - t·ln(p + 1e-7)`, named `poisson`.
    Poisson {}, "poisson", self => loss::Poisson::new(), larger false, mean => mean;
    /// The mean of `-(t·ln p + (1-t)·ln(1-p))`, named `binary_crossentropy`: see [`loss::BinaryCrossentropy`].
    BinaryCrossentropy {
        /// Whether predictions are logits; no by default.
        from_logits: bool = false,
        /// Mixes targets with the uniform distribution; 0 by default.
        label_smoothing: f64 = 0.0,
    }, "binary_crossentropy", self => loss::BinaryCrossentropy::new().from_logits(self.from_logits).label_smoothing(self.label_smoothing),
        larger false, mean => mean;
    /// The mean of `-Σ t·ln p`, named `categorical_crossentropy`: see [`loss::CategoricalCrossentropy`].
    CategoricalCrossentropy {
        /// Whether predictions are logits; no by default.
        from_logits: bool = false,
        /// Mixes targets with the uniform distribution; 0 by default.
        label_smoothing: f64 = 0.0,
    }, "categorical_crossentropy",
        self => loss::CategoricalCrossentropy::new().from_logits(self.from_logits).label_smoothing(self.label_smoothing),
        larger false, mean => mean;
    /// The mean of `-ln p[label]`, named `sparse_categorical_crossentropy`: see [`loss::SparseCategoricalCrossentropy`].
    SparseCategoricalCrossentropy {
        /// Whether predictions are logits; no by default.
        from_logits: bool = false,
    }, "sparse_categorical_crossentropy", self => loss::SparseCategoricalCrossentropy::new().from_logits(self.from_logits),
        larger false, mean => mean;
}

settings! {
    /// The mean of any loss, under the loss's name in snake case: `MeanLoss::new(Huber::new())` is `huber`.
    pub struct MeanLoss {
        /// Creates the metric of this loss.
        new(loss: into Dyn<dyn Loss>);

        name: state OnceLock<String> = OnceLock::new(),
        mean: state Running = Running::default(),
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
    fn larger_is_better(&self) -> bool {
        false
    }
    gathers!(mean);
}

/// Figures of values alone, which are the predictions where there are targets too.
macro_rules! of_values {
    ($($(#[$doc:meta])* $type:ident, $name:literal, $self:ident => $result:expr;)*) => {$(
        settings! {
            $(#[$doc])*
            pub struct $type {
                /// Of nothing yet.
                new();

                values: state Running = Running::default(),
            }
        }
        impl $type {
            /// Adds values, with a weight for each or for each row of them.
            ///
            /// # Errors
            /// The shape of the weights does not fit.
            pub fn add(&mut self, values: &Tensor, sample_weight: Option<&Tensor>) -> Result<()> {
                self.values.add(&values.detach().cast(DType::F64)?, sample_weight)
            }
        }
        impl Metric for $type {
            fn name(&self) -> &str {
                $name
            }
            fn update(&mut self, _: &Tensor, y_pred: &Tensor, sample_weight: Option<&Tensor>) -> Result<()> {
                self.add(y_pred, sample_weight)
            }
            fn result(&$self) -> f64 {
                $result
            }
            fn larger_is_better(&self) -> bool {
                false
            }
            gathers!(values);
        }
    )*};
}

of_values! {
    /// The mean of values, named `mean`; as a metric of a model that of its predictions.
    Mean, "mean", self => self.values.get();
    /// The sum of values, named `sum`; as a metric of a model that of its predictions.
    Sum, "sum", self => self.values.sum;
}
