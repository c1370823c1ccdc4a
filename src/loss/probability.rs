//! Losses between distributions, and the helpers that the cross-entropies share.

use super::EPSILON;

/// Returns targets mixed with the uniform distribution over this many classes.
pub(super) fn smoothed(
    targets: crate::Tensor,
    smoothing: f64,
    classes: usize,
) -> crate::Result<crate::Tensor> {
    check_smoothing(smoothing)?;
    if smoothing == 0.0 {
        return Ok(targets);
    }
    targets.affine(1.0 - smoothing, smoothing / classes as f64)
}

/// Fails unless the amount of label smoothing is in range.
pub(super) fn check_smoothing(smoothing: f64) -> crate::Result<()> {
    let fine = (0.0..=1.0).contains(&smoothing);
    crate::Error::unless(fine, "label_smoothing", "0 to 1", smoothing)
}

/// Rescales probabilities of classes to sum to one, then clips them: Keras's rule.
pub(super) fn rescaled(p: &crate::Tensor) -> crate::Result<crate::Tensor> {
    p.div(&p.sum(&[-1], true)?)?.clip(EPSILON, 1.0 - EPSILON)
}

losses! {
    /// `Σ t·ln(t / p)` over the last axis, both kept within `[1e-7, 1]` (Kullback and Leibler 1951).
    KLDivergence(t, p) reads Probabilities of (0.0, 1.0) = {
        let (t, p) = (t.clip(EPSILON, 1.0)?, p.clip(EPSILON, 1.0)?);
        t.mul(&t.ln()?.sub(&p.ln()?)?)?.sum(&[-1], false)
    };
}
