//! Hinge losses, which ask for a margin, as support vector machines do. Targets are -1 or 1 (or 0 and 1, which are
//! converted).

use super::last_mean;
use crate::Result;
use crate::tensor::Tensor;

losses! {
    /// The mean of `max(1 - t·p, 0)` over the last axis.
    Hinge(t, p) reads Margins of (-1.0, 1.0) = last_mean(&gap(&t, &p)?);

    /// The mean of `max(1 - t·p, 0)²` over the last axis.
    SquaredHinge(t, p) reads Margins of (-1.0, 1.0) = last_mean(&gap(&t, &p)?.square()?);

    /// `max(1 + max((1 - t)·p) - Σ t·p, 0)` over the last axis; targets are one-hot.
    CategoricalHinge(t, p) of (0.0, 1.0) = {
        let right = t.mul(&p)?.sum(&[-1], false)?;
        let wrong = t.affine(-1.0, 1.0)?.mul(&p)?.max(&[-1], false)?;
        wrong.sub(&right)?.affine(1.0, 1.0)?.relu()
    };
}

/// `max(1 - t·p, 0)`. Targets that are all 0 or 1 become -1 or 1.
fn gap(t: &Tensor, p: &Tensor) -> Result<Tensor> {
    let is = |value| t.equal(&t.new_full([], value)?);
    let binary = is(0.0)?.logical_or(&is(1.0)?)?.all(&[], false)?;
    let t = binary.choose(&t.affine(2.0, -1.0)?, t)?;
    t.mul(p)?.affine(-1.0, 1.0)?.relu()
}
