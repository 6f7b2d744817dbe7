"""Attention scores by products: the same numbers by one operator each."""

from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

from octavo.compiler.importer import import_model
from octavo.passes.message_passing.find import recognize
from octavo.passes.multiply_scores import MultiplyScores
from octavo.passes.prepare import prepare

GRAPHS = Path(__file__).parents[2] / "examples" / "graphs"


def sample(model: ir.Model) -> dict[str, np.ndarray]:
    arrays = np.load(GRAPHS / "test_loops.npz")
    return {v.name: arrays[v.name][0] for v in model.graph.inputs}


@pytest.mark.parametrize(("name", "count"), [("gat", 4), ("gatv2", 2)])
def test_every_head_is_a_column_of_one_product(name, count, run):
    model = import_model(GRAPHS / f"{name}.onnx")
    before = run(model, **sample(model))["logits"]
    assert MultiplyScores()(model).modified
    op_types = [node.op_type for node in model.graph]
    assert "ReduceSum" not in op_types
    assert op_types.count("MatMul") == count
    # Sums of sixteen products of size one in another order.
    assert np.abs(run(model, **sample(model))["logits"] - before).max() < 1e-5
    assert not MultiplyScores()(model).modified
    assert [p.softmax is not None for p in recognize(model.graph).passings] == [True, True]


def test_scores_read_what_was_split_into_heads(body):
    model = import_model(GRAPHS / "gat.onnx")
    MultiplyScores()(model)
    products = [node for node in model.graph if node.op_type == "MatMul"]
    assert [node.inputs[0].producer().op_type for node in products] == ["Gemm"] * 4
    blocks = products[0].inputs[1].const_value.numpy()
    source = next(v for v in model.graph.initializers.values() if v.name == "layer1.att_src")
    for head in range(4):
        column = blocks[:, head].reshape(4, 4)
        np.testing.assert_array_equal(column[head], source.const_value.numpy()[0, head])
        assert not np.delete(column, head, axis=0).any()


def test_other_sums_of_products_stay():
    model = import_model(GRAPHS / "gcn.onnx")
    assert not MultiplyScores()(model).modified


def test_a_gather_that_scores_read_too_is_one_for_each():
    model = prepare(import_model(GRAPHS / "gatv2.onnx"))
    gathers = [n for n in model.graph if n.op_type == "Gather" and "inside" in (n.name or "")]
    assert len(gathers) == 2  # of both layers: messages and scores read the same rows
    for node in gathers:
        assert [use.node.op_type for use in node.outputs[0].uses()] == ["Mul"]
    assert prepare(model).graph.num_nodes() == model.graph.num_nodes()
