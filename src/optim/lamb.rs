//! `Lamb` (You et al. 2020), by Keras's rule: Adam's step, scaled to the length of the parameter.

use super::{LearningRate, Optimizer, Slot, Step, Update, check_betas, check_epsilon};
use crate::{Result, Spec, settings};

settings! {
    /// `m += (1-β₁)(g-m)`, `v += (1-β₂)(g²-v)`, `u = m/(1-β₁ᵗ) / (√(v/(1-β₂ᵗ)) + ε)`, `w -= lr·‖w‖/‖u‖ · u`, where the quotient is 1 if one of
    /// the norms is 0. Decay comes before, as for all optimizers.
    pub struct Lamb {
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

impl Optimizer for Lamb {
    fn slots(&self, _: &str, _: Spec) -> Vec<Slot> {
        vec![Slot::new("m"), Slot::new("v")]
    }
    fn learning_rate(&self) -> LearningRate {
        self.learning_rate.clone()
    }
    fn check(&self) -> Result<()> {
        check_betas(self.beta_1, self.beta_2)?;
        check_epsilon(self.epsilon)
    }
    fn update(&self, step: &Step, u: Update<'_>) -> Result<()> {
        let g = u.gradient()?;
        let [m, v] = u.slots else { return Ok(()) };
        *m = m.add(&g.sub(m)?.affine(1.0 - self.beta_1, 0.0)?)?;
        *v = v.add(&g.square()?.sub(v)?.affine(1.0 - self.beta_2, 0.0)?)?;
        let t = step.iteration as f64;
        let unbias = |beta| 1.0 / (1.0 - libm::pow(beta, t));
        let divisor = v.affine(unbias(self.beta_2), 0.0)?.sqrt()?.affine(1.0, self.epsilon)?;
        let change = m.affine(unbias(self.beta_1), 0.0)?.div(&divisor)?;
        let (long, short) = (u.w.norm(2.0, &[], false)?.item()?, change.norm(2.0, &[], false)?.item()?);
        let ratio = if long > 0.0 && short > 0.0 { long / short } else { 1.0 };
        *u.w = u.w.sub(&change.affine(ratio * step.learning_rate, 0.0)?)?;
        Ok(())
    }
}
