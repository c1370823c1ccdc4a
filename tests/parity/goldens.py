"""Writes the golden files that the parity tests compare gradus with.

Everything here is computed by Keras itself (JAX backend, float64 on the CPU); nothing is written by hand. Each section
below fills one file of `goldens/`. Run `python goldens.py` for all of them, or `python goldens.py losses metrics` for
some. The layout of the files is described in README.md.
"""

import contextlib
import io
import json
import math
import os
import re
import sys

os.environ["KERAS_BACKEND"] = "jax"
os.environ["JAX_ENABLE_X64"] = "1"
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = "--xla_backend_optimization_level=0"  # thousands of tiny programs: compiling is what takes time
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import jax
import jax.numpy as jnp
import keras
import numpy as np
from keras import ops
from keras.src.backend.common import dtypes

sys.stdout.reconfigure(encoding="utf-8")
HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "goldens")
SKIPPED = []


def use_float(name):
    keras.backend.clear_session()
    jax.clear_caches()
    keras.config.set_floatx(name)
    keras.config.set_dtype_policy(name)
    # On JAX, Keras resolves (float64, float) to float32 whatever floatx is, so that tanh, var, sin, floor, norm and some
    # twenty other functions would silently round float64 to float32. This entry is the only thing changed in Keras.
    dtypes.BIT64_TO_BIT32_DTYPE["float64"] = "float64"


# --------------------------------------------------------------------------------------------------------------------
# JSON


def arr(x):
    """An array as {"shape", "data"}, with "dtype" when it is not a float. float32 here would be a hidden rounding."""
    a = np.asarray(x)
    if a.dtype.kind == "b":
        return {"shape": list(a.shape), "dtype": "bool", "data": [int(v) for v in a.ravel()]}
    if a.dtype.kind in "iu":
        return {"shape": list(a.shape), "dtype": "i64", "data": [int(v) for v in a.ravel()]}
    if a.dtype != np.float64:
        raise TypeError(f"an array of {a.dtype} where float64 was promised")
    return {"shape": list(a.shape), "data": [flt(v) for v in a.ravel()]}


def flt(v):
    v = float(v)
    return v if math.isfinite(v) else ("nan" if v != v else ("inf" if v > 0 else "-inf"))


def logs(d):
    return {k: (arr(v) if np.ndim(v) else flt(v)) for k, v in d.items()}


def write(name, header, **lists):
    """One line per list item, so that a change shows as the lines it touches."""
    dump = lambda v: json.dumps(v, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    head = {"keras": keras.__version__, "backend": "jax " + jax.__version__, **header}
    lines = [f"{dump(k)}:{dump(v)}" for k, v in head.items()]
    for key, items in lists.items():
        if isinstance(items, dict):
            body = ",\n".join(f"{dump(k)}:{dump(v)}" for k, v in items.items())
            lines.append(f"{dump(key)}:{{\n{body}\n}}")
        else:
            lines.append(f"{dump(key)}:[\n" + ",\n".join(dump(i) for i in items) + "\n]")
    path = os.path.join(OUT, name)
    with open(path, "w", encoding="utf-8") as f:
        f.write("{\n" + ",\n".join(lines) + "\n}\n")
    json.load(open(path, encoding="utf-8"))
    print(f"{name}: {os.path.getsize(path)} bytes, {sum(len(v) for v in lists.values())} items", flush=True)


def rng(seed):
    return np.random.RandomState(seed)


def some(seed, shape, low=-1.0, high=1.0):
    """Values of three decimals: short in the file, exact in both languages."""
    return np.round(rng(seed).uniform(low, high, shape), 3)


def expect(what, got, want, tol=2e-6):
    """A value published in the reference; Keras must still agree."""
    got = np.asarray(got, dtype=np.float64).ravel()
    want = np.asarray(want, dtype=np.float64).ravel()
    if got.shape != want.shape or not np.allclose(got, want, rtol=tol, atol=tol):
        raise SystemExit(f"{what}: Keras says {got.tolist()}, the reference {want.tolist()}")


def attempt(what, f):
    try:
        return f()
    except Exception as e:  # what Keras cannot do is listed, not hidden
        SKIPPED.append(f"{what}: {type(e).__name__}: {str(e).splitlines()[0][:160] if str(e) else ''}")
        return None


def is_float(x):
    return np.asarray(x).dtype.kind == "f"


def value_and_vjp(f, inputs, seed):
    """Outputs of f, fixed cotangents for its float outputs, and the gradients they pull back to the float inputs.

    The scalar that is differentiated is sum over outputs of sum(output * cotangent).
    """
    inputs = [jnp.asarray(x) for x in inputs]
    flat = jax.tree_util.tree_leaves
    outputs = [jnp.zeros(o.shape, o.dtype) for o in flat(jax.eval_shape(f, *inputs))]
    cot = [some(seed + 7 * i, np.shape(o), -1, 1) if is_float(o) else None for i, o in enumerate(outputs)]
    where = [i for i, x in enumerate(inputs) if is_float(x)]
    if not where or all(c is None for c in cot):
        return [np.asarray(o) for o in flat(jax.jit(f)(*inputs))], cot, None

    def scalar(*xs):
        full = list(inputs)
        for i, x in zip(where, xs):
            full[i] = x
        outs = flat(f(*full))
        return sum(jnp.sum(o * c) for o, c in zip(outs, cot) if c is not None), outs

    run = jax.jit(jax.value_and_grad(scalar, argnums=tuple(range(len(where))), has_aux=True))
    (_, outs), got = run(*[inputs[i] for i in where])
    grads = [None] * len(inputs)
    for i, g in zip(where, got):
        grads[i] = g
    return outs, cot, grads


def rounded(f, inputs):
    """Does Keras fall back to float32 somewhere inside f? Such a case is compared with a wider tolerance."""
    try:
        return "f32[" in str(jax.make_jaxpr(f)(*[jnp.asarray(x) for x in inputs]))
    except jax.errors.ConcretizationTypeError:
        return False  # the shape depends on the values: integers only, here


def opt(a):
    return None if a is None else arr(a)


# --------------------------------------------------------------------------------------------------------------------
# 1. Activations


def activations():
    use_float("float64")
    points = np.array([0.0, 1e-30, -1e-30, 1e-8, -1e-8, 1e-3, -1e-3, 0.1, -0.1, 0.25, -0.25, 0.5, -0.5, 0.75, -0.75,
                       1.0, -1.0, 1.5, -1.5, 2.5, -2.5, 3.0, -3.0, 6.0, -6.0, 7.25, -7.25, 30.0, -30.0, 800.0, -800.0])
    A = keras.activations
    elementwise = [
        ("relu", {}), ("relu", {"negative_slope": 0.1, "max_value": 2.0, "threshold": 0.5}), ("relu", {"max_value": 6.0}),
        ("leaky_relu", {}), ("leaky_relu", {"negative_slope": 0.3}), ("relu6", {}), ("sigmoid", {}), ("tanh", {}),
        ("softplus", {}), ("softsign", {}), ("elu", {}), ("elu", {"alpha": 0.5}), ("selu", {}), ("gelu", {}),
        ("gelu", {"approximate": True}), ("silu", {}), ("hard_sigmoid", {}), ("hard_silu", {}), ("exponential", {}),
        ("linear", {}), ("mish", {}), ("celu", {}), ("celu", {"alpha": 0.5}), ("log_sigmoid", {}), ("hard_tanh", {}),
        ("tanh_shrink", {}), ("soft_shrink", {}), ("soft_shrink", {"threshold": 1.0}), ("hard_shrink", {}),
        ("hard_shrink", {"threshold": 1.0}), ("threshold", {"threshold": 0.5, "default_value": -1.0}), ("squareplus", {}),
        ("squareplus", {"b": 1.0}), ("sparse_plus", {}), ("sparse_sigmoid", {}),
    ]
    cases = []
    for name, cfg in elementwise:
        f = lambda x: getattr(A, name)(x, **cfg)
        slope = lambda x: np.asarray(jax.grad(lambda v: jnp.sum(f(v)))(jnp.asarray(x)))
        x = points[np.abs(points) <= 30.0] if name == "exponential" else points
        with np.errstate(all="ignore"):
            step = np.maximum(1e-9 * np.abs(x), 1e-31)
            kinks = np.flatnonzero(np.abs(slope(x + step) - slope(x - step)) > 1e-4 * np.maximum(1.0, np.abs(slope(x))))
        cases.append({"name": name, "config": cfg, "x": "points" if x is points else arr(x), "y": arr(f(jnp.asarray(x))),
                      "dy": arr(slope(x)), "kinks": kinks.tolist()})
    check = {"gelu": 1.3997892, "silu": 1.2263616, "hard_sigmoid": 0.75, "selu": 1.5760515, "mish": 1.4033782,
             "softplus": 1.7014133, "hard_silu": 1.125, "squareplus": 2.0, "softsign": 0.6, "log_sigmoid": -0.2014133,
             "tanh_shrink": 0.5948518, "soft_shrink": 1.0}
    for c in cases:
        if c["name"] in check and not c["config"]:
            expect(c["name"], c["y"]["data"][points.tolist().index(1.5)], check[c["name"]])
    rows = np.array([[0.0, 1.0, -1.0, 2.5], [3.0, 3.0, -6.0, 0.5], [30.0, -30.0, 0.0, 1e-8], [800.0, 799.0, -800.0, 0.1],
                     [-0.3, 0.2, 0.05, -0.1], [5.0, 5.0, 5.0, 5.0]])
    cube = some(11, (2, 4, 3), -2, 2)
    vector = []
    for name, x, cfg in [("softmax", rows, {}), ("softmax", cube, {"axis": 1}), ("log_softmax", rows, {}),
                         ("log_softmax", cube, {"axis": 1}), ("sparsemax", rows[:1], {}), ("sparsemax", rows[4:5], {}),
                         ("sparsemax", cube, {}), ("glu", rows, {}), ("glu", cube, {"axis": 1})]:
        (y,), (c,), (g,) = value_and_vjp(lambda v: getattr(A, name)(v, **cfg), [x], 21)
        vector.append({"name": name, "config": cfg, "x": arr(x), "y": arr(y), "cotangent": arr(c), "grad": arr(g)})
    write("activations.json", {"floatx": "float64", "points": arr(points)}, elementwise=cases, vector=vector)


# --------------------------------------------------------------------------------------------------------------------
# 2. Operations


def operations():
    use_float("float64")
    cases = []

    def case(group, op, inputs, args=None, call=None, grads=True, note=None):
        args = args or {}
        f = call or (lambda *xs: getattr(ops, op)(*xs, **args))

        def run():
            ins = [np.asarray(x) for x in inputs]
            if grads:
                outs, cot, gr = value_and_vjp(f, ins, 31)
            else:
                outs, cot, gr = jax.tree_util.tree_leaves(f(*[jnp.asarray(x) for x in ins])), None, None
            row = {"group": group, "op": op, "args": args, "inputs": [arr(x) for x in ins], "outputs": [arr(o) for o in outs]}
            if gr is not None:
                row["cotangents"] = [opt(c) for c in cot]
                row["grads"] = [opt(g) for g in gr]
            if note:
                row["note"] = note
            if rounded(f, ins):
                row["precision"] = "float32"
            cases.append(row)

        attempt(f"ops.{op} {args}", run)

    anywhere = np.array([-30.0, -6.0, -2.3, -1.0, -0.4, -1e-3, -1e-8, 1e-8, 1e-3, 0.3, 0.9, 1.0, 2.7, 6.0, 30.0])
    positive = np.array([1e-12, 1e-3, 0.1, 0.5, 0.9, 1.0, 1.1, 2.0, 2.718281828459045, 10.0, 123.456, 1e6])
    unit = np.array([-0.999, -0.7, -0.3, -1e-3, -1e-8, 1e-8, 1e-3, 0.2, 0.6, 0.95])
    steps = np.array([-2.7, -2.5, -1.5, -1.2, -0.5, -0.3, 0.2, 0.5, 0.7, 1.5, 2.5, 3.5, 3.9, 1e6 + 0.5])
    for op in ["exp", "expm1", "exp2", "sin", "cos", "tan", "sinh", "cosh", "tanh", "arcsinh", "arctan", "erf", "erfc", "abs",
               "sign", "square", "negative", "reciprocal", "cbrt", "sigmoid", "sinc", "deg2rad", "rad2deg", "i0"]:
        case("unary", op, [anywhere])
    for op in ["log", "log2", "log10", "log1p", "sqrt", "rsqrt"]:
        case("unary", op, [positive])
    case("unary", "log1p", [np.array([-0.999, -0.5, -1e-8, 1e-12, 1e-3])])
    for op in ["arcsin", "arccos", "arctanh", "erfinv"]:
        case("unary", op, [unit])
    case("unary", "arccosh", [np.array([1.001, 1.5, 2.0, 10.0, 1e6])])
    for op in ["round", "floor", "ceil", "trunc"]:
        case("unary", op, [steps])
    case("unary", "round", [np.array([1.2345, -2.3455, 10.005, 123.4567])], {"decimals": 2}, grads=False)
    for op in ["isnan", "isinf", "isfinite"]:
        case("unary", op, [np.array([0.0, 1.0, np.nan, np.inf, -np.inf])], grads=False)
    case("unary", "logical_not", [np.array([True, False])], grads=False)
    case("unary", "nan_to_num", [np.array([0.5, np.nan, np.inf, -np.inf])], grads=False)
    case("unary", "clip", [anywhere], {"x_min": -1.5, "x_max": 2.0})

    a = np.array([[1.5, -2.0, 0.3, 4.0], [-0.7, 2.5, -3.2, 0.9], [5.0, -1.1, 2.2, -6.5]])
    b = np.array([[0.5, 3.0, -1.2, 1.7], [-2.1, -0.4, 0.8, 2.6], [3.3, 1.9, -2.4, -0.6]])
    row, col = np.array([0.5, -1.5, 2.0, 3.0]), np.array([[1.0], [-2.0], [0.5]])
    pa, pb = np.abs(a), b
    for op in ["add", "subtract", "multiply", "divide", "maximum", "minimum", "logaddexp", "arctan2", "hypot",
               "logaddexp2"]:
        case("binary", op, [a, b])
        case("broadcast", op, [a, row])
        case("broadcast", op, [row, col])
    for op in ["floor_divide", "mod", "fmod"]:
        case("binary", op, [a, b], grads=False)
        case("broadcast", op, [a, row], grads=False)
    case("binary", "power", [pa, pb])
    case("binary", "power", [a, np.array([[2.0]])], note="negative bases, even exponent; no gradient for the exponent", grads=False)
    case("binary", "divide_no_nan", [a, np.where(b > 2, 0.0, b)], grads=False)
    for op in ["equal", "not_equal", "less", "less_equal", "greater", "greater_equal"]:
        case("compare", op, [np.array([1.0, 2.0, 3.0, np.nan]), np.array([1.0, 3.0, 2.0, np.nan])], grads=False)
    t = np.array([True, True, False, False])
    for op in ["logical_and", "logical_or", "logical_xor"]:
        case("compare", op, [t, np.array([True, False, True, False])], grads=False)
    ia, ib = np.array([7, -7, 7, -7, 6]), np.array([3, 3, -3, -3, 2])
    for op in ["floor_divide", "mod", "maximum", "multiply"]:
        case("integer", op, [ia, ib], grads=False)
    case("select", "where", [np.array([[True, False, True, False]] * 3), a, b])
    case("select", "where", [np.array([[True], [False], [True]]), row, col])

    x = some(41, (2, 3, 4), -2, 2)
    axes = [None, 0, 1, -1, (0, 2), (0, 1, 2)]
    for op in ["sum", "mean", "prod", "var", "std", "min", "max", "logsumexp"]:
        for axis in axes:
            for keep in (False, True):
                case("reduce", op, [x], {"axis": axis, "keepdims": keep}, grads=not keep)
    for op in ["argmin", "argmax"]:
        for axis in [None, 0, 1, -1]:
            case("reduce", op, [x], {"axis": axis}, grads=False)
    for op in ["any", "all"]:
        for axis in [None, 0, -1, (0, 2)]:
            case("reduce", op, [x > -1.0], {"axis": axis}, grads=False)
    for op in ["count_nonzero"]:
        case("reduce", op, [np.where(x > 0, x, 0.0)], {"axis": 1}, grads=False)
    for args in [{}, {"axis": -1}, {"ord": 1, "axis": -1}, {"ord": 3, "axis": 1}, {"ord": "inf-placeholder", "axis": -1},
                 {"axis": (1, 2)}, {"axis": -1, "keepdims": True}]:
        if args.get("ord") == "inf-placeholder":
            case("reduce", "norm", [x], {"ord": "inf", "axis": -1}, call=lambda v: ops.norm(v, ord=np.inf, axis=-1))
        else:
            case("reduce", "norm", [x], args)
    case("reduce", "median", [x], {"axis": -1}, grads=False)
    case("reduce", "quantile", [x], {"q": 0.3, "axis": -1}, call=lambda v: ops.quantile(v, 0.3, axis=-1), grads=False)

    for axis in [0, 1, 2]:
        case("scan", "cumsum", [x], {"axis": axis})
        case("scan", "cumprod", [x], {"axis": axis})
        case("order", "sort", [x], {"axis": axis})
        case("order", "argsort", [x], {"axis": axis}, grads=False)
        case("move", "flip", [x], {"axis": axis})
    case("scan", "diff", [x], {"axis": -1})
    case("order", "top_k", [x], {"k": 2})
    case("order", "top_k", [x], {"k": 4})
    case("order", "searchsorted", [np.array([0.0, 1.0, 2.0, 2.0, 5.0]), np.array([-1.0, 0.0, 1.5, 2.0, 6.0])],
         {"side": "left"}, grads=False)
    case("order", "searchsorted", [np.array([0.0, 1.0, 2.0, 2.0, 5.0]), np.array([-1.0, 0.0, 1.5, 2.0, 6.0])],
         {"side": "right"}, grads=False)
    m = some(42, (3, 4), -2, 2)
    for width in [((1, 2), (0, 1)), ((2, 0), (3, 1))]:
        case("pad", "pad", [m], {"pad_width": width, "mode": "constant"})
        case("pad", "pad", [m], {"pad_width": width, "mode": "constant", "constant_values": 1.5})
        for mode in ["edge", "reflect", "symmetric", "wrap"]:
            case("pad", "pad", [m], {"pad_width": width, "mode": mode})
    for shift, axis in [(1, 0), (-1, 1), (3, 2), (5, None)]:
        case("move", "roll", [x], {"shift": shift, "axis": axis})
    for reps in [(2,), (2, 1), (2, 1, 2), (2, 1, 1, 2)]:
        case("move", "tile", [m], {"repeats": reps})
    for r, axis in [(2, 0), (3, 1), (2, None)]:
        case("move", "repeat", [m], {"repeats": r, "axis": axis})
    case("move", "transpose", [x], {})
    case("move", "transpose", [x], {"axes": (1, 2, 0)})
    case("move", "moveaxis", [x], {"source": 0, "destination": 2})
    case("move", "swapaxes", [x], {"axis1": 0, "axis2": 1})
    case("move", "reshape", [x], {"newshape": (4, -1)})
    case("move", "broadcast_to", [row], {"shape": (2, 3, 4)})
    case("move", "rot90", [m], {"k": 1})
    for axis in [0, 1, -1]:
        case("join", "concatenate", [x, x[::-1].copy() * 0.5], {"axis": axis}, call=lambda *v, axis=axis: ops.concatenate(v, axis=axis))
        case("join", "stack", [x, x[::-1].copy() * 0.5], {"axis": axis}, call=lambda *v, axis=axis: ops.stack(v, axis=axis))
    case("join", "split", [x], {"indices_or_sections": 2, "axis": 2})
    case("join", "split", [x], {"indices_or_sections": (1, 3), "axis": 2})
    case("join", "meshgrid", [np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0])], {"indexing": "xy"})
    case("join", "meshgrid", [np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0])], {"indexing": "ij"})
    idx = np.array([[0, 2, 1], [1, 1, 0]])
    case("index", "one_hot", [idx], {"num_classes": 4}, grads=False)
    case("index", "one_hot", [np.array([0, 3, -1, 4])], {"num_classes": 4}, grads=False, note="out of range gives a row of zeros")
    case("index", "one_hot", [idx], {"num_classes": 3, "axis": 0}, grads=False)
    case("index", "multi_hot", [idx], {"num_classes": 4}, grads=False)
    case("index", "take", [x, idx], {"axis": 1})
    case("index", "take", [x, np.array([1, 0, 1])], {"axis": 0})
    case("index", "take_along_axis", [x, np.argsort(x, axis=1)], {"axis": 1})
    case("index", "take_along_axis", [x, np.argmax(x, axis=-1)[..., None]], {"axis": -1})
    case("index", "scatter", [np.array([[0], [2], [2]]), np.array([1.5, 2.0, 0.25])], {"shape": (4,)})
    case("index", "segment_sum", [m, np.array([0, 2, 0])], {"num_segments": 3})
    case("index", "bincount", [np.array([1, 2, 1, 4])], {"minlength": 6}, grads=False)
    s = some(43, (4, 4), -1, 1)
    for k in [-1, 0, 2]:
        case("matrix", "tril", [m], {"k": k})
        case("matrix", "triu", [m], {"k": k})
        case("matrix", "diagonal", [m], {"offset": k})
    case("matrix", "diag", [row], {"k": 1})
    case("matrix", "trace", [s], {})
    case("matrix", "eye", [], {"N": 3, "M": 4, "k": 1}, call=lambda: ops.eye(3, 4, k=1), grads=False)
    case("matrix", "linspace", [], {"start": 0.0, "stop": 1.0, "num": 7}, call=lambda: ops.linspace(0.0, 1.0, 7), grads=False)
    case("matrix", "arange", [], {"start": 1.0, "stop": 4.0, "step": 0.5}, call=lambda: ops.arange(1.0, 4.0, 0.5), grads=False)
    case("product", "matmul", [m, some(44, (4, 2))])
    case("product", "matmul", [x, some(45, (2, 4, 3))])
    case("product", "matmul", [x, some(46, (4, 2))])
    case("product", "matmul", [some(47, (3, 1, 2, 4)), some(48, (2, 4, 3))])
    case("product", "matmul", [row, some(44, (4, 2))])
    case("product", "matmul", [m, row])
    case("product", "dot", [row, row * 0.5])
    case("product", "outer", [row, np.array([1.0, -2.0])])
    case("product", "tensordot", [x, some(49, (4, 3, 2))], {"axes": ((1, 2), (1, 0))})
    for spec, shapes in [("ij,jk->ik", [(3, 4), (4, 2)]), ("bij,bjk->bik", [(2, 3, 4), (2, 4, 2)]), ("ij->ji", [(3, 4)]),
                         ("ii->i", [(4, 4)]), ("ii->", [(4, 4)]), ("i,j->ij", [(3,), (4,)]), ("bqhd,bkhd->bhqk", [(2, 3, 2, 4), (2, 5, 2, 4)]),
                         ("bhqk,bkhd->bqhd", [(2, 2, 3, 5), (2, 5, 2, 4)]), ("abc,cd,ed->abe", [(2, 3, 4), (4, 2), (3, 2)]),
                         ("...ij,...jk->...ik", [(2, 3, 4), (4, 2)]), ("ij,ij->", [(3, 4), (3, 4)]), ("ijk->k", [(2, 3, 4)]),
                         ("ij,jk", [(3, 4), (4, 2)])]:
        ins = [some(50 + i, sh) for i, sh in enumerate(shapes)]
        case("product", "einsum", ins, {"subscripts": spec}, call=lambda *v, spec=spec: ops.einsum(spec, *v))
    spd = s @ s.T + 2.0 * np.eye(4)
    case("linalg", "cholesky", [spd])
    case("linalg", "inv", [spd])
    case("linalg", "det", [spd])
    case("linalg", "solve", [spd, some(51, (4, 2))])
    case("linalg", "solve_triangular", [np.linalg.cholesky(spd), some(51, (4, 2))], {"lower": True})

    ties = np.array([[1.0, 3.0, 3.0, 2.0], [2.0, 2.0, 2.0, 2.0], [-1.0, 0.0, -1.0, 0.0]])
    for op in ["max", "min"]:
        case("ties", op, [ties], {"axis": -1}, note="the gradient is shared equally among the winners")
    for op in ["argmax", "argmin", "argsort"]:
        case("ties", op, [ties], {"axis": -1}, grads=False)
    case("ties", "top_k", [ties], {"k": 3}, grads=False)
    for op in ["maximum", "minimum"]:
        case("ties", op, [np.array([1.0, 2.0]), np.array([1.0, 3.0])], note="half of the gradient to each side of a tie")
    odd = np.array([[1.0, np.nan, -2.0], [np.inf, 0.0, -np.inf]])
    for op in ["max", "min", "sum", "mean", "argmax", "argmin", "sort", "argsort"]:
        case("special", op, [odd], {"axis": -1}, grads=False)
    for op in ["sign", "abs", "floor", "round", "relu", "sigmoid", "tanh", "exp", "softplus", "erf", "square", "sqrt", "log"]:
        case("special", op, [np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, -1.0])], grads=False)
    for op in ["maximum", "minimum", "floor_divide", "mod", "divide", "power", "logaddexp"]:
        case("special", op, [np.array([1.0, np.nan, np.inf, -np.inf, 0.0, -1.0, 5.0]), np.array([np.nan, 1.0, -np.inf, -np.inf, 0.0, 0.0, np.inf])], grads=False)
    case("special", "logsumexp", [np.array([[-np.inf, -np.inf], [np.inf, 0.0], [800.0, 800.0]])], {"axis": -1}, grads=False)
    case("special", "softmax", [np.array([[-np.inf, 0.0], [-np.inf, -np.inf], [800.0, -800.0]])], {"axis": -1}, grads=False)
    write("ops.json", {"floatx": "float64"}, cases=cases)


# --------------------------------------------------------------------------------------------------------------------
# Inputs shared by losses and metrics


def softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


GOLD_T = np.array([0.0, 0.0, 1.0, 1.0, 1.0, 0.0])
GOLD_P = np.array([0.1, 0.5, 0.35, 0.8, 0.9, 0.6])
GOLD_L = np.array([0, 1, 2, 2])
GOLD_Y = np.eye(3)[GOLD_L]
GOLD_Q = np.array([[0.7, 0.2, 0.1], [0.3, 0.3, 0.4], [0.1, 0.2, 0.7], [0.5, 0.3, 0.2]])


def input_sets():
    labels = np.array([2, 0, 3, 1, 2])
    probs = np.round(softmax(some(60, (5, 4), -2, 2)), 4)
    bits = (some(61, (5, 4)) > 0).astype(np.float64)
    return {
        "golden_binary": (GOLD_T, GOLD_P),
        "golden_binary_column": (GOLD_T[:, None], GOLD_P[:, None]),
        "golden_onehot": (GOLD_Y, GOLD_Q),
        "golden_sparse": (GOLD_L, GOLD_Q),
        "golden_huber": (np.array([[0.0, 0.0]]), np.array([[0.5, 3.0]])),
        "golden_logits": (np.array([0, 1]), np.array([[2.0, 1.0, 0.0], [0.0, 3.0, 1.0]])),
        "golden_weighted": (np.array([[1.0], [2.0]]), np.array([[0.0], [0.0]])),
        "regression": (some(62, (5, 4), -2, 2), some(63, (5, 4), -2, 2)),
        "positive": (some(64, (5, 4), 0.1, 3), some(65, (5, 4), 0.1, 3)),
        "with_zero_targets": (np.where(bits > 0, some(64, (5, 4), 0.1, 3), 0.0), some(65, (5, 4), 0.1, 3)),
        "signs": (2.0 * bits - 1.0, some(66, (5, 4), -2, 2)),
        "binary": (bits, some(67, (5, 4), 0.02, 0.98)),
        "binary_logits": (bits, some(68, (5, 4), -4, 4)),
        "saturated": (bits, np.where(some(61, (5, 4)) > 0.3, 1.0, 0.0)),
        "onehot": (np.eye(4)[labels], probs),
        "unnormalised": (np.eye(4)[labels], some(67, (5, 4), 0.02, 0.98)),
        "distribution": (np.round(softmax(some(69, (5, 4), -1, 1)), 4), probs),
        "onehot_logits": (np.eye(4)[labels], some(70, (5, 4), -4, 4)),
        "sparse": (labels, probs),
        "sparse_column": (labels[:, None], probs),
        "sparse_logits": (labels, some(70, (5, 4), -4, 4)),
        "sequence": (np.array([[2, 0, 3], [1, 1, 2]]), np.round(softmax(some(71, (2, 3, 4), -2, 2)), 4)),
        "sequence_regression": (some(72, (2, 3, 4)), some(73, (2, 3, 4))),
    }


WEIGHTS = np.array([1.0, 0.5, 2.0, 0.0, 1.5])


# --------------------------------------------------------------------------------------------------------------------
# 3. Losses


def losses():
    use_float("float64")
    sets = input_sets()
    bce = ["golden_binary", "golden_binary_column", "binary", "saturated"]
    table = [
        ("MeanSquaredError", {}, ["golden_binary", "golden_weighted", "regression", "sequence_regression"]),
        ("MeanAbsoluteError", {}, ["golden_binary", "golden_weighted", "regression"]),
        ("MeanAbsolutePercentageError", {}, ["golden_binary", "positive", "with_zero_targets"]),
        ("MeanSquaredLogarithmicError", {}, ["golden_binary", "positive"]),
        ("CosineSimilarity", {}, ["golden_onehot", "regression"]),
        ("CosineSimilarity", {"axis": 1}, ["sequence_regression"]),
        ("Huber", {}, ["golden_huber", "regression"]),
        ("Huber", {"delta": 0.5}, ["regression"]),
        ("LogCosh", {}, ["golden_huber", "regression"]),
        ("Hinge", {}, ["golden_binary", "signs", "binary"]),
        ("SquaredHinge", {}, ["golden_binary", "signs", "binary"]),
        ("CategoricalHinge", {}, ["golden_onehot", "onehot"]),
        ("KLDivergence", {}, ["golden_onehot", "distribution"]),
        ("Poisson", {}, ["golden_binary", "positive"]),
        ("BinaryCrossentropy", {}, bce),
        ("BinaryCrossentropy", {"from_logits": True}, ["golden_binary", "binary_logits"]),
        ("BinaryCrossentropy", {"label_smoothing": 0.1}, ["binary"]),
        ("BinaryCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, ["binary_logits"]),
        ("BinaryFocalCrossentropy", {}, ["golden_binary", "binary"]),
        ("BinaryFocalCrossentropy", {"from_logits": True}, ["binary_logits"]),
        ("BinaryFocalCrossentropy", {"apply_class_balancing": True, "alpha": 0.3, "gamma": 1.5}, ["binary"]),
        ("BinaryFocalCrossentropy", {"label_smoothing": 0.1}, ["binary"]),
        ("CategoricalCrossentropy", {}, ["golden_onehot", "onehot", "unnormalised", "distribution"]),
        ("CategoricalCrossentropy", {"from_logits": True}, ["onehot_logits"]),
        ("CategoricalCrossentropy", {"label_smoothing": 0.1}, ["golden_onehot", "onehot"]),
        ("CategoricalCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, ["onehot_logits"]),
        ("CategoricalFocalCrossentropy", {}, ["golden_onehot", "onehot"]),
        ("CategoricalFocalCrossentropy", {"from_logits": True, "alpha": 0.5, "gamma": 1.5}, ["onehot_logits"]),
        ("CategoricalFocalCrossentropy", {"label_smoothing": 0.1}, ["onehot"]),
        ("SparseCategoricalCrossentropy", {}, ["golden_sparse", "sparse", "sparse_column", "sequence"]),
        ("SparseCategoricalCrossentropy", {"from_logits": True}, ["golden_logits", "sparse_logits"]),
        ("SparseCategoricalCrossentropy", {"ignore_class": 2}, ["golden_sparse", "sparse", "sequence"]),
        ("Dice", {}, ["golden_binary", "golden_onehot", "binary"]),
        ("Dice", {"axis": [1]}, ["binary"]),
        ("Tversky", {}, ["golden_binary", "golden_onehot", "binary"]),
        ("Tversky", {"alpha": 0.3, "beta": 0.7}, ["binary"]),
        ("Circle", {}, ["sparse", "sparse_logits"]),
        ("Circle", {"gamma": 2.0, "margin": 0.25}, ["sparse_logits"]),
        ("CategoricalGeneralizedCrossEntropy", {}, ["sparse"]),
        ("CategoricalGeneralizedCrossEntropy", {"q": 0.7}, ["sparse"]),
    ]
    cases = []
    for name, cfg, where in table:
        for key in where:
            yt, yp = sets[key]
            n = yp.shape[0]
            if key == "golden_weighted":
                weights = [None, np.array([0.5, 1.0])]
            elif yp.ndim == 1 or n > 5 or name in ("Dice", "Tversky") or "axis" in cfg:
                weights = [None]
            elif yp.ndim == 3:
                weights = [None, WEIGHTS[:n], np.array([[1.0, 0.5, 2.0], [0.0, 1.5, 1.0]])]
            else:
                weights = [None, WEIGHTS[:n]]
            for w in weights:
                if w is not None and yp.ndim == 3 and w.ndim == 1:
                    w = w[:, None] * np.ones((1, 3))
                for red in ["sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none"]:
                    if red == "mean_with_sample_weight" and w is None:
                        continue

                    def run():
                        loss = getattr(keras.losses, name)(**cfg, reduction=red)
                        f = lambda p: loss(jnp.asarray(yt), p, sample_weight=None if w is None else jnp.asarray(w))
                        row = {"loss": name, "config": cfg, "inputs": key, "sample_weight": opt(w), "reduction": red,
                               "value": arr(f(jnp.asarray(yp)))}
                        if red not in ("mean", "none", "sum"):
                            row["grad"] = arr(jax.grad(lambda p: jnp.sum(f(p)))(jnp.asarray(yp)))
                        cases.append(row)

                    attempt(f"losses.{name} {cfg} on {key}", run)

    mask = np.array([[True, True, False], [True, False, False]])
    masked = []
    for name, key in [("MeanSquaredError", "sequence_regression"), ("SparseCategoricalCrossentropy", "sequence")]:
        yt, yp = sets[key]
        for w in [None, np.array([[1.0, 0.5, 2.0], [0.0, 1.5, 1.0]])]:
            for red in ["sum_over_batch_size", "sum", "mean_with_sample_weight", "none"]:
                loss = getattr(keras.losses, name)(reduction=red)

                def f(p):
                    p = jnp.asarray(p) * 1.0
                    keras.src.backend.set_keras_mask(p, jnp.asarray(mask))
                    return loss(jnp.asarray(yt), p, sample_weight=None if w is None else jnp.asarray(w))

                def run():
                    masked.append({"loss": name, "config": {}, "inputs": key, "mask": arr(mask), "sample_weight": opt(w),
                                   "reduction": red, "value": arr(f(yp)), "grad": arr(jax.grad(lambda p: jnp.sum(f(p)))(jnp.asarray(yp)))})

                attempt(f"masked {name}", run)

    def ctc():
        labels, length = np.array([[1, 2, 0], [2, 2, 3]]), np.array([2, 3])
        logits = some(74, (2, 7, 5), -1, 1)
        value, grad = jax.value_and_grad(lambda z: jnp.sum(ops.ctc_loss(jnp.asarray(labels), z, jnp.asarray(length), jnp.asarray([6, 7]), mask_index=0)))(jnp.asarray(logits))
        each = ops.ctc_loss(jnp.asarray(labels), jnp.asarray(logits), jnp.asarray(length), jnp.asarray([6, 7]), mask_index=0)
        return {"y_true": arr(labels), "y_pred_logits": arr(logits), "target_length": [2, 3], "output_length": [6, 7],
                "mask_index": 0, "value": arr(each), "grad_of_sum": arr(grad)}

    got = attempt("ctc_loss", ctc)
    find = lambda name, cfg, key: next(c["value"]["data"][0] for c in cases if c["loss"] == name and c["config"] == cfg and c["inputs"] == key
                                       and c["reduction"] == "sum_over_batch_size" and c["sample_weight"] is None)
    for name, cfg, key, want in [
        ("BinaryCrossentropy", {}, "golden_binary", 0.51552081), ("BinaryCrossentropy", {"from_logits": True}, "golden_binary", 0.66693306),
        ("BinaryFocalCrossentropy", {}, "golden_binary", 0.15962237), ("SparseCategoricalCrossentropy", {}, "golden_sparse", 0.88169014),
        ("SparseCategoricalCrossentropy", {"ignore_class": 2}, "golden_sparse", 0.78032386), ("CategoricalCrossentropy", {"label_smoothing": 0.1}, "golden_onehot", 0.92158937),
        ("CategoricalFocalCrossentropy", {}, "golden_onehot", 0.10526178), ("KLDivergence", {}, "golden_onehot", 0.88168728),
        ("Poisson", {}, "golden_binary", 0.77138770), ("MeanSquaredLogarithmicError", {}, "golden_binary", 0.09376725), ("Hinge", {}, "golden_binary", 0.85833335),
        ("SquaredHinge", {}, "golden_binary", 1.08208346), ("CategoricalHinge", {}, "golden_onehot", 0.85), ("CosineSimilarity", {}, "golden_onehot", -0.68602431),
        ("Dice", {}, "golden_onehot", 0.525), ("Tversky", {}, "golden_onehot", 0.525), ("Huber", {}, "golden_huber", 1.3125), ("LogCosh", {}, "golden_huber", 1.21472156),
        ("SparseCategoricalCrossentropy", {"from_logits": True}, "golden_logits", 0.28872600),
    ]:
        expect(f"{name} {cfg}", find(name, cfg, key), want)
    write("losses.json", {"floatx": "float64", "epsilon": keras.config.epsilon(), "ctc": got},
          inputs={k: {"y_true": arr(t), "y_pred": arr(p)} for k, (t, p) in sets.items()}, cases=cases, masked=masked)


# --------------------------------------------------------------------------------------------------------------------
# 4. Optimizers


def build(spec):
    """("Class", {config}) inside a configuration becomes the Keras object."""
    if isinstance(spec, tuple) and len(spec) == 2 and isinstance(spec[0], str) and isinstance(spec[1], dict):
        name, cfg = spec
        for place in (keras.optimizers.schedules, keras.optimizers, keras.layers, keras.regularizers, keras.constraints):
            if hasattr(place, name):
                return getattr(place, name)(**{k: build(v) for k, v in cfg.items()})
        raise KeyError(name)
    if isinstance(spec, list):
        return [build(s) for s in spec]
    return spec


def plain(spec):
    if isinstance(spec, tuple) and len(spec) == 2 and isinstance(spec[0], str) and isinstance(spec[1], dict):
        return {"class": spec[0], "config": {k: plain(v) for k, v in spec[1].items()}}
    if isinstance(spec, (list, tuple)):
        return [plain(s) for s in spec]
    return spec


def optimizers():
    use_float("float64")
    start = [np.array([[1.0, -2.0], [0.5, 0.25], [-1.5, 3.0]]), np.array([0.75, -0.4])]
    sequence = [[some(80 + t, (3, 2), -1.5, 1.5), some(180 + t, (2,), -1.5, 1.5)] for t in range(10)]
    table = [
        ("SGD", {"learning_rate": 0.1}),
        ("SGD", {"learning_rate": 0.1, "momentum": 0.9}),
        ("SGD", {"learning_rate": 0.1, "momentum": 0.9, "nesterov": True}),
        ("SGD", {"learning_rate": 0.1, "weight_decay": 0.01}),
        ("SGD", {"learning_rate": 0.1, "clipnorm": 1.0}),
        ("SGD", {"learning_rate": 0.1, "clipvalue": 0.5}),
        ("SGD", {"learning_rate": 0.1, "global_clipnorm": 1.0}),
        ("SGD", {"learning_rate": 0.1, "gradient_accumulation_steps": 2}),
        ("SGD", {"learning_rate": 0.1, "momentum": 0.9, "gradient_accumulation_steps": 3}),
        ("SGD", {"learning_rate": ("ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 3, "decay_rate": 0.5})}),
        ("SGD", {"learning_rate": ("ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 3, "decay_rate": 0.5}), "gradient_accumulation_steps": 2}),
        ("SGD", {"learning_rate": 0.1, "use_ema": True, "ema_momentum": 0.5}),
        ("SGD", {"learning_rate": 0.1, "use_ema": True, "ema_momentum": 0.9, "ema_overwrite_frequency": 3}),
        ("Adam", {"learning_rate": 0.1}),
        ("Adam", {"learning_rate": 0.1, "beta_1": 0.8, "beta_2": 0.95, "epsilon": 1e-3}),
        ("Adam", {"learning_rate": 0.1, "amsgrad": True}),
        ("Adam", {"learning_rate": 0.1, "weight_decay": 0.01}),
        ("Adam", {"learning_rate": 0.1, "global_clipnorm": 1.0}),
        ("Adam", {"learning_rate": 0.1, "gradient_accumulation_steps": 2}),
        ("Adam", {"learning_rate": 0.1, "use_ema": True, "ema_momentum": 0.99}),
        ("Adam", {"learning_rate": ("CosineDecay", {"initial_learning_rate": 0.01, "decay_steps": 6, "warmup_target": 0.1, "warmup_steps": 3})}),
        ("AdamW", {"learning_rate": 0.1, "weight_decay": 0.01}),
        ("AdamW", {}),
        ("Nadam", {"learning_rate": 0.1}),
        ("Adamax", {"learning_rate": 0.1}),
        ("RMSprop", {"learning_rate": 0.1}),
        ("RMSprop", {"learning_rate": 0.1, "momentum": 0.9}),
        ("RMSprop", {"learning_rate": 0.1, "centered": True}),
        ("RMSprop", {"learning_rate": 0.1, "momentum": 0.9, "centered": True}),
        ("Adagrad", {"learning_rate": 0.1}),
        ("Adagrad", {"learning_rate": 0.1, "initial_accumulator_value": 0.5}),
        ("Adadelta", {"learning_rate": 1.0}),
        ("Ftrl", {"learning_rate": 0.1}),
        ("Ftrl", {"learning_rate": 0.1, "l1_regularization_strength": 0.1, "l2_regularization_strength": 0.2, "l2_shrinkage_regularization_strength": 0.05, "beta": 0.3}),
        ("Lion", {"learning_rate": 0.1}),
        ("Lion", {"learning_rate": 0.1, "weight_decay": 0.01}),
        ("Lamb", {"learning_rate": 0.1}),
        ("Lamb", {"learning_rate": 0.1, "weight_decay": 0.01}),
        ("Adafactor", {"learning_rate": 0.1}),
        ("Adafactor", {"learning_rate": 0.1, "relative_step": False}),
        ("Muon", {"learning_rate": 0.1}),
        ("ScheduleFreeAdamW", {"learning_rate": 0.1}),
        ("ScheduleFreeAdamW", {"learning_rate": 0.1, "warmup_steps": 4}),
    ]

    def run(name, cfg, first, grad_of, count, constraint=None):
        variables = [keras.Variable(v, dtype="float64", name=f"w{i}") for i, v in enumerate(first)]
        if constraint:
            variables[0].constraint = build(constraint)
        o = build((name, cfg))
        o.build(variables)
        weights, averages, iterations = [], [], []
        for t in range(count):
            o.apply([jnp.asarray(g) for g in grad_of(t, variables)], variables)
            weights.append([arr(v.value) for v in variables])
            iterations.append(int(o.iterations))
            if o.use_ema:
                averages.append([arr(v.value) for v in o._model_variables_moving_average])
        row = {"optimizer": name, "config": {k: plain(v) for k, v in cfg.items()}, "steps": weights, "iterations": iterations,
               "slots": [{"name": v.path.split("/")[-1], "value": arr(v.value)} for v in o.variables]}
        if averages:
            row["averages"] = averages
            o.finalize_variable_values(variables)
            row["finalized"] = [arr(v.value) for v in variables]
        if constraint:
            row["constraint_on_first"] = plain(constraint)
        return row

    same = lambda t, vs: [v.value for v in vs]
    given = lambda t, vs: sequence[t]
    cases = []
    for name, cfg in table:
        for kind, grad_of in [("weights", same), ("sequence", given)]:
            if kind == "weights" and {"gradient_accumulation_steps", "use_ema"} & set(cfg):
                continue
            row = attempt(f"optimizers.{name} {cfg}", lambda: run(name, cfg, start, grad_of, 10))
            if row:
                if kind == "weights":
                    del row["slots"]
                cases.append({"gradient": kind, **row})
    row = attempt("SGD with a constraint", lambda: run("SGD", {"learning_rate": 0.1}, start, given, 10, ("MaxNorm", {"max_value": 1.0})))
    cases.append({"gradient": "sequence", **row})

    small = []
    for name, cfg, want in [
        ("SGD", {"learning_rate": 0.1}, [0.729, -1.458]), ("SGD", {"learning_rate": 0.1, "momentum": 0.9}, [0.486, -0.972]),
        ("SGD", {"learning_rate": 0.1, "momentum": 0.9, "nesterov": True}, [0.327321, -0.654642]), ("Adam", {"learning_rate": 0.1}, [0.70158905, -1.7006258]),
        ("AdamW", {"learning_rate": 0.1, "weight_decay": 0.01}, [0.69891393, -1.6949468]), ("Nadam", {"learning_rate": 0.1}, [0.7546743, -1.7497214]),
        ("Adamax", {"learning_rate": 0.1}, [0.7154996, -1.7076483]), ("RMSprop", {"learning_rate": 0.1}, [0.36918074, -1.308718]),
        ("RMSprop", {"learning_rate": 0.1, "momentum": 0.9, "centered": True}, [-0.33806378, -0.49938297]), ("Adagrad", {"learning_rate": 0.1}, [0.7875128, -1.7777007]),
        ("Adadelta", {"learning_rate": 1.0}, [0.99571246, -1.9957108]), ("Ftrl", {"learning_rate": 0.1}, [0.5117016, -1.4761193]),
        ("Lion", {"learning_rate": 0.1}, [0.7, -1.7]), ("Lamb", {"learning_rate": 0.1}, [0.5701631, -1.5674859]), ("Adafactor", {"learning_rate": 0.1}, [0.5987439, -1.5821773]),
        ("ScheduleFreeAdamW", {"learning_rate": 0.1}, [0.7968301, -1.7932787]), ("SGD", {"learning_rate": 0.1, "clipnorm": 1.0}, [0.8658359, -1.7316718]),
        ("SGD", {"learning_rate": 0.1, "clipvalue": 0.5}, [0.85, -1.85]),
    ]:
        row = run(name, cfg, [np.array([1.0, -2.0])], same, 3)
        expect(f"{name} {cfg}", row["steps"][-1][0]["data"], want, 5e-6)
        del row["slots"]
        small.append({"gradient": "weights", **row})
    row = run("SGD", {"learning_rate": 0.1, "gradient_accumulation_steps": 2}, [np.array([1.0, -2.0])], same, 4)
    expect("SGD accumulation", row["steps"][-1][0]["data"], [0.81, -1.62])
    small.append({"gradient": "weights", **row})
    write("optimizers.json", {"floatx": "float64", "initial": [arr(v) for v in start], "sequence": [[arr(g) for g in s] for s in sequence],
                              "small_initial": [arr(np.array([1.0, -2.0]))]}, cases=cases, small=small)


# --------------------------------------------------------------------------------------------------------------------
# 5. Schedules, initializers, regularizers, constraints


def schedules():
    use_float("float64")
    steps = [0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 14, 15, 19, 20, 21, 25, 29, 30, 31, 45, 100]
    table = [
        ("ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.5}),
        ("ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.5, "staircase": True}),
        ("PiecewiseConstantDecay", {"boundaries": [5, 10], "values": [1.0, 0.5, 0.1]}),
        ("PolynomialDecay", {"initial_learning_rate": 0.1, "decay_steps": 10}),
        ("PolynomialDecay", {"initial_learning_rate": 0.1, "decay_steps": 10, "end_learning_rate": 0.01, "power": 2.0}),
        ("PolynomialDecay", {"initial_learning_rate": 0.1, "decay_steps": 10, "end_learning_rate": 0.01, "power": 2.0, "cycle": True}),
        ("InverseTimeDecay", {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.5}),
        ("InverseTimeDecay", {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.5, "staircase": True}),
        ("CosineDecay", {"initial_learning_rate": 0.1, "decay_steps": 10}),
        ("CosineDecay", {"initial_learning_rate": 0.1, "decay_steps": 10, "alpha": 0.1}),
        ("CosineDecay", {"initial_learning_rate": 0.01, "decay_steps": 10, "warmup_target": 0.1, "warmup_steps": 4}),
        ("CosineDecay", {"initial_learning_rate": 0.01, "decay_steps": 10, "alpha": 0.2, "warmup_target": 0.1, "warmup_steps": 4}),
        ("CosineDecayRestarts", {"initial_learning_rate": 0.1, "first_decay_steps": 10}),
        ("CosineDecayRestarts", {"initial_learning_rate": 0.1, "first_decay_steps": 10, "t_mul": 1.0}),
        ("CosineDecayRestarts", {"initial_learning_rate": 0.1, "first_decay_steps": 5, "t_mul": 1.5, "m_mul": 0.8, "alpha": 0.1}),
    ]
    cases = []
    for name, cfg in table:
        s = build((name, cfg))
        cases.append({"schedule": name, "config": cfg, "values": [flt(np.float64(s(t))) for t in steps], "dtype": str(np.asarray(s(3)).dtype)})
    at = lambda i, *ts: [cases[i]["values"][steps.index(t)] for t in ts]
    expect("exponential", at(0, 0, 5, 10, 25), [0.1, 0.0707107, 0.05, 0.0176777])
    expect("staircase", at(1, 0, 5, 10, 25), [0.1, 0.1, 0.05, 0.025])
    expect("piecewise", at(2, 0, 5, 6, 10, 11), [1, 1, 0.5, 0.5, 0.1])
    expect("polynomial", at(4, 0, 5, 10, 15), [0.1, 0.0325, 0.01, 0.01])
    expect("cycle", at(5, 15), [0.015625])
    expect("inverse time", at(6, 0, 5, 10), [0.1, 0.08, 0.0666667])
    expect("cosine", at(9, 0, 5, 10, 15), [0.1, 0.055, 0.01, 0.01])
    expect("warmup", at(10, 0, 2, 4, 9, 14), [0.01, 0.055, 0.1, 0.05, 0])
    expect("restarts", at(12, 0, 5, 10, 20, 30), [0.1, 0.05, 0.1, 0.05, 0.1])
    write("schedules.json", {"floatx": "float64", "steps": steps}, cases=cases)


def initializers():
    use_float("float64")
    from keras.src.initializers.random_initializers import compute_fans

    trunc = 0.87962566103423978
    shapes = [(300, 500), (5, 8), (7,), (3, 3, 16, 32), (5, 16, 8), (2, 3, 3, 4, 8)]
    scaling = {"GlorotUniform": (1.0, "fan_avg", "uniform"), "GlorotNormal": (1.0, "fan_avg", "truncated_normal"),
               "HeUniform": (2.0, "fan_in", "uniform"), "HeNormal": (2.0, "fan_in", "truncated_normal"),
               "LecunUniform": (1.0, "fan_in", "uniform"), "LecunNormal": (1.0, "fan_in", "truncated_normal")}
    cases = []

    def add(name, cfg, shape, **facts):
        big = int(np.prod(shape)) >= 4000
        sample = np.asarray(getattr(keras.initializers, name)(**cfg, seed=7)(shape, dtype="float64"))
        if facts.get("bound") is not None:
            assert np.abs(sample).max() <= facts["bound"], (name, shape)
            if big and "uniform" in facts["distribution"]:
                assert np.abs(sample).max() > 0.99 * facts["bound"], (name, shape)
        if big:
            expect(f"{name} {shape} std", sample.std(), facts["std"], 0.03)
        cases.append({"initializer": name, "config": cfg, "shape": list(shape), **facts})

    def by_fans(name, cfg, shape, scale, mode, dist):
        fi, fo = compute_fans(shape)
        n = {"fan_in": fi, "fan_out": fo, "fan_avg": (fi + fo) / 2}[mode]
        n = max(1.0, n)
        std = math.sqrt(scale / n)
        bound = {"uniform": math.sqrt(3 * scale / n), "truncated_normal": 2 * std / trunc, "untruncated_normal": None}[dist]
        add(name, cfg, shape, fan_in=fi, fan_out=fo, distribution=dist, mean=0.0, std=std, bound=bound)

    for shape in shapes:
        for name, (scale, mode, dist) in scaling.items():
            by_fans(name, {}, shape, scale, mode, dist)
        for scale, mode, dist in [(0.5, "fan_in", "truncated_normal"), (2.0, "fan_out", "uniform"), (1.5, "fan_avg", "untruncated_normal")]:
            by_fans("VarianceScaling", {"scale": scale, "mode": mode, "distribution": dist}, shape, scale, mode, dist)
    for shape in shapes[:2]:
        add("RandomNormal", {}, shape, distribution="untruncated_normal", mean=0.0, std=0.05, bound=None)
        add("RandomUniform", {}, shape, distribution="uniform", mean=0.0, std=0.05 / math.sqrt(3), bound=0.05)
        add("TruncatedNormal", {}, shape, distribution="truncated_normal", mean=0.0, std=0.05 * trunc, bound=0.1)
    orthogonal = []
    for shape, gain in [((4, 6), 1.0), ((6, 4), 1.0), ((5, 5), 2.0), ((3, 3, 2, 4), 1.0)]:
        q = np.asarray(keras.initializers.Orthogonal(gain=gain, seed=7)(shape, dtype="float64")).reshape(-1, shape[-1])
        rows = q.shape[0] <= q.shape[1]
        expect(f"orthogonal {shape}", q @ q.T if rows else q.T @ q, gain**2 * np.eye(min(q.shape)), 1e-9)
        orthogonal.append({"shape": list(shape), "gain": gain, "matrix": list(q.shape), "orthonormal": "rows" if rows else "columns"})
    constant = [{"initializer": n, "config": c, "value": arr(getattr(keras.initializers, n)(**c)(s, dtype="float64"))}
                for n, c, s in [("Zeros", {}, (2, 3)), ("Ones", {}, (2, 3)), ("Constant", {"value": 0.25}, (3,)), ("Identity", {}, (3, 3)), ("Identity", {"gain": 2.0}, (2, 4))]]
    windows = ["hann", "hamming", "blackman", "blackmanharris", "nuttall", "flattop", "bartlett", "cosine", "boxcar", None]
    stft = [{"config": c, "value": arr(keras.initializers.STFT(**c)(s, dtype="float64"))}
            for c, s in [({"window": w}, (6, 1, 4)) for w in windows] + [({"window": w, "side": "imag", "scaling": "spectrum", "periodic": True}, (5, 1, 3)) for w in windows]
            + [({}, (1, 1, 2)), ({"scaling": None}, (4, 1, 5)), ({"window": "cosine", "scaling": None, "periodic": True}, (1, 1, 3))]]
    write("initializers.json", {"floatx": "float64", "truncation_factor": trunc}, cases=cases, orthogonal=orthogonal, constant=constant, stft=stft)


def regularizers():
    use_float("float64")
    inputs = {"golden": np.array([[1.0, -2.0], [3.0, 0.5]]), "matrix": some(90, (4, 3), -2, 2), "vector": some(91, (5,), -2, 2),
              "kernel": some(92, (2, 2, 3, 2), -1, 1)}
    cases = []
    for name, cfg in [("L1", {}), ("L1", {"l1": 0.1}), ("L2", {}), ("L2", {"l2": 0.1}), ("L1L2", {"l1": 0.01, "l2": 0.01}),
                      ("OrthogonalRegularizer", {}), ("OrthogonalRegularizer", {"factor": 0.1, "mode": "columns"})]:
        for key, w in inputs.items():
            if name.startswith("Orth") and w.ndim != 2:
                continue
            r = build((name, cfg))
            v, g = jax.value_and_grad(r)(jnp.asarray(w))
            cases.append({"regularizer": name, "config": cfg, "input": key, "value": flt(np.float64(v)), "grad": arr(g)})
    for i, want in [(0, 0.065), (8, 0.1425), (16, 0.2075), (20, 0.00294086)]:
        expect(cases[i]["regularizer"], cases[i]["value"], want)
    write("regularizers.json", {"floatx": "float64"}, inputs={k: arr(v) for k, v in inputs.items()}, cases=cases)


def constraints():
    use_float("float64")
    inputs = {"golden": np.array([[1.0, -2.0], [3.0, 0.5]]), "matrix": some(90, (4, 3), -2, 2), "kernel": some(92, (2, 2, 3, 2), -1, 1)}
    cases = []
    for name, cfg, keys in [("MaxNorm", {}, "gm"), ("MaxNorm", {"max_value": 1.0, "axis": 1}, "gm"), ("MaxNorm", {"max_value": 1.0, "axis": [0, 1, 2]}, "k"),
                            ("NonNeg", {}, "gmk"), ("UnitNorm", {}, "gm"), ("UnitNorm", {"axis": 1}, "gm"), ("UnitNorm", {"axis": [0, 1, 2]}, "k"),
                            ("MinMaxNorm", {}, "gm"), ("MinMaxNorm", {"min_value": 2.5, "max_value": 3.0, "rate": 0.5}, "gm"), ("MinMaxNorm", {"min_value": 0.5, "max_value": 0.8, "axis": 1}, "gm")]:
        for key, w in inputs.items():
            if key[0] in keys:
                cases.append({"constraint": name, "config": cfg, "input": key, "value": arr(build((name, cfg))(jnp.asarray(w)))})
    expect("MaxNorm", cases[0]["value"]["data"], [0.63245553, -1.9402851, 1.8973665, 0.48507127])
    expect("UnitNorm", next(c for c in cases if c["constraint"] == "UnitNorm")["value"]["data"], [0.31622776, -0.97014254, 0.94868326, 0.24253564])
    write("constraints.json", {"floatx": "float64"}, inputs={k: arr(v) for k, v in inputs.items()}, cases=cases)


# --------------------------------------------------------------------------------------------------------------------
# 6. Metrics


def metrics():
    use_float("float64")
    s = input_sets()
    s["class_ids"] = (np.array([0.0, 1.0, 2.0, 2.0]), np.array([0.0, 2.0, 2.0, 0.0]))
    s["r2"] = (np.array([[1.0], [2.0], [3.0]]), np.array([[1.1], [1.9], [3.2]]))
    s["column_binary"] = ((some(100, (20, 1)) > 0.1).astype(np.float64), some(101, (20, 1), 0.0, 1.0))
    s["iou_ids"] = (np.array([0, 1, 2, 2, 1, 0]).astype(np.float64), np.array([0, 2, 2, 1, 1, 1]).astype(np.float64))
    s["six_classes"] = (np.eye(7)[[0, 3, 6, 2, 5, 1]], np.round(softmax(some(102, (6, 7), -1, 1)), 4))
    s["six_sparse"] = (np.array([0, 3, 6, 2, 5, 1]), s["six_classes"][1])
    s["values"] = (None, np.array([1.0, 2.5, -3.0, 4.0, 0.5]))
    two = ["golden_binary_column", "column_binary", "binary"]
    table = [
        ("Accuracy", {}, ["class_ids", "iou_ids"]),
        ("BinaryAccuracy", {}, ["golden_binary", "golden_binary_column", "binary"]),
        ("BinaryAccuracy", {"threshold": 0.35}, ["golden_binary_column", "binary"]),
        ("CategoricalAccuracy", {}, ["golden_onehot", "onehot"]),
        ("SparseCategoricalAccuracy", {}, ["golden_sparse", "sparse", "sparse_column", "sequence"]),
        ("TopKCategoricalAccuracy", {}, ["six_classes"]), ("TopKCategoricalAccuracy", {"k": 2}, ["golden_onehot", "six_classes"]),
        ("SparseTopKCategoricalAccuracy", {}, ["six_sparse"]), ("SparseTopKCategoricalAccuracy", {"k": 2}, ["golden_sparse", "six_sparse", "sequence"]),
        ("TruePositives", {}, two), ("TrueNegatives", {}, two), ("FalsePositives", {}, two), ("FalseNegatives", {}, two),
        ("TruePositives", {"thresholds": [0.3, 0.5, 0.8]}, two), ("FalseNegatives", {"thresholds": [0.3, 0.5, 0.8]}, two),
        ("Precision", {}, ["golden_binary"] + two), ("Recall", {}, ["golden_binary"] + two),
        ("Precision", {"thresholds": [0.3, 0.5, 0.8]}, two), ("Recall", {"thresholds": [0.3, 0.5, 0.8]}, two),
        ("Precision", {"top_k": 2}, ["six_classes"]), ("Recall", {"top_k": 2}, ["six_classes"]),
        ("Precision", {"class_id": 1}, ["binary"]), ("Recall", {"class_id": 1}, ["binary"]), ("Precision", {"class_id": 2, "top_k": 1}, ["golden_onehot"]),
        ("AUC", {}, ["golden_binary"] + two), ("AUC", {"curve": "PR"}, ["golden_binary"] + two), ("AUC", {"num_thresholds": 5}, ["golden_binary", "column_binary"]),
        ("AUC", {"summation_method": "minoring"}, ["column_binary"]), ("AUC", {"summation_method": "majoring"}, ["column_binary"]),
        ("AUC", {"curve": "PR", "summation_method": "minoring"}, ["column_binary"]), ("AUC", {"curve": "PR", "summation_method": "majoring"}, ["column_binary"]),
        ("AUC", {"thresholds": [0.2, 0.5, 0.7]}, ["column_binary"]), ("AUC", {"multi_label": True}, ["binary"]),
        ("AUC", {"multi_label": True, "num_labels": 4, "label_weights": [1.0, 2.0, 0.5, 1.0]}, ["binary"]), ("AUC", {"from_logits": True}, ["binary_logits"]),
        ("PrecisionAtRecall", {"recall": 0.5}, ["column_binary"]), ("RecallAtPrecision", {"precision": 0.5}, ["column_binary"]),
        ("SensitivityAtSpecificity", {"specificity": 0.5}, ["column_binary"]), ("SpecificityAtSensitivity", {"sensitivity": 0.5}, ["column_binary"]),
    ]
    for cls in ["F1Score", "FBetaScore"]:
        for avg in [None, "micro", "macro", "weighted"]:
            table.append((cls, {"average": avg, **({"beta": 2.0} if cls == "FBetaScore" else {})}, ["golden_onehot", "onehot"]))
        table.append((cls, {"threshold": 0.4}, ["binary", "golden_onehot"]))
    reg = ["regression", "golden_huber"]
    table += [
        ("MeanSquaredError", {}, reg), ("RootMeanSquaredError", {}, reg), ("MeanAbsoluteError", {}, reg), ("LogCoshError", {}, reg),
        ("MeanAbsolutePercentageError", {}, ["positive"]), ("MeanSquaredLogarithmicError", {}, ["positive"]), ("CosineSimilarity", {}, reg[:1]),
        ("R2Score", {}, ["r2", "regression"]), ("R2Score", {"class_aggregation": None}, ["regression"]), ("R2Score", {"class_aggregation": "variance_weighted_average"}, ["regression"]),
        ("R2Score", {"num_regressors": 2}, ["regression"]),
        ("MeanIoU", {"num_classes": 3}, ["class_ids", "iou_ids"]), ("IoU", {"num_classes": 3, "target_class_ids": [0, 2]}, ["iou_ids"]),
        ("MeanIoU", {"num_classes": 3, "ignore_class": 0}, ["iou_ids"]), ("BinaryIoU", {}, ["golden_binary"]), ("BinaryIoU", {"target_class_ids": [1], "threshold": 0.3}, ["golden_binary"]),
        ("OneHotIoU", {"num_classes": 3, "target_class_ids": [0, 2]}, ["golden_onehot"]), ("OneHotMeanIoU", {"num_classes": 3}, ["golden_onehot"]),
        ("BinaryCrossentropy", {}, ["golden_binary_column", "binary"]), ("BinaryCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, ["binary_logits"]),
        ("CategoricalCrossentropy", {}, ["golden_onehot", "onehot"]), ("CategoricalCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, ["onehot_logits"]),
        ("SparseCategoricalCrossentropy", {}, ["golden_sparse", "sparse"]), ("SparseCategoricalCrossentropy", {"from_logits": True}, ["sparse_logits"]),
        ("Hinge", {}, ["signs", "binary"]), ("SquaredHinge", {}, ["signs"]), ("CategoricalHinge", {}, ["onehot"]), ("KLDivergence", {}, ["distribution"]), ("Poisson", {}, ["positive"]),
        ("Mean", {}, ["values"]), ("Sum", {}, ["values"]), ("PearsonCorrelation", {}, ["regression"]), ("ConcordanceCorrelation", {}, ["regression"]),
    ]
    cases = []

    def run(name, cfg, key, weighted):
        yt, yp = s[key]
        n = len(yp)
        cut = (n + 1) // 2
        w = np.resize(np.array([1.0, 2.0, 3.0, 0.0, 1.0] if "IoU" in name else [1.0, 0.5, 2.0, 0.0, 1.5, 0.25]), n) if weighted else None
        single = "IoU" in name  # Keras divides in float32 there
        m = getattr(keras.metrics, name)(**cfg)
        results = []
        for part in (slice(0, cut), slice(cut, n)):
            kw = {} if w is None else {"sample_weight": jnp.asarray(w[part])}
            if yt is None:
                m.update_state(jnp.asarray(yp[part]), **kw)
            else:
                m.update_state(jnp.asarray(yt[part]), jnp.asarray(yp[part]), **kw)
            r = m.result()
            results.append(arr(np.asarray(r, dtype=np.float64) if single or not hasattr(r, "dtype") else r))
        m.reset_state()
        after = m.result()
        return {"metric": name, "config": cfg, **({"precision": "float32"} if single else {}), "name": m.name, "inputs": key, "cut": cut, "sample_weight": opt(w), "results": results,
                "after_reset": arr(np.asarray(after, dtype=np.float64) if single or not hasattr(after, "dtype") else after)}

    for name, cfg, keys in table:
        for key in keys:
            for weighted in (False, True):
                if weighted and (key in ("golden_huber", "golden_binary", "r2") or s[key][1].ndim == 3):
                    continue  # one row, or a weight that would broadcast over a vector of losses
                row = attempt(f"metrics.{name} {cfg} on {key}{' weighted' if weighted else ''}", lambda: run(name, cfg, key, weighted))
                if row:
                    cases.append(row)
    final = lambda name, cfg, key: next(c["results"][-1]["data"] for c in cases if c["metric"] == name and c["config"] == cfg and c["inputs"] == key and c["sample_weight"] is None)
    for name, cfg, key, want in [
        ("AUC", {}, "golden_binary", [0.7777778]), ("AUC", {"curve": "PR"}, "golden_binary", [0.85123765]), ("AUC", {"num_thresholds": 5}, "golden_binary", [0.8333334]),
        ("Precision", {}, "golden_binary", [0.6666667]), ("Recall", {}, "golden_binary", [0.6666667]), ("BinaryAccuracy", {}, "golden_binary", [0.6666667]),
        ("F1Score", {"average": None}, "golden_onehot", [0.66666657, 0, 0.49999994]), ("F1Score", {"average": "macro"}, "golden_onehot", [0.38888884]),
        ("F1Score", {"average": "micro"}, "golden_onehot", [0.49999994]), ("F1Score", {"average": "weighted"}, "golden_onehot", [0.41666663]),
        ("MeanIoU", {"num_classes": 3}, "class_ids", [0.2777778]), ("R2Score", {}, "r2", [0.97]), ("TopKCategoricalAccuracy", {"k": 2}, "golden_onehot", [0.75]),
    ]:
        expect(f"{name} {cfg}", final(name, cfg, key), want)
    used = {c["inputs"] for c in cases}
    write("metrics.json", {"floatx": "float64"}, inputs={k: {"y_true": opt(t), "y_pred": arr(p)} for k, (t, p) in s.items() if k in used}, cases=cases)


# --------------------------------------------------------------------------------------------------------------------
# 7. Training


def dense_training():
    use_float("float64")
    x = some(110, (24, 5), -1.5, 1.5)
    score = x @ some(111, (5, 3))
    data = {"x": x, "labels": score.argmax(1), "onehot": np.eye(3)[score.argmax(1)], "binary": (score[:, :1] > 0).astype(np.float64),
            "targets": np.round(np.tanh(score), 3), "sample_weight": np.round(rng(112).uniform(0.2, 2.0, 24), 2)}
    nets = {}
    for out in (3, 1):
        sizes = [5, 8, 8, out]
        nets[f"5-8-8-{out}"] = [v for i in range(3) for v in (some(120 + i, (sizes[i], sizes[i + 1]), -0.7, 0.7), some(130 + i, (sizes[i + 1],), -0.2, 0.2))]
    optimizers = [("SGD", {"learning_rate": 0.1}), ("SGD", {"learning_rate": 0.1, "momentum": 0.9, "nesterov": True}), ("Adam", {"learning_rate": 0.01})]
    base = {"hidden": "relu", "outputs": 3, "last": "softmax", "y": "labels", "loss": "SparseCategoricalCrossentropy", "metrics": ["accuracy"]}
    variants = {
        "sparse_softmax": {}, "onehot_softmax": {"y": "onehot", "loss": "CategoricalCrossentropy"},
        "binary_sigmoid": {"outputs": 1, "last": "sigmoid", "y": "binary", "loss": "BinaryCrossentropy"},
        "linear_mse": {"last": "linear", "y": "targets", "loss": "MeanSquaredError", "metrics": ["mae"]},
        "tanh_hidden": {"hidden": "tanh"}, "l2": {"kernel_regularizer": {"class": "L2", "config": {"l2": 0.01}}}, "sample_weight": {"sample_weight": True},
        "class_weight": {"class_weight": {"0": 1.0, "1": 2.0, "2": 0.5}}, "validation_split": {"validation_split": 0.25},
    }
    every_step = ("sparse_softmax", "linear_mse")  # the others keep the weights of steps 0, 2 and 8: the files stay small
    cases = []
    for name, change in variants.items():
        v = {**base, **change}
        for oname, ocfg in optimizers:
            def make():
                keras.backend.clear_session()
                reg = keras.regularizers.L2(0.01) if "kernel_regularizer" in v else None
                m = keras.Sequential([keras.Input((5,)), keras.layers.Dense(8, activation=v["hidden"], kernel_regularizer=reg),
                                      keras.layers.Dense(8, activation=v["hidden"], kernel_regularizer=reg),
                                      keras.layers.Dense(v["outputs"], activation=v["last"], kernel_regularizer=reg)])
                m.set_weights(nets[f"5-8-8-{v['outputs']}"])
                extra = {"weighted_metrics": ["accuracy"]} if "sample_weight" in v else {}
                m.compile(build((oname, ocfg)), getattr(keras.losses, v["loss"])(), metrics=v["metrics"], **extra)
                return m

            y = data[v["y"]]
            w = data["sample_weight"] if "sample_weight" in v else None
            cw = {int(k): c for k, c in v["class_weight"].items()} if "class_weight" in v else None
            model = make()
            h = model.fit(x, y, batch_size=8, epochs=3, shuffle=False, verbose=0, sample_weight=w, class_weight=cw, validation_split=v.get("validation_split", 0.0))
            n = int(24 * (1 - v.get("validation_split", 0.0)))
            stepped, steps = make(), []
            for t in range(9):
                k = t % 3
                b = slice(8 * k, min(8 * k + 8, n))
                if k == 0:
                    stepped.reset_metrics()
                out = stepped.train_on_batch(x[b], y[b], sample_weight=None if w is None else w[b], class_weight=cw, return_dict=True)
                steps.append({"rows": [b.start, b.stop], "logs": logs(out)})
                if name in every_step or t in (0, 2, 8):
                    steps[-1]["weights"] = [arr(p)["data"] for p in stepped.get_weights()]
            for p, q in zip(model.get_weights(), stepped.get_weights()):
                assert np.allclose(p, q, rtol=1e-12, atol=1e-13), name
            pred = np.asarray(model.predict(x, batch_size=8, verbose=0))
            first = make().predict(x, batch_size=8, verbose=0)
            both = np.concatenate([pred, first])
            row = {"name": name, "optimizer": oname, "optimizer_config": ocfg, "network": f"5-8-8-{v['outputs']}", **{k: q for k, q in v.items() if k != "outputs"},
                   "history": {k: [flt(q) for q in vs] for k, vs in h.history.items()}, "steps": steps,
                   "evaluate": logs(model.evaluate(x, y, batch_size=8, verbose=0, sample_weight=w, return_dict=True)), "predict": arr(pred)}
            if v["last"] != "linear":
                row["probability_range"] = [flt(both.min()), flt(both.max())]
                assert both.min() > 1e-6 and both.max() < 1 - 1e-6, "the clip at 1e-7 would be visible"
            cases.append(row)
    write("dense_training.json", {
        "floatx": "float64", "batch_size": 8, "epochs": 3, "shuffle": False,
        "note": "Cross-entropies are computed from probabilities: on this backend Keras never looks for the logits. It divides by the row sum (softmax losses only), "
                "clips to [1e-7, 1-1e-7] and takes the log. No probability here comes near the clip (probability_range), so a loss fused with the last activation agrees to rounding. "
                "steps[t].logs are what train_on_batch returned: running means since the metrics were last reset, which is before steps 0, 3 and 6."},
        data={k: arr(v) for k, v in data.items()}, networks={k: [arr(p) for p in v] for k, v in nets.items()}, cases=cases)


# --------------------------------------------------------------------------------------------------------------------
# 8. Layers


def layers():
    use_float("float64")
    cases = []

    def weight_for(v, seed):
        if "variance" in v.path or "moving_var" in v.path:
            return some(seed, v.shape, 0.5, 1.5)
        if v.path.endswith("count"):
            return None
        return some(seed, v.shape, -0.6, 0.6)

    def case(name, cfg, inputs, training=False, call=None, kwargs=None, given=None, title=None, group=None, steps=None):
        """call: "list" hands the inputs over as one list, "args" one by one. given: weights by position instead of random ones."""
        kwargs = kwargs or {}
        ins = [np.asarray(i) for i in inputs]
        pass_list = (call or "args") == "list"

        def run():
            keras.backend.clear_session()
            layer = build((name, cfg)) if name != "Sequential" else keras.Sequential([build(l) for l in cfg["layers"]])
            arrays = {k: (jnp.asarray(v) if isinstance(v, np.ndarray) else v) for k, v in kwargs.items()}
            if "initial_state" in arrays:
                arrays["initial_state"] = [jnp.asarray(a) for a in kwargs["initial_state"]]
            if getattr(layer, "_call_has_training_arg", False):
                arrays["training"] = training
            hand = lambda xs: ([list(xs)] if pass_list else list(xs))
            layer(*hand([jnp.asarray(i) for i in ins]), **arrays)
            for i, v in enumerate(layer.weights):
                w = given[i] if given is not None else weight_for(v, 200 + 3 * i)
                if w is not None:
                    v.assign(w)
            names = [v.path for v in layer.weights]
            before = [np.asarray(v.value) for v in layer.weights]
            tv = [v.value for v in layer.trainable_variables]
            ntv = [v.value for v in layer.non_trainable_variables]
            nt_paths = [v.path for v in layer.non_trainable_variables]
            n_in = len(ins)

            def f(*all_in):
                return layer.stateless_call(list(all_in[n_in:]), ntv, *hand(all_in[:n_in]), **arrays)[0]

            outs, cot, gr = value_and_vjp(f, ins + tv, 300)
            after = []
            if training and ntv:
                after = layer.stateless_call(tv, ntv, *hand([jnp.asarray(i) for i in ins]), **arrays)[1]
            row = {"layer": name, "config": {k: plain(v) for k, v in cfg.items()}, "training": training, "inputs": [arr(i) for i in ins],
                   "call": "list" if pass_list else "args",
                   "weights": [{"name": p, "trainable": any(p == t.path for t in layer.trainable_variables), "value": arr(b)} for p, b in zip(names, before)],
                   "outputs": [arr(o) for o in outs], "cotangents": [opt(c) for c in cot],
                   "grads_inputs": [opt(g) for g in gr[:n_in]] if gr else [None] * n_in, "grads_weights": [arr(g) for g in gr[n_in:]] if gr else []}
            if kwargs:
                row["call_args"] = {k: (arr(v) if isinstance(v, np.ndarray) else ([arr(a) for a in v] if isinstance(v, list) else v)) for k, v in kwargs.items()}
            changed = [(p, a) for p, a, b in zip(nt_paths, after, ntv) if is_float(a) and not np.array_equal(np.asarray(a), np.asarray(b))]
            if changed:
                row["state_after"] = [{"name": p, "value": arr(a)} for p, a in changed]
            if title:
                row["title"] = title
            if rounded(f, ins + tv):
                row["precision"] = "float32"
            cases.append(row)
            return row

        return attempt(f"layers.{name} {cfg}", run)

    x = some(140, (3, 4), -1, 1)
    seq = some(141, (2, 4, 3), -1, 1)
    img = some(142, (1, 5, 6, 2), -1, 1)
    imgs = some(155, (2, 3, 4, 2), -1, 1)
    long = some(143, (2, 7, 3), -1, 1)
    vol = some(144, (1, 3, 4, 3, 2), -1, 1)
    D = "Dense"
    case(D, {"units": 3}, [x]); case(D, {"units": 2, "activation": "tanh", "use_bias": False}, [x]); case(D, {"units": 3, "activation": "softmax"}, [x]); case(D, {"units": 2, "activation": "relu"}, [seq])
    case("EinsumDense", {"equation": "abc,cd->abd", "output_shape": [None, 5], "bias_axes": "d"}, [seq])
    case("Activation", {"activation": "gelu"}, [x])
    case("ReLU", {"max_value": 0.6, "negative_slope": 0.1, "threshold": 0.2}, [x]); case("LeakyReLU", {}, [x]); case("PReLU", {}, [seq]); case("PReLU", {"shared_axes": [1]}, [seq])
    case("ELU", {"alpha": 0.7}, [x]); case("Softmax", {}, [seq]); case("Softmax", {"axis": 1}, [seq])
    case("Identity", {}, [x]); case("Flatten", {}, [imgs]); case("Reshape", {"target_shape": [3, -1]}, [seq]); case("Permute", {"dims": [2, 1]}, [seq]); case("RepeatVector", {"n": 3}, [x])
    case("Dropout", {"rate": 0.5}, [x]); case("SpatialDropout1D", {"rate": 0.5}, [seq]); case("GaussianNoise", {"stddev": 0.5}, [x]); case("GaussianDropout", {"rate": 0.5}, [x]); case("AlphaDropout", {"rate": 0.5}, [x])

    bn_x = [np.array([[1.0, 2.0], [3.0, 6.0]]), some(145, (4, 2), -2, 2)]
    row = case("BatchNormalization", {}, [bn_x[0]], training=True, given=[np.ones(2), np.zeros(2), np.zeros(2), np.ones(2)], title="golden, first training step")
    expect("BN mean", row["state_after"][0]["value"]["data"], [0.02, 0.04]); expect("BN var", row["state_after"][1]["value"]["data"], [1.0, 1.03])
    bn = [np.array([1.5, -0.5]), np.array([0.25, 0.75]), np.zeros(2), np.ones(2)]
    for t, xx in enumerate([some(146, (4, 2), -2, 2), some(147, (3, 2), -2, 2)]):
        row = case("BatchNormalization", {}, [xx], training=True, given=list(bn), title=f"training step {t + 1} of 2")
        bn[2:] = [np.array(r["value"]["data"]) for r in row["state_after"]]
    case("BatchNormalization", {}, [bn_x[1]], given=list(bn), title="inference after the two steps")
    case("BatchNormalization", {"momentum": 0.9, "epsilon": 1e-5, "center": False}, [imgs], training=True); case("BatchNormalization", {"scale": False}, [imgs]); case("BatchNormalization", {"axis": 1}, [seq], training=True)
    m3 = np.array([[True, True, False, False], [True, True, True, True]])
    case("BatchNormalization", {}, [seq], training=True, kwargs={"mask": m3})
    row = case("LayerNormalization", {}, [np.array([[1.0, 2.0, 4.0]])], given=[np.ones(3), np.zeros(3)], title="golden"); expect("LN", row["outputs"][0]["data"], [-1.0687017, -0.26717556, 1.3358767])
    case("LayerNormalization", {}, [seq]); case("LayerNormalization", {"axis": [1, 2]}, [seq]); case("LayerNormalization", {"center": False, "scale": False, "epsilon": 1e-6}, [x])
    case("GroupNormalization", {"groups": 2}, [some(148, (2, 3, 4))]); case("GroupNormalization", {"groups": -1}, [some(148, (2, 3, 4))]); case("GroupNormalization", {"groups": 1, "epsilon": 1e-5}, [imgs])
    row = case("RMSNormalization", {}, [np.array([[1.0, 2.0, 4.0]])], given=[np.ones(3)], title="golden"); expect("RMS", row["outputs"][0]["data"], [0.37796444, 0.7559289, 1.5118577])
    case("RMSNormalization", {}, [seq]); case("UnitNormalization", {}, [seq]); case("UnitNormalization", {"axis": [1, 2]}, [seq])

    ids = np.array([[1, 2, 0, 0], [3, 1, 4, 2]])
    case("Embedding", {"input_dim": 5, "output_dim": 3}, [ids]); case("Embedding", {"input_dim": 5, "output_dim": 3, "mask_zero": True}, [ids])
    gold_w = lambda *shapes: [np.arange(int(np.prod(sh))).reshape(sh) / 50 - 0.1 for sh in shapes]
    gx = np.arange(6.0).reshape(1, 3, 2) / 10
    for name, shapes, want in [
        ("LSTM", [(2, 8), (2, 8), (8,)], [-0.00145669, 0.00397129, 0.00385578, 0.01436837, 0.01293325, 0.02871916]),
        ("GRU", [(2, 6), (2, 6), (2, 6)], [0.02084632, 0.03731369, 0.04018928, 0.06920361, 0.05863818, 0.09817315]),
        ("SimpleRNN", [(2, 2), (2, 2), (2,)], [-0.10560477, -0.08380298, -0.12180357, -0.09590383, -0.15090404, -0.11786909])]:
        row = case(name, {"units": 2, "return_sequences": True}, [gx], given=gold_w(*shapes), title="golden"); expect(name, row["outputs"][0]["data"], want)
        n_state = 2 if name == "LSTM" else 1
        state = [some(150 + i, (2, 2)) for i in range(n_state)]
        case(name, {"units": 2}, [seq]); case(name, {"units": 2, "return_sequences": True, "return_state": True}, [seq]); case(name, {"units": 2, "go_backwards": True, "return_sequences": True}, [seq])
        case(name, {"units": 2, "return_sequences": True, "return_state": True}, [seq], kwargs={"mask": m3})
        case(name, {"units": 2}, [seq], kwargs={"mask": np.array([[False, True, False, True], [True, False, True, True]])})
        case(name, {"units": 2, "return_sequences": True, "zero_output_for_mask": True}, [seq], kwargs={"mask": m3})
        case(name, {"units": 2, "return_state": True}, [seq], kwargs={"initial_state": state})
        case(name, {"units": 2, "activation": "relu", "use_bias": False}, [seq])
        if name != "SimpleRNN":
            case(name, {"units": 2, "recurrent_activation": "hard_sigmoid"}, [seq])
        for merge in (["concat", "sum", "mul", "ave", None] if name == "LSTM" else ["concat"]):
            case("Bidirectional", {"layer": (name, {"units": 2, "return_sequences": True}), "merge_mode": merge}, [seq[:1]])
        case("Bidirectional", {"layer": (name, {"units": 2})}, [seq], kwargs={"mask": m3})
    case("GRU", {"units": 2, "reset_after": False, "return_sequences": True}, [seq])
    case("TimeDistributed", {"layer": (D, {"units": 2})}, [seq])
    for title, stack in [("a mask from Embedding reaches LSTM", [("Embedding", {"input_dim": 5, "output_dim": 3, "mask_zero": True}), ("LSTM", {"units": 2}), (D, {"units": 2})]),
                         ("a mask from Embedding reaches GRU", [("Embedding", {"input_dim": 5, "output_dim": 3, "mask_zero": True}), ("GRU", {"units": 2, "return_sequences": True}), (D, {"units": 1})]),
                         ("a mask from Embedding reaches GlobalAveragePooling1D", [("Embedding", {"input_dim": 5, "output_dim": 3, "mask_zero": True}), ("GlobalAveragePooling1D", {})])]:
        case("Sequential", {"layers": stack}, [ids], title=title)
    masked = seq.copy(); masked[0, 2:] = 0.0
    case("Sequential", {"layers": [("Masking", {"mask_value": 0.0}), ("SimpleRNN", {"units": 2})]}, [masked], title="a mask from Masking reaches SimpleRNN")

    for pad in ("valid", "same"):
        for extra in [{}, {"strides": 2}, {"dilation_rate": 2}]:
            case("Conv1D", {"filters": 2, "kernel_size": 3, "padding": pad, **extra}, [long]); case("Conv2D", {"filters": 2, "kernel_size": 3, "padding": pad, **extra}, [img])
        case("Conv2D", {"filters": 2, "kernel_size": [2, 3], "strides": [2, 1], "padding": pad, "activation": "relu"}, [img]); case("Conv2D", {"filters": 4, "kernel_size": 2, "groups": 2, "padding": pad, "use_bias": False}, [img])
        case("DepthwiseConv2D", {"kernel_size": 3, "depth_multiplier": 2, "padding": pad}, [img]); case("DepthwiseConv2D", {"kernel_size": 2, "strides": 2, "padding": pad}, [img]); case("SeparableConv2D", {"filters": 3, "kernel_size": 3, "padding": pad}, [img])
        case("DepthwiseConv1D", {"kernel_size": 3, "padding": pad}, [long]); case("SeparableConv1D", {"filters": 2, "kernel_size": 3, "padding": pad}, [long])
        for extra in [{}, {"strides": 2}, {"strides": 3}]:
            case("Conv2DTranspose", {"filters": 2, "kernel_size": 3, "padding": pad, **extra}, [img[:1, :3, :3]])
            case("Conv1DTranspose", {"filters": 2, "kernel_size": 3, "padding": pad, **extra}, [seq])
        case("Conv3D", {"filters": 2, "kernel_size": 2, "padding": pad}, [vol])
        for p in ("MaxPooling", "AveragePooling"):
            case(p + "1D", {"pool_size": 2, "padding": pad}, [long]); case(p + "1D", {"pool_size": 3, "strides": 2, "padding": pad}, [long])
            case(p + "2D", {"pool_size": 2, "padding": pad}, [img]); case(p + "2D", {"pool_size": [3, 2], "strides": [1, 2], "padding": pad}, [img]); case(p + "3D", {"pool_size": 2, "padding": pad}, [vol])
    case("Conv1D", {"filters": 2, "kernel_size": 3, "padding": "causal"}, [long]); case("Conv1D", {"filters": 2, "kernel_size": 2, "padding": "causal", "dilation_rate": 2}, [long])
    case("Conv2DTranspose", {"filters": 2, "kernel_size": 3, "strides": 2, "padding": "same", "output_padding": 1}, [img[:1, :3, :3]])
    row = case("Conv2D", {"filters": 1, "kernel_size": 3, "strides": 2, "padding": "same", "use_bias": False}, [np.ones((1, 4, 4, 1))], given=[np.ones((3, 3, 1, 1))], title="golden"); expect("same", row["outputs"][0]["data"], [9, 6, 6, 4])
    row = case("AveragePooling2D", {"pool_size": 2, "padding": "same"}, [np.arange(9.0).reshape(1, 3, 3, 1)], title="golden"); expect("average same", row["outputs"][0]["data"], [2, 3.5, 6.5, 8])
    for p in ("GlobalMaxPooling", "GlobalAveragePooling"):
        case(p + "1D", {}, [seq]); case(p + "2D", {}, [imgs]); case(p + "2D", {"keepdims": True}, [imgs]); case(p + "3D", {}, [vol])
    case("GlobalAveragePooling1D", {}, [seq], kwargs={"mask": m3})
    for p in ("AdaptiveAveragePooling", "AdaptiveMaxPooling"):
        case(p + "1D", {"output_size": 3}, [long]); case(p + "2D", {"output_size": [2, 4]}, [img])
    case("ZeroPadding1D", {"padding": [1, 2]}, [seq]); case("ZeroPadding2D", {"padding": [[1, 0], [2, 1]]}, [img[:1]]); case("Cropping1D", {"cropping": [1, 1]}, [long]); case("Cropping2D", {"cropping": [[1, 0], [1, 2]]}, [img[:1]])
    case("UpSampling1D", {"size": 2}, [seq]); case("UpSampling2D", {"size": [2, 3]}, [img[:1, :2, :2]]); case("UpSampling2D", {"size": 2, "interpolation": "bilinear"}, [img[:1, :3, :2]])
    y = some(149, (3, 4), -1, 1)
    for m in ["Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"]:
        case(m, {}, [x, y], call="list")
    case("Add", {}, [seq, some(152, (2, 1, 3))], call="list"); case("Concatenate", {}, [x, y], call="list"); case("Concatenate", {"axis": 1}, [seq, seq * 0.5], call="list")
    case("Dot", {"axes": 1}, [x, y], call="list"); case("Dot", {"axes": 1, "normalize": True}, [x, y], call="list"); case("Dot", {"axes": [2, 2]}, [seq, some(153, (2, 5, 3))], call="list")
    q, v = np.array([[[1.0, 0.0], [0.0, 1.0]]]), np.array([[[1.0, 2.0], [3.0, 4.0]]])
    row = case("Attention", {}, [q, v], call="list", title="golden"); expect("attention", row["outputs"][0]["data"], [2.761594, 3.7615938] * 2)
    k5 = some(154, (2, 5, 3))
    one, five = seq[:1], k5[:1]
    case("Attention", {}, [seq, k5], call="list"); case("Attention", {"use_scale": True}, [seq, k5], call="list"); case("Attention", {}, [seq, seq], call="list", kwargs={"use_causal_mask": True}); case("Attention", {"score_mode": "concat"}, [seq, k5], call="list")
    case("AdditiveAttention", {}, [seq, k5], call="list")
    mha = {"num_heads": 2, "key_dim": 2}
    scores = {"return_attention_scores": True}  # without them Keras hands over to a JAX function that works in float32
    case("MultiHeadAttention", mha, [one, one])
    case("MultiHeadAttention", mha, [one, one], kwargs=scores)
    case("MultiHeadAttention", {**mha, "value_dim": 3, "output_shape": 4}, [one, five], kwargs=scores)
    case("MultiHeadAttention", mha, [one, one], kwargs={"use_causal_mask": True, **scores})
    case("MultiHeadAttention", {**mha, "use_bias": False}, [one, five], kwargs={"attention_mask": np.array([[[True, True, False, True, False]] * 3 + [[True, False, True, True, True]]]), **scores})
    gqa = {"head_dim": 2, "num_query_heads": 4, "num_key_value_heads": 2}
    case("GroupQueryAttention", gqa, [one, one], kwargs=scores)
    case("GroupQueryAttention", gqa, [one, one], kwargs={"use_causal_mask": True, **scores})
    case("Rescaling", {"scale": 0.5, "offset": -1.0}, [x]); case("Normalization", {"mean": [0.1, 0.2, 0.3, 0.4], "variance": [1.0, 0.5, 2.0, 0.0]}, [x])
    case("Discretization", {"bin_boundaries": [0.0, 1.0]}, [np.array([[-1.0, 0.0, 0.5, 1.0, 2.0]])])
    for mode in ["one_hot", "multi_hot", "count"]:
        case("CategoryEncoding", {"num_tokens": 5, "output_mode": mode}, [np.array([[0], [3], [4]]) if mode == "one_hot" else np.array([[0, 1, 1], [3, 4, 0]])])
    grid = np.arange(16.0).reshape(1, 4, 4, 1)
    case("Resizing", {"height": 2, "width": 2}, [grid]); case("Resizing", {"height": 2, "width": 2, "interpolation": "nearest"}, [grid]); case("Resizing", {"height": 3, "width": 6}, [grid]); case("Resizing", {"height": 6, "width": 7, "interpolation": "bicubic"}, [grid]); case("CenterCrop", {"height": 2, "width": 3}, [grid])
    masks = []
    for name, cfg, inp in [("Embedding", {"input_dim": 5, "output_dim": 3, "mask_zero": True}, ids), ("Masking", {"mask_value": 0.0}, masked)]:
        masks.append({"layer": name, "config": cfg, "input": arr(inp), "mask": arr(build((name, cfg)).compute_mask(jnp.asarray(inp)))})
    write("layers.json", {"floatx": "float64"}, cases=cases, masks=masks)


# --------------------------------------------------------------------------------------------------------------------
# 9. Callbacks


def callbacks():
    use_float("float64")
    base = [1.0, 0.9, 0.95, 0.91, 0.92, 0.93, 0.5]

    def model():
        keras.backend.clear_session()
        m = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
        m.compile(keras.optimizers.SGD(1.0), "mse")
        m.stop_training = False
        return m

    stopping = []
    for cfg, values, want in [
        ({"patience": 0}, base, 2), ({"patience": 2}, base, 3), ({"patience": 3}, base, 4), ({"patience": 2, "min_delta": 0.06}, base, 3), ({"patience": 2, "baseline": 0.8}, base, 2),
        ({"patience": 1, "start_from_epoch": 3}, base, 4), ({"patience": 2, "restore_best_weights": True}, base, 3), ({"patience": 10, "restore_best_weights": True}, base, None),
        ({"patience": 2, "mode": "max"}, [0.1, 0.5, 0.4, 0.45, 0.6, 0.2, 0.3], 3), ({"patience": 2, "mode": "max", "min_delta": 0.05, "restore_best_weights": True}, [0.1, 0.2, 0.24, 0.26, 0.2, 0.2, 0.9], 5),
        ({"patience": 1}, [1.0, float("nan"), 0.5, 0.6, 0.7], None), ({"patience": 3, "baseline": 0.92}, base, None), ({"patience": 1}, [1.0, 1.0, 1.0], 1), ({"patience": 0}, [1.0, 0.9, 0.8], None)]:
        cb, m = keras.callbacks.EarlyStopping(monitor="val_loss", **cfg), model()
        cb.set_model(m)
        cb.on_train_begin()
        trace, stopped = [], None
        for epoch, v in enumerate(values):
            m.set_weights([np.array([[float(epoch)]])])
            cb.on_epoch_end(epoch, {"val_loss": v})
            trace.append({"wait": cb.wait, "best": None if cb.best is None else flt(cb.best), "best_epoch": cb.best_epoch, "stop": bool(m.stop_training)})
            if m.stop_training:
                stopped = epoch
                break
        cb.on_train_end()
        if want is not None:
            expect(f"EarlyStopping {cfg}", stopped, want)
        stopping.append({"config": cfg, "values": [flt(v) for v in values], "stopped_epoch": stopped, "trace": trace, "weight_at_end": flt(m.get_weights()[0][0, 0])})

    plateau = []
    longer = base + [0.5] * 5
    for cfg, lr, values, want in [
        ({"factor": 0.5, "patience": 2}, 1.0, longer, [1, 1, 1, 0.5, 0.5, 0.25, 0.25, 0.25, 0.125, 0.125, 0.0625, 0.0625]),
        ({"factor": 0.5, "patience": 2, "cooldown": 2}, 1.0, longer, [1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.125]),
        ({"factor": 0.5, "patience": 1, "min_lr": 0.3}, 1.0, longer, [1, 1, 0.5] + [0.3] * 9), ({}, 0.1, [1.0] * 14, None), ({"factor": 0.2, "patience": 1, "min_delta": 0.2}, 0.1, [1.0, 0.9, 0.7, 0.65, 0.1], None),
        ({"factor": 0.5, "patience": 1, "mode": "max"}, 1.0, [0.1, 0.2, 0.2, 0.3, 0.25, 0.2], None)]:
        cb, m = keras.callbacks.ReduceLROnPlateau(monitor="val_loss", **cfg), model()
        m.optimizer.learning_rate = lr
        cb.set_model(m)
        cb.on_train_begin()
        rates, logged = [], []
        for epoch, v in enumerate(values):
            d = {"val_loss": v}
            cb.on_epoch_end(epoch, d)
            rates.append(flt(np.float64(m.optimizer.learning_rate.value)))
            logged.append(flt(d["learning_rate"]))
        if want:
            expect(f"ReduceLROnPlateau {cfg}", rates, want)
        plateau.append({"config": cfg, "learning_rate": lr, "values": values, "learning_rate_after": rates, "learning_rate_logged": logged})

    # Whole fits: what history says when callbacks take part.
    runs = []
    x = np.array([[0.0], [1.0], [2.0], [3.0], [4.0], [5.0]])
    y = 2.0 * x

    def fit(title, cbs, epochs=4, initial_epoch=0, **kw):
        m = model()
        m.set_weights([np.array([[0.5]])])
        m.optimizer.learning_rate = 0.01
        h = m.fit(x, y, batch_size=3, epochs=epochs, initial_epoch=initial_epoch, shuffle=False, verbose=0, callbacks=cbs, **kw)
        runs.append({"title": title, "epochs": epochs, "initial_epoch": initial_epoch, "fit": kw, "epoch": list(h.epoch), "history": {k: [flt(v) for v in vs] for k, vs in h.history.items()}, "weight": flt(m.get_weights()[0][0, 0])})

    fit("none", [])
    fit("LearningRateScheduler lr = 0.01 / (1 + epoch)", [keras.callbacks.LearningRateScheduler(lambda e, lr: 0.01 / (1 + e))])
    fit("ReduceLROnPlateau monitor loss, factor 0.5, patience 1, min_delta 100", [keras.callbacks.ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=100.0)])
    fit("initial_epoch", [], epochs=5, initial_epoch=2)
    fit("steps_per_epoch", [], epochs=3, steps_per_epoch=1)
    fit("validation_split", [], validation_split=0.34)
    fit("validation_freq", [], epochs=4, validation_split=0.34, validation_freq=2)
    write("callbacks.json", {"floatx": "float64", "fit_data": {"x": arr(x), "y": arr(y), "initial_weight": 0.5, "learning_rate": 0.01, "batch_size": 3, "model": "Dense(1, use_bias=False), SGD, mse, shuffle=False"}},
          early_stopping=stopping, reduce_lr_on_plateau=plateau, fits=runs)


# --------------------------------------------------------------------------------------------------------------------
# 10. What is printed


def summary():
    use_float("float32")
    L = keras.layers

    def texts(m, **kw):
        got = {}
        for columns, width in [(100, 88), (80, 76)]:
            os.environ["COLUMNS"] = str(columns)
            lines = []
            m.summary(print_fn=lambda s: lines.append(s), **kw)
            got[str(width)] = "\n".join(lines)
        return got

    out = []

    def add(title, description, m, **kw):
        out.append({"title": title, "layers": description, "args": kw, "text": texts(m, **kw)})

    def mlp():
        keras.backend.clear_session()
        return keras.Sequential([keras.Input((784,)), L.Dense(64, activation="relu"), L.Dense(64, activation="relu"), L.Dense(10, activation="softmax")])

    dense = "Input(784) Dense(64) Dense(64) Dense(10)"
    m = mlp()
    add("mlp", dense, m)
    m.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    add("mlp compiled with adam", dense, m)
    m.train_on_batch(np.zeros((2, 784), "float32"), np.zeros((2,), "int32"))
    add("mlp after one step of adam", dense, m)
    m = mlp()
    m.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    m.train_on_batch(np.zeros((2, 784), "float32"), np.zeros((2,), "int32"))
    add("mlp after one step of sgd", dense, m)
    m = mlp()
    m.compile(keras.optimizers.SGD(0.1, momentum=0.9), "sparse_categorical_crossentropy")
    m.train_on_batch(np.zeros((2, 784), "float32"), np.zeros((2,), "int32"))
    add("mlp after one step of sgd with momentum", dense, m)
    add("mlp with line_length 100", dense, mlp(), line_length=100)
    keras.backend.clear_session()
    m = keras.Sequential([keras.Input((28, 28, 1)), L.Conv2D(8, 3, activation="relu"), L.BatchNormalization(), L.MaxPooling2D(), L.Flatten(), L.Dropout(0.5), L.Dense(10, activation="softmax")])
    add("mixed", "Input(28,28,1) Conv2D(8,3) BatchNormalization MaxPooling2D Flatten Dropout(0.5) Dense(10)", m)
    keras.backend.clear_session()
    m = keras.Sequential([keras.Input((4,)), L.Dense(8, name="first"), L.Dense(8, name="a_layer_name_that_is_much_longer_than_its_column_would_like"), L.Dense(1, name="head")], name="my_model")
    add("named", "Sequential name=my_model: Input(4) Dense(8, name=first) Dense(8, name=a_layer_name_that_is_much_longer_than_its_column_would_like) Dense(1, name=head)", m)
    m = mlp()
    m.layers[1].trainable = False
    add("frozen", dense + ", the second Dense frozen", m)
    add("frozen, show_trainable", dense + ", the second Dense frozen", m, show_trainable=True)
    keras.backend.clear_session()
    m = keras.Sequential([L.Dense(8), L.Dense(1)])
    add("not built", "Dense(8) Dense(1), no Input", m)
    keras.backend.clear_session()
    m = keras.Sequential([keras.Input((6,), dtype="int32"), L.Embedding(1000, 16, mask_zero=True), L.LSTM(32), L.Dense(1, activation="sigmoid")])
    add("recurrent", "Input(6) Embedding(1000,16) LSTM(32) Dense(1)", m)

    # verbose=2, as printed by real fits: <t> replaces the two timings in `masked`.
    lines = []
    x = np.arange(10, dtype="float32")[:, None]
    for title, kw in [("mse and mae", {}), ("with validation", {"validation_split": 0.25}), ("weighted", {"sample_weight": np.where(np.arange(10) > 4, 2.0, 1.0)})]:
        keras.backend.clear_session()
        m = keras.Sequential([keras.Input((1,)), L.Dense(1, use_bias=False, kernel_initializer="ones")])
        m.compile(keras.optimizers.SGD(0.0), "mse", metrics=["mae"], weighted_metrics=["mse"] if "sample_weight" in kw else None)
        s = io.StringIO()
        with contextlib.redirect_stdout(s):
            m.fit(x, np.zeros_like(x), batch_size=4, epochs=2, shuffle=False, verbose=2, **kw)
        text = s.getvalue()
        masked = re.sub(r" - \d+s - \d+(us|ms|s)/step", " - <t>s - <t>/step", text)
        lines.append({"title": title, "raw": text, "masked": masked})

    # The progress bar on a clock that we set: text is exact.
    from keras.src.utils import progbar

    class Clock:
        now = 0.0

        def time(self):
            return self.now

    bars, real, clock = [], progbar.time, Clock()
    progbar.time = clock
    try:
        for verbose in (1, 2):
            for target, times, values in [
                (3, [0.5, 1.0, 1.5], [[("loss", 2.0), ("accuracy", 0.25)], [("loss", 1.5), ("accuracy", 0.5)], [("loss", 1.0), ("accuracy", 0.75)]]),
                (1875, [0.004, 40.0, 75.0], [[("loss", 2.3)], [("loss", 0.00012)], [("loss", 0.00005)]]),
                (100000, [1.0, 2.0, 90000.0], [[("loss", 1.0)], [("loss", 1.0)], [("loss", 1.0)]]),
                (100, [0.00001, 0.1, 200.0], [[("loss", -1.0)], [("loss", -0.5)], [("loss", -0.25)]])]:
                clock.now = 0.0
                bar, updates = keras.utils.Progbar(target, verbose=verbose, unit_name="step"), []
                for i, (t, v) in enumerate(zip(times, values)):
                    clock.now = t
                    current = target if i == 2 else (i + 1 if target == 3 else (i + 1) * max(1, target // 3))
                    s = io.StringIO()
                    with contextlib.redirect_stdout(s):
                        bar.update(current, [(k, q) for k, q in v], finalize=i == 2)
                    updates.append({"now": t, "current": current, "values": [[k, q] for k, q in v], "finalize": i == 2, "text": s.getvalue()})
                bars.append({"target": target, "verbose": verbose, "updates": updates})
    finally:
        progbar.time = real
    bar = keras.utils.Progbar(10)
    times = [0.0, 1e-7, 1e-6, 4.7e-6, 1e-4, 9.99e-4, 1e-3, 0.0015, 0.119, 0.9994, 0.9996, 1.0, 1.5, 2.5, 59.6, 61.0, 3700.0]
    sizes = [0, 1, 95, 380, 1023, 1024, 1536, 219432, 1024**2, 5 * 1024**2 + 7, 1024**3, 3 * 1024**4]
    from keras.src.utils.summary_utils import readable_memory_size

    write("summary.json", {"floatx": "float32", "format_time": [[t, bar._format_time(t, "step")] for t in times], "memory_size": [[s, readable_memory_size(s)] for s in sizes],
                           "note": "text has two keys, the line length: 88 is the default on a terminal of 92 columns or more, 76 on one of 80 (the default is min(88, columns - 4))."},
          summaries=out, verbose_2=lines, progbar=bars)


# --------------------------------------------------------------------------------------------------------------------
# 11. What 'accuracy' and 'crossentropy' mean


def accuracy_resolution():
    use_float("float64")
    from keras.src.trainers import compile_utils

    cases = []
    for t, p in [((8,), (8, 1)), ((8, 1), (8, 1)), ((8,), (8, 10)), ((8, 1), (8, 10)), ((8, 10), (8, 10)), ((8, 2), (8, 2)), ((8, 5), (8, 5, 10)), ((8, 5, 1), (8, 5, 10)),
                 ((8, 5, 10), (8, 5, 10)), ((8, 5), (8, 5, 1)), ((8, 5, 1), (8, 5, 1)), ((8,), (8,)), ((8, 10), (8, 1)), ((1,), (1, 1)), ((4, 4, 3), (4, 4, 3)), ((8, 28, 28), (8, 28, 28, 3)), ((8, 28, 28, 1), (8, 28, 28, 1))]:
        yt, yp = np.zeros(t), np.zeros(p)
        loss = compile_utils.get_loss("crossentropy", yt, yp)
        cases.append({"y_true_shape": list(t), "y_pred_shape": list(p), "accuracy": type(compile_utils.get_metric("accuracy", yt, yp)).__name__, "crossentropy": loss.fn.__name__})
    names = {}
    for kind, module, keys in [("loss", keras.losses, ["mse", "mae", "mape", "msle", "bce", "bfce", "cce", "scce", "kld", "kl_divergence", "huber", "log_cosh", "logcosh", "hinge", "squared_hinge", "categorical_hinge", "poisson", "cosine_similarity", "mean_squared_error", "MSE", "binary_crossentropy", "categorical_crossentropy", "sparse_categorical_crossentropy"]),
                               ("metric", keras.metrics, ["mse", "mae", "mape", "msle", "rmse", "bce", "auc", "AUC", "precision", "Precision", "Recall", "cosine_similarity", "binary_accuracy", "sparse_categorical_accuracy", "mean_squared_error", "MeanSquaredError", "R2Score", "f1_score"]),
                               ("optimizer", keras.optimizers, ["sgd", "adam", "Adam", "adamw", "rmsprop", "nadam", "adagrad", "adadelta", "adamax", "ftrl", "lion", "lamb", "adafactor", "muon"]),
                               ("activation", keras.activations, ["relu", "leaky_relu", "swish", "silu", "hard_swish", "gelu", "exponential", "linear", "softmax", "hard_sigmoid", "mish", "log_softmax"])]:
        for k in keys:
            try:
                got = module.get(k)
                names.setdefault(kind, {})[k] = got.__name__ if hasattr(got, "__name__") else type(got).__name__
            except Exception:
                names.setdefault(kind, {})[k] = None
    write("accuracy_resolution.json", {"note": "null: Keras does not know the name"}, cases=cases, names=names)


SECTIONS = [activations, operations, losses, optimizers, schedules, initializers, regularizers, constraints, metrics, dense_training, layers, callbacks, summary, accuracy_resolution]

if __name__ == "__main__":
    os.makedirs(OUT, exist_ok=True)
    wanted = sys.argv[1:]
    try:
        for section in SECTIONS:
            if not wanted or section.__name__ in wanted:
                section()
    finally:
        for s in SKIPPED:
            print("skipped:", s)
