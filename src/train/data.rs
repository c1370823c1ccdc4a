//! The data that `fit`, `evaluate` and their relatives take, and how batches are made of it.

use super::weights::Weights;
use crate::nn::Network;
use crate::random::{Purpose, Stream};
use crate::tensor::{Tensor, Tensors, rows, slice_rows as slice};
use crate::{Error, Result};

/// Gathers the rows with these indices from each tensor.
pub(crate) fn gather(tensors: &[Tensor], order: &Tensor) -> Result<Tensors> {
    tensors.iter().map(|t| t.gather(order, 0)).collect()
}

/// The data of one step.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) x: Tensors,
    pub(crate) y: Tensors,
    /// One weight for each row, if rows have weights.
    pub(crate) weights: Option<Tensor>,
    /// Whether it is the first batch of a run, whose values are checked.
    pub(crate) is_first: bool,
    /// Where the rows come from in the user's data, for messages.
    origin: Origin,
}

/// Where the rows of a batch come from.
#[derive(Debug)]
enum Origin {
    /// Consecutive rows, from this one on.
    From(usize),
    /// These rows.
    Rows(Tensor),
}

impl Batch {
    /// A batch of consecutive rows of the user's data, from `first` on.
    pub(crate) fn new(x: Tensors, y: Tensors, weights: Option<Tensor>, first: usize) -> Batch {
        Batch { x, y, weights, is_first: false, origin: Origin::From(first) }
    }

    /// Sets whether this is the first batch of a run.
    pub(crate) fn first(mut self, is_first: bool) -> Batch {
        self.is_first = is_first;
        self
    }

    /// The number of rows.
    pub(crate) fn rows(&self) -> usize {
        self.x.first().and_then(|x| x.dims().first()).copied().unwrap_or(0)
    }

    /// Returns the position in the user's data of a row of the batch.
    pub(crate) fn row(&self, row: usize) -> usize {
        match &self.origin {
            Origin::From(start) => start + row,
            Origin::Rows(rows) => {
                let rows = rows.to_vec::<i64>().unwrap_or_default();
                rows.get(row).map_or(row, |r| *r as usize)
            }
        }
    }

    /// Rewrites an error about a label to give its position in the user's data instead of in this batch.
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

/// Where `fit` and `evaluate` take batches from: one pass over the data after another.
pub(crate) trait Source: Send {
    /// Batches in a pass, if that is known.
    fn steps(&self) -> Option<usize>;

    /// Begins a pass; `seed` and `pass` determine its order.
    fn begin(&mut self, seed: u64, pass: u64) -> Result<()>;

    /// Returns the next batch of the pass, checked against `network`; `None` at the end.
    fn next(&mut self, network: &Network) -> Result<Option<Batch>>;
}

/// Batches of tensors that are in memory as a whole.
#[derive(Debug)]
pub(crate) struct Arrays {
    pub(crate) x: Tensors,
    pub(crate) y: Tensors,
    /// One weight for each row, if rows have weights.
    pub(crate) weights: Option<Tensor>,
    /// The position of the first row in the user's data.
    pub(crate) first: usize,
    pub(crate) batch_size: usize,
    pub(crate) shuffle: bool,
    order: Option<Tensor>,
    at: usize,
}

impl Arrays {
    /// Checks that data fits a network, and returns its batches in order.
    ///
    /// # Errors
    /// The data does not fit, there are no rows, or the weights do not fit.
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

/// Returns the number of rows, which inputs and targets must share.
pub(crate) fn same_rows(x: &[Tensor], y: &[Tensor]) -> Result<usize> {
    let (n, m) = (rows("x", x)?, rows("y", y)?);
    if n != m {
        return Err(Error::argument("y", format!("{n} rows, as many as x"), m));
    }
    Ok(n)
}

/// Fails if there were no rows, because nothing has no mean.
pub(crate) fn some_rows(n: usize) -> Result<()> {
    if n > 0 { Ok(()) } else { Err(Error::argument("dataset", "at least one batch with a row", "none")) }
}
