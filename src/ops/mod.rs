//! Operations on tensors, one file per family. Each file is complete: methods, shape rules, evaluation, gradients
//! and their checks. Nearly all operations are methods of [`Tensor`](crate::Tensor), so begin there; the
//! [table of all operations](crate::guides::ops) is a guide.

mod attending;
mod ending;
mod expr;
pub(crate) mod moves;
mod naive;
mod parts;
mod promote;
mod recurrent;
mod stack;
mod table;
pub mod window;

use crate::autograd::{Attrs, Detach, Op};
use crate::{Error, Result};
use std::sync::Arc;

pub use elementwise::{BINARY, BinaryRow, UNARY, UnaryRow};
pub use pad::PadMode;
pub use recurrent::RecurrentWeights;
pub use resize::Interpolation;
pub use sort::Unique;
pub use subscript::{Ellipsis, Index, IntoIndex, NewAxis, Slice};
pub use table::{Gradient, OpRow, Takes};
pub use window::Padding;

/// Declares the files of operations: their modules, what they record and their rows.
macro_rules! families {
    ($($file:ident),* $(,)?) => {
        $(pub mod $file;)*

        /// The recorded operations of all files.
        const RECORDED: &[&[table::Reader]] = &[&[table::reader::<Detach>], $($file::RECORDED),*];

        /// The rows of all files, except those of [`UNARY`] and [`BINARY`], which are separate tables.
        pub const OPS: &[&[OpRow]] = &[$($file::OPS),*];
    };
}

families! {
    along, arrange, attention, batch_norm, bits, cast, conv, ctc, diagonal, einsum, elementwise, fill, fourier, frexp, gated, gru, image, index,
    join, linalg, logic, lstm, mask, matmul, nan, norm, numeric, pad, patches, pool, quantile, random, range, reduce, resize, scan, scatter, simple_rnn,
    softmax, sort, spectral, stats, subscript, taper, update, view, warp,
}

/// Returns the operation of this name with these attributes, as [`Attributes`](crate::autograd::Attributes)
/// describes it.
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
/// There is none of this name, or an attribute is missing or of another type.
pub fn read(name: &str, attrs: &Attrs) -> Result<Arc<dyn Op>> {
    let mut readers = RECORDED.iter().copied().flatten();
    let unknown = || Error::argument("operation", "the name of one of the library's", format!("'{name}'"));
    readers.find_map(|reader| reader(name, attrs)).unwrap_or_else(|| Err(unknown()))
}
