//! Why it exists: the vector operations for processors that have no file here, and the twin that the others are
//! tested against. `mul_add` rounds once wherever it runs, so the bytes agree; without a hardware instruction it
//! is slow.

use super::Simd;
use crate::kernels::math::Real;

/// Arrays of four.
#[derive(Clone, Copy)]
pub(crate) struct Portable;

impl<T: Real + Copy + 'static> Simd<T> for Portable {
    type Reg = [T; 4];
    type Block = [[T; 4]; 4];
    const LANES: usize = 4;

    #[inline(always)]
    unsafe fn zero() -> [T; 4] {
        [T::c(0.0); 4]
    }
    #[inline(always)]
    unsafe fn splat(x: T) -> [T; 4] {
        [x; 4]
    }
    #[inline(always)]
    unsafe fn load(p: *const T) -> [T; 4] {
        // SAFETY: the caller vouches for four elements.
        unsafe { p.cast::<[T; 4]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn load_part(p: *const T, n: usize) -> [T; 4] {
        let mut v = [T::c(0.0); 4];
        for (i, lane) in v.iter_mut().enumerate().take(n) {
            // SAFETY: the caller vouches for `n` elements.
            *lane = unsafe { *p.add(i) };
        }
        v
    }
    #[inline(always)]
    unsafe fn store(p: *mut T, v: [T; 4]) {
        // SAFETY: the caller vouches for four elements.
        unsafe { p.cast::<[T; 4]>().write_unaligned(v) }
    }
    #[inline(always)]
    unsafe fn store_part(p: *mut T, v: [T; 4], n: usize) {
        for (i, lane) in v.into_iter().enumerate().take(n) {
            // SAFETY: the caller vouches for `n` elements.
            unsafe { *p.add(i) = lane };
        }
    }
    #[inline(always)]
    unsafe fn add(a: [T; 4], b: [T; 4]) -> [T; 4] {
        [a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3]]
    }
    #[inline(always)]
    unsafe fn fma(a: [T; 4], b: [T; 4], c: [T; 4]) -> [T; 4] {
        [a[0].fma(b[0], c[0]), a[1].fma(b[1], c[1]), a[2].fma(b[2], c[2]), a[3].fma(b[3], c[3])]
    }
    #[inline(always)]
    unsafe fn relu(v: [T; 4]) -> [T; 4] {
        let z = T::c(0.0);
        [v[0].maximum(z), v[1].maximum(z), v[2].maximum(z), v[3].maximum(z)]
    }
    #[inline(always)]
    unsafe fn load_transposed(p: *const T, stride: isize, runs: usize) -> [[T; 4]; 4] {
        let mut out = [[T::c(0.0); 4]; 4];
        for r in 0..4 {
            // SAFETY: `min` names a run that the caller vouches for.
            let run: [T; 4] = unsafe { Self::load(p.offset(r.min(runs - 1) as isize * stride)) };
            for (column, x) in out.iter_mut().zip(run) {
                column[r] = x;
            }
        }
        out
    }
}
