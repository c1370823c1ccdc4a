//! `Spread`: what windows saw, spread back over the images, as a matrix that is never made. The gradient of a
//! convolution's input, and a transposed convolution, are its product with the kernel.

use super::patches::{Stack, read_runs};
use super::{Gemm, Operand, Window};
use crate::Result;

/// The counterpart of [`Patches`](super::Patches) for values at the places of a window,
/// `[batch, places…, channels]`. A row is an element of the images (batch first, then the spatial axes in order),
/// and a column is a tap (in the order of the axes) and a channel. It holds the value at the place from which the
/// window sees the element through this tap, and zero if there is no such place.
#[derive(Clone, Debug)]
pub struct Spread<'a, T>(pub(super) Stack<'a, T>);

impl<'a, T: Gemm> Spread<'a, T> {
    /// Creates one for `batch` images of `sizes`, with one window for each spatial axis; the values at its places
    /// are in `data` in row-major order.
    ///
    /// # Errors
    /// There are not one to three axes, the number of windows differs from that of axes, a window does not fit
    /// ([`Window::places`]), `data` is too short, or sizes overflow.
    pub fn new(
        data: &'a [T],
        batch: usize,
        sizes: &[usize],
        channels: usize,
        windows: &[Window],
    ) -> Result<Spread<'a, T>> {
        let images = (batch, sizes, channels);
        Stack::new("spread", data, images, windows, |axis| axis.places, |axis| axis.size).map(Spread)
    }

    /// Returns `count` channels from number `first` on: the operand of one group of a grouped convolution.
    ///
    /// # Errors
    /// There are fewer channels in use.
    pub fn channels(&self, first: usize, count: usize) -> Result<Spread<'a, T>> {
        self.0.part(first, count).map(Spread)
    }

    /// Returns the values at the place from which the window sees the element `at` of an image through this tap.
    fn seen(&self, image: usize, at: [usize; 3], tap: usize) -> Option<&'a [T]> {
        let mut place = image;
        for ((axis, at), tap) in self.0.axes.iter().zip(at).zip(self.0.taps(tap)) {
            let start = (at + axis.window.before).checked_sub(tap)?;
            let here = start / axis.window.stride;
            if here >= axis.places || start % axis.window.stride != 0 {
                return None;
            }
            place = place * axis.places + here;
        }
        Some(self.0.run(place))
    }
}

impl<T: Gemm> Operand<T> for Spread<'_, T> {
    fn rows(&self) -> usize {
        self.0.rows
    }
    fn cols(&self) -> usize {
        self.0.cols
    }
    fn read(&self, row: usize, col: usize, out: &mut [T]) {
        if !out.is_empty() {
            let (image, at) = self.0.apart(row, |axis| axis.size);
            read_runs(self.0.used, col, out, &|tap| self.seen(image, at, tap));
        }
    }
}
