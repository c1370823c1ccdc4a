//! The options of every loss, such as reduction and weight: [`Tuned`] adds them to any loss, so that each need not
//! declare them.

use super::{Loss, Reads, Reduction};
use crate::config::{Dyn, well_named};
use crate::nn::activation::Activation;
use crate::tensor::Tensor;
use crate::{Error, Result, settings};

/// The options that every loss has.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Options {
    /// How the numbers of a batch become one number.
    pub reduction: Reduction,
    /// How much the loss counts in the sum over outputs.
    pub weight: f64,
    /// See [`Loss::allow_mismatch`].
    pub allow_mismatch: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options { reduction: Reduction::SumOverBatchSize, weight: 1.0, allow_mismatch: false }
    }
}

settings! {
    /// A loss with another reduction or weight: `Huber::new().reduction(Reduction::Sum)`.
    pub struct Tuned {
        loss: stored Dyn<dyn Loss>,
        pub(super) reduction: stored Reduction,
        pub(super) weight: stored f64,
        pub(super) allow_mismatch: stored bool = false,
        /// What is wrong with the reduction, if it was given by a name that means nothing.
        pub(super) misnamed: state Option<String> = None,
    }
}

impl Tuned {
    pub(super) fn new(loss: impl Loss + 'static) -> Tuned {
        let Options { reduction, weight, allow_mismatch } = loss.options();
        Tuned { loss: loss.into(), reduction, weight, allow_mismatch, misnamed: None }
    }
}

impl Loss for Tuned {
    fn name(&self) -> &'static str {
        self.loss.name()
    }
    fn check(&self) -> Result<()> {
        well_named(&self.misnamed)?;
        self.loss.check()?;
        Error::unless(self.weight.is_finite(), "loss weight", "a finite number", self.weight)
    }
    fn reads(&self) -> Reads {
        self.loss.reads()
    }
    fn targets(&self) -> (f64, f64) {
        self.loss.targets()
    }
    fn axis(&self) -> isize {
        self.loss.axis()
    }
    fn across_rows(&self) -> bool {
        self.loss.across_rows()
    }
    fn call(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<Tensor> {
        self.loss.call(y_true, y_pred)
    }
    fn mask(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<Option<Tensor>> {
        self.loss.mask(y_true, y_pred)
    }
    fn on_logits(&self, activation: &dyn Activation) -> Option<Dyn<dyn Loss>> {
        self.loss.on_logits(activation).map(|loss| Tuned { loss, ..self.clone() }.into())
    }
    fn options(&self) -> Options {
        Options { reduction: self.reduction, weight: self.weight, allow_mismatch: self.allow_mismatch }
    }
    fn tuned(self) -> Tuned {
        self
    }
}
