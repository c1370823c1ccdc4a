//! `Rule`: the usual way to write an optimizer, as one formula for each element in a loop over slices.

use super::{LearningRate, Optimizer, Options, Slices, Slot, Slots, Step, Update};
use crate::autograd::Gradient;
use crate::config::Configured;
use crate::{DType, Float, Result, Spec};

/// An optimizer whose elements do not depend on each other: a loop over the slices of one parameter, which may be
/// cut anywhere. Every rule is an [`Optimizer`].
///
/// ```
/// use gradus::optim::{LearningRate, Rule, Slots, Step};
/// use gradus::prelude::*;
/// use gradus::Float;
///
/// gradus::settings! {
///     /// `a += g²`, `w -= lr·g / (√a + ε)`: Adagrad with ε outside of the root, as in its paper.
///     pub struct PaperAdagrad as "acme>PaperAdagrad" {
///         /// At this rate.
///         new(learning_rate: into LearningRate);
///     }
/// }
///
/// impl Rule for PaperAdagrad {
///     fn slots(&self) -> &'static [&'static str] {
///         &["accumulator"]
///     }
///     fn start(&self, _: &str) -> f64 {
///         0.1
///     }
///     fn learning_rate(&self) -> LearningRate {
///         self.learning_rate.clone()
///     }
///     fn update<T: Float>(&self, step: Step, w: &mut [T], g: &[T], mut slots: Slots<'_, T>) {
///         let (lr, eps) = (T::of(step.learning_rate), T::of(1e-7));
///         let [a] = &mut slots[..] else { return };
///         for ((w, &g), a) in w.iter_mut().zip(g).zip(a.iter_mut()) {
///             *a += g * g;
///             *w = *w - lr * g / (a.sqrt() + eps);
///         }
///     }
/// }
///
/// let stack = Sequential::new().add(Input::new([2])).add(Dense::new(1));
/// let mut model = stack.compile(PaperAdagrad::new(0.1).clipnorm(1.0), MeanSquaredError::new(), ())?;
/// model.fit(&Tensor::ones([8, 2])?, &Tensor::ones([8, 1])?, Fit::new().epochs(2).verbose(0))?;
/// # Ok::<(), gradus::Error>(())
/// ```
///
/// `T` is f32 or f64, and its `sqrt`, `exp`, `ln`, `abs` and so on are those of
/// [`Real`](crate::kernels::math::Real): the same bits on every processor. Compute constants in f64 before the loop
/// and convert them with `T::of`.
pub trait Rule: Configured + std::fmt::Debug + Clone + Send + Sync + 'static {
    /// Returns the names of its slots, each of the parameter's shape: Adam has two. None by default.
    fn slots(&self) -> &'static [&'static str] {
        &[]
    }

    /// Returns the initial value of a slot's elements; 0 by default.
    fn start(&self, _slot: &str) -> f64 {
        0.0
    }

    /// Returns the learning rate: an initial number, or a schedule.
    fn learning_rate(&self) -> LearningRate;

    /// See [`Optimizer::check`].
    ///
    /// # Errors
    /// A setting is out of range.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// See [`Optimizer::takes_rows`]. For a rule, yes means that an element whose gradient is 0 stays as it is, and
    /// so do its slots.
    fn takes_rows(&self) -> bool {
        false
    }

    /// See [`Optimizer::decays_itself`]. The driver's way is a pass over the parameter of its own.
    fn decays_itself(&self) -> bool {
        false
    }

    /// See [`Optimizer::options`].
    fn options(&self) -> Options {
        Options::default()
    }

    /// Changes the parameter.
    fn update<T: Float>(&self, step: Step, w: &mut [T], g: &[T], slots: Slots<'_, T>);
}

impl<R: Rule> Optimizer for R {
    fn slots(&self, _: &str, _: Spec) -> Vec<Slot> {
        Rule::slots(self).iter().map(|&name| Slot::new(name).start(self.start(name))).collect()
    }
    fn learning_rate(&self) -> LearningRate {
        Rule::learning_rate(self)
    }
    fn check(&self) -> Result<()> {
        Rule::check(self)
    }
    fn takes_rows(&self) -> bool {
        Rule::takes_rows(self)
    }
    fn spreads_rows(&self) -> bool {
        true
    }
    fn can_fail(&self) -> bool {
        false
    }
    fn decays_itself(&self) -> bool {
        Rule::decays_itself(self)
    }
    fn options(&self) -> Options {
        Rule::options(self)
    }
    fn update(&self, step: &Step, mut u: Update<'_>) -> Result<()> {
        match u.w.dtype() {
            DType::F64 => run::<R, f64>(self, *step, &mut u),
            _ => run::<R, f32>(self, *step, &mut u),
        }
    }
}

fn run<R: Rule, T: Float>(rule: &R, step: Step, u: &mut Update<'_>) -> Result<()> {
    let update = |s: Slices<'_, T>| rule.update(step, s.w, s.g, s.slots);
    match u.g {
        Gradient::Dense(_) => {
            u.slices::<T>()?.in_parts(&update);
            Ok(())
        }
        Gradient::Rows(_) if !rule.takes_rows() => u.each_tile(&update),
        Gradient::Rows(_) => u.each_row(&mut |row| {
            let slots = row.slots.iter_mut().map(|slot| &mut slot[row.range.clone()]).collect();
            update(Slices { w: row.w, g: row.g, slots });
        }),
    }
}
