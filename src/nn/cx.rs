//! Why it exists: everything a forward pass needs besides its input, in one place and in plain sight: there is no
//! global mode, seed or registry.

use super::Param;
use super::regularizer::Regularizer;
use crate::Result;
use crate::random::{Purpose, Stream};
use crate::tensor::Tensor;

/// The context of one forward pass: training or inference, randomness, the mask that travels with the data, and what
/// layers hand back beside their outputs.
#[derive(Debug)]
pub struct Cx {
    training: bool,
    seed: u64,
    step: u64,
    draws: u32,
    mask: Option<Tensor>,
    updates: Vec<(u64, Tensor)>,
    losses: Vec<Tensor>,
    /// Values that stand in for parameters, by key.
    bound: Vec<(u64, Tensor)>,
}

impl Cx {
    /// For a training step: parameters are tracked, dropout drops. `step` tells random layers apart over time.
    pub fn train(seed: u64, step: u64) -> Cx {
        Cx { training: true, step, seed, ..Cx::infer() }
    }

    /// For inference: nothing is recorded, nothing is random.
    pub fn infer() -> Cx {
        Cx {
            training: false,
            seed: 0,
            step: 0,
            draws: 0,
            mask: None,
            updates: Vec::new(),
            losses: Vec::new(),
            bound: Vec::new(),
        }
    }

    /// Whether this is a training step.
    pub fn is_training(&self) -> bool {
        self.training
    }

    /// A parameter's value: tracked in training if it is trainable. Reading one twice adds up its gradients.
    pub fn param(&mut self, p: &Param) -> Tensor {
        if let Some((_, value)) = self.bound.iter().find(|(id, _)| *id == p.id()) {
            value.clone()
        } else if self.training && p.trainable() {
            Tensor::leaf(p.value().array().clone(), p.id())
        } else {
            p.value().clone()
        }
    }

    /// The next stream of random numbers of this pass; layers ask in the order in which they run.
    pub fn stream(&mut self) -> Stream {
        self.draws += 1;
        Stream::new(self.seed, Purpose::Layer(self.draws), self.step)
    }

    /// Sets a parameter once the step has succeeded: how running statistics move.
    pub fn update(&mut self, p: &Param, value: &Tensor) {
        self.updates.push((p.id(), value.detach()));
    }

    /// Adds a term to the loss (Keras: `add_loss`).
    pub fn add_loss(&mut self, term: Tensor) {
        self.losses.push(term);
    }

    /// Adds the penalty on a layer's output, divided by the batch size, to the loss (Keras: `activity_regularizer`).
    ///
    /// # Errors
    /// The output's dtype is not float32 or float64.
    pub fn regularize_activity(&mut self, regularizer: &dyn Regularizer, output: &Tensor) -> Result<()> {
        let rows = output.dims().first().copied().unwrap_or(1).max(1);
        let penalty = regularizer.penalty(output)?;
        self.add_loss(penalty.affine(1.0 / rows as f64, 0.0)?);
        Ok(())
    }

    /// Which time steps of the data `[batch, time, …]` are real: bool `[batch, time]`, `None` for all. Layers that keep
    /// the time axis leave it as it is.
    pub fn mask(&self) -> Option<&Tensor> {
        self.mask.as_ref()
    }

    /// Replaces the mask for the layers that follow.
    pub fn set_mask(&mut self, mask: Option<Tensor>) {
        self.mask = mask;
    }

    /// Sets the mask aside and returns it.
    pub fn take_mask(&mut self) -> Option<Tensor> {
        self.mask.take()
    }

    /// The context as it is now, without what layers have handed back: a pass that begins with it draws the same numbers.
    pub(crate) fn again(&self) -> Cx {
        let (training, seed, step, draws) = (self.training, self.seed, self.step, self.draws);
        Cx { training, seed, step, draws, mask: self.mask.clone(), ..Cx::infer() }
    }

    /// Runs `f` while these values stand in for parameters. Returns what it computed and the terms it added to the loss, which
    /// are taken out.
    pub(crate) fn with_bound<R>(
        &mut self,
        bound: Vec<(u64, Tensor)>,
        f: impl FnOnce(&mut Cx) -> R,
    ) -> (R, Vec<Tensor>) {
        let (outside, losses) = (std::mem::replace(&mut self.bound, bound), self.losses.len());
        let result = f(self);
        self.bound = outside;
        (result, self.losses.split_off(losses))
    }

    pub(crate) fn take_losses(&mut self) -> Vec<Tensor> {
        std::mem::take(&mut self.losses)
    }

    pub(crate) fn take_updates(&mut self) -> Vec<(u64, Tensor)> {
        std::mem::take(&mut self.updates)
    }
}
