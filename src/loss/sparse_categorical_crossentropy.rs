//! `SparseCategoricalCrossentropy`: the loss of classification with integer labels.

use super::probability::rescaled;
use super::{Loss, Reads, labels};
use crate::config::Dyn;
use crate::nn::activation::{Activation, Softmax};
use crate::tensor::Tensor;
use crate::{Error, Result, settings};

settings! {
    /// `-ln p[label]`. Predictions `[…, classes]`; labels `[…]` or `[…, 1]`, of any integer dtype.
    #[derive(Copy, PartialEq)]
    pub struct SparseCategoricalCrossentropy {
        /// Takes probabilities, clipped to `[1e-7, 1 - 1e-7]`; after a softmax, `compile` uses the exact form on
        /// logits if there is one.
        new();

        /// Whether predictions are logits; no by default.
        from_logits: bool = false,
        /// Rows with this label, which need not be a class, do not count: their loss is 0, and a mean is over the
        /// others. None by default.
        ignore_class: some i64,
    }
}

const OP: &str = "SparseCategoricalCrossentropy";

impl SparseCategoricalCrossentropy {
    /// Returns where the label is not the ignored one.
    fn counts(&self, labels: &Tensor) -> Result<Option<Tensor>> {
        match self.ignore_class {
            Some(class) => labels.not_equal(&Tensor::scalar(class)?).map(Some),
            None => Ok(None),
        }
    }
}

impl Loss for SparseCategoricalCrossentropy {
    fn reads(&self) -> Reads {
        if self.from_logits { Reads::ClassLogits } else { Reads::Shares }
    }

    fn call(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<Tensor> {
        let mut labels = labels(OP, y_true, y_pred)?;
        let counts = self.counts(&labels)?;
        if let Some(counts) = &counts {
            labels = counts.choose(&labels, &Tensor::scalar(0i64)?)?;
        }
        let losses = if self.from_logits {
            y_pred.sparse_cross_entropy(&labels)?
        } else {
            let p = rescaled(y_pred)?;
            let classes = y_pred.dims().last().copied().unwrap_or(1);
            let hot = labels.one_hot(classes, p.dtype()).map_err(|e| match e {
                Error::Index { value, position, last, .. } => {
                    Error::Index { op: OP, what: "label", value, position, last }
                }
                e => e,
            })?;
            p.ln()?.mul(&hot)?.sum(&[-1], false)?.neg()?
        };
        match &counts {
            Some(counts) => counts.choose(&losses, &losses.new_full([], 0.0)?),
            None => Ok(losses),
        }
    }

    fn mask(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<Option<Tensor>> {
        if self.ignore_class.is_none() {
            return Ok(None);
        }
        let labels = labels(OP, y_true, y_pred)?;
        self.counts(&labels)
    }

    fn on_logits(&self, activation: &dyn Activation) -> Option<Dyn<dyn Loss>> {
        let fits = !self.from_logits && (activation as &dyn std::any::Any).downcast_ref() == Some(&Softmax);
        fits.then(|| self.from_logits(true).into())
    }
}
