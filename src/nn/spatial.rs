//! What layers on images, volumes and sequences are told alike: a number for each spatial axis, and where the channels are.

use crate::config::generated::wrong;
use crate::config::{Registry, Setting};
use crate::tensor::Tensor;
use crate::{Error, Result};
use serde_json::Value;

/// A number for each of `N` spatial axes: `3` for all alike, `[3, 5]` or `(3, 5)` for each.
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
    /// The numbers, each at least 1.
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

/// In files: a list; one number for all is read too.
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
    /// Where the channels of images, volumes and sequences are.
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
    /// The input with its channels last.
    ///
    /// # Errors
    /// It has no axis of channels.
    pub fn last(self, x: &Tensor) -> Result<Tensor> {
        match self {
            DataFormat::ChannelsLast => Ok(x.clone()),
            DataFormat::ChannelsFirst => x.moveaxis(1, -1),
        }
    }

    /// A result with its channels last, as the user wants it.
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
