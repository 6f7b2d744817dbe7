"""Take the mean error of each layer's quantized weights and inputs out of its bias.

``b`` -> ``b - mean(quantized output - float output)`` for each output channel.

Source: Nagel et al. 2019, "Data-Free Quantization", 4.2, with the mean measured on samples.
"""

from collections.abc import Mapping

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from octavo.passes.constants import NameSource, add_constant, float_constant
from octavo.passes.fused_regions import Region
from octavo.passes.linear_layers import linear_bias, linear_weight
from octavo.passes.wiring import is_op


class CorrectBias(ir.passes.InPlacePass):
    """Subtract a mean error from the biases of linear layers that have a bias.

    Not idempotent by itself: the error is measured for one model and applied to it once.
    """

    def __init__(self, mean_errors: Mapping[str, NDArray[np.float64]]) -> None:
        """Take the measurement.

        Args:
            mean_errors: For each tensor of ``bias_tensor``, the mean of quantized minus float
                over samples and positions, (number of outputs,).
        """
        super().__init__()
        self.mean_errors = dict(mean_errors)

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        graph, names = model.graph, NameSource(model.graph)
        made = {value.name: node for node in graph for value in node.outputs}
        corrected = [
            _correct(graph, names, made[tensor], error)
            for tensor, error in self.mean_errors.items()
            if tensor in made
        ]
        return ir.passes.PassResult(model, modified=any(corrected))


def bias_tensor(region: Region) -> ir.Value | None:
    """The tensor right behind the bias of a region, or None when it has no bias to correct."""
    if region.bias_add is not None:
        return region.bias_add.outputs[0]
    weight = linear_weight(region.head)
    if weight is None or is_op(region.head, "MatMul") or len(region.head.inputs) < 3:
        return None
    return region.head.outputs[0] if region.head.inputs[2] is not None else None


def channel_axis(node: ir.Node) -> int:
    """Axis of the output channels in a linear layer's output; -1 for features last."""
    return 1 if is_op(node, "Conv", "ConvTranspose") else -1


def _correct(
    graph: ir.Graph, names: NameSource, node: ir.Node, error: NDArray[np.float64]
) -> bool:
    position = 2
    if is_op(node, "Add"):
        position = 0 if float_constant(node.inputs[0]) is not None else 1
        bias = float_constant(node.inputs[position])
    else:
        weight = linear_weight(node)
        bias = linear_bias(node, weight) if weight is not None else None
    if bias is None or not error.any():
        return False
    corrected = (bias.astype(np.float64) - error).astype(np.float32)
    value = add_constant(graph, names, f"{node.name or 'layer'}_corrected_bias", corrected)
    node.replace_input_with(position, value)
    return True
