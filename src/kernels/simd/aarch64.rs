//! The vector operations in NEON, which every 64-bit ARM has.

use super::Simd;
use std::arch::aarch64::*;

/// NEON: 128 bits.
#[derive(Clone, Copy)]
pub(crate) struct Neon;

impl Simd<f32> for Neon {
    type Half = Self;
    type Reg = float32x4_t;
    type Block = [float32x4_t; 4];
    const LANES: usize = 4;

    #[inline(always)]
    unsafe fn zero() -> float32x4_t {
        // SAFETY: every 64-bit ARM has NEON.
        unsafe { vdupq_n_f32(0.0) }
    }
    #[inline(always)]
    unsafe fn splat(x: f32) -> float32x4_t {
        // SAFETY: every 64-bit ARM has NEON.
        unsafe { vdupq_n_f32(x) }
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> float32x4_t {
        // SAFETY: the caller vouches for four elements.
        unsafe { vld1q_f32(p) }
    }
    #[inline(always)]
    unsafe fn load_part(p: *const f32, n: usize) -> float32x4_t {
        let mut lanes = [0.0; 4];
        for (i, lane) in lanes.iter_mut().enumerate().take(n) {
            // SAFETY: the caller vouches for `n` elements.
            *lane = unsafe { *p.add(i) };
        }
        // SAFETY: the array has four elements.
        unsafe { vld1q_f32(lanes.as_ptr()) }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: float32x4_t) {
        // SAFETY: the caller vouches for four elements.
        unsafe { vst1q_f32(p, v) }
    }
    #[inline(always)]
    unsafe fn store_part(p: *mut f32, v: float32x4_t, n: usize) {
        let mut lanes = [0.0; 4];
        // SAFETY: the array has four elements.
        unsafe { vst1q_f32(lanes.as_mut_ptr(), v) };
        for (i, lane) in lanes.into_iter().enumerate().take(n) {
            // SAFETY: the caller vouches for `n` elements.
            unsafe { *p.add(i) = lane };
        }
    }
    #[inline(always)]
    unsafe fn add(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: every 64-bit ARM has NEON.
        unsafe { vaddq_f32(a, b) }
    }
    #[inline(always)]
    unsafe fn fma(a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        // SAFETY: every 64-bit ARM has NEON.
        unsafe { vfmaq_f32(c, a, b) }
    }
    #[inline(always)]
    unsafe fn relu(v: float32x4_t) -> float32x4_t {
        // SAFETY: every 64-bit ARM has NEON, whose maximum keeps NaN and prefers +0.
        unsafe { vmaxq_f32(v, vdupq_n_f32(0.0)) }
    }
    #[inline(always)]
    unsafe fn load_transposed(p: *const f32, stride: isize, runs: usize) -> [float32x4_t; 4] {
        // SAFETY: `min` names runs that the caller vouches for, with four elements each.
        unsafe {
            let run = |r: usize| vld1q_f32(p.offset(r.min(runs - 1) as isize * stride));
            let (a, b, c, d) = (run(0), run(1), run(2), run(3));
            let even = |x, y| vreinterpretq_f64_f32(vtrn1q_f32(x, y));
            let odd = |x, y| vreinterpretq_f64_f32(vtrn2q_f32(x, y));
            let (ab0, ab1, cd0, cd1) = (even(a, b), odd(a, b), even(c, d), odd(c, d));
            [
                vreinterpretq_f32_f64(vtrn1q_f64(ab0, cd0)),
                vreinterpretq_f32_f64(vtrn1q_f64(ab1, cd1)),
                vreinterpretq_f32_f64(vtrn2q_f64(ab0, cd0)),
                vreinterpretq_f32_f64(vtrn2q_f64(ab1, cd1)),
            ]
        }
    }
}

impl Simd<f64> for Neon {
    type Half = Self;
    type Reg = float64x2_t;
    type Block = [float64x2_t; 2];
    const LANES: usize = 2;

    #[inline(always)]
    unsafe fn zero() -> float64x2_t {
        // SAFETY: every 64-bit ARM has NEON.
        unsafe { vdupq_n_f64(0.0) }
    }
    #[inline(always)]
    unsafe fn splat(x: f64) -> float64x2_t {
        // SAFETY: every 64-bit ARM has NEON.
        unsafe { vdupq_n_f64(x) }
    }
    #[inline(always)]
    unsafe fn load(p: *const f64) -> float64x2_t {
        // SAFETY: the caller vouches for two elements.
        unsafe { vld1q_f64(p) }
    }
    #[inline(always)]
    unsafe fn load_part(p: *const f64, n: usize) -> float64x2_t {
        // SAFETY: the caller vouches for `n` elements.
        unsafe { if n >= 2 { vld1q_f64(p) } else { vsetq_lane_f64::<0>(*p, vdupq_n_f64(0.0)) } }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f64, v: float64x2_t) {
        // SAFETY: the caller vouches for two elements.
        unsafe { vst1q_f64(p, v) }
    }
    #[inline(always)]
    unsafe fn store_part(p: *mut f64, v: float64x2_t, n: usize) {
        // SAFETY: the caller vouches for `n` elements.
        unsafe { if n >= 2 { vst1q_f64(p, v) } else { *p = vgetq_lane_f64::<0>(v) } }
    }
    #[inline(always)]
    unsafe fn add(a: float64x2_t, b: float64x2_t) -> float64x2_t {
        // SAFETY: every 64-bit ARM has NEON.
        unsafe { vaddq_f64(a, b) }
    }
    #[inline(always)]
    unsafe fn fma(a: float64x2_t, b: float64x2_t, c: float64x2_t) -> float64x2_t {
        // SAFETY: every 64-bit ARM has NEON.
        unsafe { vfmaq_f64(c, a, b) }
    }
    #[inline(always)]
    unsafe fn relu(v: float64x2_t) -> float64x2_t {
        // SAFETY: every 64-bit ARM has NEON, whose maximum keeps NaN and prefers +0.
        unsafe { vmaxq_f64(v, vdupq_n_f64(0.0)) }
    }
    #[inline(always)]
    unsafe fn load_transposed(p: *const f64, stride: isize, runs: usize) -> [float64x2_t; 2] {
        // SAFETY: `min` names runs that the caller vouches for, with two elements each.
        unsafe {
            let (a, b) = (vld1q_f64(p), vld1q_f64(p.offset((runs - 1).min(1) as isize * stride)));
            [vtrn1q_f64(a, b), vtrn2q_f64(a, b)]
        }
    }
}
