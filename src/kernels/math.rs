//! Why it exists: the scalar arithmetic that every kernel is written in. All of it is made of operations that
//! round alike on every instruction set, so that a loop over it gives the same bytes whatever the vector width.

use std::ops::{Add, Div, Mul, Neg, Sub};

/// Real arithmetic, as the formulas of elementwise operations need it. `f32` and `f64` compute with it; the tape
/// gives it a third meaning, recording, so that one formula serves every order of differentiation.
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
    /// Natural logarithm.
    fn ln(self) -> Self;
    /// Square root, correctly rounded.
    fn sqrt(self) -> Self;
    /// Hyperbolic tangent.
    fn tanh(self) -> Self;
    /// `1 / (1 + exp(-x))`.
    fn sigmoid(self) -> Self;
    /// Gauss's error function.
    fn erf(self) -> Self;
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
    /// 1 where positive, 0 elsewhere, NaN where NaN. Its derivative is taken as 0.
    fn step(self) -> Self;
    /// The larger; NaN if either is NaN; of two zeros the positive one.
    fn maximum(self, other: Self) -> Self;
    /// The smaller; NaN if either is NaN; of two zeros the negative one.
    fn minimum(self, other: Self) -> Self;
    /// `self * a + b`, rounded once where the numbers are numbers.
    fn fma(self, a: Self, b: Self) -> Self;
}

macro_rules! real {
    ($t:ty, $exp:path, $ln:path, $tanh:path, $erf:path, $expm1:path, $log1p:path, $sin:path, $cos:path) => {
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
                1.0 / (1.0 + Real::exp(-self))
            }
            #[inline(always)]
            fn erf(self) -> Self {
                $erf(self)
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
                if self > 0.0 {
                    1.0
                } else if self <= 0.0 {
                    0.0
                } else {
                    self
                }
            }
            #[inline(always)]
            fn maximum(self, other: Self) -> Self {
                // Of equal operands `self + 0` would lose a sign; bits decide between the zeros.
                if self > other || self != self {
                    self
                } else if self == other {
                    <$t>::from_bits(self.to_bits() & other.to_bits())
                } else {
                    other
                }
            }
            #[inline(always)]
            fn minimum(self, other: Self) -> Self {
                if self < other || self != self {
                    self
                } else if self == other {
                    <$t>::from_bits(self.to_bits() | other.to_bits())
                } else {
                    other
                }
            }
            #[inline(always)]
            fn fma(self, a: Self, b: Self) -> Self {
                self.mul_add(a, b)
            }
        }
    };
}
real!(
    f32,
    libm::expf,
    libm::logf,
    libm::tanhf,
    libm::erff,
    libm::expm1f,
    libm::log1pf,
    libm::sinf,
    libm::cosf
);
real!(f64, libm::exp, libm::log, libm::tanh, libm::erf, libm::expm1, libm::log1p, libm::sin, libm::cos);
