"""Divergence: how far the probabilities at the outputs move when only this layer is quantized.

loss = mean KL(softmax(y) || softmax(y with the layer in the format)), in nats, on the samples
that are given. Unlike the propagated error it does not count what a softmax takes out again.

Source: Cai et al., ZeroQ, 2020, section 3.2 (there on distilled data).
"""

from octavo.compiler.sensitivity.format_trials import FormatTrials
from octavo.compiler.sensitivity.output_losses import kl_divergence
from octavo.compiler.sensitivity.score import Score
from octavo.passes.layer_format import LayerFormat


class Divergence:
    """Mean Kullback-Leibler divergence of the outputs, this layer alone quantized."""

    def __init__(self, trials: FormatTrials) -> None:
        self._trials = trials

    def score(self, layer: str, layer_format: LayerFormat) -> Score:
        """See ``Measure``."""
        outputs = self._trials.outputs({layer: layer_format})
        loss = kl_divergence(self._trials.exact(), outputs)
        return self._trials.rate(layer, layer_format, loss)
