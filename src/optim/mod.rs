//! Why it exists: optimizers. A rule sees one parameter as slices and makes one pass over it; the driver finds gradients
//! and owns the state.

mod adam;
mod sgd;

pub use adam::Adam;
pub use sgd::SGD;

use crate::autograd::Gradients;
use crate::config::{Configured, kind};
use crate::kernels::par;
use crate::nn::{Param, Params, Path};
use crate::tensor::{Array, Tensor};
use crate::{Error, Float, Result};
use smallvec::SmallVec;
use std::collections::BTreeMap;

kind!("optimizer", Optimizer: Adam, SGD);

/// What an update depends on besides the parameter and its gradient.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Step {
    /// How many updates there have been, this one included: 1 at first.
    pub iteration: u64,
    /// The learning rate.
    pub learning_rate: f64,
}

/// The state of one parameter: as many slices as the rule has slots.
pub type Slots<'a, T> = SmallVec<[&'a mut [T]; 3]>;

/// An optimizer as its author writes it: one pass over the slices of one parameter. Elements must not depend on each
/// other, for the slices are cut at will.
pub trait Rule: Configured + std::fmt::Debug + Clone + Send + Sync + 'static {
    /// The names of its state tensors, each of the parameter's shape and zero at first: Adam has two.
    fn slots(&self) -> &'static [&'static str];
    /// The initial learning rate.
    fn learning_rate(&self) -> f64;
    /// Changes the parameter.
    fn update<T: Float>(&self, step: Step, w: &mut [T], g: &[T], slots: Slots<'_, T>);
}

/// An optimizer as models hold it. Implemented for every [`Rule`].
pub trait Optimizer: Configured + std::fmt::Debug + Send + Sync {
    /// See [`Rule::slots`].
    fn slots(&self) -> &'static [&'static str];
    /// See [`Rule::learning_rate`].
    fn learning_rate(&self) -> f64;
    /// Changes a float32 parameter.
    fn update_f32(&self, step: Step, w: &mut [f32], g: &[f32], slots: Slots<'_, f32>);
    /// Changes a float64 parameter.
    fn update_f64(&self, step: Step, w: &mut [f64], g: &[f64], slots: Slots<'_, f64>);
}

impl<R: Rule> Optimizer for R {
    fn slots(&self) -> &'static [&'static str] {
        Rule::slots(self)
    }
    fn learning_rate(&self) -> f64 {
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

/// An optimizer at work: the rule, how far it has come, and the state of each parameter.
#[derive(Clone, Debug)]
pub struct Driver {
    rule: std::sync::Arc<dyn Optimizer>,
    iterations: u64,
    learning_rate: f64,
    state: BTreeMap<u64, SmallVec<[Array; 3]>>,
}

impl Driver {
    /// At the start.
    pub fn new(rule: impl Optimizer + 'static) -> Driver {
        Driver::from_arc(std::sync::Arc::new(rule))
    }

    pub(crate) fn from_arc(rule: std::sync::Arc<dyn Optimizer>) -> Driver {
        let learning_rate = rule.learning_rate();
        Driver { rule, iterations: 0, learning_rate, state: BTreeMap::new() }
    }

    /// The same rule with no state.
    pub(crate) fn fresh(&self) -> Driver {
        Driver::from_arc(self.rule.clone())
    }

    /// The rule.
    pub fn rule(&self) -> &dyn Optimizer {
        &*self.rule
    }

    /// How many updates there have been.
    pub fn iterations(&self) -> u64 {
        self.iterations
    }

    pub(crate) fn set_iterations(&mut self, iterations: u64) {
        self.iterations = iterations;
    }

    /// The present learning rate.
    pub fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    /// Changes the learning rate from here on.
    pub fn set_learning_rate(&mut self, learning_rate: f64) {
        self.learning_rate = learning_rate;
    }

    /// Updates every trainable parameter in place. Nothing changes if one of them has no gradient, unless
    /// `allow_missing`.
    ///
    /// # Errors
    /// [`Error::NoGradient`] naming the parameter, or memory for the state cannot be had.
    pub fn step(
        &mut self,
        params: &mut (impl Params + ?Sized),
        mut gradients: Gradients,
        allow_missing: bool,
    ) -> Result<()> {
        let mut failure = None;
        params.visit(&mut Path::default(), &mut |path, p| {
            if p.trainable() && gradients.find(p.id()).is_none() && !allow_missing && failure.is_none() {
                failure = Some(Error::NoGradient { path: path.to_string() });
            }
            if p.trainable() && failure.is_none() {
                failure = self.prepare(p).err();
            }
        });
        if let Some(e) = failure {
            return Err(e);
        }
        let step = Step { iteration: self.iterations + 1, learning_rate: self.learning_rate };
        let mut result = Ok(());
        params.visit_mut(&mut Path::default(), &mut |_, p| {
            if p.trainable()
                && result.is_ok()
                && let (Some(g), Some(slots)) = (gradients.find_mut(p.id()), self.state.get_mut(&p.id()))
            {
                result = update(&*self.rule, step, p, g, slots);
            }
        });
        result?;
        self.iterations += 1;
        Ok(())
    }

    /// Makes the state of a parameter if it has none.
    fn prepare(&mut self, p: &Param) -> Result<()> {
        if let std::collections::btree_map::Entry::Vacant(e) = self.state.entry(p.id()) {
            let zeros = |_: &&str| Ok(Tensor::filled(p.value().spec(), 0.0)?.into_array());
            e.insert(self.rule.slots().iter().map(zeros).collect::<Result<_>>()?);
        }
        Ok(())
    }

    /// The state of a parameter by slot name, if it has been updated.
    pub(crate) fn slots_of(&self, p: &Param) -> Vec<(&'static str, Tensor)> {
        let arrays = self.state.get(&p.id()).into_iter().flatten().cloned().map(Tensor::from);
        self.rule.slots().iter().copied().zip(arrays).collect()
    }

    /// Sets the state of a parameter, in the order of the slots.
    pub(crate) fn restore(&mut self, p: &Param, slots: Vec<Tensor>) {
        self.state.insert(p.id(), slots.into_iter().map(Tensor::into_array).collect());
    }

    /// How many numbers the state holds, iteration count and learning rate included, as Keras counts.
    pub(crate) fn state_elements(&self) -> usize {
        let arrays = self.state.values().flatten().map(|a| a.shape().elements());
        if self.iterations == 0 { 0 } else { arrays.sum::<usize>() + 2 }
    }
}

fn update(
    rule: &dyn Optimizer,
    step: Step,
    p: &mut Param,
    g: &mut Tensor,
    slots: &mut [Array],
) -> Result<()> {
    let g = g.array().contiguous()?;
    if g.shape() != p.value().shape() {
        return Err(Error::shapes(
            "optimizer",
            *p.value().shape(),
            *g.shape(),
            "gradient and parameter differ",
        ));
    }
    match g.dtype() {
        crate::DType::F64 => {
            let slots = slots.iter_mut().map(Array::slice_mut::<f64>).collect::<Result<_>>()?;
            rule.update_f64(step, p.value_mut().array_mut().slice_mut()?, g.slice()?, slots);
        }
        _ => {
            let slots = slots.iter_mut().map(Array::slice_mut::<f32>).collect::<Result<_>>()?;
            rule.update_f32(step, p.value_mut().array_mut().slice_mut()?, g.slice()?, slots);
        }
    }
    Ok(())
}
