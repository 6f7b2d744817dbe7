"""An instruction variant: how one target multiplies, accumulates, rounds and looks up.

Kernels are written once over this interface; a target supplies the instructions. Everything
has a portable default, so a new instruction variant overrides only what it does better.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray
from tvm import tirx
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.dyadic_sum import DyadicSum
from octavo.targets.pipeline import WIDE_CORE, Pipeline
from octavo.targets.tile_unit import TileUnit
from octavo.targets.wide_lanes import WideLanes

Expr = Any

JOINED_VECTORS = 4  # 32-bit vectors that become one vector of bytes
WORD_TABLE_ENTRIES = 32  # of a table that ``lookup_words`` reads


@dataclass(frozen=True, kw_only=True)
class Isa:
    """Portable instructions: plain vector code that LLVM maps to whatever the CPU has.

    Attributes:
        name: Shown in the kernel's variant.
        lanes: 32-bit lanes of one vector register.
        num_registers: Architectural vector registers.
        dot_k: Consecutive 8-bit products that one ``dot`` adds into each lane.
        dot_cost: Multiplier operations of one ``dot``, for the choice of tiles.
        word_cost: The same of one ``dot_words``.
        activation_cycles, weight_cycles: What making an operand of ``dot`` costs beside the
            multipliers, for the choice of tiles.
        activation_loads, weight_loads: Instructions that make the operands of a row, and of a
            vector of columns, in one step.
        block_rows: Rows that one accumulator has sums of.
        block_registers: Accumulators of ``block_rows`` rows and one vector of columns.
        quantizes_blocks: ``quantize_blocks`` exists: fewer instructions put columns of a row
            side by side when they are bytes.
        group_steps: Steps whose activations are loaded at once.
        dots_registers: ``dot`` multiplies any registers as fast as it multiplies one product a
            lane: int32 lanes of four unsigned bytes, and a vector of as many signed ones.
        rows_stay: Activations of all rows stay in registers while columns pass by, instead of
            the other way round.
        starts_at_end: What sums start from is added when they are finished. The first step is
            code of its own then, which needs no sums to add to.
        orders_columns: Weights within a vector of columns have an order of their own, so that
            partial vectors are packed as whole ones.
        max_unrolled_dots: Reductions of a tile with fewer ``dot`` are straight-line code: the
            end of a short loop is often guessed wrong.
        pipeline: How fast the instructions run, for the choice of tiles.
        activation_dtype: Type of the activation operand of ``dot``.
        acc_dtype: Type of an accumulator lane.
        has_fma: A fused multiply-add is one instruction; else it is a slow library call.
        float_lanes: Float lanes of one vector register; 0 means ``lanes``.
        takes_any_real: ``quantize_vectors`` saturates without limits, and takes NaN for 0.
        joined_vectors: 32-bit vectors that become one vector of bytes.
        has_blocks: ``spread_blocks`` exists: bytes are spread faster if they stay in blocks.
        block_lanes: 32-bit lanes of such a block.
        joins_sums: ``requantize_vectors`` exists: there are no 64-bit lanes, or slow ones.
        has_word_pairs: There are no 64-bit lanes: ``wide_lanes`` computes on pairs of words.
        max_block: Rows and columns of the largest block that is transposed in registers.
        quantizes_bits: ``quantizer`` exists: float arithmetic is slow, or scalar.
        features: What the CPU must have, under LLVM's names.
        tiles: A matrix unit beside the vector registers, or None.
    """

    name: str = "generic"
    lanes: int = 4
    num_registers: int = 16
    dot_k: int = 1
    dot_cost: float = 2.0
    word_cost: float = 16.0
    activation_cycles: float = 0.12
    weight_cycles: float = 0.0
    activation_loads: float = 1.0
    weight_loads: float = 1.0
    block_rows: int = 1
    block_registers: int = 1
    quantizes_blocks: bool = False
    group_steps: int = 1
    dots_registers: bool = False
    rows_stay: bool = False
    starts_at_end: bool = False
    orders_columns: bool = False
    max_unrolled_dots: int = 128
    pipeline: Pipeline = WIDE_CORE
    activation_dtype: str = "uint8"
    acc_dtype: str = "int32"
    has_fma: bool = True
    float_lanes: int = 0
    takes_any_real: bool = False
    joined_vectors: int = JOINED_VECTORS
    has_blocks: bool = False
    block_lanes: int = 4
    joins_sums: bool = False
    has_word_pairs: bool = False
    max_block: int = 16
    quantizes_bits: bool = False
    features: tuple[str, ...] = ()
    tiles: TileUnit | None = None

    def load_activations(self, buffer: Any, offset: Expr) -> Expr:
        """Load ``dot_k`` consecutive activations of one pixel, repeated for every lane.

        Returns:
            Whatever ``dot`` takes.
        """
        return vector.splat(vector.cast(vector.load(buffer, offset), "int32", 1), self.lanes)

    def load_weights(self, buffer: Any, offset: Expr) -> Expr:
        """Load ``lanes * dot_k`` packed int8 weights: [lane][k]."""
        loaded = vector.load(buffer, offset, self.lanes)
        return vector.cast(loaded, "int32", self.lanes)

    def order_columns(self, weights: NDArray[Any]) -> NDArray[Any]:
        """Order packed weights, [vector][lane][k], as ``load_weights`` takes them.

        Only where ``orders_columns``.
        """
        return weights

    def dot(self, acc: Expr, activations: Expr, weights: Expr) -> Expr:
        """Add ``dot_k`` products to each int32 lane, exactly.

        Args:
            acc: int32, ``lanes`` lanes.
            activations: From ``load_activations``.
            weights: From ``load_weights``.
        """
        return acc + activations * weights

    def repeat_word(self, word: Expr) -> Expr:
        """Give every lane the same activations.

        Args:
            word: int32 scalar: ``dot_k`` activations, or one in 32 bits where that is 1.

        Returns:
            The second operand of ``add_taps``.
        """
        return vector.splat(word, self.lanes)

    def widen_tap(self, value: Expr) -> Expr:
        """Make ``lanes`` activations the second operand of ``add_taps``; ``dot_k`` is 1."""
        return vector.cast(value, "int32", self.lanes)

    def add_taps(self, total: Any, taps: Expr, weights: Expr) -> Any:
        """Add ``dot_k`` products to each lane of a sum that only ``settle`` can read.

        Args:
            total: int32, ``lanes`` lanes, or a result of this function.
            taps: Activations of every lane.
            weights: From ``load_weights``.
        """
        return vector.bind(self.dot(total, taps, weights))

    def settle(self, total: Any) -> Expr:
        """Turn a sum of ``add_taps`` into int32 lanes."""
        return total

    def dot_words(self, acc: Expr, activations: Expr, weights: Expr) -> Expr:
        """Add two products of 16-bit integers to each int32 lane, modulo 2**32.

        Args:
            acc: int32, ``lanes`` lanes.
            activations: int16, ``2 * lanes`` lanes, none of them -32768.
            weights: As ``activations``.
        """
        half = vector.splat(T.int32(16), self.lanes)
        pairs = [T.reinterpret(f"int32x{self.lanes}", x) for x in (activations, weights)]
        high = [T.shift_right(pair, half) for pair in pairs]
        low = [T.shift_right(T.shift_left(pair, half), half) for pair in pairs]
        for a, b in (low, high):
            acc = vector.wrapping("add", acc, a * b)
        return acc

    def load_block(
        self, buffer: Any, offsets: Sequence[Expr], steps: int
    ) -> list[Sequence[Expr]]:
        """Load what ``dot_block`` takes of ``block_rows`` rows, for each of some steps.

        Args:
            buffer: Activations.
            offsets: First activation of each row.
            steps: Consecutive steps, at most ``group_steps``.
        """
        (offset,) = offsets
        return [
            (vector.bind(self.load_activations(buffer, offset + step * self.dot_k)),)
            for step in range(steps)]

    def load_columns(self, buffer: Any, offset: Expr) -> Sequence[Expr]:
        """Load ``lanes * dot_k`` weights, [lane][k], as ``dot_block`` takes them."""
        return (vector.bind(self.load_weights(buffer, offset)),)

    def dot_block(
        self, accs: Sequence[Expr], activations: Sequence[Expr], columns: Sequence[Expr]
    ) -> list[Expr]:
        """Add ``dot_k`` products to every sum of a block of rows and a vector of columns."""
        return [self.dot(accs[0], activations[0], columns[0])]

    def start_block(self, values: Sequence[Expr]) -> list[Expr]:
        """Turn a vector of columns for each of ``block_rows`` rows into accumulators."""
        return list(values)

    def end_block(self, accs: Sequence[Expr]) -> list[Expr]:
        """Turn accumulators back into a vector of columns for each row."""
        return list(accs)

    def tile_registers(self, rows: int, panel: int) -> int:
        """Registers that the inner loop of a tile of ``panel`` vectors of columns needs."""
        passing = 2  # the repeated activation, and one temporary of ``dot``
        return rows * panel + panel + passing

    def for_weights(self, lowest: int) -> "Isa":
        """Instructions that multiply exactly by weights that are as low as ``lowest``.

        Without asking, weights are in [-127, 127].
        """
        del lowest
        return self

    def for_results(self, largest: float, zero_point: int) -> "Isa":
        """Instructions that round what is known of the results before they are rounded.

        Args:
            largest: No result is further from 0, before the zero point is added.
            zero_point: Of the output.
        """
        del largest, zero_point
        return self

    @property
    def of_reals(self) -> "Isa":
        """Instructions of kernels that compute with nothing but float32."""
        return self

    @property
    def by_lane(self) -> "Isa":
        """Instructions that multiply lane by lane, for kernels whose lanes are channels."""
        return self

    def depthwise_columns(self, out_w: int, stride: int) -> int:
        """Columns of a tile of a depthwise convolution; 0 leaves it to the kernel."""
        del out_w, stride
        return 0

    def round_to_int32(self, value: Expr, lanes: int) -> Expr:
        """Round float32 lanes half to even; |value| < 2**31."""
        rounded = vector.intrinsic("float32", lanes, "llvm.rint", value)
        return vector.cast(rounded, "int32", lanes)

    def narrow(self, value: Expr, dtype: str, lanes: int) -> Expr:
        """Convert int32 lanes that are already in range to 8 bits."""
        return vector.cast(value, dtype, lanes)

    def quantize_vectors(
        self, reals: Sequence[Expr], zero_point: Expr | None, low: Expr | None,
        high: Expr | None, dtype: str, in_blocks: bool = False,
    ) -> Expr | None:
        """Round float32 vectors, add the zero point, limit, and join them to one vector.

        Args:
            reals: Vectors of ``lanes`` float32, in the order of the result; no NaN.
            zero_point: int32 scalar, added after rounding half to even; None for 0.
            low: int32 scalar, lowest result; None for the type's limit.
            high: int32 scalar, highest result; None for the type's limit, if all ``reals`` are
                below 2**31.
            dtype: "uint8" or "int8".
            in_blocks: The lanes of ``reals`` are in the order of ``spread_blocks``.

        Returns:
            ``len(reals) * lanes`` lanes of ``dtype`` or more, of which the first count; None
            where joining wins nothing.
        """
        del reals, zero_point, low, high, dtype, in_blocks
        return None

    def wide_lanes(self, lanes: int) -> WideLanes:
        """64-bit arithmetic beside vectors of ``lanes`` int32."""
        return WideLanes(lanes)

    def quantizer(
        self, scale: Expr, zero_point: Expr, dtype: str
    ) -> Callable[[Sequence[Expr]], Expr]:
        """Code that quantizes (``ops.move``) without float vectors, if ``quantizes_bits``.

        Returns:
            A function of up to ``JOINED_VECTORS`` vectors of ``lanes`` int32, the bits of
            float32 numbers; its result is as that of ``quantize_vectors``.
        """
        raise NotImplementedError(self.name)

    def quantize_blocks(
        self, reals: Sequence[Sequence[Expr]], zero_point: Expr | None, low: Expr | None,
        high: Expr | None, dtype: str,
    ) -> list[Expr]:
        """Quantize float32 vectors in the order of accumulators.

        Only where ``quantizes_blocks``.

        Args:
            reals: Of each vector of columns its ``block_registers`` vectors, as of
                ``start_block``.
            zero_point: As of ``quantize_vectors``.
            low: As of ``quantize_vectors``.
            high: As of ``quantize_vectors``.
            dtype: "uint8" or "int8".

        Returns:
            For each of ``block_rows`` rows its columns side by side.
        """
        raise NotImplementedError(self.name)

    def requantize_vectors(
        self, sums: Sequence[DyadicSum], zero_point: Expr | None, low: Expr | None,
        high: Expr | None, dtype: str,
    ) -> Expr:
        """Round integers, add the zero point, limit, and join, as ``quantize_vectors``.

        Only where ``joins_sums``.

        Args:
            sums: Of vectors of ``lanes`` lanes, in the order of the result.
            zero_point: int32 scalar; None for 0.
            low: int32 scalar, lowest result; None for the type's limit.
            high: int32 scalar, highest result; None for the type's limit.
            dtype: "uint8" or "int8".

        Returns:
            As ``quantize_vectors``.
        """
        raise NotImplementedError(self.name)

    def store_first(self, buffer: Any, offset: Expr, value: Expr, count: int) -> None:
        """Store the first ``count`` lanes of a vector."""
        vector.store(buffer, offset, vector.take_first(value, count), count)

    def spread_blocks(self, values: Sequence[Expr]) -> list[Expr]:
        """Give the lanes of ``dot`` the elements of ``dot_k`` vectors of bytes, side by side.

        Only where ``has_blocks``. Every register is made of blocks of n = ``block_lanes``
        lanes: block b of result v holds n elements from 4 * n * b + n * v on.

        Args:
            values: ``dot_k`` vectors of ``JOINED_VECTORS * lanes`` activations.

        Returns:
            ``JOINED_VECTORS`` vectors of int32.
        """
        raise NotImplementedError(self.name)

    def narrow_vectors(
        self, values: Sequence[Expr], dtype: str, in_blocks: bool = False
    ) -> Expr | None:
        """Convert int32 vectors in range to 8 bits and join them, as ``quantize_vectors``."""
        del values, dtype, in_blocks
        return None

    def interleave(self, rows: Sequence[Expr]) -> Expr:
        """Put ``dot_k`` vectors of ``lanes`` elements side by side: [lane][k]."""
        return vector.interleave(rows)

    def join_words(self, low: Expr, high: Expr) -> Expr:
        """Convert two int32 vectors, 0 to 65535, to uint16, in an order for ``join_bytes``."""
        return vector.concatenate(
            [vector.cast(half, "uint16", self.lanes) for half in (low, high)])

    def join_bytes(self, low: Expr, high: Expr) -> Expr:
        """Convert two results of ``join_words``, values 0 to 255, to uint8 in their order."""
        return vector.concatenate(
            [vector.cast(half, "uint8", 2 * self.lanes) for half in (low, high)])

    def lookup(self, table: Any, index: Expr, dtype: str, lanes: int) -> Expr | None:
        """Look up each uint8 lane in a 256-entry table, or None where only scalar code can."""
        del table, index, dtype, lanes
        return None

    def lookup_words(self, table: Any, first: int, index: Expr) -> Expr:
        """Look up ``lanes`` int32 lanes in ``WORD_TABLE_ENTRIES`` entries of a longer table.

        Args:
            table: int32 buffer.
            first: Number of the entry that index 0 means.
            index: int32, ``lanes`` lanes, each below ``WORD_TABLE_ENTRIES``.
        """
        return tirx.BufferLoad(table, [index + vector.splat(T.int32(first), self.lanes)])


def clamp(value: Expr, low: Expr, high: Expr) -> Expr:
    """Limit every lane to [low, high]."""
    return T.min(T.max(value, low), high)
