"""A recurrent network by hand: a loop over time in a model of one's own learns to add along a sequence."""
import keras
import numpy as np
from keras import layers, ops


class Adder(keras.Model):
    def __init__(self, units):
        super().__init__()
        self.units = units
        self.gate = layers.Dense(units, activation="sigmoid")
        self.candidate = layers.Dense(units, activation="tanh")
        self.output_layer = layers.Dense(1)

    def call(self, x):
        h = ops.zeros((x.shape[0], self.units))
        for t in range(x.shape[1]):
            both = ops.concatenate([x[:, t], h], axis=-1)
            z = self.gate(both)
            h = z * h + (1 - z) * self.candidate(both)
        return self.output_layer(h)


random = np.random.default_rng(0)
x = random.uniform(-1, 1, (4000, 12, 1)).astype("float32")
y = x.sum(axis=1)

model = Adder(32)
model.compile(keras.optimizers.Adam(0.003), "mse", metrics=["mae"])
history = model.fit(x, y, epochs=10, batch_size=50, validation_split=0.25, verbose=2)
print("mean absolute error", history.history["val_mae"][-1])
