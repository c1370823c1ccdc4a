//! `Driver`: runs an optimizer. A step does, in Keras's order: accumulate, clip, decay, update, average, constrain;
//! and it changes all parameters or none. Steps that only accumulate also average and constrain.

use super::pass::Pass;
use super::state::State;
use super::{LearningRate, Optimizer, Options};
use crate::autograd::{Gradient, Gradients};
use crate::dtype::dispatch_float;
use crate::nn::{Module, Param, Path};
use crate::tensor::{PoolVec, Tensor};
use crate::{Error, Result};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The largest number of steps: up to it, step numbers are exact in f64, in which rates are computed.
const MAX_STEPS: u64 = 1 << 53;

/// A running optimizer: the number of steps so far, and the state of each parameter.
///
/// ```
/// use gradus::nn::Cx;
/// use gradus::optim::Driver;
/// use gradus::prelude::*;
///
/// let mut network = Sequential::new().add(Input::new(1)).add(Dense::new(1)).seed(7).build()?;
/// let mut optimizer = Driver::new(SGD::new(0.1).momentum(0.9).clipnorm(1.0));
/// let x = Tensor::ones([4, 1])?;
/// for step in 0..10 {
///     let loss = network.forward(&x, &mut Cx::train(7, step))?.square()?.mean(&[], false)?;
///     optimizer.step(&mut network, loss.backward()?, false)?;
/// }
/// # Ok::<(), gradus::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Driver {
    pub(super) optimizer: Arc<dyn Optimizer>,
    /// Shared with the current step, which reads them while the state changes.
    pub(super) options: Arc<Options>,
    pub(super) steps: u64,
    learning_rate: LearningRate,
    pub(super) state: BTreeMap<u64, State>,
}

impl Driver {
    /// Creates a driver at its start.
    pub fn new(optimizer: impl Optimizer + 'static) -> Driver {
        Driver::from_arc(Arc::new(optimizer))
    }

    pub(crate) fn from_arc(optimizer: Arc<dyn Optimizer>) -> Driver {
        let (learning_rate, options) = (optimizer.learning_rate(), Arc::new(optimizer.options()));
        Driver { optimizer, options, steps: 0, learning_rate, state: BTreeMap::new() }
    }

    /// Returns the same optimizer without state.
    pub(crate) fn fresh(&self) -> Driver {
        Driver::from_arc(self.optimizer.clone())
    }

    /// Fails if a setting is out of range or contradicts another.
    pub(crate) fn check_settings(&self) -> Result<()> {
        self.options.check()?;
        self.optimizer.check().map_err(|e| e.at(self.optimizer.name()))?;
        self.learning_rate.check()
    }

    /// Returns the optimizer.
    pub fn optimizer(&self) -> &dyn Optimizer {
        &*self.optimizer
    }

    /// Returns the number of updates so far: fewer than steps if gradients are accumulated.
    pub fn iterations(&self) -> u64 {
        self.steps / self.accumulates()
    }

    /// Returns the number of steps so far, including those that only accumulated.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Continues as after this many steps; the rest of resuming is [`Driver::set_state`].
    ///
    /// # Errors
    /// There are more than 2⁵³ steps.
    pub fn set_steps(&mut self, steps: u64) -> Result<()> {
        if steps > MAX_STEPS {
            return Err(Error::argument("steps", "at most 2⁵³", steps));
        }
        self.steps = steps;
        Ok(())
    }

    fn accumulates(&self) -> u64 {
        self.options.gradient_accumulation_steps.unwrap_or(1).max(1)
    }

    /// Returns the current learning rate. A schedule counts steps, including those that only accumulate (as in
    /// Keras).
    pub fn learning_rate(&self) -> f64 {
        self.learning_rate.at(self.steps)
    }

    /// Sets the learning rate from here on.
    ///
    /// # Errors
    /// The learning rate follows a schedule, or the new one is not a finite number of 0 or more.
    pub fn set_learning_rate(&mut self, learning_rate: f64) -> Result<()> {
        self.settable_rate()?;
        let rate = LearningRate::Fixed(learning_rate);
        rate.check()?;
        self.learning_rate = rate;
        Ok(())
    }

    /// Fails if the learning rate follows a schedule and so cannot be changed.
    pub(crate) fn settable_rate(&self) -> Result<()> {
        let LearningRate::Schedule(schedule) = &self.learning_rate else { return Ok(()) };
        let expected = "an optimizer made with a number as learning rate, to change it";
        Err(Error::argument("learning_rate", expected, schedule.class_name()))
    }

    pub(crate) fn rate(&self) -> &LearningRate {
        &self.learning_rate
    }

    pub(crate) fn set_rate(&mut self, rate: LearningRate) {
        self.learning_rate = rate;
    }

    /// Updates every trainable parameter in place. Nothing changes if it fails. (A panic in an optimizer of your
    /// own is different: it may leave some parameters changed.) Parameters without a gradient are an error unless
    /// `allow_missing`; then they stay as they are, except for the moving average and constraints. Under
    /// accumulation, a gradient that is missing in some steps of an update counts as 0 there.
    ///
    /// # Errors
    /// [`Error::NoGradient`] naming the parameter; a gradient has the wrong shape or dtype; a constraint does not
    /// fit its parameter; the optimizer fails; in the first step, the errors of [`Driver::check`]; or there is not
    /// enough memory.
    pub fn step(
        &mut self,
        params: &mut (impl Module + ?Sized),
        gradients: Gradients,
        allow_missing: bool,
    ) -> Result<()> {
        if self.steps == 0 && self.state.is_empty() {
            self.check(params)?;
        }
        let mut begun = PoolVec::new();
        let result = self.attempt(params, gradients, allow_missing, &mut begun);
        match result {
            Ok(()) => self.steps += 1,
            Err(_) => begun.iter().for_each(|id| drop(self.state.remove(id))),
        }
        result
    }

    /// Makes a step. `begun` receives the parameters whose state begins with it.
    fn attempt(
        &mut self,
        params: &mut (impl Module + ?Sized),
        mut gradients: Gradients,
        allow_missing: bool,
        begun: &mut PoolVec<u64>,
    ) -> Result<()> {
        // Everything that can fail comes before anything changes.
        let (optimizer, options) = (self.optimizer.clone(), self.options.clone());
        let pass = Pass {
            optimizer: &*optimizer,
            options: &options,
            iteration: self.iterations() + 1,
            learning_rate: self.learning_rate(),
            accumulates: self.accumulates() > 1,
            updates: (self.steps + 1).is_multiple_of(self.accumulates()),
        };
        let mut result = Ok(());
        let mut copies = false;
        params.visit_mut(&mut |path, p| {
            if result.is_ok() {
                copies |= p.trainable() && pass.copies(p);
                result = match p.trainable() {
                    true => self.prepare(&pass, path, p, &mut gradients, allow_missing, begun),
                    false => self.empty_accumulator(&pass, p, false),
                };
            }
        });
        result?;
        if pass.updates {
            self.shape_gradients(params, &mut gradients)?;
        }
        if copies {
            self.advance_copies(&pass, params, &gradients)?;
        }
        let mut result = Ok(());
        params.visit_mut(&mut |path, p| {
            if result.is_err() {
                return;
            }
            if !p.trainable() {
                result = self.empty_accumulator(&pass, p, true);
            } else if !pass.copies(p)
                && let Some(state) = self.state.get_mut(&p.id())
            {
                result = pass.advance(path, p, gradients.find(p.id()), state);
            }
        });
        result
    }

    /// Updates the parameters whose update may fail; if one does, all are as before.
    fn advance_copies(
        &mut self,
        pass: &Pass<'_>,
        params: &mut (impl Module + ?Sized),
        gradients: &Gradients,
    ) -> Result<()> {
        let mut before: PoolVec<(u64, Tensor, State)> = PoolVec::new();
        let mut result = Ok(());
        params.visit_mut(&mut |path, p| {
            if p.trainable()
                && pass.copies(p)
                && result.is_ok()
                && let Some(state) = self.state.get_mut(&p.id())
            {
                before.push((p.id(), p.value().clone(), state.clone()));
                result = pass.advance(path, p, gradients.find(p.id()), state);
            }
        });
        if result.is_err() {
            params.visit_mut(&mut |_, p| {
                if let Some((id, value, state)) = before.iter().find(|(id, ..)| *id == p.id()) {
                    *p.value_mut() = value.clone();
                    self.state.insert(*id, state.clone());
                }
            });
        }
        result
    }

    /// Makes the state of a parameter if it has none, memory of its own for all that will change, and a dense
    /// gradient where rows alone would give another result.
    fn prepare(
        &mut self,
        pass: &Pass<'_>,
        path: &Path,
        p: &mut Param,
        gradients: &mut Gradients,
        allow_missing: bool,
        begun: &mut PoolVec<u64>,
    ) -> Result<()> {
        let (id, spec) = (p.id(), p.value().spec());
        if gradients.find(id).is_none() {
            if !allow_missing {
                return Err(Error::NoGradient { path: path.to_string() });
            }
            let Some(state) = self.state.get_mut(&id) else { return Ok(()) };
            // What arrived earlier must not wait for the next update.
            if pass.updates && state.waiting {
                gradients.add(id, Gradient::Dense(Tensor::filled(spec, 0.0)?))?;
            }
            return pass.own(p, state);
        }
        let Some(g) = gradients.find_mut(id) else { return Ok(()) };
        if g.spec() != spec {
            let why = format!("the gradient of '{path}' has another shape or dtype than the parameter");
            return Err(Error::shapes("optimizer", spec.shape, g.spec().shape, why));
        }
        if !self.state.contains_key(&id) {
            let state = self.begin(path.as_str(), p)?;
            self.state.insert(id, state);
            begun.push(id);
        }
        let Some(state) = self.state.get_mut(&id) else { return Ok(()) };
        if !pass.takes_rows(&state.choice) {
            *g = Gradient::Dense(g.dense()?);
        }
        g.map(Tensor::contiguous)?;
        pass.own(p, state)
    }

    /// Clears the accumulated gradients of a parameter that is frozen by now, because an update ends them: first
    /// memory for the zeros, then the zeros.
    fn empty_accumulator(&mut self, pass: &Pass<'_>, p: &Param, now: bool) -> Result<()> {
        if pass.accumulates
            && pass.updates
            && let Some(state) = self.state.get_mut(&p.id())
        {
            state.waiting &= !now;
            let Some(sum) = state.parts(pass.options).accumulator else { return Ok(()) };
            dispatch_float!("optimizer", sum.dtype(), T => {
                let sum = sum.array_mut().slice_mut::<T>()?;
                if now {
                    sum.fill(0.0);
                }
            });
        }
        Ok(())
    }

    /// Turns gradients into those that the update uses: the mean of the accumulated ones, clipped.
    fn shape_gradients(&mut self, params: &(impl Module + ?Sized), gradients: &mut Gradients) -> Result<()> {
        let Options { clipnorm, global_clipnorm, clipvalue, .. } = *self.options;
        let k = self.accumulates();
        if k == 1 && clipnorm.or(global_clipnorm).or(clipvalue).is_none() {
            return Ok(());
        }
        each(params, gradients, |p, g| {
            let state = self.state.get_mut(&p.id());
            if let Some(sum) = state.and_then(|state| state.parts(&self.options).accumulator) {
                g.map(|g| g.add(sum)?.affine(1.0 / k as f64, 0.0))?;
            }
            if let Some(c) = clipnorm {
                let norm = g.norm()?;
                scale(g, if norm > c || norm.is_nan() { c / norm } else { 1.0 })?;
            }
            if let Some(c) = clipvalue {
                g.map(|g| g.clip(-c, c))?;
            }
            Ok(())
        })?;
        let Some(c) = global_clipnorm else { return Ok(()) };
        let mut sum = 0.0;
        each(params, gradients, |_, g| {
            sum += g.square_sum()?;
            Ok(())
        })?;
        let norm = libm::sqrt(sum);
        let factor = match norm {
            n if !n.is_finite() => f64::NAN,
            n if n > c => c / n,
            _ => return Ok(()),
        };
        each(params, gradients, |_, g| scale(g, factor))
    }
}

/// Multiplies a gradient. A factor that is not finite leaves nothing finite, also in rows that are 0, which become
/// NaN.
fn scale(g: &mut Gradient, factor: f64) -> Result<()> {
    if !factor.is_finite() {
        *g = Gradient::Dense(g.dense()?);
    }
    g.map(|g| g.affine(factor, 0.0))
}

/// Calls `f` with each trainable parameter that has a gradient, in order.
fn each(
    params: &(impl Module + ?Sized),
    gradients: &mut Gradients,
    mut f: impl FnMut(&Param, &mut Gradient) -> Result<()>,
) -> Result<()> {
    let mut result = Ok(());
    params.visit(&mut |_, p| {
        if let (Some(g), true, Ok(())) = (gradients.find_mut(p.id()), p.trainable(), &result) {
            result = f(p, g);
        }
    });
    result
}
