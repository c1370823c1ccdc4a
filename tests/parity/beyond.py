"""Writes goldens/beyond.json: what scikit-learn, sacrebleu, NLTK and keras-hub say of the figures that Keras itself lacks.

    python3.11 -m venv venv && venv/bin/pip install -r tests/parity/requirements-beyond.txt && venv/bin/python tests/parity/beyond.py
"""

import json
import math
import os

import nltk
import numpy as np
import sacrebleu
import sklearn
from sklearn import metrics as sk

HERE = os.path.dirname(os.path.abspath(__file__))
cases, texts, arrays = [], [], []


def arr(a):
    """The number of an array, each of which stands in the file once."""
    a = np.asarray(a)
    array = {"shape": list(a.shape), **({"dtype": "i64"} if a.dtype.kind in "iu" else {}), "data": a.ravel().tolist()}
    if array not in arrays:
        arrays.append(array)
    return arrays.index(array)


def case(name, config, y, p, value, w=None):
    cases.append({"name": name, "config": config, "y": arr(y), "p": arr(p), **({} if w is None else {"weights": arr(w)}), "value": float(value)})


def some(seed, *shape):
    return np.round(np.random.RandomState(seed).uniform(0, 1, shape), 3)


def ece(y, p, bins, norm, w):
    """Guo and others 2017, equation 3, with bins as in sklearn.calibration.calibration_curve."""
    at = np.searchsorted(np.arange(1, bins) / bins, p)
    gaps = [(w[at == b].sum(), abs((w * (p - y))[at == b].sum()) / w[at == b].sum()) for b in range(bins) if w[at == b].sum() > 0]
    share = np.array([g[0] for g in gaps]) / w.sum()
    gap = np.array([g[1] for g in gaps])
    return {"l1": (share * gap).sum(), "l2": math.sqrt((share * gap**2).sum()), "max": gap.max()}[norm]


for seed, n, k in [(1, 40, 4), (2, 9, 3), (3, 60, 2), (4, 25, 6)]:
    y, q = np.random.RandomState(seed).randint(0, k, n), some(seed + 10, n, k)
    q[np.arange(n), y] += 0.3  # better than chance
    q = np.round(q / q.sum(-1, keepdims=True), 4)
    pred = q.argmax(-1)
    for w in (None, np.round(0.25 + some(seed + 20, n), 2)):
        one = np.ones(n) if w is None else w
        case("MatthewsCorrelation", {}, y, q, sk.matthews_corrcoef(y, pred, sample_weight=w), w)
        for weights in (None, "linear", "quadratic"):
            case("CohenKappa", {"weights": weights or "none"}, y, q, sk.cohen_kappa_score(y, pred, labels=list(range(k)), weights=weights, sample_weight=w), w)
        case("BalancedAccuracy", {}, y, q, sk.balanced_accuracy_score(y, pred, sample_weight=w), w)
        case("BalancedAccuracy", {"adjusted": True}, y, q, sk.balanced_accuracy_score(y, pred, sample_weight=w, adjusted=True), w)
        for bins, norm in ((15, "l1"), (5, "l2"), (8, "max")):
            case("CalibrationError", {"bins": bins, "norm": norm}, y, q, ece((pred == y).astype(float), q.max(-1), bins, norm, one), w)
        b, s = (y % 2)[:, None].astype(float), q[:, :1] + np.round(0.3 * (y % 2)[:, None], 1)
        s = np.round(np.clip(s, 0, 1), 2)  # with ties
        case("AUC", {}, b, s, sk.roc_auc_score(b[:, 0], s[:, 0], sample_weight=w), w)
        case("AveragePrecision", {}, b, s, sk.average_precision_score(b[:, 0], s[:, 0], sample_weight=w), w)
        case("MatthewsCorrelation", {"threshold": 0.4}, b, s, sk.matthews_corrcoef(b[:, 0], s[:, 0] > 0.4, sample_weight=w), w)
        case("CohenKappa", {}, b, s, sk.cohen_kappa_score(b[:, 0], s[:, 0] > 0.5, sample_weight=w), w)
        case("BalancedAccuracy", {}, b, s, sk.balanced_accuracy_score(b[:, 0], s[:, 0] > 0.5, sample_weight=w), w)
        case("CalibrationError", {"bins": 10}, b, s, ece(b[:, 0], s[:, 0], 10, "l1", one), w)
        many = (some(seed + 30, n, k) > 0.5).astype(float)
        many[0], many[1] = 0, 1
        case("AUC", {"multi_label": True}, many, q, sk.roc_auc_score(many, q, sample_weight=w, average="macro"), w)
        case("AveragePrecision", {"multi_label": True}, many, q, sk.average_precision_score(many, q, sample_weight=w, average="macro"), w)
        case("AveragePrecision", {}, many, q, sk.average_precision_score(many.ravel(), q.ravel(), sample_weight=None if w is None else np.repeat(w, k)), w)
        case("R2Score", {}, many, q, sk.r2_score(many, q, sample_weight=w), w)
        case("R2Score", {"class_aggregation": "variance_weighted_average"}, many, q, sk.r2_score(many, q, sample_weight=w, multioutput="variance_weighted"), w)
# One class alone.
case("MatthewsCorrelation", {}, np.zeros(5, dtype=int), np.eye(2)[[0, 0, 1, 0, 1]], 0.0)

for refs, hyps in [
    (["the cat is on the mat", "there is a cat on the mat now"], ["the the cat is on a mat", "there is a cat on that mat"]),
    (["it is a guide to action that ensures that the military will forever heed party commands"], ["it is a guide to action which ensures that the military always obeys the commands of the party"]),
    (["one two three four five six seven"], ["one two three four five"]),
    (["a b"], ["a b c d e f"]),
    (["räksmörgås är gott"], ["räksmörgas är inte gott"]),
]:
    score = lambda order: sacrebleu.BLEU(tokenize="none", smooth_method="none", max_ngram_order=order, effective_order=False).corpus_score(hyps, [refs]).score / 100
    words = sum(nltk.edit_distance(r.split(), h.split()) for r, h in zip(refs, hyps))
    letters = sum(nltk.edit_distance(r, h) for r, h in zip(refs, hyps))
    texts.append({"references": [[r] for r in refs], "hypotheses": hyps, "bleu": [score(n) for n in (1, 2, 3, 4)],
                  "nltk": [nltk.translate.bleu_score.corpus_bleu([[r.split()] for r in refs], [h.split() for h in hyps], weights=[1 / n] * n) for n in (1, 2)],
                  "words": words / sum(len(r.split()) for r in refs), "letters": letters / sum(map(len, refs))})
refs = [["the cat is on the mat", "there is a cat on the mat"], ["hello there general", "hi there my general friend"]]
hyps = ["the cat is on that mat", "hello my general friend"]
multi = sacrebleu.BLEU(tokenize="none", smooth_method="none", effective_order=False, max_ngram_order=3).corpus_score(hyps, list(map(list, zip(*refs))))
texts.append({"references": refs, "hypotheses": hyps, "bleu": [None, None, multi.score / 100, None]})

dump = lambda rows: "[\n" + ",\n".join(json.dumps(r, separators=(",", ":"), allow_nan=False, ensure_ascii=False) for r in rows) + "\n]"
path = os.path.join(HERE, "goldens", "beyond.json")
with open(path, "w", encoding="utf-8") as f:
    f.write(f'{{\n"sklearn":"{sklearn.__version__}","sacrebleu":"{sacrebleu.__version__}","nltk":"{nltk.__version__}",\n"arrays":{dump(arrays)},\n"cases":{dump(cases)},\n"texts":{dump(texts)}\n}}\n')
print(os.path.getsize(path), "bytes,", len(cases), "cases")
