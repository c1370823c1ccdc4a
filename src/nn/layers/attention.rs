//! `Attention` and [`AdditiveAttention`]: attention of one head without projections. The output of a query is the
//! mean of the values, weighted by how well it fits their keys.

use super::checks;
use crate::config::Dyn;
use crate::nn::initializer::{GlorotUniform, Initializer, Ones};
use crate::nn::{Build, Cx, Init, InputSpecs, Inputs, Key, Node, Param, Value, Values, both_masks, features};
use crate::ops::attention::{AttentionOptions, masked_softmax, places};
use crate::tensor::Tensor;
use crate::{Error, Result, Shape};

/// The inputs by position.
const POSITIONAL: &[&str] = &["query", "value", "key"];

crate::string_enum! {
    /// How the score of a query and a key is computed.
    #[derive(Default)]
    pub enum ScoreMode {
        /// Their dot product (Luong et al. 2015).
        #[default]
        Dot = "dot",
        /// The sum of the hyperbolic tangents of their sum, times a trained number.
        Concat = "concat",
    }
}

crate::settings! {
    /// `softmax(query·keyᵀ)·value`, not divided by √dim, as Keras's `Attention`.
    ///
    /// - Inputs, in this order: query `[batch, queries, dim]`, value `[batch, keys, width]` and, if it is another
    ///   tensor, key `[batch, keys, dim]`: `Attention::new().on([&query, &value])`.
    /// - Output: `[batch, queries, width]`, with the mask of the query.
    /// - Masks: positions that the mask of `value` hides have no weight; where the query's mask is false, the
    ///   output is 0. As in Keras, the mask of `key` is ignored. A query that sees no key gives zeros.
    pub layer Attention {
        /// Creates the layer with Keras's defaults.
        new();

        /// Whether scores are multiplied by a trained number `scale`, which begins at 1. Default: `false`.
        use_scale: bool = false,
        /// How scores are computed. Default: dot products.
        score_mode: named ScoreMode = ScoreMode::Dot,
        /// Dropout rate of the attention weights. Default: `0`.
        dropout: f64 = 0.0,
        /// Whether a query attends only to its own and earlier positions (in Keras an argument of the call).
        /// Default: `false`.
        use_causal_mask: bool = false,
        /// Whether the weights `[batch, queries, keys]` are a second output (in Keras an argument of the call).
        /// Default: `false`.
        return_attention_scores: bool = false,
    }
}

crate::settings! {
    /// `softmax(Σ scale·tanh(query + key))·value` (Bahdanau et al. 2015), on the same inputs as [`Attention`], with
    /// the same masks.
    pub layer AdditiveAttention {
        /// Creates the layer with Keras's defaults.
        new();

        /// Whether each of the `dim` terms is multiplied by a trained number of `scale`, Glorot uniform. Default:
        /// `true`.
        use_scale: bool = true,
        /// Dropout rate of the attention weights. Default: `0`.
        dropout: f64 = 0.0,
        /// Whether a query attends only to its own and earlier positions (in Keras an argument of the call).
        /// Default: `false`.
        use_causal_mask: bool = false,
        /// Whether the weights `[batch, queries, keys]` are a second output (in Keras an argument of the call).
        /// Default: `false`.
        return_attention_scores: bool = false,
    }
}

impl Build for Attention {
    fn build(&self, inputs: &InputSpecs<'_>, init: &mut Init) -> Result<Box<dyn Node>> {
        check("Attention", inputs, self.dropout)?;
        let one: Dyn<dyn Initializer> = Ones.into();
        let mut number = |wanted: bool| wanted.then(|| init.param(Shape::SCALAR, &one)).transpose();
        let scale = number(self.use_scale)?;
        let concat_score_weight = number(self.score_mode == ScoreMode::Concat)?;
        let form = if concat_score_weight.is_some() { Form::Concat } else { Form::Dot };
        Ok(Box::new(AttentionNode {
            scale,
            concat_score_weight,
            dropout_key: (self.dropout > 0.0).then(|| init.key()),
            form,
            dropout: self.dropout,
            causal: self.use_causal_mask,
            scores: self.return_attention_scores,
        }))
    }
    fn positional_names(&self) -> &[&'static str] {
        POSITIONAL
    }
}

impl Build for AdditiveAttention {
    fn build(&self, inputs: &InputSpecs<'_>, init: &mut Init) -> Result<Box<dyn Node>> {
        check("AdditiveAttention", inputs, self.dropout)?;
        let dim = features("AdditiveAttention", inputs.at(0)?)?;
        let scale = self.use_scale.then(|| init.param([dim], &GlorotUniform.into())).transpose()?;
        Ok(Box::new(AttentionNode {
            scale,
            concat_score_weight: None,
            dropout_key: (self.dropout > 0.0).then(|| init.key()),
            form: Form::Additive,
            dropout: self.dropout,
            causal: self.use_causal_mask,
            scores: self.return_attention_scores,
        }))
    }
    fn positional_names(&self) -> &[&'static str] {
        POSITIONAL
    }
}

fn check(layer: &'static str, inputs: &InputSpecs<'_>, dropout: f64) -> Result<()> {
    checks::rate("dropout", dropout)?;
    if !(2..=3).contains(&inputs.positional().len()) {
        let expected = "[query, value] or [query, value, key]";
        return Err(Error::argument("inputs", expected, inputs.positional().len()));
    }
    match inputs.positional().iter().find(|spec| spec.shape.rank() < 3) {
        None => Ok(()),
        Some(spec) => Err(Error::shape(layer, "inputs [batch, time, features]", spec.shape)),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Dot,
    Concat,
    Additive,
}

/// Either layer with its parameters.
#[derive(Clone, Debug)]
struct AttentionNode {
    scale: Option<Param>,
    concat_score_weight: Option<Param>,
    dropout_key: Option<Key>,
    form: Form,
    dropout: f64,
    causal: bool,
    scores: bool,
}
crate::parts!(AttentionNode { scale, concat_score_weight, dropout_key });

impl AttentionNode {
    /// Returns the score of each query with each key: `[…, queries, keys]`.
    fn fit(&self, query: &Tensor, key: &Tensor, cx: &mut Cx) -> Result<Tensor> {
        let scale = cx.param_if(&self.scale)?;
        let scaled = |x: Tensor| scale.as_ref().map_or_else(|| Ok(x.clone()), |s| x.mul(s));
        if self.form == Form::Dot {
            return scaled(query.matmul(&key.t()?)?);
        }
        let sum = query.expand_dims(-2)?.add(&key.expand_dims(-3)?)?;
        match &self.concat_score_weight {
            Some(weight) => scaled(sum)?.tanh()?.sum(&[-1], false)?.mul(&cx.param(weight)?),
            None => scaled(sum.tanh()?)?.sum(&[-1], false),
        }
    }

    /// Computes scores, weights and sums one after another: `[…, queries, width]` and `[…, queries, keys]`.
    fn composed(
        &self,
        [query, key, value]: [&Tensor; 3],
        mask: Option<&Tensor>,
        cx: &mut Cx,
    ) -> Result<(Tensor, Tensor)> {
        let scores = self.fit(query, key, cx)?;
        let mask = mask.map(|mask| mask.expand_dims(-2)).transpose()?;
        let causal = match self.causal {
            true => Some(places(key, -2)?.less_equal(&places(query, -2)?.expand_dims(-1)?)?),
            false => None,
        };
        let mut weights = masked_softmax(&scores, both_masks(mask.as_ref(), causal.as_ref())?.as_ref())?;
        if let Some(dropout_key) = self.dropout_key.as_ref().filter(|_| cx.is_training()) {
            weights = weights.dropout(self.dropout, cx.stream(dropout_key))?;
        }
        Ok((weights.matmul(value)?, weights))
    }

    /// The same in one step, for dot products of tensors with three axes.
    fn fused(&self, [query, key, value]: [&Tensor; 3], mask: Option<&Tensor>, cx: &mut Cx) -> Result<Tensor> {
        let query = match &self.scale {
            Some(scale) => query.mul(&cx.param(scale)?)?,
            None => query.clone(),
        };
        let mask = mask.map(|mask| mask.expand_dims(1)?.expand_dims(1)).transpose()?;
        let dropout_key = self.dropout_key.as_ref().filter(|_| cx.is_training());
        let dropout = dropout_key.map(|key| (self.dropout, cx.stream(key)));
        let options = AttentionOptions {
            mask: mask.as_ref(),
            scale: Some(1.0),
            is_causal: self.causal,
            dropout,
            ..AttentionOptions::default()
        };
        let head = |x: &Tensor| x.expand_dims(-2);
        head(&query)?.dot_product_attention(&head(key)?, &head(value)?, options)?.squeeze(-2)
    }
}

impl Node for AttentionNode {
    fn call(&self, x: Inputs<'_>, cx: &mut Cx) -> Result<Values> {
        let (query, value) = (x.at(0)?, x.at(1)?);
        let key = x.positional().get(2).unwrap_or(value);
        for x in [query, value] {
            checks::some_steps(self.class_name(), &x.tensor, &[x.tensor.rank().saturating_sub(2)])?;
        }
        let (operands, mask) = ([&query.tensor, &key.tensor, &value.tensor], value.mask.as_ref());
        let plain = self.form == Form::Dot && operands.iter().all(|t| t.rank() == 3);
        let (mut y, weights) = match plain && !self.scores {
            true => (self.fused(operands, mask, cx)?, None),
            false => {
                let (y, weights) = self.composed(operands, mask, cx)?;
                (y, self.scores.then_some(weights))
            }
        };
        if let Some(mask) = &query.mask {
            y = mask.expand_dims(-1)?.choose(&y, &y.new_full([], 0.0)?)?;
        }
        let mut out: Values = Value::masked(y, query.mask.clone()).into();
        out.0.extend(weights.map(Value::from));
        Ok(out)
    }
    fn class_name(&self) -> &'static str {
        if self.form == Form::Additive { "AdditiveAttention" } else { "Attention" }
    }
}

#[cfg(test)]
mod tests {
    use super::Attention;
    use crate::nn::layers::Input;
    use crate::nn::{Build, Functional};
    use crate::tensor::Tensor;

    /// The golden value of Keras's `Attention`.
    #[test]
    fn keras_gives_this() {
        let (q, v) = (Input::new([2, 2]), Input::new([2, 2]));
        let y = Attention::new().on([&q, &v]).unwrap();
        let network = Functional::new([&q, &v], &y).unwrap().build().unwrap();
        let query = Tensor::from_slice(&[1.0f32, 0.0, 0.0, 1.0], [1, 2, 2]).unwrap();
        let value = Tensor::from_slice(&[1.0f32, 2.0, 3.0, 4.0], [1, 2, 2]).unwrap();
        let got = network.predict(&[query, value]).unwrap().to_vec::<f32>().unwrap();
        let want = [2.761_594f32, 3.761_593_8, 2.761_594, 3.761_593_8];
        assert!(got.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-6), "{got:?}");
    }
}
