"""Check one node against onnx's schema of it, and the tensors in its attributes."""

from functools import lru_cache

import numpy as np
import onnx
from onnx import checker

from octavo.compiler.importer.limits import Limits
from octavo.compiler.importer.opset import schema_at
from octavo.compiler.importer.structure import describe
from octavo.compiler.importer.tensors import Array, read_tensor
from octavo.errors import ModelError


def check_node(node: onnx.NodeProto, version: int, limits: Limits) -> None:
    """Refuse a node that opset ``version`` does not allow.

    Raises:
        ModelError: Unknown operator, wrong number of inputs, unknown or missing attribute, or
            a malformed tensor in an attribute.
    """
    version = _schema_version(node, version)
    schema = schema_at(node.op_type, version)
    if schema is None or schema.deprecated:
        raise ModelError(f"{describe(node)}: opset {version} has no such operator")
    # the checker would read external data itself; tensors are checked apart
    skeleton = node
    if any(a.HasField("t") or a.tensors or a.sparse_tensors for a in node.attribute):
        skeleton = _without_tensors(node)
    try:
        checker.check_node(skeleton, _context(version))
    except checker.ValidationError as error:
        raise ModelError(f"{describe(node)}: {first_line(error)}") from error
    if node.op_type != "Constant":  # whose value is read, and thereby checked, later
        _check_tensors(node, limits)


@lru_cache(maxsize=32)
def _context(version: int) -> checker.C.CheckerContext:
    context = checker.C.CheckerContext()
    context.ir_version = onnx.IR_VERSION
    context.opset_imports = {"": version}
    return context


def _check_tensors(node: onnx.NodeProto, limits: Limits) -> None:
    for attribute in node.attribute:
        tensors = [attribute.t] if attribute.HasField("t") else []
        for tensor in (*tensors, *attribute.tensors):
            where = f"attribute '{attribute.name}' of {describe(node)}"
            read_tensor(tensor, where, limits, None)
        if attribute.HasField("sparse_tensor") or attribute.sparse_tensors:
            raise ModelError(f"{describe(node)} has a sparse attribute")


def _schema_version(node: onnx.NodeProto, version: int) -> int:
    """Return the opset whose schema describes a node of opset ``version``.

    ONNX Runtime took LayerNormalization in the standard domain before opset 17 had it, and
    onnx declared GroupNormalization-18 invalid afterwards; its successor has the same form.
    """
    if node.op_type == "LayerNormalization":
        return max(version, 17)
    if node.op_type == "GroupNormalization" and version >= 18:
        return max(version, 21)
    return version


def constant_of_attribute(attribute: onnx.AttributeProto, where: str) -> Array:
    """Return the value of a Constant node that is given as numbers.

    Raises:
        ModelError: It is given as strings or as nothing known.
    """
    kinds = {
        "value_float": onnx.TensorProto.FLOAT,
        "value_floats": onnx.TensorProto.FLOAT,
        "value_int": onnx.TensorProto.INT64,
        "value_ints": onnx.TensorProto.INT64,
    }
    if attribute.name not in kinds:
        raise ModelError(f"{where}: a constant of '{attribute.name}' is not supported")
    dtype = onnx.helper.tensor_dtype_to_np_dtype(kinds[attribute.name])
    return np.asarray(onnx.helper.get_attribute_value(attribute), dtype=dtype)


def _without_tensors(node: onnx.NodeProto) -> onnx.NodeProto:
    """Copy a node with empty tensors in its attributes."""
    copy = onnx.NodeProto()
    copy.op_type, copy.name, copy.domain = node.op_type, node.name, node.domain
    copy.input.extend(node.input)
    copy.output.extend(node.output)
    placeholder = onnx.helper.make_tensor("t", onnx.TensorProto.FLOAT, [1], [0.0])
    for attribute in node.attribute:
        target = copy.attribute.add(name=attribute.name, type=attribute.type)
        if attribute.HasField("t"):
            target.t.CopyFrom(placeholder)
        elif attribute.HasField("sparse_tensor"):
            target.sparse_tensor.values.CopyFrom(placeholder)
            target.sparse_tensor.indices.CopyFrom(
                onnx.helper.make_tensor("i", onnx.TensorProto.INT64, [1], [0])
            )
            target.sparse_tensor.dims.append(1)
        else:
            target.CopyFrom(attribute)
    return copy


def first_line(error: BaseException) -> str:
    """Return the first line of a message from onnx, which may go on for pages."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:300] if lines else type(error).__name__
