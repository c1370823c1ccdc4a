//! What an optimizer is given in one update of one parameter: the parameter as a whole, its gradient and its slots, as tensors
//! for formulas of norms and matrix products and as slices for loops.

use super::Slots;
use crate::autograd::Gradient;
use crate::kernels::par;
use crate::tensor::Tensor;
use crate::{Error, Float, Result};

/// What an update depends on besides the parameter and its gradient.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Step {
    /// How many updates there have been, this one included: 1 at first.
    pub iteration: u64,
    /// The learning rate: that of the parameter's [`Group`](super::Group), if it is in one.
    pub learning_rate: f64,
    /// How much of the parameter decays, as a share of the learning rate; 0 where nothing does. The driver has taken it off
    /// already, unless the optimizer [`decays_itself`](super::Optimizer::decays_itself).
    pub weight_decay: f64,
}

impl Step {
    /// Update number `iteration`, counted from 1, at this rate: for calling an optimizer by hand, as its tests do.
    pub fn new(iteration: u64, learning_rate: f64) -> Step {
        Step { iteration, learning_rate, weight_decay: 0.0 }
    }
}

/// One update of one parameter.
#[derive(Debug)]
#[non_exhaustive]
pub struct Update<'a> {
    /// Where the parameter stands in its network: `dense/kernel`.
    pub path: &'a str,
    /// The parameter, to be changed in place (through [`Update::slices`]) or replaced by a tensor of the same shape and dtype.
    pub w: &'a mut Tensor,
    /// Its gradient, accumulated and clipped. Dense, unless the optimizer [`takes_rows`](super::Optimizer::takes_rows).
    pub g: &'a Gradient,
    /// Its slots, in the optimizer's order; changed or replaced like the parameter.
    pub slots: &'a mut [Tensor],
}

impl<'a> Update<'a> {
    /// For calling an optimizer by hand.
    pub fn new(w: &'a mut Tensor, g: &'a Gradient, slots: &'a mut [Tensor]) -> Update<'a> {
        Update { path: "", w, g, slots }
    }

    /// Parameter, gradient and slots as slices in row-major order.
    ///
    /// # Errors
    /// `T` is not their element type, the gradient is that of rows or has gaps, or memory cannot be had (what something else
    /// holds as well is copied before it is changed).
    pub fn slices<T: Float>(&mut self) -> Result<Slices<'_, T>> {
        let Gradient::Dense(g) = self.g else {
            let why =
                format!("the gradient of '{}' is that of rows, which have slices of their own", self.path);
            return Err(Error::Custom(why));
        };
        Ok(Slices { w: self.w.array_mut().slice_mut()?, g: g.array().slice()?, slots: slots_of(self.slots)? })
    }

    /// Calls `f` with each row that has a gradient; slots are of the parameter's shape.
    pub(super) fn each_row<T: Float>(&mut self, f: &dyn Fn(Slices<'_, T>)) -> Result<()> {
        let Gradient::Rows(rows) = self.g else { return Ok(()) };
        let (index, values) = rows.sums()?;
        let (index, values) = (index.array().slice::<i64>()?, values.array().slice::<T>()?);
        let n = values.len() / index.len().max(1);
        let w = self.w.array_mut().slice_mut::<T>()?;
        let mut slots: Slots<'_, T> = slots_of(self.slots)?;
        for (&at, g) in index.iter().zip(values.chunks_exact(n.max(1))) {
            let here = at as usize * n..(at as usize + 1) * n;
            let slots = slots.iter_mut().map(|slot| &mut slot[here.clone()]).collect();
            f(Slices { w: &mut w[here.clone()], g, slots });
        }
        Ok(())
    }
}

fn slots_of<T: Float>(slots: &mut [Tensor]) -> Result<Slots<'_, T>> {
    slots.iter_mut().map(|slot| slot.array_mut().slice_mut::<T>()).collect()
}

/// One parameter as slices. Those of the parameter's shape are as long as `w`.
#[derive(Debug)]
pub struct Slices<'a, T> {
    /// The parameter.
    pub w: &'a mut [T],
    /// Its gradient.
    pub g: &'a [T],
    /// Its slots.
    pub slots: Slots<'a, T>,
}

impl<T: Float> Slices<'_, T> {
    /// Calls `f` with parts of a large parameter, on as many threads as there are. Elements must not depend on each other. What
    /// is not of the parameter's shape has to be taken out of `slots` before; with it, nothing is cut.
    pub fn in_parts(self, f: &(dyn Fn(Slices<'_, T>) + Sync)) {
        let n = self.w.len();
        let cuts = n >= par::GRAIN && par::threads() > 1;
        if !cuts || self.g.len() != n || self.slots.iter().any(|slot| slot.len() != n) {
            return f(self);
        }
        let (w, w2) = self.w.split_at_mut(n / 2);
        let (g, g2) = self.g.split_at(n / 2);
        let (slots, slots2) = self.slots.into_iter().map(|s| s.split_at_mut(n / 2)).unzip();
        let (first, second) = (Slices { w, g, slots }, Slices { w: w2, g: g2, slots: slots2 });
        par::join(|| first.in_parts(f), || second.in_parts(f));
    }
}
