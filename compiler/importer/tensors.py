"""TensorProto -> numpy array, with every length checked before the data is touched."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from octavo.compiler.importer.external import ExternalData
from octavo.compiler.importer.limits import Limits
from octavo.errors import ModelError

Array = NDArray[Any]

_T = onnx.TensorProto
# type -> bits of one element in raw_data, and the typed field that may hold it instead
_STORAGE: dict[int, tuple[int, str]] = {
    _T.FLOAT: (32, "float_data"),
    _T.DOUBLE: (64, "double_data"),
    _T.FLOAT16: (16, "int32_data"),
    _T.BFLOAT16: (16, "int32_data"),
    _T.FLOAT8E4M3FN: (8, "int32_data"),
    _T.FLOAT8E4M3FNUZ: (8, "int32_data"),
    _T.FLOAT8E5M2: (8, "int32_data"),
    _T.FLOAT8E5M2FNUZ: (8, "int32_data"),
    _T.INT8: (8, "int32_data"),
    _T.UINT8: (8, "int32_data"),
    _T.INT16: (16, "int32_data"),
    _T.UINT16: (16, "int32_data"),
    _T.INT32: (32, "int32_data"),
    _T.BOOL: (8, "int32_data"),
    _T.INT64: (64, "int64_data"),
    _T.UINT32: (32, "uint64_data"),
    _T.UINT64: (64, "uint64_data"),
    _T.INT4: (4, "int32_data"),
    _T.UINT4: (4, "int32_data"),
    _T.INT2: (2, "int32_data"),
    _T.UINT2: (2, "int32_data"),
}
_FIELDS = (*{field: None for _, field in _STORAGE.values()}, "string_data")


def check_dims(dims: Sequence[int], where: str, limits: Limits) -> None:
    """Refuse shapes that no tensor may have.

    Args:
        dims: Dimensions; Python integers, so that their product cannot wrap around.
        where: Place in the model, for the message.
        limits: ``rank`` and ``elements``.

    Raises:
        ModelError: A dimension is negative, or there are too many dimensions or elements.
    """
    if len(dims) > limits.rank:
        raise ModelError(f"{where} has rank {len(dims)}; at most {limits.rank} is allowed")
    if any(dim < 0 for dim in dims):
        raise ModelError(f"{where} has a negative dimension: {list(dims)}")
    # dimensions of 0 must not hide the others: strides are computed from those too
    if math.prod(max(dim, 1) for dim in dims) > limits.elements:
        raise ModelError(
            f"{where} has shape {list(dims)}; at most {limits.elements} elements are allowed"
        )


def dtype_name(data_type: int) -> str:
    """Return the name of an ONNX element type, for messages; unknown numbers as they are."""
    try:
        return str(_T.DataType.Name(data_type)).lower()
    except ValueError:
        return f"type {data_type}"


def is_supported_dtype(data_type: int) -> bool:
    """Return whether tensors of this ONNX element type can be imported."""
    return data_type in _STORAGE


def read_tensor(
    tensor: onnx.TensorProto, where: str, limits: Limits, external: ExternalData | None
) -> Array:
    """Return the data of a tensor.

    Args:
        tensor: From an initializer or an attribute.
        where: Its place in the model, for messages.
        limits: Caps on rank and elements.
        external: Reader of external data; None where a tensor must be in the file.

    Returns:
        An array with the tensor's shape; it may be read-only.

    Raises:
        ModelError: Shape, type, length or place of the data is wrong.
    """
    check_dims(tensor.dims, where, limits)
    if tensor.data_type not in _STORAGE:
        raise ModelError(
            f"{where} has element type {dtype_name(tensor.data_type)}, which is not supported"
        )
    if tensor.HasField("segment"):
        raise ModelError(f"{where} is stored in segments, which is not supported")
    num_bits, typed_field = _STORAGE[tensor.data_type]
    num_elements = math.prod(tensor.dims)
    num_bytes = (num_elements * num_bits + 7) // 8
    filled = [field for field in _FIELDS if len(getattr(tensor, field))]
    if tensor.data_location == _T.EXTERNAL:
        if filled or tensor.HasField("raw_data"):
            raise ModelError(f"{where} has data both in the model and in another file")
        if external is None:
            raise ModelError(f"{where} must be stored in the model itself")
        raw = external.read(tensor, num_bytes, where)
        return _from_raw(raw, tensor, num_bits)
    if tensor.external_data:
        raise ModelError(f"{where} names external data but says that it is in the model")
    if tensor.HasField("raw_data"):
        raw = tensor.raw_data
        if filled or len(raw) != num_bytes:
            raise ModelError(
                f"{where} has {len(raw)} bytes; shape {list(tensor.dims)} of "
                f"{dtype_name(tensor.data_type)} needs {num_bytes} and no other data"
            )
        return _from_raw(raw, tensor, num_bits)
    return _from_field(tensor, where, num_bits, typed_field, filled)


def _from_raw(raw: bytes, tensor: onnx.TensorProto, num_bits: int) -> Array:
    if num_bits < 8:
        packed = onnx.TensorProto(data_type=tensor.data_type, dims=tensor.dims, raw_data=raw)
        return _as_array(numpy_helper.to_array(packed))
    dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type))
    # frombuffer shares the bytes: weights are copied once, out of the message
    return np.frombuffer(raw, dtype=dtype).reshape(tuple(tensor.dims))


def _from_field(
    tensor: onnx.TensorProto, where: str, num_bits: int, typed_field: str, filled: list[str]
) -> Array:
    num_elements = math.prod(tensor.dims)
    expected = num_elements if num_bits >= 8 else (num_elements * num_bits + 7) // 8
    num_stored = len(getattr(tensor, typed_field))
    if num_stored != expected or filled not in ([], [typed_field]):
        raise ModelError(
            f"{where} has {num_stored} values in {typed_field}; shape {list(tensor.dims)} "
            f"of {dtype_name(tensor.data_type)} needs {expected}"
        )
    try:
        array = _as_array(numpy_helper.to_array(tensor))
    except (ValueError, TypeError, OverflowError) as error:
        raise ModelError(f"{where} holds values outside its type: {error}") from error
    # narrow integers are stored in wider fields, from which numpy would cut the top off
    if num_bits >= 8 and array.dtype.kind in "iub":
        stored = np.asarray(getattr(tensor, typed_field))
        if not np.array_equal(array.reshape(-1).astype(stored.dtype), stored):
            raise ModelError(f"{where} holds values outside its type")
    return array


def _as_array(value: Any) -> Array:
    return np.asarray(value)


def read_sparse_tensor(sparse: onnx.SparseTensorProto, where: str, limits: Limits) -> Array:
    """Return a sparse tensor as a dense array.

    Args:
        sparse: Values of shape (n,) with indices of shape (n,) into the flattened tensor or
            (n, rank). External data is never read: onnxruntime 1.26 leaked files that way.
        where: Its place in the model, for messages.
        limits: Caps on the dense shape.

    Raises:
        ModelError: An index is out of range, or a shape or type is wrong.
    """
    dims = tuple(sparse.dims)
    check_dims(dims, where, limits)
    if 8 * math.prod(dims) > limits.folded_bytes:
        raise ModelError(f"{where} is too large to be made dense: shape {list(dims)}")
    values = read_tensor(sparse.values, f"{where} values", limits, None)
    indices = read_tensor(sparse.indices, f"{where} indices", limits, None)
    flat = indices.ndim == 1 and indices.shape == values.shape
    full = indices.ndim == 2 and indices.shape == (*values.shape, len(dims))
    if values.ndim != 1 or indices.dtype != np.int64 or not (flat or full):
        raise ModelError(f"{where} has sparse values and indices that do not fit each other")
    bounds = np.array([math.prod(dims)] if flat else dims, dtype=np.int64)
    if ((indices < 0) | (indices >= bounds)).any():
        raise ModelError(f"{where} has a sparse index outside shape {list(dims)}")
    dense = np.zeros(dims, values.dtype)
    if flat:
        dense.reshape(-1)[indices] = values
    else:
        dense[tuple(indices.T)] = values
    return dense
