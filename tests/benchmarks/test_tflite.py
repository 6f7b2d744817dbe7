"""The converter to TensorFlow Lite computes what ONNX Runtime computes."""

import numpy as np
import onnx
import pytest
from benchmarks.peers.onnxruntime_runner import OnnxRuntimeModel
from benchmarks.zoo.builder import GraphBuilder
from benchmarks.zoo.registry import find_entry

pytest.importorskip("ai_edge_litert")
from benchmarks.peers.litert_runner import LiteRtModel
from benchmarks.peers.tflite.convert import convert
from benchmarks.peers.tflite.graph import UnsupportedError

# Both compute in float32, in another order: some rounding errors of 2**-24 after a few layers.
TOLERANCE = 1e-4


def assert_converts(model, x, tmp_path, **options):
    onnx.save(model, tmp_path / "model.onnx")
    (tmp_path / "model.tflite").write_bytes(convert(model, **options))
    program = LiteRtModel(tmp_path / "model.tflite")
    # Twice: states start from zero in every run.
    for _ in range(2):
        actual = program.run(x)
        for name, value in OnnxRuntimeModel(tmp_path / "model.onnx").run(x).items():
            np.testing.assert_allclose(
                actual[name], value, rtol=TOLERANCE, atol=TOLERANCE * np.abs(value).max()
            )


@pytest.mark.parametrize(
    "name",
    ["mobilenet_v2", "mobilenet_v3_large", "resnet18", "efficientnet_lite0", "vit_tiny"],
)
def test_images(name, tmp_path):
    entry = find_entry(name)
    (x,) = entry.samples(1, input_size=64)
    assert_converts(entry.build(input_size=64), x, tmp_path)


@pytest.mark.parametrize("unroll", [True, False])
def test_lstm(unroll, tmp_path):
    entry = find_entry("lstm")
    (x,) = entry.samples(1)
    assert_converts(entry.build(), x, tmp_path, unroll=unroll)


def test_a_product_takes_its_transposed_operand_as_it_was(tmp_path):
    g = GraphBuilder("product")
    left, right = g.input("left", (1, 3, 5)), g.input("right", (1, 4, 5))
    product = g.node("MatMul", left, g.node("Transpose", right, perm=[0, 2, 1]))
    shape = {"left": (1, 3, 5), "right": (1, 4, 5)}
    rng = np.random.default_rng(0)
    x = {k: rng.standard_normal(v, dtype=np.float32) for k, v in shape.items()}
    assert_converts(g.finish(y=product), x, tmp_path)


def test_what_is_not_converted_is_named():
    g = GraphBuilder("odd")
    with pytest.raises(UnsupportedError, match="Cos"):
        convert(g.finish(y=g.node("Cos", g.input("x", (1, 4)))))


def test_padding_of_a_pool_over_negative_values_is_refused():
    g = GraphBuilder("pool")
    pool = g.pool("MaxPool", g.input("x", (1, 2, 8, 8)), 3, 2, 1)
    with pytest.raises(UnsupportedError, match="negative"):
        convert(g.finish(y=pool))
