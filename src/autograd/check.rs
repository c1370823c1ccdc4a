//! `gradcheck`: compares gradients with finite differences of the function, the only way to trust them. Users check
//! their own operations with the same function that checks the library's.

use super::grad;
use crate::tensor::Tensor;
use crate::{DType, Error, Result};

/// The largest relative errors that [`gradcheck`] found.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Check {
    /// Errors of first derivatives against central differences of the function, for both ways to compute them
    /// (`backward`, and `grad`, whose results can be differentiated).
    pub first: f64,
    /// Errors of second derivatives against central differences of the first.
    pub second: f64,
}

/// Step size of the differences: near the cube root of f64's precision, where rounding and truncation balance.
const STEP: f64 = 6e-6;

/// Returns fixed weights in [0.5, 1.5), which turn a tensor into a number so that no element's error can hide.
fn weights(t: &Tensor, salt: u64) -> Result<Tensor> {
    let value = |i: usize| {
        let mut z =
            (i as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ salt.wrapping_mul(0xD134_2543_DE82_EF95);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        0.5 + ((z ^ (z >> 27)) >> 12) as f64 / (1u64 << 52) as f64
    };
    let v: Vec<f64> = (0..t.elements()).map(value).collect();
    Tensor::from_slice(&v, *t.shape())
}

fn weighted(t: &Tensor, salt: u64) -> Result<Tensor> {
    t.mul(&weights(t, salt)?)?.sum(&[], false)
}

fn scalar(f: &dyn Fn(&[Tensor]) -> Result<Tensor>, inputs: &[Tensor]) -> Result<Tensor> {
    weighted(&f(inputs)?, 7)
}

/// Σ over inputs of weighted first derivatives: the function whose derivatives are the second derivatives.
fn slope(f: &dyn Fn(&[Tensor]) -> Result<Tensor>, inputs: &[Tensor]) -> Result<Tensor> {
    let firsts = grad(&scalar(f, inputs)?, &inputs.iter().collect::<Vec<_>>())?;
    let mut sum: Option<Tensor> = None;
    for (i, g) in firsts.iter().enumerate() {
        let term = weighted(g, 11 + i as u64)?;
        sum = Some(match sum {
            Some(s) => s.add(&term)?,
            None => term,
        });
    }
    sum.ok_or_else(|| Error::Backward("no inputs".into()))
}

/// Central differences of `f` with respect to element `at` of input `which`.
fn difference(
    f: &dyn Fn(&[Tensor]) -> Result<f64>,
    inputs: &[Tensor],
    which: usize,
    at: usize,
) -> Result<f64> {
    let moved = |by: f64| -> Result<f64> {
        let mut moved = inputs.to_vec();
        let mut values = inputs[which].to_vec::<f64>()?;
        values[at] += by;
        moved[which] = Tensor::from_slice(&values, *inputs[which].shape())?;
        f(&moved)
    };
    Ok((moved(STEP)? - moved(-STEP)?) / (2.0 * STEP))
}

fn error(analytic: f64, numeric: f64) -> f64 {
    if analytic.is_nan() || numeric.is_nan() {
        return f64::INFINITY;
    }
    (analytic - numeric).abs() / (1.0 + analytic.abs().max(numeric.abs()))
}

/// Compares the gradients of `f`, of order 1 and 2, with central differences at `inputs` (all float64; keep them
/// small, because every element is varied). Choose points where `f` is smooth. Returns the largest relative errors,
/// which are around 1e-9 for a correct rule.
///
/// # Errors
/// An input is not float64, or `f` or one of its gradients fails.
pub fn gradcheck(f: impl Fn(&[Tensor]) -> Result<Tensor>, inputs: &[Tensor]) -> Result<Check> {
    let f: &dyn Fn(&[Tensor]) -> Result<Tensor> = &f;
    if let Some(t) = inputs.iter().find(|t| t.dtype() != DType::F64) {
        return Err(Error::DType { op: "gradcheck", expected: "float64", got: t.dtype() });
    }
    let leaves: Vec<Tensor> = inputs.iter().map(Tensor::tracked).collect();
    let fused = scalar(f, &leaves)?.backward()?;
    let recorded = grad(&scalar(f, &leaves)?, &leaves.iter().collect::<Vec<_>>())?;
    let second = slope(f, &leaves)?;
    let second = if second.is_tracked() { second.backward()? } else { Default::default() };
    let mut worst = Check { first: 0.0, second: 0.0 };
    for (i, leaf) in leaves.iter().enumerate() {
        let missing = || Error::Backward(format!("no gradient reached input {i}"));
        let fused = fused.get(leaf).ok_or_else(missing)?.to_vec::<f64>()?;
        let recorded = recorded[i].to_vec::<f64>()?;
        let second = second.get(leaf).map(Tensor::to_vec::<f64>).transpose()?;
        for at in 0..leaf.elements() {
            let numeric = difference(&|x| scalar(f, x)?.item(), inputs, i, at)?;
            worst.first = worst.first.max(error(fused[at], numeric)).max(error(recorded[at], numeric));
            let of_slope =
                |x: &[Tensor]| slope(f, &x.iter().map(Tensor::tracked).collect::<Vec<_>>())?.item();
            let numeric = difference(&of_slope, inputs, i, at)?;
            worst.second = worst.second.max(error(second.as_ref().map_or(0.0, |s| s[at]), numeric));
        }
    }
    Ok(worst)
}
