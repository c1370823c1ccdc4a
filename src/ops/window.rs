//! Windows that slide over the spatial axes of images: what convolution and pooling share. The data is
//! `[batch, axes…, channels]`, with one to three spatial axes.

use crate::autograd::{Attr, Attribute};
use crate::config::generated::{unknown_name, wrong};
use crate::config::{Registry, Setting};
use crate::kernels::gemm::Window;
use crate::tensor::Few;
use crate::{Error, MAX_RANK, Result};
use std::fmt;

/// One number for each spatial axis.
pub type PerAxis<T> = Few<T, 3>;

/// What lies beyond the edges of an image where a window reaches over them; the first three names are Keras's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Padding {
    /// Nothing: the window stays inside.
    #[default]
    Valid,
    /// As much as gives `⌈elements / stride⌉` places, the odd one at the end (ONNX's `SAME_UPPER`).
    Same,
    /// All of it before the first element, so that no place sees what comes after it. Only along a single axis
    /// (time).
    Causal,
    /// Given amounts before and after, axis by axis.
    Explicit(PerAxis<(usize, usize)>),
}

const NAMES: [&str; 3] = ["valid", "same", "causal"];

impl Padding {
    /// Creates padding with given amounts before and after, axis by axis: `Padding::explicit([(1, 1), (1, 1)])`.
    pub fn explicit<const N: usize>(pairs: [(usize, usize); N]) -> Padding {
        Padding::Explicit(pairs.into_iter().collect())
    }

    /// Fails unless it has a meaning for this many spatial axes.
    pub(crate) fn check(&self, axes: usize) -> Result<()> {
        let expected = match self {
            Padding::Causal if axes != 1 => "valid or same where there are several spatial axes".to_string(),
            Padding::Explicit(pairs) if pairs.len() != axes => {
                format!("a pair for each of {axes} spatial axes")
            }
            _ => return Ok(()),
        };
        Err(Error::argument("padding", expected, self))
    }

    fn named(name: &str) -> Option<Padding> {
        Some(match name {
            "valid" => Padding::Valid,
            "same" => Padding::Same,
            "causal" => Padding::Causal,
            _ => return None,
        })
    }
}

/// Written as `valid`, `same`, `causal` or `1:1, 0:2`.
impl fmt::Display for Padding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Padding::Valid => f.write_str("valid"),
            Padding::Same => f.write_str("same"),
            Padding::Causal => f.write_str("causal"),
            Padding::Explicit(pairs) => {
                for (i, (before, after)) in pairs.iter().enumerate() {
                    write!(f, "{}{before}:{after}", if i == 0 { "" } else { ", " })?;
                }
                Ok(())
            }
        }
    }
}

impl std::str::FromStr for Padding {
    type Err = Error;
    fn from_str(name: &str) -> Result<Padding> {
        Padding::named(name).ok_or_else(|| unknown_name("padding", &NAMES, name))
    }
}

impl Attribute for Padding {
    const EXPECTED: &'static str = "valid, same, causal, or pairs such as 1:1, 0:2";
    fn write(&self) -> Attr {
        Attr::Text(self.to_string().into())
    }
    fn read(value: &Attr) -> Option<Padding> {
        let Attr::Text(text) = value else { return None };
        let pair = |pair: &str| {
            let (before, after) = pair.split_once(':')?;
            Some((before.parse().ok()?, after.parse().ok()?))
        };
        let pairs = || text.split(", ").map(pair).collect::<Option<PerAxis<_>>>();
        Padding::named(text).or_else(|| pairs().filter(|p| p.len() <= MAX_RANK).map(Padding::Explicit))
    }
}

/// Stored in files as its name, or a list of pairs.
impl Setting for Padding {
    fn write(&self) -> Result<serde_json::Value> {
        match self {
            Padding::Explicit(pairs) => pairs.to_vec().write(),
            named => Ok(named.to_string().into()),
        }
    }
    fn read(value: serde_json::Value, registry: &Registry) -> Result<Padding> {
        match &value {
            serde_json::Value::String(name) => name.parse(),
            serde_json::Value::Array(_) => {
                Ok(Padding::Explicit(Vec::<(usize, usize)>::read(value, registry)?.into()))
            }
            _ => Err(wrong("a name or a list of pairs", &value)),
        }
    }
}

impl Attribute for PerAxis<usize> {
    const EXPECTED: &'static str = "a whole number for each spatial axis";
    fn write(&self) -> Attr {
        Attr::Ints(self.iter().map(|&n| i64::try_from(n).unwrap_or(i64::MAX)).collect())
    }
    fn read(value: &Attr) -> Option<PerAxis<usize>> {
        match value {
            Attr::Ints(list) if list.len() <= 3 => list.iter().map(|&n| n.try_into().ok()).collect(),
            _ => None,
        }
    }
}

/// Returns the windows on the spatial axes of images of these sizes. `size`, `strides` and `dilation` hold one
/// number for each axis; if a window does not fit, the message names the axis.
///
/// # Errors
/// There are not one to three axes; a list has another length; a size, stride or dilation is 0; causal padding has
/// several axes; or a window is longer than the axis with its padding.
pub fn windows(
    op: &'static str,
    spatial: &[usize],
    size: &[usize],
    strides: &[usize],
    dilation: &[usize],
    padding: &Padding,
) -> Result<PerAxis<Window>> {
    let n = spatial.len();
    if !(1..=3).contains(&n) {
        return Err(Error::argument(op, "images with one to three spatial axes", format!("{n}")));
    }
    for (what, list) in [("window", size), ("strides", strides), ("dilation_rate", dilation)] {
        if list.len() != n || list.contains(&0) {
            let expected = format!("a number of at least 1 for each of {n} spatial axes");
            return Err(Error::argument(what, expected, format!("{list:?}")));
        }
    }
    padding.check(n)?;
    if let Some(axis) = spatial.iter().position(|&size| size == 0) {
        let expected = format!("images with at least one element on spatial axis {axis}");
        return Err(Error::argument(op, expected, format!("{spatial:?}")));
    }
    let window = |i: usize| -> Result<Window> {
        let (size, stride, dilation) = (size[i], strides[i], dilation[i]);
        let reach = (size - 1).checked_mul(dilation).filter(|n| *n < isize::MAX as usize / 2);
        let Some(reach) = reach else {
            return Err(Error::argument(
                "window",
                "a reach that can be counted",
                format!("{size} by {dilation}"),
            ));
        };
        let (before, after) = match padding {
            Padding::Valid => (0, 0),
            Padding::Causal => (reach, 0),
            Padding::Explicit(pairs) => pairs[i],
            Padding::Same => {
                let places = spatial[i].div_ceil(stride);
                let needed = (places.saturating_sub(1) * stride + reach + 1).saturating_sub(spatial[i]);
                (needed / 2, needed - needed / 2)
            }
        };
        let window = Window { size, stride, dilation, before, after };
        window.places(spatial[i]).map_err(|_| {
            let expected = format!(
                "a window that fits into spatial axis {i} of {} elements (padding {padding})",
                crate::shape::Size(spatial[i])
            );
            Error::argument(op, expected, format!("one that reaches over {}", reach + 1))
        })?;
        Ok(window)
    };
    (0..n).map(window).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_those_of_keras() {
        // elements, size, stride, dilation: before, after and places of valid, same and causal.
        for (n, size, stride, dilation, valid, same, causal) in [
            (4, 3, 2, 1, (0, 0, 1), (0, 1, 2), (2, 0, 2)),
            (5, 3, 2, 1, (0, 0, 2), (1, 1, 3), (2, 0, 3)),
            (7, 2, 3, 1, (0, 0, 2), (0, 1, 3), (1, 0, 3)),
            (7, 3, 1, 2, (0, 0, 3), (2, 2, 7), (4, 0, 7)),
            (6, 1, 4, 1, (0, 0, 2), (0, 0, 2), (0, 0, 2)),
        ] {
            for (padding, want) in [(Padding::Valid, valid), (Padding::Same, same), (Padding::Causal, causal)]
            {
                let w = windows("test", &[n], &[size], &[stride], &[dilation], &padding).unwrap()[0];
                assert_eq!((w.before, w.after, w.places(n).unwrap()), want, "{padding} {n} {size}");
            }
        }
    }

    #[test]
    fn paddings_are_read_as_they_are_written() {
        for padding in [Padding::Valid, Padding::Same, Padding::Causal, Padding::explicit([(1, 0), (2, 3)])] {
            assert_eq!(<Padding as Attribute>::read(&Attribute::write(&padding)), Some(padding.clone()));
            let file = Setting::write(&padding).unwrap();
            assert_eq!(<Padding as Setting>::read(file, &Registry::new()).unwrap(), padding);
        }
        assert_eq!(<Padding as Attribute>::read(&Attr::Text("full".into())), None);
        let message = "full".parse::<Padding>().unwrap_err().to_string();
        assert_eq!(message, "padding: expected one of valid, same, causal, got 'full'");
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let message = |size: &[usize], strides: &[usize], padding: &Padding| {
            windows("conv", &[4, 5], size, strides, &[1, 1], padding).unwrap_err().to_string()
        };
        assert_eq!(
            message(&[3, 6], &[1, 1], &Padding::Valid),
            "conv: expected a window that fits into spatial axis 1 of 5 elements (padding valid), got one that reaches over 6"
        );
        assert_eq!(
            message(&[3, 3], &[1, 0], &Padding::Valid),
            "strides: expected a number of at least 1 for each of 2 spatial axes, got [1, 0]"
        );
        assert_eq!(
            message(&[3, 3], &[1, 1], &Padding::Causal),
            "padding: expected valid or same where there are several spatial axes, got causal"
        );
    }
}
