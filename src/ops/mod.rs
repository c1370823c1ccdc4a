//! Why it exists: what can be done with tensors, a file per family. Each operation is complete in its file: method,
//! shape rule, evaluation, gradient and its check.

pub mod cast;
pub mod einsum;
pub mod elementwise;
mod expr;
pub mod index;
pub mod join;
pub mod logic;
pub mod matmul;
pub mod random;
pub mod reduce;
pub mod softmax;
pub mod view;

pub use elementwise::{BINARY, BinaryRow, UNARY, UnaryRow};
