"""LSTM and GRU, quantized in and quantized out, with a fixed-point state in between.

The output is fed back as it is stored: the recurrence multiplies integers, where the float
model multiplies the unquantized output.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from octavo.compiler.lowering.builder import Origin
from octavo.compiler.lowering.context import Context, Region
from octavo.compiler.lowering.lookup import requantize_table
from octavo.compiler.lowering.qdq_graph import (
    QuantParams,
    constant,
    int_attribute,
    only_consumer,
    operand,
    quantize_params,
    quantized_constant,
    shape_of,
    string_attribute,
)
from octavo.compiler.lowering.tensor import Tensor, identity
from octavo.compiler.lowering.tflite_rounding import TFLITE
from octavo.compiler.lowering.view import QdqView
from octavo.compiler.tflite_cell import cell_of
from octavo.targets.ops.gru import Gru, gru_arrays
from octavo.targets.ops.lstm import Lstm, lstm_arrays
from octavo.targets.ops.word_lstm import WordLstm, word_lstm_arrays

SEQUENCE_LENS, INITIAL_H, INITIAL_C, PEEPHOLE = 4, 5, 6, 7
Y, Y_H, Y_C = range(3)


@dataclass(frozen=True, eq=False)
class Layer:
    """What is known of a recurrent node.

    Attributes:
        node: LSTM or GRU.
        x: Its input.
        weight, recurrent: (directions, gates * hidden, ...) int8.
        weight_scale, recurrent_scale: (directions, gates * hidden) float64.
        bias: (directions, 2 * gates * hidden) real, or None.
        quantizers: The QuantizeLinear behind Y and behind Y_h, None where there is no reader.
        params: Quantization of both.
    """

    node: ir.Node
    x: ir.Value
    weight: NDArray[np.int8]
    weight_scale: NDArray[np.float64]
    recurrent: NDArray[np.int8]
    recurrent_scale: NDArray[np.float64]
    bias: NDArray[np.float32] | None
    quantizers: tuple[ir.Node | None, ir.Node | None]
    params: QuantParams


def match(node: ir.Node, view: QdqView) -> Region | None:
    """DQ -> LSTM | GRU -> Q, with constant weights and the default activations."""
    layer = _read(node, view)
    if layer is None:
        return None
    # The node comes last: its results are defined before anything between the quantizers.
    nodes = (*(q for q in layer.quantizers if q is not None), node)

    def emit(ctx: Context) -> None:
        _emit(ctx, layer, Region(nodes, emit).origin())

    return Region(nodes, emit)


def _read(node: ir.Node, view: QdqView) -> Layer | None:
    x = operand(node, 0)
    if node.op_type not in ("LSTM", "GRU") or x is None or not view.is_dequantized(x):
        return None
    if any(name in node.attributes for name in ("activations", "clip")) or any(
        int_attribute(node, name, 0) for name in ("layout", "input_forget")
    ):
        return None
    if operand(node, SEQUENCE_LENS) is not None or operand(node, PEEPHOLE) is not None:
        return None
    weights = [_weights(operand(node, i)) for i in (1, 2)]
    bias = view.constant_float(operand(node, 3))
    outputs = _quantizers(node)
    if None in weights or outputs is None or (bias is None and operand(node, 3) is not None):
        return None
    of_input, of_recurrent = (w for w in weights if w is not None)
    return Layer(node, x, *of_input, *of_recurrent, bias, *outputs)


def _weights(value: ir.Value | None) -> tuple[NDArray[np.int8], NDArray[np.float64]] | None:
    """Symmetric int8 weights and the scale of each row of each direction."""
    found = quantized_constant(value)
    if found is None or found.values.dtype.name != "int8" or found.zero_point.any():
        return None
    rows = found.values.shape[:2]
    if found.scale.ndim > 1:
        return None
    if found.scale.size > 1 and (found.axis != 1 or found.scale.size != rows[1]):
        return None
    scale = np.broadcast_to(found.scale.reshape(1, -1), rows).astype(np.float64)
    return found.values.astype(np.int8), scale


def _quantizers(
    node: ir.Node,
) -> tuple[tuple[ir.Node | None, ir.Node | None], QuantParams] | None:
    """The QuantizeLinear behind Y and Y_h and their common parameters."""
    found: list[ir.Node | None] = []
    params: QuantParams | None = None
    for index in (Y, Y_H):
        output = node.outputs[index] if index < len(node.outputs) else None
        if output is None or not (output.uses() or output.is_graph_output()):
            found.append(None)
            continue
        consumer = only_consumer(output)
        if consumer is None or consumer.op_type != "QuantizeLinear":
            return None
        its = quantize_params(consumer)
        if its is None or (params is not None and its != params):
            return None
        params = its
        found.append(consumer)
    return None if params is None else ((found[0], found[1]), params)


def _emit(ctx: Context, layer: Layer, origin: Origin) -> None:
    node, shape = layer.node, shape_of(layer.x)
    order = identity(3)
    # The cells run on the CPU, whose instructions may want another type than an accelerator's.
    dtype = ctx.builder.isa.activation_dtype
    x = ctx.dense(ctx.stored_as(ctx.tensor(layer.x), dtype, origin), order, origin)
    hidden = layer.recurrent.shape[2]
    directions = layer.recurrent.shape[0]
    stored = layer.params.stored_as(dtype)
    inputs = [x]
    state_shape = (directions, shape[1], hidden)
    initial_h = _initial_output(ctx, operand(node, INITIAL_H), stored, origin)
    if initial_h is not None:
        inputs.append(initial_h)
    sizes: dict[str, Any] = {
        "steps": shape[0],
        "batch": shape[1],
        "inputs": shape[2],
        "hidden": hidden,
        "direction": string_attribute(node, "direction", "forward"),
        "dtype": dtype,
        "has_initial_h": initial_h is not None,
    }
    scales: dict[str, Any] = {
        "scale_x": float(x.scale or 1.0),
        "scale_y": stored.scale,
        "zero_points": (x.zero_point, stored.zero_point),
        "weight_scale": layer.weight_scale,
        "recurrent_scale": layer.recurrent_scale,
        "bias": layer.bias,
    }
    read = [
        _output(ctx, layer, Y, (shape[0], directions, shape[1], hidden), origin),
        _output(ctx, layer, Y_H, state_shape, origin),
    ]
    outputs = [
        tensor if tensor.dtype == dtype else
        ctx.new(f"{origin.name}.{dtype}{index}", dtype, tensor.shape, tensor.order)
        for index, tensor in enumerate(read)
    ]  # fmt: skip
    op: Lstm | Gru | WordLstm
    arrays: dict[str, NDArray[Any]]
    cell = cell_of(node.metadata_props) if ctx.mode == TFLITE else None
    if cell is not None and _is_plain(node):
        op = WordLstm(**sizes, cell_integer_bits=cell.integer_bits, cell_limit=cell.limit)
        arrays = word_lstm_arrays(op, **scales)
    elif node.op_type == "GRU":
        before = bool(int_attribute(node, "linear_before_reset", 0))
        op = Gru(**sizes, linear_before_reset=before)
        arrays = gru_arrays(op, **scales)
    else:
        initial_c = operand(node, INITIAL_C)
        if initial_c is not None and not _is_zero(initial_c):
            inputs.append(ctx.float_tensor(initial_c, order))
        last = _cell_output(node)
        if last is not None:
            outputs.append(ctx.new_float(last, order))
        op = Lstm(
            **sizes,
            has_initial_c=len(inputs) > 1 + (initial_h is not None),
            has_cell_output=last is not None,
        )
        arrays = lstm_arrays(op, **scales)
    arrays |= {"weight": layer.weight, "recurrent": layer.recurrent}
    ctx.builder.call(op, inputs, arrays, outputs, origin)
    for quantizer, made, wanted in zip(layer.quantizers, outputs, read, strict=False):
        if quantizer is not None and made is not wanted:
            ctx.flip_signs(made, wanted, origin)


def _cell_output(node: ir.Node) -> ir.Value | None:
    """The last cell, if anybody reads it."""
    cell = node.outputs[Y_C] if len(node.outputs) > Y_C else None
    return cell if cell is not None and (cell.uses() or cell.is_graph_output()) else None


def _is_plain(node: ir.Node) -> bool:
    """Whether an LSTM has one direction, starts with 0 and keeps its cell to itself."""
    return (
        node.op_type == "LSTM"
        and string_attribute(node, "direction", "forward") == "forward"
        and all(
            value is None or _is_zero(value)
            for value in (operand(node, INITIAL_H), operand(node, INITIAL_C))
        )
        and _cell_output(node) is None
    )


def _output(
    ctx: Context, layer: Layer, index: int, shape: tuple[int, ...], origin: Origin
) -> Tensor:
    """The tensor of Y or Y_h; nobody reads it when there is no QuantizeLinear behind it."""
    quantizer = layer.quantizers[index]
    order = identity(len(shape))
    if quantizer is not None:
        return ctx.new_quantized(quantizer.outputs[0], layer.params, order)
    return ctx.new(f"{origin.name}.unread{index}", ctx.activation_dtype, shape, order)


def _is_zero(value: ir.Value) -> bool:
    array = constant(value)
    return array is not None and not array.any()


def _initial_output(
    ctx: Context, value: ir.Value | None, params: QuantParams, origin: Origin
) -> Tensor | None:
    """The output before the first step, quantized as the layer's output."""
    if value is None or _is_zero(value):
        return None
    order = identity(3)
    tensor = ctx.tensor(value)
    same = replace(
        ctx.new(f"{origin.name}.initial_h", params.dtype, tensor.shape, order),
        scale=params.scale,
        zero_point=params.zero_point,
    )
    if tensor.is_quantized:
        ctx.move(tensor, same, {"table": requantize_table(tensor, params)}, "table", origin)
    else:
        ctx.quantize(tensor, same, origin)
    return same
