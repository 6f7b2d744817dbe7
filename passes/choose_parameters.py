"""Turn calibrated ranges into quantization parameters, shared where tensors have to agree.

Tensors between which integers are only moved share one pair; so do the inputs and the output
of a Concat when their ranges are close, which makes the Concat a copy, and features of a graph
that are added on its edges.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from octavo.passes.constants import float_constant
from octavo.passes.fused_regions import Region
from octavo.passes.layer_format import FLOAT_BITS
from octavo.passes.message_parameters import (
    factor_bits,
    factor_params,
    factors_of,
    features_that_meet,
)
from octavo.passes.narrow_ranges import Range, feeds_softmax_only, narrow_ranges
from octavo.passes.placement import Placement
from octavo.passes.quant_math import (
    MIN_SCALE,
    QuantParams,
    choose_qparams,
    integer_range,
)
from octavo.passes.quantizable_operators import OutputScale
from octavo.passes.quantizer_options import BYTE_BITS, QuantizerOptions
from octavo.passes.wiring import is_op

# Joining ranges costs each input at most one bit of resolution.
CONCAT_MAX_WIDENING = 2.0
_OF_TWO_OPERANDS = ("Add", "Div", "Mul", "Sub")


@dataclass(frozen=True, eq=False)
class Parameters:
    """Chosen parameters.

    Attributes:
        of: Parameters of each quantized tensor and constant.
        owner: The tensor whose name the shared scale of each tensor carries.
        narrowed: Tensors whose extremes saturate because no reader sees them.
        notes: One line for each choice that the user should know about.
    """

    of: Mapping[ir.Value, QuantParams]
    owner: Mapping[ir.Value, ir.Value]
    narrowed: frozenset[ir.Value]
    notes: tuple[str, ...]


def choose_parameters(
    placement: Placement, ranges: Mapping[str, Range], options: QuantizerOptions
) -> Parameters:
    """Choose the parameters of every tensor of a placement.

    Args:
        placement: Where quantizers go.
        ranges: ``(low, high)`` of each tensor in ``placement.tensors``, by name.
        options: Activation type, widths and symmetry.

    Raises:
        ValueError: A tensor has no range, or one that 8 bits cannot represent; see
            ``representable``.
    """
    limits = _collect_ranges(placement, ranges)
    narrower = narrow_ranges(placement.regions, limits)
    limits.update(narrower)
    groups = _Groups((*placement.tensors, *placement.constants))
    making = placement.region_making()
    for region in placement.regions:
        if region.output_scale is OutputScale.SAME:
            groups.join((region.inputs[0], *region.outputs))
        elif len(region.outputs) > 1:  # a recurrent layer: Y_h is the last row of Y
            groups.join(region.outputs)
    for features in features_that_meet(placement.regions):
        groups.join(features)
    factors = {groups.root(v): r for v, r in factors_of(placement.regions).items()}
    # A fixed scale goes with a group, and a Concat never changes it.
    unit = {
        groups.root(value)
        for value, region in making.items()
        if region.output_scale is OutputScale.UNIT
    }
    wanted = _widths(placement, making, options, groups)
    for region in placement.regions:
        if is_op(region.head, "Concat"):
            is_narrow = any(wanted.get(v, BYTE_BITS) < BYTE_BITS for v in region.outputs)
            _join_concat(groups, region, limits, unit, always=is_narrow)
    notes: list[str] = []
    chosen: dict[ir.Value, QuantParams] = {}
    for root, members in groups.items():
        low = min(limits[value][0] for value in members)
        high = max(limits[value][1] for value in members)
        if root in factors:
            bits = factor_bits(factors[root], options)
            params = factor_params(factors[root], *_widened(low, high), bits)
            chosen.update((value, params) for value in members)
            continue
        if root in unit:
            low, high = 0.0, min(high, 1.0)
        symmetric = any(_is_symmetric(value, making, options) for value in members)
        num_bits = max((wanted[value] for value in members if value in wanted), default=None)
        num_bits = num_bits or _default_width(options)
        params = _params(root, low, high, options.activation_dtype, symmetric, num_bits, notes)
        if root in unit and params.high > 0.5:
            zero_point = integer_range(params.dtype, num_bits)[0]
            params = QuantParams(2.0**-num_bits, zero_point, params.dtype, num_bits)
        chosen.update((value, params) for value in members)
    owner = {value: groups.root(value) for value in chosen}
    narrowed = {value for value in placement.tensors if feeds_softmax_only(value)}
    return Parameters(chosen, owner, frozenset(narrowed | set(narrower)), tuple(notes))


def _widths(
    placement: Placement,
    making: Mapping[ir.Value, Region],
    options: QuantizerOptions,
    groups: "_Groups",
) -> dict[ir.Value, int]:
    """Bits of each tensor: the most that a reader asks for which computes something.

    Regions that only move integers take what their own readers ask for; what nothing reads in
    integers has the model's width. Recurrent layers make 8 bits at least. What edges gather
    has the width of messages: a node that adds a part of its own features does not widen it.
    """
    widths: dict[ir.Value, int] = {}
    factors = factors_of(placement.regions)
    gathered = {groups.root(v) for r in placement.regions if r.form for v in r.inputs}
    for region in placement.regions:
        if region.output_scale is OutputScale.SAME and region.form is None:
            continue
        num_bits = options.layer_format(region.head).activation_bits
        follows = region.form is None and is_op(region.head, *_OF_TWO_OPERANDS)
        for value in region.inputs:
            if value not in factors and not (follows and groups.root(value) in gathered):
                widths[value] = max(num_bits, widths.get(value, 0))
    for value, region in making.items():
        if is_op(region.head, "LSTM", "GRU"):
            # The cell reads its own output in the next step, and saturates it at 8 bits only.
            widths[value] = max(BYTE_BITS, widths.get(value, 0))
        if value.is_graph_output() and options.activation_bits != FLOAT_BITS:
            widths[value] = max(options.activation_bits, widths.get(value, 0))
    return widths


def _default_width(options: QuantizerOptions) -> int:
    return BYTE_BITS if options.activation_bits == FLOAT_BITS else options.activation_bits


def representable(low: float, high: float) -> str:
    """Why 8 bits cannot represent a range, or "" when they can; all-zero tensors can."""
    try:
        choose_qparams(low, high)
    except ValueError as error:
        return "" if _is_zero(low, high) else str(error)
    return ""


def _is_zero(low: float, high: float) -> bool:
    return bool(np.isfinite([low, high]).all()) and max(-low, high) < 255 * MIN_SCALE


def _params(
    root: ir.Value,
    low: float,
    high: float,
    dtype: str,
    symmetric: bool,
    num_bits: int,
    notes: list[str],
) -> QuantParams:
    if _is_zero(low, high):
        notes.append(f"tensor {root.name!r} was zero in every sample; its scale is arbitrary")
        low, high = 0.0, 1.0
    if max(-low, high) < 2**num_bits * MIN_SCALE:  # 8 bits represent it, 16 do not
        num_bits = min(num_bits, BYTE_BITS)
    return choose_qparams(low, high, dtype=dtype, symmetric=symmetric, num_bits=num_bits)


def _widened(low: float, high: float) -> Range:
    """A range of factors that has a width."""
    return (low, high) if max(-low, high) >= 255 * MIN_SCALE else (0.0, 1.0)


def _is_symmetric(
    value: ir.Value, making: Mapping[ir.Value, Region], options: QuantizerOptions
) -> bool:
    region = making.get(value)
    if region is None:
        return options.symmetric_activations
    return any(options.is_symmetric(node) for node in region.nodes)


def _collect_ranges(
    placement: Placement, ranges: Mapping[str, Range]
) -> dict[ir.Value, Range]:
    limits: dict[ir.Value, Range] = {}
    for value in placement.tensors:
        name = value.name or ""
        if name not in ranges:
            raise ValueError(f"tensor {name!r} has no calibrated range")
        limits[value] = ranges[name]
    for value in placement.constants:
        array = float_constant(value)
        if array is None:
            raise ValueError(f"constant {value.name!r} is not float32")
        limits[value] = (float(array.min()), float(array.max()))
    return limits


def _join_concat(
    groups: "_Groups",
    region: Region,
    limits: Mapping[ir.Value, Range],
    unit: set[ir.Value],
    *,
    always: bool = False,
) -> None:
    values = (*region.inputs, *region.outputs)
    roots = list(dict.fromkeys(groups.root(value) for value in values))
    if any(root in unit for root in roots):
        return
    spans = [_hull(limits[v] for v in groups.members(root)) for root in roots]
    low, high = _hull(spans)
    narrowest = min(span[1] - span[0] for span in spans)
    # Copied, integers of few bits stay inside their limits.
    if always or high - low <= CONCAT_MAX_WIDENING * narrowest:
        groups.join(values)


def _hull(spans: Iterable[Range]) -> Range:
    listed = list(spans)
    return min(0.0, *(low for low, _ in listed)), max(0.0, *(high for _, high in listed))


class _Groups:
    """Tensors that share parameters; the root of a group is its first tensor."""

    def __init__(self, values: Iterable[ir.Value]) -> None:
        self._order = {value: index for index, value in enumerate(values)}
        self._root = {value: value for value in self._order}
        self._members = {value: [value] for value in self._order}

    def root(self, value: ir.Value) -> ir.Value:
        return self._root[value]

    def members(self, root: ir.Value) -> list[ir.Value]:
        return self._members[root]

    def items(self) -> list[tuple[ir.Value, list[ir.Value]]]:
        return list(self._members.items())

    def join(self, values: Iterable[ir.Value]) -> None:
        roots = sorted({self._root[v] for v in values}, key=self._order.__getitem__)
        first = roots[0]
        for other in roots[1:]:
            for value in self._members.pop(other):
                self._root[value] = first
                self._members[first].append(value)
