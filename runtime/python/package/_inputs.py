"""Whether arrays are what a model takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._tensor_info import TensorInfo


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
