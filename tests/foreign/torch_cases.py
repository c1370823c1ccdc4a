"""Cases of PyTorch's own database of operators: its sample inputs, and what PyTorch computes of them, with first gradients in
float64. Writes pack/torch.bin; `tests/all/foreign_suites.rs` replays it.

A row of `CALLS` says what a sample means here: our operation, its arguments, its tensors in our layout, and what of PyTorch
gives the same. What our operations cannot say (another reduction, weights, complex numbers) is left out.
"""

import inspect
import random
import warnings

import ml_dtypes
import numpy as np
import torch
import torch.nn.functional as F
from torch.testing._internal.common_methods_invocations import op_db

from packing import OURS, Pack, cotangents

warnings.simplefilter("ignore")
torch.set_num_threads(1)
T = torch.Tensor

# How many samples of a dtype, and how many elements one may have.
KEPT = {torch.float64: 10, torch.float32: 5, torch.int64: 5, torch.bool: 3, torch.uint8: 3}
LARGEST = 600


class Skip(Exception):
    """The sample says something that our operation cannot."""


def need(condition):
    if not condition:
        raise Skip


class S:
    """A sample: arguments by position or by name."""

    def __init__(self, op, sample):
        self.op, self.input = op, sample.input
        self.args, self.kwargs = [sample.input, *sample.args], dict(sample.kwargs)

    def get(self, at, name, default=None):
        if len(self.args) > at:
            return self.args[at]
        return self.kwargs.get(name, default)

    def only(self, *names, most=99):
        """Fails if an argument has another name."""
        need(set(self.kwargs) <= set(names) and len(self.args) <= most)


def axes(dim):
    if dim is None:
        return []
    return [int(d) for d in (dim if isinstance(dim, (list, tuple)) else [dim])]


def number(v):
    need(isinstance(v, (int, float)) and not isinstance(v, bool))
    return v


def same(v, like):
    """A number as a tensor of the other operand's dtype."""
    if isinstance(v, T):
        return v
    need(isinstance(v, (int, float)) and (like.dtype.is_floating_point or isinstance(v, int)) and like.dtype != torch.bool)
    return torch.tensor(v, dtype=like.dtype)


# Each returns our operation, tensors, arguments, and the function of PyTorch on those tensors.
def unary(ours):
    def call(s):
        need(len(s.args) == 1 and not s.kwargs)
        return ours, [s.input], {}, s.op
    return call


def binary(ours, swap=False):
    def call(s):
        need(len(s.args) == 2 and not s.kwargs)
        a, b = s.args
        need(isinstance(a, T) or isinstance(b, T))
        a, b = (same(a, b), b) if not isinstance(a, T) else (a, same(b, a))
        need(a.dtype == b.dtype)
        return ours, [a, b], {}, s.op
    return call


def constant(ours, at, name, default, key, others=()):
    """A function of one tensor with a constant; `others` must have their default."""
    def call(s):
        for i, n, d in others:
            need(s.get(i, n, d) == d)
        p = s.get(at, name, default)
        return ours, [s.input], {key: number(p)}, lambda x: s.op(x, *s.args[1:], **s.kwargs)
    return call


def again(s):
    """PyTorch's operation with all arguments but the first tensor."""
    return lambda x: s.op(x, *s.args[1:], **s.kwargs)


def reduction(ours, dim="dim"):
    def call(s):
        s.only(dim, "keepdim")
        d = s.get(1, dim)
        return ours, [s.input], {"axes": axes(d), "keepdims": bool(s.get(2, "keepdim", False))}, again(s)
    return call


def spread(ours, take=None):
    def call(s):
        if len(s.args) == 2 and isinstance(s.args[1], bool):
            s.kwargs["unbiased"] = s.args.pop()
        s.only("dim", "keepdim", "correction", "unbiased", most=1)
        c = s.kwargs.get("correction", 1 if s.kwargs.get("unbiased", True) else 0)
        need(c is None or c == int(c) and c >= 0)
        args = {"axes": axes(s.kwargs.get("dim")), "keepdims": bool(s.kwargs.get("keepdim", False)), "ddof": int(1 if c is None else c)}
        return ours, [s.input], args, again(s)
    return call


def extreme(ours):
    def call(s):
        d = s.get(1, "dim")
        need(not s.get(2, "keepdim", False))
        return ours, [s.input], {"axis": d}, again(s)
    return call


def along(ours, key="axis", default=None, others=()):
    """A function along one axis."""
    def call(s):
        for n, d in others:
            need(s.kwargs.get(n, d) == d)
        d = s.get(1, "dim", default)
        need(isinstance(d, int) and len(s.args) <= 2 and "dtype" not in s.kwargs)
        return ours, [s.input], {key: d}, again(s)
    return call


def listed(ours, f, of_list=True):
    def call(s):
        need(isinstance(s.input, (list, tuple)) and len({x.dtype for x in s.input}) == 1)
        return ours, list(s.input), {"axis": s.get(1, "dim", 0)}, lambda *x: f(list(x), *s.args[1:], **s.kwargs)
    return call


def diff(s):
    s.only("n", "dim")
    return "diff", [s.input], {"n": s.get(1, "n", 1), "axis": s.get(2, "dim", -1)}, again(s)


def trapezoid(s):
    x = s.kwargs.get("x", s.args[1] if len(s.args) > 1 else None)
    need(x is None and set(s.kwargs) <= {"dx", "dim"})
    return "trapezoid", [s.input], {"dx": number(s.kwargs.get("dx", 1.0)), "axis": s.kwargs.get("dim", -1)}, again(s)


def flip(s):
    return "flip", [s.input], {"axes": axes(s.get(1, "dims"))}, again(s)


def roll(s):
    shift, dims = s.get(1, "shifts"), s.get(2, "dims")
    shift, dims = axes(shift), axes(dims)
    need(len(shift) == 1 and len(dims) == 1)
    return "roll", [s.input], {"shift": shift[0], "axis": dims[0]}, again(s)


def rot90(s):
    k, dims = s.get(1, "k", 1), s.get(2, "dims", (0, 1))
    return "rot90", [s.input], {"times": k, "first": dims[0], "second": dims[1]}, again(s)


def tile(s):
    times = axes(s.get(1, "dims"))
    need(len(times) >= s.input.dim())
    return "tile", [s.input], {"times": times}, again(s)


def repeat(s):
    times, dim = s.get(1, "repeats"), s.get(2, "dim")
    need(isinstance(times, int) and isinstance(dim, int) and s.kwargs.get("output_size") is None)
    return "repeat", [s.input], {"times": times, "axis": dim}, again(s)


def split(s):
    sizes = s.get(1, "split_sizes")
    need(isinstance(sizes, (list, tuple)))
    return "split", [s.input], {"sizes": list(sizes), "axis": s.get(2, "dim", 0)}, again(s)


def chunk(s):
    n, dim = s.get(1, "chunks"), s.get(2, "dim", 0)
    need(len(s.op(s.input, n, dim)) == n)
    return "chunk", [s.input], {"n": n, "axis": dim}, again(s)


def permute(s):
    return "permute", [s.input], {"order": axes(s.get(1, "dims"))}, again(s)


def transpose(s):
    return "transpose", [s.input], {"a": s.get(1, "dim0"), "b": s.get(2, "dim1")}, again(s)


def moveaxis(s):
    a, b = axes(s.get(1, "source"))[-1], axes(s.get(2, "destination"))[-1]
    return "moveaxis", [s.input], {"a": a, "b": b}, lambda x: torch.movedim(x, a, b)


def reshape(s):
    shape = s.get(1, "shape")
    need(isinstance(shape, (list, tuple)))
    return "reshape", [s.input], {"sizes": list(shape)}, again(s)


def merge(s):
    need(s.input.dim() > 0)
    return "merge_axes", [s.input], {"first": s.get(1, "start_dim", 0), "last": s.get(2, "end_dim", -1)}, again(s)


def unflatten(s):
    return "split_axis", [s.input], {"axis": s.get(1, "dim"), "sizes": list(s.get(2, "sizes"))}, again(s)


def expand(s):
    y = s.op(s.input, *s.args[1:], **s.kwargs)
    return "broadcast_to", [s.input], {"shape": list(y.shape)}, again(s)


def squeeze(s):
    d = s.get(1, "dim")
    need(isinstance(d, int) and s.input.dim() and s.input.shape[d] == 1)
    return "squeeze", [s.input], {"axis": d}, again(s)


def narrow(s):
    dim, start, length = s.args[1], s.args[2], s.args[3]
    need(isinstance(start, int))
    start = start + s.input.shape[dim] if start < 0 else start
    return "slice", [s.input], {"axis": dim, "start": start, "end": start + length}, again(s)


def diagonal(s):
    k, a, b = s.get(1, "offset", 0), s.get(2, "dim1", 0), s.get(3, "dim2", 1)
    return "diagonal", [s.input], {"offset": k, "a": a, "b": b}, again(s)


def linalg_diagonal(s):
    args = {"offset": s.kwargs.get("offset", 0), "a": s.kwargs.get("dim1", -2), "b": s.kwargs.get("dim2", -1)}
    return "diagonal", [s.input], args, again(s)


def diag(s):
    k = s.get(1, "diagonal", 0)
    if s.input.dim() == 1:
        return "diag", [s.input], {"k": k}, again(s)
    return "diagonal", [s.input], {"offset": k, "a": 0, "b": 1}, again(s)


def triangle(ours):
    def call(s):
        return ours, [s.input], {"k": s.get(1, "diagonal", 0)}, again(s)
    return call


def index_select(s):
    dim, at = s.get(1, "dim"), s.get(2, "index")
    need(s.input.dim() > 0 and at.dim() == 1)
    return "gather", [s.input, at], {"axis": dim}, lambda x, i: s.op(x, dim, i)


def gather(s):
    dim, at = s.get(1, "dim"), s.get(2, "index")
    # Ours wants the other sizes equal, as NumPy's does.
    need(s.input.dim() == at.dim() > 0 and all(a == b for d, (a, b) in enumerate(zip(s.input.shape, at.shape)) if d != dim % s.input.dim()))
    return "take_along_axis", [s.input, at], {"axis": dim}, lambda x, i: torch.gather(x, dim, i)


def take_along(s):
    at, dim = s.get(1, "indices"), s.get(2, "dim")
    need(isinstance(dim, int) and s.input.dim() == at.dim() > 0)
    return "take_along_axis", [s.input, at], {"axis": dim}, lambda x, i: torch.take_along_dim(x, i, dim)


def scatter_add(s):
    dim, at, src = s.args[1:4]
    need(s.input.dim() > 0 and src.shape == at.shape and all(a == b for d, (a, b) in enumerate(zip(s.input.shape, at.shape)) if d != dim % s.input.dim()))
    size = s.input.shape[dim]
    shape = list(s.input.shape)
    return "add_along_axis", [src, at], {"axis": dim, "size": size}, lambda v, i: torch.zeros(shape, dtype=v.dtype).scatter_add(dim, i, v)


def index_add(s):
    dim, at, src = s.args[1:4]
    need(s.input.dim() > 0 and at.dim() == 1 and src.dim() == s.input.dim())
    shape = list(s.input.shape)
    return "scatter_add", [src, at], {"axis": dim, "shape": shape}, lambda v, i: torch.zeros(shape, dtype=v.dtype).index_add(dim, i, v)


def masked_fill(s):
    mask, v = s.args[1], s.args[2]
    need(not isinstance(v, T) and torch.broadcast_shapes(mask.shape, s.input.shape) == s.input.shape)
    return "masked_fill", [s.input, mask], {"value": float(v)}, lambda x, m: torch.masked_fill(x, m, v)


def masked_select(s):
    mask = s.args[1]
    need(mask.shape == s.input.shape)
    return "boolean_mask", [s.input, mask], {}, torch.masked_select


def where(s):
    x, mask, y = s.input, s.args[1], s.args[2]
    need(isinstance(y, T) and x.dtype == y.dtype)
    return "choose", [mask, x, y], {}, torch.where


def nonzero(s):
    need(s.input.dtype == torch.bool and not s.kwargs)
    return "argwhere", [s.input], {}, torch.nonzero


def sort(s):
    dim, down = s.get(1, "dim", -1), bool(s.get(2, "descending", False))
    return "sort", [s.input], {"axis": dim, "descending": down}, lambda x: s.op(x, *s.args[1:], **s.kwargs)[0]


def argsort(s):
    # The order of equal elements is PyTorch's choice unless it is asked to keep it.
    need(s.kwargs.get("stable") or len(torch.unique(s.input)) == s.input.numel())
    return "argsort", [s.input], {"axis": s.get(1, "dim", -1), "descending": bool(s.get(2, "descending", False))}, again(s)


def topk(s):
    k, dim, largest = s.get(1, "k"), s.get(2, "dim", -1), s.get(3, "largest", True)
    need(largest and len(torch.unique(s.input)) == s.input.numel())
    return "top_k", [s.input], {"k": k, "axis": dim}, again(s)


def unique(s):
    need(s.kwargs.get("dim") is None and s.kwargs.get("sorted", True))
    return "unique", [s.input], {}, lambda x: torch.unique(x, sorted=True, return_inverse=True, return_counts=True)


def searchsorted(s):
    values = s.args[1]
    need(s.input.dim() == 1 and isinstance(values, T) and s.kwargs.get("sorter") is None and s.kwargs.get("side") in (None, "left", "right"))
    right = bool(s.kwargs.get("right")) or s.kwargs.get("side") == "right"
    return "searchsorted", [s.input, values], {"right": right}, lambda e, v: torch.searchsorted(e, v, right=right)


def bucketize(s):
    edges, right = s.get(1, "boundaries"), s.kwargs.get("right", False)
    need(edges.dim() == 1)
    return "searchsorted", [edges, s.input], {"right": right}, lambda e, v: torch.bucketize(v, e, right=right)


def isin(s):
    need(isinstance(s.input, T) and isinstance(s.args[1], T) and not s.kwargs.get("invert"))
    return "isin", [s.input, s.args[1]], {}, torch.isin


def bincount(s):
    need(s.get(1, "weights") is None and s.kwargs.get("weights") is None)
    least = s.kwargs.get("minlength", 0)
    return "bincount", [s.input], {"least": least}, lambda x: torch.bincount(x, minlength=least)


def quantile(ours):
    def call(s):
        q = s.get(1, "q")
        if isinstance(q, T):
            need(q.dim() == 0)
            q = q.item()
        need(s.kwargs.get("interpolation", "linear") == "linear")
        dim, keep = s.get(2, "dim"), s.get(3, "keepdim", False)
        return ours, [s.input], {"q": q, "axes": axes(dim), "keepdims": bool(keep)}, lambda x: getattr(torch, ours)(x, q, dim, keep)
    return call


def cdist(s):
    need(s.input.dim() == 2 and s.args[1].dim() == 2)
    p = s.get(2, "p", 2.0)
    return "cdist", [s.input, s.args[1]], {"p": p}, lambda a, b: torch.cdist(a, b, p, compute_mode="donot_use_mm_for_euclid_dist")


def cov(s):
    need(s.kwargs.get("fweights") is None and s.kwargs.get("aweights") is None and s.input.dim() == 2)
    c = s.kwargs.get("correction", 1)
    return "cov", [s.input], {"ddof": c}, again(s)


def einsum(s):
    equation, operands = s.args[1], s.input
    need(isinstance(equation, str))
    return "einsum", list(operands), {"equation": equation}, lambda *x: torch.einsum(equation, *x)


def tensordot(s):
    dims = s.get(2, "dims", 2)
    if isinstance(dims, int):
        a, b = list(range(-dims, 0)), list(range(dims))
    else:
        a, b = [list(d) for d in dims]
    return "tensordot", [s.input, s.args[1]], {"axes": a, "others": b}, lambda x, y: torch.tensordot(x, y, dims)


def linear(s):
    x, w, b = s.input, s.args[1], s.get(2, "bias")
    need(w.dim() == 2)
    tensors = [x, w.detach().t().contiguous()] + ([b] if b is not None else [])
    return "linear", tensors, {}, lambda x, w, b=None: F.linear(x, w.t(), b)


def cross_entropy(s):
    labels = s.args[1]
    need(s.input.dim() == 2 and s.kwargs.get("weight") is None and s.kwargs.get("label_smoothing", 0.0) == 0.0)
    if labels.dtype == torch.int64:
        need(bool((labels >= 0).all()))
        return "sparse_cross_entropy", [s.input, labels], {}, lambda x, t: F.cross_entropy(x, t, reduction="none")
    return "cross_entropy", [s.input, labels.detach()], {}, lambda x, t: F.cross_entropy(x, t, reduction="none")


def normalize(s):
    p, dim = s.get(1, "p", 2.0), s.get(2, "dim", 1)
    return "normalize", [s.input], {"p": p, "axes": axes(dim)}, lambda x: F.normalize(x, p=p, dim=dim, eps=0.0)


def vector_norm(s):
    s.only("ord", "dim", "keepdim")
    p = s.get(1, "ord", 2)
    need(p >= 0 and p != 0)
    return "norm", [s.input], {"p": p, "axes": axes(s.get(2, "dim")), "keepdims": bool(s.get(3, "keepdim", False))}, again(s)


def matrix_norm(s):
    p = s.get(1, "ord", "fro")
    need(not isinstance(p, str) and s.get(2, "dim", (-2, -1)) in ((-2, -1), [-2, -1]) and not s.get(3, "keepdim", False) and "dtype" not in s.kwargs)
    return "matrix_norm", [s.input], {"p": p}, lambda x: torch.linalg.matrix_norm(x, p)


def solve(s):
    a, b = s.input, s.args[1]
    need(s.kwargs.get("left", True) and b.dim() == a.dim())
    return "solve", [a, b], {}, torch.linalg.solve


def triangular(s):
    a, b = s.input, s.args[1]
    upper, left, unit = (s.kwargs.get(k, d) for k, d in (("upper", False), ("left", True), ("unitriangular", False)))
    need(left and not unit and a.dim() == b.dim())
    return "triangular_solve", [a, b], {"lower": not upper}, lambda a, b: torch.linalg.solve_triangular(a, b, upper=upper)


def cholesky(s):
    need(not s.kwargs.get("upper"))
    # PyTorch's gradient is of the lower triangle alone; both are functions of symmetric matrices.
    return "cholesky_symmetric", [s.input], {}, lambda x: torch.linalg.cholesky(x @ x.mT + torch.eye(x.shape[-1], dtype=x.dtype))


def qr(s):
    need(s.get(1, "mode", "reduced") == "reduced" and s.input.shape[-2] >= s.input.shape[-1])

    def f(x):
        r = torch.linalg.qr(x)[1]
        return r * torch.diagonal(r, dim1=-2, dim2=-1).sign().unsqueeze(-1)
    return "qr_positive", [s.input], {}, f


def eigvals(s):
    return "eigenvalues", [s.input], {}, lambda x: torch.linalg.eigvalsh((x + x.mT) / 2)


def svdvals(s):
    return "singular_values", [s.input], {}, torch.linalg.svdvals


def pinv(s):
    rtol = s.kwargs.get("rtol")
    need(len(s.args) == 1 and set(s.kwargs) <= {"rtol"} and not isinstance(rtol, T))
    return "pinv", [s.input], {} if rtol is None else {"rtol": rtol}, lambda x: torch.linalg.pinv(x, rtol=rtol)


def matrix_rank(s):
    need(len(s.args) == 1 and not any(v is not None for v in s.kwargs.values()))
    return "matrix_rank", [s.input], {}, torch.linalg.matrix_rank


def kron(s):
    return "kron", [s.input[:3, :4], s.args[1][:4, :5]], {}, torch.kron


def select(s):
    return "select", [s.input], {"axis": s.args[1], "index": s.args[2]}, again(s)


def new_full(s):
    shape, value = s.args[1], s.args[2]
    need("dtype" not in s.kwargs)
    return "new_full", [s.input], {"shape": list(shape), "value": float(value)}, lambda x: x.new_full(shape, value)


def eye(s):
    rows = s.input
    columns = s.args[1] if len(s.args) > 1 else rows
    return "eye", [], {"rows": rows, "columns": columns}, lambda: torch.eye(rows, columns, dtype=torch.float64)


def arange(s):
    need(len(s.args) == 3 and not any(isinstance(v, bool) for v in s.args))
    start, stop, step = s.args
    return "arange_step", [], {"start": start, "stop": stop, "step": step}, lambda: torch.arange(start, stop, step, dtype=torch.float64)


def logspace(s):
    need(not any(isinstance(v, T) for v in s.args))
    start, stop, n = s.args[:3]
    base = s.get(3, "base", 10.0)
    return "logspace", [], {"start": start, "stop": stop, "n": n, "base": base}, lambda: torch.logspace(start, stop, n, base, dtype=torch.float64)


def lstsq(s):
    a, b = s.input, s.args[1]
    need(a.dim() == b.dim() and a.shape[-2] >= a.shape[-1])
    return "lstsq", [a, b], {}, lambda a, b: torch.linalg.lstsq(a, b)[0]


def vander(s):
    n = s.kwargs.get("N", s.input.shape[-1])
    need(s.input.dim() == 1)
    return "vander", [s.input], {"n": n, "increasing": True}, lambda x: torch.linalg.vander(x, N=n)


def pad(mode, at=3):
    def call(s):
        widths = list(s.args[1])
        need(all(w >= 0 for w in widths))
        pairs = [[widths[i], widths[i + 1]] for i in range(0, len(widths), 2)][::-1]
        pairs = [[0, 0]] * (s.input.dim() - len(pairs)) + pairs
        return "pad", [s.input], {"widths": pairs, "mode": mode, "value": float(s.get(at, "value", 0) or 0)}, again(s)
    return call


def each(v, n):
    return [int(v)] * n if isinstance(v, int) else ([int(a) for a in v] * n if len(v) == 1 else [int(a) for a in v])


def conv(s):
    x, w, b = s.input, s.args[1], s.get(2, "bias")
    n = x.dim() - 2
    need(w.dim() == x.dim())
    strides, dilation = each(s.get(3, "stride", 1), n), each(s.get(5, "dilation", 1), n)
    padding, groups = s.get(4, "padding", 0), s.get(6, "groups", 1)
    if isinstance(padding, str):
        need(padding == "valid")
        widths = [0] * n
    else:
        widths = each(padding, n)
    f = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}[n]

    def g(x, w, b=None):
        return f(x.movedim(-1, 1), w.movedim((-1, -2), (0, 1)), b, strides, widths, dilation, groups).movedim(1, -1)
    args = {"strides": strides, "dilation": dilation, "padding": [[p, p] for p in widths]}
    if groups == x.shape[1] > 1 and w.shape[0] > 0:
        # A kernel for each channel: [windows…, channels, multiplier].
        shape = [*w.shape[2:], groups, w.shape[0] // groups]
        kernel = w.detach().movedim((0, 1), (-1, -2)).reshape(shape)

        def h(x, w, b=None):
            return g(x, w.reshape([*w.shape[:-2], 1, w.shape[-2] * w.shape[-1]]), b)
        return "depthwise_conv", [x.detach().movedim(1, -1), kernel] + ([b] if b is not None else []), args, h
    args["groups"] = groups
    tensors = [x.detach().movedim(1, -1), w.detach().movedim((0, 1), (-1, -2))] + ([b] if b is not None else [])
    return "conv", tensors, args, g


def conv_transpose(s):
    x, w, b = s.input, s.args[1], s.get(2, "bias")
    n = x.dim() - 2
    strides = each(s.get(3, "stride", 1), n)
    more, groups, dilation = each(s.get(5, "output_padding", 0), n), s.get(6, "groups", 1), each(s.get(7, "dilation", 1), n)
    need(w.dim() == x.dim() and groups == 1)
    more = [min(m, t - 1) for m, t in zip(more, strides)]
    f = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}[n]

    def g(x, w):
        return f(x.movedim(-1, 1), w.movedim((-1, -2), (0, 1)), None, strides, 0, more, 1, dilation).movedim(1, -1)
    args = {"strides": strides, "dilation": dilation, "more": more}
    return "conv_transpose", [x.detach().movedim(1, -1), w.detach().movedim((0, 1), (-1, -2))], args, g


def pool(ours):
    def call(s):
        n = {"1": 1, "2": 2, "3": 3}[s.name[-2]]
        need(s.input.dim() == n + 2)
        size = each(s.get(1, "kernel_size"), n)
        strides = s.get(2, "stride")
        strides = size if strides is None or strides == () else each(strides, n)
        widths = each(s.get(3, "padding", 0), n)
        if ours == "max_pool":
            need(not s.kwargs.get("ceil_mode") and not s.kwargs.get("return_indices") and set(each(s.kwargs.get("dilation", 1), n)) == {1})
            f = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}[n]
            g = lambda x: f(x.movedim(-1, 1), size, strides, widths).movedim(1, -1)
        else:
            need(not s.get(4, "ceil_mode", False) and s.get(6, "divisor_override") is None)
            f = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}[n]
            g = lambda x: f(x.movedim(-1, 1), size, strides, widths, count_include_pad=False).movedim(1, -1)
        return ours, [s.input.detach().movedim(1, -1)], {"size": size, "strides": strides, "padding": [[p, p] for p in widths]}, g
    return call


def adaptive(ours):
    def call(s):
        n = int(s.name[-2])
        need(s.input.dim() == n + 2)
        size = s.args[1]
        size = [size] * n if isinstance(size, int) else list(size)
        size = [s.input.shape[2 + i] if v is None else v for i, v in enumerate(size)]
        kind = "max" if "max" in ours else "avg"
        f = getattr(F, f"adaptive_{kind}_pool{n}d")
        return ours, [s.input.detach().movedim(1, -1)], {"sizes": size}, lambda x: f(x.movedim(-1, 1), size).movedim(1, -1)
    return call


def batch_norm(s):
    need(s.kwargs.get("training") and s.input.dim() >= 2)
    w, b, e = s.get(3, "weight"), s.get(4, "bias"), s.kwargs.get("eps", 1e-5)
    need((w is None) == (b is None))
    tensors = [s.input.detach().movedim(1, -1)] + ([w, b] if w is not None else [])
    return "batch_norm", tensors, {"epsilon": e}, lambda x, w=None, b=None: F.batch_norm(x.movedim(-1, 1), None, None, w, b, True, 0.0, e).movedim(1, -1)


def layer_norm(s):
    shape = s.args[1]
    w, b, e = s.kwargs.get("weight"), s.kwargs.get("bias"), s.kwargs.get("eps", 1e-5)
    need(len(shape) == 1 and (w is None) == (b is None))
    tensors = [s.input] + ([w, b] if w is not None else [])
    return "layer_norm", tensors, {"epsilon": e}, lambda x, w=None, b=None: F.layer_norm(x, shape, w, b, e)


def channels_last(x):
    return x.movedim(1, -1)


def group_norm(s):
    """The layer; its weights are parameters, and the gradient is that of the images alone."""
    groups, w, b, e = s.args[1], s.get(2, "weight"), s.get(3, "bias"), s.get(4, "eps", 1e-5)
    need(s.input.dim() >= 2 and s.input.numel() and (w is None) <= (b is None) and e > 0)
    tensors = [channels_last(s.input.detach()), *(t for t in (w, b) if t is not None)]
    return "GroupNormalization", tensors, {"groups": groups, "epsilon": e}, lambda x, *wb: channels_last(
        F.group_norm(x.movedim(-1, 1), groups, *(t.detach() for t in wb), eps=e))


def instance_norm(s):
    w, b, e = s.get(3, "weight"), s.get(4, "bias"), s.kwargs.get("eps", 1e-5)
    need(s.input.dim() >= 3 and s.input.numel() and (w is None) <= (b is None) and e > 0 and s.kwargs.get("use_input_stats", True))
    tensors = [channels_last(s.input.detach()), *(t for t in (w, b) if t is not None)]
    return "GroupNormalization", tensors, {"groups": -1, "epsilon": e}, lambda x, w=None, b=None: channels_last(
        F.instance_norm(x.movedim(-1, 1), None, None, None if w is None else w.detach(), None if b is None else b.detach(), True, 0.0, e))


def prelu(s):
    w = s.get(1, "weight")
    need(s.input.dim() >= 2 and s.input.numel())
    rank = s.input.dim() - 1
    shared = list(range(1, rank + (w.numel() == 1)))
    return "PReLU", [channels_last(s.input.detach()), w.reshape([1] * (rank - 1) + [w.numel()])], {"shared": shared}, lambda x, w: channels_last(
        F.prelu(x.movedim(-1, 1), w.detach().flatten()))


def rms_norm(s):
    shape, w, e = s.args[1], s.get(2, "weight"), s.get(3, "eps")
    need(s.input.numel() and (e is None or e > 0))
    args = {"axes": list(range(-len(shape), 0)), "epsilon": torch.finfo(s.input.dtype).eps if e is None else e}
    return "rms_normalization", [s.input] + ([w] if w is not None else []), args, lambda x, w=None: F.rms_norm(x, shape, w, e)


def one_hot(s):
    n = s.get(1, "num_classes", -1)
    need(n > 0)
    return "one_hot", [s.input], {"classes": n}, lambda x: F.one_hot(x, n)


def embedding(s):
    w = s.args[1] if len(s.args) > 1 else s.kwargs["weight"]
    s.only("weight")
    return "gather", [w, s.input] if not s.input.dtype.is_floating_point else [s.input, w], {"axis": 0}, lambda w, i: F.embedding(i, w)


def interpolate(s):
    mode = s.kwargs.get("mode", "nearest") if len(s.args) < 4 else s.args[3]
    size, factor = s.get(1, "size"), s.get(2, "scale_factor")
    need(factor is None and size is not None and not s.kwargs.get("align_corners") and mode in ("linear", "bilinear", "trilinear", "nearest-exact") and s.input.dim() > 2)
    n = s.input.dim() - 2
    size = each(size, n)
    need(mode == "nearest-exact" or s.input.dim() in (3, 4, 5))
    ours = "nearest" if mode.startswith("nearest") else "bilinear"
    return "resize", [s.input.detach().movedim(1, -1)], {"sizes": size, "interpolation": ours}, lambda x: F.interpolate(x.movedim(-1, 1), size, mode=mode).movedim(1, -1)


def attention(s):
    q, k, v = s.input, s.args[1], s.args[2]
    mask, causal = s.kwargs.get("attn_mask"), s.kwargs.get("is_causal", False)
    need(mask is None and not s.kwargs.get("dropout_p", 0.0))
    if q.dim() == 3:
        q, k, v = q.unsqueeze(1), k.unsqueeze(1), v.unsqueeze(1)
    groups = q.shape[1] != k.shape[1]
    scale = s.kwargs.get("scale")

    def g(q, k, v):
        return F.scaled_dot_product_attention(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), is_causal=causal, scale=scale, enable_gqa=groups).transpose(1, 2)
    args = {"causal": causal} | ({"scale": scale} if scale is not None else {})
    return "dot_product_attention", [t.detach().transpose(1, 2) for t in (q, k, v)], args, g


def ctc(s):
    x, labels, frames, lengths = s.input, *s.args[1:4]
    blank = 0
    need(labels.dim() == 2 and x.dim() == 3)
    x, labels, frames, lengths = x[:14, :2, :6], labels[:2, :5] % 5 + 1, [14, 11], [5, 3]
    frames, lengths = torch.as_tensor(frames, dtype=torch.int64), torch.as_tensor(lengths, dtype=torch.int64)

    def g(x, labels, lengths, frames):
        return F.ctc_loss(x.transpose(0, 1).log_softmax(-1), labels, frames, lengths, blank, "none")
    return "ctc_loss", [x.detach().transpose(0, 1), labels, lengths, frames], {"blank": blank}, g


def logits(s):
    t = s.args[1]
    need(t.shape == s.input.shape and s.kwargs.get("weight") is None and s.kwargs.get("pos_weight") is None)
    return "binary_cross_entropy", [s.input, t.detach()], {}, lambda x, t: F.binary_cross_entropy_with_logits(x, t, reduction="none")


def clip(s):
    # The samples have tensors as bounds; ours are numbers.
    need(isinstance(s.get(1, "min"), T) and s.input.numel() > 0)
    low = s.get(1, "min").flatten()[0].item()
    high = low + 2
    return "clip", [s.input], {"low": number(low), "high": number(high)}, lambda x: torch.clamp(x, low, high)


def hardtanh(s):
    low, high = s.get(1, "min_val", -1.0), s.get(2, "max_val", 1.0)
    need(low <= high)
    if (low, high) == (-1, 1) and s.input.dtype.is_floating_point:
        return "hard_tanh", [s.input], {}, F.hardtanh
    return "clip", [s.input], {"low": low, "high": high}, lambda x: F.hardtanh(x, low, high)


def cast(dtype):
    def call(s):
        need(len(s.args) == 1)
        return "cast", [s.input], {"to": dtype}, s.op
    return call


def threshold(s):
    t, v = s.args[1], s.args[2]
    return "threshold", [s.input], {"threshold": number(t), "default": number(v)}, again(s)


def gelu(s):
    how = s.kwargs.get("approximate", "none")
    return "gelu" if how == "none" else "gelu_tanh", [s.input], {}, again(s)


def polygamma(s):
    x, n = (s.input, s.args[1]) if isinstance(s.input, T) else (s.args[1], s.input)
    return "polygamma", [x], {"p": n}, lambda x: torch.polygamma(n, x)


def isclose(s):
    a, b = s.input, s.args[1]
    r, t, e = s.kwargs.get("rtol", 1e-5), s.kwargs.get("atol", 1e-8), s.kwargs.get("equal_nan", False)
    need(isinstance(b, T) and a.dtype == b.dtype)
    return s.name, [a, b], {"rtol": r, "atol": t, "equal_nan": e}, lambda a, b: torch.as_tensor(getattr(torch, s.name)(a, b, rtol=r, atol=t, equal_nan=e))


def cross(s):
    dim = s.get(2, "dim", -1)
    need(dim is not None)
    return "cross", [s.input, s.args[1]], {"axis": dim}, lambda a, b: torch.linalg.cross(a, b, dim=dim)


def nan_to_num(s):
    nan, top, bottom = s.get(1, "nan"), s.get(2, "posinf"), s.get(3, "neginf")
    args = {"nan": 0.0 if nan is None else nan} | ({"posinf": top} if top is not None else {}) | ({"neginf": bottom} if bottom is not None else {})
    return "nan_to_num", [s.input], args, again(s)


def glu(s):
    return "glu", [s.input], {"axis": s.get(1, "dim", -1)}, again(s)


def softplus(s):
    return "softplus", [s.input], {}, lambda x: F.softplus(x, 1, 1e9)


def logit(s):
    need(s.get(1, "eps") is None)
    return "logit", [s.input], {}, again(s)


def moments(s):
    dim, keep = s.kwargs.get("dim"), bool(s.kwargs.get("keepdim", False))
    return "moments", [s.input], {"axes": axes(dim), "keepdims": keep}, lambda x: torch.var_mean(x, dim=dim, correction=0, keepdim=keep)[::-1]


def ladder(ours, f):
    def call(s):
        n = s.input if isinstance(s.input, int) else s.kwargs["M"]
        need(s.kwargs.get("sym", True) and isinstance(n, int))
        more = {"beta": float(s.kwargs["beta"])} if "beta" in s.kwargs else {}
        need(ours != "kaiser" or more)
        return ours, [], {"n": n, **more}, lambda: f(n, sym=True, dtype=torch.float64, **more)
    return call


def linspace(s):
    start, stop, n = s.input, s.args[0 + 1], s.args[2]
    need(not isinstance(start, T) and not isinstance(stop, T))
    return "linspace", [], {"start": start, "stop": stop, "n": n}, lambda: torch.linspace(start, stop, n, dtype=torch.float64)


def unravel(s):
    shape = s.args[1]
    need(isinstance(shape, (tuple, list)))
    return "unravel_index", [s.input], {"shape": list(shape)}, again(s)


def meshgrid(s):
    tensors = list(s.input) if isinstance(s.input, (list, tuple)) else [s.input, *s.args[1:]]
    need(s.kwargs.get("indexing") == "ij" and all(t.dim() == 1 for t in tensors))
    return "meshgrid", tensors, {}, lambda *x: torch.meshgrid(*x, indexing="ij")


def difference(s):
    need(s.input.shape == s.args[1].shape)
    return "squared_difference", [s.input, s.args[1]], {}, lambda a, b: F.mse_loss(a, b, reduction="none")


def power(s):
    need(s.args[1] != 0 or True)
    return "matrix_power", [s.input], {"n": s.get(1, "n")}, again(s)


def item(v):
    """Part of a subscript."""
    if v is Ellipsis or v is None:
        return "..." if v is Ellipsis else "new"
    if isinstance(v, slice):
        return {"slice": [v.start, v.stop, v.step]}
    if isinstance(v, (list, tuple)):
        need(all(isinstance(i, int) and not isinstance(i, bool) for i in v))
        return {"list": list(v)}
    return {"at": number(v)}


def getitem(s):
    parts = s.args[1]
    items = [item(v) for v in (parts if isinstance(parts, tuple) else (parts,))]
    need(len(items) <= 3)
    return "index", [s.input], {"items": items}, lambda x: x[parts]


def index_put(s):
    (at,), values = s.args[1], s.args[2]
    need(not s.kwargs.get("accumulate") and at.dim() == 1 and len(torch.unique(at)) == len(at))
    return "index_put", [s.input, at, values], {}, lambda x, i, v: torch.index_put(x, (i,), v)


def det(s):
    return "det", [s.input], {}, torch.linalg.det


def trace(s):
    return "trace", [s.input], {"offset": 0, "a": 0, "b": 1}, again(s)


def turned(ours, f):
    """A function of two whose operands PyTorch has the other way around."""
    def call(s):
        need(len(s.args) == 2 and not s.kwargs)
        b, a = s.args
        need(isinstance(b, T))
        a = same(a, b)
        need(a.dtype == b.dtype)
        return ours, [a, b], {}, f
    return call


def floated(s):
    need(s.input.dtype == torch.float64)
    return binary("pow")(s)


def largest(ours):
    """`torch.max` and `torch.min`: of two, of all, or along an axis with places."""
    def call(s):
        f = getattr(torch, ours)
        if len(s.args) == 2 and isinstance(s.args[1], T):
            return binary(ours + "imum")(s)
        d = s.get(1, "dim")
        if d is None:
            return ours, [s.input], {"axes": [], "keepdims": False}, f
        keep = bool(s.get(2, "keepdim", False))
        return ours, [s.input], {"axes": [d], "keepdims": keep}, lambda x: f(x, d, keep)[0]
    return call


def middle(ours):
    """Of an odd number: of an even one PyTorch gives the lower of two, NumPy and we their mean."""
    def call(s):
        need(s.input.dtype.is_floating_point and s.input.dim() > 0)
        d, keep, f = s.get(1, "dim"), bool(s.get(2, "keepdim", False)), getattr(torch, ours)
        numbers = s.input.numel() if d is None else s.input.shape[d]
        need(numbers % 2 == 1 and not bool(s.input.isnan().any()))
        if d is None:
            return ours, [s.input], {"axes": [], "keepdims": False}, f
        return ours, [s.input], {"axes": [d], "keepdims": keep}, lambda x: f(x, d, keep)[0]
    return call


def first(ours, *more):
    """The first of PyTorch's results, of a function along an axis."""
    def call(s):
        d = s.get(1, "dim", *more)
        need(isinstance(d, int) and not s.get(2, "keepdim", False))
        return ours, [s.input], {"axis": d}, lambda x: s.op(x, d)[0]
    return call


def diag_embed(s):
    need({k: v for k, v in s.kwargs.items() if k != "offset"} in ({}, {"dim1": -2, "dim2": -1}) and len(s.args) <= 2)
    return "diag_embed", [s.input], {"k": s.get(1, "offset", 0)}, again(s)


def diagflat(s):
    return "diag", [s.input.detach().reshape(-1)], {"k": s.get(1, "offset", 0)}, lambda x: torch.diagflat(x, *s.args[1:], **s.kwargs)


def histogram(s):
    bins, ends = s.get(1, "bins", 100), s.kwargs.get("range")
    if s.name == "histc":
        ends = (s.get(2, "min", 0), s.get(3, "max", 0))
        ends = None if ends[0] == ends[1] else ends
    need(isinstance(bins, int) and s.kwargs.get("weight") is None and not s.kwargs.get("density") and s.input.numel() and s.input.dtype.is_floating_point)
    args = {"bins": bins} | ({"range": list(ends)} if ends else {})

    def f(x):
        counts, edges = torch.histogram(x, bins, range=ends)
        return counts.long(), edges
    return "histogram", [s.input.detach()], args, f


def inner(s):
    need(s.input.dim() and s.args[1].dim())
    return "tensordot", [s.input, s.args[1]], {"axes": [-1], "others": [-1]}, torch.inner


def vecdot(s):
    need(s.kwargs.get("dim", -1) == -1 and s.input.shape == s.args[1].shape)
    return "einsum", [s.input, s.args[1]], {"equation": "...i,...i->..."}, torch.linalg.vecdot


def rows(x, axes):
    """A part of a large sample with its last axes whole."""
    need(x.dim() >= axes)
    x = x.detach().reshape(-1, *x.shape[x.dim() - axes:])
    return x[:max(1, LARGEST // max(1, x[0].numel()))]


def fourier(ours, axes):
    def call(s):
        s.only("n", "dim", "norm", "s", most=1)
        n = s.kwargs.get("n")
        need(s.kwargs.get("norm") in (None, "backward") and s.kwargs.get("s") is None and s.kwargs.get("dim", -1) in (-1, (-2, -1), [-2, -1]))
        x, f = rows(s.input, axes), getattr(torch.fft, ours)
        args = {} if n is None else {"n": n}
        if ours == "rfft":
            return ours, [x], args, lambda x: (lambda y: (y.real, y.imag))(f(x, n))
        need(n is None or ours == "irfft")
        if ours == "irfft":
            return ours, [x, x.flip(-1)], args, lambda a, b: f(torch.complex(a, b), n)
        return ours, [x, x.flip(-1)], args, lambda a, b: (lambda y: (y.real, y.imag))(f(torch.complex(a, b)))
    return call


def lu(ours):
    def call(s):
        x = s.input
        need(x.dim() >= 2 and x.shape[-1] == x.shape[-2] and s.get(1, "pivot", True))
        if ours == "lu":
            return ours, [x], {}, lambda x: (lambda p, l, u: (p.argmax(-2), l, u))(*torch.linalg.lu(x))
        return ours, [x], {}, lambda x: (lambda lu, p: (lu, p.long() - 1))(*torch.linalg.lu_factor(x))
    return call


def cholesky_inverse(s):
    need(not s.kwargs.get("upper") and len(s.args) == 1)
    return "cholesky_inverse", [s.input.detach().tril()], {}, lambda x: torch.cholesky_inverse(x.tril())


def logdet(s):
    return "logdet", [s.input], {}, torch.logdet


def any_norm(s):
    p, dim = s.get(1, "p" if s.name == "norm" else "ord"), s.get(2, "dim")
    p = 2.0 if p is None else number(p)
    need(p > 0 and s.input.dim() and (isinstance(dim, int) or s.input.dim() == 1 and dim is None))
    keep = bool(s.get(3, "keepdim", False))
    need("dtype" not in s.kwargs)
    return "norm", [s.input], {"p": p, "axes": axes(dim), "keepdims": keep}, lambda x: torch.linalg.vector_norm(x, p, dim, keep)


def fits(x, at, dim):
    return x.dim() == at.dim() > 0 and all(a == b for d, (a, b) in enumerate(zip(x.shape, at.shape)) if d != dim % x.dim())


def scatter(s):
    dim, at, src = s.args[1:4]
    need(isinstance(src, T) and src.shape == at.shape and fits(s.input, at, dim) and not s.kwargs and len(s.args) == 4)
    line = at.movedim(dim, -1).reshape(-1, at.shape[dim])
    need(all(len(set(r.tolist())) == len(r) for r in line))
    return "put_along_axis", [s.input, at, src], {"axis": dim}, lambda x, i, v: torch.scatter(x, dim, i, v)


REDUCE = {"sum": "add", "prod": "mul", "amax": "max", "amin": "min"}


def scatter_reduce(s):
    dim, at, src, how = s.args[1:5]
    need(isinstance(src, T) and src.shape == at.shape and s.input.dim() == at.dim() > 0 and how in REDUCE and s.kwargs.get("include_self", True))
    x = s.input.detach()[tuple(slice(None if d == dim % at.dim() else n) for d, n in enumerate(at.shape))]
    return "scatter_along_axis", [x, at, src], {"axis": dim, "how": REDUCE[how]}, lambda x, i, v: torch.scatter_reduce(x, dim, i, v, how)


def index_reduce(s):
    dim, at, src, how = s.args[1:5]
    need(s.input.dim() == src.dim() > 0 and at.dim() == 1 and how in REDUCE and s.kwargs.get("include_self", True))
    shape = [1] * src.dim()
    shape[dim] = -1
    at = at.reshape(shape).expand_as(src).contiguous()
    return "scatter_along_axis", [s.input, at, src], {"axis": dim, "how": REDUCE[how]}, lambda x, i, v: torch.scatter_reduce(x, dim, i, v, how)


def index_copy(s):
    dim, at, src = s.args[1:4]
    need(s.input.dim() > 0 and dim % s.input.dim() == 0 and at.dim() == 1 and len(torch.unique(at)) == len(at))
    return "index_put", [s.input, at, src], {}, lambda x, i, v: torch.index_copy(x, 0, i, v)


def segments(s):
    how, lengths = s.args[1], s.kwargs.get("lengths")
    need(isinstance(lengths, T) and lengths.dim() == 1 and s.kwargs.get("axis", 0) == 0)
    lengths = lengths[lengths > 0]  # of nothing PyTorch's mean is NaN, and ours 0
    need(int(lengths.sum()) == s.input.shape[0])
    ids = torch.repeat_interleave(torch.arange(len(lengths)), lengths)
    return f"segment_{how}", [s.input, ids], {"n": len(lengths)}, lambda x, _: torch._segment_reduce(x, how, lengths=lengths, unsafe=True)


def sequences(s):
    dim, size, step = s.get(1, "dimension"), s.get(2, "size"), s.get(3, "step")
    need(s.input.dim() and dim % s.input.dim() == s.input.dim() - 1 and size > 0)
    return "extract_sequences", [s.input], {"length": size, "stride": step}, lambda x: x.unfold(-1, size, step)


def unfold(s):
    need(s.input.dim() == 4)
    names = (("kernel", "kernel_size", None), ("dilation", "dilation", 1), ("padding", "padding", 0), ("stride", "stride", 1))
    args = {ours: each(s.get(i + 1, n, d), 2) for i, (ours, n, d) in enumerate(names)}
    return "unfold", [s.input], args, lambda x: F.unfold(x, args["kernel"], args["dilation"], args["padding"], args["stride"])


def shuffled(s):
    b = s.get(1, "upscale_factor")
    need(s.input.dim() == 4)
    n, c, h, w = s.input.shape
    ours = s.input.detach().reshape(n, c // b**2, b, b, h, w).permute(0, 4, 5, 2, 3, 1).reshape(n, h, w, c)
    return "depth_to_space", [ours], {"block": b}, lambda x: F.pixel_shuffle(
        x.reshape(n, h, w, b, b, c // b**2).permute(0, 5, 3, 4, 1, 2).reshape(n, c, h, w), b).movedim(1, -1)


def unshuffled(s):
    b = s.get(1, "downscale_factor")
    need(s.input.dim() == 4)
    n, c, h, w = s.input.shape

    def f(x):
        y = F.pixel_unshuffle(x.movedim(-1, 1), b)
        return y.reshape(n, c, b, b, h // b, w // b).permute(0, 4, 5, 2, 3, 1).reshape(n, h // b, w // b, c * b * b)
    return "space_to_depth", [s.input.detach().movedim(1, -1)], {"block": b}, f


def native_layer_norm(s):
    shape, w, b, e = s.args[1:5]
    need(len(shape) == 1 and (w is None) == (b is None))
    tensors = [s.input] + ([w, b] if w is not None else [])
    return "layer_norm", tensors, {"epsilon": e}, lambda x, w=None, b=None: F.layer_norm(x, shape, w, b, e)


def slice_step(s):
    dim, start, stop, step = s.get(1, "dim", 0), s.get(2, "start"), s.get(3, "end"), s.get(4, "step", 1)
    args = {"axis": dim, "step": step} | ({"start": start} if start is not None else {}) | ({"end": stop} if stop is not None else {})
    return "slice_step", [s.input], args, again(s)


def slice_scatter(s):
    need(s.input.dim())
    x, src = s.input.detach(), s.args[1].detach()
    dim = s.get(2, "dim", 0) % x.dim()
    for other in range(x.dim()):  # they are large
        if other != dim:
            x, src = x.narrow(other, 0, min(4, x.shape[other])), src.narrow(other, 0, min(4, src.shape[other]))
    dim, start, step = s.get(2, "dim", 0), s.get(3, "start"), s.get(5, "step", 1)
    start = 0 if start is None else start
    need(step == 1 and x.dim() == src.dim() > 0 and 0 <= start and start + src.shape[dim] <= x.shape[dim])
    return "slice_update", [x, src, torch.tensor(start)], {"axis": dim}, lambda x, v, _: torch.slice_scatter(x, v, dim, start, start + src.shape[dim])


def flipped(axis):
    def call(s):
        return "flip", [s.input], {"axes": [axis]}, s.op
    return call


def beside(axis):
    """Stacks of tensors that have the axis already."""
    def call(s):
        need(all(t.dim() > max(axis, 1) and t.dtype == s.input[0].dtype for t in s.input))
        return "concat", list(s.input), {"axis": axis}, lambda *x: torch.cat(x, axis)
    return call


def parts(axis):
    def call(s):
        d = axis if axis is not None else s.get(2, "dim", 0)
        d = 0 if axis == 1 and s.input.dim() == 1 else d
        need(not isinstance(s.args[1], T))
        f = lambda x: list(s.op(x, *s.args[1:], **s.kwargs))
        sizes = [y.shape[d] for y in f(s.input)]
        need(sum(sizes) == s.input.shape[d])
        return "split", [s.input], {"sizes": sizes, "axis": d}, f
    return call


def shaped_as(ours):
    def call(s):
        y = s.op(s.input, *s.args[1:], **s.kwargs)
        return ours, [s.input], {"shape": list(y.shape)}, again(s)
    return call


def filled(s):
    need("dtype" not in s.kwargs and isinstance(s.input, T))
    y = s.op(s.input, *s.args[1:], **s.kwargs)
    need(y.dtype == s.input.dtype and y.numel())
    value = y.flatten()[0].item()
    return "new_full", [s.input.detach()], {"shape": list(y.shape), "value": float(value)}, lambda x: torch.full_like(y, value)


def enlarged(s):
    size, factor = s.get(1, "size"), s.get(2, "scale_factor")
    if s.name == "upsample_nearest" and factor is not None:
        factor = 2.0  # the samples' are not whole
    y = F.interpolate(s.input, size, factor, mode="nearest")
    need(s.input.numel() and all(a % b == 0 for a, b in zip(y.shape[2:], s.input.shape[2:])) and s.kwargs.get("mode", "nearest") == "nearest")
    factors = [a // b for a, b in zip(y.shape[2:], s.input.shape[2:])]
    return "upsample", [s.input.detach().movedim(1, -1)], {"factors": factors}, lambda x: F.interpolate(x.movedim(-1, 1), y.shape[2:], mode="nearest").movedim(1, -1)


def loss(ours, f, name=None, default=None):
    """A loss in Keras's form: the mean over the last axis."""
    def call(s):
        t = s.args[1]
        need(isinstance(t, T) and t.shape == s.input.shape and s.input.dim() > 1 and s.input.shape[-1] and s.kwargs.get("weight") is None)
        args = {} if name is None else {"p": number(s.kwargs.get(name, default))}
        return ours, [s.input, t.detach()], args, lambda x, t: f(x, t, *args.values())
    return call


SIMPLE = """abs acos acosh asin asinh atan atanh ceil cos cosh deg2rad digamma erf erfc erfinv exp exp2 floor i0 lgamma log2 log10 neg
rad2deg reciprocal round rsqrt sigmoid sign sin sinc sinh sqrt square tan tanh trunc signbit logical_not bitwise_not relu relu6 silu
mish softsign selu special.i0e special.i1 special.i1e special.ndtr""".split()
OTHER_NAMES = {
    "expm1": "exp_m1", "log": "ln", "log1p": "ln_1p", "isfinite": "is_finite", "isinf": "is_inf", "isnan": "is_nan", "hardswish": "hard_silu",
    "hardsigmoid": "hard_sigmoid", "logsigmoid": "log_sigmoid", "tanhshrink": "tanh_shrink", "ravel": "flatten", "t": "t", "argwhere": "argwhere",
    "corrcoef": "corrcoef", "linalg.inv": "inverse", "linalg.slogdet": "slogdet",
}
PAIRS = {n: n for n in """mul fmax fmin fmod remainder maximum minimum pow atan2 copysign hypot nextafter heaviside xlogy logaddexp logaddexp2
gcd lcm bitwise_and bitwise_or bitwise_xor logical_and logical_or logical_xor outer dot vdot matmul ldexp""".split()}
PAIRS |= {"add": "add", "sub": "sub", "true_divide": "div", "div": "div", "floor_divide": "floor_div", "bitwise_left_shift": "left_shift",
          "bitwise_right_shift": "right_shift", "eq": "equal", "ne": "not_equal", "lt": "less", "le": "less_equal", "gt": "greater",
          "ge": "greater_equal", "mm": "matmul", "bmm": "matmul", "mv": "matmul"}
CALLS = {n: unary(n.split(".")[-1]) for n in SIMPLE} | {n: unary(o) for n, o in OTHER_NAMES.items()} | {n: binary(o) for n, o in PAIRS.items()}
CALLS |= {
    "leaky_relu": constant("leaky_relu", 1, "negative_slope", 0.01, "p"), "elu": constant("elu", 1, "alpha", 1.0, "p"),
    "celu": constant("celu", 1, "alpha", 1.0, "p"), "softshrink": constant("soft_shrink", 1, "lambd", 0.5, "p"),
    "hardshrink": constant("hard_shrink", 1, "lambd", 0.5, "p"), "hardtanh": hardtanh, "threshold": threshold, "gelu": gelu,
    "softplus": softplus, "logit": logit, "polygamma": polygamma, "isclose": isclose, "allclose": isclose, "clamp": clip, "nan_to_num": nan_to_num,
    "sum": reduction("sum"), "mean": reduction("mean"), "prod": reduction("prod"), "amax": reduction("max"), "amin": reduction("min"),
    "all": reduction("all"), "any": reduction("any"), "nansum": reduction("nansum"), "nanmean": reduction("nanmean"),
    "count_nonzero": reduction("count_nonzero"), "logsumexp": reduction("logsumexp"), "var": spread("var"), "std": spread("std"),
    "var_mean": moments, "argmax": extreme("argmax"), "argmin": extreme("argmin"),
    "cumsum": along("cumsum"), "cumprod": along("cumprod"), "logcumsumexp": along("logcumsumexp"), "softmax": along("softmax"),
    "log_softmax": along("log_softmax"), "unbind": along("unbind", default=0), "unsqueeze": along("expand_dims"),
    "cat": listed("concat", torch.cat), "stack": listed("stack", torch.stack), "meshgrid": meshgrid,
    "diff": diff, "trapezoid": trapezoid, "trapz": trapezoid, "flip": flip, "roll": roll, "rot90": rot90, "tile": tile, "repeat": tile,
    "repeat_interleave": repeat, "split_with_sizes": split, "split": split, "chunk": chunk, "permute": permute, "transpose": transpose,
    "movedim": moveaxis, "reshape": reshape, "view": reshape, "flatten": merge, "unflatten": unflatten, "expand": expand,
    "broadcast_to": expand, "squeeze": squeeze, "narrow": narrow, "diagonal": diagonal, "linalg.diagonal": linalg_diagonal, "diag": diag,
    "trace": trace, "tril": triangle("tril"), "triu": triangle("triu"), "index_select": index_select, "gather": gather,
    "take_along_dim": take_along, "scatter_add": scatter_add, "index_add": index_add, "masked_fill": masked_fill,
    "masked_select": masked_select, "where": where, "nonzero": nonzero, "sort": sort, "argsort": argsort, "topk": topk, "unique": unique,
    "searchsorted": searchsorted, "bucketize": bucketize, "isin": isin, "bincount": bincount, "quantile": quantile("quantile"),
    "nanquantile": quantile("nanquantile"), "cdist": cdist, "cov": cov, "einsum": einsum, "tensordot": tensordot, "linear": linear,
    "cross_entropy": cross_entropy, "normalize": normalize, "linalg.vector_norm": vector_norm, "linalg.matrix_norm": matrix_norm,
    "linalg.solve": solve, "linalg.solve_triangular": triangular, "linalg.cholesky": cholesky, "linalg.qr": qr, "linalg.eigvalsh": eigvals,
    "linalg.svdvals": svdvals, "linalg.pinv": pinv, "linalg.matrix_rank": matrix_rank, "linalg.lstsq": lstsq, "linalg.vander": vander,
    "linalg.det": det, "linalg.matrix_power": power, "linalg.cross": cross, "constant_pad_nd": pad("constant", 2), "pad": None,
    "conv1d": conv, "conv2d": conv, "conv3d": conv, "conv_transpose1d": conv_transpose, "conv_transpose2d": conv_transpose,
    "conv_transpose3d": conv_transpose, "avg_pool1d": pool("average_pool"), "avg_pool2d": pool("average_pool"), "avg_pool3d": pool("average_pool"),
    "max_pool1d": pool("max_pool"), "max_pool2d": pool("max_pool"), "max_pool3d": pool("max_pool"), "batch_norm": batch_norm,
    "layer_norm": layer_norm, "group_norm": group_norm, "instance_norm": instance_norm, "prelu": prelu, "rms_norm": rms_norm, "one_hot": one_hot, "embedding": embedding, "interpolate": interpolate,
    "scaled_dot_product_attention": attention, "ctc_loss": ctc, "binary_cross_entropy_with_logits": logits, "cross": cross, "glu": glu,
    "mse_loss": difference, "__getitem__": getitem, "index_put": index_put, "linspace": linspace, "logspace": logspace, "arange": arange, "eye": eye, "new_full": new_full, "select": select, "kron": kron, "unravel_index": unravel,
} | {f"adaptive_{a}_pool{n}d": adaptive(f"adaptive_{b}_pool") for a, b in (("max", "max"), ("avg", "average")) for n in (1, 2, 3)}
CALLS |= {
    **{f"{n}_copy": CALLS[n] for n in "diagonal expand narrow permute split_with_sizes squeeze t transpose unbind unsqueeze view".split()},
    **{f"__r{t}__": turned(o, f) for t, o, f in (
        ("add", "add", torch.add), ("sub", "sub", torch.sub), ("mul", "mul", torch.mul), ("div", "div", torch.true_divide), ("mod", "remainder", torch.remainder),
        ("pow", "pow", torch.pow), ("and", "bitwise_and", torch.bitwise_and), ("or", "bitwise_or", torch.bitwise_or), ("xor", "bitwise_xor", torch.bitwise_xor),
        ("matmul", "matmul", torch.matmul))},
    "rsub": turned("sub", torch.sub), "float_power": floated, "clamp_max": binary("minimum"), "clamp_min": binary("maximum"), "unsafe_chunk": chunk,
    "max": largest("max"), "min": largest("min"), "median": middle("median"), "nanmedian": middle("nanmedian"), "mode": first("mode", -1),
    "cummax": first("cummax"), "cummin": first("cummin"), "diag_embed": diag_embed, "diagflat": diagflat, "histogram": histogram, "histc": histogram,
    "isneginf": unary("is_neginf"), "isposinf": unary("is_posinf"), "sgn": unary("sign"), "special.modified_bessel_i0": unary("i0"),
    "special.modified_bessel_i1": unary("i1"), "special.polygamma": polygamma, "frexp": unary("frexp"), "T": unary("t"), "inner": inner, "linalg.vecdot": vecdot,
    **{f"fft.{o}": fourier(o, 2 if o.endswith("2") else 1) for o in "fft ifft rfft irfft fft2 ifft2".split()},
    "linalg.lu": lu("lu"), "linalg.lu_factor": lu("lu_factor"), "cholesky_inverse": cholesky_inverse, "linalg.eigh": eigvals, "linalg.svd": svdvals, "svd": svdvals,
    "linalg.inv_ex": lambda s: ("inverse", [s.input], {}, torch.linalg.inv), "linalg.solve_ex": solve, "linalg.cholesky_ex": cholesky, "logdet": logdet,
    "pinverse": lambda s: ("pinv", [s.input], {}, torch.linalg.pinv), "norm": any_norm, "linalg.norm": any_norm,
    "scatter": scatter, "scatter_reduce": scatter_reduce, "index_reduce": index_reduce, "index_copy": index_copy, "_segment_reduce": segments,
    "unfold": None, "pixel_shuffle": shuffled, "pixel_unshuffle": unshuffled, "native_layer_norm": native_layer_norm, "slice": slice_step,
    "slice_scatter": slice_scatter, "fliplr": flipped(1), "flipud": flipped(0), "msort": lambda s: ("sort", [s.input], {"axis": 0, "descending": False}, torch.msort),
    "hstack": beside(1), "vstack": beside(0), "dstack": beside(2), "column_stack": beside(1), "hsplit": parts(1), "vsplit": parts(0), "dsplit": parts(2),
    "tensor_split": parts(None), "expand_as": shaped_as("broadcast_to"), "reshape_as": shaped_as("reshape_to"), "view_as": shaped_as("reshape_to"),
    **{n: filled for n in "full_like ones_like zeros_like new_ones new_zeros fill".split()}, "bfloat16": cast("bf16"), "upsample_nearest": enlarged,
    "l1_loss": loss("MeanAbsoluteError", lambda x, t: (x - t).abs().mean(-1)),
    "huber_loss": loss("Huber", lambda x, t, d: F.huber_loss(x, t, reduction="none", delta=d).mean(-1), "delta", 1.0),
    "cosine_similarity": loss("CosineSimilarity", lambda x, t: -F.cosine_similarity(x, t, -1)),
}
CALLS |= {f"signal.windows.{t}": ladder(o, getattr(torch.signal.windows, t)) for t, o in
          (("bartlett", "bartlett"), ("blackman", "blackman"), ("hamming", "hamming"), ("hann", "hanning"), ("kaiser", "kaiser"))}
CALLS |= {t: cast(o) for t, o in (("double", "f64"), ("float", "f32"), ("long", "i64"), ("int", "i32"), ("char", "i8"), ("byte", "u8"), ("bool", "bool"), ("half", "f16"))}
PADS = {"constant": pad("constant"), "reflect": pad("reflect"), "replicate": pad("edge"), "circular": pad("wrap")}
# Ours under which the tensors of a made-up name go.
BEHIND = {"GroupNormalization": "layer_norm", "PReLU": "layer_norm", "logdet": "slogdet", "MeanAbsoluteError": "exp", "Huber": "exp", "CosineSimilarity": "exp", "cholesky_symmetric": "cholesky", "qr_positive": "qr", "eigenvalues": "eigh", "singular_values": "svd"}


def seeded(op):
    """The same samples for the same operation, whatever ran before."""
    seed = sum((i + 1) * ord(c) for i, c in enumerate(op)) % 2**31
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def as_list(y):
    return list(y) if isinstance(y, (tuple, list)) else [y]


def as_numpy(t):
    t = t.detach()
    return t.view(torch.int16).numpy().view(ml_dtypes.bfloat16) if t.dtype == torch.bfloat16 else t.numpy()


def key(made):
    """What tells samples apart that are worth keeping beside each other."""
    ours, tensors, args, _ = made
    return ours, str(args), tuple((tuple(t.shape), t.is_contiguous()) for t in tensors)


def chosen(all_made, n):
    """Different ones first, evenly over the list, with the empty, the smallest and the broadcast among them."""
    seen, fresh = set(), []
    for made in all_made:
        k = key(made)
        if k not in seen:
            seen.add(k)
            fresh.append(made)
    if len(fresh) <= n:
        return fresh
    return [fresh[i * len(fresh) // n] for i in range(n)]


# Zeros of both signs, ones, numbers of any size down to the smallest, infinities, NaN.
EDGE = [0.0, -0.0, 1.0, -1.0, 0.3, -2.5, 7.0, 5e-324, -1e-310, 1e-300, 1e200, -1e200, float("inf"), -float("inf"), float("nan")]


def edges(pack):
    """These and pairs of them through the elementwise functions, with gradients."""
    one = torch.tensor(EDGE, dtype=torch.float64)
    two = [t.flatten() for t in torch.meshgrid(one, one, indexing="ij")]
    named = {"relu": F.relu, "relu6": F.relu6, "silu": F.silu, "mish": F.mish, "softsign": F.softsign, "selu": F.selu, "gelu": F.gelu, "hardswish": F.hardswish,
             "hardsigmoid": F.hardsigmoid, "logsigmoid": F.logsigmoid, "tanhshrink": F.tanhshrink, "softplus": F.softplus, "elu": F.elu,
             "celu": F.celu, "leaky_relu": F.leaky_relu, "softshrink": F.softshrink, "hardshrink": F.hardshrink, "hardtanh": F.hardtanh,
             "mse_loss": lambda a, b: F.mse_loss(a, b, reduction="none")}
    constants = {"elu": ("elu", {"p": 1.0}), "celu": ("celu", {"p": 1.0}), "leaky_relu": ("leaky_relu", {"p": 0.01}),
                 "softshrink": ("soft_shrink", {"p": 0.5}), "hardshrink": ("hard_shrink", {"p": 0.5})}
    first = {**{n: (n.split(".")[-1], {}) for n in SIMPLE}, **{t: (o, {}) for t, o in OTHER_NAMES.items()}, **constants, "softplus": ("softplus", {}),
             "logit": ("logit", {}), "hardtanh": ("hard_tanh", {})}
    second = {**{t: (o, {}) for t, o in PAIRS.items()}, "mse_loss": ("squared_difference", {})}
    others = ("matmul", "dot", "vdot", "outer", "argwhere", "corrcoef", "inverse", "slogdet", "flatten", "t")
    for names, tensors in ((first, [one]), (second, two)):
        for theirs, (ours, args) in names.items():
            f = named.get(theirs) or (getattr(torch.special, theirs[8:]) if theirs.startswith("special.") else getattr(torch, theirs, None))
            if f is None or ours in others or "f64" not in OURS[ours][0] or theirs in ("div", "floor_divide") or ours.startswith("logical"):
                continue
            leaves = [t.clone().requires_grad_(OURS[ours][1]) for t in tensors]
            y = f(*leaves)
            gradients = None
            if y.requires_grad:
                try:
                    found = torch.autograd.grad([y], leaves, [torch.from_numpy(cotangents(y.numel()))], allow_unused=True)
                    gradients = [None if g is None else g.numpy(force=True) for g in found]
                except RuntimeError as e:
                    assert "not implemented" in str(e), (theirs, e)
            pack.add("torch edges of " + theirs, ours, [t.detach().numpy() for t in leaves], [y.detach().numpy()], args, gradients)


def main():
    pack, without, dropped = Pack(), [], 0
    for op in op_db:
        name = op.name.removeprefix("nn.functional.")
        call = CALLS.get(name)
        if name == "pad":
            call = PADS.get(op.variant_test_name)
        if name == "unfold":
            call = unfold if op.name.startswith("nn") else sequences
        if name == "div" and op.variant_test_name == "trunc_rounding":
            continue
        if call is None:
            continue
        before = len(pack.cases)
        f = op.op
        for dtype, kept in KEPT.items():
            if dtype not in op.supported_dtypes("cpu"):
                continue
            seeded(op.name + op.variant_test_name + str(dtype))
            made = []
            for sample in op.sample_inputs("cpu", dtype):
                s = S(f, sample)
                s.name = name
                if name == "div" and op.variant_test_name == "floor_rounding":
                    s.kwargs.pop("rounding_mode", None)
                    s.op, use = (lambda a, b: torch.div(a, b, rounding_mode="floor")), binary("floor_div")
                elif name == "div":
                    s.kwargs.pop("rounding_mode", None)
                    use = call
                else:
                    use = call
                try:
                    ours, tensors, args, g = use(s)
                    need(all(isinstance(t, T) and t.numel() <= LARGEST and not t.is_complex() for t in tensors))
                    takes, _, _ = OURS[BEHIND.get(ours, ours)]
                    of = {str(t.dtype).removeprefix("torch.") for t in tensors[:1]}
                    of = {{"float64": "f64", "float32": "f32", "int64": "i64", "uint8": "u8", "bool": "bool"}.get(d, d) for d in of}
                    need(not tensors or not takes or of <= takes)
                except (Skip, IndexError, KeyError, TypeError, AttributeError):
                    dropped += 1
                    continue
                made.append((ours, tensors, args, g))
            for ours, tensors, args, g in chosen(made, kept):
                leaves = [t.detach().clone(memory_format=torch.contiguous_format) for t in tensors]
                flows = OURS[BEHIND.get(ours, ours)][1] and dtype == torch.float64
                for t in leaves:
                    t.requires_grad_(flows and t.dtype == torch.float64)
                y = [torch.as_tensor(v) for v in as_list(g(*leaves))]
                if any(v.numel() > 2 * LARGEST or v.is_complex() for v in y):
                    continue
                gradients = None
                reached = [v for v in y if v.requires_grad]
                if reached:
                    wrt = [t for t in leaves if t.requires_grad]
                    seeds = [torch.from_numpy(cotangents(v.numel())).reshape(v.shape) for v in reached]
                    try:
                        found = iter(torch.autograd.grad(reached, wrt, seeds, allow_unused=True))
                    except RuntimeError as e:  # it has none, or fails without elements
                        assert "not implemented" in str(e) or "needs to be contiguous" in str(e), (op.name, e)
                        found = None
                if reached and found:
                    gradients = [(next(found) if t.requires_grad else None) for t in leaves]
                    gradients = [None if v is None else v.numpy(force=True) for v in gradients]
                source = "torch " + op.name + (f" ({op.variant_test_name})" if op.variant_test_name else "")
                pack.add(source, ours, [as_numpy(t) for t in leaves], [as_numpy(v) for v in y], args, gradients)
        if len(pack.cases) == before:
            without.append(op.name)
    edges(pack)
    pack.write("torch.bin")
    if without:
        print("no sample that fits:", *without)
    print(dropped, "samples say what ours cannot, or are large")
    ours = {BEHIND.get(c["op"], c["op"]) for c in pack.cases}
    print("without a counterpart among the samples:", *sorted(set(OURS) - ours))


main()
