"""Cases of the node tests of the package `onnx`: one operator each, with its inputs and outputs. Writes pack/onnx.bin;
`tests/all/foreign_suites.rs` replays it.

A row of `CALLS` says which of our operations a node means, with its arguments and tensors in our layout. Nodes that ours cannot
say (another axis, a cropped index, strings) are left out.
"""

import warnings

import numpy as np

warnings.simplefilter("ignore")
np.seterr(all="ignore")

import onnx
from onnx.backend.test.case.node import collect_testcases

from packing import OURS, TYPES, Pack

LARGEST = 2500


class Skip(Exception):
    """The node says something that our operations cannot."""


def need(condition):
    if not condition:
        raise Skip


class Node:
    def __init__(self, case):
        node, (inputs, outputs) = case.model.graph.node[0], case.data_sets[0]
        self.attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        self.attributes = {k: v.decode() if isinstance(v, bytes) else v for k, v in self.attributes.items()}
        # Casts have their numbers as the file does.
        inputs, outputs = ([onnx.numpy_helper.to_array(v) if isinstance(v, onnx.TensorProto) else v for v in some] for some in (inputs, outputs))
        need(all(isinstance(v, (np.ndarray, np.generic)) for v in [*inputs, *outputs]))
        given, made = iter(inputs), iter(outputs)
        self.x = [np.asarray(next(given)) if name else None for name in node.input]
        self.y = [np.asarray(next(made)) if name else None for name in node.output]

    def get(self, name, default=None):
        return self.attributes.get(name, default)

    def input(self, at):
        return self.x[at] if at < len(self.x) else None

    def only(self, *names):
        need(set(self.attributes) <= set(names))


def ints(v):
    return [int(i) for i in np.asarray(v).ravel()]


def same(ours):
    """The same inputs, without attributes."""
    def call(n):
        need(not n.attributes and all(x is not None for x in n.x))
        if len(n.x) == 1 and n.x[0].size > LARGEST:  # of an elementwise function, a part is enough
            return ours, [n.x[0].ravel()[:300]], {}, [n.y[0].ravel()[:300]]
        return ours, n.x, {}, n.y[:1]
    return call


def constant(ours, name, default):
    def call(n):
        n.only(name)
        return ours, n.x, {"p": n.get(name, default)}, n.y
    return call


def fold(ours):
    """Of any number of operands."""
    def call(n):
        need(len(n.x) == 2)
        return ours, n.x, {}, n.y
    return call


def reduce(ours, extra=None):
    def call(n):
        axes = n.input(1)
        axes = n.get("axes", []) if axes is None else ints(axes)
        need(axes or not n.get("noop_with_empty_axes", 0))
        return ours, n.x[:1], {"axes": list(axes), "keepdims": bool(n.get("keepdims", 1)), **(extra or {})}, n.y
    return call


def extreme(ours):
    def call(n):
        need(not n.get("select_last_index", 0))
        axis = n.get("axis", 0)
        y = np.squeeze(n.y[0], axis) if n.get("keepdims", 1) else n.y[0]
        return ours, n.x, {"axis": axis}, [y]
    return call


def running(ours):
    def call(n):
        need(not n.get("exclusive", 0) and not n.get("reverse", 0))
        return ours, n.x[:1], {"axis": int(n.x[1])}, n.y
    return call


def axis(ours, default, name="axis"):
    def call(n):
        n.only("axis")
        return ours, n.x, {name: n.get("axis", default)}, n.y
    return call


def last(x):
    """Channels last."""
    return np.moveaxis(x, 1, -1)


def per_axis(n, name, rank, default=1):
    return ints(n.get(name, [default] * rank))


def padding(n, rank):
    auto = n.get("auto_pad", "NOTSET")
    if auto == "SAME_UPPER":
        return "same"
    need(auto in ("NOTSET", "VALID"))
    pads = ints(n.get("pads", [0] * (2 * rank)))
    return [[a, b] for a, b in zip(pads[:rank], pads[rank:])]


def pool(ours):
    def call(n):
        rank = n.x[0].ndim - 2
        need(not n.get("ceil_mode", 0) and not n.get("count_include_pad", 0) and set(per_axis(n, "dilations", rank)) == {1})
        args = {"size": ints(n.get("kernel_shape")), "strides": per_axis(n, "strides", rank), "padding": padding(n, rank)}
        return ours, [last(n.x[0])], args, [last(n.y[0])]
    return call


def conv(n):
    rank = n.x[0].ndim - 2
    args = {"strides": per_axis(n, "strides", rank), "dilation": per_axis(n, "dilations", rank), "padding": padding(n, rank), "groups": n.get("group", 1)}
    kernel = np.moveaxis(n.x[1], (0, 1), (-1, -2))
    return "conv", [last(n.x[0]), kernel, *n.x[2:]], args, [last(n.y[0])]


def conv_transpose(n):
    rank = n.x[0].ndim - 2
    need(n.get("group", 1) == 1 and "output_shape" not in n.attributes and "auto_pad" not in n.attributes and not any(n.get("pads", [])) and len(n.x) == 2)
    args = {"strides": per_axis(n, "strides", rank), "dilation": per_axis(n, "dilations", rank), "more": per_axis(n, "output_padding", rank, 0)}
    return "conv_transpose", [last(n.x[0]), np.moveaxis(n.x[1], (0, 1), (-1, -2))], args, [last(n.y[0])]


def clip(n):
    low, high = n.input(1), n.input(2)
    need(low is not None and high is not None and low <= high)
    return "clip", n.x[:1], {"low": low.item(), "high": high.item()}, n.y


def concat(n):
    return "concat", n.x, {"axis": n.get("axis")}, n.y


def depth(ours):
    def call(n):
        need(n.get("mode", "DCR") == "DCR")
        return ours, [last(n.x[0])], {"block": n.get("blocksize")}, [last(n.y[0])]
    return call


def einsum(n):
    return "einsum", n.x, {"equation": n.get("equation").replace(" ", "")}, n.y


def gather(n):
    return "gather", n.x, {"axis": n.get("axis", 0)}, n.y


def gather_elements(n):
    axis = n.get("axis", 0)
    need(all(a == b for i, (a, b) in enumerate(zip(n.x[0].shape, n.x[1].shape)) if i != axis % n.x[0].ndim))
    return "take_along_axis", n.x, {"axis": axis}, n.y


def gemm(n):
    need(n.get("alpha", 1.0) == 1.0 and n.get("beta", 1.0) == 1.0)
    a = n.x[0].T if n.get("transA", 0) else n.x[0]
    b = n.x[1].T if n.get("transB", 0) else n.x[1]
    c = n.input(2)
    if c is not None:
        need(c.size in (1, b.shape[1]) and c.ndim <= 2 and (c.ndim < 2 or c.shape[0] == 1))
        c = np.broadcast_to(c.ravel(), (b.shape[1],))
    return "linear", [a, b] + ([c] if c is not None else []), {}, n.y


def layer_norm(n):
    need(n.get("axis", -1) in (-1, n.x[0].ndim - 1))
    return "layer_norm", n.x, {"epsilon": n.get("epsilon", 1e-5)}, n.y[:1]


def batch_norm(n):
    need(n.get("training_mode", 0))
    return "batch_norm", [last(n.x[0]), n.x[1], n.x[2]], {"epsilon": n.get("epsilon", 1e-5)}, [last(n.y[0])]


def normalize(n):
    return "normalize", n.x, {"p": n.get("p", 2), "axes": [n.get("axis", -1)]}, n.y


def mod(n):
    return "fmod" if n.get("fmod", 0) else "remainder", n.x, {}, n.y


def shift(n):
    return "left_shift" if n.get("direction") == "LEFT" else "right_shift", n.x, {}, n.y


def one_hot(n):
    x, count, values = n.x
    need(n.get("axis", -1) in (-1, x.ndim) and x.dtype == np.int64 and (x >= 0).all() and (x < count).all())
    return "one_hot_values", [x], {"classes": int(count.item()), "off": float(values[0]), "on": float(values[1])}, [n.y[0].astype(np.float64)]


def pad(n):
    pads, value = ints(n.x[1]), n.input(2)
    rank = n.x[0].ndim
    axes = n.input(3)
    axes = list(range(rank)) if axes is None else [a % rank for a in ints(axes)]
    pairs = [[0, 0] for _ in range(rank)]
    for i, a in enumerate(axes):
        pairs[a] = [pads[i], pads[i + len(axes)]]
    need(all(p >= 0 for pair in pairs for p in pair))
    return "pad", n.x[:1], {"widths": pairs, "mode": n.get("mode", "constant"), "value": 0.0 if value is None else float(value.item())}, n.y


def reshape(n):
    sizes = ints(n.x[1])
    need(0 not in sizes)
    return "reshape", n.x[:1], {"sizes": sizes}, n.y


def flatten(n):
    return "reshape_to", n.x, {"shape": list(n.y[0].shape)}, n.y


def expand(n):
    need(n.y[0].shape == tuple(ints(n.x[1])))
    return "broadcast_to", n.x[:1], {"shape": list(n.y[0].shape)}, n.y


def unsqueeze(n):
    axes = ints(n.x[1])
    need(len(axes) == 1)
    return "expand_dims", n.x[:1], {"axis": axes[0]}, n.y


def squeeze(n):
    axes = ints(n.input(1)) if n.input(1) is not None else []
    need(len(axes) == 1)
    return "squeeze", n.x[:1], {"axis": axes[0]}, n.y


def transpose(n):
    order = n.get("perm", list(range(n.x[0].ndim))[::-1])
    return "permute", n.x, {"order": ints(order)}, n.y


def tile(n):
    return "tile", n.x[:1], {"times": ints(n.x[1])}, n.y


def split(n):
    axis = n.get("axis", 0)
    return "split", n.x[:1], {"sizes": [y.shape[axis] for y in n.y], "axis": axis}, n.y


def slices(n):
    x, starts, ends = n.x[0], ints(n.x[1]), ints(n.x[2])
    axes = ints(n.input(3)) if n.input(3) is not None else list(range(len(starts)))
    steps = ints(n.input(4)) if n.input(4) is not None else [1] * len(starts)
    need(len(set(a % x.ndim for a in axes)) == len(axes) and x.ndim <= 3)
    items = [{"slice": [None, None, None]} for _ in range(x.ndim)]
    big = 2**31 - 2

    for a, start, stop, step in zip(axes, starts, ends, steps):
        items[a % x.ndim] = {"slice": [max(min(start, big), -big), max(min(stop, big), -big), step]}
    return "index", [x], {"items": items}, n.y


def topk(n):
    need(n.get("largest", 1) and n.get("sorted", 1))
    return "top_k", n.x[:1], {"k": int(n.x[1].item()), "axis": n.get("axis", -1)}, n.y


def trilu(n):
    k = n.input(1)
    return "triu" if n.get("upper", 1) else "tril", n.x[:1], {"k": 0 if k is None else int(k)}, n.y


def unique(n):
    need(n.get("sorted", 1) and "axis" not in n.attributes)
    return "unique", n.x, {}, [n.y[0], n.y[2].reshape(n.x[0].shape), n.y[3]]


def where(n):
    return "choose", n.x, {}, n.y


def nonzero(n):
    return "argwhere", [n.x[0].astype(bool)], {}, [np.moveaxis(n.y[0], 0, -1)]


def compress(n):
    x, mask = n.x[0], n.x[1]
    if "axis" not in n.attributes:
        x = x.ravel()
    axis = n.get("axis", 0)
    need(axis % x.ndim == 0)
    # ONNX leaves out what the condition is too short for.
    mask = np.concatenate([mask, np.zeros(x.shape[0] - mask.size, bool)])
    return "boolean_mask", [x, mask], {}, n.y


def loss(n):
    x, labels = n.x[0], n.x[1]
    need(x.ndim == 2 and len(n.x) == 2 and "ignore_index" not in n.attributes and n.get("reduction", "mean") == "none")
    return "sparse_cross_entropy", [x, labels.astype(np.int64)], {}, n.y[:1]


def shrink(n):
    p, bias = n.get("lambd", 0.5), n.get("bias", 0.0)
    need(bias in (0.0, p))
    return "soft_shrink" if bias else "hard_shrink", n.x, {"p": p}, n.y


def gelu(n):
    return "gelu_tanh" if n.get("approximate", "none") == "tanh" else "gelu", n.x, {}, n.y


def swish(n):
    need(n.get("alpha", 1.0) == 1.0)
    return "silu", n.x, {}, n.y


def hard_sigmoid(n):
    """Ours has one slope: another one is a factor before it."""
    alpha, beta = n.get("alpha", 0.2), n.get("beta", 0.5)
    return "hard_sigmoid_of", n.x, {"scale": 6 * alpha, "shift": 6 * beta - 3}, n.y


def col2im(n):
    size, block = ints(n.x[1]), ints(n.x[2])
    need(len(size) == 2)
    pads = per_axis(n, "pads", 4, 0)
    need(pads[:2] == pads[2:])
    args = {"size": size, "kernel": block, "dilation": per_axis(n, "dilations", 2), "padding": pads[:2], "stride": per_axis(n, "strides", 2)}
    return "fold", n.x[:1], args, n.y


def parts(x, axis):
    """Real and imaginary part, with the axis last."""
    return [np.moveaxis(x[..., i], axis, -1) for i in range(x.shape[-1])]


def dft(n):
    x, length = n.x[0], n.input(1)
    need(length is None)
    axis = int(n.input(2)) if n.input(2) is not None else n.get("axis", 1)
    back, half = n.get("inverse", 0), n.get("onesided", 0)
    given, made = parts(x, axis), parts(n.y[0], axis)
    if half:
        return ("irfft", given, {"n": made[0].shape[-1]}, made) if back else ("rfft", given, {}, made)
    given = given if len(given) == 2 else [given[0], np.zeros_like(given[0])]
    return "ifft" if back else "fft", given, {}, made


def stft(n):
    x, step, window, length = n.x[0], int(n.x[1]), n.input(2), n.input(3)
    need(n.get("onesided", 1) and x.shape[-1] == 1)
    size = int(length) if length is not None else len(window)
    return "stft", [x[..., 0]] + ([window] if window is not None else []), {"length": size, "stride": step}, [n.y[0][..., 0], n.y[0][..., 1]]


def group_norm(n):
    args = {"groups": n.get("num_groups", -1), "epsilon": n.get("epsilon", 1e-5)}
    return "GroupNormalization", [last(n.x[0]), *n.x[1:]], args, [last(n.y[0])]


def prelu(n):
    x, slope = n.x
    if slope.shape == x.shape:
        return "PReLU", [x[None], slope], {"shared": []}, [n.y[0][None]]
    need(slope.ndim == 1)
    return "PReLU", [x, slope.reshape([1] * (x.ndim - 2) + [-1])], {"shared": list(range(1, x.ndim - 1))}, n.y


def rms_norm(n):
    axis, rank = n.get("axis", -1), n.x[0].ndim
    return "rms_normalization", n.x, {"axes": list(range(axis % rank, rank)), "epsilon": n.get("epsilon", 1e-5)}, n.y


def selu(n):
    need(not n.attributes)
    return "selu", n.x, {}, n.y


def eye(n):
    rows, columns = n.x[0].shape
    return "eye", [], {"rows": rows, "columns": columns, "k": n.get("k", 0), "dtype": TYPES[n.y[0].dtype.name]}, n.y


def window(ours):
    def call(n):
        need(not n.get("periodic", 1))
        return ours, [], {"n": int(n.x[0].item()), "dtype": TYPES[n.y[0].dtype.name]}, n.y
    return call


def sequence(n):
    start, stop, step = (v.item() for v in n.x)
    return "arange_step", [], {"start": start, "stop": stop, "step": step, "dtype": TYPES[n.y[0].dtype.name]}, n.y


def is_inf(n):
    need(n.get("detect_positive", 1) and n.get("detect_negative", 1))
    return "is_inf", n.x, {}, n.y


def scatter(n):
    axis, data, at, updates = n.get("axis", 0), *n.x
    how = n.get("reduction", "none")
    need(all(a == b for d, (a, b) in enumerate(zip(data.shape, at.shape)) if d != axis % data.ndim))
    if how == "none":
        return "put_along_axis", n.x, {"axis": axis}, n.y
    return "scatter_along_axis", n.x, {"axis": axis, "how": how}, n.y


def scatter_nd(n):
    data, at, updates = n.x
    how = n.get("reduction", "none")
    if at.shape[-1] == data.ndim and how != "none":
        # Single elements, of one axis.
        flat = np.ravel_multi_index(tuple(np.moveaxis(at, -1, 0)), data.shape).ravel().astype(np.int64)
        return "scatter_along_axis", [data.ravel(), flat, updates.ravel()], {"axis": 0, "how": how}, [n.y[0].ravel()]
    need(at.shape[-1] == 1 and at.ndim == 2)
    if how == "none":
        return "index_put", [data, at[..., 0], updates], {}, n.y
    rows = np.broadcast_to(at.reshape([-1] + [1] * (data.ndim - 1)), updates.shape)
    return "scatter_along_axis", [data, rows, updates], {"axis": 0, "how": how}, n.y


def recurrent(ours, gates, order):
    """One direction, in Keras's layout: gates in the order `order`."""
    def call(n):
        need(n.get("direction", "forward") in ("forward", "reverse") and n.get("layout", 0) == 0)
        need(set(n.attributes) <= {"direction", "hidden_size", "layout", "linear_before_reset"} and all(v is None for v in n.x[4:]))
        x, w, r = n.x[0].swapaxes(0, 1), n.x[1][0], n.x[2][0]
        b = n.input(3)
        units = w.shape[0] // gates

        def turned(m):
            return np.concatenate([m.reshape(gates, units, -1)[g] for g in order]).T
        zero = np.zeros((x.shape[0], units), x.dtype)
        tensors = [x, turned(w), turned(r), zero]
        if b is not None:
            both = np.stack([np.concatenate([h.reshape(gates, units)[g] for g in order]) for h in b[0].reshape(2, -1)])
            tensors.append(both if ours == "gru" and n.get("linear_before_reset", 0) else both.sum(0))
        back = n.get("direction", "forward") == "reverse"
        args = {"back": back} | ({"after": bool(n.get("linear_before_reset", 0))} if ours == "gru" else {})
        y = n.y[1]
        return ours, tensors, args, [y[0]]
    return call


def attention(n):
    q, k, v = n.x[:3]
    mask = n.input(3)
    need(q.ndim == 4 and k.shape[2] >= q.shape[2] and all(x is None for x in n.x[4:]) and all(y is None for y in n.y[1:]))
    n.only("scale", "is_causal")
    causal = bool(n.get("is_causal", 0))
    args = {"causal": causal} | ({"scale": n.get("scale")} if "scale" in n.attributes else {})
    tensors = [t.swapaxes(1, 2) for t in (q, k, v)]
    if mask is not None:
        tensors.append(mask)
    return "dot_product_attention", tensors, args, [n.y[0].swapaxes(1, 2)]


def resize(n):
    x, sizes, scales = n.x[0], n.input(3), n.input(2)
    need(set(n.attributes) <= {"mode", "cubic_coeff_a", "antialias", "coordinate_transformation_mode"} and x.ndim == 4 and n.input(1) is None)
    need(n.get("coordinate_transformation_mode", "half_pixel") == "half_pixel" and n.get("mode", "nearest") in ("linear",) and x.shape[:2] == n.y[0].shape[:2])
    if scales is not None:
        # Ours takes sizes; the factor is then that of the sizes.
        need(all(float(s) * a == b for s, a, b in zip(scales, x.shape, n.y[0].shape)))
    return "resize", [last(x)], {"sizes": list(n.y[0].shape[2:]), "interpolation": "bilinear", "antialias": bool(n.get("antialias", 0))}, [last(n.y[0])]


def cast(n):
    """Ours has no floats of 8 or 4 bits, no integers of 4 or 2 or above 2^63, and no strings; `saturate` and `round_mode` are of the first."""
    x, y = n.x[0], n.y[0]
    need(x.dtype.name in TYPES and y.dtype.name in TYPES)
    return "cast", [x], {"to": TYPES[y.dtype.name]}, [y]


SAME = {o: o.lower() for o in """Abs Acos Acosh Asin Asinh Atan Atanh Ceil Cos Cosh Det Erf Exp Floor Mish Neg Reciprocal Relu Round Sigmoid Sign
Sin Sinh Softplus Softsign Sqrt Tan Tanh Add Sub Mul Div Pow Equal Greater Less MatMul""".split()} | {
    "Log": "ln", "HardSwish": "hard_silu", "IsNaN": "is_nan", "Not": "logical_not", "And": "logical_and", "Or": "logical_or",
    "Xor": "logical_xor", "GreaterOrEqual": "greater_equal", "LessOrEqual": "less_equal", "BitwiseAnd": "bitwise_and", "BitwiseOr": "bitwise_or",
    "BitwiseXor": "bitwise_xor", "BitwiseNot": "bitwise_not",
}
CALLS = {op: same(ours) for op, ours in SAME.items()} | {
    "Elu": constant("elu", "alpha", 1.0), "Celu": constant("celu", "alpha", 1.0), "LeakyRelu": constant("leaky_relu", "alpha", 0.01),
    "Selu": selu, "Swish": swish, "HardSigmoid": hard_sigmoid, "Max": fold("maximum"), "Min": fold("minimum"), "ReduceSum": reduce("sum"), "ReduceMean": reduce("mean"),
    "ReduceProd": reduce("prod"), "ReduceMax": reduce("max"), "ReduceMin": reduce("min"), "ReduceLogSumExp": reduce("logsumexp"),
    "ReduceL1": reduce("norm", {"p": 1.0}), "ReduceL2": reduce("norm", {"p": 2.0}), "ArgMax": extreme("argmax"), "ArgMin": extreme("argmin"),
    "CumSum": running("cumsum"), "CumProd": running("cumprod"), "Softmax": axis("softmax", -1), "LogSoftmax": axis("log_softmax", -1),
    "AveragePool": pool("average_pool"), "MaxPool": pool("max_pool"), "Conv": conv, "ConvTranspose": conv_transpose, "Clip": clip,
    "Concat": concat, "DepthToSpace": depth("depth_to_space"), "SpaceToDepth": depth("space_to_depth"), "Einsum": einsum, "Gather": gather,
    "GatherElements": gather_elements, "Gemm": gemm, "LayerNormalization": layer_norm, "BatchNormalization": batch_norm,
    "LpNormalization": normalize, "Mod": mod, "BitShift": shift, "OneHot": one_hot, "Pad": pad, "Reshape": reshape, "Flatten": flatten,
    "Expand": expand, "Unsqueeze": unsqueeze, "Squeeze": squeeze, "Transpose": transpose, "Tile": tile, "Split": split, "Slice": slices,
    "TopK": topk, "Trilu": trilu, "Unique": unique, "Where": where, "NonZero": nonzero, "Compress": compress, "SoftmaxCrossEntropyLoss": loss,
    "Shrink": shrink, "Gelu": gelu, "EyeLike": eye, "HannWindow": window("hanning"), "BlackmanWindow": window("blackman"),
    "HammingWindow": window("hamming"), "Range": sequence, "IsInf": is_inf, "ScatterElements": scatter, "ScatterND": scatter_nd,
    "LSTM": recurrent("lstm", 4, (0, 2, 3, 1)), "GRU": recurrent("gru", 3, (0, 1, 2)), "RNN": recurrent("simple_rnn", 1, (0,)),
    "Attention": attention, "Resize": resize, "Cast": cast, "CastLike": cast, "Col2Im": col2im, "DFT": dft, "STFT": stft, "GroupNormalization": group_norm,
    "InstanceNormalization": group_norm, "PRelu": prelu, "RMSNormalization": rms_norm,
}
BEHIND = {"one_hot_values": "one_hot", "hard_sigmoid_of": "hard_sigmoid", "GroupNormalization": "layer_norm", "PReLU": "layer_norm"}


def main():
    pack, dropped, unmapped, seen = Pack(), 0, set(), set()
    names = {onnx_name for _, _, onnx_name in OURS.values() if onnx_name}
    for case in collect_testcases(None):
        nodes = case.model.graph.node
        if len(nodes) != 1 or "_expanded" in case.name or nodes[0].domain:
            continue
        op = nodes[0].op_type
        if op not in CALLS:
            unmapped |= {op} & names
            continue
        try:
            ours, inputs, args, outputs = CALLS[op](Node(case))
            need(all(v is not None and v.dtype.name in TYPES and v.size <= LARGEST for v in [*inputs, *outputs]))
            takes = OURS[BEHIND.get(ours, ours)][0]
            need(not inputs or not takes or TYPES[inputs[0].dtype.name] in takes)
        except Skip:
            dropped += 1
            continue
        pack.add(f"onnx {op}", ours, [np.ascontiguousarray(v).reshape(v.shape) for v in inputs], [np.ascontiguousarray(v).reshape(v.shape) for v in outputs], args)
        seen.add(op)
    pack.write("onnx.bin")
    print(dropped, "nodes say what ours cannot, or are large")
    print("operators of docs/ops.md without a case:", *sorted(unmapped | (names & set(CALLS)) - seen))


main()
