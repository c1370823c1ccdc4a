//! `CategoricalGeneralizedCrossEntropy`: a cross-entropy that wrong labels cannot pull far (Zhang and Sabuncu 2018), between the usual one and
//! the absolute error.

use super::{Loss, Reads, labels};
use crate::config::Dyn;
use crate::nn::activation::{Activation, Softmax};
use crate::ops::index::check_index;
use crate::tensor::Tensor;
use crate::{Error, Result, settings};

settings! {
    /// `(1 - p[label]^q) / q`. Predictions `[…, classes]`; labels `[…]` or `[…, 1]`, of any integer dtype. Near `q` 0 it is the
    /// cross-entropy, near 1 the absolute error.
    #[derive(Copy, PartialEq)]
    pub struct CategoricalGeneralizedCrossEntropy {
        /// With q 0.5, on probabilities; behind a softmax, `compile` uses the exact form on logits if there is one.
        new();

        /// How little wrong labels count, above 0 and below 1; 0.5 by default.
        q: f64 = 0.5,
        /// Whether predictions are logits, as `compile` finds.
        logits: state bool = false,
    }
}

impl Loss for CategoricalGeneralizedCrossEntropy {
    fn check(&self) -> Result<()> {
        Error::unless(self.q > 0.0 && self.q < 1.0, "q", "a number above 0 and below 1", self.q)
    }

    fn reads(&self) -> Reads {
        if self.logits { Reads::ClassLogits } else { Reads::Shares }
    }

    fn call(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<Tensor> {
        self.check()?;
        let labels = labels("CategoricalGeneralizedCrossEntropy", y_true, y_pred)?;
        let power = match self.logits {
            true => y_pred.sparse_cross_entropy(&labels)?.affine(-self.q, 0.0)?.exp()?,
            false => {
                if !labels.is_traced() {
                    let classes = y_pred.dims().last().copied().unwrap_or(0);
                    let values = labels.contiguous()?;
                    check_index(
                        "CategoricalGeneralizedCrossEntropy",
                        "label",
                        values.array().slice()?,
                        classes,
                    )?;
                }
                let p = y_pred.take_along_axis(&labels.expand_dims(-1)?, -1)?.squeeze(-1)?;
                p.pow(&p.new_full([], self.q)?)?
            }
        };
        power.affine(-1.0 / self.q, 1.0 / self.q)
    }

    fn on_logits(&self, activation: &dyn Activation) -> Option<Dyn<dyn Loss>> {
        let fits = !self.logits && (activation as &dyn std::any::Any).downcast_ref() == Some(&Softmax);
        fits.then(|| CategoricalGeneralizedCrossEntropy { logits: true, ..*self }.into())
    }
}
