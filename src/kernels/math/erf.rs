//! Gauss's error function of f32.

use super::exp::{power, split, square_q};
use super::soft::{Fma, Fused};
use super::{select, sign};

/// `1 - exp(T(|x|))`, by the same steps as `exp_m1`, so that nothing cancels for small `x`. `T(a) = a V(a) - a`
/// approximates `ln(erfc(a))` up to 4, beyond which the result is 1. `V` is the minimax polynomial of degree 8 for
/// the relative error of `erf`, which is below 2^-27.8, fitted with Remez's exchange and rounded coefficient by
/// coefficient. The whole part of `-2/√π`, the slope of `T` at 0, is in `-a`: the rest loses less to rounding.
#[inline(always)]
pub(super) fn erf<A: Fma>(x: f32) -> f32 {
    let a = x.abs();
    let a = select(a > 4.0, 4.0, a);
    // In pairs, because the chain of dependent steps through the exponential is what takes the time.
    let a2 = a * a;
    let a4 = a2 * a2;
    let u = a2.fused::<A>(
        a.fused::<A>(-0.000_118_848_18, 0.000_637_330_8),
        a.fused::<A>(-0.001_675_639, 0.000_169_484_58),
    );
    let v = a2
        .fused::<A>(a.fused::<A>(0.019_147_826, -0.102_776_304), a.fused::<A>(-0.636_619_57, -0.128_379_17));
    let v = a4.fused::<A>(a4.fused::<A>(9.385_979e-6, u), v);
    let t = v.fused::<A>(a, -a);
    // What rounding took from `t` would be an error of one unit in the last place of small results.
    let rest = v.fused::<A>(a, -a - t);
    let (b, r) = split::<A>(t);
    let m = r + square_q::<A>(r, rest);
    let s = power(b, 0);
    sign((-m).fused::<A>(s, 1.0 - s), x)
}
