//! Why it exists: what can be set for every loss alike, in one place rather than in each.

use super::{Loss, Reduction};
use crate::config::Dyn;
use crate::nn::activation::Activation;
use crate::tensor::Tensor;
use crate::{Result, settings};

/// What can be set for every loss.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Options {
    /// How the numbers of a batch become one.
    pub reduction: Reduction,
    /// How much the loss counts beside those of other outputs.
    pub weight: f64,
}

impl Default for Options {
    fn default() -> Self {
        Options { reduction: Reduction::SumOverBatchSize, weight: 1.0 }
    }
}

settings! {
    /// A loss with another reduction or weight: `Huber::new().reduction(Reduction::Sum)`.
    pub struct Tuned {
        loss: stored Dyn<dyn Loss>,
        pub(super) reduction: stored Reduction,
        pub(super) weight: stored f64,
    }
}

impl Tuned {
    pub(super) fn new(loss: impl Loss + 'static) -> Tuned {
        let Options { reduction, weight } = loss.options();
        Tuned { loss: loss.into(), reduction, weight }
    }
}

impl Loss for Tuned {
    fn call(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<Tensor> {
        self.loss.call(y_true, y_pred)
    }
    fn mask(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<Option<Tensor>> {
        self.loss.mask(y_true, y_pred)
    }
    fn on_logits(&self, activation: &dyn Activation) -> Option<Dyn<dyn Loss>> {
        let Tuned { reduction, weight, .. } = *self;
        self.loss.on_logits(activation).map(|loss| Tuned { loss, reduction, weight }.into())
    }
    fn options(&self) -> Options {
        Options { reduction: self.reduction, weight: self.weight }
    }
    fn tuned(self) -> Tuned {
        self
    }
}
