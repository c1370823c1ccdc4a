//! What the tests of kernels share: random numbers from a seed, and comparison by bits.

use super::math::Real;
use crate::Float;

/// Numbers from a seed, so that failures repeat.
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    /// Returns a whole number below `n`; 0 if `n` is 0.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((self.0 ^ (self.0 >> 29)).wrapping_mul(0x9E3779B97F4A7C15) >> 17) as usize % n.max(1)
    }

    /// Numbers from -1 to 1.
    pub(crate) fn vec<T: Real>(&mut self, n: usize) -> Vec<T> {
        (0..n).map(|_| T::c(self.below(2_000_001) as f64 / 1e6 - 1.0)).collect()
    }
}

/// Returns bits; all NaNs are alike. Both types widen exactly.
fn bits<T: Float>(v: T) -> u64 {
    if v.wide().is_nan() { u64::MAX } else { v.wide().to_bits() }
}

/// Checks that both have as many numbers, with the same bits.
#[track_caller]
pub(crate) fn same<T: Float>(got: &[T], want: &[T], what: &dyn Fn() -> String) {
    assert_eq!(got.len(), want.len(), "{}", what());
    for (i, (&g, &w)) in got.iter().zip(want).enumerate() {
        assert!(bits(g) == bits(w), "{}: element {i}: {g:?} instead of {w:?}", what());
    }
}
