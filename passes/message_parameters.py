"""Scales of message passing: factors without a zero point, features that meet in a sum.

A factor times a centred feature is one integer product, so factors have the zero point 0. Two
features that are added before they are summed share a scale. Sums stay in int32: where the
graph is part of the model, its largest degree says how many bits factors may have; where it is
given, whoever counts the edges at run time refuses more than fit.
"""

from collections.abc import Iterable

import numpy as np
import onnx_ir as ir

from octavo.passes.fused_regions import Region
from octavo.passes.message_passing.forms import Kind
from octavo.passes.message_passing.sum_bounds import widest_factor
from octavo.passes.quant_math import QuantParams, choose_qparams, integer_range
from octavo.passes.quantizer_options import BYTE_BITS, QuantizerOptions


def factors_of(regions: Iterable[Region]) -> dict[ir.Value, Region]:
    """What multiplies messages, by the region that reads it; no adjacency matrices."""
    return {
        region.form.coefficients: region
        for region in regions
        if region.form is not None
        and region.form.kind is not Kind.PRODUCT
        and region.form.coefficients is not None
    }


def features_that_meet(regions: Iterable[Region]) -> list[tuple[ir.Value, ...]]:
    """Features that share a scale."""
    forms = [region.form for region in regions]
    return [form.features for form in forms if form is not None and form.kind is Kind.PAIRS]


def factor_bits(region: Region, options: QuantizerOptions) -> int:
    """How many bits the factors of a region have."""
    wanted = options.factor_bits(region.head)
    form = region.form
    assert form is not None  # of a region with factors
    return min(wanted, widest_factor(form)) if wanted <= BYTE_BITS else wanted


def factor_params(region: Region, low: float, high: float, num_bits: int) -> QuantParams:
    """Parameters of factors: the zero point is 0, and no bit is spent on a sign not needed.

    Args:
        region: With factors.
        low: Smallest factor.
        high: Largest factor.
        num_bits: 2 to 8, or 16.
    """
    form = region.form
    assert form is not None  # of a region with factors
    if form.scores is not None:
        # Coefficients of attention are at most 1, which fewer bits represent exactly: a node
        # with one edge has it, and a power of two would take 1/16 of it.
        steps = integer_range("uint8", num_bits)[1]
        scale = 2.0**-BYTE_BITS if num_bits == BYTE_BITS else float(np.float32(1.0 / steps))
        return QuantParams(scale, 0, "uint8", num_bits)
    if low < 0.0:
        return choose_qparams(low, high, dtype="int8", symmetric=True, num_bits=num_bits)
    return choose_qparams(0.0, high, dtype="uint8", num_bits=num_bits)
