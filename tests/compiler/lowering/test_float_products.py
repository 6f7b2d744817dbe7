"""Float layers multiply bfloat16 numbers where that is wished and the target can."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from octavo.compiler.importer import import_model
from octavo.compiler.lowering.lower import lower
from octavo.passes.prepare import prepare
from octavo.targets import get_target

DENSE = ("stem", "depthwise", "expand", "up", "head")


@pytest.fixture
def network(tmp_path):
    """A convolution, a depthwise one, 1x1, a transposed one, and a matrix product."""
    rng = np.random.default_rng(0)
    shapes = {"w0": (8, 3, 3, 3), "w1": (8, 1, 3, 3), "w2": (16, 8, 1, 1), "w3": (16, 4, 2, 2),
              "w4": (16, 5)}  # fmt: skip
    nodes = [
        helper.make_node("Conv", ["x", "w0"], ["a"], "stem", pads=[1, 1, 1, 1]),
        helper.make_node("Conv", ["a", "w1"], ["b"], "depthwise", group=8, pads=[1] * 4),
        helper.make_node("Conv", ["b", "w2"], ["c"], "expand"),
        helper.make_node("ConvTranspose", ["c", "w3"], ["d"], "up", strides=[2, 2]),
        helper.make_node("MatMul", ["d", "w4"], ["y"], "head"),
    ]
    graph = helper.make_graph(
        nodes, "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4, 16, 5])],
        [onnx.numpy_helper.from_array(rng.normal(size=s).astype(np.float32), n)
         for n, s in shapes.items()])  # fmt: skip
    path = tmp_path / "dense.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)]), path)
    model = import_model(path)
    prepare(model)
    return model


def placements(model, target, products):
    """Placements of the layers, by node."""
    steps = lower(model, get_target(target), products=products).steps
    return {step.nodes[0]: step.placement for step in steps if step.macs}


@pytest.mark.parametrize("target", ["x86-64-avx512bf16", "arm64-i8mm"])
def test_dense_layers_take_what_is_wished(network, target):
    found = placements(network, target, dict.fromkeys(DENSE, "bfloat16"))
    expected = dict.fromkeys(DENSE, "bfloat16") | {"depthwise": "float32"}
    assert found == expected


def test_a_wish_is_for_one_layer(network):
    found = placements(network, "x86-64-avx512bf16", {"expand": "bfloat16"})
    assert {name for name, placement in found.items() if placement == "bfloat16"} == {"expand"}


@pytest.mark.parametrize("target", ["x86-64-avx512vnni", "arm64-dotprod", "opencl"])
def test_a_target_without_such_products_stays_with_float32(network, target):
    found = placements(network, target, dict.fromkeys(DENSE, "bfloat16"))
    assert found == dict.fromkeys(DENSE, "float32")


def test_nothing_is_rounded_unasked(network):
    assert placements(network, "x86-64-avx512bf16", None) == dict.fromkeys(DENSE, "float32")
