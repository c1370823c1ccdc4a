"""Layers that normalize, and layers that draw noise while they draw none."""

from kit import *

two = some(1, 6, 3, low=-2, high=3)
three = some(2, 3, 4, 5)
image = some(3, 2, 3, 4, 4)
volume = some(4, 2, 2, 3, 2, 4)
steps = bools([[1, 1, 0, 0], [1, 0, 0, 0], [1, 1, 1, 1]])
L2 = Of(keras.regularizers, "L2", l2=0.3)
L1 = Of(keras.regularizers, "L1", l1=0.2)
TENTH = Of(keras.initializers, "Constant", value=0.1)

# Batch normalization: in training with gradients and moved statistics, and in inference.
for training in (True, False):
    case("BatchNormalization", dict(), [two], training=training)
    case("BatchNormalization", dict(momentum=0.7, epsilon=0.1), [three], training=training)
    case("BatchNormalization", dict(axis=1), [image], training=training)
    case("BatchNormalization", dict(axis=-2, center=False), [image], training=training)
    case("BatchNormalization", dict(scale=False), [volume], training=training)
    case("BatchNormalization", dict(center=False, scale=False, momentum=0.5), [image], training=training)
    case("BatchNormalization", dict(momentum=0.8), [three], training=training, masks=[steps])
    case("BatchNormalization", dict(renorm=True, renorm_momentum=0.9), [two], training=training)
case("BatchNormalization", dict(gamma_regularizer=L2, beta_regularizer=L1, gamma_initializer=TENTH, beta_initializer="ones", moving_mean_initializer=TENTH,
                                moving_variance_initializer=TENTH, gamma_constraint=Of(keras.constraints, "NonNeg")), [three], training=True)
case("BatchNormalization", dict(axis=1, scale=False), [three], training=True, masks=[steps])
case("BatchNormalization", dict(center=False), [image], training=True, masks=[bools(np.arange(24).reshape(2, 3, 4) % 3 > 0)])
case("BatchNormalization", dict(), [three], training=True, masks=[bools(np.zeros((3, 4)))], note="nothing counts")
case("BatchNormalization", dict(renorm=True, renorm_clipping=dict(rmax=1.2, rmin=0.9, dmax=0.3)), [image], training=True)
case("BatchNormalization", dict(renorm=True, renorm_clipping=dict(dmax=0.1), axis=1, center=False, momentum=0.6), [image], training=True)
case("BatchNormalization", dict(renorm=True, scale=False, center=False), [two], training=True)
case("BatchNormalization", dict(renorm=True, renorm_momentum=0.5), [three], training=True, masks=[steps])
case("BatchNormalization", dict(), [some(5, 1, 3)], training=True, note="one row")

# Layer normalization.
case("LayerNormalization", dict(), [two])
case("LayerNormalization", dict(epsilon=0.1), [three], masks=[steps])
case("LayerNormalization", dict(axis=1), [three])
case("LayerNormalization", dict(axis=[1, 2]), [three])
case("LayerNormalization", dict(axis=[3, 1]), [image])
case("LayerNormalization", dict(axis=[1, 2, 3], center=False), [image])
case("LayerNormalization", dict(axis=[2], scale=False), [image])
case("LayerNormalization", dict(center=False, scale=False), [three])
case("LayerNormalization", dict(axis=[1, 2], center=False, scale=False), [three])
case("LayerNormalization", dict(axis=[-2, -1]), [volume])
case("LayerNormalization", dict(rms_scaling=True), [three])
case("LayerNormalization", dict(rms_scaling=True, axis=[1, 3], scale=False), [image])
case("LayerNormalization", dict(gamma_regularizer=L2, beta_regularizer=L1, gamma_initializer=TENTH, beta_initializer="ones",
                                beta_constraint=Of(keras.constraints, "NonNeg")), [three])

# Group normalization.
case("GroupNormalization", dict(groups=2), [image])
case("GroupNormalization", dict(groups=-1, epsilon=0.1), [image])
case("GroupNormalization", dict(groups=1, center=False), [image])
case("GroupNormalization", dict(groups=2, axis=2), [image])
case("GroupNormalization", dict(groups=3, axis=1, scale=False), [image])
case("GroupNormalization", dict(groups=2, axis=-2), [image])
case("GroupNormalization", dict(groups=2), [some(6, 3, 4)])
case("GroupNormalization", dict(groups=2, axis=1), [three], masks=[steps])
case("GroupNormalization", dict(groups=2, center=False, scale=False), [volume])
case("GroupNormalization", dict(groups=4, gamma_regularizer=L2, beta_regularizer=L1, gamma_initializer=TENTH, beta_initializer="ones"), [volume])

# RMS and unit normalization.
case("RMSNormalization", dict(), [two])
case("RMSNormalization", dict(epsilon=0.1), [three])
case("RMSNormalization", dict(axis=[1, 2]), [three])
case("RMSNormalization", dict(axis=[-1]), [image])
case("RMSNormalization", dict(axis=[2, 3]), [image])
case("UnitNormalization", dict(), [two])
case("UnitNormalization", dict(axis=1), [three], masks=[steps])
case("UnitNormalization", dict(axis=[1, 2]), [three])
case("UnitNormalization", dict(axis=[-1, 1]), [image])

# Spectral normalization while training.
case("SpectralNormalization", dict(layer=L("Dense", units=4)), [two], training=True)
case("SpectralNormalization", dict(layer=L("Dense", units=2, use_bias=False, activation="tanh"), power_iterations=3), [three], training=True)
case("SpectralNormalization", dict(layer=L("Dense", units=3, activity_regularizer=L1)), [two], training=True)
case("SpectralNormalization", dict(layer=L("Dense", units=3)), [two], training=True, weights={"layer/kernel": np.zeros((3, 3))}, note="a kernel of zeros")

# What draws nothing.
case("Dropout", dict(rate=0.4), [three], masks=[steps])
case("Dropout", dict(rate=0, noise_shape=[None, 1, 5]), [three], training=True)
case("Dropout", dict(rate=1), [three], training=True)
case("SpatialDropout1D", dict(rate=0.4), [three], masks=[steps])
case("SpatialDropout1D", dict(rate=0), [three], training=True)
case("SpatialDropout2D", dict(rate=0.4), [image])
case("SpatialDropout2D", dict(rate=1, data_format="channels_first"), [image], training=True)
case("SpatialDropout3D", dict(rate=0, data_format="channels_first"), [volume], training=True)
case("SpatialDropout3D", dict(rate=0.4), [volume])
case("GaussianNoise", dict(stddev=0.4), [three], masks=[steps])
case("GaussianNoise", dict(stddev=0), [three], training=True)
case("GaussianDropout", dict(rate=0.4), [three], masks=[steps])
case("GaussianDropout", dict(rate=0), [three], training=True)
case("AlphaDropout", dict(rate=0.4, noise_shape=[None, 1, 5]), [three], masks=[steps])
case("AlphaDropout", dict(rate=0), [three], training=True)
case("ActivityRegularization", dict(l1=0.1, l2=0.2), [some(12, 3, 4, 5, low=0.2)], masks=[steps])
case("ActivityRegularization", dict(l2=0.2), [two], training=True)
case("ActivityRegularization", dict(), [two])
