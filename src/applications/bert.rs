//! BERT's encoder (Devlin et al. 2018): tokens, positions and segments as vectors, then transformer blocks that see the whole sequence.

use super::classifier::with_weights;
use crate::config::Dyn;
use crate::nn::activation::{Activation, Gelu};
use crate::nn::initializer::TruncatedNormal;
use crate::nn::layers::{
    Add, Dropout, Embedding, Input, LayerNormalization, PositionEmbedding, ReversibleEmbedding,
    TransformerEncoder,
};
use crate::nn::{Build as _, Functional, Network};
use crate::{DType, Result, settings};

settings! {
    /// The encoder of BERT, by default in its base size: `token_ids` and `segment_ids`, int64 `[batch, time]`, become
    /// `[batch, time, hidden_dim]`. A third input, `padding_mask` (bool, true where a token counts), is there with
    /// `padding_mask(true)`. Layers are named as keras-hub's.
    pub struct Bert {
        /// With the sizes of BERT base.
        new();

        /// How many tokens there are. Default: `30522`.
        vocabulary_size: usize = 30522,
        /// How many blocks. Default: `12`.
        num_layers: usize = 12,
        /// How many heads each block has. Default: `12`.
        num_heads: usize = 12,
        /// The length of vectors. Default: `768`.
        hidden_dim: usize = 768,
        /// The units between the two dense layers of a block. Default: `3072`.
        intermediate_dim: usize = 3072,
        /// Dropout rate. Default: `0.1`.
        dropout: f64 = 0.1,
        /// The most tokens of a sequence. Default: `512`.
        max_sequence_length: usize = 512,
        /// How many kinds of segments. Default: `2`.
        num_segments: usize = 2,
        /// What stands between the dense layers of a block. Default: `Gelu`, exact as published (keras-hub: approximate).
        activation: into Dyn<dyn Activation> = Gelu,
        /// Whether there is an input that says which tokens count. Default: `false`.
        padding_mask: bool = false,
        /// A safetensors file with the value of every parameter. Default: none, and parameters are drawn at random.
        weights: some into String,
        /// The seed of initial values. Default: `0`.
        seed: u64 = 0,
        /// The dtype of parameters. Default: `F32`.
        dtype: DType = DType::F32,
    }
}

impl Bert {
    /// Builds the network.
    ///
    /// # Errors
    /// A setting is out of range, or the file of weights cannot be read or has other tensors than the network's parameters.
    pub fn build(&self) -> Result<Network> {
        let drawn = || TruncatedNormal::new(0.0, 0.02);
        let ids = |name: &str| Input::with_unknown([None]).dtype(DType::I64).named(name);
        let (tokens, segments) = (ids("token_ids"), ids("segment_ids"));
        let mask = Input::with_unknown([None]).dtype(DType::Bool).named("padding_mask");
        let n = self.hidden_dim;
        let table = ReversibleEmbedding::new(self.vocabulary_size, n).embeddings_initializer(drawn());
        let x = table.named("token_embedding").on(&tokens)?;
        let positions = PositionEmbedding::new(self.max_sequence_length).initializer(drawn());
        let positions = positions.named("position_embedding").on(&x)?;
        let table = Embedding::new(self.num_segments, n).embeddings_initializer(drawn());
        let kinds = table.named("segment_embedding").on(&segments)?;
        let x = Add::new().named("embeddings_add").on([&x, &positions, &kinds])?;
        let x = LayerNormalization::new().epsilon(1e-12).named("embeddings_layer_norm").on(&x)?;
        let mut x = Dropout::new(self.dropout).named("embeddings_dropout").on(&x)?;
        for i in 0..self.num_layers {
            let block = TransformerEncoder::new(self.intermediate_dim, self.num_heads)
                .activation(self.activation.clone())
                .dropout(self.dropout)
                .layer_norm_epsilon(1e-12)
                .kernel_initializer(drawn())
                .named(&format!("transformer_layer_{i}"));
            x = match self.padding_mask {
                true => block.on((&x, [("padding_mask", &mask.symbol())]))?,
                false => block.on(&x)?,
            };
        }
        let network = match self.padding_mask {
            true => Functional::new([&tokens, &segments, &mask], &x)?,
            false => Functional::new([&tokens, &segments], &x)?,
        };
        with_weights(
            network.named("bert").seed(self.seed).dtype(self.dtype).build()?,
            self.weights.as_deref(),
        )
    }
}
