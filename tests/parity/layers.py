"""Writes the cases of layers: weights, inputs, outputs and gradients as Keras 3.15.1 computes them in float64 on JAX.

`python layers.py` for all of them, `python layers.py conv norm` for some families. The cases are in `cases/*.py`, what they
are made with is in `kit.py`, the files are `pack/*.safetensors`.
"""

import importlib
import os
import sys
import traceback

import kit
from keras.src.backend import set_keras_mask
from kit import *

sys.path.insert(0, HERE)


def run(pack, c, seed):
    in_float64()
    layer = L(c["layer"], **c["config"]).build()
    flat = [jnp.asarray(x) for x in c["inputs"]]
    named = {k: [jnp.asarray(x) for x in v] if isinstance(v, list) else jnp.asarray(v) for k, v in c["named"].items()}
    masks = None if c["masks"] is None else [None if m is None else jnp.asarray(m) for m in c["masks"]]
    single = len(flat) == 1
    takes_list = not single and len([p for p in inspect.signature(layer.call).parameters.values()
                                     if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]) == 1
    takes_list = takes_list and not accepts(layer, "encoder_sequence")

    def pieces(xs):
        return (list(xs),) if takes_list else tuple(xs)

    def keywords(named):
        kw = dict(named)
        kw.update(c["call"])
        if accepts(layer, "training"):
            kw["training"] = c["training"]
        if masks is not None and accepts(layer, "mask"):
            kw["mask"] = masks[0] if single else masks
        if masks is not None and accepts(layer, "query_mask"):
            for name, m in zip(("query_mask", "value_mask", "key_mask"), masks):
                kw[name] = m
        return kw

    layer(*pieces(flat), **keywords(named))  # builds it
    paths = variables(layer)
    randomize(paths, seed, c["weights"])
    if hasattr(layer, "finalize_state"):  # of Normalization, which computes with copies of its statistics
        layer.finalize_state()
    trainable = [v.value for v in layer.trainable_variables]
    other = [v.value for v in layer.non_trainable_variables]
    before = {path: np.asarray(v.value) for path, v in paths}
    ids = {id(v): path for path, v in paths}

    floats = [i for i, x in enumerate(flat) if is_float(x)]
    named_floats = [k for k, v in named.items() if all(is_float(x) for x in (v if isinstance(v, list) else [v]))]

    def whole_run(trainable, xs, ns):
        full = list(flat)
        for i, x in zip(floats, xs):
            full[i] = x
        # As between the layers of a model, where a tensor carries its mask: merging layers read it.
        for x, m in zip(full, masks or []):
            if m is not None:
                set_keras_mask(x, m)
        kw = dict(named)
        kw.update(zip(named_floats, ns))
        state = list(zip(layer.trainable_variables, trainable)) + list(zip(layer.non_trainable_variables, other))
        # Not `stateless_call`, which leaves out the penalty on the output.
        with keras.StatelessScope(state_mapping=state, collect_losses=True) as scope:
            out = layer(*pieces(full), **keywords(kw))
            losses = list(layer.losses)
        other_after = [scope.get_current_value(v) for v in layer.non_trainable_variables]
        other_after = [v.value if a is None else a for v, a in zip(layer.non_trainable_variables, other_after)]
        outs = [o for o in jax.tree_util.tree_leaves(out) if o is not None]
        scalar = sum((jnp.sum(o * k) for o, k in zip(outs, cotangents) if k is not None), jnp.zeros((), "float64"))
        scalar = scalar + sum(losses, jnp.zeros((), "float64"))
        return scalar, (outs, other_after, sum(losses, jnp.zeros((), "float64")))

    cotangents = []
    shapes = jax.eval_shape(lambda t, x, n: whole_run(t, x, n)[1], trainable, [flat[i] for i in floats], [named[k] for k in named_floats])[0]
    cotangents = [some(seed + 500 + i, *o.shape) if "float" in str(o.dtype) else None for i, o in enumerate(shapes)]
    args = (trainable, [flat[i] for i in floats], [named[k] for k in named_floats])
    single_precision = "f32[" in str(jax.make_jaxpr(lambda *a: whole_run(*a))(*args))
    differentiable = any(k is not None for k in cotangents)
    if differentiable:
        (_, (outs, after, losses)), (gt, gx, gn) = jax.jit(jax.value_and_grad(whole_run, argnums=(0, 1, 2), has_aux=True))(*args)
    else:
        (_, (outs, after, losses)), (gt, gx, gn) = whole_run(*args), ([], [], [])

    # A mask given by name is that of the first input, and goes on like one of its own.
    by_name = named.get("mask", named.get("query_mask"))
    if masks is None and by_name is not None and c["layer"] != "Softmax":
        masks = by_name if isinstance(by_name, list) else [by_name] + [None] * (len(flat) - 1)
    out_masks = [None] * len(outs)
    if layer.supports_masking and (masks is not None or c["layer"] in ("Masking", "Embedding")):
        # Of inputs that are arguments of their own, Keras asks for the mask of the first.
        first = single or not takes_list
        given = (flat[0] if first else flat), (None if masks is None else masks[0] if first else masks)
        got = layer.compute_mask(*given)
        got = list(got) if isinstance(got, (list, tuple)) else [got]
        out_masks = (got + [None] * len(outs))[: len(outs)]

    gradients = {ids[id(v)]: g for v, g in zip(layer.trainable_variables, gt)}
    changed = {ids[id(v)]: a for v, a in zip(layer.non_trainable_variables, after)
               if id(v) in ids and not np.array_equal(np.asarray(a), np.asarray(before[ids[id(v)]]))}
    item = {
        "layer": c["layer"], "config": {k: described(v) for k, v in {**c["config"], **c["call"]}.items()},
        "training": c["training"],
        "inputs": [pack.put(x) for x in c["inputs"]],
        "masks": None if c["masks"] is None else [None if m is None else pack.put(m) for m in c["masks"]],
        "named": [[k, pack.put(x)] for k, v in c["named"].items() for x in (v if isinstance(v, list) else [v])],
        "weights": pack.puts(before),
        "outputs": [pack.put(o) for o in outs],
        "output_masks": [None if m is None else pack.put(m) for m in out_masks],
        "cotangents": [None if k is None else pack.put(k) for k in cotangents],
        "losses": float(losses),
        "weight_gradients": pack.puts(gradients),
        "input_gradients": {str(i): pack.put(g) for i, g in zip(floats, gx)},
        "named_gradients": [[k, pack.put(x)] for k, v in zip(named_floats, gn) for x in (v if isinstance(v, list) else [v])],
        "after": pack.puts(changed),
    }
    if single_precision:
        item["precision"] = "float32"
    if c["note"]:
        item["note"] = c["note"]
    pack.cases.append(item)


def main(wanted):
    families = sorted(f[:-3] for f in os.listdir(os.path.join(HERE, "cases")) if f.endswith(".py"))
    for family in wanted or families:
        kit.CASES.clear()
        importlib.import_module(f"cases.{family}")
        pack, failed = Pack(), 0
        for i, c in enumerate(list(kit.CASES)):
            try:
                run(pack, c, 1000 + 37 * i)
            except Exception:
                failed += 1
                print(f"{family} {i}: {c['layer']} {c['config']}\n{traceback.format_exc(limit=-4)}", flush=True)
        if failed:
            raise SystemExit(f"{failed} cases of {family} failed")
        pack.write(family)


if __name__ == "__main__":
    main(sys.argv[1:])
