//! `LambdaCallback`: a callback made of closures, for a line or two without a type of its own.

use super::Callback;
use crate::Result;
use crate::train::{Logs, Model};

type OnEpoch<'a> = Box<dyn FnMut(&mut Model, usize, &mut Logs) -> Result<()> + Send + 'a>;
type OnBatch<'a> = Box<dyn FnMut(&mut Model, usize, f64) -> Result<()> + Send + 'a>;

/// A callback made of closures: `LambdaCallback::new().on_epoch_end(|model, epoch, logs| …)`.
#[derive(Default)]
pub struct LambdaCallback<'a> {
    epoch_end: Option<OnEpoch<'a>>,
    batch_end: Option<OnBatch<'a>>,
}

impl<'a> LambdaCallback<'a> {
    /// Creates a callback that does nothing yet.
    pub fn new() -> LambdaCallback<'a> {
        LambdaCallback::default()
    }

    /// Sets the function called after each epoch; see [`Callback::on_epoch_end`].
    #[must_use]
    pub fn on_epoch_end(
        mut self,
        f: impl FnMut(&mut Model, usize, &mut Logs) -> Result<()> + Send + 'a,
    ) -> Self {
        self.epoch_end = Some(Box::new(f));
        self
    }

    /// Sets the function called after each batch; see [`Callback::on_batch_end`].
    #[must_use]
    pub fn on_batch_end(mut self, f: impl FnMut(&mut Model, usize, f64) -> Result<()> + Send + 'a) -> Self {
        self.batch_end = Some(Box::new(f));
        self
    }
}

impl Callback for LambdaCallback<'_> {
    fn on_epoch_end(&mut self, model: &mut Model, epoch: usize, logs: &mut Logs) -> Result<()> {
        self.epoch_end.as_mut().map_or(Ok(()), |f| f(model, epoch, logs))
    }
    fn on_batch_end(&mut self, model: &mut Model, batch: usize, loss: f64) -> Result<()> {
        self.batch_end.as_mut().map_or(Ok(()), |f| f(model, batch, loss))
    }
}
