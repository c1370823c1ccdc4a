//! `TransformerEncoder`: a transformer block that sees the whole sequence. It has attention, then two dense layers,
//! each added to its input (Vaswani et al. 2017).

use super::transformer::{Block, around, built, merged, run};
use crate::Result;
use crate::config::Dyn;
use crate::nn::activation::{Activation, Relu};
use crate::nn::initializer::{GlorotUniform, Initializer, Zeros};
use crate::nn::regularizer::Regularizer;
use crate::nn::{Build, Cx, Init, InputSpecs, Inputs, Node, Value, Values};

crate::settings! {
    /// `h = norm(x + attention(x))`, then `norm(h + dense(activation(dense(h))))`, over `[batch, time, features]`;
    /// with `normalize_first`, `h = x + attention(norm(x))`, then `h + dense(activation(dense(norm(h))))`. Each
    /// head has `features / num_heads` features. (As in keras-hub.)
    ///
    /// - Inputs after the first, by position or name: `padding_mask` `[batch, time]`, true where a time step
    ///   counts, replaces the input's own mask; `attention_mask` `[batch, time, time]`, true where a step attends
    ///   to another.
    /// - The output has the mask of the input.
    pub layer TransformerEncoder {
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
        /// Regularizer of each kernel. Default: none.
        kernel_regularizer: some into Dyn<dyn Regularizer>,
        /// Regularizer of each bias. Default: none.
        bias_regularizer: some into Dyn<dyn Regularizer>,
        /// Regularizer of each output; its penalty is divided by the batch size. Default: none.
        activity_regularizer: some into Dyn<dyn Regularizer>,
        /// Whether to normalize the input of attention and of the dense layers instead of the sums after them.
        /// Default: `false`.
        normalize_first: bool = false,
        /// Whether the weights of attention are a second output (in keras-hub an argument of the call). Default:
        /// `false`.
        return_attention_scores: bool = false,
    }
}

impl Build for TransformerEncoder {
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
            kernel_regularizer: self.kernel_regularizer.as_ref(),
            bias_regularizer: self.bias_regularizer.as_ref(),
        };
        let n = block.features("TransformerEncoder", input)?;
        let attention = block.attention(n).return_attention_scores(self.return_attention_scores);
        let self_attention_layer = built(&attention, [input, input], init)?;
        let self_attention_layer_norm = block.norm(input, init)?;
        let self_attention_dropout = block.dropout(input, init)?;
        let feedforward_layer_norm = block.norm(input, init)?;
        let [feedforward_intermediate_dense, feedforward_output_dense] = block.feedforward(input, n, init)?;
        Ok(Box::new(EncoderNode {
            self_attention_layer,
            self_attention_layer_norm,
            self_attention_dropout,
            feedforward_layer_norm,
            feedforward_intermediate_dense,
            feedforward_output_dense,
            feedforward_dropout: block.dropout(input, init)?,
            normalize_first: self.normalize_first,
            mask_name: ["attention_mask".to_string()],
            activity_regularizer: self.activity_regularizer.clone(),
        }))
    }
    fn input_names(&self) -> &[&'static str] {
        &["padding_mask", "attention_mask"]
    }
    fn positional_names(&self) -> &[&'static str] {
        &["inputs", "padding_mask", "attention_mask"]
    }
}

/// The block with its parts.
#[derive(Clone, Debug)]
struct EncoderNode {
    self_attention_layer: Box<dyn Node>,
    self_attention_layer_norm: Box<dyn Node>,
    self_attention_dropout: Option<Box<dyn Node>>,
    feedforward_layer_norm: Box<dyn Node>,
    feedforward_intermediate_dense: Box<dyn Node>,
    feedforward_output_dense: Box<dyn Node>,
    feedforward_dropout: Option<Box<dyn Node>>,
    normalize_first: bool,
    /// The name under which attention is given a mask.
    mask_name: [String; 1],
    activity_regularizer: Option<Dyn<dyn Regularizer>>,
}
crate::parts!(EncoderNode {
    self_attention_layer,
    self_attention_layer_norm,
    self_attention_dropout,
    feedforward_layer_norm,
    feedforward_intermediate_dense,
    feedforward_output_dense,
    feedforward_dropout,
});

impl Node for EncoderNode {
    fn call(&self, x: Inputs<'_>, cx: &mut Cx) -> Result<Values> {
        let Value { tensor, mask } = x.at(0)?;
        let padding = x.find(1, "padding_mask").map(|given| &given.tensor).or(mask.as_ref());
        let allowed = merged(padding, x.find(2, "attention_mask"))?;
        let mut weights = None;
        let norm = &*self.self_attention_layer_norm;
        let dropout = self.self_attention_dropout.as_deref();
        let h = around(tensor, norm, self.normalize_first, dropout, cx, |x, cx| {
            let query = Value::masked(x.clone(), mask.clone());
            let mut all =
                attend(&*self.self_attention_layer, [query, x.into()], allowed, &self.mask_name, cx)?
                    .into_iter();
            let y = all.next();
            weights = all.next();
            y.map(|y| y.tensor).ok_or_else(|| crate::Error::argument("outputs", "one or two", 0))
        })?;
        let dropout = self.feedforward_dropout.as_deref();
        let y = around(&h, &*self.feedforward_layer_norm, self.normalize_first, dropout, cx, |h, cx| {
            let h = run(&*self.feedforward_intermediate_dense, h, cx)?;
            run(&*self.feedforward_output_dense, &h, cx)
        })?;
        let mut out: Values = Value::masked(y, mask.clone()).into();
        out.0.extend(weights);
        cx.regularize_outputs(self.activity_regularizer.as_ref(), &out)?;
        Ok(out)
    }
    fn class_name(&self) -> &'static str {
        "TransformerEncoder"
    }
}

/// Computes the attention of a query to values, with the mask of which keys are seen.
pub(super) fn attend(
    layer: &dyn Node,
    [query, value]: [Value; 2],
    allowed: Option<crate::Tensor>,
    mask_name: &[String],
    cx: &mut Cx,
) -> Result<Values> {
    match allowed {
        None => layer.call(Inputs::new(&[query, value]), cx),
        Some(mask) => layer.call(Inputs::with_names(&[query, value, mask.into()], mask_name)?, cx),
    }
}
