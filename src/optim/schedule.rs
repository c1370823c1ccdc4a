//! Learning rate schedules: rates that change with the number of steps, by Keras's formulas.

use crate::config::{Configured, Dyn, Registry, Setting, kind};
use crate::{Error, Result, settings};
use serde_json::Value;

/// A learning rate as a function of how many steps there have been. One of your own:
///
/// ```
/// use gradus::optim::LearningRateSchedule;
/// use gradus::prelude::*;
///
/// gradus::settings! {
///     /// `factor · min(1/√step, step / warmup^1.5)` (Vaswani et al. 2017).
///     pub struct Noam as "acme>Noam" {
///         /// With this factor and so many steps upwards.
///         new(factor: f64, warmup: u64);
///     }
/// }
/// impl LearningRateSchedule for Noam {
///     fn at(&self, step: u64) -> f64 {
///         let step = (step + 1) as f64;
///         self.factor * (1.0 / step.sqrt()).min(step * (self.warmup as f64).powf(-1.5))
///     }
/// }
///
/// let stack = Sequential::new().add(Input::new(1)).add(Dense::new(1));
/// let model = stack.compile(Adam::new(Noam::new(1.0, 100)), MeanSquaredError::new(), ())?;
/// assert!((model.learning_rate() - 0.001).abs() < 1e-9);
/// # Ok::<(), gradus::Error>(())
/// ```
pub trait LearningRateSchedule: Configured + std::fmt::Debug + Send + Sync {
    /// Returns the rate of the step that follows `step` earlier ones.
    fn at(&self, step: u64) -> f64;

    /// Checks the settings; `compile` calls this.
    ///
    /// # Errors
    /// A setting is out of range.
    fn check(&self) -> Result<()> {
        Ok(())
    }
}

kind! {
    dyn LearningRateSchedule, "learning rate schedule", Registry::schedule;
    mod multi_step: MultiStepDecay;
    mod one_cycle: OneCycle;
    mod warmup: LinearWarmup;
    use ExponentialDecay, PiecewiseConstantDecay, PolynomialDecay, InverseTimeDecay, CosineDecay, CosineDecayRestarts;
}
/// What optimizers take as learning rate: a number or a schedule.
#[derive(Clone, Debug)]
pub enum LearningRate {
    /// A constant, until another is set.
    Fixed(f64),
    /// A function of the number of steps.
    Schedule(Dyn<dyn LearningRateSchedule>),
}

impl LearningRate {
    /// Returns the rate of the step that follows `step` earlier ones.
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

/// Stored in files as the number, or as the schedule's `{class_name, config}`.
impl Setting for LearningRate {
    fn write(&self) -> Result<Value> {
        match self {
            LearningRate::Fixed(rate) => rate.write(),
            LearningRate::Schedule(schedule) => schedule.write(),
        }
    }
    fn read(value: Value, registry: &Registry) -> Result<Self> {
        match value {
            Value::Object(_) => Setting::read(value, registry).map(LearningRate::Schedule),
            _ => Setting::read(value, registry).map(LearningRate::Fixed),
        }
    }
}

impl From<f64> for LearningRate {
    fn from(rate: f64) -> Self {
        LearningRate::Fixed(rate)
    }
}
/// Keeps the f32 value exactly: 0.001f32 is 0.0010000000474974513.
impl From<f32> for LearningRate {
    fn from(rate: f32) -> Self {
        LearningRate::Fixed(f64::from(rate))
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

/// Fails unless each step is after the one before.
fn check_ascending(name: &'static str, steps: &[u64]) -> Result<()> {
    match steps.windows(2).find(|b| b[0] >= b[1]) {
        Some(b) => Err(Error::argument(name, "ascending steps", format!("{} before {}", b[0], b[1]))),
        None => Ok(()),
    }
}

/// Fails unless these numbers are finite and not negative.
fn check_rates(rates: &[(&'static str, f64)]) -> Result<()> {
    rates.iter().try_for_each(|(name, rate)| Error::unless_not_negative(name, *rate))
}

/// Fails unless a share lies between 0 and 1.
fn check_share(name: &'static str, share: f64) -> Result<()> {
    Error::unless((0.0..=1.0).contains(&share), name, "0 to 1", share)
}

/// Returns how many periods have passed, rounded down if the rate falls in stairs.
fn periods(step: u64, decay_steps: u64, staircase: bool) -> f64 {
    let p = step as f64 / decay_steps as f64;
    if staircase { p.floor() } else { p }
}

macro_rules! decays {
    ($($(#[$doc:meta])* $type:ident($self:ident, $p:ident) = $f:expr;)*) => {$(
        settings! {
            $(#[$doc])*
            #[derive(Copy, PartialEq)]
            pub struct $type {
                /// Creates a schedule from the initial rate, the steps of a period and the decay rate.
                new(initial_learning_rate: f64, decay_steps: u64, decay_rate: f64);

                /// Whether the rate changes only at the end of a period; no by default.
                staircase: bool = false,
            }
        }
        impl LearningRateSchedule for $type {
            fn at(&$self, step: u64) -> f64 {
                let $p = periods(step, $self.decay_steps, $self.staircase);
                $f
            }
            fn check(&self) -> Result<()> {
                let initial = ("initial_learning_rate", self.initial_learning_rate);
                check_rates(&[initial, ("decay_rate", self.decay_rate)])?;
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

settings! {
    /// `values[i]` up to and including step `boundaries[i]`; the last value after all of them.
    #[derive(PartialEq)]
    pub struct PiecewiseConstantDecay {
        /// Creates a schedule of ascending boundaries, and one more value than boundaries.
        new(boundaries: into Vec<u64>, values: into Vec<f64>);
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
        self.values.iter().try_for_each(|rate| check_rates(&[("values", *rate)]))?;
        check_ascending("boundaries", &self.boundaries)
    }
}

settings! {
    /// `(initial - end)·(1 - step / decay_steps)^power + end`, and `end` from then on.
    #[derive(Copy, PartialEq)]
    pub struct PolynomialDecay {
        /// Creates a line from this rate to 0.0001 in `decay_steps` steps.
        new(initial_learning_rate: f64, decay_steps: u64);

        /// The rate at the end; 0.0001 by default.
        end_learning_rate: f64 = 1e-4,
        /// The exponent; 1 by default: a line.
        power: f64 = 1.0,
        /// Whether the end moves to the next multiple of `decay_steps` once reached; no by default.
        cycle: bool = false,
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
        let initial = ("initial_learning_rate", self.initial_learning_rate);
        check_rates(&[initial, ("end_learning_rate", self.end_learning_rate), ("power", self.power)])?;
        check_steps("decay_steps", self.decay_steps)
    }
}

/// Returns the number of the wave that contains `done`, and the share of it that has passed. The first wave has
/// length 1, and each is `t_mul` times as long as the one before.
fn wave(done: f64, t_mul: f64) -> (f64, f64) {
    let more = t_mul - 1.0;
    // Where wave number `wave` begins: a geometric sum, which is `wave` itself if all have one length.
    let begin = |wave: f64| match more {
        m if m > 0.5 => (libm::pow(t_mul, wave) - 1.0) / m,
        m if m > 0.0 => libm::expm1(wave * libm::log1p(m)) / m,
        _ => wave,
    };
    // The quotient of logarithms may miss a whole number by its last bit, so the wave that begins at `done` is
    // checked itself.
    let about = if more > 0.0 { libm::log1p(done * more) / libm::log1p(more) } else { done };
    let mut wave = about.floor();
    let reached = |wave: f64| begin(wave) <= done * (1.0 + 1e-12);
    if reached(wave + 1.0) {
        wave += 1.0;
    } else if wave > 0.0 && !reached(wave) {
        wave -= 1.0;
    }
    let length = begin(wave + 1.0) - begin(wave);
    (wave, ((done - begin(wave)) / length).clamp(0.0, 1.0))
}

/// Half a cosine wave from 1 to `alpha`, for a share of the way from 0 to 1.
fn half_wave(share: f64, alpha: f64) -> f64 {
    (1.0 - alpha) * (0.5 * (1.0 + libm::cos(std::f64::consts::PI * share))) + alpha
}

settings! {
    /// A linear warmup from the initial rate to a target, then half a cosine wave down to `alpha` times that
    /// (Loshchilov and Hutter 2016); without a warmup, only the wave.
    #[derive(Copy, PartialEq)]
    pub struct CosineDecay {
        /// Creates a schedule from this rate to 0 in `decay_steps` steps.
        new(initial_learning_rate: f64, decay_steps: u64);

        /// The last rate as a share of the largest; 0 by default.
        alpha: f64 = 0.0,
        warmup_target: stored Option<f64> = None,
        warmup_steps: stored u64 = 0,
    }
}

impl CosineDecay {
    /// Adds a warmup: the rate first rises from the initial rate to `target` in `steps` steps.
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
        let initial = ("initial_learning_rate", self.initial_learning_rate);
        check_rates(&[initial, ("warmup_target", self.warmup_target.unwrap_or(0.0))])?;
        check_share("alpha", self.alpha)?;
        check_steps("decay_steps", self.decay_steps)
    }
}

settings! {
    /// Half cosine waves one after another, each `t_mul` times as long and `m_mul` times as high as the one before
    /// (Loshchilov and Hutter 2016).
    #[derive(Copy, PartialEq)]
    pub struct CosineDecayRestarts {
        /// Creates a schedule from this rate; the first wave takes `first_decay_steps` steps, and each later one
        /// twice as many.
        new(initial_learning_rate: f64, first_decay_steps: u64);

        /// How much longer each wave is; 2 by default.
        t_mul: f64 = 2.0,
        /// How much higher each wave is; 1 by default.
        m_mul: f64 = 1.0,
        /// The lowest rate as a share of the first; 0 by default.
        alpha: f64 = 0.0,
    }
}

impl LearningRateSchedule for CosineDecayRestarts {
    fn at(&self, step: u64) -> f64 {
        let (wave, share) = wave(step as f64 / self.first_decay_steps as f64, self.t_mul);
        let height = libm::pow(self.m_mul, wave) * 0.5 * (1.0 + libm::cos(std::f64::consts::PI * share));
        self.initial_learning_rate * ((1.0 - self.alpha) * height + self.alpha)
    }
    fn check(&self) -> Result<()> {
        let initial = ("initial_learning_rate", self.initial_learning_rate);
        check_rates(&[initial, ("m_mul", self.m_mul)])?;
        check_share("alpha", self.alpha)?;
        check_steps("first_decay_steps", self.first_decay_steps)?;
        let fine = self.t_mul >= 1.0 && self.t_mul.is_finite();
        Error::unless(fine, "t_mul", "a finite number of at least 1", self.t_mul)
    }
}
