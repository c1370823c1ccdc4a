"""Everything of one's own: a layer, a loss, a metric, an optimizer's rule, a callback."""
import keras
import numpy as np
from keras import layers, ops


class Glu(layers.Layer):
    """A gated linear unit."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    def build(self, shape):
        self.value = self.add_weight(shape=(shape[-1], self.units), name="value")
        self.gate = self.add_weight(shape=(shape[-1], self.units), name="gate")

    def call(self, x):
        return ops.matmul(x, self.value) * ops.sigmoid(ops.matmul(x, self.gate))

    def get_config(self):
        return {**super().get_config(), "units": self.units}


class Quantile(keras.losses.Loss):
    """Too low costs `q` a unit, too high `1 - q`."""

    def __init__(self, q, **kwargs):
        super().__init__(**kwargs)
        self.q = q

    def call(self, y_true, y_pred):
        e = y_true - y_pred
        return ops.mean(ops.maximum(self.q * e, (self.q - 1) * e), axis=-1)

    def get_config(self):
        return {**super().get_config(), "q": self.q}


class Below(keras.metrics.Metric):
    """The share of targets below the prediction."""

    def __init__(self, name="below", **kwargs):
        super().__init__(name=name, **kwargs)
        self.hits = self.add_weight(name="hits", initializer="zeros")
        self.rows = self.add_weight(name="rows", initializer="zeros")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.hits.assign_add(ops.sum(ops.cast(y_true < y_pred, "float32")))
        self.rows.assign_add(ops.cast(ops.size(y_true), "float32"))

    def result(self):
        return self.hits / self.rows

    def reset_state(self):
        self.hits.assign(0.0)
        self.rows.assign(0.0)


class SignDescent(keras.optimizers.Optimizer):
    """A step of the same length whatever the gradient."""

    def update_step(self, gradient, variable, learning_rate):
        self.assign_sub(variable, learning_rate * ops.sign(gradient))


class Halve(keras.callbacks.Callback):
    """Halves the learning rate after each epoch."""

    def on_epoch_end(self, epoch, logs=None):
        rate = float(self.model.optimizer.learning_rate)
        self.model.optimizer.learning_rate = rate / 2
        logs["rate"] = rate


random = np.random.default_rng(0)
x = random.standard_normal((2000, 4), dtype="float32")
y = x.sum(axis=1, keepdims=True) + random.standard_normal((2000, 1), dtype="float32")

model = keras.Sequential([keras.Input((4,)), Glu(16), layers.Dense(1)])
model.compile(SignDescent(0.01), Quantile(0.9), metrics=[Below()])
history = model.fit(x, y, epochs=8, callbacks=[Halve()], verbose=2)
model.save("/tmp/all_custom.keras")
custom = {"Glu": Glu, "Quantile": Quantile, "Below": Below, "SignDescent": SignDescent}
again = keras.models.load_model("/tmp/all_custom.keras", custom_objects=custom)
assert (again.predict(x, verbose=0) == model.predict(x, verbose=0)).all()
print("below", history.history["below"][-1], "rate", history.history["rate"][-1])
