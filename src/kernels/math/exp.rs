//! The exponential of f32 and the functions made of it. One reduction and one polynomial serve all of them.
//!
//! `x = n ln 2 + r` with `|r| <= ln 2 / 2`, `n` found by adding 1.5 · 2^23 (which leaves `n` in the low bits), and
//! `exp(r) - 1 = r + r² Q(r)`. `Q` is the minimax polynomial of degree 4 for weight `|r| + 0.03`, fitted with
//! Remez's exchange and rounded coefficient by coefficient; its error in `exp(r) - 1` is below 2^-25.9 of that.

use super::soft::{Fma, Fused};
use super::{select, sign};

/// 1.5 · 2^23: the unit in the last place of numbers near it is 1.
const ROUNDER: f32 = 12_582_912.0;
const LOG2_E: f32 = std::f32::consts::LOG2_E;
/// ln 2 rounded to f32, and the rest.
const LN2_HI: f32 = std::f32::consts::LN_2;
const LN2_LO: f32 = -1.904_654_2e-9;
/// The bits of 1.
const ONE: u32 = 0x3f80_0000;

/// Below it the exponential is 0. A product that rounds to 0 gives that too, but takes a processor a hundred times as
/// long as one with a factor of 0, and hidden keys of attention, at -infinity, are many.
const LOW: f32 = -104.0;

/// The coefficients of `Q`, ascending.
const Q: [f32; 5] = [0.5, 0.166_665_43, 0.041_666_61, 0.008_366_54, 0.001_392_155_1];

/// Returns `(b, r)`, where the low nine bits of `b` are those of `n`. For `|x| < 150`.
#[inline(always)]
pub(super) fn split<A: Fma>(x: f32) -> (u32, f32) {
    let t = x.fused::<A>(LOG2_E, ROUNDER);
    let n = t - ROUNDER;
    // The first step is exact: both terms are multiples of 2^-24 and the result is below 1/2.
    (t.to_bits(), n.fused::<A>(-LN2_LO, n.fused::<A>(-LN2_HI, x)))
}

/// `r² Q(r) + c`, in pairs: a short chain of dependent steps.
#[inline(always)]
pub(super) fn square_q<A: Fma>(r: f32, c: f32) -> f32 {
    let r2 = r * r;
    let upper = r2.fused::<A>(Q[4], r.fused::<A>(Q[3], Q[2]));
    r2.fused::<A>(r2.fused::<A>(upper, r.fused::<A>(Q[1], Q[0])), c)
}

/// Returns `(b, m)` with `exp(x) = 2^n (1 + m)`.
#[inline(always)]
fn reduced<A: Fma>(x: f32) -> (u32, f32) {
    let (b, r) = split::<A>(x);
    (b, square_q::<A>(r, r))
}

/// Returns `2^(n + bias)`, for the `b` of [`split`], if that is a normal number.
#[inline(always)]
pub(super) fn power(b: u32, bias: i32) -> f32 {
    f32::from_bits((b << 23).wrapping_add(ONE.wrapping_add_signed(bias << 23)))
}

/// Returns two factors of `2^n`, for `n` from -150 to 128: a product with one after the other overflows and
/// underflows only in the last step, with one rounding.
#[inline(always)]
fn powers(b: u32) -> (f32, f32) {
    let half = b >> 1;
    (power(half, 0), power(b.wrapping_sub(half), 0))
}

#[inline(always)]
pub(super) fn exp<A: Fma>(x: f32) -> f32 {
    let x = select(x > 89.0, 89.0, x);
    let (b, r) = split::<A>(select(x < LOW, LOW, x));
    let (s, t) = powers(b);
    let s = select(x < LOW, 0.0, s);
    one_and_more::<A>(r) * s * t
}

/// `1 + r + r² Q(r)`, in the order that takes the fewest steps and keeps more bits of the sum than `1 + m` does.
#[inline(always)]
fn one_and_more<A: Fma>(r: f32) -> f32 {
    let q = r.fused::<A>(Q[4], Q[3]).fused::<A>(r, Q[2]).fused::<A>(r, Q[1]).fused::<A>(r, Q[0]);
    q.fused::<A>(r, 1.0).fused::<A>(r, 1.0)
}

/// [`exp`] of what is not above 0, with its bits and fewer steps: nothing is too large, and `2^(n + 65)` is a normal number for
/// all `n` there are, from -150 to 0. (An even number leaves ties of the first rounding as they are.)
#[inline(always)]
pub(super) fn exp_below<A: Fma>(x: f32) -> f32 {
    const SHIFTED: f32 = ROUNDER + 192.0;
    let c = select(x < LOW, LOW, x);
    let t = c.fused::<A>(LOG2_E, SHIFTED);
    let n = t - SHIFTED;
    let r = n.fused::<A>(-LN2_LO, n.fused::<A>(-LN2_HI, c));
    let s = select(x < LOW, 0.0, f32::from_bits(t.to_bits() << 23));
    one_and_more::<A>(r) * s * power(0, -65)
}

/// `2^n m + (2^n - 1)`, halved until the last step so that `n = 128` is no overflow.
#[inline(always)]
pub(super) fn exp_m1<A: Fma>(x: f32) -> f32 {
    let c = select(x > 89.0, 89.0, x);
    let (b, m) = reduced::<A>(select(c < -30.0, -30.0, c));
    let s = power(b, -1);
    let y = m.fused::<A>(s, s - 0.5);
    // The smallest would lose their last bit, and zero its sign.
    select(x.abs() < f32::EPSILON / 4.0, x, y + y)
}

/// `w e` for negative and `w` for positive numbers, where `e = exp(-|x|)` and `w = 1 / (1 + e)`: nothing overflows on
/// the way. The product is made before `e` is rounded, and takes back what rounding took from `1 + e`.
#[inline(always)]
pub(super) fn sigmoid<A: Fma>(x: f32) -> f32 {
    let a = -x.abs();
    let (b, m) = reduced::<A>(select(a < LOW, LOW, a));
    let (s, t) = powers(b);
    let s = select(a < LOW, 0.0, s);
    let e = m.fused::<A>(s, s);
    let d = e.fused::<A>(t, 1.0);
    let rest = e.fused::<A>(t, 1.0 - d);
    let w = 1.0 / d;
    let negative = rest.fused::<A>(-w, m).fused::<A>(w, w) * s * t;
    select(x < 0.0, negative, w)
}

/// `x` times [`sigmoid`], with the bits of that product, but for results near the subnormal numbers: there the power of two
/// comes last, and no digit is lost before. Beyond -112 the result is -0.
#[inline(always)]
pub(super) fn silu<A: Fma>(x: f32) -> f32 {
    let size = x.abs();
    let a = -select(size > 112.0, 112.0, size);
    let (b, m) = reduced::<A>(a);
    let (s, t) = powers(b);
    let e = m.fused::<A>(s, s);
    let d = e.fused::<A>(t, 1.0);
    let rest = e.fused::<A>(t, 1.0 - d);
    let w = 1.0 / d;
    let negative = rest.fused::<A>(-w, m).fused::<A>(w, w) * s * a * t;
    select(x < 0.0, negative, w * x)
}

/// `1 - 2 / (exp(2 |x|) + 1)` from 0.55 on, below that `x + x³ P(x²)`: degree 4, error below 2^-29.7 of the result.
#[inline(always)]
pub(super) fn tanh<A: Fma>(x: f32) -> f32 {
    let a = x.abs();
    let c = select(a > 10.0, 10.0, a);
    let (b, m) = reduced::<A>(c + c);
    let s = power(b, 0);
    let big = 1.0 - 2.0 / m.fused::<A>(s, s + 1.0);
    let z = a * a;
    let p = z.fused::<A>(-0.006_242_849_4, 0.021_050_714);
    let p = p.fused::<A>(z, -0.053_847_548);
    let p = p.fused::<A>(z, 0.133_325_44);
    let p = p.fused::<A>(z, -0.333_333_16);
    let small = p.fused::<A>(a * z, a);
    sign(select(a < 0.55, small, big), x)
}
