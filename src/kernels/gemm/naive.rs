//! Why it exists: the obvious triple loop, in the promised order. It is the oracle that every faster path must
//! agree with, byte for byte where multiply-add is fused.

use super::{KC, Mat};
use crate::Float;

/// `c = a·b`, one output at a time.
pub fn naive<T: Float>(a: Mat<T>, b: Mat<T>, c: &mut [T]) {
    let at = |m: &Mat<T>, i: usize, j: usize| m.data[(m.offset as isize + i as isize * m.rs + j as isize * m.cs) as usize];
    for i in 0..a.rows {
        for j in 0..b.cols {
            let mut sum = T::zero();
            for start in (0..a.cols).step_by(KC) {
                let mut chain = T::zero();
                for k in start..(start + KC).min(a.cols) {
                    chain = at(&a, i, k).fma(at(&b, k, j), chain);
                }
                sum = if start == 0 { chain } else { sum + chain };
            }
            c[i * b.cols + j] = sum;
        }
    }
}
