//! Convolutions on slices: each is a product of a matrix that is never made (patches of images, values spread over
//! images) with the kernel. A convolution's input x, kernel k and output y have one trilinear form, `Σ x·k·y`; its
//! three derivatives are the functions here.

use super::gemm::depthwise;
use super::gemm::{Epilogue, Gemm, Mat, MatMut, Patches, Spread, Window};
use super::gemm::{patches_product, patches_turned_product, spread_product};
use super::simd::{Isa, isa};
use crate::Result;

/// The sizes of a convolution: x is `[batch, sizes…, channels]`, k `[windows…, channels / groups, filters]`, y
/// `[batch, places…, filters]`.
#[derive(Clone, Copy, Debug)]
pub struct Sizes<'a> {
    /// Number of images.
    pub batch: usize,
    /// Elements along each spatial axis.
    pub spatial: &'a [usize],
    /// Channels of x.
    pub channels: usize,
    /// Channels of y.
    pub filters: usize,
    /// Each group sees `channels / groups` channels and gives `filters / groups`.
    pub groups: usize,
    /// How the kernel slides along each spatial axis.
    pub windows: &'a [Window],
}

impl Sizes<'_> {
    /// Returns whether each channel has one filter of its own.
    pub fn depthwise(&self) -> bool {
        self.groups > 1 && self.groups == self.channels && self.groups == self.filters
    }
    fn taps(&self) -> usize {
        self.windows.iter().map(|w| w.size).product()
    }
    /// Returns the channels and filters of one group.
    fn group(&self) -> (usize, usize) {
        (self.channels / self.groups, self.filters / self.groups)
    }
}

/// Computes y from x and k, and then the epilogue.
///
/// # Errors
/// Slices do not hold what `sizes` say.
pub fn forward<T: Gemm>(sizes: &Sizes, x: &[T], k: &[T], y: &mut [T], end: Epilogue<T>) -> Result<()> {
    forward_on(isa(), sizes, x, k, y, end)
}

fn forward_on<T: Gemm>(
    isa: Isa,
    sizes: &Sizes,
    x: &[T],
    k: &[T],
    y: &mut [T],
    end: Epilogue<T>,
) -> Result<()> {
    let ((c, f), rows) = (sizes.group(), y.len() / sizes.filters);
    if rows == 0 {
        return Ok(());
    }
    let patches = Patches::new(x, sizes.batch, sizes.spatial, sizes.channels, sizes.windows)?;
    if sizes.depthwise() && isa.is_fused() && depthwise::suits(&patches) {
        depthwise::depthwise(&patches, k, y, end);
        return Ok(());
    }
    for group in 0..sizes.groups {
        let patches = patches.channels(group * c, c)?;
        let kernel = Mat { cols: f, offset: group * f, ..Mat::row_major(k, sizes.taps() * c, sizes.filters) };
        let out = MatMut { data: &mut y[group * f..], rows, cols: f, ld: sizes.filters };
        let bias = end.bias.map(|bias| &bias[group * f..(group + 1) * f]);
        patches_product(isa, &patches, kernel, out, Epilogue { bias, ..end });
    }
    Ok(())
}

/// Computes x from y and k: the gradient of the input. The layout of `k` is
/// `[groups, windows…, filters / groups, channels / groups]`, or as it is, `[windows…, 1, channels]`, if each channel
/// has one filter of its own ([`Sizes::depthwise`]).
///
/// # Errors
/// Slices do not hold what `sizes` say.
pub fn input<T: Gemm>(sizes: &Sizes, y: &[T], k: &[T], x: &mut [T]) -> Result<()> {
    input_on(isa(), sizes, y, k, x)
}

fn input_on<T: Gemm>(isa: Isa, sizes: &Sizes, y: &[T], k: &[T], x: &mut [T]) -> Result<()> {
    let ((c, f), rows) = (sizes.group(), x.len() / sizes.channels);
    if rows == 0 {
        return Ok(());
    }
    let spread = Spread::new(y, sizes.batch, sizes.spatial, sizes.filters, sizes.windows)?;
    if sizes.depthwise() && isa.is_fused() && depthwise::suits_back(&spread) {
        depthwise::depthwise_input(&spread, k, x);
        return Ok(());
    }
    for group in 0..sizes.groups {
        let spread = spread.channels(group * f, f)?;
        let inner = sizes.taps() * f;
        let kernel = match sizes.depthwise() {
            true => Mat { cols: c, offset: group, ..Mat::row_major(k, inner, sizes.groups) },
            false => Mat { offset: group * inner * c, ..Mat::row_major(k, inner, c) },
        };
        let out = MatMut { data: &mut x[group * c..], rows, cols: c, ld: sizes.channels };
        spread_product(isa, &spread, kernel, out);
    }
    Ok(())
}

/// Computes k from x and y: the gradient of the kernel.
///
/// # Errors
/// Slices do not hold what `sizes` say.
pub fn kernel<T: Gemm>(sizes: &Sizes, x: &[T], y: &[T], k: &mut [T]) -> Result<()> {
    kernel_on(isa(), sizes, x, y, k)
}

fn kernel_on<T: Gemm>(isa: Isa, sizes: &Sizes, x: &[T], y: &[T], k: &mut [T]) -> Result<()> {
    let ((c, f), places) = (sizes.group(), y.len() / sizes.filters);
    let patches = Patches::new(x, sizes.batch, sizes.spatial, sizes.channels, sizes.windows)?;
    if sizes.depthwise() && isa.is_fused() && depthwise::suits(&patches) {
        depthwise::depthwise_kernel(&patches, y, k);
        return Ok(());
    }
    for group in 0..sizes.groups {
        let patches = patches.channels(group * c, c)?;
        let values = Mat { cols: f, offset: group * f, ..Mat::row_major(y, places, sizes.filters) };
        let out = MatMut { data: &mut k[group * f..], rows: sizes.taps() * c, cols: f, ld: sizes.filters };
        patches_turned_product(isa, &patches, values, out);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
