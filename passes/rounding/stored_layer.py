"""The stored weight and bias of one layer of a QDQ model: read as a matrix, written back."""

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from octavo.passes.constants import constant_array, float_constant
from octavo.passes.quant_math import (
    INT32_MAX,
    MAX_ACTIVATION_DISTANCE,
    bias_scale,
    dequantize,
    quantize_bias,
)
from octavo.passes.rounding.columns import has_columns, weight_from_matrix, weight_matrix
from octavo.passes.rounding.grid import WeightGrid
from octavo.passes.wiring import is_op, only_consumer, produced_by

DoubleArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Choice:
    """Constants that a layer can have.

    Attributes:
        q: Integers of the weight, (G, O, K).
        grid: Their steps.
        bias: Real values, (G, O); zeros for a layer without bias.
    """

    q: NDArray[np.int32]
    grid: WeightGrid
    bias: DoubleArray

    @property
    def weight(self) -> DoubleArray:
        """The real values of the weight."""
        return self.grid.values(self.q)


@dataclass(frozen=True, eq=False)
class StoredLayer:
    """A Conv, Gemm or MatMul that reads its weight through DequantizeLinear.

    Attributes:
        node: The layer, in the quantized graph.
        stored: Its constants as they are.
        has_bias: Whether it stores a bias.
        kernel: Spatial shape of a convolution's weight.
        can_rescale: Whether each output stores a scale of its own.
    """

    node: ir.Node
    stored: Choice
    has_bias: bool
    kernel: tuple[int, ...]
    can_rescale: bool

    def write(self, choice: Choice) -> bool:
        """Store other constants; False, and nothing is stored, when int32 sums could overflow.

        Args:
            choice: Its grid has scales of the same shape as the stored one.
        """
        back = _dequantize_of(self.node.inputs[1])
        assert back is not None
        old = constant_array(back.inputs[0])
        assert old is not None
        scale = _stored_scale(back, self.stored.grid, choice.grid)
        bias = choice.bias.reshape(-1).astype(np.float32)
        bias_value, as_integer = _bias_operand(self.node)
        if as_integer is not None:
            written = _bias_integers(self.node, as_integer, scale, bias)
            if written is None or _overflows(choice, written[0]):
                return False
            store_constant(as_integer.inputs[0], written[0])
            store_constant(as_integer.inputs[1], written[1])
        elif bias_value is not None:
            store_constant(bias_value, bias)
        q = weight_from_matrix(self.node, choice.q, old.shape)
        store_constant(back.inputs[0], np.ascontiguousarray(q).astype(old.dtype))
        store_constant(back.inputs[1], scale)
        return True


def stored_layer(node: ir.Node) -> StoredLayer | None:
    """The layer that a node of a QDQ graph heads, or None when its weight cannot be rounded.

    It cannot when it is no constant behind DequantizeLinear, is not symmetric, or has several
    readers, each of which would round it in its own way.
    """
    if len(node.inputs) < 2:
        return None
    back = _dequantize_of(node.inputs[1])
    if back is None or len(back.outputs[0].uses()) != 1:
        return None
    q, scale = constant_array(back.inputs[0]), constant_array(back.inputs[1])
    zero_point = constant_array(back.inputs[2]) if len(back.inputs) > 2 else None
    if q is None or scale is None or not has_columns(node, q):
        return None
    if zero_point is not None and zero_point.astype(np.int64).any():
        return None
    if any(len(value.uses()) != 1 for value in back.inputs[:2] if value is not None):
        return None
    integers = q.astype(np.int32)
    # The widest integer in use: no rounding leaves the format that was chosen for the layer.
    qmax = int(np.abs(integers).max(initial=0))
    if qmax == 0:
        return None
    steps = _expanded_scale(back, integers, np.asarray(scale, np.float64))
    matrix = weight_matrix(node, integers)  # type: ignore[arg-type]
    grid = WeightGrid(_per_output(weight_matrix(node, steps)), qmax)  # type: ignore[arg-type]
    groups, outputs, _ = matrix.shape
    bias = _read_bias(node)
    has_bias = bias is not None
    if bias is None:
        bias = np.zeros(groups * outputs, np.float32)
    if bias.size != groups * outputs:
        return None
    shaped = bias.reshape(groups, outputs).astype(np.float64)
    kernel = tuple(q.shape[2:]) if is_op(node, "Conv") else ()
    can_rescale = scale.ndim == 1 and scale.size == groups * outputs
    choice = Choice(matrix, grid, shaped)  # type: ignore[arg-type]
    return StoredLayer(node, choice, has_bias, kernel, can_rescale)


def float_bias(node: ir.Node) -> NDArray[np.float32] | None:
    """The bias that is added behind a MatMul of a float graph, or None."""
    if not is_op(node, "MatMul"):
        return None
    value, _ = _bias_operand(node)
    return float_constant(value)


def _read_bias(node: ir.Node) -> NDArray[np.float32] | None:
    value, back = _bias_operand(node)
    if back is None:
        return float_constant(value)
    q, scale = constant_array(back.inputs[0]), constant_array(back.inputs[1])
    if q is None or scale is None or q.ndim != 1:
        return None
    return dequantize(q, np.asarray(scale, np.float32), axis=0 if scale.ndim else None)


def _bias_operand(node: ir.Node) -> tuple[ir.Value | None, ir.Node | None]:
    """The bias of a layer, and the DequantizeLinear that makes it when it is an integer."""
    value: ir.Value | None = None
    if not is_op(node, "MatMul"):
        value = node.inputs[2] if len(node.inputs) > 2 else None
    else:
        add = only_consumer(node.outputs[0])
        if add is not None and is_op(add, "Add"):
            value = add.inputs[1] if add.inputs[0] is node.outputs[0] else add.inputs[0]
    back = _dequantize_of(value)
    constant = constant_array(back.inputs[0] if back is not None else value)
    if constant is None or constant.ndim != 1:
        return None, None
    return value, back


def _dequantize_of(value: ir.Value | None) -> ir.Node | None:
    node = produced_by(value, "DequantizeLinear")
    if node is None or constant_array(node.inputs[0]) is None:
        return None
    return node


def _expanded_scale(back: ir.Node, q: NDArray[np.int32], scale: DoubleArray) -> DoubleArray:
    """One scale for each element of the stored weight."""
    axis = back.attributes["axis"].as_int() if "axis" in back.attributes else 1
    block = back.attributes["block_size"].as_int() if "block_size" in back.attributes else 0
    if scale.size == 1:
        return np.broadcast_to(scale.reshape(()), q.shape)
    axis %= q.ndim
    if block:
        repeated = np.repeat(scale, block, axis=axis)
        return repeated.take(np.arange(q.shape[axis]), axis=axis)
    shape = [1] * q.ndim
    shape[axis] = scale.size
    return np.broadcast_to(scale.reshape(shape), q.shape)


def _per_output(scale: DoubleArray) -> DoubleArray:
    first = scale[:, :, :1]
    return np.array(first if (scale == first).all() else scale)


def _stored_scale(back: ir.Node, old: WeightGrid, new: WeightGrid) -> NDArray[np.float32]:
    scale = np.asarray(constant_array(back.inputs[1]), np.float32)
    if new.scale is old.scale:
        return scale
    if not new.is_per_output or scale.ndim != 1 or scale.size != new.scale.size:
        raise ValueError("only scales of outputs can be chosen anew")
    return new.scale.reshape(-1).astype(np.float32)


def _bias_integers(
    node: ir.Node,
    bias_back: ir.Node,
    scale: NDArray[np.float32],
    bias: NDArray[np.float32],
) -> tuple[NDArray[np.int32], NDArray[np.float32]] | None:
    """The bias as int32 with its scale, or None when it does not fit."""
    stored = np.asarray(constant_array(bias_back.inputs[1]), np.float32)
    data = produced_by(node.inputs[0], "DequantizeLinear")
    scale_x = constant_array(data.inputs[1]) if data is not None else None
    if scale_x is not None and scale_x.size == 1 and stored.size == scale.size:
        stored = bias_scale(float(scale_x.reshape(())), scale).reshape(stored.shape)
    steps = np.rint(bias.astype(np.float64) / stored)
    if np.abs(steps).max(initial=0.0) > INT32_MAX:
        return None
    return quantize_bias(bias, 1.0, stored), stored


def _overflows(choice: Choice, bias: NDArray[np.int32]) -> bool:
    if choice.grid.qmax > 2**7:  # 16-bit weights are multiplied in wider sums
        return False
    taps = np.abs(choice.q).sum(axis=2, dtype=np.int64).reshape(-1)
    bound = MAX_ACTIVATION_DISTANCE * taps + np.abs(bias.astype(np.int64))
    return bool(bound.max(initial=0) > INT32_MAX)


def store_constant(value: ir.Value | None, array: NDArray[np.generic]) -> None:
    """Give an initializer another array of the same type and shape."""
    assert value is not None
    value.const_value = ir.tensor(np.asarray(array, order="C"), name=value.name)
