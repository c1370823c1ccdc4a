//! `Cache`: the keys and values that a decoder has seen, kept in the session from one call to the next.

use crate::error::Context;
use crate::nn::{Cx, Init, Key};
use crate::ops::attention::places;
use crate::tensor::Tensor;
use crate::{DType, Result};

/// The keys of what is kept: keys, values, which of them count, and how many there are.
#[derive(Clone, Debug)]
pub(super) struct Cache {
    keys: [Key; 4],
    capacity: usize,
}
crate::parts!(group Cache { keys });

/// The keys and values that queries can see, and the position of the first query among the keys.
pub(super) struct Kept {
    pub(super) key: Tensor,
    pub(super) value: Tensor,
    /// `[batch, keys]`.
    pub(super) mask: Option<Tensor>,
    /// `None` at the start.
    pub(super) position: Option<Tensor>,
}

impl Cache {
    /// Makes a cache of this many time steps.
    pub(super) fn new(capacity: usize, init: &mut Init) -> Cache {
        Cache { keys: std::array::from_fn(|_| init.key()), capacity }
    }

    /// Adds new time steps, `[batch, time, heads, dim]`, and returns all: at first only the new ones, later the
    /// whole capacity, of which causal attention sees what has been filled.
    pub(super) fn extend(&self, new: Kept, cx: &mut Cx) -> Result<Kept> {
        let [of_key, of_value, of_mask, of_position] = &self.keys;
        let Kept { key, value, mask, .. } = &new;
        let past = cx.carry(of_position);
        let start = past.as_ref().map_or_else(|| Tensor::scalar(0i64), |p| Ok(p.clone()))?;
        let mut keep = |slot: &Key, steps: &Tensor| -> Result<Tensor> {
            let buffer = match cx.carry(slot) {
                Some(buffer) => buffer,
                None => steps.new_full(steps.shape().with(1, self.capacity), 0.0)?,
            };
            let buffer = buffer
                .slice_updated(steps, &start, 1)
                .at(|| format!("cache of {} time steps", self.capacity))?;
            cx.set_carry(slot, buffer.clone());
            Ok(buffer)
        };
        let (all_keys, all_values) = (keep(of_key, key)?, keep(of_value, value)?);
        let all_masks = mask.as_ref().map(|mask| keep(of_mask, mask)).transpose()?;
        let count = places(key, 1)?.new_full([key.dims()[1]], 1.0)?.sum(&[0], false)?;
        cx.set_carry(of_position, start.add(&count.cast(DType::I64)?)?);
        Ok(match past {
            None => new,
            position => Kept { key: all_keys, value: all_values, mask: all_masks, position },
        })
    }
}
