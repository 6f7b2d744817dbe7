"""Parts of the scratch memory of a kernel, each with its own type."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

ALIGNMENT = 64  # a cache line, and the widest vector


@dataclass(frozen=True)
class Scratch:
    """Consecutive aligned arrays in one buffer of bytes.

    Attributes:
        parts: Name, number of elements and dtype of each array.
    """

    parts: tuple[tuple[str, int, str], ...]

    @property
    def num_bytes(self) -> int:
        """Size of all parts."""
        return sum(_part_bytes(n, dtype) for _, n, dtype in self.parts)

    def views(self, buffer: Any) -> dict[str, Any]:
        """Typed views of the parts, by name.

        Args:
            buffer: uint8 buffer of ``num_bytes``.
        """
        views, at = {}, 0
        for name, n, dtype in self.parts:
            size = np.dtype(dtype).itemsize
            views[name] = T.decl_buffer((n,), dtype, data=buffer.data, elem_offset=at // size)
            at += _part_bytes(n, dtype)
        return views


def _part_bytes(n: int, dtype: str) -> int:
    return -(-n * np.dtype(dtype).itemsize // ALIGNMENT) * ALIGNMENT
