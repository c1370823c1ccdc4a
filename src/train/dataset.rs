//! Why it exists: training, evaluation and prediction on a [`Dataset`]: data that does not fit in memory, or is made as it
//! is needed. The loop of `fit`, with batches that come instead of being cut.

use super::callback::{Callback, Plan};
use super::data::rows;
use super::history::{History, Logs};
use super::model::{Model, same_rows};
use super::progress::Progress;
use crate::data::{Cardinality, Dataset, Pass, Sample};
use crate::error::Context;
use crate::kernels::par::{self, Threads};
use crate::nn::Cx;
use crate::tensor::Tensor;
use crate::{Error, Result};

/// The settings of a run of `fit_dataset`, with Keras's defaults. Batches, their size and their order are the dataset's.
#[must_use]
pub struct FitDataset<'a> {
    epochs: usize,
    steps_per_epoch: Option<usize>,
    validation: Option<Dataset>,
    validation_steps: Option<usize>,
    verbose: u8,
    callbacks: Vec<Box<dyn Callback + 'a>>,
    threads: Option<&'a Threads>,
    allow_missing: bool,
    check_finite: bool,
}

impl Default for FitDataset<'_> {
    fn default() -> Self {
        FitDataset::new()
    }
}

impl<'a> FitDataset<'a> {
    /// One epoch, which is one pass, with a progress bar.
    pub fn new() -> FitDataset<'a> {
        FitDataset {
            epochs: 1,
            steps_per_epoch: None,
            validation: None,
            validation_steps: None,
            verbose: 1,
            callbacks: Vec::new(),
            threads: None,
            allow_missing: false,
            check_finite: false,
        }
    }

    /// How many epochs; 1 by default.
    pub fn epochs(mut self, epochs: usize) -> Self {
        self.epochs = epochs;
        self
    }

    /// Batches in an epoch, instead of one pass. The next epoch goes on where this one stopped; a pass that ends is followed by
    /// the next.
    pub fn steps_per_epoch(mut self, steps: usize) -> Self {
        self.steps_per_epoch = Some(steps);
        self
    }

    /// Batches on which the model is evaluated after each epoch, each time from the first.
    pub fn validation_data(mut self, data: &Dataset) -> Self {
        self.validation = Some(data.clone());
        self
    }

    /// How many batches of the validation data are used; all by default.
    pub fn validation_steps(mut self, steps: usize) -> Self {
        self.validation_steps = Some(steps);
        self
    }

    /// What is printed: 0 nothing; 1 (default) a bar on a terminal, else as 2; 2 a line an epoch.
    pub fn verbose(mut self, verbose: u8) -> Self {
        self.verbose = verbose;
        self
    }

    /// Adds a callback. Pass `&mut callback` to read it afterwards.
    pub fn callback(mut self, callback: impl Callback + 'a) -> Self {
        self.callbacks.push(Box::new(callback));
        self
    }

    /// Runs on these threads rather than on the pool of the caller. Workers of `prefetch` are not among them.
    pub fn threads(mut self, threads: &'a Threads) -> Self {
        self.threads = Some(threads);
        self
    }

    /// Lets trainable parameters that the loss does not depend on stay as they are, as Keras does.
    pub fn allow_missing_gradients(mut self) -> Self {
        self.allow_missing = true;
        self
    }

    /// Ends with an error when the loss is not a finite number.
    pub fn check_finite(mut self) -> Self {
        self.check_finite = true;
        self
    }
}

impl Model {
    /// Trains on the batches of a dataset.
    ///
    /// Without `steps_per_epoch` an epoch is one pass, and the pass has the number of the epochs that the model was trained
    /// for: two calls of one epoch are one call of two.
    ///
    /// # Errors
    /// The dataset fails (the message names the sample), has no batches or no end, the data does not fit, a setting is out of
    /// range, a trainable parameter got no gradient, or a callback failed. The model keeps the parameters of the last
    /// complete step.
    pub fn fit_dataset(&mut self, data: &Dataset, mut fit: FitDataset<'_>) -> Result<History> {
        let steps = steps(data, fit.steps_per_epoch, "steps_per_epoch")?;
        if let Some(validation) = &fit.validation {
            self::steps(validation, fit.validation_steps, "validation_steps")?;
        }
        match fit.verbose {
            0 => {}
            1 | 2 => fit.callbacks.insert(0, Box::new(Progress::new(fit.verbose))),
            v => return Err(Error::argument("verbose", "0, 1 or 2", v)),
        }
        self.stop_training = false;
        self.allow_missing = fit.allow_missing;
        match fit.threads {
            Some(threads) => threads.run(|| self.run_dataset(data, steps, &mut fit)),
            None => par::enter(|| self.run_dataset(data, steps, &mut fit)),
        }
    }

    fn run_dataset(&mut self, data: &Dataset, steps: usize, fit: &mut FitDataset<'_>) -> Result<History> {
        let plan = Plan { epochs: fit.epochs, steps };
        let mut batches = Batches { data, number: self.epochs, pass: None, steps: fit.steps_per_epoch };
        let mut history = History::default();
        fit.callbacks.iter_mut().try_for_each(|c| c.on_train_begin(self, plan))?;
        for epoch in 0..fit.epochs {
            fit.callbacks.iter_mut().try_for_each(|c| c.on_epoch_begin(self, epoch))?;
            let mut logs = self.dataset_epoch(&mut batches, fit, epoch)?;
            fit.callbacks.iter_mut().try_for_each(|c| c.on_epoch_end(self, epoch, &mut logs))?;
            history.push(epoch, &logs);
            if self.stop_training {
                break;
            }
        }
        fit.callbacks.iter_mut().try_for_each(|c| c.on_train_end(self))?;
        Ok(history)
    }

    fn dataset_epoch(
        &mut self,
        batches: &mut Batches<'_>,
        fit: &mut FitDataset<'_>,
        epoch: usize,
    ) -> Result<Logs> {
        self.reset_metrics();
        let (mut sum, mut seen, mut step) = (0.0, 0, 0);
        while let Some(batch) = batches.next(step) {
            let Sample { x, y, weight } = batch?;
            let x = self.accept(&x)?;
            let n = same_rows(&x, &y)?;
            let loss = self.train_step(&x, &y, weight.as_ref())?;
            if fit.check_finite && !loss.is_finite() {
                let (epoch, step) = (epoch + 1, step + 1);
                return Err(Error::NotFinite { what: "loss".into(), value: loss, epoch, step });
            }
            sum += loss * n as f64;
            seen += n;
            let mean = sum / seen as f64;
            fit.callbacks.iter_mut().try_for_each(|c| c.on_batch_end(self, step, mean))?;
            step += 1;
        }
        if seen == 0 {
            return Err(Error::argument("dataset", "at least one batch with a row", "none"));
        }
        self.epochs += 1;
        let mut logs = self.logs(sum / seen as f64);
        if let Some(validation) = &fit.validation {
            let figures = self.evaluate_batches(validation, fit.validation_steps).at(|| "validation_data")?;
            for (name, value) in figures.iter() {
                logs.set(&format!("val_{name}"), value);
            }
        }
        Ok(logs)
    }

    /// Loss and metrics over the batches of a dataset's first pass, or over so many of them.
    ///
    /// # Errors
    /// The dataset fails, has no batches, or no end and no `steps` are given; or the data does not fit.
    pub fn evaluate_dataset(&mut self, data: &Dataset, steps: Option<usize>) -> Result<Logs> {
        self::steps(data, steps, "steps")?;
        par::enter(|| self.evaluate_batches(data, steps))
    }

    fn evaluate_batches(&mut self, data: &Dataset, steps: Option<usize>) -> Result<Logs> {
        self.reset_metrics();
        let (mut sum, mut seen) = (0.0, 0);
        for batch in data.iter().take(steps.unwrap_or(usize::MAX)) {
            let Sample { x, y, weight } = batch?;
            let x = self.accept(&x)?;
            let n = same_rows(&x, &y)?;
            let (loss, outputs) = self.losses(&x, &y, weight.as_ref(), &mut Cx::infer())?;
            sum += loss.item()? * n as f64;
            seen += n;
            self.observe(&y, &outputs)?;
        }
        if seen == 0 {
            return Err(Error::argument("dataset", "at least one batch with a row", "none"));
        }
        Ok(self.logs(sum / seen as f64))
    }

    /// Every output of the network for each row of a dataset's first pass, which must end; targets are not looked at.
    ///
    /// # Errors
    /// The dataset fails, has no batches or no end, or the data does not fit the network.
    pub fn predict_dataset(&self, data: &Dataset) -> Result<Vec<Tensor>> {
        steps(data, None, "predict")?;
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

/// How many batches will come: 0 if only the data's end will tell.
fn steps(data: &Dataset, steps: Option<usize>, name: &'static str) -> Result<usize> {
    match (steps, data.cardinality()) {
        (Some(0), _) => Err(Error::argument(name, "at least 1", 0)),
        (Some(steps), _) => Ok(steps),
        (None, Cardinality::Infinite) => {
            Err(Error::argument(name, "a number of batches, for the dataset has no end", "none"))
        }
        (None, Cardinality::Known(n)) => Ok(n),
        (None, _) => Ok(0),
    }
}

/// The batches of epoch after epoch.
struct Batches<'a> {
    data: &'a Dataset,
    /// The pass that comes next.
    number: u64,
    pass: Option<Pass>,
    steps: Option<usize>,
}

impl Batches<'_> {
    /// The batch of a step, numbered from 0 in its epoch; `None` ends the epoch.
    fn next(&mut self, step: usize) -> Option<Result<Sample>> {
        if self.steps == Some(step) {
            return None;
        }
        if let Some(pass) = &mut self.pass {
            match pass.next() {
                Some(batch) => return Some(batch),
                // The pass is over, and the epoch unless it goes by steps.
                None => self.pass = None,
            }
            self.steps?;
        }
        let mut pass = self.data.pass(self.number);
        self.number += 1;
        let first = pass.next();
        self.pass = Some(pass);
        first
    }
}
