"""Checks the ONNX column of docs/ops.md against the operators that the onnx package defines."""

import pathlib
import re

import onnx.defs

known = {s.name for s in onnx.defs.get_all_schemas()}
page = (pathlib.Path(__file__).parents[2] / "docs" / "ops.md").read_text()
rows = re.findall(r"^\| `(\w+)` \| [^|]*\| (?:every order|none) \| (\w*) \|$", page, re.M)
wrong = [(name, op) for name, op in rows if op and op not in known]
assert len(rows) > 200, len(rows)
assert not wrong, wrong
print(sum(1 for _, op in rows if op), "names of", len(known), "operators of onnx", onnx.__version__)
