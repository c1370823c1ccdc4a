//! Why it exists: several callbacks watch a figure; what is better, and what is said when there is no such figure, is decided
//! here.

use super::Plan;
use crate::train::{Logs, Model};
use crate::{Error, Result};

/// A figure to watch.
#[derive(Clone, Debug)]
pub struct Monitor {
    name: String,
    min_delta: f64,
    larger_is_better: Option<bool>,
}

impl Monitor {
    /// A figure by name, such as `val_loss`. Larger is better if its metric says so; less is better for losses.
    pub fn new(name: &str) -> Monitor {
        Monitor { name: name.into(), min_delta: 0.0, larger_is_better: None }
    }

    /// By how much a figure must improve to count; 0 by default.
    #[must_use]
    pub fn min_delta(mut self, min_delta: f64) -> Monitor {
        self.min_delta = min_delta.abs();
        self
    }

    /// Whether larger figures are better, rather than what the name suggests.
    #[must_use]
    pub fn larger_is_better(mut self, larger: bool) -> Monitor {
        self.larger_is_better = Some(larger);
        self
    }

    /// Fails before training if the figure will not be there.
    ///
    /// # Errors
    /// Names `callback` and the figures that there will be.
    pub fn check(&self, callback: &str, plan: &Plan) -> Result<()> {
        match plan.figures.is_empty() || plan.figures.contains(&self.name) {
            true => Ok(()),
            false => Err(self.unknown(callback, &plan.figures)),
        }
    }

    /// The figure of an epoch. `None` if it is one of validation, and there was none after this epoch.
    ///
    /// # Errors
    /// There is no such figure.
    pub fn value(&self, callback: &str, model: &Model, logs: &Logs) -> Result<Option<f64>> {
        if let Some(value) = logs.get(&self.name) {
            return Ok(Some(value));
        }
        let own =
            self.name.strip_prefix("val_").is_some_and(|name| model.head.figures().iter().any(|f| f == name));
        if own && logs.iter().all(|(name, _)| !name.starts_with("val_")) {
            return Ok(None);
        }
        let known: Vec<String> = logs.iter().map(|(name, _)| name.to_string()).collect();
        Err(self.unknown(callback, &known))
    }

    /// Whether a value is better than another by more than the least difference.
    pub fn better(&self, model: &Model, value: f64, than: f64) -> bool {
        let metric = self.name.strip_prefix("val_").unwrap_or(&self.name);
        let larger = self.larger_is_better.unwrap_or_else(|| model.head.larger_is_better(metric));
        if larger { value - self.min_delta > than } else { value + self.min_delta < than }
    }

    fn unknown(&self, callback: &str, known: &[String]) -> Error {
        let expected = format!("one of {}", known.join(", "));
        Error::argument("monitor", expected, format!("'{}'", self.name)).at(callback)
    }
}
