"""Depthwise convolution of 16-bit activations: taps of two kernel rows in one product."""

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from octavo.targets.isa import Isa
from octavo.targets.kernels.depthwise import Depthwise, DepthwiseEmitter
from octavo.targets.kernels.depthwise_layout import MAX_DOTS, DepthwiseLayout
from octavo.targets.kernels.word_epilogue import WordEpilogue
from octavo.targets.ops.conv import Conv
from octavo.targets.ops.word_conv import WORD, wide_sums
from octavo.targets.word_isa import slower_words

Arrays = Mapping[str, NDArray[Any]]


class WordDepthwise(Depthwise):
    """Serves convolutions with one input and one output channel per group."""

    name = "word_depthwise"

    def reject(self, op: Conv, isa: Isa) -> str:
        """Say why not."""
        if not op.groups == op.in_c == op.out_c:
            return "not depthwise"
        if op.dtype not in (WORD, isa.activation_dtype):
            return f"{op.dtype} activations; {isa.name} multiplies {isa.activation_dtype}"
        layout = DepthwiseLayout(op, isa)
        if layout.num_dots > MAX_DOTS:
            return f"code of {layout.num_dots} multiplications; at most {MAX_DOTS}"
        return (slower_words(isa) or "") if op.dtype == WORD else ""

    def reject_constants(self, op: Conv, isa: Isa, arrays: Arrays) -> str:
        """Refuse sums that could leave 32 bits."""
        del isa
        return wide_sums(op, arrays)

    def with_schedule(self, schedule: Any) -> "WordDepthwise":
        """Take this tile."""
        return WordDepthwise(schedule)

    def build(self, op: Conv, isa: Isa) -> Any:
        """Emit the PrimFunc."""
        layout = DepthwiseLayout(op, isa, self.schedule)
        return _Emitter(layout, isa).build()

    def constants(self, op: Conv, isa: Isa, arrays: Arrays) -> list[NDArray[Any]]:
        """Widen and interleave weights, fold the input zero point into the bias."""
        if op.dtype == WORD:
            arrays = {**arrays, "weight": arrays["weight"].astype(WORD)}
        return super().constants(op, isa, arrays)


class _Emitter(DepthwiseEmitter):
    """Emits one depthwise convolution."""

    def __init__(self, layout: DepthwiseLayout, base: Isa) -> None:
        super().__init__(layout)
        self.base = base if layout.op.dtype == WORD else layout.isa

    def _finish(self, operands: dict[str, Any]) -> WordEpilogue:
        return WordEpilogue(self.op.requantize, self.base, operands, self.layout.in_blocks)
