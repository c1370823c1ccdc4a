//! Cropping layers: cut off the edges of sequences, images and volumes.

use crate::Result;
use crate::nn::{
    Build, Cx, DataFormat, Init, InputSpecs, Layer, Margins, Node, Range, expect_images, expect_rest, single,
};
use crate::tensor::Tensor;

/// Declares the layer for each number of axes; those on images and volumes can have their channels first.
macro_rules! cropping {
    ($($(#[$doc:meta])* $layer:ident over $n:tt axes, $default:expr $(, $data_format:ident)?;)*) => {$(
        crate::settings! {
            $(#[$doc])*
            pub layer $layer {
                /// Creates the layer with Keras's defaults.
                new();

                /// How much is cut off: one number for all sides, a number for each axis (but `(before, after)` if
                /// there is just one), or a pair `(before, after)` for each axis. Default: 1 on either side, but
                /// nothing for images.
                cropping: into Margins<$n> = $default,
                $(
                    /// The position of the channels. Default: last.
                    $data_format: named DataFormat = DataFormat::ChannelsLast,
                )?
            }
        }

        impl Build for $layer {
            fn build(&self, inputs: &InputSpecs<'_>, _: &mut Init) -> Result<Box<dyn Node>> {
                let data_format = DataFormat::ChannelsLast;
                $(let data_format = { let _ = data_format; self.$data_format };)?
                expect_images(stringify!($layer), single(inputs)?, $n, data_format)?;
                let (class, margins) = (stringify!($layer), self.cropping.0.to_vec());
                Ok(Box::new(Cropping { class, margins, first_axis: data_format.first_axis() }))
            }
        }
    )*};
}

cropping! {
    /// The inner steps of a sequence `[batch, steps, channels]`.
    Cropping1D over 1 axes, 1usize;
    /// The inner part of an image `[batch, height, width, channels]`.
    Cropping2D over 2 axes, 0usize, data_format;
    /// The inner part of a volume `[batch, depth, height, width, channels]`.
    Cropping3D over 3 axes, 1usize, data_format;
}

/// The layer over any number of axes.
#[derive(Clone, Debug)]
struct Cropping {
    class: &'static str,
    /// The margins of each spatial axis.
    margins: Vec<(usize, usize)>,
    first_axis: usize,
}
crate::parts!(Cropping {});

impl Layer for Cropping {
    fn forward(&self, x: &Tensor, _: &mut Cx) -> Result<Tensor> {
        expect_rest("cropping", &self.margins, x.dims().get(self.first_axis..).unwrap_or(&[]))?;
        let mut y = x.clone();
        for (axis, &(before, behind)) in (self.first_axis..).zip(&self.margins) {
            let end = (behind > 0).then_some(-(behind as isize));
            y = y.slice_step(axis as isize, Some(before as isize), end, 1)?;
        }
        Ok(y)
    }
    fn class_name(&self) -> &'static str {
        self.class
    }
    fn output_range(&self, input: Option<Range>) -> Option<Range> {
        input
    }
    fn is_row_wise(&self) -> bool {
        true
    }
}
