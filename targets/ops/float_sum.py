"""Sums of float32 numbers in one order on every target.

Where the lanes of a vector are results, each adds its elements one after the other. A sum of
neighbouring elements has ``SUM_LANES`` parts: part l starts from 0 and takes the elements l,
l + 16, l + 32, ... one after the other. Then part l takes part l + 8 for l < 8, and so on with
4, 2 and 1. A vector register holds some of the parts or all of them, and a work-group of a GPU
has an item for each, so that nothing has to be gathered for it, whatever the width.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

SUM_LANES = 16


def sum_rows(values: Floats, add: Callable[[Floats, Floats], Floats] = np.add) -> Floats:
    """Add along rows.

    Args:
        values: (rows, n).
        add: Makes the next partial sums of the last ones and of elements, both (rows, m).

    Returns:
        (rows,).
    """
    parts = np.zeros((len(values), SUM_LANES), np.float32)
    for start in range(0, values.shape[1], SUM_LANES):
        some = values[:, start : start + SUM_LANES]
        parts[:, : some.shape[1]] = add(parts[:, : some.shape[1]], some)
    while parts.shape[1] > 1:
        half = parts.shape[1] // 2
        parts = parts[:, :half] + parts[:, half:]
    return parts[:, 0]


def sum_columns(values: Floats) -> Floats:
    """Add along the middle axis of (outer, n, inner), one after the other."""
    total = np.zeros(values.shape[::2], np.float32)
    for index in range(values.shape[1]):
        total = total + values[:, index]
    return total
