"""Aggregation of edges that are given at run time: check, put in the order of nodes, fold.

Counting the edges of every node and giving each edge its place takes two passes over the
edges, and 4 bytes of memory for each. Sums of every node then stay in registers: adding each
message to its node instead would need 4 bytes for each channel of each node, and touch them
again with every edge.
"""

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray
from tvm import tirx
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import Expr, Isa
from octavo.targets.kernels import aggregation, aggregation_checks
from octavo.targets.kernels.aggregation import NodeFolds
from octavo.targets.kernels.node_fold import places_ahead
from octavo.targets.kernels.scratch import Scratch
from octavo.targets.ops.aggregation import LARGEST_WEIGHT
from octavo.targets.ops.scatter_aggregate import ScatterAggregate

Arrays = Mapping[str, NDArray[Any]]


class ScatterRows:
    """Serves every aggregation of given edges. The function returns -1 for wrong ones."""

    name = "scatter_rows"

    def reject(self, op: ScatterAggregate, isa: Isa) -> str:
        """Say why not."""
        del isa
        if op.index_dtype not in ("int64", "int32"):
            return f"{op.index_dtype} indices; only int64 and int32"
        if op.edges < 1:
            return "no edges"
        if not op.gathers and op.sources != op.edges:
            return f"{op.sources} messages of {op.edges} edges"
        return aggregation_checks.reject(op, op.degree_limit)

    def reject_constants(self, op: ScatterAggregate, isa: Isa, arrays: Arrays) -> str:
        """Say why sums may overflow."""
        del isa
        weight = LARGEST_WEIGHT.get(op.weight_dtype, 1)
        return aggregation_checks.reject_constants(op, arrays, op.degree_limit * weight)

    def variant(self, op: ScatterAggregate, isa: Isa) -> str:
        """Name what is folded."""
        taken = "rows" if op.gathers else "messages"
        weighted = "" if op.weight_dtype is None else ".weighted"
        return f"{self.name}.{op.kind}.{op.dtype}.{isa.name}.{taken}{weighted}"

    def build(self, op: ScatterAggregate, isa: Isa) -> Any:
        """Emit the PrimFunc."""
        isa = isa.of_reals if op.dtype == "float32" else isa
        parameters = [
            ("x", op.sources * op.channels, op.dtype),
            *([("source", op.edges, op.index_dtype)] if op.gathers else []),
            ("node", op.edges, op.index_dtype),
            *([("edge_weight", op.edges, op.weight_dtype)] if op.weight_dtype else []),
            *([("count", 1, op.index_dtype)] if op.has_count else []),
            *aggregation.constants_of(op),
            ("y", op.nodes * op.channels, op.requantize.dtype),
            ("scratch", self.scratch_bytes(op, isa), "uint8"),
        ]
        names = [name for name, _, _ in parameters]

        def emit(*buffers: Any) -> None:
            operands = dict(zip(names, buffers, strict=True))
            operands |= _scratch(op).views(operands["scratch"])
            _EdgeOrder(op, operands).emit()
            NodeFolds(op, isa, operands).emit()

        return vector.prim_func(parameters, emit)

    def constants(
        self, op: ScatterAggregate, isa: Isa, arrays: Arrays
    ) -> list[NDArray[Any]]:
        """Pack the epilogue's constants."""
        del isa
        return aggregation.pack_constants(op, arrays)

    def scratch_bytes(self, op: ScatterAggregate, isa: Isa) -> int:
        """Hold the edges in the order of nodes."""
        del isa
        return _scratch(op).num_bytes


def _scratch(op: ScatterAggregate) -> Scratch:
    return Scratch((
        ("offsets", op.nodes + 2, "int32"),
        ("places", op.edges + places_ahead(op), "int32"),
        *((("weight", op.edges, op.weight_dtype),) if op.weight_dtype else ()),
    ))


class _EdgeOrder:
    """Emits the checks, and the counting sort: edges of a node keep their order."""

    def __init__(self, op: ScatterAggregate, operands: Mapping[str, Any]) -> None:
        self.op = op
        self.operands = operands

    def emit(self) -> None:
        op, operands = self.op, self.operands
        count = self._count()
        # Element t + 2 counts the edges of node t; sums make element t + 1 the place of its
        # first one, and giving places moves that to behind its last, which is where t + 1
        # begins. Wrong indices are limited meanwhile, so that one pass counts and checks.
        offsets = operands["offsets"]
        vector.fill(offsets, 0, T.int32(0), op.nodes + 2)
        is_wrong = self._flag()
        with T.serial(0, count) as edge:
            at = vector.bind(self._row("node", edge, op.nodes, is_wrong) + 2)
            vector.store(offsets, at, vector.load(offsets, at) + T.int32(1))
        _fail_if(vector.load(is_wrong, 0) != 0)
        self._sum()
        is_wrong = self._flag()
        with T.serial(0, count) as edge:
            at = vector.bind(self._row("node", edge, op.nodes) + 1)
            place = vector.bind(vector.load(offsets, at))
            vector.store(offsets, at, place + T.int32(1))
            row = edge
            if op.gathers:
                row = self._row("source", edge, op.sources, is_wrong)
            vector.store(operands["places"], place, row)
            if op.weight_dtype:
                weight = vector.load(operands["edge_weight"], edge)
                vector.store(operands["weight"], place, weight)
        if op.gathers:
            _fail_if(vector.load(is_wrong, 0) != 0)
        for behind in range(places_ahead(op)):
            vector.store(operands["places"], count + behind, T.int32(0))

    def _count(self) -> Expr:
        """Edges that there are."""
        if not self.op.has_count:
            return T.int32(self.op.edges)
        count = vector.bind(vector.load(self.operands["count"], 0))
        _fail_if(tirx.any(count < self._index(0), count > self._index(self.op.edges)))
        return vector.bind(vector.cast(count, "int32", 1))

    def _flag(self) -> Any:
        flag = vector.local(1, "int32")
        vector.store(flag, 0, T.int32(0))
        return flag

    def _sum(self) -> None:
        """Add up the edges of nodes; fail if one has too many."""
        offsets = self.operands["offsets"]
        most, total = vector.local(1, "int32"), vector.local(1, "int32")
        for value in (most, total):
            vector.store(value, 0, T.int32(0))
        with T.serial(0, self.op.nodes) as node:
            degree = vector.bind(vector.load(offsets, node + 2))
            vector.store(most, 0, T.max(vector.load(most, 0), degree))
            vector.store(total, 0, vector.load(total, 0) + degree)
            vector.store(offsets, node + 2, vector.load(total, 0))
        if self.op.degree_limit < self.op.edges:
            _fail_if(vector.load(most, 0) > T.int32(self.op.degree_limit))

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


def _fail_if(is_wrong: Expr) -> None:
    with T.If(is_wrong), T.Then():
        # A plain return can only be of 0; this one returns -1 and calls nothing.
        T.evaluate(tirx.call_intrin("void", "tirx.tvm_throw_last_error"))
