//! Singular values and vectors of a matrix with two diagonals, by implicit QR steps, without a shift where that would cost
//! small values their digits (Demmel and Kahan 1990; as LAPACK's `bdsqr`). Each singular value has as many digits as the two
//! diagonals give it.

use super::Unsettled;
use super::turns::{Turns, rotation};

/// Steps on each row, on average for each singular value, that no matrix has been seen to need.
const STEPS: usize = 6;

/// Off-diagonal numbers below this times what they stand beside are 0.
const TOLERANCE: f64 = 80.0 * 0.5 * f64::EPSILON;

/// Replaces `d`, the diagonal, by the singular values in any order, some of them negative; `e` is above the diagonal, and is
/// lost. The vectors are turned as the left and right singular vectors are.
pub(super) fn diagonalise<'a>(
    d: &mut [f64],
    e: &mut [f64],
    left: &mut Turns<'a>,
    right: &mut Turns<'a>,
) -> Result<(), Unsettled> {
    let n = d.len();
    let steps = STEPS * n * n;
    let least = (steps as f64 * f64::MIN_POSITIVE).max(TOLERANCE * smallest(d, e) / libm::sqrt(n as f64));
    let (mut end, mut done, mut block) = (n.saturating_sub(1), 0, (n, n, true));
    while end > 0 {
        if done > steps {
            return Err(Unsettled);
        }
        // The rows up to `end` that are connected.
        let mut start = end;
        while start > 0 && e[start - 1].abs() > least {
            start -= 1;
        }
        if start > 0 {
            e[start - 1] = 0.0;
        }
        if start == end {
            end -= 1;
            continue;
        }
        // From the large to the small.
        if start >= block.1 || end <= block.0 || block.0 == n {
            block.2 = d[start].abs() >= d[end].abs();
        }
        let down = block.2;
        let Some(small) = settled(d, e, (start, end), down) else { continue };
        (block.0, block.1) = (start, end);
        let large = d[start..=end].iter().chain(&e[start..end]).fold(0.0f64, |m, x| m.max(x.abs()));
        let shift = shift(d, e, (start, end), down, small / large);
        done += end - start;
        if shift == 0.0 {
            plain_step(d, e, (start, end), down, left, right);
        } else {
            step(d, e, (start, end), down, shift, left, right);
        }
        let found = if down { end - 1 } else { start };
        if e[found].abs() <= least {
            e[found] = 0.0;
        }
    }
    Ok(())
}

/// A lower bound of the smallest singular value, times the root of the size.
pub(super) fn smallest(d: &[f64], e: &[f64]) -> f64 {
    let mut mu = d[0].abs();
    let mut least = mu;
    for (d, e) in d[1..].iter().zip(e) {
        if least == 0.0 {
            break;
        }
        mu = d.abs() * (mu / (mu + e.abs()));
        least = least.min(mu);
    }
    least
}

/// Sets a number above the diagonal to 0 if it is negligible beside the values that it could change, and returns `None`
/// then; else a lower bound of these values.
fn settled(d: &[f64], e: &mut [f64], (start, end): (usize, usize), down: bool) -> Option<f64> {
    let found = if down { end - 1 } else { start };
    let beside = if down { d[end] } else { d[start] };
    if e[found].abs() <= TOLERANCE * beside.abs() {
        e[found] = 0.0;
        return None;
    }
    let mut mu = if down { d[start].abs() } else { d[end].abs() };
    let mut least = mu;
    for i in 0..end - start {
        let at = if down { start + i } else { end - 1 - i };
        if e[at].abs() <= TOLERANCE * mu {
            e[at] = 0.0;
            return None;
        }
        let next = if down { d[at + 1] } else { d[at] };
        mu = next.abs() * (mu / (mu + e[at].abs()));
        least = least.min(mu);
    }
    Some(least)
}

/// The smallest singular value of the last two rows, if it may be used as a shift without loss, else 0.
fn shift(d: &[f64], e: &[f64], (start, end): (usize, usize), down: bool, ratio: f64) -> f64 {
    if (end + 1) as f64 * TOLERANCE * ratio <= (0.5 * f64::EPSILON).max(0.01 * TOLERANCE) {
        return 0.0;
    }
    let (first, shift) = if down {
        (d[start], smaller_of_two(d[end - 1], e[end - 1], d[end]))
    } else {
        (d[end], smaller_of_two(d[start], e[start], d[start + 1]))
    };
    let part = shift / first.abs();
    if first != 0.0 && part * part < 0.5 * f64::EPSILON { 0.0 } else { shift }
}

/// The smaller singular value of `[[f, g], [0, h]]` (LAPACK's `las2`).
fn smaller_of_two(f: f64, g: f64, h: f64) -> f64 {
    let (f, g, h) = (f.abs(), g.abs(), h.abs());
    let (low, high) = (f.min(h), f.max(h));
    if low == 0.0 {
        return 0.0;
    }
    let (a, b) = (1.0 + low / high, (high - low) / high);
    if g < high {
        let u = (g / high) * (g / high);
        return low * (2.0 / ((a * a + u).sqrt() + (b * b + u).sqrt()));
    }
    let u = high / g;
    if u == 0.0 {
        return low * high / g;
    }
    let (a, b) = (a * u, b * u);
    2.0 * (low * (1.0 / ((1.0 + a * a).sqrt() + (1.0 + b * b).sqrt()))) * u
}

/// How many rotations a step makes, and which numbers of the diagonal and beside it they meet, downwards from row `start` or
/// upwards from row `end`.
fn way(
    (start, end): (usize, usize),
    down: bool,
) -> (usize, impl Fn(usize) -> usize, impl Fn(usize) -> usize) {
    let at = move |i: usize| if down { start + i } else { end - i };
    let beside = move |i: usize| if down { start + i } else { end - 1 - i };
    (end - start, at, beside)
}

/// Begins the rotations of a step; upwards, the first one is of rows.
fn begin<'a, 'b>(
    start: usize,
    count: usize,
    down: bool,
    left: &'b mut Turns<'a>,
    right: &'b mut Turns<'a>,
) -> [&'b mut Turns<'a>; 2] {
    let [first, second] = if down { [right, left] } else { [left, right] };
    first.begin(start, count, !down);
    second.begin(start, count, !down);
    [first, second]
}

/// A step without a shift.
fn plain_step<'a>(
    d: &mut [f64],
    e: &mut [f64],
    rows: (usize, usize),
    down: bool,
    left: &mut Turns<'a>,
    right: &mut Turns<'a>,
) {
    let (count, at, beside) = way(rows, down);
    let [first, second] = begin(at(0), count, down, left, right);
    let (mut cos, mut old) = (1.0, (1.0, 0.0));
    for i in 0..count {
        let (turn, r) = rotation(d[at(i)] * cos, e[beside(i)]);
        if i > 0 {
            e[beside(i - 1)] = old.1 * r;
        }
        let (other, length) = rotation(old.0 * r, d[at(i + 1)] * turn.1);
        d[at(i)] = length;
        (cos, old) = (turn.0, other);
        first.turn(turn);
        second.turn(other);
    }
    let h = d[at(count)] * cos;
    d[at(count)] = h * old.0;
    e[beside(count - 1)] = h * old.1;
}

/// A step with a shift.
fn step<'a>(
    d: &mut [f64],
    e: &mut [f64],
    rows: (usize, usize),
    down: bool,
    shift: f64,
    left: &mut Turns<'a>,
    right: &mut Turns<'a>,
) {
    let (count, at, beside) = way(rows, down);
    let [first, second] = begin(at(0), count, down, left, right);
    let head = d[at(0)];
    let mut f = (head.abs() - shift) * (1f64.copysign(head) + shift / head);
    let mut g = e[beside(0)];
    for i in 0..count {
        let ((cos, sin), r) = rotation(f, g);
        if i > 0 {
            e[beside(i - 1)] = r;
        }
        f = cos * d[at(i)] + sin * e[beside(i)];
        e[beside(i)] = cos * e[beside(i)] - sin * d[at(i)];
        g = sin * d[at(i + 1)];
        d[at(i + 1)] *= cos;
        first.turn((cos, sin));
        let ((cos, sin), r) = rotation(f, g);
        d[at(i)] = r;
        f = cos * e[beside(i)] + sin * d[at(i + 1)];
        d[at(i + 1)] = cos * d[at(i + 1)] - sin * e[beside(i)];
        if i + 1 < count {
            g = sin * e[beside(i + 1)];
            e[beside(i + 1)] *= cos;
        }
        second.turn((cos, sin));
    }
    e[beside(count - 1)] = f;
}
