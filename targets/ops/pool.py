"""Pools and reductions of NHWC tensors. Padding never counts as a value."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from octavo.targets.ops.float_sum import sum_columns, sum_rows
from octavo.targets.ops.requantize import Requantize
from octavo.targets.ops.rounding import round_dyadic, round_real

Arrays = Mapping[str, NDArray[Any]]
REDUCTIONS = ("mean", "sum", "max", "min")
MAX_WORDS = 2**31 // 2**17  # sums of so many centred 16-bit integers stay in int32


@dataclass(frozen=True, kw_only=True)
class MaxPool:
    """Static part of a maximum over windows.

    Attributes:
        batch, in_h, in_w, channels: Input size, NHWC.
        out_h, out_w: Output size; the last windows may reach behind the bottom padding.
        kernel_h, kernel_w: Window size.
        stride_h, stride_w: Strides.
        dilation_h, dilation_w: Dilations.
        pad_top, pad_left, pad_bottom, pad_right: Padding that no window takes a value from.
        dtype: "uint8", "int8", "int16" or "float32"; of the output too.
        in_pixel_stride, out_pixel_stride: Elements between neighbouring pixels; 0 means
            ``channels``, more that the tensor is a slice of a wider one.
    """

    batch: int
    in_h: int
    in_w: int
    channels: int
    out_h: int
    out_w: int
    kernel_h: int
    kernel_w: int
    stride_h: int = 1
    stride_w: int = 1
    dilation_h: int = 1
    dilation_w: int = 1
    pad_top: int = 0
    pad_left: int = 0
    pad_bottom: int = 0
    pad_right: int = 0
    dtype: str = "uint8"
    in_pixel_stride: int = 0
    out_pixel_stride: int = 0

    @property
    def in_pixel(self) -> int:
        """Elements between neighbouring input pixels."""
        return self.in_pixel_stride or self.channels

    @property
    def out_pixel(self) -> int:
        """Elements between neighbouring output pixels."""
        return self.out_pixel_stride or self.channels

    @property
    def in_elements(self) -> int:
        """Elements from the first to the last of the input."""
        return (self.batch * self.in_h * self.in_w - 1) * self.in_pixel + self.channels

    @property
    def out_elements(self) -> int:
        """Elements from the first to the last of the output."""
        return (self.batch * self.out_h * self.out_w - 1) * self.out_pixel + self.channels


@dataclass(frozen=True, kw_only=True)
class AveragePool(MaxPool):
    """Static part of an average over windows.

    Attributes:
        count_include_pad: Padding counts, as zeros: the caller's multipliers say so.
        requantize: Epilogue without residual; a float pool has dtype "float32" there.
    """

    count_include_pad: bool = False
    requantize: Requantize = field(default_factory=Requantize)


@dataclass(frozen=True, kw_only=True)
class Reduce:
    """Static part of a reduction over the middle axis of (outer, extent, inner).

    Attributes:
        kind: "mean", "sum", "max" or "min"; a mean is a sum with another multiplier.
        outer, extent, inner: Sizes; ``extent`` is reduced.
        dtype: "uint8", "int8", "int16" or "float32".
        requantize: Epilogue without residual; of floats its dtype is "float32".
    """

    kind: str
    outer: int
    extent: int
    inner: int
    dtype: str = "uint8"
    requantize: Requantize = field(default_factory=Requantize)


def _taps(op: MaxPool, position: int, axis: str) -> list[int]:
    """Input positions that an output position sees along "h" or "w"."""
    pad = op.pad_top if axis == "h" else op.pad_left
    size, kernel, stride, dilation = (
        getattr(op, f"{name}_{axis}") for name in ("in", "kernel", "stride", "dilation"))
    found = (position * stride - pad + k * dilation for k in range(kernel))
    return [tap for tap in found if 0 <= tap < size]


def max_reference(op: MaxPool, arrays: Arrays) -> NDArray[Any]:
    """Largest element of every window.

    Args:
        op: The operation.
        arrays: "x" (N, H, W, C).

    Returns:
        (N, out_h, out_w, C).
    """
    x = arrays["x"].reshape(op.batch, op.in_h, op.in_w, op.channels)
    y = np.empty((op.batch, op.out_h, op.out_w, op.channels), x.dtype)
    for row in range(op.out_h):
        for column in range(op.out_w):
            window = x[:, _taps(op, row, "h")][:, :, _taps(op, column, "w")]
            y[:, row, column] = window.max(axis=(1, 2))
    return y


def average_reference(op: AveragePool, arrays: Arrays) -> NDArray[Any]:
    """Sum of every window times its multiplier.

    Args:
        op: The operation.
        arrays: "x" (N, H, W, C); "zero_point" (1,) int32 of an integer input; "multiplier"
            (out_h * out_w,) float32, input scale over output scale and count (1 over count of
            floats), or "significand" and "shift"; "params" and "table" of the epilogue.

    Returns:
        (N, out_h, out_w, C) of the output type.
    """
    is_float = op.dtype == "float32"
    wide: Any = np.float32 if is_float else np.int32
    zero_point = wide(0 if is_float else arrays["zero_point"].reshape(-1)[0])
    x = arrays["x"].reshape(op.batch, op.in_h, op.in_w, op.channels).astype(wide) - zero_point
    acc = np.zeros((op.batch, op.out_h * op.out_w, op.channels), wide)
    for pixel in range(op.out_h * op.out_w):
        for row in _taps(op, pixel // op.out_w, "h"):
            for column in _taps(op, pixel % op.out_w, "w"):
                acc[:, pixel] += x[:, row, column]
    y = rescale(op.requantize, acc, arrays, (-1, 1))
    return y.reshape(op.batch, op.out_h, op.out_w, op.channels)


def reduce_reference(op: Reduce, arrays: Arrays) -> NDArray[Any]:
    """Reduce the middle axis.

    Float sums along contiguous elements are those of ``octavo.targets.ops.float_sum``; others
    are added one after the other.

    Args:
        op: The operation.
        arrays: "x" (outer, extent, inner); "zero_point" (1,) int32 of an integer input;
            "multiplier" (1,) float32,
            or "significand" and "shift" (1,); "params" and "table" of the epilogue.

    Returns:
        (outer, inner) of the output type.
    """
    x = arrays["x"].reshape(op.outer, op.extent, op.inner)
    if op.dtype != "float32":
        x = x.astype(np.int32) - np.int32(arrays["zero_point"].reshape(-1)[0])
    is_sum = op.kind in ("mean", "sum")
    if is_sum and op.dtype == "float32":
        acc = sum_rows(x[:, :, 0])[:, None] if op.inner == 1 else sum_columns(x)
    else:
        function: Any = np.sum if is_sum else {"max": np.max, "min": np.min}[op.kind]
        acc = function(x, axis=1).astype(x.dtype)
    return rescale(op.requantize, acc, arrays, (-1,))


def rescale(
    op: Requantize, acc: NDArray[Any], arrays: Arrays, shape: tuple[int, ...]
) -> NDArray[Any]:
    """Finish accumulators whose multipliers, reshaped to ``shape``, broadcast."""
    if op.is_integer:
        shift = arrays["shift"].astype(np.int64).reshape(shape)
        significand = arrays["significand"].astype(np.int64).reshape(shape)
        total = acc.astype(np.int64) * significand
        value = round_dyadic(total, shift, arrays["params"], op.mode)
    else:
        real: NDArray[Any] = acc.astype(np.float32) * arrays["multiplier"].reshape(shape)
        if op.dtype == "float32":
            return real
        value = round_real(real, arrays["params"])
    if op.has_table:
        table: NDArray[Any] = arrays["table"]
        looked_up: NDArray[Any] = table[value.astype(op.dtype).view(np.uint8)]
        return looked_up
    narrow: NDArray[Any] = value.astype(op.dtype)
    return narrow
