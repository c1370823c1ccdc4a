"""Has TensorBoard itself read what the callback writes: scalars, histograms and the graph.

    python tests/interop/read_tensorboard.py [FOLDER]

Without a folder it runs the ignored test `tensorboard::files_for_tensorboard`, which trains a small network with the callback.
"""

import json
import os
import subprocess
import sys
import tempfile

import numpy as np
from tensorboard.backend.event_processing import event_accumulator, plugin_event_multiplexer
from tensorboard.compat.proto import graph_pb2
from tensorboard.plugins.graph import graph_util
from tensorboard.plugins.histogram import summary_v2
from tensorboard.util import tensor_util

TEST = ["cargo", "test", "--locked", "--all-features", "--test", "all", "--", "--ignored", "--exact", "tensorboard::files_for_tensorboard"]


def check(logs):
    with open(os.path.join(logs, "expected.json"), encoding="utf-8") as f:
        expected = json.load(f)
    runs = plugin_event_multiplexer.EventMultiplexer(tensor_size_guidance={"histograms": 0, "scalars": 0})
    runs.AddRunsFromDirectory(logs)
    runs.Reload()
    assert set(runs.Runs()) == {"train", "validation"}, runs.Runs()

    def tensors(run, tag):
        return [(e.step, tensor_util.make_ndarray(e.tensor_proto)) for e in runs.Tensors(run, tag)]

    scalars = 0
    for run, names in [("train", ["loss", "accuracy"]), ("validation", ["val_loss", "val_accuracy"])]:
        assert runs.PluginRunToTagToContent("scalars")[run], run
        for name in names:
            got = tensors(run, "epoch_" + name.removeprefix("val_"))
            want = [(i, np.float32(v)) for i, v in enumerate(expected["history"][name])]
            assert [(s, v[()]) for s, v in got] == want, (name, got, want)
            scalars += len(got)
    batches = tensors("train", "batch_loss")
    assert [s for s, _ in batches] == [2, 4, 6, 8, 10, 12], batches

    # The plugin finds the histograms, and after the last epoch they are those that TensorBoard makes of the same weights.
    tags = runs.PluginRunToTagToContent("histograms")["train"]
    assert set(tags) == {p + "/histogram" for p in expected["params"]}, tags
    for path, values in expected["params"].items():
        got = tensors("train", path + "/histogram")
        assert [s for s, _ in got] == [0, 1, 2]
        values = np.array(values, np.float32).astype(np.float64)
        want = tensor_util.make_ndarray(summary_v2.histogram_pb("h", values).value[0].tensor)
        np.testing.assert_allclose(got[-1][1][:, :2], want[:, :2], rtol=1e-12, atol=1e-15)
        np.testing.assert_array_equal(got[-1][1][:, 2], want[:, 2])

    # The graph parses, and its nodes are complete.
    train = runs.GetAccumulator("train")
    graph = train.Graph()
    assert isinstance(graph, graph_pb2.GraphDef) or graph.node
    names = [n.name for n in graph.node]
    assert len(set(names)) == len(names)
    for i, node in enumerate(graph.node):
        assert "_output_shapes" in node.attr, node.name
        for source in node.input:
            assert source.split(":")[0] in names[:i], (node.name, source)
    ops = {n.name: n.op for n in graph.node}
    assert ops["dense/kernel"] == "Parameter" and "softmax" in ops.values(), ops
    shapes = {n.name: [[d.size for d in s.dim] for s in n.attr["_output_shapes"].list.shape] for n in graph.node}
    assert shapes["dense/kernel"] == [[5, 2]], shapes["dense/kernel"]
    # What its own tools for graphs do with it: two of them are one.
    assert len(graph_util.merge_graph_defs([graph, graph]).node) == len(names)
    # Every record of the files is whole: the reader of events stops at the first that is not.
    for run in ["train", "validation"]:
        folder = os.path.join(logs, run)
        event_accumulator.EventAccumulator(folder).Reload()
    print(f"TensorBoard reads {scalars} scalars of epochs, {len(batches)} of batches, {len(tags)} histograms, {len(names)} nodes of a graph")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        check(sys.argv[1])
    else:
        with tempfile.TemporaryDirectory() as logs:
            subprocess.run(TEST, check=True, env={**os.environ, "GRADUS_LOGS": logs}, stdout=subprocess.DEVNULL)
            check(logs)
