//! Why it exists: what people watch while training. A metric gathers over batches and is read at the end of an epoch.

mod accuracy;
mod mean_error;

pub use accuracy::Accuracy;
pub use mean_error::{MeanAbsoluteError, MeanSquaredError};

use crate::Result;
use crate::config::{Configured, kind};
use crate::tensor::Tensor;

kind!("metric", Metric: Accuracy, MeanAbsoluteError, MeanSquaredError);

/// Gathers a figure over batches.
pub trait Metric: Configured + CloneMetric + std::fmt::Debug + Send + Sync {
    /// Its key in logs and histories.
    fn name(&self) -> &str;
    /// Adds a batch.
    ///
    /// # Errors
    /// Shapes do not fit.
    fn update(&mut self, y_true: &Tensor, y_pred: &Tensor) -> Result<()>;
    /// The figure so far.
    fn result(&self) -> f64;
    /// Forgets everything gathered.
    fn reset(&mut self);
    /// Whether a larger figure is better; decides the direction of `EarlyStopping` and its like.
    fn larger_is_better(&self) -> bool;
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

/// Whatever `compile` takes as metrics: an array, a vector, or a tuple of different ones; `()` for none.
pub trait IntoMetrics {
    /// The list.
    fn into_metrics(self) -> Vec<Box<dyn Metric>>;
}
impl IntoMetrics for () {
    fn into_metrics(self) -> Vec<Box<dyn Metric>> {
        Vec::new()
    }
}
impl<M: Metric + 'static, const N: usize> IntoMetrics for [M; N] {
    fn into_metrics(self) -> Vec<Box<dyn Metric>> {
        self.into_iter().map(|m| Box::new(m) as Box<dyn Metric>).collect()
    }
}
impl IntoMetrics for Vec<Box<dyn Metric>> {
    fn into_metrics(self) -> Vec<Box<dyn Metric>> {
        self
    }
}
impl<A: Metric + 'static, B: Metric + 'static> IntoMetrics for (A, B) {
    fn into_metrics(self) -> Vec<Box<dyn Metric>> {
        vec![Box::new(self.0), Box::new(self.1)]
    }
}
impl<A: Metric + 'static, B: Metric + 'static, C: Metric + 'static> IntoMetrics for (A, B, C) {
    fn into_metrics(self) -> Vec<Box<dyn Metric>> {
        vec![Box::new(self.0), Box::new(self.1), Box::new(self.2)]
    }
}
