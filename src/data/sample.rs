//! `Sample`: the inputs of a network, its targets, and how much the sample counts.

use crate::tensor::{AsTensors, Tensor};
use crate::{Error, Result};

/// One example, or after [`batch`](super::Dataset::batch) several along a new first axis.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    /// The inputs of the network.
    pub x: Vec<Tensor>,
    /// The targets; empty if the data is only for `predict`.
    pub y: Vec<Tensor>,
    /// The weight of the sample in the loss, as a tensor of rank 0; a batch of `n` has `[n]`. `None` counts as 1.
    pub weight: Option<Tensor>,
}

impl Sample {
    /// Creates a sample that counts as 1.
    pub fn new(x: &(impl AsTensors + ?Sized), y: &(impl AsTensors + ?Sized)) -> Sample {
        Sample {
            x: x.as_tensors().into_iter().collect(),
            y: y.as_tensors().into_iter().collect(),
            weight: None,
        }
    }

    /// Stacks samples into one batch: each tensor along a new first axis.
    ///
    /// # Errors
    /// There are no samples, shapes or dtypes differ, or only some have a weight.
    pub fn stack(samples: &[Sample]) -> Result<Sample> {
        let first = samples.first().ok_or_else(|| Error::argument("stack", "at least one sample", "none"))?;
        Ok(Sample {
            x: stack("x", samples, &first.x, |s| &s.x)?,
            y: stack("y", samples, &first.y, |s| &s.y)?,
            weight: stack("weight", samples, first.weight.as_slice(), |s| s.weight.as_slice())?.pop(),
        })
    }
}

fn stack<'a>(
    what: &'static str,
    samples: &'a [Sample],
    first: &[Tensor],
    part: impl Fn(&'a Sample) -> &'a [Tensor],
) -> Result<Vec<Tensor>> {
    for (i, parts) in samples.iter().map(&part).enumerate() {
        if parts.len() != first.len() {
            let expected = format!("{} tensors in every sample of a batch", first.len());
            return Err(Error::argument(what, expected, format!("{} at position {i}", parts.len())));
        }
        if let Some((got, want)) = parts.iter().zip(first).find(|(a, b)| a.spec() != b.spec()) {
            let expected = format!("{} in every sample of a batch, as in the first", want.spec());
            return Err(Error::argument(what, expected, format!("{} at position {i}", got.spec())));
        }
    }
    let column = |k: usize| Tensor::stack(&samples.iter().map(|s| &part(s)[k]).collect::<Vec<_>>(), 0);
    (0..first.len()).map(column).collect()
}
