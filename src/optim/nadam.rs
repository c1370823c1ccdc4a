//! `Nadam` (Dozat 2016), by Keras's rule: Adam with Nesterov's momentum.

use super::{LearningRate, Rule, Slots, Step, check_betas, check_epsilon};
use crate::kernels::simd::stamped;
use crate::{Float, Result, settings};

settings! {
    /// With `μₜ = β₁(1 - 0.96ᵗ/2)` and `Πₜ = μ₁·…·μₜ`: `m += (1-β₁)(g-m)`, `v += (1-β₂)(g²-v)`,
    /// `m̂ = μₜ₊₁·m/(1-Πₜ₊₁) + (1-μₜ)·g/(1-Πₜ)`, `w -= lr·m̂ / (√(v/(1-β₂ᵗ)) + ε)`.
    pub struct Nadam {
        /// With this learning rate, a number or a schedule (Keras's default is 0.001), β₁ 0.9, β₂ 0.999, ε 1e-7.
        new(learning_rate: into LearningRate = 0.001);

        /// How slowly the mean of gradients moves; 0.9 by default.
        beta_1: f64 = 0.9,
        /// How slowly the mean of squares moves; 0.999 by default.
        beta_2: f64 = 0.999,
        /// Keeps the divisor from zero; 1e-7 by default.
        epsilon: f64 = 1e-7,
    }
}

/// From here on 1 - 0.96ᵗ/2 is 1.
const SETTLED: u64 = 900;

impl Nadam {
    /// `μₜ`.
    fn share(&self, t: u64) -> f64 {
        self.beta_1 * (1.0 - 0.5 * libm::pow(0.96, t as f64))
    }

    /// `Πₜ`: worked out anew, so that it needs no place in the state and a parameter that comes late has it too.
    fn product(&self, t: u64) -> f64 {
        let (mut power, mut product) = (1.0, 1.0);
        for _ in 0..t.min(SETTLED) {
            power *= 0.96;
            product *= 1.0 - 0.5 * power;
        }
        product * libm::pow(self.beta_1, t as f64)
    }
}

/// The scalars of one step.
#[derive(Clone, Copy)]
struct Scalars<T> {
    m_factor: T,
    g_factor: T,
    unbias: T,
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
            *w -= (s.m_factor * *m + s.g_factor * g) / ((*v * s.unbias).sqrt() + s.epsilon);
        }
    }
}

impl Rule for Nadam {
    fn slots(&self) -> &'static [&'static str] {
        &["m", "v"]
    }
    fn learning_rate(&self) -> LearningRate {
        self.learning_rate.clone()
    }
    fn check(&self) -> Result<()> {
        check_betas(self.beta_1, self.beta_2)?;
        check_epsilon(self.epsilon)
    }
    fn update<T: Float>(&self, step: Step, w: &mut [T], g: &[T], mut slots: Slots<'_, T>) {
        let (t, lr) = (step.iteration, step.learning_rate);
        let (now, next, product) = (self.share(t), self.share(t + 1), self.product(t));
        let scalars = Scalars {
            m_factor: T::of(lr * next / (1.0 - product * next)),
            g_factor: T::of(lr * (1.0 - now) / (1.0 - product)),
            unbias: T::of(1.0 / (1.0 - libm::pow(self.beta_2, t as f64))),
            one_minus_beta_1: T::of(1.0 - self.beta_1),
            one_minus_beta_2: T::of(1.0 - self.beta_2),
            epsilon: T::of(self.epsilon),
        };
        if let [m, v] = &mut slots[..] {
            kernel(w, g, m, v, scalars);
        }
    }
}
