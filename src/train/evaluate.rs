//! `evaluate`: loss and metrics over data, without changing the model.

use super::batches::Batches;
use super::callback::{Callback as _, CallbackList, Plan};
use super::data::{Arrays, Batch, Source, some_rows};
use super::fit::rows_of_batch;
use super::history::Logs;
use super::model::Model;
use super::weights::Weights;
use crate::data::Dataset;
use crate::kernels::par;
use crate::nn::{Cx, Session};
use crate::tensor::{AsTensors, Tensor};
use crate::{CancellationToken, Error, Result};

/// The settings of `evaluate_with`, with Keras's defaults.
#[derive(Clone, Debug)]
#[must_use]
pub struct Evaluate {
    pub(crate) batch_size: Option<usize>,
    pub(crate) weights: Option<Weights>,
    pub(crate) steps: Option<usize>,
    pub(crate) cancellation: Option<CancellationToken>,
}

impl Default for Evaluate {
    fn default() -> Self {
        Evaluate::new()
    }
}

impl Evaluate {
    /// Creates settings for all rows, in batches of 32.
    pub fn new() -> Evaluate {
        Evaluate { batch_size: None, weights: None, steps: None, cancellation: None }
    }

    /// Rows in a batch; by default 32, or with [`Evaluate::steps`] as many as make so many batches of all rows.
    pub fn batch_size(mut self, batch_size: usize) -> Evaluate {
        self.batch_size = Some(batch_size);
        self
    }

    /// Sets how much each row counts in the loss and in weighted metrics.
    pub fn sample_weight(mut self, weights: &Tensor) -> Evaluate {
        self.weights = Some(Weights::sample(weights));
        self
    }

    /// Sets how many batches are evaluated; all by default.
    pub fn steps(mut self, steps: usize) -> Evaluate {
        self.steps = Some(steps);
        self
    }

    /// Ends the run with an error when the token is cancelled or its deadline passes; checked between batches.
    pub fn cancellation(mut self, token: &CancellationToken) -> Evaluate {
        self.cancellation = Some(token.clone());
        self
    }

    /// The batches of rows.
    pub(super) fn arrays(
        &self,
        model: &Model,
        x: &(impl AsTensors + ?Sized),
        y: &(impl AsTensors + ?Sized),
    ) -> Result<Arrays> {
        let (x, y) = (x.as_tensors(), y.as_tensors());
        let n = x.first().and_then(|x| x.dims().first()).copied().unwrap_or(0);
        let batch_size = rows_of_batch(self.batch_size, self.steps, n);
        Arrays::of(&model.network, &x, y, self.weights.as_ref(), batch_size)
    }

    /// The batches of a dataset.
    pub(super) fn batches(&self, data: &Dataset) -> Result<Batches> {
        if self.weights.is_some() {
            let expected = "no value, because the dataset's samples have their own weights";
            return Err(Error::argument("sample_weight", expected, "a value"));
        }
        Batches::new(data, self.steps, "steps")
    }
}

impl Model {
    /// Returns loss and metrics over the data, in batches of 32.
    ///
    /// # Errors
    /// The data does not fit the network or the loss.
    pub fn evaluate(&self, x: &(impl AsTensors + ?Sized), y: &(impl AsTensors + ?Sized)) -> Result<Logs> {
        self.evaluate_with(x, y, &Evaluate::new())
    }

    /// [`Model::evaluate`] with settings. The batch size changes the results only by rounding.
    ///
    /// # Errors
    /// Those of [`Model::evaluate`], or a setting is out of range.
    pub fn evaluate_with(
        &self,
        x: &(impl AsTensors + ?Sized),
        y: &(impl AsTensors + ?Sized),
        settings: &Evaluate,
    ) -> Result<Logs> {
        let mut data = settings.arrays(self, x, y)?;
        par::enter(|| self.evaluate_source(&mut data, settings.steps, settings.cancellation.as_ref()))
    }

    /// Returns loss and metrics over the first pass of a dataset, or over its first `steps` batches.
    ///
    /// # Errors
    /// The dataset fails, has no batches, or no end and no `steps` are given; or the data does not fit.
    pub fn evaluate_dataset(&self, data: &Dataset, steps: Option<usize>) -> Result<Logs> {
        self.evaluate_dataset_with(data, &Evaluate { steps, ..Evaluate::new() })
    }

    /// [`Model::evaluate_dataset`] with settings. Batches and weights are the dataset's own: `batch_size` has no
    /// effect here.
    ///
    /// # Errors
    /// Those of [`Model::evaluate_dataset`], the token was cancelled, or there is a `sample_weight`.
    pub fn evaluate_dataset_with(&self, data: &Dataset, settings: &Evaluate) -> Result<Logs> {
        let mut batches = settings.batches(data)?;
        par::enter(|| self.evaluate_source(&mut batches, settings.steps, settings.cancellation.as_ref()))
    }

    /// Returns loss and metrics over a pass or its first batches. State that layers carry is reset.
    pub(crate) fn evaluate_source(
        &self,
        data: &mut dyn Source,
        steps: Option<usize>,
        cancellation: Option<&CancellationToken>,
    ) -> Result<Logs> {
        let mut meter = self.head.meter();
        let mut pass = Pass::new(data, steps, cancellation)?;
        while let Some(batch) = pass.next(self)? {
            meter.loss = pass.step(&batch, |cx| self.test_step(&batch, cx, &mut meter))?;
        }
        some_rows(pass.rows)?;
        Ok(self.head.logs(&meter))
    }

    /// The same with callbacks, which see the figures so far as the model's.
    pub(super) fn evaluate_called(
        &mut self,
        data: &mut dyn Source,
        steps: Option<usize>,
        cancellation: Option<&CancellationToken>,
        callbacks: &mut CallbackList<'_>,
    ) -> Result<Logs> {
        let of_training = std::mem::replace(&mut self.meter, self.head.meter());
        let logs = self.evaluate_calling(data, steps, cancellation, callbacks);
        self.meter = of_training;
        logs
    }

    fn evaluate_calling(
        &mut self,
        data: &mut dyn Source,
        steps: Option<usize>,
        cancellation: Option<&CancellationToken>,
        callbacks: &mut CallbackList<'_>,
    ) -> Result<Logs> {
        let figures = self.head.figures();
        let steps_there = data.steps();
        let planned = steps.map_or(steps_there, |n| Some(steps_there.map_or(n, |there| n.min(there))));
        let plan = Plan { epochs: 1, steps: planned, directed: figures.clone(), figures };
        callbacks.on_test_begin(self, &plan)?;
        let mut pass = Pass::new(data, steps, cancellation)?;
        while let Some(batch) = pass.next(self)? {
            let number = pass.done;
            callbacks.on_test_batch_begin(self, number)?;
            self.meter.loss = pass.step(&batch, |cx| self.test_own_step(&batch, cx))?;
            callbacks.on_test_batch_end(self, number, self.meter.loss)?;
        }
        some_rows(pass.rows)?;
        let logs = self.logs();
        callbacks.on_test_end(self, &logs)?;
        Ok(logs)
    }
}

/// An evaluation under way.
struct Pass<'a> {
    data: &'a mut dyn Source,
    steps: Option<usize>,
    cancellation: Option<&'a CancellationToken>,
    session: Session,
    /// The losses of batches times their rows, added up.
    sum: f64,
    rows: usize,
    done: usize,
}

impl<'a> Pass<'a> {
    fn new(
        data: &'a mut dyn Source,
        steps: Option<usize>,
        cancellation: Option<&'a CancellationToken>,
    ) -> Result<Pass<'a>> {
        data.begin(0, 0)?;
        Ok(Pass { data, steps, cancellation, session: Session::new(), sum: 0.0, rows: 0, done: 0 })
    }

    /// The next batch, if there is one and it is wanted.
    fn next(&mut self, model: &Model) -> Result<Option<Batch>> {
        if self.steps.is_some_and(|steps| self.done >= steps) {
            return Ok(None);
        }
        let Some(mut batch) = self.data.next(&model.network)? else { return Ok(None) };
        batch.is_first = self.done == 0;
        CancellationToken::check(self.cancellation, "evaluate", || format!("{} batches", self.done))?;
        Ok(Some(batch))
    }

    /// One batch, whose loss `test` gives. The mean loss so far.
    fn step(&mut self, batch: &Batch, test: impl FnOnce(&mut Cx) -> Result<f64>) -> Result<f64> {
        let mut cx = Cx::infer().resume(std::mem::take(&mut self.session));
        self.sum += test(&mut cx)? * batch.rows() as f64;
        self.session = cx.finish().session;
        self.rows += batch.rows();
        self.done += 1;
        Ok(self.sum / self.rows as f64)
    }
}
