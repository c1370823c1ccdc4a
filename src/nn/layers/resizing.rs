//! `Resizing`: brings images to one size.

use crate::nn::{Build, Cx, DataFormat, Init, InputSpecs, Layer, Node, expect_images, single};
use crate::ops::{Interpolation, PadMode};
use crate::tensor::Tensor;
use crate::{Error, Result};

crate::string_enum! {
    /// What fills the space beside images that keep their proportions.
    #[derive(Default)]
    pub enum FillMode {
        /// A constant: `fill_value`.
        #[default]
        Constant = "constant",
    }
}

crate::settings! {
    /// Resizes images `[batch, h, w, channels]` to `[batch, height, width, channels]`: stretched, or with their
    /// proportions kept by cropping or padding.
    ///
    /// Images of whole numbers stay whole: they are computed as floats, rounded, and limited to the range of their
    /// dtype.
    pub layer Resizing {
        /// Creates the layer with this output size.
        new(height: usize, width: usize);

        /// Interpolation. Default: `Bilinear`.
        interpolation: named Interpolation = Interpolation::Bilinear,
        /// Whether to crop images to the proportions of the result instead of distorting them. Default: `false`.
        crop_to_aspect_ratio: bool = false,
        /// Whether to pad images to the proportions of the result instead of distorting them. Default: `false`.
        pad_to_aspect_ratio: bool = false,
        /// What images are padded with: a constant.
        fill_mode: named FillMode = FillMode::Constant,
        /// The constant. Default: `0`.
        fill_value: f64 = 0.0,
        /// Whether to smooth images that become smaller, so that every pixel counts. Default: `false`.
        antialias: bool = false,
        /// The position of the channels. Default: last.
        data_format: named DataFormat = DataFormat::ChannelsLast,
    }
}

impl Build for Resizing {
    fn build(&self, inputs: &InputSpecs<'_>, _: &mut Init) -> Result<Box<dyn Node>> {
        expect_size(self.height, self.width)?;
        Error::unless_finite("fill_value", self.fill_value)?;
        if self.crop_to_aspect_ratio && self.pad_to_aspect_ratio {
            let expected = "false together with crop_to_aspect_ratio";
            return Err(Error::argument("pad_to_aspect_ratio", expected, "both true"));
        }
        expect_images("Resizing", single(inputs)?, 2, self.data_format)?;
        Ok(Box::new(ResizingNode(self.clone())))
    }
}

/// Fails unless images of this size have pixels.
pub(super) fn expect_size(height: usize, width: usize) -> Result<()> {
    for (name, size) in [("height", height), ("width", width)] {
        match size {
            0 => return Err(Error::argument(name, "at least 1", 0)),
            1..=0x4000_0000 => {}
            _ => return Err(Error::argument(name, "at most 1073741824", size)),
        }
    }
    Ok(())
}

/// Returns the largest part in the middle of images `[batch, h, w, channels]` that has the target's proportions.
pub(super) fn cropped(layer: &'static str, x: &Tensor, [height, width]: [usize; 2]) -> Result<Tensor> {
    let [h, w] = [x.dims()[1], x.dims()[2]];
    if h == 0 || w == 0 {
        return Err(Error::shape(layer, "images with at least one pixel", *x.shape()));
    }
    let (new_h, new_w) =
        ((w.saturating_mul(height) / width).min(h).max(1), (h.saturating_mul(width) / height).min(w).max(1));
    let (top, left) = ((h - new_h) / 2, (w - new_w) / 2);
    let rows = x.slice(1, top as isize, (top + new_h) as isize)?;
    rows.slice(2, left as isize, (left + new_w) as isize)
}

/// The layer.
#[derive(Clone, Debug)]
struct ResizingNode(Resizing);
crate::parts!(ResizingNode {});

impl ResizingNode {
    /// Pads images with rows above and below, or columns left and right, to about the target's proportions. As in
    /// Keras, an odd row or column is left out.
    fn padded(&self, x: &Tensor) -> Result<Tensor> {
        let Resizing { height, width, fill_value, .. } = self.0;
        let [h, w] = [x.dims()[1], x.dims()[2]];
        let missing_rows = (w.saturating_mul(height) / width).max(h) - h;
        let missing_columns = (h.saturating_mul(width) / height).max(w) - w;
        let (top, left) = if missing_rows > 1 { (missing_rows / 2, 0) } else { (0, missing_columns / 2) };
        x.pad(&[(0, 0), (top, top), (left, left), (0, 0)], PadMode::Constant(fill_value))
    }
}

impl Layer for ResizingNode {
    fn forward(&self, x: &Tensor, _: &mut Cx) -> Result<Tensor> {
        let Resizing { height, width, interpolation, antialias, data_format, .. } = self.0;
        let dtype = x.dtype();
        let mut y = data_format.last(x)?.cast(dtype.fraction())?;
        if self.0.crop_to_aspect_ratio {
            y = cropped("Resizing", &y, [height, width])?;
        } else if self.0.pad_to_aspect_ratio {
            y = self.padded(&y)?;
        }
        y = y.resize(&[height, width], interpolation, antialias)?;
        if dtype.is_integer() {
            y = y.round()?;
        }
        data_format.back(y.cast(dtype)?)
    }
    fn class_name(&self) -> &'static str {
        "Resizing"
    }
    fn is_row_wise(&self) -> bool {
        true
    }
}
