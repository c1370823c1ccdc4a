"""Masks that are given by name, that reach attention over other axes, and that statistics inside of `TimeDistributed` obey."""

from kit import *

# Recurrent layers and what wraps them.
MASK = bools([[1, 1, 0, 1, 0], [0, 1, 1, 1, 1], [1, 0, 0, 0, 0]])
X = some(11, 3, 5, 2)
SEQ = dict(return_sequences=True, return_state=True)
for layer in ("SimpleRNN", "LSTM", "GRU"):
    case(layer, dict(units=3, **SEQ), [X], named={"mask": MASK})
case("RNN", dict(cell=L("GRUCell", units=3), go_backwards=True), [X], named={"mask": MASK})
case("Bidirectional", dict(layer=L("LSTM", units=2, return_sequences=True)), [X], named={"mask": MASK})
case("TimeDistributed", dict(layer=L("Dense", units=3)), [X], named={"mask": MASK})
case("TimeDistributed", dict(layer=L("BatchNormalization", momentum=0.5)), [X], masks=[MASK], training=True)
case("TimeDistributed", dict(layer=L("BatchNormalization", momentum=0.5, scale=False)), [X], named={"mask": MASK}, training=True)

# Statistics and means.
case("BatchNormalization", dict(momentum=0.6), [some(12, 2, 3, 4)], named={"mask": bools([[1, 1, 0], [1, 0, 0]])}, training=True)
case("GlobalAveragePooling1D", {}, [some(13, 2, 4, 3)], named={"mask": bools([[1, 1, 0, 1], [0, 0, 1, 0]])})

# Attention. A query that sees nothing is not here (docs/keras.md).
q, v, k = some(1, 2, 4, 3), some(2, 2, 5, 3), some(3, 2, 5, 3)
scores = dict(return_attention_scores=True)
of_query, of_value = bools([[1, 1, 0, 0], [1, 1, 1, 0]]), bools([[1, 1, 1, 0, 0], [1, 0, 1, 1, 1]])
MHA, GQA = "MultiHeadAttention", "GroupQueryAttention"
case("Attention", {}, [q, v], named=dict(mask=[of_query, of_value]))
case("AdditiveAttention", {}, [q, v, k], named=dict(mask=[of_query, of_value]))
case(MHA, dict(num_heads=2, key_dim=2), [q, v], named=dict(value_mask=of_value), call=scores)
case(MHA, dict(num_heads=2, key_dim=2), [q, v, k], named=dict(value_mask=of_value, key_mask=bools([[1, 1, 1, 1, 0], [1, 1, 0, 1, 1]])), call=scores)
case(GQA, dict(head_dim=2, num_query_heads=2, num_key_value_heads=1), [q, v], named=dict(query_mask=of_query, value_mask=of_value), call=scores)
images, others = some(7, 1, 2, 3, 4), some(8, 1, 2, 3, 4)
case(MHA, dict(num_heads=2, key_dim=2, attention_axes=[2]), [images, others], masks=[None, bools([[[1, 0, 1], [0, 1, 1]]])], call=scores)
case(MHA, dict(num_heads=2, key_dim=2, attention_axes=1), [images, others], masks=[None, bools([[1, 0]])], call=scores)
case(MHA, dict(num_heads=2, key_dim=2, output_shape=[]), [q, v], call=scores)
