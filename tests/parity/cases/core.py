"""Merging, core and reshaping layers, activations as layers and as names, and what else has a name."""

from keras.src.activations import ALL_OBJECTS_DICT as NAMES
from kit import *

M = bools([[1, 1, 0], [1, 0, 0]])
N = bools([[1, 0, 1], [0, 0, 1]])

# Merging: ranks, sizes of 1, masks.
for i, name in enumerate(["Add", "Multiply", "Average", "Maximum", "Minimum"]):
    case(name, {}, [some(10 + i, 2, 3, 4), some(20 + i, 2, 3, 4), some(30 + i, 2, 3, 1)])
    case(name, {}, [some(40 + i, 2, 3, 4), some(50 + i, 2, 4)])
    case(name, {}, [some(60 + i, 2, 3, 4), some(70 + i, 2, 3, 4)], masks=[M, N])
    case(name, {}, [some(80 + i, 2, 3, 4), some(90 + i, 2, 3, 4)], masks=[M, None])
case("Maximum", {}, [some(100, 2, 3, 4), some(101, 2, 3, 4), some(102, 2, 3, 4)], masks=[M, N, bools([[0, 0, 1], [0, 1, 0]])])
case("Subtract", {}, [some(104, 2, 3, 4), some(105, 2, 1, 4)])
case("Subtract", {}, [some(106, 2, 3), some(107, 2, 5, 3)])
case("Subtract", {}, [some(108, 2, 3, 4), some(109, 2, 3, 4)], masks=[M, N])
case("Concatenate", {}, [some(110, 2, 3), some(111, 2, 4), some(112, 2, 1)])
case("Concatenate", dict(axis=-2), [some(113, 2, 3, 4), some(114, 2, 2, 4)])
case("Concatenate", {}, [some(115, 2, 3, 4), some(116, 2, 3, 2)], masks=[M, N])
case("Dot", dict(axes=1), [some(120, 3, 4), some(121, 3, 4)])
case("Dot", dict(axes=-1), [some(122, 2, 3, 4), some(123, 2, 5, 4)])
case("Dot", dict(axes=[1, 2]), [some(124, 2, 3, 5), some(125, 2, 4, 3)])
case("Dot", dict(axes=[2, -1]), [some(126, 2, 3, 4), some(127, 2, 4)])
case("Dot", dict(axes=1), [some(128, 2, 4), some(129, 2, 4, 3)])
case("Dot", dict(axes=[3, 1], normalize=True), [some(130, 2, 3, 2, 4), some(131, 2, 4, 3, 2)])
case("Dot", dict(axes=1, normalize=True), [some(132, 3, 4), some(133, 3, 4)])

# Core and reshaping.
case("Identity", {}, [some(140, 2, 3, 4)], masks=[M])
case("Permute", dict(dims=[3, 1, 2]), [some(141, 2, 3, 4, 2)])
case("RepeatVector", dict(n=3), [some(142, 2, 4)])
case("Reshape", dict(target_shape=[6, -1]), [some(143, 2, 3, 4)])
case("Reshape", dict(target_shape=[]), [some(144, 3, 1)])
case("Reshape", dict(target_shape=[2, 2, 1]), [some(145, 3, 4)])
case("Flatten", {}, [some(146, 2, 3, 4)])
case("Flatten", dict(data_format="channels_first"), [some(147, 2, 3, 2, 2)])
case("Flatten", {}, [some(148, 3)])
case("Masking", dict(mask_value=0.5), [np.where(np.repeat(M[:, :, None], 4, 2), some(149, 2, 3, 4), 0.5)])
case("Masking", {}, [np.where(np.repeat(N[:, :, None], 4, 2), some(150, 2, 3, 4), 0.0)])
case("Embedding", dict(input_dim=5, output_dim=3, embeddings_regularizer="l2"), [whole(151, 5, 2, 3)])
case("Embedding", dict(input_dim=5, output_dim=2, mask_zero=True, activity_regularizer=Of(keras.regularizers, "L2", l2=0.3)), [whole(152, 5, 4)])
case("Dense", dict(units=3, activation="gelu", kernel_initializer="he_normal", bias_initializer="ones", kernel_regularizer="l1",
                   bias_regularizer="l1l2", kernel_constraint="max_norm", bias_constraint="non_neg"), [some(153, 2, 4)])
case("Dense", dict(units=2, kernel_regularizer=Of(keras.regularizers, "L1L2", l1=0.2, l2=0.1), activation=None,
                   kernel_constraint=Of(keras.constraints, "MaxNorm", max_value=3, axis=0)), [some(154, 2, 4)])
case("Dense", dict(units=2, kernel_initializer="uniform", bias_initializer=Of(keras.initializers, "Constant", value=0.5)), [some(155, 2, 4)])

# Activations as layers.
wide = some(160, 3, 7, low=-3, high=3)
case("ReLU", {}, [wide], masks=None)
case("ReLU", dict(max_value=6.0), [some(161, 3, 7, low=-3, high=9)])
case("ReLU", dict(negative_slope=0.1), [wide])
case("ReLU", dict(threshold=0.7), [wide])
case("ReLU", dict(max_value=1.5, negative_slope=0.2, threshold=0.4), [wide])
case("LeakyReLU", {}, [wide])
case("LeakyReLU", dict(negative_slope=0.05), [some(162, 2, 3, 4)], masks=[M])
case("ELU", {}, [wide])
case("ELU", dict(alpha=0.3), [wide])
case("PReLU", {}, [wide])
case("PReLU", dict(shared_axes=[1], alpha_initializer="ones", alpha_regularizer="l2"), [some(163, 2, 3, 4)], masks=[M])
case("PReLU", dict(shared_axes=[1, 2]), [some(164, 2, 3, 2, 4)])
case("PReLU", dict(shared_axes=2, alpha_constraint="non_neg"), [some(165, 2, 3, 4)])
case("Softmax", {}, [some(166, 2, 3, 4)])
case("Softmax", dict(axis=1), [some(167, 2, 3, 4)])
case("Softmax", dict(axis=[1, 2]), [some(168, 2, 3, 4)])
case("Softmax", dict(axis=[-1]), [some(169, 2, 3, 4)])
case("Softmax", {}, [some(170, 2, 3)], masks=[M])
case("Softmax", {}, [some(171, 2, 3)], named=dict(mask=bools([[1, 0, 1], [0, 0, 0]])))
case("Softmax", dict(axis=[1, 2]), [some(172, 2, 3, 4)], named=dict(mask=bools([[[1, 0, 1, 1]], [[0, 0, 1, 0]]])))
case("Softmax", {}, [some(173, 2, 3)], named=dict(mask=some(174, 2, 3, low=0)))

# Every activation that has a name.
for i, name in enumerate(sorted(n for n in NAMES if n not in ("threshold", "sparsemax"))):
    case("Activation", dict(activation=name), [some(200 + i, 2, 6, low=-3, high=3)], masks=None)
# Keras sums cumulated sums, so that its result adds up to 1 only if one number is above 0: here it is.
case("Activation", dict(activation="sparsemax"), [np.asarray([[2.5, 0.5, 1.0], [-1.0, -3.0, 0.75]])])
case("Activation", dict(activation="tanh"), [some(250, 2, 3, 4)], masks=[M])
