//! What `fit` and its kin take as data, and how batches come from it.

use super::weights::Weights;
use crate::nn::Network;
use crate::random::{Purpose, Stream};
use crate::tensor::{Tensor, Tensors, rows, slice_rows as slice};
use crate::{Error, Result};

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
    /// Whether it is the first of a run, whose values are looked at.
    pub(crate) is_first: bool,
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
        Batch { x, y, weights, is_first: false, origin: Origin::From(first) }
    }

    /// As the first of a run, or as another.
    pub(crate) fn first(mut self, is_first: bool) -> Batch {
        self.is_first = is_first;
        self
    }

    /// The number of rows.
    pub(crate) fn rows(&self) -> usize {
        self.x.first().and_then(|x| x.dims().first()).copied().unwrap_or(0)
    }

    /// Where a row of the batch stands in the user's data.
    pub(crate) fn row(&self, row: usize) -> usize {
        match &self.origin {
            Origin::From(start) => start + row,
            Origin::Rows(rows) => {
                let rows = rows.to_vec::<i64>().unwrap_or_default();
                rows.get(row).map_or(row, |r| *r as usize)
            }
        }
    }

    /// An error about a label, told by its position in the user's data rather than in this batch.
    pub(crate) fn locate(&self, error: Error) -> Error {
        match error {
            Error::Index { op, what: "label", value, position, last } => {
                let inner = self.y.first().map_or(1, row_length);
                let row = self.row(position / inner);
                Error::Index { op, what: "label", value, position: row * inner + position % inner, last }
            }
            Error::At { place, source } => self.locate(*source).at(place),
            other => other,
        }
    }
}

/// Elements of one row of a batch, at least 1, so that positions can be divided by it.
pub(super) fn row_length(t: &Tensor) -> usize {
    (t.elements() / t.dims().first().copied().unwrap_or(1).max(1)).max(1)
}

/// Where `fit` and `evaluate` take batches from: passes over data, one after the other.
pub(crate) trait Source: Send {
    /// Batches in a pass, if that is known.
    fn steps(&self) -> Option<usize>;

    /// Begins a pass; `seed` and `pass` key its order.
    fn begin(&mut self, seed: u64, pass: u64) -> Result<()>;

    /// The next batch of the pass, of data that `network` accepts; `None` at its end.
    fn next(&mut self, network: &Network) -> Result<Option<Batch>>;
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
    /// Data that fits a network, as batches in order.
    ///
    /// # Errors
    /// It does not fit, rows are missing, or weights do not fit.
    pub(crate) fn of(
        network: &Network,
        x: &[Tensor],
        y: Tensors,
        weights: Option<&Weights>,
        batch_size: usize,
    ) -> Result<Arrays> {
        let x = network.accept(x)?;
        let n = same_rows(&x, &y)?;
        if batch_size == 0 {
            return Err(Error::argument("batch_size", "at least 1", 0));
        }
        if n == 0 {
            return Err(Error::argument("x", "at least one row", 0));
        }
        let weights = match weights {
            Some(weights) => {
                let ranks: Vec<usize> = network.output_specs().iter().map(|s| s.shape.rank()).collect();
                Some(weights.of_rows(&y, n, &ranks)?)
            }
            None => None,
        };
        Ok(Arrays::new(x, y, weights, batch_size.min(n)))
    }

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
            true => Some(Tensor::permutation(n, Stream::new(seed, Purpose::Shuffle, pass))?),
            false => None,
        };
        Ok(())
    }

    fn next(&mut self, _: &Network) -> Result<Option<Batch>> {
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
                    is_first: false,
                    origin: Origin::Rows(rows),
                }
            }
            None => {
                let weights =
                    self.weights.as_ref().map(|w| w.slice(0, start as isize, end as isize)).transpose()?;
                let (x, y) = (slice(&self.x, start, end)?, slice(&self.y, start, end)?);
                Batch::new(x, y, weights, self.first + start)
            }
        }))
    }
}

/// The rows of inputs and targets, which are as many.
pub(crate) fn same_rows(x: &[Tensor], y: &[Tensor]) -> Result<usize> {
    let (n, m) = (rows("x", x)?, rows("y", y)?);
    if n != m {
        return Err(Error::argument("y", format!("{n} rows, as many as x"), m));
    }
    Ok(n)
}

/// Data that gave no row has no mean.
pub(crate) fn some_rows(n: usize) -> Result<()> {
    if n > 0 { Ok(()) } else { Err(Error::argument("dataset", "at least one batch with a row", "none")) }
}
