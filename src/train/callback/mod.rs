//! `Callback`: what happens around epochs and batches of `fit`, and the callbacks that come with the crate.

mod early_stopping;
mod lambda;
mod learning_rate;
mod monitor;
mod terminate_on_nan;

pub use early_stopping::EarlyStopping;
pub use lambda::LambdaCallback;
pub use learning_rate::{LearningRateScheduler, ReduceLROnPlateau};
pub use monitor::Monitor;
pub use terminate_on_nan::TerminateOnNaN;

use super::history::Logs;
use super::model::Model;
use crate::Result;

/// What a run of `fit` will do, as told to callbacks when it begins.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Plan {
    /// The epoch to stop before: epochs are numbered from 0.
    pub epochs: usize,
    /// Batches in an epoch; 0 if that is not known before it ends.
    pub steps: usize,
    /// The names of the values that the logs of an epoch will have: the loss, metrics, those of validation, and
    /// what callbacks add. Empty if they are not known.
    pub figures: Vec<String>,
    /// Those of which the model knows whether they should grow or shrink: its losses and metrics.
    pub(crate) directed: Vec<String>,
}

/// Code that `fit` calls around epochs and batches. All methods do nothing unless overridden.
///
/// ```
/// use gradus::prelude::*;
///
/// /// Stops when the loss is good enough.
/// struct Enough(f64);
///
/// impl Callback for Enough {
///     fn on_epoch_end(&mut self, model: &mut Model, _: usize, logs: &mut Logs) -> gradus::Result<()> {
///         if logs["loss"] < self.0 {
///             model.stop_training();
///         }
///         Ok(())
///     }
/// }
///
/// let mut model = Sequential::new().add(Input::new(1)).add(Dense::new(1)).compile("sgd", "mse", ())?;
/// let x = Tensor::ones([8, 1])?;
/// let history = model.fit(&x, &x, Fit::new().epochs(1000).callback(Enough(0.01)).verbose(0))?;
/// assert!(history["loss"].len() < 1000);
/// # Ok::<(), gradus::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a callback",
    label = "expected a callback such as `EarlyStopping::new(\"val_loss\")`",
    note = "a closure becomes one as `LambdaCallback::new().on_epoch_end(|model, epoch, logs| Ok(()))`"
)]
#[expect(unused_variables, reason = "defaults do nothing")]
pub trait Callback: Send {
    /// Returns the names of the values that this callback adds to the logs of epochs, so that others can watch
    /// them.
    fn figures(&self) -> Vec<String> {
        Vec::new()
    }
    /// Called before the first epoch.
    ///
    /// # Errors
    /// An error ends `fit`.
    fn on_train_begin(&mut self, model: &mut Model, plan: &Plan) -> Result<()> {
        Ok(())
    }
    /// Called after the last epoch, also when training was stopped.
    ///
    /// # Errors
    /// An error ends `fit`.
    fn on_train_end(&mut self, model: &mut Model) -> Result<()> {
        Ok(())
    }
    /// Called before each epoch, numbered from 0.
    ///
    /// # Errors
    /// An error ends `fit`.
    fn on_epoch_begin(&mut self, model: &mut Model, epoch: usize) -> Result<()> {
        Ok(())
    }
    /// Called after an epoch and its validation. Later callbacks and the history see the values added to `logs`.
    ///
    /// # Errors
    /// An error ends `fit`.
    fn on_epoch_end(&mut self, model: &mut Model, epoch: usize, logs: &mut Logs) -> Result<()> {
        Ok(())
    }
    /// Called after each batch, numbered from 0; `loss` is the mean loss of the epoch so far.
    ///
    /// # Errors
    /// An error ends `fit`.
    fn on_batch_end(&mut self, model: &mut Model, batch: usize, loss: f64) -> Result<()> {
        Ok(())
    }
}

/// Implements `Callback` for pointers to callbacks.
macro_rules! pointers {
    ($($(#[$doc:meta])* $pointer:ty;)*) => {$(
        $(#[$doc])*
        impl<C: Callback + ?Sized> Callback for $pointer {
            fn figures(&self) -> Vec<String> {
                (**self).figures()
            }
            fn on_train_begin(&mut self, model: &mut Model, plan: &Plan) -> Result<()> {
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
    )*};
}
pointers! {
    /// A borrowed callback, so that it can be read after training.
    &mut C;
    /// A callback of any type, for a list of them.
    Box<C>;
}
