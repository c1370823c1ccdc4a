//! A vision transformer (Dosovitskiy et al. 2020), by default a small one: patches of an image as a sequence.

use super::classifier::classifier;
use crate::nn::activation::Gelu;
use crate::nn::initializer::TruncatedNormal;
use crate::nn::layers::{Add, Conv2D, LayerNormalization, PositionEmbedding, Reshape, TransformerEncoder};
use crate::nn::{Build as _, Symbol};
use crate::{Error, Result};

/// Patches as vectors, with their positions, through blocks that see all of them: features `[batch, rows, columns, hidden_dim]`.
fn trunk(me: &VisionTransformer, x: &Symbol) -> Result<Symbol> {
    let dims = x.spec()?.shape;
    let (height, width, patch, n) = (dims.dims()[1], dims.dims()[2], me.patch_size, me.hidden_dim);
    let whole = |size: usize| !crate::shape::is_unknown(size) && patch > 0 && size.is_multiple_of(patch);
    if !whole(height) || !whole(width) {
        let expected = "a height and width, given by input_shape, that patch_size divides";
        let got = format!("patch_size {patch} for images of {}", dims);
        return Err(Error::argument("input_shape", expected, got));
    }
    let (rows, columns) = (height / patch, width / patch);
    let patches = Conv2D::new(n, patch).strides(patch).named("patch_embedding").on(x)?;
    let sequence = Reshape::new([(rows * columns) as isize, n as isize]).named("patches").on(&patches)?;
    let positions = PositionEmbedding::new(rows * columns).initializer(TruncatedNormal::new(0.0, 0.02));
    let positions = positions.named("position_embedding").on(&sequence)?;
    let mut x = Add::new().named("embeddings_add").on([&sequence, &positions])?;
    for i in 0..me.num_layers {
        let block = TransformerEncoder::new(me.intermediate_dim, me.num_heads)
            .activation(Gelu)
            .dropout(me.dropout)
            .layer_norm_epsilon(1e-6)
            .normalize_first(true)
            .kernel_initializer(TruncatedNormal::new(0.0, 0.02));
        x = block.named(&format!("transformer_layer_{i}")).on(&x)?;
    }
    let x = LayerNormalization::new().epsilon(1e-6).named("layer_norm").on(&x)?;
    Reshape::new([rows as isize, columns as isize, n as isize]).named("features").on(&x)
}

classifier! {
    /// A vision transformer whose classes are read from the mean over patches, for images of 224 by 224; by default the small one (ViT-S/16).
    VisionTransformer, named "vision_transformer", images of 224, at least 1, pixels Signed;
    {
        /// The side of a patch. Default: `16`.
        patch_size: usize = 16,
        /// How many blocks. Default: `12`.
        num_layers: usize = 12,
        /// How many heads each block has. Default: `6`.
        num_heads: usize = 6,
        /// The length of vectors. Default: `384`.
        hidden_dim: usize = 384,
        /// The units between the two dense layers of a block. Default: `1536`.
        intermediate_dim: usize = 1536,
        /// Dropout rate. Default: `0`.
        dropout: f64 = 0.0,
    }
    trunk trunk
}
