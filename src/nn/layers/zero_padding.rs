//! Zero padding: puts zeros around sequences, images and volumes.

use crate::Result;
use crate::nn::{Build, Cx, DataFormat, Init, InputSpecs, Layer, Margins, Node, expect_images, single};
use crate::ops::PadMode;
use crate::tensor::Tensor;

/// Declares the layer for each number of axes.
macro_rules! zero_padding {
    ($($(#[$doc:meta])* $layer:ident over $n:tt axes;)*) => {$(
        crate::settings! {
            $(#[$doc])*
            pub layer $layer {
                /// Creates the layer with one zero on every side.
                new();

                /// How many zeros: one number for all sides, a number for each axis (but `(before, after)` if there
                /// is just one), or a pair `(before, after)` for each axis. Default: `1`.
                padding: into Margins<$n> = 1usize,
                /// The position of the channels. Default: last.
                data_format: named DataFormat = DataFormat::ChannelsLast,
            }
        }

        impl Build for $layer {
            fn build(&self, inputs: &InputSpecs<'_>, _: &mut Init) -> Result<Box<dyn Node>> {
                expect_images(stringify!($layer), single(inputs)?, $n, self.data_format)?;
                let first = self.data_format.first_axis();
                let mut widths = vec![(0, 0); $n + 2];
                widths[first..first + $n].copy_from_slice(&self.padding.0);
                Ok(Box::new(ZeroPadding { class: stringify!($layer), widths }))
            }
        }
    )*};
}

zero_padding! {
    /// Zeros before and after a sequence: `[batch, steps, channels]` has `before + steps + after` steps.
    ZeroPadding1D over 1 axes;
    /// Zeros around an image `[batch, height, width, channels]`.
    ZeroPadding2D over 2 axes;
    /// Zeros around a volume `[batch, depth, height, width, channels]`.
    ZeroPadding3D over 3 axes;
}

/// The layer over any number of axes.
#[derive(Clone, Debug)]
struct ZeroPadding {
    class: &'static str,
    /// The padding of every axis.
    widths: Vec<(usize, usize)>,
}
crate::parts!(ZeroPadding {});

impl Layer for ZeroPadding {
    fn forward(&self, x: &Tensor, _: &mut Cx) -> Result<Tensor> {
        x.pad(&self.widths, PadMode::Constant(0.0))
    }
    fn class_name(&self) -> &'static str {
        self.class
    }
    fn is_row_wise(&self) -> bool {
        true
    }
}
