//! Separable convolutions: `activation(depthwise_conv(x, depthwise_kernel) · pointwise_kernel + bias)`: first each channel by itself, then all
//! channels of each place together.

use super::checks::positive;
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
    fn product(&self, x: &Tensor, cx: &mut Cx, activation: Option<Fused>) -> Result<Tensor> {
        let (depthwise, pointwise) = (cx.param(&self.depthwise_kernel)?, cx.param(&self.pointwise_kernel)?);
        let bias = self.bias.as_ref().map(|b| cx.param(b)).transpose()?;
        let apart = self.ending.data_format.last(x)?.depthwise_conv(&depthwise, None, None, &self.how)?;
        // A convolution whose window is one element is a product of each place.
        apart.linear(&pointwise.merge_axes(0, -2)?, bias.as_ref(), activation)
    }
}

impl Layer for SeparableConvNode {
    fn forward(&self, x: &Tensor, cx: &mut Cx) -> Result<Tensor> {
        let y = self.product(x, cx, self.ending.fused())?;
        self.ending.finish(y, cx)
    }
    fn output_activation(&self) -> Option<&dyn Activation> {
        self.ending.output_activation()
    }
    fn forward_logits(&self, x: &Tensor, cx: &mut Cx) -> Result<Tensor> {
        self.ending.data_format.back(self.product(x, cx, None)?)
    }
    fn class_name(&self) -> &'static str {
        self.ending.layer
    }
    fn output_range(&self, _: Option<Range>) -> Option<Range> {
        range_of(&*self.ending.activation)
    }
}

/// A layer for a number of spatial axes.
macro_rules! separable_conv {
    ($(#[$doc:meta])* $type:ident, $axes:literal) => {
        crate::settings! {
            $(#[$doc])*
            ///
            /// Places as in a convolution. Kernels `[kernel_size…, channels, depth_multiplier]` and `[1…, channels·depth_multiplier, filters]`, Glorot uniform;
            /// bias `[filters]`, zeros; no activation (Keras's defaults).
            pub layer $type {
                /// A layer of `filters` outputs at each place; the kernel sees `kernel_size` elements along each axis.
                new(filters: usize, kernel_size: into Sizes<$axes>);

                /// From one place of the kernel to the next; 1 by default.
                strides: into Sizes<$axes> = 1,
                /// What lies beyond the edges: nothing (valid, the default), or as many zeros as there are places for all elements (same).
                padding: Padding = Padding::Valid,
                /// Where the channels are; last by default.
                data_format: DataFormat = DataFormat::ChannelsLast,
                /// From one element that the kernel sees to the next; 1 by default.
                dilation_rate: into Sizes<$axes> = 1,
                /// How many results of each channel the second step sees; 1 by default.
                depth_multiplier: usize = 1,
                /// The function applied to the result; none by default.
                activation: into Dyn<dyn Activation> = Linear,
                /// Whether there is a bias; yes by default.
                use_bias: bool = true,
                /// How the kernel of the first step begins; Glorot uniform by default.
                depthwise_initializer: into Dyn<dyn Initializer> = GlorotUniform,
                /// How the kernel of the second step begins; Glorot uniform by default.
                pointwise_initializer: into Dyn<dyn Initializer> = GlorotUniform,
                /// How the bias begins; zeros by default.
                bias_initializer: into Dyn<dyn Initializer> = Zeros,
                /// A penalty on the kernel of the first step; none by default.
                depthwise_regularizer: some into Dyn<dyn Regularizer>,
                /// A penalty on the kernel of the second step; none by default.
                pointwise_regularizer: some into Dyn<dyn Regularizer>,
                /// A penalty on the bias; none by default.
                bias_regularizer: some into Dyn<dyn Regularizer>,
                /// A penalty on the output, divided by the batch size; none by default.
                activity_regularizer: some into Dyn<dyn Regularizer>,
                /// A bound on the kernel of the first step; none by default.
                depthwise_constraint: some into Dyn<dyn Constraint>,
                /// A bound on the kernel of the second step; none by default.
                pointwise_constraint: some into Dyn<dyn Constraint>,
                /// A bound on the bias; none by default.
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
                let depthwise_kernel = init.weight(
                    [&self.kernel_size.0[..], &[channels, self.depth_multiplier]].concat(),
                    &self.depthwise_initializer,
                    &self.depthwise_regularizer,
                    &self.depthwise_constraint,
                )?;
                let pointwise_kernel = init.weight(
                    [&[1; $axes][..], &[between, self.filters]].concat(),
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
    /// A convolution in two steps along one axis: `[batch, steps, channels]` becomes `[batch, places, filters]`.
    SeparableConv1D, 1
}
separable_conv! {
    /// A convolution in two steps over images: `[batch, height, width, channels]` becomes `[batch, rows, columns, filters]`.
    SeparableConv2D, 2
}
