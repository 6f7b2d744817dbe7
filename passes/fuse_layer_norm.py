"""Recognize layer normalization that was exported as primitive operators.

With d = x - ReduceMean(x): ``d / Sqrt(ReduceMean(d * d) + eps) * gamma + beta`` ->
``LayerNormalization(x, gamma, beta)`` over the last axis. The square may be Pow or Mul, gamma
and beta may be missing.
"""

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from octavo.passes.constants import (
    NameSource,
    add_constant,
    constant_array,
    float_constant,
    scalar_constant,
)
from octavo.passes.wiring import (
    int_attribute,
    ints_attribute,
    is_op,
    only_consumer,
    produced_by,
    replace_output,
    static_shape,
)


class FuseLayerNorm(ir.passes.InPlacePass):
    """Replace each decomposed layer normalization by one LayerNormalization."""

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        graph, names = model.graph, NameSource(model.graph)
        if graph.opset_imports.get("", 0) < 17:  # the first opset with the operator
            return ir.passes.PassResult(model, modified=False)
        divisions = [node for node in graph if is_op(node, "Div")]
        fused = [node for node in divisions if _fuse(graph, names, node)]
        return ir.passes.PassResult(model, modified=bool(fused))


def _fuse(graph: ir.Graph, names: NameSource, division: ir.Node) -> bool:
    matched = _match(division)
    if matched is None:
        return False
    x, epsilon = matched
    size = static_shape(x)[-1]  # type: ignore[index]
    end, gamma = _scaled(division, "Mul", size)
    end, beta = _scaled(end, "Add", size)
    base = division.name or "layer_norm"
    inputs: list[ir.Value | None] = [
        x,
        add_constant(graph, names, f"{base}_gamma", _or(gamma, np.ones(size, np.float32))),
    ]
    if beta is not None:
        inputs.append(add_constant(graph, names, f"{base}_beta", beta))
    attributes = {"axis": -1, "epsilon": epsilon}
    replace_output(graph, names, end.outputs[0], end, "LayerNormalization", inputs, attributes)
    return True  # the operators that are not read any more go with the next clean-up


def _match(division: ir.Node) -> tuple[ir.Value, float] | None:
    """The normalized tensor and epsilon when a Div is d / Sqrt(ReduceMean(d^2) + eps)."""
    centered = produced_by(division.inputs[0], "Sub")
    root = produced_by(division.inputs[1], "Sqrt")
    shifted = produced_by(root.inputs[0], "Add") if root is not None else None
    if centered is None or shifted is None:
        return None
    variance, epsilon = None, None
    for position in (0, 1):
        variance = variance or produced_by(shifted.inputs[position], "ReduceMean")
        epsilon = epsilon or scalar_constant(shifted.inputs[position])
    x, mean = centered.inputs[0], produced_by(centered.inputs[1], "ReduceMean")
    if variance is None or epsilon is None or mean is None or x is None:
        return None
    if mean.inputs[0] is not x or not (_is_last_axis(mean) and _is_last_axis(variance)):
        return None
    square = produced_by(variance.inputs[0], "Pow", "Mul")
    if square is None or not _is_square(square, x, mean.outputs[0]):
        return None
    return x, epsilon


def _is_square(square: ir.Node, x: ir.Value, mean: ir.Value) -> bool:
    exponent = scalar_constant(square.inputs[1])
    operands = square.inputs[:1] if is_op(square, "Pow") else square.inputs
    if is_op(square, "Pow") and exponent != 2.0:
        return False
    # Exporters sometimes compute x - mean twice.
    differences = [produced_by(value, "Sub") for value in operands]
    return all(
        node is not None and node.inputs[0] is x and node.inputs[1] is mean
        for node in differences
    )


def _is_last_axis(reduction: ir.Node) -> bool:
    shape = static_shape(reduction.inputs[0])
    axes = ints_attribute(reduction, "axes")
    if len(reduction.inputs) > 1:
        constant = constant_array(reduction.inputs[1])
        axes = tuple(int(axis) for axis in constant) if constant is not None else None
    if shape is None or axes is None or not int_attribute(reduction, "keepdims", 1):
        return False
    return axes in ((-1,), (len(shape) - 1,))


def _scaled(
    node: ir.Node, op_type: str, size: int
) -> tuple[ir.Node, NDArray[np.float32] | None]:
    """The Mul or Add by a (size,) constant that alone reads a node, and the constant."""
    following = only_consumer(node.outputs[0])
    if following is None or not is_op(following, op_type):
        return node, None
    for value in following.inputs:
        constant = float_constant(value)
        if constant is not None and constant.shape == (size,):
            return following, constant
    return node, None


def _or(
    array: NDArray[np.float32] | None, default: NDArray[np.float32]
) -> NDArray[np.float32]:
    return default if array is None else array
