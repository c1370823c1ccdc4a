//! `Fit`: the settings of a training run.

use super::callback::{Callback, CallbackList};
use crate::data::Dataset;
use crate::kernels::par::Threads;
use crate::tensor::{AsTensors, Tensor, Tensors};
use crate::{CancellationToken, Error, Result};

/// The settings of a run of `fit`, with Keras's defaults.
///
/// ```
/// use gradus::prelude::*;
///
/// let mut model = Sequential::new().add(Input::new(2)).add(Dense::new(1)).compile("adam", "mse", ())?;
/// let (x, y) = (Tensor::rand([100, 2], 0)?, Tensor::rand([100, 1], 1)?);
/// let settings = Fit::new()
///     .epochs(20)
///     .batch_size(10)
///     .validation_split(0.2)
///     .callback(EarlyStopping::new("val_loss").patience(2))
///     .verbose(0);
/// let history = model.fit(&x, &y, settings)?;
/// assert!(history["val_loss"].len() <= 20);
/// # Ok::<(), gradus::Error>(())
/// ```
#[must_use]
pub struct Fit<'a> {
    pub(super) epochs: usize,
    pub(super) initial_epoch: usize,
    pub(super) steps_per_epoch: Option<usize>,
    pub(super) batch_size: Option<usize>,
    pub(super) shuffle: Option<bool>,
    pub(super) verbose: u8,
    pub(super) validation: Option<(Tensors, Tensors)>,
    pub(super) validation_dataset: Option<Dataset>,
    pub(super) validation_split: f64,
    pub(super) validation_freq: usize,
    pub(super) validation_steps: Option<usize>,
    pub(super) validation_batch_size: Option<usize>,
    pub(super) sample_weight: Option<Tensor>,
    pub(super) class_weight: Vec<(i64, f64)>,
    pub(super) class_weight_balanced: bool,
    pub(super) callbacks: CallbackList<'a>,
    pub(super) threads: Option<&'a Threads>,
    pub(super) allow_missing: bool,
    pub(super) check_finite: bool,
    pub(super) cancellation: Option<CancellationToken>,
}

impl Default for Fit<'_> {
    fn default() -> Self {
        Fit::new()
    }
}

impl<'a> Fit<'a> {
    /// Creates settings for one epoch in batches of 32, shuffled, with a progress bar.
    pub fn new() -> Fit<'a> {
        Fit {
            epochs: 1,
            initial_epoch: 0,
            steps_per_epoch: None,
            batch_size: None,
            shuffle: None,
            verbose: 1,
            validation: None,
            validation_dataset: None,
            validation_split: 0.0,
            validation_freq: 1,
            validation_steps: None,
            validation_batch_size: None,
            sample_weight: None,
            class_weight: Vec::new(),
            class_weight_balanced: false,
            callbacks: CallbackList::new(),
            threads: None,
            allow_missing: false,
            check_finite: false,
            cancellation: None,
        }
    }

    /// Sets the number of passes over the data, 1 by default; with `initial_epoch`, the epoch to stop before.
    pub fn epochs(mut self, epochs: usize) -> Self {
        self.epochs = epochs;
        self
    }

    /// Sets the number of the first epoch, to continue an earlier run; 0 by default.
    pub fn initial_epoch(mut self, epoch: usize) -> Self {
        self.initial_epoch = epoch;
        self
    }

    /// Sets the batches in an epoch; all by default. The next epoch continues where the last one stopped; an epoch
    /// also ends when the data does.
    pub fn steps_per_epoch(mut self, steps: usize) -> Self {
        self.steps_per_epoch = Some(steps);
        self
    }

    /// Rows in a batch; by default 32, or with [`Fit::steps_per_epoch`] as many as make so many batches of all rows. The last batch of an
    /// epoch may have fewer. An error beside a dataset, whose batches are its own.
    pub fn batch_size(mut self, batch_size: usize) -> Self {
        self.batch_size = Some(batch_size);
        self
    }

    /// Sets whether rows come in a new random order each epoch; yes by default. An error with a dataset, which has
    /// its own order.
    pub fn shuffle(mut self, shuffle: bool) -> Self {
        self.shuffle = Some(shuffle);
        self
    }

    /// What is printed, by a [`ProgbarLogger`](super::ProgbarLogger): 0 nothing; 1 (default) a bar on a terminal, else as 2; 2 a line
    /// an epoch. A callback that shows progress itself takes its place.
    pub fn verbose(mut self, verbose: u8) -> Self {
        self.verbose = verbose;
        self
    }

    /// Sets the data on which the model is evaluated after each epoch.
    pub fn validation_data(mut self, x: &(impl AsTensors + ?Sized), y: &(impl AsTensors + ?Sized)) -> Self {
        self.validation = Some((x.as_tensors(), y.as_tensors()));
        self
    }

    /// Sets a dataset on whose batches the model is evaluated after each epoch, each time from the first.
    pub fn validation_dataset(mut self, data: &Dataset) -> Self {
        self.validation_dataset = Some(data.clone());
        self
    }

    /// Sets the share of rows to validate on instead of training on them, taken from the end before shuffling. It
    /// cannot be combined with other validation data.
    pub fn validation_split(mut self, split: f64) -> Self {
        self.validation_split = split;
        self
    }

    /// Validates after every `epochs` epochs; 1 by default.
    pub fn validation_freq(mut self, epochs: usize) -> Self {
        self.validation_freq = epochs;
        self
    }

    /// Sets how many batches are validated on; all by default.
    pub fn validation_steps(mut self, steps: usize) -> Self {
        self.validation_steps = Some(steps);
        self
    }

    /// Sets the rows in a batch of validation; those of training by default.
    pub fn validation_batch_size(mut self, batch_size: usize) -> Self {
        self.validation_batch_size = Some(batch_size);
        self
    }

    /// Sets the weight of each row: the loss of a batch is `Σ wᵢ·lᵢ / N`, as in Keras. One number for each row of
    /// `x`, or for each position, `[rows, time]`. Rows split off for validation keep their weights.
    pub fn sample_weight(mut self, weights: &Tensor) -> Self {
        self.sample_weight = Some(weights.clone());
        self
    }

    /// Sets the weight of the rows of each class, from an array, a vector or a map: `[(0, 1.0), (1, 5.0)]`; 1 for
    /// classes not named. Targets are labels or one-hot.
    pub fn class_weight(mut self, weights: impl IntoIterator<Item = (i64, f64)>) -> Self {
        self.class_weight = weights.into_iter().collect();
        self
    }

    /// Each class counts `rows / (classes · rows of the class)`, of the rows that are trained on: scikit-learn's
    /// `class_weight="balanced"`. Targets are labels or one-hot. [`balanced_class_weight`](super::balanced_class_weight) gives the numbers.
    pub fn class_weight_balanced(mut self) -> Self {
        self.class_weight_balanced = true;
        self
    }

    /// Adds a callback. Pass `&mut callback` to read it afterwards.
    pub fn callback(mut self, callback: impl Callback + 'a) -> Self {
        self.callbacks = self.callbacks.add(callback);
        self
    }

    /// Adds callbacks of one type: an array, or a `Vec<Box<dyn Callback>>`. For several types write [`Fit::callback`] several
    /// times, or give a [`CallbackList`].
    pub fn callbacks<C: Callback + 'a>(self, callbacks: impl IntoIterator<Item = C>) -> Self {
        callbacks.into_iter().fold(self, Fit::callback)
    }

    /// Runs on these threads instead of the caller's pool.
    pub fn threads(mut self, threads: &'a Threads) -> Self {
        self.threads = Some(threads);
        self
    }

    /// Leaves trainable parameters that the loss does not depend on unchanged, as Keras does, instead of failing.
    pub fn allow_missing_gradients(mut self) -> Self {
        self.allow_missing = true;
        self
    }

    /// Ends with an error when the loss or a gradient is not finite, before the step changes anything. The error
    /// says where NaN or infinity first arose: a row of the data, a parameter, or an operation and its layer,
    /// forward or backward. The cost is one pass over the gradients in each step, and one more run of the step when
    /// something is found.
    pub fn check_finite(mut self) -> Self {
        self.check_finite = true;
        self
    }

    /// Ends with an error when the token is cancelled or its deadline is over; it is asked between batches, those of validation too.
    /// The model keeps what it has learned, and the error has the [`history`](super::FitError::history) of the epochs before.
    pub fn cancellation(mut self, token: &CancellationToken) -> Self {
        self.cancellation = Some(token.clone());
        self
    }

    /// Rows in a batch of training on `n` rows.
    pub(super) fn rows(&self, n: usize) -> usize {
        rows_of_batch(self.batch_size, self.steps_per_epoch, n)
    }

    /// Rows in a batch of validation on `n` rows.
    pub(crate) fn validation_rows(&self, n: usize) -> usize {
        rows_of_batch(self.validation_batch_size.or(self.batch_size), self.validation_steps, n)
    }

    /// Checks for counts that must not be 0, and settings that exclude one another.
    pub(super) fn check(&self) -> Result<()> {
        let split = (self.validation_split != 0.0).then_some("validation_split");
        let arrays = self.validation.as_ref().map(|_| "validation_data");
        let dataset = self.validation_dataset.as_ref().map(|_| "validation_dataset");
        let given: Vec<&str> = [split, arrays, dataset].into_iter().flatten().collect();
        if given.len() > 1 {
            let expected = "one of validation_split, validation_data and validation_dataset";
            return Err(Error::argument("validation", expected, given.join(" and ")));
        }
        if let (Some(rows), true) = (self.validation_batch_size, dataset.is_some()) {
            let expected =
                "no value beside validation_dataset, whose batches are its own (.batch(…) of the dataset)";
            return Err(Error::argument("validation_batch_size", expected, rows));
        }
        let counted = [
            ("validation_steps", self.validation_steps),
            ("validation_batch_size", self.validation_batch_size),
            ("validation_freq", Some(self.validation_freq).filter(|epochs| *epochs > 1)),
        ];
        if let (Some((name, Some(n))), true) =
            (counted.into_iter().find(|(_, n)| n.is_some()), given.is_empty())
        {
            let expected =
                "data to validate on beside it: validation_data, validation_dataset or validation_split";
            return Err(Error::argument(name, expected, n));
        }
        if self.epochs == 0 {
            return Err(Error::argument("epochs", "at least 1", 0));
        }
        if self.initial_epoch > self.epochs {
            let expected = format!(
                "the number of the last epoch, at least initial_epoch {} (epochs counts from the beginning of all training)",
                self.initial_epoch
            );
            return Err(Error::argument("epochs", expected, self.epochs));
        }
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

/// Rows in a batch, if nothing is said of them: as many as make `steps` batches of `n` rows, or 32.
pub(super) fn rows_of_batch(batch_size: Option<usize>, steps: Option<usize>, n: usize) -> usize {
    batch_size.unwrap_or_else(|| steps.map_or(32, |steps| n.div_ceil(steps.max(1)).max(1)))
}
