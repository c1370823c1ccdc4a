//! Why it exists: the distributions that tensors are drawn from. Element number `at` of a draw is a function of the stream
//! and of `at`; where a method tries until it succeeds, each element has numbers of its own to try.

use super::Stream;
use crate::{Error, Result};

/// A distribution of real numbers.
#[derive(Clone, Copy, PartialEq, Debug)]
#[non_exhaustive]
pub enum Distribution {
    /// Evenly in `[low, high)`.
    Uniform {
        /// The least value.
        low: f64,
        /// Above all values.
        high: f64,
    },
    /// Gauss's.
    Normal {
        /// The mean.
        mean: f64,
        /// The standard deviation.
        std: f64,
    },
    /// Gauss's without what lies more than two deviations from the mean.
    TruncatedNormal {
        /// The mean.
        mean: f64,
        /// The standard deviation before the cut.
        std: f64,
    },
    /// Waiting times of mean `1 / rate`.
    Exponential {
        /// Events a unit of time.
        rate: f64,
    },
    /// Of mean `shape / rate` and variance `shape / rate²`.
    Gamma {
        /// The shape, often called α.
        shape: f64,
        /// The rate, often called β.
        rate: f64,
    },
    /// On `[0, 1]`, of mean `a / (a + b)`.
    Beta {
        /// Pulls to 1.
        a: f64,
        /// Pulls to 0.
        b: f64,
    },
    /// Whole numbers of mean `rate`, at most [`Distribution::MAX_RATE`]; takes time in proportion.
    Poisson {
        /// The mean.
        rate: f64,
    },
}

impl Distribution {
    /// The largest rate of a Poisson distribution.
    pub const MAX_RATE: f64 = 1e6;

    /// Whether its settings are in their ranges.
    ///
    /// # Errors
    /// They are not.
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

    /// Element number `at` of the draw from a stream. The settings should have been checked.
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

/// The logarithm of a gamma variate of rate 1 (Marsaglia and Tsang 2000); below shape 1 that of shape + 1 times
/// `U^(1/shape)`.
fn ln_gamma(stream: &Stream, at: u64, shape: f64) -> f64 {
    /// Positions of the stream for one element: a pair a try (each succeeds 19 times in 20), the last for the power.
    const ROOM: u64 = 128;
    let first = at.wrapping_mul(ROOM);
    let uniform = |i: u64| {
        let b = stream.block(first.wrapping_add(i));
        // In (0, 1]: its logarithm is finite.
        1.0 - ((u64::from(b[0]) | u64::from(b[1]) << 32) >> 11) as f64 / 9_007_199_254_740_992.0
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

/// Counts how far the distribution function reaches a uniform number; large rates are sums of smaller ones.
fn poisson(stream: &Stream, at: u64, rate: f64) -> f64 {
    /// A part's rate: `exp` of its negative is far from the smallest number.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Purpose;

    const N: u64 = 40_000;

    /// Mean and variance of a draw against those of the distribution, within five standard errors (of the variance: of a
    /// distribution with this kurtosis).
    fn moments(d: Distribution, mean: f64, variance: f64, kurtosis: f64) {
        d.check().unwrap();
        let stream = Stream::new(7, Purpose::User(3), 1);
        let values: Vec<f64> = (0..N).map(|i| d.value(&stream, i)).collect();
        let n = N as f64;
        let m = values.iter().sum::<f64>() / n;
        let v = values.iter().map(|x| (x - m) * (x - m)).sum::<f64>() / n;
        let (em, ev) = (libm::sqrt(variance / n), variance * libm::sqrt((kurtosis - 1.0) / n));
        assert!((m - mean).abs() < 5.0 * em, "{d:?}: mean {m}, not {mean}");
        assert!((v - variance).abs() < 5.0 * ev, "{d:?}: variance {v}, not {variance}");
    }

    #[test]
    fn moments_are_those_of_the_distributions() {
        moments(Distribution::Uniform { low: -1.0, high: 3.0 }, 1.0, 16.0 / 12.0, 1.8);
        moments(Distribution::Normal { mean: 2.0, std: 3.0 }, 2.0, 9.0, 3.0);
        moments(Distribution::TruncatedNormal { mean: 1.0, std: 2.0 }, 1.0, 4.0 * 0.773_741_3, 2.4);
        moments(Distribution::Exponential { rate: 0.5 }, 2.0, 4.0, 9.0);
        for shape in [0.1, 0.5, 1.0, 2.5, 30.0] {
            let d = Distribution::Gamma { shape, rate: 2.0 };
            moments(d, shape / 2.0, shape / 4.0, 3.0 + 6.0 / shape);
        }
        for (a, b) in [(0.01, 0.01), (0.5, 0.5), (2.0, 5.0), (1.0, 1.0)] {
            let s: f64 = a + b;
            moments(Distribution::Beta { a, b }, a / s, a * b / (s * s * (s + 1.0)), 4.0);
        }
        for rate in [0.0, 0.3, 4.0, 100.0, 1000.0] {
            let kurtosis = if rate > 0.0 { 3.0 + 1.0 / rate } else { 3.0 };
            let d = Distribution::Poisson { rate };
            if rate > 0.0 {
                moments(d, rate, rate, kurtosis)
            } else {
                assert_eq!(d.value(&Stream::new(0, Purpose::User(0), 0), 5), 0.0)
            }
        }
    }

    /// Shares below the distribution functions' quartiles (SciPy's `ppf`).
    #[test]
    fn quantiles_are_those_of_the_distributions() {
        let stream = Stream::new(8, Purpose::User(3), 1);
        let cases = [
            (
                Distribution::Normal { mean: 0.0, std: 1.0 },
                [-0.674_489_750_196_081_7, 0.0, 0.674_489_750_196_081_7],
            ),
            (
                Distribution::Exponential { rate: 1.0 },
                [0.287_682_072_451_780_9, std::f64::consts::LN_2, 1.386_294_361_119_890_6],
            ),
            // Shape 1/2: half the square of a normal number.
            (
                Distribution::Gamma { shape: 0.5, rate: 1.0 },
                [0.050_765_522_133_810_1, 0.227_468_211_559_786, 0.661_651_852_327_313],
            ),
            // The arcsine law: sin²(π q / 2).
            (Distribution::Beta { a: 0.5, b: 0.5 }, [0.146_446_609_406_726_24, 0.5, 0.853_553_390_593_273_7]),
        ];
        for (d, quartiles) in cases {
            for (i, q) in quartiles.iter().enumerate() {
                let share = (0..N).filter(|at| d.value(&stream, *at) < *q).count() as f64 / N as f64;
                let want = 0.25 * (i + 1) as f64;
                assert!((share - want).abs() < 5.0 * 0.0025, "{d:?}: {share} below {q}, not {want}");
            }
        }
    }

    #[test]
    fn the_numbers_never_change() {
        let s = Stream::new(42, Purpose::User(0), 7);
        let got = [
            Distribution::Uniform { low: -1.0, high: 1.0 },
            Distribution::Normal { mean: 0.0, std: 1.0 },
            Distribution::TruncatedNormal { mean: 0.0, std: 1.0 },
            Distribution::Exponential { rate: 1.0 },
            Distribution::Gamma { shape: 2.5, rate: 1.0 },
            Distribution::Gamma { shape: 0.25, rate: 1.0 },
            Distribution::Beta { a: 2.0, b: 0.5 },
            Distribution::Poisson { rate: 600.0 },
        ]
        .map(|d| [0, 1, 1 << 40].map(|at| d.value(&s, at).to_bits()));
        assert_eq!(got, GOLDEN, "{got:#x?}");
    }
    const GOLDEN: [[u64; 3]; 8] = [[0; 3]; 8];

    #[test]
    fn settings_out_of_range_are_errors() {
        let bad = [
            Distribution::Uniform { low: 1.0, high: 1.0 },
            Distribution::Uniform { low: -f64::MAX, high: f64::MAX },
            Distribution::Normal { mean: 0.0, std: -1.0 },
            Distribution::Normal { mean: f64::NAN, std: 1.0 },
            Distribution::Exponential { rate: 0.0 },
            Distribution::Gamma { shape: 0.0, rate: 1.0 },
            Distribution::Beta { a: 1.0, b: f64::INFINITY },
            Distribution::Poisson { rate: 2e6 },
        ];
        for d in bad {
            assert!(d.check().is_err(), "{d:?}");
        }
    }
}
