"""Balance the channels of transformer activations by what they hold during calibration."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import onnx_ir as ir
from numpy.typing import NDArray
from onnx_ir.passes.common import RemoveUnusedNodesPass

from octavo.compiler.calibration.channel_statistics import measure_channels
from octavo.passes.placement import plan_placement
from octavo.passes.quantizer_options import QuantizerOptions
from octavo.passes.smooth_activations import SmoothActivations, smoothable_tensors
from octavo.passes.split_hidden_channels import SplitHiddenChannels, hidden_tensors

MULTIPLICATION_REASON = "divides outlier channels of a float tensor before it is rounded"


@dataclass(frozen=True)
class Balanced:
    """What was added to the graph.

    Attributes:
        multiplications: Names of nodes that have to stay in float32.
        origins: For each node that computes part of another node's channels, that node.
    """

    multiplications: tuple[str, ...] = ()
    origins: Mapping[str, str] | None = None

    def with_parts(self, layers: Iterable[str]) -> tuple[str, ...]:
        """The names of layers and of what was split from them."""
        whole = dict.fromkeys(layers)
        origins = self.origins or {}
        return (*whole, *(part for part, origin in origins.items() if origin in whole))


def balance_channels(
    model: ir.Model,
    options: QuantizerOptions,
    samples: Iterable[Mapping[str, NDArray[Any]]],
) -> Balanced:
    """Smooth normalized tensors and split hidden ones, in place, where it gains accuracy.

    Args:
        model: Prepared float model.
        options: Widths of layers, and what stays in float; nothing is done for that.
        samples: One mapping from input name to array for each inference.
    """
    kept = [node for node in model.graph if options.keeps_float(node)]
    tensors = [*smoothable_tensors(model.graph, kept), *hidden_tensors(model.graph, kept)]
    if not tensors:
        return Balanced()
    statistics = measure_channels(model, tensors, samples)
    regions = plan_placement(model.graph, options).regions
    floats = {value.name or "" for r in regions if r.made_in_float for value in r.outputs}
    format_of = options.layer_format
    smooth = SmoothActivations(statistics, float_tensors=floats, format_of=format_of)
    split = SplitHiddenChannels(statistics, format_of=format_of)
    smooth(model)
    split(model)
    RemoveUnusedNodesPass()(model)
    return Balanced(smooth.multiplications, split.origins)
