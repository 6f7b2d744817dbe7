"""Where the channels of Conv, ConvTranspose, Gemm and MatMul weights are.

A layer is y[o] = sum_i W[o, i] x[i] + b[o]; these functions scale rows (outputs) and columns
(inputs) of W in each operator's own layout.
"""

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from octavo.passes.constants import float_constant
from octavo.passes.wiring import int_attribute, is_op

LINEAR_OP_TYPES = ("Conv", "ConvTranspose", "Gemm", "MatMul")

FloatArray = NDArray[np.float32]


def linear_weight(node: ir.Node) -> FloatArray | None:
    """The constant float weight of a linear layer, or None when it has no such weight."""
    if not is_op(node, *LINEAR_OP_TYPES):
        return None
    weight = float_constant(node.inputs[1])
    if weight is None or (is_op(node, "Gemm", "MatMul") and weight.ndim != 2):
        return None
    return weight


def linear_bias(node: ir.Node, weight: FloatArray) -> FloatArray | None:
    """The bias as (number of outputs,), zeros when there is none, None when computed."""
    count = num_outputs(node, weight)
    value = node.inputs[2] if len(node.inputs) > 2 else None
    if value is None:
        return np.zeros(count, np.float32)
    bias = float_constant(value)
    if (
        bias is None
        or bias.size not in (1, count)
        or bias.shape[-1:] not in ((count,), (1,), ())
    ):
        return None
    return np.broadcast_to(bias.reshape(-1), (count,)).astype(np.float32)


def output_axis(node: ir.Node) -> int:
    """Dimension of the weight that runs along outputs (of one group, for ConvTranspose)."""
    if is_op(node, "Conv"):
        return 0
    if is_op(node, "Gemm"):
        return 0 if int_attribute(node, "transB", 0) else 1
    return 1


def input_axis(node: ir.Node) -> int:
    """Dimension of the weight that runs along inputs (of one group, for Conv)."""
    if is_op(node, "Conv"):
        return 1
    if is_op(node, "Gemm"):
        return 1 if int_attribute(node, "transB", 0) else 0
    return -2 if is_op(node, "MatMul") else 0


def num_outputs(node: ir.Node, weight: FloatArray) -> int:
    """Number of output channels or features."""
    groups = int_attribute(node, "group", 1) if is_op(node, "ConvTranspose") else 1
    return int(weight.shape[output_axis(node)]) * groups


def reduce_axes(node: ir.Node, weight: NDArray[np.generic]) -> tuple[int, ...]:
    """Dimensions of the weight that are summed into one output."""
    return tuple(axis for axis in range(weight.ndim) if axis != output_axis(node))


def scale_outputs(
    node: ir.Node, weight: FloatArray, factor: NDArray[np.floating]
) -> FloatArray:
    """W[o, i] * factor[o]; ``factor`` is (number of outputs,)."""
    grouped, o_axis, _ = _grouped(node, weight)
    groups = grouped.shape[0]
    shape = [1] * grouped.ndim
    shape[0], shape[o_axis] = groups, grouped.shape[o_axis]
    scaled = grouped * np.asarray(factor, np.float32).reshape(shape)
    return scaled.reshape(weight.shape)


def scale_inputs(
    node: ir.Node, weight: FloatArray, factor: NDArray[np.floating]
) -> FloatArray:
    """W[o, i] * factor[i]; ``factor`` is (number of inputs,)."""
    grouped, _, i_axis = _grouped(node, weight)
    shape = [1] * grouped.ndim
    shape[0], shape[i_axis] = grouped.shape[0], grouped.shape[i_axis]
    scaled = grouped * np.asarray(factor, np.float32).reshape(shape)
    return scaled.reshape(weight.shape)


def output_ranges(node: ir.Node, weight: FloatArray) -> NDArray[np.float64]:
    """max|W[o, :]| for each output, (number of outputs,)."""
    return _ranges(node, weight, keep_outputs=True)


def input_ranges(node: ir.Node, weight: FloatArray) -> NDArray[np.float64]:
    """max|W[:, i]| for each input, (number of inputs,)."""
    return _ranges(node, weight, keep_outputs=False)


def input_sums(
    node: ir.Node, weight: FloatArray, x: NDArray[np.float64]
) -> NDArray[np.float64]:
    """sum_i W[o, i] x[i] over all taps, for an ``x`` constant in space; (outputs,)."""
    grouped, o_axis, i_axis = _grouped(node, weight)
    shape = [1] * grouped.ndim
    shape[0], shape[i_axis] = grouped.shape[0], grouped.shape[i_axis]
    product = grouped * x.reshape(shape)
    axes = tuple(a for a in range(grouped.ndim) if a not in (0, o_axis))
    sums: NDArray[np.float64] = product.sum(axis=axes).reshape(-1)
    return sums


def _ranges(node: ir.Node, weight: FloatArray, *, keep_outputs: bool) -> NDArray[np.float64]:
    grouped, o_axis, i_axis = _grouped(node, weight)
    kept = o_axis if keep_outputs else i_axis
    axes = tuple(a for a in range(grouped.ndim) if a not in (0, kept))
    # Without a temporary of the weight's size.
    extremes = np.maximum(grouped.max(axis=axes), -grouped.min(axis=axes))
    ranges: NDArray[np.float64] = extremes.reshape(-1).astype(np.float64)
    return ranges


def _grouped(node: ir.Node, weight: FloatArray) -> tuple[FloatArray, int, int]:
    # With the group as its own first dimension every layout has one output and one input axis.
    if is_op(node, "Gemm", "MatMul"):
        o_axis = output_axis(node)
        return weight[None], o_axis + 1, 2 - o_axis
    groups = int_attribute(node, "group", 1)
    split = (groups, weight.shape[0] // groups, *weight.shape[1:])
    # Conv is (G * O/G, I/G, taps); ConvTranspose is (G * I/G, O/G, taps).
    axes = (1, 2) if is_op(node, "Conv") else (2, 1)
    return weight.reshape(split), *axes
