//! Roots of the secular equation `1 + Σ zᵢ² / (Dᵢ - x) = 0`, one between each two poles and one beyond the last, and the
//! vectors that belong to them. A root is known by its distance from the pole next to it, so that its distances from
//! all poles have their last digits (Li 1993, as LAPACK's `laed4`); vectors are computed from numbers z whose roots these are exactly,
//! so that they stand at right angles to each other however near the roots are (Gu and Eisenstat 1994). For singular values,
//! poles and roots are squares of what is given and returned.

use crate::kernels::linalg::lines::{divide, dot};
use crate::kernels::simd::stamped;
use crate::kernels::{par, scratch};

/// Sums that are added side by side.
const LANES: usize = 8;
/// The unit of rounding.
const ULP: f64 = 0.5 * f64::EPSILON;
/// Steps after which the interval is only halved. Three to five are usual.
const STEPS: usize = 40;

/// Whether poles and roots are given as they are, or by their roots.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    Values,
    Squares,
}

/// `x - y`, or `x² - y²`.
#[inline(always)]
fn difference(x: f64, y: f64, of: Of) -> f64 {
    match of {
        Of::Values => x - y,
        Of::Squares => (x - y) * (x + y),
    }
}

stamped! {
    /// Sets `gaps` to the distances of the poles from pole `from`.
    fn fill_gaps(gaps: &mut [f64], d: &[f64], from: f64, of: Of) {
        gaps.iter_mut().zip(d).for_each(|(gap, &d)| *gap = difference(d, from, of));
    }
}

stamped! {
    /// Subtracts `x` from all gaps.
    fn move_gaps(gaps: &mut [f64], x: f64) {
        gaps.iter_mut().for_each(|gap| *gap -= x);
    }
}

stamped! {
    /// The sum of `z² / (gap - x)`, and its derivative.
    fn sums(z: &[f64], gaps: &[f64], x: f64) -> [f64; 2] {
        let (mut values, mut slopes) = ([0.0; LANES], [0.0; LANES]);
        let ((z, z_rest), (gaps, gaps_rest)) = (z.as_chunks::<LANES>(), gaps.as_chunks::<LANES>());
        for (z, gaps) in z.iter().zip(gaps) {
            for i in 0..LANES {
                let part = z[i] / (gaps[i] - x);
                values[i] += z[i] * part;
                slopes[i] += part * part;
            }
        }
        for (i, (z, gap)) in z_rest.iter().zip(gaps_rest).enumerate() {
            let part = z / (gap - x);
            values[i] += z * part;
            slopes[i] += part * part;
        }
        let mut width = LANES / 2;
        while width > 0 {
            for i in 0..width {
                values[i] += values[i + width];
                slopes[i] += slopes[i + width];
            }
            width /= 2;
        }
        [values[0], slopes[0]]
    }
}

stamped! {
    /// Multiplies each of `products` by its gap over its distance from another pole.
    fn times_ratio(products: &mut [f64], gaps: &[f64], d: &[f64], other: f64, of: Of) {
        for ((product, &gap), &d) in products.iter_mut().zip(gaps).zip(d) {
            *product *= gap / difference(d, other, of);
        }
    }
}

stamped! {
    /// Replaces gaps by z over them.
    fn over_gaps(gaps: &mut [f64], z: &[f64]) {
        gaps.iter_mut().zip(z).for_each(|(gap, &z)| *gap = z / *gap);
    }
}

/// The solution of `c·x² - a·x + b = 0` that lies between `low` and `high`.
fn between(c: f64, a: f64, b: f64, low: f64, high: f64) -> Option<f64> {
    let q = 0.5 * (a + (a * a - 4.0 * b * c).max(0.0).sqrt().copysign(a));
    [b / q, q / c].into_iter().find(|x| *x > low && *x < high)
}

/// Finds root `j`, sets `gaps` to the distances of the poles from it, and returns it.
fn root(j: usize, d: &[f64], z: &[f64], of: Of, gaps: &mut [f64]) -> f64 {
    let count = d.len();
    let last = j + 1 == count;
    fill_gaps(gaps, d, d[j], of);
    if count == 1 {
        gaps[0] = -z[0] * z[0];
        return value(d[0], z[0] * z[0], of);
    }
    // The two poles that count most: those beside the root, or the last two.
    let split = if last { j } else { j + 1 };
    let (left, right) = (split - 1, split);
    let middle = if last { 0.5 * dot(z, z) } else { 0.5 * gaps[right] };
    let at_middle =
        1.0 + (sums(&z[..split], &gaps[..split], middle)[0] + sums(&z[split..], &gaps[split..], middle)[0]);
    let rest =
        at_middle - z[left] * z[left] / (gaps[left] - middle) - z[right] * z[right] / (gaps[right] - middle);
    let (origin, mut low, mut high) = match (last, at_middle >= 0.0) {
        (true, true) => (j, 0.0, middle),
        // Rounding may move a root beyond the sum of all z².
        (true, false) => (j, middle, 2.0 * middle * (1.0 + 8.0 * count as f64 * ULP)),
        (false, true) => (j, 0.0, middle),
        (false, false) => (j + 1, -middle, 0.0),
    };
    if origin != j {
        fill_gaps(gaps, d, d[origin], of);
    }
    let (a, b, za, zb) = (gaps[left], gaps[right], z[left] * z[left], z[right] * z[right]);
    let guess = between(rest, rest * (a + b) + za + zb, za * b + zb * a, low, high);
    let mut x = guess.unwrap_or(0.5 * (low + high));
    let (mut before, mut fixed) = (f64::INFINITY, !last);
    for step in 0.. {
        let (below, above) = (sums(&z[..split], &gaps[..split], x), sums(&z[split..], &gaps[split..], x));
        let (f, slope) = (1.0 + (below[0] + above[0]), below[1] + above[1]);
        let noise = 8.0 * (below[0].abs() + above[0].abs()) + 2.0 + x.abs() * slope;
        if f.abs() <= ULP * noise || f.is_nan() {
            break;
        }
        if f < 0.0 {
            low = x;
        } else {
            high = x;
        }
        // One of the weights is that of the pole beside the root, or both are such that values and slopes fit; the way is
        // changed where it leads slowly.
        if step > 0 && f.abs() > 0.1 * before && !last {
            fixed = !fixed;
        }
        before = f.abs();
        let (da, db) = (a - x, b - x);
        let c = match fixed {
            true if origin == left => f - db * slope + (b - a) * (za / (da * da)),
            true => f - da * slope - (b - a) * (zb / (db * db)),
            false => f - da * below[1] - db * above[1],
        };
        let by = between(c, (da + db) * f - da * db * slope, da * db * f, low - x, high - x);
        // A root much nearer to a pole than x is may be lost in the rounding of the sum.
        let half = 0.5 * (low + high);
        let next =
            by.map(|by| x + by).filter(|next| step < STEPS && *next > low && *next < high).unwrap_or(half);
        if next <= low || next >= high {
            break;
        }
        x = next;
    }
    move_gaps(gaps, x);
    value(d[origin], x, of)
}

/// The root at the distance `x` from pole `d`.
fn value(d: f64, x: f64, of: Of) -> f64 {
    match of {
        Of::Values => d + x,
        Of::Squares => d + x / (d + (d * d + x).max(0.0).sqrt()),
    }
}

/// Finds all roots and, as rows of `rows`, the vectors `zᵢ / (Dᵢ - x)` of length 1, whose component i goes to `place[i]`.
/// Poles `d` ascend, each apart from the next; no `z` is 0. `sizes` become the lengths that vectors had before.
pub(super) fn solve(
    (d, z): (&[f64], &[f64]),
    of: Of,
    place: &[usize],
    rows: &mut [f64],
    (roots, sizes, exact): (&mut [f64], &mut [f64], &mut [f64]),
) {
    let count = d.len();
    // About 30 operations a number.
    let grain = par::GRAIN / 32;
    par::rows(rows, count, [roots], grain, &|first, rows, [roots]| {
        for (i, (row, to)) in rows.chunks_exact_mut(count).zip(roots).enumerate() {
            *to = root(first + i, d, z, of, row);
        }
    });
    let gaps = &*rows;
    par::chunks(exact, 1, (par::GRAIN / count / 8).max(LANES), &|first, exact| {
        let columns = first..first + exact.len();
        for (i, to) in columns.clone().zip(&mut *exact) {
            *to = gaps[i * count + i];
        }
        for (j, row) in gaps.chunks_exact(count).enumerate() {
            // All but column j.
            let at = j.clamp(columns.start, columns.end);
            let next = (j + 1).clamp(columns.start, columns.end);
            times_ratio(&mut exact[..at - first], &row[first..at], &d[first..at], d[j], of);
            let (from, to) = (next - first, columns.end);
            times_ratio(&mut exact[from..], &row[next..to], &d[next..to], d[j], of);
        }
        for (i, x) in columns.zip(exact) {
            *x = x.abs().sqrt().copysign(z[i]);
        }
    });
    let exact = &*exact;
    par::rows(rows, count, [sizes], grain, &|_, rows, [sizes]| {
        scratch::with(count, |vector: &mut [f64]| {
            for (row, size) in rows.chunks_exact_mut(count).zip(sizes) {
                over_gaps(row, exact);
                *size = dot(row, row).sqrt();
                divide(row, *size);
                vector.copy_from_slice(row);
                place.iter().zip(&*vector).for_each(|(&to, &x)| row[to] = x);
            }
        });
    });
}
