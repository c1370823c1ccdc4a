"""Writes goldens/optimizer_runs.json: every optimizer of Keras through compile and fit, 20 steps on two small models, with its own options
and with those that all optimizers have. `python optimizers.py` writes it again.
"""

import numpy as np

from goldens import arr, keras, plain, some, use_float, write

SCHEDULES = keras.optimizers.schedules
STEPS = (2, 20)

# Rates at which each optimizer moves well within 20 steps.
RATES = {
    "SGD": 0.1, "Adam": 0.02, "AdamW": 0.02, "Adamax": 0.03, "Nadam": 0.02, "RMSprop": 0.01, "Adagrad": 0.1, "Adadelta": 2.0, "Ftrl": 0.1,
    "Lion": 0.01, "Lamb": 0.05, "Adafactor": 0.05, "Muon": 0.03, "ScheduleFreeAdamW": 0.03,
}

# What is set for every optimizer.
COMMON = [
    {},
    {"weight_decay": 0.05},
    {"clipnorm": 0.2},
    {"global_clipnorm": 0.3},
    {"clipvalue": 0.03},
    {"use_ema": True, "ema_momentum": 0.8},
    {"use_ema": True, "ema_momentum": 0.7, "ema_overwrite_frequency": 3, "clipnorm": 0.5},
    {"gradient_accumulation_steps": 2},
    {"gradient_accumulation_steps": 3, "weight_decay": 0.02, "use_ema": True, "ema_momentum": 0.9},
    {"learning_rate": ("ExponentialDecay", {"initial_learning_rate": 0.05, "decay_steps": 4, "decay_rate": 0.7}), "weight_decay": 0.03},
    {"learning_rate": ("CosineDecay", {"initial_learning_rate": 0.001, "decay_steps": 12, "alpha": 0.1, "warmup_target": 0.04, "warmup_steps": 5})},
]

# What only some have.
OWN = [
    ("SGD", {"momentum": 0.9}),
    ("SGD", {"momentum": 0.8, "nesterov": True, "weight_decay": 0.01, "global_clipnorm": 0.2}),
    ("Adam", {"amsgrad": True, "beta_1": 0.7, "beta_2": 0.9, "epsilon": 1e-4}),
    ("Adam", {"amsgrad": True, "gradient_accumulation_steps": 4}),
    ("AdamW", {"amsgrad": True, "beta_1": 0.5}),
    ("Adamax", {"beta_1": 0.6, "beta_2": 0.8, "epsilon": 1e-3}),
    ("Nadam", {"beta_1": 0.6, "beta_2": 0.9, "epsilon": 1e-3}),
    ("RMSprop", {"momentum": 0.8}),
    ("RMSprop", {"centered": True, "rho": 0.7}),
    ("RMSprop", {"momentum": 0.5, "centered": True, "epsilon": 1e-3, "gradient_accumulation_steps": 2}),
    ("Adagrad", {"initial_accumulator_value": 0.0, "epsilon": 1e-3}),
    ("Adadelta", {"rho": 0.8, "epsilon": 1e-4}),
    ("Ftrl", {"learning_rate_power": -0.3, "beta": 0.2}),
    ("Ftrl", {"learning_rate_power": 0.0, "initial_accumulator_value": 0.5}),
    ("Ftrl", {"l1_regularization_strength": 0.02, "l2_regularization_strength": 0.1, "l2_shrinkage_regularization_strength": 0.01}),
    ("Lion", {"beta_1": 0.6, "beta_2": 0.8}),
    ("Lamb", {"beta_1": 0.6, "beta_2": 0.9, "epsilon": 1e-3}),
    ("Adafactor", {"beta_2_decay": -0.5, "epsilon_1": 1e-6, "epsilon_2": 0.1, "clip_threshold": 0.4}),
    ("Adafactor", {"relative_step": False, "learning_rate": 0.5}),
    ("Muon", {"exclude_layers": ["last"], "nesterov": False, "momentum": 0.8, "ns_steps": 3}),
    ("Muon", {"rms_rate": None, "adam_lr_ratio": 0.3, "weight_decay": None, "adam_weight_decay": 0.1}),
    ("Muon", {"exclude_embeddings": False, "adam_weight_decay": None, "muon_a": 2.0, "muon_b": -1.5, "muon_c": 0.5}),
    ("ScheduleFreeAdamW", {"beta_1": 0.6, "beta_2": 0.9, "epsilon": 1e-3, "warmup_steps": 7, "weight_decay": 0.1}),
]

# By the paths of parameters: the default, then patterns of Keras and ours.
SEVERAL = [
    (("SGD", {"learning_rate": 0.1}), [("net/first/.*", "first", ("Adam", {"learning_rate": 0.02}))]),
    (
        ("RMSprop", {"learning_rate": 0.01, "clipnorm": 0.1, "use_ema": True, "ema_momentum": 0.6}),
        [
            ("net/first/kernel", "first/kernel", ("SGD", {"learning_rate": 0.2, "global_clipnorm": 0.05, "momentum": 0.9})),
            (".*/bias", "*/bias", ("AdamW", {"learning_rate": 0.03, "weight_decay": 0.1, "gradient_accumulation_steps": 2})),
        ],
    ),
]


def flt(v):
    """Twelve digits: the comparison is to 1e-9."""
    return float(f"{float(v):.12g}")


def build(spec):
    name, cfg = spec
    place = SCHEDULES if hasattr(SCHEDULES, name) else keras.optimizers
    return getattr(place, name)(**{k: build(v) if isinstance(v, tuple) else v for k, v in cfg.items()})


def dense():
    """Two layers on numbers. No gradient is exactly 0, whose rounding an optimizer that divides by its size would blow up."""
    model = keras.Sequential([keras.layers.Input((5,)), keras.layers.Dense(4, activation="tanh", name="first"), keras.layers.Dense(3, name="last")], name="net")
    return model, some(1, (24, 5), -2, 2), some(2, (24, 3), -1, 1)


def table():
    """An embedding, of which each batch reads some rows, and a product of rank 3."""
    model = keras.Sequential([
        keras.layers.Input((2,), dtype="int64"), keras.layers.Embedding(9, 3, name="embedding"),
        keras.layers.EinsumDense("abc,bcd->ad", output_shape=(2,), bias_axes="d", name="last"),
    ], name="net")
    return model, np.random.RandomState(3).randint(0, 9, (24, 2)), some(4, (24, 2), -1, 1)


def run(make, optimizer):
    model, x, y = make()
    for i, w in enumerate(model.trainable_variables):
        w.assign(some(20 + i, w.shape, -0.9, 0.9))
    start = [arr(w.value) for w in model.trainable_variables]
    steps = []

    class Record(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.seen = getattr(self, "seen", 0) + 1
            if self.seen in STEPS:
                self.model.jax_state_sync()
                steps.append([[flt(v) for v in np.asarray(w.value).ravel()] for w in self.model.trainable_variables])

    model.compile(optimizer, "mse")
    history = model.fit(x, y, batch_size=6, epochs=5, shuffle=False, verbose=0, callbacks=[Record()])
    final = [[flt(v) for v in np.asarray(w.value).ravel()] for w in model.trainable_variables]
    row = {"loss": [flt(v) for v in history.history["loss"]], "steps": steps}
    if final != steps[-1]:
        row["final"] = final
    return start, row


def main():
    use_float("float64")
    cases, models = [], {}
    for make in (dense, table):
        model, x, y = make()
        models[make.__name__] = {"paths": [w.path.removeprefix("net/") for w in model.trainable_variables], "x": arr(x), "y": arr(y)}

    def case(make, name, cfg):
        start, row = run(make, build((name, cfg)))
        models[make.__name__]["start"] = start
        cases.append({"model": make.__name__, "optimizer": name, "config": {k: plain(v) for k, v in cfg.items()}, **row})

    for name, rate in RATES.items():
        for extra in COMMON:
            case(dense, name, {"learning_rate": rate, **extra})
        case(table, name, {"learning_rate": rate})
        case(table, name, {"learning_rate": rate, "weight_decay": 0.05, "clipnorm": 0.1})
    for name, cfg in OWN:
        case(table if cfg.get("exclude_embeddings") is False else dense, name, {"learning_rate": RATES[name], **cfg})
    # What each says of itself: its defaults, which are those of its name alone.
    configs = [{"class_name": name, "config": getattr(keras.optimizers, name)().get_config()} for name in RATES]
    several = []
    for default, patterns in SEVERAL:
        chosen = keras.optimizers.OptimizerMap(build(default), {theirs: build(spec) for theirs, _, spec in patterns})
        _, row = run(dense, keras.optimizers.MultiOptimizer(chosen))
        several.append({"model": "dense", "default": plain(default), "patterns": [[ours, plain(spec)] for _, ours, spec in patterns], **row})
    write("optimizer_runs.json", {"floatx": "float64", "at": list(STEPS), "batch_size": 6, "epochs": 5, "models": models}, cases=cases, several=several, configs=configs)


if __name__ == "__main__":
    main()
