//! `History` as a callback: the same history that `fit` returns, gathered in a variable of the caller's.

use super::{Callback, Plan};
use crate::Result;
use crate::train::{History, Logs, Model};

/// Keras's callback of this name: the figures of the epochs of a run, gathered anew with each. `fit` returns one, and so does its error.
impl Callback for History {
    fn on_train_begin(&mut self, _: &mut Model, _: &Plan) -> Result<()> {
        *self = History::default();
        Ok(())
    }
    fn on_epoch_end(&mut self, _: &mut Model, epoch: usize, logs: &mut Logs) -> Result<()> {
        self.push(epoch, logs);
        Ok(())
    }
}
