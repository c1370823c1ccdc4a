//! Why it exists: learning rates that change with the number of steps. Formulas are Keras's.

use crate::config::{Configured, Dyn, by_serde, kind};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// A learning rate as a function of how many steps there have been.
pub trait LearningRateSchedule: Configured + std::fmt::Debug + Send + Sync {
    /// The rate of the step after so many.
    fn at(&self, step: u64) -> f64;

    /// Whether its settings make sense; `compile` asks.
    ///
    /// # Errors
    /// They do not.
    fn check(&self) -> Result<()> {
        Ok(())
    }
}

kind! {
    dyn LearningRateSchedule, "learning rate schedule", Registry::schedule;
    use ExponentialDecay, PiecewiseConstantDecay, PolynomialDecay, InverseTimeDecay, CosineDecay, CosineDecayRestarts;
}
by_serde!(
    ExponentialDecay,
    PiecewiseConstantDecay,
    PolynomialDecay,
    InverseTimeDecay,
    CosineDecay,
    CosineDecayRestarts
);

/// What optimizers take as learning rate: a number or a schedule.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum LearningRate {
    /// The same until someone sets another.
    Fixed(f64),
    /// By the number of steps.
    Schedule(Dyn<dyn LearningRateSchedule>),
}

impl crate::config::Setting for LearningRate {
    fn write(&self) -> Result<serde_json::Value> {
        serde_json::to_value(self).map_err(|e| Error::Custom(e.to_string()))
    }
    fn read(value: serde_json::Value, _: &crate::config::Registry) -> Result<Self> {
        serde_json::from_value(value).map_err(|e| Error::Custom(e.to_string()))
    }
}

impl LearningRate {
    /// The rate of the step after so many.
    pub fn at(&self, step: u64) -> f64 {
        match self {
            LearningRate::Fixed(rate) => *rate,
            LearningRate::Schedule(schedule) => schedule.at(step),
        }
    }

    pub(crate) fn check(&self) -> Result<()> {
        if let LearningRate::Schedule(schedule) = self {
            schedule.check()?;
        }
        let rate = self.at(0);
        if rate.is_finite() && rate >= 0.0 {
            return Ok(());
        }
        Err(Error::argument("learning_rate", "a finite number of 0 or more", rate))
    }
}

impl From<f64> for LearningRate {
    fn from(rate: f64) -> Self {
        LearningRate::Fixed(rate)
    }
}
impl<S: LearningRateSchedule + 'static> From<S> for LearningRate {
    fn from(schedule: S) -> Self {
        LearningRate::Schedule(Dyn(std::sync::Arc::new(schedule)))
    }
}

/// Fails unless a period has at least one step.
fn check_steps(name: &'static str, steps: u64) -> Result<()> {
    if steps > 0 { Ok(()) } else { Err(Error::argument(name, "at least 1", 0)) }
}

/// How many periods have passed: whole ones if the rate falls by stairs.
fn periods(step: u64, decay_steps: u64, staircase: bool) -> f64 {
    let p = step as f64 / decay_steps as f64;
    if staircase { p.floor() } else { p }
}

macro_rules! decays {
    ($($(#[$doc:meta])* $type:ident($self:ident, $p:ident) = $f:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $type {
            initial_learning_rate: f64,
            decay_steps: u64,
            decay_rate: f64,
            #[serde(default)]
            staircase: bool,
        }
        impl $type {
            /// From this rate, with a period of so many updates and this rate of decay.
            pub fn new(initial_learning_rate: f64, decay_steps: u64, decay_rate: f64) -> $type {
                $type { initial_learning_rate, decay_steps, decay_rate, staircase: false }
            }
            /// Whether the rate changes only at the end of a period; no by default.
            #[must_use]
            pub fn staircase(mut self, staircase: bool) -> $type {
                self.staircase = staircase;
                self
            }
        }
        impl LearningRateSchedule for $type {
            fn at(&$self, step: u64) -> f64 {
                let $p = periods(step, $self.decay_steps, $self.staircase);
                $f
            }
            fn check(&self) -> Result<()> {
                check_steps("decay_steps", self.decay_steps)
            }
        }
    )*};
}

decays! {
    /// `initial · rate^(step / decay_steps)`.
    ExponentialDecay(self, p) = self.initial_learning_rate * libm::pow(self.decay_rate, p);
    /// `initial / (1 + rate · step / decay_steps)`.
    InverseTimeDecay(self, p) = self.initial_learning_rate / (1.0 + self.decay_rate * p);
}

/// `values[i]` up to and including step `boundaries[i]`; the last value after them all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PiecewiseConstantDecay {
    boundaries: Vec<u64>,
    values: Vec<f64>,
}

impl PiecewiseConstantDecay {
    /// One value more than boundaries, which ascend.
    pub fn new(boundaries: impl Into<Vec<u64>>, values: impl Into<Vec<f64>>) -> PiecewiseConstantDecay {
        PiecewiseConstantDecay { boundaries: boundaries.into(), values: values.into() }
    }
}

impl LearningRateSchedule for PiecewiseConstantDecay {
    fn at(&self, step: u64) -> f64 {
        let piece = self.boundaries.iter().filter(|b| step > **b).count();
        self.values.get(piece).copied().unwrap_or(f64::NAN)
    }
    fn check(&self) -> Result<()> {
        if self.values.len() != self.boundaries.len() + 1 {
            let expected = format!("{}, one more than boundaries", self.boundaries.len() + 1);
            return Err(Error::argument("PiecewiseConstantDecay values", expected, self.values.len()));
        }
        match self.boundaries.windows(2).find(|b| b[0] >= b[1]) {
            Some(b) => {
                Err(Error::argument("boundaries", "ascending steps", format!("{} before {}", b[0], b[1])))
            }
            None => Ok(()),
        }
    }
}

/// `(initial - end)·(1 - step / decay_steps)^power + end`, and `end` from then on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolynomialDecay {
    initial_learning_rate: f64,
    decay_steps: u64,
    end_learning_rate: f64,
    power: f64,
    cycle: bool,
}

impl PolynomialDecay {
    /// A line from this rate to 0.0001 in so many updates.
    pub fn new(initial_learning_rate: f64, decay_steps: u64) -> PolynomialDecay {
        PolynomialDecay {
            initial_learning_rate,
            decay_steps,
            end_learning_rate: 1e-4,
            power: 1.0,
            cycle: false,
        }
    }

    /// The rate at the end; 0.0001 by default.
    #[must_use]
    pub fn end_learning_rate(mut self, rate: f64) -> PolynomialDecay {
        self.end_learning_rate = rate;
        self
    }

    /// The exponent; 1 by default: a line.
    #[must_use]
    pub fn power(mut self, power: f64) -> PolynomialDecay {
        self.power = power;
        self
    }

    /// Whether the end moves to the next multiple of `decay_steps` once reached; no by default.
    #[must_use]
    pub fn cycle(mut self, cycle: bool) -> PolynomialDecay {
        self.cycle = cycle;
        self
    }
}

impl LearningRateSchedule for PolynomialDecay {
    fn at(&self, step: u64) -> f64 {
        let steps = if self.cycle {
            self.decay_steps * step.div_ceil(self.decay_steps).max(1)
        } else {
            self.decay_steps
        };
        let p = step.min(steps) as f64 / steps as f64;
        (self.initial_learning_rate - self.end_learning_rate) * libm::pow(1.0 - p, self.power)
            + self.end_learning_rate
    }
    fn check(&self) -> Result<()> {
        check_steps("decay_steps", self.decay_steps)
    }
}

/// Half a cosine wave from 1 to `alpha`, for a share of the way from 0 to 1.
fn half_wave(share: f64, alpha: f64) -> f64 {
    (1.0 - alpha) * (0.5 * (1.0 + libm::cos(std::f64::consts::PI * share))) + alpha
}

/// A line from the initial rate to the warmup's target, then half a cosine wave down to `alpha` of it (Loshchilov and Hutter
/// 2016); without a warmup the wave alone.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CosineDecay {
    initial_learning_rate: f64,
    decay_steps: u64,
    alpha: f64,
    warmup_target: Option<f64>,
    warmup_steps: u64,
}

impl CosineDecay {
    /// From this rate to 0 in so many updates.
    pub fn new(initial_learning_rate: f64, decay_steps: u64) -> CosineDecay {
        CosineDecay { initial_learning_rate, decay_steps, alpha: 0.0, warmup_target: None, warmup_steps: 0 }
    }

    /// The last rate as a share of the largest; 0 by default.
    #[must_use]
    pub fn alpha(mut self, alpha: f64) -> CosineDecay {
        self.alpha = alpha;
        self
    }

    /// Rises from the initial rate to `target` in `steps` updates first.
    #[must_use]
    pub fn warmup(mut self, target: f64, steps: u64) -> CosineDecay {
        (self.warmup_target, self.warmup_steps) = (Some(target), steps);
        self
    }
}

impl LearningRateSchedule for CosineDecay {
    fn at(&self, step: u64) -> f64 {
        let (from, begin) = match self.warmup_target {
            Some(target) if step < self.warmup_steps => {
                let share = step as f64 / self.warmup_steps as f64;
                return (target - self.initial_learning_rate) * share + self.initial_learning_rate;
            }
            Some(target) => (target, self.warmup_steps),
            None => (self.initial_learning_rate, 0),
        };
        let step = (step - begin).min(self.decay_steps);
        from * half_wave(step as f64 / self.decay_steps as f64, self.alpha)
    }
    fn check(&self) -> Result<()> {
        check_steps("decay_steps", self.decay_steps)
    }
}

/// Half cosine waves one after the other, each `t_mul` times as long and `m_mul` times as high as the one before
/// (Loshchilov and Hutter 2016).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CosineDecayRestarts {
    initial_learning_rate: f64,
    first_decay_steps: u64,
    t_mul: f64,
    m_mul: f64,
    alpha: f64,
}

impl CosineDecayRestarts {
    /// From this rate, the first wave in so many updates, each of the next twice as long.
    pub fn new(initial_learning_rate: f64, first_decay_steps: u64) -> CosineDecayRestarts {
        CosineDecayRestarts { initial_learning_rate, first_decay_steps, t_mul: 2.0, m_mul: 1.0, alpha: 0.0 }
    }

    /// How much longer each wave is; 2 by default.
    #[must_use]
    pub fn t_mul(mut self, t_mul: f64) -> CosineDecayRestarts {
        self.t_mul = t_mul;
        self
    }

    /// How much higher each wave is; 1 by default.
    #[must_use]
    pub fn m_mul(mut self, m_mul: f64) -> CosineDecayRestarts {
        self.m_mul = m_mul;
        self
    }

    /// The lowest rate as a share of the first; 0 by default.
    #[must_use]
    pub fn alpha(mut self, alpha: f64) -> CosineDecayRestarts {
        self.alpha = alpha;
        self
    }
}

impl LearningRateSchedule for CosineDecayRestarts {
    fn at(&self, step: u64) -> f64 {
        let done = step as f64 / self.first_decay_steps as f64;
        let (wave, share) = if self.t_mul == 1.0 {
            (done.floor(), done - done.floor())
        } else {
            let wave = (libm::log(1.0 - done * (1.0 - self.t_mul)) / libm::log(self.t_mul)).floor();
            let length = libm::pow(self.t_mul, wave);
            (wave, (done - (1.0 - length) / (1.0 - self.t_mul)) / length)
        };
        let height = libm::pow(self.m_mul, wave) * 0.5 * (1.0 + libm::cos(std::f64::consts::PI * share));
        self.initial_learning_rate * ((1.0 - self.alpha) * height + self.alpha)
    }
    fn check(&self) -> Result<()> {
        check_steps("first_decay_steps", self.first_decay_steps)?;
        if self.t_mul >= 1.0 { Ok(()) } else { Err(Error::argument("t_mul", "at least 1", self.t_mul)) }
    }
}
