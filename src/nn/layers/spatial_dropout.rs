//! Spatial dropout: drops whole channels at random in training. Neighbours in an image are so alike that dropping
//! single elements changes nothing (Tompson et al. 2014).

use super::dropout::dropping;
use super::noise::NoiseShape;
use crate::Result;
use crate::nn::{Build, DataFormat, Init, InputSpecs, Node, expect_images, single};

/// Builds the layer for inputs with this number of spatial axes.
fn spatial(
    class: &'static str,
    rate: f64,
    axes: usize,
    format: DataFormat,
    inputs: &InputSpecs<'_>,
    init: &mut Init,
) -> Result<Box<dyn Node>> {
    expect_images(class, single(inputs)?, axes, format)?;
    let first = format.first_axis();
    let shared = (first..first + axes).map(|axis| axis as isize).collect();
    dropping(class, rate, NoiseShape { shared, fixed: Vec::new() }, init)
}

crate::settings! {
    /// [`Dropout`](super::Dropout) on `[batch, steps, channels]` that drops a channel of a sample at all times or
    /// at none.
    pub layer SpatialDropout1D {
        /// Creates the layer with this rate, `0 <= rate <= 1`.
        new(rate: f64);
    }
}

impl Build for SpatialDropout1D {
    fn build(&self, inputs: &InputSpecs<'_>, init: &mut Init) -> Result<Box<dyn Node>> {
        spatial("SpatialDropout1D", self.rate, 1, DataFormat::ChannelsLast, inputs, init)
    }
}

/// Declares the layer for images and that for volumes.
macro_rules! spatial {
    ($($(#[$doc:meta])* $type:ident, $axes:literal;)*) => {$(
        crate::settings! {
            $(#[$doc])*
            pub layer $type {
                /// Creates the layer with this rate, `0 <= rate <= 1`.
                new(rate: f64);

                /// The position of the channels. Default: last.
                data_format: named DataFormat = DataFormat::ChannelsLast,
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
    /// [`Dropout`](super::Dropout) on `[batch, height, width, channels]` that drops a channel of a sample
    /// everywhere or nowhere.
    SpatialDropout2D, 2;
    /// [`Dropout`](super::Dropout) on `[batch, depth, height, width, channels]` that drops a channel of a sample
    /// everywhere or nowhere.
    SpatialDropout3D, 3;
}
