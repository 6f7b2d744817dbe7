"""Pick slices of a tensor by index."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, kw_only=True)
class Gather:
    """Static part of y[o, i, :] = x[o, index[i], :].

    Attributes:
        outer, extent, inner: Sizes of x; ``extent`` is indexed.
        count: Number of indices.
        dtype: Type of x and y.
        index_dtype: "int64" or "int32"; a negative index counts from the end.
        index_is_constant: Known when compiled, and checked then.
    """

    outer: int
    extent: int
    inner: int
    count: int
    dtype: str
    index_dtype: str = "int64"
    index_is_constant: bool = False


def reference(op: Gather, arrays: Arrays) -> NDArray[Any]:
    """Compute the operation.

    Args:
        op: The operation.
        arrays: "x" (outer, extent, inner) and "index" (count,).

    Returns:
        (outer, count, inner).

    Raises:
        IndexError: An index is outside of [-extent, extent); the kernel returns a status
            that is not 0, and has read nothing.
    """
    x = arrays["x"].reshape(op.outer, op.extent, op.inner)
    y: NDArray[Any] = np.take(x, arrays["index"].reshape(-1), axis=1)
    return y
