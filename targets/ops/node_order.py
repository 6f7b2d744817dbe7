"""In which order a constant graph's nodes are computed, so that rows are read from a cache.

Nodes that lie near each other in the graph read the same rows. Where all rows together are
more than caches hold, it is worth computing such nodes one after the other; where they fit,
rows are asked for early enough in any order. benchmarks/message_passing_order.py measures it.

Source: Cuthill and McKee, "Reducing the bandwidth of sparse symmetric matrices", ACM 1969.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from octavo.targets.ops.aggregation import Arrays
from octavo.targets.ops.csr_aggregate import CsrAggregate

FAR_BYTES = 1 << 23  # rows in all that are read from far away in any order
NEAR_BYTES = 1 << 20  # of a second-level cache
LEAST_GAIN = 0.2  # of all reads, that an order of its own has to bring near

Indices = NDArray[np.integer[Any]]


def with_order(op: CsrAggregate, arrays: Arrays) -> tuple[CsrAggregate, Arrays]:
    """Give an operation the order that wins something, and its constants "rows"."""
    order = node_order(op, arrays["offsets"].reshape(-1), arrays["places"].reshape(-1))
    if order is None:
        return op, arrays
    return replace(op, has_rows=True), {**arrays, "rows": order}


def node_order(
    op: CsrAggregate, offsets: Indices, places: Indices
) -> NDArray[np.int32] | None:
    """Find the order of nodes that reads rows again soon.

    Args:
        op: Of a constant graph.
        offsets: (nodes + 1,) where the edges of each node begin.
        places: (edges,) row that each edge reads.

    Returns:
        A permutation of the nodes for ``has_rows``; None where it would win little: rows are
        few, nodes and rows are not the same things, or the given order is about as good.
    """
    if op.is_given or op.sources != op.nodes or op.sources * _row_bytes(op) <= FAR_BYTES:
        return None
    order, gain = best_order(op, offsets, places)
    return order if gain >= LEAST_GAIN else None


def best_order(
    op: CsrAggregate, offsets: Indices, places: Indices
) -> tuple[NDArray[np.int32], float]:
    """Order the nodes of a graph whose rows are its nodes.

    Args:
        op: The operation.
        offsets: As of ``node_order``.
        places: As of ``node_order``.

    Returns:
        The order, and the share of reads that it brings near.
    """
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import reverse_cuthill_mckee

    shape = (op.nodes, op.sources)
    edges = csr_matrix((np.ones(len(places), np.int8), places, offsets), shape)
    order = reverse_cuthill_mckee((edges + edges.T).tocsr(), symmetric_mode=True)
    window = NEAR_BYTES // _row_bytes(op)
    degree = np.diff(offsets)[order]
    shift = np.asarray(offsets)[order] - (np.cumsum(degree) - degree)
    again = places[np.arange(len(places)) + np.repeat(shift, degree)]
    gain = share_near(again, window) - share_near(places, window)
    return np.asarray(order, np.int32), gain


def _row_bytes(op: CsrAggregate) -> int:
    return op.channels * np.dtype(op.dtype).itemsize


def share_near(rows: Indices, window: int) -> float:
    """Share of reads whose row was among the ``window`` reads before.

    Args:
        rows: (reads,) what is read, in order.
        window: Reads that a cache remembers.
    """
    if not len(rows):
        return 1.0
    order = np.argsort(rows, kind="stable")
    is_again = np.diff(rows[order]) == 0
    return float((is_again & (np.diff(order) <= window)).sum() / len(rows))
