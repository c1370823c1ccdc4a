"""Cases of operations from NumPy and SciPy, which compute what is expected. Writes pack/numpy.json; `tests/all/foreign.rs`
replays it."""

import json
import pathlib

import numpy as np
import scipy.special as sp

rng = np.random.default_rng(15)
cases = []
INF, NAN = np.inf, np.nan


def value(v):
    v = float(v)
    if v != v or abs(v) == INF:
        return {NAN: "nan"}.get(v, "nan" if v != v else ("inf" if v > 0 else "-inf"))
    return v


def tensor(a):
    a = np.asarray(a)
    kind = {"f": "f64", "i": "i64", "b": "bool", "u": "i64"}[a.dtype.kind]
    if a.dtype == np.int8:
        kind = "i8"
    if a.dtype == np.uint8:
        kind = "u8"
    return {"shape": list(a.shape), "dtype": kind, "data": [value(v) for v in a.ravel()]}


def case(op, inputs, outputs, **args):
    outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
    cases.append({"op": op, "args": args, "inputs": [tensor(x) for x in inputs], "outputs": [tensor(y) for y in outputs]})


EDGE = np.array([0.0, -0.0, 1.0, -1.0, 0.3, -2.5, 7.0, 1e-300, 1e300, -1e300, INF, -INF, NAN])
UNARY_EDGE = np.array([*EDGE, 0.5, -0.5, 1.5, -1.5, 2.5, 1e-8, -1e-8, 5e-324, -5e-324, 2e-308, 1e5, -1e5, 709.0, -740.0, 1 - 2**-53, -1 + 2**-53])
A, B = [g.ravel() for g in np.meshgrid(EDGE, EDGE)]
with np.errstate(all="ignore"):
    for op, f in {
        "hypot": np.hypot, "copysign": np.copysign, "nextafter": np.nextafter, "fmod": np.fmod, "heaviside": np.heaviside,
        "fmax": np.fmax, "fmin": np.fmin, "xlogy": sp.xlogy, "maximum": np.maximum, "minimum": np.minimum,
    }.items():
        case(op, [A, B], f(A, B))
    for op, f in {
        "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "pow": np.power, "atan2": np.arctan2, "logaddexp": np.logaddexp,
        "logaddexp2": np.logaddexp2, "remainder": np.remainder, "floor_div": np.floor_divide,
        "divide_no_nan": lambda a, b: np.where(b == 0, 0.0, a / b), "squared_difference": lambda a, b: (a - b) ** 2,
    }.items():
        case(op, [A, B], f(A, B))
    for op, f in {
        "neg": np.negative, "abs": np.abs, "sign": np.sign, "floor": np.floor, "ceil": np.ceil, "round": np.rint, "trunc": np.trunc, "sqrt": np.sqrt,
        "cbrt": np.cbrt, "exp": np.exp, "exp_m1": np.expm1, "exp2": np.exp2, "ln": np.log, "ln_1p": np.log1p, "log2": np.log2, "log10": np.log10,
        "sin": np.sin, "cos": np.cos, "tan": np.tan, "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan, "sinh": np.sinh, "cosh": np.cosh,
        "tanh": np.tanh, "asinh": np.arcsinh, "acosh": np.arccosh, "atanh": np.arctanh, "reciprocal": np.reciprocal, "square": np.square,
        "deg2rad": np.deg2rad, "rad2deg": np.rad2deg, "sigmoid": sp.expit, "logit": sp.logit, "erf": sp.erf, "erfc": sp.erfc, "ndtr": sp.ndtr, "i0e": sp.i0e,
    }.items():
        case(op, [UNARY_EDGE], f(UNARY_EDGE))
    E = np.array([0, 1, -1, 52, -1074, 1023, 2000, -2000], float)
    x, e = [g.ravel() for g in np.meshgrid([1.0, 0.3, -1e300, 1e-310, 0.0, INF], E)]
    case("ldexp", [x, e], np.ldexp(x, e.astype(int)))
    case("logaddexp2", [[0.0, -3.0, 1000.0, -INF, 2.0], [1.0, 5.0, 999.0, -INF, INF]], np.logaddexp2([0.0, -3.0, 1000.0, -INF, 2.0], [1.0, 5.0, 999.0, -INF, INF]))

    integers = {
        "gcd": np.gcd, "lcm": np.lcm, "bitwise_and": np.bitwise_and, "bitwise_or": np.bitwise_or, "bitwise_xor": np.bitwise_xor,
    }
    for dtype in (np.int64, np.int8, np.uint8):
        low, high = (-20, 21) if dtype != np.uint8 else (0, 200)
        a, b = rng.integers(low, high, 12).astype(dtype), rng.integers(low, high, 12).astype(dtype)
        a[0] = b[1] = 0
        for op, f in integers.items():
            case(op, [a, b], f(a, b))
        case("bitwise_not", [a], np.invert(a))
        places = rng.integers(0, 7, 12).astype(dtype)
        case("left_shift", [a, places], np.left_shift(a, places))
        case("right_shift", [a, places], np.right_shift(a, places))

    x = rng.normal(size=(4, 5))
    holes = x.copy()
    holes[0, 1] = holes[2, :] = holes[3, 4] = NAN
    some = holes[[0, 1, 3]]
    for axis in (None, 0, 1):
        for q in (0.0, 0.25, 0.5, 0.77, 1.0):
            case("quantile", [x], np.quantile(x, q, axis=axis), q=q, axis=axis)
            case("nanquantile", [holes], np.nanquantile(holes, q, axis=axis), q=q, axis=axis)
        case("median", [holes], np.median(holes, axis=axis), axis=axis)
        for op in ("nansum", "nanprod", "nanmean", "nanmax", "nanmin", "nanvar", "nanstd", "nanmedian"):
            case(op, [holes], getattr(np, op)(holes, axis=axis), axis=axis)
        case("ptp", [x], np.ptp(x, axis=axis), axis=axis)
    for axis in (0, 1):
        for op in ("nanargmax", "nanargmin"):
            case(op, [some], getattr(np, op)(some, axis=axis), axis=axis)
        for op in ("nancumsum", "nancumprod"):
            case(op, [holes], getattr(np, op)(holes, axis=axis), axis=axis)
        case("logcumsumexp", [x * 400], np.logaddexp.accumulate(x * 400, axis=axis), axis=axis)
        case("diff", [x], np.diff(x, 2, axis=axis), n=2, axis=axis)
        case("trapezoid", [x], np.trapezoid(x, dx=0.3, axis=axis), dx=0.3, axis=axis)
    case("nan_to_num", [EDGE], np.nan_to_num(EDGE))

    edges = np.array([-1.0, 0.0, 0.0, 0.5, 2.0])
    at = np.array([[-3.0, -1.0, 0.0], [0.2, 2.0, 9.0], [NAN, INF, -INF]])
    case("searchsorted", [edges, at], np.searchsorted(edges, at, "left"), right=False)
    case("searchsorted", [edges, at], np.searchsorted(edges, at, "right"), right=True)
    case("digitize", [at, edges], np.digitize(at, edges))
    counts = rng.integers(0, 6, 30)
    case("bincount", [counts], np.bincount(counts, minlength=9), least=9)
    case("isin", [counts, [1, 4]], np.isin(counts, [1, 4]))
    many = rng.normal(size=200)
    case("histogram", [many], list(np.histogram(many, 7)), bins=7)
    case("histogram", [many], list(np.histogram(many, 4, (-1, 1))), bins=4, range=[-1, 1])
    case("signbit", [EDGE], np.signbit(EDGE))
    case("isclose", [[1.0, INF, NAN, 1e10, 1.0, 0.0], [1.0 + 1e-6, INF, NAN, 1.0001e10, INF, 1e-9]],
         np.isclose([1.0, INF, NAN, 1e10, 1.0, 0.0], [1.0 + 1e-6, INF, NAN, 1.0001e10, INF, 1e-9]))

    cube = rng.normal(size=(2, 3, 4))
    for k in (-1, 0, 1, 2, 3):
        case("rot90", [cube], np.rot90(cube, k, (0, 2)), k=k)
    case("unravel_index", [[0, 5, 23, 11]], list(np.unravel_index([0, 5, 23, 11], (2, 3, 4))), shape=[2, 3, 4])
    u, v = rng.normal(size=(4, 3)), rng.normal(size=(4, 3))
    case("cross", [u, v], np.cross(u, v))
    case("vander", [[1.0, 2.0, -3.0]], np.vander([1.0, 2.0, -3.0], 4), n=4)
    case("cov", [x], np.cov(x))
    case("corrcoef", [x], np.corrcoef(x))
    case("take_along_axis", [x, [[0, -1], [1, 1], [-5, 4], [2, -2]]], np.take_along_axis(x, np.array([[0, -1], [1, 1], [-5, 4], [2, -2]]), 1), axis=1)
    case("take", [x, [0, -1, -4, 3]], np.take(x, [0, -1, -4, 3], axis=0), axis=0)
    case("logspace", [], np.logspace(-1, 2, 5), start=-1, stop=2, n=5)
    case("geomspace", [], np.geomspace(-1, -1000, 7), start=-1, stop=-1000, n=7)
    for n in (0, 1, 6, 7):
        for op in ("bartlett", "blackman", "hamming", "hanning"):
            case(op, [], getattr(np, op)(n), n=n)
        case("kaiser", [], np.kaiser(n, 8.6), n=n, beta=8.6)
    for n in (1, 2, 4):
        m = rng.normal(size=(3, n, n))
        case("det", [m], np.linalg.det(m))
    for m, n in ((1, 1), (3, 3), (5, 2), (2, 5), (6, 6)):
        a = rng.normal(size=(2, m, n))
        case("svd", [a], np.linalg.svd(a, compute_uv=False))
        case("pinv", [a], np.linalg.pinv(a))
        for p in (1, -1, 2, -2, INF, -INF):
            case("matrix_norm", [a], np.linalg.norm(a, p, axis=(1, 2)), p=value(p))
        if m == n:
            case("eigh", [a], np.linalg.eigh(a)[0])
            for power in (-2, 0, 1, 5):
                case("matrix_power", [a], np.linalg.matrix_power(a, power), n=power)
    flat = np.outer([1.0, 2, 3], [1.0, -1, 2]) + np.outer([0.0, 1, 1], [1.0, 1, 1])
    case("matrix_rank", [[flat, np.zeros((3, 3)), np.eye(3)]], np.linalg.matrix_rank([flat, np.zeros((3, 3)), np.eye(3)]))
    case("pinv", [flat], np.linalg.pinv(flat))
    case("cumsum", [np.full(4000, 0.1)], np.arange(1, 4001) * 0.1, axis=0)

path = pathlib.Path(__file__).parent / "pack" / "numpy.json"
path.write_text('{"cases":[\n' + ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases) + "\n]}\n")
print(len(cases), "cases of", len({c["op"] for c in cases}), "operations,", path.stat().st_size, "bytes")
