//! At which place of a sequence its steps stand: what layers that encode positions have in common.

use crate::nn::{Cx, Init, Inputs, Key};
use crate::ops::attention::places;
use crate::tensor::Tensor;
use crate::{DType, Error, Result};

/// The name by which the place of the first step is given.
pub(super) const START: &str = "start_index";

/// Counts time steps over the calls of a session, if asked to.
#[derive(Clone, Debug)]
pub(super) struct Counter {
    key: Option<Key>,
}
crate::parts!(group Counter { key });

impl Counter {
    pub(super) fn new(cache: bool, init: &mut Init) -> Counter {
        Counter { key: cache.then(|| init.key()) }
    }

    /// The place of each step along an axis of the first input: int64 `[time]`, or `[batch, time]` where samples begin at different ones.
    pub(super) fn places(&self, x: Inputs<'_>, axis: isize, cx: &mut Cx) -> Result<Tensor> {
        let input = &x.at(0)?.tensor;
        let steps = places(input, axis)?;
        if let Some(start) = x.find(1, START) {
            let start = start.tensor.cast(DType::I64)?;
            return match start.rank() {
                0 => steps.add(&start),
                1 => steps.add(&start.expand_dims(-1)?),
                _ => Err(Error::shape(START, "one number or [batch]", *start.shape())),
            };
        }
        let Some(key) = self.key.as_ref().filter(|_| !cx.is_training()) else { return Ok(steps) };
        let past = cx.carry(key);
        let count = steps.new_full([steps.dims()[0]], 1.0)?.sum(&[0], false)?.cast(DType::I64)?;
        let (steps, all) = match past {
            Some(past) => (steps.add(&past)?, past.add(&count)?),
            None => (steps, count),
        };
        cx.set_carry(key, all);
        Ok(steps)
    }
}
