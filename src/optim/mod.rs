//! Why it exists: optimizers. A rule sees one parameter as slices and makes one pass over it; the driver finds gradients,
//! owns the state, and does what all optimizers can be asked for.

mod driver;
pub mod schedule;

pub use driver::Driver;
pub use schedule::{LearningRate, LearningRateSchedule};

use crate::Float;
use crate::config::{Configured, kind};
use crate::kernels::par;
use smallvec::SmallVec;

kind! {
    dyn Optimizer, "optimizer", Registry::optimizer;
    mod adam: Adam;
    mod sgd: SGD;
    mod tuned: Tuned with Options;
}

/// What an update depends on besides the parameter and its gradient.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Step {
    /// How many updates there have been, this one included: 1 at first.
    pub iteration: u64,
    /// The learning rate.
    pub learning_rate: f64,
}

impl Step {
    /// Update number `iteration`, counted from 1, at this rate: for calling a rule by hand, as its tests do.
    pub fn new(iteration: u64, learning_rate: f64) -> Step {
        Step { iteration, learning_rate }
    }
}

/// The state of one parameter: as many slices as the rule has slots.
pub type Slots<'a, T> = SmallVec<[&'a mut [T]; 3]>;

/// An optimizer as its author writes it: one pass over the slices of one parameter. Elements must not depend on each
/// other, for the slices are cut at will.
pub trait Rule: Configured + std::fmt::Debug + Clone + Send + Sync + 'static {
    /// The names of its state tensors, each of the parameter's shape and zero at first: Adam has two.
    fn slots(&self) -> &'static [&'static str];
    /// The learning rate: a number to begin with, or a schedule.
    fn learning_rate(&self) -> LearningRate;
    /// Changes the parameter.
    fn update<T: Float>(&self, step: Step, w: &mut [T], g: &[T], slots: Slots<'_, T>);
}

/// An optimizer as models hold it. Implemented for every [`Rule`]. What can be set for all of them is set by its methods:
/// `Adam::new(0.001).clipnorm(1.0)`.
pub trait Optimizer: Configured + std::fmt::Debug + Send + Sync {
    /// See [`Rule::slots`].
    fn slots(&self) -> &'static [&'static str];
    /// See [`Rule::learning_rate`].
    fn learning_rate(&self) -> LearningRate;
    /// Changes a float32 parameter.
    fn update_f32(&self, step: Step, w: &mut [f32], g: &[f32], slots: Slots<'_, f32>);
    /// Changes a float64 parameter.
    fn update_f64(&self, step: Step, w: &mut [f64], g: &[f64], slots: Slots<'_, f64>);

    /// What the driver does around the updates.
    fn options(&self) -> Options {
        Options::default()
    }

    /// The same optimizer with room for options.
    fn tuned(self) -> Tuned
    where
        Self: Sized + 'static,
    {
        Tuned::new(self)
    }

    /// Scales the gradient of each parameter down to at most this norm.
    fn clipnorm(self, norm: f64) -> Tuned
    where
        Self: Sized + 'static,
    {
        let mut tuned = self.tuned();
        tuned.options.clipnorm = Some(norm);
        tuned
    }

    /// Scales all gradients together down to at most this norm.
    fn global_clipnorm(self, norm: f64) -> Tuned
    where
        Self: Sized + 'static,
    {
        let mut tuned = self.tuned();
        tuned.options.global_clipnorm = Some(norm);
        tuned
    }

    /// Clips each element of the gradients to `±value`.
    fn clipvalue(self, value: f64) -> Tuned
    where
        Self: Sized + 'static,
    {
        let mut tuned = self.tuned();
        tuned.options.clipvalue = Some(value);
        tuned
    }

    /// Takes `decay · learning rate` of each parameter off before each update (Loshchilov and Hutter 2019): Adam becomes
    /// AdamW, whose default is 0.004.
    fn weight_decay(self, decay: f64) -> Tuned
    where
        Self: Sized + 'static,
    {
        let mut tuned = self.tuned();
        tuned.options.weight_decay = Some(decay);
        tuned
    }

    /// Parameters whose path contains one of these do not decay: `["bias"]`.
    fn exclude_from_weight_decay<S: Into<String>>(self, names: impl IntoIterator<Item = S>) -> Tuned
    where
        Self: Sized + 'static,
    {
        let mut tuned = self.tuned();
        tuned.options.exclude_from_weight_decay.extend(names.into_iter().map(Into::into));
        tuned
    }

    /// Keeps a moving average of each parameter: `momentum·average + (1-momentum)·w` after each update, beginning with the
    /// first value (Keras's momentum is 0.99). `fit` ends by setting the parameters to their averages.
    fn use_ema(self, momentum: f64) -> Tuned
    where
        Self: Sized + 'static,
    {
        let mut tuned = self.tuned();
        tuned.options.ema_momentum = Some(momentum);
        tuned
    }

    /// Sets the parameters to their averages after so many updates, again and again.
    fn ema_overwrite_frequency(self, updates: u64) -> Tuned
    where
        Self: Sized + 'static,
    {
        let mut tuned = self.tuned();
        tuned.options.ema_overwrite_frequency = Some(updates);
        tuned
    }

    /// Updates after every so many steps, by the mean of their gradients. Iterations count updates, schedules
    /// steps.
    fn gradient_accumulation_steps(self, steps: u64) -> Tuned
    where
        Self: Sized + 'static,
    {
        let mut tuned = self.tuned();
        tuned.options.gradient_accumulation_steps = Some(steps);
        tuned
    }
}

impl<R: Rule> Optimizer for R {
    fn slots(&self) -> &'static [&'static str] {
        Rule::slots(self)
    }
    fn learning_rate(&self) -> LearningRate {
        Rule::learning_rate(self)
    }
    fn update_f32(&self, step: Step, w: &mut [f32], g: &[f32], slots: Slots<'_, f32>) {
        spread(self, step, w, g, slots);
    }
    fn update_f64(&self, step: Step, w: &mut [f64], g: &[f64], slots: Slots<'_, f64>) {
        spread(self, step, w, g, slots);
    }
}

/// Halves a large parameter between threads.
fn spread<R: Rule, T: Float>(rule: &R, step: Step, w: &mut [T], g: &[T], slots: Slots<'_, T>) {
    if w.len() < par::GRAIN || par::threads() == 1 {
        return rule.update(step, w, g, slots);
    }
    let half = w.len() / 2;
    let (w, w2) = w.split_at_mut(half);
    let (g, g2) = g.split_at(half);
    let (slots, slots2): (Slots<T>, Slots<T>) = slots.into_iter().map(|s| s.split_at_mut(half)).unzip();
    par::join(|| spread(rule, step, w, g, slots), || spread(rule, step, w2, g2, slots2));
}
