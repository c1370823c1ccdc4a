//! Several tensors at once, such as the inputs or outputs of a network.

use super::{Few, PoolVec, Tensor};
use crate::{Error, Result};

/// A few tensors: inputs or outputs of a network.
pub type Tensors = Few<Tensor, 2>;

/// One tensor, or several for networks with several inputs or outputs.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a tensor",
    label = "expected `&x` with a `Tensor`, or `&[a, b]` for a network with several inputs or outputs",
    note = "`Tensor::new(values)?` makes a tensor of numbers, arrays and vectors"
)]
pub trait AsTensors {
    /// Returns the tensors, which are cheap to clone.
    fn as_tensors(&self) -> Tensors;
}
impl AsTensors for Tensor {
    fn as_tensors(&self) -> Tensors {
        std::iter::once(self.clone()).collect()
    }
}
impl AsTensors for [Tensor] {
    fn as_tensors(&self) -> Tensors {
        self.iter().cloned().collect()
    }
}
impl AsTensors for Vec<Tensor> {
    fn as_tensors(&self) -> Tensors {
        self.iter().cloned().collect()
    }
}
impl<const N: usize> AsTensors for [Tensor; N] {
    fn as_tensors(&self) -> Tensors {
        self.iter().cloned().collect()
    }
}
impl<const N: usize> AsTensors for [&Tensor; N] {
    fn as_tensors(&self) -> Tensors {
        self.iter().map(|t| (*t).clone()).collect()
    }
}

/// Returns the number of rows, which all tensors must share.
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

/// Joins the rows of all parts, tensor by tensor; each part has `n` tensors.
pub(crate) fn join_rows<T: std::ops::Deref<Target = [Tensor]>, C: FromIterator<Tensor>>(
    parts: &[T],
    n: usize,
) -> Result<C> {
    let joined = |i: usize| Tensor::concat(&parts.iter().map(|p| &p[i]).collect::<PoolVec<_>>(), 0);
    (0..n).map(joined).collect()
}

/// Returns rows `start..end` of each tensor.
pub(crate) fn slice_rows(tensors: &[Tensor], start: usize, end: usize) -> Result<Tensors> {
    tensors.iter().map(|t| t.slice(0, start as isize, end as isize)).collect()
}
