//! `ScheduleFreeAdamW`: AdamW without a schedule (Defazio et al. 2024), by Keras's rule. An average over all steps does what a falling rate
//! would do.

use super::{
    LearningRate, Optimizer, Slices, Slot, Step, Update, check_epsilon, check_fading, check_setting,
};
use crate::dtype::dispatch_float;
use crate::{Float, Result, Spec, settings};

settings! {
    /// `v += (1-β₂)(g²-v)`, `z -= lr·g / (√(v/(1-β₂ᵗ)) + ε)`, `x += (z-x)/t`, and the parameter is `w = (1-β₁)·z + β₁·x`, at which gradients
    /// are taken. `z` is a slot and begins with the parameter; `x`, the average, follows from `w` and `z`.
    ///
    /// As in Keras the parameters stay `w` after training, and there is decay only if `weight_decay` is set.
    pub struct ScheduleFreeAdamW {
        /// With this learning rate (Keras's default is 0.0025), β₁ 0.9, β₂ 0.999, ε 1e-8, no warm-up.
        new(learning_rate: into LearningRate = 0.0025);

        /// How much of the average is in the parameter; 0.9 by default.
        beta_1: f64 = 0.9,
        /// How slowly the mean of squares moves; 0.999 by default.
        beta_2: f64 = 0.999,
        /// Keeps the divisor from zero; 1e-8 by default.
        epsilon: f64 = 1e-8,
        /// In so many updates the rate rises to the learning rate in a line; 0 by default.
        warmup_steps: u64 = 0,
    }
}

impl ScheduleFreeAdamW {
    fn run<T: Float>(&self, step: &Step, slices: Slices<'_, T>) {
        let t = step.iteration as f64;
        let warm = if self.warmup_steps > 0 { (t / self.warmup_steps as f64).min(1.0) } else { 1.0 };
        let lr = T::of(step.learning_rate * warm);
        let unbias = T::of(1.0 / (1.0 - libm::pow(self.beta_2, t)));
        let (beta, z_share, rest_2) =
            (T::of(self.beta_1), T::of(1.0 - self.beta_1), T::of(1.0 - self.beta_2));
        let (epsilon, new, old) = (T::of(self.epsilon), T::of(1.0 / t), T::of(1.0 - 1.0 / t));
        slices.in_parts(&|mut part| {
            let [z, v] = &mut part.slots[..] else { return };
            for (((w, &g), z), v) in part.w.iter_mut().zip(part.g).zip(z.iter_mut()).zip(v.iter_mut()) {
                let g = g.flush(T::TINY);
                let x = (*w - z_share * *z) / beta;
                *v = (*v + (g * g - *v) * rest_2).flush(T::FADED);
                *z -= lr * g / ((*v * unbias).sqrt() + epsilon);
                *w = z_share * *z + beta * (old * x + new * *z);
            }
        });
    }
}

impl Optimizer for ScheduleFreeAdamW {
    fn slots(&self, _: &str, _: Spec) -> Vec<Slot> {
        vec![Slot::new("z").start_at_parameter(), Slot::new("v")]
    }
    fn learning_rate(&self) -> LearningRate {
        self.learning_rate.clone()
    }
    fn check(&self) -> Result<()> {
        let beta_1 = self.beta_1;
        check_setting("beta_1", beta_1, beta_1 > 0.0 && beta_1 <= 1.0, "above 0, at most 1")?;
        check_fading("beta_2", self.beta_2)?;
        check_epsilon(self.epsilon)
    }
    fn can_fail(&self) -> bool {
        false
    }
    fn update(&self, step: &Step, mut u: Update<'_>) -> Result<()> {
        dispatch_float!("optimizer", u.w.dtype(), T => self.run::<T>(step, u.slices()?));
        Ok(())
    }
}
