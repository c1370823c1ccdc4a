//! `evaluate` and `predict` with callbacks. They do not change a model, and callbacks may, so callbacks get a snapshot, which shares memory
//! with the model until one of the two changes.

use super::callback::{Callback, CallbackList, Plan};
use super::data::Source;
use super::evaluate::Evaluate;
use super::history::Logs;
use super::model::Model;
use crate::data::Dataset;
use crate::kernels::par;
use crate::nn::Predict;
use crate::tensor::{AsTensors, Tensor, Tensors, join_rows, rows, slice_rows};
use crate::{Error, Result};

/// A model that is evaluated or asked with callbacks around it: see [`Model::with_callbacks`].
pub struct WithCallbacks<'a> {
    model: Model,
    callbacks: CallbackList<'a>,
}

impl Model {
    /// The model as it is now, with callbacks around what it is asked: `on_test_…` around evaluations, `on_predict_…` around
    /// predictions. Callbacks that change the model change this snapshot alone. `fit` has [`Fit::callback`](super::Fit::callback).
    ///
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let model = Sequential::new().add(Input::new(1)).add(Dense::new(1)).compile("sgd", "mse", ["mae"])?;
    /// let x = Tensor::ones([8, 1])?;
    /// let mut seen = vec![];
    /// let watch = LambdaCallback::new().on_test_batch_end(|model, batch, loss| {
    ///     seen.push((batch, loss, model.logs()["mae"]));
    ///     Ok(())
    /// });
    /// let scores = model.with_callbacks([watch]).evaluate_with(&x, &x, &Evaluate::new().batch_size(2))?;
    /// assert_eq!((seen.len(), seen[3].1), (4, scores["loss"]));
    /// # Ok::<(), gradus::Error>(())
    /// ```
    pub fn with_callbacks<'a, C: Callback + 'a>(
        &self,
        callbacks: impl IntoIterator<Item = C>,
    ) -> WithCallbacks<'a> {
        WithCallbacks { model: self.clone(), callbacks: callbacks.into_iter().collect() }
    }
}

impl WithCallbacks<'_> {
    /// As [`Model::evaluate`].
    ///
    /// # Errors
    /// As [`Model::evaluate`], or a callback failed.
    pub fn evaluate(&mut self, x: &(impl AsTensors + ?Sized), y: &(impl AsTensors + ?Sized)) -> Result<Logs> {
        self.evaluate_with(x, y, &Evaluate::new())
    }

    /// As [`Model::evaluate_with`].
    ///
    /// # Errors
    /// As [`Model::evaluate_with`], or a callback failed.
    pub fn evaluate_with(
        &mut self,
        x: &(impl AsTensors + ?Sized),
        y: &(impl AsTensors + ?Sized),
        settings: &Evaluate,
    ) -> Result<Logs> {
        let mut data = settings.arrays(&self.model, x, y)?;
        self.run(&mut data, settings)
    }

    /// As [`Model::evaluate_dataset_with`].
    ///
    /// # Errors
    /// As [`Model::evaluate_dataset_with`], or a callback failed.
    pub fn evaluate_dataset_with(&mut self, data: &Dataset, settings: &Evaluate) -> Result<Logs> {
        let mut data = settings.batches(data)?;
        self.run(&mut data, settings)
    }

    fn run(&mut self, data: &mut dyn Source, settings: &Evaluate) -> Result<Logs> {
        let WithCallbacks { model, callbacks } = self;
        par::enter(|| model.evaluate_called(data, settings.steps, settings.cancellation.as_ref(), callbacks))
    }

    /// As [`Network::predict`](crate::nn::Network::predict), in batches of 32 as in Keras: callbacks count them.
    ///
    /// # Errors
    /// As [`Network::predict`](crate::nn::Network::predict), or a callback failed.
    pub fn predict(&mut self, x: &(impl AsTensors + ?Sized)) -> Result<Tensor> {
        let mut outputs = self.predict_with(x, &Predict::new().batch_size(32))?.into_iter();
        match (outputs.next(), outputs.next()) {
            (Some(output), None) => Ok(output),
            _ => {
                Err(Error::argument("predict", "a network with one output (predict_with gives all)", "more"))
            }
        }
    }

    /// As [`Network::predict_with`](crate::nn::Network::predict_with).
    ///
    /// # Errors
    /// As [`Network::predict_with`](crate::nn::Network::predict_with), or a callback failed.
    pub fn predict_with(&mut self, x: &(impl AsTensors + ?Sized), settings: &Predict) -> Result<Tensors> {
        let x = x.as_tensors();
        let n = rows("x", &x)?;
        let batch = settings.rows()?;
        let mut start = 0;
        self.predict_batches(Some(n.div_ceil(batch).max(1)), settings, || {
            if start > 0 && start >= n {
                return Ok(None);
            }
            let end = start.saturating_add(batch).min(n);
            let part: Tensors = slice_rows(&x, start, end)?;
            start = end.max(1);
            Ok(Some(part))
        })
    }

    /// As [`Network::predict_dataset_with`](crate::nn::Network::predict_dataset_with).
    ///
    /// # Errors
    /// As [`Network::predict_dataset_with`](crate::nn::Network::predict_dataset_with), or a callback failed.
    pub fn predict_dataset_with(&mut self, data: &Dataset, settings: &Predict) -> Result<Tensors> {
        super::batches::Batches::new(data, None, "predict")?;
        let steps = match data.cardinality() {
            crate::data::Cardinality::Known(n) => Some(n),
            _ => None,
        };
        let mut batches = data.into_iter();
        self.predict_batches(steps, settings, || {
            let Some(sample) = batches.next() else { return Ok(None) };
            Ok(Some(sample?.x.into_iter().collect()))
        })
    }

    /// Predicts batch after batch, until there is none.
    fn predict_batches(
        &mut self,
        steps: Option<usize>,
        settings: &Predict,
        mut next: impl FnMut() -> Result<Option<Tensors>>,
    ) -> Result<Tensors> {
        let WithCallbacks { model, callbacks } = self;
        callbacks.on_predict_begin(model, &Plan { epochs: 1, steps, ..Plan::default() })?;
        let mut parts: Vec<Tensors> = Vec::new();
        while let Some(x) = next()? {
            settings.check(|| format!("{} batches", parts.len()))?;
            callbacks.on_predict_batch_begin(model, parts.len())?;
            let outputs = model.network.predict_with(&x[..], settings)?;
            callbacks.on_predict_batch_end(model, parts.len(), &outputs)?;
            parts.push(outputs);
        }
        if parts.is_empty() {
            return Err(Error::argument("dataset", "at least one batch", "none"));
        }
        callbacks.on_predict_end(model)?;
        join_rows(&parts, model.network.output_names().count())
    }
}
