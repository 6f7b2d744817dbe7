"""What each operator with an integer kernel needs.

Which inputs are activations, which are weights, and where the scale of the output comes from.
Elementwise operators of one tensor are not listed: see ``elementwise_chains``. Adding an
operator is one line of the table.
"""

from dataclasses import dataclass
from enum import Enum

import numpy as np
import onnx_ir as ir

from octavo.passes.constants import constant_array, float_constant
from octavo.passes.wiring import (
    int_attribute,
    is_float,
    is_op,
    static_shape,
    string_attribute,
)


class OutputScale(Enum):
    """Where the quantization parameters of an output come from."""

    OWN = "own"  # the calibrated range of the output
    SAME = "same as input"  # integers are moved or selected, never computed
    UNIT = "0 to 1"  # a probability: scale 1/256


@dataclass(frozen=True)
class OperatorRule:
    """One line of the table.

    Attributes:
        activations: Input positions that carry activations; empty: all inputs.
        weights: ``(position, output-channel axis)`` of weights that have to be constant.
        bias: Input position of an int32 bias, or None.
        output: Where the outputs' parameters come from.
        outputs: Positions of outputs that are quantized; the others stay float.
        ranks: Allowed ranks of the first activation; empty: any.
        moves_data: Only rearranges: quantized when a neighbour is, never for its own sake.
    """

    activations: tuple[int, ...] = (0,)
    weights: tuple[tuple[int, int], ...] = ()
    bias: int | None = None
    output: OutputScale = OutputScale.OWN
    outputs: tuple[int, ...] = (0,)
    ranks: tuple[int, ...] = ()
    moves_data: bool = False


_MOVE = OperatorRule(output=OutputScale.SAME, moves_data=True)
_RECURRENT = OperatorRule(weights=((1, 1), (2, 1)), outputs=(0, 1))
_BINARY = OperatorRule(activations=(0, 1))

OPERATOR_RULES: dict[str, OperatorRule] = {
    "Add": _BINARY,
    "AveragePool": OperatorRule(ranks=(3, 4)),
    "Concat": OperatorRule(activations=(), moves_data=True),
    "Conv": OperatorRule(weights=((1, 0),), bias=2, ranks=(3, 4)),
    "ConvTranspose": OperatorRule(weights=((1, 1),), bias=2, ranks=(3, 4)),
    "DepthToSpace": _MOVE,
    "Expand": _MOVE,
    "Flatten": _MOVE,
    "GRU": _RECURRENT,
    "Gather": _MOVE,
    "Gemm": OperatorRule(weights=((1, 1),), bias=2),
    "GlobalAveragePool": OperatorRule(ranks=(3, 4)),
    "GlobalMaxPool": OperatorRule(output=OutputScale.SAME, ranks=(3, 4)),
    "Identity": _MOVE,
    "LSTM": _RECURRENT,
    "LayerNormalization": OperatorRule(),
    "MatMul": _BINARY,
    "MaxPool": OperatorRule(output=OutputScale.SAME, ranks=(3, 4)),
    "Mul": _BINARY,
    "Pad": OperatorRule(output=OutputScale.SAME),
    "ReduceMean": OperatorRule(),
    "Reshape": _MOVE,
    "Resize": OperatorRule(output=OutputScale.SAME, ranks=(3, 4)),
    "Slice": _MOVE,
    "Softmax": OperatorRule(output=OutputScale.UNIT),
    "SpaceToDepth": _MOVE,
    "Split": OperatorRule(output=OutputScale.SAME, outputs=(), moves_data=True),
    "Squeeze": _MOVE,
    "Sub": _BINARY,
    "Tile": _MOVE,
    "Transpose": _MOVE,
    "Unsqueeze": _MOVE,
}

# Elementwise functions whose values lie in [0, 1).
UNIT_RANGE_OP_TYPES = ("Sigmoid", "Softmax")


def rule_of(node: ir.Node) -> OperatorRule | None:
    """The rule of a node's operator, or None when it has no integer kernel."""
    return OPERATOR_RULES.get(node.op_type) if node.domain in ("", "ai.onnx") else None


def activation_inputs(node: ir.Node) -> list[ir.Value]:
    """The activation operands of a node with a rule, in order, without missing ones."""
    rule = OPERATOR_RULES[node.op_type]
    positions = rule.activations or tuple(range(len(node.inputs)))
    if is_op(node, "MatMul") and is_constant_matrix(node.inputs[1]):
        positions = (0,)
    values = [node.inputs[i] for i in positions if i < len(node.inputs)]
    return [value for value in values if value is not None]


def quantized_outputs(node: ir.Node) -> list[ir.Value]:
    """The outputs of a node with a rule that are quantized; unnamed ones are left out."""
    positions = OPERATOR_RULES[node.op_type].outputs or tuple(range(len(node.outputs)))
    return [
        node.outputs[i] for i in positions if i < len(node.outputs) and node.outputs[i].name
    ]


def weight_inputs(node: ir.Node) -> list[tuple[int, int]]:
    """``(position, output-channel axis)`` of the weights of any node."""
    if is_op(node, "MatMul"):
        return [(1, _rank(node.inputs[1]) - 1)] if is_constant_matrix(node.inputs[1]) else []
    if is_op(node, "Gemm"):
        return [(1, 0 if int_attribute(node, "transB", 0) else 1)]
    rule = rule_of(node)
    return list(rule.weights) if rule is not None else []


def is_constant_matrix(value: ir.Value | None) -> bool:
    """Whether a value is a stored weight: float, or int8 behind a DequantizeLinear."""
    return float_constant(value) is not None or stored_int8_weight(value) is not None


def stored_int8_weight(value: ir.Value | None) -> ir.Node | None:
    """The DequantizeLinear that computes ``value`` from a symmetric int8 constant, or None."""
    node = value.producer() if value is not None else None
    if node is None or not is_op(node, "DequantizeLinear"):
        return None
    q, scale = constant_array(node.inputs[0]), constant_array(node.inputs[1])
    zero_point = constant_array(node.inputs[2]) if len(node.inputs) > 2 else None
    if q is None or q.dtype != np.int8 or scale is None or scale.ndim > 1:
        return None
    return node if zero_point is None or not zero_point.any() else None


def why_not_quantizable(node: ir.Node) -> str:
    """Why a node has no integer kernel, or "" when it has one."""
    rule = rule_of(node)
    if rule is None:
        return f"no integer kernel for {node.op_type}"
    inputs, outputs = activation_inputs(node), quantized_outputs(node)
    if not all(is_float(value) for value in (*inputs, *outputs)):
        return "not a float32 tensor"
    if any(static_shape(value) is None for value in (*inputs, *outputs)):
        return "a shape is not known"
    if any(0 in (static_shape(value) or ()) for value in (*inputs, *outputs)):
        return "an empty tensor"
    if rule.ranks and _rank(inputs[0]) not in rule.ranks:
        spatial = " or ".join(str(rank - 2) for rank in rule.ranks)
        return f"{node.op_type} has an integer kernel in {spatial} dimensions only"
    weights = [node.inputs[position] for position, _ in weight_inputs(node)]
    if not all(is_constant_matrix(value) for value in weights):
        return "its weight is computed, not stored"
    return _why_not_this_form(node, rule)


def _why_not_this_form(node: ir.Node, rule: OperatorRule) -> str:
    bias = node.inputs[rule.bias] if rule.bias and len(node.inputs) > rule.bias else None
    if bias is not None and (float_constant(bias) is None or _rank(bias) != 1):
        return "its bias is not a stored vector"
    if is_op(node, "MaxPool") and len(node.outputs) > 1:
        return "MaxPool also returns indices"
    if is_op(node, "Resize") and string_attribute(node, "mode", "nearest") == "cubic":
        return "cubic interpolation leaves the range of its input"
    if is_op(node, "Gemm") and int_attribute(node, "transA", 0):
        return "its first operand is transposed"
    if is_op(node, "LayerNormalization") and len(node.outputs) > 1:
        return "LayerNormalization also returns statistics"
    if is_op(node, "LSTM", "GRU") and "activations" in node.attributes:
        return "its cell has activations of its own"
    return ""


def _rank(value: ir.Value | None) -> int:
    shape = static_shape(value)
    return len(shape) if shape is not None else -1
