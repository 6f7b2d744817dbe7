"""A sparse matrix times features; edges lie in memory in the order of nodes."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from octavo.targets import vector
from octavo.targets.isa import Isa
from octavo.targets.kernels import aggregation, aggregation_checks
from octavo.targets.kernels.aggregation import NodeFolds, Parameter
from octavo.targets.kernels.dot_fold import GROUP_EDGES, multiplies_groups
from octavo.targets.kernels.node_fold import places_ahead
from octavo.targets.ops.aggregation import LARGEST_WEIGHT
from octavo.targets.ops.csr_aggregate import CsrAggregate
from octavo.targets.ops.edge_order import PLACES_BEHIND

Arrays = Mapping[str, NDArray[Any]]


class CsrRows:
    """Serves every aggregation of edges that lie in the order of nodes."""

    name = "csr_rows"

    def reject(self, op: CsrAggregate, isa: Isa) -> str:
        """Say why not."""
        del isa
        if op.is_given and op.has_rows:
            return "an order of nodes, but no constant graph"
        if op.by_edge and not (op.is_given and op.weight_dtype):
            return "weights by edge, but none that are given"
        if op.is_given and op.edges < 1:
            return "no edges"
        return aggregation_checks.reject(op, op.degree_limit if op.is_given else 0)

    def reject_constants(self, op: CsrAggregate, isa: Isa, arrays: Arrays) -> str:
        """Say why sums may overflow, or which part of the graph is none."""
        del isa
        return reject_graph(op, arrays)

    def variant(self, op: CsrAggregate, isa: Isa) -> str:
        """Name what is folded."""
        parts = [
            "given" if op.is_given else "",
            "" if op.weight_dtype is None else "weighted",
            f"{op.heads}heads" if op.heads > 1 else "",
            "groups" if multiplies_groups(op, isa) else "",
            "" if op.pair is None else f"pair_{op.pair}",
        ]
        start = f"{self.name}.{op.kind}.{op.dtype}.{isa.name}"
        return ".".join([start, *filter(None, parts)])

    def build(self, op: CsrAggregate, isa: Isa) -> Any:
        """Emit the PrimFunc."""
        isa = isa.of_reals if op.dtype == "float32" else isa
        parameters = [
            ("x", op.sources * op.channels, op.dtype),
            *([] if op.pair is None else [("target", op.nodes * op.channels, op.dtype)]),
            *graph_operands(op),
            *aggregation.constants_of(op),
            ("y", op.nodes * op.channels, op.requantize.dtype),
        ]
        names = [name for name, _, _ in parameters]
        return vector.prim_func(
            parameters,
            lambda *buffers: NodeFolds(op, isa, dict(zip(names, buffers, strict=True))).emit())

    def constants(self, op: CsrAggregate, isa: Isa, arrays: Arrays) -> list[NDArray[Any]]:
        """Pack the graph, if it is constant, then the epilogue's constants."""
        del isa
        return [*pack_graph(op, arrays), *aggregation.pack_constants(op, arrays)]

    def scratch_bytes(self, op: CsrAggregate, isa: Isa) -> int:
        """Need none."""
        del op, isa
        return 0


def reject_graph(op: CsrAggregate, arrays: Arrays) -> str:
    """Why sums of a graph may overflow, or which part of it is none, or ""."""
    if op.is_given:
        weight = LARGEST_WEIGHT.get(op.weight_dtype, 1)
        return aggregation_checks.reject_constants(op, arrays, op.degree_limit * weight)
    offsets = arrays["offsets"].astype(np.int64).reshape(-1)
    places = arrays["places"].astype(np.int64).reshape(-1)
    if (len(offsets) != op.nodes + 1 or offsets[0] != 0 or offsets[-1] != op.edges
            or (np.diff(offsets) < 0).any()):
        return f"offsets do not rise from 0 to {op.edges} in {op.nodes} steps"
    if len(places) != op.edges or ((places < 0) | (places >= op.sources)).any():
        return f"places are not {op.edges} numbers in [0, {op.sources})"
    if op.has_rows and sorted(arrays["rows"].reshape(-1)) != list(range(op.nodes)):
        return f"rows are no order of {op.nodes} nodes"
    weights = np.ones((op.edges, op.heads), np.int64)
    if op.weight_dtype not in (None, "float32"):
        weights = np.abs(arrays["weight"].astype(np.int64)).reshape(-1, op.heads)
    sums = np.concatenate([np.zeros((1, op.heads), np.int64), np.cumsum(weights, axis=0)])
    most = int((sums[offsets[1:]] - sums[offsets[:-1]]).max())
    return aggregation_checks.reject_constants(op, arrays, most)


def graph_operands(op: CsrAggregate) -> list[Parameter]:
    """Operands that are the graph, inputs or constants, in their order."""
    behind = PLACES_BEHIND if op.is_given else max(places_ahead(op), GROUP_EDGES - 1)
    weights = max(op.edges, 1) * op.heads
    return [
        ("offsets", op.nodes + 1, "int32"),
        ("places", max(op.edges + behind, 1), "int32"),
        *([] if op.weight_dtype is None else [("weight", weights, op.weight_dtype)]),
        *([("ids", op.edges + behind, "int32")] if op.by_edge else []),
        *([("rows", op.nodes + aggregation.ROWS_AHEAD, "int32")] if op.has_rows else []),
    ]


def pack_graph(op: CsrAggregate, arrays: Arrays) -> list[NDArray[Any]]:
    """Arrays of ``graph_operands`` that are constants: none if the graph is given."""
    if op.is_given:
        return []
    if op.has_rows:
        arrays = _in_rows(op, arrays)
    graph = []
    for name, count, dtype in graph_operands(op):
        values = np.zeros(count, dtype)
        found = arrays[name].reshape(-1)
        values[: len(found)] = found
        graph.append(values)
    return graph


def _in_rows(op: CsrAggregate, arrays: Arrays) -> Arrays:
    """Lay out a graph in the order in which its nodes are computed."""
    rows = arrays["rows"].astype(np.int64).reshape(-1)
    offsets = arrays["offsets"].astype(np.int64).reshape(-1)
    degree = np.diff(offsets)[rows]
    ends = np.cumsum(degree)
    order = np.arange(op.edges) + np.repeat(offsets[rows] - (ends - degree), degree)
    moved = {"offsets": np.concatenate([[0], ends]),
             "places": arrays["places"].reshape(-1)[order]}
    if op.weight_dtype is not None:
        moved["weight"] = arrays["weight"].reshape(-1, op.heads)[order]
    return {**arrays, **moved}
