//! What random layers share: the axes along which elements share what is drawn, and the draw.

use crate::random::Stream;
use crate::shape::is_unknown;
use crate::tensor::Tensor;
use crate::{Error, Result, Spec};

/// Keras's `noise_shape` for inputs of some rank.
#[derive(Clone, Debug, Default)]
pub(super) struct NoiseShape {
    /// Axes along which all elements are dropped or kept together.
    pub(super) shared: Vec<isize>,
    /// Axes whose sizes are not known before data arrives, and the sizes that were given.
    pub(super) fixed: Vec<(usize, usize)>,
}

impl NoiseShape {
    /// Reads the setting, which has a size for each of the last axes. Along the axes before them, elements share
    /// what is drawn.
    pub(super) fn new(setting: Option<&[Option<usize>]>, input: Spec) -> Result<NoiseShape> {
        let mut noise = NoiseShape::default();
        let Some(given) = setting else { return Ok(noise) };
        let sizes = input.shape.dims();
        let Some(missing) = sizes.len().checked_sub(given.len()) else {
            let expected = format!("a size for each of the {} axes of inputs {}", sizes.len(), input.shape);
            return Err(Error::argument("noise_shape", expected, listed(given)));
        };
        noise.shared = (0..missing as isize).collect();
        for (axis, size) in given.iter().enumerate().map(|(i, size)| (missing + i, size)) {
            match *size {
                None => {}
                Some(1) => noise.shared.push(axis as isize),
                Some(n) if n == sizes[axis] => {}
                Some(n) if n > 0 && is_unknown(sizes[axis]) => noise.fixed.push((axis, n)),
                Some(_) => {
                    let expected = match is_unknown(sizes[axis]) {
                        true => format!("1, None or a size at axis {axis}"),
                        false => format!("1, {} or None at axis {axis}", sizes[axis]),
                    };
                    return Err(Error::argument("noise_shape", expected, listed(given)));
                }
            }
        }
        Ok(noise)
    }

    /// Returns true with probability `1 - rate`, once for all elements along the shared axes, whose size becomes 1.
    ///
    /// # Errors
    /// The input's size differs from the one given.
    pub(super) fn kept(&self, x: &Tensor, rate: f64, stream: Stream) -> Result<Tensor> {
        // A trace tries sizes of its own.
        let wrong = self.fixed.iter().find(|(axis, n)| x.dims()[*axis] != *n && !x.is_traced());
        if let Some((axis, n)) = wrong {
            let expected = format!("{} or None at axis {axis} for this input", x.dims()[*axis]);
            return Err(Error::argument("noise_shape", expected, n));
        }
        let mut one = x.clone();
        for axis in &self.shared {
            one = one.slice(*axis, 0, 1)?;
        }
        let drawn = one.new_full(*one.shape(), 1.0)?.dropout(rate, stream)?;
        drawn.greater(&drawn.new_full([], 0.0)?)
    }
}

/// Writes sizes as Python would.
fn listed(sizes: &[Option<usize>]) -> String {
    let sizes = sizes.iter().map(|d| d.map_or("None".into(), |d| d.to_string()));
    format!("[{}]", sizes.collect::<Vec<String>>().join(", "))
}
