"""Aggregations as steps of an artifact: wrong edges are an error of one run."""

import numpy as np
import pytest
from tests.targets.graphs import edge_list, operands

import octavo
from octavo.compiler.artifact.write import write_artifact
from octavo.compiler.lowering.builder import Origin, ProgramBuilder
from octavo.compiler.lowering.program import Port
from octavo.compiler.lowering.tensor import Tensor
from octavo.errors import OctavoError
from octavo.targets.host import host_target
from octavo.targets.ops import scatter_aggregate
from octavo.targets.ops.scatter_aggregate import ScatterAggregate

OP = ScatterAggregate(
    kind="mean", nodes=30, sources=30, edges=200, channels=48, weight_dtype="int8",
    has_count=True, max_degree=100)


def artifact_of(op, arrays, target, folder):
    """Compile one step whose inputs are those of the program; "y" is its result."""
    builder = ProgramBuilder(target)
    shapes = {
        "x": (op.dtype, (op.sources, op.channels)), "source": (op.index_dtype, (op.edges,)),
        "node": (op.index_dtype, (op.edges,)), "weight": (op.weight_dtype, (op.edges,)),
        "count": (op.index_dtype, (1,)), "y": (op.requantize.dtype, (op.nodes, op.channels))}
    tensors, ports = {}, {}
    for name, (dtype, shape) in shapes.items():
        size = int(np.prod(shape))
        buffer = builder.arena(name, size * np.dtype(dtype).itemsize)
        tensors[name] = Tensor(buffer, dtype, (size,), (1,))
        ports[name] = Port(name, dtype, shape, buffer)
    *inputs, y = tensors.values()
    constants = {name: array for name, array in arrays.items() if name not in shapes}
    builder.call(op, inputs, constants, [y], Origin("aggregate"))
    *given, result = ports.values()
    write_artifact(builder.program("graph", given, [result]), target, None, folder)


def test_wrong_edges_fail_one_run(tmp_path):
    target = host_target()
    if target is None:
        pytest.skip("this machine is no target")
    rng = np.random.default_rng(4)
    source, node = edge_list(rng, OP.nodes, OP.sources, OP.edges)
    arrays = operands(rng, OP)
    artifact_of(OP, arrays, target, tmp_path / "a")
    inputs = {"x": arrays["x"], "source": source, "node": node, "weight": arrays["weight"],
              "count": np.array([190])}
    expected = scatter_aggregate.reference(OP, {**arrays, **inputs})
    with octavo.load(tmp_path / "a") as session:
        np.testing.assert_array_equal(session.run(inputs)["y"], expected)
        for name, at, value in (
            ("source", 189, 30), ("node", 0, -31), ("count", 0, 201), ("count", 0, -1),
        ):
            wrong = {**inputs, name: inputs[name].copy()}
            wrong[name][at] = value
            with pytest.raises(OctavoError, match="kernel reported a failure"):
                session.run(wrong)
        np.testing.assert_array_equal(session.run(inputs)["y"], expected)
    assert len(np.unique(expected)) > 1
