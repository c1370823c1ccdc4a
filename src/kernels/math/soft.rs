//! The elementary functions of f32 where there is no fused multiply-add ([`Isa::NoFma`](crate::kernels::simd::Isa)). Separate operations in f32
//! would lose what the formulas live on: the first step of `exp` is exact only if it is rounded once, and without that `exp(80)` is wrong by 30 units in the
//! last place. In f64 the product of two f32 is exact. So the multiplication and the addition are made there, and the sum is rounded to f32: errors
//! are those of the fused instruction, and so are the bits, but where the sum in f64 is rounded to the middle between two f32 (once in 2^29).

use super::Real;
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

/// What a kernel computes elementary functions of `T` with: `T` itself, or [`Soft`].
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

/// Elements, and what their elementary functions are computed with where there is no fused multiply-add.
pub trait Lanes: Real + Copy + Fma {
    /// The numbers of such code.
    type Apart: Lane<Self>;
    /// Whether they are others than the elements.
    const DIFFERS: bool;
}
impl Lanes for f32 {
    type Apart = Soft;
    const DIFFERS: bool = true;
}
impl Lanes for f64 {
    type Apart = f64;
    const DIFFERS: bool = false;
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
