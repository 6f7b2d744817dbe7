"""Round one layer by its moments, and store what was judged to be better."""

from dataclasses import replace

import numpy as np

from octavo.compiler.calibration.layer_moments import Halves
from octavo.compiler.calibration.rounding_layers import RoundedLayer, RoundingLayer
from octavo.passes.rounding.choose_rounding import JudgedRounding, judge_rounding

INT8_MAX = 127


def judge_layer(rounding: str, layer: RoundingLayer, halves: Halves) -> JudgedRounding:
    """Choose constants by one half of the samples, and judge them by the other.

    Args:
        rounding: One of ``MOMENT_METHODS``.
        layer: Rounded to nearest.
        halves: Its moments.
    """
    judged = judge_rounding(
        rounding,
        layer.weight,
        layer.stored.stored,
        halves.fitting,
        halves.checking,
        has_bias=layer.stored.has_bias,
        refit_scale=layer.stored.can_rescale,
    )
    best = judged.best
    if best.grid.qmax > INT8_MAX:
        return judged
    # They may be kept for many layers and formats.
    return replace(judged, best=replace(best, q=best.q.astype(np.int8)))


def store_judged(layer: RoundingLayer, judged: JudgedRounding) -> RoundedLayer:
    """Give a layer the constants that are better for it; the record of what was done."""
    old = layer.stored.stored
    choice, before, after = judged.against(old)
    if choice is not old and not layer.stored.write(choice):
        choice, after = old, before
    changed = int((choice.q != old.q).sum())
    return RoundedLayer(
        layer.name, float(before.mean()), float(after.mean()), changed, old.q.size
    )
