//! Why it exists: bytes from outside are untrusted. What every reader shares, the limits and the bounded read of a
//! file, stands here, so that no format has to invent its own. Models are in `model`, and `docs/format.md` is their
//! file format. Data comes in with [`Csv`], [`npy`] and [`npz`].

mod csv;
pub(crate) mod json;
mod limits;
mod load;
mod model;
pub mod npy;
pub mod npz;
mod read;
mod tensors;
mod write;

pub use crate::config::Registry;
pub use csv::{Categories, Column, Csv, Encoder, Missing, Table, Unknown};
pub use limits::Limits;
pub(crate) use limits::check;
pub use load::Load;
#[cfg(feature = "datasets")]
pub(crate) use read::open_file;
pub(crate) use read::read_file;
pub(crate) use write::write_atomically;
#[cfg(feature = "download")]
pub(crate) use write::write_atomically_with;
