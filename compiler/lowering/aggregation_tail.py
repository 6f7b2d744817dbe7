"""What follows an aggregation and its kernel computes as well: a bias, limits, rounding.

The scatter of attention heads is (nodes, heads, channels); a Reshape joins the heads before
the bias is added. To the kernel both are rows of channels.
"""

from dataclasses import replace

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from octavo.compiler.lowering.fusion import (
    INFINITY,
    Tail,
    float_tail,
    integer_tail,
    quantized_tail,
)
from octavo.compiler.lowering.qdq_graph import only_consumer, shape_of
from octavo.compiler.lowering.view import QdqView
from octavo.compiler.lowering.weights import quantize_bias
from octavo.passes.message_passing.forms import Form
from octavo.passes.message_passing.segments import Aggregation

_RESHAPES = ("Flatten", "Reshape", "Squeeze", "Unsqueeze")
# A bias is added to sums as a whole number of their steps: the error of that, in steps of the
# result, has to stay below what rounding to them makes anyway.
MAX_BIAS_ERROR = 1 / 8


def integer_aggregation_tail(form: Form, view: QdqView, acc_scale: float) -> Tail:
    """Follow a sum of integers to the QuantizeLinear behind it; else ``params`` is None.

    Args:
        form: The aggregation.
        view: The graph.
        acc_scale: Largest real value of one step of a sum.
    """
    for moved, output in _outputs(form, view):
        axis = _channel_axis(form, output)
        if form.aggregation is Aggregation.ADD and axis is not None:
            tail = integer_tail(output, axis, view)
            if tail.params is not None and tail.residual is None and (
                not tail.biases or acc_scale / 2 <= MAX_BIAS_ERROR * tail.params.scale
            ):  # fmt: skip
                return replace(tail, nodes=(*moved, *tail.nodes))
        tail = quantized_tail(output, view, looks_up=True)
        if tail.params is not None:
            return replace(tail, nodes=(*moved, *tail.nodes))
    return Tail((), form.output)


def float_aggregation_tail(form: Form, view: QdqView) -> Tail:
    """Follow a sum of floats through a bias and limits."""
    for moved, output in reversed(_outputs(form, view)):
        axis = _channel_axis(form, output)
        if axis is None:
            continue
        tail = float_tail(output, axis, view)
        is_sum = form.aggregation is Aggregation.ADD
        if tail.nodes and tail.residual is None and (is_sum or not tail.biases):
            return replace(tail, nodes=(*moved, *tail.nodes))
    return Tail((), form.output)


def has_limits(tail: Tail) -> bool:
    """Whether results are limited."""
    return (tail.low, tail.high) != (-INFINITY, INFINITY)


def integer_bias(
    tail: Tail, channels: int, acc_scale: NDArray[np.float64]
) -> NDArray[np.int32]:
    """In steps of the sums: (channels,) for one scale, (nodes, channels) for one of each."""
    parts = [_repeated(bias, channels) for bias in tail.biases]
    if acc_scale.size == 1:
        return quantize_bias(parts, np.broadcast_to(acc_scale, (channels,)))
    every = np.broadcast_to(acc_scale.reshape(-1, 1), (acc_scale.size, channels))
    return quantize_bias(parts, every)


def float_bias(tail: Tail, channels: int) -> NDArray[np.float32]:
    """(channels,)."""
    total = np.zeros(channels, np.float32)
    for bias in tail.biases:
        total = total + _repeated(bias, channels)
    return total


def _repeated(bias: NDArray[np.float32], channels: int) -> NDArray[np.float32]:
    """A bias of the last axis for all that are joined with it."""
    return np.tile(bias, channels // bias.size)


def _outputs(form: Form, view: QdqView) -> list[tuple[tuple[ir.Node, ...], ir.Value]]:
    """The result as it is, and what Reshapes that keep the rows make of it."""
    moved: tuple[ir.Node, ...] = ()
    value = form.output
    found = [(moved, value)]
    if form.axis != 0:
        return found
    while (node := only_consumer(value)) is not None and node not in view.claimed:
        shape = shape_of(node.outputs[0]) if node.op_type in _RESHAPES else ()
        if not shape or shape[0] != form.num_nodes:
            break
        moved, value = (*moved, node), node.outputs[0]
        found.append((moved, value))
    return found


def _channel_axis(form: Form, output: ir.Value) -> int | None:
    """The last axis but that of nodes; None where there is only that."""
    rank = len(shape_of(output))
    last = rank - 1 if form.axis != rank - 1 else rank - 2
    return last if rank > 1 else None
