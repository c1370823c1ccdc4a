//! `CenterCrop`: cuts out the centre of images.

use super::resizing::{cropped, expect_size};
use crate::nn::{Build, Cx, DataFormat, Init, InputSpecs, Layer, Node, expect_images, single};
use crate::ops::Interpolation;
use crate::tensor::Tensor;
use crate::{DType, Error, Result};

crate::settings! {
    /// Cuts the middle `[batch, height, width, channels]` out of images `[batch, h, w, channels]`. Images that are
    /// too small in either direction are instead cropped to the target's proportions and resized (bilinear).
    pub layer CenterCrop {
        /// Creates the layer with this output size.
        new(height: usize, width: usize);

        /// The position of the channels. Default: last.
        data_format: named DataFormat = DataFormat::ChannelsLast,
    }
}

impl Build for CenterCrop {
    fn build(&self, inputs: &InputSpecs<'_>, init: &mut Init) -> Result<Box<dyn Node>> {
        expect_size(self.height, self.width)?;
        expect_images("CenterCrop", single(inputs)?, 2, self.data_format)?;
        let (size, data_format) = ([self.height, self.width], self.data_format);
        Ok(Box::new(CenterCropNode { size, data_format, dtype: init.dtype() }))
    }
}

/// The layer.
#[derive(Clone, Debug)]
struct CenterCropNode {
    size: [usize; 2],
    data_format: DataFormat,
    /// The dtype that integer images become.
    dtype: DType,
}
crate::parts!(CenterCropNode {});

impl Layer for CenterCropNode {
    fn forward(&self, x: &Tensor, _: &mut Cx) -> Result<Tensor> {
        let x = if x.dtype().is_float() { x.clone() } else { x.cast(self.dtype)? };
        let mut y = self.data_format.last(&x)?;
        if y.rank() != 4 {
            return Err(Error::shape("CenterCrop", "images [batch, height, width, channels]", *y.shape()));
        }
        let (sizes, [height, width]) = ([y.dims()[1], y.dims()[2]], self.size);
        if sizes[0] >= height && sizes[1] >= width {
            for (axis, (&size, wanted)) in (1..).zip(sizes.iter().zip(self.size)) {
                let start = (size - wanted) / 2;
                y = y.slice(axis, start as isize, (start + wanted) as isize)?;
            }
        } else {
            y = cropped("CenterCrop", &y, self.size)?.resize(&self.size, Interpolation::Bilinear, false)?;
        }
        self.data_format.back(y)
    }
    fn class_name(&self) -> &'static str {
        "CenterCrop"
    }
    fn is_row_wise(&self) -> bool {
        true
    }
}
