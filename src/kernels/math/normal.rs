//! The standard normal distribution function Φ of f32, and the GELU made of it, in which networks spend much time; and
//! [`gate`], which GELU's approximation by tanh has in Φ's place.
//! Computed through `erf`, GELU takes twice the instructions and loses the digits of small results.
//!
//! `Φ(-a) = 2^(P(a) - 1)`, with `P` without a constant term, so that Φ(0) is exactly 1/2. `P = n + r` is split as
//! for `exp`, but the number added to find `n` leaves the exponent bits of `2^(n - 1)`, which are all 0, a factor
//! of 0, from `n = -126` down: results fade out where f32 does. `2^r` is the minimax polynomial of degree 5 through
//! 1; its relative error is below 2^-23.3. `P` is the polynomial of degree 10 for which the largest error of both
//! together is least, in proportion to `1 + (a/2)³` up to 5.3 and to 64 times that for each further unit: below
//! 2^-23.1 of the result for small `a`. Further out it keeps falling. Both were fitted on a grid by linear
//! programming and rounded coefficient by coefficient, the rest fitted again after each.

use super::select;
use super::soft::{Fma, Fused};

/// 1.5 · 2^23, as in `exp`, and 126.
const ROUNDER: f32 = 12_583_038.0;
/// `P` is -126 here: beyond this the result is 0.
const END: f32 = 11.34;

/// `a = min(|x|, END)` and `Φ(-a)`.
#[inline(always)]
fn tail<A: Fma>(x: f32) -> (f32, f32) {
    let a = x.abs();
    let a = select(a > END, END, a);
    // Even and odd powers separately, which halves the chain of dependent steps.
    let a2 = a * a;
    let odd = a2.fused::<A>(-2.433_147_7e-8, -9.680_121e-6);
    let odd = odd.fused::<A>(a2, -0.000_252_863_42);
    let odd = odd.fused::<A>(a2, 0.007_016_344_5);
    let odd = odd.fused::<A>(a2, -0.459_205_4);
    let even = a2.fused::<A>(7.411_742e-7, 0.000_068_808_906);
    let even = even.fused::<A>(a2, -0.000_056_355_29);
    let even = even.fused::<A>(a2, -0.052_488_34);
    let even = even.fused::<A>(a2, -1.151_106);
    let p = odd.fused::<A>(a, even);
    (a, half_power::<A>(p, a))
}

/// `2^(p a - 1)`, or 0 where that is below `2^-126`; the product is not rounded. For `p a` from -126.5 to 127.
#[inline(always)]
#[expect(clippy::approx_constant, reason = "fitted, and not ln 2")]
fn half_power<A: Fma>(p: f32, a: f32) -> f32 {
    let t = p.fused::<A>(a, ROUNDER);
    let r = p.fused::<A>(a, ROUNDER - t);
    let m = r.fused::<A>(0.001_326_952_2, 0.009_671_291);
    let m =
        m.fused::<A>(r, 0.055_507_11).fused::<A>(r, 0.240_222_47).fused::<A>(r, 0.693_147).fused::<A>(r, 1.0);
    m * f32::from_bits(t.to_bits() << 23)
}

#[inline(always)]
pub(super) fn ndtr<A: Fma>(x: f32) -> f32 {
    let (_, q) = tail::<A>(x);
    select(x >= 0.0, 1.0 - q, q)
}

/// `max(x, 0) - a Φ(-a)`: one step less than the product, one rounding, no NaN at -infinity, and zeros keep their
/// sign.
#[inline(always)]
pub(super) fn gelu<A: Fma>(x: f32) -> f32 {
    let (a, q) = tail::<A>(x);
    (-a).fused::<A>(q, select(x >= 0.0, x, -0.0))
}

/// `2√(2/π) log2(e)`, and 0.044715 times that: `gate(x)` is `1 / (1 + 2^-u)` with `u = x (LINEAR + CUBIC x²)`.
const LINEAR: f32 = 2.302_208_2;
const CUBIC: f32 = 0.102_943_24;
/// `u` is 126 here: `2^-u` counts as 0.
const SHUT: f32 = 10.002;

/// `e w` for negative and `w` for positive numbers, where `e = 2^-|u|` and `w = 1 / (1 + e)`. `w` is made by Newton's
/// steps, which take a third of the time of a division, from the polynomial of degree 2 whose relative error from 1 to 2 is
/// smallest, 1/99: after two steps it is 2^-26. The last step sees `e` before it is rounded to the place of 1.
#[inline(always)]
pub(super) fn gate<A: Fma>(x: f32) -> f32 {
    let a = x.abs();
    let a = select(a > SHUT, SHUT, a);
    let half = half_power::<A>((a * a).fused::<A>(-CUBIC, -LINEAR), a);
    let e = half + half;
    let w = e.fused::<A>(32.0 / 99.0, -80.0 / 99.0).fused::<A>(e, 98.0 / 99.0);
    let w = w.fused::<A>((-w).fused::<A>(1.0 + e, 1.0), w);
    let w = w.fused::<A>((-e).fused::<A>(w, 1.0 - w), w);
    select(x >= 0.0, w, e * w)
}

/// What is left of 1/√2 after its f64.
const FRAC_1_SQRT_2_LOW: f64 = -4.833_646_656_726_456e-17;

pub(super) fn ndtr_f64(x: f64) -> f64 {
    let (half, z) = (std::f64::consts::FRAC_1_SQRT_2, -x * std::f64::consts::FRAC_1_SQRT_2);
    if !(2.0..40.0).contains(&z) {
        return 0.5 * libm::erfc(z);
    }
    // In the tail, what rounding took from z changes the result by z² times as much.
    let lost = (-x).mul_add(half, -z) - x * FRAC_1_SQRT_2_LOW;
    0.5 * (libm::erfc(z) - std::f64::consts::FRAC_2_SQRT_PI * libm::exp(-z * z) * lost)
}

/// The same for f64; `Φ(-40)` is 0.
pub(super) fn gelu_f64(x: f64) -> f64 {
    let a = x.abs();
    let a = select(a > 40.0, 40.0, a);
    (-a).mul_add(ndtr_f64(-a), select(x >= 0.0, x, -0.0))
}
