"""Golden values of the applications: Keras 3.15.1 and keras-hub 0.32, float64, with parameters made by a formula.

Writes goldens/applications.json: for each network how many numbers its parameters hold, and its output for an input made by a formula. The
same formula stands in tests/all/applications.rs.

    KERAS_BACKEND=jax JAX_ENABLE_X64=1 python applications.py
"""
import json
import os
import pathlib

os.environ["KERAS_BACKEND"] = "jax"
os.environ["JAX_ENABLE_X64"] = "1"
import keras  # noqa: E402
import keras_hub  # noqa: E402
import numpy as np  # noqa: E402

from kit import in_float64  # noqa: E402

in_float64()
A = keras.applications
HERE = pathlib.Path(__file__).parent


def wave(shape, phase):
    """Numbers between -1 and 1 that do not repeat."""
    n = int(np.prod(shape))
    return np.cos(np.arange(n, dtype="float64") * 0.7 + phase).reshape(shape)


def value(index, name, shape):
    """The parameter of this number in the order of the network's own."""
    v = wave(shape, index)
    if name in ("moving_variance", "gamma"):
        return 1.0 + 0.25 * v
    if len(shape) < 2:
        return 0.1 * v
    fan = int(np.prod(shape[:-1]))
    return v * np.sqrt(1.5 / fan)


def fill(layers):
    index = 0
    for layer in layers:
        for v in layer.weights:
            v.assign(value(index, v.path.split("/")[-1], tuple(v.shape)))
            index += 1


def case(name, settings, model, inputs, output):
    fill(model.layers)
    y = np.asarray(output(model(inputs)), dtype="float64").ravel()
    step = max(1, len(y) // 40)
    return {
        "name": name,
        "settings": settings,
        "params": model.count_params(),
        "output": [float(f"{v:.15g}") for v in y[::step]],
        "every": step,
    }


def classifiers():
    image = wave((2, 40, 36, 3), 0.5)
    for name in ["ResNet50", "ResNet50V2", "MobileNetV2"]:
        for settings in [
            {"include_top": False, "pooling": "avg"},
            {"include_top": False, "pooling": "max", "input_shape": [40, 36, 3]},
            {"include_top": True, "classes": 7, "input_shape": [40, 36, 3]},
            {"include_top": True, "classes": 5, "input_shape": [40, 36, 3], "classifier_activation": None},
        ]:
            given = dict(settings)
            if name == "MobileNetV2":
                given["alpha"] = 0.5
            yield case(name, given, getattr(A, name)(weights=None, **given), image, lambda y: y)
    given = {"include_top": False, "alpha": 1.4, "input_shape": [33, 40, 3]}
    yield case("MobileNetV2", given, A.MobileNetV2(weights=None, **given), wave((1, 33, 40, 3), 0.5), lambda y: y)
    given = {"include_top": False, "pooling": "avg"}
    yield case("VGG16", given, A.VGG16(weights=None, **given), wave((1, 33, 34, 3), 0.5), lambda y: y)


def transformers():
    ids = (np.arange(12).reshape(2, 6) * 5) % 23
    segments = np.arange(12).reshape(2, 6) % 2
    mask = np.array([[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0]])
    sizes = {"vocabulary_size": 23, "num_layers": 2, "num_heads": 2, "hidden_dim": 8, "intermediate_dim": 12, "max_sequence_length": 9}
    bert = keras_hub.models.BertBackbone(dropout=0.0, **sizes)
    # The pooler is no part of the encoder.
    layers = [layer for layer in bert.layers if layer.name != "pooled_dense"]
    fill(layers)
    y = np.asarray(bert({"token_ids": ids, "segment_ids": segments, "padding_mask": mask})["sequence_output"]).ravel()
    count = sum(int(np.prod(v.shape)) for layer in layers for v in layer.weights)
    yield {"name": "Bert", "settings": sizes, "params": count, "output": [float(f"{v:.15g}") for v in y[::3]], "every": 3}
    gpt2 = keras_hub.models.GPT2Backbone(dropout=0.0, **sizes)
    fill(gpt2.layers)
    h = gpt2({"token_ids": ids, "padding_mask": np.ones_like(ids)})
    y = np.asarray(gpt2.token_embedding(h, reverse=True)).ravel()
    yield {"name": "GPT2", "settings": sizes, "params": gpt2.count_params(), "output": [float(f"{v:.15g}") for v in y[::7]], "every": 7}


def counts():
    """Of the whole networks, as published."""
    for name in ["ResNet50", "ResNet101", "ResNet152", "ResNet50V2", "ResNet101V2", "ResNet152V2", "MobileNetV2", "VGG16"]:
        yield [name, getattr(A, name)(weights=None).count_params()]


def main():
    cases = [*classifiers(), *transformers()]
    lines = ",\n".join(json.dumps(c) for c in cases)
    head = json.dumps(list(counts()))
    text = '{"keras": "%s", "keras_hub": "%s", "counts": %s, "cases": [\n%s\n]}\n' % (
        keras.__version__, keras_hub.__version__, head, lines)
    (HERE / "goldens/applications.json").write_text(text)


main()
