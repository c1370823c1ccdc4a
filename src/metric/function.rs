//! A metric from a function: the mean of a formula needs no type with state of its own.

use super::Metric;
use super::gathered::gathers;
use super::mean::Running;
use crate::config::{Configured, Registry, function_name};
use crate::loss::{Function, no_closure};
use crate::tensor::Tensor;
use crate::{DType, Result};
use serde_json::{Value, json};
use std::sync::Arc;

/// A metric that is the mean of a function: [`from_fn`].
#[derive(Clone)]
pub struct FromFn {
    function: Function,
    name: &'static str,
    larger_is_better: bool,
    mean: Running,
}

/// The mean of what a function of targets and predictions gives: numbers or truth values, one for each sample, or for each of its elements
/// (Keras's `MeanMetricWrapper`, and what it makes of a function given to `compile`). It is named as the function is; `.named("…")`
/// gives a closure a name. Weights and masks count.
///
/// ```
/// use gradus::metric::{Metric, from_fn};
/// use gradus::{Result, Tensor};
///
/// fn below(y_true: &Tensor, y_pred: &Tensor) -> Result<Tensor> {
///     y_true.less(y_pred)
/// }
///
/// let mut share = from_fn(below).larger_is_better(true);
/// share.update(&Tensor::new([1.0, 2.0])?, &Tensor::new([3.0, 0.0])?, None)?;
/// assert_eq!((share.name(), share.result()), ("below", 0.5));
/// # Ok::<(), gradus::Error>(())
/// ```
///
/// A file holds the function's name. It is read where the registry has a function of this name: `Registry::new().metric_fn(below)`. A
/// closure has no name, and no file can hold it.
pub fn from_fn<F>(function: F) -> FromFn
where
    F: Fn(&Tensor, &Tensor) -> Result<Tensor> + Send + Sync + 'static,
{
    let (name, mean) = (function_name::<F>(), Running::default());
    FromFn { function: Arc::new(function), name, larger_is_better: false, mean }
}

impl FromFn {
    /// Whether a larger figure is better, which callbacks ask; no by default.
    #[must_use]
    pub fn larger_is_better(mut self, larger: bool) -> FromFn {
        self.larger_is_better = larger;
        self
    }
}

impl std::fmt::Debug for FromFn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "from_fn({})", self.name)
    }
}

impl Configured for FromFn {
    fn class_name(&self) -> &'static str {
        self.name
    }
    fn config(&self) -> Result<Value> {
        no_closure(self.name)?;
        Ok(json!({ "larger_is_better": self.larger_is_better }))
    }
}

impl Metric for FromFn {
    fn name(&self) -> &str {
        self.name
    }
    fn update(&mut self, y_true: &Tensor, y_pred: &Tensor, sample_weight: Option<&Tensor>) -> Result<()> {
        self.mean.add(&(self.function)(y_true, y_pred)?.detach().cast(DType::F64)?, sample_weight)
    }
    fn result(&self) -> f64 {
        self.mean.get()
    }
    fn larger_is_better(&self) -> bool {
        self.larger_is_better
    }
    gathers!(mean);
}

impl Registry {
    /// With a function for [`from_fn`] that files may name.
    ///
    /// # Errors
    /// It is a closure, or the library or the registry has a metric of its name.
    pub fn metric_fn<F>(self, function: F) -> Result<Registry>
    where
        F: Fn(&Tensor, &Tensor) -> Result<Tensor> + Send + Sync + 'static,
    {
        let metric = from_fn(function);
        no_closure(metric.name)?;
        self.with_made::<dyn Metric>(metric.name, move |config| {
            let larger = config["larger_is_better"].as_bool().unwrap_or(false);
            Ok(crate::config::Dyn(Arc::new(metric.clone().larger_is_better(larger))))
        })
    }
}
