//! Winograd's way to convolve, F(2×2, 3×3): 3 × 3 kernels, one place per element, in 16 multiplications for each tile
//! of 2 × 2 results instead of 36 (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2015,
//! <https://arxiv.org/abs/1509.09308>).
//!
//! ```text
//! U = G g Gᵀ            the kernel, once per call or once for all: 16 matrices of channels × filters
//! V = Bᵀ d B            each tile of 4 × 4 elements of the input: 16 rows of channels
//! M = V U               16 products
//! Y = Aᵀ M A            each tile of 2 × 2 results, then the epilogue
//! ```
//!
//! # The order of arithmetic
//! Each transform is done to columns first, then to rows, and its four lines are
//!
//! ```text
//! Bᵀ:  d0 - d2,  d1 + d2,  d2 - d1,  d1 - d3
//! Aᵀ:  (m0 + m1) + m2,  (m1 - m2) - m3
//! G:   g0,  ((g0 + g2) + g1) / 2,  ((g0 + g2) - g1) / 2,  g2
//! ```
//!
//! The products have the order of every product (`gemm`), with the channels as K. So a result depends on the numbers
//! in its tile and on the number of channels: not on the images beside it, threads or instruction set.
//!
//! Tiles go through in runs whose V stays in L2, with 64 filters at a time.

use super::conv::Sizes;
use super::gemm::{Act, Epilogue, Gemm, Mat, MatMut, Target, Window, here};
use super::math::Real;
use super::simd::{isa, stamped};
use super::{par, scratch};

/// Channels and filters are transformed this many at a time.
const LANES: usize = 16;
/// Filters of one product.
const PANEL: usize = 64;
/// Elements of V and M of a run of tiles.
const RUN: usize = 1 << 17;
/// Multiply-adds from which tiles are worth handing to another thread.
const GRAIN: usize = 1 << 20;

type Lane<T> = [T; LANES];

/// The first place of a tile, and how far away the ones on its right and below are, if they exist.
type Places = (usize, Option<usize>, Option<usize>);

/// What is done to the sums of tiles for some filters; the residual begins with the first of them.
#[derive(Clone, Copy)]
struct End<'a, T> {
    bias: Option<&'a [T]>,
    scale: Option<(&'a [T], &'a [T])>,
    residual: Option<&'a [T]>,
    /// The filters of a place in the residual.
    filters: usize,
    relu: bool,
    /// Whether a scale and a shift are one operation.
    fused: bool,
}

/// The tiles of a convolution: of images `[batch, height, width, channels]` to results `[batch, rows, cols, filters]`.
#[derive(Clone, Copy, Debug)]
pub struct Tiles {
    batch: usize,
    height: usize,
    width: usize,
    channels: usize,
    filters: usize,
    /// Zeros above and on the left of an image.
    above: usize,
    left: usize,
    rows: usize,
    cols: usize,
}

impl Tiles {
    /// Returns the tiles of a convolution; `None` if it is not one of 3 × 3 taps, side by side, in one group, with a
    /// place at every element.
    pub fn forward(sizes: &Sizes) -> Option<Tiles> {
        let (&[height, width], [down, along]) = (sizes.spatial, sizes.windows) else { return None };
        let fits = |w: &Window| (w.size, w.stride, w.dilation) == (3, 1, 1);
        if sizes.groups != 1 || !fits(down) || !fits(along) {
            return None;
        }
        let (rows, cols) = (down.places(height).ok()?, along.places(width).ok()?);
        let (above, left) = (down.before, along.before);
        let Sizes { batch, channels, filters, .. } = *sizes;
        Some(Tiles { batch, height, width, channels, filters, above, left, rows, cols })
    }

    /// Returns the tiles of the gradient of the input, a convolution of the results' gradient with the turned kernel
    /// `[3, 3, filters, channels]`; `None` also for padding of more than 2.
    pub fn input(sizes: &Sizes) -> Option<Tiles> {
        let t = Tiles::forward(sizes)?;
        let (above, left) = (2usize.checked_sub(t.above)?, 2usize.checked_sub(t.left)?);
        let (height, width, rows, cols) = (t.rows, t.cols, t.height, t.width);
        let (channels, filters) = (t.filters, t.channels);
        Some(Tiles { height, width, channels, filters, above, left, rows, cols, ..t })
    }

    /// Returns whether this is faster than the product with patches even for a single image, for which the whole kernel
    /// is transformed: docs/decisions/0016-winograd.md has the figures.
    pub fn pay<T: Gemm>(&self) -> bool {
        let (Tiles { channels, filters, .. }, (down, along)) = (*self, self.grid());
        let (tiles, kernel) = (down * along, channels.saturating_mul(filters));
        // In float64, results have the last digits of the direct way always.
        size_of::<T>() == size_of::<f32>()
            && channels.min(filters) >= 32
            && tiles >= 16
            && kernel / 1536 <= tiles
    }

    /// Returns the tiles of one image, down and along.
    fn grid(&self) -> (usize, usize) {
        (self.rows.div_ceil(2), self.cols.div_ceil(2))
    }

    /// Returns how far apart the 16 matrices of a panel of the kernel are; not a multiple of a page, so that they do
    /// not meet in the caches.
    fn matrix(&self) -> usize {
        self.channels * PANEL + LANES
    }

    /// Returns how many elements the transformed kernel has.
    pub fn kernel_len(&self) -> usize {
        16 * self.matrix() * self.filters.div_ceil(PANEL)
    }

    /// Computes the results from images and a kernel `[3, 3, channels, filters]`, whose taps are used from the last to
    /// the first if it is `turned`. `room` is for the transformed kernel.
    ///
    /// # Panics
    /// A slice does not hold what the sizes say.
    pub fn compute<T: Gemm>(
        &self,
        x: &[T],
        (k, turned): (&[T], bool),
        room: &mut [T],
        y: &mut [T],
        end: Epilogue<T>,
    ) {
        self.transform((k, turned), room);
        self.convolve(x, room, y, end);
    }

    /// Transforms a kernel for [`Tiles::convolve`].
    ///
    /// # Panics
    /// A slice does not hold what the sizes say.
    pub fn transform<T: Gemm>(&self, (k, turned): (&[T], bool), room: &mut [T]) {
        let (c, f) = (self.channels, self.filters);
        assert!(k.len() == 9 * c * f && room.len() == self.kernel_len());
        let taps = std::array::from_fn(|t| &k[if turned { 8 - t } else { t } * c * f..][..c * f]);
        par::chunks(room, 16 * self.matrix(), par::GRAIN, &|first, panels| {
            for (n, panel) in panels.chunks_exact_mut(16 * self.matrix()).enumerate() {
                kernel(&taps, (c, f), (first + n) * PANEL, panel, self.matrix());
            }
        });
    }

    /// Computes the results from images and a kernel that [`Tiles::transform`] made.
    ///
    /// # Panics
    /// A slice does not hold what the sizes say.
    pub fn convolve<T: Gemm>(&self, x: &[T], k: &[T], y: &mut [T], end: Epilogue<T>) {
        let (down, _) = self.grid();
        let (c, f) = (self.channels, self.filters);
        assert!(x.len() == self.batch * self.height * self.width * c && k.len() == self.kernel_len());
        assert!(y.len() == self.batch * self.rows * self.cols * f);
        assert!(end.bias.is_none_or(|bias| bias.len() == f), "one bias per filter");
        assert!(
            end.scale.is_none_or(|(s, t)| s.len() == f && t.len() == f),
            "one scale and shift per filter"
        );
        assert!(end.residual.is_none_or(|r| r.len() == y.len()), "the residual is as large as the results");
        if y.is_empty() {
            return;
        }
        let all = Target::new(y, self.batch * self.rows * self.cols, f, f).expect("it has this size");
        self.part(x, k, all, (0, self.batch * down), 0, end);
        let act = end.activation.filter(|&act| act != Act::Relu);
        if act.is_some() || end.map.is_some() {
            par::chunks(y, 1, par::GRAIN / 8, &|_, run| {
                act.iter().for_each(|act| act.apply_all(run));
                end.map.iter().for_each(|map| map(run));
            });
        }
    }

    /// Returns the number of the place where a row of tiles begins, with the rows of all images one after another.
    fn start(&self, row: usize) -> usize {
        let (down, _) = self.grid();
        (row / down * self.rows + row % down * 2) * self.cols
    }

    /// Computes some rows of tiles, for the filters from number `j` on, which are the columns of `y`.
    fn part<T: Gemm>(
        &self,
        x: &[T],
        k: &[T],
        y: Target<T>,
        (first, last): (usize, usize),
        j: usize,
        end: Epilogue<T>,
    ) {
        let tiles = (last - first) * self.grid().1;
        let work = tiles * 16 * self.channels * y.cols;
        if par::threads() == 1 || work < 2 * GRAIN {
            return self.rows(x, k, y, (first, last), j, end);
        }
        if tiles <= y.cols && y.cols > PANEL {
            // The kernel is more than the tiles: each thread reads a part of it.
            let at = (y.cols / 2).next_multiple_of(PANEL);
            let (left, right) = y.split_cols(at);
            par::join(
                || self.part(x, k, left, (first, last), j, end),
                || self.part(x, k, right, (first, last), j + at, end),
            );
        } else if last - first > 1 {
            let half = (first + last) / 2;
            let (upper, lower) = y.split_rows(self.start(half) - self.start(first));
            par::join(
                || self.part(x, k, upper, (first, half), j, end),
                || self.part(x, k, lower, (half, last), j, end),
            );
        } else {
            self.rows(x, k, y, (first, last), j, end);
        }
    }

    /// The same on this thread.
    fn rows<T: Gemm>(
        &self,
        x: &[T],
        k: &[T],
        mut y: Target<T>,
        (first, last): (usize, usize),
        left: usize,
        end: Epilogue<T>,
    ) {
        let (c, along) = (self.channels, self.grid().1);
        let tiles = (last - first) * along;
        // Runs of about the same number of tiles, a multiple of the height of the products' tiles.
        let most = (RUN / (16 * (c + PANEL))).max(48);
        let run = tiles.div_ceil(((tiles + most / 2) / most).max(1)).next_multiple_of(6).min(tiles);
        let deep = c.next_multiple_of(LANES);
        let (v_step, m_step) = (run * deep + LANES, run * PANEL + LANES);
        scratch::with(16 * (v_step + m_step) + deep, |room: &mut [T]| {
            let (v, room) = room.split_at_mut(16 * v_step);
            let (m, zeros) = room.split_at_mut(16 * m_step);
            zeros.fill(T::c(0.0));
            for from in (0..tiles).step_by(run) {
                let count = run.min(tiles - from);
                for t in 0..count {
                    let pixels = self.pixels(x, first * along + from + t, &zeros[..c]);
                    input(&pixels, &mut v[t * deep..], v_step);
                }
                for j in (left..left + y.cols).step_by(PANEL) {
                    let cols = PANEL.min(left + y.cols - j);
                    for p in 0..16 {
                        let a = Mat { offset: p * v_step, cols: c, ..Mat::row_major(v, count, deep) };
                        let offset = (j / PANEL * 16 + p) * self.matrix();
                        let b = Mat { offset, cols, ..Mat::row_major(k, c, PANEL) };
                        here(a, b, MatMut { data: &mut m[p * m_step..], rows: count, cols, ld: PANEL });
                    }
                    let end = End {
                        bias: end.bias.map(|b| &b[j..j + cols]),
                        scale: end.scale.map(|(s, t)| (&s[j..j + cols], &t[j..j + cols])),
                        residual: end.residual.map(|r| &r[self.start(first) * self.filters + j..]),
                        filters: self.filters,
                        relu: end.activation == Some(Act::Relu),
                        fused: isa().is_fused(),
                    };
                    for t in 0..count {
                        let at = first * along + from + t;
                        let (row, col) = (at / along, 2 * (at % along));
                        let place = self.start(row) - self.start(first) + col;
                        // The last tile may reach beyond the results.
                        let right = (col + 1 < self.cols).then_some(1);
                        let below = (2 * (row % self.grid().0) + 1 < self.rows).then_some(self.cols);
                        output(&m[t * PANEL..], m_step, cols, &mut y, j - left, (place, right, below), end);
                    }
                }
            }
        });
    }

    /// Returns the elements that a tile reads, `zeros` where there is no image.
    fn pixels<'a, T>(&self, x: &'a [T], tile: usize, zeros: &'a [T]) -> [&'a [T]; 16] {
        let (down, along) = self.grid();
        let (image, row, col) = (tile / (down * along), tile / along % down, tile % along);
        std::array::from_fn(|p| {
            let (i, j) =
                ((2 * row + p / 4).wrapping_sub(self.above), (2 * col + p % 4).wrapping_sub(self.left));
            match i < self.height && j < self.width {
                true => &x[((image * self.height + i) * self.width + j) * self.channels..][..self.channels],
                false => zeros,
            }
        })
    }
}

/// Copies `n` elements, with zeros after them.
#[inline(always)]
fn load<T: Real + Copy>(from: &[T], n: usize) -> Lane<T> {
    let mut lane = [T::c(0.0); LANES];
    match n {
        LANES => lane.copy_from_slice(&from[..LANES]),
        _ => lane[..n].copy_from_slice(&from[..n]),
    }
    lane
}

#[inline(always)]
fn add<T: Real + Copy>(mut a: Lane<T>, b: Lane<T>) -> Lane<T> {
    (0..LANES).for_each(|i| a[i] = a[i] + b[i]);
    a
}

#[inline(always)]
fn sub<T: Real + Copy>(mut a: Lane<T>, b: Lane<T>) -> Lane<T> {
    (0..LANES).for_each(|i| a[i] = a[i] - b[i]);
    a
}

#[inline(always)]
fn mul<T: Real + Copy>(mut a: Lane<T>, b: Lane<T>) -> Lane<T> {
    (0..LANES).for_each(|i| a[i] = a[i] * b[i]);
    a
}

#[inline(always)]
fn fma<T: Real + Copy>(mut a: Lane<T>, b: Lane<T>, c: Lane<T>) -> Lane<T> {
    (0..LANES).for_each(|i| a[i] = a[i].fma(b[i], c[i]));
    a
}

#[inline(always)]
fn half<T: Real + Copy>(mut a: Lane<T>) -> Lane<T> {
    (0..LANES).for_each(|i| a[i] = a[i] * T::c(0.5));
    a
}

/// Bᵀ times a column.
#[inline(always)]
fn tile_in<T: Real + Copy>(d: [Lane<T>; 4]) -> [Lane<T>; 4] {
    [sub(d[0], d[2]), add(d[1], d[2]), sub(d[2], d[1]), sub(d[1], d[3])]
}

/// Aᵀ times a column.
#[inline(always)]
fn tile_out<T: Real + Copy>(m: [Lane<T>; 4]) -> [Lane<T>; 2] {
    [add(add(m[0], m[1]), m[2]), sub(sub(m[1], m[2]), m[3])]
}

/// G times a column.
#[inline(always)]
fn taps_in<T: Real + Copy>(g: [Lane<T>; 3]) -> [Lane<T>; 4] {
    let outer = add(g[0], g[2]);
    [g[0], half(add(outer, g[1])), half(sub(outer, g[1])), g[2]]
}

/// Transforms a tile of `n` channels of the input.
#[inline(always)]
fn input_lane<T: Gemm>(pixels: &[&[T]; 16], (c, n): (usize, usize), v: &mut [T], step: usize) {
    let at = |p: usize| load(&pixels[p][c..], n);
    let t0 = tile_in([at(0), at(4), at(8), at(12)]);
    let t1 = tile_in([at(1), at(5), at(9), at(13)]);
    let t2 = tile_in([at(2), at(6), at(10), at(14)]);
    let t3 = tile_in([at(3), at(7), at(11), at(15)]);
    let v = &mut v[c..15 * step + c + LANES];
    for i in 0..4 {
        let row = tile_in([t0[i], t1[i], t2[i], t3[i]]);
        for j in 0..4 {
            v[(4 * i + j) * step..][..LANES].copy_from_slice(&row[j]);
        }
    }
}

/// Transforms `n` filters of a tile of sums.
#[inline(always)]
fn output_lane<T: Gemm>(
    m: &[T],
    step: usize,
    (c, n): (usize, usize),
    (y, j): (&mut Target<T>, usize),
    (place, right, below): Places,
    end: End<T>,
) {
    let m = &m[c..15 * step + c + LANES];
    let at = |p: usize| load(&m[p * step..], LANES);
    let t0 = tile_out([at(0), at(4), at(8), at(12)]);
    let t1 = tile_out([at(1), at(5), at(9), at(13)]);
    let t2 = tile_out([at(2), at(6), at(10), at(14)]);
    let t3 = tile_out([at(3), at(7), at(11), at(15)]);
    for i in 0..2 {
        let Some(down) = [Some(0), below][i] else { continue };
        let row = tile_out([t0[i], t1[i], t2[i], t3[i]]);
        finish(row[0], (c, n), place + down, (y, j), end);
        if let Some(right) = right {
            finish(row[1], (c, n), place + down + right, (y, j), end);
        }
    }
}

/// Stores `n` complete sums of a place, for the filters from number `c` on, which begin in column `j` of `y`.
#[inline(always)] // a closure would run as portable code
fn finish<T: Gemm>(
    mut sum: Lane<T>,
    (c, n): (usize, usize),
    place: usize,
    (y, j): (&mut Target<T>, usize),
    end: End<T>,
) {
    if let Some(bias) = end.bias {
        sum = add(sum, load(&bias[c..], n));
    }
    if let Some((s, t)) = end.scale {
        let (s, t) = (load(&s[c..], n), load(&t[c..], n));
        sum = if end.fused { fma(sum, s, t) } else { add(mul(sum, s), t) };
    }
    if let Some(residual) = end.residual {
        sum = add(sum, load(&residual[place * end.filters + c..], n));
    }
    if end.relu {
        (0..LANES).for_each(|i| sum[i] = Act::Relu.apply(sum[i]));
    }
    y.row(place)[j + c..][..n].copy_from_slice(&sum[..n]);
}

/// Transforms `n` filters of one channel of the kernel.
#[inline(always)]
fn kernel_lane<T: Gemm>(taps: &[&[T]; 9], (at, n): (usize, usize), u: &mut [T], step: usize) {
    let tap = |t: usize| load(&taps[t][at..], n);
    let t0 = taps_in([tap(0), tap(3), tap(6)]);
    let t1 = taps_in([tap(1), tap(4), tap(7)]);
    let t2 = taps_in([tap(2), tap(5), tap(8)]);
    let u = &mut u[..15 * step + LANES];
    for i in 0..4 {
        let row = taps_in([t0[i], t1[i], t2[i]]);
        for j in 0..4 {
            u[(4 * i + j) * step..][..LANES].copy_from_slice(&row[j]);
        }
    }
}

/// Calls `f` for each run of [`LANES`] of `count` elements, and for what is left, with the first and their number.
#[inline(always)]
fn lanes(count: usize, mut f: impl FnMut((usize, usize))) {
    let whole = count / LANES * LANES;
    for c in (0..whole).step_by(LANES) {
        f((c, LANES));
    }
    if whole < count {
        f((whole, count - whole));
    }
}

stamped! {
    /// Transforms a tile of the input: `v[p·step + channel]`.
    fn input<T: Gemm>(pixels: &[&[T]; 16], v: &mut [T], step: usize) {
        lanes(pixels[0].len(), #[inline(always)] |run| input_lane(pixels, run, v, step));
    }
}

stamped! {
    /// Transforms a tile of sums `m[p·step + filter]` to two by two results, in the columns of `y` from number `j` on.
    fn output<T: Gemm>(m: &[T], step: usize, cols: usize, y: &mut Target<T>, j: usize, places: Places, end: End<T>) {
        lanes(cols, #[inline(always)] |run| output_lane(m, step, run, (y, j), places, end));
    }
}

stamped! {
    /// Transforms a panel of the kernel: `out[p·step + channel·PANEL + filter]`, for the filters from `j` on.
    fn kernel<T: Gemm>(taps: &[&[T]; 9], sizes: (usize, usize), j: usize, out: &mut [T], step: usize) {
        let (channels, filters) = sizes;
        for c in 0..channels {
            let (from, to) = (c * filters + j, c * PANEL);
            lanes(PANEL.min(filters - j), #[inline(always)] |(f, n)| kernel_lane(taps, (from + f, n), &mut out[to + f..], step));
        }
    }
}

#[cfg(test)]
mod tests;
