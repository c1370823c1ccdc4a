//! Batches from a [`Dataset`], pass after pass: for data that does not fit in memory or is made as it is needed.

use super::data::{Batch, Source, same_rows};
use crate::data::{Cardinality, Dataset, Pass};
use crate::nn::Network;
use crate::{Error, Result};

/// The batches of one pass after another over a dataset.
pub(crate) struct Batches {
    data: Dataset,
    pass: Option<Pass>,
    number: u64,
    /// Rows that this pass has given so far.
    seen: usize,
    /// Whether the next pass follows when one ends.
    pub(super) endless: bool,
}

impl Batches {
    /// The batches of `data`; `steps` is how many will be taken, or `None` for all.
    pub(crate) fn new(data: &Dataset, steps: Option<usize>, name: &'static str) -> Result<Batches> {
        match (steps, data.cardinality()) {
            (Some(0), _) => Err(Error::argument(name, "at least 1", 0)),
            (None, Cardinality::Infinite) => {
                Err(Error::argument(name, "a number of batches, for the dataset has no end", "none"))
            }
            _ => Ok(Batches { data: data.clone(), pass: None, number: 0, seen: 0, endless: false }),
        }
    }
}

impl Source for Batches {
    fn steps(&self) -> Option<usize> {
        match self.data.cardinality() {
            Cardinality::Known(n) if !self.endless => Some(n),
            _ => None,
        }
    }

    fn begin(&mut self, _: u64, pass: u64) -> Result<()> {
        // The order is keyed by the dataset's own seed.
        (self.number, self.seen) = (pass, 0);
        self.pass = Some(self.data.pass(pass));
        Ok(())
    }

    fn next(&mut self, network: &Network) -> Result<Option<Batch>> {
        let mut sample = self.pass.as_mut().and_then(Iterator::next);
        if sample.is_none() && self.endless && self.pass.is_some() {
            self.begin(0, self.number + 1)?;
            sample = self.pass.as_mut().and_then(Iterator::next);
        }
        let Some(sample) = sample.transpose()? else { return Ok(None) };
        let x = network.accept(&sample.x)?;
        let first = self.seen;
        self.seen += same_rows(&x, &sample.y)?;
        Ok(Some(Batch::new(x, sample.y.into_iter().collect(), sample.weight, first)))
    }
}
