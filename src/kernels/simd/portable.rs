//! The vector operations for processors without a file here, and the reference that the others are tested against.
//! `mul_add` rounds once wherever it runs, so the bytes agree; without a hardware instruction it is slow.

use super::Simd;
use crate::kernels::math::Real;

/// Elements of a vector. Compilers turn arrays of four into vector instructions where there are any. An x86
/// processor that gets here has no fused multiply-add (or was told not to use it) and computes every element by a
/// call, so there the vector has one element and the loops are a quarter as long.
const LANES: usize = if cfg!(target_arch = "x86_64") { 1 } else { 4 };

/// Arrays of [`LANES`].
#[derive(Clone, Copy)]
pub(crate) struct Portable;

impl<T: Real + Copy + 'static> Simd<T> for Portable {
    type Half = Self;
    type Reg = [T; LANES];
    type Block = [[T; LANES]; LANES];
    const LANES: usize = LANES;

    #[inline(always)]
    unsafe fn zero() -> [T; LANES] {
        [T::c(0.0); LANES]
    }
    #[inline(always)]
    unsafe fn splat(x: T) -> [T; LANES] {
        [x; LANES]
    }
    #[inline(always)]
    unsafe fn load(p: *const T) -> [T; LANES] {
        // SAFETY: the caller vouches for that many elements.
        unsafe { p.cast::<[T; LANES]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn load_part(p: *const T, n: usize) -> [T; LANES] {
        let mut v = [T::c(0.0); LANES];
        for (i, lane) in v.iter_mut().enumerate().take(n) {
            // SAFETY: the caller vouches for `n` elements.
            *lane = unsafe { *p.add(i) };
        }
        v
    }
    #[inline(always)]
    unsafe fn store(p: *mut T, v: [T; LANES]) {
        // SAFETY: the caller vouches for that many elements.
        unsafe { p.cast::<[T; LANES]>().write_unaligned(v) }
    }
    #[inline(always)]
    unsafe fn store_part(p: *mut T, v: [T; LANES], n: usize) {
        for (i, lane) in v.into_iter().enumerate().take(n) {
            // SAFETY: the caller vouches for `n` elements.
            unsafe { *p.add(i) = lane };
        }
    }
    #[inline(always)]
    unsafe fn add(a: [T; LANES], b: [T; LANES]) -> [T; LANES] {
        std::array::from_fn(|i| a[i] + b[i])
    }
    #[inline(always)]
    unsafe fn fma(a: [T; LANES], b: [T; LANES], c: [T; LANES]) -> [T; LANES] {
        std::array::from_fn(|i| a[i].fma(b[i], c[i]))
    }
    #[inline(always)]
    unsafe fn relu(v: [T; LANES]) -> [T; LANES] {
        v.map(|x| x.maximum(T::c(0.0)))
    }
    #[inline(always)]
    unsafe fn load_transposed(p: *const T, stride: isize, runs: usize) -> [[T; LANES]; LANES] {
        let mut out = [[T::c(0.0); LANES]; LANES];
        for r in 0..LANES {
            // SAFETY: `min` names a run that the caller vouches for.
            let run: [T; LANES] = unsafe { Self::load(p.offset(r.min(runs - 1) as isize * stride)) };
            for (column, x) in out.iter_mut().zip(run) {
                column[r] = x;
            }
        }
        out
    }
}
