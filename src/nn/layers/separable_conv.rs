//! Separable convolutions, `activation(depthwise_conv(x, depthwise_kernel) · pointwise_kernel + bias)`: first each
//! channel separately, then all channels of each position together.

use super::checks::{fits, positive};
use super::sliding::{Ending, channels, plain_padding, sliding};
use crate::config::Dyn;
use crate::nn::activation::{Activation, Linear};
use crate::nn::constraint::Constraint;
use crate::nn::initializer::{GlorotUniform, Initializer, Zeros};
use crate::nn::regularizer::Regularizer;
use crate::nn::{
    Build, Cx, DataFormat, Init, InputSpecs, Layer, Node, Param, Range, Sizes, range_of, single,
};
use crate::ops::Padding;
use crate::ops::conv::Convolution;
use crate::ops::matmul::Fused;
use crate::tensor::Tensor;
use crate::{Error, Result};

/// The layer with its parameters.
#[derive(Clone, Debug)]
struct SeparableConvNode {
    depthwise_kernel: Param,
    pointwise_kernel: Param,
    bias: Option<Param>,
    how: Convolution,
    ending: Ending,
}
crate::parts!(SeparableConvNode { depthwise_kernel, pointwise_kernel, bias });

impl SeparableConvNode {
    fn linear_part(&self, x: &Tensor, cx: &mut Cx, activation: Option<Fused>) -> Result<Tensor> {
        let (depthwise, pointwise) = (cx.param(&self.depthwise_kernel)?, cx.param(&self.pointwise_kernel)?);
        let bias = cx.param_if(&self.bias)?;
        let apart = self.ending.data_format.last(x)?.depthwise_conv(&depthwise, None, None, &self.how)?;
        // A convolution whose window is one element is a matrix product at each position.
        apart.linear(&pointwise.merge_axes(0, -2)?, bias.as_ref(), activation)
    }
}

impl Layer for SeparableConvNode {
    fn forward(&self, x: &Tensor, cx: &mut Cx) -> Result<Tensor> {
        let fused = self.ending.activation.fused();
        let y = self.linear_part(x, cx, fused)?;
        self.ending.finish(y, fused.is_some(), cx)
    }
    fn output_activation(&self) -> Option<&dyn Activation> {
        self.ending.output_activation()
    }
    fn forward_logits(&self, x: &Tensor, cx: &mut Cx) -> Result<Tensor> {
        self.ending.data_format.back(self.linear_part(x, cx, None)?)
    }
    fn class_name(&self) -> &'static str {
        self.ending.layer
    }
    fn output_range(&self, _: Option<Range>) -> Option<Range> {
        range_of(&*self.ending.activation)
    }
    fn is_row_wise(&self) -> bool {
        self.ending.activity_regularizer.is_none()
    }
}

/// Declares the layer for a number of spatial axes.
macro_rules! separable_conv {
    ($(#[$doc:meta])* $type:ident, $axes:literal) => {
        crate::settings! {
            $(#[$doc])*
            ///
            /// - Output sizes are those of a convolution.
            /// - Depthwise kernel `[kernel_size…, channels, depth_multiplier]`, pointwise kernel
            ///   `[1…, channels·depth_multiplier, filters]`, bias `[filters]`.
            pub layer $type {
                /// Creates a layer of `filters` output channels whose kernel reads `kernel_size` elements along
                /// each axis.
                new(filters: usize, kernel_size: into Sizes<$axes>);

                /// Step of the kernel along each axis. Default: `1`.
                strides: into Sizes<$axes> = 1,
                /// - `Valid`: none.
                /// - `Same`: zeros at both ends, so that there are `⌈n / strides⌉` outputs.
                ///
                /// Default: `Valid`.
                padding: named Padding = Padding::Valid,
                /// The position of the channels. Default: last.
                data_format: named DataFormat = DataFormat::ChannelsLast,
                /// Distance between the elements that the kernel reads. Default: `1`.
                dilation_rate: into Sizes<$axes> = 1,
                /// Number of depthwise outputs for each input channel. Default: `1`.
                depth_multiplier: usize = 1,
                /// Activation. Default: none.
                activation: into Dyn<dyn Activation> = Linear,
                /// Whether there is a bias. Default: `true`.
                use_bias: bool = true,
                /// Initializer of the depthwise kernel. Default: `GlorotUniform`.
                depthwise_initializer: into Dyn<dyn Initializer> = GlorotUniform,
                /// Initializer of the pointwise kernel. Default: `GlorotUniform`.
                pointwise_initializer: into Dyn<dyn Initializer> = GlorotUniform,
                /// Initializer of the bias. Default: `Zeros`.
                bias_initializer: into Dyn<dyn Initializer> = Zeros,
                /// Regularizer of the depthwise kernel. Default: none.
                depthwise_regularizer: some into Dyn<dyn Regularizer>,
                /// Regularizer of the pointwise kernel. Default: none.
                pointwise_regularizer: some into Dyn<dyn Regularizer>,
                /// Regularizer of the bias. Default: none.
                bias_regularizer: some into Dyn<dyn Regularizer>,
                /// Regularizer of the output; its penalty is divided by the batch size. Default: none.
                activity_regularizer: some into Dyn<dyn Regularizer>,
                /// Constraint on the depthwise kernel. Default: none.
                depthwise_constraint: some into Dyn<dyn Constraint>,
                /// Constraint on the pointwise kernel. Default: none.
                pointwise_constraint: some into Dyn<dyn Constraint>,
                /// Constraint on the bias. Default: none.
                bias_constraint: some into Dyn<dyn Constraint>,
            }
        }

        impl Build for $type {
            fn build(&self, inputs: &InputSpecs<'_>, init: &mut Init) -> Result<Box<dyn Node>> {
                positive("filters", self.filters)?;
                positive("depth_multiplier", self.depth_multiplier)?;
                plain_padding(&self.padding)?;
                let how = sliding(&self.kernel_size, &self.strides, &self.padding, &self.dilation_rate)?;
                let channels = channels(stringify!($type), single(inputs)?, $axes, self.data_format)?;
                let Some(between) = channels.checked_mul(self.depth_multiplier) else {
                    let expected = format!("a number that can be multiplied by {channels} channels");
                    return Err(Error::argument("depth_multiplier", expected, self.depth_multiplier));
                };
                let shape = [&self.kernel_size.0[..], &[channels, self.depth_multiplier]].concat();
                fits("depth_multiplier, kernel_size", &shape)?;
                let depthwise_kernel = init.weight(
                    shape,
                    &self.depthwise_initializer,
                    &self.depthwise_regularizer,
                    &self.depthwise_constraint,
                )?;
                let shape = [&[1; $axes][..], &[between, self.filters]].concat();
                fits("filters, depth_multiplier", &shape)?;
                let pointwise_kernel = init.weight(
                    shape,
                    &self.pointwise_initializer,
                    &self.pointwise_regularizer,
                    &self.pointwise_constraint,
                )?;
                let bias = init.weight_if(self.use_bias, [self.filters],
                        &self.bias_initializer,
                        &self.bias_regularizer,
                        &self.bias_constraint)?;
                let ending = Ending {
                    layer: stringify!($type),
                    data_format: self.data_format,
                    activation: self.activation.clone(),
                    activity_regularizer: self.activity_regularizer.clone(),
                };
                Ok(Box::new(SeparableConvNode { depthwise_kernel, pointwise_kernel, bias, how, ending }))
            }
        }
    };
}

separable_conv! {
    /// A convolution in two steps along one axis: `[batch, steps, channels]` becomes `[batch, new_steps, filters]`.
    SeparableConv1D, 1
}
separable_conv! {
    /// A convolution in two steps over images: `[batch, height, width, channels]` becomes
    /// `[batch, new_height, new_width, filters]`.
    SeparableConv2D, 2
}
