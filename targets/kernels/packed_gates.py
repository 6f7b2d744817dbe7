"""Weights of recurrent gates: packed for the inner loop, multiplied, scaled to gate inputs."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import Expr, Isa, clamp
from octavo.targets.kernels.register_tile import RegisterTile, register_tile
from octavo.targets.ops.fixed_point import GATE_LIMIT
from octavo.targets.ops.recurrent import Arrays, Recurrent, X, Y

MAX_DEPTH = 1 << 14  # products and their zero-point corrections stay below 2**31
FREE_REGISTERS = 2  # the repeated activation, and one temporary of ``dot``
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
            (self.name("shift"), n, "int32"),
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
        fixed = [
            self._split(arrays[f"{self.part}_{what}"][..., None])[..., 0].astype(dtype)
            for what, dtype in (("significand", np.int32), ("bias", np.int64),
                                ("shift", np.int32))
        ]
        columns = [
            np.ascontiguousarray(a.transpose(0, 2, 1, 3)).reshape(-1)
            for a in (start.astype(np.int32), *fixed)
        ]
        return [np.ascontiguousarray(packed).reshape(-1), *columns]

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
        depth = self.steps * self.isa.dot_k
        with vector.loop(self.steps) as step:
            tile.step(
                source, [offset + step * self.isa.dot_k for offset in offsets],
                operands[self.name("weight")],
                at * depth + step * (self.block_columns * self.isa.dot_k))
        return tile

    def gate_input(
        self, operands: Mapping[str, Any], acc: Expr, direction: Expr, block: Expr, gate: int
    ) -> Expr:
        """Scale the accumulators of one gate, counted from the first: ``apply_rows``."""
        lanes = self.isa.lanes
        at = direction * self.columns + block * self.block_columns + gate * lanes

        def wide(what: str) -> Expr:
            value = vector.load(operands[self.name(what)], at, lanes)
            return vector.cast(value, "int64", lanes)

        product = vector.cast(acc, "int64", lanes) * wide("significand") + wide("bias")
        value = T.shift_right(product, wide("shift"))
        limit = vector.splat(T.int64(GATE_LIMIT), lanes)
        low = vector.splat(T.int64(-GATE_LIMIT), lanes)
        return vector.bind(vector.cast(clamp(value, low, limit), "int32", lanes))


def reject_recurrent(op: Recurrent, isa: Isa) -> str:
    """Why no recurrent kernel serves a layer, or an empty string."""
    if op.dtype != isa.activation_dtype:
        return f"{op.dtype} activations; {isa.name} multiplies {isa.activation_dtype}"
    features = max(op.inputs, op.hidden)
    if features > MAX_DEPTH:
        return f"{features} features; sums are proved to fit up to {MAX_DEPTH}"
    return ""
