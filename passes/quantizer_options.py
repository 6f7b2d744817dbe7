"""What the quantizer is asked to do: for the model, and for single layers."""

from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatchcase

import onnx_ir as ir

from octavo.passes.layer_format import FLOAT_BITS, LayerFormat
from octavo.passes.quantizable_operators import weight_inputs
from octavo.passes.weight_scales import range_method

BYTE_BITS = 8


class Granularity(Enum):
    """How many scales a weight has."""

    PER_TENSOR = "per_tensor"
    PER_CHANNEL = "per_channel"


@dataclass(frozen=True, kw_only=True)
class LayerOverride:
    """A choice for the layers that a pattern names; None leaves the model's choice.

    Attributes:
        match: A node name, a glob over node names ("encoder/*"), or an operator type.
        weight_bits: Width of the layer's weight; see ``LayerFormat``.
        activation_bits: Width of what the layer reads.
        block_size: Input channels of the weight that share a scale; 0: all of them.
        weight_range: How scales of the weight are chosen; see ``RANGE_METHODS``.
        keep_float: Compute the layer in float32.
        symmetric: Force the zero point of the layer's output to the middle.
        granularity: Scales of the layer's weight.
        calibrator: Name of the observer of the layer's output.
    """

    match: str
    weight_bits: int | None = None
    activation_bits: int | None = None
    block_size: int | None = None
    weight_range: str | None = None
    keep_float: bool | None = None
    symmetric: bool | None = None
    granularity: Granularity | None = None
    calibrator: str | None = None


@dataclass(frozen=True, kw_only=True)
class QuantizerOptions:
    """Choices for the whole model.

    Attributes:
        activation_dtype: "uint8" or "int8"; activations of 16 bits have the same sign.
        weight_bits: Width of weights.
        activation_bits: Width of activations.
        block_size: Input channels of a weight that share a scale; 0: all of them. Blocks are
            for weights of fewer than 8 bits only.
        weight_range: How scales of weights are chosen; None: by their width.
        granularity: Scales of weights.
        symmetric_activations: Force every zero point to the middle.
        float_output: Leave the model's outputs as the last layer makes them, without rounding
            them to 8 bits.
        float_normalization: Compute LayerNormalization and the sum in front of it in float32.
        quantize_activations: False for weights only.
        overrides: Later ones win.
    """

    activation_dtype: str = "uint8"
    weight_bits: int = 8
    activation_bits: int = 8
    block_size: int = 0
    weight_range: str | None = None
    granularity: Granularity = Granularity.PER_CHANNEL
    symmetric_activations: bool = False
    float_output: bool = False
    float_normalization: bool = True
    quantize_activations: bool = True
    overrides: tuple[LayerOverride, ...] = ()

    def layer_format(self, node: ir.Node) -> LayerFormat:
        """Widths of a node's weight and of what it reads."""
        return LayerFormat(
            self._width(node, "weight_bits", self.weight_bits),
            self._width(node, "activation_bits", self.activation_bits),
        )

    def factor_bits(self, node: ir.Node) -> int:
        """Width of what multiplies messages at a node that aggregates them.

        Attention and weights of edges are made like activations and are as wide as those,
        unless an override names the node: its ``weight_bits`` are theirs.
        """
        return self._width(node, "weight_bits", self.activation_bits)

    def keeps_float(self, node: ir.Node) -> bool:
        """Whether a node computes in float32 by request; its weight may be stored narrower."""
        if self._choose(node, "keep_float", False):
            return True
        layer = self.layer_format(node)
        if layer.activation_bits == FLOAT_BITS:
            return True
        return layer.weight_bits == FLOAT_BITS and bool(weight_inputs(node))

    def keeps_float_weight(self, node: ir.Node) -> bool:
        """Whether the weight of a node stays as it is."""
        is_kept = bool(self._choose(node, "keep_float", False))
        return is_kept or self.layer_format(node).weight_bits == FLOAT_BITS

    def weight_block_size(self, node: ir.Node) -> int:
        """Input channels that share a scale in the weight of a node; 0: all of them."""
        if self.layer_format(node).weight_bits >= BYTE_BITS:
            return 0
        return self._width(node, "block_size", self.block_size)

    def weight_range_method(self, node: ir.Node) -> str:
        """How scales of the weight of a node are chosen."""
        wished = self._choose(node, "weight_range", self.weight_range)
        assert wished is None or isinstance(wished, str)
        return range_method(self.layer_format(node).weight_bits, wished)

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

    def _width(self, node: ir.Node, attribute: str, default: int) -> int:
        chosen = self._choose(node, attribute, default)
        assert isinstance(chosen, int)
        return chosen

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
