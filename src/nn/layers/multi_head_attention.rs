//! `MultiHeadAttention`: attention of several heads, each with its own projections (Vaswani et al. 2017).

use super::cache::Cache;
use super::checks::{self, fits, positive};
use super::einsum_dense::EinsumDense;
use super::heads::{
    HeadsNode, HeadsSettings, NAMED, POSITIONAL, cache_fits, known_features, projection, shapes,
};
use crate::config::Dyn;
use crate::nn::activation::Sigmoid;
use crate::nn::constraint::Constraint;
use crate::nn::initializer::{GlorotUniform, Initializer, Zeros};
use crate::nn::regularizer::Regularizer;
use crate::nn::{Axes, Build, Init, InputSpecs, Node, OneOrMany};
use crate::{Error, Result};

crate::settings! {
    /// For each head `softmax(query·keyᵀ / √key_dim)·value` of projections of the inputs; the results of all heads
    /// are concatenated and projected back.
    ///
    /// - Inputs, in this order: query `[batch, queries, features]`, value `[batch, keys, …]` and, if it is another
    ///   tensor, key: `MultiHeadAttention::new(8, 64).on([&query, &value])`, within one sequence `.on([&x, &x])`.
    ///   `value` and `key` can also be given by name.
    /// - `attention_mask`, by name: `[batch, queries, keys]`, true where a query attends to a key; leading axes may
    ///   be missing.
    /// - Masks of query, value and key hide their positions. A query that sees no key gives zeros before the
    ///   projection back.
    /// - Output: `[batch, queries, features]`, with the mask of the query.
    pub layer MultiHeadAttention {
        /// Creates a layer of `num_heads` heads; queries and keys of each have `key_dim` features.
        new(num_heads: usize, key_dim: usize);

        /// Features of a value in each head. Default: `key_dim`.
        value_dim: some usize,
        /// Dropout rate of the attention weights. Default: `0`.
        dropout: f64 = 0.0,
        /// Whether projections have a bias. Default: `true`.
        use_bias: bool = true,
        /// The last sizes of the output. Default: the last size of the query.
        output_shape: some into OneOrMany<usize>,
        /// The axes of the inputs that attention goes over. Default: all but the first and the last.
        attention_axes: some into Axes,
        /// Limits each query to keys less than this many positions away, before or after. Default: no limit.
        sliding_window: some usize,
        /// Initializer of kernels. Default: `GlorotUniform`.
        kernel_initializer: into Dyn<dyn Initializer> = GlorotUniform,
        /// Initializer of biases. Default: `Zeros`.
        bias_initializer: into Dyn<dyn Initializer> = Zeros,
        /// Regularizer of each kernel. Default: none.
        kernel_regularizer: some into Dyn<dyn Regularizer>,
        /// Regularizer of each bias. Default: none.
        bias_regularizer: some into Dyn<dyn Regularizer>,
        /// Regularizer of the output of each projection; its penalty is divided by the batch size. Default: none.
        activity_regularizer: some into Dyn<dyn Regularizer>,
        /// Constraint on each kernel. Default: none.
        kernel_constraint: some into Dyn<dyn Constraint>,
        /// Constraint on each bias. Default: none.
        bias_constraint: some into Dyn<dyn Constraint>,
        /// Whether the result is multiplied by the sigmoid of another projection of the query, before it is
        /// projected back. Default: `false`.
        use_gate: bool = false,
        /// Whether a query attends only to its own and earlier positions (in Keras an argument of the call).
        /// Default: `false`.
        use_causal_mask: bool = false,
        /// Whether the weights `[batch, heads, queries, keys]` are a second output (in Keras an argument of the
        /// call). Default: `false`.
        return_attention_scores: bool = false,
        /// The number of time steps whose keys and values a session keeps, so that `predict_in` can continue
        /// decoding: each call attends to what earlier ones have seen, with the same bits as one pass over
        /// everything. Only for causal attention within one sequence. By default nothing is kept, nor in training.
        /// A mask given by name covers this many keys in all calls after the first.
        cache: some usize,
    }
}

impl Build for MultiHeadAttention {
    fn build(&self, inputs: &InputSpecs<'_>, init: &mut Init) -> Result<Box<dyn Node>> {
        let [query, value, key] = shapes("MultiHeadAttention", inputs)?;
        let width = self.value_dim.unwrap_or(self.key_dim);
        let sizes = [
            ("num_heads", self.num_heads),
            ("key_dim", self.key_dim),
            ("value_dim", width),
            ("sliding_window", self.sliding_window.unwrap_or(1)),
        ];
        for (name, size) in sizes {
            positive(name, size)?;
        }
        let [of_query, of_value, of_key] = [query, value, key].map(known_features);
        fits("num_heads, key_dim", &[of_query.max(of_key), self.num_heads, self.key_dim])?;
        fits("num_heads, value_dim", &[of_query.max(of_value), self.num_heads, width])?;
        checks::rate("dropout", self.dropout)?;
        let rank = query.rank();
        let axes = self.axes(rank)?;
        cache_fits(self.cache, self.use_causal_mask, rank, &axes)?;
        if axes.len() > 1 && (self.use_causal_mask || self.sliding_window.is_some()) {
            let expected = "one axis for use_causal_mask and sliding_window";
            return Err(Error::argument("attention_axes", expected, format!("{axes:?}")));
        }
        let output = match &self.output_shape {
            Some(OneOrMany(sizes)) if sizes.contains(&0) => {
                return Err(Error::argument("output_shape", "sizes of at least 1", format!("{sizes:?}")));
            }
            Some(OneOrMany(sizes)) if !sizes.is_empty() => sizes.clone(),
            // As in Keras, an empty list counts as not set.
            _ => query.dims()[rank - 1..].to_vec(),
        };

        if self.output_shape.is_some() {
            let units = output.iter().fold(1, |all: usize, &n| all.saturating_mul(n));
            fits("output_shape", &[self.num_heads, width, units])?;
        }

        let mut plain = EinsumDense::new("", 1);
        plain.kernel_initializer = self.kernel_initializer.clone();
        plain.bias_initializer = self.bias_initializer.clone();
        plain.kernel_regularizer = self.kernel_regularizer.clone();
        plain.bias_regularizer = self.bias_regularizer.clone();
        plain.activity_regularizer = self.activity_regularizer.clone();
        plain.kernel_constraint = self.kernel_constraint.clone();
        plain.bias_constraint = self.bias_constraint.clone();
        let heads = |size: usize| projection(rank, 1, &[self.num_heads, size], &plain, self.use_bias);
        let of_heads = |size: usize| {
            let mut shape = query.with(rank - 1, self.num_heads);
            shape.push(size);
            shape
        };
        Ok(Box::new(HeadsNode {
            query_dense: heads(self.key_dim).node(query, init)?,
            key_dense: heads(self.key_dim).node(key, init)?,
            gate_dense: match self.use_gate {
                true => Some(heads(width).activation(Sigmoid).node(query, init)?),
                false => None,
            },
            value_dense: heads(width).node(value, init)?,
            output_dense: projection(rank + 1, 2, &output, &plain, self.use_bias)
                .node(of_heads(width), init)?,
            dropout_key: (self.dropout > 0.0).then(|| init.key()),
            cache: self.cache.map(|capacity| Cache::new(capacity, init)),
            settings: HeadsSettings {
                class: "MultiHeadAttention",
                dim: self.key_dim,
                dropout: self.dropout,
                axes,
                sliding_window: self.sliding_window,
                causal: self.use_causal_mask,
                scores: self.return_attention_scores,
                activity_regularizer: None,
            },
        }))
    }
    fn input_names(&self) -> &[&'static str] {
        NAMED
    }
    fn positional_names(&self) -> &[&'static str] {
        POSITIONAL
    }
}

impl MultiHeadAttention {
    /// Returns the axes that attention goes over, counted from the front.
    fn axes(&self, rank: usize) -> Result<Vec<usize>> {
        let Some(given) = self.attention_axes.as_ref().map(Axes::list) else {
            return Ok((1..rank - 1).collect());
        };
        let axes: Vec<usize> =
            given.iter().map(|&axis| if axis < 0 { axis + rank as isize } else { axis } as usize).collect();
        let fine = |(i, axis): (usize, &usize)| (1..rank - 1).contains(axis) && !axes[..i].contains(axis);
        if axes.is_empty() || !axes.iter().enumerate().all(fine) {
            let expected = "axes between the first and the last, each once";
            return Err(Error::argument("attention_axes", expected, format!("{given:?}")));
        }
        Ok(axes)
    }
}
