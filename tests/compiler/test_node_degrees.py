"""Degrees of the nodes of calibration samples: given, stored, counted."""

from pathlib import Path

import numpy as np
import onnx_ir as ir

from octavo.compiler.calibration.node_degrees import NodeDegrees
from octavo.compiler.importer import import_model
from octavo.passes.message_passing.counts import Count, declare_counts

GRAPHS = Path(__file__).parents[2] / "examples" / "graphs"
EDGES = np.array([[0, 1, 2, 3], [1, 1, 0, -1]])


def network() -> ir.Model:
    return import_model(GRAPHS / "gin.onnx")


def sample(edges: np.ndarray) -> dict[str, np.ndarray]:
    """The trained network has 3,000 edges: the rest end at node 299."""
    padded = np.full((2, 3000), 299)
    padded[:, : edges.shape[1]] = edges
    return {"edge_index": padded}


def test_given_edges_are_counted_where_they_end():
    degrees = NodeDegrees.of(network().graph)
    assert [value.name for value in degrees.origins] == ["edge_index"]
    found = degrees.count(sample(EDGES))[300]
    assert found[:3].tolist() == [1, 2, 0]
    assert found[299] == 2997  # -1 counts from the last node
    assert found.sum() == 3000


def test_numbers_out_of_range_are_no_edges():
    degrees = NodeDegrees.of(network().graph)
    assert degrees.count(sample(np.array([[0], [300]])))[300].sum() == 2999


def test_what_lies_behind_the_count_is_no_edge():
    model = network()
    value = ir.val("edges", ir.DataType.INT64, [1])
    model.graph.inputs.append(value)
    declare_counts(model.graph, (Count("edges", "edges", 3000, {"edge_index": 1}),))
    degrees = NodeDegrees.of(model.graph)
    found = degrees.count({**sample(EDGES), "edges": np.array([3])})[300]
    assert found[:3].tolist() == [1, 2, 0]
    assert found.sum() == 3


def test_a_stored_graph_needs_no_sample():
    degrees = NodeDegrees.of(import_model(GRAPHS / "karate_gcn.onnx").graph)
    assert degrees.origins == ()
    found = degrees.count({})[34]
    assert found.max() == 18  # the instructor and the officer have 17 and 16 friends
    assert found.min() == 2


def test_only_features_of_nodes_have_degrees():
    model = network()
    degrees = NodeDegrees.of(model.graph)
    sizes = {value.name: degrees.size_of(value) for value in model.graph.inputs}
    assert sizes == {"x": 300, "edge_index": None}
