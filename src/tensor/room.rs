//! Why it exists: sizes come from callers, and lists that grow with them must not end the program where memory ends: the standard
//! library's do. Numbers go into arrays, whose memory is an error if it cannot be had; what is no number goes into lists made here.

use crate::{Error, Result, Spec};

/// An empty list with room for `n` items, which a tensor of this spec asks for.
///
/// # Errors
/// Memory cannot be had.
pub(crate) fn room<T>(n: usize, spec: Spec) -> Result<Vec<T>> {
    let mut list = Vec::new();
    let bytes = n as u128 * size_of::<T>() as u128;
    let (dtype, shape, why) = (spec.dtype, Box::new(spec.shape), "the system has no more memory");
    list.try_reserve_exact(n).map_err(|_| Error::Memory { bytes, dtype, shape, why })?;
    Ok(list)
}

/// `n` times the same number.
///
/// # Errors
/// As [`room`].
pub(crate) fn filled<T: Clone>(n: usize, value: T, spec: Spec) -> Result<Vec<T>> {
    let mut list = room(n, spec)?;
    list.resize(n, value);
    Ok(list)
}
