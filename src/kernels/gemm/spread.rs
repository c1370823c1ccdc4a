//! What windows saw, spread back over the images, as a matrix that is never made: the gradient of a convolution's input, and a transposed convolution,
//! are its product with the kernel.

use super::patches::{Axis, read_runs};
use super::{Gemm, Operand, Window};
use crate::{Error, Result};

/// The twin of [`Patches`](super::Patches) for values at the places of a window, `[batch, places…, channels]`: a row is an element of the images (batch
/// first, then the spatial axes in order), a column a tap (in the order of the axes) and a channel. It holds the value at the place from which the window
/// sees the element through this tap, and zero where it stands at no such place.
#[derive(Clone, Debug)]
pub struct Spread<'a, T> {
    data: &'a [T],
    axes: [Axis; 3],
    /// Channels of the values, the first of those in use, and how many are in use.
    channels: usize,
    first: usize,
    used: usize,
    rows: usize,
    cols: usize,
}

impl<'a, T: Gemm> Spread<'a, T> {
    /// For `batch` images of `sizes`, with one window for each spatial axis; the values at its places lie in `data` in row-major order.
    ///
    /// # Errors
    /// Other than one to three axes, another number of windows than of axes, a window that does not fit ([`Window::places`]), values that `data`
    /// does not hold, or sizes that cannot be counted.
    pub fn new(
        data: &'a [T],
        batch: usize,
        sizes: &[usize],
        channels: usize,
        windows: &[Window],
    ) -> Result<Spread<'a, T>> {
        let axes = Axis::all(sizes, windows)?;
        let product = |first: usize, of: fn(&Axis) -> usize| {
            axes.iter().try_fold(first, |n, axis| n.checked_mul(of(axis)))
        };
        let elements = product(batch, |axis| axis.places).and_then(|n| n.checked_mul(channels));
        let (rows, cols) = (product(batch, |axis| axis.size), product(channels, |axis| axis.window.size));
        let (Some(elements), Some(rows), Some(cols)) = (elements, rows, cols) else {
            let got = format!("{batch} images of {sizes:?}, {channels} channels");
            return Err(Error::argument("spread", "sizes that can be counted", got));
        };
        if elements > data.len() {
            return Err(Error::argument("spread", format!("{elements} elements"), data.len()));
        }
        Ok(Spread { data, axes, channels, first: 0, used: channels, rows, cols })
    }

    /// `count` channels from number `first` on: the operand of one group of a grouped convolution.
    ///
    /// # Errors
    /// There are fewer channels in use.
    pub fn channels(&self, first: usize, count: usize) -> Result<Spread<'a, T>> {
        if first > self.used || count > self.used - first {
            let got = format!("{count} from number {first} on");
            return Err(Error::argument("channels", format!("a part of {}", self.used), got));
        }
        let taps: usize = self.axes.iter().map(|axis| axis.window.size).product();
        Ok(Spread { first: self.first + first, used: count, cols: taps * count, ..self.clone() })
    }

    /// The number of the image, and where the element is in it.
    fn element(&self, row: usize) -> (usize, [usize; 3]) {
        let (mut rest, mut at) = (row, [0; 3]);
        for (at, axis) in at.iter_mut().zip(&self.axes).rev() {
            *at = rest % axis.size;
            rest /= axis.size;
        }
        (rest, at)
    }

    /// The values where the window sees the element through this tap.
    fn seen(&self, image: usize, at: [usize; 3], tap: usize) -> Option<&'a [T]> {
        let (mut rest, mut taps) = (tap, [0; 3]);
        for (tap, axis) in taps.iter_mut().zip(&self.axes).rev() {
            *tap = rest % axis.window.size * axis.window.dilation;
            rest /= axis.window.size;
        }
        let mut place = image;
        for ((axis, at), tap) in self.axes.iter().zip(at).zip(taps) {
            let start = (at + axis.window.before).checked_sub(tap)?;
            let here = start / axis.window.stride;
            if here >= axis.places || start % axis.window.stride != 0 {
                return None;
            }
            place = place * axis.places + here;
        }
        let start = place * self.channels + self.first;
        Some(&self.data[start..start + self.used])
    }
}

impl<T: Gemm> Operand<T> for Spread<'_, T> {
    fn rows(&self) -> usize {
        self.rows
    }
    fn cols(&self) -> usize {
        self.cols
    }
    fn read(&self, row: usize, col: usize, out: &mut [T]) {
        if !out.is_empty() {
            let (image, at) = self.element(row);
            read_runs(self.used, col, out, &|tap| self.seen(image, at, tap));
        }
    }
}
