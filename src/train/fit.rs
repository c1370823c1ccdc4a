//! Why it exists: the training loop and its settings.

use super::callback::{Callback, Plan};
use super::data::{AsTensors, Source, Tensors};
use super::dataset::Batches;
use super::history::{History, Logs};
use super::model::{Model, some_rows};
use super::progress::Progress;
use super::weights::Weights;
use crate::data::Dataset;
use crate::error::Context;
use crate::kernels::par::{self, Threads};
use crate::tensor::Tensor;
use crate::{Error, Result};

/// The settings of a run of `fit`, with Keras's defaults.
#[must_use]
pub struct Fit<'a> {
    epochs: usize,
    initial_epoch: usize,
    steps_per_epoch: Option<usize>,
    batch_size: usize,
    shuffle: bool,
    verbose: u8,
    validation: Option<(Tensors, Tensors)>,
    validation_dataset: Option<Dataset>,
    validation_split: f64,
    validation_freq: usize,
    validation_steps: Option<usize>,
    validation_batch_size: Option<usize>,
    sample_weight: Option<Tensor>,
    class_weight: Vec<(i64, f64)>,
    callbacks: Vec<Box<dyn Callback + 'a>>,
    threads: Option<&'a Threads>,
    allow_missing: bool,
    check_finite: bool,
}

impl Default for Fit<'_> {
    fn default() -> Self {
        Fit::new()
    }
}

impl<'a> Fit<'a> {
    /// One epoch in batches of 32, shuffled, with a progress bar.
    pub fn new() -> Fit<'a> {
        Fit {
            epochs: 1,
            initial_epoch: 0,
            steps_per_epoch: None,
            batch_size: 32,
            shuffle: true,
            verbose: 1,
            validation: None,
            validation_dataset: None,
            validation_split: 0.0,
            validation_freq: 1,
            validation_steps: None,
            validation_batch_size: None,
            sample_weight: None,
            class_weight: Vec::new(),
            callbacks: Vec::new(),
            threads: None,
            allow_missing: false,
            check_finite: false,
        }
    }

    /// The epoch after the last one: how often the data is gone through, if training begins with the first. 1 by default.
    pub fn epochs(mut self, epochs: usize) -> Self {
        self.epochs = epochs;
        self
    }

    /// The number of the first epoch, to go on with an earlier run; 0 by default.
    pub fn initial_epoch(mut self, epoch: usize) -> Self {
        self.initial_epoch = epoch;
        self
    }

    /// Batches in an epoch; all by default. The next epoch goes on where the last one stopped; an epoch also ends when the data
    /// does.
    pub fn steps_per_epoch(mut self, steps: usize) -> Self {
        self.steps_per_epoch = Some(steps);
        self
    }

    /// Rows in a batch, 32 by default. The last batch of an epoch may have fewer.
    pub fn batch_size(mut self, batch_size: usize) -> Self {
        self.batch_size = batch_size;
        self
    }

    /// Whether rows come in a new random order each epoch; yes by default.
    pub fn shuffle(mut self, shuffle: bool) -> Self {
        self.shuffle = shuffle;
        self
    }

    /// What is printed: 0 nothing; 1 (default) a bar on a terminal, else as 2; 2 a line an epoch.
    pub fn verbose(mut self, verbose: u8) -> Self {
        self.verbose = verbose;
        self
    }

    /// Data on which the model is evaluated after each epoch.
    pub fn validation_data(mut self, x: &(impl AsTensors + ?Sized), y: &(impl AsTensors + ?Sized)) -> Self {
        self.validation = Some((x.as_tensors(), y.as_tensors()));
        self
    }

    /// Batches on which the model is evaluated after each epoch, each time from the first.
    pub fn validation_dataset(mut self, data: &Dataset) -> Self {
        self.validation_dataset = Some(data.clone());
        self
    }

    pub(crate) fn steps(&self) -> Option<usize> {
        self.steps_per_epoch
    }

    /// The share of rows, taken from the end before any shuffling, that is validated on instead of trained on.
    pub fn validation_split(mut self, split: f64) -> Self {
        self.validation_split = split;
        self
    }

    /// Validates after every so many epochs; 1 by default.
    pub fn validation_freq(mut self, epochs: usize) -> Self {
        self.validation_freq = epochs;
        self
    }

    /// How many batches are validated on; all by default.
    pub fn validation_steps(mut self, steps: usize) -> Self {
        self.validation_steps = Some(steps);
        self
    }

    /// Rows in a batch of validation; those of training by default.
    pub fn validation_batch_size(mut self, batch_size: usize) -> Self {
        self.validation_batch_size = Some(batch_size);
        self
    }

    /// How much each row counts: the loss of a batch is `Σ wᵢ·lᵢ / N`, as in Keras. One number for each row of `x`,
    /// or for each position, `[rows, time]`. Rows split off for validation keep theirs.
    pub fn sample_weight(mut self, weights: &Tensor) -> Self {
        self.sample_weight = Some(weights.clone());
        self
    }

    /// How much the rows of each class count; 1 for classes not named. Targets are labels or one-hot.
    pub fn class_weight(mut self, weights: impl Into<Vec<(i64, f64)>>) -> Self {
        self.class_weight = weights.into();
        self
    }

    /// Adds a callback. Pass `&mut callback` to read it afterwards.
    pub fn callback(mut self, callback: impl Callback + 'a) -> Self {
        self.callbacks.push(Box::new(callback));
        self
    }

    /// Runs on these threads rather than on the pool of the caller.
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

    /// Counts that must not be 0.
    fn check(&self) -> Result<()> {
        let counts = [
            ("validation_freq", Some(self.validation_freq)),
            ("validation_steps", self.validation_steps),
            ("validation_batch_size", self.validation_batch_size),
            ("steps_per_epoch", self.steps_per_epoch),
        ];
        match counts.into_iter().find(|(_, count)| *count == Some(0)) {
            Some((name, _)) => Err(Error::argument(name, "at least 1", 0)),
            None => Ok(()),
        }
    }
}

impl Model {
    /// Trains on rows of `x` with targets `y` (one tensor each, or as many as the network has inputs and outputs).
    ///
    /// The order of rows, dropout and the like depend on the model's seed and on how far it has been trained: two calls of
    /// one epoch are one call of two.
    ///
    /// # Errors
    /// The data does not fit, a setting is out of range, a trainable parameter got no gradient, or a callback failed. The
    /// model keeps the parameters of the last complete step.
    pub fn fit(
        &mut self,
        x: &(impl AsTensors + ?Sized),
        y: &(impl AsTensors + ?Sized),
        mut fit: Fit<'_>,
    ) -> Result<History> {
        let class = Some(std::mem::take(&mut fit.class_weight)).filter(|w| !w.is_empty());
        let weights = match (fit.sample_weight.take(), class) {
            (Some(_), Some(_)) => {
                return Err(Error::argument("class_weight", "either class_weight or sample_weight", "both"));
            }
            (Some(sample), None) => Some(Weights::Sample(sample)),
            (None, Some(class)) => Some(Weights::Class(class)),
            (None, None) => None,
        };
        fit.check()?;
        let mut data = self.arrays(&x.as_tensors(), y.as_tensors(), weights.as_ref(), fit.batch_size)?;
        let n = data.rows();
        let split = fit.validation_split;
        if !(0.0..1.0).contains(&split) {
            return Err(Error::argument("validation_split", "0 <= split < 1", split));
        }
        let mut validation = self.validation(&mut fit)?;
        if validation.is_none() && split > 0.0 {
            let at = (n as f64 * (1.0 - split)) as usize;
            if at == 0 || at == n {
                let expected = format!("a share that leaves rows on both sides of {n}");
                return Err(Error::argument("validation_split", expected, split));
            }
            let mut held = data.part(at, n)?;
            // Classes count in training alone.
            held.weights = held.weights.filter(|_| matches!(weights, Some(Weights::Sample(_))));
            held.batch_size = fit.validation_batch_size.unwrap_or(held.batch_size);
            validation = Some(Box::new(held));
            data = data.part(0, at)?;
        }
        data.shuffle = fit.shuffle;
        self.drive(&mut data, validation, fit)
    }

    /// [`Model::fit`] on batches that come from somewhere else.
    pub(crate) fn fit_source(&mut self, data: &mut dyn Source, mut fit: Fit<'_>) -> Result<History> {
        fit.check()?;
        let rows = [
            ("sample_weight", fit.sample_weight.is_some()),
            ("class_weight", !fit.class_weight.is_empty()),
            ("validation_split", fit.validation_split != 0.0),
        ];
        if let Some((name, _)) = rows.into_iter().find(|(_, set)| *set) {
            return Err(Error::argument(name, "nothing, for a dataset decides on its own rows", "a value"));
        }
        let validation = self.validation(&mut fit)?;
        self.drive(data, validation, fit)
    }

    /// What was given to validate on: tensors, or a dataset.
    fn validation(&self, fit: &mut Fit<'_>) -> Result<Option<Box<dyn Source>>> {
        if let Some((x, y)) = fit.validation.take() {
            let batch_size = fit.validation_batch_size.unwrap_or(fit.batch_size);
            let arrays = self.arrays(&x, y, None, batch_size).at(|| "validation_data")?;
            return Ok(Some(Box::new(arrays)));
        }
        let Some(data) = fit.validation_dataset.take() else { return Ok(None) };
        Ok(Some(Box::new(Batches::new(&data, fit.validation_steps, "validation_steps")?)))
    }

    fn drive(
        &mut self,
        data: &mut dyn Source,
        validation: Option<Box<dyn Source>>,
        mut fit: Fit<'_>,
    ) -> Result<History> {
        match fit.verbose {
            0 => {}
            1 | 2 => fit.callbacks.insert(0, Box::new(Progress::new(fit.verbose))),
            v => return Err(Error::argument("verbose", "0, 1 or 2", v)),
        }
        self.stop_training = false;
        self.allow_missing = fit.allow_missing;
        let threads = fit.threads;
        let run = || self.run(data, validation, &mut fit);
        match threads {
            Some(threads) => threads.run(run),
            None => par::enter(run),
        }
    }

    fn run(
        &mut self,
        data: &mut dyn Source,
        mut validation: Option<Box<dyn Source>>,
        fit: &mut Fit<'_>,
    ) -> Result<History> {
        let mut figures = self.head.figures();
        if validation.is_some() {
            figures.extend(self.head.figures().iter().map(|name| format!("val_{name}")));
        }
        figures.extend(fit.callbacks.iter().flat_map(|c| c.figures()));
        let steps = fit.steps_per_epoch.or(data.steps()).unwrap_or(0);
        let plan = Plan { epochs: fit.epochs, steps, figures };
        let mut history = History::default();
        let mut open = false;
        each(&mut fit.callbacks, |c| c.on_train_begin(self, &plan))?;
        for epoch in fit.initial_epoch..fit.epochs {
            each(&mut fit.callbacks, |c| c.on_epoch_begin(self, epoch))?;
            let mut logs = self.epoch(data, &mut open, fit, epoch)?;
            if let Some(validation) = &mut validation
                && (epoch + 1).is_multiple_of(fit.validation_freq)
            {
                let place = || "validation";
                for (name, value) in
                    self.evaluate_source(&mut **validation, fit.validation_steps).at(place)?.iter()
                {
                    logs.set(&format!("val_{name}"), value);
                }
            }
            each(&mut fit.callbacks, |c| c.on_epoch_end(self, epoch, &mut logs))?;
            history.push(epoch, &logs);
            if self.stop_training {
                break;
            }
        }
        if fit.initial_epoch < fit.epochs {
            self.finalize()?;
        }
        each(&mut fit.callbacks, |c| c.on_train_end(self))?;
        Ok(history)
    }

    /// One epoch. `open` says whether a pass over the data has begun in an earlier one and goes on.
    fn epoch(
        &mut self,
        data: &mut dyn Source,
        open: &mut bool,
        fit: &mut Fit<'_>,
        epoch: usize,
    ) -> Result<Logs> {
        self.head.reset();
        let (mut sum, mut rows, mut step) = (0.0, 0, 0);
        while fit.steps_per_epoch.is_none_or(|steps| step < steps) {
            let mut next = if *open { data.next(self)? } else { None };
            if next.is_none() && step == 0 {
                data.begin(self.seed, self.epochs)?;
                *open = true;
                next = data.next(self)?;
            }
            let Some(batch) = next else { break };
            let loss = self.train_step(&batch)?;
            if fit.check_finite && !loss.is_finite() {
                let (epoch, step) = (epoch + 1, step + 1);
                return Err(Error::NotFinite { what: "loss".into(), value: loss, epoch, step });
            }
            sum += loss * batch.rows() as f64;
            rows += batch.rows();
            each(&mut fit.callbacks, |c| c.on_batch_end(self, step, sum / rows as f64))?;
            step += 1;
            if self.stop_training {
                break;
            }
        }
        some_rows(rows)?;
        *open &= fit.steps_per_epoch.is_some();
        self.epochs += 1;
        Ok(self.head.logs(sum / rows as f64))
    }
}

fn each<'a>(
    callbacks: &mut [Box<dyn Callback + 'a>],
    mut f: impl FnMut(&mut (dyn Callback + 'a)) -> Result<()>,
) -> Result<()> {
    callbacks.iter_mut().try_for_each(|c| f(&mut **c))
}
