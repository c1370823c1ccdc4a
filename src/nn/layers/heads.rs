//! Attention of several heads between projections: the common part of `MultiHeadAttention` and
//! `GroupQueryAttention`.
//!
//! ```text
//! query [b, T, f] -> q [b, T, heads, dim];  key [b, S, f] -> k [b, S, heads, dim];  value [b, S, f] -> v [b, S, heads, width]
//! scores [b, heads, T, S] = softmax(q·kᵀ / √dim), 0 where masked
//! y [b, T, heads, width] = scores·v  ->  output [b, T, f]
//! ```

use super::cache::{Cache, Kept};
use super::checks;
use super::einsum_dense::{EinsumDense, EinsumDenseNode};
use crate::config::Dyn;
use crate::nn::regularizer::Regularizer;
use crate::nn::{Cx, InputSpecs, Inputs, Key, Layer, Node, Value, Values, both_masks};
use crate::ops::attention::{AttentionOptions, attention_weights, weighted_sums};
use crate::shape::is_unknown;
use crate::tensor::{Few, Tensor};
use crate::{DType, Error, MAX_RANK, Result, Shape};

/// The names of inputs by position.
pub(super) const POSITIONAL: &[&str] = &["query", "value", "key"];

/// The inputs that can be given by name.
pub(super) const NAMED: &[&str] = &["value", "key", "attention_mask"];

/// The layer with its projections.
#[derive(Clone, Debug)]
pub(super) struct HeadsNode {
    pub(super) query_dense: EinsumDenseNode,
    pub(super) key_dense: EinsumDenseNode,
    pub(super) gate_dense: Option<EinsumDenseNode>,
    pub(super) value_dense: EinsumDenseNode,
    pub(super) output_dense: EinsumDenseNode,
    pub(super) dropout_key: Option<Key>,
    pub(super) cache: Option<Cache>,
    pub(super) settings: HeadsSettings,
}
crate::parts!(HeadsNode {
    query_dense,
    key_dense,
    gate_dense,
    value_dense,
    output_dense,
    dropout_key,
    cache
});

/// Settings that both layers share.
#[derive(Clone, Debug)]
pub(super) struct HeadsSettings {
    pub(super) class: &'static str,
    /// Features of a query and of a key in each head.
    pub(super) dim: usize,
    pub(super) dropout: f64,
    /// The input's axes that attention goes over.
    pub(super) axes: Vec<usize>,
    pub(super) sliding_window: Option<usize>,
    pub(super) causal: bool,
    pub(super) scores: bool,
    /// A penalty on the outputs, besides those on the results of projections.
    pub(super) activity_regularizer: Option<Dyn<dyn Regularizer>>,
}

/// Returns the shapes of query, value and key, however they were given.
pub(super) fn shapes(layer: &'static str, inputs: &InputSpecs<'_>) -> Result<[Shape; 3]> {
    let (Some(query), Some(value)) = (inputs.at(0).ok(), inputs.find(1, "value")) else {
        let expected =
            "query and value: .on([&query, &value]), for attention within one sequence .on([&x, &x])";
        return Err(Error::argument("inputs", expected, inputs.len()));
    };
    let key = inputs.find(2, "key").unwrap_or(value);
    let shapes = [query.shape, value.shape, key.shape];
    for shape in shapes {
        if shape.rank() < 3 || shape.rank() != query.shape.rank() {
            return Err(Error::shape(layer, "inputs [batch, time, features], all of one rank", shape));
        }
    }
    let middle = |s: &Shape| s.dims()[1..s.rank() - 1].to_vec();
    if middle(&value.shape) != middle(&key.shape) {
        return Err(Error::shapes(
            layer,
            value.shape,
            key.shape,
            "value and key must agree but for the last size",
        ));
    }
    Ok(shapes)
}

/// Returns the features of an input; 1 if they are not known, which projections refuse by their own words.
pub(super) fn known_features(input: Shape) -> usize {
    input.dims().last().copied().filter(|&n| !is_unknown(n)).unwrap_or(1)
}

/// Fails for a cache of 0 steps, or one without `use_causal_mask`.
pub(super) fn cache_fits(cache: Option<usize>, causal: bool, rank: usize, axes: &[usize]) -> Result<()> {
    match cache {
        Some(0) => Err(Error::argument("cache", "at least 1", 0)),
        Some(steps) if !causal || rank != 3 || axes != [1] => {
            let expected = "use_causal_mask and inputs [batch, time, features], or no cache";
            Err(Error::argument("cache", expected, steps))
        }
        _ => Ok(()),
    }
}

/// Builds a projection of all axes but the last `bound` onto `sizes`, with the settings of `with`.
pub(super) fn projection(
    rank: usize,
    bound: usize,
    sizes: &[usize],
    with: &EinsumDense,
    use_bias: bool,
) -> EinsumDense {
    let letters: Vec<char> = ('a'..='z').collect();
    let text = |from: usize, to: usize| letters[from..to].iter().collect::<String>();
    let (free, all) = (rank - bound, rank + sizes.len());
    let equation = format!("{},{}->{}{}", text(0, rank), text(free, all), text(0, free), text(rank, all));
    let output_shape = std::iter::repeat_n(None, free - 1).chain(sizes.iter().map(|&n| Some(n))).collect();
    with.with(equation, output_shape, use_bias.then(|| text(rank, all)))
}

/// Returns the order of the axes of a projected tensor `[axes…, heads, dim]`: independent axes first, then those of
/// attention.
fn order(rank: usize, axes: &[usize]) -> Few<isize, MAX_RANK> {
    let alone = (0..rank - 2).filter(|axis| !axes.contains(axis));
    let all = alone.chain(axes.iter().copied()).chain([rank - 2, rank - 1]);
    all.map(|axis| axis as isize).collect()
}

impl HeadsNode {
    /// Reshapes to `[batch, time, heads, dim]`, whatever axes there are.
    fn flat(&self, x: &Tensor) -> Result<Tensor> {
        if x.rank() == 4 && self.settings.axes == [1] {
            return Ok(x.clone());
        }
        let (rank, over) = (x.rank() as isize, self.settings.axes.len() as isize);
        let x = x.permute(&order(x.rank(), &self.settings.axes))?;
        let x = if over > 1 { x.merge_axes(rank - 2 - over, rank - 3)? } else { x };
        let alone = rank - 2 - over;
        if alone > 1 { x.merge_axes(0, alone - 1) } else { Ok(x) }
    }

    /// Undoes `flat`: restores the axes of the projected query.
    fn full(&self, y: Tensor, query: &Tensor) -> Result<Tensor> {
        if query.rank() == 4 && self.settings.axes == [1] {
            return Ok(y);
        }
        let order = order(query.rank(), &self.settings.axes);
        let mut sizes: Few<usize, MAX_RANK> = order.iter().map(|&axis| query.dims()[axis as usize]).collect();
        if let (Some(size), Some(width)) = (sizes.last_mut(), y.dims().last()) {
            *size = *width;
        }
        y.reshape_to(&sizes[..])?.permute_back(&order)
    }

    /// Returns a mask given by name, with the axes of the scores ([`HeadsNode::score_shape`]).
    fn given_mask(&self, mask: &Tensor, scores: &[usize]) -> Result<Tensor> {
        let mut mask = mask.cast(DType::Bool)?;
        let over = self.settings.axes.len() as isize;
        while mask.rank() < scores.len() {
            mask = mask.expand_dims((mask.rank() as isize - 2 * over).max(0))?;
        }
        Ok(mask)
    }

    /// Returns the mask of a projected query, or of keys, with the axes of the scores.
    fn own_mask(&self, mask: &Tensor, projected: &Tensor, of_query: bool) -> Result<Tensor> {
        let (inner, over) = (projected.rank() - 2, self.settings.axes.len());
        let mut mask = mask.clone();
        while mask.rank() < inner {
            mask = mask.expand_dims(-1)?;
        }
        if inner > 2 {
            mask = mask.permute(&order(projected.rank(), &self.settings.axes)[..inner])?;
        }
        let heads = (inner - over) as isize;
        let mut mask = mask.expand_dims(heads)?;
        for _ in 0..over {
            mask = mask.expand_dims(if of_query { -1 } else { heads + 1 })?;
        }
        Ok(mask)
    }

    /// Reshapes a mask with the axes of the scores to `[batch, heads, queries, keys]`.
    fn flat_mask(&self, mask: Tensor, scores: &[usize]) -> Result<Tensor> {
        let over = self.settings.axes.len() as isize;
        if scores.len() == 4 && over == 1 {
            return Ok(mask);
        }
        // Axes can be merged once the mask has them whole.
        let mut mask = mask.broadcast_to(scores)?;
        let (rank, alone) = (scores.len() as isize, scores.len() as isize - 2 * over - 1);
        if over > 1 {
            mask = mask.merge_axes(rank - over, rank - 1)?.merge_axes(rank - 2 * over, rank - over - 1)?;
        }
        if alone > 1 { mask.merge_axes(0, alone - 1) } else { Ok(mask) }
    }

    /// Returns the shape of the scores: independent axes, heads, axes of queries, axes of keys.
    fn score_shape(&self, query: &Tensor, key: &Tensor) -> Few<usize, MAX_RANK> {
        let axes = &self.settings.axes;
        let alone = (0..query.rank() - 2).filter(|axis| !axes.contains(axis));
        let lead = alone.chain([query.rank() - 2]).chain(axes.iter().copied()).map(|axis| query.dims()[axis]);
        lead.chain(axes.iter().map(|&axis| key.dims()[axis])).collect()
    }

    /// Returns which keys each query sees, from the masks of the inputs and the one given:
    /// `[batch, heads, queries, keys]`.
    fn mask(&self, x: Inputs<'_>, kept: &Kept, query: &Tensor) -> Result<Option<Tensor>> {
        let (of_query, given) = (&x.at(0)?.mask, x.get("attention_mask"));
        if of_query.is_none() && kept.mask.is_none() && given.is_none() {
            return Ok(None);
        }
        let scores = self.score_shape(query, &kept.key);
        let of_query = of_query.as_ref().map(|mask| self.own_mask(mask, query, true)).transpose()?;
        let of_keys = kept.mask.as_ref().map(|mask| self.own_mask(mask, &kept.key, false)).transpose()?;
        let given = given.map(|given| self.given_mask(&given.tensor, &scores));
        let own = both_masks(of_query.as_ref(), of_keys.as_ref())?;
        let mask = both_masks(own.as_ref(), given.transpose()?.as_ref())?;
        mask.map(|mask| self.flat_mask(mask, &scores)).transpose()
    }
}

impl Node for HeadsNode {
    fn call(&self, x: Inputs<'_>, cx: &mut Cx) -> Result<Values> {
        let query = x.at(0)?;
        let missing = || Error::argument("inputs", "query and value", "one input");
        let value = x.find(1, "value").ok_or_else(missing)?;
        let key = x.find(2, "key");
        checks::some_steps(self.settings.class, &query.tensor, &self.settings.axes)?;
        checks::some_steps(self.settings.class, &value.tensor, &self.settings.axes)?;
        let gate = self.gate_dense.as_ref().map(|gate| gate.forward(&query.tensor, cx)).transpose()?;
        let q = self.query_dense.forward(&query.tensor, cx)?;
        let k = self.key_dense.forward(&key.unwrap_or(value).tensor, cx)?;
        let v = self.value_dense.forward(&value.tensor, cx)?;
        let mask = both_masks(value.mask.as_ref(), key.and_then(|key| key.mask.as_ref()))?;
        let mut kept = Kept { key: k, value: v, mask, position: None };
        if let Some(cache) = self.cache.as_ref().filter(|_| !cx.is_training()) {
            if q.dims()[1] != kept.key.dims()[1] {
                let why = "with a cache, query and value are the same time steps";
                return Err(Error::shapes(self.settings.class, *q.shape(), *kept.key.shape(), why));
            }
            kept = cache.extend(kept, cx)?;
        }

        let mask = self.mask(x, &kept, &q)?;
        let dropout_key = self.dropout_key.as_ref().filter(|_| cx.is_training());
        let dropout = dropout_key.map(|key| (self.settings.dropout, cx.stream(key)));
        let options = AttentionOptions {
            mask: mask.as_ref(),
            scale: Some(1.0 / libm::sqrt(self.settings.dim as f64)),
            is_causal: self.settings.causal,
            sliding_window: self.settings.sliding_window,
            position: kept.position.as_ref(),
            ..AttentionOptions::default()
        };
        let [flat_q, flat_k, flat_v] = [self.flat(&q)?, self.flat(&kept.key)?, self.flat(&kept.value)?];
        let (y, weights) = if self.settings.scores {
            let weights = attention_weights(&flat_q, &flat_k, options)?;
            let used = match dropout {
                Some((rate, stream)) => weights.dropout(rate, stream)?,
                None => weights.clone(),
            };
            (weighted_sums(&used, &flat_v)?, Some(weights))
        } else {
            let options = AttentionOptions { dropout, ..options };
            (flat_q.dot_product_attention(&flat_k, &flat_v, options)?, None)
        };
        let mut y = self.full(y, &q)?;
        if let Some(gate) = gate {
            y = y.mul(&gate)?;
        }
        let y = self.output_dense.forward(&y, cx)?;
        let mut out: Values = Value::masked(y, query.mask.clone()).into();
        if let Some(weights) = weights {
            let shape = self.score_shape(&q, &kept.key);
            out.0.push(if shape.len() == 4 {
                weights.into()
            } else {
                weights.reshape_to(&shape[..])?.into()
            });
        }
        cx.regularize_outputs(self.settings.activity_regularizer.as_ref(), &out)?;
        Ok(out)
    }
    fn class_name(&self) -> &'static str {
        self.settings.class
    }
}
