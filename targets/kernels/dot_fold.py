"""Emit the fold of one node's edges, four of them at a time: a dot product of bytes.

Rows of four edges are put side by side, byte for byte, and multiplied by their four weights,
which lie in the order of places. The edges that a last group has too many belong to others, or
are no edges; their weights are 0.
"""

from typing import Any

from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import JOINED_VECTORS, Expr, Isa
from octavo.targets.kernels.node_fold import NodeFold
from octavo.targets.kernels.spans import shuffle
from octavo.targets.ops.aggregation import Aggregation

GROUP_EDGES = 4
SIGNS = -0x7F7F7F80  # the upper bit of every byte of a word: 128 more, or less, modulo 256
ONES = 0x01010101


def multiplies_groups(op: Aggregation, isa: Isa) -> bool:
    """Whether instructions multiply and add four bytes as fast as they multiply one."""
    return (
        isa.dots_registers
        and op.is_sum
        and op.weight_dtype in ("uint8", "int8")
        and op.heads == 1
        and op.pair is None
        and op.edges >= GROUP_EDGES
        and not getattr(op, "by_edge", False)
    )


class DotFold(NodeFold):
    """Emits the fold of one node's edges, if ``multiplies_groups``."""

    def emit(self, channel: Expr, count: int) -> list[Expr]:
        """Fold ``count`` channels from one on; whole vectors, read behind the last."""
        lanes = self.isa.lanes
        size = -(-count // lanes) * lanes
        sums, weights = vector.local(size, "int32"), vector.local(lanes, "int32")
        self._fill(sums, size, T.int32(0), lanes)
        self._fill(weights, lanes, T.int32(0), lanes)
        groups = (self.degree + (GROUP_EDGES - 1)) // GROUP_EDGES
        with T.serial(0, groups) as group:
            done = vector.bind(group * GROUP_EDGES)
            place = vector.bind(self.begin + done)
            word = self._weights(place, vector.bind(self.degree - done))
            rows = []
            for edge in range(GROUP_EDGES):
                self._ask(place + edge, channel, size)
                source = vector.load(self.operands["places"], place + edge)
                rows.append(vector.bind(source * self.op.channels + channel))
            self._add(weights, 0, vector.splat(T.int32(ONES), lanes), word)
            for at in range(0, size, self._step(size)):
                self._take_rows(sums, rows, at, size, word)
        zero_point = vector.load(self.operands["zero_point"], 0) - self._moved
        every = vector.bind(vector.load(weights, 0, lanes))
        zero = vector.bind(vector.splat(zero_point, lanes) * every)
        return [
            self._finished(total, channel + at, zero)
            for at, total in zip(
                range(0, count, lanes), self._ordered(sums, size), strict=True
            )
        ]

    def _step(self, size: int) -> int:
        """Channels that are put side by side at a time."""
        block = JOINED_VECTORS * self.isa.lanes
        return block if size % block == 0 else self.isa.lanes

    @property
    def _is_flipped(self) -> bool:
        """One factor is signed and the other one is not: where both are alike, rows change."""
        return self.op.dtype == self.op.weight_dtype

    @property
    def _moved(self) -> int:
        """What rows have less than they say."""
        if not self._is_flipped:
            return 0
        return 128 if self.op.dtype == "uint8" else -128

    def _weights(self, place: Expr, left: Expr) -> Expr:
        """The weights of a group as one word; 0 for all but the first ``left`` edges."""
        # Nothing is read behind the last weight: the word before it is moved.
        at = vector.bind(T.min(place, T.int32(self.op.edges - GROUP_EDGES)))
        loaded = vector.load(self.operands["weight"], at, GROUP_EDGES)
        word = T.reinterpret("uint32", loaded)
        word = T.shift_right(word, vector.cast((place - at) * 8, "uint32", 1))
        none = vector.cast(32 - T.min(left, T.int32(GROUP_EDGES)) * 8, "uint32", 1)
        kept = T.shift_right(T.uint32(0xFFFFFFFF), none)
        masked = vector.bind(T.bitwise_and(word, kept))
        return vector.bind(vector.splat(T.reinterpret("int32", masked), self.isa.lanes))

    def _take_rows(self, sums: Any, rows: list[Expr], at: int, size: int, word: Expr) -> None:
        """Add the products of four rows, of as many channels as one step has."""
        lanes, step = self.isa.lanes, self._step(size)
        read = [vector.bind(vector.load(self.operands["x"], row + at, step)) for row in rows]
        if step == lanes:
            together = [self.isa.interleave(read)]
        else:
            together = self.isa.spread_blocks(read)
        for index, joined in enumerate(together):
            row = T.reinterpret(f"int32x{lanes}", joined)
            if self._is_flipped:
                row = T.bitwise_xor(row, vector.splat(T.int32(SIGNS), lanes))
            self._add(sums, at + index * lanes, vector.bind(row), word)

    def _add(self, sums: Any, at: int, rows: Expr, word: Expr) -> None:
        """Add dot products: the unsigned factor is the one that is not of weights."""
        lanes = self.isa.lanes
        pair = (word, rows) if self.op.weight_dtype == "uint8" else (rows, word)
        signed = T.reinterpret(f"int8x{GROUP_EDGES * lanes}", pair[1])
        total = self.isa.dot(vector.load(sums, at, lanes), pair[0], signed)
        vector.store(sums, at, total, lanes)

    def _ordered(self, sums: Any, size: int) -> list[Expr]:
        """Vectors of sums in the order of channels."""
        lanes, step = self.isa.lanes, self._step(size)
        found = [vector.bind(vector.load(sums, at, lanes)) for at in range(0, size, lanes)]
        if step == lanes:
            return found
        # Block b of vector v has the channels from JOINED_VECTORS * n * b + n * v on.
        n = self.isa.block_lanes
        ordered = []
        for first in range(0, len(found), JOINED_VECTORS):
            joined = found[first : first + JOINED_VECTORS]
            for start in range(0, step, lanes):
                picked = []
                for element in range(start, start + lanes):
                    block, rest = divmod(element, JOINED_VECTORS * n)
                    picked.append(rest // n * lanes + block * n + rest % n)
                ordered.append(vector.bind(shuffle(joined, picked)))
        return ordered

    def _finished(self, total: Expr, channel: Expr, zero: Expr) -> Expr:
        """Take the zero points away and add the bias."""
        total = total - zero
        if self.op.has_bias:
            total = total + self._bias(channel)
        return vector.bind(total)
