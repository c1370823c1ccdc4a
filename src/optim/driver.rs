//! Why it exists: an optimizer at work. One step is, in Keras's order: accumulate, clip, decay, update, average, constrain;
//! and it happens to all parameters or to none.

use super::{LearningRate, Optimizer, Options, Step};
use crate::autograd::Gradients;
use crate::dtype::dispatch_float;
use crate::kernels::simd::stamped;
use crate::nn::{Module, Param, Path};
use crate::tensor::{Array, Tensor};
use crate::{DType, Error, Float, Result};
use smallvec::SmallVec;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Slots of the driver's own, behind those of the rule.
const ACCUMULATOR: &str = "gradient_accumulator";
const AVERAGE: &str = "moving_average";

/// The state of one parameter: the rule's slots, then the driver's.
type State = SmallVec<[Array; 3]>;

/// An optimizer at work: the rule, how far it has come, and the state of each parameter.
#[derive(Clone, Debug)]
pub struct Driver {
    rule: Arc<dyn Optimizer>,
    options: Options,
    steps: u64,
    learning_rate: LearningRate,
    state: BTreeMap<u64, State>,
}

stamped! {
    fn decay<T: Float>(w: &mut [T], factor: T) {
        for w in w.iter_mut() {
            *w = *w - *w * factor;
        }
    }
}
stamped! {
    fn add<T: Float>(sum: &mut [T], g: &[T]) {
        for (sum, &g) in sum.iter_mut().zip(g) {
            *sum += g;
        }
    }
}
stamped! {
    fn average<T: Float>(average: &mut [T], w: &[T], momentum: T, rest: T) {
        for (average, &w) in average.iter_mut().zip(w) {
            *average = momentum * *average + rest * w;
        }
    }
}

impl Driver {
    /// At the start.
    pub fn new(rule: impl Optimizer + 'static) -> Driver {
        Driver::from_arc(Arc::new(rule))
    }

    pub(crate) fn from_arc(rule: Arc<dyn Optimizer>) -> Driver {
        let (learning_rate, options) = (rule.learning_rate(), rule.options());
        Driver { rule, options, steps: 0, learning_rate, state: BTreeMap::new() }
    }

    /// The same rule with no state.
    pub(crate) fn fresh(&self) -> Driver {
        Driver::from_arc(self.rule.clone())
    }

    /// Fails if a setting is out of range or contradicts another.
    pub(crate) fn check(&self) -> Result<()> {
        self.options.check()?;
        self.learning_rate.check()
    }

    /// The rule.
    pub fn rule(&self) -> &dyn Optimizer {
        &*self.rule
    }

    /// How many updates there have been: fewer than steps if gradients accumulate.
    pub fn iterations(&self) -> u64 {
        self.steps / self.accumulates()
    }

    /// How many steps there have been.
    pub(crate) fn steps(&self) -> u64 {
        self.steps
    }

    pub(crate) fn set_steps(&mut self, steps: u64) {
        self.steps = steps;
    }

    fn accumulates(&self) -> u64 {
        self.options.gradient_accumulation_steps.unwrap_or(1).max(1)
    }

    /// The present learning rate. A schedule counts steps, those that only accumulate too (as Keras does).
    pub fn learning_rate(&self) -> f64 {
        self.learning_rate.at(self.steps)
    }

    /// Changes the learning rate from here on.
    ///
    /// # Errors
    /// It is a schedule's, or the new one is no finite number of 0 or more.
    pub fn set_learning_rate(&mut self, learning_rate: f64) -> Result<()> {
        if let LearningRate::Schedule(schedule) = &self.learning_rate {
            let expected = "an optimizer made with a number as learning rate, to change it";
            return Err(Error::argument("learning_rate", expected, schedule.class_name()));
        }
        let rate = LearningRate::Fixed(learning_rate);
        rate.check()?;
        self.learning_rate = rate;
        Ok(())
    }

    pub(crate) fn rate(&self) -> &LearningRate {
        &self.learning_rate
    }

    pub(crate) fn set_rate(&mut self, rate: LearningRate) {
        self.learning_rate = rate;
    }

    /// The names of the state tensors of each parameter.
    pub(crate) fn slots(&self) -> SmallVec<[&'static str; 5]> {
        let mut names = SmallVec::from_slice(self.rule.slots());
        names.extend(self.options.gradient_accumulation_steps.map(|_| ACCUMULATOR));
        names.extend(self.options.ema_momentum.map(|_| AVERAGE));
        names
    }

    /// Updates every trainable parameter in place. Nothing changes if it fails. Parameters without a gradient are an error
    /// unless `allow_missing`.
    ///
    /// # Errors
    /// [`Error::NoGradient`] naming the parameter, a gradient has another shape or dtype, a constraint does not fit its
    /// parameter, or memory cannot be had.
    pub fn step(
        &mut self,
        params: &mut (impl Module + ?Sized),
        mut gradients: Gradients,
        allow_missing: bool,
    ) -> Result<()> {
        // Whatever can fail comes before anything changes.
        let (mut ready, mut constrained) = (Ok(()), false);
        params.visit_mut(&mut |path, p| {
            if p.trainable() && ready.is_ok() {
                ready = self.prepare(path, p, &mut gradients, allow_missing);
                constrained |= p.constraint().is_some();
            }
        });
        ready?;
        let updates = (self.steps + 1).is_multiple_of(self.accumulates());
        if updates {
            self.shape_gradients(params, &mut gradients)?;
        }
        let rate = self.learning_rate();
        let step = Step { iteration: self.iterations() + 1, learning_rate: rate };
        let (rule, options) = (self.rule.clone(), self.options.clone());
        let pass = Pass { rule: &*rule, options: &options, step, updates };
        if constrained {
            self.constrained(&pass, params, &gradients)?;
        }
        let mut result = Ok(());
        params.visit_mut(&mut |path, p| {
            if p.trainable()
                && p.constraint().is_none()
                && result.is_ok()
                && let (Some(g), Some(state)) = (gradients.find(p.id()), self.state.get_mut(&p.id()))
            {
                result = pass.advance(path, p, g, state);
            }
        });
        result?;
        self.steps += 1;
        Ok(())
    }

    /// The parameters with constraints, which make new tensors and so may fail: then all are as before.
    fn constrained(
        &mut self,
        pass: &Pass<'_>,
        params: &mut (impl Module + ?Sized),
        gradients: &Gradients,
    ) -> Result<()> {
        let mut before: BTreeMap<u64, (Tensor, State)> = BTreeMap::new();
        let mut result = Ok(());
        params.visit_mut(&mut |path, p| {
            if p.trainable()
                && p.constraint().is_some()
                && result.is_ok()
                && let (Some(g), Some(state)) = (gradients.find(p.id()), self.state.get_mut(&p.id()))
            {
                before.insert(p.id(), (p.value().clone(), state.clone()));
                result = pass.advance(path, p, g, state).and_then(|()| match p.constraint() {
                    Some(c) => c.project(p.value()).and_then(|w| p.set(w)).map_err(|e| e.at(path.as_str())),
                    None => Ok(()),
                });
            }
        });
        if result.is_err() {
            params.visit_mut(&mut |_, p| {
                if let Some((value, state)) = before.remove(&p.id()) {
                    *p.value_mut() = value;
                    self.state.insert(p.id(), state);
                }
            });
        }
        result
    }

    /// Makes the state of a parameter if it has none, and memory that is nobody else's for all that will change.
    fn prepare(
        &mut self,
        path: &Path,
        p: &mut Param,
        gradients: &mut Gradients,
        allow_missing: bool,
    ) -> Result<()> {
        let Some(g) = gradients.find_mut(p.id()) else {
            return match allow_missing {
                true => Ok(()),
                false => Err(Error::NoGradient { path: path.to_string() }),
            };
        };
        if g.spec() != p.value().spec() {
            let why = format!("the gradient of '{path}' has another shape or dtype than the parameter");
            return Err(Error::shapes("optimizer", *p.value().shape(), *g.shape(), why));
        }
        *g = g.contiguous()?;
        let spec = p.value().spec();
        if !self.state.contains_key(&p.id()) {
            let zeros = |_| Ok(Tensor::filled(spec, 0.0)?.into_array());
            let state = self.slots().into_iter().map(zeros).collect::<Result<_>>()?;
            self.state.insert(p.id(), state);
        }
        dispatch_float!("optimizer", spec.dtype, T => {
            p.value_mut().array_mut().slice_mut::<T>()?;
            for slot in self.state.get_mut(&p.id()).into_iter().flatten() {
                slot.slice_mut::<T>()?;
            }
        });
        Ok(())
    }

    /// Brings gradients to what the update uses: the mean of those accumulated, clipped.
    fn shape_gradients(&self, params: &(impl Module + ?Sized), gradients: &mut Gradients) -> Result<()> {
        let Options { clipnorm, global_clipnorm, clipvalue, .. } = self.options;
        let k = self.accumulates();
        if k == 1 && clipnorm.or(global_clipnorm).or(clipvalue).is_none() {
            return Ok(());
        }
        let accumulator = self.slots().iter().position(|s| *s == ACCUMULATOR);
        let norm2 = |g: &Tensor| g.square()?.sum(&[], false)?.item();
        each(params, gradients, |p, g| {
            if let Some(sum) = accumulator.and_then(|at| self.state.get(&p.id())?.get(at)) {
                *g = g.add(&sum.clone().into())?.affine(1.0 / k as f64, 0.0)?;
            }
            if let Some(c) = clipnorm {
                let norm = libm::sqrt(norm2(g)?);
                *g = g.affine(if norm > c || norm.is_nan() { c / norm } else { 1.0 }, 0.0)?;
            }
            if let Some(c) = clipvalue {
                *g = g.clip(-c, c)?;
            }
            Ok(())
        })?;
        let Some(c) = global_clipnorm else { return Ok(()) };
        let mut sum = 0.0;
        each(params, gradients, |_, g| {
            sum += norm2(g)?;
            Ok(())
        })?;
        let norm = libm::sqrt(sum);
        let scale = match norm {
            n if !n.is_finite() => f64::NAN,
            n if n > c => c / n,
            _ => return Ok(()),
        };
        each(params, gradients, |_, g| {
            *g = g.affine(scale, 0.0)?;
            Ok(())
        })
    }

    /// Sets the parameters to their moving averages, if the optimizer keeps them; `fit` ends with it.
    ///
    /// # Errors
    /// Memory cannot be had; then none has changed.
    pub fn finalize(&mut self, params: &mut (impl Module + ?Sized)) -> Result<()> {
        let Some(at) = self.slots().iter().position(|s| *s == AVERAGE) else { return Ok(()) };
        params.visit_mut(&mut |_, p| {
            if let Some(average) = self.state.get(&p.id()).and_then(|s| s.get(at)).filter(|_| p.trainable()) {
                *p.value_mut() = average.clone().into();
            }
        });
        Ok(())
    }

    /// The state of a parameter by slot name, if it has been updated.
    pub(crate) fn slots_of(&self, p: &Param) -> Vec<(&'static str, Tensor)> {
        let arrays = self.state.get(&p.id()).into_iter().flatten().cloned().map(Tensor::from);
        self.slots().into_iter().zip(arrays).collect()
    }

    /// Sets the state of a parameter, in the order of the slots.
    pub(crate) fn restore(&mut self, p: &Param, slots: Vec<Tensor>) {
        self.state.insert(p.id(), slots.into_iter().map(Tensor::into_array).collect());
    }

    /// How many numbers the state holds, iteration count and learning rate included, as Keras counts.
    pub(crate) fn state_elements(&self) -> usize {
        let arrays = self.state.values().flatten().map(|a| a.shape().elements());
        if self.steps == 0 { 0 } else { arrays.sum::<usize>() + 2 }
    }
}

/// Calls `f` with each trainable parameter that has a gradient, in order.
fn each(
    params: &(impl Module + ?Sized),
    gradients: &mut Gradients,
    mut f: impl FnMut(&Param, &mut Tensor) -> Result<()>,
) -> Result<()> {
    let mut result = Ok(());
    params.visit(&mut |_, p| {
        if let (Some(g), true, Ok(())) = (gradients.find_mut(p.id()), p.trainable(), &result) {
            result = f(p, g);
        }
    });
    result
}

/// One step, as it happens to each parameter.
struct Pass<'a> {
    rule: &'a dyn Optimizer,
    options: &'a Options,
    step: Step,
    /// Whether parameters change in this step, rather than that gradients accumulate.
    updates: bool,
}

impl Pass<'_> {
    /// Changes a parameter that [`Driver::prepare`] has seen.
    fn advance(&self, path: &Path, p: &mut Param, g: &Tensor, state: &mut State) -> Result<()> {
        let (own, driver) = state.split_at_mut(self.rule.slots().len());
        let mut driver = driver.iter_mut();
        let accumulator = self.options.gradient_accumulation_steps.and_then(|_| driver.next());
        let moving = self.options.ema_momentum.zip(driver.next());
        let w = p.value_mut().array_mut();
        let decays = self.options.weight_decay.filter(|_| self.updates && self.options.decays(path.as_str()));
        dispatch_float!("optimizer", g.dtype(), T => {
            let (w, g) = (w.slice_mut::<T>()?, g.array().slice::<T>()?);
            if let Some(d) = decays {
                decay(w, T::of(d * self.step.learning_rate));
            }
            if let Some(sum) = accumulator {
                let sum = sum.slice_mut::<T>()?;
                if self.updates { sum.fill(T::of(0.0)) } else { add(sum, g) }
            }
        });
        match g.dtype() {
            _ if !self.updates => {}
            DType::F64 => {
                let slots = own.iter_mut().map(Array::slice_mut::<f64>).collect::<Result<_>>()?;
                self.rule.update_f64(self.step, w.slice_mut()?, g.array().slice()?, slots);
            }
            _ => {
                let slots = own.iter_mut().map(Array::slice_mut::<f32>).collect::<Result<_>>()?;
                self.rule.update_f32(self.step, w.slice_mut()?, g.array().slice()?, slots);
            }
        }
        let Some((momentum, moving)) = moving else { return Ok(()) };
        // The average begins with the first value.
        let momentum = if self.step.iteration == 1 { 0.0 } else { momentum };
        let overwrites =
            self.options.ema_overwrite_frequency.is_some_and(|n| self.step.iteration.is_multiple_of(n));
        dispatch_float!("optimizer", g.dtype(), T => {
            let (w, moving) = (w.slice_mut::<T>()?, moving.slice_mut::<T>()?);
            average(moving, w, T::of(momentum), T::of(1.0 - momentum));
            if overwrites {
                w.copy_from_slice(moving);
            }
        });
        Ok(())
    }
}
