//! `SwapEMAWeights`: puts the moving averages of the parameters in their place while the model is evaluated, asked or saved.

use super::{Callback, Plan};
use crate::train::{Logs, Model};
use crate::{Error, Result};

/// Evaluates and predicts with the moving averages of the parameters, which an optimizer with `.use_ema(…)` keeps: before, parameters and
/// averages change places, and afterwards they change back.
///
/// With [`SwapEMAWeights::swap_on_epoch`] they are in the model after each epoch as well, for the callbacks that come after this one, such
/// as [`ModelCheckpoint`](super::ModelCheckpoint), until the next epoch begins.
///
/// ```
/// use gradus::prelude::*;
///
/// let optimizer = SGD::new(0.1).use_ema(0.9);
/// let mut model = Sequential::new().add(Input::new(1)).add(Dense::new(1)).compile(optimizer, "mse", ())?;
/// let (x, y) = (Tensor::ones([8, 1])?, Tensor::ones([8, 1])?);
/// let settings = Fit::new().epochs(3).validation_data(&x, &y).callback(SwapEMAWeights::new()).verbose(0);
/// let history = model.fit(&x, &y, settings)?;
/// assert!(history["val_loss"][2] > 0.0); // that of the averages
/// # Ok::<(), gradus::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct SwapEMAWeights {
    swap_on_epoch: bool,
}

impl SwapEMAWeights {
    /// Around evaluations and predictions.
    pub fn new() -> SwapEMAWeights {
        SwapEMAWeights::default()
    }

    /// Whether the averages are in the model between epochs as well; no by default.
    #[must_use]
    pub fn swap_on_epoch(mut self, swap: bool) -> Self {
        self.swap_on_epoch = swap;
        self
    }

    fn check(model: &Model) -> Result<()> {
        match model.driver.keeps_averages() {
            true => Ok(()),
            false => {
                let expected = "an optimizer that keeps averages: .use_ema(0.99)";
                Err(Error::argument("optimizer", expected, "one without").at("SwapEMAWeights"))
            }
        }
    }
}

impl Callback for SwapEMAWeights {
    fn on_train_begin(&mut self, model: &mut Model, _: &Plan) -> Result<()> {
        SwapEMAWeights::check(model)
    }
    fn on_epoch_begin(&mut self, model: &mut Model, _: usize) -> Result<()> {
        model.use_averages(false);
        Ok(())
    }
    fn on_epoch_end(&mut self, model: &mut Model, _: usize, _: &mut Logs) -> Result<()> {
        if self.swap_on_epoch {
            model.use_averages(true);
        }
        Ok(())
    }
    fn on_test_begin(&mut self, model: &mut Model, _: &Plan) -> Result<()> {
        SwapEMAWeights::check(model)?;
        model.use_averages(true);
        Ok(())
    }
    fn on_test_end(&mut self, model: &mut Model, _: &Logs) -> Result<()> {
        model.use_averages(false);
        Ok(())
    }
    fn on_predict_begin(&mut self, model: &mut Model, _: &Plan) -> Result<()> {
        SwapEMAWeights::check(model)?;
        model.use_averages(true);
        Ok(())
    }
    fn on_predict_end(&mut self, model: &mut Model) -> Result<()> {
        model.use_averages(false);
        Ok(())
    }
}
