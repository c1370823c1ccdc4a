//! Operations on elements: any order of axes is theirs, as long as all inputs have it.

use super::super::emit::{Call, Emit, Field};
use super::Form::{As, Not};
use super::conv::channels_first;
use super::{Row, SPECIAL, TRAINING};
use crate::kernels::math::SQRT_2_OVER_PI;
use crate::{DType, Error, Result};

/// Writes an operation whose elements depend only on those in the same place.
pub(super) fn pointwise(
    e: &mut Emit<'_>,
    call: &Call,
    f: impl FnOnce(&mut Emit<'_>, &[&str]) -> Result<String>,
) -> Result<()> {
    let out = call.outputs[0];
    let order = e.common_order(&call.inputs, e.rank(out));
    let inputs = call.inputs.iter().map(|&value| e.aligned(value, &order)).collect::<Result<Vec<_>>>()?;
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    e.dtype = e.spec(*call.inputs.last().unwrap_or(&out)).dtype;
    let name = f(e, &inputs)?;
    e.put(out, name, order);
    Ok(())
}

/// The value itself.
pub(super) fn same(e: &mut Emit<'_>, call: &Call) -> Result<()> {
    let order = e.order(call.inputs[0]);
    let name = e.stored(call.inputs[0], &order)?;
    e.put(call.outputs[0], name, order);
    Ok(())
}

/// The last inputs, which were computed from the first ones.
pub(super) fn computed(e: &mut Emit<'_>, call: &Call) -> Result<()> {
    let first = call.inputs.len() - call.outputs.len();
    for (&input, &output) in call.inputs[first..].iter().zip(&call.outputs) {
        let order = e.order(input);
        let name = e.stored(input, &order)?;
        e.put(output, name, order);
    }
    Ok(())
}

/// A row of a function with one operand, `x`, and its constant, `p`; `e` writes the nodes.
macro_rules! unary {
    ($name:literal, $onnx:literal, |$e:ident, $x:ident, $p:ident| $body:expr) => {
        (
            $name,
            As($onnx, |e, call| {
                let p: f64 = call.attr("p")?;
                pointwise(e, call, |$e, inputs| {
                    let ($x, $p) = (inputs[0], p);
                    let _ = $p;
                    $body
                })
            }),
        )
    };
    ($name:literal, $onnx:literal) => {
        ($name, As($onnx, |e, call| pointwise(e, call, |e, x| Ok(e.node($onnx, x)))))
    };
}

/// A row of a function of two operands.
macro_rules! binary {
    ($name:literal, $onnx:literal, |$e:ident, $a:ident, $b:ident| $body:expr) => {
        (
            $name,
            As($onnx, |e, call| {
                pointwise(e, call, |$e, inputs| {
                    let ($a, $b) = (inputs[0], inputs[1]);
                    $body
                })
            }),
        )
    };
    ($name:literal, $onnx:literal) => {
        ($name, As($onnx, |e, call| pointwise(e, call, |e, x| Ok(e.node($onnx, x)))))
    };
}

pub(super) const FORMS: &[Row] = &[
    unary!("neg", "Neg"),
    unary!("abs", "Abs"),
    unary!("exp", "Exp"),
    unary!("exp_m1", "Exp, Sub", |e, x, p| {
        let y = e.node("Exp", &[x]);
        e.plus(&y, -1.0)
    }),
    unary!("ln", "Log"),
    unary!("ln_1p", "Add, Log", |e, x, p| {
        let y = e.plus(x, 1.0)?;
        Ok(e.node("Log", &[&y]))
    }),
    unary!("sqrt", "Sqrt"),
    unary!("square", "Mul", |e, x, p| Ok(e.mul(x, x))),
    unary!("sin", "Sin"),
    unary!("cos", "Cos"),
    unary!("tan", "Tan"),
    unary!("tanh", "Tanh"),
    unary!("sigmoid", "Sigmoid"),
    unary!("erf", "Erf"),
    unary!("erfc", "Erf, Sub", |e, x, p| {
        let y = e.node("Erf", &[x]);
        let one = e.c(1.0)?;
        Ok(e.sub(&one, &y))
    }),
    unary!("ndtr", "Erf, Add, Mul", |e, x, p| ndtr(e, x)),
    unary!("relu", "Relu"),
    unary!("step", "Greater, Cast", |e, x, p| {
        let y = above(e, x, 0.0)?;
        Ok(e.cast(&y, e.dtype))
    }),
    unary!("gelu", "Gelu from 20, else Erf", |e, x, p| match e.opset {
        20.. => Ok(e.node("Gelu", &[x])),
        _ => {
            let y = ndtr(e, x)?;
            Ok(e.mul(x, &y))
        }
    }),
    unary!("gelu_tanh", "Sigmoid, Mul", |e, x, p| {
        let square = e.mul(x, x);
        let inner = e.times(&square, 2.0 * SQRT_2_OVER_PI * 0.044_715)?;
        let inner = e.plus(&inner, 2.0 * SQRT_2_OVER_PI)?;
        let inner = e.mul(x, &inner);
        let y = e.node("Sigmoid", &[&inner]);
        Ok(e.mul(x, &y))
    }),
    unary!("silu", "Sigmoid, Mul", |e, x, p| {
        let y = e.node("Sigmoid", &[x]);
        Ok(e.mul(x, &y))
    }),
    unary!("sign", "Sign"),
    unary!("floor", "Floor"),
    unary!("ceil", "Ceil"),
    unary!("round", "Round"),
    unary!("trunc", "Sign, Abs, Floor, Mul", |e, x, p| {
        let (sign, size) = (e.node("Sign", &[x]), e.node("Abs", &[x]));
        let size = e.node("Floor", &[&size]);
        Ok(e.mul(&sign, &size))
    }),
    unary!("rsqrt", "Sqrt, Reciprocal", |e, x, p| {
        let y = e.node("Sqrt", &[x]);
        Ok(e.node("Reciprocal", &[&y]))
    }),
    unary!("reciprocal", "Reciprocal"),
    unary!("log2", "Log, Mul", |e, x, p| {
        let y = e.node("Log", &[x]);
        e.times(&y, std::f64::consts::LOG2_E)
    }),
    unary!("log10", "Log, Mul", |e, x, p| {
        let y = e.node("Log", &[x]);
        e.times(&y, std::f64::consts::LOG10_E)
    }),
    unary!("exp2", "Mul, Exp", |e, x, p| {
        let y = e.times(x, std::f64::consts::LN_2)?;
        Ok(e.node("Exp", &[&y]))
    }),
    unary!("sinh", "Sinh"),
    unary!("cosh", "Cosh"),
    unary!("asin", "Asin"),
    unary!("acos", "Acos"),
    unary!("atan", "Atan"),
    unary!("asinh", "Asinh"),
    unary!("acosh", "Acosh"),
    unary!("atanh", "Atanh"),
    unary!("relu6", "Max, Min", |e, x, p| clip(e, x, 0.0, 6.0)),
    unary!("hard_tanh", "Max, Min", |e, x, p| clip(e, x, -1.0, 1.0)),
    unary!("leaky_relu", "LeakyRelu", |e, x, p| with(e, "LeakyRelu", x, &[("alpha", p)])),
    unary!("elu", "Elu", |e, x, p| with(e, "Elu", x, &[("alpha", p)])),
    unary!("celu", "Celu", |e, x, p| with(e, "Celu", x, &[("alpha", p)])),
    unary!("selu", "Selu", |e, x, p| with(
        e,
        "Selu",
        x,
        &[("alpha", 1.673_263_242_354_377_2), ("gamma", 1.050_700_987_355_480_5)]
    )),
    unary!("hard_sigmoid", "HardSigmoid", |e, x, p| with(
        e,
        "HardSigmoid",
        x,
        &[("alpha", 1.0 / 6.0), ("beta", 0.5)]
    )),
    unary!("hard_silu", "HardSwish from 14, else HardSigmoid", |e, x, p| match e.opset {
        14.. => Ok(e.node("HardSwish", &[x])),
        _ => {
            let y = with(e, "HardSigmoid", x, &[("alpha", 1.0 / 6.0), ("beta", 0.5)])?;
            Ok(e.mul(x, &y))
        }
    }),
    unary!("mish", "Mish from 18, else Softplus, Tanh", |e, x, p| match e.opset {
        18.. => Ok(e.node("Mish", &[x])),
        _ => {
            let y = e.node("Softplus", &[x]);
            let y = e.node("Tanh", &[&y]);
            Ok(e.mul(x, &y))
        }
    }),
    unary!("softplus", "Softplus"),
    unary!("softsign", "Softsign"),
    unary!("log_sigmoid", "Softplus, Neg", |e, x, p| {
        let y = e.node("Neg", &[x]);
        let y = e.node("Softplus", &[&y]);
        Ok(e.node("Neg", &[&y]))
    }),
    unary!("tanh_shrink", "Tanh, Sub", |e, x, p| {
        let y = e.node("Tanh", &[x]);
        Ok(e.sub(x, &y))
    }),
    unary!("soft_shrink", "Shrink", |e, x, p| with(e, "Shrink", x, &[("lambd", p), ("bias", p)])),
    unary!("hard_shrink", "Shrink", |e, x, p| with(e, "Shrink", x, &[("lambd", p), ("bias", 0.0)])),
    unary!("squareplus", "Mul, Add, Sqrt", |e, x, p| {
        let y = e.mul(x, x);
        let y = e.plus(&y, p)?;
        let y = e.node("Sqrt", &[&y]);
        let y = e.add2(x, &y);
        e.times(&y, 0.5)
    }),
    unary!("sparse_plus", "Max, Min, Mul, Relu, Add", |e, x, p| {
        let inner = clip(e, x, -1.0, 1.0)?;
        let inner = e.plus(&inner, 1.0)?;
        let square = e.mul(&inner, &inner);
        let square = e.times(&square, 0.25)?;
        let rest = e.plus(x, -1.0)?;
        let rest = e.node("Relu", &[&rest]);
        Ok(e.add2(&square, &rest))
    }),
    unary!("sparse_sigmoid", "Max, Min, Add, Mul", |e, x, p| {
        let inner = clip(e, x, -1.0, 1.0)?;
        let inner = e.plus(&inner, 1.0)?;
        e.times(&inner, 0.5)
    }),
    unary!("log_cosh", "Abs, Softplus, Add", |e, x, p| {
        let size = e.node("Abs", &[x]);
        let y = e.times(&size, -2.0)?;
        let y = e.node("Softplus", &[&y]);
        let y = e.add2(&size, &y);
        e.plus(&y, -std::f64::consts::LN_2)
    }),
    unary!("cbrt", "Sign, Abs, Pow, Mul", |e, x, p| {
        let (sign, size, third) = (e.node("Sign", &[x]), e.node("Abs", &[x]), e.c(1.0 / 3.0)?);
        let size = e.node("Pow", &[&size, &third]);
        Ok(e.mul(&sign, &size))
    }),
    unary!("deg2rad", "Mul", |e, x, p| e.times(x, std::f64::consts::PI / 180.0)),
    unary!("rad2deg", "Mul", |e, x, p| e.times(x, 180.0 / std::f64::consts::PI)),
    unary!("logit", "Sub, Div, Log", |e, x, p| {
        let one = e.c(1.0)?;
        let rest = e.sub(&one, x);
        let y = e.div(x, &rest);
        Ok(e.node("Log", &[&y]))
    }),
    unary!("sinc", "Sin, Div, Where", |e, x, p| {
        let y = e.times(x, std::f64::consts::PI)?;
        let (sin, zero, one) = (e.node("Sin", &[&y]), e.c(0.0)?, e.c(1.0)?);
        let (at_zero, ratio) = (e.node("Equal", &[x, &zero]), e.div(&sin, &y));
        Ok(e.node("Where", &[&at_zero, &one, &ratio]))
    }),
    ("sinc_derivative", Not(TRAINING)),
    unary!("erfinv", "Log, Sqrt, Mul, Add, Where", |e, x, p| erfinv(e, x)),
    ("exponent", As("Log, Floor, Pow, Where, Cast", |e, call| pointwise(e, call, |e, x| exponent(e, x[0])))),
    ("lgamma", Not(SPECIAL)),
    ("digamma", Not(SPECIAL)),
    ("polygamma", Not(SPECIAL)),
    ("i0", Not(SPECIAL)),
    ("i1", Not(SPECIAL)),
    ("i0e", Not(SPECIAL)),
    ("i1e", Not(SPECIAL)),
    ("bessel_i", Not(SPECIAL)),
    ("bessel_ie", Not(SPECIAL)),
    (
        "affine",
        As("Mul, Add", |e, call| {
            let (scale, shift): (f64, f64) = (call.attr("scale")?, call.attr("shift")?);
            pointwise(e, call, |e, x| {
                let y = if scale == 1.0 { x[0].to_string() } else { e.times(x[0], scale)? };
                if shift == 0.0 { Ok(y) } else { e.plus(&y, shift) }
            })
        }),
    ),
    ("mul_add", As("BatchNormalization of channels first, else Mul, Add", mul_add)),
    binary!("add", "Add"),
    binary!("sub", "Sub"),
    binary!("mul", "Mul, of truth values And", |e, a, b| Ok(
        e.node(if e.dtype == DType::Bool { "And" } else { "Mul" }, &[a, b])
    )),
    binary!("div", "Div"),
    binary!("maximum", "Max, of truth values Or", |e, a, b| Ok(
        e.node(if e.dtype == DType::Bool { "Or" } else { "Max" }, &[a, b])
    )),
    binary!("minimum", "Min, of truth values And", |e, a, b| Ok(
        e.node(if e.dtype == DType::Bool { "And" } else { "Min" }, &[a, b])
    )),
    binary!("pow", "Pow"),
    binary!("squared_difference", "Sub, Mul", |e, a, b| {
        let d = e.sub(a, b);
        Ok(e.mul(&d, &d))
    }),
    binary!("logaddexp", "Max, Min, Sub, Exp, Log, Add", |e, a, b| log_add(e, a, b)),
    binary!("logaddexp2", "Mul, Max, Min, Sub, Exp, Log, Add", |e, a, b| {
        let (a, b) = (e.times(a, std::f64::consts::LN_2)?, e.times(b, std::f64::consts::LN_2)?);
        let y = log_add(e, &a, &b)?;
        e.times(&y, std::f64::consts::LOG2_E)
    }),
    binary!("binary_cross_entropy", "Softplus, Mul, Sub", |e, x, t| {
        let (soft, product) = (e.node("Softplus", &[x]), e.mul(x, t));
        Ok(e.sub(&soft, &product))
    }),
    binary!("floor_div", "Div, Floor; of integers Mod, Sub, Div", |e, a, b| {
        if e.dtype.is_integer() {
            // ONNX's Div of integers rounds to 0; without the remainder there is nothing to round.
            let rest = e.node("Mod", &[a, b]);
            let whole = e.sub(a, &rest);
            return Ok(e.div(&whole, b));
        }
        let y = e.div(a, b);
        Ok(e.node("Floor", &[&y]))
    }),
    binary!("remainder", "Mod; of floats Div, Floor, Mul, Sub", |e, a, b| {
        if e.dtype.is_integer() {
            return Ok(e.node("Mod", &[a, b]));
        }
        let times = e.div(a, b);
        let times = e.node("Floor", &[&times]);
        let whole = e.mul(&times, b);
        Ok(e.sub(a, &whole))
    }),
    binary!("fmod", "Mod", |e, a, b| Ok(e.node_with("Mod", &[a, b], vec![("fmod", Field::Int(1))]))),
    binary!("hypot", "Mul, Add, Sqrt", |e, a, b| {
        let (a, b) = (e.mul(a, a), e.mul(b, b));
        let sum = e.add2(&a, &b);
        Ok(e.node("Sqrt", &[&sum]))
    }),
    binary!("divide_no_nan", "Equal, Div, Where", |e, a, b| {
        let (zero, one) = (e.c(0.0)?, e.c(1.0)?);
        let none = e.node("Equal", &[b, &zero]);
        let by = e.node("Where", &[&none, &one, b]);
        let ratio = e.div(a, &by);
        Ok(e.node("Where", &[&none, &zero, &ratio]))
    }),
    binary!("xlogy", "Equal, Log, Mul, Where", |e, a, b| {
        let zero = e.c(0.0)?;
        let (none, ln) = (e.node("Equal", &[a, &zero]), e.node("Log", &[b]));
        let product = e.mul(a, &ln);
        Ok(e.node("Where", &[&none, &zero, &product]))
    }),
    binary!("heaviside", "Less, Greater, Where", |e, a, b| {
        let (zero, one) = (e.c(0.0)?, e.c(1.0)?);
        let (above, below) = (e.node("Greater", &[a, &zero]), e.node("Less", &[a, &zero]));
        let rest = e.node("Where", &[&below, &zero, b]);
        Ok(e.node("Where", &[&above, &one, &rest]))
    }),
    binary!("copysign", "Abs, Less, Neg, Where", |e, a, b| {
        let (zero, size) = (e.c(0.0)?, e.node("Abs", &[a]));
        let (below, negative) = (e.node("Less", &[b, &zero]), e.node("Neg", &[&size]));
        Ok(e.node("Where", &[&below, &negative, &size]))
    }),
    binary!("ldexp", "Mul, Exp, Mul", |e, a, b| {
        let two = e.c(2.0)?;
        let power = e.node("Pow", &[&two, b]);
        Ok(e.mul(a, &power))
    }),
    binary!("atan2", "Abs, Div, Atan, Where", |e, y, x| atan2(e, y, x)),
    ("nextafter", Not("ONNX reads no bits of numbers")),
    binary!("fmax", "Max, IsNaN, Where", |e, a, b| but_nan(e, "Max", a, b)),
    binary!("fmin", "Min, IsNaN, Where", |e, a, b| but_nan(e, "Min", a, b)),
    binary!("equal", "Equal"),
    binary!("not_equal", "Equal, Not", |e, a, b| {
        let y = e.node("Equal", &[a, b]);
        Ok(e.node("Not", &[&y]))
    }),
    binary!("less", "Less", |e, a, b| Ok(compared(e, "Less", a, b))),
    binary!("less_equal", "LessOrEqual", |e, a, b| Ok(compared(e, "LessOrEqual", a, b))),
    (
        "where",
        As("Where; of truth values And, Or, Not", |e, call| {
            pointwise(e, call, |e, x| {
                if e.dtype != DType::Bool {
                    return Ok(e.node("Where", x));
                }
                // ONNX Runtime chooses between no truth values.
                let other = e.node("Not", &[x[0]]);
                let (a, b) = (e.node("And", &[x[0], x[1]]), e.node("And", &[&other, x[2]]));
                Ok(e.node("Or", &[&a, &b]))
            })
        }),
    ),
    (
        "cast",
        As("Cast", |e, call| {
            let to: DType = call.attr("dtype")?;
            pointwise(e, call, |e, x| {
                // Of a fraction that is below 1, a truth value is true.
                if to == DType::Bool && e.dtype.is_float() {
                    let zero = e.c(0.0)?;
                    let none = e.node("Equal", &[x[0], &zero]);
                    return Ok(e.node("Not", &[&none]));
                }
                Ok(e.cast(x[0], to))
            })
        }),
    ),
];

/// With a factor and a shift for each channel, that is a normalization by statistics which are 0 and 1 already: programs fold it into
/// the convolution before it.
fn mul_add(e: &mut Emit<'_>, call: &Call) -> Result<()> {
    let [x, s, t] = [call.inputs[0], call.inputs[1], call.inputs[2]];
    let (rank, order) = (e.rank(x), e.order(x));
    let per_channel = [s, t].iter().all(|value| e.known(*value).is_some_and(|t| t.rank() == 1));
    if rank < 3 || order != channels_first(rank) || !per_channel {
        return pointwise(e, call, |e, x| {
            let y = e.mul(x[0], x[1]);
            Ok(e.add2(&y, x[2]))
        });
    }
    let (dtype, channels) = (e.spec(s).dtype, e.spec(s).shape);
    let (x, s, t) = (e.stored(x, &order)?, e.plain(s)?, e.plain(t)?);
    let mean = e.filled(channels, dtype, 0.0)?;
    let variance = e.filled(channels, dtype, 1.0)?;
    let fields = vec![("epsilon", Field::Float(0.0))];
    let y = e.node_with("BatchNormalization", &[&x, &s, &t, &mean, &variance], fields);
    e.put(call.outputs[0], y, order);
    Ok(())
}

/// `ln(exp(a) + exp(b))`. Of equal ones, infinite too, the difference is 0.
pub(super) fn log_add(e: &mut Emit<'_>, a: &str, b: &str) -> Result<String> {
    let (top, low, zero) = (e.node("Max", &[a, b]), e.node("Min", &[a, b]), e.c(0.0)?);
    let (same, less) = (e.node("Equal", &[&low, &top]), e.sub(&low, &top));
    let less = e.node("Where", &[&same, &zero, &less]);
    let more = e.node("Exp", &[&less]);
    let more = e.plus(&more, 1.0)?;
    let more = e.node("Log", &[&more]);
    Ok(e.add2(&top, &more))
}

/// The larger or smaller one, or that which is a number.
fn but_nan(e: &mut Emit<'_>, op: &'static str, a: &str, b: &str) -> Result<String> {
    let y = e.node(op, &[a, b]);
    if !e.dtype.is_float() {
        return Ok(y);
    }
    let (no_a, no_b) = (e.node("IsNaN", &[a]), e.node("IsNaN", &[b]));
    let y = e.node("Where", &[&no_b, a, &y]);
    Ok(e.node("Where", &[&no_a, b, &y]))
}

/// Whether a number has a minus, zeros too.
fn has_minus(e: &mut Emit<'_>, x: &str) -> Result<String> {
    let (zero, inverse) = (e.c(0.0)?, e.node("Reciprocal", &[x]));
    let (below, inverse_below) = (e.node("Less", &[x, &zero]), e.node("Less", &[&inverse, &zero]));
    Ok(e.node("Or", &[&below, &inverse_below]))
}

/// The angle in the first quarter from the sizes, then the quarter from the signs.
fn atan2(e: &mut Emit<'_>, y: &str, x: &str) -> Result<String> {
    let (rise, run) = (e.node("Abs", &[y]), e.node("Abs", &[x]));
    let (zero, one, pi) = (e.c(0.0)?, e.c(1.0)?, e.c(std::f64::consts::PI)?);
    let (same, none) = (e.node("Equal", &[&rise, &run]), e.node("Equal", &[&rise, &zero]));
    let diagonal = e.node("Where", &[&none, &zero, &one]);
    let slope = e.div(&rise, &run);
    let slope = e.node("Where", &[&same, &diagonal, &slope]);
    let angle = e.node("Atan", &[&slope]);
    let (left, turned) = (has_minus(e, x)?, e.sub(&pi, &angle));
    let angle = e.node("Where", &[&left, &turned, &angle]);
    let (down, turned) = (has_minus(e, y)?, e.node("Neg", &[&angle]));
    Ok(e.node("Where", &[&down, &turned, &angle]))
}

/// The polynomials of M. Giles, "Approximating the erfinv function" (2010), of float32.
fn erfinv(e: &mut Emit<'_>, x: &str) -> Result<String> {
    if e.dtype != DType::F32 {
        return Err(Error::argument("onnx", "erfinv of float32, to which its polynomials belong", e.dtype));
    }
    const MIDDLE: [f64; 9] = [
        2.810_226_36e-8,
        3.432_739_39e-7,
        -3.523_387_7e-6,
        -4.391_506_54e-6,
        0.000_218_580_87,
        -0.001_253_725_03,
        -0.004_177_681_64,
        0.246_640_727,
        1.501_409_41,
    ];
    const ENDS: [f64; 9] = [
        -0.000_200_214_257,
        0.000_100_950_558,
        0.001_349_343_22,
        -0.003_673_428_44,
        0.005_739_507_73,
        -0.007_622_461_3,
        0.009_438_870_47,
        1.001_674_06,
        2.832_976_82,
    ];
    let one = e.c(1.0)?;
    let (less, more) = (e.sub(&one, x), e.add2(&one, x));
    let w = e.mul(&less, &more);
    let w = e.node("Log", &[&w]);
    let w = e.node("Neg", &[&w]);
    let (root, border) = (e.node("Sqrt", &[&w]), e.c(5.0)?);
    let (near, far) = (e.plus(&w, -2.5)?, e.plus(&root, -3.0)?);
    let polynomial = |e: &mut Emit<'_>, w: &str, c: &[f64; 9]| -> Result<String> {
        let mut y = e.c(c[0])?;
        for c in &c[1..] {
            y = e.mul(&y, w);
            y = e.plus(&y, *c)?;
        }
        Ok(y)
    };
    let (near, far) = (polynomial(e, &near, &MIDDLE)?, polynomial(e, &far, &ENDS)?);
    let inside = e.node("Less", &[&w, &border]);
    let factor = e.node("Where", &[&inside, &near, &far]);
    let y = e.mul(&factor, x);
    // At the ends.
    let (size, infinite) = (e.node("Abs", &[x]), e.times(x, f64::INFINITY)?);
    let end = e.node("Equal", &[&size, &one]);
    Ok(e.node("Where", &[&end, &infinite, &y]))
}

/// From the logarithm, and corrected where that was rounded across a power of two.
fn exponent(e: &mut Emit<'_>, x: &str) -> Result<String> {
    let (zero, one, half) = (e.c(0.0)?, e.c(1.0)?, e.c(0.5)?);
    let (size, infinite) = (e.node("Abs", &[x]), e.c(f64::INFINITY)?);
    let (above, below) = (e.node("Greater", &[&size, &zero]), e.node("Less", &[&size, &infinite]));
    let usual = e.node("And", &[&above, &below]);
    let size = e.node("Where", &[&usual, &size, &one]);
    let guess = e.node("Log", &[&size]);
    let guess = e.times(&guess, std::f64::consts::LOG2_E)?;
    let guess = e.node("Floor", &[&guess]);
    let guess = e.plus(&guess, 1.0)?;
    // In two steps, so that neither power overflows.
    let first = e.mul(&guess, &half);
    let first = e.node("Floor", &[&first]);
    let second = e.sub(&guess, &first);
    let mut fraction = size;
    for part in [first, second] {
        let (two, down) = (e.c(2.0)?, e.node("Neg", &[&part]));
        let power = e.node("Pow", &[&two, &down]);
        fraction = e.mul(&fraction, &power);
    }
    let (large, small) = (e.node("Less", &[&fraction, &one]), e.node("Less", &[&fraction, &half]));
    let large = e.node("Not", &[&large]);
    let (more, less) = (e.cast(&large, e.dtype), e.cast(&small, e.dtype));
    let y = e.add2(&guess, &more);
    let y = e.sub(&y, &less);
    let y = e.node("Where", &[&usual, &y, &zero]);
    Ok(e.cast(&y, DType::I32))
}

fn ndtr(e: &mut Emit<'_>, x: &str) -> Result<String> {
    let y = e.times(x, std::f64::consts::FRAC_1_SQRT_2)?;
    let y = e.node("Erf", &[&y]);
    let y = e.plus(&y, 1.0)?;
    e.times(&y, 0.5)
}

fn above(e: &mut Emit<'_>, x: &str, least: f64) -> Result<String> {
    let least = e.c(least)?;
    Ok(e.node("Greater", &[x, &least]))
}

/// In two nodes, which unlike `Clip` take all dtypes in all versions.
fn clip(e: &mut Emit<'_>, x: &str, low: f64, high: f64) -> Result<String> {
    let y = e.at_least(x, low)?;
    e.at_most(&y, high)
}

/// An operator whose constants are attributes.
fn with(e: &mut Emit<'_>, op: &'static str, x: &str, constants: &[(&'static str, f64)]) -> Result<String> {
    let fields = constants.iter().map(|(name, v)| (*name, Field::Float(*v as f32))).collect();
    Ok(e.node_with(op, &[x], fields))
}

/// ONNX compares numbers, not truth values, by size.
fn compared(e: &mut Emit<'_>, op: &'static str, a: &str, b: &str) -> String {
    if e.dtype != DType::Bool {
        return e.node(op, &[a, b]);
    }
    let (a, b) = (e.cast(a, DType::I32), e.cast(b, DType::I32));
    e.node(op, &[&a, &b])
}
