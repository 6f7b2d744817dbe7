"""Inputs and outputs of a model: what they are, and where they are."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._structs import DTYPE_NAMES, TensorStruct


@dataclass(frozen=True)
class TensorInfo:
    """A model input or output.

    Attributes:
        name: The name that it has in the model.
        dtype: Name of a numpy dtype.
        shape: Extents, row-major.
        scale: Quantization step of an integer tensor, else None.
        zero_point: Integer that stands for 0.0, else None.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    scale: float | None
    zero_point: int | None


def tensor_info(tensor: TensorStruct) -> TensorInfo:
    """Read the description that the library holds."""
    return TensorInfo(
        name=tensor.name.decode(),
        dtype=DTYPE_NAMES[tensor.dtype],
        shape=tuple(tensor.shape[i] for i in range(tensor.rank)),
        scale=tensor.scale if tensor.is_quantized else None,
        zero_point=tensor.zero_point if tensor.is_quantized else None,
    )


def tensor_view(address: int, info: TensorInfo) -> NDArray[Any]:
    """The tensor's memory, as an array."""
    dtype = np.dtype(info.dtype)
    count = int(np.prod(info.shape, dtype=np.int64))
    if count == 0:
        return np.empty(info.shape, dtype)
    memory = (ctypes.c_uint8 * (count * dtype.itemsize)).from_address(address)
    return np.ndarray(info.shape, dtype, memoryview(memory))


def fitting_inputs(
    inputs: Mapping[str, NDArray[Any]], infos: Sequence[TensorInfo]
) -> list[NDArray[Any]]:
    """All inputs in the model's order, if they are exactly what it takes.

    Raises:
        ValueError: One is missing, unknown, or of another shape.
        TypeError: One is of another type.
    """
    names = [info.name for info in infos]
    takes = f"the model takes: {', '.join(names) or 'none'}"
    for name in inputs:
        if name not in names:
            raise ValueError(f"unknown input {name!r}; {takes}")
    for name in names:
        if name not in inputs:
            raise ValueError(f"no input {name!r}; {takes}")
    return [_fitting(inputs[info.name], info) for info in infos]


def _fitting(value: Any, info: TensorInfo) -> NDArray[Any]:
    array = np.asarray(value)
    found = f"input {info.name!r} is {array.dtype} {array.shape}"
    if array.dtype != np.dtype(info.dtype):
        raise TypeError(f"{found}; the model takes {info.dtype} {info.shape}")
    if array.shape != info.shape:
        raise ValueError(f"{found}; the model takes {info.dtype} {info.shape}")
    return array
