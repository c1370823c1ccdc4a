//! What layers that merge several inputs have in common: ranks and masks, by Keras's rules.

use crate::error::Context;
use crate::nn::{Inputs, Value};
use crate::shape::is_unknown;
use crate::tensor::Tensor;
use crate::{Error, Result, Spec};

/// Fails unless there are inputs, all of one batch.
pub(super) fn check(layer: &'static str, inputs: &[Spec]) -> Result<()> {
    let Some(first) = inputs.first() else {
        return Err(Error::argument("inputs", "a list of at least one input, [&a, &b]", "none"));
    };
    for spec in inputs {
        let batches = (first.shape.dims().first(), spec.shape.dims().first());
        match batches {
            (Some(a), Some(b)) if a == b || is_unknown(*a) || is_unknown(*b) => {}
            (Some(_), Some(_)) => {
                return Err(Error::shapes(layer, first.shape, spec.shape, "the batches differ"));
            }
            _ => return Err(Error::shape(layer, "inputs with a batch", spec.shape)),
        }
    }
    Ok(())
}

/// The inputs with axes of size 1 behind the batch where they have fewer than others.
pub(super) fn same_rank(x: Inputs<'_>) -> Result<Vec<Tensor>> {
    let rank = x.values().iter().map(|v| v.tensor.rank()).max().unwrap_or(0);
    let widened = |v: &Value| {
        let mut t = v.tensor.clone();
        while t.rank() < rank {
            t = t.expand_dims(1)?;
        }
        Ok(t)
    };
    x.values().iter().map(widened).collect()
}

/// Where any input counts; everywhere if one has no mask.
pub(super) fn mask(x: Inputs<'_>) -> Result<Option<Tensor>> {
    let mut out: Option<Tensor> = None;
    for value in x.values() {
        let Some(mask) = &value.mask else { return Ok(None) };
        out = Some(match out {
            Some(others) => others.logical_or(mask).at(|| "mask")?,
            None => mask.clone(),
        });
    }
    Ok(out)
}
