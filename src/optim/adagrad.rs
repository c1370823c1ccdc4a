//! `Adagrad` (Duchi et al. 2011), by Keras's rule: a parameter that has changed a lot moves less.

use super::{LearningRate, Rule, Slots, Step, check_epsilon};
use crate::kernels::simd::stamped;
use crate::{Error, Float, Result, settings};

settings! {
    /// `a += g²`, `w -= lr·g / √(a + ε)`. Rows of an embedding that a batch does not read cost nothing.
    pub struct Adagrad {
        /// With this learning rate, a number or a schedule (Keras's default is 0.001), accumulators from 0.1, ε 1e-7.
        new(learning_rate: into LearningRate = 0.001);

        /// What the sums of squares begin with; 0.1 by default.
        initial_accumulator_value: f64 = 0.1,
        /// Added to the sum of squares; 1e-7 by default.
        epsilon: f64 = 1e-7,
    }
}

stamped! {
    fn kernel<T: Float>(w: &mut [T], g: &[T], a: &mut [T], lr: T, epsilon: T) {
        for ((w, &g), a) in w.iter_mut().zip(g).zip(a) {
            let g = g.flush(T::TINY);
            *a += g * g;
            *w -= lr * g / (*a + epsilon).sqrt();
        }
    }
}

impl Rule for Adagrad {
    fn slots(&self) -> &'static [&'static str] {
        &["accumulator"]
    }
    fn start(&self, _: &str) -> f64 {
        self.initial_accumulator_value
    }
    fn learning_rate(&self) -> LearningRate {
        self.learning_rate.clone()
    }
    fn check(&self) -> Result<()> {
        Error::unless_not_negative("initial_accumulator_value", self.initial_accumulator_value)?;
        check_epsilon(self.epsilon)
    }
    /// A gradient of 0 changes nothing, if it is not divided by 0.
    fn takes_rows(&self) -> bool {
        (self.initial_accumulator_value as f32) + (self.epsilon as f32) > 0.0
    }
    fn update<T: Float>(&self, step: Step, w: &mut [T], g: &[T], mut slots: Slots<'_, T>) {
        if let [a] = &mut slots[..] {
            kernel(w, g, a, T::of(step.learning_rate), T::of(self.epsilon));
        }
    }
}
