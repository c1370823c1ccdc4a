//! gradus
pub mod datasets;
mod dtype;
mod error;
pub mod io;
pub mod kernels;
pub mod random;
mod shape;
pub use dtype::{DType, Element, Float, Stored};
pub use error::{Context, Error, Result};
pub use shape::{IntoShape, MAX_RANK, Shape, Spec};
