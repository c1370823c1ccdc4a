"""The layers that everything else is built from."""

from kit import *

case("Dense", dict(units=3), [some(1, 4, 5)])
case("Dense", dict(units=2, activation="tanh", use_bias=False), [some(2, 2, 3, 4)])
case("Dense", dict(units=2, kernel_regularizer=Of(keras.regularizers, "L2", l2=0.1), activity_regularizer=Of(keras.regularizers, "L1", l1=0.2)), [some(3, 5, 4)])
case("Dense", dict(units=3), [some(4, 2, 3, 4)], masks=[bools([[1, 1, 0], [1, 0, 0]])])
case("Embedding", dict(input_dim=7, output_dim=3, mask_zero=True), [whole(5, 7, 2, 4)])
case("Concatenate", dict(axis=1), [some(6, 2, 3, 4), some(7, 2, 2, 4)], masks=[bools([[1, 1, 0], [1, 0, 0]]), None])
