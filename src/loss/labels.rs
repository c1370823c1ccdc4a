//! Targets that name classes: by number or by one-hot rows. Only this file decides which of the two targets are.

use crate::tensor::Tensor;
use crate::{DType, Error, Result};

/// Returns the class that each row of targets names, as int64, for predictions of this rank: the position of the
/// largest number along the last axis if targets have one number per class, else the numbers themselves.
pub(crate) fn classes(y_true: &Tensor, rank: usize) -> Result<Tensor> {
    match y_true.dims().last() {
        Some(1) if y_true.rank() == rank => y_true.squeeze(-1)?.cast(DType::I64),
        Some(_) if y_true.rank() == rank => match y_true.dtype() {
            dtype if dtype.is_float() => y_true.argmax(-1),
            _ => y_true.cast(DType::F64)?.argmax(-1),
        },
        _ => y_true.cast(DType::I64),
    }
}

/// Returns labels as int64 in the predictions' leading shape.
pub(crate) fn labels(op: &'static str, y_true: &Tensor, y_pred: &Tensor) -> Result<Tensor> {
    let lead = y_pred.dims().split_last().map_or(&[][..], |(_, lead)| lead);
    let labels = match y_true.dims().split_last() {
        Some((1, rest)) if rest == lead && y_true.rank() == y_pred.rank() => y_true.squeeze(-1)?,
        _ => y_true.clone(),
    };
    if labels.dims() != lead {
        let why = "expected one label for each row of predictions (one-hot targets: CategoricalCrossentropy)";
        return Err(Error::shapes(op, *y_true.shape(), *y_pred.shape(), why));
    }
    match labels.dtype() {
        dtype if dtype.is_integer() => labels.cast(DType::I64),
        got => Err(Error::DType {
            op,
            expected: "integer labels (.cast(DType::I64)? for numbers of classes; one-hot targets: CategoricalCrossentropy)",
            got,
        }),
    }
}
