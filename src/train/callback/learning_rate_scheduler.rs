//! `LearningRateScheduler`: sets the learning rate by the number of the epoch, by Keras's rule. It adds `learning_rate` to the logs.

use super::{Callback, Plan, say};
use crate::Result;
use crate::train::figure::shortest;
use crate::train::{Logs, Model};

const FIGURE: &str = "learning_rate";

/// Sets the learning rate before each epoch: `LearningRateScheduler::new(|epoch, rate| rate * 0.9)`.
pub struct LearningRateScheduler<F> {
    schedule: F,
    verbose: u8,
}

impl<F: FnMut(usize, f64) -> f64 + Send> LearningRateScheduler<F> {
    /// `schedule` makes the rate of an epoch (from 0) from its number and the rate so far.
    pub fn new(schedule: F) -> LearningRateScheduler<F> {
        LearningRateScheduler { schedule, verbose: 0 }
    }

    /// 1: a line on standard output when it sets the rate; 0 (default): nothing.
    #[must_use]
    pub fn verbose(mut self, verbose: u8) -> Self {
        self.verbose = verbose;
        self
    }
}

impl<F: FnMut(usize, f64) -> f64 + Send> Callback for LearningRateScheduler<F> {
    fn figures(&self) -> Vec<String> {
        vec![FIGURE.into()]
    }
    fn on_train_begin(&mut self, model: &mut Model, _: &Plan) -> Result<()> {
        model.optimizer().settable_rate().map_err(|e| e.at("LearningRateScheduler"))
    }
    fn on_epoch_begin(&mut self, model: &mut Model, epoch: usize) -> Result<()> {
        let rate = (self.schedule)(epoch, model.learning_rate());
        model.set_learning_rate(rate).map_err(|e| e.at("LearningRateScheduler"))?;
        say(self.verbose, || {
            let rate = shortest(rate);
            format!("\nEpoch {}: LearningRateScheduler setting learning rate to {rate}.", epoch + 1)
        });
        Ok(())
    }
    fn on_epoch_end(&mut self, model: &mut Model, _: usize, logs: &mut Logs) -> Result<()> {
        logs.set(FIGURE, model.learning_rate());
        Ok(())
    }
}
