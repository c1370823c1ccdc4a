//! `ReduceLROnPlateau`: lowers the learning rate when a log value stops improving, by Keras's rule. It adds `learning_rate` to the logs.

use super::{Callback, Mode, Monitor, Plan, say};
use crate::train::figure::shortest;
use crate::train::{Logs, Model};
use crate::{Error, Result};

const FIGURE: &str = "learning_rate";

/// Lowers the learning rate when a figure has stopped improving.
#[derive(Clone, Debug)]
pub struct ReduceLROnPlateau {
    monitor: Monitor,
    factor: f64,
    patience: usize,
    cooldown: usize,
    min_lr: f64,
    verbose: u8,
    wait: usize,
    cooling: usize,
    best: Option<f64>,
}

impl ReduceLROnPlateau {
    /// Watches the log value `monitor`, such as `val_loss`, with Keras's defaults: the rate is divided by 10 after
    /// 10 epochs without an improvement of more than 0.0001.
    pub fn new(monitor: &str) -> ReduceLROnPlateau {
        ReduceLROnPlateau {
            monitor: Monitor::new(monitor).min_delta(1e-4),
            factor: 0.1,
            patience: 10,
            cooldown: 0,
            min_lr: 0.0,
            verbose: 0,
            wait: 0,
            cooling: 0,
            best: None,
        }
    }

    /// Sets the factor by which the rate is multiplied; 0.1 by default.
    #[must_use]
    pub fn factor(mut self, factor: f64) -> Self {
        self.factor = factor;
        self
    }

    /// Sets how many epochs without improvement lower the rate; 10 by default.
    #[must_use]
    pub fn patience(mut self, patience: usize) -> Self {
        self.patience = patience;
        self
    }

    /// Sets the least change that counts as an improvement; 0.0001 by default.
    #[must_use]
    pub fn min_delta(mut self, min_delta: f64) -> Self {
        self.monitor = self.monitor.min_delta(min_delta);
        self
    }

    /// `"min"` or `"max"`: what is better; by default `"auto"`, what the model says of its figure.
    #[must_use]
    pub fn mode(mut self, mode: impl Into<Mode>) -> Self {
        self.monitor = self.monitor.mode(mode);
        self
    }

    /// Sets how many epochs after a change are not counted; 0 by default.
    #[must_use]
    pub fn cooldown(mut self, cooldown: usize) -> Self {
        self.cooldown = cooldown;
        self
    }

    /// Sets the lowest rate; 0 by default.
    #[must_use]
    pub fn min_lr(mut self, min_lr: f64) -> Self {
        self.min_lr = min_lr;
        self
    }

    /// 1: a line on standard output when it lowers the rate; 0 (default): nothing.
    #[must_use]
    pub fn verbose(mut self, verbose: u8) -> Self {
        self.verbose = verbose;
        self
    }
}

impl Callback for ReduceLROnPlateau {
    fn figures(&self) -> Vec<String> {
        vec![FIGURE.into()]
    }

    fn on_train_begin(&mut self, model: &mut Model, plan: &Plan) -> Result<()> {
        model.optimizer().settable_rate().map_err(|e| e.at("ReduceLROnPlateau"))?;
        if !(self.min_lr >= 0.0 && self.min_lr.is_finite()) {
            let e = Error::argument("min_lr", "a finite number of 0 or more", self.min_lr);
            return Err(e.at("ReduceLROnPlateau"));
        }
        if !(0.0..1.0).contains(&self.factor) {
            return Err(Error::argument("factor", "0 <= factor < 1", self.factor).at("ReduceLROnPlateau"));
        }
        self.monitor.check("ReduceLROnPlateau", plan)?;
        (self.wait, self.cooling, self.best) = (0, 0, None);
        Ok(())
    }

    fn on_epoch_end(&mut self, model: &mut Model, epoch: usize, logs: &mut Logs) -> Result<()> {
        let rate = model.learning_rate();
        logs.set(FIGURE, rate);
        let Some(value) = self.monitor.value("ReduceLROnPlateau", model, logs)? else { return Ok(()) };
        if self.cooling > 0 {
            (self.cooling, self.wait) = (self.cooling - 1, 0);
        }
        if self.monitor.improves(model, value, self.best) {
            (self.best, self.wait) = (Some(value), 0);
        } else if self.cooling == 0 {
            self.wait += 1;
            if self.wait >= self.patience && rate > self.min_lr {
                let lower = (rate * self.factor).max(self.min_lr);
                model.set_learning_rate(lower).map_err(|e| e.at("ReduceLROnPlateau"))?;
                say(self.verbose, || {
                    let lower = shortest(lower);
                    format!("\nEpoch {}: ReduceLROnPlateau reducing learning rate to {lower}.", epoch + 1)
                });
                (self.cooling, self.wait) = (self.cooldown, 0);
            }
        }
        Ok(())
    }
}
