//! `Monitor`: the log value that a callback watches, which values are better, and the errors if there is no such
//! value.

use super::Plan;
use crate::train::{Logs, Model};
use crate::{Error, Result};

/// A log value to watch.
#[derive(Clone, Debug)]
pub struct Monitor {
    name: String,
    min_delta: f64,
    larger_is_better: Option<bool>,
}

impl Monitor {
    /// Watches the log value `name`, such as `val_loss`. Losses should shrink, and a metric knows which way is
    /// better; for any other value, say it with [`Monitor::larger_is_better`].
    pub fn new(name: &str) -> Monitor {
        Monitor { name: name.into(), min_delta: 0.0, larger_is_better: None }
    }

    /// Sets the least change that counts as an improvement; 0 by default.
    #[must_use]
    pub fn min_delta(mut self, min_delta: f64) -> Monitor {
        self.min_delta = min_delta.abs();
        self
    }

    /// Sets whether larger values are better, instead of what the model says.
    #[must_use]
    pub fn larger_is_better(mut self, larger: bool) -> Monitor {
        self.larger_is_better = Some(larger);
        self
    }

    /// Checks before training that the log value will exist, that it is known whether it should grow or shrink, and
    /// that settings are in range.
    ///
    /// # Errors
    /// One of these does not hold; the error names `callback` and the log values that there will be.
    pub fn check(&self, callback: &str, plan: &Plan) -> Result<()> {
        if !self.min_delta.is_finite() {
            let e = Error::argument("min_delta", "a finite number", self.min_delta);
            return Err(e.at(callback));
        }
        if plan.figures.is_empty() {
            return Ok(());
        }
        if !plan.figures.contains(&self.name) {
            return Err(self.unknown(callback, &plan.figures));
        }
        if self.larger_is_better.is_none() && !plan.directed.contains(&self.name) {
            let expected = format!(
                "true or false, because '{}' is no figure of the model's own: write .larger_is_better(true) or \
                 .larger_is_better(false)",
                self.name
            );
            return Err(Error::argument("larger_is_better", expected, "nothing").at(callback));
        }
        Ok(())
    }

    /// Returns the value of an epoch, or `None` if it is a validation value and this epoch had no validation.
    ///
    /// # Errors
    /// There is no such log value.
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

    /// Returns whether a value is better than another by more than the minimum difference.
    pub fn better(&self, model: &Model, value: f64, than: f64) -> bool {
        let metric = self.name.strip_prefix("val_").unwrap_or(&self.name);
        let larger = self.larger_is_better.unwrap_or_else(|| model.head.larger_is_better(metric));
        if larger { value - self.min_delta > than } else { value + self.min_delta < than }
    }

    /// Whether a value is better than the best so far, if there is one. NaN never is.
    pub(crate) fn improves(&self, model: &Model, value: f64, best: Option<f64>) -> bool {
        best.map_or(!value.is_nan(), |best| self.better(model, value, best))
    }

    fn unknown(&self, callback: &str, known: &[String]) -> Error {
        let expected = format!("one of {}", known.join(", "));
        Error::argument("monitor", expected, format!("'{}'", self.name)).at(callback)
    }
}
