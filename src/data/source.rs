//! `Source`: data whose rows can be read by number, on disk or elsewhere. Implement this one trait to get
//! shuffling, batches and worker threads.

use super::sample::Sample;
use crate::tensor::AsTensors;
use crate::tensor::Tensor;
use crate::{Error, Result};

/// Samples by number. Several worker threads may call it at a time.
pub trait Source: Send + Sync {
    /// Returns the number of samples.
    fn rows(&self) -> usize;

    /// Returns sample `row`, of `0..rows()`.
    ///
    /// # Errors
    /// Whatever keeps the sample from being read; the message will begin with its number.
    fn get(&self, row: usize) -> Result<Sample>;

    /// Returns several samples as one batch, for sources that can do this faster than one by one (the default is
    /// `None`).
    fn gather(&self, rows: &[usize]) -> Option<Result<Sample>> {
        let _ = rows;
        None
    }
}

/// Rows of tensors in memory.
pub(super) struct Rows {
    n: usize,
    all: Sample,
}

impl Rows {
    pub(super) fn new(
        x: &(impl AsTensors + ?Sized),
        y: &(impl AsTensors + ?Sized),
        weight: Option<&Tensor>,
    ) -> Result<Rows> {
        let all = Sample { weight: weight.cloned(), ..Sample::new(x, y) };
        let named = [("x", &all.x[..]), ("y", &all.y[..]), ("weight", all.weight.as_slice())];
        let first = all.x.first().ok_or_else(|| Error::argument("x", "at least one tensor", "none"))?;
        let n = *first
            .dims()
            .first()
            .ok_or_else(|| Error::shape("x", "data with one row for each sample", *first.shape()))?;
        for (what, tensors) in named {
            if let Some(t) = tensors.iter().find(|t| t.dims().first() != Some(&n)) {
                return Err(Error::shape(what, format!("{n} rows, as many as the first of x"), *t.shape()));
            }
        }
        if let Some(t) = all.weight.as_ref().filter(|t| t.rank() != 1) {
            return Err(Error::shape("weight", "one number for each sample", *t.shape()));
        }
        Ok(Rows { n, all })
    }

    fn each(&self, f: impl Fn(&Tensor) -> Result<Tensor>) -> Result<Sample> {
        Ok(Sample {
            x: self.all.x.iter().map(&f).collect::<Result<_>>()?,
            y: self.all.y.iter().map(&f).collect::<Result<_>>()?,
            weight: self.all.weight.as_ref().map(&f).transpose()?,
        })
    }
}

impl Source for Rows {
    fn rows(&self) -> usize {
        self.n
    }

    fn get(&self, row: usize) -> Result<Sample> {
        self.each(|t| t.select(0, row as isize))
    }

    fn gather(&self, rows: &[usize]) -> Option<Result<Sample>> {
        let consecutive = rows.windows(2).all(|pair| pair[0] + 1 == pair[1]);
        let gathered = || match (consecutive, rows) {
            (true, [first, ..]) => {
                let (start, end) = (*first as isize, (first + rows.len()) as isize);
                self.each(|t| t.slice(0, start, end))
            }
            _ => {
                let rows: Vec<i64> = rows.iter().map(|&row| row as i64).collect();
                let rows = Tensor::from_slice(&rows, [rows.len()])?;
                self.each(|t| t.gather(&rows, 0))
            }
        };
        Some(gathered())
    }
}
