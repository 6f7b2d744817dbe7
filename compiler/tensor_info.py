"""Inputs and outputs of a loaded model: what they are, and where they are.

Packages for Python take this file, for Python 3.9.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from octavo.compiler.native_structs import DTYPE_NAMES, TensorStruct


@dataclass(frozen=True)
class TensorInfo:
    """A model input or output.

    Attributes:
        name: The ONNX name.
        dtype: A numpy dtype name.
        shape: Extents, row-major.
        scale: Quantization step of an integer tensor, else None.
        zero_point: Integer that stands for 0.0, else None.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    scale: float | None
    zero_point: int | None

    @cached_property
    def numpy_dtype(self) -> np.dtype[Any]:
        """The dtype itself: comparing it with a name takes a microsecond."""
        return np.dtype(self.dtype)


def tensor_info(tensor: TensorStruct) -> TensorInfo:
    """Read the description that the library holds."""
    return TensorInfo(
        name=tensor.name.decode(),
        dtype=DTYPE_NAMES[tensor.dtype],
        shape=tuple(tensor.shape[i] for i in range(tensor.rank)),
        scale=tensor.scale if tensor.is_quantized else None,
        zero_point=tensor.zero_point if tensor.is_quantized else None,
    )


def arena_view(address: int, info: TensorInfo) -> NDArray[Any]:
    """The tensor's memory inside the arena, as an array."""
    dtype = np.dtype(info.dtype)
    count = int(np.prod(info.shape, dtype=np.int64))
    if count == 0:
        return np.empty(info.shape, dtype)
    memory = (ctypes.c_uint8 * (count * dtype.itemsize)).from_address(address)
    return np.ndarray(info.shape, dtype, memoryview(memory))
