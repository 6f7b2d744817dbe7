"""What aggregations no kernel computes: unknown types, and sums that 32 bits may not hold."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from octavo.targets.kernels.spans import MAX_ELEMENTS
from octavo.targets.ops.aggregation import (
    KINDS,
    LARGEST_SUM,
    LARGEST_WEIGHT,
    PAIRS,
    Aggregation,
)

Arrays = Mapping[str, NDArray[Any]]


def reject(op: Aggregation, most_edges: int) -> str:
    """Why no kernel folds this, or "".

    Args:
        op: The operation.
        most_edges: Edges into one node; 0 where constants will tell.
    """
    if reason := _reject_parts(op):
        return reason
    if op.kind not in KINDS:
        return f"kind {op.kind!r}"
    if op.dtype not in ("uint8", "int8", "float32"):
        return f"{op.dtype} features; only uint8, int8 and float32"
    if op.requantize.residual is not None:
        return "a residual"
    if not op.is_sum and (op.weight_dtype or op.has_bias or op.pair):
        return f"weights, pairs or a bias with a {op.kind}"
    weights = (None, "float32") if op.dtype == "float32" else tuple(LARGEST_WEIGHT)
    if op.weight_dtype not in weights:
        return f"{op.weight_dtype} weights of {op.dtype} features"
    if op.dtype == "float32" and op.requantize.dtype != "float32":
        return "a float result stays float"
    largest = max(max(op.sources, op.nodes) * op.channels, op.edges * op.heads)
    if largest > MAX_ELEMENTS:
        return f"{largest} elements; at most {MAX_ELEMENTS}"
    if op.dtype == "float32" or not op.is_sum:
        return ""
    largest = LARGEST_WEIGHT[op.weight_dtype] * op.largest_message
    if most_edges * largest > LARGEST_SUM:
        most = LARGEST_SUM // largest
        return f"{most_edges} edges into a node may overflow 32 bits; at most {most}"
    return ""


def reject_constants(op: Aggregation, arrays: Arrays, most_weight: int) -> str:
    """Why sums may not fit 32 bits, or "".

    Args:
        op: The operation.
        arrays: Its constants.
        most_weight: Largest sum of a node's weights without their signs.
    """
    if op.dtype == "float32" or not op.is_sum:
        return ""
    bias = int(np.abs(arrays["bias"].astype(np.int64)).max()) if op.has_bias else 0
    largest = most_weight * op.largest_message + bias
    return "" if largest <= LARGEST_SUM else f"sums up to {largest} overflow 32 bits"


def _reject_parts(op: Aggregation) -> str:
    """Why messages are not made so, or ""."""
    if op.pair not in PAIRS:
        return f"pair {op.pair!r}"
    if op.heads < 1 or op.channels % op.heads:
        return f"{op.heads} heads of {op.channels} channels"
    if op.heads > 1 and op.weight_dtype is None:
        return "heads without weights"
    if op.has_limits and op.requantize.dtype != "float32":
        return f"limits of {op.requantize.dtype} results, which are parameters"
    return ""
