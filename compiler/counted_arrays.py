"""Arrays of dimensions that are counted at run time: rows in use, filled up, cut off.

Needs numpy and nothing else of the compiler.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from octavo.errors import ArtifactError, DataError

METADATA_KEY = "counts"  # in the metadata of a manifest

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class CountedDimension:
    """One dimension that is counted at run time.

    Attributes:
        dimension: Its name.
        input: Name of the input with the number of rows in use, int64 (1,).
        maximum: The largest number.
        inputs: Inputs that have it: the axis by name.
        outputs: The same of outputs.
    """

    dimension: str
    input: str
    maximum: int
    inputs: Mapping[str, int]
    outputs: Mapping[str, int]

    def record(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "dimension": self.dimension,
            "input": self.input,
            "maximum": self.maximum,
            "inputs": dict(self.inputs),
            "outputs": dict(self.outputs),
        }


def counted_dimensions(manifest: Mapping[str, Any]) -> tuple[CountedDimension, ...]:
    """What a manifest says of them.

    Raises:
        ArtifactError: It is malformed.
    """
    try:
        return tuple(
            CountedDimension(
                str(entry["dimension"]),
                str(entry["input"]),
                int(entry["maximum"]),
                {str(name): int(axis) for name, axis in entry["inputs"].items()},
                {str(name): int(axis) for name, axis in entry["outputs"].items()},
            )
            for entry in manifest.get("metadata", {}).get(METADATA_KEY, ())
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ArtifactError(
            f"manifest.json is malformed ({type(error).__name__}: {error}); compile again"
        ) from error


def counted_ports(
    dimensions: Sequence[CountedDimension],
) -> dict[str, tuple[int, CountedDimension]]:
    """Inputs and outputs with a counted dimension: its axis, and which one."""
    return {
        name: (axis, counted)
        for counted in dimensions
        for name, axis in (*counted.inputs.items(), *counted.outputs.items())
    }


def counted_notes(dimensions: Sequence[CountedDimension]) -> Iterator[str]:
    """What the user should know of counted dimensions, a line for each."""
    for counted in dimensions:
        renamed = "" if counted.input == counted.dimension else ": its name is taken"
        yield (
            f"{counted.dimension}: at most {counted.maximum}; input {counted.input!r}"
            f" says how many there are{renamed}"
        )


def rows_in_use(counted: CountedDimension, arrays: Arrays) -> int:
    """How many rows of a dimension a set of inputs uses.

    Args:
        counted: The dimension.
        arrays: Inputs; with the one that counts, the others may have more rows than it says.

    Raises:
        DataError: There are too many, or the inputs do not agree.
    """
    sizes = {
        name: arrays[name].shape[axis]
        for name, axis in counted.inputs.items()
        if name in arrays and arrays[name].ndim > axis
    }
    for name, size in sizes.items():
        if size > counted.maximum:
            raise DataError(
                f"input {name!r} has {size} rows of dimension {counted.dimension!r}; the model"
                f" was compiled for at most {counted.maximum}"
            )
    if counted.input in arrays:
        return _given_count(counted, arrays[counted.input], sizes)
    if len(set(sizes.values())) > 1:
        listed = ", ".join(f"{name}: {size}" for name, size in sizes.items())
        raise DataError(
            f"inputs have different numbers of rows of dimension {counted.dimension!r}"
            f" ({listed}); input {counted.input!r} says how many are in use"
        )
    return next(iter(sizes.values()), counted.maximum)


def _given_count(
    counted: CountedDimension, array: NDArray[Any], sizes: Mapping[str, int]
) -> int:
    if array.size != 1 or array.dtype.kind not in "iu":
        raise DataError(
            f"input {counted.input!r} is {array.dtype} {array.shape}; the model takes int64"
            " (1,), the number of rows in use"
        )
    rows = int(array.reshape(()))
    least = min(sizes.values(), default=counted.maximum)
    if not 0 <= rows <= least:
        raise DataError(
            f"input {counted.input!r} is {rows}; allowed: 0 to {least}, the rows there are"
        )
    return rows


def first_rows(array: NDArray[Any], axis: int, rows: int) -> NDArray[Any]:
    """A view of the rows in use."""
    return array[(slice(None),) * axis + (slice(rows),)]


def filled_up(
    arrays: Arrays, dimensions: Sequence[CountedDimension]
) -> dict[str, NDArray[Any]]:
    """Inputs of the sizes that the program has, and those that count.

    Args:
        arrays: Inputs with the rows in use, or more.
        dimensions: Of the program.

    Raises:
        DataError: See ``rows_in_use``.
    """
    full = dict(arrays)
    for counted in dimensions:
        rows = rows_in_use(counted, arrays)
        for name, axis in counted.inputs.items():
            if name in full and full[name].ndim > axis:
                full[name] = _with_rows(full[name], axis, rows, counted.maximum)
        full[counted.input] = np.array([rows], np.int64)
    return full


def only_in_use(
    arrays: Arrays, dimensions: Sequence[CountedDimension]
) -> dict[str, NDArray[Any]]:
    """Inputs with the rows in use alone, without the inputs that count them.

    Args:
        arrays: Inputs with the rows in use, or more.
        dimensions: That are counted.

    Raises:
        DataError: See ``rows_in_use``.
    """
    used = dict(arrays)
    for counted in dimensions:
        rows = rows_in_use(counted, arrays)
        used.pop(counted.input, None)
        for name, axis in counted.inputs.items():
            used[name] = first_rows(used[name], axis, rows)
    return used


def _with_rows(array: NDArray[Any], axis: int, rows: int, size: int) -> NDArray[Any]:
    if array.shape[axis] == size:
        return array
    shape = (*array.shape[:axis], size, *array.shape[axis + 1 :])
    full = np.zeros(shape, array.dtype)
    first_rows(full, axis, rows)[...] = first_rows(array, axis, rows)
    return full


def counts_in_use(
    arrays: Arrays, dimensions: Sequence[CountedDimension]
) -> dict[str, NDArray[np.int64]]:
    """The inputs that count, as they are or as the other inputs say.

    Args:
        arrays: Inputs with the rows in use, or more.
        dimensions: That are counted.

    Raises:
        DataError: See ``rows_in_use``.
    """
    return {d.input: np.array([rows_in_use(d, arrays)], np.int64) for d in dimensions}


def shape_in_use(
    name: str,
    shape: tuple[int, ...],
    dimensions: Sequence[CountedDimension],
    counts: Arrays,
) -> tuple[int, ...]:
    """The shape of an input with the rows in use alone.

    Args:
        name: Of the input.
        shape: Its shape in the program.
        dimensions: That are counted.
        counts: See ``counts_in_use``.
    """
    sizes = list(shape)
    for counted in dimensions:
        if name in counted.inputs:
            sizes[counted.inputs[name]] = int(counts[counted.input][0])
    return tuple(sizes)


def cut_off(
    outputs: Arrays, dimensions: Sequence[CountedDimension], counts: Arrays
) -> dict[str, NDArray[Any]]:
    """Views of outputs without the rows that are not in use.

    Args:
        outputs: As the program makes them.
        dimensions: Of the program.
        counts: See ``counts_in_use``.
    """
    cut = dict(outputs)
    for counted in dimensions:
        rows = int(counts[counted.input][0])
        for name, axis in counted.outputs.items():
            cut[name] = first_rows(cut[name], axis, rows)
    return cut
