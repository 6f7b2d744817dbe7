"""Emit the sort of given edges by their nodes, and the checks of everything that is given.

A counting sort takes two passes over the edges: one tells how many edges of its node come
before an edge, the other one gives it its place. Later reads of rows rely on what is checked
here: an index outside of its rows, or more edges than there is memory or 32 bits for, is a
status of the call.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm import tirx
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import Expr, Isa
from octavo.targets.kernels.failure import fail_if
from octavo.targets.kernels.spans import MAX_ELEMENTS
from octavo.targets.ops.edge_order import PLACES_BEHIND, EdgeOrder

Arrays = Mapping[str, NDArray[Any]]
Parameter = tuple[str, int, str]

WEIGHTS = (None, "uint8", "int8", "float32")


class CountingSort:
    """Serves every order of edges. The function returns -1 for wrong ones."""

    name = "counting_sort"

    def reject(self, op: EdgeOrder, isa: Isa) -> str:
        """Say why not."""
        del isa
        if op.index_dtype not in ("int64", "int32"):
            return f"{op.index_dtype} indices; only int64 and int32"
        if op.edges < 1:
            return "no edges"
        if not (op.gathers or op.has_ids):
            return "neither rows nor numbers of edges are wanted"
        if op.weight_dtype not in WEIGHTS:
            return f"{op.weight_dtype} weights; only uint8, int8 and float32"
        if max(op.places, op.nodes, op.sources) >= MAX_ELEMENTS:
            return f"more than {MAX_ELEMENTS} elements"
        return ""

    def variant(self, op: EdgeOrder, isa: Isa) -> str:
        """Name what is put in order."""
        del isa
        return f"{self.name}.{wanted(op)}"

    def build(self, op: EdgeOrder, isa: Isa) -> Any:
        """Emit the PrimFunc."""
        del isa
        parameters = [*operands_of(op), ("scratch", op.edges, "int32")]
        names = [name for name, _, _ in parameters]
        return vector.prim_func(
            parameters,
            lambda *buffers: _Emitter(op, dict(zip(names, buffers, strict=True))).emit())

    def constants(self, op: EdgeOrder, isa: Isa, arrays: Arrays) -> list[NDArray[Any]]:
        """Need none: all operands are inputs."""
        del op, isa, arrays
        return []

    def scratch_bytes(self, op: EdgeOrder, isa: Isa) -> int:
        """Hold the rank of every edge among those of its node."""
        del isa
        return op.edges * np.dtype("int32").itemsize


def wanted(op: EdgeOrder) -> str:
    """Name what is put in order."""
    parts = (("rows", op.gathers), ("ids", op.has_ids), (f"{op.weight_dtype}_weights",
             op.weight_dtype is not None))
    return ".".join([op.index_dtype, *(name for name, is_there in parts if is_there)])


def operands_of(op: EdgeOrder) -> list[Parameter]:
    """Inputs and outputs, in order."""
    weight = op.weight_dtype
    return [
        *([("source", op.edges, op.index_dtype)] if op.gathers else []),
        ("node", op.edges, op.index_dtype),
        *([] if weight is None else [("weight", op.edges, weight)]),
        *([("count", 1, op.index_dtype)] if op.has_count else []),
        ("offsets", op.nodes + 1, "int32"),
        *([("places", op.places, "int32")] if op.gathers else []),
        *([("ids", op.places, "int32")] if op.has_ids else []),
        *([] if weight is None else [("weights", op.edges, weight)]),
    ]


def emit_count(op: EdgeOrder, operands: Mapping[str, Any]) -> Expr:
    """Check and return the number of edges that there are, int32."""
    if not op.has_count:
        return T.int32(op.edges)
    count = vector.bind(vector.load(operands["count"], 0))
    none, every = (tirx.IntImm(op.index_dtype, limit) for limit in (0, op.edges))
    fail_if(tirx.any(count < none, count > every))
    return vector.bind(vector.cast(count, "int32", 1))


def clear_behind(operands: Mapping[str, Any], count: Expr) -> None:
    """Write what readers fetch behind the last edge."""
    for name in ("places", "ids"):
        if name in operands:
            vector.fill(operands[name], count, T.int32(0), PLACES_BEHIND)


class _Emitter:
    """Emits one sort: edges of a node keep their order."""

    def __init__(self, op: EdgeOrder, operands: Mapping[str, Any]) -> None:
        self.op = op
        self.operands = operands

    def emit(self) -> None:
        op, operands = self.op, self.operands
        count = emit_count(op, operands)
        # Element t + 1 counts the edges of node t; sums make it the end of their places, which
        # is where t + 1 begins. Wrong indices are limited meanwhile, so that one pass counts
        # and checks.
        offsets, ranks = operands["offsets"], operands["scratch"]
        vector.fill(offsets, 0, T.int32(0), op.nodes + 1)
        is_wrong = _variable()
        with T.serial(0, count) as edge:
            at = vector.bind(self._row("node", edge, op.nodes, is_wrong) + 1)
            rank = vector.bind(vector.load(offsets, at))
            vector.store(ranks, edge, rank)
            vector.store(offsets, at, rank + T.int32(1))
        fail_if(vector.load(is_wrong, 0) != 0)
        self._sum()
        is_wrong = _variable()
        with T.serial(0, count) as edge:
            node = self._row("node", edge, op.nodes)
            place = vector.bind(vector.load(offsets, node) + vector.load(ranks, edge))
            if op.gathers:
                row = self._row("source", edge, op.sources, is_wrong)
                vector.store(operands["places"], place, row)
            if op.has_ids:
                vector.store(operands["ids"], place, edge)
            if op.weight_dtype is not None:
                weight = vector.load(operands["weight"], edge)
                vector.store(operands["weights"], place, weight)
        if op.gathers:
            fail_if(vector.load(is_wrong, 0) != 0)
        clear_behind(operands, count)

    def _sum(self) -> None:
        """Turn numbers of edges into ends of places; fail if a node has too many."""
        offsets = self.operands["offsets"]
        most, total = _variable(), _variable()
        with T.serial(0, self.op.nodes) as node:
            degree = vector.bind(vector.load(offsets, node + 1))
            end = vector.bind(vector.load(total, 0) + degree)
            vector.store(most, 0, T.max(vector.load(most, 0), degree))
            vector.store(offsets, node + 1, end)
            vector.store(total, 0, end)
        if self.op.degree_limit < self.op.edges:
            fail_if(vector.load(most, 0) > T.int32(self.op.degree_limit))

    def _row(
        self, name: str, edge: Expr, extent: int, is_wrong: Any | None = None
    ) -> Expr:
        """Index of an edge, counted from the start.

        With a flag, an index outside of [-extent, extent) sets it and becomes one inside;
        without one, there is none.
        """
        found = vector.bind(vector.load(self.operands[name], edge))
        counted = vector.bind(
            T.Select(found < self._index(0), found + self._index(extent), found))
        if is_wrong is None:
            return vector.cast(counted, "int32", 1)
        inside = vector.bind(
            T.min(T.max(counted, self._index(0)), self._index(extent - 1)))
        outside = vector.cast(inside != counted, "int32", 1)
        vector.store(is_wrong, 0, T.max(vector.load(is_wrong, 0), outside))
        return vector.bind(vector.cast(inside, "int32", 1))

    def _index(self, value: int) -> Expr:
        return tirx.IntImm(self.op.index_dtype, value)


def _variable() -> Any:
    """An int32 that starts at 0."""
    value = vector.local(1, "int32")
    vector.store(value, 0, T.int32(0))
    return value
