//! Files. Models are saved and loaded by methods of their own (`docs/format.md` describes the format); data comes
//! in with [`Csv`], [`npy`] and [`npz`]. Bytes from outside are untrusted, so all readers share one set of
//! [`Limits`] and one bounded way to read a file.

mod csv;
pub(crate) mod json;
mod limits;
mod load;
mod model;
pub mod npy;
pub mod npz;
pub(crate) mod proto;
mod read;
pub mod safetensors;
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
pub(crate) use tensors::Tensors;
pub(crate) use write::write_atomically;
#[cfg(any(feature = "download", feature = "onnx"))]
pub(crate) use write::write_atomically_with;
