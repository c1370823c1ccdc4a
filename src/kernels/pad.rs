//! Padding: an array with a constant around it. Each element of the result is written once, row by row, so that rows
//! can be divided between threads.

use super::par;
use crate::dtype::Stored;

/// Writes `x`, whose axes have the sizes `from`, into `out`, whose axes have the sizes `to`, with so many elements
/// `before` it along each axis, and `value` everywhere else.
pub fn pad<T: Stored>(x: &[T], from: &[usize], before: &[usize], to: &[usize], value: T, out: &mut [T]) {
    // The last axis that is padded: it and those after it are a row, of which `x` has one part.
    let last = (0..to.len()).rev().find(|&i| from[i] != to[i]).unwrap_or(0);
    let inner: usize = to.iter().skip(last + 1).product();
    let size = |sizes: &[usize], none: usize| sizes.get(last).map_or(none, |n| n * inner);
    let (row, part, skip) = (size(to, 1), size(from, 1), size(before, 0));
    par::chunks(out, row, par::GRAIN, &|first, rows| {
        for (i, out) in rows.chunks_exact_mut(row).enumerate() {
            let Some(at) = source(first + i, &from[..last], before, to) else {
                out.fill(value);
                continue;
            };
            let (left, rest) = out.split_at_mut(skip);
            let (middle, right) = rest.split_at_mut(part);
            left.fill(value);
            middle.copy_from_slice(&x[at * part..][..part]);
            right.fill(value);
        }
    });
}

/// Returns the row of `x` that lies in row number `row` of the result, if one does.
fn source(mut row: usize, from: &[usize], before: &[usize], to: &[usize]) -> Option<usize> {
    let (mut at, mut step) = (0, 1);
    for (i, &n) in from.iter().enumerate().rev() {
        let index = (row % to[i]).checked_sub(before[i]).filter(|index| *index < n)?;
        row /= to[i];
        at += index * step;
        step *= n;
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::pad;

    /// The same, element by element.
    fn naive(x: &[i32], from: &[usize], before: &[usize], to: &[usize]) -> Vec<i32> {
        let len = to.iter().product();
        let element = |mut at: usize| {
            let (mut source, mut step) = (0, 1);
            for i in (0..to.len()).rev() {
                let index = (at % to[i]).checked_sub(before[i]).filter(|index| *index < from[i])?;
                at /= to[i];
                source += index * step;
                step *= from[i];
            }
            x.get(source).copied()
        };
        (0..len).map(|at| element(at).unwrap_or(-1)).collect()
    }

    #[test]
    fn each_element_is_copied_or_the_constant() {
        let cases: [(&[usize], &[usize], &[usize]); 9] = [
            (&[], &[], &[]),
            (&[3], &[0], &[3]),
            (&[3], &[2], &[6]),
            (&[2, 3], &[1, 0], &[4, 3]),
            (&[2, 3], &[0, 1], &[2, 5]),
            (&[2, 3, 2], &[0, 1, 0], &[2, 5, 2]),
            (&[1, 40, 50, 60], &[0, 1, 2, 0], &[1, 43, 53, 60]),
            (&[2, 0, 2], &[0, 1, 0], &[2, 2, 2]),
            (&[2, 2], &[3, 1], &[5, 4]),
        ];
        for (from, before, to) in cases {
            let x: Vec<i32> = (0..from.iter().product::<usize>() as i32).collect();
            for threads in [1, 3] {
                let mut out = vec![7; to.iter().product()];
                let run = || pad(&x, from, before, to, -1, &mut out);
                crate::kernels::par::with_threads(threads, run).unwrap();
                assert_eq!(out, naive(&x, from, before, to), "{from:?} {before:?} {to:?}");
            }
        }
    }
}
