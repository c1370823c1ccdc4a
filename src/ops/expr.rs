//! `Expr`: lets derivative formulas, which are written once over [`Real`], be computed with tensors. Kernels
//! compute the same formula with numbers; with tensors it is recorded, so it can be differentiated again to any
//! order.

use crate::kernels::math::Real;
use crate::tensor::Tensor;
use crate::{Error, Result};
use std::ops::{Add, Div, Mul, Neg, Sub};

/// The value of a formula: a constant, a tensor, or the first error on the way.
#[derive(Clone)]
pub(crate) enum Expr {
    Const(f64),
    Tensor(Tensor),
    Failed(std::sync::Arc<Error>),
}

impl From<Result<Tensor>> for Expr {
    fn from(r: Result<Tensor>) -> Expr {
        match r {
            Ok(t) => Expr::Tensor(t),
            Err(e) => Expr::Failed(std::sync::Arc::new(e)),
        }
    }
}

impl Expr {
    /// Returns the tensor; `like` gives a constant its shape.
    pub(crate) fn tensor(self, like: &Tensor) -> Result<Tensor> {
        match self {
            Expr::Tensor(t) => Ok(t),
            Expr::Const(v) => like.new_full(*like.shape(), v),
            Expr::Failed(e) => {
                Err(std::sync::Arc::try_unwrap(e).unwrap_or_else(|e| Error::Custom(e.to_string())))
            }
        }
    }

    fn map(self, number: fn(f64) -> f64, tensor: fn(&Tensor) -> Result<Tensor>) -> Expr {
        match self {
            Expr::Const(v) => Expr::Const(number(v)),
            Expr::Tensor(t) => tensor(&t).into(),
            failed => failed,
        }
    }

    /// Applies a function of two values; a constant beside a tensor becomes a scalar tensor.
    fn pair(
        self,
        other: Expr,
        number: fn(f64, f64) -> f64,
        tensor: fn(&Tensor, &Tensor) -> Result<Tensor>,
    ) -> Expr {
        match (self, other) {
            (Expr::Const(a), Expr::Const(b)) => Expr::Const(number(a, b)),
            (Expr::Tensor(a), Expr::Tensor(b)) => tensor(&a, &b).into(),
            (Expr::Tensor(t), Expr::Const(c)) => t.new_full([], c).and_then(|c| tensor(&t, &c)).into(),
            (Expr::Const(c), Expr::Tensor(t)) => t.new_full([], c).and_then(|c| tensor(&c, &t)).into(),
            (Expr::Failed(e), _) | (_, Expr::Failed(e)) => Expr::Failed(e),
        }
    }
}

impl Expr {
    /// Applies a function that has a constant, its order.
    fn of_order(
        self,
        order: Expr,
        number: fn(f64, f64) -> f64,
        tensor: fn(&Tensor, f64) -> Result<Tensor>,
    ) -> Expr {
        match (self, order) {
            (Expr::Const(v), Expr::Const(n)) => Expr::Const(number(v, n)),
            (Expr::Tensor(t), Expr::Const(n)) => tensor(&t, n).into(),
            (Expr::Failed(e), _) | (_, Expr::Failed(e)) => Expr::Failed(e),
            (_, Expr::Tensor(_)) => Expr::Failed(Error::Custom("an order is a constant".into()).into()),
        }
    }
}

impl Add for Expr {
    type Output = Expr;
    fn add(self, other: Expr) -> Expr {
        match (self, other) {
            (Expr::Const(a), Expr::Const(b)) => Expr::Const(a + b),
            (Expr::Tensor(a), Expr::Tensor(b)) => Tensor::add(&a, &b).into(),
            (Expr::Tensor(t), Expr::Const(c)) | (Expr::Const(c), Expr::Tensor(t)) => t.affine(1.0, c).into(),
            (Expr::Failed(e), _) | (_, Expr::Failed(e)) => Expr::Failed(e),
        }
    }
}

impl Sub for Expr {
    type Output = Expr;
    fn sub(self, other: Expr) -> Expr {
        match (self, other) {
            (Expr::Tensor(a), Expr::Tensor(b)) => Tensor::sub(&a, &b).into(),
            (a, b) => a + -b,
        }
    }
}

impl Mul for Expr {
    type Output = Expr;
    fn mul(self, other: Expr) -> Expr {
        match (self, other) {
            (Expr::Const(a), Expr::Const(b)) => Expr::Const(a * b),
            (Expr::Tensor(a), Expr::Tensor(b)) => Tensor::mul(&a, &b).into(),
            (Expr::Tensor(t), Expr::Const(c)) | (Expr::Const(c), Expr::Tensor(t)) => t.affine(c, 0.0).into(),
            (Expr::Failed(e), _) | (_, Expr::Failed(e)) => Expr::Failed(e),
        }
    }
}

impl Div for Expr {
    type Output = Expr;
    fn div(self, other: Expr) -> Expr {
        match (self, other) {
            (Expr::Const(a), Expr::Const(b)) => Expr::Const(a / b),
            (Expr::Tensor(a), Expr::Tensor(b)) => Tensor::div(&a, &b).into(),
            (Expr::Tensor(t), Expr::Const(c)) => t.affine(1.0 / c, 0.0).into(),
            (Expr::Const(c), Expr::Tensor(t)) => {
                t.new_full(*t.shape(), c).and_then(|c| Tensor::div(&c, &t)).into()
            }
            (Expr::Failed(e), _) | (_, Expr::Failed(e)) => Expr::Failed(e),
        }
    }
}

impl Neg for Expr {
    type Output = Expr;
    fn neg(self) -> Expr {
        self * Expr::Const(-1.0)
    }
}

impl Real for Expr {
    fn c(v: f64) -> Expr {
        Expr::Const(v)
    }
    fn exp(self) -> Expr {
        self.map(Real::exp, Tensor::exp)
    }
    fn ln(self) -> Expr {
        self.map(Real::ln, Tensor::ln)
    }
    fn sqrt(self) -> Expr {
        self.map(Real::sqrt, Tensor::sqrt)
    }
    fn tanh(self) -> Expr {
        self.map(Real::tanh, Tensor::tanh)
    }
    fn sigmoid(self) -> Expr {
        self.map(Real::sigmoid, Tensor::sigmoid)
    }
    fn silu(self) -> Expr {
        self.map(Real::silu, Tensor::silu)
    }
    fn erf(self) -> Expr {
        self.map(Real::erf, Tensor::erf)
    }
    fn ndtr(self) -> Expr {
        self.map(Real::ndtr, Tensor::ndtr)
    }
    fn gelu(self) -> Expr {
        self.map(Real::gelu, Tensor::gelu)
    }
    fn exp_m1(self) -> Expr {
        self.map(Real::exp_m1, Tensor::exp_m1)
    }
    fn ln_1p(self) -> Expr {
        self.map(Real::ln_1p, Tensor::ln_1p)
    }
    fn sin(self) -> Expr {
        self.map(Real::sin, Tensor::sin)
    }
    fn cos(self) -> Expr {
        self.map(Real::cos, Tensor::cos)
    }
    fn abs(self) -> Expr {
        self.map(Real::abs, Tensor::abs)
    }
    fn step(self) -> Expr {
        self.map(Real::step, Tensor::step)
    }
    fn floor(self) -> Expr {
        self.map(Real::floor, Tensor::floor)
    }
    fn round(self) -> Expr {
        self.map(Real::round, Tensor::round)
    }
    fn pow(self, exponent: Expr) -> Expr {
        self.pair(exponent, Real::pow, Tensor::pow)
    }
    fn atan2(self, x: Expr) -> Expr {
        self.pair(x, Real::atan2, Tensor::atan2)
    }
    fn erfc(self) -> Expr {
        self.map(Real::erfc, Tensor::erfc)
    }
    fn rem(self, divisor: Expr) -> Expr {
        self.pair(divisor, Real::rem, Tensor::remainder)
    }
    fn floor_div(self, divisor: Expr) -> Expr {
        self.pair(divisor, Real::floor_div, Tensor::floor_div)
    }
    fn maximum(self, other: Expr) -> Expr {
        self.pair(other, Real::maximum, Tensor::maximum)
    }
    fn minimum(self, other: Expr) -> Expr {
        -((-self).maximum(-other))
    }
    fn ends(self, end: f64) -> Expr {
        self.within(end)
    }
    fn or_limit(self, limit: impl FnOnce() -> Expr, f: impl FnOnce(Expr) -> Expr) -> Expr {
        // Neither for numbers nor for NaN.
        let finite = Expr::c(f64::INFINITY).above(self.clone().abs());
        let infinite = self.clone().above(Expr::c(0.0)).maximum((-self.clone()).above(Expr::c(0.0))) - finite;
        infinite.clone().pick(limit(), f(infinite.pick(Expr::c(0.0), self)))
    }
    fn fma(self, a: Expr, b: Expr) -> Expr {
        self * a + b
    }
    fn pick(self, yes: Expr, no: Expr) -> Expr {
        match self {
            Expr::Const(v) => {
                if v > 0.0 {
                    yes
                } else {
                    no
                }
            }
            Expr::Tensor(t) => {
                let pick = || {
                    let positive = t.greater(&t.new_full([], 0.0)?)?;
                    let scalar = t.new_full([], 0.0)?;
                    positive.choose(&yes.tensor(&scalar)?, &no.tensor(&scalar)?)
                };
                pick().into()
            }
            failed => failed,
        }
    }
    fn above(self, other: Expr) -> Expr {
        let larger = |a: &Tensor, b: &Tensor| a.detach().greater(&b.detach())?.cast(a.dtype());
        self.pair(other, Real::above, larger)
    }
    fn copysign(self, of: Expr) -> Expr {
        self.pair(of, Real::copysign, Tensor::copysign)
    }
    fn hypot(self, other: Expr) -> Expr {
        self.pair(other, Real::hypot, Tensor::hypot)
    }
    fn root_plus(self, b: Expr) -> Expr {
        self.hypot(b.sqrt())
    }
    fn log2(self) -> Expr {
        self.map(Real::log2, Tensor::log2)
    }
    fn log10(self) -> Expr {
        self.map(Real::log10, Tensor::log10)
    }
    fn cbrt(self) -> Expr {
        self.map(Real::cbrt, Tensor::cbrt)
    }
    fn lgamma(self) -> Expr {
        self.map(Real::lgamma, Tensor::lgamma)
    }
    fn polygamma(self, order: Expr) -> Expr {
        self.of_order(order, Real::polygamma, Tensor::polygamma)
    }
    fn bessel_i(self, order: Expr) -> Expr {
        self.of_order(order, Real::bessel_i, Tensor::bessel_i)
    }
    fn bessel_ie(self, order: Expr) -> Expr {
        self.of_order(order, Real::bessel_ie, Tensor::bessel_ie)
    }
    fn bessel_ie_slope(self, order: Expr) -> Expr {
        let of = |by: f64| self.clone().bessel_ie(order.clone() + Expr::c(by));
        let unscaled = match order {
            Expr::Const(0.0) => of(1.0),
            _ => Expr::c(0.5) * (of(-1.0) + of(1.0)),
        };
        unscaled - self.clone().sign() * of(0.0)
    }
    fn sinc(self, order: Expr) -> Expr {
        self.of_order(order, Real::sinc, Tensor::sinc_derivative)
    }
    fn erfinv(self) -> Expr {
        self.map(Real::erfinv, Tensor::erfinv)
    }
    fn nextafter(self, toward: Expr) -> Expr {
        self.pair(toward, Real::nextafter, Tensor::nextafter)
    }
    fn ldexp(self, exponent: Expr) -> Expr {
        self.pair(exponent, Real::ldexp, Tensor::ldexp)
    }
    fn softplus(self) -> Expr {
        self.map(Real::softplus, Tensor::softplus)
    }
    fn sinh(self) -> Expr {
        self.map(Real::sinh, Tensor::sinh)
    }
    fn cosh(self) -> Expr {
        self.map(Real::cosh, Tensor::cosh)
    }
}
