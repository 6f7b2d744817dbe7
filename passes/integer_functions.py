"""Find what is one function of one integer: attention masks as exporters write them.

``(1 - Cast(mask)) * -1e4`` and ``Where(Cast(mask), 0, lowest)`` are such functions: every
number on the way depends only on the integer or boolean at the same place. Rounded to 8 bits,
they are a table. No quantizers belong inside.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from octavo.passes.attention import match_attention
from octavo.passes.constants import constant_array, scalar_constant
from octavo.passes.wiring import int_attribute, is_op, static_shape

MAX_NODES = 64
SUMS = ("Add", "Sub", "Mul")
COMPARISONS = {
    "Equal": np.equal,
    "Greater": np.greater,
    "GreaterOrEqual": np.greater_equal,
    "Less": np.less,
    "LessOrEqual": np.less_equal,
}
CAST_TYPES = frozenset(
    {ir.DataType.FLOAT, ir.DataType.BOOL, ir.DataType.INT32, ir.DataType.INT64}
)
INTEGER_TYPES = frozenset(
    {
        ir.DataType.BOOL, ir.DataType.INT8, ir.DataType.UINT8, ir.DataType.INT16,
        ir.DataType.UINT16, ir.DataType.INT32, ir.DataType.INT64,
    }
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class IntegerFunction:
    """One function of one integer tensor.

    Attributes:
        source: Integers or booleans; no constant.
        nodes: The operators, in graph order of what they read.
        output: The tensor that is made; same shape as ``source``.
    """

    source: ir.Value
    nodes: tuple[ir.Node, ...]
    output: ir.Value


@dataclass
class Evaluation:
    """Values of a function at some points.

    Attributes:
        values: Its results.
        margins: What is compared with zero on the way, at the same points.
    """

    values: NDArray[Any]
    margins: list[NDArray[Any]] = field(default_factory=list)


def integer_function(output: ir.Value) -> IntegerFunction | None:
    """The largest function of one integer that makes ``output``, or None."""
    roots: dict[ir.Value, ir.Value | None] = {}
    source = _root(output, roots)
    if source is None or source is output or len(roots) > MAX_NODES:
        return None
    nodes: dict[ir.Node, None] = {}

    def collect(value: ir.Value) -> None:
        producer = value.producer()
        if value is source or producer is None or producer in nodes:
            return
        for operand in _computed(producer):
            collect(operand)
        nodes[producer] = None

    collect(output)
    return IntegerFunction(source, tuple(nodes), output)


def mask_nodes(graph: ir.Graph) -> set[ir.Node]:
    """Nodes that make attention masks of integers."""
    found: set[ir.Node] = set()
    for node in graph:
        attention = match_attention(node) if is_op(node, "MatMul") else None
        if attention is not None and attention.mask is not None:
            function = integer_function(attention.mask)
            found.update(() if function is None else function.nodes)
    return found


def evaluate_integers(function: IntegerFunction, points: NDArray[Any]) -> Evaluation:
    """Compute a function as a runtime does, in the types of the graph.

    Args:
        function: From ``integer_function``.
        points: Values of its source, in the source's type.
    """
    known: dict[ir.Value, NDArray[Any]] = {function.source: points}
    result = Evaluation(points)
    for node in function.nodes:
        operands = [
            known[value] if value in known else np.asarray(constant_array(value)).reshape(())
            for value in node.inputs
            if value is not None
        ]
        with np.errstate(all="ignore"):
            made = np.asarray(_compute(node, operands, result.margins))
        known[node.outputs[0]] = np.broadcast_to(made, points.shape)
    result.values = known[function.output]
    return result


def _root(value: ir.Value, roots: dict[ir.Value, ir.Value | None]) -> ir.Value | None:
    if value in roots:
        return roots[value]
    # of a circle, which no graph has, or of too many nodes: nobody's
    roots[value] = None
    producer = value.producer()
    found = value if value.dtype in INTEGER_TYPES and constant_array(value) is None else None
    if producer is not None and len(roots) <= MAX_NODES and _is_inner(producer):
        below = [_root(operand, roots) for operand in _computed(producer)]
        if below[0] is not None and all(root is below[0] for root in below):
            found = below[0]
    roots[value] = found
    return found


def _computed(node: ir.Node) -> list[ir.Value]:
    return [v for v in node.inputs if v is not None and scalar_constant(v) is None]


def _is_inner(node: ir.Node) -> bool:
    """Whether a node computes number by number, and is monotone but for comparisons."""
    computed = _computed(node)
    shape = static_shape(node.outputs[0]) if len(node.outputs) == 1 else None
    if shape is None or not computed or any(static_shape(v) != shape for v in computed):
        return False
    if is_op(node, "Cast"):
        return node.outputs[0].dtype in CAST_TYPES
    if is_op(node, *SUMS):
        is_float = node.outputs[0].dtype == ir.DataType.FLOAT
        # products of integers overflow
        return len(computed) == 1 and (is_float or not is_op(node, "Mul"))
    if is_op(node, *COMPARISONS):
        return len(computed) == 1
    if is_op(node, "Where"):
        return node.inputs[0] in computed
    return is_op(node, "Not", "Neg")


def _compute(
    node: ir.Node, operands: list[NDArray[Any]], margins: list[NDArray[Any]]
) -> NDArray[Any]:
    match node.op_type:
        case "Cast":
            to = ir.DataType(int_attribute(node, "to", 0)).numpy()
            if to == np.bool_:
                margins.append(operands[0])
            return np.asarray(operands[0].astype(to))
        case "Not":
            return np.asarray(np.logical_not(operands[0]))
        case "Neg":
            return np.asarray(-operands[0])
        case "Where":
            return np.asarray(np.where(*operands))
        case "Add":
            return np.asarray(operands[0] + operands[1])
        case "Sub":
            return np.asarray(operands[0] - operands[1])
        case "Mul":
            return np.asarray(operands[0] * operands[1])
    margins.append(operands[0].astype(np.float64) - operands[1].astype(np.float64))
    return np.asarray(COMPARISONS[node.op_type](*operands))
