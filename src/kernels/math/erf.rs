//! Why it exists: Gauss's error function of f32.

use super::exp::{power, reduced};
use super::{select, sign};

/// Below 0.921875 `x + x P(x²)`, degree 6, error below 2^-30 of the result. From there `1 - exp(T(|x|))`, where `T`
/// of degree 7 approximates `ln(erfc(x))` up to 4 with an error below 2^-34.2 of `erf(x)`; from 4 on the result is 1.
/// Both are minimax polynomials fitted with Remez's exchange and rounded coefficient by coefficient.
#[inline(always)]
pub(super) fn erf(x: f32) -> f32 {
    let a = x.abs();
    let c = select(a > 4.0, 4.0, a);
    // In pairs: the chain of dependent steps through the exponential is what takes the time.
    let c2 = c * c;
    let t = c2.mul_add(c.mul_add(-2.111_186_6e-5, 0.000_434_681_5), c.mul_add(-0.004_172_213, 0.025_122_624));
    let u = c2.mul_add(c.mul_add(-0.108_285_21, -0.633_342_15), c.mul_add(-1.129_517_3, 0.000_175_184_25));
    let t = t.mul_add(c2 * c2, u);
    let (b, m) = reduced(t);
    let s = power(b, 0);
    let big = (-m).mul_add(s, 1.0 - s);
    let z = a * a;
    let p = z.mul_add(7.995_048_5e-5, -0.000_804_951_5);
    let p = p.mul_add(z, 0.005_192_392_5);
    let p = p.mul_add(z, -0.026_855_73);
    let p = p.mul_add(z, 0.112_836_26);
    let p = p.mul_add(z, -0.376_126_3);
    let p = p.mul_add(z, 0.128_379_17);
    let small = p.mul_add(a, a);
    sign(select(a < 0.921_875, small, big), x)
}
