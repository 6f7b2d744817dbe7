"""What follows a multiply-accumulate operator and is computed before its result is stored.

Conv | ConvTranspose | Gemm | MatMul -> [+ bias] -> [+ residual] -> [Relu | Clip]
-> [Q] -> [DQ -> any function of one number -> Q]
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from octavo.compiler.lowering.lookup import (
    LookupChain,
    compose,
    following_chain,
    requantize_table,
)
from octavo.compiler.lowering.qdq_graph import (
    QuantParams,
    constant,
    only_consumer,
    quantize_params,
    quantized_constant,
    shape_of,
)
from octavo.compiler.lowering.tensor import Tensor
from octavo.compiler.lowering.tflite_rounding import TFLITE, is_divided
from octavo.compiler.lowering.view import QdqView
from octavo.targets.ops.requantize import MAX_RESIDUAL_BITS, Requantize, dyadic

INFINITY = float("inf")
# One step of the operand saturates any 8-bit result long before: nothing changes above these.
MAX_MULTIPLIER = np.float64(2**29)
MAX_RATIO = np.float64(2**20)
# |accumulator| <= 2**31 and |residual| <= 2**8: their sum stays below 2**31.
MAX_UNLIMITED_MULTIPLIER = 0.5


@dataclass(frozen=True)
class Tail:
    """The nodes behind an operator that its kernel computes as well.

    Attributes:
        nodes: In order; empty when the operator's own output is stored.
        result: The value that is stored.
        params: Its quantization; None when it is stored as float32.
        rounded: Quantization of what ``lookup`` reads; None without one.
        lookup: A function of the rounded value, which a table computes.
        biases: Constants added per channel, each (C,) or a scalar.
        residual: A tensor of the same shape that is added, or None.
        low, high: Real limits; infinite where there are none.
    """

    nodes: tuple[ir.Node, ...]
    result: ir.Value
    params: QuantParams | None = None
    biases: tuple[NDArray[np.float32], ...] = ()
    residual: ir.Value | None = None
    low: float = -INFINITY
    high: float = INFINITY
    rounded: QuantParams | None = None
    lookup: LookupChain | None = None


def integer_tail(
    output: ir.Value, channel_axis: int, view: QdqView, *, words: bool = False
) -> Tail:
    """Follow an operator's output to the QuantizeLinear behind it.

    Args:
        output: What the operator computes.
        channel_axis: Axis of its output channels.
        view: The graph.
        words: The kernel can also add and store 16 bits.

    Returns:
        The whole tail, or an empty one when there is no QuantizeLinear to end it: a float
        result in between must not change.
    """
    may_be_added = view.has_integers if words else view.is_dequantized
    followed = _follow(output, channel_axis, may_be_added, view)
    return _with_lookup(_quantized(output, followed, view, words), view)


def quantized_tail(
    output: ir.Value, view: QdqView, *, looks_up: bool = False, words: bool = False
) -> Tail:
    """Follow an output through limits only; ``params`` is None when it is not quantized.

    Args:
        output: What the operator computes.
        view: The graph.
        looks_up: The kernel's epilogue can apply a table.
        words: It can also store 16 bits.
    """
    tail = _quantized(output, _follow(output, None, view.is_dequantized, view), view, words)
    return _with_lookup(tail, view) if looks_up else tail


def float_tail(output: ir.Value, channel_axis: int, view: QdqView) -> Tail:
    """Follow an operator's output through everything that a float kernel fuses."""
    return _follow(output, channel_axis, view.is_float_tensor, view)


def float_result_tail(output: ir.Value, channel_axis: int, view: QdqView) -> Tail:
    """Follow an integer product whose result is stored as float32.

    Args:
        output: What the product computes.
        channel_axis: Axis of its output channels.
        view: The graph.

    Returns:
        Stored integer biases, which add to the accumulators without rounding, and then one
        float tensor of the same shape.
    """
    tail, current = Tail((), output), output
    while (node := only_consumer(current)) is not None and node not in view.claimed:
        if node.op_type != "Add" or tail.residual is not None:
            break
        other = node.inputs[1] if node.inputs[0] is current else node.inputs[0]
        if other is None or other is current:
            break
        bias = None
        if quantized_constant(other) is not None:
            bias = channel_constant(other, shape_of(output), channel_axis)
        if bias is not None:
            tail = replace(tail, biases=(*tail.biases, bias))
        elif view.is_float_tensor(other) and shape_of(other) == shape_of(output):
            tail = replace(tail, residual=other)
        else:
            break
        current = node.outputs[0]
        tail = replace(tail, nodes=(*tail.nodes, node), result=current)
    return tail


def _quantized(output: ir.Value, tail: Tail, view: QdqView, words: bool) -> Tail:
    last = only_consumer(tail.result)
    if last is None or last.op_type != "QuantizeLinear" or last in view.claimed:
        return Tail((), output)
    params = quantize_params(last)
    if params is None and words:
        params = view.word_quantizer(last)
    if params is None:
        return Tail((), output)
    return replace(tail, nodes=(*tail.nodes, last), result=last.outputs[0], params=params)


def _with_lookup(tail: Tail, view: QdqView) -> Tail:
    """Go on through a function of the quantized result, if that is all that reads it."""
    following = None
    has_bytes = tail.params is not None and not tail.params.is_word
    if has_bytes and not tail.result.is_graph_output():
        following = following_chain(tail.result, view)
    if following is None:
        return tail
    first, chain = following
    return replace(
        tail,
        nodes=(*tail.nodes, first, *chain.nodes, chain.end),
        result=chain.end.outputs[0],
        params=chain.params,
        rounded=tail.params,
        lookup=chain,
    )


def _follow(
    output: ir.Value,
    channel_axis: int | None,
    may_be_residual: Callable[[ir.Value], bool],
    view: QdqView,
) -> Tail:
    nodes: list[ir.Node] = []
    biases: list[NDArray[np.float32]] = []
    residual: ir.Value | None = None
    current = output
    while (node := only_consumer(current)) is not None and node not in view.claimed:
        limits = limits_of(node)
        if limits is not None:
            limiting = _follow_limits(node, view)
            nodes.extend(limiting)
            current = limiting[-1].outputs[0]
            low, high = _common_limits(limiting)
            return Tail(tuple(nodes), current, None, tuple(biases), residual, low, high)
        if node.op_type != "Add" or residual is not None or channel_axis is None:
            break
        other = node.inputs[1] if node.inputs[0] is current else node.inputs[0]
        if other is None or other is current:
            break
        bias = channel_constant(other, shape_of(output), channel_axis)
        if bias is not None:
            biases.append(bias)
        elif may_be_residual(other) and shape_of(other) == shape_of(output):
            residual = other
        else:
            break
        nodes.append(node)
        current = node.outputs[0]
    return Tail(tuple(nodes), current, None, tuple(biases), residual)


def _follow_limits(first: ir.Node, view: QdqView) -> list[ir.Node]:
    """Nodes that only limit values, one after the other."""
    nodes = [first]
    while (node := only_consumer(nodes[-1].outputs[0])) is not None:
        if node in view.claimed or limits_of(node) is None:
            break
        nodes.append(node)
    return nodes


def _common_limits(nodes: list[ir.Node]) -> tuple[float, float]:
    """Lowest and highest value that comes out of several nodes that limit."""
    low, high = -INFINITY, INFINITY
    for node in nodes:
        limits = limits_of(node)
        assert limits is not None
        low, high = (min(max(end, limits[0]), limits[1]) for end in (low, high))
    return low, high


def limits_of(node: ir.Node) -> tuple[float, float] | None:
    """Lowest and highest result of Relu or of a constant Clip, else None."""
    if node.op_type == "Relu":
        return 0.0, INFINITY
    if node.op_type != "Clip":
        return None
    limits = [-INFINITY, INFINITY]
    for slot, value in enumerate(node.inputs[1:3]):
        if value is None:
            continue
        array = constant(value)
        if array is None:
            return None
        limits[slot] = float(array.reshape(-1)[0])
    return limits[0], limits[1]


def channel_constant(
    value: ir.Value, shape: tuple[int, ...], channel_axis: int
) -> NDArray[np.float32] | None:
    """A constant that varies along the channel axis only: (C,) or (1,), else None."""
    quantized = quantized_constant(value)
    array = quantized.real() if quantized is not None else constant(value)
    if array is None or array.dtype != np.float32:
        return None
    full = (1,) * (len(shape) - array.ndim) + array.shape
    if len(full) != len(shape):
        return None
    fits = all(
        n == 1 or (axis == channel_axis and n == shape[axis]) for axis, n in enumerate(full)
    )
    return array.reshape(-1).astype(np.float32) if fits else None


def epilogue(
    tail: Tail,
    mode: str,
    acc_scale: NDArray[np.float64],
    output: Tensor,
    residual: Tensor | None,
    table_mode: str | None = None,
) -> tuple[Requantize, dict[str, NDArray[Any]]]:
    """Make the epilogue of an integer kernel and its constants.

    Args:
        tail: What is fused.
        mode: "float32", "dyadic" or "tflite".
        acc_scale: (C,) real value of one step of the accumulator.
        output: Where the result goes; float32, or quantized: if not by the tail's parameters,
            as the tensor that the result is concatenated to, then rounded twice as the model
            says.
        residual: Tensor that is added: quantized, or float32 to a float32 result.
        table_mode: Contract of the functions behind the rounding, where it is another one.
    """
    if output.scale is None:
        added = "float32" if residual is not None else None
        record = Requantize(mode=mode, dtype="float32", residual=added)
        return record, {"multiplier": acc_scale.astype(np.float32)}
    rounded, table = _rounding(tail, output, table_mode or mode)
    record = Requantize(
        mode=mode,
        dtype=output.dtype,
        residual=residual.dtype if residual is not None else None,
        has_table=table is not None,
    )
    info = np.iinfo(output.dtype)
    low, high = (
        quantized_limit(limit, rounded.scale, rounded.zero_point, info)
        for limit in (tail.low, tail.high)
    )
    zero_residual = residual.zero_point if residual is not None else 0
    arrays: dict[str, NDArray[Any]] = {
        "params": np.array([rounded.zero_point, low, high, zero_residual], np.int32)
    }
    multiplier = np.minimum(acc_scale / np.float64(rounded.scale), MAX_MULTIPLIER)
    ratio = None
    if residual is not None and residual.scale is not None:
        ratio = min(np.float64(residual.scale) / np.float64(rounded.scale), MAX_RATIO)
    if mode == "float32":
        is_type = (low, high) == (info.min, info.max)
        is_small = float(multiplier.max()) <= MAX_UNLIMITED_MULTIPLIER
        record = replace(
            record,
            has_zero_point=rounded.zero_point != 0,
            has_limits=not (is_type and is_small),
        )
        arrays["multiplier"] = multiplier.astype(np.float32)
        if ratio is not None:
            arrays["residual_multiplier"] = np.array([ratio], np.float32)
    else:
        significand, shift = dyadic(multiplier)
        if ratio is not None:
            most = MAX_RESIDUAL_BITS - int(np.ceil(np.log2(ratio)))
            excess = np.maximum(shift - most, 0)
            significand, shift = significand >> excess, shift - excess
            arrays["residual_significand"] = np.rint(np.ldexp(ratio, shift)).astype(np.int64)
        arrays["significand"] = significand.astype(np.int32)
        arrays["shift"] = shift.astype(np.int32)
        record = replace(record, is_divided=mode == TFLITE and is_divided(shift))
    if table is not None:
        arrays["table"] = table
    return record, arrays


def _rounding(
    tail: Tail, output: Tensor, mode: str
) -> tuple[QuantParams, NDArray[Any] | None]:
    """What the accumulator is rounded to, and the table from there to the output."""
    assert output.scale is not None
    stored = QuantParams(output.dtype, output.scale, output.zero_point)
    result = stored if tail.params is None else tail.params.stored_as(output.dtype)
    tables = []
    rounded = result
    if tail.lookup is not None and tail.rounded is not None:
        rounded = tail.rounded.stored_as(output.dtype)
        tables.append(tail.lookup.table(rounded, output.dtype, mode))
    if not result.is_same_as(stored):
        tables.append(requantize_table(result, stored))  # where it is joined to others
    return rounded, compose(tables)


def quantized_limit(limit: float, scale: float, zero_point: int, info: np.iinfo[Any]) -> int:
    """The stored integer of a real limit, saturated."""
    if np.isinf(limit):
        return int(info.min if limit < 0 else info.max)
    with np.errstate(over="ignore"):  # infinity is saturated as well
        steps = float(np.rint(np.float32(limit) / np.float32(scale)))
    return int(min(max(steps + zero_point, info.min), info.max))
