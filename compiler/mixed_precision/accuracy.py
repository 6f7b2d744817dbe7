"""What a configuration loses, measured on samples that its ranges do not come from."""

import math
from collections.abc import Mapping

import onnx_ir as ir

from octavo.compiler.calibration.reference_run import Arrays, ReferenceRun
from octavo.compiler.mixed_precision.network import Formats, MixedNetwork, Samples
from octavo.compiler.mixed_precision.options import BUFFER
from octavo.compiler.sensitivity.labels import Labels, accuracy
from octavo.compiler.sensitivity.output_losses import relative_error
from octavo.passes.wiring import is_float

DROP, NOISE = "drop", "noise"
LOWEST_DB = -200.0  # where outputs are the same bits: noise has no logarithm
NO_NOISE = 10 ** (LOWEST_DB / 10)


class AccuracyMeter:
    """Runs configurations of a network on samples, in the reference.

    Attributes:
        network: The network.
        float_accuracy: Share of the labels that the float network gets right; None without
            labels, or where its outputs are no classes.
    """

    def __init__(
        self, network: MixedNetwork, samples: Samples, labels: Labels | None = None
    ) -> None:
        """Run the float network.

        Args:
            network: The network.
            samples: Inferences to judge by.
            labels: The class of each of them.
        """
        self.network = network
        self._samples, self._labels = samples, labels
        self._exact = self._run(network.prepared)
        self.float_accuracy = None if labels is None else accuracy(self._exact, labels)

    def measure(self, formats: Formats) -> Mapping[str, float]:
        """What a configuration loses.

        Returns:
            ``noise``: noise over signal at the outputs, decibels, the worst of the outputs;
            ``drop``: points of accuracy lost, where there are labels; ``buffer``: bytes of
            activations alive at one time, of a graph network.
        """
        outputs = self._run(self.network.quantized(formats))
        error = relative_error(self._exact, outputs)
        measured = {NOISE: 10 * math.log10(max(error, NO_NOISE))}
        if self.network.components:
            measured[BUFFER] = float(self.network.live_bytes(formats))
        if self.float_accuracy is not None and self._labels is not None:
            reached = accuracy(outputs, self._labels)
            assert reached is not None
            measured[DROP] = 100 * (self.float_accuracy - reached)
        return measured

    def _run(self, model: ir.Model) -> list[Arrays]:
        run = ReferenceRun(model, [value for value in model.graph.outputs if is_float(value)])
        return [run.run(sample) for sample in self._samples]
