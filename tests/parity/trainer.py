"""Writes goldens/trainer.json: what Keras's trainer and its callbacks do around fit, evaluate and predict.

Names of files end in `.gradus` there, whatever Keras calls its own. See README.md; `python trainer.py`.
"""

import os
import sys
import tempfile
import warnings

from goldens import arr, flt, keras, np, some, use_float, write

K = keras.callbacks
X = np.array([[0.0], [1.0], [2.0], [3.0], [4.0], [5.0]])
Y = 2.0 * X


def model(optimizer=None):
    keras.backend.clear_session()
    m = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    m.compile(optimizer or keras.optimizers.SGD(0.01), "mse")
    m.set_weights([np.array([[0.5]])])
    return m


def weight(m):
    return flt(m.get_weights()[0][0, 0])


def fit(m, callbacks, epochs=3, batch_size=3, **kw):
    return m.fit(X, Y, batch_size=batch_size, epochs=epochs, shuffle=False, verbose=0, callbacks=callbacks, **kw)


def rates(*values):
    return K.LearningRateScheduler(lambda epoch, rate: values[epoch])


def checkpoints():
    out = []
    # Rates that make the loss go down, up and down again.
    up_and_down = [0.01, 0.1, 0.02, 0.02, 0.09, 0.01]
    for template, config, run in [
        ("{epoch:02d}", {}, {"epochs": 3}),
        ("{epoch}-{loss:.3e}-{val_loss:.2f}", {}, {"epochs": 2, "validation_split": 0.34}),
        ("{epoch:03d}", {"monitor": "loss", "save_best_only": True}, {"epochs": 6, "rates": up_and_down}),
        ("{epoch:03d}", {"monitor": "val_loss", "save_best_only": True}, {"epochs": 6, "rates": up_and_down, "validation_split": 0.34}),
        ("{epoch:03d}", {"monitor": "loss", "save_best_only": True, "mode": "max"}, {"epochs": 6, "rates": up_and_down}),
        ("{epoch:03d}", {"monitor": "loss", "save_best_only": True, "initial_value_threshold": 5.0}, {"epochs": 6, "rates": up_and_down}),
        ("best", {"monitor": "loss", "save_best_only": True}, {"epochs": 6, "rates": up_and_down}),
        ("{epoch}-{batch}", {"save_freq": 2}, {"epochs": 3, "batch_size": 2}),
        ("{epoch}-{batch:02d}-{loss:.4f}", {"save_freq": 4}, {"epochs": 4, "batch_size": 2}),
        ("{epoch}-{batch}", {"save_freq": 2, "save_best_only": True, "monitor": "loss"}, {"epochs": 4, "batch_size": 2, "rates": up_and_down}),
        ("{epoch:02d}", {"save_weights_only": True}, {"epochs": 2}),
    ]:
        with tempfile.TemporaryDirectory() as folder:
            end = ".weights.h5" if config.get("save_weights_only") else ".keras"
            m, kw = model(), dict(run)
            before = [rates(*kw.pop("rates"))] if "rates" in kw else []
            fit(m, before + [K.ModelCheckpoint(os.path.join(folder, template + end), **config)], **kw)
            files = {}
            for name in sorted(os.listdir(folder)):
                again = model()
                again.load_weights(os.path.join(folder, name)) if end == ".weights.h5" else None
                again = again if end == ".weights.h5" else keras.models.load_model(os.path.join(folder, name))
                files[name.removesuffix(end) + ".gradus"] = weight(again)
            out.append({"filepath": template + ".gradus", "config": config, "fit": run, "files": files})
    return out


def csv():
    out = []
    for title, config, runs in [
        ("loss alone", {}, [{"epochs": 2}]),
        ("with validation", {}, [{"epochs": 2, "validation_split": 0.34}]),
        ("validated every second epoch", {}, [{"epochs": 4, "validation_split": 0.34, "validation_freq": 2}]),
        ("with the rate", {"separator": ";"}, [{"epochs": 2, "rates": [0.01, 0.005]}]),
        ("written again", {}, [{"epochs": 2}, {"epochs": 1}]),
        ("added to", {"append": True}, [{"epochs": 2}, {"epochs": 3, "initial_epoch": 2}]),
    ]:
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "log.csv")
            m = model()
            for run in runs:
                kw = dict(run)
                before = [rates(*kw.pop("rates"))] if "rates" in kw else []
                fit(m, before + [K.CSVLogger(path, **config)], **kw)
            out.append({"title": title, "config": config, "fits": runs, "text": open(path, newline="").read()})
    return out


def averages():
    out = []
    for config, kw in [({}, {}), ({"swap_on_epoch": True}, {})]:
        m = model(keras.optimizers.SGD(0.01, use_ema=True, ema_momentum=0.8))
        seen = []
        record = K.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(weight(m)))
        swap = K.SwapEMAWeights(**config)
        h = fit(m, [swap, record], validation_split=0.34, **kw)
        # What is asked after training, without the callback.
        out.append({"config": config, "weights_after_epochs": seen, "val_loss": [flt(v) for v in h.history["val_loss"]], "loss": [flt(v) for v in h.history["loss"]], "weight": weight(m)})
    m = model(keras.optimizers.SGD(0.01, use_ema=True, ema_momentum=0.8))
    m.train_on_batch(X[:3], Y[:3])
    m.train_on_batch(X[3:], Y[3:])
    before = weight(m)
    loss = flt(m.evaluate(X, Y, verbose=0, callbacks=[K.SwapEMAWeights()]))
    out.append({"config": {}, "evaluate": loss, "weight_before": before, "weight": weight(m)})
    return out


def hooks():
    calls = []

    class Trace(K.Callback):
        pass

    for name in ["train_begin", "train_end", "test_begin", "test_end", "predict_begin", "predict_end"]:
        setattr(Trace, "on_" + name, lambda self, logs=None, name=name: calls.append("on_" + name))
    for name in ["epoch_begin", "epoch_end", "train_batch_begin", "train_batch_end", "test_batch_begin", "test_batch_end", "predict_batch_begin", "predict_batch_end"]:
        setattr(Trace, "on_" + name, lambda self, i, logs=None, name=name: calls.append(f"on_{name} {i}"))
    out = []

    def case(title, run):
        calls.clear()
        run(model())
        out.append({"title": title, "calls": list(calls)})

    case("fit", lambda m: fit(m, [Trace()], epochs=2, validation_data=(X, Y)))
    case("evaluate", lambda m: m.evaluate(X, Y, batch_size=4, verbose=0, callbacks=[Trace()]))
    case("predict", lambda m: m.predict(X, batch_size=4, verbose=0, callbacks=[Trace()]))
    return out


def rules():
    """What the rules of the trainer give, by their numbers in the project's reference."""
    out = {}
    x = np.arange(10.0)[:, None]
    # 1. Rows in a batch, by the shapes that a network sees.
    sizes = []

    class Rows(K.Callback):
        def on_train_begin(self, logs=None):
            sizes.append([self.params["steps"]])

        def on_train_batch_end(self, batch, logs=None):
            sizes[-1].append(batch + 1)

    steps = []
    for n, kw in [(70, {}), (10, {"batch_size": 4}), (10, {"steps_per_epoch": 3}), (10, {"steps_per_epoch": 3, "batch_size": 2}), (64, {}), (65, {})]:
        sizes.clear()
        many = np.arange(float(n))[:, None]
        model(keras.optimizers.SGD(0.0)).fit(many, many, verbose=0, callbacks=[Rows()], **kw)
        steps.append({"rows": n, "fit": kw, "steps": sizes[0][0], "done": sizes[0][-1]})
    out["batches"] = steps
    # 5. Rows that count more.
    m = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    m.compile(keras.optimizers.SGD(0.0), "mse", metrics=["mae"], weighted_metrics=["mse"])
    m.set_weights([np.array([[1.0]])])
    w = np.where(np.arange(10) > 4, 2.0, 1.0)
    h = m.fit(x, np.zeros((10, 1)), sample_weight=w, batch_size=4, shuffle=False, verbose=0)
    out["sample_weight"] = {k: flt(v[0]) for k, v in h.history.items()}
    # 6. Classes that count more: labels, labels in a column, one-hot.
    m = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, activation="softmax", use_bias=False)])
    kernel = some(5, (2, 3))
    features, labels = some(6, (6, 2)), np.array([0, 1, 2, 2, 1, 0])
    weights = {0: 1.5, 2: 4.0}
    losses = {}
    for name, y, loss in [("labels", labels, "sparse_categorical_crossentropy"), ("column", labels[:, None], "sparse_categorical_crossentropy"), ("one_hot", np.eye(3)[labels], "categorical_crossentropy")]:
        m.compile(keras.optimizers.SGD(0.0), loss)
        m.set_weights([kernel])
        losses[name] = flt(m.fit(features, y, class_weight=weights, verbose=0).history["loss"][0])
    out["class_weight"] = {"x": arr(features), "kernel": arr(kernel), "labels": [int(v) for v in labels], "weights": {str(k): v for k, v in weights.items()}, "loss": losses}
    # 10. Three steps of two rows an epoch, over ten rows: the fourth epoch begins anew.
    m = model()
    m.compile(keras.optimizers.SGD(0.0), "mse")
    m.set_weights([np.array([[0.0]])])
    h = m.fit(x, x, batch_size=2, epochs=4, steps_per_epoch=3, shuffle=False, verbose=0)
    out["steps_per_epoch"] = [flt(v) for v in h.history["loss"]]
    # 11. Penalties and added losses, after the weight of the loss.
    class Adds(keras.layers.Layer):
        def call(self, x):
            self.add_loss(0.25 * keras.ops.mean(x))
            return x

    m = keras.Sequential([keras.Input((1,)), Adds(), keras.layers.Dense(1, use_bias=False, kernel_regularizer=keras.regularizers.L2(0.5))])
    m.compile(keras.optimizers.SGD(0.0), "mse", loss_weights=[3.0])
    m.set_weights([np.array([[0.5]])])
    h = m.fit(X, Y, shuffle=False, verbose=0)
    out["added"] = flt(h.history["loss"][0])
    # 12. A frozen batch normalization runs as in inference.
    m = keras.Sequential([keras.Input((1,)), keras.layers.BatchNormalization(), keras.layers.Dense(1, use_bias=False)])
    m.layers[0].trainable = False
    m.compile(keras.optimizers.SGD(0.0), "mse")
    m.layers[1].set_weights([np.array([[0.5]])])
    h = m.fit(X, Y, verbose=0)
    out["frozen_batch_normalization"] = {"loss": flt(h.history["loss"][0]), "moving_mean": flt(m.layers[0].moving_mean[0])}
    # 13. One valid position of four.
    m = keras.Sequential([keras.Input((4, 1)), keras.layers.Masking(), keras.layers.TimeDistributed(keras.layers.Dense(1, use_bias=False))])
    m.compile(keras.optimizers.SGD(0.0), "mse", metrics=["mae"])
    m.set_weights([np.array([[1.0]])])
    h = m.fit(np.array([[[2.0], [0.0], [0.0], [0.0]]]), np.ones((1, 4, 1)), verbose=0)
    out["mask"] = {k: flt(v[0]) for k, v in h.history.items()}
    return out


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    use_float("float64")
    with warnings.catch_warnings():
        write("trainer.json", {"floatx": "float64", "model": "Dense(1, use_bias=False) from 0.5, SGD(0.01), mse, shuffle=False, batch_size 3, x = 0..5, y = 2x"},
              checkpoints=checkpoints(), csv=csv(), averages=averages(), hooks=hooks(), rules=rules())
