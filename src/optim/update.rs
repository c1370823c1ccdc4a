//! What an optimizer receives for one update of one parameter: the parameter, its gradient and its slots, as whole
//! tensors for formulas of norms and matrix products, or as slices for loops.

use super::Slots;
use crate::autograd::Gradient;
use crate::kernels::par;
use crate::tensor::Tensor;
use crate::{Error, Float, Result};
use std::ops::Range;

/// What an update depends on besides the parameter and its gradient.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Step {
    /// The number of updates, including this one: 1 at first.
    pub iteration: u64,
    /// The learning rate: that of the parameter's [`Group`](super::Group), if it is in one.
    pub learning_rate: f64,
    /// How much weight decay an optimizer that [`decays_itself`](super::Optimizer::decays_itself) has to apply, as
    /// a multiple of the learning rate. For all others it is 0, because the driver has applied it.
    pub weight_decay: f64,
}

impl Step {
    /// Creates the arguments of update number `iteration`, counted from 1, at this rate: to call an optimizer by
    /// hand, as its tests do.
    pub fn new(iteration: u64, learning_rate: f64) -> Step {
        Step { iteration, learning_rate, weight_decay: 0.0 }
    }
}

/// One update of one parameter.
#[derive(Debug)]
#[non_exhaustive]
pub struct Update<'a> {
    /// The parameter's path in its network: `dense/kernel`.
    pub path: &'a str,
    /// The parameter, to be changed in place (through [`Update::slices`]) or replaced by a tensor of the same shape
    /// and dtype.
    pub w: &'a mut Tensor,
    /// Its gradient, accumulated and clipped. Dense ([`Update::gradient`]), unless the optimizer
    /// [`takes_rows`](super::Optimizer::takes_rows).
    pub g: &'a Gradient,
    /// Its slots, in the optimizer's order; changed or replaced like the parameter.
    pub slots: &'a mut [Tensor],
}

impl<'a> Update<'a> {
    /// Creates an update of the parameter at a path: to call an optimizer by hand, as its tests and optimizers that
    /// wrap another do.
    pub fn new(path: &'a str, w: &'a mut Tensor, g: &'a Gradient, slots: &'a mut [Tensor]) -> Update<'a> {
        Update { path, w, g, slots }
    }

    /// Returns the gradient as a tensor, for optimizers that do not take rows.
    ///
    /// # Errors
    /// It is a gradient of rows.
    pub fn gradient(&self) -> Result<&'a Tensor> {
        match self.g {
            Gradient::Dense(g) => Ok(g),
            Gradient::Rows(_) => {
                let why = format!(
                    "the gradient of '{}' is that of rows: read it by `each_row` or `g.dense()`, or do not say \
                     `takes_rows`",
                    self.path
                );
                Err(Error::Custom(why))
            }
        }
    }

    /// Returns parameter, gradient and slots as slices in row-major order.
    ///
    /// # Errors
    /// `T` is not their element type, the gradient is one of rows or not contiguous, or there is not enough memory
    /// (what is shared is copied before it is changed).
    pub fn slices<T: Float>(&mut self) -> Result<Slices<'_, T>> {
        let g = self.gradient()?.array().slice()?;
        Ok(Slices { w: self.w.array_mut().slice_mut()?, g, slots: slots_of(self.slots)? })
    }

    /// Calls `f` with each row that has a gradient, in ascending order; for a dense gradient, with every row.
    ///
    /// ```
    /// use gradus::autograd::Gradient;
    /// use gradus::optim::Update;
    /// use gradus::prelude::*;
    /// // A mean of squares for each row, and a step of the gradient over its root.
    /// let (mut w, g) = (Tensor::ones([2, 2])?, Gradient::Dense(Tensor::from_slice(&[2.0f32, 2.0, 0.5, 0.5], [2, 2])?));
    /// let mut slots = [Tensor::zeros([2])?];
    /// Update::new("table", &mut w, &g, &mut slots).each_row::<f32>(&mut |row| {
    ///     let v = &mut row.slots[0][row.number];
    ///     *v += row.g.iter().map(|g| g * g).sum::<f32>() / row.g.len() as f32;
    ///     row.w.iter_mut().zip(row.g).for_each(|(w, g)| *w -= 0.5 * g / v.sqrt());
    /// })?;
    /// assert_eq!(w.to_vec::<f32>()?, [0.5; 4]);
    /// assert_eq!(slots[0].to_vec::<f32>()?, [4.0, 0.25]);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    ///
    /// # Errors
    /// `T` is not their element type, the gradient has another shape than the parameter, or there is not enough
    /// memory.
    pub fn each_row<T: Float>(&mut self, f: &mut dyn FnMut(Row<'_, '_, T>)) -> Result<()> {
        let shape = *self.w.shape();
        if self.g.spec().shape != shape {
            let why = format!("the gradient of '{}' has another shape than the parameter", self.path);
            return Err(Error::shapes("rows", shape, self.g.spec().shape, why));
        }
        let (index, values) = match self.g {
            Gradient::Dense(g) => (None, g.clone()),
            Gradient::Rows(rows) => rows.sums().map(|(index, values)| (Some(index), values))?,
        };
        let index = index.as_ref().map(|index| index.array().slice::<i64>()).transpose()?;
        let values = values.array().slice::<T>()?;
        let rows = shape.dims().first().copied().unwrap_or(1);
        let n = shape.elements() / rows.max(1);
        let w = self.w.array_mut().slice_mut::<T>()?;
        let mut slots: Slots<'_, T> = slots_of(self.slots)?;
        for at in 0..index.map_or(rows, <[i64]>::len) {
            let number = index.map_or(at, |index| index[at] as usize);
            let range = number * n..(number + 1) * n;
            let (w, g) = (&mut w[range.clone()], &values[at * n..(at + 1) * n]);
            f(Row { number, range, w, g, slots: &mut slots });
        }
        Ok(())
    }
}

/// One row of a parameter (along its first axis) that has a gradient.
#[derive(Debug)]
pub struct Row<'a, 's, T> {
    /// Its number, which is also its position in slots of one number per row.
    pub number: usize,
    /// The range of its elements in the parameter, and in slots of the parameter's shape.
    pub range: Range<usize>,
    /// Its elements.
    pub w: &'a mut [T],
    /// Their gradients.
    pub g: &'a [T],
    /// The slots of the parameter, as a whole.
    pub slots: &'a mut [&'s mut [T]],
}

fn slots_of<T: Float>(slots: &mut [Tensor]) -> Result<Slots<'_, T>> {
    slots.iter_mut().map(|slot| slot.array_mut().slice_mut::<T>()).collect()
}

/// One parameter as slices. Slots of the parameter's shape are as long as `w`.
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
    /// Calls `f` with parts of a large parameter, on as many threads as there are. Elements must not depend on each
    /// other. Take slots that do not have the parameter's shape out of `slots` first; while there are any, nothing
    /// is cut.
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
