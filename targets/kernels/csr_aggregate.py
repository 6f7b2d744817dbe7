"""A constant sparse matrix times features; edges lie in memory in the order of nodes."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from octavo.targets import vector
from octavo.targets.isa import Isa
from octavo.targets.kernels import aggregation, aggregation_checks
from octavo.targets.kernels.aggregation import NodeFolds, Parameter
from octavo.targets.ops.csr_aggregate import CsrAggregate

Arrays = Mapping[str, NDArray[Any]]


class CsrRows:
    """Serves every aggregation over a constant graph."""

    name = "csr_rows"

    def reject(self, op: CsrAggregate, isa: Isa) -> str:
        """Say why not."""
        del isa
        if op.is_given or op.has_rows:
            return "edges that are given, or an order of nodes"
        return aggregation_checks.reject(op, 0)

    def reject_constants(self, op: CsrAggregate, isa: Isa, arrays: Arrays) -> str:
        """Say why sums may overflow, or which part of the graph is none."""
        del isa
        offsets = arrays["offsets"].astype(np.int64).reshape(-1)
        places = arrays["places"].astype(np.int64).reshape(-1)
        if (len(offsets) != op.nodes + 1 or offsets[0] != 0 or offsets[-1] != op.edges
                or (np.diff(offsets) < 0).any()):
            return f"offsets do not rise from 0 to {op.edges} in {op.nodes} steps"
        if len(places) != op.edges or ((places < 0) | (places >= op.sources)).any():
            return f"places are not {op.edges} numbers in [0, {op.sources})"
        weights = np.ones(op.edges, np.int64)
        if op.weight_dtype not in (None, "float32"):
            weights = np.abs(arrays["weight"].astype(np.int64)).reshape(-1)
        sums = np.concatenate([[0], np.cumsum(weights)])
        most = int((sums[offsets[1:]] - sums[offsets[:-1]]).max())
        return aggregation_checks.reject_constants(op, arrays, most)

    def variant(self, op: CsrAggregate, isa: Isa) -> str:
        """Name what is folded."""
        weighted = "" if op.weight_dtype is None else ".weighted"
        return f"{self.name}.{op.kind}.{op.dtype}.{isa.name}{weighted}"

    def build(self, op: CsrAggregate, isa: Isa) -> Any:
        """Emit the PrimFunc."""
        isa = isa.of_reals if op.dtype == "float32" else isa
        parameters = [
            ("x", op.sources * op.channels, op.dtype),
            *_graph(op),
            *aggregation.constants_of(op),
            ("y", op.nodes * op.channels, op.requantize.dtype),
        ]
        names = [name for name, _, _ in parameters]
        return vector.prim_func(
            parameters,
            lambda *buffers: NodeFolds(op, isa, dict(zip(names, buffers, strict=True))).emit())

    def constants(self, op: CsrAggregate, isa: Isa, arrays: Arrays) -> list[NDArray[Any]]:
        """Pack the graph, then the epilogue's constants."""
        del isa
        graph = []
        for name, count, dtype in _graph(op):
            values = np.zeros(count, dtype)
            found = arrays[name].reshape(-1)
            values[: len(found)] = found
            graph.append(values)
        return [*graph, *aggregation.pack_constants(op, arrays)]

    def scratch_bytes(self, op: CsrAggregate, isa: Isa) -> int:
        """Need none."""
        del op, isa
        return 0


def _graph(op: CsrAggregate) -> list[Parameter]:
    """Constants that are the graph; a row of zeros stands behind the last edge."""
    return [
        ("offsets", op.nodes + 1, "int32"),
        ("places", max(op.edges + aggregation.places_ahead(op), 1), "int32"),
        *([] if op.weight_dtype is None else [
            ("weight", max(op.edges, 1), op.weight_dtype)]),
    ]
