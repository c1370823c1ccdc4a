//! Metrics: values to watch while training, such as [`Accuracy`] and [`AUC`]. To write one, begin with the trait
//! [`Metric`]: it accumulates over batches and is read at the end of an epoch.

use crate::config::{Configured, Dyn, kind};
pub use crate::loss::Reads;
use crate::tensor::Tensor;
use crate::{Error, Result};

mod curve;
mod function;
mod gathered;

pub use function::{FromFn, from_fn};
pub use gathered::alike;

kind! {
    dyn Metric, "metric", Registry::metric;
    mod accuracy:
        Accuracy, BinaryAccuracy, CategoricalAccuracy, SparseCategoricalAccuracy, TopKCategoricalAccuracy,
        SparseTopKCategoricalAccuracy;
    mod confusion: TruePositives, TrueNegatives, FalsePositives, FalseNegatives, Precision, Recall;
    mod at: PrecisionAtRecall, RecallAtPrecision, SensitivityAtSpecificity, SpecificityAtSensitivity;
    mod f_score: F1Score, FBetaScore with Average;
    mod auc: AUC, AveragePrecision with Curve, Summation;
    mod mean:
        MeanAbsoluteError, MeanSquaredError, RootMeanSquaredError, MeanAbsolutePercentageError, MeanSquaredLogarithmicError,
        LogCoshError, CosineSimilarity, Hinge, SquaredHinge, CategoricalHinge, KLDivergence, Poisson, BinaryCrossentropy,
        CategoricalCrossentropy, SparseCategoricalCrossentropy, MeanLoss, Mean, Sum;
    mod correlation: PearsonCorrelation, ConcordanceCorrelation;
    mod r2_score: R2Score with Aggregation;
    mod iou: IoU, BinaryIoU, MeanIoU, OneHotIoU, OneHotMeanIoU;
    mod agreement: MatthewsCorrelation, CohenKappa, BalancedAccuracy with KappaWeights;
    mod calibration: CalibrationError with CalibrationNorm;
    mod perplexity: Perplexity;
    mod bleu: Bleu;
    mod edit_distance: EditDistance;
    mod tuned: Tuned;
    alias
        "acc": Accuracy, "mse": MeanSquaredError, "MSE": MeanSquaredError, "mae": MeanAbsoluteError, "MAE": MeanAbsoluteError,
        "mape": MeanAbsolutePercentageError, "MAPE": MeanAbsolutePercentageError, "msle": MeanSquaredLogarithmicError,
        "MSLE": MeanSquaredLogarithmicError, "bce": BinaryCrossentropy, "BCE": BinaryCrossentropy, "rmse": RootMeanSquaredError;
}

/// A metric: accumulates a value over batches.
///
/// ```
/// use gradus::metric::{AUC, Metric};
/// use gradus::prelude::*;
///
/// let mut auc = AUC::new();
/// auc.update(&Tensor::from_slice(&[0.0f32, 1.0], [2, 1])?, &Tensor::from_slice(&[0.2f32, 0.6], [2, 1])?, None)?;
/// auc.update(&Tensor::from_slice(&[1.0f32, 0.0], [2, 1])?, &Tensor::from_slice(&[0.1f32, 0.5], [2, 1])?, None)?;
/// assert_eq!(auc.result(), 0.5); // of both batches
/// # Ok::<(), gradus::Error>(())
/// ```
pub trait Metric: Configured + CloneMetric + std::any::Any + std::fmt::Debug + Send + Sync {
    /// Its key in logs and histories (Keras's default name).
    fn name(&self) -> &str;
    /// Adds a batch. Weights, one for each sample or for each position of it, say how much each element counts.
    ///
    /// # Errors
    /// Shapes do not fit.
    fn update(&mut self, y_true: &Tensor, y_pred: &Tensor, sample_weight: Option<&Tensor>) -> Result<()>;
    /// Checks the settings; `compile` calls this.
    ///
    /// # Errors
    /// A setting is out of range.
    fn check(&self) -> Result<()> {
        Ok(())
    }
    /// Returns what the metric takes predictions to be whose last axis has this size. `compile` refuses outputs
    /// that cannot be that, unless [`Loss::allow_mismatch`](crate::loss::Loss::allow_mismatch) is set.
    fn reads(&self, _width: usize) -> Reads {
        Reads::Numbers
    }
    /// Returns the least and the largest valid target; by default any, or 0 to 1 if it reads probabilities.
    fn targets(&self, width: usize) -> (f64, f64) {
        match self.reads(width) {
            Reads::Probabilities | Reads::Logits => (0.0, 1.0),
            _ => (f64::NEG_INFINITY, f64::INFINITY),
        }
    }
    /// The figure so far; 0 before the first batch. Where there are several, it is what they are taken together as.
    fn result(&self) -> f64;
    /// All figures, where there are several: one for each threshold, class, label or column.
    fn results(&self) -> Vec<f64> {
        vec![self.result()]
    }
    /// Adds what another one has gathered, with the same settings: batches may be shared out, and the figure is that of all of them.
    /// All metrics of the library can; one of your own says how, with [`alike`].
    ///
    /// ```
    /// use gradus::metric::{MeanSquaredError, Metric};
    /// use gradus::Tensor;
    ///
    /// let (mut here, mut there) = (MeanSquaredError::new(), MeanSquaredError::new());
    /// here.update(&Tensor::new([[0.0], [0.0]])?, &Tensor::new([[1.0], [1.0]])?, None)?;
    /// there.update(&Tensor::new([[0.0]])?, &Tensor::new([[4.0]])?, None)?;
    /// here.merge(&there)?;
    /// assert_eq!(here.result(), 6.0); // (1 + 1 + 16) / 3
    /// # Ok::<(), gradus::Error>(())
    /// ```
    ///
    /// # Errors
    /// It is another metric, has other settings, or does not say how two of it become one.
    fn merge(&mut self, _other: &dyn Metric) -> Result<()> {
        let name = self.name();
        let why = format!("metric '{name}' does not say how two of it become one: write Metric::merge");
        Err(Error::Custom(why))
    }
    /// Forgets everything gathered.
    fn reset(&mut self);
    /// Returns whether larger values are better, which decides the direction of callbacks such as `EarlyStopping`.
    fn larger_is_better(&self) -> bool;
    /// Returns whether `fit` and `evaluate` pass it the weights of samples. Keras keeps such metrics in a separate
    /// list.
    fn takes_weights(&self) -> bool {
        false
    }

    /// Wraps this metric so that options can be set.
    fn tuned(self) -> Tuned
    where
        Self: Sized + 'static,
    {
        Tuned::new(self)
    }

    /// Gives the metric another name.
    fn named(self, name: &str) -> Tuned
    where
        Self: Sized + 'static,
    {
        let mut tuned = self.tuned();
        tuned.name = Some(name.into());
        tuned
    }

    /// Makes the metric use `sample_weight` and `class_weight` (Keras: `weighted_metrics`).
    fn weighted(self) -> Tuned
    where
        Self: Sized + 'static,
    {
        let mut tuned = self.tuned();
        tuned.weighted = true;
        tuned
    }
}

/// Lets boxed metrics be cloned. Implemented for every metric that is `Clone`.
pub trait CloneMetric {
    /// Returns a copy.
    fn clone_metric(&self) -> Box<dyn Metric>;
}
impl<M: Metric + Clone + 'static> CloneMetric for M {
    fn clone_metric(&self) -> Box<dyn Metric> {
        Box::new(self.clone())
    }
}
impl Clone for Box<dyn Metric> {
    fn clone(&self) -> Self {
        (**self).clone_metric()
    }
}

/// What `compile` takes as a metric: a value, or the name of one with default settings, under which it then appears
/// in histories as in Keras: `"accuracy"`, `"mae"`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a metric",
    label = "expected values such as `Accuracy::new()`, or names such as `\"accuracy\"`",
    note = "metrics of different types stand in a tuple, `(Accuracy::new(), AUC::new())`; none is `()`"
)]
pub trait IntoMetric {
    /// Converts to a metric.
    ///
    /// # Errors
    /// There is no metric of this name; the message lists the known ones.
    fn into_metric(self) -> Result<Box<dyn Metric>>;
}
impl<M: Metric + 'static> IntoMetric for M {
    fn into_metric(self) -> Result<Box<dyn Metric>> {
        Ok(Box::new(self))
    }
}
impl IntoMetric for Box<dyn Metric> {
    fn into_metric(self) -> Result<Box<dyn Metric>> {
        Ok(self)
    }
}
impl IntoMetric for &str {
    fn into_metric(self) -> Result<Box<dyn Metric>> {
        let metric = self.parse::<Dyn<dyn Metric>>()?.clone_metric();
        Ok(if metric.name() == self { metric } else { Box::new(Tuned::named_again(metric, self)) })
    }
}

/// The metrics of one output.
type Metrics = Vec<Box<dyn Metric>>;

/// Metrics by output; the empty name stands for the single output of a network that has only one.
pub type ByOutput = Vec<(String, Vec<Box<dyn Metric>>)>;

/// What `compile` takes as metrics: one metric, an array or a vector, a tuple of up to 8 different types, `()` for
/// none, or [`PerOutput`] for a network with several outputs. Each may be given by its name.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a list of metrics",
    label = "expected `[Accuracy::new()]`, `(Accuracy::new(), AUC::new())`, `[\"accuracy\"]`, or `()` for none"
)]
pub trait IntoMetrics {
    /// Converts to the metrics of one output.
    ///
    /// # Errors
    /// A name is unknown.
    fn into_metrics(self) -> Result<Vec<Box<dyn Metric>>>
    where
        Self: Sized,
    {
        Ok(self.by_output()?.into_iter().flat_map(|(_, metrics)| metrics).collect())
    }
    /// Converts to the metrics of all outputs.
    ///
    /// # Errors
    /// A name is unknown.
    fn by_output(self) -> Result<ByOutput>;
}

/// Wraps the metrics of a single output.
fn of_one(metrics: Vec<Box<dyn Metric>>) -> ByOutput {
    vec![(String::new(), metrics)]
}

impl IntoMetrics for () {
    fn by_output(self) -> Result<ByOutput> {
        Ok(Vec::new())
    }
}
impl<M: IntoMetric> IntoMetrics for M {
    fn by_output(self) -> Result<ByOutput> {
        Ok(of_one(vec![self.into_metric()?]))
    }
}
impl<M: IntoMetric, const N: usize> IntoMetrics for [M; N] {
    fn by_output(self) -> Result<ByOutput> {
        Vec::from(self).by_output()
    }
}
impl<M: IntoMetric> IntoMetrics for Vec<M> {
    fn by_output(self) -> Result<ByOutput> {
        Ok(of_one(self.into_iter().map(M::into_metric).collect::<Result<_>>()?))
    }
}

macro_rules! tuples {
    ($($($type:ident $field:tt),+;)*) => {$(
        impl<$($type: IntoMetric),+> IntoMetrics for ($($type,)+) {
            fn by_output(self) -> Result<ByOutput> {
                Ok(of_one(vec![$(self.$field.into_metric()?),+]))
            }
        }
    )*};
}
tuples! {
    A 0;
    A 0, B 1;
    A 0, B 1, C 2;
    A 0, B 1, C 2, D 3;
    A 0, B 1, C 2, D 3, E 4;
    A 0, B 1, C 2, D 3, E 4, F 5;
    A 0, B 1, C 2, D 3, E 4, F 5, G 6;
    A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7;
}

/// Metrics for a network with several outputs, by the outputs' names:
/// `PerOutput::new().output("digit", [Accuracy::new()]).output("size", [MeanAbsoluteError::new()])`. Their names in
/// logs are `digit_accuracy` and `size_mean_absolute_error`.
#[derive(Debug, Default)]
pub struct PerOutput(Vec<(String, Result<Metrics>)>);

impl PerOutput {
    /// Creates an empty list.
    pub fn new() -> PerOutput {
        PerOutput::default()
    }

    /// Adds the metrics of an output.
    #[must_use]
    pub fn output(mut self, name: &str, metrics: impl IntoMetrics) -> PerOutput {
        self.0.push((name.into(), metrics.into_metrics()));
        self
    }
}

impl IntoMetrics for PerOutput {
    fn by_output(self) -> Result<ByOutput> {
        self.0.into_iter().map(|(name, metrics)| Ok((name, metrics?))).collect()
    }
}
