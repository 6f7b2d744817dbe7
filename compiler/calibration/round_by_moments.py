"""Round layers one after the other by the moments of what they read and should compute."""

from collections.abc import Iterator, Sequence

import onnx_ir as ir

from octavo.compiler.calibration.judge_layer import judge_layer, store_judged
from octavo.compiler.calibration.layer_moments import moments_of
from octavo.compiler.calibration.layer_tensors import LayerWalk, Sample
from octavo.compiler.calibration.rounding_layers import RoundedLayer, RoundingLayer


def round_by_moments(
    float_model: ir.Model,
    quantized: ir.Model,
    layers: Sequence[RoundingLayer],
    samples: Sequence[Sample],
    *,
    rounding: str,
) -> Iterator[RoundedLayer]:
    """Round layers in place, in order; each reads what those before it compute now.

    Args:
        float_model: Prepared float model.
        quantized: Of the same layers.
        layers: Of these two models, in graph order.
        samples: One mapping from input name to array for each inference.
        rounding: One of ``MOMENT_METHODS``.
    """
    walk = LayerWalk(float_model, quantized, layers, samples)
    for index, layer in enumerate(layers):
        halves = moments_of(walk.visit(index), layer)
        yield store_judged(layer, judge_layer(rounding, layer, halves))
