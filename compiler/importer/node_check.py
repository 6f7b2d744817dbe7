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
    for attribute in node.attribute:
        _check_tensors(node, attribute, limits)
    # what follows is onnx's code, which must not see a tensor that may name a file
    try:
        checker.check_node(_without_tensors(node), _context(version))
    except checker.ValidationError as error:
        raise ModelError(f"{describe(node)}: {first_line(error)}") from error


@lru_cache(maxsize=32)
def _context(version: int) -> checker.C.CheckerContext:
    context = checker.C.CheckerContext()
    context.ir_version = onnx.IR_VERSION
    context.opset_imports = {"": version}
    return context


def _check_tensors(
    node: onnx.NodeProto, attribute: onnx.AttributeProto, limits: Limits
) -> None:
    where = f"attribute '{attribute.name}' of {describe(node)}"
    if attribute.tensors or attribute.sparse_tensors:
        raise ModelError(f"{where} is a list of tensors, which no operator has")
    # the value of a Constant is read, and thereby checked, later
    if node.op_type == "Constant":
        return
    if attribute.HasField("t"):
        read_tensor(attribute.t, where, limits, None)
    if attribute.HasField("sparse_tensor"):
        raise ModelError(f"{where} is a sparse tensor, which only Constant has")


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
    """Return the node with empty tensors in its attributes, itself if it has none."""
    if not any(a.HasField("t") or a.HasField("sparse_tensor") for a in node.attribute):
        return node
    copy = onnx.helper.make_node(
        node.op_type, node.input, node.output, node.name, domain=node.domain
    )
    for attribute in node.attribute:
        target = copy.attribute.add(name=attribute.name, type=attribute.type)
        if attribute.HasField("t"):
            target.t.CopyFrom(_PLACEHOLDER)
        elif attribute.HasField("sparse_tensor"):
            target.sparse_tensor.CopyFrom(_SPARSE_PLACEHOLDER)
        else:
            target.CopyFrom(attribute)
    return copy


_PLACEHOLDER = onnx.numpy_helper.from_array(np.zeros(1, np.float32), "placeholder")
_SPARSE_PLACEHOLDER = onnx.SparseTensorProto(
    values=_PLACEHOLDER,
    indices=onnx.numpy_helper.from_array(np.zeros(1, np.int64), "indices"),
    dims=[1],
)


def first_line(error: BaseException) -> str:
    """Return the first line of a message from onnx, which may go on for pages."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:300] if lines else type(error).__name__
