//! One step of training or evaluation: forward pass, losses and, in training, backward pass and update, which
//! changes all parameters or none.

use super::data::{Arrays, Batch, Source};
use super::head::{Meter, Terms};
use super::history::Logs;
use super::model::Model;
use super::weights::Weights;
use crate::kernels::par;
use crate::nn::{Cx, Module, Values};
use crate::tensor::{AsTensors, Tensor, Tensors};
use crate::{Error, Result};

/// The losses of a forward pass.
struct Losses {
    total: Tensor,
    terms: Terms,
    /// The outputs as metrics see them.
    outputs: Values,
}

impl Model {
    /// Runs the forward pass; returns the loss of each output, their sum with regularization and added terms, and
    /// the outputs as users see them.
    fn losses(&self, batch: &Batch, cx: &mut Cx) -> Result<Losses> {
        let (y, weights) = (&batch.y, batch.weights.as_ref());
        if y.len() != self.head.losses.len() {
            return Err(Error::argument("y", format!("{} target tensors", self.head.losses.len()), y.len()));
        }
        let outputs = self.network.pass(&batch.x, cx, &self.head.raw)?;
        if batch.is_first {
            self.head.check_values(y, &outputs, weights)?;
        }
        let terms = self.head.terms(y, &outputs, weights)?;
        let mut total = self.head.total(&terms, &outputs)?;
        let mut outputs = outputs;
        for (i, value) in outputs.iter_mut().enumerate() {
            value.tensor = value.tensor.detach();
            let raw = self.head.raw.get(i).is_some_and(|&raw| raw);
            if let Some(activation) =
                self.network.output_activation_of(i).filter(|_| raw && self.head.watches(i))
            {
                value.tensor = activation.apply(&value.tensor)?;
            }
        }
        let mut penalties = Ok(());
        self.network.visit(&mut |_, p| {
            if let (Some(r), Ok(())) = (p.regularizer(), &penalties) {
                let sum =
                    cx.param(p).and_then(|value| r.penalty(&value)).and_then(|penalty| total.add(&penalty));
                match sum {
                    Ok(sum) => total = sum,
                    Err(e) => penalties = Err(e),
                }
            }
        });
        penalties?;
        for term in cx.take_losses() {
            total = total.add(&term)?;
        }
        Ok(Losses { total, terms, outputs })
    }

    /// Returns the loss that a training step minimizes.
    pub(super) fn total(&self, batch: &Batch, cx: &mut Cx) -> Result<Tensor> {
        Ok(self.losses(batch, cx)?.total)
    }

    /// Traces a step: the loss and the network's outputs, for tensors without values.
    pub(crate) fn trace_step(
        &self,
        x: &[Tensor],
        y: Vec<Tensor>,
        weights: Option<Tensor>,
        cx: &mut Cx,
    ) -> Result<(Tensor, Tensors)> {
        let x = self.network.accept(x)?;
        let Losses { total, outputs, .. } =
            self.losses(&Batch::new(x, y.into_iter().collect(), weights, 0), cx)?;
        Ok((total, outputs.into_iter().map(|v| v.tensor).collect()))
    }

    /// Runs a forward pass and accumulates losses and metrics, without an update.
    pub(crate) fn test_step(&self, batch: &Batch, cx: &mut Cx, meter: &mut Meter) -> Result<f64> {
        let Losses { total, terms, outputs } = self.losses(batch, cx).map_err(|e| batch.locate(e))?;
        meter.observe(&batch.y, &outputs, batch.weights.as_ref(), &terms, batch.rows())?;
        total.item()
    }

    /// [`Model::test_step`] whose figures are gathered in the model's own meter.
    pub(super) fn test_own_step(&mut self, batch: &Batch, cx: &mut Cx) -> Result<f64> {
        let Losses { total, terms, outputs } = self.losses(batch, cx).map_err(|e| batch.locate(e))?;
        self.meter.observe(&batch.y, &outputs, batch.weights.as_ref(), &terms, batch.rows())?;
        total.item()
    }

    /// One update from data that the network has accepted. Returns the loss; no parameter changes if it fails.
    pub(crate) fn train_step(&mut self, batch: &Batch) -> Result<f64> {
        par::awake(|| self.whole_step(batch))
    }

    /// [`Model::train_step`] on the threads that there are.
    fn whole_step(&mut self, batch: &Batch) -> Result<f64> {
        let mut cx = Cx::train(self.seed, self.steps).resume(self.session.clone());
        let losses = self.losses(batch, &mut cx).map_err(|e| batch.locate(e))?;
        let Losses { total, terms, outputs } = losses;
        let value = total.item()?;
        // Everything that can fail comes before anything changes.
        self.check_loss(batch, value)?;
        self.meter.observe(&batch.y, &outputs, batch.weights.as_ref(), &terms, batch.rows())?;
        drop(terms);
        let gradients = total.backward().map_err(|e| self.nothing_learns().unwrap_or(e))?;
        self.check_gradients(batch, &gradients)?;
        let effects = cx.finish();
        effects.check(&self.network)?;
        self.driver.step(&mut self.network, gradients, self.allow_missing)?;
        effects.apply_checked(&mut self.network)?;
        self.session = effects.session;
        self.steps += 1;
        Ok(value)
    }

    /// Returns the error if no parameter can learn.
    pub(crate) fn nothing_learns(&self) -> Option<Error> {
        let mut learns = false;
        self.network.visit(&mut |_, p| learns |= p.trainable());
        let expected = "at least one trainable parameter (set_trainable unfreezes a layer)";
        (!learns).then(|| Error::argument("network", expected, "all of them frozen, or none at all"))
    }

    /// Creates one update from one batch. Returns the loss and the metrics of this batch, as they were before the
    /// update.
    ///
    /// # Errors
    /// The data does not fit the network or the loss, or a trainable parameter got no gradient; no parameter has
    /// changed then.
    pub fn train_on_batch(
        &mut self,
        x: &(impl AsTensors + ?Sized),
        y: &(impl AsTensors + ?Sized),
    ) -> Result<Logs> {
        self.train_one(self.batch(&x.as_tensors(), y.as_tensors(), None)?)
    }

    /// [`Model::train_on_batch`] with weights for the rows.
    ///
    /// # Errors
    /// Those of [`Model::train_on_batch`], or the weights do not fit.
    pub fn train_on_batch_weighted(
        &mut self,
        x: &(impl AsTensors + ?Sized),
        y: &(impl AsTensors + ?Sized),
        weights: &Weights,
    ) -> Result<Logs> {
        self.train_one(self.batch(&x.as_tensors(), y.as_tensors(), Some(weights))?)
    }

    fn train_one(&mut self, batch: Batch) -> Result<Logs> {
        self.meter.reset();
        let batch = batch.first(self.steps == 0);
        self.meter.loss = par::enter(|| self.train_step(&batch))?;
        Ok(self.logs())
    }

    /// Returns loss and metrics of one batch, without an update.
    ///
    /// # Errors
    /// The data does not fit the network or the loss.
    pub fn test_on_batch(
        &self,
        x: &(impl AsTensors + ?Sized),
        y: &(impl AsTensors + ?Sized),
    ) -> Result<Logs> {
        let batch = self.batch(&x.as_tensors(), y.as_tensors(), None)?;
        let mut meter = self.head.meter();
        meter.loss = par::enter(|| self.test_step(&batch, &mut Cx::infer(), &mut meter))?;
        Ok(self.head.logs(&meter))
    }

    /// All rows as one batch.
    fn batch(&self, x: &[Tensor], y: Tensors, weights: Option<&Weights>) -> Result<Batch> {
        let mut source = Arrays::of(&self.network, x, y, weights, usize::MAX)?;
        source.begin(0, 0)?;
        let batch = source.next(&self.network)?.map(|batch| batch.first(true));
        batch.ok_or_else(|| Error::argument("x", "at least one row", 0))
    }
}
