//! Why it exists: what attention is told beside query, key and value, and how that lies among an operation's inputs.

use crate::kernels::attention::Rule;
use crate::tensor::Tensor;
use crate::{DType, Error, Result};

/// What [`Tensor::dot_product_attention`] can be told. Nothing by default.
#[derive(Clone, Copy, Debug, Default)]
pub struct AttentionOptions<'a> {
    /// Added to the scores: float, broadcast to `[batch, heads, queries, keys]`.
    pub bias: Option<&'a Tensor>,
    /// False where a key is not seen: bool, broadcast to `[batch, heads, queries, keys]`.
    pub mask: Option<&'a Tensor>,
    /// The factor of the scores; `1 / √dim` by default.
    pub scale: Option<f64>,
    /// Whether a query sees no key behind its own place.
    pub is_causal: bool,
    /// Keys this far from a query's own place, or further, are not seen, on either side; at least 1.
    pub sliding_window: Option<usize>,
    /// Which key the first query stands at: integers, one number or `[batch]`; 0 by default. With a cache the number of keys
    /// before the new ones.
    pub position: Option<&'a Tensor>,
}

impl AttentionOptions<'_> {
    /// What they mean for this query.
    pub(super) fn rule(&self, query: &Tensor) -> Result<Rule> {
        if self.sliding_window == Some(0) {
            return Err(Error::argument("sliding_window", "at least 1", 0));
        }
        let dim = query.dims().last().copied().unwrap_or(1).max(1);
        let scale = self.scale.unwrap_or(1.0 / libm::sqrt(dim as f64));
        if !scale.is_finite() {
            return Err(Error::argument("scale", "a finite number", scale));
        }
        Ok(Rule { scale, causal: self.is_causal, window: self.sliding_window })
    }
}

/// Mask, bias and position among the last inputs.
pub(super) struct Given<A>(pub(super) [Option<A>; 3]);

impl<A: Copy> Given<A> {
    pub(super) fn among(inputs: &[A], dtype: impl Fn(A) -> DType) -> Given<A> {
        let find = |fits: fn(DType) -> bool| inputs.iter().copied().find(|&a| fits(dtype(a)));
        Given([find(|d| d == DType::Bool), find(DType::is_float), find(|d| d == DType::I64)])
    }
}
