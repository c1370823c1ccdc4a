"""Writes the files in `numpy/` with NumPy itself. Run: python numpy_files.py (NumPy 2). Element i in C order is i - 3."""

import pathlib
import numpy as np

OUT = pathlib.Path(__file__).parent / "numpy"


def counting(shape, dtype):
    n = int(np.prod(shape))
    if np.dtype(dtype).kind == "b":
        return (np.arange(n) % 3 == 0).reshape(shape)
    start = 0 if np.dtype(dtype).kind == "u" else -3
    return np.arange(start, start + n).reshape(shape).astype(dtype)


for dtype in ["<f2", "<f4", "<f8", "<i8", "<i4", "|i1", "|u1", "|b1"]:
    np.save(OUT / f"little-{dtype[1:]}.npy", counting((2, 3), dtype))
for dtype in [">f2", ">f4", ">f8", ">i8", ">i4", ">u2"]:
    np.save(OUT / f"big-{dtype[1:]}.npy", counting((2, 3), dtype))
for dtype in ["<i2", "<u4", "<u2"]:
    np.save(OUT / f"wider-{dtype[1:]}.npy", counting((2, 3), dtype))
np.save(OUT / "fortran-f4.npy", np.asfortranarray(counting((2, 3, 4), "<f4")))
np.save(OUT / "fortran-big-i8.npy", np.asfortranarray(counting((3, 2), ">i8")))
np.save(OUT / "scalar-f8.npy", np.float64(-3))
np.save(OUT / "vector-f4.npy", counting((7,), "<f4"))
np.save(OUT / "empty-f4.npy", counting((0, 5), "<f4"))
np.save(OUT / "long-f4.npy", counting((12, 1, 1, 2), "<f4"))
with open(OUT / "version2-f4.npy", "wb") as file:
    np.lib.format.write_array(file, counting((2, 3), "<f4"), version=(2, 0))
arrays = {"x": counting((2, 3), "<f4"), "labels": counting((4,), "<i8"), "große": counting((3,), "|b1")}
np.savez(OUT / "stored.npz", **arrays)
np.savez_compressed(OUT / "deflated.npz", **arrays)
# What has no counterpart.
np.save(OUT / "refused-c8.npy", np.zeros(2, "<c8"))
np.save(OUT / "refused-text.npy", np.array(["a", "bc"]))
np.save(OUT / "refused-record.npy", np.zeros(2, [("a", "<f4"), ("b", "<i8")]))
np.save(OUT / "refused-u8.npy", np.zeros(2, "<u8"))
