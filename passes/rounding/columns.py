"""A linear layer as a matrix product: what each output reads, as columns.

For each group g of a Conv, Gemm or MatMul: y[g] = W[g] x[g], with W[g] of shape (outputs,
columns) and one x[g] for each position. Gemm and MatMul are one group.
"""

import math

import numpy as np
import onnx_ir as ir
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from octavo.passes.wiring import (
    float_attribute,
    int_attribute,
    ints_attribute,
    is_op,
    string_attribute,
)

COLUMN_OP_TYPES = ("Conv", "Gemm", "MatMul")

FloatArray = NDArray[np.float32]


def has_columns(node: ir.Node, weight: NDArray[np.generic]) -> bool:
    """Whether a node with this weight is such a product."""
    if is_op(node, "Conv"):
        return weight.ndim >= 3
    if is_op(node, "Gemm"):
        plain = (
            float_attribute(node, "alpha", 1.0) == float_attribute(node, "beta", 1.0) == 1.0
        )
        return weight.ndim == 2 and plain and not int_attribute(node, "transA", 0)
    return is_op(node, "MatMul") and weight.ndim == 2


def weight_matrix(node: ir.Node, weight: FloatArray) -> FloatArray:
    """The weight as (groups, outputs of a group, columns)."""
    if is_op(node, "Conv"):
        groups = int_attribute(node, "group", 1)
        return weight.reshape(groups, weight.shape[0] // groups, -1)
    rows = weight if is_op(node, "Gemm") and int_attribute(node, "transB", 0) else weight.T
    return rows[None]


def weight_from_matrix(
    node: ir.Node, matrix: NDArray[np.generic], shape: tuple[int, ...]
) -> NDArray[np.generic]:
    """Undo ``weight_matrix``; ``shape`` is the stored one."""
    if is_op(node, "Conv"):
        return matrix.reshape(shape)
    rows = np.asarray(matrix[0])
    return rows if is_op(node, "Gemm") and int_attribute(node, "transB", 0) else rows.T


def input_columns(
    node: ir.Node, x: FloatArray, kernel: tuple[int, ...], positions: NDArray[np.intp]
) -> FloatArray:
    """What chosen positions read.

    Args:
        node: The layer.
        x: Its first operand, as the model computes it; padding reads 0.
        kernel: Spatial shape of a convolution's weight; ignored otherwise.
        positions: Indices of outputs, batch first and channels left out, row by row.

    Returns:
        (groups, positions, columns) in the column order of ``weight_matrix``.
    """
    if not is_op(node, "Conv"):
        return x.reshape(-1, x.shape[-1])[positions][None]
    windows = _windows(node, x, kernel)  # (batch, channels, *out, *kernel), a view
    rank = len(kernel)
    index = np.unravel_index(positions, (x.shape[0], *windows.shape[2 : 2 + rank]))
    # (positions, channels, *kernel)
    rows = np.moveaxis(windows, 1, 1 + rank)[index]
    groups = int_attribute(node, "group", 1)
    split = rows.reshape(len(positions), groups, -1)
    return np.ascontiguousarray(split.transpose(1, 0, 2))


def output_rows(
    node: ir.Node, y: FloatArray, num_groups: int, positions: NDArray[np.intp]
) -> FloatArray:
    """What chosen positions compute: (groups, positions, outputs of a group)."""
    last = np.moveaxis(y, 1, -1) if is_op(node, "Conv") else y
    rows = last.reshape(-1, last.shape[-1])[positions]
    split = rows.reshape(len(positions), num_groups, -1)
    return np.ascontiguousarray(split.transpose(1, 0, 2))


def num_positions(node: ir.Node, y: NDArray[np.generic]) -> int:
    """Positions of an output: its elements but for the channels."""
    return int(y.size // y.shape[1 if is_op(node, "Conv") else -1])


def _windows(node: ir.Node, x: FloatArray, kernel: tuple[int, ...]) -> FloatArray:
    rank = len(kernel)
    strides = ints_attribute(node, "strides") or (1,) * rank
    dilations = ints_attribute(node, "dilations") or (1,) * rank
    spans = tuple((k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True))
    pads = _pads(node, x.shape[2:], strides, spans)
    padded = np.pad(x, ((0, 0), (0, 0), *pads))
    windows = sliding_window_view(padded, spans, axis=tuple(range(2, 2 + rank)))
    picked = (slice(None), slice(None))
    picked += tuple(slice(None, None, stride) for stride in strides)
    picked += tuple(slice(None, None, dilation) for dilation in dilations)
    return windows[picked]


def _pads(
    node: ir.Node, sizes: tuple[int, ...], strides: tuple[int, ...], spans: tuple[int, ...]
) -> tuple[tuple[int, int], ...]:
    rank = len(sizes)
    mode = string_attribute(node, "auto_pad", "NOTSET")
    if mode in ("SAME_UPPER", "SAME_LOWER"):
        pads = []
        for size, stride, span in zip(sizes, strides, spans, strict=True):
            total = max(0, (math.ceil(size / stride) - 1) * stride + span - size)
            less, more = total // 2, total - total // 2
            pads.append((less, more) if mode == "SAME_UPPER" else (more, less))
        return tuple(pads)
    listed = ints_attribute(node, "pads") if mode == "NOTSET" else None
    both = listed or (0,) * (2 * rank)
    return tuple((both[i], both[rank + i]) for i in range(rank))
