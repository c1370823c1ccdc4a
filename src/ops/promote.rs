//! Promotes operands of different element types to one, by the rule of `DType::promote`. This uses `cast`, so that
//! gradients flow back to each in its own type.

use crate::tensor::{Few, Tensor};
use crate::{DType, Error, Result};
use std::borrow::Cow;

/// Returns the tensors in their common dtype: themselves, if they already share one.
pub(super) fn alike<const N: usize>(tensors: [&Tensor; N]) -> Result<[Cow<'_, Tensor>; N]> {
    let mut out = tensors.map(Cow::Borrowed);
    if let Some(common) = common(&tensors) {
        for t in &mut out {
            if t.dtype() != common {
                *t = Cow::Owned(t.cast(common)?);
            }
        }
    }
    Ok(out)
}

/// The same for a list.
pub(super) fn all_alike<'a>(tensors: &[&'a Tensor]) -> Result<Few<Cow<'a, Tensor>, 2>> {
    let common = common(tensors);
    let one = |t: &&'a Tensor| match common {
        Some(dtype) if dtype != t.dtype() => t.cast(dtype).map(Cow::Owned),
        _ => Ok(Cow::Borrowed(*t)),
    };
    tensors.iter().map(one).collect()
}

fn common(tensors: &[&Tensor]) -> Option<DType> {
    tensors.iter().map(|t| t.dtype()).reduce(DType::promote)
}

/// Returns indices as the kernels take them, int64.
pub(super) fn indices<'a>(op: &'static str, t: &'a Tensor) -> Result<Cow<'a, Tensor>> {
    match t.dtype() {
        DType::I64 => Ok(Cow::Borrowed(t)),
        dtype if dtype.is_integer() => Ok(Cow::Owned(t.cast(DType::I64)?)),
        got => Err(Error::DType { op, expected: "integer indices (cast to int64)", got }),
    }
}
