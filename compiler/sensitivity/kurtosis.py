"""Kurtosis of a layer's weight: a popular guess that knows neither format nor network.

It is here to be compared with: measures that let errors run through the network have to be
better than this (Beyond Outliers, 2025, found that it does not predict what networks lose).
"""

import numpy as np

from octavo.compiler.sensitivity.format_trials import FormatTrials
from octavo.compiler.sensitivity.score import Score
from octavo.passes.layer_format import LayerFormat


class Kurtosis:
    """E[(w - mean)^4] / variance^2 of the weight; 3 for a normal distribution."""

    def __init__(self, trials: FormatTrials) -> None:
        self._trials = trials

    def score(self, layer: str, layer_format: LayerFormat) -> Score:
        """See ``Measure``; the loss is the same for every format."""
        weight = self._trials.variants.weight(layer).astype(np.float64)
        centred = weight - weight.mean()
        variance = float(np.square(centred).mean())
        fourth = float((centred**4).mean())
        loss = fourth / variance**2 if variance else 0.0
        return self._trials.rate(layer, layer_format, loss)
