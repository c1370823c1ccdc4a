//! Why it exists: the loop's programming interface: whatever should happen around epochs and batches.

use super::history::Logs;
use super::model::Model;
use crate::{Error, Result};

/// What a run of `fit` will do, told to callbacks when it begins.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Plan {
    /// The epoch after the last one.
    pub epochs: usize,
    /// Batches in an epoch.
    pub steps: usize,
}

/// Called around training. All methods do nothing unless overridden.
#[expect(unused_variables, reason = "defaults do nothing")]
pub trait Callback: Send {
    /// Before the first epoch.
    ///
    /// # Errors
    /// An error ends `fit`.
    fn on_train_begin(&mut self, model: &mut Model, plan: Plan) -> Result<()> {
        Ok(())
    }
    /// After the last epoch, also when training was stopped.
    ///
    /// # Errors
    /// An error ends `fit`.
    fn on_train_end(&mut self, model: &mut Model) -> Result<()> {
        Ok(())
    }
    /// Before an epoch, numbered from 0.
    ///
    /// # Errors
    /// An error ends `fit`.
    fn on_epoch_begin(&mut self, model: &mut Model, epoch: usize) -> Result<()> {
        Ok(())
    }
    /// After an epoch and its validation. Figures added to `logs` are seen by later callbacks and the history.
    ///
    /// # Errors
    /// An error ends `fit`.
    fn on_epoch_end(&mut self, model: &mut Model, epoch: usize, logs: &mut Logs) -> Result<()> {
        Ok(())
    }
    /// After a batch, numbered from 0; `loss` is the mean loss of the epoch so far.
    ///
    /// # Errors
    /// An error ends `fit`.
    fn on_batch_end(&mut self, model: &mut Model, batch: usize, loss: f64) -> Result<()> {
        Ok(())
    }
}

/// A borrowed callback, to be read after training.
impl<C: Callback + ?Sized> Callback for &mut C {
    fn on_train_begin(&mut self, model: &mut Model, plan: Plan) -> Result<()> {
        (**self).on_train_begin(model, plan)
    }
    fn on_train_end(&mut self, model: &mut Model) -> Result<()> {
        (**self).on_train_end(model)
    }
    fn on_epoch_begin(&mut self, model: &mut Model, epoch: usize) -> Result<()> {
        (**self).on_epoch_begin(model, epoch)
    }
    fn on_epoch_end(&mut self, model: &mut Model, epoch: usize, logs: &mut Logs) -> Result<()> {
        (**self).on_epoch_end(model, epoch, logs)
    }
    fn on_batch_end(&mut self, model: &mut Model, batch: usize, loss: f64) -> Result<()> {
        (**self).on_batch_end(model, batch, loss)
    }
}

/// Stops when a figure has stopped improving (Keras's rule and defaults).
#[derive(Clone, Debug)]
pub struct EarlyStopping {
    monitor: String,
    min_delta: f64,
    patience: usize,
    larger_is_better: Option<bool>,
    baseline: Option<f64>,
    restore_best_weights: bool,
    start_from_epoch: usize,
    wait: usize,
    best: f64,
    best_epoch: usize,
    best_model: Option<Box<Model>>,
    stopped_epoch: Option<usize>,
}

impl EarlyStopping {
    /// Watches a figure, such as `val_loss`. Larger is better if its metric says so; less is better for losses.
    pub fn new(monitor: &str) -> EarlyStopping {
        EarlyStopping {
            monitor: monitor.into(),
            min_delta: 0.0,
            patience: 0,
            larger_is_better: None,
            baseline: None,
            restore_best_weights: false,
            start_from_epoch: 0,
            wait: 0,
            best: f64::INFINITY,
            best_epoch: 0,
            best_model: None,
            stopped_epoch: None,
        }
    }

    /// By how much a figure must improve to count; 0 by default.
    #[must_use]
    pub fn min_delta(mut self, min_delta: f64) -> Self {
        self.min_delta = min_delta.abs();
        self
    }

    /// How many epochs without improvement end training; 0 by default: the first.
    #[must_use]
    pub fn patience(mut self, patience: usize) -> Self {
        self.patience = patience;
        self
    }

    /// Whether larger figures are better, rather than what the name suggests.
    #[must_use]
    pub fn larger_is_better(mut self, larger: bool) -> Self {
        self.larger_is_better = Some(larger);
        self
    }

    /// The figure that must be beaten for patience to begin anew.
    #[must_use]
    pub fn baseline(mut self, baseline: f64) -> Self {
        self.baseline = Some(baseline);
        self
    }

    /// Whether the parameters of the best epoch come back at the end; no by default.
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

    /// The epoch (from 0) after which training was stopped, if it was.
    pub fn stopped_epoch(&self) -> Option<usize> {
        self.stopped_epoch
    }

    /// The epoch (from 0) with the best figure.
    pub fn best_epoch(&self) -> usize {
        self.best_epoch
    }

    fn better(&self, model: &Model, value: f64, than: f64) -> bool {
        let metric = self.monitor.strip_prefix("val_").unwrap_or(&self.monitor);
        let larger = self.larger_is_better.unwrap_or_else(|| {
            let mut metrics = model.head.metrics.iter().flatten();
            metrics.find(|m| m.name() == metric).is_some_and(|m| m.larger_is_better())
        });
        if larger { value - self.min_delta > than } else { value + self.min_delta < than }
    }
}

impl Callback for EarlyStopping {
    fn on_train_begin(&mut self, _: &mut Model, _: Plan) -> Result<()> {
        (self.wait, self.best, self.best_epoch) = (0, f64::NAN, 0);
        (self.best_model, self.stopped_epoch) = (None, None);
        Ok(())
    }

    fn on_epoch_end(&mut self, model: &mut Model, epoch: usize, logs: &mut Logs) -> Result<()> {
        let Some(value) = logs.get(&self.monitor) else {
            let known: Vec<&str> = logs.iter().map(|(name, _)| name).collect();
            let expected = format!("one of {}", known.join(", "));
            return Err(Error::argument("EarlyStopping monitor", expected, format!("'{}'", self.monitor)));
        };
        if epoch < self.start_from_epoch {
            return Ok(());
        }
        if self.restore_best_weights && self.best_model.is_none() {
            self.best_model = Some(Box::new(model.clone()));
            self.best_epoch = epoch;
        }
        self.wait += 1;
        if self.best.is_nan() || self.better(model, value, self.best) {
            self.best = value;
            self.best_epoch = epoch;
            if self.restore_best_weights {
                self.best_model = Some(Box::new(model.clone()));
            }
            if self.baseline.is_none_or(|b| self.better(model, value, b)) {
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
        match self.best_model.take() {
            Some(best) => model.set_params(&best.params()),
            None => Ok(()),
        }
    }
}
