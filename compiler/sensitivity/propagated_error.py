"""Propagated error: what the outputs lose when only this layer is quantized.

All other layers compute in float, so the error of this one runs through the real network.
"""

from octavo.compiler.sensitivity.format_trials import FormatTrials
from octavo.compiler.sensitivity.score import Score
from octavo.passes.layer_format import LayerFormat


class PropagatedError:
    """Noise over signal at the outputs, this layer alone quantized."""

    def __init__(self, trials: FormatTrials) -> None:
        self._trials = trials

    def score(self, layer: str, layer_format: LayerFormat) -> Score:
        """See ``Measure``."""
        loss = self._trials.loss({layer: layer_format})
        return self._trials.rate(layer, layer_format, loss)
