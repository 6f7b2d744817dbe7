"""Give every graph input a static shape, from the model or from the user."""

import re
from collections.abc import Mapping, Sequence

import onnx

from octavo.compiler.importer.draft import ValueType
from octavo.compiler.importer.limits import Limits
from octavo.compiler.importer.tensors import check_dims, dtype_name, is_supported_dtype
from octavo.errors import ModelError

_DIMENSION = r"(?:[0-9]{1,10}|[A-Za-z_]\w*)"
_DIMENSIONS = re.compile(rf"{_DIMENSION}(,{_DIMENSION})*", re.ASCII)
_LARGEST = re.compile(r"[0-9]{1,10}", re.ASCII)
LEAST_MAXIMUM = 2  # a dimension of 1 is taken for one that repeats

InputShape = Sequence[int | str]


def parse_shape_option(text: str) -> tuple[str, tuple[int | str, ...]]:
    """Parse the value of ``--shape``.

    Args:
        text: ``NAME=D0,D1,...``; nothing after the sign means a scalar. The name may itself
            contain ``=``, the dimensions cannot. A dimension is a size, or a name that
            ``--max`` gives a largest size to.

    Returns:
        The input's name and its shape.

    Raises:
        ModelError: The text has another form, or a dimension is 0.
    """
    name, separator, dims_text = text.rpartition("=")
    dims_text = dims_text.replace(" ", "")
    if not separator or not name or (dims_text and not _DIMENSIONS.fullmatch(dims_text)):
        raise ModelError(f"shape '{text}' is not of the form NAME=1,3,224,224")
    parts = dims_text.split(",") if dims_text else []
    dims = tuple(int(dim) if dim[0].isdigit() else dim for dim in parts)
    if 0 in dims:
        raise ModelError(f"shape '{text}' has a dimension of 0; dimensions start at 1")
    return name, dims


def parse_max_option(text: str) -> tuple[str, int]:
    """Parse the value of ``--max``.

    Args:
        text: ``NAME=SIZE``, the largest size of a dimension.

    Returns:
        The dimension's name and that size.

    Raises:
        ModelError: The text has another form, or the size is below ``LEAST_MAXIMUM``.
    """
    name, separator, size = text.rpartition("=")
    if not separator or not name or not _LARGEST.fullmatch(size):
        raise ModelError(f"maximum '{text}' is not of the form NAME=20000")
    if int(size) < LEAST_MAXIMUM:
        raise ModelError(f"maximum '{text}' is too small; at least {LEAST_MAXIMUM}")
    return name, int(size)


def bind_inputs(
    inputs: Sequence[onnx.ValueInfoProto],
    shapes: Mapping[str, InputShape],
    limits: Limits,
    maxima: Mapping[str, int] | None = None,
) -> dict[str, ValueType]:
    """Return the static type of every graph input.

    A symbolic dimension is one number everywhere: ``shapes`` of one input also bind the other
    inputs that use the same symbols.

    Args:
        inputs: The graph inputs that are not initializers.
        shapes: Shapes from the user, by input name; a name in one stands for its maximum.
        limits: Caps on rank and elements.
        maxima: Largest sizes of dimensions that the model, or a shape of the user, names.

    Raises:
        ModelError: A shape is for no input or contradicts the model, or a size stays open.
    """
    maxima = maxima or {}
    _check_maxima(inputs, shapes, maxima)
    given = {name: _largest(name, shape, maxima) for name, shape in shapes.items()}
    known = [value.name for value in inputs]
    for name in shapes:
        if name not in known:
            raise ModelError(
                f"there is no input '{name}' to give a shape to; inputs: {', '.join(known)}"
            )
    symbols = dict(maxima)
    for value in inputs:
        if value.name in shapes:
            _match(value, given[value.name], symbols)
    return {value.name: _static_type(value, given, symbols, limits) for value in inputs}


def _check_maxima(
    inputs: Sequence[onnx.ValueInfoProto],
    shapes: Mapping[str, InputShape],
    maxima: Mapping[str, int],
) -> None:
    """Refuse a maximum of a dimension that nothing has."""
    given = [dim for shape in shapes.values() for dim in shape]
    declared = [dim for value in inputs for dim in _dims(value) or ()]
    named = dict.fromkeys(dim for dim in (*given, *declared) if isinstance(dim, str) and dim)
    for name in maxima:
        if name not in named:
            raise ModelError(
                f"no dimension is called '{name}'; named ones: {', '.join(named) or 'none'}"
            )


def _largest(name: str, shape: InputShape, maxima: Mapping[str, int]) -> tuple[int, ...]:
    for dim in shape:
        if isinstance(dim, str) and dim not in maxima:
            raise ModelError(
                f"dimension '{dim}' of input '{name}' has no largest size; give one with"
                f" --max {dim}=..."
            )
    return tuple(maxima[dim] if isinstance(dim, str) else dim for dim in shape)


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
    shapes: Mapping[str, tuple[int, ...]],
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
        + (f", or the largest with --max {dim}=..." if dim else "")
    )
