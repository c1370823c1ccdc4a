"""Values and derivatives of orders 1 to 3 of elementwise functions, in 60 digits by mpmath, at seams of formulas, zeros,
signs, ends of domains and large arguments. Writes pack/elementwise.json; `tests/all/foreign.rs` replays it."""

import json
import pathlib

import mpmath as mp

mp.mp.dps = 60
X = mp.mpf
PI, LN2 = mp.pi, mp.log(2)


def softplus(x):
    return mp.log1p(mp.exp(x))


def sigmoid(x):
    return 1 / (1 + mp.exp(-x))


def sinc(x):
    if x == int(x):
        return X(int(x == 0))
    return mp.sin(PI * x) / (PI * x)


def shrunk(x):
    # x - tanh(x) would cancel 60 digits away at 1e-30; the points stay above that.
    return x - mp.tanh(x)


SELU = (X("1.6732632423543772848170429916717"), X("1.0507009873554804934193349852946"))

# name: (function, points where it is not analytic)
SMOOTH = {
    "exp": (mp.exp, []),
    "exp_m1": (mp.expm1, []),
    "ln": (mp.log, [0]),
    "ln_1p": (mp.log1p, [-1]),
    "sqrt": (mp.sqrt, [0]),
    "square": (lambda x: x * x, []),
    "sin": (mp.sin, []),
    "cos": (mp.cos, []),
    "tan": (mp.tan, []),
    "tanh": (mp.tanh, []),
    "sigmoid": (sigmoid, []),
    "erf": (mp.erf, []),
    "erfc": (mp.erfc, []),
    "ndtr": (mp.ncdf, []),
    "gelu": (lambda x: x * mp.ncdf(x), []),
    "silu": (lambda x: x * sigmoid(x), []),
    "gelu_tanh": (lambda x: x * sigmoid(2 * mp.sqrt(2 / PI) * (x + X("0.044715") * x**3)), []),
    "mish": (lambda x: x * mp.tanh(softplus(x)), []),
    "softplus": (softplus, []),
    "log_sigmoid": (lambda x: -softplus(-x), []),
    "sinh": (mp.sinh, []),
    "cosh": (mp.cosh, []),
    "asin": (mp.asin, [-1, 1]),
    "acos": (mp.acos, [-1, 1]),
    "atan": (mp.atan, []),
    "asinh": (mp.asinh, []),
    "acosh": (mp.acosh, [1]),
    "atanh": (mp.atanh, [-1, 1]),
    "rsqrt": (lambda x: 1 / mp.sqrt(x), [0]),
    "reciprocal": (lambda x: 1 / x, [0]),
    "log2": (lambda x: mp.log(x) / LN2, [0]),
    "log10": (mp.log10, [0]),
    "exp2": (lambda x: mp.power(2, x), []),
    "tanh_shrink": (shrunk, []),
    "squareplus": (lambda x: (x + mp.sqrt(x * x + 4)) / 2, []),
    "log_cosh": (lambda x: mp.log(mp.cosh(x)), []),
    "cbrt": (lambda x: mp.cbrt(x) if x >= 0 else -mp.cbrt(-x), [0]),
    "deg2rad": (lambda x: x * PI / 180, []),
    "rad2deg": (lambda x: x * 180 / PI, []),
    "logit": (lambda x: mp.log(x / (1 - x)), [0, 1]),
    "sinc": (sinc, []),
    "erfinv": (lambda x: mp.erfinv(x) if abs(x) < 1 else x * mp.inf if abs(x) == 1 else mp.nan, [-1, 1]),
    "lgamma": (lambda x: mp.log(abs(mp.gamma(x))) if x < 171 else mp.loggamma(x), "poles"),
    "digamma": (lambda x: mp.psi(0, x), "poles"),
    "polygamma": (lambda x: mp.psi(1, x), "poles"),
    "i0": (lambda x: mp.besseli(0, x), []),
    "i1": (lambda x: mp.besseli(1, x), []),
    "bessel_i": (lambda x: mp.besseli(2, x), []),
    "i0e": (lambda x: mp.exp(-abs(x)) * mp.besseli(0, x), [0]),
    "i1e": (lambda x: mp.exp(-abs(x)) * mp.besseli(1, x), [0]),
    "bessel_ie": (lambda x: mp.exp(-abs(x)) * mp.besseli(2, x), [0]),
}

# At 0 these take the piece below.
PIECES = {
    "leaky_relu": (lambda x: x, lambda x: x / 5),
    "elu": (lambda x: x, mp.expm1),
    "celu": (lambda x: x, mp.expm1),
    "selu": (lambda x: SELU[1] * x, lambda x: SELU[1] * SELU[0] * mp.expm1(x)),
}

SIZES = ["0", "1e-30", "1e-8", "0.001", "0.3", "0.5", "0.75", "1", "1.25", "2", "2.5", "3", "5", "6", "8", "20", "30", "100"]
LARGE = ["10000", "1e10", "1e16"]
# mpmath needs minutes for these beyond, or the reference is a difference of giants.
SMALL_ONLY = {"i0", "i1", "bessel_i", "i0e", "i1e", "bessel_ie", "polygamma", "digamma", "lgamma", "sinc", "tan"}
# Beyond float32's range, where a bound that suits it would show.
HUGE = ["1e40", "1e200"]
# Values alone: as near to zero as there are numbers.
TINY = ["5e-324", "1e-310", "1e-200"]
# Near a pole differences of the function say nothing; its derivatives are known.
GAMMA = {"lgamma": -1, "digamma": 0, "polygamma": 1}
NEAR_POLES = [s * F for F in (5e-324, 1e-310, 1e-300, 1e-160, 1e-100, 1e-20, 2.0**-149, 1e-40) for s in (1, -1)]
NEAR_POLES += [-1 - 2.0**-52, -1 + 2.0**-53, -2 - 2.0**-51, -2 + 2.0**-52, -3 + 1e-9, -10 - 1e-12]
F = float


def number(v):
    """As JSON has it; infinities and NaN are strings."""
    if isinstance(v, mp.mpc):
        if abs(v.imag) > mp.mpf(10) ** -40 * min(1, abs(v)):
            return "nan"
        v = v.real
    f = F(v)
    return f if f == f and abs(f) != float("inf") else str(f)


def column(f, x, singular):
    out = []
    for order in range(4):
        if order and singular:
            out.append(None)
            continue
        try:
            v = f(x) if order == 0 else mp.diff(f, x, order)
            out.append(number(v))
        except (ZeroDivisionError, ValueError, OverflowError, mp.libmp.NoConvergence):
            out.append(None)
    # Derivatives of a value that is not real are not asked for.
    return out if out[0] not in ("nan", None) else [out[0], None, None, None]


def main():
    rows = {}
    for name, (f, holes) in SMOOTH.items():
        rows[name] = []
        for size in SIZES + ([] if name in SMALL_ONLY else LARGE):
            for sign in ("", "-"):
                x = F(sign + size)
                whole = x <= 0 and x == int(x)
                singular = whole if holes == "poles" else x in holes
                if name == "tanh_shrink" and abs(x) < 1e-20 and x != 0:
                    continue
                if holes == "poles" and whole:
                    continue
                mp.mp.dps = 60 if abs(x) > 1e-20 else 120
                rows[name].append([x if x or not sign else "-0.0", *column(f, X(x), singular)])
        mp.mp.dps = 500
        for x in [F(s + size) for size in ([] if name in SMALL_ONLY else HUGE) for s in ("", "-")]:
            rows[name].append([x, *column(f, X(x), False)])
        for x in [F(s + size) for size in ([] if name in GAMMA or name == "tanh_shrink" else TINY) for s in ("", "-")]:
            rows[name].append([x, number(f(X(x))), None, None, None])
        if name in GAMMA:
            mp.mp.dps = 400
            for x in NEAR_POLES:
                orders = [GAMMA[name] + i for i in range(4)]
                rows[name].append([x, *(number(mp.log(abs(mp.gamma(X(x)))) if n < 0 else mp.psi(n, X(x))) for n in orders)])
    mp.mp.dps = 60
    for name, (above, below) in PIECES.items():
        rows[name] = []
        for size in SIZES + LARGE:
            for sign in ("", "-"):
                x = F(sign + size)
                f = above if x > 0 else below
                rows[name].append([x if x or not sign else "-0.0", *column(f, X(x), False)])
    path = pathlib.Path(__file__).parent / "pack" / "elementwise.json"
    lines = ",\n".join(f'"{k}": {json.dumps(v, separators=(",", ":"))}' for k, v in rows.items())
    path.write_text("{\n" + lines + "\n}\n")
    print(sum(len(v) for v in rows.values()), "points of", len(rows), "functions,", path.stat().st_size, "bytes")


main()
