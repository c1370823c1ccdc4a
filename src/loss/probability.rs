//! Why it exists: losses between distributions, and the settings that the cross-entropies share.

use super::EPSILON;

/// The builder methods of a cross-entropy: whether predictions are logits, and smoothing if it has it.
macro_rules! crossentropy {
    ($type:ident, $activation:literal $(, $label_smoothing:ident)?) => {
        impl $type {
            #[doc = concat!(
                "On probabilities, clipped to `[1e-7, 1 - 1e-7]`; behind a ", $activation,
                ", `compile` uses the exact form on logits if there is one."
            )]
            pub fn new() -> Self {
                Self::default()
            }

            /// Whether predictions are logits; no by default.
            #[must_use]
            pub fn from_logits(mut self, from_logits: bool) -> Self {
                self.from_logits = from_logits;
                self
            }

            $(
                /// Mixes targets with the uniform distribution: `t·(1-s) + s/classes` (two classes in the binary case); 0 by
                /// default.
                #[must_use]
                pub fn $label_smoothing(mut self, label_smoothing: f64) -> Self {
                    self.$label_smoothing = label_smoothing;
                    self
                }
            )?
        }
    };
}
pub(super) use crossentropy;

/// Targets mixed with the uniform distribution over so many classes.
pub(super) fn smoothed(
    targets: crate::Tensor,
    smoothing: f64,
    classes: usize,
) -> crate::Result<crate::Tensor> {
    if smoothing == 0.0 {
        return Ok(targets);
    }
    targets.affine(1.0 - smoothing, smoothing / classes as f64)
}

/// Keras's rule on probabilities of classes: rescale to sum to one, then clip.
pub(super) fn rescaled(p: &crate::Tensor) -> crate::Result<crate::Tensor> {
    p.div(&p.sum(&[-1], true)?)?.clip(EPSILON, 1.0 - EPSILON)
}

losses! {
    /// `Σ t·ln(t / p)` over the last axis, both kept within `[1e-7, 1]` (Kullback and Leibler 1951).
    KLDivergence(t, p) = {
        let (t, p) = (t.clip(EPSILON, 1.0)?, p.clip(EPSILON, 1.0)?);
        t.mul(&t.ln()?.sub(&p.ln()?)?)?.sum(&[-1], false)
    };
}
