"""Calibrated-layer loss: what one layer adds to the loss of a network that is all 8 bits.

loss = max(L(all 8 bits, this layer in the format) - L(all 8 bits), 1e-6), where the weights of
the layer were already rounded for the format as they will be in the end. Without a rounding
the integers are the nearest ones.

Source: Hubara et al., Improving Post Training Neural Quantization (CalibTIP), 2020, section 4.
"""

from collections.abc import Callable

import onnx_ir as ir

from octavo.compiler.calibration.rounded_weights import RoundedWeights
from octavo.compiler.sensitivity.format_trials import FormatTrials
from octavo.compiler.sensitivity.output_losses import relative_error
from octavo.compiler.sensitivity.score import Score
from octavo.passes.layer_format import EIGHT_BITS, LayerFormat

MIN_LOSS = 1e-6  # an order of layers needs no sign of noise

Rounder = Callable[[ir.Model], object]


def nearest(quantized: ir.Model) -> None:
    """Leave the integers of a quantized model as they are."""


class CalibratedLoss:
    """What the outputs of an 8-bit network lose more."""

    def __init__(self, trials: FormatTrials, rounder: Rounder | None = None) -> None:
        """Take a network.

        Args:
            trials: The network.
            rounder: Changes the weights of a quantized model in place; None chooses them by
                what single layers compute, once for each layer and format.
        """
        self._trials = trials
        self._rounder = rounder or RoundedWeights(trials.variants.model, trials.samples).round
        self._uniform: float | None = None

    def score(self, layer: str, layer_format: LayerFormat) -> Score:
        """See ``Measure``."""
        if self._uniform is None:
            self._uniform = self._loss({})
        loss = self._loss({layer: layer_format}) - self._uniform
        return self._trials.rate(layer, layer_format, max(loss, MIN_LOSS))

    def _loss(self, formats: dict[str, LayerFormat]) -> float:
        trials = self._trials
        if self._rounder is nearest:
            return trials.loss(formats, base=EIGHT_BITS)
        quantized = trials.variants.quantized(formats, base=EIGHT_BITS)
        self._rounder(quantized)
        return relative_error(trials.exact(), trials.run(quantized))
