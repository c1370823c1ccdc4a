//! Focal losses: cross-entropies in which easy rows count less, for rare classes (Lin et al. 2017). On logits,
//! everything is computed in logarithms, because `1 - q` of a confident prediction is too small to represent, or to
//! raise to a power and differentiate.

use super::binary_crossentropy::on_probabilities;
use super::categorical_crossentropy::targets;
use super::probability::{check_smoothing, rescaled, smoothed};
use super::{EPSILON, Loss, Reads, aligned, last_mean};
use crate::config::Dyn;
use crate::nn::activation::{Activation, Sigmoid, Softmax};
use crate::tensor::Tensor;
use crate::{Error, Result, settings};

settings! {
    /// The binary cross-entropy times `(1 - q)^gamma`, where `q = t·p + (1-t)·(1-p)`; the mean over the last axis. With
    /// class balancing also times `alpha` where the target is 1 and `1 - alpha` where it is 0.
    #[derive(Copy, PartialEq)]
    pub struct BinaryFocalCrossentropy {
        /// Takes probabilities, clipped to `[1e-7, 1 - 1e-7]`; after a sigmoid, `compile` uses the exact form on
        /// logits.
        new();

        /// Whether `alpha` weighs the two classes; no by default.
        apply_class_balancing: bool = false,
        /// The weight of class 1 when classes are balanced, 0 to 1; 0.25 by default.
        alpha: f64 = 0.25,
        /// How much less easy rows count, 0 or more; 2 by default.
        gamma: f64 = 2.0,
        /// Whether predictions are logits; no by default.
        from_logits: bool = false,
        /// Mixes targets with the uniform distribution: `t·(1-s) + s/classes` (two classes in the binary case); 0
        /// by default.
        label_smoothing: f64 = 0.0,
    }
}

/// Fails unless the settings that both losses have are in range.
fn check(alpha: f64, gamma: f64, smoothing: f64) -> Result<()> {
    Error::unless((0.0..=1.0).contains(&alpha), "alpha", "0 to 1", alpha)?;
    Error::unless(gamma >= 0.0 && gamma.is_finite(), "gamma", "a finite number of 0 or more", gamma)?;
    check_smoothing(smoothing)
}

impl Loss for BinaryFocalCrossentropy {
    fn check(&self) -> Result<()> {
        check(self.alpha, self.gamma, self.label_smoothing)
    }

    fn reads(&self) -> Reads {
        if self.from_logits { Reads::Logits } else { Reads::Probabilities }
    }

    fn targets(&self) -> (f64, f64) {
        (0.0, 1.0)
    }

    fn call(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<Tensor> {
        self.check()?;
        let (t, p) = aligned("BinaryFocalCrossentropy", y_true, y_pred)?;
        let t = smoothed(t, self.label_smoothing, 2)?;
        let mut losses = match self.from_logits {
            true => scaled(&ln_miss(&t, &p)?, self.gamma)?.mul(&on_logits(&t, &p)?)?,
            false => {
                let p = p.clip(EPSILON, 1.0 - EPSILON)?;
                let not_t = t.affine(-1.0, 1.0)?;
                let miss = t.mul(&p.affine(-1.0, 1.0)?)?.add(&not_t.mul(&p)?)?;
                power(&miss, self.gamma)?.mul(&on_probabilities(&t, &p)?)?
            }
        };
        if self.apply_class_balancing {
            losses = t.affine(2.0 * self.alpha - 1.0, 1.0 - self.alpha)?.mul(&losses)?;
        }
        last_mean(&losses)
    }

    fn on_logits(&self, activation: &dyn Activation) -> Option<Dyn<dyn Loss>> {
        let fits = !self.from_logits && (activation as &dyn std::any::Any).is::<Sigmoid>();
        fits.then(|| self.from_logits(true).into())
    }
}

/// `-(t·ln σ(z) + (1-t)·ln σ(-z))`: both terms have a derivative of full precision, where `σ(z) - t` would lose all
/// digits.
fn on_logits(t: &Tensor, z: &Tensor) -> Result<Tensor> {
    let (yes, no) = (z.log_sigmoid()?.mul(t)?, z.neg()?.log_sigmoid()?.mul(&t.affine(-1.0, 1.0)?)?);
    yes.add(&no)?.neg()
}

/// `ln(1 - q) = ln(t·σ(-z) + (1-t)·σ(z))`. The term with the larger of `t` and `1 - t` is factored out, so that
/// nothing overflows and a target of 0 or 1 leaves one logarithm:
/// `ln σ(-s·z) + ln h + softplus(s·z + ln((1-h)/h))`, where `h` is the larger one, and `s` is 1 if that is `t`,
/// else -1.
fn ln_miss(t: &Tensor, z: &Tensor) -> Result<Tensor> {
    let one = t.greater_equal(&t.new_full([], 0.5)?)?;
    let s = one.choose(&t.new_full([], 1.0)?, &t.new_full([], -1.0)?)?;
    let h = one.choose(t, &t.affine(-1.0, 1.0)?)?;
    let sz = z.mul(&s)?;
    let rest = h.affine(-1.0, 1.0)?.div(&h)?.ln()?;
    sz.neg()?.log_sigmoid()?.add(&h.ln()?)?.add(&sz.add(&rest)?.softplus()?)
}

settings! {
    /// `-Σ alpha·(1-p)^gamma·t·ln p` over the last axis.
    #[derive(Copy, PartialEq)]
    pub struct CategoricalFocalCrossentropy {
        /// Takes probabilities, clipped to `[1e-7, 1 - 1e-7]`; after a softmax, `compile` uses the exact form on
        /// logits.
        new();

        /// A factor of the loss, 0 to 1; 0.25 by default.
        alpha: f64 = 0.25,
        /// How much less easy rows count, 0 or more; 2 by default.
        gamma: f64 = 2.0,
        /// Whether predictions are logits; no by default.
        from_logits: bool = false,
        /// Mixes targets with the uniform distribution: `t·(1-s) + s/classes` (two classes in the binary case); 0
        /// by default.
        label_smoothing: f64 = 0.0,
    }
}

impl Loss for CategoricalFocalCrossentropy {
    fn check(&self) -> Result<()> {
        check(self.alpha, self.gamma, self.label_smoothing)
    }

    fn reads(&self) -> Reads {
        if self.from_logits { Reads::ClassLogits } else { Reads::Shares }
    }

    fn targets(&self) -> (f64, f64) {
        (0.0, 1.0)
    }

    fn call(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<Tensor> {
        self.check()?;
        let t = targets("CategoricalFocalCrossentropy", y_true, y_pred, self.label_smoothing)?;
        let (factor, ln_p) = match self.from_logits {
            true => {
                let (ln_p, ln_rest) = logarithms(y_pred)?;
                (scaled(&ln_rest, self.gamma)?, ln_p)
            }
            false => {
                let p = rescaled(y_pred)?;
                (power(&p.affine(-1.0, 1.0)?, self.gamma)?, p.ln()?)
            }
        };
        factor.affine(-self.alpha, 0.0)?.mul(&t.mul(&ln_p)?)?.sum(&[-1], false)
    }

    fn on_logits(&self, activation: &dyn Activation) -> Option<Dyn<dyn Loss>> {
        let fits = !self.from_logits && (activation as &dyn std::any::Any).downcast_ref() == Some(&Softmax);
        fits.then(|| self.from_logits(true).into())
    }
}

/// Returns `ln p` and `ln(1 - p)` of each class. For the most probable class they are `ln σ(∓d)`, where `d` is how
/// far all the others together are above it. For the other classes nothing cancels, because their `p` is at most a
/// half.
fn logarithms(z: &Tensor) -> Result<(Tensor, Tensor)> {
    let ln_p = z.log_softmax(-1)?;
    let classes = z.dims().last().copied().unwrap_or(1);
    if classes < 2 {
        // One class is certain, and `ln p`, a factor of the loss, is 0.
        return Ok((ln_p.clone(), ln_p));
    }
    let top = z.detach().argmax(-1)?.one_hot(classes, z.dtype())?;
    let top = top.greater(&top.new_full([], 0.5)?)?;
    let others = top.choose(&z.new_full([], f64::NEG_INFINITY)?, z)?.logsumexp(&[-1], true)?;
    let d = others.sub(&top.choose(z, &z.new_full([], 0.0)?)?.sum(&[-1], true)?)?;
    // Where this branch is not taken, a value whose logarithm has a derivative.
    let p = top.choose(&ln_p.new_full([], 0.5)?, &ln_p.exp()?)?;
    let rest = top.choose(&d.log_sigmoid()?, &p.affine(-1.0, 1.0)?.ln()?)?;
    Ok((top.choose(&d.neg()?.log_sigmoid()?, &ln_p)?, rest))
}

/// `exp(gamma·ln x)`.
fn scaled(ln_x: &Tensor, gamma: f64) -> Result<Tensor> {
    ln_x.affine(gamma, 0.0)?.exp()
}

/// `x^exponent` for `x > 0`.
fn power(x: &Tensor, exponent: f64) -> Result<Tensor> {
    if exponent == 2.0 { x.square() } else { x.pow(&x.new_full([], exponent)?) }
}
