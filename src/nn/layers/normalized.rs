//! What the layers that normalize each sample share.

use crate::tensor::{Few, Tensor};
use crate::{MAX_RANK, Result};

/// Reshapes a parameter that has the sizes of these axes (ascending, from 0), with axes of size 1 where it
/// broadcasts.
pub(super) fn along(parameter: &Tensor, axes: &[isize], rank: usize) -> Result<Tensor> {
    let first = axes.first().copied().unwrap_or(0);
    let missing: Few<isize, MAX_RANK> = (first..rank as isize).filter(|axis| !axes.contains(axis)).collect();
    let mut out = parameter.clone();
    for axis in missing {
        out = out.expand_dims(axis - first)?;
    }
    Ok(out)
}

/// Returns the differences from the mean over these axes, and the factor that gives them variance 1:
/// `1 / √(var + ε)`.
pub(super) fn centered(x: &Tensor, axes: &[isize], epsilon: f64) -> Result<(Tensor, Tensor)> {
    let center = x.sub(&x.mean(axes, true)?)?;
    let factor = center.square()?.mean(axes, true)?.affine(1.0, epsilon)?.rsqrt()?;
    Ok((center, factor))
}

/// Computes `x · gamma + beta`, of which either may be missing.
pub(super) fn scaled(x: Tensor, gamma: Option<&Tensor>, beta: Option<&Tensor>) -> Result<Tensor> {
    match (gamma, beta) {
        (Some(gamma), Some(beta)) => x.mul_add(gamma, beta),
        (Some(gamma), None) => x.mul(gamma),
        (None, Some(beta)) => x.add(beta),
        (None, None) => Ok(x),
    }
}
