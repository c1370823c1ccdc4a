//! Kernels: the functions on slices in which the whole library spends its time. A kernel knows nothing of tensors,
//! history or layers; it allocates nothing, and its result depends only on its arguments. Begin with [`gemm`], the
//! matrix product, [`map`] for elementwise work and [`reduce`] for sums.

pub mod attention;
pub mod batch_norm;
pub mod conv;
pub mod ctc;
pub mod fourier;
pub mod gemm;
pub mod index;
pub mod linalg;
pub mod map;
pub mod math;
pub mod norm;
pub mod pad;
pub mod par;
pub mod pool;
pub mod random;
pub mod recurrent;
pub mod reduce;
pub mod resize;
pub mod scan;
pub mod scratch;
pub mod simd;
pub mod softmax;
pub mod sort;
pub mod spectral;
pub mod strided;
pub mod whole;
pub mod winograd;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
