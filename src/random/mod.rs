//! Random numbers that depend only on what they are for. Begin with [`Stream`]: a counter put through a fixed
//! function, so its numbers can be drawn in any order, on any thread, with the same result.

mod distribution;
mod philox;

pub use distribution::Distribution;
pub use philox::philox4x32;

use crate::{Error, Result};
use rand_core::utils;

/// What a stream of random numbers is for. Streams of one seed with different purposes share no numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Purpose {
    /// The initial values of parameter number `n`.
    Init(u32),
    /// The order of the rows of an epoch.
    Shuffle,
    /// Key number `n` of a network: the numbers of a random layer.
    Layer(u32),
    /// Key number `key`, used again within one pass: `call` counts from 1.
    LayerAgain {
        /// The key's number.
        key: u32,
        /// How often it was used before in this pass.
        call: u32,
    },
    /// Data augmentation.
    Augment(u32),
    /// Tokens that sequence number `n` goes on with.
    Sample(u32),
    /// Whatever the user's own code draws.
    User(u32),
}

impl Purpose {
    fn code(self) -> u64 {
        let (kind, n) = match self {
            Purpose::Init(n) => (1, n),
            Purpose::Shuffle => (2, 0),
            Purpose::Layer(n) => (3, n),
            Purpose::LayerAgain { key, call } => (3 | u64::from(call) << 8, key),
            Purpose::Augment(n) => (4, n),
            Purpose::User(n) => (5, n),
            Purpose::Sample(n) => (6, n),
        };
        kind << 32 | u64::from(n)
    }
}

/// The finalizer of SplitMix64 (Steele, Lea and Flood 2014): a bijection that spreads every bit.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Returns a seed from the operating system, for programs that want a different run each time. Zero where there is
/// none, as on wasm32-unknown-unknown.
pub fn os_seed() -> u64 {
    #[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
    {
        let mut bytes = [0; 8];
        if getrandom::fill(&mut bytes).is_ok() {
            return u64::from_le_bytes(bytes);
        }
    }
    0
}

/// Joins two words, the low one first.
#[inline(always)]
pub(crate) fn wide(low: u32, high: u32) -> u64 {
    u64::from(low) | u64::from(high) << 32
}

/// Returns a number in `[0, 1)`, a multiple of 2⁻⁵³, from the upper 53 bits.
#[inline(always)]
pub(crate) fn fraction(bits: u64) -> f64 {
    (bits >> 11) as f64 / 9_007_199_254_740_992.0
}

/// An endless table of random numbers: Philox4x32-10 (Salmon et al. 2011) under a key made of seed and purpose, with
/// the step and the position as its counter. Reading it changes nothing; every position can be read at any time.
///
/// ```
/// use gradus::Tensor;
/// use gradus::random::Stream;
///
/// let stream = Stream::from(42);
/// assert_eq!(stream.uniform(7), Stream::from(42).uniform(7)); // number 7 of the stream, whatever was drawn before
/// assert!(Tensor::randn([3], stream)?.same_bits(&Tensor::randn([3], 42)?));
/// # Ok::<(), gradus::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Stream {
    key: [u32; 2],
    step: u64,
    /// For a stream made from a network's key while the network is traced: the key, whose seed and step are not
    /// known yet.
    traced: Option<u64>,
}

thread_local! {
    /// How often this thread has read numbers of a stream that has none yet.
    static READ_TOO_EARLY: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// Returns how often this thread has read numbers of streams whose seed and step are not known yet: a capture fails
/// if it did.
pub(crate) fn read_too_early() -> u64 {
    READ_TOO_EARLY.get()
}

/// Streams are equal if they give the same numbers.
impl PartialEq for Stream {
    fn eq(&self, other: &Stream) -> bool {
        (self.key, self.step, self.traced) == (other.key, other.step, other.traced)
    }
}
impl Eq for Stream {}

/// The stream of a seed: the same each time. Use different seeds, or a stream with steps, for different draws in
/// one program.
impl From<u64> for Stream {
    fn from(seed: u64) -> Stream {
        Stream::new(seed, Purpose::User(0), 0)
    }
}

impl Stream {
    /// Creates the stream of a seed for a purpose at a step.
    pub fn new(seed: u64, purpose: Purpose, step: u64) -> Stream {
        Stream::of_code(seed, purpose.code(), step)
    }

    fn of_code(seed: u64, code: u64, step: u64) -> Stream {
        let key = mix(seed.wrapping_add(mix(code.wrapping_add(0x9E37_79B9_7F4A_7C15))));
        Stream { key: [key as u32, (key >> 32) as u32], step, traced: None }
    }

    /// Makes the stream of a network's key while the network is traced.
    pub(crate) fn traced(purpose: Purpose) -> Stream {
        let code = purpose.code();
        Stream { traced: Some(code), ..Stream::of_code(0, code, 0) }
    }

    /// Returns the stream of the next step, for the same purpose.
    pub(crate) fn following(self) -> Stream {
        Stream { step: self.step.wrapping_add(1), ..self }
    }

    /// Returns whether seed and step are not known yet, so that it has no numbers.
    pub(crate) fn is_traced(&self) -> bool {
        self.traced.is_some()
    }

    /// Gives a traced key's stream this seed and step; `None` if the stream already has its numbers.
    pub(crate) fn at(&self, seed: u64, step: u64) -> Option<Stream> {
        self.traced.map(|code| Stream::of_code(seed, code, step))
    }

    /// Returns what identifies it: the key if it is traced, else its numbers.
    pub(crate) fn to_numbers(self) -> Vec<i64> {
        match self.traced {
            Some(code) => vec![code as i64],
            None => vec![self.key[0].into(), self.key[1].into(), self.step as i64],
        }
    }

    /// Restores what [`Stream::to_numbers`] returned.
    pub(crate) fn from_numbers(numbers: &[i64]) -> Option<Stream> {
        match *numbers {
            [code] => Some(Stream { traced: Some(code as u64), ..Stream::of_code(0, code as u64, 0) }),
            [low, high, step] => {
                let key = [u32::try_from(low).ok()?, u32::try_from(high).ok()?];
                Some(Stream { key, step: step as u64, traced: None })
            }
            _ => None,
        }
    }

    /// Returns the four numbers at a position.
    #[inline]
    pub fn block(&self, at: u64) -> [u32; 4] {
        if self.is_traced() {
            READ_TOO_EARLY.set(READ_TOO_EARLY.get() + 1);
        }
        philox4x32(self.key, [at as u32, (at >> 32) as u32, self.step as u32, (self.step >> 32) as u32])
    }

    /// Returns the words of the sixteen positions from `at` on, in order; for use inside stamped kernels.
    #[inline(always)]
    pub(crate) fn group(&self, at: u64) -> [u32; 64] {
        let counters = std::array::from_fn(|i| at.wrapping_add(i as u64));
        philox::side_by_side(self.key, counters, self.step)
    }

    /// Returns number `at` of the stream of 64-bit numbers.
    pub fn bits(&self, at: u64) -> u64 {
        let b = self.block(at / 2);
        let half = (at % 2 * 2) as usize;
        wide(b[half], b[half + 1])
    }

    /// Returns number `at` of the stream of uniform numbers in `[0, 1)`, multiples of 2⁻⁵³.
    pub fn uniform(&self, at: u64) -> f64 {
        fraction(self.bits(at))
    }

    /// Returns number `at` of the stream of standard normal numbers (Box and Muller 1958).
    pub fn normal(&self, at: u64) -> f64 {
        let b = self.block(at);
        let radius = libm::sqrt(-2.0 * libm::log(1.0 - fraction(wide(b[0], b[1]))));
        radius * libm::cos(std::f64::consts::TAU * fraction(wide(b[2], b[3])))
    }

    /// Returns number `at` of the stream of standard normal numbers truncated at two deviations: the first of up to
    /// 64 tries that lies inside.
    pub fn truncated_normal(&self, at: u64) -> f64 {
        let inside = (0..64).map(|attempt| self.normal(at << 6 | attempt)).find(|v| v.abs() <= 2.0);
        inside.unwrap_or(0.0)
    }

    /// Returns number `at` of the stream of whole numbers below `n`, without bias (Lemire 2019): the first of up to
    /// 64 tries that counts. 0 if `n` is 0.
    pub fn below(&self, at: u64, n: u64) -> u64 {
        let wide = |attempt: u64| u128::from(self.bits(at << 6 | attempt)) * u128::from(n);
        let counts = |wide: &u128| *wide as u64 >= n.wrapping_neg() % n.max(1);
        ((0..64).map(wide).find(counts).unwrap_or(0) >> 64) as u64
    }

    /// Returns the numbers one after another, for algorithms that draw as they go; it implements the traits of the
    /// crate `rand`.
    pub fn draws(&self) -> Draws {
        Draws { stream: *self, at: 0 }
    }

    /// Returns the numbers `0..n` in random order (Fisher and Yates).
    ///
    /// # Errors
    /// There is not enough memory.
    pub fn permutation(&self, n: usize) -> Result<Vec<i64>> {
        let mut order = Vec::new();
        let expected = "as many numbers as memory holds";
        order.try_reserve_exact(n).map_err(|_| Error::argument("permutation", expected, n))?;
        order.resize(n, 0);
        self.permute(&mut order);
        Ok(order)
    }

    /// Fills a list with the numbers below its length in random order.
    pub(crate) fn permute(&self, order: &mut [i64]) {
        order.iter_mut().enumerate().for_each(|(i, o)| *o = i as i64);
        let mut draws = self.draws();
        for i in (1..order.len()).rev() {
            order.swap(i, draws.below(i as u64 + 1) as usize);
        }
    }
}

/// A [`Stream`] read in order.
#[derive(Clone, Debug)]
pub struct Draws {
    stream: Stream,
    at: u64,
}

impl Draws {
    /// Returns the next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.at += 1;
        self.stream.bits(self.at - 1)
    }

    /// Returns the next number below `n`, without bias (Lemire 2019).
    pub fn below(&mut self, n: u64) -> u64 {
        loop {
            let wide = u128::from(self.bits()) * u128::from(n);
            if wide as u64 >= n.wrapping_neg() % n.max(1) {
                return (wide >> 64) as u64;
            }
        }
    }
}

impl rand_core::TryRng for Draws {
    type Error = std::convert::Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        Ok(self.bits() as u32)
    }
    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        Ok(self.bits())
    }
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        utils::fill_bytes_via_next_word(bytes, || self.try_next_u64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_never_change() {
        let s = Stream::new(42, Purpose::Init(3), 7);
        let golden = [s.bits(0), s.bits(1), s.bits(1 << 40)];
        assert_eq!(golden, [11147258409425246041, 1857767218942834241, 8836259521756262176]);
        assert_eq!(s.permutation(8).unwrap(), [5i64, 7, 2, 6, 3, 1, 0, 4]);
        let mut draws = s.draws();
        assert_eq!([draws.bits(), draws.bits()], golden[..2]);
    }

    #[test]
    fn whole_numbers_are_not_biased() {
        let s = Stream::new(5, Purpose::User(1), 0);
        let mut counts = [0; 3];
        (0..30_000).for_each(|at| counts[s.below(at, 3) as usize] += 1);
        assert!(counts.iter().all(|c| (9_600..10_400).contains(c)), "{counts:?}");
        // Three quarters of 2^64: a remainder or a product alone would favour some thirds twofold.
        let n = 3 << 62;
        for third in 0..3 {
            let in_third = |at: &u64| s.below(*at, n) >> 62 == third;
            let count = (0..30_000).filter(in_third).count();
            assert!((9_600..10_400).contains(&count), "{count}");
        }
        assert_eq!((s.below(9, 1), s.below(9, 0)), (0, 0));
    }

    #[test]
    fn streams_of_different_purposes_or_steps_differ() {
        let a = Stream::new(0, Purpose::Shuffle, 0);
        assert_ne!(a.bits(0), Stream::new(0, Purpose::Shuffle, 1).bits(0));
        assert_ne!(a.bits(0), Stream::new(1, Purpose::Shuffle, 0).bits(0));
        assert_ne!(a.bits(0), Stream::new(0, Purpose::Layer(0), 0).bits(0));
    }

    #[test]
    fn moments_are_right() {
        let s = Stream::new(1, Purpose::User(0), 0);
        let n = 100_000;
        let moments = |f: &dyn Fn(u64) -> f64| {
            let mean = (0..n).map(f).sum::<f64>() / n as f64;
            (mean, (0..n).map(|i| (f(i) - mean) * (f(i) - mean)).sum::<f64>() / n as f64)
        };
        let (mean, var) = moments(&|i| s.uniform(i));
        assert!((mean - 0.5).abs() < 5e-3 && (var - 1.0 / 12.0).abs() < 2e-3);
        let (mean, var) = moments(&|i| s.normal(i));
        assert!(mean.abs() < 2e-2 && (var - 1.0).abs() < 2e-2);
        let (mean, var) = moments(&|i| s.truncated_normal(i));
        assert!(mean.abs() < 2e-2 && (var.sqrt() - 0.879_625_661_034_239_8).abs() < 1e-2);
    }

    #[test]
    fn permutations_hold_every_number_once_and_are_not_biased() {
        let mut firsts = [0; 5];
        for step in 0..5000 {
            let mut p = Stream::new(9, Purpose::Shuffle, step).permutation(5).unwrap();
            firsts[p[0] as usize] += 1;
            p.sort_unstable();
            assert_eq!(p, [0, 1, 2, 3, 4]);
        }
        assert!(firsts.iter().all(|f| (850..1150).contains(f)), "{firsts:?}");
    }
}
