//! Pooling, which reduces each pool of neighbouring elements to one number per channel, and its adjoints. Forward,
//! a place loops over the elements of its pool; backward, an element loops over the places whose pools hold it.
//! Both write each number once, in a fixed order, so any division between threads gives the same bits.

use super::gemm::Window;
use super::par;
use crate::Float;
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

    /// The axis that is added where there are fewer than three.
    pub const NONE: Pools = Pools::shared(1, 1);

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
    fn of(tap: usize) -> Self;
    /// Converts to a count.
    fn count(self) -> usize;
}
impl Tap for u8 {
    fn of(tap: usize) -> u8 {
        tap as u8
    }
    fn count(self) -> usize {
        self.into()
    }
}
impl Tap for i32 {
    fn of(tap: usize) -> i32 {
        tap as i32
    }
    fn count(self) -> usize {
        self as u32 as usize
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

fn places(grid: &Grid) -> [usize; 3] {
    grid.map(|axis| axis.places)
}

fn elements(grid: &Grid) -> [usize; 3] {
    grid.map(|axis| axis.elements)
}

/// Iterates over positions in a stack of images of these sizes, from number `first` on: the number of the image,
/// and where in it.
fn positions(sizes: [usize; 3], first: usize) -> impl Iterator<Item = (usize, [usize; 3])> {
    let [_, b, c] = sizes;
    let (mut image, mut at) =
        (first / (sizes[0] * b * c), [first / (b * c) % sizes[0], first / c % b, first % c]);
    std::iter::from_fn(move || {
        let here = (image, at);
        for axis in (0..3).rev() {
            at[axis] += 1;
            if at[axis] < sizes[axis] {
                return Some(here);
            }
            at[axis] = 0;
        }
        image += 1;
        Some(here)
    })
}

/// Iterates over the numbers of the positions of a box in one image of a stack.
#[inline(always)]
fn within(
    image: usize,
    sizes: [usize; 3],
    of: [Range<usize>; 3],
) -> impl Iterator<Item = ([usize; 3], usize)> {
    let [a, b, c] = of;
    let [n, rows, columns] = sizes;
    a.flat_map(move |i| {
        let (b, c) = (b.clone(), c.clone());
        b.flat_map(move |j| {
            let start = ((image * n + i) * rows + j) * columns;
            c.clone().map(move |k| ([i, j, k], start + k))
        })
    })
}

/// Returns the channels at a position.
fn channels<T>(x: &[T], position: usize, n: usize) -> &[T] {
    &x[position * n..(position + 1) * n]
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
    let run = |first: usize, y: &mut [T], taps: &mut [I]| {
        let all = positions(places(grid), first).zip(y.chunks_exact_mut(n).zip(taps.chunks_exact_mut(n)));
        for ((image, at), (y, taps)) in all {
            let pool = [0, 1, 2].map(|i| grid[i].pool(at[i]));
            for (tap, (_, position)) in within(image, elements(grid), pool).enumerate() {
                let x = channels(x, position, n);
                if tap == 0 {
                    y.copy_from_slice(x);
                    taps.fill(I::of(0));
                    continue;
                }
                for ((y, t), &x) in y.iter_mut().zip(taps.iter_mut()).zip(x) {
                    if x > *y || (x.is_nan() && !y.is_nan()) {
                        *y = x;
                        *t = I::of(tap);
                    }
                }
            }
        }
    };
    split(0, y, taps, n, grain(most(grid)), &run);
}

/// Returns the element of each pool that [`max`] has found: the gradient of its gradient.
pub fn taken<T: Float, I: Tap>(x: &[T], taps: &[I], grid: &Grid, n: usize, y: &mut [T]) {
    par::chunks(y, n.max(1), par::GRAIN, &|first, run: &mut [T]| {
        let runs = run.chunks_exact_mut(n).zip(taps[first * n..].chunks_exact(n));
        for ((image, at), (y, taps)) in positions(places(grid), first).zip(runs) {
            let pool = [0, 1, 2].map(|i| grid[i].pool(at[i]));
            let [_, b, c] = [0, 1, 2].map(|i| pool[i].len());
            let sizes = elements(grid);
            for (channel, (y, tap)) in y.iter_mut().zip(taps).enumerate() {
                let tap = tap.count() % pool.iter().map(Range::len).product::<usize>();
                let [i, j, k] =
                    [pool[0].start + tap / (b * c), pool[1].start + tap / c % b, pool[2].start + tap % c];
                let position = ((image * sizes[0] + i) * sizes[1] + j) * sizes[2] + k;
                *y = x[position * n + channel];
            }
        }
    });
}

/// Computes the gradient of [`max`]: each element gets that of the places which took it.
pub fn max_grad<T: Float, I: Tap>(g: &[T], taps: &[I], grid: &Grid, n: usize, dx: &mut [T]) {
    par::chunks(dx, n.max(1), par::GRAIN / 2, &|first, run: &mut [T]| {
        for ((image, at), dx) in positions(elements(grid), first).zip(run.chunks_exact_mut(n)) {
            dx.fill(T::zero());
            let holders = [0, 1, 2].map(|i| grid[i].holders(at[i]));
            for (place, position) in within(image, places(grid), holders) {
                let [p, q, r] = [0, 1, 2].map(|i| grid[i].pool(place[i]));
                let tap = ((at[0] - p.start) * q.len() + at[1] - q.start) * r.len() + at[2] - r.start;
                let (g, taps) = (channels(g, position, n), channels(taps, position, n));
                for ((dx, &g), &t) in dx.iter_mut().zip(g).zip(taps) {
                    if t == I::of(tap) {
                        *dx += g;
                    }
                }
            }
        }
    });
}

/// Computes the mean of each pool.
pub fn mean<T: Float>(x: &[T], grid: &Grid, n: usize, y: &mut [T]) {
    par::chunks(y, n.max(1), grain(most(grid)), &|first, run: &mut [T]| {
        for ((image, at), y) in positions(places(grid), first).zip(run.chunks_exact_mut(n)) {
            let pool = [0, 1, 2].map(|i| grid[i].pool(at[i]));
            let count = T::of(pool.iter().map(Range::len).product::<usize>() as f64);
            for (tap, (_, position)) in within(image, elements(grid), pool).enumerate() {
                let x = channels(x, position, n);
                match tap {
                    0 => y.copy_from_slice(x),
                    _ => y.iter_mut().zip(x).for_each(|(y, &x)| *y += x),
                }
            }
            y.iter_mut().for_each(|y| *y /= count);
        }
    });
}

/// The adjoint of [`mean`].
pub fn mean_grad<T: Float>(g: &[T], grid: &Grid, n: usize, dx: &mut [T]) {
    par::chunks(dx, n.max(1), par::GRAIN / 2, &|first, run: &mut [T]| {
        for ((image, at), dx) in positions(elements(grid), first).zip(run.chunks_exact_mut(n)) {
            dx.fill(T::zero());
            let holders = [0, 1, 2].map(|i| grid[i].holders(at[i]));
            for (place, position) in within(image, places(grid), holders) {
                let count: usize = [0, 1, 2].iter().map(|&i| grid[i].pool(place[i]).len()).product();
                let count = T::of(count as f64);
                dx.iter_mut().zip(channels(g, position, n)).for_each(|(dx, &g)| *dx += g / count);
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grids() -> Vec<Pools> {
        let mut all = Vec::new();
        for elements in 1..9 {
            for places in 1..12 {
                all.push(Pools::shared(elements, places));
            }
            for (size, stride, before, after) in (1..4).flat_map(|s| {
                (1..5).flat_map(move |t| (0..s).flat_map(move |b| (0..s).map(move |a| (s, t, b, a))))
            }) {
                let w = Window { size, stride, dilation: 1, before, after };
                if let Ok(places) = w.places(elements) {
                    all.push(Pools::of_window(elements, places, &w));
                }
            }
        }
        all
    }

    #[test]
    fn a_place_holds_an_element_exactly_if_its_pool_does() {
        for pools in grids() {
            for place in 0..pools.places {
                let pool = pools.pool(place);
                assert!(
                    !pool.is_empty() && pool.end <= pools.elements && pool.len() <= pools.most(),
                    "{pools:?}"
                );
                for element in 0..pools.elements {
                    let holds = pools.holders(element).contains(&place);
                    assert_eq!(holds, pool.contains(&element), "{pools:?}, {place}, {element}");
                }
            }
        }
    }

    #[test]
    fn shares_are_those_of_keras() {
        // ⌊i·n/places⌋ to ⌈(i+1)·n/places⌉ (keras/src/backend/jax/nn.py, adaptive pooling).
        let of = |n, places| (0..places).map(|i| Pools::shared(n, places).pool(i)).collect::<Vec<_>>();
        assert_eq!(of(7, 3), [0..3, 2..5, 4..7]);
        assert_eq!(of(2, 3), [0..1, 0..2, 1..2]);
        assert_eq!(of(6, 3), [0..2, 2..4, 4..6]);
    }

    #[test]
    fn the_first_of_equals_and_not_a_number_win() {
        let grid = [Pools::NONE, Pools::NONE, Pools::shared(8, 2)];
        let x = [1.0, 3.0, 3.0, 2.0, f32::INFINITY, f32::NAN, 9.0, f32::NAN];
        let (mut y, mut taps) = ([0.0; 2], [9u8; 2]);
        max(&x, &grid, 1, &mut y, &mut taps);
        assert_eq!((y[0], y[1].is_nan(), taps), (3.0, true, [1, 1]));
    }
}
