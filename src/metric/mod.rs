//! Why it exists: what people watch while training. A metric gathers over batches and is read at the end of an epoch.

use crate::Result;
use crate::config::{Configured, kind};
pub use crate::loss::Reads;
use crate::tensor::Tensor;

kind! {
    dyn Metric, "metric", Registry::metric;
    mod accuracy:
        Accuracy, BinaryAccuracy, CategoricalAccuracy, SparseCategoricalAccuracy, TopKCategoricalAccuracy,
        SparseTopKCategoricalAccuracy;
    mod confusion: TruePositives, TrueNegatives, FalsePositives, FalseNegatives, Precision, Recall;
    mod f_score: F1Score, FBetaScore with Average;
    mod auc: AUC with Curve, Summation;
    mod mean: MeanAbsoluteError, MeanSquaredError, RootMeanSquaredError, CosineSimilarity, MeanLoss;
    mod r2_score: R2Score;
    mod mean_iou: MeanIoU;
    mod tuned: Tuned;
}

/// Gathers a figure over batches.
pub trait Metric: Configured + CloneMetric + std::fmt::Debug + Send + Sync {
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
    /// The figure so far; 0 before the first batch.
    fn result(&self) -> f64;
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

/// Metrics by output; the empty name is the one output of a network that has one.
pub type ByOutput = Vec<(String, Vec<Box<dyn Metric>>)>;

/// Whatever `compile` takes as metrics: an array, a vector, or a tuple of up to 8 different ones; `()` for none; and
/// [`PerOutput`] for a network with several outputs.
pub trait IntoMetrics {
    /// The metrics of one output.
    fn into_metrics(self) -> Vec<Box<dyn Metric>>
    where
        Self: Sized,
    {
        self.by_output().into_iter().flat_map(|(_, metrics)| metrics).collect()
    }
    /// The metrics of all outputs.
    fn by_output(self) -> ByOutput;
}

impl IntoMetrics for () {
    fn by_output(self) -> ByOutput {
        Vec::new()
    }
}
impl<M: Metric + 'static, const N: usize> IntoMetrics for [M; N] {
    fn by_output(self) -> ByOutput {
        Vec::from(self.map(|m| Box::new(m) as Box<dyn Metric>)).by_output()
    }
}
impl IntoMetrics for Vec<Box<dyn Metric>> {
    fn by_output(self) -> ByOutput {
        vec![(String::new(), self)]
    }
}

macro_rules! tuples {
    ($($($type:ident $field:tt),+;)*) => {$(
        impl<$($type: Metric + 'static),+> IntoMetrics for ($($type,)+) {
            fn by_output(self) -> ByOutput {
                vec![(String::new(), vec![$(Box::new(self.$field)),+])]
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
#[derive(Clone, Debug, Default)]
pub struct PerOutput(ByOutput);

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
    fn by_output(self) -> ByOutput {
        self.0
    }
}
