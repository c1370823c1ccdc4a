//! Handles terms that do not count, because their weight is 0 or they are masked: they are absent, whatever value
//! stands there. Multiplying by 0 is not enough, since `0 · NaN` is NaN, in the loss and in each gradient. So terms
//! are selected, and before that the values they are made of.

use super::{Loss, fitted};
use crate::nn::both_masks;
use crate::tensor::{Few, Tensor};
use crate::{MAX_RANK, Result, Shape};

/// Replaces predictions that do not count: every loss of this and the target 0 is finite, and so is its derivative.
const PREDICTION: f64 = 0.5;

/// Returns where terms count, as bool in the shape of the weights: where those are not 0 and the mask is true.
/// `None` means everywhere.
pub(super) fn counts(weights: Option<&Tensor>, mask: Option<&Tensor>) -> Result<Option<Tensor>> {
    let weights = weights.map(|w| w.not_equal(&w.new_full([], 0.0)?)).transpose()?;
    match (weights, mask) {
        (Some(weights), Some(mask)) => weights.logical_and(mask).map(Some),
        (weights, mask) => Ok(weights.or(mask.cloned())),
    }
}

/// Returns where predictions count, in a shape that broadcasts to theirs. Weights and mask are those of the terms,
/// each of which is made of the predictions along an axis. `None` means everywhere, or that weights and mask do not
/// fit, which the reduction reports.
pub(crate) fn counted(
    y_pred: &Tensor,
    axis: isize,
    weights: Option<&Tensor>,
    mask: Option<&Tensor>,
) -> Result<Option<Tensor>> {
    if weights.is_none() && mask.is_none() {
        return Ok(None);
    }
    let Ok(axis) = y_pred.shape().axis("loss", axis) else { return Ok(None) };
    let dims = y_pred.dims().iter().enumerate().filter(|(i, _)| *i != axis).map(|(_, n)| *n);
    let terms = Shape::new(&dims.collect::<Few<usize, MAX_RANK>>())?;
    let fit = |what, t: Option<&Tensor>| t.map(|t| fitted(what, t, &terms)).transpose();
    let (Ok(weights), Ok(mask)) = (fit("sample_weight", weights), fit("mask", mask)) else { return Ok(None) };
    let Some(counts) = counts(weights.as_ref(), mask.as_ref())? else { return Ok(None) };
    counts.expand_dims(axis as isize).map(Some)
}

/// What [`Loss::call`] gives for predictions of which some do not count, and which of its numbers do: by the mask that is given and by the
/// loss's own.
pub(crate) fn each<L: Loss + ?Sized>(
    loss: &L,
    y_true: &Tensor,
    y_pred: &Tensor,
    weights: Option<&Tensor>,
    mask: Option<&Tensor>,
) -> Result<(Tensor, Option<Tensor>)> {
    if loss.across_rows() {
        // What does not count goes first: other rows' numbers are made of it too.
        let (y_true, y_pred) = present(y_true, y_pred, loss.axis(), 0.0, weights, mask)?;
        let mask = both_masks(loss.mask(&y_true, &y_pred)?.as_ref(), mask)?;
        return Ok((loss.call(&y_true, &y_pred)?, mask));
    }
    let mask = both_masks(loss.mask(y_true, y_pred)?.as_ref(), mask)?;
    let (y_true, y_pred) = present(y_true, y_pred, loss.axis(), PREDICTION, weights, mask.as_ref())?;
    Ok((loss.call(&y_true, &y_pred)?, mask))
}

/// Targets and predictions with something harmless in place of what does not count: 0, and `prediction`. Nothing flows back to it.
fn present(
    y_true: &Tensor,
    y_pred: &Tensor,
    axis: isize,
    prediction: f64,
    weights: Option<&Tensor>,
    mask: Option<&Tensor>,
) -> Result<(Tensor, Tensor)> {
    let whole = || Ok((y_true.clone(), y_pred.clone()));
    let Some(counts) = counted(y_pred, axis, weights, mask)? else { return whole() };
    // Labels have one axis less, and so may targets of one number each.
    let targets = match y_true.rank() {
        rank if rank == y_pred.rank() => counts.clone(),
        rank if rank + 1 == y_pred.rank() => counts.squeeze(axis)?,
        _ => return whole(),
    };
    let fits = |counts: &Tensor, t: &Tensor| {
        counts.rank() == t.rank() && counts.dims().iter().zip(t.dims()).all(|(c, n)| c == n || *c == 1)
    };
    if !fits(&targets, y_true) || !fits(&counts, y_pred) {
        return whole();
    }
    let y_true = targets.choose(y_true, &y_true.new_full([], 0.0)?)?;
    Ok((y_true, counts.choose(y_pred, &y_pred.new_full([], prediction)?)?))
}

/// Returns the tensor with 0 where terms do not count; weights or mask have been fitted to it.
pub(super) fn zeroed(terms: &Tensor, counts: Option<&Tensor>) -> Result<Tensor> {
    match counts {
        Some(counts) => counts.choose(terms, &terms.new_full([], 0.0)?),
        None => Ok(terms.clone()),
    }
}
