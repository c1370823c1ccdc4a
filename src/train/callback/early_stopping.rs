//! The callback [`EarlyStopping`]: ends training when a log value stops improving, by Keras's rule.

use super::{Callback, Mode, Monitor, Plan, say};
use crate::train::{Logs, Model};
use crate::{Error, Result};

/// Stops training when a log value has stopped improving (Keras's rule and defaults).
///
/// ```
/// use gradus::prelude::*;
///
/// let mut model = Sequential::new().add(Input::new(1)).add(Dense::new(1)).compile("sgd", "mse", ())?;
/// let x = Tensor::ones([8, 1])?;
/// let stop = EarlyStopping::new("loss").patience(3).min_delta(1e-3).restore_best_weights(true);
/// let history = model.fit(&x, &x, Fit::new().epochs(1000).callback(stop).verbose(0))?;
/// assert!(history["loss"].len() < 1000);
/// # Ok::<(), gradus::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct EarlyStopping {
    monitor: Monitor,
    patience: usize,
    baseline: Option<f64>,
    restore_best_weights: bool,
    start_from_epoch: usize,
    verbose: u8,
    wait: usize,
    best: Option<f64>,
    best_epoch: Option<usize>,
    best_model: Option<Box<Model>>,
    stopped_epoch: Option<usize>,
}

impl EarlyStopping {
    /// Watches a figure, such as `val_loss`. Larger is better if its metric says so; less is better for losses; of a figure that
    /// a callback adds, [`EarlyStopping::mode`] has to say it.
    pub fn new(monitor: &str) -> EarlyStopping {
        EarlyStopping {
            monitor: Monitor::new(monitor),
            patience: 0,
            baseline: None,
            restore_best_weights: false,
            start_from_epoch: 0,
            verbose: 0,
            wait: 0,
            best: None,
            best_epoch: None,
            best_model: None,
            stopped_epoch: None,
        }
    }

    /// Sets the least change that counts as an improvement; 0 by default.
    #[must_use]
    pub fn min_delta(mut self, min_delta: f64) -> Self {
        self.monitor = self.monitor.min_delta(min_delta);
        self
    }

    /// Sets how many epochs without improvement end training; 0 by default: the first.
    #[must_use]
    pub fn patience(mut self, patience: usize) -> Self {
        self.patience = patience;
        self
    }

    /// `"min"` or `"max"`: what is better; by default `"auto"`, what the model says of its figure.
    #[must_use]
    pub fn mode(mut self, mode: impl Into<Mode>) -> Self {
        self.monitor = self.monitor.mode(mode);
        self
    }

    /// Sets a value that must be beaten before patience starts anew.
    #[must_use]
    pub fn baseline(mut self, baseline: f64) -> Self {
        self.baseline = Some(baseline);
        self
    }

    /// Sets whether to restore the parameters of the best epoch at the end; no by default.
    #[must_use]
    pub fn restore_best_weights(mut self, restore: bool) -> Self {
        self.restore_best_weights = restore;
        self
    }

    /// Epochs before this one are not watched; 0 by default.
    #[must_use]
    pub fn start_from_epoch(mut self, epoch: usize) -> Self {
        self.start_from_epoch = epoch;
        self
    }

    /// 1: a line on standard output when it stops or restores; 0 (default): nothing.
    #[must_use]
    pub fn verbose(mut self, verbose: u8) -> Self {
        self.verbose = verbose;
        self
    }

    /// The epoch (from 0) after which training was stopped, if it was.
    pub fn stopped_epoch(&self) -> Option<usize> {
        self.stopped_epoch
    }

    /// Returns the epoch (from 0) with the best value, if any epoch had a value that is not NaN.
    pub fn best_epoch(&self) -> Option<usize> {
        self.best_epoch
    }
}

impl Callback for EarlyStopping {
    fn on_train_begin(&mut self, _: &mut Model, plan: &Plan) -> Result<()> {
        self.monitor.check("EarlyStopping", plan)?;
        if let Some(baseline) = self.baseline.filter(|b| b.is_nan()) {
            return Err(Error::argument("baseline", "a number", baseline).at("EarlyStopping"));
        }
        (self.wait, self.best, self.best_epoch) = (0, None, None);
        (self.best_model, self.stopped_epoch) = (None, None);
        Ok(())
    }

    fn on_epoch_end(&mut self, model: &mut Model, epoch: usize, logs: &mut Logs) -> Result<()> {
        let Some(value) = self.monitor.value("EarlyStopping", model, logs)? else { return Ok(()) };
        if epoch < self.start_from_epoch {
            return Ok(());
        }
        if self.restore_best_weights && self.best_model.is_none() {
            self.best_model = Some(Box::new(model.clone()));
        }
        self.wait += 1;
        if self.monitor.improves(model, value, self.best) {
            (self.best, self.best_epoch) = (Some(value), Some(epoch));
            if self.restore_best_weights {
                self.best_model = Some(Box::new(model.clone()));
            }
            if self.baseline.is_none_or(|b| self.monitor.better(model, value, b)) {
                self.wait = 0;
            }
            return Ok(());
        }
        if self.wait >= self.patience && epoch > 0 {
            self.stopped_epoch = Some(epoch);
            model.stop_training();
        }
        Ok(())
    }

    fn on_train_end(&mut self, model: &mut Model) -> Result<()> {
        if let Some(epoch) = self.stopped_epoch {
            say(self.verbose, || format!("Epoch {}: early stopping", epoch + 1));
        }
        let Some(best) = self.best_model.take() else { return Ok(()) };
        if let Some(epoch) = self.best_epoch {
            say(self.verbose, || {
                format!("Restoring model weights from the end of the best epoch: {}.", epoch + 1)
            });
        }
        model.set_params(&best.params())
    }
}
