//! Convolutions: `activation(conv(x, kernel) + bias)` along one axis, over images and over volumes.

use super::checks::positive;
use super::sliding::{Ending, channels, not_both, sliding};
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

/// [`Tensor::conv`] or [`Tensor::depthwise_conv`].
type Product = fn(&Tensor, &Tensor, Option<&Tensor>, Option<Fused>, &Convolution) -> Result<Tensor>;

/// The layer with its parameters; depthwise convolutions too.
#[derive(Clone, Debug)]
pub(super) struct ConvNode {
    pub(super) kernel: Param,
    pub(super) bias: Option<Param>,
    pub(super) product: Product,
    pub(super) how: Convolution,
    pub(super) ending: Ending,
}
crate::parts!(ConvNode { kernel, bias });

impl ConvNode {
    fn product(&self, x: &Tensor, cx: &mut Cx, activation: Option<Fused>) -> Result<Tensor> {
        let kernel = cx.param(&self.kernel)?;
        let bias = self.bias.as_ref().map(|b| cx.param(b)).transpose()?;
        let x = self.ending.data_format.last(x)?;
        (self.product)(&x, &kernel, bias.as_ref(), activation, &self.how)
    }
}

impl Layer for ConvNode {
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
macro_rules! conv {
    ($(#[$doc:meta])* $type:ident, $axes:literal) => {
        crate::settings! {
            $(#[$doc])*
            ///
            /// With `reach = (kernel_size - 1)·dilation_rate + 1` an axis of `n` elements has `⌊(n - reach) / strides⌋ + 1` places (valid, the default) or
            /// `⌈n / strides⌉` (same, causal). Kernel `[kernel_size…, channels / groups, filters]`, Glorot uniform; bias `[filters]`, zeros; no
            /// activation (Keras's defaults).
            pub layer $type {
                /// A layer of `filters` outputs at each place; the kernel sees `kernel_size` elements along each axis.
                new(filters: usize, kernel_size: into Sizes<$axes>);

                /// From one place of the kernel to the next; 1 by default. Not together with `dilation_rate`.
                strides: into Sizes<$axes> = 1,
                /// What lies beyond the edges: nothing (valid, the default), as many zeros as there are places for all elements (same), or all of
                /// them before the first element (causal, along one axis alone).
                padding: Padding = Padding::Valid,
                /// Where the channels are; last by default.
                data_format: DataFormat = DataFormat::ChannelsLast,
                /// From one element that the kernel sees to the next; 1 by default.
                dilation_rate: into Sizes<$axes> = 1,
                /// Into how many groups channels and filters are cut; each group of filters sees its group of channels alone. 1 by default.
                groups: usize = 1,
                /// The function applied to the result; none by default.
                activation: into Dyn<dyn Activation> = Linear,
                /// Whether there is a bias; yes by default.
                use_bias: bool = true,
                /// How the kernel begins; Glorot uniform by default.
                kernel_initializer: into Dyn<dyn Initializer> = GlorotUniform,
                /// How the bias begins; zeros by default.
                bias_initializer: into Dyn<dyn Initializer> = Zeros,
                /// A penalty on the kernel; none by default.
                kernel_regularizer: some into Dyn<dyn Regularizer>,
                /// A penalty on the bias; none by default.
                bias_regularizer: some into Dyn<dyn Regularizer>,
                /// A penalty on the output, divided by the batch size; none by default.
                activity_regularizer: some into Dyn<dyn Regularizer>,
                /// A bound on the kernel; none by default.
                kernel_constraint: some into Dyn<dyn Constraint>,
                /// A bound on the bias; none by default.
                bias_constraint: some into Dyn<dyn Constraint>,
            }
        }

        impl Build for $type {
            fn build(&self, inputs: &InputSpecs<'_>, init: &mut Init) -> Result<Box<dyn Node>> {
                positive("filters", self.filters)?;
                positive("groups", self.groups)?;
                if self.filters % self.groups != 0 {
                    let expected = format!("a number that divides the {} filters", self.filters);
                    return Err(Error::argument("groups", expected, self.groups));
                }
                let how = sliding(&self.kernel_size, &self.strides, &self.padding, &self.dilation_rate)?;
                not_both(&self.strides, &self.dilation_rate)?;
                let channels = channels(stringify!($type), single(inputs)?, $axes, self.data_format)?;
                if channels % self.groups != 0 {
                    let expected = format!("a number that divides the {channels} channels of the input");
                    return Err(Error::argument("groups", expected, self.groups));
                }
                let shape = [&self.kernel_size.0[..], &[channels / self.groups, self.filters]].concat();
                let kernel = init.weight(
                    shape,
                    &self.kernel_initializer,
                    &self.kernel_regularizer,
                    &self.kernel_constraint,
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
                Ok(Box::new(ConvNode { kernel, bias, product: Tensor::conv, how: how.groups(self.groups), ending }))
            }
        }
    };
}

conv! {
    /// A convolution along one axis, such as time: `[batch, steps, channels]` becomes `[batch, places, filters]`.
    Conv1D, 1
}
conv! {
    /// A convolution over images: `[batch, height, width, channels]` becomes `[batch, rows, columns, filters]`.
    Conv2D, 2
}
conv! {
    /// A convolution over volumes: `[batch, depth, height, width, channels]` becomes `[batch, planes, rows, columns, filters]`.
    Conv3D, 3
}
