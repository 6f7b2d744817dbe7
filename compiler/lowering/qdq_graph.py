"""What is quantized in a QDQ model, and by what parameters.

A float value is *dequantized* when it is the image of an integer tensor under one scale and
zero point: the output of DequantizeLinear, or of an operator that only moves such values.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

EIGHT_BITS = (ir.DataType.INT8, ir.DataType.UINT8)
SIXTEEN_BITS = (ir.DataType.INT16, ir.DataType.UINT16)
NARROW = ("int2", "int4", "uint2", "uint4")


@dataclass(frozen=True)
class QuantParams:
    """Per-tensor quantization of an activation.

    Attributes:
        dtype: "int8" or "uint8", as in the model; "int16" or "uint16" for 16 bits.
        scale: Real value of one step.
        zero_point: Integer that stands for 0.0.
    """

    dtype: str
    scale: float
    zero_point: int

    def stored_as(self, dtype: str) -> "QuantParams":
        """The same real values with the other signedness: q - 128 or q + 128 of bytes."""
        if dtype == self.dtype:
            return self
        shift = np.iinfo(dtype).max - np.iinfo(self.dtype).max
        if abs(shift) != (self.qmax - self.qmin + 1) // 2:
            raise ValueError(f"{self.dtype} stored as {dtype}")
        return QuantParams(dtype, self.scale, self.zero_point + int(shift))

    def is_same_as(self, other: "QuantParams") -> bool:
        """Whether equal real values are equal integers, but for their signedness."""
        moved = self.stored_as(other.dtype)
        same_scale = np.float32(moved.scale) == np.float32(other.scale)
        return bool(same_scale) and moved.zero_point == other.zero_point

    @property
    def is_word(self) -> bool:
        """Whether the integers have 16 bits."""
        return self.dtype in ("int16", "uint16")

    @property
    def qmin(self) -> int:
        """Smallest stored integer."""
        return int(np.iinfo(self.dtype).min)

    @property
    def qmax(self) -> int:
        """Largest stored integer."""
        return int(np.iinfo(self.dtype).max)


@dataclass(frozen=True, eq=False)
class QuantizedConstant:
    """An integer constant with its quantization.

    Attributes:
        values: Integers, logical shape.
        scale: float32, () or (n,); the shape of ``values`` where blocks have scales.
        zero_point: Integers, same shape as scale.
        axis: Axis of a per-channel scale.
    """

    values: NDArray[np.integer]
    scale: NDArray[np.float32]
    zero_point: NDArray[np.integer]
    axis: int

    def real(self) -> NDArray[np.float32]:
        """Dequantize as ONNX does."""
        scale, zero_point = self.scale, self.zero_point
        if scale.ndim == 1 and scale.size > 1:
            along = [1] * self.values.ndim
            along[self.axis] = -1
            scale, zero_point = scale.reshape(along), zero_point.reshape(along)
        centred = self.values.astype(np.int32) - zero_point.astype(np.int32)
        return centred.astype(np.float32) * scale


def constant(value: ir.Value | None) -> NDArray[Any] | None:
    """The array behind an initializer, or None."""
    if value is None or value.const_value is None or value.is_graph_input():
        return None
    return np.asarray(value.const_value.numpy())


def shape_of(value: ir.Value) -> tuple[int, ...]:
    """Static shape."""
    if value.shape is None:
        raise ValueError(f"{value.name}: no shape")
    return tuple(int(d) for d in value.shape)  # type: ignore[arg-type]


def dtype_of(value: ir.Value) -> str:
    """Numpy dtype name."""
    if value.dtype is None:
        raise ValueError(f"{value.name}: no dtype")
    return str(value.dtype.numpy().name)


def quantize_params(
    node: ir.Node, types: Sequence[ir.DataType] = EIGHT_BITS
) -> QuantParams | None:
    """Parameters of a per-tensor QuantizeLinear or DequantizeLinear, or None.

    Args:
        node: The operator.
        types: Types of the integers.
    """
    scale, zero_point = constant(node.inputs[1]), None
    if len(node.inputs) > 2 and node.inputs[2] is not None:
        zero_point = constant(node.inputs[2])
        if zero_point is None:
            return None
    stored = node.outputs[0] if node.op_type == "QuantizeLinear" else node.inputs[0]
    if scale is None or scale.size != 1 or stored is None or stored.dtype not in types:
        return None
    zero = 0 if zero_point is None else int(zero_point.reshape(-1)[0])
    return QuantParams(dtype_of(stored), float(scale.reshape(-1)[0]), zero)


def quantized_constant(value: ir.Value | None) -> QuantizedConstant | None:
    """The integers behind DequantizeLinear(constant), also through Transpose and Reshape."""
    node = value.producer() if value is not None else None
    if node is None:
        return None
    if node.op_type == "DequantizeLinear":
        return _dequantized_constant(node)
    if node.op_type == "Transpose":
        inner = quantized_constant(node.inputs[0])
        if inner is None:
            return None
        perm = node.attributes.get("perm")
        axes = list(perm.as_ints()) if perm else list(range(inner.values.ndim))[::-1]
        if inner.scale.ndim > 1:
            return QuantizedConstant(
                inner.values.transpose(axes),
                inner.scale.transpose(axes),
                inner.zero_point.transpose(axes),
                0,
            )
        axis = axes.index(inner.axis) if inner.scale.size > 1 else 0
        return QuantizedConstant(
            inner.values.transpose(axes), inner.scale, inner.zero_point, axis
        )
    if node.op_type == "Reshape":
        inner = quantized_constant(node.inputs[0])
        if inner is None or inner.scale.size > 1:
            return None
        return QuantizedConstant(
            inner.values.reshape(shape_of(node.outputs[0])), inner.scale, inner.zero_point, 0
        )
    return None


def _dequantized_constant(node: ir.Node) -> QuantizedConstant | None:
    values, scale = constant(node.inputs[0]), constant(node.inputs[1])
    if values is None or scale is None:
        return None
    if len(node.inputs) > 2 and node.inputs[2] is not None:
        zero_point = constant(node.inputs[2])
    else:
        zero_point = np.zeros(scale.shape, values.dtype)
    if zero_point is None:
        return None
    if values.dtype.name in NARROW:  # of two or four bits, which numpy does not calculate with
        values, zero_point = values.astype(np.int8), zero_point.astype(np.int8)
    if not np.issubdtype(values.dtype, np.integer):
        return None
    axis = int_attribute(node, "axis", 1)
    axis = axis + values.ndim if axis < 0 else axis
    scale = scale.astype(np.float32)
    if block_size := int_attribute(node, "block_size", 0):
        size = values.shape[axis]
        scale = np.repeat(scale, block_size, axis).take(range(size), axis)
        zero_point = np.broadcast_to(zero_point, zero_point.shape or scale.shape)
        if zero_point.shape != scale.shape:
            zero_point = np.repeat(zero_point, block_size, axis).take(range(size), axis)
    elif scale.ndim > 1:
        return None
    return QuantizedConstant(values, scale, zero_point, axis)


def int_attribute(node: ir.Node, name: str, default: int) -> int:
    """Integer attribute or its default."""
    attribute = node.attributes.get(name)
    return default if attribute is None else int(attribute.as_int())


def float_attribute(node: ir.Node, name: str, default: float) -> float:
    """Float attribute or its default."""
    attribute = node.attributes.get(name)
    return default if attribute is None else float(attribute.as_float())


def ints_attribute(node: ir.Node, name: str, default: Sequence[int]) -> list[int]:
    """Integer list attribute or its default."""
    attribute = node.attributes.get(name)
    return list(default) if attribute is None else [int(i) for i in attribute.as_ints()]


def string_attribute(node: ir.Node, name: str, default: str) -> str:
    """String attribute or its default."""
    attribute = node.attributes.get(name)
    return default if attribute is None else str(attribute.as_string())


def only_consumer(value: ir.Value) -> ir.Node | None:
    """The one node that reads a value that is not a model output, or None."""
    uses = value.uses()
    if len(uses) != 1 or value.is_graph_output():
        return None
    return next(iter(uses)).node


def operand(node: ir.Node, index: int) -> ir.Value | None:
    """An input, or None where the node leaves it out."""
    return node.inputs[index] if index < len(node.inputs) else None
