"""Training on a stream that never lies in memory: samples are made as they are asked for."""
import keras
import numpy as np
from keras import layers


def waves(seed):
    """Sines and sawtooths with noise, for ever."""
    random = np.random.default_rng(seed)
    t = np.arange(64) / 64
    while True:
        kind = random.integers(2)
        phase = random.random() + random.integers(2, 6) * t
        wave = np.sin(2 * np.pi * phase) if kind else 2 * (phase % 1) - 1
        yield (wave + 0.3 * random.standard_normal(64)).astype("float32")[:, None], kind


def batches(seed, size):
    samples = waves(seed)
    while True:
        x, y = zip(*(next(samples) for _ in range(size)))
        yield np.stack(x), np.array(y)


model = keras.Sequential([
    keras.Input((64, 1)),
    layers.Conv1D(16, 7, activation="relu"),
    layers.GlobalAveragePooling1D(),
    layers.Dense(1, activation="sigmoid"),
])
model.compile(keras.optimizers.Adam(0.01), "binary_crossentropy", metrics=["accuracy"])
model.fit(
    batches(1, 32),
    epochs=5,
    steps_per_epoch=100,
    validation_data=batches(2, 32),
    validation_steps=20,
    verbose=2,
)
loss, accuracy = model.evaluate(batches(3, 32), steps=50, verbose=0)
print(f"accuracy {accuracy:.3f}")
