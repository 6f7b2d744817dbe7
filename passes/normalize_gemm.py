"""Bring Gemm into the one form that the quantizer knows: a constant weight and a bias (N,).

``Gemm(A, B, C, alpha, beta)`` -> ``Gemm(A, alpha * B, beta * C)`` with constants of shape
(K, N) or (N, K) and (N,). A computed B -> ``MatMul`` with explicit ``Transpose``; a bias that
is computed or not one value per column -> ``Add`` behind.
"""

import numpy as np
import onnx_ir as ir

from octavo.passes.constants import NameSource, add_constant, float_constant
from octavo.passes.wiring import (
    float_attribute,
    int_attribute,
    is_op,
    replace_node,
    static_shape,
)


class NormalizeGemm(ir.passes.InPlacePass):
    """Rewrite every float Gemm whose output shape is known."""

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        graph, names = model.graph, NameSource(model.graph)
        nodes = [node for node in graph if is_op(node, "Gemm") and _needs_rewrite(node)]
        for node in nodes:
            _rewrite(graph, names, node)
        return ir.passes.PassResult(model, modified=bool(nodes))


def _bias(node: ir.Node) -> ir.Value | None:
    return node.inputs[2] if len(node.inputs) > 2 else None


def _has_column_bias(node: ir.Node) -> bool:
    bias, shape = float_constant(_bias(node)), static_shape(node.outputs[0])
    return _bias(node) is None or (
        bias is not None and shape is not None and bias.shape == shape[1:]
    )


def _needs_rewrite(node: ir.Node) -> bool:
    if static_shape(node.outputs[0]) is None or node.outputs[0].dtype != ir.DataType.FLOAT:
        return False
    plain = float_attribute(node, "alpha", 1.0) == 1.0 and (
        float_attribute(node, "beta", 1.0) == 1.0 or _bias(node) is None
    )
    transposed = int_attribute(node, "transA", 0)
    constant = float_constant(node.inputs[1]) is not None
    return not (plain and not transposed and constant and _has_column_bias(node))


def _rewrite(graph: ir.Graph, names: NameSource, node: ir.Node) -> None:
    alpha, beta = (float_attribute(node, key, 1.0) for key in ("alpha", "beta"))
    base = node.name or "gemm"
    a = node.inputs[0]
    if int_attribute(node, "transA", 0):
        a = _insert(graph, names, node, "Transpose", [a], f"{base}_a", {"perm": [1, 0]})
    weight = float_constant(node.inputs[1])
    bias = float_constant(_bias(node))
    columns = static_shape(node.outputs[0])[1]  # type: ignore[index]
    per_column = bias is not None and bias.shape in (
        (),
        (1,),
        (columns,),
        (1, columns),
        (1, 1),
    )
    if weight is not None and (_bias(node) is None or per_column):
        _rewrite_constant(graph, names, node, a)
        return
    b = node.inputs[1]
    trans_b = bool(int_attribute(node, "transB", 0))
    if weight is not None:
        matrix = (weight.T if trans_b else weight) * np.float32(alpha)
        b, alpha = add_constant(graph, names, f"{base}_weight", matrix), 1.0
    elif trans_b:
        b = _insert(graph, names, node, "Transpose", [b], f"{base}_b", {"perm": [1, 0]})
    # The last operator made takes over the output, so each step names what follows it.
    steps: list[tuple[str, ir.Value | None]] = [("MatMul", b)]
    if alpha != 1.0:
        steps.append(
            ("Mul", add_constant(graph, names, f"{base}_alpha", np.array(alpha, np.float32)))
        )
    c = _bias(node)
    if c is not None:
        if bias is not None:
            c = add_constant(graph, names, f"{base}_bias", bias * np.float32(beta))
        elif beta != 1.0:
            factor = add_constant(graph, names, f"{base}_beta", np.array(beta, np.float32))
            c = _insert(graph, names, node, "Mul", [c, factor], f"{base}_c", {})
        steps.append(("Add", c))
    current = a
    for op_type, operand in steps[:-1]:
        label = f"{base}_{op_type.lower()}"
        current = _insert(graph, names, node, op_type, [current, operand], label, {})
        current.shape = node.outputs[0].shape
    replace_node(graph, names, node, steps[-1][0], [current, steps[-1][1]])


def _rewrite_constant(
    graph: ir.Graph, names: NameSource, node: ir.Node, a: ir.Value | None
) -> None:
    alpha, beta = (float_attribute(node, key, 1.0) for key in ("alpha", "beta"))
    weight, bias = float_constant(node.inputs[1]), float_constant(_bias(node))
    columns = static_shape(node.outputs[0])[1]  # type: ignore[index]
    base = node.name or "gemm"
    inputs = [a, node.inputs[1]]
    if weight is not None and alpha != 1.0:
        inputs[1] = add_constant(graph, names, f"{base}_weight", weight * np.float32(alpha))
    if bias is not None:
        row = np.broadcast_to(bias.reshape(-1), (columns,)) * np.float32(beta)
        inputs.append(add_constant(graph, names, f"{base}_bias", row))
    attributes = {"transB": int_attribute(node, "transB", 0)}
    replace_node(graph, names, node, "Gemm", inputs, attributes)


def _insert(
    graph: ir.Graph,
    names: NameSource,
    before: ir.Node,
    op_type: str,
    inputs: list[ir.Value | None],
    label: str,
    attributes: dict[str, list[int]],
) -> ir.Value:
    node = ir.node(op_type, inputs, attributes, name=names.fresh(label))
    output = node.outputs[0]
    output.name = names.fresh(f"{label}_out")
    output.dtype = ir.DataType.FLOAT
    shape = static_shape(inputs[0])
    if shape is not None:
        output.shape = ir.Shape(shape[::-1] if op_type == "Transpose" else shape)
    graph.insert_before(before, node)
    return output
