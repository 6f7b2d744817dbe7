"""Check indices that are in use, and clear those that are not.

Kernels that stop at a count read nothing behind it. Whatever else reads indices that are given
at run time reads all of them, so those behind the count have to name a row that exists.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, kw_only=True)
class IndexCheck:
    """Static part of y[o, r, i] = index[o, r, i] for r < count, 0 behind.

    Attributes:
        outer, rows, inner: Sizes of "index"; ``rows`` are counted.
        index_dtype: "int64" or "int32".
        has_count: "count", int64 (1,), says how many rows are in use; else all are.
        limit: How many rows indices can pick, at most; they are picked from those in use,
            whose number is the input "limit", int64 (1,). 0: indices are not checked.
        clears: There is an output "y"; without one, this only checks.
    """

    outer: int
    rows: int
    inner: int
    index_dtype: str = "int64"
    has_count: bool = True
    limit: int = 0
    clears: bool = True

    @property
    def elements(self) -> int:
        """Elements of "index"."""
        return self.outer * self.rows * self.inner


def reference(op: IndexCheck, arrays: Arrays) -> NDArray[Any]:
    """Compute the operation.

    Args:
        op: The operation.
        arrays: "index" (outer, rows, inner), "count" (1,) and "limit" (1,) where there are
            such, in this order of operands.

    Returns:
        (outer, rows, inner); nobody's where nothing is cleared.

    Raises:
        IndexError: "count" is not in [0, rows], "limit" not in [0, op.limit], or an index in
            use is not in [0, limit). The kernel returns a status that is not 0 then.
    """
    index = arrays["index"].reshape(op.outer, op.rows, op.inner)
    count = int(arrays["count"].reshape(-1)[0]) if op.has_count else op.rows
    if not 0 <= count <= op.rows:
        raise IndexError(f"{count} rows in use; at most {op.rows}")
    if op.limit:
        limit = int(arrays["limit"].reshape(-1)[0])
        if not 0 <= limit <= op.limit:
            raise IndexError(f"{limit} rows to pick from; at most {op.limit}")
        used = index[:, :count]
        if ((used < 0) | (used >= limit)).any():
            raise IndexError(f"an index is outside of [0, {limit})")
    cleared: NDArray[Any] = np.where(np.arange(op.rows)[:, None] < count, index, 0)
    return cleared.astype(index.dtype)
