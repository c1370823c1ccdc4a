//! `Adamax` (Kingma and Ba 2015, section 7), by Keras's rule: Adam with the largest gradient in place of the mean of squares.

use super::{LearningRate, Rule, Slots, Step, check_betas, check_epsilon};
use crate::{Float, Result, settings};

settings! {
    /// `m += (1-β₁)(g-m)`, `u = max(β₂·u, |g|)`, `w -= lr/(1-β₁ᵗ) · m / (u + ε)`.
    pub struct Adamax {
        /// With this learning rate, a number or a schedule (Keras's default is 0.001), β₁ 0.9, β₂ 0.999, ε 1e-7.
        new(learning_rate: into LearningRate = 0.001);

        /// How slowly the mean of gradients moves; 0.9 by default.
        beta_1: f64 = 0.9,
        /// How slowly the largest gradient fades; 0.999 by default.
        beta_2: f64 = 0.999,
        /// Keeps the divisor from zero; 1e-7 by default.
        epsilon: f64 = 1e-7,
    }
}

impl Rule for Adamax {
    fn slots(&self) -> &'static [&'static str] {
        &["m", "u"]
    }
    fn learning_rate(&self) -> LearningRate {
        self.learning_rate.clone()
    }
    fn check(&self) -> Result<()> {
        check_betas(self.beta_1, self.beta_2)?;
        check_epsilon(self.epsilon)
    }
    fn update<T: Float>(&self, step: Step, w: &mut [T], g: &[T], mut slots: Slots<'_, T>) {
        let rate = T::of(step.learning_rate / (1.0 - libm::pow(self.beta_1, step.iteration as f64)));
        let (rest, beta_2, epsilon) = (T::of(1.0 - self.beta_1), T::of(self.beta_2), T::of(self.epsilon));
        let [m, u] = &mut slots[..] else { return };
        for (((w, &g), m), u) in w.iter_mut().zip(g).zip(m.iter_mut()).zip(u.iter_mut()) {
            let g = g.flush(T::TINY);
            *m = (*m + (g - *m) * rest).flush(T::FADED);
            *u = (beta_2 * *u).maximum(g.abs()).flush(T::FADED);
            *w -= rate * *m / (*u + epsilon);
        }
    }
}
