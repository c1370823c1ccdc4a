//! Settings shared by layers on images, volumes and sequences: a number for each spatial axis, and the position of
//! the channels.

use crate::config::generated::wrong;
use crate::config::{Registry, Setting};
use crate::shape::Size;
use crate::tensor::Tensor;
use crate::{Error, Result, Spec};
use serde_json::Value;

/// A number for each of `N` spatial axes: `3` for all of them, `[3, 5]` or `(3, 5)` for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes<const N: usize>(pub [usize; N]);

impl<const N: usize> From<usize> for Sizes<N> {
    fn from(all: usize) -> Sizes<N> {
        Sizes([all; N])
    }
}
impl<const N: usize> From<[usize; N]> for Sizes<N> {
    fn from(each: [usize; N]) -> Sizes<N> {
        Sizes(each)
    }
}
impl From<(usize, usize)> for Sizes<2> {
    fn from((a, b): (usize, usize)) -> Sizes<2> {
        Sizes([a, b])
    }
}
impl From<(usize, usize, usize)> for Sizes<3> {
    fn from((a, b, c): (usize, usize, usize)) -> Sizes<3> {
        Sizes([a, b, c])
    }
}

impl<const N: usize> Sizes<N> {
    /// Returns the numbers, each at least 1.
    ///
    /// # Errors
    /// One of them is 0; the message names the setting.
    pub fn positive(&self, setting: &'static str) -> Result<&[usize]> {
        match self.0.contains(&0) {
            false => Ok(&self.0),
            true => Err(Error::argument(setting, "numbers of at least 1", format!("{:?}", self.0))),
        }
    }
}

/// Stored in files as a list; one number for all is read too.
impl<const N: usize> Setting for Sizes<N> {
    fn write(&self) -> Result<Value> {
        self.0.write()
    }
    fn read(value: Value, registry: &Registry) -> Result<Sizes<N>> {
        match value {
            Value::Number(_) => Ok(Sizes([usize::read(value, registry)?; N])),
            Value::Array(_) => Ok(Sizes(<[usize; N]>::read(value, registry)?)),
            other => Err(wrong(format_args!("a whole number or a list of {N}"), &other)),
        }
    }
}

crate::string_enum! {
    /// The position of the channels in images, volumes and sequences.
    #[derive(Default)]
    pub enum DataFormat {
        /// `[batch, axes…, channels]`.
        #[default]
        ChannelsLast = "channels_last",
        /// `[batch, channels, axes…]`. Layers compute with the channels last and move them there and back.
        ChannelsFirst = "channels_first",
    }
}

impl DataFormat {
    /// Moves the channels of an input to the end.
    ///
    /// # Errors
    /// It has no axis of channels.
    pub fn last(self, x: &Tensor) -> Result<Tensor> {
        match self {
            DataFormat::ChannelsLast => Ok(x.clone()),
            DataFormat::ChannelsFirst => x.moveaxis(1, -1),
        }
    }

    /// Moves the channels of a result from the end to where the user wants them.
    ///
    /// # Errors
    /// It has no axis of channels.
    pub fn back(self, y: Tensor) -> Result<Tensor> {
        match self {
            DataFormat::ChannelsLast => Ok(y),
            DataFormat::ChannelsFirst => y.moveaxis(-1, 1),
        }
    }
}

/// Numbers before and after each of `N` spatial axes. One number applies to all, and Keras's shorter forms work
/// too: for one axis `(before, after)`, for several a number or a pair for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Margins<const N: usize>(pub [(usize, usize); N]);

impl<const N: usize> From<usize> for Margins<N> {
    fn from(all: usize) -> Margins<N> {
        Margins([(all, all); N])
    }
}
impl<const N: usize> From<[(usize, usize); N]> for Margins<N> {
    fn from(each: [(usize, usize); N]) -> Margins<N> {
        Margins(each)
    }
}
impl From<(usize, usize)> for Margins<1> {
    fn from(pair: (usize, usize)) -> Margins<1> {
        Margins([pair])
    }
}
impl From<(usize, usize)> for Margins<2> {
    fn from((rows, columns): (usize, usize)) -> Margins<2> {
        Margins([(rows, rows), (columns, columns)])
    }
}
impl From<(usize, usize, usize)> for Margins<3> {
    fn from((a, b, c): (usize, usize, usize)) -> Margins<3> {
        Margins([(a, a), (b, b), (c, c)])
    }
}
impl From<((usize, usize), (usize, usize))> for Margins<2> {
    fn from((rows, columns): ((usize, usize), (usize, usize))) -> Margins<2> {
        Margins([rows, columns])
    }
}
impl From<((usize, usize), (usize, usize), (usize, usize))> for Margins<3> {
    fn from((a, b, c): ((usize, usize), (usize, usize), (usize, usize))) -> Margins<3> {
        Margins([a, b, c])
    }
}

/// Stored in files as in Keras: a pair for one axis, a list of pairs for several.
impl<const N: usize> Setting for Margins<N> {
    fn write(&self) -> Result<Value> {
        if N == 1 { self.0[0].write() } else { self.0.write() }
    }
    fn read(value: Value, registry: &Registry) -> Result<Margins<N>> {
        let pair = |value: Value| match value {
            Value::Number(_) => usize::read(value, registry).map(|n| (n, n)),
            _ => <(usize, usize)>::read(value, registry),
        };
        match value {
            Value::Number(_) => Ok(usize::read(value, registry)?.into()),
            // For one axis, `[1, 2]` is the pair itself.
            Value::Array(items) if N == 1 && items.len() == 2 => Ok(Margins([pair(Value::Array(items))?; N])),
            Value::Array(items) if items.len() == N => {
                let mut each = [(0, 0); N];
                for (to, item) in each.iter_mut().zip(items) {
                    *to = pair(item)?;
                }
                Ok(Margins(each))
            }
            other => {
                Err(wrong(format_args!("a whole number or a list of {} for {N} axes", N.max(2)), &other))
            }
        }
    }
}

/// Fails unless the input has a batch, channels, and this number of axes besides.
pub(crate) fn expect_images(layer: &'static str, input: Spec, axes: usize, format: DataFormat) -> Result<()> {
    if input.shape.rank() == axes + 2 {
        return Ok(());
    }
    let names = ["steps", "height, width", "depth, height, width"][axes.clamp(1, 3) - 1];
    let expected = match format {
        DataFormat::ChannelsLast => format!("[batch, {names}, channels]"),
        DataFormat::ChannelsFirst => format!("[batch, channels, {names}]"),
    };
    Err(Error::shape(layer, expected, input.shape))
}

impl DataFormat {
    /// Returns the first of the spatial axes.
    pub(crate) fn first_axis(self) -> usize {
        match self {
            DataFormat::ChannelsLast => 1,
            DataFormat::ChannelsFirst => 2,
        }
    }
}

/// Fails unless every margin leaves something of its axis.
pub(crate) fn expect_rest(setting: &'static str, margins: &[(usize, usize)], sizes: &[usize]) -> Result<()> {
    for (axis, (&(a, b), &size)) in margins.iter().zip(sizes).enumerate() {
        if a.saturating_add(b) >= size {
            let expected = format!("less than the {} elements of spatial axis {axis} together", Size(size));
            return Err(Error::argument(setting, expected, format!("{a} and {b}")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn margins_are_read_in_every_form_of_keras() {
        fn read<const N: usize>(value: Value) -> Result<Margins<N>> {
            let margins = Margins::read(value, &Registry::new())?;
            assert_eq!(Margins::read(margins.write()?, &Registry::new())?, margins);
            Ok(margins)
        }
        assert_eq!(read::<1>(json!(2)).unwrap(), (2, 2).into());
        assert_eq!(read::<1>(json!([1, 2])).unwrap(), Margins([(1, 2)]));
        assert_eq!(read::<2>(json!([1, 2])).unwrap(), (1, 2).into());
        assert_eq!(read::<2>(json!([[1, 2], 3])).unwrap(), ((1, 2), (3, 3)).into());
        assert_eq!(read::<3>(json!([1, 2, [3, 4]])).unwrap(), ((1, 1), (2, 2), (3, 4)).into());
        assert_eq!(read::<3>(json!(1)).unwrap(), 1.into());
        let message = read::<2>(json!([1, 2, 3])).unwrap_err().to_string();
        assert_eq!(message, "expected a whole number or a list of 2 for 2 axes, found a list");
        assert!(read::<2>(json!([-1, 2])).is_err() && read::<2>(json!("same")).is_err());
    }
}
