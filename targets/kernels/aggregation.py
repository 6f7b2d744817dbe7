"""Emit the fold of every node's edges: sums in registers, rounded once for each node.

The edges of a node lie side by side, so its sums never go to memory. Rows of features come
from anywhere: those of later edges are asked for while these are added, which is most of the
time of a graph that no cache holds.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm import tirx
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import JOINED_VECTORS, Expr, Isa
from octavo.targets.kernels.epilogue import constant_arrays, constant_parameters
from octavo.targets.kernels.panel_prefetch import LINE_BYTES
from octavo.targets.kernels.parallel import PARALLEL_ELEMENTS
from octavo.targets.kernels.pool import finish_sums
from octavo.targets.kernels.rescale import Rescale, for_blocks, scalar
from octavo.targets.ops.aggregation import Aggregation

Arrays = Mapping[str, NDArray[Any]]
Parameter = tuple[str, int, str]

EDGES_AHEAD = 64  # rows that are asked for before they are added
CACHED_BYTES = 1 << 18  # rows in all that need no asking
MAX_LINES = 8  # of a row: what is behind comes by itself
HALF_WORDS = {"uint8": "uint16", "int8": "int16"}  # what holds sums of bytes at first
HALF_WORD_EDGES = 256  # no sum of so many overflows there
TASK_NODES = 64  # nodes of one task: the loads of constants are shared


def places_ahead(op: Aggregation) -> int:
    """Edges behind the last one whose rows are asked for."""
    return EDGES_AHEAD if op.sources * _row_bytes(op) > CACHED_BYTES else 0


def constants_of(op: Aggregation) -> list[Parameter]:
    """Constants of the fold and of its end, in the order of operands."""
    wide = "float32" if op.dtype == "float32" else "int32"
    return [
        *([] if op.dtype == "float32" else [("zero_point", 1, "int32")]),
        *([("bias", op.channels, wide)] if op.has_bias else []),
        *constant_parameters(op.requantize, op.num_multipliers),
    ]


def pack_constants(op: Aggregation, arrays: Arrays) -> list[NDArray[Any]]:
    """Arrays of ``constants_of``."""
    epilogue = constant_arrays(op.requantize, op.num_multipliers, arrays)
    return [
        epilogue[name] if name in epilogue
        else np.ascontiguousarray(arrays[name], dtype).reshape(-1)
        for name, _, dtype in constants_of(op)
    ]


class NodeFolds:
    """Emits the results of all nodes.

    Args:
        op: The operation.
        isa: Instructions; of floats those ``of_reals``.
        operands: Buffers "x", "y", those of ``constants_of``, and of the edges in the order of
            nodes: "offsets", from which on node i has its own; "places", the row of x, and
            ``places_ahead`` more of them; "weight" where there are such.
    """

    def __init__(self, op: Aggregation, isa: Isa, operands: Mapping[str, Any]) -> None:
        self.op = op
        self.isa = isa
        self.operands = operands
        self.is_float = op.dtype == "float32"
        self.wide = "float32" if self.is_float else "int32"
        # Half of the registers hold sums; the others what is added, and constants.
        vectors = max(isa.num_registers // 2 // JOINED_VECTORS, 1) * JOINED_VECTORS
        self.block = vectors * isa.lanes
        if op.is_sum:
            is_plain = op.weight_dtype is None
            self.held = HALF_WORDS.get(op.dtype, self.wide) if is_plain else self.wide
        else:
            self.held = op.dtype
        self.width = isa.lanes * 4 // np.dtype(self.held).itemsize

    def emit(self) -> None:
        """Emit the loop over nodes."""
        op = self.op
        is_parallel = (op.nodes + op.edges) * op.channels >= PARALLEL_ELEMENTS
        with vector.loop(-(-op.nodes // TASK_NODES), parallel=is_parallel) as task:
            finish = Rescale(op.requantize, self.isa, self.operands)
            first = vector.bind(T.int32(0) + task * TASK_NODES)
            count = vector.bind(T.min(T.int32(TASK_NODES), T.int32(op.nodes) - first))
            with T.serial(0, count) as index:
                self._node(finish, vector.bind(first + index))

    def _node(self, finish: Rescale, node: Expr) -> None:
        begin, end = (
            vector.bind(vector.load(self.operands["offsets"], node + i)) for i in (0, 1))
        degree = vector.bind(end - begin)
        scales = self._scales(finish, node, degree)

        def emit(start: Expr, count: int) -> None:
            sums = self._fold(begin, degree, start, count)
            for at in range(0, count, finish.block):
                some = min(finish.block, count - at)
                finish_sums(
                    finish, [sums[(at + place) // self.isa.lanes]
                             for place in finish.starts(some)],
                    scales, node * self.op.channels + start + at, some)

        for_blocks(self.op.channels, self.block, emit)

    def _scales(self, finish: Rescale, node: Expr, degree: Expr) -> list[Expr]:
        """Multiplier of a node; or its significand and shift."""
        at = node if self.op.per_node else 0
        if not finish.is_dyadic:
            multiplier = vector.load(self.operands["multiplier"], at)
            if self.op.kind == "mean":
                count = T.max(degree, T.int32(1))
                multiplier = multiplier / vector.cast(count, "float32", 1)
            return [vector.bind(multiplier)]
        significand = vector.load(self.operands["significand"], at)
        if self.op.kind == "mean":  # of 32 bits: some targets divide more only by a library
            significand = T.truncdiv(significand, T.max(degree, T.int32(1)))
        return [vector.bind(vector.cast(significand, "int64", 1)),
                scalar(self.operands, "shift", at)]

    def _fold(self, begin: Expr, degree: Expr, start: Expr, count: int) -> list[Expr]:
        """Fold ``count`` channels of a node's edges; whole vectors, read behind the last."""
        op, lanes = self.op, self.isa.lanes
        size = -(-count // self.width) * self.width
        weights = vector.local(1, "int32")
        vector.store(weights, 0, T.int32(0))
        folded = vector.local(size, self.held)
        if self.held in HALF_WORDS.values():
            sums = vector.local(size, self.wide)
            self._fill(sums, size, T.int32(0), lanes)
            with T.serial(0, (degree + (HALF_WORD_EDGES - 1)) // HALF_WORD_EDGES) as chunk:
                done = vector.bind(chunk * HALF_WORD_EDGES)
                self._fill(folded, size, tirx.const(0, self.held), self.width)
                some = T.min(T.int32(HALF_WORD_EDGES), degree - done)
                self._take(folded, weights, begin + done, some, start, size)
                for at in range(0, size, lanes):
                    more = vector.cast(vector.load(folded, at, lanes), self.wide, lanes)
                    vector.store(sums, at, vector.load(sums, at, lanes) + more, lanes)
            folded = sums
        else:
            self._fill(folded, size, vector.bind(self._first(degree)), self.width)
            self._take(folded, weights, begin, degree, start, size)
        zero = None
        if not self.is_float:
            counted = degree if op.weight_dtype is None else vector.load(weights, 0)
            zero_point = vector.load(self.operands["zero_point"], 0)
            zero = vector.bind(zero_point * counted if op.is_sum else zero_point)
        return [self._end(vector.load(folded, at, lanes), start + at, zero)
                for at in range(0, count, lanes)]

    def _take(
        self, folded: Any, weights: Any, begin: Expr, count: Expr, start: Expr, size: int
    ) -> None:
        """Fold the rows of ``count`` edges, and add their weights."""
        op, width = self.op, self.width
        with T.serial(0, count) as index:
            edge = vector.bind(begin + index)
            self._ask(edge, start)
            row = vector.bind(
                vector.load(self.operands["places"], edge) * op.channels + start)
            weight = None
            if op.weight_dtype is not None:
                weight = vector.bind(
                    vector.cast(vector.load(self.operands["weight"], edge), self.wide, 1))
                if not self.is_float:
                    vector.store(weights, 0, vector.load(weights, 0) + weight)
            for at in range(0, size, width):
                x = vector.load(self.operands["x"], row + at, width)
                found = self._combine(
                    vector.load(folded, at, width), vector.cast(x, self.held, width), weight)
                vector.store(folded, at, found, width)

    def _fill(self, buffer: Any, size: int, value: Expr, lanes: int) -> None:
        for at in range(0, size, lanes):
            vector.store(buffer, at, vector.splat(value, lanes), lanes)

    def _first(self, degree: Expr) -> Expr:
        """What a fold starts from: integers have their zero point in them until its end."""
        op = self.op
        if op.is_sum:
            return tirx.const(0, self.wide)
        if self.is_float:
            zero, last = T.float32(0.0), np.inf
        else:
            zero = vector.cast(
                vector.load(self.operands["zero_point"], 0), op.dtype, 1)
            last = np.iinfo(op.dtype).max
        if op.from_zero:
            return zero
        if op.kind == "max":
            last = -np.inf if self.is_float else np.iinfo(op.dtype).min
        return T.Select(degree == 0, zero, tirx.const(last, op.dtype))

    def _combine(self, total: Expr, x: Expr, weight: Expr | None) -> Expr:
        if not self.op.is_sum:
            return T.max(total, x) if self.op.kind == "max" else T.min(total, x)
        if weight is None:
            return total + x
        if self.is_float:
            return vector.fma(vector.splat(weight, self.width), x, total, self.width)
        return total + vector.splat(weight, self.width) * x

    def _end(self, total: Expr, channel: Expr, zero: Expr | None) -> Expr:
        """Take the zero points away and add the bias."""
        lanes = self.isa.lanes
        total = vector.cast(total, self.wide, lanes)
        if zero is not None:
            total = total - vector.splat(zero, lanes)
        if self.op.has_bias:
            total = total + vector.load(self.operands["bias"], channel, lanes)
        return vector.bind(total)

    def _ask(self, edge: Expr, start: Expr) -> None:
        """Fetch the row of a later edge, before the first block of channels."""
        ahead = places_ahead(self.op)
        if not ahead or not isinstance(start, int) or start != 0:
            return
        row = vector.bind(
            vector.load(self.operands["places"], edge + ahead) * self.op.channels)
        step = LINE_BYTES * self.op.channels // _row_bytes(self.op)
        for line in range(min(-(-_row_bytes(self.op) // LINE_BYTES), MAX_LINES)):
            vector.prefetch(self.operands["x"], row + line * step)


def _row_bytes(op: Aggregation) -> int:
    return op.channels * np.dtype(op.dtype).itemsize
