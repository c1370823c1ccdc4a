//! The loops that are left when the products have been taken out of a factorisation: over a row, or over a few columns
//! one after another. Each product is rounded before it is added, so every instruction set gives the same bits.

use crate::Float;
use crate::kernels::reduce::{Sum, fold_pairs};
use crate::kernels::simd::stamped;

stamped! {
    /// Computes `row -= factor · other`.
    pub(crate) fn subtract<T: Float>(row: &mut [T], factor: T, other: &[T]) {
        for (x, &y) in row.iter_mut().zip(other) {
            *x -= factor * y;
        }
    }
}

stamped! {
    /// Divides a row by a number.
    pub(crate) fn divide<T: Float>(row: &mut [T], by: T) {
        for x in row.iter_mut() {
            *x /= by;
        }
    }
}

stamped! {
    /// Returns the sum of the products of two rows of one length.
    pub(crate) fn dot<T: Float>(a: &[T], b: &[T]) -> T {
        fold_pairs::<Sum, T>(a, b, |x, y| x * y)
    }
}

/// Numbers that are compared side by side.
const LANES: usize = 32;

stamped! {
    /// Returns the largest absolute value, or NaN if there is one.
    pub(crate) fn largest_value<T: Float>(x: &[T]) -> T {
        let mut lanes = [T::zero(); LANES];
        let (whole, rest) = x.as_chunks::<LANES>();
        for run in whole {
            for (lane, &x) in lanes.iter_mut().zip(run) {
                let x = x.abs();
                *lane = if x > *lane || x.is_nan() { x } else { *lane };
            }
        }
        for (lane, &x) in lanes.iter_mut().zip(rest) {
            let x = x.abs();
            *lane = if x > *lane || x.is_nan() { x } else { *lane };
        }
        let mut most = T::zero();
        for &x in &lanes {
            most = if x > most || x.is_nan() { x } else { most };
        }
        most
    }
}

/// Returns the position of the number of the largest absolute value, the first of equals; of the first NaN if there is one.
pub(crate) fn largest<T: Float>(x: &[T]) -> usize {
    let most = largest_value(x);
    x.iter().position(|x| x.abs() == most || x.is_nan()).unwrap_or(0)
}

stamped! {
    /// Raises `most` to the absolute values of `row` that are larger, column by column, and returns the largest of the row.
    /// NaN counts as 0.
    pub(crate) fn raise<T: Float>(most: &mut [T], row: &[T]) -> T {
        let mut lanes = [T::zero(); LANES];
        let (most_whole, most_rest) = most.as_chunks_mut::<LANES>();
        let (whole, rest) = row.as_chunks::<LANES>();
        for (most, run) in most_whole.iter_mut().zip(whole) {
            for ((lane, most), &x) in lanes.iter_mut().zip(most).zip(run) {
                let x = x.abs();
                *most = if x > *most { x } else { *most };
                *lane = if x > *lane { x } else { *lane };
            }
        }
        for ((lane, most), &x) in lanes.iter_mut().zip(most_rest).zip(rest) {
            let x = x.abs();
            *most = if x > *most { x } else { *most };
            *lane = if x > *lane { x } else { *lane };
        }
        let mut all = T::zero();
        for &x in &lanes {
            all = if x > all { x } else { all };
        }
        all
    }
}

/// Rows of the smallest triangle, which is solved row by row.
pub(crate) const LEAF: usize = 16;
/// Columns that are solved together.
const WIDTH: usize = 32;

stamped! {
    /// Replaces B, `n` rows of `m` numbers that lie `ld` apart, by X of AX = B, where `a` holds a triangle of at most
    /// [`LEAF`] rows, `LEAF` apart, `unit` if its diagonal is 1 and not to be read.
    pub(crate) fn solve_leaf<T: Float>(a: &[T; LEAF * LEAF], n: usize, lower: bool, unit: bool, b: &mut [T], m: usize, ld: usize) {
        let mut block = [[T::zero(); WIDTH]; LEAF];
        let mut left = 0;
        while left < m {
            let width = if m - left < WIDTH { m - left } else { WIDTH };
            for (i, row) in block.iter_mut().enumerate().take(n) {
                row[..width].copy_from_slice(&b[i * ld + left..][..width]);
            }
            for step in 0..n {
                let i = if lower { step } else { n - 1 - step };
                let (from, to) = if lower { (0, i) } else { (i + 1, n) };
                let mut row = block[i];
                for k in from..to {
                    let factor = a[i * LEAF + k];
                    for (x, &y) in row.iter_mut().zip(&block[k]) {
                        *x -= factor * y;
                    }
                }
                if !unit {
                    let pivot = a[i * LEAF + i];
                    for x in &mut row {
                        *x /= pivot;
                    }
                }
                block[i] = row;
            }
            for (i, row) in block.iter().enumerate().take(n) {
                b[i * ld + left..][..width].copy_from_slice(&row[..width]);
            }
            left += width;
        }
    }
}
