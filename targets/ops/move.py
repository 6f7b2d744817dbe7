"""Every operation that moves elements without combining them.

Transpose, slice, concatenate, pad, tile, split, layout changes; quantizing, dequantizing and
256-entry tables on the way.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

COPY, TABLE, QUANTIZE, DEQUANTIZE = "copy", "table", "quantize", "dequantize"
CONVERSIONS = (COPY, TABLE, QUANTIZE, DEQUANTIZE)
Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, kw_only=True)
class Move:
    """Static part: y[dst_offset + i . dst_strides] = f(x[src_offset + i . src_strides]).

    Attributes:
        shape: Extents of the index i; () moves one element.
        src_strides: Elements between neighbours in x; 0 repeats, negative reverses.
        dst_strides: Elements between neighbours in y; no two indices meet.
        src_elements, dst_elements: Sizes of x and y.
        src_offset, dst_offset: Element of index 0.
        dtype: Type of x.
        convert: f: "copy", "table" (8 bits to 8 bits), "quantize" (float32 to 8 or 16 bits) or
            "dequantize" (8 bits, 16 bits or int32 to float32).
        out_dtype: Type of y.
        fills: All of y is set to "fill" first.
    """

    shape: tuple[int, ...]
    src_strides: tuple[int, ...]
    dst_strides: tuple[int, ...]
    src_elements: int
    dst_elements: int
    src_offset: int = 0
    dst_offset: int = 0
    dtype: str
    convert: str = COPY
    out_dtype: str
    fills: bool = False


def dense_strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Element strides of a row-major tensor."""
    strides, step = [], 1
    for extent in reversed(shape):
        strides.append(step)
        step *= extent
    return tuple(reversed(strides))


def quantize(
    x: NDArray[np.float32], scale: np.float32, zero_point: int, dtype: str
) -> NDArray[Any]:
    """Quantize as ONNX QuantizeLinear: saturate(rint(x / scale) + zero_point).

    A NaN becomes the zero point.
    """
    limits = np.iinfo(dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        steps = x / np.float32(scale)
    steps = np.where(np.isnan(steps), np.float32(0), steps)
    low, high = (np.float32(int(limit) - zero_point) for limit in (limits.min, limits.max))
    rounded: NDArray[np.int32] = np.rint(np.clip(steps, low, high)).astype(np.int32)
    quantized: NDArray[Any] = (rounded + np.int32(zero_point)).astype(dtype)
    return quantized


def convert(op: Move, x: NDArray[Any], arrays: Arrays) -> NDArray[Any]:
    """Apply f; see ``reference`` for the arrays."""
    if op.convert == TABLE:
        table: NDArray[Any] = arrays["table"].reshape(-1)
        looked_up: NDArray[Any] = table[x.view(np.uint8)]
        return looked_up
    if op.convert == QUANTIZE:
        zero_point = int(arrays["zero_point"].reshape(-1)[0])
        return quantize(x, arrays["scale"].reshape(-1)[0], zero_point, op.out_dtype)
    if op.convert == DEQUANTIZE:
        centred = x.astype(np.int32) - np.int32(arrays["zero_point"].reshape(-1)[0])
        scale = np.float32(arrays["scale"].reshape(-1)[0])
        return np.multiply(centred.astype(np.float32), scale)
    return x


def reference(op: Move, arrays: Arrays) -> NDArray[Any]:
    """Compute the operation.

    Args:
        op: The operation.
        arrays: "x" (src_elements,); "table" (256,), indexed by the raw byte; "scale" (1,)
            float32 and "zero_point" (1,) int32; "fill" (1,) of the output type; "y", what the
            output held before.

    Returns:
        (dst_elements,) of the output type.
    """
    x = np.ascontiguousarray(arrays["x"]).reshape(-1)
    y = np.array(arrays["y"]).reshape(-1).astype(op.out_dtype)
    if op.fills:
        y[:] = arrays["fill"].reshape(-1)[0]
    grid = np.indices(op.shape, np.int64, sparse=True)
    source = sum((i * s for i, s in zip(grid, op.src_strides, strict=True)), np.int64(0))
    target = sum((i * s for i, s in zip(grid, op.dst_strides, strict=True)), np.int64(0))
    source, target = np.broadcast_arrays(source, target)
    moved = convert(op, x[np.atleast_1d(source + op.src_offset)], arrays)
    y[np.atleast_1d(target + op.dst_offset)] = moved
    return y
