"""Writes goldens/scores.json: losses and metrics of Keras over more shapes, weights, masks and edge cases than losses.json and metrics.json
have, and CTC with its decoders. Layout as in README.md; inputs stand once, under `sets`, and cases name them.

    venv/bin/python tests/parity/scores.py
"""

import os

import goldens
import jax
import jax.numpy as jnp
import keras
import numpy as np
from goldens import arr, attempt, opt, softmax, some, use_float, write
from keras import ops

sets, losses, metrics, ctc = {}, [], [], []


def bits(seed, *shape):
    """0 and 1, both in the first half of each column and in the second."""
    b = (some(seed, shape) > 0).astype(np.float64)
    if shape[0] >= 4:
        half = (shape[0] + 1) // 2
        b[0], b[1], b[half], b[half + 1] = 0, 1, 1, 0
    return b


def make_sets():
    for name, shape in [("v", (6,)), ("c", (7, 1)), ("m", (7, 3)), ("t", (4, 3, 2)), ("one", (1, 3))]:
        s = sum(map(ord, name))
        sets["numbers_" + name] = (some(s, shape, -3, 3), some(s + 1, shape, -3, 3))
        sets["counts_" + name] = (some(s + 2, shape, 0, 3), some(s + 3, shape, 0.05, 3))
        sets["bits_" + name] = (bits(s + 4, *shape), some(s + 5, shape, 0.02, 0.98))
        sets["bit_logits_" + name] = (bits(s + 4, *shape), some(s + 6, shape, -5, 5))
        sets["signs_" + name] = (2 * bits(s + 7, *shape) - 1, some(s + 8, shape, -2, 2))
    for name, lead, k in [("m", (7,), 4), ("t", (4, 3), 5), ("two", (6,), 2), ("one", (1,), 3)]:
        s = 100 + sum(map(ord, name))
        labels = goldens.rng(s).randint(0, k, lead)
        labels.reshape(-1)[:2] = [0, 1][: labels.size]
        p = np.round(softmax(some(s + 1, (*lead, k), -2, 2)), 4)
        sets["hot_" + name] = (np.eye(k)[labels], p)
        sets["labels_" + name] = (labels, p)
        sets["shares_" + name] = (np.round(softmax(some(s + 2, (*lead, k), -2, 2)), 4), p)
        sets["hot_logits_" + name] = (np.eye(k)[labels], some(s + 3, (*lead, k), -5, 5))
        sets["label_logits_" + name] = (labels, some(s + 3, (*lead, k), -5, 5))
        sets["ids_" + name] = (labels, goldens.rng(s + 4).randint(0, k, lead))
    sets["labels_column"] = (sets["labels_m"][0][:, None], sets["labels_m"][1])
    e = some(400, (8, 4))
    sets["embeddings"] = (np.array([0, 1, 0, 2, 1, 1, 3, 0]), np.round(e / np.linalg.norm(e, axis=-1, keepdims=True), 6))
    sets["images"] = ((some(401, (3, 4, 4, 2)) > 0).astype(np.float64), some(402, (3, 4, 4, 2), 0.01, 0.99))
    sets["falsehoods"] = (np.zeros((5, 1)), some(403, (5, 1), 0.02, 0.98))
    sets["truths"] = (np.ones((5, 1)), some(404, (5, 1), 0.02, 0.98))
    sets["ties"] = (bits(405, 12, 1), np.round(some(406, (12, 1), 0.0, 1.0), 1))
    sets["ties_m"] = (np.eye(4)[[0, 1, 2, 3, 1, 0]], np.round(some(407, (6, 4), 0.0, 1.0), 1))


WEIGHTS = np.array([1.0, 0.5, 2.0, 0.0, 1.5, 0.25, 3.0, 1.0, 0.75, 0.0, 1.0, 2.0])


def weights_of(p, y=None):
    """None, one for each row, one for each position, and nothing but zeros."""
    n = len(p)
    out = [None, np.resize(WEIGHTS, n), np.zeros(n)]
    if p.ndim == 3:
        out = [None, np.resize(WEIGHTS, (n, 1)) * np.ones((1, p.shape[1])), np.resize(WEIGHTS, p.shape[:2])]
    return out if p.ndim > 1 else [None]


def loss(name, cfg, *keys, weights=None, reductions=("sum_over_batch_size", "mean_with_sample_weight", "none"), masks=True):
    for key in keys:
        y, p = sets[key]
        mask = np.array([[1, 1, 0], [1, 0, 0], [1, 1, 1], [0, 0, 0]], dtype=bool) if p.ndim == 3 and masks and p.shape[:2] == (4, 3) else None
        for w in weights_of(p) if weights is None else weights:
            for m in (None, mask) if mask is not None else (None,):
                for red in reductions:
                    if red == "mean_with_sample_weight" and w is None and m is None:
                        continue

                    def run():
                        f = getattr(keras.losses, name)(**cfg, reduction=red)

                        def value(q):
                            q = q * 1.0
                            if m is not None:
                                keras.src.backend.set_keras_mask(q, jnp.asarray(m))
                            return f(jnp.asarray(y), q, sample_weight=None if w is None else jnp.asarray(w))

                        row = {"name": name, "config": cfg, "set": key, "reduction": red, "value": arr(value(jnp.asarray(p)))}
                        if w is not None:
                            row["weights"] = arr(w)
                        if m is not None:
                            row["mask"] = arr(m)
                        if red == "sum_over_batch_size" and np.all(np.isfinite(np.asarray(value(jnp.asarray(p))))):
                            row["grad"] = arr(jax.grad(value)(jnp.asarray(p)))
                        losses.append(row)

                    attempt(f"loss {name} {cfg} on {key}", run)


def metric(name, cfg, *keys, weighted=True, parts=2, edges=True):
    """The figure after the first half of the rows and after all; with weights; in the other order merged is the same."""
    for key in keys:
        y, p = sets[key]
        n = len(p)
        cut = (n + 1) // 2 if n > 1 else n
        for w in weights_of(p) if weighted else [None]:
            if w is not None and not edges and not w.any():
                continue

            def run():
                m = getattr(keras.metrics, name)(**cfg)
                got = []
                for part in (slice(0, cut), slice(cut, n)):
                    if part.start < part.stop:
                        kw = {} if w is None else {"sample_weight": jnp.asarray(w[part])}
                        args = (jnp.asarray(p[part]),) if name in ("Mean", "Sum") else (jnp.asarray(y[part]), jnp.asarray(p[part]))
                        m.update_state(*args, **kw)
                    got.append(arr(np.asarray(m.result(), dtype=np.float64)))
                row = {"name": name, "config": cfg, "set": key, "key": m.name, "cut": cut, "results": got}
                if w is not None:
                    row["weights"] = arr(w)
                if "IoU" in name:
                    row["precision"] = "float32"
                metrics.append(row)

            attempt(f"metric {name} {cfg} on {key}", run)


def all_losses():
    shapes = ("v", "c", "m", "t", "one")
    numbers, counts = [f"numbers_{s}" for s in shapes], [f"counts_{s}" for s in shapes]
    b, bl, signs = ([f"{k}_{s}" for s in shapes] for k in ("bits", "bit_logits", "signs"))
    wide = ("m", "t", "two", "one")
    hot, labels, shares, hl, ll = ([f"{k}_{s}" for s in wide] for k in ("hot", "labels", "shares", "hot_logits", "label_logits"))
    for name in ("MeanSquaredError", "MeanAbsoluteError", "MeanAbsolutePercentageError", "LogCosh"):
        loss(name, {}, *numbers)
    loss("Huber", {"delta": 1.3}, *numbers)
    loss("CosineSimilarity", {}, *numbers[2:])
    loss("MeanSquaredLogarithmicError", {}, *counts)
    loss("Poisson", {}, *counts)
    loss("Hinge", {}, *signs, "bits_m")
    loss("SquaredHinge", {}, *signs, "bits_m")
    loss("CategoricalHinge", {}, *hot)
    loss("KLDivergence", {}, *shares)
    for cfg in ({}, {"label_smoothing": 0.2}):
        loss("BinaryCrossentropy", cfg, *b[1:4])
        loss("BinaryCrossentropy", {"from_logits": True, **cfg}, *bl[1:4])
        loss("CategoricalCrossentropy", cfg, *hot)
        loss("CategoricalCrossentropy", {"from_logits": True, **cfg}, *hl)
        loss("CategoricalFocalCrossentropy", {"alpha": 0.6, "gamma": 1.2, **cfg}, *hot[:2])
        loss("BinaryFocalCrossentropy", {"gamma": 2.5, "apply_class_balancing": True, "alpha": 0.4, **cfg}, *b[2:4])
    loss("SparseCategoricalCrossentropy", {}, *labels, "labels_column")
    loss("SparseCategoricalCrossentropy", {"from_logits": True, "ignore_class": 1}, *ll)
    # One number for the whole batch: weights of 0 leave rows out here, which Keras counts.
    positive = lambda p: [None, 0.5 + np.arange(len(p)) / 4]
    for name, cfg in (("Dice", {}), ("Tversky", {}), ("Tversky", {"alpha": 0.2, "beta": 0.9})):
        for key in ("bits_c", "bits_m", "hot_m", "bits_one"):
            loss(name, cfg, key, weights=positive(sets[key][1]))
        loss(name, cfg, "images", "bits_t", weights=[None], masks=False)
        loss(name, {**cfg, "axis": [1, 2, 3]}, "images", weights=positive(sets["images"][1]))
        loss(name, {**cfg, "axis": [1]}, "bits_m", weights=positive(sets["bits_m"][1]))
    for cfg in ({}, {"gamma": 4.0}, {"gamma": 32.0, "margin": 0.25}, {"remove_diagonal": False, "gamma": 10.0}):
        loss("Circle", cfg, "embeddings", weights=positive(sets["embeddings"][1]))
    for cfg in ({}, {"q": 0.2}, {"q": 0.9}):
        loss("CategoricalGeneralizedCrossEntropy", cfg, "labels_m", "labels_two", "labels_one")


def all_metrics():
    shapes = ("c", "m", "t", "one")
    numbers, counts = [f"numbers_{s}" for s in shapes], [f"counts_{s}" for s in shapes]
    b, bl, signs = ([f"{k}_{s}" for s in shapes] for k in ("bits", "bit_logits", "signs"))
    wide = ("m", "t", "two", "one")
    hot, labels, shares, hl, ll, ids = ([f"{k}_{s}" for s in wide] for k in ("hot", "labels", "shares", "hot_logits", "label_logits", "ids"))
    for name in ("MeanSquaredError", "RootMeanSquaredError", "MeanAbsoluteError", "MeanAbsolutePercentageError", "LogCoshError"):
        metric(name, {}, *numbers)
    metric("CosineSimilarity", {}, *numbers[1:])
    metric("CosineSimilarity", {"axis": 1}, "numbers_m")
    metric("MeanSquaredLogarithmicError", {}, *counts)
    metric("Poisson", {}, *counts)
    metric("Hinge", {}, *signs)
    metric("SquaredHinge", {}, *signs)
    metric("CategoricalHinge", {}, *hot)
    metric("KLDivergence", {}, *shares)
    for cfg in ({}, {"label_smoothing": 0.2}):
        metric("BinaryCrossentropy", cfg, *b)
        metric("BinaryCrossentropy", {"from_logits": True, **cfg}, *bl)
        metric("CategoricalCrossentropy", cfg, *hot)
        metric("CategoricalCrossentropy", {"from_logits": True, **cfg}, *hl)
    metric("SparseCategoricalCrossentropy", {}, *labels, "labels_column")
    metric("SparseCategoricalCrossentropy", {"from_logits": True}, *ll)
    metric("Accuracy", {}, *[k for k in ids if k != "ids_t"], weighted=False)
    metric("BinaryAccuracy", {}, *b, "falsehoods", "truths")
    metric("BinaryAccuracy", {"threshold": 0.3}, *b)
    metric("CategoricalAccuracy", {}, *hot, "ties_m")
    metric("SparseCategoricalAccuracy", {}, *labels, "labels_column")
    for k in (1, 2, 3):
        metric("TopKCategoricalAccuracy", {"k": k}, "hot_m", "hot_one", "ties_m")
        metric("SparseTopKCategoricalAccuracy", {"k": k}, "labels_m", "labels_t", "labels_one")
    some_bits = ("bits_c", "bits_m", "bits_one", "ties", "falsehoods", "truths")
    for name in ("TruePositives", "TrueNegatives", "FalsePositives", "FalseNegatives", "Precision", "Recall"):
        for cfg in ({}, {"thresholds": 0.3}, {"thresholds": [0.1, 0.45, 0.7]}, {"thresholds": 0.0}):
            metric(name, cfg, *some_bits)
    for name in ("Precision", "Recall"):
        for cfg in ({"top_k": 1}, {"top_k": 2}, {"top_k": 2, "class_id": 1}, {"class_id": 0}, {"class_id": 2, "thresholds": 0.2}, {"top_k": 2, "thresholds": [0.2, 0.3]}):
            metric(name, cfg, "hot_m", "bits_m", "ties_m")
    for name, given in (("PrecisionAtRecall", "recall"), ("RecallAtPrecision", "precision"), ("SensitivityAtSpecificity", "specificity"), ("SpecificityAtSensitivity", "sensitivity")):
        for at in (0.0, 0.3, 0.8, 1.0):
            metric(name, {given: at}, *some_bits)
        metric(name, {given: 0.6, "num_thresholds": 1}, "bits_c", "bits_m")
        metric(name, {given: 0.6, "num_thresholds": 17}, "bits_c", "bits_m", "ties")
        metric(name, {given: 0.5, "class_id": 1}, "hot_m", "bits_m")
    for curve in ("ROC", "PR", "PRGAIN"):
        for how in ("interpolation", "minoring", "majoring"):
            cfg = {"curve": curve, "summation_method": how}
            metric("AUC", {"num_thresholds": 200, **cfg}, "bits_c", "bits_m", "ties", edges=False)
            metric("AUC", {"num_thresholds": 11, **cfg}, "bits_c", "ties", edges=False)
            metric("AUC", {"thresholds": [0.15, 0.4, 0.72], **cfg}, "bits_c", "bits_m", edges=False)
            metric("AUC", {"num_thresholds": 200, "from_logits": True, **cfg}, "bit_logits_c", edges=False)
            metric("AUC", {"num_thresholds": 200, "multi_label": True, **cfg}, "bits_m", weighted=False)
            metric("AUC", {"num_thresholds": 50, "multi_label": True, "num_labels": 3, "label_weights": [0.5, 2.0, 1.0], **cfg}, "bits_m", weighted=False)
            metric("AUC", {"num_thresholds": 50, "label_weights": [0.5, 2.0, 1.0], **cfg}, "bits_m", weighted=False)
    for average in (None, "micro", "macro", "weighted"):
        metric("F1Score", {"average": average}, "hot_m", "hot_two", edges=False)
        metric("F1Score", {"average": average, "threshold": 0.3}, "hot_m", "bits_m", "bits_c", edges=False)
        metric("FBetaScore", {"average": average, "beta": 0.5}, "hot_m", edges=False)
    for cfg in ({}, {"class_aggregation": "variance_weighted_average"}, {"class_aggregation": None}, {"num_regressors": 2}):
        metric("R2Score", cfg, "numbers_c", "numbers_m", "counts_m", edges=False)
    for name in ("PearsonCorrelation", "ConcordanceCorrelation"):
        metric(name, {}, "numbers_m", "counts_m", "numbers_one", "numbers_t")
        metric(name, {"axis": 1}, "numbers_t", weighted=False)
    metric("Mean", {}, "numbers_v", "numbers_m", "numbers_t")
    metric("Sum", {}, "numbers_v", "numbers_m", "numbers_t")
    # With a float dtype: with Keras's default weights are cut to whole numbers, and what is below 1 counts nothing.
    float_ = {"dtype": "float64"}
    for ignore in ({}, {"ignore_class": 1}):
        metric("MeanIoU", {"num_classes": 4, **ignore, **float_}, "ids_m", weighted=False)
        metric("MeanIoU", {"num_classes": 5, **ignore, **float_}, "ids_t", weighted=False)
        metric("MeanIoU", {"num_classes": 4, "sparse_y_true": False, "sparse_y_pred": False, **ignore, **float_}, "hot_m")
        metric("MeanIoU", {"num_classes": 4, "sparse_y_pred": False, **ignore, **float_}, "labels_m")
        metric("IoU", {"num_classes": 4, "target_class_ids": [0, 3], **ignore, **float_}, "ids_m", weighted=False)
        metric("IoU", {"num_classes": 4, "target_class_ids": [2], "sparse_y_true": False, "sparse_y_pred": False, **ignore, **float_}, "hot_m")
        metric("OneHotIoU", {"num_classes": 4, "target_class_ids": [1, 2], **ignore, **float_}, "hot_m")
        metric("OneHotMeanIoU", {"num_classes": 4, **ignore, **float_}, "hot_m")
        metric("OneHotMeanIoU", {"num_classes": 5, **ignore, **float_}, "hot_t")
    for cfg in ({}, {"target_class_ids": [0]}, {"target_class_ids": [1], "threshold": 0.3}):
        metric("BinaryIoU", {**cfg, **float_}, "bits_c", "ties")


def all_ctc():
    """Lengths, repeats, another blank, frames that are just enough, no labels at all."""
    for seed, blank, frames, classes, rows, counts, lengths in [
        (500, 0, 7, 5, [[1, 2, 3], [2, 2, 4], [3, 0, 0], [0, 0, 0]], [3, 3, 1, 0], [7, 7, 4, 6]),
        (501, 4, 5, 5, [[0, 0, 0], [1, 2, 1], [3, 3, 4]], [3, 3, 2], [5, 3, 3]),
        (502, 0, 12, 3, [[1, 2, 2, 1, 1], [2, 1, 0, 0, 0]], [5, 2], [12, 10]),
        (503, 1, 1, 2, [[0]], [1], [1]),
    ]:
        y, z = np.array(rows), some(seed, (len(rows), frames, classes), -2, 2)
        f = lambda x: ops.ctc_loss(jnp.asarray(y), x, jnp.asarray(counts), jnp.asarray(lengths), mask_index=blank)
        case = {"y": arr(y), "p": arr(z), "counts": counts, "lengths": lengths, "blank": blank, "value": arr(f(jnp.asarray(z))), "decoded": []}
        case["grad"] = arr(jax.grad(lambda x: jnp.sum(f(x) * jnp.arange(1.0, len(rows) + 1)))(jnp.asarray(z)))
        for how in ({"strategy": "greedy"}, {"strategy": "greedy", "merge_repeated": False}, {"strategy": "beam_search", "beam_width": 3, "top_paths": 2},
                    {"strategy": "beam_search", "beam_width": 50, "top_paths": 3 if frames > 1 else 2}):
            paths, scores = ops.ctc_decode(jnp.asarray(z), jnp.asarray(lengths), mask_index=blank, **how)
            case["decoded"].append({**how, "paths": arr(paths), "scores": arr(scores)})
        ctc.append(case)
    y = np.array([[1, 2, 0], [3, 3, 1], [0, 0, 0]])
    sets["ctc"] = (y, some(510, (3, 6, 4), -2, 2))
    loss("CTC", {}, "ctc", weights=[None, np.array([1.0, 0.5, 2.0])], masks=False)


arrays = []


def number(array):
    """Weights and masks stand in the file once, by number."""
    if array is None:
        return None
    if array not in arrays:
        arrays.append(array)
    return arrays.index(array)


def short(a):
    """Numbers with the digits that are compared: 12 (9 where it matters)."""
    return None if a is None else [v if isinstance(v, str) else float(f"{v:.12g}") for v in a["data"]]


def compact(rows, run):
    """Rows of one name and configuration as one, with a list for each run."""
    groups = {}
    for row in rows:
        if (found := run(row)) is not None:
            key = (row["name"], str(row["config"]))
            head = {k: row[k] for k in ("name", "config", "key", "precision") if k in row}
            groups.setdefault(key, {**head, "runs": []})["runs"].append(found)
    return list(groups.values())


def loss_run(row):
    zeros = "weights" in row and not any(row["weights"]["data"])
    if row["reduction"] == "none" and ("weights" in row or "mask" in row):
        return None  # nothing but a product
    if row["reduction"] == "mean_with_sample_weight" and row["name"] in ("Dice", "Tversky") and row["weights"]["shape"] == [1]:
        return None  # Keras does not divide by the weight of a batch of one row, of larger ones it does
    grad = None if zeros else row.get("grad")
    return [row["set"], number(row.get("weights")), number(row.get("mask")), row["reduction"], short(row["value"]), short(grad)]


def metric_run(row):
    return [row["set"], number(row.get("weights"))] + [short(r) for r in row["results"]]


def write_all(sets, losses, metrics, ctc):
    of_losses, of_metrics = compact(losses, loss_run), compact(metrics, metric_run)
    write("scores.json", {"floatx": "float64"}, sets=sets, arrays=arrays, losses=of_losses, metrics=of_metrics, ctc=ctc)


if __name__ == "__main__":
    use_float("float64")
    make_sets()
    all_losses()
    all_metrics()
    all_ctc()
    used = {c["set"] for c in losses + metrics}
    write_all({k: {"y": arr(y), "p": arr(p)} for k, (y, p) in sets.items() if k in used}, losses, metrics, ctc)
    for s in goldens.SKIPPED:
        print("skipped:", s)
