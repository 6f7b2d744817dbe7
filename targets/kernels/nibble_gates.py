"""Recurrent weights of 4 bits, packed: read in every step, they are what a step waits for."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import Expr, Isa
from octavo.targets.kernel import Slower
from octavo.targets.kernels.nibble_tile import (
    MAX_ROWS,
    NibbleTile,
    far_bytes,
    join_halves,
    nibble_tile,
    reject_weights,
)
from octavo.targets.kernels.packed_gates import PackedGates, Parameter
from octavo.targets.kernels.register_tile import RegisterTile
from octavo.targets.ops.recurrent import Arrays, Recurrent


class NibbleGates(PackedGates):
    """As ``PackedGates``, two weights in a byte."""

    @property
    def pairs(self) -> int:
        """Pairs of steps; the last may be of one."""
        return -(-self.steps // 2)

    def parameters(self) -> list[Parameter]:
        """Constant operands."""
        (name, _, dtype), *others = super().parameters()
        weights = self.op.directions * self.columns * self.pairs * self.isa.dot_k
        return [(name, weights, dtype), *others]

    def constants(self, arrays: Arrays) -> list[NDArray[Any]]:
        """Pack them: weights [direction][block][pair of steps][gate][lane][k]."""
        weight, *others = super().constants(arrays)
        width = self.block_columns * self.isa.dot_k
        steps = weight.reshape(-1, self.steps, width)
        full = np.zeros((len(steps), 2 * self.pairs, width), np.int8)
        full[:, : self.steps] = steps
        return [join_halves(full[:, ::2], full[:, 1::2]).reshape(-1), *others]

    def multiply(
        self,
        operands: Mapping[str, Any],
        direction: Expr,
        block: Expr,
        source: Any,
        offsets: Sequence[Expr],
    ) -> RegisterTile:
        """Emit the product of some rows with all gates of one vector of features."""
        isa, lanes, rows = self.isa, self.isa.lanes, len(offsets)
        # Two tiles, so that enough sums are under way.
        tiles = [nibble_tile(isa, rows, self.count) for _ in range(2)]
        at = vector.bind(direction * self.columns + block * self.block_columns)
        zero = vector.splat(T.int32(0), lanes)
        for gate in range(self.count):
            start = vector.bind(
                vector.load(operands[self.name("start")], at + gate * lanes, lanes)
            )
            for row in range(rows):
                tiles[0].start(row, gate, start)
                tiles[1].start(row, gate, zero)
        width = self.block_columns * isa.dot_k
        first = vector.bind(at * (self.pairs * isa.dot_k))

        def add(tile: NibbleTile, pair: Expr, steps: int = 2) -> None:
            inputs = [offset + pair * (2 * isa.dot_k) for offset in offsets]
            weights = operands[self.name("weight")]
            tile.step_pair(source, inputs, weights, first + pair * width, steps)

        whole = self.steps // 2
        if whole > 1:
            with vector.loop(whole // 2) as group:
                for index, tile in enumerate(tiles):
                    add(tile, group * 2 + index)
        if whole % 2:
            add(tiles[0], whole - 1)
        if self.steps % 2:
            add(tiles[1], whole, steps=1)
        tiles[0].add(tiles[1])
        return tiles[0]


def reject_nibbles(op: Recurrent, isa: Isa) -> str:
    """Why recurrent weights are better read as bytes, or an empty string."""
    if op.batch > MAX_ROWS:
        return Slower(f"{op.batch} rows for each weight; packed weights win with few")
    num_bytes = op.gates * op.hidden**2
    if num_bytes < far_bytes(isa):
        return Slower(f"{num_bytes} bytes of recurrent weights stay in a near cache")
    return ""


def reject_recurrent_weights(isa: Isa, arrays: Arrays) -> str:
    """Why recurrent weights cannot be packed, or an empty string."""
    return reject_weights(arrays["recurrent"], isa)
