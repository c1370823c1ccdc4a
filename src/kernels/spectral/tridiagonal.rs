//! Eigenvalues and eigenvectors of a symmetric matrix with three diagonals, by implicit QL and QR steps with Wilkinson's shift
//! (as LAPACK's `steqr`).

use super::Unsettled;
use super::turns::{Turns, rotation};

/// Steps for each eigenvalue, on average, that no matrix has been seen to need: two are usual.
const STEPS: usize = 30;

/// Replaces `d`, the diagonal, by the eigenvalues, in any order; `e` is beside the diagonal, and is lost. The vectors are
/// turned as the eigenvectors are.
pub(super) fn diagonalise(d: &mut [f64], e: &mut [f64], vectors: &mut Turns<'_>) -> Result<(), Unsettled> {
    let (n, mut start, mut left) = (d.len(), 0, STEPS * d.len());
    let mut block = (n, n, false);
    while start < n {
        // The rows from `start` on that are connected.
        let mut end = start;
        while end + 1 < n && !negligible(e[end], d[end], d[end + 1]) {
            end += 1;
        }
        if end + 1 < n {
            e[end] = 0.0;
        }
        if end == start {
            start += 1;
            continue;
        }
        if left == 0 {
            return Err(Unsettled);
        }
        left -= 1;
        // Small eigenvalues are found first, or they would lose digits to the large.
        if (block.0, block.1) != (start, end) {
            block = (start, end, d[end].abs() < d[start].abs());
        }
        step(d, e, (start, end), block.2, vectors);
    }
    Ok(())
}

fn negligible(e: f64, above: f64, below: f64) -> bool {
    let (e, root) = (e.abs(), above.abs().sqrt() * below.abs().sqrt());
    e <= 0.5 * f64::EPSILON * root || e < f64::MIN_POSITIVE
}

/// One step on the rows from `start` to `end`: of QL, which makes `e[start]` small, or turned around, of QR.
fn step(d: &mut [f64], e: &mut [f64], (start, end): (usize, usize), turned: bool, vectors: &mut Turns<'_>) {
    let last = end - start;
    let at = |i: usize| if turned { end - i } else { start + i };
    let beside = |i: usize| if turned { end - i - 1 } else { start + i };
    let first = (d[at(1)] - d[at(0)]) / (2.0 * e[beside(0)]);
    let root = libm::hypot(first, 1.0).copysign(first);
    let mut g = d[at(last)] - d[at(0)] + e[beside(0)] / (first + root);
    let (mut cos, mut sin, mut p) = (1.0, 1.0, 0.0);
    vectors.begin(at(last), last, !turned);
    for i in (0..last).rev() {
        let (f, b) = (sin * e[beside(i)], cos * e[beside(i)]);
        let (turn, r) = rotation(g, f);
        (cos, sin) = turn;
        if i + 1 != last {
            e[beside(i + 1)] = r;
        }
        g = d[at(i + 1)] - p;
        let r = (d[at(i)] - g) * sin + 2.0 * cos * b;
        p = sin * r;
        d[at(i + 1)] = g + p;
        g = cos * r - b;
        vectors.turn(turn);
    }
    d[at(0)] -= p;
    e[beside(0)] = g;
}
