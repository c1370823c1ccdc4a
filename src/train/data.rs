//! Why it exists: what `fit` and its kin take as data, and how batches come from it.

pub use crate::data::AsTensors;
pub(crate) use crate::data::Tensors;

use super::model::Model;
use crate::random::{Purpose, Stream};
use crate::tensor::Tensor;
use crate::{Error, Result};

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

/// What one step works on.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) x: Tensors,
    pub(crate) y: Tensors,
    /// One number for each row, if rows have weights.
    pub(crate) weights: Option<Tensor>,
    /// Where the rows stand in the user's data, for messages.
    origin: Origin,
}

/// Where the rows of a batch come from.
#[derive(Debug)]
enum Origin {
    /// Rows from this one on.
    From(usize),
    /// These rows.
    Rows(Tensor),
}

impl Batch {
    /// Rows that stand one after the other in the user's data, from `first` on.
    pub(crate) fn new(x: Tensors, y: Tensors, weights: Option<Tensor>, first: usize) -> Batch {
        Batch { x, y, weights, origin: Origin::From(first) }
    }

    /// The number of rows.
    pub(crate) fn rows(&self) -> usize {
        self.x.first().and_then(|x| x.dims().first()).copied().unwrap_or(0)
    }

    /// An error about a label, told by its position in the user's data rather than in this batch.
    pub(crate) fn locate(&self, error: Error) -> Error {
        match error {
            Error::Index { op, what: "label", value, position, last } => {
                let elements = self.y.first().map_or(1, Tensor::elements);
                let inner = (elements / self.rows().max(1)).max(1);
                let row = match &self.origin {
                    Origin::From(start) => start + position / inner,
                    Origin::Rows(rows) => {
                        let rows = rows.to_vec::<i64>().unwrap_or_default();
                        rows.get(position / inner).map_or(position / inner, |r| *r as usize)
                    }
                };
                Error::Index { op, what: "label", value, position: row * inner + position % inner, last }
            }
            Error::At { place, source } => self.locate(*source).at(place),
            other => other,
        }
    }
}

/// Where `fit` and `evaluate` take batches from: passes over data, one after the other.
pub(crate) trait Source: Send {
    /// Batches in a pass, if that is known.
    fn steps(&self) -> Option<usize>;

    /// Begins a pass; `seed` and `pass` key its order.
    fn begin(&mut self, seed: u64, pass: u64) -> Result<()>;

    /// The next batch of the pass, of data that `model` accepts; `None` at its end.
    fn next(&mut self, model: &Model) -> Result<Option<Batch>>;
}

/// Batches from tensors that are there as a whole.
#[derive(Debug)]
pub(crate) struct Arrays {
    pub(crate) x: Tensors,
    pub(crate) y: Tensors,
    /// One weight for each row, or nothing.
    pub(crate) weights: Option<Tensor>,
    /// Where its first row stands in the user's data.
    pub(crate) first: usize,
    pub(crate) batch_size: usize,
    pub(crate) shuffle: bool,
    order: Option<Tensor>,
    at: usize,
}

impl Arrays {
    /// Batches in order.
    pub(crate) fn new(x: Tensors, y: Tensors, weights: Option<Tensor>, batch_size: usize) -> Arrays {
        Arrays { x, y, weights, first: 0, batch_size, shuffle: false, order: None, at: 0 }
    }

    /// Rows `start..end` of the same data.
    pub(crate) fn part(&self, start: usize, end: usize) -> Result<Arrays> {
        let cut = |t: &[Tensor]| slice(t, start, end);
        let weights = self.weights.as_ref().map(|w| w.slice(0, start as isize, end as isize)).transpose()?;
        Ok(Arrays { first: start, ..Arrays::new(cut(&self.x)?, cut(&self.y)?, weights, self.batch_size) })
    }

    /// The number of rows.
    pub(crate) fn rows(&self) -> usize {
        self.x.first().and_then(|x| x.dims().first()).copied().unwrap_or(0)
    }
}

impl Source for Arrays {
    fn steps(&self) -> Option<usize> {
        Some(self.rows().div_ceil(self.batch_size))
    }

    fn begin(&mut self, seed: u64, pass: u64) -> Result<()> {
        let n = self.rows();
        self.at = 0;
        self.order = match self.shuffle {
            true => Some(Tensor::from_slice(&Stream::new(seed, Purpose::Shuffle, pass).permutation(n), [n])?),
            false => None,
        };
        Ok(())
    }

    fn next(&mut self, _: &Model) -> Result<Option<Batch>> {
        let (start, end) = (self.at, (self.at + self.batch_size).min(self.rows()));
        if start >= end {
            return Ok(None);
        }
        self.at = end;
        Ok(Some(match &self.order {
            Some(order) => {
                let rows = order.slice(0, start as isize, end as isize)?;
                let weights = self.weights.as_ref().map(|w| w.gather(&rows, 0)).transpose()?;
                Batch {
                    x: gather(&self.x, &rows)?,
                    y: gather(&self.y, &rows)?,
                    weights,
                    origin: Origin::Rows(rows),
                }
            }
            None => {
                let weights =
                    self.weights.as_ref().map(|w| w.slice(0, start as isize, end as isize)).transpose()?;
                let origin = Origin::From(self.first + start);
                Batch { x: slice(&self.x, start, end)?, y: slice(&self.y, start, end)?, weights, origin }
            }
        }))
    }
}
