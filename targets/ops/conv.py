"""Convolution and matrix product with constant weights, fused up to the stored output.

A matrix product (M, K) x (K, N) is the 1x1 convolution of an image of height 1 and width M.
Tensors are NHWC, weights (C_out, kH, kW, C_in / groups).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from octavo.targets.ops.requantize import (
    Requantize,
    fma_float32,
    requantize_dyadic,
    requantize_float32,
    requantize_tflite,
)

Arrays = Mapping[str, NDArray[Any]]
ACCUMULATORS: dict[str, type] = {"float32": np.float32, "int16": np.int64}


@dataclass(frozen=True)
class Placement:
    """Where a convolution writes inside its output tensor; the default is all of it.

    Transposed convolutions are several convolutions whose outputs interleave.

    Attributes:
        height, width: Size of the whole output tensor; 0 means exactly the pixels written.
        step_h, step_w: Distance between neighbouring written pixels.
        offset_h, offset_w: First written pixel.
        pixel_stride: Elements between neighbouring pixels of the whole output tensor; 0 means
            its channels lie without gaps, more that it is a slice of a wider one.
    """

    height: int = 0
    width: int = 0
    step_h: int = 1
    step_w: int = 1
    offset_h: int = 0
    offset_w: int = 0
    pixel_stride: int = 0


@dataclass(frozen=True)
class Conv:
    """Static part of a convolution.

    Attributes:
        batch, in_h, in_w, in_c: Input size, NHWC.
        out_c: Output channels.
        kernel_h, kernel_w: Kernel size.
        stride_h, stride_w: Strides.
        dilation_h, dilation_w: Dilations.
        pad_top, pad_left, pad_bottom, pad_right: Padding with the real value 0; a negative
            one leaves input pixels out.
        groups: Groups; in_c and out_c are multiples of it.
        dtype: Input type: "uint8", "int8" or "float32".
        requantize: Epilogue of an integer convolution.
        residual: A float convolution adds a float tensor before its limits.
        placement: Where the output goes.
        in_pixel_stride: Elements between neighbouring input pixels; 0 means in_c.
        has_zero_point: The input's zero point may be another than 0.
    """

    batch: int
    in_h: int
    in_w: int
    in_c: int
    out_c: int
    kernel_h: int = 1
    kernel_w: int = 1
    stride_h: int = 1
    stride_w: int = 1
    dilation_h: int = 1
    dilation_w: int = 1
    pad_top: int = 0
    pad_left: int = 0
    pad_bottom: int = 0
    pad_right: int = 0
    groups: int = 1
    dtype: str = "uint8"
    requantize: Requantize = field(default_factory=Requantize)
    residual: bool = False
    placement: Placement = field(default_factory=Placement)
    in_pixel_stride: int = 0
    has_zero_point: bool = True

    @property
    def in_pixel(self) -> int:
        """Elements between neighbouring input pixels."""
        return self.in_pixel_stride or self.in_c

    @property
    def out_pixel(self) -> int:
        """Elements between neighbouring output pixels, and those of the residual."""
        return self.placement.pixel_stride or self.out_c

    @property
    def in_elements(self) -> int:
        """Elements from the first to the last of the input."""
        return (self.batch * self.in_h * self.in_w - 1) * self.in_pixel + self.in_c

    @property
    def out_elements(self) -> int:
        """Elements from the first to the last of the whole output tensor."""
        return (self.batch * self.full_h * self.full_w - 1) * self.out_pixel + self.out_c

    @property
    def out_h(self) -> int:
        """Output rows that are computed."""
        span = self.dilation_h * (self.kernel_h - 1) + 1
        return (self.in_h + self.pad_top + self.pad_bottom - span) // self.stride_h + 1

    @property
    def out_w(self) -> int:
        """Output columns that are computed."""
        span = self.dilation_w * (self.kernel_w - 1) + 1
        return (self.in_w + self.pad_left + self.pad_right - span) // self.stride_w + 1

    @property
    def full_h(self) -> int:
        """Rows of the output tensor."""
        return self.placement.height or self.out_h

    @property
    def full_w(self) -> int:
        """Columns of the output tensor."""
        return self.placement.width or self.out_w

    @property
    def group_in(self) -> int:
        """Input channels of one group."""
        return self.in_c // self.groups

    @property
    def group_out(self) -> int:
        """Output channels of one group."""
        return self.out_c // self.groups

    @property
    def macs(self) -> int:
        """Multiply-accumulates."""
        taps = self.kernel_h * self.kernel_w * self.group_in
        return self.batch * self.out_h * self.out_w * self.out_c * taps

    @property
    def is_padded(self) -> bool:
        """Whether any input pixel is made up or left out."""
        return any((self.pad_top, self.pad_left, self.pad_bottom, self.pad_right))


def accumulate(
    op: Conv, x: NDArray[Any], weight: NDArray[Any], zero_point: int
) -> NDArray[Any]:
    """Sum products of centred inputs and weights.

    Args:
        op: The convolution.
        x: (N, H, W, C_in).
        weight: (C_out, kH, kW, C_in / groups).
        zero_point: Subtracted from every input.

    Returns:
        (N, out_h, out_w, C_out), int32 for 8-bit inputs, int64 for 16-bit ones, else float32.
    """
    wide = ACCUMULATORS.get(op.dtype, np.int32)
    centred = x.reshape(op.batch, op.in_h, op.in_w, op.in_c).astype(wide) - wide(zero_point)
    padded = pad_image(op, centred)
    acc: NDArray[Any] = np.zeros((op.batch, op.out_h, op.out_w, op.out_c), wide)
    for kh in range(op.kernel_h):
        for kw in range(op.kernel_w):
            top, left = kh * op.dilation_h, kw * op.dilation_w
            taps = padded[:, top : top + op.stride_h * (op.out_h - 1) + 1 : op.stride_h,
                          left : left + op.stride_w * (op.out_w - 1) + 1 : op.stride_w]
            for g in range(op.groups):
                ins = slice(g * op.group_in, (g + 1) * op.group_in)
                outs = slice(g * op.group_out, (g + 1) * op.group_out)
                product: NDArray[Any] = taps[..., ins] @ weight[outs, kh, kw].astype(wide).T
                acc[..., outs] += product
    return acc


def pad_image(op: Conv, image: NDArray[Any]) -> NDArray[Any]:
    """Put zeros around (N, H, W, C), or leave pixels out where the padding is negative."""
    pads = ((op.pad_top, op.pad_bottom), (op.pad_left, op.pad_right))
    grown = np.pad(image, ((0, 0), *((max(a, 0), max(b, 0)) for a, b in pads), (0, 0)))
    return grown[:, max(-op.pad_top, 0) : grown.shape[1] - max(-op.pad_bottom, 0),
                 max(-op.pad_left, 0) : grown.shape[2] - max(-op.pad_right, 0)]


def reference(op: Conv, arrays: Arrays) -> NDArray[Any]:
    """Compute an integer convolution exactly.

    Args:
        op: The convolution.
        arrays: "x" and, by mode, "weight" (C_out, kH, kW, C_in / groups) int8, "bias" (C_out,)
            int32, "zero_point" (1,) int32 of the input, "params" (4,) int32, "multiplier"
            (C_out,) float32 or "significand" and "shift"; "residual" with
            "residual_multiplier" or "residual_significand"; "table" (256,).

    Returns:
        (N, out_h, out_w, C_out) of the output type.
    """
    acc = accumulate(op, arrays["x"], arrays["weight"], int(arrays["zero_point"][0]))
    return epilogue_reference(op.requantize, acc + arrays["bias"], arrays)


def epilogue_reference(op: Requantize, acc: NDArray[Any], arrays: Arrays) -> NDArray[Any]:
    """Finish int32 accumulators (..., C); see ``reference`` for the arrays."""
    residual = arrays["residual"].reshape(acc.shape) if op.residual else None
    if op.dtype == "float32" and residual is not None:
        return fma_float32(acc.astype(np.float32), arrays["multiplier"], residual)
    if op.dtype == "float32":
        return acc.astype(np.float32) * arrays["multiplier"]
    if op.mode == "float32":
        value = requantize_float32(
            acc, arrays["multiplier"], arrays["params"], residual,
            arrays.get("residual_multiplier"))
    else:
        requantize = requantize_tflite if op.mode == "tflite" else requantize_dyadic
        value = requantize(
            acc, arrays["significand"].astype(np.int64), arrays["shift"].astype(np.int64),
            arrays["params"], residual, arrays.get("residual_significand"))
    if op.has_table:
        return arrays["table"][value.astype(op.dtype).view(np.uint8)]
    return value.astype(op.dtype)
