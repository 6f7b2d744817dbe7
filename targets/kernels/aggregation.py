"""Emit the fold of every node's edges: sums in registers, rounded once for each node.

The edges of a node lie side by side, so its sums never go to memory. Rows of features come
from anywhere: those of later edges are asked for while these are added, which is most of the
time of a graph that no cache holds.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import JOINED_VECTORS, Expr, Isa
from octavo.targets.kernels.epilogue import constant_arrays, constant_parameters
from octavo.targets.kernels.panel_prefetch import LINE_BYTES
from octavo.targets.kernels.parallel import PARALLEL_ELEMENTS
from octavo.targets.kernels.pool import finish_sums
from octavo.targets.kernels.rescale import Rescale, for_blocks, scalar
from octavo.targets.kernels.spans import MAX_ELEMENTS
from octavo.targets.ops.aggregation import (
    KINDS,
    LARGEST_SUM,
    LARGEST_WEIGHT,
    Aggregation,
    sum_limit,
)

Arrays = Mapping[str, NDArray[Any]]
Parameter = tuple[str, int, str]

EDGES_AHEAD = 16  # rows that are asked for before they are added
CACHED_BYTES = 1 << 18  # rows in all that need no asking
MAX_LINES = 8  # of a row: what is behind comes by itself
TASK_NODES = 64  # nodes of one task: the loads of constants are shared


def reject(op: Aggregation, most_edges: int) -> str:
    """Why no kernel folds this, or "".

    Args:
        op: The operation.
        most_edges: Edges into one node; 0 where constants will tell.
    """
    if op.kind not in KINDS:
        return f"kind {op.kind!r}"
    if op.dtype not in ("uint8", "int8", "float32"):
        return f"{op.dtype} features; only uint8, int8 and float32"
    if op.requantize.residual is not None:
        return "a residual"
    if not op.is_sum and (op.weight_dtype or op.has_bias):
        return f"weights or a bias with a {op.kind}"
    weights = (None, "float32") if op.dtype == "float32" else tuple(LARGEST_WEIGHT)
    if op.weight_dtype not in weights:
        return f"{op.weight_dtype} weights of {op.dtype} features"
    if op.dtype == "float32" and op.requantize.dtype != "float32":
        return "a float result stays float"
    largest = max(op.sources, op.nodes) * op.channels
    if max(largest, op.edges + EDGES_AHEAD) > MAX_ELEMENTS:
        return f"{max(largest, op.edges)} elements; at most {MAX_ELEMENTS}"
    if op.dtype == "float32" or not op.is_sum:
        return ""
    weight = LARGEST_WEIGHT[op.weight_dtype]
    if sum_limit(most_edges * weight) > LARGEST_SUM:
        most = LARGEST_SUM // sum_limit(weight)
        return f"{most_edges} edges into a node may overflow 32 bits; at most {most}"
    return ""


def reject_constants(op: Aggregation, arrays: Arrays, most_weight: int) -> str:
    """Why sums may not fit 32 bits, or "".

    Args:
        op: The operation.
        arrays: Its constants.
        most_weight: Largest sum of a node's weights without their signs.
    """
    if op.dtype == "float32" or not op.is_sum:
        return ""
    bias = int(np.abs(arrays["bias"].astype(np.int64)).max()) if op.has_bias else 0
    largest = sum_limit(most_weight) + bias
    return "" if largest <= LARGEST_SUM else f"sums up to {largest} overflow 32 bits"


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
        starts = range(0, count, lanes)
        sums = vector.local(len(starts) * lanes, self.wide)
        first = vector.bind(self._first(degree))
        for at in starts:
            vector.store(sums, at, vector.splat(first, lanes), lanes)
        total_weight = vector.local(1, "int32")
        vector.store(total_weight, 0, T.int32(0))
        with T.serial(0, degree) as index:
            edge = vector.bind(begin + index)
            self._ask(edge, start)
            row = vector.bind(
                vector.load(self.operands["places"], edge) * op.channels + start)
            weight = None
            if op.weight_dtype is not None:
                weight = vector.bind(
                    vector.cast(vector.load(self.operands["weight"], edge), self.wide, 1))
                if not self.is_float:
                    vector.store(total_weight, 0, vector.load(total_weight, 0) + weight)
            for at in starts:
                x = vector.load(self.operands["x"], row + at, lanes)
                found = self._combine(
                    vector.load(sums, at, lanes), vector.cast(x, self.wide, lanes), weight)
                vector.store(sums, at, found, lanes)
        zero = None
        if not self.is_float:
            counted = degree if op.weight_dtype is None else vector.load(total_weight, 0)
            zero_point = vector.load(self.operands["zero_point"], 0)
            zero = vector.bind(zero_point * counted if op.is_sum else zero_point)
        return [self._end(vector.load(sums, at, lanes), start + at, zero, count - at)
                for at in starts]

    def _first(self, degree: Expr) -> Expr:
        """What a fold starts from: integers have their zero point in them until its end."""
        op = self.op
        if op.is_sum:
            return T.float32(0.0) if self.is_float else T.int32(0)
        zero = T.float32(0.0) if self.is_float else vector.load(
            self.operands["zero_point"], 0)
        if op.from_zero:
            return zero
        sign = -1 if op.kind == "max" else 1
        last = T.float32(sign * np.inf) if self.is_float else T.int32(sign * 2**30)
        return T.Select(degree == 0, zero, last)

    def _combine(self, total: Expr, x: Expr, weight: Expr | None) -> Expr:
        if not self.op.is_sum:
            return T.max(total, x) if self.op.kind == "max" else T.min(total, x)
        if weight is None:
            return total + x
        lanes = self.isa.lanes
        if self.is_float:
            return vector.fma(vector.splat(weight, lanes), x, total, lanes)
        return total + vector.splat(weight, lanes) * x

    def _end(self, total: Expr, channel: Expr, zero: Expr | None, valid: int) -> Expr:
        """Take the zero points away and add the bias."""
        lanes = self.isa.lanes
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
