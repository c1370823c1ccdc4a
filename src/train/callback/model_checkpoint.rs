//! `ModelCheckpoint`: saves the model, or its weights, while it is trained.

use super::template::fill;
use super::{Callback, Frequency, Mode, Monitor, Plan, say};
use crate::train::{Logs, Model};
use crate::{Error, Result};
use std::path::Path;

/// Saves the model, or its weights, after each epoch or so many batches; every time, or when a figure is the best so far (Keras's rule
/// and defaults).
///
/// The path is a template: `{epoch:02d}` and `{batch}` count from 1, and figures stand in it by name, as in `{val_loss:.2f}`. Folders are
/// made as needed. Each file is written whole or not at all, by [`Model::save`] or
/// [`Network::save_weights`](crate::nn::Network::save_weights).
///
/// ```
/// use gradus::prelude::*;
///
/// let folder = std::env::temp_dir().join(format!("gradus-checkpoints-{}", std::process::id()));
/// let mut model = Sequential::new().add(Input::new(1)).add(Dense::new(1)).compile("sgd", "mse", ())?;
/// let x = Tensor::ones([8, 1])?;
/// let every = ModelCheckpoint::new(folder.join("{epoch:02d}.gradus"));
/// let best = ModelCheckpoint::new(folder.join("best.gradus")).monitor("loss").save_best_only(true);
/// model.fit(&x, &x, Fit::new().epochs(3).callback(every).callback(best).verbose(0))?;
/// let second = Model::load(folder.join("02.gradus"))?;
/// # assert!(second.predict(&x).is_ok() && Model::load(folder.join("best.gradus")).is_ok());
/// # std::fs::remove_dir_all(&folder).unwrap();
/// # Ok::<(), gradus::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ModelCheckpoint {
    filepath: String,
    monitor: Monitor,
    verbose: u8,
    save_best_only: bool,
    save_weights_only: bool,
    save_freq: Frequency,
    threshold: Option<f64>,
    best: Option<f64>,
    epoch: usize,
    /// Batches since the last one after which it was saved.
    batches: usize,
}

const NAME: &str = "ModelCheckpoint";

impl ModelCheckpoint {
    /// Saves to this path, which ends in `.gradus`, after each epoch.
    pub fn new(filepath: impl AsRef<Path>) -> ModelCheckpoint {
        ModelCheckpoint {
            filepath: filepath.as_ref().display().to_string(),
            monitor: Monitor::new("val_loss"),
            verbose: 0,
            save_best_only: false,
            save_weights_only: false,
            save_freq: Frequency::Epoch,
            threshold: None,
            best: None,
            epoch: 0,
            batches: 0,
        }
    }

    /// The figure that says which model is the best, for [`ModelCheckpoint::save_best_only`]; `val_loss` by default.
    #[must_use]
    pub fn monitor(mut self, figure: &str) -> Self {
        self.monitor = self.monitor.of(figure);
        self
    }

    /// `"min"` or `"max"`: what is better; by default `"auto"`, what the model says of its figure.
    #[must_use]
    pub fn mode(mut self, mode: impl Into<Mode>) -> Self {
        self.monitor = self.monitor.mode(mode);
        self
    }

    /// Whether only a model is saved that is better than those before; no by default. An epoch without the figure, because it was not
    /// validated, saves nothing.
    #[must_use]
    pub fn save_best_only(mut self, only: bool) -> Self {
        self.save_best_only = only;
        self
    }

    /// Whether only parameters are saved, without layers and the optimizer's state; no by default.
    #[must_use]
    pub fn save_weights_only(mut self, only: bool) -> Self {
        self.save_weights_only = only;
        self
    }

    /// `"epoch"` (default), or a number of batches: `.save_freq(1000)`. They are counted through epochs.
    #[must_use]
    pub fn save_freq(mut self, frequency: impl Into<Frequency>) -> Self {
        self.save_freq = frequency.into();
        self
    }

    /// What the figure must beat for the first model to be saved, with [`ModelCheckpoint::save_best_only`].
    #[must_use]
    pub fn initial_value_threshold(mut self, threshold: f64) -> Self {
        self.threshold = Some(threshold);
        self
    }

    /// 1: a line on standard output about what was saved and why; 0 (default): nothing.
    #[must_use]
    pub fn verbose(mut self, verbose: u8) -> Self {
        self.verbose = verbose;
        self
    }

    /// The best figure so far, if there was one.
    pub fn best(&self) -> Option<f64> {
        self.best
    }

    fn check(&self, plan: &Plan) -> Result<()> {
        self.save_freq.check("save_freq")?;
        if !self.filepath.ends_with(".gradus") {
            return Err(Error::argument(
                "filepath",
                "a path that ends in .gradus",
                format!("'{}'", self.filepath),
            ));
        }
        if self.threshold.is_some_and(f64::is_nan) {
            return Err(Error::argument("initial_value_threshold", "a number", f64::NAN));
        }
        // What there will be when it is looked at: after a batch nothing of validation, and nothing that callbacks add.
        let mut logs = Logs::new();
        let at_batches = self.save_freq != Frequency::Epoch;
        let there =
            |name: &&String| !at_batches || (plan.directed.contains(name) && !name.starts_with("val_"));
        plan.figures.iter().filter(there).for_each(|name| logs.set(name, 0.0));
        if !plan.figures.is_empty() {
            fill(&self.filepath, 0, Some(0).filter(|_| at_batches), &logs)?;
        }
        Ok(())
    }

    fn said(&self, text: impl FnOnce() -> String) {
        say(self.verbose, || format!("\nEpoch {}: {}", self.epoch + 1, text()));
    }

    /// Whether a model with these figures is to be saved.
    fn wanted(&mut self, model: &Model, logs: &Logs, path: &str) -> Result<bool> {
        if !self.save_best_only {
            self.said(|| format!("saving model to {path}"));
            return Ok(true);
        }
        let Some(value) = self.monitor.value(NAME, model, logs)? else { return Ok(false) };
        let name = self.monitor.name();
        let best = self.best.map_or("None".into(), |best| format!("{best:.5}"));
        let better = self.monitor.improves(model, value, self.best);
        match better {
            true => {
                self.said(|| format!("{name} improved from {best} to {value:.5}, saving model to {path}"))
            }
            false => self.said(|| format!("{name} did not improve from {best}")),
        }
        self.best = if better { Some(value) } else { self.best };
        Ok(better)
    }

    fn save(&mut self, model: &Model, batch: Option<usize>, logs: &Logs) -> Result<()> {
        let path = fill(&self.filepath, self.epoch, batch, logs)?;
        if !self.wanted(model, logs, &path)? {
            return Ok(());
        }
        if let Some(folder) = Path::new(&path).parent().filter(|f| !f.as_os_str().is_empty()) {
            let failed = |source| Error::Io { path: folder.display().to_string(), source };
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        match self.save_weights_only {
            true => model.save_weights(&path)?,
            false => model.save(&path)?,
        }
        self.said(|| format!("finished saving model to {path}"));
        Ok(())
    }
}

impl Callback for ModelCheckpoint {
    fn on_train_begin(&mut self, _: &mut Model, plan: &Plan) -> Result<()> {
        self.check(plan).map_err(|e| e.at(NAME))?;
        if self.save_best_only {
            let at_batches = self.save_freq != Frequency::Epoch;
            let mut plan = plan.clone();
            plan.figures
                .retain(|name| !at_batches || (plan.directed.contains(name) && !name.starts_with("val_")));
            self.monitor.check(NAME, &plan)?;
        }
        (self.best, self.batches) = (self.threshold, 0);
        Ok(())
    }

    fn on_epoch_begin(&mut self, _: &mut Model, epoch: usize) -> Result<()> {
        self.epoch = epoch;
        Ok(())
    }

    fn on_train_batch_end(&mut self, model: &mut Model, batch: usize, _: f64) -> Result<()> {
        let Frequency::Batches(every) = self.save_freq else { return Ok(()) };
        self.batches += 1;
        if self.batches < every {
            return Ok(());
        }
        self.batches = 0;
        let logs = model.logs();
        self.save(model, Some(batch), &logs).map_err(|e| e.at(NAME))
    }

    fn on_epoch_end(&mut self, model: &mut Model, epoch: usize, logs: &mut Logs) -> Result<()> {
        self.epoch = epoch;
        match self.save_freq {
            Frequency::Epoch => self.save(model, None, logs).map_err(|e| e.at(NAME)),
            _ => Ok(()),
        }
    }
}
