//! Pooling beside its slow twins.

use super::super::testing::{Rng, same};
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

/// The slow twins: one number at a time, by the definition.
mod naive {
    use super::super::{Grid, Tap};
    use crate::Float;

    /// Calls `f` with the numbers of each place's and each of its elements' positions, in the order of taps.
    fn each(grid: &Grid, images: usize, f: &mut dyn FnMut(usize, usize, usize, usize)) {
        let [a, b, c] = grid;
        for image in 0..images {
            for (i, j, k) in (0..a.places)
                .flat_map(|i| (0..b.places).flat_map(move |j| (0..c.places).map(move |k| (i, j, k))))
            {
                let place = ((image * a.places + i) * b.places + j) * c.places + k;
                let (p, q, r) = (a.pool(i), b.pool(j), c.pool(k));
                let count = p.len() * q.len() * r.len();
                let mut tap = 0;
                for x in p {
                    for y in q.clone() {
                        for z in r.clone() {
                            let at = ((image * a.elements + x) * b.elements + y) * c.elements + z;
                            f(place, at, tap, count);
                            tap += 1;
                        }
                    }
                }
            }
        }
    }

    pub(super) fn max<T: Float, I: Tap>(
        x: &[T],
        grid: &Grid,
        images: usize,
        n: usize,
        y: &mut [T],
        taps: &mut [I],
    ) {
        for c in 0..n {
            each(grid, images, &mut |place, at, tap, _| {
                let (x, out) = (x[at * n + c], place * n + c);
                if tap == 0 || x > y[out] || (x.is_nan() && !y[out].is_nan()) {
                    (y[out], taps[out]) = (x, I::of(tap as u32));
                }
            });
        }
    }

    /// Places come in ascending order, so this is the order of sums too.
    pub(super) fn max_grad<T: Float, I: Tap>(
        g: &[T],
        taps: &[I],
        grid: &Grid,
        images: usize,
        n: usize,
        dx: &mut [T],
    ) {
        dx.fill(T::zero());
        for c in 0..n {
            each(grid, images, &mut |place, at, tap, _| {
                if taps[place * n + c].count() as usize == tap {
                    dx[at * n + c] += g[place * n + c];
                }
            });
        }
    }

    pub(super) fn taken<T: Float, I: Tap>(
        x: &[T],
        taps: &[I],
        grid: &Grid,
        images: usize,
        n: usize,
        y: &mut [T],
    ) {
        for c in 0..n {
            each(grid, images, &mut |place, at, tap, _| {
                if taps[place * n + c].count() as usize == tap {
                    y[place * n + c] = x[at * n + c];
                }
            });
        }
    }

    pub(super) fn mean<T: Float>(x: &[T], grid: &Grid, images: usize, n: usize, y: &mut [T]) {
        for c in 0..n {
            each(grid, images, &mut |place, at, tap, count| {
                let (x, y) = (x[at * n + c], &mut y[place * n + c]);
                *y = if tap == 0 { x } else { *y + x };
                if tap + 1 == count {
                    *y /= T::of(count as f64);
                }
            });
        }
    }

    pub(super) fn mean_grad<T: Float>(g: &[T], grid: &Grid, images: usize, n: usize, dx: &mut [T]) {
        dx.fill(T::zero());
        for c in 0..n {
            each(grid, images, &mut |place, at, _, count| {
                dx[at * n + c] += g[place * n + c] / T::of(count as f64);
            });
        }
    }
}

/// Numbers of which many are equal, and some are zeros of both signs, infinities or NaN.
fn odd<T: Float>(r: &mut Rng, n: usize) -> Vec<T> {
    let one = |r: &mut Rng| match r.below(24) {
        0 => f64::NAN,
        1 => f64::INFINITY,
        2 => f64::NEG_INFINITY,
        3 => -0.0,
        4 => r.below(1000) as f64 / 7.0,
        _ => r.below(5) as f64 - 2.0,
    };
    (0..n).map(|_| T::of(one(r))).collect()
}

fn agrees<T: Float, I: Tap>(r: &mut Rng, grid: &Grid, images: usize, n: usize, threads: usize) {
    let [from, to] = [elements(grid), places(grid)].map(|sizes| images * n * sizes.iter().product::<usize>());
    let what = || format!("{images} images of {n} channels, {threads} threads, {grid:?}");
    let (x, g): (Vec<T>, Vec<T>) = (odd(r, from), odd(r, to));
    let (mut y, mut taps, mut dx) = (vec![T::of(9.0); to], vec![I::of(77); to], vec![T::of(9.0); from]);
    let (mut want, mut want_taps, mut want_dx) = (y.clone(), taps.clone(), dx.clone());
    let run = |f: &mut (dyn FnMut() + Send)| par::with_threads(threads, f).unwrap();

    run(&mut || max(&x, grid, n, &mut y, &mut taps));
    naive::max(&x, grid, images, n, &mut want, &mut want_taps);
    same(&y, &want, &|| format!("max, {}", what()));
    assert!(taps == want_taps, "taps, {}", what());
    run(&mut || max_grad(&g, &taps, grid, n, &mut dx));
    naive::max_grad(&g, &taps, grid, images, n, &mut want_dx);
    same(&dx, &want_dx, &|| format!("max_grad, {}", what()));
    run(&mut || taken(&x, &taps, grid, n, &mut y));
    naive::taken(&x, &taps, grid, images, n, &mut want);
    same(&y, &want, &|| format!("taken, {}", what()));
    run(&mut || mean(&x, grid, n, &mut y));
    naive::mean(&x, grid, images, n, &mut want);
    same(&y, &want, &|| format!("mean, {}", what()));
    run(&mut || mean_grad(&g, grid, n, &mut dx));
    naive::mean_grad(&g, grid, images, n, &mut want_dx);
    same(&dx, &want_dx, &|| format!("mean_grad, {}", what()));
}

/// Pools along an axis of up to `most` elements.
fn random_pools(r: &mut Rng, most: usize) -> Pools {
    loop {
        let elements = 1 + r.below(most);
        if r.below(4) == 0 {
            return Pools::shared(elements, 1 + r.below(elements + 2));
        }
        let (size, stride) = (1 + r.below(4), 1 + r.below(5));
        let w = Window { size, stride, dilation: 1, before: r.below(size), after: r.below(size) };
        if let Ok(places) = w.places(elements) {
            return Pools::of_window(elements, places, &w);
        }
    }
}

#[test]
fn every_kernel_is_its_slow_twin() {
    let r = &mut Rng(7);
    for case in 0..300 {
        let axes = 1 + r.below(3);
        let mut grid = [Pools::NONE; 3];
        grid[3 - axes..].iter_mut().for_each(|pools| *pools = random_pools(r, [40, 12, 7][axes - 1]));
        let n = [1, 2, 3, 7, 8, 16, 31, 32, 33, 43, 64, 72][r.below(12)];
        let images = r.below(4);
        match case % 4 {
            0 => agrees::<f64, u8>(r, &grid, images, n, 1 + case % 3),
            1 => agrees::<f32, i32>(r, &grid, images, n, 1 + case % 3),
            _ => agrees::<f32, u8>(r, &grid, images, n, 1 + case % 3),
        }
    }
}

/// Large enough to be cut between threads, also in the middle of a line.
#[test]
fn threads_change_nothing() {
    let r = &mut Rng(8);
    let window = |elements, size, stride, before, after| {
        let w = Window { size, stride, dilation: 1, before, after };
        Pools::of_window(elements, w.places(elements).unwrap(), &w)
    };
    for threads in [1, 2, 3, 8] {
        let image = [Pools::NONE, window(61, 3, 2, 1, 1), window(67, 3, 2, 1, 1)];
        agrees::<f32, u8>(r, &image, 3, 40, threads);
        let halves = [Pools::NONE, window(64, 2, 2, 0, 0), window(63, 2, 2, 0, 0)];
        agrees::<f64, u8>(r, &halves, 2, 33, threads);
        let sequence = [Pools::NONE, Pools::NONE, window(70_001, 5, 3, 2, 1)];
        agrees::<f32, u8>(r, &sequence, 1, 3, threads);
        let whole = [Pools::NONE, Pools::shared(40, 1), Pools::shared(40, 1)];
        agrees::<f32, i32>(r, &whole, 9, 70, threads);
    }
}
