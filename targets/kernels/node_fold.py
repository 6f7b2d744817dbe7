"""Emit the fold of one node's edges: sums in registers.

Rows of features come from anywhere: those of later edges are asked for while these are added,
which is most of the time of a graph that no cache holds.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from tvm import tirx
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import Expr, Isa
from octavo.targets.kernels.edge_weights import CACHED_BYTES, EdgeWeights
from octavo.targets.kernels.panel_prefetch import LINE_BYTES
from octavo.targets.ops.aggregation import LARGEST_DIFFERENCE, Aggregation
from octavo.targets.ops.edge_order import PLACES_BEHIND

HALF_WORDS = {"uint8": "uint16", "int8": "int16"}  # what holds sums of bytes at first
HALF_WORD_MESSAGE = 256  # times 255, or -256 times 128: largest sums that fit there


def places_ahead(op: Aggregation) -> int:
    """Edges behind the last one whose rows are asked for."""
    return PLACES_BEHIND if op.sources * _row_bytes(op) > CACHED_BYTES else 0


class NodeFold:
    """Emits the fold of one node's edges, for any of its channels.

    Args:
        op: The operation.
        isa: Instructions.
        operands: As of ``octavo.targets.kernels.aggregation.NodeFolds``.
        node: The node.
        begin: Place of its first edge.
        degree: Its edges.
        head: The head whose channels are computed, None for those of all heads.
    """

    def __init__(
        self, op: Aggregation, isa: Isa, operands: Mapping[str, Any], node: Expr, begin: Expr,
        degree: Expr, head: Expr | None,
    ) -> None:
        self.op, self.isa, self.operands = op, isa, operands
        self.node, self.begin, self.degree, self.head = node, begin, degree, head
        self.is_float = op.dtype == "float32"
        self.wide = "float32" if self.is_float else "int32"
        if op.is_sum:
            is_plain = op.weight_dtype is None
            self.held = HALF_WORDS.get(op.dtype, self.wide) if is_plain else self.wide
        else:
            self.held = op.dtype
        self.width = isa.lanes * 4 // np.dtype(self.held).itemsize
        self.weights: EdgeWeights | None = None

    def emit(self, channel: Expr, count: int) -> list[Expr]:
        """Fold ``count`` channels from one on; whole vectors, read behind the last."""
        lanes, width = self.isa.lanes, self.width
        size = -(-count // width) * width
        if self.op.weight_dtype is not None:
            self.weights = EdgeWeights(self.op, self.operands, self.head)
        self._load_target(channel, size)
        folded = vector.local(size, self.held)
        if self.held in HALF_WORDS.values():
            folded = self._sum_in_chunks(folded, channel, size)
        else:
            self._fill(folded, size, vector.bind(self._first()), width)
            self._take(folded, self.begin, self.degree, channel, size)
        zero = None if self.is_float else self._zero()
        return [self._end(vector.load(folded, at, lanes), channel + at, zero)
                for at in range(0, count, lanes)]

    def _sum_in_chunks(self, folded: Any, channel: Expr, size: int) -> Any:
        """Add up messages in 16 bits, as many as are sure to fit, and those sums in 32."""
        lanes = self.isa.lanes
        most = HALF_WORD_MESSAGE * LARGEST_DIFFERENCE // self.op.largest_message
        sums = vector.local(size, self.wide)
        self._fill(sums, size, T.int32(0), lanes)
        with T.serial(0, (self.degree + (most - 1)) // most) as chunk:
            done = vector.bind(chunk * most)
            self._fill(folded, size, tirx.const(0, self.held), self.width)
            some = T.min(T.int32(most), self.degree - done)
            self._take(folded, self.begin + done, some, channel, size)
            for at in range(0, size, lanes):
                more = vector.cast(vector.load(folded, at, lanes), self.wide, lanes)
                vector.store(sums, at, vector.load(sums, at, lanes) + more, lanes)
        return sums

    def _load_target(self, channel: Expr, size: int) -> None:
        """Load what the node itself adds to every message."""
        if self.op.pair is None:
            return
        row = vector.bind(self.node * self.op.channels + channel)
        self.own = [
            vector.bind(vector.cast(
                vector.load(self.operands["target"], row + at, self.width),
                self.held, self.width))
            for at in range(0, size, self.width)]
        lowest: Expr = T.float32(0)
        if not self.is_float:
            twice = vector.load(self.operands["zero_point"], 0) * 2
            lowest = vector.cast(twice, self.held, 1)
        self.lowest = vector.bind(vector.splat(lowest, self.width))

    def _take(self, folded: Any, begin: Expr, count: Expr, channel: Expr, size: int) -> None:
        """Fold the rows of ``count`` edges, and add their weights."""
        op, width = self.op, self.width
        with T.serial(0, count) as index:
            edge = vector.bind(begin + index)
            self._ask(edge, channel, size)
            row = vector.bind(
                vector.load(self.operands["places"], edge) * op.channels + channel)
            weight = None if self.weights is None else self.weights.load(edge)
            for block, at in enumerate(range(0, size, width)):
                x = vector.load(self.operands["x"], row + at, width)
                x = vector.cast(x, self.held, width)
                if op.pair is not None:
                    x = self.own[block] + x
                    x = T.max(x, self.lowest) if op.pair == "relu" else x
                held = vector.load(folded, at, width)
                if weight is not None and self.weights is not None:
                    weighed = self.weights.spread(weight, channel + at, width)
                    found = self._weighed(held, x, weighed)
                else:
                    found = self._combine(held, x)
                vector.store(folded, at, found, width)

    def _fill(self, buffer: Any, size: int, value: Expr, lanes: int) -> None:
        for at in range(0, size, lanes):
            vector.store(buffer, at, vector.splat(value, lanes), lanes)

    def _first(self) -> Expr:
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
        return T.Select(self.degree == 0, zero, tirx.const(last, op.dtype))

    def _combine(self, total: Expr, x: Expr) -> Expr:
        if self.op.is_sum:
            return total + x
        return T.max(total, x) if self.op.kind == "max" else T.min(total, x)

    def _weighed(self, total: Expr, x: Expr, weight: Expr) -> Expr:
        if self.is_float:
            return vector.fma(weight, x, total, self.width)
        return total + weight * x

    def _zero(self) -> Expr:
        """What zero points are of a fold; of each head, if there are several at a time."""
        zero_point = vector.load(self.operands["zero_point"], 0)
        if not self.op.is_sum:
            return vector.bind(zero_point)
        if self.op.pair is not None:
            zero_point = zero_point * 2
        if self.weights is None:
            return vector.bind(zero_point * self.degree)
        every = vector.splat(zero_point, self.weights.count)
        return vector.bind(every * self.weights.total())

    def _end(self, total: Expr, channel: Expr, zero: Expr | None) -> Expr:
        """Take the zero points away and add the bias."""
        lanes = self.isa.lanes
        total = vector.cast(total, self.wide, lanes)
        if zero is not None:
            total = total - (
                self.weights.spread(zero, channel, lanes) if self.weights is not None
                else vector.splat(zero, lanes))
        if self.op.has_bias:
            total = total + self._bias(channel)
        return vector.bind(total)

    def _bias(self, channel: Expr) -> Expr:
        """A vector of biases."""
        if self.op.bias_by_node:
            channel = self.node * self.op.channels + channel
        return vector.load(self.operands["bias"], channel, self.isa.lanes)

    def _ask(self, edge: Expr, channel: Expr, size: int) -> None:
        """Fetch ``size`` channels of the row of a later edge."""
        ahead = places_ahead(self.op)
        if not ahead:
            return
        row = vector.bind(
            vector.load(self.operands["places"], edge + ahead) * self.op.channels + channel)
        step = LINE_BYTES // np.dtype(self.op.dtype).itemsize
        for at in range(0, min(size, self.op.channels), step):
            vector.prefetch(self.operands["x"], row + at)


def _row_bytes(op: Aggregation) -> int:
    return op.channels * np.dtype(op.dtype).itemsize
