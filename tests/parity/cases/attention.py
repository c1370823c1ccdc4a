"""Attention, and the dense layer over any axes that its projections are.

Without scores, attention over [batch, time, features] is computed in float32 inside Keras, and the case marked so. Keras's
MultiHeadAttention takes the query's mask from the tensor alone, which cases do not have. A query that sees nothing is only here where Keras
gives zeros (docs/keras.md).
"""

from kit import *

q, v, k = some(1, 2, 4, 3), some(2, 2, 5, 3), some(3, 2, 5, 3)
wide = some(4, 2, 5, 2)
scores = dict(return_attention_scores=True)
causal = dict(use_causal_mask=True)
both = dict(return_attention_scores=True, use_causal_mask=True)
of_query, of_value = bools([[1, 1, 0, 0], [1, 1, 1, 0]]), bools([[1, 1, 1, 0, 0], [1, 0, 1, 1, 1]])

# Attention
case("Attention", {}, [q, v])
case("Attention", {}, [q, v, k])
case("Attention", {}, [q, wide, k], call=scores)
case("Attention", dict(use_scale=True), [q, v, k])
case("Attention", dict(use_scale=True), [q, v], call=both)
case("Attention", dict(score_mode="concat"), [q, v, k])
case("Attention", dict(score_mode="concat", use_scale=True), [q, v, k], call=scores)
case("Attention", dict(dropout=0.4), [q, v])
case("Attention", {}, [q, v], call=causal)
case("Attention", {}, [q, v], masks=[None, of_value])
case("Attention", {}, [q, v], masks=[of_query, of_value])
case("Attention", {}, [q, v, k], masks=[of_query, of_value, None], call=both)
case("Attention", dict(score_mode="concat"), [q, v], masks=[of_query, None], call=causal)
case("Attention", {}, [some(5, 2, 2, 4, 3), some(6, 2, 2, 5, 3)])

# AdditiveAttention
case("AdditiveAttention", {}, [q, v])
case("AdditiveAttention", {}, [q, wide, k], call=scores)
case("AdditiveAttention", dict(use_scale=False), [q, v, k])
case("AdditiveAttention", dict(dropout=0.3), [q, v], masks=[of_query, of_value], call=both)

# MultiHeadAttention
MHA = "MultiHeadAttention"
case(MHA, dict(num_heads=2, key_dim=3), [q, v])
case(MHA, dict(num_heads=2, key_dim=3), [q, v], call=scores)
case(MHA, dict(num_heads=2, key_dim=3), [q, wide, k], call=scores)
case(MHA, dict(num_heads=3, key_dim=2, value_dim=4), [q, v, k], call=scores)
case(MHA, dict(num_heads=2, key_dim=2, use_bias=False, output_shape=5), [q, v], call=scores)
case(MHA, dict(num_heads=2, key_dim=2, output_shape=[2, 3]), [q, v], call=scores)
case(MHA, dict(num_heads=2, key_dim=2, dropout=0.2), [q, v])
case(MHA, dict(num_heads=2, key_dim=2, dropout=0.2), [q, q], call=causal)
case(MHA, dict(num_heads=2, key_dim=2), [q, q], call=both)
case(MHA, dict(num_heads=2, key_dim=2), [q, q], call=causal)
case(MHA, dict(num_heads=2, key_dim=2, sliding_window=2), [q, q], call=both)
case(MHA, dict(num_heads=2, key_dim=2, sliding_window=1), [q, v], call=scores)
case(MHA, dict(num_heads=2, key_dim=2, use_gate=True, value_dim=3), [q, v], call=scores)
case(MHA, dict(num_heads=1, key_dim=2), [q, v], masks=[None, of_value], call=scores)
case(MHA, dict(num_heads=1, key_dim=2), [q, v, k], masks=[None, of_value, bools([[1, 1, 1, 1, 0], [1, 1, 0, 1, 1]])], call=scores)
some_mask = bools([[[1, 0, 1, 1, 0], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1], [0, 1, 0, 0, 1]], [[1, 1, 1, 1, 1], [1, 0, 0, 0, 0], [0, 0, 0, 1, 0], [0, 1, 1, 0, 0]]])
case(MHA, dict(num_heads=2, key_dim=2), [q, v], named=dict(attention_mask=some_mask), call=scores)
case(MHA, dict(num_heads=2, key_dim=2), [q, v], named=dict(attention_mask=np.stack([some_mask, some_mask[:, ::-1]], 1)), call=scores)
case(MHA, dict(num_heads=2, key_dim=2), [q, v], named=dict(attention_mask=some_mask, key=k), masks=[None, of_value], call=both)
images, others = some(7, 1, 2, 3, 4), some(8, 1, 2, 3, 4)
case(MHA, dict(num_heads=2, key_dim=2), [images, others])
case(MHA, dict(num_heads=2, key_dim=2), [images, others], call=scores)
case(MHA, dict(num_heads=2, key_dim=2, attention_axes=[2]), [images, others], call=scores)
case(MHA, dict(num_heads=2, key_dim=2, attention_axes=2), [images, some(9, 1, 2, 5, 4)])
case(MHA, dict(num_heads=2, key_dim=2, attention_axes=-3, value_dim=3), [images, others], call=scores)
case(MHA, dict(num_heads=2, key_dim=2, attention_axes=[2, 1], output_shape=3), [images, others], call=scores)
L2, L1 = Of(keras.regularizers, "L2", l2=0.1), Of(keras.regularizers, "L1", l1=0.2)
case(MHA, dict(num_heads=2, key_dim=2, kernel_regularizer=L2, bias_regularizer=L1, activity_regularizer=L2), [q, v], call=scores)
case(MHA, dict(num_heads=2, key_dim=2, kernel_initializer="he_normal", bias_initializer="ones", kernel_constraint=Of(keras.constraints, "NonNeg"), bias_constraint=Of(keras.constraints, "NonNeg")), [q, v], call=scores)

# GroupQueryAttention
GQA = "GroupQueryAttention"
case(GQA, dict(head_dim=2, num_query_heads=4, num_key_value_heads=2), [q, v])
case(GQA, dict(head_dim=2, num_query_heads=4, num_key_value_heads=2), [q, v], call=scores)
case(GQA, dict(head_dim=3, num_query_heads=3, num_key_value_heads=1), [q, v, some(10, 2, 5, 2)], call=scores)
case(GQA, dict(head_dim=2, num_query_heads=4, num_key_value_heads=4, use_bias=False), [q, q], call=both)
case(GQA, dict(head_dim=2, num_query_heads=4, num_key_value_heads=2, dropout=0.3, sliding_window=2), [q, q], call=causal)
case(GQA, dict(head_dim=2, num_query_heads=2, num_key_value_heads=1, use_gate=True), [q, v], call=scores)
case(GQA, dict(head_dim=2, num_query_heads=4, num_key_value_heads=2), [q, v], masks=[of_query, of_value], call=scores)
case(GQA, dict(head_dim=2, num_query_heads=4, num_key_value_heads=2), [q, v], named=dict(attention_mask=some_mask), call=scores)
case(GQA, dict(head_dim=2, num_query_heads=2, num_key_value_heads=1, kernel_regularizer=L2, bias_regularizer=L1, activity_regularizer=L2), [q, v], call=scores)

# EinsumDense
ED = "EinsumDense"
case(ED, dict(equation="abc,cd->abd", output_shape=[None, 5], bias_axes="d"), [q])
case(ED, dict(equation="ab,bc->ac", output_shape=4), [some(11, 3, 2)])
case(ED, dict(equation="ab,bc->ac", output_shape=4, activation="tanh", bias_axes="c"), [some(12, 3, 2)])
case(ED, dict(equation="abc,bcd->ad", output_shape=3, bias_axes="d"), [q])
case(ED, dict(equation="abc,cde->abde", output_shape=[None, 2, 3], bias_axes="de"), [q])
case(ED, dict(equation="abc,cde->abde", output_shape=[None, 2, 3], bias_axes="d"), [q])
case(ED, dict(equation="abc,bd->adc", output_shape=[2, 3], bias_axes="dc"), [q])
case(ED, dict(equation="abc,bcd->abd", output_shape=[4, 2], bias_axes="bd"), [q])
case(ED, dict(equation="...x,xy->...y", output_shape=3, bias_axes="y"), [some(13, 2, 2, 2, 3)])
case(ED, dict(equation="...ab,bc->...ac", output_shape=[4, 2], bias_axes="c"), [q])
case(ED, dict(equation="ab...,bc->ac...", output_shape=2, bias_axes="c"), [some(14, 2, 3, 2, 2)])
case(ED, dict(equation="abc,cd->abd", output_shape=[4, 2], kernel_regularizer=L2, bias_regularizer=L1, activity_regularizer=L1, bias_axes="bd"), [q])
case(ED, dict(equation="abc,cd->abd", output_shape=[4, 2]), [q])

# ReversibleEmbedding
case("ReversibleEmbedding", dict(input_dim=7, output_dim=3), [whole(15, 7, 2, 4)])
case("ReversibleEmbedding", dict(input_dim=7, output_dim=3, tie_weights=False, embeddings_regularizer=L2, logit_soft_cap=2.0), [whole(16, 7, 2, 4)])
