//! Finds the operation that first made a NaN or infinity. A pass that ended in such numbers is run once more under
//! a watch, and the first operation that makes them from finite inputs fails. The tape's own operations are watched
//! too, because all go through the same function. Nothing is watched unless asked for, and a watch changes no
//! results.

use super::Op;
use crate::dtype::{Convert, bf16, f16};
use crate::tensor::{Array, Tensor};
use crate::{DType, Error, Result};
use std::cell::Cell;

thread_local! {
    static WATCHED: Cell<bool> = const { Cell::new(false) };
    /// The recorded step whose gradient failed last under a watch.
    static FAILED: Cell<Option<u64>> = const { Cell::new(None) };
}

/// Runs `f` under a watch.
pub(crate) fn watched<R>(f: impl FnOnce() -> R) -> R {
    struct Until(bool);
    impl Drop for Until {
        fn drop(&mut self) {
            WATCHED.set(self.0);
        }
    }
    let _until = Until(WATCHED.replace(true));
    FAILED.set(None);
    f()
}

/// Returns whether this thread is watched.
pub(super) fn is_watched() -> bool {
    WATCHED.get()
}

/// Notes the step whose gradient failed.
pub(super) fn failed(step: u64) {
    if is_watched() {
        FAILED.set(Some(step));
    }
}

/// Returns the number of the recorded step whose gradient failed.
pub(crate) fn failed_step() -> Option<u64> {
    FAILED.get()
}

/// Fails if there are NaN or infinite values among the outputs but not among the inputs.
pub(super) fn look(op: &dyn Op, inputs: &[&Tensor], outputs: &[Array]) -> Result<()> {
    let Some((output, (at, value))) = outputs.iter().find_map(|o| Some((o, not_finite(o)?))) else {
        return Ok(());
    };
    if inputs.is_empty() || inputs.iter().any(|t| not_finite(t.array()).is_some()) {
        return Ok(());
    }
    let got = format!("{value} at position {at} of {}", output.shape());
    Err(Error::argument(op.name(), "a finite result of finite inputs", got))
}

/// Returns the first value that is NaN or infinite, and its position in row-major order.
pub(crate) fn not_finite(array: &Array) -> Option<(usize, f64)> {
    fn first<T: Convert<f64> + Copy>(values: &[T]) -> Option<(usize, f64)> {
        values.iter().map(|v| v.convert()).enumerate().find(|(_, v)| !v.is_finite())
    }
    if array.is_traced() {
        return None;
    }
    let array = array.contiguous().ok()?;
    match array.dtype() {
        DType::F32 => first(array.slice::<f32>().ok()?),
        DType::F64 => first(array.slice::<f64>().ok()?),
        DType::BF16 => first(array.slice::<bf16>().ok()?),
        DType::F16 => first(array.slice::<f16>().ok()?),
        _ => None,
    }
}
