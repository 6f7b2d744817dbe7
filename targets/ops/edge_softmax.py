"""Normalize scores of edges among those that go into the same node: attention of graphs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from octavo.targets.ops.exponential import exp_float32
from octavo.targets.ops.float_sum import SUM_LANES
from octavo.targets.ops.requantize import fma_float32

Arrays = Mapping[str, NDArray[Any]]

FORMS = ("ends", "edges", "sorted")


@dataclass(frozen=True, kw_only=True)
class EdgeSoftmax:
    """Static part of w[e, h] = exp(s[e, h]) / sum exp(s[f, h]) over all f of the same node.

    Scores are numbers of both "ends" of an edge, added and sent through a leaky ReLU: "source"
    (sources, heads) and "target" (nodes, heads); or they are given as "score" (edges, heads),
    by the number of the "edges", or "sorted" by places. w lies in the order of places. Rows
    behind the last edge are not written.

    A sum has ``abreast`` parts for each head: part k takes the edges k, k + abreast, ... of
    the node, one after the other. Then part k takes part k + abreast / 2, and so on, as sums
    of ``octavo.targets.ops.float_sum`` do; epsilon comes last.

    Attributes:
        nodes: Rows of results of message passing.
        sources: Rows of "source"; 1 without it.
        edges: Number of edges; the largest one, where it is known only at run time.
        heads: Scores of an edge.
        form: "ends", "edges" or "sorted".
        dtype: Type of "source" and "target", or of "score": "float32", "uint8" or "int8".
        out_dtype: "float32", or "uint8" with the zero point 0.
        slope: Of the leaky ReLU, in [0, 1]; 1 for none. Only of "ends".
        epsilon: Added to the sum, >= 0.
        largest: Highest stored coefficient, at most 255; larger ones become this. Only of
            "uint8".
    """

    nodes: int
    sources: int
    edges: int
    heads: int = 1
    form: str = "ends"
    dtype: str = "float32"
    out_dtype: str = "uint8"
    slope: float = 1.0
    epsilon: float = 0.0
    largest: int = 255

    @property
    def abreast(self) -> int:
        """Parts of a sum: edges whose scores lie side by side."""
        return 1 if SUM_LANES % self.heads else SUM_LANES // self.heads


def reference(op: EdgeSoftmax, arrays: Arrays) -> NDArray[Any]:
    """Compute the operation.

    Args:
        op: The operation.
        arrays: In the order of operands "source" and "target", or "score"; "offsets" as of
            ``octavo.targets.ops.edge_order``; "places", of "edges" "ids" instead, of "sorted"
            none. Constants: "source_scale", "target_scale" (1,) float32 and
            "source_zero_point", "target_zero_point" (1,) int32 of integer ends;
            "score_scale" (1,) float32 of integer scores, whose zero point has no influence;
            "out_inverse" (1,) float32, 1 / scale of a stored coefficient.

    Returns:
        (edges, heads) of ``out_dtype``. Scores must be finite.
    """
    offsets = arrays["offsets"].astype(np.int64).reshape(-1)
    count, degree = int(offsets[-1]), np.diff(offsets)
    node = np.repeat(np.arange(op.nodes), degree)
    below = _below(op, arrays, node, offsets)
    terms = exp_float32(below)
    totals = _totals(op, terms, offsets) + np.float32(op.epsilon)
    unit = np.float32(1)
    if op.out_dtype != "float32":
        unit = np.float32(arrays["out_inverse"].reshape(-1)[0])
    with np.errstate(divide="ignore"):
        real = terms * (unit / totals)[node]
    weights = np.zeros((op.edges, op.heads), op.out_dtype)
    if op.out_dtype != "float32":
        real = np.rint(np.minimum(real, np.float32(op.largest)))
    weights[:count] = real
    return weights


def _totals(
    op: EdgeSoftmax, terms: NDArray[np.float32], offsets: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Sums of every node's terms, (nodes, heads)."""
    degree = np.diff(offsets)
    parts = np.zeros((op.abreast, op.nodes, op.heads), np.float32)
    for rank in range(int(degree.max(initial=0))):
        nodes = np.flatnonzero(degree > rank)
        part = parts[rank % op.abreast]
        part[nodes] = part[nodes] + terms[offsets[nodes] + rank]
    while len(parts) > 1:
        half = len(parts) // 2
        parts = parts[:half] + parts[half:]
    total: NDArray[np.float32] = parts[0]
    return total


def _below(
    op: EdgeSoftmax, arrays: Arrays, node: NDArray[np.int64], offsets: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Distances of scores to the largest one of their node, in the order of places."""
    count = len(node)
    if op.form == "ends":
        scores = _ends(op, arrays, arrays["places"].reshape(-1)[:count], node)
    else:
        scores = arrays["score"].reshape(-1, op.heads)
        scores = (
            scores[arrays["ids"].reshape(-1)[:count]]
            if op.form == "edges"
            else (scores[:count])
        )
    if op.form != "ends" and op.dtype != "float32":
        scores = scores.astype(np.int32)  # their differences are exact
    largest = np.zeros((op.nodes, op.heads), scores.dtype)
    filled = np.flatnonzero(np.diff(offsets))
    if count:
        largest[filled] = np.maximum.reduceat(scores, offsets[filled])
    below = scores - largest[node]
    if below.dtype == np.int32:
        return below.astype(np.float32) * arrays["score_scale"].astype(np.float32)
    return below


def _ends(
    op: EdgeSoftmax, arrays: Arrays, source: NDArray[Any], node: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Scores of edges from the numbers of both ends."""
    far = arrays["source"].reshape(op.sources, op.heads)[source]
    near = arrays["target"].reshape(op.nodes, op.heads)[node]
    if op.dtype == "float32":
        total = far + near
    else:
        far, near = (
            (end.astype(np.int32) - arrays[f"{name}_zero_point"]).astype(np.float32)
            for name, end in (("source", far), ("target", near))
        )
        scale = arrays["source_scale"].astype(np.float32)
        total = fma_float32(
            far,
            np.broadcast_to(scale, far.shape),
            near * arrays["target_scale"].astype(np.float32),
        )
    leaky: NDArray[np.float32] = np.maximum(total, total * np.float32(op.slope))
    return leaky
