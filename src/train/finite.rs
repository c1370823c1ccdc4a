//! `Fit::check_finite`: if the loss or a gradient of a step is not finite, nothing is changed and the error says
//! where it began. To find out, the step runs once more under a watch.

use super::data::{Batch, row_length};
use super::model::Model;
use crate::autograd::{Gradients, failed_step, not_finite, watched};
use crate::nn::{Cx, Module};
use crate::tensor::Tensor;
use crate::{Error, Result};

impl Model {
    /// Fails if the loss is not finite, before anything has changed.
    pub(super) fn check_loss(&self, batch: &Batch, loss: f64) -> Result<()> {
        if !self.check_finite || loss.is_finite() {
            return Ok(());
        }
        Err(self.not_finite("loss".into(), loss, batch))
    }

    /// Fails if a gradient is not finite, before anything has changed.
    pub(super) fn check_gradients(&self, batch: &Batch, gradients: &Gradients) -> Result<()> {
        if !self.check_finite {
            return Ok(());
        }
        let mut found = None;
        self.network.visit(&mut |path, p| {
            if let (None, Some(gradient)) = (&found, p.gradient(gradients)) {
                let bad = gradient.dense().ok().and_then(|g| not_finite(g.array()));
                found = bad.map(|(_, value)| (format!("the gradient of '{path}'"), value));
            }
        });
        found.map_or(Ok(()), |(what, value)| Err(self.not_finite(what, value, batch)))
    }

    /// Makes the error; the training loop adds epoch and step.
    fn not_finite(&self, what: String, value: f64, batch: &Batch) -> Error {
        Error::NotFinite { what, value, epoch: 0, step: 0, origin: Box::new(self.origin(batch)) }
    }

    /// Finds where NaN or infinity first arose: the data, a parameter, or an operation.
    fn origin(&self, batch: &Batch) -> Error {
        let given = [("x", &batch.x), ("y", &batch.y)];
        for (name, tensors) in given {
            if let Some((t, (at, value))) = tensors.iter().find_map(|t| Some((t, not_finite(t.array())?))) {
                let row = batch.row(at / row_length(t));
                return Error::argument(name, "finite numbers", format!("{value} in row {row}"));
            }
        }
        let mut parameter = None;
        self.network.visit(&mut |path, p| {
            if let (None, Some((at, value))) = (&parameter, not_finite(p.value().array())) {
                let got = format!("{value} at position {at} before this step");
                parameter = Some(Error::argument("parameter", "finite numbers", got).at(path.to_string()));
            }
        });
        if let Some(error) = parameter {
            return error;
        }
        match watched(|| self.again(batch)) {
            Err(e) => e,
            Ok(()) => Error::Custom(
                "no operation made it of finite numbers, so a constant or a state in the network is not finite".into(),
            ),
        }
    }

    /// Runs the step again, without its update.
    fn again(&self, batch: &Batch) -> Result<()> {
        let mut cx = Cx::train(self.seed, self.steps).resume(self.session.clone()).scoped();
        let total: Tensor = self.total(batch, &mut cx).map_err(|e| e.at("forward pass"))?;
        let behind = |e: Error| match failed_step().and_then(|step| cx.layer_of(step)) {
            Some(layer) => e.at(format!("layer '{layer}'")).at("backward pass"),
            None => e.at("backward pass"),
        };
        total.backward().map(drop).map_err(behind)
    }
}
