//! Up-sampling: makes sequences, images and volumes larger by whole factors.

use crate::nn::{Build, Cx, DataFormat, Init, InputSpecs, Layer, Node, Sizes, expect_images, single};
use crate::ops::Interpolation;
use crate::ops::window::PerAxis;
use crate::tensor::Tensor;
use crate::{Error, Result};

crate::settings! {
    /// Repeats every step of a sequence `[batch, steps, channels]` `size` times.
    pub layer UpSampling1D {
        /// Creates the layer that repeats every step twice.
        new();

        /// How often to repeat. Default: `2`.
        size: usize = 2,
    }
}

crate::settings! {
    /// Enlarges images `[batch, height, width, channels]` to `size` times the height and width.
    pub layer UpSampling2D {
        /// Creates the layer for twice the height and width, by repeating pixels.
        new();

        /// The factors: one number, or one for each axis. Default: `2`.
        size: into Sizes<2> = 2usize,
        /// The position of the channels. Default: last.
        data_format: named DataFormat = DataFormat::ChannelsLast,
        /// Interpolation. Default: `Nearest`, which repeats elements.
        interpolation: named Interpolation = Interpolation::Nearest,
    }
}

crate::settings! {
    /// Enlarges volumes `[batch, depth, height, width, channels]` by repeating every element `size` times along
    /// each axis.
    pub layer UpSampling3D {
        /// Creates the layer for twice the size along each axis.
        new();

        /// The factors: one number, or one for each axis. Default: `2`.
        size: into Sizes<3> = 2usize,
        /// The position of the channels. Default: last.
        data_format: named DataFormat = DataFormat::ChannelsLast,
    }
}

impl Build for UpSampling1D {
    fn build(&self, inputs: &InputSpecs<'_>, _: &mut Init) -> Result<Box<dyn Node>> {
        if self.size == 0 {
            return Err(Error::argument("size", "at least 1", 0));
        }
        expect_images("UpSampling1D", single(inputs)?, 1, DataFormat::ChannelsLast)?;
        Ok(UpSampling::node("UpSampling1D", &[self.size], Interpolation::Nearest, DataFormat::ChannelsLast))
    }
}

impl Build for UpSampling2D {
    fn build(&self, inputs: &InputSpecs<'_>, _: &mut Init) -> Result<Box<dyn Node>> {
        let size = self.size.positive("size")?;
        expect_images("UpSampling2D", single(inputs)?, 2, self.data_format)?;
        Ok(UpSampling::node("UpSampling2D", size, self.interpolation, self.data_format))
    }
}

impl Build for UpSampling3D {
    fn build(&self, inputs: &InputSpecs<'_>, _: &mut Init) -> Result<Box<dyn Node>> {
        let size = self.size.positive("size")?;
        expect_images("UpSampling3D", single(inputs)?, 3, self.data_format)?;
        Ok(UpSampling::node("UpSampling3D", size, Interpolation::Nearest, self.data_format))
    }
}

/// The layer over any number of axes.
#[derive(Clone, Debug)]
struct UpSampling {
    class: &'static str,
    factors: PerAxis<usize>,
    interpolation: Interpolation,
    data_format: DataFormat,
}
crate::parts!(UpSampling {});

impl UpSampling {
    fn node(
        class: &'static str,
        factors: &[usize],
        interpolation: Interpolation,
        data_format: DataFormat,
    ) -> Box<dyn Node> {
        Box::new(UpSampling { class, factors: factors.into(), interpolation, data_format })
    }
}

impl Layer for UpSampling {
    fn forward(&self, x: &Tensor, _: &mut Cx) -> Result<Tensor> {
        self.data_format.back(self.data_format.last(x)?.upsample(&self.factors, self.interpolation)?)
    }
    fn class_name(&self) -> &'static str {
        self.class
    }
    fn is_row_wise(&self) -> bool {
        true
    }
}
