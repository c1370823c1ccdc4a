//! What random layers have in common: which elements share what is drawn, and the draw.

use crate::random::Stream;
use crate::shape::is_unknown;
use crate::tensor::Tensor;
use crate::{Error, Result, Spec};

/// The axes along which a `noise_shape` draws once for all.
pub(super) fn shared_axes(noise_shape: Option<&[Option<usize>]>, input: Spec) -> Result<Vec<isize>> {
    let Some(noise) = noise_shape else { return Ok(Vec::new()) };
    let (sizes, text) = (input.shape.dims(), || listed(noise));
    if noise.len() != sizes.len() {
        let expected = format!("a size for each of the {} axes of inputs {}", sizes.len(), input.shape);
        return Err(Error::argument("noise_shape", expected, text()));
    }
    let mut shared = Vec::new();
    for (axis, (noise, &size)) in noise.iter().zip(sizes).enumerate() {
        match *noise {
            None => {}
            Some(1) => shared.push(axis as isize),
            Some(n) if n == size => {}
            Some(_) => {
                let own = if is_unknown(size) { String::new() } else { format!(", {size}") };
                let expected = format!("1{own} or None at axis {axis}");
                return Err(Error::argument("noise_shape", expected, text()));
            }
        }
    }
    Ok(shared)
}

/// As Python would write it.
fn listed(sizes: &[Option<usize>]) -> String {
    let sizes = sizes.iter().map(|d| d.map_or("None".into(), |d| d.to_string()));
    format!("[{}]", sizes.collect::<Vec<String>>().join(", "))
}

/// True with probability `1 - rate`, once for all elements along the shared axes, whose size becomes 1.
pub(super) fn kept(x: &Tensor, shared: &[isize], rate: f64, stream: Stream) -> Result<Tensor> {
    let mut one = x.clone();
    for axis in shared {
        one = one.slice(*axis, 0, 1)?;
    }
    let drawn = one.new_full(*one.shape(), 1.0)?.dropout(rate, stream)?;
    drawn.greater(&drawn.new_full([], 0.0)?)
}
