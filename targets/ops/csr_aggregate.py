"""Message passing over edges in the order of nodes: a sparse matrix times features."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from octavo.targets.ops.aggregation import Aggregation, Arrays, aggregate


@dataclass(frozen=True, kw_only=True)
class CsrAggregate(Aggregation):
    """An aggregation whose edges are in compressed sparse rows.

    Every node's edges lie side by side: those into node i have the places from offsets[i] up
    to offsets[i + 1]. The graph and the weights are constants, or all of them inputs, as of
    ``octavo.targets.ops.edge_order``. Where every edge has a message of its own, its places
    are the numbers of edges, and ``sources`` is ``edges``.

    Attributes:
        is_given: "offsets", "places" and "weight" are inputs, and so is "ids".
        by_edge: Weights lie by the number of the edge, which "ids" has for every place; else
            in the order of places. Only where they are given.
        max_degree: Given edges into one node, at most; 0 for no other limit than ``edges``.
            What makes "offsets" has to check it.
        has_rows: "rows" is the order in which nodes are computed, for features that lie near
            each other. Only of constant graphs.
    """

    is_given: bool = False
    by_edge: bool = False
    max_degree: int = 0
    has_rows: bool = False

    @property
    def degree_limit(self) -> int:
        """Edges into one node, at most."""
        return min(self.max_degree or self.edges, self.edges)


def reference(op: CsrAggregate, arrays: Arrays) -> NDArray[Any]:
    """Compute the operation.

    Args:
        op: The operation.
        arrays: "x"; "target" of pairs; "offsets" (nodes + 1,), from 0 to the number of edges
            and nowhere falling; "places", rows of x; "weight" (edges, heads); "ids", if
            weights lie by edge; inputs are in this order, and "places" and "ids" have
            ``PLACES_BEHIND`` more elements of any content then. Constants are what
            ``aggregate`` takes, and "rows", a permutation of the nodes.

    Returns:
        (nodes, channels).
    """
    offsets = arrays["offsets"].astype(np.int64).reshape(-1)
    node = np.repeat(np.arange(op.nodes), np.diff(offsets))
    if op.by_edge:
        ids = arrays["ids"].reshape(-1)[: len(node)]
        arrays = {**arrays, "weight": arrays["weight"].reshape(-1, op.heads)[ids]}
    return aggregate(op, arrays, arrays["places"].reshape(-1)[: len(node)], node)
