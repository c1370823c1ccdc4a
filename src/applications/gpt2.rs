//! GPT-2 (Radford et al. 2019): tokens and positions as vectors, transformer blocks that look back, and scores of the next token by the
//! table of tokens itself.

use super::classifier::with_weights;
use crate::config::Dyn;
use crate::nn::activation::{Activation, Gelu};
use crate::nn::initializer::RandomNormal;
use crate::nn::layers::{
    Add, Dropout, Input, Lambda, LayerNormalization, PositionEmbedding, ReversibleEmbedding,
    TransformerDecoder,
};
use crate::nn::{Build as _, Functional, Network};
use crate::{DType, Result, settings};

settings! {
    /// GPT-2, by default in its smallest size of 124 million parameters: `token_ids`, int64 `[batch, time]`, become logits of the next token,
    /// `[batch, time, vocabulary_size]`. With [`GPT2::cache`] a session remembers what came before, and `predict_in` takes one token
    /// at a time. Layers are named as keras-hub's.
    pub struct GPT2 {
        /// With the sizes of the smallest GPT-2.
        new();

        /// How many tokens there are. Default: `50257`.
        vocabulary_size: usize = 50257,
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
        /// The most tokens of a sequence. Default: `1024`.
        max_sequence_length: usize = 1024,
        /// What stands between the dense layers of a block. Default: `Gelu.approximate(true)`, as published.
        activation: into Dyn<dyn Activation> = Gelu.approximate(true),
        /// Whether a session keeps keys and values, of up to `max_sequence_length` tokens. Default: `false`.
        cache: bool = false,
        /// Whether only the logits of a sequence's last token are computed, `[batch, 1, vocabulary_size]`: for generating. Such a network
        /// cannot be saved whole, its weights can. Default: `false`.
        last_token: bool = false,
        /// A safetensors file with the value of every parameter. Default: none, and parameters are drawn at random.
        weights: some into String,
        /// The seed of initial values. Default: `0`.
        seed: u64 = 0,
        /// The dtype of parameters. Default: `F32`.
        dtype: DType = DType::F32,
    }
}

impl GPT2 {
    /// Builds the network.
    ///
    /// # Errors
    /// A setting is out of range, or the file of weights cannot be read or has other tensors than the network's parameters.
    pub fn build(&self) -> Result<Network> {
        let tokens = Input::with_unknown([None]).dtype(DType::I64).named("token_ids");
        let table = ReversibleEmbedding::new(self.vocabulary_size, self.hidden_dim)
            .embeddings_initializer(RandomNormal::new(0.0, 0.01))
            .named("token_embedding")
            .shared();
        let x = table.on(&tokens)?;
        let positions = PositionEmbedding::new(self.max_sequence_length)
            .initializer(RandomNormal::new(0.0, 0.02))
            .cache(self.cache)
            .named("position_embedding")
            .on(&x)?;
        let x = Add::new().named("embeddings_add").on([&x, &positions])?;
        let mut x = Dropout::new(self.dropout).named("embeddings_dropout").on(&x)?;
        for i in 0..self.num_layers {
            let mut block = TransformerDecoder::new(self.intermediate_dim, self.num_heads)
                .activation(self.activation.clone())
                .dropout(self.dropout)
                .kernel_initializer(RandomNormal::new(0.0, 0.02))
                .normalize_first(true)
                .named(&format!("transformer_layer_{i}"));
            if self.cache {
                block = block.cache(self.max_sequence_length);
            }
            x = block.on(&x)?;
        }
        if self.last_token {
            x = Lambda::new(|x| x.slice(1, -1, isize::MAX)).named("last_token").on(&x)?;
        }
        let x = LayerNormalization::new().epsilon(1e-5).named("layer_norm").on(&x)?;
        let network = Functional::new(&tokens, &table.on([("reverse", &x)])?)?;
        with_weights(
            network.named("gpt2").seed(self.seed).dtype(self.dtype).build()?,
            self.weights.as_deref(),
        )
    }
}
