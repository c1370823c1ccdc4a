//! `evaluate`: loss and metrics over data, without changing the model.

use super::batches::Batches;
use super::data::{Arrays, Source, some_rows};
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
    pub(crate) batch_size: usize,
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
        Evaluate { batch_size: 32, weights: None, steps: None, cancellation: None }
    }

    /// Sets the rows in a batch; 32 by default.
    pub fn batch_size(mut self, batch_size: usize) -> Evaluate {
        self.batch_size = batch_size;
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
        let Evaluate { batch_size, weights, steps, cancellation } = settings;
        let (x, y) = (x.as_tensors(), y.as_tensors());
        let mut data = Arrays::of(&self.network, &x, y, weights.as_ref(), *batch_size)?;
        par::enter(|| self.evaluate_source(&mut data, *steps, cancellation.as_ref()))
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
        let Evaluate { weights, steps, cancellation, .. } = settings;
        if weights.is_some() {
            let expected = "no value, because the dataset's samples have their own weights";
            return Err(Error::argument("sample_weight", expected, "a value"));
        }
        let mut batches = Batches::new(data, *steps, "steps")?;
        par::enter(|| self.evaluate_source(&mut batches, *steps, cancellation.as_ref()))
    }

    /// Returns loss and metrics over a pass or its first batches. State that layers carry is reset.
    pub(crate) fn evaluate_source(
        &self,
        data: &mut dyn Source,
        steps: Option<usize>,
        cancellation: Option<&CancellationToken>,
    ) -> Result<Logs> {
        let mut meter = self.head.meter();
        let mut session = Session::new();
        data.begin(0, 0)?;
        let (mut sum, mut n, mut done) = (0.0, 0, 0);
        while steps.is_none_or(|steps| done < steps)
            && let Some(mut batch) = data.next(&self.network)?
        {
            batch.is_first = done == 0;
            CancellationToken::check(cancellation, "evaluate", || format!("{done} batches"))?;
            let mut cx = Cx::infer().resume(session);
            sum += self.test_step(&batch, &mut cx, &mut meter)? * batch.rows() as f64;
            session = cx.finish().session;
            n += batch.rows();
            done += 1;
        }
        some_rows(n)?;
        Ok(self.head.logs(&meter, sum / n as f64))
    }
}
