//! GPT-2 (Radford et al. 2019): tokens and positions as vectors, transformer blocks that look back, and scores of the next token by the
//! table of tokens itself.

use crate::config::Dyn;
use crate::error::Context;
use crate::io::{Limits, Tensors, read_file, safetensors};
use crate::nn::activation::{Activation, Gelu};
use crate::nn::initializer::RandomNormal;
use crate::nn::layers::{
    Add, Dropout, Input, Lambda, LayerNormalization, PositionEmbedding, ReversibleEmbedding,
    TransformerDecoder,
};
use crate::nn::{Build as _, Functional, Network};
use crate::tensor::Tensor;
use crate::{DType, Error, Result, settings};

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
        /// The positions that have a vector of their own; further ones are made of two (`PositionEmbedding`). With a cache, the most
        /// tokens of a session. Default: `1024`.
        max_sequence_length: usize = 1024,
        /// What stands between the dense layers of a block. Default: `Gelu.approximate(true)`, as published.
        activation: into Dyn<dyn Activation> = Gelu.approximate(true),
        /// Whether a session keeps keys and values, of up to `max_sequence_length` tokens. Default: `false`.
        cache: bool = false,
        /// Whether only the logits of a sequence's last token are computed, `[batch, 1, vocabulary_size]`: for generating. Such a network
        /// cannot be saved whole, its weights can. Default: `false`.
        last_token: bool = false,
        /// A safetensors file with the value of every parameter, by this network's names or by those of Hugging Face's GPT-2 (`wte.weight`,
        /// `h.0.attn.c_attn.weight`, …, with or without `transformer.` before them). Default: none, and parameters are drawn at random.
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
        let mut network = network.named("gpt2").seed(self.seed).dtype(self.dtype).build()?;
        if let Some(path) = &self.weights {
            let limits = Limits::default();
            let bytes = read_file(path.as_ref(), limits.max_file_bytes)?;
            let file = Tensors::read(&bytes, path, &limits)?;
            match file.entries.keys().any(|name| bare(name) == "wte.weight") {
                true => {
                    let tensors = safetensors::all(&file, path)?;
                    let values = self.renamed(tensors).at(|| path.as_str())?;
                    set_all(&mut network, values).at(|| path.as_str())?;
                }
                false => network.set_from_file(path, file)?,
            }
        }
        Ok(network)
    }

    /// The parameters of this network out of tensors with Hugging Face's names. There a block's queries, keys and values are one matrix, and
    /// masks and a second copy of the table may stand beside the parameters.
    fn renamed(&self, file: Vec<(String, Tensor)>) -> Result<Vec<(String, Tensor)>> {
        let (n, heads, each) = (self.hidden_dim, self.num_heads, self.hidden_dim / self.num_heads.max(1));
        let mut out = Vec::new();
        let find =
            |wanted: &str| file.iter().find(|(name, _)| bare(name) == wanted).map(|(_, tensor)| tensor);
        if let (Some(head), Some(table)) = (find("lm_head.weight"), find("wte.weight"))
            && !head.same_bits(table)
        {
            let why =
                "tensor 'lm_head.weight' differs from 'wte.weight': this network has one table for both";
            return Err(Error::format("GPT2", why));
        }
        for (name, tensor) in file {
            let name = bare(&name);
            if let Some(path) = ours(&AROUND, name) {
                out.push((path.to_string(), tensor.cast(self.dtype)?));
                continue;
            }
            // The table of tokens again.
            if name == "lm_head.weight" {
                continue;
            }
            let block = name.strip_prefix("h.").and_then(|rest| rest.split_once('.'));
            let (block, part) = block.ok_or_else(|| foreign(name))?;
            // Causal masks are no parameters.
            if matches!(part, "attn.bias" | "attn.masked_bias") {
                continue;
            }
            let tensor = tensor.cast(self.dtype)?;
            let shaped = |dims: &[usize]| match tensor.dims() == dims {
                true => Ok(()),
                false => {
                    let why = format!("tensor '{name}' should be {dims:?} and is {}", tensor.shape());
                    Err(Error::format("GPT2", why))
                }
            };
            let mut put =
                |path: &str, tensor: Tensor| out.push((format!("transformer_layer_{block}/{path}"), tensor));
            match part {
                "attn.c_attn.weight" | "attn.c_attn.bias" => {
                    let (kind, shape) = match part {
                        "attn.c_attn.bias" => ("bias", vec![heads as isize, each as isize]),
                        _ => ("kernel", vec![n as isize, heads as isize, each as isize]),
                    };
                    let whole = [n, 3 * n];
                    shaped(if kind == "bias" { &whole[1..] } else { &whole })?;
                    for (i, which) in ["query", "key", "value"].into_iter().enumerate() {
                        let (from, to) = ((i * n) as isize, ((i + 1) * n) as isize);
                        let third = tensor.slice(-1, from, to)?.reshape(&shape[..])?;
                        put(&format!("self_attention/{which}_dense/{kind}"), third);
                    }
                }
                "attn.c_proj.weight" => {
                    shaped(&[n, n])?;
                    let kernel = tensor.reshape([heads as isize, each as isize, n as isize])?;
                    put("self_attention/output_dense/kernel", kernel);
                }
                _ => put(ours(&PARTS, part).ok_or_else(|| foreign(name))?, tensor),
            }
        }
        Ok(out)
    }
}

/// What stands around the blocks: Hugging Face's name and this network's.
const AROUND: [(&str, &str); 4] = [
    ("wte.weight", "token_embedding/embeddings"),
    ("wpe.weight", "position_embedding/embeddings"),
    ("ln_f.weight", "layer_norm/gamma"),
    ("ln_f.bias", "layer_norm/beta"),
];

/// What of a block is the same but for its name: Hugging Face's and this network's.
const PARTS: [(&str, &str); 9] = [
    ("attn.c_proj.bias", "self_attention/output_dense/bias"),
    ("ln_1.weight", "self_attention_layer_norm/gamma"),
    ("ln_1.bias", "self_attention_layer_norm/beta"),
    ("ln_2.weight", "feedforward_layer_norm/gamma"),
    ("ln_2.bias", "feedforward_layer_norm/beta"),
    ("mlp.c_fc.weight", "feedforward_intermediate_dense/kernel"),
    ("mlp.c_fc.bias", "feedforward_intermediate_dense/bias"),
    ("mlp.c_proj.weight", "feedforward_output_dense/kernel"),
    ("mlp.c_proj.bias", "feedforward_output_dense/bias"),
];

fn ours(names: &[(&str, &'static str)], theirs: &str) -> Option<&'static str> {
    names.iter().find(|(name, _)| *name == theirs).map(|(_, ours)| *ours)
}

fn foreign(name: &str) -> Error {
    Error::format("GPT2", format!("tensor '{name}' is none of Hugging Face's GPT-2"))
}

/// Sets every parameter, or none if one is missing.
fn set_all(network: &mut Network, values: Vec<(String, Tensor)>) -> Result<()> {
    let missing =
        network.params().into_iter().find(|(path, _)| !values.iter().any(|(given, _)| given == path));
    match missing {
        Some((path, _)) => Err(Error::format("GPT2", format!("there is nothing for the parameter '{path}'"))),
        None => network.set_params(&values),
    }
}

/// A name without what stands before it in files of whole models.
fn bare(name: &str) -> &str {
    name.strip_prefix("transformer.").unwrap_or(name)
}
