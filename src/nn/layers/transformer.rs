//! What encoder and decoder blocks share: the normalization around each part, and the addition of the input.

use super::checks::{self, epsilon, fits, positive};
use super::{Dense, Dropout, LayerNormalization, MultiHeadAttention};
use crate::config::Dyn;
use crate::nn::activation::Activation;
use crate::nn::initializer::Initializer;
use crate::nn::regularizer::Regularizer;
use crate::nn::{Build, Cx, Init, InputSpecs, Inputs, Node, Value, both_masks};
use crate::tensor::Tensor;
use crate::{Error, Result, Spec};

/// Settings that encoder and decoder share.
pub(super) struct Block<'a> {
    pub(super) intermediate_dim: usize,
    pub(super) num_heads: usize,
    pub(super) dropout: f64,
    pub(super) activation: &'a Dyn<dyn Activation>,
    pub(super) layer_norm_epsilon: f64,
    pub(super) kernel_initializer: &'a Dyn<dyn Initializer>,
    pub(super) bias_initializer: &'a Dyn<dyn Initializer>,
    pub(super) kernel_regularizer: Option<&'a Dyn<dyn Regularizer>>,
    pub(super) bias_regularizer: Option<&'a Dyn<dyn Regularizer>>,
}

impl Block<'_> {
    /// Checks the settings and returns the features of the input.
    pub(super) fn features(&self, layer: &'static str, input: Spec) -> Result<usize> {
        let features = crate::nn::features(layer, input)?;
        if input.shape.rank() != 3 {
            return Err(Error::shape(layer, "inputs [batch, time, features]", input.shape));
        }
        positive("intermediate_dim", self.intermediate_dim)?;
        fits("intermediate_dim", &[features, self.intermediate_dim])?;
        if self.num_heads == 0 || self.num_heads > features {
            let expected = format!("from 1 to the {features} features of the input");
            return Err(Error::argument("num_heads", expected, self.num_heads));
        }
        epsilon("layer_norm_epsilon", self.layer_norm_epsilon)?;
        checks::rate("dropout", self.dropout)?;
        Ok(features)
    }

    /// Describes the attention of the block.
    pub(super) fn attention(&self, features: usize) -> MultiHeadAttention {
        let mut attention = MultiHeadAttention::new(self.num_heads, features / self.num_heads)
            .dropout(self.dropout)
            .kernel_initializer(self.kernel_initializer.clone())
            .bias_initializer(self.bias_initializer.clone());
        if let Some(penalty) = self.kernel_regularizer {
            attention = attention.kernel_regularizer(penalty.clone());
        }
        if let Some(penalty) = self.bias_regularizer {
            attention = attention.bias_regularizer(penalty.clone());
        }
        attention
    }

    pub(super) fn norm(&self, input: Spec, init: &mut Init) -> Result<Box<dyn Node>> {
        LayerNormalization::new().epsilon(self.layer_norm_epsilon).build(&(&[input]).into(), init)
    }

    pub(super) fn dropout(&self, input: Spec, init: &mut Init) -> Result<Option<Box<dyn Node>>> {
        let wanted = self.dropout > 0.0;
        wanted.then(|| Dropout::new(self.dropout).build(&(&[input]).into(), init)).transpose()
    }

    pub(super) fn dense(
        &self,
        units: usize,
        input: Spec,
        last: bool,
        init: &mut Init,
    ) -> Result<Box<dyn Node>> {
        let mut dense = Dense::new(units)
            .kernel_initializer(self.kernel_initializer.clone())
            .bias_initializer(self.bias_initializer.clone());
        if !last {
            dense = dense.activation(self.activation.clone());
        }
        if let Some(penalty) = self.kernel_regularizer {
            dense = dense.kernel_regularizer(penalty.clone());
        }
        if let Some(penalty) = self.bias_regularizer {
            dense = dense.bias_regularizer(penalty.clone());
        }
        dense.build(&(&[input]).into(), init)
    }

    /// Describes the two dense layers, `features` to `intermediate_dim` and back.
    pub(super) fn feedforward(
        &self,
        input: Spec,
        features: usize,
        init: &mut Init,
    ) -> Result<[Box<dyn Node>; 2]> {
        let between = Spec::new(input.shape.with(2, self.intermediate_dim), input.dtype);
        let first = self.dense(self.intermediate_dim, input, false, init)?;
        Ok([first, self.dense(features, between, true, init)?])
    }
}

/// Returns the output of a layer with one input and one output.
pub(super) fn run(layer: &dyn Node, x: &Tensor, cx: &mut Cx) -> Result<Tensor> {
    Ok(layer.call(Inputs::new(&[x.into()]), cx)?.single()?.tensor)
}

/// Builds attention for a query and values.
pub(super) fn built(
    attention: &MultiHeadAttention,
    inputs: [Spec; 2],
    init: &mut Init,
) -> Result<Box<dyn Node>> {
    attention.build(&InputSpecs::new(&inputs, &[]), init)
}

/// Computes `x + dropout(part(x))`, with the normalization before the part or after the sum.
pub(super) fn around(
    x: &Tensor,
    norm: &dyn Node,
    first: bool,
    dropout: Option<&dyn Node>,
    cx: &mut Cx,
    part: impl FnOnce(&Tensor, &mut Cx) -> Result<Tensor>,
) -> Result<Tensor> {
    let inner = if first { run(norm, x, cx)? } else { x.clone() };
    let mut y = part(&inner, cx)?;
    if let Some(dropout) = dropout {
        y = run(dropout, &y, cx)?;
    }
    let y = y.add(x)?;
    if first { Ok(y) } else { run(norm, &y, cx) }
}

/// Returns the mask `[batch, queries, keys]` of attention, from the padding of the keys (given or their own) and
/// the given attention mask.
pub(super) fn merged(padding: Option<&Tensor>, given: Option<&Value>) -> Result<Option<Tensor>> {
    let bool = |t: &Tensor| t.cast(crate::DType::Bool);
    let padding = padding.map(|mask| bool(mask)?.expand_dims(1)).transpose()?;
    let given = given.map(|value| bool(&value.tensor)).transpose()?;
    both_masks(padding.as_ref(), given.as_ref())
}
