"""What the cases of layers and models are made with: Keras in float64 on JAX, values from seeds, and the files of the pack.

A file of the pack is a safetensors file: 8 bytes with the length of a JSON header, the header, the numbers. The entry
`__metadata__` of the header holds the list of cases under `cases`, which names tensors by their number.
"""

import json
import os
import sys

os.environ["KERAS_BACKEND"] = "jax"
os.environ["JAX_ENABLE_X64"] = "1"
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = "--xla_backend_optimization_level=0"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import inspect

import jax
import jax.numpy as jnp
import keras
import numpy as np
from keras.src.backend.common import dtypes

HERE = os.path.dirname(os.path.abspath(__file__))
PACK = os.path.join(HERE, "pack")


def in_float64():
    """Keras in float64, everywhere."""
    keras.backend.clear_session()
    jax.clear_caches()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    # On JAX, Keras resolves (float64, float) to float32 whatever floatx is, so that some twenty functions would silently
    # round float64 to float32. This entry is the only thing changed in Keras.
    dtypes.BIT64_TO_BIT32_DTYPE["float64"] = "float64"


def some(seed, *shape, low=-1.0, high=1.0):
    """Float values of three decimals, the same for the same seed."""
    return np.round(np.random.RandomState(seed).uniform(low, high, shape), 3)


def whole(seed, below, *shape):
    """Whole numbers from 0."""
    return np.random.RandomState(seed).randint(0, below, shape).astype("int64")


def bools(rows):
    """A mask from rows of 0 and 1."""
    return np.asarray(rows, dtype=bool)


class L:
    """A layer as an argument of another one: L("LSTM", units=3)."""

    def __init__(self, name, **config):
        self.name, self.config = name, config

    def build(self):
        home = keras.layers
        if not hasattr(home, self.name):
            import keras_hub  # where transformer blocks and encodings of positions are

            home = keras_hub.layers
        return getattr(home, self.name)(**{k: built(v) for k, v in self.config.items()})


class Of(L):
    """Anything else by its module: Of(keras.initializers, "Constant", value=.5)."""

    def __init__(self, module, name, **config):
        super().__init__(name, **config)
        self.module = module

    def build(self):
        return getattr(self.module, self.name)(**self.config)


def built(v):
    if isinstance(v, L):
        return v.build()
    return [built(x) for x in v] if isinstance(v, list) else v


def described(v):
    """A setting as JSON: nested layers as {class_name, config}."""
    if isinstance(v, L):
        return {"class_name": v.name, "config": {k: described(x) for k, x in v.config.items()}}
    if isinstance(v, (list, tuple)):
        return [described(x) for x in v]
    return v


CASES = []


def case(layer, config, inputs, training=False, masks=None, named=None, call=None, weights=None, note=None):
    """One configuration of a layer.

    layer, config   Keras's name and its constructor's arguments (L(...) for a layer inside).
    inputs          a list of arrays, by position.
    masks           the masks of the inputs by position (None where there is none).
    named           {name: array} of call arguments that are tensors, such as initial_state or attention_mask; a list of arrays
                    under one name is given as several inputs of that name.
    call            call arguments that are no tensors, such as use_causal_mask; on our side they are settings.
    weights         {path: array}: values in place of random ones.
    """
    CASES.append(dict(layer=layer, config=config, inputs=inputs, training=training, masks=masks, named=named or {},
                      call=call or {}, weights=weights or {}, note=note))


def variables(layer):
    """[(path, variable)] of a layer and the layers in it, by the attributes' names, in the order of creation."""
    from keras.src.saving import saving_lib

    out, seen = [], set()

    def walk(at, path):
        if id(at) in seen:
            return
        seen.add(id(at))
        if isinstance(at, keras.layers.Layer):
            for v in at._trainable_variables + at._non_trainable_variables:
                if "seed_generator" not in v.path and "seed_state" not in v.path:
                    out.append((path + v.name, v))
        if isinstance(at, keras.Model):
            for child in at.layers:
                walk(child, f"{path}{child.name}/")
            return
        children = sorted(saving_lib._walk_saveable(at), key=lambda item: (item[0].startswith("_"), item[0]))
        for name, child in children:
            # Some attention layers have no public name for their projections, keras-hub's blocks none for any part.
            hub = type(at).__module__.startswith("keras_hub") and isinstance(child, keras.layers.Layer)
            if (name.startswith("_") and not hub and not name.endswith("_dense")) or name == "seed_generator":
                continue
            name = name.lstrip("_")
            if type(at).__name__ == "TransformerDecoder":  # whose parts have other names than attributes
                name = name.removesuffix("_layer") if name.endswith("attention_layer") else name
                name = "cross/" + name if name.startswith("cross") else name
            if isinstance(child, keras.layers.Layer):
                walk(child, f"{path}{name}/")
            elif isinstance(child, (list, tuple)) and child and all(isinstance(c, keras.layers.Layer) for c in child):
                for i, c in enumerate(child):
                    walk(c, f"{path}{name}/{i}/")

    walk(layer, "")
    # A wrapper that holds a variable of the layer inside as an attribute of its own has it once: inside.
    return list({id(v): (path, v) for path, v in out}.values())


def randomize(paths, seed, given=None):
    """Sets variables to values from a seed: variances positive, counts as they are."""
    for i, (path, v) in enumerate(paths):
        if given and path in given:
            v.assign(given[path])
        elif "float" in str(v.dtype):
            low, high = (0.5, 1.5) if "variance" in path or "stddev" in path else (-0.6, 0.6)
            v.assign(some(seed + i, *v.shape, low=low, high=high))


class Pack:
    """Collects tensors and cases and writes them."""

    def __init__(self):
        self.tensors, self.cases = [], []

    def put(self, x):
        a = np.asarray(x)
        if a.dtype == np.float32:
            a = a.astype(np.float64)
        if a.dtype.kind in "iu":
            a = a.astype(np.int64)
        if a.dtype not in (np.float64, np.int64, np.bool_):
            raise TypeError(f"a tensor of {a.dtype}")
        self.tensors.append(np.asarray(a, order="C"))
        return len(self.tensors) - 1

    def puts(self, named):
        return {k: self.put(v) for k, v in named.items()}

    def write(self, name):
        os.makedirs(PACK, exist_ok=True)
        names = {np.dtype("float64"): "F64", np.dtype("int64"): "I64", np.dtype("bool"): "BOOL"}
        header, at = {"__metadata__": {"keras": keras.__version__, "jax": jax.__version__, "cases": json.dumps(self.cases)}}, 0
        for i, a in enumerate(self.tensors):
            header[str(i)] = {"dtype": names[a.dtype], "shape": list(a.shape), "data_offsets": [at, at + a.nbytes]}
            at += a.nbytes
        text = json.dumps(header, separators=(",", ":")).encode()
        path = os.path.join(PACK, name + ".safetensors")
        with open(path, "wb") as f:
            f.write(len(text).to_bytes(8, "little") + text)
            for a in self.tensors:
                f.write(a.tobytes())
        print(f"{name}: {len(self.cases)} cases, {os.path.getsize(path)} bytes", flush=True)


def is_float(a):
    return np.asarray(a).dtype.kind == "f"


def accepts(layer, name):
    return name in inspect.signature(layer.call).parameters
