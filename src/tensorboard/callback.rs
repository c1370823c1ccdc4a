//! The callback `TensorBoard`: writes scalars, histograms and the graph of operations for TensorBoard while `fit` runs.

use super::EventFile;
use super::graph::of_network;
use crate::event::event;
use crate::train::{Callback, Frequency, Logs, Model, Plan};
use crate::{Error, Result, clock};
use std::path::PathBuf;
use std::time::Instant;

/// Writes what TensorBoard shows, in Keras's folders and under Keras's tags:
///
/// - `train`: `epoch_loss`, `epoch_…` of each metric and `epoch_learning_rate` after each epoch; with
///   [`TensorBoard::update_freq`] `batch_loss` and so on; the graph of operations; histograms of weights, if asked for.
/// - `validation`: `epoch_loss` and so on of validation, and `evaluation_loss_vs_iterations` after each evaluation.
///
/// `tensorboard --logdir logs` shows them.
///
/// ```
/// use gradus::prelude::*;
///
/// let folder = std::env::temp_dir().join(format!("gradus-logs-{}", std::process::id()));
/// let mut model = Sequential::new().add(Input::new(1)).add(Dense::new(1)).compile("sgd", "mse", ())?;
/// let x = Tensor::ones([8, 1])?;
/// let board = TensorBoard::new(&folder).histogram_freq(1);
/// model.fit(&x, &x, Fit::new().epochs(2).validation_split(0.5).callback(board).verbose(0))?;
/// assert_eq!(std::fs::read_dir(folder.join("train")).unwrap().count(), 1);
/// # std::fs::remove_dir_all(&folder).unwrap();
/// # Ok::<(), gradus::Error>(())
/// ```
#[derive(Debug)]
pub struct TensorBoard {
    log_dir: PathBuf,
    histogram_freq: Option<usize>,
    write_graph: bool,
    write_steps_per_second: bool,
    update_freq: Frequency,
    train: Option<EventFile>,
    validation: Option<EventFile>,
    /// Training steps since training began.
    batch: i64,
    batch_began: Option<Instant>,
    epoch_began: Option<Instant>,
    /// Training steps before this epoch.
    before: i64,
}

const NAME: &str = "TensorBoard";

impl TensorBoard {
    /// Writes below this folder (Keras's default is `logs`). Runs that should be compared need folders of their own.
    pub fn new(log_dir: impl Into<PathBuf>) -> TensorBoard {
        TensorBoard {
            log_dir: log_dir.into(),
            histogram_freq: None,
            write_graph: true,
            write_steps_per_second: false,
            update_freq: Frequency::Epoch,
            train: None,
            validation: None,
            batch: 0,
            batch_began: None,
            epoch_began: None,
            before: 0,
        }
    }

    /// Writes histograms of all weights after every so many epochs; 0, the default, writes none.
    #[must_use]
    pub fn histogram_freq(mut self, epochs: usize) -> Self {
        self.histogram_freq = Some(epochs).filter(|epochs| *epochs > 0);
        self
    }

    /// Whether the network's graph of operations is written when training begins; yes by default. There is none of a network that
    /// cannot be captured.
    #[must_use]
    pub fn write_graph(mut self, write: bool) -> Self {
        self.write_graph = write;
        self
    }

    /// Whether speed is written, as `epoch_steps_per_second` and, where figures of batches are, `batch_steps_per_second`; no by default.
    #[must_use]
    pub fn write_steps_per_second(mut self, write: bool) -> Self {
        self.write_steps_per_second = write;
        self
    }

    /// `"epoch"` (default); `"batch"`, or a number of batches after which figures are written besides.
    #[must_use]
    pub fn update_freq(mut self, frequency: impl Into<Frequency>) -> Self {
        self.update_freq = frequency.into();
        self
    }

    fn train(&mut self) -> Result<&mut EventFile> {
        opened(&mut self.train, || EventFile::create(self.log_dir.join("train")))
    }

    fn validation(&mut self) -> Result<&mut EventFile> {
        opened(&mut self.validation, || EventFile::create(self.log_dir.join("validation")))
    }

    fn epoch(&mut self, model: &Model, epoch: usize, logs: &Logs) -> Result<()> {
        let step = epoch as i64;
        let mut logs = logs.clone();
        logs.set("learning_rate", model.learning_rate());
        if let (true, Some(began)) = (self.write_steps_per_second, self.epoch_began) {
            logs.set("steps_per_second", per_second((self.batch - self.before) as f64, began));
        }
        for (name, value) in logs.iter() {
            let (file, name) = match name.strip_prefix("val_") {
                Some(name) => (self.validation()?, name),
                None => (self.train()?, name),
            };
            file.scalar(&format!("epoch_{name}"), value, step)?;
        }
        if self.histogram_freq.is_some_and(|epochs| epoch.is_multiple_of(epochs)) {
            for (path, value) in model.params() {
                self.train()?.histogram(&format!("{path}/histogram"), &value, step)?;
            }
        }
        self.flush()
    }

    fn flush(&mut self) -> Result<()> {
        [&mut self.train, &mut self.validation].into_iter().flatten().try_for_each(EventFile::flush)
    }
}

/// The file that is there, or one that is made now: a run without figures has none.
fn opened(
    file: &mut Option<EventFile>,
    create: impl FnOnce() -> Result<EventFile>,
) -> Result<&mut EventFile> {
    Ok(match file {
        Some(file) => file,
        None => file.insert(create()?),
    })
}

fn per_second(steps: f64, began: Instant) -> f64 {
    steps / began.elapsed().as_secs_f64().max(f64::MIN_POSITIVE)
}

impl Callback for TensorBoard {
    fn on_train_begin(&mut self, model: &mut Model, _: &Plan) -> Result<()> {
        self.update_freq.check("update_freq").map_err(|e| e.at(NAME))?;
        (self.train, self.validation, self.batch) = (None, None, 0);
        if !self.write_graph {
            return Ok(());
        }
        match of_network(model.network()) {
            Ok(graph) => self.train().and_then(|train| train.graph(&graph)).map_err(|e| e.at(NAME)),
            Err(e) => {
                event!(warn, "TensorBoard gets no graph of '{}': {e}", model.name());
                let _: Error = e;
                Ok(())
            }
        }
    }

    fn on_epoch_begin(&mut self, _: &mut Model, _: usize) -> Result<()> {
        (self.epoch_began, self.before) = (clock::now(), self.batch);
        Ok(())
    }

    fn on_train_batch_begin(&mut self, _: &mut Model, _: usize) -> Result<()> {
        self.batch += 1;
        if self.write_steps_per_second {
            self.batch_began = clock::now();
        }
        Ok(())
    }

    fn on_train_batch_end(&mut self, model: &mut Model, _: usize, _: f64) -> Result<()> {
        let step = self.batch;
        match self.update_freq {
            Frequency::Batches(every) if step % every as i64 == 0 => {}
            _ => return Ok(()),
        }
        let mut logs = model.logs();
        if let Some(began) = self.batch_began {
            logs.set("steps_per_second", per_second(1.0, began));
        }
        let train = self.train().map_err(|e| e.at(NAME))?;
        logs.iter().try_for_each(|(name, value)| train.scalar(&format!("batch_{name}"), value, step))
    }

    fn on_epoch_end(&mut self, model: &mut Model, epoch: usize, logs: &mut Logs) -> Result<()> {
        self.epoch(model, epoch, logs).map_err(|e| e.at(NAME))
    }

    fn on_test_end(&mut self, model: &mut Model, logs: &Logs) -> Result<()> {
        let step = model.optimizer().iterations() as i64;
        let file = self.validation().map_err(|e| e.at(NAME))?;
        for (name, value) in logs.iter() {
            file.scalar(&format!("evaluation_{name}_vs_iterations"), value, step)?;
        }
        file.flush()
    }

    fn on_train_end(&mut self, _: &mut Model) -> Result<()> {
        self.flush()?;
        (self.train, self.validation) = (None, None);
        Ok(())
    }
}
