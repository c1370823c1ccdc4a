"""Prices of houses from a table with numbers, a category and holes."""
import csv
import io

import keras
import numpy as np
from keras import layers

random = np.random.default_rng(0)
text = io.StringIO()
writer = csv.writer(text)
writer.writerow(["area", "rooms", "district", "price"])
for i in range(2000):
    area, rooms = random.uniform(40, 160), int(random.integers(1, 6))
    district = ["north", "south", "west"][random.integers(3)]
    price = 3 * area + 10 * rooms + {"north": 0, "south": 60, "west": 150}[district]
    writer.writerow([f"{area:.1f}" if i % 50 else "", rooms, district, f"{price:.1f}"])

text.seek(0)
rows = [row for row in csv.DictReader(text) if all(row.values())]
random.shuffle(rows)
cut = int(0.8 * len(rows))

numbers = np.array([[float(r["area"]), float(r["rooms"])] for r in rows], "float32")
mean, std = numbers[:cut].mean(axis=0), numbers[:cut].std(axis=0)
districts = sorted({r["district"] for r in rows[:cut]})
one_hot = np.array([[r["district"] == d for d in districts] for r in rows], "float32")
x = np.concatenate([(numbers - mean) / std, one_hot], axis=1)
y = np.array([[float(r["price"])] for r in rows], "float32") / 100

model = keras.Sequential([
    keras.Input((x.shape[1],)),
    layers.Dense(16, activation="relu"),
    layers.Dense(1),
])
model.compile(keras.optimizers.Adam(0.01), "mse", metrics=["mae"])
model.fit(x[:cut], y[:cut], epochs=20, verbose=2)
loss, mae = model.evaluate(x[cut:], y[cut:], verbose=0)
print(f"typical error {100 * mae:.1f}")
