//! `Reduction`: how the losses of a batch become one number, with weights and masks.

use super::absent::{counts, zeroed};
use crate::tensor::Tensor;
use crate::{DType, Error, Result, Shape, string_enum};

string_enum! {
    /// How the losses of a batch become one number (Keras's names in files: `sum_over_batch_size` and so on).
    #[derive(Default)]
    pub enum Reduction {
        /// `Σ wᵢ·lᵢ / N`, the default. A masked batch is divided by the number of elements that count.
        #[default]
        SumOverBatchSize = "sum_over_batch_size",
        /// `Σ wᵢ·lᵢ`.
        Sum = "sum",
        /// `Σ wᵢ·lᵢ / Σ wᵢ`; 0 if the weights sum to 0.
        MeanWithSampleWeight = "mean_with_sample_weight",
        /// `wᵢ·lᵢ`: no reduction. Training needs one number and refuses this.
        None = "none",
    }
}

impl Reduction {
    /// Reduces losses. Weights have the shape of the losses, or fewer axes; so does the mask, which is bool and
    /// false where an element does not count. An element that does not count, or has the weight 0, is absent even
    /// if it is NaN.
    ///
    /// # Errors
    /// The shape of weights or mask does not fit.
    pub fn apply(self, losses: &Tensor, weights: Option<&Tensor>, mask: Option<&Tensor>) -> Result<Tensor> {
        // One number for the whole batch counts as often as the weights of its rows say, as in Keras.
        let losses = &match weights.or(mask) {
            Some(of_rows) if losses.rank() == 0 => losses.broadcast_to(*of_rows.shape())?,
            _ => losses.clone(),
        };
        let mut weights = match weights {
            Some(w) => Some(fitted("sample_weight", &w.cast(losses.dtype())?, losses.shape())?),
            None => None,
        };
        let mask = mask.map(|mask| fitted("mask", mask, losses.shape())).transpose()?;
        let losses = &zeroed(losses, counts(weights.as_ref(), mask.as_ref())?.as_ref())?;
        if let Some(mask) = mask {
            let mut counts = mask.cast(losses.dtype())?;
            if self == Reduction::SumOverBatchSize {
                let valid = counts.cast(DType::F64)?.sum(&[], false)?;
                let (all, none) = (valid.new_full([], counts.elements() as f64)?, valid.new_full([], 0.0)?);
                let scale = valid.greater(&none)?.choose(&all.div(&valid)?, &none)?;
                counts = counts.mul(&scale.cast(counts.dtype())?)?;
            }
            weights = Some(match weights {
                Some(w) => w.mul(&counts)?,
                None => counts,
            });
        }
        let weighted = match &weights {
            Some(w) => losses.mul(w)?,
            None => losses.clone(),
        };
        match self {
            Reduction::None => Ok(weighted),
            Reduction::Sum => weighted.sum(&[], false),
            Reduction::SumOverBatchSize => weighted.mean(&[], false),
            Reduction::MeanWithSampleWeight => {
                let Some(w) = weights else { return weighted.mean(&[], false) };
                let total = w.broadcast_like(losses)?.sum(&[], false)?;
                let zero = total.new_full([], 0.0)?;
                let none = total.equal(&zero)?;
                let sum = weighted.sum(&[], false)?.div(&none.choose(&total.new_full([], 1.0)?, &total)?)?;
                none.choose(&zero, &sum)
            }
        }
    }
}

/// Returns weights that broadcast over the last axes of losses of this shape.
pub(crate) fn fitted(what: &'static str, weights: &Tensor, losses: &Shape) -> Result<Tensor> {
    let mut w = weights.clone();
    while w.rank() > losses.rank() && w.dims().last() == Some(&1) {
        w = w.squeeze(-1)?;
    }
    while w.rank() < losses.rank() {
        w = w.expand_dims(-1)?;
    }
    if w.rank() != losses.rank() || w.dims().iter().zip(losses.dims()).any(|(a, b)| a != b && *a != 1) {
        let why = "one for each sample (or each position of it) is needed";
        return Err(Error::shapes(what, *weights.shape(), *losses, why));
    }
    Ok(w)
}
