//! Learning-rate range test (Smith 2015, "Cyclical Learning Rates for Training Neural Networks"): train a few steps at rates that grow
//! from far too small to far too large, and take the one at which the loss falls fastest.

use super::folds::rows;
use crate::random::{Purpose, Stream};
use crate::tensor::{AsTensors, Tensor};
use crate::train::Model;
use crate::{Error, Result};

/// The settings of a range test.
///
/// ```
/// use gradus::prelude::*;
/// use gradus::validation::LearningRateFinder;
///
/// let x = Tensor::randn([256, 4], 0)?;
/// let y = x.sum(&[1], true)?;
/// let mut model = Sequential::new().add(Input::new(4)).add(Dense::new(1)).seed(1).compile("sgd", "mse", ())?;
/// let found = LearningRateFinder::new().find(&model, &x, &y)?; // the model is as it was
/// model.set_learning_rate(found.suggestion()?)?;
/// model.fit(&x, &y, Fit::new().epochs(3).verbose(0))?;
/// # Ok::<(), gradus::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct LearningRateFinder {
    from: f64,
    to: f64,
    steps: usize,
    batch_size: usize,
    smoothing: f64,
    stop_at: f64,
    seed: u64,
}

impl Default for LearningRateFinder {
    fn default() -> LearningRateFinder {
        LearningRateFinder::new()
    }
}

impl LearningRateFinder {
    /// A hundred steps of batches of 32 at rates from 1e-7 to 10.
    pub fn new() -> LearningRateFinder {
        LearningRateFinder {
            from: 1e-7,
            to: 10.0,
            steps: 100,
            batch_size: 32,
            smoothing: 0.98,
            stop_at: 4.0,
            seed: 0,
        }
    }

    /// The first rate, and the last.
    pub fn range(mut self, from: f64, to: f64) -> LearningRateFinder {
        (self.from, self.to) = (from, to);
        self
    }

    /// How many steps; 100 by default.
    pub fn steps(mut self, steps: usize) -> LearningRateFinder {
        self.steps = steps;
        self
    }

    /// Rows in a batch; 32 by default.
    pub fn batch_size(mut self, rows: usize) -> LearningRateFinder {
        self.batch_size = rows;
        self
    }

    /// The share of earlier losses in the smoothed one; 0.98 by default, and 0 smooths nothing.
    pub fn smoothing(mut self, beta: f64) -> LearningRateFinder {
        self.smoothing = beta;
        self
    }

    /// Stops when the smoothed loss is so many times the least so far; 4 by default.
    pub fn stop_at(mut self, times: f64) -> LearningRateFinder {
        self.stop_at = times;
        self
    }

    /// Another order of the rows; 0 by default.
    pub fn seed(mut self, seed: u64) -> LearningRateFinder {
        self.seed = seed;
        self
    }

    /// Trains a copy of the model; the model itself stays as it was. Rows come in random order, pass after pass.
    ///
    /// # Errors
    /// A setting is out of range, the optimizer's rate is a schedule, or the data does not fit.
    pub fn find(
        &self,
        model: &Model,
        x: &(impl AsTensors + ?Sized),
        y: &(impl AsTensors + ?Sized),
    ) -> Result<LearningRates> {
        self.check()?;
        let (x, y) = (x.as_tensors(), y.as_tensors());
        let n = x.first().and_then(|x| x.dims().first().copied()).unwrap_or(0);
        if n == 0 {
            return Err(Error::argument("x", "at least one row", 0));
        }
        if let Some(t) = x.iter().chain(y.iter()).find(|t| t.dims().first() != Some(&n)) {
            return Err(Error::shape("y", format!("{n} rows, as many as the first of x"), *t.shape()));
        }
        let mut model = model.clone();
        let mut found = LearningRates { rates: Vec::new(), losses: Vec::new(), smoothed: Vec::new() };
        let (mut order, mut at, mut pass) = (Vec::new(), 0, 0);
        let (mut mean, mut least) = (0.0, f64::INFINITY);
        for step in 0..self.steps {
            let share = step as f64 / (self.steps - 1) as f64;
            let rate = self.from * libm::pow(self.to / self.from, share);
            model.set_learning_rate(rate)?;
            if at >= order.len() {
                order = Stream::new(self.seed, Purpose::Shuffle, pass).permutation(n)?;
                (at, pass) = (0, pass + 1);
            }
            let end = (at + self.batch_size).min(n);
            let batch: Vec<usize> = order[at..end].iter().map(|&row| row as usize).collect();
            at = end;
            let of =
                |tensors: &[Tensor]| tensors.iter().map(|t| rows(t, &batch)).collect::<Result<Vec<Tensor>>>();
            let loss = model.train_on_batch(&of(&x)?, &of(&y)?)?.get("loss").unwrap_or(f64::NAN);
            mean = self.smoothing * mean + (1.0 - self.smoothing) * loss;
            let smooth = mean / (1.0 - libm::pow(self.smoothing, (step + 1) as f64));
            if !smooth.is_finite() || (step > 0 && smooth > self.stop_at * least) {
                break;
            }
            least = least.min(smooth);
            found.rates.push(rate);
            found.losses.push(loss);
            found.smoothed.push(smooth);
        }
        Ok(found)
    }

    fn check(&self) -> Result<()> {
        let LearningRateFinder { from, to, steps, batch_size, smoothing, stop_at, .. } = *self;
        if !(from > 0.0 && to > from && to.is_finite()) {
            return Err(Error::argument(
                "range",
                "0 < from < to, such as range(1e-7, 10.0)",
                format!("{from} to {to}"),
            ));
        }
        if steps < 5 {
            return Err(Error::argument("steps", "at least 5", steps));
        }
        if batch_size == 0 {
            return Err(Error::argument("batch_size", "at least 1", 0));
        }
        if !(0.0..1.0).contains(&smoothing) {
            return Err(Error::argument("smoothing", "0 <= smoothing < 1", smoothing));
        }
        if stop_at.is_nan() || stop_at <= 1.0 {
            return Err(Error::argument("stop_at", "more than 1 times the least loss", stop_at));
        }
        Ok(())
    }
}

/// What a range test saw: one number a step, to plot the loss over the logarithm of the rate.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LearningRates {
    /// The rate of each step.
    pub rates: Vec<f64>,
    /// The loss of its batch, before the update.
    pub losses: Vec<f64>,
    /// The running mean of the losses, free of the bias towards 0 at its beginning.
    pub smoothed: Vec<f64>,
}

impl LearningRates {
    /// The rate at which the smoothed loss falls fastest over the logarithm of the rate (central differences). Rates after the least loss
    /// do not count.
    ///
    /// # Errors
    /// The loss never fell, or there were fewer than three steps before it was too large.
    pub fn suggestion(&self) -> Result<f64> {
        let n = self.smoothed.len();
        let least = (0..n).min_by(|&a, &b| self.smoothed[a].total_cmp(&self.smoothed[b])).unwrap_or(0);
        let slope = |i: usize| {
            let (a, b) = (i.saturating_sub(1), (i + 1).min(n - 1));
            (self.smoothed[b] - self.smoothed[a]) / libm::log(self.rates[b] / self.rates[a])
        };
        let falls = (1..least).map(|i| (slope(i), i)).filter(|(slope, _)| *slope < 0.0);
        let steepest = falls.min_by(|a, b| a.0.total_cmp(&b.0));
        steepest.map(|(_, i)| self.rates[i]).ok_or_else(|| {
            let expected = "a loss that falls somewhere (other rates with range(…), more steps(…), or a model that can learn)";
            Error::argument("learning rate", expected, format!("none in {n} steps"))
        })
    }
}
