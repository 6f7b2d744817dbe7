"""Emit aggregations: every node's edges are folded, and the result is rounded once.

The edges of a node lie side by side, so its sums never go to memory.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import JOINED_VECTORS, Expr, Isa, clamp
from octavo.targets.kernels.dot_fold import DotFold, multiplies_groups
from octavo.targets.kernels.epilogue import constant_arrays, constant_parameters
from octavo.targets.kernels.float_epilogue import LIMITS
from octavo.targets.kernels.node_fold import NodeFold
from octavo.targets.kernels.parallel import PARALLEL_ELEMENTS
from octavo.targets.kernels.pool import finish_sums
from octavo.targets.kernels.rescale import Rescale, for_blocks, scalar
from octavo.targets.ops.aggregation import Aggregation

Arrays = Mapping[str, NDArray[Any]]
Parameter = tuple[str, int, str]

ROWS_AHEAD = 8  # results whose memory is asked for, where nodes have an order of their own
TASK_NODES = 64  # nodes of one task: the loads of constants are shared


def constants_of(op: Aggregation) -> list[Parameter]:
    """Constants of the fold and of its end, in the order of operands."""
    wide = "float32" if op.dtype == "float32" else "int32"
    return [
        *([] if op.dtype == "float32" else [("zero_point", 1, "int32")]),
        *([("bias", op.num_biases, wide)] if op.has_bias else []),
        *constant_parameters(op.requantize, op.num_multipliers),
        *([LIMITS] if op.has_limits else []),
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
        operands: Buffers "x", "target" of pairs, "y", those of ``constants_of``, and of the
            edges in the order of nodes: "offsets", from which on node i has its own; "places",
            the row of x, and ``places_ahead`` more of them; "weight" where there are such, and
            "ids" if they lie by the number of the edge. With "rows", offset i is of the node
            rows[i]; ``ROWS_AHEAD`` more of them.
    """

    def __init__(self, op: Aggregation, isa: Isa, operands: Mapping[str, Any]) -> None:
        self.op = op
        self.isa = isa
        self.operands = operands
        # Half of the registers hold sums; the others what is added, and constants.
        vectors = max(isa.num_registers // 2 // JOINED_VECTORS, 1) * JOINED_VECTORS
        self.block = vectors * isa.lanes
        self.limits: list[Expr] = []

    def emit(self) -> None:
        """Emit the loop over nodes."""
        op = self.op
        is_parallel = (op.nodes + op.edges) * op.channels >= PARALLEL_ELEMENTS
        with vector.loop(-(-op.nodes // TASK_NODES), parallel=is_parallel) as task:
            finish = Rescale(op.requantize, self.isa, self.operands)
            if op.has_limits:
                self.limits = [
                    vector.bind(vector.splat(
                        vector.load(self.operands["limits"], i), self.isa.lanes))
                    for i in (0, 1)]
            first = vector.bind(T.int32(0) + task * TASK_NODES)
            count = vector.bind(T.min(T.int32(TASK_NODES), T.int32(op.nodes) - first))
            with T.serial(0, count) as index:
                self._node(finish, vector.bind(first + index))

    def _node(self, finish: Rescale, index: Expr) -> None:
        op = self.op
        begin, end = (
            vector.bind(vector.load(self.operands["offsets"], index + i)) for i in (0, 1))
        node = index
        if "rows" in self.operands:
            node = vector.bind(vector.load(self.operands["rows"], index))
            later = vector.load(self.operands["rows"], index + ROWS_AHEAD)
            vector.prefetch(self.operands["y"], later * op.channels)
        degree = vector.bind(end - begin)
        scales = self._scales(finish, node, degree)
        # Heads take turns where a block does not hold the channels of all of them.
        turns = 1 if op.channels <= self.block else op.heads
        with vector.loop(turns) as head:
            is_alone = turns == 1
            kind = DotFold if multiplies_groups(op, self.isa) else NodeFold
            fold = kind(
                op, self.isa, self.operands, node, begin, degree,
                None if is_alone else head)
            base = 0 if is_alone else vector.bind(head * (op.channels // turns))

            def emit(start: Expr, count: int) -> None:
                sums = fold.emit(base + start, count)
                for at in range(0, count, finish.block):
                    some = min(finish.block, count - at)
                    self._finish(
                        finish, [sums[(at + place) // self.isa.lanes]
                                 for place in finish.starts(some)],
                        scales, node * op.channels + base + start + at, some)

            for_blocks(op.channels // turns, self.block, emit)

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

    def _finish(
        self, finish: Rescale, sums: list[Expr], scales: list[Expr], offset: Expr, count: int
    ) -> None:
        """Scale, limit and store vectors of sums."""
        if not self.op.has_limits:
            finish_sums(finish, sums, scales, offset, count)
            return
        lanes = self.isa.lanes
        scale = vector.splat(scales[0], lanes)
        reals = [
            clamp(vector.cast(total, "float32", lanes) * scale, *self.limits)
            for total in sums]
        finish.store_reals(reals, offset, count)
