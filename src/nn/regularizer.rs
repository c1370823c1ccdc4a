//! Why it exists: penalties on parameters, added to the loss.

use crate::Result;
use crate::config::{Configured, Dyn, kind};
use crate::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// A penalty on a parameter.
pub trait Regularizer: Configured + std::fmt::Debug + Send + Sync {
    /// The penalty: one number, differentiable.
    ///
    /// # Errors
    /// The parameter's dtype is not float32 or float64.
    fn penalty(&self, weight: &Tensor) -> Result<Tensor>;
}

impl<R: Regularizer + 'static> From<R> for Dyn<dyn Regularizer> {
    fn from(regularizer: R) -> Self {
        Dyn(std::sync::Arc::new(regularizer))
    }
}

/// `l1 · Σ|w| + l2 · Σw²` (Keras's rule: no half).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct L1L2 {
    l1: f64,
    l2: f64,
}

impl L1L2 {
    /// Both penalties; Keras's default for each is 0.
    pub fn new(l1: f64, l2: f64) -> L1L2 {
        L1L2 { l1, l2 }
    }
}

impl Regularizer for L1L2 {
    fn penalty(&self, weight: &Tensor) -> Result<Tensor> {
        let l1 =
            if self.l1 == 0.0 { None } else { Some(weight.abs()?.sum(&[], false)?.affine(self.l1, 0.0)?) };
        let l2 = weight.square()?.sum(&[], false)?.affine(self.l2, 0.0)?;
        match l1 {
            Some(l1) => l1.add(&l2),
            None => Ok(l2),
        }
    }
}

/// `l1 · Σ|w|`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct L1 {
    l1: f64,
}

impl L1 {
    /// With this factor; Keras's default is 0.01.
    pub fn new(l1: f64) -> L1 {
        L1 { l1 }
    }
}

impl Regularizer for L1 {
    fn penalty(&self, weight: &Tensor) -> Result<Tensor> {
        weight.abs()?.sum(&[], false)?.affine(self.l1, 0.0)
    }
}

/// `l2 · Σw²` (Keras's rule: no half).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct L2 {
    l2: f64,
}

impl L2 {
    /// With this factor; Keras's default is 0.01.
    pub fn new(l2: f64) -> L2 {
        L2 { l2 }
    }
}

impl Regularizer for L2 {
    fn penalty(&self, weight: &Tensor) -> Result<Tensor> {
        weight.square()?.sum(&[], false)?.affine(self.l2, 0.0)
    }
}

kind!("regularizer", Regularizer: L1, L2, L1L2);
