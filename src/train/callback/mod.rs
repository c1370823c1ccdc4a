//! Callbacks: what should happen around epochs and batches of `fit`, `evaluate` and `predict`. A callback of the library is a file and its row
//! of `callbacks!`; one that needs what training does not know (event files, graphs) stands with that.

mod history;
mod hooks;
mod list;
mod monitor;
mod template;

pub use list::CallbackList;
pub use monitor::{Mode, Monitor};

/// A row a file: it declares the module, offers the types, and puts their names into the list.
macro_rules! callbacks {
    ($(mod $module:ident: $($type:ident),+;)*) => {
        $(
            mod $module;
            pub use $module::{$($type),+};
        )*

        /// The names of the callbacks of training, as Keras has them.
        pub const CALLBACKS: &[&str] = &[$($(stringify!($type),)+)*];
    };
}
callbacks! {
    mod csv_logger: CSVLogger;
    mod early_stopping: EarlyStopping;
    mod lambda: LambdaCallback;
    mod learning_rate_scheduler: LearningRateScheduler;
    mod model_checkpoint: ModelCheckpoint;
    mod progbar_logger: ProgbarLogger;
    mod reduce_lr_on_plateau: ReduceLROnPlateau;
    mod swap_ema_weights: SwapEMAWeights;
    mod terminate_on_nan: TerminateOnNaN;
}

use super::history::Logs;
use super::model::Model;
use crate::Result;
use crate::tensor::Tensor;

/// Prints a line, if `verbose` is not 0.
fn say(verbose: u8, line: impl FnOnce() -> String) {
    if verbose > 0 {
        #[expect(clippy::print_stdout, reason = "asked to")]
        {
            println!("{}", line());
        }
    }
}

/// How often a callback does what it does.
///
/// ```
/// use gradus::train::Frequency;
///
/// assert_eq!(Frequency::from("epoch"), Frequency::Epoch);
/// assert_eq!(Frequency::from(100), Frequency::Batches(100));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Frequency {
    /// After each epoch; `"epoch"`.
    Epoch,
    /// After so many batches; `"batch"` is each of them.
    Batches(usize),
    /// A word that means nothing: an error when training begins.
    Unknown(String),
}

impl From<&str> for Frequency {
    fn from(word: &str) -> Frequency {
        match word {
            "epoch" => Frequency::Epoch,
            "batch" => Frequency::Batches(1),
            other => Frequency::Unknown(other.into()),
        }
    }
}

impl From<usize> for Frequency {
    fn from(batches: usize) -> Frequency {
        Frequency::Batches(batches)
    }
}

impl Frequency {
    /// Fails if it is no frequency; `name` is that of the setting.
    pub(crate) fn check(&self, name: &'static str) -> Result<()> {
        let got = match self {
            Frequency::Unknown(word) => format!("'{word}'"),
            Frequency::Batches(0) => "0".into(),
            _ => return Ok(()),
        };
        Err(crate::Error::argument(name, "\"epoch\" or a number of batches of at least 1", got))
    }
}

/// What a run will do, told to callbacks when it begins.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Plan {
    /// The epoch after the last one; 1 of an evaluation and a prediction.
    pub epochs: usize,
    /// Batches in an epoch, if that is known before it ends.
    pub steps: Option<usize>,
    /// The names of the figures that the logs of an epoch will have: loss, metrics, those of validation, and what callbacks
    /// add. Empty if nobody knows.
    pub figures: Vec<String>,
    /// Those of which the model knows whether they should grow or shrink: its losses and metrics.
    pub(crate) directed: Vec<String>,
}

/// Called around training, evaluation and prediction. All methods do nothing unless overridden; an error of one ends the run. Names are
/// Keras's.
///
/// What a batch gives is a number, the mean loss of the epoch so far; [`Model::logs`] has the other figures so far, which are
/// worked out only if somebody asks.
///
/// `fit` calls the methods of `test` around validation. For an evaluation or a prediction alone [`Model::with_callbacks`] takes
/// callbacks; they are given a snapshot of the model, so what they change is changed for that run.
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
    /// Whether it shows progress: then `fit` adds no [`ProgbarLogger`] of its own.
    fn shows_progress(&self) -> bool {
        false
    }
    /// Before the first epoch.
    ///
    /// # Errors
    /// An error ends fit.
    fn on_train_begin(&mut self, model: &mut Model, plan: &Plan) -> Result<()> {
        Ok(())
    }
    /// After the last epoch, also when training was stopped; [`Model::history`] has all of them.
    ///
    /// # Errors
    /// An error ends fit.
    fn on_train_end(&mut self, model: &mut Model) -> Result<()> {
        Ok(())
    }
    /// Called before each epoch, numbered from 0.
    ///
    /// # Errors
    /// An error ends fit.
    fn on_epoch_begin(&mut self, model: &mut Model, epoch: usize) -> Result<()> {
        Ok(())
    }
    /// Called after an epoch and its validation. Later callbacks and the history see the values added to `logs`.
    ///
    /// # Errors
    /// An error ends fit.
    fn on_epoch_end(&mut self, model: &mut Model, epoch: usize, logs: &mut Logs) -> Result<()> {
        Ok(())
    }
    /// Before a training step, numbered from 0 in its epoch.
    ///
    /// # Errors
    /// An error ends fit.
    fn on_train_batch_begin(&mut self, model: &mut Model, batch: usize) -> Result<()> {
        Ok(())
    }
    /// After a training step; `loss` is the mean loss of the epoch so far.
    ///
    /// # Errors
    /// An error ends fit.
    fn on_train_batch_end(&mut self, model: &mut Model, batch: usize, loss: f64) -> Result<()> {
        Ok(())
    }
    /// Before an evaluation, also one for validation.
    ///
    /// # Errors
    /// An error ends fit or the evaluation.
    fn on_test_begin(&mut self, model: &mut Model, plan: &Plan) -> Result<()> {
        Ok(())
    }
    /// After an evaluation, with its figures; their names have no `val_`.
    ///
    /// # Errors
    /// An error ends fit or the evaluation.
    fn on_test_end(&mut self, model: &mut Model, logs: &Logs) -> Result<()> {
        Ok(())
    }
    /// Before a batch of an evaluation, numbered from 0.
    ///
    /// # Errors
    /// An error ends fit or the evaluation.
    fn on_test_batch_begin(&mut self, model: &mut Model, batch: usize) -> Result<()> {
        Ok(())
    }
    /// After a batch of an evaluation; `loss` is the mean loss so far.
    ///
    /// # Errors
    /// An error ends fit or the evaluation.
    fn on_test_batch_end(&mut self, model: &mut Model, batch: usize, loss: f64) -> Result<()> {
        Ok(())
    }
    /// Before a prediction.
    ///
    /// # Errors
    /// An error ends the prediction.
    fn on_predict_begin(&mut self, model: &mut Model, plan: &Plan) -> Result<()> {
        Ok(())
    }
    /// After a prediction.
    ///
    /// # Errors
    /// An error ends the prediction.
    fn on_predict_end(&mut self, model: &mut Model) -> Result<()> {
        Ok(())
    }
    /// Before a batch of a prediction, numbered from 0.
    ///
    /// # Errors
    /// An error ends the prediction.
    fn on_predict_batch_begin(&mut self, model: &mut Model, batch: usize) -> Result<()> {
        Ok(())
    }
    /// After a batch of a prediction, with the rows that it gave of each output.
    ///
    /// # Errors
    /// An error ends the prediction.
    fn on_predict_batch_end(&mut self, model: &mut Model, batch: usize, outputs: &[Tensor]) -> Result<()> {
        Ok(())
    }
}
