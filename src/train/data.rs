//! Why it exists: what `fit` and its kin take as data, and how a batch is cut from it.

pub use crate::data::AsTensors;

use crate::tensor::Tensor;
use crate::{Error, Result};
use smallvec::SmallVec;

/// A few tensors: inputs or outputs of a network.
pub(crate) type Tensors = SmallVec<[Tensor; 2]>;

/// The number of rows that all tensors have.
pub(crate) fn rows(what: &'static str, tensors: &[Tensor]) -> Result<usize> {
    let mut n = None;
    for t in tensors {
        let Some(&rows) = t.dims().first() else {
            return Err(Error::shape(what, "data with one row for each sample", *t.shape()));
        };
        if *n.get_or_insert(rows) != rows {
            let expected =
                format!("the same number of rows in all, {} as in the first", tensors[0].dims()[0]);
            return Err(Error::argument(what, expected, rows));
        }
    }
    n.ok_or_else(|| Error::argument(what, "at least one tensor", "none"))
}

/// Rows `start..end` of each tensor.
pub(crate) fn slice(tensors: &[Tensor], start: usize, end: usize) -> Result<Tensors> {
    tensors.iter().map(|t| t.slice(0, start as isize, end as isize)).collect()
}

/// The named rows of each tensor.
pub(crate) fn gather(tensors: &[Tensor], order: &Tensor) -> Result<Tensors> {
    tensors.iter().map(|t| t.gather(order, 0)).collect()
}
