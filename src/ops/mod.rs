//! Why it exists: what can be done with tensors, a file per family. Each operation is complete in its file: method,
//! shape rule, evaluation, gradient and its check.

pub mod cast;
pub mod einsum;
pub mod elementwise;
mod expr;
pub mod index;
pub mod join;
pub mod linalg;
pub mod logic;
pub mod matmul;
pub mod random;
pub mod reduce;
pub mod softmax;
mod table;
pub mod view;

pub use elementwise::{BINARY, BinaryRow, UNARY, UnaryRow};
pub use table::{Gradient, OpRow, Takes};

/// The rows of every file but those of [`UNARY`] and [`BINARY`], which are tables of their own.
pub const OPS: &[&[OpRow]] = &[
    cast::OPS,
    einsum::OPS,
    elementwise::OPS,
    index::OPS,
    join::OPS,
    linalg::OPS,
    logic::OPS,
    matmul::OPS,
    random::OPS,
    reduce::OPS,
    softmax::OPS,
    view::OPS,
];
