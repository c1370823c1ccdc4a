//! Labels as one-hot rows, and vectors of length 1: `keras.utils.to_categorical` and `keras.utils.normalize`.

use crate::tensor::Tensor;
use crate::{DType, Error, Result};

/// A row of zeros with a 1 for each label, float32 along a new last axis; a last axis of one label is taken away first. Without
/// `num_classes` there are as many as the largest label needs.
///
/// ```
/// use gradus::Tensor;
/// use gradus::data::to_categorical;
///
/// let y = Tensor::from_slice(&[0i64, 2], [2])?;
/// assert_eq!(to_categorical(&y, None)?.to_vec::<f32>()?, [1.0, 0.0, 0.0, 0.0, 0.0, 1.0]);
/// # Ok::<(), gradus::Error>(())
/// ```
///
/// # Errors
/// A label is below 0 (NumPy, and so Keras, counts it from the end), not below `num_classes`, or no whole number; or there are no labels
/// to count classes by.
pub fn to_categorical(labels: &Tensor, num_classes: impl Into<Option<usize>>) -> Result<Tensor> {
    let labels = match labels.dims() {
        [.., _, 1] => labels.squeeze(-1)?,
        _ => labels.clone(),
    };
    let whole = labels.cast(DType::I64)?;
    if labels.dtype().is_float() {
        let values = labels.cast(DType::F64)?.to_vec::<f64>()?;
        if let Some(at) = values.iter().position(|v| v.fract() != 0.0 || !v.is_finite()) {
            let got = format!("{} at position {at}", values[at]);
            return Err(Error::argument("labels", "whole numbers", got));
        }
    }
    let classes = match num_classes.into() {
        Some(n) => n,
        None => {
            let most = whole.to_vec::<i64>()?.into_iter().max();
            let most = most
                .ok_or_else(|| Error::argument("num_classes", "a number, as there are no labels", "none"))?;
            usize::try_from(most + 1).unwrap_or(0)
        }
    };
    whole.one_hot(classes, DType::F32)
}

/// Each vector along `axis` divided by its norm of this order (2 for Euclid's), so that it has length 1; a vector of zeros stays as it is.
/// Integers become float32.
///
/// ```
/// use gradus::Tensor;
/// use gradus::data::normalize;
///
/// let x = Tensor::from_slice(&[3.0f32, 4.0, 0.0, 0.0], [2, 2])?;
/// assert_eq!(normalize(&x, -1, 2.0)?.to_vec::<f32>()?, [0.6, 0.8, 0.0, 0.0]);
/// # Ok::<(), gradus::Error>(())
/// ```
///
/// # Errors
/// The axis is out of range, or the order is NaN.
pub fn normalize(x: &Tensor, axis: isize, order: f64) -> Result<Tensor> {
    let x = if x.dtype().is_float() { x.clone() } else { x.cast(DType::F32)? };
    let norm = x.norm(order, &[axis], true)?;
    let none = norm.equal(&norm.new_full([], 0.0)?)?.cast(norm.dtype())?;
    x.div(&norm.add(&none)?)
}
