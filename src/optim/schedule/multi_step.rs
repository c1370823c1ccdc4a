//! `MultiStepDecay`: a rate that is multiplied by a factor at given steps (PyTorch's `MultiStepLR`).

use super::{LearningRateSchedule, check_ascending, check_rates};
use crate::{Result, settings};

settings! {
    /// `initial · gammaⁿ` after `n` milestones: from step `milestones[0]` on, `initial · gamma`.
    ///
    /// ```
    /// use gradus::optim::{LearningRateSchedule, schedule::MultiStepDecay};
    /// let rate = MultiStepDecay::new(0.8, [30, 80]).gamma(0.5);
    /// assert_eq!([rate.at(29), rate.at(30), rate.at(80)], [0.8, 0.4, 0.2]);
    /// ```
    #[derive(PartialEq)]
    pub struct MultiStepDecay {
        /// From this rate, cut at these steps, which ascend.
        new(initial_learning_rate: f64, milestones: into Vec<u64>);

        /// What the rate is multiplied by at each; 0.1 by default.
        gamma: f64 = 0.1,
    }
}

impl LearningRateSchedule for MultiStepDecay {
    fn at(&self, step: u64) -> f64 {
        let passed = self.milestones.iter().filter(|at| step >= **at).count();
        self.initial_learning_rate * libm::pow(self.gamma, passed as f64)
    }
    fn check(&self) -> Result<()> {
        check_rates(&[("initial_learning_rate", self.initial_learning_rate), ("gamma", self.gamma)])?;
        check_ascending("milestones", &self.milestones)
    }
}
