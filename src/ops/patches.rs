//! Patches of images side by side (im2col), and their sum back into images (col2im). The windows are those of
//! convolutions; each axis is a gather, and its adjoint adds.

use super::arrange::positions;
use super::pad::PadMode;
use super::window::{Padding, windows};
use crate::kernels::gemm::Window;
use crate::tensor::Tensor;
use crate::{Error, Result, Shape};

super::table::ops! {
    extract_patches: Any, Every, "";
    unfold: Any, Every, "";
    fold: Floats, Every, "Col2Im";
}

/// Where the elements of the windows over an axis of `n` come from, with padding counted, `[places, size]`.
fn places(window: &Window, n: usize) -> Result<Tensor> {
    let starts = positions(window.places(n)?, |i| i * window.stride)?;
    starts.expand_dims(1)?.add(&positions(window.size, |i| i * window.dilation)?)
}

/// Puts zeros around the spatial axes from axis `first` on.
fn padded(x: &Tensor, first: usize, windows: &[Window]) -> Result<Tensor> {
    let mut widths = vec![(0, 0); x.rank()];
    for (width, window) in widths[first..].iter_mut().zip(windows) {
        *width = (window.before, window.after);
    }
    if widths.iter().all(|w| *w == (0, 0)) { Ok(x.clone()) } else { x.pad(&widths, PadMode::Constant(0.0)) }
}

/// Sizes, dilation, padding and strides along two axes, as [`Tensor::unfold`] takes them.
#[derive(Clone, Copy, Debug)]
pub struct Unfold {
    /// Sizes of the window.
    pub kernel_size: [usize; 2],
    /// From element to element of a window.
    pub dilation: [usize; 2],
    /// Zeros on both sides.
    pub padding: [usize; 2],
    /// From window to window.
    pub stride: [usize; 2],
}

impl Unfold {
    /// Windows of this size, without dilation and padding, one beside the other.
    pub fn new(kernel_size: [usize; 2]) -> Unfold {
        Unfold { kernel_size, dilation: [1, 1], padding: [0, 0], stride: [1, 1] }
    }

    fn windows(&self, op: &'static str, sizes: &[usize]) -> Result<[Window; 2]> {
        let padding = Padding::explicit(self.padding.map(|n| (n, n)));
        let found = windows(op, sizes, &self.kernel_size, &self.stride, &self.dilation, &padding)?;
        Ok([found[0], found[1]])
    }
}

impl Tensor {
    /// Cuts patches from images `[batch, axes…, channels]` with one to three spatial axes: `[batch, places…,
    /// size…·channels]`, where the channels of an element stay together. Padding adds zeros; the windows are those of
    /// [`Tensor::conv`].
    ///
    /// # Errors
    /// Lists do not have a number for each spatial axis, or a window does not fit.
    pub fn extract_patches(
        &self,
        size: &[usize],
        strides: &[usize],
        dilation_rate: &[usize],
        padding: &Padding,
    ) -> Result<Tensor> {
        const OP: &str = "extract_patches";
        if self.rank() < 3 {
            return Err(Error::shape(OP, "images [batch, axes…, channels]", *self.shape()));
        }
        let axes = self.rank() - 2;
        let windows = windows(OP, &self.dims()[1..=axes], size, strides, dilation_rate, padding)?;
        let mut x = padded(self, 1, &windows)?;
        for (i, window) in windows.iter().enumerate() {
            let places = places(window, self.dims()[1 + i])?;
            x = x.gather(&places, 1 + 2 * i as isize)?; // each axis before has become two
        }
        // [batch, places, size, places, size, …, channels]
        let order: Vec<isize> = std::iter::once(0)
            .chain((0..axes).map(|i| 1 + 2 * i as isize))
            .chain((0..axes).map(|i| 2 + 2 * i as isize))
            .chain([1 + 2 * axes as isize])
            .collect();
        x.permute(&order)?.merge_axes(1 + axes as isize, -1)
    }

    /// Cuts windows from images with channels first, `[batch, channels, height, width]`, as PyTorch's and Keras's `unfold`:
    /// `[batch, channels·size, windows]`. [`Tensor::extract_patches`] takes channels last.
    ///
    /// # Errors
    /// There are not four axes, or a window does not fit.
    pub fn unfold(&self, how: &Unfold) -> Result<Tensor> {
        let &[_, _, height, width] = self.dims() else {
            return Err(Error::shape("unfold", "images [batch, channels, height, width]", *self.shape()));
        };
        let windows = how.windows("unfold", &[height, width])?;
        let x = padded(self, 2, &windows)?;
        let x = x.gather(&places(&windows[0], height)?, 2)?.gather(&places(&windows[1], width)?, 4)?;
        x.permute(&[0, 1, 3, 5, 2, 4])?.merge_axes(4, 5)?.merge_axes(1, 3)
    }

    /// Adds windows `[batch, channels·size, windows]` into images `[batch, channels, height, width]` of a size: the adjoint
    /// of [`Tensor::unfold`], and PyTorch's and Keras's `fold`. Where windows overlap their elements add up.
    ///
    /// # Errors
    /// There are not three axes, the windows are not as many as fit into the images, or the dtype is not float32 or
    /// float64.
    pub fn fold(&self, output_size: [usize; 2], how: &Unfold) -> Result<Tensor> {
        super::elementwise::float("fold", self.dtype())?;
        let windows = how.windows("fold", &output_size)?;
        let rows = [windows[0].places(output_size[0])?, windows[1].places(output_size[1])?];
        let [kh, kw] = how.kernel_size;
        let (size, all) = (kh.saturating_mul(kw), rows[0].saturating_mul(rows[1]));
        let (batch, channels) = match *self.dims() {
            [batch, columns, count] if columns % size == 0 && count == all => (batch, columns / size),
            _ => {
                return Err(Error::shape(
                    "fold",
                    format!("[batch, a multiple of {size}, {all}]"),
                    *self.shape(),
                ));
            }
        };
        let [h, w] = [0, 1].map(|i| output_size[i].saturating_add(windows[i].before + windows[i].after));
        let x = self.reshape_to([batch, channels, kh, kw, rows[0], rows[1]])?.permute(&[0, 1, 4, 2, 5, 3])?;
        let across = Shape::new(&[batch, channels, rows[0], kh, w])?;
        let x = x.scatter_add(&places(&windows[1], output_size[1])?, 4, across)?;
        let x = x.scatter_add(&places(&windows[0], output_size[0])?, 2, [batch, channels, h, w])?;
        let cut = |x: &Tensor, axis: usize| {
            let from = windows[axis].before as isize;
            x.slice(2 + axis as isize, from, from + output_size[axis] as isize)
        };
        cut(&cut(&x, 0)?, 1)
    }
}
