//! Colours, edges and smoothness of images `[batch, height, width, channels]` or `[height, width, channels]`. The
//! formulas are those of `keras.ops.image`; all are compositions, so their gradients are those of the parts.

use super::conv::Convolution;
use super::elementwise::float;
use super::pad::PadMode;
use super::window::Padding;
use crate::tensor::Tensor;
use crate::{DType, Error, Result};

super::table::ops! {
    rgb_to_grayscale: Floats, Every, "";
    rgb_to_hsv: Floats, Every, "";
    hsv_to_rgb: Floats, Every, "";
    crop_images: Any, Every, "Slice";
    pad_images: Any, Every, "Pad";
    gaussian_blur: Floats, Every, "";
    sobel_edges: Floats, Every, "";
    ssim: Floats, Every, "";
}

/// The three channels of images.
fn planes(op: &'static str, x: &Tensor) -> Result<[Tensor; 3]> {
    float(op, x.dtype())?;
    if x.dims().last() != Some(&3) {
        return Err(Error::shape(op, "three channels along the last axis", *x.shape()));
    }
    Ok([x.select(-1, 0)?, x.select(-1, 1)?, x.select(-1, 2)?])
}

/// Images with a batch axis, and whether it was added.
pub(super) fn batched(op: &'static str, x: &Tensor) -> Result<(Tensor, bool)> {
    match x.rank() {
        3 => Ok((x.expand_dims(0)?, true)),
        4 => Ok((x.clone(), false)),
        _ => {
            let expected = "images [batch, height, width, channels] or [height, width, channels]";
            Err(Error::shape(op, expected, *x.shape()))
        }
    }
}

pub(super) fn unbatched(x: Tensor, added: bool) -> Result<Tensor> {
    if added { x.squeeze(0) } else { Ok(x) }
}

/// Gauss's bell over `n` elements, of sum 1.
fn bell(n: usize, sigma: f64, dtype: DType) -> Result<Tensor> {
    let at = Tensor::arange_step(0.0, n as f64, 1.0, DType::F64)?
        .affine(1.0, -(n.saturating_sub(1) as f64) / 2.0)?;
    let bell = at.affine(1.0 / sigma, 0.0)?.square()?.affine(-0.5, 0.0)?.exp()?;
    bell.div(&bell.sum(&[], false)?)?.cast(dtype)
}

impl Tensor {
    /// Smooths `[batch, height, width, channels]` along both axes by these weights.
    fn smoothed(&self, rows: &Tensor, columns: &Tensor, padding: Padding) -> Result<Tensor> {
        let c = self.dims()[3];
        let kernel = |weights: &Tensor, dims: [usize; 2]| {
            weights.reshape_to([dims[0], dims[1], 1, 1])?.broadcast_to([dims[0], dims[1], c, 1])
        };
        let how = Convolution::new().padding(padding);
        let x = self.depthwise_conv(&kernel(rows, [rows.elements(), 1])?, None, None, &how)?;
        x.depthwise_conv(&kernel(columns, [1, columns.elements()])?, None, None, &how)
    }

    /// Returns the brightness of colours, `0.2989·red + 0.587·green + 0.114·blue`, with one channel along the last axis;
    /// what has one already stays as it is.
    ///
    /// # Errors
    /// There are neither one nor three channels, or the dtype is not float32 or float64.
    pub fn rgb_to_grayscale(&self) -> Result<Tensor> {
        if self.dims().last() == Some(&1) {
            float("rgb_to_grayscale", self.dtype())?;
            return Ok(self.clone());
        }
        let [r, g, b] = planes("rgb_to_grayscale", self)?;
        r.affine(0.2989, 0.0)?.add(&g.affine(0.587, 0.0)?)?.add(&b.affine(0.114, 0.0)?)?.expand_dims(-1)
    }

    /// Returns hue, saturation and value, from 0 to 1, of red, green and blue from 0 to 1, along the last axis of size 3.
    ///
    /// # Errors
    /// There are not three channels, or the dtype is not float32 or float64.
    pub fn rgb_to_hsv(&self) -> Result<Tensor> {
        let ulp = if self.dtype() == DType::F64 { f64::EPSILON } else { f64::from(f32::EPSILON) };
        let [r, g, b] = planes("rgb_to_hsv", self)?;
        let (zero, one) = (r.new_full([], 0.0)?, r.new_full([], 1.0)?);
        let clean = |x: Tensor| x.abs()?.less(&x.new_full([], ulp)?)?.choose(&zero, &x);
        let (r, g, b) = (clean(r)?, clean(g)?, clean(b)?);
        let value = r.maximum(&g)?.maximum(&b)?;
        let range = value.sub(&r.minimum(&g)?.minimum(&b)?)?;
        let (bright, coloured) = (value.greater(&zero)?, range.greater(&zero)?);
        let saturation = bright.choose(&range.div(&bright.choose(&value, &one)?)?, &zero)?;
        let norm = one.div(&coloured.choose(&range, &one)?.affine(6.0, 0.0)?)?;
        let side = |a: &Tensor, b: &Tensor, turn: f64| norm.mul(&a.sub(b)?)?.affine(1.0, turn);
        let hue = value.equal(&g)?.choose(&side(&b, &r, 2.0 / 6.0)?, &side(&r, &g, 4.0 / 6.0)?)?;
        let hue = value.equal(&r)?.choose(&side(&g, &b, 0.0)?, &hue)?;
        let turn = hue.less(&zero)?.cast(hue.dtype())?;
        let hue = coloured.choose(&hue, &zero)?.add(&turn)?;
        Tensor::stack(&[&hue, &saturation, &value], -1)
    }

    /// Returns red, green and blue of hue, saturation and value along the last axis of size 3: the inverse of
    /// [`Tensor::rgb_to_hsv`].
    ///
    /// # Errors
    /// There are not three channels, or the dtype is not float32 or float64.
    pub fn hsv_to_rgb(&self) -> Result<Tensor> {
        let [hue, saturation, value] = planes("hsv_to_rgb", self)?;
        let sector = hue.remainder(&hue.new_full([], 1.0)?)?.affine(6.0, 0.0)?;
        let gray = saturation.affine(-1.0, 1.0)?;
        let away = |from: f64| sector.affine(1.0, -from)?.abs();
        let shares =
            [away(3.0)?.affine(1.0, -1.0)?, away(2.0)?.affine(-1.0, 2.0)?, away(4.0)?.affine(-1.0, 2.0)?];
        let colour = |share: &Tensor| value.mul(&gray.add(&saturation.mul(&share.clip(0.0, 1.0)?)?)?);
        let colours = [colour(&shares[0])?, colour(&shares[1])?, colour(&shares[2])?];
        Tensor::stack(&colours.iter().collect::<Vec<_>>(), -1)
    }

    /// Cuts `[height, width]` from images, from row `top` and column `left` on.
    ///
    /// # Errors
    /// There are not three or four axes, or the images are smaller.
    pub fn crop_images(&self, top: usize, left: usize, height: usize, width: usize) -> Result<Tensor> {
        let (x, added) = batched("crop_images", self)?;
        let cut = |x: &Tensor, axis: usize, from: usize, size: usize| match from.checked_add(size) {
            Some(end) if end <= x.dims()[axis] => x.slice(axis as isize, from as isize, end as isize),
            _ => {
                let expected = format!("images with {size} elements along axis {axis} from {from} on");
                Err(Error::shape("crop_images", expected, *x.shape()))
            }
        };
        unbatched(cut(&cut(&x, 1, top, height)?, 2, left, width)?, added)
    }

    /// Puts images into black ones of `[height, width]`, at row `top` and column `left`.
    ///
    /// # Errors
    /// There are not three or four axes, or the images do not fit.
    pub fn pad_images(&self, top: usize, left: usize, height: usize, width: usize) -> Result<Tensor> {
        let (x, added) = batched("pad_images", self)?;
        let room = |axis: usize, before: usize, size: usize| {
            let after = size.checked_sub(before).and_then(|rest| rest.checked_sub(x.dims()[axis]));
            after.map(|after| (before, after)).ok_or_else(|| {
                let expected =
                    format!("images that fit into {size} elements along axis {axis} from {before} on");
                Error::shape("pad_images", expected, *x.shape())
            })
        };
        let widths = [(0, 0), room(1, top, height)?, room(2, left, width)?, (0, 0)];
        unbatched(x.pad(&widths, PadMode::Constant(0.0))?, added)
    }

    /// Smooths images by Gauss's bell, `exp(-½(i / σ)²)` divided by its sum, over windows of `[width, height]` elements, in
    /// Keras's order; beyond the edges is 0.
    ///
    /// # Errors
    /// There are not three or four axes, a size is 0, σ is not positive, or the dtype is not float32 or float64.
    pub fn gaussian_blur(&self, kernel_size: [usize; 2], sigma: [f64; 2]) -> Result<Tensor> {
        float("gaussian_blur", self.dtype())?;
        let (x, added) = batched("gaussian_blur", self)?;
        for (size, sigma) in kernel_size.into_iter().zip(sigma) {
            if size == 0 || !(sigma > 0.0 && sigma.is_finite()) {
                let got = format!("{kernel_size:?} and {sigma:?}");
                return Err(Error::argument(
                    "gaussian_blur",
                    "sizes of at least 1 and positive deviations",
                    got,
                ));
            }
        }
        let [columns, rows] = [0, 1].map(|i| bell(kernel_size[i], sigma[i], x.dtype()));
        unbatched(x.smoothed(&rows?, &columns?, Padding::Same)?, added)
    }

    /// Returns how fast brightness changes along height and width, by Sobel's filters: `[..., channels, 2]`. Beyond the
    /// edges is 0.
    ///
    /// # Errors
    /// There are not three or four axes, or the dtype is not float32 or float64.
    pub fn sobel_edges(&self) -> Result<Tensor> {
        float("sobel_edges", self.dtype())?;
        let (x, added) = batched("sobel_edges", self)?;
        let c = x.dims()[3];
        // For each element of the window the weights of both directions.
        let weights =
            [-1.0, -1.0, -2.0, 0.0, -1.0, 1.0, 0.0, -2.0, 0.0, 0.0, 0.0, 2.0, 1.0, -1.0, 2.0, 0.0, 1.0, 1.0];
        let kernel =
            Tensor::from_slice(&weights, [3, 3, 1, 2])?.cast(x.dtype())?.broadcast_to([3, 3, c, 2])?;
        let edges = x.depthwise_conv(&kernel, None, None, &Convolution::new().padding(Padding::Same))?;
        unbatched(edges.split_axis(-1, &[-1, 2])?, added)
    }

    /// Returns the structural similarity of images and others (Wang and others 2004), one number for each image: windows of
    /// 11 elements, σ = 1.5, K₁ = 0.01 and K₂ = 0.03, of which `max_val` is the largest possible value.
    ///
    /// # Errors
    /// Shapes differ, there are not three or four axes, images are smaller than the window, or the dtype is not float32 or
    /// float64.
    pub fn ssim(&self, other: &Tensor, max_val: f64) -> Result<Tensor> {
        float("ssim", self.dtype())?;
        if self.shape() != other.shape() {
            return Err(Error::shapes(
                "ssim",
                *self.shape(),
                *other.shape(),
                "both images must have one shape",
            ));
        }
        let ((a, added), (b, _)) = (batched("ssim", self)?, batched("ssim", other)?);
        let bell = bell(11, 1.5, a.dtype())?;
        let mean = |x: &Tensor| x.smoothed(&bell, &bell, Padding::Valid);
        let (c1, c2) = ((0.01 * max_val) * (0.01 * max_val), (0.03 * max_val) * (0.03 * max_val));
        let (mu, nu) = (mean(&a)?, mean(&b)?);
        let (mu2, nu2, both) = (mu.square()?, nu.square()?, mu.mul(&nu)?);
        let spread = mean(&a.square()?)?.sub(&mu2)?.add(&mean(&b.square()?)?.sub(&nu2)?)?;
        let common = mean(&a.mul(&b)?)?.sub(&both)?;
        let top = both.affine(2.0, c1)?.mul(&common.affine(2.0, c2)?)?;
        let bottom = mu2.add(&nu2)?.affine(1.0, c1)?.mul(&spread.affine(1.0, c2)?)?;
        unbatched(top.div(&bottom)?.mean(&[1, 2, 3], false)?, added)
    }
}
