//! Resampling along one axis. Each element of the result is a weighted sum of a run of neighbours. A [`Band`] holds
//! where each run begins, how long it is, and its weights.

use super::par;
use crate::Float;

/// How far a weight function reaches and its value at a distance of 0 or more, both in elements of the coarser of
/// the two grids.
#[derive(Clone, Copy, Debug)]
pub struct Filter {
    /// The weights are 0 beyond this distance.
    pub radius: f64,
    /// The weight at a distance.
    pub weight: fn(f64) -> f64,
}

/// `1 - x`.
pub const TRIANGLE: Filter = Filter { radius: 1.0, weight: |x| (1.0 - x).max(0.0) };

/// Cubic convolution with a = -1/2 (Keys 1981).
pub const CUBIC: Filter = Filter {
    radius: 2.0,
    weight: |x| match x {
        _ if x >= 2.0 => 0.0,
        _ if x >= 1.0 => ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0,
        _ => ((1.5 * x - 2.5) * x) * x + 1.0,
    },
};

/// The sinc function, windowed by one that is `radius` times as wide; 1 close to 0, as in JAX.
fn lanczos(radius: f64, x: f64) -> f64 {
    let pi = std::f64::consts::PI;
    match x {
        _ if x > radius => 0.0,
        _ if x > 1e-3 => radius * libm::sin(pi * x) * libm::sin(pi * x / radius) / (pi * pi * (x * x)),
        _ => 1.0,
    }
}

/// Lanczos's filter of radius 3.
pub const LANCZOS3: Filter = Filter { radius: 3.0, weight: |x| lanczos(3.0, x) };
/// Lanczos's filter of radius 5.
pub const LANCZOS5: Filter = Filter { radius: 5.0, weight: |x| lanczos(5.0, x) };

/// What each result along an axis is made of: `bounds` holds the start and the length of each run, and `weights` as
/// many numbers for each as the longest run has.
#[derive(Clone, Copy, Debug)]
pub struct Band<'a, T> {
    /// Start and length, one after the other.
    pub bounds: &'a [i64],
    /// The weights, run after run.
    pub weights: &'a [T],
}

impl<'a, T: Copy> Band<'a, T> {
    /// Returns how many runs there are.
    fn len(&self) -> usize {
        self.bounds.len() / 2
    }

    /// Returns the start of a run and its weights.
    fn run(&self, i: usize) -> (usize, &'a [T]) {
        let width = self.weights.len() / self.len().max(1);
        let (start, len) = (self.bounds[2 * i] as usize, self.bounds[2 * i + 1] as usize);
        (start, &self.weights[i * width..i * width + len])
    }
}

/// Returns how much wider the filter is than the grid of the elements, if there are fewer places and aliasing is to
/// be avoided.
fn widening(elements: usize, places: usize, antialias: bool) -> f64 {
    if antialias { (elements as f64 / places as f64).max(1.0) } else { 1.0 }
}

/// Returns the length of the longest run of [`filtered`], or more.
pub fn width(filter: Filter, elements: usize, places: usize, antialias: bool) -> usize {
    let reach = filter.radius * widening(elements, places, antialias);
    (2.0 * reach) as usize + 2
}

/// Computes the band of a filter between centres of pixels. The weights of a run add up to 1; where they would be
/// about 0, all are 0, as in JAX (`jax.image.scale_and_translate`).
pub fn filtered<T: Float>(
    filter: Filter,
    elements: usize,
    antialias: bool,
    bounds: &mut [i64],
    weights: &mut [T],
) {
    let places = bounds.len() / 2;
    let (width, step) = (weights.len() / places.max(1), 1.0 / (places as f64 / elements as f64));
    let widening = widening(elements, places, antialias);
    let reach = filter.radius * widening;
    for (i, (bounds, weights)) in bounds.chunks_exact_mut(2).zip(weights.chunks_exact_mut(width)).enumerate()
    {
        let at = (i as f64 + 0.5) * step - 0.5;
        let first = libm::ceil(at - reach).max(0.0) as usize;
        let last = (libm::floor(at + reach) as usize).min(elements - 1);
        let len = (last + 1).saturating_sub(first).min(width);
        let weight = |k: usize| (filter.weight)((at - (first + k) as f64).abs() / widening);
        let total: f64 = (0..len).map(weight).sum();
        let stands = total.abs() > 1000.0 * f64::from(f32::EPSILON);
        for (k, w) in weights[..len].iter_mut().enumerate() {
            *w = if stands { T::of(weight(k) / total) } else { T::zero() };
        }
        bounds.copy_from_slice(&[first as i64, len as i64]);
    }
}

/// Computes the band of the nearest element: the one that contains the centre of each place.
pub fn nearest<T: Float>(elements: usize, bounds: &mut [i64], weights: &mut [T]) {
    let places = bounds.len() / 2;
    for (i, (bounds, weight)) in bounds.chunks_exact_mut(2).zip(weights).enumerate() {
        *weight = T::one();
        bounds.copy_from_slice(&[((2 * i + 1) * elements / (2 * places)) as i64, 1]);
    }
}

/// Computes for each element the places whose runs hold it, as starts and lengths. Returns the longest length.
pub fn turned_bounds(bounds: &[i64], turned: &mut [i64]) -> usize {
    let (places, mut first, mut end, mut most) = (bounds.len() / 2, 0, 0, 0);
    let start = |place: usize| bounds[2 * place];
    for (element, turned) in turned.chunks_exact_mut(2).enumerate() {
        let element = element as i64;
        while first < places && start(first) + bounds[2 * first + 1] <= element {
            first += 1;
        }
        end = end.max(first);
        while end < places && start(end) <= element {
            end += 1;
        }
        turned.copy_from_slice(&[first as i64, (end - first) as i64]);
        most = most.max(end - first);
    }
    most
}

/// Computes the weights for [`turned_bounds`]: those of the adjoint.
pub fn turned_weights<T: Float>(band: Band<'_, T>, turned: &[i64], weights: &mut [T]) {
    let width = weights.len() / (turned.len() / 2).max(1);
    for (element, (turned, weights)) in
        turned.chunks_exact(2).zip(weights.chunks_exact_mut(width.max(1))).enumerate()
    {
        let first = turned[0] as usize;
        for (place, w) in weights[..turned[1] as usize].iter_mut().enumerate() {
            let (start, run) = band.run(first + place);
            *w = run[element - start];
        }
    }
}

/// Computes the sums along the middle axis of `[…, elements, inner]`, each in ascending order.
pub fn along<T: Float>(x: &[T], elements: usize, inner: usize, band: Band<'_, T>, out: &mut [T]) {
    let places = band.len();
    let width = band.weights.len() / places.max(1);
    par::chunks(out, inner.max(1), (par::GRAIN / width.max(1)).max(1), &|first, run: &mut [T]| {
        for (at, out) in run.chunks_exact_mut(inner).enumerate() {
            let (outer, place) = ((first + at) / places, (first + at) % places);
            let (start, weights) = band.run(place);
            let x = &x[(outer * elements + start) * inner..];
            match weights.first() {
                None => out.fill(T::zero()),
                Some(&w) => out.iter_mut().zip(x).for_each(|(out, &x)| *out = w * x),
            }
            for (&w, x) in weights.iter().zip(x.chunks_exact(inner)).skip(1) {
                out.iter_mut().zip(x).for_each(|(out, &x)| *out += w * x);
            }
        }
    });
}
