"""Cut ranges down to the part that makes a difference.

What reads a tensor may not see its extremes: hard-swish is 0 for everything below -3, Softmax
ignores a score far below the largest. Saturating there changes nothing and leaves the integers
to the values that matter.
"""

import math
from collections.abc import Collection, Mapping

import numpy as np
import onnx_ir as ir

from octavo.passes.attention import Attention, match_attention
from octavo.passes.elementwise import is_elementwise
from octavo.passes.elementwise_chains import evaluate_chain
from octavo.passes.fused_regions import Region
from octavo.passes.integer_functions import evaluate_integers, integer_function
from octavo.passes.wiring import is_op, only_consumer, static_shape

Range = tuple[float, float]

# Softmax weighs a score by exp(score - largest score): 16 below the largest is 1e-7, nothing
# at 8 bits. Attention masks (-1e4, -3.4e38) would otherwise take the whole range.
SOFTMAX_REACH = 16.0

_GRID_SIZE = 1025  # four points for each integer
_TOLERANCE_STEPS = 0.25  # of the output; rounding it to 8 bits already costs half a step


def narrow_ranges(
    regions: Collection[Region], limits: Mapping[ir.Value, Range]
) -> dict[ir.Value, Range]:
    """The narrower range of each tensor that allows one.

    Args:
        regions: Active regions.
        limits: ``(low, high)`` of every quantized tensor, finite.

    Returns:
        Only tensors whose range got narrower; ``low <= 0 <= high``.
    """
    narrowed = narrow_masks(regions, limits)
    for region in regions:
        if all(is_elementwise(node) for node in region.nodes) and len(region.inputs) == 1:
            source = region.inputs[0]
            if _is_read_only_by(source, region) and source in limits:
                _narrow(narrowed, source, limits[source], _reach(region, limits[source]))
        mask = _mask_limit(region, limits)
        for value in region.nodes[-1].inputs if mask is not None else ():
            if value is not None and value in limits and mask is not None:
                low, high = limits[value]
                _narrow(narrowed, value, limits[value], (max(low, mask), high))
    return narrowed


def narrow_masks(
    regions: Collection[Region], limits: Mapping[ir.Value, Range]
) -> dict[ir.Value, Range]:
    """The narrower range of each mask of an attention; its own may be infinite.

    Args:
        regions: Active regions.
        limits: ``(low, high)`` of quantized tensors.
    """
    narrowed: dict[ir.Value, Range] = {}
    for region in regions:
        attention = _attention(region)
        if attention is not None and attention.mask in limits:
            _narrow_mask(narrowed, attention, limits)
    return narrowed


def feeds_softmax_only(value: ir.Value) -> bool:
    """Whether every reader is a Softmax; the calibrated range is cut to its reach."""
    readers = [use.node for use in value.uses()]
    return bool(readers) and all(is_op(node, "Softmax") for node in readers)


def _narrow(narrowed: dict[ir.Value, Range], value: ir.Value, old: Range, new: Range) -> None:
    old = (min(old[0], 0.0), max(old[1], 0.0))  # as the range that is represented
    low, high = min(new[0], 0.0), max(new[1], 0.0)
    if low > old[0] or high < old[1]:
        narrowed[value] = (max(low, old[0]), min(high, old[1]))


def _is_read_only_by(value: ir.Value, region: Region) -> bool:
    return not value.is_graph_output() and all(u.node in region.nodes for u in value.uses())


def _reach(region: Region, limits: Range) -> Range:
    """The part of the source's range outside which the function is constant."""
    low, high = min(limits[0], 0.0), max(limits[1], 0.0)
    if not low < high:
        return limits
    x = np.linspace(low, high, _GRID_SIZE)
    y = evaluate_chain(region.nodes, region.inputs[0], x)
    if not np.isfinite(y).all():
        return limits
    tolerance = _TOLERANCE_STEPS * (max(y.max(), 0.0) - min(y.min(), 0.0)) / 255.0
    if np.ptp(y) <= tolerance:
        return limits
    first = _constant_prefix(y, tolerance)
    last = _GRID_SIZE - 1 - _constant_prefix(y[::-1], tolerance)
    return float(x[first]), float(x[last])


def _constant_prefix(
    y: np.ndarray[tuple[int, ...], np.dtype[np.float64]], tolerance: float
) -> int:
    """Index of the last point up to which all values agree within a tolerance."""
    spread = np.maximum.accumulate(y) - np.minimum.accumulate(y)
    return int(np.searchsorted(spread, tolerance, side="right")) - 1


def _attention(region: Region) -> Attention | None:
    """The attention that a region computes, or None."""
    is_attention = any(is_op(node, "Softmax") for node in region.nodes[1:])
    return match_attention(region.head) if is_attention else None


def _narrow_mask(
    narrowed: dict[ir.Value, Range], attention: Attention, limits: Mapping[ir.Value, Range]
) -> None:
    """Cut the range of a mask below what makes any weight 0."""
    mask, depth = attention.mask, static_shape(attention.query)
    if mask is None or depth is None:
        return
    largest = attention.scale * depth[-1]
    for value in (attention.query, attention.key):
        if value not in limits:
            return
        largest *= max(abs(limit) for limit in limits[value])
    low, high = limits[mask]
    if not math.isfinite(high):
        high = _largest_of_integers(mask, high)
    _narrow(narrowed, mask, limits[mask], (max(low, -2.0 * (largest + SOFTMAX_REACH)), high))


def _largest_of_integers(mask: ir.Value, otherwise: float) -> float:
    """The largest finite value of a mask made of integers, which held minus infinity too."""
    function = integer_function(mask)
    if function is None or function.source.dtype is None:
        return otherwise
    points = np.arange(2).astype(function.source.dtype.numpy())
    values = evaluate_integers(function, points).values
    return float(np.max(values[np.isfinite(values)], initial=-math.inf))


def _mask_limit(region: Region, limits: Mapping[ir.Value, Range]) -> float | None:
    """The smallest mask value that matters when a region adds a mask to attention scores.

    The sum's calibrated range already leaves out what Softmax ignores, so a more negative mask
    value saturates to the same integer.
    """
    reader = only_consumer(region.outputs[0]) if region.outputs else None
    if reader is None or not is_op(reader, "Softmax") or not is_op(region.nodes[-1], "Add"):
        return None
    total = limits.get(region.outputs[0])
    if total is None:
        return None
    # Scores that the mask lets through lie within the sum's range; other scores may be larger.
    return -4.0 * (max(-total[0], total[1]) + SOFTMAX_REACH)
