"""Positions and transformer blocks, which Keras has in keras-hub 0.32.0. A position to begin with is a number without a batch, which no input of
a network is; tests of the layers have it."""

from kit import *

x, wide, long = some(1, 2, 5, 6), some(2, 2, 3, 5, 4), some(3, 1, 9, 4)
heads = some(4, 2, 5, 3, 4)

# SinePositionEncoding
SINE = "SinePositionEncoding"
case(SINE, {}, [x])
case(SINE, dict(max_wavelength=50.0), [wide])

# PositionEmbedding
POSITION = "PositionEmbedding"
case(POSITION, dict(sequence_length=5), [x])
case(POSITION, dict(sequence_length=9), [wide])

# RotaryEmbedding
ROTARY = "RotaryEmbedding"
case(ROTARY, {}, [x])
case(ROTARY, dict(max_wavelength=100, scaling_factor=2.0), [heads])
case(ROTARY, dict(sequence_axis=2, feature_axis=1), [some(6, 2, 4, 5)])
case(ROTARY, dict(sequence_axis=3, feature_axis=-2), [some(7, 2, 3, 4, 5)])

# TransformerEncoder
ENCODER = "TransformerEncoder"
mask = bools([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]])
square = bools([[[1, 1, 0, 0, 1], [0, 1, 1, 1, 0], [1, 0, 1, 0, 1], [1, 1, 1, 1, 1], [0, 0, 0, 0, 1]]] * 2)
scores = dict(return_attention_scores=True)
case(ENCODER, dict(intermediate_dim=4, num_heads=2), [x])
case(ENCODER, dict(intermediate_dim=3, num_heads=3, activation="gelu", layer_norm_epsilon=1e-3), [x], call=scores)
case(ENCODER, dict(intermediate_dim=4, num_heads=2, normalize_first=True, dropout=0.3), [x], named=dict(padding_mask=mask), call=scores)
case(ENCODER, dict(intermediate_dim=4, num_heads=1), [x], named=dict(attention_mask=square), call=scores)
case(ENCODER, dict(intermediate_dim=4, num_heads=2), [x], named=dict(padding_mask=mask, attention_mask=square), call=scores)
case(ENCODER, dict(intermediate_dim=4, num_heads=2, kernel_initializer="he_normal", bias_initializer="ones"), [x], named=dict(attention_mask=square), call=scores)

# TransformerDecoder
DECODER = "TransformerDecoder"
encoded, seen = some(8, 2, 4, 6), bools([[1, 1, 0, 0], [1, 1, 1, 1]])
across = bools([[[1, 1, 0, 1], [0, 1, 1, 0], [1, 1, 1, 1], [1, 0, 0, 0], [0, 0, 1, 1]]] * 2)
case(DECODER, dict(intermediate_dim=4, num_heads=2), [x])
case(DECODER, dict(intermediate_dim=4, num_heads=3, activation="tanh", dropout=0.2), [x], call=dict(use_causal_mask=False))
case(DECODER, dict(intermediate_dim=4, num_heads=2, normalize_first=True), [x], named=dict(decoder_padding_mask=mask))
case(DECODER, dict(intermediate_dim=4, num_heads=2), [x], named=dict(decoder_attention_mask=square))
case(DECODER, dict(intermediate_dim=4, num_heads=2), [x, encoded])
case(DECODER, dict(intermediate_dim=4, num_heads=2, normalize_first=True, layer_norm_epsilon=1e-3), [x, encoded], named=dict(encoder_padding_mask=seen))
case(DECODER, dict(intermediate_dim=4, num_heads=2), [x, encoded], named=dict(encoder_attention_mask=across, decoder_padding_mask=mask))
