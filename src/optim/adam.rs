//! `Adam`: the optimizer of Kingma and Ba (2015), by Keras's rule.

use super::{LearningRate, Rule, Slots, Step, check_setting};
use crate::kernels::simd::stamped;
use crate::{Float, Result, settings};

settings! {
    /// `m += (1-β₁)(g-m)`, `v += (1-β₂)(g²-v)`, `w -= lr·√(1-β₂ᵗ)/(1-β₁ᵗ) · m / (√v + ε)`. As in Keras, ε is not
    /// corrected for bias.
    pub struct Adam {
        /// Creates it with this learning rate, a number or a schedule (Keras's default is 0.001), β₁ 0.9, β₂ 0.999,
        /// ε 1e-7.
        new(learning_rate: into LearningRate = 0.001);

        /// Decay rate of the mean of gradients; 0.9 by default.
        beta_1: f64 = 0.9,
        /// Decay rate of the mean of squares; 0.999 by default.
        beta_2: f64 = 0.999,
        /// Keeps the divisor away from zero; 1e-7 by default.
        epsilon: f64 = 1e-7,
    }
}

/// The scalars that one step needs.
#[derive(Clone, Copy)]
struct Scalars<T> {
    rate: T,
    one_minus_beta_1: T,
    one_minus_beta_2: T,
    epsilon: T,
}

stamped! {
    fn kernel<T: Float>(w: &mut [T], g: &[T], m: &mut [T], v: &mut [T], s: Scalars<T>) {
        for (((w, &g), m), v) in w.iter_mut().zip(g).zip(m).zip(v) {
            let g = g.flush(T::TINY);
            *m = (*m + (g - *m) * s.one_minus_beta_1).flush(T::FADED);
            *v = (*v + (g * g - *v) * s.one_minus_beta_2).flush(T::FADED);
            *w -= *m * s.rate / (v.sqrt() + s.epsilon);
        }
    }
}

impl Rule for Adam {
    fn slots(&self) -> &'static [&'static str] {
        &["m", "v"]
    }
    fn learning_rate(&self) -> LearningRate {
        self.learning_rate.clone()
    }
    fn check(&self) -> Result<()> {
        for (name, beta) in [("beta_1", self.beta_1), ("beta_2", self.beta_2)] {
            check_setting(name, beta, (0.0..1.0).contains(&beta), "0 or more, below 1")?;
        }
        let epsilon = self.epsilon;
        check_setting(
            "epsilon",
            epsilon,
            epsilon >= 0.0 && epsilon.is_finite(),
            "a finite number of 0 or more",
        )
    }
    fn update<T: Float>(&self, step: Step, w: &mut [T], g: &[T], mut slots: Slots<'_, T>) {
        let t = step.iteration as f64;
        let unbias = libm::sqrt(1.0 - libm::pow(self.beta_2, t)) / (1.0 - libm::pow(self.beta_1, t));
        let scalars = Scalars {
            rate: T::of(step.learning_rate * unbias),
            one_minus_beta_1: T::of(1.0 - self.beta_1),
            one_minus_beta_2: T::of(1.0 - self.beta_2),
            epsilon: T::of(self.epsilon),
        };
        if let [m, v] = &mut slots[..] {
            kernel(w, g, m, v, scalars);
        }
    }
}
