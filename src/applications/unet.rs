//! U-Net (Ronneberger et al. 2015), for a class of each pixel: down by pooling, up by transposed convolutions, and what went down joined to
//! what comes up.

use super::classifier::with_weights;
use crate::config::Dyn;
use crate::nn::activation::{Activation, Softmax};
use crate::nn::layers::{
    BatchNormalization, Concatenate, Conv2D, Conv2DTranspose, Input, MaxPooling2D, ReLU,
};
use crate::nn::{Build as _, Functional, Network, Symbol};
use crate::{DType, Error, Result, settings};

settings! {
    /// U-Net: images `[batch, height, width, channels]`, each size divisible by 2 to the power of `depth`, become
    /// `[batch, height, width, classes]`. Padded convolutions keep an image's size (as published they shrink it), each normalized.
    pub struct UNet {
        /// For images `[height, width, channels]` and so many classes of a pixel.
        new(input_shape: [usize; 3], classes: usize);

        /// The filters of the first level; each further level has twice as many. Default: `32`.
        filters: usize = 32,
        /// How often the image is halved. Default: `4`.
        depth: usize = 4,
        /// What the scores of a pixel go through. Default: `Softmax`; `Sigmoid` for one class.
        classifier_activation: into Dyn<dyn Activation> = Softmax,
        /// A safetensors file with the value of every parameter. Default: none, and parameters are drawn at random.
        weights: some into String,
        /// The seed of initial values. Default: `0`.
        seed: u64 = 0,
        /// The dtype of parameters. Default: `F32`.
        dtype: DType = DType::F32,
    }
}

/// Two normalized convolutions.
fn twice(x: &Symbol, filters: usize, name: &str) -> Result<Symbol> {
    let mut x = x.clone();
    for i in 1..=2 {
        let conv = Conv2D::new(filters, 3).padding("same").use_bias(false).kernel_initializer("he_normal");
        let h = conv.named(&format!("{name}_conv{i}")).on(&x)?;
        let h = BatchNormalization::new().named(&format!("{name}_bn{i}")).on(&h)?;
        x = ReLU::new().named(&format!("{name}_relu{i}")).on(&h)?;
    }
    Ok(x)
}

impl UNet {
    /// Builds the network.
    ///
    /// # Errors
    /// A setting is out of range, an image cannot be halved so often, or the file of weights cannot be read or has other tensors than
    /// the network's parameters.
    pub fn build(&self) -> Result<Network> {
        let [height, width, _] = self.input_shape;
        if !(1..=16).contains(&self.depth) {
            return Err(Error::argument("depth", "1 to 16", self.depth));
        }
        let whole = |size: usize| size > 0 && size.is_multiple_of(1 << self.depth);
        if !whole(height) || !whole(width) {
            let expected =
                format!("a height and width that {} divides (2 to the power of depth)", 1 << self.depth);
            return Err(Error::argument("input_shape", expected, format!("{height} and {width}")));
        }
        if self.classes == 0 {
            return Err(Error::argument("classes", "at least 1", 0));
        }
        let filters = |level: usize| self.filters.saturating_mul(1 << level);
        let image = Input::new(self.input_shape);
        let mut x = image.symbol();
        let mut sides = Vec::new();
        for level in 0..self.depth {
            let side = twice(&x, filters(level), &format!("down{level}"))?;
            x = MaxPooling2D::new().named(&format!("down{level}_pool")).on(&side)?;
            sides.push(side);
        }
        x = twice(&x, filters(self.depth), "bottom")?;
        for (level, side) in sides.iter().enumerate().rev() {
            let up = Conv2DTranspose::new(filters(level), 2).strides(2).named(&format!("up{level}"));
            let joined = Concatenate::new().named(&format!("up{level}_join")).on([side, &up.on(&x)?])?;
            x = twice(&joined, filters(level), &format!("up{level}"))?;
        }
        let scores = Conv2D::new(self.classes, 1).activation(self.classifier_activation.clone());
        let network = Functional::new(&image, &scores.named("predictions").on(&x)?)?;
        with_weights(
            network.named("unet").seed(self.seed).dtype(self.dtype).build()?,
            self.weights.as_deref(),
        )
    }
}
