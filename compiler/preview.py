"""What quantization would do to a float model, before any sample is there."""

from dataclasses import dataclass

import onnx_ir as ir

from octavo.errors import ModelError
from octavo.passes.placement import plan_placement
from octavo.passes.prepare import prepare
from octavo.passes.quantizer_options import QuantizerOptions


@dataclass(frozen=True)
class Region:
    """Nodes that one integer kernel computes.

    Attributes:
        name: The node that heads it.
        op_types: Its operators, in order ("Conv", "Add", "Relu").
    """

    name: str
    op_types: tuple[str, ...]


@dataclass(frozen=True)
class Preview:
    """Where a model would run in integers.

    Attributes:
        regions: In graph order.
        float_nodes: Name and reason of each node that would stay in float.
    """

    regions: tuple[Region, ...]
    float_nodes: tuple[tuple[str, str], ...]


def preview_placement(model: ir.Model) -> Preview:
    """Plan the quantization of an imported float model with the default options.

    Calibration can still move nodes to float, when their values do not fit 8 bits.

    Args:
        model: From ``import_model``; changed in place.

    Raises:
        ModelError: The model is quantized already.
    """
    if any(node.op_type == "QuantizeLinear" for node in model.graph):
        raise ModelError("the model is quantized already: it says itself what is INT8")
    placement = plan_placement(prepare(model).graph, QuantizerOptions())
    return Preview(
        tuple(
            Region(region.head.name or "", tuple(node.op_type for node in region.nodes))
            for region in placement.regions
        ),
        tuple(placement.float_nodes.items()),
    )
