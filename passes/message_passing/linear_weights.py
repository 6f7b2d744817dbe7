"""Linear layers of message passing: in front of what is gathered, and behind the sums."""

from collections.abc import Iterable

import onnx_ir as ir

from octavo.passes.constants import constant_array
from octavo.passes.wiring import is_op

# Between a linear layer and a Gather these change neither the order nor the kind of numbers.
_BEFORE = (
    "Add", "Identity", "Mul", "ReduceSum", "Reshape", "Slice", "Split", "Squeeze", "Transpose",
    "Unsqueeze",
)  # fmt: skip
_BEHIND = (
    "Add", "Concat", "Div", "Identity", "Mul", "Reshape", "Squeeze", "Sub", "Sum", "Transpose",
    "Unsqueeze",
)  # fmt: skip


def is_linear_layer(node: ir.Node) -> bool:
    """Whether a node multiplies activations by constant weights on the right."""
    if not is_op(node, "MatMul", "Gemm"):
        return False
    left, right = node.inputs[0], node.inputs[1]
    return is_stored(right) and not is_stored(left)


def layers_before(values: Iterable[ir.Value]) -> tuple[ir.Node, ...]:
    """The nearest linear layers that make values, through biases and attention vectors.

    Args:
        values: Features of nodes.

    Returns:
        Each once, in the order of the values.
    """
    return tuple(dict.fromkeys(filter(None, map(_layer_before, values))))


def layers_behind(value: ir.Value, excluded: Iterable[ir.Node] = ()) -> tuple[ir.Node, ...]:
    """The nearest linear layers that read a value, through sums but no activation function.

    Args:
        value: What nodes have received.
        excluded: Layers that have another part already.
    """
    found: dict[ir.Node, None] = {}
    pending, seen, parts = [value], {value}, set(excluded)
    while pending:
        for node, _ in pending.pop(0).uses():
            if is_linear_layer(node):
                found[node] = None
            elif is_op(node, *_BEHIND):
                pending += [output for output in node.outputs if output not in seen]
                seen.update(node.outputs)
    return tuple(node for node in found if node not in parts)


def _layer_before(value: ir.Value) -> ir.Node | None:
    node = value.producer()
    while node is not None and not is_linear_layer(node):
        computed = [v for v in node.inputs if v is not None and not is_stored(v)]
        if not is_op(node, *_BEFORE) or len(computed) != 1:
            return None
        node = computed[0].producer()
    return node


def is_stored(value: ir.Value | None) -> bool:
    """Whether a value is a constant, or a quantized constant."""
    if constant_array(value) is not None:
        return True
    node = value.producer() if value is not None else None
    stored = node is not None and is_op(node, "DequantizeLinear")
    return stored and node is not None and constant_array(node.inputs[0]) is not None
