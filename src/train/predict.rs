//! Prediction over a [`Dataset`]; for tensors, [`Network`] does it.

use super::batches::Batches;
use crate::data::Dataset;
use crate::nn::{Network, Predict};
use crate::tensor::{Tensor, join_rows, rows};
use crate::{Error, Result};

impl Network {
    /// Returns every output of the network for each row of a dataset's first pass, which must end. Targets are
    /// ignored.
    ///
    /// # Errors
    /// The dataset fails, has no batches or no end, or the data does not fit the network.
    pub fn predict_dataset(&self, data: &Dataset) -> Result<Vec<Tensor>> {
        self.predict_dataset_with(data, &Predict::new())
    }

    /// [`Network::predict_dataset`] with settings, such as a cancellation token. Batches are the dataset's own.
    ///
    /// # Errors
    /// Those of [`Network::predict_dataset`], a setting is out of range, or the token was cancelled.
    pub fn predict_dataset_with(&self, data: &Dataset, settings: &Predict) -> Result<Vec<Tensor>> {
        Batches::new(data, None, "predict")?;
        let mut parts = Vec::new();
        for batch in data {
            settings.check(|| format!("{} batches", parts.len()))?;
            let x = batch?.x;
            rows("x", &x)?;
            parts.push(self.predict_with(&x, settings)?);
        }
        if parts.is_empty() {
            return Err(Error::argument("dataset", "at least one batch", "none"));
        }
        join_rows(&parts, self.output_names().count())
    }
}
