"""An autoencoder squeezes digits into 16 numbers; its encoder then carries a classifier."""
import keras
import numpy as np
from keras import layers

random = np.random.default_rng(0)
prototypes = random.random((10, 784), dtype="float32")
y = random.integers(0, 10, 4000)
x = np.clip(prototypes[y] + 0.1 * random.standard_normal((4000, 784), dtype="float32"), 0, 1)

image = keras.Input((784,), name="image")
h = layers.Dense(128, activation="relu")(image)
code = layers.Dense(16, name="code")(h)
h = layers.Dense(128, activation="relu")(code)
drawn = layers.Dense(784, activation="sigmoid", name="drawn")(h)
model = keras.Model(image, drawn, name="autoencoder")
model.compile(optimizer="adam", loss="mse")
model.summary()
model.fit(x, x, epochs=5, batch_size=64, verbose=2)
print("error", model.evaluate(x, x, verbose=0))

encoder = keras.Model(image, code, name="encoder")
print("codes", encoder.predict(x, verbose=0).shape)

encoder.trainable = False
image = keras.Input((784,))
head = layers.Dense(10, activation="softmax")(encoder(image))
classifier = keras.Model(image, head)
classifier.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
history = classifier.fit(x, y, epochs=5, validation_split=0.2, verbose=2)
print("accuracy", history.history["val_accuracy"][-1])
