//! Transposed convolutions ("deconvolutions"): `activation(conv_transpose(x, kernel) + bias)`, which make images larger.

use super::checks::positive;
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
    fn product(&self, x: &Tensor, cx: &mut Cx) -> Result<Tensor> {
        let y = self.ending.data_format.last(x)?.conv_transpose(&cx.param(&self.kernel)?, &self.how)?;
        match &self.bias {
            Some(bias) => y.add(&cx.param(bias)?),
            None => Ok(y),
        }
    }
}

impl Layer for ConvTransposeNode {
    fn forward(&self, x: &Tensor, cx: &mut Cx) -> Result<Tensor> {
        let mut y = self.product(x, cx)?;
        if self.ending.fused().is_some() {
            y = self.ending.activation.apply(&y)?;
        }
        self.ending.finish(y, cx)
    }
    fn output_activation(&self) -> Option<&dyn Activation> {
        self.ending.output_activation()
    }
    fn forward_logits(&self, x: &Tensor, cx: &mut Cx) -> Result<Tensor> {
        self.ending.data_format.back(self.product(x, cx)?)
    }
    fn class_name(&self) -> &'static str {
        self.ending.layer
    }
    fn output_range(&self, _: Option<Range>) -> Option<Range> {
        range_of(&*self.ending.activation)
    }
}

/// A layer for a number of spatial axes.
macro_rules! conv_transpose {
    ($(#[$doc:meta])* $type:ident, $axes:literal) => {
        crate::settings! {
            $(#[$doc])*
            ///
            /// The lengths that an axis gets are in the table of [`Tensor::conv_transpose`]. Kernel `[kernel_size…, filters, channels]`, Glorot uniform; bias
            /// `[filters]`, zeros; no activation (Keras's defaults).
            pub layer $type {
                /// A layer of `filters` outputs at each element; each element of the input reaches `kernel_size` of them along each axis.
                new(filters: usize, kernel_size: into Sizes<$axes>);

                /// From what one element of the input reaches to what the next one does; 1 by default. Not together with `dilation_rate`.
                strides: into Sizes<$axes> = 1,
                /// All that elements of the input reach (valid, the default), or what makes `strides` elements of one (same).
                padding: Padding = Padding::Valid,
                /// How much longer than the shortest the result is, below `strides`; by default what the table says.
                output_padding: some into Sizes<$axes>,
                /// Where the channels are; last by default.
                data_format: DataFormat = DataFormat::ChannelsLast,
                /// From one element that an element of the input reaches to the next; 1 by default.
                dilation_rate: into Sizes<$axes> = 1,
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
    /// The transpose of a convolution along one axis: `[batch, steps, channels]` becomes `[batch, more steps, filters]`.
    Conv1DTranspose, 1
}
conv_transpose! {
    /// The transpose of a convolution over images: `[batch, height, width, channels]` becomes `[batch, rows, columns, filters]`.
    Conv2DTranspose, 2
}
conv_transpose! {
    /// The transpose of a convolution over volumes: `[batch, depth, height, width, channels]` becomes `[batch, planes, rows, columns, filters]`.
    Conv3DTranspose, 3
}
