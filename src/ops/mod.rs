//! Why it exists: what can be done with tensors, a file per family. Each operation is complete in its file: method,
//! shape rule, evaluation, gradient and its check.

pub mod along;
pub mod arrange;
pub mod cast;
pub mod diagonal;
pub mod einsum;
pub mod elementwise;
mod expr;
pub mod fill;
pub mod gated;
pub mod index;
pub mod join;
pub mod linalg;
pub mod logic;
pub mod mask;
pub mod matmul;
pub mod norm;
pub mod pad;
mod parts;
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

use crate::autograd::{Attrs, Op};
use crate::{Error, Result};
use std::sync::Arc;

pub use elementwise::{BINARY, BinaryRow, UNARY, UnaryRow};
pub use pad::Padding;
pub use sort::Unique;
pub use subscript::{Ellipsis, Index, IntoIndex, NewAxis, Slice};
pub use table::{Gradient, OpRow, Takes};

/// The recorded operations of every file.
const RECORDED: &[&[table::Reader]] = &[
    &[table::reader::<crate::autograd::Detach>],
    along::RECORDED,
    cast::RECORDED,
    elementwise::RECORDED,
    fill::RECORDED,
    index::RECORDED,
    join::RECORDED,
    linalg::RECORDED,
    logic::RECORDED,
    matmul::RECORDED,
    norm::RECORDED,
    pad::RECORDED,
    random::RECORDED,
    reduce::RECORDED,
    scan::RECORDED,
    softmax::RECORDED,
    sort::RECORDED,
    view::RECORDED,
];

/// The operation of this name with these attributes: what [`Attributes`](crate::autograd::Attributes) says of one is all that
/// there is to know.
///
/// ```
/// use gradus::autograd::{Attr, Attrs};
/// let mut attrs = Attrs::new();
/// attrs.set("axis", Attr::Int(1));
/// assert_eq!(gradus::ops::read("concat", &attrs)?.attrs(), attrs);
/// # Ok::<(), gradus::Error>(())
/// ```
///
/// # Errors
/// There is none, or an attribute is missing or of another type.
pub fn read(name: &str, attrs: &Attrs) -> Result<Arc<dyn Op>> {
    let mut readers = RECORDED.iter().copied().flatten();
    let unknown = || Error::argument("operation", "the name of one of the library's", format!("'{name}'"));
    readers.find_map(|reader| reader(name, attrs)).unwrap_or_else(|| Err(unknown()))
}

/// The rows of every file but those of [`UNARY`] and [`BINARY`], which are tables of their own.
pub const OPS: &[&[OpRow]] = &[
    along::OPS,
    arrange::OPS,
    cast::OPS,
    diagonal::OPS,
    einsum::OPS,
    elementwise::OPS,
    fill::OPS,
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
