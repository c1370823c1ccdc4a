"""Values and first derivatives of elementwise functions at a sample of points, in 40 digits by mpmath, each as the nearest float64 and
what is missing, in its last place. Writes pack/accuracy.bin, from which `tests/all/accuracy.rs` makes the tables of errors in
docs/numerics.md.

A third of the points has 8 significant bits (so that each dtype has them), a third those of float32, a third those of float64.
Half of each are spread evenly over an interval, half over its powers of two and both signs.
"""

import random

import mpmath as mp
import numpy as np

from packing import Pack

mp.mp.dps = 40
X = mp.mpf
EACH = 80
# The first of each third, at which the derivatives are.
SLOPES = 50

def sigmoid(x):
    return 1 / (1 + mp.exp(-x))


def softplus(x):
    return mp.log1p(mp.exp(x))


def tanh_shrink(x):
    return x - mp.tanh(x) if abs(x) > 1e-9 else x**3 / 3


def ncdf(x):
    return mp.erfc(-x / mp.sqrt(2)) / 2


def clip(x, low, high):
    return min(max(x, X(low)), X(high))


def sinc_slope(x):
    return (mp.cos(mp.pi * x) - mp.sin(mp.pi * x) / (mp.pi * x)) / x


ALPHA, SCALE = X("1.6732632423543772848170429916717"), X("1.0507009873554804934193349852946")


# name: (function, interval)
ALL = {
    "exp": (mp.exp, (-80, 80)), "exp_m1": (mp.expm1, (-40, 80)), "exp2": (lambda x: mp.power(2, x), (-120, 120)),
    "ln": (mp.log, (2**-14, 60000)), "ln_1p": (mp.log1p, (-0.99, 100)), "log2": (lambda x: mp.log(x) / mp.log(2), (2**-14, 60000)),
    "log10": (mp.log10, (2**-14, 60000)), "sqrt": (mp.sqrt, (2**-14, 60000)), "rsqrt": (lambda x: 1 / mp.sqrt(x), (2**-14, 60000)),
    "reciprocal": (lambda x: 1 / x, (2**-14, 60000)), "cbrt": (lambda x: mp.sign(x) * mp.cbrt(abs(x)), (-1000, 1000)),
    "square": (lambda x: x * x, (-200, 200)), "sin": (mp.sin, (-100, 100)), "cos": (mp.cos, (-100, 100)), "tan": (mp.tan, (-100, 100)),
    "asin": (mp.asin, (-1, 1)), "acos": (mp.acos, (-1, 1)), "atan": (mp.atan, (-100, 100)), "sinh": (mp.sinh, (-80, 80)),
    "cosh": (mp.cosh, (-80, 80)), "tanh": (mp.tanh, (-10, 10)), "asinh": (mp.asinh, (-1000, 1000)), "acosh": (mp.acosh, (1, 1000)),
    "atanh": (mp.atanh, (-0.999, 0.999)), "sigmoid": (sigmoid, (-80, 80)), "log_sigmoid": (lambda x: -softplus(-x), (-80, 80)),
    "softplus": (softplus, (-80, 80)), "erf": (mp.erf, (-4, 4)), "erfc": (mp.erfc, (-4, 9)), "ndtr": (ncdf, (-2, 6)),
    "gelu": (lambda x: x * ncdf(x), (-2, 10)), "gelu_tanh": (lambda x: x * sigmoid(2 * mp.sqrt(2 / mp.pi) * (x + X("0.044715") * x**3)), (-4, 10)),
    "silu": (lambda x: x * sigmoid(x), (-80, 80)), "mish": (lambda x: x * mp.tanh(softplus(x)), (-80, 80)),
    "elu": (lambda x: x if x > 0 else mp.expm1(x), (-20, 20)), "softsign": (lambda x: x / (1 + abs(x)), (-100, 100)),
    "tanh_shrink": (tanh_shrink, (-10, 10)), "squareplus": (lambda x: (x + mp.sqrt(x * x + 4)) / 2, (-20, 20)),
    "log_cosh": (lambda x: mp.log(mp.cosh(x)), (-20, 20)), "logit": (lambda x: mp.log(x / (1 - x)), (0.001, 0.999)),
    "sinc": (lambda x: mp.sin(mp.pi * x) / (mp.pi * x) if x != int(x) else X(int(x == 0)), (-10, 10)), "erfinv": (mp.erfinv, (-0.99, 0.99)),
    "lgamma": (lambda x: mp.loggamma(x) if x > 0 else mp.log(abs(mp.gamma(x))), (0.1, 100)), "digamma": (mp.digamma, (0.1, 100)),
    "polygamma": (lambda x: mp.psi(1, x), (0.1, 100)), "i0": (lambda x: mp.besseli(0, x), (-50, 50)), "i1": (lambda x: mp.besseli(1, x), (-50, 50)),
    "i0e": (lambda x: mp.exp(-abs(x)) * mp.besseli(0, x), (-50, 50)), "i1e": (lambda x: mp.exp(-abs(x)) * mp.besseli(1, x), (-50, 50)),
    "deg2rad": (lambda x: x * mp.pi / 180, (-360, 360)), "rad2deg": (lambda x: x * 180 / mp.pi, (-10, 10)),
    "celu": (lambda x: x if x > 0 else mp.expm1(x), (-20, 20)), "selu": (lambda x: SCALE * (x if x > 0 else ALPHA * mp.expm1(x)), (-20, 20)),
    "leaky_relu": (lambda x: x if x > 0 else x / 5, (-20, 20)), "hard_sigmoid": (lambda x: clip(x + 3, 0, 6) / 6, (-4, 4)),
    "hard_silu": (lambda x: x * clip(x + 3, 0, 6) / 6, (-4, 4)), "sparse_plus": (lambda x: clip(x + 1, 0, 2) ** 2 / 4 + max(x - 1, 0), (-2, 4)),
    "sparse_sigmoid": (lambda x: clip(x + 1, 0, 2) / 2, (-2, 2)), "soft_shrink": (lambda x: mp.sign(x) * max(abs(x) - 0.5, 0), (-4, 4)),
    "hard_shrink": (lambda x: x if abs(x) > 0.5 else X(0), (-4, 4)), "hard_tanh": (lambda x: clip(x, -1, 1), (-2, 2)),
    "relu": (lambda x: max(x, X(0)), (-4, 4)), "relu6": (lambda x: clip(x, 0, 6), (-4, 8)), "step": (lambda x: X(int(x > 0)), (-4, 4)),
    "sign": (mp.sign, (-4, 4)), "abs": (abs, (-4, 4)), "neg": (lambda x: -x, (-4, 4)), "floor": (mp.floor, (-100, 100)), "ceil": (mp.ceil, (-100, 100)),
    "round": (mp.nint, (-100, 100)), "trunc": (lambda x: mp.sign(x) * mp.floor(abs(x)), (-100, 100)),
    "sinc_derivative": (sinc_slope, (-10, 10)), "bessel_i": (lambda x: mp.besseli(2, x), (-50, 50)),
    "bessel_ie": (lambda x: mp.exp(-abs(x)) * mp.besseli(2, x), (-50, 50)),
}
# Where float32 loses digits.
TAILS = {"ndtr": (ncdf, (-5, -2)), "gelu": (lambda x: x * ncdf(x), (-5, -2))}


def softmin(x, t):
    return max(x, X(0)) - x * t + mp.log1p(mp.exp(-abs(x)))


# Of two operands: (function, interval of the first, of the second)
TWO = {
    "add": (lambda a, b: a + b, (-4, 4), (-4, 4)), "sub": (lambda a, b: a - b, (-4, 4), (-4, 4)), "mul": (lambda a, b: a * b, (-4, 4), (-4, 4)),
    "div": (lambda a, b: a / b, (-4, 4), (-4, 4)), "divide_no_nan": (lambda a, b: a / b, (-4, 4), (-4, 4)),
    "squared_difference": (lambda a, b: (a - b) ** 2, (-4, 4), (-4, 4)), "pow": (mp.power, (0.1, 10), (-20, 20)),
    "atan2": (mp.atan2, (-10, 10), (-10, 10)), "hypot": (mp.hypot, (-10, 10), (-10, 10)), "xlogy": (lambda a, b: a * mp.log(b), (-4, 4), (0.01, 100)),
    "logaddexp": (lambda a, b: mp.log(mp.exp(a) + mp.exp(b)), (1, 20), (1, 20)),
    "logaddexp2": (lambda a, b: mp.log(mp.power(2, a) + mp.power(2, b)) / mp.log(2), (1, 20), (1, 20)),
    "binary_cross_entropy": (softmin, (-20, 20), (0, 1)), "remainder": (lambda a, b: a - b * mp.floor(a / b), (-20, 20), (-4, 4)),
    "fmod": (lambda a, b: a - b * mp.sign(a / b) * mp.floor(abs(a / b)), (-20, 20), (-4, 4)), "floor_div": (lambda a, b: mp.floor(a / b), (-20, 20), (-4, 4)),
    "maximum": (max, (-4, 4), (-4, 4)), "minimum": (min, (-4, 4), (-4, 4)), "fmax": (max, (-4, 4), (-4, 4)), "fmin": (min, (-4, 4), (-4, 4)),
    "copysign": (lambda a, b: abs(a) * mp.sign(b), (-4, 4), (-4, 4)), "heaviside": (lambda a, b: X(int(a > 0)), (-4, 4), (-4, 4)),
    "ldexp": (lambda a, b: a * mp.power(2, b), (-4, 4), (-20, 20)),
}


def one_if(condition):
    return lambda x: X(int(condition(x)))


def flat(*_):
    return X(0)


def end(f):
    """An end of the domain is a pole."""
    def slope(x):
        return X("inf") if abs(x) == 1 else f(x)
    return slope


# Derivatives that differences do not give: of functions with seams, at which ours is that of one side, and at ends of domains.
SLOPE_OF = {
    "asin": end(lambda x: 1 / mp.sqrt(1 - x * x)), "acosh": end(lambda x: 1 / mp.sqrt(x * x - 1)),
    "acos": lambda x: -end(lambda x: 1 / mp.sqrt(1 - x * x))(x), "sinc": sinc_slope,
    "elu": lambda x: X(1) if x > 0 else mp.exp(x), "celu": lambda x: X(1) if x > 0 else mp.exp(x),
    "selu": lambda x: SCALE * (1 if x > 0 else ALPHA * mp.exp(x)), "leaky_relu": lambda x: X(1) if x > 0 else X(1) / 5,
    "hard_sigmoid": lambda x: X(1) / 6 if abs(x) < 3 else X(0), "hard_silu": lambda x: (2 * x + 3) / 6 if abs(x) < 3 else X(int(x > 0)),
    "sparse_plus": lambda x: clip(x + 1, 0, 2) / 2, "sparse_sigmoid": lambda x: X(int(abs(x) < 1)) / 2,
    "soft_shrink": one_if(lambda x: abs(x) > 0.5), "hard_shrink": one_if(lambda x: abs(x) > 0.5), "hard_tanh": one_if(lambda x: abs(x) <= 1),
    "relu": one_if(lambda x: x > 0), "relu6": one_if(lambda x: 0 < x < 6), "abs": mp.sign, "neg": lambda x: X(-1),
    "step": flat, "sign": flat, "floor": flat, "ceil": flat, "round": flat, "trunc": flat,
}


def prefers(larger):
    return lambda a, b: X(int(larger(a, b))) if a != b else X(1) / 2


FIRST, SECOND = prefers(lambda a, b: a > b), prefers(lambda a, b: b > a)
# The same of two operands, along each.
SLOPES_OF = {
    "remainder": (lambda a, b: X(1), lambda a, b: -mp.floor(a / b)),
    "fmod": (lambda a, b: X(1), lambda a, b: -mp.sign(a / b) * mp.floor(abs(a / b))),
    "floor_div": (flat, flat), "maximum": (FIRST, SECOND), "fmax": (FIRST, SECOND), "minimum": (SECOND, FIRST), "fmin": (SECOND, FIRST),
    "copysign": (lambda a, b: mp.sign(a) * mp.sign(b), flat), "heaviside": (flat, flat),
}


def slopes(name, f, count):
    """The derivative along each operand."""
    if name in SLOPE_OF:
        return [SLOPE_OF[name]]
    if name in SLOPES_OF:
        return SLOPES_OF[name]
    if count == 1:
        return [lambda x: mp.diff(f, x)]
    return [lambda a, b: mp.diff(lambda x: f(x, b), a), lambda a, b: mp.diff(lambda x: f(a, x), b)]


def cut(x, bits):
    """To this many significant bits."""
    m, e = np.frexp(x)
    return float(np.ldexp(np.round(m * 2.0**bits) / 2.0**bits, e))


def points(name, low, high):
    rng = random.Random(name)
    out = []
    for bits in (8, 24, 53):
        some = []
        while len(some) < EACH:
            if len(some) % 2:
                x = rng.uniform(low, high)
            else:
                x = 2.0 ** rng.uniform(-12, np.log2(max(abs(low), abs(high)))) * rng.choice((-1, 1))
            x = cut(x, bits)
            if low <= x <= high and abs(x) >= 2.0**-13:
                some.append(x)
        out += some
    return out


def main():
    pack = Pack()
    for name, (f, (low, high)) in [*ALL.items(), *TAILS.items()]:
        add(pack, name, f, [points(name, low, high)], {"low": low, "high": high})
    for name, (f, first, second) in TWO.items():
        seconds = points(name + " 2", *second)
        # Another order, so that the sizes of the two are not alike.
        seconds = [seconds[i // EACH * EACH + i * 37 % EACH] for i in range(len(seconds))]
        if name == "ldexp":
            seconds = [float(round(b)) for b in seconds]
        add(pack, name, f, [points(name, *first), seconds], {"low": first[0], "high": first[1], "second": list(second)})
    pack.write("accuracy.bin")


def parts(exact):
    """The nearest float64, and what is missing in its last place."""
    near = np.array([float(y) for y in exact])
    missing = [float((y - X(h)) / X(np.spacing(abs(h)))) if np.isfinite(h) else 0.0 for y, h in zip(exact, near)]
    return [near, np.array(missing).astype(np.float16)]


def add(pack, name, f, operands, args):
    all_points = list(zip(*operands))
    outputs = parts([f(*map(X, x)) for x in all_points])
    # A slope may be far smaller than its function.
    with mp.workdps(100):
        for slope in slopes(name, f, len(operands)):
            outputs += parts([slope(*map(X, x)) for i, x in enumerate(all_points) if i % EACH < SLOPES])
    pack.add("mpmath", name, [np.array(x) for x in operands], outputs, args)


main()
