//! Why it exists: what `fit` and its kin take as data, and how a batch is cut from it.

use crate::tensor::Tensor;
use crate::{Error, Result};
use smallvec::SmallVec;

/// A few tensors: inputs or outputs of a network.
pub(crate) type Tensors = SmallVec<[Tensor; 2]>;

/// One tensor, or several for networks with several inputs or outputs.
pub trait AsTensors {
    /// The tensors, which are cheap to clone.
    fn as_tensors(&self) -> Vec<Tensor>;
}
impl AsTensors for Tensor {
    fn as_tensors(&self) -> Vec<Tensor> {
        vec![self.clone()]
    }
}
impl AsTensors for [Tensor] {
    fn as_tensors(&self) -> Vec<Tensor> {
        self.to_vec()
    }
}
impl AsTensors for Vec<Tensor> {
    fn as_tensors(&self) -> Vec<Tensor> {
        self.clone()
    }
}
impl<const N: usize> AsTensors for [Tensor; N] {
    fn as_tensors(&self) -> Vec<Tensor> {
        self.to_vec()
    }
}
impl<const N: usize> AsTensors for [&Tensor; N] {
    fn as_tensors(&self) -> Vec<Tensor> {
        self.iter().map(|t| (*t).clone()).collect()
    }
}

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
