//! Depthwise convolutions: `activation(depthwise_conv(x, kernel) + bias)`, each channel with kernels of its own.

use super::checks::positive;
use super::conv::ConvNode;
use super::sliding::{Ending, channels, plain_padding, sliding};
use crate::config::Dyn;
use crate::nn::activation::{Activation, Linear};
use crate::nn::constraint::Constraint;
use crate::nn::initializer::{GlorotUniform, Initializer, Zeros};
use crate::nn::regularizer::Regularizer;
use crate::nn::{Build, DataFormat, Init, InputSpecs, Node, Sizes, single};
use crate::ops::Padding;
use crate::tensor::Tensor;
use crate::{Error, Result};

/// A layer for a number of spatial axes.
macro_rules! depthwise_conv {
    ($(#[$doc:meta])* $type:ident, $axes:literal) => {
        crate::settings! {
            $(#[$doc])*
            ///
            /// Places as in a convolution. Each channel gives `depth_multiplier` results, those of the first channel first. Kernel
            /// `[kernel_size…, channels, depth_multiplier]`, Glorot uniform; bias `[channels·depth_multiplier]`, zeros; no activation (Keras's defaults).
            pub layer $type {
                /// A layer whose kernels see `kernel_size` elements along each axis.
                new(kernel_size: into Sizes<$axes>);

                /// From one place of the kernel to the next; 1 by default.
                strides: into Sizes<$axes> = 1,
                /// What lies beyond the edges: nothing (valid, the default), or as many zeros as there are places for all elements (same).
                padding: Padding = Padding::Valid,
                /// How many results each channel gives; 1 by default.
                depth_multiplier: usize = 1,
                /// Where the channels are; last by default.
                data_format: DataFormat = DataFormat::ChannelsLast,
                /// From one element that the kernel sees to the next; 1 by default.
                dilation_rate: into Sizes<$axes> = 1,
                /// The function applied to the result; none by default.
                activation: into Dyn<dyn Activation> = Linear,
                /// Whether there is a bias; yes by default.
                use_bias: bool = true,
                /// How the kernel begins; Glorot uniform by default.
                depthwise_initializer: into Dyn<dyn Initializer> = GlorotUniform,
                /// How the bias begins; zeros by default.
                bias_initializer: into Dyn<dyn Initializer> = Zeros,
                /// A penalty on the kernel; none by default.
                depthwise_regularizer: some into Dyn<dyn Regularizer>,
                /// A penalty on the bias; none by default.
                bias_regularizer: some into Dyn<dyn Regularizer>,
                /// A penalty on the output, divided by the batch size; none by default.
                activity_regularizer: some into Dyn<dyn Regularizer>,
                /// A bound on the kernel; none by default.
                depthwise_constraint: some into Dyn<dyn Constraint>,
                /// A bound on the bias; none by default.
                bias_constraint: some into Dyn<dyn Constraint>,
            }
        }

        impl Build for $type {
            fn build(&self, inputs: &InputSpecs<'_>, init: &mut Init) -> Result<Box<dyn Node>> {
                positive("depth_multiplier", self.depth_multiplier)?;
                plain_padding(&self.padding)?;
                let how = sliding(&self.kernel_size, &self.strides, &self.padding, &self.dilation_rate)?;
                let channels = channels(stringify!($type), single(inputs)?, $axes, self.data_format)?;
                let Some(results) = channels.checked_mul(self.depth_multiplier) else {
                    let expected = format!("a number that can be multiplied by {channels} channels");
                    return Err(Error::argument("depth_multiplier", expected, self.depth_multiplier));
                };
                let kernel = init.weight(
                    [&self.kernel_size.0[..], &[channels, self.depth_multiplier]].concat(),
                    &self.depthwise_initializer,
                    &self.depthwise_regularizer,
                    &self.depthwise_constraint,
                )?;
                let bias = init.weight_if(self.use_bias, [results],
                        &self.bias_initializer,
                        &self.bias_regularizer,
                        &self.bias_constraint)?;
                let ending = Ending {
                    layer: stringify!($type),
                    data_format: self.data_format,
                    activation: self.activation.clone(),
                    activity_regularizer: self.activity_regularizer.clone(),
                };
                Ok(Box::new(ConvNode { kernel, bias, product: Tensor::depthwise_conv, how, ending }))
            }
        }
    };
}

depthwise_conv! {
    /// A convolution of each channel by itself along one axis: `[batch, steps, channels]` becomes `[batch, places, channels·depth_multiplier]`.
    DepthwiseConv1D, 1
}
depthwise_conv! {
    /// A convolution of each channel by itself over images: `[batch, height, width, channels]` becomes
    /// `[batch, rows, columns, channels·depth_multiplier]`.
    DepthwiseConv2D, 2
}
