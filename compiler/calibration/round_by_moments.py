"""Round layers by the moments of what they read and should compute."""

from collections.abc import Iterator, Sequence

import onnx_ir as ir

from octavo.compiler.calibration.layer_moments import LayerData, Sample, gather_moments
from octavo.compiler.calibration.rounding_layers import (
    MAX_MOMENT_BYTES,
    RoundedLayer,
    RoundingLayer,
)
from octavo.passes.rounding.choose_rounding import choose_rounding


def round_by_moments(
    float_model: ir.Model,
    quantized: ir.Model,
    layers: Sequence[RoundingLayer],
    samples: Sequence[Sample],
    *,
    rounding: str,
    sequential: bool,
) -> Iterator[RoundedLayer]:
    """Round layers in place, in order; one record for each.

    Args:
        float_model: Prepared float model.
        quantized: Of the same layers.
        layers: Of these two models, in graph order.
        samples: One mapping from input name to array for each inference.
        rounding: One of ``MOMENT_METHODS``.
        sequential: Layers read what the quantized network computes, else the float network.
    """
    for group in _groups(layers, one_by_one=sequential):
        data = LayerData(float_model, quantized, group, sequential=sequential)
        halves = gather_moments(data, group, samples)
        for layer, moments in zip(group, halves, strict=True):
            old = layer.stored.stored
            choice = choose_rounding(
                rounding,
                layer.weight,
                old,
                moments.fitting,
                moments.checking,
                has_bias=layer.stored.has_bias,
                refit_scale=layer.stored.can_rescale,
            )
            if choice is not old and not layer.stored.write(choice):
                choice = old
            before, after = (
                float(moments.checking.error(c.weight, c.bias).mean()) for c in (old, choice)
            )
            changed = int((choice.q != old.q).sum())
            yield RoundedLayer(layer.name, before, after, changed, old.q.size)


def _groups(layers: Sequence[RoundingLayer], *, one_by_one: bool) -> list[list[RoundingLayer]]:
    groups: list[list[RoundingLayer]] = []
    size = 0
    for layer in layers:
        needed = layer.moments_bytes
        if one_by_one or not groups or size + needed > MAX_MOMENT_BYTES:
            groups.append([])
            size = 0
        groups[-1].append(layer)
        size += needed
    return groups
