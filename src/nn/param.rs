//! `Param`: a value that a layer owns, with an id by which gradients and optimizer state find it and a path for
//! people and files. [`Key`]: the identity of a layer that draws random numbers or carries state between calls.
//! [`Init`]: what layers make both with.

use super::constraint::Constraint;
use super::initializer::Initializer;
use super::regularizer::Regularizer;
use super::{Item, ItemMut, Module, Path};
use crate::autograd::{Gradient, Gradients, fresh_id};
use crate::config::Dyn;
use crate::error::Context;
use crate::random::{Purpose, Stream};
use crate::tensor::{Array, Tensor};
use crate::{DType, Error, IntoShape, Result, Spec};
use std::collections::BTreeSet;

/// A value that training changes, or that a layer keeps as state, such as running statistics.
#[derive(Clone, Debug)]
pub struct Param {
    id: u64,
    value: Tensor,
    /// Whether the optimizer changes it while it is not frozen.
    learns: bool,
    frozen: bool,
    /// The number of the stream that its initial value comes from; assigned by the walk when its network is first
    /// built.
    number: Option<u32>,
    initializer: Dyn<dyn Initializer>,
    regularizer: Option<Dyn<dyn Regularizer>>,
    constraint: Option<Dyn<dyn Constraint>>,
}

impl Param {
    /// Returns the current value, without history.
    pub fn value(&self) -> &Tensor {
        &self.value
    }

    /// Replaces the value.
    ///
    /// # Errors
    /// Shape or dtype differ from the current ones.
    pub fn set(&mut self, value: Tensor) -> Result<()> {
        if value.spec() != self.value.spec() {
            let (was, is) = (self.value.spec(), value.spec());
            if was.shape == is.shape {
                let expected = format!("{} (.cast(DType::{:?})?)", was.dtype, was.dtype);
                return Err(Error::argument("parameter", expected, is.dtype));
            }
            return Err(Error::shapes("parameter", was.shape, is.shape, format!("expected {was}, got {is}")));
        }
        self.value = value.detach();
        Ok(())
    }

    /// Returns whether the optimizer changes it: it is not a state, and not frozen.
    pub fn trainable(&self) -> bool {
        self.learns && !self.frozen
    }

    /// Returns whether it is frozen. States are frozen with their layer, which then knows that it should not change
    /// them (Keras's rule for BatchNormalization).
    pub fn is_frozen(&self) -> bool {
        self.frozen
    }

    /// Freezes or unfreezes it. A state never becomes trainable.
    pub fn set_frozen(&mut self, frozen: bool) {
        self.frozen = frozen;
    }

    /// Returns the penalty on it, if any.
    pub fn regularizer(&self) -> Option<&dyn Regularizer> {
        self.regularizer.as_deref()
    }

    /// Sets a penalty that is added to the loss.
    #[must_use]
    pub fn regularized(mut self, regularizer: Option<Dyn<dyn Regularizer>>) -> Param {
        self.regularizer = regularizer;
        self
    }

    /// Returns the bound on it, if any.
    pub fn constraint(&self) -> Option<&dyn Constraint> {
        self.constraint.as_deref()
    }

    /// Sets a bound that is enforced after each step of the optimizer.
    #[must_use]
    pub fn constrained(mut self, constraint: Option<Dyn<dyn Constraint>>) -> Param {
        self.constraint = constraint;
        self
    }

    /// Draws the initial value again, from this seed.
    pub(crate) fn reset(&mut self, seed: u64) -> Result<()> {
        let stream = Stream::new(seed, Purpose::Init(self.number.unwrap_or(0)), 0);
        self.value = self.initializer.tensor(self.value.spec(), stream)?;
        Ok(())
    }

    /// Returns its gradient, if the loss depends on it.
    pub fn gradient<'a>(&self, gradients: &'a Gradients) -> Option<&'a Gradient> {
        gradients.find(self.id)
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    pub(crate) fn value_mut(&mut self) -> &mut Tensor {
        &mut self.value
    }
}

/// The identity of a layer that draws random numbers or carries state between calls. It is a field of the layer,
/// like a parameter; the walk finds and numbers it, and its number keys what is drawn.
#[derive(Clone, Debug)]
pub struct Key {
    id: u64,
    /// From 1; assigned by the walk when its network is first built.
    number: u32,
}

impl Key {
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// Returns the number that keys its streams in its network.
    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    /// Returns what its state is found under in a session: its number, or its id while it has none.
    pub(crate) fn slot(&self) -> u64 {
        if self.number > 0 { u64::from(self.number) } else { self.id | 1 << 63 }
    }
}

/// Numbers the parameters and keys that have no number yet, in the order of the walk. Those numbered by the network
/// they were first built in keep their numbers, and new numbers follow those.
pub(crate) fn number(module: &mut dyn Module) {
    let (mut params, mut keys) = (0, 0);
    module.walk(&mut Path::default(), &mut |_, item| match item {
        Item::Param(p) => params = params.max(p.number.map_or(0, |n| n + 1)),
        Item::Key(k) => keys = keys.max(k.number),
        Item::Layer(_) => {}
    });
    let (mut taken_params, mut taken_keys) = (BTreeSet::new(), BTreeSet::new());
    module.walk_mut(&mut Path::default(), &mut |_, item| match item {
        // Two networks joined into one may bring the same number twice; the second would draw the same values as
        // the first.
        ItemMut::Param(p) if p.number.is_none_or(|n| !taken_params.insert(n)) => {
            p.number = Some(params);
            taken_params.insert(params);
            params += 1;
        }
        ItemMut::Key(k) if k.number == 0 || !taken_keys.insert(k.number) => {
            keys += 1;
            k.number = keys;
            taken_keys.insert(keys);
        }
        _ => {}
    });
}

/// Returns the numbers of all parameters and keys, in the order of the walk.
pub(crate) fn numbers(module: &dyn Module) -> (Vec<u32>, Vec<u32>) {
    let (mut params, mut keys) = (Vec::new(), Vec::new());
    module.walk(&mut Path::default(), &mut |_, item| match item {
        Item::Param(p) => params.push(p.number.unwrap_or(0)),
        Item::Key(k) => keys.push(k.number),
        Item::Layer(_) => {}
    });
    (params, keys)
}

/// Restores what [`numbers`] returned.
///
/// # Errors
/// There is not one number for each.
pub(crate) fn set_numbers(module: &mut dyn Module, params: &[u32], keys: &[u32]) -> Result<()> {
    let (have_params, have_keys) = numbers(module);
    if (params.len(), keys.len()) != (have_params.len(), have_keys.len()) {
        let expected = format!("{} numbers of parameters and {} of keys", have_params.len(), have_keys.len());
        return Err(Error::argument("numbers", expected, format!("{} and {}", params.len(), keys.len())));
    }
    const MOST: u32 = 1 << 30;
    let distinct =
        |numbers: &[u32]| numbers.iter().copied().collect::<BTreeSet<u32>>().len() == numbers.len();
    if !distinct(params)
        || !distinct(keys)
        || keys.contains(&0)
        || params.iter().chain(keys).any(|n| *n > MOST)
    {
        let expected = "numbers that are all different, of keys above 0";
        return Err(Error::argument("numbers", expected, "others"));
    }
    let (mut params, mut keys) = (params.iter(), keys.iter());
    module.walk_mut(&mut Path::default(), &mut |_, item| match item {
        ItemMut::Param(p) => p.number = params.next().copied(),
        ItemMut::Key(k) => k.number = keys.next().copied().unwrap_or(0),
        ItemMut::Slot(_) => {}
    });
    Ok(())
}

/// Draws the initial value of every parameter that was only planned.
///
/// # Errors
/// An initializer does not fit its parameter's shape, or there is not enough memory; the message names the
/// parameter.
pub(crate) fn draw(module: &mut dyn Module, seed: u64) -> Result<()> {
    let mut result = Ok(());
    module.visit_mut(&mut |path, p| {
        if result.is_ok() && p.value.is_traced() {
            result = p.reset(seed).at(|| format!("parameter '{path}'"));
        }
    });
    result
}

/// What layers make their parameters and keys with.
#[derive(Debug)]
pub struct Init {
    seed: u64,
    dtype: DType,
    made: u32,
    keys: u32,
    frozen: bool,
    /// If only planning (shapes but no values, numbers from the walk): what may still be requested.
    plan: Option<Budget>,
}

/// What a weight must be, for messages; [`Shape::is_countable`](crate::Shape::is_countable).
pub(crate) const LARGEST: &str = "sizes whose weights some memory can hold";

/// The limits of a network that is only being planned: elements per parameter, and bytes in total.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    pub(crate) elements: u64,
    pub(crate) bytes: u64,
    /// Calls of layers, including nested ones: a small file can ask for any number.
    pub(crate) calls: u64,
}

impl Budget {
    /// No limit.
    pub(crate) const NONE: Budget = Budget { elements: u64::MAX, bytes: u64::MAX, calls: u64::MAX };

    /// The number of calls that a network in a file may have.
    pub(crate) const FILE_CALLS: u64 = 1 << 18;

    fn take(&mut self, spec: Spec) -> Result<()> {
        let sizes = spec.shape.dims().iter();
        let elements = sizes.fold(1u64, |n, &d| n.saturating_mul(d as u64));
        let bytes = elements.saturating_mul(spec.dtype.size() as u64);
        let over = |quantity, got, limit| {
            Err(Error::Limit { what: format!("a parameter {spec}"), quantity, got, limit })
        };
        if elements > self.elements {
            return over("the number of elements", elements, self.elements);
        }
        if bytes > self.bytes {
            return over("the size in bytes (beside the parameters before it)", bytes, self.bytes);
        }
        if self.bytes < u64::MAX {
            self.bytes -= bytes;
        }
        Ok(())
    }
}

impl Init {
    /// Creates one for a layer that is built by hand: parameters get their values at once, numbered in the order in
    /// which they are made. A network does not use this: it plans its layers and draws the values of all parameters
    /// in the order of its walk.
    pub fn new(seed: u64, dtype: DType) -> Init {
        Init { seed, dtype, made: 0, keys: 0, frozen: false, plan: None }
    }

    /// For a network: parameters get shapes, but no values and no memory.
    pub(crate) fn planned(dtype: DType, budget: Budget) -> Init {
        Init { plan: Some(budget), ..Init::new(0, dtype) }
    }

    /// Returns the dtype of parameters.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Creates a trainable parameter (frozen if the layer being built is).
    ///
    /// # Errors
    /// The initializer cannot make this shape, or there is not enough memory.
    pub fn param(&mut self, shape: impl IntoShape, initializer: &Dyn<dyn Initializer>) -> Result<Param> {
        self.make(shape.into_shape()?, initializer, true)
    }

    /// Creates a value that a layer keeps and no optimizer changes, such as running statistics.
    ///
    /// # Errors
    /// Those of [`Init::param`].
    pub fn state(&mut self, shape: impl IntoShape, initializer: &Dyn<dyn Initializer>) -> Result<Param> {
        self.make(shape.into_shape()?, initializer, false)
    }

    /// Creates a trainable parameter by a layer's settings for one: its initializer, penalty and bound.
    ///
    /// # Errors
    /// Those of [`Init::param`].
    pub fn weight(
        &mut self,
        shape: impl IntoShape,
        initializer: &Dyn<dyn Initializer>,
        regularizer: &Option<Dyn<dyn Regularizer>>,
        constraint: &Option<Dyn<dyn Constraint>>,
    ) -> Result<Param> {
        regularizer.as_ref().map_or(Ok(()), |r| r.check()).at(|| "regularizer")?;
        constraint.as_ref().map_or(Ok(()), |c| c.check()).at(|| "constraint")?;
        let param = self.param(shape, initializer)?;
        regularizer.as_ref().map_or(Ok(()), |r| r.usable())?;
        constraint.as_ref().map_or(Ok(()), |c| c.usable())?;
        Ok(param.regularized(regularizer.clone()).constrained(constraint.clone()))
    }

    /// [`Init::weight`], or `None` if it is not wanted: for a bias, a factor, a shift.
    ///
    /// # Errors
    /// Those of [`Init::param`].
    pub fn weight_if(
        &mut self,
        wanted: bool,
        shape: impl IntoShape,
        initializer: &Dyn<dyn Initializer>,
        regularizer: &Option<Dyn<dyn Regularizer>>,
        constraint: &Option<Dyn<dyn Constraint>>,
    ) -> Result<Option<Param>> {
        match wanted {
            true => self.weight(shape, initializer, regularizer, constraint).map(Some),
            false => Ok(None),
        }
    }

    /// Creates a key, for a layer that draws random numbers or carries state between calls.
    pub fn key(&mut self) -> Key {
        self.keys += 1;
        Key { id: fresh_id(), number: if self.plan.is_some() { 0 } else { self.keys } }
    }

    fn make(
        &mut self,
        shape: crate::Shape,
        initializer: &Dyn<dyn Initializer>,
        learns: bool,
    ) -> Result<Param> {
        initializer.usable()?;
        let spec = Spec::new(shape, self.dtype);
        let (value, number) = match &mut self.plan {
            Some(budget) => {
                budget.take(spec)?;
                if !shape.is_countable() {
                    return Err(Error::argument("parameter", LARGEST, shape));
                }
                (Array::traced(spec).into(), None)
            }
            None => {
                let number = self.made;
                self.made += 1;
                let stream = Stream::new(self.seed, Purpose::Init(number), 0);
                (initializer.tensor(spec, stream)?, Some(number))
            }
        };
        let (initializer, frozen) = (initializer.clone(), self.frozen);
        let (regularizer, constraint) = (None, None);
        Ok(Param { id: fresh_id(), value, learns, frozen, number, initializer, regularizer, constraint })
    }

    /// Returns whether parameters are made frozen.
    pub(crate) fn is_frozen(&self) -> bool {
        self.frozen
    }

    /// Counts a call of a layer against the limit.
    pub(crate) fn count_call(&mut self) -> Result<()> {
        let Some(budget) = &mut self.plan else { return Ok(()) };
        let Some(left) = budget.calls.checked_sub(1) else {
            let (quantity, limit) = ("the number of calls of layers", Budget::FILE_CALLS);
            return Err(Error::Limit { what: "network".into(), quantity, got: limit + 1, limit });
        };
        budget.calls = left;
        Ok(())
    }

    /// Runs `f` while parameters are made frozen, if `frozen`, or as before.
    pub(crate) fn with_frozen<R>(&mut self, frozen: bool, f: impl FnOnce(&mut Init) -> R) -> R {
        let before = self.frozen;
        self.frozen |= frozen;
        let result = f(self);
        self.frozen = before;
        result
    }
}
