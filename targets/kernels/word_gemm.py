"""Convolution of 16-bit activations: the implicit matrix product again.

Weights are widened to 16 bits when they are packed. Sums are of 32 bits, which the constants
must prove to be enough; ``word_gemm_parts`` needs no proof.
"""

from collections.abc import Mapping
from typing import Any, Self

from numpy.typing import NDArray

from octavo.targets.isa import Isa
from octavo.targets.kernels.conv_gemm import GemmEmitter
from octavo.targets.kernels.tiling import Tiling
from octavo.targets.kernels.word_epilogue import WordEpilogue
from octavo.targets.ops.word_conv import WORD, WordConv, wide_sums
from octavo.targets.padding import PIXELS, Padding, round_up
from octavo.targets.word_isa import arithmetic_of_words, slower_words

Arrays = Mapping[str, NDArray[Any]]


class WordKernel:
    """What both matrix products of 16-bit activations share.

    Attributes:
        schedule: Tiles and blocks; None for the model's choice.
    """

    name = ""

    def __init__(self, schedule: Tiling | None = None) -> None:
        self.schedule = schedule

    def schedules(self, op: WordConv, isa: Isa) -> list[Tiling]:
        """Tilings worth measuring, the model's choice first."""
        return WordEmitter(op, isa, None).tilings

    def with_schedule(self, schedule: Tiling) -> Self:
        """Take this tiling."""
        return type(self)(schedule)

    def variant(self, op: WordConv, isa: Isa) -> str:
        """Name instructions and register tile."""
        emitter = WordEmitter(op, isa, self.schedule)
        tile = f"{emitter.tiling.rows}x{emitter.tiling.panel * emitter.isa.lanes}"
        return f"{self.name}.{emitter.isa.name}.{tile}"

    def padding(self, op: WordConv, isa: Isa) -> tuple[Padding, ...]:
        """Channels are rounded up to vectors and ``dot`` steps, pixels to tiles."""
        emitter = WordEmitter(op, isa, self.schedule)
        pixels = round_up(emitter.pixels, emitter.tiling.rows)
        return (*emitter.packing.padding, Padding(PIXELS, emitter.pixels, pixels))

    def scratch_bytes(self, op: WordConv, isa: Isa) -> int:
        """Memory of the padded input."""
        return WordEmitter(op, isa, self.schedule).padded.scratch_bytes


class WordGemm(WordKernel):
    """Serves convolutions and products whose sums fit 32 bits."""

    name = "word_gemm"

    def reject(self, op: WordConv, isa: Isa) -> str:
        """Accept words, and the bytes that the instructions multiply."""
        if op.dtype not in (WORD, isa.activation_dtype):
            return f"{op.dtype} activations; {isa.name} multiplies {isa.activation_dtype}"
        return (slower_words(isa) or "") if op.dtype == WORD else ""

    def reject_constants(self, op: WordConv, isa: Isa, arrays: Arrays) -> str:
        """Refuse sums that could leave 32 bits."""
        del isa
        return wide_sums(op, arrays)

    def build(self, op: WordConv, isa: Isa) -> Any:
        """Emit the PrimFunc."""
        return WordEmitter(op, isa, self.schedule).build()

    def constants(self, op: WordConv, isa: Isa, arrays: Arrays) -> list[NDArray[Any]]:
        """Widen and pack weights, fold the input zero point into the bias."""
        return WordEmitter(op, isa, self.schedule).constants(arrays)


class WordEmitter(GemmEmitter):
    """Emits one convolution with 16-bit activations on at least one side."""

    def __init__(self, op: WordConv, isa: Isa, schedule: Tiling | None) -> None:
        self.base = isa
        super().__init__(op, isa, schedule)

    def _arithmetic(self, isa: Isa) -> Isa:
        return arithmetic_of_words(isa) if self.op.dtype == WORD else isa

    @property
    def _weight_dtype(self) -> str:
        return WORD if self.op.dtype == WORD else "int8"

    def _finish(self, operands: dict[str, Any]) -> WordEpilogue:
        return WordEpilogue(self.op.requantize, self.base, operands)

    def constants(self, arrays: Arrays) -> list[NDArray[Any]]:
        """Widen and pack weights, fold the input zero point into the bias."""
        weight = arrays["weight"].astype(self._weight_dtype)
        return super().constants({**arrays, "weight": weight})
