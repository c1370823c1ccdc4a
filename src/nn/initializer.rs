//! Initializers: how the initial values of parameters are drawn, by Keras's formulas and defaults. The numbers come
//! from counter-based streams, so a parameter's initial value depends only on the seed and its place in the
//! network.

use crate::config::{Configured, Dyn, Misnamed, by_name, kind, well_named};
use crate::random::Stream;
use crate::tensor::{Array, Tensor};
use crate::{Error, Result, Shape, Spec, settings, string_enum};

/// Draws initial values.
pub trait Initializer: Configured + std::fmt::Debug + Send + Sync {
    /// Returns a function that gives value number `at` of a parameter of this shape, in row-major order.
    ///
    /// # Errors
    /// The initializer does not fit the shape.
    fn value(&self, shape: &Shape, stream: Stream) -> Result<Box<dyn Fn(u64) -> f64>>;

    /// Returns whether it reads nothing from the shape but the number of inputs and outputs of a unit.
    fn scales_by_units(&self) -> bool {
        false
    }

    /// Draws the whole parameter.
    ///
    /// # Errors
    /// The initializer does not fit the shape, or there is not enough memory.
    fn tensor(&self, spec: Spec, stream: Stream) -> Result<Tensor> {
        let f = self.value(&spec.shape, stream)?;
        let mut out = Array::new(spec)?;
        crate::dtype::dispatch_float!("initializer", spec.dtype, T => {
            for (i, o) in out.slice_mut::<T>()?.iter_mut().enumerate() {
                *o = crate::Float::of(f(i as u64));
            }
        });
        Ok(out.into())
    }
}

impl<I: Initializer + 'static> From<I> for Dyn<dyn Initializer> {
    fn from(initializer: I) -> Self {
        Dyn(std::sync::Arc::new(initializer))
    }
}
by_name!(dyn Initializer);
impl Initializer for Misnamed {
    fn value(&self, _: &Shape, _: Stream) -> Result<Box<dyn Fn(u64) -> f64>> {
        Err(self.error())
    }
}

/// Returns inputs and outputs per unit (Keras's rule): rows and columns of a matrix, times the receptive field of a
/// kernel.
fn fans(shape: &Shape) -> (f64, f64) {
    match shape.dims() {
        [] => (1.0, 1.0),
        [n] => (*n as f64, *n as f64),
        [field @ .., i, o] => {
            let field: f64 = field.iter().map(|&n| n as f64).product();
            (*i as f64 * field, *o as f64 * field)
        }
    }
}

string_enum! {
    /// The number of connections that scales the variance.
    #[derive(Default)]
    pub enum Fan {
        /// The inputs of a unit.
        #[default]
        In = "fan_in",
        /// The outputs of a unit.
        Out = "fan_out",
        /// The mean of both.
        Avg = "fan_avg",
    }
}

string_enum! {
    /// The distribution that a [`VarianceScaling`] draws from.
    #[derive(Default)]
    pub enum Distribution {
        /// Normal, truncated at two deviations and widened to the right variance.
        #[default]
        TruncatedNormal = "truncated_normal",
        /// Normal.
        UntruncatedNormal = "untruncated_normal",
        /// Uniform around 0.
        Uniform = "uniform",
    }
}

/// Returns the variance `scale / fan`, where `fan` counts as at least 1.
fn variance(shape: &Shape, scale: f64, fan: Fan) -> f64 {
    let (i, o) = fans(shape);
    let fan = match fan {
        Fan::In => i,
        Fan::Out => o,
        Fan::Avg => (i + o) / 2.0,
    };
    scale / fan.max(1.0)
}

/// The deviation of a standard normal distribution truncated at two deviations.
const TRUNCATED: f64 = 0.879_625_661_034_239_8;

/// Declares an initializer without settings, written as its name alone.
macro_rules! plain {
    ($(#[$doc:meta])* $type:ident) => {
        settings! {
            $(#[$doc])*
            #[derive(Copy, Default, PartialEq)]
            pub struct $type {}
        }
        #[doc(hidden)]
        #[allow(non_upper_case_globals)]
        pub const $type: $type = $type {};
    };
}

/// Declares initializers that scale their variance by the number of inputs and outputs.
macro_rules! scaled {
    ($($(#[$doc:meta])* $type:ident: $scale:expr, $fan:ident, $dist:ident;)*) => {$(
        plain! {
            $(#[$doc])*
            $type
        }
        impl Initializer for $type {
            fn value(&self, shape: &Shape, stream: Stream) -> Result<Box<dyn Fn(u64) -> f64>> {
                let variance = variance(shape, $scale, Fan::$fan);
                Ok($dist(variance, stream))
            }
            fn scales_by_units(&self) -> bool {
                true
            }
        }
    )*};
}

fn uniform(variance: f64, stream: Stream) -> Box<dyn Fn(u64) -> f64> {
    let limit = libm::sqrt(3.0 * variance);
    Box::new(move |i| limit * (2.0 * stream.uniform(i) - 1.0))
}

fn normal(variance: f64, stream: Stream) -> Box<dyn Fn(u64) -> f64> {
    let deviation = libm::sqrt(variance) / TRUNCATED;
    Box::new(move |i| deviation * stream.truncated_normal(i))
}

scaled! {
    /// Uniform within `±sqrt(6 / (fan_in + fan_out))` (Glorot and Bengio 2010): the default of kernels.
    GlorotUniform: 1.0, Avg, uniform;
    /// Truncated normal of variance `2 / (fan_in + fan_out)`.
    GlorotNormal: 1.0, Avg, normal;
    /// Uniform within `±sqrt(6 / fan_in)` (He et al. 2015).
    HeUniform: 2.0, In, uniform;
    /// Truncated normal of variance `2 / fan_in`.
    HeNormal: 2.0, In, normal;
    /// Uniform within `±sqrt(3 / fan_in)`.
    LecunUniform: 1.0, In, uniform;
    /// Truncated normal of variance `1 / fan_in`.
    LecunNormal: 1.0, In, normal;
}

settings! {
    /// Draws with the variance `scale / fan` (Glorot's, He's and LeCun's are special cases).
    #[derive(PartialEq)]
    pub struct VarianceScaling {
        /// Creates one with this scale (Keras's default is 1), the number of inputs as fan, and a truncated normal
        /// distribution.
        new(scale: f64 = 1.0);

        /// The number of connections that scales the variance; inputs by default.
        mode: named Fan = Fan::In,
        /// The distribution; truncated normal by default.
        distribution: named Distribution = Distribution::TruncatedNormal,
        /// What is wrong with a setting given by name.
        misnamed: state Option<String> = None,
    }
}
impl Initializer for VarianceScaling {
    fn value(&self, shape: &Shape, stream: Stream) -> Result<Box<dyn Fn(u64) -> f64>> {
        well_named(&self.misnamed)?;
        let fine = self.scale > 0.0 && self.scale.is_finite();
        Error::unless(fine, "scale", "a finite number above 0", self.scale)?;
        let variance = variance(shape, self.scale, self.mode);
        Ok(match self.distribution {
            Distribution::TruncatedNormal => normal(variance, stream),
            Distribution::Uniform => uniform(variance, stream),
            Distribution::UntruncatedNormal => {
                let deviation = libm::sqrt(variance);
                Box::new(move |i| deviation * stream.normal(i))
            }
        })
    }
    fn scales_by_units(&self) -> bool {
        true
    }
}

/// Returns the initializer of a kernel whose units have this many inputs and outputs, whatever its axes: one that
/// scales by these numbers uses them.
pub(super) fn between_units(initializer: &Dyn<dyn Initializer>, units: [usize; 2]) -> Dyn<dyn Initializer> {
    match initializer.scales_by_units() {
        true => BetweenUnits { initializer: initializer.clone(), units }.into(),
        false => initializer.clone(),
    }
}

/// Draws as for a matrix of units.
#[derive(Clone, Debug)]
struct BetweenUnits {
    initializer: Dyn<dyn Initializer>,
    units: [usize; 2],
}
impl Configured for BetweenUnits {}
impl Initializer for BetweenUnits {
    fn value(&self, _: &Shape, stream: Stream) -> Result<Box<dyn Fn(u64) -> f64>> {
        self.initializer.value(&Shape::new(&self.units)?, stream)
    }
}

plain! {
    /// All zeros: the default of biases.
    Zeros
}
impl Initializer for Zeros {
    fn value(&self, _: &Shape, _: Stream) -> Result<Box<dyn Fn(u64) -> f64>> {
        Ok(Box::new(|_| 0.0))
    }
}

plain! {
    /// All ones.
    Ones
}
impl Initializer for Ones {
    fn value(&self, _: &Shape, _: Stream) -> Result<Box<dyn Fn(u64) -> f64>> {
        Ok(Box::new(|_| 1.0))
    }
}

settings! {
    /// All one value.
    #[derive(Copy, PartialEq)]
    pub struct Constant {
        /// Creates it with this value.
        new(value: f64 = 0.0);
    }
}
impl Initializer for Constant {
    fn value(&self, _: &Shape, _: Stream) -> Result<Box<dyn Fn(u64) -> f64>> {
        Error::unless(!self.value.is_nan(), "value", "a number", self.value)?;
        let value = self.value;
        Ok(Box::new(move |_| value))
    }
}

settings! {
    /// Uniform between two numbers; Keras's default is ±0.05.
    #[derive(Copy, PartialEq)]
    pub struct RandomUniform {
        /// Creates it uniform in `[minval, maxval)`.
        new(minval: f64 = -0.05, maxval: f64 = 0.05);
    }
}
impl Default for RandomUniform {
    fn default() -> Self {
        RandomUniform::new(-0.05, 0.05)
    }
}
impl Initializer for RandomUniform {
    fn value(&self, _: &Shape, stream: Stream) -> Result<Box<dyn Fn(u64) -> f64>> {
        let fine = self.minval <= self.maxval && (self.maxval - self.minval).is_finite();
        let got = || format!("{} and {}", self.minval, self.maxval);
        if !fine {
            return Err(Error::argument("RandomUniform", "finite minval <= maxval", got()));
        }
        let RandomUniform { minval, maxval } = *self;
        Ok(Box::new(move |i| minval + (maxval - minval) * stream.uniform(i)))
    }
}

settings! {
    /// Normal; Keras's default is mean 0, deviation 0.05.
    #[derive(Copy, PartialEq)]
    pub struct RandomNormal {
        /// Creates it with this mean and standard deviation.
        new(mean: f64 = 0.0, stddev: f64 = 0.05);
    }
}
impl Default for RandomNormal {
    fn default() -> Self {
        RandomNormal::new(0.0, 0.05)
    }
}
impl Initializer for RandomNormal {
    fn value(&self, _: &Shape, stream: Stream) -> Result<Box<dyn Fn(u64) -> f64>> {
        Error::unless_finite("mean", self.mean)?;
        Error::unless_not_negative("stddev", self.stddev)?;
        let RandomNormal { mean, stddev } = *self;
        Ok(Box::new(move |i| mean + stddev * stream.normal(i)))
    }
}

settings! {
    /// Normal, drawn again where further than two deviations from the mean (so that the deviation of the result is
    /// 0.88 of `stddev`); Keras's default is mean 0, deviation 0.05.
    #[derive(Copy, PartialEq)]
    pub struct TruncatedNormal {
        /// Creates it with this mean and standard deviation.
        new(mean: f64 = 0.0, stddev: f64 = 0.05);
    }
}
impl Default for TruncatedNormal {
    fn default() -> Self {
        TruncatedNormal::new(0.0, 0.05)
    }
}
impl Initializer for TruncatedNormal {
    fn value(&self, _: &Shape, stream: Stream) -> Result<Box<dyn Fn(u64) -> f64>> {
        Error::unless_finite("mean", self.mean)?;
        Error::unless_not_negative("stddev", self.stddev)?;
        let TruncatedNormal { mean, stddev } = *self;
        Ok(Box::new(move |i| mean + stddev * stream.truncated_normal(i)))
    }
}

settings! {
    /// `gain` on the diagonal of a matrix, 0 elsewhere.
    #[derive(Copy, PartialEq)]
    pub struct Identity {
        /// Creates it with a factor; Keras's default is 1.
        new(gain: f64 = 1.0);
    }
}
impl Default for Identity {
    fn default() -> Self {
        Identity::new(1.0)
    }
}
impl Initializer for Identity {
    fn value(&self, shape: &Shape, _: Stream) -> Result<Box<dyn Fn(u64) -> f64>> {
        Error::unless_finite("gain", self.gain)?;
        let &[_, columns] = shape.dims() else {
            return Err(Error::shape("Identity", "two dimensions", *shape));
        };
        let gain = self.gain;
        Ok(Box::new(move |i| if i / columns as u64 == i % columns as u64 { gain } else { 0.0 }))
    }
}

settings! {
    /// A random matrix with orthonormal rows or columns, times `gain` (Saxe et al. 2014): the default of recurrent
    /// kernels.
    #[derive(Copy, PartialEq)]
    pub struct Orthogonal {
        /// Creates it with a factor; Keras's default is 1.
        new(gain: f64 = 1.0);
    }
}
impl Default for Orthogonal {
    fn default() -> Self {
        Orthogonal::new(1.0)
    }
}
impl Initializer for Orthogonal {
    /// Applies Gram-Schmidt to normal vectors, twice for accuracy: the Q of a QR decomposition whose R has a
    /// positive diagonal, as in Keras.
    fn value(&self, shape: &Shape, stream: Stream) -> Result<Box<dyn Fn(u64) -> f64>> {
        Error::unless_finite("gain", self.gain)?;
        let [lead @ .., cols] = shape.dims() else {
            return Err(Error::shape("Orthogonal", "at least two dimensions", *shape));
        };
        let (rows, cols, gain) = (lead.iter().product::<usize>(), *cols, self.gain);
        if lead.is_empty() {
            return Err(Error::shape("Orthogonal", "at least two dimensions", *shape));
        }
        let (count, length) = (rows.min(cols), rows.max(cols));
        let mut basis: Vec<Vec<f64>> = Vec::with_capacity(count);
        for v in 0..count {
            let mut vector: Vec<f64> = (0..length).map(|i| stream.normal((i * count + v) as u64)).collect();
            for _ in 0..2 {
                for other in &basis {
                    let dot: f64 = vector.iter().zip(other).map(|(a, b)| a * b).sum();
                    vector.iter_mut().zip(other).for_each(|(a, b)| *a -= dot * b);
                }
            }
            let norm = libm::sqrt(vector.iter().map(|a| a * a).sum::<f64>());
            vector.iter_mut().for_each(|a| *a /= norm);
            basis.push(vector);
        }
        Ok(Box::new(move |at| {
            let (r, c) = (at as usize / cols, at as usize % cols);
            gain * if rows < cols { basis[r][c] } else { basis[c][r] }
        }))
    }
}

kind! {
    dyn Initializer, "initializer", Registry::initializer;
    mod stft: STFT with Scaling, Side, Window;
    use Zeros, Ones, Constant, RandomUniform, RandomNormal, GlorotUniform, GlorotNormal, HeUniform, HeNormal,
    LecunUniform, LecunNormal, VarianceScaling, TruncatedNormal, Orthogonal, Identity;
    alias "uniform": RandomUniform, "normal": RandomNormal, "one": Ones, "zero": Zeros,
    "IdentityInitializer": Identity, "OrthogonalInitializer": Orthogonal, "STFTInitializer": STFT;
}
