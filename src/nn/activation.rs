//! Activations: the trait [`Activation`] and a type for each, for layers that end with one.

use super::Range;
use crate::config::{Configured, Dyn, Misnamed, by_name, kind};
use crate::ops::matmul::Fused;
use crate::tensor::Tensor;
use crate::{Error, Result, settings};
use std::cell::Cell;

/// A function that a layer applies to its result.
pub trait Activation: Configured + std::any::Any + std::fmt::Debug + Send + Sync {
    /// Applies the function.
    ///
    /// # Errors
    /// The tensor's dtype or rank does not fit.
    fn apply(&self, x: &Tensor) -> Result<Tensor>;

    /// Returns what is known of the values it gives; nothing by default.
    fn range(&self) -> Option<Range> {
        None
    }

    /// Returns the full name of its type, by which functions of the library's own are known.
    #[doc(hidden)]
    fn type_name(&self) -> &'static str {
        std::any::type_name::<Self>()
    }

    /// Returns the form in which a matrix product can apply it to its result in one pass, if there is one.
    fn fused(&self) -> Option<Fused> {
        None
    }
}

impl<A: Activation + 'static> From<A> for Dyn<dyn Activation> {
    fn from(activation: A) -> Self {
        Dyn(std::sync::Arc::new(activation))
    }
}
by_name!(dyn Activation);

impl Dyn<dyn Activation> {
    /// Applies the function, as [`Activation::apply`] does.
    ///
    /// # Errors
    /// Those of [`Activation::apply`].
    pub fn apply(&self, x: &Tensor) -> Result<Tensor> {
        if x.is_traced() && !self.type_name().starts_with(module_path!()) {
            count_foreign();
        }
        (**self).apply(x)
    }
}

thread_local! {
    static FOREIGN: Cell<u64> = const { Cell::new(0) };
}

/// Notes that layers of the library have called something of the user's own on tensors without values.
pub(crate) fn count_foreign() {
    FOREIGN.set(FOREIGN.get() + 1);
}

/// Returns how often this thread has done so: what is traced meanwhile may do more than it records.
pub(crate) fn foreign() -> u64 {
    FOREIGN.get()
}
impl Activation for Misnamed {
    fn apply(&self, _: &Tensor) -> Result<Tensor> {
        Err(self.error())
    }
}

/// One row per activation: its type, its settings if it has some, its formula, its fused form if it has one, and
/// the range of its values if limited. Rows without a table of settings are values by their name: `Tanh`,
/// `LeakyRelu.negative_slope(0.1)`.
macro_rules! activations {
    ($($(#[$doc:meta])* $type:ident $({ $($settings:tt)* })? ($x:ident $(, $me:ident)?) = $f:expr $(; fused $fused:ident)? $(; gives $range:expr)?,)*) => {
        $(
            activations! { @type [$(#[$doc])*] $type $({ $($settings)* })? }
            impl Activation for $type {
                fn apply(&self, $x: &Tensor) -> Result<Tensor> {
                    $(let $me = self;)?
                    $f
                }
                #[allow(unused_variables)]
                fn range(&self) -> Option<Range> {
                    $(let $me = self;)?
                    let range = Range::ALL;
                    $(let range = $range;)?
                    Some(range)
                }
                $(fn fused(&self) -> Option<Fused> { Some(Fused::$fused) })?
            }
        )*
        kind! {
            dyn Activation, "activation", Registry::activation;
            use Relu, Threshold, $($type),*;
            alias "swish": Silu, "hard_swish": HardSilu, null: Linear;
        }
    };
    (@type [$($doc:tt)*] $type:ident $({ $($(#[$set:meta])* $name:ident: $of:ty = $default:expr),* $(,)? })?) => {
        settings! {
            $($doc)*
            #[derive(Copy, PartialEq)]
            pub struct $type { $($($(#[$set])* pub(crate) $name: $of = $default,)*)? }
        }
        #[doc(hidden)]
        #[allow(non_upper_case_globals)]
        pub const $type: $type = $type { $($($name: $default,)*)? };
        activations! { @new $type }
    };
    (@new $type:ident) => {
        impl $type {
            /// Creates it with default settings: the value of this name.
            pub const fn new() -> $type {
                $type
            }
        }
        impl Default for $type {
            fn default() -> $type {
                $type
            }
        }
    };
}

activations! {
    /// Returns the input unchanged.
    Linear(x) = Ok(x.clone()),
    /// `1 / (1 + exp(-x))`.
    Sigmoid(x) = x.sigmoid(); fused Sigmoid; gives Range::UNIT,
    /// Hyperbolic tangent.
    Tanh(x) = x.tanh(); fused Tanh; gives Range::SIGNED_UNIT,
    /// `exp(x) / Σ exp(x)` along an axis.
    Softmax {
        /// The axis; the last one by default.
        axis: isize = -1,
    }(x, me) = x.softmax(me.axis); gives if me.axis == -1 { Range::SHARES } else { Range::UNIT },
    /// `x - ln Σ exp(x)` along an axis.
    LogSoftmax {
        /// The axis; the last one by default.
        axis: isize = -1,
    }(x, me) = x.log_softmax(me.axis); gives Range::NOT_POSITIVE,
    /// `x·Φ(x)`.
    Gelu {
        /// Whether to compute `½x(1 + tanh(√(2/π)(x + 0.044715x³)))` instead of the exact form; no by default.
        approximate: bool = false,
    }(x, me) = if me.approximate { x.gelu_tanh() } else { x.gelu() },
    /// `x·sigmoid(x)`, also called swish.
    Silu(x) = x.silu(),
    /// `ln(1 + exp(x))`.
    Softplus(x) = x.softplus(); gives Range::NOT_NEGATIVE,
    /// `exp(x)`.
    Exponential(x) = x.exp(); gives Range::NOT_NEGATIVE,
    /// `min(max(x, 0), 6)`.
    Relu6(x) = x.relu6(); gives Range::between(0.0, 6.0),
    /// `x` where positive, else `negative_slope · x`.
    LeakyRelu {
        /// The slope below 0; 0.2 by default (for the layer it is 0.3).
        negative_slope: f64 = 0.2,
    }(x, me) = {
        Error::unless_finite("negative_slope", me.negative_slope)?;
        x.leaky_relu(me.negative_slope)
    },
    /// `x` where positive, else `alpha · (exp(x) - 1)`.
    Elu {
        /// The negated limit for large negative numbers; 1 by default.
        alpha: f64 = 1.0,
    }(x, me) = {
        Error::unless_finite("alpha", me.alpha)?;
        x.elu(me.alpha)
    },
    /// `x` where positive, else `alpha · (exp(x / alpha) - 1)`.
    Celu {
        /// The negated limit for large negative numbers; 1 by default.
        alpha: f64 = 1.0,
    }(x, me) = {
        let fine = me.alpha != 0.0 && me.alpha.is_finite();
        Error::unless(fine, "alpha", "a finite number that is not 0", me.alpha)?;
        x.celu(me.alpha)
    },
    /// Scaled ELU, whose fixed point has mean 0 and variance 1.
    Selu(x) = x.selu(),
    /// `x / (1 + |x|)`.
    Softsign(x) = x.softsign(); gives Range::SIGNED_UNIT,
    /// `(x + √(x² + b)) / 2`.
    Squareplus {
        /// How smooth it is; 4 by default.
        b: f64 = 4.0,
    }(x, me) = {
        Error::unless_not_negative("b", me.b)?;
        x.squareplus(me.b)
    }; gives Range::NOT_NEGATIVE,
    /// `x` moved towards 0 by `threshold`, and 0 within it.
    SoftShrink {
        /// The distance; 0.5 by default.
        threshold: f64 = 0.5,
    }(x, me) = {
        Error::unless_not_negative("threshold", me.threshold)?;
        x.soft_shrink(me.threshold)
    },
    /// `x` where its absolute value is above `threshold`, else 0.
    HardShrink {
        /// The threshold; 0.5 by default.
        threshold: f64 = 0.5,
    }(x, me) = {
        Error::unless_not_negative("threshold", me.threshold)?;
        x.hard_shrink(me.threshold)
    },
    /// `x - tanh(x)`.
    TanhShrink(x) = x.tanh_shrink(),
    /// `relu6(x + 3) / 6`.
    HardSigmoid(x) = x.hard_sigmoid(); gives Range::UNIT,
    /// `x · relu6(x + 3) / 6`, also called hard swish.
    HardSilu(x) = x.hard_silu(),
    /// `min(max(x, -1), 1)`.
    HardTanh(x) = x.hard_tanh(); gives Range::SIGNED_UNIT,
    /// `ln(sigmoid(x))`.
    LogSigmoid(x) = x.log_sigmoid(); gives Range::NOT_POSITIVE,
    /// `x · tanh(softplus(x))`.
    Mish(x) = x.mish(),
    /// 0 up to -1, `(x + 1)² / 4` up to 1, then `x`.
    SparsePlus(x) = x.sparse_plus(); gives Range::NOT_NEGATIVE,
    /// `(x + 1) / 2` limited to [0, 1].
    SparseSigmoid(x) = x.sparse_sigmoid(); gives Range::UNIT,
    /// The nearest point whose values along an axis are at least 0 and add up to 1.
    Sparsemax {
        /// The axis; the last one by default.
        axis: isize = -1,
    }(x, me) = x.sparsemax(me.axis); gives if me.axis == -1 { Range::SHARES } else { Range::UNIT },
    /// The first half of an axis times the sigmoid of the second half, which halves the size.
    Glu {
        /// The axis; the last one by default.
        axis: isize = -1,
    }(x, me) = x.glu(me.axis),
}

settings! {
    /// `max(x, 0)`; with settings, `min(x, max_value)` above `threshold`, else `negative_slope · (x - threshold)`.
    #[derive(Copy, PartialEq)]
    pub struct Relu {
        /// The slope below the threshold; 0 by default.
        pub(crate) negative_slope: f64 = 0.0,
        /// The largest output; none by default.
        pub(crate) max_value: some f64,
        /// Values up to this one become 0 (or slope from there); 0 by default.
        pub(crate) threshold: f64 = 0.0,
    }
}
#[doc(hidden)]
#[allow(non_upper_case_globals)]
pub const Relu: Relu = Relu { negative_slope: 0.0, max_value: None, threshold: 0.0 };
activations! { @new Relu }

impl Activation for Relu {
    fn apply(&self, x: &Tensor) -> Result<Tensor> {
        let Relu { negative_slope: slope, max_value, threshold } = *self;
        Error::unless_finite("negative_slope", slope)?;
        Error::unless_finite("threshold", threshold)?;
        if slope != 0.0 && max_value.is_none() && threshold == 0.0 {
            return x.leaky_relu(slope);
        }
        let above = if threshold == 0.0 { x.relu()? } else { x.threshold(threshold, 0.0)? };
        let above = match max_value {
            None => above,
            Some(most) if most >= 0.0 => above.clip(0.0, most)?,
            Some(most) => return Err(Error::argument("max_value", "a number of at least 0", most)),
        };
        match slope {
            0.0 => Ok(above),
            _ => above.sub(&x.affine(-1.0, threshold)?.relu()?.affine(slope, 0.0)?),
        }
    }
    fn range(&self) -> Option<Range> {
        match self.negative_slope == 0.0 && self.threshold >= 0.0 {
            true => Some(Range::between(0.0, self.max_value.unwrap_or(f64::INFINITY))),
            false => Some(Range::ALL),
        }
    }
    fn fused(&self) -> Option<Fused> {
        (*self == Relu).then_some(Fused::Relu)
    }
}

settings! {
    /// `x` where it is above `threshold`, else `default_value`.
    #[derive(Copy, PartialEq)]
    pub struct Threshold {
        /// Creates it with both numbers.
        new(threshold: f64, default_value: f64);
    }
}
impl Activation for Threshold {
    fn apply(&self, x: &Tensor) -> Result<Tensor> {
        Error::unless(!self.threshold.is_nan(), "threshold", "a number", self.threshold)?;
        Error::unless_finite("default_value", self.default_value)?;
        x.threshold(self.threshold, self.default_value)
    }
    fn range(&self) -> Option<Range> {
        Some(Range::between(self.threshold.min(self.default_value), f64::INFINITY))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Registry, Setting};
    use serde_json::json;

    /// Values at -2, -0.5, 0.25, 0.5, 1 and 3, from Keras 3.15.
    const KERAS: &[(&str, &[f64])] = &[
        ("celu", &[-0.864664716763, -0.393469340287, 0.25, 0.5, 1.0, 3.0]),
        ("elu", &[-0.864664716763, -0.393469340287, 0.25, 0.5, 1.0, 3.0]),
        (
            "exponential",
            &[
                0.135335283237,
                0.606530659713,
                1.28402541669,
                1.6487212707,
                std::f64::consts::E,
                20.0855369232,
            ],
        ),
        (
            "gelu",
            &[
                -0.0455002638964,
                -0.154268769363,
                0.149676581421,
                0.345731230637,
                0.841344746069,
                2.99595030591,
            ],
        ),
        ("glu", &[-1.2449186624, -0.365529289315, 0.238143531706]),
        ("hard_shrink", &[-2.0, 0.0, 0.0, 0.0, 1.0, 3.0]),
        (
            "hard_sigmoid",
            &[0.166666666667, 0.416666666667, 0.541666666667, 0.583333333333, 0.666666666667, 1.0],
        ),
        (
            "hard_silu",
            &[-0.333333333333, -0.208333333333, 0.135416666667, 0.291666666667, 0.666666666667, 3.0],
        ),
        (
            "hard_swish",
            &[-0.333333333333, -0.208333333333, 0.135416666667, 0.291666666667, 0.666666666667, 3.0],
        ),
        ("hard_tanh", &[-1.0, -0.5, 0.25, 0.5, 1.0, 1.0]),
        ("leaky_relu", &[-0.4, -0.1, 0.25, 0.5, 1.0, 3.0]),
        ("linear", &[-2.0, -0.5, 0.25, 0.5, 1.0, 3.0]),
        (
            "log_sigmoid",
            &[
                -2.12692801104,
                -0.97407698418,
                -0.575939419879,
                -0.47407698418,
                -0.313261687518,
                -0.0485873515737,
            ],
        ),
        (
            "log_softmax",
            &[
                -5.27633049147,
                -3.77633049147,
                -3.02633049147,
                -2.77633049147,
                -2.27633049147,
                -0.276330491474,
            ],
        ),
        (
            "mish",
            &[
                -0.252501482696,
                -0.220743774652,
                0.169572409664,
                0.375245211305,
                0.865098388267,
                2.98653500497,
            ],
        ),
        ("relu", &[0.0, 0.0, 0.25, 0.5, 1.0, 3.0]),
        ("relu6", &[0.0, 0.0, 0.25, 0.5, 1.0, 3.0]),
        (
            "selu",
            &[-1.5201664686, -0.691758187803, 0.262675246839, 0.525350493678, 1.05070098736, 3.15210296207],
        ),
        (
            "sigmoid",
            &[0.119202922022, 0.377540668798, 0.562176500886, 0.622459331202, 0.73105857863, 0.952574126822],
        ),
        (
            "silu",
            &[-0.238405844044, -0.188770334399, 0.140544125221, 0.311229665601, 0.73105857863, 2.85772238047],
        ),
        ("soft_shrink", &[-1.5, 0.0, 0.0, 0.0, 0.5, 2.5]),
        (
            "softmax",
            &[
                0.00511115183842,
                0.0229065933311,
                0.0484932584625,
                0.0622665764038,
                0.102660228971,
                0.758562190993,
            ],
        ),
        (
            "softplus",
            &[0.126928011043, 0.47407698418, 0.825939419879, 0.97407698418, 1.31326168752, 3.04858735157],
        ),
        ("softsign", &[-0.666666666667, -0.333333333333, 0.2, 0.333333333333, 0.5, 0.75]),
        ("sparse_plus", &[0.0, 0.0625, 0.390625, 0.5625, 1.0, 3.0]),
        ("sparse_sigmoid", &[0.0, 0.25, 0.625, 0.75, 1.0, 1.0]),
        (
            "squareplus",
            &[0.414213562373, 0.780776406404, 1.13278221854, 1.2807764064, 1.61803398875, 3.30277563773],
        ),
        (
            "swish",
            &[-0.238405844044, -0.188770334399, 0.140544125221, 0.311229665601, 0.73105857863, 2.85772238047],
        ),
        (
            "tanh",
            &[-0.964027580076, -0.46211715726, 0.244918662404, 0.46211715726, 0.761594155956, 0.995054753687],
        ),
        (
            "tanh_shrink",
            &[-1.03597241992, -0.03788284274, 0.00508133759629, 0.03788284274, 0.238405844044, 2.00494524631],
        ),
    ];

    #[test]
    fn names_of_keras_give_its_numbers() -> Result<()> {
        let x = Tensor::from_slice(&[-2.0, -0.5, 0.25, 0.5, 1.0, 3.0], [1, 6])?;
        for (name, want) in KERAS {
            let activation = Dyn::<dyn Activation>::read(json!(name), &Registry::new())?;
            let got = activation.apply(&x)?.to_vec::<f64>()?;
            assert_eq!(got.len(), want.len());
            assert!(
                got.iter().zip(*want).all(|(a, b)| (a - b).abs() <= 1e-11 * b.abs().max(1.0)),
                "{name}: {got:?}"
            );
        }
        Ok(())
    }
}
