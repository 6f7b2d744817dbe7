"""Float convolution with products of bfloat16 numbers: the implicit matrix product again.

The input is rounded into scratch memory first: each of its elements is multiplied with many
weights, which are rounded and packed when the program is made.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from octavo.targets.bfloat16_isa import BFLOAT16_MARK, Bfloat16Isa, bfloat16_isa
from octavo.targets.isa import Isa
from octavo.targets.kernel import Slower
from octavo.targets.kernels.conv_gemm import GemmEmitter
from octavo.targets.kernels.rounded_input import BFLOAT16_BYTES, RoundedInput
from octavo.targets.kernels.tiling import Tiling
from octavo.targets.ops.bfloat16_conv import Bfloat16Conv, round_bfloat16
from octavo.targets.padding import PIXELS, Padding, round_up

Arrays = Mapping[str, NDArray[Any]]


class Bfloat16Gemm:
    """Serves dense float convolutions and products where the CPU multiplies bfloat16.

    Attributes:
        schedule: Tiles and blocks; None for the model's choice.
    """

    name = "bfloat16_gemm"

    def __init__(self, schedule: Tiling | None = None) -> None:
        self.schedule = schedule

    def reject(self, op: Bfloat16Conv, isa: Isa) -> str:
        """Accept whatever multiplies pairs of channels."""
        arithmetic = bfloat16_isa(isa)
        if arithmetic is None:
            return f"{isa.name} has no products of bfloat16 numbers"
        if op.sums != arithmetic.base.bfloat16_sums:
            return f"sums are {op.sums}; those of {arithmetic.name} are not"
        if op.groups > 1 and op.group_in % arithmetic.dot_k:
            return f"groups of {op.group_in} channels are not whole pairs"
        if op.in_c == 1:
            return Slower("half of each pair of channels would be zeros")
        return ""

    def schedules(self, op: Bfloat16Conv, isa: Isa) -> list[Tiling]:
        """Tilings worth measuring, the model's choice first."""
        return _Emitter(op, isa, None).tilings

    def with_schedule(self, schedule: Tiling) -> "Bfloat16Gemm":
        """Take this tiling."""
        return Bfloat16Gemm(schedule)

    def variant(self, op: Bfloat16Conv, isa: Isa) -> str:
        """Name instructions and register tile."""
        emitter = _Emitter(op, isa, self.schedule)
        tile = f"{emitter.tiling.rows}x{emitter.tiling.panel * emitter.isa.lanes}"
        return f"{self.name}.{emitter.isa.name}.{tile}"

    def padding(self, op: Bfloat16Conv, isa: Isa) -> tuple[Padding, ...]:
        """Channels are rounded up to vectors and pairs, pixels to tiles."""
        emitter = _Emitter(op, isa, self.schedule)
        outputs, inputs = emitter.packing.padding
        # Channels of the rounded copy may be one more than those that are wanted.
        taps = emitter.packing.run // emitter.op.group_in
        wanted = Padding(inputs.axis, op.group_in * taps, inputs.computed)
        pixels = round_up(emitter.pixels, emitter.tiling.rows)
        return outputs, wanted, Padding(PIXELS, emitter.pixels, pixels)

    def build(self, op: Bfloat16Conv, isa: Isa) -> Any:
        """Emit the PrimFunc."""
        return _Emitter(op, isa, self.schedule).build().with_attr(BFLOAT16_MARK, True)

    def constants(self, op: Bfloat16Conv, isa: Isa, arrays: Arrays) -> list[NDArray[Any]]:
        """Round and pack weights."""
        return _Emitter(op, isa, self.schedule).constants(arrays)

    def scratch_bytes(self, op: Bfloat16Conv, isa: Isa) -> int:
        """Memory of the rounded input."""
        return _Emitter(op, isa, self.schedule).rounded.elements * BFLOAT16_BYTES


class _Emitter(GemmEmitter):
    """Emits one convolution of the rounded copy of its input."""

    def __init__(self, op: Bfloat16Conv, isa: Isa, schedule: Tiling | None) -> None:
        arithmetic = bfloat16_isa(isa)
        if arithmetic is None:
            raise ValueError(f"{isa.name} has no products of bfloat16 numbers")
        self.rounded = RoundedInput(op, arithmetic)
        super().__init__(self.rounded.inner, isa, schedule)

    def _arithmetic(self, isa: Isa) -> Bfloat16Isa:
        del isa
        return self.rounded.isa

    @property
    def element_bytes(self) -> int:
        """Bytes of a bfloat16."""
        return BFLOAT16_BYTES

    @property
    def _weight_dtype(self) -> str:
        return "uint16"

    def _input(self) -> list[tuple[str, int, str]]:
        return [("x", self.rounded.op.in_elements, "float32")]

    def _scratch(self) -> list[tuple[str, int, str]]:
        return [("scratch", self.rounded.elements, "uint16")]

    def _source(self, operands: dict[str, Any]) -> Any:
        self.rounded.emit(operands)
        return operands["scratch"]

    def constants(self, arrays: Arrays) -> list[NDArray[Any]]:
        """Weights of pairs of channels; the last may be of zeros."""
        weight = round_bfloat16(arrays["weight"], self.rounded.op.sums)
        more = self.op.group_in - weight.shape[-1]
        weight = np.pad(weight, ((0, 0), (0, 0), (0, 0), (0, more)))
        return super().constants({**arrays, "weight": weight})
