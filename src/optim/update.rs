//! What an optimizer receives for one update of one parameter: the parameter, its gradient and its slots, as whole
//! tensors for formulas of norms and matrix products, or as slices for loops.

use super::Slots;
use crate::autograd::Gradient;
use crate::kernels::par;
use crate::tensor::Tensor;
use crate::{Error, Float, Result, Shape};
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
    /// [`takes_rows`](super::Optimizer::takes_rows) or [`spreads_rows`](super::Optimizer::spreads_rows).
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
        let shape = self.shape()?;
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

    /// Returns the shape of the parameter and its gradient.
    fn shape(&self) -> Result<Shape> {
        let (shape, of_g) = (*self.w.shape(), self.g.spec().shape);
        if of_g == shape {
            return Ok(shape);
        }
        let why = format!("the gradient of '{}' has another shape than the parameter", self.path);
        Err(Error::shapes("rows", shape, of_g, why))
    }

    /// Calls `f` with parts of the parameter, on as many threads as there are, where the gradient is that of rows
    /// and counts as 0 elsewhere: what the dense gradient would be is made a few thousand elements at a time.
    /// Elements must not depend on each other, and all slots have the parameter's shape.
    pub(super) fn each_tile<T: Float>(&mut self, f: &(dyn Fn(Slices<'_, T>) + Sync)) -> Result<()> {
        let shape = self.shape()?;
        let Gradient::Rows(rows) = self.g else {
            self.slices::<T>()?.in_parts(f);
            return Ok(());
        };
        let (index, values) = rows.sums()?;
        let n = shape.elements() / shape.dims().first().copied().unwrap_or(1).max(1);
        let rows = Rows { index: index.array().slice()?, values: values.array().slice::<T>()?, n };
        let w = self.w.array_mut().slice_mut()?;
        rows.spread(0, Slices { w, g: &[], slots: slots_of(self.slots)? }, f);
        Ok(())
    }
}

/// The rows of a table that have a gradient, ascending, and their gradients, `n` elements each.
struct Rows<'a, T> {
    index: &'a [i64],
    values: &'a [T],
    n: usize,
}

/// How many elements of a gradient are made at a time: they stay in L1.
const TILE: usize = 4096;

impl<T: Float> Rows<'_, T> {
    /// [`Update::each_tile`] for the elements from number `first` on; `s` has no gradient yet.
    fn spread(&self, first: usize, s: Slices<'_, T>, f: &(dyn Fn(Slices<'_, T>) + Sync)) {
        let n = s.w.len();
        if n >= par::GRAIN && par::threads() > 1 {
            let [left, right] = s.cut(n / 2);
            return par::join(|| self.spread(first, left, f), || self.spread(first + n / 2, right, f));
        }
        let mut tile = [T::zero(); TILE];
        let (mut first, mut rest) = (first, Some(s));
        while let Some(s) = rest.take().filter(|s| !s.w.is_empty()) {
            let at = TILE.min(s.w.len());
            let [Slices { w, slots, .. }, more] = s.cut(at);
            let g = &mut tile[..w.len()];
            self.fill(first, g);
            (first, rest) = (first + w.len(), Some(more));
            f(Slices { w, g, slots });
        }
    }

    /// Writes the elements from number `first` on of the dense gradient.
    fn fill(&self, first: usize, g: &mut [T]) {
        g.fill(T::zero());
        let (n, end) = (self.n.max(1), first + g.len());
        let begin = self.index.partition_point(|&row| row < (first / n) as i64);
        for (&row, values) in self.index[begin..].iter().zip(self.values[begin * n..].chunks_exact(n)) {
            let at = row as usize * n;
            if at >= end {
                break;
            }
            let (from, to) = (at.max(first), (at + n).min(end));
            g[from - first..to - first].copy_from_slice(&values[from - at..to - at]);
        }
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

impl<'a, T: Float> Slices<'a, T> {
    /// Cuts all of them at one place; a gradient that is not there stays so.
    fn cut(self, at: usize) -> [Slices<'a, T>; 2] {
        let (w, w2) = self.w.split_at_mut(at);
        let (g, g2) = self.g.split_at(at.min(self.g.len()));
        let (slots, slots2) = self.slots.into_iter().map(|s| s.split_at_mut(at)).unzip();
        [Slices { w, g, slots }, Slices { w: w2, g: g2, slots: slots2 }]
    }

    /// Calls `f` with parts of a large parameter, on as many threads as there are. Elements must not depend on each
    /// other. Take slots that do not have the parameter's shape out of `slots` first; while there are any, nothing
    /// is cut.
    pub fn in_parts(self, f: &(dyn Fn(Slices<'_, T>) + Sync)) {
        let n = self.w.len();
        let cuts = n >= par::GRAIN && par::threads() > 1;
        if !cuts || self.g.len() != n || self.slots.iter().any(|slot| slot.len() != n) {
            return f(self);
        }
        let [first, second] = self.cut(n / 2);
        par::join(|| first.in_parts(f), || second.in_parts(f));
    }
}
