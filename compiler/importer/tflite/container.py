"""A TFLite file as checked records: every index, length and parameter is verified here.

What comes out can be converted without a further thought for where it came from. Weights stay
views of the file.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from octavo.compiler.importer.limits import Limits
from octavo.compiler.importer.tensors import check_dims
from octavo.compiler.importer.tflite.flatbuffer import FlatBuffer, Table
from octavo.compiler.importer.tflite.schema import (
    ELEMENT_TYPES,
    OPERATORS,
    OPTIONS,
    ElementType,
)
from octavo.errors import ModelError

SCHEMA_VERSION = 3
MAX_ITEMS = 2**24  # tables and elements besides weights; a network has some thousands
_QUANTIZED = ("INT4", "INT8", "UINT8", "INT16", "INT32", "INT64")


@dataclass(frozen=True, eq=False)
class Quantization:
    """How integers stand for real values.

    Attributes:
        scale: float32, (1,) or (channels,), above 0.
        zero_point: int64, the shape of ``scale``.
        axis: Axis of the channels.
    """

    scale: NDArray[np.float32]
    zero_point: NDArray[np.int64]
    axis: int


@dataclass(frozen=True, eq=False)
class Tensor:
    """A tensor.

    Attributes:
        name: Name in the file, perhaps empty or not unique.
        shape: Static shape.
        type: Element type.
        data: The constant, of ``type.dtype``; None for what is computed.
        quantization: None for plain numbers.
        is_variable: Whether it keeps its value from one run to the next.
    """

    name: str
    shape: tuple[int, ...]
    type: ElementType
    data: NDArray[Any] | None
    quantization: Quantization | None
    is_variable: bool


@dataclass(frozen=True, eq=False)
class Operator:
    """An operator.

    Attributes:
        kind: Name in the schema, or "CUSTOM name".
        inputs: Tensor indices; -1 for an absent one.
        outputs: Tensor indices.
        options: Scalar options by name, those that are read.
    """

    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: dict[str, Any]


@dataclass(frozen=True, eq=False)
class TfliteModel:
    """The main graph of a file; ``inputs`` and ``outputs`` are tensor indices."""

    name: str
    tensors: list[Tensor]
    operators: list[Operator]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    signature: dict[int, str]  # names that users give to inputs and outputs, by tensor index


def read_container(content: bytes, name: str, limits: Limits) -> TfliteModel:
    """Verify a file and return its main graph.

    Args:
        content: The whole file.
        name: What messages call it.
        limits: ``nodes``, ``initializers`` (of tensors and buffers), ``rank``, ``elements``.

    Raises:
        ModelError: The file is damaged, too large or of a kind that is not supported.
    """
    buffer = FlatBuffer(content, name, MAX_ITEMS)
    root = buffer.root()
    version = root.number(0, "I")
    if version != SCHEMA_VERSION:
        raise ModelError(f"'{name}' has TFLite schema version {version}; 3 is supported")
    graphs = root.tables(2, "subgraph", limits.nodes)
    if not graphs:
        raise buffer.damaged("it has no subgraph")
    main = graphs[0]
    buffers = [
        _buffer_data(table, content, buffer)
        for table in root.tables(4, "buffer", limits.initializers)
    ]
    tensors = [
        _tensor(table, i, buffers, limits)
        for i, table in enumerate(main.tables(0, "tensor", limits.initializers))
    ]
    kinds = [_kind(table, buffer) for table in root.tables(1, "operator code", limits.nodes)]
    operators = [
        _operator(table, kinds, len(tensors), buffer)
        for table in main.tables(3, "operator", limits.nodes)
    ]
    inputs, outputs = (
        _indices(main, slot, len(tensors), buffer, is_optional=False) for slot in (1, 2)
    )
    if not outputs:
        raise buffer.damaged("it has no outputs")
    return TfliteModel(
        main.text(4) or "main", tensors, operators, inputs, outputs, _signature(root, limits)
    )


def _buffer_data(table: Table, content: bytes, buffer: FlatBuffer) -> NDArray[np.uint8]:
    begin, size = table.number(1, "Q"), table.number(2, "Q")
    # Files beyond 2 GiB keep weights behind the tables; 0 and 1 say that this one does not.
    if begin > 1:
        if begin + size > len(content):
            raise buffer.damaged(f"{table.name} lies outside the file")
        return np.frombuffer(content, np.uint8, size, begin)
    return table.numbers(0, np.uint8, is_counted=False)


def _tensor(
    table: Table, index: int, buffers: Sequence[NDArray[np.uint8]], limits: Limits
) -> Tensor:
    name = table.text(3)
    where = f"tensor '{name}'" if name.isprintable() and name else f"tensor {index}"
    number = table.number(1, "b")
    if number not in ELEMENT_TYPES:
        raise ModelError(f"{where} has element type {number}, which is not supported")
    kind = ELEMENT_TYPES[number]
    shape = tuple(int(size) for size in table.numbers(0, np.int32))
    check_dims(shape, where, limits)
    if table.table(6, f"sparsity of {where}") is not None:
        raise ModelError(f"{where} is sparse, which is not supported")
    place = table.number(2, "I")
    if place >= max(len(buffers), 1):
        raise ModelError(f"{where} is in buffer {place}; the file has {len(buffers)}")
    raw = buffers[place] if buffers else np.empty(0, np.uint8)
    data = _constant(raw, shape, kind, where) if place and raw.size else None
    quantization = _quantization(table, shape, kind, where)
    if quantization is not None and quantization.scale.size > 1 and data is None:
        raise ModelError(f"{where} has a scale for each channel but is computed")
    return Tensor(name, shape, kind, data, quantization, bool(table.number(5, "b")))


def _constant(
    raw: NDArray[np.uint8], shape: tuple[int, ...], kind: ElementType, where: str
) -> NDArray[Any]:
    num_bytes = (math.prod(shape) * kind.num_bits + 7) // 8
    if raw.size != num_bytes:
        raise ModelError(
            f"{where} has {raw.size} bytes; shape {list(shape)} of {kind.name.lower()} "
            f"needs {num_bytes}"
        )
    if kind.num_bits == 4:
        # the first element is in the low half; shifting down again extends the sign
        halves: NDArray[np.int8] = np.stack([raw << 4, raw], axis=-1).view(np.int8) >> 4
        return halves.reshape(-1)[: math.prod(shape)].reshape(shape)
    plain: NDArray[Any] = (
        raw != 0
        if kind.dtype is np.bool_
        else raw.view(np.dtype(kind.dtype).newbyteorder("<"))
    )
    return plain.reshape(shape)


def _quantization(
    table: Table, shape: tuple[int, ...], kind: ElementType, where: str
) -> Quantization | None:
    record = table.table(4, f"quantization of {where}")
    if record is None or kind.name not in _QUANTIZED:
        return None
    if record.number(4, "B"):
        raise ModelError(f"{where} is quantized by blocks or by a custom rule: not supported")
    scale = record.numbers(2, np.float32).astype(np.float32)
    zero_point = record.numbers(3, np.int64).astype(np.int64)
    axis = record.number(6, "i")
    if scale.size == 0:
        return None
    if scale.size > 1 and not (0 <= axis < len(shape) and scale.size == shape[axis]):
        raise ModelError(
            f"{where} has {scale.size} scales along axis {axis} of shape {list(shape)}"
        )
    if zero_point.size == 0:
        zero_point = np.zeros(scale.size, np.int64)
    if zero_point.size != scale.size:
        raise ModelError(f"{where} has {scale.size} scales and {zero_point.size} zero points")
    if not (np.isfinite(scale) & (scale > 0)).all():
        raise ModelError(f"{where} has a scale that is not above 0 and finite")
    limits = np.iinfo(kind.dtype)
    if ((zero_point < limits.min) | (zero_point > limits.max)).any():
        raise ModelError(f"{where} has a zero point outside {kind.name.lower()}")
    return Quantization(scale, zero_point, axis if scale.size > 1 else 0)


def _kind(table: Table, buffer: FlatBuffer) -> str:
    # Readers take the larger of the two fields; the old one is a single byte.
    code = max(table.number(0, "b"), table.number(3, "i"))
    if not 0 <= code < len(OPERATORS):
        raise buffer.damaged(
            f"{table.name} is {code}; operators are 0 to {len(OPERATORS) - 1}"
        )
    return f"CUSTOM {table.text(1)[:80]!r}" if OPERATORS[code] == "CUSTOM" else OPERATORS[code]


def _operator(
    table: Table, kinds: Sequence[str], num_tensors: int, buffer: FlatBuffer
) -> Operator:
    code = table.number(0, "I")
    if code >= len(kinds):
        raise buffer.damaged(f"{table.name} has code {code}; the file has {len(kinds)}")
    kind = kinds[code]
    inputs = _indices(table, 1, num_tensors, buffer, is_optional=True)
    outputs = _indices(table, 2, num_tensors, buffer, is_optional=False)
    if not outputs:
        raise buffer.damaged(f"{table.name} has no outputs")
    return Operator(kind, inputs, outputs, _options(table, kind, buffer))


def _options(table: Table, kind: str, buffer: FlatBuffer) -> dict[str, Any]:
    if kind not in OPTIONS:
        return {}
    number, fields = OPTIONS[kind]
    record = table.table(4, f"options of {table.name}")
    if record is None:
        return {name: field.default for name, field in fields.items()}
    if table.number(3, "B") != number:
        raise buffer.damaged(f"{table.name} has options that are not those of {kind}")
    return {
        name: record.number(field.slot, field.kind, field.default)
        for name, field in fields.items()
    }


def _indices(
    table: Table, slot: int, num_tensors: int, buffer: FlatBuffer, *, is_optional: bool
) -> tuple[int, ...]:
    lowest = -1 if is_optional else 0
    indices = tuple(int(index) for index in table.numbers(slot, np.int32))
    for index in indices:
        if not lowest <= index < num_tensors:
            raise buffer.damaged(f"{table.name} names tensor {index} of {num_tensors}")
    return indices


def _signature(root: Table, limits: Limits) -> dict[int, str]:
    """Names of inputs and outputs where the file has one signature; else tensors' names."""
    signatures = root.tables(7, "signature", limits.nodes)
    if len(signatures) != 1 or signatures[0].number(4, "I"):
        return {}
    names = {}
    for slot in (0, 1):
        for entry in signatures[0].tables(slot, "signature entry", limits.nodes):
            names[entry.number(1, "I")] = entry.text(0)
    return names
