//! Why it exists: a parameter is a value that its layer owns, with a key by which gradients and optimizer state find
//! it and a path by which people and files do.

use super::constraint::Constraint;
use super::initializer::Initializer;
use super::regularizer::Regularizer;
use crate::autograd::{Gradients, fresh_id};
use crate::config::{Dyn, Text};
use crate::random::{Purpose, Stream};
use crate::tensor::{Array, Tensor};
use crate::{DType, Error, IntoShape, Result, Spec};

/// A value that training changes, or (not trainable) that a layer keeps, such as running statistics.
#[derive(Clone, Debug)]
pub struct Param {
    id: u64,
    value: Tensor,
    trainable: bool,
    initializer: Dyn<dyn Initializer>,
    regularizer: Option<Dyn<dyn Regularizer>>,
    constraint: Option<Dyn<dyn Constraint>>,
}

impl Param {
    /// The current value, without history.
    pub fn value(&self) -> &Tensor {
        &self.value
    }

    /// Replaces the value.
    ///
    /// # Errors
    /// Shape or dtype differ from the present ones.
    pub fn set(&mut self, value: Tensor) -> Result<()> {
        if value.spec() != self.value.spec() {
            let (was, is) = (self.value.spec(), value.spec());
            return Err(Error::shapes("parameter", was.shape, is.shape, format!("expected {was}, got {is}")));
        }
        self.value = value.detach();
        Ok(())
    }

    /// Whether the optimizer changes it.
    pub fn trainable(&self) -> bool {
        self.trainable
    }

    /// Freezes or unfreezes it.
    pub fn set_trainable(&mut self, trainable: bool) {
        self.trainable = trainable;
    }

    /// The penalty on it, if any.
    pub fn regularizer(&self) -> Option<&dyn Regularizer> {
        self.regularizer.as_deref()
    }

    /// With a penalty that is added to the loss.
    #[must_use]
    pub fn regularized(mut self, regularizer: Option<Dyn<dyn Regularizer>>) -> Param {
        self.regularizer = regularizer;
        self
    }

    /// The bound on it, if any.
    pub fn constraint(&self) -> Option<&dyn Constraint> {
        self.constraint.as_deref()
    }

    /// With a bound that holds after each step of the optimizer.
    #[must_use]
    pub fn constrained(mut self, constraint: Option<Dyn<dyn Constraint>>) -> Param {
        self.constraint = constraint;
        self
    }

    /// Draws the initial value again.
    pub(crate) fn reset(&mut self, stream: Stream) -> Result<()> {
        self.value = self.initializer.tensor(self.value.spec(), stream)?;
        Ok(())
    }

    /// Its gradient out of a sweep, if the loss depends on it.
    pub fn gradient<'a>(&self, gradients: &'a Gradients) -> Option<&'a Tensor> {
        gradients.find(self.id)
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    pub(crate) fn value_mut(&mut self) -> &mut Tensor {
        &mut self.value
    }
}

/// Where a parameter stands: names joined by `/`, such as `dense_1/kernel`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Path(Text);

impl Path {
    /// The path as text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Runs `f` one level deeper.
    pub fn inside(&mut self, name: &str, f: impl FnOnce(&mut Path)) {
        let length = self.0.len();
        if length > 0 {
            self.0.push_str("/");
        }
        self.0.push_str(name);
        f(self);
        self.0.truncate(length);
    }
}

impl std::fmt::Display for Path {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The one walk over parameters: optimizers, files, summaries and snapshots all use it. Implement it with
/// [`params!`](crate::params).
pub trait Params {
    /// Calls `f` with each parameter and its path, in a fixed order.
    fn visit(&self, at: &mut Path, f: &mut dyn FnMut(&Path, &Param));
    /// The same, to change them.
    fn visit_mut(&mut self, at: &mut Path, f: &mut dyn FnMut(&Path, &mut Param));
}

impl Params for Param {
    fn visit(&self, at: &mut Path, f: &mut dyn FnMut(&Path, &Param)) {
        f(at, self);
    }
    fn visit_mut(&mut self, at: &mut Path, f: &mut dyn FnMut(&Path, &mut Param)) {
        f(at, self);
    }
}

impl<P: Params> Params for Option<P> {
    fn visit(&self, at: &mut Path, f: &mut dyn FnMut(&Path, &Param)) {
        if let Some(p) = self {
            p.visit(at, f);
        }
    }
    fn visit_mut(&mut self, at: &mut Path, f: &mut dyn FnMut(&Path, &mut Param)) {
        if let Some(p) = self {
            p.visit_mut(at, f);
        }
    }
}

impl<P: Params> Params for Vec<P> {
    fn visit(&self, at: &mut Path, f: &mut dyn FnMut(&Path, &Param)) {
        for (i, p) in self.iter().enumerate() {
            at.inside(&i.to_string(), |at| p.visit(at, f));
        }
    }
    fn visit_mut(&mut self, at: &mut Path, f: &mut dyn FnMut(&Path, &mut Param)) {
        for (i, p) in self.iter_mut().enumerate() {
            at.inside(&i.to_string(), |at| p.visit_mut(at, f));
        }
    }
}

/// What layers make their parameters with: the seed, the dtype, and how many came before.
#[derive(Debug)]
pub struct Init {
    seed: u64,
    dtype: DType,
    made: u32,
    trainable: bool,
    /// What may yet be asked for, if parameters get shapes but no values.
    plan: Option<Budget>,
}

/// What the parameters of a network that is only being planned may take: in elements each, in bytes together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    pub(crate) elements: u64,
    pub(crate) bytes: u64,
}

impl Budget {
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
        self.bytes -= bytes;
        Ok(())
    }
}

impl Init {
    /// For a network of this seed, whose parameters have this dtype.
    pub fn new(seed: u64, dtype: DType) -> Init {
        Init { seed, dtype, made: 0, trainable: true, plan: None }
    }

    /// For a network whose parameters will be set from a file: they get shapes but no values and no memory.
    pub(crate) fn planned(seed: u64, dtype: DType, budget: Budget) -> Init {
        Init { plan: Some(budget), ..Init::new(seed, dtype) }
    }

    /// The dtype of parameters.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// A trainable parameter (unless the layer being built is frozen).
    ///
    /// # Errors
    /// The initializer cannot make this shape, or memory cannot be had.
    pub fn param(&mut self, shape: impl IntoShape, initializer: &Dyn<dyn Initializer>) -> Result<Param> {
        let trainable = self.trainable;
        self.make(shape, initializer, trainable)
    }

    /// A parameter that the optimizer leaves alone, such as running statistics.
    ///
    /// # Errors
    /// As [`Init::param`].
    pub fn state(&mut self, shape: impl IntoShape, initializer: &Dyn<dyn Initializer>) -> Result<Param> {
        self.make(shape, initializer, false)
    }

    fn make(
        &mut self,
        shape: impl IntoShape,
        initializer: &Dyn<dyn Initializer>,
        trainable: bool,
    ) -> Result<Param> {
        let stream = Stream::new(self.seed, Purpose::Init(self.made), 0);
        self.made += 1;
        let spec = Spec::new(shape.into_shape()?, self.dtype);
        let value = match &mut self.plan {
            Some(budget) => {
                budget.take(spec)?;
                Array::traced(spec).into()
            }
            None => initializer.tensor(spec, stream)?,
        };
        let initializer = initializer.clone();
        Ok(Param { id: fresh_id(), value, trainable, initializer, regularizer: None, constraint: None })
    }

    /// Runs `f` while parameters are made trainable or not.
    pub(crate) fn with_trainable<R>(&mut self, trainable: bool, f: impl FnOnce(&mut Init) -> R) -> R {
        let before = self.trainable;
        self.trainable = before && trainable;
        let result = f(self);
        self.trainable = before;
        result
    }
}
