//! `Driver`: runs an optimizer. A step does, in Keras's order: accumulate, clip, decay, update, average, constrain;
//! and it changes all parameters or none. Steps that only accumulate also average and constrain.

use super::pass::Pass;
use super::state::State;
use super::{LearningRate, Optimizer, Options};
use crate::autograd::{Gradient, Gradients};
use crate::dtype::dispatch_float;
use crate::nn::{Module, Param, Path};
use crate::tensor::{Few, PoolVec, Tensor};
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
    /// At least one. Shared with the step at hand, which reads them while the state changes.
    pub(super) parts: Arc<Vec<Part>>,
    pub(super) steps: u64,
    pub(super) state: BTreeMap<u64, State>,
}

/// An optimizer with its options and its rate. A driver has one, but for a [`MultiOptimizer`](super::MultiOptimizer), which hands each
/// parameter to one of several.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) optimizer: Arc<dyn Optimizer>,
    pub(super) options: Options,
    learning_rate: LearningRate,
}

impl Part {
    fn new(optimizer: Arc<dyn Optimizer>) -> Part {
        Part { options: optimizer.options(), learning_rate: optimizer.learning_rate(), optimizer }
    }

    /// How many steps make an update.
    fn accumulates(&self) -> u64 {
        self.options.gradient_accumulation_steps.unwrap_or(1).max(1)
    }

    /// The step after so many.
    fn pass(&self, steps: u64) -> Pass<'_> {
        let accumulates = self.accumulates();
        Pass {
            optimizer: &*self.optimizer,
            options: &self.options,
            iteration: steps / accumulates + 1,
            learning_rate: self.learning_rate.at(steps),
            accumulates: accumulates > 1,
            updates: (steps + 1).is_multiple_of(accumulates),
        }
    }

    fn check(&self) -> Result<()> {
        self.options.check()?;
        self.optimizer.check().map_err(|e| e.at(self.optimizer.name()))?;
        self.learning_rate.check()
    }
}

/// The steps of as many parts lie in place.
type Passes<'a> = Few<Pass<'a>, 3>;

impl Driver {
    /// Creates a driver at its start.
    pub fn new(optimizer: impl Optimizer + 'static) -> Driver {
        Driver::from_arc(Arc::new(optimizer))
    }

    pub(crate) fn from_arc(optimizer: Arc<dyn Optimizer>) -> Driver {
        let parts = match optimizer.several() {
            Some(several) => several.all().map(|optimizer| Part::new(optimizer.0.clone())).collect(),
            None => vec![Part::new(optimizer.clone())],
        };
        Driver { optimizer, parts: Arc::new(parts), steps: 0, state: BTreeMap::new() }
    }

    /// Returns the same optimizer without state.
    pub(crate) fn fresh(&self) -> Driver {
        Driver::from_arc(self.optimizer.clone())
    }

    /// Fails if a setting is out of range or contradicts another.
    pub(crate) fn check_settings(&self) -> Result<()> {
        if self.optimizer.several().is_some() {
            self.optimizer.check().map_err(|e| e.at(self.optimizer.name()))?;
        }
        self.parts.iter().try_for_each(Part::check)
    }

    /// The number of the part that a parameter belongs to.
    pub(super) fn choose(&self, path: &str) -> usize {
        self.optimizer.several().map_or(0, |several| several.choose(path))
    }

    /// Returns the optimizer.
    pub fn optimizer(&self) -> &dyn Optimizer {
        &*self.optimizer
    }

    /// Returns the number of updates so far: fewer than steps if gradients are accumulated.
    pub fn iterations(&self) -> u64 {
        self.steps / self.first().accumulates()
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

    /// The only part, or that of the default optimizer.
    fn first(&self) -> &Part {
        &self.parts[0]
    }

    /// Returns the current learning rate. A schedule counts steps, including those that only accumulate (as in
    /// Keras).
    pub fn learning_rate(&self) -> f64 {
        self.rate().at(self.steps)
    }

    /// Sets the learning rate from here on.
    ///
    /// # Errors
    /// The learning rate follows a schedule, or the new one is not a finite number of 0 or more.
    pub fn set_learning_rate(&mut self, learning_rate: f64) -> Result<()> {
        self.settable_rate()?;
        let rate = LearningRate::Fixed(learning_rate);
        rate.check()?;
        self.set_rate(rate);
        Ok(())
    }

    /// Fails if the learning rate follows a schedule and so cannot be changed.
    pub(crate) fn settable_rate(&self) -> Result<()> {
        if self.optimizer.several().is_some() {
            let expected = "one optimizer: each of a MultiOptimizer has its own rate";
            return Err(Error::argument("learning_rate", expected, "several"));
        }
        let LearningRate::Schedule(schedule) = self.rate() else { return Ok(()) };
        let expected = "an optimizer made with a number as learning rate, to change it";
        Err(Error::argument("learning_rate", expected, schedule.class_name()))
    }

    pub(crate) fn rate(&self) -> &LearningRate {
        &self.first().learning_rate
    }

    pub(crate) fn set_rate(&mut self, rate: LearningRate) {
        Arc::make_mut(&mut self.parts)[0].learning_rate = rate;
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
        // Whatever can fail comes before anything changes.
        let parts = self.parts.clone();
        let passes: Passes<'_> = parts.iter().map(|part| part.pass(self.steps)).collect();
        let mut result = Ok(());
        let mut copies = false;
        params.visit_mut(&mut |path, p| {
            if result.is_ok() {
                let pass = &passes[self.part_of(path, p)];
                copies |= p.trainable() && pass.copies(p);
                result = match p.trainable() {
                    true => self.prepare(pass, path, p, &mut gradients, allow_missing, begun),
                    false => self.empty_accumulator(pass, p, false),
                };
            }
        });
        result?;
        for (i, part) in parts.iter().enumerate() {
            if passes[i].updates {
                self.shape_gradients(i, part, params, &mut gradients)?;
            }
        }
        if copies {
            self.advance_copies(&passes, params, &gradients)?;
        }
        let mut result = Ok(());
        params.visit_mut(&mut |path, p| {
            if result.is_err() {
                return;
            }
            let pass = &passes[self.part_of(path, p)];
            if !p.trainable() {
                result = self.empty_accumulator(pass, p, true);
            } else if !pass.copies(p)
                && let Some(state) = self.state.get_mut(&p.id())
            {
                result = pass.advance(path, p, gradients.find(p.id()), state);
            }
        });
        result
    }

    /// The number of the part that a parameter belongs to.
    fn part_of(&self, path: &Path, p: &Param) -> usize {
        self.state.get(&p.id()).map_or_else(|| self.choose(path.as_str()), |state| state.part)
    }

    /// The parameters whose update may fail: then all are as before.
    fn advance_copies(
        &mut self,
        passes: &Passes<'_>,
        params: &mut (impl Module + ?Sized),
        gradients: &Gradients,
    ) -> Result<()> {
        let mut before: PoolVec<(u64, Tensor, State)> = PoolVec::new();
        let mut result = Ok(());
        params.visit_mut(&mut |path, p| {
            if p.trainable()
                && result.is_ok()
                && let Some(state) = self.state.get_mut(&p.id())
                && let pass = &passes[state.part]
                && pass.copies(p)
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

    /// Brings the gradients of a part to what the update uses: the mean of those accumulated, clipped.
    fn shape_gradients(
        &mut self,
        number: usize,
        part: &Part,
        params: &(impl Module + ?Sized),
        gradients: &mut Gradients,
    ) -> Result<()> {
        let Options { clipnorm, global_clipnorm, clipvalue, .. } = part.options;
        let k = part.accumulates();
        if k == 1 && clipnorm.or(global_clipnorm).or(clipvalue).is_none() {
            return Ok(());
        }
        let state = &mut self.state;
        each(params, gradients, |p, g| {
            let Some(state) = state.get_mut(&p.id()).filter(|state| state.part == number) else {
                return Ok(());
            };
            if let Some(sum) = state.parts(&part.options).accumulator {
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
        let belongs = |p: &Param| state.get(&p.id()).is_some_and(|state| state.part == number);
        each(params, gradients, |p, g| {
            sum += if belongs(p) { g.square_sum()? } else { 0.0 };
            Ok(())
        })?;
        let norm = libm::sqrt(sum);
        let factor = match norm {
            n if !n.is_finite() => f64::NAN,
            n if n > c => c / n,
            _ => return Ok(()),
        };
        each(params, gradients, |p, g| if belongs(p) { scale(g, factor) } else { Ok(()) })
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
