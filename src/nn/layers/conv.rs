//! Convolution layers along one axis, over images and over volumes.
//!
//! `y[b, i, f] = activation(Σ_k Σ_c x[b, i·strides + k·dilation_rate, c] · kernel[k, c, f] + bias[f])`, where `i`
//! and `k` have an index for each spatial axis.
//!
//! Output size of an axis of `n` elements, with `reach = (kernel_size - 1)·dilation_rate + 1`:
//! `⌊(n - reach) / strides⌋ + 1` (valid), `⌈n / strides⌉` (same and causal).

use super::checks::{fits, positive};
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

/// Declares the layer for a number of spatial axes.
macro_rules! conv {
    ($(#[$doc:meta])* $type:ident, $axes:literal $(, { $(#[$more:meta])* $winograd:ident })?) => {
        crate::settings! {
            $(#[$doc])*
            ///
            /// `y[b, i, f] = activation(Σ_k Σ_c x[b, i·strides + k·dilation_rate, c] · kernel[k, c, f] + bias[f])`
            ///
            /// - Output size of an axis of `n` elements: `⌊(n - reach) / strides⌋ + 1` (valid) or `⌈n / strides⌉`
            ///   (same, causal), where `reach = (kernel_size - 1)·dilation_rate + 1`.
            /// - Kernel `[kernel_size…, channels / groups, filters]`, bias `[filters]`.
            pub layer $type {
                /// Creates a layer of `filters` output channels whose kernel reads `kernel_size` elements along
                /// each axis.
                new(filters: usize, kernel_size: into Sizes<$axes>);

                /// Step of the kernel along each axis. Default: `1`. Only one of `strides` and `dilation_rate` may
                /// be above 1.
                strides: into Sizes<$axes> = 1,
                /// - `Valid`: none.
                /// - `Same`: zeros at both ends, so that there are `⌈n / strides⌉` outputs.
                /// - `Causal` (only `Conv1D`): all zeros at the start, so that no output reads a later step.
                ///
                /// Default: `Valid`.
                padding: named Padding = Padding::Valid,
                /// The position of the channels. Default: last.
                data_format: named DataFormat = DataFormat::ChannelsLast,
                /// Distance between the elements that the kernel reads. Default: `1`.
                dilation_rate: into Sizes<$axes> = 1,
                /// Number of groups. Filters of a group read only that group's channels. Default: `1`.
                groups: usize = 1,
                /// Activation. Default: none.
                activation: into Dyn<dyn Activation> = Linear,
                /// Whether there is a bias. Default: `true`.
                use_bias: bool = true,
                /// Initializer of the kernel. Default: `GlorotUniform`.
                kernel_initializer: into Dyn<dyn Initializer> = GlorotUniform,
                /// Initializer of the bias. Default: `Zeros`.
                bias_initializer: into Dyn<dyn Initializer> = Zeros,
                /// Regularizer of the kernel. Default: none.
                kernel_regularizer: some into Dyn<dyn Regularizer>,
                /// Regularizer of the bias. Default: none.
                bias_regularizer: some into Dyn<dyn Regularizer>,
                /// Regularizer of the output; its penalty is divided by the batch size. Default: none.
                activity_regularizer: some into Dyn<dyn Regularizer>,
                /// Constraint on the kernel. Default: none.
                kernel_constraint: some into Dyn<dyn Constraint>,
                /// Constraint on the bias. Default: none.
                bias_constraint: some into Dyn<dyn Constraint>,
                $($(#[$more])* $winograd: bool = true,)?
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
                fits("filters, kernel_size", &shape)?;
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
                let how = how.groups(self.groups)$(.winograd(self.$winograd))?;
                let ending = Ending {
                    layer: stringify!($type),
                    data_format: self.data_format,
                    activation: self.activation.clone(),
                    activity_regularizer: self.activity_regularizer.clone(),
                };
                Ok(Box::new(ConvNode { kernel, bias, op: Tensor::conv, how, ending }))
            }
        }
    };
}

conv! {
    /// A convolution along one axis, such as time: `[batch, steps, channels]` becomes `[batch, new_steps, filters]`.
    Conv1D, 1
}
conv! {
    /// A convolution over images: `[batch, height, width, channels]` becomes `[batch, new_height, new_width, filters]`.
    Conv2D, 2, {
        /// Whether kernels of 3 × 3 elements, without strides, dilation and groups, may use Winograd's algorithm in
        /// float32 where the sizes of one image say that it is faster; only the last digits of results differ. Keras
        /// does not have this setting. For a whole network, make its convolutions by one function that sets it.
        /// Default: `true`.
        winograd
    }
}
conv! {
    /// A convolution over volumes: `[batch, depth, height, width, channels]` becomes
    /// `[batch, new_depth, new_height, new_width, filters]`.
    Conv3D, 3
}

/// [`Tensor::conv`] or [`Tensor::depthwise_conv`].
type Op = fn(&Tensor, &Tensor, Option<&Tensor>, Option<Fused>, &Convolution) -> Result<Tensor>;

/// The layer with its parameters; also used by depthwise convolutions.
#[derive(Clone, Debug)]
pub(super) struct ConvNode {
    pub(super) kernel: Param,
    pub(super) bias: Option<Param>,
    pub(super) op: Op,
    pub(super) how: Convolution,
    pub(super) ending: Ending,
}
crate::parts!(ConvNode { kernel, bias });

impl ConvNode {
    /// Returns the result before the activation, or with one that the op can apply; channels last.
    fn linear_part(&self, x: &Tensor, cx: &mut Cx, activation: Option<Fused>) -> Result<Tensor> {
        let kernel = cx.param(&self.kernel)?;
        let bias = cx.param_if(&self.bias)?;
        let x = self.ending.data_format.last(x)?;
        (self.op)(&x, &kernel, bias.as_ref(), activation, &self.how)
    }
}

impl Layer for ConvNode {
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
