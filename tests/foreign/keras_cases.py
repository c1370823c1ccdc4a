"""Cases of transforms, collections by index and images from Keras (on JAX, in float64), NumPy and SciPy, which compute
what is expected. Writes pack/keras.json; `tests/all/foreign_keras.rs` replays it."""

import json
import os
import pathlib

os.environ["KERAS_BACKEND"] = "jax"
os.environ["JAX_ENABLE_X64"] = "1"

import keras  # noqa: E402
import numpy as np  # noqa: E402
import scipy.linalg  # noqa: E402
import scipy.stats  # noqa: E402

keras.backend.set_floatx("float64")
ops, image = keras.ops, keras.ops.image
rng = np.random.default_rng(16)
cases = []


def value(v):
    v = float(v)
    return v if np.isfinite(v) else ("nan" if v != v else ("inf" if v > 0 else "-inf"))


def tensor(a):
    a = np.asarray(a)
    kind = {"f": "f64", "i": "i64", "b": "bool", "u": "i64"}[a.dtype.kind]
    return {"shape": list(a.shape), "dtype": kind, "data": [value(v) for v in a.ravel()]}


def case(op, inputs, outputs, **args):
    outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
    inputs = [tensor(x) for x in inputs]
    cases.append({"op": op, "args": args, "inputs": inputs, "outputs": [tensor(y) for y in outputs]})


# Fourier transforms: all kinds of factors, and primes.
for n in (1, 2, 3, 4, 5, 7, 8, 12, 17, 25, 26, 31, 34, 49, 64, 97):
    x, y = rng.normal(size=(2, 2, n))
    case("fft", [x, y], ops.fft((x, y)))
    z = np.fft.ifft(x + 1j * y)
    case("ifft", [x, y], [z.real, z.imag])
    case("rfft", [x], ops.rfft(x))
    re, im = ops.rfft(x)
    case("irfft", [re, im], ops.irfft((re, im), n), n=n)
for n in (3, 6, 9, 20):
    x = rng.normal(size=(8,))
    case("rfft", [x], ops.rfft(x, n), n=n)
    case("irfft", [x, x[::-1]], ops.irfft((x, x[::-1]), n), n=n)
x, y = rng.normal(size=(2, 3, 4, 6))
case("fft2", [x, y], ops.fft2((x, y)))
case("ifft2", [x, y], ops.ifft2((x, y)))
signal = rng.normal(size=(2, 61))
own = rng.uniform(0.5, 1.5, size=8)
for length, stride, size in ((8, 4, 8), (8, 3, 12), (5, 5, 8), (8, 2, 9)):
    for window in ("hann", "hamming", None, own):
        for center in (True, False):
            if window is own and length != 8:
                continue
            name = "given" if window is own else (window or "ones")
            settings = dict(length=length, stride=stride, size=size, window=name, center=center)
            more = [own] if window is own else []
            parts = ops.stft(signal, length, stride, size, window, center)
            case("stft", [signal, *more], parts, **settings)
            if window is not None:
                for n in (None, 40):
                    back = ops.istft(parts, length, stride, size, n, window, center)
                    case("istft", [*parts, *more], back, n=n, **settings)
for length, stride in ((4, 2), (5, 3), (61, 1)):
    got = ops.extract_sequences(signal, length, stride)
    case("extract_sequences", [signal], got, length=length, stride=stride)

# Collections by index.
rows, ids = rng.normal(size=(9, 2)), rng.integers(0, 4, 9)
whole = rng.integers(-9, 9, size=(9, 2))
for op in ("segment_sum", "segment_max", "segment_min", "segment_prod"):
    case(op, [rows, ids], getattr(ops, op)(rows, ids, 6), n=6)
for op in ("segment_max", "segment_min"):
    case(op, [whole, ids], getattr(ops, op)(whole, ids, 4), n=4)
spots, values = rng.permuted(np.tile(np.arange(9), (2, 1)), axis=1)[:, :4], rng.normal(size=(2, 4))
for name, how in (("put", None), ("add", np.add), ("mul", np.multiply), ("max", np.maximum), ("min", np.minimum)):
    a = rows.T.copy()
    if how is None:
        np.put_along_axis(a, spots, values, 1)
        case("put_along_axis", [rows.T, spots, values], a)
        continue
    many = rng.integers(0, 9, size=(2, 7))
    more = rng.normal(size=(2, 7))
    how.at(a, (np.arange(2)[:, None], many), more)
    case("scatter_along_axis", [rows.T, many, more], a, how=name)
steps = rng.integers(0, 5, size=(3, 8)).astype(float)
for axis in (0, 1):
    case("cummax", [steps], np.maximum.accumulate(steps, axis), axis=axis)
    case("cummin", [steps], np.minimum.accumulate(steps, axis), axis=axis)
    case("mode", [steps], list(scipy.stats.mode(steps, axis)), axis=axis)
odd = np.array([0.0, -0.0, 1.0, -3.7, 5e-324, 1e-310, 1e300, np.inf, -np.inf, np.nan])
case("frexp", [odd], list(np.frexp(odd)))
case("is_posinf", [odd], np.isposinf(odd))
case("is_neginf", [odd], np.isneginf(odd))
for k in (-2, 0, 1):
    stack = np.stack([np.diag(v, k) for v in rows[:3]])
    case("diag_embed", [rows[:3]], stack, k=k)
case("multi_hot", [ids.reshape(3, 3)], ops.multi_hot(ids.reshape(3, 3), 5), n=5)
a, b = rng.normal(size=7), rng.normal(size=3)
for mode in ("valid", "same", "full"):
    case("correlate", [a, b], np.correlate(a, b, mode), mode=mode)
case("correlate", [b, a], np.correlate(b, a), mode="valid")

# Factors.
for n in (1, 3, 6):
    m = rng.normal(size=(2, n, n))
    lu, pivots = zip(*(scipy.linalg.lu_factor(x) for x in m))
    case("lu_factor", [m], [np.stack(lu), np.stack(pivots).astype(np.int64)])
    parts = [scipy.linalg.lu(x, p_indices=True) for x in m]  # of A = L[p]·U, of which ours is the inverse
    case("lu", [m], [np.stack([np.argsort(p) for p, _, _ in parts]), *(np.stack([p[i] for p in parts]) for i in (1, 2))])
    factor = np.linalg.cholesky(m @ m.transpose(0, 2, 1) + np.eye(n))
    case("cholesky_inverse", [factor], np.linalg.inv(factor @ factor.transpose(0, 2, 1)))

# Windows of images.
first = rng.normal(size=(2, 3, 5, 6))
for kernel, dilation, padding, stride in (((2, 2), (1, 1), (0, 0), (1, 1)), ((3, 2), (1, 2), (1, 0), (2, 1))):
    settings = dict(kernel=list(kernel), dilation=list(dilation), padding=list(padding), stride=list(stride))
    cut = ops.unfold(first, kernel, dilation, padding, stride)
    case("unfold", [first], cut, **settings)
    if stride == (1, 1):
        case("fold", [cut], ops.fold(cut, (5, 6), kernel, dilation, padding, stride), out=[5, 6], **settings)
images = rng.uniform(size=(2, 5, 6, 3))
for size, strides, dilation, padding in ((2, 2, 1, "valid"), (3, 1, 1, "same"), (2, 1, 2, "valid")):
    got = image.extract_patches(images, size, strides, dilation, padding)
    case("extract_patches", [images], got, size=[size] * 2, strides=[strides] * 2, dilation=[dilation] * 2, padding=padding)
volume = rng.uniform(size=(1, 4, 4, 4, 2))
case("extract_patches", [volume], image.extract_patches(volume, (2, 2, 2), (2, 2, 2)), size=[2] * 3, strides=[2] * 3, dilation=[1] * 3, padding="valid")

# Images.
gray = np.repeat(images[..., :1], 3, -1)
colours = np.concatenate([images, gray, np.zeros((1, 5, 6, 3)), np.round(rng.uniform(size=(2, 5, 6, 3)))])
for op in ("rgb_to_grayscale", "rgb_to_hsv", "hsv_to_rgb"):
    case(op, [colours], getattr(image, op)(colours))
case("hsv_to_rgb", [images * 3 - 1], image.hsv_to_rgb(images * 3 - 1))
case("crop_images", [images], image.crop_images(images, 1, 2, target_height=3, target_width=4), at=[1, 2, 3, 4])
case("pad_images", [images[0]], image.pad_images(images[0], 1, 2, target_height=9, target_width=8), at=[1, 2, 9, 8])
for size, sigma in (((3, 3), (1.0, 1.0)), ((5, 3), (0.8, 2.0)), ((4, 2), (1.5, 1.0))):
    case("gaussian_blur", [images], image.gaussian_blur(images, size, sigma, "channels_last"), size=list(size), sigma=list(sigma))
case("sobel_edges", [images], image.sobel_edges(images))
large = rng.uniform(size=(2, 13, 12, 2))
case("ssim", [large, large * 0.9 + 0.05], image.ssim(large, large * 0.9 + 0.05, 1.0))
grid = rng.normal(size=(4, 5))
where = np.stack([rng.uniform(-9, 13, size=(3, 7)), rng.uniform(-11, 16, size=(3, 7))])
where[:, 0, :4] = [[0.5, 1.5, -0.5, 3.5], [2.5, 4.5, -1.5, 0.0]]
transforms = np.array([[0.9, 0.2, 0.3, -0.1, 1.1, -0.6, 0, 0], [1.3, -0.5, 2.0, 0.4, 0.7, -3.0, 0, 0]])
for order in (0, 1):
    for mode in ("constant", "nearest", "wrap", "mirror", "reflect"):
        settings = dict(order=order, mode=mode, fill=0.25)
        case("map_coordinates", [grid, where], ops.image.map_coordinates(grid, where, order, mode, 0.25), **settings)
        kind = ("nearest", "bilinear")[order]
        got = image.affine_transform(images, transforms, kind, mode, 0.25)
        case("affine_transform", [images, transforms], got, **settings)
start = np.stack([np.array([[0.0, 0.0], [5.0, 0.5], [0.5, 4.0], [5.0, 4.0]])] * 2)
end = np.stack([np.array([[1.0, 0.5], [4.0, 0.0], [0.0, 3.0], [5.0, 4.5]])] * 2)
for order in (0, 1):
    got = image.perspective_transform(images, start, end, ("nearest", "bilinear")[order], 0.5)
    case("perspective_transform", [images, start, end], got, order=order, fill=0.5)
for method in ("bilinear", "bicubic", "lanczos3", "lanczos5"):
    for antialias in (True, False):
        for out, dims, scale, shift in (
            ((2, 7, 4, 3), (1, 2), (1.4, 0.7), (0.3, -0.2)),
            ((2, 3, 9, 3), (2, 1), (1.5, 0.4), (1.2, 0.6)),
            ((2, 6, 6, 3), (1,), (0.1,), (2.5,)),
        ):
            shape = tuple(o if i in dims else n for i, (o, n) in enumerate(zip(out, images.shape)))
            scale, shift = np.array(scale), np.array(shift)
            got = image.scale_and_translate(images, shape, scale, shift, dims, method, antialias)
            case("scale_and_translate", [images, scale, shift], got, out=list(shape), dims=list(dims), method=method, antialias=antialias)

for padding, strides, dilation in (("valid", 1, 1), ("same", 2, 1), ("same", 1, 2)):
    x, depthwise, pointwise = rng.normal(size=(2, 7, 6, 3)), rng.normal(size=(3, 2, 3, 2)), rng.normal(size=(1, 1, 6, 4))
    y = ops.separable_conv(x, depthwise, pointwise, strides, padding, "channels_last", dilation)
    case("separable_conv", [x, depthwise, pointwise], y, padding=padding, strides=[strides] * 2, dilation=[dilation] * 2)
x, scale = rng.normal(size=(3, 4, 5)), rng.normal(size=(5,))
case("rms_normalization", [x], ops.rms_normalization(x, axis=-1, epsilon=1e-3), axes=[-1], epsilon=1e-3)
case("rms_normalization", [x, scale], ops.rms_normalization(x, scale, -1, 1e-3), axes=[-1], epsilon=1e-3)
scale = rng.normal(size=(4, 5))
case("rms_normalization", [x, scale], ops.rms_normalization(x, scale, (1, 2), 1e-3), axes=[1, 2], epsilon=1e-3)

path = pathlib.Path(__file__).parent / "pack" / "keras.json"
path.write_text('{"cases":[\n' + ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases) + "\n]}\n")
print(len(cases), "cases of", len({c["op"] for c in cases}), "operations,", path.stat().st_size, "bytes")
