//! The layers, a file each. A new one is its file and a row here.

pub use super::input::Input;
use super::{Build, topology_config};
use crate::config::kind;

kind! {
    dyn Build, "layer", Registry::layer;
    mod dense: Dense;
    mod embedding: Embedding;
    mod activation: Activation;
    mod dropout: Dropout;
    mod flatten: Flatten;
    mod reshape: Reshape;
    mod masking: Masking;
    mod add: Add;
    mod concatenate: Concatenate;
    mod checkpoint: Checkpoint;
    mod attention: Attention, AdditiveAttention with ScoreMode;
    mod multi_head_attention: MultiHeadAttention;
    mod group_query_attention: GroupQueryAttention;
    mod einsum_dense: EinsumDense;
    mod reversible_embedding: ReversibleEmbedding;
    mod sine_position_encoding: SinePositionEncoding;
    mod position_embedding: PositionEmbedding;
    mod rotary_embedding: RotaryEmbedding;
    mod transformer_encoder: TransformerEncoder;
    mod transformer_decoder: TransformerDecoder;
    use Input;
    also "Sequential": topology_config::sequential, "Functional": topology_config::functional;
}

mod cache;
mod heads;
mod merge;
mod positions;
mod transformer;
