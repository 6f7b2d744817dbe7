"""Re-estimate what folded normalizations and biases should be, layer after layer."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import onnx_ir as ir
from numpy.typing import NDArray

from octavo.compiler.calibration.layer_moments import moments_of
from octavo.compiler.calibration.layer_tensors import LayerWalk
from octavo.compiler.calibration.output_agreement import Agreement, AgreementMeter
from octavo.compiler.calibration.rounding_layers import find_layers
from octavo.passes.rounding.moments import Moments
from octavo.passes.rounding.retune import matched_bias, matched_statistics
from octavo.passes.rounding.stored_layer import Choice

Progress = Callable[[str, int, int], None]
Match = Callable[[Choice, Moments], Choice]


@dataclass(frozen=True)
class Retuning:
    """What was kept.

    Attributes:
        kind: "statistics" (mean and spread of each output), "bias" (mean only), or "none".
        before: Agreement with the float network on the samples, without it.
        after: The same with what was kept; neither of its numbers is smaller.
    """

    kind: str
    before: Agreement
    after: Agreement


def retune_layers(
    float_model: ir.Model,
    quantized: ir.Model,
    samples: Sequence[Mapping[str, NDArray[Any]]],
    *,
    progress: Progress | None = None,
) -> tuple[Retuning, ir.Model]:
    """Try both ways on copies; the first that helps, or the model as it was.

    Args:
        float_model: Prepared float model; nodes have the names of the quantized model's.
        quantized: QDQ model made of it; not changed.
        samples: One mapping from input name to array for each inference.
        progress: Called with "retune layers", layers done, layers in all.

    Returns:
        What was kept, and the model that it was kept in: it agrees with the float network on
        the samples at least as often, with at least the same signal to noise.
    """
    meter = AgreementMeter(float_model, samples)
    before = meter.measure(quantized)
    ways: tuple[tuple[str, Match], ...] = (
        ("statistics", matched_statistics),
        ("bias", matched_bias),
    )
    for index, (name, match) in enumerate(ways):
        candidate = quantized.clone()
        _retune(float_model, candidate, samples, match, index, len(ways), progress)
        reached = meter.measure(candidate)
        # Each way runs the models once for each layer: the second only when it is needed.
        if reached.is_no_worse_than(before) and reached != before:
            return Retuning(name, before, reached), candidate
    return Retuning("none", before, before), quantized


def _retune(
    float_model: ir.Model,
    quantized: ir.Model,
    samples: Sequence[Mapping[str, NDArray[Any]]],
    match: Match,
    index: int,
    num_ways: int,
    progress: Progress | None,
) -> None:
    layers, _ = find_layers(float_model, quantized)
    layers = [layer for layer in layers if layer.stored.has_bias]
    # Each layer sees the layers in front of it as they were retuned.
    walk = LayerWalk(float_model, quantized, layers, samples)
    for number, layer in enumerate(layers):
        stored = layer.stored
        moments = moments_of(walk.visit(number), layer).fitting
        chosen = match if stored.can_rescale else matched_bias
        stored.write(chosen(stored.stored, moments))
        if progress is not None:
            done = index * len(layers) + number + 1
            progress("retune layers", done, num_ways * len(layers))
