"""Look integers of any width up in a table that goes on for ever with its ends."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, kw_only=True)
class IntegerTable:
    """Static part of y[i] = table[min(max(x[i], low), high) - low].

    Attributes:
        elements: Of x and of y.
        low, high: Integers of the table's ends; ``high - low`` is at most 255.
        dtype: Type of x: "bool" or a type of integers.
        out_dtype: Type of y: "uint8" or "int8".
    """

    elements: int
    low: int
    high: int
    dtype: str
    out_dtype: str


def reference(op: IntegerTable, arrays: Arrays) -> NDArray[Any]:
    """Compute the operation.

    Args:
        op: The operation.
        arrays: "x" (elements,) and "table" (high - low + 1,).

    Returns:
        (elements,), as ``op.out_dtype``.
    """
    at = np.clip(arrays["x"].astype(np.int64), op.low, op.high) - op.low
    found: NDArray[Any] = arrays["table"].reshape(-1)[at]
    return found
