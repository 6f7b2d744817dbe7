"""Message passing over edges that are given at run time."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from octavo.targets.ops.aggregation import Aggregation, Arrays, Indices, aggregate


@dataclass(frozen=True, kw_only=True)
class ScatterAggregate(Aggregation):
    """An aggregation of edges in any order, any of them repeatedly.

    Attributes:
        index_dtype: "int64" or "int32"; a negative index counts from the end.
        gathers: "source" says which row of x an edge takes. Otherwise x has a message for each
            edge, and ``sources`` is ``edges``.
        has_count: "count" says how many edges there are; those behind are not looked at.
        max_degree: Edges into one node, at most; 0 for no other limit than ``edges``. What
            sums stay within 32 bits rests on it, so more of them are an error.
    """

    index_dtype: str = "int64"
    gathers: bool = True
    has_count: bool = False
    max_degree: int = 0

    @property
    def degree_limit(self) -> int:
        """Edges into one node, at most."""
        return min(self.max_degree or self.edges, self.edges)


def reference(op: ScatterAggregate, arrays: Arrays) -> NDArray[Any]:
    """Compute the operation.

    Args:
        op: The operation.
        arrays: "node" (edges,), and "source" (edges,) if it gathers; "count" (1,) if it has
            one; and what ``aggregate`` takes.

    Returns:
        (nodes, channels).

    Raises:
        IndexError: "count" is not in [0, edges], an index not in [-rows, rows), or a node has
            more edges than ``max_degree``. The kernel returns a status that is not 0 then, and
            has written nothing.
    """
    count = int(arrays["count"].reshape(-1)[0]) if op.has_count else op.edges
    if not 0 <= count <= op.edges:
        raise IndexError(f"{count} edges; at most {op.edges}")
    node = _rows(arrays["node"].reshape(-1)[:count], op.nodes)
    source: Indices = np.arange(count)
    if op.gathers:
        source = _rows(arrays["source"].reshape(-1)[:count], op.sources)
    degree = int(np.bincount(node, minlength=1).max())
    if degree > op.degree_limit:
        raise IndexError(f"{degree} edges into one node; at most {op.degree_limit}")
    return aggregate(op, arrays, source, node)


def _rows(index: Indices, extent: int) -> Indices:
    """Make indices that count from the end count from the start."""
    if ((index < -extent) | (index >= extent)).any():
        raise IndexError(f"an index is outside of [{-extent}, {extent})")
    return np.where(index < 0, index + extent, index)
