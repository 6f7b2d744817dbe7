"""Emit the weights of a tile of scores: see ``octavo.targets.ops.attention.weights``."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tvm import tirx
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import JOINED_VECTORS, Expr, Isa
from octavo.targets.ops.attention import LARGEST_WEIGHT, OCTAVE_BITS, POWER_COEFFICIENTS

WORD_BITS = 16
SIGN_BIT = 0x80
FARTHEST = (1 << WORD_BITS) - 1  # 1/4096 octaves: the weight is 0
# Groups whose weights, two in each lane, words can add up, and one more.
MAX_WORD_SUMS = ((1 << WORD_BITS) - 1) // (2 * LARGEST_WEIGHT) - 1

# Takes a row of the tile and the place of a vector of columns; gives its int32 scores.
Scores = Callable[[Expr, Expr], Expr]


@dataclass(frozen=True)
class TileWeights:
    """Turns int32 scores of a tile into weights of 8 bits, whole vectors at a time.

    Instructions that multiply signed bytes get them 128 lower.

    Largest scores, weights and sums have loops of their own: within one, rows do not wait for
    each other, where the three of a single row are one long chain.

    Attributes:
        isa: Instructions.
        rows: Rows of the tile.
        columns: Scores in a row; those that fill its last vector are never the largest.
        step: int32 buffer: farthest distance, significand and shift, see ``Attention``.
    """

    isa: Isa
    rows: int
    columns: int
    step: Any

    @property
    def vectors(self) -> int:
        """Vectors of a row; the last may be partial."""
        return -(-self.columns // self.isa.lanes)

    def emit(self, scores: Scores, weights: Any, places: Callable[[Expr], Expr]) -> Any:
        """Write the weights of all rows.

        Args:
            scores: The tile.
            weights: Of the activations' type, with room for whole groups of
                ``JOINED_VECTORS`` vectors.
            places: First weight of a row.

        Returns:
            int32 local (rows): the sum of each row's weights.
        """
        lanes = self.isa.lanes
        largest = vector.local(self.rows, "int32")
        with vector.loop(self.rows) as row:
            vector.store(largest, row, self._largest(scores, row))
        sums = vector.local(self.rows * lanes, "int32")
        with vector.loop(self.rows) as row:
            top = vector.bind(vector.splat(vector.load(largest, row), lanes))
            self._row(scores, row, top, sums, weights, places(row))
        totals = vector.local(self.rows, "int32")
        with vector.loop(self.rows) as row:
            vector.store(totals, row, vector.intrinsic(
                "int32", 1, "llvm.vector.reduce.add",
                vector.load(sums, row * lanes, lanes)))
        return totals

    def _largest(self, scores: Scores, row: Expr) -> Expr:
        lanes = self.isa.lanes
        best = vector.local(lanes, "int32")
        vector.store(best, 0, scores(row, T.int32(0)), lanes)
        if self.vectors > 1:
            with vector.loop(self.vectors - 1) as index:
                value = scores(row, (index + 1) * lanes)
                vector.store(best, 0, T.max(vector.load(best, 0, lanes), value), lanes)
        return vector.intrinsic(
            "int32", 1, "llvm.vector.reduce.smax", vector.load(best, 0, lanes))

    def _row(
        self, scores: Scores, row: Expr, largest: Expr, sums: Any, weights: Any,
        weights_at: Expr,
    ) -> None:
        """Write the weights of a row, and a vector that has their sum."""
        lanes = self.isa.lanes
        total = vector.local(lanes, "int32")
        vector.store(total, 0, vector.splat(T.int32(0), lanes), lanes)
        full, rest = divmod(self.vectors, JOINED_VECTORS)
        words = vector.local(2 * lanes, "uint16")

        def group(first: Expr, count: int) -> None:
            values = [scores(row, (first + i) * lanes) for i in range(count)]
            at = weights_at + first * lanes
            self._group(values, first + count, largest, words, weights, at)

        for start in range(0, full, MAX_WORD_SUMS):
            self._clear(words)
            with vector.loop(min(MAX_WORD_SUMS, full - start)) as index:
                group((start + index) * JOINED_VECTORS, JOINED_VECTORS)
            if start + MAX_WORD_SUMS < full or not rest:
                self._flush(words, total)
        if rest:
            if not full:
                self._clear(words)
            group(full * JOINED_VECTORS, rest)
            self._flush(words, total)
        vector.store(sums, row * lanes, vector.load(total, 0, lanes), lanes)

    def _group(
        self, scores: list[Expr], end: Expr, largest: Expr, sums: Any,
        weights: Any, weights_at: Expr,
    ) -> None:
        """Weights of up to ``JOINED_VECTORS`` vectors, joined to one vector of bytes.

        Args:
            scores: The vectors; ``end`` is the number of the one behind them.
            end: Vectors up to here.
            largest: Of their row, in every lane.
            sums: uint16 local, to which the weights are added.
            weights: Where to.
            weights_at: First weight.
        """
        isa, lanes = self.isa, self.isa.lanes
        octaves = [self._octaves(largest - value) for value in scores]
        nothing = vector.splat(T.int32(FARTHEST), lanes)
        if len(scores) < JOINED_VECTORS or self.vectors % JOINED_VECTORS == 0:
            # The group may be the last, with columns that do not exist.
            octaves[-1] = self._existing(end, octaves[-1], nothing)
        octaves += [nothing] * (JOINED_VECTORS - len(scores))
        words = [
            vector.bind(self._powers(vector.bind(isa.join_words(*octaves[i : i + 2]))))
            for i in range(0, JOINED_VECTORS, 2)]
        added = vector.load(sums, 0, 2 * lanes) + words[0] + words[1]
        vector.store(sums, 0, added, 2 * lanes)
        joined = isa.join_bytes(*words)
        if isa.activation_dtype == "int8":
            sign = vector.splat(T.uint8(SIGN_BIT), JOINED_VECTORS * lanes)
            joined = T.reinterpret(
                f"int8x{JOINED_VECTORS * lanes}", T.bitwise_xor(joined, sign))
        vector.store(weights, weights_at, joined, JOINED_VECTORS * lanes)

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

