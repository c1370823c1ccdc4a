//! `TransformerDecoder`: a transformer block that goes forward in time. It has causal attention, attention to an
//! encoder's output if there is one, then two dense layers, each added to its input (Vaswani et al. 2017).

use super::transformer::{Block, around, built, merged, run};
use super::transformer_encoder::attend;
use crate::Result;
use crate::config::Dyn;
use crate::nn::activation::{Activation, Relu};
use crate::nn::initializer::{GlorotUniform, Initializer, Zeros};
use crate::nn::{Build, Cx, Init, InputSpecs, Inputs, Node, Value, Values};

crate::settings! {
    /// [`TransformerEncoder`](super::TransformerEncoder) whose attention is causal, with a second attention, to the
    /// encoder's output, if there is one: `TransformerDecoder::new(64, 8).on(&x)` or `.on([&x, &encoded])`. (As in
    /// keras-hub.)
    ///
    /// - Inputs after these two, by position or name, true where a time step counts: `decoder_padding_mask`
    ///   `[batch, time]`, `decoder_attention_mask` `[batch, time, time]`, `encoder_padding_mask` `[batch, keys]`,
    ///   `encoder_attention_mask` `[batch, time, keys]`. Padding masks replace the inputs' own.
    /// - The output has the mask of the first input.
    pub layer TransformerDecoder {
        /// Creates a block of `num_heads` heads, with `intermediate_dim` units between the two dense layers.
        new(intermediate_dim: usize, num_heads: usize);

        /// Dropout rate of the attention weights and of each part's output. Default: `0`.
        dropout: f64 = 0.0,
        /// Activation between the two dense layers. Default: `Relu`.
        activation: into Dyn<dyn Activation> = Relu,
        /// Added to the variance in each normalization. Default: `1e-5`.
        layer_norm_epsilon: f64 = 1e-5,
        /// Initializer of kernels. Default: `GlorotUniform`.
        kernel_initializer: into Dyn<dyn Initializer> = GlorotUniform,
        /// Initializer of biases. Default: `Zeros`.
        bias_initializer: into Dyn<dyn Initializer> = Zeros,
        /// Whether to normalize the input of attention and of the dense layers instead of the sums after them.
        /// Default: `false`.
        normalize_first: bool = false,
        /// Whether a time step attends only to itself and earlier ones (in keras-hub an argument of the call).
        /// Default: `true`.
        use_causal_mask: bool = true,
        /// The number of time steps whose keys and values a session keeps, so that `predict_in` can continue
        /// decoding; see [`MultiHeadAttention`](super::MultiHeadAttention). Default: none.
        cache: some usize,
    }
}

impl Build for TransformerDecoder {
    fn build(&self, inputs: &InputSpecs<'_>, init: &mut Init) -> Result<Box<dyn Node>> {
        let input = inputs.at(0)?;
        let block = Block {
            intermediate_dim: self.intermediate_dim,
            num_heads: self.num_heads,
            dropout: self.dropout,
            activation: &self.activation,
            layer_norm_epsilon: self.layer_norm_epsilon,
            kernel_initializer: &self.kernel_initializer,
            bias_initializer: &self.bias_initializer,
            kernel_regularizer: None,
            bias_regularizer: None,
        };
        let n = block.features("TransformerDecoder", input)?;
        let mut attention = block.attention(n).use_causal_mask(self.use_causal_mask);
        if let Some(steps) = self.cache {
            attention = attention.cache(steps);
        }
        let self_attention = built(&attention, [input, input], init)?;
        let self_attention_layer_norm = block.norm(input, init)?;
        let self_attention_dropout = block.dropout(input, init)?;
        let cross = match inputs.at(1) {
            Ok(encoder) => Some(CrossAttention {
                cross_attention: built(&block.attention(n), [input, encoder], init)?,
                cross_attention_layer_norm: block.norm(input, init)?,
                cross_attention_dropout: block.dropout(input, init)?,
            }),
            Err(_) => None,
        };
        let [feedforward_intermediate_dense, feedforward_output_dense] = block.feedforward(input, n, init)?;
        Ok(Box::new(DecoderNode {
            self_attention,
            self_attention_layer_norm,
            self_attention_dropout,
            cross,
            feedforward_intermediate_dense,
            feedforward_output_dense,
            feedforward_layer_norm: block.norm(input, init)?,
            feedforward_dropout: block.dropout(input, init)?,
            normalize_first: self.normalize_first,
            mask_name: ["attention_mask".to_string()],
        }))
    }
    fn input_names(&self) -> &[&'static str] {
        &["decoder_padding_mask", "decoder_attention_mask", "encoder_padding_mask", "encoder_attention_mask"]
    }
    fn positional_names(&self) -> &[&'static str] {
        &[
            "decoder_sequence",
            "encoder_sequence",
            "decoder_padding_mask",
            "decoder_attention_mask",
            "encoder_padding_mask",
            "encoder_attention_mask",
        ]
    }
}

/// The attention to an encoder's output.
#[derive(Clone, Debug)]
struct CrossAttention {
    cross_attention: Box<dyn Node>,
    cross_attention_layer_norm: Box<dyn Node>,
    cross_attention_dropout: Option<Box<dyn Node>>,
}
crate::parts!(group CrossAttention { cross_attention, cross_attention_layer_norm, cross_attention_dropout });

/// The block with its parts.
#[derive(Clone, Debug)]
struct DecoderNode {
    self_attention: Box<dyn Node>,
    self_attention_layer_norm: Box<dyn Node>,
    self_attention_dropout: Option<Box<dyn Node>>,
    cross: Option<CrossAttention>,
    feedforward_intermediate_dense: Box<dyn Node>,
    feedforward_output_dense: Box<dyn Node>,
    feedforward_layer_norm: Box<dyn Node>,
    feedforward_dropout: Option<Box<dyn Node>>,
    normalize_first: bool,
    /// The name under which attention is given a mask.
    mask_name: [String; 1],
}
crate::parts!(DecoderNode {
    self_attention,
    self_attention_layer_norm,
    self_attention_dropout,
    cross,
    feedforward_intermediate_dense,
    feedforward_output_dense,
    feedforward_layer_norm,
    feedforward_dropout,
});

impl Node for DecoderNode {
    fn call(&self, x: Inputs<'_>, cx: &mut Cx) -> Result<Values> {
        let Value { tensor, mask } = x.at(0)?;
        let own = x.find(2, "decoder_padding_mask").map(|given| &given.tensor).or(mask.as_ref());
        let own = own.map(|mask| mask.cast(crate::DType::Bool)).transpose()?;
        let allowed = merged(None, x.find(3, "decoder_attention_mask"))?;
        let norm = &*self.self_attention_layer_norm;
        let dropout = self.self_attention_dropout.as_deref();
        let mut h = around(tensor, norm, self.normalize_first, dropout, cx, |x, cx| {
            // Padding goes with the values, so that a cache keeps it.
            let (query, value) = (Value::masked(x.clone(), mask.clone()), Value::masked(x.clone(), own));
            Ok(attend(&*self.self_attention, [query, value], allowed, &self.mask_name, cx)?.single()?.tensor)
        })?;
        if let Some(cross) = &self.cross {
            let encoder = x.at(1)?;
            let padding =
                x.find(4, "encoder_padding_mask").map(|given| &given.tensor).or(encoder.mask.as_ref());
            let allowed = merged(padding, x.find(5, "encoder_attention_mask"))?;
            let norm = &*cross.cross_attention_layer_norm;
            let dropout = cross.cross_attention_dropout.as_deref();
            h = around(&h, norm, self.normalize_first, dropout, cx, |h, cx| {
                let values = [h.into(), (&encoder.tensor).into()];
                Ok(attend(&*cross.cross_attention, values, allowed, &self.mask_name, cx)?.single()?.tensor)
            })?;
        }
        let dropout = self.feedforward_dropout.as_deref();
        let y = around(&h, &*self.feedforward_layer_norm, self.normalize_first, dropout, cx, |h, cx| {
            let h = run(&*self.feedforward_intermediate_dense, h, cx)?;
            run(&*self.feedforward_output_dense, &h, cx)
        })?;
        Ok(Value::masked(y, mask.clone()).into())
    }
    fn class_name(&self) -> &'static str {
        "TransformerDecoder"
    }
}
