"""Weights of recurrent gates: packed for the inner loop, multiplied, scaled to gate inputs."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import Expr, Isa
from octavo.targets.kernels.fixed_lanes import FixedLanes
from octavo.targets.kernels.register_tile import RegisterTile, register_tile
from octavo.targets.ops.recurrent import Arrays, Recurrent, X, Y

MAX_DEPTH = 1 << 14  # products and their zero-point corrections stay below 2**31
FREE_REGISTERS = 2  # the repeated activation, and one temporary of ``dot``
# Sums that must be under way at once to keep the multipliers busy: two operations a cycle of
# four to five cycles each, on every x86 core with VNNI.
MIN_CHAINS = 8
Parameter = tuple[str, int, str]


class PackedGates:
    """Weights and fixed-point rows of some gates, as the inner loop reads them.

    Attributes:
        op: The layer.
        isa: Instructions.
        part: "input" or "recurrent": which product.
        first: First gate.
        count: Number of gates.
    """

    def __init__(self, op: Recurrent, isa: Isa, part: str, first: int, count: int) -> None:
        self.op, self.isa, self.part, self.first, self.count = op, isa, part, first, count

    @property
    def depth(self) -> int:
        """Elements of a row of weights."""
        return self.op.inputs if self.part == "input" else self.op.hidden

    @property
    def steps(self) -> int:
        """``dot`` operations of a row."""
        return -(-self.depth // self.isa.dot_k)

    @property
    def blocks(self) -> int:
        """Vectors of hidden features."""
        return -(-self.op.hidden // self.isa.lanes)

    @property
    def block_columns(self) -> int:
        """Columns of one vector of features, all gates."""
        return self.count * self.isa.lanes

    @property
    def columns(self) -> int:
        """Columns of one direction."""
        return self.blocks * self.block_columns

    @property
    def max_rows(self) -> int:
        """Rows of a register tile."""
        return max(1, (self.isa.num_registers - FREE_REGISTERS - self.count) // self.count)

    def name(self, what: str) -> str:
        """Name of an operand."""
        return f"{self.part}{self.first}_{what}"

    def parameters(self) -> list[Parameter]:
        """Constant operands."""
        n = self.op.directions * self.columns
        return [
            (self.name("weight"), n * self.steps * self.isa.dot_k, "int8"),
            (self.name("start"), n, "int32"),
            (self.name("significand"), n, "int32"),
            (self.name("bias"), n, "int64"),
            (self.name("shift"), n, "int64"),
        ]

    def constants(self, arrays: Arrays) -> list[NDArray[Any]]:
        """Pack them: weights [direction][block][step][gate][lane][k], else without step, k."""
        weight = arrays["weight" if self.part == "input" else "recurrent"]
        zero_point = int(arrays["zero_points"][X if self.part == "input" else Y])
        rows = self._split(weight)  # (directions, gates, blocks, lanes, depth)
        padded = np.zeros((*rows.shape[:-1], self.steps * self.isa.dot_k), np.int8)
        padded[..., : self.depth] = rows
        split = padded.reshape(*rows.shape[:-1], self.steps, self.isa.dot_k)
        packed = split.transpose(0, 2, 4, 1, 3, 5)
        start = -zero_point * rows.astype(np.int64).sum(axis=-1)
        significand, bias, shift = (
            self._columns(self._split(arrays[f"{self.part}_{what}"][..., None])[..., 0])
            for what in ("significand", "bias", "shift"))
        order = FixedLanes(self.isa).wide.order
        return [
            self.isa.order_columns(np.ascontiguousarray(packed).reshape(-1)),
            self._columns(start).astype(np.int32),
            significand.astype(np.int32),
            order(bias),
            order(shift),
        ]

    @staticmethod
    def _columns(values: NDArray[Any]) -> NDArray[Any]:
        """Order (directions, gates, blocks, lanes) as the columns of weights are."""
        return np.ascontiguousarray(values.transpose(0, 2, 1, 3)).reshape(-1)

    def _split(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Pad (directions, gates * hidden, n) to (directions, gates, blocks, lanes, n)."""
        op, lanes = self.op, self.isa.lanes
        gates = rows.reshape(op.directions, op.gates, op.hidden, -1)
        gates = gates[:, self.first : self.first + self.count]
        shape = (op.directions, self.count, self.blocks * lanes, gates.shape[-1])
        full = np.zeros(shape, rows.dtype)
        full[:, :, : op.hidden] = gates
        return full.reshape(op.directions, self.count, self.blocks, lanes, -1)

    def multiply(
        self, operands: Mapping[str, Any], direction: Expr, block: Expr,
        source: Any, offsets: Sequence[Expr],
    ) -> RegisterTile:
        """Emit the product of some rows with all gates of one vector of features."""
        lanes = self.isa.lanes
        tile = register_tile(self.isa, len(offsets), self.count)
        at = vector.bind(direction * self.columns + block * self.block_columns)
        for gate in range(self.count):
            start = vector.bind(
                vector.load(operands[self.name("start")], at + gate * lanes, lanes))
            for row in range(len(offsets)):
                tile.start(row, gate, start)
        first = vector.bind(at * (self.steps * self.isa.dot_k))

        def step(into: RegisterTile, index: Expr) -> None:
            into.step(
                source, [offset + index * self.isa.dot_k for offset in offsets],
                operands[self.name("weight")],
                first + index * (self.block_columns * self.isa.dot_k))

        self._accumulate(tile, len(offsets), step)
        return tile

    def _accumulate(
        self, tile: RegisterTile, rows: int, step: Callable[[RegisterTile, Expr], None]
    ) -> None:
        """Run all steps of a tile; a small one gets more accumulators than it has results."""
        width = min(-(-MIN_CHAINS // (rows * self.count)), self.steps)
        tiles = [tile, *(register_tile(self.isa, rows, self.count) for _ in range(1, width))]
        zero = vector.splat(T.int32(0), self.isa.lanes)
        for more in tiles[1:]:
            more.fill(zero)
        full, rest = divmod(self.steps, width)
        with vector.loop(full) as group:
            for i, each in enumerate(tiles):
                step(each, group * width + i)
        for i in range(rest):
            step(tiles[i], T.int32(full * width + i))
        for more in tiles[1:]:
            tile.add(more)

    def gate_input(
        self, operands: Mapping[str, Any], acc: Expr, direction: Expr, block: Expr, gate: int
    ) -> Expr:
        """Scale the accumulators of one gate, counted from the first: ``apply_rows``."""
        lanes, fixed = self.isa.lanes, FixedLanes(self.isa)
        at = direction * self.columns + block * self.block_columns + gate * lanes
        return fixed.apply_rows(
            acc, vector.load(operands[self.name("significand")], at, lanes),
            fixed.wide.load(operands[self.name("bias")], at, lanes),
            fixed.wide.load(operands[self.name("shift")], at, lanes))


def reject_recurrent(op: Recurrent, isa: Isa) -> str:
    """Why no recurrent kernel serves a layer, or an empty string."""
    if op.dtype != isa.activation_dtype:
        return f"{op.dtype} activations; {isa.name} multiplies {isa.activation_dtype}"
    features = max(op.inputs, op.hidden)
    if features > MAX_DEPTH:
        return f"{features} features; sums are proved to fit up to {MAX_DEPTH}"
    return ""
