//! The vector operations in AVX2 with FMA, and in AVX-512.

use super::Simd;
use std::arch::x86_64::*;

/// AVX2 and FMA: 256 bits.
#[derive(Clone, Copy)]
pub(crate) struct Avx2;

/// AVX-512 F, BW, DQ, VL: 512 bits.
#[derive(Clone, Copy)]
pub(crate) struct Avx512;

/// Read at `8 - n`: eight words of which the first `n` are all ones.
static ONES_THEN_ZEROS: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];

impl Simd<f32> for Avx2 {
    type Half = Self;
    type Reg = __m256;
    type Block = [__m256; 8];
    const LANES: usize = 8;

    #[inline(always)]
    unsafe fn prefetch(p: *const f32) {
        // SAFETY: a prefetch of any address is harmless.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(p.cast()) }
    }
    #[inline(always)]
    unsafe fn prefetch_far(p: *const f32) {
        // SAFETY: as above.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(p.cast()) }
    }
    #[inline(always)]
    unsafe fn zero() -> __m256 {
        // SAFETY: the caller vouches for AVX2.
        unsafe { _mm256_setzero_ps() }
    }
    #[inline(always)]
    unsafe fn splat(x: f32) -> __m256 {
        // SAFETY: the caller vouches for AVX2.
        unsafe { _mm256_set1_ps(x) }
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> __m256 {
        // SAFETY: the caller vouches for eight elements.
        unsafe { _mm256_loadu_ps(p) }
    }
    #[inline(always)]
    unsafe fn load_part(p: *const f32, n: usize) -> __m256 {
        debug_assert!(n <= 8);
        // SAFETY: the mask keeps to `n` elements, for which the caller vouches; `n <= 8` words of the table follow.
        unsafe { _mm256_maskload_ps(p, _mm256_loadu_si256(ONES_THEN_ZEROS.as_ptr().add(8 - n).cast())) }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: __m256) {
        // SAFETY: the caller vouches for eight elements.
        unsafe { _mm256_storeu_ps(p, v) }
    }
    #[inline(always)]
    unsafe fn store_part(p: *mut f32, v: __m256, n: usize) {
        // Masked stores are microcoded on some processors; four plain pieces are not.
        // SAFETY: the pieces add up to the `n` elements for which the caller vouches.
        unsafe {
            if n >= 8 {
                return _mm256_storeu_ps(p, v);
            }
            let (mut p, mut rest) = (p, _mm256_castps256_ps128(v));
            if n & 4 != 0 {
                _mm_storeu_ps(p, rest);
                p = p.add(4);
                rest = _mm256_extractf128_ps::<1>(v);
            }
            if n & 2 != 0 {
                _mm_storel_pd(p.cast(), _mm_castps_pd(rest));
                p = p.add(2);
                rest = _mm_movehl_ps(rest, rest);
            }
            if n & 1 != 0 {
                _mm_store_ss(p, rest);
            }
        }
    }
    #[inline(always)]
    unsafe fn add(a: __m256, b: __m256) -> __m256 {
        // SAFETY: the caller vouches for AVX2.
        unsafe { _mm256_add_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn fma(a: __m256, b: __m256, c: __m256) -> __m256 {
        // SAFETY: the caller vouches for FMA.
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    unsafe fn relu(v: __m256) -> __m256 {
        // `max` gives its second operand for NaN and for two zeros; adding +0 turns -0 into +0.
        // SAFETY: the caller vouches for AVX2.
        unsafe { _mm256_add_ps(_mm256_max_ps(_mm256_setzero_ps(), v), _mm256_setzero_ps()) }
    }
    #[inline(always)]
    unsafe fn load_transposed(p: *const f32, stride: isize, runs: usize) -> [__m256; 8] {
        // SAFETY: `min` names runs that the caller vouches for, with eight elements each.
        unsafe {
            let run = |r: usize, t: usize| p.offset(r.min(runs - 1) as isize * stride).add(t);
            let mut out = [_mm256_setzero_ps(); 8];
            let mut half = 0;
            while half < 8 {
                let mut pair = [_mm256_setzero_ps(); 4];
                let mut r = 0;
                while r < 4 {
                    let low = _mm256_castps128_ps256(_mm_loadu_ps(run(r, half)));
                    pair[r] = _mm256_insertf128_ps::<1>(low, _mm_loadu_ps(run(r + 4, half)));
                    r += 1;
                }
                let a = _mm256_castps_pd(_mm256_unpacklo_ps(pair[0], pair[1]));
                let b = _mm256_castps_pd(_mm256_unpackhi_ps(pair[0], pair[1]));
                let c = _mm256_castps_pd(_mm256_unpacklo_ps(pair[2], pair[3]));
                let d = _mm256_castps_pd(_mm256_unpackhi_ps(pair[2], pair[3]));
                out[half] = _mm256_castpd_ps(_mm256_unpacklo_pd(a, c));
                out[half + 1] = _mm256_castpd_ps(_mm256_unpackhi_pd(a, c));
                out[half + 2] = _mm256_castpd_ps(_mm256_unpacklo_pd(b, d));
                out[half + 3] = _mm256_castpd_ps(_mm256_unpackhi_pd(b, d));
                half += 4;
            }
            out
        }
    }
}

impl Simd<f64> for Avx2 {
    type Half = Self;
    type Reg = __m256d;
    type Block = [__m256d; 4];
    const LANES: usize = 4;

    #[inline(always)]
    unsafe fn prefetch(p: *const f64) {
        // SAFETY: a prefetch of any address is harmless.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(p.cast()) }
    }
    #[inline(always)]
    unsafe fn prefetch_far(p: *const f64) {
        // SAFETY: as above.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(p.cast()) }
    }
    #[inline(always)]
    unsafe fn zero() -> __m256d {
        // SAFETY: the caller vouches for AVX2.
        unsafe { _mm256_setzero_pd() }
    }
    #[inline(always)]
    unsafe fn splat(x: f64) -> __m256d {
        // SAFETY: the caller vouches for AVX2.
        unsafe { _mm256_set1_pd(x) }
    }
    #[inline(always)]
    unsafe fn load(p: *const f64) -> __m256d {
        // SAFETY: the caller vouches for four elements.
        unsafe { _mm256_loadu_pd(p) }
    }
    #[inline(always)]
    unsafe fn load_part(p: *const f64, n: usize) -> __m256d {
        debug_assert!(n <= 4);
        // SAFETY: the mask keeps to `n` elements, for which the caller vouches; each is two words of the table.
        unsafe { _mm256_maskload_pd(p, _mm256_loadu_si256(ONES_THEN_ZEROS.as_ptr().add(8 - 2 * n).cast())) }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f64, v: __m256d) {
        // SAFETY: the caller vouches for four elements.
        unsafe { _mm256_storeu_pd(p, v) }
    }
    #[inline(always)]
    unsafe fn store_part(p: *mut f64, v: __m256d, n: usize) {
        // SAFETY: the pieces add up to the `n` elements for which the caller vouches.
        unsafe {
            if n >= 4 {
                return _mm256_storeu_pd(p, v);
            }
            let (mut p, mut rest) = (p, _mm256_castpd256_pd128(v));
            if n & 2 != 0 {
                _mm_storeu_pd(p, rest);
                p = p.add(2);
                rest = _mm256_extractf128_pd::<1>(v);
            }
            if n & 1 != 0 {
                _mm_store_sd(p, rest);
            }
        }
    }
    #[inline(always)]
    unsafe fn add(a: __m256d, b: __m256d) -> __m256d {
        // SAFETY: the caller vouches for AVX2.
        unsafe { _mm256_add_pd(a, b) }
    }
    #[inline(always)]
    unsafe fn fma(a: __m256d, b: __m256d, c: __m256d) -> __m256d {
        // SAFETY: the caller vouches for FMA.
        unsafe { _mm256_fmadd_pd(a, b, c) }
    }
    #[inline(always)]
    unsafe fn relu(v: __m256d) -> __m256d {
        // SAFETY: the caller vouches for AVX2. The addition turns -0 into +0.
        unsafe { _mm256_add_pd(_mm256_max_pd(_mm256_setzero_pd(), v), _mm256_setzero_pd()) }
    }
    #[inline(always)]
    unsafe fn load_transposed(p: *const f64, stride: isize, runs: usize) -> [__m256d; 4] {
        // SAFETY: `min` names runs that the caller vouches for, with four elements each.
        unsafe {
            let run = |r: usize, t: usize| p.offset(r.min(runs - 1) as isize * stride).add(t);
            let mut out = [_mm256_setzero_pd(); 4];
            let mut half = 0;
            while half < 4 {
                let even = _mm256_castpd128_pd256(_mm_loadu_pd(run(0, half)));
                let even = _mm256_insertf128_pd::<1>(even, _mm_loadu_pd(run(2, half)));
                let odd = _mm256_castpd128_pd256(_mm_loadu_pd(run(1, half)));
                let odd = _mm256_insertf128_pd::<1>(odd, _mm_loadu_pd(run(3, half)));
                out[half] = _mm256_unpacklo_pd(even, odd);
                out[half + 1] = _mm256_unpackhi_pd(even, odd);
                half += 2;
            }
            out
        }
    }
}

impl Simd<f32> for Avx512 {
    type Half = Avx2;
    type Reg = __m512;
    type Block = [__m512; 16];
    const LANES: usize = 16;

    #[inline(always)]
    unsafe fn prefetch(p: *const f32) {
        // SAFETY: a prefetch of any address is harmless.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(p.cast()) }
    }
    #[inline(always)]
    unsafe fn prefetch_far(p: *const f32) {
        // SAFETY: as above.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(p.cast()) }
    }
    #[inline(always)]
    unsafe fn zero() -> __m512 {
        // SAFETY: the caller vouches for AVX-512.
        unsafe { _mm512_setzero_ps() }
    }
    #[inline(always)]
    unsafe fn splat(x: f32) -> __m512 {
        // SAFETY: the caller vouches for AVX-512.
        unsafe { _mm512_set1_ps(x) }
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> __m512 {
        // SAFETY: the caller vouches for sixteen elements.
        unsafe { _mm512_loadu_ps(p) }
    }
    #[inline(always)]
    unsafe fn load_part(p: *const f32, n: usize) -> __m512 {
        // SAFETY: the mask keeps to the `n` elements for which the caller vouches.
        unsafe { _mm512_maskz_loadu_ps(((1u32 << n) - 1) as __mmask16, p) }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: __m512) {
        // SAFETY: the caller vouches for sixteen elements.
        unsafe { _mm512_storeu_ps(p, v) }
    }
    #[inline(always)]
    unsafe fn store_part(p: *mut f32, v: __m512, n: usize) {
        // SAFETY: the mask keeps to the `n` elements for which the caller vouches.
        unsafe { _mm512_mask_storeu_ps(p, ((1u32 << n) - 1) as __mmask16, v) }
    }
    #[inline(always)]
    unsafe fn add(a: __m512, b: __m512) -> __m512 {
        // SAFETY: the caller vouches for AVX-512.
        unsafe { _mm512_add_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn fma(a: __m512, b: __m512, c: __m512) -> __m512 {
        // SAFETY: the caller vouches for AVX-512.
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    unsafe fn relu(v: __m512) -> __m512 {
        // SAFETY: the caller vouches for AVX-512. The addition turns -0 into +0.
        unsafe { _mm512_add_ps(_mm512_max_ps(_mm512_setzero_ps(), v), _mm512_setzero_ps()) }
    }
    #[inline(always)]
    unsafe fn load_transposed(p: *const f32, stride: isize, runs: usize) -> [__m512; 16] {
        // SAFETY: `min` names runs that the caller vouches for, with sixteen elements each.
        unsafe {
            let run = |r: usize, t: usize| p.offset(r.min(runs - 1) as isize * stride).add(t);
            let mut out = [_mm512_setzero_ps(); 16];
            let mut t = 0;
            while t < 16 {
                let mut rows = [_mm512_setzero_ps(); 4];
                let mut r = 0;
                while r < 4 {
                    let v = _mm512_castps128_ps512(_mm_loadu_ps(run(r, t)));
                    let v = _mm512_insertf32x4::<1>(v, _mm_loadu_ps(run(r + 4, t)));
                    let v = _mm512_insertf32x4::<2>(v, _mm_loadu_ps(run(r + 8, t)));
                    rows[r] = _mm512_insertf32x4::<3>(v, _mm_loadu_ps(run(r + 12, t)));
                    r += 1;
                }
                let a = _mm512_castps_pd(_mm512_unpacklo_ps(rows[0], rows[1]));
                let b = _mm512_castps_pd(_mm512_unpackhi_ps(rows[0], rows[1]));
                let c = _mm512_castps_pd(_mm512_unpacklo_ps(rows[2], rows[3]));
                let d = _mm512_castps_pd(_mm512_unpackhi_ps(rows[2], rows[3]));
                out[t] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, c));
                out[t + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, c));
                out[t + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(b, d));
                out[t + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(b, d));
                t += 4;
            }
            out
        }
    }
}

impl Simd<f64> for Avx512 {
    type Half = Avx2;
    type Reg = __m512d;
    type Block = [__m512d; 8];
    const LANES: usize = 8;

    #[inline(always)]
    unsafe fn prefetch(p: *const f64) {
        // SAFETY: a prefetch of any address is harmless.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(p.cast()) }
    }
    #[inline(always)]
    unsafe fn prefetch_far(p: *const f64) {
        // SAFETY: as above.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(p.cast()) }
    }
    #[inline(always)]
    unsafe fn zero() -> __m512d {
        // SAFETY: the caller vouches for AVX-512.
        unsafe { _mm512_setzero_pd() }
    }
    #[inline(always)]
    unsafe fn splat(x: f64) -> __m512d {
        // SAFETY: the caller vouches for AVX-512.
        unsafe { _mm512_set1_pd(x) }
    }
    #[inline(always)]
    unsafe fn load(p: *const f64) -> __m512d {
        // SAFETY: the caller vouches for eight elements.
        unsafe { _mm512_loadu_pd(p) }
    }
    #[inline(always)]
    unsafe fn load_part(p: *const f64, n: usize) -> __m512d {
        // SAFETY: the mask keeps to the `n` elements for which the caller vouches.
        unsafe { _mm512_maskz_loadu_pd(((1u32 << n) - 1) as __mmask8, p) }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f64, v: __m512d) {
        // SAFETY: the caller vouches for eight elements.
        unsafe { _mm512_storeu_pd(p, v) }
    }
    #[inline(always)]
    unsafe fn store_part(p: *mut f64, v: __m512d, n: usize) {
        // SAFETY: the mask keeps to the `n` elements for which the caller vouches.
        unsafe { _mm512_mask_storeu_pd(p, ((1u32 << n) - 1) as __mmask8, v) }
    }
    #[inline(always)]
    unsafe fn add(a: __m512d, b: __m512d) -> __m512d {
        // SAFETY: the caller vouches for AVX-512.
        unsafe { _mm512_add_pd(a, b) }
    }
    #[inline(always)]
    unsafe fn fma(a: __m512d, b: __m512d, c: __m512d) -> __m512d {
        // SAFETY: the caller vouches for AVX-512.
        unsafe { _mm512_fmadd_pd(a, b, c) }
    }
    #[inline(always)]
    unsafe fn relu(v: __m512d) -> __m512d {
        // SAFETY: the caller vouches for AVX-512. The addition turns -0 into +0.
        unsafe { _mm512_add_pd(_mm512_max_pd(_mm512_setzero_pd(), v), _mm512_setzero_pd()) }
    }
    #[inline(always)]
    unsafe fn load_transposed(p: *const f64, stride: isize, runs: usize) -> [__m512d; 8] {
        // SAFETY: `min` names runs that the caller vouches for, with eight elements each.
        unsafe {
            let run = |r: usize, t: usize| p.offset(r.min(runs - 1) as isize * stride).add(t);
            let mut out = [_mm512_setzero_pd(); 8];
            let mut t = 0;
            while t < 8 {
                let mut rows = [_mm512_setzero_pd(); 2];
                let mut r = 0;
                while r < 2 {
                    let v = _mm512_castpd128_pd512(_mm_loadu_pd(run(r, t)));
                    let v = _mm512_insertf64x2::<1>(v, _mm_loadu_pd(run(r + 2, t)));
                    let v = _mm512_insertf64x2::<2>(v, _mm_loadu_pd(run(r + 4, t)));
                    rows[r] = _mm512_insertf64x2::<3>(v, _mm_loadu_pd(run(r + 6, t)));
                    r += 1;
                }
                out[t] = _mm512_unpacklo_pd(rows[0], rows[1]);
                out[t + 1] = _mm512_unpackhi_pd(rows[0], rows[1]);
                t += 2;
            }
            out
        }
    }
}
