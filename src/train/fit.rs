//! Why it exists: the training loop and its settings.

use super::callback::{Callback, Plan};
use super::data::{AsTensors, gather, rows, slice};
use super::history::{History, Logs};
use super::model::{Model, check_batch, same_rows};
use super::progress::Progress;
use crate::error::Context;
use crate::kernels::par::{self, Threads};
use crate::random::{Purpose, Stream};
use crate::tensor::Tensor;
use crate::{Error, Result};

/// The settings of a run of `fit`, with Keras's defaults.
#[must_use]
pub struct Fit<'a> {
    epochs: usize,
    batch_size: usize,
    shuffle: bool,
    verbose: u8,
    validation: Option<(Vec<Tensor>, Vec<Tensor>)>,
    validation_split: f64,
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
            batch_size: 32,
            shuffle: true,
            verbose: 1,
            validation: None,
            validation_split: 0.0,
            sample_weight: None,
            class_weight: Vec::new(),
            callbacks: Vec::new(),
            threads: None,
            allow_missing: false,
            check_finite: false,
        }
    }

    /// How often the data is gone through; 1 by default.
    pub fn epochs(mut self, epochs: usize) -> Self {
        self.epochs = epochs;
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

    /// The share of rows, taken from the end before any shuffling, that is validated on instead of trained on.
    pub fn validation_split(mut self, split: f64) -> Self {
        self.validation_split = split;
        self
    }

    /// How much each row counts: the loss of a batch is `Σ wᵢ·lᵢ / N`, as in Keras. One number for each row of `x`.
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
        let (x, y) = (self.accept(&x.as_tensors())?, y.as_tensors());
        let n = same_rows(&x, &y)?;
        check_batch(fit.batch_size, n)?;
        let split = fit.validation_split;
        if !(0.0..1.0).contains(&split) {
            return Err(Error::argument("validation_split", "0 <= split < 1", split));
        }
        let weights = self.weights(&mut fit, &y, n)?;
        let mut data = Data { x: x.to_vec(), y, weights, validation: None };
        if let Some((vx, vy)) = fit.validation.take() {
            let accepted = self.accept(&vx).and_then(|vx| {
                check_batch(fit.batch_size, same_rows(&vx, &vy)?)?;
                Ok(vx)
            });
            let vx = accepted.at(|| "validation_data")?;
            data.validation = Some((vx.to_vec(), vy));
        } else if split > 0.0 {
            let at = (n as f64 * (1.0 - split)) as usize;
            if at == 0 || at == n {
                let expected = format!("a share that leaves rows on both sides of {n}");
                return Err(Error::argument("validation_split", expected, split));
            }
            data.validation = Some((slice(&data.x, at, n)?.to_vec(), slice(&data.y, at, n)?.to_vec()));
            (data.x, data.y) = (slice(&data.x, 0, at)?.to_vec(), slice(&data.y, 0, at)?.to_vec());
            data.weights = slice(&data.weights, 0, at)?.to_vec();
        }
        match fit.verbose {
            0 => {}
            1 | 2 => fit.callbacks.insert(0, Box::new(Progress::new(fit.verbose))),
            v => return Err(Error::argument("verbose", "0, 1 or 2", v)),
        }
        self.stop_training = false;
        self.allow_missing = fit.allow_missing;
        match fit.threads {
            Some(threads) => threads.run(|| self.run(&data, &mut fit)),
            None => par::enter(|| self.run(&data, &mut fit)),
        }
    }

    /// The weight of each row, if any were asked for.
    fn weights(&self, fit: &mut Fit<'_>, y: &[Tensor], n: usize) -> Result<Vec<Tensor>> {
        let sample = fit.sample_weight.take();
        if fit.class_weight.is_empty() {
            if let Some(w) = &sample
                && w.dims().first() != Some(&n)
            {
                return Err(Error::argument(
                    "sample_weight",
                    format!("one weight for each of {n} rows"),
                    w.shape(),
                ));
            }
            return Ok(sample.into_iter().collect());
        }
        if sample.is_some() {
            return Err(Error::argument("class_weight", "either class_weight or sample_weight", "both"));
        }
        let [y] = y else {
            return Err(Error::argument("class_weight", "a network with one output", y.len()));
        };
        let labels = match y.dims() {
            [_] | [_, 1] => y.cast(crate::DType::I64)?,
            _ => y.scale(1.0)?.argmax(-1)?,
        };
        let weight = |c: &i64| fit.class_weight.iter().find(|(class, _)| class == c).map_or(1.0, |(_, w)| *w);
        let weights: Vec<f64> = labels.to_vec::<i64>()?.iter().map(weight).collect();
        Ok(vec![Tensor::from_slice(&weights, [n])?])
    }

    fn run(&mut self, data: &Data, fit: &mut Fit<'_>) -> Result<History> {
        let n = rows("x", &data.x)?;
        let plan = Plan { epochs: fit.epochs, steps: n.div_ceil(fit.batch_size) };
        let mut history = History::default();
        each(&mut fit.callbacks, |c| c.on_train_begin(self, plan))?;
        for epoch in 0..fit.epochs {
            each(&mut fit.callbacks, |c| c.on_epoch_begin(self, epoch))?;
            let mut logs = self.epoch(data, fit, n, epoch)?;
            each(&mut fit.callbacks, |c| c.on_epoch_end(self, epoch, &mut logs))?;
            history.push(epoch, &logs);
            if self.stop_training {
                break;
            }
        }
        each(&mut fit.callbacks, |c| c.on_train_end(self))?;
        Ok(history)
    }

    fn epoch(&mut self, data: &Data, fit: &mut Fit<'_>, n: usize, epoch: usize) -> Result<Logs> {
        let order = match fit.shuffle {
            true => Some(Tensor::from_slice(
                &Stream::new(self.seed, Purpose::Shuffle, self.epochs).permutation(n),
                [n],
            )?),
            false => None,
        };
        self.reset_metrics();
        let mut sum = 0.0;
        for (step, start) in (0..n).step_by(fit.batch_size).enumerate() {
            let end = (start + fit.batch_size).min(n);
            let (x, y, w) = match &order {
                Some(order) => {
                    let order = order.slice(0, start as isize, end as isize)?;
                    (gather(&data.x, &order)?, gather(&data.y, &order)?, gather(&data.weights, &order)?)
                }
                None => {
                    let cut = |t: &[Tensor]| slice(t, start, end);
                    (cut(&data.x)?, cut(&data.y)?, cut(&data.weights)?)
                }
            };
            let loss = self.train_step(&x, &y, w.first())?;
            if fit.check_finite && !loss.is_finite() {
                let (epoch, step) = (epoch + 1, step + 1);
                return Err(Error::NotFinite { what: "loss".into(), value: loss, epoch, step });
            }
            sum += loss * (end - start) as f64;
            let mean = sum / end as f64;
            each(&mut fit.callbacks, |c| c.on_batch_end(self, step, mean))?;
        }
        self.epochs += 1;
        let mut logs = self.logs(sum / n as f64);
        if let Some((x, y)) = &data.validation {
            for (name, value) in self.evaluate_accepted(x, y, fit.batch_size)?.iter() {
                logs.set(&format!("val_{name}"), value);
            }
        }
        Ok(logs)
    }
}

/// What an epoch goes through.
struct Data {
    x: Vec<Tensor>,
    y: Vec<Tensor>,
    /// One weight for each row, or nothing.
    weights: Vec<Tensor>,
    validation: Option<(Vec<Tensor>, Vec<Tensor>)>,
}

fn each<'a>(
    callbacks: &mut [Box<dyn Callback + 'a>],
    mut f: impl FnMut(&mut (dyn Callback + 'a)) -> Result<()>,
) -> Result<()> {
    callbacks.iter_mut().try_for_each(|c| f(&mut **c))
}
