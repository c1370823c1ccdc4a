//! Why it exists: the matrix product said plainly, in the order that every other path must keep. Tests compare
//! bytes with it.

use super::{Epilogue, Gemm, Mat, MatMut, Store};

/// What [`super::gemm`] computes, one element after the other.
///
/// # Panics
/// A matrix does not fit its slice, or sizes do not match.
pub fn gemm<T: Gemm>(a: Mat<T>, b: Mat<T>, c: MatMut<T>, store: Store, epilogue: Epilogue<T>) {
    assert!(a.rows == c.rows && a.cols == b.rows && b.cols == c.cols);
    for i in 0..c.rows {
        for j in 0..c.cols {
            let mut sum = T::c(0.0);
            for start in (0..a.cols).step_by(T::KC) {
                let mut chain = T::c(0.0);
                for p in start..a.cols.min(start + T::KC) {
                    chain = a.at(i, p).fma(b.at(p, j), chain);
                }
                sum = if start == 0 { chain } else { sum + chain };
            }
            let out = &mut c.data[i * c.ld + j];
            if store == Store::Add {
                sum = *out + sum;
            }
            if let Some(bias) = epilogue.bias {
                sum = sum + bias[j];
            }
            *out = epilogue.activation.map_or(sum, |act| act.apply(sum));
        }
    }
}
