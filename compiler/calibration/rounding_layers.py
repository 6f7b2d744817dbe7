"""The layers of a quantized model whose weights can be rounded anew."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from octavo.passes.linear_layers import linear_weight
from octavo.passes.rounding.columns import weight_matrix
from octavo.passes.rounding.moments import moments_bytes
from octavo.passes.rounding.stored_layer import StoredLayer, stored_layer

MAX_MOMENT_BYTES = 512 * 2**20  # of the layers that are gathered together


@dataclass(frozen=True, eq=False)
class RoundingLayer:
    """A layer of both models.

    Attributes:
        head: Its node in the float model.
        stored: The same in the quantized model.
        weight: Float weight, (G, O, K).
    """

    head: ir.Node
    stored: StoredLayer
    weight: NDArray[np.float32]

    @property
    def name(self) -> str:
        """Name of the node."""
        return self.head.name or ""

    @property
    def moments_bytes(self) -> int:
        """Memory of the moments of both halves of the samples."""
        return 2 * moments_bytes(*self.weight.shape)


@dataclass(frozen=True)
class RoundedLayer:
    """What rounding anew did to one layer.

    Attributes:
        layer: Name of its node.
        error_before: Mean squared error of its output on the samples set aside, as it was.
        error_after: The same now; never larger.
        num_changed: Integers of its weight that are others now.
        num_weights: How many it has.
    """

    layer: str
    error_before: float
    error_after: float
    num_changed: int
    num_weights: int


@dataclass(frozen=True)
class Rounding:
    """What was done to a model.

    Attributes:
        layers: One record for each layer that was looked at, in graph order.
        skipped: Names of the layers that were left as they are, with the reason.
    """

    layers: tuple[RoundedLayer, ...] = ()
    skipped: Mapping[str, str] = field(default_factory=dict)


def find_layers(
    float_model: ir.Model, quantized: ir.Model
) -> tuple[list[RoundingLayer], dict[str, str]]:
    """The layers that can be rounded anew, in graph order, and why others cannot."""
    heads = {node.name: node for node in float_model.graph}
    layers: list[RoundingLayer] = []
    skipped: dict[str, str] = {}
    for node in quantized.graph:
        head = heads.get(node.name)
        weight = linear_weight(head) if head is not None else None
        if head is None or weight is None:
            continue
        stored = stored_layer(node)
        if stored is None:
            skipped[node.name or ""] = "its weight is not stored as integers of its own"
        elif weight_matrix(head, weight).shape != stored.stored.q.shape:
            skipped[node.name or ""] = "its weight has another shape in the float model"
        elif 2 * moments_bytes(*stored.stored.q.shape) > MAX_MOMENT_BYTES:
            skipped[node.name or ""] = "it sums over too many values"
        else:
            layers.append(RoundingLayer(head, stored, weight_matrix(head, weight)))
    return layers, skipped
