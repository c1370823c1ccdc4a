//! What a step does to one parameter: its gradient is accumulated, or it decays, is updated, averaged and
//! constrained.

use super::group::Choice;
use super::state::State;
use super::{INLINE, Optimizer, Options, Step, Update};
use crate::autograd::Gradient;
use crate::dtype::dispatch_float;
use crate::kernels::simd::stamped;
use crate::nn::{Param, Path};
use crate::tensor::{Few, Tensor};
use crate::{Error, Float, Result, Spec};

stamped! {
    fn decay<T: Float>(w: &mut [T], factor: T) {
        for w in w.iter_mut() {
            *w = *w - *w * factor;
        }
    }
}
stamped! {
    fn add<T: Float>(sum: &mut [T], g: &[T]) {
        for (sum, &g) in sum.iter_mut().zip(g) {
            *sum += g;
        }
    }
}
stamped! {
    fn average<T: Float>(average: &mut [T], w: &[T], momentum: T, rest: T) {
        for (average, &w) in average.iter_mut().zip(w) {
            *average = momentum * *average + rest * w;
        }
    }
}

/// One step, as applied to each parameter.
pub(super) struct Pass<'a> {
    pub(super) optimizer: &'a dyn Optimizer,
    pub(super) options: &'a Options,
    pub(super) iteration: u64,
    pub(super) learning_rate: f64,
    /// Whether an update takes several steps.
    pub(super) accumulates: bool,
    /// Whether this step changes parameters, rather than only accumulating gradients.
    pub(super) updates: bool,
}

impl Pass<'_> {
    /// Returns the learning rate of a parameter.
    fn rate(&self, choice: &Choice) -> f64 {
        self.learning_rate * choice.learning_rate_factor
    }

    /// Returns whether rows alone give the same result as the dense gradient: weight decay in the optimizer's
    /// formula moves all rows, and an infinite rate times a gradient of 0 is NaN. Where all rows move anyway, a norm
    /// keeps the order of the dense gradient's.
    pub(super) fn takes_rows(&self, choice: &Choice) -> bool {
        let decays = choice.weight_decay > 0.0 && self.optimizer.decays_itself();
        let norms = self.options.clipnorm.or(self.options.global_clipnorm).is_some();
        let takes = match self.optimizer.takes_rows() {
            true => !decays,
            false => self.optimizer.spreads_rows() && !norms,
        };
        takes && !self.accumulates && self.rate(choice).is_finite()
    }

    /// Returns whether an update of this parameter may fail half-way, so that its old values must be kept.
    pub(super) fn copies(&self, p: &Param) -> bool {
        p.constraint().is_some() || (self.updates && self.optimizer.can_fail())
    }

    /// Gives everything that will change in place memory of its own, so that the update cannot fail for lack of it.
    pub(super) fn own(&self, p: &mut Param, state: &mut State) -> Result<()> {
        if self.copies(p) {
            return Ok(());
        }
        dispatch_float!("optimizer", p.value().dtype(), T => {
            p.value_mut().array_mut().slice_mut::<T>()?;
            for slot in &mut state.tensors {
                slot.array_mut().slice_mut::<T>()?;
            }
        });
        Ok(())
    }

    /// Changes a parameter that the driver has prepared.
    pub(super) fn advance(
        &self,
        path: &Path,
        p: &mut Param,
        g: Option<&Gradient>,
        state: &mut State,
    ) -> Result<()> {
        let choice = state.choice;
        if self.accumulates && matches!(g, Some(Gradient::Dense(_))) {
            state.waiting = !self.updates;
        }
        let parts = state.parts(self.options);
        let dtype = p.value().dtype();
        let w = p.value_mut();
        // If gradients accumulate, they are dense.
        if let (Some(sum), Some(Gradient::Dense(g))) = (parts.accumulator, g) {
            dispatch_float!("optimizer", dtype, T => {
                let sum = sum.array_mut().slice_mut::<T>()?;
                if self.updates { sum.fill(T::zero()) } else { add(sum, g.array().slice()?) }
            });
        }
        if choice.learning_rate_factor == 0.0 {
            return Ok(());
        }
        if let (true, Some(g)) = (self.updates, g) {
            let itself = self.optimizer.decays_itself();
            if choice.weight_decay > 0.0 && !itself {
                dispatch_float!("optimizer", dtype, T => {
                    let factor = T::of(choice.weight_decay * self.rate(&choice));
                    decay(w.array_mut().slice_mut::<T>()?, factor);
                });
            }
            let step = Step {
                iteration: self.iteration,
                learning_rate: self.rate(&choice),
                weight_decay: if itself { choice.weight_decay } else { 0.0 },
            };
            self.update(&step, Update { path: path.as_str(), w, g, slots: parts.own })
                .map_err(|e| e.at(format!("{}, updating '{path}'", self.optimizer.name())))?;
        }
        if let Some((momentum, moving)) = self.options.ema_momentum.zip(parts.average) {
            // As in Keras, also in steps that only accumulate; until the first update the average equals the
            // parameter.
            let momentum = if self.iteration == 1 { 0.0 } else { momentum };
            let overwrites =
                self.options.ema_overwrite_frequency.is_some_and(|n| self.iteration.is_multiple_of(n));
            dispatch_float!("optimizer", dtype, T => {
                let (w, moving) = (w.array_mut().slice_mut::<T>()?, moving.array_mut().slice_mut::<T>()?);
                average(moving, w, T::of(momentum), T::of(1.0 - momentum));
                if overwrites {
                    w.copy_from_slice(moving);
                }
            });
        }
        match p.constraint() {
            Some(c) => c.project(p.value()).and_then(|w| p.set(w)).map_err(|e| e.at(path.as_str())),
            None => Ok(()),
        }
    }

    /// Makes an update, and checks that shape and dtype are the same afterwards.
    fn update(&self, step: &Step, u: Update<'_>) -> Result<()> {
        let Update { path, w, g, slots } = u;
        let before: Few<Spec, { INLINE + 1 }> =
            std::iter::once(&*w).chain(&*slots).map(Tensor::spec).collect();
        self.optimizer.update(step, Update { path, w: &mut *w, g, slots: &mut *slots })?;
        for (i, (was, is)) in before.iter().zip(std::iter::once(w).chain(slots)).enumerate() {
            if *was != is.spec() {
                let what = if i == 0 { "parameter".into() } else { format!("slot {}", i - 1) };
                let why = format!("the update left {} for the {what}, which is {was}", is.spec());
                return Err(Error::shapes("optimizer", was.shape, *is.shape(), why));
            }
            // Without its history, if it has one, and contiguous.
            if is.is_tracked() || !is.layout().is_contiguous() {
                *is = is.detach().contiguous()?;
            }
        }
        Ok(())
    }
}
