"""Message passing over a graph that is known when compiled: a sparse matrix times features."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from octavo.targets.ops.aggregation import Aggregation, Arrays, aggregate


@dataclass(frozen=True, kw_only=True)
class CsrAggregate(Aggregation):
    """An aggregation whose edges are constant, in compressed sparse rows.

    Every node's edges lie side by side: those into node i are row_offsets[i] up to
    row_offsets[i + 1]. Weights are constant too.
    """


def reference(op: CsrAggregate, arrays: Arrays) -> NDArray[Any]:
    """Compute the operation.

    Args:
        op: The operation.
        arrays: "row_offsets" (nodes + 1,), from 0 to ``edges`` and nowhere falling; "columns"
            (edges,), rows of x; and what ``aggregate`` takes.

    Returns:
        (nodes, channels).
    """
    offsets = arrays["row_offsets"].astype(np.int64)
    node = np.repeat(np.arange(op.nodes), np.diff(offsets))
    return aggregate(op, arrays, arrays["columns"].reshape(-1), node)
