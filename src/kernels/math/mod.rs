//! The scalar arithmetic that every kernel is written in. All of it is made of operations that round alike on every
//! instruction set, so that a loop over it gives the same bytes whatever the vector width.

mod divide;
mod erf;
mod exp;
mod log;
mod normal;
mod soft;
pub mod special;
mod trig;
mod whole;

#[cfg(test)]
mod tests;

pub use soft::{Fma, Lane, Lanes, Soft};
pub use trig::{cos_slice, sin_slice};
pub use whole::Whole;

use std::ops::{Add, Div, Mul, Neg, Sub};

/// Real arithmetic, as the formulas of elementwise operations need it. `f32` and `f64` compute with it; the tape
/// adds a third implementation, which records, so that one formula serves every order of differentiation.
pub trait Real:
    Clone
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + Sized
{
    /// A constant.
    fn c(v: f64) -> Self;
    /// e to the power of this.
    fn exp(self) -> Self;
    /// [`Real::exp`] of a number that is not above 0 (or NaN), in fewer steps.
    #[inline(always)]
    fn exp_below(self) -> Self {
        self.exp()
    }
    /// Natural logarithm.
    fn ln(self) -> Self;
    /// Square root, correctly rounded.
    fn sqrt(self) -> Self;
    /// Hyperbolic tangent.
    fn tanh(self) -> Self;
    /// `1 / (1 + exp(-x))`.
    fn sigmoid(self) -> Self;
    /// `x` times its [`Real::sigmoid`], rounded as late as that; 0 at -infinity.
    fn silu(self) -> Self;
    /// Gauss's error function.
    fn erf(self) -> Self;
    /// The standard normal distribution function: the probability of a smaller value.
    fn ndtr(self) -> Self;
    /// `x` times its [`Real::ndtr`], rounded once; 0 at -infinity.
    fn gelu(self) -> Self;
    /// What GELU by its tanh approximation has in place of [`Real::ndtr`]: [`Real::sigmoid`] of
    /// `2√(2/π) (x + 0.044715 x³)`.
    #[inline(always)]
    fn gate(self) -> Self {
        gate(self)
    }
    /// This number, where a formula has ended beyond ±`end`. The formula itself need not know; an expression, whose derivatives
    /// would multiply an infinity by 0 there, is limited to that range.
    #[inline(always)]
    fn ends(self, _end: f64) -> Self {
        self
    }
    /// This number, limited to ±`end`: a range beyond which a function has reached its limit to the last digit, so that no product of
    /// an infinity and a zero arises.
    #[inline(always)]
    fn within(self, end: f64) -> Self {
        self.maximum(Self::c(-end)).minimum(Self::c(end))
    }
    /// `f(self)`, whose value at infinities is `limit`. The formula itself gives that; the derivatives of an expression are 0 there
    /// instead of NaN.
    #[inline(always)]
    fn or_limit(self, _limit: impl FnOnce() -> Self, f: impl FnOnce(Self) -> Self) -> Self {
        f(self)
    }
    /// `exp(x) - 1` without cancellation.
    fn exp_m1(self) -> Self;
    /// `ln(1 + x)` without cancellation.
    fn ln_1p(self) -> Self;
    /// Sine of radians.
    fn sin(self) -> Self;
    /// Cosine of radians.
    fn cos(self) -> Self;
    /// Absolute value.
    fn abs(self) -> Self;
    /// 1 where positive, 0 elsewhere, NaN where NaN. Its derivative counts as 0.
    fn step(self) -> Self;
    /// 1 where positive, -1 where negative, 0 at both zeros, NaN where NaN. Its derivative counts as 0.
    fn sign(self) -> Self {
        self.clone().step() - (-self).step()
    }
    /// The larger; NaN if either is NaN; of two zeros the positive one.
    fn maximum(self, other: Self) -> Self;
    /// The smaller; NaN if either is NaN; of two zeros the negative one.
    fn minimum(self, other: Self) -> Self;
    /// Rounds down to a whole number. Its derivative counts as 0.
    fn floor(self) -> Self;
    /// Rounds to the nearest whole number, halves to the even one. Its derivative counts as 0.
    fn round(self) -> Self;
    /// Raises this to a power, by C's rules for zeros, negative bases and infinities.
    fn pow(self, exponent: Self) -> Self;
    /// The angle of the point (`x`, `self`), by C's rules.
    fn atan2(self, x: Self) -> Self;
    /// `1 - erf(x)` without cancellation.
    fn erfc(self) -> Self;
    /// The remainder with the sign of the divisor, like Python's `%`.
    fn rem(self, divisor: Self) -> Self;
    /// The quotient rounded down to a whole number, like Python's `//`. Its derivative counts as 0.
    fn floor_div(self, divisor: Self) -> Self;
    /// `self * a + b`, rounded once for numbers.
    fn fma(self, a: Self, b: Self) -> Self;
    /// `yes` where this is positive, `no` elsewhere, and where this is NaN. A formula in pieces is written with it, so
    /// that at the seam its derivatives of all orders are those of one piece.
    fn pick(self, yes: Self, no: Self) -> Self;
    /// 1 where this is larger than the other, else 0. Its derivative counts as 0.
    fn above(self, other: Self) -> Self;
    /// The absolute value with another's sign.
    fn copysign(self, of: Self) -> Self;
    /// `√(x² + y²)` without overflow.
    fn hypot(self, other: Self) -> Self;
    /// `√(x² + b)` of a `b` from 0 on, without overflow. From 2^30 `√b` on it is `|x|` to the last digit, and below that no square
    /// overflows or vanishes beside `b` once both are multiplied by a power of two, which depends on `b` alone: in a loop only one
    /// comparison is made for each element.
    #[inline(always)]
    fn root_plus(self, b: Self) -> Self {
        let two = |exponent: i32| Self::c(power_of_two(exponent));
        let (large, small) = (b.clone().above(two(60)), two(-80).above(b.clone()));
        let scale = large.clone().pick(two(-66), small.clone().pick(two(70), two(0)));
        let back = large.pick(two(66), small.pick(two(-70), two(0)));
        let (a, end) = (self.abs(), b.clone().sqrt() * two(30));
        let scaled = a.clone() * scale.clone();
        let root = scaled.clone().fma(scaled, b * scale.clone() * scale).sqrt() * back;
        a.clone().above(end).pick(a, root)
    }
    /// The base-2 logarithm, exact at powers of 2.
    fn log2(self) -> Self;
    /// The base-10 logarithm, exact at powers of 10.
    fn log10(self) -> Self;
    /// The cube root.
    fn cbrt(self) -> Self;
    /// `ln |Γ(x)|`.
    fn lgamma(self) -> Self;
    /// The derivative of the digamma function of a whole order from 0 on.
    fn polygamma(self, order: Self) -> Self;
    /// The modified Bessel function of the first kind of a whole order.
    fn bessel_i(self, order: Self) -> Self;
    /// `exp(-|x|)` times [`Real::bessel_i`].
    fn bessel_ie(self, order: Self) -> Self;
    /// The derivative of [`Real::bessel_ie`]; at 0, where that of order 0 has none, 0.
    fn bessel_ie_slope(self, order: Self) -> Self;
    /// The derivative of `sin(πx) / (πx)` of a whole order from 0 on.
    fn sinc(self, order: Self) -> Self;
    /// The number whose `erf` this is.
    fn erfinv(self) -> Self;
    /// The next number in the direction of another. Its derivative counts as 1.
    fn nextafter(self, toward: Self) -> Self;
    /// `x · 2^exponent`, rounded once.
    fn ldexp(self, exponent: Self) -> Self;
    /// `ln(1 + exp(x))` without overflow.
    #[inline(always)]
    fn softplus(self) -> Self {
        self.clone().maximum(Self::c(0.0)) + (-self.abs()).exp().ln_1p()
    }
    /// Hyperbolic sine, from `e = exp(|x|) - 1` without cancellation: `½(e + e/(1+e))`, and half of `exp(|x|)` at a
    /// time where that is huge.
    #[inline(always)]
    fn sinh(self) -> Self {
        let a = self.clone().abs();
        let small = a.clone().minimum(Self::c(20.0)).exp_m1();
        let near = Self::c(0.5) * (small.clone() + small.clone() / (small + Self::c(1.0)));
        let half = (Self::c(0.5) * a.clone()).exp();
        (a - Self::c(20.0)).pick(Self::c(0.5) * half.clone() * half, near).copysign(self)
    }
    /// Hyperbolic cosine.
    #[inline(always)]
    fn cosh(self) -> Self {
        let half = (Self::c(0.5) * self.abs()).exp();
        Self::c(0.5) * half.clone() * half.clone() + Self::c(0.5) / half.clone() / half
    }
}

/// `2^exponent`, of normal numbers; a constant, where the exponent is one.
#[inline(always)]
const fn power_of_two(exponent: i32) -> f64 {
    f64::from_bits(((1023 + exponent) as u64) << 52)
}

/// `√(2/π)`.
pub(crate) const SQRT_2_OVER_PI: f64 = 0.797_884_560_802_865_4;

/// [`Real::gate`] by its formula.
#[inline(always)]
fn gate<R: Real>(x: R) -> R {
    let cube = x.clone() * x.clone() * x.clone();
    (R::c(2.0 * SQRT_2_OVER_PI) * (x + R::c(0.044_715) * cube)).sigmoid()
}

/// Selects without a branch: both values have already been computed.
#[inline(always)]
fn select<T>(condition: bool, yes: T, no: T) -> T {
    if condition { yes } else { no }
}

/// Gives a number that is not negative the sign of another.
#[inline(always)]
fn sign(magnitude: f32, of: f32) -> f32 {
    f32::from_bits(magnitude.to_bits() | of.to_bits() & 0x8000_0000)
}

macro_rules! real {
    ($t:ty, $exp:path, $exp_below:path, $ln:path, $tanh:path, $sigmoid:path, $silu:path, $erf:path, $ndtr:path, $gelu:path, $gate:path, $expm1:path, $log1p:path, $sin:path, $cos:path,
     $rem:path, $floor_div:path, $log2:path, $log10:path, $hypot:path) => {
        impl Real for $t {
            #[inline(always)]
            fn c(v: f64) -> Self {
                v as $t
            }
            #[inline(always)]
            fn exp(self) -> Self {
                $exp(self)
            }
            #[inline(always)]
            fn exp_below(self) -> Self {
                $exp_below(self)
            }
            #[inline(always)]
            fn within(self, end: f64) -> Self {
                let end = end as $t;
                let x = select(self > end, end, self);
                select(x < -end, -end, x)
            }
            #[inline(always)]
            fn ln(self) -> Self {
                $ln(self)
            }
            #[inline(always)]
            fn sqrt(self) -> Self {
                <$t>::sqrt(self)
            }
            #[inline(always)]
            fn tanh(self) -> Self {
                $tanh(self)
            }
            #[inline(always)]
            fn sigmoid(self) -> Self {
                $sigmoid(self)
            }
            #[inline(always)]
            fn silu(self) -> Self {
                $silu(self)
            }
            #[inline(always)]
            fn erf(self) -> Self {
                $erf(self)
            }
            #[inline(always)]
            fn ndtr(self) -> Self {
                $ndtr(self)
            }
            #[inline(always)]
            fn gelu(self) -> Self {
                $gelu(self)
            }
            #[inline(always)]
            fn gate(self) -> Self {
                $gate(self)
            }
            #[inline(always)]
            fn exp_m1(self) -> Self {
                $expm1(self)
            }
            #[inline(always)]
            fn ln_1p(self) -> Self {
                $log1p(self)
            }
            #[inline(always)]
            fn sin(self) -> Self {
                $sin(self)
            }
            #[inline(always)]
            fn cos(self) -> Self {
                $cos(self)
            }
            #[inline(always)]
            fn abs(self) -> Self {
                <$t>::abs(self)
            }
            #[inline(always)]
            fn step(self) -> Self {
                select(self.is_nan(), self, select(self > 0.0, 1.0, 0.0))
            }
            #[inline(always)]
            fn maximum(self, other: Self) -> Self {
                // For equal operands both choices are in the intersection; for zeros these are the positive one's
                // bits.
                let (a, b) = (select(self > other, self, other), select(other > self, other, self));
                let larger = <$t>::from_bits(a.to_bits() & b.to_bits());
                select(self.is_nan() | other.is_nan(), <$t>::NAN, larger)
            }
            #[inline(always)]
            fn minimum(self, other: Self) -> Self {
                let (a, b) = (select(self < other, self, other), select(other < self, other, self));
                let smaller = <$t>::from_bits(a.to_bits() | b.to_bits());
                select(self.is_nan() | other.is_nan(), <$t>::NAN, smaller)
            }
            #[inline(always)]
            fn floor(self) -> Self {
                <$t>::floor(self)
            }
            #[inline(always)]
            fn round(self) -> Self {
                self.round_ties_even()
            }
            #[inline(always)]
            fn pow(self, exponent: Self) -> Self {
                libm::pow(f64::from(self), f64::from(exponent)) as $t
            }
            #[inline(always)]
            fn atan2(self, x: Self) -> Self {
                libm::atan2(f64::from(self), f64::from(x)) as $t
            }
            #[inline(always)]
            fn erfc(self) -> Self {
                libm::erfc(f64::from(self)) as $t
            }
            #[inline(always)]
            fn rem(self, divisor: Self) -> Self {
                $rem(self, divisor)
            }
            #[inline(always)]
            fn floor_div(self, divisor: Self) -> Self {
                $floor_div(self, divisor)
            }
            #[inline(always)]
            fn fma(self, a: Self, b: Self) -> Self {
                self.mul_add(a, b)
            }
            #[inline(always)]
            fn pick(self, yes: Self, no: Self) -> Self {
                select(self > 0.0, yes, no)
            }
            #[inline(always)]
            fn above(self, other: Self) -> Self {
                select(self > other, 1.0, 0.0)
            }
            #[inline(always)]
            fn copysign(self, of: Self) -> Self {
                <$t>::copysign(self, of)
            }
            #[inline(always)]
            fn hypot(self, other: Self) -> Self {
                $hypot(self, other)
            }
            #[inline(always)]
            fn log2(self) -> Self {
                $log2(self)
            }
            #[inline(always)]
            fn log10(self) -> Self {
                $log10(self)
            }
            #[inline(always)]
            fn cbrt(self) -> Self {
                libm::cbrt(f64::from(self)) as $t
            }
            #[inline(always)]
            fn lgamma(self) -> Self {
                special::lgamma(f64::from(self)) as $t
            }
            #[inline(always)]
            fn polygamma(self, order: Self) -> Self {
                special::polygamma(f64::from(self), f64::from(order)) as $t
            }
            #[inline(always)]
            fn bessel_i(self, order: Self) -> Self {
                special::bessel_i(f64::from(self), f64::from(order)) as $t
            }
            #[inline(always)]
            fn bessel_ie(self, order: Self) -> Self {
                special::bessel_ie(f64::from(self), f64::from(order)) as $t
            }
            #[inline(always)]
            fn bessel_ie_slope(self, order: Self) -> Self {
                special::bessel_ie_slope(f64::from(self), f64::from(order)) as $t
            }
            #[inline(always)]
            fn sinc(self, order: Self) -> Self {
                special::sinc(f64::from(self), f64::from(order)) as $t
            }
            #[inline(always)]
            fn erfinv(self) -> Self {
                special::erfinv(f64::from(self)) as $t
            }
            #[inline(always)]
            fn nextafter(self, toward: Self) -> Self {
                if self.is_nan() || toward.is_nan() {
                    <$t>::NAN
                } else if self == toward {
                    toward
                } else if self < toward {
                    self.next_up()
                } else {
                    self.next_down()
                }
            }
            #[inline(always)]
            fn ldexp(self, exponent: Self) -> Self {
                special::ldexp(f64::from(self), f64::from(exponent)) as $t
            }
        }
    };
}
real!(
    f32,
    exp::exp::<f32>,
    exp::exp_below::<f32>,
    log::ln::<f32>,
    exp::tanh::<f32>,
    exp::sigmoid::<f32>,
    exp::silu::<f32>,
    erf::erf::<f32>,
    normal::ndtr::<f32>,
    normal::gelu::<f32>,
    normal::gate::<f32>,
    exp::exp_m1::<f32>,
    log::ln_1p::<f32>,
    trig::sin::<f32>,
    trig::cos::<f32>,
    divide::rem_f32,
    divide::floor_div_f32,
    log::log2::<f32>,
    log::log10::<f32>,
    special::hypot_f32
);
real!(
    f64,
    libm::exp,
    libm::exp,
    libm::log,
    libm::tanh,
    sigmoid,
    silu,
    libm::erf,
    normal::ndtr_f64,
    normal::gelu_f64,
    gate,
    libm::expm1,
    libm::log1p,
    libm::sin,
    libm::cos,
    divide::rem_f64,
    divide::floor_div_f64,
    libm::log2,
    libm::log10,
    libm::hypot
);

/// The same for f64.
fn sigmoid(x: f64) -> f64 {
    let e = libm::exp(-x.abs());
    select(x < 0.0, e, 1.0) / (1.0 + e)
}

/// Where the sigmoid is near the subnormal numbers it is `exp(x)`, in two factors of which the last underflows.
fn silu(x: f64) -> f64 {
    if x < -700.0 {
        let x = select(x < -800.0, -800.0, x);
        let half = libm::exp(0.5 * x);
        return x * half * half;
    }
    x * sigmoid(x)
}
