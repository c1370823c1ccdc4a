//! The elementary functions of f32 on processors without a fused multiply-add
//! ([`Isa::NoFma`](crate::kernels::simd::Isa)). Separate operations in f32 would lose what the formulas rely on:
//! the first step of `exp` is exact only if it is rounded once, and without that `exp(80)` is wrong by 30 units in
//! the last place. In f64 the product of two f32 is exact. So the multiplication and the addition are done there,
//! and the sum is rounded to f32: errors are those of the fused instruction, and so are the bits, except where the
//! sum in f64 is rounded to the midpoint between two f32 (once in 2^29).
//!
//! Also those of x86-64 without vectors of fused multiply-adds, which are called ([`Called`]): exact by calls, or
//! in f64 as above.

use super::Real;
use crate::kernels::simd::{Isa, isa};
use std::ops::{Add, Div, Mul, Neg, Sub};

/// How the elementary functions of f32 multiply and add.
pub trait Fma {
    /// `a * b + c`, rounded once.
    #[inline(always)]
    fn fma(a: f32, b: f32, c: f32) -> f32 {
        a.mul_add(b, c)
    }
}
impl Fma for f32 {}
// Its own functions are those of the crate `libm`.
impl Fma for f64 {}

/// [`Fma`] in place of `mul_add`.
pub(super) trait Fused {
    fn fused<A: Fma>(self, a: f32, b: f32) -> f32;
}
impl Fused for f32 {
    #[inline(always)]
    fn fused<A: Fma>(self, a: f32, b: f32) -> f32 {
        A::fma(self, a, b)
    }
}

/// What a kernel computes elementary functions of `T` with: `T` itself, or [`Soft`].
pub trait Lane<T>: Real + Copy + Fma {
    /// Converts from an element.
    fn of(v: T) -> Self;
    /// Converts to an element.
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
/// Elements, and what their elementary functions are computed with where there are no vectors with fused
/// multiply-adds.
pub trait Lanes: Real + Copy + Fma {
    /// The lanes of code for a target without the instruction: [`Soft`] for f32.
    type Apart: Lane<Self>;
    /// The lanes of code for any x86-64 processor: for f32 those that call their formulas.
    type Called: Lane<Self>;
}
impl Lanes for f32 {
    type Apart = Soft;
    type Called = Called;
}
impl Lanes for f64 {
    type Apart = f64;
    type Called = f64;
}

/// An f32 whose elementary functions multiply and add in two steps.
#[derive(Clone, Copy, PartialEq, PartialOrd, Debug)]
pub struct Soft(pub f32);

impl Fma for Soft {
    #[inline(always)]
    fn fma(a: f32, b: f32, c: f32) -> f32 {
        (f64::from(a) * f64::from(b) + f64::from(c)) as f32
    }
}

/// An f32 whose elementary functions are called, so that a kernel has no copy of them: only x86-64 processors from
/// before 2013 run such code. Each call checks which of the two ways of multiplying and adding is in use.
#[derive(Clone, Copy, PartialEq, PartialOrd, Debug)]
pub struct Called(f32);

impl Fma for Called {
    #[inline(never)]
    fn fma(a: f32, b: f32, c: f32) -> f32 {
        let f: fn(f32, f32, f32) -> f32 = Called::either(<f32 as Fma>::fma, <Soft as Fma>::fma);
        f(a, b, c)
    }
}

/// Chooses between two functions: a lane's own, or that of [`Soft`].
trait Either {
    fn either<F>(own: F, soft: F) -> F;
}
impl Either for Soft {
    #[inline(always)]
    fn either<F>(_: F, soft: F) -> F {
        soft
    }
}
impl Either for Called {
    #[inline(always)]
    fn either<F>(own: F, soft: F) -> F {
        if isa() == Isa::NoFma { soft } else { own }
    }
}

/// Declares a type of numbers around f32: its operators, its functions with multiply-adds in them, then those
/// without.
macro_rules! lane {
    ($lane:ident, $inline:ident: $($trait:ident $f:ident),+; $($fused:ident in $module:ident),+; $($one:ident)+; $($two:ident)+) => {
        impl Lane<f32> for $lane {
            #[inline(always)]
            fn of(v: f32) -> $lane {
                $lane(v)
            }
            #[inline(always)]
            fn value(self) -> f32 {
                self.0
            }
        }
        $(impl $trait for $lane {
            type Output = $lane;
            #[inline(always)]
            fn $f(self, other: $lane) -> $lane {
                $lane($trait::$f(self.0, other.0))
            }
        })+
        impl Neg for $lane {
            type Output = $lane;
            #[inline(always)]
            fn neg(self) -> $lane {
                $lane(-self.0)
            }
        }
        impl Real for $lane {
            #[inline(always)]
            fn c(v: f64) -> $lane {
                $lane(v as f32)
            }
            #[inline(always)]
            fn within(self, end: f64) -> $lane {
                $lane(Real::within(self.0, end))
            }
            #[inline(always)]
            fn fma(self, a: $lane, b: $lane) -> $lane {
                $lane(<$lane as Fma>::fma(self.0, a.0, b.0))
            }
            #[inline(always)]
            fn pick(self, yes: $lane, no: $lane) -> $lane {
                $lane(Real::pick(self.0, yes.0, no.0))
            }
            $(#[inline($inline)]
            fn $fused(self) -> $lane {
                let f: fn(f32) -> f32 = $lane::either(super::$module::$fused::<f32>, super::$module::$fused::<Soft>);
                $lane(f(self.0))
            })+
            $(#[inline(always)]
            fn $one(self) -> $lane {
                $lane(Real::$one(self.0))
            })+
            $(#[inline(always)]
            fn $two(self, other: $lane) -> $lane {
                $lane(Real::$two(self.0, other.0))
            })+
        }
    };
    ($lane:ident, $inline:ident) => {
        lane!(
            $lane, $inline: Add add, Sub sub, Mul mul, Div div;
            exp in exp, exp_below in exp, ln in log, tanh in exp, sigmoid in exp, silu in exp, erf in erf, ndtr in normal, gelu in normal, gate in normal, exp_m1 in exp, ln_1p in log,
            sin in trig, cos in trig, log2 in log, log10 in log;
            sqrt abs step floor round erfc cbrt lgamma erfinv;
            maximum minimum pow atan2 rem floor_div above copysign hypot polygamma bessel_i bessel_ie bessel_ie_slope sinc nextafter ldexp
        );
    };
}
lane!(Soft, always);
lane!(Called, never);
