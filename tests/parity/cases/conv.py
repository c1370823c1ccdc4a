"""Convolutions, their transposes, depthwise and separable ones, and convolutional LSTMs."""

from kit import *


def penalty(name, **config):
    return Of(keras.regularizers, name, **config)


def bound(name, **config):
    return Of(keras.constraints, name, **config)


# One axis.
case("Conv1D", dict(filters=3, kernel_size=2), [some(1, 2, 5, 3)])
case("Conv1D", dict(filters=2, kernel_size=3, padding="causal"), [some(2, 2, 6, 2)])
case("Conv1D", dict(filters=2, kernel_size=3, padding="causal", dilation_rate=2), [some(3, 1, 7, 2)])
case("Conv1D", dict(filters=2, kernel_size=2, padding="causal", strides=3, activation="relu"), [some(4, 2, 7, 3)])
case("Conv1D", dict(filters=4, kernel_size=3, strides=2, padding="same", groups=2, activation="tanh"), [some(5, 2, 7, 6)])
case("Conv1D", dict(filters=2, kernel_size=4, padding="same", use_bias=False), [some(6, 3, 5, 2)])
case("Conv1D", dict(filters=3, kernel_size=2, data_format="channels_first", activation="softmax"), [some(7, 2, 3, 5)])
case("Conv1D", dict(filters=2, kernel_size=3, padding="causal", data_format="channels_first"), [some(8, 2, 3, 5)])
case("Conv1D", dict(filters=3, kernel_size=1, strides=2), [some(9, 2, 5, 2)])
case("Conv1D", dict(filters=2, kernel_size=3, dilation_rate=3, padding="same"), [some(10, 2, 4, 2)])
case("Conv1D", dict(filters=2, kernel_size=2, kernel_regularizer=penalty("L2", l2=0.1), bias_regularizer=penalty("L1", l1=0.2),
                    activity_regularizer=penalty("L2", l2=0.3)), [some(11, 3, 4, 2)])

# Images.
case("Conv2D", dict(filters=2, kernel_size=3), [some(20, 2, 5, 4, 2)])
case("Conv2D", dict(filters=3, kernel_size=[2, 3], strides=[2, 1], padding="same", activation="sigmoid"), [some(21, 2, 5, 4, 2)])
case("Conv2D", dict(filters=2, kernel_size=2, dilation_rate=[2, 1]), [some(22, 1, 5, 4, 3)])
case("Conv2D", dict(filters=4, kernel_size=2, groups=2), [some(23, 2, 3, 4, 4)])
case("Conv2D", dict(filters=6, kernel_size=[1, 2], groups=3, use_bias=False, padding="same"), [some(24, 2, 3, 3, 3)])
case("Conv2D", dict(filters=2, kernel_size=[3, 2], data_format="channels_first", padding="same", strides=2), [some(25, 2, 3, 5, 4)])
case("Conv2D", dict(filters=2, kernel_size=2, activation="softmax"), [some(26, 2, 3, 3, 2)])
case("Conv2D", dict(filters=2, kernel_size=2, activation="gelu", data_format="channels_first"), [some(27, 2, 2, 3, 3)])
case("Conv2D", dict(filters=2, kernel_size=2, strides=3, padding="same"), [some(28, 2, 7, 5, 1)])
case("Conv2D", dict(filters=1, kernel_size=4, padding="same"), [some(29, 1, 3, 2, 2)])
case("Conv2D", dict(filters=2, kernel_size=2, kernel_constraint=bound("MaxNorm", max_value=0.5), bias_constraint=bound("NonNeg"),
                    kernel_initializer="he_normal", bias_initializer="ones"), [some(30, 2, 3, 3, 2)])

# Volumes.
case("Conv3D", dict(filters=2, kernel_size=2), [some(40, 1, 3, 4, 3, 2)])
case("Conv3D", dict(filters=2, kernel_size=[1, 2, 3], strides=[1, 2, 1], padding="same", activation="relu"), [some(41, 2, 2, 3, 4, 2)])
case("Conv3D", dict(filters=2, kernel_size=2, dilation_rate=[1, 1, 2], data_format="channels_first"), [some(42, 1, 2, 2, 3, 4)])
case("Conv3D", dict(filters=4, kernel_size=[2, 1, 1], groups=2, use_bias=False), [some(43, 2, 2, 2, 2, 4)])

# Transposes.
case("Conv1DTranspose", dict(filters=2, kernel_size=3), [some(50, 2, 4, 3)])
case("Conv1DTranspose", dict(filters=2, kernel_size=3, strides=2, padding="same", activation="tanh"), [some(51, 2, 4, 3)])
case("Conv1DTranspose", dict(filters=2, kernel_size=2, strides=3), [some(52, 2, 4, 2)])
case("Conv1DTranspose", dict(filters=2, kernel_size=4, strides=3, output_padding=2), [some(53, 2, 3, 2)])
case("Conv1DTranspose", dict(filters=2, kernel_size=3, strides=3, output_padding=1, padding="same"), [some(54, 2, 3, 2)])
case("Conv1DTranspose", dict(filters=2, kernel_size=3, dilation_rate=2, padding="same", data_format="channels_first"), [some(55, 2, 3, 4)])
case("Conv1DTranspose", dict(filters=3, kernel_size=1, strides=2, padding="same", use_bias=False), [some(56, 2, 3, 2)])
case("Conv2DTranspose", dict(filters=2, kernel_size=2), [some(57, 2, 3, 2, 2)])
case("Conv2DTranspose", dict(filters=3, kernel_size=[3, 2], strides=[2, 3], padding="same", activation="relu"), [some(58, 2, 2, 3, 2)])
case("Conv2DTranspose", dict(filters=2, kernel_size=[4, 3], strides=2, output_padding=[1, 0], padding="same"), [some(59, 1, 3, 2, 2)])
case("Conv2DTranspose", dict(filters=2, kernel_size=3, dilation_rate=[1, 2], activation="softmax"), [some(60, 1, 3, 2, 2)])
case("Conv2DTranspose", dict(filters=2, kernel_size=2, strides=2, data_format="channels_first", activity_regularizer=penalty("L1", l1=0.1),
                             kernel_regularizer=penalty("L2", l2=0.2), bias_regularizer=penalty("L2", l2=0.3)), [some(61, 2, 3, 2, 2)])
case("Conv3DTranspose", dict(filters=2, kernel_size=2, strides=[1, 2, 1]), [some(62, 1, 2, 2, 3, 2)])
case("Conv3DTranspose", dict(filters=1, kernel_size=[1, 2, 3], strides=2, padding="same", output_padding=1), [some(63, 1, 2, 2, 2, 2)])
case("Conv3DTranspose", dict(filters=2, kernel_size=2, data_format="channels_first", use_bias=False), [some(64, 1, 2, 2, 1, 2)])

# Each channel by itself.
case("DepthwiseConv1D", dict(kernel_size=3), [some(70, 2, 5, 3)])
case("DepthwiseConv1D", dict(kernel_size=2, depth_multiplier=2, strides=2, padding="same", activation="tanh"), [some(71, 2, 5, 3)])
case("DepthwiseConv1D", dict(kernel_size=2, dilation_rate=2, strides=2, data_format="channels_first"), [some(72, 2, 3, 6)])
case("DepthwiseConv2D", dict(kernel_size=2), [some(73, 2, 4, 3, 2)])
case("DepthwiseConv2D", dict(kernel_size=[3, 2], depth_multiplier=3, padding="same", use_bias=False), [some(74, 2, 3, 4, 2)])
case("DepthwiseConv2D", dict(kernel_size=2, strides=2, dilation_rate=[1, 2], activation="softmax"), [some(75, 2, 5, 4, 2)])
case("DepthwiseConv2D", dict(kernel_size=2, depth_multiplier=2, data_format="channels_first", activation="relu",
                             depthwise_regularizer=penalty("L2", l2=0.1), bias_regularizer=penalty("L1", l1=0.1),
                             activity_regularizer=penalty("L2", l2=0.1)), [some(76, 2, 2, 3, 4)])

# In two steps.
case("SeparableConv1D", dict(filters=2, kernel_size=3), [some(80, 2, 5, 3)])
case("SeparableConv1D", dict(filters=3, kernel_size=2, depth_multiplier=2, strides=2, padding="same", activation="tanh"), [some(81, 2, 5, 2)])
case("SeparableConv1D", dict(filters=2, kernel_size=2, dilation_rate=2, data_format="channels_first", use_bias=False), [some(82, 2, 3, 5)])
case("SeparableConv2D", dict(filters=2, kernel_size=2), [some(83, 2, 4, 3, 2)])
case("SeparableConv2D", dict(filters=3, kernel_size=[2, 3], depth_multiplier=2, padding="same", strides=2, activation="softmax"), [some(84, 2, 4, 3, 2)])
case("SeparableConv2D", dict(filters=2, kernel_size=2, data_format="channels_first", activation="relu", depthwise_regularizer=penalty("L2", l2=0.1),
                             pointwise_regularizer=penalty("L1", l1=0.1), bias_regularizer=penalty("L2", l2=0.2),
                             activity_regularizer=penalty("L1", l1=0.2)), [some(85, 2, 2, 4, 3)])
case("SeparableConv2D", dict(filters=2, kernel_size=2, dilation_rate=[2, 1], padding="same"), [some(86, 2, 3, 3, 2)])

# Over time. (Keras on JAX cannot mask these: it broadcasts the mask along the last axes.)
case("ConvLSTM1D", dict(filters=2, kernel_size=2), [some(100, 2, 3, 4, 2)])
case("ConvLSTM1D", dict(filters=2, kernel_size=3, padding="same", return_sequences=True), [some(101, 2, 3, 4, 1)])
case("ConvLSTM1D", dict(filters=2, kernel_size=2, strides=2, return_state=True, go_backwards=True, use_bias=False), [some(102, 2, 3, 5, 2)])
case("ConvLSTM1D", dict(filters=2, kernel_size=2, padding="same", return_state=True, activation="relu", recurrent_activation="hard_sigmoid"), [some(103, 2, 3, 3, 2)],
     named=dict(initial_state=[some(104, 2, 3, 2), some(105, 2, 3, 2)]))
case("ConvLSTM1D", dict(filters=2, kernel_size=2, data_format="channels_first", return_sequences=True, return_state=True), [some(106, 2, 3, 2, 4)],
     named=dict(initial_state=[some(107, 2, 2, 3), some(108, 2, 2, 3)]))
case("ConvLSTM2D", dict(filters=2, kernel_size=2), [some(110, 2, 2, 3, 3, 1)])
case("ConvLSTM2D", dict(filters=1, kernel_size=[1, 2], padding="same", return_sequences=True, go_backwards=True), [some(111, 2, 3, 2, 3, 2)])
case("ConvLSTM2D", dict(filters=2, kernel_size=2, dilation_rate=[1, 2], return_state=True, kernel_regularizer=penalty("L2", l2=0.1),
                        recurrent_regularizer=penalty("L1", l1=0.1), bias_regularizer=penalty("L2", l2=0.2)), [some(112, 1, 2, 3, 4, 1)])
case("ConvLSTM2D", dict(filters=1, kernel_size=2, data_format="channels_first", dropout=0.3, recurrent_dropout=0.3), [some(113, 2, 2, 2, 3, 3)])
case("ConvLSTM2D", dict(filters=1, kernel_size=2, padding="same", activity_regularizer=penalty("L2", l2=0.1), unit_forget_bias=False), [some(114, 2, 2, 2, 3, 1)])
case("ConvLSTM3D", dict(filters=1, kernel_size=[1, 2, 1], return_sequences=True), [some(115, 1, 2, 2, 2, 2, 2)])
