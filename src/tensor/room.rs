//! Lists whose size comes from callers, and which must not abort the program if memory runs out, as the standard
//! library's do. Numbers go into arrays, whose allocation can fail with an error; anything else goes into lists
//! made here.

use crate::{Error, Result, Spec};

/// Returns an empty list with room for `n` items; `spec` is the tensor that needs it, for the error.
///
/// # Errors
/// There is not enough memory.
pub(crate) fn room<T>(n: usize, spec: Spec) -> Result<Vec<T>> {
    let mut list = Vec::new();
    let bytes = n as u128 * size_of::<T>() as u128;
    let (dtype, shape, why) = (spec.dtype, Box::new(spec.shape), "the system has no more memory");
    list.try_reserve_exact(n).map_err(|_| Error::Memory { bytes, dtype, shape, why })?;
    Ok(list)
}

/// Returns a list of `n` copies of a value.
///
/// # Errors
/// Those of [`room`].
pub(crate) fn filled<T: Clone>(n: usize, value: T, spec: Spec) -> Result<Vec<T>> {
    let mut list = room(n, spec)?;
    list.resize(n, value);
    Ok(list)
}
