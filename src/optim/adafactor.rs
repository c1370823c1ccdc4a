//! `Adafactor` (Shazeer and Stern 2018), by Keras's rule. For a matrix it keeps only one number for each row and each column.

use super::{LearningRate, Optimizer, Slot, SlotShape, Step, Update, check_setting};
use crate::tensor::Tensor;
use crate::{Error, Result, Spec, settings};

settings! {
    /// With `β = 1 - t^beta_2_decay` and `s = g² + ε₁`: of a parameter with two axes and more `r = β·r + (1-β)·mean(s)` over the last axis,
    /// `c` over the last but one, and `v = r/mean(r) · c`; of all others `v = β·v + (1-β)·s`. Then `u = g/√v`,
    /// `w -= max(ε₂, rms(w)) · min(lr, 1/√t) · u / max(1, rms(u)/clip_threshold)`, where `rms` is the root of the mean square.
    ///
    /// In Keras a full `v` is kept of matrices too, though nothing reads it; here it is not.
    pub struct Adafactor {
        /// With this learning rate, a number or a schedule (Keras's default is 0.001), and the paper's settings.
        new(learning_rate: into LearningRate = 0.001);

        /// The exponent of how slowly the means move, 0 or less; -0.8 by default.
        beta_2_decay: f64 = -0.8,
        /// Added to squares of gradients; 1e-30 by default.
        epsilon_1: f64 = 1e-30,
        /// The least size that a parameter is taken to have; 1e-3 by default.
        epsilon_2: f64 = 1e-3,
        /// How large the root of the mean square of `u` may be; 1 by default.
        clip_threshold: f64 = 1.0,
        /// In Keras, whether a rate that is no schedule is at most `1/√t`. There as here every rate is, so that it has no effect; it
        /// stands here because Keras's configurations have it.
        relative_step: bool = true,
    }
}

/// The root of the mean square.
fn rms(x: &Tensor) -> Result<f64> {
    Ok(libm::sqrt(x.square()?.mean(&[], false)?.item()?))
}

impl Optimizer for Adafactor {
    fn slots(&self, _: &str, parameter: Spec) -> Vec<Slot> {
        match parameter.shape.rank() {
            0 | 1 => vec![Slot::new("v")],
            _ => vec![Slot::new("r").shape(SlotShape::PerRow), Slot::new("c").shape(SlotShape::PerColumn)],
        }
    }
    fn learning_rate(&self) -> LearningRate {
        self.learning_rate.clone()
    }
    fn check(&self) -> Result<()> {
        let (decay, threshold) = (self.beta_2_decay, self.clip_threshold);
        let expected = "a finite number of 0 or less";
        check_setting("beta_2_decay", decay, decay <= 0.0 && decay.is_finite(), expected)?;
        Error::unless_not_negative("epsilon_1", self.epsilon_1)?;
        Error::unless_not_negative("epsilon_2", self.epsilon_2)?;
        check_setting("clip_threshold", threshold, threshold > 0.0, "a number above 0")
    }
    fn update(&self, step: &Step, u: Update<'_>) -> Result<()> {
        if u.w.elements() == 0 {
            return Ok(());
        }
        let (g, t) = (u.gradient()?, step.iteration as f64);
        let beta = 1.0 - libm::pow(t, self.beta_2_decay);
        let squares = g.square()?.affine(1.0, self.epsilon_1)?;
        let moved = |slot: &Tensor, new: &Tensor| slot.affine(beta, 0.0)?.add(&new.affine(1.0 - beta, 0.0)?);
        let v = match u.slots {
            [r, c] => {
                *r = moved(r, &squares.mean(&[-1], false)?)?;
                *c = moved(c, &squares.mean(&[-2], false)?)?;
                let share = r.div(&r.mean(&[-1], true)?)?;
                share.expand_dims(-1)?.mul(&c.expand_dims(-2)?)?
            }
            [v] => {
                *v = moved(v, &squares)?;
                v.clone()
            }
            _ => return Ok(()),
        };
        let change = g.div(&v.sqrt()?)?;
        let size = rms(u.w)?.max(self.epsilon_2) * step.learning_rate.min(1.0 / libm::sqrt(t));
        let scale = size / (rms(&change)? / self.clip_threshold).max(1.0);
        *u.w = u.w.sub(&change.affine(scale, 0.0)?)?;
        Ok(())
    }
}
