//! The callback [`TerminateOnNaN`]: ends training when the loss is NaN or infinite, since it will not recover.

use super::Callback;
use crate::Result;
use crate::train::Model;

/// Stops training, in the middle of an epoch, when the loss is not finite. (With `Fit::check_finite` that is an
/// error instead.)
#[derive(Clone, Copy, Debug, Default)]
pub struct TerminateOnNaN {}

impl TerminateOnNaN {
    /// Creates the callback.
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
