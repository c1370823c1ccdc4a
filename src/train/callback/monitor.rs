//! `Monitor`: the log value that a callback watches, which values are better, and the errors if there is no such
//! value.

use super::Plan;
use crate::train::{Logs, Model};
use crate::{Error, Result};

/// What is better: less or more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mode {
    /// What the model says of its losses and metrics.
    #[default]
    Auto,
    /// Less.
    Min,
    /// More.
    Max,
    /// A word that means nothing: an error when training begins.
    Unknown(String),
}

/// Keras's words: `"auto"`, `"min"`, `"max"`.
impl From<&str> for Mode {
    fn from(word: &str) -> Mode {
        match word {
            "auto" => Mode::Auto,
            "min" => Mode::Min,
            "max" => Mode::Max,
            other => Mode::Unknown(other.into()),
        }
    }
}

/// A figure to watch.
#[derive(Clone, Debug)]
pub struct Monitor {
    name: String,
    min_delta: f64,
    mode: Mode,
}

impl Monitor {
    /// A figure by name, such as `val_loss`. Larger is better if its metric says so; less is better for losses; of any other
    /// figure [`Monitor::mode`] has to say it.
    pub fn new(name: &str) -> Monitor {
        Monitor { name: name.into(), min_delta: 0.0, mode: Mode::Auto }
    }

    /// Sets the least change that counts as an improvement; 0 by default.
    #[must_use]
    pub fn min_delta(mut self, min_delta: f64) -> Monitor {
        self.min_delta = min_delta.abs();
        self
    }

    /// `"min"` or `"max"`: what is better; by default `"auto"`, what the model says of its figure.
    #[must_use]
    pub fn mode(mut self, mode: impl Into<Mode>) -> Monitor {
        self.mode = mode.into();
        self
    }

    /// The same rule for another figure.
    #[must_use]
    pub fn of(mut self, name: &str) -> Monitor {
        self.name = name.into();
        self
    }

    /// The figure's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Fails before training if the figure will not be there, if nobody knows whether it should grow or shrink, or if a setting
    /// is out of range.
    ///
    /// # Errors
    /// One of these does not hold; the error names `callback` and the log values that there will be.
    pub fn check(&self, callback: &str, plan: &Plan) -> Result<()> {
        if !self.min_delta.is_finite() {
            let e = Error::argument("min_delta", "a finite number", self.min_delta);
            return Err(e.at(callback));
        }
        if let Mode::Unknown(word) = &self.mode {
            let expected = "one of \"auto\", \"min\" and \"max\"";
            return Err(Error::argument("mode", expected, format!("'{word}'")).at(callback));
        }
        if plan.figures.is_empty() {
            return Ok(());
        }
        if !plan.figures.contains(&self.name) {
            return Err(self.unknown(callback, &plan.figures));
        }
        if self.mode == Mode::Auto && !plan.directed.contains(&self.name) {
            let expected = format!(
                "\"min\" or \"max\", because '{}' is no figure of the model's own: write .mode(\"min\") if less is better, else \
                 .mode(\"max\")",
                self.name
            );
            return Err(Error::argument("mode", expected, "nothing").at(callback));
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
        let larger = match self.mode {
            Mode::Min => false,
            Mode::Max => true,
            _ => model.head.larger_is_better(self.name.strip_prefix("val_").unwrap_or(&self.name)),
        };
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
