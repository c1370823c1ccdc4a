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
from tensorboard import context
from tensorboard.backend.event_processing import data_provider, plugin_event_multiplexer
from tensorboard.plugins import base_plugin
from tensorboard.plugins.graph import graphs_plugin
from tensorboard.plugins.histogram import histograms_plugin, summary_v2
from tensorboard.plugins.scalar import scalars_plugin
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
    # What the page asks for: the three plugins give what they are to show.
    provider = data_provider.MultiplexerDataProvider(runs, logs)
    about = base_plugin.TBContext(data_provider=provider, logdir=logs)
    ctx = context.RequestContext()
    graphs = graphs_plugin.GraphsPlugin(about)
    assert graphs.info_impl(ctx, "")["train"]["run_graph"], graphs.info_impl(ctx, "")
    text, _ = graphs.graph_impl(ctx, "train", None, False, "", limit_attr_size=1024, large_attrs_key="_too_large_attrs")
    assert text.count("node {") == len(names), text[:500]
    page = histograms_plugin.HistogramsPlugin(about)
    shown, _ = page.histograms_impl(ctx, tag="dense/kernel/histogram", run="train", experiment="", downsample_to=50)
    assert [step for _, step, _ in shown] == [0, 1, 2] and len(shown[0][2]) == 30
    page = scalars_plugin.ScalarsPlugin(about)
    shown, _ = page.scalars_impl(ctx, "epoch_loss", "validation", "", scalars_plugin.OutputFormat.JSON)
    assert [step for _, step, _ in shown] == [0, 1, 2]
    print(f"TensorBoard reads {scalars} scalars of epochs, {len(batches)} of batches, {len(tags)} histograms, {len(names)} nodes of a graph")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        check(sys.argv[1])
    else:
        with tempfile.TemporaryDirectory() as logs:
            subprocess.run(TEST, check=True, env={**os.environ, "GRADUS_LOGS": logs}, stdout=subprocess.DEVNULL)
            check(logs)
