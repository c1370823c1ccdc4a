//! Why it exists: what can be set for every metric alike: its name, and whether samples' weights count.

use super::Metric;
use crate::Result;
use crate::config::{describe, described};
use crate::tensor::Tensor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A metric under another name, or weighted: `Accuracy::new().weighted()`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tuned {
    #[serde(serialize_with = "write", deserialize_with = "read")]
    metric: Box<dyn Metric>,
    pub(super) name: Option<String>,
    pub(super) weighted: bool,
}

#[expect(clippy::borrowed_box, reason = "what serde hands over")]
fn write<S: Serializer>(metric: &Box<dyn Metric>, to: S) -> Result<S::Ok, S::Error> {
    describe(&**metric).map_err(serde::ser::Error::custom)?.serialize(to)
}

fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Box<dyn Metric>, D::Error> {
    let value = serde_json::Value::deserialize(from)?;
    described("metric", value)
        .and_then(|(name, config)| super::from_config(&name, config, &crate::config::Registry::new()))
        .map(|metric| metric.clone_metric())
        .map_err(serde::de::Error::custom)
}

impl Tuned {
    pub(super) fn new(metric: impl Metric + 'static) -> Tuned {
        let weighted = metric.takes_weights();
        Tuned { metric: Box::new(metric), name: None, weighted }
    }
}

impl Metric for Tuned {
    fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_else(|| self.metric.name())
    }
    fn update(&mut self, y_true: &Tensor, y_pred: &Tensor, sample_weight: Option<&Tensor>) -> Result<()> {
        self.metric.update(y_true, y_pred, sample_weight)
    }
    fn result(&self) -> f64 {
        self.metric.result()
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
