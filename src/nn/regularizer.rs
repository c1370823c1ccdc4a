//! Regularizers: penalties on parameters, added to the loss.

use crate::config::{Configured, Dyn, Misnamed, by_name, kind, well_named};
use crate::tensor::Tensor;
use crate::{Error, Result, settings, string_enum};

/// A penalty on a parameter.
pub trait Regularizer: Configured + std::fmt::Debug + Send + Sync {
    /// Checks the settings; called when a layer is built.
    ///
    /// # Errors
    /// A setting is out of range.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// Returns the penalty: one number, differentiable.
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
by_name!(dyn Regularizer);
impl Regularizer for Misnamed {
    fn penalty(&self, _: &Tensor) -> Result<Tensor> {
        Err(self.error())
    }
}

settings! {
    /// `l1 · Σ|w| + l2 · Σw²` (Keras's rule: no half).
    #[derive(Copy, PartialEq)]
    pub struct L1L2 {
        /// Creates it with both factors; Keras's default for each is 0.
        new(l1: f64 = 0.0, l2: f64 = 0.0);
    }
}

impl Regularizer for L1L2 {
    fn check(&self) -> Result<()> {
        Error::unless_not_negative("l1", self.l1)?;
        Error::unless_not_negative("l2", self.l2)
    }

    fn penalty(&self, weight: &Tensor) -> Result<Tensor> {
        self.check()?;
        // A penalty of 0 is absent, whatever the weights are.
        match (self.l1, self.l2) {
            (0.0, 0.0) => weight.affine(0.0, 0.0)?.clip(0.0, 0.0)?.sum(&[], false),
            (l1, 0.0) => L1::new(l1).penalty(weight),
            (0.0, l2) => L2::new(l2).penalty(weight),
            (l1, l2) => L1::new(l1).penalty(weight)?.add(&L2::new(l2).penalty(weight)?),
        }
    }
}

settings! {
    /// `l1 · Σ|w|`.
    #[derive(Copy, PartialEq)]
    pub struct L1 {
        /// Creates it with this factor; Keras's default is 0.01.
        new(l1: f64 = 0.01);
    }
}

impl Regularizer for L1 {
    fn check(&self) -> Result<()> {
        Error::unless_not_negative("l1", self.l1)
    }

    fn penalty(&self, weight: &Tensor) -> Result<Tensor> {
        self.check()?;
        weight.abs()?.sum(&[], false)?.affine(self.l1, 0.0)
    }
}

settings! {
    /// `l2 · Σw²` (Keras's rule: no half).
    #[derive(Copy, PartialEq)]
    pub struct L2 {
        /// Creates it with this factor; Keras's default is 0.01.
        new(l2: f64 = 0.01);
    }
}

impl Regularizer for L2 {
    fn check(&self) -> Result<()> {
        Error::unless_not_negative("l2", self.l2)
    }

    fn penalty(&self, weight: &Tensor) -> Result<Tensor> {
        self.check()?;
        weight.square()?.sum(&[], false)?.affine(self.l2, 0.0)
    }
}

string_enum! {
    /// Which vectors an [`OrthogonalRegularizer`] makes orthogonal.
    #[derive(Default)]
    pub enum Mode {
        /// The rows of the matrix.
        #[default]
        Rows = "rows",
        /// The columns of the matrix.
        Columns = "columns",
    }
}

settings! {
    /// `factor ·` the mean of `|cos|` of the angles between all pairs of rows (or columns) of a matrix, which is 0
    /// if they are orthogonal.
    #[derive(PartialEq)]
    pub struct OrthogonalRegularizer {
        /// Creates it for rows, with this factor; Keras's default is 0.01.
        new(factor: f64 = 0.01);

        /// Rows or columns; rows by default.
        mode: named Mode = Mode::Rows,
        /// What is wrong with a setting given by name.
        misnamed: state Option<String> = None,
    }
}

impl Regularizer for OrthogonalRegularizer {
    fn check(&self) -> Result<()> {
        well_named(&self.misnamed)?;
        Error::unless_not_negative("factor", self.factor)
    }

    fn penalty(&self, weight: &Tensor) -> Result<Tensor> {
        self.check()?;
        if weight.rank() != 2 {
            return Err(Error::shape("OrthogonalRegularizer", "a matrix", *weight.shape()));
        }
        let rows = if self.mode == Mode::Rows { weight.clone() } else { weight.t()? };
        let size = rows.square()?.sum(&[1], true)?;
        let unit = rows.div(&size.maximum(&size.new_full([], 1e-12)?)?.sqrt()?)?;
        let n = rows.dims()[0];
        let off_diagonal = Tensor::arange(n)?.one_hot(n, unit.dtype())?.affine(-1.0, 1.0)?;
        let sum = unit.matmul(&unit.t()?)?.mul(&off_diagonal)?.abs()?.sum(&[], false)?;
        let pairs = n as f64 * (n as f64 - 1.0) / 2.0;
        // A single row has nothing to be orthogonal to.
        sum.affine(if n < 2 { 0.0 } else { 0.5 * self.factor / pairs }, 0.0)
    }
}

kind! {
    dyn Regularizer, "regularizer", Registry::regularizer;
    use L1, L2, L1L2, OrthogonalRegularizer;
}
