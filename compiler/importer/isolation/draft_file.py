"""A draft as a file: how the process that imports hands its result over.

The file holds a number, that many bytes of a ``ModelProto`` without weights, and the weights.
Types of all values are in ``value_info``, an initializer says where its bytes are as external
data does, and nothing in the file is executed. The reader maps the weights, without a copy.
"""

import json
import math
import mmap
import struct
from typing import BinaryIO

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from octavo.compiler.importer.draft import OPSET, Draft, ValueType
from octavo.compiler.importer.limits import Limits
from octavo.compiler.importer.request import Imported, Varying
from octavo.compiler.importer.structure import check_structure
from octavo.compiler.importer.tensors import Array, check_dims, is_supported_dtype
from octavo.errors import ModelError

_SIZE = struct.Struct("<Q")
_ALIGNMENT = 64  # of weights, as the widest vector loads like it
_VARYING_KEY = "varying"


def write_draft(file: BinaryIO, imported: Imported) -> None:
    """Write a draft where the file stands.

    Args:
        file: Open for writing, at its beginning.
        imported: Every value has a type.

    Raises:
        OSError: The file system is full, or the file larger than the process may write.
    """
    draft = imported.draft
    model = onnx.ModelProto()
    model.opset_import.add(version=OPSET)
    model.graph.name = draft.name
    model.graph.node.extend(draft.nodes)
    for name in draft.inputs:
        model.graph.input.add(name=name)
    for name in draft.outputs:
        model.graph.output.add(name=name)
    for name, value in draft.types.items():
        tensor_type = model.graph.value_info.add(name=name).type.tensor_type
        tensor_type.elem_type = value.dtype
        for size in value.shape:
            tensor_type.shape.dim.add(dim_value=size)
    end = 0
    for name, array in draft.constants.items():
        tensor = model.graph.initializer.add(name=name)
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="offset", value=str(end))
        end = _aligned(end + array.nbytes)
    model.metadata_props.add(key=_VARYING_KEY, value=json.dumps(imported.varying_fields()))
    content = model.SerializeToString()
    file.write(_SIZE.pack(len(content)))
    file.write(content)
    start = _aligned(_SIZE.size + len(content))
    end = 0
    for array in draft.constants.values():
        file.seek(start + end)
        # a scalar has no bytes to view, an array with steps no flat ones
        file.write(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
        end = _aligned(end + array.nbytes)
    file.truncate(start + end)
    file.flush()


def read_draft(file: BinaryIO, limits: Limits) -> Imported:
    """Read what ``write_draft`` wrote.

    Args:
        file: Open for reading; may be closed and removed while the draft is in use.
        limits: Caps on the model, which are checked once more.

    Raises:
        ModelError: The file is not such a file, or not a well-formed graph.
    """
    try:
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        (size,) = _SIZE.unpack(data[: _SIZE.size])
        model = onnx.ModelProto.FromString(data[_SIZE.size : _SIZE.size + size])
        check_structure(model, limits)
        draft = Draft(name=model.graph.name, nodes=list(model.graph.node))
        draft.inputs = [value.name for value in model.graph.input]
        draft.outputs = [value.name for value in model.graph.output]
        for info in model.graph.value_info:
            draft.types[info.name] = _value_type(info, limits)
        start = _aligned(_SIZE.size + size)
        for tensor in model.graph.initializer:
            offset = start + int(tensor.external_data[0].value)
            draft.constants[tensor.name] = _array(data, offset, draft.types[tensor.name])
        draft.reserve(*draft.types)
        (varying,) = (p.value for p in model.metadata_props if p.key == _VARYING_KEY)
        return Imported(draft, tuple(Varying(**fields) for fields in json.loads(varying)))
    except (struct.error, DecodeError, ValueError, TypeError, LookupError) as error:
        raise ModelError(f"the importing process left no model: {error}") from error


def _aligned(num_bytes: int) -> int:
    return -(-num_bytes // _ALIGNMENT) * _ALIGNMENT


def _value_type(info: onnx.ValueInfoProto, limits: Limits) -> ValueType:
    tensor_type = info.type.tensor_type
    shape = tuple(dim.dim_value for dim in tensor_type.shape.dim)
    check_dims(shape, f"'{info.name}'", limits)
    if not is_supported_dtype(tensor_type.elem_type):
        raise ValueError(f"'{info.name}' has type {tensor_type.elem_type}")
    return ValueType(tensor_type.elem_type, shape)


def _array(data: mmap.mmap, offset: int, item: ValueType) -> Array:
    dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(item.dtype))
    num_bytes = math.prod(item.shape) * dtype.itemsize
    if offset < 0 or offset + num_bytes > len(data):
        raise ValueError(f"bytes {offset} to {offset + num_bytes} of {len(data)}")
    return np.ndarray(item.shape, dtype, data, offset)
