"""Goldens of splits and of what prepares data: scikit-learn's indices where nothing is shuffled, Keras's `pad_sequences`, `to_categorical` and
`normalize`. See requirements-validation.txt for versions.

    python tests/parity/validation.py           # folds.json, with scikit-learn
    python tests/parity/validation.py keras     # utils.json, with Keras 3.15.1
"""
import json
import os
import sys

here = os.path.dirname(os.path.abspath(__file__))
sys.path = [p for p in sys.path if os.path.abspath(p or ".") != here]
import numpy as np


def write(name, data):
    path = os.path.join(here, "goldens", name)
    with open(path, "w") as f:
        json.dump(data, f, separators=(",", ":"))
    print(name, os.path.getsize(path), "bytes")


def folds():
    import sklearn
    from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold, TimeSeriesSplit, train_test_split
    from sklearn.model_selection._split import _validate_shuffle_split
    from sklearn.utils.class_weight import compute_class_weight

    assert sklearn.__version__ == "1.9.1", sklearn.__version__
    out = {"sklearn": sklearn.__version__, "cases": [], "sizes": [], "weights": []}
    rng = np.random.default_rng(7)

    def case(kind, n, splitter, y=None, groups=None, **settings):
        found = [[a.tolist(), b.tolist()] for a, b in splitter.split(np.zeros((n, 1)), y, groups)]
        listed = lambda v: None if v is None else np.asarray(v).tolist()
        out["cases"].append({"kind": kind, "n": n, "y": listed(y), "groups": listed(groups), "settings": settings, "folds": found})

    for n, k in [(2, 2), (7, 3), (10, 5), (11, 4), (23, 23)]:
        case("KFold", n, KFold(k), n_splits=k)
    for n, k, classes in [(6, 2, 2), (20, 3, 3), (31, 5, 4), (40, 4, 6)]:
        y = np.concatenate([np.repeat(np.arange(classes), k), rng.integers(0, classes, n - k * classes if n > k * classes else 0)])
        y = rng.permutation(y) * 3 - 4
        case("StratifiedKFold", len(y), StratifiedKFold(k), y=y, n_splits=k)
    case("StratifiedKFold", 12, StratifiedKFold(3), y=np.array([2, 2, 2, 2, 1, 1, 1, 0, 0, 0, 0, 0]), n_splits=3)
    for n, k, g in [(6, 2, 3), (30, 3, 7), (50, 5, 23), (40, 4, 40)]:
        groups = rng.integers(-3, g - 3, n)
        groups[:k] = np.arange(k) * 100
        case("GroupKFold", n, GroupKFold(k), groups=groups, n_splits=k)
    for n, k, kw in [(6, 5, {}), (12, 3, {}), (13, 4, {"gap": 1}), (20, 3, {"test_size": 2}), (20, 2, {"max_train_size": 5}), (30, 3, {"max_train_size": 4, "test_size": 5, "gap": 3})]:
        case("TimeSeriesSplit", n, TimeSeriesSplit(k, **kw), n_splits=k, **kw)
    for n, kw in [(10, {"test_size": 3}), (10, {"test_size": 0.25}), (11, {"train_size": 0.5}), (10, {}), (100, {"test_size": 0.1, "train_size": 0.55}), (9, {"train_size": 2})]:
        a, b = train_test_split(np.arange(n), shuffle=False, **kw)
        case_ = {"kind": "train_test_split", "n": n, "y": None, "groups": None, "settings": kw, "folds": [[a.tolist(), b.tolist()]]}
        out["cases"].append(case_)
        out["sizes"].append([n, kw, list(_validate_shuffle_split(n, kw.get("test_size"), kw.get("train_size"), 0.1))])
    for y in [[0, 0, 0, 1], [2, 2, 5, 5, 5, 5, 9], [1] * 3]:
        classes = np.unique(y)
        out["weights"].append([y, classes.tolist(), compute_class_weight("balanced", classes=classes, y=np.array(y)).tolist()])
    write("folds.json", out)


def utils():
    os.environ["KERAS_BACKEND"] = "jax"
    import keras

    assert keras.__version__ == "3.15.1", keras.__version__
    out = {"keras": keras.__version__, "pad": [], "categorical": [], "normalize": []}
    lists = [[[1], [2, 3], [4, 5, 6]], [[], [1, 2, 3, 4, 5]], [[7, 8]], [[], []]]
    for seqs in lists:
        for maxlen in [None, 1, 2, 4]:
            for padding in ["pre", "post"]:
                for truncating in ["pre", "post"]:
                    for value in [0, -1]:
                        got = keras.utils.pad_sequences(seqs, maxlen=maxlen, padding=padding, truncating=truncating, value=value)
                        out["pad"].append([seqs, maxlen, padding, truncating, value, got.tolist()])
    for x, n in [([0, 2, 1], None), ([[1], [0]], 3), ([[0, 1], [2, 2]], None), ([3], 5)]:
        out["categorical"].append([x, n, keras.utils.to_categorical(x, n).tolist()])
    x = np.array([[3.0, -4.0], [0.0, 0.0], [1.0, 2.5]])
    for axis in [-1, 1]:
        for order in [1, 2, 3, np.inf]:
            out["normalize"].append([x.tolist(), axis, str(order), keras.utils.normalize(x, axis, order).tolist()])
    write("utils.json", out)


utils() if sys.argv[1:] == ["keras"] else folds()
