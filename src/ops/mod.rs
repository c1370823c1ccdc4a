//! Why it exists: what can be done with tensors, a file per family. Each operation is complete in its file: method,
//! shape rule, evaluation, gradient and its check.

pub mod along;
pub mod arrange;
pub mod cast;
pub mod diagonal;
pub mod einsum;
pub mod elementwise;
mod expr;
pub mod gated;
pub mod index;
pub mod join;
pub mod linalg;
pub mod logic;
pub mod mask;
pub mod matmul;
pub mod norm;
pub mod pad;
mod promote;
pub mod random;
pub mod range;
pub mod reduce;
pub mod scan;
pub mod softmax;
pub mod sort;
pub mod stats;
pub mod subscript;
mod table;
pub mod view;

pub use elementwise::{BINARY, BinaryRow, UNARY, UnaryRow};
pub use pad::Padding;
pub use sort::Unique;
pub use subscript::{Ellipsis, Index, IntoIndex, NewAxis, Slice};
pub use table::{Gradient, OpRow, Takes};

/// The rows of every file but those of [`UNARY`] and [`BINARY`], which are tables of their own.
pub const OPS: &[&[OpRow]] = &[
    along::OPS,
    arrange::OPS,
    cast::OPS,
    diagonal::OPS,
    einsum::OPS,
    elementwise::OPS,
    gated::OPS,
    index::OPS,
    join::OPS,
    linalg::OPS,
    logic::OPS,
    mask::OPS,
    matmul::OPS,
    norm::OPS,
    pad::OPS,
    random::OPS,
    range::OPS,
    reduce::OPS,
    scan::OPS,
    softmax::OPS,
    sort::OPS,
    stats::OPS,
    subscript::OPS,
    view::OPS,
];
