//! gradus
pub mod autograd;
mod dtype;
mod error;
pub mod kernels;
pub mod ops;
pub mod random;
mod shape;
pub mod tensor;
pub use dtype::{DType, Element, Float, Stored};
pub use error::{Context, Error, Result};
pub use kernels::par::{Threads, with_threads};
pub use shape::{IntoShape, MAX_RANK, Shape, Spec};
pub use tensor::Tensor;
