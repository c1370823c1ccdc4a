//! Drops whole channels at random while training: neighbours in an image are so alike that dropping single elements changes
//! nothing (Tompson et al. 2014).

use super::dropout::dropping;
use crate::nn::{Build, DataFormat, Init, InputSpecs, Node, single};
use crate::{Error, Result};

/// The layer for inputs with so many spatial axes.
fn spatial(
    class: &'static str,
    rate: f64,
    axes: isize,
    format: DataFormat,
    inputs: &InputSpecs<'_>,
    init: &mut Init,
) -> Result<Box<dyn Node>> {
    let spec = single(inputs)?;
    if spec.shape.rank() as isize != axes + 2 {
        let names = ["time", "rows, columns", "depth, rows, columns"][axes as usize - 1];
        let expected = match format {
            DataFormat::ChannelsLast => format!("inputs [batch, {names}, channels]"),
            DataFormat::ChannelsFirst => format!("inputs [batch, channels, {names}]"),
        };
        return Err(Error::shape(class, expected, spec.shape));
    }
    let first = if format == DataFormat::ChannelsLast { 1 } else { 2 };
    dropping(class, rate, (first..first + axes).collect(), init)
}

crate::settings! {
    /// [`Dropout`](super::Dropout) on `[batch, time, channels]` that drops a channel of a sample at all times or at none.
    pub layer SpatialDropout1D {
        /// With this rate, `0 <= rate <= 1`.
        new(rate: f64);
    }
}

impl Build for SpatialDropout1D {
    fn build(&self, inputs: &InputSpecs<'_>, init: &mut Init) -> Result<Box<dyn Node>> {
        spatial("SpatialDropout1D", self.rate, 1, DataFormat::ChannelsLast, inputs, init)
    }
}

/// The layer for images and that for volumes.
macro_rules! spatial {
    ($($(#[$doc:meta])* $type:ident, $axes:literal;)*) => {$(
        crate::settings! {
            $(#[$doc])*
            pub layer $type {
                /// With this rate, `0 <= rate <= 1`.
                new(rate: f64);

                /// Where the channels are; last by default.
                data_format: DataFormat = DataFormat::ChannelsLast,
            }
        }

        impl Build for $type {
            fn build(&self, inputs: &InputSpecs<'_>, init: &mut Init) -> Result<Box<dyn Node>> {
                spatial(stringify!($type), self.rate, $axes, self.data_format, inputs, init)
            }
        }
    )*};
}
spatial! {
    /// [`Dropout`](super::Dropout) on `[batch, rows, columns, channels]` that drops a channel of a sample everywhere or nowhere.
    SpatialDropout2D, 2;
    /// [`Dropout`](super::Dropout) on `[batch, depth, rows, columns, channels]` that drops a channel of a sample everywhere or
    /// nowhere.
    SpatialDropout3D, 3;
}
