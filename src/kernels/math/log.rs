//! The natural logarithms of f32.
//!
//! `x = 2^k (1 + f)` with `1 + f` from 2/3 to 4/3, and `ln(1 + f) = f + f² R(f)`. `R` is the minimax polynomial of
//! degree 8 for weight `|f| + 0.02`, fitted with Remez's exchange and rounded coefficient by coefficient; its error in
//! `ln(1 + f)` is below 2^-27 of that.

use super::select;
use super::soft::{Fma, Fused};

/// The bits of 2/3.
const TWO_THIRDS: u32 = 0x3f2a_aaab;
/// Sign and exponent.
const EXPONENT: u32 = 0xff80_0000;

/// `R(f)`.
#[inline(always)]
fn rest<A: Fma>(f: f32) -> f32 {
    // In pairs, for a short chain of dependent steps.
    let f2 = f * f;
    let f4 = f2 * f2;
    let r =
        f2.fused::<A>(f.fused::<A>(0.141_277_75, -0.123_300_12), f.fused::<A>(0.139_772_09, -0.166_710_9));
    let s = f2.fused::<A>(f.fused::<A>(0.200_121_09, -0.249_999_75), f.fused::<A>(0.333_331_88, -0.5));
    f4.fused::<A>(f4.fused::<A>(-0.122_012_9, r), s)
}

/// `k ln 2 + ln(1 + f)`.
#[inline(always)]
fn polynomial<A: Fma>(k: f32, f: f32) -> f32 {
    k.fused::<A>(std::f32::consts::LN_2, rest::<A>(f).fused::<A>(f * f, f))
}

/// `k` and `f` of a number.
#[inline(always)]
fn parts<A: Fma>(x: f32) -> (f32, f32) {
    let subnormal = x < f32::MIN_POSITIVE;
    let bits = select(subnormal, x * 8_388_608.0, x).to_bits();
    let e = bits.wrapping_sub(TWO_THIRDS) & EXPONENT;
    let k = (e.cast_signed() as f32).fused::<A>(1.0 / 8_388_608.0, select(subnormal, -23.0, 0.0));
    (k, f32::from_bits(bits.wrapping_sub(e)) - 1.0)
}

/// Puts the ends in: infinities, zeros and negative numbers.
#[inline(always)]
fn ends(x: f32, y: f32) -> f32 {
    let y = select(x > f32::MAX, x, y);
    let y = select(x >= 0.0, y, f32::NAN);
    select(x == 0.0, f32::NEG_INFINITY, y)
}

#[inline(always)]
pub(super) fn ln<A: Fma>(x: f32) -> f32 {
    let (k, f) = parts::<A>(x);
    ends(x, polynomial::<A>(k, f))
}

/// `k + ln(1 + f)/ln 2`: a power of two is exact.
#[inline(always)]
pub(super) fn log2<A: Fma>(x: f32) -> f32 {
    let (k, f) = parts::<A>(x);
    ends(x, rest::<A>(f).fused::<A>(f * f, f).fused::<A>(std::f32::consts::LOG2_E, k))
}

/// The decimal logarithm of 2 in two parts; products of the first with whole numbers are exact.
const LOG10_2: [f32; 2] = [0.301_029_2, 7.903_415e-7];

#[inline(always)]
pub(super) fn log10<A: Fma>(x: f32) -> f32 {
    let (k, f) = parts::<A>(x);
    let small = k.fused::<A>(LOG10_2[1], rest::<A>(f).fused::<A>(f * f, f) * std::f32::consts::LOG10_E);
    ends(x, k.fused::<A>(LOG10_2[0], small))
}

/// `1 + x` gives `k`; `f` is `x / 2^k + (1 / 2^k - 1)`, in which nothing of `x` is lost.
#[inline(always)]
pub(super) fn ln_1p<A: Fma>(x: f32) -> f32 {
    let e = (1.0 + x).to_bits().wrapping_sub(TWO_THIRDS) & EXPONENT;
    let scaled = f32::from_bits(x.to_bits().wrapping_sub(e));
    let four = f32::from_bits(4.0f32.to_bits().wrapping_sub(e));
    let f = scaled + four.fused::<A>(0.25, -1.0);
    let y = polynomial::<A>(e.cast_signed() as f32 * (1.0 / 8_388_608.0), f);
    // Below 2^-25 the result is x, the sign of zero included.
    let y = select(x.abs() < f32::EPSILON / 4.0, x, y);
    let y = select(x > f32::MAX, x, y);
    let y = select(x >= -1.0, y, f32::NAN);
    select(x == -1.0, f32::NEG_INFINITY, y)
}
