"""Five folds by hand: each row is validated once, by a model that never saw it."""
import keras
import numpy as np
from keras import layers


def new_model():
    model = keras.Sequential([
        keras.Input((5,)),
        layers.Dense(16, activation="tanh"),
        layers.Dense(1),
    ])
    model.compile(keras.optimizers.Adam(0.01), "mse", metrics=["mae"])
    return model


random = np.random.default_rng(0)
x = random.standard_normal((500, 5), dtype="float32")
y = np.sin(x[:, :1]) + x[:, 1:2] * x[:, 2:3]

order = random.permutation(500)
folds = np.split(order, 5)
scores = []
for i, validation in enumerate(folds):
    training = np.concatenate([fold for j, fold in enumerate(folds) if j != i])
    keras.utils.set_random_seed(i)
    model = new_model()
    model.fit(x[training], y[training], epochs=30, verbose=0)
    loss, mae = model.evaluate(x[validation], y[validation], verbose=0)
    print(f"fold {i}: mean absolute error {mae:.3f}")
    scores.append(mae)
print(f"{np.mean(scores):.3f} +- {np.std(scores):.3f}")
