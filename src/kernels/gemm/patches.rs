//! `Patches`: patches of images as a matrix that is never made. A convolution is its product with the kernel, and
//! the gradient of the kernel is the product of its transpose with the gradient of the result.

use super::walk::{Along, Walk};
use super::{Gemm, Mat, Operand};
use crate::{Error, Result};

/// How a window slides along one spatial axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The number of taps: positions that it sees at once.
    pub size: usize,
    /// The distance from one place of the window to the next.
    pub stride: usize,
    /// The distance from one tap to the next.
    pub dilation: usize,
    /// Zeros before the first element.
    pub before: usize,
    /// Zeros after the last element.
    pub after: usize,
}

impl Window {
    /// Creates a window that visits every position once and sees only what is there.
    pub const fn new(size: usize) -> Window {
        Window { size, stride: 1, dilation: 1, before: 0, after: 0 }
    }

    /// Returns how often it fits along an axis of this many elements.
    ///
    /// # Errors
    /// A size, stride or dilation is 0; the window is longer than the axis with its padding; or sizes overflow.
    pub fn places(&self, elements: usize) -> Result<usize> {
        let Window { size, stride, dilation, before, after } = *self;
        if size == 0 || stride == 0 || dilation == 0 {
            return Err(Error::argument(
                "window",
                "size, stride and dilation of at least 1",
                format!("{self:?}"),
            ));
        }
        let reach = (size - 1).checked_mul(dilation).and_then(|reach| reach.checked_add(1));
        let padded = before.checked_add(elements).and_then(|n| n.checked_add(after));
        match (reach, padded) {
            (Some(reach), Some(padded)) if reach <= padded => Ok((padded - reach) / stride + 1),
            _ => {
                let expected = format!("at most the {elements} elements of the axis and its padding");
                Err(Error::argument("window", expected, format!("{self:?}")))
            }
        }
    }
}

/// One spatial axis of the images.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    /// Elements of the image.
    pub(super) size: usize,
    /// Places of the window.
    pub(super) places: usize,
    pub(super) window: Window,
}

/// The axis that is added if images have fewer than three.
const NO_AXIS: Axis = Axis { size: 1, places: 1, window: Window::new(1) };

impl Axis {
    /// Returns the axes of images of these sizes, as the last of three.
    pub(super) fn all(sizes: &[usize], windows: &[Window]) -> Result<[Axis; 3]> {
        if !(1..=3).contains(&sizes.len()) || windows.len() != sizes.len() {
            let got = format!("{} axes and {} windows", sizes.len(), windows.len());
            return Err(Error::argument("patches", "one to three spatial axes and a window for each", got));
        }
        let mut axes = [NO_AXIS; 3];
        for (axis, (&size, &window)) in axes[3 - sizes.len()..].iter_mut().zip(sizes.iter().zip(windows)) {
            *axis = Axis { size, places: window.places(size)?, window };
        }
        Ok(axes)
    }
}

/// Splits a number into indices, the last axis fastest.
#[inline(always)]
pub(super) fn apart(number: usize, sizes: [usize; 3]) -> (usize, [usize; 3]) {
    let (mut rest, mut at) = (number, [0; 3]);
    for (at, size) in at.iter_mut().zip(sizes).rev() {
        *at = rest % size.max(1);
        rest /= size.max(1);
    }
    (rest, at)
}

/// What patches and their counterpart are made of: a stack of pixels or of places, read in runs of channels, one
/// run per tap.
#[derive(Clone, Debug)]
pub(super) struct Stack<'a, T> {
    data: &'a [T],
    pub(super) axes: [Axis; 3],
    /// The channels of the stack, the first one in use, and how many are in use.
    channels: usize,
    first: usize,
    pub(super) used: usize,
    pub(super) rows: usize,
    pub(super) cols: usize,
}

impl<'a, T: Gemm> Stack<'a, T> {
    /// Makes a stack: `data` has the sizes `lies` along each axis; the matrix has a row for each of the sizes
    /// `rows`.
    pub(super) fn new(
        what: &'static str,
        data: &'a [T],
        (batch, sizes, channels): (usize, &[usize], usize),
        windows: &[Window],
        lies: fn(&Axis) -> usize,
        rows: fn(&Axis) -> usize,
    ) -> Result<Stack<'a, T>> {
        let axes = Axis::all(sizes, windows)?;
        let product = |first: usize, of: fn(&Axis) -> usize| {
            axes.iter().try_fold(first, |n, axis| n.checked_mul(of(axis)))
        };
        let elements = product(batch, lies).and_then(|n| n.checked_mul(channels));
        let (rows, cols) = (product(batch, rows), product(channels, |axis| axis.window.size));
        let (Some(elements), Some(rows), Some(cols)) = (elements, rows, cols) else {
            let got = format!("{batch} images of {sizes:?} by {channels}");
            return Err(Error::argument(what, "sizes that can be counted", got));
        };
        if elements > data.len() {
            let expected = format!("{elements} elements, for {batch} images of {sizes:?} by {channels}");
            return Err(Error::argument(what, expected, data.len()));
        }
        Ok(Stack { data, axes, channels, first: 0, used: channels, rows, cols })
    }

    /// Returns `count` channels from number `first` on.
    pub(super) fn part(&self, first: usize, count: usize) -> Result<Stack<'a, T>> {
        if first > self.used || count > self.used - first {
            let got = format!("{count} from number {first} on");
            return Err(Error::argument("channels", format!("a part of {}", self.used), got));
        }
        let taps: usize = self.axes.iter().map(|axis| axis.window.size).product();
        Ok(Stack { first: self.first + first, used: count, cols: taps * count, ..self.clone() })
    }

    /// Returns how many kinds of rows see different taps: one of places, and of elements of images (`back`) one for
    /// each remainder of the strides.
    pub(super) fn kinds(&self, back: bool) -> usize {
        let kinds = |axis: &Axis| axis.window.stride.min(axis.size);
        if back { self.axes.iter().map(kinds).product() } else { 1 }
    }

    /// Returns how rows of one kind move over it.
    pub(super) fn walk(&self, back: bool, kind: usize) -> Walk<'a, T> {
        let axes = if back { Along::back_all(&self.axes, kind) } else { Along::forward_all(&self.axes) };
        Walk::new(self.data, axes, self.channels).part(self.first, self.used)
    }

    /// Returns whether the rows of every kind can be laid out.
    pub(super) fn worthwhile(&self, back: bool) -> bool {
        (0..self.kinds(back)).all(|kind| self.walk(back, kind).worthwhile())
    }

    /// Returns how many rows must stay together where rows are divided: those of several kinds go by whole images.
    pub(super) fn unit(&self, back: bool) -> usize {
        if self.kinds(back) > 1 { self.axes.iter().map(|axis| axis.size).product() } else { 1 }
    }

    /// Returns the matrix itself, if each row sees one element through one tap.
    pub(super) fn plain(&self) -> Option<Mat<'a, T>> {
        let one = |axis: &Axis| Window { dilation: 1, ..axis.window } == Window::new(1);
        self.axes.iter().all(one).then_some(Mat {
            data: self.data,
            offset: self.first,
            rows: self.rows,
            cols: self.cols,
            rs: self.channels as isize,
            cs: 1,
        })
    }

    /// Returns the distance of a tap from the first one, along each axis.
    pub(super) fn taps(&self, tap: usize) -> [usize; 3] {
        let (_, mut taps) = self.apart(tap, |axis| axis.window.size);
        for (tap, axis) in taps.iter_mut().zip(&self.axes) {
            *tap *= axis.window.dilation;
        }
        taps
    }

    /// Splits a number into indices, the last axis fastest; what is left is the image.
    #[inline(always)]
    pub(super) fn apart(&self, number: usize, of: fn(&Axis) -> usize) -> (usize, [usize; 3]) {
        apart(number, self.axes.each_ref().map(of))
    }

    /// Returns the channels in use of one pixel or place.
    pub(super) fn run(&self, number: usize) -> &'a [T] {
        let start = number * self.channels + self.first;
        &self.data[start..start + self.used]
    }
}

/// The patches that a window sees of a stack of images `[batch, d…, channels]` with one to three spatial axes, as a
/// matrix. A row is a place of the window (batch first, then the spatial axes in order), and a column is a tap (in
/// the order of the axes) and a channel. Outside of an image, elements are zero.
#[derive(Clone, Debug)]
pub struct Patches<'a, T>(pub(super) Stack<'a, T>);

impl<'a, T: Gemm> Patches<'a, T> {
    /// Creates the patches of `batch` images of `sizes` and `channels`, which are in `data` in row-major order,
    /// with one window for each spatial axis.
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
    ) -> Result<Patches<'a, T>> {
        let images = (batch, sizes, channels);
        Stack::new("patches", data, images, windows, |axis| axis.size, |axis| axis.places).map(Patches)
    }

    /// Returns the patches of `count` channels from number `first` on: the operand of one group of a grouped
    /// convolution.
    ///
    /// # Errors
    /// There are fewer channels in use.
    pub fn channels(&self, first: usize, count: usize) -> Result<Patches<'a, T>> {
        self.0.part(first, count).map(Patches)
    }

    /// Returns the window's position along each axis, in padded images, and the number of the image.
    fn place(&self, row: usize) -> (usize, [usize; 3]) {
        let (image, mut at) = self.0.apart(row, |axis| axis.places);
        for (at, axis) in at.iter_mut().zip(&self.0.axes) {
            *at *= axis.window.stride;
        }
        (image, at)
    }

    /// Returns what the window sees at one tap when it is `at` a position of an image: the channels of a pixel, or
    /// `None` outside of it.
    fn tap(&self, image: usize, at: [usize; 3], tap: usize) -> Option<&'a [T]> {
        let mut pixel = image;
        for ((axis, at), tap) in self.0.axes.iter().zip(at).zip(self.0.taps(tap)) {
            let inside = (at + tap).checked_sub(axis.window.before).filter(|&i| i < axis.size)?;
            pixel = pixel * axis.size + inside;
        }
        Some(self.0.run(pixel))
    }
}

impl<T: Gemm> Operand<T> for Patches<'_, T> {
    fn rows(&self) -> usize {
        self.0.rows
    }
    fn cols(&self) -> usize {
        self.0.cols
    }
    fn read(&self, row: usize, col: usize, out: &mut [T]) {
        if !out.is_empty() {
            let (image, at) = self.place(row);
            read_runs(self.0.used, col, out, &|tap| self.tap(image, at, tap));
        }
    }
}

/// Reads a row of a matrix that is made of runs of `length`, one per tap, from column `col` on. What no tap sees is
/// zero.
pub(super) fn read_runs<'a, T: Gemm>(
    length: usize,
    col: usize,
    out: &mut [T],
    run_of: &dyn Fn(usize) -> Option<&'a [T]>,
) {
    let (mut tap, mut first, mut rest) = (col / length, col % length, out);
    while !rest.is_empty() {
        let (run, later) = rest.split_at_mut(rest.len().min(length - first));
        match run_of(tap) {
            Some(from) => run.copy_from_slice(&from[first..first + run.len()]),
            None => run.fill(T::c(0.0)),
        }
        (tap, first, rest) = (tap + 1, 0, later);
    }
}
