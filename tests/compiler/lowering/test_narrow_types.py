"""Models of others with weights and activations of 2 and 4 bits, beside onnxruntime."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper

from octavo.compiler.compile import compile_model
from octavo.compiler.importer import import_model
from octavo.compiler.session import load

ROWS, INPUTS, OUTPUTS = 4, 32, 8
RANGES = {"INT2": (-2, 1), "UINT2": (0, 3), "INT4": (-8, 7), "UINT4": (0, 15)}
MIDDLE = {"INT2": 0, "UINT2": 2, "INT4": 0, "UINT4": 8, "UINT8": 128, "INT8": 0}


def write_model(path, weight_type, activation_type, block_size=0):
    """x -> Q -> DQ -> MatMul -> Relu -> Q -> DQ, the weight per channel or in blocks."""
    rng = np.random.default_rng(7)
    low, high = RANGES[weight_type]
    shape = (INPUTS // block_size, OUTPUTS) if block_size else (OUTPUTS,)
    zeros = np.full(shape, MIDDLE[weight_type])

    def tensor(name, kind, array):
        flat = np.asarray(array).reshape(-1)
        return helper.make_tensor(name, getattr(TensorProto, kind), np.shape(array), flat)

    initializers = [
        tensor("w", weight_type, rng.integers(low, high + 1, (INPUTS, OUTPUTS))),
        tensor("ws", "FLOAT", rng.uniform(0.01, 0.1, shape)),
        tensor("wz", weight_type, zeros),
        tensor("xs", "FLOAT", 0.1),
        tensor("ys", "FLOAT", 0.05),
        tensor("z", activation_type, MIDDLE[activation_type]),
    ]
    layout = {"axis": 0, "block_size": block_size} if block_size else {"axis": 1}
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "xs", "z"], ["xq"]),
        helper.make_node("DequantizeLinear", ["xq", "xs", "z"], ["xd"]),
        helper.make_node("DequantizeLinear", ["w", "ws", "wz"], ["wd"], **layout),
        helper.make_node("MatMul", ["xd", "wd"], ["m"]),
        helper.make_node("Relu", ["m"], ["r"]),
        helper.make_node("QuantizeLinear", ["r", "ys", "z"], ["rq"]),
        helper.make_node("DequantizeLinear", ["rq", "ys", "z"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [ROWS, INPUTS])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [ROWS, OUTPUTS])],
        initializers,
    )
    two_bits = "2" in weight_type + activation_type
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", 25 if two_bits else 21)],
        ir_version=13 if two_bits else 10,
    )
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def reference(path, x):
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    (result,) = ort.InferenceSession(path, options).run(None, {"x": x})
    return result


CASES = {
    "int4_weight": ("INT4", "UINT8", 0),
    "int2_weight": ("INT2", "INT8", 0),
    "all_uint4": ("UINT4", "UINT4", 0),
    "all_int2": ("INT2", "INT2", 0),
    "int4_blocks": ("INT4", "UINT8", 16),
    "uint2_blocks": ("UINT2", "INT4", 16),
}


@pytest.mark.parametrize("case", CASES)
def test_narrow_types_match_onnxruntime(tmp_path, case):
    weight_type, activation_type, block_size = CASES[case]
    path = tmp_path / "m.onnx"
    write_model(path, weight_type, activation_type, block_size)
    result = compile_model(path, "host", tmp_path / "artifact")
    # Far outside of the range of narrow types, so that they saturate at both ends.
    x = np.random.default_rng(8).normal(0, 4, (ROWS, INPUTS)).astype(np.float32)
    expected = reference(path, x)
    # Sums of at most 32 products of small integers: a tie of the last rounding may differ.
    ours = load(tmp_path / "artifact").run({"x": x})["y"]
    apart = np.abs(ours - expected) / 0.05
    assert apart.max() <= 1.001
    assert (apart > 0.5).mean() <= 0.01
    # The model's input is cut off in integers, after it was rounded.
    if not block_size:
        assert {s["placement"] for s in result.manifest["steps"]} == {"int8"}
    products = [s for s in result.manifest["steps"] if "MatMul" in s["op_types"]]
    assert [s["placement"] for s in products] == ["float32" if block_size else "int8"]
    if block_size:
        assert "a scale for each block" in products[0]["reason"]


def test_two_bits_are_widened_on_import(tmp_path):
    write_model(tmp_path / "m.onnx", "INT2", "UINT2")
    model = import_model(tmp_path / "m.onnx")
    types = {v.dtype.name for v in model.graph.initializers.values()}
    assert types <= {"FLOAT", "INT8", "UINT8"}
    (first, _) = (node for node in model.graph if node.op_type == "Clip")
    limits = [float(value.const_value.numpy()) for value in first.inputs[1:]]
    np.testing.assert_allclose(limits, [-0.2, 0.1], rtol=1e-6)
