//! Why it exists: the share of right predictions, of whichever kind the shapes call for.

use super::Metric;
use crate::tensor::Tensor;
use crate::{DType, Error, Result};
use serde::{Deserialize, Serialize};

/// The share of right predictions. As Keras resolves `"accuracy"`: predictions with a last size of 1 are compared with 0.5
/// (binary); targets of lower rank, or with a last size of 1, are labels (sparse categorical); else the largest target
/// counts (categorical).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accuracy {
    #[serde(skip)]
    right: f64,
    #[serde(skip)]
    total: f64,
}

impl Accuracy {
    /// The metric, named `accuracy`.
    pub fn new() -> Accuracy {
        Accuracy::default()
    }
}

/// The class that each row of targets names.
fn classes(y_true: &Tensor, y_pred: &Tensor) -> Result<Tensor> {
    let last = |t: &Tensor| t.dims().last().copied();
    if y_true.rank() == y_pred.rank() && last(y_true) == Some(1) {
        return y_true.squeeze(-1)?.cast(DType::I64);
    }
    if y_true.rank() < y_pred.rank() { y_true.cast(DType::I64) } else { y_true.scale(1.0)?.argmax(-1) }
}

impl Metric for Accuracy {
    fn name(&self) -> &str {
        "accuracy"
    }

    fn update(&mut self, y_true: &Tensor, y_pred: &Tensor) -> Result<()> {
        let fail = |why: &str| Err(Error::shapes("accuracy", *y_true.shape(), *y_pred.shape(), why));
        if y_pred.dims().last() == Some(&1) {
            if y_true.elements() != y_pred.elements() {
                return fail("expected one target for each prediction");
            }
            let p = y_pred.cast(DType::F64)?.to_vec::<f64>()?;
            let t = y_true.cast(DType::F64)?.to_vec::<f64>()?;
            self.right += p.iter().zip(&t).filter(|(p, t)| (**p > 0.5) == (**t > 0.5)).count() as f64;
            self.total += p.len() as f64;
            return Ok(());
        }
        let (guess, truth) = (y_pred.detach().argmax(-1)?, classes(y_true, y_pred)?);
        if guess.shape() != truth.shape() {
            return fail(
                "expected labels of the predictions' leading shape, or one-hot targets of the same shape",
            );
        }
        let (guess, truth) = (guess.array().contiguous()?, truth.array().contiguous()?);
        let (guess, truth) = (guess.slice::<i64>()?, truth.slice::<i64>()?);
        self.right += guess.iter().zip(truth).filter(|(g, t)| g == t).count() as f64;
        self.total += guess.len() as f64;
        Ok(())
    }

    fn result(&self) -> f64 {
        if self.total == 0.0 { 0.0 } else { self.right / self.total }
    }

    fn reset(&mut self) {
        *self = Accuracy::default();
    }

    fn larger_is_better(&self) -> bool {
        true
    }
}
