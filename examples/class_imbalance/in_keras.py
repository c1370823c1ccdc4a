"""One row in fifty is positive: weights of classes, and figures that say something."""
import keras
import numpy as np
from keras import layers

random = np.random.default_rng(0)
y = (random.random(10000) < 0.02).astype("float32")
x = random.standard_normal((10000, 6), dtype="float32") + y[:, None]

positive = y.mean()
model = keras.Sequential([
    keras.Input((6,)),
    layers.Dense(16, activation="relu"),
    layers.Dense(1, activation="sigmoid", bias_initializer=keras.initializers.Constant(np.log(positive / (1 - positive)))),
])
model.compile(
    optimizer="adam",
    loss="binary_crossentropy",
    metrics=[keras.metrics.Precision(), keras.metrics.Recall(), keras.metrics.AUC(name="auc")],
)
model.fit(
    x, y,
    epochs=20,
    batch_size=256,
    validation_split=0.3,
    class_weight={0: 0.5 / (1 - positive), 1: 0.5 / positive},
    callbacks=[keras.callbacks.EarlyStopping("val_auc", mode="max", patience=3, restore_best_weights=True)],
    verbose=2,
)
for name, value in model.evaluate(x[7000:], y[7000:], return_dict=True, verbose=0).items():
    print(f"{name} {value:.3f}")
