"""Bring one node of any accepted opset to opset 21.

onnx's version converter (1.23) works on whole models through a second IR: it serializes the
weights, loses model-local functions, keeps the per-group scales of GroupNormalization-18, and
refuses BatchNormalization with five outputs and every operator newer than opset 21. Few things
changed since opset 11, and each has a rule in ``opset_rules``. Everything else kept its
meaning; tests compare the schemas to prove it.
"""

from functools import lru_cache

import onnx

from octavo.compiler.importer.draft import (
    OPSET,
    Draft,
    type_proto,
)
from octavo.compiler.importer.functions import inline_call
from octavo.compiler.importer.opset_rules import RULES
from octavo.compiler.importer.structure import describe
from octavo.errors import ModelError

# operators whose rules know what their newer attributes say
_NEW_ATTRIBUTES = frozenset({"DequantizeLinear", "QuantizeLinear", "Range", "SpaceToDepth"})
# normalizations that onnx describes by their function bodies only
_WITHOUT_SHAPES = frozenset({"GroupNormalization", "MeanVarianceNormalization"})


@lru_cache(maxsize=1024)
def schema_at(op_type: str, version: int) -> onnx.defs.OpSchema | None:
    """Return the schema of an ai.onnx operator, None where that opset does not have it."""
    try:
        return onnx.defs.get_schema(op_type, version, "")
    except onnx.defs.SchemaError:
        return None


def convert_node(node: onnx.NodeProto, version: int, draft: Draft) -> list[onnx.NodeProto]:
    """Return nodes of opset 21 that compute the same.

    Args:
        node: Valid at ``version``; changed in place where that suffices.
        version: The opset that the node was written for.
        draft: Types and constants of the node's inputs; new constants go there.

    Returns:
        Nodes at opset 21.

    Raises:
        ModelError: Opset 21 cannot say what the node does.
    """
    if version > OPSET and node.op_type not in _NEW_ATTRIBUTES:
        _drop_new_attributes(node, version)
    rule = RULES.get(node.op_type)
    return [node] if rule is None else rule(node, version, draft)


def operator_body(
    node: onnx.NodeProto, version: int, draft: Draft
) -> tuple[list[onnx.NodeProto], int] | None:
    """Return the function body of an operator that is inlined, and the body's opset.

    Those are the operators that opset 21 lacks, and those without shape inference.
    """
    schema = schema_at(node.op_type, version)
    if schema is None:
        return None
    if node.op_type not in _WITHOUT_SHAPES and schema_at(node.op_type, OPSET) is not None:
        return None
    if schema.has_function:
        body = schema.function_body
    elif schema.has_context_dependent_function:
        types = [
            type_proto(draft.types[name]) if name else onnx.TypeProto() for name in node.input
        ]
        body = onnx.FunctionProto.FromString(
            schema.get_context_dependent_function(
                node.SerializeToString(), [t.SerializeToString() for t in types]
            )
        )
    else:
        raise ModelError(f"{describe(node)} is newer than opset {OPSET} and not supported")
    known = {attribute.name for attribute in node.attribute}
    defaults = [
        attribute.default_value
        for name, attribute in schema.attributes.items()
        if name not in known and attribute.default_value.name
    ]
    call = onnx.NodeProto()
    call.CopyFrom(node)
    call.attribute.extend(defaults)
    body_version = max((e.version for e in body.opset_import if not e.domain), default=version)
    return inline_call(call, body, draft), body_version


def _drop_new_attributes(node: onnx.NodeProto, version: int) -> None:
    """Remove attributes that opset 21 lacks, if they say what opset 21 does anyway."""
    old, new = schema_at(node.op_type, OPSET), schema_at(node.op_type, version)
    if old is None or new is None:
        return
    kept = []
    for attribute in node.attribute:
        if attribute.name in old.attributes:
            kept.append(attribute)
        elif attribute != new.attributes[attribute.name].default_value:
            raise ModelError(
                f"{describe(node)}: attribute '{attribute.name}' of opset {version} is not "
                f"supported with a value that is not its default"
            )
    if len(kept) != len(node.attribute):
        copies = [onnx.AttributeProto.FromString(a.SerializeToString()) for a in kept]
        del node.attribute[:]
        node.attribute.extend(copies)
