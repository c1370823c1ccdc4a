//! `Adadelta` (Zeiler 2012), by Keras's rule: the size of a step follows from the sizes of the steps before.

use super::{LearningRate, Rule, Slots, Step, check_epsilon, check_fading};
use crate::{Float, Result, settings};

settings! {
    /// `a = ρ·a + (1-ρ)·g²`, `d = -√(x + ε)/√(a + ε) · g`, `x = ρ·x + (1-ρ)·d²`, `w += lr·d`. (The paper has the learning rate 1.)
    pub struct Adadelta {
        /// With this learning rate, a number or a schedule (Keras's default is 0.001), ρ 0.95, ε 1e-7.
        new(learning_rate: into LearningRate = 0.001);

        /// How slowly both means of squares move; 0.95 by default.
        rho: f64 = 0.95,
        /// Added to the means of squares; 1e-7 by default.
        epsilon: f64 = 1e-7,
    }
}

impl Rule for Adadelta {
    fn slots(&self) -> &'static [&'static str] {
        &["accumulated_grad", "accumulated_delta_var"]
    }
    fn learning_rate(&self) -> LearningRate {
        self.learning_rate.clone()
    }
    fn check(&self) -> Result<()> {
        check_fading("rho", self.rho)?;
        check_epsilon(self.epsilon)
    }
    fn update<T: Float>(&self, step: Step, w: &mut [T], g: &[T], mut slots: Slots<'_, T>) {
        let (rho, rest) = (T::of(self.rho), T::of(1.0 - self.rho));
        let (lr, epsilon) = (T::of(step.learning_rate), T::of(self.epsilon));
        let [a, x] = &mut slots[..] else { return };
        for (((w, &g), a), x) in w.iter_mut().zip(g).zip(a.iter_mut()).zip(x.iter_mut()) {
            let g = g.flush(T::TINY);
            *a = (rho * *a + rest * (g * g)).flush(T::FADED);
            let change = -((*x + epsilon).sqrt() * g / (*a + epsilon).sqrt()).flush(T::TINY);
            *x = (rho * *x + rest * (change * change)).flush(T::FADED);
            *w += lr * change;
        }
    }
}
