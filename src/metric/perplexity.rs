//! `Perplexity`: the number of equally likely tokens that a language model chooses from, on average.

use super::gathered::gathers;
use super::mean::Running;
use super::{Metric, Reads};
use crate::loss::{Loss, SparseCategoricalCrossentropy};
use crate::tensor::Tensor;
use crate::{Result, settings};

settings! {
    /// `exp` of the mean of `-ln p[label]` over all tokens, named `perplexity` (keras-hub's `Perplexity`). Predictions `[…, vocabulary]`;
    /// labels `[…]` or `[…, 1]`, of any integer dtype.
    pub struct Perplexity {
        /// Of probabilities.
        new();

        /// Whether predictions are logits; no by default.
        from_logits: bool = false,
        /// Tokens with this label do not count. None by default.
        mask_token_id: some i64,
        mean: state Running = Running::default(),
    }
}

impl Metric for Perplexity {
    fn name(&self) -> &str {
        "perplexity"
    }

    fn reads(&self, _: usize) -> Reads {
        if self.from_logits { Reads::ClassLogits } else { Reads::Shares }
    }

    fn update(&mut self, y_true: &Tensor, y_pred: &Tensor, sample_weight: Option<&Tensor>) -> Result<()> {
        let loss = SparseCategoricalCrossentropy::new().from_logits(self.from_logits);
        let loss = match self.mask_token_id {
            Some(id) => loss.ignore_class(id),
            None => loss,
        };
        loss.check()?;
        self.mean.add_losses(&loss, y_true, y_pred, sample_weight)
    }

    fn result(&self) -> f64 {
        if self.mean.is_empty() { 0.0 } else { libm::exp(self.mean.get()) }
    }

    fn larger_is_better(&self) -> bool {
        false
    }

    gathers!(mean);
}
