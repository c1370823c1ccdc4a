//! Data sets for first programs: readers of the formats in which they come, and digits made on the spot where there
//! is no file at all. Begin with [`mnist::load`].

mod cache;
mod cifar;
pub mod cifar10;
pub mod cifar100;
pub mod digits;
#[cfg(feature = "download")]
mod download;
pub mod fashion_mnist;
#[cfg(feature = "datasets")]
mod gzip;
pub mod idx;
pub mod mnist;
#[cfg(feature = "datasets")]
mod tar;

#[cfg(feature = "download")]
pub use download::Download;

use crate::Tensor;

/// Images and labels as tensors, and where they came from.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Split {
    /// uint8, 0 to 255: `[n, 28, 28]` (MNIST and its like) or `[n, 32, 32, 3]` (CIFAR).
    pub images: Tensor,
    /// int64 `[n]`, from 0.
    pub labels: Tensor,
    /// Which data this is, in words, with its licence.
    pub source: &'static str,
}
