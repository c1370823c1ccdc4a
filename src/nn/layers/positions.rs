//! The positions of time steps: what the layers that encode them share.

use crate::nn::{Cx, Init, Inputs, Key};
use crate::ops::attention::places;
use crate::tensor::Tensor;
use crate::{DType, Error, Result, Shape};

/// The name under which the position of the first time step is given.
pub(super) const START: &str = "start_index";

/// Makes a tensor of these numbers.
pub(super) fn constant(values: &[f64], dtype: DType) -> Result<Tensor> {
    Tensor::from_slice(values, Shape::new(&[values.len()])?)?.cast(dtype)
}

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

    /// Returns the position of each time step along an axis of the first input: int64 `[time]`, or `[batch, time]`
    /// if samples begin at different ones; and whether they are surely 0, 1, ….
    pub(super) fn positions(&self, x: Inputs<'_>, axis: isize, cx: &mut Cx) -> Result<(Tensor, bool)> {
        let input = &x.at(0)?.tensor;
        let steps = places(input, axis)?.cast(DType::I64)?;
        if let Some(start) = x.find(1, START) {
            let start = start.tensor.cast(DType::I64)?;
            let positions = match start.rank() {
                0 => steps.add(&start)?,
                1 => steps.add(&start.expand_dims(-1)?)?,
                _ => return Err(Error::shape(START, "one number or [batch]", *start.shape())),
            };
            return Ok((positions, false));
        }
        let Some(key) = self.key.as_ref().filter(|_| !cx.is_training()) else { return Ok((steps, true)) };
        let past = cx.carry(key);
        let time = steps.new_full([steps.dims()[0]], 1.0)?.sum(&[0], false)?.cast(DType::I64)?;
        let (positions, next) = match &past {
            Some(past) => (steps.add(past)?, past.add(&time)?),
            None => (steps, time),
        };
        cx.set_carry(key, next);
        Ok((positions, past.is_none()))
    }
}
