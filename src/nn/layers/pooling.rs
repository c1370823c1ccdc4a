//! Pooling: reduces each pool of neighbouring elements to one number per channel, their largest or their mean.

use crate::nn::{Build, Cx, DataFormat, Init, InputSpecs, Layer, Node, Sizes, expect_images, single};
use crate::ops::Padding;
use crate::ops::window::PerAxis;
use crate::tensor::Tensor;
use crate::{Error, Result};

/// Declares the layer for each number of axes.
macro_rules! pooling {
    ($($(#[$doc:meta])* $layer:ident: $operation:ident over $n:tt axes, as $alias:ident { $($size:tt)* })*) => {$(
        crate::settings! {
            $(#[$doc])*
            ///
            /// The output size of each axis is `⌊(elements - pool_size) / strides⌋ + 1` or, with the padding
            /// `same`, `⌈elements / strides⌉`.
            pub layer $layer {
                $($size)*
                /// Step of the window along each axis. Default: `pool_size`.
                strides: some into Sizes<$n>,
                /// `Padding::Valid`: pools stay inside. `Padding::Same`: they reach over the edges, where nothing
                /// counts. Default: `Padding::Valid`.
                padding: named Padding = Padding::Valid,
                /// The position of the channels. Default: last.
                data_format: named DataFormat = DataFormat::ChannelsLast,
            }
        }

        impl Build for $layer {
            fn build(&self, inputs: &InputSpecs<'_>, _: &mut Init) -> Result<Box<dyn Node>> {
                let size = self.pool_size.positive("pool_size")?;
                let strides = self.strides.as_ref().map_or(Ok(size), |strides| strides.positive("strides"))?;
                if !matches!(self.padding, Padding::Valid | Padding::Same) {
                    return Err(Error::argument("padding", "valid or same", &self.padding));
                }
                expect_images(stringify!($layer), single(inputs)?, $n, self.data_format)?;
                Ok(Box::new(Pooling {
                    class: stringify!($layer),
                    operation: Tensor::$operation,
                    largest: stringify!($operation) == "max_pool",
                    size: size.into(),
                    strides: strides.into(),
                    padding: self.padding.clone(),
                    data_format: self.data_format,
                }))
            }
        }

        /// Keras's other name.
        pub type $alias = $layer;
    )*};
}

pooling! {
    /// The largest of each pool of a sequence: `[batch, steps, channels]` becomes `[batch, new_steps, channels]`.
    MaxPooling1D: max_pool over 1 axes, as MaxPool1D {
        /// Creates the layer with pools of two elements along each axis, side by side.
        new();

        /// Size of the window: one number, or one for each axis. Default: `2`.
        pool_size: into Sizes<1> = 2usize,
    }
    /// The largest of each pool of an image: `[batch, height, width, channels]` becomes
    /// `[batch, rows, columns, channels]`.
    MaxPooling2D: max_pool over 2 axes, as MaxPool2D {
        /// Creates the layer with pools of two elements along each axis, side by side.
        new();

        /// Size of the window: one number, or one for each axis. Default: `2`.
        pool_size: into Sizes<2> = 2usize,
    }
    /// The largest of each pool of a volume: `[batch, depth, height, width, channels]` keeps its axes, which become
    /// shorter.
    MaxPooling3D: max_pool over 3 axes, as MaxPool3D {
        /// Creates the layer with pools of two elements along each axis, side by side.
        new();

        /// Size of the window: one number, or one for each axis. Default: `2`.
        pool_size: into Sizes<3> = 2usize,
    }
    /// The mean of each pool of a sequence: `[batch, steps, channels]` becomes `[batch, new_steps, channels]`.
    AveragePooling1D: average_pool over 1 axes, as AvgPool1D {
        /// Creates the layer with pools of this size, side by side: one number, or one for each axis.
        new(pool_size: into Sizes<1>);
    }
    /// The mean of each pool of an image: `[batch, height, width, channels]` becomes
    /// `[batch, rows, columns, channels]`.
    AveragePooling2D: average_pool over 2 axes, as AvgPool2D {
        /// Creates the layer with pools of this size, side by side: one number, or one for each axis.
        new(pool_size: into Sizes<2>);
    }
    /// The mean of each pool of a volume: `[batch, depth, height, width, channels]` keeps its axes, which become
    /// shorter.
    AveragePooling3D: average_pool over 3 axes, as AvgPool3D {
        /// Creates the layer with pools of this size, side by side: one number, or one for each axis.
        new(pool_size: into Sizes<3>);
    }
}

type Operation = fn(&Tensor, &[usize], Option<&[usize]>, &Padding) -> Result<Tensor>;

/// The layer over any number of axes.
#[derive(Clone, Debug)]
struct Pooling {
    class: &'static str,
    operation: Operation,
    /// Whether the operation gives the largest of each pool, and not the mean.
    largest: bool,
    size: PerAxis<usize>,
    strides: PerAxis<usize>,
    padding: Padding,
    data_format: DataFormat,
}
crate::parts!(Pooling {});

impl Layer for Pooling {
    fn forward(&self, x: &Tensor, _: &mut Cx) -> Result<Tensor> {
        let x = self.data_format.last(x)?;
        self.data_format.back((self.operation)(&x, &self.size, Some(&self.strides), &self.padding)?)
    }
    fn class_name(&self) -> &'static str {
        self.class
    }
    fn is_row_wise(&self) -> bool {
        true
    }
    fn picks_largest(&self) -> bool {
        self.largest
    }
}
