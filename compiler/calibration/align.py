"""Align the channels of normalized tensors by what they hold during calibration."""

from collections.abc import Iterable, Mapping
from typing import Any

import onnx_ir as ir
from numpy.typing import NDArray
from onnx_ir.passes.common import RemoveUnusedNodesPass

from octavo.compiler.calibration.channel_statistics import measure_channels
from octavo.passes.align_channels import AlignChannels, alignable_tensors
from octavo.passes.quantizer_options import QuantizerOptions


def align_channels(
    model: ir.Model,
    options: QuantizerOptions,
    samples: Iterable[Mapping[str, NDArray[Any]]],
) -> None:
    """Give the channels of normalized tensors one range each, in place.

    Args:
        model: Prepared float model.
        options: What stays in float; nothing is done for that.
        samples: One mapping from input name to array for each inference.
    """
    kept = [node for node in model.graph if options.keeps_float(node)]
    tensors = alignable_tensors(model.graph, kept)
    if tensors:
        AlignChannels(measure_channels(model, tensors, samples))(model)
        RemoveUnusedNodesPass()(model)
