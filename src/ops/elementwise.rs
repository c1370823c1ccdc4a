//! The tables of elementwise operations. A row defines everything about one: its formula, its derivative, and which
//! of input and output the derivative reads. The method, the fused kernels, the rule for every order of
//! differentiation and the gradient check follow from it.

use super::expr::Expr;
use super::promote::alike;
use super::table::Takes;
use crate::autograd::{
    Each, EachElement, End, Grads, Naming, Op, Saves, Specs, Step, apply_in_place, apply1, one,
};
use crate::dtype::dispatch_float;
use crate::kernels::math::{Real, SQRT_2_OVER_PI, Whole};
use crate::kernels::simd::stamped;
use crate::kernels::{map, par};
use crate::tensor::{Array, Few, Tensor, few};
use crate::{DType, Error, Float, MAX_RANK, Result, Shape, Spec};
use std::marker::PhantomData;

super::table::ops! {
    [Map, MapGrad, Zip, Affine];
    affine: Wide, Every, "Mul";
    clip: Numbers, Every, "Clip";
}

/// What a derivative formula reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reads {
    /// The input.
    X,
    /// The output: this keeps nothing that the next operation would not keep anyway.
    Y,
    /// Neither.
    Nothing,
}

/// A row of the table of functions of one operand.
pub(crate) trait Unary: 'static {
    const NAME: &'static str;
    const GRAD_NAME: &'static str;
    const READS: Reads;
    /// The smallest constant that it accepts.
    const LEAST: f64;
    /// Computes the function; `p` is the row's constant, if it has one.
    fn f<R: Real>(x: R, p: R) -> R;
    /// Computes the derivative from `v`, which is the input or the output as `READS` says.
    fn df<R: Real>(v: R, p: R) -> R;
    /// The function on integers, if it accepts them.
    const INTEGERS: bool;
    /// The function on integers, if `INTEGERS`.
    fn int<I: Whole>(x: I) -> I;
}

stamped! {
    fn unary_slice<U: Unary, T: Float>[R: T](x: &[T], out: &mut [T], p: T) {
        for (o, &x) in out.iter_mut().zip(x) {
            *o = U::f(R::of(x), R::of(p)).value();
        }
    }
}
stamped! {
    fn unary_grad_slice<U: Unary, T: Float>[R: T](g: &[T], v: &[T], out: &mut [T], p: T) {
        for ((o, &g), &v) in out.iter_mut().zip(g).zip(v) {
            *o = masked(g, U::df(R::of(v), R::of(p)).value());
        }
    }
}

/// One loop for each of the integer types.
struct Loops<F64, F32, F8, B8> {
    i64: F64,
    i32: F32,
    i8: F8,
    u8: B8,
}

type UnaryLoops =
    Loops<fn(&[i64], &mut [i64]), fn(&[i32], &mut [i32]), fn(&[i8], &mut [i8]), fn(&[u8], &mut [u8])>;

fn unary_whole<U: Unary, I: Whole>(x: &[I], out: &mut [I]) {
    for (o, &x) in out.iter_mut().zip(x) {
        *o = U::int(x);
    }
}

/// Computes `g · d`, and 0 where the derivative is 0: an infinite gradient does not pass where the derivative is
/// zero.
#[inline(always)]
fn masked<T: Float>(g: T, d: T) -> T {
    let product = g * d;
    if d == T::c(0.0) { T::c(0.0) } else { product }
}

/// Relative cost of one element against an addition, to decide where threads pay off.
const COST: usize = 8;

/// A row of the table of one operand as data: names and functions. One type of operation serves all rows, so that
/// the code around the kernels is compiled once.
pub(crate) struct Formula {
    name: &'static str,
    /// The name of its gradient.
    grad_name: &'static str,
    reads: Reads,
    single: UnarySlice<f32>,
    double: UnarySlice<f64>,
    grad_single: GradSlice<f32>,
    grad_double: GradSlice<f64>,
    /// The function on integers, if it accepts them.
    whole: Option<UnaryLoops>,
    /// The smallest constant that it accepts.
    least: f64,
    /// The derivative in tensor operations.
    df: fn(Expr, Expr) -> Expr,
}

/// Provides the data of a row.
pub(crate) struct Of<U>(PhantomData<U>);

impl<U: Unary> Of<U> {
    pub(crate) const ROW: &'static Formula = &Formula {
        name: U::NAME,
        grad_name: U::GRAD_NAME,
        reads: U::READS,
        single: unary_slice::<U, f32>,
        double: unary_slice::<U, f64>,
        grad_single: unary_grad_slice::<U, f32>,
        grad_double: unary_grad_slice::<U, f64>,
        whole: if U::INTEGERS {
            Some(Loops {
                i64: unary_whole::<U, i64>,
                i32: unary_whole::<U, i32>,
                i8: unary_whole::<U, i8>,
                u8: unary_whole::<U, u8>,
            })
        } else {
            None
        },
        least: U::LEAST,
        df: U::df,
    };
}

impl std::fmt::Debug for Formula {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl Naming for &'static Formula {
    fn name(self) -> &'static str {
        self.name
    }
    fn named(name: &str) -> Option<Self> {
        FORMULAS.iter().copied().find(|row| row.name == name)
    }
}

/// A row, named after its gradient.
#[derive(Debug, Clone, Copy)]
struct GradOf(&'static Formula);

impl Naming for GradOf {
    fn name(self) -> &'static str {
        let GradOf(Formula { grad_name, .. }) = self;
        grad_name
    }
    fn named(name: &str) -> Option<Self> {
        FORMULAS.iter().copied().find(|row| row.grad_name == name).map(GradOf)
    }
}

crate::op! {
    /// Applies a row, with its constant (0 for rows that have none).
    #[derive(Copy)]
    struct Map(row: &'static Formula, 1) { p: f64 }
}

impl Map {
    fn each(&self) -> EachElement {
        EachElement { name: self.row.name, f: Each::One(self.row.single), p: self.p as f32 }
    }
}

impl Op for Map {
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        if self.row.whole.is_none() || !inputs[0].dtype.is_integer() {
            float(self.row.name, inputs[0].dtype)?;
        }
        if self.p < self.row.least {
            let expected = format!("a constant of {} or more", self.row.least);
            return Err(Error::argument(self.row.name, expected, self.p));
        }
        Ok(few![inputs[0]])
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        let (Map { row, p }, x, out) = (*self, inputs[0], &mut outputs[0]);
        match x.dtype() {
            DType::F32 => {
                let f = |x: &[f32], o: &mut [f32]| (row.single)(x, o, p as f32);
                map::unary(x.view()?, out.slice_mut()?, COST, &f);
            }
            DType::F64 => {
                let f = |x: &[f64], o: &mut [f64]| (row.double)(x, o, p);
                map::unary(x.view()?, out.slice_mut()?, COST, &f);
            }
            got => match (got, &row.whole) {
                (DType::I64, Some(w)) => map::unary(x.view()?, out.slice_mut()?, 1, &w.i64),
                (DType::I32, Some(w)) => map::unary(x.view()?, out.slice_mut()?, 1, &w.i32),
                (DType::I8, Some(w)) => map::unary(x.view()?, out.slice_mut()?, 1, &w.i8),
                (DType::U8, Some(w)) => map::unary(x.view()?, out.slice_mut()?, 1, &w.u8),
                _ => return Err(not_float(row.name, got)),
            },
        }
        Ok(())
    }
    fn as_end(&self, inputs: &[Spec]) -> Option<End> {
        inputs[0].dtype.is_float().then_some(End::Map(self.each()))
    }
    fn works_in_place(&self, inputs: &[Spec]) -> bool {
        inputs[0].dtype == DType::F32
    }
    fn eval_in_place(&self, first: &mut Array, _: &[&Array]) -> Result<bool> {
        let each = self.each();
        if first.dtype() != DType::F32 {
            return Ok(false);
        }
        par::chunks(first.slice_mut::<f32>()?, 1, par::GRAIN / COST, &|_, run: &mut [f32]| {
            each.in_place(run)
        });
        Ok(true)
    }
    fn saves(&self, _: &[bool]) -> Saves {
        match self.row.reads {
            Reads::X => Saves::INPUTS,
            Reads::Y => Saves::OUTPUTS,
            Reads::Nothing => Saves::NONE,
        }
    }
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        if !step.spec(0).dtype.is_float() {
            return Ok(few![None]);
        }
        let Map { row, p } = *self;
        let v = match row.reads {
            Reads::X => step.input(0),
            Reads::Y => step.output(0),
            Reads::Nothing => return Ok(few![Some(row.slope(step.grad(0)?, None, p)?)]),
        };
        Ok(few![Some(row.backward(p, step, &v)?)])
    }
}

crate::op! {
    /// `g · df(v)` of a row in one pass, where `v` is what the derivative reads.
    #[derive(Copy)]
    struct MapGrad(row: GradOf, 2) { p: f64 }
}

impl Op for MapGrad {
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        let ([g, v], name) = ([inputs[0], inputs[1]], self.row.name());
        float(name, g.dtype)?;
        if g != v {
            return Err(Error::shapes(name, g.shape, v.shape, "both must have one shape and dtype"));
        }
        Ok(few![g])
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        let (MapGrad { row: GradOf(row), p }, g, v, out) = (*self, inputs[0], inputs[1], &mut outputs[0]);
        let cost = row.grad_cost();
        match g.dtype() {
            DType::F32 => {
                let f = |g: &[f32], v: &[f32], o: &mut [f32]| (row.grad_single)(g, v, o, p as f32);
                map::binary(g.view()?, v.view()?, out.slice_mut()?, cost, &f);
            }
            DType::F64 => {
                let f = |g: &[f64], v: &[f64], o: &mut [f64]| (row.grad_double)(g, v, o, p);
                map::binary(g.view()?, v.view()?, out.slice_mut()?, cost, &f);
            }
            got => return Err(not_float(row.name, got)),
        }
        Ok(())
    }
    fn eval_in_place(&self, g: &mut Array, rest: &[&Array]) -> Result<bool> {
        let (MapGrad { row: GradOf(row), p }, [v]) = (*self, rest) else { return Ok(false) };
        let v = v.contiguous()?;
        let cost = row.grad_cost();
        match g.dtype() {
            DType::F32 => {
                let f = |g: &[f32], v: &[f32], o: &mut [f32]| (row.grad_single)(g, v, o, p as f32);
                map::binary_in_place(g.slice_mut()?, v.slice()?, cost, &f);
            }
            DType::F64 => {
                let f = |g: &[f64], v: &[f64], o: &mut [f64]| (row.grad_double)(g, v, o, p);
                map::binary_in_place(g.slice_mut()?, v.slice()?, cost, &f);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        let MapGrad { row: GradOf(row), p } = *self;
        step.composed(|x| Ok(few![row.slope(x[0].clone(), Some(x[1].clone()), p)?]))
    }
}

impl Formula {
    /// Changes the gradient `g` of a step's first output to `g · df(v)`, in place if nothing else holds it.
    pub(crate) fn backward(&'static self, p: f64, step: &Step<'_>, v: &Tensor) -> Result<Tensor> {
        step.change_grad(0, |g| apply_in_place(MapGrad { row: GradOf(self), p }, g, &[v]))
    }

    /// Relative cost of an element of the gradient: one that reads the output is one or two products.
    fn grad_cost(&self) -> usize {
        if self.reads == Reads::Y { 1 } else { COST }
    }

    /// Computes `g · df(v)` in tensor operations.
    fn slope(&self, g: Tensor, v: Option<Tensor>, p: f64) -> Result<Tensor> {
        let like = g.clone();
        let v = v.map_or(Expr::Const(0.0), Expr::Tensor);
        (Expr::Tensor(g) * (self.df)(v, Expr::Const(p))).tensor(&like)
    }
}

fn unary(row: &'static Formula, p: f64, x: &Tensor) -> Result<Tensor> {
    apply1(Map { row, p }, &[x])
}

type UnarySlice<T> = fn(&[T], &mut [T], T);
type GradSlice<T> = fn(&[T], &[T], &mut [T], T);

#[cold]
fn not_float(op: &'static str, got: DType) -> Error {
    Error::DType { op, expected: "float32 or float64 (cast first)", got }
}

pub(crate) fn float(op: &'static str, got: DType) -> Result<()> {
    if got.is_float() { Ok(()) } else { Err(not_float(op, got)) }
}

/// A function of one operand as data: for checks, and for tables generated from the code.
#[derive(Clone, Copy)]
pub struct UnaryRow {
    /// The method's name.
    pub name: &'static str,
    /// The method.
    pub apply: fn(&Tensor) -> Result<Tensor>,
    /// An interval in which the function is smooth, for gradient checks.
    pub domain: [f64; 2],
    /// Which element types it takes.
    pub takes: Takes,
    /// ONNX's operator; empty if there is none.
    pub onnx: &'static str,
}

/// A function of two operands as data.
#[derive(Clone, Copy)]
pub struct BinaryRow {
    /// The method's name.
    pub name: &'static str,
    /// The method.
    pub apply: fn(&Tensor, &Tensor) -> Result<Tensor>,
    /// Intervals of both operands in which the function is smooth, for gradient checks.
    pub domain: [[f64; 2]; 2],
    /// Which element types it takes.
    pub takes: Takes,
    /// ONNX's operator; empty if there is none.
    pub onnx: &'static str,
}

/// Rows are `name: Type(x) = f; d(what it reads) = df; on [smooth interval] onnx Operator, int f;` (operator and
/// function of integers if there is one), with `Type(x; p = default)` for a constant, or `p = default from least`.
macro_rules! unary {
    ($($(#[$doc:meta])* $name:ident: $type:ident($x:ident $(; $p:ident = $default:literal $(from $least:literal)?)?) = $f:expr;
        d($reads:ident $v:ident) = $df:expr; on [$lo:expr, $hi:expr] $(onnx $onnx:ident)? $(, int $int:expr)?;)*) => {
        $(
            pub(crate) struct $type;
            impl Unary for $type {
                const NAME: &'static str = stringify!($name);
                const GRAD_NAME: &'static str = concat!(stringify!($name), "_grad");
                const READS: Reads = Reads::$reads;
                const LEAST: f64 = unary!(@least $($($least)?)?);
                #[inline(always)]
                fn f<R: Real>($x: R, p: R) -> R { unary!(@p p $($p)?); $f }
                #[inline(always)]
                fn df<R: Real>($v: R, p: R) -> R { unary!(@p p $($p)?); $df }
                const INTEGERS: bool = unary!(@there $($int)?);
                #[inline(always)]
                fn int<I: Whole>(x: I) -> I { unary!(@int x $($int)?) }
            }
        )*
        impl Tensor {
            $(unary! { @method $(#[$doc])* $name $type $($p)? })*
        }
        /// All rows.
        const FORMULAS: &[&Formula] = &[$(Of::<$type>::ROW),*];
        /// Every function of one operand.
        pub const UNARY: &[UnaryRow] = &[
            $(UnaryRow {
                name: stringify!($name),
                apply: |x| unary(Of::<$type>::ROW, unary!(@default $($default)?), x),
                domain: [$lo, $hi],
                takes: if <$type as Unary>::INTEGERS { Takes::Numbers } else { Takes::Floats },
                onnx: concat!($(stringify!($onnx))?),
            }),*
        ];
    };
    (@least) => { f64::NEG_INFINITY };
    (@least $least:literal) => { $least };
    (@there) => { false };
    (@there $int:expr) => { true };
    (@int $x:ident) => { $x };
    (@int $x:ident $int:expr) => { ($int)($x) };
    (@p $given:ident) => { let _ = $given; };
    (@p $given:ident $p:ident) => { #[allow(unused_variables)] let $p = $given; };
    (@default) => { 0.0 };
    (@default $default:expr) => { $default };
    (@method $(#[$doc:meta])* $name:ident $type:ident) => {
        $(#[$doc])*
        ///
        /// # Errors
        /// It does not accept the dtype (see [`UNARY`](crate::ops::UNARY)), or there is not enough memory.
        pub fn $name(&self) -> Result<Tensor> { unary(Of::<$type>::ROW, 0.0, self) }
    };
    (@method $(#[$doc:meta])* $name:ident $type:ident $p:ident) => {
        $(#[$doc])*
        ///
        /// # Errors
        /// The dtype is not float32 or float64, or there is not enough memory.
        pub fn $name(&self, $p: f64) -> Result<Tensor> { unary(Of::<$type>::ROW, $p, self) }
    };
}

/// Beyond this, `ln(x + √(x² ± 1))` equals `ln(2x)` to the last digit.
const LARGE: f64 = 1e8;

/// `ln(x / LARGE)` beyond [`LARGE`], else 0.
#[inline(always)]
fn ln_excess<R: Real>(x: R) -> R {
    (x.maximum(R::c(LARGE)) / R::c(LARGE)).ln()
}

/// `ln(a + √(a² + 1))` for `a = |x|`, computed from `a + a²/(1 + √(1 + a²))`, without cancellation.
#[inline(always)]
fn asinh<R: Real>(x: R) -> R {
    let a = x.clone().abs();
    let m = a.clone().minimum(R::c(LARGE));
    let near = m.clone() + m.clone() * m.clone() / (R::c(1.0) + (R::c(1.0) + m.clone() * m).sqrt());
    (near.ln_1p() + ln_excess(a)).copysign(x)
}

/// `ln(x + √(x² - 1))`, computed from `t = x - 1`.
#[inline(always)]
fn acosh<R: Real>(x: R) -> R {
    let t = x.clone().minimum(R::c(LARGE)) - R::c(1.0);
    (t.clone() + t.clone().sqrt() * (t + R::c(2.0)).sqrt()).ln_1p() + ln_excess(x)
}

/// Limits to finite numbers of either type. Only for values in which more than this makes no difference to the last
/// digit; a gradient needs [`difference`].
#[inline(always)]
fn finite<R: Real>(x: R) -> R {
    x.within(1e38)
}

/// `a - b`, and 0 of one infinity and the same.
fn difference<R: Real>(a: R, b: R) -> R {
    let d = a.clone() - b.clone();
    let both = is_number(a) * is_number(b);
    is_number(d.clone()).pick(d.clone(), both.pick(R::c(0.0), d))
}

/// `x` up to 0, then 0. At 0 its derivative is 1.
#[inline(always)]
fn up_to_zero<R: Real>(x: R) -> R {
    x.clone().pick(R::c(0.0), x)
}

/// `x - tanh(x)`: near 0 by the continued fraction of tanh (DLMF 4.39.1), as `x³ / (x² + 3 + x²/(5 + x²/(7 + …)))`, in
/// which nothing cancels.
#[inline(always)]
fn tanh_shrink<R: Real>(x: R) -> R {
    let square = x.clone() * x.clone();
    let mut below = R::c(17.0);
    for odd in [15.0, 13.0, 11.0, 9.0, 7.0, 5.0, 3.0] {
        below = R::c(odd) + square.clone() / below;
    }
    let near = x.clone() * (square.clone() / (square + below));
    (x.clone().abs() - R::c(1.0)).pick(x.clone() - x.tanh(), near)
}

/// `ln(cosh(x))`, as `ln(1 + 2·sinh²(x/2))` up to 20, beyond which it grows by as much as `|x|`.
#[inline(always)]
fn log_cosh<R: Real>(x: R) -> R {
    let a = x.abs();
    let m = a.clone().minimum(R::c(20.0));
    let e = (R::c(0.5) * m.clone()).exp_m1();
    let s = R::c(0.5) * (e.clone() + e.clone() / (e + R::c(1.0)));
    (R::c(2.0) * s.clone() * s).ln_1p() + (a - m)
}

/// 1 where zero, else 0.
#[inline(always)]
fn zero<R: Real>(x: R) -> R {
    R::c(1.0) - x.clone().step() - (-x).step()
}

/// The density of the standard normal distribution.
#[inline(always)]
fn density<R: Real>(x: R) -> R {
    R::c(FRAC_1_SQRT_2PI) * (R::c(-0.5) * x.clone() * x).exp_below()
}

/// 1/√(2π).
const FRAC_1_SQRT_2PI: f64 = 0.398_942_280_401_432_7;
/// The α of selu.
const SELU_ALPHA: f64 = 1.673_263_242_354_377_2;
const SELU_SCALE: f64 = 1.050_700_987_355_480_5;
const TWO_OVER_SQRT_PI: f64 = std::f64::consts::FRAC_2_SQRT_PI;

unary! {
    /// Negation. For integers it wraps: that of the smallest is itself, and for uint8 it counts from 256 down.
    neg: Neg(x) = -x; d(Nothing _v) = R::c(-1.0); on [-2.0, 2.0] onnx Neg, int I::negative;
    /// Absolute value. The derivative at 0 is 0. The smallest integer of its type stays as it is.
    abs: Abs(x) = x.abs(); d(X x) = x.clone().step() - (-x).step(); on [0.1, 2.0] onnx Abs, int I::magnitude;
    /// e to the power of each element.
    exp: Exp(x) = x.exp(); d(Y y) = y; on [-2.0, 2.0] onnx Exp;
    /// `exp(x) - 1` without cancellation.
    exp_m1: ExpM1(x) = x.exp_m1(); d(Y y) = y + R::c(1.0); on [-2.0, 2.0] onnx Exp;
    /// Natural logarithm.
    ln: Ln(x) = x.ln(); d(X x) = R::c(1.0) / x; on [0.2, 3.0] onnx Log;
    /// `ln(1 + x)` without cancellation.
    ln_1p: Ln1p(x) = x.ln_1p(); d(X x) = R::c(1.0) / (x + R::c(1.0)); on [-0.5, 3.0] onnx Log;
    /// Square root.
    sqrt: Sqrt(x) = x.sqrt(); d(Y y) = R::c(0.5) / y; on [0.2, 3.0] onnx Sqrt;
    /// The square. For integers it wraps.
    square: Square(x) = x.clone() * x; d(X x) = x.clone() + x; on [-2.0, 2.0] onnx Mul, int |x: I| x.times(x);
    /// Sine of radians.
    sin: Sin(x) = x.sin(); d(X x) = x.cos(); on [-3.0, 3.0] onnx Sin;
    /// Cosine of radians.
    cos: Cos(x) = x.cos(); d(X x) = -x.sin(); on [-3.0, 3.0] onnx Cos;
    /// Hyperbolic tangent.
    tanh: Tanh(x) = x.tanh(); d(Y y) = R::c(1.0) - y.clone() * y; on [-2.0, 2.0] onnx Tanh;
    /// `1 / (1 + exp(-x))`.
    sigmoid: Sigmoid(x) = x.sigmoid(); d(Y y) = y.clone() * (R::c(1.0) - y); on [-3.0, 3.0] onnx Sigmoid;
    /// Gauss's error function.
    erf: Erf(x) = x.erf();
        d(X x) = { let x = x.ends(100.0); R::c(TWO_OVER_SQRT_PI) * (-(x.clone() * x)).exp() }; on [-2.0, 2.0] onnx Erf;
    /// The standard normal distribution function Φ. In float32, small results have fewer correct digits: five at
    /// -5, two at -7.
    ndtr: Ndtr(x) = x.ndtr(); d(X x) = density(x.ends(100.0)); on [-3.0, 3.0];
    /// `max(x, 0)`, also for integers. The derivative at 0 is 0.
    relu: Relu(x) = x.maximum(R::c(0.0)); d(Y y) = y.step(); on [0.1, 2.0] onnx Relu, int |x: I| x.max(I::ZERO);
    /// 1 where positive, else 0. Its derivative counts as 0 everywhere.
    step: Heaviside(x) = x.step(); d(Nothing _v) = R::c(0.0); on [0.1, 2.0] onnx Greater;
    /// `x·Φ(x)` with the normal distribution function Φ (Hendrycks and Gimpel 2016), exact as Keras's default.
    gelu: Gelu(x) = x.gelu(); d(X x) = x.clone().ndtr() + x.clone().within(100.0) * density(x.ends(100.0));
        on [-3.0, 3.0] onnx Gelu;
    /// `x·sigmoid(x)`, also called swish.
    silu: Silu(x) = x.silu();
        d(X x) = { let s = x.clone().sigmoid(); s.clone() * (R::c(1.0) + x.within(1e4) * (R::c(1.0) - s)) };
        on [-3.0, 3.0] onnx Swish;
    /// -1, 0 or 1, also for integers. Its derivative counts as 0.
    sign: Sign(x) = x.sign(); d(Nothing _v) = R::c(0.0); on [0.1, 2.0] onnx Sign, int I::sign;
    /// Rounds down to a whole number; integers stay as they are. Its derivative counts as 0.
    floor: Floor(x) = x.floor(); d(Nothing _v) = R::c(0.0); on [0.1, 0.9] onnx Floor, int |x: I| x;
    /// Rounds up to a whole number; integers stay as they are. Its derivative counts as 0.
    ceil: Ceil(x) = -(-x).floor(); d(Nothing _v) = R::c(0.0); on [0.1, 0.9] onnx Ceil, int |x: I| x;
    /// Rounds to the nearest whole number, halves to the even one; integers stay as they are. Its derivative counts
    /// as 0.
    round: Round(x) = x.round(); d(Nothing _v) = R::c(0.0); on [0.1, 0.4] onnx Round, int |x: I| x;
    /// Cuts off the digits after the point; integers stay as they are. Its derivative counts as 0.
    trunc: Trunc(x) = x.clone().abs().floor().copysign(x);
        d(Nothing _v) = R::c(0.0); on [0.1, 0.9], int |x: I| x;
    /// `1 / √x`.
    rsqrt: Rsqrt(x) = R::c(1.0) / x.sqrt(); d(Y y) = R::c(-0.5) * y.clone() * y.clone() * y; on [0.2, 3.0] onnx Reciprocal;
    /// `1 / x`.
    reciprocal: Reciprocal(x) = R::c(1.0) / x; d(Y y) = -(y.clone() * y); on [0.2, 3.0] onnx Reciprocal;
    /// Base-2 logarithm, exact at powers of 2.
    log2: Log2(x) = x.log2(); d(X x) = R::c(std::f64::consts::LOG2_E) / x; on [0.2, 3.0] onnx Log;
    /// Base-10 logarithm, exact at powers of 10.
    log10: Log10(x) = x.log10(); d(X x) = R::c(std::f64::consts::LOG10_E) / x; on [0.2, 3.0] onnx Log;
    /// Tangent of radians.
    tan: Tan(x) = x.clone().sin() / x.cos(); d(Y y) = R::c(1.0) + y.clone() * y; on [-1.0, 1.0] onnx Tan;
    /// Hyperbolic sine.
    sinh: Sinh(x) = x.sinh(); d(X x) = x.cosh(); on [-2.0, 2.0] onnx Sinh;
    /// Hyperbolic cosine.
    cosh: Cosh(x) = x.cosh(); d(X x) = x.sinh(); on [-2.0, 2.0] onnx Cosh;
    /// `min(max(x, 0), 6)`. The derivative at 0 and 6 is 0.
    relu6: Relu6(x) = x.maximum(R::c(0.0)).minimum(R::c(6.0)); d(Y y) = y.clone().step() * (R::c(6.0) - y).step();
        on [0.1, 5.9] onnx Clip;
    /// `x` where positive, else `negative_slope · x` (Keras's function defaults to 0.2, its layer to 0.3).
    leaky_relu: LeakyRelu(x; negative_slope = 0.2) =
        x.clone().pick(x.clone(), negative_slope * x);
        d(X x) = x.pick(R::c(1.0), negative_slope); on [-2.0, -0.1] onnx LeakyRelu;
    /// `x` where positive, else `alpha · (exp(x) - 1)` (Clevert et al. 2016).
    elu: Elu(x; alpha = 1.0) = x.clone().pick(x.clone(), alpha * up_to_zero(x).exp_m1());
        d(X x) = x.clone().pick(R::c(1.0), alpha * up_to_zero(x).exp());
        on [-2.0, -0.1] onnx Elu;
    /// `x` where positive, else `alpha · (exp(x / alpha) - 1)` (Barron 2017).
    celu: Celu(x; alpha = 1.0) =
        x.clone().pick(x.clone(), alpha.clone() * (up_to_zero(x) / alpha).exp_m1());
        d(X x) = x.clone().pick(R::c(1.0), (up_to_zero(x) / alpha).exp());
        on [-2.0, -0.1] onnx Celu;
    /// Scaled ELU, whose fixed point has mean 0 and variance 1 (Klambauer et al. 2017).
    selu: Selu(x) = R::c(SELU_SCALE) * x.clone().pick(x.clone(), R::c(SELU_ALPHA) * up_to_zero(x).exp_m1());
        d(X x) = R::c(SELU_SCALE) * x.clone().pick(R::c(1.0), R::c(SELU_ALPHA) * up_to_zero(x).exp());
        on [-2.0, -0.1] onnx Selu;
    /// GELU by its tanh approximation, `½x(1 + tanh(√(2/π)(x + 0.044715x³)))`, which is `x·sigmoid` of twice that angle:
    /// so nothing cancels.
    gelu_tanh: GeluTanh(x) = x.clone().maximum(R::c(-100.0)) * x.gate();
        d(X x) = {
            let x = x.within(100.0);
            let square = x.clone() * x.clone();
            let s = x.clone().gate();
            let slope = R::c(2.0 * SQRT_2_OVER_PI) * (R::c(1.0) + R::c(3.0 * 0.044_715) * square);
            s.clone() * (R::c(1.0) + x * (R::c(1.0) - s) * slope)
        };
        on [-3.0, 3.0] onnx Gelu;
    /// `relu6(x + 3) / 6`.
    hard_sigmoid: HardSigmoid(x) = (x + R::c(3.0)).maximum(R::c(0.0)).minimum(R::c(6.0)) / R::c(6.0);
        d(Y y) = y.clone().step() * (R::c(1.0) - y).step() / R::c(6.0); on [-2.9, 2.9] onnx HardSigmoid;
    /// `x · hard_sigmoid(x)`, also called hard swish.
    hard_silu: HardSilu(x) = x.clone().maximum(R::c(-3.0)) * (x + R::c(3.0)).maximum(R::c(0.0)).minimum(R::c(6.0)) / R::c(6.0);
        d(X x) = {
            let h = (x.clone() + R::c(3.0)).maximum(R::c(0.0)).minimum(R::c(6.0)) / R::c(6.0);
            h.clone() + x.within(3.0) * h.clone().step() * (R::c(1.0) - h).step() / R::c(6.0)
        };
        on [-2.9, 2.9] onnx HardSwish;
    /// `min(max(x, -1), 1)`. The derivative at -1 and 1 is 1.
    hard_tanh: HardTanh(x) = x.maximum(R::c(-1.0)).minimum(R::c(1.0));
        d(X x) = R::c(1.0) - (x.abs() - R::c(1.0)).step(); on [-0.9, 0.9] onnx Clip;
    /// `x · tanh(softplus(x))` (Misra 2019).
    mish: Mish(x) = x.clone().maximum(R::c(-1e4)) * x.softplus().tanh();
        d(X x) = {
            let t = x.clone().softplus().tanh();
            t.clone() + x.clone().within(1e4) * (R::c(1.0) - t.clone() * t) * x.sigmoid()
        };
        on [-3.0, 3.0] onnx Mish;
    /// `x / (1 + |x|)`.
    softsign: Softsign(x) = { let x = finite(x); x.clone() / (R::c(1.0) + x.abs()) };
        d(X x) = { let r = R::c(1.0) / (R::c(1.0) + x.abs()); r.clone() * r }; on [0.1, 3.0] onnx Softsign;
    /// `ln(sigmoid(x))` without underflow.
    log_sigmoid: LogSigmoid(x) = x.clone().minimum(R::c(0.0)) - (-x.abs()).exp().ln_1p();
        d(X x) = (-x).sigmoid(); on [-3.0, 3.0] onnx Softplus;
    /// `x - tanh(x)`.
    tanh_shrink: TanhShrink(x) = tanh_shrink(x); d(X x) = { let t = x.tanh(); t.clone() * t }; on [-2.0, 2.0] onnx Tanh;
    /// `x` moved towards 0 by `threshold`, and 0 within it.
    soft_shrink: SoftShrink(x; threshold = 0.5 from 0.0) =
        (x.clone().abs() - threshold).maximum(R::c(0.0)).copysign(x);
        d(X x) = (x.abs() - threshold).step(); on [0.6, 2.0] onnx Shrink;
    /// `x` where its absolute value is above `threshold`, else 0.
    hard_shrink: HardShrink(x; threshold = 0.5) = x.clone() * (x.abs() - threshold).step();
        d(X x) = (x.abs() - threshold).step(); on [0.6, 2.0] onnx Shrink;
    /// `(x + √(x² + b)) / 2`, computed as `max(x, 0) + ½b / (|x| + √(x² + b))`, which neither cancels nor
    /// overflows.
    squareplus: Squareplus(x; b = 4.0 from 0.0) = {
            // Both halves of the sum, which could overflow; it is 0 only where `b` is, and `b` is the same in all of a loop.
            let half = R::c(0.5) * x.clone().abs() + R::c(0.5) * x.clone().root_plus(b.clone());
            x.maximum(R::c(0.0)) + R::c(0.25) * (b.clone() / (half + zero(b)))
        };
        d(X x) = {
            // Below 0 as ½b / (r·(r - x)) with the root r; the slopes of x and -x add up to 1. Each form is smooth at 0.
            let slope = |x: R| {
                let (root, none) = (x.clone().root_plus(b.clone()), zero(b.clone()));
                let half = R::c(0.5) * (b / (root.clone() + none.clone()));
                let above = R::c(1.0) - half.clone() / (root.clone() + x.clone().maximum(R::c(0.0)) + none.clone());
                let below = half / (root - up_to_zero(x.clone()) + none);
                x.pick(above, below)
            };
            x.clone().or_limit(|| x.step(), slope)
        };
        on [-3.0, 3.0];
    /// 2 to the power of each element.
    exp2: Exp2(x) = R::c(2.0).pow(x); d(Y y) = R::c(std::f64::consts::LN_2) * y; on [-2.0, 2.0] onnx Pow;
    /// `1 - erf(x)` without cancellation.
    erfc: Erfc(x) = x.erfc();
        d(X x) = { let x = x.ends(100.0); R::c(-TWO_OVER_SQRT_PI) * (-(x.clone() * x)).exp() }; on [-2.0, 2.0] onnx Erf;
    /// The angle in radians whose sine this is; NaN outside of [-1, 1].
    asin: Asin(x) = (x.clone()).atan2(((R::c(1.0) - x.clone()) * (R::c(1.0) + x)).sqrt());
        d(X x) = R::c(1.0) / ((R::c(1.0) - x.clone()) * (R::c(1.0) + x)).sqrt(); on [-0.9, 0.9] onnx Asin;
    /// The angle in radians whose cosine this is; NaN outside of [-1, 1].
    acos: Acos(x) = R::c(2.0) * (R::c(1.0) - x.clone()).sqrt().atan2((R::c(1.0) + x).sqrt());
        d(X x) = R::c(-1.0) / ((R::c(1.0) - x.clone()) * (R::c(1.0) + x)).sqrt(); on [-0.9, 0.9] onnx Acos;
    /// The angle in radians whose tangent this is.
    atan: Atan(x) = x.atan2(R::c(1.0)); d(X x) = R::c(1.0) / (R::c(1.0) + x.clone() * x); on [-3.0, 3.0] onnx Atan;
    /// Inverse of [`Tensor::sinh`].
    asinh: Asinh(x) = asinh(x); d(X x) = R::c(1.0) / R::c(1.0).hypot(x); on [-3.0, -0.1] onnx Asinh;
    /// Inverse of [`Tensor::cosh`]; NaN below 1.
    acosh: Acosh(x) = acosh(x);
        d(X x) = R::c(1.0) / ((x.clone() - R::c(1.0)).sqrt() * (x + R::c(1.0)).sqrt()); on [1.2, 4.0] onnx Acosh;
    /// Inverse of [`Tensor::tanh`]; NaN outside of [-1, 1].
    atanh: Atanh(x) = R::c(0.5) * (x.clone().ln_1p() - (-x).ln_1p());
        d(X x) = R::c(1.0) / ((R::c(1.0) - x.clone()) * (R::c(1.0) + x)); on [-0.8, 0.8] onnx Atanh;
    /// 0 up to -1, `(x + 1)² / 4` up to 1, then `x`.
    sparse_plus: SparsePlus(x) = {
            let inner = x.clone().maximum(R::c(-1.0)).minimum(R::c(1.0)) + R::c(1.0);
            R::c(0.25) * inner.clone() * inner + (x - R::c(1.0)).maximum(R::c(0.0))
        };
        d(X x) = R::c(0.5) * (x.maximum(R::c(-1.0)).minimum(R::c(1.0)) + R::c(1.0)); on [-0.9, 0.9];
    /// `(x + 1) / 2` limited to [0, 1]. The derivative at -1 and 1 is 0.
    sparse_sigmoid: SparseSigmoid(x) = R::c(0.5) * (x.maximum(R::c(-1.0)).minimum(R::c(1.0)) + R::c(1.0));
        d(Y y) = R::c(0.5) * y.clone().step() * (R::c(1.0) - y).step(); on [-0.9, 0.9];
    /// `ln(1 + exp(x))` without overflow.
    softplus: Softplus(x) = x.softplus(); d(X x) = x.sigmoid(); on [-3.0, 3.0] onnx Softplus;
    /// `ln(cosh(x))` without overflow or cancellation.
    log_cosh: LogCosh(x) = log_cosh(x); d(X x) = x.tanh(); on [-3.0, 3.0];
    /// The cube root.
    cbrt: Cbrt(x) = x.cbrt(); d(Y y) = R::c(1.0 / 3.0) / (y.clone() * y); on [0.2, 3.0];
    /// Degrees to radians.
    deg2rad: Deg2Rad(x) = x * R::c(std::f64::consts::PI / 180.0); d(Nothing _v) = R::c(std::f64::consts::PI / 180.0);
        on [-90.0, 90.0] onnx Mul;
    /// Radians to degrees.
    rad2deg: Rad2Deg(x) = x * R::c(180.0 / std::f64::consts::PI); d(Nothing _v) = R::c(180.0 / std::f64::consts::PI);
        on [-2.0, 2.0] onnx Mul;
    /// `ln(x / (1 - x))`, the inverse of [`Tensor::sigmoid`]; NaN outside of [0, 1].
    logit: Logit(x) = {
            // Around ½ from the distance to it, in which nothing cancels.
            let near = ((R::c(2.0) * x.clone() - R::c(1.0)) / (R::c(1.0) - x.clone())).ln_1p();
            (R::c(0.25) - (x.clone() - R::c(0.5)).abs()).pick(near, (x.clone() / (R::c(1.0) - x)).ln())
        };
        // By way of a root, which is NaN outside of [0, 1].
        d(X x) = { let s = (x.clone() * (R::c(1.0) - x)).sqrt(); R::c(1.0) / (s.clone() * s) }; on [0.1, 0.9];
    /// `sin(πx) / (πx)`, and 1 at 0. Whole numbers other than 0 give 0 exactly.
    sinc: Sinc(x) = x.sinc(R::c(0.0)); d(X x) = x.sinc(R::c(1.0)); on [-3.0, 3.0];
    /// The derivative of [`Tensor::sinc`] of an order, a whole number from 0 to 10; NaN for others.
    sinc_derivative: SincDerivative(x; order = 1.0) = x.sinc(order); d(X x) = x.sinc(order + R::c(1.0)); on [-3.0, 3.0];
    /// The inverse of [`Tensor::erf`]: infinite at -1 and 1, NaN beyond.
    erfinv: ErfInv(x) = x.erfinv(); d(Y y) = R::c(1.0 / TWO_OVER_SQRT_PI) * (y.clone() * y).exp(); on [-0.9, 0.9];
    /// `ln |Γ(x)|`, the logarithm of the gamma function's size.
    lgamma: Lgamma(x) = x.lgamma(); d(X x) = x.polygamma(R::c(0.0)); on [0.2, 4.0];
    /// The digamma function, the derivative of [`Tensor::lgamma`]; infinite at 0 and NaN at whole numbers below.
    digamma: Digamma(x) = x.polygamma(R::c(0.0)); d(X x) = x.polygamma(R::c(1.0)); on [0.5, 4.0];
    /// The derivative of [`Tensor::digamma`] of an order, a whole number from 0 to 100 (for negative
    /// elements, to 30); NaN for others.
    polygamma: Polygamma(x; order = 1.0) = x.polygamma(order); d(X x) = x.polygamma(order + R::c(1.0)); on [1.0, 4.0];
    /// The modified Bessel function of the first kind of order 0.
    i0: I0(x) = x.bessel_i(R::c(0.0)); d(X x) = x.bessel_i(R::c(1.0)); on [-3.0, 3.0];
    /// The modified Bessel function of the first kind of order 1.
    i1: I1(x) = x.bessel_i(R::c(1.0)); d(X x) = R::c(0.5) * (x.clone().bessel_i(R::c(0.0)) + x.bessel_i(R::c(2.0)));
        on [-3.0, 3.0];
    /// `exp(-|x|)` times [`Tensor::i0`]. The derivative at 0 is 0.
    i0e: I0e(x) = x.bessel_ie(R::c(0.0)); d(X x) = x.bessel_ie_slope(R::c(0.0)); on [0.1, 3.0];
    /// `exp(-|x|)` times [`Tensor::i1`].
    i1e: I1e(x) = x.bessel_ie(R::c(1.0)); d(X x) = x.bessel_ie_slope(R::c(1.0)); on [0.1, 3.0];
    /// The modified Bessel function of the first kind of an order, a whole number from -20 to 20; NaN for others.
    bessel_i: BesselI(x; order = 2.0) = x.bessel_i(order);
        d(X x) = R::c(0.5) * (x.clone().bessel_i(order.clone() - R::c(1.0)) + x.bessel_i(order + R::c(1.0)));
        on [-3.0, 3.0];
    /// `exp(-|x|)` times [`Tensor::bessel_i`].
    bessel_ie: BesselIe(x; order = 2.0) = x.bessel_ie(order); d(X x) = x.bessel_ie_slope(order); on [0.1, 3.0];
}

/// How an operation on two operands handles integers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Integers {
    /// It does not accept them.
    Refused,
    /// It computes with them; results out of range wrap.
    Wrap,
    /// The same, but the second must not be negative.
    Exponents,
    /// It converts them to float64, and its result to float32.
    Fraction,
}

/// A row of the table of functions of two operands.
trait Binary: 'static {
    const NAME: &'static str;
    /// Whether the derivatives read the operands.
    const READS: bool;
    /// The element types it accepts.
    const TAKES: Takes;
    /// How it handles integers.
    const INTEGERS: Integers;
    fn f<R: Real>(a: R, b: R) -> R;
    /// The function on integers, which wraps, if [`Integers`] says so.
    fn int<I: Whole>(a: I, b: I) -> I;
    /// The gradient of each operand, from `g`.
    fn da<R: Real>(g: R, a: R, b: R) -> R;
    fn db<R: Real>(g: R, a: R, b: R) -> R;
}

stamped! {
    fn binary_slice<B: Binary, T: Float>[R: T](a: &[T], b: &[T], out: &mut [T]) {
        for ((o, &a), &b) in out.iter_mut().zip(a).zip(b) {
            *o = B::f(R::of(a), R::of(b)).value();
        }
    }
}

/// A row of the table of two operands as data.
struct Pair {
    name: &'static str,
    reads: bool,
    takes: Takes,
    integers: Integers,
    single: BinarySlice<f32>,
    double: BinarySlice<f64>,
    /// The function on integers, if it computes with them.
    whole: Option<BinaryLoops>,
    da: Flow,
    db: Flow,
}

type BinarySlice<T> = fn(&[T], &[T], &mut [T]);
type BinaryLoops = Loops<BinarySlice<i64>, BinarySlice<i32>, BinarySlice<i8>, BinarySlice<u8>>;
type Flow = fn(Expr, Expr, Expr) -> Expr;

struct PairOf<B>(PhantomData<B>);

impl<B: Binary> PairOf<B> {
    const ROW: &'static Pair = &Pair {
        name: B::NAME,
        reads: B::READS,
        takes: B::TAKES,
        integers: B::INTEGERS,
        single: binary_slice::<B, f32>,
        double: binary_slice::<B, f64>,
        whole: match B::INTEGERS {
            Integers::Refused | Integers::Fraction => None,
            Integers::Wrap | Integers::Exponents => Some(Loops {
                i64: binary_whole::<B, i64>,
                i32: binary_whole::<B, i32>,
                i8: binary_whole::<B, i8>,
                u8: binary_whole::<B, u8>,
            }),
        },
        da: B::da,
        db: B::db,
    };
}

fn binary_whole<B: Binary, I: Whole>(a: &[I], b: &[I], out: &mut [I]) {
    for ((o, &a), &b) in out.iter_mut().zip(a).zip(b) {
        *o = B::int(a, b);
    }
}

impl Pair {
    /// Checks that it computes with operands of this dtype.
    fn check(&self, dtype: DType) -> Result<()> {
        match dtype {
            DType::Bool if self.whole.is_some() && self.takes == Takes::Wide => Ok(()),
            DType::Bool if self.takes != Takes::Floats => {
                let expected = "numbers (cast truth values to int64 to count them, or see logical_or)";
                Err(Error::DType { op: self.name, expected, got: dtype })
            }
            dtype if self.whole.is_some() && dtype.is_integer() => Ok(()),
            dtype => float(self.name, dtype),
        }
    }

    /// For integers, checks that the second may be an exponent.
    fn check_exponents(&self, b: &Array) -> Result<()> {
        if self.integers != Integers::Exponents || b.dtype().is_float() {
            return Ok(());
        }
        let b = Tensor::from(b.clone());
        if b.elements() > 0 && b.min(&[], false)?.item()? < 0.0 {
            let expected = "exponents of 0 or more for integers (cast to float32 for others)";
            return Err(Error::argument(self.name, expected, b.min(&[], false)?.item()?));
        }
        Ok(())
    }
}

impl std::fmt::Debug for Pair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl Naming for &'static Pair {
    fn name(self) -> &'static str {
        self.name
    }
    fn named(name: &str) -> Option<Self> {
        PAIRS.iter().copied().find(|row| row.name == name)
    }
}

crate::op! {
    /// Applies a row of the table of two operands.
    #[derive(Copy)]
    struct Zip(row: &'static Pair, 2) {}
}

impl Op for Zip {
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        let ([a, b], name) = ([inputs[0], inputs[1]], self.row.name);
        if a.dtype != b.dtype {
            let why = format!("{} and {} differ in element type: cast one of them", a.dtype, b.dtype);
            return Err(Error::shapes(name, a.shape, b.shape, why));
        }
        self.row.check(a.dtype)?;
        Ok(one(Shape::broadcast(name, a.shape, b.shape)?, a.dtype))
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        let (row, out) = (self.row, &mut outputs[0]);
        row.check_exponents(inputs[1])?;
        let [a, b] = [0, 1].map(|i| inputs[i].with_layout(inputs[i].layout().broadcast(*out.shape())));
        match (a.dtype(), &row.whole) {
            (DType::F32, _) => map::binary(a.view()?, b.view()?, out.slice_mut()?, 1, &row.single),
            (DType::F64, _) => map::binary(a.view()?, b.view()?, out.slice_mut()?, 1, &row.double),
            (DType::I64, Some(w)) => map::binary(a.view()?, b.view()?, out.slice_mut()?, 1, &w.i64),
            (DType::I32, Some(w)) => map::binary(a.view()?, b.view()?, out.slice_mut()?, 1, &w.i32),
            (DType::I8, Some(w)) => map::binary(a.view()?, b.view()?, out.slice_mut()?, 1, &w.i8),
            (DType::U8 | DType::Bool, Some(w)) => {
                map::binary(a.view()?, b.view()?, out.slice_mut()?, 1, &w.u8)
            }
            (got, _) => return Err(not_float(row.name, got)),
        }
        Ok(())
    }
    fn eval_in_place(&self, first: &mut Array, rest: &[&Array]) -> Result<bool> {
        let [more] = rest else { return Ok(false) };
        if self.row.name != Add::NAME || !first.dtype().is_float() {
            return Ok(false);
        }
        let more = more.contiguous()?;
        dispatch_float!(Add::NAME, first.dtype(), T => {
            let (sum, more) = (first.slice_mut::<T>()?, more.slice::<T>()?);
            par::chunks(sum, 1, par::GRAIN, &|first, run: &mut [T]| {
                for (s, &m) in run.iter_mut().zip(&more[first..]) {
                    *s += m;
                }
            });
        });
        Ok(true)
    }
    fn as_end(&self, inputs: &[Spec]) -> Option<End> {
        let [a, b] = [inputs[0], inputs[1]];
        if self.row.name != Add::NAME || !a.dtype.is_float() || a.dtype != b.dtype {
            return None;
        }
        // A bias has the last axes of the other, whole.
        let ends_with = |all: &Shape, end: &Shape| end.rank() > 0 && all.dims().ends_with(end.dims());
        match a == b {
            true => Some(End::Residual),
            false => (ends_with(&a.shape, &b.shape) || ends_with(&b.shape, &a.shape)).then_some(End::Bias),
        }
    }
    fn as_end_with(&self, second: f32) -> Option<End> {
        Some(End::Map(EachElement { name: self.row.name, f: Each::Two(self.row.single), p: second }))
    }
    fn works_in_place(&self, inputs: &[Spec]) -> bool {
        self.row.name == Add::NAME && inputs[0].dtype.is_float() && inputs[0] == inputs[1]
    }
    fn saves(&self, _: &[bool]) -> Saves {
        if self.row.reads { Saves::INPUTS } else { Saves::NONE }
    }
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        if !step.spec(0).dtype.is_float() {
            return Ok(few![None, None]);
        }
        let g = step.grad(0)?;
        let (a, b) = (step.input(0), step.input(1));
        let expr = |t: &Tensor| Expr::Tensor(t.clone());
        let mut grads: Grads = few![None, None];
        for (i, slot) in grads.iter_mut().enumerate().filter(|(i, _)| step.wants(*i)) {
            let flow = if i == 0 { self.row.da } else { self.row.db };
            *slot = Some(flow(expr(&g), expr(&a), expr(&b)).tensor(&g)?.sum_to(&step.spec(i).shape)?);
        }
        Ok(grads)
    }
}

fn binary(row: &'static Pair, a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let [a, b] = alike([a, b])?;
    if row.integers == Integers::Fraction && (a.dtype().is_integer() || a.dtype() == DType::Bool) {
        let (a, b) = (a.cast(DType::F64)?, b.cast(DType::F64)?);
        return apply1(Zip { row }, &[&a, &b])?.cast(DType::F32);
    }
    apply1(Zip { row }, &[&a, &b])
}

macro_rules! binary {
    ($($(#[$doc:meta])* $name:ident: $type:ident($a:ident, $b:ident) = $f:expr; int $takes:ident $integers:ident $(($int:expr))?; reads $reads:expr;
        da($g:ident) = $da:expr; db = $db:expr; on $domain:expr $(, onnx $onnx:ident)?;)*) => {
        $(
            struct $type;
            impl Binary for $type {
                const NAME: &'static str = stringify!($name);
                const READS: bool = $reads;
                const TAKES: Takes = Takes::$takes;
                const INTEGERS: Integers = Integers::$integers;
                #[inline(always)]
                fn f<R: Real>($a: R, $b: R) -> R { $f }
                #[inline(always)]
                fn int<I: Whole>(a: I, _b: I) -> I { binary!(@int a _b $($int)?) }
                #[allow(unused_variables)]
                fn da<R: Real>($g: R, $a: R, $b: R) -> R { $da }
                #[allow(unused_variables)]
                fn db<R: Real>($g: R, $a: R, $b: R) -> R { $db }
            }
        )*
        impl Tensor {
            $(
                $(#[$doc])*
                ///
                /// Shapes broadcast as in NumPy; dtypes are promoted by [`DType::promote`].
                ///
                /// # Errors
                /// Shapes do not broadcast, it does not compute in the dtype, or there is not enough memory.
                pub fn $name(&self, other: &Tensor) -> Result<Tensor> { binary(PairOf::<$type>::ROW, self, other) }
            )*
        }
        /// All rows.
        const PAIRS: &[&Pair] = &[$(PairOf::<$type>::ROW),*];
        /// Every function of two operands.
        pub const BINARY: &[BinaryRow] = &[
            $(BinaryRow {
                name: stringify!($name),
                apply: Tensor::$name,
                domain: $domain,
                takes: Takes::$takes,
                onnx: concat!($(stringify!($onnx))?),
            }),*
        ];
    };
    (@int $a:ident $b:ident) => { $a };
    (@int $a:ident $b:ident $int:expr) => { ($int)($a, $b) };
}

binary! {
    /// The sum. For integers it wraps.
    add: Add(a, b) = a + b; int Numbers Wrap(I::plus); reads false;
        da(g) = g; db = g; on [[-2.0, 2.0]; 2], onnx Add;
    /// The difference. For integers it wraps.
    sub: Sub(a, b) = a - b; int Numbers Wrap(I::minus); reads false;
        da(g) = g; db = -g; on [[-2.0, 2.0]; 2], onnx Sub;
    /// The product, element by element. For integers it wraps; for truth values it is "and".
    mul: Mul(a, b) = a * b; int Wide Wrap(I::times); reads true;
        da(g) = g * b; db = g * a; on [[-2.0, 2.0]; 2], onnx Mul;
    /// The quotient. For integers and truth values it is float32, computed in float64.
    div: Div(a, b) = a / b; int Wide Fraction; reads true;
        da(g) = g / b; db = -(g * ((a / b.clone()) / b)); on [[-2.0, 2.0], [0.5, 2.0]], onnx Div;
    /// The larger; NaN if either is NaN. Where both are equal the gradient is shared equally.
    maximum: Maximum(a, b) = a.maximum(b); int Wide Wrap(I::max); reads true;
        da(g) = g * prefers(a, b); db = g * prefers(b, a); on [[-2.0, 0.0], [0.1, 2.0]], onnx Max;
    /// The smaller; NaN if either is NaN. Where both are equal the gradient is shared equally.
    minimum: Minimum(a, b) = a.minimum(b); int Wide Wrap(I::min); reads true;
        da(g) = g * prefers(b, a); db = g * prefers(a, b); on [[-2.0, 0.0], [0.1, 2.0]], onnx Min;
    /// The first to the power of the second, by C's rules. Where the first is not positive, the second's gradient
    /// is 0 (NaN if the power or the first is); at 0⁰ both are. To the power of 0 everything is 1, NaN too, so the first's
    /// gradient is 0 there. For integers it wraps, and exponents must not be negative.
    pow: Pow(a, b) = a.pow(b); int Numbers Exponents(I::power); reads true;
        da(g) = {
            // x⁰ has the slope 0·x⁻¹, which must not become 0·∞ or NaN.
            let inverse = (R::c(1.0) / a.clone()).abs();
            let origin = zero(b.clone()) * (R::c(1.0) - R::c(f64::INFINITY).above(inverse));
            g * b.clone() * a.pow(b - R::c(1.0) + origin)
        };
        db = {
            let (s, power) = (a.clone().step(), a.clone().pow(b));
            let base = a.clone().maximum(R::c(0.0)) + (R::c(1.0) - s.clone());
            let flat = is_number(a.clone()).pick(is_number(power.clone()).pick(R::c(0.0), power.clone()), a);
            g * s.pick(power * base.ln(), flat)
        };
        on [[0.3, 2.0], [0.3, 2.0]], onnx Pow;
    /// Binary cross-entropy of a logit (first) against a probability (second), per element:
    /// `max(x, 0) - x·t + ln(1 + exp(-|x|))`, which never overflows.
    binary_cross_entropy: BinaryCrossEntropy(x, t) =
        x.clone().maximum(R::c(0.0)) - x.clone() * t + (-x.abs()).exp().ln_1p(); int Floats Refused; reads true;
        // σ(x) - t, without cancellation where a certain prediction is right.
        da(g) = g * ((R::c(1.0) - t.clone()) * x.clone().sigmoid() - t * (-x).sigmoid()); db = -(g * x); on [[0.1, 3.0], [0.0, 1.0]];
    /// `ln(exp(a) + exp(b))` without overflow.
    logaddexp: LogAddExp(a, b) = {
            let (top, low) = (a.clone().maximum(b.clone()), a.minimum(b));
            top.clone() + (low - finite(top)).minimum(R::c(0.0)).exp().ln_1p()
        };
        int Floats Refused; reads true;
        da(g) = g * difference(a, b).sigmoid(); db = g * difference(b, a).sigmoid(); on [[-2.0, 2.0]; 2], onnx ReduceLogSumExp;
    /// The square of the difference.
    squared_difference: SquaredDifference(a, b) = (a.clone() - b.clone()) * (a - b);
        int Numbers Wrap(|a: I, b: I| a.minus(b).times(a.minus(b))); reads true;
        da(g) = g * R::c(2.0) * (a - b); db = g * R::c(2.0) * (b - a); on [[-2.0, 2.0]; 2], onnx Mul;
    /// The angle in radians, from -π to π, of the point whose ordinate is the first and whose abscissa is the
    /// second. At the origin both gradients are 0.
    atan2: Atan2(y, x) = y.atan2(x); int Floats Refused; reads true;
        da(g) = g * ratio(ratio(x.clone(), y.clone().hypot(x.clone())), y.hypot(x));
        db = -(g * ratio(ratio(y.clone(), y.clone().hypot(x.clone())), y.hypot(x)));
        on [[0.2, 2.0], [-2.0, 2.0]];
    /// The quotient rounded down to a whole number, like Python's `//`. Its derivative counts as 0. Integers
    /// divided by 0 give 0.
    floor_div: FloorDiv(a, b) = a.floor_div(b); int Numbers Wrap(I::floor_div); reads false;
        da(g) = R::c(0.0); db = R::c(0.0); on [[0.1, 0.4], [0.5, 0.9]], onnx Floor;
    /// `a - b·⌊a / b⌋`, which has the sign of `b`, like Python's `%` and NumPy's `mod`. Integers divided by 0 give
    /// 0.
    remainder: Remainder(a, b) = a.rem(b); int Numbers Wrap(I::remainder); reads true;
        da(g) = g; db = -(g * a.floor_div(b)); on [[2.1, 2.4], [0.9, 1.0]], onnx Mod;
    /// The remainder with the sign of the first, like C's and NumPy's `fmod`. Integers divided by 0 give 0.
    fmod: Fmod(a, b) = a.clone().abs().rem(b.abs()).copysign(a);
        int Numbers Wrap(|a: I, b: I| if b == I::ZERO { b } else { a.div_rem(b).1 }); reads true;
        da(g) = g; db = -(g * a.clone().abs().floor_div(b.clone().abs()).copysign(a * b)); on [[2.1, 2.4], [0.9, 1.0]], onnx Mod;
    /// `√(a² + b²)` without overflow or underflow. At the origin both gradients are 0.
    hypot: Hypot(a, b) = a.hypot(b); int Floats Refused; reads true;
        da(g) = g * ratio(a.clone(), a.hypot(b)); db = g * ratio(b.clone(), a.hypot(b)); on [[0.2, 2.0], [-2.0, -0.1]];
    /// The absolute value of the first with the sign of the second, that of a zero and of NaN included.
    copysign: Copysign(a, b) = a.copysign(b); int Floats Refused; reads true;
        da(g) = g * a.sign() * R::c(1.0).copysign(b); db = R::c(0.0); on [[0.2, 2.0], [-2.0, -0.1]];
    /// The next number from the first in the direction of the second. The gradient is the first's.
    nextafter: NextAfter(a, b) = a.nextafter(b); int Floats Refused; reads false;
        da(g) = g; db = R::c(0.0); on [[-2.0, 2.0]; 2];
    /// The first times 2 to the power of the second, rounded once.
    ldexp: Ldexp(a, b) = a.ldexp(b); int Floats Refused; reads true;
        da(g) = g.ldexp(b); db = g * R::c(std::f64::consts::LN_2) * a.ldexp(b); on [[0.2, 2.0], [-2.0, 2.0]];
    /// `a·ln(b)`, and 0 where `a` is 0, unless `b` is NaN. Where `a` is 0 the second's gradient is 0, and so is the first's
    /// if `b` is 0 or less: a term that counts as 0 does not pass on infinities or NaN.
    xlogy: Xlogy(a, b) = a.clone().abs().pick(a.clone() * b.clone().ln(), a.abs() * finite(b).abs());
        int Floats Refused; reads true;
        da(g) = (zero(a) * (R::c(1.0) - b.clone().step())).pick(R::c(0.0), g * b.clone().ln());
        db = (zero(a.clone()) * is_number(b.clone())).pick(R::c(0.0), g * a / b); on [[-2.0, 2.0], [0.2, 2.0]];
    /// 0 where the first is negative, 1 where it is positive, the second where it is 0. The first's derivative counts
    /// as 0.
    heaviside: HeavisideStep(a, b) = a.clone().pick(R::c(1.0), (-a.clone()).pick(R::c(0.0), a + b)); int Floats Refused; reads true;
        da(g) = R::c(0.0); db = g * zero(a); on [[0.2, 2.0], [-2.0, 2.0]];
    /// `log2(2^a + 2^b)` without overflow.
    logaddexp2: LogAddExp2(a, b) = {
            let (top, low) = (a.clone().maximum(b.clone()), a.minimum(b));
            let less = (low - finite(top.clone())).minimum(R::c(0.0));
            top + (R::c(std::f64::consts::LN_2) * less).exp().ln_1p() * R::c(std::f64::consts::LOG2_E)
        };
        int Floats Refused; reads true;
        da(g) = g * (R::c(std::f64::consts::LN_2) * difference(a, b)).sigmoid();
        db = g * (R::c(std::f64::consts::LN_2) * difference(b, a)).sigmoid(); on [[-2.0, 2.0]; 2];
    /// The larger; where one is NaN the other. Where both are equal the gradient is shared equally, and where both are NaN it
    /// is the first's.
    fmax: Fmax(a, b) = a.clone().above(b.clone()).pick(a.clone(), is_number(b.clone()).pick(b, a));
        int Floats Refused; reads true;
        da(g) = is_number(b.clone()).pick(g.clone() * is_number(a.clone()) * prefers(a, b), g);
        db = is_number(b.clone()) * is_number(a.clone()).pick(g.clone() * prefers(b, a), g); on [[-2.0, 0.0], [0.1, 2.0]];
    /// The smaller; where one is NaN the other. Where both are equal the gradient is shared equally, and where both are NaN it
    /// is the first's.
    fmin: Fmin(a, b) = b.clone().above(a.clone()).pick(a.clone(), is_number(b.clone()).pick(b, a));
        int Floats Refused; reads true;
        da(g) = is_number(b.clone()).pick(g.clone() * is_number(a.clone()) * prefers(b, a), g);
        db = is_number(b.clone()) * is_number(a.clone()).pick(g.clone() * prefers(a, b), g); on [[-2.0, 0.0], [0.1, 2.0]];
    /// The quotient, and 0 where the second is 0. Gradients there are 0.
    divide_no_nan: DivideNoNan(a, b) = ratio(a, b); int Floats Refused; reads true;
        da(g) = ratio(g, b); db = -ratio(ratio(g * a, b.clone()), b); on [[-2.0, 2.0], [0.5, 2.0]];
}

/// 1 where `a > b`, ½ where equal (infinities too), 0 where less.
fn prefers<R: Real>(a: R, b: R) -> R {
    R::c(0.5) + R::c(0.5) * (a.clone().above(b.clone()) - b.above(a))
}

/// 1 for numbers and infinities, 0 for NaN.
#[inline(always)]
fn is_number<R: Real>(x: R) -> R {
    R::c(f64::INFINITY).above(x.clone()).maximum(x.above(R::c(0.0)))
}

/// `x / y`, and 0 where `y` is 0.
#[inline(always)]
fn ratio<R: Real>(x: R, y: R) -> R {
    zero(y.clone()).pick(R::c(0.0), x / (y.clone() + zero(y)))
}

crate::op! {
    /// `scale · x + shift` with constants.
    #[derive(Copy)]
    struct Affine("affine", 1) { scale: f64, shift: f64 }
}

stamped! {
    fn affine_slice<T: Float>(x: &[T], out: &mut [T], scale: T, shift: T) {
        for (o, &x) in out.iter_mut().zip(x) {
            *o = x * scale + shift;
        }
    }
}

impl Op for Affine {
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        float("affine", inputs[0].dtype)?;
        Ok(few![inputs[0]])
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        dispatch_float!("affine", inputs[0].dtype(), T => {
            let (scale, shift) = (T::of(self.scale), T::of(self.shift));
            let f = |x: &[T], out: &mut [T]| affine_slice(x, out, scale, shift);
            map::unary(inputs[0].view::<T>()?, outputs[0].slice_mut::<T>()?, 1, &f);
        });
        Ok(())
    }
    fn saves(&self, _: &[bool]) -> Saves {
        Saves::NONE
    }
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        let g = step.grad(0)?;
        Ok(few![Some(if self.scale == 1.0 { g } else { g.affine(self.scale, 0.0)? })])
    }
}

impl Tensor {
    /// Computes `scale · x + shift` with constants, rounding after each of the two steps. Integers and truth values
    /// become float32 first.
    ///
    /// # Errors
    /// The dtype is bfloat16 or float16, or there is not enough memory.
    pub fn affine(&self, scale: f64, shift: f64) -> Result<Tensor> {
        if self.dtype().is_integer() || self.dtype() == DType::Bool {
            return self.cast(DType::F32)?.affine(scale, shift);
        }
        apply1(Affine { scale, shift }, &[self])
    }

    /// Adds `more`, in place if nothing else holds the memory and nothing is recorded; shapes and dtypes are equal.
    pub(crate) fn add_in_place(&mut self, more: &Tensor) -> Result<()> {
        apply_in_place(Zip { row: PairOf::<Add>::ROW }, self, &[more])
    }

    /// Limits elements to `[low, high]`; the gradient is zero outside. Integers stay integers within the bounds;
    /// bounds beyond their range do not limit them.
    ///
    /// # Errors
    /// `low > high`, no integer lies between them, the dtype is bool, bfloat16 or float16, or there is not enough
    /// memory.
    pub fn clip(&self, low: f64, high: f64) -> Result<Tensor> {
        if low > high || low.is_nan() || high.is_nan() {
            return Err(Error::argument("clip", "low <= high", format!("{low} and {high}")));
        }
        if self.dtype() == DType::Bool {
            return Err(not_float("clip", DType::Bool));
        }
        if self.dtype().is_integer() {
            return self.clip_whole(low, high);
        }
        self.maximum(&self.new_full([], low)?)?.minimum(&self.new_full([], high)?)
    }

    /// Limits integers to the bounds, rounded inwards.
    fn clip_whole(&self, low: f64, high: f64) -> Result<Tensor> {
        let (least, most) = (low.ceil(), high.floor());
        if least > most {
            let expected = "bounds with an integer between them";
            return Err(Error::argument("clip", expected, format!("{low} and {high}")));
        }
        self.maximum(&self.new_full([], least)?)?.minimum(&self.new_full([], most)?)
    }

    /// Sums over the axes along which `shape` was broadcast to this tensor's shape: the adjoint of broadcasting.
    pub(crate) fn sum_to(&self, shape: &Shape) -> Result<Tensor> {
        if self.shape() == shape {
            return Ok(self.clone());
        }
        let lead = self.rank() - shape.rank();
        let stretched = |i: usize| i < lead || (shape.dims()[i - lead] == 1 && self.dims()[i] != 1);
        let axes = (0..self.rank()).filter(|&i| stretched(i)).map(|i| i as isize);
        let axes: Few<isize, MAX_RANK> = axes.collect();
        if axes.is_empty() {
            return self.reshape_to(*shape);
        }
        self.sum(&axes, false)?.reshape_to(*shape)
    }
}
