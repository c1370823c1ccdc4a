//! Fused multiply-adds of f32 without an instruction for them. Portable code has none on x86 and wasm32, and the C library's function takes tens of
//! nanoseconds a call; separate f32 operations would not only have other bits but lose those that the formulas live on (`exp(80)` would be wrong
//! in its fifth digit). The product of two f32 is exact in f64, so a multiplication and an addition there, and a correction of the sum's last bit, give the
//! bits of the instruction.
//!
//! Kernels with elementary functions therefore compute with [`Soft`] in portable code and with f32 itself wherever vector instructions have it.

use super::Real;
use crate::kernels::simd::FUSED;
use std::ops::{Add, Div, Mul, Neg, Sub};

/// How the elementary functions of f32 multiply and add with one rounding.
pub trait Fma {
    /// `a * b + c`, rounded once.
    #[inline(always)]
    fn fma(a: f32, b: f32, c: f32) -> f32 {
        a.mul_add(b, c)
    }
}
impl Fma for f32 {}
// Its functions have no f32 in them.
impl Fma for f64 {}

/// [`Fma`] in the place of `mul_add`.
pub(super) trait Fused {
    fn fused<A: Fma>(self, a: f32, b: f32) -> f32;
}
impl Fused for f32 {
    #[inline(always)]
    fn fused<A: Fma>(self, a: f32, b: f32) -> f32 {
        A::fma(self, a, b)
    }
}

/// What a kernel computes elements of `T` with: `T` itself or, in portable code, [`Soft`].
pub trait Lane<T>: Real + Copy + Fma {
    /// The number of an element.
    fn of(v: T) -> Self;
    /// The element of a number.
    fn value(self) -> T;
}
impl<T: Real + Copy + Fma> Lane<T> for T {
    #[inline(always)]
    fn of(v: T) -> T {
        v
    }
    #[inline(always)]
    fn value(self) -> T {
        self
    }
}
impl Lane<f32> for Soft {
    #[inline(always)]
    fn of(v: f32) -> Soft {
        Soft(v)
    }
    #[inline(always)]
    fn value(self) -> f32 {
        self.0
    }
}

/// Elements and what portable code computes them with.
pub trait Lanes: Real + Copy + Fma {
    /// The numbers of portable code.
    type Portable: Lane<Self>;
}
impl Lanes for f32 {
    type Portable = Soft;
}
impl Lanes for f64 {
    type Portable = f64;
}

/// An f32 whose elementary functions are made of separate operations, with the bits of f32's own.
#[derive(Clone, Copy, PartialEq, PartialOrd, Debug)]
pub struct Soft(pub f32);

impl Fma for Soft {
    #[inline(always)]
    fn fma(a: f32, b: f32, c: f32) -> f32 {
        if FUSED { a.mul_add(b, c) } else { fused(a, b, c) }
    }
}

/// `a * b + c`, rounded once. The sum in f64 is rounded to odd (if it is not exact its last bit is set, so that it is no tie between two f32), then to
/// f32 (Boldo and Melquiond 2008).
#[inline(always)]
fn fused(a: f32, b: f32, c: f32) -> f32 {
    let (product, c) = (f64::from(a) * f64::from(b), f64::from(c));
    let sum = product + c;
    // What the sum's rounding took, exactly; NaN for infinities.
    let rest = sum - product;
    let error = (product - (sum - rest)) + (c - rest);
    // Toward zero, and then the odd one of the two neighbours.
    let beyond = (sum.to_bits() ^ error.to_bits()) >> 63;
    let odd = f64::from_bits(sum.to_bits().wrapping_sub(beyond) | 1);
    super::select(error < 0.0 || error > 0.0, odd, sum) as f32
}

macro_rules! operators {
    ($($trait:ident $f:ident),+) => {$(
        impl $trait for Soft {
            type Output = Soft;
            #[inline(always)]
            fn $f(self, other: Soft) -> Soft {
                Soft($trait::$f(self.0, other.0))
            }
        }
    )+};
}
operators!(Add add, Sub sub, Mul mul, Div div);

impl Neg for Soft {
    type Output = Soft;
    #[inline(always)]
    fn neg(self) -> Soft {
        Soft(-self.0)
    }
}

/// Functions with multiply-adds in them, then those without.
macro_rules! real {
    ($($f:ident = $path:path),+; $($one:ident)+; $($two:ident)+) => {
        impl Real for Soft {
            #[inline(always)]
            fn c(v: f64) -> Soft {
                Soft(v as f32)
            }
            #[inline(always)]
            fn fma(self, a: Soft, b: Soft) -> Soft {
                Soft(<Soft as Fma>::fma(self.0, a.0, b.0))
            }
            $(#[inline(always)]
            fn $f(self) -> Soft {
                Soft($path(self.0))
            })+
            $(#[inline(always)]
            fn $one(self) -> Soft {
                Soft(Real::$one(self.0))
            })+
            $(#[inline(always)]
            fn $two(self, other: Soft) -> Soft {
                Soft(Real::$two(self.0, other.0))
            })+
        }
    };
}
real!(
    exp = super::exp::exp::<Soft>,
    ln = super::log::ln::<Soft>,
    tanh = super::exp::tanh::<Soft>,
    sigmoid = super::exp::sigmoid::<Soft>,
    erf = super::erf::erf::<Soft>,
    ndtr = super::normal::ndtr::<Soft>,
    gelu = super::normal::gelu::<Soft>,
    exp_m1 = super::exp::exp_m1::<Soft>,
    ln_1p = super::log::ln_1p::<Soft>,
    sin = super::trig::sin::<Soft>,
    cos = super::trig::cos::<Soft>;
    sqrt abs step floor round erfc;
    maximum minimum pow atan2 rem floor_div
);

#[cfg(test)]
mod tests {
    use super::fused;
    use crate::kernels::testing::Rng;

    /// The twin is the standard library's, whatever that is made of here.
    #[track_caller]
    fn check(a: f32, b: f32, c: f32) {
        let (got, want) = (fused(a, b, c), a.mul_add(b, c));
        assert!(
            got.to_bits() == want.to_bits() || got.is_nan() && want.is_nan(),
            "{a:e} * {b:e} + {c:e}: {got:e}, {want:e}"
        );
    }

    #[test]
    fn bits_of_the_instruction() {
        let mut r = Rng(1);
        let bits = |r: &mut Rng| f32::from_bits((r.below(1 << 16) << 16 | r.below(1 << 16)) as u32);
        for _ in 0..2_000_000 {
            let (a, b, c) = (bits(&mut r), bits(&mut r), bits(&mut r));
            check(a, b, c);
            // An addend as large as the product or a little larger or smaller, so that both count.
            let near =
                a * b * f32::from_bits((127 - 30 + r.below(60) as u32) << 23 | r.below(1 << 23) as u32);
            check(a, b, near);
            check(a, b, -near);
        }
        let odd = [
            0.0,
            1.0,
            f32::MIN_POSITIVE,
            f32::from_bits(1),
            f32::MAX,
            f32::INFINITY,
            f32::NAN,
            f32::EPSILON,
            0.5,
            3.0,
        ];
        let n = odd.len();
        for i in 0..n * n * n {
            let (a, b, c) = (odd[i / n / n], odd[i / n % n], odd[i % n]);
            for signs in 0..8 {
                let sign = |i: i32, x: f32| if signs >> i & 1 == 0 { x } else { -x };
                check(sign(0, a), sign(1, b), sign(2, c));
            }
        }
    }

    /// Sums that f64 rounds to a tie between two f32, among normal and subnormal numbers.
    #[test]
    fn ties_are_broken_by_what_was_rounded_off() {
        for exponent in [-149, -148, -140, -130, -127, -126, -125, -60, 0, 60] {
            let one = 2.0f64.powi(exponent) as f32;
            for c in [1.0f32, 3.0, 255.0, 65535.0, 8_388_609.0, 16_777_215.0] {
                for small in [-80, -62, -55, -53, -50, -31, -30] {
                    // half a unit, and a little more or less: (1/2 ± 2^small) of the unit of c.
                    for (a, b) in [(0.5f32, one), (0.5 + 2.0f32.powi(small.max(-24)), one), (-0.5, one)] {
                        check(a, b, c * one);
                        check(a * 2.0f32.powi(12), b * 2.0f32.powi(-12), c * one);
                    }
                    let tiny = 2.0f64.powi(small) as f32;
                    check(one * (1.0 + f32::EPSILON), 0.5 * (1.0 + tiny.max(f32::EPSILON)), c * one);
                    check(-one * (1.0 + f32::EPSILON), 0.5 * (1.0 - f32::EPSILON), c * one);
                }
            }
        }
    }
}
