"""The operands of quantized operators: (value, scale, zero point) -> DequantizeLinear."""

from collections.abc import Callable

import numpy as np
import onnx

from octavo.compiler.importer.draft import Emitter, attributes_of, input_name

# appends to the emitter what replaces the node; the last node writes the node's outputs
Expansion = Callable[[onnx.NodeProto, Emitter], None]


def dequantize(
    emit: Emitter, value: str, scale: str, zero_point: str, axis: int | None = None
) -> str:
    """Append DequantizeLinear and return its output.

    Args:
        emit: Collects the node.
        value: Quantized tensor.
        scale: Shape (), (1,) or (size of ``axis``,).
        zero_point: Shape of ``scale`` or (), or "" for 0.
        axis: Which axis a scale of more than one value belongs to.
    """
    inputs = [value, scale, _widened(emit, zero_point, scale)]
    return emit.op("DequantizeLinear", inputs if zero_point else inputs[:2], axis=axis)


def dequantize_input(emit: Emitter, node: onnx.NodeProto, index: int) -> str:
    """Append DequantizeLinear for the per-tensor operand whose three inputs start at index."""
    return dequantize(
        emit, node.input[index], node.input[index + 1], input_name(node, index + 2)
    )


def quantize(
    emit: Emitter, value: str, scale: str, zero_point: str, output: str, like: str
) -> None:
    """Append QuantizeLinear that writes ``output``.

    Args:
        emit: Collects the node.
        value: Float tensor.
        scale: Scale of the result, per tensor.
        zero_point: Its zero point; "" for 0.
        output: Name of the result.
        like: Where there is no zero point, the quantized input whose type the result has.
    """
    if not zero_point:
        dtype = onnx.helper.tensor_dtype_to_np_dtype(emit.draft.dtype(like))
        zero_point = emit.constant("zero_point", np.zeros((), dtype))
    emit.op("QuantizeLinear", [value, scale, zero_point], output)


def _widened(emit: Emitter, zero_point: str, scale: str) -> str:
    """Return the zero point in the shape of the scale: QDQ wants one for each scale."""
    draft = emit.draft
    value = draft.constant(zero_point) if zero_point else None
    shape = draft.types[scale].shape
    if value is None or value.size != 1 or value.shape == shape:
        return zero_point
    return emit.constant("zero_point", np.full(shape, value.reshape(())))


def expand_quantize_linear(node: onnx.NodeProto, emit: Emitter) -> None:
    """com.microsoft.QuantizeLinear -> QuantizeLinear; the older one has the same meaning."""
    axis = attributes_of(node).get("axis")
    emit.op("QuantizeLinear", list(node.input), node.output[0], axis=axis)


def expand_dequantize_linear(node: onnx.NodeProto, emit: Emitter) -> None:
    """com.microsoft.DequantizeLinear -> DequantizeLinear."""
    axis = attributes_of(node).get("axis")
    emit.op("DequantizeLinear", list(node.input), node.output[0], axis=axis)
