//! Why it exists: what people watch while training. A metric gathers over batches and is read at the end of an epoch.

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

/// Gathers a figure over batches.
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
    /// Adds a batch. With weights, one for each sample or each position of it, entries count as often as their weight says.
    ///
    /// # Errors
    /// Shapes do not fit.
    fn update(&mut self, y_true: &Tensor, y_pred: &Tensor, sample_weight: Option<&Tensor>) -> Result<()>;
    /// Whether its settings make sense; `compile` asks.
    ///
    /// # Errors
    /// A setting is out of range.
    fn check(&self) -> Result<()> {
        Ok(())
    }
    /// What it takes predictions for whose last axis has this size. `compile` refuses outputs that cannot be that;
    /// [`Loss::allow_mismatch`](crate::loss::Loss::allow_mismatch) lets them pass.
    fn reads(&self, _width: usize) -> Reads {
        Reads::Numbers
    }
    /// The least and the largest target that it is made for; by default any, or 0 to 1 where it reads probabilities.
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
    /// Whether a larger figure is better; decides the direction of `EarlyStopping` and its like.
    fn larger_is_better(&self) -> bool;
    /// Whether `fit` and `evaluate` give it the weights of samples. Keras keeps such metrics in a list of their own.
    fn takes_weights(&self) -> bool {
        false
    }

    /// The same metric with room for a name.
    fn tuned(self) -> Tuned
    where
        Self: Sized + 'static,
    {
        Tuned::new(self)
    }

    /// Under another name.
    fn named(self, name: &str) -> Tuned
    where
        Self: Sized + 'static,
    {
        let mut tuned = self.tuned();
        tuned.name = Some(name.into());
        tuned
    }

    /// Weighted with `sample_weight` or `class_weight` (Keras: `weighted_metrics`).
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
    /// A copy.
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

/// What `compile` takes as a metric: a value, or its name for one with default settings, under which it then stands in
/// histories as in Keras: `"accuracy"`, `"mae"`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a metric",
    label = "expected values such as `Accuracy::new()`, or names such as `\"accuracy\"`",
    note = "metrics of different types stand in a tuple, `(Accuracy::new(), AUC::new())`; none is `()`"
)]
pub trait IntoMetric {
    /// The metric.
    ///
    /// # Errors
    /// There is none of this name; the message lists those that there are.
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

/// Metrics by output; the empty name is the one output of a network that has one.
pub type ByOutput = Vec<(String, Vec<Box<dyn Metric>>)>;

/// Whatever `compile` takes as metrics: one, an array or a vector, or a tuple of up to 8 of different types; `()` for none; and
/// [`PerOutput`] for a network with several outputs. Each may be given by its name.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a list of metrics",
    label = "expected `[Accuracy::new()]`, `(Accuracy::new(), AUC::new())`, `[\"accuracy\"]`, or `()` for none"
)]
pub trait IntoMetrics {
    /// The metrics of one output.
    ///
    /// # Errors
    /// There is none of a name.
    fn into_metrics(self) -> Result<Vec<Box<dyn Metric>>>
    where
        Self: Sized,
    {
        Ok(self.by_output()?.into_iter().flat_map(|(_, metrics)| metrics).collect())
    }
    /// The metrics of all outputs.
    ///
    /// # Errors
    /// There is none of a name.
    fn by_output(self) -> Result<ByOutput>;
}

/// Those of the one output.
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
/// `PerOutput::new().output("digit", [Accuracy::new()]).output("size", [MeanAbsoluteError::new()])`. Their keys are
/// `digit_accuracy` and `size_mean_absolute_error`.
#[derive(Debug, Default)]
pub struct PerOutput(Vec<(String, Result<Metrics>)>);

impl PerOutput {
    /// None yet.
    pub fn new() -> PerOutput {
        PerOutput::default()
    }

    /// Adds those of an output.
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
