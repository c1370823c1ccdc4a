//! Distributions that tensors are drawn from. Element number `at` of a draw is a function of the stream and of
//! `at`; where a method tries until it succeeds, each element has its own numbers to try.

use super::{Stream, fraction, wide};
use crate::{Error, Result};

/// A distribution of real numbers.
#[derive(Clone, Copy, PartialEq, Debug)]
#[non_exhaustive]
pub enum Distribution {
    /// Uniform in `[low, high)`.
    Uniform {
        /// The least value.
        low: f64,
        /// The upper bound, which is not included.
        high: f64,
    },
    /// The normal distribution.
    Normal {
        /// The mean.
        mean: f64,
        /// The standard deviation.
        std: f64,
    },
    /// The normal distribution without values more than two deviations from the mean.
    TruncatedNormal {
        /// The mean.
        mean: f64,
        /// The standard deviation before the cut.
        std: f64,
    },
    /// The exponential distribution: waiting times of mean `1 / rate`.
    Exponential {
        /// Events per unit of time.
        rate: f64,
    },
    /// The gamma distribution, of mean `shape / rate` and variance `shape / rate²`.
    Gamma {
        /// The shape, often called α.
        shape: f64,
        /// The rate, often called β.
        rate: f64,
    },
    /// The beta distribution on `[0, 1]`, of mean `a / (a + b)`.
    Beta {
        /// Larger values move the mean towards 1.
        a: f64,
        /// Larger values move the mean towards 0.
        b: f64,
    },
    /// The Poisson distribution: whole numbers of mean `rate`, at most [`Distribution::MAX_RATE`]. Drawing takes
    /// time in proportion to the rate.
    Poisson {
        /// The mean.
        rate: f64,
    },
}

impl Distribution {
    /// Returns the name, and the settings in the order of their declaration.
    pub(crate) fn parts(&self) -> (&'static str, [Option<f64>; 2]) {
        let two = |a, b| [Some(a), Some(b)];
        let one = |a| [Some(a), None];
        match *self {
            Distribution::Uniform { low, high } => ("uniform", two(low, high)),
            Distribution::Normal { mean, std } => ("normal", two(mean, std)),
            Distribution::TruncatedNormal { mean, std } => ("truncated_normal", two(mean, std)),
            Distribution::Exponential { rate } => ("exponential", one(rate)),
            Distribution::Gamma { shape, rate } => ("gamma", two(shape, rate)),
            Distribution::Beta { a, b } => ("beta", two(a, b)),
            Distribution::Poisson { rate } => ("poisson", one(rate)),
        }
    }

    /// Restores what [`Distribution::parts`] returned.
    pub(crate) fn from_parts(name: &str, settings: &[f64]) -> Option<Distribution> {
        match (name, settings) {
            ("uniform", &[low, high]) => Some(Distribution::Uniform { low, high }),
            ("normal", &[mean, std]) => Some(Distribution::Normal { mean, std }),
            ("truncated_normal", &[mean, std]) => Some(Distribution::TruncatedNormal { mean, std }),
            ("exponential", &[rate]) => Some(Distribution::Exponential { rate }),
            ("gamma", &[shape, rate]) => Some(Distribution::Gamma { shape, rate }),
            ("beta", &[a, b]) => Some(Distribution::Beta { a, b }),
            ("poisson", &[rate]) => Some(Distribution::Poisson { rate }),
            _ => None,
        }
    }

    /// The largest rate of a Poisson distribution.
    pub const MAX_RATE: f64 = 1e6;

    /// Checks that the settings are in range.
    ///
    /// # Errors
    /// A setting is out of range.
    pub fn check(&self) -> Result<()> {
        let positive = |v: f64| v > 0.0 && v.is_finite();
        let (fine, expected) = match *self {
            Distribution::Uniform { low, high } => {
                (low < high && (high - low).is_finite(), "finite numbers with low < high")
            }
            Distribution::Normal { mean, std } | Distribution::TruncatedNormal { mean, std } => {
                (mean.is_finite() && (positive(std) || std == 0.0), "a finite mean and 0 <= std")
            }
            Distribution::Exponential { rate } => (positive(rate), "rate > 0"),
            Distribution::Gamma { shape, rate } => {
                (positive(shape) && positive(rate), "shape > 0 and rate > 0")
            }
            Distribution::Beta { a, b } => (positive(a) && positive(b), "a > 0 and b > 0"),
            Distribution::Poisson { rate } => ((0.0..=Self::MAX_RATE).contains(&rate), "0 <= rate <= 1e6"),
        };
        if fine { Ok(()) } else { Err(Error::argument("distribution", expected, format!("{self:?}"))) }
    }

    /// Returns element number `at` of the draw from a stream. Check the settings first.
    pub fn value(&self, stream: &Stream, at: u64) -> f64 {
        match *self {
            Distribution::Uniform { low, high } => low + (high - low) * stream.uniform(at),
            Distribution::Normal { mean, std } => mean + std * stream.normal(at),
            Distribution::TruncatedNormal { mean, std } => mean + std * stream.truncated_normal(at),
            Distribution::Exponential { rate } => -libm::log1p(-stream.uniform(at)) / rate,
            Distribution::Gamma { shape, rate } => libm::exp(ln_gamma(stream, at, shape)) / rate,
            Distribution::Beta { a, b } => {
                // In logarithms, so that both may be smaller than any number.
                let (x, y) = (ln_gamma(stream, 2 * at, a), ln_gamma(stream, 2 * at + 1, b));
                1.0 / (1.0 + libm::exp(y - x))
            }
            Distribution::Poisson { rate } => poisson(stream, at, rate),
        }
    }
}

/// Returns the logarithm of a gamma variate of rate 1 (Marsaglia and Tsang 2000); below shape 1, that of shape + 1
/// times `U^(1/shape)`.
fn ln_gamma(stream: &Stream, at: u64, shape: f64) -> f64 {
    /// Positions of the stream for one element: a pair for each try (19 of 20 tries succeed), the last one for the
    /// power.
    const ROOM: u64 = 128;
    let first = at.wrapping_mul(ROOM);
    let uniform = |i: u64| {
        let b = stream.block(first.wrapping_add(i));
        // In (0, 1]: its logarithm is finite.
        1.0 - fraction(wide(b[0], b[1]))
    };
    let d = if shape < 1.0 { shape + 1.0 } else { shape } - 1.0 / 3.0;
    let c = 1.0 / libm::sqrt(9.0 * d);
    let attempt = |i: u64| {
        let x = stream.normal(first.wrapping_add(2 * i));
        let v = 1.0 + c * x;
        let v = v * v * v;
        let fits = v > 0.0 && libm::log(uniform(2 * i + 1)) < 0.5 * x * x + d * (1.0 - v + libm::log(v));
        fits.then(|| libm::log(d * v))
    };
    let ln = (0..ROOM / 2 - 1).find_map(attempt).unwrap_or(libm::log(d));
    if shape < 1.0 { ln + libm::log(uniform(ROOM - 1)) / shape } else { ln }
}

/// Counts how far the cumulative distribution reaches a uniform number; large rates are sums of smaller ones.
fn poisson(stream: &Stream, at: u64, rate: f64) -> f64 {
    /// The rate of one part: `exp` of its negative is far above the smallest number.
    const PART: f64 = 256.0;
    const PARTS: u64 = (Distribution::MAX_RATE / PART) as u64 + 1;
    let (mut total, mut left) = (0.0, rate);
    for part in 0..PARTS {
        if left <= 0.0 {
            break;
        }
        let rate = left.min(PART);
        left -= rate;
        let u = stream.uniform(at.wrapping_mul(PARTS).wrapping_add(part));
        let (mut k, mut p) = (0.0, libm::exp(-rate));
        let mut below = p;
        // The terms become too small to matter long before this bound.
        while u >= below && k < 4.0 * PART {
            k += 1.0;
            p *= rate / k;
            below += p;
        }
        total += k;
    }
    total
}
