"""The layers have the operators of real exports: what reads the ones reads the others."""

from collections import Counter

import numpy as np
import pytest
from examples.graphs.edge_nodes import EdgeNodes
from examples.graphs.networks import (
    LAYERS,
    Sizes,
    node_classifier,
    random_weights,
    weight_shapes,
)
from examples.graphs.onnx_writer import Writer

# One layer each, fixed shapes, PyTorch 2.13.0 (dynamo, opset 18) and PyTorch Geometric 2.8.1;
# SIR-GCN in plain PyTorch: indexing and index_add.
EXPORTED = {
    "sage_mean": (
        "Add ConstantOfShape*2 Div Expand*2 Gather*3 Gemm*2 Max Reshape*3 ScatterElements*2"
    ),
    "sage_max": ("Add ConstantOfShape*2 Expand Gather*3 Gemm*2 Reshape*2 ScatterElements*2"),
    "gin": ("Add ConstantOfShape Expand Gather*3 Gemm*2 Mul Relu Reshape*2 ScatterElements"),
    "gat": (
        "Add*2 ConstantOfShape*3 Div Exp Expand*2 Gather*7 Gemm LeakyRelu Mul*3 "
        "ReduceSum*2 Reshape*6 ScatterElements*4 Sub Unsqueeze"
    ),
    "gatv2": (
        "Add*2 ConstantOfShape*3 Div Exp Expand*2 Gather*6 Gemm*2 LeakyRelu Mul*2 "
        "ReduceSum Reshape*7 ScatterElements*4 Sub Unsqueeze"
    ),
    "edge_conditioned": (
        "Add*2 ConstantOfShape Expand Gather*3 Gemm*3 MatMul Relu Reshape*3 "
        "ScatterElements Squeeze Unsqueeze"
    ),
    "sir_gcn": ("Add GatherND*2 Gemm*3 Relu ScatterND Slice*2 Squeeze*2 Unsqueeze*2"),
}


@pytest.mark.parametrize("name", EXPORTED)
def test_a_layer_has_the_operators_of_its_export(name):
    layer, rng = LAYERS[name], np.random.default_rng(0)
    shapes = {f"layer.{key}": shape for key, shape in layer.shapes(5, 8, 2).items()}
    writer = Writer(random_weights(shapes, rng))
    style = "nd" if name == "sir_gcn" else "elements"
    edges = EdgeNodes(writer, 12, 40, extra=layer.edge_input, style=style)
    output = layer.nodes(writer, edges, "x", "layer")
    inputs = {"x": (12, 5), "edge_index": (2, 40), "edge_attr": (40, 3)}
    found = Counter(node.op_type for node in writer.model(inputs, output, (12, 8)).graph.node)
    expected = Counter({"Identity": 1})  # it only names the output
    for word in EXPORTED[name].split():
        op_type, _, count = word.partition("*")
        expected[op_type] = int(count or 1)
    assert found == expected


def test_self_loops_inside_are_found_once_at_run_time():
    sizes = Sizes(12, 40)
    weights = random_weights(weight_shapes("gcn", sizes), np.random.default_rng(0))
    model = node_classifier("gcn", weights, sizes, self_loops_inside=True)
    found = Counter(node.op_type for node in model.graph.node)
    # GCNConv twice: as many as in its export.
    assert (found["NonZero"], found["ScatterElements"], found["GatherND"]) == (1, 3, 3)
    assert (found["Gemm"], found["Pow"], found["Where"], found["Not"]) == (2, 1, 1, 1)
