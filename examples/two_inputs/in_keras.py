"""Two inputs, two outputs: the sum of two groups of numbers, and which group is larger."""
import keras
import numpy as np
from keras import layers

random = np.random.default_rng(1)
x = random.standard_normal((2000, 8), dtype="float32")
y = random.standard_normal((2000, 3), dtype="float32")
sum_x, sum_y = x.sum(axis=1, keepdims=True), y.sum(axis=1, keepdims=True)
total = sum_x + sum_y
larger = (sum_y > sum_x)[:, 0].astype("int64")

left = keras.Input((8,), name="left")
right = keras.Input((3,), name="right")
a = layers.Dense(32, activation="relu")(left)
b = layers.Dense(16, activation="relu")(right)
joint = layers.Dense(32, activation="relu")(layers.Concatenate()([a, b]))
total_output = layers.Dense(1, name="total")(joint)
larger_output = layers.Dense(2, activation="softmax", name="larger")(joint)

model = keras.Model([left, right], [total_output, larger_output])
model.compile(
    optimizer=keras.optimizers.Adam(0.003),
    loss=["mse", "sparse_categorical_crossentropy"],
    metrics={"larger": ["accuracy"]},
)
model.summary()
history = model.fit([x, y], [total, larger], epochs=10, validation_split=0.2, verbose=2)
print("validation accuracy", history.history["val_larger_accuracy"][-1])
