//! `CTC`: the loss for labels that say what was written or spoken, but not in which frame.

use super::{Loss, Reads};
use crate::tensor::Tensor;
use crate::{DType, Error, Result, settings};

settings! {
    /// The connectionist temporal classification loss (Graves and others 2006) of logits `[batch, frames, classes]` and labels
    /// `[batch, length]`, integers: 0 is the blank, and stands behind the labels of a row that is shorter. All frames count;
    /// [`Tensor::ctc_loss`] takes lengths. [`Tensor::ctc_greedy_decode`] and [`Tensor::ctc_beam_search_decode`] read labels off logits.
    #[derive(Copy, PartialEq)]
    pub struct CTC {
        /// Of logits: the network ends without softmax.
        new();
    }
}

impl Loss for CTC {
    fn reads(&self) -> Reads {
        Reads::ClassLogits
    }

    fn targets(&self) -> (f64, f64) {
        (0.0, f64::INFINITY)
    }

    fn call(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<Tensor> {
        let (&[rows, _], &[batch, frames, _]) = (y_true.dims(), y_pred.dims()) else {
            let why = "expected labels [batch, length] and logits [batch, frames, classes]";
            return Err(Error::shapes("CTC", *y_true.shape(), *y_pred.shape(), why));
        };
        if rows != batch {
            let why = "expected labels for each row of logits";
            return Err(Error::shapes("CTC", *y_true.shape(), *y_pred.shape(), why));
        }
        if !y_true.dtype().is_integer() {
            let expected = "integer labels (int64, int32, int8 or uint8)";
            return Err(Error::DType { op: "CTC", expected, got: y_true.dtype() });
        }
        let labels = y_true.cast(DType::I64)?;
        let counts = labels.not_equal(&labels.new_full([], 0.0)?)?.cast(DType::I64)?.sum(&[1], false)?;
        let lengths = counts.new_full(*counts.shape(), frames as f64)?;
        y_pred.ctc_loss(&labels, &counts, &lengths, 0)
    }
}
