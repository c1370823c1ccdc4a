//! `GroupQueryAttention`: attention whose heads share keys and values in groups (Ainslie et al. 2023), for smaller
//! caches and faster decoding.

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
use crate::nn::{Build, Init, InputSpecs, Node};
use crate::{Error, Result};

crate::settings! {
    /// [`MultiHeadAttention`](super::MultiHeadAttention) with fewer heads of keys and values than of queries: each
    /// serves `num_query_heads / num_key_value_heads` of them. Inputs, masks and outputs are the same. With a
    /// single head of keys and values it is multi-query attention.
    pub layer GroupQueryAttention {
        /// Creates a layer of `num_query_heads` heads of `head_dim` features, which share `num_key_value_heads`
        /// heads of keys and values.
        new(head_dim: usize, num_query_heads: usize, num_key_value_heads: usize);

        /// Dropout rate of the attention weights. Default: `0`.
        dropout: f64 = 0.0,
        /// Whether projections have a bias. Default: `true`.
        use_bias: bool = true,
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
        /// Regularizer of the output of each projection and, as in Keras, again of the layer's outputs; its penalty
        /// is divided by the batch size. Default: none.
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

impl Build for GroupQueryAttention {
    fn build(&self, inputs: &InputSpecs<'_>, init: &mut Init) -> Result<Box<dyn Node>> {
        let [query, value, key] = shapes("GroupQueryAttention", inputs)?;
        let (heads, groups, dim) = (self.num_query_heads, self.num_key_value_heads, self.head_dim);
        let sizes = [
            ("head_dim", dim),
            ("num_query_heads", heads),
            ("num_key_value_heads", groups),
            ("sliding_window", self.sliding_window.unwrap_or(1)),
        ];
        for (name, size) in sizes {
            positive(name, size)?;
        }
        if heads % groups > 0 {
            return Err(Error::argument(
                "num_query_heads",
                format!("a multiple of num_key_value_heads, {groups}"),
                heads,
            ));
        }
        checks::rate("dropout", self.dropout)?;
        fits("num_query_heads, head_dim", &[known_features(query), heads, dim])?;
        if query.rank() != 3 {
            return Err(Error::shape("GroupQueryAttention", "inputs [batch, time, features]", query));
        }
        if query.dims()[2] != value.dims()[2] {
            let why = "query and value must have as many features";
            return Err(Error::shapes("GroupQueryAttention", query, value, why));
        }
        cache_fits(self.cache, self.use_causal_mask, 3, &[1])?;

        let mut plain = EinsumDense::new("", 1);
        plain.kernel_initializer = self.kernel_initializer.clone();
        plain.bias_initializer = self.bias_initializer.clone();
        plain.kernel_regularizer = self.kernel_regularizer.clone();
        plain.bias_regularizer = self.bias_regularizer.clone();
        plain.activity_regularizer = self.activity_regularizer.clone();
        plain.kernel_constraint = self.kernel_constraint.clone();
        plain.bias_constraint = self.bias_constraint.clone();
        let project = |heads: usize| projection(3, 1, &[heads, dim], &plain, self.use_bias);
        let mut of_heads = query.with(2, heads);
        of_heads.push(dim);
        Ok(Box::new(HeadsNode {
            query_dense: project(heads).node(query, init)?,
            key_dense: project(groups).node(key, init)?,
            gate_dense: match self.use_gate {
                true => Some(project(heads).activation(Sigmoid).node(query, init)?),
                false => None,
            },
            value_dense: project(groups).node(value, init)?,
            output_dense: projection(4, 2, &query.dims()[2..], &plain, self.use_bias).node(of_heads, init)?,
            dropout_key: (self.dropout > 0.0).then(|| init.key()),
            cache: self.cache.map(|capacity| Cache::new(capacity, init)),
            settings: HeadsSettings {
                class: "GroupQueryAttention",
                dim,
                dropout: self.dropout,
                axes: vec![1],
                sliding_window: self.sliding_window,
                causal: self.use_causal_mask,
                scores: self.return_attention_scores,
                activity_regularizer: self.activity_regularizer.clone(),
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
