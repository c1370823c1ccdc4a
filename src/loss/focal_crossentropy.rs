//! Why it exists: cross-entropies that count easy rows less (Lin et al. 2017), for rare classes.

use super::binary_crossentropy::on_probabilities;
use super::categorical_crossentropy::targets;
use super::probability::{rescaled, smoothed};
use super::{Loss, aligned, last_mean};
use crate::tensor::Tensor;
use crate::{Result, settings};

settings! {
    /// The binary cross-entropy times `(1 - q)^gamma`, where `q = t·p + (1-t)·(1-p)`; the mean over the last axis. With
    /// class balancing also times `alpha` where the target is 1 and `1 - alpha` where it is 0.
    #[derive(Copy, PartialEq)]
    pub struct BinaryFocalCrossentropy {
        /// On probabilities, clipped to `[1e-7, 1 - 1e-7]`; behind a sigmoid, `compile` uses the exact form on logits if there
        /// is one.
        new();

        /// Whether `alpha` weighs the two classes; no by default.
        apply_class_balancing: bool = false,
        /// The weight of class 1 when classes are balanced; 0.25 by default.
        alpha: f64 = 0.25,
        /// How much less easy rows count; 2 by default.
        gamma: f64 = 2.0,
        /// Whether predictions are logits; no by default.
        from_logits: bool = false,
        /// Mixes targets with the uniform distribution: `t·(1-s) + s/classes` (two classes in the binary case); 0 by default.
        label_smoothing: f64 = 0.0,
    }
}

impl Loss for BinaryFocalCrossentropy {
    fn call(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<Tensor> {
        let (t, p) = aligned("BinaryFocalCrossentropy", y_true, y_pred)?;
        let t = smoothed(t, self.label_smoothing, 2)?;
        let p = if self.from_logits { p.sigmoid()? } else { p };
        let not_t = t.affine(-1.0, 1.0)?;
        // 1 - q
        let miss = t.mul(&p)?.add(&not_t.mul(&p.affine(-1.0, 1.0)?)?)?.affine(-1.0, 1.0)?;
        let mut losses = power(&miss, self.gamma)?.mul(&on_probabilities(&t, &p)?)?;
        if self.apply_class_balancing {
            losses = t.affine(2.0 * self.alpha - 1.0, 1.0 - self.alpha)?.mul(&losses)?;
        }
        last_mean(&losses)
    }
}

settings! {
    /// `-Σ alpha·(1-p)^gamma·t·ln p` over the last axis.
    #[derive(Copy, PartialEq)]
    pub struct CategoricalFocalCrossentropy {
        /// On probabilities, clipped to `[1e-7, 1 - 1e-7]`; behind a softmax, `compile` uses the exact form on logits if there
        /// is one.
        new();

        /// A factor; 0.25 by default.
        alpha: f64 = 0.25,
        /// How much less easy rows count; 2 by default.
        gamma: f64 = 2.0,
        /// Whether predictions are logits; no by default.
        from_logits: bool = false,
        /// Mixes targets with the uniform distribution: `t·(1-s) + s/classes` (two classes in the binary case); 0 by default.
        label_smoothing: f64 = 0.0,
    }
}

impl Loss for CategoricalFocalCrossentropy {
    fn call(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<Tensor> {
        let t = targets("CategoricalFocalCrossentropy", y_true, y_pred, self.label_smoothing)?;
        let p = rescaled(&if self.from_logits { y_pred.softmax(-1)? } else { y_pred.clone() })?;
        let factor = power(&p.affine(-1.0, 1.0)?, self.gamma)?.affine(-self.alpha, 0.0)?;
        factor.mul(&t.mul(&p.ln()?)?)?.sum(&[-1], false)
    }
}

/// `x^exponent` for `x >= 0`.
fn power(x: &Tensor, exponent: f64) -> Result<Tensor> {
    if exponent == 2.0 { x.square() } else { x.pow(&x.new_full([], exponent)?) }
}
