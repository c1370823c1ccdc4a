//! Why it exists: a loss that is no number never becomes one again.

use super::Callback;
use crate::Result;
use crate::train::Model;

/// Stops training, in the middle of an epoch, when the loss is not a finite number. (`Fit::check_finite` makes it an error.)
#[derive(Clone, Copy, Debug, Default)]
pub struct TerminateOnNaN {}

impl TerminateOnNaN {
    /// The callback.
    pub fn new() -> TerminateOnNaN {
        TerminateOnNaN {}
    }
}

impl Callback for TerminateOnNaN {
    fn on_train_batch_end(&mut self, model: &mut Model, _: usize, loss: f64) -> Result<()> {
        if !loss.is_finite() {
            model.stop_training();
        }
        Ok(())
    }
}
