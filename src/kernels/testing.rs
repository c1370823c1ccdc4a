//! What the tests of kernels share: random numbers from a seed, and comparison by bits.

use super::gemm::{Act, Epilogue, Gemm};
use super::math::Real;
use super::simd::{Isa, isa};
use crate::Float;

/// The instruction sets that a test of all of them goes through: all that this processor has, or the one that `GRADUS_ISA` names.
pub(crate) fn sets() -> Vec<Isa> {
    let forced = std::env::var_os("GRADUS_ISA").is_some();
    if forced { vec![isa()] } else { Isa::available().to_vec() }
}

/// Those of [`sets`] that large cases are for: portable multiply-adds are in software on x86-64, and the best set stands for those below it.
pub(crate) fn sets_for_large() -> Vec<Isa> {
    let best = Isa::available()[Isa::available().len() - 1];
    sets().into_iter().filter(|&isa| isa == best || isa == Isa::NoFma).collect()
}

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

/// The parts of an epilogue, any of which may be missing.
#[derive(Clone, Debug)]
pub(crate) struct Ends<T> {
    bias: Vec<T>,
    scale: Vec<T>,
    shift: Vec<T>,
    residual: Vec<T>,
    /// Bias, scale and shift, residual, another function.
    has: [bool; 4],
    activation: Option<Act>,
}

impl<T: Gemm> Ends<T> {
    /// Any of them for `columns` columns, and so many elements of the result.
    pub(crate) fn any(r: &mut Rng, elements: usize, columns: usize) -> Ends<T> {
        let [bias, scale, shift] = [(); 3].map(|()| r.vec(columns));
        let residual = r.vec(elements);
        let activation =
            [None, None, Some(Act::Relu), Some(Act::Relu), Some(Act::Tanh), Some(Act::Sigmoid)][r.below(6)];
        let has = [r.below(2) == 0, r.below(2) == 0, r.below(2) == 0, r.below(5) == 0];
        Ends { bias, scale, shift, residual, has, activation }
    }

    pub(crate) fn epilogue(&self) -> Epilogue<'_, T> {
        let [bias, scale, residual, map] = self.has;
        Epilogue {
            bias: bias.then_some(&self.bias[..]),
            scale: scale.then_some((&self.scale[..], &self.shift[..])),
            residual: residual.then_some(&self.residual[..]),
            activation: self.activation,
            map: if map { Some(&squares::<T>) } else { None },
        }
    }
}

fn squares<T: Gemm>(run: &mut [T]) {
    run.iter_mut().for_each(|x| *x = *x * *x);
}
