//! `Lion` (Chen et al. 2023), by Keras's rule: steps of one size, in the direction of the sign of a mean of gradients.

use super::{LearningRate, Rule, Slots, Step, check_setting};
use crate::kernels::simd::stamped;
use crate::{Float, Result, settings};

settings! {
    /// `w -= lr·sign(β₁·m + (1-β₁)·g)`, then `m = β₂·m + (1-β₂)·g`.
    pub struct Lion {
        /// With this learning rate, a number or a schedule (Keras's default is 0.001), β₁ 0.9, β₂ 0.99.
        new(learning_rate: into LearningRate = 0.001);

        /// The share of the mean in what is stepped by; 0.9 by default.
        beta_1: f64 = 0.9,
        /// How slowly the mean of gradients moves; 0.99 by default.
        beta_2: f64 = 0.99,
    }
}

/// The scalars of one step.
#[derive(Clone, Copy)]
struct Scalars<T> {
    lr: T,
    beta_1: T,
    rest_1: T,
    beta_2: T,
    rest_2: T,
}

stamped! {
    fn kernel<T: Float>(w: &mut [T], g: &[T], m: &mut [T], s: Scalars<T>) {
        for ((w, &g), m) in w.iter_mut().zip(g).zip(m) {
            let g = g.flush(T::TINY);
            let c = s.beta_1 * *m + s.rest_1 * g;
            // A step of NaN is NaN, so the difference is too.
            *w -= s.lr * (c.step() - (-c).step());
            *m = (s.beta_2 * *m + s.rest_2 * g).flush(T::FADED);
        }
    }
}

impl Rule for Lion {
    fn slots(&self) -> &'static [&'static str] {
        &["m"]
    }
    fn learning_rate(&self) -> LearningRate {
        self.learning_rate.clone()
    }
    fn check(&self) -> Result<()> {
        let (beta_1, beta_2) = (self.beta_1, self.beta_2);
        // With 0 the mean would have no effect.
        check_setting("beta_1", beta_1, beta_1 > 0.0 && beta_1 <= 1.0, "above 0, at most 1")?;
        check_setting("beta_2", beta_2, (0.0..=1.0).contains(&beta_2), "0 to 1")
    }
    fn update<T: Float>(&self, step: Step, w: &mut [T], g: &[T], mut slots: Slots<'_, T>) {
        let scalars = Scalars {
            lr: T::of(step.learning_rate),
            beta_1: T::of(self.beta_1),
            rest_1: T::of(1.0 - self.beta_1),
            beta_2: T::of(self.beta_2),
            rest_2: T::of(1.0 - self.beta_2),
        };
        if let [m] = &mut slots[..] {
            kernel(w, g, m, scalars);
        }
    }
}
