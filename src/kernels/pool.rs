//! Pooling, which reduces each pool of neighbouring elements to one number per channel, and its adjoints. Forward,
//! a place loops over the elements of its pool, and results stay in registers over a whole pool. Backward, the places
//! whose pools meet a line of elements add to it, while it is in the caches. An element gets its terms in the order of
//! places, so any division between threads gives the same bits. Channels lie side by side: the innermost loops take a
//! block of them.

use super::gemm::Window;
use super::par;
use super::simd::stamped;
use crate::Float;
use std::hint::select_unpredictable;
use std::ops::Range;

/// The pools along one spatial axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pools {
    elements: usize,
    places: usize,
    rule: Rule,
}

/// Which elements belong to a place. Both ends of the range grow with the place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    /// Those that a window sees there, without what lies outside.
    Window { size: usize, stride: usize, before: usize },
    /// An even share of the elements: those that reach into this place.
    Share,
}

impl Pools {
    /// Creates the pools of a window without dilation over this many elements in this many places. No place may see
    /// only padding.
    pub const fn of_window(elements: usize, places: usize, w: &Window) -> Pools {
        let rule = Rule::Window { size: w.size, stride: w.stride, before: w.before };
        Pools { elements, places, rule }
    }

    /// Creates the pools of this many places that share the elements evenly, each at least one.
    pub const fn shared(elements: usize, places: usize) -> Pools {
        Pools { elements, places, rule: Rule::Share }
    }

    /// The axis that is added where there are fewer than three. A window, since finding shares takes divisions.
    pub const NONE: Pools =
        Pools { elements: 1, places: 1, rule: Rule::Window { size: 1, stride: 1, before: 0 } };

    /// Returns how many places there are.
    pub fn places(&self) -> usize {
        self.places
    }

    /// Returns how many elements there are.
    pub fn elements(&self) -> usize {
        self.elements
    }

    /// Returns the number of elements in the largest pool, or more.
    pub fn most(&self) -> usize {
        match self.rule {
            Rule::Window { size, .. } => size.min(self.elements),
            Rule::Share => (self.elements.div_ceil(self.places.max(1)) + 1).min(self.elements),
        }
    }

    /// Returns the elements of a place's pool: at least one.
    #[inline(always)]
    fn pool(&self, place: usize) -> Range<usize> {
        match self.rule {
            Rule::Window { size, stride, before } => {
                let start = place * stride;
                start.saturating_sub(before)..(start + size - before).min(self.elements)
            }
            Rule::Share => {
                let end = ((place + 1) * self.elements).div_ceil(self.places);
                place * self.elements / self.places..end
            }
        }
    }

    /// Returns the places whose pools hold an element.
    #[inline(always)]
    fn holders(&self, element: usize) -> Range<usize> {
        match self.rule {
            Rule::Window { size, stride, before } => {
                let at = element + before;
                (at + 1).saturating_sub(size).div_ceil(stride)..(at / stride + 1).min(self.places)
            }
            Rule::Share => {
                let (n, places) = (self.elements, self.places);
                element * places / n..((element + 1) * places).div_ceil(n)
            }
        }
    }
}

/// The pools of images, volumes or sequences: one for each of three axes; missing leading axes have one element.
pub type Grid = [Pools; 3];

/// The number of a tap, counted through the pool row by row: `u8` if that is enough.
pub trait Tap: Copy + PartialEq + Send + Sync {
    /// Converts from a count.
    fn of(tap: u32) -> Self;
    /// Converts to a count.
    fn count(self) -> u32;
}
impl Tap for u8 {
    #[inline(always)]
    fn of(tap: u32) -> u8 {
        tap as u8
    }
    #[inline(always)]
    fn count(self) -> u32 {
        self.into()
    }
}
impl Tap for i32 {
    #[inline(always)]
    fn of(tap: u32) -> i32 {
        tap as i32
    }
    #[inline(always)]
    fn count(self) -> u32 {
        self as u32
    }
}

/// The amount of arithmetic below which work is not divided, in outputs that cost `taps` each.
fn grain(taps: usize) -> usize {
    (par::GRAIN / taps.max(1)).max(1)
}

/// Returns the most taps of a pool.
fn most(grid: &Grid) -> usize {
    grid.iter().fold(1, |n, axis| n.saturating_mul(axis.most()))
}

/// The sizes of one image of a stack.
type Sizes = [usize; 3];

#[inline(always)]
fn places(grid: &Grid) -> Sizes {
    [grid[0].places, grid[1].places, grid[2].places]
}

#[inline(always)]
fn elements(grid: &Grid) -> Sizes {
    [grid[0].elements, grid[1].elements, grid[2].elements]
}

/// Positions side by side on the last axis of a stack of images.
struct Line {
    image: usize,
    /// Where it is on the first two axes.
    at: [usize; 2],
    on: Range<usize>,
}

// Kernels below are stamped, so all that they call must be inlined: no closures, which are not.

/// The lines that a run of positions is made of.
struct Lines {
    sizes: Sizes,
    positions: Range<usize>,
}

impl Lines {
    /// Returns the lines of `count` positions from number `first` on.
    #[inline(always)]
    fn of(sizes: Sizes, first: usize, count: usize) -> Lines {
        Lines { sizes, positions: first..first + count }
    }
}

impl Iterator for Lines {
    type Item = Line;
    #[inline(always)]
    fn next(&mut self) -> Option<Line> {
        if self.positions.is_empty() {
            return None;
        }
        let [a, b, c] = self.sizes;
        let (line, start) = (self.positions.start / c, self.positions.start % c);
        let on = start..c.min(start + self.positions.len());
        self.positions.start += on.len();
        Some(Line { image: line / (a * b), at: [line / b % a, line % b], on })
    }
}

/// The pairs of numbers of two ranges, in order.
struct Pairs {
    a: Range<usize>,
    b: Range<usize>,
    next: usize,
}

impl Pairs {
    #[inline(always)]
    fn of(a: &Range<usize>, b: &Range<usize>) -> Pairs {
        let a = if b.is_empty() { 0..0 } else { a.clone() };
        Pairs { a, b: b.clone(), next: b.start }
    }
}

impl Iterator for Pairs {
    type Item = [usize; 2];
    #[inline(always)]
    fn next(&mut self) -> Option<[usize; 2]> {
        if self.a.is_empty() {
            return None;
        }
        let pair = [self.a.start, self.next];
        self.next += 1;
        if self.next == self.b.end {
            (self.a.start, self.next) = (self.a.start + 1, self.b.start);
        }
        Some(pair)
    }
}

/// Returns the number of a position.
#[inline(always)]
fn number(sizes: Sizes, image: usize, [i, j, k]: [usize; 3]) -> usize {
    ((image * sizes[0] + i) * sizes[1] + j) * sizes[2] + k
}

/// Runs a block of code for all of `$n` channels, `$B` of them from `$at` on at a time.
macro_rules! in_blocks {
    ($n:expr, $at:ident, $B:ident => $body:block) => {
        let mut $at = 0;
        in_blocks!(@ 32 $n, $at, $B $body);
        in_blocks!(@ 8 $n, $at, $B $body);
        in_blocks!(@ 1 $n, $at, $B $body);
    };
    (@ $block:literal $n:expr, $at:ident, $B:ident $body:block) => {
        while $n - $at >= $block {
            const $B: usize = $block;
            $body
            $at += $block;
        }
    };
}

impl Line {
    /// Returns the pools of the places on this line on the first two axes.
    #[inline(always)]
    fn pools(&self, grid: &Grid) -> [Range<usize>; 2] {
        [grid[0].pool(self.at[0]), grid[1].pool(self.at[1])]
    }

    /// Returns the holders of the elements on this line.
    #[inline(always)]
    fn holders(&self, grid: &Grid) -> [Range<usize>; 3] {
        let (first, last) = (grid[2].holders(self.on.start), grid[2].holders(self.on.end - 1));
        [grid[0].holders(self.at[0]), grid[1].holders(self.at[1]), first.start..last.end]
    }

    /// Returns those elements of a pool that are on this line.
    #[inline(always)]
    fn of(&self, pool: &Range<usize>) -> Range<usize> {
        pool.start.max(self.on.start)..pool.end.min(self.on.end)
    }

    /// Takes the line's elements, of `n` channels each, from those that are left, and sets them to 0.
    #[inline(always)]
    fn zeros<'a, T: Float>(&self, left: &mut &'a mut [T], n: usize) -> &'a mut [T] {
        let (line, after) = std::mem::take(left).split_at_mut(self.on.len() * n);
        *left = after;
        line.fill(T::c(0.0));
        line
    }
}

/// One of the holders of an element, on the first two axes.
struct Holder {
    /// The number of its first place.
    start: usize,
    /// The number of the element's row in its pool, and how many rows it has.
    row: usize,
    rows: usize,
}

/// Returns a holder of an element.
#[inline(always)]
fn holder(grid: &Grid, line: &Line, [i, j]: [usize; 2]) -> Holder {
    let (a, b) = (grid[0].pool(i), grid[1].pool(j));
    Holder {
        start: number(places(grid), line.image, [i, j, 0]),
        row: (line.at[0] - a.start) * b.len() + line.at[1] - b.start,
        rows: a.len() * b.len(),
    }
}

/// Returns whether `x` is larger, or NaN and the first one.
#[inline(always)]
#[expect(clippy::neg_cmp_op_on_partial_ord, reason = "this is also true if x is NaN")]
fn exceeds<T: Float>(x: T, best: T) -> bool {
    !(x <= best) & !best.is_nan()
}

stamped! {
    /// Computes [`max`] for the places from number `first` on.
    fn max_of<T: Float, I: Tap>(x: &[T], grid: &Grid, n: usize, first: usize, y: &mut [T], taps: &mut [I]) {
        let count = y.len() / n;
        let mut out = y.chunks_exact_mut(n).zip(taps.chunks_exact_mut(n));
        for line in Lines::of(places(grid), first, count) {
            let [a, b] = line.pools(grid);
            for (k, (y, taps)) in line.on.clone().zip(&mut out) {
                let c = grid[2].pool(k);
                in_blocks!(n, from, B => {
                    let (mut best, mut which, mut tap) = ([T::c(f64::NEG_INFINITY); B], [0u32; B], 0u32);
                    for [i, j] in Pairs::of(&a, &b) {
                        let start = number(elements(grid), line.image, [i, j, 0]);
                        for k in c.clone() {
                            let x = &x[(start + k) * n + from..][..B];
                            for i in 0..B {
                                let takes = exceeds(x[i], best[i]);
                                // Plain `if`s become masked stores, which the next element waits for.
                                best[i] = select_unpredictable(takes, x[i], best[i]);
                                which[i] = select_unpredictable(takes, tap, which[i]);
                            }
                            tap += 1;
                        }
                    }
                    y[from..][..B].copy_from_slice(&best);
                    for (t, &tap) in taps[from..][..B].iter_mut().zip(&which) {
                        *t = I::of(tap);
                    }
                });
            }
        }
    }
}

/// Computes the largest of each pool and which tap it is: the first of several, NaN before all.
pub fn max<T: Float, I: Tap>(x: &[T], grid: &Grid, n: usize, y: &mut [T], taps: &mut [I]) {
    type Cut<'a, T, I> = dyn Fn(usize, &mut [T], &mut [I]) + Sync + 'a;
    fn split<T: Float, I: Tap>(
        first: usize,
        y: &mut [T],
        taps: &mut [I],
        n: usize,
        grain: usize,
        f: &Cut<'_, T, I>,
    ) {
        let units = y.len() / n;
        if units < 2 || y.len() < 2 * grain || par::threads() == 1 {
            return f(first, y, taps);
        }
        let half = units / 2;
        let ((y, rest), (taps, others)) = (y.split_at_mut(half * n), taps.split_at_mut(half * n));
        par::join(|| split(first, y, taps, n, grain, f), || split(first + half, rest, others, n, grain, f));
    }
    if y.is_empty() {
        return;
    }
    split(0, y, taps, n, grain(most(grid)), &|first, y: &mut [T], taps: &mut [I]| {
        max_of(x, grid, n, first, y, taps);
    });
}

/// Returns the element of each pool that [`max`] has found: the gradient of its gradient.
pub fn taken<T: Float, I: Tap>(x: &[T], taps: &[I], grid: &Grid, n: usize, y: &mut [T]) {
    par::chunks(y, n.max(1), par::GRAIN, &|first, run: &mut [T]| {
        let count = run.len() / n;
        let mut runs = run.chunks_exact_mut(n).zip(taps[first * n..].chunks_exact(n));
        for line in Lines::of(places(grid), first, count) {
            let [a, b] = line.pools(grid);
            for (k, (y, taps)) in line.on.clone().zip(&mut runs) {
                let c = grid[2].pool(k);
                let len = a.len() * b.len() * c.len();
                for (channel, (y, tap)) in y.iter_mut().zip(taps).enumerate() {
                    // Someone else may have made taps that no pool has.
                    let tap = tap.count() as usize % len;
                    let (row, k) = (tap / c.len(), c.start + tap % c.len());
                    let at = [a.start + row / b.len(), b.start + row % b.len(), k];
                    *y = x[number(elements(grid), line.image, at) * n + channel];
                }
            }
        }
    });
}

stamped! {
    /// Computes [`max_grad`] for the elements from number `first` on.
    fn max_grad_of<T: Float, I: Tap>(g: &[T], taps: &[I], grid: &Grid, n: usize, first: usize, dx: &mut [T]) {
        let count = dx.len() / n;
        let mut rest = dx;
        for line in Lines::of(elements(grid), first, count) {
            let dx = line.zeros(&mut rest, n);
            let [a, b, places] = line.holders(grid);
            for pair in Pairs::of(&a, &b) {
                let holder = holder(grid, &line, pair);
                for k in places.clone() {
                    let (c, at) = (grid[2].pool(k), (holder.start + k) * n);
                    in_blocks!(n, from, B => {
                        let (g, taps) = (&g[at + from..][..B], &taps[at + from..][..B]);
                        for element in line.of(&c) {
                            let tap = (holder.row * c.len() + element - c.start) as u32;
                            let dx = &mut dx[(element - line.on.start) * n + from..][..B];
                            for i in 0..B {
                                let more = dx[i] + g[i];
                                dx[i] = if taps[i].count() == tap { more } else { dx[i] };
                            }
                        }
                    });
                }
            }
        }
    }
}

/// Computes the gradient of [`max`]: each element gets that of the places which took it.
pub fn max_grad<T: Float, I: Tap>(g: &[T], taps: &[I], grid: &Grid, n: usize, dx: &mut [T]) {
    par::chunks(dx, n.max(1), par::GRAIN / 2, &|first, run: &mut [T]| {
        max_grad_of(g, taps, grid, n, first, run);
    });
}

stamped! {
    /// Computes [`mean`] for the places from number `first` on.
    fn mean_of<T: Float>(x: &[T], grid: &Grid, n: usize, first: usize, y: &mut [T]) {
        let count = y.len() / n;
        let mut out = y.chunks_exact_mut(n);
        for line in Lines::of(places(grid), first, count) {
            let [a, b] = line.pools(grid);
            for (k, y) in line.on.clone().zip(&mut out) {
                let c = grid[2].pool(k);
                let count = T::c((a.len() * b.len() * c.len()) as f64);
                in_blocks!(n, from, B => {
                    // -0 plus the first element is that element, whatever it is.
                    let mut sum = [T::c(-0.0); B];
                    for [i, j] in Pairs::of(&a, &b) {
                        let start = number(elements(grid), line.image, [i, j, 0]);
                        for k in c.clone() {
                            let x = &x[(start + k) * n + from..][..B];
                            for i in 0..B {
                                sum[i] += x[i];
                            }
                        }
                    }
                    for (y, &sum) in y[from..][..B].iter_mut().zip(&sum) {
                        *y = sum / count;
                    }
                });
            }
        }
    }
}

/// Computes the mean of each pool.
pub fn mean<T: Float>(x: &[T], grid: &Grid, n: usize, y: &mut [T]) {
    par::chunks(y, n.max(1), grain(most(grid)), &|first, run: &mut [T]| {
        mean_of(x, grid, n, first, run);
    });
}

stamped! {
    /// Computes [`mean_grad`] for the elements from number `first` on.
    fn mean_grad_of<T: Float>(g: &[T], grid: &Grid, n: usize, first: usize, dx: &mut [T]) {
        let count = dx.len() / n;
        let mut rest = dx;
        for line in Lines::of(elements(grid), first, count) {
            let dx = line.zeros(&mut rest, n);
            let [a, b, places] = line.holders(grid);
            for pair in Pairs::of(&a, &b) {
                let holder = holder(grid, &line, pair);
                for k in places.clone() {
                    let (c, at) = (grid[2].pool(k), (holder.start + k) * n);
                    let count = T::c((holder.rows * c.len()) as f64);
                    in_blocks!(n, from, B => {
                        let mut each = [T::c(0.0); B];
                        for (each, &g) in each.iter_mut().zip(&g[at + from..][..B]) {
                            *each = g / count;
                        }
                        for element in line.of(&c) {
                            let dx = &mut dx[(element - line.on.start) * n + from..][..B];
                            for i in 0..B {
                                dx[i] += each[i];
                            }
                        }
                    });
                }
            }
        }
    }
}

/// The adjoint of [`mean`].
pub fn mean_grad<T: Float>(g: &[T], grid: &Grid, n: usize, dx: &mut [T]) {
    par::chunks(dx, n.max(1), par::GRAIN / 2, &|first, run: &mut [T]| {
        mean_grad_of(g, grid, n, first, run);
    });
}

#[cfg(test)]
#[path = "pool_tests.rs"]
mod tests;
