//! Reads and writes safetensors files of any names: the weights that other libraries publish. (Models of this library are read by
//! `Model::load`, weights by name by `Network::load_weights`.)
//!
//! ```
//! use gradus::Tensor;
//! use gradus::io::{Limits, safetensors};
//!
//! let bytes = safetensors::encode(&[("layer.weight", &Tensor::ones([2, 3])?)])?;
//! let tensors = safetensors::decode(&bytes, "weights", &Limits::default())?;
//! assert_eq!((tensors[0].0.as_str(), tensors[0].1.dims()), ("layer.weight", &[2, 3][..]));
//! # Ok::<(), gradus::Error>(())
//! ```

use super::tensors::{self, Tensors};
use super::{Limits, read_file, write_atomically};
use crate::{DType, Error, Result, Tensor};
use std::path::Path;

/// Reads all tensors of a file, sorted by name.
///
/// # Errors
/// [`Error::Io`] if the file cannot be read, otherwise the errors of [`decode`].
pub fn read(path: impl AsRef<Path>, limits: &Limits) -> Result<Vec<(String, Tensor)>> {
    let path = path.as_ref();
    decode(&read_file(path, limits.max_file_bytes)?, &path.display().to_string(), limits)
}

/// Decodes the bytes of a file; `what` names them in errors. Element types are those of [`DType`].
///
/// # Errors
/// [`Error::Format`] for what is no safetensors file, or a tensor of another element type; [`Error::Limit`].
pub fn decode(bytes: &[u8], what: &str, limits: &Limits) -> Result<Vec<(String, Tensor)>> {
    all(&Tensors::read(bytes, what, limits)?, what)
}

/// Returns all tensors of a file that is read.
///
/// # Errors
/// A tensor has another element type, or there is not enough memory.
pub(crate) fn all(file: &Tensors<'_>, what: &str) -> Result<Vec<(String, Tensor)>> {
    let tensor = |(name, entry): (&String, &tensors::Entry<'_>)| {
        let known = DType::ALL.into_iter().find(|&dtype| entry.has(dtype));
        let dtype = known.ok_or_else(|| {
            let of = DType::ALL.map(DType::name).join(", ");
            Error::format(what, format!("tensor '{name}' is {}, and these are read: {of}", entry.describe()))
        })?;
        Ok((name.clone(), entry.tensor(name, dtype)?))
    };
    file.entries.iter().map(tensor).collect()
}

/// Writes tensors by name. It writes to a temporary name, then renames.
///
/// # Errors
/// [`Error::Io`], or those of [`encode`].
pub fn write(path: impl AsRef<Path>, tensors: &[(&str, &Tensor)]) -> Result<()> {
    write_atomically(path.as_ref(), &encode(tensors)?)
}

/// Returns the bytes of a file; the same tensors give the same bytes.
///
/// # Errors
/// Two tensors have the same name, one has no values, or there is not enough memory.
pub fn encode(tensors: &[(&str, &Tensor)]) -> Result<Vec<u8>> {
    let named: Vec<(String, Tensor)> =
        tensors.iter().map(|(name, tensor)| ((*name).to_string(), (*tensor).clone())).collect();
    tensors::write("safetensors", &[], &named)
}
