//! Constraints: bounds on parameters that are enforced after each step of the optimizer, by Keras's formulas.

use crate::config::{Configured, Dyn, Misnamed, by_name, kind};
use crate::nn::Axes;
use crate::tensor::Tensor;
use crate::{Error, Result, settings};

/// A bound on a parameter.
pub trait Constraint: Configured + std::fmt::Debug + Send + Sync {
    /// Checks the settings; called when a layer is built.
    ///
    /// # Errors
    /// A setting is out of range.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// Returns the nearest value within the bounds (or one on the way to it), of the same shape.
    ///
    /// # Errors
    /// The parameter lacks the axes that the bound is about.
    fn project(&self, weight: &Tensor) -> Result<Tensor>;
}

impl<C: Constraint + 'static> From<C> for Dyn<dyn Constraint> {
    fn from(constraint: C) -> Self {
        Dyn(std::sync::Arc::new(constraint))
    }
}
by_name!(dyn Constraint);
impl Constraint for Misnamed {
    fn project(&self, _: &Tensor) -> Result<Tensor> {
        Err(self.error())
    }
}

kind! {
    dyn Constraint, "constraint", Registry::constraint;
    use MaxNorm, NonNeg, UnitNorm, MinMaxNorm;
}

/// Keeps divisors away from zero (Keras's epsilon).
const EPSILON: f64 = 1e-7;

/// Returns the Euclidean norms along axes, which stay with size 1.
fn norms(w: &Tensor, axes: &[isize]) -> Result<Tensor> {
    w.square()?.sum(axes, true)?.sqrt()
}

/// `w · wanted / (ε + norms)`.
fn rescale(w: &Tensor, norms: &Tensor, wanted: &Tensor) -> Result<Tensor> {
    w.mul(&wanted.div(&norms.affine(1.0, EPSILON)?)?)
}

settings! {
    /// Norms of at most `max_value`.
    #[derive(PartialEq)]
    pub struct MaxNorm {
        /// Creates the constraint with this limit; Keras's default is 2.
        new(max_value: f64 = 2.0);

        /// The axes along which the norm is taken; the first by default, which holds the weights into one unit of a
        /// dense kernel. For a convolution, use `[0, 1, 2]`.
        axis: into Axes = 0isize,
    }
}

impl Constraint for MaxNorm {
    fn check(&self) -> Result<()> {
        Error::unless_not_negative("max_value", self.max_value)
    }

    fn project(&self, w: &Tensor) -> Result<Tensor> {
        self.check()?;
        let norms = norms(w, self.axis.list())?;
        rescale(w, &norms, &norms.clip(0.0, self.max_value)?)
    }
}

settings! {
    /// No negative values.
    #[derive(Copy, PartialEq, Eq)]
    pub struct NonNeg {
        /// Creates the constraint.
        new();
    }
}

impl Constraint for NonNeg {
    fn project(&self, w: &Tensor) -> Result<Tensor> {
        w.relu()
    }
}

settings! {
    /// Norms of 1.
    #[derive(PartialEq)]
    pub struct UnitNorm {
        /// Creates the constraint along the first axis.
        new();

        /// The axes along which the norm is taken; the first by default, which holds the weights into one unit of a
        /// dense kernel. For a convolution, use `[0, 1, 2]`.
        axis: into Axes = 0isize,
    }
}

impl Constraint for UnitNorm {
    fn project(&self, w: &Tensor) -> Result<Tensor> {
        w.div(&norms(w, self.axis.list())?.affine(1.0, EPSILON)?)
    }
}

settings! {
    /// Norms between two values.
    #[derive(PartialEq)]
    pub struct MinMaxNorm {
        /// Creates the constraint with these limits; Keras's defaults are 0 and 1.
        new(min_value: f64 = 0.0, max_value: f64 = 1.0);

        /// How far each step moves towards the bounds; 1 by default: all the way.
        rate: f64 = 1.0,
        /// The axes along which the norm is taken; the first by default, which holds the weights into one unit of a
        /// dense kernel. For a convolution, use `[0, 1, 2]`.
        axis: into Axes = 0isize,
    }
}

impl Constraint for MinMaxNorm {
    fn check(&self) -> Result<()> {
        let MinMaxNorm { min_value, max_value, rate, .. } = *self;
        if !(min_value >= 0.0 && min_value <= max_value && max_value.is_finite()) {
            let got = format!("{min_value} and {max_value}");
            return Err(Error::argument("MinMaxNorm", "0 <= min_value <= max_value, both finite", got));
        }
        Error::unless((0.0..=1.0).contains(&rate), "rate", "0 to 1", rate)
    }

    fn project(&self, w: &Tensor) -> Result<Tensor> {
        self.check()?;
        let norms = norms(w, self.axis.list())?;
        let bounded = norms.clip(self.min_value, self.max_value)?.affine(self.rate, 0.0)?;
        rescale(w, &norms, &bounded.add(&norms.affine(1.0 - self.rate, 0.0)?)?)
    }
}
