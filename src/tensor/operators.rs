//! Why it exists: `&a + &b` for formulas whose shapes are known to fit. Operators are the panicking spelling of the
//! fallible methods, for users; the library itself never uses them.

use super::Tensor;
use std::ops::{Add, Div, Mul, Neg, Sub};

macro_rules! operator {
    ($($trait:ident $op:ident $method:ident $scalar:expr;)*) => {$(
        impl $trait<&Tensor> for &Tensor {
            type Output = Tensor;
            /// # Panics
            /// Where the method of the same name returns an error.
            #[track_caller]
            fn $op(self, other: &Tensor) -> Tensor {
                match Tensor::$method(self, other) { Ok(t) => t, Err(e) => panic!("{e}") }
            }
        }
        impl $trait<Tensor> for Tensor {
            type Output = Tensor;
            #[track_caller]
            fn $op(self, other: Tensor) -> Tensor { $trait::$op(&self, &other) }
        }
        impl $trait<&Tensor> for Tensor {
            type Output = Tensor;
            #[track_caller]
            fn $op(self, other: &Tensor) -> Tensor { $trait::$op(&self, other) }
        }
        impl $trait<Tensor> for &Tensor {
            type Output = Tensor;
            #[track_caller]
            fn $op(self, other: Tensor) -> Tensor { $trait::$op(self, &other) }
        }
        impl $trait<f64> for &Tensor {
            type Output = Tensor;
            #[track_caller]
            fn $op(self, other: f64) -> Tensor {
                match ($scalar)(self, other) { Ok(t) => t, Err(e) => panic!("{e}") }
            }
        }
        impl $trait<f64> for Tensor {
            type Output = Tensor;
            #[track_caller]
            fn $op(self, other: f64) -> Tensor { $trait::$op(&self, other) }
        }
    )*};
}
operator! {
    Add add add |t: &Tensor, v: f64| t.affine(1.0, v);
    Sub sub sub |t: &Tensor, v: f64| t.affine(1.0, -v);
    Mul mul mul |t: &Tensor, v: f64| t.affine(v, 0.0);
    Div div div |t: &Tensor, v: f64| t.affine(1.0 / v, 0.0);
}

impl Neg for &Tensor {
    type Output = Tensor;
    #[track_caller]
    fn neg(self) -> Tensor {
        match Tensor::neg(self) {
            Ok(t) => t,
            Err(e) => panic!("{e}"),
        }
    }
}
impl Neg for Tensor {
    type Output = Tensor;
    #[track_caller]
    fn neg(self) -> Tensor {
        -&self
    }
}
