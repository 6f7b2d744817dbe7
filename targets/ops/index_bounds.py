"""Check indices that are given at run time against the tensor that they pick from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, kw_only=True)
class IndexBounds:
    """-limits[d] <= index[i, d] < limits[d], for every i and d; there is no output.

    Attributes:
        count: Rows of "index".
        limits: Sizes of the axes that a row picks from, one for each of its numbers; negative
            numbers count from the end.
        index_dtype: "int64" or "int32".
    """

    count: int
    limits: tuple[int, ...]
    index_dtype: str = "int64"

    @property
    def elements(self) -> int:
        """Elements of "index"."""
        return self.count * len(self.limits)


def reference(op: IndexBounds, arrays: Arrays) -> None:
    """Compute the operation.

    Args:
        op: The operation.
        arrays: "index", (count, number of limits).

    Raises:
        IndexError: An index is out of bounds; the kernel returns a status that is not 0 then.
    """
    index = arrays["index"].reshape(op.count, len(op.limits))
    limits = np.array(op.limits, np.int64)
    outside = (index < -limits) | (index >= limits)
    if outside.any():
        row, place = np.argwhere(outside)[0]
        raise IndexError(f"index {index[row, place]} of an axis of {op.limits[place]}")
