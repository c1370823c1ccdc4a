//! Why it exists: bounds on parameters, enforced after each step of the optimizer. Formulas are Keras's.

use crate::config::{Configured, Dyn, by_serde, kind};
use crate::tensor::Tensor;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// A bound on a parameter.
pub trait Constraint: Configured + std::fmt::Debug + Send + Sync {
    /// The nearest value (or one on the way to it) within the bounds, of the same shape.
    ///
    /// # Errors
    /// The parameter has not the axes that the bound is about.
    fn project(&self, weight: &Tensor) -> Result<Tensor>;
}

impl<C: Constraint + 'static> From<C> for Dyn<dyn Constraint> {
    fn from(constraint: C) -> Self {
        Dyn(std::sync::Arc::new(constraint))
    }
}

kind! {
    dyn Constraint, "constraint", Registry::constraint;
    use MaxNorm, NonNeg, UnitNorm, MinMaxNorm;
}
by_serde!(MaxNorm, NonNeg, UnitNorm, MinMaxNorm);

/// Keeps divisors from zero (Keras's epsilon).
const EPSILON: f64 = 1e-7;

/// The Euclidean norms along axes, which stay with size 1.
fn norms(w: &Tensor, axes: &[isize]) -> Result<Tensor> {
    w.square()?.sum(axes, true)?.sqrt()
}

/// `w · wanted / (ε + norms)`.
fn rescale(w: &Tensor, norms: &Tensor, wanted: &Tensor) -> Result<Tensor> {
    w.mul(&wanted.div(&norms.affine(1.0, EPSILON)?)?)
}

/// Fails unless these are bounds.
fn check(name: &'static str, low: f64, high: f64) -> Result<()> {
    if low >= 0.0 && low <= high {
        Ok(())
    } else {
        Err(Error::argument(name, "0 <= min_value <= max_value", format!("{low} and {high}")))
    }
}

/// Builder of the axes along which norms are taken.
macro_rules! axes {
    ($type:ident) => {
        impl $type {
            /// The axes along which a norm is taken; the first by default: the weights into one unit of a dense kernel. A
            /// convolution's are `[0, 1, 2]`.
            #[must_use]
            pub fn axis(mut self, axes: impl Into<Vec<isize>>) -> $type {
                self.axis = axes.into();
                self
            }
        }
    };
}

/// Norms of at most `max_value`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaxNorm {
    max_value: f64,
    axis: Vec<isize>,
}
axes!(MaxNorm);

impl MaxNorm {
    /// At most this; Keras's default is 2.
    pub fn new(max_value: f64) -> MaxNorm {
        MaxNorm { max_value, axis: vec![0] }
    }
}

impl Constraint for MaxNorm {
    fn project(&self, w: &Tensor) -> Result<Tensor> {
        check("MaxNorm", 0.0, self.max_value)?;
        let norms = norms(w, &self.axis)?;
        rescale(w, &norms, &norms.clip(0.0, self.max_value)?)
    }
}

/// No negative values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NonNeg {}

impl NonNeg {
    /// The constraint.
    pub fn new() -> NonNeg {
        NonNeg {}
    }
}

impl Constraint for NonNeg {
    fn project(&self, w: &Tensor) -> Result<Tensor> {
        w.relu()
    }
}

/// Norms of 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnitNorm {
    axis: Vec<isize>,
}
axes!(UnitNorm);

impl UnitNorm {
    /// Along the first axis.
    pub fn new() -> UnitNorm {
        UnitNorm { axis: vec![0] }
    }
}
impl Default for UnitNorm {
    fn default() -> Self {
        UnitNorm::new()
    }
}

impl Constraint for UnitNorm {
    fn project(&self, w: &Tensor) -> Result<Tensor> {
        w.div(&norms(w, &self.axis)?.affine(1.0, EPSILON)?)
    }
}

/// Norms between two values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MinMaxNorm {
    min_value: f64,
    max_value: f64,
    rate: f64,
    axis: Vec<isize>,
}
axes!(MinMaxNorm);

impl MinMaxNorm {
    /// Between these; Keras's defaults are 0 and 1.
    pub fn new(min_value: f64, max_value: f64) -> MinMaxNorm {
        MinMaxNorm { min_value, max_value, rate: 1.0, axis: vec![0] }
    }

    /// How much of the way to the bounds each step goes; 1 by default: all of it.
    #[must_use]
    pub fn rate(mut self, rate: f64) -> MinMaxNorm {
        self.rate = rate;
        self
    }
}

impl Constraint for MinMaxNorm {
    fn project(&self, w: &Tensor) -> Result<Tensor> {
        check("MinMaxNorm", self.min_value, self.max_value)?;
        let norms = norms(w, &self.axis)?;
        let bounded = norms.clip(self.min_value, self.max_value)?.affine(self.rate, 0.0)?;
        rescale(w, &norms, &bounded.add(&norms.affine(1.0 - self.rate, 0.0)?)?)
    }
}
