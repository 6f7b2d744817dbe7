"""What the quantizer is asked to do: for the model, and for single layers."""

from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatchcase

import onnx_ir as ir


class Granularity(Enum):
    """How many scales a weight has."""

    PER_TENSOR = "per_tensor"
    PER_CHANNEL = "per_channel"


@dataclass(frozen=True, kw_only=True)
class LayerOverride:
    """A choice for the layers that a pattern names; None leaves the model's choice.

    Attributes:
        match: A node name, a glob over node names ("encoder/*"), or an operator type.
        num_bits: Width of weights and activations; 8.
        keep_float: Compute the layer in float32.
        symmetric: Force the zero point of the layer's output to the middle.
        granularity: Scales of the layer's weight.
        calibrator: Name of the observer of the layer's output.
    """

    match: str
    num_bits: int = 8
    keep_float: bool | None = None
    symmetric: bool | None = None
    granularity: Granularity | None = None
    calibrator: str | None = None


@dataclass(frozen=True, kw_only=True)
class QuantizerOptions:
    """Choices for the whole model.

    Attributes:
        activation_dtype: "uint8" or "int8".
        granularity: Scales of weights.
        symmetric_activations: Force every zero point to the middle.
        float_output: Leave the model's outputs as the last layer makes them, without rounding
            them to 8 bits.
        float_normalization: Compute LayerNormalization and the sum in front of it in float32.
        quantize_activations: False for weights only.
        overrides: Later ones win.
    """

    activation_dtype: str = "uint8"
    granularity: Granularity = Granularity.PER_CHANNEL
    symmetric_activations: bool = False
    float_output: bool = False
    float_normalization: bool = True
    quantize_activations: bool = True
    overrides: tuple[LayerOverride, ...] = ()

    def keeps_float(self, node: ir.Node) -> bool:
        """Whether a node stays in float32 by request."""
        return bool(self._choose(node, "keep_float", False))

    def is_symmetric(self, node: ir.Node) -> bool:
        """Whether the outputs of a node get the middle as zero point."""
        return bool(self._choose(node, "symmetric", self.symmetric_activations))

    def weight_granularity(self, node: ir.Node) -> Granularity:
        """How many scales the weight of a node gets."""
        chosen = self._choose(node, "granularity", self.granularity)
        return Granularity(chosen)

    def calibrator(self, node: ir.Node, default: str) -> str:
        """Name of the observer of a node's outputs."""
        return str(self._choose(node, "calibrator", default))

    def _choose(self, node: ir.Node, attribute: str, default: object) -> object:
        chosen = default
        for override in self.overrides:
            if matches(override.match, node) and getattr(override, attribute) is not None:
                chosen = getattr(override, attribute)
        return chosen


def matches(pattern: str, node: ir.Node) -> bool:
    """Whether a pattern names a node: exactly, as a glob, or by operator type."""
    name = node.name or ""
    return pattern in (name, node.op_type) or fnmatchcase(name, pattern)
