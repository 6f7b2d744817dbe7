"""3x3 convolution by Winograd's F(4x4, 3x3) in integers: the same bits with fewer products.

Weights and input are transformed to 16 bits and multiplied point by point, which takes 36
products where direct convolution takes 144. Weights stay bytes in the weight file: they are
transformed in every run, which costs less than reading eight times as many bytes from afar.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from octavo.targets.isa import Isa
from octavo.targets.kernel import Slower
from octavo.targets.kernels.epilogue import constant_arrays
from octavo.targets.kernels.winograd_cost import is_faster, winograd_schedules
from octavo.targets.kernels.winograd_emitter import WinogradEmitter
from octavo.targets.kernels.winograd_layout import WinogradLayout, WinogradSchedule
from octavo.targets.kernels.winograd_transform import MAX_OUTPUT, OUTPUTS, TAPS
from octavo.targets.ops.conv import Conv
from octavo.targets.padding import PIXELS, Padding
from octavo.targets.word_isa import word_isa

Arrays = Mapping[str, NDArray[Any]]


class Winograd:
    """Serves dense 3x3 convolutions where it needs fewer cycles than direct ones.

    Attributes:
        schedule: Loops; None for the model's choice.
    """

    name = "winograd"

    def __init__(self, schedule: WinogradSchedule | None = None) -> None:
        self.schedule = schedule

    def reject(self, op: Conv, isa: Isa) -> str:
        """Accept 3x3 convolutions whose channels fill whole vectors."""
        if op.dtype != isa.activation_dtype:
            return f"{op.dtype} activations; {isa.name} multiplies {isa.activation_dtype}"
        steps = (op.kernel_h, op.kernel_w, op.stride_h, op.stride_w, op.dilation_h,
                 op.dilation_w, op.groups)
        if steps != (TAPS, TAPS, 1, 1, 1, 1, 1):
            return "not a dense 3x3 convolution of stride 1"
        if op.in_c % (word_isa(isa).dot_k * isa.lanes) or op.out_c % isa.lanes:
            return f"{op.in_c} -> {op.out_c} channels do not fill vectors"
        if self.schedule is None and not is_faster(op, isa):
            return Slower("transforming takes longer than the products that it saves")
        return ""

    def reject_constants(self, op: Conv, isa: Isa, arrays: Arrays) -> str:
        """Accept weights whose sums of products can be told apart modulo 2**32."""
        del isa
        largest = largest_sum(op, arrays["weight"])
        if largest > MAX_OUTPUT:
            return f"sums of products reach {largest}; at most {MAX_OUTPUT} can be told apart"
        return ""

    def schedules(self, op: Conv, isa: Isa) -> list[WinogradSchedule]:
        """Loops worth measuring, the model's choice first."""
        return winograd_schedules(op, isa)

    def with_schedule(self, schedule: WinogradSchedule) -> "Winograd":
        """Take these loops."""
        return Winograd(schedule)

    def variant(self, op: Conv, isa: Isa) -> str:
        """Name instructions and register tile."""
        schedule = self._layout(op, isa).schedule
        tile = f"{schedule.rows}x{schedule.panel * isa.lanes}"
        return f"{self.name}.{word_isa(isa).name}.{tile}"

    def padding(self, op: Conv, isa: Isa) -> tuple[Padding, ...]:
        """Pixels are rounded up to tiles, tiles to blocks; channels fill vectors."""
        layout = self._layout(op, isa)
        pixels = layout.blocks * layout.schedule.rows * OUTPUTS * OUTPUTS
        return (Padding(PIXELS, op.batch * op.out_h * op.out_w, pixels),)

    def build(self, op: Conv, isa: Isa) -> Any:
        """Emit the PrimFunc."""
        return WinogradEmitter(self._layout(op, isa)).build()

    def constants(self, op: Conv, isa: Isa, arrays: Arrays) -> list[NDArray[Any]]:
        """Pack weights, fold the input zero point into the bias."""
        reason = self.reject_constants(op, isa, arrays)
        if reason:
            raise ValueError(reason)
        layout = self._layout(op, isa)
        weight, lanes = arrays["weight"], isa.lanes
        zero_point = arrays["zero_point"].astype(np.int64).reshape(-1)
        sums = weight.astype(np.int64).reshape(op.out_c, -1).sum(axis=1)
        bias = (arrays["bias"].astype(np.int64) - zero_point * sums).astype(np.int32)
        split = weight.reshape(
            layout.panels, layout.schedule.panel, lanes, TAPS * TAPS, layout.steps, -1)
        packed = [split.transpose(0, 4, 1, 3, 2, 5), bias]
        packed.extend(constant_arrays(op.requantize, op.out_c, arrays).values())
        if layout.padded.op.is_padded:
            packed.append(zero_point.astype(np.int32))
        return packed

    def scratch_bytes(self, op: Conv, isa: Isa) -> int:
        """Memory of the padded input, and of transformed weights and input."""
        return self._layout(op, isa).scratch.num_bytes

    def _layout(self, op: Conv, isa: Isa) -> WinogradLayout:
        return WinogradLayout(op, isa, self.schedule or winograd_schedules(op, isa)[0])


def largest_sum(op: Conv, weight: NDArray[Any]) -> int:
    """Largest magnitude of a sum of products of weights and activations, any of them.

    Args:
        op: The convolution.
        weight: (C_out, kH, kW, C_in) int8.
    """
    limits = np.iinfo(op.dtype)
    wide = weight.astype(np.int64).reshape(op.out_c, -1)
    ends = np.stack([wide * int(limits.min), wide * int(limits.max)])
    return int(max(ends.max(axis=0).sum(axis=1).max(), -ends.min(axis=0).sum(axis=1).min()))
