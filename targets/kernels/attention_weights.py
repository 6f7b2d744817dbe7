"""Emit the weights of a row of scores: see ``octavo.targets.ops.attention.weights``."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tvm import tirx
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import JOINED_VECTORS, Expr, Isa
from octavo.targets.ops.attention import LARGEST_WEIGHT, OCTAVE_BITS, POWER_COEFFICIENTS

LOWEST_SCORE = -(1 << 31)
WORD_BITS = 16
FARTHEST = (1 << WORD_BITS) - 1  # 1/4096 octaves: the weight is 0
MAX_WORD_SUMS = ((1 << WORD_BITS) - 1) // (2 * LARGEST_WEIGHT)  # of two weights in each lane

# Takes the place of a vector of columns and gives its int32 scores.
Scores = Callable[[Expr], Expr]


@dataclass(frozen=True)
class RowWeights:
    """Turns int32 scores into uint8 weights, whole vectors at a time.

    Attributes:
        isa: Instructions.
        columns: Scores in a row; those that fill its last vector are never the largest.
        step: int32 buffer: farthest distance, significand and shift, see ``Attention``.
    """

    isa: Isa
    columns: int
    step: Any

    @property
    def vectors(self) -> int:
        """Vectors of a row; the last may be partial."""
        return -(-self.columns // self.isa.lanes)

    def emit(self, scores: Scores, weights: Any, weights_at: Expr) -> Expr:
        """Write the weights of a row.

        Args:
            scores: The row.
            weights: uint8 buffer with room for whole groups of ``JOINED_VECTORS`` vectors.
            weights_at: First weight.

        Returns:
            The sum of the weights, int32.
        """
        largest = vector.splat(self._largest(scores), self.isa.lanes)
        largest = vector.bind(largest)
        lanes = self.isa.lanes
        total = vector.local(lanes, "int32")
        vector.store(total, 0, vector.splat(T.int32(0), lanes), lanes)
        full, rest = divmod(self.vectors, JOINED_VECTORS)
        sums = vector.local(2 * lanes, "uint16")
        for start in range(0, full, MAX_WORD_SUMS):
            count = min(MAX_WORD_SUMS, full - start)
            self._clear(sums)
            with vector.loop(count) as index:
                group = (start + index) * JOINED_VECTORS
                self._group(scores, group, JOINED_VECTORS, largest, sums, weights, weights_at)
            self._flush(sums, total)
        if rest:
            self._clear(sums)
            group = full * JOINED_VECTORS
            self._group(scores, group, rest, largest, sums, weights, weights_at)
            self._flush(sums, total)
        return vector.bind(vector.intrinsic(
            "int32", 1, "llvm.vector.reduce.add", vector.load(total, 0, lanes)))

    def _largest(self, scores: Scores) -> Expr:
        lanes = self.isa.lanes
        best = vector.local(lanes, "int32")
        vector.store(best, 0, vector.splat(T.int32(LOWEST_SCORE), lanes), lanes)
        with vector.loop(self.vectors) as index:
            value = scores(index * lanes)
            vector.store(best, 0, T.max(vector.load(best, 0, lanes), value), lanes)
        return vector.bind(vector.intrinsic(
            "int32", 1, "llvm.vector.reduce.smax", vector.load(best, 0, lanes)))

    def _group(
        self, scores: Scores, first: Expr, count: int, largest: Expr, sums: Any,
        weights: Any, weights_at: Expr,
    ) -> None:
        """Weights of up to ``JOINED_VECTORS`` vectors, joined to one vector of bytes."""
        isa, lanes = self.isa, self.isa.lanes
        octaves = [
            self._octaves(largest - scores((first + i) * lanes)) for i in range(count)]
        nothing = vector.splat(T.int32(FARTHEST), lanes)
        if count < JOINED_VECTORS or self.vectors % JOINED_VECTORS == 0:
            # The group may be the last, with columns that do not exist.
            octaves[-1] = self._existing(first + count, octaves[-1], nothing)
        octaves += [nothing] * (JOINED_VECTORS - count)
        words = [
            vector.bind(self._powers(vector.bind(isa.join_words(*octaves[i : i + 2]))))
            for i in range(0, JOINED_VECTORS, 2)]
        added = vector.load(sums, 0, 2 * lanes) + words[0] + words[1]
        vector.store(sums, 0, added, 2 * lanes)
        joined = isa.join_bytes(*words)
        vector.store(weights, weights_at + first * lanes, joined, JOINED_VECTORS * lanes)

    def _existing(self, end: Expr, octaves: Expr, nothing: Expr) -> Expr:
        """Put lanes behind the last column out of reach; ``end`` counts vectors."""
        lanes = self.isa.lanes
        if self.columns % lanes == 0:
            return octaves
        left = T.int32(self.columns) - (end - 1) * lanes
        exists = tirx.Ramp(T.int32(0), 1, lanes) < vector.splat(left, lanes)
        return vector.bind(tirx.Select(exists, octaves, nothing))

    def _octaves(self, distance: Expr) -> Expr:
        """Distance in 1/4096 octaves."""
        limit, significand, shift = (
            vector.splat(vector.load(self.step, i), self.isa.lanes) for i in range(3))
        return vector.bind(T.shift_right(T.min(distance, limit) * significand, shift))

    def _powers(self, octaves: Expr) -> Expr:
        """uint16 weights of uint16 octaves."""
        lanes = 2 * self.isa.lanes

        def word(value: int) -> Expr:
            return vector.splat(T.uint16(value), lanes)

        def multiply_high(a: Expr, b: Expr) -> Expr:
            wide = vector.cast(a, "uint32", lanes) * vector.cast(b, "uint32", lanes)
            high = T.shift_right(wide, vector.splat(T.uint32(WORD_BITS), lanes))
            return vector.cast(high, "uint16", lanes)

        x = vector.bind(T.shift_left(octaves, word(WORD_BITS - OCTAVE_BITS)))
        power = word(POWER_COEFFICIENTS[-1])
        for coefficient in POWER_COEFFICIENTS[-2::-1]:
            power = word(coefficient) - multiply_high(x, power)
        whole = T.shift_right(octaves, word(OCTAVE_BITS))
        rounded = T.shift_right(power, whole) + word(128)
        return T.shift_right(rounded, word(8))

    def _clear(self, sums: Any) -> None:
        lanes = 2 * self.isa.lanes
        vector.store(sums, 0, vector.splat(T.uint16(0), lanes), lanes)

    def _flush(self, sums: Any, total: Any) -> None:
        """Add up words before they overflow."""
        lanes = self.isa.lanes
        for half in (0, lanes):
            part = vector.cast(vector.load(sums, half, lanes), "int32", lanes)
            vector.store(total, 0, vector.load(total, 0, lanes) + part, lanes)

