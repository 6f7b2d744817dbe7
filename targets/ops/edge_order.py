"""Put the edges of a graph in the order of the nodes that they go into.

Message passing over edges that are given at run time starts with this, once for each graph,
however many layers follow: every node's edges lie side by side then.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]

# Elements behind the last edge: readers fetch rows of later edges ahead. A row of 64 bytes
# from far away takes as long as folding 100 of them.
PLACES_BEHIND = 128


@dataclass(frozen=True, kw_only=True)
class EdgeOrder:
    """Static part of a stable sort of edges by their nodes.

    The outputs are int32. "offsets" (nodes + 1,): the edges of node i have the places from
    offsets[i] up to offsets[i + 1]. "places" (edges + PLACES_BEHIND,), if it ``gathers``: the
    row of x that the edge at a place takes. "ids" (edges + PLACES_BEHIND,), if it
    ``has_ids``: the number of the edge at a place. The ``PLACES_BEHIND`` elements behind the
    last edge are 0; those further behind are not written.

    Attributes:
        nodes: Rows of results.
        sources: Rows of x; 1 if it does not gather.
        edges: Number of edges; the largest one, if it is given.
        index_dtype: "int64" or "int32" of the inputs; a negative index counts from the end.
        gathers: "source" is an input, and "places" an output.
        has_ids: "ids" is an output.
        weight_dtype: Type of "weight", a number for each edge: "uint8", "int8" or "float32";
            None for none.
        has_count: "count" says how many edges there are; those behind are not looked at.
        max_degree: Edges into one node, at most; 0 for no other limit than ``edges``. What
            sums stay within 32 bits rests on it, so more of them are an error.
    """

    nodes: int
    sources: int
    edges: int
    index_dtype: str = "int64"
    gathers: bool = True
    has_ids: bool = False
    weight_dtype: str | None = None
    has_count: bool = False
    max_degree: int = 0

    @property
    def degree_limit(self) -> int:
        """Edges into one node, at most."""
        return min(self.max_degree or self.edges, self.edges)

    @property
    def places(self) -> int:
        """Elements of "places" and of "ids"."""
        return self.edges + PLACES_BEHIND


def reference(op: EdgeOrder, arrays: Arrays) -> dict[str, NDArray[Any]]:
    """Compute the operation.

    Args:
        op: The operation.
        arrays: "source" (edges,) if it gathers, "node" (edges,), "weight" (edges,) if edges
            have one, and "count" (1,) if there is one, in this order of operands.

    Returns:
        The outputs that there are, in the order of operands: "offsets", "places", "ids",
        "weights". What the kernel does not write is 0.

    Raises:
        IndexError: "count" is not in [0, edges], an index not in [-rows, rows), or a node has
            more edges than ``max_degree``. The kernel returns a status that is not 0 then.
    """
    count = int(arrays["count"].reshape(-1)[0]) if op.has_count else op.edges
    if not 0 <= count <= op.edges:
        raise IndexError(f"{count} edges; at most {op.edges}")
    node = _rows(arrays["node"].reshape(-1)[:count], op.nodes)
    degree = np.bincount(node, minlength=op.nodes)
    if degree.max(initial=0) > op.degree_limit:
        raise IndexError(f"{degree.max()} edges into one node; at most {op.degree_limit}")
    order = np.argsort(node, kind="stable")
    outputs: dict[str, NDArray[Any]] = {
        "offsets": np.concatenate([[0], np.cumsum(degree)]).astype(np.int32)
    }
    if op.gathers:
        source = _rows(arrays["source"].reshape(-1)[:count], op.sources)
        outputs["places"] = padded(source[order], op.edges)
    if op.has_ids:
        outputs["ids"] = padded(order, op.edges)
    if op.weight_dtype is not None:
        outputs["weights"] = np.zeros(op.edges, op.weight_dtype)
        outputs["weights"][:count] = arrays["weight"].reshape(-1)[:count][order]
    return outputs


def padded(places: NDArray[np.integer[Any]], edges: int) -> NDArray[np.int32]:
    """Extend numbers of edges in the order of nodes to what operations take.

    Args:
        places: One for each edge, at most ``edges``.
        edges: Of the operations that take them.

    Returns:
        (edges + PLACES_BEHIND,), zeros behind.
    """
    every = np.zeros(edges + PLACES_BEHIND, np.int32)
    every[: len(places)] = places
    return every


def _rows(index: NDArray[Any], extent: int) -> NDArray[np.int64]:
    """Make indices that count from the end count from the start."""
    if ((index < -extent) | (index >= extent)).any():
        raise IndexError(f"an index is outside of [{-extent}, {extent})")
    return np.where(index < 0, index + extent, index).astype(np.int64)
