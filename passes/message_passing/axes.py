"""How operators carry one axis through: where an axis of the output is in each input.

An operator that works on every edge alone has the edges along one axis of its output, and
along one axis of each input that has edges at all. What mixes edges (a Softmax or a sum over
them, a product along them) has no answer here.
"""

import math
from dataclasses import dataclass

import onnx_ir as ir

from octavo.passes.constants import constant_array
from octavo.passes.wiring import int_attribute, ints_attribute, is_op, static_shape

ELEMENTWISE = (
    "Abs", "Add", "And", "Cast", "Ceil", "Clip", "Cos", "Div", "Elu", "Equal", "Erf", "Exp",
    "Expand", "Floor", "Gelu", "Greater", "GreaterOrEqual", "HardSigmoid", "HardSwish",
    "Identity", "IsInf", "IsNaN", "LeakyRelu", "Less", "LessOrEqual", "Log", "Max", "Min",
    "Mul", "Neg", "Not", "Or", "PRelu", "Pow", "Reciprocal", "Relu", "Selu", "Sigmoid", "Sign",
    "Sin", "Softplus", "Softsign", "Sqrt", "Sub", "Sum", "Swish", "Tanh", "Where",
)  # fmt: skip
REDUCTIONS = (
    "ReduceL1", "ReduceL2", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum",
    "ReduceSumSquare",
)  # fmt: skip


@dataclass(frozen=True)
class Shared:
    """An input that is the same for every edge."""


SHARED = Shared()


def axis_before(node: ir.Node, position: int, axis: int) -> int | None:
    """Where axis ``axis`` of a node's output is in its input, None if nowhere.

    As ``axis_of_input``, without the inputs that are the same along the whole axis.
    """
    found = axis_of_input(node, position, axis)
    return None if isinstance(found, Shared) else found


def axis_of_input(node: ir.Node, position: int, axis: int) -> int | Shared | None:
    """Where an axis of a node's output is in one of its inputs.

    Args:
        node: One whose outputs all have the axis.
        position: Which input.
        axis: Axis of the outputs, counted from 0.

    Returns:
        The axis of the input; SHARED if the input is the same along the whole axis; None if
        the node mixes what lies along it, or is not known.
    """
    shape, out = static_shape(node.inputs[position]), static_shape(node.outputs[0])
    if shape is None or out is None:
        return None
    if is_op(node, "QuantizeLinear", "DequantizeLinear"):
        return SHARED if position else axis
    if is_op(node, *ELEMENTWISE):
        return (
            SHARED
            if is_op(node, "Expand", "Clip") and position
            else _aligned(shape, out, axis)
        )
    if is_op(node, "MatMul", "Gemm"):
        return _through_product(node, position, axis, shape, out)
    if is_op(node, "Concat"):
        return axis if int_attribute(node, "axis", 0) % len(out) != axis else None
    if is_op(node, "Softmax", "LogSoftmax"):
        return axis if int_attribute(node, "axis", -1) % len(out) != axis else None
    if is_op(node, "LayerNormalization"):
        if position:
            return SHARED
        return axis if axis < int_attribute(node, "axis", -1) % len(out) else None
    if position:
        # What is left has one operand, and numbers that say what to do with it.
        constant = constant_array(node.inputs[position]) is not None
        return SHARED if constant and is_op(node, *_OF_ONE) else None
    return _through_one(node, axis, shape, out)


_OF_ONE = (
    "Gather",
    "Reshape",
    "Slice",
    "Split",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
    *REDUCTIONS,
)


def _aligned(shape: tuple[int, ...], out: tuple[int, ...], axis: int) -> int | Shared:
    """Broadcasting counts axes from the last."""
    before = axis - (len(out) - len(shape))
    return SHARED if before < 0 or shape[before] != out[axis] else before


def _through_product(
    node: ir.Node, position: int, axis: int, shape: tuple[int, ...], out: tuple[int, ...]
) -> int | Shared | None:
    if is_op(node, "Gemm"):
        if axis != 0:
            return None
        if position == 0:
            return int_attribute(node, "transA", 0)
        return SHARED if position == 1 else _aligned(shape, out, axis)
    shapes = [static_shape(value) for value in node.inputs]
    if any(s is None or len(s) < 2 for s in shapes) or axis == len(out) - 1:
        return None
    if axis < len(out) - 2:
        return _aligned(shape, out, axis)
    return len(shape) - 2 if position == 0 else SHARED


def _through_one(
    node: ir.Node, axis: int, shape: tuple[int, ...], out: tuple[int, ...]
) -> int | None:
    if is_op(node, "Reshape"):
        return _through_reshape(axis, shape, out)
    if is_op(node, "Transpose"):
        perm = ints_attribute(node, "perm") or tuple(range(len(out)))[::-1]
        return perm[axis]
    if is_op(node, "Unsqueeze"):
        added = _numbers(node, len(out))
        kept = [i for i in range(len(out)) if added is not None and i not in added]
        return kept.index(axis) if axis in kept else None
    if is_op(node, "Squeeze"):
        removed = _numbers(node, len(shape))
        if removed is None:
            removed = [i for i, size in enumerate(shape) if size == 1]
        return _kept(len(shape), removed)[axis]
    if is_op(node, "Slice"):
        # Starting elsewhere, or going backwards, would need as many elements again.
        return axis if shape[axis] == out[axis] and _goes_forward(node, axis) else None
    if is_op(node, "Split"):
        return axis if int_attribute(node, "axis", 0) % len(out) != axis else None
    if is_op(node, "Gather"):
        return _through_gather(node, axis, shape)
    if is_op(node, *REDUCTIONS):
        return _through_reduction(node, axis, shape)
    return None


def _through_reshape(axis: int, shape: tuple[int, ...], out: tuple[int, ...]) -> int | None:
    """The axis of the same size with as much in front of it: only the others are regrouped."""
    for before, size in enumerate(shape):
        if size == out[axis] and math.prod(shape[:before]) == math.prod(out[:axis]):
            return before
    return None


def _through_gather(node: ir.Node, axis: int, shape: tuple[int, ...]) -> int | None:
    picked = int_attribute(node, "axis", 0) % len(shape)
    index = static_shape(node.inputs[1])
    if index is None or constant_array(node.inputs[1]) is None:
        return None
    if axis < picked:
        return axis
    return axis - len(index) + 1 if axis >= picked + len(index) else None


def _through_reduction(node: ir.Node, axis: int, shape: tuple[int, ...]) -> int | None:
    reduced = _numbers(node, len(shape))
    if reduced is None:
        return None
    if int_attribute(node, "keepdims", 1):
        return None if axis in reduced else axis
    return _kept(len(shape), reduced)[axis]


def _kept(rank: int, removed: list[int]) -> list[int]:
    return [i for i in range(rank) if i not in removed]


def _goes_forward(node: ir.Node, axis: int) -> bool:
    if len(node.inputs) < 5 or node.inputs[4] is None:
        return True
    steps = constant_array(node.inputs[4])
    return steps is not None and bool((steps == 1).all())


def _numbers(node: ir.Node, rank: int) -> list[int] | None:
    """The axes that a node names, counted from 0; None when it names none."""
    if len(node.inputs) < 2 or node.inputs[1] is None:
        return None
    array = constant_array(node.inputs[1])
    return None if array is None else [int(i) % rank for i in array.reshape(-1)]
