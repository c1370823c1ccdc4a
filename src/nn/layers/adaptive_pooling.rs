//! Adaptive pooling: pools to a given output size, whatever the size of the input. The outputs share each axis
//! evenly.

use crate::Result;
use crate::nn::{Build, Cx, DataFormat, Init, InputSpecs, Layer, Node, Sizes, expect_images, single};
use crate::ops::window::PerAxis;
use crate::tensor::Tensor;

/// Declares the layer for each number of axes.
macro_rules! adaptive_pooling {
    ($($(#[$doc:meta])* $layer:ident: $operation:ident over $n:tt axes;)*) => {$(
        crate::settings! {
            $(#[$doc])*
            ///
            /// Output `i` of `p` along an axis of `n` elements covers those from `⌊i·n/p⌋` up to, but not
            /// including, `⌈(i+1)·n/p⌉`.
            pub layer $layer {
                /// Creates a layer of this output size: one number, or one for each axis.
                new(output_size: into Sizes<$n>);

                /// The position of the channels. Default: last.
                data_format: named DataFormat = DataFormat::ChannelsLast,
            }
        }

        impl Build for $layer {
            fn build(&self, inputs: &InputSpecs<'_>, _: &mut Init) -> Result<Box<dyn Node>> {
                let places = self.output_size.positive("output_size")?.into();
                expect_images(stringify!($layer), single(inputs)?, $n, self.data_format)?;
                let (class, operation, data_format) = (stringify!($layer), Tensor::$operation, self.data_format);
                Ok(Box::new(AdaptivePooling { class, operation, places, data_format }))
            }
        }
    )*};
}

adaptive_pooling! {
    /// The means in `output_size` parts of a sequence: `[batch, steps, channels]` becomes
    /// `[batch, new_steps, channels]`.
    AdaptiveAveragePooling1D: adaptive_average_pool over 1 axes;
    /// The means in `output_size` parts of an image: `[batch, height, width, channels]` becomes
    /// `[batch, new_height, new_width, channels]`.
    AdaptiveAveragePooling2D: adaptive_average_pool over 2 axes;
    /// The means in `output_size` parts of a volume `[batch, depth, height, width, channels]`.
    AdaptiveAveragePooling3D: adaptive_average_pool over 3 axes;
    /// The largest in `output_size` parts of a sequence: `[batch, steps, channels]` becomes
    /// `[batch, new_steps, channels]`.
    AdaptiveMaxPooling1D: adaptive_max_pool over 1 axes;
    /// The largest in `output_size` parts of an image: `[batch, height, width, channels]` becomes
    /// `[batch, new_height, new_width, channels]`.
    AdaptiveMaxPooling2D: adaptive_max_pool over 2 axes;
    /// The largest in `output_size` parts of a volume `[batch, depth, height, width, channels]`.
    AdaptiveMaxPooling3D: adaptive_max_pool over 3 axes;
}

/// The layer over any number of axes.
#[derive(Clone, Debug)]
struct AdaptivePooling {
    class: &'static str,
    operation: fn(&Tensor, &[usize]) -> Result<Tensor>,
    places: PerAxis<usize>,
    data_format: DataFormat,
}
crate::parts!(AdaptivePooling {});

impl Layer for AdaptivePooling {
    fn forward(&self, x: &Tensor, _: &mut Cx) -> Result<Tensor> {
        self.data_format.back((self.operation)(&self.data_format.last(x)?, &self.places)?)
    }
    fn class_name(&self) -> &'static str {
        self.class
    }
    fn is_row_wise(&self) -> bool {
        true
    }
}
