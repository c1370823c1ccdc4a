//! `OneCycle`: one rise and one long fall (Smith and Topin 2018), with PyTorch's phases and names, since Keras has no such schedule.

use super::{LearningRateSchedule, check_rates, check_share, check_steps, half_wave};
use crate::{Error, Result, settings};

settings! {
    /// From `max / div_factor` up to `max`, then down to `max / (div_factor · final_div_factor)`, which stays. With three phases it comes down as
    /// long as it went up, to where it began, and then to the end.
    ///
    /// ```
    /// use gradus::optim::{LearningRateSchedule, schedule::OneCycle};
    /// let rate = OneCycle::new(0.1, 100);
    /// assert!((rate.at(0) - 0.004).abs() < 1e-15 && rate.at(29) == 0.1 && rate.at(99) < 1e-6);
    /// ```
    #[derive(Copy, PartialEq)]
    pub struct OneCycle {
        /// With this largest rate, in so many steps.
        new(max_learning_rate: f64, total_steps: u64);

        /// The share of the steps in which the rate rises; 0.3 by default.
        pct_start: f64 = 0.3,
        /// The largest rate over the first; 25 by default.
        div_factor: f64 = 25.0,
        /// The first rate over the last; 10,000 by default.
        final_div_factor: f64 = 1e4,
        /// Whether it rises and falls in lines rather than in half cosine waves; no by default.
        linear: bool = false,
        /// Whether there are three phases; no by default.
        three_phase: bool = false,
    }
}

impl LearningRateSchedule for OneCycle {
    fn at(&self, step: u64) -> f64 {
        let (step, total, max) = (step as f64, self.total_steps as f64, self.max_learning_rate);
        let (first, up) = (max / self.div_factor, self.pct_start * total);
        let last = first / self.final_div_factor;
        // Where each phase ends, and at which rate.
        let down = if self.three_phase { (2.0 * up - 2.0, first) } else { (up - 1.0, max) };
        let phases = [(up - 1.0, max), down, (total - 1.0, last)];
        let (mut begin, mut from) = (0.0, first);
        for (end, to) in phases {
            if step <= end && end > begin {
                let share = (step - begin) / (end - begin);
                let left = if self.linear { 1.0 - share } else { half_wave(share, 0.0) };
                return to + (from - to) * left;
            }
            (begin, from) = (end.max(begin), to);
        }
        last
    }
    fn check(&self) -> Result<()> {
        check_rates(&[("max_learning_rate", self.max_learning_rate)])?;
        check_steps("total_steps", self.total_steps)?;
        check_share("pct_start", self.pct_start)?;
        if self.three_phase {
            Error::unless(
                self.pct_start <= 0.5,
                "pct_start",
                "at most 0.5 for three phases",
                self.pct_start,
            )?;
        }
        for (name, factor) in [("div_factor", self.div_factor), ("final_div_factor", self.final_div_factor)] {
            Error::unless(factor > 0.0 && factor.is_finite(), name, "a finite number above 0", factor)?;
        }
        Ok(())
    }
}
