//! The training loop: [`Model::fit`], [`Model::fit_dataset`] and what one epoch does.

use super::batches::Batches;
use super::callback::{Callback as _, Plan, ProgbarLogger};
use super::data::{Arrays, Source, some_rows};
use super::failed::FitError;
use super::fit::Fit;
use super::history::{History, Logs};
use super::model::Model;
use super::weights::{Weights, check_any_counts, check_classes};
use crate::data::Dataset;
use crate::error::Context;
use crate::event::event;
use crate::kernels::par;
use crate::tensor::{AsTensors, Tensor, Tensors};
use crate::{CancellationToken, Error, Result};

impl Model {
    /// Trains on the rows of `x` with targets `y` (one tensor each, or as many as the network has inputs and
    /// outputs).
    ///
    /// The order of rows, dropout and the like depend on the model's seed and on how far it has been trained: two
    /// calls of one epoch are the same as one call of two.
    ///
    /// # Errors
    /// The data does not fit, a setting is out of range, a trainable parameter got no gradient, or a callback failed. The
    /// model keeps the parameters of the last complete step, and the error has the figures of the epochs before it.
    pub fn fit(
        &mut self,
        x: &(impl AsTensors + ?Sized),
        y: &(impl AsTensors + ?Sized),
        fit: Fit<'_>,
    ) -> Result<History, FitError> {
        let (x, y) = (x.as_tensors(), y.as_tensors());
        self.with_history(|model| model.fit_rows(&x, y, fit))
    }

    /// Runs a `fit` whose history stands in the model at its end, whatever comes.
    fn with_history(&mut self, run: impl FnOnce(&mut Model) -> Result<()>) -> Result<History, FitError> {
        self.history = History::default();
        let result = run(self);
        let history = self.history.clone();
        match result {
            Ok(()) => Ok(history),
            Err(error) => Err(FitError { error, history: Box::new(history) }),
        }
    }

    fn fit_rows(&mut self, x: &[Tensor], y: Tensors, mut fit: Fit<'_>) -> Result<()> {
        let class = Some(std::mem::take(&mut fit.class_weight)).filter(|w| !w.is_empty());
        let weights = match (fit.sample_weight.take(), class, fit.class_weight_balanced) {
            (Some(_), Some(_), _) | (Some(_), None, true) => {
                return Err(Error::argument("class_weight", "either class_weight or sample_weight", "both"));
            }
            (None, Some(_), true) => {
                let expected = "either class_weight or class_weight_balanced";
                return Err(Error::argument("class_weight", expected, "both"));
            }
            (Some(sample), None, false) => Some(Weights::Sample(sample)),
            (None, Some(class), false) => Some(Weights::Class(class)),
            (None, None, true) => Some(Weights::Balanced),
            (None, None, false) => None,
        };
        fit.check()?;
        if let Some(Weights::Class(classes)) = &weights {
            check_classes(classes, &self.network.output_specs())?;
        }
        if let Some(Weights::Sample(weights)) = &weights {
            check_any_counts(weights)?;
        }
        let mut data = Arrays::of(&self.network, x, y, weights.as_ref(), fit.batch_size.unwrap_or(32))?;
        let n = data.rows();
        let split = fit.validation_split;
        if !(0.0..1.0).contains(&split) {
            return Err(Error::argument("validation_split", "0 <= split < 1", split));
        }
        let mut validation = self.validation(&mut fit)?;
        if validation.is_none() && split > 0.0 {
            let at = whole(n as f64 * (1.0 - split));
            if at == 0 || at == n {
                let expected = format!("a share that leaves rows on both sides of {n}");
                return Err(Error::argument("validation_split", expected, split));
            }
            let mut held = data.part(at, n)?;
            // Class weights apply only in training.
            held.weights = held.weights.filter(|_| matches!(weights, Some(Weights::Sample(_))));
            held.batch_size = fit.validation_rows(n - at).min(n - at);
            validation = Some(Box::new(held));
            data = data.part(0, at)?;
            if let Some(balanced @ Weights::Balanced) = &weights {
                let ranks: Vec<usize> = self.network.output_specs().iter().map(|s| s.shape.rank()).collect();
                data.weights = Some(balanced.of_rows(&data.y, at, &ranks)?);
            }
        }
        data.batch_size = fit.rows(data.rows()).min(data.rows());
        data.shuffle = fit.shuffle.unwrap_or(true);
        self.drive(&mut data, validation, fit)
    }

    /// Trains on the batches of a dataset, which has its own batch size and order: the settings of `fit` about rows
    /// (`batch_size`, `shuffle`, `sample_weight`, `class_weight`, `validation_split`) are errors here. Use
    /// `Fit::validation_dataset` to validate on a dataset.
    ///
    /// Without `steps_per_epoch`, an epoch is one pass, numbered by the epochs that the model was trained for
    /// before: two calls of one epoch are the same as one call of two. With it, a new pass follows when one ends.
    ///
    /// # Errors
    /// The dataset fails (the message names the sample), has no batches or no end, it and the dataset to validate on are parts of one
    /// shuffled dataset, the data does not fit, a setting is out of
    /// range, a trainable parameter got no gradient, or a callback failed. The model keeps the parameters of the last
    /// complete step, and the error has the figures of the epochs before it.
    pub fn fit_dataset(&mut self, data: &Dataset, fit: Fit<'_>) -> Result<History, FitError> {
        self.with_history(|model| model.fit_batches(data, fit))
    }

    fn fit_batches(&mut self, data: &Dataset, mut fit: Fit<'_>) -> Result<()> {
        let whole = data;
        let mut data = Batches::new(data, fit.steps_per_epoch, "steps_per_epoch")?;
        data.endless = fit.steps_per_epoch.is_some();
        fit.check()?;
        let rows = [
            ("batch_size", fit.batch_size.is_some(), "the dataset makes its batches itself: .batch(…)"),
            ("shuffle", fit.shuffle.is_some(), "the dataset has its own order: .shuffle(…) before .batch(…)"),
            ("sample_weight", fit.sample_weight.is_some(), "the dataset's samples have weights of their own"),
            (
                "class_weight",
                !fit.class_weight.is_empty() || fit.class_weight_balanced,
                "the dataset's samples have weights of their own",
            ),
            ("validation_split", fit.validation_split != 0.0, "the dataset is split by itself: .split(…)"),
        ];
        if let Some((name, _, why)) = rows.into_iter().find(|(_, set, _)| *set) {
            return Err(Error::argument(name, format!("no value beside a dataset ({why})"), "a value"));
        }
        if let Some(validation) = &fit.validation_dataset {
            whole.check_apart(validation)?;
        }
        let validation = self.validation(&mut fit)?;
        self.drive(&mut data, validation, fit)
    }

    /// Returns what to validate on: tensors, or a dataset.
    fn validation(&self, fit: &mut Fit<'_>) -> Result<Option<Box<dyn Source>>> {
        if let Some((x, y)) = fit.validation.take() {
            let n = x.first().and_then(|x| x.dims().first()).copied().unwrap_or(0);
            let batch_size = fit.validation_rows(n);
            let arrays = Arrays::of(&self.network, &x, y, None, batch_size).at(|| "validation_data")?;
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
    ) -> Result<()> {
        match fit.verbose {
            0 => {}
            1 | 2 if fit.callbacks.shows_progress() => {}
            1 | 2 => fit.callbacks.first(ProgbarLogger::new().verbose(fit.verbose)),
            v => return Err(Error::argument("verbose", "0, 1 or 2", v)),
        }
        self.stop_training = false;
        self.session.reset();
        (self.allow_missing, self.check_finite) = (fit.allow_missing, fit.check_finite);
        let threads = fit.threads;
        let run = || self.run(data, validation, &mut fit);
        let result = match threads {
            Some(threads) => threads.run(run),
            None => par::enter(run),
        };
        (self.allow_missing, self.check_finite) = (false, false);
        self.use_averages(false);
        result
    }

    fn run(
        &mut self,
        data: &mut dyn Source,
        mut validation: Option<Box<dyn Source>>,
        fit: &mut Fit<'_>,
    ) -> Result<()> {
        let mut figures = self.head.figures();
        if validation.is_some() {
            figures.extend(self.head.figures().iter().map(|name| format!("val_{name}")));
        }
        let directed = figures.clone();
        figures.extend(fit.callbacks.figures());
        let steps = match (fit.steps_per_epoch, data.steps()) {
            (Some(wanted), Some(there)) => Some(wanted.min(there)),
            (wanted, there) => wanted.or(there),
        };
        let plan = Plan { epochs: fit.epochs, steps, figures, directed };
        let mut so_far = SoFar { open: false, finite: true };
        event!(
            info,
            "fit: epochs {} to {}, steps in each: {}",
            fit.initial_epoch + 1,
            fit.epochs,
            told(steps)
        );
        fit.callbacks.on_train_begin(self, &plan)?;
        for epoch in fit.initial_epoch..fit.epochs {
            fit.callbacks.on_epoch_begin(self, epoch)?;
            let mut logs = self.epoch(data, &mut so_far, fit, epoch)?;
            if let Some(validation) = &mut validation
                && (epoch + 1).is_multiple_of(fit.validation_freq)
            {
                let (steps, token) = (fit.validation_steps, fit.cancellation.as_ref());
                let figures = self.evaluate_called(&mut **validation, steps, token, &mut fit.callbacks);
                let figures = figures.at(|| "validation")?;
                figures.iter().for_each(|(name, value)| logs.set(&format!("val_{name}"), value));
            }
            fit.callbacks.on_epoch_end(self, epoch, &mut logs)?;
            event!(info, "epoch {}/{}: {logs}", epoch + 1, fit.epochs);
            self.history.push(epoch, &logs);
            if self.stop_training {
                break;
            }
        }
        if fit.initial_epoch < fit.epochs {
            self.finalize();
        }
        fit.callbacks.on_train_end(self)
    }

    /// One epoch.
    fn epoch(
        &mut self,
        data: &mut dyn Source,
        so_far: &mut SoFar,
        fit: &mut Fit<'_>,
        epoch: usize,
    ) -> Result<Logs> {
        self.meter.reset();
        let (mut sum, mut rows, mut step) = (0.0, 0, 0);
        while fit.steps_per_epoch.is_none_or(|steps| step < steps) {
            let mut next = if so_far.open { data.next(&self.network)? } else { None };
            if next.is_none() && step == 0 {
                data.begin(self.seed, self.epochs)?;
                so_far.open = true;
                next = data.next(&self.network)?;
            }
            let Some(mut batch) = next else { break };
            batch.is_first = step == 0 && epoch == fit.initial_epoch;
            CancellationToken::check(fit.cancellation.as_ref(), "fit", || {
                format!("{epoch} epochs and {step} steps of the next")
            })?;
            fit.callbacks.on_train_batch_begin(self, step)?;
            let loss = self.train_step(&batch).map_err(|e| e.in_step(epoch + 1, step + 1))?;
            if !loss.is_finite() && so_far.finite {
                event!(warn, "the loss is {loss} at epoch {}, step {}", epoch + 1, step + 1);
                so_far.finite = false;
            }
            sum += loss * batch.rows() as f64;
            rows += batch.rows();
            self.meter.loss = sum / rows as f64;
            fit.callbacks.on_train_batch_end(self, step, self.meter.loss)?;
            step += 1;
            if self.stop_training {
                break;
            }
        }
        some_rows(rows)?;
        so_far.open &= fit.steps_per_epoch.is_some();
        self.epochs += 1;
        Ok(self.logs())
    }
}

/// What one epoch leaves to the next.
struct SoFar {
    /// Whether a pass over the data has begun and goes on.
    open: bool,
    /// Whether every loss was finite: that one is not is told once.
    finite: bool,
}

/// The whole rows of a product, which rounding may have left a little below the number meant: `10 · (1 - 0.9)` are 1.
fn whole(rows: f64) -> usize {
    let near = rows.round_ties_even();
    if (rows - near).abs() <= 1e-12 * near { near as usize } else { rows as usize }
}

/// A number of steps, in words.
fn told(steps: Option<usize>) -> String {
    steps.map_or("not known".into(), |steps| steps.to_string())
}
