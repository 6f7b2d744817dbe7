"""Recognize attention: the operators that one kernel computes from query, key and value.

``MatMul(q, k) -> [Mul | Div by a number] -> [Add mask] -> Softmax -> MatMul(., v)``

Its scores are not quantized: 8 bits for all scores of a tensor would lose more than everything
around them. Its weights are rounded beside the largest of their row, see ``round_attention``.
"""

from dataclasses import dataclass

import onnx_ir as ir

from octavo.passes.constants import constant_array, scalar_constant
from octavo.passes.wiring import (
    int_attribute,
    is_float,
    is_op,
    only_consumer,
    produced_by,
    static_shape,
)


@dataclass(frozen=True, eq=False)
class Attention:
    """Softmax(q k scale + mask) v.

    Attributes:
        nodes: All of them, in graph order; the first makes the scores, the last the output.
        query: (..., rows, depth).
        key: (..., depth, columns): transposed already.
        value: (..., columns, width).
        mask: Added to the scores, of a shape that broadcasts to theirs; or None.
        scale: Factor of the scores.
    """

    nodes: tuple[ir.Node, ...]
    query: ir.Value
    key: ir.Value
    value: ir.Value
    mask: ir.Value | None
    scale: float


def match_attention(product: ir.Node) -> Attention | None:
    """Attention whose scores are made by ``product``, or None."""
    operands = _computed_operands(product)
    if operands is None:
        return None
    nodes, scale, mask = [product], 1.0, None
    node = only_consumer(product.outputs[0])
    while node is not None:
        factor = score_factor(node, nodes[-1].outputs[0])
        if factor is None:
            break
        nodes.append(node)
        scale *= factor
        node = only_consumer(node.outputs[0])
    if node is not None and is_op(node, "Add"):
        mask = _mask(node, nodes[-1].outputs[0])
        if mask is None:
            return None
        nodes.append(node)
        node = only_consumer(node.outputs[0])
    if node is None or not is_op(node, "Softmax") or not _is_over_columns(node):
        return None
    nodes.append(node)
    mix = only_consumer(node.outputs[0])
    if mix is None or not is_op(mix, "MatMul") or mix.inputs[0] is not node.outputs[0]:
        return None
    mixed = _computed_operands(mix)
    if mixed is None or not 0.0 < scale < float("inf"):
        return None
    return Attention((*nodes, mix), *operands, mixed[1], mask, scale)


def score_factor(node: ir.Node, value: ir.Value) -> float | None:
    """The number that a Mul or Div scales ``value`` by, or None."""
    if not is_op(node, "Mul", "Div"):
        return None
    is_first = node.inputs[0] is value
    number = scalar_constant(node.inputs[1] if is_first else node.inputs[0])
    if number is None or static_shape(node.outputs[0]) != static_shape(value):
        return None
    if is_op(node, "Mul"):
        return number
    return 1.0 / number if is_first and number else None


def _computed_operands(node: ir.Node) -> tuple[ir.Value, ir.Value] | None:
    """Both operands of a product of two activations with known shapes, else None."""
    if not is_op(node, "MatMul"):
        return None
    a, b = node.inputs
    if a is None or b is None:
        return None
    for value in (a, b):
        shape = static_shape(value)
        if not is_float(value) or _is_stored(value) or shape is None or len(shape) < 2:
            return None
        if 0 in shape:
            return None
    return a, b


def _is_stored(value: ir.Value) -> bool:
    """Whether a value is a constant, or a quantized constant."""
    back = produced_by(value, "DequantizeLinear")
    return constant_array(value) is not None or (
        back is not None and constant_array(back.inputs[0]) is not None
    )


def _mask(node: ir.Node, scores: ir.Value) -> ir.Value | None:
    """The other operand of an Add that leaves the shape of the scores as it is."""
    other = node.inputs[1] if node.inputs[0] is scores else node.inputs[0]
    if other is None or other is scores or not is_float(other):
        return None
    if static_shape(other) is None or static_shape(node.outputs[0]) != static_shape(scores):
        return None
    return other


def _is_over_columns(softmax: ir.Node) -> bool:
    shape = static_shape(softmax.outputs[0])
    return shape is not None and int_attribute(softmax, "axis", -1) in (-1, len(shape) - 1)
