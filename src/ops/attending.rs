//! The options of attention besides query, key and value, and their order among an operation's inputs.

use crate::autograd::{Attr, Attribute};
use crate::kernels::attention::{Drops, Rule};
use crate::random::Stream;
use crate::tensor::Tensor;
use crate::{DType, Error, Result};

/// The options of [`Tensor::dot_product_attention`]. None are set by default.
#[derive(Clone, Copy, Debug, Default)]
pub struct AttentionOptions<'a> {
    /// Added to the scores: float, broadcast to `[batch, heads, queries, keys]`.
    pub bias: Option<&'a Tensor>,
    /// False where a key is hidden: bool, broadcast to `[batch, heads, queries, keys]`.
    pub mask: Option<&'a Tensor>,
    /// The factor of the scores; `1 / √dim` by default.
    pub scale: Option<f64>,
    /// Whether a query sees no key after its own position.
    pub is_causal: bool,
    /// Keys this far from a query's own position, or further, on either side, are hidden; at least 1.
    pub sliding_window: Option<usize>,
    /// The position of the first query among the keys: integers, one number or `[batch]`; 0 by default. With a
    /// cache, this is the number of keys before the new ones.
    pub position: Option<&'a Tensor>,
    /// Dropout of the weights: the probability with which each becomes 0, while the others are divided by one minus it, and
    /// the stream that decides.
    pub dropout: Option<(f64, Stream)>,
}

impl AttentionOptions<'_> {
    /// Returns what the options mean for this query.
    pub(super) fn rule(&self, query: &Tensor) -> Result<Rule> {
        if self.sliding_window == Some(0) {
            return Err(Error::argument("sliding_window", "at least 1", 0));
        }
        let dim = query.dims().last().copied().unwrap_or(1).max(1);
        let scale = self.scale.unwrap_or(1.0 / libm::sqrt(dim as f64));
        if !scale.is_finite() {
            return Err(Error::argument("scale", "a finite number", scale));
        }
        if let Some((rate, _)) = self.dropout.filter(|(rate, _)| !(0.0..1.0).contains(rate)) {
            return Err(Error::argument("dropout", "0 <= rate < 1", rate));
        }
        let drops = self.dropout.filter(|(rate, _)| *rate > 0.0).map(|(rate, stream)| Drops { rate, stream });
        Ok(Rule { scale, causal: self.is_causal, window: self.sliding_window, drops })
    }
}

/// Written as the rate and what identifies the stream, `0.1 of [12884901889]`: one is nothing without the other.
impl Attribute for Drops {
    const EXPECTED: &'static str = "a rate and a stream such as '0.1 of [12884901889]'";
    fn write(&self) -> Attr {
        Attr::Text(format!("{:?} of {:?}", self.rate, self.stream.to_numbers()).into())
    }
    fn read(value: &Attr) -> Option<Drops> {
        let Attr::Text(text) = value else { return None };
        let (rate, stream) = text.split_once(" of ")?;
        let rate: f64 = rate.parse().ok()?;
        let numbers = stream.strip_prefix('[')?.strip_suffix(']')?.split(", ");
        let numbers: Option<Vec<i64>> = numbers.map(|number| number.parse().ok()).collect();
        let stream = Stream::from_numbers(&numbers?)?;
        (0.0..1.0).contains(&rate).then_some(Drops { rate, stream })
    }
    fn reseeded(&self, seed: u64, step: u64) -> Option<Drops> {
        self.stream.at(seed, step).map(|stream| Drops { stream, ..*self })
    }
    fn is_traced(&self) -> bool {
        self.stream.is_traced()
    }
}

/// The optional mask, bias and position, which are the last inputs.
pub(super) struct Given<A>(pub(super) [Option<A>; 3]);

impl<A: Copy> Given<A> {
    pub(super) fn among(inputs: &[A], dtype: impl Fn(A) -> DType) -> Given<A> {
        let find = |fits: fn(DType) -> bool| inputs.iter().copied().find(|&a| fits(dtype(a)));
        Given([find(|d| d == DType::Bool), find(DType::is_float), find(|d| d == DType::I64)])
    }
}
