"""Constant weights and biases of integer multiply-accumulate kernels."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from octavo.compiler.lowering.qdq_graph import QuantizedConstant

UINT8_MIDDLE = 128
INT32 = np.iinfo(np.int32)


@dataclass(frozen=True, eq=False)
class IntegerWeights:
    """Symmetric int8 weights.

    Attributes:
        values: int8, logical shape.
        scale: (C,) float32, one for each output channel.
    """

    values: NDArray[np.int8]
    scale: NDArray[np.float32]


def integer_weights(
    found: QuantizedConstant | None, channel_axis: int
) -> IntegerWeights | None:
    """Bring weights to symmetric int8 with a scale for each output channel.

    Args:
        found: The constant, or None.
        channel_axis: Axis of the output channels.

    Returns:
        None when the zero points are not the middle of the range, the scales run along another
        axis or in blocks, or the integers have 16 bits.
    """
    if found is None or found.scale.ndim > 1:
        return None
    values, zero_point = found.values.astype(np.int32), found.zero_point.astype(np.int32)
    if found.values.dtype.name == "uint8":
        values, zero_point = values - UINT8_MIDDLE, zero_point - UINT8_MIDDLE
    elif found.values.dtype.name != "int8":
        return None
    if zero_point.any() or (found.scale.size > 1 and found.axis != channel_axis):
        return None
    channels = found.values.shape[channel_axis]
    if found.scale.size not in (1, channels):
        return None
    scale = np.broadcast_to(found.scale.reshape(-1), (channels,)).astype(np.float32)
    return IntegerWeights(values.astype(np.int8), scale)


def why_float(found: QuantizedConstant) -> str:
    """Why no integer kernel multiplies a constant for which ``integer_weights`` is None."""
    if found.scale.ndim > 1:
        return "its weights have a scale for each block; integer kernels sum all blocks first"
    if found.values.dtype.itemsize > 1:
        return f"its weights are {found.values.dtype.name}; integer kernels multiply 8 bits"
    return "its weights are not symmetric int8 with one scale for each output channel"


def quantize_bias(
    parts: Sequence[NDArray[np.float32] | None], acc_scale: NDArray[np.float64]
) -> NDArray[np.int32]:
    """Sum real biases and express them in accumulator steps, saturated.

    Args:
        parts: (C,) or (1,) each; None counts as nothing.
        acc_scale: (C,) real value of one accumulator step.
    """
    total = np.zeros(acc_scale.shape, np.float64)
    for part in parts:
        if part is not None:
            total = total + part.astype(np.float64)
    return np.clip(np.rint(total / acc_scale), INT32.min, INT32.max).astype(np.int32)


def sum_biases(
    parts: Sequence[NDArray[np.float32] | None], channels: int
) -> NDArray[np.float32]:
    """Sum real biases in float32.

    Args:
        parts: (C,) or (1,) each; None counts as nothing.
        channels: C.
    """
    total = np.zeros(channels, np.float32)
    for part in parts:
        if part is not None:
            total = total + part
    return total
