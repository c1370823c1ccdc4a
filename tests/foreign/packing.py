"""Cases of an operation, as the packs of other programs' suites hold them: which of our operations, with which arguments and
tensors, and what comes out.

A pack is 8 bytes with the length of a header, the header (JSON: the list of cases), the numbers. A tensor in the header is its
element type, shape and place among the numbers; equal tensors have one place. `tests/all/foreign_suites.rs` reads it.
"""

import json
import pathlib
import re
import struct

import numpy as np

HERE = pathlib.Path(__file__).parent
TYPES = {"float64": "f64", "float32": "f32", "int64": "i64", "int32": "i32", "int8": "i8", "uint8": "u8", "bool": "bool", "float16": "f16", "bfloat16": "bf16"}

# The element types that each operation takes, from docs/ops.md.
ALL = set(TYPES.values())
INTEGERS = {"i64", "i32", "i8", "u8"}
TAKES = {
    "": set(), "any": ALL, "bool": {"bool"}, "integers": INTEGERS, "float32, float64": {"f32", "f64"},
    "float32, float64, integers": {"f32", "f64"} | INTEGERS, "float32, float64, integers, bool": ALL,
}
PAGE = (HERE.parents[1] / "docs" / "ops.md").read_text()
ROWS = re.findall(r"^\| `(\w+)` \| ([^|]*) \| (every order|none) \| (\w*) \|$", PAGE, re.M)
OURS = {name: (TAKES[types.strip()], gradient != "none", onnx) for name, types, gradient, onnx in ROWS}
assert len(OURS) > 200, len(OURS)


def plain(value):
    """As JSON has it: infinities and NaN are strings."""
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, (bool, np.bool_)) or value is None or isinstance(value, str):
        return value if not isinstance(value, np.bool_) else bool(value)
    if isinstance(value, (int, np.integer)):
        return int(value)
    value = float(value)
    return value if value == value and abs(value) != float("inf") else str(value)


class Pack:
    def __init__(self):
        self.cases, self.numbers, self.places = [], bytearray(), {}

    def tensor(self, array):
        array = np.asarray(array)
        kind = TYPES[array.dtype.name]
        # A NaN is a NaN.
        data = array.tobytes()
        place = self.places.get((kind, data))
        if place is None:
            place = self.places[(kind, data)] = len(self.numbers)
            self.numbers += data
        return [kind, list(array.shape), place]

    def add(self, source, op, inputs, outputs, args, gradients=None):
        """A case; `gradients` has one for each input, or None where none flows."""
        case = {"from": source, "op": op, "in": [self.tensor(x) for x in inputs], "out": [self.tensor(y) for y in outputs]}
        if args:
            case["args"] = {k: plain(v) for k, v in args.items()}
        if gradients is not None:
            case["grad"] = [None if g is None else self.tensor(g) for g in gradients]
        self.cases.append(case)

    def write(self, name):
        lines = ",\n".join(json.dumps(c, separators=(",", ":")) for c in self.cases)
        header = f"[\n{lines}\n]\n".encode()
        path = HERE / "pack" / name
        path.write_bytes(struct.pack("<Q", len(header)) + header + self.numbers)
        print(f"{len(self.cases)} cases of {len({c['op'] for c in self.cases})} operations, {path.stat().st_size} bytes: {name}")


def cotangents(n):
    """What flows into the elements of an output; `tests/all/foreign_suites.rs` computes the same."""
    return ((np.arange(n, dtype=np.int64) * 7919 + 13) % 97) / 97 + 0.5
