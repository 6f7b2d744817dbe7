"""Arrays that the user gives, held against what a loaded model takes and gives."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from octavo.compiler.counted_arrays import (
    CountedDimension,
    counts_in_use,
    first_rows,
    shape_in_use,
)
from octavo.compiler.tensor_info import TensorInfo
from octavo.errors import DataError

Arrays = Mapping[str, NDArray[Any]]


def check_names(given: Mapping[str, Any], known: Sequence[str], kind: str, verb: str) -> None:
    """Refuse a name that the model does not have.

    Raises:
        DataError: As said.
    """
    unknown = [name for name in given if name not in known]
    if unknown:
        raise DataError(
            f"unknown {kind} {unknown[0]!r}; the model {verb}: {', '.join(known) or 'none'}"
        )


def fitting(value: Any, info: TensorInfo, kind: str, verb: str) -> NDArray[Any]:
    """The array, if it has exactly the type and shape of a tensor.

    Raises:
        DataError: It has not.
    """
    array = np.asarray(value)
    if array.dtype != info.numpy_dtype or array.shape != info.shape:
        raise DataError(
            f"{kind} {info.name!r} is {array.dtype} {array.shape};"
            f" the model {verb} {info.dtype} {info.shape}"
        )
    return array


def fitting_inputs(inputs: Arrays, infos: Sequence[TensorInfo]) -> list[NDArray[Any]]:
    """All inputs, if they are exactly what the model takes; in its order.

    Raises:
        DataError: An input is missing, unknown, or of another type or shape.
    """
    names = [info.name for info in infos]
    if len(inputs) != len(infos) or any(name not in inputs for name in names):
        check_names(inputs, names, "input", "takes")
        missing = next(name for name in names if name not in inputs)
        raise DataError(f"no input {missing!r}; the model takes: {', '.join(names)}")
    return [fitting(inputs[info.name], info, "input", "takes") for info in infos]


def inputs_in_use(
    inputs: Arrays, infos: Sequence[TensorInfo], dimensions: Sequence[CountedDimension]
) -> tuple[list[NDArray[Any]], dict[str, NDArray[Any]]]:
    """Inputs of counted dimensions with the rows in use alone.

    Args:
        inputs: With any number of rows, and with the inputs that count them or without.
        infos: What the model takes.
        dimensions: That are counted at run time.

    Returns:
        The inputs in the model's order, and those of them that count.

    Raises:
        DataError: As ``fitting_inputs``, or there are too many rows.
    """
    given = {name: np.asarray(array) for name, array in inputs.items()}
    counts: dict[str, NDArray[Any]] = dict(counts_in_use(given, dimensions))
    given |= counts
    for counted in dimensions:
        rows = int(counts[counted.input][0])
        for name, axis in counted.inputs.items():
            if name in given and axis < given[name].ndim:
                given[name] = first_rows(given[name], axis, rows)
    used = [
        replace(info, shape=shape_in_use(info.name, info.shape, dimensions, counts))
        for info in infos
    ]
    return fitting_inputs(given, used), counts
