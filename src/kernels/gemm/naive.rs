//! The matrix product written plainly, in the order that every other path must keep. Tests compare bytes with it.

use super::{Epilogue, Gemm, Mat, MatMut, Store, apart};
use crate::kernels::simd::{Isa, isa};

/// Computes what [`super::gemm`] computes, one element after another.
///
/// # Panics
/// A matrix does not fit its slice, or sizes do not match.
pub fn gemm<T: Gemm>(a: Mat<T>, b: Mat<T>, c: MatMut<T>, store: Store, epilogue: Epilogue<T>) {
    gemm_on(isa(), a, b, c, store, epilogue);
}

/// Computes this with the instructions of `isa`.
pub(crate) fn gemm_on<T: Gemm>(
    isa: Isa,
    a: Mat<T>,
    b: Mat<T>,
    c: MatMut<T>,
    store: Store,
    epilogue: Epilogue<T>,
) {
    assert!(a.rows == c.rows && a.cols == b.rows && b.cols == c.cols);
    let block = if isa.is_fused() { T::KC } else { apart::STEPS };
    for i in 0..c.rows {
        for j in 0..c.cols {
            let mut sum = T::c(0.0);
            for start in (0..a.cols).step_by(block) {
                let mut chain = T::c(0.0);
                for p in start..a.cols.min(start + block) {
                    let (a, b) = (a.at(i, p), b.at(p, j));
                    chain = if isa.is_fused() { a.fma(b, chain) } else { a * b + chain };
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
            if let Some((s, t)) = epilogue.scale {
                sum = if isa.is_fused() { sum.fma(s[j], t[j]) } else { sum * s[j] + t[j] };
            }
            if let Some(residual) = epilogue.residual {
                sum = sum + residual[i * c.ld + j];
            }
            *out = sum;
            if let Some(act) = epilogue.activation {
                act.apply_all(std::slice::from_mut(out));
            }
            if let Some(map) = epilogue.map {
                map(std::slice::from_mut(out));
            }
        }
    }
}
