//! The options of every metric, its name and whether samples' weights count: [`Tuned`] adds them to any metric.

use super::{Metric, Reads, alike};
use crate::config::{Dyn, Registry, Setting, describe};
use crate::tensor::Tensor;
use crate::{Result, settings};
use serde_json::Value;

settings! {
    /// A metric under another name, or weighted: `Accuracy::new().weighted()`.
    pub struct Tuned {
        metric: stored Box<dyn Metric>,
        pub(super) name: stored Option<String>,
        pub(super) weighted: stored bool,
    }
}

/// Stored in files as `{class_name, config}`.
impl Setting for Box<dyn Metric> {
    fn write(&self) -> Result<Value> {
        describe(&**self)
    }
    fn read(value: Value, registry: &Registry) -> Result<Self> {
        Ok(Dyn::<dyn Metric>::read(value, registry)?.clone_metric())
    }
}

impl Tuned {
    pub(super) fn new(metric: impl Metric + 'static) -> Tuned {
        let weighted = metric.takes_weights();
        Tuned { metric: Box::new(metric), name: None, weighted }
    }

    /// Gives a metric the name it was asked for by.
    pub(super) fn named_again(metric: Box<dyn Metric>, name: &str) -> Tuned {
        Tuned { weighted: metric.takes_weights(), metric, name: Some(name.into()) }
    }
}

impl Metric for Tuned {
    fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_else(|| self.metric.name())
    }
    fn update(&mut self, y_true: &Tensor, y_pred: &Tensor, sample_weight: Option<&Tensor>) -> Result<()> {
        self.metric.update(y_true, y_pred, sample_weight)
    }
    fn check(&self) -> Result<()> {
        self.metric.check()
    }
    fn reads(&self, width: usize) -> Reads {
        self.metric.reads(width)
    }
    fn targets(&self, width: usize) -> (f64, f64) {
        self.metric.targets(width)
    }
    fn result(&self) -> f64 {
        self.metric.result()
    }
    fn results(&self) -> Vec<f64> {
        self.metric.results()
    }
    fn merge(&mut self, other: &dyn Metric) -> Result<()> {
        let other = alike(self, other)?;
        self.metric.merge(&*other.metric)
    }
    fn reset(&mut self) {
        self.metric.reset();
    }
    fn larger_is_better(&self) -> bool {
        self.metric.larger_is_better()
    }
    fn takes_weights(&self) -> bool {
        self.weighted
    }
    fn tuned(self) -> Tuned {
        self
    }
}
