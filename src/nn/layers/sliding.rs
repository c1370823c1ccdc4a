//! What layers that slide a kernel over images share: the checks of their settings, by Keras's rules, and what
//! follows the product.

use crate::config::Dyn;
use crate::nn::activation::Activation;
use crate::nn::regularizer::Regularizer;
use crate::nn::{Cx, DataFormat, Sizes, expect_images};
use crate::ops::Padding;
use crate::ops::conv::Convolution;
use crate::shape::is_unknown;
use crate::tensor::Tensor;
use crate::{Error, Result, Spec};

/// Returns the channels of images with this number of spatial axes.
pub(super) fn channels(layer: &'static str, input: Spec, axes: usize, format: DataFormat) -> Result<usize> {
    expect_images(layer, input, axes, format)?;
    let axis = if format == DataFormat::ChannelsLast { axes + 1 } else { 1 };
    match input.shape.dims()[axis] {
        n if n > 0 && !is_unknown(n) => Ok(n),
        _ => Err(Error::shape(layer, "a known number of channels", input.shape)),
    }
}

/// Returns how a kernel moves over images, from the settings of a layer.
///
/// # Errors
/// A size of 0, or padding that is causal along several axes.
pub(super) fn sliding<const N: usize>(
    kernel_size: &Sizes<N>,
    strides: &Sizes<N>,
    padding: &Padding,
    dilation_rate: &Sizes<N>,
) -> Result<Convolution> {
    kernel_size.positive("kernel_size")?;
    padding.check(N)?;
    let how = Convolution::new().strides(strides.positive("strides")?).padding(padding.clone());
    Ok(how.dilation_rate(dilation_rate.positive("dilation_rate")?))
}

/// Fails for strides together with dilation, which Keras refuses for dense kernels.
pub(super) fn not_both<const N: usize>(strides: &Sizes<N>, dilation_rate: &Sizes<N>) -> Result<()> {
    let above_one = |sizes: &Sizes<N>| sizes.0.iter().any(|&n| n > 1);
    if above_one(strides) && above_one(dilation_rate) {
        let expected = format!("1 along every axis with strides {:?}", strides.0);
        return Err(Error::argument("dilation_rate", expected, format!("{:?}", dilation_rate.0)));
    }
    Ok(())
}

/// Fails for padding other than valid and same.
pub(super) fn plain_padding(padding: &Padding) -> Result<()> {
    match padding {
        Padding::Valid | Padding::Same => Ok(()),
        other => Err(Error::argument("padding", "valid or same", other)),
    }
}

/// What follows the product: moving the channels to their place, the activation, and the penalty on the output.
#[derive(Clone, Debug)]
pub(super) struct Ending {
    pub(super) layer: &'static str,
    pub(super) data_format: DataFormat,
    pub(super) activation: Dyn<dyn Activation>,
    pub(super) activity_regularizer: Option<Dyn<dyn Regularizer>>,
}

impl Ending {
    /// Returns the output from the product (channels last): with the activation, unless it is already `activated`.
    pub(super) fn finish(&self, y: Tensor, activated: bool, cx: &mut Cx) -> Result<Tensor> {
        let y = self.data_format.back(y)?;
        let y = if activated { y } else { self.activation.apply(&y)? };
        if let Some(regularizer) = &self.activity_regularizer {
            cx.regularize_activity(&**regularizer, &y)?;
        }
        Ok(y)
    }

    /// Returns the activation, if it can be left out: a penalty on the output needs the output.
    pub(super) fn output_activation(&self) -> Option<&dyn Activation> {
        self.activity_regularizer.is_none().then_some(&*self.activation)
    }
}
