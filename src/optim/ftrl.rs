//! `Ftrl`: "follow the regularized leader" (McMahan et al. 2013), by Keras's rule, for shallow models of many features. It sets most weights
//! to exactly 0.

use super::{LearningRate, Rule, Slots, Step, check_setting};
use crate::{Error, Float, Result, settings};

settings! {
    /// With `p = -learning_rate_power`, `l₂' = l₂ + β/(2·lr)`, `n = a + g²`: `z += g + 2·shrinkage·w - (nᵖ - aᵖ)/lr · w`,
    /// `w = (clip(z, -l₁, l₁) - z) / (nᵖ/lr + 2·l₂')`, `a = n`.
    ///
    /// What a parameter was before the first step counts for little: it follows from `z`. With the learning rate 0 nothing changes (in
    /// Keras it is divided by).
    pub struct Ftrl {
        /// With this learning rate, a number or a schedule (Keras's default is 0.001), and no regularization.
        new(learning_rate: into LearningRate = 0.001);

        /// How the rate falls with the sum of squares, 0 or less; 0 is a fixed rate. -0.5 by default.
        learning_rate_power: f64 = -0.5,
        /// What the sums of squares begin with; 0.1 by default.
        initial_accumulator_value: f64 = 0.1,
        /// How much the sum of magnitudes counts; 0 by default.
        l1_regularization_strength: f64 = 0.0,
        /// How much the sum of squares counts; 0 by default.
        l2_regularization_strength: f64 = 0.0,
        /// A penalty on squares that is part of the gradient; 0 by default.
        l2_shrinkage_regularization_strength: f64 = 0.0,
        /// The paper's β; 0 by default.
        beta: f64 = 0.0,
    }
}

impl Rule for Ftrl {
    fn slots(&self) -> &'static [&'static str] {
        &["accumulator", "linear"]
    }
    fn start(&self, slot: &str) -> f64 {
        if slot == "accumulator" { self.initial_accumulator_value } else { 0.0 }
    }
    fn learning_rate(&self) -> LearningRate {
        self.learning_rate.clone()
    }
    fn check(&self) -> Result<()> {
        let power = self.learning_rate_power;
        let expected = "a finite number of 0 or less";
        check_setting("learning_rate_power", power, power <= 0.0 && power.is_finite(), expected)?;
        for (name, value) in [
            ("initial_accumulator_value", self.initial_accumulator_value),
            ("l1_regularization_strength", self.l1_regularization_strength),
            ("l2_regularization_strength", self.l2_regularization_strength),
            ("l2_shrinkage_regularization_strength", self.l2_shrinkage_regularization_strength),
            ("beta", self.beta),
        ] {
            Error::unless_not_negative(name, value)?;
        }
        Ok(())
    }
    fn update<T: Float>(&self, step: Step, w: &mut [T], g: &[T], mut slots: Slots<'_, T>) {
        let lr = step.learning_rate;
        if lr == 0.0 {
            return;
        }
        let exponent = T::of(-self.learning_rate_power);
        let is_root = self.learning_rate_power == -0.5;
        let power = |v: T| if is_root { v.sqrt() } else { v.pow(exponent) };
        let shrinkage = T::of(2.0 * self.l2_shrinkage_regularization_strength);
        let l2 = T::of(2.0 * (self.l2_regularization_strength + self.beta / (2.0 * lr)));
        let (l1, lr) = (T::of(self.l1_regularization_strength), T::of(lr));
        let [a, z] = &mut slots[..] else { return };
        for (((w, &g), a), z) in w.iter_mut().zip(g).zip(a.iter_mut()).zip(z.iter_mut()) {
            let g = g.flush(T::TINY);
            let n = *a + g * g;
            *z += g + shrinkage * *w - (power(n) - power(*a)) / lr * *w;
            *w = (z.maximum(-l1).minimum(l1) - *z) / (power(n) / lr + l2);
            *a = n;
        }
    }
}
