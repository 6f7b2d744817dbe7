"""Run a network with chosen layers in chosen formats, and see what its outputs lose."""

from collections.abc import Callable

import onnx_ir as ir

from octavo.compiler.artifact.bit_packing import stored_bytes
from octavo.compiler.calibration.reference_run import Arrays, ReferenceRun
from octavo.compiler.sensitivity.output_losses import relative_error
from octavo.compiler.sensitivity.score import Score
from octavo.compiler.sensitivity.variants import Formats, Samples, Variants
from octavo.errors import DataError
from octavo.passes.layer_format import FLOAT, FLOAT_BITS, LayerFormat
from octavo.passes.linear_layers import num_outputs
from octavo.passes.wiring import is_float

SCALE_BYTES = 4

Latency = Callable[[str, LayerFormat], float | None]  # milliseconds


class FormatTrials:
    """Variants of a network on samples; no variant runs twice.

    Attributes:
        variants: The network.
        samples: What it runs on.
    """

    def __init__(
        self, variants: Variants, samples: Samples, *, latency: Latency | None = None
    ) -> None:
        """Take a network.

        Args:
            variants: The network.
            samples: Inferences to judge by, not always those that ranges come from; held in
                memory.
            latency: Milliseconds of a layer in a format, where known.

        Raises:
            DataError: There is no sample.
        """
        self.variants = variants
        self.samples = list(samples)
        if not self.samples:
            raise DataError("no samples to measure sensitivities with; at least 1 is needed")
        self._latency = latency
        self._exact: list[Arrays] | None = None
        self._outputs: dict[object, list[Arrays]] = {}

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers that take a format, in graph order."""
        return self.variants.layers

    def exact(self) -> list[Arrays]:
        """Float outputs of the float network for each sample."""
        if self._exact is None:
            self._exact = self.run(self.variants.model)
        return self._exact

    def outputs(self, formats: Formats, *, base: LayerFormat = FLOAT) -> list[Arrays]:
        """Float outputs of a variant for each sample; see ``Variants.quantized``."""
        if base.is_float and all(chosen.is_float for chosen in formats.values()):
            return self.exact()
        key = (base, frozenset(formats.items()))
        if key not in self._outputs:
            self._outputs[key] = self.run(self.variants.quantized(formats, base=base))
        return self._outputs[key]

    def loss(self, formats: Formats, *, base: LayerFormat = FLOAT) -> float:
        """Noise power over signal power at the outputs, 0 or more."""
        return relative_error(self.exact(), self.outputs(formats, base=base))

    def run(self, model: ir.Model) -> list[Arrays]:
        """Float outputs of a model for each sample."""
        run = ReferenceRun(model, [value for value in model.graph.outputs if is_float(value)])
        return [run.run(sample) for sample in self.samples]

    def rate(self, layer: str, layer_format: LayerFormat, loss: float) -> Score:
        """A score: the loss with what the format costs in time and space."""
        ms = None if self._latency is None else self._latency(layer, layer_format)
        return Score(loss, ms, self.weight_bytes(layer, layer_format))

    def weight_bytes(self, layer: str, layer_format: LayerFormat) -> int:
        """Size of a layer's weight in a format, packed, with a float32 scale per output."""
        weight = self.variants.weight(layer)
        bits = layer_format.weight_bits
        if bits == FLOAT_BITS:
            return weight.size * FLOAT_BITS // 8
        outputs = num_outputs(self.variants.head(layer), weight)
        return stored_bytes(weight.size, bits) + SCALE_BYTES * outputs
