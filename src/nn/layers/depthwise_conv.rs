//! Depthwise convolutions: each channel has its own kernels.
//!
//! `y[b, i, c·depth_multiplier + m] = activation(Σ_k x[b, i·strides + k·dilation_rate, c] · kernel[k, c, m] + bias[c·depth_multiplier + m])`

use super::checks::{fits, positive};
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

/// Declares the layer for a number of spatial axes.
macro_rules! depthwise_conv {
    ($(#[$doc:meta])* $type:ident, $axes:literal) => {
        crate::settings! {
            $(#[$doc])*
            ///
            /// `y[b, i, c·m + j] = activation(Σ_k x[b, i·strides + k·dilation_rate, c] · kernel[k, c, j] + bias[c·m + j])`,
            /// with `m = depth_multiplier`
            ///
            /// - Output sizes are those of a convolution.
            /// - Kernel `[kernel_size…, channels, depth_multiplier]`, bias `[channels·depth_multiplier]`.
            pub layer $type {
                /// Creates a layer whose kernels read `kernel_size` elements along each axis.
                new(kernel_size: into Sizes<$axes>);

                /// Step of the kernel along each axis. Default: `1`.
                strides: into Sizes<$axes> = 1,
                /// - `Valid`: none.
                /// - `Same`: zeros at both ends, so that there are `⌈n / strides⌉` outputs.
                ///
                /// Default: `Valid`.
                padding: named Padding = Padding::Valid,
                /// Number of outputs for each input channel. Default: `1`.
                depth_multiplier: usize = 1,
                /// The position of the channels. Default: last.
                data_format: named DataFormat = DataFormat::ChannelsLast,
                /// Distance between the elements that the kernel reads. Default: `1`.
                dilation_rate: into Sizes<$axes> = 1,
                /// Activation. Default: none.
                activation: into Dyn<dyn Activation> = Linear,
                /// Whether there is a bias. Default: `true`.
                use_bias: bool = true,
                /// Initializer of the kernel. Default: `GlorotUniform`.
                depthwise_initializer: into Dyn<dyn Initializer> = GlorotUniform,
                /// Initializer of the bias. Default: `Zeros`.
                bias_initializer: into Dyn<dyn Initializer> = Zeros,
                /// Regularizer of the kernel. Default: none.
                depthwise_regularizer: some into Dyn<dyn Regularizer>,
                /// Regularizer of the bias. Default: none.
                bias_regularizer: some into Dyn<dyn Regularizer>,
                /// Regularizer of the output; its penalty is divided by the batch size. Default: none.
                activity_regularizer: some into Dyn<dyn Regularizer>,
                /// Constraint on the kernel. Default: none.
                depthwise_constraint: some into Dyn<dyn Constraint>,
                /// Constraint on the bias. Default: none.
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
                let shape = [&self.kernel_size.0[..], &[channels, self.depth_multiplier]].concat();
                fits("depth_multiplier, kernel_size", &shape)?;
                let kernel = init.weight(
                    shape,
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
                Ok(Box::new(ConvNode { kernel, bias, op: Tensor::depthwise_conv, how, ending }))
            }
        }
    };
}

depthwise_conv! {
    /// A convolution of each channel separately along one axis: `[batch, steps, channels]` becomes
    /// `[batch, new_steps, channels·depth_multiplier]`.
    DepthwiseConv1D, 1
}
depthwise_conv! {
    /// A convolution of each channel separately over images: `[batch, height, width, channels]` becomes
    /// `[batch, new_height, new_width, channels·depth_multiplier]`.
    DepthwiseConv2D, 2
}
