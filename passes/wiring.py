"""Small edits and questions about how nodes are wired, used by every rewrite."""

from collections.abc import Mapping, Sequence
from typing import Any

import onnx_ir as ir

from octavo.passes.constants import NameSource


def only_consumer(value: ir.Value) -> ir.Node | None:
    """The node that alone reads ``value`` exactly once, or None; outputs count as readers."""
    uses = value.uses()
    if len(uses) != 1 or value.is_graph_output():
        return None
    return next(iter(uses)).node


def produced_by(value: ir.Value | None, *op_types: str) -> ir.Node | None:
    """The node that computes ``value`` when it is one of ``op_types``, else None."""
    node = value.producer() if value is not None else None
    return node if node is not None and is_op(node, *op_types) else None


def is_op(node: ir.Node, *op_types: str) -> bool:
    """Whether a node is one of these operators of ai.onnx."""
    return node.op_type in op_types and node.domain in ("", "ai.onnx")


def is_float(value: ir.Value | None) -> bool:
    """Whether a value is a float32 tensor."""
    return value is not None and value.dtype == ir.DataType.FLOAT


def static_shape(value: ir.Value | None) -> tuple[int, ...] | None:
    """The shape of a value, or None unless every dimension is a number."""
    if value is None or value.shape is None:
        return None
    dims = tuple(value.shape)
    if not all(isinstance(dim, int) for dim in dims):
        return None
    return tuple(int(dim) for dim in dims)  # type: ignore[arg-type]


def int_attribute(node: ir.Node, name: str, default: int) -> int:
    """An integer attribute or its default."""
    attribute = node.attributes.get(name)
    return attribute.as_int() if attribute is not None else default


def float_attribute(node: ir.Node, name: str, default: float) -> float:
    """A float attribute or its default."""
    attribute = node.attributes.get(name)
    return attribute.as_float() if attribute is not None else default


def ints_attribute(node: ir.Node, name: str) -> tuple[int, ...] | None:
    """A list-of-integers attribute, or None when it is not there."""
    attribute = node.attributes.get(name)
    return tuple(attribute.as_ints()) if attribute is not None else None


def string_attribute(node: ir.Node, name: str, default: str) -> str:
    """A string attribute or its default."""
    attribute = node.attributes.get(name)
    return attribute.as_string() if attribute is not None else default


def replace_node(
    graph: ir.Graph,
    names: NameSource,
    old: ir.Node,
    op_type: str,
    inputs: Sequence[ir.Value | None],
    attributes: Mapping[str, Any] | None = None,
) -> ir.Node:
    """Put a new node in the place of ``old``, which has one output; names are kept."""
    return replace_output(graph, names, old.outputs[0], old, op_type, inputs, attributes)


def replace_output(
    graph: ir.Graph,
    names: NameSource,
    output: ir.Value,
    after: ir.Node,
    op_type: str,
    inputs: Sequence[ir.Value | None],
    attributes: Mapping[str, Any] | None = None,
) -> ir.Node:
    """Compute ``output`` by a new node instead, and remove the node that made it.

    Args:
        graph: The graph of both.
        names: Names of the graph.
        output: The value whose readers, name, type and shape the new node takes over.
        after: The new node is inserted behind this one.
        op_type: Operator of the new node.
        inputs: Its inputs.
        attributes: Its attributes.

    Returns:
        The new node, named like the one that it replaces.
    """
    old = output.producer()
    if old is None:
        raise ValueError(f"{output.name} is not computed by a node")
    node = ir.node(op_type, inputs, dict(attributes or {}), name=old.name)
    replacement = node.outputs[0]
    replacement.type, replacement.shape = output.type, output.shape
    graph.insert_after(after, node)
    name = output.name
    output.replace_all_uses_with(replacement, replace_graph_outputs=True)
    output.name = names.fresh(f"{name}_replaced")
    replacement.name = name
    graph.remove(old, safe=True)
    return node


def bypass(graph: ir.Graph, node: ir.Node, source: ir.Value) -> None:
    """Remove a node of one output; its readers read ``source``, which takes the name over."""
    output = node.outputs[0]
    name = output.name
    output.replace_all_uses_with(source, replace_graph_outputs=True)
    graph.remove(node, safe=True)
    source.name = name
