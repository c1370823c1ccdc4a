//! `Model::per_sample_gradients`: the gradient of each row on its own, for clipping by row and to see which rows a
//! model learns from.

use super::data::{Arrays, Source};
use super::model::Model;
use crate::autograd::Gradient;
use crate::kernels::par;
use crate::nn::{Cx, Module};
use crate::tensor::{AsTensors, Tensor};
use crate::{Error, Result};

impl Model {
    /// Returns for each trainable parameter, by its path, the gradients of the rows' own losses, of shape
    /// `[rows, …parameter]`: row `i` is the gradient of the loss of row `i` alone, with the terms that layers add
    /// but without penalties on parameters. Their mean is the gradient of the batch if the loss is a mean over
    /// rows, no layer looks across rows, and nothing is random. State that layers carry is reset for each row. This
    /// takes one forward and one backward pass per row.
    ///
    /// # Errors
    /// The data does not fit the network or the loss, there are no rows, or a parameter got no gradient.
    pub fn per_sample_gradients(
        &self,
        x: &(impl AsTensors + ?Sized),
        y: &(impl AsTensors + ?Sized),
    ) -> Result<Vec<(String, Tensor)>> {
        let mut rows = Arrays::of(&self.network, &x.as_tensors(), y.as_tensors(), None, 1)?;
        rows.begin(0, 0)?;
        let mut found: Vec<(String, Vec<Tensor>)> = Vec::new();
        self.network.visit(&mut |path, p| {
            if p.trainable() {
                found.push((path.to_string(), Vec::new()));
            }
        });
        par::enter(|| -> Result<()> {
            while let Some(batch) = rows.next(&self.network)? {
                let (seed, step) = self.draws_at();
                let mut cx = Cx::train(seed, step);
                let outputs = self.network.pass(&batch.x, &mut cx, &self.head.raw)?;
                let terms = self.head.terms(&batch.y, &outputs, None).map_err(|e| batch.locate(e))?;
                let mut loss = self.head.total(&terms, &outputs)?;
                for term in cx.take_losses() {
                    loss = loss.add(&term)?;
                }
                let gradients = loss.backward()?;
                let (mut all, mut result) = (found.iter_mut().peekable(), Ok(()));
                self.network.visit(&mut |path, p| {
                    let Some((_, rows)) = all.next_if(|_| p.trainable() && result.is_ok()) else { return };
                    let missing = || Error::Backward(format!("no gradient reached parameter '{path}'"));
                    let gradient = p.gradient(&gradients).ok_or_else(missing).and_then(Gradient::dense);
                    result = gradient.map(|gradient| rows.push(gradient));
                });
                result?;
            }
            Ok(())
        })?;
        let stacked = |(path, rows): (String, Vec<Tensor>)| {
            Ok((path, Tensor::stack(&rows.iter().collect::<Vec<_>>(), 0)?))
        };
        found.into_iter().map(stacked).collect()
    }
}
