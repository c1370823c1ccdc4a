//! The operators: `&a + &b` for formulas whose shapes are known to fit, and `2.0 * &a + 1` with numbers. They are
//! the panicking form of the fallible methods, for users; the library itself never uses them.
//!
//! A number is weaker than a tensor: a float takes the tensor's float dtype, and turns integers and truth values
//! into float32; an integer takes any dtype (int64 beside truth values), which must be able to hold it. Where that
//! may fail, write `a.add(&a.new_full([], 1.0)?)`.
//!
//! Only f64 and i64 numbers work: with a second type of each, the compiler could not infer the type of the literal
//! in `2.0 * &a`.

use super::Tensor;
use crate::{DType, Error, Result};
use std::ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Sub, SubAssign};

#[derive(Clone, Copy)]
enum By {
    Add,
    Sub,
    Mul,
    Div,
}

/// A number beside a tensor.
enum Number {
    Real(f64),
    Whole(i64),
}

impl From<f64> for Number {
    fn from(v: f64) -> Number {
        Number::Real(v)
    }
}
impl From<i64> for Number {
    fn from(v: i64) -> Number {
        Number::Whole(v)
    }
}

/// # Panics
/// If the method returns an error.
#[track_caller]
fn must(result: Result<Tensor>) -> Tensor {
    match result {
        Ok(t) => t,
        Err(e) => panic!("{e}"),
    }
}

fn tensors(by: By, a: &Tensor, b: &Tensor) -> Result<Tensor> {
    match by {
        By::Add => Tensor::add(a, b),
        By::Sub => Tensor::sub(a, b),
        By::Mul => Tensor::mul(a, b),
        By::Div => Tensor::div(a, b),
    }
}

/// Computes with `t` and then the number, or the number first.
fn number(by: By, t: &Tensor, v: Number, first: bool) -> Result<Tensor> {
    let v = match v {
        Number::Real(v) => v,
        Number::Whole(v) if t.dtype().is_float() => v as f64,
        Number::Whole(v) => {
            let v = whole(v, t.dtype())?;
            return if first { tensors(by, &v, t) } else { tensors(by, t, &v) };
        }
    };
    match (by, first) {
        (By::Add, _) => t.affine(1.0, v),
        (By::Sub, false) => t.affine(1.0, -v),
        (By::Sub, true) => t.affine(-1.0, v),
        (By::Mul, _) => t.affine(v, 0.0),
        (By::Div, false) => t.affine(1.0 / v, 0.0),
        (By::Div, true) => {
            let t = if t.dtype().is_float() { t.clone() } else { t.cast(DType::F32.promote(t.dtype()))? };
            Tensor::div(&t.new_full([], v)?, &t)
        }
    }
}

/// Makes an integer beside a tensor of this dtype.
fn whole(v: i64, beside: DType) -> Result<Tensor> {
    let dtype = if beside == DType::Bool { DType::I64 } else { beside };
    let (wide, number) = (Tensor::scalar(v)?, Tensor::scalar(v)?.cast(dtype)?);
    if dtype.is_integer() && !number.cast(DType::I64)?.same_bits(&wide) {
        return Err(Error::argument("number", format!("one that {dtype} holds (or cast the tensor)"), v));
    }
    Ok(number)
}

macro_rules! operator {
    ($($trait:ident $op:ident, $assign:ident $op_assign:ident;)*) => {$(
        operator!(@assign $trait $op $assign $op_assign: &Tensor, Tensor, f64, i64);
        operator!(@tensors $trait $op &Tensor, &Tensor);
        operator!(@tensors $trait $op &Tensor, Tensor);
        operator!(@tensors $trait $op Tensor, &Tensor);
        operator!(@tensors $trait $op Tensor, Tensor);
        operator!(@numbers $trait $op f64 i64);
    )*};
    (@tensors $trait:ident $op:ident $a:ty, $b:ty) => {
        impl $trait<$b> for $a {
            type Output = Tensor;
            /// # Panics
            /// If the method of the same name returns an error.
            #[track_caller]
            fn $op(self, other: $b) -> Tensor {
                #[allow(clippy::needless_borrow)] // of those that are references already
                must(tensors(By::$trait, &self, &other))
            }
        }
    };
    (@assign $trait:ident $op:ident $assign:ident $op_assign:ident: $($other:ty),*) => {$(
        impl $assign<$other> for Tensor {
            /// # Panics
            /// If the method of the operation returns an error.
            #[track_caller]
            fn $op_assign(&mut self, other: $other) {
                *self = $trait::$op(&*self, other);
            }
        }
    )*};
    (@numbers $trait:ident $op:ident $($number:ty)*) => {$(
        operator!(@number $trait $op &Tensor, $number);
        operator!(@number $trait $op Tensor, $number);
    )*};
    (@number $trait:ident $op:ident $tensor:ty, $number:ty) => {
        impl $trait<$number> for $tensor {
            type Output = Tensor;
            /// # Panics
            /// If the method of the same name returns an error.
            #[track_caller]
            fn $op(self, other: $number) -> Tensor {
                #[allow(clippy::needless_borrow)] // as above
                must(number(By::$trait, &self, other.into(), false))
            }
        }
        impl $trait<$tensor> for $number {
            type Output = Tensor;
            /// # Panics
            /// If the method of the same name returns an error.
            #[track_caller]
            fn $op(self, other: $tensor) -> Tensor {
                #[allow(clippy::needless_borrow)] // as above
                must(number(By::$trait, &other, self.into(), true))
            }
        }
    };
}
operator! {
    Add add, AddAssign add_assign;
    Sub sub, SubAssign sub_assign;
    Mul mul, MulAssign mul_assign;
    Div div, DivAssign div_assign;
}

impl Neg for &Tensor {
    type Output = Tensor;
    #[track_caller]
    fn neg(self) -> Tensor {
        must(Tensor::neg(self))
    }
}
impl Neg for Tensor {
    type Output = Tensor;
    #[track_caller]
    fn neg(self) -> Tensor {
        must(Tensor::neg(&self))
    }
}
