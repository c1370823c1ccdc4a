//! Why it exists: training, evaluation and prediction on a [`Dataset`]: data that does not fit in memory, or is made as it
//! is needed. The loop is `fit`'s; here batches come instead of being cut.

use super::data::{Batch, Source, rows};
use super::fit::Fit;
use super::history::{History, Logs};
use super::model::{Model, same_rows};
use crate::data::{Cardinality, Dataset, Pass};
use crate::kernels::par;
use crate::tensor::Tensor;
use crate::{Error, Result};

impl Model {
    /// Trains on the batches of a dataset, whose size and order are its own: of `fit`'s settings those about rows
    /// (`sample_weight`, `class_weight`, `validation_split`) are errors here, `batch_size` and `shuffle` mean nothing.
    /// `Fit::validation_dataset` takes batches to validate on.
    ///
    /// Without `steps_per_epoch` an epoch is one pass, and the pass has the number of the epochs that the model was trained
    /// for: two calls of one epoch are one call of two. With it, a pass that ends is followed by the next.
    ///
    /// # Errors
    /// The dataset fails (the message names the sample), has no batches or no end, the data does not fit, a setting is out of
    /// range, a trainable parameter got no gradient, or a callback failed. The model keeps the parameters of the last
    /// complete step.
    pub fn fit_dataset(&mut self, data: &Dataset, fit: Fit<'_>) -> Result<History> {
        let mut batches = Batches::new(data, fit.steps(), "steps_per_epoch")?;
        batches.endless = fit.steps().is_some();
        self.fit_source(&mut batches, fit)
    }

    /// Loss and metrics over the batches of a dataset's first pass, or over so many of them.
    ///
    /// # Errors
    /// The dataset fails, has no batches, or no end and no `steps` are given; or the data does not fit.
    pub fn evaluate_dataset(&mut self, data: &Dataset, steps: Option<usize>) -> Result<Logs> {
        let mut batches = Batches::new(data, steps, "steps")?;
        par::enter(|| self.evaluate_source(&mut batches, steps))
    }

    /// Every output of the network for each row of a dataset's first pass, which must end; targets are not looked at.
    ///
    /// # Errors
    /// The dataset fails, has no batches or no end, or the data does not fit the network.
    pub fn predict_dataset(&self, data: &Dataset) -> Result<Vec<Tensor>> {
        Batches::new(data, None, "predict")?;
        let mut parts = Vec::new();
        for batch in data {
            let x = batch?.x;
            rows("x", &x)?;
            parts.push(self.predict_all(&x)?);
        }
        if parts.is_empty() {
            return Err(Error::argument("dataset", "at least one batch", "none"));
        }
        let joined = |i: usize| Tensor::concat(&parts.iter().map(|p| &p[i]).collect::<Vec<_>>(), 0);
        (0..self.outputs().len()).map(joined).collect()
    }
}

/// The batches of pass after pass of a dataset.
pub(crate) struct Batches {
    data: Dataset,
    pass: Option<Pass>,
    number: u64,
    /// Rows that the pass has given.
    seen: usize,
    /// Whether a pass that ends is followed by the next.
    endless: bool,
}

impl Batches {
    /// The batches of `data`, of which `steps` will be taken, or all.
    pub(crate) fn new(data: &Dataset, steps: Option<usize>, name: &'static str) -> Result<Batches> {
        match (steps, data.cardinality()) {
            (Some(0), _) => Err(Error::argument(name, "at least 1", 0)),
            (None, Cardinality::Infinite) => {
                Err(Error::argument(name, "a number of batches, for the dataset has no end", "none"))
            }
            _ => Ok(Batches { data: data.clone(), pass: None, number: 0, seen: 0, endless: false }),
        }
    }
}

impl Source for Batches {
    fn steps(&self) -> Option<usize> {
        match self.data.cardinality() {
            Cardinality::Known(n) => Some(n),
            _ => None,
        }
    }

    fn begin(&mut self, _: u64, pass: u64) -> Result<()> {
        // The order is keyed by the dataset's own seed.
        (self.number, self.seen) = (pass, 0);
        self.pass = Some(self.data.pass(pass));
        Ok(())
    }

    fn next(&mut self, model: &Model) -> Result<Option<Batch>> {
        let mut sample = self.pass.as_mut().and_then(Iterator::next);
        if sample.is_none() && self.endless && self.pass.is_some() {
            self.begin(0, self.number + 1)?;
            sample = self.pass.as_mut().and_then(Iterator::next);
        }
        let Some(sample) = sample.transpose()? else { return Ok(None) };
        let x = model.accept(&sample.x)?;
        let first = self.seen;
        self.seen += same_rows(&x, &sample.y)?;
        Ok(Some(Batch::new(x, sample.y.into(), sample.weight, first)))
    }
}
