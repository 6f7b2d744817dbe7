"""Give every graph input a static shape, from the model or from the user."""

import re
from collections.abc import Mapping, Sequence

import onnx

from octavo.compiler.importer.draft import ValueType
from octavo.compiler.importer.limits import Limits
from octavo.compiler.importer.tensors import check_dims, dtype_name, is_supported_dtype
from octavo.errors import ModelError

_DIMENSIONS = re.compile(r"[0-9]{1,10}(,[0-9]{1,10})*")


def parse_shape_option(text: str) -> tuple[str, tuple[int, ...]]:
    """Parse the value of ``--shape``.

    Args:
        text: ``NAME=D0,D1,...``; nothing after the sign means a scalar. The name may itself
            contain ``=``, the dimensions cannot.

    Returns:
        The input's name and its shape.

    Raises:
        ModelError: The text has another form, or a dimension is 0.
    """
    name, separator, dims_text = text.rpartition("=")
    dims_text = dims_text.replace(" ", "")
    if not separator or not name or (dims_text and not _DIMENSIONS.fullmatch(dims_text)):
        raise ModelError(f"shape '{text}' is not of the form NAME=1,3,224,224")
    dims = tuple(int(dim) for dim in dims_text.split(",")) if dims_text else ()
    if 0 in dims:
        raise ModelError(f"shape '{text}' has a dimension of 0; dimensions start at 1")
    return name, dims


def bind_inputs(
    inputs: Sequence[onnx.ValueInfoProto],
    shapes: Mapping[str, Sequence[int]],
    limits: Limits,
) -> dict[str, ValueType]:
    """Return the static type of every graph input.

    A symbolic dimension is one number everywhere: ``shapes`` of one input also bind the other
    inputs that use the same symbols.

    Args:
        inputs: The graph inputs that are not initializers.
        shapes: Shapes from the user, by input name.
        limits: Caps on rank and elements.

    Raises:
        ModelError: A shape is for no input or contradicts the model, or a size stays open.
    """
    known = [value.name for value in inputs]
    for name in shapes:
        if name not in known:
            raise ModelError(
                f"there is no input '{name}' to give a shape to; inputs: {', '.join(known)}"
            )
    symbols: dict[str, int] = {}
    for value in inputs:
        if value.name in shapes:
            _match(value, tuple(shapes[value.name]), symbols)
    return {value.name: _static_type(value, shapes, symbols, limits) for value in inputs}


def _dims(value: onnx.ValueInfoProto) -> list[int | str] | None:
    """Return the declared dimensions: a size, a symbol, or "" where nothing is known."""
    tensor_type = value.type.tensor_type
    if not tensor_type.HasField("shape"):
        return None
    dims: list[int | str] = []
    for dim in tensor_type.shape.dim:
        fixed = dim.HasField("dim_value") and dim.dim_value >= 0
        dims.append(int(dim.dim_value) if fixed else str(dim.dim_param))
    return dims


def _match(
    value: onnx.ValueInfoProto, shape: tuple[int, ...], symbols: dict[str, int]
) -> None:
    dims = _dims(value)
    if any(not isinstance(size, int) or size < 0 for size in shape):
        raise ModelError(f"shape {list(shape)} of input '{value.name}' is not a list of sizes")
    if dims is None:
        return
    if len(dims) != len(shape):
        raise ModelError(
            f"input '{value.name}' has rank {len(dims)} {dims}; shape {list(shape)} has rank "
            f"{len(shape)}"
        )
    for axis, (dim, size) in enumerate(zip(dims, shape, strict=True)):
        expected = symbols.setdefault(dim, size) if isinstance(dim, str) and dim else dim
        if isinstance(expected, int) and expected != size:
            raise ModelError(
                f"input '{value.name}' has size {expected} in axis {axis}; the shape given "
                f"for it has {size}"
            )


def _static_type(
    value: onnx.ValueInfoProto,
    shapes: Mapping[str, Sequence[int]],
    symbols: Mapping[str, int],
    limits: Limits,
) -> ValueType:
    if not value.type.HasField("tensor_type"):
        raise ModelError(f"input '{value.name}' is not a tensor")
    dtype = value.type.tensor_type.elem_type
    if not is_supported_dtype(dtype):
        raise ModelError(
            f"input '{value.name}' has element type {dtype_name(dtype)}, which is not "
            "supported"
        )
    dims = _dims(value)
    if value.name in shapes:
        sizes = [int(size) for size in shapes[value.name]]
    elif dims is None:
        raise ModelError(
            f"input '{value.name}' has no shape; give one with --shape {value.name}=..."
        )
    else:
        sizes = [_size(value.name, dims, axis, symbols) for axis in range(len(dims))]
    check_dims(sizes, f"input '{value.name}'", limits)
    return ValueType(dtype, tuple(sizes))


def _size(name: str, dims: list[int | str], axis: int, symbols: Mapping[str, int]) -> int:
    dim = dims[axis]
    if isinstance(dim, int):
        return dim
    if dim in symbols:
        return symbols[dim]
    example = ",".join(str(d if isinstance(d, int) else symbols.get(d, 1)) for d in dims)
    raise ModelError(
        f"input '{name}' has no size in axis {axis} ({dim or '?'}); give one with "
        f"--shape {name}={example}"
    )
