"""One model, eight threads that answer requests, and the time an answer takes."""
import time
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
from keras import layers

model = keras.Sequential([
    keras.Input((16,)),
    layers.Dense(64, activation="relu"),
    layers.Dense(3, activation="softmax"),
])
model.save("/tmp/serving.keras")
model = keras.models.load_model("/tmp/serving.keras")

requests = np.random.default_rng(0).standard_normal((400, 16), dtype="float32")


def answer(request):
    began = time.perf_counter()
    y = model(request[None], training=False)
    return np.asarray(y)[0], time.perf_counter() - began


def handle(thread):
    return [answer(requests[i]) for i in range(thread, 400, 8)]


with ThreadPoolExecutor(8) as threads:
    answers = list(threads.map(handle, range(8)))

times = sorted(t for handled in answers for _, t in handled)
print(f"median {1e6 * times[200]:.0f} us, 99 of 100 within {1e6 * times[396]:.0f} us")
together = model.predict(requests, verbose=0)
apart = np.zeros_like(together)
for thread, handled in enumerate(answers):
    apart[thread::8] = [y for y, _ in handled]
print("difference between one at a time and all at once:", abs(apart - together).max())
