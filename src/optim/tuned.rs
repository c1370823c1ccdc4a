//! The options of every optimizer, such as clipping and weight decay: [`Tuned`] adds them to any optimizer, and the
//! driver does what they say.

use super::group::{self, Choice, Group};
use super::{LearningRate, MultiOptimizer, Optimizer, Slot, Step, Update};
use crate::config::Dyn;
use crate::{Error, Result, Spec, settings};

settings! {
    /// The options that every optimizer has. A step applies them in this order: accumulation, clipping, weight
    /// decay, the update, the moving average, and the parameters' constraints.
    #[derive(PartialEq, Default)]
    #[non_exhaustive]
    pub struct Options {
        /// See [`Optimizer::clipnorm`].
        pub clipnorm: stored Option<f64> = None,
        /// See [`Optimizer::global_clipnorm`].
        pub global_clipnorm: stored Option<f64> = None,
        /// See [`Optimizer::clipvalue`].
        pub clipvalue: stored Option<f64> = None,
        /// See [`Optimizer::weight_decay`].
        pub weight_decay: stored Option<f64> = None,
        /// See [`Optimizer::exclude_from_weight_decay`].
        pub exclude_from_weight_decay: stored Vec<String> = Vec::new(),
        /// See [`Optimizer::group`].
        pub groups: stored Vec<(String, Group)> = Vec::new(),
        /// See [`Optimizer::use_ema`].
        pub ema_momentum: stored Option<f64> = None,
        /// See [`Optimizer::ema_overwrite_frequency`].
        pub ema_overwrite_frequency: stored Option<u64> = None,
        /// See [`Optimizer::gradient_accumulation_steps`].
        pub gradient_accumulation_steps: stored Option<u64> = None,
    }
}

impl Options {
    /// Fails if a setting is out of range or contradicts another.
    pub(crate) fn check(&self) -> Result<()> {
        let clips = [
            ("clipnorm", self.clipnorm),
            ("global_clipnorm", self.global_clipnorm),
            ("clipvalue", self.clipvalue),
        ];
        let set: Vec<&str> = clips.iter().filter(|(_, v)| v.is_some()).map(|(name, _)| *name).collect();
        if set.len() > 1 {
            let expected = "only one of clipnorm, global_clipnorm and clipvalue";
            return Err(Error::argument("optimizer", expected, set.join(" and ")));
        }
        for (name, value) in clips {
            if let Some(v) = value
                && (v.is_nan() || v <= 0.0)
            {
                return Err(Error::argument(name, "a number above 0", v));
            }
        }
        if let Some(v) = self.weight_decay
            && !(v >= 0.0 && v.is_finite())
        {
            return Err(Error::argument("weight_decay", "a finite number of 0 or more", v));
        }
        group::check_settings(&self.groups)?;
        if let Some(v) = self.ema_momentum
            && !(0.0..=1.0).contains(&v)
        {
            return Err(Error::argument("ema_momentum", "0 to 1", v));
        }
        if self.ema_overwrite_frequency == Some(0) {
            return Err(Error::argument("ema_overwrite_frequency", "at least 1", 0));
        }
        if self.ema_overwrite_frequency.is_some() && self.ema_momentum.is_none() {
            return Err(Error::argument("ema_overwrite_frequency", "use_ema too", "no moving average"));
        }
        if let Some(n @ 0..=1) = self.gradient_accumulation_steps {
            return Err(Error::argument("gradient_accumulation_steps", "at least 2", n));
        }
        Ok(())
    }

    /// What holds for the parameter at this path.
    pub(super) fn choice(&self, optimizer: &dyn Optimizer, path: &str, parameter: Spec) -> Choice {
        let [factor, decay] = group::first(&self.groups, path).map(|at| at.map(|at| &self.groups[at].1));
        let excluded = self.exclude_from_weight_decay.iter().any(|name| path.contains(name.as_str()));
        let decay = decay.and_then(|group| group.weight_decay);
        let decay = decay.or_else(|| optimizer.weight_decay_of(path, parameter, self.weight_decay));
        Choice {
            learning_rate_factor: factor.and_then(|group| group.learning_rate_factor).unwrap_or(1.0),
            weight_decay: decay.filter(|_| !excluded).unwrap_or(0.0),
        }
    }
}

settings! {
    /// An optimizer with [`Options`]: `Adam::new(0.001).clipnorm(1.0)`.
    pub struct Tuned {
        optimizer: stored Dyn<dyn Optimizer>,
        pub(super) options: stored Options,
    }
}

impl Tuned {
    pub(super) fn new(optimizer: impl Optimizer + 'static) -> Tuned {
        let options = optimizer.options();
        Tuned { optimizer: optimizer.into(), options }
    }
}

impl Optimizer for Tuned {
    fn slots(&self, path: &str, parameter: Spec) -> Vec<Slot> {
        self.optimizer.slots(path, parameter)
    }
    fn learning_rate(&self) -> LearningRate {
        self.optimizer.learning_rate()
    }
    fn update(&self, step: &Step, u: Update<'_>) -> Result<()> {
        self.optimizer.update(step, u)
    }
    fn name(&self) -> &'static str {
        self.optimizer.name()
    }
    fn check(&self) -> Result<()> {
        if self.optimizer.several().is_some() && self.options != Options::default() {
            let expected = "no options: those of a MultiOptimizer are set for each of its optimizers";
            return Err(Error::argument("optimizer", expected, "a MultiOptimizer with some"));
        }
        self.optimizer.check()
    }
    fn weight_decay_of(&self, path: &str, parameter: Spec, decay: Option<f64>) -> Option<f64> {
        self.optimizer.weight_decay_of(path, parameter, decay)
    }
    fn several(&self) -> Option<&MultiOptimizer> {
        self.optimizer.several()
    }
    fn takes_rows(&self) -> bool {
        self.optimizer.takes_rows()
    }
    fn spreads_rows(&self) -> bool {
        self.optimizer.spreads_rows()
    }
    fn can_fail(&self) -> bool {
        self.optimizer.can_fail()
    }
    fn decays_itself(&self) -> bool {
        self.optimizer.decays_itself()
    }
    fn options(&self) -> Options {
        self.options.clone()
    }
    fn tuned(self) -> Tuned {
        self
    }
}
