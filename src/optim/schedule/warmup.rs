//! `LinearWarmup`: a line from 0 up to any rate or schedule. In Keras only `CosineDecay` has a warm-up.

use super::{LearningRate, LearningRateSchedule, check_rates, check_steps};
use crate::{Result, settings};

settings! {
    /// A line from `start` to the first rate of what comes after it, which then counts its steps from 0.
    ///
    /// ```
    /// use gradus::optim::{LearningRateSchedule, schedule::{ExponentialDecay, LinearWarmup}};
    /// use gradus::prelude::*;
    ///
    /// let rate = LinearWarmup::new(10, ExponentialDecay::new(0.1, 100, 0.5));
    /// assert_eq!([rate.at(0), rate.at(5), rate.at(10), rate.at(110)], [0.0, 0.05, 0.1, 0.05]);
    /// let optimizer = AdamW::new(LinearWarmup::new(500, 0.001)); // a number afterwards
    /// # let _ = optimizer;
    /// ```
    pub struct LinearWarmup {
        /// In so many steps, up to this rate or schedule.
        new(steps: u64, learning_rate: into LearningRate);

        /// The rate of the first step; 0 by default.
        start: f64 = 0.0,
    }
}

impl LearningRateSchedule for LinearWarmup {
    fn at(&self, step: u64) -> f64 {
        match step.checked_sub(self.steps) {
            Some(step) => self.learning_rate.at(step),
            None => self.start + (self.learning_rate.at(0) - self.start) * (step as f64 / self.steps as f64),
        }
    }
    fn check(&self) -> Result<()> {
        check_rates(&[("start", self.start)])?;
        check_steps("steps", self.steps)?;
        self.learning_rate.check()
    }
}
