"""Runs what tests/all/onnx_files.rs wrote in ONNX Runtime, and compares with what gradus predicted.

Each folder has a model and files of inputs (x.NAME) and results (y.NAME). Every model passes onnx's full check, and every result is
within 1e-5 of gradus's, relative to the largest of the tensor where that is above 1.
"""

import pathlib
import sys
import warnings

import numpy as np
import onnx
import onnxruntime

TOLERANCE = 1e-5

def main(folder):
    warnings.filterwarnings("ignore")
    onnxruntime.set_default_logger_severity(4)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    worst, models, runs, failures = (0.0, ""), 0, 0, []
    for case in sorted(p for p in pathlib.Path(folder).iterdir() if (p / "model.onnx").exists()):
        name = (case / "name.txt").read_text()
        models += 1
        try:
            path = str(case / "model.onnx")
            onnx.checker.check_model(path, full_check=True)
            session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
            for file in sorted(case.glob("*.npz")):
                arrays = np.load(file)
                given = {k[2:]: arrays[k] for k in arrays if k.startswith("x.")}
                known = {i.name for i in session.get_inputs()}
                given = {k: v for k, v in given.items() if k in known}
                for output, got in zip(session.get_outputs(), session.run(None, given)):
                    want = arrays["y." + output.name] if "y." + output.name in arrays else None
                    if want is None:
                        raise ValueError(f"gradus has no output {output.name}")
                    if got.shape != want.shape or got.dtype != want.dtype:
                        raise ValueError(f"{output.name}: {got.dtype} {got.shape}, not {want.dtype} {want.shape}")
                    if got.size == 0:
                        continue
                    if got.dtype.kind == "f":
                        odd = ~np.isfinite(want)
                        if not np.array_equal(got[odd], want[odd], equal_nan=True):
                            raise ValueError(f"{output.name}: infinities differ")
                        got, want = got[~odd], want[~odd]
                    got, want = got.astype(np.float64), want.astype(np.float64)
                    error = np.abs(got - want).max(initial=0) / max(1.0, np.abs(want).max(initial=0))
                    if not error <= TOLERANCE:
                        raise ValueError(f"{output.name}: off by {error:.3g}")
                    worst = max(worst, (error, name))
                runs += 1
        except Exception as e:  # each case is reported
            failures.append(f"{name}: {str(e).strip()[:600]}")
    for failure in failures:
        print("FAILED", failure)
    print(f"{models} models, {runs} runs, {len(failures)} failures; largest difference {worst[0]:.3g} ({worst[1]})")
    return 1 if failures or not models else 0

sys.exit(main(sys.argv[1]))
