"""Replace a call of a function, or an If whose branch is known, by the nodes inside."""

from collections.abc import Iterable

import onnx

from octavo.compiler.importer.draft import Draft, rename_inputs, stem
from octavo.compiler.importer.structure import describe
from octavo.errors import ModelError

Attributes = dict[str, onnx.AttributeProto]


def inline_call(
    call: onnx.NodeProto, function: onnx.FunctionProto, draft: Draft
) -> list[onnx.NodeProto]:
    """Return the body of a function with the call's values and attributes in place.

    Raises:
        ModelError: The call passes too many values, or an attribute that is needed is missing.
    """
    if len(call.input) > len(function.input) or len(call.output) > len(function.output):
        raise ModelError(
            f"{describe(call)} passes {len(call.input)} inputs and {len(call.output)} "
            f"outputs; the function has {len(function.input)} and {len(function.output)}"
        )
    given: Attributes = {a.name: a for a in function.attribute_proto}
    given.update((a.name, a) for a in call.attribute)
    names = dict.fromkeys(function.input, "")
    names.update(zip(function.input, call.input, strict=False))
    passed = []  # outputs that are inputs, or stand twice in the list
    for formal, actual in zip(function.output, call.output, strict=False):
        if not actual:
            continue
        if formal in names:
            passed.append((formal, actual))
        else:
            names[formal] = actual
    nodes = _instantiate(function.node, names, given, draft, stem(call))
    for formal, actual in passed:
        nodes.append(_identity(names[formal], actual, draft))
    return nodes


def inline_branch(
    node: onnx.NodeProto, branch: onnx.GraphProto, draft: Draft
) -> list[onnx.NodeProto]:
    """Return the nodes of the branch that an If takes.

    The branch's initializers become Constant nodes, so that they are read and checked where
    all other constants are.

    Raises:
        ModelError: The branch has inputs, or not as many outputs as the If.
    """
    if len(branch.input) or len(branch.output) != len(node.output):
        raise ModelError(f"{describe(node)} has a branch whose outputs do not match its own")
    body: list[onnx.NodeProto] = []
    for tensor in branch.initializer:
        body.append(onnx.helper.make_node("Constant", [], [tensor.name]))
        attribute = body[-1].attribute.add(name="value", type=onnx.AttributeProto.TENSOR)
        attribute.t.CopyFrom(tensor)
    for sparse in branch.sparse_initializer:
        body.append(onnx.helper.make_node("Constant", [], [sparse.values.name]))
        attribute = body[-1].attribute.add(
            name="sparse_value", type=onnx.AttributeProto.SPARSE_TENSOR
        )
        attribute.sparse_tensor.CopyFrom(sparse)
    body.extend(branch.node)
    names: dict[str, str] = {}
    defined = {name for inner in body for name in inner.output}
    passed = []
    for value, actual in zip(branch.output, node.output, strict=True):
        if not actual:
            continue
        if value.name in defined and value.name not in names:
            names[value.name] = actual
        else:
            passed.append((value.name, actual))
    nodes = _instantiate(body, names, None, draft, stem(node))
    for inner_name, actual in passed:
        nodes.append(_identity(names.get(inner_name, inner_name), actual, draft))
    return nodes


def _identity(source: str, target: str, draft: Draft) -> onnx.NodeProto:
    return onnx.helper.make_node("Identity", [source], [target], draft.fresh(f"{target}/pass"))


def _instantiate(
    nodes: Iterable[onnx.NodeProto],
    names: dict[str, str],
    given: Attributes | None,
    draft: Draft,
    prefix: str,
) -> list[onnx.NodeProto]:
    """Copy nodes; ``names`` gains a new name for every value that they define."""
    copies = []
    for node in nodes:
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        copy.name = draft.fresh(f"{prefix}/{node.name or node.op_type}")
        for i, name in enumerate(node.output):
            if name:
                if name not in names:
                    names[name] = draft.fresh(f"{prefix}/{name}")
                copy.output[i] = names[name]
        _rebind(copy, names, given)
        copies.append(copy)
    return copies


def _rebind(
    node: onnx.NodeProto,
    names: dict[str, str],
    given: Attributes | None,
    hidden: frozenset[str] = frozenset(),
) -> None:
    """Rename what a node and its subgraphs read, and fill in the function's attributes.

    ``hidden`` are names that a surrounding subgraph defines: there they mean its own values.
    """
    visible = {
        name: names[name] for name in node.input if name in names and name not in hidden
    }
    rename_inputs(node, visible)
    if given is not None:
        _bind_attributes(node, given)
    for attribute in node.attribute:
        for graph in (*([attribute.g] if attribute.HasField("g") else ()), *attribute.graphs):
            inner = hidden.union(
                (name for nested in graph.node for name in nested.output),
                (value.name for value in graph.input),
                (tensor.name for tensor in graph.initializer),
                (sparse.values.name for sparse in graph.sparse_initializer),
            )
            for nested in graph.node:
                _rebind(nested, names, given, inner)
            for value in graph.output:
                if value.name in names and value.name not in inner:
                    value.name = names[value.name]


def _bind_attributes(node: onnx.NodeProto, given: Attributes) -> None:
    if not any(attribute.ref_attr_name for attribute in node.attribute):
        return
    bound = []
    for attribute in node.attribute:
        # an optional attribute that the caller left out is absent here too
        source = given.get(attribute.ref_attr_name) if attribute.ref_attr_name else attribute
        if source is not None:
            copy = onnx.AttributeProto()
            copy.CopyFrom(source)
            copy.name = attribute.name
            bound.append(copy)
    del node.attribute[:]
    node.attribute.extend(bound)
