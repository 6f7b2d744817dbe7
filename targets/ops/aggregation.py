"""Fold the features of a graph's edges into its nodes: what message passing has in common.

Sums of integers are exact, so their order does not matter. Floats are added one after the
other, in the order of the edges.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from octavo.targets.ops.pool import rescale
from octavo.targets.ops.requantize import Requantize, fma_float32

Arrays = Mapping[str, NDArray[Any]]
Indices = NDArray[np.integer[Any]]

KINDS = ("sum", "mean", "max", "min")
PAIRS = (None, "sum", "relu")
LARGEST_DIFFERENCE = 255  # of an 8-bit element and its zero point
LARGEST_WEIGHT = {None: 1, "int8": 128, "uint8": 255}
LARGEST_SUM = 2**31 - 1


@dataclass(frozen=True, kw_only=True)
class Aggregation:
    """Static part of y[i, :] = fold of w[e] * x[source[e], :] over the edges e into node i.

    Channels are split evenly among heads, each with its own weights. With pairs, a message is
    ``target[i, :] + x[source[e], :]``, integers less their common zero point, or what a ReLU
    leaves of it.

    Attributes:
        kind: "sum", "mean" (a sum over the number of edges), "max" or "min".
        nodes: Rows of y.
        sources: Rows of x.
        edges: Number of edges; the largest one, where it is known only at run time.
        channels: Columns of x and y.
        dtype: "uint8", "int8" or "float32", of x.
        weight_dtype: Type of a number for each edge, its zero point 0: "int8" or "uint8",
            "float32" with floats; None for none. Only with sums and means.
        heads: Weights of an edge; ``channels`` is a multiple.
        pair: None for none, "sum" or "relu". Only with sums and means.
        has_bias: A number for each channel is added to every sum, before it is scaled.
        bias_by_node: Each node has such numbers of its own, in steps of its sums.
        from_zero: The number 0 takes part in a maximum or minimum, as it does when messages
            are scattered into zeros. Without edges, a node is 0 in any case.
        per_node: Each node has a multiplier of its own.
        has_limits: Float results are limited: by a ReLU, say.
        requantize: Epilogue without residual; of floats its dtype is "float32".
    """

    kind: str
    nodes: int
    sources: int
    edges: int
    channels: int
    dtype: str = "uint8"
    weight_dtype: str | None = None
    heads: int = 1
    pair: str | None = None
    has_bias: bool = False
    bias_by_node: bool = False
    from_zero: bool = True
    per_node: bool = False
    has_limits: bool = False
    requantize: Requantize = field(default_factory=Requantize)

    @property
    def is_sum(self) -> bool:
        """Whether messages are added."""
        return self.kind in ("sum", "mean")

    @property
    def num_multipliers(self) -> int:
        """Multipliers of the epilogue."""
        return self.nodes if self.per_node else 1

    @property
    def num_biases(self) -> int:
        """Numbers of a bias."""
        return self.channels * (self.nodes if self.bias_by_node else 1)

    @property
    def macs(self) -> int:
        """Multiply-accumulates; none where nothing is weighted."""
        return 0 if self.weight_dtype is None else self.edges * self.channels

    @property
    def largest_message(self) -> int:
        """Bound of an integer message without its weight and its sign."""
        return LARGEST_DIFFERENCE * (1 if self.pair is None else 2)


def aggregate(
    op: Aggregation, arrays: Arrays, source: Indices, node: Indices
) -> NDArray[Any]:
    """Fold messages in the order of the edges, and finish.

    Args:
        op: The operation.
        arrays: "x" (sources, channels), and "target" (nodes, channels) of pairs;
            "zero_point" (1,) int32 of integers; "weight" (edges, heads) and "bias"
            (channels,) or (nodes, channels), int32 or float32, where there are such;
            "multiplier" (1,) or (nodes,) float32, or "significand" and "shift"; "params" and
            "table" of the epilogue;
            "limits" (2,) float32, lowest and highest result. A mean divides the multiplier by
            the number of edges in float32, the significand as integers, rounding down; by 1
            where there is no edge.
        source: (E,) row of x of each edge, E at most ``op.edges``.
        node: (E,) row of y of each edge.

    Returns:
        (nodes, channels) of the output type.
    """
    is_float = op.dtype == "float32"
    x = _centred(op, arrays, "x", op.sources)
    target = None if op.pair is None else _centred(op, arrays, "target", op.nodes)
    degree = np.bincount(node, minlength=op.nodes)
    folded = np.full((op.nodes, op.channels), _neutral(op, is_float), x.dtype)
    order = np.argsort(node, kind="stable")
    first = np.cumsum(degree) - degree
    for rank in range(int(degree.max(initial=0))):
        nodes = np.flatnonzero(degree > rank)
        edge = order[first[nodes] + rank]
        message = x[source[edge]]
        if target is not None:
            message = target[nodes] + message
            message = np.maximum(message, 0) if op.pair == "relu" else message
        folded[nodes] = _fold(op, folded[nodes], message, arrays, edge)
    if not op.is_sum:
        folded[degree == 0] = 0
    if op.has_bias:
        folded = folded + arrays["bias"].astype(x.dtype).reshape(-1, op.channels)
    results = rescale(op.requantize, folded, _scaled(op, arrays, degree), (-1, 1))
    return np.clip(results, *arrays["limits"]) if op.has_limits else results


def _centred(op: Aggregation, arrays: Arrays, name: str, rows: int) -> NDArray[Any]:
    """Features of every row, less their zero point."""
    found = arrays[name].reshape(rows, op.channels)
    if op.dtype == "float32":
        return found
    return found.astype(np.int32) - np.int32(arrays["zero_point"].reshape(-1)[0])


def _neutral(op: Aggregation, is_float: bool) -> float:
    """What a fold starts from."""
    if op.is_sum or op.from_zero:
        return 0
    largest = np.inf if is_float else 2**30
    return -largest if op.kind == "max" else largest


def _fold(
    op: Aggregation, folded: NDArray[Any], x: NDArray[Any], arrays: Arrays, edge: Indices
) -> NDArray[Any]:
    """Take one more edge of some nodes."""
    if not op.is_sum:
        larger: NDArray[Any] = (np.maximum if op.kind == "max" else np.minimum)(folded, x)
        return larger
    if op.weight_dtype is None:
        total: NDArray[Any] = folded + x
        return total
    weight = arrays["weight"].reshape(-1, op.heads)[edge].astype(x.dtype)
    weight = np.repeat(weight, op.channels // op.heads, axis=1)
    if op.dtype == "float32":
        return fma_float32(weight, x, folded)
    weighted: NDArray[Any] = folded + weight * x
    return weighted


def _scaled(op: Aggregation, arrays: Arrays, degree: NDArray[Any]) -> Arrays:
    """Multipliers with the means in them."""
    if op.kind != "mean":
        return arrays
    count = np.maximum(degree, 1)
    if op.requantize.is_integer:
        significand = arrays["significand"].astype(np.int64).reshape(-1)
        return {**arrays, "significand": significand // count}
    multiplier = arrays["multiplier"].astype(np.float32).reshape(-1)
    return {**arrays, "multiplier": multiplier / count.astype(np.float32)}
