//! Why it exists: bytes from outside are untrusted. What every reader shares, the limits and the bounded read of a
//! file, stands here, so that no format has to invent its own.

mod limits;
mod read;

pub use limits::Limits;
pub(crate) use limits::check;
pub(crate) use read::read_file;
