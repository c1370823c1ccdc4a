//! Transposed convolutions ("deconvolutions"), which make images larger: the gradient of a convolution as a layer.
//!
//! `y[b, i·strides + k·dilation_rate, f] += x[b, i, c] · kernel[k, f, c]` for all `i`, `k` and `c`; then
//! `activation(y + bias)`.
//!
//! Output size of an axis of `n` elements: `(n - 1)·strides + reach`, at least `n·strides` (valid), `n·strides`
//! (same), where `reach = (kernel_size - 1)·dilation_rate + 1`; the table of [`Tensor::conv_transpose`] has those
//! with `output_padding`.

use super::checks::{fits, positive};
use super::sliding::{Ending, channels, not_both, plain_padding, sliding};
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
use crate::tensor::Tensor;
use crate::{Error, Result};

/// Declares the layer for a number of spatial axes.
macro_rules! conv_transpose {
    ($(#[$doc:meta])* $type:ident, $axes:literal) => {
        crate::settings! {
            $(#[$doc])*
            ///
            /// `y[b, i·strides + k·dilation_rate, f] += x[b, i, c] · kernel[k, f, c]` for all `i`, `k` and `c`;
            /// then `activation(y + bias)`
            ///
            /// - Output sizes are in the table of [`Tensor::conv_transpose`].
            /// - Kernel `[kernel_size…, filters, channels]`, bias `[filters]`.
            pub layer $type {
                /// Creates a layer of `filters` output channels; each element of the input reaches `kernel_size`
                /// elements of the output along each axis.
                new(filters: usize, kernel_size: into Sizes<$axes>);

                /// Step in the output for one step in the input. Default: `1`. Only one of `strides` and
                /// `dilation_rate` may be above 1.
                strides: into Sizes<$axes> = 1,
                /// `Valid`: the full result. `Same`: `n·strides` elements. Default: `Valid`.
                padding: named Padding = Padding::Valid,
                /// Elements added at the end of the result, less than `strides`. Default: what the table of
                /// [`Tensor::conv_transpose`](crate::Tensor::conv_transpose) says.
                output_padding: some into Sizes<$axes>,
                /// The position of the channels. Default: last.
                data_format: named DataFormat = DataFormat::ChannelsLast,
                /// Distance in the output between the elements of the kernel. Default: `1`.
                dilation_rate: into Sizes<$axes> = 1,
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
            }
        }

        impl Build for $type {
            fn build(&self, inputs: &InputSpecs<'_>, init: &mut Init) -> Result<Box<dyn Node>> {
                positive("filters", self.filters)?;
                plain_padding(&self.padding)?;
                let mut how = sliding(&self.kernel_size, &self.strides, &self.padding, &self.dilation_rate)?;
                not_both(&self.strides, &self.dilation_rate)?;
                if let Some(Sizes(more)) = self.output_padding {
                    if more.iter().zip(&self.strides.0).any(|(more, stride)| more >= stride) {
                        let expected = format!("numbers below the strides, {:?}", self.strides.0);
                        return Err(Error::argument("output_padding", expected, format!("{more:?}")));
                    }
                    how = how.output_padding(more);
                }
                let channels = channels(stringify!($type), single(inputs)?, $axes, self.data_format)?;
                let shape = [&self.kernel_size.0[..], &[self.filters, channels]].concat();
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
                let ending = Ending {
                    layer: stringify!($type),
                    data_format: self.data_format,
                    activation: self.activation.clone(),
                    activity_regularizer: self.activity_regularizer.clone(),
                };
                Ok(Box::new(ConvTransposeNode { kernel, bias, how, ending }))
            }
        }
    };
}

conv_transpose! {
    /// The transpose of a convolution along one axis: `[batch, steps, channels]` becomes `[batch, new_steps, filters]`.
    Conv1DTranspose, 1
}
conv_transpose! {
    /// The transpose of a convolution over images: `[batch, height, width, channels]` becomes
    /// `[batch, new_height, new_width, filters]`.
    Conv2DTranspose, 2
}
conv_transpose! {
    /// The transpose of a convolution over volumes: `[batch, depth, height, width, channels]` becomes
    /// `[batch, new_depth, new_height, new_width, filters]`.
    Conv3DTranspose, 3
}

/// The layer with its parameters.
#[derive(Clone, Debug)]
struct ConvTransposeNode {
    kernel: Param,
    bias: Option<Param>,
    how: Convolution,
    ending: Ending,
}
crate::parts!(ConvTransposeNode { kernel, bias });

impl ConvTransposeNode {
    /// Returns the result before the activation, channels last.
    fn linear_part(&self, x: &Tensor, cx: &mut Cx) -> Result<Tensor> {
        let y = self.ending.data_format.last(x)?.conv_transpose(&cx.param(&self.kernel)?, &self.how)?;
        match &self.bias {
            Some(bias) => y.add(&cx.param(bias)?),
            None => Ok(y),
        }
    }
}

impl Layer for ConvTransposeNode {
    fn forward(&self, x: &Tensor, cx: &mut Cx) -> Result<Tensor> {
        let y = self.linear_part(x, cx)?;
        self.ending.finish(y, false, cx)
    }
    fn output_activation(&self) -> Option<&dyn Activation> {
        self.ending.output_activation()
    }
    fn forward_logits(&self, x: &Tensor, cx: &mut Cx) -> Result<Tensor> {
        self.ending.data_format.back(self.linear_part(x, cx)?)
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
