"""Rounding of operands, written down as casts."""

import ml_dtypes
import numpy as np
import onnx
import onnx_ir as ir
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from octavo.passes.round_to_bfloat16 import RoundToBfloat16


def network():
    """Two products, one after the other."""
    rng = np.random.default_rng(0)
    weights = {name: rng.normal(size=(6, 6)).astype(np.float32) for name in ("v", "w")}
    nodes = [helper.make_node("MatMul", ["x", "v"], ["a"], "first"),
             helper.make_node("MatMul", ["a", "w"], ["y"], "second")]  # fmt: skip
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes, "g", [value("x", TensorProto.FLOAT, [2, 6])],
        [value("y", TensorProto.FLOAT, [2, 6])],
        [onnx.numpy_helper.from_array(w, name) for name, w in weights.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)])
    return ir.serde.deserialize_model(model), weights


def rounded(values):
    return values.astype(ml_dtypes.bfloat16).astype(np.float32)


def test_operands_of_chosen_nodes_are_rounded():
    model, weights = network()
    assert RoundToBfloat16(["second"])(model).modified
    x = np.random.default_rng(1).normal(size=(2, 6)).astype(np.float32)
    (found,) = ReferenceEvaluator(ir.serde.serialize_model(model)).run(None, {"x": x})
    expected = rounded(x @ weights["v"]) @ rounded(weights["w"])
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)
    assert np.abs(found - x @ weights["v"] @ weights["w"]).max() > 1e-3


def test_other_operators_are_left_alone():
    model, _ = network()
    model.graph[0].op_type = "Add"
    assert not RoundToBfloat16(["first"])(model).modified
    assert len(model.graph) == 2
