//! Optimizers. One sees a parameter, its gradient and its state as a whole; a rule, the common case, is a loop over slices. The
//! driver finds gradients, owns the state, and does what all optimizers can be asked for.

mod driver;
mod group;
mod pass;
mod rule;
pub mod schedule;
mod slot;
mod state;
mod update;

pub use driver::Driver;
pub use group::Group;
pub use rule::Rule;
pub use schedule::{LearningRate, LearningRateSchedule};
pub use slot::{Slot, SlotShape, Start};
pub use update::{Row, Slices, Step, Update};

use crate::config::{Configured, Dyn, kind};
use crate::tensor::Few;
use crate::{Error, Result, Spec};
use std::sync::Arc;

kind! {
    dyn Optimizer, "optimizer", Registry::optimizer;
    mod adadelta: Adadelta;
    mod adafactor: Adafactor;
    mod adagrad: Adagrad;
    mod adam: Adam, AdamW;
    mod adamax: Adamax;
    mod ftrl: Ftrl;
    mod lamb: Lamb;
    mod lion: Lion;
    mod multi: MultiOptimizer;
    mod muon: Muon;
    mod nadam: Nadam;
    mod rmsprop: RMSprop;
    mod schedule_free: ScheduleFreeAdamW;
    mod sgd: SGD;
    mod tuned: Tuned with Options;
    alias "adamw": AdamW, "rmsprop": RMSprop, "schedulefreeadamw": ScheduleFreeAdamW;
}

/// Fails unless a setting is what it may be.
fn check_setting(name: &'static str, value: f64, fine: bool, expected: &str) -> Result<()> {
    if fine { Ok(()) } else { Err(Error::argument(name, expected, value)) }
}

/// Fails unless so much of a mean can stay in each step.
fn check_fading(name: &'static str, share: f64) -> Result<()> {
    check_setting(name, share, (0.0..1.0).contains(&share), "0 or more, below 1")
}

fn check_betas(beta_1: f64, beta_2: f64) -> Result<()> {
    check_fading("beta_1", beta_1)?;
    check_fading("beta_2", beta_2)
}

fn check_epsilon(epsilon: f64) -> Result<()> {
    Error::unless_not_negative("epsilon", epsilon)
}

/// What `compile` takes as optimizer: a value, or its name for one with Keras's default settings: `"adam"`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an optimizer",
    label = "expected a value such as `Adam::new(0.001)`, or a name such as `\"adam\"`"
)]
pub trait IntoOptimizer {
    /// The optimizer.
    ///
    /// # Errors
    /// There is none of this name; the message lists those that there are.
    fn into_optimizer(self) -> Result<Arc<dyn Optimizer>>;
}
impl<O: Optimizer + 'static> IntoOptimizer for O {
    fn into_optimizer(self) -> Result<Arc<dyn Optimizer>> {
        Ok(Arc::new(self))
    }
}
impl IntoOptimizer for &str {
    fn into_optimizer(self) -> Result<Arc<dyn Optimizer>> {
        Ok(self.parse::<Dyn<dyn Optimizer>>()?.0)
    }
}
impl IntoOptimizer for Box<dyn Optimizer> {
    fn into_optimizer(self) -> Result<Arc<dyn Optimizer>> {
        Ok(self.into())
    }
}
impl IntoOptimizer for Dyn<dyn Optimizer> {
    fn into_optimizer(self) -> Result<Arc<dyn Optimizer>> {
        Ok(self.0)
    }
}

/// So that an optimizer around another takes any, as a setting: `inner: into Dyn<dyn Optimizer>`.
impl<O: Optimizer + 'static> From<O> for Dyn<dyn Optimizer> {
    fn from(optimizer: O) -> Self {
        Dyn(Arc::new(optimizer))
    }
}

/// Up to so many slots a step asks nothing of the system's allocator.
const INLINE: usize = 6;

/// The slices of one parameter's state: as many as the rule has slots.
pub type Slots<'a, T> = Few<&'a mut [T], INLINE>;

/// An optimizer as models hold it: it sees a parameter as a whole. [`Rule`] is the short way to write one whose elements do not
/// depend on each other. What can be set for all of them is set by its methods: `Adam::new(0.001).clipnorm(1.0)`.
pub trait Optimizer: Configured + std::fmt::Debug + Send + Sync {
    /// What it remembers of the parameter at this path (`dense/kernel`), of this shape and dtype; nothing by default. Each slot
    /// has a name of its own, the same for every parameter that it exists for.
    fn slots(&self, _path: &str, _parameter: Spec) -> Vec<Slot> {
        Vec::new()
    }

    /// The learning rate: a number to begin with, or a schedule.
    fn learning_rate(&self) -> LearningRate;

    /// Changes a parameter (float32 or float64) and its slots.
    ///
    /// # Errors
    /// The parameter is of a shape that it cannot take, say. No parameter has changed then, for the driver goes back.
    fn update(&self, step: &Step, u: Update<'_>) -> Result<()>;

    /// What messages call it: the name of its type.
    fn name(&self) -> &'static str {
        self.class_name()
    }

    /// Whether its settings make sense; `compile` asks.
    ///
    /// # Errors
    /// A setting is out of range.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// Whether [`Update::g`] may be [`Gradient::Rows`](crate::autograd::Gradient::Rows): for embeddings, of which a batch
    /// reads a few rows. Say yes only if the result is what the dense gradient, 0 in all other rows, would give: true of plain
    /// SGD and of Adagrad, not of momentum or Adam, whose state fades in every row. By default no, and gradients are made dense;
    /// so they are under accumulation, and where an optimizer that [`Optimizer::decays_itself`] has decay, which moves every row.
    /// [`Update::each_row`] takes both.
    fn takes_rows(&self) -> bool {
        false
    }

    /// Whether [`Optimizer::update`] can fail. Then parameters and slots that it changes in place are copied first, so that a
    /// step happens to all parameters or to none. One that says no and fails all the same, or leaves another shape or dtype,
    /// leaves those before it changed.
    fn can_fail(&self) -> bool {
        true
    }

    /// Whether it uses [`Step::weight_decay`] in its own formula, so that the driver takes nothing off. By default no.
    fn decays_itself(&self) -> bool {
        false
    }

    /// The weight decay of a parameter, given that which the options say for all; a group's goes before both. By default as given.
    fn weight_decay_of(&self, _path: &str, _parameter: Spec, decay: Option<f64>) -> Option<f64> {
        decay
    }

    /// What the driver does around the updates.
    fn options(&self) -> Options {
        Options::default()
    }

    /// Those that a [`MultiOptimizer`] hands parameters to.
    #[doc(hidden)]
    fn several(&self) -> Option<&MultiOptimizer> {
        None
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

    /// Trains the parameters of a pattern otherwise. A pattern is a path, `encoder/dense/kernel`, or that of something which
    /// parameters lie in, `encoder`; `*` stands for any text: `*/bias`. Each setting is that of the first fitting group which
    /// has it, and `compile` refuses one without effect. A group's weight decay stands for the optimizer's;
    /// [`Optimizer::exclude_from_weight_decay`] holds for both.
    fn group(self, pattern: impl Into<String>, group: Group) -> Tuned
    where
        Self: Sized + 'static,
    {
        let mut tuned = self.tuned();
        tuned.options.groups.push((pattern.into(), group));
        tuned
    }

    /// Keeps a moving average of each parameter: `momentum·average + (1-momentum)·w` after each step, those that only accumulate
    /// too, beginning with the parameter (Keras's momentum is 0.99). `fit` ends by setting the parameters to their averages.
    fn use_ema(self, momentum: f64) -> Tuned
    where
        Self: Sized + 'static,
    {
        let mut tuned = self.tuned();
        tuned.options.ema_momentum = Some(momentum);
        tuned
    }

    /// Sets the parameters to their averages after so many updates, again and again (as in Keras also in the steps that
    /// accumulate for such an update).
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
