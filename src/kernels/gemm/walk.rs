//! `Walk`: how the rows of a product move over a stack of images and what each of them sees there, as distances for
//! [`Gather`](super::gather::Gather). It describes the windows of a convolution and, turned around, those of its
//! transpose, where each remainder of a stride is a walk of its own that sees only some taps.

use super::Gemm;
use super::patches::{Axis, apart};

/// One spatial axis: row `o` reads through tap `j` the element `o * stride + first + j * step - before` of the
/// images, zero outside.
#[derive(Clone, Copy, Debug)]
pub(super) struct Along {
    /// Elements of the images.
    size: usize,
    /// Rows of the product.
    pub(super) rows: usize,
    stride: usize,
    before: isize,
    /// Taps that are seen, and where.
    pub(super) taps: usize,
    first: usize,
    step: isize,
    /// The number of tap `j` in the kernel is `tap + j * tap_step`, of `tap_all`.
    tap: usize,
    tap_step: usize,
    tap_all: usize,
    /// The number of row `o` in the result is `row + o * row_step`, of `row_all`.
    row: usize,
    row_step: usize,
    row_all: usize,
}

impl Along {
    /// The places of a window, which see images.
    pub(super) fn forward(axis: &Axis) -> Along {
        let w = axis.window;
        Along {
            size: axis.size,
            rows: axis.places,
            stride: w.stride,
            before: w.before as isize,
            taps: w.size,
            first: 0,
            step: w.dilation as isize,
            tap: 0,
            tap_step: 1,
            tap_all: w.size,
            row: 0,
            row_step: 1,
            row_all: axis.places,
        }
    }

    /// Every `stride`-th element of the images from number `row` on, which are seen from places of a window through
    /// the same taps.
    pub(super) fn back(axis: &Axis, row: usize) -> Along {
        let w = axis.window;
        let remainder = (row + w.before) % w.stride;
        let rows = axis.size.saturating_sub(row).div_ceil(w.stride);
        // Tap t is seen if t * dilation leaves the same remainder: each `tap_step` taps, from the first one on.
        let common = divisor(w.stride, w.dilation);
        let seen = |t: &usize| t * w.dilation % w.stride == remainder;
        let (tap, tap_step) = ((0..w.size.min(w.stride)).find(seen), w.stride / common);
        let taps = tap.map_or(0, |tap| (w.size - tap).div_ceil(tap_step));
        let tap = tap.unwrap_or(0);
        // From the element's place through the first tap, later taps look back.
        let back = |j: usize| ((tap + j * tap_step) * w.dilation - remainder) / w.stride;
        let far = if taps > 0 { back(taps - 1) } else { 0 };
        let start = (row + w.before - remainder) / w.stride;
        Along {
            size: axis.places,
            rows,
            stride: 1,
            before: far as isize - start as isize,
            taps,
            first: if taps > 0 { far - back(0) } else { 0 },
            step: -((w.dilation / common) as isize),
            tap,
            tap_step,
            tap_all: w.size,
            row,
            row_step: w.stride,
            row_all: axis.size,
        }
    }

    /// The places of windows along all axes.
    pub(super) fn forward_all(axes: &[Axis; 3]) -> [Along; 3] {
        axes.each_ref().map(Along::forward)
    }

    /// The elements of images of one of the kinds that strides make along all axes.
    pub(super) fn back_all(axes: &[Axis; 3], kind: usize) -> [Along; 3] {
        let (mut rest, mut all) = (kind, Along::forward_all(axes));
        for (along, axis) in all.iter_mut().zip(axes).rev() {
            let kinds = axis.window.stride.min(axis.size).max(1);
            *along = Along::back(axis, rest % kinds);
            rest /= kinds;
        }
        all
    }

    fn at(&self, tap: usize) -> usize {
        self.first.wrapping_add_signed(self.step * tap as isize)
    }

    /// The distance of the farthest tap.
    fn reach(&self) -> usize {
        self.first.max(if self.taps > 0 { self.at(self.taps - 1) } else { 0 })
    }

    /// Elements that `rows` rows in a sequence see, gaps included.
    fn span(&self, rows: usize) -> usize {
        rows.saturating_sub(1) * self.stride + self.reach() + 1
    }

    /// Whether all of them lie in the images.
    fn inside(&self) -> bool {
        self.before <= 0 && self.span(self.rows) + self.before.unsigned_abs() <= self.size
    }
}

/// Rows and taps over a stack of images `[batch, sizes…, channels]`, of which some channels are used.
#[derive(Clone, Copy)]
pub(super) struct Walk<'a, T> {
    pub(super) axes: [Along; 3],
    data: &'a [T],
    channels: usize,
    first: usize,
    pub(super) used: usize,
}

/// The distances between neighbours in what rows read.
#[derive(Clone, Copy, Debug)]
struct Pitch {
    plane: usize,
    line: usize,
    pixel: usize,
}

impl<'a, T: Gemm> Walk<'a, T> {
    pub(super) fn new(data: &'a [T], axes: [Along; 3], channels: usize) -> Self {
        Walk { axes, data, channels, first: 0, used: channels }
    }

    /// The same over `count` channels from number `first` on.
    pub(super) fn part(self, first: usize, count: usize) -> Self {
        Walk { first: self.first + first, used: count, ..self }
    }

    /// Returns how many rows there are for each image.
    pub(super) fn rows(&self) -> usize {
        self.axes.iter().map(|a| a.rows).product()
    }

    /// Returns how many taps are seen.
    pub(super) fn taps(&self) -> usize {
        self.axes.iter().map(|a| a.taps).product()
    }

    /// Returns the number in the kernel of the tap number `j` of those that are seen.
    pub(super) fn tap(&self, j: usize) -> usize {
        let (at, mut all) = (apart(j, self.axes.map(|a| a.taps)).1, 0);
        for (a, j) in self.axes.iter().zip(at) {
            all = all * a.tap_all + a.tap + j * a.tap_step;
        }
        all
    }

    /// Whether images with their padding can be laid out: not if that is most of them, as with a stride beyond them.
    pub(super) fn worthwhile(&self) -> bool {
        let all =
            |of: &dyn Fn(&Along) -> usize| self.axes.iter().try_fold(1_usize, |n, a| n.checked_mul(of(a)));
        let padded = all(&|a| a.span(a.rows)).and_then(|n| n.checked_mul(self.used));
        let images = all(&|a| a.size).and_then(|n| n.checked_mul(4 * self.used));
        padded.zip(images).is_some_and(|(padded, images)| padded <= images.saturating_add(1 << 16))
    }

    /// Whether every read lies inside of the images, so that they are read where they are.
    fn inside(&self) -> bool {
        self.axes.iter().all(Along::inside)
    }

    /// Returns how many elements a row adds to what must be laid out, about.
    pub(super) fn weight(&self) -> usize {
        self.axes.iter().map(|a| a.stride.min(a.reach() + 1)).product::<usize>() * self.used
    }

    /// With a third axis, bands have whole planes.
    fn deep(&self) -> bool {
        self.axes[0].rows > 1 || self.axes[0].taps > 1
    }

    fn pitch(&self) -> Pitch {
        let [_, y, x] = self.axes;
        let (pixel, width, height) = match self.inside() {
            true => (self.channels, x.size, y.size),
            false => (self.used, x.span(x.rows), y.span(y.rows)),
        };
        Pitch { plane: height * width * pixel, line: width * pixel, pixel }
    }

    /// Writes the distance of each tap and channel: the steps of K in a convolution.
    pub(super) fn steps(&self, out: &mut [usize]) {
        for (j, run) in out.chunks_exact_mut(self.used.max(1)).enumerate() {
            let at = self.offset(j);
            run.iter_mut().enumerate().for_each(|(c, step)| *step = at + c);
        }
    }

    /// Returns the distance of the tap number `j` of those that are seen.
    pub(super) fn offset(&self, j: usize) -> usize {
        let (pitch, axes) = (self.pitch(), &self.axes);
        let (_, [z, y, x]) = apart(j, axes.map(|a| a.taps));
        axes[0].at(z) * pitch.plane + axes[1].at(y) * pitch.line + axes[2].at(x) * pitch.pixel
    }

    /// Writes the number of each row in the result, times `ld`, less the number of `base`.
    pub(super) fn targets(&self, from: usize, base: usize, ld: usize, out: &mut [usize]) {
        let [z, y, x] = self.axes;
        let (mut image, mut at) = apart(from, [z.rows, y.rows, x.rows]);
        for to in out {
            let row = |a: Along, o: usize| a.row + o * a.row_step;
            let line = (image * z.row_all + row(z, at[0])) * y.row_all + row(y, at[1]);
            *to = (line * x.row_all + row(x, at[2]) - base) * ld;
            advance(&mut image, &mut at, &self.axes);
        }
    }

    /// Returns the elements of room that [`Walk::lay`] needs for `count` rows from `from` on.
    pub(super) fn room(&self, from: usize, count: usize) -> usize {
        if self.inside() {
            return 0;
        }
        let (mut end, mut len) = (from, 0);
        while end < from + count {
            let band = self.band(end, from + count);
            len += band.planes * band.lines * self.pitch().line;
            end = band.end;
        }
        len
    }

    /// Returns what of one image the rows from `from` on read, up to `end` or the last row of the image.
    fn band(&self, from: usize, end: usize) -> Band {
        let ([z, y, x], each) = (self.axes, self.rows());
        let image = from / each;
        let end = end.min((image + 1) * each);
        let line = |row: usize| (row - image * each) / x.rows;
        let (first, last) = (line(from), line(end - 1));
        let plane = first / y.rows;
        let planes = z.span(last / y.rows - plane + 1);
        let (top, lines) = match self.deep() {
            true => (0, y.span(y.rows)),
            false => (first % y.rows, y.span(last - first + 1)),
        };
        Band { image, end, plane, planes, top, lines }
    }

    /// Makes what the rows from `from` on read: the data themselves, or a copy with zeros around images in `room`.
    /// Writes the distance of each row.
    pub(super) fn lay<'b>(&self, from: usize, room: &'b mut [T], rows: &mut [usize]) -> &'b [T]
    where
        'a: 'b,
    {
        let ([z, y, x], pitch) = (self.axes, self.pitch());
        if self.inside() {
            let start = |a: Along| a.before.unsigned_abs();
            let (mut image, mut at) = apart(from, [z.rows, y.rows, x.rows]);
            for row in rows {
                let plane = image * z.size + at[0] * z.stride + start(z);
                let line = plane * y.size + at[1] * y.stride + start(y);
                *row = (line * x.size + at[2] * x.stride + start(x)) * pitch.pixel;
                advance(&mut image, &mut at, &self.axes);
            }
            return self.data.get(self.first..).unwrap_or_default();
        }
        let (mut row, last, mut filled) = (from, from + rows.len(), 0);
        let mut rows = rows.iter_mut();
        while row < last {
            let band = self.band(row, last);
            let start = filled;
            for p in 0..band.planes {
                let plane = inside((band.plane * z.stride + p) as isize - z.before, z.size);
                for l in 0..band.lines {
                    let line = inside((band.top * y.stride + l) as isize - y.before, y.size);
                    let line = plane.zip(line).map(|(p, l)| (band.image * z.size + p) * y.size + l);
                    self.line(line, &mut room[filled..filled + pitch.line]);
                    filled += pitch.line;
                }
            }
            let (mut image, mut at) = apart(row, [z.rows, y.rows, x.rows]);
            for out in rows.by_ref().take(band.end - row) {
                let down = (at[0] - band.plane) * z.stride * pitch.plane;
                *out = start
                    + down
                    + (at[1] - band.top) * y.stride * pitch.line
                    + at[2] * x.stride * pitch.pixel;
                advance(&mut image, &mut at, &self.axes);
            }
            row = band.end;
        }
        &room[..filled]
    }

    /// Copies the channels in use of a line of pixels, with zeros before and after it.
    fn line(&self, line: Option<usize>, out: &mut [T]) {
        let (x, used, zero) = (self.axes[2], self.used, T::c(0.0));
        let Some(line) = line else { return out.fill(zero) };
        let pixels = out.len() / used;
        // The pixels of the images that are seen: from `from` to `to`.
        let left = x.before.max(0).unsigned_abs().min(pixels);
        let from = (-x.before).max(0).unsigned_abs().min(x.size);
        let count = (x.size - from).min(pixels - left);
        let (before, out) = out.split_at_mut(left * used);
        let (middle, after) = out.split_at_mut(count * used);
        before.fill(zero);
        after.fill(zero);
        let start = (line * x.size + from) * self.channels + self.first;
        if used == self.channels {
            return middle.copy_from_slice(&self.data[start..start + count * used]);
        }
        for (p, out) in middle.chunks_exact_mut(used).enumerate() {
            out.copy_from_slice(&self.data[start + p * self.channels..][..used]);
        }
    }
}

/// A part of one image that is laid out: planes, and in each of them lines, from the first row's on.
struct Band {
    image: usize,
    /// The row after the last one that it is for.
    end: usize,
    plane: usize,
    planes: usize,
    top: usize,
    lines: usize,
}

/// Returns the greatest common divisor.
fn divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { divisor(b, a % b) }
}

fn inside(at: isize, size: usize) -> Option<usize> {
    usize::try_from(at).ok().filter(|&at| at < size)
}

/// Goes to the next row.
fn advance(image: &mut usize, at: &mut [usize; 3], axes: &[Along; 3]) {
    for (at, axis) in at.iter_mut().zip(axes).rev() {
        *at += 1;
        if *at < axis.rows {
            return;
        }
        *at = 0;
    }
    *image += 1;
}
